"""Reads lifted through what computes: what nobody reads is not computed, so ``(A @ B)[ids]`` costs len(ids) rows.

A rule keeps the check of every index, on an operand that has the same lengths, or its positions surely are in range.
"""

from __future__ import annotations

import numpy as np

from subtensor.graph.indexing import FULL, At, Index, Part, Slice
from subtensor.graph.nodes import OPS, Variable, call, constant_node
from subtensor.graph.shared import SharedVariable
from subtensor.ops.shape import broadcast_to_dims, lengths
from subtensor.ops.subtensor import get_op
from subtensor.ops.views import VIEWS
from subtensor.rewrites.axes import (
    Inputs,
    layout,
    read_broadcast,
    rearranged,
    renumbered,
    slice_of,
    taken_by,
    together,
    untransposed,
)
from subtensor.rewrites.canonicalize import ELEMENTWISE
from subtensor.rewrites.engine import rule
from subtensor.rewrites.facts import cannot_fail, constant_value, in_range, never_fails, selects_pairs
from subtensor.rewrites.shapes import fits_within, same_length, same_shape
from subtensor.rewrites.uses import Uses

LIFT = ("lift",)
MASKS = ("masks",)


def _selects_fewer(node: Variable) -> bool:
    """Whether a read surely or probably takes no more than there is along the axes that its arrays index."""
    index: Index = node.params["index"]
    total = 1
    for axis, _ in index.arrays:
        n = node.inputs[0].type.shape[axis]
        if n is None:
            return True
        total *= n
    block = [d for d, (kind, _) in zip(node.type.shape, layout(index, node.inputs[1:]), strict=True) if kind == "b"]
    if None in block:
        return total >= _LARGE
    wanted = 1
    for d in block:
        wanted *= d or 0
    return wanted <= total


_LARGE = 64
"""From this length on, an index of unknown length is taken to select fewer."""


def _worth_it(node: Variable, uses: Uses) -> bool:
    return uses(node.inputs[0]) == 1 and _selects_fewer(node)


@rule("read_elementwise", "f(x, y)[i] = f(x[i], y[i])", ["subtensor"], tags=LIFT, counted=True,
      when="f is elementwise, its operands surely stretch no other, and f(x, y) is used only here")  # fmt: skip
def _read_elementwise(node: Variable, uses: Uses) -> Variable | None:
    inner, *inputs = node.inputs
    if inner.op is None or (inner.op.name not in _LIFTED) or not _worth_it(node, uses):
        return None
    index = node.params["index"]
    if not all(fits_within(i, inner) for i in inner.inputs):
        return None
    if not any(_spans(i, index) for i in inner.inputs) and not _spanned_together(inner, index, inputs):
        return None
    reads = [read_broadcast(i, inner.ndim, index, inputs) for i in inner.inputs]
    result = inner.op(*reads, **inner.params)
    return result if result.ndim == node.ndim else None


_LIFTED = frozenset({*ELEMENTWISE, "cast"})


def _spans(i: Variable, index: Index) -> bool:
    """Whether an operand has an axis of its own wherever the index selects, so that the index is checked against it."""
    return i.ndim == len(index.parts) and all(
        d != 1 or (isinstance(p, Slice) and p.is_full) for d, p in zip(i.type.shape, index.parts, strict=True)
    )


def _spanned_together(inner: Variable, index: Index, inputs: Inputs) -> bool:
    """Whether arrays of one shape, in range, are all that indexes, and an operand has one of their axes."""
    arrays = [inputs[slot] for _, slot in index.arrays]
    if not arrays or not all(p.is_full for _, p in index.slices) or not never_fails(index, inner, inputs):
        return False
    own = [i.type.shape[a] for a, _ in index.arrays for i in inner.inputs if i.ndim == inner.ndim]
    return any(n != 1 for n in own) and all(same_shape(a, arrays[0]) for a in arrays)


@rule("read_broadcast", "broadcast_to(x, n)[i] = broadcast_to(x[i], n')", ["subtensor"], tags=LIFT,
      when="positions along stretched axes surely are in range")  # fmt: skip
