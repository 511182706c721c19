"""Elementwise arithmetic with NumPy's conventions, where XLA's differ.

Operands have one dtype and broadcast as in NumPy; nothing here promotes. Sources of the conventions: NumPy's loops for
``floor_divide`` and ``remainder`` (``npy_math``), and C's ``pow``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Array = Any
"""A traced array, a ``jax.Array``, or a NumPy array."""


def dtype_of(name: str) -> np.dtype[Any]:
    """The dtype of a name: itself where 64-bit types are on, else its 32-bit counterpart."""
    return np.dtype(jax.dtypes.canonicalize_dtype(name))


def full_like(x: Array, value: float) -> Array:
    """`value` as a 0-d array of x's dtype."""
    return np.asarray(value, x.dtype)


def broadcast(x: Array, shape: tuple[int, ...]) -> Array:
    """x stretched to `shape`, as NumPy does; raises ValueError where it cannot be."""
    have = np.shape(x)
    if have == shape:
        return x
    lead = len(shape) - len(have)
    if lead < 0 or any(h not in (1, w) for h, w in zip(have, shape[lead:], strict=True)):
        raise ValueError(f"an array of shape {have} does not broadcast to {shape}")
    kept = [i for i, (h, w) in enumerate(zip(have, shape[lead:], strict=True)) if h == w]
    if len(kept) != len(have):
        x = lax.squeeze(x, [i for i in range(len(have)) if i not in kept])
    return lax.broadcast_in_dim(x, shape, [lead + i for i in kept])


def together(*xs: Array) -> tuple[Array, ...]:
    """Operands broadcast to a common shape."""
    first = np.shape(xs[0])
    if all(np.shape(x) == first for x in xs[1:]):
        return xs
    shape = np.broadcast_shapes(*(np.shape(x) for x in xs))
    return tuple(broadcast(x, shape) for x in xs)


def spread(op: Callable[..., Array]) -> Callable[..., Array]:
    """An operation on equal shapes as one that broadcasts."""

    def broadcasting(*xs: Array) -> Array:
        return op(*together(*xs))

    return broadcasting


def where(condition: Array, x: Array, y: Array) -> Array:
    """`x` where `condition`, else `y`."""
    condition, x, y = together(condition, x, y)
    return lax.select(condition, x, y)


def is_unsigned(x: Array) -> bool:
    """Whether x holds no negative numbers by its dtype."""
    return x.dtype.kind in "bu"


def negate(x: Array) -> Array:
    """``-x``; unsigned integers wrap around."""
    return lax.neg(x)


def absolute(x: Array) -> Array:
    """``abs(x)``; bools and unsigned integers are their own."""
    return x if is_unsigned(x) else lax.abs(x)


def sign(x: Array) -> Array:
    """-1, 0 or 1; NaN stays; the sign of -0.0 is 0.0, as in NumPy."""
    zero, one = full_like(x, 0), full_like(x, 1)
    positive = where(lax.gt(x, broadcast(zero, x.shape)), one, zero)
    if is_unsigned(x):
        return positive
    result = where(lax.lt(x, broadcast(zero, x.shape)), full_like(x, -1), positive)
    return where(lax.ne(x, x), x, result) if x.dtype.kind == "f" else result


def truncate(x: Array) -> Array:
    """Towards zero; keeps the sign of zero."""
    return where(lax.lt(x, broadcast(full_like(x, 0), x.shape)), lax.ceil(x), lax.floor(x))


def add(x: Array, y: Array) -> Array:
    """``x + y``; for bools, or."""
    x, y = together(x, y)
    return lax.bitwise_or(x, y) if x.dtype == bool else lax.add(x, y)


def multiply(x: Array, y: Array) -> Array:
    """``x * y``; for bools, and."""
    x, y = together(x, y)
    return lax.bitwise_and(x, y) if x.dtype == bool else lax.mul(x, y)


def maximum(x: Array, y: Array) -> Array:
    """The larger; NaN where there is one."""
    x, y = together(x, y)
    return lax.max(x, y)


def minimum(x: Array, y: Array) -> Array:
    """The smaller; NaN where there is one."""
    x, y = together(x, y)
    return lax.min(x, y)


def _zeros(x: Array) -> Array:
    return broadcast(full_like(x, 0), x.shape)


def floor_divide(x: Array, y: Array) -> Array:
    """``x // y``: integers divided by zero give 0; floats follow ``npy_floor_divide``."""
    x, y = together(x, y)
    zero, one = _zeros(x), full_like(x, 1)
    by_zero = lax.eq(y, zero)
    if x.dtype.kind in "iu":
        safe = where(by_zero, one, y)
        quotient = lax.div(x, safe)
        if x.dtype.kind == "i":
            rest = lax.rem(x, safe)
            down = lax.bitwise_and(lax.ne(rest, zero), lax.ne(lax.lt(rest, zero), lax.lt(safe, zero)))
            quotient = where(down, lax.sub(quotient, broadcast(one, x.shape)), quotient)
        return where(by_zero, zero, quotient)
    rest = lax.rem(x, y)
    quotient = lax.div(lax.sub(x, rest), y)
    down = lax.bitwise_and(lax.ne(rest, zero), lax.ne(lax.lt(rest, zero), lax.lt(y, zero)))
    quotient = where(down, lax.sub(quotient, broadcast(one, x.shape)), quotient)
    floored = lax.floor(quotient)
    near = lax.gt(lax.sub(quotient, floored), broadcast(full_like(x, 0.5), x.shape))
    floored = where(near, lax.add(floored, broadcast(one, x.shape)), floored)
    exact = lax.div(x, y)
    signed_zero = where(lax.lt(exact, zero), full_like(x, -0.0), where(lax.eq(exact, zero), exact, full_like(x, 0)))
    result = where(lax.eq(quotient, zero), signed_zero, floored)
    return where(by_zero, exact, result)


