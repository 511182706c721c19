"""``grad`` and what is built from it: options, products with Jacobians, Hessians, changed gradients."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import subtensor as st
from subtensor.graph.nodes import DISCONNECTED

RNG = np.random.default_rng(0)


def run(inputs, outputs, *values, **options):
    return st.function(inputs, outputs, on_unused_input="ignore", **options)(*values)


# --- form and options of grad


def test_result_has_the_form_of_wrt():
    x, y = st.dvectors("xy")
    cost = st.sum(x * y)
    assert st.grad(cost, x) is st.grad(cost, [x])[0]
    assert isinstance(st.grad(cost, [x, y]), list)
    assert isinstance(st.grad(cost, (x, y)), tuple)
    assert st.grad(cost, []) == []
    a, b = st.grad(cost, [x, x])
    assert a is b


def test_subset_of_wrt_gives_the_same_gradients():
    x, y, z = st.dvectors("xyz")
    cost = st.sum(st.tanh(x * y) + z * x)
    every = st.grad(cost, [x, y, z])
    assert [st.grad(cost, v) for v in (x, y, z)] == every


def test_wrt_intermediate_nodes_gathers_every_path():
    x = st.dvector("x")
    a = x * 2
    b = a + 1
    cost = st.sum(a * b)
    ga, gb, gx = st.grad(cost, [a, b, x])
    v = np.array([1.0, -2.0])
    got = run([x], [ga, gb, gx], v)
    np.testing.assert_allclose(got[0], (2 * v + 1) + 2 * v)  # a directly, and through b
    np.testing.assert_allclose(got[1], 2 * v)
    np.testing.assert_allclose(got[2], 2 * ((2 * v + 1) + 2 * v))


def test_wrt_the_cost_itself():
    x = st.dscalar("x")
    cost = x * x
    assert run([x], st.grad(cost, cost), 3.0) == 1.0


def test_a_subset_written_twice_is_one_subset():
    t = st.shared(np.arange(12.0).reshape(4, 3), name="t")
    i = st.lvector("i")
    cost = st.sum(t[i] ** 2) + 3 * st.sum(t[i])
    assert t[i] is t[i]
    g = run([i], st.grad(cost, t[i]), np.array([1, 1]))
    np.testing.assert_allclose(g, 2 * np.array([[3.0, 4, 5], [3, 4, 5]]) + 3)
    whole = run([i], st.grad(cost, t), np.array([1, 1]))
    want = np.zeros((4, 3))
    want[1] = 2 * (2 * np.array([3.0, 4, 5]) + 3)
    np.testing.assert_allclose(whole, want)


def test_consider_constant_stops_what_flows_through():
    x = st.dscalar("x")
    a = x * x
    cost = a * x
    assert run([x], st.grad(cost, x), 3.0) == 27.0
    assert run([x], st.grad(cost, x, consider_constant=[a]), 3.0) == 9.0
    with pytest.raises(st.DisconnectedInputError):
        st.grad(a, x, consider_constant=[a])
    assert run([x], st.grad(cost, x, consider_constant=[x], disconnected_inputs="ignore"), 3.0) == 0.0


def test_known_grads_replace_or_join_the_cost():
    x = st.dvector("x")
    y = st.exp(x)
    z = st.sum(y)
    g = np.array([1.0, 10.0])
    v = np.array([0.5, -0.5])
    np.testing.assert_allclose(run([x], st.grad(None, x, known_grads={y: g}), v), g * np.exp(v))
    np.testing.assert_allclose(run([x], st.grad(None, x, known_grads=[(y, g)]), v), g * np.exp(v))
    np.testing.assert_allclose(run([x], st.grad(z, x, known_grads={y: g}), v), (g + 1) * np.exp(v))
    np.testing.assert_allclose(run([x], st.grad(z, x, known_grads={z: 2.0}), v), 3 * np.exp(v))
    with pytest.raises(st.ShapeError, match="known gradient of exp"):
        st.grad(None, x, known_grads={y: 1.0})
    with pytest.raises(st.GradientError, match="neither a cost nor known_grads"):
        st.grad(None, x)


def test_disconnected_inputs_raise_warn_ignore():
    x, y, z = st.dvector("x"), st.dvector("y"), st.dscalar("z")
    cost = st.sum(x) * z
    with pytest.raises(st.DisconnectedInputError, match=r"y.*not part of the cost's graph.*It depends on: x, z"):
        st.grad(cost, y)
    with pytest.warns(UserWarning, match="does not depend on y"):
        st.grad(cost, y, disconnected_inputs="warn")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        g = st.grad(cost, [x, y], disconnected_inputs="ignore")
    np.testing.assert_array_equal(run([x, y, z], g, np.ones(2), np.ones(3), 5.0)[1], np.zeros(3))
    with pytest.raises(st.DisconnectedInputError, match="only used where nothing is differentiated"):
        st.grad(st.sum(st.zeros(st.cast(z, "int64")) + st.sum(x)), z)
    with pytest.raises(st.GradientError, match="disconnected_inputs='drop'; expected one of raise, warn, ignore"):
        st.grad(cost, x, disconnected_inputs="drop")


def test_return_disconnected():
    x, y = st.dvectors("xy")
    cost = st.sum(x)
    options = {"disconnected_inputs": "ignore"}
    assert st.grad(cost, [x, y], return_disconnected="none", **options)[1] is None
    assert st.grad(cost, y, return_disconnected="None", **options) is None
    assert st.grad(cost, y, return_disconnected="disconnected", **options) is DISCONNECTED
    assert st.grad(cost, y, return_disconnected="zero", **options).type == y.type
    with pytest.raises(st.GradientError, match="return_disconnected='x'"):
        st.grad(cost, y, return_disconnected="x")


def test_costs_that_are_no_float_scalars():
    x = st.dvector("x")
    with pytest.raises(st.GradientError, match=r"the cost x has 1 axes; expected a scalar: reduce it with .sum\(\)"):
        st.grad(x, x)
    with pytest.raises(st.GradientError, match="is int64; expected a float"):
        st.grad(st.argmax(x), x)
    with pytest.raises(st.GradientError, match="wrt holds 3"):
        st.grad(st.sum(x), [3])


def test_what_is_no_node():
    x = st.dvector("x")
    cost = st.sum(x * x)
    for wrt in (None, 3, [None], "x"):
        for find in (st.grad, st.jacobian, st.hessian):
            with pytest.raises(
                st.GradientError, match=r"(grad|jacobian|hessian): wrt holds .*; expected symbolic variables"
            ):
                find(cost, wrt)
    with pytest.raises(st.GradientError, match="consider_constant holds 3"):
        st.grad(cost, x, consider_constant=3)
    with pytest.raises(st.GradientError, match="Lop: what is differentiated holds None"):
        st.Lop(None, x, 3.0)
    with pytest.raises(st.GradientError, match="Rop: f holds None"):
        st.Rop(None, x, x)
    assert st.grad(cost, x, consider_constant=x * x, disconnected_inputs="ignore").eval({x: np.ones(2)}).tolist() == [
        0,
        0,
    ]
    assert st.grad(cost, st.dvector("y"), disconnected_inputs="ignore", return_disconnected=None) is None


def test_gradients_are_named_after_what_they_are():
    x = st.dvector("x")
    cost = st.sum(x * x)
    cost.name = "cost"
    assert st.grad(cost, x).name == "(dcost/dx)"


def test_zero_gradients_count_as_connected():
    x = st.dvector("x")
    g = st.grad(st.sum(st.floor(x)), x)
    np.testing.assert_array_equal(run([x], g, np.array([0.5, 2.5])), [0.0, 0.0])


# --- gradients that are changed on purpose


def test_disconnected_grad_and_zero_grad():
    x = st.dvector("x")
    v = np.array([2.0, 3.0])
    for stop in (st.disconnected_grad, st.stop_gradient, st.zero_grad):
        np.testing.assert_array_equal(run([x], st.grad(st.sum(stop(x) * x), x), v), v)
        np.testing.assert_array_equal(run([x], stop(x), v), v)
    with pytest.raises(st.DisconnectedInputError, match="behind disconnected_grad"):
        st.grad(st.sum(st.disconnected_grad(x)), x)
    np.testing.assert_array_equal(run([x], st.grad(st.sum(st.zero_grad(x)), x), v), [0.0, 0.0])


def test_grad_clip_and_grad_scale():
    x = st.dvector("x")
    v = np.array([-3.0, 0.25, 3.0])
    clipped = st.grad(st.sum(st.grad_clip(x, -1, 1) ** 2), x)
    np.testing.assert_array_equal(run([x], clipped, v), [-1.0, 0.5, 1.0])
    reversed_ = st.grad(st.sum(st.grad_scale(x, -2.0) ** 2), x)
    np.testing.assert_array_equal(run([x], reversed_, v), -4 * v)
    with pytest.raises(st.GradientError, match="grad_clip: lower bound 1 above upper bound -1"):
        st.grad_clip(x, 1, -1)


# --- products with Jacobians

A = RNG.normal(size=(4, 3))
B = RNG.normal(size=(2, 4))
V = RNG.normal(size=3)


def network(x):
    """(3,) to (2,): its Jacobian and Hessians are known in closed form."""
    return st.dot(st.constant(B), st.tanh(st.dot(st.constant(A), x)))


def network_jacobian(v):
    return B @ np.diag(1 - np.tanh(A @ v) ** 2) @ A


def test_lop_and_rop_against_the_matrix():
    x = st.dvector("x")
    u, w = RNG.normal(size=2), RNG.normal(size=3)
    left, right = run([x], [st.Lop(network(x), x, u), st.Rop(network(x), x, w)], V)
    np.testing.assert_allclose(left, u @ network_jacobian(V))
    np.testing.assert_allclose(right, network_jacobian(V) @ w)


def test_lop_and_rop_of_lists():
    x, y = st.dvectors("xy")
    f = [x * y, st.sum(x) * y]
    p, q = RNG.normal(size=3), RNG.normal(size=3)
    v, w = RNG.normal(size=3), RNG.normal(size=3)
    ones = np.ones((3, 3))
    j = [[np.diag(w), np.diag(v)], [w[:, None] * ones, np.eye(3) * v.sum()]]
    got = run([x, y], st.Rop(f, [x, y], [p, q]), v, w)
    for k in range(2):
        np.testing.assert_allclose(got[k], j[k][0] @ p + j[k][1] @ q)
    got = run([x, y], st.Lop(f, [x, y], [p, q]), v, w)
    for k in range(2):
        np.testing.assert_allclose(got[k], p @ j[0][k] + q @ j[1][k])


def test_rop_of_what_does_not_depend():
    x, y = st.dvectors("xy")
    with pytest.raises(st.DisconnectedInputError, match=r"Rop: exp\(x\) does not depend on y"):
        st.Rop(st.exp(x), y, y)
    zero = st.Rop(st.exp(x), y, y, disconnected_outputs="ignore")
    np.testing.assert_array_equal(run([x, y], zero, V, V), np.zeros(3))
    np.testing.assert_array_equal(run([x], st.Rop(st.floor(x), x, x), V), np.zeros(3))


def test_rop_through_an_output_that_is_an_input():
    x = st.dvector("x")
    np.testing.assert_array_equal(run([x], st.Rop(x, x, V), V), V)
    np.testing.assert_array_equal(run([x], st.Rop([x, x * x], [x], [V])[1], V), 2 * V * V)


def test_evaluation_points_must_fit():
    x = st.dvector("x")
    with pytest.raises(st.GradientError, match="Rop: 2 evaluation points for 1 nodes"):
        st.Rop(x, [x], [V, V])
    with pytest.raises(st.ShapeError, match="of x has 2 axes; expected 1"):
        st.Rop(x, x, np.ones((2, 2)))


@pytest.mark.parametrize("shape", [(3,), (None,)], ids=str)
def test_jacobian_of_vectors(shape):
    x = st.tensor("x", "float64", shape)
    np.testing.assert_allclose(run([x], st.jacobian(network(x), x), V), network_jacobian(V))


def test_jacobian_of_tensors_and_lists():
    x, m = st.dvector("x"), st.dmatrix("m")
    y = st.dot(m, x)
    jx, jm = run([x, m], st.jacobian(y, [x, m]), V, A)
    np.testing.assert_allclose(jx, A)
    np.testing.assert_allclose(jm, np.einsum("ik,j->ikj", np.eye(4), V))
    whole = st.jacobian(st.outer(x, x), x)
    want = np.einsum("ik,j->ijk", np.eye(3), V) + np.einsum("jk,i->ijk", np.eye(3), V)
    np.testing.assert_allclose(run([x], whole, V), want)


def test_jacobian_of_no_rows():
    x = st.dvector("x")
    got = run([x], st.jacobian(x[:0] * 2, x), V)
    assert got.shape == (0, 3)
    got = run([x], st.jacobian(st.exp(x), x), np.zeros(0))
    assert got.shape == (0, 0)
    got = run([x], st.jacobian(x * st.sum(x), st.sum(x)), np.zeros(0))
    assert got.shape == (0,)


def test_jacobian_of_a_scalar_is_its_gradient():
    x = st.dvector("x")
    assert st.jacobian(st.sum(x * x), x) is st.grad(st.sum(x * x), x)


def test_jacobian_of_disconnected_inputs():
    x, y = st.dvectors("xy")
    with pytest.raises(st.DisconnectedInputError, match="does not depend on y"):
        st.jacobian(st.exp(x), y)
    got = run([x, y], st.jacobian(st.exp(x), y, disconnected_inputs="ignore"), V, V[:2])
    np.testing.assert_array_equal(got, np.zeros((3, 2)))
    with pytest.raises(st.GradientError, match="is int64; expected a float"):
        st.jacobian(st.argsort(x), x)


def test_jacobian_captures_tensors_shared_variables_and_can_be_differentiated_by_them():
    t = st.shared(A, name="t")
    x = st.dvector("x")
    j = st.jacobian(st.tanh(st.dot(t, x)), x)
    np.testing.assert_allclose(run([x], j, V), np.diag(1 - np.tanh(A @ V) ** 2) @ A)
    cost = st.sum(j**2)
    g = run([x], st.grad(cost, t), V)

    def f(a):
        return float(np.sum((np.diag(1 - np.tanh(a @ V) ** 2) @ a) ** 2))

    want = np.empty(A.shape)
    for at in np.ndindex(A.shape):
        step = np.zeros(A.shape)
        step[at] = 1e-6
        want[at] = (f(A + step) - f(A - step)) / 2e-6
    np.testing.assert_allclose(g, want, rtol=1e-5, atol=1e-7)


def test_jacobian_of_a_jacobian():
    x = st.dvector("x")
    twice = st.jacobian(st.jacobian(x**3, x), x)
    want = np.zeros((3, 3, 3))
    want[np.arange(3), np.arange(3), np.arange(3)] = 6 * V
    np.testing.assert_allclose(run([x], twice, V), want)


def test_jacobian_of_a_subset():
    t = st.shared(A, name="t")
    i = st.lvector("i")
    subset = t[i]
    got = run([i], st.jacobian(st.sum(subset**2, axis=1), subset), np.array([1, 1]))
    want = np.einsum("ik,kj->ikj", np.eye(2), 2 * A[[1, 1]])
    np.testing.assert_allclose(got, want)


# --- second order


def quartic(x):
    return st.sum(x**4) + st.sum(x) ** 2


def quartic_hessian(v):
    return np.diag(12 * v**2) + 2


@pytest.mark.parametrize("shape", [(3,), (None,)], ids=str)
def test_hessian(shape):
    x = st.tensor("x", "float64", shape)
    np.testing.assert_allclose(run([x], st.hessian(quartic(x), x), V), quartic_hessian(V))
    assert run([x], st.hessian(st.sum(x * x), x), V).shape == (3, 3)


def test_hessian_of_lists_and_matrices():
    x, m = st.dvector("x"), st.dmatrix("m")
    cost = st.sum(st.dot(m, x) ** 2)
    hx, hm = run([x, m], st.hessian(cost, [x, m]), V, A)
    np.testing.assert_allclose(hx, 2 * A.T @ A)
    np.testing.assert_allclose(hm, np.einsum("ik,j,l->ijkl", 2 * np.eye(4), V, V))
    np.testing.assert_allclose(run([x], st.hessian(st.sum(x), x), V), np.zeros((3, 3)))


def test_hessian_vector_product():
    x, y = st.dvectors("xy")
    p, q = RNG.normal(size=3), RNG.normal(size=3)
    np.testing.assert_allclose(run([x], st.hessian_vector_product(quartic(x), x, p), V), quartic_hessian(V) @ p)
    cost = st.sum(x * x * y)
    got = run([x, y], st.hessian_vector_product(cost, [x, y], [p, q]), V, 2 * V)
    np.testing.assert_allclose(got[0], 2 * 2 * V * p + 2 * V * q)
    np.testing.assert_allclose(got[1], 2 * V * p)
    np.testing.assert_array_equal(run([x], st.hessian_vector_product(st.sum(x), x, p), V), np.zeros(3))


def test_gauss_newton_vector_product():
    x = st.dvector("x")
    y = network(x)
    cost = st.sum(st.exp(y))
    p = RNG.normal(size=3)
    j = network_jacobian(V)
    h = np.diag(np.exp(B @ np.tanh(A @ V)))
    np.testing.assert_allclose(run([x], st.gauss_newton_vector_product(cost, y, x, p), V), j.T @ h @ j @ p)


def test_gauss_newton_on_lists_of_outputs_and_subsets():
    t, i = st.shared(A, name="t"), st.lvector("i")
    subset = t[i]
    a, b = st.sum(subset**2, axis=1), st.sum(subset, axis=0)
    cost = st.sum(a**2) + st.sum(b**4) + st.sum(a) * st.sum(b)
    p = RNG.normal(size=(2, 3))
    got = run([i], st.gauss_newton_vector_product(cost, [a, b], [subset], [p]), np.array([0, 2]))[0]
    s = A[[0, 2]]
    ja = np.einsum("ik,kj->ikj", np.eye(2), 2 * s).reshape(2, 6)
    jb = np.tile(np.eye(3), 2)
    j = np.vstack([ja, jb])
    h = np.zeros((5, 5))
    h[:2, :2] = 2 * np.eye(2)
    h[2:, 2:] = np.diag(12 * s.sum(0) ** 2)
    h[:2, 2:] = h[2:, :2] = 1
    np.testing.assert_allclose(got.reshape(-1), j.T @ h @ j @ p.reshape(-1))


def test_third_order():
    x = st.dscalar("x")
    g = x**5
    for _ in range(3):
        g = st.grad(g, x)
    assert run([x], g, 2.0) == 60 * 4.0


# --- verify_grad itself


def test_verify_grad_accepts_the_right_and_refuses_the_wrong():
    st.verify_grad(st.tanh, [V])
    st.verify_grad(st.tanh, [V.astype("float32")])
    st.verify_grad(st.dot, [A, V], n_tests=1, rng=np.random.RandomState(1))
    with pytest.raises(st.GradientError, match=r"verify_grad: argument 0, element \(\d,\): the gradient is"):
        st.verify_grad(lambda x: st.grad_scale(st.tanh(x), 1.001), [V])
    with pytest.raises(st.GradientError, match="argument 1 is int64; expected floats"):
        st.verify_grad(lambda x, y: x * y, [V, np.arange(3)])


# --- lengths known at run time alone


@pytest.mark.parametrize("static", [(1,), (None,)], ids=str)
def test_a_length_one_operand_has_a_gradient_of_length_one(static):
    x, y = st.dvector("x"), st.tensor("y", "float64", static)
    for f in (x + y, x * y, st.where(x > 0, y, x), st.maximum(x, y), st.dot(x, x * 0 + y)):
        g = run([x, y], st.grad(st.sum(f), y), V, np.array([1.0]))
        assert g.shape == (1,)
    t = st.set_subtensor(x[:2], y)
    np.testing.assert_array_equal(run([x, y], st.grad(st.sum(t), y), V, np.ones(1)), [2.0])
    np.testing.assert_array_equal(run([x, y], st.grad(st.sum(t), x), V, np.ones(1)), [0.0, 0.0, 1.0])
    np.testing.assert_array_equal(
        run([x, y], st.grad(st.sum(st.inc_subtensor(x[st.constant([0, 0, 1])], y)), y), V, np.ones(1)), [3.0]
    )
