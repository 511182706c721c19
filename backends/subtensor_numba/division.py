"""Which instructions of a program go into kernels, and when each of them runs."""

from __future__ import annotations

from collections.abc import Sequence

from subtensor.program.linear import Instruction, Program, Write
from subtensor_numba import scalars
from subtensor_numba.lengths import VIEWS, Lengths, Place
from subtensor_numba.parts import RowWrite
from subtensor_numpy.emit import Emitter

FEWEST = 2
"""Computing instructions that make a kernel worth while."""


class Division:
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
            stages.update(dict.fromkeys(i.outs, stage))
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
        if self.writes and any(self.feeds_writes(m.out) for m in members):
            return True
        plain = all(m.op.name in scalars.ELEMENTWISE or self.lengths.is_view(m) for m in members)
        if plain and self._is_slow_outside():
            return False  # NumPy's blocks hold the functions that it computes faster, and the arithmetic around them
        real = [m for m in members if not self.lengths.is_view(m) and m.type.ndim]
        reductions = [m for m in members if self.lengths.is_reduction(m)]
        return len({m.out for m in (*real, *reductions)}) >= FEWEST

    def _is_slow_outside(self) -> bool:
        return any(
            i.op.name in scalars.SLOW and i.type.ndim > 1 and i.out not in self.inside
            for i in self.program.instructions
        )

    def feeds_writes(self, slot: int) -> bool:
        return any(slot in (w.write.value, *w.write.inputs) for w in self.writes)

    def leaf(self, of: Place) -> Place | None:
        """A slot of which the length of an axis can be read: an input or a shared variable, else what NumPy makes."""
        root = self.lengths.find(of)
        found = [p for p in self.lengths.parent if p[0] not in self.inside and self.lengths.find(p) == root]
        return min(found, default=None)
