"""What a step touches, and why: ``fn.explain()``."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from subtensor.errors import counted
from subtensor.graph.nodes import Variable, describe
from subtensor.graph.polynomial import Polynomial
from subtensor.graph.polynomial import total as total_of
from subtensor.graph.shared import SharedVariable
from subtensor.look.amounts import Amount, Costs, Known, added, all_added
from subtensor.look.tables import Row, Section, Table, several
from subtensor.look.whole import Step
from subtensor.ops.selection import range_diagonal
from subtensor.ops.shape import lengths
from subtensor.ops.subtensor import get_op, set_op
from subtensor.ops.views import VIEWS
from subtensor.program.accounts import Entry, total
from subtensor.program.linear import Commit, Instruction, Program
from subtensor.program.loops import Repeat
from subtensor.rewrites.costs import IDLE, Work, seen_from_outside, size
from subtensor.rewrites.lengths import polynomial
from subtensor.rewrites.trial import Step as Rewriting

ABOVE = 10_000
"""Bytes from which on an intermediate is told."""


@dataclass(frozen=True)
class UpdateReport:
    """One update. variable: its label. in_place: written into the old buffer. rows: only what is selected is touched.

    type: dtype and shape. reason: why. avoidable: the spelling that touches rows only, or None. read, written: bytes of
    the variable. costs: what the update takes beyond what leads to it.
    """

    variable: str
    type: str
    in_place: bool
    rows: bool
    reason: str
    avoidable: str | None
    read: Amount
    written: Amount
    costs: Costs

    def __str__(self) -> str:
        lines = [f"update of {self.variable}: {self.how}", f"  why: {self.reason}"]
        lines += [f"  reads {self.read} bytes of it, writes {self.written}"]
        if self.avoidable:
            lines.append(f"  instead: {self.avoidable}")
        return "\n".join(lines)

    @property
    def how(self) -> str:
        """What happens, in words."""
        how = "in place" if self.in_place else "a new value"
        return f"{how}, {'the selected elements only' if self.rows else 'the whole table'}"

    def as_dict(self) -> dict[str, Any]:
        return _fields(self)


@dataclass(frozen=True)
class Result:
    """An output, or an intermediate: what it is, as people write it, and what computing it takes.

    name: ``output 0``, or "". place: where it was first made, ``file:line``. size: its bytes. table: the table of whose
    size it is, or None. loop: the loop that it is computed in, each time, or "".
    """

    name: str
    what: str
    type: str
    place: str
    size: Amount
    costs: Costs
    table: str | None = None
    loop: str = ""

    def as_dict(self) -> dict[str, Any]:
        return _fields(self)


@dataclass(frozen=True)
class Explanation:
    """What a function does: its updates, its outputs, what it makes on the way, and what that takes.

    intermediates: those of `above` bytes or more, and those whose size is not known. totals: of everything. largest:
    the largest buffer that is allocated, as far as sizes are known. steps: what was rewritten, if that was asked for.
    Its text is its ``str``, which an interactive session shows; a notebook shows a table.
    """

    name: str
    backend: str
    updates: tuple[UpdateReport, ...]
    outputs: tuple[Result, ...]
    intermediates: tuple[Result, ...]
    totals: Costs
    largest: Result | None
    above: int
    steps: tuple[Rewriting, ...] | None
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain data, which JSON can hold."""
        found = _fields(self)
        if self.steps is not None:
            found["steps"] = [f"{s.rule}: {describe(s.before)} -> {describe(s.after)}" for s in self.steps]
        return found

    def table(self) -> Table:
        """As a table: what is alike is told together."""
        counts = f"{counted(len(self.updates), 'update')}, {counted(len(self.outputs), 'output')}"
        sections = [Section("updates, and bytes of the variable itself", _update_rows(self.updates))]
        sections.append(Section("outputs", [_row(r, f"{r.name}: {r.what}", r.size) for r in self.outputs]))
        title = f"intermediates of {self.above:,} bytes or more, or of unknown size; the last column is the size"
        sections.append(Section(title, _result_rows(self.intermediates)))
        end = [Row("all of it", self.totals.cells, notes=_formulas(self.totals))]
        if self.largest is not None:
            end.append(Row(f"largest buffer: {self.largest.what}, {self.largest.type}, {self.largest.size} bytes"))
        sections = [*(s for s in sections if s.rows), Section("in total", end)]
        after = list(self.notes)
        if self.steps is not None:
            after.append(f"{len(self.steps)} rewrites:")
            after += [f"  {s.rule}: {describe(s.before)} -> {describe(s.after)}" for s in self.steps]
        heads = ("read", "written", "allocated", "operations")
        return Table(f"{self.name} on {self.backend}: {counts}", heads, sections, after)

    def __str__(self) -> str:
        return self.table().text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.table().html()


def _fields(report: Any) -> dict[str, Any]:
    return {name: _plain(getattr(report, name)) for name in report.__dataclass_fields__}


