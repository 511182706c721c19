"""For every rewrite a graph of its own pattern: ``CASES[name](d)`` gives outputs, over values that `d` draws.

Names of cases are names of rules; the rules written as equations make their cases themselves.
"""

import numpy as np
from hypothesis import strategies as hs
from rewrite_cases_loops import LOOP_CASES

import subtensor as st
from subtensor.graph.nodes import OPS
from subtensor.rewrites.engine import RULES
from subtensor.rewrites.patterns import EQUATIONS

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, np.nan, np.inf, -np.inf, 1e-3, -7.25]
FINITE = [0.0, 1.0, -1.0, 0.5, 2.0, 0.125, -3.0, 1.5]
FLOATS = ["float64", "float32"]


class Drawn:
    """Inputs and their values, as a case asks for them."""

    def __init__(self, data, finite):
        self.data = data
        self.finite = finite
        self.inputs, self.values = [], []

    def pick(self, *options):
        return self.data.draw(hs.sampled_from(options))

    def number(self, low, high):
        return self.data.draw(hs.integers(low, high))

    def given(self, value, known=None):
        """An input with a value; whether its shape is known while the graph is built is drawn too."""
        known = self.pick(True, False) if known is None else known
        name = f"v{len(self.inputs)}"
        node = st.tensor(name, str(value.dtype), shape=value.shape if known else (None,) * value.ndim)
        self.inputs.append(node)
        self.values.append(value)
        return node

    def array(self, shape, dtype="float64", pool=None):
        pool = pool or (FINITE if self.finite else SPECIAL)
        size = int(np.prod(shape))
        if dtype == "bool":
            flat = [self.pick(True, False) for _ in range(size)]
        elif dtype.startswith(("int", "uint")):
            flat = [self.number(0, 5) if dtype[0] == "u" else self.number(-5, 5) for _ in range(size)]
        else:
            flat = [self.pick(*pool) for _ in range(size)]
        return np.array(flat, dtype).reshape(shape)

    def floats(self, shape, known=None, pool=None):
        return self.given(self.array(shape, self.dtype(), pool), known)

    def dtype(self):
        if not hasattr(self, "_dtype"):
            self._dtype = self.pick(*FLOATS)
        return self._dtype

    def shape(self, ndim=2, least=0):
        return tuple(self.number(least, 4) for _ in range(ndim))

    def table(self, shape=None, known=None):
        return self.floats(shape or self.shape(), known)

    def ids(self, n, count=None, bad=True, known=False):
        """Positions, duplicates and negative ones among them; out of range now and then."""
        count = self.number(0, 4) if count is None else count
        top = max(n - 1, 0)
        low = -n if n else 0
        values = [self.number(low, top) for _ in range(count)]
        if count and bad and self.number(0, 9) == 0:
            values[0] = self.pick(n, -n - 1, 1000)
        if count and not n and not bad:
            values = []
        return self.given(np.array(values, np.int64), known)

    def distinct(self, n, count=None):
        """A constant index, or a promise, that selects nothing twice."""
        order = self.data.draw(hs.permutations(range(n)))
        count = self.number(0, n) if count is None else count
        chosen = np.array(order[:count], np.int64)
        if self.pick(True, False):
            return st.constant(chosen)
        return st.assume_unique(self.given(chosen))

    def scale(self, shape):
        """Factors that broadcast to a shape without stretching it."""
        kind = self.number(0, 3)
        dims = {0: (), 1: shape, 2: (shape[0], *(1 for _ in shape[1:])), 3: shape[1:]}[kind]
        return self.floats(dims, known=True, pool=[1.0, -1.0, 0.5, 2.0, 3.0])

    def one_row(self, x):
        """Zeros with an increment that broadcast to the shape of x."""
        m = self.values[self.inputs.index(x)].shape[1]
        return st.inc_subtensor(st.zeros((1, m), x.dtype)[self.ids(1, bad=False)], 1.5)

    def gradient(self, x, count=None, bad=True):
        """Zeros with an increment: the gradient of a read of x."""
        shape = tuple(self.values[self.inputs.index(x)].shape)
        ids = self.ids(shape[0], count, bad)
        y = self.floats((self.values[-1].size, *shape[1:]), known=False)
        zeros = st.zeros_like(x)
        w = st.inc_subtensor(zeros[ids], y)
        if self.pick(True, False):
            w = st.inc_subtensor(w[self.ids(shape[0], bad=bad)], 0.5)
        return w


CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


def _known_table(d, least=1):
    shape = d.shape(least=least)
    return d.table(shape, known=True), shape


# --- canonical


@case
def full_slice(d):
    x = d.table()
    n, m = d.values[0].shape
    k = d.pick(n, n + 1, n - 1, 0)
    i = d.ids(n)
    return [
        x[:],
        x[:, :] * 2,
        x[0:k],
        x[-k:, :m],
        x[:: d.pick(1, -1)],
        x[i, 0:m],
        x[: x.shape[0]],
        x[0 : x.shape[d.pick(0, 1)]],
    ]


@case
def equal_same(d):
    i, x = d.given(d.array((3,), "int64")), d.floats((3,))
    n = d.given(np.asarray(d.number(0, 3)), known=True)
    return [
        st.eq(i, i),
        st.eq(x, x),
        st.eq(i[d.ids(3)], i[d.ids(3)]),
        st.diagonal(st.eye(d.number(0, 3), 2)),
        st.diagonal(st.eye(n)),
    ]


