"""Shapes, and ops that rearrange elements without computing on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from subtensor.errors import DomainError, DTypeError, ShapeError, counted
from subtensor.graph.constants import as_tensor, constant
from subtensor.graph.lengths import root
from subtensor.graph.nodes import (
    DISCONNECTED,
    Argument,
    Constant,
    Cotangent,
    Length,
    Op,
    Variable,
    call,
    define,
    mention,
    static_dims,
)
from subtensor.graph.operators import public
from subtensor.graph.types import (
    INDEX,
    Shape,
    TensorType,
    broadcast_shapes,
    is_integer,
    listed_axes,
    normalize_axes,
    normalize_axis,
)
from subtensor.ops.elementwise import cast

# --- lengths


def _length_infer(x: Argument, axis: int) -> TensorType:
    return TensorType(INDEX)


_length = define("length", infer=_length_infer, vjp=lambda g, out, x, axis: (DISCONNECTED,), fresh=True)


@public
def length(x: Any, axis: int) -> Variable:
    """The length of an axis as an int64 scalar: a constant where it is known, else read off as early as possible."""
    x = as_tensor(x)
    axis = normalize_axis(axis, x.ndim, "length")
    found = root(x, axis)
    if isinstance(found, int):
        return constant(found)
    return found if isinstance(found, Variable) else _length(found[0], axis=found[1])


def lengths(x: Variable) -> list[Variable]:
    """The length of every axis."""
    return [length(x, axis) for axis in range(x.ndim)]


@public
def shape(x: Any) -> Variable:
    """The shape of x as an int64 vector of length ``x.ndim``."""
    x = as_tensor(x)
    dims = lengths(x)
    if not dims:
        return constant([], dtype=INDEX)
    known = static_dims(dims)
    if None in known:
        return call("stack", dims)
    result = constant(known, dtype=INDEX)
    mention(result, [x])
    return result


@public
def size(x: Any, axis: int | None = None) -> Variable:
    """How many elements x has, in all or along `axis`, as an int64 scalar."""
    x = as_tensor(x)
    result = product(lengths(x)) if axis is None else length(x, normalize_axis(axis, x.ndim, "size"))
    mention(result, [x])
    return result


def product(dims: Iterable[Variable]) -> Variable:
    """The product of lengths, with the known ones multiplied out."""
    known, rest = 1, []
    for d in dims:
        if d.known is None:
            rest.append(d)
        else:
            known *= int(d.known)
    result: Variable = constant(known)
    for i, d in enumerate(rest):
        result = d if i == 0 and known == 1 else result * d
    return result


@public
def ndim(x: Any) -> int:
    """How many axes x has: known while the graph is built."""
    return as_tensor(x).ndim


def as_dims(where: str, given: Any, ndim: int | None = None) -> list[Variable]:
    """A shape given as an int, a vector, or a sequence of ints and scalars: one int64 scalar for each axis."""
    if isinstance(given, Variable) and given.ndim == 1:
        n = given.type.shape[0]
        if n is None:
            if ndim is None:
                raise ShapeError(f"{where}: the length of the shape vector {given!r} is not known; pass ndim=")
            n, given = ndim, fixed_shape(given, shape=(ndim,))
        if ndim is not None and n != ndim:
            raise ShapeError(
                f"{where}: the shape {given.label} has {counted(n, 'axis')}, but ndim={ndim}; expected equal"
            )
        if given.known is not None:
            return [_known_length(where, d) for d in given.known.tolist()]
        if not is_integer(given.dtype):
            raise DTypeError(f"{where}: {given!r} holds no lengths; expected integers")
        if given.op is not None and given.op.name == "stack":
            return [cast(d, INDEX) for d in given.inputs]
        return [given[i].astype(INDEX) for i in range(n)]
    single = not isinstance(given, Iterable) or getattr(given, "ndim", 1) == 0
    items = [given] if isinstance(given, Variable) or single else list(given)
    dims = []
    for item in items:
        d = as_tensor(item)
        if d.ndim == 1 and d.type.shape == (1,):
            d = d[0]
        if d.ndim or not is_integer(d.dtype):
            raise DTypeError(f"{where}: {d!r} is not a length; expected an integer scalar")
        dims.append(cast(d, INDEX))
    if ndim is not None and len(dims) != ndim:
        raise ShapeError(f"{where}: the shape has {counted(len(dims), 'axis')}, but ndim={ndim}; expected equal")
    return dims


def _static(d: Variable) -> int | None:
    return None if d.known is None else int(d.known)


def _known_length(where: str, d: Any) -> Variable:
    if not isinstance(d, int) or isinstance(d, bool):
        raise DTypeError(f"{where}: {d!r} is not a length; expected an integer scalar")
    return constant(d)


def _refuse_negative(where: str, dims: Sequence[Argument]) -> None:
    """Raises DomainError where a known length is negative."""
    for axis, d in enumerate(dims):
        if d.known is not None and int(d.known) < 0:
            raise DomainError(f"{where}: the length {int(d.known)} for axis {axis} is negative; expected 0 or more")


# --- reshape


def _reshape_shape(x: Argument, dims: Sequence[Argument]) -> Shape:
    asked = static_dims(dims)
    if asked.count(-1) > 1:
        raise ShapeError(f"reshape: {asked} leaves more than one length to be inferred (-1); expected at most one")
    for d in asked:
        if d is not None and d < -1:
            raise ShapeError(f"reshape: {d} is not a length; expected 0 or more, or -1 once")
    have = x.type.shape
    total = None if None in have else math.prod(d for d in have if d is not None)
    rest = [d for d in asked if d != -1]
    product = None if None in rest else math.prod(d for d in rest if d is not None)
    if product is None or total is None:
        return tuple(None if d == -1 else d for d in asked)
    if -1 in asked:
        if product == 0 and total == 0:
            raise ShapeError(f"reshape: cannot infer the length -1 in {asked} for an empty tensor; give every length")
        if product == 0 or total % product:
            raise ShapeError(f"reshape: {x.label} of shape {have} has {total} elements, which {asked} does not divide")
        return tuple(total // product if d == -1 else d for d in asked)
    if product != total:
        if isinstance(x.label, _Claim):
            raise ShapeError(x.label.refusal(total, product))
        raise ShapeError(f"reshape: {x.label} of shape {have} has {total} elements; {asked} asks for {product}")
    return asked


def _reshape_infer(x: Argument, *dims: Argument) -> TensorType:
    return x.type.with_shape(_reshape_shape(x, dims))


def _reshape_dims(axis: int, x: Variable, *dims: Variable) -> Length:
    d = dims[axis]
    if d.known is not None:  # known and still unknown statically: it is the -1
        rest = [e for i, e in enumerate(dims) if i != axis]
        if all(e.known is not None or e.op is _length for e in rest):
            return call("floor_divide", product(lengths(x)), product(rest))
        return None
    return d if d.op is _length else None  # a computed length might turn out to be -1


def _reshape_vjp(g: Variable, out: Variable, x: Variable, *dims: Variable) -> list[Cotangent]:
    return [_reshape(g, *lengths(x)), *(DISCONNECTED for _ in dims)]


_reshape = define("reshape", infer=_reshape_infer, vjp=_reshape_vjp, dims=_reshape_dims)


@public
def reshape(x: Any, shape: Any, ndim: int | None = None) -> Variable:
    """x with another shape, in C order; one length may be -1. shape: ints and scalars, or an int vector.

    Raises ShapeError where the numbers of elements differ.
    """
    node = as_tensor(x)
    dims = as_dims("reshape", shape, ndim)
    if static_dims(dims) == node.type.shape and None not in node.type.shape:
        return node
    if len(dims) == node.ndim and all(a is b for a, b in zip(dims, lengths(node), strict=True)):
        return node
    return _reshape(node, *dims)


def common_length(where: str, a: Variable, i: int, b: Variable, j: int) -> Variable:
    """The length of axis i of a and of axis j of b; raises ShapeError, as ``checked_length``, where they differ."""

    def refusal(m: int, n: int) -> str:
        return f"{where}: axis {i} of {names[0]} is {m}, axis {j} of {names[1]} is {n}; expected equal"

    names = a.label, b.label
    return checked_length(length(a, i), length(b, j), f"{where}: axis {i} of {names[0]}", refusal)


class _Claim(str):
    """The name of a vector whose length ``checked_length`` checks, and the error where it is another."""

    __slots__ = ("refusal",)
    refusal: Callable[[int, int], str]


def checked_length(have: Variable, want: Variable, name: str, refusal: Callable[[int, int], str]) -> Variable:
    """`have`, a length; where `want` is another, raises ShapeError with the text that `refusal` makes of both numbers:
    at once where they are known, else at the call.

    have may be computed: DomainError where it is negative; want is the length of something. name: of the check in the
    graph; it and the graph decide the text.
    """
    if have.known is not None and want.known is not None:
        if int(have.known) != int(want.known):
            raise ShapeError(refusal(int(have.known), int(want.known)))
        return have
    if have is want:
        return have
    claim = _Claim(name)
    claim.refusal = refusal
    vector = broadcast_to_dims(constant(False, name=claim), [have])
    vector.name = claim
    return _length(_reshape(vector, want), axis=0)  # not `length`, which would look past the check


@public
def flatten(x: Any, ndim: int = 1, outdim: int | None = None) -> Variable:
    """x with its trailing axes joined, so that `ndim` axes remain (Theano's meaning; outdim is its older name)."""
    ndim = ndim if outdim is None else outdim
    node = as_tensor(x)
    if node.ndim == ndim:
        return node
    if not 1 <= ndim <= max(node.ndim, 1):
        raise ShapeError(
            f"flatten: ndim={ndim} for {node.label} with {counted(node.ndim, 'axis')}; "
            f"expected 1 to {max(node.ndim, 1)}"
        )
    dims = lengths(node)
    return reshape(node, [*dims[: ndim - 1], product(dims[ndim - 1 :])])


@public
def ravel(x: Any) -> Variable:
    """x as a vector, in C order."""
    return flatten(x)


# --- transpose, expand_dims, squeeze


def _transpose_vjp(g: Variable, out: Variable, x: Variable, axes: tuple[int, ...]) -> list[Cotangent]:
    return [_transpose(g, axes=inverse_permutation(axes))]


_transpose = define(
    "transpose",
    infer=lambda x, axes: x.type.with_shape(x.type.shape[a] for a in axes),
    vjp=_transpose_vjp,
    dims=lambda axis, x, axes: (x, axes[axis]),
)


def inverse_permutation(axes: Sequence[int]) -> tuple[int, ...]:
    """The permutation that undoes `axes`."""
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))


