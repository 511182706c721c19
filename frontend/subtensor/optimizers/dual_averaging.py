"""MADGRAD (Defazio & Jelassi, 2021): weights from where they began and from sums of gradients, with momentum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from subtensor.errors import OptimizerError
from subtensor.graph.nodes import Variable, call
from subtensor.ops.elementwise import cast
from subtensor.optimizers.build import Options, build, number
from subtensor.optimizers.rules import Guarded, Idle, Point, Slot, Step
from subtensor.optimizers.updates import Updates


@dataclass(frozen=True)
class Madgrad(Guarded):
    """Sums of gradients and of squares, weighted by √t, over the cube root of the second."""

    momentum: float
    epsilon: float
    name: ClassVar[str] = "madgrad"
    counted: ClassVar[bool] = True
    moves: ClassVar[bool] = True

    @property
    def slots(self) -> tuple[Slot, ...]:
        return (Slot("start", start=lambda w: w), Slot("s"), Slot("v"))

    def step(self, p: Point) -> Step:
        assert p.count is not None
        weight = p.spread(cast(p.rate, p.count.dtype) * call("sqrt", p.count))
        s, v = p.state["s"] + weight * p.g, p.state["v"] + weight * p.g * p.g
        change = (1 - self.momentum) * (self._goal(p.state["start"], s, v) - p.w)
        return Step({"start": p.state["start"], "s": s, "v": v}, change=change)

    def _goal(self, start: Variable, s: Variable, v: Variable) -> Variable:
        return start - s / (call("power", v, 1 / 3) + self.epsilon)

    def idle(self, p: Idle) -> Step:
        # w goes on towards where the sums say, by a share of the way in each step
        goal = self._goal(p.state["start"], p.state["s"], p.state["v"])
        return Step(p.state, change=(1 - p.power(self.momentum)) * (goal - p.w))


def madgrad(
    cost_or_grads: Any,
    params: Any,
    learning_rate: Any = 1e-2,
    momentum: float = 0.9,
    epsilon: float = 1e-6,
    step_count: str | None = None,
    **options: Unpack[Options],
) -> Updates:
    """``λ = η √t; s += λ g; v += λ g²; w = β w + (1 − β) (w₀ − s / (∛v + ε))``, with β `momentum` and w₀ the first w.

    State: w₀, s and v, of the parameter's shape. step_count as in ``adam``. An ε of 0 makes NaN where g is 0.
    """
    if options.get("weight_decay") and options.get("untouched") == "catch_up":
        raise OptimizerError(
            "madgrad: weight_decay does not go with untouched='catch_up', for w is an average; use untouched='freeze'"
        )
    rule = Madgrad(number("madgrad: momentum", momentum, 0, 1), number("madgrad: epsilon", epsilon))
    return build(rule, cost_or_grads, params, learning_rate, options, step_count)
