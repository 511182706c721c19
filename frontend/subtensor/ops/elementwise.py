"""Elementwise ops: arithmetic, comparison, logic, transcendental and special functions, ``where`` and ``cast``.

The core ones take operands of one dtype; the public functions promote (NEP 50) before they apply them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from subtensor.errors import DomainError, DTypeError
from subtensor.graph.constants import as_tensor, constant, is_weak, promoted
from subtensor.graph.cost import Cost
from subtensor.graph.lengths import root
from subtensor.graph.nodes import DISCONNECTED, ZERO, Argument, Cotangent, Op, Variable, Zero, call, define
from subtensor.graph.operators import public, publish
from subtensor.graph.types import (
    BFLOAT16,
    TensorType,
    as_dtype,
    broadcast_shapes,
    can_cast,
    float_dtype,
    is_discrete,
    is_float,
    is_integer,
    result_dtype,
)


def _named(name: str, dtype_of: Callable[[str], str]) -> Callable[..., TensorType]:
    def infer(*args: Argument) -> TensorType:
        first = args[0].type
        if len(args) == 1:
            return TensorType(dtype_of(first.dtype), first.shape)
        shape = broadcast_shapes(name, [a.type.shape for a in args], lambda: [a.label for a in args])
        return TensorType(dtype_of(first.dtype), shape)

    return infer


def _same(dtype: str) -> str:
    return dtype


def _to_bool(dtype: str) -> str:
    return "bool"


def broadcast_length(axis: int, *inputs: Variable) -> tuple[Variable, int] | None:
    """Where to read the length of an axis of an elementwise result: an input that alone decides it, and its axis."""
    ndim = max(i.ndim for i in inputs)
    places = {(i, axis - ndim + i.ndim) for i in inputs if axis - ndim + i.ndim >= 0}
    decisive = [(i, at) for i, at in places if i.type.shape[at] != 1]
    return decisive[0] if len(decisive) == 1 else None


ELEMENTWISE: set[str] = set()
"""The names of ops that compute each element from the elements of their inputs at the same place."""


DIVISION, SERIES, LONG_SERIES = (Cost(computes=f"{n} * out.size") for n in (4, 15, 100))


def elementwise(
    name: str,
    vjp: Callable[..., Sequence[Cotangent]],
    dtype_of: Callable[[str], str] = _same,
    expand: Callable[..., Variable] | None = None,
    check: Callable[..., None] | None = None,
    cost: Cost | None = None,
) -> Op:
    """Define an elementwise op. `vjp` may return cotangents of the broadcast shape: they are summed back here."""

    def summed(g: Variable, out: Variable, *inputs: Variable) -> list[Cotangent]:
        return [
            c if isinstance(c, Zero) else unbroadcast(c, i, inputs)
            for c, i in zip(vjp(g, out, *inputs), inputs, strict=True)
        ]

    ELEMENTWISE.add(name)
    return define(
        name,
        infer=_named(name, dtype_of),
        vjp=summed,
        expand=expand,
        check=check,
        dims=broadcast_length,
        fresh=True,
        cost=cost,
    )


def unbroadcast(g: Variable, like: Variable, inputs: Sequence[Variable]) -> Variable:
    """`g`, of the broadcast shape of `inputs`, summed over the axes along which `like`, one of them, was broadcast.

    Where lengths are not known, the shapes at run time decide.
    """
    if len(inputs) == 1 or all(i is like for i in inputs):
        return g
    lead = g.ndim - like.ndim
    if lead == 0 and all(_never_stretched(axis, like, inputs) for axis in range(like.ndim)):
        return g
    return call("sum_to_shape_of", g, like)


def _never_stretched(axis: int, like: Variable, inputs: Sequence[Variable]) -> bool:
    """Whether the broadcast surely leaves this axis of `like`, which has the full rank, as long as it is."""
    dim = like.type.shape[axis]
    others = [(i, axis - like.ndim + i.ndim) for i in inputs if axis - like.ndim + i.ndim >= 0]
    if dim is not None and dim != 1:
        return True
    if all(i is like or i.type.shape[at] == 1 for i, at in others):
        return True
    if dim == 1:
        return False
    return all(i.type.shape[at] == 1 or root(i, at) == root(like, axis) for i, at in others)


# --- core: unary

neg = elementwise("neg", lambda g, out, x: (-g,))
abs_ = elementwise("abs", lambda g, out, x: (g * sign(x),))
sign: Op = elementwise("sign", lambda g, out, x: (ZERO,))
exp = elementwise("exp", lambda g, out, x: (g * out,), cost=SERIES)
expm1 = elementwise("expm1", lambda g, out, x: (g * (out + 1),), cost=SERIES)
log = elementwise("log", lambda g, out, x: (g / x,), cost=SERIES)
log1p = elementwise("log1p", lambda g, out, x: (g / (x + 1),), cost=SERIES)
sqrt = elementwise("sqrt", lambda g, out, x: (g / (2 * out),), cost=DIVISION)
sin = elementwise("sin", lambda g, out, x: (g * cos(x),), cost=SERIES)
cos: Op = elementwise("cos", lambda g, out, x: (-g * sin(x),), cost=SERIES)
tan = elementwise("tan", lambda g, out, x: (g * (1 + out * out),), cost=SERIES)
arcsin = elementwise("arcsin", lambda g, out, x: (g / sqrt(1 - x * x),), cost=SERIES)
arccos = elementwise("arccos", lambda g, out, x: (-g / sqrt(1 - x * x),), cost=SERIES)
arctan = elementwise("arctan", lambda g, out, x: (g / (1 + x * x),), cost=SERIES)
sinh = elementwise("sinh", lambda g, out, x: (g * cosh(x),), cost=SERIES)
cosh: Op = elementwise("cosh", lambda g, out, x: (g * sinh(x),), cost=SERIES)
tanh = elementwise("tanh", lambda g, out, x: (g * (1 - out * out),), cost=SERIES)
arcsinh = elementwise("arcsinh", lambda g, out, x: (g / sqrt(x * x + 1),), cost=SERIES)
arccosh = elementwise("arccosh", lambda g, out, x: (g / (sqrt(x - 1) * sqrt(x + 1)),), cost=SERIES)
arctanh = elementwise("arctanh", lambda g, out, x: (g / (1 - x * x),), cost=SERIES)
floor = elementwise("floor", lambda g, out, x: (ZERO,))
ceil = elementwise("ceil", lambda g, out, x: (ZERO,))
trunc = elementwise("trunc", lambda g, out, x: (ZERO,))
rint = elementwise("rint", lambda g, out, x: (ZERO,))
erf = elementwise("erf", lambda g, out, x: (g * (2 / math.sqrt(math.pi)) * exp(-x * x),), cost=LONG_SERIES)
erfc = elementwise("erfc", lambda g, out, x: (g * (-2 / math.sqrt(math.pi)) * exp(-x * x),), cost=LONG_SERIES)
erfinv = elementwise("erfinv", lambda g, out, x: (g * (math.sqrt(math.pi) / 2) * exp(out * out),), cost=LONG_SERIES)
gammaln = elementwise("gammaln", lambda g, out, x: (g * digamma(x),), cost=LONG_SERIES)
digamma: Op = elementwise(
    "digamma", lambda g, out, x: (g * polygamma(constant(1, dtype=x.dtype), x),), cost=LONG_SERIES
)
polygamma: Op = elementwise("polygamma", lambda g, out, n, x: (DISCONNECTED, g * polygamma(n + 1, x)), cost=LONG_SERIES)
"""``polygamma(n, x)``, n an order given in x's dtype: the n-th derivative of digamma."""
invert = elementwise("invert", lambda g, out, x: (ZERO,))