@public
def transpose(x: Any, axes: Any = None) -> Variable:
    """x with its axes permuted; reversed where `axes` is None."""
    node = as_tensor(x)
    if axes is None:
        axes = range(node.ndim)[::-1]
    axes = tuple(normalize_axis(a, node.ndim, "transpose") for a in axes)
    if sorted(axes) != list(range(node.ndim)):
        raise ShapeError(
            f"transpose: {axes} does not permute the {counted(node.ndim, 'axis')} of {node.label}; "
            "expected each axis once"
        )
    if axes == tuple(range(node.ndim)):
        return node
    if node.op is _transpose:
        inner = node.params["axes"]
        return transpose(node.inputs[0], [inner[a] for a in axes])
    return _transpose(node, axes=axes)


@public
def swapaxes(x: Any, axis1: int, axis2: int) -> Variable:
    """x with two axes exchanged."""
    x = as_tensor(x)
    axes = list(range(x.ndim))
    a, b = normalize_axis(axis1, x.ndim, "swapaxes"), normalize_axis(axis2, x.ndim, "swapaxes")
    axes[a], axes[b] = axes[b], axes[a]
    return transpose(x, axes)


@public
def moveaxis(x: Any, source: Any, destination: Any) -> Variable:
    """x with axes moved to other positions; the others keep their order."""
    x = as_tensor(x)
    sources, targets = (
        [normalize_axis(a, x.ndim, "moveaxis") for a in listed_axes(given)] for given in (source, destination)
    )
    if len(sources) != len(targets):
        raise ShapeError(f"moveaxis: {len(sources)} axes of {x.label} for {len(targets)} places; expected equal")
    for axes in (sources, targets):
        normalize_axes(axes, x.ndim, "moveaxis")
    order = [a for a in range(x.ndim) if a not in sources]
    for target, source_axis in sorted(zip(targets, sources, strict=True)):
        order.insert(target, source_axis)
    return transpose(x, order)


