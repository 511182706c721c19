"""The example of a large table runs within its limit, and goes on where it stopped."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

EXAMPLE = Path(__file__).parents[1] / "examples" / "large_table.py"


@pytest.mark.skipif(sys.platform != "linux", reason="the example reads /proc")
def test_the_example(tmp_path):
    for due in ("1 steps so far", "22 steps so far"):
        command = [sys.executable, str(EXAMPLE), "400000", "20", str(tmp_path / "s")]
        run = subprocess.run(command, check=True, capture_output=True, text=True)
        assert due in run.stdout
        assert "a checkpoint does" in run.stdout