# --- core: binary, operands of one dtype

add = elementwise("add", lambda g, out, x, y: (g, g))
subtract = elementwise("subtract", lambda g, out, x, y: (g, -g))
multiply = elementwise("multiply", lambda g, out, x, y: (g * y, g * x))
divide = elementwise("divide", lambda g, out, x, y: (g / y, -g * out / y), cost=DIVISION)
floor_divide = elementwise("floor_divide", lambda g, out, x, y: (ZERO, ZERO), cost=SERIES)
mod = elementwise("mod", lambda g, out, x, y: (g, -g * call("floor", x / y)), cost=SERIES)


def _power_vjp(g: Variable, out: Variable, x: Variable, y: Variable) -> tuple[Cotangent, Cotangent]:
    # d/dx is 0 at y = 0 whatever x is; d/dy is out * log x, and 0 where x = 0 < y
    dx = g * where(_equal(y, 0), 0, y * power(x, where(_equal(y, 0), 1, y) - 1))
    if y.known is not None:
        return dx, ZERO
    safe = where(_equal(x, 0), 1, x)
    return dx, g * where(_equal(x, 0), 0, out * log(safe))


def _check_power(x: Argument, y: Argument) -> None:
    if is_discrete(y.type.dtype) and y.known is not None and bool((y.known < 0).any()):
        raise DomainError(
            f"power: {y.label} holds a negative integer; integers to negative integer powers are not integers: "
            "cast a side to float"
        )


