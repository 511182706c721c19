"""Tables divided over four devices of one process: ``mesh/checks.py``, in a process that has four."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "mesh"


def names():
    """Those of the checks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(HERE)
        return list(importlib.import_module("checks").CHECKS)


@pytest.fixture(scope="module")
def told():
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"
    environment = {**os.environ, "XLA_FLAGS": f"{flags} --xla_backend_optimization_level=0", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-W", "error", "checks.py"]
    run = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    return {line["name"]: line["problem"] for line in map(json.loads, run.stdout.splitlines())}


@pytest.mark.parametrize("name", names())
def test_four_devices(told, name):
    assert told[name] == ""
