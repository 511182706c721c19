"""``run``: plan, execute in a worker process or here, account for every case."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import Any

from subtensor import plugins
from subtensor.errors import PluginError
from subtensor.plugins.contributions import did_you_mean
from subtensor.plugins.hooks import hookimpl
from subtensor.program.contract import CAPABILITIES
from subtensor_conformance import workers
from subtensor_conformance.case import Case, Manifest
from subtensor_conformance.cases import AREAS, corpus
from subtensor_conformance.check import check
from subtensor_conformance.declared import bounds, faults, lowering_faults
from subtensor_conformance.report import Report, Run, case_of
from subtensor_conformance.result import Result

Progress = Callable[[str, int, int, Result], None]


class UsageError(ValueError):
    """An unknown area, profile or case."""


def plan(
    areas: Iterable[str] = (),
    profile: str = "quick",
    seed: int = 0,
    ids: Iterable[str] = (),
    capability: str | None = None,
) -> list[Case]:
    """The cases to run, shuffled by the seed unless it is 0. Raises UsageError for a name that does not exist."""
    chosen, wanted = tuple(areas) or tuple(AREAS), tuple(ids)
    for area in chosen:
        if area not in AREAS:
            raise UsageError(f"unknown area {area!r}; the areas are {', '.join(AREAS)}{did_you_mean(area, AREAS)}")
    if profile not in ("quick", "full"):
        raise UsageError(f"unknown profile {profile!r}; expected quick or full")
    if capability is not None and capability not in CAPABILITIES:
        raise UsageError(f"unknown capability {capability!r}; the capabilities are {', '.join(sorted(CAPABILITIES))}")
    known = {c.id: c for c in corpus()}
    for i in wanted:
        if i not in known:
            raise UsageError(f"unknown case {i!r}; ids are exact{did_you_mean(i, known)}")
    cases = [known[i] for i in wanted] or [c for c in corpus() if c.area in chosen and (c.quick or profile == "full")]
    if capability is not None:
        cases = [c for c in cases if c.capability == capability]
    if seed:
        random.Random(seed).shuffle(cases)  # noqa: S311  # an order, not a secret
    return cases


def run(
    *backends: Any,
    areas: Sequence[str] = (),
    profile: str = "quick",
    seed: int = 0,
    ids: Sequence[str] = (),
    capability: str | None = None,
    time_limit: float = 60.0,
    progress: Progress | None = None,
    cases: Sequence[Case] | None = None,
    in_process: bool = False,
) -> Report:
    """Run the suite.

    backends: names, each run in a process of its own that may crash or hang, or backend objects, which are registered
    and run in this process. areas: all if empty. ids: exact ids of cases, instead of areas. time_limit: seconds for one
    case. cases: instead of the corpus. Gives a Report; raises UsageError for an unknown area, profile, case or
    capability. A backend that cannot be loaded is in the report, with the reason.
    """
    planned = list(cases) if cases is not None else plan(areas, profile, seed, ids, capability)
    manifest = Manifest.of(planned)
    covered = tuple(a for a in AREAS if any(c.area == a for c in planned))
    runs = []
    for backend in backends:
        start = time.perf_counter()
        name = backend if isinstance(backend, str) else getattr(backend, "name", type(backend).__name__)
        result = Run(name)

        def seen(r: Result, result: Run = result) -> None:
            result.results[r.id] = r
            if progress is not None:
                progress(result.backend, len(result.results), len(planned), r)

        if isinstance(backend, str) and not in_process:
            workers.execute(result, [c.id for c in planned], time_limit, seen)
        else:
            _here(result, backend, planned, seen)
        result.seconds = time.perf_counter() - start
        result.close(manifest)
        runs.append(result)
    return Report(manifest, profile, covered, seed, runs)


class _Plugin:
    def __init__(self, backend: Any) -> None:
        self.backend = backend

    @hookimpl
    def subtensor_backend(self) -> Any:
        return self.backend


def _here(run: Run, backend: Any, cases: Sequence[Case], seen: Callable[[Result], None]) -> None:
    with ExitStack() as held:
        try:
            if not isinstance(backend, str):
                registered = plugins.register(_Plugin(backend))
                held.callback(plugins.unregister, registered)
            found = plugins.get_backend(run.backend)
        except PluginError as error:
            run.fault = str(error)
            return
        run.about = describe(found)
        factors, wrong = bounds(found)
        run.declarations = [*wrong, *faults(found)]
        for case in cases:
            seen(checked(case, run.backend, factors))
        run.declarations += lowering_faults(found)


def describe(backend: Any) -> dict[str, Any]:
    """What a report says of a backend."""
    info = next((i for i in plugins.backends() if i.name == backend.name), None)
    return {
        "capabilities": sorted(backend.capabilities),
        "lacks": sorted(CAPABILITIES - backend.capabilities),
        "operations": len(backend.operations),
        "distribution": info.distribution if info else None,
        "version": info.version if info else None,
    }


def checked(case: Case, backend: str, factors: dict[str, float]) -> Result:
    """A case within its bound, or the loosened one if it needs that; a bound loosened for nothing is stale."""
    factor = factors.get(case.id)
    result = check(case, backend)
    if factor is None:
        return result
    if result.state == "pass":
        message = f"conformance_bounds loosens the bound by {factor}, but the case passes without; remove it"
        return Result(case.id, "stale", "declaration", message)
    return check(case, backend, factor)


__all__ = ["Report", "UsageError", "case_of", "plan", "run"]
