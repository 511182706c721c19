"""Special functions of one real number, from their definitions: recurrence, then asymptotic series."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)


def gammaln(x: float) -> float:
    if math.isinf(x):
        return x  # so does SciPy; C gives plus infinity on either side
    if x <= 0 and x == math.floor(x):
        return math.inf
    return math.lgamma(x)


def digamma(x: float) -> float:
    """psi(x) = psi(x + 1) - 1/x up to x >= 12, then ln x - 1/2x - sum of B_2k / (2k x^2k)."""
    if x == math.inf:
        return math.inf
    if x == 0:
        return math.copysign(math.inf, -x)
    if x < 0:
        if x == math.floor(x):
            return math.nan
        return digamma(1 - x) - math.pi / math.tan(math.pi * x)
    below = 0.0
    while x < 12:
        below -= 1 / x
        x += 1
    series = sum(b / (2 * k * x ** (2 * k)) for k, b in enumerate(_BERNOULLI, 1))
    return below + math.log(x) - 1 / (2 * x) - series


def polygamma(n: int, x: float) -> float:
    """The n-th derivative of digamma, for x > 0; Abramowitz and Stegun 6.4.6 and 6.4.11."""
    if n == 0:
        return digamma(x)
    sign = 1.0 if n % 2 else -1.0
    below = 0.0
    while x < 20:
        below += math.factorial(n) / x ** (n + 1)
        x += 1
    value = math.factorial(n - 1) / x**n + math.factorial(n) / (2 * x ** (n + 1))
    for k, b in enumerate(_BERNOULLI, 1):
        value += b * math.factorial(2 * k + n - 1) / (math.factorial(2 * k) * x ** (2 * k + n))
    return sign * (below + value)


def erfinv(y: float) -> float:
    """The x with erf(x) = y, by Newton's method on the tail that keeps its digits."""
    if abs(y) == 1:
        return math.copysign(math.inf, y)
    if abs(y) > 1:
        raise ValueError("outside [-1, 1]")
    x = 0.0
    for _ in range(200):
        error = math.erf(x) - abs(y) if abs(y) < 0.9 else (1 - abs(y)) - math.erfc(x)
        step = error * math.exp(x * x) * math.sqrt(math.pi) / 2
        x -= step
        if abs(step) < 1e-17:
            break
    return math.copysign(x, y)


def erfcx(x: float) -> float:
    """exp(x^2) erfc(x); for large x, 1 / (x + (1/2) / (x + 1 / (x + (3/2) / (x + …)))) over the root of pi."""
    if x < 2:
        return math.exp(x * x) * math.erfc(x)
    below = x
    for k in range(300, 0, -1):
        below = x + k / 2 / below
    return 1 / (below * math.sqrt(math.pi))


def ndtri(p: float) -> float:
    """The quantile of the standard normal distribution."""
    if p in (0.0, 1.0):
        return math.inf if p else -math.inf
    if not 0 < p < 1:
        raise ValueError("outside [0, 1]")
    return NormalDist().inv_cdf(p)


def gammainc(a: float, x: float) -> float:
    """x^a e^-x / Gamma(a + 1) times the sum of x^k / ((a + 1) … (a + k)); Abramowitz and Stegun 6.5.29."""
    if x in (0.0, math.inf):
        return 0.0 if x == 0 else 1.0
    if x > a + 20:
        return 1 - gammaincc(a, x)
    term, total, k = 1.0, 1.0, 0
    while term > 1e-18 * total:
        k += 1
        term *= x / (a + k)
        total += term
    return total * math.exp(a * math.log(x) - x - math.lgamma(a + 1))


def gammaincc(a: float, x: float) -> float:
    """One less gammainc; for large x, x^a e^-x / Gamma(a) times a continued fraction, ibid. 6.5.31."""
    if x < a + 1 or x == math.inf:
        return 1 - gammainc(a, x)
    below = x
    for k in range(2000, 0, -1):
        below = x + (k - a) / (1 + k / below)
    return math.exp(a * math.log(x) - x - math.lgamma(a)) / below


def betainc(a: float, b: float, x: float) -> float:
    """Ibid. 26.5.8, a continued fraction, on the side where it converges."""
    if x in (0.0, 1.0):
        return x
    if not 0 < x < 1:
        raise ValueError("outside [0, 1]")
    if x > (a + 1) / (a + b + 2):
        return 1 - betainc(b, a, 1 - x)
    below = 1.0
    for k in range(400, 0, -1):
        m = k // 2
        odd = -(a + m) * (a + b + m) / ((a + 2 * m) * (a + 2 * m + 1))
        even = m * (b - m) / ((a + 2 * m - 1) * (a + 2 * m))
        below = 1 + (odd if k % 2 else even) * x / below
    of_both = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(of_both + a * math.log(x) + b * math.log1p(-x)) / (a * below)


def scaled_bessel(order: int) -> Callable[[float], float]:
    """e^-abs(x) I_n(x): (1/pi) times the integral of e^(x cos t - abs(x)) cos(n t) over 0 … pi, by the trapezoid rule,
    which is exact to the last digits for periodic integrands.
    """

    def function(x: float) -> float:
        if math.isinf(x) or (order % 2 and x == 0):
            return 0.0
        steps = 64 + 8 * int(abs(x) ** 0.5 + 1) * 8
        ends = (1 + (-1) ** order * math.exp(-2 * abs(x))) / 2
        inner = (math.cos(order * t) * math.exp(abs(x) * (math.cos(t) - 1)) for t in _places(steps))
        value = (ends + math.fsum(inner)) / steps
        return math.copysign(value, x) if order % 2 else value

    return function


def _places(steps: int) -> list[float]:
    return [math.pi * k / steps for k in range(1, steps)]
