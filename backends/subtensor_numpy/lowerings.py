"""How NumPy computes each op: ``LOWERINGS[name](*arrays, **params)``.

Arguments have the dtypes that the frontend decided; nothing here promotes. Ops that need more than a function of
their arguments (indexing, shapes) are written out by ``emit``.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from subtensor_numpy.philox import random_bits, random_unit, within
from subtensor_numpy.runs import row_numbers, run_places, run_starts, run_sums, spread_rows
from subtensor_numpy.scatter import check_range

Array = np.ndarray[Any, np.dtype[Any]]

UFUNCS: Mapping[str, Callable[..., Any]] = {
    "neg": np.negative,
    "abs": np.abs,
    "sign": np.sign,
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "arcsin": np.arcsin,
    "arccos": np.arccos,
    "arctan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "arcsinh": np.arcsinh,
    "arccosh": np.arccosh,
    "arctanh": np.arctanh,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "rint": np.rint,
    "invert": np.invert,
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "floor_divide": np.floor_divide,
    "mod": np.mod,
    "power": np.power,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "arctan2": np.arctan2,
    "less": np.less,
    "less_equal": np.less_equal,
    "equal": np.equal,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "left_shift": np.left_shift,
    "right_shift": np.right_shift,
    "matmul": np.matmul,
}

ELEMENTWISE = frozenset({*UFUNCS, "where", "cast", "spread_rows"} - {"matmul"})
"""Ops that are computed row by row, into new memory."""

NEVER_IN_PLACE = ("neg",)
"""NumPy 2.4 gives wrong values where ``negative`` writes over a strided argument."""

SCIPY = (
    "erf", "erfc", "erfcx", "erfinv", "ndtri", "gammaln", "digamma", "polygamma", "gammainc", "gammaincc", "betainc",
    "i0e", "i1e",
)  # fmt: skip
"""Ops that ``scipy.special`` computes; it is imported when one is first compiled."""


@cache
def special(name: str) -> Callable[..., Any]:
    """A function of ``scipy.special`` that keeps its argument's dtype."""
    function = getattr(importlib.import_module("scipy.special"), name)

    def lowered(*args: Array) -> Any:
        return np.asarray(function(*args)).astype(args[-1].dtype, copy=False)

    return lowered


def rows_at(x: Array, positions: Array) -> Array:
    """``x[positions]``. ``take`` is faster, but makes a copy of all of x first where x is a view with gaps."""
    return x.take(positions, 0) if x.flags.c_contiguous else x[positions]


def elements_at(x: Array, key: tuple[Any, ...]) -> Any:
    """``x[key]`` for index arrays; raises IndexError for any position that is out of range.

    NumPy looks at no position where the arrays broadcast to nothing; 2.0 also where there are slices of nothing.
    """
    found = x[key]
    if not found.size:
        for axis, part in enumerate(key):
            if not isinstance(part, slice):
                check_range(np.asarray(part), x.shape[axis])
    return found


def where(condition: Array, x: Array, y: Array) -> Any:
    return np.where(condition, x, y)


def cast(x: Array, dtype: str) -> Any:
    x = np.asarray(x)
    ends = _ENDS.get(dtype) if x.dtype.kind == "f" else None
    if ends is None or not x.size or (ends[0] <= x.min() and x.max() < ends[1]):
        return x.astype(dtype)
    # What does not fit, NaN included, C leaves to the machine: by processor, vector unit and place in the array.
    wide = x.astype(np.float64)
    low, high = wide < ends[0], wide >= ends[1]
    kept = np.where(low | high | np.isnan(wide), 0.0, wide).astype(dtype)
    info = np.iinfo(dtype)
    return np.where(high, kept.dtype.type(info.max), np.where(low, kept.dtype.type(info.min), kept))


_ENDS = {
    f"{sign}int{bits}": (0.0 if sign else -(2.0 ** (bits - 1)), 2.0 ** (bits if sign else bits - 1))
    for sign in ("", "u")
    for bits in (8, 16, 32, 64)
}
"""For integer dtypes: from where, and up to where, floats fit."""


def copy(x: Array) -> Array:
    return np.array(x, order="C")


def product(x: Array, axes: tuple[int, ...]) -> Any:
    return np.multiply.reduce(x, axis=axes, dtype=x.dtype)


