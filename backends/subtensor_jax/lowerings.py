"""How JAX computes each op: ``LOWERINGS[name](*arrays, **params)``, while a program is traced.

Arguments have the dtypes that the frontend decided; nothing here promotes. Ops that need more than their arguments (a
length that must be known, the bounds of an index) are in ``tracing``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import jax.scipy.special as jax_special
import numpy as np
from jax import lax

from subtensor.errors import Unsupported
from subtensor.graph.types import INDEX
from subtensor_jax import arithmetic, special
from subtensor_jax.arithmetic import Array, broadcast, dtype_of, full_like, spread
from subtensor_jax.philox import random_bits, random_unit
from subtensor_jax.runs import run_places, spread_rows

ELEMENTWISE: Mapping[str, Callable[..., Array]] = {
    "neg": arithmetic.negate,
    "abs": arithmetic.absolute,
    "sign": arithmetic.sign,
    "exp": lax.exp,
    "exp2": lax.exp2,
    "expm1": lax.expm1,
    "log": lax.log,
    "log1p": lax.log1p,
    "sqrt": lax.sqrt,
    "sin": lax.sin,
    "cos": lax.cos,
    "tan": lax.tan,
    "arcsin": lax.asin,
    "arccos": lax.acos,
    "arctan": lax.atan,
    "sinh": lax.sinh,
    "cosh": lax.cosh,
    "tanh": lax.tanh,
    "arcsinh": lax.asinh,
    "arccosh": lax.acosh,
    "arctanh": lax.atanh,
    "erf": lax.erf,
    "erfc": lax.erfc,
    "erfinv": lax.erf_inv,
    "gammaln": arithmetic.gammaln,
    "digamma": arithmetic.digamma,
    "polygamma": arithmetic.polygamma,
    "erfcx": special.erfcx,
    "ndtri": jax_special.ndtri,
    "gammainc": spread(lax.igamma),
    "gammaincc": spread(lax.igammac),
    "betainc": spread(lax.betainc),
    "i0e": lax.bessel_i0e,
    "i1e": lax.bessel_i1e,
    "floor": lax.floor,
    "ceil": lax.ceil,
    "trunc": arithmetic.truncate,
    "rint": partial(lax.round, rounding_method=lax.RoundingMethod.TO_NEAREST_EVEN),
    "invert": lax.bitwise_not,
    "add": arithmetic.add,
    "subtract": spread(lax.sub),
    "multiply": arithmetic.multiply,
    "divide": spread(lax.div),
    "floor_divide": arithmetic.floor_divide,
    "mod": arithmetic.modulo,
    "power": arithmetic.power,
    "maximum": arithmetic.maximum,
    "minimum": arithmetic.minimum,
    "arctan2": spread(lax.atan2),
    "less": spread(lax.lt),
    "less_equal": spread(lax.le),
    "equal": spread(lax.eq),
    "and": spread(lax.bitwise_and),
    "or": spread(lax.bitwise_or),
    "xor": spread(lax.bitwise_xor),
    "left_shift": arithmetic.left_shift,
    "right_shift": arithmetic.right_shift,
    "where": arithmetic.where,
    "cast": arithmetic.cast,
}


def log2(x: Array) -> Array:
    return lax.div(lax.log(x), broadcast(full_like(x, math.log(2)), x.shape))


def log10(x: Array) -> Array:
    return lax.div(lax.log(x), broadcast(full_like(x, math.log(10)), x.shape))


def copy(x: Array) -> Array:
    """x as an output with a buffer of its own."""
    return jnp.array(x, copy=True)


# --- reductions and scans


def total(x: Array, axes: tuple[int, ...]) -> Array:
    return jnp.any(x, axes) if x.dtype == bool else jnp.sum(x, axes, dtype=x.dtype)


def product(x: Array, axes: tuple[int, ...]) -> Array:
    return jnp.all(x, axes) if x.dtype == bool else jnp.prod(x, axes, dtype=x.dtype)


def _extremum(reduce: Callable[..., Array], x: Array, axes: tuple[int, ...]) -> Array:
    if any(x.shape[a] == 0 for a in axes):
        raise ValueError("there is nothing to reduce")
    rest = tuple(d for i, d in enumerate(x.shape) if i not in axes)
    return lax.full(rest, 0, x.dtype) if 0 in rest else reduce(x, axes)


def largest(x: Array, axes: tuple[int, ...]) -> Array:
    return _extremum(jnp.max, x, axes)


def smallest(x: Array, axes: tuple[int, ...]) -> Array:
    return _extremum(jnp.min, x, axes)


def _position(find: Callable[..., Array], x: Array, axis: int) -> Array:
    if not x.shape[axis]:
        raise ValueError("there is nothing to look through")
    rest = (*x.shape[:axis], *x.shape[axis + 1 :])
    if 0 in rest:
        return lax.full(rest, 0, dtype_of(INDEX))
    if x.dtype == bool:
        x = lax.convert_element_type(x, np.dtype("uint8"))
    return find(x, axis, dtype_of(INDEX))


def argmax(x: Array, axis: int) -> Array:
    return _position(lax.argmax, x, axis)


def argmin(x: Array, axis: int) -> Array:
    return _position(lax.argmin, x, axis)


def cumsum(x: Array, axis: int) -> Array:
    return lax.cumsum(x, axis)


def cumprod(x: Array, axis: int) -> Array:
    return lax.cumprod(x, axis)


# --- products


def matmul(a: Array, b: Array) -> Array:
    if a.dtype == bool:
        return lax.gt(_counted(jnp.matmul, a, b), np.int32(0))
    return jnp.matmul(a, b, precision="highest", preferred_element_type=a.dtype)


def einsum(a: Array, b: Array, spec: str) -> Array:
    """A binary contraction."""
    left, right = spec.partition("->")[0].split(",")
    if any(letter in right and a.shape[i] != b.shape[right.index(letter)] for i, letter in enumerate(left)):
        raise ValueError(f"einsum: {spec} of shapes {a.shape} and {b.shape}")  # jnp would repeat an axis of length 1
    if a.dtype == bool:
        return lax.gt(_counted(partial(jnp.einsum, spec), a, b), np.int32(0))
    short = _short_axis(a, b, spec)
    if short is not None:
        return _added_up(a, b, spec, short)
    return jnp.einsum(spec, a, b, precision="highest", preferred_element_type=a.dtype)


_SHORT = 8
_LARGE = 1 << 19


def _short_axis(a: Array, b: Array, spec: str) -> str | None:
    """The letter of a short axis that is all that is summed over, where one operand has every axis of the result.

    Such sums of weighted rows are batches of tiny products, which XLA does one by one on a CPU: written as a few
    products and sums of whole arrays they take less than half of the time.
    """
    taken, result = spec.split("->")
    left, right = taken.split(",")
    summed = {*left} & {*right} - {*result}
    if len(summed) != 1 or jax.default_backend() != "cpu":
        return None
    (letter,) = summed
    axes = {*result, letter}
    widest = max(a, b, key=lambda x: x.ndim)
    plain = len(axes) == widest.ndim and {*left} | {*right} == axes and all(len({*s}) == len(s) for s in (left, right))
    short = 0 < a.shape[left.index(letter)] <= _SHORT
    return letter if plain and short and widest.size * widest.dtype.itemsize >= _LARGE else None


def _added_up(a: Array, b: Array, spec: str, letter: str) -> Array:
    """A contraction over one letter, as a sum over its positions, in order."""
    taken, result = spec.split("->")
    left, right = taken.split(",")
    total: Array | None = None
    for k in range(a.shape[left.index(letter)]):
        x, y = (_laid_out(v, axes, letter, k, result) for v, axes in ((a, left), (b, right)))
        total = arithmetic.multiply(x, y) if total is None else arithmetic.add(total, arithmetic.multiply(x, y))
    assert total is not None
    return total


def _laid_out(x: Array, axes: str, letter: str, k: int, result: str) -> Array:
    """x at position k of one axis, with its other axes where `result` has them."""
    x = lax.index_in_dim(x, k, axes.index(letter), keepdims=False)
    rest = axes.replace(letter, "")
    x = lax.transpose(x, [rest.index(c) for c in result if c in rest])
    return lax.expand_dims(x, [n for n, c in enumerate(result) if c not in rest])


def conv(x: Array, w: Array, strides: tuple[int, ...], dilations: tuple[int, ...]) -> Array:
    """XLA's own convolution, with nothing padded and nothing flipped."""
    spans = [d * (k - 1) + 1 for k, d in zip(w.shape[2:], dilations, strict=True)]
    if x.shape[1] != w.shape[1] or 0 in w.shape[2:] or any(s > n for s, n in zip(spans, x.shape[2:], strict=True)):
        raise ValueError(f"conv: shapes {x.shape} and {w.shape}, dilations {dilations}")
    given = {"rhs_dilation": dilations, "precision": "highest", "preferred_element_type": x.dtype}
    return lax.conv_general_dilated(x, w, strides, [(0, 0)] * len(spans), **given)


