"""Where the time of a step goes, beside what the step costs by the model: ``fn.profile(*args)``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from subtensor.errors import counted
from subtensor.graph.nodes import Variable, describe
from subtensor.look.amounts import Costs, Known
from subtensor.look.tables import Row, Section, Table, shortened
from subtensor.look.whole import Step
from subtensor.program.accounts import Entry, total
from subtensor.program.contract import Timing
from subtensor.rewrites.costs import IDLE


@dataclass(frozen=True)
class Part:
    """A part of a call: an instruction, several that are carried out together, or a stage.

    what: in words. operations: what it computes, each as people write it. place: where the last of them was made.
    seconds: of the median call. costs: by the model; modelled: its estimate, in seconds of the machine that it was
    measured on. details: what the backend knows besides, by name.
    """

    what: str
    operations: tuple[str, ...]
    place: str
    seconds: float
    modelled: float | None
    costs: Costs
    details: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "operations": list(self.operations),
            "place": self.place,
            "seconds": self.seconds,
            "modelled": self.modelled,
            "costs": self.costs.as_dict(),
            "details": dict(self.details),
        }


@dataclass(frozen=True)
class Profile:
    """Where the time of a call went.

    parts: in the order of the program. seconds: the median of whole calls, which nobody looked into. first: how long
    the first call took, with all that had to be compiled for it. calls: how many were made of each.
    """

    name: str
    backend: str
    parts: tuple[Part, ...]
    seconds: float
    first: float
    calls: int
    totals: Costs
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain data, which JSON can hold."""
        return {
            "name": self.name,
            "backend": self.backend,
            "parts": [p.as_dict() for p in self.parts],
            "seconds": self.seconds,
            "first": self.first,
            "calls": self.calls,
            "totals": self.totals.as_dict(),
            "notes": list(self.notes),
        }

    def table(self) -> Table:
        """As a table: the longest parts first."""
        whole = sum(p.seconds for p in self.parts) or 1.0
        ordered = sorted(self.parts, key=lambda p: -p.seconds)
        rows = [_row(p, p.seconds / whole) for p in ordered[:_MOST]]
        if len(ordered) > _MOST:
            rest = sum(p.seconds for p in ordered[_MOST:])
            name = f"{counted(len(ordered) - _MOST, 'other part')}"
            rows.append(Row(name, (_microseconds(rest), f"{rest / whole:.0%}", *[""] * 5)))
        end = [Row("all parts", (_microseconds(whole), "100%", "", *self.totals.cells))]
        heads = ("us", "share", "modelled us", "read", "written", "allocated", "operations")
        title = f"{self.name} on {self.backend}: {_microseconds(self.seconds)} us a call, the first {self.first:.3g} s"
        title += f" (medians of {counted(self.calls, 'call')}; nothing was updated)"
        return Table(title, heads, [Section("", rows), Section("", end)], self.notes)

    def __str__(self) -> str:
        return self.table().text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return self.table().html()


_MOST = 20


def _row(part: Part, share: float) -> Row:
    modelled = "" if part.modelled is None else _microseconds(part.modelled)
    cells = (_microseconds(part.seconds), f"{share:.0%}", modelled, *part.costs.cells)
    notes = [", ".join(f"{name}: {value:,.0f}" for name, value in part.details.items())] if part.details else []
    if len(part.operations) > 1:
        notes.insert(0, shortened("; ".join(part.operations), _OPERATIONS))
    return Row(part.what, cells, notes=tuple(notes))


_OPERATIONS = 110


def _microseconds(seconds: float) -> str:
    us = seconds * 1e6
    return f"{us:,.0f}" if us >= _TENTHS else f"{us:.1f}"


_TENTHS = 99.5


def profile(
    step: Step, backend: str, timings: Sequence[Timing], shapes: Mapping[Variable, tuple[int, ...]],
    numbers: Mapping[Variable, int], *, seconds: float, first: float, calls: int, notes: Sequence[str] = (),
) -> Profile:  # fmt: skip
    """The profile of a step. shapes: of inputs and shared variables. numbers: values of inputs. seconds, first: of
    whole calls.
    """
    program = step.program
    nodes = {o: n for i in program.instructions for o, n in zip(i.outs, i.nodes, strict=True)}
    told = {nodes[slot]: shape for t in timings for slot, shape in t.shapes.items() if slot in nodes}
    known = Known({**shapes, **told}, numbers)
    entries = step.accounts(())
    by_slot: dict[int | None, list[Entry]] = {}
    for e in entries:
        by_slot.setdefault(e.slot, []).append(e)
    writes = [e for e in entries if e.updates is not None]
    within = [e for e in entries if e.loop]
    loops = {i.out for i in program.instructions if i.body is not None}
    parts = []
    for t in timings:
        slots = [s for s in t.slots if s in nodes]
        made = [e for s in slots for e in by_slot.get(s, ())]
        made += within if not loops.isdisjoint(slots) else []
        parts.append(_part(t, slots, nodes, made + writes if t.writes else made, known))
    return Profile(
        program.name, backend, tuple(parts), seconds, first, calls, known.costs(total(entries)), tuple(notes)
    )  # fmt: skip


def _part(t: Timing, slots: Sequence[int], nodes: Mapping[int, Variable], made: Sequence[Entry], known: Known) -> Part:
    work = {e.slot for e in made if e.work is not IDLE and e.work.price}
    told = [nodes[s] for s in slots if s in work] or [nodes[s] for s in slots]  # what only looks at memory is not told
    operations = tuple(describe(n) for n in told)
    what = t.what
    if not what:
        what = operations[-1] if operations else "?"
        if len(operations) > 1:
            what = f"{len(operations)} together, to {what}"
    price = known.amount(total(made).price).bound
    modelled = None if price is None or not made else price * 1e-9
    place = told[-1].place if told else ""
    return Part(what, operations, place, t.seconds, modelled, known.costs(total(made)), dict(t.details))


__all__ = ["Part", "Profile", "profile"]
