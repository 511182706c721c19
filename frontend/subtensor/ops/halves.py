"""Increments of float16 and bfloat16: what falls on one element is added up in float32, and rounded once."""

from __future__ import annotations

from subtensor.graph.indexing import Index
from subtensor.graph.nodes import Variable
from subtensor.graph.types import HALVES
from subtensor.ops.distinct import Runs
from subtensor.ops.elementwise import cast
from subtensor.ops.shape import broadcast_to_dims, inverse_permutation, lengths, product, reshape, transpose
from subtensor.ops.subtensor import get_op, inc_op, places, selects_once, set_op


def is_narrow_increment(node: Variable) -> bool:
    """Whether a node adds to elements of 16 bits."""
    return node.op is inc_op and node.dtype in HALVES


def summed_first(node: Variable) -> Variable:
    """An increment as a write: each element gets what it held and all that falls on it, added in float32.

    Programs hold this in place of increments of float16 and bfloat16. Rounded one by one, as ``numpy.add.at`` does,
    4096 increments of 0.001 would make 4.0 of 0 in float16, and 0.5 in bfloat16.
    """
    x, y, *inputs = node.inputs
    index: Index = node.params["index"]
    old = cast(get_op(x, *inputs, index=index), "float32")
    added = cast(y, "float32")
    if not selects_once(inputs, index):
        added = _summed(x, broadcast_to_dims(added, lengths(old)), tuple(inputs), index)
    return set_op(x, cast(old + added, x.dtype), *inputs, index=index)


def _summed(x: Variable, y: Variable, inputs: tuple[Variable, ...], index: Index) -> Variable:
    """For each selected element, the sum of `y`, of the shape of what is selected, over all that fall on it."""
    keys, dims = places(x, inputs, index)
    at = index.array_axis
    block = range(at, at + len(dims))
    axes = [*block, *(a for a in range(y.ndim) if a not in block)]
    ahead = transpose(y, axes)
    rest = lengths(ahead)[len(dims) :]
    runs = Runs.of(keys)
    sums = runs.sums(reshape(ahead, [product(dims), *rest]))[runs.places]
    return transpose(reshape(sums, [*dims, *rest]), inverse_permutation(axes))
