"""Elementwise functions of Python numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from subtensor_conformance.oracle.nodes import FUNCTIONS, Node, apply, as_node, cast, public, together
from subtensor_conformance.oracle.special import (
    betainc,
    digamma,
    erfcx,
    erfinv,
    gammainc,
    gammaincc,
    gammaln,
    ndtri,
    polygamma,
    scaled_bessel,
)
from subtensor_conformance.oracle.values import Array, broadcast, float_of, into, is_float, stretched

NAN, INF = math.nan, math.inf


def total(function: Callable[..., float], infinite: Callable[..., float] | None = None) -> Callable[..., float]:
    """`function`, with NaN outside its domain, and `infinite` (or infinity) where it overflows."""

    def run(*args: float) -> float:
        if any(a != a for a in args):
            return NAN
        try:
            return function(*args)
        except ValueError:
            return NAN
        except OverflowError:
            return infinite(*args) if infinite else INF

    return run


def _pole(function: Callable[[float], float], at: dict[float, float]) -> Callable[[float], float]:
    inner = total(function)
    return lambda x: at[x] if x in at else inner(x)


def _signed(function: Callable[[float], int]) -> Callable[[float], float]:
    """Rounding to whole numbers that keeps infinities and the sign of zero."""
    return lambda x: x if x != x or math.isinf(x) else math.copysign(float(abs(function(x))), x)


def _sign(x: Any) -> Any:
    if x != x or x == 0:
        return x if x != x else type(x)(0)  # the sign of zero is zero, without a sign
    return type(x)(1 if x > 0 else -1)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0 if x < -745 else math.exp(x)


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


FLOAT: dict[str, Callable[[float], float]] = {
    "exp": total(math.exp),
    "expm1": total(math.expm1),
    "exp2": total(lambda x: 2.0**x),
    "log": _pole(math.log, {0.0: -INF}),
    "log2": _pole(math.log2, {0.0: -INF}),
    "log10": _pole(math.log10, {0.0: -INF}),
    "log1p": _pole(math.log1p, {-1.0: -INF}),
    "sqrt": total(math.sqrt),
    "sin": total(math.sin),
    "cos": total(math.cos),
    "tan": total(math.tan),
    "arcsin": total(math.asin),
    "arccos": total(math.acos),
    "arctan": total(math.atan),
    "sinh": total(math.sinh, lambda x: math.copysign(INF, x)),
    "cosh": total(math.cosh),
    "tanh": total(math.tanh),
    "arcsinh": total(math.asinh),
    "arccosh": total(math.acosh),
    "arctanh": _pole(math.atanh, {1.0: INF, -1.0: -INF}),
    "sigmoid": total(_sigmoid),
    "softplus": total(_softplus),
    "erf": total(math.erf),
    "erfc": total(math.erfc),
    "erfinv": total(erfinv),
    "erfcx": total(erfcx),
    "ndtri": total(ndtri),
    "i0e": total(scaled_bessel(0)),
    "i1e": total(scaled_bessel(1)),
    "gammaln": total(gammaln),
    "digamma": total(digamma),
    "rint": _signed(round),
}

ROUNDING: dict[str, Callable[[float], float]] = {
    "floor": lambda x: x if x != x or math.isinf(x) or x == 0 else _like(math.floor(x), x),
    "ceil": lambda x: x if x != x or math.isinf(x) or x == 0 else _like(math.ceil(x), x),
    "trunc": _signed(math.trunc),
}


def _like(whole: int, x: float) -> float:
    return float(whole) if whole else math.copysign(0.0, x)


def _whole_as_it_is(function: Callable[[float], float]) -> Callable[[Any], Any]:
    return lambda v: function(v) if isinstance(v, float) else v


def each(name: str, function: Callable[[Any], Any], dtype_of: Callable[[str], str], result: str | None = None) -> None:
    """Enter an elementwise function of one argument, computed in ``dtype_of`` the argument's dtype."""

    def run(x: Array) -> Array:
        x = cast(x, dtype_of(x.dtype))
        dtype = result or x.dtype
        return Array(dtype, x.shape, tuple(into(dtype, function(v)) for v in x.data))

    FUNCTIONS[name] = lambda x: apply(run, (as_node(x),), name)


