"""What graphs cost: each kind of op, comparisons whatever the lengths are, and whole programs."""

import numpy as np
import pytest

import subtensor as st
from subtensor.errors import GraphError
from subtensor.graph.nodes import OPS, Op
from subtensor.graph.polynomial import Order, Polynomial, compare
from subtensor.plugin import Cost
from subtensor.program.accounts import accounts, total
from subtensor.rewrites.costs import IDLE, graph_work, order, size, total_work, work_of
from subtensor.rewrites.large import table_size, tables
from subtensor.rewrites.lengths import at_most, length_polynomial, values, words

V, D = 1000, 4
ids, mask, x = st.lvector("ids"), st.tensor("mask", "bool", (None,)), st.matrix("x", dtype="float32")
n, m, k = (Polynomial.atom(name) for name in "nmk")


def spelled(work):
    return [p.spelled(words) for p in (work.read, work.written, work.allocated, work.computed)]


# --- polynomials


def test_polynomials_are_sums_of_products():
    p = (n + 2) * (m + n) * 3
    assert p == 3 * n * m + 3 * n * n + 6 * m + 6 * n
    assert p.value({"n": 2, "m": 5}.get) == 84
    assert p.value({"n": 2}.get) is None
    assert Polynomial.of(3).number == 3
    assert (n + 1).number is None
    assert not n - n
    assert (n * n * 2 + 0.5).spelled(str) == "2 * n**2 + 0.5"


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (n, 2 * n, Order.LESS),
        (n, n, Order.EQUAL),
        (n + 1, n, Order.MORE),
        (n, m, Order.DEPENDS),
        (n * m, n * m + k, Order.LESS),
        (3 * n, n * n, Order.DEPENDS),
        (Polynomial.of(2), Polynomial.of(3), Order.LESS),
    ],
)
def test_amounts_are_compared_for_every_choice_of_lengths(a, b, expected):
    assert compare(a, b) is expected


def test_bounds_decide_what_terms_do_not():
    above = {"k": n}.get
    assert compare(k, n, above) is Order.LESS
    assert compare(k * m + k, n * m + n, above) is Order.LESS
    assert compare(n, k, above) is Order.MORE
    assert compare(n, 2 * k, above) is Order.DEPENDS


# --- lengths


def test_lengths_that_depend_on_values_have_names_and_bounds():
    t = st.shared(np.zeros((V, D)), name="t")
    (_, new), *_ = st.optimizers.adagrad((t[ids] ** 2).sum(), [t[ids]], learning_rate=0.1).items()
    distinct = length_polynomial(new.inputs[2], 0)
    assert distinct.spelled(words) == "distinct(ids)"
    assert order(distinct, length_polynomial(ids, 0)) is Order.LESS
    chosen = length_polynomial(x[mask], 0)
    assert chosen.spelled(words) == "count(mask)"
    assert order(chosen, length_polynomial(x, 0)) is Order.LESS
    assert at_most("n") is None


def test_lengths_that_are_computed_from_others():
    joined = st.concatenate([x, x[1:], st.zeros((3, 2), "float32")])
    assert length_polynomial(st.concatenate([ids, ids]), 0).spelled(words) == "2 * ids.shape[0]"
    assert size(joined).value(values({x: (5, 2)})) is None  # the length of a slice is known when it is there
    assert length_polynomial(ids.reshape((-1, 2)), 0).value(values({ids: (6,)})) == 3


# --- ops


def test_what_only_looks_costs_nothing():
    for node in (x.T, x.reshape((-1,)), x[None], x[1:], x.shape[0], st.ones_like(x), x[2]):
        assert total_work([work_of(node)]) == IDLE, node


def test_kinds_of_ops():
    r, c = "x.shape[0]", "x.shape[1]"
    everything = f"4 * {r} * {c}"
    assert spelled(work_of(x + x)) == [everything, everything, everything, f"{r} * {c}"]
    assert spelled(work_of(x + 1))[0] == everything + " + 4"
    assert spelled(work_of(st.exp(x)))[3] == f"15 * {r} * {c}"
    assert spelled(work_of(x.sum(0))) == [everything, f"4 * {c}", f"4 * {c}", f"15 * {r} * {c}"]
    assert spelled(work_of(x @ x.T))[1:] == [f"4 * {r}**2", f"4 * {r}**2", f"1.5 * {r}**2 * {c}"]
    assert spelled(work_of(st.einsum("bi,bi->b", x, x)))[3] == f"1.5 * {r} * {c}"
    assert spelled(work_of(x[ids]))[1] == f"4 * ids.shape[0] * {c}"


def test_writes_cost_what_they_select_and_a_copy_where_there_must_be_one():
    t, y = st.shared(np.zeros((V, D), "float32"), name="t"), st.fmatrix("y")
    new = t[ids].set(y)
    assert spelled(work_of(new, overwrites=True)) == [
        "4 * y.shape[0] * y.shape[1] + 8 * ids.shape[0]", "16 * ids.shape[0]", "0", "12 * ids.shape[0]"
    ]  # fmt: skip
    copied = work_of(new)
    assert copied.allocated.number == 4 * V * D
    assert order(work_of(new, overwrites=True).price, copied.price) is Order.LESS
    zeros = work_of(st.zeros_like(t)[ids].inc(y))
    assert (copied.read.terms.get(()), zeros.read.terms.get(())) == (4 * V * D, None)


