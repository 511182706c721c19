"""Constraints on the rows that a step writes, and rows that no step moves, against loops over rows in float64."""

import numpy as np
import pytest
from optimizer_models import BACKENDS

import subtensor as st
from subtensor import optimizers
from subtensor.errors import BoundsError, OptimizerError, ShapeError
from subtensor.optimizers import constraints

W = 2 * np.random.default_rng(0).normal(size=(7, 3))
Y = np.random.default_rng(1).normal(size=(4, 3))
BATCHES = ([5, 1, 5, 0], [0, 0, 0, 6], [-1, 2, 2, 5])


def norms(rows):
    return np.sqrt((rows**2).sum(axis=1, keepdims=True))


KINDS = {
    "max_norm": (constraints.max_norm(1.0), lambda r: np.where(norms(r) > 1, r / norms(r), r)),
    "unit_norm": (constraints.unit_norm, lambda r: r / norms(r)),
    "non_negative": (constraints.non_negative, lambda r: np.maximum(r, 0)),
    "box": (constraints.box(-0.5, 0.25), lambda r: np.clip(r, -0.5, 0.25)),
    "a function": (lambda r: r - r.mean(axis=1, keepdims=True), lambda r: r - r.mean(axis=1, keepdims=True)),
}


def by_hand(rule, rows_after=lambda r: r, padding=()):
    """The table after each batch, by sgd or adagrad at the rate .1, row by row."""
    w, n, after = W.copy(), np.zeros_like(W), []
    for ids in BATCHES:
        sums = {}
        for k, row in enumerate(ids):
            sums[row % 7] = sums.get(row % 7, 0) + 2 * w[row] * Y[k] ** 2
        for row, g in sums.items():
            if row in padding:
                continue
            n[row] += g * g
            new = w[row] - 0.1 * (g if rule == "sgd" else g / (np.sqrt(n[row]) + 1e-10))
            w[row] = rows_after(new[None])[0]
        after.append(w.copy())
    return after, n


