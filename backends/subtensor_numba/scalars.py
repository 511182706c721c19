"""Ops on single numbers, as Python source that Numba compiles.

A dtype's constructor goes by its name, ``float32(…)``. Numba widens small integers; each result is brought back to the
dtype that the frontend decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from subtensor.graph.types import TensorType

FLOATS = ("float32", "float64")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def handles(dtype: str) -> bool:
    """Whether loops hold numbers of this dtype."""
    return dtype != "float16"


_FLOAT = {
    **{name: f"np.{name}({{0}})" for name in ("exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tanh")},
    **{name: f"np.{name}({{0}})" for name in ("floor", "ceil", "trunc", "rint")},
    "divide": "{0} / {1}",
}
_NUMBER = {
    "neg": "-{0}",
    "abs": "abs({0})",
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "maximum": "{0} if ({0} >= {1}) | ({0} != {0}) else {1}",
    "minimum": "{0} if ({0} <= {1}) | ({0} != {0}) else {1}",
    "sign": "{T}(1) if {0} > {T}(0) else ({T}(-1) if {0} < {T}(0) else ({T}(0) if {0} == {T}(0) else {0}))",
}
_TEST = {"less": "{0} < {1}", "less_equal": "{0} <= {1}", "equal": "{0} == {1}"}
_BOOL = {
    "add": "{0} or {1}",
    "multiply": "{0} and {1}",
    "and": "{0} and {1}",
    "or": "{0} or {1}",
    "xor": "{0} != {1}",
    "invert": "not {0}",
    "equal": "{0} == {1}",
}
_INTEGER = {"and": "{0} & {1}", "or": "{0} | {1}", "xor": "{0} ^ {1}", "invert": "~{0}"}

ELEMENTWISE = frozenset({*_FLOAT, *_NUMBER, *_TEST, *_BOOL, *_INTEGER, "where", "cast"})
"""Ops that loops can hold, for some dtypes."""

SLOW = frozenset({"exp", "expm1", "log", "log1p", "sin", "cos", "tanh"})
"""Ops that NumPy computes for several numbers at once, and compiled loops one by one."""


def _template(name: str, dtype: str, result: str) -> str | None:
    if name == "where":
        return "{1} if {0} else {2}"
    if name == "cast":
        return _cast(dtype, result)
    if dtype == "bool":
        return _BOOL.get(name)
    if name in _TEST:
        return _TEST[name]
    if dtype in FLOATS:
        return _FLOAT.get(name) or _NUMBER.get(name)
    if dtype.startswith("u") and name in ("neg", "sign", "abs"):
        return None
    found = _NUMBER.get(name) or _INTEGER.get(name)
    return None if found is None else f"{{T}}({found})"


def _cast(dtype: str, result: str) -> str | None:
    if result == "bool":
        return "{0} != 0"
    if dtype in FLOATS and result in INTEGERS:
        return None  # what lies out of range is C's to say, and NumPy's casts say it
    return "{T}({0})"


def is_known(name: str, types: Sequence[TensorType], result: TensorType) -> bool:
    """Whether an op has a form for arguments of these types."""
    return _template(name, types[1 if name == "where" else 0].dtype, result.dtype) is not None


def expression(name: str, args: Sequence[str], types: Sequence[TensorType], result: TensorType) -> str:
    """An elementwise op of names of numbers."""
    found = _template(name, types[1 if name == "where" else 0].dtype, result.dtype)
    assert found is not None
    return found.format(*args, T=result.dtype)


def literal(value: np.ndarray[Any, Any]) -> str:
    """A 0-d array as a number of its dtype."""
    if value.dtype.kind == "b":
        return repr(bool(value))
    if value.dtype.kind == "f":
        number = float(value)
        text = repr(number) if np.isfinite(number) else f"float({str(number)!r})"
        return f"{value.dtype.name}({text})" if np.isfinite(number) else f"{value.dtype.name}(np.{_odd(number)})"
    return f"{value.dtype.name}({int(value)})"


def _odd(number: float) -> str:
    return "nan" if number != number else ("inf" if number > 0 else "inf * -1.0")  # noqa: PLR0124


def reduced(name: str, total: str, value: str, dtype: str) -> str:
    """The next value of a reduction's accumulator."""
    if name in ("max", "min"):
        sign = ">" if name == "max" else "<"
        return f"{total} if ({total} {sign}= {value}) | ({total} != {total}) else {value}"
    sum_ = name != "prod"
    if dtype in FLOATS:
        return f"{'plus' if sum_ else 'times'}({total}, {value})"
    return f"{dtype}({total} {'+' if sum_ else '*'} {value})"


def start(name: str, dtype: str) -> str:
    """What a reduction's accumulator starts with."""
    if name in ("max", "min"):
        if dtype in FLOATS:
            return f"{dtype}(np.inf)" if name == "min" else f"{dtype}(-np.inf)"
        info = np.iinfo(dtype)
        return f"{dtype}({info.min if name == 'max' else info.max})"
    return f"{dtype}({1 if name == 'prod' else 0})"
