"""docs/optimizers.md: the numbers of its two harms are what its script finds, and every optimizer is in its table."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

import subtensor as st

DOCS = Path(__file__).parents[1]
PAGE = (DOCS / "optimizers.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("rare_rows", DOCS / "examples" / "rare_rows.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_holds_every_optimizer():
    rows = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    others = {"Accumulated", "Options", "Updates", "accumulate", "constraints", "schedules"}
    assert named == set(st.optimizers.__all__) - others


def test_rmsprop_on_a_rare_row(script):
    gradients = [0.5**k for k in range(6)]
    uses = slice(script.EVERY - 1, None, script.EVERY)
    steps = {u: np.diff(script.rare_row("rmsprop", u, gradients), prepend=0)[uses] for u in ("dense", "freeze")}
    np.testing.assert_allclose(steps["dense"], 3.16, atol=5e-3)
    assert ", ".join(f"{s:.2f}" for s in steps["freeze"]) in PAGE


def test_what_the_script_prints_about_curvature_is_on_the_page(script, tmp_path, capsys):
    script.draw_curvature(tmp_path / "curvature.png")
    printed = capsys.readouterr().out
    assert "whole table  200 x 200, rank 20, 180 zero rows, condition inf, Cholesky fails" in printed
    assert "subset       20 x 20, rank 20, 0 zero rows, condition 2, Cholesky succeeds" in printed
    after = float(re.search(r"gradient 0.31 -> (\S+)", printed)[1])
    assert after < 1e-15
    assert (tmp_path / "curvature.png").stat().st_size > 1000


def test_pictures_that_the_page_shows_exist():
    for name in re.findall(r"!\[.*?\]\((.*?)\)", PAGE):
        assert (DOCS / name).is_file(), name
