"""From a program to the source of one Python function.

The function takes the inputs and the cells of the shared variables. Each instruction is one assignment; names such as
``v7`` are slots. What is not an expression of its arguments alone (indices, lengths, writes) is written out here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np

from subtensor.errors import Unsupported
from subtensor.graph.cells import commit, commit_kept
from subtensor.graph.indexing import Index, Ref, Slice
from subtensor.ops.loop import UNTOLD
from subtensor.program.linear import Commit, Instruction, Program, Write
from subtensor_numpy.blocks import BlockWriter, Group, Grouper, Memory, row_kind
from subtensor_numpy.loops import loop_function
from subtensor_numpy.lowerings import (
    ELEMENTWISE,
    LOWERINGS,
    NEVER_IN_PLACE,
    SCIPY,
    UFUNCS,
    elements_at,
    rows_at,
    special,
)
from subtensor_numpy.runs import run_sums
from subtensor_numpy.scatter import RowAdder, prepare, set_rows, signed
from subtensor_numpy.workspace import Rooms, place, take_rows

Lowerings = Mapping[str, Callable[..., Any]]


class Emitter:
    """Writes one program. part: whether it runs within another one, whose workspace is in use."""

    def __init__(self, program: Program, lowerings: Lowerings, *, part: bool = False) -> None:
        self.program = program
        self.lowerings = lowerings
        self.space: dict[str, Any] = {"asarray": np.asarray, "int64": np.int64, "zeros": np.zeros}
        self.lines: list[str] = []
        self.made = {o: i for i in program.instructions for o in i.outs}
        self.users = self._users()
        self.kept = self._kept()
        self.blank = self._blank_bases()
        self.sliced: set[int] = set()
        self.inline = {i.out for i in program.instructions if i.op.name == "length" and self._only_lengths(i.out)}
        self.memory = Memory(program.instructions, program.first_constant + len(program.constants), self._is_fresh)
        self.rooms = Rooms() if part else Rooms(self._passing())

    # --- names

    def bind(self, prefix: str, value: Any) -> str:
        """A name for a value in the function's globals."""
        for name, known in self.space.items():
            if known is value:
                return name
        name = f"{prefix if prefix.isidentifier() else 'f'}_{len(self.space)}"
        self.space[name] = value
        return name

    def slot(self, slot: int) -> str:
        """The expression for a slot."""
        if slot in self.sliced:
            return f"x{slot}"
        known = self.program.known(slot)
        return f"v{slot}" if known is None else self.bind("c", known)

    def scalar(self, slot: int) -> str:
        """The expression for a slot that is used as a length or a position: a literal where it is known."""
        if slot in self.inline:
            length = self.made[slot]
            return f"{self.slot(length.args[0])}.shape[{length.params['axis']}]"
        known = self.program.known(slot)
        return self.slot(slot) if known is None or known.ndim else str(known.item())

    # --- what is used where

    def _users(self) -> dict[int, list[Instruction]]:
        users: dict[int, list[Instruction]] = {}
        for i in self.program.instructions:
            for a in i.args:
                users.setdefault(a, []).append(i)
        return users

    def _kept(self) -> set[int]:
        """Slots that outlive the instructions."""
        program = self.program
        kept = {*program.outputs, *(c.value for c in program.commits if c.value is not None)}
        return kept | {s for c in program.commits for w in c.writes for s in (w.value, *w.inputs)}

    def _only_lengths(self, slot: int) -> bool:
        """Whether a length is only used as one, so that a plain int serves."""
        return slot not in self.kept and all(
            u.op.name in _SHAPED and slot != u.args[0] for u in self.users.get(slot, ())
        )

    def _blank_bases(self) -> dict[int, np.ndarray[Any, Any]]:
        """Slots that hold a broadcast zero and are only written into: the write makes the zeros itself."""
        blank = {}
        for i in self.program.instructions:
            if i.op.name != "broadcast_to" or i.out in self.kept:
                continue
            value = self.program.known(i.args[0])
            if value is None or value.any() or (value.dtype.kind == "f" and np.signbit(value).any()):
                continue
            if all(u.op.name in _FILLED and u.args[0] == i.out and i.out not in u.args[1:] for u in self.users[i.out]):
                blank[i.out] = value
        return blank

    def _passing(self) -> set[int]:
        """Slots whose memory is free when the program ends: nobody else gets to see it."""
        roots, program = self.memory.roots, self.program
        seen = {*program.outputs, *(c.value for c in program.commits if c.value is not None)}
        seen |= {a for i in program.instructions if i.op.name in self.lowerings for a in (*i.args, *i.outs)}
        taken = frozenset[int]().union(*(roots[slot] for slot in seen))
        return {o for i in program.instructions for o in i.outs if roots[o].isdisjoint(taken)}

    # --- instructions

    def expression(self, i: Instruction) -> str:
        name = i.op.name
        args = [self.slot(a) for a in i.args]
        if name in self.lowerings:
            return self._call(self.lowerings[name], args, i.params)
        special_form = _FORMS.get(name)
        if special_form is not None:
            return special_form(self, i, args)
        if name in UFUNCS and name not in NEVER_IN_PLACE:
            if i.overwrites is not None:
                args = [*args, f"out={args[i.overwrites]}"]
            elif (room := self._room(i)) is not None:
                args = [*args, f"out={room}"]
        if name in LOWERINGS:
            return self._call(LOWERINGS[name], args, i.params)
        if name in SCIPY:
            return self._call(special(name), args, i.params)
        raise Unsupported(name, f"the NumPy backend has no lowering for {name!r}")

    def line(self, i: Instruction) -> str:
        """The assignment for an instruction."""
        if i.repeat is None:
            return f"v{i.out} = {self.expression(i)}"
        assert i.body is not None
        lazy = [any(self.program.known(i.args[d]) == UNTOLD for d in r.dims) for r in i.repeat.results]
        function = loop_function(Emitter(i.body, self.lowerings, part=True), i, lazy)
        args = ", ".join(self.slot(a) for a in i.args)
        return f"{_tuple([f'v{o}' for o in i.outs])} = {self.bind('loop', function)}({args})"

    def _room(self, i: Instruction) -> str | None:
        """An array of the workspace for a result, as source that gives None where it is small."""
        types, row = self.program.types, i.type.shape[1:]
        least = None if self.sliced or not i.type.ndim else self.rooms.least(i, row)
        if least is None:
            return None
        leader, others = None, []
        if i.op.name == "matmul" and i.type.ndim == 2:
            leader = i.args[0]
        elif i.op.name in ELEMENTWISE:
            whole = [a for a in dict.fromkeys(i.args) if types[a].ndim == i.type.ndim and types[a].shape[0] != 1]
            leader = next((a for a in whole if types[a].shape[1:] == row), None)
            others = [a for a in whole if a != leader]
        if leader is None:
            return None
        rows = f"len({self.slot(leader)})"
        same = "".join(f" and len({self.slot(a)}) == {rows}" for a in others)
        shape = _tuple([rows, *map(str, row)])
        made = f"{self.bind('place', place)}({self.rooms.number(i)}, {shape}, {i.type.dtype!r})"
        return f"{made} if {rows} >= {least}{same} else None"

    def _call(self, function: Callable[..., Any], args: Sequence[str], params: Mapping[str, Any]) -> str:
        extra = [f"{k}={self._literal(v)}" for k, v in params.items()]
        return f"{self.bind(getattr(function, '__name__', 'f'), function)}({', '.join([*args, *extra])})"

    def _literal(self, value: Any) -> str:
        if isinstance(value, int | str) or (isinstance(value, tuple) and all(isinstance(v, int) for v in value)):
            return repr(value)
        return self.bind("p", value)

    # --- the whole

    def body(self) -> None:
        self.emit([i for i in self.program.instructions if i.out not in self.blank and i.out not in self.inline])

    def emit(self, written: Sequence[Instruction]) -> None:
        """Lines for some instructions, which find all that they need."""
        kinds = {i.out: kind for i in written if self._is_elementwise(i) and (kind := row_kind(i.type)) is not None}
        for item in Grouper(self.memory, self._reads(), kinds).grouped(written):
            if isinstance(item, Group):
                self.lines += BlockWriter(self, item, self.memory).lines()
            else:
                self.lines.append(self.line(item))

    def _reads(self) -> dict[int, tuple[int, ...]]:
        """The slots that each instruction reads, also through those for which no line is written."""
        reads: dict[int, tuple[int, ...]] = {}
        for i in self.program.instructions:
            hidden = [a for a in i.args if a in self.blank or a in self.inline]
            reads[i.out] = (*i.args, *(slot for h in hidden for slot in reads[h]))
        return reads

    def _is_elementwise(self, i: Instruction) -> bool:
        """Whether an instruction could be carried out block by block."""
        elementwise = i.op.name in ELEMENTWISE and i.op.name not in self.lowerings
        return elementwise and all(self.program.types[a].ndim <= i.type.ndim for a in i.args)

    def _is_fresh(self, i: Instruction) -> bool:
        """Whether a result surely shares no memory with what it was made of."""
        selected = i.op.name == "subtensor" and any(self.program.types[a].ndim for a in i.args[1:])
        return i.op.fresh or selected or i.op.name in ELEMENTWISE

    def outlives(self, slot: int, inside: AbstractSet[int]) -> bool:
        """Whether anything but the instructions of the slots `inside` takes a slot."""
        return slot in self.kept or any(u.out not in inside for u in self.users.get(slot, ()))

    def _prepared(self, table: int, w: Write) -> str:
        """The expression for a call that makes a write."""
        types = self.program.types
        inputs = [self.slot(s) for s in w.inputs]
        if w.kind == "inc" and w.index.selects_rows and types[w.inputs[0]].ndim:
            adder = RowAdder(np.dtype(types[table].dtype))
            return f"{self.bind('add_rows', adder.prepare)}(v{table}, {inputs[0]}, {self.slot(w.value)}, {w.checked})"
        if w.kind == "set" and w.index.selects_rows and types[w.inputs[0]].ndim == 1:
            return f"{self.bind('set_rows', set_rows)}(v{table}, {inputs[0]}, {self.slot(w.value)}, {w.checked})"
        index = self.bind("index", w.index)
        return (
            f"{self.bind('prepare', prepare)}(v{table}, {index}, {_tuple(inputs)}, {self.slot(w.value)}, "
            f"{w.kind!r}, {w.checked})"
        )

    def calls(self, c: Commit) -> list[str]:
        """Expressions for the calls that make the writes of a commit."""
        return [self._prepared(self.program.first_shared + c.shared, w) for w in c.writes]

    def commits(self) -> tuple[str, ...]:
        """Lines that prepare the commit, then the line that makes it."""
        program = self.program
        replaced, values, writes, changes = [], [], [], []
        for c in program.commits:
            if c.value is not None:
                replaced.append(f"k{c.shared}")
                values.append(f"asarray({self.slot(c.value)}, order='C')")
                continue
            writes += self.calls(c)
            for w in c.writes:
                inputs = _tuple([self.slot(s) for s in w.inputs])
                changes.append(f"(k{c.shared}, {self.bind('index', w.index)}, {inputs})")
        if not replaced and not writes:
            return ()
        names = [f"w{n}" for n in range(len(writes))]
        prepared = [f"{name} = {w}" for name, w in zip(names, writes, strict=True)]
        news = [f"n{n}" for n in range(len(values))]
        prepared += [f"{name} = {v}" for name, v in zip(news, values, strict=True)]
        given = f"{_tuple(replaced)}, {_tuple(news)}, {_tuple(names)}"
        do = self.bind("commit", commit)
        return (
            *prepared,
            f"if {' is None is '.join(f'k{c.shared}.keeper' for c in program.commits)} is None:",
            "    w0()" if not replaced and len(writes) == 1 else f"    {do}({given})",
            "else:",
            f"    {self.bind('commit_kept', commit_kept)}({given}, {_tuple(changes)})",
        )

    def function(self, name: str = "program") -> Callable[..., Any]:
        """The compiled function ``(inputs, cells) -> outputs``."""
        program = self.program
        header = []
        if program.inputs:
            header.append(f"{_tuple([f'v{i}' for i in range(len(program.inputs))])} = inputs")
        if program.shared:
            header.append(f"{_tuple([f'k{i}' for i in range(len(program.shared))])} = cells")
            header += [f"v{program.first_shared + i} = k{i}.data" for i in range(len(program.shared))]
        self.body()
        outputs = [f"asarray({self.slot(o)})" for o in program.outputs]
        lines = [*header, *self.lines, f"outputs = {_tuple(outputs)}", *self.commits(), "return outputs"]
        source = f"def {name}(inputs, cells):\n    " + "\n    ".join(lines) + "\n"
        exec(compile(source, f"<subtensor program {program.name}>", "exec"), self.space)  # noqa: S102  # our own source
        made: Callable[..., Any] = self.space[name]
        made.source = source  # type: ignore[attr-defined]  # for those who want to read it
        made.statements = made  # type: ignore[attr-defined]  # for those who time its statements
        return made


