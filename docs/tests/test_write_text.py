"""docs/examples/write_text.py runs from text to a picture, and its parts do what their names say."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytestmark = pytest.mark.once

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPT = EXAMPLES / "write_text.py"
SMALL = "--epochs 5 --units 24 --lanes 8 --steps 12 --negatives 12 --min-count 1 --learning-rate 0.02 --dropout 0.1"


@pytest.fixture(scope="module")
def example():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        yield runpy.run_path(str(SCRIPT))
        for name in [n for n in sys.modules if n.split(".")[0] == "text_tools"]:
            del sys.modules[name]


def run(*options, folder):
    command = [sys.executable, str(SCRIPT), "--output", str(folder / "out"), *map(str, options)]
    env = {**os.environ, "XLA_FLAGS": "--xla_backend_optimization_level=0"}  # compiles in less time
    return subprocess.run(command, check=False, capture_output=True, text=True, encoding="utf-8", cwd=folder, env=env)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """Lines whose last word is the first, with two in between that say nothing of it."""
    rng = np.random.default_rng(0)
    names, verbs = [f"name{c}" for c in "abcde"], [f"verb{c}" for c in "abcd"]
    lines = []
    for _ in range(1600):
        name = rng.choice(names)
        lines.append(f"{name} {' '.join(rng.choice(verbs, 2))} {name}.")
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_the_example_learns_what_counts_of_pairs_do_not_know(backend, text, tmp_path):
    done = run("--text", text, "--backend", backend, *SMALL.split(), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "9,600 words and marks, 12 distinct ones seen at least 1 times" in done.stdout
    nats = {m[1].strip(): float(m[2]) for m in re.finditer(r"^ +(\w[\w ]+?) +(\d+\.\d)$", done.stdout, re.MULTILINE)}
    assert nats["LSTM"] < 2.5 < nats["counts of pairs"] < nats["counts of words"]  # 2.7 with the first word forgotten
    assert len(re.findall(r"^   name\w( verb\w){2} name\w\.$", done.stdout, re.MULTILINE)) > 2
    assert (tmp_path / "out" / "training.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "no such file"),
        ("few words", "of 2 distinct words, 0 occur 4 times: expected more text"),
        (" ".join(f"w{chr(97 + i)}" for i in range(25)) + "\n", "words are too few: expected more text"),
    ],
)
def test_a_text_that_cannot_be_trained_on_is_refused(content, complaint, tmp_path, example):
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_text(content, encoding="utf-8")

    def read():
        text = example["read_text"](example["text_file"](path), 4 if content == "few words" else 1)
        example["lanes"](text.ids, SimpleNamespace(lanes=8, steps=12))

    with pytest.raises(example["TextError"], match=complaint):
        read()


def test_without_a_package_it_reads_the_manual_of_python(example):
    text = example["read_text"](example["python_manual"](), 4)
    assert len(text.ids) > 50_000
    assert {"the", "def", ".", "("} < set(text.words)


def test_words_and_marks_are_written_as_they_are_read(example):
    line = "In the beginning God (created) the heaven, and said: don't; 12 men!"
    text = example["read_text"]([line] * 2 + [" ".join(f"x{chr(97 + i)}" for i in range(20))] * 2, 2)
    ids = text.ids_of(line)
    assert text.line(ids) == line
    assert text.ids_of("unheard")[0] == 0
    assert text.line(np.r_[ids, 1, ids]) == line  # up to the end of the line


def test_counts_are_those_of_a_loop(example):
    train, held_out = np.array([2, 3, 2, 3, 2, 4, 1, 2]), np.array([2, 3, 2, 4])
    alone, pairs = example["surprise_of_counts"](train, held_out, 5)
    counts = [0.5 + (train == k).sum() for k in range(5)]
    by_word = [counts[k] / sum(counts) for k in held_out[1:]]
    assert alone == pytest.approx(-np.mean(np.log(by_word)))
    following = [2 / 3, 1.0, 1 / 3]  # of 2: 3, 3 and 4; of 3: 2 and 2
    mixtures = [np.mean([-np.log(m * f + (1 - m) * w) for f, w in zip(following, by_word, strict=True)])
                for m in np.linspace(0, 0.99, 34)]  # fmt: skip
    assert pairs == pytest.approx(min(mixtures))


def test_lanes_hold_the_text_in_order(example):
    parts = example["lanes"](np.arange(100), SimpleNamespace(lanes=3, steps=4))
    assert all(((following - words) == 1).all() for words, following in parts)
    assert np.concatenate([words for words, _ in parts])[:, 1].tolist() == list(range(33, 65))


def test_a_seed_writes_the_same_on_every_backend(example):
    written = []
    for backend in ("numpy", "jax"):
        args = SimpleNamespace(units=6, lanes=2, negatives=4, dropout=0.0, seed=3, learning_rate=0.1, total=5, clip=5.0)
        args.backend = backend
        model = example["language_model"](9, np.arange(9), args)
        written.append(model.write([1, 2], 12, 0.1, 7))
        assert (model.write([1, 2], 12, 0.1, 7) == written[-1]).all()
        assert (model.write([1, 2], 12, 0.1, 8) != written[-1]).any()
    assert (written[0] == written[1]).all()
    assert 0 not in written[0]
