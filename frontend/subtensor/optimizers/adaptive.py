"""Rates for each element or row from sums and averages of squared gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Unpack

from subtensor.graph.nodes import Variable, call
from subtensor.optimizers.build import Options, build, number
from subtensor.optimizers.rules import Guarded, Idle, Point, Slot, Step
from subtensor.optimizers.updates import Updates


def _filled(value: float) -> Any:
    def start(table: Variable) -> Variable:
        return call("full_like", table, value)

    return start if value else None


@dataclass(frozen=True)
class Adagrad(Guarded):
    """Duchi, Hazan & Singer (2011)."""

    epsilon: float
    initial: float
    name: ClassVar[str] = "adagrad"
    still: ClassVar[bool] = True

    @property
    def slots(self) -> tuple[Slot, ...]:
        return (Slot("accumulator", start=_filled(self.initial)),)

    def step(self, p: Point) -> Step:
        n = p.state["accumulator"] + p.g * p.g
        return Step({"accumulator": n}, change=-p.rate * p.g / (call("sqrt", n) + self.epsilon))


@dataclass(frozen=True)
class AdagradMomentum(Adagrad):
    """Adagrad's step into a velocity, as GRU4Rec takes it (Hidasi et al., 2016)."""

    momentum: float
    still: ClassVar[bool] = False
    moves: ClassVar[bool] = True

    @property
    def slots(self) -> tuple[Slot, ...]:
        return (*super().slots, Slot("velocity"))

    def step(self, p: Point) -> Step:
        done = super().step(p)
        assert done.change is not None
        u = self.momentum * p.state["velocity"] + done.change
        return Step({**done.state, "velocity": u}, change=u)

    def idle(self, p: Idle) -> Step:
        u = p.state["velocity"]
        return Step({"velocity": p.power(self.momentum) * u}, change=p.geometric(self.momentum) * u)


@dataclass(frozen=True)
class RowwiseAdagrad(Guarded):
    """One rate for each row, as in Gupta, Bengio & Weston (2014) and in recommenders since."""

    epsilon: float
    name: ClassVar[str] = "rowwise_adagrad"
    still: ClassVar[bool] = True

    @property
    def slots(self) -> tuple[Slot, ...]:
        return (Slot("accumulator", by_row=True),)

    def step(self, p: Point) -> Step:
        n = p.state["accumulator"] + p.place.mean_square(p.g)
        rate = -p.rate / (call("sqrt", n) + self.epsilon)
        return Step({"accumulator": n}, change=p.spread(rate) * p.g)


@dataclass(frozen=True)
class RmsProp(Guarded):
    """Tieleman & Hinton (2012), lecture 6.5."""

    rho: float
    epsilon: float
    name: ClassVar[str] = "rmsprop"

    @property
    def slots(self) -> tuple[Slot, ...]:
        return (Slot("mean_square"),)

    def step(self, p: Point) -> Step:
        v = self.rho * p.state["mean_square"] + (1 - self.rho) * p.g * p.g
        return Step({"mean_square": v}, change=-p.rate * p.g / (call("sqrt", v) + self.epsilon))

    def idle(self, p: Idle) -> Step:
        return Step({"mean_square": p.power(self.rho) * p.state["mean_square"]})


@dataclass(frozen=True)
class Adadelta(Guarded):
    """Zeiler (2012), with ε outside the roots."""

    rho: float
    epsilon: float
    name: ClassVar[str] = "adadelta"

    @property
    def slots(self) -> tuple[Slot, ...]:
        return (Slot("mean_square"), Slot("mean_square_change"))

    def step(self, p: Point) -> Step:
        v = self.rho * p.state["mean_square"] + (1 - self.rho) * p.g * p.g
        d = p.state["mean_square_change"]
        way = (call("sqrt", d) + self.epsilon) / (call("sqrt", v) + self.epsilon) * p.g
        changed = self.rho * d + (1 - self.rho) * way * way
        return Step({"mean_square": v, "mean_square_change": changed}, change=-p.rate * way)

    def idle(self, p: Idle) -> Step:
        factor = p.power(self.rho)
        return Step({name: factor * value for name, value in p.state.items()})


def adagrad(
    cost_or_grads: Any,
    params: Any,
    learning_rate: Any = 0.01,
    epsilon: float = 1e-10,
    initial_accumulator: float = 0.0,
    momentum: float = 0.0,
    **options: Unpack[Options],
) -> Updates:
    """``n += g²; w −= η g / (√n + ε)``. State: n, of the parameter's shape, `initial_accumulator` at first.

    momentum: β of ``u = β u − η g / (√n + ε); w += u``, with which GRU4Rec is trained; u is state then, too.
    """
    constants = number("adagrad: epsilon", epsilon), number("adagrad: initial_accumulator", initial_accumulator)
    beta = number("adagrad: momentum", momentum, 0, 1)
    rule = AdagradMomentum(*constants, beta) if beta else Adagrad(*constants)
    return build(rule, cost_or_grads, params, learning_rate, options)


def rowwise_adagrad(
    cost_or_grads: Any, params: Any, learning_rate: Any = 0.01, epsilon: float = 1e-10, **options: Unpack[Options]
) -> Updates:
    """``n += mean of g² over the row; w −= η g / (√n + ε)``. State: n, one number for each row.

    The rows of a variable given as a whole are its first axis; a vector or scalar is one row.
    """
    rule = RowwiseAdagrad(number("rowwise_adagrad: epsilon", epsilon))
    return build(rule, cost_or_grads, params, learning_rate, options)


def rmsprop(
    cost_or_grads: Any,
    params: Any,
    learning_rate: Any = 0.01,
    rho: float = 0.9,
    epsilon: float = 1e-8,
    **options: Unpack[Options],
) -> Updates:
    """``v = ρ v + (1 − ρ) g²; w −= η g / (√v + ε)``. State: v, of the parameter's shape."""
    rule = RmsProp(number("rmsprop: rho", rho, 0, 1), number("rmsprop: epsilon", epsilon))
    return build(rule, cost_or_grads, params, learning_rate, options)


def adadelta(
    cost_or_grads: Any,
    params: Any,
    learning_rate: Any = 1.0,
    rho: float = 0.95,
    epsilon: float = 1e-3,
    **options: Unpack[Options],
) -> Updates:
    """``v = ρ v + (1 − ρ) g²; δ = (√d + ε) / (√v + ε) · g; d = ρ d + (1 − ρ) δ²; w −= η δ``. State: v and d.

    ε stands outside the roots: 1e-3 starts it as Zeiler's 1e-6 inside them does.
    """
    rule = Adadelta(number("adadelta: rho", rho, 0, 1), number("adadelta: epsilon", epsilon))
    return build(rule, cost_or_grads, params, learning_rate, options)