def largest(x: Array, axes: tuple[int, ...]) -> Any:
    return np.maximum.reduce(x, axis=axes)


def smallest(x: Array, axes: tuple[int, ...]) -> Any:
    return np.minimum.reduce(x, axis=axes)


def cumsum(x: Array, axis: int) -> Any:
    return np.cumsum(x, axis=axis, dtype=x.dtype)


def cumprod(x: Array, axis: int) -> Any:
    return np.cumprod(x, axis=axis, dtype=x.dtype)


def sum_to(g: Array, *dims: int) -> Any:
    """`g` summed over leading axes, and over those that `dims` has with length 1 and g has not."""
    if g.shape == dims:
        return g
    lead = g.ndim - len(dims)
    axes = tuple(range(lead)) + tuple(i for i in range(lead, g.ndim) if dims[i - lead] == 1 and g.shape[i] != 1)
    result = np.add.reduce(g, axis=axes, keepdims=True) if axes else g
    if result.shape[lead:] != dims:
        raise ValueError(f"sum_to: {g.shape} does not reduce to {dims}")
    return result.reshape(dims)


def concatenate(*xs: Array, axis: int) -> Array:
    return np.concatenate(xs, axis=axis)


def stack(*xs: Array) -> Array:
    return np.array(xs)


def einsum(a: Array, b: Array, spec: str) -> Any:
    """A binary contraction: a matrix product where it is one, which is much faster."""
    for i, j in _shared_axes(spec):
        if a.shape[i] != b.shape[j]:  # NumPy would repeat an axis of length 1
            raise ValueError(f"einsum: {spec} of shapes {a.shape} and {b.shape}")
    plan = _as_matmul(spec)
    if plan is not None and a.dtype.kind == "f":
        flip_a, flip_b = plan
        return np.matmul(a.T if flip_a else a, b.T if flip_b else b)
    return np.asarray(np.einsum(spec, a, b))


def conv(x: Array, w: Array, strides: tuple[int, ...], dilations: tuple[int, ...]) -> Any:
    """Sums over windows, which are views, as one product of matrices; raises ValueError where a filter is too long."""
    spatial = tuple(range(2, x.ndim))
    if x.shape[1] != w.shape[1]:  # NumPy would repeat one channel
        raise ValueError(f"conv: {x.shape[1]} channels and filters of {w.shape[1]}")
    spans = tuple(d * (k - 1) + 1 for k, d in zip(w.shape[2:], dilations, strict=True))
    windows = np.lib.stride_tricks.sliding_window_view(x, spans, spatial)
    every = (slice(None),) * 2
    windows = windows[(*every, *(slice(None, None, s) for s in (*strides, *dilations)))]
    taps = tuple(range(x.ndim, windows.ndim))
    return np.moveaxis(np.tensordot(windows, w, ((1, *taps), (1, *spatial))), -1, 1)


@cache
def _shared_axes(spec: str) -> tuple[tuple[int, int], ...]:
    """The axes of both operands that have one label."""
    a, b = spec.partition("->")[0].split(",")
    return tuple((i, b.index(letter)) for i, letter in enumerate(a) if letter in b)


@cache
def _as_matmul(spec: str) -> tuple[bool, bool] | None:
    """Which operands to transpose so that a contraction of two matrices is ``a @ b``."""
    terms, out = spec.split("->")
    a, b = terms.split(",")
    if not len(a) == len(b) == len(out) == 2 or out[0] not in a or out[1] not in b:
        return None
    (inner,) = set(a) - {out[0]} or {""}
    if inner not in b or inner in out or out[0] in b or out[1] in a:
        return None
    return a[0] == inner, b[1] == inner


def argsort(x: Array, axis: int) -> Any:
    if x.ndim == 1 and x.dtype == np.int64 and len(x) > 1:
        bits = (len(x) - 1).bit_length()
        if x.min() >= 0 and x.max() < 1 << (63 - bits):
            # key and position sorted as one number: twice as fast for a thousand, eight times for many
            packed = (x << bits) | np.arange(len(x))
            packed.sort()
            return packed & ((1 << bits) - 1)
    return np.argsort(x, axis=axis, kind="stable")


