"""What is as large as a table, and why: the warning where that need not be, and the check for people's own tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary, WeakSet

import numpy as np

from subtensor.errors import warn
from subtensor.graph.config import config
from subtensor.graph.nodes import Variable, describe, toposort
from subtensor.graph.shared import SharedVariable
from subtensor.look.amounts import Known, scaled
from subtensor.ops.subtensor import get_op, is_write
from subtensor.program.accounts import Entry, accounts
from subtensor.program.building import count_uses, write_chain
from subtensor.program.linear import Instruction, Program
from subtensor.rewrites.costs import graph_work, size
from subtensor.rewrites.engine import Selection, rewrite
from subtensor.rewrites.large import table_size, tables
from subtensor.rewrites.shapes import is_elementwise, is_zeros

Updates = Sequence[tuple[SharedVariable, Variable]]


class WholeTableWarning(UserWarning):
    """A step makes something of the size of a large table although rows would do: see ``docs/looking.md``."""


@dataclass(frozen=True)
class Step:
    """A step: its program, the graph as written and as rewritten, the rules for that, and whether reads are fused."""

    program: Program
    source: tuple[Sequence[Variable], Updates]
    outputs: Sequence[Variable]
    updates: Updates
    selection: Selection
    reads_fuse: bool = False

    @property
    def roots(self) -> list[Variable]:
        return [*self.outputs, *(e for _, e in self.updates)]

    def tables(self) -> list[SharedVariable]:
        """What is used as a table, as written or as rewritten, and what has a row for each row of such a one."""
        found = dict.fromkeys(tables([*self.source[0], *(e for _, e in self.source[1]), *self.roots]))
        found.update(dict.fromkeys(s for s in self.program.shared if s.beside in found))
        return list(found)

    def accounts(
        self, tables: Iterable[SharedVariable], among: Callable[[Instruction], bool] | None = None
    ) -> list[Entry]:
        return accounts(self.program, tables, reads_fuse=self.reads_fuse, among=among)

    def why_whole(self, s: SharedVariable) -> tuple[str, str | None]:
        """Why the update of a variable is of the whole table, and the spelling that would not be."""
        if s in self._rows_by_rewriting and s not in _alone(self.outputs, self.updates):
            return "the rewrites that turn it into writes of rows are switched off", "rewrites=True"
        written = dict(self.source[1])[s]
        reason, instead = _why_whole(s, dict(self.updates)[s], self.updates, self.outputs)
        return _told.get(written, reason), instead

    @cached_property
    def _rows_by_rewriting(self) -> list[SharedVariable]:
        """Where not all rewrites were made, the variables that are written in place if they are: of the graph as it was
        written, and as it is, for a backend's own rules may have made another form.
        """
        if self.selection.is_complete:
            return []
        targets = [s for s, _ in self.updates]
        found = []
        for roots in ([*self.source[0], *(e for _, e in self.source[1])], self.roots):
            full = rewrite(roots, Selection.of(True), commits=targets)
            found.append(_alone(full[: len(self.outputs)], list(zip(targets, full[len(self.outputs) :], strict=True))))
        return [s for s in found[0] if s in found[1]]


# --- why an update is of the whole table


_told: WeakKeyDictionary[Variable, str] = WeakKeyDictionary()


def tell_why_whole(written: Variable, reason: str) -> None:
    """Have explanations say why an update, whose new value is `written`, was made of the whole table."""
    _told[written] = reason


def _why_whole(s: SharedVariable, e: Variable, changed: Updates, outputs: Sequence[Variable]) -> tuple[str, str | None]:
    """Why the new value e of a variable is none that is made by writes into the old one."""
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


def _alone(outputs: Sequence[Variable], updates: Updates) -> list[SharedVariable]:
    """The variables whose new values are writes into the old ones, of which nobody sees the steps between."""
    uses = count_uses([*outputs, *(e for _, e in updates)])
    return [s for s, e in updates if e is s or write_chain(s, e, uses)]


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


# --- intermediates that need not be so large


def _rows_would_do(i: Instruction, s: SharedVariable, program: Program) -> str | None:
    """The read that alone uses a result, where it is computed row by row of a table: then of these rows would do."""
    if not _by_rows(i.node, s):
        return None
    users: dict[int, list[Instruction]] = {}
    for u in program.instructions:
        for a in dict.fromkeys(u.args):
            users.setdefault(a, []).append(u)
    kept = {*program.outputs, *(c.value for c in program.commits)}
    kept |= {slot for c in program.commits for w in c.writes for slot in (w.value, *w.inputs)}
    stack, reads = [i.out], []
    while stack:
        slot = stack.pop()
        if slot in kept or not users.get(slot):
            return None
        for u in users[slot]:
            if u.op.name == "length":
                continue
            if u.op is get_op and u.args[0] == slot and any(program.types[a].ndim for a in u.args[1:]):
                reads.append(u.node)
            elif _keeps_rows(u.node):
                stack.append(u.out)
            else:
                return None
    if not reads:
        return None
    index = reads[0].params["index"].spell([describe(x) for x in reads[0].inputs[1:]])
    return f"{s.label}[{index}]"


def _keeps_rows(node: Variable) -> bool:
    """Whether each row of a result is computed of the same row of its operands."""
    if is_elementwise(node):
        return True
    axes = node.params.get("axes", node.params.get("axis"))
    return axes is not None and 0 not in (axes if isinstance(axes, tuple) else (axes,))


def _by_rows(node: Variable, s: SharedVariable) -> bool:
    """Whether a node is computed row by row of a table, and of nothing else that is so long."""
    stack, found = [node], False
    while stack:
        n = stack.pop()
        if n is s:
            found = True
        elif n.op is not None and _keeps_rows(n):
            stack += [i for i in n.inputs if table_size(i, [s]) is s]
        else:
            return False
    return found


def _disappear(step: Step, node: Variable, s: SharedVariable) -> bool:
    """Whether nothing of the size of a table is left, of what is no new value, when all rewrites are made."""
    if step.selection.is_complete:
        return False
    graph = rewrite(step.roots, Selection.of(True), commits=[t for t, _ in step.updates])
    works = graph_work(graph)
    return node not in works and not any(
        w.allocated and n not in graph and table_size(n, [s]) is s for n, w in works.items()
    )


# --- the warning

_warned: WeakSet[SharedVariable] = WeakSet()


def warn_of_whole_tables(step: Step) -> None:
    """A WholeTableWarning for each table of whose size something large is made that need not be: once for each."""
    least = config.whole_table_bytes
    if least is None:
        return
    program = step.program
    for c in program.commits:
        s = program.shared[c.shared]
        if c.writes or s in _warned or _nbytes(s) < least:
            continue
        reason, instead = step.why_whole(s)
        if instead is not None:
            shape = " x ".join(map(str, s.cell.shape))
            _warn(step, s, f"each call computes all of {s.label} ({shape}), {scaled(_nbytes(s), 'B')}", reason, instead)
    if any(i.body is not None or _is_large(i, least) for i in program.instructions):
        for entry, s, nbytes in _large_intermediates(step, least):
            made = _made(program, entry)
            what = f"each call makes {describe(entry.node)}, {entry.node.type}, of the size of {s.label}, "
            what += f"{scaled(nbytes, 'B')}, made at {entry.node.place}"
            if _disappear(step, entry.node, s):
                _warn(step, s, what, "rewrites that would compute rows only are switched off", "rewrites=True")
            elif made is not None and (rows := _rows_would_do(made, s, program)) is not None:
                _warn(step, s, what, "only some rows of it are used", f"compute it of {rows} alone")


def _warn(step: Step, s: SharedVariable, what: str, reason: str, instead: str) -> None:
    _warned.add(s)
    warn(f"{step.program.name}: {what}: {reason}. Instead: {instead}", WholeTableWarning)


def _is_large(i: Instruction, least: int) -> bool:
    """Whether a result surely has so many bytes."""
    shape = i.type.shape
    return None not in shape and math.prod(n or 0 for n in shape) * np.dtype(i.type.dtype).itemsize >= least


def _large_intermediates(step: Step, least: int) -> Iterator[tuple[Entry, SharedVariable, int]]:
    """What is of the size of a table and leaves the step neither as an output nor as a new value."""
    program = step.program
    large = [s for s in step.tables() if s not in _warned and _nbytes(s) >= least]
    if not large:
        return
    known = Known({s: s.cell.shape for s in program.shared}, {})
    leaving = {*program.outputs, *(c.value for c in program.commits if c.value is not None)}
    for entry in step.accounts(large, lambda i: _is_large(i, least)):
        if entry.table is not None and entry.table not in _warned and entry.slot not in leaving:
            yield entry, entry.table, known.amount(size(entry.node)).bound or 0


def _nbytes(s: SharedVariable) -> int:
    return math.prod(s.cell.shape) * np.dtype(s.dtype).itemsize


def _made(program: Program, entry: Entry) -> Instruction | None:
    """The instruction of an entry."""
    return next((i for i in program.instructions if i.out == entry.slot), None)


# --- the check


def refuse_whole_tables(step: Step, wanted: Sequence[SharedVariable]) -> list[str]:
    """What of the size of a table a step reads, writes or allocates: a line for each, with the reason.

    wanted: the tables that are looked at; none: all that are used as tables.
    """
    program = step.program
    looked = dict.fromkeys(wanted or step.tables())
    looked.update(dict.fromkeys(s for s in program.shared if s.beside in looked))
    known = Known({s: s.cell.shape for s in program.shared}, {})
    found = []
    told: set[int | None] = set()
    for c in program.commits:
        s = program.shared[c.shared]
        if s in looked and not c.writes:
            reason, instead = step.why_whole(s)
            told.add(c.value)
            found.append(f"the update of {s.label} is a new value of the whole: {reason}")
            found[-1] += f". Instead: {instead}" if instead else ""
    for entry in step.accounts(looked):
        if entry.slot is not None and entry.slot in told:
            continue
        inside = f", in {entry.loop}" if entry.loop else ""
        what = f"{describe(entry.node)}, made at {entry.node.place}{inside},"
        if entry.table is not None:
            size = known.amount(entry.work.allocated)
            found.append(f"{what} is {entry.node.type}, of the size of {entry.table.label}: {size} bytes are allocated")
        elif entry.reads is not None:
            found.append(f"{what} reads all of {entry.reads.label}, or something as large")
    if len(found) > _MOST:
        found[_MOST:] = [f"and {len(found) - _MOST} more, which fn.explain().intermediates lists"]
    if found and all(_nbytes(s) < _SMALL for s in looked):
        found.append("for so small a table all of it may be cheaper than rows: check with one of its real size")
    return found


_MOST, _SMALL = 6, 1_000_000


__all__ = ["Step", "WholeTableWarning", "refuse_whole_tables", "tell_why_whole", "warn_of_whole_tables"]
