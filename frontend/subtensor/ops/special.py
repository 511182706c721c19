"""Elementwise functions that expand into core ops, with gradients of their own where those are more stable."""

from __future__ import annotations

import math
from typing import Any

from subtensor.errors import ArgumentError
from subtensor.graph.constants import as_tensor, constant, promoted
from subtensor.graph.cost import Cost
from subtensor.graph.nodes import Op, Variable, call
from subtensor.graph.operators import public, publish
from subtensor.graph.types import float_dtype, is_discrete, is_float
from subtensor.ops.elementwise import (
    SERIES,
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
    select,
)


def _float_unary(op: Op, summary: str, *aliases: str) -> None:
    def function(x: Any) -> Variable:
        x = as_tensor(x)
        return op(cast(x, float_dtype(x.dtype)))

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = f"{summary} x: any shape; returns the same shape."
    publish(op.name, function, *aliases)


log2 = elementwise(
    "log2", lambda g, out, x: (g / (x * math.log(2)),), expand=lambda x: log(x) * (1 / math.log(2)), cost=SERIES
)
log10 = elementwise(
    "log10", lambda g, out, x: (g / (x * math.log(10)),), expand=lambda x: log(x) * (1 / math.log(10)), cost=SERIES
)
exp2 = elementwise(
    "exp2", lambda g, out, x: (g * out * math.log(2),), expand=lambda x: exp(x * math.log(2)), cost=SERIES
)
sigmoid = elementwise(
    "sigmoid",
    lambda g, out, x: (g * out * (1 - out),),
    expand=lambda x: 1 / (exp(-x) + 1),
    cost=SERIES,
)
softplus = elementwise(
    "softplus",
    lambda g, out, x: (g * sigmoid(x),),
    expand=lambda x: maximum(x, constant(0, dtype=x.dtype)) + log1p(exp(-abs(x))),
    cost=Cost(computes="40 * out.size"),
)
_float_unary(log2, "Elementwise logarithm to base 2.")
_float_unary(log10, "Elementwise logarithm to base 10.")
_float_unary(exp2, "Elementwise power of 2.")
_float_unary(sigmoid, "``1 / (1 + exp(-x))``, without overflow.", "expit")
_float_unary(softplus, "``log(1 + exp(x))``, without overflow.")


def _logaddexp_expand(x: Variable, y: Variable) -> Variable:
    apart = x - y
    apart = select(call("isnan", apart) & call("equal", x, y), 0, apart)  # equal infinities
    return maximum(x, y) + log1p(exp(-abs(apart)))


logaddexp_op = elementwise(
    "logaddexp",
    lambda g, out, x, y: (g * exp(_away(x, out)), g * exp(_away(y, out))),
    expand=_logaddexp_expand,
    cost=Cost(computes="45 * out.size"),
)


def _away(x: Variable, out: Variable) -> Variable:
    """``x - out``, and 0 where both are the same infinity."""
    return select(call("equal", x, out), 0, x - out)


@public
def logaddexp(x: Any, y: Any) -> Variable:
    """``log(exp(x) + exp(y))`` without overflow."""
    return logaddexp_op(*common_float(x, y))


