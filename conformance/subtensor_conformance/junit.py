"""The report as JUnit XML, which continuous integration reads."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from subtensor_conformance.report import Report
from subtensor_conformance.result import Result


def xml(report: Report) -> str:
    """One test suite for each backend and area, one test case for each case."""
    parts = ['<?xml version="1.0" encoding="utf-8"?>', "<testsuites>"]
    for run in report.runs:
        for area in report.areas:
            results = [r for r in run.results.values() if r.area == area]
            bad = sum(not r.good for r in results)
            skipped = sum(r.state == "unsupported" for r in results)
            parts.append(
                f'<testsuite name={quoteattr(f"{run.backend}.{area}")} tests="{len(results)}" failures="{bad}" '
                f'skipped="{skipped}" time="{sum(r.seconds for r in results):.3f}">'
            )
            parts += [_case(r, run.backend) for r in results]
            parts.append("</testsuite>")
    return "\n".join([*parts, "</testsuites>", ""])


def _case(r: Result, backend: str) -> str:
    head = f'<testcase classname={quoteattr(f"{backend}.{r.area}")} name={quoteattr(r.id)} time="{r.seconds:.3f}"'
    if r.state == "pass":
        return f"{head}/>"
    if r.state == "unsupported":
        return f"{head}><skipped message={quoteattr(_clean(r.message))}/></testcase>"
    body = _clean(f"{r.message}\nexpected: {r.expected}\ngot: {r.got}")
    failure = f"<failure type={quoteattr(r.state)} message={quoteattr(_clean(r.message))}>{escape(body)}</failure>"
    return f"{head}>{failure}</testcase>"


def _clean(text: str) -> str:
    """Without characters that XML cannot hold."""
    return "".join(c if c in "\t\n" or ord(c) >= 32 else "?" for c in text)
