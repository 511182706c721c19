"""Programs: what a backend is given.

A program is straight-line: constants, inputs and shared values lie in numbered slots, and each instruction fills one
more. The dtypes are decided, every index is an ``Index``, and who owns which buffer is worked out here, once:

- ``Instruction.overwrites``: an argument's buffer that holds nothing needed later, so that the result may go there;
- ``copy`` instructions wherever a result could share memory with an input, a constant or the state;
- the commits: each updated shared variable is replaced, or some of its elements are written in place.

A backend computes all slots, and checks all indices; only then does it commit (see ``commit``).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from subtensor.graph.indexing import Index, Slice
from subtensor.graph.nodes import (
    Array,
    Constant,
    Op,
    Params,
    Variable,
    define,
)
from subtensor.graph.shared import SharedVariable
from subtensor.graph.types import TensorType
from subtensor.ops.loop import STACK
from subtensor.ops.subtensor import is_write
from subtensor.program.loops import Repeat

copy_op = define(
    "copy",
    infer=lambda x: x.type,
    vjp=lambda g, out, x: [g],
    dims=lambda axis, x: (x, axis),
    fresh=True,
)
"""``copy(x)``: x in a buffer of its own. Only programs hold it."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """``slots[out] = op(*slots[args], **params)``.

    overwrites: position in `args` of a buffer that may be destroyed to hold the result, or None.
    node: the graph node, for error messages. more: for a loop, the nodes of further results, which are in the slots
    after `out`. repeat, body: how a loop repeats the program of its body.
    """

    op: Op
    args: tuple[int, ...]
    params: Params
    out: int
    type: TensorType
    node: Variable
    overwrites: int | None = None
    body: Program | None = None
    more: tuple[Variable, ...] = ()
    repeat: Repeat | None = None

    @property
    def outs(self) -> range:
        """The slots that it fills."""
        return range(self.out, self.out + 1 + len(self.more))

    @property
    def nodes(self) -> tuple[Variable, ...]:
        """What it computes."""
        return (self.node, *self.more)


@dataclass(frozen=True, slots=True)
class Write:
    """Elements written in place: ``shared[index] = value``, or added to.

    kind: ``set`` or ``inc``. value: slot. inputs: slots of the index inputs. checked: whether the program has already
    read at the same index of the same variable, so that positions are known to be in range.
    """

    kind: str
    index: Index
    value: int
    inputs: tuple[int, ...]
    checked: bool
    node: Variable


@dataclass(frozen=True, slots=True)
class Commit:
    """The update of one shared variable: its new value in a slot, or writes into the old one, in order."""

    shared: int
    value: int | None = None
    writes: tuple[Write, ...] = ()


@dataclass(frozen=True, slots=True)
class Program:
    """See the module. Slots: inputs first, then shared values, constants, results of instructions.

    name: for messages. inputs, shared, constants: the nodes in the first slots. outputs: slots. commits: at most one
    for each shared variable.
    """

    name: str
    inputs: tuple[Variable, ...]
    shared: tuple[SharedVariable, ...]
    constants: tuple[Constant, ...]
    instructions: tuple[Instruction, ...]
    outputs: tuple[int, ...]
    commits: tuple[Commit, ...] = ()
    types: tuple[TensorType, ...] = field(default=(), repr=False)

    @property
    def first_shared(self) -> int:
        return len(self.inputs)

    @property
    def first_constant(self) -> int:
        return len(self.inputs) + len(self.shared)

    def known(self, slot: int) -> Array | None:
        """The value of a slot that holds a constant."""
        i = slot - self.first_constant
        return self.constants[i].data if 0 <= i < len(self.constants) else None

    def __str__(self) -> str:
        lines = [f"program {self.name}"]
        for i, v in enumerate(self.inputs):
            lines.append(f"  %{i} = input {v.label}: {v.type}")
        for i, s in enumerate(self.shared, self.first_shared):
            lines.append(f"  %{i} = shared {s.label}: {s.type}")
        for i, c in enumerate(self.constants, self.first_constant):
            lines.append(f"  %{i} = constant {c.label}: {c.type}")
        for instruction in self.instructions:
            args = ", ".join(f"%{a}" for a in instruction.args)
            told = {"repeat": instruction.repeat} if instruction.repeat else instruction.params
            params = "".join(f", {k}={v}" for k, v in told.items())
            into = "" if instruction.overwrites is None else f"  (over %{instruction.args[instruction.overwrites]})"
            outs = ", ".join(f"%{o}" for o in instruction.outs)
            types = ", ".join(str(n.type) for n in instruction.nodes)
            lines.append(f"  {outs} = {instruction.op.name}({args}{params}): {types}{into}")
        lines.extend(f"  output %{o}" for o in self.outputs)
        for commit in self.commits:
            target = self.shared[commit.shared].label
            if commit.value is not None:
                lines.append(f"  commit {target} = %{commit.value}")
            for w in commit.writes:
                spelled = w.index.spell([f"%{i}" for i in w.inputs])
                lines.append(f"  commit {target}[{spelled}] {'=' if w.kind == 'set' else '+='} %{w.value}")
        return "\n".join(lines)


# --- shapes that depend on values


_DIMS = frozenset({"reshape", "broadcast_to", "sum_to", "random_bits", "random_unit"})
"""Ops whose arguments after the first one are lengths."""


def needs_dynamic_shapes(program: Program, lengths: Collection[int] = ()) -> bool:
    """Whether shapes depend on more than the shapes of inputs and shared variables: the capability ``dynamic_shapes``.

    That is so where ``flatnonzero`` has a mask, or ``arange``, a bound of a slice, or a length of ``reshape``,
    ``broadcast_to``, ``sum_to`` or random numbers an argument, that is not computed from lengths and constants alone;
    likewise the number of elements of a loop that stacks. lengths: inputs of the program that are lengths.
    """
    static = {*lengths} | {slot for slot in range(len(program.types)) if program.known(slot) is not None}
    for i in program.instructions:
        if i.op.name == "length" or (i.args and i.repeat is None and static.issuperset(i.args)):
            static.update(i.outs)
            continue
        shaping: Sequence[int] = ()
        if i.op.name in ("flatnonzero", "arange"):
            shaping = i.args
        elif i.op.name in _DIMS:
            shaping = i.args[1:]
        elif "index" in i.params:
            shaping = _bounds(i.params["index"], i.args[1 + is_write(i.node) :])
        elif i.repeat is not None and any(r.kind == STACK for r in i.repeat.results):
            shaping = i.args[:1]
        if not static.issuperset(shaping):
            return True
        if i.repeat is not None and i.body is not None:
            given = i.args[i.repeat.first : i.repeat.taken]
            known = [k for k, slot in enumerate(given) if slot in static and not i.body.types[k].ndim]
            if needs_dynamic_shapes(i.body, known):
                return True
    return any(not static.issuperset(_bounds(w.index, w.inputs)) for c in program.commits for w in c.writes)


def _bounds(index: Index, inputs: Sequence[int]) -> list[int]:
    """The slots of the bounds of slices that are known at run time."""
    return [inputs[ref.slot] for part in index.parts if isinstance(part, Slice) for ref in part.refs]
