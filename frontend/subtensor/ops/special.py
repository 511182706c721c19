"""Elementwise functions that expand into core ops, with gradients of their own where those are more stable."""

from __future__ import annotations

import math
from typing import Any

from subtensor.constants import as_tensor, constant, promoted
from subtensor.graph import Op, Variable
from subtensor.operators import call, public, publish
from subtensor.ops.elementwise import (
    cast,
    common_float,
    divide,
    elementwise,
    exp,
    log,
    log1p,
    maximum,
    multiply,
    polygamma,
    where,
)
from subtensor.types import float_dtype, is_discrete, is_float


def _float_unary(op: Op, summary: str, *aliases: str) -> None:
    def function(x: Any) -> Variable:
        x = as_tensor(x)
        return op(cast(x, float_dtype(x.dtype)))

    function.__name__ = op.name
    function.__doc__ = f"{summary} x: any shape; returns the same shape."
    publish(op.name, function, *aliases)


log2 = elementwise("log2", lambda g, out, x: (g / (x * math.log(2)),), expand=lambda x: log(x) * (1 / math.log(2)))
log10 = elementwise("log10", lambda g, out, x: (g / (x * math.log(10)),), expand=lambda x: log(x) * (1 / math.log(10)))
exp2 = elementwise("exp2", lambda g, out, x: (g * out * math.log(2),), expand=lambda x: exp(x * math.log(2)))
sigmoid = elementwise(
    "sigmoid",
    lambda g, out, x: (g * out * (1 - out),),
    expand=lambda x: 1 / (exp(-x) + 1),
)
softplus = elementwise(
    "softplus",
    lambda g, out, x: (g * sigmoid(x),),
    expand=lambda x: maximum(x, constant(0, dtype=x.dtype)) + log1p(exp(-abs(x))),
)
_float_unary(log2, "Elementwise logarithm to base 2.")
_float_unary(log10, "Elementwise logarithm to base 10.")
_float_unary(exp2, "Elementwise power of 2.")
_float_unary(sigmoid, "``1 / (1 + exp(-x))``, without overflow.", "expit")
_float_unary(softplus, "``log(1 + exp(x))``, without overflow.")


def _logaddexp_expand(x: Variable, y: Variable) -> Variable:
    apart = x - y
    apart = where(call("isnan", apart) & call("equal", x, y), 0, apart)  # equal infinities
    return maximum(x, y) + log1p(exp(-abs(apart)))


logaddexp_op = elementwise(
    "logaddexp",
    lambda g, out, x, y: (g * exp(_away(x, out)), g * exp(_away(y, out))),
    expand=_logaddexp_expand,
)


def _away(x: Variable, out: Variable) -> Variable:
    """``x - out``, and 0 where both are the same infinity."""
    return where(call("equal", x, out), 0, x - out)


@public
def logaddexp(x: Any, y: Any) -> Variable:
    """``log(exp(x) + exp(y))`` without overflow."""
    return logaddexp_op(*common_float(x, y))


@public
def log1mexp(x: Any) -> Variable:
    """``log(1 - exp(x))`` for x < 0, accurate at both ends (Mächler, 2012)."""
    (x,) = common_float(x)
    near = x > -math.log(2)
    return where(
        near,
        log(-call("expm1", where(near, x, -1))),
        log1p(-exp(where(near, -1, x))),
    )


@public(aliases=("sqr",))
def square(x: Any) -> Variable:
    """``x * x``."""
    x = as_tensor(x)
    if x.dtype == "bool":
        x = cast(x, "int8")
    return multiply(x, x)


@public
def reciprocal(x: Any) -> Variable:
    """``1 / x``; integers are divided as float64."""
    x = as_tensor(x)
    return call("true_divide", 1, x) if is_discrete(x.dtype) else divide(constant(1, dtype=x.dtype), x)


publish("inv", reciprocal)


@public
def cbrt(x: Any) -> Variable:
    """The real cube root."""
    (x,) = common_float(x)
    return call("sign", x) * call("power", abs(x), 1 / 3)


@public
def hypot(x: Any, y: Any) -> Variable:
    x, y = common_float(x, y)
    return call("sqrt", x * x + y * y)


@public(aliases=("degrees",))
def rad2deg(x: Any) -> Variable:
    (x,) = common_float(x)
    return x * (180 / math.pi)


@public(aliases=("radians",))
def deg2rad(x: Any) -> Variable:
    (x,) = common_float(x)
    return x * (math.pi / 180)


@public
def gamma(x: Any) -> Variable:
    """The gamma function, through the logarithm of its absolute value and its sign."""
    (x,) = common_float(x)
    size = exp(call("gammaln", x))
    negative = (x < 0) & call("equal", call("mod", call("floor", x), 2), 1)
    return where(negative, -size, size)


@public
def polygamma_(n: Any, x: Any) -> Variable:
    """The n-th derivative of digamma."""
    return polygamma(*common_float(n, x))


@public(aliases=("tri_gamma",))
def trigamma(x: Any) -> Variable:
    """The derivative of digamma."""
    return polygamma_(1, x)


@public
def clip(x: Any, a_min: Any = None, a_max: Any = None, **bounds: Any) -> Variable:
    """x limited to ``[a_min, a_max]``; either may be None. The gradient is 1 within the bounds, and at them."""
    low = bounds.pop("min", a_min)
    high = bounds.pop("max", a_max)
    if low is None and high is None:
        return as_tensor(x)
    nodes = promoted("clip", x, *(b for b in (low, high) if b is not None))
    x, rest = nodes[0], nodes[1:]
    result = x
    if low is not None:
        bound = rest.pop(0)
        result = where(result < bound, bound, result)
    if high is not None:
        bound = rest.pop(0)
        result = where(result > bound, bound, result)
    return result


@public(aliases=("round_half_to_even",))
def round_(x: Any, decimals: int = 0) -> Variable:
    """x rounded to `decimals` places, halves to even."""
    x = as_tensor(x)
    if not is_float(x.dtype):
        return (
            x if decimals >= 0 else call("floor_divide", x + 5 * 10 ** (-decimals - 1), 10**-decimals) * 10**-decimals
        )
    if decimals == 0:
        return call("rint", x)
    scale = constant(10.0**decimals, dtype=x.dtype)
    return call("rint", x * scale) / scale


@public(aliases=("iround",))
def round_to_int(x: Any) -> Variable:
    return cast(round_(x), "int64")


@public
def isclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Variable:
    """Whether a and b agree within ``atol + rtol * |b|``; infinities agree when equal."""
    a, b = common_float(a, b)
    near = (abs(a - b) <= atol + rtol * abs(b)) & call("isfinite", b)
    same = near | call("equal", a, b)
    return same | (call("isnan", a) & call("isnan", b)) if equal_nan else same


@public
def allclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Variable:
    return call("all", isclose(a, b, rtol, atol, equal_nan))


@public
def positive(x: Any) -> Variable:
    return as_tensor(x)


@public
def nan_to_num(x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Variable:
    """x with NaN and infinities replaced; the largest finite numbers stand for infinities by default."""
    x = as_tensor(x)
    if is_discrete(x.dtype):
        return x
    largest = {"float16": 65504.0, "float32": 3.4028234663852886e38, "float64": 1.7976931348623157e308}[x.dtype]
    high = largest if posinf is None else posinf
    low = -largest if neginf is None else neginf
    x = where(call("isnan", x), nan, x)
    return where(call("equal", x, math.inf), high, where(call("equal", x, -math.inf), low, x))
