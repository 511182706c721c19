"""Which of two forms is better, and what of that depends on lengths.

Where it depends on lengths that are not known, the form stays whose worst case is better: prices are taken with each
length very small and very large, and the larger factor decides. A form that is 2 times as dear for many ids, and a
table's length times cheaper for few, is the better one. Such a decision is noted, so that a call, whose lengths are
known, may be made by another form (``program.forms``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from types import MappingProxyType

from subtensor.graph.polynomial import Atom, Order, Polynomial, compare
from subtensor.rewrites.lengths import at_most, bounds

Lengths = Callable[[Atom], "float | None"]
_NOTHING: Mapping[Atom, Polynomial] = MappingProxyType({})


_LEAST = 1.0
"""Nanoseconds: nothing takes no time at all."""
_SMALL, _USUAL, _MOST, _LARGE = 1.0, 2.0**10, 2.0**16, 2.0**20
_APART = 3


@dataclass(frozen=True, slots=True)
class Question:
    """A choice that depends on lengths. chosen, other: the prices of the form that was chosen, and of the other one."""

    chosen: Polynomial
    other: Polynomial

    def loss(self, lengths: Lengths) -> float:
        """How many times as much the form that was chosen costs, for given lengths; 1 where they do not tell."""
        a, b = self.chosen.value(lengths), self.other.value(lengths)
        return 1.0 if a is None or b is None else (a + _LEAST) / (b + _LEAST)

    def may_be_wrong(self, told: Mapping[Atom, Polynomial]) -> bool:
        """Whether there are lengths, not larger than people have, for which the other form is clearly cheaper."""
        choices = _extremes([*self.chosen.atoms, *self.other.atoms], told, (_SMALL, _USUAL, _MOST))
        return any(self.loss(lengths) > TOLERATED for lengths in choices)


TOLERATED = 1.15
"""From this loss on, a decision is wrong."""


class Judge:
    """Decides between forms.

    lengths: those of a call, which decide what depends on them. Without them the form is chosen whose worst case is
    better. asked: what was decided so far that depends on lengths.
    """

    def __init__(self, lengths: Lengths | None = None) -> None:
        self._lengths = lengths
        self.asked: list[Question] = []

    def prefers(
        self,
        new: Polynomial,
        old: Polynomial,
        told: Mapping[Atom, Polynomial] = _NOTHING,
        margin: float = 1.0,
        *,
        noted: bool = True,
    ) -> bool:
        """Whether a form of one price is better than the form as written, of another.

        told: lengths that are known. margin: by how much the worst case must be better, where it depends. noted:
        whether that is noted.
        """
        asking: set[Atom] = set()

        def above(d: Atom) -> Polynomial | None:
            found = None if d in asking else told.get(d) or at_most(d)
            if found is None:  # or its bound leads back to it: lengths that are promised to be equal
                return None
            asking.add(d)
            bound = found.bounded(above)
            asking.discard(d)
            return bound

        new, old = new.bounded(told.get), old.bounded(told.get)
        found = compare(new, old, above)
        if found is not Order.DEPENDS:
            return found is not Order.MORE
        better = self._depends(new, old, told, margin)
        question = Question(new, old) if better else Question(old, new)
        if noted and question.may_be_wrong(told):
            self.asked.append(question)
        return better

    def _depends(self, new: Polynomial, old: Polynomial, told: Mapping[Atom, Polynomial], margin: float) -> bool:
        if self._lengths is not None:
            a, b = new.value(self._lengths), old.value(self._lengths)
            if a is not None and b is not None:
                return a <= b
        worst_new = worst_old = 1.0
        for lengths in _extremes([*old.atoms, *new.atoms], told):
            a, b = new.value(lengths), old.value(lengths)
            assert a is not None
            assert b is not None
            a, b = a + _LEAST, b + _LEAST
            worst_new, worst_old = max(worst_new, a / b), max(worst_old, b / a)
        return worst_new * margin < worst_old


def _within(chosen: Mapping[Atom, float], told: Mapping[Atom, Polynomial], name: Atom) -> float | None:
    """The length that was chosen, or what it surely is not more than."""
    if name in told:
        return told[name].value(partial(_within, chosen, {}))
    known = [p.value(partial(_within, chosen, told)) for p in bounds(name)]
    return min([chosen.get(name, _LARGE), *(k for k in known if k is not None)])


def _extremes(
    atoms: Sequence[Atom], told: Mapping[Atom, Polynomial], ends: Sequence[float] = (_SMALL, _LARGE)
) -> list[Lengths]:
    """Choices of lengths: each small or large, within its bounds; where there are many, most of them together."""
    names = dict.fromkeys(atoms)
    names.update(dict.fromkeys(a for name in atoms for p in bounds(name) for a in p.atoms if a not in told))
    free_first = sorted(names, key=lambda name: bool(bounds(name)))
    first, rest = free_first[:_APART], free_first[_APART:]
    choices: list[Lengths] = []
    for together in ends if rest else ends[:1]:
        for apart in product(ends, repeat=len(first)):
            chosen = {**dict.fromkeys(rest, together), **dict(zip(first, apart, strict=True))}
            choices.append(partial(_within, chosen, told))
    return choices
