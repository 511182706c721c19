"""Convolutions over one, two or three axes: one op, whose gradients are the op again, or sums of its terms.

``conv(x, w; strides, dilations)``: x (n, c, *lengths), w (k, c, *sizes); out[n, k, i…] is the sum over c and j… of
``x[n, c, i * stride + j * dilation …] * w[k, c, j…]``. Nothing is padded and nothing is flipped: that is done before.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from subtensor.errors import ShapeError, Unsupported, counted
from subtensor.graph.constants import promoted, refuse_masked
from subtensor.graph.cost import Cost
from subtensor.graph.nodes import Argument, Cotangent, Length, Variable, axis_label, call, define
from subtensor.graph.operators import public
from subtensor.graph.types import INDEX, Dim, TensorType
from subtensor.ops.elementwise import cast
from subtensor.ops.joining import concatenate, flip
from subtensor.ops.shape import length, lengths, specify_shape, swapaxes

Steps = tuple[int, ...]


def _places(have: Dim, size: Dim, stride: int, dilation: int) -> Dim:
    return None if have is None or size is None else (have - dilation * (size - 1) - 1) // stride + 1


def _infer(x: Argument, w: Argument, strides: Steps, dilations: Steps) -> TensorType:
    (n, c, *have), (k, c2, *sizes) = x.type.shape, w.type.shape
    if c is not None and c2 is not None and c != c2:
        raise ShapeError(f"conv: {axis_label(x, 1)} is {c}, {axis_label(w, 1)} is {c2}; expected as many channels")
    places = []
    for axis, (d, size, stride, dilation) in enumerate(zip(have, sizes, strides, dilations, strict=True), 2):
        if size == 0:
            raise ShapeError(f"conv: {axis_label(w, axis)} is 0; expected a filter of at least one element")
        if d is not None and size is not None and d < dilation * (size - 1) + 1:
            raise ShapeError(
                f"conv: {axis_label(x, axis)} is {d}, padding included, and the filter reaches over "
                f"{dilation * (size - 1) + 1}; expected no more: pad the input, or take a smaller filter"
            )
        places.append(_places(d, size, stride, dilation))
    return x.type.with_shape((n, k, *places))


def _span(w: Variable, axis: int, dilation: int) -> Any:
    """Over how many elements a filter reaches, as a number where it is known."""
    size = length(w, axis)
    return dilation * (int(size.known) - 1) + 1 if size.known is not None else (size - 1) * dilation + 1


def _number(n: Any) -> Any:
    return int(n.known) if isinstance(n, Variable) and n.known is not None else n


def _dims(axis: int, x: Variable, w: Variable, strides: Steps, dilations: Steps) -> Length:
    if axis < 2:
        return (w if axis else x), 0
    places: Variable = (length(x, axis) - _span(w, axis, dilations[axis - 2])) // strides[axis - 2] + 1
    return places


def _within(x: Variable, dims: Sequence[Any], parts: Sequence[slice]) -> Variable:
    """Zeros of lengths `dims`, with x in a part of them."""
    written: Variable = call("zeros", dims, x.dtype)[tuple(parts)].set(x)
    return written


def _few_places(out: Variable, x: Variable) -> bool:
    """Whether filters lie at far fewer places than the input has: where they are nearly as wide, or steps are long."""
    have, places = x.type.shape[2:], out.type.shape[2:]
    return None not in (*have, *places) and prod(have) > _FEW * prod(places)  # type: ignore[arg-type]  # all are known


_FEW = 8


def _spread(g: Variable, x: Variable, w: Variable, strides: Steps, dilations: Steps) -> Variable:
    """The gradient with respect to x: g with its strides filled up with zeros, under the filters turned round."""
    spatial = range(2, x.ndim)
    reach = [_span(w, axis, d) - 1 for axis, d in zip(spatial, dilations, strict=True)]
    spread = [(length(g, axis) - 1) * s + 1 for axis, s in zip(spatial, strides, strict=True)]
    parts = [slice(None)] * 2 + [slice(r, r + m, s) for r, m, s in zip(reach, spread, strides, strict=True)]
    wide = _within(g, [*lengths(g)[:2], *(m + 2 * r for m, r in zip(spread, reach, strict=True))], parts)
    gx = _conv(wide, flip(swapaxes(w, 0, 1), tuple(spatial)), strides=(1,) * len(strides), dilations=dilations)
    if any(s > 1 for s in strides):  # what no filter has reached
        used = [slice(None)] * 2 + [slice(0, m + r) for m, r in zip(spread, reach, strict=True)]
        gx = _within(gx, lengths(x), used)
    return gx


def _folded(g: Variable, x: Variable, w: Variable, strides: Steps, dilations: Steps) -> Variable:
    """The same, as the sum of what each place sends to the elements that it reads: in as many terms as it has those."""
    key, places, taps, read = _reading(x, w, strides, dilations)
    terms = call("einsum", f"nk{places},kc{taps}->nc{read}", g, w)
    made: Variable = call("zeros", lengths(x), g.dtype)[key].inc(terms)
    return made


def _vjp(g: Variable, out: Variable, x: Variable, w: Variable, strides: Steps, dilations: Steps) -> list[Cotangent]:
    spatial = range(2, x.ndim)
    gx = _folded(g, x, w, strides, dilations) if _few_places(out, x) else _spread(g, x, w, strides, dilations)
    # with respect to w: items of the batch are the channels, and g is the filter
    gw = swapaxes(_conv(swapaxes(x, 0, 1), swapaxes(g, 0, 1), strides=dilations, dilations=strides), 0, 1)
    if any(s > 1 for s in strides):
        gw = gw[(slice(None), slice(None), *(slice(0, length(w, axis)) for axis in spatial))]
    return [gx, gw]


def _reading(x: Variable, w: Variable, strides: Steps, dilations: Steps) -> tuple[tuple[Any, ...], str, str, str]:
    """Which elements are read, as an index of x; the labels of places, of a filter's elements, and of both in turn."""
    key: list[Any] = [slice(None)] * 2
    count = len(strides)
    for i, axis in enumerate(range(2, x.ndim)):
        n = call("maximum", _dims(axis, x, w, strides, dilations), 1)  # too few would be out of bounds
        at = call("expand_dims", call("arange", n) * strides[i], 1) + call("arange", length(w, axis)) * dilations[i]
        around = [a for a in range(2 * count) if a not in (2 * i, 2 * i + 1)]
        key.append(call("expand_dims", at, tuple(around)) if around else at)
    places, taps = "pqr"[:count], "uvw"[:count]
    return tuple(key), places, taps, "".join(a + b for a, b in zip(places, taps, strict=True))


