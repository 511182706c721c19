"""The example of the README learns on JAX what it learns on NumPy, step by step."""

import argparse
import os
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture
def example(monkeypatch):
    monkeypatch.syspath_prepend(EXAMPLES)
    monkeypatch.setitem(os.environ, "OPENBLAS_NUM_THREADS", os.environ.get("OPENBLAS_NUM_THREADS", "1"))
    before = set(sys.modules)
    import word_embeddings

    yield word_embeddings
    for name in set(sys.modules) - before:
        if name.split(".")[0] in ("embedding_tools", "word_embeddings"):
            del sys.modules[name]


def test_losses_agree_with_numpy_step_by_step(example):
    rng = np.random.default_rng(0)
    words = [f"{kind}{chr(97 + i)}" for kind in ("sun", "ice") for i in range(15)]
    lines = [list(rng.choice(words[15 * (n % 2) :][:15], size=12)) for n in range(800)]
    corpus = example.read_corpus(lines, 1)
    start = rng.normal(scale=0.1, size=(corpus.size, 16)).astype(np.float32)
    options = {"epochs": 5, "batch": 64, "negatives": 5, "drawn": 24, "window": 5, "learning_rate": 0.05, "seed": 0}
    results = {b: example.train(corpus, start, argparse.Namespace(backend=b, **options)) for b in ("numpy", "jax")}
    (table, losses, _), (ours, ours_losses, _) = results["numpy"], results["jax"]
    assert len(losses) > 50
    assert losses[-1] < losses[0] - 0.1
    np.testing.assert_allclose(ours_losses, losses, rtol=1e-5)
    np.testing.assert_allclose(ours, table, atol=2e-5)