def _tuple(items: Sequence[str]) -> str:
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"


_FILLED = ("set_subtensor", "inc_subtensor", "copy")
"""Ops that make an array of their own out of their first argument."""
_SHAPED = ("reshape", "broadcast_to", "sum_to", "fitting_mask", "random_bits", "random_unit")
"""Ops of a tensor and lengths."""

# --- ops that are written out


def _length(e: Emitter, i: Instruction, args: Sequence[str]) -> str:
    return f"int64({args[0]}.shape[{i.params['axis']}])"


def _reshape(e: Emitter, i: Instruction, args: Sequence[str]) -> str:
    return f"{args[0]}.reshape({_tuple([e.scalar(a) for a in i.args[1:]])})"


def _shaped(e: Emitter, i: Instruction, args: Sequence[str]) -> str:
    """Ops of a tensor and lengths."""
    dims = [e.scalar(a) for a in i.args[1:]]
    params = [f"{k}={v!r}" for k, v in i.params.items()]
    return f"{e.bind(i.op.name, LOWERINGS[i.op.name])}({', '.join([args[0], *dims, *params])})"


def _key(e: Emitter, index: Index, slots: Sequence[int]) -> str:
    """An index as source: ``(slice(1, v3), v4)``."""

    def bound(b: int | Ref | None) -> str:
        return e.scalar(slots[b.slot]) if isinstance(b, Ref) else str(b)

    parts = list(index.parts)
    while parts and isinstance(parts[-1], Slice) and parts[-1].is_full:
        parts.pop()
    texts = [
        f"slice({bound(p.start)}, {bound(p.stop)}, {bound(p.step)})"
        if isinstance(p, Slice)
        else _positions(e, slots[p.slot])
        for p in parts
    ]
    return _tuple(texts)


