"""NumPy's functions that pick elements: each is an index expression, so its result can be written to like one."""

from __future__ import annotations

import operator
from typing import Any

from subtensor.errors import DTypeError, IndexingError, ShapeError, counted
from subtensor.graph.constants import as_tensor, constant
from subtensor.graph.nodes import DISCONNECTED, Argument, Cotangent, Variable, call, define
from subtensor.graph.operators import public
from subtensor.graph.types import INDEX, TensorType, is_integer, normalize_axis
from subtensor.ops.checks import bounded
from subtensor.ops.elementwise import cast
from subtensor.ops.raveling import raveled, unraveled
from subtensor.ops.shape import (
    as_dims,
    broadcast_to_dims,
    expand_dims,
    expand_right,
    length,
    lengths,
    of_lengths,
    product,
    reshape,
)
from subtensor.ops.subtensor import flatnonzero, getitem, inc_subtensor, set_subtensor, spell_shape, virtual_flat


@public
def take(x: Any, indices: Any, axis: int | None = None, mode: str | None = "raise") -> Variable:
    """Elements along `axis` (of the flattened tensor where None). mode: what to do out of bounds, as in NumPy:
    ``raise``, also where None, ``wrap`` or ``clip``.
    """
    x, ids = as_tensor(x), as_tensor(indices)
    if not is_integer(ids.dtype):
        if ids.type.shape != (0,):
            raise IndexingError(f"take: {ids!r} is not an index; expected integers")
        ids = cast(ids, INDEX)
    if axis is None:
        x, axis = virtual_flat(x) if x.ndim > 1 else call("atleast_1d", x), 0
    axis = normalize_axis(axis, x.ndim, "take")
    n = length(x, axis)
    return getitem(x, (*([slice(None)] * axis), _in_mode("take", ids, n, mode)))


def _in_mode(where: str, ids: Variable, n: Variable, mode: str | None) -> Variable:
    """Positions on an axis of length n as `mode` has them."""
    if mode not in (None, "raise", "wrap", "clip"):
        raise IndexingError(f"{where}: mode={mode!r}; expected 'raise', 'wrap' or 'clip'")
    return ids if mode in (None, "raise") else (_wrapped if mode == "wrap" else _clipped)(ids, n)


def _wrapped(ids: Variable, n: Variable) -> Variable:
    """Positions modulo a length; uint64, which int64 cannot hold, keeps its dtype."""
    dtype = ids.dtype if ids.dtype == "uint64" else INDEX
    return call("mod", cast(ids, dtype), cast(n, dtype))


def _clipped(ids: Variable, n: Variable) -> Variable:
    """Positions limited to ``0 <= i < n``; where n is 0, positions that fit nowhere."""
    if ids.dtype == "uint64":
        ids = call("minimum", ids, constant(2**63 - 1, dtype="uint64"))
    return call("minimum", call("maximum", cast(ids, INDEX), 0), n - 1)


@public
def compress(condition: Any, x: Any, axis: int | None = None) -> Variable:
    """The slices of x along `axis` at which `condition`, a vector, is true."""
    condition = as_tensor(condition)
    if condition.ndim != 1:
        raise ShapeError(f"compress: {condition.label} has {counted(condition.ndim, 'axis')}; expected a vector")
    return take(x, flatnonzero(condition), axis)


@public
def take_along_axis(x: Any, indices: Any, axis: int | None = -1) -> Variable:
    """Elements picked along `axis` by an index tensor that matches x on the others; x flattened where None."""
    x, key = _along_axis(x, indices, axis, "take_along_axis")
    return getitem(x, key)


@public
def put_along_axis(x: Any, indices: Any, values: Any, axis: int | None = 0) -> Variable:
    """x with `values` written at the positions that ``take_along_axis`` reads: a new value."""
    original = as_tensor(x)
    flat, key = _along_axis(x, indices, axis, "put_along_axis")
    written = set_subtensor(flat[key], values)
    return written if flat is original else reshape(written, lengths(original))


