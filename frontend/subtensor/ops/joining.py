"""Joining, splitting, repeating and reordering along axes."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import Any

from subtensor.errors import MANY, DomainError, DTypeError, ShapeError, counted
from subtensor.graph.constants import as_tensor, constant
from subtensor.graph.cost import Cost
from subtensor.graph.nodes import Argument, Cotangent, Length, Variable, call, define
from subtensor.graph.operators import public
from subtensor.graph.types import INDEX, Dim, TensorType, is_integer, normalize_axes, normalize_axis, result_dtype
from subtensor.ops.elementwise import cast
from subtensor.ops.shape import (
    as_dims,
    atleast_1d,
    atleast_2d,
    broadcast_to_dims,
    checked_length,
    expand_dims,
    fixed_shape,
    flatten,
    length,
    lengths,
    moveaxis,
    reshape,
)


def _join_shape(where: str, xs: Sequence[Argument], axis: int) -> list[Dim]:
    first = xs[0].type
    result = list(first.shape)
    for x in xs[1:]:
        if x.type.ndim != first.ndim:
            raise ShapeError(
                f"{where}: {xs[0].label} has {counted(first.ndim, 'axis')}, {x.label} has {x.type.ndim}; expected equal"
            )
        for i, d in enumerate(x.type.shape):
            if i == axis or d is None:
                continue
            if result[i] is not None and result[i] != d:
                raise ShapeError(
                    f"{where}: axis {i} of {xs[0].label} is {result[i]}, of {x.label} is {d}; expected equal lengths "
                    f"except along axis {axis}"
                )
            result[i] = d
    return result


def _concatenate_infer(*xs: Argument, axis: int) -> TensorType:
    result = _join_shape("concatenate", xs, axis)
    along = [x.type.shape[axis] for x in xs]
    result[axis] = None if None in along else sum(d for d in along if d is not None)
    return xs[0].type.with_shape(result)


def _concatenate_vjp(g: Variable, out: Variable, *xs: Variable, axis: int) -> list[Cotangent]:
    parts: list[Cotangent] = []
    start: Any = 0
    for x in xs:
        stop = length(x, axis) + start
        parts.append(g[(*([slice(None)] * axis), slice(start, stop))])
        start = stop
    return parts


def _concatenate_dims(axis: int, /, *xs: Variable, **params: int) -> Length:
    if axis != params["axis"]:
        return xs[0], axis
    total = length(xs[0], axis)
    for x in xs[1:]:
        total = total + length(x, axis)
    return total


_concatenate = define(
    "concatenate",
    infer=_concatenate_infer,
    vjp=_concatenate_vjp,
    dims=_concatenate_dims,
    fresh=True,
    cost=Cost(computes="0"),
)


def same_dtype(xs: Iterable[Any]) -> list[Variable]:
    """Nodes cast to their common dtype; no scalar is weak here, as in ``numpy.concatenate``."""
    nodes = [as_tensor(x) for x in xs]
    dtype = result_dtype(*(n.dtype for n in nodes)) if nodes else INDEX
    return [cast(n, dtype) for n in nodes]


@public
def concatenate(arrays: Any, axis: int | None = 0) -> Variable:
    """Tensors joined along an existing axis, promoted to a common dtype; flattened first where `axis` is None."""
    nodes = same_dtype(arrays)
    if axis is None:
        nodes, axis = [flatten(n) for n in nodes], 0
    if not nodes:
        raise ShapeError("concatenate: got no tensors; expected at least one")
    if nodes[0].ndim == 0:
        raise ShapeError("concatenate: scalars have no axis to join along; use stack")
    axis = normalize_axis(axis, nodes[0].ndim, "concatenate")
    return nodes[0] if len(nodes) == 1 else _concatenate(*nodes, axis=axis)


@public
def join(axis: int, *arrays: Any) -> Variable:
    """``concatenate`` with Theano's order of arguments."""
    return concatenate(arrays, axis)


def _stack_infer(*xs: Argument) -> TensorType:
    return xs[0].type.with_shape((len(xs), *_join_shape("stack", xs, -1)))


_stack = define(
    "stack",
    infer=_stack_infer,
    vjp=lambda g, out, *xs: [g[i] for i in range(len(xs))],
    dims=lambda axis, *xs: (xs[0], axis - 1),
    fresh=True,
    cost=Cost(computes="0"),
)


@public
def stack(arrays: Any, axis: int = 0) -> Variable:
    """Tensors of one shape joined along a new axis."""
    nodes = same_dtype(arrays)
    if not nodes:
        raise ShapeError("stack: got no tensors; expected at least one")
    return moveaxis(_stack(*nodes), 0, axis) if axis != 0 else _stack(*nodes)


