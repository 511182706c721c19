"""Calls from several threads at once, and calls that a KeyboardInterrupt ends."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from subtensor_conformance.compare import Array
from subtensor_conformance.interrupts import Interrupt, function_of, prove, seen_through
from subtensor_conformance.witness import Failure, Witness

THREADS, ROUNDS = 4, 100
CROWD, CROWD_ROUNDS = 3, 20
NEAREST, SPREAD = 600, 200
"""How many of the last moments of a call are tried one by one, and about how many of those before."""
REACHED = 0.9
"""The part of them that must be come by again when the call is made again."""

_HERE = __name__.partition(".")[0]


def together(run: Any, witness: Witness, calls: Sequence[Sequence[Array]]) -> None:
    """Make calls of a function without updates in several threads; each must give what it gives alone."""
    due = [[o.tobytes() for o in run(*arguments)] for arguments in calls]
    wrong: list[Failure] = []
    start = threading.Barrier(THREADS)

    def work(number: int) -> None:
        start.wait()
        for k in range(number, number + ROUNDS):
            n = k % len(calls)
            try:
                got = run(*calls[n])
            except Exception as error:  # noqa: BLE001  # whatever a backend raises is its failure
                wrong.append(Failure("threads", f"call {n} fails beside others: {type(error).__name__}: {error}"))
                return
            if [o.tobytes() for o in got] != due[n]:
                message = f"call {n} gives something else while other threads call"
                wrong.append(Failure("threads", message, got=repr(got)))
                return

    interval = sys.getswitchinterval()
    witness.listens = False
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(n,)) for n in range(THREADS)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    finally:
        sys.setswitchinterval(interval)
        witness.listens = True
    if wrong:
        raise wrong[0]


def crowded(build: Callable[[], tuple[Any, Any]], witness: Witness, calls: Sequence[Sequence[Array]]) -> None:
    """Make calls again and again, in three threads, each with a function of its own, built anew; each must give what it
    gives alone.
    """
    run, _ = build()
    due = [[o.tobytes() for o in run(*arguments)] for _ in range(CROWD_ROUNDS) for arguments in calls]
    wrong: list[Failure] = []
    functions = [build()[0] for _ in range(CROWD)]
    start = threading.Barrier(CROWD)

    def work(run: Any) -> None:
        start.wait()
        for k, wanted in enumerate(due):
            try:
                got = run(*calls[k % len(calls)])
            except Exception as error:  # noqa: BLE001  # whatever a backend raises is its failure
                wrong.append(Failure("threads", f"call {k} fails beside others: {type(error).__name__}: {error}"))
                return
            if [o.tobytes() for o in got] != wanted:
                message = f"call {k} gives something else while other functions are called in other threads"
                wrong.append(Failure("threads", message, got=repr(got)))
                return

    interval = sys.getswitchinterval()
    witness.listens = False
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(f,)) for f in functions]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    finally:
        sys.setswitchinterval(interval)
        witness.listens = True
    if wrong:
        raise wrong[0]


def interrupted(
    run: Any, witness: Witness, arguments: Sequence[Array], shared: Mapping[str, Any], before: Mapping[str, Array]
) -> None:
    """End a step at many moments, each of them an instruction of Python that the backend is at: what it updates must
    then hold the old values or the new ones, all together. before: the state before the last call, which is made again.

    Raises Failure also where the interrupts do not reach those moments, so that nothing would be shown.
    """
    prove()
    old = {name: (v.shape, v.tobytes()) for name, v in before.items()}
    function = function_of(witness.executable)
    own = _packages(type(witness.backend).__module__, None if function is None else function.__module__)

    def state() -> dict[str, Any]:
        return {name: ((v := s.get_value()).shape, v.tobytes()) for name, s in shared.items()}

    def step(at: int) -> Interrupt:
        for name, s in shared.items():
            s.set_value(before[name])
        moments = Interrupt(own, at)
        with np.errstate(), suppress(KeyboardInterrupt), moments.waiting():
            run(*(a.copy() for a in arguments))
        return moments

    witness.listens = False  # a ``with`` block that is divided may leave things as they were within
    try:
        seen_through(step(-1), function)
        _at_each_moment(step, state, old)
    finally:
        witness.listens = True


def _packages(*modules: str | None) -> set[str]:
    """Where the code of these modules is: their packages, or in this suite's own folders."""
    return {m.rpartition(".")[0] if m.startswith(_HERE) else m.partition(".")[0] for m in modules if m}


def _at_each_moment(step: Callable[[int], Interrupt], state: Callable[[], dict[str, Any]], old: dict[str, Any]) -> None:
    """step: makes the call from the old state, ended at a moment, or not for -1. state: what the variables hold."""
    count = step(-1).passed
    new = state()
    first = max(0, count - NEAREST)
    tried = [*range(0, first, max(1, first // SPREAD)), *range(first, count)]
    reached = 0
    for at in tried:
        reached += step(at).raised
        now = state()
        if now not in (old, new):
            each = [f"{n} is {'old' if now[n] == old[n] else 'new' if now[n] == new[n] else 'neither'}" for n in now]
            raise Failure("torn", f"a KeyboardInterrupt divided the step: {', '.join(each)}")
    step(-1)
    if state() != new:
        raise Failure("torn", "after calls that were interrupted, the step gives something else")
    if reached < REACHED * len(tried):
        message = "the calls come by too few of the moments of the first one, so that little was shown"
        raise Failure("moments", message, f"most of {len(tried)}", str(reached))
