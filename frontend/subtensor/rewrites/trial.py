"""Forms on trial: what a priced rule put in is kept where it costs less than what it replaced.

Increments that are carried through arithmetic, ``inc(0, y, i) * s = inc(0, y * s[i], i)``, pay where they end in a
table that is written in place, in a read, or in a sum; where all of the result is needed, they pay only where there
are fewer increments than rows. So a node may have two forms for a while: the one that carries increments, and the plain
one. Both are known until something is made of the node that carries no increments any more: there the prices of both
are compared, from where they part (see ``costs``), and the cheaper one stays.

Where the comparison depends on lengths that are not known, see ``judge``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from subtensor.graph.nodes import Variable, rebuild, toposort
from subtensor.graph.polynomial import Atom, Polynomial, total
from subtensor.graph.shared import SharedVariable
from subtensor.ops.subtensor import get_op, is_write
from subtensor.rewrites.costs import CALL, IDLE, is_new, work_of
from subtensor.rewrites.judge import Judge
from subtensor.rewrites.lengths import told_by
from subtensor.rewrites.shapes import is_increments


@dataclass(frozen=True, slots=True)
class Step:
    """One application of a rule."""

    rule: str
    before: Variable
    after: Variable


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a priced rule put in. made: for which node. plain: that node over plain inputs. simpler: what the rule gave.

    began: the place in the order of a pass from which on the two forms differ. steps: how many were traced before.
    paid: how many nodes were paid for before.
    """

    made: Variable
    plain: Variable
    simpler: Variable
    began: int
    steps: int
    paid: int


@dataclass(frozen=True, slots=True)
class _Decision:
    """A form, the nodes of it and of the plain form from where they part, and lengths that are known there."""

    new: Variable
    left: Mapping[Variable, None]
    right: Mapping[Variable, None]
    told: Mapping[Atom, Polynomial]

    def prefers_new(self, judge: Judge, paid: Mapping[Variable, None], *, noted: bool = True) -> bool:
        """Whether the form is the better one, where some nodes are there anyway."""
        margin, call = (_MARGIN if is_write(self.new) else 1.0), _CALL
        if _is_update(self.new) or any(_is_update(n) for n in self.right if n not in self.left):
            margin, call = 1.0, 0.0
        mine, other = price(self.left, self.right, paid, call), price(self.right, self.left, paid, call)
        return judge.prefers(mine, other, self.told, margin, noted=noted)


