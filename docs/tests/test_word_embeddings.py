"""docs/examples/word_embeddings.py runs from text to pictures, and its parts do what their names say."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.once

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPT = EXAMPLES / "word_embeddings.py"


@pytest.fixture(scope="module")
def corpus_module():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLES)
        from embedding_tools import corpus

        yield corpus
        for name in [n for n in sys.modules if n.split(".")[0] == "embedding_tools"]:
            del sys.modules[name]


def run(*options, folder):
    command = [sys.executable, str(SCRIPT), "--output", str(folder / "out"), *map(str, options)]
    return subprocess.run(command, check=False, capture_output=True, text=True, encoding="utf-8", cwd=folder)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """Sentences over two topics, so that words of one topic stand together."""
    rng = np.random.default_rng(0)
    topics = [[f"{kind}{chr(97 + i)}{chr(97 + j)}" for i in range(5) for j in range(4)] for kind in ("sun", "ice")]
    lines = [" ".join(rng.choice(topics[n % 2], size=12)) for n in range(600)]
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_the_example_learns_which_words_stand_together(text, tmp_path):
    settings = "--epochs 10 --dim 8 --batch 128 --learning-rate 0.05 --no-gensim"
    done = run("--text", text, *settings.split(), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "7,200 words of text, 40 distinct ones" in done.stdout
    head, *rows = (tmp_path / "out" / "vectors.txt").read_text(encoding="utf-8").splitlines()
    assert head == "40 8"
    words = [row.split()[0] for row in rows]
    table = np.array([row.split()[1:] for row in rows], dtype=float)
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    sun = np.array([w.startswith("sun") for w in words])
    cosines = table @ table.T
    together = (sun[:, None] == sun) & ~np.eye(40, dtype=bool)
    assert cosines[together].mean() > cosines[sun][:, ~sun].mean() + 0.5
    for picture in ("loss.png", "projection.png"):
        assert (tmp_path / "out" / picture).stat().st_size > 10_000


def test_without_gensim_it_trains_on_the_manual_of_python(tmp_path):
    """Which is so where gensim has no release for a Python yet."""
    hidden = "import runpy, sys; sys.modules['gensim'] = None; runpy.run_path(sys.argv[0], run_name='__main__')"
    start = hidden.replace("; runpy", f"; sys.argv[0] = {str(SCRIPT)!r}; sys.path.insert(0, {str(EXAMPLES)!r}); runpy")
    command = [sys.executable, "-c", start, "--output", str(tmp_path / "out"), "--epochs", "1", "--dim", "8"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, encoding="utf-8", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("gensim is not installed")
    assert "words/s" in done.stdout
    assert "Spearman" not in done.stdout
    assert (tmp_path / "out" / "projection.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "no such file"),
        ("12 34", "the text has no words"),
        ("few words " * 9, "vocabulary too small: of 2 distinct words, 2 occur 5 times"),
        (" ".join(f"w{chr(97 + i)}" for i in range(25)) * 5, "fewer pairs than one batch"),
    ],
)
def test_a_text_that_cannot_be_trained_on_is_refused_in_a_line(content, complaint, tmp_path):
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    done = run("--text", path, "--no-gensim", "--batch", 4096, folder=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("word_embeddings: ")
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_pairs_are_those_of_a_loop_over_the_text(corpus_module):
    tokens, documents = np.arange(30), np.repeat([0, 1], 15).astype(np.int32)
    rng = np.random.default_rng(3)
    reach = np.random.default_rng(3).integers(1, 4, size=30, dtype=np.int8)
    expected = Counter(
        (i, j)
        for i in range(30)
        for j in range(30)
        if i != j and abs(i - j) <= reach[i] and documents[i] == documents[j]
    )
    centers, contexts = corpus_module.skip_gram_pairs(tokens, documents, 3, rng)
    assert Counter(zip(centers.tolist(), contexts.tolist(), strict=True)) == expected


def test_words_are_numbered_by_frequency(corpus_module):
    lines = [[f"w{i}"] * (30 - i) for i in range(30)]
    corpus = corpus_module.read_corpus(lines, min_count=5)
    assert corpus.words == [f"w{i}" for i in range(30)]
    assert corpus.counts.tolist() == list(range(30, 0, -1))
    assert corpus.size == 26
    assert [w for s in corpus.sentences() for w in s] == [w for line in lines for w in line]
