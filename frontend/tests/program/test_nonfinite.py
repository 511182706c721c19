"""``on_nonfinite``: a step that is not finite changes no bit, and says where that arose."""

import numpy as np
import pytest

import subtensor as st


def state(function):
    return {v.name: v.get_value().tobytes() for v in function.get_shared()}


class Model:
    """Updates of every kind: increments, sets, both, a whole value, whole numbers, and a log whose length changes."""

    def __init__(self, **options):
        rows = np.array([[-0.0, 1.0], [2.0, -0.0], [3.0, 4.0], [-0.0, 0.0]], "float32")
        self.table = st.shared(rows, name="table")
        self.both = st.shared(rows, name="both")
        self.whole = st.shared(rows, name="whole")
        self.n = st.shared(0, name="n")
        self.seen = st.shared(np.zeros(4, "int64"), name="seen")
        self.log = st.shared(np.zeros(0, "float32"), name="log", shape=(None,))
        ids, x = st.lvector("ids"), st.fvector("x")
        value = st.log(x)
        self.updates = [
            (self.table, self.table[ids].inc(value[:, None])),
            (self.both, self.both[ids].inc(1.0)[ids[:1]].set(value[0])),
            (self.whole, self.whole * value.sum()),
            (self.n, self.n + 1),
            (self.seen, self.seen[ids].inc(1)),
            (self.log, st.concatenate([self.log, value])),
        ]
        self.step = st.function([ids, x], value, updates=self.updates, name="step", **options)


GOOD, BAD = ([1, 1, 3], [1.0, 2.0, 3.0]), ([1, 3, 0], [1.0, -2.0, 3.0])


def test_raise_changes_nothing_and_says_where():
    model = Model(on_nonfinite="raise")
    before = state(model.step)
    with pytest.raises(
        st.NonFiniteError, match=r"step: output 0 is not finite: nan at \[1\]; it arose in log\(x\)"
    ) as e:
        model.step(*BAD)
    assert "where at [1] x is -2.0" in str(e.value)
    assert "test_nonfinite.py" in str(e.value)
    assert isinstance(e.value, FloatingPointError)
    assert state(model.step) == before


def test_skip_changes_nothing_and_counts():
    model, free = Model(on_nonfinite="skip"), Model()
    before = state(model.step)
    assert np.isnan(model.step(*BAD)[1])
    assert (model.step.skipped, state(model.step)) == (1, before)
    model.step(*GOOD)
    free.step(*GOOD)
    assert model.step.skipped == 1
    assert state(model.step) == state(free.step) != before


@pytest.mark.parametrize("choice", ["raise", "skip"])
def test_good_steps_are_those_of_a_function_without(choice):
    model, free = Model(on_nonfinite=choice), Model()
    for _ in range(2):
        np.testing.assert_array_equal(model.step(*GOOD), free.step(*GOOD))
    assert state(model.step) == state(free.step)


def test_many_steps():
    ids, x = np.array([GOOD[0], BAD[0], GOOD[0]]), np.array([GOOD[1], BAD[1], GOOD[1]], "float32")
    skipping, free = Model(on_nonfinite="skip"), Model()
    assert skipping.step.steps(ids, x).shape == (3, 3)
    free.step.steps(ids[[0, 2]], x[[0, 2]])
    assert skipping.step.skipped == 1
    assert state(skipping.step) == state(free.step)
    raising, free = Model(on_nonfinite="raise"), Model()
    with pytest.raises(st.NonFiniteError, match=r"^step 1: step: output 0") as e:
        raising.step.steps(ids, x)
    free.step(ids[0], x[0])
    assert e.value.step == 1
    assert state(raising.step) == state(free.step)


def test_outputs_alone():
    x = st.vector("x")
    f = st.function([x], [x.sum(), x > 0, 1 / x], on_nonfinite="raise")
    assert f([1.0, 2.0])[0] == 3
    with pytest.raises(st.NonFiniteError, match=r"output 2 is not finite: inf at \[1\]; it arose in \(1.* / x\)"):
        f([1.0, 0.0])
    with pytest.raises(st.NonFiniteError, match=r"output 0 is not finite: nan; x came in with it"):
        f([1.0, np.nan])
    assert np.isinf(st.function([x], 1 / x, on_nonfinite="skip")([0.0]))


def test_what_is_written_is_looked_at_where_outputs_are_finite():
    table, ids, x = st.shared(np.ones((5, 2)), name="table"), st.lvector("ids"), st.vector("x")
    cost = st.sqrt((table[ids] * x).sum())  # its gradient is infinite at 0
    updates = st.optimizers.sgd(cost, [table[ids]], 0.1)
    f = st.function([ids, x], cost, updates=updates, on_nonfinite="raise", name="train")
    before = state(f)
    with pytest.raises(st.NonFiniteError, match=r"train: what is added to table\[ids\] is not finite: .* it arose in"):
        f([1, 1], [0.0, 0.0])
    assert state(f) == before
    f([1, 2], [1.0, 1.0])
    assert state(f) != before


def test_nan_elsewhere_in_a_table_is_nobody_s_business():
    values = np.ones((5, 2))
    values[4] = np.nan
    table, ids = st.shared(values, name="table"), st.lvector("ids")
    cost = (table[ids] ** 2).sum()
    spelled_whole = {table: table - 0.1 * st.grad(cost, table)}
    f = st.function([ids], cost, updates=spelled_whole, on_nonfinite="raise")
    assert f([0, 1, 1]) == 6
    assert f.explain().updates[0].rows
    with pytest.raises(st.NonFiniteError, match="table came in with it"):
        f([0, 4])


def test_other_errors_stay_what_they_are():
    model = Model(on_nonfinite="raise")
    with pytest.raises(st.BoundsError):
        model.step([1, 9, 0], GOOD[1])
    skipping = Model(on_nonfinite="skip")
    before = state(skipping.step)
    with pytest.raises(st.BoundsError):
        skipping.step([1, 9, 0], BAD[1])
    assert (skipping.step.skipped, state(skipping.step)) == (0, before)


def test_a_copy_counts_for_itself():
    model = Model(on_nonfinite="skip")
    model.step(*BAD)
    other = model.step.copy()
    other(*BAD)
    assert (model.step.skipped, other.skipped) == (1, 1)


def test_words_that_are_no_choice():
    with pytest.raises(st.FunctionError, match="on_nonfinite='ignore'; expected 'raise', 'skip' or None"):
        st.function([], st.constant(1.0), on_nonfinite="ignore")


def test_in_a_loop():
    x = st.vector("x")
    powers, _ = st.scan(lambda v, a: a * v * v, sequences=[x], outputs_info=[st.constant(1e200)])
    f = st.function([x], powers, on_nonfinite="raise")
    assert f([1e-200, 1e-200]).shape == (2,)
    with pytest.raises(st.NonFiniteError, match=r"output 0 is not finite: inf at \[0\]"):
        f([1e200])