def _expand(x: Variable, w: Variable, strides: Steps, dilations: Steps) -> Variable:
    key, places, taps, read = _reading(x, w, strides, dilations)
    made: Variable = call("einsum", f"nc{read},kc{taps}->nk{places}", x[key], w)
    return made


_conv = define(
    "conv",
    infer=_infer,
    vjp=_vjp,
    expand=_expand,
    dims=_dims,
    fresh=True,
    cost=Cost(computes="0.3 * out.size * w.shape[1] * w.shape[-1]"),
)


def per_axis(where: str, what: str, value: Any, count: int, least: int) -> Steps:
    """An int for each axis, given as one for all or as a sequence; raises ShapeError for anything else."""
    refuse_masked(value, f"{where}: {what}")
    given = (value,) * count if isinstance(value, int) else value
    try:
        numbers = tuple(int(_number(v)) for v in given)
    except (TypeError, ValueError):
        numbers = ()
    if len(numbers) != count or any(n < least for n in numbers):
        raise ShapeError(
            f"{where}: {what}={value!r}; expected an int of at least {least}, or {counted(count, 'int')} of them"
        )
    return numbers


def _pads(where: str, border_mode: Any, w: Variable, dilations: Steps) -> list[tuple[Any, Any]]:
    """Zeros before and after along each axis."""
    count = len(dilations)
    spans = [_span(w, axis, d) for axis, d in enumerate(dilations, 2)]
    if border_mode == "valid":
        return [(0, 0)] * count
    if border_mode == "full":
        return [(s - 1, s - 1) for s in spans]
    if border_mode == "half":
        return [(s // 2, s // 2) for s in spans]
    given = (border_mode,) * count if isinstance(border_mode, int) else border_mode
    if isinstance(given, str) or not isinstance(given, Sequence) or len(given) != count:
        raise ShapeError(
            f"{where}: border_mode={border_mode!r}; expected 'valid', 'full', 'half', an int, or for each of "
            f"{counted(count, 'axis')} an int or a pair of ints"
        )
    pads = []
    for each in given:
        pair = (each, each) if isinstance(each, int) else tuple(each)
        pads.append((per_axis(where, "border_mode", pair, 2, 0)[0], per_axis(where, "border_mode", pair, 2, 0)[1]))
    return pads


def padded(x: Variable, pads: Sequence[tuple[Any, Any]]) -> Variable:
    """x with zeros before and after along its last axes."""
    if all(isinstance(p, int) and p == 0 for pair in pads for p in pair):
        return x
    first = x.ndim - len(pads)
    dims, parts = lengths(x)[:first], [slice(None)] * first
    for axis, (before, after) in enumerate(pads, first):
        dims.append(_number(length(x, axis)) + (before + after))
        parts.append(slice(before, length(x, axis) + before))
    return _within(x, dims, parts)


def convolved(
    where: str,
    inputs: Any,
    filters: Any,
    shapes: tuple[Any, Any],
    border_mode: Any,
    subsample: Any,
    filter_flip: bool,
    filter_dilation: Any,
    num_groups: int,
    count: int,
) -> Variable:
    """A convolution over `count` axes with Theano's arguments."""
    x, w = promoted(where, inputs, filters)
    for node, what, lead in ((x, "input", "(batch, channels"), (w, "filters", "(filters, channels")):
        if node.ndim != count + 2:
            raise ShapeError(
                f"{where}: the {what} {node.label} has {counted(node.ndim, 'axis')}; expected {count + 2}: {lead}, "
                + ("rows, columns)" if count == 2 else "depth, rows, columns)")
            )
    if x.dtype == "bool":
        x, w = cast(x, INDEX), cast(w, INDEX)
    x, w = (
        node if shape is None else specify_shape(node, [None if d is None else _number(d) for d in shape])
        for node, shape in zip((x, w), shapes, strict=True)
    )
    strides = per_axis(where, "subsample", subsample, count, 1)
    dilations = per_axis(where, "filter_dilation", filter_dilation, count, 1)
    (groups,) = per_axis(where, "num_groups", num_groups, 1, 1)
    wide = padded(x, _pads(where, border_mode, w, dilations))
    if filter_flip:
        w = flip(w, tuple(range(2, w.ndim)))
    if groups == 1:
        return _conv(wide, w, strides=strides, dilations=dilations)
    each = length(w, 1)
    share = length(w, 0) // groups
    if length(w, 0).known is not None and int(length(w, 0).known) % groups:  # type: ignore[arg-type]  # known
        raise ShapeError(f"{where}: {axis_label(w, 0)} is {length(w, 0).label}; expected a multiple of {groups} groups")
    return concatenate(
        [
            _conv(
                wide[:, each * i : each * (i + 1)],
                w[share * i : share * (i + 1)],
                strides=strides,
                dilations=dilations,
            )
            for i in range(groups)
        ],
        1,
    )


def refuse_unshared(where: str, unshared: bool) -> None:
    """Raises Unsupported for filters that are not shared by all places."""
    if unshared:
        raise Unsupported(
            f"{where}: unshared=True: filters that differ from place to place are not supported; "
            "read the places with x[…, rows, columns] and use st.einsum"
        )


@public
def conv2d(
    input: Any,
    filters: Any,
    input_shape: Any = None,
    filter_shape: Any = None,
    border_mode: Any = "valid",
    subsample: Any = (1, 1),
    filter_flip: bool = True,
    image_shape: Any = None,
    filter_dilation: Any = (1, 1),
    num_groups: int = 1,
    unshared: bool = False,
) -> Variable:
    """Images convolved with filters: Theano's ``nnet.conv2d``.

    input: (batch, channels, rows, columns); filters: (k, channels / num_groups, rows, columns); the result is (batch,
    k, rows, columns). border_mode: 'valid', only where the filter lies within the image; 'full', wherever they touch;
    'half', as many as in the image, for odd filters; or zeros on either side: an int, an int for each axis, or a pair
    for each. subsample: the step between places. filter_flip: turn filters round, as a convolution does; else it is a
    correlation. input_shape (or image_shape) and filter_shape: lengths, None where unknown, which are checked.
    Raises ShapeError for a filter that reaches over more than the image with its zeros.
    """
    refuse_unshared("conv2d", unshared)
    shapes = (image_shape if input_shape is None else input_shape), filter_shape
    return convolved(
        "conv2d", input, filters, shapes, border_mode, subsample, filter_flip, filter_dilation, num_groups, 2
    )


@public
def conv3d(
    input: Any,
    filters: Any,
    input_shape: Any = None,
    filter_shape: Any = None,
    border_mode: Any = "valid",
    subsample: Any = (1, 1, 1),
    filter_flip: bool = True,
    filter_dilation: Any = (1, 1, 1),
    num_groups: int = 1,
) -> Variable:
    """Volumes convolved with filters, as ``conv2d``: input (batch, channels, depth, rows, columns)."""
    shapes = input_shape, filter_shape
    return convolved(
        "conv3d", input, filters, shapes, border_mode, subsample, filter_flip, filter_dilation, num_groups, 3
    )
