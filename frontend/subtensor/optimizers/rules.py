"""What an update rule is: the state it keeps, what a step does to a touched row, and what idle steps do.

An idle step is one with gradient zero: what the dense optimizer does to a row that is not touched. Rules that can say
what Δ of them amount to, in closed form, can bring a row up to date when it is next read.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from subtensor.graph.constants import constant
from subtensor.graph.nodes import Variable, call
from subtensor.ops.elementwise import cast
from subtensor.optimizers.places import Place


@dataclass(frozen=True)
class Slot:
    """A state variable beside a parameter.

    by_row: one number for each row, not one for each element. start: the first value, as an expression of
    the parameter; zeros where None.
    """

    name: str
    by_row: bool = False
    start: Callable[[Variable], Variable] | None = None


@dataclass(frozen=True)
class Point:
    """What a step sees: rows (S, …), or a whole variable.

    w, g: values and gradients, of one shape and dtype. state: by slot name; slots by row are (S,). rate: 0-d, of their
    dtype. count: the number of this step, from 1, of the dtype ``wide`` of theirs: by row, or 0-d where it is the same
    for all; None for rules that do not count.
    """

    place: Place
    w: Variable
    g: Variable
    state: Mapping[str, Variable]
    rate: Variable
    count: Variable | None = None

    def spread(self, by_row: Variable) -> Variable:
        """What depends on ``count``, against the rows; in the dtype of w."""
        by_row = cast(by_row, self.w.dtype)
        return self.place.spread(by_row, self.w) if by_row.ndim else by_row


def wide(dtype: str) -> str:
    """In what the numbers beside rows of `dtype` are computed, such as rates and counts of steps: float32 or float64.

    JAX has no 64-bit types unless they are switched on; a table of float32 must not need them.
    """
    return "float64" if dtype == "float64" else "float32"


def power(base: float, count: Variable) -> Variable:
    """``base^count`` for a base that is not negative: by ``exp``, which backends vectorise."""
    return call("exp", count * math.log(base)) if base > 0 else call("power", constant(base, dtype=count.dtype), count)


def bias(beta: float, count: Variable) -> Variable:
    """``1 − beta^count``: what an average over `count` values that started at zero lacks; every digit of it.

    With ``1 − exp``, float32 would lose four of its seven digits at the first step with beta = .9999.
    """
    return -call("expm1", count * math.log(beta)) if beta > 0 else 1 - power(beta, count)


@dataclass(frozen=True)
class Step:
    """What a step did: `change`, to be added to w, or the new `value` of w; and new state."""

    state: Mapping[str, Variable] = field(default_factory=dict)
    change: Variable | None = None
    value: Variable | None = None


@dataclass(frozen=True)
class Idle:
    """Δ idle steps, Δ >= 0 by row. steps: Δ; done: the number of steps before them; both float64 by row.

    rate: the learning rate. keep: a = 1 − rate · decay, the factor of a decoupled decay.
    """

    place: Place
    w: Variable
    state: Mapping[str, Variable]
    steps: Variable
    done: Variable
    rate: float
    keep: float

    def power(self, base: float) -> Variable:
        """base^Δ, in the dtype of w."""
        return self.spread(power(base, self.steps))

    def spread(self, by_row: Variable) -> Variable:
        """A number or a truth for each row, against the rows; numbers in the dtype of w."""
        by_row = by_row if by_row.dtype == "bool" else cast(by_row, self.w.dtype)
        return self.place.spread(by_row, self.w)

    def geometric(self, ratio: float) -> Variable:
        """Σ of keep^(Δ − k) · ratio^k over k = 1 … Δ, in the dtype of w."""
        if ratio == 0:
            return self.spread(call("zeros_like", self.steps))
        log = math.log(ratio / self.keep)
        count = self.steps if log == 0 else call("expm1", self.steps * log) / math.expm1(log)
        total = ratio / self.keep * count * power(self.keep, self.steps)
        return self.spread(total)


class Rule(ABC):
    """An update rule. Subclasses are frozen dataclasses of its constants."""

    name: ClassVar[str]
    counted: ClassVar[bool] = False
    """Whether steps are counted, for the correction of bias."""
    moves: ClassVar[bool] = False
    """Whether w itself changes in idle steps, by more than decoupled decay; it then depends on the learning rate."""
    still: ClassVar[bool] = False
    """Whether idle steps change nothing but by decoupled decay."""

    @property
    def slots(self) -> tuple[Slot, ...]:
        return ()

    @property
    def guard(self) -> tuple[float, float] | None:
        """ε, which keeps a divisor from 0, and the least factor that it is taken times; None for rules without."""
        return None

    @abstractmethod
    def step(self, p: Point) -> Step:
        """One step on touched rows."""

    def idle(self, p: Idle) -> Step:  # noqa: ARG002  # subclasses read it
        """Δ idle steps. Decoupled decay of w alone is not its business: w becomes ``keep^Δ · w + change``."""
        return Step()

    def no_closed_form(self) -> str | None:
        """Why idle steps have no closed form, or None where they have."""
        return None


class Guarded(Rule):
    """A rule with ``epsilon``, added to what it divides by."""

    epsilon: float

    @property
    def guard(self) -> tuple[float, float]:
        return self.epsilon, 1.0