def _along_axis(x: Any, indices: Any, axis: int | None, what: str) -> tuple[Variable, tuple[Variable, ...]]:
    x, ids = as_tensor(x), as_tensor(indices)
    if axis is None:
        if ids.ndim != 1:
            raise IndexingError(f"{what}: indices {ids!r} into the flattened {x.label}; expected a vector")
        return reshape(x, (-1,)), (ids,)
    if ids.ndim != x.ndim or not is_integer(ids.dtype):
        raise IndexingError(f"{what}: indices {ids!r} must be integers with as many axes as {x!r}")
    axis = normalize_axis(axis, x.ndim, what)
    key = []
    for a in range(x.ndim):
        if a == axis:
            key.append(ids)
        else:
            grid = call("arange", length(x, a))
            key.append(expand_dims(grid, tuple(i for i in range(x.ndim) if i != a)))
    return x, tuple(key)


@public(aliases=("extract_diag",))
def diagonal(x: Any, offset: Any = 0, axis1: int = 0, axis2: int = 1) -> Variable:
    """The elements ``x[i, i + offset]`` along two axes, which are replaced by one at the end.

    offset: an int, or an integer scalar.
    """
    x = as_tensor(x)
    a, b = normalize_axis(axis1, x.ndim, "diagonal"), normalize_axis(axis2, x.ndim, "diagonal")
    if a == b:
        raise ShapeError(f"diagonal: axis1 and axis2 are both {a}; expected two axes")
    rows, columns = _start(offset)
    n = call("maximum", call("minimum", length(x, a) - rows, length(x, b) - columns), 0)
    known = [d for d in (x.type.shape[a], x.type.shape[b]) if d is not None]
    if len(known) == 2 and isinstance(rows, int) and isinstance(columns, int):
        n = constant(max(0, min(known[0] - rows, known[1] - columns)))
    return diagonal_of(x, (a, b), n, (rows, columns))


def _start(offset: Any) -> tuple[Any, Any]:
    """The row and the column at which a diagonal begins."""
    if isinstance(offset, Variable) and offset.known is None:
        if offset.ndim or not is_integer(offset.dtype):
            raise DTypeError(f"diagonal: the offset {offset!r}; expected an integer scalar")
        offset = cast(offset, INDEX)
        return call("maximum", -offset, 0), call("maximum", offset, 0)
    offset = operator.index(getattr(offset, "known", offset))
    return max(0, -offset), max(0, offset)


def diagonal_of(x: Variable, axes: tuple[int, int], n: Variable, start: tuple[Any, Any] = (0, 0)) -> Variable:
    """The first n elements of the diagonal of two axes that begins at `start`; their axis is the last."""
    a, b = axes
    positions = call("arange", n)
    key: list[Any] = [slice(None)] * x.ndim
    key[a], key[b] = positions + start[0], positions + start[1]
    at = min(a, b) if abs(a - b) == 1 else 0
    return call("moveaxis", x[tuple(key)], at, -1)


def _range_indices(
    x: Any, count: Any, axes: tuple[int, int], start: tuple[int, int], step: tuple[int, int]
) -> Variable:
    """``x[arange(count) * step + start, …]``, with a range for each of two axes."""
    key: list[Any] = [slice(None)] * x.ndim
    for axis, first, by in zip(axes, start, step, strict=True):
        positions = call("arange", count)
        positions = positions if by == 1 else positions * by
        key[axis] = positions if first == 0 else positions + first
    return getitem(x, tuple(key))


def _range_diagonal_infer(
    x: Argument, count: Argument, axes: tuple[int, int], start: tuple[int, int], step: tuple[int, int]
) -> TensorType:
    rest = [d for axis, d in enumerate(x.type.shape) if axis not in axes]
    n = None if count.known is None else int(count.known)
    return x.type.with_shape((*rest[: diagonal_axis(axes)], n, *rest[diagonal_axis(axes) :]))


def diagonal_axis(axes: tuple[int, int]) -> int:
    """Where the axis that replaces two axes, in ascending order, stands: where NumPy puts that of index arrays."""
    return axes[0] if axes[1] == axes[0] + 1 else 0


def _range_diagonal_vjp(g: Variable, out: Variable, x: Variable, count: Variable, **params: Any) -> list[Cotangent]:
    read = _range_indices(x, count, **params)
    assert read.op is not None
    return [read.op.vjp(g, read, *read.inputs, **read.params)[0], DISCONNECTED]