@case
def identities(d):
    x = d.table()
    return [st.disconnected_grad(x) + st.zero_grad(x), st.grad_clip(x, -1, 1), x[:, np.array(True)]]


@case
def times_one(d):
    x, shape = _known_table(d)
    return [x * 1, st.constant(np.ones((1, shape[1]), d.dtype())) * x, st.ones_like(x) * x, st.ones((3, *shape)) * x]


@case
def times_ones(d):
    n = d.number(0, 3)
    x, y = d.floats((d.pick(1, n), 2), known=False), d.floats((d.pick(n, n, n + 1), d.pick(1, 2)), known=False)
    total = x * y[0] + y
    ones = st.broadcast_to(1.0, [(x + y).shape[0], (x + y).shape[1]]).astype(x.dtype)
    return [x * st.ones_like(x + y), ones * y, y * st.ones((*total.shape,), x.dtype), st.ones_like(y + x) * st.tanh(x)]


@case
def divide_by_one(d):
    x = d.table()
    return [x / 1, x / np.ones((2, 1, 1))]


@case
def subtract_zero(d):
    x = d.table()
    return [x - 0, x - np.zeros((2, 1, 1)), x - (-0.0)]


@case
def add_zero(d):
    x, i = d.table(), d.given(d.array((3,), "int64"))
    n = d.values[0].shape[0]
    sure = d.pick(st.exp(x), abs(x) + x * 2, x * x, st.where(x > 0, x, 1.0), st.zeros_like(x)[d.ids(n)].inc(x[:1] * 0))
    return [
        x + 0,
        0 + x,
        x + (-0.0),
        i + 0,
        sure + 0,
        0 + sure,
        sure + np.zeros((2, 1, 1)),
        (i + 0).astype("float64") + 0,
    ]


@case
def cast_twice(d):
    x, i = d.table(), d.given(d.array((3,), "int32"))
    return [x.astype("float64").astype("float32"), i.astype("int64").astype("int32"),
            x.astype("float32").astype("float64"),
            i.astype("float64").astype("int32")]  # fmt: skip


@case
def multiply_negated_constant(d):
    x = d.table()
    return [-(x * 2.5), -(st.constant(np.array([[[1.0]], [[3.0]]])) * x)]


@case
def fold_constants(d):
    a, b = (st.constant(d.array((2,), kind)) for kind in ("float64", "float32"))
    i = st.constant(d.array((2,), "int32"))
    return [
        a + 1,
        -b * 2,
        i // 0,
        st.mod(i, 3),
        a < 0,
        st.maximum(a, 1),
        st.where(a > 0, a, 1),
        i.astype("int8"),
        b / 0,
    ]


@case
def fold_constant_shapes(d):
    a = st.constant(d.array((2, 3)))
    return [a.T, a.reshape((3, 2)), st.expand_dims(a, 1), st.expand_dims(a, 0)]


@case
def fold_constant_reads(d):
    a = st.constant(d.array((2, 3)))
    return [a[1], a[d.pick(0, 1, 5, -9)], a[:, [0, 0]], a[::-1, 1:]]


@case
def squeeze_expanded(d):
    x = d.table()
    return [st.squeeze(st.expand_dims(x, 1), 1), st.squeeze(st.expand_dims(x, (0, 2)), (0, 2))]


@case
def expand_squeezed(d):
    x = d.floats((1, d.number(0, 3)))
    return [st.expand_dims(st.squeeze(x, 0), 0)]


@case
def transpose_twice(d):
    x = d.floats(d.shape(3))
    inner = OPS["transpose"](x, axes=(1, 2, 0))
    return [OPS["transpose"](inner, axes=(2, 0, 1)), OPS["transpose"](inner, axes=(1, 0, 2))]


@case
def reshape_vector(d):
    return [st.reshape(d.floats((d.number(0, 3),)), (-1,)), st.reshape(d.floats((2, 2)), (-1,))]


@case
def reshape_column(d):
    v = d.floats((d.number(0, 3),))
    return [st.reshape(v, (-1, 1)), st.reshape(v, (1, -1)), st.reshape(v, (v.shape[0], 1))]


@case
def reshape_twice(d):
    x, (n, m) = _known_table(d)
    return [st.reshape(st.reshape(x, (n * m,)), (m, n)), st.reshape(st.reshape(x, (n * m,)), (n, m))]


@case
def strip_broadcast(d):
    x = d.table()
    s = d.floats(d.pick((), (1,), d.values[0].shape[1:]))
    t = d.floats((d.number(1, 3),), known=False)  # it may not fit
    return [
        st.zeros_like(x) + x,
        x * st.broadcast_to(s, x.shape),
        x * st.broadcast_to(t, x.shape),
        st.where(st.ones_like(x, "bool"), x, 1.0),
    ]


@case
def broadcast_last(d):
    x, s = d.table(), d.floats(())
    wide = st.broadcast_to(s, x.shape)
    return [st.exp(wide), wide + st.full_like(x, 2), wide * 3, wide.astype("float32"),
            st.broadcast_to(s, (2, 3)) * st.ones((1, 1, 1))]  # fmt: skip


