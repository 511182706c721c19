"""Lion (Chen et al., 2023): every element moves by the rate, in the direction of an average of gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from subtensor.graph.nodes import call
from subtensor.optimizers.build import Options, build, number
from subtensor.optimizers.rules import Idle, Point, Rule, Slot, Step
from subtensor.optimizers.updates import Updates


@dataclass(frozen=True)
class Lion(Rule):
    """The sign of one average, while another one is kept."""

    beta1: float
    beta2: float
    name: ClassVar[str] = "lion"
    moves: ClassVar[bool] = True

    @property
    def slots(self) -> tuple[Slot, ...]:
        return (Slot("m"),)

    def step(self, p: Point) -> Step:
        m = p.state["m"]
        way = call("sign", self.beta1 * m + (1 - self.beta1) * p.g)
        return Step({"m": self.beta2 * m + (1 - self.beta2) * p.g}, change=-p.rate * way)

    def idle(self, p: Idle) -> Step:
        # m fades and keeps its sign, so each idle step moves by the rate
        m = p.state["m"]
        change = -p.rate * p.geometric(1.0) * call("sign", m) if self.beta1 else None
        return Step({"m": p.power(self.beta2) * m}, change=change)


def lion(
    cost_or_grads: Any,
    params: Any,
    learning_rate: Any = 1e-4,
    beta1: float = 0.9,
    beta2: float = 0.99,
    **options: Unpack[Options],
) -> Updates:
    """``w −= η sign(β₁ m + (1 − β₁) g); m = β₂ m + (1 − β₂) g``. State: m, of the parameter's shape.

    With ``untouched="catch_up"`` a row moves by η in every step that it misses, as the dense rule moves it.
    """
    rule = Lion(number("lion: beta1", beta1, 0, 1), number("lion: beta2", beta2, 0, 1))
    return build(rule, cost_or_grads, params, learning_rate, options)