range_diagonal = define(
    "range_diagonal",
    infer=_range_diagonal_infer,
    vjp=_range_diagonal_vjp,
    expand=_range_indices,
    dims=lambda axis, x, count, axes, **_: count if axis == diagonal_axis(axes) else None,
)
"""``range_diagonal(x, count; axes, start, step)``: the elements ``x[arange(count) * step + start, …]`` along two axes.

`axes` ascend, `start` is not negative, `step` is positive. Raises IndexError where an axis is too short. Only the
rewrites make it, of such reads: where the backend has strides, it is a view.
"""


@public
def fill_diagonal(x: Any, value: Any) -> Variable:
    """x with its main diagonal ``x[i, i, …]`` set to `value`."""
    x = as_tensor(x)
    if x.ndim < 2:
        raise ShapeError(f"fill_diagonal: {x.label} has {counted(x.ndim, 'axis')}; expected at least 2")
    if x.ndim == 2:
        return set_subtensor(diagonal(x), value)
    if len({d for d in x.type.shape if d is not None}) > 1:
        raise ShapeError(f"fill_diagonal: {x.label} has shape {spell_shape(x.type.shape)}; expected equal lengths")
    return set_subtensor(x[(call("arange", length(x, 0)),) * x.ndim], value)


@public
def fill_diagonal_offset(x: Any, value: Any, offset: Any) -> Variable:
    """A matrix with its diagonal ``x[i, i + offset]`` set to `value`."""
    x = as_tensor(x)
    if x.ndim != 2:
        raise ShapeError(f"fill_diagonal_offset: {x.label} has {counted(x.ndim, 'axis')}; expected a matrix")
    return set_subtensor(diagonal(x, offset), value)


