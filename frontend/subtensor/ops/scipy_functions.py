"""Functions that SciPy and JAX have under one name: of probability, entropy, incomplete gamma and beta, and Bessel.

Derivatives with respect to the parameters of ``gammainc``, ``gammaincc`` and ``betainc`` have no closed form, and no
rule here: asking for one is a GradientError.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from subtensor.graph.nodes import UNWRITTEN, Cotangent, Op, Variable, call
from subtensor.graph.operators import public, publish
from subtensor.ops.elementwise import common_float, elementwise, erfc, exp, gammaln, log, log1p, select

_ROOT_2, _ROOT_2_PI = math.sqrt(2), math.sqrt(2 * math.pi)

# --- core: what no backend could compute from simpler functions


def _gamma_density(a: Variable, x: Variable) -> Variable:
    """``x ** (a - 1) * exp(-x) / gamma(a)``: the derivative of ``gammainc``."""
    return exp(xlogy_op(a - 1, x) - x - gammaln(a))


def _betainc_vjp(g: Variable, out: Variable, a: Variable, b: Variable, x: Variable) -> tuple[Cotangent, ...]:
    density = exp(xlogy_op(a - 1, x) + xlog1py_op(b - 1, -x) - betaln(a, b))
    return UNWRITTEN, UNWRITTEN, g * density


def _i1e_vjp(g: Variable, out: Variable, x: Variable) -> tuple[Variable]:
    at_0 = call("equal", x, 0)
    return (g * select(at_0, 0.5, i0e(x) - out * (call("sign", x) + 1 / select(at_0, 1, x))),)


gammainc = elementwise("gammainc", lambda g, out, a, x: (UNWRITTEN, g * _gamma_density(a, x)))
gammaincc = elementwise("gammaincc", lambda g, out, a, x: (UNWRITTEN, -g * _gamma_density(a, x)))
betainc = elementwise("betainc", _betainc_vjp)
erfcx: Op = elementwise("erfcx", lambda g, out, x: (g * (2 * x * out - 2 / math.sqrt(math.pi)),))
ndtri = elementwise("ndtri", lambda g, out, x: (g * _ROOT_2_PI * exp(out * out / 2),))
i0e: Op = elementwise("i0e", lambda g, out, x: (g * (i1e(x) - call("sign", x) * out),))
i1e: Op = elementwise("i1e", _i1e_vjp)

# --- with gradients of their own, which are more stable than those of their expansions


def _xlogy_expand(x: Variable, y: Variable) -> Variable:
    nothing = call("equal", x, 0) & ~call("isnan", y)
    return select(nothing, 0, x * log(select(nothing, 1, y)))


def _xlogy_vjp(g: Variable, out: Variable, x: Variable, y: Variable) -> tuple[Variable, Variable]:
    return g * log(y), g * select(call("equal", x, 0), 0, x / y)


def _xlog1py_expand(x: Variable, y: Variable) -> Variable:
    nothing = call("equal", x, 0) & ~call("isnan", y)
    return select(nothing, 0, x * log1p(select(nothing, 0, y)))


def _xlog1py_vjp(g: Variable, out: Variable, x: Variable, y: Variable) -> tuple[Variable, Variable]:
    return g * log1p(y), g * select(call("equal", x, 0), 0, x / (y + 1))


def _logit_expand(x: Variable) -> Variable:
    middle = (x > 0.3) & (x < 0.65)
    twice = 2 * (x - 0.5)  # exact there
    return select(middle, log1p(twice) - log1p(-twice), log(x) - log1p(-x))


def _log_ndtr_expand(x: Variable) -> Variable:
    low = x < -1
    deep = select(low, x, -1)
    tail = log(erfcx(deep * (-1 / _ROOT_2)) / 2) - deep * deep / 2
    return select(low, tail, log1p(erfc(select(low, 0, x) * (1 / _ROOT_2)) * -0.5))


xlogy_op = elementwise("xlogy", _xlogy_vjp, expand=_xlogy_expand)
xlog1py_op = elementwise("xlog1py", _xlog1py_vjp, expand=_xlog1py_expand)
logit = elementwise("logit", lambda g, out, x: (g / (x * (1 - x)),), expand=_logit_expand)
log_ndtr = elementwise(
    "log_ndtr", lambda g, out, x: (g * exp(x * x * -0.5 - out) / _ROOT_2_PI,), expand=_log_ndtr_expand
)


def _published(op: Op, summary: str) -> None:
    def function(*args: Any) -> Variable:
        return op(*common_float(*args, where=op.name))

    function.__name__ = function.__qualname__ = op.name
    function.__doc__ = f"{summary} Elementwise; arguments broadcast, integers become floats."
    publish(op.name, function)


for _op, _summary in (
    (gammainc, "The regularized lower incomplete gamma function of order a > 0 at x >= 0: ``gammainc(a, x)``."),
    (gammaincc, "The regularized upper incomplete gamma function of order a > 0 at x >= 0: ``gammaincc(a, x)``."),
    (betainc, "The regularized incomplete beta function: ``betainc(a, b, x)``, a, b > 0 and 0 <= x <= 1."),
    (erfcx, "``exp(x * x) * erfc(x)``, without underflow."),
    (ndtri, "The x at which ``ndtr(x)`` is the argument."),
    (i0e, "``exp(-|x|) * i0(x)``."),
    (i1e, "``exp(-|x|) * i1(x)``."),
    (xlogy_op, "``x * log(y)``, and 0 where x is 0 and y not NaN."),
    (xlog1py_op, "``x * log1p(y)``, and 0 where x is 0 and y not NaN."),
    (logit, "``log(x / (1 - x))``: undoes ``sigmoid``."),
    (log_ndtr, "The logarithm of ``ndtr``, without underflow."),
):
    _published(_op, _summary)

# --- by others


@public
def entr(x: Any) -> Variable:
    """``-x * log(x)``, 0 at 0 and minus infinity below, elementwise: a term of an entropy."""
    (x,) = common_float(x)
    return select(x < 0, -math.inf, -xlogy_op(x, select(x < 0, 1, x)))


@public
def betaln(a: Any, b: Any) -> Variable:
    """The logarithm of the absolute value of the beta function, elementwise."""
    a, b = common_float(a, b)
    return gammaln(a) + gammaln(b) - gammaln(a + b)


@public
def ndtr(x: Any) -> Variable:
    """The probability that a standard normal variable is at most x, elementwise."""
    (x,) = common_float(x)
    return erfc(x * (-1 / _ROOT_2)) * 0.5


@public
def erfcinv(x: Any) -> Variable:
    """The y with ``erfc(y) = x``, elementwise."""
    (x,) = common_float(x)
    return ndtri(x * 0.5) * (-1 / _ROOT_2)


def _bessel(scaled: Op, order: int) -> Callable[[Any], Variable]:
    def function(x: Any) -> Variable:
        (x,) = common_float(x)
        return exp(abs(x)) * scaled(x)

    function.__name__ = function.__qualname__ = f"i{order}"
    function.__doc__ = f"The modified Bessel function of the first kind of order {order}, elementwise."
    return function


publish("i0", _bessel(i0e, 0))
publish("i1", _bessel(i1e, 1))


@public
def gammal(k: Any, x: Any) -> Variable:
    """The lower incomplete gamma function, not regularized, elementwise; k > 0."""
    k, x = common_float(k, x)
    return gammainc(k, x) * call("gamma", k)


@public
def gammau(k: Any, x: Any) -> Variable:
    """The upper incomplete gamma function, not regularized, elementwise; k > 0."""
    k, x = common_float(k, x)
    return gammaincc(k, x) * call("gamma", k)


@public
def chi2sf(x: Any, k: Any) -> Variable:
    """The probability that a chi-square variable with k degrees of freedom is larger than x, elementwise."""
    x, k = common_float(x, k)
    return gammaincc(k * 0.5, x * 0.5)
