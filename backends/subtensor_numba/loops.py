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
from dataclasses import dataclass, field

from subtensor.program.linear import Instruction, Program, Write
from subtensor_numba import scalars
from subtensor_numba.lengths import ONE, Lengths, Place

BLOCK = 128
"""Rows whose sum is added up before it goes to the total: so rounding errors do not grow with the number of rows."""

AHEAD = 12
"""How many rows before they are read gathered rows are asked for."""


@dataclass(frozen=True)
class RowWrite:
    """Rows of a table to be written. table: its slot. alone: whether no other write of the program changes it."""

    table: int
    write: Write
    alone: bool


@dataclass
class Nest:
    """Loops over `space`, inside a row: lines before each loop's body, and after it."""

    space: tuple[Place, ...]
    before: list[list[str]] = field(default_factory=list)
    after: list[list[str]] = field(default_factory=list)
    here: dict[int, str] = field(default_factory=dict)
    """Names of values at the current position."""

    def __post_init__(self) -> None:
        self.before = [[] for _ in range(len(self.space) + 1)]
        self.after = [[] for _ in range(len(self.space) + 1)]

    def depth(self, space: Iterable[Place]) -> int:
        return max((self.space.index(p) + 1 for p in space), default=0)


@dataclass
class Step:
    """Something that a pass does at each row: compute a slot, store it, or write it into a table."""

    kind: str
    slot: int
    space: tuple[Place, ...]
    instruction: Instruction | None = None
    write: RowWrite | None = None
    nest: int = 0


@dataclass
class Pass:
    """A loop over rows; without rows, what is done once."""

    rows: Place | None
    steps: list[Step] = field(default_factory=list)


