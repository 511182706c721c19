"""The engine: named rules applied to a graph until none fits any more.

Rules are tried bottom up: a node's inputs are in their final form when its own rules are tried, and whatever a rule
puts in is brought to its final form in the same way. Each node is looked at once for each form that it takes, and only
the rules for its op are tried, so a pass takes time linear in the graph. Nothing recurses.

Rules that are marked `last` make forms that are cheap to run and that no other rule looks for. They are tried when
nothing else fits any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from subtensor.errors import FunctionError, GraphError
from subtensor.graph.nodes import Variable, rebuild, toposort, toposort_families
from subtensor.ops.loop import families, is_loop, with_bodies

KEEPS = ("value", "rounding", "finite", "stabilize")
"""What a rule may keep, strictest first.

- ``value``: every element, bit for bit.
- ``rounding``: the same numbers up to rounding; the sign of a zero may differ.
- ``finite``: as ``rounding`` where factors are finite and divisors are not zero; elsewhere a NaN of the form as written
  (``0 * inf``) may be a number.
- ``stabilize``: the mathematical value, where the form as written overflows, underflows or cancels.
"""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A named rule.

    name: unique. rule: gives the replacement of a node, or None where it does not apply. keeps: one of ``KEEPS``.
    tags: for switching groups on and off. heads: names of the ops that the rule is tried on; empty for all. equation,
    when: the rule and its condition, for people. counted: whether `rule` takes a second argument, which tells how often
    a node is used in the graph. last: whether it waits until no other rule fits. joint: whether `rule` takes, and
    gives, a list of nodes that are computed together (``Op.joint``), before the nodes are looked at one by one.
    """

    name: str
    rule: Callable[..., Any]
    keeps: str = "value"
    tags: frozenset[str] = frozenset()
    heads: frozenset[str] = frozenset()
    equation: str = ""
    when: str = ""
    counted: bool = False
    last: bool = False
    joint: bool = False

    def words(self) -> frozenset[str]:
        """What the rule answers to in ``function(rewrites=...)``."""
        return self.tags | {self.name, self.keeps}


RULES: dict[str, Rewrite] = {}
"""The built-in rules by name, in the order in which they are tried."""

MOST_PASSES = 8
MOST_STEPS = 1000
"""How often one node may be rewritten before the engine calls it a loop."""


def enter(rule: Rewrite) -> Rewrite:
    """Add a built-in rule; a second one of the same name is refused."""
    if rule.name in RULES or rule.keeps not in KEEPS:
        raise GraphError(f"rewrite {rule.name!r} is defined twice, or keeps {rule.keeps!r}, which is none of {KEEPS}")
    RULES[rule.name] = rule
    return rule


def rule(
    name: str, equation: str, heads: Iterable[str], *, keeps: str = "value", tags: Iterable[str] = (), when: str = "",
    counted: bool = False, last: bool = False, joint: bool = False,
) -> Callable[[Callable[..., Any]], Rewrite]:  # fmt: skip
    """Make a function of a node into a built-in rule: ``@rule("name", "left = right", heads=["op"])``."""

    def make(function: Callable[..., Any]) -> Rewrite:
        groups = frozenset(tags), frozenset(heads)
        return enter(Rewrite(name, function, keeps, *groups, equation, when, counted, last, joint))

    return make


@dataclass(frozen=True, slots=True)
class Step:
    """One application of a rule."""

    rule: str
    before: Variable
    after: Variable


@dataclass(frozen=True, slots=True)
class Selection:
    """The rules to apply."""

    rules: tuple[Rewrite, ...]
    _by_op: dict[str, tuple[Rewrite, ...]] = field(default_factory=dict, compare=False, repr=False)
    bodies: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    @staticmethod
    def of(choice: Any, extra: Iterable[Rewrite] = ()) -> Selection:
        """choice: True (all), False (none), or names, tags and members of ``KEEPS``; ``-`` leaves one out."""
        available = [*RULES.values(), *extra]
        if choice is True:
            return Selection(tuple(available))
        if choice is False:
            return Selection(())
        if not isinstance(choice, str | list | tuple | set | frozenset):
            raise FunctionError(f"rewrites: got {choice!r}; expected True, False, or names and tags of rules")
        words = [choice] if isinstance(choice, str) else list(choice)
        known = frozenset[str]().union(KEEPS, *(_words(r) for r in available))
        for word in words:
            if not isinstance(word, str) or word.removeprefix("-") not in known:
                raise FunctionError(
                    f"rewrites: {word!r} is neither a rule nor a tag; known are {', '.join(sorted(known))}"
                )
        wanted = {w for w in words if not w.startswith("-")}
        unwanted = {w[1:] for w in words if w.startswith("-")}
        return Selection(tuple(r for r in available if (not wanted or _words(r) & wanted) and not _words(r) & unwanted))

    def stages(self) -> list[Selection]:
        """What is tried first, and what is tried when none of that fits any more."""
        stages = (tuple(r for r in self.rules if r.last is last) for last in (False, True))
        return [Selection(rules) for rules in stages if rules]

    def for_op(self, name: str) -> tuple[Rewrite, ...]:
        """The rules that may fit a node of an op, in order."""
        found = self._by_op.get(name)
        if found is None:
            found = tuple(r for r in self.rules if (not r.heads or name in r.heads) and not r.joint)
            self._by_op[name] = found
        return found