@public
def hstack(arrays: Any) -> Variable:
    """Tensors joined along their second axis, vectors along their only one."""
    nodes = [atleast_1d(a) for a in arrays]
    return concatenate(nodes, 0 if nodes[0].ndim == 1 else 1)


@public
def vstack(arrays: Any) -> Variable:
    """Tensors joined along their first axis, vectors as rows."""
    return concatenate([atleast_2d(a) for a in arrays], 0)


@public
def split(x: Any, splits_size: Any, n_splits: int | None = None, axis: int = 0) -> list[Variable]:
    """x cut along an axis. ``split(x, 3)`` or ``split(x, [2, 5])`` as in NumPy; ``split(x, sizes, n)`` as in Theano.

    While the graph is built, or at the call where only that shows the length: ``split(x, n)`` raises DomainError where
    n is less than 1, and ShapeError where n does not divide the length; ``split(x, sizes, n)`` raises ShapeError where
    there are not n sizes, where one is negative, and where they do not add up to the length.
    """
    x = as_tensor(x)
    axis = normalize_axis(axis, x.ndim, "split")
    before = [slice(None)] * axis
    total = length(x, axis)
    edges: list[Any]
    if n_splits is not None:
        if not 0 <= n_splits <= MANY:
            raise DomainError(f"split: n_splits={n_splits}; expected 0 or more parts, {MANY} at most")
        edges = _parts_of_sizes(x, axis, as_tensor(splits_size), n_splits)
    elif isinstance(splits_size, Variable) and splits_size.ndim == 0 and splits_size.known is None:
        raise DTypeError(f"split: the number of parts must be known while the graph is built; got {splits_size!r}")
    elif as_tensor(splits_size).ndim == 0:
        edges = _equal_parts(x, axis, operator.index(getattr(splits_size, "known", splits_size)))
    else:
        edges = [0, *splits_size, total]
    return [x[(*before, slice(a, b))] for a, b in pairwise(edges)]


def _parts_of_sizes(x: Variable, axis: int, sizes: Variable, n: int) -> list[Any]:
    """Where n parts of given lengths, which cover the axis, begin and end."""
    at, total = f"axis {axis} of {x.label}", length(x, axis)
    if sizes.type.shape == (0,):  # whatever the dtype of nothing
        sizes = cast(sizes, INDEX)
    if sizes.ndim != 1 or not is_integer(sizes.dtype):
        raise DTypeError(f"split: the sizes {sizes!r} of {at}; expected a vector of integers")
    if sizes.type.shape[0] not in (None, n):
        raise ShapeError(
            f"split: {counted(sizes.type.shape[0] or 0, 'size')} for {counted(n, 'part')} of {at}; expected equal"
        )

    def refuse_negative(count: int, _: int) -> str:
        return f"split: {counted(count, 'negative size')} for the parts of {at}; expected 0 or more"

    def refuse_sum(given: int, have: int) -> str:
        return f"split: {at} has length {have}, the sizes of its parts add up to {given}; expected equal"

    if sizes.known is not None:
        parts: list[Any] = [int(d) for d in sizes.known]
        refused = [d for d in parts if d < 0]
        if refused:
            raise ShapeError(refuse_negative(len(refused), 0))
        first: Any = 0
        whole: Variable = constant(sum(parts))
    else:
        if sizes.type.shape[0] is None:
            sizes = fixed_shape(sizes, shape=(n,))
        sizes = cast(sizes, INDEX)
        parts = [sizes[i] for i in range(n)]
        negative = call("sum", call("less", sizes, 0))
        first = checked_length(negative, constant(0), f"split: negative sizes of {at}", refuse_negative)
        whole = call("sum", sizes)
    last = checked_length(whole, total, f"split: the sizes of the parts of {at}", refuse_sum)
    inner = list(accumulate(parts[:-1]))
    return [first, *inner, last]


