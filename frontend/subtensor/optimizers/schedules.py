"""Learning rates that depend on the number of the step: functions of it, to be given as ``learning_rate``.

Each returns a callable ``t -> rate``, t a scalar node, the number of steps done before this one: float64 for tables of
float64, float32 for others. They compose: ``warmup(cosine(.1, 1000), 100)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from subtensor.errors import OptimizerError
from subtensor.graph.constants import as_tensor
from subtensor.graph.nodes import Variable, call

Schedule: TypeAlias = "Callable[[Variable], Variable]"


def _positive(name: str, value: Any) -> None:
    if not isinstance(value, int | float | np.number) or not value > 0:
        raise OptimizerError(f"schedule: {name} is {value!r}; expected a positive number")


def _number(name: str, value: Any) -> None:
    if not isinstance(value, int | float | np.number | Variable):
        raise OptimizerError(f"schedule: {name} is {value!r}; expected a number")


def step(rate: float, every: int, factor: float = 0.1) -> Schedule:
    """``rate · factor^⌊t / every⌋``: falls at once after each `every` steps."""
    _number("rate", rate)
    _number("factor", factor)
    _positive("every", every)
    return lambda t: rate * call("power", as_tensor(float(factor), dtype=t.dtype), call("floor", t / every))


def exponential(rate: float, every: float, factor: float = 0.1) -> Schedule:
    """``rate · factor^(t / every)``: falls by `factor` in each `every` steps, smoothly."""
    _number("rate", rate)
    _number("factor", factor)
    _positive("every", every)
    return lambda t: rate * call("power", as_tensor(float(factor), dtype=t.dtype), t / every)


def cosine(rate: float, steps: int, end: float = 0.0) -> Schedule:
    """Half a cosine from `rate` to `end` over `steps` steps, then `end` (Loshchilov & Hutter, 2017)."""
    _number("rate", rate)
    _number("end", end)
    _positive("steps", steps)

    def at(t: Variable) -> Variable:
        done = call("minimum", t / steps, 1.0)
        return end + (rate - end) * 0.5 * (1 + call("cos", math.pi * done))

    return at


def warmup(after: float | Schedule, steps: int) -> Schedule:
    """`after`, a rate or a schedule, reached linearly: step t of the first `steps` takes (t + 1) / steps of it.

    A schedule begins when the warm-up ends.
    """
    if not callable(after):
        _number("after", after)
    _positive("steps", steps)

    def at(t: Variable) -> Variable:
        full = after(call("maximum", t - steps, 0.0)) if callable(after) else as_tensor(float(after), dtype=t.dtype)
        return full * call("minimum", (t + 1) / steps, 1.0)

    return at


__all__ = ["cosine", "exponential", "step", "warmup"]
