"""Streams as Theano, Aesara and PyTensor spell them; their state is kept, restored and shared as other state is."""

import numpy as np
import pytest
from scipy import stats

import subtensor as st
from subtensor import random

BACKENDS = ("numpy", "jax")


def test_each_call_draws_anew_and_a_seed_begins_again():
    srng = st.RandomStreams(seed=234)
    f = st.function([], [srng.uniform((2, 2)), srng.normal((3,))])
    first, second = f(), f()
    assert not np.array_equal(first[0], second[0])
    srng.seed(234)
    np.testing.assert_array_equal(f()[0], first[0])
    srng.seed()
    np.testing.assert_array_equal(f()[1], first[1])
    srng.seed(1)
    assert not np.array_equal(f()[0], first[0])
    other = st.RandomStreams(seed=234)
    np.testing.assert_array_equal(st.function([], other.uniform((2, 2)))(), first[0])


def test_draws_of_one_stream_are_independent():
    srng = st.RandomStreams(3)
    a, b = srng.uniform((1000,)), srng.uniform((1000,))
    x, y = st.function([], [a, b])()
    assert abs(np.corrcoef(x, y)[0, 1]) < 0.15
    assert not np.isin(x, y).any()


def test_a_stream_is_a_key_and_the_number_of_the_call():
    srng = st.RandomStream(9)
    srng.uniform()
    f = st.function([], srng.uniform(size=(4,)))
    f(), f()
    state = np.array([*random.fold_in(random.key(9), 1).eval(), 2], "uint64")
    np.testing.assert_array_equal(srng.state[1].get_value(), state)
    np.testing.assert_array_equal(random.uniform(st.constant(state), (4,)).eval(), f())
    own = st.RandomStream(9)
    k = own.next_key()
    np.testing.assert_array_equal(
        st.function([], random.uniform(k, (2,)))(), random.uniform(random.fold_in(random.key(9), 0), (2,)).eval()
    )


def test_one_draw_used_twice_is_one_draw():
    srng = st.RandomStreams(1)
    u = srng.uniform((5,))
    assert not st.function([], u - u)().any()
    nearly_zero = st.function([], u + u - 2 * u)
    assert not nearly_zero().any()


def test_no_default_updates():
    srng = st.RandomStreams(1)
    n = srng.normal((2, 2))
    f = st.function([], n, no_default_updates=True)
    np.testing.assert_array_equal(f(), f())
    g = st.function([], n, updates=srng.state_updates)
    assert not np.array_equal(g(), g())
    assert srng.updates() == srng.state_updates


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_call_that_fails_draws_nothing(backend):
    srng, i, x = st.RandomStreams(1), st.lscalar("i"), st.shared(np.zeros(3), name="x")
    u = srng.uniform((3,))
    f = st.function([i], u[i], updates=[(x, x + u)], backend=backend)
    before = srng.state[0].get_value()
    for _ in range(3):
        with pytest.raises(st.BoundsError):
            f(7)
    np.testing.assert_array_equal(srng.state[0].get_value(), before)
    assert not x.get_value().any()
    f(0)
    np.testing.assert_array_equal(srng.state[0].get_value() - before, [0, 0, 1])


def test_backends_share_a_stream():
    draws = {}
    for order in (("numpy", "jax", "numpy"), ("jax", "jax", "jax"), ("numpy", "numpy", "numpy")):
        srng = st.MRG_RandomStreams()
        u = srng.uniform((3,))
        draws[order] = [st.function([], u, backend=b)() for b in order]
    first, *others = draws.values()
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_state_is_saved_and_loaded(tmp_path):
    srng, w = st.RandomStreams(5), st.shared(np.zeros(2), name="w")
    f = st.function([], [srng.uniform((2,)), srng.binomial((4,), p=0.5)], updates=[(w, w + 1)])
    f()
    st.save(tmp_path / "state", [w, srng])
    after = [f(), f()]
    st.load(tmp_path / "state", [w, srng])
    for due in after:
        for a, b in zip(f(), due, strict=True):
            np.testing.assert_array_equal(a, b)


