"""Which cases come by which lines, then each mutant on those that come by its own, in worker processes."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from threading import Lock
from typing import Any

from subtensor_conformance.mutants.coverage import Lines, by_line, cases_at
from subtensor_conformance.mutants.generate import Mutant
from subtensor_conformance.mutants.worker import serve

Coverage = dict[str, tuple[float, Lines]]


@dataclass(frozen=True)
class Fate:
    """What became of a mutant. by: the case that killed it, and how; empty for a survivor. tried: how many cases."""

    mutant: Mutant
    by: str
    tried: int

    @property
    def killed(self) -> bool:
        return bool(self.by)


class _Hand:
    """A worker process, started when it is first needed and again when it ends."""

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self.process: Any = None
        self.pipe: Connection | None = None

    def ask(self, request: tuple[Any, ...], limit: float) -> Any:
        """The answer, or None where the process ended or took more than `limit` seconds."""
        if self.process is None:
            context = multiprocessing.get_context("spawn")
            self.pipe, other = context.Pipe()
            self.process = context.Process(target=serve, args=(other, self.backend), daemon=True)
            self.process.start()
            other.close()
        assert self.pipe is not None
        with suppress(EOFError, OSError):
            self.pipe.send(request)
            if self.pipe.poll(limit):
                return self.pipe.recv()
        self.stop()
        return None

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.process = None


def covered(backend: str, modules: Sequence[str], cases: Sequence[str], processes: int = 2) -> Coverage:
    """The lines of `modules` that each case comes by."""
    found: Coverage = {}

    def part(k: int) -> None:
        hand = _Hand(backend)
        for case in cases[k::processes]:
            answer = hand.ask(("cover", case, list(modules)), 120.0)
            if answer is not None:
                found[case] = answer
        hand.stop()

    with ThreadPoolExecutor(processes) as pool:
        list(pool.map(part, range(processes)))
    return found


def tried(
    backend: str,
    mutants: Sequence[Mutant],
    coverage: Coverage,
    *,
    processes: int = 2,
    budget: float = float("inf"),
    limit: float = 60.0,
    seen: Callable[[Fate], None] = lambda _: None,
) -> list[Fate]:
    """What becomes of each mutant, until `budget` seconds are over.

    limit: seconds for one mutant. Then it counts as killed where a single case took half of them, and else as having
    survived what it was tried on.
    """
    where = by_line(coverage)
    killers: dict[str, Counter[str]] = {}
    fates: list[Fate] = []
    lock, end = Lock(), time.monotonic() + budget
    rest = list(reversed(mutants))

    def work() -> None:
        hand = _Hand(backend)
        while time.monotonic() < end:
            with lock:
                if not rest:
                    break
                m = rest.pop()
                counts = killers.setdefault(m.function, Counter())
                first = [c for c, _ in counts.most_common()]
            if m.threshold is not None:
                cases = sorted(coverage, key=lambda c: coverage[c][0])
            else:
                cases = cases_at(where, m.module, range(m.lines[0], m.lines[1] + 1))
            cases.sort(key=lambda c: first.index(c) if c in first else len(first))
            answer = hand.ask(("try", m, cases, limit), 3 * limit) if cases else ("", "", 0)
            case, how, count = ("the process", "ended or hung", 0) if answer is None else answer
            with lock:
                if case in coverage:
                    counts[case] += 1
                fates.append(Fate(m, f"{case}: {how}" if case else "", count))
                seen(fates[-1])
        hand.stop()

    with ThreadPoolExecutor(processes) as pool:
        for done in [pool.submit(work) for _ in range(processes)]:
            done.result()
    return fates


__all__ = ["Coverage", "Fate", "covered", "tried"]