@public
def log1mexp(x: Any) -> Variable:
    """``log(1 - exp(x))`` for x < 0, accurate at both ends (Mächler, 2012)."""
    (x,) = common_float(x)
    near = x > -math.log(2)
    return select(
        near,
        log(-call("expm1", select(near, x, -1))),
        log1p(-exp(select(near, -1, x))),
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
    """``1 / x``; of integers in their own dtype, rounded towards zero, and 0 for 0: ``inv`` gives floats."""
    x = as_tensor(x)
    if not is_discrete(x.dtype):
        return divide(constant(1, dtype=x.dtype), x)
    x = cast(x, "int8") if x.dtype == "bool" else x
    return select(call("equal", abs(x), 1), x, 0)


@public
def inv(x: Any) -> Variable:
    """``1 / x``; integers are divided as float64, as in Theano."""
    return call("true_divide", 1, x)


@public
def fabs(x: Any) -> Variable:
    """The absolute value as a float: small integers become small floats, as in ``exp``."""
    x = as_tensor(x)
    return abs(cast(x, float_dtype(x.dtype)))


@public
def cbrt(x: Any) -> Variable:
    """The real cube root."""
    (x,) = common_float(x)
    return call("sign", x) * call("power", abs(x), 1 / 3)


def _hypot_expand(x: Variable, y: Variable) -> Variable:
    a, b = abs(x), abs(y)
    large, small = maximum(a, b), call("minimum", a, b)
    # the ratio of finite numbers is at most 1; infinities win over NaN
    plain = large > 0
    ratio = select(plain, small, 0) / select(plain, large, 1)
    infinite = call("equal", a, math.inf) | call("equal", b, math.inf)
    return select(infinite, math.inf, large * call("sqrt", ratio * ratio + 1))


hypot_op = elementwise("hypot", lambda g, out, x, y: (g * x / out, g * y / out), expand=_hypot_expand)


@public
def hypot(x: Any, y: Any) -> Variable:
    """``sqrt(x * x + y * y)`` without overflow."""
    return hypot_op(*common_float(x, y, where="hypot"))


@public(aliases=("degrees",))
def rad2deg(x: Any) -> Variable:
    """Radians as degrees."""
    return common_float(x)[0] * (180 / math.pi)


@public(aliases=("radians",))
def deg2rad(x: Any) -> Variable:
    """Degrees as radians."""
    return common_float(x)[0] * (math.pi / 180)


@public
def gamma(x: Any) -> Variable:
    """The gamma function, through the logarithm of its absolute value and its sign. NaN at negative whole numbers."""
    (x,) = common_float(x)
    size = exp(call("gammaln", x))
    below = call("floor", x)
    odd = call("equal", call("mod", below, 2), 1)
    pole = call("equal", x, below) & (x < 0)
    zero = call("equal", x, 0)
    signed = select((x < 0) & odd, -size, size)
    return select(pole, math.nan, select(zero, divide(constant(1, dtype=x.dtype), select(zero, x, 1)), signed))


@public
def polygamma_(n: Any, x: Any) -> Variable:
    """The n-th derivative of digamma."""
    (x,) = common_float(x)
    return polygamma(cast(n, x.dtype), x)


@public(aliases=("tri_gamma",))
def trigamma(x: Any) -> Variable:
    """The derivative of digamma."""
    return polygamma_(1, x)


@public
def clip(x: Any, a_min: Any = None, a_max: Any = None, **bounds: Any) -> Variable:
    """x limited to ``[a_min, a_max]``; either may be None. The gradient is 1 within the bounds, and at them.

    Where a bound is NaN, so is the result. ``min`` and ``max`` are other names of the bounds.
    """
    low = bounds.pop("min", a_min)
    high = bounds.pop("max", a_max)
    if bounds:
        raise ArgumentError(f"clip: unexpected arguments {', '.join(bounds)}; expected a_min and a_max")
    if low is None and high is None:
        return as_tensor(x)
    nodes = promoted("clip", x, *(b for b in (low, high) if b is not None))
    x, rest = nodes[0], nodes[1:]
    result: Variable = x
    if low is not None:
        bound = rest.pop(0)
        result = select((result < bound) | _nan(bound), bound, result)
    if high is not None:
        bound = rest.pop(0)
        result = select((result > bound) | _nan(bound), bound, result)
    return result


def _nan(bound: Variable) -> Any:
    """Whether a bound is NaN; False where none can be."""
    if is_discrete(bound.dtype):
        return False
    if bound.known is not None:
        return bool((bound.known != bound.known).any()) and call("isnan", bound)  # true of NaN alone
    return call("isnan", bound)


@public(aliases=("round_half_to_even",))
def round_(x: Any, decimals: int = 0) -> Variable:
    """x rounded to `decimals` places, halves to even."""
    x = as_tensor(x)
    if x.dtype == "bool":
        x = cast(x, "float16")
    if not is_float(x.dtype):
        return x if decimals >= 0 else _round_whole(x, 10**-decimals)
    if decimals == 0:
        return call("rint", x)
    scale = constant(10.0**decimals, dtype=x.dtype)
    return call("rint", x * scale) / scale


def _round_whole(x: Variable, unit: int) -> Variable:
    """Integers rounded to a multiple of `unit`, halves to the even multiple."""
    times = call("floor_divide", x, unit)
    rest = x - times * unit
    odd = call("equal", call("mod", times, 2), 1)
    up = (rest > unit // 2) | (call("equal", rest, unit // 2) & odd)
    return (times + cast(up, x.dtype)) * unit


@public(aliases=("iround",))
def round_to_int(x: Any) -> Variable:
    """``round(x)`` as int64."""
    return cast(round_(x), "int64")


@public
def isclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Variable:
    """Whether a and b agree within ``atol + rtol * |b|``; infinities agree when equal."""
    a, b = common_float(a, b)
    near: Variable = (abs(a - b) <= atol + rtol * abs(b)) & call("isfinite", b)
    same = near | call("equal", a, b)
    return same | (call("isnan", a) & call("isnan", b)) if equal_nan else same


@public
def allclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Variable:
    """Whether all elements are close: see ``isclose``."""
    return call("all", isclose(a, b, rtol, atol, equal_nan))


@public
def positive(x: Any) -> Variable:
    """x itself."""
    return as_tensor(x)


@public
def nan_to_num(x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Variable:
    """x with NaN and infinities replaced; the largest finite numbers stand for infinities by default."""
    node = as_tensor(x)
    if is_discrete(node.dtype):
        return node
    largest = {"float16": 65504.0, "float32": 3.4028234663852886e38, "float64": 1.7976931348623157e308}[node.dtype]
    high = largest if posinf is None else posinf
    low = -largest if neginf is None else neginf
    node = select(call("isnan", node), nan, node)
    return select(call("equal", node, math.inf), high, select(call("equal", node, -math.inf), low, node))
