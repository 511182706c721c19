"""Spellings of a row update: each is committed in place, touches its rows only, and gives what a whole table would."""

import numpy as np
import pytest

import subtensor as st

pytestmark = pytest.mark.once

V, D = 10_000, 4
RNG = np.random.default_rng(0)
START = RNG.standard_normal((V, D))
IDS, MORE, WIDE = np.array([1, 1, 3, -1]), np.array([0, 1]), np.array([[1, 2], [2, 2]])

ids, more, wide = st.lvector("ids"), st.lvector("more"), st.lmatrix("wide")
rate = st.scalar("rate")


def step(cost, w, lr=0.1):
    return w - lr * st.grad(cost, w)


def unit(g):
    return 0.1 * g / st.sqrt((g**2).sum())


def shorter(g):
    return g * st.minimum(1.0, 2.0 / st.sqrt((g**2).sum()))


def by_row(g):
    return g / st.sqrt((g**2).sum(1, keepdims=True) + 1e-8)


SPELLINGS = {
    "minus": (lambda w: step((w[ids] ** 2).sum(), w), [(ids, IDS)]),
    "plus a negative rate": (lambda w: w + (-rate) * st.grad((w[ids] ** 2).mean(), w), [(ids, IDS), (rate, 0.3)]),
    "two gathers": (lambda w: step((w[ids] ** 2).sum() + (w[more] ** 3).mean(), w, rate),
                    [(ids, IDS), (more, MORE), (rate, 0.3)]),
    "a product of gathers": (lambda w: step(st.tanh(w[ids] @ w[more].T).sum(), w), [(ids, IDS), (more, MORE)]),
    "elements of a product": (lambda w: step(((w @ START.T)[ids, more] ** 2).sum(), w), [(ids, IDS[:2]), (more, MORE)]),
    "elements of a product, transposed": (lambda w: step(st.tanh(START @ w.T)[ids, more].sum(), w),
                                          [(ids, IDS[:2]), (more, MORE)]),
    "reshaped rows": (lambda w: step((w[wide].reshape((wide.shape[0], -1)) ** 2).sum(), w), [(wide, WIDE)]),
    "a flattened table": (lambda w: step((w.reshape((V * D,))[ids] ** 2).sum(), w),
                          [(ids, np.array([0, 5, -1, -1, 399]))]),
    "take of everything": (lambda w: step((w.take(ids) ** 2).sum(), w), [(ids, np.array([0, 5, -1]))]),
    "take along an axis": (lambda w: step((w.take(ids, axis=1) ** 2).sum(), w), [(ids, np.array([0, 3, -1, 0]))]),
    "a table of matrices": (lambda w: step((w.reshape((V, 2, 2))[ids] ** 3).sum(), w), [(ids, IDS)]),
    "transposed": (lambda w: step((w.T[:, ids] ** 3).sum() + (w.T[1, ids] ** 2).sum(), w), [(ids, IDS)]),
    "a rate for each row": (lambda w: w - (np.arange(V)[:, None] + 1.0) * st.grad((w[ids] ** 2).sum(), w) / 2,
                            [(ids, IDS)]),
    "a rate for each column": (lambda w: w - (np.arange(D) + 1.0) * st.grad((w[:, more] ** 3).sum(), w),
                               [(more, MORE)]),
    "a rate for each element": (lambda w: w - START * st.grad((w[ids] ** 2).sum(), w), [(ids, IDS)]),
    "casts": (lambda w: w - (0.1 * st.grad((w.astype("float32")[ids] ** 2).sum(), w)).astype("float64"), [(ids, IDS)]),
    "mixed indices": (lambda w: step((w[ids, 1:3] ** 2).sum() + w[1:5, 2].sum() + w[2, 3] ** 2
                                        + w[ids, ids % 4].sum(), w),
                      [(ids, IDS)]),
    "a mask": (lambda w: step((w[w[:, 0] > 0] ** 2).sum(), w), []),
    "a sum of gradients": (lambda w: w - 0.1 * (st.grad((w[ids] ** 2).sum(), w) + 2 * st.grad(w[more].sum(), w)),
                           [(ids, IDS), (more, MORE)]),
    "decay of the rows used": (lambda w: step(st.tanh(w[ids]).sum() + 0.01 * (w[ids] ** 2).sum(), w), [(ids, IDS)]),
    "decay of the rows used, beside the cost": (lambda w: w - 0.1 * (st.grad((w[ids] ** 3).sum(), w)
                                                + 0.01 * st.zeros_like(w)[ids].inc(w[ids])), [(ids, IDS)]),
    "decay of the rows used, then a step": (lambda w: w[ids].set(w[ids] * 0.999)[ids].inc(-0.1 * w[ids] ** 2),
                                            [(ids, IDS)]),
    "clipped": (lambda w: w - 0.1 * st.clip(st.grad((w[ids] ** 3).sum(), w), -1, 1), [(ids, IDS)]),
    "clipped, two gathers": (lambda w: w - st.clip(0.1 * st.grad((w[ids] ** 3).sum() + w[more].sum(), w), -0.1, 0.1),
                             [(ids, IDS), (more, MORE)]),
    "squashed": (lambda w: w - rate * st.tanh(st.grad((w[wide] ** 3).sum(), w)), [(wide, WIDE), (rate, 0.3)]),
    "signs": (lambda w: w - 0.1 * st.sign(st.grad((w[ids] ** 3).sum(), w)), [(ids, IDS)]),
    "of length one": (lambda w: w - unit(st.grad((w[ids] ** 3).sum(), w)), [(ids, IDS)]),
    "clipped to a norm": (lambda w: w - 0.1 * shorter(st.grad((w[ids] ** 3).sum() + w[more].sum(), w)),
                          [(ids, IDS), (more, MORE)]),
    "rows of length one": (lambda w: w - by_row(st.grad((w[ids] ** 3).sum(), w)), [(ids, IDS)]),
    "rows of a part": (lambda w: step((w[1:][ids] ** 2).sum() + (w[5:50][more] ** 3).sum(), w),
                       [(ids, IDS), (more, MORE)]),
    "rows of a part with symbolic bounds": (lambda w: step((w[more[0] : more[1] - 3][ids] ** 2).sum(), w),
                                            [(ids, IDS), (more, MORE)]),
    "rows of a product": (lambda w: step((st.tanh(w @ START[:3].T)[ids] ** 2).sum(), w), [(ids, IDS)]),
    "set of what was read": (lambda w: w[1:5].set(w[1:5] - 0.5 * w[:4]), []),
    "chained writes": (lambda w: w[ids].inc(1.0)[more].set(2.0)[ids].inc(-0.5), [(ids, IDS), (more, MORE)]),
}  # fmt: skip