class Kernel:
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
        self.program, self.lengths = program, lengths
        self.types = program.types
        self.members = {i.out: i for i in members}
        self.wanted = [s for s in dict.fromkeys(wanted) if s in self.members]
        self.writes = list(writes)
        self.distinct = frozenset(distinct)
        self.roots = roots or {}
        self.spaces: dict[tuple[int, Place | None], tuple[Place, ...]] = {}
        self.phases: dict[int, int] = {}
        self.buffers: dict[int, tuple[Place, ...]] = {}  # stored slots, and the axes of the arrays that hold them
        self.scratch: dict[int, tuple[Place, ...]] = {}
        self.arrays: dict[int, None] = {}  # slots that come from outside
        self.positions: dict[tuple[int, int], None] = {}  # (ids, table) that must be in range
        self.passes: list[Pass] = []
        self.classes: dict[Place, str] = {}
        self._plan()
        self.source = self._source()

    # --- what values are

    def resolved(self, slot: int) -> int:
        """The slot whose elements a slot shows in another arrangement."""
        while True:
            i = self.members.get(slot)
            if i is None or not self.lengths.is_view(i):
                return slot
            slot = i.args[0]

    def _is_computed(self, slot: int) -> bool:
        i = self.members.get(slot)
        return i is not None and i.op.name != "subtensor"

    def _is_total(self, i: Instruction) -> bool:
        return self.lengths.is_total(i)

    def rows_of(self, i: Instruction) -> Place | None:
        """Over what rows an instruction is computed."""
        of = i.args[0] if self._is_total(i) else i.out
        axes = self.lengths.axes(of)
        return axes[0] if axes else None

    def _inner(self, slot: int, rows: Place | None) -> tuple[Place, ...]:
        return tuple(a for a in self.lengths.axes(slot) if a not in (ONE, rows))

    def _space(self, slot: int, rows: Place | None) -> tuple[Place, ...]:
        """The axes, beside the rows, along which a slot's elements differ."""
        slot = self.resolved(slot)
        i = self.members.get(slot)
        if i is None or i.op.name in ("subtensor", "run_sums"):
            return self._inner(slot, rows)
        known = self.spaces.get((slot, rows))
        if known is None:
            taken = [a for arg in self.lengths.taken(i) for a in self._space(arg, rows)]
            if self.lengths.is_reduction(i):
                gone = self.lengths.summed(i)
                taken = [a for a in taken if a not in gone]
            known = self.spaces[slot, rows] = tuple(a for a in self._inner(slot, rows) if a in taken)
        return known

    # --- passes

    def _plan(self) -> None:
        computed = [i for i in self.members.values() if i.op.name != "subtensor" and not self.lengths.is_view(i)]
        self._order(computed)
        steps: dict[tuple[int, Place | None], list[Step]] = {}
        for i in computed:
            rows, phase = self.rows_of(i), self.phases[i.out]
            for source in self._sources(i):
                if not self._is_computed(source):
                    if i.op.name == "run_sums" and source in self.members:
                        self._keep(source, self.lengths.axes(source)[0])
                elif self.phases[source] != phase or not self._together(source, i):
                    self._keep(source, self.rows_of(self.members[source]))
            space = self._space(i.out, rows)
            if self.lengths.is_reduction(i):
                gone = [a for a in self.lengths.summed(i) if a not in (ONE, rows)]
                space = (*space, *(a for a in gone if a not in space))
            steps.setdefault((phase, rows), []).append(Step("compute", i.out, space, i))
        for slot in self.wanted:
            if not self.types[slot].ndim or not (slot in self.phases and self._is_total(self.members[slot])):
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
        return self.rows_of(made) == self.rows_of(user) and not self._is_total(made) and user.op.name != "run_sums"

    def _order(self, computed: Sequence[Instruction]) -> None:
        """The pass of each computed value: as early as it can be, then as late as those that use it let it."""
        for i in computed:
            phase = 0
            for source in self._sources(i):
                if self._is_computed(source):
                    phase = max(phase, self.phases[source] + (not self._together(source, i)))
                elif i.op.name == "run_sums" and source in self.members:
                    phase = max(phase, 1)
            self.phases[i.out] = phase
        latest: dict[int, int] = {}
        for i in reversed(computed):
            phase = self.phases[i.out] = max(self.phases[i.out], latest.get(i.out, 0))
            for source in self._sources(i):
                if self._is_computed(source):
                    bound = phase - (not self._together(source, i))
                    latest[source] = min(latest.get(source, bound), bound)

    def _keep(self, slot: int, rows: Place | None, axes: tuple[Place, ...] | None = None) -> None:
        """Note that a slot is stored: whole where `axes` are given, else without axes along which it is constant."""
        i = self.members[slot]
        if slot in self.phases and self._is_total(i):
            axes = self.lengths.axes(slot)
        if axes is None:
            axes = (*(() if rows is None else (rows,)), *self._space(slot, rows))
        if slot not in self.buffers or len(axes) > len(self.buffers[slot]):
            self.buffers[slot] = axes

    def _plan_stores(self, steps: dict[tuple[int, Place | None], list[Step]]) -> None:
        for slot, axes in list(self.buffers.items()):
            source = self.resolved(slot)
            if slot in self.phases and self._is_total(self.members[slot]):
                continue
            if self._is_computed(source):
                made = self.members[source]
                rows = self.rows_of(made)
                phase = self.phases[source]
                if self._is_total(made):  # a view of a total
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
                if self._is_computed(source) or (source in self.members and self._shows(source, written)):
                    self._keep(source, self.rows_of(self.members[source]))
                leaves = [source]
            for leaf in leaves:
                if self._is_computed(leaf):
                    self._keep(leaf, self.rows_of(self.members[leaf]))
            found = steps.setdefault((last, rows), [])
            if found and any(s.write is None or self._touches(w, s.write) for s in found):
                last += 1
                found = steps.setdefault((last, rows), [])
            found += [*self._again(w, rows, leaves), self._write_step(w, rows)]
            last += 1

    def _touches(self, w: RowWrite, other: RowWrite) -> bool:
        return True

    def _write_step(self, w: RowWrite, rows: Place | None) -> Step:
        ids = self._inner(w.write.inputs[0], rows)
        return Step("write", w.write.value, (*ids, *self._inner_of_rows(w.table)), None, w)

    def _inner_of_rows(self, table: int) -> tuple[Place, ...]:
        return tuple(a for a in self.lengths.axes(table)[1:] if a != ONE)

    def _place_of_write(self, w: RowWrite) -> tuple[int, Place | None] | None:
        """The pass that may write what it computes, for it is the last to look at the row; None if there is none."""
        ids = w.write.inputs[0]
        source = self.resolved(w.write.value)
        if ids not in self.distinct or not w.alone or not self._is_computed(source):
            return None
        made = self.members[source]
        rows, phase = self.rows_of(made), self.phases[source]
        if self._is_total(made) or rows != self.lengths.axes(ids)[0]:
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
                    harmed |= any(self._shows(x, (w.table,)) for x in leaves or () if not self._is_computed(x))
            if not harmed:
                return w
        return waiting[0]

    def _shows(self, slot: int, tables: Iterable[int]) -> bool:
        """Whether what is read for a slot may lie in one of some tables."""
        member = self.members.get(slot)
        home = slot if member is None else member.args[0]
        return not self.roots.get(home, frozenset((home,))).isdisjoint(tables)

    def _recomputed(self, w: RowWrite, rows: Place | None, written: Iterable[int]) -> list[int] | None:
        """From what to compute a written value again, row by row: where all of that is smaller, as in outer products."""
        value = self.resolved(w.write.value)
        full = frozenset(self._space(value, rows))
        leaves: list[int] = []
        stack = [value]
        while stack:
            slot = stack.pop()
            i = self.members.get(slot)
            space = frozenset(self._space(slot, rows))
            whole = space == full and bool(full)
            if i is not None and whole and i.op.name in scalars.ELEMENTWISE - scalars.SLOW:
                stack += [self.resolved(a) for a in i.args]
                continue
            if whole and (i is not None or space):
                return None
            if not self._is_computed(slot) and self._shows(slot, written):
                return None
            if i is not None and self._is_computed(slot) and self.rows_of(i) != rows and not self._is_total(i):
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
            done[slot] = Step("compute", slot, self._space(slot, rows), i)

        add(w.write.value)
        return list(done.values())

    # --- source

    def length(self, of: Place) -> str:
        """The name of a length, or the number itself."""
        if of == ONE:
            return "1"
        known = self.lengths.length(of)
        return str(known) if known is not None else self.classes.setdefault(of, f"n{len(self.classes)}")

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
            step = str(_size(self.types[s].dtype))
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