def _expand_infer(x: Argument, axes: tuple[int, ...]) -> TensorType:
    rest = iter(x.type.shape)
    return x.type.with_shape(1 if i in axes else next(rest) for i in range(x.type.ndim + len(axes)))


def _expand_dims_dims(axis: int, x: Variable, axes: tuple[int, ...]) -> Length:
    return x, axis - sum(a < axis for a in axes)


_expand_dims = define(
    "expand_dims",
    infer=_expand_infer,
    vjp=lambda g, out, x, axes: (_squeeze(g, axes=axes),),
    dims=_expand_dims_dims,
)


@public
def expand_dims(x: Any, axis: Any) -> Variable:
    """x with axes of length 1 put in at the positions `axis` of the result."""
    x = as_tensor(x)
    given = listed_axes(axis)
    axes = normalize_axes(given, x.ndim + len(given), "expand_dims")
    return _expand_dims(x, axes=axes) if axes else x


def _squeeze_infer(x: Argument, axes: tuple[int, ...]) -> TensorType:
    for a in axes:
        if x.type.shape[a] not in (None, 1):
            raise ShapeError(f"squeeze: axis {a} of {x.label} has length {x.type.shape[a]}; expected 1")
    return x.type.with_shape(d for i, d in enumerate(x.type.shape) if i not in axes)


