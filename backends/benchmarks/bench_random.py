"""Random numbers beside NumPy's and JAX's own.

    python backends/benchmarks/bench_random.py

A million numbers each; then negative sampling from a million weights, and what a small draw from a stream costs.
"""

from __future__ import annotations

import jax
import numpy as np

import subtensor as st
from harness import interleaved, report
from subtensor import random

N = 1_000_000


def large(dtype: str) -> None:
    key = st.tensor("key", "uint64", (3,))
    value = np.array([5, 0, 1], "uint64")
    ours = {
        (what, backend): st.function([key], draw(key, (N,), dtype), backend=backend)
        for what, draw in (("uniform", random.uniform), ("normal", random.normal))
        for backend in ("numpy", "jax")
    }
    generator = np.random.Generator(np.random.Philox(key=5))
    with jax.enable_x64(True):
        theirs = {
            "uniform": jax.jit(lambda k: jax.random.uniform(k, (N,), dtype)),
            "normal": jax.jit(lambda k: jax.random.normal(k, (N,), dtype)),
        }
        k = jax.random.key(5)

    def by_jax(what: str) -> object:
        with jax.enable_x64(True):
            return np.asarray(theirs[what](k))

    for what, by_numpy in (("uniform", generator.random), ("normal", generator.standard_normal)):
        times = interleaved(
            {"by hand": lambda f=by_numpy: f(N, dtype=dtype), "subtensor": lambda w=what: ours[w, "numpy"](value)}
        )
        report(f"numpy: a million {what} {dtype}", times, "by hand")
        times = interleaved({"by hand": lambda w=what: by_jax(w), "subtensor": lambda w=what: ours[w, "jax"](value)})
        report(f"jax: a million {what} {dtype}", times, "by hand")


def negatives() -> None:
    weights = np.random.default_rng(0).pareto(1.1, N) + 1e-3
    table = st.shared(random.alias_table(weights).eval(), name="table")
    share = np.cumsum(weights / weights.sum())
    generator = np.random.default_rng(1)
    contestants = {"searchsorted": lambda: np.searchsorted(share, generator.random(100_000))}
    for backend in ("numpy", "jax"):
        stream = st.RandomStream(1)
        own = st.shared(table.get_value(), name="table")
        contestants[backend] = st.function([], random.alias_draw(stream.next_key(), own, (100_000,)), backend=backend)
    report("100,000 of a million, by weight", interleaved(contestants), "searchsorted")


def small() -> None:
    generator = np.random.Generator(np.random.Philox(key=5))
    stream = st.RandomStream(1)
    f = st.function([], stream.uniform(size=(10,)))
    report("ten numbers", interleaved({"generator": lambda: generator.random(10), "stream": f}), "generator")


if __name__ == "__main__":
    for dtype in ("float32", "float64"):
        large(dtype)
    negatives()
    small()
