"""The JAX backend beside donated, jitted JAX written by hand.

Each round calls both, in random order and each after a call that is not timed; the ratio is the median over rounds.

    python backends/benchmarks/bench_jax.py [--rounds 30] [--quick]

W1: gather rows, quadratic cost, SGD on the rows (D = 64). W2: skip-gram with 5 negatives for each pair (D = 100).
Small: a call that computes next to nothing. Both sides take NumPy arrays and give NumPy arrays. Ids are drawn by Zipf's
law, anew for each of 40 calls, which then come round again.
"""

import argparse
import itertools
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

import subtensor as st

LR = np.float32(0.05)
BATCHES = 40


def zipf(rng, n, size):
    """Ids in ``[0, n)`` by Zipf's law with exponent 1, over shuffled rows."""
    weights = np.cumsum(1 / np.arange(1, n + 1))
    ranks = np.searchsorted(weights, rng.random(size) * weights[-1])
    return rng.permutation(n)[np.minimum(ranks, n - 1)]


def in_turn(step, batches):
    """A function of nothing that runs a step on one batch after the other, so that rows are not left in the caches."""
    turn = itertools.cycle(batches)
    return lambda: step(*next(turn))


def times_of(calls, rounds, inner):
    """Seconds a call of each function, for each round."""
    times = {name: [] for name in calls}
    order, rng = list(calls), np.random.default_rng(0)
    for call in calls.values():
        call()
        call()
    for _ in range(rounds):
        rng.shuffle(order)
        for name in order:
            call = calls[name]
            call()
            start = time.perf_counter()
            for _ in range(inner):
                call()
            times[name].append((time.perf_counter() - start) / inner)
    return {name: np.array(t) for name, t in times.items()}


def w1(v, b, rng):
    start = rng.normal(size=(v, 64)).astype(np.float32)
    batches = [(ids,) for ids in zipf(rng, v, (BATCHES, b))]
    table, node = st.shared(start, name="table"), st.lvector("ids")
    subset = table[node]
    cost = (subset * subset).sum()
    ours = st.function(
        [node], cost, updates=[(table, st.inc_subtensor(subset, -LR * st.grad(cost, subset)))], backend="jax"
    )

    def step(t, i):
        def loss(rows):
            return (rows * rows).sum()

        rows = t[i]
        c, g = jax.value_and_grad(loss)(rows)
        return t.at[i].add(-LR * g), c

    by_hand = jax.jit(step, donate_argnums=0)
    state = [jnp.array(start)]

    def hand(ids):
        state[0], c = by_hand(state[0], ids)
        return np.asarray(c)

    return {"subtensor": in_turn(ours, batches), "by hand": in_turn(hand, batches)}


def growth(rounds):
    """Medians of a step at a small and at a large table."""
    small, large = (w1(v, 1024, np.random.default_rng(0))["subtensor"] for v in (10_000, 4_000_000))
    times = times_of({"small": small, "large": large}, rounds, 4)
    a, b = (np.median(times[name]) * 1e6 for name in ("small", "large"))
    print(f"growth, B=1024: V=10000 {a:.1f}, V=4000000 {b:.1f}, ratio {np.median(times['large'] / times['small']):.2f}")


def w2(v, b, rng):
    shape = (v, 100)
    start_in, start_out = (rng.normal(scale=0.1, size=shape).astype(np.float32) for _ in range(2))
    batches = list(zip(zipf(rng, v, (BATCHES, b)), zipf(rng, v, (BATCHES, b, 6)), strict=True))
    label = np.zeros((1, 6), np.float32)
    label[0, 0] = 1

    w_in, w_out = st.shared(start_in, name="in"), st.shared(start_out, name="out")
    i, o = st.lvector("i"), st.lmatrix("o")
    h, c = w_in[i], w_out[o]
    score = st.einsum("bd,bkd->bk", h, c)
    cost = (st.softplus(score) - st.constant(label) * score).sum()
    gh, gc = st.grad(cost, [h, c])
    ours = st.function(
        [i, o],
        cost,
        updates=[(w_in, st.inc_subtensor(h, -LR * gh)), (w_out, st.inc_subtensor(c, -LR * gc))],
        backend="jax",
    )

    def step(a, z, ii, oo):
        def loss(hh, cc):
            s = jnp.einsum("bd,bkd->bk", hh, cc)
            return (jax.nn.softplus(s) - label * s).sum()

        hh, cc = a[ii], z[oo]
        value, (ga, gz) = jax.value_and_grad(loss, argnums=(0, 1))(hh, cc)
        return a.at[ii].add(-LR * ga), z.at[oo].add(-LR * gz), value

    by_hand = jax.jit(step, donate_argnums=(0, 1))
    state = [jnp.array(start_in), jnp.array(start_out)]

    def hand(centre, context):
        state[0], state[1], value = by_hand(state[0], state[1], centre, context)
        return np.asarray(value)

    return {"subtensor": in_turn(ours, batches), "by hand": in_turn(hand, batches)}


def small(rng):
    x = rng.normal(size=8).astype(np.float32)
    node = st.fvector("x")
    ours = st.function([node], (node * 2).sum(), backend="jax")
    by_hand = jax.jit(lambda z: (z * 2).sum())
    return {"subtensor": lambda: ours(x), "by hand": lambda: np.asarray(by_hand(x))}


FIRST = """
import time; start = time.perf_counter()
import numpy as np
{}
print(time.perf_counter() - start)
"""
OURS = """
import subtensor as st
table, ids = st.shared(np.zeros((100_000, 64), np.float32)), st.lvector("ids")
rows = table[ids]
cost = (rows * rows).sum()
step = st.function([ids], cost, updates=[(table, st.inc_subtensor(rows, -0.1 * st.grad(cost, rows)))], backend="jax")
step(np.arange(1024))
"""
HAND = """
import jax, jax.numpy as jnp
def step(t, i):
    c, g = jax.value_and_grad(lambda r: (r * r).sum())(t[i])
    return t.at[i].add(-0.1 * g), c
t, c = jax.jit(step, donate_argnums=0)(jnp.array(np.zeros((100_000, 64), np.float32)), np.arange(1024))
np.asarray(c)
"""


def first_step(rounds):
    times = {"subtensor": [], "by hand": []}
    for _ in range(rounds):
        for name, code in (("subtensor", OURS), ("by hand", HAND)):
            command = [sys.executable, "-c", FIRST.format(code)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            times[name].append(float(done.stdout))
    return {name: np.array(t) for name, t in times.items()}


def report(name, times):
    ours, hand = times["subtensor"] * 1e6, times["by hand"] * 1e6
    ratio, more = np.median(ours / hand), np.median(ours - hand)
    print(f"{name:34} {np.median(ours):12.1f} {np.median(hand):12.1f} {ratio:8.2f} {more:+10.1f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--quick", action="store_true", help="smaller tables")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    print(f"jax {jax.__version__} on {jax.default_backend()}; medians in µs a call")
    print(f"{'':34} {'subtensor':>12} {'by hand':>12} {'ratio':>8} {'µs more':>10}")
    report("small call", times_of(small(rng), options.rounds * 10, 20))
    for v in (10_000, 100_000) if options.quick else (10_000, 1_000_000, 4_000_000):
        for b in (64, 1024, 16384):
            report(f"W1 V={v} B={b}", times_of(w1(v, b, rng), options.rounds * 10, 2))
    for b in (256, 4096):
        report(f"W2 V=100000 B={b}", times_of(w2(100_000, b, rng), options.rounds * 5, 2))
    growth(options.rounds * 5)
    report("first step in a new process", first_step(5))


if __name__ == "__main__":
    main()
