"""From a program to one Python function that calls kernels, and NumPy for what is in none.

Instructions that can go row by row are put into kernels, as many into one as the others between them allow. Where a
kernel gives up, because lengths are not what was assumed or a position is out of range, nothing has been written yet,
and the whole program runs on NumPy, which gives the result or notices what is wrong.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from subtensor.program.linear import Commit, Instruction, Program
from subtensor_numba.distinct import DistinctRows, Idiom, idiom
from subtensor_numba.division import Division
from subtensor_numba.kernel import Kernel
from subtensor_numba.lengths import ONE, Place
from subtensor_numba.native import WHOLE, array, compiled
from subtensor_numpy.emit import Emitter, Lowerings
from subtensor_numpy.workspace import place

Array = np.ndarray[Any, np.dtype[Any]]
Function = Callable[..., Any]

log = logging.getLogger("subtensor")


class FusedEmitter(Emitter):
    """Writes one program with kernels."""

    def __init__(self, program: Program, lowerings: Lowerings) -> None:
        super().__init__(program, lowerings)
        self.fused = Division(program, self)
        self.late: list[_Late | DistinctRows] = []
        self.loops: dict[str, tuple[list[int], bool]] = {}  # for each kernel its slots, and whether it writes rows
        self.last: list[str] = []
        self.call: list[str] = []
        self.idioms: dict[int, Idiom] = {}
        self.done: set[int] = set()  # slots that an idiom fills

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
        self._find_idioms(numpy)
        last = max([stages[i.out] for i in lines], default=0)
        writing = self._writing_stage(last)
        members = fused.kernels()
        if writing is not None:
            self._sink(members, writing)
        wanted = self._wanted(members, writing)
        for stage in sorted({*(stages[i.out] for i in numpy), *members}):
            self._emit_numpy([i for i in numpy if stages[i.out] == stage])
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

    def _find_idioms(self, numpy: Sequence[Instruction]) -> None:
        inside = self.fused.inside
        for i in numpy:
            found = idiom(i, self.made, self.users)
            if found is not None and not any(m.out in inside or m.out in self.idioms for m in found):
                self.idioms[i.out] = found
                self.done.update(m.out for m in found[1:])

    def _emit_numpy(self, instructions: Sequence[Instruction]) -> None:
        """Lines for what NumPy runs at one stage."""
        waiting: list[Instruction] = []
        for i in instructions:
            found = self.idioms.get(i.out)
            if found is not None:
                self.emit(waiting)
                waiting = []
                stays = all(m.out in self.rooms.slots for m in found)
                call = DistinctRows(self.program.types[i.args[0]].dtype, self.rooms.number(i) if stays else None)
                self.late.append(call)
                names = ", ".join(f"v{m.out}" for m in found)
                ids, n = map(self.slot, i.args)
                self.lines.append(f"{names} = {self.bind('distinct', call)}({ids}, {n})")
            elif i.out not in self.done:
                waiting.append(i)
        self.emit(waiting)

    def _writing_stage(self, last: int) -> int | None:
        """When rows are written: with the last kernel, if nothing that could fail comes after it."""
        if not self.fused.writes:
            return None
        return last if last % 2 == 0 and not self._others() else last + 2 - last % 2

    def _others(self) -> list[Commit]:
        """Commits that no kernel makes."""
        own = {w.table - self.program.first_shared for w in self.fused.writes}
        return [c for c in self.program.commits if c.shared not in own]

    def _sink(self, members: dict[int, list[Instruction]], writing: int) -> None:
        """What only writes need is computed where they are made."""
        fused = self.fused
        outside = self._leaving()
        ids = {s for w in fused.writes for s in w.write.inputs}
        late: set[int] = set()
        for i in reversed(self.program.instructions):
            if i.out not in fused.inside or i.out in outside or i.out in ids:
                continue
            users = self.users.get(i.out, [])
            if all(u.out in late or u.op.name == "length" for u in users) and (users or fused.feeds_writes(i.out)):
                gathers = [u for u in users if u.op.name == "subtensor"]
                if not gathers and not any(u.op.name == "run_sums" for u in users):
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

    def _leaving(self) -> set[int]:
        """Slots that something other than an instruction or a kernel's write takes."""
        leaving = {*self.program.outputs, *(c.value for c in self.program.commits if c.value is not None)}
        return leaving | {s for c in self._others() for w in c.writes for s in (w.value, *w.inputs)}

    def _wanted(self, members: Mapping[int, Sequence[Instruction]], writing: int | None) -> dict[int, list[int]]:
        """What each kernel stores: for NumPy, for a later kernel that does not make it anew, or for the caller."""
        leaving, fused = self._leaving(), self.fused
        inside = {stage: {m.out for m in found} for stage, found in members.items()}
        late = inside.get(-1 if writing is None else writing, set())
        wanted: dict[int, list[int]] = {stage: [] for stage in members}
        seen: set[int] = set()
        for stage in sorted(members):
            for m in members[stage]:
                if m.out in seen:
                    continue
                seen.add(m.out)
                users = [u for u in self.users.get(m.out, ()) if u.op.name != "length" and u.out not in self.blank]
                numpy = any(u.out not in fused.inside for u in users)
                others = any(
                    u.out in found and m.out not in found and m.out in fused.lengths.taken(u)
                    for u in users if u.out in fused.inside
                    for found in inside.values()
                )  # fmt: skip
                written = fused.feeds_writes(m.out) and m.out not in late
                if m.out in leaving or numpy or others or written:
                    wanted[stage].append(m.out)
        return wanted

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
        types = self.program.types
        lines: list[str] = []
        arguments: list[str] = []
        signature: list[Any] = []
        tables = {w.table for w in kernel.writes}
        for s in kernel.inputs:
            made = self.made.get(s)
            name = self.slot(s)
            if made is not None and made.op.name in self.lowerings:
                name = f"asarray({name}, {types[s].dtype!r})"
            elif made is not None and not types[s].ndim and s not in self.fused.inside:
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
        run = f"kernel_{len(self.late)}"
        self.late.append(_Late(kernel.source, signature, self.space, run))
        self.loops[run] = (list(kernel.members), bool(kernel.writes))
        retry = self.bind("retry", retried)
        given = ", ".join(arguments)
        call = [f"if {run}({given}, 0) and {retry}({run}, {given}, 0):", "    return plain(inputs, cells)"]
        if not final:
            return [*lines, *call]
        self.lines += lines
        self.call = [f"{self.bind('partial', partial)}({run}, *given, 0)"]
        if not self._others():
            return call
        return [
            f"given = {self.bind('settled', settled)}({given})",
            f"if {run}(*given, 1):",
            "    return plain(inputs, cells)",
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

    def calls(self, c: Commit) -> list[str]:
        if c in self._others():
            return super().calls(c)
        own = [o for o in self.program.commits if o not in self._others()]
        return self.call if c is own[0] else []

    def commits(self) -> tuple[str, ...]:
        if not self.call:
            return super().commits()
        if self._others():
            return (*self.last, *super().commits())
        kept = " is None is ".join(f"k{c.shared}.keeper" for c in self.program.commits)
        return (f"if not ({kept} is None):", "    return plain(inputs, cells)", *self.last)

    def function(self, name: str = "program") -> Callable[..., Any]:
        plain = Plain(self.program, self.lowerings)
        self.space["plain"] = plain
        fused: Any = super().function(name)

        def program(inputs: Any, cells: Any) -> Any:
            try:
                return fused(inputs, cells)
            except Exception:  # noqa: BLE001  # NumPy's way gives the result, or notices the same
                return plain(inputs, cells)

        def prepare(shapes: object) -> None:
            for each in self.late:
                each.compile()

        extra = {"source": fused.source, "prepare": prepare, "notes": self.notes, "kernels": self.kernels,
                 "statements": fused, "loops": self.loops}  # fmt: skip
        program.__dict__.update(extra)
        return program

    @property
    def kernels(self) -> list[str]:
        """The sources of the loops, for those who want to read them."""
        return [k.source for k in self.late if isinstance(k, _Late)]

    def notes(self) -> list[str]:
        """What explain() says of the loops."""
        loops = [k for k in self.late if isinstance(k, _Late)]
        inside = self.fused.inside
        names = Counter(
            i.op.name for i in self.program.instructions if i.out not in (*inside, *self.inline, *self.blank)
        )
        rest = ", ".join(f"{n} {name}" if n > 1 else name for name, n in names.items()) or "nothing"
        count = f"for {len(inside)} of {len(self.program.instructions)} instructions"
        said = f"compiled loops: {len(loops)}, {count} and {len(self.fused.writes)} writes of rows; on NumPy: {rest}"
        return [said] + [f"  refused by Numba, so on NumPy: {k.refused}" for k in loops if k.refused]


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
    """A kernel that is compiled when it is first called, and from then on stands for itself in the function."""

    def __init__(self, source: str, signature: Sequence[Any], space: dict[str, Any], name: str) -> None:
        self.source, self.signature, self.space, self.name = source, signature, space, name
        space[name] = self
        self.refused: str | None = None

    def compile(self) -> None:
        try:
            self.space[self.name] = compiled(self.source, [*self.signature, WHOLE])
        except Exception as error:  # noqa: BLE001  # what Numba raises is not documented
            self.refused = f"{type(error).__name__}: {error}".splitlines()[0]
            log.warning("Numba refuses a loop, which NumPy runs instead (%s):\n%s", self.refused, self.source)
            self.space[self.name] = _refused

    def __call__(self, *args: Any) -> Any:
        if self.space[self.name] is self:
            self.compile()
        return self.space[self.name](*args)


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
