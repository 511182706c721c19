"""The command ``subtensor-conformance``.

Exit status: 0 conformant; 1 not conformant; 2 a backend could not be loaded, or the command is malformed; 3 only the
backend's declarations are inconsistent.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from subtensor import plugins
from subtensor_conformance.cases import AREAS
from subtensor_conformance.html_report import page
from subtensor_conformance.junit import xml
from subtensor_conformance.known_bad import ALL, PREFIX, UNMUTATED
from subtensor_conformance.report import NOT_CONFORMANT, NOT_LOADED, Report
from subtensor_conformance.runner import UsageError, plan, run
from subtensor_conformance.selftest import Verdict, self_test
from subtensor_conformance.terminal import Bar, Paint, reproduction, show


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    options = _parser().parse_args(argv)
    try:
        if options.self_test:
            return _self_test(options)
        if options.list:
            return _list(options)
        if not options.backend:
            _check_name(None)
        for name in options.backend:
            _check_name(name)
        if options.random is not None:
            return _random(options)
        if options.repro:
            plan(ids=(options.repro,))
            print(reproduction(options.repro, options.backend[0]))
            return 0
        report = run(
            *options.backend, areas=options.area, profile=options.profile, seed=options.seed, ids=options.case,
            capability=options.capability, time_limit=options.time_limit, progress=Bar(),
        )  # fmt: skip
    except UsageError as error:
        print(f"subtensor-conformance: {error}", file=sys.stderr)
        return NOT_LOADED
    _write(options, report)
    show(report, most=options.failures)
    return report.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="subtensor-conformance", description=__doc__)
    add = parser.add_argument
    add("--backend", action="append", default=[], metavar="NAME", help="a backend to try; several are also compared")
    add("--area", action="append", default=[], metavar="AREA", help=f"only this area: {', '.join(AREAS)}")
    add("--case", action="append", default=[], metavar="ID", help="only this case, by its exact id")
    add("--capability", metavar="NAME", help="only the cases that need this capability")
    add("--profile", default="quick", metavar="quick|full", help="how many of the cases to run (quick)")
    add("--seed", type=int, default=0, help="shuffle the cases; 0 keeps their order")
    add("--time-limit", type=float, default=60.0, metavar="S", help="seconds for one case (60)")
    add("--failures", type=int, default=10, metavar="N", help="how many failures to show in full (10)")
    add("--json", type=Path, metavar="FILE", help="write the report as JSON, with a script for each failure")
    add("--junitxml", type=Path, metavar="FILE", help="write the report as JUnit XML")
    add("--html", type=Path, metavar="FILE", help="write the report as one HTML page")
    add("--repro", metavar="ID", help="print a stand-alone script of a case, and run nothing")
    add("--list", action="store_true", help="print the ids of the planned cases, and run nothing")
    add(
        "--random", type=int, nargs="?", const=200, metavar="N", help="try N random programs instead (needs hypothesis)"
    )
    add("--self-test", action="store_true", help="try the suite itself on backends that are known to be bad")
    add("--only", action="append", default=[], metavar="NAME", help="with --self-test: only this known-bad backend")
    return parser


def _check_name(name: str | None) -> None:
    if name is None:
        raise UsageError("no backend is named; use --backend NAME, as `subtensor backends` lists them")
    if name.startswith(PREFIX):
        known = [PREFIX + n for n in (*ALL, UNMUTATED)]
    else:
        known = sorted({i.name for i in plugins.backends()})
    if name not in known:
        raise UsageError(f"unknown backend {name!r}; available: {', '.join(known)}")


def _write(options: argparse.Namespace, report: Report) -> None:
    if options.json:
        options.json.write_text(json.dumps(report.as_dict(), indent=1), encoding="utf-8")
    if options.junitxml:
        options.junitxml.write_text(xml(report), encoding="utf-8")
    if options.html:
        options.html.write_text(page(report), encoding="utf-8")


def _list(options: argparse.Namespace) -> int:
    for case in plan(options.area, options.profile, options.seed, options.case, options.capability):
        print(case.id)
    return 0


def _self_test(options: argparse.Namespace) -> int:
    for name in options.only:
        if name not in ALL and name != UNMUTATED:
            raise UsageError(f"unknown known-bad backend {name!r}; there are: {', '.join(ALL)}")
    paint = Paint(sys.stdout)

    def progress(v: Verdict) -> None:
        area = ALL[v.name].area if v.name in ALL else "-"
        mark = paint("passes  ", "good") if v.name == UNMUTATED and v.killed else paint("killed  ", "good")
        print(
            f"{mark if v.killed else paint('SURVIVES', 'bad')}  {v.name:34}{area:12}{v.failed:4}/{v.ran:<4} {v.by}"[
                :240
            ]
        )

    verdicts = self_test(options.only, progress=progress)
    left = [v for v in verdicts if not v.killed]
    print(f"\n{len(verdicts) - len(left)} of {len(verdicts)} as they should be")
    return NOT_CONFORMANT if left else 0


def _random(options: argparse.Namespace) -> int:
    try:
        from subtensor_conformance.random_lane import explore  # noqa: PLC0415  # needs hypothesis
    except ImportError as error:
        raise UsageError(f"--random needs hypothesis ({error}); pip install 'subtensor[conformance]'") from error
    found = explore(options.backend, options.random, options.seed)
    for text in found:
        print(text)
    print(f"{options.random} random programs on {', '.join(options.backend)}: {len(found) or 'no'} findings")
    return NOT_CONFORMANT if found else 0


if __name__ == "__main__":
    sys.exit(main())
