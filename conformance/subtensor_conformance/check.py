"""One case on one backend: built, called, and compared with the oracle."""

from __future__ import annotations

import copy
import os
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import subtensor
from subtensor import errors, plugins
from subtensor.plugins.hooks import hookimpl
from subtensor_conformance.case import Call, Case
from subtensor_conformance.compare import Array, Bound, Difference, difference, largest_error, to_array
from subtensor_conformance.declared import SPECIAL
from subtensor_conformance.expectation import Outcome, expected, read
from subtensor_conformance.keeping import Kept
from subtensor_conformance.result import Result, encode
from subtensor_conformance.stress import crowded, interrupted, together
from subtensor_conformance.witness import Failure, Witness, witnessed


def check(case: Case, backend: str, factor: float = 1) -> Result:
    """Run a case. factor: by which the backend loosens the case's bound."""
    start = time.perf_counter()
    observed: list[Any] = []
    bound = Bound.of(case, factor)
    state, kind, message, expected, got, error = "pass", "", "", "", "", 0.0
    declared = plugins.get_backend(backend).capabilities
    lacking = case.capability is not None and case.capability not in declared
    try:
        with witnessed(backend) as witness, warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)  # NumPy's about NaN and overflow
            try:
                error = _run(case, backend, witness, bound, observed)
            except errors.Unsupported:
                witness.raise_fault()  # where it came too late
                raise
            witness.raise_fault()
        if lacking:
            state, kind = "stale", "declaration"
            message = f"the backend does not declare {case.capability!r}, yet the case works; declare it"
    except errors.Unsupported as refusal:
        state, kind, message = _refused(case, refusal, lacking)
    except Failure as failure:
        state, kind, message = "fail", failure.kind, str(failure)
        expected, got, error = failure.expected, failure.got, failure.error
    except Exception as unexpected:  # noqa: BLE001  # whatever a backend raises is its failure
        state, kind = "fail", "error"
        message = f"unexpected {type(unexpected).__name__}: {unexpected}"
        got = _told(unexpected)
    seconds = time.perf_counter() - start
    return Result(case.id, state, kind, message, expected, got, error, seconds, factor, tuple(observed))


def _told(error: BaseException) -> str:
    """A traceback without the frames of the frontend and the suite, but for the innermost where there is no other."""
    told = traceback.TracebackException.from_exception(error)
    one: traceback.TracebackException | None = told
    while one is not None:
        foreign = [f for f in one.stack if not f.filename.startswith(_OURS)]
        one.stack = traceback.StackSummary.from_list((foreign or list(one.stack))[-6:])
        one = one.__cause__ or one.__context__
    return "".join(told.format())


_OURS = (str(Path(subtensor.__file__).parent), str(Path(__file__).parent) + os.sep, "<subtensor call>")


def _refused(case: Case, refusal: errors.Unsupported, lacking: bool) -> tuple[str, str, str]:
    named = "special_functions" if refusal.capability in SPECIAL else refusal.capability
    if lacking and named == case.capability:
        return "unsupported", "", f"the backend declares that it lacks {case.capability!r}"
    if case.capability is None:
        why = "the case needs only the core, which no backend may lack"
    elif lacking:
        why = f"the case needs {case.capability!r}, which is what the error should have named"
    else:
        why = f"the backend declares {case.capability!r}"
    return "undeclared", "unsupported", f"Unsupported({refusal.capability!r}) was raised, but {why}: {refusal}"


# --- building


def _symbols(case: Case) -> dict[str, Any]:
    made: dict[str, Any] = {"st": subtensor}
    for g in case.inputs:
        made[g.name] = subtensor.tensor(g.name, g.dtype, g.shape)
    for g in case.shared:
        assert g.value is not None
        made[g.name] = subtensor.shared(to_array(g.value), name=g.name, shape=g.shape)
    return made


