"""The Numba backend beside a loop written by hand, the NumPy backend, and PyTensor where it is installed.

    python backends/benchmarks/bench_numba.py [--plot FILE] [--cpu]

W1: gather, quadratic cost, row update (D = 64). W2: skip-gram with 5 negatives. W3: optimizers with state for each row.
W4: W1 with 8 x 8, where the call is what costs. Then bags, TransE, factorization machines, and the first step of a new
process. Contestants take turns, with fresh ids for each call, as in training: what a call reads is in no cache that
the one before has filled. --cpu counts processor time instead of time, for a machine on which others work.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numba
import numpy as np

import subtensor as st
from harness import zipf_ids

CLOCK = time.perf_counter
BATCHES = 16
RATE = np.float32(0.01)


def turns(contestants, batches, seconds=1.5):
    """The median time of a call, in microseconds, each call with the next batch."""
    for run in contestants.values():
        run(*batches[0])
    start = CLOCK()
    for run in contestants.values():
        run(*batches[1])
    calls = max(1, int(0.02 / max((CLOCK() - start) / len(contestants), 1e-7)))
    samples = {name: [] for name in contestants}
    at, until = 0, time.perf_counter() + seconds * len(contestants)
    while time.perf_counter() < until or len(next(iter(samples.values()))) < 5:
        for name, run in contestants.items():
            chosen = [batches[(at + k) % len(batches)] for k in range(calls)]
            start = CLOCK()
            for batch in chosen:
                run(*batch)
            samples[name].append((CLOCK() - start) / calls * 1e6)
        at += calls
    return {name: statistics.median(times) for name, times in samples.items()}


def show(title, times):
    base = times.get("loop", times["numpy"])
    print(f"{title:<30}" + "  ".join(f"{name} {t:9.1f} ({t / base:.2f}x)" for name, t in times.items()), flush=True)
    return times


# --- W1 and W4


@numba.njit(nogil=True, fastmath=True)
def sgd_loop(table, ids, target, change):
    for i in range(len(ids)):
        if ids[i] < 0 or ids[i] >= len(table):
            raise IndexError
    cost = np.float32(0)
    for i in range(len(ids)):
        row = ids[i]
        for d in range(table.shape[1]):
            error = table[row, d] - target[i, d]
            cost += error * error
            change[i, d] = -RATE * (error + error)
    for i in range(len(ids)):
        row = ids[i]
        for d in range(table.shape[1]):
            table[row, d] += change[i, d]
    return cost


def step_of(backend, table, updates):
    shared = st.shared(table, name="table")
    ids, target = st.lvector("ids"), st.fmatrix("target")
    rows = shared[ids]
    cost = st.sqr(rows - target).sum()
    found = updates(shared, rows, cost)
    for s in [s for s, _ in found] if isinstance(found, list) else list(found):
        s.set_value(s.get_value() + s.get_value().dtype.type(0))  # so that its pages are there
    return st.function([ids, target], cost, updates=found, backend=backend)


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
    new = pt.inc_subtensor(rows, -RATE * pytensor.grad(cost, rows))
    return pytensor.function([ids, target], cost, updates=[(shared, new)])


def batches_of(v, d, b):
    rng = np.random.default_rng(0)
    return [(zipf_ids(rng, v, b), rng.random((b, d), np.float32)) for _ in range(BATCHES)]


def w1(v, d, b):
    table = np.random.default_rng(1).random((v, d), np.float32)
    own, change = table.copy(), np.zeros((b, d), np.float32)
    contestants = {"loop": lambda ids, target: sgd_loop(own, ids, target, change)}
    for backend in ("numpy", "numba"):
        contestants[backend] = step_of(
            backend, table, lambda t, rows, cost: [(t, st.inc_subtensor(rows, -RATE * st.grad(cost, rows)))]
        )
    peer = by_pytensor(table)
    if peer is not None:
        contestants["pytensor"] = peer
    return show(f"W1 V={v:,} D={d} B={b:,}", turns(contestants, batches_of(v, d, b)))


# --- W3


@numba.njit(nogil=True, fastmath=True)
def gradients(table, ids, target, mark, sums, rows):
    """Sums of gradients by distinct row, found by marks in an array as long as the table."""
    cost, n = np.float32(0), 0
    for i in range(len(ids)):
        if ids[i] < 0 or ids[i] >= len(table):
            raise IndexError
    for i in range(len(ids)):
        row = ids[i]
        k = mark[row]
        if k == 0:
            rows[n] = row
            n += 1
            mark[row] = n
            for d in range(table.shape[1]):
                error = table[row, d] - target[i, d]
                cost += error * error
                sums[n - 1, d] = error + error
        else:
            for d in range(table.shape[1]):
                error = table[row, d] - target[i, d]
                cost += error * error
                sums[k - 1, d] += error + error
    for k in range(n):
        mark[rows[k]] = 0
    return cost, n


@numba.njit(nogil=True, fastmath=True)
def rowwise_adagrad_loop(table, state, ids, target, mark, sums, rows):
    cost, n = gradients(table, ids, target, mark, sums, rows)
    for k in range(n):
        row, square = rows[k], np.float32(0)
        for d in range(table.shape[1]):
            square += sums[k, d] * sums[k, d]
        state[row] += square / np.float32(table.shape[1])
        factor = RATE / (np.sqrt(state[row]) + np.float32(1e-10))
        for d in range(table.shape[1]):
            table[row, d] -= factor * sums[k, d]
    return cost


@numba.njit(nogil=True, fastmath=True)
def adam_loop(table, count, first, second, ids, target, mark, sums, rows):
    cost, n = gradients(table, ids, target, mark, sums, rows)
    for k in range(n):
        row = rows[k]
        count[row] += 1
        bias = np.sqrt(1 - 0.999 ** count[row])
        factor, small = np.float32(0.01 * bias / (1 - 0.9 ** count[row])), np.float32(1e-8 * bias)
        for d in range(table.shape[1]):
            g = sums[k, d]
            m = np.float32(0.9) * first[row, d] + np.float32(0.1) * g
            s = np.float32(0.999) * second[row, d] + np.float32(0.001) * g * g
            first[row, d], second[row, d] = m, s
            table[row, d] -= factor * m / (np.sqrt(s) + small)
    return cost


def w3(rule, v, d, b):
    table = np.random.default_rng(1).random((v, d), np.float32)
    contestants = {}
    mark, sums, rows = np.full(v, 0, np.int32), np.full((b, d), 0, np.float32), np.zeros(b, np.int64)

    def zeros(*shape):
        return np.full(shape, 0, np.float32)

    if rule == "rowwise_adagrad":
        own = table.copy(), zeros(v)
        contestants["loop"] = lambda ids, target: rowwise_adagrad_loop(*own, ids, target, mark, sums, rows)
    elif rule == "adam":
        own = table.copy(), np.full(v, 0, np.int64), zeros(v, d), zeros(v, d)
        contestants["loop"] = lambda ids, target: adam_loop(*own, ids, target, mark, sums, rows)
    for backend in ("numpy", "numba"):
        contestants[backend] = step_of(
            backend, table, lambda t, rows, cost: getattr(st.optimizers, rule)(cost, [rows], learning_rate=0.01)
        )
    return show(f"W3 {rule} V={v:,} B={b:,}", turns(contestants, batches_of(v, d, b)))


# --- W2 and others: beside the NumPy backend


def against_numpy(title, make, batches):
    return show(title, turns({backend: make(backend) for backend in ("numpy", "numba")}, batches))


def others(v=100_000, d=100) -> None:
    rng = np.random.default_rng(0)
    start, again = (rng.random((v, d), np.float32) - np.float32(0.5) for _ in range(2))

    def skip_gram(backend):
        words, contexts = st.shared(start, name="words"), st.shared(again, name="contexts")
        c, p, label = st.lvector("c"), st.lmatrix("p"), st.fmatrix("label")
        u, w = words[c], contexts[p]
        cost = st.softplus(-label * (u[:, None, :] * w).sum(-1)).sum()
        gu, gw = st.grad(cost, [u, w])
        updates = [(words, st.inc_subtensor(u, -0.05 * gu)), (contexts, st.inc_subtensor(w, -0.05 * gw))]
        return st.function([c, p, label], cost, updates=updates, backend=backend)

    for b in (256, 4096):
        label = np.where(np.arange(6) == 0, 1, -1).astype("float32") * np.ones((b, 1), np.float32)
        batches = [(zipf_ids(rng, v, b), zipf_ids(rng, v, (b, 6)), label) for _ in range(BATCHES)]
        against_numpy(f"W2 skip-gram B={b:,}", skip_gram, batches)

    def bag(backend):
        table, p, y = st.shared(start, name="table"), st.lmatrix("p"), st.fmatrix("y")
        rows = table[p]
        cost = st.sqr(rows.mean(1) - y).sum()
        new = st.inc_subtensor(rows, -0.05 * st.grad(cost, rows))
        return st.function([p, y], cost, updates=[(table, new)], backend=backend)

    b = 4096
    against_numpy("bags of 8", bag, [(zipf_ids(rng, v, (b, 8)), rng.random((b, d), np.float32)) for _ in range(8)])

    def transe(backend):
        entities, relations = st.shared(start, name="entities"), st.shared(again[:1000].copy(), name="relations")
        h, r, t, n = st.lvectors("hrtn")
        moved = entities[h] + relations[r]
        near, far = abs(moved - entities[t]).sum(1), abs(moved - entities[n]).sum(1)
        cost = st.maximum(0, 1 + near - far).sum()
        updates = [(s, s - 0.01 * st.grad(cost, s)) for s in (entities, relations)]
        return st.function([h, r, t, n], cost, updates=updates, backend=backend)

    def triples():
        return zipf_ids(rng, v, b), rng.integers(0, 1000, b), zipf_ids(rng, v, b), zipf_ids(rng, v, b)

    against_numpy("TransE", transe, [triples() for _ in range(8)])

    def machine(backend):
        factors, weights = st.shared(start, name="factors"), st.shared(np.zeros(v, np.float32), name="weights")
        x, y = st.lmatrix("x"), st.fvector("y")
        rows = factors[x]
        pairs = 0.5 * (st.sqr(rows.sum(1)).sum(1) - st.sqr(rows).sum((1, 2)))
        cost = st.softplus(-y * (weights[x].sum(1) + pairs)).sum()
        updates = [(s, s - 0.01 * st.grad(cost, s)) for s in (factors, weights)]
        return st.function([x, y], cost, updates=updates, backend=backend)

    signs = np.where(rng.random(b) < 0.5, -1, 1).astype("float32")
    against_numpy("factorization machine", machine, [(zipf_ids(rng, v, (b, 10)), signs) for _ in range(8)])


FIRST = """
import time
import numpy as np
import numba
start = time.perf_counter()
import subtensor as st
table = st.shared(np.zeros((100_000, 64), np.float32)); ids = st.lvector()
rows = table[ids]; cost = st.sqr(rows - 1).sum()
step = st.function([ids], cost, updates=st.optimizers.{rule}(cost, [rows], learning_rate=0.1), backend="numba")
step(np.arange(1024)); print(time.perf_counter() - start)
"""


def first_step(rule) -> None:
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "SUBTENSOR_NUMBA_CACHE": folder}
        command = [sys.executable, "-c", FIRST.format(rule=rule)]
        cold, *warm = (
            float(subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout) for _ in range(4)
        )
    print(f"first step, {rule}: {cold:.2f} s with an empty cache, then {min(warm):.2f} s, beyond the import of Numba")


def plot(found, path) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, len({v for v, _ in found}), sharey=True, figsize=(9, 3.6), squeeze=False)
    for panel, v in zip(panels[0], sorted({v for v, _ in found}), strict=True):
        sizes = sorted(b for w, b in found if w == v)
        for name in found[v, sizes[0]]:
            panel.plot(sizes, [found[v, b][name] for b in sizes], marker="o", label=name)
        panel.set(xscale="log", yscale="log", title=f"{v:,} rows of 64", xlabel="ids in a step")
    panels[0][0].set_ylabel("µs a step")
    panels[0][0].legend(frameon=False)
    figure.savefig(path, bbox_inches="tight")


def main() -> None:
    global CLOCK  # noqa: PLW0603  # a setting of the whole script
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--plot", help="a picture of W1")
    parser.add_argument("--cpu", action="store_true", help="count processor time")
    options = parser.parse_args()
    if options.cpu:
        CLOCK = time.process_time
    w1(1000, 8, 8)
    found = {(v, b): w1(v, 64, b) for v in (10_000, 1_000_000) for b in (64, 1024, 16384)}
    if options.plot:
        plot(found, options.plot)
    for rule in ("rowwise_adagrad", "adam", "adagrad"):
        for b in (1024, 16384):
            w3(rule, 1_000_000, 64, b)
    others()
    for rule in ("sgd", "adam"):
        first_step(rule)


if __name__ == "__main__":
    main()
