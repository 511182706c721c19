"""What rewrites make of spellings of a row update, of reads of what is written, and of sums of segments.

    python backends/benchmarks/bench_rewrites.py [--backend numpy|jax] [--rounds 15] [--quick] [--only reads]

Updates: spellings, at a small and a large table, beside the plain ``inc_subtensor`` spelling.

Each step reads 1024 rows of 16 float32, has a quadratic cost, and updates the rows. Rounds are interleaved, so that
ratios hold on a busy machine: ``large / small`` is the same spelling at 2,000,000 and at 20,000 rows (at most 4), and
``/ plain`` is the spelling beside the same update spelt with ``inc_subtensor``, at the large table (at most 1.1). Last,
how long it takes to build and rewrite each function.

Reads: rows that a step writes, read in the same step, and constraints on rows after an optimizer's update, at both
tables (``large / small`` at most 1.7). Sums: what is done with sums of 20,000 rows in 512 segments, and of 512 rows in
20,000, beside the better of the form as written and the form to which every rule is applied that fits (at most 1.15).
"""

import argparse
import time
from itertools import cycle, product

import numpy as np

import subtensor as st
from harness import interleaved

SMALL, LARGE, WIDTH, BATCH = 20_000, 2_000_000, 16, 1024
RATE = np.float32(0.05)


def cost_of(rows):
    return (rows * rows).sum()


def plain(table, ids):
    rows = table[ids]
    return cost_of(rows), st.inc_subtensor(rows, -RATE * st.grad(cost_of(rows), rows))


def set_of_read(table, ids):
    rows = table[st.assume_unique(ids)]
    return cost_of(rows), st.set_subtensor(rows, rows - RATE * st.grad(cost_of(rows), rows))


def whole_table(table, ids):
    cost = cost_of(table[ids])
    return cost, table - RATE * st.grad(cost, table)


def negative_rate(table, ids):
    cost = cost_of(table[ids])
    return cost, table + (-RATE) * st.grad(cost, table)


def divided(table, ids):
    cost = cost_of(table[ids])
    return cost, table - st.grad(cost, table) / np.float32(20)


def plain_divided(table, ids):
    rows = table[ids]
    cost = cost_of(rows)
    return cost, st.inc_subtensor(rows, -st.grad(cost, rows) / np.float32(20))


def two_gathers(table, ids):
    cost = cost_of(table[ids[:512]]) + cost_of(table[ids[512:]])
    return cost, table - RATE * st.grad(cost, table)


def plain_two_gathers(table, ids):
    first, second = table[ids[:512]], table[ids[512:]]
    cost = cost_of(first) + cost_of(second)
    g, h = st.grad(cost, [first, second])
    return cost, st.inc_subtensor(st.inc_subtensor(first, -RATE * g)[ids[512:]], -RATE * h)


