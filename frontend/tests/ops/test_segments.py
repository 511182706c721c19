"""Rows in groups, and bags of rows, against loops in float64; gradients against differences and against ``max``'s."""

import numpy as np
import pytest

import subtensor as st
from subtensor.errors import BoundsError, DTypeError, SubtensorError
from subtensor.gradcheck import verify_grad

BACKENDS = ["numpy", "jax"]
X = np.random.default_rng(0).normal(size=(6, 2))
IDS = np.array([3, 0, 3, -2, 0, 3])  # of five groups; 1, 2 and 4 have no rows but for -2, which is 3
WRAPPED = IDS % 5


def loops(reduce, empty, x=X):
    groups = [x[g == WRAPPED] for g in range(5)]
    return np.stack([reduce(g) if len(g) else np.full(x.shape[1:], empty) for g in groups])


def logsumexp(g):
    return np.log(np.exp(g).sum(0))


REDUCTIONS = {
    "segment_mean": (lambda g: g.mean(0), 0),
    "segment_max": (lambda g: g.max(0), -np.inf),
    "segment_min": (lambda g: g.min(0), np.inf),
    "segment_prod": (lambda g: g.prod(0), 1),
    "segment_logsumexp": (logsumexp, -np.inf),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_what_groups_add_up_to(name, backend):
    reduce, empty = REDUCTIONS[name]
    x, ids = st.matrix("x"), st.lvector("ids")
    f = st.function([x, ids], getattr(st, name)(x, ids, 5), backend=backend)
    np.testing.assert_allclose(f(X, IDS), loops(reduce, empty), rtol=1e-12)
    np.testing.assert_array_equal(f(X[:0], IDS[:0]), np.full((5, 2), empty))
    with pytest.raises(BoundsError):
        f(X, IDS + 2)


@pytest.mark.parametrize("name", [*REDUCTIONS, "segment_softmax"])
def test_gradients_of_groups(name):
    verify_grad(lambda x: getattr(st, name)(x, np.array([1, 0, 1, 0, 0, 1]), 2), [X])


@pytest.mark.parametrize("backend", BACKENDS)
def test_softmax_within_groups(backend):
    x = np.where(X > 0, 1000 * X, X)
    v, ids = st.matrix("x"), st.lvector("ids")
    got = st.function([v, ids], st.segment_softmax(v, ids, 5), backend=backend)(x, IDS)
    for g in (0, 3):
        e = np.exp(x[g == WRAPPED] - x[g == WRAPPED].max(0))
        np.testing.assert_allclose(got[g == WRAPPED], e / e.sum(0), rtol=1e-12)


@pytest.mark.parametrize("name", ["segment_max", "segment_min"])
def test_ties_have_the_gradient_of_the_whole_reduction(name):
    x = st.vector("x")
    of_group = st.grad(getattr(st, name)(x, [0, 0, 0], 1).sum(), x)
    own = st.grad(getattr(st, name.removeprefix("segment_"))(x), x)
    for values in ([2.0, 2.0, 1.0], [1.0, 2.0, 1.0]):
        np.testing.assert_allclose(*st.function([x], [of_group, own])(values))


BAGS = [[5, 1, 5], [], [0], [-1, 2]]
FLAT, LENGTHS = np.concatenate([np.array(b, int) for b in BAGS]), np.array([3, 0, 1, 2])
T = np.random.default_rng(1).normal(size=(6, 2))
WEIGHTS = np.random.default_rng(2).uniform(0.5, 2, size=6)


def by_hand(mode, weights=None):
    result, at = np.zeros((4, 2)), 0
    for b, bag in enumerate(BAGS):
        w = np.ones(len(bag)) if weights is None else weights[at : at + len(bag)]
        at += len(bag)
        if not bag:
            continue
        rows = T[bag] * w[:, None]
        total = rows.sum(0)
        result[b] = {"sum": total, "mean": total / w.sum(), "max": rows.max(0), "sqrtn": total / np.sqrt((w**2).sum())}[
            mode
        ]
    return result


def forms():
    owner = np.repeat(np.arange(4), LENGTHS)
    matrix, mask = np.zeros((4, 3), int), np.arange(3) < LENGTHS[:, None]
    matrix[mask] = FLAT
    spread = np.zeros((4, 3))
    spread[mask] = WEIGHTS
    yield "offsets", FLAT, {"offsets": np.cumsum(LENGTHS) - LENGTHS}, WEIGHTS
    yield "lengths", FLAT, {"lengths": LENGTHS}, WEIGHTS
    yield "segments", FLAT, {"segments": owner, "num_bags": 4}, WEIGHTS
    yield "mask", matrix, {"mask": mask}, spread


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("form", list(forms()), ids=lambda f: f[0])
@pytest.mark.parametrize("mode", ["sum", "mean", "max", "sqrtn"])
def test_bags_however_they_are_given(mode, form, backend):
    _, ids, options, weights = form
    bag = st.embedding_bag(st.shared(T, "t"), ids, mode=mode, **options)
    outputs = [bag]
    if mode != "max":
        outputs.append(st.embedding_bag(st.shared(T, "t"), ids, mode=mode, weights=weights, **options))
    got = st.function([], outputs, backend=backend)()
    np.testing.assert_allclose(got[0], by_hand(mode), rtol=1e-12)
    if mode != "max":
        np.testing.assert_allclose(got[1], by_hand(mode, WEIGHTS), rtol=1e-12)
    verify_grad(lambda t: st.embedding_bag(t, ids, mode=mode, **options), [T])


def test_a_table_in_bags_is_trained_by_rows():
    t, ids, lengths = st.shared(T, "t"), st.lvector("ids"), st.lvector("lengths")
    cost = (st.embedding_bag(t, ids, lengths=lengths, mode="mean") ** 2).sum()
    updates = st.optimizers.sgd(cost, [t], 0.1)
    step = st.function([ids, lengths], cost, updates)
    np.testing.assert_allclose(step(FLAT, LENGTHS), (by_hand("mean") ** 2).sum())
    assert all(u.rows for u in step.explain().updates)
    untouched = [r for r in range(6) if r not in FLAT % 6]
    np.testing.assert_array_equal(t.get_value()[untouched], T[untouched])


@pytest.mark.parametrize(
    "options",
    [
        {"offsets": [0, 4, 2]}, {"offsets": [0, 9]}, {"offsets": [1, 2]}, {"lengths": [3, 2]}, {"lengths": [7, -1]},
        {"segments": [0, 0, 1], "num_bags": 2}, {"segments": [0] * 6}, {}, {"lengths": [6], "offsets": [0]},
    ],
)  # fmt: skip
def test_bags_that_make_no_sense(options):
    with pytest.raises(SubtensorError):
        st.function([], st.embedding_bag(st.shared(T, "t"), FLAT, **options))()


def test_modes_that_make_no_sense():
    for options in ({"mode": "median"}, {"mode": "max", "weights": WEIGHTS}):
        with pytest.raises(DTypeError, match="embedding_bag: mode="):
            st.embedding_bag(T, FLAT, lengths=LENGTHS, **options)
