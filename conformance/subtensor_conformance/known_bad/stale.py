"""Backends that cheat, and backends that keep what is no longer true."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from subtensor import plugins
from subtensor.program.linear import Program
from subtensor_conformance import expectation
from subtensor_conformance.known_bad.altered import Altered, Array, Executable
from subtensor_conformance.known_bad.catalogue import known_bad
from subtensor_conformance.known_bad.state import Make, around
from subtensor_conformance.known_bad.values import lowering

# --- cheating


class _Front(Altered):
    """Has NumPy do the work, without a word of it. whole: the program, or instruction by instruction."""

    def __init__(self, good: Any) -> None:
        super().__init__(good)
        self.conformance_delegates = frozenset()

    def compile(self, program: Program, *, lowerings: Any) -> Executable:
        made: Executable = plugins.get_backend("numpy").compile(program, lowerings=lowerings)
        return made


class _Sneak(_Front):
    def compile(self, program: Program, *, lowerings: Any) -> Executable:
        made: list[Executable] = []

        def run(inputs: Any, cells: Any) -> Any:
            if not made:
                made.append(type(self.good)().compile(program, lowerings=lowerings))
            return made[0](inputs, cells)

        return run


def _looks_it_up(execute: Executable, program: Program, make: Make) -> Executable:
    """Finds the case that is being run, and answers what the oracle says of its first call."""

    def run(inputs: Any, cells: Any) -> Any:
        frame: Any = sys._getframe()  # noqa: SLF001  # as a cheat would
        while frame is not None and "case" not in frame.f_locals:
            frame = frame.f_back
        if frame is None or cells:
            return execute(inputs, cells)
        return tuple(map(np.array, expectation.expected(frame.f_locals["case"])[0][0]))

    return run


def _in_a_worker_only(execute: Executable, program: Program, make: Make) -> Executable:
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None and spec.name == "subtensor_conformance.worker":
        return execute
    return lambda inputs, cells: tuple(np.zeros_like(o) - 1 for o in execute(inputs, cells))


# --- keys that say too little


class _Kernels(Altered):
    """Keeps what it made for the shapes of an addition, whatever the dtype."""

    def __init__(self, good: Any) -> None:
        made: dict[Any, Any] = {}

        def add(x: Array, y: Array) -> Array:
            kind = made.setdefault((np.shape(x), np.shape(y)), np.result_type(x))
            return np.add(x, y).astype(kind)

        super().__init__(good, lower={"add": add})


def _plans_by_size(execute: Executable, program: Program, make: Make) -> Executable:
    plans: dict[Any, Any] = {}

    def run(inputs: Any, cells: Any) -> Any:
        outputs = execute(inputs, cells)
        plan = plans.setdefault(tuple(i.size for i in inputs), [o.shape for o in outputs])
        return tuple(o.reshape(s) if o.size == np.prod(s, dtype=int) else o for o, s in zip(outputs, plan, strict=True))

    return run


def _by_identity(execute: Executable, program: Program, make: Make) -> Executable:
    """Takes an array that it has seen for what it was then: one that is gone may have left its place to another."""
    seen: dict[Any, Any] = {}

    def run(inputs: Any, cells: Any) -> Any:
        if cells or not inputs:
            return execute(inputs, cells)
        key = tuple((id(i), i.ctypes.data, i.shape) for i in inputs)
        if key not in seen:
            seen[key] = [np.array(o) for o in execute(inputs, cells)]
        return tuple(map(np.array, seen[key]))

    return run


# --- state of its own


def _own_copies(fresh: Callable[[Any, Any], bool]) -> Callable[[Any], Altered]:
    """Steps from copies of the variables that it made, unless `fresh` finds the cell's array another one."""

    def wrap(execute: Executable, program: Program, make: Make) -> Executable:
        mine: dict[int, tuple[Any, Any]] = {}

        def run(inputs: Any, cells: Any) -> Any:
            for cell in cells:
                held = mine.get(id(cell))
                if held is not None and not fresh(cell, held[0]):
                    cell.data[...] = held[1]
            outputs = execute(inputs, cells)
            mine.update((id(cell), (cell.data, cell.data.copy())) for cell in cells)
            return outputs

        return run if program.shared else execute

    return around(wrap)


def _after_an_error(execute: Executable, program: Program, make: Make) -> Executable:
    """After a call that failed, the next one begins where the one before it did."""
    before: list[Any] = []
    failed = [False]

    def run(inputs: Any, cells: Any) -> Any:
        if failed[0] and before:
            for cell, old in zip(cells, before, strict=True):
                cell.data = old.copy()
        now = [np.array(c.data) for c in cells]
        try:
            outputs = execute(inputs, cells)
        except Exception:
            failed[0] = True
            raise
        failed[0] = False
        before[:] = now
        return outputs

    return run


class _OneBuffer(Altered):
    """One buffer for the first outputs of a shape, of all functions."""

    def __init__(self, good: Any) -> None:
        buffers: dict[Any, Any] = {}

        def wrap(execute: Executable, program: Program, make: Make) -> Executable:
            def run(inputs: Any, cells: Any) -> Any:
                outputs = execute(inputs, cells)
                mine = [buffers.setdefault((k, o.shape, o.dtype), np.empty_like(o)) for k, o in enumerate(outputs)]
                for buffer, o in zip(mine, outputs, strict=True):
                    buffer[...] = o
                time.sleep(0)  # another thread's turn, as it would come in a longer call
                return tuple(buffer.copy() for buffer in mine)

            return run

        super().__init__(good, around=wrap)


