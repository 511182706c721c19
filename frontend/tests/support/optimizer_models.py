"""Small models over a table for the tests of optimizers, symbolic and as loops."""

import numpy as np
from optimizer_oracle import summed

import subtensor as st
from subtensor import optimizers

BACKENDS = ["numpy", "jax"]
NAMES = [
    *("sgd", "momentum", "nesterov", "adagrad", "rowwise_adagrad", "rmsprop", "adadelta"),
    *("adam", "adamw", "adamax", "nadam", "lamb", "ftrl", "lion", "madgrad", "rowwise_adam"),
]
ON_JAX = ["rowwise_adagrad", "adam", "momentum"]
"""The rules that tests of an invariant run on JAX too, where a step takes seconds to compile."""


def pairs(names):
    """(name, backend) for parametrisation."""
    return [(n, "numpy") for n in names] + [(n, "jax") for n in names if n in ON_JAX]


V, D, B, STEPS = 9, 3, 6, 5
RATE = 0.05


def table(seed=0):
    return np.random.default_rng(seed).normal(size=(V, D))


def batches(seed=1, shape=(B,), steps=STEPS):
    """(ids, targets) pairs; ids repeat, are unordered, negative at times, and leave the last two rows out."""
    rng = np.random.default_rng(seed)
    result = []
    for _ in range(steps):
        ids = rng.integers(0, V - 2, shape)
        ids.flat[1] = ids.flat[0]
        ids.flat[2] -= V
        result.append((ids, rng.normal(size=(*shape, D))))
    return result


def gradient(w, batch):
    """The gradient of the cost below with respect to the whole table, by loops."""
    ids, y = batch
    x = w[ids]
    return summed(w.shape, ids, 2 * (x - y) + x**3)


class Model:
    """``cost = Σ (t[ids] − y)² + t[ids]⁴ / 4`` and a step of an optimizer on it. backend: None for the default one."""

    def __init__(self, name, start, ndim=1, backend=None, rate=RATE, param=None, **options):
        self.table = st.shared(start, name="t")
        self.ids = st.tensor("ids", dtype="int64", shape=(None,) * ndim)
        self.y = st.tensor("y", dtype=start.dtype, shape=(None,) * (ndim + 1))
        self.subset = self.table[self.ids]
        self.cost = ((self.subset - self.y) ** 2).sum() + (self.subset**4).sum() / 4
        self.updates = getattr(optimizers, name)(self.cost, [self.subset], rate, **options)
        self.backend = backend
        self.step = st.function([self.ids, self.y], self.updates.read(self.cost), self.updates, backend=backend)

    def train(self, given):
        """The table after each batch, and the costs."""
        seen, costs = [], []
        for ids, y in given:
            costs.append(float(self.step(ids, y.astype(self.y.dtype))))
            seen.append(self.table.get_value())
        return seen, costs

    def state(self):
        return {s.name: s.get_value() for s in self.updates.state}
