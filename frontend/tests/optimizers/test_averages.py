"""Moving averages of parameters: those of the whole table, kept by rows."""

import numpy as np
import pytest
from optimizer_models import BACKENDS, RATE, D, V, batches, table

import subtensor as st

BETA = 0.8


def model(start=None, backend=None, name="adam", whole=False, **options):
    start = table() if start is None else start
    t, b = st.shared(start, name="t", shape=(None, D)), st.shared(np.zeros(D, start.dtype), name="b")
    ids, y = (
        st.lvector("ids"),
        st.tensor("y", dtype=start.dtype if start.dtype != "float16" else "float32", shape=(None, D)),
    )
    cost = ((t[ids].astype(y.dtype) + b - y) ** 2).sum()
    if whole:
        cost = cost + (t**2).sum()
    updates = getattr(st.optimizers, name)(cost, [t, b], RATE, average=BETA, **options)
    read = updates.averaged([t[ids] + b, t, b])
    step = st.function([ids, y], cost, updates=updates, backend=backend)
    return t, b, updates, step, st.function([ids], read, backend=backend)


def follow(t, b, step, given):
    """The averages of dense loops after each step."""
    a, c = t.get_value().astype(float), b.get_value().astype(float)
    for ids, y in given:
        step(ids, y.astype(t.dtype if t.dtype != "float16" else "float32"))
        a = BETA * a + (1 - BETA) * t.get_value().astype(float)
        c = BETA * c + (1 - BETA) * b.get_value()
    return a, c


@pytest.mark.parametrize("backend", BACKENDS)
def test_it_is_the_average_of_the_whole_table(backend):
    t, b, updates, step, read = model(backend=backend)
    assert {s.name for s in updates.state} >= {"t.adam.average", "t.adam.averaged", "b.adam.average", "adam.steps"}
    for _ in range(2):
        a, c = follow(t, b, step, batches())  # from where the average is: the first time, where the table is
        if _ == 0:
            rows, whole, other = read([3, 0, 3, -1])
            np.testing.assert_allclose(whole, a, rtol=1e-12)
            np.testing.assert_allclose(rows, (a + c)[[3, 0, 3, -1]], rtol=1e-12)
            np.testing.assert_allclose(other, c, rtol=1e-12)
    assert not np.allclose(whole, t.get_value())


@pytest.mark.parametrize("options", [{"untouched": "dense"}, {"padding": True}, {"whole": True}, {"name": "sgd"}])
def test_with_other_options(options):
    options = dict(options)
    t, b, updates, step, read = model(name=options.pop("name", "adam"), **({} if "padding" in options else options))
    if "padding" in options:
        ids, y = st.lvector("ids"), st.matrix("y")
        cost = ((t[ids] + b - y) ** 2).sum()
        updates = st.optimizers.adam(cost, [t, b], RATE, average=BETA, padding={t: 0})
        step, read = st.function([ids, y], cost, updates=updates), st.function([ids], updates.averaged([t[ids], t, b]))
    a, c = follow(t, b, step, batches())
    _, whole, other = read([0])
    np.testing.assert_allclose(whole, a, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(other, c, rtol=1e-11)


def test_rows_cost_rows():
    t, _, updates, step, _ = model()
    ids = st.lvector("ids")
    reads = st.function([ids], updates.averaged(t[ids].sum()))
    explained = {u.variable: u.rows for u in step.explain().updates}
    assert explained["t.adam.average"]
    assert explained["t.adam.averaged"]
    assert all(i.type.shape[:1] != (V,) for i in reads.program.instructions)


def test_new_rows_begin_as_their_average():
    t, b, updates, step, read = model()
    follow(t, b, step, batches())
    new = np.full((2, D), 7.0)
    updates.grow(t, new)
    np.testing.assert_allclose(read([0])[1][-2:], new)


def test_half_tables_have_wide_averages():
    t, b, _, step, read = model(table().astype("float16"))
    a, _ = follow(t, b, step, batches())
    whole = read([0])[1]
    assert whole.dtype == "float16"
    np.testing.assert_allclose(whole, a, rtol=1e-3, atol=1e-3)


def test_words():
    t, ids = st.shared(table(), name="t"), st.lvector("ids")
    cost = (t[ids] ** 2).sum()
    with pytest.raises(st.OptimizerError, match="average is 1; expected a number"):
        st.optimizers.sgd(cost, [t], 0.1, average=1)
    with pytest.raises(st.OptimizerError, match="keep no averages"):
        st.optimizers.sgd(cost, [t], 0.1).averaged(t)
    with pytest.raises(st.OptimizerError, match="of which their averages know nothing"):
        st.optimizers.momentum(cost, [t], 0.1, average=0.9, untouched="catch_up")