@case
def broadcast_twice(d):
    row = d.floats((1, 3), known=True)
    return [
        st.broadcast_to(st.broadcast_to(row, (2, 3)), (4, 2, 3)),
        OPS["broadcast_to"](row, *map(st.constant, (1, 3))),
    ]


@case
def expand_broadcast(d):
    s, n = d.floats(()), d.given(np.int64(d.number(-1, 3)), known=True)
    return [st.expand_dims(st.broadcast_to(s, (n, 2)), (0, 2))]


@case
def sum_of_broadcast(d):
    x = d.table()
    return [st.full_like(x, 2.5).sum(), st.broadcast_to(st.constant(np.inf), (0, 2)).sum()]


@case
def sum_twice(d):
    x = d.floats(d.shape(3), pool=FINITE)
    return [x.sum(1).sum(0), x.sum((0, 2)).sum(0), x.sum(0).sum()]


@case
def sum_of_one(d):
    x = d.table()
    return [OPS["sum"](st.expand_dims(x, (0, 2)), axes=(0, 2))]


@case
def where_same(d):
    x, c = d.table(), d.given(d.array((), "bool"))
    wide = d.given(d.array((2, 1, 1), "bool"))
    return [st.where(c, x, x), st.where(wide, x, x)]


@case
def known_length(d):
    x = d.table(known=False)
    y = st.tanh(x) * x
    i, j = st.arange(x.shape[0]), st.arange(x.shape[0])
    return [OPS["length"](y, axis=0), OPS["length"](x[i, j * 0], axis=0)]


@case
def length_of_nonzero(d):
    x = d.table()
    return [x[x[:, 0] > 0].shape[0] if d.values[0].shape[1] else st.constant(0), (x > 0).nonzero()[0].shape[0]]


# --- from the whole table to rows


@case
def scale_increments(d):
    x = d.table(least_shape(d))
    n, m = d.values[0].shape
    wide = d.floats(d.pick((2, n, m), (n, m)), known=d.pick(True, False))
    return [d.gradient(x) * d.scale(d.values[0].shape), 2.0 * d.gradient(x), d.one_row(x) * wide]


def least_shape(d):
    return d.shape(least=1)


@case
def divide_increments(d):
    x = d.table(least_shape(d))
    return [d.gradient(x) / d.scale(d.values[0].shape), d.one_row(x) / (st.tanh(x) + 3)]


@case
def negate_increments(d):
    return [-d.gradient(d.table())]


@case
def cast_increments(d):
    x = d.table()
    return [d.gradient(x).astype(d.pick("float32", "float64", "int32") if d.finite else "float32"),
            d.gradient(x).astype("float64" if d.dtype() == "float32" else "float32")]  # fmt: skip


@case
def transpose_increments(d):
    x = d.floats(d.shape(3, least=1), known=True)
    n, m, k = d.values[0].shape
    zeros = st.zeros_like(x)
    a, b = d.ids(n, 2), d.ids(k, 2)
    w = st.inc_subtensor(zeros[a, :, b], d.floats((2, m)))
    v = st.inc_subtensor(zeros[:, d.ids(m), d.pick(slice(None), slice(1, None))], d.floats((1,)))
    return [w.transpose((2, 0, 1)), w.transpose((0, 2, 1)), v.transpose((1, 2, 0)), d.gradient(x).T]


@case
def reshape_increments(d):
    x, (n, m) = _known_table(d)
    w = d.gradient(x)
    flat = st.inc_subtensor(st.zeros((n * m * 2,), d.dtype())[d.ids(n * m * 2)], 1.5)
    shapes = ((n, m, 1), (n * m,), (-1,), (n, -1), (-1, m, 1))
    return [flat.reshape((n, m * 2)), flat.reshape((-1, m, 2)), *(w.reshape(s) for s in shapes)]


@case
def add_increments(d):
    x = d.table()
    w = d.gradient(x)
    return [x + w, w + x, w + d.gradient(x), w + d.gradient(x, 1) + d.gradient(x, 2), x + d.one_row(x)]


@case
def subtract_increments(d):
    x = d.table()
    return [x - d.gradient(x), d.gradient(x) - d.gradient(x), x - d.one_row(x), x[:1] - d.gradient(x)]


@case
def add_zeros(d):
    x = d.table()
    w, minus = d.gradient(x), st.full_like(x, -0.0)
    o = st.zeros_like(x)
    return [x + o, w + o, o + w, x - o, o - x,
            x + minus, x - minus, minus + x, minus.astype("float64") + o]  # fmt: skip


@case
def function_of_increments(d):
    n = d.pick(0, 64, 70)
    x = (
        st.full((n, 2), 1.0, d.dtype())
        if d.pick(True, False)
        else d.given(np.ones((n, 2), d.dtype()), known=d.pick(True, False))
    )
    ids = d.ids(n, count=d.number(0, 5) if n else 0)
    y = d.floats((d.values[-1].size, 2), known=False, pool=[0.5, -1.0, 2.0, -0.0, 0.25])
    g = st.zeros_like(x)[ids].inc(y)
    more = g[d.ids(n, count=d.number(0, 3) if n else 0)].inc(0.5)
    distinct = st.zeros_like(x)[st.arange(d.pick(1, 2))].inc(1.5) if n else g
    column = d.floats((n, 1), known=True, pool=[1.0, 2.0])
    return [
        st.tanh(g), st.clip(g, -1, 1), g * g, st.tanh(g) * g, st.tanh(more) * st.exp(g - more),
        st.sqrt(abs(more)) * column,
        g / (1 + abs(g)), st.clip(g * column, -0.5, 0.75), st.cos(g), g * st.tanh(x), st.sign(distinct) * distinct,
        st.clip(g, 0.5, 1), st.tanh(g)[:3], st.where(g > column, g, -g), st.sqrt(g * g),
    ]  # fmt: skip


