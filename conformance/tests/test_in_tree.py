"""The in-tree backends are conformant, at level full."""

import pytest

from subtensor_conformance import run


@pytest.fixture(scope="module", params=["numpy", "jax"])
def report(request):
    return run(request.param)


def test_it_is_at_level_full(report):
    (result,) = report.runs
    assert not result.fault
    assert [f"{r.id}: {r.state}: {r.message}" for r in result.failures] == []
    assert report.level(result) == "full"
    assert report.exit_code == 0
    assert result.counts()["pass"] == report.manifest.count
