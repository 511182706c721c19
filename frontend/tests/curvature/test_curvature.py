"""Curvature in coordinates of distinct rows, and the drivers that stand on it."""

import numpy as np
import pytest
from optimizer_models import BACKENDS
from scipy.optimize import minimize

import subtensor as st
from subtensor.curvature import GaussNewton, HessianFree, row_space
from subtensor.curvature.conjugate_gradient import conjugate_gradient
from subtensor.curvature.driver import adapted
from subtensor.errors import BoundsError, DomainError, NotASubsetError, OptimizerError, UpdateError

V, D, C = 8, 3, 2
RNG = np.random.default_rng(0)
W, HEAD = RNG.normal(size=(V, D)), RNG.normal(size=(D, C))
IDS = np.array([5, 1, 5, 6, 1, 5])
Y = 0.5 * np.tanh(RNG.normal(size=(len(IDS), C)))


def problem(head=False, backend=None):
    """``cost = mean of (tanh(t[ids] @ head) − y)²`` with its inputs, parameters and outputs."""
    t, h = st.shared(W, "t"), st.shared(HEAD, "head")
    ids, y = st.lvector("ids"), st.matrix("y")
    outputs = st.tanh(t[ids] @ h)
    cost = ((outputs - y) ** 2).mean()
    return (t, h), [ids, y], cost, [t[ids], h] if head else [t[ids]], outputs


def loops(flat, rows, head=None):
    """The same cost as a function of the coordinates."""
    w = W.copy()
    w[rows] = flat[: len(rows) * D].reshape(-1, D)
    h = HEAD if head is None else flat[len(rows) * D :].reshape(D, C)
    return sum(((np.tanh(w[i] @ h) - y) ** 2).sum() for i, y in zip(IDS, Y, strict=True)) / Y.size


def differences(f, x, step=1e-4):
    """The Hessian of f by central differences."""
    n = len(x)
    e = np.eye(n) * step
    return np.array(
        [[(f(x + a + b) - f(x + a - b) - f(x - a + b) + f(x - a - b)) / (4 * step**2) for b in e] for a in e]
    )


ROWS = np.unique(IDS)


@pytest.mark.parametrize("head", [False, True], ids=["rows", "rows and a dense matrix"])
def test_hessian_against_differences(head):
    _, inputs, cost, params, _ = problem(head)
    space = row_space(cost, params)
    rows, hessian, flat = st.function(inputs, [space.rows[0], space.hessian(), space.flat()])(IDS, Y)
    np.testing.assert_array_equal(rows, ROWS)
    start = np.concatenate([W[ROWS].ravel(), *([HEAD.ravel()] if head else [])])
    np.testing.assert_array_equal(flat, start)
    expected = differences(lambda x: loops(x, ROWS, head or None), start)
    np.testing.assert_allclose(hessian, expected, atol=1e-6)
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-13)


