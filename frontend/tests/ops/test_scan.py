"""``scan`` against the same body unrolled in Python: values, gradients, and what is refused."""

import numpy as np
import pytest

import subtensor as st

BACKENDS = ["numpy", "jax"]
rng = np.random.default_rng(0)


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


def values(backend, outputs, given=(), rewrites=True):
    """Outputs with rewrites, checked against those without."""
    inputs = [v for v, _ in given]
    args = [a for _, a in given]
    single = not isinstance(outputs, list)
    outputs = [outputs] if single else outputs
    fast = st.function(inputs, outputs, backend=backend, on_unused_input="ignore")(*args)
    slow = st.function(inputs, outputs, backend=backend, on_unused_input="ignore", rewrites=False)(*args)
    for a, b in zip(fast, slow, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    return fast[0] if single else fast


def test_one_state(backend):
    x = st.dvector("x")
    out, updates = st.scan(lambda x_t, s: s + x_t, sequences=x, outputs_info=0.0)
    assert updates == {}
    v = np.arange(5.0)
    np.testing.assert_array_equal(values(backend, out, [(x, v)]), np.cumsum(v))
    assert values(backend, out, [(x, v[:0])]).shape == (0,)


def test_taps_of_sequences_and_outputs_come_in_order(backend):
    x, y = st.dvector("x"), st.dvector("y")

    def body(a, b, c, y0, s3, s1, k):
        return a - 2 * b + 3 * c + y0 * s3 - s1 * k

    info = {"initial": st.constant([0.1, 0.2, 0.3]), "taps": [-3, -1]}
    out, _ = st.scan(body, [{"input": x, "taps": [-1, 0, 2]}, y], info, non_sequences=[st.constant(0.5)])
    xv, yv = rng.normal(size=8), rng.normal(size=8)
    s, expected = [0.1, 0.2, 0.3], []
    for t in range(5):
        new = xv[t] - 2 * xv[t + 1] + 3 * xv[t + 3] + yv[t] * s[-3] - s[-1] * 0.5
        s.append(new)
        expected.append(new)
    np.testing.assert_allclose(values(backend, out, [(x, xv), (y, yv)]), expected, rtol=1e-12)


def test_backwards_with_taps(backend):
    x = st.dvector("x")
    out, _ = st.scan(lambda a, b, s: 0.5 * s + a - 3 * b, {"input": x, "taps": [0, 1]}, 0.0, go_backwards=True)
    xv = rng.normal(size=6)
    s, expected = 0.0, []
    for t in reversed(range(5)):
        s = 0.5 * s + xv[t] - 3 * xv[t + 1]
        expected.append(s)
    np.testing.assert_allclose(values(backend, out, [(x, xv)]), expected, rtol=1e-12)


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_only_steps(backend, steps):
    n = st.lscalar("n")
    a = st.dvector("a")
    for count, given in ((steps, []), (n, [(n, np.int64(steps))])):
        out, _ = st.scan(lambda p, a: p * a, outputs_info=st.ones_like(a), non_sequences=a, n_steps=count)
        got = values(backend, [out, out.shape], [(a, np.array([2.0, 3.0])), *given])
        np.testing.assert_array_equal(got[0], [[2.0**k, 3.0**k] for k in range(1, steps + 1)] or np.zeros((0, 2)))
        assert got[1].tolist() == [steps, 2]


def test_steps_fewer_than_elements(backend):
    x = st.dvector("x")
    out, _ = st.scan(lambda x_t, s: s + x_t, x, 0.0, n_steps=3)
    np.testing.assert_array_equal(values(backend, out, [(x, np.arange(5.0))]), [0, 1, 3])


def test_several_outputs_and_none(backend):
    x = st.dmatrix("x")
    (double, total, norm), _ = st.scan(
        lambda x_t, s: [2 * x_t, s + x_t, (x_t**2).sum()], x, [None, st.zeros((3,)), None]
    )
    v = rng.normal(size=(4, 3))
    got = values(backend, [double, total, norm], [(x, v)])
    np.testing.assert_allclose(got[0], 2 * v)
    np.testing.assert_allclose(got[1], np.cumsum(v, 0))
    np.testing.assert_allclose(got[2], (v**2).sum(1))


def test_updates_are_carried(backend):
    total = st.shared(1.0, name="total")
    x = st.dvector("x")
    out, updates = st.scan(lambda x_t: (total * x_t, {total: total + x_t}), x)
    f = st.function([x], out, updates=updates, backend=backend)
    np.testing.assert_array_equal(f(np.array([1.0, 2.0, 3.0])), [1.0, 4.0, 12.0])
    assert total.get_value() == 7.0
    assert list(updates + {}) == [total]
    assert list([(total, total)] + updates) == [total]  # noqa: RUF005  # it is this that is tried


def test_only_updates(backend):
    total = st.shared(np.float64(0), name="total")
    out, updates = st.scan(lambda: [(total, total + 1)], n_steps=5)
    assert out is None
    st.function([], [], updates=updates, backend=backend)()
    assert total.get_value() == 5


def test_until(backend):
    limit = st.dscalar("limit")
    out, _ = st.scan(lambda s, m: (s * 2, st.until(s * 2 > m)), outputs_info=1.0, non_sequences=limit, n_steps=100)
    assert values(backend, out, [(limit, 45.0)]).tolist() == [2, 4, 8, 16, 32, 64]
    both, _ = st.scan(
        lambda s, m: ([s * 2, s], {}, st.scan_module.until(s * 2 > m)),
        outputs_info=[1.0, None],
        non_sequences=limit,
        n_steps=3,
    )
    got = values(backend, both, [(limit, 1000.0)])
    assert [g.tolist() for g in got] == [[2, 4, 8], [1, 2, 4]]


def test_until_has_a_gradient(backend):
    a = st.dscalar("a")
    out, _ = st.scan(lambda s, a: (s * a, st.until(s * a > 20)), outputs_info=1.0, non_sequences=a, n_steps=50)
    assert values(backend, st.grad(out[-1], a), [(a, 2.0)]) == 5 * 2.0**4
    assert values(backend, st.grad(out.sum(), a), [(a, 3.0)]) == 1 + 2 * 3 + 3 * 9


def test_an_arange_counts(backend):
    coefficients, x = st.dvector("coefficients"), st.dscalar("x")
    terms, _ = st.scan(lambda c, power, x: c * x**power, [coefficients, st.arange(10_000)], None, non_sequences=x)
    got = values(backend, terms.sum(), [(coefficients, np.array([1.0, 0.0, 2.0])), (x, np.float64(3))])
    assert got == 19
    n = st.lscalar("n")
    out, _ = st.scan(lambda k, s: s + k, st.arange(n), 0)
    assert values(backend, out, [(n, np.int64(4))]).tolist() == [0, 1, 3, 6]


def test_short_forms(backend):
    x = st.dvector("x")
    v = np.array([1.0, 2.0, 3.0])
    assert values(backend, st.map(lambda e: e * e, x)[0], [(x, v)]).tolist() == [1, 4, 9]
    assert values(backend, st.reduce(lambda e, s: s + e, x, 0.0)[0], [(x, v)]) == 6
    assert values(backend, st.foldl(lambda e, s: s * 2 + e, x, 0.0)[0], [(x, v)]) == 11
    assert values(backend, st.foldr(lambda e, s: s * 2 + e, x, 0.0)[0], [(x, v)]) == 17


def test_nested(backend):
    x = st.dmatrix("x")

    def rows(row, s):
        inner, _ = st.scan(lambda e, u, s: u * 0.5 + e * s, row, 0.0, non_sequences=s)
        return s + inner[-1]

    out, _ = st.scan(rows, x, 1.0)
    v = rng.normal(size=(3, 4))
    s, expected = 1.0, []
    for row in v:
        u = 0.0
        for e in row:
            u = u * 0.5 + e * s
        s = s + u
        expected.append(s)
    np.testing.assert_allclose(values(backend, out, [(x, v)]), expected, rtol=1e-12)
    h = 1e-6
    (g,) = (values(backend, st.grad(out[-1], x), [(x, v)]),)
    f = st.function([x], out[-1])
    for i in range(3):
        for j in range(4):
            d = np.zeros_like(v)
            d[i, j] = h
            assert abs((f(v + d) - f(v - d)) / (2 * h) - g[i, j]) < 1e-7


def unrolled(body, xs, h, n):
    hs = []
    for t in range(n):
        h = body(xs[t], h)
        hs.append(h)
    return st.stack(hs)


def recurrent(W, U):
    return lambda x_t, h: st.tanh(x_t @ U + h @ W)


def test_gradients_equal_those_of_the_unrolled_loop(backend):
    X, h0 = st.dtensor3("X"), st.dmatrix("h0")
    W, U = st.shared(rng.normal(size=(3, 3)), name="W"), st.shared(rng.normal(size=(2, 3)), name="U")
    body = recurrent(W, U)
    loop, _ = st.scan(body, X, h0)
    straight = unrolled(body, X, h0, 4)
    weights = st.constant(rng.normal(size=(4, 5, 3)))
    given = [(X, rng.normal(size=(4, 5, 2))), (h0, rng.normal(size=(5, 3)))]
    wrt = [X, h0, W, U]
    a = st.grad((loop * weights).sum(), wrt)
    b = st.grad((straight * weights).sum(), wrt)
    for p, q in zip(values(backend, a, given), values(backend, b, given), strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-9, atol=1e-12)
    a = st.grad((loop[-1] ** 2).sum(), wrt)
    b = st.grad((straight[-1] ** 2).sum(), wrt)
    for p, q in zip(values(backend, a, given), values(backend, b, given), strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-9, atol=1e-12)


def test_second_order_and_forward_mode(backend):
    X, h0 = st.dmatrix("X"), st.dvector("h0")
    W, U = st.dmatrix("W"), st.dmatrix("U")
    body = recurrent(W, U)
    loop, _ = st.scan(body, X, h0)
    straight = unrolled(body, X, h0, 3)
    given = [
        (X, rng.normal(size=(3, 2))),
        (h0, rng.normal(size=3)),
        (W, rng.normal(size=(3, 3))),
        (U, rng.normal(size=(2, 3))),
    ]
    v = st.constant(rng.normal(size=(3, 3)))
    for make in (
        lambda out: st.Rop(out, W, v),
        lambda out: st.hessian_vector_product((out**2).sum(), W, v),
        lambda out: st.grad((st.grad((out**3).sum(), X) ** 2).sum(), U),
        lambda out: st.hessian((out[-1] ** 2).sum(), h0),
        lambda out: st.jacobian(out[-1], h0),
    ):
        np.testing.assert_allclose(
            values(backend, make(loop), given), values(backend, make(straight), given), rtol=1e-8, atol=1e-11
        )


@pytest.mark.parametrize("k", [1, 2, 3, 9])
def test_truncated_gradient(backend, k):
    X, W, h0 = st.dmatrix("X"), st.dmatrix("W"), st.dvector("h0")
    loop, _ = st.scan(lambda x_t, h: st.tanh(x_t + h @ W), X, h0, truncate_gradient=k)
    h, hs = h0, []
    for t in range(4):
        if t == 4 - k:
            h = st.disconnected_grad(h)
        h = st.tanh(
            (X[t] if t >= 4 - k else st.disconnected_grad(X[t])) + h @ (W if t >= 4 - k else st.disconnected_grad(W))
        )
        hs.append(h)
    given = [(X, rng.normal(size=(4, 3))), (W, rng.normal(size=(3, 3))), (h0, rng.normal(size=3))]
    a = st.grad((loop[-1] ** 2).sum(), [X, W, h0])
    b = st.grad((hs[-1] ** 2).sum(), [X, W, h0], disconnected_inputs="ignore")
    for p, q in zip(values(backend, a, given), values(backend, b, given), strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-9, atol=1e-12)


def test_gradients_one_by_one_share_one_loop():
    X, W, U = st.dmatrix("X"), st.dmatrix("W"), st.dmatrix("U")
    out, _ = st.scan(recurrent(W, U), X, st.zeros((3,)))
    cost = (out**2).sum()
    f = st.function([X, W, U], [st.grad(cost, W), st.grad(cost, U), cost], rewrites=False)
    assert sum(i.op.name == "scan" for i in f.program.instructions) == 2


def test_a_table_read_and_written_in_the_loop(backend):
    table, ids = st.dmatrix("table"), st.lvector("ids")

    def body(i, t):
        row = t[i]
        return [row.sum(), t[i].set(row * 2 + 1)]

    (sums, tables), _ = st.scan(body, ids, [None, table])
    tv, iv = rng.normal(size=(6, 2)), np.array([1, 4, 1, -1])
    now, expected = tv.copy(), []
    for i in iv:
        expected.append(now[i].sum())
        now[i] = now[i] * 2 + 1
    got = values(backend, [sums, tables[-1]], [(table, tv), (ids, iv)])
    np.testing.assert_allclose(got[0], expected)
    np.testing.assert_allclose(got[1], now)


def test_what_is_given_is_never_written_to(backend):
    s0 = np.ones(4)
    a = st.dvector("a")
    (first, second), _ = st.scan(lambda s, u: [s * 2, s], outputs_info=[a, a], n_steps=3)
    f = st.function([a], [first[-1], second[-1]], backend=backend)
    got = f(s0)
    assert s0.tolist() == [1] * 4
    assert [g.tolist() for g in got] == [[8] * 4, [4] * 4]
    got[0][:] = 0
    assert got[1].tolist() == [4] * 4
    same, _ = st.scan(lambda s: s, outputs_info=a, n_steps=2)
    out = st.function([a], same[-1], backend=backend)(s0)
    out[:] = 5
    assert s0.tolist() == [1] * 4


def test_a_number_begins_a_state_in_the_dtype_of_what_is_returned():
    x = st.fvector("x")
    assert st.scan(lambda e, s: s + e.astype("float64"), x, 0)[0].dtype == "float64"
    assert st.scan(lambda e, s: s + 1, x, 0)[0].dtype == "int64"
    with pytest.raises(st.errors.DTypeError, match="the state"):
        st.scan(lambda e, s: (s + e).astype("float32"), x, st.constant(0.0))


E = st.errors
PAIR = [st.constant([1.0, 2.0]), st.constant([1.0])]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (
            lambda x: st.scan(lambda e, s: s + e, x, 0.0, n_steps=-1, name="walk"),
            E.DomainError,
            "'walk'.*n_steps is -1",
        ),
        (lambda x: st.scan(lambda e, s: e.astype("int64"), x, st.constant(0.0), name="walk"), E.DTypeError, "'walk'"),
        (lambda x: st.scan(lambda e, s: st.ones((3,)), x, st.zeros((2,))), E.ShapeError, "axis 0 is 3; expected 2"),
        (lambda x: st.scan(lambda: 1.0), E.FunctionError, "neither sequences nor n_steps"),
        (lambda x: st.scan(lambda e: e, st.dscalar()), E.ShapeError, "scalar"),
        (lambda x: st.scan(lambda e, s: e, x, {"initial": st.zeros((1,)), "taps": [-2]}), E.ShapeError, "at least 2"),
        (lambda x: st.scan(lambda e, s: e, x, {"initial": st.zeros((1,)), "taps": [0]}), E.FunctionError, "negative"),
        (lambda x: st.scan(lambda e: [e, e], x, [None]), E.FunctionError, "2 outputs; outputs_info has 1"),
        (lambda x: st.scan(lambda e: e * st.shared(1.0, "w"), x, strict=True), E.FunctionError, "uses w"),
        (lambda x: st.scan(lambda e: object(), x), E.FunctionError, "the body returns"),
        (lambda x: st.scan(lambda a, b: a + b, PAIR), E.ShapeError, "1 element; expected 2"),
    ],
)
def test_what_is_refused(make, error, words):
    with pytest.raises(error, match=words):
        make(st.dvector("x"))


