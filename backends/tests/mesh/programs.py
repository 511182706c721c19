"""Programs over a divided table, and what they are on NumPy: ``CASES[name] = (build, arguments)``.

build: ``(backend) -> (function, variables)``. The function is called twice; outputs, errors and values must agree.
"""

import numpy as np

import subtensor as st

V, D = 11, 3  # which four devices do not divide
IDS = np.array([3, -1, 3, 10, 0, 7, 7, 7])
VALUES = np.random.default_rng(5).normal(size=(8, D)).astype("float32")
MASK = np.array([0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1], bool)


def table(shape=(V, D), dtype="float32", axes=None, name="t"):
    value = (np.random.default_rng(3).normal(size=shape) * 10).astype(dtype)
    return st.shared(value, name, axes=axes or ("rows", *(None,) * (len(shape) - 1)))


def ids(axes=None):
    return st.lvector("ids", axes=axes)


def k():
    return st.lscalar("k")


def batch():
    return ids(("batch",))


def values():
    return st.fmatrix("y", axes=("batch", None))


def mask():
    return st.bvector("m")


CASES = {}


def case(name, meaning, inputs=(), args=(), **form):
    """meaning: ``(table, *inputs) -> (new value, outputs)``."""

    def build(backend):
        t, given = table(**form), [make() for make in inputs]
        new, outputs = meaning(t, *given)
        updates = [] if new is None else [(t, new)]
        return st.function(given, outputs, updates=updates, backend=backend), [t]

    CASES[name] = build, args


def program(name, *args):
    """A case that builds its function itself."""

    def enter(build):
        CASES[name] = build, args
        return build

    return enter


case("increments with repeats", lambda t, i: (t[i].inc(1.0), t[i].sum()), [ids], [IDS])
case("increments of a divided batch", lambda t, i, y: (t[i].inc(y), [t[i]]), [batch, values], [IDS, VALUES])
case("the last write of a divided batch", lambda t, i, y: (t[i].set(y), [t[i]]), [batch, values], [IDS, VALUES])
case("a batch of five", lambda t, i, y: (t[i].set(y), [t[i]]), [batch, values], [IDS[:5], VALUES[:5]])
case("a row", lambda t, n: (t[n].set(5.0), t[n]), [k], [9])
case("a row from the end", lambda t, n: (t[n].inc(5.0), t[n]), [k], [-1])
case("an element", lambda t, n: (t[n, 1].inc(5.0), t[n, 1]), [k], [4])
case("pairs", lambda t, i: (t[i, i % 3].inc(2.0), t[i, i % 3]), [ids], [IDS])
case("a column", lambda t: (t[:, 1].inc(2.0), t[:, 1].sum()))
case("a few rows", lambda t: (t[2:4].set(1.0), t[2:4]))
case("most rows", lambda t: (t[1:].inc(1.0), t[1:].sum(0)))
case("every second row, backwards", lambda t: (t[::-2].set(t[::2] * 2), t[::-2].sum()))
case("a window", lambda t, n: (t[n : n + 3].inc(1.0), t[n : n + 3]), [k], [8])
case("a window to the end", lambda t, n: (t[n:].inc(1.0), t[n:].sum(0)), [k], [1])
case("all of it", lambda t: (t * 0.5, t.sum()))
case("reductions", lambda t: (t - t.mean(0), [t.mean(0), t.max(), t.min(0), (t * t).prod(1).sum(), (t > 0).all(0)]))
case("exponentials, which are 1 in padding", lambda t: (None, [st.exp(t * 0).sum(), st.exp(t * 0).sum(0)]))
case("another order of rows", lambda t: (t[::-1], t))
case("an order by value", lambda t: (st.sort(t, axis=0), st.argmax(t, axis=0)))
case("running sums", lambda t: (st.cumsum(t, 0), t.T))
case("a mask of rows", lambda t, m: (t[m.astype("bool")].inc(1.0), t[m.astype("bool")]), [mask], [MASK.astype("int8")])
case("a mask of elements", lambda t: (t[t > 0].set(0.0), (t > 0).sum()))
case("int32", lambda t, i: (t[i].inc(3), t[i]), [ids], [IDS], dtype="int32")
case("int8", lambda t, i: (t[i].inc(3), t[i]), [ids], [IDS], dtype="int8")
case("bool", lambda t, i: (t[i].set(True), t[i]), [ids], [IDS], dtype="bool")
case("float16", lambda t, i: (t[i].set(0.5), t[i]), [ids], [IDS], dtype="float16")
case("bfloat16", lambda t, i: (t[i].set(0.5), t[i]), [ids], [IDS], dtype="bfloat16")
case("float64", lambda t, i: (t[i].set(0.5), t[i]), [ids], [IDS], dtype="float64")
case("a vector", lambda t, i: (t[i].inc(0.5), t[i]), [ids], [IDS], shape=(V,))
case(
    "rows and columns at positions",
    lambda t, i: (t[i, :, i % 2].inc(0.5), t[i, :, i % 2]),
    [ids],
    [IDS],
    shape=(V, 2, 3),
)
case("rows and a part of them", lambda t, i: (t[i, 1:].inc(0.5), t[i, :, None, ::-1]), [ids], [IDS], shape=(V, 2, 3))
case("fewer rows than devices", lambda t, i: (t[i].inc(0.5), t[i]), [ids], [IDS * 0 - 1], shape=(2, 3))
case("no ids", lambda t, i: (t[i].inc(0.5), t[i]), [ids], [IDS[:0]])
case("no rows", lambda t, i: (t[i].inc(0.5), t[i]), [ids], [IDS[:0]], shape=(0, 3))
case("divided columns", lambda t, i: (t[i].inc(0.5), t[i]), [ids], [IDS], shape=(V, 5), axes=(None, "rows"))
case("what is written is also an output", lambda t, i: (t[i].set(2 * t[i]), 2 * t[i]), [ids], [IDS])
case("rows go to other rows", lambda t, i: (t[i].set(2 * t[(i + 1) % V]), []), [ids], [IDS])
case("row by row", lambda t, i: (t[i].set(t[i] / (1 + abs(t[i]).sum(1, keepdims=True))), []), [ids], [IDS])
case("across the rows", lambda t, i: (t[i].set(t[i] / (1 + abs(t[i]).sum(0))), []), [ids], [IDS])
case("at a vector for each row", lambda t, i: (t[i].inc(t[i] * t[i].sum(0)), []), [ids], [IDS])
case("out of range", lambda t, i: (t[i].inc(0.5), t[i]), [ids], [IDS + 1])
case("in the padding", lambda t, i: (t[i].inc(0.5), t[i]), [ids], [np.array([V])])
case("in the padding, computed", lambda t, i: (t[i + 1].inc(0.5), t[i + 1]), [ids], [np.array([V - 1])])
case("a row in the padding", lambda t, n: (t[n].inc(0.5), t[n]), [k], [V])
case("a row before the first", lambda t, n: (t[n * 1].inc(0.5), t[n * 1]), [k], [-V - 1])
case("a row of no rows", lambda t, i: (t[i].inc(0.5), t[i]), [ids], [IDS], shape=(0, 3))


