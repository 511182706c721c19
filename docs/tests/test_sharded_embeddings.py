"""The example of tables on several processes trains what one process trains, and nothing is gathered."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

EXAMPLE = Path(__file__).parents[1] / "examples" / "sharded_embeddings.py"


def test_the_example():
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    environment.pop("XLA_FLAGS", None)
    command = [sys.executable, str(EXAMPLE), "--processes", "2", "--devices", "2", "--rows", "5001", "--steps", "3"]
    run = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    assert run.returncode == 0, run.stderr[-3000:]
    told = json.loads(run.stdout.splitlines()[-1])
    assert set(told) == {"processes", "devices", "max_difference", "all_gathers", "bytes_on_wire_per_step"}
    assert (told["processes"], told["devices"], told["all_gathers"]) == (2, 4, 0)
    assert told["max_difference"] < 1e-3
    assert 0 < told["bytes_on_wire_per_step"] < 40 * 1024 * 32 * 4
    assert "2 processes; this one has 2502 of 5001 rows" in run.stdout
