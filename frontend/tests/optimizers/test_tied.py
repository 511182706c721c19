"""A table that is looked up and multiplied by: the sum of both gradients, and a choice of which rows it trains."""

import numpy as np
import pytest

import subtensor as st

V, D = 7, 3
E0 = np.random.default_rng(0).normal(size=(V, D))
IDS, NEXT = np.array([1, 4, 1]), np.array([2, 4, 0])


def by_hand():
    """Gradients of the mean cross-entropy of softmax(E[ids] @ E.T), by loops: of the rows and of the matrix."""
    looked, matrix = np.zeros((V, D)), np.zeros((V, D))
    for i, n in zip(IDS, NEXT, strict=True):
        scores = E0 @ E0[i]
        p = np.exp(scores - scores.max())
        p /= p.sum()
        p[n] -= 1
        looked[i] += p @ E0 / len(IDS)
        matrix += np.outer(p, E0[i]) / len(IDS)
    return looked, matrix


def step(choose):
    table, ids, following = st.shared(E0, name="table"), st.lvector("ids"), st.lvector("following")
    rows = table[ids]
    scores = st.log_softmax(rows @ table.T, axis=1)
    cost = -scores[st.arange(ids.shape[0]), following].mean()
    updates = st.optimizers.sgd(*choose(cost, table, rows), 1.0)
    f = st.function([ids, following], cost, updates=updates)
    f(IDS, NEXT)
    return table.get_value() - E0, f.explain().updates[0]


def test_given_whole_it_gets_the_sum():
    looked, matrix = by_hand()
    moved, how = step(lambda cost, table, rows: (cost, [table]))
    np.testing.assert_allclose(moved, -(looked + matrix), rtol=1e-12, atol=1e-15)
    assert "the cost reads table as a whole" in how.reason


def test_given_by_rows_what_is_looked_up_is_trained():
    looked, _ = by_hand()
    moved, how = step(lambda cost, table, rows: (cost, [rows]))
    np.testing.assert_allclose(moved, -looked, rtol=1e-12, atol=1e-15)
    assert how.rows


def test_the_sum_for_the_rows_of_a_batch_alone():
    looked, matrix = by_hand()

    def choose(cost, table, rows):
        ids = rows.inputs[1]
        earlier = st.tril(st.eq(ids[:, None], ids[None, :]), -1).any(axis=1)  # a row's gradient once
        return [st.where(earlier[:, None], 0, st.grad(cost, table)[ids])], [rows]

    moved, _ = step(choose)
    wanted = np.zeros((V, D))
    wanted[IDS] = -(looked + matrix)[IDS]
    np.testing.assert_allclose(moved, wanted, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", ["adam", "rowwise_adagrad"])
def test_two_reads_by_rows_are_one_sum(name):
    """Sampled softmax: inputs and targets are rows of one table, some of them the same."""
    moved = []
    for choose in (lambda t, a, b: [t], lambda t, a, b: [a, b]):
        table, ids, samples = st.shared(E0, name="table"), st.lvector("ids"), st.lvector("samples")
        a, b = table[ids], table[samples]
        updates = getattr(st.optimizers, name)(((a @ b.T) ** 2).sum(), choose(table, a, b), 0.1)
        st.function([ids, samples], updates=updates)(IDS, [4, 5, 5])
        moved.append(table.get_value())
    np.testing.assert_array_equal(*moved)
    np.testing.assert_array_equal(moved[0][[0, 2, 3, 6]], E0[[0, 2, 3, 6]])
