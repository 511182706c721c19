"""The engine: named rules applied to a graph until none fits any more.

Rules are tried bottom up: a node's inputs are in their final form when its own rules are tried, and whatever a rule
puts in is brought to its final form in the same way. Each node is looked at once for each form that it takes, and only
the rules for its op are tried, so a pass takes time linear in the graph. Nothing recurses.

Rules that are marked `last` make forms that are cheap to run and that no other rule looks for. They are tried when
nothing else fits any more.

Rules that are marked `priced` make forms that pay only where something comes of them: increments that are carried
towards a table, reads of what was written. What such a rule makes is on trial (see ``trial``) until it is clear what
it is used for, and is kept where it costs less than what it replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any

from subtensor.errors import FunctionError, GraphError
from subtensor.graph.nodes import Variable, rebuild, toposort_families
from subtensor.graph.shared import SharedVariable
from subtensor.ops.loop import families, is_loop, with_bodies
from subtensor.rewrites.judge import Judge
from subtensor.rewrites.trial import Attempt, Step, Trials
from subtensor.rewrites.uses import Uses

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
    gives, a list of nodes that are computed together (``Op.joint``), before the nodes are looked at one by one. priced:
    whether it is applied only where that pays.
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
    priced: bool = False

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
    counted: bool = False, last: bool = False, joint: bool = False, priced: bool = False,
) -> Callable[[Callable[..., Any]], Rewrite]:  # fmt: skip
    """Make a function of a node into a built-in rule: ``@rule("name", "left = right", heads=["op"])``."""

    def make(function: Callable[..., Any]) -> Rewrite:
        groups = frozenset(tags), frozenset(heads)
        return enter(Rewrite(name, function, keeps, *groups, equation, when, counted, last, joint, priced))

    return make


UNPRICED = "unpriced"
"""The word in ``function(rewrites=...)`` for: wherever they fit, whether or not that pays."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The rules to apply. priced: whether those that are `priced` are applied only where that pays."""

    rules: tuple[Rewrite, ...]
    priced: bool = True
    _by_op: dict[str, tuple[Rewrite, ...]] = field(default_factory=dict, compare=False, repr=False)
    bodies: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    @staticmethod
    def of(choice: Any, extra: Iterable[Rewrite] = ()) -> Selection:
        """choice: True (all), False (none), or names, tags and members of ``KEEPS``; ``-`` leaves one out, and
        ``UNPRICED`` leaves costs out of account.
        """
        available = [*RULES.values(), *extra]
        if choice is True:
            return Selection(tuple(available))
        if choice is False:
            return Selection(())
        if not isinstance(choice, str | list | tuple | set | frozenset):
            raise FunctionError(f"rewrites: got {choice!r}; expected True, False, or names and tags of rules")
        words = [choice] if isinstance(choice, str) else list(choice)
        known = frozenset[str]().union(KEEPS, {UNPRICED}, *(_words(r) for r in available))
        for word in words:
            if not isinstance(word, str) or word.removeprefix("-") not in known:
                raise FunctionError(
                    f"rewrites: {word!r} is neither a rule nor a tag; known are {', '.join(sorted(known))}"
                )
        wanted = {w for w in words if not w.startswith("-")} - {UNPRICED}
        unwanted = {w[1:] for w in words if w.startswith("-")}
        rules = [r for r in available if (not wanted or _words(r) & wanted) and not _words(r) & unwanted]
        return Selection(tuple(rules), UNPRICED not in words)

    @property
    def is_complete(self) -> bool:
        """Whether all rules are among it, and costs are taken into account."""
        return self.priced and set(RULES.values()).issubset(self.rules)

    def stages(self) -> list[Selection]:
        """What is tried first, and what is tried when none of that fits any more."""
        stages = (tuple(r for r in self.rules if r.last is last) for last in (False, True))
        return [Selection(rules, self.priced) for rules in stages if rules]

    def for_op(self, name: str) -> tuple[Rewrite, ...]:
        """The rules that may fit a node of an op, in order: those that are priced come last."""
        found = self._by_op.get(name)
        if found is None:
            fitting = (r for r in self.rules if (not r.heads or name in r.heads) and not r.joint)
            found = tuple(sorted(fitting, key=lambda r: r.priced))
            self._by_op[name] = found
        return found


