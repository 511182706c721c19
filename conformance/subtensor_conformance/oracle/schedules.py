"""Learning rates by the number of steps done before: functions of a Python float."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

Schedule: TypeAlias = Callable[[float], float]


def step(rate: float, every: int, factor: float = 0.1) -> Schedule:
    """Multiplied by `factor` after each `every` steps."""
    return lambda t: rate * math.prod([factor] * (int(t) // every))


def exponential(rate: float, every: float, factor: float = 0.1) -> Schedule:
    """Multiplied by `factor` over each `every` steps, by equal factors at each."""
    return lambda t: rate * math.exp(math.log(factor) * t / every)


def cosine(rate: float, steps: int, end: float = 0.0) -> Schedule:
    """From `rate` to `end` along half a cosine of `steps` steps, and `end` from then on."""
    return lambda t: end if t >= steps else end + (rate - end) * math.cos(math.pi * t / steps / 2) ** 2


def warmup(after: float | Schedule, steps: int) -> Schedule:
    """1/steps of `after` at first, 2/steps then, and so on; the whole from step `steps` on, where a schedule begins."""

    def at(t: float) -> float:
        if t >= steps:
            return after(t - steps) if callable(after) else after
        return (after(0.0) if callable(after) else after) * (t + 1) / steps

    return at
