"""The engine, the facts about indices, promises, and what is written about the rules."""

import time
from pathlib import Path

import numpy as np
import pytest

import subtensor as st
from subtensor.errors import FunctionError, GraphError
from subtensor.graph.nodes import OPS, toposort
from subtensor.rewrites import document, facts
from subtensor.rewrites.engine import RULES, UNPRICED, Rewrite, Selection, rewrite
from subtensor.rewrites.patterns import P, letters, matches

pytestmark = pytest.mark.once

ALL = Selection.of(True)
I64 = np.int64
ONES = st.constant(np.ones((2, 3)))


def test_page_is_current():
    page = Path(__file__).parents[3] / "docs" / "rewrites.md"
    assert page.read_text(encoding="utf-8") == document.markdown(), "run python -m subtensor.rewrites.document"


# --- the engine


def test_takes_time_in_proportion_to_the_graph():
    table = st.shared(np.ones((100, 4)), name="table")
    cost = 0.0
    for _ in range(420):
        cost = cost + (st.tanh(table[st.lvector()]) ** 2).sum() * 0.5
    new = table - 0.1 * st.grad(cost, table)
    size = len(toposort([new]))
    assert size > 5000
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        (after,) = rewrite([new], ALL)
        best = min(best, time.process_time() - began)
    assert best < 1.0
    writes = 0
    while after.op is OPS["inc_subtensor"]:
        writes, after = writes + 1, after.inputs[0]
    assert writes == 420
    assert after is table


def test_a_deep_function_of_a_gradient_is_no_problem():
    ids, table = st.lvector("ids"), st.shared(np.ones((100, 4)))
    g = st.zeros((100, 4))[ids].inc(1.5)
    for _ in range(300):
        g = st.tanh(g) * g
    (after,) = rewrite([table - g], ALL, commits=[table])
    assert after.op is OPS["inc_subtensor"]
    assert after.inputs[0] is table
    assert sum(n.op is OPS["argsort"] for n in toposort([after])) == 1


def test_last_rules_wait_for_the_others():
    x = st.matrix("x")
    n = st.arange(x.shape[0])
    (after,) = rewrite([st.exp(x)[n, n]], ALL)
    assert after.op is OPS["exp"]  # the read went through it first
    assert after.inputs[0].op is OPS["range_diagonal"]
    assert rewrite([after], ALL) == [after]
    perm = np.array([2, 0, 1])
    once = st.zeros((3, 3))[perm].inc(x)
    added, alone = rewrite([st.shared(np.ones((3, 3))) + once, once], ALL)
    assert added.op is OPS["inc_subtensor"]  # into the table, not into zeros
    assert alone.op is OPS["set_subtensor"]


def test_where_rows_and_columns_cross_no_product_is_taken_apart():
    u, v = (st.shared(np.ones((n, 64))) for n in (300, 200))
    i, j = st.lvector("i"), st.lvector("j")
    for key, apart in (((i, j), True), ((i[:, None], st.lmatrix("k")), True), ((i[:, None], j), False)):
        cost = ((u @ v.T)[key] ** 2).sum()
        new = rewrite([cost, u - st.grad(cost, u), v - st.grad(cost, v)], ALL)
        assert (OPS["matmul"] not in {n.op for n in toposort(new)}) == apart, key
        assert apart or all(n.ndim < 3 for n in toposort(new))  # no axis for products beside rows and columns


def test_the_diagonal_of_any_shape_needs_no_range():
    x = st.matrix("x")
    (after,) = rewrite([st.diagonal(x)], ALL)
    assert after.op is OPS["range_diagonal"]
    assert OPS["arange"] not in {n.op for n in toposort([after])}


def test_a_deep_graph_is_no_problem():
    x = st.vector("x")
    y = x
    for k in range(10_000):
        y = y * x + st.sin(y) if k % 2 else -(y + 1.0)
    assert rewrite([y], ALL)[0].dtype == "float64"