for _name, _f in FLOAT.items():
    each(_name, _f, float_of)
for _name, _f in ROUNDING.items():
    each(_name, _whole_as_it_is(_f), str)
each("neg", lambda v: -v, str)
each("abs", abs, str)
each("sign", _sign, str)
each("square", lambda v: v * v, str)
FUNCTIONS["sqr"] = FUNCTIONS["square"]
each("isnan", lambda v: v != v, str, "bool")
each("isinf", lambda v: isinstance(v, float) and math.isinf(v), str, "bool")
each("isfinite", lambda v: not isinstance(v, float) or math.isfinite(v), str, "bool")
each("logical_not", lambda v: not v, str, "bool")
each("reciprocal", lambda v: _divide(1.0, v), float_of)


@public("invert")
def invert(x: Any) -> Node:
    def run(x: Array) -> Array:
        return Array(x.dtype, x.shape, tuple(not v if x.dtype == "bool" else into(x.dtype, ~int(v)) for v in x.data))

    return apply(run, (as_node(x),), "invert")


@public("cast", "astype")
def astype(x: Any, dtype: str) -> Node:
    return apply(lambda x: cast(x, dtype), (as_node(x),), ("cast", dtype))


# --- two arguments


def _divide(x: float, y: float) -> float:
    if y == 0 and x == x:
        return NAN if x == 0 else math.copysign(INF, x) * math.copysign(1.0, y)
    return x / y


def _floor_divide(x: Any, y: Any) -> Any:
    if isinstance(x, float):
        if y == 0 or x != x or y != y or math.isinf(x):
            return NAN if x != x or y != y or x == 0 or (math.isinf(x) and y != 0) else _divide(x, y)
        if math.isinf(y):
            return 0.0 if (x < 0) == (y < 0) or x == 0 else -1.0
        return x // y
    return x // y if y else 0


def _mod(x: Any, y: Any) -> Any:
    if isinstance(x, float):
        if y == 0 or x != x or y != y or math.isinf(x):
            return NAN
        return math.copysign(x % y, y) if x % y == 0 else x % y
    return x % y if y else 0


def _power(x: Any, y: Any) -> Any:
    if not isinstance(x, float):
        return x**y
    if x == 1 or y == 0:
        return 1.0
    if x != x or y != y:
        return NAN
    if x == 0 and y < 0:
        return math.copysign(INF, x) if y % 2 == 1 else INF
    try:
        return math.pow(x, y)
    except OverflowError:
        return -INF if x < 0 and y % 2 == 1 else INF
    except ValueError:
        return NAN


def _larger(x: Any, y: Any) -> Any:
    return x if x != x or (y == y and x >= y) else y


def _smaller(x: Any, y: Any) -> Any:
    return x if x != x or (y == y and x <= y) else y


def _multiply(x: Any, y: Any) -> Any:
    return x and y if isinstance(x, bool) else x * y


def _arctan2(y: float, x: float) -> float:
    return math.atan2(y, x)