def _words(r: Rewrite) -> frozenset[str]:
    return r.words()


def rewrite(
    outputs: Sequence[Variable],
    selection: Selection,
    trace: list[Step] | None = None,
    commits: Sequence[SharedVariable | None] = (),
    judge: Judge | None = None,
) -> list[Variable]:
    """`outputs` with the selected rules applied until none fits. Steps are appended to `trace`.

    commits: for each of the last outputs the shared variable whose new value it is. judge: who decides what pays.

    A rule may wait for a node to be used only once, so a pass that changed something is followed by another, at most
    ``MOST_PASSES``.
    Raises FunctionError where rules undo each other, GraphError for a rule that changes a dtype or a rank.
    """
    result = list(outputs)
    targets = [*[None] * (len(result) - len(commits)), *commits]
    for stage in selection.stages():
        result = _passes(result, stage, trace, targets, judge or Judge())
    return result


def _passes(
    outputs: list[Variable],
    selection: Selection,
    trace: list[Step] | None,
    targets: Sequence[SharedVariable | None],
    judge: Judge,
) -> list[Variable]:
    result = outputs
    for _ in range(MOST_PASSES):
        before = result
        result = _families(result, selection, trace)
        result = _pass(result, selection, trace, targets, judge)
        if all(a is b for a, b in zip(before, result, strict=True)):
            break
    return result


def _pass(
    outputs: list[Variable],
    selection: Selection,
    trace: list[Step] | None,
    targets: Sequence[SharedVariable | None],
    judge: Judge,
) -> list[Variable]:
    """One pass; a second time where the first one refused what it then had to compute nevertheless."""
    steps = 0 if trace is None else len(trace)
    asked = len(judge.asked)
    first = _Pass(outputs, selection, trace, targets, judge)
    result = first.run(outputs)
    there = {} if first.trials is None else first.trials.regretted(result)
    if not there:
        return result
    del judge.asked[asked:]
    if trace is not None:
        del trace[steps:]
    return _Pass(outputs, selection, trace, targets, judge, there).run(outputs)


