"""The report as one HTML page, without anything outside it."""

from __future__ import annotations

from html import escape

from subtensor_conformance.case import SPEC_VERSION
from subtensor_conformance.cases import AREAS
from subtensor_conformance.report import Report, Run, case_of
from subtensor_conformance.repro import script
from subtensor_conformance.result import STATES, Result
from subtensor_conformance.terminal import cell

_STYLE = """
:root { color-scheme: light dark; --good: #1a7f37; --bad: #c62828; --line: #8884; --soft: #8881; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2.5rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2.25rem 0 .5rem; }
p.meta { color: #777; margin: 0; }
.badges { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.25rem 0; }
.badge { display: flex; border-radius: 6px; overflow: hidden; font-weight: 600; }
.badge span { padding: .35rem .75rem; background: #555; color: #fff; }
.badge span + span { background: var(--good); } .badge.bad span + span { background: var(--bad); }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .35rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; } td.what { color: #777; } tr.level td { background: var(--soft); font-weight: 600; }
td.good { color: var(--good); } td.bad { color: var(--bad); font-weight: 600; }
details { border: 1px solid var(--line); border-radius: 6px; margin: .5rem 0; padding: .4rem .8rem; }
summary { cursor: pointer; } summary code { font-weight: 600; }
pre { overflow-x: auto; background: var(--soft); padding: .7rem; border-radius: 4px; font-size: 13px; }
dt { font-weight: 600; } dd { margin: 0 0 .3rem 1.25rem; color: #777; }
"""


def page(report: Report) -> str:
    """The whole page."""
    names = ", ".join(run.backend for run in report.runs)
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width'>",
        f"<title>Conformance of {escape(names)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>Conformance of {escape(names)}</h1>",
        _plan(report),
        "<div class='badges'>",
        *(_badge(report, run) for run in report.runs),
        "</div>",
        _matrix(report),
        *(_failures(run) for run in report.runs),
        _comparison(report),
        "<h2>States</h2><dl>",
        *(f"<dt>{s}</dt><dd>{escape(text)}</dd>" for s, text in STATES.items()),
        "</dl></body></html>",
    ]
    return "\n".join(parts)


def _plan(report: Report) -> str:
    return (
        f"<p class='meta'>{report.manifest.count} cases · profile {report.profile} · spec {SPEC_VERSION} · "
        f"seed {report.seed} · manifest <code>{report.manifest.digest[:16]}</code></p>"
    )


def _badge(report: Report, run: Run) -> str:
    bad = "" if run.exit_code == 0 else " bad"
    verdict = {0: "", 1: "not conformant; ", 2: "", 3: "declarations inconsistent; "}[run.exit_code]
    words = escape(verdict + report.badge(run))
    return f"<div class='badge{bad}'><span>{escape(run.backend)}</span><span>{words}</span></div>"


def _matrix(report: Report) -> str:
    rows = ["<h2>Areas</h2><table><tr><th>area</th><th></th>"]
    rows += [f"<th>{escape(run.backend)}</th>" for run in report.runs]
    rows.append("</tr>")
    level = ""
    for area in report.areas:
        of, what, _ = AREAS[area]
        if of != level:
            level = of
            rows.append(f"<tr class='level'><td colspan='{2 + len(report.runs)}'>{of}</td></tr>")
        rows.append(f"<tr><td>{area}</td><td class='what'>{escape(what)}</td>")
        for run in report.runs:
            good = all(r.good for r in run.results.values() if r.area == area)
            rows.append(f"<td class='{'good' if good else 'bad'}'>{cell(run, area)}</td>")
        rows.append("</tr>")
    return "".join([*rows, "</table>"])


def _failures(run: Run) -> str:
    if run.fault:
        return f"<h2>{escape(run.backend)}</h2><p>Could not be loaded: {escape(run.fault)}</p>"
    parts = [f"<p>{escape(run.backend)}: declarations: {escape(d)}</p>" for d in run.declarations]
    parts += [
        f"<p>{escape(run.backend)}: <code>{escape(r.id)}</code>: bound loosened by {r.factor:g}</p>"
        for r in run.loosened
    ]
    failures = [r for r in run.failures if r.state != "not-run"]
    if failures:
        parts.append(f"<h2>Failures of {escape(run.backend)}</h2>")
        parts += [_failure(r, run.backend) for r in failures[:200]]
    if len(failures) > 200:
        parts.append(f"<p>And {len(failures) - 200} more, in the JSON report.</p>")
    return "".join(parts)


def _failure(r: Result, backend: str) -> str:
    source = escape(script(case_of(r.id), backend))
    blocks = "".join(
        f"<p>{label}</p><pre>{escape(text)}</pre>" for label, text in (("expected", r.expected), ("got", r.got)) if text
    )
    error = f"<p>Largest error: {r.error:.3g} units in the last place</p>" if r.error else ""
    return (
        f"<details><summary><code>{escape(r.id)}</code> · {r.state}{': ' + escape(r.kind) if r.kind else ''}</summary>"
        f"<p>{escape(r.message)}</p>{error}{blocks}<details><summary>Script that reproduces it</summary>"
        f"<pre>{source}</pre></details></details>"
    )


def _comparison(report: Report) -> str:
    if len(report.runs) < 2:
        return ""
    found = report.disagreements()
    if not found:
        return (
            "<h2>Compared with each other</h2><p>Where both pass, they agree: bit for bit where the case is exact.</p>"
        )
    rows = "".join(
        f"<tr><td><code>{escape(c)}</code></td><td>{escape(a)}, {escape(b)}</td><td>{escape(m)}</td></tr>"
        for c, a, b, m in found
    )
    return f"<h2>Compared with each other</h2><table>{rows}</table>"