def _equal_parts(x: Variable, axis: int, n: int) -> list[Any]:
    """Where n parts of one length begin and end."""
    if n < 1:
        raise DomainError(f"split: {n} parts of {x.label}; expected 1 or more, or a list of positions")
    at = f"axis {axis} of {x.label}"

    def refusal(have: int, _: int) -> str:
        return f"split: {at} has length {have}, not a multiple of {n}; give positions for unequal parts"

    known, total = x.type.shape[axis], length(x, axis)
    if known is not None:
        checked_length(total, constant(known // n * n), at, refusal)
        return [known // n * i for i in range(n + 1)]
    total = checked_length(total, total // n * n, f"{at} in {n} equal parts", refusal) if n > 1 else total
    step = total // n
    return [0, *(step * i if i > 1 else step for i in range(1, n)), total]


# --- repetition and reordering


@public
def tile(x: Any, reps: Any, ndim: int | None = None) -> Variable:
    """x repeated as a block, `reps` times along each axis. ndim: of the result, where `reps` is a vector of unknown
    length; shorter `reps` are padded with leading ones.
    """
    x = as_tensor(x)
    unknown = isinstance(reps, Variable) and reps.type.shape == (None,)
    times = as_dims("tile", reps, ndim if unknown else None)
    if ndim is not None:
        if ndim < max(len(times), x.ndim):
            raise ShapeError(f"tile: ndim={ndim}; expected at least {max(len(times), x.ndim)}")
        times = [constant(1)] * (ndim - len(times)) + times
    if len(times) < x.ndim:
        times = [constant(1)] * (x.ndim - len(times)) + times
    if x.ndim < len(times):
        x = expand_dims(x, tuple(range(len(times) - x.ndim)))
    dims = lengths(x)
    inter = expand_dims(x, tuple(range(0, 2 * x.ndim, 2)))
    wide = broadcast_to_dims(inter, [v for pair in zip(times, dims, strict=True) for v in pair])
    return reshape(wide, [t * d for t, d in zip(times, dims, strict=True)])


@public
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Variable:
    """Each element (or slice along `axis`) of x repeated; `repeats` a number or one number for each."""
    x, times = as_tensor(x), as_tensor(repeats)
    if times.type.shape == (0,):  # whatever the dtype of nothing
        times = cast(times, INDEX)
    if axis is None:
        x, axis = flatten(x), 0
    axis = normalize_axis(axis, x.ndim, "repeat")
    if not is_integer(times.dtype) or times.ndim > 1:
        raise DTypeError(f"repeat: {times!r} is not a number of repetitions; expected an integer scalar or vector")
    times = cast(times, INDEX)
    if times.ndim == 1 and times.type.shape != (1,):
        each = broadcast_to_dims(times, [length(x, axis)])
        total = call("where", call("any", call("less", each, 0)), -1, call("sum", each))
        ones = broadcast_to_dims(constant(1), [total])  # which refuses a negative length
        source = call("searchsorted", call("cumsum", each, 0), call("cumsum", ones, 0) - 1, side="right")
        return call("take", x, source, axis=axis)
    if times.ndim == 1:
        times = times[0]
    dims = lengths(x)
    inter = expand_dims(x, axis + 1)
    wide = broadcast_to_dims(inter, [*dims[: axis + 1], times, *dims[axis + 1 :]])
    return reshape(wide, [*dims[:axis], dims[axis] * times, *dims[axis + 1 :]])


@public
def flip(x: Any, axis: Any = None) -> Variable:
    """x with the order of its elements reversed along `axis` (all axes where None)."""
    node = as_tensor(x)
    axes = normalize_axes(axis, node.ndim, "flip")
    key = tuple(slice(None, None, -1) if a in axes else slice(None) for a in range(node.ndim))
    return node[key] if axes else node


@public
def roll(x: Any, shift: Any, axis: Any = None) -> Variable:
    """x shifted cyclically along `axis`, or along its flattened form where None.

    Several shifts, several axes, or both take one another in turn, where there are as many or one; shifts along one
    axis add up.
    """
    node = as_tensor(x)
    if axis is None:
        return reshape(roll(flatten(node), shift, 0), lengths(node))
    axes = list(axis) if isinstance(axis, list | tuple) else [axis]
    shifts = _shifts(shift, len(axes))
    if len(shifts) != len(axes) and 1 not in (len(shifts), len(axes)):
        raise ShapeError(f"roll: {counted(len(shifts), 'shift')} for {counted(len(axes), 'axis')}; expected equal")
    pairs = max(len(shifts), len(axes)) if shifts and axes else 0
    for k in range(pairs):
        along = normalize_axis(axes[k % len(axes)], node.ndim, "roll")
        n = length(node, along)
        source = call("mod", call("arange", n) - shifts[k % len(shifts)], call("maximum", n, 1))
        node = call("take", node, source, axis=along)
    return node


def _shifts(shift: Any, axes: int) -> list[Any]:
    """One shift for each axis, or one for all. A vector of unknown length is for one axis, where it adds up."""
    if isinstance(shift, list | tuple):
        return list(shift)
    node = as_tensor(shift)
    if node.ndim > 1:
        raise ShapeError(f"roll: shift has {counted(node.ndim, 'axis')}; expected a number, or one for each axis")
    if node.ndim == 0:
        return [node]
    n = node.type.shape[0]
    if n is not None:
        return [node[k] for k in range(n)]
    if axes != 1:
        raise ShapeError(f"roll: shift is a vector of unknown length, for {counted(axes, 'axis')}; expected a tuple")
    return [call("sum", node)]
