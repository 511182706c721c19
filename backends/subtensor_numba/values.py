"""What a kernel knows of the values in it: where each comes from, and along which axes it differs."""

from __future__ import annotations

from collections.abc import Sequence

from subtensor.program.linear import Instruction, Program
from subtensor_numba.lengths import ONE, Lengths, Place
from subtensor_numba.parts import Pass


class Values:
    """The slots of a kernel with these members, in order."""

    def __init__(self, program: Program, lengths: Lengths, members: Sequence[Instruction]) -> None:
        self.program, self.lengths = program, lengths
        self.types = program.types
        self.members = {i.out: i for i in members}
        self.spaces: dict[tuple[int, Place | None], tuple[Place, ...]] = {}
        self.phases: dict[int, int] = {}
        self.buffers: dict[int, tuple[Place, ...]] = {}  # stored slots, and the axes of the arrays that hold them
        self.scratch: dict[int, tuple[Place, ...]] = {}
        self.arrays: dict[int, None] = {}  # slots that come from outside
        self.positions: dict[tuple[int, int], None] = {}  # (ids, table) that must be in range
        self.passes: list[Pass] = []
        self.classes: dict[Place, str] = {}

    def resolved(self, slot: int) -> int:
        """The slot whose elements a slot shows in another arrangement."""
        while True:
            i = self.members.get(slot)
            if i is None or not self.lengths.is_view(i):
                return slot
            slot = i.args[0]

    def is_computed(self, slot: int) -> bool:
        i = self.members.get(slot)
        return i is not None and i.op.name != "subtensor"

    def is_total(self, i: Instruction) -> bool:
        return self.lengths.is_total(i)

    def rows_of(self, i: Instruction) -> Place | None:
        """Over what rows an instruction is computed."""
        of = i.args[0] if self.is_total(i) else i.out
        axes = self.lengths.axes(of)
        return axes[0] if axes else None

    def inner(self, slot: int, rows: Place | None) -> tuple[Place, ...]:
        return tuple(a for a in self.lengths.axes(slot) if a not in (ONE, rows))

    def space(self, slot: int, rows: Place | None) -> tuple[Place, ...]:
        """The axes, beside the rows, along which a slot's elements differ."""
        slot = self.resolved(slot)
        i = self.members.get(slot)
        if i is None or i.op.name in ("subtensor", "run_sums"):
            return self.inner(slot, rows)
        known = self.spaces.get((slot, rows))
        if known is None:
            taken = [a for arg in self.lengths.taken(i) for a in self.space(arg, rows)]
            if self.lengths.is_reduction(i):
                gone = self.lengths.summed(i)
                taken = [a for a in taken if a not in gone]
            known = self.spaces[slot, rows] = tuple(a for a in self.inner(slot, rows) if a in taken)
        return known

    def length(self, of: Place) -> str:
        """The name of a length, or the number itself."""
        if of == ONE:
            return "1"
        known = self.lengths.length(of)
        return str(known) if known is not None else self.classes.setdefault(of, f"n{len(self.classes)}")
