"""Special functions that XLA has not, and that JAX has in its newer versions only."""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np
from jax import lax

from subtensor_jax.arithmetic import Array, where

_EDGE, _DEPTH = 4.0, 50
"""From where the continued fraction is taken, which has converged there at this depth."""


def erfcx(x: Array) -> Array:
    """``exp(x * x) * erfc(x)``, within a dozen units in the last place.

    As it stands up to 4, with the square as a sum of two numbers; beyond by Laplace's continued fraction (DLMF 7.9.1);
    below 0 by ``erfcx(x) + erfcx(-x) = 2 exp(x * x)``.
    """
    if x.dtype == np.float16:
        return lax.convert_element_type(erfcx(lax.convert_element_type(x, np.dtype(np.float32))), x.dtype)
    size = lax.abs(x)
    near, far = jnp.minimum(size, 30), jnp.maximum(size, _EDGE)  # 30: beyond it the square overflows anyway
    head = lax.reduce_precision(near, *((11, 25) if x.dtype == np.float64 else (8, 11)))  # its square is exact
    square = jnp.exp(head * head) * (1 + jnp.expm1((near - head) * (near + head)))
    fraction = far
    for k in range(_DEPTH, 0, -1):
        fraction = far + (k / 2) / fraction
    above = where(size < _EDGE, square * lax.erfc(near), (1 / math.sqrt(math.pi)) / fraction)
    return where(x < 0, 2 * square - above, above)