def test_errors_name_loop_and_iteration(backend):
    table, ids = st.dvector("table"), st.lvector("ids")
    out, _ = st.scan(lambda i, s: s + table[i], ids, 0.0, name="walk")
    f = st.function([table, ids], out, backend=backend)
    with pytest.raises(IndexError, match=r"in iteration 2 of the loop 'walk' \(.*test_scan.py:\d+\)"):
        f(np.ones(3), np.array([0, 1, 7]))
    a, b = st.dvector("a"), st.dvector("b")
    out, _ = st.scan(lambda a, b: a * b, [a, b])
    f = st.function([a, b], out, backend=backend)
    with pytest.raises(ValueError, match="the sequence b has 2 elements; expected 3"):
        f(np.ones(3), np.ones(2))
    n = st.lscalar("n")
    out, _ = st.scan(lambda s: s + 1, outputs_info=0, n_steps=n)
    f = st.function([n], out[-1:], backend=backend)
    with pytest.raises(ValueError, match="n_steps is -2"):
        f(-2)
    v = st.dvector("v")
    out, _ = st.scan(lambda s: st.concatenate([s, s]), outputs_info=v, n_steps=3)
    f = st.function([v], out, backend=backend)
    with pytest.raises(ValueError, match=r"iteration 0"):
        f(np.ones(2))