def test_rows_are_occurrences_summed_both_ways():
    """H_rows = Pᵀ H_occ P, P the incidence of occurrences on rows."""
    t, ids, y = st.shared(W, "t"), st.lvector("ids"), st.matrix("y")
    subset = t[ids]
    cost = ((st.tanh(subset @ HEAD) - y) ** 2).sum() + (subset.sum(axis=0) ** 4).sum()
    occurrences = st.hessian(cost, subset)
    n = len(IDS)
    by_occurrence, by_row = st.function([ids, y], [occurrences, row_space(cost, subset).hessian()])(IDS, Y)
    incidence = np.kron((IDS[:, None] == ROWS[None]).astype(float), np.eye(D))
    expected = incidence.T @ by_occurrence.reshape(n * D, n * D) @ incidence
    np.testing.assert_allclose(by_row, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("backend", BACKENDS)
def test_products_are_the_matrix_times_a_vector(backend):
    _, inputs, cost, params, outputs = problem(head=True)
    space = row_space(cost, params, outputs)
    p = [st.matrix("p"), st.matrix("q")]
    hv, gv = space.hessian_vector_product(p), space.gauss_newton_vector_product(p)
    run = st.function([*inputs, *p], [space.hessian(), space.gauss_newton(), *hv, *gv], backend=backend)
    u, v = RNG.normal(size=(len(ROWS), D)), RNG.normal(size=(D, C))
    hessian, gauss_newton, *products = run(IDS, Y, u, v)
    flat = np.concatenate([u.ravel(), v.ravel()])
    np.testing.assert_allclose(np.concatenate([x.ravel() for x in products[:2]]), hessian @ flat, atol=1e-12)
    np.testing.assert_allclose(np.concatenate([x.ravel() for x in products[2:]]), gauss_newton @ flat, atol=1e-12)


def test_gauss_newton_is_j_t_h_j():
    _, inputs, cost, params, outputs = problem()
    space = row_space(cost, params, outputs)
    found = st.function(inputs, space.gauss_newton())(IDS, Y)

    def predicted(flat):
        w = W.copy()
        w[ROWS] = flat.reshape(-1, D)
        return np.concatenate([np.tanh(w[i] @ HEAD) for i in IDS])

    x = W[ROWS].ravel()
    jac = np.array([(predicted(x + e) - predicted(x - e)) / 2e-6 for e in np.eye(len(x)) * 1e-6]).T
    np.testing.assert_allclose(found, jac.T @ jac * 2 / Y.size, atol=1e-8)
    assert np.linalg.eigvalsh(found)[0] > -1e-14


def test_several_outputs_and_several_subsets_of_one_table():
    t, i, j = st.shared(W, "t"), st.lvector("i"), st.lvector("j")
    outs = [t[i] ** 2, t[j].sum(axis=1)]
    cost = (outs[0] ** 2).sum() + (outs[1] ** 2).sum()
    space = row_space(cost, [t[i], t[j]], outs)
    rows, matrix = st.function([i, j], [space.rows[0], space.gauss_newton()])([2, 2], [4, 2])
    np.testing.assert_array_equal(rows, [2, 4])
    expected = np.zeros((2, D, 2, D))
    for row, times in ((0, 2),):
        expected[row, range(D), row, range(D)] += times * 8 * W[2] ** 2
    for row in (0, 1):
        expected[row, :, row, :] += 2
    np.testing.assert_allclose(matrix, expected.reshape(2 * D, 2 * D))


def faq():
    """A fixed head over 5 of 50 rows: the subproblem is well posed, the whole table's is not."""
    rng = np.random.default_rng(0)
    used = rng.choice(50, 5, replace=False)
    t, ids, y = st.shared(rng.normal(size=(50, 4)), "t"), st.lvector("ids"), st.matrix("y")
    outputs = t[ids] @ rng.normal(size=(4, 6))
    return t, [ids, y], ((outputs - y) ** 2).mean(), outputs, (used[rng.integers(0, 5, 60)], rng.normal(size=(60, 6)))


def test_the_whole_tables_curvature_is_singular_and_the_subsets_is_not():
    t, inputs, cost, outputs, data = faq()
    full = st.function(inputs, st.hessian(cost, t))(*data).reshape(200, 200)
    assert np.linalg.matrix_rank(full) == 20
    assert (~full.any(axis=1)).sum() == 180
    with pytest.raises(np.linalg.LinAlgError):
        np.linalg.cholesky(full)
    space = row_space(cost, [t[inputs[0]]], outputs)
    subset = st.function(inputs, space.hessian())(*data)
    assert subset.shape == (20, 20)
    assert np.linalg.matrix_rank(subset) == 20
    np.linalg.cholesky(subset)


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_newton_step_is_enough_for_a_quadratic(backend):
    t, inputs, cost, outputs, data = faq()
    before = t.get_value()
    newton = GaussNewton(inputs, cost, [t[inputs[0]]], outputs, backend=backend)
    done = newton.step(*data)
    assert done.ratio == pytest.approx(1, rel=1e-9)
    assert done.coordinates == 20
    assert np.linalg.norm(newton.point(data).gradient) < 2e-15
    unused = np.setdiff1d(np.arange(50), data[0])
    assert t.get_value()[unused].tobytes() == before[unused].tobytes()


def test_a_newton_step_by_occurrence_overshoots():
    """Ids three times: the step that each occurrence would take, added up, raises the cost; the row's is optimal."""
    t, ids = st.shared(np.array([[3.0, 1.0]]), "t"), st.lvector("ids")
    cost = ((t[ids] - 1) ** 2).sum()
    g, h = st.grad(cost, t[ids]), st.hessian(cost, t[ids])
    by_hand = st.function([ids], [cost, g, h])
    before, gradient, hessian = by_hand([0, 0, 0])
    step = -np.linalg.solve(hessian.reshape(6, 6), gradient.ravel()).reshape(3, 2)
    wrong = t.get_value() + step.sum(axis=0)
    assert 3 * ((wrong - 1) ** 2).sum() > before
    GaussNewton([ids], cost, [t[ids]]).step([0, 0, 0])
    np.testing.assert_allclose(t.get_value(), [[1.0, 1.0]])


# --- conjugate gradients


def test_conjugate_gradients_solve():
    a = RNG.normal(size=(12, 12))
    a, b = a @ a.T + np.eye(12), RNG.normal(size=12)
    for start in (np.zeros(12), RNG.normal(size=12)):
        found = conjugate_gradient(lambda x: a @ x, b, start, np.diag(a).copy(), 200, tolerance=0)
        np.testing.assert_allclose(found.iterates[-1], np.linalg.solve(a, b), rtol=1e-8)
        for x, model in zip(found.iterates, found.models, strict=True):
            assert model == pytest.approx(x @ a @ x / 2 - b @ x, abs=1e-9)


def test_conjugate_gradients_stop_on_slow_progress_and_on_negative_curvature():
    a = np.diag(np.geomspace(1, 1e4, 300))  # with 1e8, when progress is slow is a matter of rounding
    found = conjugate_gradient(lambda x: a @ x, np.ones(300), np.zeros(300), np.ones(300), 300, tolerance=5e-3)
    assert 10 < found.products < 300
    a = np.diag([1.0, -1.0])
    found = conjugate_gradient(lambda x: a @ x, np.array([1.0, 1e-3]), np.zeros(2), np.ones(2), 10)
    assert np.isfinite(found.iterates[-1]).all()
    found = conjugate_gradient(lambda x: -x, np.ones(2), np.zeros(2), np.ones(2), 10)
    np.testing.assert_array_equal(found.iterates[-1], np.ones(2))


# --- drivers


@pytest.mark.parametrize("backend", BACKENDS)
def test_hessian_free_finds_the_optimum_of_a_mixed_problem(backend):
    (t, h), inputs, cost, params, outputs = problem(head=True)
    free = HessianFree(inputs, cost, params, outputs, backend=backend)
    costs = [free.step(IDS, Y) for _ in range(20)]
    assert all(p.new_cost <= p.cost for p in costs)
    assert [p.cost for p in costs[1:]] == pytest.approx([p.new_cost for p in costs[:-1]])
    start = np.concatenate([W[ROWS].ravel(), HEAD.ravel()])
    lowest = minimize(loops, start, args=(ROWS, True), options={"gtol": 1e-9}).fun
    assert costs[-1].new_cost == pytest.approx(lowest, rel=1e-4)
    assert np.linalg.norm(free.point((IDS, Y)).gradient) < 1e-4
    unused = np.setdiff1d(np.arange(V), IDS)
    assert t.get_value()[unused].tobytes() == W[unused].tobytes()
    assert not np.array_equal(h.get_value(), HEAD)


def test_hessian_free_without_outputs_uses_the_hessian():
    t, ids = st.shared(W, "t"), st.lvector("ids")
    cost = ((t[ids] - 2) ** 4).sum() - (t[ids] ** 2).sum()  # not convex
    free = HessianFree([ids], cost, [t[ids]])
    for _ in range(60):
        free.step(IDS)
    rows = t.get_value()[ROWS]
    np.testing.assert_allclose(4 * (rows - 2) ** 3 - 2 * rows, 0, atol=1e-6)


def test_damping_follows_the_reduction_ratio():
    assert adapted(1.0, 0.1) == adapted(1.0, -3) == adapted(1.0, float("nan")) == 1.5
    assert adapted(1.0, 0.5) == 1.0
    assert adapted(1.0, 0.9) == pytest.approx(2 / 3)
    t, inputs, cost, outputs, data = faq()
    free = HessianFree(inputs, cost, [t[inputs[0]]], outputs, damping=3.0)
    assert free.step(*data).ratio == pytest.approx(1)
    assert free.damping == pytest.approx(2.0)


def test_a_warm_start_follows_the_row_number():
    t, ids = st.shared(W, "t"), st.lvector("ids")
    free = HessianFree([ids], ((t[ids] - 5) ** 2).sum(), [t[ids]], warm=0.5)
    free.step([6, 1, 6])
    rows, values = free._last[0]
    np.testing.assert_array_equal(rows, [1, 6])
    start = free._warm_start(free.point(([6, 2, 0],))).reshape(3, D)
    np.testing.assert_array_equal(start, [np.zeros(D), np.zeros(D), 0.5 * values[1]])


def test_squares_are_summed_by_occurrence():
    t, ids = st.shared(np.zeros((4, 1)), "t"), st.lvector("ids")
    scale = st.vector("scale")
    space = row_space((t[ids][:, 0] * scale).sum(), [t[ids]])
    found = st.function([ids, scale], space.squares())([2, 0, 2], [3.0, 5.0, -4.0])
    np.testing.assert_array_equal(found[0], [[25], [25]])


@pytest.mark.parametrize("kind", ["mask", "slice", "int", "whole"])
def test_other_subsets(kind):
    t, y = st.shared(W, "t"), st.matrix("y")
    subset = {"mask": t[st.constant(W[:, 0] > 0)], "slice": t[1:7:2], "int": t[3], "whole": t}[kind]
    free = GaussNewton([y], ((subset - y.sum()) ** 2).sum(), [subset])
    free.step(np.ones((2, 2)))
    at = {"mask": W[:, 0] > 0, "slice": slice(1, 7, 2), "int": 3, "whole": slice(None)}[kind]
    expected = W.copy()
    expected[at] = 4
    np.testing.assert_allclose(t.get_value(), expected)


def test_marquardt_damping_grows_until_the_cost_falls():
    t, ids = st.shared(np.full((3, 1), 4.0), "t"), st.lvector("ids")
    cost = st.log(st.cosh(t[ids])).sum()  # an undamped Newton step from 4 overshoots by far
    newton = GaussNewton([ids], cost, [t[ids]], damping=1e-3)
    for _ in range(30):
        done = newton.step([1, 1])
        assert done.new_cost <= done.cost
    assert abs(t.get_value()[1, 0]) < 1e-6
    assert t.get_value()[0, 0] == 4


def test_bad_input():
    (t, _), inputs, cost, params, outputs = problem()
    with pytest.raises(NotASubsetError, match="parts of rows"):
        row_space(cost, [t[:, 0]])
    with pytest.raises(UpdateError, match="twice"):
        row_space(cost, [*params, *params])
    with pytest.raises(OptimizerError, match="damping=0"):
        HessianFree(inputs, cost, params, outputs, damping=0)
    with pytest.raises(OptimizerError, match="one dtype"):
        HessianFree(inputs, cost, [*params, st.shared(np.float32(1.0), "b")], outputs)
    for driver in (HessianFree, GaussNewton):
        for options, words in (
            ({"params": []}, "params is empty; expected shared variables"),
            ({"damping": "a"}, "damping is 'a'; expected a number"),
            ({"damping": None}, "damping is None; expected a number"),
            ({"damping": np.inf}, "damping is inf; expected a number"),
            ({"inputs": None}, "inputs is None; expected a list"),
            ({"inputs": inputs[0]}, "inputs is <.*; expected a list"),
            ({"outputs": 3}, "outputs holds 3; expected nodes"),
            ({"outputs": [outputs, None]}, "outputs holds None; expected nodes"),
        ):
            given = {"inputs": inputs, "cost": cost, "params": params, "outputs": outputs, **options}
            with pytest.raises(OptimizerError, match=words):
                driver(**given)
    for options, words in (
        ({"most": "a"}, "most is 'a'"),
        ({"most": 1.5}, "most is 1.5"),
        ({"warm": "a"}, "warm is 'a'"),
    ):
        with pytest.raises(OptimizerError, match=words):
            HessianFree(inputs, cost, params, outputs, **options)
    with pytest.raises(NotASubsetError, match="params is 3; expected shared variables"):
        row_space(cost, 3)
    before = t.get_value()
    for driver in (HessianFree(inputs, cost, params, outputs), GaussNewton(inputs, cost, params, outputs, damping=1)):
        with pytest.raises(BoundsError, match="index 99"):
            driver.step([0, 99], Y[:2])
        with pytest.raises(DomainError, match="cost is nan"):
            driver.step(IDS, Y * np.nan)
        np.testing.assert_array_equal(t.get_value(), before)


def test_a_singular_matrix_is_refused_with_a_remedy():
    t, ids = st.shared(W, "t"), st.lvector("ids")
    cost = (t[ids].sum(axis=1) ** 2).sum()
    with pytest.raises(OptimizerError, match="larger damping"):
        GaussNewton([ids], cost, [t[ids]]).step(IDS)
    np.testing.assert_array_equal(t.get_value(), W)


def test_an_empty_batch_changes_nothing():
    (t, _), inputs, cost, params, outputs = problem()
    cost = ((outputs - inputs[1]) ** 2).sum()
    done = HessianFree(inputs, cost, params, outputs).step(np.zeros(0, int), np.zeros((0, C)))
    assert done.cost == 0
    assert done.coordinates == 0
    np.testing.assert_array_equal(t.get_value(), W)


def test_hessian_free_beats_first_order_methods_in_steps():
    """Matrix factorisation: users and items, both tables, on a batch of ratings."""
    rng = np.random.default_rng(4)
    n, m, k = 30, 20, 4
    rating = rng.normal(size=(n, k)) @ rng.normal(size=(k, m))
    users, items = np.nonzero(rng.random((n, m)) < 0.5)
    starts = 0.3 * rng.normal(size=(n, k)), 0.3 * rng.normal(size=(m, k))

    def model():
        a, b = (st.shared(s, name) for s, name in zip(starts, "ab", strict=True))
        i, j, y = st.lvector("i"), st.lvector("j"), st.vector("y")
        predicted = (a[i] * b[j]).sum(axis=1)
        return [a[i], b[j]], [i, j, y], ((predicted - y) ** 2).mean(), predicted

    data = users, items, rating[users, items]
    params, inputs, cost, predicted = model()
    free = HessianFree(inputs, cost, params, predicted, damping=0.01)
    best = [free.step(*data).new_cost for _ in range(25)][-1]
    for name, rate in (("sgd", 10.0), ("sgd", 3.0), ("adam", 0.3), ("adam", 0.1), ("adam", 0.03)):
        params, inputs, cost, _ = model()
        step = st.function(inputs, cost, getattr(st.optimizers, name)(cost, params, rate))
        others = [step(*data) for _ in range(26)][-1]
        assert others > 4 * best