def _counted(product: Callable[..., Array], a: Array, b: Array) -> Array:
    return product(lax.convert_element_type(a, np.int32), lax.convert_element_type(b, np.int32))


# --- order


def argsort(x: Array, axis: int) -> Array:
    return lax.convert_element_type(jnp.argsort(x, axis=axis, stable=True), dtype_of(INDEX))


def sort(x: Array, axis: int) -> Array:
    return lax.sort(x, dimension=axis)


def searchsorted(a: Array, v: Array, side: str) -> Array:
    return lax.convert_element_type(jnp.searchsorted(a, v, side=side), dtype_of(INDEX))


def last_occurrence(keys: Array) -> Array:
    """Whether no later element is equal."""
    n = keys.shape[0]
    if n == 0:
        return lax.full((0,), False, np.dtype(bool))
    places = lax.iota(dtype_of(INDEX), n)
    ordered, order = lax.sort((lax.convert_element_type(keys, keys.dtype), places), num_keys=1, is_stable=True)
    ends = lax.concatenate([lax.ne(ordered[1:], ordered[:-1]), lax.full((1,), True, np.dtype(bool))], 0)
    return lax.full((n,), False, np.dtype(bool)).at[order].set(ends, unique_indices=True, mode="promise_in_bounds")


# --- shapes


