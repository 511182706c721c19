"""Why a call failed: the program again, one instruction at a time, with every rule of the frontend checked.

A backend only has to notice that something is wrong. Which error is raised, and its text, is decided here, so they
are the same on every backend.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from subtensor.errors import ShapeError, SubtensorError
from subtensor.graph.cells import Cell
from subtensor.graph.nodes import OPS, Array, Input, Variable, toposort
from subtensor.graph.shared import SharedVariable
from subtensor.graph.types import TensorType
from subtensor.program.building import build
from subtensor.program.linear import Instruction, Program

Evaluate = Callable[[Instruction, Sequence[Array]], Any]


@dataclass(frozen=True, slots=True)
class Value:
    """A run-time value, as the rules of ops look at it."""

    known: Array
    label: str
    node: Variable | None = None

    @property
    def type(self) -> TensorType:
        return TensorType(self.known.dtype.name, self.known.shape)


def unexpanded(
    name: str,
    inputs: Sequence[Variable],
    outputs: Sequence[Variable],
    updates: Sequence[tuple[SharedVariable, Variable]],
) -> Program:
    """A program in the ops that the graph is made of."""
    own = {n.op.name for n in toposort([*outputs, *(e for _, e in updates)]) if n.op is not None}
    return build(name, inputs, outputs, updates, own | set(OPS), "numpy")


def diagnose_at(
    program: Program,
    inputs: Sequence[Array],
    cells: Sequence[Cell],
    evaluate: Evaluate,
    operations: Collection[str],
) -> list[Value] | None:
    """``diagnose``, for the values that lie in `cells`.

    A value that is divided over many devices may be too large for this one's memory. Two that take none stand in for
    it first: an error that both give, in the same words, is not one of its values.
    """
    if any(c.is_divided for c in cells):
        told = []
        for fill in (0, 1):
            state = [np.broadcast_to(np.asarray(fill, c.dtype), c.shape) if c.is_divided else c.read() for c in cells]
            try:
                diagnose(program, inputs, state, evaluate, operations)
            except SubtensorError as error:
                told.append(error)
        if len(told) == 2 and type(told[0]) is type(told[1]) and str(told[0]) == str(told[1]):
            raise told[0]
    return diagnose(program, inputs, [c.read() for c in cells], evaluate, operations)


def diagnose(
    program: Program,
    inputs: Sequence[Array],
    state: Sequence[Array],
    evaluate: Evaluate,
    operations: Collection[str],
) -> list[Value] | None:
    """Raise the error that the frontend defines for this call, if it defines one; nothing is changed.

    evaluate: computes one instruction on NumPy arrays, for the ops among `operations`; a loop gives a tuple. Others are
    expanded here, after their own rules have been asked. Returns the values of all slots, or None where something fails
    of which the frontend knows nothing.
    """
    _check_beside(program.shared, state)
    leaves = [*program.inputs, *program.shared, *program.constants]
    known = [*inputs, *state, *(c.data for c in program.constants)]
    values = [Value(np.asarray(v), leaf.label) for v, leaf in zip(known, leaves, strict=True)]
    slots = _run(program, values, evaluate, operations)
    if slots is None:
        return None
    for commit in program.commits:
        target = slots[program.first_shared + commit.shared]
        for write in commit.writes:
            value, *index_inputs = (slots[i] for i in (write.value, *write.inputs))
            rule = write.node.op
            assert rule is not None
            rule.infer(target, value, *index_inputs, index=write.index)
            if rule.check is not None:
                rule.check(target, value, *index_inputs, index=write.index)
    return slots


def _check_beside(shared: Sequence[SharedVariable], values: Sequence[Array]) -> None:
    """Raises ShapeError where the state of an optimizer has not as many rows as its table."""
    rows = {s: np.shape(v)[0] for s, v in zip(shared, values, strict=True) if np.ndim(v)}
    for s, n in rows.items():
        table = s.beside
        if table is not None and rows.get(table, n) != n:
            raise ShapeError(
                f"{s.label} has {n} rows, {table.label} has {rows[table]}: grow them together, by updates.grow("
                f"{table.label}, rows), or bring the state up to the table, by updates.grow({table.label}, [])"
            )


def _run(
    program: Program, values: Sequence[Value], evaluate: Evaluate, operations: Collection[str]
) -> list[Value] | None:
    """The values of all slots, given those of the leaves; None where something fails of which no rule speaks."""
    slots = list(values)
    for instruction in program.instructions:
        args = [slots[a] for a in instruction.args]
        op, params = instruction.op, instruction.params
        if instruction.repeat is None:
            op.infer(*args, **params)
            if op.check is not None:
                op.check(*args, **params)
        else:
            _check_loop(instruction, args)
            if not _diagnose_loop(instruction, [a.known for a in args], evaluate, operations):
                return None
        if instruction.repeat is None and op.name not in operations and op.expand is not None:
            results = _run_expanded(instruction, args, evaluate, operations)
        else:
            results = _evaluated(instruction, args, evaluate)
        if results is None:
            return None
        slots += [Value(r, node.label, node) for r, node in zip(results, instruction.nodes, strict=True)]
    return slots


def _evaluated(instruction: Instruction, args: Sequence[Value], evaluate: Evaluate) -> list[Array] | None:
    try:
        with np.errstate(all="ignore"):
            result = evaluate(instruction, [a.known for a in args])
    except Exception:  # noqa: BLE001  # nothing that the frontend defines: the caller raises what the backend did
        return None
    return [np.asarray(r) for r in ([result] if instruction.repeat is None else result)]


def _run_expanded(
    instruction: Instruction, args: Sequence[Value], evaluate: Evaluate, operations: Collection[str]
) -> list[Array] | None:
    """The value of an op through its expansion, with the rules of every op in that."""
    op = instruction.op
    assert op.expand is not None
    inputs = [Input(TensorType(a.type.dtype, (None,) * a.type.ndim), name=a.label) for a in args]
    program = unexpanded(op.name, inputs, [op.expand(*inputs, **instruction.params)], [])
    leaves = [Value(c.data, c.label) for c in program.constants]
    slots = _run(program, [*args, *leaves], evaluate, operations)
    return None if slots is None else [slots[program.outputs[0]].known]


def _check_loop(instruction: Instruction, args: Sequence[Value]) -> None:
    """The rule of each quantity of a loop, on what it needs."""
    how, body = instruction.repeat, instruction.body
    assert how is not None
    assert body is not None
    given = dict(zip(body.inputs, args[how.first : how.taken], strict=True))
    for node, result in zip(instruction.nodes, how.results, strict=True):
        needed = [given[p] for p in how.loop.needed([node.params["output"]])]
        instruction.op.infer(*args[: how.first], *(args[d] for d in result.dims), *needed, **node.params)


def _diagnose_loop(
    instruction: Instruction, args: Sequence[Array], evaluate: Evaluate, operations: Collection[str]
) -> bool:
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
            slots = diagnose(body, [*elements, *states, *captured], (), evaluate, operations)
            if slots is None:
                return False
            outputs = [slots[o] for o in body.outputs]
            for place, old, new in zip(body.inputs[how.sequences :], states, outputs, strict=False):
                if old.shape != new.known.shape:
                    raise ShapeError(
                        f"the state {place.label} has shape {old.shape}, and its next value, {new.label}, has "
                        f"{new.known.shape}; expected the same"
                    )
        except SubtensorError as error:
            raise type(error)(f"{error}, {how.loop.at(t)}") from error
        states = [v.known for v in outputs[: how.states]]
        if how.stops and bool(outputs[how.states].known):
            break
    return True