@case
def sum_of_increments(d):
    x = d.floats(d.shape(3, least=1), known=d.pick(True, False), pool=FINITE)
    n, m, k = d.values[0].shape
    ids = d.ids(n)
    w = st.zeros_like(x)[ids].inc(d.floats((d.values[-1].size, m, k), known=False))
    v = w[d.given(d.array((2, 2), "int64") % n)].inc(d.floats((k,)))
    return [w.sum(), v.sum(), v.sum(0), v.sum(1), w.sum((1, 2)), v.sum((0, 2)), w.sum(axis=2, keepdims=True)]


@case
def increments_product(d):
    x = d.table(least_shape(d))
    return [d.gradient(x) @ d.floats((d.values[0].shape[1], d.number(1, 3)))]


@case
def product_increments(d):
    x = d.table(least_shape(d), known=True)
    n = d.values[0].shape[0]
    return [
        d.floats((2, n), known=True) @ d.gradient(x),
        d.floats((2, n + d.number(0, 1)), known=False) @ d.gradient(x),
    ]


def _elements(d, n, m):
    """The gradient of a read of elements of an n x m matrix."""
    x = d.floats((n, m), known=d.pick(True, False))
    k = d.number(0, 3)
    i, j = d.ids(n, d.pick(k, 1)), d.ids(m, k)
    y = d.pick(x[i, j] ** 2, x[i, j[0:1]], x[i[0], j] * 2, x[st.expand_dims(i, 1), j])
    return st.grad(y.sum() + x[i, j].sum(), x)


@case
def elements_product(d):
    m = d.number(1, 3)
    return [_elements(d, d.number(1, 3), m) @ d.floats((m, 2), known=True) for _ in range(3)]


@case
def product_elements(d):
    n = d.number(1, 3)
    return [d.floats((2, n), known=True) @ _elements(d, n, d.number(1, 3)) for _ in range(3)]


# --- set and inc


def _read(d, x, n):
    """A subset of x that is right to convert, or not."""
    kind = d.number(0, 6)
    if kind == 0:
        return x[d.distinct(n)]
    if kind == 1:
        return x[1:]
    if kind == 2:
        return x[d.ids(n, 1)[0]]
    if kind == 3:
        return x[::-2]
    if kind == 4:
        return x[st.arange(x.shape[0])]
    if kind == 5:
        return x[x[:, 0] > 0] if d.values[0].shape[1] else x[1:]
    return x[d.ids(n)]


def _subset(d):
    x = d.table()
    return _read(d, x, d.values[0].shape[0])


def _addend(d, s):
    return d.pick(st.constant(d.pick(*FINITE)).astype(d.dtype()), s * 0.5, st.tanh(s))


@case
def set_to_inc(d):
    s = _subset(d)
    a = _addend(d, s)
    return [
        st.set_subtensor(s, s + a),
        st.set_subtensor(s, a + s),
        st.set_subtensor(s, s - a),
        st.set_subtensor(s, a - s),
    ]


@case
def set_sum_to_inc(d):
    s = _subset(d)
    a, b, c = (_addend(d, s) for _ in range(3))
    return [st.set_subtensor(s, s + a + b), st.set_subtensor(s, a - (b - s)), st.set_subtensor(s, -a + s - b + c),
            st.set_subtensor(s, s + a + s), st.set_subtensor(s, a - s), st.set_subtensor(s, -(a - s))]  # fmt: skip


@case
def set_cast_sum_to_inc(d):
    s = _subset(d)
    other = "float64" if d.dtype() == "float32" else "float32"
    a = _addend(d, s).astype(other)
    return [st.set_subtensor(s, (s.astype(other) + a).astype(d.dtype())), st.set_subtensor(s, s.astype(other) - a)]


@case
def set_zeros_to_inc(d):
    x = d.table()
    s = _read(d, st.zeros_like(x), d.values[0].shape[0])
    return [st.set_subtensor(s, _addend(d, s) + 1)]


@case
def inc_zeros_to_set(d):
    x = d.table()
    s = _read(d, st.zeros_like(x), d.values[0].shape[0])
    once = st.inc_subtensor(s, _addend(d, s) + 1)
    return [once, once[:, ::-1].inc(1.0), st.grad((x[:, [1, 0]] ** 2).sum(), x)]


@case
def set_back(d):
    s = _subset(d)
    return [st.set_subtensor(s, s)]


@case
def inc_nothing(d):
    s = _subset(d)
    return [
        st.inc_subtensor(s, 0),
        st.inc_subtensor(s, st.zeros_like(s)),
        st.inc_subtensor(s, -0.0),
        st.inc_subtensor(st.exp(d.table())[1:], 0),
    ]


@case
def write_nothing(d):
    x = d.table()
    empty = st.constant(np.zeros((0,), np.int64))
    return [x[:0].set(d.floats((1,))), x[empty].inc(1.0), x[empty, d.ids(d.values[0].shape[1], 1)].set(2.0)]


