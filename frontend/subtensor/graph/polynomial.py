"""Polynomials in lengths: how much a graph does, before anything is known of how long its arguments are.

A length is an atom: anything that can be hashed, in practice a 0-d node of the graph. Lengths are never negative, which
is what makes two polynomials comparable term by term.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Mapping
from enum import Enum

Atom = Hashable
Monomial = tuple[Atom, ...]
"""A product of atoms, each as often as its power, in one order for each set of them; ``()`` is 1."""


class Order(Enum):
    """What is known of two amounts, the first seen from the second."""

    LESS = "less"
    EQUAL = "equal"
    MORE = "more"
    DEPENDS = "depends on lengths"


class Polynomial:
    """A sum of products of lengths with numbers. Immutable; ``+`` and ``*`` take numbers too."""

    __slots__ = ("terms",)

    terms: Mapping[Monomial, float]

    def __init__(self, terms: Mapping[Monomial, float]) -> None:
        self.terms = {m: c for m, c in terms.items() if c}

    @staticmethod
    def of(value: float | Polynomial) -> Polynomial:
        """A number as a polynomial."""
        return value if isinstance(value, Polynomial) else Polynomial({(): value})

    @staticmethod
    def atom(length: Atom) -> Polynomial:
        """A length that is not known."""
        return Polynomial({(length,): 1})

    @property
    def number(self) -> float | None:
        """The value, where there is no unknown length in it."""
        return self.terms.get((), 0) if not any(self.terms) else None

    @property
    def atoms(self) -> list[Atom]:
        """Every unknown length in it, once."""
        return list(dict.fromkeys(a for m in self.terms for a in m))

    def __add__(self, other: float | Polynomial) -> Polynomial:
        terms = dict(self.terms)
        for m, c in Polynomial.of(other).terms.items():
            terms[m] = terms.get(m, 0) + c
        return Polynomial(terms)

    __radd__ = __add__

    def __sub__(self, other: float | Polynomial) -> Polynomial:
        return self + Polynomial.of(other) * -1

    def __mul__(self, other: float | Polynomial) -> Polynomial:
        terms: dict[Monomial, float] = {}
        for m, c in self.terms.items():
            for n, d in Polynomial.of(other).terms.items():
                product = tuple(sorted((*m, *n), key=id)) if m and n else m or n
                terms[product] = terms.get(product, 0) + c * d
        return Polynomial(terms)

    __rmul__ = __mul__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Polynomial) and self.terms == other.terms

    def __hash__(self) -> int:
        return hash(frozenset(self.terms.items()))

    def __bool__(self) -> bool:
        return bool(self.terms)

    def value(self, lengths: Callable[[Atom], float | None]) -> float | None:
        """The number that it is for given lengths; None where one of them is not given."""
        total = 0.0
        for m, c in self.terms.items():
            known = [lengths(a) for a in m]
            if None in known:
                return None
            total += c * math.prod(k for k in known if k is not None)
        return total

    def bounded(self, above: Callable[[Atom], Polynomial | None]) -> Polynomial:
        """Something that is not less: every length that `above` knows a bound of is replaced by the bound."""
        total = Polynomial({})
        for m, c in self.terms.items():
            term = Polynomial.of(c)
            for a in m:
                bound = above(a)
                term = term * (Polynomial.atom(a) if bound is None else bound)
            total += term
        return total

    def spelled(self, words: Callable[[Atom], str]) -> str:
        """As people write it: the largest powers first, numbers in front."""
        found = []
        for m, c in self.terms.items():
            names = sorted(map(words, m))
            counts = [(n, names.count(n)) for n in dict.fromkeys(names)]
            factors = [f"{n}**{k}" if k > 1 else n for n, k in counts]
            number = f"{c:,.0f}".replace(",", "_") if float(c).is_integer() else f"{c:.3g}"
            found.append((-len(m), " * ".join(factors if c == 1 and factors else [number, *factors])))
        return " + ".join(text for _, text in sorted(found)) or "0"

    def __repr__(self) -> str:
        return f"Polynomial({self.spelled(str)})"


def compare(a: Polynomial, b: Polynomial, above: Callable[[Atom], Polynomial | None] = lambda _: None) -> Order:
    """Whether a is less than b for every choice of lengths, more, equal, or neither.

    above: what a length surely is not more than, such as the number of ids for the number of distinct ones.
    """
    order = _by_terms(b - a)
    if order is not Order.DEPENDS:
        return order
    if all(c >= 0 for c in (b - a.bounded(above)).terms.values()):
        return Order.LESS
    return Order.MORE if all(c >= 0 for c in (a - b.bounded(above)).terms.values()) else Order.DEPENDS


def _by_terms(difference: Polynomial) -> Order:
    coefficients = difference.terms.values()
    if not coefficients:
        return Order.EQUAL
    if all(c > 0 for c in coefficients):
        return Order.LESS
    return Order.MORE if all(c < 0 for c in coefficients) else Order.DEPENDS


def total(parts: Iterable[Polynomial]) -> Polynomial:
    """The sum."""
    terms: dict[Monomial, float] = {}
    for p in parts:
        for m, c in p.terms.items():
            terms[m] = terms.get(m, 0) + c
    return Polynomial(terms)
