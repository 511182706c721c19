"""Every op's derivatives against finite differences: reverse mode, forward mode, second order."""

from __future__ import annotations

import numpy as np
import pytest
from cases_elementwise import FLAT, sample
from catalogue import ALL_OPS, BY_NAME
from gradcases import as_function, check_forward, check_reverse, check_second, unknown
from opcases import arrays, build, ops_of

import subtensor as st

SMOOTH = {name: [c for c in cases if c.grad] for name, cases in BY_NAME.items() if any(c.grad for c in cases)}
SMOOTH["zero_grad"] = []  # its derivative is not that of its value
NOT_DIFFERENTIATED = {
    # derivative zero, or integer results: see test_flat_functions
    *("and", "argmax", "argmin", "argsort", "ceil", "equal", "floor", "floor_divide", "invert", "last_occurrence"),
    *(
        "left_shift",
        "less",
        "less_equal",
        "or",
        "random_bits",
        "random_unit",
        "right_shift",
        "rint",
        "run_places",
        "run_starts",
        "searchsorted",
        "sign",
        "trunc",
        "xor",
    ),
    # about positions, lengths and shapes
    *("arange", "assume_unique", "fitting_mask", "flatnonzero", "length", "row_numbers"),
    # whose gradient is another on purpose: test_grad.py
    *("disconnected_grad", "grad_clip", "grad_scale", "zero_grad"),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_reverse_with_unknown_lengths(name):
    check_reverse(SMOOTH[name], static=False)


@pytest.mark.parametrize("name", SMOOTH)
def test_reverse_with_known_lengths(name):
    check_reverse(SMOOTH[name], static=True)


@pytest.mark.parametrize("name", SMOOTH)
def test_forward(name):
    check_forward(SMOOTH[name])


@pytest.mark.parametrize("name", SMOOTH)
def test_second_order(name):
    check_second(SMOOTH[name])


@pytest.mark.parametrize("name", ["softmax", "matmul", "power", "set_subtensor", "prod", "einsum", "logsumexp"])
def test_verify_grad_agrees(name):
    for case in SMOOTH[name][:6]:
        points = [a for v in case.args for a in arrays(v) if a.dtype == np.float64]
        st.verify_grad(as_function(case), points)


def test_every_differentiable_op_is_differentiated():
    seen = set()
    for cases in SMOOTH.values():
        for case in cases:
            seen |= ops_of(build(case, static=False)[1])
    missing = ALL_OPS - seen - NOT_DIFFERENTIATED - {"sum_to"}
    assert not missing, f"ops whose gradient no case checks: {sorted(missing)}"
    assert not NOT_DIFFERENTIATED - ALL_OPS


def test_sum_to_is_differentiated():
    like = np.ones((1, 3))
    st.verify_grad(lambda g: st.sum_to_shape_of(g, unknown_like(like)), [np.arange(6.0).reshape(2, 3)])


def unknown_like(value):
    """A constant whose shape is not known while the graph is built."""
    return st.constant(value)[: st.constant(len(value)) + st.argmax(st.constant([0.0]))]


@pytest.mark.parametrize("name", sorted(FLAT - {"invert"}))
def test_flat_functions(name):
    x = unknown("x", 1)
    y = getattr(st, name)(x)
    cost = st.sum(st.cast(y, "float64") * x)  # connected through x alone
    values = sample("float64", -2.6, 3.1)[:7]
    run = st.function([x], [st.grad(cost, x), st.cast(y, "float64")])
    g, value = run(values)
    np.testing.assert_array_equal(g, value)


@pytest.mark.parametrize(
    "name", ["less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "floor_divide"]
)
def test_flat_functions_of_two(name):
    x, y = unknown("x", 1), unknown("y", 1)
    g = st.grad(st.sum(st.cast(getattr(st, name)(x, y), "float64")), [x, y])
    gx, gy = st.function([x, y], g, on_unused_input="ignore")(np.array([1.0, 2.0]), np.array([3.0]))
    np.testing.assert_array_equal(gx, [0.0, 0.0])
    np.testing.assert_array_equal(gy, [0.0])


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("name", ["exp", "tanh", "sigmoid", "softplus", "log_softmax", "logsumexp", "square", "std"])
def test_gradients_keep_the_dtype(name, dtype):
    x = unknown("x", 1, dtype)
    g = st.grad(st.sum(getattr(st, name)(x)), x)
    assert g.dtype == dtype
    wide = unknown("x", 1)
    exact = st.function([wide], st.grad(st.sum(getattr(st, name)(wide)), wide))
    value = np.array([0.5, -1.5, 2.0])
    got = st.function([x], g)(value.astype(dtype))
    assert got.dtype == dtype
    np.testing.assert_allclose(got, exact(value), rtol=40 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).eps)


def test_a_cast_between_floats_casts_the_gradient_back():
    x = unknown("x", 1)
    g = st.grad(st.sum(st.cast(x, "float32") * np.array([2.0, -3.0], "float32")), x)
    got = st.function([x], g)(np.array([0.5, 1.5]))
    assert got.dtype == np.float64
    np.testing.assert_array_equal(got, [2.0, -3.0])


def test_a_gradient_through_integers_is_refused_or_zero():
    i = st.lvector("i")
    x = st.dvector("x")
    with pytest.raises(st.DisconnectedInputError, match="only floats have gradients"):
        st.grad(st.sum(x[i]), i)
    (g,) = st.grad(st.sum(x * st.cast(i, "float64")), [i], disconnected_inputs="ignore")
    assert g.dtype == "float64"


STABLE = [
    ("softplus", 800.0, 1.0),
    ("softplus", -800.0, 0.0),
    ("sigmoid", -800.0, 0.0),
    ("log_sigmoid", -800.0, 1.0),
    ("log_sigmoid", 800.0, 0.0),
    ("elu", -800.0, 0.0),
    ("elu", 800.0, 1.0),
    ("relu", 0.0, 0.0),
    ("abs", 0.0, 0.0),
    ("tanh", 800.0, 0.0),
    ("arctan", 1e300, 0.0),
]


@pytest.mark.parametrize(("name", "at", "slope"), STABLE)
def test_gradients_stay_finite(name, at, slope):
    x = st.dscalar("x")
    assert st.function([x], st.grad(getattr(st, name)(x), x))(at) == slope


def test_ties_share_the_gradient():
    x, y = st.dvector("x"), st.dvector("y")
    g = st.function([x, y], st.grad(st.sum(st.maximum(x, y)), [x, y]))
    gx, gy = g(np.array([1.0, 2.0]), np.array([1.0, 1.0]))
    np.testing.assert_array_equal(gx, [0.5, 1.0])
    np.testing.assert_array_equal(gy, [0.5, 0.0])
    top = st.function([x], st.grad(st.max(x), x))
    np.testing.assert_array_equal(top(np.array([3.0, 1.0, 3.0])), [0.5, 0.0, 0.5])


def test_logsumexp_of_infinities_has_no_nan_gradient():
    x = st.dvector("x")
    g = st.function([x], st.grad(st.logsumexp(x), x))
    np.testing.assert_array_equal(g(np.array([-np.inf, 0.0])), [0.0, 1.0])
    np.testing.assert_array_equal(g(np.array([1e4, 0.0])), [1.0, 0.0])


def test_power_at_zero():
    x, y = st.dvector("x"), st.dvector("y")
    g = st.function([x, y], st.grad(st.sum(x**y), [x, y]))
    gx, gy = g(np.array([0.0, 0.0, 0.0]), np.array([0.0, 1.0, 2.0]))
    np.testing.assert_array_equal(gx, [0.0, 1.0, 0.0])
    np.testing.assert_array_equal(gy[1:], [0.0, 0.0])
