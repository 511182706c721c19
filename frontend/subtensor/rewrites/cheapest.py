"""The cheapest forms, which no other rule looks for: made when nothing else fits any more."""

from __future__ import annotations

import numpy as np

from subtensor.graph.indexing import Index
from subtensor.graph.nodes import OPS, Array, Variable
from subtensor.ops.selection import range_diagonal
from subtensor.ops.shape import length
from subtensor.ops.subtensor import set_op
from subtensor.rewrites.conversions import SUBSETS, distinct_write
from subtensor.rewrites.engine import rule
from subtensor.rewrites.facts import constant_value, is_nonnegative
from subtensor.rewrites.shapes import is_zeros, same_length

_add, _multiply, _arange = OPS["add"], OPS["multiply"], OPS["arange"]


@rule("inc_zeros_to_set", "inc(0, y, i) = set(0, y, i)", ["inc_subtensor"], keeps="rounding", tags=SUBSETS,
      when="i selects nothing twice; tried last", last=True)  # fmt: skip
def _inc_zeros_to_set(node: Variable) -> Variable | None:
    zeros, *rest = node.inputs
    if not is_zeros(zeros) or node.dtype == "bool" or not distinct_write(node):
        return None
    return set_op(zeros, *rest, index=node.params["index"])


@rule("ranges_to_diagonal", "x[arange(n) * a + b, arange(n) * c + d] = diagonal(x[b::a, d::c])[:n]", ["subtensor"],
      tags=SUBSETS, when="a, b, c and d are known, not negative, a and c not 0; other axes are taken whole; tried last",
      last=True)  # fmt: skip
def _ranges_to_diagonal(node: Variable) -> Variable | None:
    index: Index = node.params["index"]
    if len(index.arrays) != 2 or not all(part.is_full for _, part in index.slices):
        return None
    x, *inputs = node.inputs
    (a, one), (b, two) = ((axis, inputs[slot]) for axis, slot in index.arrays)
    if one.ndim != 1 or two.ndim != 1 or not same_length(one, 0, two, 0):
        return None
    first, second = _steps(one, x.type.shape[a]), _steps(two, x.type.shape[b])
    if first is None or second is None:
        return None
    start, step = zip(first, second, strict=True)
    return range_diagonal(x, _count(one), axes=(a, b), start=start, step=step)


def _count(ids: Variable) -> Variable:
    """The length of a vector; of ``arange(n)`` it is n, so that nobody makes the range."""
    n = length(ids, 0)
    source = n.inputs[0] if n.op is OPS["length"] else ids
    if source.op is not _arange:
        return n
    start, stop, step = source.inputs
    return stop if start.known == 0 and step.known == 1 and is_nonnegative(stop) else n


def _steps(ids: Variable, n: int | None) -> tuple[int, int] | None:
    """(b, a) where a vector is ``arange(…) * a + b`` of positions along an axis of length n, counted from its start."""
    value = constant_value(ids)
    if value is not None and ids.dtype != "uint64":
        wide = value.astype(np.int64)
        return _progression(np.where(wide < 0, wide + (n or 0), wide))
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


def _progression(values: Array) -> tuple[int, int] | None:
    by = np.diff(values[:2])
    if not by.size or not (np.diff(values) == by[0]).all():
        return None
    return _proper(int(values[0]), int(by[0]))


_MOST = 2**31
"""Larger positions are left alone."""


def _proper(start: int, step: int) -> tuple[int, int] | None:
    return (start, step) if 0 <= start < _MOST and 0 < step < _MOST else None
