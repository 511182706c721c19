"""set ↔ inc: a write of what was read there and something more is an increment, where nothing is selected twice."""

from __future__ import annotations

import numpy as np

from subtensor.graph.nodes import OPS, Variable
from subtensor.graph.types import can_cast, is_float
from subtensor.ops.shape import broadcast_to_dims, lengths
from subtensor.ops.subtensor import get_op, inc_op
from subtensor.rewrites.engine import rule
from subtensor.rewrites.facts import (
    cannot_fail,
    distinct_positions,
    index_inputs,
    never_fails,
    never_minus_zero,
    same_index,
)
from subtensor.rewrites.shapes import fits_within, is_zeros, same_length, uniform

SUBSETS = ("subsets",)
_add, _subtract, _neg = OPS["add"], OPS["subtract"], OPS["neg"]


def reads_same(read: Variable, write: Variable) -> bool:
    """Whether `read` is what stands where `write` writes: ``x[i]`` for ``set(x, y, i)``."""
    return read.op is get_op and read.inputs[0] is write.inputs[0] and same_index(read, write)


def distinct_write(write: Variable) -> bool:
    """Whether a write surely selects no element twice."""
    return distinct_positions(write.params["index"], write.inputs[0], index_inputs(write))


_MOST_TERMS = 64


def _terms(y: Variable) -> list[tuple[bool, Variable]] | None:
    """The addends of a sum, in order: (whether it is subtracted, the addend)."""
    found: list[tuple[bool, Variable]] = []
    stack = [(False, y)]
    while stack:
        minus, node = stack.pop()
        name = node.op.name if node.op is not None else ""
        if name in ("add", "subtract"):
            a, b = node.inputs
            stack += [(minus ^ (name == "subtract"), b), (minus, a)]
        elif name == "neg":
            stack.append((not minus, node.inputs[0]))
        else:
            found.append((minus, node))
        if len(found) + len(stack) > _MOST_TERMS:
            return None
    return found


@rule("set_to_inc", "set(x, x[i] + y, i) = inc(x, y, i)", ["set_subtensor"], tags=SUBSETS,
      when="i selects nothing twice; y does not stretch x[i]; also x[i] - y")  # fmt: skip
def _set_to_inc(node: Variable) -> Variable | None:
    y = node.inputs[1]
    if y.op not in (_add, _subtract) or not distinct_write(node):
        return None
    a, b = y.inputs
    for read, rest in ((a, b),) if y.op is _subtract else ((a, b), (b, a)):
        if reads_same(read, node) and fits_within(rest, read):
            return _incremented(node, _neg(rest) if y.op is _subtract else rest)
    return None


@rule("set_sum_to_inc", "set(x, x[i] + a + b - c, i) = inc(x, a + b - c, i)", ["set_subtensor"], keeps="rounding",
      tags=SUBSETS, when="i selects nothing twice; x[i] is an addend once; every other one fits within it")  # fmt: skip
def _set_sum_to_inc(node: Variable) -> Variable | None:
    y = node.inputs[1]
    if y.op not in (_add, _subtract, _neg) or not distinct_write(node):
        return None
    terms = _terms(y)
    if terms is None:
        return None
    reads = [(minus, t) for minus, t in terms if reads_same(t, node)]
    if len(reads) != 1 or reads[0][0]:
        return None
    rest = [(minus, t) for minus, t in terms if t is not reads[0][1]]
    if not rest or not all(fits_within(t, reads[0][1]) for _, t in rest):
        return None
    rest.sort(key=lambda r: r[0])  # one that is added first, if there is one
    minus, total = rest[0]
    total = _neg(total) if minus else total
    for minus, t in rest[1:]:
        total = _subtract(total, t) if minus else _add(total, t)
    return _incremented(node, total)


def _incremented(node: Variable, y: Variable) -> Variable:
    return inc_op(node.inputs[0], y, *node.inputs[2:], index=node.params["index"])


@rule("set_cast_sum_to_inc", "set(x, cast(cast(x[i]) + y), i) = inc(x, cast(y), i)", ["set_subtensor"],
      keeps="rounding", tags=SUBSETS,
      when="from a float to a wider one; i selects nothing twice; y fits within x[i]; also x[i] - y")  # fmt: skip
