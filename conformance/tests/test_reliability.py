"""The short profile of ``docs/reliability.md``, on NumPy; and that its trials can fail."""

import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import subtensor as st
from subtensor_conformance.reliability import __main__ as command
from subtensor_conformance.reliability import faults, programs

pytestmark = pytest.mark.once

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"


@pytest.mark.parametrize("name", command.TRIALS)
def test_nothing_breaks(name):
    ran = subprocess.run(
        [sys.executable, "-m", "subtensor_conformance.reliability", "--only", name, "--seed", "7"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "nothing broke" in ran.stdout


def fails(trial, times=40):
    for seed in range(times):
        try:
            trial(random.Random(seed), "numpy")
        except Exception:  # noqa: BLE001  # any failure will do
            return True
    return False


def test_programs_notice_wrong_values(monkeypatch):
    monkeypatch.setitem(programs.STEPS, "tanh", (st.sin, np.tanh))
    assert fails(programs.program)


def test_programs_notice_a_bound_that_is_not_checked(monkeypatch):
    for module in ("lowerings", "scatter"):
        monkeypatch.setattr(f"subtensor_numpy.{module}.check_range", lambda positions, n: None)
    assert fails(programs.program, 400)


def test_gradients_notice_a_wrong_rule(monkeypatch):
    monkeypatch.setitem(programs.STEPS, "tanh", (lambda x: st.grad_scale(st.tanh(x), 2.0), np.tanh))
    assert fails(programs.gradient)


def test_flips_notice_a_file_without_checksums(monkeypatch):
    monkeypatch.setattr("subtensor.checkpoint.safetensors.verify", lambda *_: None)
    assert fails(faults.flip, 100)


def test_a_failure_is_told_with_the_command_that_shows_it_again(monkeypatch, capsys):
    monkeypatch.setitem(command.TRIALS, "programs", (lambda rng, backend: 1 / 0, 1))
    assert command.main(["--only", "programs", "--seed", "3"]) == 1
    assert "--backend numpy --only programs --seed 3 --one" in capsys.readouterr().out


def test_the_page_names_every_trial():
    text = PAGE.read_text()
    for name in command.TRIALS:
        assert re.search(rf"^\| {name} \|", text, re.MULTILINE), name
