"""Reading and writing parts of tensors: what ``x[index]``, ``set_subtensor`` and ``inc_subtensor`` mean.

Three core ops share one ``Index`` (see ``subtensor.graph.indexing``):

- ``subtensor(x, *inputs)``: the selected elements;
- ``set_subtensor(x, y, *inputs)``: x with y written there; of several writes to an element the last in C order wins;
- ``inc_subtensor(x, y, *inputs)``: x with y added there; every occurrence counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from subtensor.errors import DTypeError, IndexingError, NotASubsetError, ShapeError
from subtensor.graph.constants import as_tensor, constant
from subtensor.graph.cost import Cost
from subtensor.graph.indexing import (
    At,
    Gap,
    Index,
    Mask,
    NewAxis,
    Part,
    Ref,
    Slice,
    check_mask_shape,
    check_positions,
    parse,
)
from subtensor.graph.nodes import (
    DISCONNECTED,
    ZERO,
    Argument,
    Constant,
    Cotangent,
    Length,
    Op,
    Variable,
    call,
    define,
    static_dims,
)
from subtensor.graph.operators import public
from subtensor.graph.types import INDEX, Shape, TensorType, is_integer
from subtensor.ops.elementwise import cast, same_kind
from subtensor.ops.raveling import unraveled
from subtensor.ops.shape import (
    broadcast_dims_of,
    broadcast_to_dims,
    expand_dims,
    inverse_permutation,
    length,
    lengths,
    reshape,
    squeeze,
    transpose,
)

# --- the three core ops


def _selected_shape(x: Argument, inputs: Sequence[Argument], index: Index) -> Shape:
    try:
        return index.result_shape("index", x.type.shape, inputs)
    except IndexingError:  # once more, for a message that says where; spelling it out each time would be slow
        spelled = index.spell([i.label for i in inputs])
        return index.result_shape(f"{x.label}[{spelled}]", x.type.shape, inputs)


def _get_infer(x: Argument, *inputs: Argument, index: Index) -> TensorType:
    return x.type.with_shape(_selected_shape(x, inputs, index))


def _get_check(x: Argument, *inputs: Argument, index: Index) -> None:
    check_positions(index, x, inputs)


def _get_dims(axis: int, x: Variable, *inputs: Variable, index: Index) -> Length:
    """Lengths of the result that can be read off x or the index arrays."""
    block = index.array_ndim([i.ndim for i in inputs])
    at = index.array_axis
    if index.arrays and at <= axis < at + block:
        arrays = [inputs[slot] for _, slot in index.arrays]
        places = [(a, axis - at - block + a.ndim) for a in dict.fromkeys(arrays) if axis - at - block + a.ndim >= 0]
        decisive = [(a, i) for a, i in places if a.type.shape[i] != 1]
        return decisive[0] if len(decisive) == 1 else None
    source, part = index.slices[axis if axis < at or not index.arrays else axis - block]
    return (x, source) if part.is_full else None


def _get_vjp(g: Variable, out: Variable, x: Variable, *inputs: Variable, index: Index) -> list[Cotangent]:
    zero = broadcast_to_dims(constant(0, dtype=g.dtype), lengths(x))
    return [_inc(zero, g, *inputs, index=index), *(DISCONNECTED for _ in inputs)]


_get = define("subtensor", infer=_get_infer, vjp=_get_vjp, check=_get_check, dims=_get_dims)


def _write_infer(name: str) -> Any:
    def infer(x: Argument, y: Argument, *inputs: Argument, index: Index) -> TensorType:
        target = _selected_shape(x, inputs, index)
        _check_value_shape(name, target, y, x)
        return x.type

    return infer


def _check_value_shape(name: str, target: Shape, y: Argument, x: Argument) -> None:
    have = y.type.shape
    if len(have) > len(target):
        raise ShapeError(
            f"{name}: the value {y.label} of shape {spell_shape(have)} has more axes than the indexed part of "
            f"{x.label}, which has shape {spell_shape(target)}"
        )
    for axis, (want, got) in enumerate(zip(reversed(target), reversed(have), strict=False)):
        if got not in (None, 1) and want is not None and got != want:
            at = len(target) - 1 - axis
            raise ShapeError(
                f"{name}: axis {at} of the indexed part of {x.label} is {want}, of the value {y.label} is {got}; "
                f"expected equal or 1 (shapes {spell_shape(target)} and {spell_shape(have)})"
            )


def spell_shape(shape: Shape) -> str:
    """``(3, ?)``: a static shape for messages."""
    return "(" + ", ".join("?" if d is None else str(d) for d in shape) + ("," if len(shape) == 1 else "") + ")"


def _write_check(name: str) -> Any:
    def check(x: Argument, y: Argument, *inputs: Argument, index: Index) -> None:
        check_positions(index, x, inputs)

    return check


def _write_dims(axis: int, x: Variable, y: Variable, *inputs: Variable, index: Index) -> Length:
    return x, axis


def _gathered(g: Variable, y: Variable, inputs: Sequence[Variable], index: Index) -> Variable:
    """The cotangent of a written value: gathered, and summed over the axes along which the value was broadcast."""
    return call("sum_to_shape_of", _get(g, *inputs, index=index), y)


def _inc_vjp(g: Variable, out: Variable, x: Variable, y: Variable, *inputs: Variable, index: Index) -> list[Cotangent]:
    return [g, _gathered(g, y, inputs, index), *(DISCONNECTED for _ in inputs)]


_inc = define(
    "inc_subtensor",
    infer=_write_infer("inc_subtensor"),
    vjp=_inc_vjp,
    check=_write_check("inc_subtensor"),
    dims=_write_dims,
    fresh=True,
)


def _set_vjp(g: Variable, out: Variable, x: Variable, y: Variable, *inputs: Variable, index: Index) -> list[Cotangent]:
    zero = constant(0, dtype=g.dtype)
    to_x = _set(g, zero, *inputs, index=index)
    seen = _get(g, *inputs, index=index)
    winners = _winners(x, inputs, index)
    if winners is not None:
        # only the last write to an element reaches the result
        after = seen.ndim - index.array_axis - winners.ndim
        seen = call("where", expand_dims(winners, range(winners.ndim, winners.ndim + after)), seen, zero)
    return [to_x, call("sum_to_shape_of", seen, y), *(DISCONNECTED for _ in inputs)]


def _winners(x: Variable, inputs: Sequence[Variable], index: Index) -> Variable | None:
    """Which writes, over the broadcast shape of the index arrays, are the last to their element; None where all are."""
    if selects_once(inputs, index):
        return None
    flat, dims = places(x, inputs, index)
    return reshape(last_occurrence(flat), dims)


def selects_once(inputs: Sequence[Variable], index: Index) -> bool:
    """Whether an index surely selects each element at most once."""
    arrays = [inputs[slot] for _, slot in index.arrays]
    return all(a.ndim == 0 or all(d == 1 for d in a.type.shape) for a in arrays)


def places(x: Variable, inputs: Sequence[Variable], index: Index) -> tuple[Variable, list[Variable]]:
    """The positions on the axes of x that arrays index, as one number each: a vector; and the shape that they have."""
    arrays = [(axis, inputs[slot]) for axis, slot in index.arrays]
    dims = broadcast_dims_of(*(a for _, a in arrays))
    key: Variable | None = None
    for axis, a in arrays:
        n = length(x, axis)
        wide = cast(a, INDEX)
        wide = call("where", call("less", wide, 0), wide + n, wide)
        key = wide if key is None else key * n + wide
    assert key is not None
    return reshape(broadcast_to_dims(key, dims), (-1,)), dims


_set = define(
    "set_subtensor",
    infer=_write_infer("set_subtensor"),
    vjp=_set_vjp,
    check=_write_check("set_subtensor"),
    dims=_write_dims,
    fresh=True,
)

get_op, set_op, inc_op = _get, _set, _inc


def _last_occurrence_expand(keys: Variable) -> Variable:
    order = call("argsort", keys)
    ordered = keys[order]
    ends = call("concatenate", [call("not_equal", ordered[1:], ordered[:-1]), call("ones_like", ordered[:1], "bool")])
    return call("zeros_like", keys, "bool")[order].set(ends)


last_occurrence = define(
    "last_occurrence",
    infer=lambda keys: keys.type.with_dtype("bool"),
    vjp=lambda g, out, keys: [ZERO],
    expand=_last_occurrence_expand,
    dims=lambda axis, keys: (keys, axis),
    fresh=True,
    cost=Cost(computes="1000 * keys.size"),
)
"""``last_occurrence(keys)``: for an int vector, whether no later element is equal."""


# --- masks


def _flatnonzero_infer(mask: Argument) -> TensorType:
    return TensorType(INDEX, (None,) if mask.known is None else (int((mask.known != 0).sum()),))


flatnonzero_op = define(
    "flatnonzero",
    infer=_flatnonzero_infer,
    vjp=lambda g, out, mask: [DISCONNECTED],
    fresh=True,
    cost=Cost(computes="10 * mask.size"),
)
"""Positions of the true elements of a bool vector, ascending."""


def _fitting_mask_infer(mask: Argument, *dims: Argument) -> TensorType:
    check_mask_shape(mask, dims)
    return mask.type


fitting_mask = define(
    "fitting_mask",
    infer=_fitting_mask_infer,
    vjp=lambda g, out, mask, *dims: [DISCONNECTED] * (1 + len(dims)),
    dims=lambda axis, mask, *dims: dims[axis],
)
"""``fitting_mask(mask, *dims)``: the mask itself; raises BoundsError where its shape is not `dims`."""


@public
def flatnonzero(x: Any) -> Variable:
    """Positions of the nonzero elements of the flattened tensor, ascending."""
    return flatnonzero_op(_true(call("reshape", x, (-1,))))


def _true(x: Variable) -> Variable:
    return call("logical_not", call("logical_not", x)) if x.dtype != "bool" else x


@public
def nonzero(x: Any, return_matrix: bool = False) -> Any:
    """Positions of the nonzero elements in C order: one int64 vector for each axis; or a matrix, an axis a row."""
    x = as_tensor(x)
    if x.ndim == 0:
        raise ShapeError(f"nonzero: {x.label} is a scalar; use st.atleast_1d first")
    found = unraveled(flatnonzero(x), lengths(x))
    return call("stack", found) if return_matrix else tuple(found)


# --- x[key]: from parsed entries to an Index, with masks as positions and new axes as reshapings


virtual_axis = define(
    "virtual_axis",
    infer=lambda x, axis: x.type.with_shape((*x.type.shape[:axis], 1, *x.type.shape[axis:])),
    vjp=lambda g, out, x, axis: [squeeze(g, axis)],
    expand=expand_dims,
    dims=lambda at, x, axis: (x, at - (at > axis)),
)
"""The axis of length 1 on which a 0-d mask selects: part of an index expression, not of what is indexed."""


virtual_flat = define(
    "virtual_flat",
    infer=lambda x: x.type.with_shape((_product(x.type.shape),)),
    vjp=lambda g, out, x: [reshape(g, lengths(x))],
    expand=lambda x: reshape(x, (-1,)),
)
"""The elements of x as one axis, from which ``take`` picks: part of an index expression, not of what is indexed."""


def _product(shape: Shape) -> int | None:
    return None if None in shape else math.prod(d for d in shape if d is not None)


class _Builder:
    """Collects the parts of an Index and its inputs."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.inputs: list[Variable] = []
        self.order: list[str] = []  # a position, s slice, n new axis, e empty ellipsis: for NumPy's placement rule

    def ref(self, bound: int | Variable | None) -> Any:
        return Ref(self.add(bound)) if isinstance(bound, Variable) else bound

    def add(self, node: Variable) -> int:
        self.inputs.append(node)
        return len(self.inputs) - 1

    def slice(self, s: slice) -> None:
        start, stop, step = (self.ref(b) for b in (s.start, s.stop, s.step))
        self.parts.append(Slice(start, stop, None if step == 1 else step))
        self.order.append("s")

    def positions(self, node: Variable) -> None:
        self.parts.append(At(self.add(node)))
        self.order.append("a")


