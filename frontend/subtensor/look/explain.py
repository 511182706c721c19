"""What a step touches, and why: ``fn.explain()``, and the warning for a whole table that need not be."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import numpy as np

from subtensor.errors import counted, warn
from subtensor.graph.nodes import OPS, Constant, Variable, describe, toposort
from subtensor.graph.shared import SharedVariable
from subtensor.ops.selection import range_diagonal
from subtensor.ops.shape import lengths
from subtensor.ops.subtensor import get_op, is_write, set_op
from subtensor.ops.views import VIEWS
from subtensor.program.linear import Commit, Program
from subtensor.rewrites.engine import Selection, rewrite
from subtensor.rewrites.shapes import is_zeros, length_of
from subtensor.rewrites.trial import Step

LARGE = 10**6
"""Elements from which on an avoidable whole-table update is warned about."""

Updates = Sequence[tuple[SharedVariable, Variable]]
Shapes = Mapping[Variable, tuple[int, ...]]


class WholeTableWarning(UserWarning):
    """An update computes every element of a large table although rows would do."""


@dataclass(frozen=True)
class Amount:
    """A number of bytes: a formula in shapes, and the number where every length in it is known."""

    formula: str
    number: int | None

    def __str__(self) -> str:
        return (
            self.formula
            if self.number is None or self.formula == str(self.number)
            else (f"{self.formula} = {self.number:,}")
        )


@dataclass(frozen=True)
class UpdateReport:
    """One update. variable: its label. in_place: written into the old buffer. rows: only what is selected is touched.

    reason: why. avoidable: the spelling that touches rows only, or None. read, written: bytes of the variable.
    """

    variable: str
    in_place: bool
    rows: bool
    reason: str
    avoidable: str | None
    read: Amount
    written: Amount

    def __str__(self) -> str:
        how = "in place" if self.in_place else "a new value"
        what = "the selected elements only" if self.rows else "the whole table"
        lines = [f"update of {self.variable}: {how}, {what}", f"  why: {self.reason}"]
        lines += [f"  reads {self.read} bytes of it, writes {self.written}"]
        if self.avoidable:
            lines.append(f"  instead: {self.avoidable}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Explanation:
    """What a function touches. Its text is its ``str``, which an interactive session shows."""

    name: str
    backend: str
    updates: tuple[UpdateReport, ...]
    steps: tuple[Step, ...] | None
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.name} on {self.backend}: {counted(len(self.updates), 'update')}"]
        lines += [str(u) for u in self.updates]
        lines += self.notes
        if self.steps is not None:
            lines.append(f"{len(self.steps)} rewrites:")
            lines += [f"  {s.rule}: {describe(s.before)} -> {describe(s.after)}" for s in self.steps]
        return "\n".join(lines)

    __repr__ = __str__


def explanation(
    program: Program, backend: str, source: tuple[Sequence[Variable], Updates], changed: Updates,
    outputs: Sequence[Variable], selection: Selection, shapes: Sequence[tuple[int, ...]] | None, *, rewrites: bool,
    notes: Sequence[str] = (),
) -> Explanation:  # fmt: skip
    """The explanation of a program. source: outputs and updates as written; changed, outputs: as rewritten.

    shapes: of the arguments of a call, for numbers. rewrites: whether to list the steps. notes: what the
    executable says of itself.
    """
    known: dict[Variable, tuple[int, ...]] = {s: s.cell.shape for s in program.shared}
    if shapes is not None:
        known.update(zip(program.inputs, shapes, strict=True))
    steps: list[Step] | None = None
    if rewrites:
        steps = []
        rewrite([*source[0], *(e for _, e in source[1])], selection, steps, [s for s, _ in source[1]])
    return Explanation(program.name, backend, tuple(reports(program, source[1], changed, outputs, known)),
                       None if steps is None else tuple(steps), tuple(notes))  # fmt: skip


def reports(
    program: Program, source: Updates, changed: Updates, outputs: Sequence[Variable], shapes: Shapes
) -> Iterable[UpdateReport]:
    """A report for each update, in the order in which they were given."""
    commits = {program.shared[c.shared]: c for c in program.commits}
    written = dict(source)
    for s, e in changed:
        commit = commits.get(s)
        if commit is None:
            nothing = Amount("0", 0)
            yield UpdateReport(s.label, True, True, "it keeps its value", None, nothing, nothing)
        elif commit.writes:
            yield _rows_report(s, commit, _reads(program, commit.shared, shapes), shapes)
        else:
            everything = _bytes(s, lengths(s), shapes)
            reason, avoidable = why_whole(s, written[s], e, changed, outputs)
            reason = _told.get(written[s], reason)
            yield UpdateReport(s.label, False, False, reason, avoidable, everything, everything)


def _reads(program: Program, shared: int, shapes: Shapes) -> list[Amount]:
    """What the instructions of a program read of a shared variable; views of it are followed, lengths read nothing."""
    s = program.shared[shared]
    same = {program.first_shared + shared}
    read = []
    for i in program.instructions:
        if not same.intersection(i.args) or i.op.name == "length":
            continue
        if i.op in (get_op, range_diagonal) and i.args[0] in same and not same.intersection(i.args[1:]):
            read.append(_bytes(s, lengths(i.node), shapes))
        elif i.op.name in VIEWS:
            same.add(i.out)
        else:
            read.append(_bytes(s, lengths(s), shapes))
    return read


def _rows_report(s: SharedVariable, commit: Commit, read: list[Amount], shapes: Shapes) -> UpdateReport:
    written = []
    for w in commit.writes:
        node = w.node
        part = get_op(s, *node.inputs[2:], index=w.index)
        amount = _bytes(s, lengths(part), shapes)
        written.append(amount)
        if node.op is not set_op:
            read.append(amount)
    n = len(commit.writes)
    reason = "it is a write into the old value" if n == 1 else f"it is {n} writes into the old value, one after another"
    return UpdateReport(s.label, True, True, reason, None, _total(read), _total(written))


def _total(amounts: Sequence[Amount]) -> Amount:
    if len(amounts) == 1:
        return amounts[0]
    numbers = [a.number for a in amounts]
    total = None if None in numbers else sum(n for n in numbers if n is not None)
    return Amount(" + ".join(a.formula for a in amounts) or "0", total)


def _bytes(s: SharedVariable, dims: Sequence[Variable], shapes: Shapes) -> Amount:
    factors = [str(np.dtype(s.dtype).itemsize)]
    number: int | None = np.dtype(s.dtype).itemsize
    for d in dims:
        text, value = _length(d, shapes)
        factors.append(text)
        number = None if number is None or value is None else number * value
    return Amount(" * ".join(factors), number)


def _length(d: Variable, shapes: Shapes) -> tuple[str, int | None]:
    """A length as people write it, and its value if the shapes tell."""
    if isinstance(d, Constant):
        return str(d.data), int(d.data)
    if d.op is not None and d.op.name == "length":
        d = length_of(d.inputs[0], d.params["axis"])
    if d.op is None:
        return describe(d), None
    if d.op.name == "length":
        x, axis = d.inputs[0], d.params["axis"]
        shape = shapes.get(x)
        return f"{describe(x)}.shape[{axis}]", None if shape is None else shape[axis]
    if d.op.name not in _ARITHMETIC:
        return describe(d), None
    parts = [_length(i, shapes) for i in d.inputs]
    values = [n for _, n in parts if n is not None]
    value = int(_ARITHMETIC[d.op.name](*values)) if len(values) == len(parts) else None
    if d.op.name == "where" and d.inputs[0].op is OPS["equal"] and d.inputs[0].inputs[0] is d.inputs[2]:
        return f"broadcast({parts[2][0]}, {parts[1][0]})", value  # of two lengths, the one that is not 1
    return describe(d), value


_ARITHMETIC: Mapping[str, Callable[..., Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "minimum": min,
    "maximum": max,
    "equal": operator.eq,
    "where": lambda condition, x, y: x if condition else y,
}


# --- why a whole table


_told: WeakKeyDictionary[Variable, str] = WeakKeyDictionary()


def tell_why_whole(written: Variable, reason: str) -> None:
    """Have explanations say why an update, whose new value is `written`, was made of the whole table."""
    _told[written] = reason


def why_whole(
    s: SharedVariable, written: Variable, e: Variable, changed: Updates, outputs: Sequence[Variable]
) -> tuple[str, str | None]:
    """Why an update is of the whole table, and the spelling that would not be, if there is one.

    written: the new value as the user wrote it; e: as it was rewritten.
    """
    full, again = rewrite([written, e], Selection.of(True))  # a backend's own rules may have made another form
    if full is not e and all(_chain_base(f) is s for f in (full, again)) and _chain_base(e) is not s:
        return "the rewrites that turn it into writes of rows are switched off", "rewrites=True"
    node = e
    while is_write(node):
        users = _other_users(node, e, changed, outputs)
        if users:
            return (
                f"{describe(node)} is used by {users} too, so old and new value must lie side by side",
                f"read the rows that are needed from {s.label} as it was, or from what is written",
            )
        node = node.inputs[0]
    if node is s:
        return "what is written depends on the whole value", None
    if s not in toposort([e]):
        return f"its new value, {describe(e)}, does not depend on the old one", None
    blocked = _blocking(node, s)
    if blocked is not None:
        name, rows = blocked
        reason = f"the gradient holds rows only, but no rule carries rows through {name!r}, in {describe(node)}"
        where = rows.params["index"].spell([describe(i) for i in rows.inputs[2:]])
        remedy = (
            f"with s = {s.label}[{where}], write updates=[({s.label}, st.inc_subtensor(s, ...))] and st.grad(cost, s) "
            f"in place of st.grad(cost, {s.label}); repeated ids then act one by one"
        )
        return reason, remedy
    return f"{describe(node)} computes every element", None


def _chain_base(e: Variable) -> Variable:
    while is_write(e):
        e = e.inputs[0]
    return e


def _other_users(node: Variable, e: Variable, changed: Updates, outputs: Sequence[Variable]) -> str:
    """Who uses a node of a chain besides the chain."""
    names = [f"output {k}" for k, o in enumerate(outputs) if o is node]
    users = [n for n in toposort([*outputs, *(v for _, v in changed)]) if node in n.inputs]
    own = 0 if node is e else 1
    if len(users) > own or (users and node is e):
        names += [describe(u) for u in users[own:][:2]] or ["other parts of the step"]
    names += [f"the update of {t.label}" for t, v in changed if v is node and e is not node]
    return ", ".join(names)


def _blocking(node: Variable, s: SharedVariable) -> tuple[str, Variable] | None:
    """The op that makes a whole table of rows: between `node` and zeros with writes of the shape of s."""
    seen: set[Variable] = set()
    stack = [node]
    while stack:
        n = stack.pop()
        if n in seen or n.op is None:
            continue
        seen.add(n)
        for i in n.inputs:
            if i.type.shape != s.type.shape:
                continue
            if is_write(i) and is_zeros(_chain_base(i)) and n.op is not get_op and not is_write(n):
                return n.op.name, i
            stack.append(i)
    return None


_warned: WeakSet[SharedVariable] = WeakSet()


def warn_of_whole_tables(program: Program, source: Updates, changed: Updates, outputs: Sequence[Variable]) -> None:
    """A WholeTableWarning for each large table that is updated as a whole and need not be: once for each variable."""
    for c in program.commits:
        s = program.shared[c.shared]
        if c.writes or s in _warned or math.prod(s.cell.shape) <= LARGE:
            continue
        written, e = dict(source)[s], dict(changed)[s]
        reason, avoidable = why_whole(s, written, e, changed, outputs)
        if avoidable is not None:
            _warned.add(s)
            size = " x ".join(map(str, s.cell.shape))
            warn(
                f"{program.name}: each call computes all of {s.label} ({size}): {reason}. Instead: {avoidable}",
                WholeTableWarning,
            )


__all__ = ["Explanation", "UpdateReport", "WholeTableWarning", "explanation", "warn_of_whole_tables"]