def modulo(x: Array, y: Array) -> Array:
    """``x % y``, with the sign of y: integers modulo zero give 0; floats follow ``npy_remainder``."""
    x, y = together(x, y)
    zero = _zeros(x)
    if x.dtype.kind in "iu":
        by_zero = lax.eq(y, zero)
        safe = where(by_zero, full_like(x, 1), y)
        rest = lax.rem(x, safe)
        if x.dtype.kind == "i":
            wrong = lax.bitwise_and(lax.ne(rest, zero), lax.ne(lax.lt(rest, zero), lax.lt(safe, zero)))
            rest = where(wrong, lax.add(rest, safe), rest)
        return where(by_zero, zero, rest)
    rest = lax.rem(x, y)
    wrong = lax.bitwise_and(lax.ne(rest, zero), lax.ne(lax.lt(rest, zero), lax.lt(y, zero)))
    result = where(wrong, lax.add(rest, y), rest)
    signed_zero = where(lax.lt(y, zero), full_like(x, -0.0), full_like(x, 0))
    return where(lax.eq(rest, zero), signed_zero, result)


def power(x: Array, y: Array) -> Array:
    """``x ** y``; integers wrap around, and their exponents are not negative (checked elsewhere)."""
    is_root = isinstance(y, np.ndarray | np.generic) and y.size == 1 and y.item() == 0.5
    x, y = together(x, y)
    if x.dtype.kind in "iu":
        return _integer_power(x, y)
    return lax.sqrt(x) if is_root else lax.pow(x, y)  # as NumPy; they differ at -inf and -0.0


def _integer_power(x: Array, y: Array) -> Array:
    """By repeated squaring, until no exponent has a bit left."""
    if 0 in x.shape:
        return x
    zero, one = _zeros(y), broadcast(full_like(y, 1), y.shape)
    shift = lax.shift_right_logical if is_unsigned(y) else lax.shift_right_arithmetic

    def more(state: tuple[Array, Array, Array]) -> Array:
        return lax.gt(lax.reduce_max(state[2], range(y.ndim)), full_like(y, 0))

    def step(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        result, base, exponent = state
        odd = lax.ne(lax.bitwise_and(exponent, one), zero)
        return lax.select(odd, lax.mul(result, base), result), lax.mul(base, base), shift(exponent, one)

    ones = lax.full(x.shape, 1, x.dtype)
    result, _, _ = lax.while_loop(more, step, (ones, jnp.asarray(x), jnp.asarray(y)))
    return result


def left_shift(x: Array, y: Array) -> Array:
    """``x << y``; 0 where y is as large as the width."""
    x, y = together(x, y)
    return lax.shift_left(x, y)


def right_shift(x: Array, y: Array) -> Array:
    """``x >> y``; 0 or -1 where y is as large as the width."""
    x, y = together(x, y)
    return lax.shift_right_logical(x, y) if is_unsigned(x) else lax.shift_right_arithmetic(x, y)


def gammaln(x: Array) -> Array:
    """The logarithm of the absolute value of gamma; -inf at -inf, as in SciPy."""
    lowest = broadcast(full_like(x, -math.inf), x.shape)
    return where(lax.eq(x, lowest), lowest, lax.lgamma(x))


def digamma(x: Array) -> Array:
    """The derivative of log gamma; the pole at 0 is signed, as in SciPy."""
    at_zero = lax.eq(x, _zeros(x))
    negative = lax.lt(lax.div(broadcast(full_like(x, 1), x.shape), x), _zeros(x))
    pole = where(negative, full_like(x, math.inf), full_like(x, -math.inf))
    return where(at_zero, pole, lax.digamma(x))


def polygamma(n: Array, x: Array) -> Array:
    """The n-th derivative of digamma; n = 0 is digamma itself."""
    n, x = together(n, x)
    itself = lax.eq(n, _zeros(n))
    infinite = lax.eq(x, broadcast(full_like(x, math.inf), x.shape))
    derivative = lax.polygamma(where(itself, full_like(n, 1), n), where(infinite, full_like(x, 1), x))
    return where(itself, digamma(x), where(infinite, full_like(x, 0), derivative))


def cast(x: Array, dtype: str) -> Array:
    """x as `dtype`; what is not 0 is True."""
    target = dtype_of(dtype)
    if x.dtype == bool and target.kind == "f":
        # XLA takes a product with a converted bool for a choice, by which False times NaN would be 0
        return where(x, np.ones((), target), np.zeros((), target))
    if x.dtype == np.float64 and target == np.float16:
        x = _to_odd(x)
    if target.name == "bfloat16":  # which XLA would leave out where it is cast back
        x = lax.reduce_precision(x, exponent_bits=8, mantissa_bits=7)
    return lax.convert_element_type(x, target)


def _to_odd(x: Array) -> Array:
    """float64 as the float32 towards 0, with the last bit set where digits are lost: a rounding after that is right.

    XLA goes from float64 to float16 by way of float32, and rounds twice. Boldo and Melquiond, "When double rounding is
    odd", 2005.
    """
    near = lax.convert_element_type(x, np.dtype(np.float32))
    back = lax.convert_element_type(near, np.dtype(np.float64))
    bits = lax.bitcast_convert_type(near, np.dtype(np.int32))
    one = np.ones((), np.int32)
    down = where(lax.gt(lax.abs(back), lax.abs(x)), bits - one, bits)
    odd = where(lax.ne(back, x), down | one, bits)
    return where(lax.ne(x, x), near, lax.bitcast_convert_type(odd, np.dtype(np.float32)))
