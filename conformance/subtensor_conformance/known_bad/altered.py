"""Wrappers that make a good backend bad: other lowerings for some ops, another program, another way to run it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from subtensor.graph.indexing import Index
from subtensor.graph.nodes import Op
from subtensor.program.linear import Commit, Instruction, Program, Write

Array: TypeAlias = Any
Lowering = Callable[..., Any]
Executable = Callable[[tuple[Array, ...], tuple[Any, ...]], tuple[Array, ...]]
WRITES = ("set_subtensor", "inc_subtensor")


class Altered:
    """A backend that runs programs as `good` does, but for what is altered.

    lower: op name → function of arrays and parameters that takes the op's place. program: changes each program.
    around: ``(execute, program, compile) -> execute``. capabilities: what is declared instead.
    """

    def __init__(
        self,
        good: Any,
        *,
        lower: Mapping[str, Lowering] | None = None,
        program: Callable[[Program], Program] | None = None,
        around: Callable[[Executable, Program, Callable[[Program], Executable]], Executable] | None = None,
        capabilities: frozenset[str] | None = None,
        compiling: Callable[[Program], None] | None = None,
    ) -> None:
        self.good = good
        self.name = good.name
        self.spec_version = good.spec_version
        self.capabilities = good.capabilities if capabilities is None else capabilities
        self.operations = good.operations
        self.lower = dict(lower or {})
        self.program = program
        self.around = around
        self.compiling = compiling
        self.bounds: dict[str, float] = {}
        self.conformance_delegates = frozenset({good.name})

    @property
    def conformance_bounds(self) -> dict[str, float]:
        return self.bounds

    def compile(self, program: Program, *, lowerings: Mapping[str, Lowering]) -> Executable:
        if self.compiling is not None:
            self.compiling(program)

        def make(program: Program) -> Executable:
            if self.program is not None:
                program = self.program(program)
            if any(name in self.lower for name in WRITES):
                program = without_writes(program)
            table = {f"altered_{name}": _named(f) for name, f in self.lower.items()}
            made: Executable = self.good.compile(_renamed(program, self.lower), lowerings={**lowerings, **table})
            return made

        execute = make(program)
        return execute if self.around is None else self.around(execute, program, make)

    def from_numpy(self, value: Array) -> Array:
        return self.good.from_numpy(value)

    def to_numpy(self, array: Array) -> Array:
        return self.good.to_numpy(array)


def _named(f: Lowering) -> Lowering:
    def altered(*args: Any, **params: Any) -> Any:
        return f(*args, **params)

    return altered


def _renamed(program: Program, names: Mapping[str, Lowering]) -> Program:
    """Instructions of the ops named get an op that only the given lowerings know."""

    def instruction(i: Instruction) -> Instruction:
        body = None if i.body is None else _renamed(i.body, names)
        if i.op.name not in names:
            return i if body is i.body else replace(i, body=body)
        op = Op(name=f"altered_{i.op.name}", infer=i.op.infer, vjp=i.op.vjp)
        return replace(i, op=op, overwrites=None, body=body)

    return replace(program, instructions=tuple(map(instruction, program.instructions)))


def without_writes(program: Program) -> Program:
    """The program with each write into a shared variable as an instruction, and the variable replaced by the result."""
    instructions, types, commits = list(program.instructions), list(program.types), []
    for c in program.commits:
        slot = program.first_shared + c.shared
        for w in c.writes:
            made = len(types)
            instructions.append(_as_instruction(w, slot, made, types[slot]))
            types.append(types[slot])
            slot = made
        commits.append(c if c.value is not None else Commit(c.shared, slot))
    return replace(program, instructions=tuple(instructions), commits=tuple(commits), types=tuple(types))


def _as_instruction(w: Write, base: int, out: int, kind: Any) -> Instruction:
    assert w.node.op is not None
    return Instruction(w.node.op, (base, w.value, *w.inputs), {"index": w.index}, out, kind, w.node)


# --- indices on NumPy arrays


def key_of(index: Index, inputs: tuple[Array, ...]) -> tuple[Any, ...]:
    """The index as NumPy takes it, but for two things: it lets uint64 wrap, and writes in the order of index arrays."""
    if any(np.asarray(i).dtype == np.uint64 and np.max(i, initial=0) > np.iinfo(np.int64).max for i in inputs):
        raise IndexError("position out of range")
    return index.key([np.asarray(i, order="C") if np.ndim(i) else int(i) for i in inputs])


def get(x: Array, *inputs: Array, index: Index) -> Array:
    return np.asarray(x)[key_of(index, inputs)]


def put(x: Array, y: Array, *inputs: Array, index: Index) -> Array:
    result = np.array(x, order="C")
    result[(*key_of(index, inputs), Ellipsis)] = y
    return result


def add(x: Array, y: Array, *inputs: Array, index: Index) -> Array:
    result = np.array(x, order="C")
    np.add.at(result, key_of(index, inputs), y)
    return result


def with_key(change: Callable[..., Any]) -> dict[str, Lowering]:
    """Lowerings of the three index ops over a changed key: ``change(part, length) -> part`` for each axis."""

    def changed(x: Array, index: Index, inputs: tuple[Array, ...]) -> tuple[Any, ...]:
        return tuple(change(part, n) for part, n in zip(key_of(index, inputs), np.shape(x), strict=True))

    def getting(x: Array, *inputs: Array, index: Index) -> Array:
        return np.asarray(x)[changed(x, index, inputs)]

    def setting(x: Array, y: Array, *inputs: Array, index: Index) -> Array:
        result = np.array(x, order="C")
        result[(*changed(x, index, inputs), Ellipsis)] = y
        return result

    def adding(x: Array, y: Array, *inputs: Array, index: Index) -> Array:
        result = np.array(x, order="C")
        np.add.at(result, (*changed(x, index, inputs), Ellipsis), y)
        return result

    return {"subtensor": getting, "set_subtensor": setting, "inc_subtensor": adding}