def sort(x: Array, axis: int) -> Any:
    """Stable: 0.0 and -0.0 are equal, and keep their order.

    NumPy's default leaves that open, and settles it by version and vector unit. For other equals, which are the same to
    the bit, its default is faster, but for integers of 8 and 16 bits, where a stable sort goes by radix.
    """
    mixed = np.signbit(x[x == 0]).any() if x.dtype.kind == "f" else x.itemsize <= 2
    return np.sort(x, axis=axis, kind="stable" if mixed else None)


def searchsorted(a: Array, v: Array, side: Any) -> Any:
    return np.searchsorted(a, v, side=side).astype(np.int64, copy=False)


def argmax(x: Array, axis: int) -> Any:
    return np.argmax(x, axis=axis)


def argmin(x: Array, axis: int) -> Any:
    return np.argmin(x, axis=axis)


def arange(start: Any, stop: Any, step: Any) -> Any:
    return np.arange(start, stop, step, dtype=np.asarray(start).dtype)


def flatnonzero(mask: Array) -> Array:
    return np.flatnonzero(mask)


def last_occurrence(keys: Array) -> Array:
    """Whether no later element is equal."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    ends = np.ones(len(keys), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=ends[:-1])
    result = np.empty(len(keys), bool)
    result[order] = ends
    return result


def transpose(x: Array, axes: tuple[int, ...]) -> Array:
    return x.transpose(axes)


def expand_dims(x: Array, axes: tuple[int, ...]) -> Array:
    return np.expand_dims(x, axes)


def squeeze(x: Array, axes: tuple[int, ...]) -> Any:
    return np.squeeze(x, axes)


_COPY_UP_TO = 4096


def broadcast_to(x: Array, *dims: int) -> Array:
    """x stretched to `dims`; small results are written out, which is faster than a view of strides 0."""
    size = 1
    for d in dims:
        size *= d
    if size > _COPY_UP_TO:
        return np.broadcast_to(x, dims)
    result = np.empty(dims, x.dtype)
    result[...] = x
    return result


def fitting_mask(mask: Array, *dims: int) -> Array:
    if mask.shape != dims:
        raise IndexError(f"mask of shape {mask.shape} for axes of lengths {dims}")
    return mask


def fixed_shape(x: Array, shape: Sequence[int | None]) -> Array:
    if any(want is not None and want != have for have, want in zip(x.shape, shape, strict=True)):
        raise ValueError(f"shape {x.shape} where {shape} was promised")
    return x


def assume_unique(ids: Array, checked: bool) -> Array:
    if checked and (len(np.unique(ids)) < ids.size or (ids.size and ids.min() < 0 <= ids.max())):
        raise ValueError("positions are not distinct")
    return ids


def range_diagonal(
    x: Array, count: Array, axes: tuple[int, int], start: tuple[int, int], step: tuple[int, int]
) -> Array:
    a, b = axes
    key: list[Any] = [slice(None)] * x.ndim
    key[a], key[b] = slice(start[0], None, step[0]), slice(start[1], None, step[1])
    n = int(count)
    found = x[tuple(key)].diagonal(0, a, b)[..., :n]
    if found.shape[-1] != n:
        raise IndexError(f"diagonal: {n} elements of an array of shape {x.shape}")
    return np.moveaxis(found, -1, a if b == a + 1 else 0) if x.ndim > 2 else found


LOWERINGS: Mapping[str, Callable[..., Any]] = {
    **UFUNCS,
    "where": where,
    "cast": cast,
    "copy": copy,
    "prod": product,
    "max": largest,
    "min": smallest,
    "argmax": argmax,
    "argmin": argmin,
    "cumsum": cumsum,
    "cumprod": cumprod,
    "sum_to": sum_to,
    "concatenate": concatenate,
    "stack": stack,
    "einsum": einsum,
    "conv": conv,
    "sort": sort,
    "argsort": argsort,
    "searchsorted": searchsorted,
    "arange": arange,
    "flatnonzero": flatnonzero,
    "last_occurrence": last_occurrence,
    "row_numbers": row_numbers,
    "run_starts": run_starts,
    "run_places": run_places,
    "run_sums": run_sums,
    "spread_rows": spread_rows,
    "transpose": transpose,
    "expand_dims": expand_dims,
    "squeeze": squeeze,
    "broadcast_to": broadcast_to,
    "fitting_mask": fitting_mask,
    "fixed_shape": fixed_shape,
    "assume_unique": assume_unique,
    "range_diagonal": range_diagonal,
    "random_bits": random_bits,
    "random_unit": random_unit,
    "within": within,
}
