"""Programs and idioms of Theano's users, as they were written, against NumPy and finite differences."""

import numpy as np
import pytest

import subtensor as theano
import subtensor.tensor as T

RNG = np.random.default_rng(23)


def weights(*shape):
    return theano.shared(RNG.uniform(-0.5, 0.5, shape), borrow=True)


def check_gradients(params, cost, inputs, values):
    """The gradients of `cost` against central differences, one number of a shared variable at a time."""
    gradients = theano.function(inputs, T.grad(cost, params))(*values)
    run = theano.function(inputs, cost)
    for p, got in zip(params, gradients, strict=True):
        at = p.get_value()
        want = np.zeros_like(at)
        for i in np.ndindex(at.shape):
            sides = []
            for step in (1e-6, -1e-6):
                moved = at.copy()
                moved[i] += step
                p.set_value(moved)
                sides.append(run(*values))
            want[i] = (sides[0] - sides[1]) / 2e-6
        p.set_value(at)
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-7)


def test_minibatches_of_shared_data_with_momentum_and_early_stopping():
    x, y, i = T.matrix("x"), T.ivector("y"), T.lscalar("i")
    params = [weights(5, 4), weights(4), weights(4, 3), weights(3)]
    w1, b1, w2, b2 = params
    p = T.nnet.softmax(T.dot(T.tanh(T.dot(x, w1) + b1), w2) + b2)
    cost = -T.mean(T.log(p)[T.arange(y.shape[0]), y]) + 0.01 * (w1**2).sum() + 0.001 * abs(w2).sum()
    features, classes = RNG.normal(size=(40, 5)), RNG.integers(0, 3, 40).astype("int32")
    check_gradients(params, cost, [x, y], [features, classes])

    updates = []
    for p_, g in zip(params, T.grad(cost, params), strict=True):
        velocity = theano.shared(p_.get_value() * 0.0, broadcastable=p_.broadcastable)
        updates += [(p_, p_ - 0.1 * velocity), (velocity, 0.9 * velocity + g)]
    data, labels = theano.shared(features, borrow=True), T.cast(theano.shared(classes * 1.0), "int32")
    batch = {x: data[i * 10 : (i + 1) * 10], y: labels[i * 10 : (i + 1) * 10]}
    train = theano.function([i], cost, updates=updates, givens=batch)
    wrong = theano.function([i], T.mean(T.neq(T.argmax(p, axis=1), y)), givens=batch)
    first, best = np.mean([train(k) for k in range(4)]), (np.inf, [])
    for _ in range(60):
        loss = np.mean([train(k) for k in range(4)])
        if loss < best[0]:
            best = loss, [p_.get_value() for p_ in params]
    for p_, value in zip(params, best[1], strict=True):
        p_.set_value(value)
    assert best[0] < 0.9 * first
    want = np.argmax(np.tanh(features @ best[1][0] + best[1][1]) @ best[1][2] + best[1][3], 1) != classes
    np.testing.assert_allclose([wrong(k) for k in range(4)], want.reshape(4, 10).mean(1))


def test_unrolled_lstm_with_masks():
    hidden, steps = 4, 5
    x, mask = T.tensor3("x"), T.matrix("mask")
    w, u, b = weights(3, 4 * hidden), weights(hidden, 4 * hidden), weights(4 * hidden)
    h = c = T.alloc(np.float64(0), x.shape[1], hidden)
    states = []
    for t in range(steps):
        gates = T.dot(x[t], w) + T.dot(h, u) + b
        i, f, o = (T.nnet.sigmoid(gates[:, k * hidden : (k + 1) * hidden]) for k in range(3))
        new = f * c + i * T.tanh(gates[:, 3 * hidden :])
        on = mask[t][:, None]
        h, c = on * (o * T.tanh(new)) + (1.0 - on) * h, on * new + (1.0 - on) * c
        states.append(h)
    pooled = (T.stack(states) * mask[:, :, None]).sum(axis=0) / mask.sum(axis=0)[:, None]
    lengths = (np.arange(steps)[:, None] < [5, 3]).astype("float64")
    check_gradients([w, u, b], T.sqr(pooled).sum(), [x, mask], [RNG.normal(size=(steps, 2, 3)), lengths])


