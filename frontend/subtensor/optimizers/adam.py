"""Adam and its kin (Kingma & Ba, 2015): averages of gradients and of their size, corrected for their start at zero."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias, Unpack

import numpy as np

from subtensor.graph.constants import constant
from subtensor.graph.nodes import Variable, call
from subtensor.graph.types import INDEX
from subtensor.ops.elementwise import cast
from subtensor.ops.loop import repeated
from subtensor.ops.shape import reshape
from subtensor.optimizers.build import Options, build, number
from subtensor.optimizers.rules import Guarded, Idle, Point, Slot, Step, bias, power, wide
from subtensor.optimizers.updates import Updates

Spread: TypeAlias = Callable[[Variable], Variable]


@dataclass(frozen=True)
class AdamLike(Guarded):
    """Two averages by element, m and a measure of size v; what one step moves by depends on them and on the count."""

    beta1: float
    beta2: float
    epsilon: float
    counted: ClassVar[bool] = True
    moves: ClassVar[bool] = True

    @property
    def slots(self) -> tuple[Slot, ...]:
        return (Slot("m"), Slot("v"))

    @property
    def guard(self) -> tuple[float, float]:
        return self.epsilon, math.sqrt(1 - self.beta2)  # the correction of v at the first step

    @property
    def size_decay(self) -> float:
        """The factor by which √v (or what takes its place) falls in an idle step."""
        return math.sqrt(self.beta2)

    def size(self, v: Variable, g: Variable) -> Variable:
        """v after a step with gradient g."""
        return self.beta2 * v + (1 - self.beta2) * g * g

    @abstractmethod
    def way(
        self, m: Variable, v: Variable, g: Variable | None, count: Variable, rate: Variable | float, spread: Spread
    ) -> Variable:
        """What a step adds to w; m and v after it; g None for zero. spread: brings counts to m's shape."""

    def step(self, p: Point) -> Step:
        assert p.count is not None
        m = self.beta1 * p.state["m"] + (1 - self.beta1) * p.g
        v = self.size(p.state["v"], p.g)
        return Step({"m": m, "v": v}, change=self.way(m, v, p.g, p.count, cast(p.rate, wide(p.w.dtype)), p.spread))

    def no_closed_form(self) -> str | None:
        if self.beta1 >= self.size_decay:
            return (
                f"the steps of an idle row do not shrink where beta1 ({self.beta1:g}) >= {self.size_decay:g}, which is "
                "by what the size of its gradients falls"
            )
        if not self.epsilon:
            return "a row that was never used would move by 0/0 where epsilon is 0; expected more than 0"
        return None

    def terms(self, dtype: str) -> int:
        """How many idle steps are replayed: those left out move by less than rounding, relative to the first."""
        ratio = self.beta1 / self.size_decay
        tolerance = max(float(np.finfo(dtype).eps), 1e-17) * 0.1 * (1 - ratio)
        return max(1, math.ceil(math.log(tolerance) / math.log(ratio))) if ratio else 1

    def idle(self, p: Idle) -> Step:
        m, v = p.state["m"], p.state["v"]
        change = self._replayed(p, m, v)
        return Step({"m": p.power(self.beta1) * m, "v": p.power(self.size_decay**self._order) * v}, change=change)

    _order: ClassVar[int] = 2
    """v is in units of the gradient to this power."""

    def _replayed(self, p: Idle, m: Variable, v: Variable) -> Variable:
        """The ways of up to ``terms`` idle steps, added, each with the decay that comes after it.

        As many are made as the row needs that waited longest: none where no row waited.
        """
        dtype = p.w.dtype
        none = constant(np.zeros(1, p.steps.dtype))
        longest = call("max", call("concatenate", [reshape(p.steps, (-1,)), none], 0))
        terms = cast(call("minimum", longest, float(self.terms(dtype))), INDEX)

        def body(k: Variable, m: Variable, v: Variable, moved: Variable) -> list[Variable]:
            k, m, v = k + 1, self.beta1 * m, self.size_decay**self._order * v
            way = self.way(m, v, None, p.done + k, p.rate, p.spread)
            if p.keep != 1:
                way = way * p.spread(power(p.keep, call("maximum", p.steps - k, 0)))
            return [k, m, v, moved + call("where", p.spread(k <= p.steps), way, 0)]

        start = [constant(0, dtype=p.steps.dtype), m, v, call("zeros_like", m)]
        return repeated(body, start, terms)[-1]


@dataclass(frozen=True)
class Adam(AdamLike):
    """Both averages corrected for their start at zero."""

    name: ClassVar[str] = "adam"

    def way(
        self,
        m: Variable,
        v: Variable,
        g: Variable | None,  # noqa: ARG002  # Nadam's
        count: Variable,
        rate: Variable | float,
        spread: Spread,
    ) -> Variable:
        # −rate · m̂ / (√v̂ + ε), with what depends on the count alone taken out of the elements
        second = call("sqrt", bias(self.beta2, count))
        scale = spread(-rate * second / bias(self.beta1, count))
        return scale * m / (call("sqrt", v) + spread(self.epsilon * second))


@dataclass(frozen=True)
class AdamW(Adam):
    """Loshchilov & Hutter (2019)."""

    name: ClassVar[str] = "adamw"


@dataclass(frozen=True)
class Adamax(AdamLike):
    """Kingma & Ba, section 7.1: v is a fading maximum of |g|."""

    name: ClassVar[str] = "adamax"
    _order: ClassVar[int] = 1

    @property
    def guard(self) -> tuple[float, float]:
        return self.epsilon, 1.0

    @property
    def size_decay(self) -> float:
        return self.beta2

    def size(self, v: Variable, g: Variable) -> Variable:
        return call("maximum", self.beta2 * v, call("abs", g))

    def way(
        self,
        m: Variable,
        v: Variable,
        g: Variable | None,  # noqa: ARG002  # Nadam's
        count: Variable,
        rate: Variable | float,
        spread: Spread,
    ) -> Variable:
        return spread(-rate / bias(self.beta1, count)) * m / (v + self.epsilon)


