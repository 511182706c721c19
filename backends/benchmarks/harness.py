"""Interleaved timing: contestants take turns in one process, so that noise of the machine falls on all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def interleaved(
    contestants: Mapping[str, Callable[[], object]],
    rounds: int = 15,
    seconds: float = 0.05,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """The median time of a call of each contestant, in microseconds.

    Each round times every contestant once, in turn, over as many calls as fill `seconds`. clock: the processor's own,
    ``time.process_time``, where others use the machine too and nothing waits.
    """
    calls = {}
    for name, run in contestants.items():
        run()
        start = clock()
        run()
        once = max(clock() - start, 1e-7)
        calls[name] = max(1, int(seconds / once))
    samples: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            n = calls[name]
            start = clock()
            for _ in range(n):
                run()
            samples[name].append((clock() - start) / n * 1e6)
    return {name: statistics.median(times) for name, times in samples.items()}


def report(title: str, times: Mapping[str, float], against: str) -> None:
    """Print times and their ratios to one contestant."""
    print(f"{title:<46}" + "  ".join(f"{name} {t:9.1f} us ({t / times[against]:.2f}x)" for name, t in times.items()))


def zipf_ids(rng, n: int, size, exponent: float = 1.1):
    """Ids in ``[0, n)`` whose frequencies fall like those of words, in random order over the table."""
    ranks = (rng.pareto(exponent - 1 + 1e-3, size) % n).astype("int64")
    return (ranks * 2654435761 + 12345) % n