def test_within_to_jax():
    jax = pytest.importorskip("jax")
    from subtensor_jax import to_jax

    with jax.enable_x64(True):
        srng = st.RandomStreams(2)
        f = st.function([], [srng.normal((3,)), srng.random_integers((5,), 0, 9)])
        pure = to_jax(f)
        state = pure.initial()
        seen = []
        for _ in range(2):
            state, out = jax.jit(pure)(state)
            seen.append(out)
        for out in seen:
            a, b = f()
            np.testing.assert_allclose(out[0], a, rtol=1e-14)
            np.testing.assert_array_equal(out[1], b)


def test_to_jax_without_64_bits_says_what_to_do():
    pytest.importorskip("jax")
    from subtensor_jax import to_jax

    k = st.tensor("k", "uint64", (2,))
    pure = to_jax(st.function([k], random.uniform(k, (3,), "float32")))
    with pytest.raises(st.DTypeError, match="jax_enable_x64"):
        pure((), np.array([1, 2], "uint64"))


# --- Theano's methods


def test_theanos_methods():
    srng = st.RandomStreams(7)
    n, size = st.lscalar("n"), st.lvector("size")
    x = st.fmatrix("x")
    outputs = [
        srng.uniform((3, 4), -1.0, 1.0),
        srng.uniform(low=-1, high=1, size=x.shape, dtype="float32"),
        srng.normal(size=(n,), avg=2.0, std=0.1),
        srng.binomial(size=x.shape, n=1, p=0.3, dtype=st.config.floatX),
        srng.binomial(size=(1000,), n=10, prob=0.25),
        srng.random_integers((1000,), 3, 5),
        srng.permutation(size=(6,), n=4),
        srng.multinomial(pvals=st.constant([[0.0, 1.0], [1.0, 0.0]])),
        srng.multinomial((3,), 12, [0.5, 0.5]),
        srng.poisson((3,), 2.5),
        srng.choice((50,), a=3),
        srng.choice(size=(2,), a=[5.0, 7.0], replace=False, dtype=None),
        srng.shuffle_row_elements(x),
        srng.uniform(size, ndim=2),
    ]
    got = st.function([n, size, x], outputs)(3, [2, 5], np.arange(8, dtype="float32").reshape(2, 4))
    u, v, z, b, ten, ints, orders, one, twelve, came, chosen, both, rows, wide = got
    assert (u.shape, u.dtype, v.shape, v.dtype, z.shape) == ((3, 4), np.float64, (2, 4), np.float32, (3,))
    assert (np.abs(u) <= 1).all()
    assert (np.abs(z - 2) < 1).all()
    assert b.dtype == np.float64
    assert set(np.unique(b)) <= {0, 1}
    assert ten.dtype == np.int64
    assert stats.kstest(ten - 0.5, stats.binom(10, 0.25).cdf).statistic < 1
    assert abs(ten.mean() - 2.5) < 0.3
    assert set(ints) == {3, 4, 5}
    assert (np.sort(orders, 1) == np.arange(4)).all()
    assert orders.shape == (6, 4)
    assert one.tolist() == [[0, 1], [1, 0]]
    assert (twelve.shape, twelve.sum(1).tolist()) == ((3, 2), [12] * 3)
    assert (came.shape, came.dtype) == ((3,), np.int64)
    assert set(chosen) == {0, 1, 2}
    assert sorted(both) == [5.0, 7.0]
    assert (np.sort(rows, 1) == np.arange(8).reshape(2, 4)).all()
    assert wide.shape == (2, 5)


def test_mrgs_methods():
    srng = st.MRG_RandomStreams(seed=3, use_cuda=False)
    p = np.array([[0.5, 0.5, 0.0], [0.0, 0.1, 0.9]])
    outputs = [
        srng.normal((500,), truncate=True),
        srng.truncated_normal((500,), 5.0, 0.5),
        srng.multinomial(n=1, pvals=p, dtype="float32"),
        srng.multinomial_wo_replacement(pvals=p, n=2),
        srng.choice(size=2, a=3, replace=False, p=p),
        srng.choice(size=40, a=None, p=p),
    ]
    a, b, one, two, same, many = st.function([], outputs)()
    assert np.abs(a).max() <= 2
    assert (np.abs(b - 5) <= 1).all()
    assert (one.dtype, one.shape, one.sum(1).tolist()) == (np.float32, (2, 3), [1, 1])
    for pairs in (two, same):
        assert sorted(pairs[0]) == [0, 1]
        assert sorted(pairs[1]) == [1, 2]
    assert many.shape == (2, 40)
    assert set(many[0]) == {0, 1}
    assert set(many[1]) <= {1, 2}


