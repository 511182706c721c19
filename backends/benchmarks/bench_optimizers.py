"""Workload W3: a step of row-wise Adagrad and of Adam on rows of a large table, against NumPy, or JAX, written by hand.

    python backends/benchmarks/bench_optimizers.py [--backend numpy|jax] [--rounds 15]

Beside NumPy, PyTensor (Numba mode) and torch (one thread) take part where they are installed.

V = 10^6 rows of D = 64 float32, B ids a step, Zipf-distributed with repeats; the gradients are given. Rounds are
interleaved, so that what else the machine does hits all alike; medians are printed, in microseconds a step.
"""

import argparse
import os
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from scipy.sparse._sparsetools import csr_matvecs

import subtensor as st
from subtensor import optimizers

V, D = 10**6, 64


def zipf_ids(rng, batch, count):
    """(count, batch) int64: ranks by Zipf's law with exponent 1, over shuffled rows."""
    weights = np.cumsum(1 / np.arange(1, V + 1))
    ranks = np.searchsorted(weights, rng.random((count, batch)) * weights[-1])
    return rng.permutation(V)[np.minimum(ranks, V - 1)]


def distinct_rows(ids, g):
    """Distinct ids ascending, and the sums of their gradients."""
    n = len(ids)
    bits = (n - 1).bit_length()
    packed = (ids << bits) | np.arange(n)
    packed.sort()
    order, ordered = packed & ((1 << bits) - 1), packed >> bits
    new = np.ones(n, bool)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    starts = np.flatnonzero(new)
    sums = np.zeros((len(starts), D), np.float32)
    csr_matvecs(len(starts), n, D, np.append(starts, n), order, np.ones(n, np.float32), g.ravel(), sums.reshape(-1))
    return ordered[starts], sums


def adagrad_by_hand(table):
    total = np.zeros(V, np.float32)

    def step(ids, g):
        rows, s = distinct_rows(ids, g)
        n = total[rows] + np.einsum("ij,ij->i", s, s) / np.float32(D)
        total[rows] = n
        s *= (np.float32(-0.01) / (np.sqrt(n) + np.float32(1e-10)))[:, None]
        s += table.take(rows, 0)
        table[rows] = s

    return step


def adam_by_hand(table, block=512):
    m_all, v_all, count = np.zeros_like(table), np.zeros_like(table), np.zeros(V, np.int64)
    b1, b2, rate, eps = map(np.float32, (0.9, 0.999, 1e-3, 1e-8))
    buffers = [np.empty((block, D), np.float32) for _ in range(3)]

    def step(ids, g):
        rows, s = distinct_rows(ids, g)
        t = count[rows] + 1
        count[rows] = t
        first = (1 - 0.9**t).astype(np.float32)[:, None]
        second = np.sqrt(1 - 0.999**t).astype(np.float32)[:, None]
        for a in range(0, len(rows), block):
            r, gb = rows[a : a + block], s[a : a + block]
            m, v, x = (b[: len(r)] for b in buffers)
            np.take(m_all, r, 0, out=m, mode="clip")
            np.take(v_all, r, 0, out=v, mode="clip")
            m *= b1
            np.multiply(gb, 1 - b1, out=x)
            m += x
            v *= b2
            np.multiply(gb, gb, out=x)
            x *= 1 - b2
            v += x
            m_all[r], v_all[r] = m, v
            np.sqrt(v, out=x)
            x /= second[a : a + block]
            x += eps
            m /= first[a : a + block]
            m /= x
            m *= -rate
            np.take(table, r, 0, out=x, mode="clip")
            m += x
            table[r] = m

    return step


def jax_by_hand(name, table):
    """The step as one would write it in JAX: sums through a sorted unique of fixed size, rows donated, in place."""
    import jax
    import jax.numpy as jnp

    def distinct(ids, g):
        rows, inverse = jnp.unique(ids, return_inverse=True, size=len(ids), fill_value=V)  # V: dropped when written
        return rows, jax.ops.segment_sum(g, inverse.reshape(-1), len(ids))

    def put(x, rows, value):
        return x.at[rows].set(value, mode="drop", unique_indices=False)

    def adagrad(state, ids, g):
        t, total = state
        rows, s = distinct(ids, g)
        n = total.at[rows].get(mode="clip") + (s * s).mean(axis=1)
        w = t.at[rows].get(mode="clip") - 0.01 * s / (jnp.sqrt(n) + 1e-10)[:, None]
        return put(t, rows, w), put(total, rows, n)

    def adam(state, ids, g):
        t, m_all, v_all, count = state
        rows, s = distinct(ids, g)
        n = count.at[rows].get(mode="clip") + 1
        m = 0.9 * m_all.at[rows].get(mode="clip") + 0.1 * s
        v = 0.999 * v_all.at[rows].get(mode="clip") + 0.001 * s * s
        a, b = (1 - 0.9**n)[:, None], jnp.sqrt(1 - 0.999**n)[:, None]
        w = t.at[rows].get(mode="clip") - 1e-3 * (m / a) / (jnp.sqrt(v) / b + 1e-8)
        return put(t, rows, w), put(m_all, rows, m), put(v_all, rows, v), put(count, rows, n)

    fresh = [table, *([np.zeros(V, "f")] if name != "adam" else [0 * table, 0 * table, np.zeros(V, "i4")])]
    state = [tuple(jnp.array(x) for x in fresh)]
    options = {"xla_cpu_copy_insertion_use_region_analysis": True}
    run = jax.jit(adam if name == "adam" else adagrad, donate_argnums=0, compiler_options=options)

    def step(ids, g):
        state[0] = jax.block_until_ready(run(state[0], ids, g))

    return step


