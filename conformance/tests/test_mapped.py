"""The NumPy backend is conformant on state that lies in files, and each of its steps can be undone by the journal."""

import sys
from pathlib import Path

import pytest

from subtensor_conformance import run

pytestmark = pytest.mark.once


def test_mapped_state(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import mapped_backend

    mapped_backend.FOLDER[:] = [tmp_path]
    report = run(mapped_backend.MappedBackend())
    sys.modules.pop("mapped_backend")
    (result,) = report.runs
    assert not result.fault
    assert [f"{r.id}: {r.state}: {r.message}" for r in result.failures] == []
    assert mapped_backend.MAPPED["steps"] > 500
