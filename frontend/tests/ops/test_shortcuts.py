"""Gradients through logarithms of probabilities stay finite, and are what they were where they were finite."""

import numpy as np
import pytest

import subtensor as st
from subtensor.graph.reverse import SHORTCUTS

SPELLINGS = {
    "log_sigmoid": (lambda z: st.log(st.sigmoid(z)), lambda z: 1 - 1 / (1 + np.exp(-z))),
    "log_other_side": (lambda z: st.log(1 - st.sigmoid(z)), lambda z: -1 / (1 + np.exp(-z))),
    "log1p": (lambda z: st.log1p(-st.sigmoid(z)), lambda z: -1 / (1 + np.exp(-z))),
    "written out": (lambda z: st.log(1 / (1 + st.exp(-z))), lambda z: 1 - 1 / (1 + np.exp(-z))),
    "written out, other side": (lambda z: st.log(1 - 1 / (st.exp(-z) + 1)), lambda z: -1 / (1 + np.exp(-z))),
    "exponent not negated": (lambda z: st.log(1 / (1 + st.exp(z))), lambda z: -1 / (1 + np.exp(-z))),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_saturated_sigmoids(name):
    build, slope = SPELLINGS[name]
    z = st.dvector("z")
    values = np.array([-800.0, -40.0, -1.0, 0.0, 2.0, 40.0, 800.0])
    with np.errstate(over="ignore"):
        expected = slope(values)
    got = st.grad(build(z).sum(), z).eval({z: values})
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", SPELLINGS)
def test_agrees_with_the_steps_one_by_one(name, monkeypatch):
    z = st.dmatrix("z")
    values = np.random.default_rng(0).standard_normal((3, 4))
    cost = (SPELLINGS[name][0](z) * np.arange(4.0)).sum()
    at_once = st.grad(cost, z).eval({z: values})
    monkeypatch.setattr("subtensor.graph.reverse.SHORTCUTS", {})
    np.testing.assert_allclose(st.grad(cost, z).eval({z: values}), at_once, rtol=1e-12)


@pytest.mark.parametrize(
    "pick",
    [
        lambda p, y: st.log(p)[st.arange(y.shape[0]), y].sum(),
        lambda p, y: st.log(p[st.arange(y.shape[0]), y]).sum(),
        lambda p, y: -st.categorical_crossentropy(p, y).sum(),
    ],
)
def test_softmax_that_underflows(pick):
    x, y = st.dmatrix("x"), st.lvector("y")
    values = np.array([[0.0, 1000.0, 0.0], [0.3, 0.1, -0.2], [900.0, -900.0, 0.0]])
    labels = np.array([0, 2, 2])
    e = np.exp(values - values.max(1, keepdims=True))
    expected = np.eye(3)[labels] - e / e.sum(1, keepdims=True)
    got = st.function([x, y], st.grad(pick(st.softmax(x), y), x))(values, labels)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-15)


def test_a_probability_that_is_asked_for_is_not_passed_over():
    z = st.dvector("z")
    p = st.sigmoid(z)
    cost = (st.log(p) + st.log(1 - p)).sum()
    by_p, by_z = st.function([z], st.grad(cost, [p, z]))([0.5, -1.0])
    s = 1 / (1 + np.exp(-np.array([0.5, -1.0])))
    np.testing.assert_allclose(by_p, 1 / s - 1 / (1 - s))
    np.testing.assert_allclose(by_z, 1 - 2 * s)
    with pytest.raises(st.DisconnectedInputError):
        st.grad(cost, z, consider_constant=[p])


def test_second_derivatives():
    z = st.dvector("z")
    for build, _ in SPELLINGS.values():
        st.verify_grad(lambda v, build=build: st.grad(build(v).sum(), v), [np.array([0.3, -1.2, 2.0])])
    assert set(SHORTCUTS) == {"log", "log1p"}
    del z


def test_logistic_regression_as_the_tutorials_write_it():
    """Theano's tutorial, on data that saturate the sigmoid from the start."""
    rng = np.random.default_rng(0)
    features, labels = rng.standard_normal((400, 784)), rng.integers(0, 2, 400)
    x, y = st.dmatrix("x"), st.dvector("y")
    w, b = st.shared(rng.standard_normal(784), name="w"), st.shared(0.0, name="b")
    p = 1 / (1 + st.exp(-st.dot(x, w) - b))
    cost = (-y * st.log(p) - (1 - y) * st.log(1 - p)).mean() + 0.01 * (w**2).sum()
    gw, gb = st.grad(cost, [w, b])
    train = st.function([x, y], updates=((w, w - 0.1 * gw), (b, b - 0.1 * gb)))
    for _ in range(1500):
        train(features, labels)
    predict = st.function([x], p > 0.5)
    assert (predict(features) == labels).mean() == 1