def build(case: Case, backend: str) -> tuple[Any, dict[str, Any]]:
    """The compiled function of a case, and its names; those of an optimizer's own variables have a dot."""
    names = _symbols(case)
    for name, source in case.lets:
        names[name] = read(source, names)
    updates = [(names[name], read(source, names)) for name, source in case.updates]
    if case.step:
        step = names["step"] = read(case.step, names)
        updates += step.items()
        names.update((s.name, s) for s in step.state)
    outputs = [read(source, names) for source in case.outputs]
    inputs = [names[g.name] for g in case.inputs]
    return subtensor.function(inputs, outputs, updates=updates, backend=backend, on_unused_input="ignore"), names


def _second(case: Case, names: Mapping[str, Any], backend: str) -> Any:
    """The second function of a case, over the variables of the first."""
    updates = [(names[name], read(source, names)) for name, source in case.then]
    inputs = [names[g.name] for g in case.inputs]
    if not case.elsewhere:
        return subtensor.function(inputs, [], updates=updates, backend=backend, on_unused_input="ignore")
    registered = plugins.register(_Elsewhere())
    try:
        return subtensor.function(inputs, [], updates=updates, backend=ELSEWHERE, on_unused_input="ignore")
    finally:
        plugins.unregister(registered)


ELSEWHERE = "elsewhere"
"""The other backend of a case that needs two."""


class _Elsewhere:
    """NumPy by another name: a variable moves to it, and stays the array that it is."""

    @hookimpl
    def subtensor_backend(self) -> Any:
        good = plugins.get_backend("numpy")
        other: Any = copy.copy(good.backend if isinstance(good, Witness) else good)
        other.name = ELSEWHERE
        return other


# --- running


def _run(case: Case, backend: str, witness: Witness, bound: Bound, observed: list[Any]) -> float:
    """Raises Failure where anything is not as it should be. Gives the largest error."""
    if case.raises is not None:
        _expect_error(case.raises, lambda: build(case, backend), observed)
        return 0.0
    run, names = build(case, backend)
    if not witness.compiled:
        raise Failure("dispatch", f"the function was built without asking {backend!r} to compile it")
    results = expected(case)
    due = iter(results)
    own = [name for name in names if "." in name]
    shared = {name: names[name] for name in (*(g.name for g in case.shared), *own)}
    if results and set(shared) != set(results[0][1]):
        wanted = sorted(set(results[0][1]) - {g.name for g in case.shared})
        raise Failure("state", f"the optimizer's state has other names: {sorted(own)}", repr(wanted), repr(sorted(own)))
    other = _second(case, names, backend) if case.then else None
    kept = Kept(witness.backend, shared) if case.kept else None
    used: list[Array] = []
    error, saved = 0.0, dict[str, Array]()
    for number, call in enumerate(case.calls):
        before = witness.ran
        if (case.resume or case.interrupted) and number == len(case.calls) - 1:
            saved = {name: s.get_value() for name, s in shared.items()}
        for name, v in call.sets:
            shared[name].set_value(to_array(v))
        used = _laid(call, used if number % 2 else [])
        error = max(error, _one_call(case, call, number, run, used, shared, due, bound, observed))
        if kept is not None:
            kept.check(f"call {number}: ")
        if witness.ran == before and not _before_the_backend(call):
            raise Failure("dispatch", f"call {number} returned without running what {backend!r} compiled")
        if other is not None and call.raises is None:
            other(*map(to_array, call.arguments))
            _, values, _ = next(due)
            error = max(
                error, _compare_state(f"after the second function, {number}: ", shared, values, bound, observed)
            )
    if case.resume:
        _resumed(case, backend, run, shared, saved)
    if case.interrupted:
        interrupted(run, witness, [to_array(v) for v in case.calls[-1].arguments], shared, saved)
    if case.together:
        together(run, witness, [[to_array(v) for v in call.arguments] for call in case.calls])
    if case.crowd:
        crowded(lambda: build(case, backend), witness, [[to_array(v) for v in call.arguments] for call in case.calls])
    if case.flush:
        before = witness.ran
        names["step"].flush(backend)
        if witness.ran == before:
            raise Failure("dispatch", f"the flush returned without running what {backend!r} compiled")
        _, values, _ = next(due)
        error = max(error, _compare_state("after the flush: ", shared, values, bound, observed))
    return error


