"""Backends that repeat the body of a loop in a wrong way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from subtensor.graph.constants import constant
from subtensor.graph.nodes import OPS, Constant
from subtensor.graph.types import INDEX, TensorType
from subtensor.program.linear import Instruction, Program
from subtensor_conformance.known_bad.altered import Altered
from subtensor_conformance.known_bad.catalogue import known_bad

Change = Callable[[Instruction], Instruction]


def loops(change: Change) -> Callable[[Any], Altered]:
    """Every loop changed, those within loops too."""

    def program(p: Program) -> Program:
        def instruction(i: Instruction) -> Instruction:
            if i.repeat is None or i.body is None:
                return i
            return change(replace(i, body=program(i.body)))

        return replace(p, instructions=tuple(map(instruction, p.instructions)))

    return lambda good: Altered(good, program=program)


def repeating(**fields: Callable[[Instruction], Any]) -> Change:
    """Fields of ``repeat`` changed."""

    def change(i: Instruction) -> Instruction:
        assert i.repeat is not None
        return replace(i, repeat=replace(i.repeat, **{k: f(i) for k, f in fields.items()}))

    return change


def _next_states(choose: Callable[[Instruction, list[int]], Sequence[int]]) -> Change:
    """Other outputs of the body as the next states. choose: from the states' inputs, and what follows them."""

    def change(i: Instruction) -> Instruction:
        assert i.repeat is not None
        assert i.body is not None
        n = i.repeat.states
        new = choose(i, list(i.body.outputs[:n]))
        moved = _apart(i, n)
        assert moved.body is not None
        return replace(moved, body=replace(moved.body, outputs=(*new, *moved.body.outputs[n:])))

    return change


def _apart(i: Instruction, n: int) -> Instruction:
    """The loop with results, but for final states, taken from outputs of their own."""
    assert i.repeat is not None
    assert i.body is not None
    extra = list(i.body.outputs)
    results = []
    for r in i.repeat.results:
        if r.kind != "final" and r.output < n:
            extra.append(i.body.outputs[r.output])
            results.append(replace(r, output=len(extra) - 1))
        else:
            results.append(r)
    repeat = replace(i.repeat, results=tuple(results))
    return replace(i, repeat=repeat, body=replace(i.body, outputs=tuple(extra)))


def _state_inputs(i: Instruction) -> list[int]:
    assert i.repeat is not None
    first = i.repeat.sequences
    return list(range(first, first + i.repeat.states))


def _lost(i: Instruction, after: list[int]) -> list[int]:
    return _state_inputs(i)


def _taps_shifted(i: Instruction, after: list[int]) -> list[int]:
    """A state that takes over another's old value gets its new one."""
    inputs = _state_inputs(i)
    return [after[inputs.index(o)] if o in inputs and inputs.index(o) != k else o for k, o in enumerate(after)]


def _first_forgotten(i: Instruction, after: list[int]) -> list[int]:
    """In a gradient's loop, what the first state is given is not carried on."""
    assert i.repeat is not None
    return [_state_inputs(i)[0], *after[1:]] if i.repeat.reverse and after else after


def fewer(program: Program) -> Program:
    """One iteration less, where there is one."""
    types = list(program.types)
    extra: list[Constant] = []
    instructions: list[Instruction] = []
    if not any(i.repeat is not None for i in program.instructions):
        return program
    one, zero = constant(1, dtype=INDEX), constant(0, dtype=INDEX)
    extra = [one, zero]
    first = program.first_constant + len(program.constants)

    def moved(slot: int) -> int:
        return slot if slot < first else slot + len(extra)

    types[first:first] = [v.type for v in extra]
    for i in program.instructions:
        args = tuple(map(moved, i.args))
        new = replace(i, args=args, out=moved(i.out))
        if i.repeat is not None and not i.repeat.limited:
            less = len(types)
            types += [TensorType(INDEX), TensorType(INDEX)]
            instructions.append(_made("subtract", (args[0], first), less, i))
            instructions.append(_made("maximum", (less, first + 1), less + 1, i))
            results = tuple(replace(r, dims=tuple(d + 1 for d in r.dims)) for r in i.repeat.results)
            how = replace(i.repeat, limited=True, independent=False, results=results)
            new = replace(new, args=(args[0], less + 1, *args[1:]), repeat=how)
        instructions.append(new)
    commits = tuple(
        replace(
            c,
            value=None if c.value is None else moved(c.value),
            writes=tuple(replace(w, value=moved(w.value), inputs=tuple(map(moved, w.inputs))) for w in c.writes),
        )
        for c in program.commits
    )
    return replace(
        program, constants=(*program.constants, *extra), instructions=tuple(instructions), commits=commits,
        outputs=tuple(map(moved, program.outputs)), types=tuple(types),
    )  # fmt: skip


def _made(name: str, args: tuple[int, ...], out: int, like: Instruction) -> Instruction:
    return Instruction(OPS[name], args, {}, out, TensorType(INDEX), like.node)


def _without_last(execute: Any, program: Program, make: Any) -> Any:
    wanted = [
        k
        for k, o in enumerate(program.outputs)
        for i in program.instructions
        if i.repeat is not None and not i.repeat.reverse
        for slot, r in zip(i.outs, i.repeat.results, strict=True)
        if slot == o and r.kind == "stack"
    ]

    def run(inputs: Any, cells: Any) -> Any:
        results = list(execute(inputs, cells))
        for k in wanted:
            if len(results[k]):
                results[k] = np.array(results[k])
                results[k][-1] = 0
        return tuple(results)

    return run


known_bad(
    "loop-off-by-one", "a loop makes one iteration less", "loops", "value", lambda good: Altered(good, program=fewer)
)
known_bad(
    "loop-wrong-order",
    "a loop goes from the last element to the first, and the other way round",
    "loops",
    "value",
    loops(repeating(reverse=lambda i: i.repeat is not None and not i.repeat.reverse)),
)
known_bad(
    "loop-state-lost",
    "an iteration sees the initial state, not what the one before it gave",
    "loops",
    "value",
    loops(_next_states(_lost)),
)
known_bad(
    "loop-taps-shifted",
    "of two values that are carried, the older one is as new as the other",
    "loops",
    "value",
    loops(_next_states(_taps_shifted)),
    "taps|state",
)
known_bad(
    "loop-gradient-forgotten",
    "the cotangent of the first state is not carried from iteration to iteration",
    "loops",
    "value",
    loops(_next_states(_first_forgotten)),
    "gradient",
)
known_bad(
    "loop-last-write-lost",
    "the last of the values that a loop stacks is not stored",
    "loops",
    "value",
    lambda good: Altered(good, around=_without_last),
)