class _Pass:
    """One pass over a graph, bottom up.

    new: the form of each node so far. trying: what a priced rule put in for a node, on trial. depth: how often what a
    node has become was rewritten.
    """

    def __init__(
        self,
        outputs: Sequence[Variable],
        selection: Selection,
        trace: list[Step] | None,
        targets: Sequence[SharedVariable | None],
        judge: Judge,
        there: Mapping[Variable, None] = MappingProxyType({}),
    ) -> None:
        self.selection = selection
        self.trace = trace
        self.uses = Uses(outputs, targets)
        self.new: dict[Variable, Variable] = {}
        self.depth: dict[Variable, int] = {}
        self.traced: set[Variable] = set()
        self.trials = Trials(judge, trace, there) if selection.priced else None
        self.trying: dict[Variable, Attempt] = {}
        self.stack: list[Variable] = []

    def run(self, outputs: Sequence[Variable]) -> list[Variable]:
        """The outputs in their final form."""
        new, stack = self.new, self.stack
        stack += reversed(outputs)
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
            attempt = self.trying.pop(node, None)
            if attempt is not None:
                self._judge(node, attempt)
                continue
            made = rebuild(node, [new[i] for i in node.inputs])
            if made is not node:
                self.uses.became(node, made)
            self._improve(node, made)
        if self.trials is None:
            return [new[o] for o in outputs]
        return [self.trials.settled(new[o]) for o in outputs]

    def _improve(self, node: Variable, made: Variable) -> None:
        """Apply the first rule that fits `made`, which is `node` over inputs in their final form."""
        trials = self.trials
        plain = made if trials is None else trials.plain(made)
        found = None if plain is made else self._first(plain, priced=False)
        if found is not None:
            self._replace(node, plain, *found)
            return
        found = self._first(made)
        if found is not None:
            attempt = None
            if trials is not None and (plain is not made or found[0].priced):
                steps = 0 if self.trace is None else len(self.trace)
                attempt = Attempt(made, plain, found[1], trials.began(made, len(self.new)), steps, trials.paid)
            self._replace(node, made, *found, attempt=attempt)
            return
        if trials is None or plain is made:
            self._finish(node, made, made)
            return
        if trials.carries(made, plain, len(self.new)):
            self._finish(node, made, made)
            return
        settled = trials.settled_inputs(made)
        found = None if settled is made else self._first(settled, priced=False)
        if found is None:
            self._finish(node, made, settled)
        else:
            self._replace(node, made, *found)

    def _finish(self, node: Variable, made: Variable, final: Variable) -> None:
        new = self.new
        if self.trials is not None:
            self.trials.enter((node,) if node is final else (node, made, final), len(new))
        new[node] = new[made] = new[final] = final

    def _replace(
        self, node: Variable, made: Variable, rule: Rewrite, simpler: Variable, attempt: Attempt | None = None
    ) -> None:
        if self.trace is not None and made not in self.traced:
            self.traced.add(made)
            self.trace.append(Step(rule.name, made, simpler))
        if attempt is not None:
            self.trying[node] = attempt
        done = self.new.get(simpler)
        if done is not None:
            if attempt is None:
                self._finish(node, made, done)
            return
        steps = self.depth.get(node, 0) + 1
        if steps > MOST_STEPS:
            raise FunctionError(
                f"rewrites: {made!r} was rewritten {MOST_STEPS} times, last by {rule.name!r}; two rules undo each "
                f"other: leave one out, with rewrites=['-{rule.name}']"
            )
        self.depth[node] = steps
        self.depth[simpler] = max(steps, self.depth.get(simpler, 0))
        self.stack.append(simpler)  # then this node again

    def _judge(self, node: Variable, attempt: Attempt) -> None:
        """Keep what a priced rule put in, refuse it, or put it on trial."""
        trials, final = self.trials, self.new[attempt.simpler]
        assert trials is not None
        if trials.accepted(final, attempt):
            self._finish(node, attempt.made, final)
            return
        settled = trials.settled_inputs(attempt.made)
        found = self._first(settled, priced=False)
        if found is None:
            self._finish(node, attempt.made, settled)
        else:
            self._replace(node, attempt.made, *found)

    def _first(self, node: Variable, *, priced: bool = True) -> tuple[Rewrite, Variable] | None:
        """The first rule that fits, with what it gives. priced: whether those that are priced are tried too."""
        assert node.op is not None
        for r in self.selection.for_op(node.op.name):
            if r.priced and not priced:
                break
            result = r.rule(node, self.uses) if r.counted else r.rule(node)
            if result is None or result is node:
                continue
            if result.dtype != node.dtype or result.ndim != node.ndim:
                raise GraphError(f"rewrite {r.name!r} turned {node!r} into {result!r}, which has another dtype or rank")
            return r, result
        return None


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


def _body(roots: list[Variable], selection: Selection, trace: list[Step] | None) -> list[Variable]:
    return _passes(roots, selection, trace, [None] * len(roots), Judge())  # its lengths are those of an iteration


def _family(members: list[Variable], selection: Selection, trace: list[Step] | None) -> list[Variable]:
    """What takes the place of each member of a family."""
    head = members[0].op
    rules = [r for r in selection.rules if r.joint and head is not None and head.name in r.heads]
    result: list[Variable] | None
    for _ in range(MOST_STEPS):
        members = with_bodies(members, partial(_body, selection=selection, trace=trace), selection.bodies)
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
