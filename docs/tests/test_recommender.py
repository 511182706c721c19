"""docs/examples/recommender.py learns who likes what, from ratings in a file."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.once

SCRIPT = Path(__file__).parents[1] / "examples" / "recommender.py"


@pytest.fixture(scope="module")
def ratings(tmp_path_factory):
    """Users of four kinds, each of whom likes the films of one quarter."""
    rng, lines = np.random.default_rng(0), ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    for user in range(120):
        for at, film in enumerate(rng.permutation(15)[:9]):
            lines.append(f"{user}\t{film * 4 + user % 4}\t5\t{100 * user + at}")
            lines.append(f"{user}\t{rng.integers(0, 60)}\t1\t{100 * user + at}")
    path = tmp_path_factory.mktemp("ratings") / "ratings.inter"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def run(*options):
    command = [sys.executable, str(SCRIPT), "--no-torch", *map(str, options)]
    return subprocess.run(command, check=False, capture_output=True, text=True, encoding="utf-8")


def test_it_learns(ratings):
    settings = "--width 8 --batch 64 --epochs 8 --rate 0.02"
    done = run("--ratings", ratings, *settings.split())
    assert done.returncode == 0, done.stderr
    assert "960 ratings of 120 users and 60 films; 120 held out" in done.stdout
    assert float(re.search(r"^subtensor +(\d\.\d+) ", done.stdout, re.MULTILINE)[1]) > 0.8  # 0.17 at random


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "no such file"), ("a\tb\tc\td\n" * 9, "as numbers, with tabs"), ("1\t2\t5\t3\n", "1 ratings of 4 or more")],
)
def test_what_cannot_be_read_is_said_in_a_line(tmp_path, content, words):
    path = tmp_path / "r"
    if content is not None:
        path.write_text(content)
    done = run("--ratings", path)
    assert done.returncode == 1
    assert done.stderr.startswith("recommender: ")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
