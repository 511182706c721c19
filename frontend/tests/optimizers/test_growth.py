"""Tables that grow while they are trained: as if they had had the rows from the start, and no step had used them."""

import numpy as np
import pytest
from optimizer_models import BACKENDS

import subtensor as st
from subtensor import optimizers
from subtensor.errors import DTypeError, OptimizerError, ShapeError

pytestmark = pytest.mark.once

W = np.random.default_rng(0).normal(size=(6, 2))
RULES = [
    ("momentum", {}), ("adagrad", {"initial_accumulator": 0.5}), ("rowwise_adagrad", {}), ("adam", {}), ("lamb", {}),
    ("ftrl", {"l1": 0.01}), ("adam", {"untouched": "dense"}), ("adam", {"step_count": "global"}),
    ("momentum", {"untouched": "catch_up"}), ("adam", {"untouched": "catch_up"}),
]  # fmt: skip


def trained(name, options, rows, backend):
    t, i = st.shared(W[:rows], "t", shape=(None, 2)), st.lvector("i")
    updates = getattr(optimizers, name)((t[i] ** 2).sum(), [t[i]], 0.1, **options)
    return t, updates, st.function([i], [], updates, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("name", "options"), RULES)
def test_rows_that_came_later_are_rows_that_no_step_has_used(name, options, backend):
    before, after = ([0, 3, 0], [1, 1, 1], [0, 0, 0]), ([5, 0, 5], [1, 4, 1], [5, 5, 5])
    t, updates, step = trained(name, options, 4, backend)
    u, from_the_start, whole = trained(name, options, 6, backend)
    for ids in before:
        step(ids)
        whole(ids)
    updates.grow(t, W[4:])
    for ids in after:
        step(ids)
        whole(ids)
    updates.flush(backend)
    from_the_start.flush(backend)
    np.testing.assert_allclose(t.get_value(), u.get_value(), rtol=1e-12)
    for s, like in zip(updates.state, from_the_start.state, strict=True):
        np.testing.assert_allclose(s.get_value(), like.get_value(), rtol=1e-12, err_msg=s.name)


@pytest.mark.parametrize("backend", BACKENDS)
def test_stale_state_is_named_and_can_be_brought_up_to_its_table(backend):
    t, updates, step = trained("adam", {}, 4, backend)
    step([1])
    t.set_value(W)
    with pytest.raises(ShapeError, match=r"t\.adam\.(m|v|count) has 4 rows, t has 6: grow them together"):
        step([5])
    np.testing.assert_array_equal(t.get_value(), W)
    updates.grow(t, [])
    step([5])
    assert updates.state[-1].get_value().tolist() == [0, 1, 0, 0, 0, 1]


def test_two_optimizers_on_one_table():
    t, first, step = trained("adagrad", {}, 4, "numpy")
    i = st.lvector("i")
    second = optimizers.momentum((t[i] ** 2).sum(), [t[i]], 0.1)
    first.grow(t, W[4:])
    second.grow(t, [])
    step([5])
    st.function([i], [], second)([5])
    assert {s.get_value().shape for s in (*first.state, *second.state)} == {(6, 2)}


@pytest.mark.parametrize(
    ("rows", "error", "words"),
    [
        (np.ones((2, 3)), ShapeError, r"grow: t has shape \(\?, 2\), got a value of shape \(2, 3\)"),
        (np.ones(2), ShapeError, r"got a value of shape \(2,\)"),
        (np.ones((2, 2), "complex128"), DTypeError, "complex128"),
        (np.array([["a", "b"]]), DTypeError, "t"),
    ],
)
def test_rows_that_do_not_fit_change_nothing(rows, error, words):
    t, updates, _ = trained("adam", {}, 4, "numpy")
    with pytest.raises(error, match=words):
        updates.grow(t, rows)
    assert [v.get_value().shape for v in (t, *updates.state)] == [(4, 2), (4, 2), (4, 2), (4,)]


def test_what_cannot_grow():
    t, i = st.shared(W, "t"), st.lvector("i")
    updates = optimizers.adam((t[i] ** 2).sum(), [t[i]])
    with pytest.raises(ShapeError, match=r"fixed number of rows; make it with st.shared\(value, shape=\(None, 2\)\)"):
        updates.grow(t, W)
    with pytest.raises(OptimizerError, match="expected one of the tables that the updates train: t"):
        updates.grow(st.shared(W, "u"), W)
    trained_longer, others, _ = trained("adam", {}, 6, "numpy")
    trained_longer.set_value(W[:3])
    with pytest.raises(ShapeError, match=r"t.adam.m has 6 rows, t gets 3"):
        others.grow(trained_longer, [])