@case
def set_all(d):
    x = d.table()
    n, m = d.values[0].shape
    return [x[:].set(1.5), x[:, :].set(d.floats(d.pick((m,), (n, m), (1, m)))), x[:].set(st.tanh(x))]


@case
def inc_all(d):
    x = d.table()
    n, m = d.values[0].shape
    return [x[:].inc(1.5), x[...].inc(d.floats(d.pick((m,), (n, m), (1, m))))]


@case
def inc_all_zeros(d):
    x = d.table()
    return [st.zeros_like(x)[:].inc(x), st.zeros_like(x)[:].inc(1.0)]


# --- reads and writes that meet


@case
def read_of_set(d):
    s = _subset(d)
    key = s.params["index"].key(s.inputs[1:])
    return [s.set(_addend(d, s) + 1)[key], s.set(2.0)[key]]


@case
def read_of_inc(d):
    s = _subset(d)
    key = s.params["index"].key(s.inputs[1:])
    return [s.inc(_addend(d, s))[key], s.inc(2.0)[key]]


def _rows_key(d, n):
    """What selects rows among n: ids of any rank, repeated, negative and bad ones among them, a mask, a part."""
    kind = d.number(0, 6)
    if kind == 0:
        return d.ids(n, bad=False).reshape((-1, 1))
    if kind == 1:
        return d.given(np.array(d.number(-n, n - 1)), known=True)
    if kind == 2:
        return d.given(np.array([d.pick(True, False) for _ in range(n)]), known=True)
    return d.ids(n) if kind < 6 else slice(d.number(0, n - 1), d.number(0, n))


def _written_rows(d, kind):
    """Reads of a table (4, 2) that was written to, by rows and by columns; each of its writes may be of any kind."""
    value = d.array((4, 2), d.dtype())
    x = d.pick(st.shared(value, name="table"), d.given(value), st.zeros((4, 2), d.dtype()))
    w = x
    for _ in range(d.number(1, 2)):
        s = w[_rows_key(d, 4)]
        y = d.pick(1.5, s * 2 + d.floats((2,), known=True), d.floats((2,), known=True))
        w = s.set(y) if d.pick(kind == "set", kind == "set", False, True) else s.inc(y)
    i, j = d.ids(4), d.ids(4)
    s = x[i]
    own = (s.set if kind == "set" else s.inc)(d.floats((d.values[-2].size, 2), known=False))
    columns = d.ids(2)
    c = x.T[:, columns] if d.pick(True, False) else x[:, columns]
    c = (c.set if kind == "set" else c.inc)(0.5)
    axis = c.ndim - 1 if c.type.shape[-1] == 2 else 0
    return [
        w[_rows_key(d, 4)],
        w[j, 1],
        w[j, j * 0],
        w[None, d.pick(j, 1, slice(1, 3))],
        own[i],
        own[j],
        own[i.reshape((-1, 1))].sum(),
        st.take(c, d.ids(2), axis),
        own[i].set(own[i] * 2)[j],
    ]


@case
def length_of_broadcast(d):
    n, m = d.number(0, 3), d.number(0, 3)
    x = d.floats((d.pick(1, n), m), known=False)
    y = d.floats((d.pick(n, n, n + 1), d.pick(1, m)), known=False)
    return [
        (x * y).shape[0] + (x * y).shape[1],
        st.zeros_like(st.tanh(x) + y[0]),
        st.grad(st.where(x > y, x, y * 2).sum(), y) if d.finite else (x - y).shape[1],
        (x * y).shape[0] * (x * y).sum(),  # needed anyway
    ]


@case
def length_of_product(d):
    n, k, m = d.number(0, 3), d.number(0, 2), d.number(0, 2)
    a = d.floats((d.pick(1, n), 2, k), known=False)
    b = d.floats((d.pick(n, n + 1), d.pick(k, k, k + 1), m), known=False)
    ab = a @ b
    return [ab.shape[0], st.grad(ab.sum(), [a, b])[d.number(0, 1)], ab.shape[0] * 2 + ab.sum()]


@case
def read_of_increments(d):
    return _written_rows(d, "inc")


@case
def read_of_rows_set(d):
    return _written_rows(d, "set")


@case
def read_beside_write(d):
    x = d.floats((4, 3), known=True)
    ids = st.constant(np.array([d.number(0, 1), d.pick(0, 1, 9)]))
    return [
        x[:2].set(1.0)[2:],
        x[ids].inc(2.0)[3],
        x[ids].set(2.0)[d.number(0, 3)],
        x[:, 0].set(5.0)[:, 1:],
        x[1].inc(1.0)[-1],
    ]


@case
def set_over_write(d):
    s = _subset(d)
    key = s.params["index"].key(s.inputs[1:])
    return [s.set(1.0)[key].set(_addend(d, s)), s.inc(1.0)[key].set(3.0)]


@case
def inc_over_inc(d):
    s = _subset(d)
    key = s.params["index"].key(s.inputs[1:])
    return [s.inc(1.0)[key].inc(_addend(d, s)), s.inc(_addend(d, s))[key].inc(2.5)]


@case
def inc_over_set(d):
    s = _subset(d)
    key = s.params["index"].key(s.inputs[1:])
    return [s.set(_addend(d, s))[key].inc(1.5), s.set(1.0)[key].inc(_addend(d, s))]


