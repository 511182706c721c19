"""Gradient descent, alone and with momentum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from subtensor.optimizers.build import Options, build, number
from subtensor.optimizers.rules import Idle, Point, Rule, Slot, Step
from subtensor.optimizers.updates import Updates


@dataclass(frozen=True)
class Sgd(Rule):
    """A multiple of the gradient, subtracted."""

    name: ClassVar[str] = "sgd"
    still: ClassVar[bool] = True

    def step(self, p: Point) -> Step:
        return Step(change=-p.rate * p.g)


@dataclass(frozen=True)
class Momentum(Rule):
    """Polyak's heavy ball, or Nesterov's method as Sutskever et al. (2013) write it, with the gradient at w."""

    momentum: float
    ahead: bool
    name: ClassVar[str] = "momentum"
    moves: ClassVar[bool] = True

    @property
    def slots(self) -> tuple[Slot, ...]:
        return (Slot("velocity"),)

    def step(self, p: Point) -> Step:
        u = self.momentum * p.state["velocity"] + p.g
        way = p.g + self.momentum * u if self.ahead else u
        return Step({"velocity": u}, change=-p.rate * way)

    def idle(self, p: Idle) -> Step:
        # the k-th idle step moves by −rate · β^k · u, or a factor β of that
        u = p.state["velocity"]
        far = p.rate * (self.momentum if self.ahead else 1.0)
        return Step({"velocity": p.power(self.momentum) * u}, change=-far * p.geometric(self.momentum) * u)


@dataclass(frozen=True)
class Nesterov(Momentum):
    """Momentum with ``ahead``, under its own name."""

    name: ClassVar[str] = "nesterov"


def sgd(cost_or_grads: Any, params: Any, learning_rate: Any, **options: Unpack[Options]) -> Updates:
    """``w −= η g``. No state. See ``Options`` for the others."""
    return build(Sgd(), cost_or_grads, params, learning_rate, options)


def momentum(
    cost_or_grads: Any, params: Any, learning_rate: Any, momentum: float = 0.9, **options: Unpack[Options]
) -> Updates:
    """``u = β u + g; w −= η u`` (heavy ball; β is `momentum`). State: u, of the parameter's shape."""
    rule = Momentum(number("momentum: momentum", momentum, 0, 1), ahead=False)
    return build(rule, cost_or_grads, params, learning_rate, options)


def nesterov(
    cost_or_grads: Any, params: Any, learning_rate: Any, momentum: float = 0.9, **options: Unpack[Options]
) -> Updates:
    """``u = β u + g; w −= η (g + β u)`` (β is `momentum`). State: u, of the parameter's shape."""
    rule = Nesterov(number("nesterov: momentum", momentum, 0, 1), ahead=True)
    return build(rule, cost_or_grads, params, learning_rate, options)
