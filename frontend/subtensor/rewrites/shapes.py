"""What is known about shapes before anything runs, and which tensors are zeros with increments.

Every answer of True is a proof; False means only that none was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from subtensor.graph.constants import constant
from subtensor.graph.lengths import Root, root
from subtensor.graph.nodes import OPS, Constant, Variable, constant_node
from subtensor.ops.elementwise import broadcast_length
from subtensor.ops.shape import length
from subtensor.ops.subtensor import get_op, inc_op

# --- shapes


def is_elementwise(node: Variable) -> bool:
    """Whether a node is an elementwise op of operands that broadcast, ``where`` included."""
    return node.op is not None and node.op.dims is broadcast_length


_ITSELF: Any = object()
"""Stands for the root that is the very axis: a memo that held it would keep its node alive."""

_roots: WeakKeyDictionary[Variable, dict[int, Any]] = WeakKeyDictionary()
"""By node and axis, what ``root_of`` has found."""


def root_of(x: Variable, axis: int) -> Root:
    """What decides a length, as ``graph.lengths.root``, and also where several operands decide it in the same way."""
    stack = [(x, axis)]
    while stack:
        place = node, at = stack[-1]
        if at in _roots.get(node, ()):
            stack.pop()
            continue
        found = root(node, at)
        if isinstance(found, tuple):
            places = deciding(*found)
            if len(places) > 1:
                missing = [p for p in places if p[1] not in _roots.get(p[0], ())]
                if missing:
                    stack += missing
                    continue
                first, *others = (_noted(*p) for p in places)
                if all(other == first for other in others):
                    found = first
        _roots.setdefault(node, {})[at] = _ITSELF if found == place else found
        stack.pop()
    return _noted(x, axis)


def _noted(x: Variable, axis: int) -> Root:
    found: Root = _roots[x][axis]
    return (x, axis) if found is _ITSELF else found


def length_of(x: Variable, axis: int) -> Variable:
    """The length of an axis, as ``ops.shape.length``, and also where several operands decide it in the same way."""
    found = root_of(x, axis)
    if isinstance(found, Variable):
        return found
    return constant(found) if isinstance(found, int) else length(*found)


_length_op = OPS["length"]


def deciding(x: Variable, axis: int) -> list[tuple[Variable, int]]:
    """The operands, with their axes, that may decide the length of an axis that is broadcast."""
    if is_elementwise(x):
        operands, at, ndim = x.inputs, axis, x.ndim
    elif x.op is get_op and x.params["index"].arrays:
        index, inputs = x.params["index"], x.inputs[1:]
        operands = tuple(inputs[slot] for _, slot in index.arrays)
        ndim = index.array_ndim([i.ndim for i in inputs])
        at = axis - index.array_axis
        if not 0 <= at < ndim:
            return []
    else:
        return []
    places = [(i, at - ndim + i.ndim) for i in dict.fromkeys(operands) if at - ndim + i.ndim >= 0]
    return [(i, a) for i, a in places if i.type.shape[a] != 1]


def same_length(x: Variable, i: int, y: Variable, j: int) -> bool:
    """Whether two axes surely have one length."""
    a, b = _certain(x, i), _certain(y, j)
    if a is not None and b is not None:
        return a == b
    return a is None and b is None and (root(x, i) == root(y, j) or root_of(x, i) == root_of(y, j))


def _certain(x: Variable, axis: int) -> int | None:
    """The static length of an axis. That of a broadcast to a length that is not known says only: if it succeeds."""
    if x.op is not None and x.op.name == "broadcast_to" and not isinstance(x.inputs[1 + axis], Constant):
        return None
    return x.type.shape[axis]


def same_shape(x: Variable, y: Variable) -> bool:
    """Whether two nodes surely have one shape."""
    return x is y or (x.ndim == y.ndim and all(same_length(x, i, y, i) for i in range(x.ndim)))


def has_lengths(x: Variable, dims: Sequence[Variable]) -> bool:
    """Whether `dims` surely are the lengths of x. What x.type says of a result counts only where the result exists."""

    def same(n: int | None, axis: int, d: Variable) -> bool:
        if isinstance(d, Constant):
            return n == d.data
        if n is not None:
            return False
        asked = length_of(d.inputs[0], d.params["axis"]) if d.op is _length_op else d
        return asked is length(x, axis) or asked is length_of(x, axis)

    pairs = zip(x.type.shape, dims, strict=False)
    return len(dims) == x.ndim and all(same(n, axis, d) for axis, (n, d) in enumerate(pairs))


def fits_within(s: Variable, x: Variable) -> bool:
    """Whether s surely broadcasts to x's shape without stretching x."""
    lead = x.ndim - s.ndim
    return lead >= 0 and all(d == 1 or same_length(s, i, x, lead + i) for i, d in enumerate(s.type.shape))


def is_single(x: Variable) -> bool:
    """Whether every axis is known to have length 1 (or there is none)."""
    return all(d == 1 for d in x.type.shape)


def uniform(x: Variable) -> Constant | None:
    """The scalar constant whose copies x consists of, if it is known to."""
    if x.op is not None and x.op.name == "broadcast_to":
        x = x.inputs[0]
    if isinstance(x, Constant) and x.data.size and (x.ndim == 0 or (x.data == x.data.flat[0]).all()):
        return x if x.ndim == 0 else constant_node(x.data.reshape(-1)[0].reshape(()))
    return None


# --- zeros, and zeros with increments

_increments: WeakKeyDictionary[Variable, bool] = WeakKeyDictionary()


def is_zeros(x: Variable) -> bool:
    """Whether x consists of zeros."""
    if x.op is not None and x.op.name == "broadcast_to":
        x = x.inputs[0]
    return isinstance(x, Constant) and not x.data.any()


def is_increments(x: Variable) -> bool:
    """Whether x is zeros with at least one increment: ``inc(inc(0, y, i), z, j)``, what gradients of reads are."""
    path = []
    node = x
    while node.op is inc_op and node not in _increments:
        path.append(node)
        node = node.inputs[0]
    result = _increments[node] if node.op is inc_op else is_zeros(node)
    for n in path:
        _increments[n] = result
    return result if x.op is inc_op else False


def increments(x: Variable) -> tuple[Variable, list[Variable]]:
    """The base and the increments of such a node, first one first."""
    chain = []
    while x.op is inc_op:
        chain.append(x)
        x = x.inputs[0]
    return x, chain[::-1]