power = elementwise("power", _power_vjp, check=_check_power, cost=LONG_SERIES)


def _extremum_vjp(g: Variable, out: Variable, x: Variable, y: Variable) -> tuple[Cotangent, Cotangent]:
    # a tie gives half to each side: a subgradient, and symmetric
    tie = where(_equal(x, y), constant(0.5, dtype=g.dtype), 1)
    to_x = g * tie * call("cast", _equal(out, x), g.dtype)
    to_y = g * tie * call("cast", _equal(out, y), g.dtype)
    return to_x, to_y


maximum = elementwise("maximum", _extremum_vjp)
minimum = elementwise("minimum", _extremum_vjp)
arctan2 = elementwise("arctan2", lambda g, out, y, x: (g * x / (x * x + y * y), -g * y / (x * x + y * y)), cost=SERIES)
less = elementwise("less", lambda g, out, x, y: (ZERO, ZERO), _to_bool)
less_equal = elementwise("less_equal", lambda g, out, x, y: (ZERO, ZERO), _to_bool)
equal = elementwise("equal", lambda g, out, x, y: (ZERO, ZERO), _to_bool)
and_ = elementwise("and", lambda g, out, x, y: (ZERO, ZERO))
or_ = elementwise("or", lambda g, out, x, y: (ZERO, ZERO))
xor_ = elementwise("xor", lambda g, out, x, y: (ZERO, ZERO))
left_shift = elementwise("left_shift", lambda g, out, x, y: (ZERO, ZERO))
right_shift = elementwise("right_shift", lambda g, out, x, y: (ZERO, ZERO))

# --- core: where and cast


def _where_infer(condition: Argument, x: Argument, y: Argument) -> TensorType:
    args = (condition, x, y)
    shape = broadcast_shapes("where", [a.type.shape for a in args], lambda: [a.label for a in args])
    return TensorType(x.type.dtype, shape)


def _where_vjp(g: Variable, out: Variable, condition: Variable, x: Variable, y: Variable) -> list[Cotangent]:
    inputs = (condition, x, y)
    return [
        DISCONNECTED,
        unbroadcast(where(condition, g, 0), x, inputs),
        unbroadcast(where(condition, 0, g), y, inputs),
    ]


_where = define("where", infer=_where_infer, vjp=_where_vjp, dims=broadcast_length, fresh=True)


def _cast_infer(x: Argument, dtype: str) -> TensorType:
    return TensorType(dtype, x.type.shape)


def _cast_vjp(g: Variable, out: Variable, x: Variable, dtype: str) -> tuple[Cotangent]:
    if not is_float(dtype):
        return (ZERO,)
    return (g,) if not is_float(x.dtype) else (cast(g, x.dtype),)


def _cast_dims(axis: int, x: Variable, dtype: str) -> tuple[Variable, int]:
    return x, axis


_cast = define("cast", infer=_cast_infer, vjp=_cast_vjp, dims=_cast_dims, fresh=True)


