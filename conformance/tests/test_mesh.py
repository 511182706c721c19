"""The JAX backend is conformant on a mesh of four devices, and meshes that are known to be bad are found out."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "mesh_backend.py"
MUTANTS = re.findall(r"^@mutant\ndef (\w+)", SCRIPT.read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def told():
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    environment = {**os.environ, "XLA_FLAGS": f"{flags} --xla_backend_optimization_level=0", "JAX_PLATFORMS": "cpu"}
    run = subprocess.run(
        [sys.executable, SCRIPT], env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert run.returncode == 0, run.stderr[-3000:]
    return {line["name"]: line for line in map(json.loads, run.stdout.splitlines())}


def test_updates_optimizers_transactions_and_errors(told):
    assert told["none"]["fault"] == ""
    assert told["none"]["failures"] == []
    assert told["none"]["cases"] > 100


@pytest.mark.parametrize("name", MUTANTS)
def test_bad_meshes_are_found_out(told, name):
    failures = told[name]["failures"]
    assert failures
    assert not any("unexpected" in f and "Error" in f and "Bounds" not in f for f in failures), "it only breaks down"
