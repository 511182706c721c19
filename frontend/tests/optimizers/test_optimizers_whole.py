"""Tables given whole: rows where the cost reads rows alone, else dense, with the reason; rows that were forgotten."""

import re
import warnings

import numpy as np
import pytest
from optimizer_models import BACKENDS

import subtensor as st
from subtensor import optimizers
from subtensor.errors import UpdateError
from subtensor.optimizers.reads import UntrainedRowsWarning

pytestmark = pytest.mark.once

W = np.random.default_rng(0).normal(size=(7, 3))


def trained(params, cost_of, backend="numpy", **options):
    """The table and its state after three steps; `params` and `cost_of` are functions of (t, i, j)."""
    t, i, j = st.shared(W, "t"), st.lvector("i"), st.lmatrix("j")
    updates = optimizers.adam(cost_of(t, i, j), params(t, i, j), 0.1, **options)
    step = st.function([i, j], [], updates, backend=backend, on_unused_input="ignore")
    for ids in (([1, 2, 1], [[2, -6], [0, 0]]), ([0], [[3, 3]]), ([], [[4, 1]])):
        step(*ids)
    return [t.get_value(), *(s.get_value() for s in updates.state)], step.explain()


COSTS = {
    "one read": (lambda t, i, j: (t[i] ** 2).sum(), lambda t, i, j: [t[i]]),
    "two reads": (lambda t, i, j: (t[i].sum(0) * t[j]).sum() ** 2, lambda t, i, j: [t[i], t[j]]),
    "a part of what is read": (lambda t, i, j: (t[j][:, 0, 1:] ** 2).sum(), lambda t, i, j: [t[j]]),
    "a fixed row too": (lambda t, i, j: (t[i] * t[0]).sum() ** 2, lambda t, i, j: [t[i], t[0]]),
    "a length": (lambda t, i, j: (t[i] ** 2).sum() / t.shape[0], lambda t, i, j: [t[i]]),
    "held fixed": (lambda t, i, j: (t[i] * st.disconnected_grad(t[j]).sum((0, 1))).sum(), lambda t, i, j: [t[i]]),
    "ids that depend on it": (lambda t, i, j: (t[i + st.argmax(t.sum(1)) * 0] ** 2).sum(), lambda t, i, j: [t[i]]),
}


@pytest.mark.filterwarnings("ignore::subtensor.optimizers.reads.UntrainedRowsWarning")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", COSTS)
def test_a_table_that_is_read_by_rows_is_its_rows(kind, backend):
    cost, listed = COSTS[kind]
    if kind == "ids that depend on it":
        listed = lambda t, i, j: [t[i + st.argmax(t.sum(1)) * 0]]  # noqa: E731
    got, explained = trained(lambda t, i, j: [t], cost, backend)
    expected, _ = trained(listed, cost, backend)
    for x, y in zip(got, expected, strict=True):
        np.testing.assert_array_equal(x, y)
    assert all(u.rows for u in explained.updates if u.variable == "t")


@pytest.mark.parametrize(
    ("cost", "why"),
    [
        (lambda t, i, j: (t[i] ** 2).sum() + (t**2).sum(), "as a whole in"),
        (lambda t, i, j: (t[i] @ t.T).sum(), "as a whole in"),
        (lambda t, i, j: (t[i] ** 2).sum() + t[:, 1].sum(), r"as a whole in t\[:, 1\]"),
        (lambda t, i, j: (t[i] ** 2).sum() + t[i, i % 3].sum(), "different numbers of axes"),
    ],
)
def test_a_table_that_is_read_otherwise_too_is_whole_and_explain_says_why(cost, why):
    t, i, j = st.shared(W, "t"), st.lvector("i"), st.lmatrix("j")
    made = cost(t, i, j)
    updates = optimizers.momentum(made, [t], 0.1)
    step = st.function([i], [], updates)
    report = next(u for u in step.explain().updates if u.variable == "t")
    assert not report.rows
    assert report.reason.startswith("momentum was given t, and the cost reads ")
    assert re.search(why, report.reason)
    gradient = st.function([i], st.grad(made, t))([1, 2, 1])
    step([1, 2, 1])
    np.testing.assert_allclose(t.get_value(), W - 0.1 * gradient, rtol=1e-12)


def test_what_is_taken_apart_is_no_table():
    w, x = st.shared(np.ones((4, 2)), "w"), st.vector("x")
    for cost in ((w[:2] * w[2:] * x).sum(), (w[0] * x + w[1]).sum()):
        updates = optimizers.adam(cost, [w], 0.1)
        assert "argsort" not in {i.op.name for i in st.function([x], [], updates).program.instructions}
        assert [s.name for s in updates.state] == ["w.adam.m", "w.adam.v", "adam.steps"]


def test_whole_and_a_part_is_still_one_too_many():
    t, i = st.shared(W, "t"), st.lvector("i")
    for params in ([t[i], t], [t, t[i]], [t, t]):
        with pytest.raises(UpdateError):
            optimizers.adam((t[i] ** 2).sum(), params)


def test_rows_that_are_read_and_not_listed_are_named():
    t, i, j = st.shared(W, "t"), st.lvector("i"), st.lvector("j")
    cost = (t[i] * t[j]).sum()
    with pytest.warns(UntrainedRowsWarning, match=r"adam: the cost reads t\[j\].*trains t\[i\] alone") as caught:
        optimizers.adam(cost, [t[i]])
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizers.adam(cost, [t[i], t[j]])
        optimizers.adam(cost, [t])
        optimizers.adam((t[i] * st.disconnected_grad(t[j])).sum(), [t[i]])
        optimizers.adam((t[i] * st.shared(W, "u")[j]).sum(), [t[i]])
        optimizers.adam([t[i]], [t[i]])
