"""Philox-4x64-10, with the upper half of a product of 64-bit integers made of products of 32-bit halves.

Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import lax

from subtensor.errors import DTypeError
from subtensor.ops.philox import MULTIPLIERS, ROUNDS, UNIT, WEYL, WIDTHS
from subtensor_jax.arithmetic import Array, broadcast, full_like

_LOW = (1 << 32) - 1
_AT_ONCE = 2
"""Rounds in one turn of the loop. The loop keeps XLA from computing all rounds again for each word of a block."""


def _word(value: int) -> Array:
    return np.asarray(value, np.uint64)


def _times(multiplier: int, x: Array) -> tuple[Array, Array]:
    """The upper and the lower 64 bits of a product."""
    low, high = _word(multiplier & _LOW), _word(multiplier >> 32)
    x_low, x_high = x & _word(_LOW), x >> _word(32)
    cross = x_low * high
    middle = ((x_low * low) >> _word(32)) + (cross & _word(_LOW)) + x_high * low
    return x_high * high + (cross >> _word(32)) + (middle >> _word(32)), x * _word(multiplier)


def _blocks(key: Array, count: int, part: int, before: Array | None) -> tuple[Array, ...]:
    """The words of the blocks 1 to `count`, or as many behind the first ones: four vectors."""
    if key.dtype != np.uint64:
        raise DTypeError(
            "random: keys are uint64, but 64-bit types are off in JAX; switch them on with "
            "jax.config.update('jax_enable_x64', True)"
        )
    more = [lax.index_in_dim(key, i, keepdims=False) for i in range(2, len(key))]
    rest = [*more, *([_word(0)] * (2 - len(more))), _word(part)]
    first = lax.iota(np.dtype(np.uint64), count) + _word(1)
    first = first if before is None else first + before
    counter = (first, *(broadcast(c, (count,)) for c in rest))

    def turn(_: Array, state: tuple[tuple[Array, ...], Array, Array]) -> tuple[tuple[Array, ...], Array, Array]:
        (c0, c1, c2, c3), k0, k1 = state
        for _ in range(_AT_ONCE):
            (high0, low0), (high2, low2) = _times(MULTIPLIERS[0], c0), _times(MULTIPLIERS[1], c2)
            c0, c1, c2, c3 = high2 ^ c1 ^ k0, low2, high0 ^ c3 ^ k1, low0
            k0, k1 = k0 + _word(WEYL[0]), k1 + _word(WEYL[1])
        return (c0, c1, c2, c3), k0, k1

    k0, k1 = (lax.index_in_dim(key, i, keepdims=False) for i in range(2))
    words: tuple[Array, ...] = lax.fori_loop(0, ROUNDS // _AT_ONCE, turn, (counter, k0, k1))[0]
    return words


def random_bits(key: Array, dims: Sequence[int], dtype: str, part: int, skipped: Array | None = None) -> Array:
    """The words of a key as elements of a shape, lower bits first. skipped: how many elements come before, uint64."""
    shape, kind, width = tuple(dims), np.dtype(dtype), WIDTHS[dtype]
    if min(shape, default=0) < 0:
        raise ValueError(f"random_bits: negative length in {shape}")
    count = math.prod(shape)
    if not count:
        return lax.full(shape, 0, kind)
    each = 256 // width
    more = 0 if skipped is None else 1
    words = _blocks(jnp.asarray(key), -(-count // each) + more, part, None if skipped is None else skipped // each)
    pieces = [lax.convert_element_type(w >> _word(k), kind) for w in words for k in range(0, 64, width)]
    flat = jnp.reshape(jnp.stack(pieces, 1), -1)
    if skipped is None:
        return jnp.reshape(flat[:count], shape)
    return jnp.reshape(lax.dynamic_slice(flat, [skipped % each], [count]), shape)


def random_unit(key: Array, dims: Sequence[int], dtype: str, part: int, skipped: Array | None = None) -> Array:
    """Floats in [0, 1)."""
    kind, digits = UNIT[dtype]
    drawn = random_bits(key, dims, kind, part, skipped)
    upper = lax.shift_right_logical(drawn, broadcast(full_like(drawn, WIDTHS[kind] - digits), drawn.shape))
    return lax.convert_element_type(upper, np.dtype(dtype)) * np.asarray(0.5**digits, dtype)
