"""The cheapest forms, which no other rule looks for: made when nothing else fits any more."""

from __future__ import annotations

from subtensor.graph.indexing import FULL, Index, Slice
from subtensor.graph.nodes import OPS, Variable
from subtensor.ops.selection import range_diagonal
from subtensor.ops.shape import broadcast_dims_of, length, lengths
from subtensor.ops.subtensor import get_op, set_op
from subtensor.rewrites.conversions import SUBSETS, distinct_write
from subtensor.rewrites.engine import rule
from subtensor.rewrites.facts import is_nonnegative
from subtensor.rewrites.progressions import progression
from subtensor.rewrites.shapes import is_elementwise, is_zeros, same_length
from subtensor.rewrites.uses import Uses

_arange = OPS["arange"]


_FIRST = Slice(None, 1)


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
    first, second = progression(one, x.type.shape[a]), progression(two, x.type.shape[b])
    if first is None or second is None:
        return None
    start, step = zip(first, second, strict=True)
    return range_diagonal(x, _count(one), axes=(a, b), start=start, step=step)


@rule("length_of_broadcast", "length(f(x, y), A) = max(length(broadcast_to(x, N), A), length(broadcast_to(y, N), A))",
      ["length"], tags=("canonical",), counted=True, last=True,
      when="f is elementwise, needed only for its lengths; N are those of x and y, broadcast; tried last")  # fmt: skip
def _length_of_broadcast(node: Variable, uses: Uses) -> Variable | None:
    f, axis = node.inputs[0], node.params["axis"]
    if not is_elementwise(f) or not uses.only_for_lengths(f) or f.op is OPS["power"]:
        return None
    dims = broadcast_dims_of(*f.inputs)
    found: Variable | None = None
    for x in dict.fromkeys(f.inputs):  # each checks that it can be broadcast, and is only looked at
        n = OPS["length"](OPS["broadcast_to"](_looked_at(x), *dims), axis=axis)
        found = n if found is None else OPS["maximum"](found, n)
    return found


def _looked_at(x: Variable) -> Variable:
    """Something of the shape of x that fails where x does: of a read, one element along axes that are taken whole."""
    if x.op is not get_op or not x.params["index"].arrays:
        return x
    source, *inputs = x.inputs
    index: Index = x.params["index"]
    thin = [_FIRST if isinstance(p, Slice) and p.is_full else FULL for p in index.parts]
    if _FIRST not in thin:
        return x
    read = get_op(get_op(source, index=Index(tuple(thin))), *inputs, index=index)
    return OPS["broadcast_to"](read, *lengths(x))


@rule("length_of_product", "length(a @ b, A) = length(a[..., :1, :] @ b[..., :1], A)", ["length"], tags=("canonical",),
      counted=True, last=True,
      when="A is one of the leading axes; a @ b is needed only for its lengths; tried last")  # fmt: skip
def _length_of_product(node: Variable, uses: Uses) -> Variable | None:
    product, axis = node.inputs[0], node.params["axis"]
    if product.op is not OPS["matmul"] or axis >= product.ndim - 2 or not uses.only_for_lengths(product):
        return None
    a, b = product.inputs
    if a.op is get_op and a.params["index"].parts[-2] == _FIRST:
        return None
    row = get_op(a, index=Index((*[FULL] * (a.ndim - 2), _FIRST, FULL)))
    column = get_op(b, index=Index((*[FULL] * (b.ndim - 1), _FIRST)))
    return OPS["length"](OPS["matmul"](row, column), axis=axis)


def _count(ids: Variable) -> Variable:
    """The length of a vector; of ``arange(n)`` it is n, so that nobody makes the range."""
    n = length(ids, 0)
    source = n.inputs[0] if n.op is OPS["length"] else ids
    if source.op is not _arange:
        return n
    start, stop, step = source.inputs
    return stop if start.known == 0 and step.known == 1 and is_nonnegative(stop) else n