def _size(dtype: str) -> int:
    return 1 if dtype == "bool" else int("".join(c for c in dtype if c.isdigit())) // 8


class PassWriter:
    """The source of one pass."""

    def __init__(self, kernel: Kernel, p: Pass, number: int) -> None:
        self.k, self.rows, self.steps = kernel, p.rows, p.steps
        self.row = "i"
        self.number = number
        self.nests: list[Nest] = []
        self.made: dict[int, Step] = {s.slot: s for s in p.steps if s.kind == "compute"}
        self.stored = {s.slot for s in p.steps if s.kind == "store"}
        self.start: list[str] = []  # before the loop
        self.end: list[str] = []  # after it
        self.tail: list[str] = []  # at the end of each row
        self.fetched: dict[tuple[int, int], None] = {}

    def lines(self) -> list[str]:
        self._assign()
        for step in self.steps:
            self._emit(step)
        row = [line for nest in self.nests for line in self._nest(nest)] + self.tail
        if self.rows is None:
            return [*self.start, *row, *self.end]
        n = self.k.length(self.rows)
        ahead = self._ahead()
        return [*self.start, f"for {self.row} in range({n}):", *(f"    {x}" for x in (*ahead, *row)), *self.end]

    # --- nests

    def _needs(self, step: Step) -> list[int]:
        if step.instruction is None:
            return [self.k.resolved(step.slot)]
        return [self.k.resolved(a) for a in self.k.lengths.taken(step.instruction)]

    def _result_space(self, slot: int) -> tuple[Place, ...]:
        return self.k._space(slot, self.rows)

    def _assign(self) -> None:
        """A nest for each step: the first that is late enough and has its loops."""
        reads: dict[int, int] = {}  # the last nest that reads each table
        for step in self.steps:
            earliest = 0
            for source in self._needs(step):
                made = self.made.get(source)
                if made is None:
                    continue
                whole = made.instruction is not None and (
                    self.k.lengths.is_reduction(made.instruction) or made.instruction.op.name == "run_sums"
                )
                earliest = max(earliest, made.nest + (1 if whole or set(made.space) != set(step.space) else 0))
            if step.write is not None:
                earliest = max(earliest, reads.get(step.write.table, 0))
            if step.instruction is not None and step.instruction.op.name == "run_sums":
                earliest = max(earliest, len(self.nests))  # its loops are its own
                self.nests.append(Nest(step.space))
                step.nest = earliest
            else:
                step.nest = next(
                    (n for n in range(earliest, len(self.nests))
                     if set(self.nests[n].space) == set(step.space) and not self._is_run(n)), len(self.nests)
                )  # fmt: skip
                if step.nest == len(self.nests):
                    self.nests.append(Nest(self._order(step)))
            for source in self._needs(step):
                member = self.k.members.get(source)
                if member is not None and member.op.name == "subtensor":
                    reads[member.args[0]] = max(reads.get(member.args[0], 0), step.nest)
        for step in self.steps:
            for source in self._needs(step):
                made = self.made.get(source)
                space = self._result_space(source)
                if made is not None and made.nest != step.nest and space and not self._is_buffered(source):
                    self.k.scratch[source] = space

    def _is_run(self, nest: int) -> bool:
        return any(
            s.instruction is not None and s.instruction.op.name == "run_sums" and s.nest == nest
            for s in self.steps[: self.steps.index(next(x for x in self.steps if x.nest == nest)) + 1]
        )

    def _order(self, step: Step) -> tuple[Place, ...]:
        """Loops in the order of memory: as the axes of the largest array in them stand."""
        if step.instruction is not None and self.k.lengths.is_reduction(step.instruction):
            widest = max(step.instruction.args, key=lambda a: self.k.types[a].ndim)
            inner = [a for a in self.k.lengths.axes(widest) if a in step.space]
            return (*inner, *(a for a in step.space if a not in inner))
        return step.space

    def _is_buffered(self, slot: int) -> bool:
        """Whether a value lies in a buffer as soon as it is computed."""
        return slot in self.k.buffers and slot in self.stored

    def _nest(self, nest: Nest) -> list[str]:
        lines: list[str] = list(nest.before[0])
        indent = ""
        for depth, place in enumerate(nest.space, 1):
            lines.append(f"{indent}for {self.index(place)} in range({self.k.length(place)}):")
            indent += "    "
            lines += [indent + x for x in nest.before[depth]]
            if depth < len(nest.space) and False:
                break
        for depth in range(len(nest.space), 0, -1):
            lines += ["    " * depth + x for x in nest.after[depth]]
        lines += nest.after[0]
        if len(lines) == len(nest.before[0]) + len(nest.after[0]) + len(nest.space):
            return [*nest.before[0], *nest.after[0]]
        return lines

    # --- values

    def index(self, place: Place) -> str:
        if place == ONE:
            return "0"
        if place == self.rows:
            return self.row
        return f"d{place[0]}_{place[1]}"

    def at(self, name: str, axes: Sequence[Place]) -> str:
        return f"{name}[{', '.join(map(self.index, axes)) or '()'}]"

    def value(self, slot: int, nest: Nest) -> str:
        """The name of a slot's element at the current position of a nest."""
        k = self.k
        slot = k.resolved(slot)
        known = k.program.known(slot)
        if known is not None and not known.ndim:
            return scalars.literal(known)
        if slot in nest.here:
            return nest.here[slot]
        space = self._result_space(slot)
        made = self.made.get(slot)
        name = f"x{slot}"
        if made is not None:
            if not space:
                return name  # one for the row
            text = self.at(f"b{slot}", k.buffers[slot]) if self._is_buffered(slot) else self.at(f"s{slot}", space)
        elif slot in k.members and k.members[slot].op.name == "subtensor" and not self._moved(slot):
            text = self._gathered(k.members[slot], nest)
        elif slot in k.members:
            text = self.at(f"b{slot}", k.buffers[slot])
        else:
            k.arrays.setdefault(slot)
            text = self.at(f"v{slot}", k.lengths.axes(slot))
        nest.before[nest.depth(space)].append(f"{name} = {text}")
        nest.here[slot] = name
        return name

    def _moved(self, slot: int) -> bool:
        """Whether a gathered value was stored by an earlier pass, since when its table may have changed."""
        return any(s.kind == "store" and s.slot == slot for p in self.k.passes[: self.number] for s in p.steps)

    def _gathered(self, i: Instruction, nest: Nest) -> str:
        k = self.k
        table, ids = i.args
        row = self.row_number(ids, table, nest)
        out = k.lengths.axes(i.out)
        rest = out[k.types[ids].ndim :]
        return f"v{table}[{', '.join([row, *map(self.index, rest)])}]"

    def row_number(self, ids: int, table: int, nest: Nest) -> str:
        """The name of the row of a table that an id selects."""
        k = self.k
        k.positions.setdefault((ids, table))
        k.arrays.setdefault(table)
        k.arrays.setdefault(ids)
        axes = k.lengths.axes(ids)
        if axes[0] == self.rows and k.types[table].ndim > 1:
            self.fetched.setdefault((ids, table))
        name = f"r{ids}_{table}"
        key = -(ids * len(k.types) + table) - 1
        if key not in nest.here:
            lines = nest.before[nest.depth(a for a in axes if a not in (ONE, self.rows))]
            lines += [f"{name} = int64({self.at(f'v{ids}', axes)})", f"if {name} < 0: {name} += v{table}.shape[0]"]
            nest.here[key] = name
        return name

    def _ahead(self) -> list[str]:
        """Lines that ask for the rows that will be gathered soon."""
        lines: list[str] = []
        for ids, table in self.fetched:
            axes = self.k.lengths.axes(ids)
            rest = axes[1:]
            loops = [f"for {self.index(a)}f in range({self.k.length(a)}):" for a in rest if a != ONE]
            reach = AHEAD if not loops else 2
            at = ", ".join([f"{self.row} + {reach}", *("0" if a == ONE else f"{self.index(a)}f" for a in rest)])
            lines.append(f"if {self.row} + {reach} < {self.k.length(axes[0])}:")
            lines += [f"{'    ' * (n + 1)}{loop}" for n, loop in enumerate(loops)]
            lines.append(f"{'    ' * (len(loops) + 1)}prefetch(v{table}, int64(v{ids}[{at}]))")
        return lines

    # --- steps

    def _emit(self, step: Step) -> None:
        nest = self.nests[step.nest]
        if step.kind == "store":
            axes = self.k.buffers[step.slot]
            if step.slot not in self.made or not self._is_accumulated(step.slot):
                value = self.value(step.slot, nest)
                nest.before[nest.depth(a for a in axes if a not in (ONE, self.rows))].append(
                    f"{self.at(f'b{step.slot}', axes)} = {value}"
                )
            return
        if step.write is not None:
            self._write(step.write, nest)
            return
        i = step.instruction
        assert i is not None
        if i.op.name == "run_sums":
            self._run_sums(i, nest)
        elif self.k.lengths.is_reduction(i):
            self._reduction(i, step, nest)
        else:
            types = [self.k.types[a] for a in i.args]
            op = "multiply" if i.op.name == "einsum" else i.op.name
            text = scalars.expression(op, [self.value(a, nest) for a in i.args], types, i.type)
            lines = nest.before[nest.depth(step.space)]
            lines.append(f"x{i.out} = {text}")
            nest.here[i.out] = f"x{i.out}"
            if i.out in self.k.scratch:
                lines.append(f"{self.at(f's{i.out}', self.k.scratch[i.out])} = x{i.out}")

    def _is_accumulated(self, slot: int) -> bool:
        """Whether what computes a value puts it where it is stored."""
        i = self.made[slot].instruction
        assert i is not None
        return bool(self._result_space(slot)) and (i.op.name == "run_sums" or self.k.lengths.is_reduction(i))

    def _write(self, w: RowWrite, nest: Nest) -> None:
        value = self.value(w.write.value, nest)
        row = self.row_number(w.write.inputs[0], w.table, nest)
        rest = self.k.lengths.axes(w.table)[1:]
        place = f"v{w.table}[{', '.join([row, *map(self.index, rest)])}]"
        dtype = self.k.types[w.table].dtype
        if w.write.kind == "inc":
            value = f"{place} + {value}" if dtype in scalars.FLOATS else f"{dtype}({place} + {value})"
        nest.before[-1].append(f"{place} = {value}")

    def _run_sums(self, i: Instruction, nest: Nest) -> None:
        """The sum over a run, element by element of its rows: a scratch row, to which one row after another is added."""
        k = self.k
        x, order, starts = i.args
        for slot in (order, starts):
            k.arrays.setdefault(slot)
        space = nest.space
        zero = scalars.start("sum", i.type.dtype)
        stored = self._is_buffered(i.out)
        target = self.at(f"b{i.out}", k.buffers[i.out]) if stored else self.at(f"s{i.out}", space)
        source = k.resolved(x)
        if source in k.buffers:
            axes, name = k.buffers[source], f"b{source}"
        else:
            axes, name = k.lengths.axes(source), f"v{source}"
            k.arrays.setdefault(source)
        rows = k.lengths.axes(x)[0]
        element = f"{name}[{', '.join('o' if a == rows else self.index(a) for a in axes)}]"
        total = f"{k.length(k.lengths.axes(order)[0])}"
        count = k.length(self.rows or ONE)
        lines = nest.before[0]
        lines += [
            f"low = v{starts}[{self.row}]",
            f"high = v{starts}[{self.row} + 1] if {self.row} + 1 < {count} else {total}",
        ]
        if space:
            if not stored:
                k.scratch[i.out] = space
            lines += _loops(self, space, [f"{target} = {element}"], [f"o = int64(v{order}[low])"])
            add = (
                f"{target} += {element}"
                if i.type.dtype in scalars.FLOATS
                else f"{target} = {i.type.dtype}({target} + {element})"
            )
            lines += ["for j in range(low + 1, high):", f"    o = int64(v{order}[j])"]
            lines += [f"    {line}" for line in _loops(self, space, [add], [])]
        else:
            lines += [f"x{i.out} = {zero}", "for j in range(low, high):", f"    o = int64(v{order}[j])"]
            lines.append(f"    x{i.out} = {scalars.reduced('sum', f'x{i.out}', element, i.type.dtype)}")

    def _reduction(self, i: Instruction, step: Step, nest: Nest) -> None:
        k = self.k
        name = "sum" if i.op.name in ("sum_to", "einsum") else i.op.name
        dtype = i.type.dtype
        value = " * ".join(self.value(a, nest) for a in k.lengths.taken(i))
        if dtype not in scalars.FLOATS:
            value = f"{dtype}({value})"
        gone = [a for a in k.lengths.summed(i) if a not in (ONE, self.rows)]
        left = [a for a in nest.space if a not in gone]
        total = k._is_total(i)
        first = scalars.start(name, dtype)
        if nest.space[: len(left)] == tuple(left):  # the last loops: one number
            depth = len(left)
            acc = f"x{i.out}"
            if len(nest.space) > depth:
                nest.before[depth].append(f"{acc} = {first}")
                nest.before[-1].append(f"{acc} = {scalars.reduced(name, acc, value, dtype)}")
            else:
                nest.before[depth].append(f"{acc} = {value}")
            where = nest.after[depth]
            if not total and left and i.out in k.scratch:
                where.append(f"{self.at(f's{i.out}', k.scratch[i.out])} = {acc}")
            if not total and left and self._is_buffered(i.out):
                where.append(f"{self.at(f'b{i.out}', k.buffers[i.out])} = {acc}")
            if total:
                self._total(i, name, acc, tuple(left), where)
            return
        if total:
            self._clear(i, name)
            target = self.at(f"b{i.out}", k.lengths.axes(i.out))
            nest.before[-1].append(f"{target} = {scalars.reduced(name, target, value, dtype)}")
            return
        space = tuple(a for a in k._space(i.out, self.rows))
        if self._is_buffered(i.out):
            target = self.at(f"b{i.out}", k.buffers[i.out])
        else:
            k.scratch[i.out] = space
            target = self.at(f"s{i.out}", space)
        nest.before[0] += _loops(self, space, [f"{target} = {first}"], [])
        nest.before[-1].append(f"{target} = {scalars.reduced(name, target, value, dtype)}")

    def _clear(self, i: Instruction, name: str) -> None:
        """An array that totals go into holds their first values."""
        axes = tuple(a for a in self.k.lengths.axes(i.out))
        self.k.buffers[i.out] = axes
        space = tuple(a for a in axes if a != ONE)
        self.start += _loops(self, space, [f"{self.at(f'b{i.out}', axes)} = {scalars.start(name, i.type.dtype)}"], [])

    def _total(self, i: Instruction, name: str, row: str, left: tuple[Place, ...], where: list[str]) -> None:
        """What a row adds to a reduction over rows."""
        k, dtype = self.k, i.type.dtype
        if left or name != "sum" or dtype not in scalars.FLOATS:
            self._clear(i, name)
            target = self.at(f"b{i.out}", k.lengths.axes(i.out))
            where.append(f"{target} = {scalars.reduced(name, target, row, dtype)}")
            return
        k.buffers[i.out] = k.lengths.axes(i.out)
        part, all_ = f"p{i.out}", f"t{i.out}"
        zero = "float64(0.0)"
        self.start += [f"{part} = {zero}", f"{all_} = {zero}"]
        where.append(f"{part} += {row}")
        self.tail += [f"if {self.row} % {BLOCK} == {BLOCK - 1}:", f"    {all_} += {part}", f"    {part} = {zero}"]
        self.end.append(f"{self.at(f'b{i.out}', k.lengths.axes(i.out))} = {dtype}({all_} + {part})")


def _loops(writer: PassWriter, space: Sequence[Place], inside: Sequence[str], before: Sequence[str]) -> list[str]:
    lines = list(before)
    for depth, place in enumerate(space):
        lines.append(f"{'    ' * depth}for {writer.index(place)} in range({writer.k.length(place)}):")
    return [*lines, *("    " * len(space) + line for line in inside)]


Slots = Mapping[int, Instruction]