def _squeeze_dims(axis: int, x: Variable, axes: tuple[int, ...]) -> Length:
    return x, [i for i in range(x.ndim) if i not in axes][axis]


_squeeze: Op = define(
    "squeeze",
    infer=_squeeze_infer,
    vjp=lambda g, out, x, axes: (_expand_dims(g, axes=axes),),
    dims=_squeeze_dims,
)


@public
def squeeze(x: Any, axis: Any = None) -> Variable:
    """x without axes of length 1: those named, which must have it, else all that are known to have it."""
    x = as_tensor(x)
    axes = (
        tuple(i for i, d in enumerate(x.type.shape) if d == 1)
        if axis is None
        else normalize_axes(axis, x.ndim, "squeeze")
    )
    return _squeeze(x, axes=axes) if axes else x


@public
def dimshuffle(x: Any, *pattern: Any) -> Variable:
    """Theano's general rearrangement: axes by number in a new order, ``'x'`` for a new axis of length 1.

    Axes left out must have length 1.
    """
    x = as_tensor(x)
    if len(pattern) == 1 and isinstance(pattern[0], list | tuple):
        pattern = tuple(pattern[0])
    kept = [normalize_axis(p, x.ndim, "dimshuffle") for p in pattern if p != "x"]
    if len(set(kept)) != len(kept):
        raise ShapeError(f"dimshuffle: {pattern} repeats an axis; expected each axis at most once")
    dropped = [a for a in range(x.ndim) if a not in kept]
    y = squeeze(x, dropped) if dropped else x
    y = transpose(y, [a - sum(d < a for d in dropped) for a in kept])
    return expand_dims(y, [i for i, p in enumerate(pattern) if p == "x"])


@public
def atleast_1d(x: Any) -> Variable:
    """x, as a vector of length 1 where it is a scalar."""
    x = as_tensor(x)
    return x if x.ndim else expand_dims(x, 0)


@public
def atleast_2d(x: Any) -> Variable:
    """x with leading axes of length 1 until it has two axes."""
    x = as_tensor(x)
    return expand_dims(x, tuple(range(2 - x.ndim))) if x.ndim < 2 else x


def expand_right(x: Variable, ndim: int) -> Variable:
    """x with trailing axes of length 1, until it has `ndim`."""
    return expand_dims(x, tuple(range(x.ndim, ndim))) if ndim > x.ndim else x


@public
def shape_padleft(x: Any, n_ones: int = 1) -> Variable:
    """x with `n_ones` leading axes of length 1."""
    return expand_dims(x, tuple(range(n_ones)))


@public
def shape_padright(x: Any, n_ones: int = 1) -> Variable:
    """x with `n_ones` trailing axes of length 1."""
    x = as_tensor(x)
    return expand_dims(x, tuple(range(x.ndim, x.ndim + n_ones)))


# --- broadcast_to


def _broadcast_infer(x: Argument, *dims: Argument) -> TensorType:
    target = static_dims(dims)
    _refuse_negative(x.label if isinstance(x.label, _Claim) else "broadcast_to", dims)
    if x.type.ndim > len(target):
        raise ShapeError(
            f"broadcast_to: {x.label} has {counted(x.type.ndim, 'axis')}, the target shape only {len(target)}"
        )
    lead = len(target) - x.type.ndim
    for axis, have in enumerate(x.type.shape):
        want = target[lead + axis]
        if have not in (None, 1) and want is not None and want != have:
            raise ShapeError(
                f"broadcast_to: axis {axis} of {x.label} has length {have}, which cannot become {want}; "
                "expected equal lengths or 1"
            )
    return x.type.with_shape(
        have if want is None and have not in (None, 1) else want
        for have, want in zip((None,) * lead + x.type.shape, target, strict=True)
    )


def _broadcast_vjp(g: Variable, out: Variable, x: Variable, *dims: Variable) -> list[Cotangent]:
    return [call("sum_to_shape_of", g, x), *(DISCONNECTED for _ in dims)]


_broadcast_to = define(
    "broadcast_to", infer=_broadcast_infer, vjp=_broadcast_vjp, dims=lambda axis, x, *dims: dims[axis]
)


@public
def broadcast_to(x: Any, shape: Any, ndim: int | None = None) -> Variable:
    """x repeated along axes of length 1 and new leading ones, to `shape`; raises ShapeError where it cannot be."""
    x = as_tensor(x)
    return broadcast_to_dims(x, as_dims("broadcast_to", shape, ndim))


