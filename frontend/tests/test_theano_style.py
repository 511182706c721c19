"""Calls that programs written for Theano make, with only the import changed."""

from __future__ import annotations

import numpy as np
import pytest

import subtensor as st
import subtensor.tensor as T

RNG = np.random.default_rng(2)
X = RNG.normal(size=(5, 4))
Y = np.array([0, 2, 1, 2, 0])


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def check(inputs, outputs, values, wants):
    for got, want in zip(st.function(inputs, outputs)(*values), wants, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)
        assert got.dtype == np.asarray(want).dtype
        assert got.shape == np.shape(want)


def test_logistic_regression():
    w = st.shared(RNG.normal(size=(4, 3)), name="W", borrow=True)
    b = st.shared(np.zeros(3), name="b")
    x, y = T.matrix("x"), T.lvector("y")
    p = T.softmax(T.dot(x, w) + b)
    nll = -T.mean(T.log(p)[T.arange(y.shape[0]), y])
    errors = T.mean(T.neq(T.argmax(p, axis=1), y))
    z = softmax(X @ w.get_value())
    check([x, y], [nll, errors], [X, Y], [-np.log(z[np.arange(5), Y]).mean(), (z.argmax(1) != Y).mean()])
    gw, gb = T.grad(nll, [w, b])
    residual = (z - np.eye(3)[Y]) / 5
    check([x, y], [gw, gb], [X, Y], [X.T @ residual, residual.sum(0)])


def test_window_of_embeddings():
    emb = st.shared(RNG.normal(size=(7, 3)), name="emb")
    idx = T.imatrix("idx")
    e = emb.get_value()
    ids = np.array([[0, 1], [6, 6], [3, 0]], "int32")
    x = emb[idx].reshape((idx.shape[0], 2 * 3))
    check([idx], [x, T.grad(T.sum(x**2), emb[idx])], [ids], [e[ids].reshape(3, 6), 2 * e[ids]])
    check([idx], [emb[T.flatten(idx)].sum(axis=0)], [ids], [e[ids.reshape(-1)].sum(0)])


def test_comparisons_and_switch():
    x = T.matrix("x")
    outputs = [
        T.eq(x, 0), T.neq(x, 0), T.lt(x, 0), T.gt(x, 0), T.le(x, 0), T.ge(x, 0),
        T.switch(T.gt(x, 0), x, 0.01 * x), T.switch(T.eq(x, 0), 1, 2), T.maximum(x, 0), T.clip(x, -0.5, 0.5),
        T.cast(x > 0, "int32"), T.sgn(x), T.sqr(x), T.inv(x),
    ]  # fmt: skip
    wants = [
        X == 0, X != 0, X < 0, X > 0, X <= 0, X >= 0,
        np.where(X > 0, X, 0.01 * X), np.where(X == 0, 1, 2), np.maximum(X, 0), np.clip(X, -0.5, 0.5),
        (X > 0).astype("int32"), np.sign(X), X * X, 1 / X,
    ]  # fmt: skip
    check([x], outputs, [X], wants)


