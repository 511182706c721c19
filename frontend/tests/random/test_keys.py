"""The generator against published vectors and NumPy's; keys made of seeds and of keys."""

import numpy as np
import pytest
from cases_random import philox
from hypothesis import given, settings
from hypothesis import strategies as some

import subtensor as st
from subtensor import random
from subtensor.ops.philox import multiply_high, random_bits
from subtensor.plugins import get_backend
from subtensor.program.building import build
from subtensor.random.keys import block, folded_words

BACKENDS = ("numpy", "jax")
ONES = 2**64 - 1
WORD = some.integers(0, ONES)

# kat_vectors of Random123: key, counter, block
PUBLISHED = [
    ("0 0", "0 0 0 0", "16554d9eca36314c db20fe9d672d0fdc d7e772cee186176b 7e68b68aec7ba23b"),
    (
        "ffffffffffffffff ffffffffffffffff",
        "ffffffffffffffff ffffffffffffffff ffffffffffffffff ffffffffffffffff",
        "87b092c3013fe90b 438c3c67be8d0224 9cc7d7c69cd777b6 a09caebf594f0ba0",
    ),
    (
        "452821e638d01377 be5466cf34e90c6c",
        "243f6a8885a308d3 13198a2e03707344 a4093822299f31d0 082efa98ec4e6c89",
        "a528f45403e61d95 38c72dbd566e9788 a5a1610e72fd18b5 57bd43b5e52b7fe6",
    ),
]


def words(text):
    return [int(w, 16) for w in text.split()]


@pytest.mark.parametrize(("key", "counter", "due"), PUBLISHED)
def test_a_block_is_as_published(key, counter, due):
    assert block(tuple(words(key)), tuple(words(counter))) == words(due)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_op_gives_the_blocks_of_its_counters(backend):
    keys = [([1, 2], 0), ([ONES, 5], 9), ([1, 2, 3], 1), ([4, 5, 6, 2**63 + 1], ONES)]
    outputs = [random_bits(st.constant(np.array(k, "uint64")), st.constant(8), dtype="uint64", part=p) for k, p in keys]
    for (k, part), got in zip(keys, st.function([], outputs, backend=backend)(), strict=True):
        counter = [*k[2:], 0, 0][:2]
        due = [w for i in (1, 2) for w in block((k[0], k[1]), (i, *counter, part))]
        assert got.tolist() == due == philox(k, part).random_raw(8).tolist()


def test_what_the_expansion_computes_is_what_backends_compute():
    backend = get_backend("numpy")
    key = st.tensor("key", "uint64", (3,))
    n = st.lscalar("n")
    outputs = [random.bits(key, (n, 3), d) for d in ("uint8", "uint16", "uint32", "uint64")]
    outputs += [random.uniform(key, (n,), d) for d in ("float16", "float32", "float64")]
    lacking = set(backend.operations) - {"random_bits", "random_unit"}
    run = backend.compile(build("expanded", [key, n], outputs, [], lacking, "numpy"))
    given_, count = np.array([3, ONES, 17], "uint64"), np.array(5)
    for got, due in zip(run((given_, count), ()), st.function([key, n], outputs)(given_, count), strict=True):
        np.testing.assert_array_equal(got, due)
        assert got.dtype == due.dtype


@settings(max_examples=200, deadline=None)
@given(WORD, WORD)
def test_the_upper_half_of_a_product(a, b):
    assert int(_FULL(np.array(a, "uint64"), np.array(b, "uint64"))) == a * b >> 64


def _compiled():
    x, y = st.tensor("x", "uint64", ()), st.tensor("y", "uint64", ())
    return st.function([x, y], multiply_high(x, y))


_FULL = _compiled()


@pytest.mark.parametrize("n", [1, 3, 2**32 - 1, 2**32, 2**32 + 7])
def test_the_upper_half_of_a_product_with_a_constant(n):
    x = st.tensor("x", "uint64", ())
    f = st.function([x], multiply_high(x, st.constant(n, dtype="uint64")))
    for a in (0, 1, ONES, 2**63, 0x0123456789ABCDEF):
        assert int(f(np.array(a, "uint64"))) == a * n >> 64


# --- keys


def test_a_key_is_numpys():
    for seed in (0, 5, 2**64 + 3, 2**128 - 1):
        got = random.bits(random.key(seed), (9,)).eval()
        np.testing.assert_array_equal(got, np.random.Philox(key=seed).random_raw(9))
    assert random.key(3) is random.key(np.int32(3))
    s = st.iscalar("s")
    np.testing.assert_array_equal(st.function([s], random.key(s))(7), [7, 0])


@pytest.mark.parametrize("backend", BACKENDS)
def test_keys_of_keys_differ_and_are_the_same_everywhere(backend):
    k, i = random.key(11), st.lscalar("i")
    f = st.function([i], [random.split(k, 50), random.fold_in(k, i), random.split(k, i)], backend=backend)
    split, folded, some_ = f(3)
    assert split.shape == (50, 2)
    assert split[:3].tolist() == some_.tolist()
    assert folded.tolist() == folded_words(11, 3) == block((11, 0), (1, 3, 0, 1))[:2]
    assert split.ravel()[:4].tolist() == block((11, 0), (1, 0, 0, 2))
    keys = [*map(tuple, split.tolist()), *(tuple(folded_words(11, j)) for j in range(50)), (11, 0)]
    assert len(set(keys)) == 101
    a, b = random.split(k)
    assert random.bits(a) is not random.bits(b)


def test_the_same_draw_is_one_node():
    k = random.key(1)
    assert random.uniform(k, (3,)) is random.uniform(k, (3,))
    x = st.dvector("x")
    assert st.function([x], st.grad((x * random.uniform(k, (3,))).sum(), x))(np.ones(3)).tolist() == (
        random.uniform(k, (3,)).eval().tolist()
    )


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: random.key(-1), st.DomainError, "the seed -1 is out of range"),
        (lambda: random.key(2**128), st.DomainError, "out of range"),
        (lambda: random.key(1.5), st.DTypeError, "is no integer"),
        (lambda: random.uniform(3), st.DTypeError, r"3 is a seed, not a key; write st.random.key\(3\)"),
        (lambda: random.uniform(random.split(random.key(1), 4)), st.DTypeError, r"a batch of keys: take one"),
        (lambda: random.uniform(st.lvector("k")), st.DTypeError, "is no key"),
        (lambda: random.uniform(st.tensor("k", "uint64", (None,))), st.DTypeError, "is no key"),
        (lambda: random.fold_in(random.key(1), st.lvector("i")), st.ShapeError, "is no scalar"),
        (lambda: random.fold_in(random.key(1), 1.0), st.DTypeError, "is no integer"),
        (lambda: random.bits(random.key(1), (3,), "int32"), st.DTypeError, "not a dtype of random bits"),
        (lambda: random.bits(random.key(1), (-3,)), st.DomainError, "the length -3 for axis 0 is negative"),
        (lambda: random.uniform(random.key(1), (3,), "int32"), st.DTypeError, "expected a float"),
    ],
)
def test_what_is_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_negative_length_at_the_call(backend):
    n = st.lscalar("n")
    f = st.function([n], random.uniform(random.key(1), (n, 2)), backend=backend)
    assert f(0).shape == (0, 2)
    with pytest.raises(st.DomainError, match="the length -1 for axis 0 is negative"):
        f(-1)
