"""``fn.explain()``, the warning for whole tables, and pictures."""

import warnings

import numpy as np
import pytest

import subtensor as st
from subtensor.look.explain import WholeTableWarning

ids = st.lvector("ids")


def table(n=10, name="table"):
    return st.shared(np.ones((n, 3), np.float32), name=name)


def only(f):
    (report,) = f.explain().updates
    return report


def test_rows_are_told_with_bytes_as_formula_and_number():
    t = table()
    f = st.function([ids], updates=[(t, st.inc_subtensor(t[ids], 1.0))])
    report = only(f)
    assert (report.in_place, report.rows, report.avoidable) == (True, True, None)
    assert str(report.written) == "4 * ids.shape[0] * 3"
    assert report.written.number is None
    f([1, 2, 2, 5])
    assert only(f).written.number == only(f).read.number == 4 * 4 * 3
    assert "in place, the selected elements only" in str(f.explain())


def test_set_reads_nothing_and_writes_add_up():
    t = table()
    f = st.function([ids], updates=[(t, st.inc_subtensor(t[ids].set(1.0)[2:4], 1.0))])
    f([1])
    report = only(f)
    assert report.written.formula == "4 * ids.shape[0] * 3 + 4 * 2 * 3"
    assert (report.read.number, report.written.number) == (24, 36)
    assert "2 writes" in report.reason


PROMISED = st.assume_unique(ids)


def cost(t, rows=ids):
    return (t[rows] ** 2).sum()


REASONS = {
    "dense by nature": (lambda t: 0.9 * t, "computes every element", None),
    "not from the old value": (lambda t: st.ones((10, 3), "float32"), "does not depend on the old one", None),
    "nonlinear in the gradient": (lambda t: t - st.tanh(st.grad(cost(t), t)), "through 'tanh'", "st.grad(cost, s)"),
    "the same at distinct rows": (
        lambda t: t - st.cumsum(st.grad(cost(t, PROMISED), t), 1),
        "through 'cumsum'",
        "st.grad(cost, s)",
    ),
}


@pytest.mark.parametrize("name", REASONS)
def test_a_whole_table_is_told_with_the_reason(name):
    build, reason, remedy = REASONS[name]
    t = table()
    f = st.function([ids], updates=[(t, build(t))], on_unused_input="ignore")
    report = only(f)
    assert (report.in_place, report.rows) == (False, False)
    assert reason in report.reason
    assert report.written.number == 10 * 3 * 4
    assert (report.avoidable is None) == (remedy is None)
    assert remedy is None or remedy in report.avoidable


def test_a_new_value_that_is_an_output_too_is_named():
    t = table()
    new = t - 0.1 * st.grad(cost(t), t)
    f = st.function([ids], [new], updates=[(t, new)])
    assert "is used by output 0 too" in only(f).reason


def test_rewrites_switched_off_are_the_reason():
    t = table()
    f = st.function([ids], updates=[(t, t - 0.1 * st.grad(cost(t), t))], rewrites=False)
    assert "switched off" in only(f).reason
    assert only(f).avoidable == "rewrites=True"


def test_steps_are_listed_by_rule():
    t = table()
    f = st.function([ids], updates=[(t, t - 0.1 * st.grad(cost(t), t))])
    steps = f.explain(rewrites=True).steps
    assert "subtract_increments" in {s.rule for s in steps}
    assert f.explain().steps is None


def test_a_large_table_is_warned_about_once():
    t = table(400_000)
    new = t - st.cumsum(st.grad(cost(t), t), 1)
    with pytest.warns(WholeTableWarning, match=r"all of table \(400000 x 3\).*Instead: with s = table\[ids\]"):
        st.function([ids], updates=[(t, new)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        st.function([ids], updates=[(t, new)])
        dense = table(400_000)
        st.function([], updates=[(dense, 0.9 * dense)])
        small = table(1000)
        st.function([ids], updates=[(small, small - st.cumsum(st.grad(cost(small), small), 1))])


def test_what_is_gathered_counts_as_read():
    table = st.shared(np.zeros((1000, 64), np.float32), name="table")
    ids = st.lvector("ids")
    rows = table[ids]
    step = st.function([ids], st.sqr(rows).sum(), updates=[(table, st.set_subtensor(rows, 2 * rows))])
    step([1, 2, 3])
    (update,) = step.explain().updates
    assert (update.read.number, update.written.number) == (3 * 64 * 4, 3 * 64 * 4)
    (update,) = st.function([ids], updates=[(table, rows.inc(1.0))]).explain().updates
    assert update.read.formula == update.written.formula == "4 * ids.shape[0] * 64"


def test_lengths_that_broadcast_are_told_as_such():
    u, v, j = table(), table(), st.lvector("j")
    cost = ((u @ v.T)[ids, j] ** 2).sum()
    step = st.function([ids, j], cost, updates=[(u, u - 0.1 * st.grad(cost, u))])
    assert only(step).written.formula == "4 * broadcast(ids.shape[0], j.shape[0]) * 3"
    assert only(step).written.number is None
    for rows, columns in (([1, 2, 3], [0, 5, 5]), ([1], [0, 5, 5]), ([1, 2, 3], [0])):
        other = st.function([ids, j], cost, updates=[(u, u - 0.1 * st.grad(cost, u))])
        other(rows, columns)
        assert only(other).written.number == 4 * 3 * 3
