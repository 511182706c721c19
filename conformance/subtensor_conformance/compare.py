"""Comparison of arrays: dtype and shape exactly; values exactly, or within units in the last place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from subtensor.graph.types import as_dtype
from subtensor_conformance.case import Case, Value
from subtensor_conformance.oracle.sequences import Overlay, Pattern

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True)
class Difference:
    """kind: ``type``, ``dtype``, ``shape``, ``value``, ``nan``, ``sign of zero``. error: in units in the last place."""

    kind: str
    message: str
    error: float = 0.0


@dataclass(frozen=True, slots=True)
class Bound:
    """How far a float may be off: ``ulps * addends`` units in the last place, plus `absolute` times the largest value.

    With several addends the unit is that of the largest value, for sums cancel; else that of the element itself.
    """

    ulps: float = 0
    addends: int = 1
    absolute: float = 0

    @staticmethod
    def of(case: Case, factor: float = 1) -> Bound:
        return Bound(case.ulps * factor, case.addends, case.absolute * factor)

    @property
    def exact(self) -> bool:
        return not self.ulps and not self.absolute

    def sizes(self, expected: Array) -> tuple[Array, Array]:
        """For each element: the unit, and the largest error allowed."""
        finite = np.where(np.isfinite(expected), np.abs(expected), 0).astype(expected.dtype)
        top = finite.max(initial=0)
        scale = np.maximum(finite, top) if self.addends > 1 else finite
        unit = np.spacing(scale)
        unit = np.where(np.isinf(unit), scale - np.nextafter(scale, 0), unit).astype(
            np.float64
        )  # of the largest number
        allowed = self.ulps * self.addends * unit + self.absolute * max(1.0, float(top))
        return unit, allowed


def to_array(v: Value) -> Array:
    """A value of a case as a NumPy array."""
    with np.errstate(over="ignore"):
        return _elements(v.data, as_dtype(v.dtype)).reshape(v.shape)


def _elements(data: Any, dtype: str) -> Array:
    if isinstance(data, Pattern):
        k = np.arange(data.length)
        whole = (k * data.step + k * k // 7) % data.modulus - data.shift
        return (whole if data.divisor == 1 else whole / data.divisor).astype(dtype)
    if isinstance(data, Overlay):
        elements = _elements(data.base, dtype)
        if data.changes:
            elements[list(data.changes)] = np.array(list(data.changes.values()), dtype=dtype)
        return elements
    return np.array(data, dtype=dtype)


def difference(what: str, expected: Array, got: Any, bound: Bound) -> Difference | None:
    """How `got` differs from what was expected, if it does."""
    if type(got) is not np.ndarray:
        return Difference("type", f"{what}: expected a numpy.ndarray, got a {type(got).__name__}")
    if got.dtype != expected.dtype:
        return Difference("dtype", f"{what}: expected dtype {expected.dtype}, got {got.dtype}")
    if got.shape != expected.shape:
        return Difference("shape", f"{what}: expected shape {expected.shape}, got {got.shape}")
    if expected.dtype.kind != "f":
        wrong = np.asarray(got != expected)
        return _first("value", what, expected, got, wrong, np.zeros(wrong.shape)) if wrong.any() else None
    return _float_difference(what, expected, got, bound)


def _float_difference(what: str, expected: Array, got: Array, bound: Bound) -> Difference | None:
    nan = np.asarray(np.isnan(expected) != np.isnan(got))
    if nan.any():
        return _first("nan", what, expected, got, nan, np.full(nan.shape, np.inf))
    with np.errstate(invalid="ignore", over="ignore"):
        unit, allowed = bound.sizes(expected)
        apart = np.abs(expected.astype(np.float64) - got.astype(np.float64))
        apart = np.where((expected == got) | np.isnan(expected), 0.0, apart)
        wrong = np.asarray(~(apart <= np.where(np.isfinite(expected), allowed, 0)))
        errors = np.asarray(apart / unit)
    if wrong.any():
        return _first("value", what, expected, got, wrong, errors)
    if bound.exact:
        sign = np.asarray((expected == 0) & (np.signbit(expected) != np.signbit(got)))
        if sign.any():
            return _first("sign of zero", what, expected, got, sign, np.zeros(sign.shape))
    return None


def largest_error(expected: Array, got: Array, bound: Bound) -> float:
    """The largest error of a comparison that passed, in units in the last place."""
    if expected.dtype.kind != "f" or not expected.size:
        return 0.0
    with np.errstate(invalid="ignore", over="ignore"):
        unit, _ = bound.sizes(expected)
        apart = np.abs(expected.astype(np.float64) - got.astype(np.float64)) / unit
        return float(np.nanmax(np.where(expected == got, 0.0, apart), initial=0.0))


def _first(kind: str, what: str, expected: Array, got: Array, wrong: Array, errors: Array) -> Difference:
    worst = np.unravel_index(int(np.argmax(np.where(wrong, np.nan_to_num(errors, nan=np.inf), -1))), wrong.shape)
    at = f"[{', '.join(str(int(i)) for i in worst)}]" if worst else ""
    error = float(errors[worst])
    size = f" ({error:.3g} units in the last place apart)" if kind == "value" and expected.dtype.kind == "f" else ""
    count = int(wrong.sum())
    more = f"; {count} of {wrong.size} elements differ" if wrong.size > 1 else ""
    return Difference(kind, f"{what}{at}: expected {expected[worst]!r}, got {got[worst]!r}{size}{more}", error)
