"""Why a call failed: the program again, one instruction at a time, with every rule of the frontend checked.

A backend only has to notice that something is wrong. Which error is raised, and its text, is decided here, so they
are the same on every backend.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

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


def diagnose(program: Program, inputs: Sequence[Array], state: Sequence[Array], evaluate: Evaluate) -> None:
    """Raise the error that the frontend defines for this call, if it defines one; nothing is changed.

    evaluate: computes one instruction on NumPy arrays.
    """
    leaves = [*program.inputs, *program.shared, *program.constants]
    known = [*inputs, *state, *(c.data for c in program.constants)]
    slots = [Value(np.asarray(v), leaf.label) for v, leaf in zip(known, leaves, strict=True)]
    for instruction in program.instructions:
        args = [slots[a] for a in instruction.args]
        op, params = instruction.op, instruction.params
        op.infer(*args, **params)
        if op.check is not None:
            op.check(*args, **params)
        if instruction.body is not None:
            _diagnose_rows(instruction.body, params["body"].rows, [a.known for a in args], evaluate)
        try:
            with np.errstate(all="ignore"):
                result = evaluate(instruction, [a.known for a in args])
        except Exception:  # noqa: BLE001  # nothing that the frontend defines: the caller raises what the backend did
            return
        slots.append(Value(np.asarray(result), instruction.node.label))
    for commit in program.commits:
        target = slots[program.first_shared + commit.shared]
        for write in commit.writes:
            value, *index_inputs = (slots[i] for i in (write.value, *write.inputs))
            rule = write.node.op
            assert rule is not None
            rule.infer(target, value, *index_inputs, index=write.index)
            if rule.check is not None:
                rule.check(target, value, *index_inputs, index=write.index)


def _diagnose_rows(body: Program, rows: int, args: Sequence[Array], evaluate: Evaluate) -> None:
    """The body of ``map_rows``, once for each row of the first `rows` arguments."""
    given = args[: len(body.inputs)]
    for k in range(len(given[0])):
        diagnose(body, [*(a[k] for a in given[:rows]), *given[rows:]], (), evaluate)