@public(aliases=("astype",))
def cast(x: Any, dtype: Any) -> Variable:
    """`x` as another dtype, with NumPy's conversion; the same node where nothing changes."""
    dtype = as_dtype("float64" if dtype is float else dtype)
    if is_weak(x):
        return constant(x, dtype=dtype)
    node = as_tensor(x)
    if node.dtype == dtype:
        return node
    if node.known is not None and node.ndim == 0 and not (is_float(node.dtype) and is_discrete(dtype)):
        return constant((node.known.astype("float32") if dtype == BFLOAT16 else node.known).astype(dtype))
    if BFLOAT16 in (dtype, node.dtype) and "float32" not in (dtype, node.dtype):  # which backends round alike
        return _cast(_cast(node, dtype="float32"), dtype=dtype)
    return _cast(node, dtype=dtype)


@public(aliases=("switch",))
def where(condition: Any, x: Any = None, y: Any = None) -> Any:
    """`x` where `condition`, else `y`; all broadcast. With `condition` alone: its nonzero positions."""
    if x is None and y is None:
        return call("nonzero", condition)
    if x is None or y is None:
        raise DTypeError(
            "where: one value for where the condition holds and none for elsewhere; expected both, or none"
        )
    return select(condition, x, y)


def select(condition: Any, x: Any, y: Any) -> Variable:
    """``where`` of three operands."""
    return _where(_truth(as_tensor(condition)), *promoted("where", x, y))


def _truth(x: Variable) -> Variable:
    """`x` as booleans: whether each element is nonzero."""
    return x if x.dtype == "bool" else invert(equal(x, constant(0, dtype=x.dtype)))


def _equal(x: Any, y: Any) -> Variable:
    return equal(*promoted("equal", x, y))


# --- public functions that promote


def _unary(op: Op, kind: str) -> Callable[[Any], Variable]:
    """kind: ``float`` (integers become floats), ``number`` (bool refused), ``any``."""

    def function(x: Any) -> Variable:
        x = as_tensor(x)
        if kind == "float":
            x = cast(x, float_dtype(x.dtype))
        elif kind == "number" and x.dtype == "bool":
            raise DTypeError(f"{op.name}: {x.label} is bool; use ~x for its negation, or cast it first")
        return op(x)

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = f"Elementwise ``{op.name}``. x: any shape; returns the same shape, dtype as in NumPy."
    return function


for _op in (exp, expm1, log, log1p, sqrt, sin, cos, tan, arcsin, arccos, arctan, sinh, cosh, tanh, arcsinh, arccosh):
    publish(_op.name, _unary(_op, "float"))
for _op in (arctanh, erf, erfc, erfinv, gammaln, digamma, rint):
    publish(_op.name, _unary(_op, "float"))
for _op, _aliases in ((neg, ("negative",)), (sign, ("sgn",))):
    publish(_op.name, _unary(_op, "number"), *_aliases)
publish("abs", _unary(abs_, "any"), "abs_", "absolute")


def _rounding(op: Op) -> Callable[[Any], Variable]:
    def function(x: Any) -> Variable:
        x = as_tensor(x)
        return op(x) if is_float(x.dtype) else x  # whole numbers are their own floor

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = f"Elementwise ``{op.name}``; integers come back as they are."
    return function


for _op in (floor, ceil, trunc):
    publish(_op.name, _rounding(_op))


def _binary(op: Op, refuse: tuple[str, ...] = ()) -> Callable[[Any, Any], Variable]:
    def function(x: Any, y: Any) -> Variable:
        x, y = promoted(op.name, x, y)
        if x.dtype in refuse or (refuse == ("float",) and is_float(x.dtype)):
            raise DTypeError(f"{op.name}: {x.label} and {y.label} are {x.dtype}, for which it is not defined; cast one")
        return op(x, y)

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = f"Elementwise ``{op.name}`` of x and y, broadcast and promoted as in NumPy."
    return function


