"""Reads and writes that meet.

A rule that leaves out a write or a read leaves out its checks too, so it asks that the index surely is in range, or
that the same check is made elsewhere in what it puts in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from subtensor.graph.indexing import FULL, At, Index, Part, Ref, Slice
from subtensor.graph.nodes import OPS, Constant, Variable, call, constant_node
from subtensor.ops.shape import broadcast_to_dims, length, lengths
from subtensor.ops.subtensor import get_op, inc_op, is_write, set_op
from subtensor.rewrites.axes import layout, renumbered, slice_of, taken_by, wide_index
from subtensor.rewrites.conversions import SUBSETS, distinct_write
from subtensor.rewrites.engine import rule
from subtensor.rewrites.facts import (
    cannot_fail,
    constant_value,
    disjoint,
    in_range,
    index_inputs,
    never_fails,
    places,
    same_index,
)
from subtensor.rewrites.progressions import progression
from subtensor.rewrites.shapes import fits_within, increments, is_increments, is_single, same_shape
from subtensor.rewrites.uses import Uses

# --- a read of a write


@rule("read_of_set", "set(x, y, i)[i] = broadcast_to(y)", ["subtensor"], tags=SUBSETS,
      when="i is in range and selects nothing twice, or y is one number; x cannot fail")  # fmt: skip
def _read_of_set(node: Variable) -> Variable | None:
    w, *inputs = node.inputs
    if w.op is not set_op or not same_index(w, node):
        return None
    x, y = w.inputs[:2]
    if not (distinct_write(w) or is_single(y)) or not cannot_fail(x):
        return None
    if not never_fails(node.params["index"], x, inputs):
        return None
    read = get_op(x, *inputs, index=node.params["index"])
    return broadcast_to_dims(y, lengths(read)) if fits_within(y, read) else None


@rule("read_of_inc", "inc(x, y, i)[i] = x[i] + y", ["subtensor"], tags=SUBSETS,
      when="i selects nothing twice, and y does not stretch x[i]")  # fmt: skip
def _read_of_inc(node: Variable) -> Variable | None:
    w, *inputs = node.inputs
    if w.op is not inc_op or not same_index(w, node) or not distinct_write(w):
        return None
    x, y = w.inputs[:2]
    read = get_op(x, *inputs, index=node.params["index"])
    return OPS["add"](read, y) if fits_within(y, read) else None


@rule("read_beside_write", "set(x, y, i)[j] = x[j]", ["subtensor"], tags=SUBSETS,
      when="i and j have no element in common, i is in range, and y cannot fail and fits; also inc")  # fmt: skip
def _read_beside_write(node: Variable) -> Variable | None:
    w, *inputs = node.inputs
    if not is_write(w):
        return None
    x, y = w.inputs[:2]
    if not disjoint(w, node, x) or not cannot_fail(y) or not never_fails(w.params["index"], x, index_inputs(w)):
        return None
    if not fits_within(y, get_op(x, *index_inputs(w), index=w.params["index"])):
        return None
    return get_op(x, *inputs, index=node.params["index"])


@rule("read_across_write", "set(x, y, i)[j] = set(x[j], y[k], l)", ["subtensor"], tags=SUBSETS, counted=True,
      when="i and j are known positions along one axis, which meet; i is in range, y fits, and the write is used only "
           "here; also inc")  # fmt: skip
def _read_across_write(node: Variable, uses: Uses) -> Variable | None:
    w, *inputs = node.inputs
    if not is_write(w) or uses(w) != 1 or same_index(w, node):
        return None
    x, y, *written = w.inputs
    index = w.params["index"]
    axis = _only_axis(index)
    n = None if axis is None else x.type.shape[axis]
    if axis is None or n is None or _only_axis(node.params["index"]) != axis:
        return None
    if any(i.ndim != 1 for i in (*written, *inputs)):
        return None
    if not never_fails(index, x, written) or not never_fails(node.params["index"], x, inputs):
        return None
    if not fits_within(y, get_op(x, *written, index=index)):
        return None
    writes, reads = (places(i.parts[axis], v, n) for i, v in ((index, written), (node.params["index"], inputs)))
    if writes is None or reads is None:
        return None
    at: dict[int, list[int]] = {}
    for k, place in enumerate(writes.tolist()):
        at[place] = [*at.get(place, []), k] if w.op is inc_op else [k]
    met = [(k, l) for l, place in enumerate(reads.tolist()) for k in at.get(place, ())]
    if not met:
        return None
    ks, ls = (constant_node(np.asarray(side, np.int64)) for side in zip(*met, strict=True))
    own = axis - (x.ndim - y.ndim)  # the axis of y along which it has a value for each position
    if own >= 0 and y.type.shape[own] != 1:
        y = get_op(y, ks, index=Index(tuple(At(0) if a == own else FULL for a in range(y.ndim))))
    read = get_op(x, *inputs, index=node.params["index"])
    assert w.op is not None
    return w.op(read, y, ls, index=Index(tuple(At(0) if a == axis else FULL for a in range(x.ndim))))


def _only_axis(index: Index) -> int | None:
    """The only axis that an index does not take whole."""
    axes = [axis for axis, p in enumerate(index.parts) if p != FULL]
    return axes[0] if len(axes) == 1 else None


# --- a write of a write


@rule("set_over_write", "set(set(x, y, i), z, i) = set(x, z, i)", ["set_subtensor"], tags=SUBSETS,
      when="y cannot fail and fits; also set over inc")  # fmt: skip
def _set_over_write(node: Variable) -> Variable | None:
    inner, z, *inputs = node.inputs
    if not is_write(inner) or not same_index(inner, node):
        return None
    x, y = inner.inputs[:2]
    if not cannot_fail(y) or not fits_within(y, get_op(x, *inputs, index=node.params["index"])):
        return None
    return set_op(x, z, *inputs, index=node.params["index"])


@rule("inc_over_inc", "inc(inc(x, y, i), z, i) = inc(x, y + z, i)", ["inc_subtensor"], keeps="rounding", tags=SUBSETS,
      when="one of y and z surely fits within the other")  # fmt: skip
def _inc_over_inc(node: Variable) -> Variable | None:
    inner, z, *inputs = node.inputs
    if inner.op is not inc_op or not same_index(inner, node) or node.dtype == "bool":
        return None
    x, y = inner.inputs[:2]
    if not (fits_within(z, y) or fits_within(y, z)):
        return None
    return inc_op(x, OPS["add"](y, z), *inputs, index=node.params["index"])


@rule("inc_over_set", "inc(set(x, y, i), z, i) = set(x, y + z, i)", ["inc_subtensor"], tags=SUBSETS,
      when="i selects nothing twice, and z surely fits within y")  # fmt: skip
def _inc_over_set(node: Variable) -> Variable | None:
    inner, z, *inputs = node.inputs
    if inner.op is not set_op or not same_index(inner, node) or not distinct_write(node) or node.dtype == "bool":
        return None
    x, y = inner.inputs[:2]
    read = get_op(x, *inputs, index=node.params["index"])
    if not fits_within(z, y) or not fits_within(y, read):
        return None
    return set_op(x, OPS["add"](y, z), *inputs, index=node.params["index"])


# --- a read of a read


@rule("read_of_read", "x[i][j] = x[i∘j]", ["subtensor"], tags=SUBSETS,
      when="i is slices with known bounds, or whole along the axes of j, and j surely is in range; "
           "or i is slices of step 1 with symbolic bounds, and j positions, checked against them")  # fmt: skip
def _read_of_read(node: Variable) -> Variable | None:
    inner, *outer_inputs = node.inputs
    if inner.op is not get_op:
        return None
    found = _composition(inner, node.params["index"], outer_inputs, by_position=bool(_symbolic(inner)))
    return None if found is None else get_op(inner.inputs[0], *found[1], index=found[0])


def _symbolic(read: Variable) -> bool:
    return any(isinstance(p, Slice) and p.refs for p in read.params["index"].parts)


@rule("inc_of_increments", "inc(x, inc(0, y, j), i) = inc(x, y, i∘j)", ["inc_subtensor"], keeps="rounding",
      tags=("rows",), priced=True,
      when="as for x[i][j], also where j may be out of range: its positions are checked")  # fmt: skip
def _inc_of_increments(node: Variable) -> Variable | None:
    x, z, *inputs = node.inputs
    if not is_increments(z):
        return None
    read = get_op(x, *inputs, index=node.params["index"])
    if not same_shape(z, read):
        return None
    for w in increments(z)[1]:
        found = _composition(read, w.params["index"], index_inputs(w), by_position=True)
        if found is None:
            return None
        x = inc_op(x, w.inputs[1], *found[1], index=found[0])
    return x


@rule("write_back", "set(x, inc(x[i], y, j), i) = inc(x, y, i∘j)", ["set_subtensor"], tags=SUBSETS,
      when="as for inc(x, inc(0, y, j), i), and i selects nothing twice; also with set for inc")  # fmt: skip
def _write_back(node: Variable) -> Variable | None:
    x, new, *_ = node.inputs
    writes: list[Variable] = []
    read = new
    while is_write(read):
        writes.append(read)
        read = read.inputs[0]
    if not writes or read.op is not get_op or read.inputs[0] is not x or not same_index(read, node):
        return None
    if not distinct_write(node):
        return None
    for w in reversed(writes):
        found = _composition(read, w.params["index"], index_inputs(w), by_position=True)
        if found is None:
            return None
        op = inc_op if w.op is inc_op else set_op
        x = op(x, w.inputs[1], *found[1], index=found[0])
    return x


def _composition(
    inner: Variable, second: Index, outer_inputs: Sequence[Variable], by_position: bool
) -> tuple[Index, list[Variable]] | None:
    """The index, with its inputs, that selects from x what `second` selects from `inner`, which is ``x[i]``.

    by_position: whether positions within a slice may be turned into positions of x, at the cost of computing them.
    """
    first = inner.params["index"]
    x, *inner_inputs = inner.inputs
    inputs: list[Variable] = [*inner_inputs, *outer_inputs]
    shift = len(inner_inputs)
    outer = [_shifted_part(p, shift) for p in second.parts]
    if first.arrays:
        if not second.is_basic:
            return None
        have = layout(first, inner_inputs)
        by_axis = dict(zip(have, outer, strict=True))
        if any(not p.is_full for (kind, _), p in by_axis.items() if kind == "b" and isinstance(p, Slice)):
            return None
        outer = [by_axis.get(("s", axis), FULL) for axis in range(x.ndim)]
    parts: list[Part] = []
    for axis, (p, q) in enumerate(zip(first.parts, outer, strict=True)):
        composed = p if isinstance(p, At) else _composed(p, q, x.type.shape[axis], inputs)
        if composed is None and by_position and isinstance(p, Slice) and isinstance(q, At):
            composed = _moved(p, q, length(x, axis), inputs)
        if composed is None:
            return None
        parts.append(composed)
    return renumbered(parts, inputs)


def _moved(p: Slice, q: At, n: Variable, inputs: list[Variable]) -> At | None:
    """Positions within a slice of step 1 of an axis of length n, as positions of the axis; n where out of range."""
    positions = wide_index(inputs[q.slot])
    if p.step not in (None, 1) or positions is None:
        return None
    ends: list[Variable] = []
    for bound, default in ((p.start, constant_node(np.asarray(0, np.int64))), (p.stop, n)):
        end = default if bound is None else inputs[bound.slot] if isinstance(bound, Ref) else bound
        if not isinstance(end, Variable):
            end = constant_node(np.asarray(end, np.int64))
        wide = wide_index(end)
        if wide is None:
            return None
        ends.append(wide if bound is None else _clamped(wide, n))
    start, stop = ends
    size = call("maximum", stop - start, 0)
    inside = call("where", positions < 0, positions + size, positions)
    within = (inside >= 0) & (inside < size)
    inputs.append(call("where", within, inside + start, n))
    return At(len(inputs) - 1)


def _clamped(bound: Variable, n: Variable) -> Variable:
    """Where a bound of a slice stands along an axis of length n."""
    if isinstance(bound, Constant):
        return call("maximum", n + bound, 0) if bound.data < 0 else call("minimum", bound, n)
    return call("where", bound < 0, call("maximum", bound + n, 0), call("minimum", bound, n))


def _shifted_part(p: Part, shift: int) -> Part:
    if isinstance(p, At):
        return At(p.slot + shift)
    bounds = {name: Ref(b.slot + shift) for name in ("start", "stop", "step") if isinstance(b := getattr(p, name), Ref)}
    return replace(p, **bounds)


def _composed(p: Slice, q: Part, n: int | None, inputs: list[Variable]) -> Part | None:
    """What ``[p][q]`` selects along an axis of length n, where that is one part; appends to `inputs` for positions."""
    if p.is_full:
        return q
    if isinstance(q, Slice) and q.is_full:
        return p
    if n is None or p.refs or (isinstance(q, Slice) and q.refs):
        return None
    taken = taken_by(p, range(n))
    if isinstance(q, Slice):
        return slice_of(taken_by(q, taken))
    value = constant_value(inputs[q.slot])
    if value is None or not value.size or int(value.min()) < -len(taken) or int(value.max()) >= len(taken):
        return None
    inputs.append(constant_node(np.asarray(np.asarray(taken, np.int64)[value], np.int64)))
    return At(len(inputs) - 1)


# --- positions that are a slice


@rule("range_is_slice", "x[arange(a, b) * c + d] = x[a * c + d : b * c + d : c]",
      ["subtensor", "set_subtensor", "inc_subtensor"], tags=SUBSETS,
      when="the only index array; bounds are known and in range, or the whole axis")  # fmt: skip
def _range_is_slice(node: Variable) -> Variable | None:
    assert node.op is not None
    index: Index = node.params["index"]
    if len(index.arrays) != 1:
        return None
    axis, slot = index.arrays[0]
    inputs = index_inputs(node)
    x, ids = node.inputs[0], inputs[slot]
    if ids.ndim != 1:
        return None
    part = _as_slice(ids, x, axis)
    if part is None:
        return None
    parts = [*index.parts]
    parts[axis] = part
    new, used = renumbered(parts, inputs)
    tensors = node.inputs[: len(node.inputs) - len(inputs)]
    return node.op(*tensors, *used, index=new)


def _as_slice(ids: Variable, x: Variable, axis: int) -> Slice | None:
    n = x.type.shape[axis]
    if ids.op is not None and ids.op.name == "arange":
        start, stop, step = ids.inputs
        if not in_range(ids, x, axis):
            return None
        if start.known is not None and step.known is not None and stop.known is not None:
            return slice_of(range(int(start.known), int(stop.known), int(step.known)))
        whole = start.known is not None and start.known == 0 and step.known is not None and step.known == 1
        return FULL if whole and n is None and in_range(ids, x, axis) else None
    count = ids.type.shape[0]
    steps = None if isinstance(ids, Constant) or n is None or not count else progression(ids, n)
    if steps is not None and count is not None and n is not None:
        first, by = steps
        taken = range(first, first + by * count, by)
        return slice_of(taken) if taken[-1] < n else None
    if not isinstance(ids, Constant) or n is None or not 1 < ids.data.size <= n or not in_range(ids, x, axis):
        return None
    values = np.where(ids.data < 0, ids.data.astype(np.int64) + n, ids.data)
    first, by = int(values[0]), int(values[1]) - int(values[0])
    if by == 0 or not (np.diff(values.astype(np.int64)) == by).all():
        return None
    return slice_of(range(first, int(values[-1]) + (1 if by > 0 else -1), by))
