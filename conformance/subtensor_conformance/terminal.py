"""Reports for a terminal: a progress bar, the matrix of areas by backends, failures, one for each message."""

from __future__ import annotations

import shutil
import sys
import textwrap
from typing import TextIO

from subtensor_conformance.report import Report, Run, case_of
from subtensor_conformance.repro import script
from subtensor_conformance.result import Result

TRACEBACK_LINES = 9
_COLOURS = {"good": "32", "bad": "31;1", "dim": "2", "bold": "1", "warn": "33"}


class Paint:
    """Colours where the stream is a terminal."""

    def __init__(self, stream: TextIO) -> None:
        self.on = stream.isatty()

    def __call__(self, text: str, colour: str) -> str:
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self.on else text


class Bar:
    """One line that grows; nothing where the stream is no terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.paint = Paint(self.stream)
        self.failed = 0

    def __call__(self, backend: str, done: int, total: int, result: Result) -> None:
        self.failed = self.failed + (not result.good) if done > 1 else int(not result.good)
        if not self.paint.on or (done % 7 and done != total and result.good):
            return
        width = 30
        filled = width * done // max(total, 1)
        bar = "█" * filled + "·" * (width - filled)
        tail = self.paint(f"{self.failed} failed", "bad") if self.failed else self.paint("no failure", "good")
        self.stream.write(f"\r\x1b[K{backend} {bar} {done}/{total}  {tail}  {self.paint(result.area, 'dim')}")
        self.stream.write("\r\x1b[K" if done == total else "")
        self.stream.flush()


def cell(run: Run, area: str) -> str:
    """Counts of every state that occurs: ``31 pass, 2 fail``."""
    counts = run.counts(area)
    order = ("pass", "unsupported", "fail", "stale", "undeclared", "not-run")
    return ", ".join(f"{counts[s]} {s}" for s in order if counts[s]) or "-"


def show(report: Report, stream: TextIO | None = None, most: int = 10) -> None:
    """Print a report. most: how many failures of each backend, with messages of their own, are shown in full."""
    stream = stream or sys.stdout
    paint = Paint(stream)
    out = stream.write
    out(f"\n{report.manifest.count} cases, profile {report.profile}, seed {report.seed}, ")
    out(f"manifest {report.manifest.digest[:16]}\n\n")
    _matrix(report, paint, stream)
    for run in report.runs:
        out("\n")
        if run.fault:
            out(paint(f"{run.backend}: could not be loaded: {run.fault}\n", "bad"))
            continue
        for fault in run.declarations:
            out(paint(f"{run.backend}: declarations: {fault}\n", "warn"))
        for r in run.loosened:
            out(f"{run.backend}: {r.id}: bound loosened by {r.factor:g}, largest error {r.error:.3g} ulp\n")
        _failures(run, paint, stream, most)
        verdict = {0: "conformant", 1: "not conformant", 2: "not loaded", 3: "declarations inconsistent"}[run.exit_code]
        text = f"{run.backend}: {verdict}. Proven by this run: {report.badge(run)}. {run.seconds:.1f} s\n"
        out(paint(text, "good" if run.exit_code == 0 else "bad"))
    _disagreements(report, paint, stream)


def _matrix(report: Report, paint: Paint, stream: TextIO) -> None:
    heads = ["area", *(run.backend for run in report.runs)]
    rows = [[area, *(cell(run, area) for run in report.runs)] for area in report.areas]
    rows.append(["all", *(_sum(run) for run in report.runs)])
    widths = [max(len(r[k]) for r in [heads, *rows]) for k in range(len(heads))]
    stream.write(paint("  ".join(h.ljust(w) for h, w in zip(heads, widths, strict=True)).rstrip(), "bold") + "\n")
    for row in rows:
        if row[0] == "all":
            stream.write(paint("─" * (sum(widths) + 2 * len(widths) - 2), "dim") + "\n")
        cells = [row[0].ljust(widths[0])]
        for text, width in zip(row[1:], widths[1:], strict=True):
            bad = any(s in text for s in ("fail", "stale", "undeclared", "not-run"))
            cells.append(paint(text.ljust(width), "bad" if bad else "good"))
        stream.write("  ".join(cells).rstrip() + "\n")


def _sum(run: Run) -> str:
    counts = run.counts()
    return ", ".join(f"{n} {s}" for s, n in counts.items() if n)


def _failures(run: Run, paint: Paint, stream: TextIO, most: int) -> None:
    alike: dict[tuple[str, str, str], list[Result]] = {}
    for r in run.failures:
        if r.state != "not-run":
            alike.setdefault((r.state, r.kind, r.message), []).append(r)
    shown = list(alike.values())
    for r, *others in shown[:most]:
        stream.write(paint(f"✗ {r.id}", "bad") + f"  [{r.state}{': ' + r.kind if r.kind else ''}]\n")
        stream.write(textwrap.indent(r.message, "  ") + "\n")
        width = shutil.get_terminal_size().columns
        for label, text in (("expected", r.expected), ("got", r.got)):
            if text and r.kind == "error" and label == "got":  # a traceback: what matters stands last
                out = "\n".join(text.rstrip().splitlines()[-TRACEBACK_LINES:])
                stream.write(f"  {paint(label, 'dim')}:\n{textwrap.indent(out, '    ')}\n")
            elif text:
                short = textwrap.shorten(" ".join(text.split()), max(60, 2 * width))
                stream.write(f"  {paint(label, 'dim')}: {short}\n")
        stream.write(f"  {paint('script', 'dim')}:   subtensor-conformance --backend {run.backend} --repro {r.id}\n")
        if others:
            some = ", ".join(o.id for o in others[:3]) + (", …" if len(others) > 3 else "")
            stream.write(f"  and {len(others)} more with the same message: {some}\n")
    if len(shown) > most:
        left = sum(map(len, shown[most:]))
        stream.write(f"  and {left} more, with {len(shown) - most} other messages; --json lists all\n")
    left = sum(r.state == "not-run" for r in run.failures)
    if left:
        stream.write(paint(f"{left} planned cases were not run, which counts as failure\n", "bad"))


def _disagreements(report: Report, paint: Paint, stream: TextIO) -> None:
    if len(report.runs) < 2:
        return
    found = report.disagreements()
    if not found:
        stream.write(
            paint("\nWhere both pass, they agree with each other, bit for bit where the case is exact.\n", "good")
        )
    stream.writelines(paint(f"≠ {case}", "bad") + f"  {a} and {b}: {message}\n" for case, a, b, message in found[:20])


def reproduction(case_id: str, backend: str) -> str:
    """The stand-alone script of a case."""
    return script(case_of(case_id), backend)