def _read_broadcast(node: Variable) -> Variable | None:
    inner, *inputs = node.inputs
    if inner.op is None or inner.op.name != "broadcast_to":
        return None
    index: Index = node.params["index"]
    x = inner.inputs[0]
    if not fits_within(x, inner) or not cannot_fail(x):
        return None
    if not never_fails(index, inner, inputs) and not _own_axis(index, x, inner):
        return None
    if not all(isinstance(p, At) or p.is_full for p in index.parts) and None in node.type.shape:
        return None
    dims = lengths(node)
    if any(d.op is not None and d.op.name == "length" and d.inputs[0] is node for d in dims):
        return None
    return broadcast_to_dims(read_broadcast(x, inner.ndim, index, inputs), dims)


def _own_axis(index: Index, x: Variable, wide: Variable) -> bool:
    """Whether positions are along one axis only, and x has it as it is, so that they are checked against x."""
    if len(index.arrays) != 1 or any(isinstance(p, Slice) and p.refs for p in index.parts):
        return False
    axis = index.arrays[0][0]
    own = axis - (wide.ndim - x.ndim)
    return own >= 0 and x.type.shape[own] != 1 and same_length(x, own, wide, axis)


@rule("read_transposed", "transpose(x, A)[i] = transpose(x[i'], A')", ["subtensor"], tags=LIFT)
def _read_transposed(node: Variable) -> Variable | None:
    inner, *inputs = node.inputs
    if inner.op is None or inner.op.name != "transpose":
        return None
    index, axes = node.params["index"], inner.params["axes"]
    if all(isinstance(p, Slice) and p.is_full for p in index.parts):
        return None
    new, used, have = untransposed(index, inputs, axes)
    return rearranged(get_op(inner.inputs[0], *used, index=new), have, layout(index, inputs))


@rule("read_product", "(a @ b)[i, j] = a[i] @ b[:, j]", ["subtensor"], keeps="rounding", tags=LIFT, counted=True,
      when="matrices; a @ b is used only here, and fewer rows or columns are read than there are")  # fmt: skip
def _read_product(node: Variable, uses: Uses) -> Variable | None:
    inner, *inputs = node.inputs
    if inner.op is None or inner.op.name != "matmul" or inner.ndim != 2 or not _worth_it(node, uses):
        return None
    rows, columns = node.params["index"].parts
    arrays = node.params["index"].arrays
    if len(arrays) > 1 or any(inputs[slot].ndim > 1 for _, slot in arrays):
        return None
    a, b = inner.inputs
    result_axes = [axis for axis, p in enumerate((rows, columns)) if isinstance(p, At) and inputs[p.slot].ndim == 0]
    if not (isinstance(rows, Slice) and rows.is_full):
        a = _read_rows(a, rows, inputs, 0)
    if not (isinstance(columns, Slice) and columns.is_full):
        b = _read_rows(b, columns, inputs, 1)
    product = OPS["matmul"](a, b)
    return call("squeeze", product, tuple(result_axes)) if result_axes else product


@rule("read_pairs_of_product", "(a @ b)[..., i, j] = sum(a[..., i, :] * b[..., j].T, -1)", ["subtensor"],
      keeps="rounding", tags=LIFT, counted=True,
      when="matrices, or batches of them, of numbers that surely fit; i and j are arrays, of no grid; a @ b is used "
      "only here, and no more elements are read than there are")  # fmt: skip
def _read_pairs_of_product(node: Variable, uses: Uses) -> Variable | None:
    inner, *inputs = node.inputs
    if inner.op is not OPS["matmul"] or inner.ndim < 2 or inner.dtype == "bool" or not _worth_it(node, uses):
        return None
    *batch, rows, columns = node.params["index"].parts
    pair = Index((rows, columns))
    if any(p != FULL for p in batch) or not selects_pairs(pair, inputs) or not all(i.ndim for i in inputs):
        return None
    a, b = inner.inputs
    if min(a.ndim, b.ndim) < 2 or not same_length(a, a.ndim - 1, b, b.ndim - 2):
        return None
    if not all(same_length(a, a.ndim - k, b, b.ndim - k) for k in range(3, min(a.ndim, b.ndim) + 1)):
        return None
    i, j = together(pair, inputs)
    left, right = _rows_of(a, i), _rows_of(call("swapaxes", b, -1, -2), j)
    return OPS["sum"](left * right, axes=(node.ndim,))


