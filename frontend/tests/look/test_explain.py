"""``fn.explain()``."""

import gc
import json
import weakref
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import subtensor as st
from subtensor.program.accounts import accounts
from subtensor.rewrites.lengths import values

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
    assert str(report.written) == "12 * ids.shape[0]"
    assert report.written.number is None
    f([1, 2, 2, 5])
    assert only(f).written.number == only(f).read.number == 4 * 4 * 3
    assert "in place, the selected elements only" in str(f.explain())


def test_set_reads_nothing_and_writes_add_up():
    t = table()
    f = st.function([ids], updates=[(t, st.inc_subtensor(t[ids].set(1.0)[2:4], 1.0))])
    f([1])
    report = only(f)
    assert report.written.formula == "12 * ids.shape[0] + 24"
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


def test_what_is_gathered_counts_as_read():
    table = st.shared(np.zeros((1000, 64), np.float32), name="table")
    ids = st.lvector("ids")
    rows = table[ids]
    step = st.function([ids], st.sqr(rows).sum(), updates=[(table, st.set_subtensor(rows, 2 * rows))])
    step([1, 2, 3])
    (update,) = step.explain().updates
    assert (update.read.number, update.written.number) == (3 * 64 * 4, 3 * 64 * 4)
    (update,) = st.function([ids], updates=[(table, rows.inc(1.0))]).explain().updates
    assert update.read.formula == update.written.formula == "256 * ids.shape[0]"


def test_lengths_that_broadcast_are_told_as_such():
    u, v, j = table(), table(), st.lvector("j")
    cost = ((u @ v.T)[ids, j] ** 2).sum()
    step = st.function([ids, j], cost, updates=[(u, u - 0.1 * st.grad(cost, u))])
    assert only(step).written.formula == "12 * broadcast(ids.shape[0], j.shape[0])"
    assert only(step).written.number is None
    for rows, columns in (([1, 2, 3], [0, 5, 5]), ([1], [0, 5, 5]), ([1, 2, 3], [0])):
        other = st.function([ids, j], cost, updates=[(u, u - 0.1 * st.grad(cost, u))])
        other(rows, columns)
        assert only(other).written.number == 4 * 3 * 3


def model():
    """Two tables alike and a dense layer, trained by Adam."""
    u, v = table(1000, "u"), table(900, "v")
    w = st.shared(np.ones((3, 5), np.float32), name="w")
    j = st.lvector("j")
    cost = (((u[ids] * v[j]) @ w) ** 2).sum()
    return st.function([ids, j], cost, updates=st.optimizers.adam(cost, [u, v, w]), name="step")


def test_everything_is_accounted_for():
    f = model()
    for call in (lambda: None, lambda: f(np.arange(200), np.arange(200))):
        call()
        told = f.explain(above=0)
        assert [u.variable for u in told.updates] == [s.label for s, _ in f.source[1]]
        assert [o.name for o in told.outputs] == ["output 0"]
        assert told.outputs[0].type == "float32[]"
    entries = accounts(f.program)
    lengths = values({f.program.inputs[0]: (200,), f.program.inputs[1]: (200,)}, {})
    parts = [*told.outputs, *told.intermediates, *told.updates]
    for name in ("allocated", "computed"):
        amounts = [getattr(p.costs, name) for p in parts]
        assert all(a.bound is not None for a in amounts)
        whole = getattr(told.totals, name)
        scalars = [e.work for e in entries if e.updates is None and not e.node.ndim]
        rest = sum(getattr(w, name).value(lengths) for w in scalars)
        assert sum(a.bound for a in amounts) <= whole.bound + rest
        assert sum(a.bound for a in amounts) + rest >= whole.bound
    assert told.largest.size.bound == max(r.size.bound for r in (*told.outputs, *told.intermediates))


def test_only_what_is_large_is_told_and_the_rest_counts():
    f = model()
    f(np.arange(200), np.arange(200))
    all_of_it, large = f.explain(above=0), f.explain(above=2000)
    assert all_of_it.totals == large.totals
    kept = [r for r in all_of_it.intermediates if r.size.bound >= 2000]
    assert list(large.intermediates) == kept != list(all_of_it.intermediates)


