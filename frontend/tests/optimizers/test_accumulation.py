"""Gradients of micro-batches, added up: one step of them is the step of the whole batch."""

import numpy as np
import pytest
from optimizer_models import BACKENDS, D, V, table

import subtensor as st

pytestmark = pytest.mark.once


class Model:
    def __init__(self, dtype="float64", whole=False):
        self.t, self.b = st.shared(table().astype(dtype), name="t"), st.shared(np.zeros(D), name="b")
        self.cube = st.shared(np.ones((3, 2, D)), name="cube")
        self.ids, self.k, self.y = st.lmatrix("ids"), st.lvector("k"), st.matrix("y")
        rows = self.t[self.ids].astype("float64")
        predicted = rows[:, 0] * rows[:, 1] + self.b + self.cube[self.k, self.k % 2]
        self.cost = ((predicted - self.y) ** 2).mean()
        self.params = [self.t, self.b, self.cube[self.k, self.k % 2]]

    def values(self):
        return [v.get_value().astype("float64") for v in (self.t, self.b, self.cube)]

    @property
    def inputs(self):
        return [self.ids, self.k, self.y]


def data(n=12):
    rng = np.random.default_rng(3)
    return rng.integers(-V, V - 2, (n, 2)), rng.integers(0, 3, n), rng.normal(size=(n, D))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_a_step_of_the_mean_of_parts_is_that_of_the_whole(name, backend):
    parts, whole = Model(), Model()
    gradients = st.optimizers.accumulate(parts.cost, parts.params)
    micro = st.function(parts.inputs, parts.cost, updates=gradients, backend=backend)
    updates = gradients.step(getattr(st.optimizers, name), 0.1)
    apply = st.function([], [], updates=updates, backend=backend)
    step = st.function(
        whole.inputs, [], updates=getattr(st.optimizers, name)(whole.cost, whole.params, 0.1), backend=backend
    )
    given = data()
    for _ in range(2):
        before = parts.values()
        for low in range(0, 12, 4):
            micro(*(x[low : low + 4] for x in given))
        for a, b in zip(before, parts.values(), strict=True):
            np.testing.assert_array_equal(a, b)
        assert gradients.batches.get_value() == 3
        apply()
        step(*given)
        for a, b in zip(parts.values(), whole.values(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
        assert not gradients.batches.get_value()
        assert all(not s.get_value().any() for s in gradients.state)


def test_rows_that_no_batch_used_keep_every_bit_and_their_state():
    model = Model()
    gradients = st.optimizers.accumulate(model.cost, model.params, mean=False)
    micro = st.function(model.inputs, [], updates=gradients)
    updates = gradients.step(st.optimizers.adagrad, 0.1)
    apply = st.function([], [], updates=updates)
    before = model.t.get_value()
    micro([[1, 2]], [0], np.ones((1, D)))
    micro([[2, 3]], [0], np.ones((1, D)))
    apply()
    changed = (model.t.get_value() != before).any(1)
    assert np.flatnonzero(changed).tolist() == [1, 2, 3]
    state = next(s for s in updates.state if s.name == "t.adagrad.accumulator").get_value()
    assert np.flatnonzero(state.any(1)).tolist() == [1, 2, 3]
    touched = {u.variable: u.rows for u in apply.explain().updates}
    assert touched["t"]
    assert touched["t.accumulate.sum"]
    assert {u.variable: u.rows for u in micro.explain().updates}["t.accumulate.sum"]
    apply()  # of nothing
    np.testing.assert_array_equal((model.t.get_value() != before).any(1), changed)


def test_half_tables_options_and_a_bad_batch():
    model = Model("float16")
    gradients = st.optimizers.accumulate(model.cost, model.params)
    micro = st.function(model.inputs, [], updates=gradients)
    constraints = st.optimizers.constraints
    updates = gradients.step(
        st.optimizers.adam,
        0.1,
        padding={model.t: 0},
        constraint={model.t: constraints.box(-0.1, 0.1)},
        clip_row_norm=1.0,
    )
    apply = st.function([], [], updates=updates)
    first = model.t.get_value()[0]
    micro([[0, 2]], [0], np.ones((1, D)))
    kept = [s.get_value().tobytes() for s in gradients.state]
    with pytest.raises(st.BoundsError):
        micro([[0, V]], [0], np.ones((1, D)))
    assert [s.get_value().tobytes() for s in gradients.state] == kept
    apply()
    np.testing.assert_array_equal(model.t.get_value()[0], first)
    assert (np.abs(model.t.get_value()[2]) <= np.float16(0.1)).all()
    assert next(s for s in gradients.state if s.name == "t.accumulate.sum").dtype == "float32"


def test_words():
    model = Model()
    gradients = st.optimizers.accumulate(model.cost, model.params)
    with pytest.raises(st.OptimizerError, match="untouched='catch_up' brings rows up to date when a step reads them"):
        gradients.step(st.optimizers.adam, 0.1, untouched="catch_up")
    with pytest.raises(st.NotASubsetError):
        st.optimizers.accumulate(model.cost, [model.ids])