def test_rules_that_undo_each_other_are_found():
    to_sin = Rewrite("to_sin", lambda n: OPS["sin"](*n.inputs), heads=frozenset({"cos"}))
    to_cos = Rewrite("to_cos", lambda n: OPS["cos"](*n.inputs), heads=frozenset({"sin"}))
    with pytest.raises(FunctionError, match="two rules undo each other"):
        rewrite([st.sin(st.vector())], Selection((to_sin, to_cos)))


def test_a_rule_that_changes_the_type_is_named():
    wrong = Rewrite("wrong", lambda n: n.inputs[0].astype("float32"), heads=frozenset({"sin"}))
    with pytest.raises(GraphError, match=r"'wrong' turned .* another dtype or rank"):
        rewrite([st.sin(st.vector())], Selection((wrong,)))


def test_selection_by_name_tag_and_what_is_kept():
    names = {r.name for r in Selection.of(["rows", "full_slice", "-finite"]).rules}
    assert {"add_increments", "full_slice"} <= names
    assert not names & {"scale_increments", "times_one"}
    assert {r.keeps for r in Selection.of("-stabilize").rules} == {"value", "rounding", "finite"}
    assert Selection.of(False).rules == ()
    with pytest.raises(FunctionError, match="'rowz' is neither a rule nor a tag"):
        Selection.of(["rowz"])


def test_patterns_match_in_both_orders_and_letters_stand_for_one_node():
    x, y = letters("x y")
    a, b = st.vector(), st.vector()
    pattern = P.log(P.exp(x) + x * y)
    fits = st.log(b * a + st.exp(a))
    assert {(m["x"], m["y"]) for m in matches(pattern, fits, {})} == {(a, b)}
    assert not list(matches(pattern, st.log(b * b + st.exp(a)), {}))


def test_every_rule_is_reserved_and_documented():
    for name, r in RULES.items():
        assert name == r.name
        assert r.words() >= {name, r.keeps}


def test_bodies_of_loops_are_rewritten_too():
    x = st.dvector("x")
    out, _ = st.scan(lambda e, s: st.log(1 / (1 + st.exp(-s * e))), x, 0.5)
    (after,) = rewrite([out], ALL)
    (before,), (body,) = ([n.params["output"] for n in toposort([v]) if n.op is OPS["scan"]] for v in (out, after))
    assert len(toposort([body])) < len(toposort([before]))
    assert rewrite([after], ALL) == [after]
    f, plain = (st.function([x], out, rewrites=r) for r in (True, False))
    values, s, want = np.array([0.5, -1.0, 2.0]), 0.5, []
    for e in values:
        s = -np.log1p(np.exp(-s * e))
        want.append(s)
    np.testing.assert_allclose(f(values), want, rtol=1e-12)
    np.testing.assert_allclose(plain(values), want, rtol=1e-12)


def test_bodies_of_jacobians_are_rewritten_too():
    x, ids = st.dvector("x"), st.lvector("ids")
    y = st.log(1 / (1 + st.exp(-x)))[ids]
    jacobian = st.jacobian(y, x)
    every = Selection.of(UNPRICED)
    (after,) = rewrite([jacobian], every)
    bodies = [n.params["output"] for n in toposort([after]) if n.op is OPS["scan"]]
    assert len(bodies) == 1
    (before,) = [n.params["output"] for n in toposort([jacobian]) if n.op is OPS["scan"]]
    assert bodies[0] is not before
    assert rewrite([after], every) == [after]
    f, plain = (st.function([x, ids], jacobian, rewrites=r) for r in (True, False))
    values, places = np.array([0.5, -1.0, 2.0]), np.array([2, 2, -3])
    want = np.zeros((3, 3))
    want[range(3), places] = 1 / (1 + np.exp(values[places]))
    np.testing.assert_allclose(f(values, places), want, rtol=1e-12)
    np.testing.assert_allclose(plain(values, places), want, rtol=1e-12)
    with pytest.raises(st.BoundsError, match="index 3 at position"):
        f(values, [0, 3])


# --- errors are those of the graph as written


