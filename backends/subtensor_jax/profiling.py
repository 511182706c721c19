"""Where the time of a call goes: stage by stage, with what XLA says of each."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from subtensor.errors import counted
from subtensor.program.contract import Timing
from subtensor_jax.stages import Part, Slots


def profiled(
    parts: Sequence[Part], last: Part, slots: Callable[[], Slots], call: Callable[[], Any], analysed: Sequence[Any],
    rounds: int,
) -> list[Timing]:  # fmt: skip
    """What the host and the device do in each stage, in the median of some calls.

    parts: the stages before the last one. slots: gives the leaves. call: makes a call. analysed: for each stage, what
    XLA compiled. The time of the last stage, commit and way back included, is what the others leave of a whole call.
    """
    took: list[list[float]] = [[] for _ in range(2 * len(parts) + 1)]
    for _ in range(rounds):
        found = slots()
        for n, part in enumerate(parts):
            began = time.perf_counter()
            key, starts = part.prepare(found)
            prepared = time.perf_counter()
            part.finish(found, key, starts)
            for s in part.emitted:
                found[s].block_until_ready()
            took[2 * n].append(prepared - began)
            took[2 * n + 1].append(time.perf_counter() - prepared)
        before = sum(t[-1] for t in took[:-1])
        began = time.perf_counter()
        call()
        took[-1].append(max(0.0, time.perf_counter() - began - before))
    medians = list(map(statistics.median, took))
    timings = []
    for n, part in enumerate([*parts, last]):
        number = f"stage {n + 1} of {len(parts) + 1}"
        host = tuple(o for i in part.stage.host for o in i.outs)
        device = tuple(o for i in part.stage.instructions for o in i.outs)
        if part is last:
            what = f"{number}: {counted(len(device), 'operation')}, updates and results"
            timings.append(Timing(what, (*host, *device), medians[-1], True, analysis(analysed[n])))
            continue
        if host:
            timings.append(Timing(f"{number}, on the host", host, medians[2 * n]))
        what = f"{number}: {counted(len(device), 'operation')}"
        timings.append(Timing(what, device, medians[2 * n + 1], False, analysis(analysed[n])))
    return timings


def analysis(compiled: Any) -> dict[str, float]:
    """What XLA says of what it compiled: operations and bytes moved, by its own model, and temporary memory."""
    if compiled is None:
        return {}
    costs = compiled.cost_analysis() or {}
    if isinstance(costs, list):  # older versions give one for each device
        costs = costs[0] if costs else {}
    found = {name: float(costs[key]) for name, key in _COSTS.items() if key in costs}
    memory = compiled.memory_analysis()
    if memory is not None:
        found["XLA temporary bytes"] = float(memory.temp_size_in_bytes)
    return found


_COSTS = {"XLA operations": "flops", "XLA bytes": "bytes accessed"}