def _rows_of(x: Variable, ids: Variable) -> Variable:
    """``x[..., ids, :]``."""
    return get_op(x, ids, index=Index((*[FULL] * (x.ndim - 2), At(0), FULL)))


def _read_rows(x: Variable, part: Part, inputs: Inputs, axis: int) -> Variable:
    """A matrix indexed along one axis; a scalar position leaves an axis of length 1."""
    parts: list[Part] = [FULL, FULL]
    parts[axis] = part
    index, used = renumbered(parts, inputs)
    read = get_op(x, *used, index=index)
    return call("expand_dims", read, axis) if read.ndim < x.ndim else read


@rule("read_reduced", "sum(x, A)[i] = sum(x[i'], A')", ["subtensor"], keeps="rounding", tags=LIFT, counted=True,
      when="sum(x, A) is used only here; also prod, max, min, softmax, log_softmax")  # fmt: skip
def _read_reduced(node: Variable, uses: Uses) -> Variable | None:
    inner, *inputs = node.inputs
    name = inner.op.name if inner.op is not None else ""
    if name not in ("sum", "prod", "max", "min", "softmax", "log_softmax") or not _worth_it(node, uses):
        return None
    assert inner.op is not None
    x, axes = inner.inputs[0], inner.params["axes"]
    index: Index = node.params["index"]
    if name.endswith("softmax"):
        if any(not (isinstance(p := index.parts[a], Slice) and p.is_full) for a in axes):
            return None
        parts = list(index.parts)
    else:
        rest = iter(index.parts)
        parts = [FULL if a in axes else next(rest) for a in range(x.ndim)]
    new, used = renumbered(parts, inputs)
    have = layout(new, used)
    read = get_op(x, *used, index=new)
    over = tuple(sorted(have.index(("s", a)) for a in axes))
    result = inner.op(read, axes=over)
    if name.endswith("softmax"):
        return result
    left = [label for label in have if label not in {("s", a) for a in axes}]
    kept = [a for a in range(x.ndim) if a not in axes]
    return rearranged(result, left, layout(index, inputs, kept))


@rule("read_expanded", "expand_dims(x, A)[i] = expand_dims(x[i'], A')", ["subtensor"], tags=LIFT,
      when="the new axes are read whole, or at 0")  # fmt: skip
def _read_expanded(node: Variable) -> Variable | None:
    inner, *inputs = node.inputs
    if inner.op is None or inner.op.name != "expand_dims":
        return None
    index: Index = node.params["index"]
    axes = inner.params["axes"]
    if not all(_takes_one(index.parts[a], inputs) for a in axes):
        return None
    kept = [a for a in range(inner.ndim) if a not in axes]
    if not kept:
        return rearranged(inner.inputs[0], [], layout(index, inputs))
    new, used = renumbered([index.parts[a] for a in kept], inputs)
    return rearranged(get_op(inner.inputs[0], *used, index=new), layout(new, used, kept), layout(index, inputs))


def _takes_one(part: Part, inputs: Inputs) -> bool:
    """Whether a part selects the one element of an axis of length 1, whole or by its position."""
    if isinstance(part, Slice):
        return part.is_full
    value = constant_value(inputs[part.slot])
    return value is not None and value.ndim == 0 and int(value) in (0, -1)


@rule("read_squeezed", "squeeze(x, A)[i] = squeeze(x[i'], A')", ["subtensor"], tags=LIFT,
      when="the axes that are left out surely have length 1, and x is not computed")  # fmt: skip
def _read_squeezed(node: Variable) -> Variable | None:
    inner, *inputs = node.inputs
    if inner.op is None or inner.op.name != "squeeze":
        return None
    x, axes = inner.inputs[0], inner.params["axes"]
    if any(x.type.shape[a] != 1 for a in axes) or x.ndim == len(axes):
        return None
    if x.op is not None and x.op.name not in VIEWS:  # what carries increments to a sum by row looks for them above
        return None
    index: Index = node.params["index"]
    rest = iter(index.parts)
    new, used = renumbered([FULL if a in axes else next(rest) for a in range(x.ndim)], inputs)
    have = layout(new, used)
    gone = {("s", a) for a in axes}
    read = call("squeeze", get_op(x, *used, index=new), tuple(k for k, label in enumerate(have) if label in gone))
    kept = [a for a in range(x.ndim) if a not in axes]
    return rearranged(read, [label for label in have if label not in gone], layout(index, inputs, kept))