@pytest.mark.parametrize("rewrites", [True, False])
def test_texts_name_what_the_user_wrote(rewrites):
    table = st.shared(np.ones((4, 2)), name="table")
    ids = st.lvector("ids")
    cost = (table[ids] ** 2).sum()
    f = st.function([ids], cost, updates=[(table, table - 0.1 * st.grad(cost, table))], rewrites=rewrites)
    with pytest.raises(
        st.BoundsError, match=r"table\[ids\]: index 4 at position \(1,\) of ids is out of bounds for axis 0"
    ):
        f([0, 4])
    np.testing.assert_array_equal(table.get_value(), np.ones((4, 2)))


@pytest.mark.parametrize(
    "spelling",
    [
        lambda x, i: x[i].inc(0.0),
        lambda x, i: x[i].set(x[i]),
        lambda x, i: x[i].set(1.0)[i],
        lambda x, i: x[i].inc(st.zeros((i.shape[0], 2))),
        lambda x, i: (x[i] * 2)[:0],
        lambda x, i: st.concatenate([x[i], x])[3:5],
        lambda x, i: x[i].set(2.0)[:].set(0.0),
    ],
)
def test_no_rule_hides_an_index_out_of_bounds(spelling):
    x, i = st.matrix("x"), st.lvector("i")
    f = st.function([x, i], spelling(x, i))
    with pytest.raises(st.BoundsError, match="index 9"):
        f(np.ones((3, 2)), [0, 9])


# --- set and inc, where the peers are wrong


def test_all_addends_are_kept():
    x = st.shared(np.array([1.0, 2.0, 3.0]))
    g, h = st.vector(), st.vector()
    f = st.function([g, h], updates=[(x, x[1:].set(x[1:] + g + h))])
    f([10.0, 20.0], [100.0, 200.0])
    assert x.get_value().tolist() == [1.0, 112.0, 223.0]


def test_a_repeated_index_is_not_converted():
    x, g = st.vector("x"), st.vector("g")
    i = st.constant(np.array([0, 0]))
    f = st.function([x, g], [x[i].set(x[i] + g), x[i].set(g)[i]])
    written, read = f([10.0], [1.0, 2.0])
    assert written.tolist() == [12.0]
    assert read.tolist() == [2.0, 2.0]


# --- facts


@pytest.mark.parametrize("seed", range(5))
def test_distinct_is_true_only_of_distinct_positions(seed):
    rng = np.random.default_rng(seed)
    n = 6
    mask, x = rng.random(n) < 0.5, rng.integers(-n, n, n)
    v, m = st.tensor("v", "int64", (n,)), st.tensor("m", "bool", (n,))
    candidates = {
        "arange": (st.arange(n), True),
        "arange from below": (st.arange(-2, 3), False),
        "arange with steps": (st.arange(1, n, 2), True),
        "argsort": (st.argsort(v), True),
        "nonzero": (m.nonzero()[0], True),
        "an input": (v, False),
        "a permutation": (st.arange(n)[st.argsort(v)], True),
        "cast": (st.arange(n, dtype="int32").astype("int64"), True),
        "narrowed": (st.arange(n).astype("int8"), False),
        "a part": (st.argsort(v)[1:], True),
        "reversed": (st.argsort(v)[::-1], True),
        "repeated": (st.argsort(v)[[0, 0]], False),
        "constant": (st.constant(np.array([0, 5, 2])), True),
        "repeating constant": (st.constant(np.array([0, 5, 0])), False),
        "unique of anything": (st.unique(v), False),
        "unique of positions": (st.unique(st.mod(v, n)), True),
        "promise": (st.assume_unique(v), True),
        "sorted": (st.sort(v), False),
    }
    for name, (node, expected) in candidates.items():
        found = facts.distinct(node, n)
        assert found == expected, name
        if found and name != "promise":
            value = st.function([v, m], node, on_unused_input="ignore")(x, mask)
            wrapped = np.where(value < 0, value + n, value)
            assert len(set(wrapped.tolist())) == value.size, name


def test_constants_that_wrap_onto_one_position_are_not_distinct():
    mixed = st.constant(np.array([-1, 3]))
    assert not facts.distinct(mixed, 4)
    assert facts.distinct(mixed, 5)
    assert not facts.distinct(mixed, None)


