"""Loops as one Python function each: the body as straight-line code in a ``for``, and outputs allocated once.

What a loop returns is new memory. A state may be written over where nothing else holds its buffer (the program says
so); its initial value is then copied first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from subtensor.ops.loop import FINAL, LAST, STACK
from subtensor.program.linear import Instruction, Program
from subtensor.program.loops import Repeat, Result
from subtensor_numpy.blocks import Memory


class Inner(Protocol):
    """What writes a body: an emitter, as far as a loop needs to know it."""

    program: Program
    memory: Memory
    space: dict[str, Any]
    lines: list[str]

    def body(self) -> None:
        """Write the lines."""

    def slot(self, slot: int) -> str:
        """The expression for a slot."""


def loop_function(inner: Inner, i: Instruction, lazy: Sequence[bool]) -> Callable[..., tuple[Any, ...]]:
    """The function of an instruction's arguments that gives all its results.

    inner: an emitter for the body. lazy: for each result, whether only an iteration tells its lengths.
    """
    how = i.repeat
    assert how is not None
    writer = _Writer(inner, how, [n.type.dtype for n in i.nodes], lazy)
    source = writer.source(len(i.args))
    exec(compile(source, f"<subtensor {inner.program.name}>", "exec"), inner.space)  # noqa: S102  # our own source
    made: Callable[..., tuple[Any, ...]] = inner.space["loop"]
    made.source = source  # type: ignore[attr-defined]  # for those who want to read it
    return made


class _Writer:
    """Writes one loop. In it ``v3`` is a slot of the body, ``a3`` an argument, ``r3`` a result."""

    def __init__(self, inner: Inner, how: Repeat, dtypes: Sequence[str], lazy: Sequence[bool]) -> None:
        self.inner = inner
        self.how = how
        self.dtypes = dtypes
        self.lazy = lazy
        program = inner.program
        self.states = range(how.sequences, how.sequences + how.states)
        self.outputs = program.outputs
        self.roots = [inner.memory.roots[o] for o in program.outputs]
        self.leaves = range(program.first_constant + len(program.constants))
        self.sparse = how.limited or how.stops

    def _passes_on(self, k: int) -> bool:
        """Whether the buffer of a state goes on to be its own."""
        overwritten = {
            root
            for i in self.inner.program.instructions
            if i.overwrites is not None
            for root in self.inner.memory.roots[i.args[i.overwrites]]
        }
        return self.states[k] in overwritten

    def _is_own(self, r: Result) -> bool:
        """Whether what a result is made of lies in memory that nothing else holds, once an iteration has been made."""
        roots = self.roots[r.output]
        others = [x.output for x in self.how.results if x is not r and x.kind != STACK]
        own = {self.states[r.output]} if r.kind == FINAL and self._passes_on(r.output) else set()
        return not any(root in self.leaves and root not in own for root in roots) and not any(
            roots & self.roots[o] for o in others
        )

    def source(self, count: int) -> str:
        how, inner = self.how, self.inner
        inner.body()
        inner.space.update(empty=np.empty, zeros=np.zeros, array=np.array)
        lines = ["n = int(a0)", f"m = {'min(n, int(a1))' if how.limited else 'n'}"]
        sequences = [f"a{how.first + k}" for k in range(how.sequences)]
        wrong = " or ".join(["n < 0", *(f"len({s}) != n" for s in sequences)])
        lines += [f"if {wrong}:", "    raise ValueError('a loop over other numbers of elements')"]
        for k, slot in enumerate(range(how.sequences, how.sequences + how.states + how.captured)):
            value = f"a{how.first + slot}"
            lines.append(
                f"v{slot} = array({value}, order='C')"
                if k < how.states and self._passes_on(k)
                else f"v{slot} = {value}"
            )
        stacks = [(k, r) for k, r in enumerate(how.results) if r.kind == STACK]
        lines += [f"r{k} = {'None' if self.lazy[k] else self._allocated(k, r)}" for k, r in stacks]
        lines.append("for t in range(m - 1, -1, -1):" if how.reverse else "for t in range(m):")
        body = [f"v{k} = {s}[t]" for k, s in enumerate(sequences)]
        body += inner.lines
        body += self._shape_checks()
        for k, r in stacks:
            value = inner.slot(self.outputs[r.output])
            if self.lazy[k]:
                body += [
                    f"if r{k} is None:",
                    f"    r{k} = {'zeros' if self.sparse else 'empty'}((n, *{value}.shape), {self.dtypes[k]!r})",
                    f"elif r{k}.shape[1:] != {value}.shape:",
                    "    raise ValueError('values of several shapes')",
                ]
            body.append(f"r{k}[t] = {value}")
        lasts = [(k, inner.slot(self.outputs[r.output])) for k, r in enumerate(how.results) if r.kind == LAST]
        body += [f"r{k} = {value}" for k, value in lasts]
        news = [inner.slot(o) for o in self.outputs[: how.states]]
        olds = [f"v{s}" for s in self.states]
        moved = [(old, new) for old, new in zip(olds, news, strict=True) if old != new]
        stop = f"x = {inner.slot(self.outputs[how.states])}" if how.stops else ""
        body += [stop] if stop else []
        if moved:
            body.append(f"{', '.join(o for o, _ in moved)} = {', '.join(n for _, n in moved)}")
        if stop:
            body += ["if x:", "    break"]
        lines += [f"    {line}" for line in body] or ["    pass"]
        lines += self._results(stacks)
        args = ", ".join(f"a{k}" for k in range(count))
        return f"def loop({args}):\n    " + "\n    ".join(lines) + "\n"

    def _allocated(self, k: int, r: Result) -> str:
        dims = "".join(f"a{d}, " for d in r.dims)
        return f"{'zeros' if self.sparse else 'empty'}((n, {dims}), {self.dtypes[k]!r})"

    def _shape_checks(self) -> list[str]:
        """Whether states keep their shapes, where that is not known."""
        types = self.inner.program.types
        checks = []
        for k, slot in enumerate(self.states):
            old, new = types[slot], types[self.outputs[k]]
            if slot != self.outputs[k] and (None in old.shape or None in new.shape):
                checks.append(f"{self.inner.slot(self.outputs[k])}.shape != v{slot}.shape")
        return [f"if {' or '.join(checks)}:", "    raise ValueError('a state changes its shape')"] if checks else []

    def _results(self, stacks: Sequence[tuple[int, Result]]) -> list[str]:
        """Lines that bring results into their final form, and return them."""
        how = self.how
        lines = []
        for k, r in stacks:
            if self.lazy[k]:
                dims = "".join(f"max(0, a{d}), " for d in r.dims)
                lines += [f"if r{k} is None:", f"    r{k} = zeros((n, {dims}), {self.dtypes[k]!r})"]
        if any(r.kind == LAST for r in how.results):
            lines += ["if not m:", "    raise ValueError('no last value')"]
        names = []
        for k, r in enumerate(how.results):
            name = f"r{k}" if r.kind != FINAL else f"v{self.states[r.output]}"
            if r.kind != STACK:
                own = self._is_own(r)
                if not own:
                    name = f"array({name}, order='C')"
                elif r.kind == FINAL and not self._passes_on(r.output):
                    name = f"{name} if m else array({name}, order='C')"
            names.append(name)
        lines.append(f"return ({', '.join(names)},)")
        return lines