def test_a_value_of_known_length_tells_how_many_are_written():
    rows = st.shared(np.zeros((20, D), "float32"))
    assert work_of(st.segment_sum(rows, ids, 5)).written.number == 4 * (5 + 20) * D


def test_loops_cost_their_body_for_each_row():
    rows, w = st.tensor("rows", "float32", (None, 4)), st.shared(np.ones((4, 4), "float32"), name="w")
    total_, stacked = st.scan(lambda r, h: [st.tanh(r @ w + h)] * 2, rows, [st.zeros((4,), "float32"), None])[0]
    together = total_work(graph_work([total_[-1], stacked]))
    alone = total_work(graph_work([stacked]))
    assert [a.value(values({rows: (10, 4)})) for a in (together.computed, alone.computed)] == [10 * (1.5 * 16 + 64)] * 2
    assert together.computed.spelled(words) == "88 * rows.shape[0]"


def test_an_op_says_its_own_cost():
    cost = Cost(reads="a.size + rest.size", allocates="2 * out.size", computes="3 * a.shape[0] * a.shape[-1] + 7")
    op = Op(name="mine", infer=lambda a, *rest: a.type, vjp=None, dims=lambda axis, a, *rest: (a, axis), cost=cost)
    y = st.dmatrix("y")
    work = work_of(op(x, x, y))
    numbers = [
        p.value(values({x: (2, 3), y: (5, 7)})) for p in (work.read, work.written, work.allocated, work.computed)
    ]
    assert numbers == [4 * 12 + 8 * 35, 24, 48, 25]


def test_an_op_whose_cost_is_in_an_axis_that_is_not_there():
    op = Op(name="mine", infer=lambda a: a.type, vjp=None, cost=Cost(computes="a.shape[3]"))
    with pytest.raises(GraphError, match=r"op 'mine': its cost is in a.shape\[3\], but x has 2 axes"):
        work_of(op(x))


@pytest.mark.parametrize("name", sorted(OPS))
def test_every_cost_that_is_stated_is_a_formula(name):
    assert OPS[name].cost is None or OPS[name].cost.formulas()


# --- programs


def test_a_row_update_costs_rows_and_a_whole_one_the_table():
    t = st.shared(np.zeros((V, D), "float32"), name="t")
    s = t[ids]
    cost = (s * s).sum()
    rows = st.function([ids], cost, updates=[(t, t - 0.1 * st.grad(cost, t))])
    whole = st.function([ids], cost, updates=[(t, 0.9 * t)])
    entries = accounts(rows.program)
    assert not [e for e in entries if e.table is not None]
    assert entries[-1].updates is t
    assert total(entries).allocated.value(values({ids: (0,)})) < 64
    assert [e.table for e in accounts(whole.program) if e.table is not None] == [t]
    assert total(accounts(whole.program)).allocated.value(values({ids: (0,)})) >= 4 * V * D


def test_what_is_of_a_tables_size():
    t = st.shared(np.zeros((V, D)), name="t")
    u = st.shared(np.zeros((7, D)), name="u", shape=(None, D))
    assert table_size(t * 2, [t, u]) is t
    assert table_size(st.exp(u), [t, u]) is u
    assert table_size(t[ids], [t, u]) is None
    assert table_size(t.sum(1), [t]) is t


def test_lengths_that_are_equal_by_chance_are_not_a_tables():
    t = st.shared(np.zeros((D, D)), name="t")
    w = st.shared(np.zeros((D, 5)), name="w")
    batch = st.tensor("batch", "int64", (D,))
    x = st.tensor("x", "float64", (D, 5))
    assert table_size(t[ids], [t]) is None
    assert table_size(t[batch], [t]) is None
    assert table_size(t[batch] @ w, [t, w]) is None
    assert table_size(x * 2, [t, w]) is None
    assert table_size(t @ w, [t]) is t
    assert table_size(st.zeros((D, 3)), [t]) is t
    assert table_size(t.T, [t]) is t


def test_tables_are_what_rows_are_selected_of():
    t, u, v, w = (st.shared(np.zeros((V, D)), name=n) for n in "tuvw")
    mask = st.tensor("mask", "bool", (V,))
    new = [t[ids].sum(), u.T[ids[0]], v[mask].inc(1.0), w[:5].sum() + w[[0, 3]].sum()]
    assert tables(new) == [t, v]
    outer, _ = st.scan(lambda i: t[i].sum(), sequences=[ids])
    assert tables([outer]) == [t]
    steps = st.optimizers.adam((t[ids] ** 2).sum(), [t])
    assert {s.name for s in tables(steps.values())} >= {"t", "t.adam.m", "t.adam.v"}


def test_what_a_loop_does_within_is_told_by_itself():
    t, x = st.shared(np.zeros((V, D)), name="t"), st.dvector("x")
    whole, _ = st.scan(lambda i: st.tanh(t * i).sum(), sequences=[x])
    entries = accounts(st.function([x], whole).program)
    found = [e for e in entries if e.table is t]
    assert found
    assert all(e.loop for e in found)
    assert found[0].work.allocated.value(values({x: (3,)})) == 3 * 8 * V * D
    rows, _ = st.scan(lambda i: t[i].sum(), sequences=[ids])
    entries = accounts(st.function([ids], rows).program)
    assert not [e for e in entries if e.table is not None or e.reads is not None]