def _resumed(case: Case, backend: str, run: Any, shared: Mapping[str, Any], saved: Mapping[str, Array]) -> None:
    """The last call again, from the state before it: the state that a backend may keep is in the shared variables."""
    arguments = [to_array(v) for v in case.calls[-1].arguments]
    first = {name: s.get_value() for name, s in shared.items()}
    other, names = build(case, backend)
    anew = {name: names[name] for name in shared}
    for who, function, variables in (
        ("the same function", run, shared),
        ("a function built anew", other, anew),
    ):
        for name, s in variables.items():
            s.set_value(saved[name])
        function(*(a.copy() for a in arguments))
        for name, s in variables.items():
            now = s.get_value()
            if now.dtype != first[name].dtype or now.tobytes() != first[name].tobytes():
                raise Failure(
                    "resume", f"{name} differs when {who} goes on from the state before the last call",
                    repr(first[name]), repr(now),
                )  # fmt: skip


def _laid(call: Call, used: Sequence[Array]) -> list[Array]:
    """The arguments of a call: new arrays, or those of the call before with other values in them, where they fit."""
    arguments = [to_array(v) for v in call.arguments]
    for k, (new, old) in enumerate(zip(arguments, used, strict=False)):
        if old.shape == new.shape and old.dtype == new.dtype:
            old[...] = new
            arguments[k] = old
    return arguments


def _before_the_backend(call: Call) -> bool:
    """Whether the frontend itself refuses the arguments."""
    return call.raises is not None and call.raises[0] in ("DTypeError", "CallError", "ShapeError")


def _one_call(
    case: Case,
    call: Call,
    number: int,
    run: Any,
    arguments: list[Array],
    shared: Mapping[str, Any],
    due: Iterator[Outcome],
    bound: Bound,
    observed: list[Any],
) -> float:
    where = f"call {number}: " if len(case.calls) > 1 else ""
    kept = [a.copy() for a in arguments]
    old = {name: s.get_value() for name, s in shared.items()}
    if call.raises is not None:
        _expect_error(call.raises, lambda: run(*arguments), observed)
        _unchanged(where, kept, arguments)
        for name, s in shared.items():
            now = s.get_value()
            if now.dtype != old[name].dtype or now.shape != old[name].shape or now.tobytes() != old[name].tobytes():
                raise Failure(
                    "transaction", f"{where}after the error {name} is not what it was", repr(old[name]), repr(now)
                )
        return 0.0
    outputs = run(*arguments)
    results, values, before = next(due)
    _unchanged(where, kept, arguments)
    error = _compare_all(where, case.outputs, results, outputs, bound)
    observed.append([encode(o) for o in outputs])
    _owned(where, outputs, arguments, shared)
    if not case.updates and not case.step:
        _again(where, run, kept, outputs)
        laid = [_strided(a) for a in kept]
        error = max(
            error, _compare_all(f"{where}with read-only strided arguments: ", case.outputs, results, run(*laid), bound)
        )
    for each in (*outputs, *arguments):
        _scribble(each)
    if case.step:
        _unused_rows(where, {name: s.get_value() for name, s in shared.items()}, old, values, before)
    return max(error, _compare_state(where, shared, values, bound, observed))


def _compare_state(
    where: str, shared: Mapping[str, Any], values: Mapping[str, Array], bound: Bound, observed: list[Any]
) -> float:
    """Twice: what is done to the result of ``get_value()`` must not matter. Gives the largest error."""
    error = 0.0
    for attempt in ("", " after get_value() was written to"):
        for name, s in shared.items():
            now = s.get_value()
            found = difference(f"{where}{name}{attempt}", values[name], now, bound)
            if found:
                kind = "aliasing" if attempt else "state"
                raise Failure(kind, found.message, repr(values[name]), repr(now), found.error)
            error = max(error, largest_error(values[name], now, bound))
            if not attempt:
                observed.append(encode(now))
            _scribble(now)
    return error


def _expect_error(due: tuple[str, str], action: Any, observed: list[Any]) -> None:
    name, text = due
    try:
        action()
    except errors.Unsupported:
        raise
    except Exception as raised:
        observed.append(f"{type(raised).__name__}: {raised}")
        if type(raised).__name__ != name:
            raise Failure(
                "error", f"expected {name}, got {type(raised).__name__}: {raised}", f"{name}: {text}", repr(raised)
            ) from raised
        if text not in str(raised):
            raise Failure("message", f"{name}: the text is not the one that is due", text, str(raised)) from raised
        return
    raise Failure("error", f"expected {name}, got no error", f"{name}: {text}", "no error")