def _comparison(name: str, op: Op, flip: bool = False) -> Callable[[Any, Any], Variable]:
    def function(x: Any, y: Any) -> Variable:
        a, b = (y, x) if flip else (x, y)
        decided = _beyond(op, a, b)
        return op(*promoted(name, a, b)) if decided is None else decided

    function.__name__ = function.__qualname__ = name
    function.__doc__ = (
        f"Elementwise ``{name}`` of x and y, broadcast and promoted as in NumPy; Python integers that an integer dtype "
        "does not hold are compared exactly."
    )
    return function


def _beyond(op: Op, a: Any, b: Any) -> Variable | None:
    """``op(a, b)`` where one is a Python integer outside the dtype of the other, an integer, or both are Python's; None
    elsewhere.

    All elements are then on one side: the comparison with that end of the dtype, which they do not pass, says so.
    """
    if type(a) is int and type(b) is int:
        return constant({less: a < b, less_equal: a <= b, equal: a == b}[op])
    for value, other, comes_first in ((a, b, True), (b, a, False)):
        if type(value) is not int or is_weak(other):
            continue
        x = as_tensor(other)
        if not is_integer(x.dtype):
            continue
        bits = int(x.dtype.lstrip("uint"))
        low, high = (0, 2**bits - 1) if x.dtype.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        if low <= value <= high:
            continue
        end = constant(high if value > high else low, dtype=x.dtype)
        holds = op is not equal and comes_first == (value < low)
        if value > high:
            return less_equal(x, end) if holds else less(end, x)
        return less_equal(end, x) if holds else less(x, end)
    return None


def _any_number(op: Op) -> Callable[..., Variable]:
    two = _binary(op)

    def function(x: Any, y: Any, *more: Any) -> Variable:
        if not more:
            return two(x, y)
        first, *rest = promoted(op.name, x, y, *more)
        for z in rest:
            first = op(first, z)
        return first

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = f"Elementwise ``{op.name}`` of x, y and more, from the left; broadcast and promoted as in NumPy."
    return function


publish("add", _any_number(add))
publish("subtract", _binary(subtract, refuse=("bool",)), "sub")
publish("multiply", _any_number(multiply), "mul")
publish("maximum", _binary(maximum))
publish("minimum", _binary(minimum))
publish("less", _comparison("less", less), "lt")
publish("less_equal", _comparison("less_equal", less_equal), "le")
publish("greater", _comparison("greater", less, flip=True), "gt")
publish("greater_equal", _comparison("greater_equal", less_equal, flip=True), "ge")
publish("equal", _comparison("equal", equal), "eq")
publish("and_", _binary(and_, refuse=("float",)), "bitwise_and")
publish("or_", _binary(or_, refuse=("float",)), "bitwise_or")
publish("xor", _binary(xor_, refuse=("float",)), "bitwise_xor")


def _small(x: Variable, y: Variable) -> tuple[Variable, Variable]:
    """bool has no integer arithmetic of its own: NumPy computes it in int8."""
    return (cast(x, "int8"), cast(y, "int8")) if x.dtype == "bool" else (x, y)


_shift_left = _binary(left_shift, refuse=("float",))
_shift_right = _binary(right_shift, refuse=("float",))


@public
def left_shift_(x: Any, y: Any) -> Variable:
    """``x << y`` for integers; bools are shifted as int8, as in NumPy."""
    return _shift_left(*_small(*promoted("left_shift", x, y)))


@public
def right_shift_(x: Any, y: Any) -> Variable:
    """``x >> y`` for integers; bools are shifted as int8, as in NumPy."""
    return _shift_right(*_small(*promoted("right_shift", x, y)))


@public(aliases=("divide", "truediv", "true_div"))
def true_divide(x: Any, y: Any) -> Variable:
    """``x / y``: integers are divided as float64."""
    x, y = promoted("divide", x, y)
    if is_discrete(x.dtype):
        x, y = cast(x, "float64"), cast(y, "float64")
    return divide(x, y)


@public(aliases=("int_div",))
def floor_divide_(x: Any, y: Any) -> Variable:
    """``x // y``, rounded towards minus infinity; an integer divided by zero gives 0, as in NumPy."""
    return floor_divide(*_small(*promoted("floor_divide", x, y)))


