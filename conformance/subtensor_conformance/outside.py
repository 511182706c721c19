"""Some cases once more, as scripts in a plain process: a backend must be right where no suite is near, too."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from subtensor_conformance.case import Case
from subtensor_conformance.report import Run, case_of
from subtensor_conformance.repro import script
from subtensor_conformance.result import Result

MOST = 8
"""Scripts for each run: one of each area, of the areas in turn."""

LIMIT = 120.0

_ALL = """\
import contextlib, io, sys, traceback
from contextlib import ExitStack
held = ExitStack()
if {bad!r}:
    from subtensor_conformance.known_bad import installed
    held.enter_context(installed({backend!r}))
for number in range({count}):
    path = f"{folder}/{{number}}.py"
    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        try:
            with open(path) as f:
                exec(compile(f.read(), path, "exec"), {{"__name__": "__main__"}})
        except SystemExit as end:
            code = end.code
        except Exception:
            code = 1
            traceback.print_exc(file=told)
    if code:
        print(number, next((l for l in told.getvalue().splitlines() if l.startswith("WRONG")), told.getvalue()[-300:]))
print("end")
"""


def outside(run: Run) -> list[Result]:
    """Failures of cases that passed in the worker of a run, and do not in a script."""
    chosen = _chosen([case_of(r.id) for r in run.results.values() if r.state == "pass"])
    if not chosen:
        return []
    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(chosen):
            (Path(folder) / f"{number}.py").write_text(script(case, run.backend), encoding="utf-8")
        bad = run.backend.startswith("known-bad:")
        source = _ALL.format(backend=run.backend, bad=bad, count=len(chosen), folder=folder)
        (Path(folder) / "all.py").write_text(source, encoding="utf-8")
        command = [sys.executable, str(Path(folder) / "all.py")]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT)  # noqa: S603
            lines, why = done.stdout.splitlines(), done.stderr.strip()[-300:]
        except subprocess.TimeoutExpired:
            lines, why = [], f"no end after {LIMIT:.0f} s"
    found = [line.partition(" ") for line in lines if line != "end"]
    failures = [(chosen[int(n)], text) for n, _, text in found if n.isdigit() and int(n) < len(chosen)]
    if not lines or lines[-1] != "end":
        failures.append((chosen[len(failures) if len(failures) < len(chosen) else 0], f"the process ended: {why}"))
    return [
        Result(c.id, "fail", "elsewhere", f"it passes in the suite's process, and not in a script of its own: {text}")
        for c, text in failures
    ]


def _chosen(passed: Sequence[Case]) -> list[Case]:
    """A plain case of each area, one with updates where there is one."""
    plain = [
        c for c in passed if not (c.together or c.crowd or c.interrupted or c.kept or c.raises) and c.area != "errors"
    ]
    by_area: dict[str, Case] = {}
    for c in plain:
        by_area.setdefault(c.area, c)
    for wanted in ("get", "set", "inc", "update", "optimizers", "reduce", "sort", "gradient"):
        if wanted in by_area:
            by_area[wanted] = by_area.pop(wanted)  # these last, to be taken first
    return list(reversed(by_area.values()))[:MOST]


__all__ = ["outside"]