def test_grids_and_nonzero_of_matrices_are_distinct():
    x = st.tensor("x", "float64", (4, 5))
    rows, columns = st.constant(np.array([[0], [2]])), st.constant(np.array([1, 4]))
    for node, expected in [
        (x[rows, columns], True),
        (x[x > 0], True),
        (x[st.lvector(), st.arange(3)], False),
        (x[st.arange(3), st.arange(3)], True),
        (x[st.constant(np.array([0, 0])), st.arange(2)], True),
        (x[np.array([[0], [0]]), columns], False),
    ]:
        assert facts.distinct_positions(node.params["index"], x, node.inputs[1:]) == expected, node


def test_in_range_is_true_only_where_no_position_fails():
    x = st.matrix("x")
    fixed = st.tensor("fixed", "float64", (4, 2))
    ids = st.lvector()
    assert facts.in_range(st.arange(x.shape[0]), x, 0)
    assert not facts.in_range(st.arange(x.shape[0] + 1), x, 0)
    assert not facts.in_range(st.arange(x.shape[0]), x, 1)
    assert facts.in_range(st.argsort(x[:, 0]), x, 0)
    assert facts.in_range(st.mod(ids, 4), fixed, 0)
    assert not facts.in_range(st.mod(ids, 5), fixed, 0)
    assert not facts.in_range(st.mod(ids, -4), fixed, 0)
    assert facts.in_range(st.constant(np.array([-4, 3])), fixed, 0)
    assert not facts.in_range(st.constant(np.array([4])), fixed, 0)
    assert facts.in_range(x[x[:, 0] > 0].inputs[1], x, 0)
    assert not facts.in_range(ids, fixed, 0)


# --- promises


def test_a_broken_promise_raises_where_promises_are_checked():
    ids = st.lvector("ids")
    for value, text in [([1, 2, 1], "ids holds 1 2 times"), ([-1, 3], "negative and non-negative positions")]:
        with st.config.change_flags(check_promises=True):
            promised = st.assume_unique(ids)
        f = st.function([ids], promised * 2)
        with pytest.raises(st.DomainError, match=text):
            f(value)
        assert f([4, 0]).tolist() == [8, 0]
        assert f([-4, -1]).tolist() == [-8, -2]
        assert f([]).tolist() == []
        assert st.function([ids], st.assume_unique(ids) * 2)(value).tolist() == [2 * v for v in value]


def test_a_promise_turns_set_into_inc():
    table, ids = st.matrix("table"), st.lvector("ids")
    rows = table[st.assume_unique(ids)]
    (after,) = rewrite([rows.set(rows + 1)], ALL)
    assert after.op.name == "inc_subtensor"
    with pytest.raises(st.DTypeError, match="expected integers"):
        st.assume_unique(st.vector())


@pytest.mark.parametrize(
    ("expression", "rows", "k", "error"),
    [
        (lambda x, k: st.broadcast_to(ONES, x.shape), 4, 1, "ShapeError"),
        (lambda x, k: st.ones((k,)).sum(), 1, -3, "DomainError"),
        (lambda x, k: st.broadcast_to(ONES[0], (k,)).sum(), 1, 5, "ShapeError"),
        (lambda x, k: st.repeat(x, [1, 2], axis=0), 3, 1, "ShapeError"),
        (lambda x, k: st.broadcast_to(ONES, x.shape)[0] * 0, 4, 1, "ShapeError"),
        (lambda x, k: st.broadcast_to(ONES, x.shape) + ONES, 4, 1, "ShapeError"),
        (lambda x, k: (st.broadcast_to(ONES, x.shape) * st.broadcast_to(ONES, x.shape))[1], 4, 1, "ShapeError"),
    ],
    ids=["broadcast", "negative length", "length of a constant", "repeat", "row", "sum", "row of a product"],
)
def test_a_shape_that_holds_only_if_nothing_fails_proves_nothing(expression, rows, k, error):
    x, n = st.matrix("x"), st.lscalar("k")
    f = st.function([x, n], expression(x, n), on_unused_input="ignore")
    with pytest.raises(getattr(st.errors, error)):
        f(np.ones((rows, 3)), k)