def _positions(e: Emitter, slot: int) -> str:
    """An index array as source; NumPy would let large uint64 positions wrap to negative ones."""
    type = e.program.types[slot]
    return f"{e.bind('signed', signed)}({e.slot(slot)})" if type.dtype == "uint64" and type.ndim else e.scalar(slot)


def _subtensor(e: Emitter, i: Instruction, args: Sequence[str]) -> str:
    index: Index = i.params["index"]
    x, ids = i.args[0], i.args[1:]
    types = e.program.types
    if index.selects_rows and types[ids[0]].ndim and types[ids[0]].dtype != "uint64" and types[x].ndim:
        plain = f"{e.bind('rows_at', rows_at)}({args[0]}, {args[1]})"
        if e.program.first_shared <= x < e.program.first_constant:
            plain = f"{args[0]}.take({args[1]}, 0)"
        least = e.rooms.least(i, types[x].shape[1:])
        if least is None:
            return plain
        roomy = f"{e.bind('take_rows', take_rows)}({args[0]}, {args[1]}, {e.rooms.number(i)})"
        return f"{roomy} if {args[1]}.size >= {least} else {plain}"
    key = _key(e, index, ids)
    if any(types[ids[slot]].ndim for _, slot in index.arrays):
        return f"{e.bind('elements_at', elements_at)}({args[0]}, {key})"
    return f"{args[0]}[{key}]"