def test_pytensors_methods():
    srng = st.RandomStream(seed=234)
    rows = np.arange(6.0).reshape(3, 2)
    outputs = [
        srng.normal(0, 1, size=(2, 2)),
        srng.uniform(0, [1.0, 10.0]),
        srng.bernoulli(0.5, size=(100,)),
        srng.binomial(3, 0.5, size=(100,)),
        srng.integers(5, 8, size=(100,)),
        srng.integers(4, size=(100,)),
        srng.choice(rows, size=(2,), replace=False),
        srng.categorical([[0.0, 1.0], [1.0, 0.0]]),
        srng.multinomial(5, [0.5, 0.5]),
        srng.permutation(rows),
        srng.permutation(5),
        srng.gumbel(size=(3,)),
        srng.exponential(2.0, size=(2000,)),
        srng.random((3,)),
        srng.standard_normal((3,)),
        srng.poisson([1.0, 40.0], size=(300, 2), dtype="int32"),
    ]
    got = st.function([], outputs)()
    assert got[1].shape == (2,)
    assert set(got[2]) == {0, 1}
    assert set(got[3]) == {0, 1, 2, 3}
    assert set(got[4]) == {5, 6, 7}
    assert set(got[5]) == {0, 1, 2, 3}
    assert got[6].shape == (2, 2)
    assert got[7].tolist() == [1, 0]
    assert got[8].sum() == 5
    assert sorted(map(tuple, got[9])) == sorted(map(tuple, rows))
    assert sorted(got[10]) == list(range(5))
    assert abs(got[12].mean() - 2) < 0.3
    assert got[15].dtype == np.int32
    assert (np.abs(got[15].mean(0) - [1, 40]) < [0.3, 2]).all()


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda s: s.binomial((2,), p=1.5), st.DomainError, "expected a probability, between 0 and 1"),
        (lambda s: s.binomial((2,), p=0.5, prob=0.5), st.DomainError, "given twice"),
        (lambda s: s.binomial((2,), n=[1, 2]), st.Unsupported, "expected an integer scalar"),
        (lambda s: s.uniform((2, 3), ndim=3), st.ShapeError, "has 2 axes, but ndim=3"),
        (lambda s: s.random_integers((2,), 3, 2), st.DomainError, "high > low"),
        (lambda s: s.weibull((2,)), AttributeError, "RandomStreams has no 'weibull'; it has binomial, choice"),
        (lambda s: s.shuffle_row_elements(1.0), st.ShapeError, "has no rows"),
    ],
)
def test_what_is_refused(call, error, text):
    with pytest.raises(error, match=text):
        call(st.RandomStreams(1))


def test_seeds():
    assert not np.array_equal(st.RandomStreams().uniform((3,)).eval(), st.RandomStreams().uniform((3,)).eval())
    with pytest.raises(st.DomainError, match="out of range"):
        st.RandomStreams(-1)
    srng = st.RandomStreams(1)
    srng.uniform()
    before = srng.state[0].get_value()
    with pytest.raises(st.DomainError):
        srng.seed(-1)
    np.testing.assert_array_equal(srng.state[0].get_value(), before)
    assert np.array_equal(st.MRG_RandomStreams().uniform((3,)).eval(), st.MRG_RandomStreams(12345).uniform((3,)).eval())


@pytest.mark.parametrize("backend", BACKENDS)
def test_probabilities_at_the_call(backend):
    p, srng = st.dscalar("p"), st.RandomStreams(1)
    f = st.function([p], srng.binomial((4,), p=p), backend=backend)
    before = srng.state[0].get_value()
    with pytest.raises(st.DomainError, match=r"binomial: p holds 1\.5; expected a probability, between 0 and 1"):
        f(1.5)
    np.testing.assert_array_equal(srng.state[0].get_value(), before)
    assert f(1.0).tolist() == [1, 1, 1, 1]
    assert f(0.0).tolist() == [0, 0, 0, 0]
