"""Amounts: formulas in lengths, and numbers where the lengths are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from subtensor.graph.nodes import Variable
from subtensor.graph.polynomial import Polynomial
from subtensor.rewrites.costs import Work
from subtensor.rewrites.lengths import estimates, values, words


@dataclass(frozen=True)
class Amount:
    """Bytes, or operations: a formula in lengths, and the number where every length in it is known.

    at_most: what it surely is not more than, where that is known and the number is not.
    """

    formula: str
    number: int | None
    at_most: int | None = None

    def __str__(self) -> str:
        if self.number is not None:
            spelled = f"{self.number:,}"
            return spelled if self.is_constant else f"{self.formula} = {spelled}"
        return self.formula if self.at_most is None else f"{self.formula} <= {self.at_most:,}"

    @property
    def is_constant(self) -> bool:
        """Whether there is no length in the formula."""
        return self.number is not None and self.formula == f"{self.number:_}"

    @property
    def bound(self) -> int | None:
        """The number, or what it is not more than."""
        return self.at_most if self.number is None else self.number

    def scaled(self, unit: str = "") -> str:
        """The number in few digits: ``1.05 MB``, ``<= 16.4 kB``; ``?`` where nothing is known."""
        if self.bound is None:
            return "?"
        return ("" if self.number is not None else "<= ") + scaled(self.bound, unit)

    def as_dict(self) -> dict[str, Any]:
        return {"formula": self.formula, "number": self.number, "at_most": self.at_most}


def scaled(number: float, unit: str = "") -> str:
    """A number in three digits with a prefix: ``12``, ``1.05 MB``."""
    power = 0
    while abs(number) >= _NEXT and power < len(_PREFIXES) - 1:
        number, power = number / 1000, power + 1
    digits = f"{number:.0f}" if not power or number >= _TWO_DIGITS else f"{number:.3g}"
    return f"{digits} {_PREFIXES[power]}{unit}".rstrip()


_PREFIXES = ("", "k", "M", "G", "T")
_NEXT, _TWO_DIGITS = 999.5, 99.95


@dataclass(frozen=True)
class Costs:
    """What something takes: bytes read, written and allocated, and operations."""

    read: Amount
    written: Amount
    allocated: Amount
    computed: Amount

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name).as_dict() for name in ("read", "written", "allocated", "computed")}

    @property
    def cells(self) -> tuple[str, ...]:
        """The four amounts in few digits."""
        moved = (a.scaled("B") for a in (self.read, self.written, self.allocated))
        return (*moved, self.computed.scaled())


class Known:
    """What is known of lengths. shapes: of inputs and shared variables; numbers: the values of inputs."""

    def __init__(self, shapes: Mapping[Variable, tuple[int, ...]], numbers: Mapping[Variable, int]) -> None:
        self._values = values(shapes, numbers)
        self._estimates = estimates(shapes, numbers)

    def amount(self, p: Polynomial) -> Amount:
        """A polynomial as an amount."""
        number = p.value(self._values)
        most = p.value(self._estimates) if number is None else None
        return Amount(
            p.spelled(words), None if number is None else round(number), None if most is None else round(most)
        )

    def costs(self, work: Work) -> Costs:
        """What is done as amounts."""
        return Costs(*map(self.amount, (work.read, work.written, work.allocated, work.computed)))


def added(amounts: Iterable[Amount]) -> Amount:
    """The sum of amounts that are alike; the formula is that of the first."""
    given = list(amounts)
    numbers, bounds = [a.number for a in given], [a.bound for a in given]
    number = None if None in numbers else sum(n for n in numbers if n is not None)
    most = None if None in bounds or number is not None else sum(b for b in bounds if b is not None)
    return Amount(given[0].formula, number, most)


def all_added(costs: Iterable[Costs]) -> Costs:
    """The sum of costs that are alike."""
    given = list(costs)
    parts = ([getattr(c, name) for c in given] for name in ("read", "written", "allocated", "computed"))
    return Costs(*map(added, parts))


__all__ = ["Amount", "Costs", "Known", "added", "all_added", "scaled"]