def _run_sums(e: Emitter, i: Instruction, args: Sequence[str]) -> str:
    least = e.rooms.least(i, i.type.shape[1:])
    out = ""
    if least is not None:
        shape = _tuple([f"len({args[2]})", *map(str, i.type.shape[1:])])
        made = f"{e.bind('place', place)}({e.rooms.number(i)}, {shape}, {i.type.dtype!r})"
        out = f", {made} if len({args[2]}) >= {least} else None"
    return f"{e.bind('run_sums', run_sums)}({', '.join(args)}{out})"


def _zeros(e: Emitter, slot: int) -> str:
    """New zeros, for a slot that is blank: of memory that the system has cleared, it takes pages when they are used."""
    dims = [e.scalar(a) for a in e.made[slot].args[1:]]
    return f"zeros({_tuple(dims)}, {e.blank[slot].dtype.name!r})"


def _copy(e: Emitter, i: Instruction, args: Sequence[str]) -> str:
    if i.args[0] in e.blank:
        return _zeros(e, i.args[0])
    return e._call(LOWERINGS["copy"], args, i.params)  # noqa: SLF001  # a part of the emitter, as all of these


def _write(e: Emitter, i: Instruction, args: Sequence[str]) -> str:
    index: Index = i.params["index"]
    base = i.args[0]
    if base in e.blank:
        start = _zeros(e, base)
    elif i.overwrites == 0:
        start = f"asarray({args[0]})"
    else:
        start = f"{e.bind('copy', LOWERINGS['copy'])}({args[0]})"
    inputs = _tuple([*args[2:]])
    kind = "set" if i.op.name == "set_subtensor" else "inc"
    return f"{e.bind('written', written)}({start}, {e.bind('index', index)}, {inputs}, {args[1]}, {kind!r})"