@pytest.mark.parametrize("name", SPELLINGS)
def test_spelling_is_a_row_update(name):
    build, given = SPELLINGS[name]
    tables = []
    for rewrites in (True, False):
        table = st.shared(START, name="table")
        f = st.function([v for v, _ in given], updates=[(table, build(table))], rewrites=rewrites)
        f(*(value for _, value in given))
        tables.append(table.get_value())
        if rewrites:
            (report,) = f.explain().updates
            assert report.in_place, report
            assert report.rows, report
            assert not any(i.type.shape == (V, D) for i in f.program.instructions), f.program
    np.testing.assert_allclose(tables[0], tables[1], rtol=1e-7 if name == "casts" else 1e-12)
    assert not np.array_equal(tables[0], START)


def test_a_dict_of_parameters_needs_no_help():
    rng = np.random.default_rng(1)
    params = {
        "emb": st.shared(rng.standard_normal((50, 4)), name="emb"),
        "w": st.shared(rng.standard_normal((8, 3)), name="w"),
        "b": st.shared(np.zeros(3), name="b"),
    }
    words, y = st.lmatrix("words"), st.lvector("y")
    hidden = params["emb"][words].reshape((words.shape[0], 8))
    p = st.softmax(st.tanh(hidden) @ params["w"] + params["b"])
    cost = -st.log(p)[st.arange(y.shape[0]), y].mean()
    updates = {q: q - 0.1 * g for q, g in zip(params.values(), st.grad(cost, list(params.values())), strict=True)}
    f = st.function([words, y], cost, updates=updates)
    rows = {u.variable: u.rows for u in f.explain().updates}
    assert rows == {"emb": True, "w": False, "b": False}
    costs = [float(f([[1, 2], [2, 2], [7, -1]], [0, 2, 1])) for _ in range(30)]
    assert costs[-1] < costs[0] / 2


def test_an_infinite_rate_leaves_other_rows_alone_and_is_written_down():
    table = st.shared(np.ones((4, 2)))
    f = st.function([ids, rate], updates=[(table, table - rate * st.grad(table[ids].sum(), table))])
    f([1], np.inf)
    assert table.get_value()[[0, 2, 3]].tolist() == [[1, 1]] * 3
    assert np.isneginf(table.get_value()[1]).all()


@pytest.mark.parametrize("rows", [(1, 3), (3, 1), (3, 3)])
def test_increments_are_added_to_what_has_their_shape_only(rows):
    """A sum that stretches either side is no write into the other one."""
    x, z = st.dmatrix("x"), st.dmatrix("z")
    w = st.zeros_like(z)[ids].inc(2.0)
    f = st.function([x, z, ids], [x + w, w + x, x - w, w - x])
    a, b = np.arange(2.0 * rows[0]).reshape(rows[0], 2), np.zeros((rows[1], 2))
    b[0] = 4.0
    for got, want in zip(f(a, b, [0, 0]), [a + b, b + a, a - b, b - a], strict=True):
        assert got.shape == want.shape
        np.testing.assert_array_equal(got, want)