@public
def alloc_diag(v: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Variable:
    """Zeros with the last axis of v on a diagonal of two new axes, which ``diagonal`` of the same arguments reads."""
    v = as_tensor(v)
    if v.ndim < 1:
        raise ShapeError(f"alloc_diag: {v.label} is a scalar; expected at least one axis")
    *rest, n = lengths(v)
    side = n + abs(offset)
    zero = broadcast_to_dims(constant(0, dtype=v.dtype), [*rest, side, side])
    places = call("arange", n)
    written = zero[..., places + max(0, -offset), places + max(0, offset)].set(v)
    return call("moveaxis", written, (-2, -1), (axis1, axis2))


@public
def unravel_index(indices: Any, dims: Any, order: str = "C") -> list[Variable]:
    """Positions in a flattened tensor of shape `dims`, axis by axis; `order` C, or F for columns first.

    Raises BoundsError at the call for a position that is negative or too large.
    """
    flat = _whole("unravel_index", indices)
    sizes = as_dims("unravel_index", dims)
    if order not in ("C", "F"):
        raise IndexingError(f"unravel_index: order={order!r}; expected 'C' or 'F'")
    flat = _checked(flat, product(sizes), "unravel_index", "the flattened tensor", 0)
    return unraveled(flat, sizes) if order == "C" else unraveled(flat, sizes[::-1])[::-1]


@public
def ravel_multi_index(multi_index: Any, dims: Any, mode: str = "raise", order: str = "C") -> Variable:
    """Positions in the flattened tensor, from positions axis by axis; `order` C, or F for columns first.

    mode: ``wrap`` and ``clip`` bring positions into range. With ``raise``, a position that is negative or too large
    along its axis is a BoundsError at the call.
    """
    sizes = as_dims("ravel_multi_index", dims)
    positions = [_whole("ravel_multi_index", p) for p in multi_index]
    if len(positions) != len(sizes):
        raise ShapeError(
            f"ravel_multi_index: positions along {counted(len(positions), 'axis')} for a shape with {len(sizes)}; "
            "expected equal"
        )
    if mode not in ("raise", "wrap", "clip") or order not in ("C", "F"):
        raise IndexingError(
            f"ravel_multi_index: mode={mode!r}, order={order!r}; expected 'raise', 'wrap' or 'clip', and 'C' or 'F'"
        )
    where = "ravel_multi_index"
    positions = [
        _checked(p, d, f"{where}: positions {p.label}", "the shape", axis)
        if mode == "raise"
        else _in_mode(where, p, d, mode)
        for axis, (p, d) in enumerate(zip(positions, sizes, strict=True))
    ]
    positions = [cast(p, INDEX) for p in positions]
    return raveled(positions, sizes) if order == "C" else raveled(positions[::-1], sizes[::-1])


def _whole(where: str, positions: Any) -> Variable:
    """Positions as int64, or uint64, which that cannot hold. Raises DTypeError for other than integers."""
    node = as_tensor(positions)
    if not is_integer(node.dtype):
        raise DTypeError(f"{where}: {node!r} holds no positions; expected integers")
    return node if node.dtype == "uint64" else cast(node, INDEX)


def _checked(ids: Variable, n: Variable, subset: str, table: str, axis: int) -> Variable:
    """Positions ``0 <= ids < n``: something of that length is read at them, so that others are noticed."""
    ids = bounded(ids, n, subset, table, axis, from_zero=True)
    places = ids if ids.dtype == "uint64" else call("where", ids < 0, n, ids)
    zeros = broadcast_to_dims(constant(0, dtype=ids.dtype), [cast(n, INDEX)])
    return ids + zeros[places]


@public
def choose(a: Any, choices: Any, mode: str = "raise") -> Variable:
    """Elements of ``choices[a]``, position by position; a and the choices broadcast."""
    ids = as_tensor(a)
    if not is_integer(ids.dtype):
        raise DTypeError(f"choose: {ids!r} holds no positions; expected integers")
    table = as_tensor(choices) if isinstance(choices, Variable) else call("stack", call("broadcast_arrays", *choices))
    n = length(table, 0)
    ids = bounded(_in_mode("choose", ids, n, mode), n, f"choose({ids.label}, …)", "the choices", 0)
    places = [call("arange", length(table, axis)) for axis in range(1, table.ndim)]
    return table[(ids, *(expand_right(p, table.ndim - 1 - k) for k, p in enumerate(places)))]


@public(aliases=("ix_",))
def ix_(*vectors: Any) -> tuple[Variable, ...]:
    """Index arrays that select the cross product of positions, as ``numpy.ix_``."""
    nodes = [as_tensor(v) for v in vectors]
    for v in nodes:
        if v.ndim != 1:
            raise ShapeError(f"ix_: {v.label} has {counted(v.ndim, 'axis')}; expected vectors")
    nodes = [flatnonzero(v) if v.dtype == "bool" else v for v in nodes]
    return tuple(
        expand_dims(v, tuple(i for i in range(len(nodes)) if i != axis)) if len(nodes) > 1 else v
        for axis, v in enumerate(nodes)
    )


@public
def one_hot(x: Any, n: Any, dtype: Any = None) -> Variable:
    """Vectors of length n with a one at position x, along a new last axis; negative positions count from the end.

    Raises BoundsError outside ``-n <= x < n``.
    """
    x = as_tensor(x)
    if not is_integer(x.dtype):
        raise DTypeError(f"one_hot: {x!r} holds no positions; expected integers")
    classes = as_tensor(n)
    where = f"one_hot({x.label})"
    return call("eye", classes, dtype=dtype)[bounded(x, cast(classes, INDEX), where, where, x.ndim)]


@public
def segment_sum(x: Any, segment_ids: Any, num_segments: Any) -> Variable:
    """Sums of the rows of x that share an id: (num_segments, …).

    x: (n, …); segment_ids: (n,) integers. Raises ShapeError where there is not one id for each row, and BoundsError for
    ids out of range.
    """
    x, ids = as_tensor(x), as_tensor(segment_ids)
    if x.ndim < 1 or ids.ndim != 1:
        raise ShapeError(f"segment_sum: ids {ids!r} for {x!r}; expected a vector with an id for each row")
    x = of_lengths("segment_sum", x, [length(ids, 0), *[None] * (x.ndim - 1)])  # one would count for all
    return summed_segments(x, ids, as_tensor(num_segments))


def summed_segments(x: Variable, segment_ids: Variable, num_segments: Variable) -> Variable:
    """``segment_sum`` of as many rows as ids."""
    dims = [num_segments, *lengths(x)[1:]]
    zero = broadcast_to_dims(constant(0, dtype=x.dtype), [cast(d, INDEX) for d in dims])
    return inc_subtensor(zero[segment_ids], x)