def test_words_from_their_contexts_with_a_row_for_padding():
    table, out = weights(9, 4), weights(9, 4)
    context, target, others = T.lmatrix("context"), T.lvector("target"), T.lmatrix("others")
    padded = T.set_subtensor(table[0, :], 0.0)
    h = padded[context].sum(axis=1) / T.neq(context, 0).sum(axis=1, keepdims=True)
    cost = -(
        T.log(T.nnet.sigmoid((h * out[target]).sum(axis=1)))
        + T.log(T.nnet.sigmoid(-T.batched_dot(out[others], h))).sum(axis=1)
    ).mean()
    values = [np.array([[1, 2, 0], [3, 3, 4], [5, 0, 0]]), np.array([6, 7, 6]), np.array([[1, 1], [2, 6], [8, 8]])]
    check_gradients([table, out], cost, [context, target, others], values)
    gt, go = T.grad(cost, [table, out])
    train = theano.function([context, target, others], cost, updates=[(table, table - gt), (out, out - go)])
    padding, first = table.get_value()[0], train(*values)
    assert min(train(*values) for _ in range(5)) < first
    np.testing.assert_array_equal(table.get_value()[0], padding)


def test_random_field_unrolled():
    n, k = 4, 3
    emissions, moves, start, y = weights(n, k), weights(k, k), weights(k), T.lvector("y")
    forward = start + emissions[0]
    for t in range(1, n):
        scores = forward.dimshuffle(0, "x") + moves
        top = T.max(scores, axis=0, keepdims=True)
        forward = (T.log(T.sum(T.exp(scores - top), axis=0, keepdims=True)) + top).sum(axis=0) + emissions[t]
    gold = start[y[0]] + emissions[T.arange(n), y].sum() + moves[y[:-1], y[1:]].sum()
    check_gradients([emissions, moves, start], T.logsumexp(forward) - gold, [y], [np.array([0, 2, 2, 1])])


def test_largest_k_in_their_order():
    x = T.matrix("x")
    chosen = T.sort(T.argsort(x, axis=1)[:, -2:], axis=1)
    pooled = x[T.arange(x.shape[0]).dimshuffle(0, "x"), chosen]
    value = RNG.normal(size=(3, 5))
    got, slope = theano.function([x], [pooled, T.grad((pooled**2).sum(), x)])(value)
    np.testing.assert_array_equal(got, [row[np.sort(np.argsort(row)[-2:])] for row in value])
    np.testing.assert_allclose(slope, np.where(value >= np.sort(value, 1)[:, -2:-1], 2 * value, 0))


def test_clone_replaces_as_givens_do():
    x, z = T.vectors("xz")
    cost = (x**2).sum()
    assert theano.clone(cost, replace={x: z * 2}).eval({z: [1.0, 2.0]}) == 20
    one, two = theano.clone([cost, x + z], [(x, z), (z, x)])
    run = theano.function([x, z], [one, two])
    assert [v.tolist() for v in run([1.0, 2.0], [3.0, 5.0])] == [34, [4, 7]]
    assert theano.clone_replace(cost) is cost
    with pytest.raises(theano.UpdateTypeError, match="clone: givens replaces"):
        theano.clone(cost, {x: T.matrix("m")})


def test_types_make_inputs():
    x = T.matrix("x", dtype="float32")
    y = x.type("y")
    assert (y.name, y.type, y is x) == ("y", x.type, False)
    assert x.type() is not x.type()
    assert T.TensorType("float32", (False, True))().type == T.TensorType("float32", (None, 1))
    assert T.TensorType(np.float32, [2, np.int64(3)]) == T.TensorType("float32", (2, 3))
    assert T.tensor("int8", (False, True), "v").type == T.TensorType("int8", (None, 1))
    assert T.tensor("int8", (False, True), "v").name == "v"
    assert T.tensor(dtype="int8", broadcastable=(True,)).type.shape == (1,)
    with pytest.raises(theano.DTypeError, match="'float12' is not a dtype"):
        T.TensorType("float12", ())
    with pytest.raises(theano.ShapeError, match=r"2\.5 is not a length"):
        T.TensorType("int8", (2.5,))