@public(aliases=("remainder",))
def mod_(x: Any, y: Any) -> Variable:
    """``x % y``, with the sign of y; an integer modulo zero gives 0, as in NumPy."""
    return mod(*_small(*promoted("mod", x, y)))


@public(aliases=("pow",))
def power_(x: Any, y: Any) -> Variable:
    """``x ** y``. Small whole exponents of floats become products; integer bases need exponents >= 0."""
    if isinstance(y, int) and type(y) is not bool:
        base = as_tensor(x)
        if base.dtype == "bool":
            base = cast(base, result_dtype("bool", y))
        if y == 1:
            return base
        if y == 2:
            return call("square", base)
        if y < 0 and is_discrete(base.dtype):
            raise DTypeError(
                f"power: {base.label} is {base.dtype} and the exponent is {y}; "
                "integers to negative integer powers are not integers: cast the base to float"
            )
    x, y = _small(*promoted("power", x, y))
    return power(x, y)


@public(aliases=("arctan_2",))
def arctan2_(y: Any, x: Any) -> Variable:
    """The angle of the point (x, y), in radians, in (-pi, pi]."""
    return arctan2(*common_float(y, x, where="arctan2"))


@public(aliases=("neq", "ne"))
def not_equal(x: Any, y: Any) -> Variable:
    """Elementwise ``!=`` (the operator itself is identity); Python integers as in ``equal``."""
    return invert(call("equal", x, y))


@public(aliases=("bitwise_not", "bitwise_invert"))
def invert_(x: Any) -> Variable:
    """``~x`` for bools and integers."""
    x = as_tensor(x)
    if is_float(x.dtype):
        raise DTypeError(f"invert: {x.label} is {x.dtype}; expected bool or an integer")
    return invert(x)


@public
def logical_and(x: Any, y: Any) -> Variable:
    """Whether both are nonzero, elementwise."""
    return and_(_truth(as_tensor(x)), _truth(as_tensor(y)))


@public
def logical_or(x: Any, y: Any) -> Variable:
    """Whether either is nonzero, elementwise."""
    return or_(_truth(as_tensor(x)), _truth(as_tensor(y)))


@public
def logical_xor(x: Any, y: Any) -> Variable:
    """Whether exactly one is nonzero, elementwise."""
    return xor_(_truth(as_tensor(x)), _truth(as_tensor(y)))


@public
def logical_not(x: Any) -> Variable:
    """Whether x is zero, elementwise."""
    return invert(_truth(as_tensor(x)))


@public
def isnan(x: Any) -> Variable:
    """Whether x is NaN, elementwise."""
    x = as_tensor(x)
    return invert(equal(x, x))


@public
def isinf(x: Any) -> Variable:
    """Whether x is an infinity, elementwise."""
    x = as_tensor(x)
    if is_discrete(x.dtype):
        return call("zeros_like", x, "bool")
    return _equal(abs_(x), math.inf)


@public
def isfinite(x: Any) -> Variable:
    """Whether x is neither NaN nor an infinity, elementwise."""
    x = as_tensor(x)
    if is_discrete(x.dtype):
        return call("ones_like", x, "bool")
    return less(abs_(x), constant(math.inf, dtype=x.dtype))


def same_kind(source: Variable, target: Variable, what: str) -> Variable:
    """`source` cast to `target`'s dtype where NumPy's same_kind rule allows it; else DTypeError naming ``astype``."""
    if not can_cast(source.dtype, target.dtype):
        raise DTypeError(
            f"{what}: cannot write {source.dtype} ({source.label}) into {target.dtype} ({target.label}) without losing "
            f"information; if that is meant, write {source.label}.astype('{target.dtype}')"
        )
    return cast(source, target.dtype)


def common_float(*values: Any, where: str = "promotion") -> list[Variable]:
    """Operands brought to the float dtype in which NumPy evaluates functions of several floats, such as ``arctan2``."""
    if any(is_weak(v) for v in values):
        dtype = float_dtype(promoted(where, *values)[0].dtype)
    else:
        dtype = result_dtype(*(float_dtype(as_tensor(v).dtype) for v in values))
    return [cast(v, dtype) for v in values]