def concatenate(*xs: Array, axis: int) -> Array:
    return lax.concatenate([lax.convert_element_type(x, x.dtype) for x in xs], axis)


def stack(*xs: Array) -> Array:
    return lax.concatenate([lax.expand_dims(x, (0,)) for x in xs], 0)


def ifelse(condition: Array, x: Array, y: Array) -> Array:
    """x or y, of one shape: the other one was not computed, and is zero."""
    if x.shape != y.shape:
        raise Unsupported("ifelse", f"the JAX backend chooses between values of one shape, not {x.shape} and {y.shape}")
    return lax.select(jnp.asarray(condition), jnp.asarray(x), jnp.asarray(y))


def transpose(x: Array, axes: tuple[int, ...]) -> Array:
    return lax.transpose(x, axes)


def expand_dims(x: Array, axes: tuple[int, ...]) -> Array:
    return lax.expand_dims(x, axes)


def squeeze(x: Array, axes: tuple[int, ...]) -> Array:
    return lax.squeeze(x, axes)


def reshape(x: Array, dims: Sequence[int]) -> Array:
    return jnp.reshape(x, tuple(dims))


def broadcast_to(x: Array, dims: Sequence[int]) -> Array:
    if min(dims, default=0) < 0:
        raise ValueError(f"broadcast_to: negative length in {tuple(dims)}")
    return broadcast(x, tuple(dims))


def sum_to(g: Array, dims: Sequence[int]) -> Array:
    """`g` summed over leading axes, and over those that `dims` has with length 1 and g has not."""
    shape = tuple(dims)
    lead = g.ndim - len(shape)
    axes = tuple(range(lead)) + tuple(i for i in range(lead, g.ndim) if shape[i - lead] == 1 and g.shape[i] != 1)
    result = total(g, axes) if axes else g
    if tuple(1 if i in axes else d for i, d in enumerate(g.shape) if i >= lead) != shape:
        raise ValueError(f"sum_to: {g.shape} does not reduce to {shape}")
    return jnp.reshape(result, shape)


def fitting_mask(mask: Array, dims: Sequence[int]) -> Array:
    if mask.shape != tuple(dims):
        raise IndexError(f"mask of shape {mask.shape} for axes of lengths {tuple(dims)}")
    return mask


def fixed_shape(x: Array, shape: Sequence[int | None]) -> Array:
    if any(want is not None and want != have for have, want in zip(x.shape, shape, strict=True)):
        raise ValueError(f"shape {x.shape} where {shape} was promised")
    return x


LOWERINGS: Mapping[str, Callable[..., Array]] = {
    **ELEMENTWISE,
    "log2": log2,
    "log10": log10,
    "copy": copy,
    "sum": total,
    "prod": product,
    "max": largest,
    "min": smallest,
    "argmax": argmax,
    "argmin": argmin,
    "cumsum": cumsum,
    "cumprod": cumprod,
    "concatenate": concatenate,
    "stack": stack,
    "matmul": matmul,
    "einsum": einsum,
    "conv": conv,
    "sort": sort,
    "searchsorted": searchsorted,
    "last_occurrence": last_occurrence,
    "run_places": run_places,
    "spread_rows": spread_rows,
    "ifelse": ifelse,
    "transpose": transpose,
    "expand_dims": expand_dims,
    "squeeze": squeeze,
    "fixed_shape": fixed_shape,
}

SHAPED: Mapping[str, Callable[..., Array]] = {
    "reshape": reshape,
    "broadcast_to": broadcast_to,
    "sum_to": sum_to,
    "fitting_mask": fitting_mask,
    "random_bits": random_bits,
    "random_unit": random_unit,
}
"""Ops of a tensor and of lengths that must be known when the program is traced: ``(array, lengths, **params)``."""