def _set_cast_sum_to_inc(node: Variable) -> Variable | None:
    y = node.inputs[1]
    if y.op is not OPS["cast"] or y.inputs[0].op not in (_add, _subtract) or not is_float(y.inputs[0].dtype):
        return None
    total = y.inputs[0]
    if not can_cast(node.dtype, total.dtype, "safe"):
        return None  # the sum as written loses more
    a, b = total.inputs
    for cast, rest in [(a, b)] if total.op is _subtract else [(a, b), (b, a)]:
        if cast.op is not OPS["cast"] or not is_float(node.dtype) or not reads_same(cast.inputs[0], node):
            continue
        if fits_within(rest, cast) and distinct_write(node):
            value = OPS["cast"](rest, dtype=node.dtype)
            return _incremented(node, _neg(value) if total.op is _subtract else value)
    return None


@rule("set_zeros_to_inc", "set(0, y, i) = inc(0, y, i)", ["set_subtensor"], keeps="rounding", tags=SUBSETS,
      when="i selects nothing twice")  # fmt: skip
def _set_zeros_to_inc(node: Variable) -> Variable | None:
    if not is_zeros(node.inputs[0]) or node.dtype == "bool" or not distinct_write(node):
        return None
    return _incremented(node, node.inputs[1])


@rule("set_back", "set(x, x[i], i) = x", ["set_subtensor"], tags=SUBSETS, when="i surely is in range")
def _set_back(node: Variable) -> Variable | None:
    x, y, *inputs = node.inputs
    return x if reads_same(y, node) and never_fails(node.params["index"], x, inputs) else None


@rule("inc_nothing", "inc(x, 0, i) = x", ["inc_subtensor"], tags=SUBSETS,
      when="i surely is in range, the zeros surely fit, and are -0.0, or x surely has none")  # fmt: skip
def _inc_nothing(node: Variable) -> Variable | None:
    x, y, *inputs = node.inputs
    zero = uniform(y)
    if zero is None or zero.data or not never_fails(node.params["index"], x, inputs) or not cannot_fail(y):
        return None
    if not (never_minus_zero(x) or np.signbit(zero.data)):
        return None
    return x if fits_within(y, get_op(x, *inputs, index=node.params["index"])) else None


@rule("write_nothing", "set(x, y, i) = x", ["set_subtensor", "inc_subtensor"], tags=SUBSETS,
      when="i selects nothing, is in range, and y cannot fail and fits")  # fmt: skip
def _write_nothing(node: Variable) -> Variable | None:
    x, y, *inputs = node.inputs
    read = get_op(x, *inputs, index=node.params["index"])
    empty = 0 in read.type.shape and fits_within(y, read) and cannot_fail(y)
    return x if empty and never_fails(node.params["index"], x, inputs) else None


def _is_full(node: Variable) -> bool:
    return all(not hasattr(p, "slot") and p.is_full for p in node.params["index"].parts)


@rule("set_all", "set(x, y, :) = broadcast_to(y)", ["set_subtensor"], tags=SUBSETS, when="x cannot fail")
def _set_all(node: Variable) -> Variable | None:
    x, y = node.inputs[:2]
    return broadcast_to_dims(y, lengths(x)) if _is_full(node) and cannot_fail(x) and _known_fit(y, x) else None


def _known_fit(y: Variable, x: Variable) -> bool:
    """Whether y surely broadcasts to x: an assignment and a broadcast then mean the same."""
    lead = x.ndim - y.ndim
    return lead >= 0 and all(d == 1 or same_length(y, i, x, lead + i) for i, d in enumerate(y.type.shape))


@rule(
    "inc_all",
    "inc(x, y, :) = x + y",
    ["inc_subtensor"],
    tags=SUBSETS,
    when="y surely does not stretch x, which is not zeros",
)
def _inc_all(node: Variable) -> Variable | None:
    x, y = node.inputs[:2]
    if not _is_full(node) or not fits_within(y, x) or x.dtype == "bool" or is_zeros(x):
        return None
    return _add(x, y)


@rule("inc_all_zeros", "inc(0, y, :) = broadcast_to(y)", ["inc_subtensor"], keeps="rounding", tags=SUBSETS,
      when="y surely does not stretch the zeros")  # fmt: skip
def _inc_all_zeros(node: Variable) -> Variable | None:
    x, y = node.inputs[:2]
    if not _is_full(node) or not is_zeros(x) or not fits_within(y, x):
        return None
    return broadcast_to_dims(y, lengths(x))
