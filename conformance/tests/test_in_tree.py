"""The in-tree backends are conformant, at level full; so is the one that the documentation builds."""

import sys
from pathlib import Path

import pytest

from subtensor_conformance import run


@pytest.fixture(scope="module", params=["numpy", pytest.param("numba", marks=pytest.mark.once), "jax", "tiny"])
def report(request):
    if request.param != "tiny":
        return run(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parents[2] / "docs" / "examples"))
        import tiny_backend

        report = run(tiny_backend.TinyBackend())
        sys.modules.pop("tiny_backend")
    return report


def test_it_is_at_level_full(report):
    (result,) = report.runs
    assert not result.fault
    assert [f"{r.id}: {r.state}: {r.message}" for r in result.failures] == []
    assert report.level(result) == "full"
    assert report.exit_code == 0
    assert result.counts()["pass"] == report.manifest.count