@public
def getitem(x: Any, key: Any) -> Variable:
    """``x[key]`` with NumPy's meaning for every key that NumPy accepts; parts of the key may be symbolic.

    Raises IndexingError while the graph is built for keys that are no index, and BoundsError at run time for
    positions outside the tensor.
    """
    x = as_tensor(x)
    element = _length_of_shape(x, key)
    if element is not None:
        return element
    builder = _Builder()
    axis = 0
    for entry in parse(key, x.ndim, x.label):
        if isinstance(entry, NewAxis):
            builder.order.append("n")
        elif isinstance(entry, Gap):
            builder.order.append("e")
        elif isinstance(entry, slice):
            builder.slice(entry)
            axis += 1
        elif isinstance(entry, Mask):
            if entry.mask.ndim == 0:
                x = virtual_axis(x, axis=axis)
                mask = entry.mask
                wide = constant(mask.data[None]) if isinstance(mask, Constant) else expand_dims(mask, 0)
                builder.positions(_mask_positions(wide, x, axis)[0])
                axis += 1
                continue
            for node in _mask_positions(entry.mask, x, axis):
                builder.positions(node)
            axis += entry.mask.ndim
        else:
            builder.positions(entry)
            axis += 1
    index = Index(tuple(builder.parts))
    return _place_axes(_get(x, *builder.inputs, index=index), index, builder)


