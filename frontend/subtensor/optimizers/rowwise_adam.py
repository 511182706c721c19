"""Adam with one measure of size for each row: half of its state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from subtensor.graph.nodes import Variable, call
from subtensor.ops.elementwise import cast
from subtensor.optimizers.adam import AdamLike, Spread, constants
from subtensor.optimizers.build import Options, build
from subtensor.optimizers.rules import Idle, Point, Slot, Step, bias, power, wide
from subtensor.optimizers.updates import Updates


@dataclass(frozen=True)
class RowwiseAdam(AdamLike):
    """Averages of gradients by element, of their squares by row, as "partial row-wise Adam" in recommenders."""

    name: ClassVar[str] = "rowwise_adam"

    @property
    def slots(self) -> tuple[Slot, ...]:
        return (Slot("m"), Slot("v", by_row=True))

    def step(self, p: Point) -> Step:
        assert p.count is not None
        m = self.beta1 * p.state["m"] + (1 - self.beta1) * p.g
        v = self.beta2 * p.state["v"] + (1 - self.beta2) * p.place.mean_square(p.g)
        return Step({"m": m, "v": v}, change=self.way(m, v, p.g, p.count, cast(p.rate, wide(p.w.dtype)), p.spread))

    def idle(self, p: Idle) -> Step:
        m, v = p.state["m"], p.state["v"]
        change = self._replayed(p, m, v)
        return Step({"m": p.power(self.beta1) * m, "v": cast(power(self.beta2, p.steps), v.dtype) * v}, change=change)

    def way(
        self,
        m: Variable,
        v: Variable,
        g: Variable | None,  # noqa: ARG002  # Nadam's
        count: Variable,
        rate: Variable | float,
        spread: Spread,
    ) -> Variable:
        second = call("sqrt", bias(self.beta2, count))
        size = call("sqrt", cast(v, second.dtype)) + self.epsilon * second
        return spread(-rate * second / bias(self.beta1, count) / size) * m


def rowwise_adam(
    cost_or_grads: Any,
    params: Any,
    learning_rate: Any = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    step_count: str | None = None,
    **options: Unpack[Options],
) -> Updates:
    """``adam`` with ``v = β₂ v + (1 − β₂) · mean of g² over the row``. State: m, of the parameter's shape, and v, one
    number for each row.

    The rows of a variable given as a whole are its first axis; a vector or scalar is one row. step_count: as in
    ``adam``.
    """
    rule = RowwiseAdam(*constants("rowwise_adam", beta1, beta2, epsilon))
    return build(rule, cost_or_grads, params, learning_rate, options, step_count)
