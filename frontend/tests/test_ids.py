"""Ids for strings, and lists of lists."""

import os
import subprocess
import sys
from hashlib import blake2b

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import subtensor as st

pytestmark = pytest.mark.numpy_only("there is no backend in it")


def test_the_hash_is_what_is_written_and_stays_so():
    text = "Grüße"
    digest = blake2b(text.encode(), digest_size=8, key=(7).to_bytes(8, "little")).digest()
    assert st.hash_ids(text, 1000, seed=7) == int.from_bytes(digest, "little") % 1000
    assert st.hash_ids(["user:1", "user:2", ""], 1_000_000).tolist() == [484_085, 612_598, 847_043]
    assert st.hash_ids(b"a", 10**9) == st.hash_ids("a", 10**9)


KNOWN = (["user:1", "user:2", "", "Grüße"], 1 << 40, 3)


def test_the_same_in_every_process():
    code = f"import subtensor as st; print(st.hash_ids(*{KNOWN!r}).tolist())"
    seen = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True
        ).stdout
        for seed in "12"
    }
    assert seen == {f"{st.hash_ids(*KNOWN).tolist()}\n".encode()}


def test_shapes_and_seeds():
    words = [["a", "b", "a"], ["c", "d", "e"]]
    ids = st.hash_ids(words, 97)
    assert ids.shape == (2, 3)
    assert ids.dtype == np.int64
    assert ids[0, 0] == ids[0, 2] == st.hash_ids("a", 97)
    np.testing.assert_array_equal(ids, st.hash_ids(np.array(words), 97))
    np.testing.assert_array_equal(ids, st.hash_ids(np.array(words, object), 97))
    many = [f"w{k}" for k in range(20_000)]
    first, second = st.hash_ids(many, 50), st.hash_ids(many, 50, seed=1)
    counts = np.bincount(first, minlength=50)
    assert counts.min() > 300
    assert counts.max() < 500
    same = first[:-1] == first[1:]
    assert abs((second[:-1] == second[1:])[same].mean() - 1 / 50) < 0.03  # what collides once need not again
    assert st.hash_ids([], 5).shape == (0,)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("a", 0), st.DomainError, "buckets is 0; expected 1 to"),
        (("a", 5, -1), st.DomainError, "seed is -1"),
        (("a", 2.5), st.DTypeError, "buckets=2.5; expected an integer"),
        (([1, 2], 5), st.DTypeError, "got 1 of type int; expected str or bytes"),
        ((["a", 2], 5), st.DTypeError, "got 2 of type int"),
        (([["a"], ["b", "c"]], 5), st.ShapeError, "different lengths"),
        ((np.array([1.0]), 5), st.DTypeError, "got 1.0"),
    ],
)
def test_what_cannot_be_hashed(arguments, error, words):
    with pytest.raises(error, match=words):
        st.hash_ids(*arguments)


@given(some.lists(some.lists(some.integers(0, 9), max_size=4), max_size=6))
@settings(max_examples=60, deadline=None)
def test_ragged(lists):
    r = st.ragged(lists)
    assert [x.tolist() for x in r] == lists
    assert len(r) == len(lists)
    assert r.flat.tolist() == [x for row in lists for x in row]
    assert r.segments.tolist() == [k for k, row in enumerate(lists) for _ in row]
    assert r.offsets.tolist() == [sum(map(len, lists[:k])) for k in range(len(lists))]
    matrix, mask = r.padded(fill=-1)
    assert [row[on].tolist() for row, on in zip(matrix, mask, strict=True)] == lists
    assert (matrix[~mask] == -1).all()
    cut, on = r.padded(width=2)
    assert [row[m].tolist() for row, m in zip(cut, on, strict=True)] == [row[:2] for row in lists]
    which = np.arange(len(lists))[::-1]
    assert [x.tolist() for x in r.take(which)] == lists[::-1]
    assert [x.tolist() for x in r.take(slice(1, 3))] == lists[1:3]


def test_ragged_feeds_bags_and_hashes():
    table = st.shared(np.arange(8.0).reshape(4, 2), name="table")
    ids, lengths = st.lvector("ids"), st.lvector("lengths")
    bags = st.function([ids, lengths], st.embedding_bag(table, ids, lengths=lengths))
    r = st.ragged([[1, 2], [], [3]])
    np.testing.assert_array_equal(bags(r.flat, r.lengths), [[6, 8], [0, 0], [6, 7]])
    words = st.ragged([["a", "bb"], [], ["a"]])
    hashed = st.hash_ids(words.flat, 4)
    assert hashed[0] == hashed[2]
    assert bags(hashed, words.lengths).shape == (3, 2)
    assert st.ragged([[], []]).flat.dtype == np.int64
    assert st.ragged([[1], [2]], dtype="int32").flat.dtype == np.int32


@pytest.mark.parametrize(
    ("lists", "error", "words"),
    [
        ("abc", st.DTypeError, "expected lists of ids"),
        (5, st.DTypeError, "expected lists of ids"),
        ([1, 2], st.DTypeError, "element 0 is 1; expected a list or a vector"),
        ([[1], [[2]]], st.ShapeError, "element 1 has 2 axes"),
        ([[1], ["a"]], st.DTypeError, "some lists hold numbers and some strings"),
        ([[None]], st.DTypeError, "element 0 is of NumPy dtype object"),
    ],
)
def test_what_is_not_ragged(lists, error, words):
    with pytest.raises(error, match=words):
        st.ragged(lists)
