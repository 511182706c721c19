"""Tables divided over two processes with two devices each: ``mesh/processes.py``, run by both, in one test."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

HERE = Path(__file__).parent / "mesh"
NAMES = re.findall(r"^@check\ndef (\w+)", (HERE / "processes.py").read_text(), re.MULTILINE)


def test_two_processes(tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
    environment = {**os.environ, "XLA_FLAGS": f"{flags} --xla_backend_optimization_level=0", "JAX_PLATFORMS": "cpu"}
    runs = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "processes.py", str(rank), str(port), str(tmp_path)],
            cwd=HERE, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    try:
        ends = [run.communicate(timeout=300) for run in runs]
    finally:
        for run in runs:
            run.kill()
    lines = [[json.loads(line) for line in out.splitlines() if line.startswith("{")] for out, _ in ends]
    assert all(lines), [err[-2000:] for _, err in ends]
    told = [{line["name"]: line["problem"] for line in each} for each in lines]
    assert [{name: problem for name, problem in each.items() if problem} for each in told] == [{}, {}]
    assert [list(each) for each in told] == [NAMES, NAMES[:-1]]  # the last one ends the second process
