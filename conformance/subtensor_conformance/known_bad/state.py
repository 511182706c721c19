"""Backends that mishandle state, ownership, errors and declarations."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from subtensor.errors import SubtensorError, Unsupported
from subtensor.program.linear import Program
from subtensor_conformance.known_bad.altered import Altered, Array, Executable, add, put
from subtensor_conformance.known_bad.catalogue import known_bad

Make = Callable[[Program], Executable]


def around(wrap: Callable[[Executable, Program, Make], Executable]) -> Callable[[Any], Altered]:
    return lambda good: Altered(good, around=wrap)


def programs(change: Callable[[Program], Program]) -> Callable[[Any], Altered]:
    return lambda good: Altered(good, program=change)


def _each_alone(program: Program, make: Make) -> tuple[list[Executable], Executable]:
    """An executable for each commit, and one for the outputs."""
    commits = [make(replace(program, outputs=(), commits=(c,))) for c in program.commits]
    return commits, make(replace(program, commits=()))


def _sequential(execute: Executable, program: Program, make: Make) -> Executable:
    commits, outputs = _each_alone(program, make)

    def run(inputs: Any, cells: Any) -> Any:
        results = outputs(inputs, cells)
        for commit in commits:
            commit(inputs, cells)
        return results

    return run if len(commits) > 1 else execute


def _outputs_last(execute: Executable, program: Program, make: Make) -> Executable:
    commits, outputs = _each_alone(program, make)

    def run(inputs: Any, cells: Any) -> Any:
        make(replace(program, outputs=()))(inputs, cells)
        return outputs(inputs, cells)

    return run if commits and program.outputs else execute


def _partial(execute: Executable, program: Program, make: Make) -> Executable:
    commits, _ = _each_alone(program, make)

    def run(inputs: Any, cells: Any) -> Any:
        try:
            return execute(inputs, cells)
        except Exception:
            for commit in commits:
                try:
                    commit(inputs, cells)
                except Exception:  # noqa: BLE001, S112  # what fails is left out
                    continue
            raise

    return run


def _zeroed_on_error(execute: Executable, program: Program, make: Make) -> Executable:
    def run(inputs: Any, cells: Any) -> Any:
        try:
            return execute(inputs, cells)
        except Exception:
            for cell in cells:
                cell.data = np.zeros_like(cell.data)
            raise

    return run


def _stale(execute: Executable, program: Program, make: Make) -> Executable:
    kept: list[Any] = []

    def run(inputs: Any, cells: Any) -> Any:
        if not kept:
            kept.extend(np.array(c.data) for c in cells)
        for cell, first in zip(cells, kept, strict=True):
            cell.data = first.copy()
        return execute(inputs, cells)

    return run


def _remembered(execute: Executable, program: Program, make: Make) -> Executable:
    kept: dict[Any, Any] = {}

    def run(inputs: Any, cells: Any) -> Any:
        key = tuple(i.shape for i in inputs)
        if cells or key not in kept:
            kept[key] = [np.array(o) for o in execute(inputs, cells)]
        return tuple(np.array(o) for o in kept[key])

    return run


def _twice(execute: Executable, program: Program, make: Make) -> Executable:
    only = make(replace(program, outputs=()))

    def run(inputs: Any, cells: Any) -> Any:
        results = execute(inputs, cells)
        if program.commits:
            only(inputs, cells)
        return results

    return run


def _changes_inputs(execute: Executable, program: Program, make: Make) -> Executable:
    def run(inputs: Any, cells: Any) -> Any:
        results = tuple(np.array(o) for o in execute(inputs, cells))
        for i in inputs:
            if i.size and i.flags.writeable and i.dtype.kind == "f":
                np.add(i, 1, out=i)
        return results

    return run


def _hands_out_state(execute: Executable, program: Program, make: Make) -> Executable:
    def run(inputs: Any, cells: Any) -> Any:
        results = list(execute(inputs, cells))
        for k, o in enumerate(results):
            for cell in cells:
                if o.shape == cell.data.shape and o.dtype == cell.data.dtype and np.array_equal(o, cell.data):
                    results[k] = cell.data
        return tuple(results)

    return run


def _hands_back_inputs(execute: Executable, program: Program, make: Make) -> Executable:
    def run(inputs: Any, cells: Any) -> Any:
        results = list(execute(inputs, cells))
        for k, o in enumerate(results):
            for i in inputs:
                if o.shape == i.shape and o.dtype == i.dtype and np.array_equal(o, i):
                    results[k] = i
        return tuple(results)

    return run


def _one_buffer(execute: Executable, program: Program, make: Make) -> Executable:
    kept: dict[Any, Any] = {}

    def run(inputs: Any, cells: Any) -> Any:
        results = []
        for k, o in enumerate(execute(inputs, cells)):
            buffer = kept.setdefault((k, o.shape, o.dtype), np.empty_like(o))
            if not buffer.size or not (buffer == 77).all():
                buffer[...] = o
            results.append(buffer)
        return tuple(results)

    return run


def _shared_outputs(execute: Executable, program: Program, make: Make) -> Executable:
    def run(inputs: Any, cells: Any) -> Any:
        results: list[Any] = []
        for o in execute(inputs, cells):
            twin = next((r for r in results if r.shape == o.shape and np.array_equal(r, o)), o)
            results.append(twin)
        return tuple(results)

    return run


def _keeps_inputs(program: Program) -> Program:
    """Without the copies that keep inputs and state apart."""
    source: dict[int, int] = {}
    for i in program.instructions:
        if i.op.name == "copy":
            source[i.out] = i.args[0]
    commits = tuple(
        replace(c, value=source.get(c.value, c.value)) if c.value is not None else c for c in program.commits
    )
    return replace(program, commits=commits)


def _drifting(execute: Executable, program: Program, make: Make) -> Executable:
    calls = [0]

    def run(inputs: Any, cells: Any) -> Any:
        calls[0] += 1
        results = execute(inputs, cells)
        if calls[0] % 2:
            return results
        return tuple(np.nextafter(o, np.inf, dtype=o.dtype) if o.dtype.kind == "f" else o for o in results)

    return run


def _each(change: Callable[[Array], Any]) -> Callable[[Any], Altered]:
    return around(lambda execute, program, make: lambda inputs, cells: tuple(map(change, execute(inputs, cells))))


def _read_only(o: Array) -> Array:
    o = np.array(o)
    o.flags.writeable = False
    return o


class _Foreign:
    """Another library's array."""

    def __init__(self, value: Array) -> None:
        self.value = value

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        return np.array(self.value, dtype=dtype)


