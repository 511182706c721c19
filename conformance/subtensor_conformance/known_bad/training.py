"""Optimizers that go wrong over time: schedules, rows that wait, state from outside; norms, and rows without gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from subtensor.graph.nodes import Variable, call
from subtensor.optimizers.places import DensePlace, RowPlace
from subtensor.optimizers.rules import Step
from subtensor.optimizers.updates import Updates
from subtensor.optimizers.waiting import Lag
from subtensor.program.linear import Program
from subtensor_conformance.known_bad.altered import Altered, Array, Executable
from subtensor_conformance.known_bad.catalogue import known_bad
from subtensor_conformance.known_bad.optimizers import ASSEMBLY, instead, lower, module, wrong_optimizer


def _late(good: Any, assembly: Any, dtype: str) -> Variable:
    settings = assembly.s
    rate = settings.rate
    if callable(rate):
        settings.rate = lambda t: rate(t + 1)
    try:
        found: Variable = good(assembly, dtype)
    finally:
        settings.rate = rate
    return found


def _only_flushed_weights(good: Any, updates: Any) -> Any:
    return (pair for pair in good(updates) if pair[0] in updates.parameters or str(pair[0].name).endswith(".last"))


def _waiting_longer(good: Any, lag: Lag, place: Any) -> Any:
    later = Lag(lag.table, lag.rule, lag.slots, lag.last, lag.steps + 1, lag.rate, lag.keep)  # type: ignore[arg-type]  # a node
    return good(later, place)


def _rows_only(good: Any, assembly: Any, p: Any, w: Any, rate: Any, done: Step, stale: bool) -> Variable:
    new: Variable = good(assembly, p, w, rate, done, stale)
    if not isinstance(p, DensePlace):
        return new
    named = call("zeros_like", p.shared, "bool")
    for subset in p.subsets:
        named = named[subset.keys].set(True)
    return call("where", named, new, p.shared)


def _skipping_zeros(good: Any, place: RowPlace, x: Variable, value: Variable) -> Variable:
    g = place.gradient
    moves = call("any", call("not_equal", g, 0), tuple(range(1, g.ndim)))
    if value.ndim > 1:
        moves = call("expand_dims", moves, tuple(range(1, value.ndim)))
    written: Variable = good(place, x, call("where", moves, value, place.read(x)))
    return written


def _added_everywhere(good: Any, place: RowPlace, x: Variable, value: Variable) -> Variable:
    change: Variable = good(place, call("zeros_like", x), value - place.read(x))
    return x + change


def _scaled_up(good: Any, squares: Variable, bound: float) -> Variable:
    return bound / call("sqrt", squares)


def _by_occurrence(good: Any, place: RowPlace, g: Variable) -> Variable:
    squares = place.row_squares(g)
    if place.joined.runs is not None:
        squares = squares * place.joined.runs.sums(call("ones_like", place.joined.ids, g.dtype))
    return call("sum", squares)


def _wrapped_narrow(ids: Array, n: Any, of: object = None) -> Array:
    if ids.size and (int(ids.min()) < -int(n) or int(ids.max()) >= int(n)):
        raise IndexError("position out of range")
    return np.where(ids < 0, (ids.astype(np.int64) + int(n)).astype(ids.dtype), ids).astype(np.int64)


def _from_outside_ignored(execute: Executable, program: Program, make: Any) -> Executable:
    kept: list[Any] = []

    def run(inputs: Any, cells: Any) -> Any:
        for cell, value in zip(cells, kept, strict=False):
            cell.data = value
        try:
            return execute(inputs, cells)
        finally:
            kept[:] = [cell.data for cell in cells]

    return run


def _baked_in(execute: Executable, program: Program, make: Any) -> Executable:
    updated = {c.shared for c in program.commits}
    kept: dict[int, Any] = {}

    def run(inputs: Any, cells: Any) -> Any:
        for k, cell in enumerate(cells):
            if k not in updated:
                cell.data = kept.setdefault(k, cell.data)
        return execute(inputs, cells)

    return run


wrong_optimizer("schedule-ahead", "takes the learning rate of the next step", instead(ASSEMBLY, "rate", _late), tags="rate")  # fmt: skip
wrong_optimizer("waiting-rows-read-as-they-were", "reads rows that wait for steps as they were", instead(Updates, "_read", lambda good, updates, expressions: list(expressions)), "value|state", "catch up")  # fmt: skip
wrong_optimizer("waiting-one-step-more", "makes up for one step too many", instead(Lag, "current", _waiting_longer), "value|state", "catch up")  # fmt: skip
wrong_optimizer("flush-forgets-averages", "brings weights up to date in a flush, and not their history", instead(Updates, "_flushed", _only_flushed_weights), tags="catch up")  # fmt: skip
wrong_optimizer("dense-leaves-rows", "leaves rows without gradient alone where all are to take part", instead(ASSEMBLY, "_new_value", _rows_only), tags="dense")  # fmt: skip
wrong_optimizer("rows-without-gradient-skipped", "leaves rows alone whose gradient is zero", instead(RowPlace, "written", _skipping_zeros), tags="no gradient")  # fmt: skip
wrong_optimizer("zero-added-to-unused-rows", "adds zero to rows that a step does not use", instead(RowPlace, "written", _added_everywhere), "unused row", "special values")  # fmt: skip
wrong_optimizer("clip-scales-up", "gives gradients the norm that should bound them", instead(module("build"), "_shrink", _scaled_up), tags="clip")  # fmt: skip
wrong_optimizer("clip-counts-occurrences", "counts a row in the norm of all as often as it occurs", instead(RowPlace, "square_sum", _by_occurrence), tags="clip")  # fmt: skip
known_bad("row-numbers-wrap-narrow", "wraps negative row numbers in the dtype of the ids", "optimizers", "state|error|unused row", lower(row_numbers=_wrapped_narrow), "narrow")  # fmt: skip
known_bad("state-from-outside-ignored", "keeps a copy of the state, and does not notice when it is set", "optimizers", "resume|state|unused row", lambda good: Altered(good, around=_from_outside_ignored), "resume|set|grown")  # fmt: skip
known_bad("read-only-state-baked-in", "takes variables that it does not update for constants", "optimizers", "state", lambda good: Altered(good, around=_baked_in), "set")  # fmt: skip
