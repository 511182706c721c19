"""What may be a parameter: every index kind that selects rows, several subsets, mixtures; and what may not."""

import numpy as np
import pytest
from optimizer_models import BACKENDS
from optimizer_oracle import frozen

import subtensor as st
from subtensor import optimizers
from subtensor.errors import (
    BoundsError,
    DisconnectedInputError,
    NotASubsetError,
    OptimizerError,
    ShapeError,
    UpdateError,
)

W = np.random.default_rng(0).normal(size=(7, 3))
MASK = np.array([True, False, True, False, False, True, False])
KINDS = {
    "ids": (lambda t, i: t[i], np.array([5, 1, 5, 0])),
    "int32 ids": (lambda t, i: t[st.cast(i, "int32")], np.array([5, 1, 5, 0])),
    "uint8 ids": (lambda t, i: t[st.cast(i, "uint8")], np.array([5, 1, 5, 0])),
    "negative ids": (lambda t, i: t[i], np.array([-1, 6, -7, 0])),
    "a list": (lambda t, i: t[[4, 4, 2]], np.array([4, 4, 2])),
    "constant ids": (lambda t, i: t[np.array([4, -3, 2])], np.array([4, 4, 2])),
    "an integer": (lambda t, i: t[3], np.array([3])),
    "a symbolic integer": (lambda t, i: t[i[0]], np.array([3])),
    "a slice": (lambda t, i: t[1:6:2], np.array([1, 3, 5])),
    "a negative slice": (lambda t, i: t[-2:0:-3], np.array([5, 2])),
    "a symbolic slice": (lambda t, i: t[i[0] : i[1]], np.array([-5, 5])),
    "a symbolic step": (lambda t, i: t[:: i[0]], np.array([-2])),
    "everything": (lambda t, i: t[:], np.arange(7)),
    "a mask": (lambda t, i: t[MASK], np.flatnonzero(MASK)),
    "a symbolic mask": (lambda t, i: t[st.eq(st.arange(7) % 2, i[0])], np.array([1])),
    "all axes spelt": (lambda t, i: t[i, :], np.array([5, 1, 5, 0])),
    "an ellipsis": (lambda t, i: t[i, ...], np.array([5, 1, 5, 0])),
    "a new axis": (lambda t, i: t[i, None], np.array([5, 1, 5, 0])),
    "reshaped": (lambda t, i: t[i].reshape((2, 6)), np.array([5, 1, 5, 0])),
    "transposed": (lambda t, i: t[i].T, np.array([5, 1, 5, 0])),
    "cast": (lambda t, i: t[i].astype("float32"), np.array([5, 1, 5, 0])),
}
ROWS = {
    "a symbolic slice": [2, 3, 4],
    "a symbolic step": [6, 4, 2, 0],
    "a symbolic mask": [1, 3, 5],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["adagrad", "sgd"])
