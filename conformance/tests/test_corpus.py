"""The corpus: stable ids, a manifest, and a case for every op."""

import re

import pytest

from subtensor.program.contract import CAPABILITIES
from subtensor_conformance import Manifest, Value, paste
from subtensor_conformance.case import Call, Case, Given, numbers
from subtensor_conformance.cases import AREAS, corpus
from subtensor_conformance.check import build
from subtensor_numpy.emit import OPERATIONS

UNREACHED = {"assume_unique": "a promise that the caller makes, of no meaning but to rewrites"}
"""Ops that no case has in its program, with the reason."""


def test_ids_are_unique_and_well_formed():
    ids = [c.id for c in corpus()]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[A-Za-z0-9_./,()-]+", i) for i in ids), [
        i for i in ids if not re.fullmatch(r"[\w./,()-]+", i)
    ][:5]


def test_there_are_several_thousand_and_a_quick_profile():
    assert 3000 < len(corpus()) < 8000
    assert 700 < sum(c.quick for c in corpus()) < 1700
    for area in AREAS:
        assert any(c.quick for c in corpus() if c.area == area), area


def test_capabilities_are_of_the_closed_set():
    assert {c.capability for c in corpus()} == {None, *CAPABILITIES}


def test_the_manifest_depends_on_what_cases_say():
    cases = corpus()[:50]
    assert Manifest.of(cases).digest == Manifest.of(cases[::-1]).digest
    other = Case(**{f: getattr(cases[0], f) for f in Case.__dataclass_fields__} | {"ulps": 9.0})
    assert Manifest.of([other, *cases[1:]]).digest != Manifest.of(cases).digest


@pytest.mark.parametrize("case", corpus()[::400], ids=str)
def test_a_pasted_case_is_the_case(case):
    names = {"Case": Case, "Call": Call, "Given": Given, "Value": Value}
    again = eval(paste(case), names)
    assert paste(again) == paste(case)


def test_numbers_do_not_change():
    assert numbers(4, "int32", 3) == (-11, -17, 16, -17) or len(set(numbers(40, "int32", 3))) > 15
    assert numbers(3, "float32") == numbers(3, "float32")


@pytest.mark.once
def test_every_op_of_the_in_tree_backend_is_in_a_case():
    seen = set()
    for case in corpus():
        if case.raises is None and not seen >= OPERATIONS:
            seen |= {i.op.name for i in build(case, "numpy")[0].program.instructions}
    missing = OPERATIONS - seen
    assert missing <= set(UNREACHED), sorted(missing)
