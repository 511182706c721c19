"""The source of one pass of a kernel: a loop over rows, and what is done at each."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from subtensor.program.linear import Instruction
from subtensor_numba import scalars
from subtensor_numba.lengths import ONE, Place
from subtensor_numba.parts import Nest, Pass, RowWrite, Step
from subtensor_numba.values import Values

BLOCK = 128
"""Rows whose sum is added up before it goes to the total: so rounding errors do not grow with the number of rows."""

LINE = 64
"""Bytes that memory gives at a time."""

AHEAD = 12
"""How many rows before they are read gathered rows are asked for."""


class PassWriter:
    """The source of one pass."""

    def __init__(self, kernel: Values, p: Pass, number: int) -> None:
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
        self.summed: list[tuple[str, int, int, int]] = []  # arrays whose rows are summed, with order and starts of runs

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
        return self.k.space(slot, self.rows)

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
                self.nests.append(Nest(step.space, alone=True))
                step.nest = earliest
            else:
                step.nest = next(
                    (n for n in range(earliest, len(self.nests))
                     if set(self.nests[n].space) == set(step.space) and not self.nests[n].alone), len(self.nests)
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
        if axes[0] == self.rows:
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
            lines.append(f"{'    ' * (len(loops) + 1)}{self._fetch(table)}(v{table}, int64(v{ids}[{at}]))")
        for name, x, order, starts in self.summed:
            lines.append(f"if {self.row} + {AHEAD} < {self.k.length(self.rows or ONE)}:")
            lines.append(f"    {self._fetch(x)}({name}, int64(v{order}[v{starts}[{self.row} + {AHEAD}]]))")
        return lines

    def _fetch(self, slot: int) -> str:
        """What asks for a row of an array that holds a slot: for one line of memory, or for a few."""
        lengths = [self.k.lengths.length(a) for a in self.k.lengths.axes(slot)[1:]]
        known = [n for n in lengths if n is not None]
        size = np.dtype(self.k.types[slot].dtype).itemsize * math.prod(known)
        return "prefetch" if len(known) < len(lengths) or size > LINE else "prefetch_one"

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
            self._reduction(i, nest)
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
        """The sum over a run: a scratch row, to which one row after another is added."""
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
        if axes[0] == rows:
            self.summed.append((name, x, order, starts))
        lines = nest.before[0]
        lines += [
            f"low = v{starts}[{self.row}]",
            f"high = v{starts}[{self.row} + 1] if {self.row} + 1 < {count} else {total}",
        ]
        if space:
            if not stored:
                k.scratch[i.out] = space
            lines += _loops(self, space, [f"{target} = {element}"], [f"o = int64(v{order}[low])"])
            whole = i.type.dtype in scalars.INTEGERS
            add = f"{target} = {i.type.dtype}({target} + {element})" if whole else f"{target} += {element}"
            lines += ["for j in range(low + 1, high):", f"    o = int64(v{order}[j])"]
            lines += [f"    {line}" for line in _loops(self, space, [add], [])]
        else:
            lines += [f"x{i.out} = {zero}", "for j in range(low, high):", f"    o = int64(v{order}[j])"]
            lines.append(f"    x{i.out} = {scalars.reduced('sum', f'x{i.out}', element, i.type.dtype)}")

    def _reduction(self, i: Instruction, nest: Nest) -> None:
        k = self.k
        name = "sum" if i.op.name in ("sum_to", "einsum") else i.op.name
        dtype = i.type.dtype
        value = " * ".join(self.value(a, nest) for a in k.lengths.taken(i))
        if dtype not in scalars.FLOATS:
            value = f"{dtype}({value})"
        gone = [a for a in k.lengths.summed(i) if a not in (ONE, self.rows)]
        left = [a for a in nest.space if a not in gone]
        total = k.is_total(i)
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
        space = tuple(a for a in k.space(i.out, self.rows))
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