@rule("read_beside_join", "concatenate(x, y, A)[i] = concatenate(x[i], y[i], A')", ["subtensor"], tags=LIFT,
      counted=True, when="A is taken whole, the other axes surely fit; used only here")  # fmt: skip
def _read_beside_join(node: Variable, uses: Uses) -> Variable | None:
    inner, *inputs = node.inputs
    if inner.op is None or inner.op.name != "concatenate" or not _worth_it(node, uses):
        return None
    index: Index = node.params["index"]
    axis = inner.params["axis"]
    part = index.parts[axis]
    if not (isinstance(part, Slice) and part.is_full) or all(p == FULL for p in index.parts):
        return None
    first, *others = inner.inputs
    if not all(same_length(first, a, o, a) for o in others for a in range(inner.ndim) if a != axis):
        return None
    reads = [get_op(i, *inputs, index=index) for i in inner.inputs]
    return OPS["concatenate"](*reads, axis=layout(index, inputs).index(("s", axis)))


@rule("read_joined", "concatenate(x, y)[i] = x[i] or y[i - n]", ["subtensor"], tags=LIFT,
      when="along the joined axis, i is a slice or a position within one part; lengths are known")  # fmt: skip
def _read_joined(node: Variable) -> Variable | None:
    inner, *inputs = node.inputs
    if inner.op is None or inner.op.name != "concatenate" or None in inner.type.shape:
        return None
    if any(None in i.type.shape for i in inner.inputs):
        return None
    axis = inner.params["axis"]
    index: Index = node.params["index"]
    part = index.parts[axis]
    total = inner.type.shape[axis]
    assert total is not None
    if isinstance(part, Slice):
        if part.refs or part.is_full:
            return None
        wanted = taken_by(part, range(total))
    else:
        value = constant_value(inputs[part.slot])
        if value is None or value.ndim or not -total <= int(value) < total:
            return None
        wanted = range(int(value) % total, int(value) % total + 1)
    if not wanted:
        return None
    start = 0
    for i in inner.inputs:
        n = i.type.shape[axis]
        assert n is not None
        if start <= min(wanted) and max(wanted) < start + n:
            if not all(cannot_fail(o) for o in inner.inputs if o is not i):
                return None
            moved = range(wanted.start - start, wanted.stop - start, wanted.step)
            return _read_at(i, axis, moved, part, index, inputs)
        start += n
    return None


def _read_at(x: Variable, axis: int, moved: range, part: Part, index: Index, inputs: Inputs) -> Variable:
    given = list(inputs)
    parts = list(index.parts)
    if isinstance(part, At):
        given.append(constant_node(np.asarray(moved[0], np.int64)))
        parts[axis] = At(len(given) - 1)
    else:
        parts[axis] = slice_of(moved)
    new, used = renumbered(parts, given)
    return get_op(x, *used, index=new)


# --- masks


@rule("sum_of_masked", "sum(x[m]) = sum(where(m, x, 0))", ["sum"], keeps="rounding", tags=MASKS, counted=True,
      when="m is a mask along one axis that is summed over; x is computed, and x[m] is used only here")  # fmt: skip
def _sum_of_masked(node: Variable, uses: Uses) -> Variable | None:
    read = node.inputs[0]
    if read.op is not get_op or uses(read) != 1 or isinstance(read.inputs[0], SharedVariable):
        return None
    x, *inputs = read.inputs
    index: Index = read.params["index"]
    if len(inputs) != 1 or len(index.arrays) != 1 or inputs[0].op is None or inputs[0].op.name != "flatnonzero":
        return None
    axis = index.arrays[0][0]
    if axis not in node.params["axes"] or not all(p.is_full for _, p in index.slices):
        return None
    if not in_range(inputs[0], x, axis):
        return None
    mask = inputs[0].inputs[0]
    if x.ndim > 1:
        mask = call("expand_dims", mask, tuple(a for a in range(x.ndim) if a != axis))
    zero = constant_node(np.zeros((), x.dtype))
    return OPS["sum"](OPS["where"](mask, x, zero), axes=node.params["axes"])
