"""The NumPy backend beside NumPy written by hand, and beside PyTensor where it is installed.

    python backends/benchmarks/bench_numpy.py

W1: gather, quadratic cost, row update (D = 64). W4: the same with 8 x 8, where the call itself is what costs. Growth:
time and memory of a row update as the table grows. First step: a new process from import to the end of one step.
"""

from __future__ import annotations

import subprocess
import sys
import tracemalloc

import numpy as np

import subtensor as st
from harness import interleaved, report, zipf_ids

RATE = 1e-4  # with more, the most frequent of 16,384 ids diverges, and infinities have a speed of their own


def by_hand(table):
    """W1 as an expert would write it."""
    from scipy.sparse._sparsetools import csc_matvecs

    n, d = table.shape

    def step(ids, target):
        rows = table.take(ids, 0)
        error = rows - target
        cost = (error * error).sum()
        if ids.min() < 0 or ids.max() >= n:
            raise IndexError
        b = len(ids)
        change = (error + error) * np.float32(-RATE)
        csc_matvecs(n, b, d, np.arange(b + 1), ids, np.ones(b, table.dtype), change.ravel(), table.reshape(-1))
        return cost

    return step


def by_subtensor(table, spelling="inc"):
    shared = st.shared(table, name="table")
    ids, target = st.lvector("ids"), st.fmatrix("target")
    rows = shared[ids]
    cost = st.sqr(rows - target).sum()
    g = st.grad(cost, rows)
    new = {
        "inc": lambda: st.inc_subtensor(rows, -RATE * g),
        "set": lambda: st.set_subtensor(rows, rows - RATE * g),
        "full": lambda: shared - RATE * st.grad(cost, shared),
    }[spelling]()
    return st.function([ids, target], cost, updates=[(shared, new)], backend="numpy")


def by_pytensor(table):
    try:
        import pytensor
        import pytensor.tensor as pt
    except ImportError:
        return None
    shared = pytensor.shared(table, name="table")
    ids, target = pt.lvector("ids"), pt.fmatrix("target")
    rows = shared[ids]
    cost = pt.sqr(rows - target).sum()
    g = pytensor.grad(cost, rows)
    rate = np.float32(-RATE)
    return pytensor.function([ids, target], cost, updates=[(shared, pt.inc_subtensor(rows, rate * g))], mode="NUMBA")


def w1() -> None:
    rng = np.random.default_rng(0)
    for v in (10_000, 1_000_000):
        for b in (64, 1024, 16384):
            ids = zipf_ids(rng, v, b)
            target = rng.random((b, 64), np.float32)
            compare(f"W1 V={v:,} B={b:,}", v, 64, ids, target)


def w4() -> None:
    rng = np.random.default_rng(0)
    compare("W4 V=1,000 D=8 B=8 (call overhead)", 1000, 8, rng.integers(0, 1000, 8), rng.random((8, 8), np.float32))


def compare(title, v, d, ids, target) -> None:
    table = np.random.default_rng(1).random((v, d), np.float32)
    contestants = {"by hand": by_hand(table.copy()), "subtensor": by_subtensor(table)}
    peer = by_pytensor(table)
    if peer is not None:
        contestants["pytensor"] = peer
    timed = {name: (lambda run=run: run(ids, target)) for name, run in contestants.items()}
    report(title, interleaved(timed), "by hand")


def growth() -> None:
    rng = np.random.default_rng(0)
    b = 1024
    target = rng.random((b, 64), np.float32)
    for spelling in ("inc", "set"):
        runs = {}
        for v in (10_000, 2_000_000):
            step = by_subtensor(np.zeros((v, 64), np.float32), spelling)
            ids = rng.integers(0, v, b)
            runs[f"V={v:,}"] = lambda step=step, ids=ids: step(ids, target)
        report(f"growth, {spelling}_subtensor, B={b}", interleaved(runs), "V=10,000")
        step = by_subtensor(np.zeros((2_000_000, 64), np.float32), spelling)
        step(ids, target)
        tracemalloc.start()
        step(ids, target)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        print(f"{'':<46}peak memory of a step {peak / 1e6:.2f} MB; the table has {2_000_000 * 64 * 4 / 1e6:.0f} MB")


FIRST = """
import time; start = time.perf_counter()
import numpy as np, subtensor as st
table = st.shared(np.zeros((100_000, 64), np.float32)); ids = st.lvector()
rows = table[ids]; cost = st.sqr(rows - 1).sum(); g = st.grad(cost, rows)
step = st.function([ids], cost, updates=[(table, st.inc_subtensor(rows, -0.01 * g))])
step(np.arange(1024)); print(time.perf_counter() - start)
"""


def first_step() -> None:
    times = sorted(
        float(subprocess.run([sys.executable, "-c", FIRST], capture_output=True, text=True, check=True).stdout)
        for _ in range(7)
    )
    print(f"{'first step in a new process':<46}median {times[3]:.3f} s, from {times[0]:.3f} to {times[-1]:.3f}")


if __name__ == "__main__":
    w4()
    w1()
    growth()
    first_step()