def _words(r: Rewrite) -> frozenset[str]:
    return r.words()


def rewrite(outputs: Sequence[Variable], selection: Selection, trace: list[Step] | None = None) -> list[Variable]:
    """`outputs` with the selected rules applied until none fits. Steps are appended to `trace`.

    A rule may wait for a node to be used only once, so a pass that changed something is followed by another, at most
    ``MOST_PASSES``.
    Raises FunctionError where rules undo each other, GraphError for a rule that changes a dtype or a rank.
    """
    result = list(outputs)
    for stage in selection.stages():
        result = _passes(result, stage, trace)
    return result


def _passes(outputs: list[Variable], selection: Selection, trace: list[Step] | None) -> list[Variable]:
    result = outputs
    for _ in range(MOST_PASSES):
        before = result
        result = _pass(_families(result, selection, trace), selection, trace)
        if all(a is b for a, b in zip(before, result, strict=True)):
            break
    return result


def _pass(outputs: Sequence[Variable], selection: Selection, trace: list[Step] | None) -> list[Variable]:
    uses = _uses(outputs)

    def used(node: Variable) -> int:
        return uses.get(node, 1)

    new: dict[Variable, Variable] = {}
    depth: dict[Variable, int] = {}
    traced: set[Variable] = set()
    stack = list(reversed(outputs))
    while stack:
        node = stack[-1]
        if node in new:
            stack.pop()
            continue
        if node.op is None:
            new[node] = node
            continue
        missing = [i for i in node.inputs if i not in new]
        if missing:
            stack.extend(reversed(missing))
            continue
        made = rebuild(node, [new[i] for i in node.inputs])
        if made is not node:
            uses[made] = max(uses.get(made, 0), uses.get(node, 1))
        found = _first(made, selection, used)
        if found is None:
            new[node] = new[made] = made
            continue
        name, simpler = found
        if trace is not None and made not in traced:
            traced.add(made)
            trace.append(Step(name, made, simpler))
        done = new.get(simpler)
        if done is not None:
            new[node] = new[made] = done
            continue
        steps = depth.get(node, 0) + 1
        if steps > MOST_STEPS:
            raise FunctionError(
                f"rewrites: {made!r} was rewritten {MOST_STEPS} times, last by {name!r}; two rules undo each other: "
                f"leave one out, with rewrites=['-{name}']"
            )
        depth[node] = steps
        depth[simpler] = max(steps, depth.get(simpler, 0))
        stack.append(simpler)  # then this node again
    return [new[o] for o in outputs]


def _families(outputs: Sequence[Variable], selection: Selection, trace: list[Step] | None) -> list[Variable]:
    """`outputs` with the bodies of loops rewritten, and the rules applied that take what is computed together."""
    order, found = toposort_families(outputs)
    if not found:
        return list(outputs)
    new: dict[Variable, Variable] = {}
    for node in order:
        if node in new:
            continue
        if node not in found:
            new[node] = rebuild(node, [new[i] for i in node.inputs]) if node.op is not None else node
            continue
        members = found[node]
        made = [rebuild(m, [new[i] for i in m.inputs]) for m in members]
        new.update(zip(members, _family(made, selection, trace), strict=True))
    return [new[o] for o in outputs]


def _family(members: list[Variable], selection: Selection, trace: list[Step] | None) -> list[Variable]:
    """What takes the place of each member of a family."""
    rules = [r for r in selection.rules if r.joint]
    result: list[Variable] | None
    for _ in range(MOST_STEPS):
        members = with_bodies(members, lambda roots: _passes(roots, selection, trace), selection.bodies)
        if not all(m.op is not None and m.op.joint is not None for m in members):
            return members
        for r in rules:
            result = r.rule(members)
            if result is not None:
                break
        else:
            return members
        for before, after in zip(members, result, strict=True):
            if (before.dtype, before.ndim) != (after.dtype, after.ndim):
                raise GraphError(
                    f"rewrite {r.name!r} turned {before!r} into {after!r}, which has another dtype or rank"
                )
        if trace is not None:
            trace.append(Step(r.name, members[0], result[0]))
        members, done = [m for m in result if is_loop(m)], result
        if len(members) < len(done) or len(families(members)) != 1:  # no longer one computation
            return done
    return members


def _uses(outputs: Sequence[Variable]) -> dict[Variable, int]:
    uses: dict[Variable, int] = {}
    for node in toposort(outputs):
        for i in node.inputs:
            uses[i] = uses.get(i, 0) + 1
    for o in outputs:
        uses[o] = uses.get(o, 0) + 1
    return uses


def _first(node: Variable, selection: Selection, used: Callable[[Variable], int]) -> tuple[str, Variable] | None:
    assert node.op is not None
    for r in selection.for_op(node.op.name):
        result = r.rule(node, used) if r.counted else r.rule(node)
        if result is None or result is node:
            continue
        if result.dtype != node.dtype or result.ndim != node.ndim:
            raise GraphError(f"rewrite {r.name!r} turned {node!r} into {result!r}, which has another dtype or rank")
        return r.name, result
    return None
