"""docs/examples/next_item.py runs from ratings to a picture, and its parts do what their names say."""

import os
import re
import runpy
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import subtensor as st

pytestmark = pytest.mark.once

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPT = EXAMPLES / "next_item.py"


@pytest.fixture(scope="module")
def example():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        yield runpy.run_path(str(SCRIPT))
        for name in [n for n in sys.modules if n.split(".")[0] == "session_tools"]:
            del sys.modules[name]


@pytest.fixture(scope="module")
def ratings(tmp_path_factory):
    """Sessions that go around one of three circles of 10 items, two of each user's, with an hour and a half between."""
    rng, lines, at = np.random.default_rng(0), ["user_id:token\titem_id:token\trating:float\ttimestamp:float"], 0
    for user in range(120):
        for _ in range(2):
            first, circle = rng.integers(0, 10), rng.integers(0, 3)
            for n in range(int(rng.integers(3, 9))):
                lines.append(f"{user}\t{100 * circle + (first + n) % 10}\t5\t{at}")
                at += 60
            at += 5400
    path = tmp_path_factory.mktemp("ratings") / "ratings.inter"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def run(*options, folder):
    command = [sys.executable, str(SCRIPT), "--output", str(folder / "out"), "--no-torch", *map(str, options)]
    env = {**os.environ, "XLA_FLAGS": "--xla_backend_optimization_level=0"}  # compiles in less time
    return subprocess.run(command, check=False, capture_output=True, text=True, encoding="utf-8", cwd=folder, env=env)


def recalls(text):
    return {m[1].strip(): float(m[2]) for m in re.finditer(r"^(\D.{19}) +(\d\.\d+) +\d\.\d+ ", text, re.MULTILINE)}


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_the_example_learns_what_comes_next(backend, ratings, tmp_path):
    settings = "--epochs 6 --units 12 --lanes 4 --steps 5 --negatives 16 --first 2 --learning-rate 0.1"
    done = run("--ratings", ratings, "--backend", backend, *settings.split(), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"216 sessions of 30 items to train on, [\d,]+ items long together; 24 later ones", done.stdout)
    recall = recalls(done.stdout)
    assert recall[f"subtensor ({backend})"] > 0.8
    assert recall["what is popular"] < 0.3
    assert (tmp_path / "out" / "training.png").stat().st_size > 10_000


def test_it_says_where_its_ratings_come_from(tmp_path):
    hidden = (
        "import importlib.util as u, runpy, sys; found = u.find_spec;"
        "u.find_spec = lambda name, *a: None if name == 'recbole' else found(name, *a);"
        f"sys.argv = ['x', '--output', 'out']; sys.path.insert(0, {str(EXAMPLES)!r});"
        f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')"
    )
    command = [sys.executable, "-c", hidden]
    done = subprocess.run(command, check=False, capture_output=True, text=True, encoding="utf-8", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("next_item: MovieLens 100K comes with recbole, which is not installed")
    assert "pip install --no-deps recbole" in done.stderr


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "no such file"),
        ("1\t2\t3\tfour\n1\t2\t3\tfive", "expected user, item, rating and time in each line"),
        ("1\t2\t3", "expected user, item, rating and time in each line"),
        ("1\t2\t3\t4\n1\t3\t3\t5", "1 sessions of two items or more are too few"),
    ],
)
def test_ratings_that_cannot_be_read_are_refused(content, complaint, tmp_path, example):
    path = tmp_path / "ratings.inter"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(example["DataError"], match=complaint):
        example["read_split"](path, 3600, 0.1)


def test_lanes_hold_each_prediction_once(example, ratings):
    split = example["read_split"](ratings, 3600, 0.1)
    lanes = {n: [] for n in range(5)}
    for chunk in example["chunks"](split.train, np.arange(len(split.train)), 5, 4):
        for lane in lanes:
            lanes[lane] += zip(*(table[:, lane].tolist() for table in chunk), strict=True)
    found = []
    for steps in lanes.values():
        for item, target, kept, counted in steps:
            if counted:
                if not kept:
                    found.append([item])
                assert found[-1][-1] == item
                found[-1].append(target)
    expected = [split.train[i].tolist() for i in range(len(split.train))]
    assert Counter(map(tuple, found)) == Counter(map(tuple, expected))


def test_ranks_are_scored(example):
    ranks = np.array([1, 2, 21, 4])
    assert example["judge"](
        lambda items, kept, targets: ranks[items],
        iter([example["chunks"].__globals__["Chunk"](np.array([[0, 1, 2, 3]]), None, None, np.array([[1, 1, 1, 0]]))]),
        20,
    ) == (2 / 3, 0.5)


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_the_rule_is_its_formula_for_rows_that_occur_twice(backend, example):
    start, rate, fade = np.arange(12.0).reshape(4, 3) / 10, 0.1, 0.3
    table, ids = st.shared(start, name="table"), st.lvector("ids")
    rows = table[ids]
    weights = st.arange(1.0, 4.0)[:, None]
    updates = example["adagrad_with_momentum"]((weights * rows**2).sum(), [(table, ids, rows)], rate, fade)
    step = st.function([ids], [], updates=updates, backend=backend)
    w, n, u = start.copy(), np.zeros((4, 3)), np.zeros((4, 3))
    for batch in ([1, 3, 1], [3, 0, 0]):
        step(batch)
        gradients = [2 * k * w[i] for k, i in enumerate(batch, 1)]
        for i, g in zip(batch, gradients, strict=True):
            n[i] += g**2
        for i in set(batch):
            u[i] *= fade
        for i, g in zip(batch, gradients, strict=True):
            u[i] -= rate * g / (np.sqrt(n[i]) + 1e-6)
        for i in set(batch):
            w[i] += u[i]
    np.testing.assert_allclose(table.get_value(), w, rtol=1e-6)
