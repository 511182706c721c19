"""The engine: named rules applied to a graph until none fits any more."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from subtensor.errors import FunctionError
from subtensor.graph import Variable, rebuild


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A named rule.

    name: unique. rule: gives the replacement of a node, or None where it does not apply. keeps: ``value`` where results
    are bit for bit the same, ``rounding`` where they agree up to rounding. tags: for switching groups on and off.
    """

    name: str
    rule: Callable[[Variable], Variable | None]
    keeps: str = "value"
    tags: frozenset[str] = frozenset()


RULES: dict[str, Rewrite] = {}
"""The built-in rules by name, in the order in which they are tried."""

MOST_STEPS = 100
"""How often one node may be rewritten before the engine calls it a loop."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The rules to apply."""

    rules: tuple[Rewrite, ...]

    @staticmethod
    def of(choice: Any, extra: Iterable[Rewrite] = ()) -> Selection:
        """choice: True (all), False or None (none), or names and tags; a leading ``-`` leaves one out."""
        available = [*RULES.values(), *extra]
        if choice is True:
            return Selection(tuple(available))
        if choice is False or choice is None:
            return Selection(())
        words = [choice] if isinstance(choice, str) else list(choice)
        known = {r.name for r in available}.union(*(r.tags for r in available)) if available else set()
        for word in words:
            if word.lstrip("-") not in known:
                raise FunctionError(
                    f"rewrites: {word!r} is neither a rule nor a tag; known are {', '.join(sorted(known))}"
                )
        wanted = [w for w in words if not w.startswith("-")]
        unwanted = {w[1:] for w in words if w.startswith("-")}
        return Selection(
            tuple(
                r
                for r in available
                if (not wanted or r.name in wanted or r.tags & set(wanted))
                and not (r.name in unwanted or r.tags & unwanted)
            )
        )


def rewrite(outputs: Sequence[Variable], selection: Selection) -> list[Variable]:
    """`outputs` rewritten bottom up, each node until no rule fits."""
    if not selection.rules:
        return list(outputs)
    new: dict[Variable, Variable] = {}
    stack = list(reversed(outputs))
    steps: dict[Variable, int] = {}
    while stack:
        node = stack[-1]
        if node in new:
            stack.pop()
            continue
        missing = [i for i in node.inputs if i not in new]
        if missing:
            stack.extend(reversed(missing))
            continue
        made = rebuild(node, [new[i] for i in node.inputs]) if node.op is not None else node
        simpler = _first(made, selection.rules)
        if simpler is None or simpler is made:
            new[node] = new[made] = made
        elif simpler in new:
            new[node] = new[simpler]
        else:
            steps[node] = steps.get(node, 0) + 1
            if steps[node] > MOST_STEPS:
                raise FunctionError(f"rewrites: {node!r} was rewritten {MOST_STEPS} times; two rules undo each other")
            stack.append(simpler)
    return [new[o] for o in outputs]


def _first(node: Variable, rules: Sequence[Rewrite]) -> Variable | None:
    for r in rules:
        result = r.rule(node)
        if result is not None and result is not node:
            return result
    return None
