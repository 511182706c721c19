"""Equations in operator syntax: ``equation("name", P.log(P.exp(x) + P.exp(y)), P.logaddexp(x, y))``.

A pattern is matched against a node, commutative ops in both orders; a letter that stands twice must match one node.
A number matches a scalar constant of that value. Capital letters stand for parameters of ops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from subtensor.graph.constants import constant
from subtensor.graph.nodes import OPS, Constant, Variable
from subtensor.rewrites.engine import Rewrite, enter

COMMUTATIVE = frozenset({"add", "multiply", "maximum", "minimum", "equal", "and", "or", "xor", "logaddexp"})
_INFIX = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}

Bindings = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Pattern:
    """An op on patterns, a letter (``letter``), or a number (``number``)."""

    op: str = ""
    args: tuple[Pattern, ...] = ()
    params: tuple[tuple[str, Any], ...] = ()
    letter: str = ""
    number: float | None = field(default=None)

    def __add__(self, other: Pattern | float) -> Pattern:
        return P.add(self, other)

    def __sub__(self, other: Pattern | float) -> Pattern:
        return P.subtract(self, other)

    def __rsub__(self, other: float) -> Pattern:
        return P.subtract(other, self)

    def __mul__(self, other: Pattern | float) -> Pattern:
        return P.multiply(self, other)

    def __truediv__(self, other: Pattern | float) -> Pattern:
        return P.divide(self, other)

    def __rtruediv__(self, other: float) -> Pattern:
        return P.divide(other, self)

    def __neg__(self) -> Pattern:
        return P.neg(self)

    def __str__(self) -> str:
        if self.letter:
            return self.letter
        if self.number is not None:
            return f"{self.number:g}"
        parts = [str(a) for a in self.args]
        if self.op in _INFIX:
            return f"({f' {_INFIX[self.op]} '.join(parts)})"
        if self.op == "neg":
            return f"-{parts[0]}"
        return f"{self.op}({', '.join([*parts, *(f'{k}={v}' for k, v in self.params)])})"


class _Patterns:
    """Makes the patterns of ops: ``P.name(a, b, param="A")``."""

    def __getattr__(self, name: str) -> Callable[..., Pattern]:
        def make(*args: Pattern | float, **params: Any) -> Pattern:
            return Pattern(name, tuple(map(_pattern, args)), tuple(params.items()))

        return make


P = _Patterns()


def letters(names: str) -> list[Pattern]:
    """Give patterns that match anything, one for each name in a string such as "x y"."""
    return [Pattern(letter=name) for name in names.split()]


def _pattern(value: Pattern | float) -> Pattern:
    return value if isinstance(value, Pattern) else Pattern(number=float(value))


def matches(pattern: Pattern, node: Variable, bound: Bindings) -> Iterator[Bindings]:
    """Every way in which a pattern fits a node, as what its letters stand for."""
    if pattern.letter:
        known = bound.get(pattern.letter)
        if known is None:
            yield {**bound, pattern.letter: node}
        elif known is node:
            yield bound
        return
    if pattern.number is not None:
        if isinstance(node, Constant) and node.ndim == 0 and node.data == pattern.number:
            yield bound
        return
    if node.op is None or node.op.name != pattern.op or len(node.inputs) != len(pattern.args):
        return
    bound = dict(bound)
    for key, letter in pattern.params:
        value = node.params[key]
        if bound.setdefault(letter, value) != value:
            return
    yield from _all(pattern.args, node.inputs, bound)
    if pattern.op in COMMUTATIVE and pattern.args[0] != pattern.args[1]:
        yield from _all(pattern.args, node.inputs[::-1], bound)


def _all(patterns: tuple[Pattern, ...], nodes: tuple[Variable, ...], bound: Bindings) -> Iterator[Bindings]:
    if not patterns:
        yield bound
        return
    for found in matches(patterns[0], nodes[0], bound):
        yield from _all(patterns[1:], nodes[1:], found)


def construct(pattern: Pattern, bound: Bindings, dtype: str) -> Variable:
    """The node that a pattern describes; numbers become constants of `dtype`."""
    if pattern.letter:
        found: Variable = bound[pattern.letter]
        return found
    if pattern.number is not None:
        return constant(pattern.number, dtype=dtype)
    params = {key: bound[letter] for key, letter in pattern.params}
    return OPS[pattern.op](*(construct(a, bound, dtype) for a in pattern.args), **params)


EQUATIONS: dict[str, tuple[Pattern, Pattern]] = {}
"""Left and right sides by the name of the rule, for tests that make graphs of them."""


def equation(
    name: str, left: Pattern, right: Pattern, *, keeps: str = "value", tags: Iterable[str] = (), when: str = "",
    where: Callable[[Bindings], bool] | None = None,
) -> Rewrite:  # fmt: skip
    """Enter the rule ``left = right``. where: the condition on what letters stand for, said for people by `when`."""

    def apply(node: Variable) -> Variable | None:
        for bound in matches(left, node, {}):
            if where is None or where(bound):
                made = construct(right, bound, node.dtype)
                if made.ndim == node.ndim and made.dtype == node.dtype:
                    return made
        return None

    EQUATIONS[name] = (left, right)
    text = f"{left} = {right}"
    return enter(Rewrite(name, apply, keeps, frozenset(tags), frozenset({left.op}), text, when))