def written(base: Any, index: Index, inputs: Sequence[Any], value: Any, kind: str) -> Any:
    """`base`, which is ours, after a write."""
    if not base.flags.c_contiguous or not base.flags.writeable:
        base = np.array(base, order="C")
    prepare(base, index, inputs, value, kind, checked=False)()
    return base


def _sum(e: Emitter, i: Instruction, args: Sequence[str]) -> str:
    axes = i.params["axes"]
    everything = len(axes) == e.program.types[i.args[0]].ndim
    dtype = "" if i.type.dtype.startswith("float") else f", {i.type.dtype!r}"  # NumPy would widen small integers
    return f"{e.bind('sum', np.add.reduce)}({args[0]}, {None if everything else axes}{dtype})"


_FORMS: Mapping[str, Callable[[Emitter, Instruction, Sequence[str]], str]] = {
    "copy": _copy,
    "length": _length,
    "sum": _sum,
    "reshape": _reshape,
    "broadcast_to": _shaped,
    "sum_to": _shaped,
    "fitting_mask": _shaped,
    "random_bits": _shaped,
    "random_unit": _shaped,
    "subtensor": _subtensor,
    "set_subtensor": _write,
    "inc_subtensor": _write,
    "run_sums": _run_sums,
    "ifelse": lambda e, i, args: f"({args[1]} if {args[0]} else {args[2]})",
}

OPERATIONS = frozenset({*LOWERINGS, *SCIPY, *_FORMS, "scan"})
"""Every op that this backend runs itself."""
