"""Why a call failed: the program again, one instruction at a time, with every rule of the frontend checked.

A backend only has to notice that something is wrong. Which error is raised, and its text, is decided here, so they
are the same on every backend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from subtensor.errors import ShapeError, SubtensorError
from subtensor.graph.nodes import Array
from subtensor.graph.types import TensorType
from subtensor.program.linear import Instruction, Program

Evaluate = Callable[[Instruction, Sequence[Array]], Any]


@dataclass(frozen=True, slots=True)
class Value:
    """A run-time value, as the rules of ops look at it."""

    known: Array
    label: str

    @property
    def type(self) -> TensorType:
        return TensorType(self.known.dtype.name, self.known.shape)


def diagnose(
    program: Program, inputs: Sequence[Array], state: Sequence[Array], evaluate: Evaluate
) -> list[Value] | None:
    """Raise the error that the frontend defines for this call, if it defines one; nothing is changed.

    evaluate: computes one instruction on NumPy arrays; a loop gives a tuple. Returns the outputs, or None where
    something fails of which the frontend knows nothing.
    """
    leaves = [*program.inputs, *program.shared, *program.constants]
    known = [*inputs, *state, *(c.data for c in program.constants)]
    slots = [Value(np.asarray(v), leaf.label) for v, leaf in zip(known, leaves, strict=True)]
    for instruction in program.instructions:
        args = [slots[a] for a in instruction.args]
        op, params = instruction.op, instruction.params
        if instruction.repeat is None:
            op.infer(*args, **params)
            if op.check is not None:
                op.check(*args, **params)
        if instruction.repeat is not None:
            _check_loop(instruction, args)
            if not _diagnose_loop(instruction, [a.known for a in args], evaluate):
                return None
        try:
            with np.errstate(all="ignore"):
                result = evaluate(instruction, [a.known for a in args])
        except Exception:  # noqa: BLE001  # nothing that the frontend defines: the caller raises what the backend did
            return None
        results = [result] if instruction.repeat is None else result
        slots += [Value(np.asarray(r), node.label) for r, node in zip(results, instruction.nodes, strict=True)]
    for commit in program.commits:
        target = slots[program.first_shared + commit.shared]
        for write in commit.writes:
            value, *index_inputs = (slots[i] for i in (write.value, *write.inputs))
            rule = write.node.op
            assert rule is not None
            rule.infer(target, value, *index_inputs, index=write.index)
            if rule.check is not None:
                rule.check(target, value, *index_inputs, index=write.index)
    return [slots[o] for o in program.outputs]


def _check_loop(instruction: Instruction, args: Sequence[Value]) -> None:
    """The rule of each quantity of a loop, on what it needs."""
    how, body = instruction.repeat, instruction.body
    assert how is not None
    assert body is not None
    given = dict(zip(body.inputs, args[how.first : how.taken], strict=True))
    for node, result in zip(instruction.nodes, how.results, strict=True):
        needed = [given[p] for p in how.loop.needed([node.params["output"]])]
        instruction.op.infer(*args[: how.first], *(args[d] for d in result.dims), *needed, **node.params)


def _diagnose_loop(instruction: Instruction, args: Sequence[Array], evaluate: Evaluate) -> bool:
    """The body, iteration by iteration; an error is told with its iteration. False where something else fails."""
    how, body = instruction.repeat, instruction.body
    assert how is not None
    assert body is not None
    count = int(args[how.first - 1])
    order = range(count - 1, -1, -1) if how.reverse else range(count)
    first = how.first + how.sequences
    states = list(args[first : first + how.states])
    captured = args[first + how.states : how.taken]
    for t in order:
        elements = [x[t] for x in args[how.first : first]]
        try:
            outputs = diagnose(body, [*elements, *states, *captured], (), evaluate)
            if outputs is None:
                return False
            for place, old, new in zip(body.inputs[how.sequences :], states, outputs, strict=False):
                if old.shape != new.known.shape:
                    raise ShapeError(
                        f"the state {place.label} has shape {old.shape}, and its next value, {new.label}, has "
                        f"{new.known.shape}; expected the same"
                    )
        except SubtensorError as error:
            raise type(error)(f"{error}, in iteration {t} of {how.loop.label}") from error
        states = [v.known for v in outputs[: how.states]]
        if how.stops and bool(outputs[how.states].known):
            break
    return True