class Trials:
    """The nodes of a pass that are on trial, each with its plain form. there: nodes that are needed in any case."""

    def __init__(self, judge: Judge, trace: list[Step] | None, there: Mapping[Variable, None]) -> None:
        self._judge = judge
        self._decisions: list[_Decision] = []
        self._trace = trace
        self._steps: dict[Variable, list[Step]] = {}
        self._plain: dict[Variable, tuple[Variable, int]] = {}
        self._since: dict[Variable, int] = {}
        self._settled: dict[Variable, Variable] = {}
        self._paid: dict[Variable, None] = dict(there)

    def enter(self, nodes: Sequence[Variable], place: int) -> None:
        """Note when nodes had their final form."""
        for n in nodes:
            self._since.setdefault(n, place)

    def plain(self, node: Variable) -> Variable:
        """A node over the plain forms of its inputs."""
        if not self._plain or not any(i in self._plain for i in node.inputs):
            return node
        return rebuild(node, [self._plain[i][0] if i in self._plain else i for i in node.inputs])

    def settled_inputs(self, node: Variable) -> Variable:
        """A node over the cheaper forms of its inputs."""
        if not any(i in self._plain for i in node.inputs):
            return node
        return rebuild(node, [self.settled(i) for i in node.inputs])

    def settled(self, node: Variable) -> Variable:
        """The cheaper form of a node of which all is needed."""
        if node not in self._plain:
            return node
        if node not in self._settled:
            plain, began = self._plain[node]
            kept = self._settled[node] = node if self._pays(node, plain, began) else plain
            if kept is node and self._trace is not None:
                self._trace += self._steps.pop(node, ())
        return self._settled[node]

    def began(self, node: Variable, now: int) -> int:
        """Where the forms of a node begin to differ: where the first increments among its inputs were made."""
        places = [now]
        for i in node.inputs:
            if i in self._plain:
                places.append(self._plain[i][1])
            elif is_write(i):
                places.append(self._since.get(_first_link(i), now))
        return min(places)

    @property
    def paid(self) -> int:
        """How many nodes were paid for: what one decision needs is free for the next ones."""
        return len(self._paid)

    def carries(self, made: Variable, plain: Variable, now: int) -> bool:
        """Whether a node increments what is on trial, and so is on trial itself."""
        if plain is made or not is_increments(made):
            return False
        self._plain.setdefault(made, (plain, self.began(made, now)))
        return True

    def accepted(self, final: Variable, attempt: Attempt) -> bool:
        """Whether what was put in stays, for good or on trial. Of what does not, no step stays either."""
        plain = attempt.plain
        trial = is_increments(final) and not is_increments(plain)
        kept = trial or final is plain or is_increments(final) or self._pays(final, plain, attempt.began, attempt.paid)
        if self._trace is not None:
            steps = [s for i in attempt.made.inputs for s in self._steps.get(i, ())] + self._trace[attempt.steps :]
            del self._trace[attempt.steps :]
            if trial:
                self._steps[final] = steps
            elif kept:
                self._trace += steps
        if trial:
            self._plain.setdefault(final, (plain, attempt.began))
        return kept

    def _pays(self, new: Variable, old: Variable, began: int, paid: int | None = None) -> bool:
        left, right = self._walk(new, began), self._walk(old, began)
        if left is None or right is None:
            return True
        told = {d: p for n in (*left, *right) for i in n.inputs for d, p in told_by(i).items()}
        decision = _Decision(new, left, right, told)
        better = decision.prefers_new(self._judge, self._paid)
        if not better and paid is not None:
            for n in list(self._paid)[paid:]:  # what was decided within the form that is refused
                del self._paid[n]
        if better:
            self._decisions.append(decision)
        self._paid.update(left if better else right)
        return better

    def regretted(self, outputs: Sequence[Variable]) -> dict[Variable, None]:
        """What of plain forms that were refused others need nevertheless, where that changes a decision."""
        refused = [d for d in self._decisions if d.right]
        if not refused:
            return {}
        there = dict.fromkeys(toposort(outputs))
        again = [d for d in refused if any(n in there for n in d.right if n not in d.left)]
        if all(d.prefers_new(self._judge, there, noted=False) for d in again):
            return {}
        return {n: None for d in again for n in d.right if n in there}

    def _walk(self, node: Variable, began: int) -> dict[Variable, None] | None:
        """The nodes below one that were made since, itself included; None where there are very many."""
        found: dict[Variable, None] = {}
        stack = [node]
        while stack:
            n = stack.pop()
            if n in found or n.op is None or (n is not node and self._since.get(n, began) < began):
                continue
            found[n] = None
            stack += n.inputs
            if len(found) > _MOST:
                return None
        return found


_MOST = 3000
_MARGIN = 6.0
"""By how much the worst case of a form must be better where all of the result is made in either case, so that not much
is gained. Where a variable would be copied or can be written in place, calls are not counted, however small it is."""
_CALL = CALL / 2
"""What a call counts here: where tables are so small that calls decide, rows have the benefit of the doubt."""


def _is_update(node: Variable) -> bool:
    """Whether a node is writes into a shared variable."""
    while is_write(node):
        node = node.inputs[0]
    return isinstance(node, SharedVariable)


def price(
    nodes: Mapping[Variable, None], others: Mapping[Variable, None], paid: Mapping[Variable, None], call: float
) -> Polynomial:
    """The price of the nodes that are not among others, and not paid for. call: what each takes whatever it does.

    What is written and then read is not written in place.
    """
    copied = {_first_link(n.inputs[0]) for n in nodes if n.op is get_op and is_write(n.inputs[0])}
    works = [work_of(n, overwrites=_in_place(n, copied)) for n in nodes if n not in others and n not in paid]
    return total(w.price for w in works) + call * sum(w is not IDLE for w in works)


def _first_link(write: Variable) -> Variable:
    while is_write(write.inputs[0]):
        write = write.inputs[0]
    return write


def _in_place(node: Variable, copied: set[Variable]) -> bool:
    """Whether a write probably goes into the memory of its target."""
    if not is_write(node):
        return False
    base = node.inputs[0]
    return is_write(base) or is_new(base) or (isinstance(base, SharedVariable) and node not in copied)


__all__ = ["Attempt", "Step", "Trials", "price"]