@case
def read_of_read(d):
    shape = d.shape(3, least=1)
    x = d.floats(shape, known=d.pick(True, True, False))

    def part():
        return slice(d.pick(None, 0, 1, -2, 3), d.pick(None, 2, -1, 9), d.pick(None, 2, -1, -2))

    inner = x[part(), part()]
    k = d.pick(0, -1, 1, 7)
    i = d.ids(shape[0])
    a, b = (d.given(np.int64(d.number(-5, 5)), known=True) for _ in range(2))
    return [inner[part(), part(), part()], inner[k], inner[:, np.array([0, k])], x[i][:, part()], x[i][..., 0],
            x[:, i][part()], x[a:b][i], x[a:][k], x[:b, 1:][i, d.ids(2, 1)], x[:, a:, b:][i, :, k],
            x[:, :, 0][i], x[i, :, i][:, part()]]  # fmt: skip


@case
def inc_of_increments(d):
    x = d.floats(d.shape(2, least=1), known=d.pick(True, False))
    n = d.values[0].shape[0]

    def bound():
        known = d.pick(None, 0, 1, -2, 3, 9)
        return d.given(np.int64(known or 0), known=True) if d.pick(True, False) else known

    part = x[bound() : bound()]
    i, j = d.ids(n), d.ids(n)
    rows = x[i][:, bound() : bound()]
    w = st.zeros_like(part)[j].inc(1.5)[d.pick(0, 1, -1)].inc(2.0)
    return [
        part.inc(w),
        part[0:2].inc(st.zeros_like(part[0:2])[j].inc(1.5)),
        st.zeros_like(x)[1:].inc(st.zeros_like(x[1:])[j].inc(x[:1])),
        x[i].inc(st.zeros_like(x[i])[:, 1:].inc(0.5)),
        rows.inc(st.zeros_like(rows)[..., 0].inc(0.5)),
        x[::-1].inc(st.zeros_like(x)[j].inc(1.0)),
    ]


@case
def write_back(d):
    x = d.floats(d.shape(2, least=1), known=d.pick(True, False))
    n, m = d.values[0].shape

    def bound():
        known = d.pick(None, 0, 1, -2, 3, 9)
        return d.given(np.int64(known or 0), known=True) if d.pick(True, False) else known

    part, rows, columns = x[bound() : bound()], x[d.distinct(n)], x[:, d.distinct(m)]
    i, j = d.ids(n), d.ids(n)
    return [
        st.set_subtensor(part, part[j].inc(d.pick(1.5, x[:1]))),
        st.set_subtensor(part, part[j].inc(1.5)[i].set(2.0)[d.pick(0, -1)].inc(0.5)),
        st.set_subtensor(part, part[1:].inc(1.0)[:, 0].set(3.0)),
        st.set_subtensor(rows, rows[:, 1:].inc(0.5)),
        st.set_subtensor(columns, columns[i].set(7.0)),
        st.set_subtensor(x[0], x[0][d.ids(m)].inc(1.0)),
        st.set_subtensor(x[i], x[i][:, :1].inc(0.5)),
    ]


@case
def range_is_slice(d):
    x = d.table()
    r = st.arange(d.number(0, 2), d.number(0, 5), d.number(1, 2))
    c = st.constant(np.arange(d.number(0, 2), 4, d.pick(1, 2))[:: d.pick(1, -1)])
    by, start = d.pick(1, 2, -1), d.pick(0, 1, 3, -1)
    p = st.arange(d.number(0, 3)) * by + start
    return [x[r], x[c], x[st.arange(x.shape[0])], x[:, r], x[r].inc(1.0), x[c].set(2.0), x[r, d.ids(3, 1)],
            x[p], x[p].set(1.5), x[:, p], x[p.astype("int8")]]  # fmt: skip


@case
def read_across_write(d):
    n = d.number(1, 4)
    x = d.floats((n, 2), known=d.pick(True, True, True, False))
    high = d.pick(n - 1, n - 1, n)
    i = [d.number(-n, high) for _ in range(d.number(1, 4))]
    j = [d.number(-n, high) for _ in range(d.number(1, 4))]
    y = d.floats(d.pick((), (len(i), 2), (1, 2), (len(i), 1), (2,)), known=d.pick(True, True, False))
    z = d.floats(d.pick((2, len(i)), (len(i),)), known=True)
    part = slice(d.number(0, 2), d.number(1, 4), d.pick(1, 2))
    t = x.T[:, i].set(z)
    one = y[:1] if y.ndim else y
    return [x[i].set(y)[part], x[i].set(y)[j], x[i].inc(y)[part], x[i].inc(y)[j], x[part].set(one)[j],
            t[:, part], t[:, j], t[j[:1]], x[i].set(y)[[j]], x[i].set(y)[j[0]], x[i].set(y)[part, 0]]  # fmt: skip


