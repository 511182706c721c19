"""The JAX backend is conformant on a mesh of four devices, and meshes that are known to be bad are found out."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

SCRIPT = Path(__file__).parent / "mesh_backend.py"
MUTANTS = re.findall(r"^@mutant\ndef (\w+)", SCRIPT.read_text(), re.MULTILINE)


def test_the_suite_on_a_mesh():
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    environment = {**os.environ, "XLA_FLAGS": f"{flags} --xla_backend_optimization_level=0", "JAX_PLATFORMS": "cpu"}
    run = subprocess.run(
        [sys.executable, SCRIPT], env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert run.returncode == 0, run.stderr[-3000:]
    told = {line["name"]: line for line in map(json.loads, run.stdout.splitlines())}
    right = told.pop("none")
    assert (right["fault"], right["failures"]) == ("", [])
    assert right["cases"] > 100
    assert list(told) == MUTANTS
    for name, bad in told.items():
        assert bad["failures"], f"{name} was not found out"
        crashes = [f for f in bad["failures"] if "unexpected" in f and "Error" in f and "Bounds" not in f]
        assert not crashes, f"{name} only breaks down"