def test_lengths_are_in_words_and_bounded():
    f = model()
    text = str(f.explain(above=0))
    for word in ("run_starts", "row_numbers", "run_sums", "spread_rows"):
        assert word not in text
    assert "distinct(ids)" in text
    update = f.explain().updates[0]
    assert (update.written.formula, update.written.at_most) == ("12 * distinct(ids)", 12 * 1000)
    f(np.arange(7) % 3, np.arange(7))
    update = f.explain().updates[0]
    assert (update.written.number, update.written.at_most) == (None, 12 * 7)
    assert str(update.written) == "12 * distinct(ids) <= 84"
    assert f.explain(shapes=[(50,), (50,)]).updates[0].written.at_most == 600
    with pytest.raises(st.CallError, match="explain: 1 shapes for 2 inputs"):
        f.explain(shapes=[(3,)])


def test_what_is_alike_is_told_together():
    lines = str(model().explain()).splitlines()
    start, end = (lines.index(name) for name in ("updates, and bytes of the variable itself", "outputs"))
    told = [line for line in lines[start + 1 : end] if not line.startswith("      ")]
    assert [line.split("  ")[1] for line in told] == [
        "u, v", "u.adam.count, v.adam.count", "u.adam.m, u.adam.v ... v.adam.v (4 alike)", "w, w.adam.m, w.adam.v",
        "scalars: adam.steps",
    ]  # fmt: skip


def test_the_same_as_data_and_as_html():
    f = model()
    f([1, 2], [3, 3])
    told = f.explain(rewrites=True, above=0)
    data = json.loads(json.dumps(told.as_dict()))
    assert data["totals"]["read"] == {"formula": told.totals.read.formula, "number": None,
                                      "at_most": told.totals.read.at_most}  # fmt: skip
    assert [u["variable"] for u in data["updates"]] == [u.variable for u in told.updates]
    assert len(data["intermediates"]) == len(told.intermediates)
    assert data["steps"][0].startswith(told.steps[0].rule)
    assert data["updates"][0] == told.updates[0].as_dict()
    html = told._repr_html_()
    root = ET.fromstring(f"<div>{html}</div>")
    cells = ["".join(td.itertext()) for td in root.iter("td")]
    assert any(c.startswith("u, v") for c in cells)
    assert "&lt;=" in html


def test_a_loop_reads_what_its_body_reads():
    t, x = table(), st.fvector("x")
    rows, _ = st.scan(lambda i: t[i].sum(), sequences=[ids])
    f = st.function([ids], rows, updates=[(t, t[ids].set(1.0))])
    assert only(f).read.formula == "12 * ids.shape[0]"
    whole, _ = st.scan(lambda y, a: a + st.tanh(t * (y + a)).sum(), sequences=[x], outputs_info=[np.float32(0)])
    f = st.function([x, ids], whole[-1], updates=[(t, t[ids].set(1.0))])
    assert only(f).read.formula == "120 * x.shape[0]"
    (made,) = [r for r in f.explain(above=100).intermediates if r.costs.allocated.formula != "0"]
    assert (made.loop, made.table, made.size.number) == ("loop", "table", 120)
    assert made.costs.allocated.formula == "120 * x.shape[0]"


def test_integers_that_are_lengths_are_known_after_a_call():
    n = st.lscalar("n")
    f = st.function([n], st.arange(n) * 2)
    assert f.explain().outputs[0].size.number is None
    f(5)
    assert f.explain().outputs[0].size.number == 40


def test_outputs_that_nothing_computes_are_told():
    t = table()
    f = st.function([], [t, t[2]])
    whole, row = f.explain().outputs
    assert (whole.size.number, row.size.number) == (120, 12)


def test_what_was_looked_at_is_forgotten():
    def looked_at():
        i, t = st.lvector("i"), table()
        c = (st.tanh(t[i]) ** 2).sum()
        f = st.function([i], c, updates=st.optimizers.adam(c, [t]))
        st.assert_rows_only(f)
        assert f.explain()
        assert f.profile([1, 2], rounds=1)
        return weakref.ref(i), weakref.ref(t)

    refs = looked_at()
    gc.collect()
    assert [r() for r in refs] == [None, None]