class _OwnError(SubtensorError):
    """A backend's own class of error."""


def _own_words(execute: Executable, program: Program, make: Make) -> Executable:
    def run(inputs: Any, cells: Any) -> Any:
        try:
            return execute(inputs, cells)
        except Exception as error:
            raise _OwnError("index out of range") from error

    return run


def _swallows(execute: Executable, program: Program, make: Make) -> Executable:
    def run(inputs: Any, cells: Any) -> Any:
        try:
            return execute(inputs, cells)
        except Exception:  # noqa: BLE001  # that is what is wrong
            return tuple(
                np.zeros(tuple(d or 0 for d in program.types[o].shape), program.types[o].dtype) for o in program.outputs
            )

    return run


def _declines(capability: str) -> Callable[[Any], Altered]:
    def compiling(program: Program) -> None:
        raise Unsupported(capability)

    return lambda good: Altered(good, compiling=compiling)


def _declines_half(good: Any) -> Altered:
    def compiling(program: Program) -> None:
        if any(t.dtype == "float16" for t in program.types):
            raise Unsupported("float16")

    return Altered(good, compiling=compiling)


def _crash(program: Program) -> None:
    os._exit(139)


def _hang(program: Program) -> None:
    time.sleep(3600)


class _Elsewhere(Altered):
    """Claims the work, and hands it to an executable that was compiled for another program."""

    def __init__(self, good: Any) -> None:
        super().__init__(good)
        self.first: Any = None

    def compile(self, program: Program, *, lowerings: Any) -> Executable:
        execute = super().compile(program, lowerings=lowerings)
        if (
            self.first is None
            or len(program.inputs) != len(self.first[1].inputs)
            or len(program.shared) != len(self.first[1].shared)
        ):
            self.first = execute, program
        found: Executable = self.first[0]
        return found


def _loosened(good: Any) -> Altered:
    bad = Altered(good)
    bad.bounds = {"elementwise/exp/float32/special-values": 4.0}
    return bad