def _plain(value: Any) -> Any:
    """A part of a report as plain data."""
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return _fields(value) if hasattr(value, "__dataclass_fields__") else value


def explanation(
    step: Step, backend: str, shapes: Sequence[tuple[int, ...]] | None, numbers: Mapping[Variable, int], *,
    above: int, steps: Sequence[Rewriting] | None = None, notes: Sequence[str] = (),
) -> Explanation:  # fmt: skip
    """The explanation of a step.

    shapes: of the arguments of a call, for numbers; numbers: values of arguments. above: bytes of the smallest
    intermediate that is told. steps: what was rewritten. notes: what the executable says of itself.
    """
    program = step.program
    known = known_lengths(program, shapes, numbers)
    entries = step.accounts(step.tables())
    leaving = {o: f"output {k}" for k, o in reversed(list(enumerate(program.outputs)))}
    replaced = {c.value for c in program.commits if c.value is not None}
    results = [(e, _result(e, known, leaving.get(e.slot, "") if e.slot is not None else "")) for e in entries]
    made = {e.slot: r for e, r in results if e.slot is not None}
    outputs = [made.get(o) or _leaf(program, o, known, f"output {k}") for k, o in enumerate(program.outputs)]
    inner = [
        r
        for e, r in results
        if e.updates is None and e.slot not in leaving and e.slot not in replaced and e.work is not IDLE and e.node.ndim
        and (r.size.bound is None or r.size.bound >= above)
    ]  # fmt: skip
    buffers = [r for e, r in results if e.work.allocated and r.size.bound is not None]
    return Explanation(
        program.name, backend, tuple(_reports(step, entries, known)), tuple(outputs), tuple(inner),
        known.costs(total(entries)), max(buffers, key=lambda r: r.size.bound or 0, default=None), above,
        None if steps is None else tuple(steps), tuple(notes),
    )  # fmt: skip


def known_lengths(program: Program, shapes: Sequence[tuple[int, ...]] | None, numbers: Mapping[Variable, int]) -> Known:
    """What is known of lengths before a call, or after one with arguments of given shapes."""
    known: dict[Variable, tuple[int, ...]] = {s: s.cell.shape for s in program.shared}
    if shapes is not None:
        known.update(zip(program.inputs, shapes, strict=True))
    return Known(known, numbers)


def _result(entry: Entry, known: Known, name: str) -> Result:
    node, t = entry.node, entry.reads if entry.table is None else entry.table
    return Result(
        name, describe(node), str(node.type), node.place, known.amount(size(node)), known.costs(entry.work),
        None if t is None else t.label, entry.loop,
    )  # fmt: skip


def _leaf(program: Program, slot: int, known: Known, name: str) -> Result:
    """An output that nothing computes."""
    node = [*program.inputs, *program.shared, *program.constants][slot]
    return Result(name, describe(node), str(node.type), node.place, known.amount(size(node)), known.costs(IDLE))


# --- updates


def _reports(step: Step, entries: Sequence[Entry], known: Known) -> Iterable[UpdateReport]:
    """A report for each update, in the order in which they were given."""
    program = step.program
    commits = {program.shared[c.shared]: c for c in program.commits}
    nothing = known.amount(Polynomial({}))
    for s, _ in step.updates:
        commit = commits.get(s)
        if commit is None:
            costs, why = known.costs(IDLE), "it keeps its value"
            yield UpdateReport(s.label, str(s.type), True, True, why, None, nothing, nothing, costs)
            continue
        parts = [e for e in entries if e.updates is s or (commit.value is not None and e.slot == commit.value)]
        costs = known.costs(total(parts))
        if commit.writes:
            read, written = _rows_amounts(s, commit, _reads(program, commit.shared))
            n = len(commit.writes)
            reason = "it is a write into the old value"
            if n > 1:
                reason = f"it is {n} writes into the old value, one after another"
            amounts = known.amount(read), known.amount(written)
            yield UpdateReport(s.label, str(s.type), True, True, reason, None, *amounts, costs)
        else:
            everything = known.amount(size(s))
            reason, avoidable = step.why_whole(s)
            yield UpdateReport(
                s.label, str(s.type), False, False, reason, avoidable, everything, everything, costs
            )  # fmt: skip


def _reads(program: Program, shared: int) -> list[Polynomial]:
    """What a program reads of a shared variable."""
    return _reads_of(program, program.first_shared + shared, program.shared[shared])


def _reads_of(program: Program, slot: int, node: Variable) -> list[Polynomial]:
    """What instructions read of a slot, which holds `node`; views of it are followed, lengths read nothing."""
    same = {slot}
    read: list[Polynomial] = []
    for i in program.instructions:
        if not same.intersection(i.args) or i.op.name == "length":
            continue
        if i.op in (get_op, range_diagonal) and i.args[0] in same and not same.intersection(i.args[1:]):
            read.append(_bytes(i.node))
        elif i.op.name in VIEWS:
            same.add(i.out)
        elif i.body is not None and i.repeat is not None:
            read += _reads_within(i, i.repeat, i.body, same)
        else:
            read.append(size(node))
    return read