@dataclass(frozen=True)
class Nadam(AdamLike):
    """Dozat (2016), with constant β₁."""

    name: ClassVar[str] = "nadam"

    def way(
        self, m: Variable, v: Variable, g: Variable | None, count: Variable, rate: Variable | float, spread: Spread
    ) -> Variable:
        second = call("sqrt", bias(self.beta2, count))
        ahead = spread(-rate * second * self.beta1 / bias(self.beta1, count + 1)) * m
        if g is not None:
            ahead = ahead + spread(-rate * second * (1 - self.beta1) / bias(self.beta1, count)) * g
        return ahead / (call("sqrt", v) + spread(self.epsilon * second))


@dataclass(frozen=True)
class Lamb(Adam):
    """You et al. (2020): Adam's way, with decay, scaled to the length of the row, or of a whole variable."""

    decay: float
    name: ClassVar[str] = "lamb"

    def step(self, p: Point) -> Step:
        assert p.count is not None
        m = self.beta1 * p.state["m"] + (1 - self.beta1) * p.g
        v = self.size(p.state["v"], p.g)
        way = self.way(m, v, p.g, p.count, -1.0, p.spread)
        if self.decay:
            way = way + self.decay * p.w
        axes = p.place.norm_axes(p.w)
        long = [cast(x, wide(p.w.dtype)) for x in (p.w, way)]  # squares may leave the range of float16
        of_w, of_way = (call("sqrt", call("sum", x * x, axes, keepdims=True) if axes else x * x) for x in long)
        trust = call("where", (of_w > 0) & (of_way > 0), of_w / call("where", of_way > 0, of_way, 1), 1)
        trust = cast(trust, p.w.dtype)
        return Step({"m": m, "v": v}, change=-p.rate * trust * way)

    def no_closed_form(self) -> str | None:
        return "lamb scales each step by the length that the row then has, so missed steps do not add up in closed form"


def constants(name: str, beta1: float, beta2: float, epsilon: float) -> tuple[float, float, float]:
    """The constants of Adam and its kin, checked."""
    return (
        number(f"{name}: beta1", beta1, 0, 1),
        number(f"{name}: beta2", beta2, 0, 1),
        number(f"{name}: epsilon", epsilon),
    )


def adam(
    cost_or_grads: Any,
    params: Any,
    learning_rate: Any = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    step_count: str | None = None,
    **options: Unpack[Options],
) -> Updates:
    """``m = β₁ m + (1 − β₁) g; v = β₂ v + (1 − β₂) g²; w −= η m̂ / (√v̂ + ε)``, with m̂ = m / (1 − β₁ᵗ), v̂ likewise.

    State: m and v, of the parameter's shape. step_count: what t counts: ``"row"``, the steps that used the row (one
    number more for each; the default with ``untouched="freeze"``), or ``"global"``, all steps.
    """
    rule = Adam(*constants("adam", beta1, beta2, epsilon))
    return build(rule, cost_or_grads, params, learning_rate, options, step_count)


def adamw(
    cost_or_grads: Any,
    params: Any,
    learning_rate: Any = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    step_count: str | None = None,
    **options: Unpack[Options],
) -> Updates:
    """``adam`` with decoupled decay: ``w −= η (m̂ / (√v̂ + ε) + λ w)``; λ is `weight_decay`, .01 unless given."""
    rule = AdamW(*constants("adamw", beta1, beta2, epsilon))
    options.setdefault("weight_decay", 0.01)
    return build(rule, cost_or_grads, params, learning_rate, options, step_count)


def adamax(
    cost_or_grads: Any,
    params: Any,
    learning_rate: Any = 2e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    step_count: str | None = None,
    **options: Unpack[Options],
) -> Updates:
    """``m`` as in ``adam``; ``v = max(β₂ v, |g|); w −= η m̂ / (v + ε)``. State and step_count as in ``adam``."""
    rule = Adamax(*constants("adamax", beta1, beta2, epsilon))
    return build(rule, cost_or_grads, params, learning_rate, options, step_count)


def nadam(
    cost_or_grads: Any,
    params: Any,
    learning_rate: Any = 2e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    step_count: str | None = None,
    **options: Unpack[Options],
) -> Updates:
    """``m, v`` as in ``adam``; m̂ looks a step ahead: ``β₁ m / (1 − β₁ᵗ⁺¹) + (1 − β₁) g / (1 − β₁ᵗ)``."""
    rule = Nadam(*constants("nadam", beta1, beta2, epsilon))
    return build(rule, cost_or_grads, params, learning_rate, options, step_count)


def lamb(
    cost_or_grads: Any,
    params: Any,
    learning_rate: Any = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-6,
    step_count: str | None = None,
    **options: Unpack[Options],
) -> Updates:
    """``r = m̂ / (√v̂ + ε) + λ w; w −= η r ‖w‖ / ‖r‖``, lengths taken over a row of a table or a whole variable.

    A length of zero on either side gives the factor 1. λ is `weight_decay`. State and step_count as in ``adam``.
    """
    decay = number("lamb: weight_decay", options.pop("weight_decay", 0.0))
    rule = Lamb(*constants("lamb", beta1, beta2, epsilon), decay)
    return build(rule, cost_or_grads, params, learning_rate, options, step_count)
