"""The random lane finds nothing on a good backend, and finds and shrinks what is wrong with a bad one."""

import subprocess
import sys

import pytest

from subtensor_conformance.case import Call, Case, Given, Value
from subtensor_conformance.check import check
from subtensor_conformance.known_bad import installed
from subtensor_conformance.random_lane import explore

pytestmark = pytest.mark.once


def test_a_good_backend():
    assert explore(["numpy"], 60) == []


@pytest.mark.parametrize("name", ["duplicates-lost", "updates-lost", "negative-not-wrapped", "set-first-wins"])
def test_a_bad_backend(name):
    with installed(name) as full:
        (found,) = explore([full], 300)
        source = found[found.index("Case(") :]
        case = eval(source, {"Case": Case, "Call": Call, "Given": Given, "Value": Value})
        assert not check(case, full).good
    assert check(case, "numpy").good


def test_hypothesis_is_imported_only_when_asked_for():
    code = "import sys, subtensor_conformance.__main__; sys.exit('hypothesis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
