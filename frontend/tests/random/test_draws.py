"""What draws are: their formulas, their distributions, their gradients, and equality of backends."""

import math

import numpy as np
import pytest
from scipy import stats

import subtensor as st
from subtensor import random

KEY = random.key(20240707)
N = 100_000
EXACT = {
    "uniform": random.uniform(KEY, (N,)),
    "uniform of float32": random.uniform(KEY, (N,), "float32"),
    "uniform of float16": random.uniform(KEY, (N,), "float16"),
    "bernoulli": random.bernoulli(KEY, 0.3, (N,)),
    "integers": random.integers(KEY, (N,), -3, 12),
    "wide integers": random.integers(KEY, (N,), -(2**62), 2**62),
    "small integers": random.integers(KEY, (N,), 0, 256, "uint8"),
    "permutation": random.permutation(KEY, 1000),
    "poisson": random.poisson(KEY, np.array([0.0, 0.3, 25.0]), (4000, 3)),
    "choice": random.choice(KEY, 20, (N,)),
    "choice without replacement": random.choice(KEY, 100, (40,), replace=False),
    "weighted choice": random.choice(KEY, 4, (N,), p=np.array([0.1, 0.0, 0.6, 0.3])),
    "categorical": random.categorical(KEY, np.log([[0.2, 0.8], [0.5, 0.5]]), shape=(N, 2)),
    "multinomial": random.multinomial(KEY, 100, np.array([[0.2, 0.8, 0.1], [0.5, 0.5, 0.0]])),
}
NEAR = {
    "normal": (random.normal(KEY, (N,)), 8),
    "normal of float32": (random.normal(KEY, (N,), "float32"), 8),
    "gumbel": (random.gumbel(KEY, (N,)), None),
    "exponential": (random.exponential(KEY, (N,)), 4),
    "truncated normal": (random.truncated_normal(KEY, (N,)), None),
}


@pytest.fixture(scope="module")
def drawn():
    """Everything, by each backend."""
    nodes = [*EXACT.values(), *(n for n, _ in NEAR.values())]
    names = [*EXACT, *NEAR]
    return {b: dict(zip(names, st.function([], nodes, backend=b)(), strict=True)) for b in ("numpy", "jax")}


@pytest.mark.parametrize("name", EXACT)
def test_backends_are_equal_bit_for_bit(name, drawn):
    a, b = (drawn[backend][name] for backend in ("numpy", "jax"))
    assert a.dtype == b.dtype
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", NEAR)
def test_backends_agree_within_ulps(name, drawn):
    a, b = (drawn[backend][name] for backend in ("numpy", "jax"))
    assert a.dtype == b.dtype
    ulps = NEAR[name][1]
    if ulps is None:  # logarithms of what is near 1, and differences of erf: absolute
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)
    else:
        assert (np.abs(a - b) <= ulps * np.spacing(np.abs(a))).all()


@pytest.mark.parametrize("backend", ["numpy", "jax"])
@pytest.mark.parametrize(
    ("name", "law"),
    [
        ("uniform", stats.uniform()),
        ("uniform of float32", stats.uniform()),
        ("normal", stats.norm()),
        ("normal of float32", stats.norm()),
        ("gumbel", stats.gumbel_r()),
        ("exponential", stats.expon()),
        ("truncated normal", stats.truncnorm(-2, 2)),
    ],
)
def test_a_distribution(name, law, backend, drawn):
    values = drawn[backend][name].astype("float64")
    assert stats.kstest(values, law.cdf).pvalue > 1e-3
    assert abs(values.mean() - law.mean()) < 5 * law.std() / math.sqrt(N)
    lag = np.corrcoef(values[1:], values[:-1])[0, 1]
    assert abs(lag) < 5 / math.sqrt(N)


@pytest.mark.parametrize(
    ("name", "shares"),
    [
        ("bernoulli", [0.7, 0.3]),
        ("choice", [0.05] * 20),
        ("weighted choice", [0.1, 0.0, 0.6, 0.3]),
        ("small integers", [1 / 256] * 256),
    ],
)
def test_a_discrete_distribution(name, shares, drawn):
    counts = np.bincount(drawn["numpy"][name].astype("int64"), minlength=len(shares))
    due = np.array(shares) * N
    assert not counts[due == 0].any()
    assert stats.chisquare(counts[due > 0], due[due > 0]).pvalue > 1e-3