def by_pytensor(name, table):
    """The same rule, right with repeated ids: distinct rows by ``unique``, gradients added up by ``inc_subtensor``."""
    try:
        import pytensor
        import pytensor.tensor as pt
    except ImportError:
        return None
    t, ids, given = pytensor.shared(table.copy()), pt.lvector(), pt.fmatrix()
    distinct, places = pt.unique(ids, return_inverse=True)
    g = pt.inc_subtensor(pt.zeros((distinct.shape[0], D), "float32")[places], given)
    rows = t[distinct]
    if name == "adam":
        m_all, v_all = pytensor.shared(0 * table), pytensor.shared(0 * table)
        count = pytensor.shared(np.zeros(V, np.float32))
        b1, b2 = np.float32(0.9), np.float32(0.999)
        n = count[distinct] + np.float32(1)
        m = b1 * m_all[distinct] + (1 - b1) * g
        v = b2 * v_all[distinct] + (1 - b2) * g * g
        first, second = (1 - b1**n)[:, None], pt.sqrt(1 - b2**n)[:, None]
        new = rows - np.float32(1e-3) * (m / first) / (pt.sqrt(v) / second + np.float32(1e-8))
        state = [(m_all, m), (v_all, v), (count, n)]
    else:
        total = pytensor.shared(np.zeros(V, np.float32))
        n = total[distinct] + (g * g).mean(axis=1, dtype="float32")
        new = rows - np.float32(0.01) * g / (pt.sqrt(n) + np.float32(1e-10))[:, None]
        state = [(total, n)]
    updates = [(t, pt.set_subtensor(rows, new)), *((s, pt.set_subtensor(s[distinct], x)) for s, x in state)]
    return pytensor.function([ids, given], [], updates=updates, mode="NUMBA")


def by_torch(name, table):
    """Adagrad and SparseAdam on the sparse gradient of an embedding; Adagrad's history is by element, not by row."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    layer = torch.nn.Embedding(V, D, sparse=True, _weight=torch.from_numpy(table.copy()))
    made = torch.optim.SparseAdam if name == "adam" else torch.optim.Adagrad
    optimizer = made(layer.parameters(), lr=1e-3 if name == "adam" else 0.01)

    def step(ids, g):
        optimizer.zero_grad()
        layer(torch.from_numpy(ids)).backward(torch.from_numpy(g))
        optimizer.step()

    return step


def ours(name, table, backend, rate):
    t, ids, g = st.shared(table, "table"), st.lvector("ids"), st.fmatrix("g")
    updates = getattr(optimizers, name)([g], [t[ids]], learning_rate=rate)
    return st.function([ids, g], [], updates=updates, backend=backend)


def measure(steps, ids, g, rounds):
    """Medians by name; all steps run in turn, `per` at a time."""
    times = {name: [] for name in steps}
    per = max(2, 20000 // ids.shape[1])
    for round_ in range(rounds + 1):
        for name, step in steps.items():
            began = time.perf_counter()
            for i in range(per):
                step(ids[(round_ * per + i) % len(ids)], g)
            if round_:
                times[name].append((time.perf_counter() - began) / per * 1e6)
    return {name: np.median(t) for name, t in times.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--backend", default="numpy")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    table = rng.standard_normal((V, D), dtype=np.float32)
    print(f"by hand: {'JAX' if args.backend == 'jax' else 'NumPy'}; subtensor: {args.backend}; µs a step")
    print(f"{'':18}{'B':>7}{'distinct':>10}{'subtensor':>11}   others, and subtensor's time beside theirs")
    for name, by_hand, rate in (("rowwise_adagrad", adagrad_by_hand, 0.01), ("adam", adam_by_hand, 1e-3)):
        for batch in (1024, 16384):
            ids = zipf_ids(rng, batch, 40)
            g = rng.standard_normal((batch, D), dtype=np.float32)
            hand = jax_by_hand(name, table) if args.backend == "jax" else by_hand(table.copy())
            steps = {"by hand": hand, "subtensor": ours(name, table, args.backend, rate)}
            if args.backend == "numpy":
                peers = {"PyTensor": by_pytensor(name, table), "torch": by_torch(name, table)}
                steps |= {peer: step for peer, step in peers.items() if step is not None}
            medians = measure(steps, ids, g, args.rounds)
            own = medians.pop("subtensor")
            others = "   ".join(f"{peer} {t:.0f} ({own / t:.2f}x)" for peer, t in medians.items())
            print(f"{name:18}{batch:7}{len(np.unique(ids[0])):10}{own:11.0f}   {others}", flush=True)


if __name__ == "__main__":
    main()
