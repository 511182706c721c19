"""Tables divided over two processes with two devices each: ``mesh/processes.py``, run by both."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "mesh"
NAMES = re.findall(r"^@check\ndef (\w+)", (HERE / "processes.py").read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """For each process, what was wrong with each check."""
    folder = tmp_path_factory.mktemp("seen_by_both")
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"
    environment = {**os.environ, "XLA_FLAGS": f"{flags} --xla_backend_optimization_level=0", "JAX_PLATFORMS": "cpu"}
    runs = [
        subprocess.Popen(
            [sys.executable, "-W", "error", "processes.py", str(rank), str(port), str(folder)],
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
    return [{line["name"]: line["problem"] for line in each} for each in lines]


@pytest.mark.parametrize("name", NAMES)
def test_two_processes(told, name):
    assert told[0][name] == ""
    assert told[1].get(name, "") == ""


def test_the_second_process_came_to_its_end(told):
    assert list(told[1]) == NAMES[:-1]