def test_rows_of_weights_have_distributions_of_their_own(drawn):
    rows = drawn["numpy"]["categorical"]
    assert rows.shape == (N, 2)
    assert abs(rows[:, 0].mean() - 0.8) < 0.01
    assert abs(rows[:, 1].mean() - 0.5) < 0.01
    counts = drawn["numpy"]["multinomial"]
    assert counts.sum(1).tolist() == [100, 100]
    assert counts[1, 2] == 0


def test_counts_of_what_comes_at_random(drawn):
    counts = drawn["numpy"]["poisson"]
    assert counts.dtype == "int64"
    assert not counts[:, 0].any()
    for column, mean in ((1, 0.3), (2, 25.0)):
        top = int(mean + 3 * mean**0.5)
        seen = np.bincount(np.minimum(counts[:, column], top), minlength=top + 1)
        due = 4000 * np.append(stats.poisson.pmf(np.arange(top), mean), stats.poisson.sf(top - 1, mean))
        few = due < 8
        seen, due = np.append(seen[~few], seen[few].sum()), np.append(due[~few], due[few].sum())
        assert stats.chisquare(seen[due > 0], due[due > 0]).pvalue > 1e-3


def test_means_that_are_known_at_the_call_alone():
    mean = st.dvector()
    counts = random.poisson(KEY, mean, (50, 2))
    f = st.function([mean], counts)
    assert (f([0.3, 25.0]) == random.poisson(KEY, [0.3, 25.0], (50, 2)).eval()).all()
    with pytest.raises(st.DomainError, match=r"holds -1.0 at \[1\]; expected a mean, between 0 and 1e9"):
        f([1.0, -1.0])
    gradient = st.grad((counts * mean).sum(), mean)
    assert (st.function([mean], [gradient, counts.sum(0)])([2.0, 3.0])[0] > 0).all()


def test_uniform_is_numpys():
    for dtype in ("float32", "float64"):
        due = np.random.Generator(np.random.Philox(key=9)).random((3, 5), dtype=dtype)
        np.testing.assert_array_equal(random.uniform(random.key(9), (3, 5), dtype).eval(), due)


def test_the_formula_of_normal():
    u = random.uniform(KEY, (N,)).eval().astype(np.longdouble)
    v = np.random.Generator(np.random.Philox(key=20240707, counter=3 << 192)).random(N).astype(np.longdouble)
    due = np.sqrt(-2 * np.log1p(-u)) * np.sin(np.longdouble("3.14159265358979323846264338327950288") * (v - 0.5))
    for dtype, got in (("float64", random.normal(KEY, (N,)).eval()),):
        assert (np.abs(got - due) <= 5 * np.spacing(np.abs(got))).all(), dtype


def test_a_prefix_of_a_draw_is_the_shorter_draw():
    for draw in (random.uniform, random.normal, random.gumbel, random.bits):
        np.testing.assert_array_equal(draw(KEY, (50,)).eval()[:7], draw(KEY, (7,)).eval())


def test_lengths_at_the_call_and_shapes_of_parameters():
    n, m = st.lscalar("n"), st.dmatrix("m")
    f = st.function(
        [n, m], [random.normal(KEY, (n, 2)), random.uniform(KEY, low=m, high=m + 1), random.bernoulli(KEY, m)]
    )
    a, b, c = f(3, np.zeros((2, 4)))
    assert (a.shape, b.shape, c.shape) == ((3, 2), (2, 4), (2, 4))
    assert not c.any()
    x = st.dmatrix("x")
    g = st.function([x], random.uniform(KEY, x.shape))
    assert g(np.ones((2, 3))).shape == (2, 3)
    with pytest.raises(st.ShapeError, match="do not fit a shape of 1"):
        random.normal(KEY, (3,), loc=np.zeros((2, 3)))


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_gradients_go_through_parameters(backend):
    low, high, loc, scale = (st.dscalar(n) for n in ("low", "high", "loc", "scale"))
    drawn = random.uniform(KEY, (5,), low=low, high=high).sum() + random.normal(KEY, (5,), loc=loc, scale=scale).sum()
    f = st.function(
        [low, high, loc, scale], st.grad(drawn, [low, high, loc, scale]), backend=backend, on_unused_input="ignore"
    )
    u, z = random.uniform(KEY, (5,)).eval(), random.normal(KEY, (5,)).eval()
    np.testing.assert_allclose(f(1.0, 2.0, 3.0, 4.0), [5 - u.sum(), u.sum(), 5, z.sum()], rtol=1e-12)