def _reads_within(i: Instruction, how: Repeat, body: Program, same: Collection[int]) -> Iterable[Polynomial]:
    """What a loop reads of what is in some slots: elements and states it reads all of, the rest as its body does."""
    for k, (arg, place) in enumerate(zip(i.args[how.first : how.taken], body.inputs, strict=True)):
        if arg not in same:
            continue
        if k < how.sequences + how.states:
            yield seen_from_outside(Work(size(place)), i.nodes).read if k < how.sequences else size(place)
        else:
            for p in _reads_of(body, k, place):
                yield seen_from_outside(Work(p), i.nodes).read


def _bytes(x: Variable) -> Polynomial:
    """The bytes of x, where lengths that are broadcast may differ."""
    product = Polynomial.of(np.dtype(x.dtype).itemsize)
    for d in lengths(x):
        product = product * polynomial(d)
    return product


def _rows_amounts(s: SharedVariable, commit: Commit, read: Sequence[Polynomial]) -> tuple[Polynomial, Polynomial]:
    """Bytes of a variable that are read and written, where it is written in place."""
    written = [_bytes(get_op(s, *w.node.inputs[2:], index=w.index)) for w in commit.writes]
    also = [p for w, p in zip(commit.writes, written, strict=True) if w.node.op is not set_op]
    return total_of([*read, *also]), total_of(written)


# --- rows of the table

T = TypeVar("T")


def _alike(items: Iterable[T], key: Callable[[T], Hashable]) -> list[list[T]]:
    """Items of equal keys together, in the order of the first of each."""
    groups: dict[Hashable, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())


def _form(amount: Amount) -> Hashable:
    """A formula without the names of what it speaks of."""
    return amount.number if amount.is_constant else re.sub(r"[^\W\d][\w.]*", "x", amount.formula)


def _update_rows(updates: Sequence[UpdateReport]) -> list[Row]:
    rows = []
    scalars = [u for u in updates if u.type.endswith("[]")]
    for group in _alike((u for u in updates if u not in scalars), _update_key):
        first = group[0]
        read, written = added([u.read for u in group]), added([u.written for u in group])
        costs = all_added([u.costs for u in group])
        cells = (read.scaled("B"), written.scaled("B"), costs.allocated.scaled("B"), costs.computed.scaled())
        notes = [f"{'each: ' if len(group) > 1 else ''}{first.how}: {first.reason}"]
        if not (first.read.is_constant and first.written.is_constant):
            notes.append(f"reads {first.read.formula}, writes {first.written.formula} bytes")
        if first.avoidable:
            notes.append(f"instead: {first.avoidable}")
        tail = first.type if len({u.type for u in group}) == 1 else first.type.partition("[")[0]
        rows.append(Row(several([u.variable for u in group]), cells, tail, tuple(notes)))
    if scalars:
        read, written = added([u.read for u in scalars]), added([u.written for u in scalars])
        costs = all_added([u.costs for u in scalars])
        cells = (read.scaled("B"), written.scaled("B"), costs.allocated.scaled("B"), costs.computed.scaled())
        rows.append(Row(f"scalars: {several([u.variable for u in scalars])}", cells))
    return rows


def _update_key(u: UpdateReport) -> Hashable:
    how = u.in_place, u.rows, u.avoidable is None, u.reason if u.rows else None
    return (*how, u.type.partition("[")[0], _form(u.read), _form(u.written), _form(u.costs.allocated))


def _result_rows(results: Sequence[Result]) -> list[Row]:
    groups = _alike(
        results,
        lambda r: (r.type, r.table, r.loop, _form(r.size), _form(r.costs.computed), r.what if r.table else None),
    )
    groups.sort(key=lambda g: -(g[0].size.bound or 0))
    rows = []
    for group in groups[:_MOST]:
        first = group[0]
        costs = all_added([r.costs for r in group])
        tail = f"{first.type}  {first.size.formula}"
        tail += f"  OF THE SIZE OF {first.table}" if first.table else ""
        tail += f"  in {first.loop}" if first.loop else ""
        what = first.what if len(group) == 1 else f"{first.what} and {len(group) - 1} alike"
        rows.append(Row(what, costs.cells, tail))
    left = sum(map(len, groups[_MOST:]))
    if left:
        rows.append(Row(f"{counted(left, 'smaller one')}: see .intermediates"))
    return rows


_MOST = 12


def _row(r: Result, label: str, size: Amount) -> Row:
    return Row(label, r.costs.cells, f"{r.type}  {size.formula}")


def _formulas(costs: Costs) -> tuple[str, ...]:
    parts = {"reads": costs.read, "writes": costs.written, "allocates": costs.allocated, "computes": costs.computed}
    return tuple(f"{verb} {a.formula}" for verb, a in parts.items() if not a.is_constant)


__all__ = ["ABOVE", "Explanation", "Result", "UpdateReport", "explanation", "known_lengths"]