def test_shapes_and_products():
    x, v, t3 = T.matrix("x"), T.vector("v"), T.tensor3("t3")
    a, b = RNG.normal(size=4), RNG.normal(size=(5, 4, 2))
    outputs = [
        x + v.dimshuffle("x", 0), x.dimshuffle(0, "x", 1), x.dimshuffle(1, 0), x.T, x.flatten(), T.flatten(x, 1),
        T.concatenate([x, x], axis=1), T.stack([v, v]), T.join(0, x, x), T.tile(v, 3), T.repeat(x, 2, axis=0),
        T.alloc(0.0, x.shape[0], 2), T.zeros((x.shape[0], 3)), T.ones_like(x), T.eye(4), T.diag(v), T.arange(3),
        T.tensordot(x, t3, [[1], [1]]), T.batched_dot(x, t3), T.dot(x, v), T.outer(v, v), T.shape_padright(v),
        T.max(x), T.max(x, axis=1), T.argmax(x, axis=0), T.mean(x, dtype="float64"), x.norm(2), x.sum(axis=-1),
        T.prod(x, axis=0), T.std(x), T.var(x, axis=1), T.any(x > 2), T.all(x < 9), T.abs_(x), T.sort(v),
        x[:1] + x,
        x.nonzero()[0], x[x.nonzero()], T.nonzero(x)[1], x.shape[0], x.size, T.set_subtensor(x[0, :], 0.0),
        T.inc_subtensor(x[:, 1], 1.0), T.logsumexp(x, axis=1), T.sum(x, axis=[0, 1]), x.std(axis=0),
    ]  # fmt: skip
    first, plus = X.copy(), X.copy()
    first[0] = 0
    plus[:, 1] += 1
    wants = [
        X + a, X[:, None], X.T, X.T, X.reshape(-1), X.reshape(-1),
        np.hstack([X, X]), np.stack([a, a]), np.vstack([X, X]), np.tile(a, 3), X.repeat(2, 0),
        np.zeros((5, 2)), np.zeros((5, 3)), np.ones((5, 4)), np.eye(4), np.diag(a), np.arange(3),
        np.tensordot(X, b, [[1], [1]]), np.einsum("bi,bij->bj", X, b), X @ a, np.outer(a, a), a[:, None],
        X.max(), X.max(1), X.argmax(0), X.mean(), np.sqrt((X**2).sum()), X.sum(-1),
        X.prod(0), X.std(), X.var(1), (X > 2).any(), (X < 9).all(), abs(X), np.sort(a),
        X[:1] + X,
        X.nonzero()[0], X[X.nonzero()], X.nonzero()[1], 5, 20, first,
        plus, np.log(np.exp(X).sum(1)), X.sum(), X.std(0),
    ]  # fmt: skip
    run = st.function([x, v, t3], outputs)
    for k, (got, want) in enumerate(zip(run(X, a, b), wants, strict=True)):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14, err_msg=str(k))
        assert got.dtype == np.asarray(want).dtype, k
        assert got.shape == np.shape(want), k


def test_masks_and_shifts():
    x, emb = T.matrix("x"), T.matrix("emb")
    shifted = T.set_subtensor(T.zeros_like(emb)[1:], emb[:-1])
    kept = T.set_subtensor(x[T.lt(x, 0).nonzero()], 0)
    want = np.zeros_like(X)
    want[1:] = X[:-1]
    check([x, emb], [shifted, kept], [X, X], [want, np.maximum(X, 0)])


def test_losses_of_networks():
    x, y, t = T.matrix("x"), T.lvector("y"), T.vector("t")
    p = softmax(X)
    s = 1 / (1 + np.exp(-X[:, 0]))
    target = np.array([0.0, 1, 1, 0, 1])
    outputs = [
        T.categorical_crossentropy(T.softmax(x), y).mean(),
        T.logsoftmax(x),
        T.binary_crossentropy(T.sigmoid(x[:, 0]), t),
        T.relu(x),
        T.softplus(x),
    ]
    wants = [
        -np.log(p[np.arange(5), Y]).mean(),
        np.log(p),
        -(target * np.log(s) + (1 - target) * np.log(1 - s)),
        np.maximum(X, 0),
        np.log1p(np.exp(X)),
    ]
    check([x, y, t], outputs, [X, Y, target], wants)


def test_leaves():
    assert [v.name for v in T.matrices("xyz")] == ["x", "y", "z"]
    assert [v.name for v in T.ivectors("a", "bc")] == ["a", "bc"]
    assert [v.type.shape for v in T.dscalars(2)] == [(), ()]
    kinds = {"scalar": 0, "vector": 1, "matrix": 2, "row": 2, "col": 2, "tensor3": 3, "tensor4": 4}
    dtypes = {"b": "int8", "w": "int16", "i": "int32", "l": "int64", "f": "float32", "d": "float64", "": "float64"}
    for kind, ndim in kinds.items():
        for prefix, dtype in dtypes.items():
            v = getattr(T, prefix + kind)("v")
            assert (v.dtype, v.ndim, v.name) == (dtype, ndim, "v")
    assert T.row().broadcastable == (True, False)
    assert T.col().broadcastable == (False, True)
    assert T.vector("v", dtype="int8").dtype == "int8"
    assert T.tensor("float32", shape=(None, 3)).type.shape == (None, 3)
    assert T.tensor("float32", shape=(None, 3)).dtype == "float32"
    assert T.tensor("t", "int8", (2,)).dtype == "int8"
    assert T.as_tensor_variable([1, 2]).dtype == "int64"
    with pytest.raises(st.ShapeError, match="-1 is not a length"):
        T.tensor("t", shape=(-1,))
    with pytest.raises(st.DTypeError, match="complex64 is not supported"):
        T.tensor("t", "complex64", ())
    with pytest.raises(st.DTypeError, match="'float12' is not a dtype"):
        T.vector("t", dtype="float12")