def _length_of_shape(x: Variable, key: Any) -> Variable | None:
    """``x.shape[key]`` as the length itself, so that equal lengths are one node."""
    if x.op is None or x.op.name != "stack" or x.dtype != INDEX or x.ndim != 1 or type(key) is not int:
        return None
    if not -len(x.inputs) <= key < len(x.inputs):
        return None
    element = x.inputs[key]
    # what was itself indexed stays apart: a write into x[key] must not become one into the element's own parent
    return None if element.op is not None and element.op.name in ("subtensor", *_CARRIED) else element


def _mask_positions(mask: Variable, x: Variable, axis: int) -> list[Variable]:
    dims = [length(x, axis + i) for i in range(mask.ndim)]
    if isinstance(mask, Constant):
        check_mask_shape(mask, dims)
        if all(d.known is not None for d in dims):
            return [constant(p) for p in mask.data.nonzero()]
    if static_dims(dims) != mask.type.shape or None in mask.type.shape:
        mask = fitting_mask(mask, *dims)
    if mask.ndim == 1:
        return [flatnonzero_op(mask)]
    return list(nonzero(mask))


def _place_axes(result: Variable, index: Index, builder: _Builder) -> Variable:
    """Put new axes in, and the index dimensions where NumPy has them, for which new axes separate indices too."""
    order = builder.order
    if "n" not in order and "e" not in order:
        return result
    block = index.array_ndim([i.ndim for i in builder.inputs])
    first = order.index("a") if "a" in order else 0
    count = order.count("a")
    together = order[first : first + count] == ["a"] * count
    wanted: list[str] = []
    for place, kind in enumerate(order):
        if kind == "a":
            if together and place == first:
                wanted += ["b"] * block
        elif kind != "e":
            wanted.append(kind)
    if not together:
        wanted = ["b"] * block + wanted
    without = [w for w in wanted if w != "n"]
    have = ["s"] * len(index.slices)
    have[index.array_axis : index.array_axis] = ["b"] * block
    blocks = [i for i, h in enumerate(have) if h == "b"]
    slices = [i for i, h in enumerate(have) if h == "s"]
    permutation = [(blocks if w == "b" else slices).pop(0) for w in without]
    return expand_dims(transpose(result, permutation), [i for i, w in enumerate(wanted) if w == "n"])


