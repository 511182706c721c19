"""Programs that train embeddings, a step of each beside the same in torch, one thread, taking turns.

python backends/benchmarks/bench_embeddings.py [--backend numpy|jax|numba] [--only NAME]     (torch must be installed)

Equal shapes, ids and optimizers; what torch has no optimizer for (FTRL, row-wise Adagrad) is its sparse Adagrad there.
"""

import argparse
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")

import time
from functools import partial

import numpy as np
import torch

import subtensor as st

torch.set_num_threads(1)
F = torch.nn.functional
RNG = np.random.default_rng(0)
V, D = 100_000, 32


def table(rows=V, width=D, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, (rows, width)).astype("float32")


def ids(*shape, rows=V):
    """Zipf-distributed, as ids are."""
    return (RNG.zipf(1.2, shape) % rows).astype("int64")


def embedding(value):
    return torch.nn.Embedding.from_pretrained(torch.tensor(value), freeze=False, sparse=True)


def stepped(cost, optimizers):
    for o in optimizers:
        o.zero_grad()
    cost().backward()
    for o in optimizers:
        o.step()


def bag(backend):
    """A bag of up to 100 ids, forward and backward, SGD."""
    lengths = RNG.integers(0, 100, 512)
    flat, y = ids(int(lengths.sum())), RNG.normal(size=(512, D)).astype("float32")
    t, i, n, target = st.shared(table(), name="t"), st.lvector("i"), st.lvector("n"), st.fmatrix("y")
    cost = ((st.embedding_bag(t, i, lengths=n, mode="mean") - target) ** 2).sum()
    ours = st.function([i, n, target], cost, updates=st.optimizers.sgd(cost, [t], 0.01), backend=backend)
    bags = torch.nn.EmbeddingBag.from_pretrained(torch.tensor(table()), freeze=False, mode="mean", sparse=True)
    o = torch.optim.SGD(bags.parameters(), lr=0.01)
    a, b, c = torch.tensor(flat), torch.tensor(np.cumsum(lengths) - lengths), torch.tensor(y)

    def theirs():
        return ((bags(a, b) - c) ** 2).sum()

    return partial(ours, flat, lengths, y), partial(stepped, theirs, [o])


def bpr(backend):
    """Users, liked and other items, 1024 of each; Adam."""
    u, p, q = ids(1024), ids(1024), ids(1024)
    users, items = st.shared(table(), name="users"), st.shared(table(seed=1), name="items")
    i, j, k = (st.lvector(x) for x in "ijk")
    cost = st.softplus((users[i] * (items[k] - items[j])).sum(axis=1)).mean()
    updates = st.optimizers.adam(cost, [users, items], 1e-3, step_count="global")
    ours = st.function([i, j, k], cost, updates=updates, backend=backend)
    a, b = embedding(table()), embedding(table(seed=1))
    o = torch.optim.SparseAdam([a.weight, b.weight], lr=1e-3)
    u_, p_, q_ = (torch.tensor(x) for x in (u, p, q))
    return partial(ours, u, p, q), partial(stepped, lambda: F.softplus((a(u_) * (b(q_) - b(p_))).sum(1)).mean(), [o])


def fasttext(backend):
    """Means of 40 words, 100 classes; Adagrad on rows and on the matrix."""
    words, y = ids(256, 40), RNG.integers(0, 100, 256)
    t, w = st.shared(table(), name="t"), st.shared(table(D, 100), name="w")
    i, target = st.lmatrix("i"), st.lvector("y")
    scores = st.log_softmax(t[i].mean(axis=1) @ w, axis=1)
    cost = -scores[st.arange(target.shape[0]), target].mean()
    ours = st.function([i, target], cost, updates=st.optimizers.adagrad(cost, [t, w], 0.05), backend=backend)
    bags = torch.nn.EmbeddingBag.from_pretrained(torch.tensor(table()), freeze=False, mode="mean", sparse=True)
    head = torch.tensor(table(D, 100), requires_grad=True)
    o = [torch.optim.Adagrad([bags.weight], lr=0.05), torch.optim.Adagrad([head], lr=0.05)]
    i_, y_ = torch.tensor(words), torch.tensor(y)
    return partial(ours, words, y), partial(stepped, lambda: F.cross_entropy(bags(i_) @ head, y_), o)


