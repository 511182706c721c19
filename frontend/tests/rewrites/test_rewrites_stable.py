"""Stable forms: what tutorials write out is finite where it is defined, however large its operands."""

import numpy as np
import pytest
from scipy import special

import subtensor as st
from subtensor.graph.nodes import toposort
from subtensor.rewrites.engine import Selection, rewrite

x, v = st.dmatrix("x"), st.dvector("v")
e, ev = st.exp(x), st.exp(v)
VALUES = np.array([[-800.0, 0.0, 1.5], [800.0, 799.0, -3.0], [0.1, 0.2, -0.3]])

FORMS = {
    "sigmoid": (1 / (1 + st.exp(-x)), special.expit),
    "sigmoid, negated": (1 / (1 + st.exp(x)), lambda a: special.expit(-a)),
    "sigmoid, shifted": (1 / (1 + st.exp(-x - 2)), lambda a: special.expit(a + 2)),
    "sigmoid as a ratio": (e / (1 + e), special.expit),
    "other side": (1 - 1 / (1 + st.exp(-x)), lambda a: special.expit(-a)),
    "log of sigmoid": (st.log(st.sigmoid(x)), special.log_expit),
    "log of sigmoid, written out": (st.log(1 / (1 + st.exp(-x))), special.log_expit),
    "log of the other side": (st.log(1 - st.sigmoid(x)), lambda a: special.log_expit(-a)),
    "log1p of the other side": (st.log1p(-st.sigmoid(x)), lambda a: special.log_expit(-a)),
    "softplus": (st.log(1 + e), lambda a: np.logaddexp(0, a)),
    "softplus by log1p": (st.log1p(e), lambda a: np.logaddexp(0, a)),
    "logaddexp": (st.log(e + st.exp(2 * x)), lambda a: np.logaddexp(a, 2 * a)),
    "logsumexp": (st.log(e.sum(1)), lambda a: special.logsumexp(a, 1)),
    "logsumexp, axes kept": (st.log(e.sum(0, keepdims=True)), lambda a: special.logsumexp(a, 0, keepdims=True)),
    "logsumexp of everything": (st.log(e.sum()), special.logsumexp),
    "softmax": (e / e.sum(1, keepdims=True), lambda a: special.softmax(a, 1)),
    "softmax, new axis": (e / e.sum(1)[:, None], lambda a: special.softmax(a, 1)),
    "softmax, column": (e / e.sum(1).reshape((-1, 1)), lambda a: special.softmax(a, 1)),
    "softmax, dimshuffled": (e / e.sum(1).dimshuffle(0, "x"), lambda a: special.softmax(a, 1)),
    "softmax, transposed twice": ((e.T / e.sum(1)).T, lambda a: special.softmax(a, 1)),
    "softmax of everything": (e / e.sum(), special.softmax),
    "log of softmax": (st.log(e / e.sum(1, keepdims=True)), lambda a: special.log_softmax(a, 1)),
    "picked from it": (st.log((e / e.sum(1, keepdims=True))[st.arange(3), [2, 0, 1]]),
                       lambda a: special.log_softmax(a, 1)[np.arange(3), [2, 0, 1]]),
}  # fmt: skip


@pytest.mark.parametrize("known", [False, True], ids=["unknown lengths", "known lengths"])
@pytest.mark.parametrize("name", FORMS)
def test_large_operands(name, known):
    output, oracle = FORMS[name]
    given = st.tensor("given", "float64", VALUES.shape) if known else x
    f = st.function([given], output, givens={x: given} if known else None)
    np.testing.assert_allclose(f(VALUES), oracle(VALUES), rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("shape", [(3, 0), (0, 3), (0, 0)])
def test_sums_over_nothing_raise_no_error_that_was_not_there(shape):
    outputs = [st.log(e.sum(1)), st.log(e.sum()), e / e.sum(1, keepdims=True), e / e.sum()]
    found, plain = (st.function([x], outputs, rewrites=r)(np.zeros(shape)) for r in (True, False))
    for got, want in zip(found, plain, strict=True):
        np.testing.assert_array_equal(got, want)


def test_cost_of_logistic_regression_as_the_tutorials_write_it():
    """Theano's tutorial, on data that saturate the sigmoid from the start."""
    rng = np.random.default_rng(0)
    features, labels = rng.standard_normal((40, 784)), rng.integers(0, 2, 40)
    y = st.dvector("y")
    w, b = st.shared(10 * rng.standard_normal(784), name="w"), st.shared(0.5, name="b")
    p = 1 / (1 + st.exp(-st.dot(x, w) - b))
    losses = -y * st.log(p) - (1 - y) * st.log(1 - p)
    cost = losses.mean() + 0.01 * (w**2).sum()
    train = st.function([x, y], [p > 0.5, cost, *st.grad(cost, [w, b])])
    predicted, value, to_w, to_b = train(features, labels)
    z = features @ w.get_value() + 0.5
    expected = np.mean(np.logaddexp(0, z) - labels * z) + 0.01 * (w.get_value() ** 2).sum()
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    assert (predicted == (z > 0)).all()
    error = (special.expit(z) - labels) / 40
    np.testing.assert_allclose(to_w, error @ features + 0.02 * w.get_value(), rtol=1e-9)
    np.testing.assert_allclose(to_b, error.sum(), rtol=1e-9)
    (after,) = rewrite([cost], Selection.of(True))
    assert not {"exp", "log"} & {n.op.name for n in toposort([after]) if n.op is not None}
