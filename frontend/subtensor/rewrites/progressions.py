"""Positions that are an arithmetic progression, so that a slice selects them."""

from __future__ import annotations

import numpy as np

from subtensor.graph.nodes import OPS, Array, Variable
from subtensor.rewrites.facts import constant_value

_add, _multiply, _arange = OPS["add"], OPS["multiply"], OPS["arange"]


def progression(ids: Variable, n: int | None) -> tuple[int, int] | None:
    """(b, a) where a vector is ``arange(…) * a + b`` of positions along an axis of length n, counted from its start."""
    value = constant_value(ids)
    if value is not None and ids.dtype != "uint64":
        wide = value.astype(np.int64)
        return _from_values(np.where(wide < 0, wide + (n or 0), wide))
    if ids.dtype != "int64":  # narrower ones may wrap around
        return None
    start, step = 0, 1
    while ids.op in (_add, _multiply):
        number, rest = ids.inputs if ids.inputs[0].known is not None else ids.inputs[::-1]
        if number.known is None or number.ndim:
            return None
        start += step * int(number.known) if ids.op is _add else 0
        step *= int(number.known) if ids.op is _multiply else 1
        ids = rest
    if ids.op is not _arange:
        return None
    first, _, by = (i.known for i in ids.inputs)
    if first is None or by is None or by <= 0 or first < 0:
        return None
    return _proper(start + step * int(first), step * int(by))


def _from_values(values: Array) -> tuple[int, int] | None:
    by = np.diff(values[:2])
    if not by.size or not (np.diff(values) == by[0]).all():
        return None
    return _proper(int(values[0]), int(by[0]))


_MOST = 2**31
"""Larger positions are left alone."""


def _proper(start: int, step: int) -> tuple[int, int] | None:
    return (start, step) if 0 <= start < _MOST and 0 < step < _MOST else None
