"""Where the time of a call goes: the program's function again, with a look at the clock between its statements."""

from __future__ import annotations

import ast
import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from subtensor.errors import counted
from subtensor.program.contract import Timing

Loops = Mapping[str, tuple[Sequence[int], bool]]
"""For the names of compiled loops, the slots that they fill, and whether they write rows."""


def timed(
    function: Callable[..., Any], around: Callable[..., Any], loops: Loops, leaves: int,
    inputs: Any, cells: Any, rounds: int,
) -> list[Timing]:  # fmt: skip
    """What each statement of a generated function takes, in the median of some calls.

    around: runs the function on inputs and cells. loops: the compiled ones. leaves: how many slots hold what is given.
    """
    tree = ast.parse(function.source)  # type: ignore[attr-defined]  # what the emitter made has it
    (whole,) = tree.body
    assert isinstance(whole, ast.FunctionDef)
    statements = list(whole.body)
    marked = [s for k, statement in enumerate(statements) for s in (*_statements(f"mark({k})"), statement)]
    whole.body = [*marked[:-1], *_statements("seen(locals())"), marked[-1]]
    marks: list[tuple[int, int]] = []
    shapes: dict[int, tuple[int, ...]] = {}
    clock = time.perf_counter_ns

    def seen(values: Mapping[str, Any]) -> None:
        if not shapes:
            shapes.update({int(n[1:]): np.shape(v) for n, v in values.items() if re.fullmatch(r"v\d+", n)})

    space = {**function.__globals__, "mark": lambda k: marks.append((k, clock())), "seen": seen}
    exec(compile(ast.fix_missing_locations(tree), "<subtensor profile>", "exec"), space)  # noqa: S102  # our own source
    run = space[whole.name]
    took: list[list[float]] = [[] for _ in statements]
    for _ in range(rounds):
        marks.clear()
        around(run, inputs, cells)
        ends = [at for _, at in marks[1:]] + [clock()]
        for (k, at), end in zip(marks, ends, strict=True):
            took[k].append((end - at) * 1e-9)
    parts = _Parts(loops, leaves, shapes)
    for statement, seconds in zip(statements, took, strict=True):
        if seconds:
            parts.add(statement, statistics.median(seconds))
    return parts.found


def _statements(source: str) -> list[ast.stmt]:
    return ast.parse(source).body


class _Parts:
    """Timings of statements, put together where several are one part."""

    def __init__(self, loops: Loops, leaves: int, shapes: Mapping[int, tuple[int, ...]]) -> None:
        self.found: list[Timing] = []
        self._loops = loops
        self._shapes = shapes
        self._in_loops = {s for slots, _ in loops.values() for s in slots}
        self._seen = set(range(leaves))
        self._waiting = 0.0

    def add(self, statement: ast.stmt, seconds: float) -> None:
        names = [n for n in ast.walk(statement) if isinstance(n, ast.Name)]
        called = [n.id for n in names if n.id in self._loops]
        stored = [n.id for n in names if isinstance(n.ctx, ast.Store)]
        slots = sorted({int(n[1:]) for n in stored if _SLOT.fullmatch(n)} - self._seen)
        if called:
            filled, writes = self._loops[called[0]]
            slots = sorted(set(filled) - self._seen)
            what = f"compiled loop of {counted(len(filled), 'operation')}" + (", with the updates" if writes else "")
            self._put(Timing(what, tuple(slots), seconds + self._waiting, writes))
            self._waiting = 0.0
        elif any(_PREPARED.fullmatch(n) for n in stored) or any(n.id.startswith("commit") for n in names):
            self._put(Timing("writes of the updates", (), seconds, writes=True))
        elif slots and self._in_loops.issuperset(slots):
            self._waiting += seconds  # memory that a loop fills
        elif slots:
            self._put(
                Timing("", tuple(slots), seconds, shapes={s: self._shapes[s] for s in slots if s in self._shapes})
            )
        self._seen.update(slots)

    def _put(self, timing: Timing) -> None:
        last = self.found[-1] if self.found else None
        if last is not None and timing.writes and last.writes and last.what == timing.what:
            self.found[-1] = replace(last, seconds=last.seconds + timing.seconds)
        else:
            self.found.append(timing)


_SLOT = re.compile(r"[vxb]\d+")
_PREPARED = re.compile(r"[wn]\d+")

__all__ = ["timed"]
