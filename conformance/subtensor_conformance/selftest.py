"""The suite tried on backends that are known to be bad: each must be killed, the unmutated one must pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from subtensor_conformance.known_bad import ALL, PREFIX, UNMUTATED, KnownBad, installed
from subtensor_conformance.report import Report, case_of
from subtensor_conformance.runner import run


@dataclass(frozen=True)
class Verdict:
    """killed: whether the suite did what it should. by: the first case that failed for the right reason, and why."""

    name: str
    killed: bool
    by: str
    failed: int = 0
    ran: int = 0


def judge(entry: KnownBad, report: Report) -> Verdict:
    """Whether a report kills a backend in its own area and for its own reason."""
    (result,) = report.runs
    failures = result.failures
    ran = len(result.results)
    own = [r for r in failures if r.state == entry.state and r.kind in entry.kinds]
    if entry.tags:  # what is tagged "edges" or "sizes" has several things at once that are easily got wrong
        stray = [r for r in failures if not set(case_of(r.id).tags) & {*entry.tags, "edges", "sizes"}]
        if stray:
            return Verdict(
                entry.name,
                False,
                f"{stray[0].id} fails, which has none of its tags: {stray[0].message}",
                len(failures),
                ran,
            )
    if result.fault:
        return Verdict(entry.name, False, f"it could not be loaded: {result.fault}")
    if not own:
        why = f"{failures[0].kind}: {failures[0].message}" if failures else "nothing failed"
        return Verdict(entry.name, False, f"no failure of kind {' or '.join(entry.kinds)}: {why}", len(failures), ran)
    return Verdict(entry.name, report.exit_code != 0, f"{own[0].id}: {own[0].message}", len(failures), ran)


def try_one(entry: KnownBad, over: str = "numpy") -> Verdict:
    """Run its own area on a known-bad backend."""
    name = PREFIX + entry.name
    if entry.alone:
        return judge(entry, run(name, ids=("create/zeros",), time_limit=3.0))
    with installed(name, over):
        return judge(entry, run(name, areas=(entry.area,), profile=entry.profile, in_process=True))


def try_unmutated(over: str = "numpy") -> Verdict:
    """The wrapper that alters nothing must pass the areas of all others."""
    areas = tuple(dict.fromkeys(e.area for e in ALL.values()))
    with installed(PREFIX + UNMUTATED, over) as name:
        report = run(name, areas=areas, in_process=True)
    failures = report.runs[0].failures
    by = f"{failures[0].id}: {failures[0].message}" if failures else "every case passes"
    return Verdict(UNMUTATED, not failures, by, len(failures), len(report.runs[0].results))


def self_test(
    names: Iterable[str] = (), over: str = "numpy", progress: Callable[[Verdict], None] | None = None
) -> list[Verdict]:
    """Verdicts on the unmutated backend and on all known-bad ones, or on those named."""
    chosen = list(names) or [UNMUTATED, *ALL]
    verdicts = []
    for name in chosen:
        verdict = try_unmutated(over) if name == UNMUTATED else try_one(ALL[name], over)
        verdicts.append(verdict)
        if progress is not None:
            progress(verdict)
    return verdicts
