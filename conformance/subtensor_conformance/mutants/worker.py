"""The process in which mutants are tried."""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from subtensor import plugins
from subtensor_conformance.check import check
from subtensor_conformance.expectation import expected
from subtensor_conformance.mutants.coverage import lines_of
from subtensor_conformance.mutants.generate import Mutant
from subtensor_conformance.mutants.patch import Patcher
from subtensor_conformance.report import case_of

FIRST = "create/zeros"
"""A case that leaves nothing behind, such as memory that mutants would find at hand."""

FORKED = ("numpy",)
"""Backends of which each mutant gets a process of its own: what it writes out of bounds stays there."""

Verdict = tuple[str, str, int]
"""The case that killed a mutant, how, and how many were tried; no case for a survivor."""


class _TimeIsUp(BaseException):
    pass


def _ring(*_: object) -> None:
    raise _TimeIsUp


def serve(pipe: Connection, backend: str) -> None:
    """Answer requests until the other end is closed.

    backend: ``NAME``, or ``NAME-WAY`` for one that has a way switched on.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    warnings.simplefilter("ignore")
    backend, _, way = backend.partition("-")
    if way:
        setattr(plugins.get_backend(backend), way, True)
    package = f"subtensor_{backend}"
    patcher: Patcher | None = None
    signal.signal(signal.SIGALRM, _ring)
    with suppress(EOFError, OSError):
        while True:
            request = pipe.recv()
            if request[0] == "cover":
                _, case, modules = request
                for name in modules:
                    importlib.import_module(name)
                pipe.send(lines_of(case_of(case), backend, modules))
                continue
            _, mutant, cases, limit = request
            if patcher is None:
                check(case_of(FIRST), backend)  # which loads what is loaded late
                patcher = Patcher([package])
            try_it = _forked if backend in FORKED else _here
            pipe.send(try_it(patcher, mutant, cases, backend, limit))


def _here(patcher: Patcher, m: Mutant, cases: Sequence[str], backend: str, limit: float) -> Verdict:
    case, count, end = "", 0, time.monotonic() + limit
    started = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, 1.5 * limit)
    try:
        with patcher.applied(m):
            for count, case in enumerate(cases, 1):  # used after the loop
                started = time.monotonic()
                result = check(case_of(case), backend)
                if not result.good:
                    return case, f"{result.kind}: {result.message[:200]}", count
                if time.monotonic() > end:
                    return "", "", count
    except SyntaxError as error:
        return "the compiler", str(error), 0
    except _TimeIsUp:
        return (case, "hang", count) if time.monotonic() - started > limit / 2 else ("", "", count)
    except BaseException as error:  # noqa: BLE001  # whatever else gets out of a check
        return case, f"{type(error).__name__}: {error}", count
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return "", "", count


def _forked(patcher: Patcher, m: Mutant, cases: Sequence[str], backend: str, limit: float) -> Verdict:
    for case in map(case_of, cases):
        if case.raises is None:
            expected(case)  # once, for all children
    source, target = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(source)
        try:
            os.write(target, json.dumps(_here(patcher, m, cases, backend, limit)).encode())
        finally:
            os._exit(0)
    os.close(target)
    text = b""
    try:
        if select.select([source], [], [], 2 * limit)[0]:
            text = os.read(source, 1 << 16)
        else:
            os.kill(child, signal.SIGKILL)
    finally:
        os.close(source)
        _, status = os.waitpid(child, 0)
    if not text:
        return "a process", f"ended: {status}", 0
    verdict: Any = json.loads(text)
    return verdict[0], verdict[1], verdict[2]
