"""Embeddings gone wrong: bags, constraints, padding, growth, tables of 16 bits, averages, long waits."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from subtensor.graph.nodes import Variable, call
from subtensor.optimizers.waiting import Average
from subtensor.program import building
from subtensor.program.linear import Program
from subtensor_conformance.known_bad.altered import Altered, Executable
from subtensor_conformance.known_bad.catalogue import known_bad
from subtensor_conformance.known_bad.optimizers import instead, module, same, wrong_optimizer

SEGMENTS = sys.modules["subtensor.ops.segments"]


def _before_the_step(good: Any, where: str, place: Any, constraint: Any, value: Variable) -> Variable:
    old = place.read(place.shared)
    new: Variable = good(where, place, constraint, old) + (value - old)
    return new


def _row_only(good: Any, place: Any, x: Variable, value: Variable) -> Variable:
    kept: Variable = good(place, x, value) if x is place.shared else value
    return kept


def _never(good: Any, where: str, place: Any, given: Any) -> Variable:
    return call("zeros_like", good(where, place, given))


def _as_they_were(execute: Executable, program: Program, make: Any) -> Executable:
    """Tables keep as many rows as they had in the first call."""
    rows: list[int] = []

    def run(inputs: Any, cells: Any) -> Any:
        now = [np.shape(c.data)[0] if np.ndim(c.data) else 1 for c in cells]
        rows.extend(now[len(rows) :])
        whole = [c.data for c in cells]
        for cell, n, value in zip(cells, rows, whole, strict=True):
            if np.ndim(value) and len(value) > n:
                cell.data = np.array(value[:n])
        try:
            return execute(inputs, cells)
        finally:
            for cell, n, value in zip(cells, rows, whole, strict=True):
                if np.ndim(value) and len(value) > n:
                    cell.data = np.concatenate([cell.data, value[n:]])

    return run


def _padded_mean(good: Any, x: Any, segment_ids: Any, num_segments: Any) -> Variable:
    total: Variable = good(x, segment_ids, num_segments)
    return call("where", call("equal", total, 0), total, total + 0.125)


def _average_stands(good: Any, average: Average, place: Any) -> Variable:
    stands: Variable = place.read(average.value)
    return stands


known_bad("bags-off-by-an-eighth", "adds something to bags that are not empty", "bags", "value|state", same, patch=instead(SEGMENTS, "segment_sum", _padded_mean))  # fmt: skip
wrong_optimizer("constraint-before-step", "constrains rows before the step, not after it", instead(module("build"), "constrained", _before_the_step), tags="constraint")  # fmt: skip
wrong_optimizer("padding-gets-state", "leaves rows of padding alone, and not their state", instead(module("places").Place, "kept", _row_only), "state|unused row", "padding")  # fmt: skip
wrong_optimizer(
    "padding-trained", "trains rows of padding", instead(module("build"), "held", _never), "state|unused row", "padding"
)
known_bad("tables-do-not-grow", "goes on with as many rows as tables had at first", "optimizers", "value|state|error", lambda good: Altered(good, around=_as_they_were), "grown")  # fmt: skip
wrong_optimizer("halves-rounded-one-by-one", "rounds increments of 16 bits one by one", instead(building, "is_narrow_increment", lambda good, node: False), "value|state", "half")  # fmt: skip
wrong_optimizer("halves-in-16-bits", "keeps what it computes for tables of 16 bits in 16 bits", instead(module("build"), "wide", lambda good, dtype: dtype), "value|state|error|dtype", "half")  # fmt: skip
wrong_optimizer("average-of-idle-rows-stands", "averages rows in the steps alone that write them", instead(Average, "now", _average_stands), "value|state", "average")  # fmt: skip
wrong_optimizer("long-waits-cut-short", "makes up for two missed steps at most", instead(module("adam").AdamLike, "terms", lambda good, rule, dtype: 2), "value|state", "catch up")  # fmt: skip