def broadcast_to_dims(x: Variable, dims: Sequence[Variable]) -> Variable:
    """``broadcast_to`` for lengths given as nodes; x itself where nothing changes."""
    if len(dims) == x.ndim and all(a is b for a, b in zip(dims, lengths(x), strict=True)):
        return x
    return _broadcast_to(x, *dims)


def broadcast_dims_of(*xs: Variable) -> list[Variable]:
    """The lengths of the broadcast of several nodes."""
    dims: list[Variable] = []
    ndim = max(x.ndim for x in xs)
    static = broadcast_shapes("broadcast", [x.type.shape for x in xs], lambda: [x.label for x in xs])
    for axis in range(ndim):
        known = static[axis]
        if known is not None:
            dims.append(constant(known))
            continue
        candidates: list[Variable] = []
        for x in xs:
            at = axis - ndim + x.ndim
            if at >= 0 and x.type.shape[at] != 1 and length(x, at) not in candidates:
                candidates.append(length(x, at))
        d = candidates[0]
        for other in candidates[1:]:
            d = call("where", call("equal", d, 1), other, d)
        dims.append(d)
    return dims


@public
def broadcast_arrays(*xs: Any) -> list[Variable]:
    """Each tensor broadcast to the common shape of all."""
    nodes = [as_tensor(x) for x in xs]
    dims = broadcast_dims_of(*nodes)
    return [broadcast_to_dims(x, dims) for x in nodes]


# --- identity with a name


@public
def identity(x: Any, name: str | None = None) -> Variable:
    """x itself: nodes are immutable, so a copy would be the same. `name` is given where there is none."""
    node = as_tensor(x)
    if isinstance(node, Constant):
        return node if name is None else constant(node, name)
    if name is not None and node.name is None:
        node.name = name
    return node


# --- a promise about a shape, checked at run time


def _fixed_shape_infer(x: Argument, shape: Shape) -> TensorType:
    for axis, (have, want) in enumerate(zip(x.type.shape, shape, strict=True)):
        if have is not None and want is not None and have != want:
            raise ShapeError(f"axis {axis} of {x.label} is {have}; expected {want}, and shape {shape}")
    return x.type.with_shape(want if have is None else have for have, want in zip(x.type.shape, shape, strict=True))


fixed_shape = define(
    "fixed_shape",
    infer=_fixed_shape_infer,
    vjp=lambda g, out, x, shape: [g],
    dims=lambda axis, x, shape: (x, axis),
)
"""``fixed_shape(x; shape)``: x itself, of the static shape given; raises ShapeError where it has another."""


@public
def specify_shape(x: Any, shape: Any) -> Variable:
    """x, of whose shape more is known: what is said is checked while the graph is built, or at the call.

    shape: a length for each axis, an int or an integer scalar, or None to leave it open, ``...`` for several of those;
    or a vector of lengths; or one length for a vector. Raises ShapeError where x has another shape, DTypeError for what
    are no lengths.
    """
    x = as_tensor(x)
    label = x.label
    given: list[Any]
    if isinstance(shape, Variable) and shape.ndim:
        given = list(as_dims("specify_shape", shape, x.ndim))
    else:
        single = not isinstance(shape, Iterable) or getattr(shape, "ndim", 1) == 0
        given = [
            d if d is None or d is Ellipsis else as_dims("specify_shape", [d])[0]
            for d in ([shape] if single else shape)
        ]
    if Ellipsis in given:
        at = given.index(Ellipsis)
        given[at : at + 1] = [None] * (x.ndim - len(given) + 1)
    if len(given) != x.ndim:
        raise ShapeError(
            f"specify_shape: {counted(len(given), 'axis')} given for {label}, which has {x.ndim}; expected equal"
        )
    _refuse_negative("specify_shape", [d for d in given if d is not None])
    static = tuple(None if d is None else _static(d) for d in given)
    if any(d not in (None, have) for d, have in zip(static, x.type.shape, strict=True)):
        x = fixed_shape(x, shape=static)

    return of_lengths("specify_shape", x, given)


def of_lengths(where: str, x: Variable, dims: Sequence[Variable | None]) -> Variable:
    """x, whose lengths are `dims`, as far as they are given; raises ShapeError, at once or at the call, where not."""
    label = x.label

    def checked(axis: int, d: Variable | None) -> Variable:
        def refusal(want: int, have: int) -> str:
            return f"{where}: axis {axis} of {label} is {have}; expected {want}"

        have = length(x, axis)
        return have if d is None else checked_length(d, have, f"{where}: axis {axis} of {label}", refusal)

    return reshape(x, [checked(axis, d) for axis, d in enumerate(dims)])