def test_declared_lengths_are_checked():
    x = T.matrix("x")
    with pytest.raises(theano.ShapeError, match="1"):
        (T.addbroadcast(x, 0) * 2).eval({x: np.ones((2, 3))})
    with pytest.raises(theano.ShapeError, match="axis 2 is out of bounds"):
        T.unbroadcast(x, 2)
    with pytest.raises(theano.ShapeError, match="horizontal_stack: x has 1 axis; expected matrices"):
        T.horizontal_stack(T.vector("x"), x)


def test_methods():
    x, value = T.matrix("x"), np.array([[1.0, 0.0, 3.0], [0.0, 5.0, -2.0]])
    outputs = [x.ptp(axis=1), x.nonzero_values(), x.compress([True, False, True], axis=1)]
    wants = [np.ptp(value, axis=1), value[value.nonzero()], value[:, [0, 2]]]
    for got, want in zip(theano.function([x], outputs)(value), wants, strict=True):
        np.testing.assert_array_equal(got, want)
    ids = T.lvector("ids")
    np.testing.assert_array_equal(ids.choose(value).eval({ids: [1, 0, 1]}), [0, 0, -2])


def test_flags_of_the_peers_change_nothing():
    x = T.vector("x")
    assert T.inc_subtensor(x[1:], 1.0, inplace=True, tolerate_inplace_aliasing=True) is x[1:].inc(1.0)
    assert T.set_subtensor(x[1:], 1.0, True) is x[1:].set(1.0)


def test_negative_numbers_are_not_counted_from_the_end():
    v = T.lvector("v")
    count = theano.function([v], T.bincount(v, minlength=2))
    np.testing.assert_array_equal(count([0, 3]), [1, 0, 0, 1])
    with pytest.raises(theano.BoundsError, match="out of bounds"):
        count([-1, 2])
    with pytest.raises(theano.IndexingError, match="order='A'; expected 'C' or 'F'"):
        T.unravel_index(v, (2, 3), order="A")
    with pytest.raises(theano.IndexingError, match="mode='fold'"):
        T.ravel_multi_index((v, v), (2, 3), mode="fold")


@pytest.mark.parametrize("floatx", ["float32", "float64"])
def test_floatx_is_a_dtype(floatx):
    with theano.config.change_flags(floatX=floatx):
        x = T.ivector("x")
        assert T.cast(x, "floatX").dtype == x.astype("floatX").dtype == T.zeros((2,), dtype="floatX").dtype == floatx
        assert T.vector("v", dtype="floatX").type == T.TensorType("floatX", (None,)) == T.TensorType(floatx, (False,))


def test_an_axis_that_is_no_number_is_refused():
    with pytest.raises(TypeError, match=r"argmax: axis 'rows' is not an integer"):
        T.argmax(T.matrix("x"), axis=["rows", 1])


def test_integers_have_a_gradient_of_zero():
    x = T.ivector("x")
    np.testing.assert_array_equal(T.grad((x * 2.5).sum(), x).eval({x: [1, 2]}), [0, 0])


@pytest.mark.parametrize(("ids", "wrong"), [([0, 3], 3), ([-1, 2], -1), ([0, 2], None)])
def test_positions_are_checked_before_they_are_raveled(ids, wrong):
    v = T.lvector("v")
    raveled = theano.function([v], T.ravel_multi_index((v, v), (3, 4)))
    flat = theano.function([v], T.unravel_index(v, (3, 1)))
    if wrong is None:
        assert raveled(ids).tolist() == np.ravel_multi_index((ids, ids), (3, 4)).tolist()
        np.testing.assert_array_equal(flat(ids), np.unravel_index(ids, (3, 1)))
        return
    for f in (raveled, flat):
        with pytest.raises(theano.BoundsError, match=f"index {wrong} .*expected 0 <= index < 3"):
            f(ids)


def test_raveled_positions_are_integers():
    v = T.vector("v", dtype="uint64")
    for mode in ("raise", "wrap", "clip"):
        assert T.ravel_multi_index((v, v), (3, 4), mode=mode).dtype == "int64"
