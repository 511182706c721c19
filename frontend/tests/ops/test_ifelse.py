"""``ifelse``: one of two, and the other one is not computed."""

import numpy as np
import pytest

import subtensor as st

BACKENDS = ["numpy", "jax"]


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


def test_only_the_branch_that_is_taken_runs(backend):
    x, i, c = st.dvector("x"), st.lscalar("i"), st.bscalar("c")
    f = st.function([c, x, i], st.ifelse(c, x[i], x.sum()), backend=backend)
    assert f(1, [1.0, 2.0], 1) == 2
    assert f(0, [1.0, 2.0], 99) == 3
    with pytest.raises(IndexError, match=r"index 99 .*in a branch of ifelse \(.*test_ifelse.py:\d+\)"):
        f(1, [1.0, 2.0], 99)


def test_what_both_need_is_computed_once(backend):
    x, c = st.dvector("x"), st.bscalar("c")
    y = st.exp(x)
    f = st.function([c, x], st.ifelse(c, y * 2, y + 1), backend=backend)
    assert sum(i.op.name == "exp" for i in f.program.instructions) == 1
    np.testing.assert_allclose(f(1, [0.0, 1.0]), [2, 2 * np.e])
    np.testing.assert_allclose(f(0, [0.0, 1.0]), [2, np.e + 1])


def test_the_gradient_is_that_of_the_branch(backend):
    y = st.dscalar("y")
    z = st.ifelse(y > 0, st.sqrt(y), y * y)
    f = st.function([y], [z, st.grad(z, y), st.grad(st.grad(z, y), y)], backend=backend)
    assert [float(v) for v in f(0.0)] == [0, 0, 2]
    assert [float(v) for v in f(4.0)] == [2, 0.25, -1 / 32]


def test_gradients_of_what_is_within_a_branch(backend):
    table, ids, c = st.shared(np.arange(6.0).reshape(3, 2), name="table"), st.lvector("ids"), st.bscalar("c")
    subset = table[ids]
    cost = st.ifelse(c, (subset**2).sum(), st.constant(0.0))
    g = st.grad(cost, subset)
    f = st.function([c, ids], g, updates=[(table, st.inc_subtensor(subset, -0.5 * g))], backend=backend)
    np.testing.assert_array_equal(f(0, [1, 1]), np.zeros((2, 2)))
    np.testing.assert_array_equal(f(1, [1, 2]), [[4, 6], [8, 10]])
    np.testing.assert_array_equal(table.get_value(), [[0, 1], [0, 0], [0, 0]])


def test_lists_are_chosen_together(backend):
    x, c = st.dvector("x"), st.bscalar("c")
    a, b = st.ifelse(c, [st.exp(x), st.exp(x) + 1], [x, x * x])
    f = st.function([c, x], [a, b], backend=backend)
    got = f(0, [2.0, 3.0])
    assert [g.tolist() for g in got] == [[2, 3], [4, 9]]
    loops = [i for i in f.program.instructions if i.op.name == "scan"]
    assert len(loops) == 2
    assert [len(i.outs) for i in loops] == [2, 1]


def test_shapes_may_differ_on_numpy():
    x, c = st.dvector("x"), st.bscalar("c")
    f = st.function([c, x], st.ifelse(c, st.concatenate([x, x]), x), backend="numpy")
    assert f(1, [1.0]).tolist() == [1, 1]
    assert f(0, [1.0]).tolist() == [1]


def test_what_is_refused():
    x, c = st.dvector("x"), st.bscalar("c")
    with pytest.raises(st.errors.ShapeError, match="expected a scalar"):
        st.ifelse(x > 0, x, x)
    with pytest.raises(st.errors.DTypeError, match="one number of axes"):
        st.ifelse(c, x, x.sum())
    with pytest.raises(st.errors.FunctionError, match="lists of one length"):
        st.ifelse(c, [x], x)