@case
def ranges_to_diagonal(d):
    x, n = d.table(), d.given(np.asarray(d.number(-1, 3)), known=True)
    cube = d.floats(d.shape(3))
    a, b = st.arange(n), st.constant(np.arange(d.number(0, 2), 4, d.pick(1, 2)))
    by, start = d.pick(1, 2, -1), d.pick(0, 1, 5, -1)
    return [
        x[a, a],
        x[a, start + a],
        x[st.arange(x.shape[0]), st.arange(x.shape[0])],
        x[by * a, a * 2 + 1],
        x[b, b],
        x[b - d.pick(0, 4), b],
        x[st.arange(start, start + n, d.pick(1, 2)), a],
        x[a.astype("int8"), a.astype("int8")],
        x[a, d.ids(2, 1)],
        cube[a, a],
        cube[:, a, a + 1],
        cube[a, :, a],
        cube[a, 1:, a],
        cube[a, a, a],
        st.diagonal(x, d.number(-2, 2)),
        st.diagonal(cube, d.number(-2, 2), 2, 0),
    ]


@case
def read_elementwise(d):
    x = d.table()
    n, m = d.values[0].shape
    y = d.floats(d.pick((n, m), (m,), (1, m), (n, 1)))
    i = d.ids(n)
    one = d.floats((1, m), known=True)
    return [
        (x * 2 + y)[i],
        st.tanh(x)[1:],
        (st.exp(x) * x)[i, d.ids(m, 1)],
        (one + one)[i],
        (-one)[:0],
        x.astype("float32")[0],
    ]


@case
def read_broadcast(d):
    x = d.floats((1, d.number(0, 3)), known=True)
    wide = st.broadcast_to(x, (3, d.values[0].shape[1]))
    i = d.ids(3)
    y = d.table()
    n, m = d.values[-1].shape
    more = st.broadcast_to(y, (2, y.shape[0], y.shape[1]))
    stretched = st.broadcast_to(y, (d.given(np.asarray(d.pick(n, 3))), m))
    return [wide[1:], wide[i], wide[[0, 2]], wide[:, 1:], wide[st.arange(2)], st.full((4, 2), 1.5)[d.pick(0, 3, 4)],
            more[:, d.ids(n)], more[:, :, d.ids(m)], more[d.ids(2)], stretched[i], stretched[:, d.ids(m)]]  # fmt: skip


@case
def read_transposed(d):
    x = d.floats(d.shape(3, least=1))
    n, m, k = d.values[0].shape
    t = x.transpose((2, 0, 1))
    return [t[d.ids(k)], t[:, d.ids(n), 1:], t[d.ids(k, 2), :, d.ids(m, 2)], x.T[0], t[d.ids(k, 2), d.ids(n, 2)]]


@case
def read_product(d):
    a, b = d.floats((d.number(1, 4), 2), pool=FINITE), d.floats((d.number(2, 2), 3), pool=FINITE)
    n = d.values[0].shape[0]
    return [(a @ b)[d.ids(n)], (a @ b)[1:], (a @ b)[:, d.ids(3)], (a @ b)[d.ids(n, 1)[0], 1:], (a @ b)[0, 1]]


@case
def read_pairs_of_product(d):
    n, m = d.number(1, 4), d.number(1, 3)
    a, b = d.floats((n, 2), pool=FINITE, known=True), d.floats((2, m), pool=FINITE, known=d.pick(True, True, False))
    count = d.number(0, 3)
    i, j = (d.ids(k, count, known=d.pick(True, True, False)) for k in (n, m))
    c = d.floats((d.pick(1, 2), n, 2), pool=FINITE, known=d.pick(True, True, False))
    e = d.floats((2, 2, m), pool=FINITE, known=True)
    return [(a @ b)[i, j], (a @ b)[i[:1], j], (a @ b)[st.expand_dims(i, 1), j], (b.T @ a.T)[j, i],
            (a @ e)[:, i, j], (c @ e)[:, i, j], (c @ b)[:, i, j], st.diagonal(c @ e, 0, 1, 2),
            (c @ e)[d.ids(2, 1), i[:1], j[:1]]]  # fmt: skip


@case
def read_reduced(d):
    x = d.floats(d.shape(3, least=1), pool=FINITE)
    n, m, k = d.values[0].shape
    z = d.floats((n, 0, k), known=False)
    return [x.sum(1)[d.ids(n)], x.max(2)[:, d.ids(m)], x.sum(0)[d.ids(m, 2), d.ids(k, 2)], st.softmax(x, 1)[d.ids(n)],
            st.log_softmax(x)[:, 0], x.min(0)[d.ids(m, 1)[0]], st.softmax(x, 0)[d.ids(n)], z.max(1)[d.ids(n)],
            st.softmax(z, 1)[d.ids(n)], z.max((1, 2))[:0]]  # fmt: skip


@case
def read_expanded(d):
    x = d.table()
    n = d.values[0].shape[0]
    at = st.constant(d.pick(0, -1, 1))[None][0]
    return [st.expand_dims(x, 1)[d.ids(n)], st.expand_dims(x, (0, 2))[:, d.ids(n), :, 1:], st.expand_dims(x, 0)[0],
            st.expand_dims(x, (0, 2))[d.pick(0, -1), d.ids(n), :, 1:], st.expand_dims(x, 1)[:, at],
            st.expand_dims(x, 1)[d.ids(n, 2), d.pick(0, -1)], st.expand_dims(x.sum(), (0, 1))[0, -1],
            st.expand_dims(x, (0, 2))[0, :, d.pick([0], [0, 0])]]  # fmt: skip