# --- writing


_CARRIED = ("cast", "reshape", "transpose", "expand_dims", "squeeze")
"""Steps between indexing and writing that can be undone."""


@public
def set_subtensor(
    target: Any,
    value: Any,
    inplace: bool = False,  # accepted, without effect
    tolerate_inplace_aliasing: bool = False,  # as above
) -> Variable:
    """The tensor that `target` was indexed from, with `value` written there; the tensor itself is unchanged.

    target: ``x[index]``, or that reshaped, transposed, squeezed or cast since. value: broadcasts to it, as in NumPy
    assignment. Where an element is selected more than once, the last write in C order wins. Raises NotASubsetError
    (a TypeError) where `target` was not indexed, DTypeError where the value's dtype would lose information. inplace
    and tolerate_inplace_aliasing are accepted for programs written for the peers: what may be written in place is
    decided when a function is built.
    """
    return _write(_set, target, value)


@public
def inc_subtensor(
    target: Any,
    value: Any,
    inplace: bool = False,  # accepted, without effect
    tolerate_inplace_aliasing: bool = False,  # as above
    *,
    ignore_duplicates: bool = False,
) -> Variable:
    """The tensor that `target` was indexed from, with `value` added there; every occurrence counts (``np.add.at``).

    With `ignore_duplicates`, exactly ``set_subtensor(target, target + value)``. Otherwise as ``set_subtensor``.
    """
    if ignore_duplicates:
        target = as_tensor(target)
        return _write(_set, target, target + _typed(value, target, "inc_subtensor"))
    return _write(_inc, target, value)


