"""All cases, and the ops and public functions as they are before any test adds its own."""

from __future__ import annotations

import cases_convolution
import cases_core
import cases_elementwise
import cases_linalg
import cases_peers
import cases_random
import cases_ranking
import cases_reduce
import cases_segments
import cases_select
import cases_shape
import cases_theano
from opcases import Case

import subtensor  # noqa: F401  # fills the tables
from subtensor.graph.nodes import OPS
from subtensor.graph.operators import FUNCTIONS

MODULES = (
    cases_convolution,
    cases_core,
    cases_elementwise,
    cases_linalg,
    cases_peers,
    cases_random,
    cases_ranking,
    cases_reduce,
    cases_segments,
    cases_select,
    cases_shape,
    cases_theano,
)
CASES: list[Case] = [case for module in MODULES for case in module.all_cases()]
BY_NAME: dict[str, list[Case]] = {}
for _case in CASES:
    BY_NAME.setdefault(_case.name, []).append(_case)

ALL_OPS, ALL_FUNCTIONS = frozenset(OPS), dict(FUNCTIONS)
