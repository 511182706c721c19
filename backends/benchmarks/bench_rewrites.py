"""Spellings of a row update, at a small and a large table, beside the plain ``inc_subtensor`` spelling.

    python backends/benchmarks/bench_rewrites.py [--backend numpy|jax] [--rounds 15] [--quick]

Each step reads 1024 rows of 16 float32, has a quadratic cost, and updates the rows. Rounds are interleaved, so that
ratios hold on a busy machine: ``large / small`` is the same spelling at 2,000,000 and at 20,000 rows (at most 4), and
``/ plain`` is the spelling beside the same update spelt with ``inc_subtensor``, at the large table (at most 1.1). Last,
how long it takes to build and rewrite each function.
"""

import argparse
import time

import numpy as np

import subtensor as st

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


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--backend", default="numpy")
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--quick", action="store_true")
    args = options.parse_args()
    large = 200_000 if args.quick else LARGE
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
