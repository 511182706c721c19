"""What a program costs: each instruction and each commit, with what is in place known for certain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from subtensor.graph.nodes import Variable
from subtensor.graph.shared import SharedVariable
from subtensor.ops.loop import is_loop
from subtensor.program.linear import Program
from subtensor.rewrites.costs import Work, loop_work, table_size, total_work, work_of


@dataclass(frozen=True, slots=True)
class Entry:
    """What one instruction, or one write or replacement of a commit, costs.

    node: what it computes, or the write. updates: the shared variable, for what is part of a commit. table: the table
    of whose size is what is allocated, if there is such a one.
    """

    node: Variable
    work: Work
    updates: SharedVariable | None = None
    table: SharedVariable | None = None


def accounts(program: Program) -> list[Entry]:
    """What a program does, in the order in which it does it: instructions first, then commits."""
    entries = []
    for i in program.instructions:
        looped = is_loop(i.node)
        work = loop_work(list(i.nodes)) if looped else work_of(i.node, overwrites=i.overwrites is not None)
        table = table_size(i.node, program.shared) if work.allocated else None
        entries.append(Entry(i.node, work, None, table))
    for c in program.commits:
        s = program.shared[c.shared]
        entries += [Entry(w.node, work_of(w.node, overwrites=True), s) for w in c.writes]
    return entries


def total(entries: Sequence[Entry]) -> Work:
    """The sum of what entries cost."""
    return total_work([e.work for e in entries])