def model(rule, backend="numpy", dtype="float64", **options):
    t, i = st.shared(W.astype(dtype), "t"), st.lvector("i")
    cost = ((t[i] * Y.astype(dtype)) ** 2).sum()
    options = {k: {t: v} for k, v in options.items()}
    updates = getattr(optimizers, rule)(cost, [t[i]], 0.1, **options)
    return t, updates, st.function([i], [], updates, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rule", ["sgd", "adagrad"])
def test_rows_that_a_step_writes_fulfil_the_constraint_and_no_others(rule, kind, backend):
    constraint, expected = KINDS[kind]
    t, _, step = model(rule, backend, constraint=constraint)
    for ids, after in zip(BATCHES, by_hand(rule, expected)[0], strict=True):
        step(ids)
        np.testing.assert_allclose(t.get_value(), after, rtol=1e-12, atol=1e-14)


HELD = {
    "a number": (5, {5}),
    "from the end": (-1, {6}),
    "several": ([0, -2], {0, 5}),
    "a range": (slice(0, 2), {0, 1}),
    "an open range": (slice(5, None), {5, 6}),
    "a mask": (np.arange(7) % 2 == 0, {0, 2, 4, 6}),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", HELD)
@pytest.mark.parametrize("rule", ["sgd", "adagrad"])
def test_padding_neither_moves_nor_gets_state(rule, kind, backend):
    given, rows = HELD[kind]
    t, updates, step = model(rule, backend, padding=given)
    expected, n = by_hand(rule, padding=rows)
    for ids, after in zip(BATCHES, expected, strict=True):
        step(ids)
        np.testing.assert_allclose(t.get_value(), after, rtol=1e-12, atol=1e-14)
    np.testing.assert_array_equal(t.get_value()[list(rows)], W[list(rows)])
    if rule == "adagrad":
        np.testing.assert_allclose(updates.state[0].get_value(), n, rtol=1e-12)


@pytest.mark.parametrize("rule", ["adam", "momentum", "rowwise_adagrad", "lamb", "ftrl"])
@pytest.mark.parametrize("untouched", ["freeze", "dense"])
def test_padding_gets_no_state_of_any_kind(rule, untouched):
    t, i, g = st.shared(W, "t"), st.lvector("i"), st.matrix("g")
    updates = getattr(optimizers, rule)([g], [t[i]], 0.1, untouched=untouched, padding={t: 5}, clip_global_norm=1e9)
    before = [s.get_value() for s in updates.state]
    gradient = Y.copy()
    gradient[0] = np.nan  # of the row that is padding
    st.function([i, g], [], updates)([5, 1, 0, 2], gradient)
    np.testing.assert_array_equal(t.get_value()[5], W[5])
    assert np.isfinite(t.get_value()).all()
    assert (t.get_value()[[0, 1, 2]] != W[[0, 1, 2]]).any(axis=1).all()
    for s, old in zip(updates.state, before, strict=True):
        if s.beside is t:
            np.testing.assert_array_equal(s.get_value()[5], old[5])


def test_a_mask_may_change_while_it_is_used():
    t, i, frozen = st.shared(W, "t"), st.lvector("i"), st.shared(np.zeros(7, bool), "frozen")
    step = st.function([i], [], optimizers.sgd((t[i] ** 2).sum(), [t[i]], 0.1, padding={t: frozen}))
    frozen.set_value(np.arange(7) == 3)
    step([3, 4])
    assert ((t.get_value() != W).any(axis=1) == (np.arange(7) == 4)).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_rows_that_a_step_writes_can_be_asked_for(backend):
    t, b, i, j = st.shared(W, "t"), st.shared(np.ones(2), "b"), st.lvector("i"), st.lmatrix("j")
    updates = optimizers.adam((t[i] ** 2).sum() + (t[j] ** 2).sum() + b.sum(), [t[i], t[j], b])
    rows, whole = st.function([i, j], [updates.rows(t), updates.rows(b)], updates, backend=backend)([5, -7], [[5, 1]])
    assert sorted(set(rows.tolist())) == [0, 1, 5]
    assert rows.dtype == "int64"
    assert whole.tolist() == [0, 1]
    with pytest.raises(OptimizerError, match=r"rows: got .*expected one of the tables that the updates train: t, b"):
        updates.rows(i)


def test_constraints_of_what_is_trained_as_a_whole():
    v, w = st.shared(np.array([3.0, 4.0]), "v"), st.shared(np.full((2, 2), 3.0), "w")
    unit = constraints.unit_norm
    updates = optimizers.sgd(v.sum() * 0 + w.sum() * 0, [v, w], 0.1, constraint={v: unit, w: unit})
    st.function([], [], updates)()
    np.testing.assert_allclose(v.get_value(), [0.6, 0.8])
    np.testing.assert_allclose(w.get_value(), np.full((2, 2), 0.5**0.5))


def test_norms_in_half_precision_do_not_overflow():
    t, i = st.shared(np.full((3, 4), 300, "float16"), "t"), st.lvector("i")
    c = {t: constraints.max_norm(2)}
    st.function([i], [], optimizers.sgd([t[i] * 0], [t[i]], 1.0, constraint=c))([1])
    np.testing.assert_allclose(t.get_value()[:, 0], [300, 1, 300], rtol=1e-3)
    u = st.shared(np.full((3, 4), 300, "float16"), "u")
    st.function([i], [], optimizers.lamb([u[i]], [u[i]], 0.1, epsilon=1e-4))([1, 1])
    np.testing.assert_allclose(u.get_value()[:, 0], [300, 270, 300], rtol=1e-2)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        (
            lambda t: {"constraint": {t: lambda r: r.sum(axis=1)}},
            ShapeError,
            "constraint of t makes .* expected the same",
        ),
        (lambda t: {"constraint": {t: lambda r: r[:, :2]}}, ShapeError, "constraint of t"),
        (lambda t: {"constraint": {t: 1.0}}, OptimizerError, "expected functions of the new rows"),
        (lambda t: {"constraint": constraints.unit_norm}, OptimizerError, "expected a dict with tables as keys"),
        (lambda t: {"constraint": {st.shared(W, "u"): constraints.unit_norm}}, OptimizerError, "names u, which is not"),
        (lambda t: {"padding": {t: 7}}, BoundsError, "padding of t: row 7 is out of bounds for t, which has 7 rows"),
        (lambda t: {"padding": {t: [1, -8]}}, BoundsError, "row -8"),
        (lambda t: {"padding": {t: np.ones(6, bool)}}, ShapeError, r"a mask of shape \(6,\); expected \(7,\)"),
        (lambda t: {"padding": {t: 0.5}}, OptimizerError, "expected a row number"),
        (lambda t: {"padding": {t: slice(0, 4, 2)}}, OptimizerError, "without a step"),
        (lambda t: {"padding": {t: 0}, "untouched": "catch_up", "weight_decay": 0.1}, OptimizerError, "do not decay"),
        (
            lambda t: {"constraint": {t: constraints.unit_norm}, "untouched": "catch_up"},
            OptimizerError,
            "rows that wait may leave",
        ),
    ],
)
def test_what_is_refused(options, error, words):
    t, i = st.shared(W, "t"), st.lvector("i")
    with pytest.raises(error, match=words):
        optimizers.adam((t[i] ** 2).sum(), [t[i]], **options(t))


def test_bounds_that_make_no_sense():
    with pytest.raises(OptimizerError, match="bound is 0; expected a positive number"):
        constraints.max_norm(0)
    with pytest.raises(OptimizerError, match="the lower one first"):
        constraints.box(1, 0)