def test_a_key_has_a_gradient_of_zero():
    seed = st.dscalar("seed")
    cost = random.uniform(random.key(seed.astype("int64")), (3,)).sum()
    assert float(st.function([seed], st.grad(cost, seed), on_unused_input="ignore")(5.0)) == 0


def test_dropout():
    x = st.dmatrix("x")
    data = np.random.default_rng(0).normal(size=(200, 100))
    out, g = st.function([x], [d := random.dropout(KEY, x, 0.25), st.grad(d.sum(), x)])(data)
    kept = out != 0
    assert abs(kept.mean() - 0.75) < 0.01
    np.testing.assert_allclose(out[kept], data[kept] / 0.75)
    np.testing.assert_allclose(g, kept / 0.75)
    rows = st.function([x], random.dropout(KEY, x, 0.5, (200, 1)))(data)
    assert ((rows == 0).all(1) | (rows != 0).all(1)).all()
    assert random.dropout(KEY, st.fmatrix(), 0.5).dtype == "float32"


def test_permutations():
    order = random.permutation(KEY, 50).eval()
    assert sorted(order) == list(range(50))
    rows = np.arange(12.0).reshape(4, 3)
    got = random.permutation(KEY, rows).eval()
    assert sorted(map(tuple, got)) == sorted(map(tuple, rows))
    first = np.array([random.permutation(random.key(s), 3).eval() for s in range(1200)])
    _, counts = np.unique(first, axis=0, return_counts=True)
    assert len(counts) == 6
    assert stats.chisquare(counts).pvalue > 1e-3


P, LOGITS, N_ = st.dvector("p"), st.dmatrix("logits"), st.lscalar("n")