def transe(backend):
    """Heads, relations, tails and false tails, 1024 of each; row-wise Adagrad, rows of norm 1 at most."""
    h, r, t, f = ids(1024), ids(1024, rows=1000), ids(1024), ids(1024)
    entities, relations = st.shared(table(), name="e"), st.shared(table(1000), name="r")
    i, k, j, n = (st.lvector(x) for x in "ikjn")
    start = entities[i] + relations[k]
    near, far = (st.sqrt(((start - entities[x]) ** 2).sum(axis=1) + 1e-6) for x in (j, n))
    cost = st.maximum(1 + near - far, 0).mean()
    bound = {entities: st.optimizers.constraints.max_norm(1.0)}
    updates = st.optimizers.rowwise_adagrad(cost, [entities, relations], 0.05, constraint=bound)
    ours = st.function([i, k, j, n], cost, updates=updates, backend=backend)
    a, b = embedding(table()), embedding(table(1000))
    o = torch.optim.Adagrad([a.weight, b.weight], lr=0.05)
    h_, r_, t_, f_ = (torch.tensor(x) for x in (h, r, t, f))

    def theirs():
        start = a(h_) + b(r_)
        near, far = (torch.sqrt(((start - a(x)) ** 2).sum(1) + 1e-6) for x in (t_, f_))
        return torch.clamp(1 + near - far, min=0).mean()

    return partial(ours, h, r, t, f), partial(stepped, theirs, [o])


def machine(backend):
    """A factorization machine over 5 tables, 1024 examples; FTRL."""
    x, y = ids(1024, 5), RNG.integers(0, 2, 1024).astype("float32")
    tables = [st.shared(table(seed=k), name=f"t{k}") for k in range(5)]
    i, target = st.lmatrix("i"), st.fvector("y")
    rows = [t[i[:, k]] for k, t in enumerate(tables)]
    total = sum(rows)
    score = 0.5 * (total**2 - sum(r**2 for r in rows)).sum(axis=1)
    cost = (st.softplus(score) - target * score).mean()
    ours = st.function([i, target], cost, updates=st.optimizers.ftrl(cost, tables, 0.05), backend=backend)
    nets = [embedding(table(seed=k)) for k in range(5)]
    o = torch.optim.Adagrad([n.weight for n in nets], lr=0.05)
    x_, y_ = torch.tensor(x), torch.tensor(y)

    def theirs():
        rows = [n(x_[:, k]) for k, n in enumerate(nets)]
        score = 0.5 * (sum(rows) ** 2 - sum(r**2 for r in rows)).sum(1)
        return F.binary_cross_entropy_with_logits(score, y_)

    return partial(ours, x, y), partial(stepped, theirs, [o])


def dlrm(backend):
    """26 tables, a layer over their rows, 256 examples; Adagrad on rows, SGD on the layer."""
    x, y = ids(256, 26), RNG.integers(0, 2, 256).astype("float32")
    tables = [st.shared(table(seed=k), name=f"t{k}") for k in range(26)]
    w = st.shared(table(26 * D, 1), name="w")
    i, target = st.lmatrix("i"), st.fvector("y")
    score = (st.concatenate([t[i[:, k]] for k, t in enumerate(tables)], axis=1) @ w)[:, 0]
    cost = (st.softplus(score) - target * score).mean()
    updates = st.optimizers.adagrad(cost, tables, 0.05)
    updates.update(st.optimizers.sgd(cost, [w], 0.05))
    ours = st.function([i, target], cost, updates=updates, backend=backend)
    nets = [embedding(table(seed=k)) for k in range(26)]
    head = torch.tensor(table(26 * D, 1), requires_grad=True)
    o = [torch.optim.Adagrad([n.weight for n in nets], lr=0.05), torch.optim.SGD([head], lr=0.05)]
    x_, y_ = torch.tensor(x), torch.tensor(y)

    def theirs():
        rows = torch.cat([n(x_[:, k]) for k, n in enumerate(nets)], 1)
        return F.binary_cross_entropy_with_logits((rows @ head)[:, 0], y_)

    return partial(ours, x, y), partial(stepped, theirs, o)


PROGRAMS = {"bag": bag, "BPR": bpr, "fastText": fasttext, "TransE": transe, "FM": machine, "DLRM": dlrm}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backend", default="numpy")
    parser.add_argument("--only", choices=PROGRAMS)
    parser.add_argument("--rounds", type=int, default=30)
    args = parser.parse_args()
    print(f"{'':10} {'ours, ms':>9} {'torch':>9} {'ratio':>6} {'first, s':>9}")
    for name, make in PROGRAMS.items():
        if args.only in (None, name):
            ours, theirs = make(args.backend)
            begin = time.perf_counter()
            ours()
            first = time.perf_counter() - begin
            spent = np.zeros((args.rounds, 2))
            theirs()
            for k in range(args.rounds):
                for n, step in enumerate((ours, theirs)):
                    at = time.process_time()  # of all threads: others use the machine too
                    step()
                    spent[k, n] = 1e3 * (time.process_time() - at)
            a, b = np.median(spent, axis=0)
            print(f"{name:10} {a:9.2f} {b:9.2f} {np.median(spent[:, 0] / spent[:, 1]):6.2f} {first:9.2f}", flush=True)


if __name__ == "__main__":
    main()
