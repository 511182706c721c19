"""FTRL-Proximal (McMahan et al., 2013): sparse weights from sums of gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from subtensor.errors import OptimizerError
from subtensor.graph.nodes import Variable, call
from subtensor.optimizers.build import Options, build, number
from subtensor.optimizers.rules import Point, Rule, Slot, Step
from subtensor.optimizers.updates import Updates


@dataclass(frozen=True)
class Ftrl(Rule):
    """w follows from z, a sum of gradients and of what earlier rates moved, and from n, a sum of squares."""

    rate: float
    beta: float
    l1: float
    l2: float
    name: ClassVar[str] = "ftrl"
    still: ClassVar[bool] = True

    @property
    def slots(self) -> tuple[Slot, ...]:
        return (Slot("z", start=self._start), Slot("n"))

    def _start(self, w: Variable) -> Variable:
        """z such that w follows from it: training starts where the table is."""
        return -w * (self.beta / self.rate + self.l2) - call("sign", w) * self.l1

    def step(self, p: Point) -> Step:
        n = p.state["n"] + p.g * p.g
        root = call("sqrt", n)
        z = p.state["z"] + p.g - (root - call("sqrt", p.state["n"])) / self.rate * p.w
        return Step({"z": z, "n": n}, value=self._weights(z, root))

    def _weights(self, z: Variable, root: Variable) -> Variable:
        shrunk = z - call("sign", z) * self.l1
        w = -shrunk / ((self.beta + root) / self.rate + self.l2)
        return call("where", call("abs", z) <= self.l1, 0, w) if self.l1 else w


def ftrl(
    cost_or_grads: Any,
    params: Any,
    learning_rate: Any = 0.1,
    beta: float = 1.0,
    l1: float = 0.0,
    l2: float = 0.0,
    **options: Unpack[Options],
) -> Updates:
    """``σ = (√(n + g²) − √n) / η; z += g − σ w; n += g²``, and w = 0 where |z| <= l1, elsewhere
    ``−(z − sign(z) l1) / ((β + √n) / η + l2)``.

    State: z and n, of the parameter's shape; z starts so that w is what it is. learning_rate: a number, for z holds
    what was divided by it. It has l1 and l2 and takes no weight_decay.
    """
    if options.get("weight_decay"):
        raise OptimizerError("ftrl: weight_decay does not go with it, for w follows from z and n; use l1 and l2")
    if isinstance(learning_rate, Variable) or callable(learning_rate):
        raise OptimizerError(
            "ftrl: learning_rate must be a number: its state z holds sums that were divided by it; got "
            f"{learning_rate!r}"
        )
    rate = number("ftrl: learning_rate", learning_rate)
    beta = number("ftrl: beta", beta)
    if not rate or not beta:
        raise OptimizerError(f"ftrl: learning_rate is {rate:g} and beta {beta:g}; expected more than 0")
    rule = Ftrl(rate, beta, number("ftrl: l1", l1), number("ftrl: l2", l2))
    return build(rule, cost_or_grads, params, learning_rate, options)