@pytest.mark.parametrize("backend", ["numpy", "jax"])
@pytest.mark.parametrize(
    ("node", "bad", "text"),
    [
        (
            lambda: random.bernoulli(KEY, P),
            [0.5, 1.5],
            r"bernoulli: p holds 1.5 at \[1\]; expected a probability, between 0 and 1",
        ),
        (lambda: random.bernoulli(KEY, P), [0.5, -0.1], r"p holds -0.1 at \[1\]; expected a probability"),
        (lambda: random.bernoulli(KEY, P), [math.nan], r"p holds nan at \[0\]; expected a probability"),
        (
            lambda: random.choice(KEY, 2, (3,), p=P),
            [0.5, -1.0],
            r"choice: p holds -1.0 at \[1\]; expected weights that are finite",
        ),
        (lambda: random.choice(KEY, 2, (3,), p=P), [math.inf, 1.0], r"p holds inf at \[0\]; expected weights"),
        (lambda: random.choice(KEY, 2, (3,), p=P), [0.0, 0.0], "expected at least one positive weight"),
        (lambda: random.choice(KEY, 3, (2,), replace=False, p=P), [0.0, 0.0, 1.0], "as many to choose from"),
        (lambda: random.alias_table(P), [1.0, math.nan], r"alias_table: p holds nan at \[1\]; expected weights"),
        (lambda: random.dropout(KEY, P, P[0]), [1.0, 2.0], "expected a rate"),
        (lambda: random.categorical(KEY, P), [math.nan, 1.0], "expected weights"),
    ],
)
def test_values_out_of_range_at_the_call(node, bad, text, backend):
    n = st.shared(np.int64(0), name="count")
    n.default_update = n + 1
    f = st.function([P], [node(), n], backend=backend)
    with pytest.raises(st.DomainError, match=text):
        f(np.array(bad))
    assert int(n.get_value()) == 0


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_empty_ranges_at_the_call(backend):
    f = st.function([N_], random.integers(KEY, (3,), 2, N_), backend=backend)
    assert set(f(3).tolist()) == {2}
    with pytest.raises(st.DomainError, match=r"expected at least one integer in \[low, high\)"):
        f(2)
    g = st.function([N_], random.choice(KEY, N_, (2,), replace=False), backend=backend)
    assert sorted(g(2).tolist()) == [0, 1]
    with pytest.raises(st.DomainError, match="as many to choose from"):
        g(1)


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: random.bernoulli(KEY, 1.5), st.DomainError, "holds 1.5; expected a probability"),
        (lambda: random.bernoulli(KEY, [0.5, -1]), st.DomainError, r"holds -1.0 at \[1\]; expected a probability"),
        (lambda: random.integers(KEY, (2,), 5, 5), st.DomainError, "high > low"),
        (lambda: random.integers(KEY, (2,), 300, dtype="uint8"), st.DomainError, "beyond uint8"),
        (lambda: random.integers(KEY, (2,), 1.5), st.DTypeError, "is no integer"),
        (lambda: random.permutation(KEY, 2.5), st.DTypeError, "no number of things"),
        (lambda: random.categorical(KEY, [1, 2]), st.DTypeError, "holds no logits"),
        (lambda: random.choice(KEY, 3, p=np.ones((3, 3))), st.ShapeError, "one weight for each"),
        (lambda: random.choice(KEY, 3, p=np.ones(4)), st.ShapeError, "reshape"),
        (lambda: random.poisson(KEY, [2.0, -1]), st.DomainError, r"holds -1.0 at \[1\]; expected a mean"),
        (lambda: random.poisson(KEY, 2.0, dtype="float32"), st.DTypeError, "holds no counts"),
        (lambda: random.multinomial(KEY, 2.0, [0.5, 0.5]), st.DTypeError, "no number of draws"),
        (lambda: random.dropout(KEY, st.lvector()), st.DTypeError, "holds no floats"),
        (lambda: random.dropout(KEY, st.dvector(), 1), st.DomainError, "a rate"),
        (lambda: random.alias_draw(KEY, st.dmatrix()), st.DTypeError, "is no table"),
        (lambda: random.alias_table(st.dmatrix()), st.ShapeError, "a vector of weights"),
    ],
)
def test_what_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()


# --- aliases


@pytest.mark.parametrize("n", [1, 2, 3, 17, 1000, 65537])
def test_a_table_of_aliases_has_the_weights(n):
    """The probabilities that a table stands for, added up in fractions of 2**62."""
    rng = np.random.default_rng(n)
    for weights in (
        rng.random(n),
        1.0 / np.arange(1, n + 1),
        (rng.random(n) < 0.3) + (np.arange(n) == n // 2) * 1.0,
        np.ones(n),
    ):
        table = random.alias_table(weights).eval()
        own = table[:, 0] / 2.0**62
        assert table[:, 1].min() >= 0
        assert table[:, 1].max() < n
        has = own.copy()
        np.add.at(has, table[:, 1], 1 - own)
        np.testing.assert_allclose(has / n, weights / weights.sum(), rtol=1e-9, atol=1e-15)
        assert not has[weights == 0].any()


def test_tables_are_equal_on_all_backends():
    p = st.dvector("p")
    run = {b: st.function([p], random.alias_table(p), backend=b) for b in ("numpy", "jax")}
    for n in (1, 2, 100, 4096):
        weights = np.random.default_rng(n).random(n) ** 8
        np.testing.assert_array_equal(run["numpy"](weights), run["jax"](weights))


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_draws_from_a_table(backend):
    weights = np.array([5.0, 0.0, 1.0, 3.0, 1.0])
    table = st.shared(random.alias_table(weights).eval(), name="table")
    drawn = st.function([], random.alias_draw(KEY, table, (N,)), backend=backend)()
    counts = np.bincount(drawn, minlength=5)
    assert counts[1] == 0
    keep = weights > 0
    assert stats.chisquare(counts[keep], weights[keep] / weights.sum() * N).pvalue > 1e-3
