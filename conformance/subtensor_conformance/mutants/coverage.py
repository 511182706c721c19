"""Which lines of a backend each case comes by."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Collection, Iterable
from typing import Any

from subtensor_conformance.case import Case
from subtensor_conformance.check import check
from subtensor_conformance.expectation import expected

Lines = dict[str, list[int]]
"""Line numbers by module."""


def lines_of(case: Case, backend: str, modules: Collection[str]) -> tuple[float, Lines]:
    """How long a case takes, and the lines of `modules` that it comes by. The oracle's part is not timed."""
    if case.raises is None:
        expected(case)
    files = {sys.modules[m].__file__: set[int]() for m in modules}

    def calls(frame: Any, event: str, arg: object) -> Any:
        seen = files.get(frame.f_code.co_filename)
        if seen is None:
            return None
        seen.add(frame.f_lineno)

        def steps(frame: Any, event: str, arg: object) -> Any:
            seen.add(frame.f_lineno)
            return steps

        return steps

    before = sys.gettrace()
    start = time.perf_counter()
    threading.settrace(calls)
    sys.settrace(calls)
    try:
        check(case, backend)
    finally:
        sys.settrace(before)
        threading.settrace(before)
    seconds = time.perf_counter() - start
    return seconds, {m: sorted(files[sys.modules[m].__file__]) for m in modules if files[sys.modules[m].__file__]}


def by_line(found: dict[str, tuple[float, Lines]]) -> dict[tuple[str, int], list[str]]:
    """For each line the cases that come by it, the quickest first."""
    result: dict[tuple[str, int], list[str]] = {}
    for case, (_, lines) in sorted(found.items(), key=lambda item: item[1][0]):
        for module, numbers in lines.items():
            for n in numbers:
                result.setdefault((module, n), []).append(case)
    return result


def cases_at(where: dict[tuple[str, int], list[str]], module: str, lines: Iterable[int]) -> list[str]:
    """The cases that come by one of some lines."""
    return list(dict.fromkeys(case for n in lines for case in where.get((module, n), ())))