# --- memory that must stay


class _Cell:
    """A cell that nobody looks after."""

    keeper = None

    def __init__(self, cell: Any) -> None:
        self.data = cell.data


def _unkept(execute: Executable, program: Program, make: Make) -> Executable:
    """Writes in place, tells no keeper, and puts new arrays in the place of those that must stay."""

    def run(inputs: Any, cells: Any) -> Any:
        held = tuple(map(_Cell, cells))
        outputs = execute(inputs, held)
        for cell, new in zip(cells, held, strict=True):
            cell.data = new.data
        return outputs

    return run


def _in_place(wrap: Any) -> Callable[[Any], Altered]:
    def make(good: Any) -> Altered:
        bad = Altered(good, around=wrap)
        bad.in_place = True  # type: ignore[attr-defined]  # what the contract has as an option
        return bad

    return make


# --- windows and branches


def _flipped(x: Array, w: Array, strides: Any, dilations: Any) -> Array:
    return _conv(x, np.flip(w, tuple(range(2, np.ndim(w)))), strides, dilations)


def _conv(x: Array, w: Array, strides: Any, dilations: Any) -> Array:
    """Sums over windows, place by place."""
    steps = [
        (n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[2:], w.shape[2:], strides, dilations, strict=True)
    ]
    out = np.zeros((x.shape[0], w.shape[0], *steps), x.dtype)
    for tap in np.ndindex(*w.shape[2:]):
        window = tuple(
            slice(t * d, t * d + s * (n - 1) + 1, s) for t, d, s, n in zip(tap, dilations, strides, steps, strict=True)
        )
        out += np.einsum("bc...,oc->bo...", x[(slice(None), slice(None), *window)], w[(slice(None), slice(None), *tap)])
    return out


def _both_branches(program: Program) -> Program:
    """What only one side of an ``ifelse`` needs is computed whatever the condition says."""
    steps = {i.args[1] for i in program.instructions if i.body is not None and i.node.params["loop"].branch}
    made = {o: i for i in program.instructions for o in i.outs}
    once = [replace(made[s], op=replace(made[s].op, name="once"), overwrites=None) for s in steps if s in made]
    instead = {i.out: i for i in once}
    return replace(program, instructions=tuple(instead.get(i.out, i) for i in program.instructions))


known_bad("hands-work-over", "has another backend compile its programs", "create", "dispatch", _Front)
known_bad("hands-work-over-late", "has another backend's class compile in its first call", "create", "dispatch", _Sneak)
known_bad("answers-as-expected", "looks up what the suite expects", "reduce", "oracle", around(_looks_it_up))
known_bad(
    "right-in-a-worker", "is right only in the suite's worker process", "create", "elsewhere", around(_in_a_worker_only),
    alone=True,
)  # fmt: skip
known_bad(
    "kernels-by-shape",
    "keeps kernels by shape, whatever the dtype",
    "elementwise",
    "dtype|value|sign of zero",
    _Kernels,
)
known_bad(
    "plans-by-size", "keeps the shapes of its outputs by the sizes of its arguments", "ownership", "shape|value|repeat",
    around(_plans_by_size), "repeat",
)  # fmt: skip
known_bad(
    "results-by-identity", "remembers results by the identity of arrays", "ownership", "value|repeat", around(_by_identity),
    "repeat",
)  # fmt: skip
known_bad(
    "set-value-unseen", "steps from copies, which set_value does not reach", "update", "state|value",
    _own_copies(lambda cell, held: False), "edges|elsewhere|outputs",
)  # fmt: skip
known_bad(
    "other-backend-unseen", "steps from copies, which it renews only where a variable has another array", "update",
    "state|value", _own_copies(lambda cell, held: cell.data is not held), "elsewhere|edges",
)  # fmt: skip
known_bad(
    "error-turns-back", "begins after an error where the last good call began", "transaction", "state|value",
    around(_after_an_error), "out of bounds|shapes|domain|arguments",
)  # fmt: skip
known_bad("buffer-of-all-functions", "has one buffer for all functions", "ownership", "threads", _OneBuffer, "threads")
known_bad(
    "keeper-untold", "works in place, and ends with commit where a keeper looks after a variable", "update", "kept",
    _in_place(_unkept), "kept",
)  # fmt: skip
known_bad("conv-flipped", "turns filters around", "windows", "value", lowering(conv=_flipped))
known_bad(
    "conv-without-dilation", "takes dilated filters as they are", "windows", "value|shape|error",
    lowering(conv=lambda x, w, strides, dilations: _conv(x, w, strides, [1] * len(dilations))),
)  # fmt: skip
known_bad(
    "both-branches", "computes both branches of ifelse", "loops", "error",
    lambda good: Altered(good, program=_both_branches, lower={"once": lambda *args, **params: np.asarray(1, np.int64)}), "ifelse",
)  # fmt: skip
