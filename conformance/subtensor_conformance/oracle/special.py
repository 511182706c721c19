"""Special functions of one real number, from their definitions: recurrence, then asymptotic series."""

from __future__ import annotations

import math

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
