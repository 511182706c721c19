"""From a set of instructions and writes to the source of one kernel: loops over rows.

A kernel is a sequence of *passes*, each over the rows of one length. Within a row, values of equal shape are computed
together, in one *nest* of loops over the other axes; what a later nest needs lies in a scratch row, what a later pass
needs in a buffer. Gathered rows are never stored: they are read again where they are needed. First of all come checks,
of what ``lengths`` assumed and of every position; after them nothing can fail, and writes go in place.

Axes are known by what stands for their lengths. So a transposed, stretched or squeezed value needs no code: wherever it
is read, the same loops give its positions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from subtensor.program.linear import Instruction, Program
from subtensor_numba import scalars
from subtensor_numba.lengths import ONE, Lengths, Place
from subtensor_numba.parts import Pass, RowWrite, Step
from subtensor_numba.passes import PassWriter
from subtensor_numba.values import Values


class Kernel(Values):
    """One kernel. members: instructions in order. wanted: slots that something else needs. writes: in order.

    distinct: slots of row numbers that are known to be distinct. roots: for each slot, those whose memory it may share.
    """

    def __init__(
        self,
        program: Program,
        lengths: Lengths,
        members: Sequence[Instruction],
        wanted: Iterable[int],
        writes: Sequence[RowWrite] = (),
        distinct: Iterable[int] = (),
        roots: Mapping[int, frozenset[int]] | None = None,
    ) -> None:
        super().__init__(program, lengths, members)
        self.wanted = [s for s in dict.fromkeys(wanted) if s in self.members]
        self.writes = list(writes)
        self.distinct = frozenset(distinct)
        self.roots = roots or {}
        self._plan()
        self.source = self._source()

    # --- passes

    def _plan(self) -> None:
        computed = [i for i in self.members.values() if i.op.name != "subtensor" and not self.lengths.is_view(i)]
        self._order(computed)
        steps: dict[tuple[int, Place | None], list[Step]] = {}
        for i in computed:
            rows, phase = self.rows_of(i), self.phases[i.out]
            for source in self._sources(i):
                if not self.is_computed(source):
                    if i.op.name == "run_sums" and source in self.members:
                        self._keep(source, self.lengths.axes(source)[0])
                elif self.phases[source] != phase or not self._together(source, i):
                    self._keep(source, self.rows_of(self.members[source]))
            space = self.space(i.out, rows)
            if self.lengths.is_reduction(i):
                gone = [a for a in self.lengths.summed(i) if a not in (ONE, rows)]
                space = (*space, *(a for a in gone if a not in space))
            steps.setdefault((phase, rows), []).append(Step("compute", i.out, space, i))
        for slot in self.wanted:
            if not self.types[slot].ndim or not (slot in self.phases and self.is_total(self.members[slot])):
                self._keep(slot, None, self.lengths.axes(slot))
        last = max(self.phases.values(), default=0) + 1
        self._plan_writes(steps, last)
        self._plan_stores(steps)
        for (_, rows), found in sorted(steps.items(), key=lambda item: (item[0][0], str(item[0][1]))):
            self.passes.append(Pass(rows, found))

    def _sources(self, i: Instruction) -> list[int]:
        return [self.resolved(a) for a in self.lengths.taken(i)]

    def _together(self, source: int, user: Instruction) -> bool:
        """Whether a value can be used in the pass that computes it."""
        made = self.members[source]
        return self.rows_of(made) == self.rows_of(user) and not self.is_total(made) and user.op.name != "run_sums"

    def _order(self, computed: Sequence[Instruction]) -> None:
        """The pass of each computed value: as early as it can be, then as late as those that use it let it."""
        for i in computed:
            phase = 0
            for source in self._sources(i):
                if self.is_computed(source):
                    phase = max(phase, self.phases[source] + (not self._together(source, i)))
                elif i.op.name == "run_sums" and source in self.members:
                    phase = max(phase, 1)
            self.phases[i.out] = phase
        latest: dict[int, int] = {}
        for i in reversed(computed):
            phase = self.phases[i.out] = max(self.phases[i.out], latest.get(i.out, 0))
            for source in self._sources(i):
                if self.is_computed(source):
                    bound = phase - (not self._together(source, i))
                    latest[source] = min(latest.get(source, bound), bound)

    def _keep(self, slot: int, rows: Place | None, axes: tuple[Place, ...] | None = None) -> None:
        """Note that a slot is stored: whole where `axes` are given, else without axes along which it is constant."""
        i = self.members[slot]
        if slot in self.phases and self.is_total(i):
            axes = self.lengths.axes(slot)
        if axes is None:
            axes = (*(() if rows is None else (rows,)), *self.space(slot, rows))
        if slot not in self.buffers or len(axes) > len(self.buffers[slot]):
            self.buffers[slot] = axes

    def _plan_stores(self, steps: dict[tuple[int, Place | None], list[Step]]) -> None:
        for slot, axes in list(self.buffers.items()):
            source = self.resolved(slot)
            if slot in self.phases and self.is_total(self.members[slot]):
                continue
            if self.is_computed(source):
                made = self.members[source]
                rows = self.rows_of(made)
                phase = self.phases[source]
                if self.is_total(made):  # a view of a total
                    phase, rows = phase + 1, (axes[0] if axes and axes[0] != ONE else None)
                    self._keep(source, None)
            else:
                phase, rows = 0, next((a for a in axes if a != ONE), None)
            space = tuple(a for a in axes if a not in (ONE, rows))
            found = steps.setdefault((phase, rows), [])
            found.append(Step("store", slot, space))

    def _plan_writes(self, steps: dict[tuple[int, Place | None], list[Step]], last: int) -> None:
        waiting: list[RowWrite] = []
        for w in self.writes:
            place = self._place_of_write(w)
            if place is None:
                waiting.append(w)
                continue
            steps.setdefault(place, []).append(self._write_step(w, place[1]))
        while waiting:
            w = self._next(waiting)
            waiting.remove(w)
            rows = self.lengths.axes(w.write.inputs[0])[0]
            written = {o.table for o in self.writes if o not in waiting}
            leaves = self._recomputed(w, rows, written)
            if leaves is None:
                source = self.resolved(w.write.value)
                if self.is_computed(source) or (source in self.members and self._shows(source, written)):
                    self._keep(source, self.rows_of(self.members[source]))
                leaves = [source]
            for leaf in leaves:
                if self.is_computed(leaf):
                    self._keep(leaf, self.rows_of(self.members[leaf]))
            found = steps.setdefault((last, rows), [])
            if found:
                last += 1
                found = steps.setdefault((last, rows), [])
            found += [*self._again(w, rows, leaves), self._write_step(w, rows)]
            last += 1

    def _write_step(self, w: RowWrite, rows: Place | None) -> Step:
        ids = self.inner(w.write.inputs[0], rows)
        return Step("write", w.write.value, (*ids, *self._inner_of_rows(w.table)), None, w)

    def _inner_of_rows(self, table: int) -> tuple[Place, ...]:
        return tuple(a for a in self.lengths.axes(table)[1:] if a != ONE)

    def _place_of_write(self, w: RowWrite) -> tuple[int, Place | None] | None:
        """The pass that may write what it computes, for it is the last to look at the row; None if there is none."""
        ids = w.write.inputs[0]
        source = self.resolved(w.write.value)
        if ids not in self.distinct or not w.alone or not self.is_computed(source):
            return None
        made = self.members[source]
        rows, phase = self.rows_of(made), self.phases[source]
        if self.is_total(made) or rows != self.lengths.axes(ids)[0]:
            return None
        readers = [
            m for m in self.members.values()
            if any(w.table in self.roots.get(a, frozenset((a,))) for a in m.args if a not in self.members)
        ]  # fmt: skip
        for reader in readers:
            if reader.op.name != "subtensor" or reader.args[0] != w.table:
                return None
            same = reader.args[1] == ids
            for user in self.members.values():
                takes = not (user.op.name == "subtensor" or self.lengths.is_view(user)) and any(
                    self.resolved(a) == reader.out for a in self.lengths.taken(user)
                )
                if takes and not (self.phases[user.out] < phase or (same and self.phases[user.out] == phase)):
                    return None
            if reader.out in self.wanted or (reader.out in self.buffers and not same):
                return None
        return phase, rows

    def _next(self, waiting: Sequence[RowWrite]) -> RowWrite:
        """A write after which fewest others lose what they would read again. Those of one table keep their order."""
        for w in waiting:
            if next(o for o in waiting if o.table == w.table) is not w:
                continue
            harmed = False
            for o in waiting:
                if o.table != w.table:
                    leaves = self._recomputed(o, self.lengths.axes(o.write.inputs[0])[0], ())
                    harmed |= any(self._shows(x, (w.table,)) for x in leaves or () if not self.is_computed(x))
            if not harmed:
                return w
        return waiting[0]

    def _shows(self, slot: int, tables: Iterable[int]) -> bool:
        """Whether what is read for a slot may lie in one of some tables."""
        member = self.members.get(slot)
        home = slot if member is None else member.args[0]
        return not self.roots.get(home, frozenset((home,))).isdisjoint(tables)

    def _recomputed(self, w: RowWrite, rows: Place | None, written: Iterable[int]) -> list[int] | None:
        """From what to compute a written value anew, row by row: where all of it is smaller, as in outer products."""
        value = self.resolved(w.write.value)
        full = frozenset(self.space(value, rows))
        leaves: list[int] = []
        stack = [value]
        while stack:
            slot = stack.pop()
            i = self.members.get(slot)
            space = frozenset(self.space(slot, rows))
            whole = space == full and bool(full)
            if i is not None and whole and i.op.name in scalars.ELEMENTWISE - scalars.SLOW:
                stack += [self.resolved(a) for a in i.args]
                continue
            if whole and (i is not None or space):
                return None
            if not self.is_computed(slot) and self._shows(slot, written):
                return None
            if i is not None and self.is_computed(slot) and self.rows_of(i) != rows and not self.is_total(i):
                return None
            leaves.append(slot)
        return leaves if value not in leaves else None

    def _again(self, w: RowWrite, rows: Place | None, leaves: Sequence[int]) -> list[Step]:
        """Steps that compute a written value from leaves."""
        done: dict[int, Step] = {}

        def add(slot: int) -> None:
            slot = self.resolved(slot)
            if slot in done or slot in leaves or slot not in self.members:
                return
            i = self.members[slot]
            for a in i.args:
                add(a)
            done[slot] = Step("compute", slot, self.space(slot, rows), i)

        add(w.write.value)
        return list(done.values())

    # --- source

    def _source(self) -> str:
        body: list[str] = []
        for number, p in enumerate(self.passes):
            body += PassWriter(self, p, number).lines()
        checks = self._checks()
        arrays = list(self.arrays)
        self.inputs = arrays
        names = [f"v{s}" for s in arrays] + [f"b{s}" for s in self.buffers] + [f"s{s}" for s in self.scratch]
        self.assumed = self._assumed()
        lines = [*self._guards(arrays), *checks, "if checking:", "    return 0", *body, "return 0"]
        self.loose = [place for place, name in self.classes.items() if not self._is_read_off(place, arrays)]
        names += [self.classes[p] for p in self.loose]
        names += [f"m{k}" for k in range(len(self.assumed))]
        return f"def kernel({', '.join([*names, 'checking'])}):\n" + "".join(f"    {line}\n" for line in lines)

    def _assumed(self) -> list[Place]:
        """Axes of slots from outside of which members only take the length."""
        found: dict[Place, None] = {}
        for m in self.members.values():
            if m.op.name == "spread_rows":
                found.update(((m.args[1], k), None) for k in range(m.type.ndim))
            if m.op.name in ("broadcast_to", "sum_to"):
                for a in m.args[1:]:
                    of = self.lengths.made.get(a)
                    if of is not None and of.op.name == "length":
                        found[of.args[0], of.params["axis"]] = None
        return [p for p in found if p[0] not in self.lengths.fitting and self.types[p[0]].shape[p[1]] is None]

    def _is_read_off(self, place: Place, arrays: Sequence[int]) -> bool:
        return any(place in self.lengths.axes(s) for s in arrays)

    def _guards(self, arrays: Sequence[int]) -> list[str]:
        """Lines that read lengths off arguments, and give up where an argument is not what was assumed."""
        lines: list[str] = []
        named: set[Place] = set()
        shared = range(self.program.first_shared, self.program.first_constant)
        for axes in (*self.buffers.values(), *self.scratch.values(), map(self.lengths.find, self.assumed)):
            for place in axes:
                self.length(place)
        for s in arrays:
            axes = self.lengths.axes(s)
            for k, place in enumerate(axes):
                known = self.lengths.length(place)
                if known is not None:
                    if s not in shared or self.types[s].shape[k] is None:
                        lines.append(f"if v{s}.shape[{k}] != {known}: return 1")
                    continue
                if place in named:
                    lines.append(f"if v{s}.shape[{k}] != {self.classes[place]}: return 1")
                elif place in self.classes:
                    named.add(place)
                    lines.append(f"{self.classes[place]} = v{s}.shape[{k}]")
            if s in shared:
                continue
            step = str(np.dtype(self.types[s].dtype).itemsize)
            for k in reversed(range(len(axes))):
                lines.append(f"if v{s}.shape[{k}] != 1 and v{s}.strides[{k}] != {step}: return 1")
                step = f"{step} * v{s}.shape[{k}]"
        for k, place in enumerate(self.assumed):
            lines.append(f"if m{k} != {self.length(self.lengths.find(place))}: return 1")
        for prefix, kept in (("b", self.buffers), ("s", self.scratch)):
            for s, axes in kept.items():
                lines += [f"if {prefix}{s}.shape[{k}] != {self.length(a)}: return 1" for k, a in enumerate(axes)]
        for place in [p for p in self.classes if self.lengths.length(p) is None]:
            nonempty = any(
                m.op.name in ("max", "min") and place in self.lengths.summed(m) for m in self.members.values()
            )
            if nonempty:
                lines.append(f"if {self.classes[place]} == 0: return 1")
        return lines

    def _checks(self) -> list[str]:
        """Loops that give up where a position is out of range."""
        lines: list[str] = []
        for ids, table in self.positions:
            self.arrays.setdefault(ids)
            self.arrays.setdefault(table)
            rank = self.types[ids].ndim
            at = ", ".join(f"q{k}" for k in range(rank))
            lines += ["bad = 0", f"size = v{table}.shape[0]"]
            for k in range(rank):
                lines.append(f"{'    ' * k}for q{k} in range(v{ids}.shape[{k}]):")
            inside = "    " * rank
            lines += [
                f"{inside}at = int64(v{ids}[{at}])",
                f"{inside}bad |= int64(at < -size) | int64(at >= size)",
                "if bad: return 1",
            ]
        return lines
