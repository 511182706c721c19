"""Every known-bad backend is killed in its own area and for its own reason; the unmutated one passes."""

from pathlib import Path

import pytest

from subtensor_conformance.known_bad import ALL, UNMUTATED
from subtensor_conformance.known_bad.document import BEGIN, END, table
from subtensor_conformance.selftest import judge, try_one, try_unmutated

DOCS = Path(__file__).parents[2] / "docs" / "conformance.md"


# How interrupts reach a step is a matter of the interpreter; what else these do wrong is not.
ONCE = [pytest.param(name, marks=() if bad.area == "transaction" else pytest.mark.once) for name, bad in ALL.items()]


@pytest.mark.parametrize("name", ONCE)
def test_it_is_killed(name):
    verdict = try_one(ALL[name])
    assert verdict.killed, verdict.by


def test_the_unmutated_wrapper_passes():
    verdict = try_unmutated()
    assert verdict.name == UNMUTATED
    assert verdict.killed, verdict.by


def test_there_are_many():
    assert len(ALL) >= 40


def test_a_good_backend_is_not_called_killed():
    from subtensor_conformance import run

    verdict = judge(ALL["duplicates-lost"], run("numpy", areas=("inc",), in_process=True))
    assert not verdict.killed
    assert "nothing failed" in verdict.by


def test_the_table_in_the_docs_is_current():
    text = DOCS.read_text()
    assert text[text.index(BEGIN) + len(BEGIN) : text.index(END)].strip() == table().strip(), (
        "run: python -m subtensor_conformance.known_bad.document docs/conformance.md"
    )
