"""What a program costs: each instruction and each commit, with what is in place known for certain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from subtensor.graph.nodes import Variable
from subtensor.graph.polynomial import total as total_of
from subtensor.graph.shared import SharedVariable
from subtensor.ops.elementwise import ELEMENTWISE
from subtensor.ops.loop import joined
from subtensor.ops.subtensor import get_op, is_write
from subtensor.ops.views import VIEWS
from subtensor.program.linear import Instruction, Program
from subtensor.rewrites.costs import IDLE, NOTHING, Work, seen_from_outside, size, stored, total_work, work_of
from subtensor.rewrites.large import Outside, inside, table_size


@dataclass(frozen=True, slots=True)
class Entry:
    """What one instruction, or one write or replacement of a commit, costs.

    node: what it computes, or the write. slot: where the program has it, if it is no part of a commit or of a loop's
    body. updates: the shared variable, for what is part of a commit. table: the table of whose size is what is
    allocated, if there is such a one; reads: of whose size is what is read. loop: the loop that it is in, or "".
    """

    node: Variable
    work: Work
    slot: int | None = None
    updates: SharedVariable | None = None
    table: SharedVariable | None = None
    reads: SharedVariable | None = None
    loop: str = ""


def accounts(
    program: Program,
    tables: Iterable[SharedVariable] | None = None,
    *,
    reads_fuse: bool = False,
    among: Callable[[Instruction], bool] | None = None,
) -> list[Entry]:
    """What a program does, in the order in which it does it: instructions first, then commits.

    tables: what counts as a table; None: every shared variable. reads_fuse: whether what is computed by elements, and
    read at positions only, is computed there only (see ``program.contract.OPTIONAL``). among: which instructions to
    look at, also of those within loops; None: all.
    """
    scope = _Scope(list(program.shared if tables is None else tables), reads_fuse, among)
    entries = _entries(program, scope, {}, "")
    for c in program.commits:
        s = program.shared[c.shared]
        entries += [Entry(w.node, work_of(w.node, overwrites=True), updates=s) for w in c.writes]
    return entries


@dataclass(frozen=True, slots=True)
class _Scope:
    """What ``accounts`` was asked for."""

    tables: Sequence[SharedVariable]
    reads_fuse: bool
    among: Callable[[Instruction], bool] | None


def _entries(program: Program, scope: _Scope, outside: Outside, loop: str) -> list[Entry]:
    tables = scope.tables
    spared = _spared(program) if scope.reads_fuse else frozenset[int]()
    entries: list[Entry] = []
    for i in program.instructions:
        slot = None if loop else i.out
        if i.body is not None:
            assert i.repeat is not None
            call = joined(i.nodes)
            within = inside(call.values, call.loop.sequences, outside)
            name = str(i.repeat.loop)
            body = _entries(i.body, scope, within, f"{loop}/{name}" if loop else name)
            entries += [replace(e, work=seen_from_outside(e.work, i.nodes)) for e in body]
            out = total_of(map(size, i.nodes))
            large = next((t for n in i.nodes if (t := table_size(n, tables, outside)) is not None), None)
            entries.append(Entry(i.node, Work(NOTHING, out, out), slot, None, large, loop=loop))
            continue
        if scope.among is not None and not scope.among(i):
            continue
        work = IDLE if i.out in spared else work_of(i.node, overwrites=i.overwrites is not None)
        made = table_size(i.node, tables, outside) if work.allocated else None
        read = _read_whole(i, tables, outside) if work is not IDLE else None
        entries.append(Entry(i.node, work, slot, None, made, read, loop))
    return entries


def _read_whole(i: Instruction, tables: Sequence[SharedVariable], outside: Outside) -> SharedVariable | None:
    """The table of whose size is something that an instruction reads all of."""
    if i.op.name in VIEWS or i.op.name == "length":
        return None
    args = i.node.inputs
    if i.op is get_op:
        args = args[1:]
    elif is_write(i.node) and (i.overwrites is not None or args[0].op is not None):
        args = args[1:]  # what is written into is written in part; what is copied first is allocated
    found = (table_size(stored(a), tables, outside) for a in args)
    return next((t for t in found if t is not None), None)


def _spared(program: Program) -> frozenset[int]:
    """Slots of elements that one instruction takes, which reads some of them at positions or is spared itself."""
    users: dict[int, list[Instruction]] = {}
    for i in program.instructions:
        for a in i.args:
            users.setdefault(a, []).append(i)
    kept = {*program.outputs, *(c.value for c in program.commits)}
    kept |= {s for c in program.commits for w in c.writes for s in (w.value, *w.inputs)}
    found: set[int] = set()
    for i in reversed(program.instructions):
        by = users.get(i.out, [])
        if i.op.name not in ELEMENTWISE or i.out in kept or len(by) != 1:
            continue
        (user,) = by
        reads = user.op is get_op and user.args[0] == i.out and any(program.types[a].ndim for a in user.args[1:])
        if reads or user.out in found:
            found.add(i.out)
    return frozenset(found)


def total(entries: Sequence[Entry]) -> Work:
    """The sum of what entries cost."""
    return total_work([e.work for e in entries])


__all__ = ["Entry", "accounts", "total"]
