"""Rows that wait for idle steps: what reads them sees them as they would be now, in ids that depend on them too."""

import numpy as np
import pytest
from optimizer_models import BACKENDS

import subtensor as st
from subtensor import optimizers
from subtensor.errors import BoundsError
from subtensor.graph.nodes import toposort

pytestmark = pytest.mark.once

RULES = {"momentum": 0.1, "adam": 0.4, "nesterov": 0.1}


def both(train, steps=7):
    """What `train(untouched)`, a function of a step's number, gives with "catch_up" and with "dense", step by step."""
    lazy, dense = train("catch_up"), train("dense")
    for step in range(steps):
        for x, y in zip(lazy(step), dense(step), strict=True):
            assert x.shape == y.shape
            assert x.dtype == y.dtype
            np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-12)


def drawn(step, *shape):
    return np.random.default_rng(step + 1).normal(size=shape)


def start(*shape, name="t"):
    return st.shared(np.random.default_rng(0).normal(size=shape), name=name)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", RULES)
def test_ids_may_depend_on_the_table_itself(name, backend):
    def train(untouched):
        t, q = start(5, 2), st.matrix("q")
        nearest = st.argmin(((q[:, None] - t[None]) ** 2).sum(2), axis=1)
        cost = ((t[nearest] - q) ** 2).sum()
        updates = getattr(optimizers, name)(cost, [t[nearest]], RULES[name], untouched=untouched, weight_decay=0.01)
        shown = updates.read([cost, nearest, t[nearest], t])
        step = st.function([q], shown, updates=updates, backend=backend)
        return lambda i: step(drawn(i, 3, 2))

    both(train, 12)


def test_the_number_of_rows_may_depend_on_the_table_itself():
    def train(untouched):
        t, q = start(6, 2), st.vector("q")
        rows = t[t[:, 0] > q[0] / 3].reshape((-1, 1, 2))
        cost = ((rows[:, 0] - q) ** 2).sum()
        updates = optimizers.momentum(cost, [rows], 0.3, untouched=untouched, clip_global_norm=4.0)
        step = st.function([q], updates.read([cost, rows]), updates=updates)
        return lambda i: step(3 * drawn(i, 2))

    both(train, 12)


def test_ids_may_depend_on_other_rows_and_on_other_tables_that_wait():
    def train(untouched):
        t, u, i = start(5, 2), start(4, 3, name="u"), st.lvector("i")
        w = st.shared(np.ones(2), "w")
        first = t[i]
        second = t[(st.abs(first[:, 0] * 10)).astype("int64") % 5]
        third = u[[st.argmax(t[:, 0]), st.argmin(first[:, 1])]]
        cost = (first * second * w).sum() + (third**2).sum() + (u.sum() * w).sum()
        updates = optimizers.adam(cost, [first, second, third, w], 0.05, untouched=untouched)
        step = st.function([i], updates.read([cost, first, second, third, w, t, u]), updates=updates)
        return lambda n: step([n % 5, (n * n) % 5])

    both(train, 9)


def test_other_parameters_may_read_a_table_that_waits():
    def train(untouched):
        t, w, b, i = start(5, 2), st.shared(np.ones((2, 2)), "w"), st.shared(0.5, "b"), st.lvector("i")
        cost = ((t[i] @ w) ** 2).sum() + b * t.sum() + (b * t[1:3, 0]).sum() + w[st.argmax(t, axis=1) % 2].sum()
        updates = optimizers.momentum(cost, [t[i], w, b], 0.02, untouched=untouched)
        step = st.function([i], updates.read([cost, w, b]), updates=updates)
        return lambda n: step([n % 4])

    both(train)


def test_gradients_given_by_the_user_are_brought_up_to_date_too():
    def train(untouched):
        t, q = start(4, 2), st.vector("q")
        best = st.argmax((t * q).sum(1))
        updates = optimizers.momentum([t[best] - q], [t[best]], 0.3, untouched=untouched)
        step = st.function([q], updates.read([t[best], best, t]), updates=updates)
        return lambda i: step(drawn(i, 2))

    both(train)


READS = {
    "an element": lambda t: t[0, 1],
    "elements": lambda t: t[[2, 0, 2], 0],
    "from the end": lambda t: t[-1, [-1, 0]],
    "a mask of elements": lambda t: t[np.array([[True, False], [False, True], [True, True]])],
    "a mask that depends on the table": lambda t: t[t > 2],
    "along an axis": lambda t: st.take_along_axis(t, st.argsort(-t, axis=1), 1),
    "a table of elements": lambda t: t[[[0], [1]], [0, 1]],
    "nothing": lambda t: t[np.zeros(0, int), 0],
    "a column": lambda t: t[:, 1],
    "a part of rows": lambda t: t[1:, 0],
    "the greatest row": lambda t: t[st.argmax(t[:, 0])],
    "rows by a mask": lambda t: t[t[:, 0] > 0.5],
    "a slice to a row": lambda t: t[: st.argmax(t[:, 1])],
    "a length": lambda t: t.shape[0] + t[t[:, 0] > 0.5].shape[0],
    "a write": lambda t: st.inc_subtensor(t[0, 1], 1.0),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", READS)
def test_what_can_be_read(kind, backend):
    def train(untouched):
        t, i = st.shared(np.arange(6.0).reshape(3, 2), "t"), st.lvector("i")
        updates = optimizers.momentum((t[i] ** 2).sum(), [t[i]], 0.4, untouched=untouched)
        step = st.function([i], [updates.read(READS[kind](t))], updates=updates, backend=backend)
        return lambda n: step([[0, 1, 0], [2], [1]][n % 3])

    both(train, 6)


@pytest.mark.parametrize(
    "read", [lambda c: c[0], lambda c: c[[1, 0], 1], lambda c: c[1, 0, [1, 0]], lambda c: c[:1], lambda c: c[1, 1, 1]]
)
def test_what_can_be_read_where_rows_have_two_numbers(read):
    def train(untouched):
        c, i, j = start(2, 3, 2), st.lvector("i"), st.lvector("j")
        updates = optimizers.adam((c[i, j] ** 2).sum(), [c[i, j]], 0.1, untouched=untouched)
        step = st.function([i, j], [updates.read(read(c))], updates=updates)
        return lambda n: step([n % 2, 0], [n % 3, 1])

    both(train)


def test_a_bad_id_of_an_element_is_reported_in_the_users_words():
    t, i, k = st.shared(np.zeros((3, 2)), "t"), st.lvector("i"), st.lscalar("k")
    updates = optimizers.momentum((t[i] ** 2).sum(), [t[i]], 0.1, untouched="catch_up")
    read = st.function([k], updates.read(t[k, k]))
    for bad, axis in ((2, 1), (5, 0)):
        with pytest.raises(BoundsError, match=rf"^t\[k, k\]: index {bad} .*axis {axis} of t"):
            read(bad)


def test_elements_do_not_read_the_whole_table():
    t, i, k = st.shared(np.zeros((300, 2)), "t"), st.lvector("i"), st.lscalar("k")
    updates = optimizers.momentum((t[i] ** 2).sum(), [t[i]], 0.1, untouched="catch_up")
    wide = [v for v in toposort([updates.read(t[k, 0])]) if v.op is not None and v.type.shape[:1] == (300,)]
    assert not wide