@program("variables that exchange values")
def _swap(backend):
    t, u = table(), table(name="u")
    return st.function([], t.sum(), updates=[(t, u), (u, t + 1)], backend=backend), [t, u]


@program("a divided one and a whole one exchange values")
def _swap_dense(backend):
    t, u = table(), st.shared(np.ones((V, D), "float32"), "u")
    return st.function([], t.sum(), updates=[(t, u), (u, t)], backend=backend), [t, u]


@program("rows of two tables of unequal lengths", IDS)
def _two(backend):
    t, u, i = table(), table((V + 3, D), name="u"), ids()
    updates = [(t, t[i].set(u[i] * 2 + t[i])), (u, u[i].inc(t[i]))]
    return st.function([i], updates=updates, backend=backend), [t, u]


@program("rows of two tables of one length", IDS)
def _two_alike(backend):
    t, u, i = table(), table((V,), name="u"), ids()
    updates = [(t, t[i].set(st.exp(u[i]).dimshuffle(0, "x") + t[i])), (u, u[i].inc(t[i].max(1)))]
    return st.function([i], updates=updates, backend=backend), [t, u]


@program("what was written is read", IDS)
def _written(backend):
    t, i = table(), ids()
    new = t[i].set(1.0)
    return st.function([i], new[i].sum(), updates=[(t, new)], backend=backend), [t]


@program("a variable that grows beside it", VALUES)
def _growing(backend):
    t, x = table(), st.fmatrix("x")
    u = st.shared(np.ones((2, D), "float32"), shape=(None, D))
    updates = [(u, st.concatenate([u, x])), (t, t + 1)]
    return st.function([x], t.sum() + u.sum(), updates=updates, backend=backend), [t, u]


@program("a table that starts as an expression", IDS)
def _expression(backend):
    t, i = st.shared(st.zeros((V, D), "float32") + 2, "t", axes=("rows", None)), ids()
    return st.function([i], t[i].sum(), updates=[(t, t[i].inc(1.0))], backend=backend), [t]


@program("a loop that reads rows", IDS)
def _loop(backend):
    t, i = table(), ids()
    total, _ = st.scan(lambda n, a: a + t[n].sum(), sequences=[i], outputs_info=[np.float32(0)])
    return st.function([i], total, updates=[(t, t[i].inc(1.0))], backend=backend), [t]


@program("many steps in one call", np.stack([IDS, IDS + 1]))
def _steps(backend):
    t, i = table(), ids()
    f = st.function([i], t[i].sum(), updates=[(t, t[i].inc(1.0))], backend=backend)
    return f.steps, [t]


def _bag(mode, optimizer):
    def build(backend):
        t, i = table(), ids()
        bags = st.embedding_bag(t, i, np.array([0, 3, 5]), mode=mode)
        return st.function([i], bags, updates=optimizer((bags * bags).sum(), [t]), backend=backend), [t]

    return build


CASES["bags of means with Adam"] = _bag("mean", lambda c, p: st.optimizers.adam(c, p, 0.1)), (IDS,)
CASES["bags of maxima with Adagrad"] = _bag("max", lambda c, p: st.optimizers.adagrad(c, p, 0.1)), (IDS,)


def _rows_cost(optimizer):
    def build(backend):
        t, i = table(), ids()
        return st.function([i], t[i].sum(), updates=optimizer((t[i] ** 2).sum(), t), backend=backend), [t]

    return build


for _name, _optimizer in {
    "Adam over the whole table": lambda c, t: st.optimizers.adam(c, [t], 0.1, untouched="dense"),
    "momentum that catches up": lambda c, t: st.optimizers.momentum(c, [t], 0.1, untouched="catch_up"),
    "clipped rows": lambda c, t: st.optimizers.adam(c, [t], 0.1, clip_row_norm=1.0, weight_decay=0.1),
    "rows that are clipped together": lambda c, t: st.optimizers.adagrad(c, [t], 0.1, clip_global_norm=1.0),
    "rates by row": lambda c, t: st.optimizers.lamb(c, [t], 0.1),
    "rows of a largest norm": lambda c, t: st.optimizers.sgd(
        c, [t], 0.1, constraint={t: st.optimizers.constraints.max_norm(1.0)}
    ),
}.items():
    CASES[_name] = _rows_cost(_optimizer), (IDS,)