BINARY: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "add": (lambda x, y: (x or y) if isinstance(x, bool) else x + y, "same"),
    "subtract": (lambda x, y: x - y, "same"),
    "multiply": (_multiply, "same"),
    "true_divide": (_divide, "divide"),
    "floor_divide": (_floor_divide, "small"),
    "mod": (_mod, "small"),
    "power": (_power, "small"),
    "maximum": (_larger, "same"),
    "minimum": (_smaller, "same"),
    "arctan2": (_arctan2, "float"),
    "less": (lambda x, y: x < y, "bool"),
    "less_equal": (lambda x, y: x <= y, "bool"),
    "greater": (lambda x, y: x > y, "bool"),
    "greater_equal": (lambda x, y: x >= y, "bool"),
    "equal": (lambda x, y: x == y, "bool"),
    "not_equal": (lambda x, y: x != y, "bool"),
    "and_": (lambda x, y: x & y, "same"),
    "or_": (lambda x, y: x | y, "same"),
    "xor": (lambda x, y: x ^ y, "same"),
    "left_shift": (lambda x, y: x << y, "same"),
    "right_shift": (lambda x, y: x >> y, "same"),
    "logical_and": (lambda x, y: bool(x) and bool(y), "bool"),
    "logical_or": (lambda x, y: bool(x) or bool(y), "bool"),
    "logical_xor": (lambda x, y: bool(x) != bool(y), "bool"),
}


def _both(name: str, function: Callable[[Any, Any], Any], kind: str) -> None:
    def run(x: Array, y: Array) -> Array:
        if kind == "divide" and not is_float(x.dtype):
            x, y = cast(x, "float64"), cast(y, "float64")
        if kind == "small" and x.dtype == "bool":
            x, y = cast(x, "int8"), cast(y, "int8")
        if kind == "float":
            x, y = cast(x, float_of(x.dtype)), cast(y, float_of(y.dtype))
        shape = broadcast(x.shape, y.shape)
        dtype = "bool" if kind == "bool" else x.dtype
        pairs = zip(stretched(x, shape).data, stretched(y, shape).data, strict=True)
        return Array(dtype, shape, tuple(into(dtype, function(a, b)) for a, b in pairs))

    FUNCTIONS[name] = lambda x, y: together(run, (x, y), name)


for _name, (_g, _kind) in BINARY.items():
    _both(_name, _g, _kind)


@public("where", "switch")
def where(condition: Any, x: Any, y: Any) -> Node:
    chosen = as_node(condition)
    values = together(_pair, (x, y), "pair")

    def run(c: Array, pair: Array) -> Array:
        shape = broadcast(c.shape, pair.shape[1:])
        n = math.prod(pair.shape[1:])
        a = stretched(Array(pair.dtype, pair.shape[1:], pair.data[:n]), shape)
        b = stretched(Array(pair.dtype, pair.shape[1:], pair.data[n:]), shape)
        picks = stretched(c, shape).data
        return Array(pair.dtype, shape, tuple(p if k else q for k, p, q in zip(picks, a.data, b.data, strict=True)))

    return apply(run, (chosen, values), "where")


def _pair(x: Array, y: Array) -> Array:
    shape = broadcast(x.shape, y.shape)
    return Array(x.dtype, (2, *shape), (*stretched(x, shape).data, *stretched(y, shape).data))


@public("clip")
def clip(x: Any, low: Any, high: Any) -> Node:
    node: Node = FUNCTIONS["minimum"](FUNCTIONS["maximum"](x, low), high)
    return node


@public("polygamma")
def polygamma_(n: Any, x: Any) -> Node:
    order = int(n)

    def run(x: Array) -> Array:
        x = cast(x, float_of(x.dtype))
        return Array(x.dtype, x.shape, tuple(into(x.dtype, total(lambda v: polygamma(order, v))(v)) for v in x.data))

    return apply(run, (as_node(x),), ("polygamma", order))


def _several(name: str, function: Callable[..., float]) -> None:
    """Enter an elementwise function of several floats."""

    def run(*xs: Array) -> Array:
        xs = tuple(cast(x, float_of(x.dtype)) for x in xs)
        shape = broadcast(*(x.shape for x in xs))
        rows = zip(*(stretched(x, shape).data for x in xs), strict=True)
        return Array(xs[0].dtype, shape, tuple(into(xs[0].dtype, total(function)(*row)) for row in rows))

    FUNCTIONS[name] = lambda *xs: together(run, xs, name)


for _name, _h in (("gammainc", gammainc), ("gammaincc", gammaincc), ("betainc", betainc)):
    _several(_name, _h)
