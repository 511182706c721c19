"""Rounding to 16 bits up or down at random, so that what is too small to be seen is not lost on average."""

from __future__ import annotations

from typing import Any

from subtensor.errors import DTypeError
from subtensor.graph.constants import as_tensor, constant
from subtensor.graph.nodes import Variable, call
from subtensor.graph.types import HALVES, as_dtype
from subtensor.ops.elementwise import cast
from subtensor.ops.shape import lengths
from subtensor.random.draws import unit

_HALF_STEP = {"float16": (2.0**-11, 2.0**-25), "bfloat16": (2.0**-8, 0.0)}
"""Half the distance of neighbouring numbers, at most: relative to them, and at least."""


def stochastic_round(key: Any, x: Any, dtype: Any) -> Variable:
    """`x` as float16 or bfloat16: one of the two neighbours, the nearer one with the greater probability, so that the
    mean over keys is x.

    key: of ``st.random.key``, or made of one. x: floats of any shape, taken as float32. What is a number of `dtype`,
    infinite or NaN stays. The same key gives the same result on every backend. Raises DTypeError for other dtypes.
    """
    x = cast(as_tensor(x), "float32")
    return rounded_by(unit(key, lengths(x), "float32"), x, as_dtype(dtype))


def rounded_by(u: Variable, x: Variable, dtype: str) -> Variable:
    """``stochastic_round`` of float32 `x` by numbers u in [0, 1), of its shape."""
    if dtype not in HALVES:
        raise DTypeError(f"stochastic_round: {dtype} is not a dtype of 16 bits; expected {' or '.join(HALVES)}")
    relative, least = _HALF_STEP[dtype]
    near = cast(x, dtype)
    at = cast(near, "float32")
    size = call("abs", x)
    # from x half a step to a step away from what is nearest: what is nearest to that is the neighbour on its other side
    way = call("maximum", size * constant(relative, dtype="float32"), constant(least, dtype="float32"))
    towards = call("where", call("abs", at) <= size, way, -way) * call("sign", x)
    other = cast(x + towards, dtype)
    share = (x - at) / (cast(other, "float32") - at)
    return call("where", u < share, other, near)