def reshaped(table, ids):
    cost = cost_of(table[ids.reshape((BATCH // 2, 2))].reshape((BATCH // 2, 2 * WIDTH)))
    return cost, table - RATE * st.grad(cost, table)


def transposed(table, ids):
    cost = cost_of(table.T[:, ids])
    return cost, table - RATE * st.grad(cost, table)


def take(table, ids):
    cost = cost_of(st.take(table, ids, axis=0))
    return cost, table - RATE * st.grad(cost, table)


def rows_of_elementwise(table, ids):
    cost = (table * table)[ids].sum()
    return cost, table - RATE * st.grad(cost, table)


def part(table, ids):
    cost = cost_of(table[5:][ids - 5])
    return cost, table - RATE * st.grad(cost, table)


def plain_part(table, ids):
    rest = table[5:]
    rows = rest[ids - 5]
    cost = cost_of(rows)
    return cost, st.set_subtensor(rest, st.inc_subtensor(rows, -RATE * st.grad(cost, rows)))


def clipped(table, ids):
    """A function of a gradient that is not linear needs its sums over repeated ids."""
    cost = cost_of(table[ids])
    return cost, table - RATE * st.clip(st.grad(cost, table), -1, 1)


def _summed(table, ids):
    """The rows used, each once, the cost, and its gradient with respect to them."""
    distinct, places = st.unique(ids, return_inverse=True)
    rows = table[distinct]
    cost = cost_of(rows[places])
    return rows, cost, st.grad(cost, rows)


def plain_clipped(table, ids):
    rows, cost, g = _summed(table, ids)
    return cost, st.inc_subtensor(rows, -RATE * st.clip(g, -1, 1))


def of_length_one(table, ids):
    cost = cost_of(table[ids])
    g = st.grad(cost, table)
    return cost, table - RATE * g / st.sqrt((g * g).sum())


def plain_of_length_one(table, ids):
    rows, cost, g = _summed(table, ids)
    return cost, st.inc_subtensor(rows, -RATE * g / st.sqrt((g * g).sum()))


FACTOR = st.shared(np.random.default_rng(1).normal(size=(1000, WIDTH)).astype(np.float32), name="factor")


def of_a_product(table, ids):
    """Elements of ``table @ FACTOR.T``, all of which nobody computes."""
    cost = cost_of((table @ FACTOR.T)[ids, ids % 1000])
    return cost, table - RATE * st.grad(cost, table)


def plain_of_a_product(table, ids):
    rows = table[ids]
    cost = cost_of((rows * FACTOR[ids % 1000]).sum(1))
    return cost, st.inc_subtensor(rows, -RATE * st.grad(cost, rows))


SPELLINGS = {
    plain: plain, set_of_read: plain, whole_table: plain, negative_rate: plain, divided: plain_divided,
    two_gathers: plain_two_gathers, reshaped: plain, transposed: plain, take: plain, rows_of_elementwise: plain,
    part: plain_part, clipped: plain_clipped, of_length_one: plain_of_length_one,
    of_a_product: plain_of_a_product,
}  # fmt: skip
"""Spellings, each with the ``inc_subtensor`` spelling of the same update."""


def build(spelling, rows, backend):
    table = st.shared(np.ones((rows, WIDTH), np.float32), name="table", borrow=True)
    ids = st.tensor("ids", "int64", (BATCH,))
    cost, new = spelling(table, ids)
    began = time.perf_counter()
    step = st.function([ids], cost, updates=[(table, new)], backend=backend)
    return step, time.perf_counter() - began


def read_again(table, ids, other):
    new = table[ids].inc(np.float32(0.5) * table[ids])
    return new[ids].sum(), [(table, new)]


def read_others(table, ids, other):
    new = table[ids].inc(np.float32(0.5) * table[ids])
    return st.tanh(new[other]).sum(), [(table, new)]


def read_after_a_chain(table, ids, other):
    new = table[ids].inc(np.float32(1))[other].set(st.tanh(table[other]))
    return (new**2).sum(1)[ids].sum(), [(table, new)]


def read_after_a_whole_step(table, ids, other):
    cost = cost_of(table[ids])
    new = table - RATE * st.grad(cost, table)
    return new[other].sum(), [(table, new)]


def constraint(optimizer):
    def unit_rows(table, ids, other):
        cost = cost_of(table[ids])
        updates = optimizer(cost, [table[ids]], learning_rate=0.1)
        rows = updates[table][ids]
        updates[table] = st.set_subtensor(rows, rows / st.sqrt((rows**2).sum(axis=1, keepdims=True)))
        return cost, list(updates.items())

    unit_rows.__name__ = f"unit rows, {optimizer.__name__}"
    return unit_rows


CLOCKS = {"numpy": time.process_time}
"""Nothing waits on NumPy here, so the processor's own clock leaves out what else the machine does."""

READS = (read_again, read_others, read_after_a_chain, read_after_a_whole_step, constraint(st.optimizers.sgd),
         constraint(st.optimizers.rowwise_adagrad), constraint(st.optimizers.adam))  # fmt: skip


def reads(backend, rounds, large):
    print(f"{backend}: {'rows that are written, read':28} {'us at large':>12} {'large / small':>14}")
    rng = np.random.default_rng(0)
    for spelling in READS:
        runs = {}
        for v in (SMALL, large):
            table = st.shared(np.ones((v, WIDTH), np.float32), name="table", borrow=True)
            ids, other = (st.tensor(n, "int64", (None,)) for n in ("ids", "other"))
            cost, updates = spelling(table, ids, other)
            step = st.function([ids, other], cost, updates=updates, backend=backend, on_unused_input="ignore")
            drawn = cycle([[rng.integers(0, v, BATCH) for _ in range(2)] for _ in range(8)])
            runs[str(v)] = lambda step=step, drawn=drawn: step(*next(drawn))
        times = interleaved(runs, rounds, 0.02, clock=CLOCKS.get(backend, time.perf_counter))
        ratio = times[str(large)] / times[str(SMALL)]
        print(f"{'':{len(backend) + 2}}{spelling.__name__:28} {times[str(large)]:12.1f} {ratio:14.2f}")


FACTORS = st.shared(np.random.default_rng(2).normal(size=(64, 128)).astype(np.float32), name="factors")
CONSUMERS = {
    "s @ w": lambda s: s @ FACTORS,
    "s.T": lambda s: s.T,
    "relu": lambda s: st.maximum(s, 0),
    "tanh": st.tanh,
    "s * s": lambda s: s * s,
    "s / 3": lambda s: s / np.float32(3),
    "s / count": lambda s: s / st.maximum(np.float32(1), s.sum(1, keepdims=True)),
    "s.sum(0)": lambda s: s.sum(0),
    "(s * s).sum()": lambda s: (s * s).sum(),
    "relu(s @ w + 1)": lambda s: st.maximum(s @ FACTORS + np.float32(1), 0),
}


def sums(backend, rounds):
    print(f"{backend}: {'sums of segments':18} {'rows':>7} {'segments':>9} {'us':>9} {'/ better of both':>17}")
    rng = np.random.default_rng(0)
    for (name, consumer), (n, m) in product(CONSUMERS.items(), ((20_000, 512), (512, 20_000))):
        x, bag = rng.normal(size=(n, 64)).astype(np.float32), np.sort(rng.integers(0, m, n))
        runs = {}
        for known, rewrites in product((True, False), (True, False, "unpriced")):
            rows = st.tensor("rows", "float32", x.shape if known else (None, 64))
            segments, ids = st.lscalar("segments"), st.lvector("ids")
            e = consumer(st.segment_sum(rows, ids, m if known else segments))
            f = st.function([rows, ids, segments], e, backend=backend, rewrites=rewrites, on_unused_input="ignore")
            runs[f"{known} {rewrites}"] = lambda f=f, x=x, bag=bag, m=m: f(x, bag, m)
        times = interleaved(runs, rounds, 0.02, clock=CLOCKS.get(backend, time.perf_counter))
        for known in (True, False):
            ours, *others = (times[f"{known} {r}"] for r in (True, False, "unpriced"))
            what = name if known else f"{name}, lengths unknown"
            print(f"{'':{len(backend) + 2}}{what:34} {n:7} {m:9} {ours:9.1f} {ours / min(others):17.2f}")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--backend", default="numpy")
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--quick", action="store_true")
    options.add_argument("--only", nargs="+", default=["updates", "reads", "sums"])
    args = options.parse_args()
    large = 200_000 if args.quick else LARGE
    if "reads" in args.only:
        reads(args.backend, args.rounds, large)
    if "sums" in args.only:
        sums(args.backend, args.rounds)
    if "updates" not in args.only:
        return
    rng = np.random.default_rng(0)
    draws = {n: [rng.permutation(n)[:BATCH].astype(np.int64) for _ in range(8)] for n in (SMALL, large)}
    print(
        f"{args.backend}: {'spelling':20} {'us at large':>12} {'large / small':>14} {'/ plain':>8} {'built in s':>11}"
    )
    for spelling, same in SPELLINGS.items():
        steps = {n: build(spelling, n, args.backend) for n in (SMALL, large)}
        calls = {("this", n): steps[n][0] for n in steps} | {("plain", large): build(same, large, args.backend)[0]}
        ratios = {"size": [], "plain": []}
        fastest = {key: [] for key in calls}
        for _ in range(args.rounds):
            for key, call in calls.items():
                batches = draws[key[1]]
                call(batches[0])
                began = time.perf_counter()
                for ids in batches:
                    call(ids)
                fastest[key].append((time.perf_counter() - began) / len(batches))
            ratios["size"].append(fastest["this", large][-1] / fastest["this", SMALL][-1])
            ratios["plain"].append(fastest["this", large][-1] / fastest["plain", large][-1])
        print(
            f"{'':{len(args.backend) + 2}}{spelling.__name__:20} {np.median(fastest['this', large]) * 1e6:12.1f} "
            f"{np.median(ratios['size']):14.2f} {np.median(ratios['plain']):8.2f} {steps[large][1]:11.4f}"
        )


if __name__ == "__main__":
    main()
