"""From a program to one Python function that calls kernels, and NumPy for what is in none.

Instructions that can go row by row are put into kernels, as many into one as the others between them allow. Where a
kernel gives up, because lengths are not what was assumed or a position is out of range, nothing has been written yet,
and the whole program runs on NumPy, which gives the result or notices what is wrong.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from subtensor.program.linear import Commit, Instruction, Program, Write
from subtensor_numba import scalars
from subtensor_numba.lengths import ONE, VIEWS, Lengths, Place
from subtensor_numba.loops import Kernel, RowWrite
from subtensor_numba.native import WHOLE, array, compiled
from subtensor_numpy.emit import Emitter, Lowerings
from subtensor_numpy.workspace import place

Array = np.ndarray[Any, np.dtype[Any]]
Function = Callable[..., Any]

log = logging.getLogger("subtensor")

FEWEST = 2
"""Computing instructions that make a kernel worth while."""


class Fused:
    """How a program is divided. stages: for each instruction, by its slot; kernels run at some, NumPy at the others."""

    def __init__(self, program: Program, base: Emitter) -> None:
        self.program, self.base = program, base
        self.types = program.types
        self.made = {o: i for i in program.instructions for o in i.outs}
        self.writes = self._row_writes()
        hidden = base.blank.keys()
        candidates = [
            i for i in program.instructions
            if i.op.name not in base.lowerings and i.out not in hidden and i.body is None and self._has_form(i)
        ]  # fmt: skip
        while True:
            self.lengths = Lengths(program, candidates, [(w.table, w.write) for w in self.writes])
            self.writes = [w for w in self.writes if (w.table, w.write) in self.lengths.writes]
            self.inside = self.lengths.fitting
            self.stages = self._stages()
            lonely = [m for found in self.kernels().values() if not self._is_worthwhile(found) for m in found]
            if not lonely:
                break
            candidates = [i for i in self.inside.values() if i not in lonely]

    def _row_writes(self) -> list[RowWrite]:
        found: list[RowWrite] = []
        for c in self.program.commits:
            table = self.program.first_shared + c.shared
            if c.writes and all(self._is_row_write(table, w) for w in c.writes):
                found += [RowWrite(table, w, len(c.writes) == 1) for w in c.writes]
        return found

    def _is_row_write(self, table: int, w: Write) -> bool:
        ids = self.types[w.inputs[0]] if w.inputs else None
        dtype = self.types[table].dtype
        return (
            ids is not None
            and w.index.selects_rows
            and ids.ndim > 0
            and ids.dtype not in ("uint64", "bool")
            and self.types[w.value].dtype == dtype
            and (dtype in scalars.FLOATS or dtype in scalars.INTEGERS)
        )

    def _has_form(self, i: Instruction) -> bool:
        types = [self.types[a] for a in i.args]
        if i.op.name in scalars.ELEMENTWISE:
            return scalars.is_known(i.op.name, types, i.type) and (i.op.name not in scalars.SLOW or i.type.ndim < 2
                                                                  or self._is_reduced(i))  # fmt: skip
        if i.op.name == "subtensor":
            shared = self.program.first_shared <= i.args[0] < self.program.first_constant
            return shared or (types[0].ndim > 1 and i.type.ndim > 1)
        if i.op.name in ("sum", "prod", "max", "min"):
            return types[0].dtype != "bool"
        if i.op.name == "copy" and any(r < self.program.first_constant for r in self.base.memory.roots[i.args[0]]):
            return False  # it keeps what writes will change
        if i.op.name == "einsum":
            return i.type.dtype in scalars.FLOATS
        return bool(i.args) and (i.type.ndim > 0 or i.op.name in ("sum_to", "squeeze"))

    def _is_reduced(self, i: Instruction) -> bool:
        """Whether a value has far fewer elements than what it was made of."""
        stack, seen = [i.out], set()
        while stack:
            slot = stack.pop()
            m = self.made.get(slot)
            if m is None or slot in seen:
                continue
            seen.add(slot)
            if m.op.name in ("sum", "einsum"):
                return True
            if m.op.name in scalars.ELEMENTWISE or m.op.name in VIEWS or m.op.name == "sum_to":
                stack += m.args[:1] if m.op.name in VIEWS or m.op.name == "sum_to" else m.args
        return False

    def _stages(self) -> dict[int, int]:
        """Kernels and NumPy take turns: the turn at which each instruction finds what it needs."""
        stages: dict[int, int] = {}
        readers: dict[int, list[int]] = {}
        roots = self.base.memory.roots
        for i in self.program.instructions:
            inside = i.out in self.inside
            needs = [(a, False) for a in i.args]
            if inside:
                needs = [(a, i.op.name == "subtensor") for a in self.lengths.taken(i)]
                needs += [(s, False) for s in self._measured(i)]
            stage = 0
            for slot, stored in needs:
                if slot in stages and not (i.op.name == "length" and slot in self.inside):
                    apart = (slot in self.inside) != inside or (stored and slot in self.inside)
                    stage = max(stage, stages[slot] + apart)
            if i.op.name == "length" and i.args[0] in self.inside:
                source = self.leaf((i.args[0], i.params["axis"]))
                stage = max(stage, stages.get(source[0], 0)) if source else stage
            if i.overwrites is not None and not inside:
                for root in roots[i.args[i.overwrites]]:
                    for reader in readers.get(root, ()):
                        stage = max(stage, stages[reader] + ((reader in self.inside) != inside))
            if not inside and not stage % 2:
                stage += 1  # NumPy has the odd turns
            if inside and stage % 2:
                stage += 1
            stages.update((o, stage) for o in i.outs)
            for slot, _ in needs:
                for root in roots[slot]:
                    readers.setdefault(root, []).append(i.out)
        return stages

    def _measured(self, i: Instruction) -> list[int]:
        """Slots made by NumPy of which only a length is needed."""
        found = []
        if i.op.name in ("broadcast_to", "sum_to"):
            for a in i.args[1:]:
                of = self.made.get(a)
                if of is not None and of.op.name == "length" and of.args[0] not in self.inside:
                    found.append(of.args[0])
        return found

    def kernels(self) -> dict[int, list[Instruction]]:
        """The members of each kernel, by stage."""
        found: dict[int, list[Instruction]] = {}
        for i in self.program.instructions:
            if i.out in self.inside:
                found.setdefault(self.stages[i.out], []).append(i)
        return found

    def _is_worthwhile(self, members: Sequence[Instruction]) -> bool:
        if self.writes and any(self._feeds_writes(m.out) for m in members):
            return True
        real = [m for m in members if not self.lengths.is_view(m) and m.type.ndim]
        reductions = [m for m in members if self.lengths.is_reduction(m)]
        return len({m.out for m in (*real, *reductions)}) >= FEWEST

    def _feeds_writes(self, slot: int) -> bool:
        return any(slot in (w.write.value, *w.write.inputs) for w in self.writes)

    def leaf(self, of: Place) -> Place | None:
        """A slot of which the length of an axis can be read: an input or a shared variable, else what NumPy makes."""
        root = self.lengths.find(of)
        found = [p for p in self.lengths.parent if p[0] not in self.inside and self.lengths.find(p) == root]
        return min(found, default=None)


class FusedEmitter(Emitter):
    """Writes one program with kernels."""

    def __init__(self, program: Program, lowerings: Lowerings) -> None:
        super().__init__(program, lowerings)
        self.fused = Fused(program, self)
        self.parts: list[Kernel] = []
        self.last: list[str] = []
        self.only: list[Kernel] = []

    @property
    def is_worthwhile(self) -> bool:
        return bool(self.fused.inside or self.fused.writes)

    def scalar(self, slot: int) -> str:
        made = self.made.get(slot)
        if slot in self.inline and made is not None and made.args[0] in self.fused.inside:
            return self._length((made.args[0], made.params["axis"]))
        return super().scalar(slot)

    def expression(self, i: Instruction) -> str:
        if i.op.name == "length" and i.args[0] in self.fused.inside:
            return f"int64({self._length((i.args[0], i.params['axis']))})"
        return super().expression(i)

    def _length(self, of: Place) -> str:
        known = 1 if of == ONE else self.fused.lengths.length(of)
        if known is not None:
            return str(known)
        source = self.fused.leaf(of)
        assert source is not None
        return f"{self.slot(source[0])}.shape[{source[1]}]"

    # --- what goes where

    def body(self) -> None:
        fused, program = self.fused, self.program
        stages = fused.stages
        lines = [i for i in program.instructions if i.out not in self.blank and i.out not in self.inline]
        numpy = [i for i in lines if i.out not in fused.inside]
        last = max([stages[i.out] for i in lines], default=0)
        writing = self._writing_stage(last, numpy)
        members = fused.kernels()
        if writing is not None:
            self._sink(members, writing)
        wanted = self._wanted(members)
        for stage in sorted({*(stages[i.out] for i in numpy), *members}):
            for i in numpy:
                if stages[i.out] == stage:
                    self.lines.append(self.line(i))
            if stage in members and stage != writing:
                kernel = Kernel(program, fused.lengths, members[stage], wanted[stage])
                self.lines += self._call_of(kernel, final=False)
        if writing is not None:
            found = members.get(writing, [])
            distinct = [w.write.inputs[0] for w in fused.writes if self._is_distinct(w.write.inputs[0])]
            kernel = Kernel(
                program, fused.lengths, found, wanted.get(writing, ()), fused.writes, distinct, self.memory.roots
            )
            self.last = self._call_of(kernel, final=True)

    def _writing_stage(self, last: int, numpy: Sequence[Instruction]) -> int | None:
        """When rows are written: with the last kernel, if nothing that could fail comes after it."""
        if not self.fused.writes:
            return None
        return last if last % 2 == 0 and not self._others() else last + 2 - last % 2 if last % 2 == 0 else last + 1

    def _others(self) -> list[Commit]:
        """Commits that no kernel makes."""
        own = {w.table - self.program.first_shared for w in self.fused.writes}
        return [c for c in self.program.commits if c.shared not in own]

    def _sink(self, members: dict[int, list[Instruction]], writing: int) -> None:
        """What only writes need is computed where they are made."""
        fused = self.fused
        outside = {*self.program.outputs, *(c.value for c in self.program.commits if c.value is not None)}
        outside |= {s for c in self._others() for w in c.writes for s in (w.value, *w.inputs)}
        ids = {s for w in fused.writes for s in w.write.inputs}
        late: set[int] = set()
        for i in reversed(self.program.instructions):
            if i.out not in fused.inside or i.out in outside or i.out in ids:
                continue
            users = self.users.get(i.out, [])
            if all(u.out in late or u.op.name == "length" for u in users) and (users or fused._feeds_writes(i.out)):
                gathers = [u for u in users if u.op.name == "subtensor"]
                if not gathers:
                    late.add(i.out)
        for stage in list(members):
            kept = [m for m in members[stage] if m.out not in late]
            if stage != writing:
                members[stage] = kept
                if not kept:
                    del members[stage]
        moved = [m for m in fused.inside.values() if m.out in late or fused.stages[m.out] == writing]
        # gathered rows are read again rather than kept
        need = {a for m in moved for a in m.args} | {w.write.value for w in fused.writes}
        have = {m.out for m in moved}
        again = self._read_again(need - have)
        if moved or again:
            have |= {m.out for m in again}
            members[writing] = [i for i in self.program.instructions if i.out in have]

    def _read_again(self, slots: set[int]) -> list[Instruction]:
        """Gathers, and views of them, that a later kernel makes anew."""
        found: list[Instruction] = []
        stack = list(slots)
        while stack:
            m = self.fused.inside.get(stack.pop())
            if m is None or m in found:
                continue
            if m.op.name == "subtensor":
                found.append(m)
            elif self.fused.lengths.is_view(m):
                found.append(m)
                stack.append(m.args[0])
        return found

    def _wanted(self, members: Mapping[int, Sequence[Instruction]]) -> dict[int, list[int]]:
        """What each kernel has to store for others."""
        wanted: dict[int, list[int]] = {}
        home = {m.out: stage for stage, found in members.items() for m in found}
        lists = {stage: {m.out for m in found} for stage, found in members.items()}
        leaving = {*self.program.outputs, *(c.value for c in self.program.commits if c.value is not None)}
        leaving |= {s for c in self._others() for w in c.writes for s in (w.value, *w.inputs)}
        writing = max(members, default=0)
        for stage, found in members.items():
            for m in found:
                if (
                    home[m.out] != stage
                    and m.out in lists[home[m.out]]
                    and stage > min(s for s in lists if m.out in lists[s])
                ):
                    continue
                out = m.out in leaving
                for u in self.users.get(m.out, ()):
                    if u.op.name == "length":
                        continue
                    if u.out not in self.fused.inside:
                        out |= u.out not in self.blank
                    else:
                        taken = m.out in self.fused.lengths.taken(u)
                        out |= taken and any(u.out in lists[s] and m.out not in lists[s] for s in lists)
                out |= self.fused._feeds_writes(m.out) and not self._in_last(m.out, lists, writing)
                if out:
                    wanted.setdefault(stage, []).append(m.out)
        return {stage: wanted.get(stage, []) for stage in members}

    def _in_last(self, slot: int, lists: Mapping[int, set[int]], writing: int) -> bool:
        return slot in lists.get(self._writing, set())

    @property
    def _writing(self) -> int:
        numpy = [i for i in self.program.instructions if i.out not in self.blank and i.out not in self.inline]
        last = max([self.fused.stages[i.out] for i in numpy], default=0)
        stage = self._writing_stage(last, ())
        return -1 if stage is None else stage

    def _is_distinct(self, ids: int) -> bool:
        """Whether row numbers are those of ``run_starts``: each row once."""
        made = self.made.get(ids)
        if made is None or made.op.name != "subtensor" or len(made.args) != 2:
            return False
        ordered, starts = (self.made.get(a) for a in made.args)
        if starts is None or ordered is None or starts.op.name != "run_starts" or starts.args != (ordered.out,):
            return False
        if ordered.op.name != "subtensor" or len(ordered.args) != 2:
            return False
        order = self.made.get(ordered.args[1])
        return order is not None and order.op.name == "argsort" and order.args == (ordered.args[0],)

    # --- calls

    def _call_of(self, kernel: Kernel, *, final: bool) -> list[str]:
        self.parts.append(kernel)
        types, program = self.program.types, self.program
        lines: list[str] = []
        arguments: list[str] = []
        signature: list[Any] = []
        tables = {w.table for w in kernel.writes}
        for s in kernel.inputs:
            made = self.made.get(s)
            name = self.slot(s)
            if made is not None and not types[s].ndim and s not in self.fused.inside:
                name = f"asarray({name})"
            arguments.append(name)
            signature.append(array(types[s].dtype, types[s].ndim, writeable=s in tables))
        for s, axes in kernel.buffers.items():
            wanted = s in kernel.wanted
            arguments.append(f"{'v' if wanted else 'b'}{s}")
            lines.append(f"{arguments[-1]} = {self._new(s, axes)}")
            signature.append(array(types[s].dtype, len(axes), writeable=True))
        for s, axes in kernel.scratch.items():
            arguments.append(self._new(s, axes, small=True))
            signature.append(array(types[s].dtype, len(axes), writeable=True))
        for of in kernel.loose:
            arguments.append(self._length(of))
            signature.append(WHOLE)
        for slot, axis in kernel.assumed:
            arguments.append(f"{self.slot(slot)}.shape[{axis}]")
            signature.append(WHOLE)
        run = self.bind("kernel", _Late(kernel.source, signature))
        retry = self.bind("retry", retried)
        given = ", ".join(arguments)
        call = [f"if {run}({given}, 0) and {retry}({run}, {given}, 0):", "    return plain(inputs, cells)"]
        if not final:
            return [*lines, *call]
        self.lines += lines
        if not self._others():
            return call
        settle = self.bind("settled", settled)
        part = self.bind("partial", partial)
        return [
            f"given = {settle}({given})",
            f"if {run}(*given, 1):",
            "    return plain(inputs, cells)",
            f"rows = {part}({run}.entry, *given, 0)",
        ]

    def _new(self, slot: int, axes: Sequence[Place], *, small: bool = False) -> str:
        """An array for a value, with these axes."""
        dtype = self.program.types[slot].dtype
        lengths = [self._length(a) for a in axes]
        shape = f"({', '.join(lengths)}{',' if len(lengths) == 1 else ''})"
        empty = f"{self.bind('empty', np.empty)}({shape}, {dtype!r})"
        i = self.made[slot]
        if small or slot not in self.rooms.slots or not axes:
            return empty
        return f"{self.bind('place', place)}({self.rooms.number(i)}, {shape}, {dtype!r})"

    def commits(self) -> tuple[str, ...]:
        if not self.last:
            return super().commits()
        if not self._others():
            return tuple(self.last)
        whole = self.program
        others = tuple(self._others())
        self.program = Program(
            whole.name,
            whole.inputs,
            whole.shared,
            whole.constants,
            whole.instructions,
            whole.outputs,
            others,
            whole.types,
        )
        rest = super().commits()
        self.program = whole
        return (*self.last, *_joined(rest))

    def function(self, name: str = "program") -> Callable[..., Any]:
        plain = Plain(self.program, self.lowerings)
        self.space["plain"] = plain
        fused = super().function(name)

        def program(inputs: Any, cells: Any) -> Any:
            try:
                return fused(inputs, cells)
            except Exception:  # noqa: BLE001  # NumPy's way gives the result, or notices the same
                return plain(inputs, cells)

        program.source = fused.source  # type: ignore[attr-defined]  # for those who want to read it
        return program


def _joined(lines: Sequence[str]) -> list[str]:
    """A commit's lines, with the kernel's writes among its calls."""
    *before, call = lines
    if call == "w0()":
        return [*before, "commit((), (), (rows, w0))"]
    at = call.rindex("(")
    return [*before, f"{call[: at + 1]}rows, {call[at + 1 :]}"]


class Plain:
    """The whole program on NumPy, written when it is first needed."""

    def __init__(self, program: Program, lowerings: Lowerings) -> None:
        self.program, self.lowerings = program, lowerings
        self.made: Function | None = None

    def __call__(self, inputs: Any, cells: Any) -> Any:
        if self.made is None:
            self.made = Emitter(self.program, self.lowerings).function()
        return self.made(inputs, cells)


class _Late:
    """A kernel that is compiled when it is first called."""

    __slots__ = ("_entry", "signature", "source")

    def __init__(self, source: str, signature: Sequence[Any]) -> None:
        self.source, self.signature = source, signature
        self._entry: Function | None = None

    @property
    def entry(self) -> Function:
        if self._entry is None:
            try:
                self._entry = compiled(self.source, [*self.signature, WHOLE])
            except Exception:
                log.warning("Numba refuses a loop, which NumPy runs instead:\n%s", self.source, exc_info=True)
                self._entry = _refused
        return self._entry

    def __call__(self, *args: Any) -> Any:
        return self.entry(*args)


def _refused(*args: Any) -> int:
    """Stands for a kernel that could not be compiled: it always gives up."""
    return 1


def settled(*args: Any) -> tuple[Any, ...]:
    """Arguments with copies of those arrays that have gaps."""
    return tuple(a if not isinstance(a, np.ndarray) or a.flags.c_contiguous else np.array(a, order="C") for a in args)


def retried(kernel: Function, *args: Any) -> Any:
    """A kernel called again, if copies of its arguments may be what it wants; else what says that it gave up."""
    copies = settled(*args)
    return kernel(*copies) if any(a is not b for a, b in zip(args, copies, strict=True)) else 1
