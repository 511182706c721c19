"""What a kernel is made of: passes over rows, and in a row nests of loops over the other axes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from subtensor.program.linear import Instruction, Write
from subtensor_numba.lengths import Place


@dataclass(frozen=True)
class RowWrite:
    """Rows of a table to be written. table: its slot. alone: whether no other write of the program changes it."""

    table: int
    write: Write
    alone: bool


@dataclass
class Nest:
    """Loops over `space`, inside a row: lines before each loop's body, and after it. alone: whether others keep out."""

    space: tuple[Place, ...]
    alone: bool = False
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