known_bad(
    "updates-in-sequence", "applies updates one after the other", "update", "state", around(_sequential), "simultaneous"
)
known_bad(
    "outputs-see-new-state", "computes outputs after the updates", "update", "value", around(_outputs_last), "outputs"
)
known_bad("updates-lost", "does not commit", "update", "state", programs(lambda p: replace(p, commits=())))
known_bad("updates-twice", "commits twice", "update", "state", around(_twice))
known_bad("state-stale", "starts each call from the first state", "update", "state|value", around(_stale))
known_bad(
    "row-updates-lose-duplicates",
    "adds repeated rows once, in tables only",
    "update",
    "state|value",
    lambda good: Altered(
        good,
        lower={
            "inc_subtensor": lambda x, y, *i, index: put(
                x, np.asarray(x)[index.key([np.asarray(v) if np.ndim(v) else int(v) for v in i])] + y, *i, index=index
            )
        },
    ),
    "duplicates|simultaneous|negative|outputs",
)
known_bad(
    "row-updates-set",
    "writes rows of tables where it should add",
    "update",
    "state|value",
    lambda good: Altered(good, lower={"inc_subtensor": put}),
)
known_bad(
    "row-sets-add",
    "adds to rows of tables where it should write",
    "update",
    "state|value",
    lambda good: Altered(good, lower={"set_subtensor": add}),
)
known_bad("commits-before-error", "commits what it can before it fails", "transaction", "transaction", around(_partial))
known_bad(
    "state-lost-on-error", "loses the state when a call fails", "transaction", "transaction", around(_zeroed_on_error)
)
known_bad("inputs-written", "writes to its inputs", "ownership", "input changed|repeat|value", around(_changes_inputs))
known_bad(
    "outputs-are-state",
    "returns the array that holds the state",
    "ownership",
    "aliasing|state",
    around(_hands_out_state),
    "state",
)
known_bad("outputs-are-inputs", "returns its inputs", "ownership", "aliasing", around(_hands_back_inputs))
known_bad(
    "outputs-share-memory", "returns one array for two equal outputs", "ownership", "aliasing", around(_shared_outputs)
)
known_bad("outputs-read-only", "returns arrays that cannot be written to", "ownership", "read-only", _each(_read_only))
known_bad("outputs-reused", "returns the same buffer from each call", "ownership", "repeat|value", around(_one_buffer))
known_bad(
    "state-is-input", "keeps an input as the state", "ownership", "state|aliasing", programs(_keeps_inputs), "state"
)
known_bad(
    "results-remembered",
    "remembers results by the shapes of the inputs",
    "ownership",
    "value|repeat",
    around(_remembered),
    "repeat",
)
known_bad("results-drift", "gives other bits at the second call", "ownership", "repeat|value", around(_drifting))
known_bad("foreign-arrays", "returns another library's arrays", "ownership", "type|error", _each(_Foreign))
known_bad("numpy-scalars", "returns NumPy scalars for arrays without axes", "reduce", "type", _each(lambda o: o[()]))
known_bad("lists", "returns lists", "shape", "type|error", _each(lambda o: o.tolist()))
known_bad(
    "own-errors", "raises an error class of its own", "errors", "error", around(_own_words), "out of bounds|at the call"
)
known_bad(
    "errors-swallowed",
    "returns zeros where it should fail",
    "errors",
    "error",
    around(_swallows),
    "out of bounds|at the call",
)
known_bad(
    "wrong-program",
    "runs the program that it compiled first",
    "elementwise",
    "value|shape|dtype|nan|sign of zero|error",
    _Elsewhere,
)
known_bad(
    "unsupported-everywhere",
    "declines every program",
    "elementwise",
    "unsupported",
    _declines("dynamic_shapes"),
    state="undeclared",
)
known_bad(
    "declines-by-unknown-name",
    "declines with a capability that does not exist",
    "get",
    "unsupported",
    _declines("indexing"),
    state="undeclared",
)
known_bad(
    "declares-what-it-declines",
    "declares float16 and declines it",
    "dtypes",
    "unsupported",
    _declines_half,
    state="undeclared",
)
known_bad(
    "declaration-stale",
    "does not declare float16, which works",
    "dtypes",
    "declaration",
    lambda good: Altered(good, capabilities=good.capabilities - {"float16"}),
    state="stale",
)
known_bad(
    "bound-loosened-for-nothing",
    "loosens a bound that it keeps",
    "elementwise",
    "declaration",
    _loosened,
    state="stale",
)
known_bad(
    "crashes", "ends the interpreter", "create", "crash", lambda good: Altered(good, compiling=_crash), alone=True
)
known_bad("hangs", "does not come back", "create", "hang", lambda good: Altered(good, compiling=_hang), alone=True)