def _unchanged(where: str, kept: Sequence[Array], arguments: Sequence[Array]) -> None:
    for i, (before, after) in enumerate(zip(kept, arguments, strict=True)):
        if before.tobytes() != after.tobytes():
            raise Failure("input changed", f"{where}argument {i} was written to", repr(before), repr(after))


def _compare_all(where: str, sources: Sequence[str], expected: Sequence[Array], outputs: Any, bound: Bound) -> float:
    if len(outputs) != len(expected):
        raise Failure("value", f"{where}expected {len(expected)} outputs, got {len(outputs)}")
    error = 0.0
    for source, e, o in zip(sources, expected, outputs, strict=True):
        found: Difference | None = difference(f"{where}{source}", e, o, bound)
        if found:
            raise Failure(found.kind, found.message, repr(e), repr(o), found.error)
        error = max(error, largest_error(e, o, bound))
    return error


def _owned(where: str, outputs: Sequence[Array], arguments: Sequence[Array], shared: Mapping[str, Any]) -> None:
    """What a call returns is the caller's alone."""
    others = [(f"argument {i}", a) for i, a in enumerate(arguments)]
    for name, s in shared.items():
        held = s.cell.data
        if isinstance(held, np.ndarray):
            others.append((f"the state of {name}", held))
    for i, o in enumerate(outputs):
        if not o.flags.writeable:
            raise Failure("read-only", f"{where}output {i} is read-only; the caller owns it")
        for what, other in [*others, *((f"output {j}", outputs[j]) for j in range(i))]:
            if np.may_share_memory(o, other) and np.shares_memory(o, other):
                raise Failure("aliasing", f"{where}output {i} shares memory with {what}")


def _unused_rows(
    where: str,
    got: Mapping[str, Array],
    old: Mapping[str, Array],
    values: Mapping[str, Array],
    before: Mapping[str, Array],
) -> None:
    """Rows that a step does not change keep their bits, whatever the bound on the others."""
    for name, now in got.items():
        if now.shape != before[name].shape or not now.ndim:
            continue
        for row, (was, due) in enumerate(zip(before[name], values[name], strict=True)):
            if was.tobytes() == due.tobytes() and now[row].tobytes() != old[name][row].tobytes():
                raise Failure(
                    "unused row", f"{where}row {row} of {name} takes no part in the step, and changed",
                    repr(old[name][row]), repr(now[row]),
                )  # fmt: skip


def _again(where: str, run: Any, kept: Sequence[Array], outputs: Sequence[Array]) -> None:
    """The same arguments give the same bits, whatever is done to the first results."""
    first = [o.copy() for o in outputs]
    for o in outputs:
        _scribble(o)
    marked = [o.copy() for o in outputs]
    second = run(*(a.copy() for a in kept))
    for i, (a, b) in enumerate(zip(first, second, strict=True)):
        if a.tobytes() != b.tobytes():
            raise Failure("repeat", f"{where}output {i} differs when the same call is made again", repr(a), repr(b))
    for i, (o, mark) in enumerate(zip(outputs, marked, strict=True)):
        if o.tobytes() != mark.tobytes() or any(np.shares_memory(o, later) for later in second):
            raise Failure(
                "aliasing", f"{where}output {i} changes when the same call is made again", repr(mark), repr(o)
            )


def _strided(a: Array) -> Array:
    """The same values, not side by side, columns first, backwards along the first axis, and read-only."""
    wide = np.zeros((*a.shape[:-1], 2 * a.shape[-1]) if a.ndim else (2,), a.dtype, order="F")
    view = wide[..., ::2][::-1] if a.ndim else wide[0, ...]
    view[...] = a
    view.flags.writeable = False
    return view


def _scribble(a: Array) -> None:
    if a.flags.writeable:
        a[...] = np.asarray(True if a.dtype.kind == "b" else 77, a.dtype)