def test_every_kind_of_index_that_selects_rows(kind, name):
    index, ids = KINDS[kind]
    rows = ROWS.get(kind, ids)

    def gradient(w, _):
        total = np.zeros_like(w)
        for r in rows:
            total[r] += 2 * w[r]
        return total

    t, i = st.shared(W, "t"), st.lvector("i")
    subset = index(t, i)
    updates = getattr(optimizers, name)((subset**2).sum(), [subset], 0.1)
    step = st.function([i], [], updates, on_unused_input="ignore")
    for expected in frozen(name, W, gradient, range(3), lambda _: rows, 0.1):
        step(ids)
        tolerance = 1e-5 if kind == "cast" else 1e-12
        np.testing.assert_allclose(t.get_value(), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("untouched", ["freeze", "dense"])
def test_several_subsets_of_one_table_and_the_same_rows_through_two_variables(untouched, backend):
    t, i, j = st.shared(W, "t"), st.lvector("i"), st.lmatrix("j")
    a, b = t[i], t[j]
    cost = (a**2).sum() + (b * 3).sum()
    updates = optimizers.adagrad(cost, [a, b], 0.1, untouched=untouched)
    st.function([i, j], [], updates, backend=backend)([1, 2, 1], [[2, -6], [0, 0]])
    total = np.zeros_like(W)
    for r in (1, 2, 1):
        total[r] += 2 * W[r]
    for r in (2, 1, 0, 0):
        total[r] += 3
    np.testing.assert_allclose(updates.state[0].get_value(), total**2, rtol=1e-12)
    expected = W - 0.1 * total / (np.sqrt(total**2) + 1e-10)
    np.testing.assert_allclose(t.get_value(), expected, rtol=1e-12)


def test_several_subsets_are_caught_up_together():
    costs = {}
    for untouched in ("catch_up", "dense"):
        t, i, j = st.shared(W, "t"), st.lvector("i"), st.lvector("j")
        a, b = t[i], t[j]
        cost = (a**2).sum() + (b.sum(axis=0) ** 3).sum()
        updates = optimizers.adam(cost, [a, b], 0.1, untouched=untouched)
        step = st.function([i, j], updates.read([cost, t[0], t.sum()]), updates)
        costs[untouched] = [step(*ids) for ids in (([1, 2, 1], [2, 5]), ([0], [0, 3]), ([2], [1, 1]), ([6], [4]))]
    for lazy, dense in zip(costs["catch_up"], costs["dense"], strict=True):
        for x, y in zip(lazy, dense, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-12)


def test_rows_along_two_axes():
    w = np.random.default_rng(1).normal(size=(3, 4, 2))
    t, i, j = st.shared(w, "t"), st.lvector("i"), st.lvector("j")
    updates = optimizers.adam((t[i, j] ** 2).sum(), [t[i, j]], 0.1)
    st.function([i, j], [], updates)([2, -1, 0], [1, 1, 3])
    state = {s.name: s.get_value() for s in updates.state}
    assert state["t.adam.count"].tolist() == [[0, 0, 0, 1], [0] * 4, [0, 1, 0, 0]]
    expected = w.copy()
    for r, times in (((2, 1), 2), ((0, 3), 1)):
        g = 2 * times * w[r]
        expected[r] -= 0.1 * g / (abs(g) + 1e-8)
        np.testing.assert_allclose(state["t.adam.m"][r], 0.1 * g)
    np.testing.assert_allclose(t.get_value(), expected, rtol=1e-12)


def test_vectors_and_dense_parameters_mix():
    v, w, b = st.shared(np.arange(4.0), "v"), st.shared(np.ones((2, 3)), "w"), st.shared(1.5, "b")
    i = st.lvector("i")
    cost = (v[i] ** 2).sum() + (w * 2).sum() * b
    updates = optimizers.rowwise_adagrad(cost, [v[i], w, b], 0.1)
    st.function([i], cost, updates)([3, 3])
    assert [s.get_value().shape for s in updates.state] == [(4,), (2,), ()]
    np.testing.assert_allclose(v.get_value(), [0, 1, 2, 2.9])
    np.testing.assert_allclose(w.get_value(), 0.9)
    np.testing.assert_allclose(b.get_value(), 1.4)


def test_updates_are_a_dict_that_can_be_added_to():
    t, n, i = st.shared(W, "t"), st.shared(0, "n"), st.lvector("i")
    updates = optimizers.momentum((t[i] ** 2).sum(), [t[i]], 0.1)
    assert list(updates) == [t, *updates.state]
    assert [s.name for s in updates.state] == ["t.momentum.velocity"]
    updates[n] = n + 1
    st.function([i], [], updates)([1])
    assert n.get_value() == 1


def test_equal_names_give_distinct_state():
    a, b, i = st.shared(W, "t"), st.shared(W, "t"), st.lvector("i")
    updates = optimizers.adagrad((a[i] * b[i]).sum(), [a[i], b[i]])
    assert len({s.name for s in updates.state}) == 2


def test_state_can_be_used_on():
    def step(updates):
        return st.function([i, g], [], updates)

    t, i, g = st.shared(W, "t"), st.lvector("i"), st.matrix("g")
    first = optimizers.adam([g], [t[i]])
    step(first)([1], np.ones((1, 3)))
    second = optimizers.adam([g], [t[i]], learning_rate=1e-4, state=first)
    assert second.state == first.state
    step(second)([1], np.ones((1, 3)))
    assert first.state[-1].get_value()[1] == 2


# --- bad input


def refused(error, *words):
    return pytest.raises(error, match="(?s)" + ".*".join(words))


def test_what_is_no_parameter():
    t, i, k = st.shared(W, "t"), st.lvector("i"), st.shared(np.arange(3), "k")
    for param, words in (
        (i, ["i, which is neither"]),
        (t * 2, ["neither a shared variable nor"]),
        (t[i] * 2, ["neither"]),
        (t.T, ["rearrangement of t"]),
        (t[:, i], ["parts of rows of t", "state is kept by row"]),
        (t[i, 1:], ["parts of rows"]),
        (t[1:][i], ["index the shared variable directly"]),
        (k, ["k, which is int64; only floats"]),
        (st.constant(W), ["neither"]),
        (3.0, ["params holds 3.0"]),
    ):
        with refused(NotASubsetError, *words):
            optimizers.sgd((t[i] ** 2).sum(), [param], 0.1)


def test_one_parameter_twice():
    t, i = st.shared(W, "t"), st.lvector("i")
    cost = (t[i] ** 2).sum()
    with refused(UpdateError, "twice"):
        optimizers.sgd(cost, [t[i], t[i]], 0.1)
    with refused(UpdateError, "as a whole and", "a part of it"):
        optimizers.sgd(cost, [t[i], t], 0.1)
    with refused(UpdateError, "different numbers of axes"):
        optimizers.sgd(cost + t[i, i].sum(), [t[i], t[i, i]], 0.1)


OTHERS = ("Accumulated", "Options", "Updates", "accumulate", "constraints", "schedules")
OPTIMIZERS = [n for n in optimizers.__all__ if n not in OTHERS]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_cost_with_axes_is_no_gradient(name):
    t, i = st.shared(W, "t"), st.lvector("i")
    make = getattr(optimizers, name)
    for params in ([t[i]], [t], [t[i], st.shared(1.0, "b")]):
        with refused(OptimizerError, name, "the cost", "has 2 axes", "expected a scalar", "write .g. if it is"):
            make(t[i] ** 2, params, 0.1)
    for nothing in ((t[i] ** 2).sum(), []):
        with refused(OptimizerError, name, "no parameters", "expected shared variables"):
            make(nothing, [], 0.1)
    assert make([2 * t[i]], [t[i]], 0.1)


def test_gradients_that_do_not_fit():
    t, i = st.shared(W, "t"), st.lvector("i")
    with refused(OptimizerError, "2 gradients for 1 parameters"):
        optimizers.adam([t[i], t[i]], [t[i]])
    with refused(ShapeError, "adam: the gradient", "expected the shape of"):
        optimizers.adam([st.zeros((4, 2))], [t[i]])
    with pytest.raises(DisconnectedInputError):
        optimizers.adam(st.scalar("c"), [t[i]])


def test_options_that_make_no_sense():
    t, i = st.shared(W, "t"), st.lvector("i")
    cost = (t[i] ** 2).sum()
    for name, options, words in (
        ("adam", {"untouched": "ignore"}, ["'freeze', 'catch_up' or 'dense'"]),
        ("adam", {"step_count": "column"}, ["'row' or 'global'"]),
        ("adam", {"beta1": 1.0}, ["adam: beta1 is 1.0", "0, 1"]),
        ("adam", {"epsilon": -1}, ["epsilon is -1"]),
        ("adam", {"learning_rate": -0.1}, ["learning_rate is -0.1"]),
        ("adam", {"learning_rate": st.vector("v")}, ["1 axes; expected a scalar"]),
        ("adam", {"learning_rate": "fast"}, ["'fast'"]),
        ("sgd", {"learning_rate": 0.1, "clip_norm": 1}, ["unknown option 'clip_norm'"]),
        ("sgd", {"learning_rate": 0.1, "clip_value": float("nan")}, ["clip_value is nan"]),
        ("ftrl", {"weight_decay": 0.1}, ["l1 and l2"]),
        ("ftrl", {"learning_rate": st.scalar("r")}, ["must be a number"]),
        ("ftrl", {"beta": 0}, ["more than 0"]),
        ("adam", {"state": {}}, ["expected the updates that an optimizer gave"]),
    ):
        with refused(OptimizerError, *words):
            getattr(optimizers, name)(cost, [t[i]], **options)
    for made, words in (
        (lambda: optimizers.schedules.step(0.1, 0), "every is 0; expected a positive number"),
        (lambda: optimizers.schedules.step(0.1, "a"), "every is 'a'; expected a positive number"),
        (lambda: optimizers.schedules.exponential("a", 2), "rate is 'a'; expected a number"),
        (lambda: optimizers.schedules.cosine(0.1, 2, None), "end is None; expected a number"),
        (lambda: optimizers.schedules.warmup("a", 2), "after is 'a'; expected a number"),
        (lambda: optimizers.sgd(3, [t], 0.1), "sgd: the cost is 3; expected a symbolic scalar"),
        (lambda: optimizers.sgd(None, [t], 0.1), "sgd: the cost is None"),
        (lambda: optimizers.sgd(cost, [t[i]], 0.1).read(3), "read: got 3; expected a symbolic variable"),
    ):
        with refused(OptimizerError, words):
            made()
    for params in (3, None):
        with refused(NotASubsetError, f"params is {params}; expected shared variables and subsets of their rows"):
            optimizers.sgd(cost, params, 0.1)


def test_catching_up_needs_a_closed_form():
    t, i = st.shared(W, "t"), st.lvector("i")
    cost = (t[i] ** 2).sum()
    rate = st.scalar("rate")
    for name, options, words in (
        ("lamb", {}, ["length that the row then has", "'dense' at O\\(table\\)"]),
        ("adam", {"step_count": "row"}, ["counts every step for every row"]),
        ("adam", {"learning_rate": rate}, ["the same in all of them; expected a number"]),
        ("momentum", {"learning_rate": optimizers.schedules.cosine(0.1, 9)}, ["expected a number"]),
        ("sgd", {"learning_rate": rate, "weight_decay": 0.1}, ["closed form for weight decay"]),
        ("sgd", {"learning_rate": 0.5, "weight_decay": 2.0}, ["is 0; expected more than 0"]),
        ("adam", {"beta1": 0.99, "beta2": 0.9}, ["do not shrink"]),
        ("adam", {"epsilon": 0.0}, ["0/0"]),
    ):
        with refused(OptimizerError, *words):
            getattr(optimizers, name)(cost, [t[i]], untouched="catch_up", **options)
    optimizers.rmsprop(cost, [t[i]], rate, untouched="catch_up")
    optimizers.sgd(cost, [t[i]], rate, untouched="catch_up")


def test_state_of_another_shape_or_rule():
    a, b, i = st.shared(W, "t"), st.shared(W[:5], "t"), st.lvector("i")
    first = optimizers.adagrad((a[i] ** 2).sum(), [a[i]])
    with refused(OptimizerError, "t.adagrad.accumulator", "shape \\(7, 3\\); expected", "\\(5, 3\\)"):
        optimizers.adagrad((b[i] ** 2).sum(), [b[i]], state=first)
    with refused(OptimizerError, "has no 't.adam.m'"):
        optimizers.adam((a[i] ** 2).sum(), [a[i]], state=first)


@pytest.mark.parametrize("backend", BACKENDS)
def test_bad_ids_are_named_and_change_nothing(backend):
    t, i, g = st.shared(W, "t"), st.lvector("i"), st.matrix("g")
    for gradients in ([g], (t[i] * g).sum()):
        updates = optimizers.adam(gradients, [t[i]])
        step = st.function([i, g], [], updates, backend=backend)
        for bad in (7, -8, 2**40):
            with refused(BoundsError, f"index {bad} at position \\(1,\\)", "size 7"):
                step([0, bad], np.ones((2, 3)))
        np.testing.assert_array_equal(t.get_value(), W)
        assert not any(s.get_value().any() for s in updates.state)


NAMED = {
    "given gradients": ("ids", {}),
    "a matrix of ids": ("matrix", {}),
    "rows that wait": ("ids", {"untouched": "catch_up"}),
    "a norm of all": ("ids", {"clip_global_norm": 1.0}),
    "pairs of ids": ("pairs", {}),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", NAMED)
def test_the_error_of_a_bad_id_is_that_of_the_subset_itself(kind, backend):
    which, options = NAMED[kind]
    t, cube = st.shared(W, "table"), st.shared(np.ones((3, 4, 2)), "cube")
    i, j, m = st.lvector("i"), st.lvector("j"), st.lmatrix("m")
    subset, given, bad = {
        "ids": (t[i], [i], [[1, 2, -9]]),
        "matrix": (t[m], [m], [[[1, 2], [7, 0]]]),
        "pairs": (cube[i, j], [i, j], [[0, 1], [3, 4]]),
    }[which]
    updates = optimizers.momentum([st.zeros_like(subset)], [subset], 0.1, **options)
    texts = []
    for built in (st.function(given, subset, backend=backend), st.function(given, [], updates, backend=backend)):
        with pytest.raises(BoundsError) as raised:
            built(*bad)
        texts.append(str(raised.value))
    assert texts[0] == texts[1]
    assert texts[0].startswith(f"{'cube[i, j]' if which == 'pairs' else 'table[' + given[0].name + ']'}: index ")


def test_tables_with_the_same_ids_share_the_work_on_them():
    i = st.lvector("i")
    rows = [st.shared(np.ones((50, 2)), "a")[i], st.shared(np.ones(50), "b")[i], st.shared(np.ones((40, 2)), "c")[i]]
    step = st.function([i], [], optimizers.adagrad(sum((r**2).sum() for r in rows), rows))
    assert [instruction.op.name for instruction in step.program.instructions].count("argsort") == 2  # 50 rows, 40 rows


GUARDED = ["adam", "adamw", "nadam", "adamax", "adagrad", "rmsprop", "rowwise_adagrad", "lamb", "adadelta"]


@pytest.mark.parametrize("name", GUARDED)
def test_an_epsilon_that_the_dtype_cannot_hold(name):
    optimizer, ids = getattr(optimizers, name), st.lvector("ids")
    t, wide = st.shared(np.ones((3, 2), "float16"), "t"), st.shared(np.ones((3, 2), "float32"), "wide")
    cost = (t[ids] * np.array([1, 0], "float16")).sum()
    for param in (t, t[ids]):  # which are trained in float32
        with refused(OptimizerError, "epsilon is 1e\\+40, which is infinite in float32"):
            optimizer(cost if param is not t else t.sum(), [param], 0.01, epsilon=1e40)
    with refused(OptimizerError, "epsilon is 1e-50", "in float32, in which wide is trained"):
        optimizer(wide.sum(), [wide], 0.01, epsilon=1e-50)
    updates = optimizer(cost, [t[ids]], 10.0 if name == "adadelta" else 0.01)
    step = st.function([ids], [], updates=updates)
    for batch in ([0, 1], [1], [1, 1]):
        step(batch)
    assert np.isfinite(t.get_value()).all()
    assert (t.get_value()[:2, 0] < 1).all()
    assert (t.get_value()[:, 1] == 1).all()
    optimizer(cost, [t[ids]], 0.01, epsilon=0)  # asked for


def test_an_epsilon_that_the_correction_of_adam_would_lose():
    t = st.shared(np.ones((3, 2), "float32"), "t")
    with refused(OptimizerError, "epsilon is 1e-44, which times 0.032, as the first step takes it, is 0 in float32"):
        optimizers.adam(t.sum(), [t], epsilon=1e-44)
    optimizers.adam(t.sum(), [t], epsilon=1e-44, beta2=0.0)
