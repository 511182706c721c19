"""Pooling over the last two or three axes.

Windows are reads at index arrays, or a reshaping where they touch and do not overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from subtensor.errors import DomainError, ShapeError, Unsupported, counted
from subtensor.graph.constants import as_tensor, constant
from subtensor.graph.nodes import Variable, call
from subtensor.graph.operators import public
from subtensor.graph.types import is_float, is_integer
from subtensor.ops.convolution import per_axis
from subtensor.ops.elementwise import cast, select
from subtensor.ops.shape import expand_dims, length, lengths, reshape

MODES = ("max", "sum", "average_inc_pad", "average_exc_pad")


def _windows(have: Variable, size: int, stride: int, pad: int, ignore_border: bool) -> Any:
    """How many windows there are along an axis."""
    if ignore_border:
        n = call("maximum", (have + (2 * pad - size)) // stride + 1, 0)
    elif stride >= size:
        n = (have - 1) // stride + 1
    else:
        n = call("maximum", (have - 1 - size + stride) // stride, 0) + 1
    known = n.known
    return n if known is None else constant(int(known))


def _least(dtype: str) -> Any:
    """What is no more than any number of a dtype."""
    if is_float(dtype):
        return float("-inf")
    bits = int(dtype.lstrip("uint") or 1)
    return -(1 << (bits - 1)) if is_integer(dtype) and not dtype.startswith("u") else 0


def _apart(x: Variable, first: int, sizes: Sequence[int], counts: Sequence[Any]) -> Variable:
    """x cut into windows that touch: each axis becomes two, of windows and within one."""
    parts = tuple(slice(0, n * size) for n, size in zip(counts, sizes, strict=True))
    cut = x[(slice(None),) * first + parts]
    dims = [d for n, size in zip(counts, sizes, strict=True) for d in (n, constant(size))]
    return reshape(cut, [*lengths(x)[:first], *dims])


def _pooled(
    where: str, input: Any, ws: Any, ignore_border: Any, stride: Any, pad: Any, mode: str, count: int
) -> Variable:
    x = as_tensor(input)
    if x.ndim < count:
        raise ShapeError(f"{where}: {x.label} has {counted(x.ndim, 'axis')}; expected at least {count}")
    if mode not in MODES:
        raise DomainError(f"{where}: mode={mode!r}; expected one of {', '.join(MODES)}")
    sizes = per_axis(where, "ws", ws, count, 1)
    strides = sizes if stride is None else per_axis(where, "stride", stride, count, 1)
    pads = per_axis(where, "pad", pad, count, 0)
    ignoring = bool(ignore_border)
    if any(pads) and not ignoring:
        raise Unsupported(f"{where}: pad={pad!r} with ignore_border=False is not supported; use ignore_border=True")
    if any(p >= size for p, size in zip(pads, sizes, strict=True)):
        raise ShapeError(f"{where}: pad={pad!r}; expected less than the window, {sizes}: one would see nothing else")
    if mode.startswith("average") and not is_float(x.dtype):
        x = cast(x, "float64")
    first = x.ndim - count
    counts = [
        _windows(length(x, first + i), sizes[i], strides[i], pads[i], ignoring) for i in range(count)
    ]  # each axis by itself
    within = tuple(first + 2 * i + 1 for i in range(count))
    if ignoring and strides == sizes and not any(pads):
        return _reduced(_apart(x, first, sizes, counts), within, mode, [constant(s) for s in sizes])

    key: list[Any] = [slice(None)] * first
    inside: Variable | None = None
    shares: list[Variable] = []
    for i in range(count):
        have = length(x, first + i)
        at = expand_dims(call("arange", counts[i]) * strides[i] - pads[i], 1) + call("arange", sizes[i])
        around = tuple(a for a in range(2 * count) if a not in (2 * i, 2 * i + 1))
        if ignoring and not pads[i]:
            shares.append(constant(sizes[i]))
        else:
            there = (at >= 0) & (at < have)
            whole = ignoring and mode == "average_inc_pad"
            shares.append(constant(sizes[i]) if whole else _along(call("sum", there, 1), i, count))
            wide = expand_dims(there, around)
            inside = wide if inside is None else inside & wide
            at = call("clip", at, 0, call("maximum", have - 1, 0))
        key.append(expand_dims(at, around))
    read = x[tuple(key)]
    if inside is not None:
        read = select(inside, read, cast(_least(x.dtype) if mode == "max" else 0, x.dtype))
    return _reduced(read, within, mode, shares)


def _along(n: Variable, i: int, count: int) -> Variable:
    """A number for each window along one of the pooled axes, to broadcast against the result."""
    return n if n.ndim == 0 else expand_dims(n, tuple(a for a in range(count) if a != i))


def _reduced(read: Variable, within: tuple[int, ...], mode: str, shares: Sequence[Variable]) -> Variable:
    """Windows reduced to a number each; shares: how many elements each has, by axis."""
    if mode == "max":
        return call("max", read, within)
    total = call("sum", read, within, read.dtype)
    if mode == "sum":
        return total
    size = shares[0]
    for each in shares[1:]:
        size = size * each
    return total / cast(size, read.dtype)


def _settings(where: str, ws: Any, ds: Any, stride: Any, st: Any, pad: Any, padding: Any) -> tuple[Any, Any, Any]:
    """The window, the stride and the zeros, by their new names or their old ones."""
    size = ds if ws is None else ws
    if size is None:
        raise ShapeError(f"{where}: no window was given; expected ws, its lengths")
    zeros = padding if pad is None else pad
    return size, (st if stride is None else stride), (0 if zeros is None else zeros)


@public
def pool_2d(
    input: Any,
    ws: Any = None,
    ignore_border: bool | None = None,
    stride: Any = None,
    pad: Any = None,
    mode: str = "max",
    ds: Any = None,
    st: Any = None,
    padding: Any = None,
) -> Variable:
    """Windows over the last two axes reduced to a number each: Theano's ``signal.pool.pool_2d``.

    input: (…, rows, columns). ws: the lengths of a window; stride: from one to the next, ws if not given.
    ignore_border: leave out windows that reach beyond the end; else (the default) they have what is there. pad: how
    many elements that do not count stand before and after, less than the window. mode: 'max', 'sum', 'average_inc_pad'
    (divided by the size of the window, `pad` included) or 'average_exc_pad' (by how many elements are there). Equal
    largest elements share the gradient of 'max'. ds, st and padding are older names of ws, stride and pad.
    """
    size, step, zeros = _settings("pool_2d", ws, ds, stride, st, pad, padding)
    return _pooled("pool_2d", input, size, ignore_border, step, zeros, mode, 2)


@public
def pool_3d(
    input: Any,
    ws: Any = None,
    ignore_border: bool | None = None,
    stride: Any = None,
    pad: Any = None,
    mode: str = "max",
    ds: Any = None,
    st: Any = None,
    padding: Any = None,
) -> Variable:
    """Windows over the last three axes reduced to a number each, as ``pool_2d``."""
    size, step, zeros = _settings("pool_3d", ws, ds, stride, st, pad, padding)
    return _pooled("pool_3d", input, size, ignore_border, step, zeros, mode, 3)


@public
def max_pool_2d(
    input: Any, ds: Any, ignore_border: bool | None = None, st: Any = None, padding: Any = (0, 0), mode: str = "max"
) -> Variable:
    """``pool_2d`` with the names that Theano's ``signal.downsample`` has for its arguments."""
    return pool_2d(input, ds, ignore_border, st, padding, mode)
