"""Proof that a backend of subtensor is right: cases as data, an oracle, a runner, and backends that must not pass.

``run("numpy")`` gives a ``Report``; the command ``subtensor-conformance`` prints one.
"""

from subtensor_conformance.case import Call, Case, Given, Manifest, Value, paste
from subtensor_conformance.report import Report, Run
from subtensor_conformance.result import STATES, Result
from subtensor_conformance.runner import UsageError, plan, run

__all__ = [
    "STATES",
    "Call",
    "Case",
    "Given",
    "Manifest",
    "Report",
    "Result",
    "Run",
    "UsageError",
    "Value",
    "paste",
    "plan",
    "run",
]
