"""Hessian-free optimization of the rows that are used, against SGD and Adam: word vectors from co-occurrences.

    python docs/examples/hessian_free.py [--output docs/images]

The logarithms of how often words stand within five words of each other, in the piece of Wikipedia that comes with
gensim, are factorised as ``w_i · c_j + a_i + b_j``, weighted as in GloVe (Pennington, Socher & Manning, 2014). Tables
hold the whole vocabulary; the 300 most frequent words are trained, so most rows are unused. Every method sees the same
batch from the same start; the first-order methods get the best of several learning rates.

It needs `pip install "subtensor[examples]"`.
"""

import argparse
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

import subtensor as st
from embedding_tools.corpus import read_corpus, wikipedia_sample
from subtensor import optimizers
from subtensor.curvature import HessianFree

WORDS, DIM, WINDOW = 300, 20, 5
COLOURS = {"Hessian-free": "#0072B2", "Adam": "#D55E00", "SGD": "#009E73"}


def cooccurrences(corpus):
    """i, j (N,) word ids and x (N,) how often, both among the most frequent words; near words count more."""
    counts = np.zeros((WORDS, WORDS))
    tokens, documents = corpus.tokens, corpus.documents
    for distance in range(1, WINDOW + 1):
        a, b = tokens[:-distance], tokens[distance:]
        kept = (a < WORDS) & (b < WORDS) & (documents[:-distance] == documents[distance:])
        np.add.at(counts, (a[kept], b[kept]), 1 / distance)
    counts += counts.T
    i, j = np.nonzero(counts)
    return i, j, counts[i, j]


def model(size, seed=0):
    """Parameters (subsets of four tables), inputs, cost and predictions."""
    rng = np.random.default_rng(seed)
    i, j, y, weight = st.lvector("i"), st.lvector("j"), st.vector("y"), st.vector("weight")
    words, contexts = (st.shared(rng.normal(size=(size, DIM)) / DIM**0.5, n) for n in ("words", "contexts"))
    a, b = (st.shared(np.zeros(size), n) for n in ("a", "b"))
    predicted = (words[i] * contexts[j]).sum(axis=1) + a[i] + b[j]
    cost = (weight * (predicted - y) ** 2).sum() / weight.sum()
    return [words[i], contexts[j], a[i], b[j]], [i, j, y, weight], cost, predicted


def descend(name, rate, size, data, steps):
    """The cost before each step, and after the last."""
    params, inputs, cost, _ = model(size)
    step = st.function(inputs, cost, getattr(optimizers, name)(cost, params, rate))
    return np.array([float(step(*data)) for _ in range(steps + 1)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("build/hessian_free"))
    parser.add_argument("--steps", type=int, default=40)
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    corpus = read_corpus(wikipedia_sample(), 5)
    i, j, x = cooccurrences(corpus)
    data = i, j, np.log(x), np.minimum(1, (x / 100) ** 0.75)
    print(f"{corpus.size:,} rows in each table, {WORDS} used, {len(i):,} pairs")

    params, inputs, cost, predicted = model(corpus.size)
    free = HessianFree(inputs, cost, params, predicted, damping=0.01)
    progress = [free.step(*data) for _ in range(args.steps)]
    curves = {"Hessian-free": np.array([progress[0].cost, *(p.new_cost for p in progress)])}
    products = sum(p.products for p in progress)
    for name, label, rates in (("adam", "Adam", (0.3, 0.1, 0.03, 0.01)), ("sgd", "SGD", (300, 100, 30, 10, 3))):
        tried = {rate: descend(name, rate, corpus.size, data, args.steps) for rate in rates}
        best = min(rates, key=lambda r: tried[r][-1] if np.isfinite(tried[r][-1]) else np.inf)
        curves[f"{label}, rate {best:g}"] = tried[best]

    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for label, curve in curves.items():
        colour = COLOURS[label.split(",")[0]]
        axes.semilogy(curve, color=colour, linewidth=2, label=label)
        reached = ", ".join(f"{curve[n]:.4f} after {n}" for n in (5, 10, 20, args.steps) if n <= args.steps)
        print(f"{label:22} cost {reached}")
    print(f"Hessian-free computed {products} curvature-vector products in {args.steps} steps")
    axes.set(xlabel="steps", ylabel="cost", title="Factorising co-occurrences of 300 words")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(args.output / "hessian_free.png", dpi=110)


if __name__ == "__main__":
    main()