@case
def read_squeezed(d):
    x = d.floats((d.number(0, 3), 1, d.number(0, 3)), known=True)
    y = d.floats((d.number(0, 3), d.pick(1, 1, 2)), known=False)
    n, _, m = d.values[0].shape
    s = st.squeeze(x, 1)
    return [s[d.ids(n)], s[:, d.ids(m)], s[d.ids(n, 2), d.ids(m, 2)], s[1:, d.ids(m)], s[d.ids(n, 1)[0]],
            st.squeeze(y, 1)[d.ids(d.values[1].shape[0])]]  # fmt: skip


@case
def read_beside_join(d):
    n, other = d.number(0, 3), d.number(0, 3)
    a, b = d.floats((n, 2), known=True), d.floats((n, 3), known=d.pick(True, True, False))
    c = d.floats((d.pick(n, n, other), 1), known=False)
    cube = d.floats((3, 2, n), known=True)
    i = d.ids(n)
    j = st.concatenate([a, b], 1)
    k, l = st.concatenate([cube, cube], 1), st.concatenate([cube, cube], 2)
    return [j[i], j[1:], j[i, 1:], j[i, d.ids(5, 1)], st.concatenate([a, c, a], 1)[:1], k[i, :, i],
            k[d.ids(3, 2), :, d.ids(n, 2)], l[d.ids(3, 1)[0]]]  # fmt: skip


@case
def read_joined(d):
    a, b = d.floats((2, 3), known=True), d.floats((3, 3), known=True)
    j = st.concatenate([a, b])
    return [
        j[:2],
        j[2:],
        j[1:3],
        j[d.pick(0, 3, -1, 5)],
        j[3, d.ids(3, 2)],
        st.concatenate([a, a], 1)[:, 3:],
        j[::-1][:2],
    ]


@case
def sum_of_masked(d):
    x = d.table()
    n, m = d.values[0].shape
    wrong = d.pick(0, 0, 0, 1)  # known while the graph is built, it would be refused there
    mask = d.given(d.array((n + wrong,), "bool"), False if wrong else None)
    y = x * 2
    return [y[mask].sum(), y[mask].sum(0), y[:, d.given(d.array((m,), "bool"))].sum(1), y[mask].sum(1)]


# --- stable forms with conditions


EXPONENTS = [0.25, 1.0, -3.0, 0.5, -40.0, 30.0]
"""As they are in the middle: a quotient of infinities, written out, is NaN."""


@case
def logsumexp_from_log(d):
    x = d.floats(d.shape(), pool=EXPONENTS)
    e = st.exp(x)
    return [
        st.log(e.sum(1)),
        st.log(e.sum(0, keepdims=True)),
        st.log(e.sum()),
        st.log(e.sum(1))[d.ids(d.values[0].shape[0])],
    ]


@case
def softmax_from_exp(d):
    x = d.floats(d.shape(), pool=EXPONENTS)
    e = st.exp(x)
    return [
        e / e.sum(1, keepdims=True),
        e / e.sum(0)[None, :],
        e / e.sum(),
        (e.T / e.sum(1)).T,
        e / e.sum(1).reshape((-1, 1)),
    ]


@case
def log_of_read_softmax(d):
    x = d.floats(d.shape(least=1), pool=FINITE)
    n, m = d.values[0].shape
    p = st.softmax(x)
    return [st.log(p[d.ids(n)]), st.log(p[st.arange(n), d.ids(m, n)])]


@case
def gradient_of_log_softmax(d):
    x = d.floats(d.shape(least=1), pool=FINITE, known=True)
    p = st.softmax(x)
    c = d.floats(d.values[0].shape, known=True)
    over = c / p
    return [p * (over - (over * p).sum(1, keepdims=True)), (over - (p * over).sum(1, keepdims=True)) * p]


@case
def gradient_of_picked_log_softmax(d):
    x = d.floats(d.shape(least=1), pool=FINITE, known=True)
    n, m = d.values[0].shape
    p = st.softmax(x)
    rows, y = st.arange(n), d.ids(m, n)
    read = p[rows, y]
    over = 2.0 / read
    w = st.zeros_like(p)[rows, y].inc(over)
    product = st.zeros_like(p)[rows, y].inc(over * read)
    return [p * (w - product.sum(1, keepdims=True))]


# --- equations make their own cases


def _equation_case(name):
    left, _ = EQUATIONS[name]
    keeps = RULES[name].keeps

    def build(d):
        shape = d.shape(2, least=1)
        dtype = d.pick("int32", "bool") if "invert" in str(left) else d.dtype()
        if dtype == "float64" and keeps == "value":
            dtype = d.pick("float64", "int64")
        pool = [0.25, 1.0, 3.0, 0.5] if keeps == "stabilize" else None
        leaves = {}

        def make(pattern):
            if pattern.letter:
                if pattern.letter not in leaves:
                    leaves[pattern.letter] = d.given(
                        d.array(d.pick(shape, (1, shape[1])) if len(leaves) else shape, dtype, pool)
                    )
                return leaves[pattern.letter]
            if pattern.number is not None:
                return st.constant(pattern.number, dtype=dtype)
            return OPS[pattern.op](*map(make, pattern.args), **{k: (1,) for k, _ in pattern.params})

        return [make(left)]

    return build


CASES.update(LOOP_CASES)
for _name in EQUATIONS:
    CASES[_name] = _equation_case(_name)
