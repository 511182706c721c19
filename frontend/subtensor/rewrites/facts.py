"""What is known about index expressions before anything runs, and what cannot fail.

Every answer of True is a proof; False means only that none was found.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from subtensor.graph.indexing import At, Index, Ref, Slice
from subtensor.graph.nodes import OPS, Array, Constant, Input, Variable
from subtensor.graph.shared import SharedVariable
from subtensor.graph.types import is_float, is_integer
from subtensor.ops.shape import length
from subtensor.ops.subtensor import flatnonzero_op, get_op
from subtensor.rewrites.promises import unique_promise
from subtensor.rewrites.shapes import fits_within, is_elementwise, is_single, same_length, same_shape

Inputs = Sequence[Variable]

_DEEPEST = 8
_nested = threading.local()


def _shallow(fact: Callable[..., bool]) -> Callable[..., bool]:
    """A fact that is looked for a few ops deep, so that no graph is too deep for it or takes long."""

    @wraps(fact)
    def limited(*args: Any) -> bool:
        depth = getattr(_nested, "depth", 0)
        if depth >= _DEEPEST:
            return False
        _nested.depth = depth + 1
        try:
            return fact(*args)
        finally:
            _nested.depth = depth

    return limited


# --- indices

_DISTINCT_MOST = 1 << 20
"""Larger constant indices are not looked at."""


def constant_value(x: Variable) -> Array | None:
    """The value of a constant that is not very large."""
    return x.data if isinstance(x, Constant) and x.data.size <= _DISTINCT_MOST else None


@_shallow
def is_nonnegative(x: Variable) -> bool:
    """Whether no element is negative."""
    value = constant_value(x)
    if value is not None:
        return not (value < 0).any()
    if x.dtype == "bool" or x.dtype.startswith("uint"):
        return True
    name = x.op.name if x.op is not None else ""
    if name in _PLACES:
        return True
    if name == "arange":
        return _counts_up(x)
    if name in _REARRANGING or name == "subtensor":
        return is_nonnegative(x.inputs[0])
    if name == "mod":
        divisor = constant_value(x.inputs[1])
        return divisor is not None and bool((divisor > 0).all())
    if name in ("floor_divide", "minimum", "concatenate", "stack"):  # sums and products may wrap around
        return all(map(is_nonnegative, x.inputs))
    return name == "maximum" and any(map(is_nonnegative, x.inputs))


_PLACES = frozenset(
    {"length", "flatnonzero", "argsort", "argmax", "argmin", "searchsorted", "row_numbers", "run_starts"}
)


@_shallow
def never_minus_zero(x: Variable) -> bool:
    """Whether no element is the zero with a minus sign, to which adding 0 would make a difference."""
    if not is_float(x.dtype):
        return True
    value = constant_value(x)
    if value is not None:
        return not (np.signbit(value) & (value == 0)).any()
    if x.op is None:
        return False
    name = x.op.name
    if name in ("exp", "abs", "sigmoid", "softplus", "softmax"):
        return True
    if name == "cast":  # a narrower float may round a negative number to it
        source = x.inputs[0].dtype
        return not is_float(source) or (np.can_cast(source, x.dtype, "safe") and never_minus_zero(x.inputs[0]))
    if name == "multiply":
        return x.inputs[0] is x.inputs[1]
    if name == "add":
        return any(map(never_minus_zero, x.inputs))
    if name == "where":
        return all(map(never_minus_zero, x.inputs[1:]))
    if name == "set_subtensor":
        return all(map(never_minus_zero, x.inputs[:2]))
    return name in (*_REARRANGING, "subtensor", "inc_subtensor") and never_minus_zero(x.inputs[0])


_REARRANGING = ("reshape", "transpose", "expand_dims", "squeeze", "broadcast_to", "assume_unique", "fixed_shape")
"""Ops whose elements are those of their first input."""


def _counts_up(x: Variable) -> bool:
    """Whether x is an ascending range from a non-negative start."""
    start, _, step = (constant_value(i) for i in x.inputs)
    return start is not None and step is not None and bool(start >= 0) and bool(step > 0)


def _is_arange(x: Variable) -> bool:
    return x.op is not None and x.op.name == "arange"


@_shallow
def distinct(x: Variable, n: int | None = None) -> bool:
    """Whether the elements surely select distinct positions of an axis, of length n where that is known."""
    while x.op is not None and x.op.name in ("reshape", "transpose", "expand_dims", "squeeze", "fixed_shape"):
        x = x.inputs[0]
    if is_single(x):
        return True
    value = constant_value(x)
    if value is not None:
        if n is not None:
            value = np.where(value < 0, value + n, value)
        one_kind = n is not None or not ((value < 0).any() and (value >= 0).any())
        return one_kind and len(np.unique(value)) == value.size
    if x.op is None:
        return False
    if x.op in (unique_promise, flatnonzero_op):
        return True
    name = x.op.name
    if name == "arange":
        return _counts_up(x)
    if name == "argsort":
        return x.ndim == 1
    if name == "cast":
        source = x.inputs[0]
        return np.can_cast(source.dtype, x.dtype, "safe") and distinct(source, n)
    if x.op is get_op:
        return _distinct_read(x) or (is_nonnegative(x) and _is_unique(x))
    return False


def _distinct_read(x: Variable) -> bool:
    """Distinct elements, read at distinct places."""
    source, *inputs = x.inputs
    return distinct(source) and distinct_positions(x.params["index"], source, inputs)


def _is_unique(x: Variable) -> bool:
    """Whether x is ``unique`` of integers: an ascending vector at the starts of its runs."""
    ordered = x.inputs[0]
    if len(x.inputs) != 2 or x.inputs[1].op is not flatnonzero_op or not _is_sorted(ordered):
        return False
    first = x.inputs[1].inputs[0]
    if (
        first.op is None
        or first.op.name != "concatenate"
        or len(first.inputs) != 2
        or first.inputs[0].type.shape == (0,)
    ):
        return False
    differs = first.inputs[1]
    if differs.op is None or differs.op.name != "invert" or differs.inputs[0].op is not OPS["equal"]:
        return False
    sides = differs.inputs[0].inputs
    neighbours = (Slice(1, None), Slice(None, -1))
    return any(
        all(_is_slice(s, ordered, n) for s, n in zip(pair, neighbours, strict=True)) for pair in (sides, sides[::-1])
    )


def _at_most_one(x: Variable) -> bool:
    """Whether a vector has one element, or as many as ``v[:1]``."""
    if x.type.shape == (1,):
        return True
    dim = x.inputs[1] if x.op is OPS["broadcast_to"] else None
    source = dim.inputs[0] if dim is not None and dim.op is OPS["length"] else None
    return source is not None and source.op is get_op and source.params["index"].parts == (Slice(None, 1),)


def _is_slice(x: Variable, of: Variable, part: Slice) -> bool:
    return x.op is get_op and x.inputs == (of,) and x.params["index"].parts == (part,)


def _is_sorted(x: Variable) -> bool:
    """Whether x is a vector of integers in ascending order."""
    if x.op is None or x.ndim != 1 or not is_integer(x.dtype):
        return False
    if x.op.name == "sort":
        return True
    order = x.inputs[1] if x.op is get_op and len(x.inputs) == 2 else None
    return order is not None and order.op is OPS["argsort"] and order.inputs[0] is x.inputs[0]


@_shallow
def distinct_positions(index: Index, x: Variable, inputs: Inputs) -> bool:
    """Whether an index surely selects no element of x twice."""
    arrays = [(axis, inputs[slot]) for axis, slot in index.arrays]
    wide = [(axis, a) for axis, a in arrays if not is_single(a)]
    if not wide:
        return True
    block = max(a.ndim for _, a in wide)
    for axis, a in wide:  # one that alone tells all places of the block apart
        alone = all(o is a or (o.ndim <= a.ndim and _narrower(o, a)) for _, o in wide)
        if alone and a.ndim == block and distinct(a, x.type.shape[axis]):
            return True
    if _is_grid(wide, block) and all(distinct(a, x.type.shape[axis]) for axis, a in wide):
        return True
    if _distinct_together(wide, x):
        return True
    return _is_unraveled([a for _, a in wide])


def _distinct_together(wide: Sequence[tuple[int, Variable]], x: Variable) -> bool:
    """Whether constant arrays, such as those of ``triu_indices``, select nothing twice, though each repeats itself."""
    columns = []
    for axis, a in wide:
        value, n = constant_value(a), x.type.shape[axis]
        if value is None:
            return False
        if n is not None:
            value = np.where(value < 0, value + n, value)
        elif (value < 0).any() and (value >= 0).any():
            return False
        columns.append(value)
    try:
        places = np.stack([c.ravel() for c in np.broadcast_arrays(*columns)])
    except ValueError:  # they do not broadcast: the call will raise
        return False
    return bool(np.unique(places, axis=1).shape[1] == places.shape[1])


def _narrower(o: Variable, a: Variable) -> bool:
    """Whether o surely does not stretch a."""
    return fits_within(o, a)


def _is_grid(wide: Sequence[tuple[int, Variable]], block: int) -> bool:
    """Whether each array varies along axes of its own, as from ``ix_``."""
    taken: set[int] = set()
    for _, a in wide:
        own = {block - a.ndim + i for i, d in enumerate(a.type.shape) if d != 1}
        if own & taken:
            return False
        taken |= own
    return True


def selects_pairs(index: Index, inputs: Inputs) -> bool:
    """Whether an index selects elements of a matrix one by one, rather than where rows and columns cross."""
    arrays = [(axis, inputs[slot]) for axis, slot in index.arrays]
    wide = [(axis, a) for axis, a in arrays if not is_single(a)]
    return len(index.parts) == len(arrays) == 2 and not (
        len(wide) == 2 and _is_grid(wide, index.array_ndim([i.ndim for i in inputs]))
    )


def _is_unraveled(arrays: Sequence[Variable]) -> bool:
    """Whether the arrays are the digits of distinct numbers, as from ``nonzero`` of a matrix."""
    digits = list(arrays)
    while len(digits) > 1:
        pair = next(((q, r) for q in digits for r in digits if q is not r and _digits(q, r)), None)
        if pair is None:
            return False
        digits = [d for d in digits if d is not pair[0] and d is not pair[1]] + [pair[0].inputs[0]]
    return distinct(digits[0])


def _digits(q: Variable, r: Variable) -> bool:
    return (
        q.op is not None
        and r.op is not None
        and q.op.name == "floor_divide"
        and r.op.name == "mod"
        and q.inputs == r.inputs
        and is_single(q.inputs[1])
    )


@_shallow
def in_range(ids: Variable, x: Variable, axis: int) -> bool:
    """Whether every position surely lies within an axis of x."""
    n = x.type.shape[axis]
    value = constant_value(ids)
    if value is not None:
        if not value.size:
            return True
        return n is not None and -n <= int(value.min()) and int(value.max()) < n
    if ids.op is None:
        return False
    name = ids.op.name
    if 0 in ids.type.shape:
        return True
    if name in ("reshape", "transpose", "expand_dims", "squeeze", "broadcast_to", "assume_unique"):
        return in_range(ids.inputs[0], x, axis)
    if name == "subtensor":
        return in_range(ids.inputs[0], x, axis)
    if name == "arange":
        return _counts_up(ids) and _at_most(ids.inputs[1], x, axis)
    if name == "argsort":
        return same_length(ids, ids.params["axis"], x, axis)
    if name in ("argmax", "argmin"):
        return same_length(ids.inputs[0], ids.params["axis"], x, axis)
    if name == "flatnonzero":
        return _mask_length_is(ids.inputs[0], x, axis)
    if name == "mod":
        divisor = constant_value(ids.inputs[1])
        return n is not None and divisor is not None and bool((divisor > 0).all() and (divisor <= n).all())
    return False


def _at_most(stop: Variable, x: Variable, axis: int) -> bool:
    if stop.op is OPS["minimum"]:
        return any(_at_most(o, x, axis) for o in stop.inputs)
    if stop.op is OPS["maximum"] and any(o.known == 0 for o in stop.inputs):  # a range to less than 0 is empty
        return all(o.known == 0 or _at_most(o, x, axis) for o in stop.inputs)
    n, known = x.type.shape[axis], constant_value(stop)
    if known is not None and n is not None:
        return int(known) <= n
    return n is None and stop is length(x, axis)


def _mask_length_is(mask: Variable, x: Variable, axis: int) -> bool:
    if mask.op is not None and mask.op.name == "fitting_mask":
        dim = mask.inputs[1]
        known = x.type.shape[axis]
        return int(dim.data) == known if isinstance(dim, Constant) else dim is length(x, axis)
    return same_length(mask, 0, x, axis)


def never_fails(index: Index, x: Variable, inputs: Inputs) -> bool:
    """Whether reading at an index surely raises nothing: positions in range, arrays that broadcast, steps not zero.

    Nor what the positions are computed from: a mask that must fit is an error of its own.
    """
    if any(isinstance(p, Slice) and isinstance(p.step, Ref) for p in index.parts):
        return False
    arrays = [(axis, inputs[slot]) for axis, slot in index.arrays]
    if not all(in_range(a, x, axis) and cannot_fail(a) for axis, a in arrays):
        return False
    wide = [a for _, a in arrays if not is_single(a)]
    return all(same_shape(a, wide[0]) for a in wide[1:])


def same_index(a: Variable, b: Variable) -> bool:
    """Whether two reads or writes use one index: the same parts over the same inputs."""
    return a.params["index"] == b.params["index"] and index_inputs(a) == index_inputs(b)


def index_inputs(node: Variable) -> tuple[Variable, ...]:
    """The index inputs of a read or a write."""
    return node.inputs[1:] if node.op is get_op else node.inputs[2:]


def disjoint(a: Variable, b: Variable, x: Variable) -> bool:
    """Whether two reads or writes of x surely have no element in common."""
    left, right = a.params["index"], b.params["index"]
    for axis, n in enumerate(x.type.shape):
        if n is None:
            continue
        one, two = (places(i.parts[axis], index_inputs(node), n) for i, node in ((left, a), (right, b)))
        if one is not None and two is not None and not np.intersect1d(one, two).size:
            return True
    return False


def places(part: Slice | At, inputs: Inputs, n: int) -> Array | None:
    """The positions, a vector, that a part of an index selects along an axis of length n, where they are known."""
    if isinstance(part, Slice):
        if part.refs or n > _DISTINCT_MOST:
            return None
        return np.arange(n)[part.start : part.stop : part.step]
    value = constant_value(inputs[part.slot])
    return None if value is None else np.where(value < 0, value + n, value).ravel()


# --- what cannot fail

_safe: WeakKeyDictionary[Variable, bool] = WeakKeyDictionary()
_SHAPE_ONLY = frozenset(
    ("length", "transpose", "expand_dims", "cast", "disconnected_grad", "zero_grad", "flatnonzero", "argsort")
)


def cannot_fail(x: Variable) -> bool:
    """Whether computing x surely raises nothing, so that it may be left out."""
    stack = [x]
    while stack:
        node = stack[-1]
        if node in _safe:
            stack.pop()
            continue
        missing = [i for i in node.inputs if i not in _safe]
        if missing:
            stack.extend(missing)
            continue
        stack.pop()
        _safe[node] = all(_safe[i] for i in node.inputs) and _step_cannot_fail(node)
    return _safe[x]


def _fit_together(xs: Sequence[Variable]) -> bool:
    """Whether tensors surely broadcast: along each axis the lengths that are not known to be 1 surely are equal."""
    for k in range(1, max((x.ndim for x in xs), default=0) + 1):
        wide = [(x, x.ndim - k) for x in xs if x.ndim >= k and x.type.shape[x.ndim - k] != 1]
        if not all(same_length(*wide[0], *other) for other in wide[1:]):
            return False
    return True


def _step_cannot_fail(node: Variable) -> bool:
    if node.op is None:
        return isinstance(node, Constant | Input | SharedVariable)
    name = node.op.name
    if name in _SHAPE_ONLY or name in ("sum", "prod", "softmax", "log_softmax"):
        return name not in ("softmax", "log_softmax") or not {None, 0} & set(node.type.shape)
    if is_elementwise(node):
        wide = [i for i in node.inputs if not is_single(i)]
        return name != "power" and _fit_together(wide)
    if name == "broadcast_to":
        return all(isinstance(d, Constant) for d in node.inputs[1:]) and None not in node.inputs[0].type.shape
    if name == "arange":
        return _counts_up(node)
    if node.op is get_op:
        return never_fails(node.params["index"], node.inputs[0], node.inputs[1:])
    return False
