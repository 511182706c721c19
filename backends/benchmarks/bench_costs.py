"""The modelled cost beside measurement: is what the model calls cheaper faster?

    python backends/benchmarks/bench_costs.py [--rounds 9] [--all]

Programs are built in up to four forms each (as rewritten, as written, with every rule that fits, without the rules on
rows), at several lengths, on NumPy, and timed by the processor's own clock. Of all pairs of forms of one program at one
length whose times differ by 1.5 or more, it counts those of which the model says the same; at least 95 of 100 should.
`--all` lists every form.
"""

import argparse
import time
import warnings
from itertools import combinations, cycle

import numpy as np

import subtensor as st
from harness import interleaved
from subtensor.program.accounts import accounts, total
from subtensor.rewrites.costs import CALL, IDLE
from subtensor.rewrites.lengths import estimates

FORMS = (True, False, "unpriced", "-rows")
ids, more, rows = st.lvector("ids"), st.lvector("more"), st.tensor("rows", "float32", (None, 64))
RATE = np.float32(0.1)


def table(v, d=64):
    return st.shared(np.random.default_rng(0).standard_normal((v, d)).astype("float32"), name="table")


def whole(optimizer):
    def build(v):
        t = table(v)
        cost = (t[ids] ** 2).sum()
        return cost, optimizer(cost, [t], learning_rate=RATE)

    return build


def gradient(form):
    def build(v):
        t = table(v)
        g = st.grad((t[ids] ** 3).sum(), t)
        return form(g), [(t, t - RATE * form(g))]

    return build


def sums(form):
    def build(v):
        return form(st.segment_sum(rows, ids, v)), []

    return build


def reading(form):
    def build(v):
        t = table(v)
        new = t[ids].inc(st.tanh(t[ids]))
        return form(new), [(t, new)]

    return build


def lifted(form):
    def build(v):
        return form(table(v)), []

    return build


W = st.shared(np.ones((64, 96), "float32"), name="w")
PROGRAMS = {
    **{f"whole {o.__name__}": whole(o) for o in (st.optimizers.adam, st.optimizers.adagrad, st.optimizers.rmsprop)},
    "gradient": gradient(lambda g: g),
    "clipped": gradient(lambda g: st.clip(g, -1, 1)),
    "of length one": gradient(lambda g: g / st.sqrt((g * g).sum())),
    "sums @ w": sums(lambda s: s @ W),
    "tanh of sums": sums(st.tanh),
    "layer of sums": sums(lambda s: st.maximum(s @ W + 1, 0)),
    "sums, scaled": sums(lambda s: s * RATE),
    "sums of sums": sums(lambda s: s.sum(0)),
    "read again": reading(lambda new: new[ids].sum()),
    "read others": reading(lambda new: new[more]),
    "read columns": reading(lambda new: new[more, 3:9]),
    "function of rows": lifted(lambda t: st.tanh(t)[ids]),
    "rows of a product": lifted(lambda t: (t @ W)[ids]),
    "sums of rows": lifted(lambda t: (t * t).sum(1)[ids]),
}
SIZES = ((500, 32), (500, 4096), (20_000, 256), (20_000, 8192), (200_000, 1024))


def measured(build, v, n, rounds):
    """For each form that differs from others: the modelled and the measured time, in microseconds."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((n, 64)).astype("float32")
    drawn = [[rng.integers(0, v, n) for _ in range(2)] for _ in range(4)]
    runs, modelled, seen = {}, {}, {}
    for form in FORMS:
        outputs, updates = build(v)
        f = st.function(
            [ids, more, rows], outputs, updates=updates, rewrites=form, backend="numpy", on_unused_input="ignore"
        )
        f(*drawn[0], x)
        entries = accounts(f.program)
        calls = CALL * sum(e.work is not IDLE for e in entries)
        price = total(entries).price.value(estimates({ids: (n,), more: (n,), rows: (n, 64)}))
        key = tuple(i.op.name for i in f.program.instructions)
        if price is None or key in seen:
            continue
        seen[key] = form
        turns = cycle(drawn)
        runs[str(form)] = lambda f=f, turns=turns: f(*next(turns), x)
        modelled[str(form)] = (price + calls) / 1e3
    times = interleaved(runs, rounds, 0.01, clock=time.process_time) if len(runs) > 1 else {}
    return {form: (modelled[form], times[form]) for form in times}


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--all", action="store_true")
    args = options.parse_args()
    warnings.simplefilter("ignore", st.WholeTableWarning)  # forms as written are what is looked at
    agreed = pairs = 0
    for name, build in PROGRAMS.items():
        for v, n in SIZES:
            found = measured(build, v, n, args.rounds)
            if args.all:
                for form, (model, took) in found.items():
                    print(f"{name:20} V={v:7} n={n:5} {form:9} modelled {model:9.1f} us, measured {took:9.1f}")
            for a, b in combinations(found, 2):
                model, took = (found[a][k] / found[b][k] for k in (0, 1))
                if max(took, 1 / took) < 1.5:
                    continue
                pairs += 1
                agreed += (model < 1) == (took < 1)
                if (model < 1) != (took < 1):
                    print(f"  differs: {name}, V={v}, n={n}: {a} / {b} modelled {model:.2f}, measured {took:.2f}")
    print(f"agreed on {agreed} of {pairs} pairs: {100 * agreed / max(pairs, 1):.0f} %")


if __name__ == "__main__":
    main()