def _typed(value: Any, target: Variable, what: str) -> Variable:
    """A value to be written, in the dtype that it is written in."""
    if type(value) in (bool, int, float):
        if (type(value) is float and is_integer(target.dtype)) or (target.dtype == "bool" and type(value) is not bool):
            raise DTypeError(
                f"{what}: cannot write the Python {type(value).__name__} {value} into {target.dtype} ({target.label}) "
                f"without losing information; if that is meant, write st.constant({value}).astype('{target.dtype}')"
            )
        return constant(value, dtype=target.dtype)
    return same_kind(as_tensor(value), target, what)


def _write(op: Op, target: Any, value: Any) -> Variable:
    what = op.name
    target = as_tensor(target)
    y = _typed(value, target, what)
    extra = y.ndim - target.ndim
    if extra > 0 and all(d in (None, 1) for d in y.type.shape[:extra]):  # as in NumPy's assignments
        y = squeeze(y, tuple(range(extra)))
    _check_value_shape(what, target.type.shape, y, target)
    node = target
    while node.op is not _get:
        y, node = _carried_back(y, node, what, target)
    x, *inputs = node.inputs
    y = same_kind(y, x, what)
    if x.op is virtual_flat:
        (x,), flat = x.inputs, inputs[0]
        positions = unraveled(flat, lengths(x))
        return op(x, y, *positions, index=Index(tuple(At(slot) for slot in range(x.ndim))))
    written = op(x, y, *inputs, index=node.params["index"])
    while x.op is virtual_axis:
        written = squeeze(written, x.params["axis"])
        x = x.inputs[0]
    return written


def _carried_back(y: Variable, node: Variable, what: str, target: Variable) -> tuple[Variable, Variable]:
    """A value for `node` turned into a value for the node's input: the step is undone."""
    name = node.op.name if node.op is not None else "leaf"
    if name == "cast":
        return same_kind(y, node.inputs[0], what), node.inputs[0]
    if name not in _CARRIED:
        raise NotASubsetError(
            f"{what}: {target.label} was not obtained by indexing"
            + (f" ({name} is in between)" if node is not target else "")
            + "; expected x[index], or such a subset reshaped, transposed, squeezed or cast"
        )
    inner = node.inputs[0]
    if name == "reshape":
        return reshape(broadcast_to_dims(y, lengths(node)), lengths(inner)), inner
    if y.ndim < node.ndim:
        y = expand_dims(y, tuple(range(node.ndim - y.ndim)))
    if name == "transpose":
        return transpose(y, inverse_permutation(node.params["axes"])), inner
    if name == "expand_dims":
        return squeeze(y, node.params["axes"]), inner
    return expand_dims(y, node.params["axes"]), inner


def is_write(node: Variable) -> bool:
    """Whether a node writes into a part of its first input."""
    return node.op is _set or node.op is _inc
