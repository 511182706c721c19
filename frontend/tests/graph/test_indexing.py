"""The parsed form of an index: one part for each axis, frozen, the same for every spelling."""

import dataclasses

import numpy as np
import pytest

import subtensor as st
from subtensor.graph.indexing import FULL, At, Index, Ref, Slice, parse, slice_length


def index_of(node):
    while node.op.name != "subtensor":
        node = node.inputs[0]
    return node.params["index"]


def test_an_index_has_one_part_for_each_axis():
    x, i, k = (
        st.dtensor3("x"),
        st.lvector("i"),
        st.lscalar("k"),
    )
    assert index_of(x[i]) == Index((At(0), FULL, FULL))
    assert index_of(x[..., k]) == Index((FULL, FULL, At(0)))
    assert index_of(x[1:k, None, ::-1]) == Index((Slice(1, Ref(0)), Slice(step=-1), FULL))
    assert index_of(x[i, :, k]) == Index((At(0), FULL, At(1)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        index_of(x[i]).parts = ()


def test_equal_spellings_are_one_node():
    x = st.tensor("x", "float64", (4, 5, 6))
    i, k = st.lvector("i"), st.lscalar("k")
    assert x[i] is x[i]
    assert x[i] is x[i, ...]
    assert x[i] is x[i, :]
    assert x[i] is x[(i,)]
    assert x[[1, 2]] is x[np.array([1, 2])]
    assert x[1] is x[np.int64(1)]
    assert x[1:3] is x[1:3:1]
    assert x[k:] is x[k::None]
    assert x[..., 1] is x[:, :, 1]
    mask = np.array([True, False, False, True])
    assert x[mask] is x[[0, 3]]
    assert x[1] is not x[[1]]
    assert x[1] is not x[True]
    assert st.set_subtensor(x[i], 0.0) is x[i].set(0)


def test_parts_of_an_index():
    index = Index((FULL, At(0), At(1)))
    assert index.adjacent
    assert index.array_axis == 1
    assert not index.is_basic
    assert index.arrays == ((1, 0), (2, 1))
    assert index.slices == ((0, FULL),)
    assert index.spell(["i", "j"]) == ":, i, j"
    apart = Index((At(0), Slice(Ref(1), None, -2), At(2)))
    assert not apart.adjacent
    assert apart.array_axis == 0
    assert apart.bounds == (1,)
    assert apart.spell(["i", "a", "j"]) == "i, a::-2, j"
    assert Index((At(0), FULL)).selects_rows
    assert not Index((FULL, At(0))).selects_rows
    assert Index((FULL,)).spell([]) == ":"
    key = apart.key([np.array([1]), 3, np.array([0])])
    assert key[1] == slice(3, None, -2)


@pytest.mark.parametrize("dim", [None, 0, 1, 2, 5])
@pytest.mark.parametrize("step", [None, 1, 2, -1, -3])
def test_static_lengths_of_slices(dim, step):
    bounds = [None, 0, 1, 4, 7, -1, -3, -9]
    for start in bounds:
        for stop in bounds:
            length = slice_length(Slice(start, stop, step), dim, [])
            for n in [dim] if dim is not None else range(9):
                true = len(range(n)[start:stop:step])
                assert length is None or length == true, (start, stop, step, n)
            if dim is not None:
                assert length is not None


def test_parse_writes_out_the_ellipsis():
    full = slice(None)
    assert parse((Ellipsis,), 2, "x") == [full, full]
    assert parse((), 2, "x") == [full, full]
    assert parse((slice(1, None), Ellipsis), 3, "x") == [slice(1, None), full, full]
    assert parse(slice(np.int8(1), st.constant(2), True), 1, "x") == [slice(1, 2, 1)]


@pytest.mark.parametrize(
    ("shape", "key"),
    [
        ((), ()),
        ((), (Ellipsis,)),
        ((), (None,)),
        ((), (True,)),
        ((), (False, None)),
        ((3,), (slice(-(2**70), 2**70),)),
        ((3,), (slice(None, None, 2**40),)),
        ((3, 4), ([],)),
        ((3, 4), ([[]],)),
        ((0, 4), (slice(None), [1, 1])),
        ((3, 4), (((0, 1), (2, 2)),)),
        ((3, 4), (np.zeros((3, 4), bool),)),
        ((3, 4), (np.ones((3, 4), bool),)),
        ((2, 3, 4), (np.array([[True, False, True], [False, False, True]]),)),
        ((2, 3, 4), (slice(None), np.ones((3, 4), bool))),
        ((2, 3, 4), (np.array([True, True]), slice(None), [0, 3])),
        ((2, 3, 4), (0, slice(None), [1, 2])),
        ((2, 3, 4), (0, None, [1, 2])),
        ((2, 3, 4), ([0], Ellipsis, [1])),
        ((2, 3, 4), ([0], [2], Ellipsis, [1])),
        ((2, 3, 4), (True, [0, 1])),
        ((2, 3, 4), (None, [0, 1], None, [1, 2])),
        ((2, 3, 4), ([[0], [1]], [[0, 2]], None)),
    ],
)
def test_keys_worth_a_name(shape, key):
    a = np.arange(float(np.prod(shape))).reshape(shape)
    for static in (shape, (None,) * len(shape)):
        x = st.tensor("x", "float64", static)
        node = x[key]
        got, written = st.function([x], [node, node.set(-1.0)])(a)
        np.testing.assert_array_equal(got, a[key])
        assert got.shape == a[key].shape
        want = a.copy()
        want[key] = -1
        np.testing.assert_array_equal(written, want)


@pytest.mark.parametrize(
    "key",
    [
        np.array([[2, 0], [2, 2]]),
        (slice(None, None, -2), np.array([1, 1, 0])),
        (np.array([2, 0]), np.array([1, 1])),
        np.array([True, False, True]),
        (None, 1, Ellipsis, slice(1, 3)),
        (np.array([0, 0, 2]), slice(None), np.array([1, 1, 0])),
    ],
    ids=str,
)
@pytest.mark.parametrize("how", ["get", "set", "inc"])
def test_gradients_against_finite_differences(key, how):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(3, 2, 4))
    part = x[key]
    for y in (rng.normal(size=part.shape), rng.normal(size=part.shape[-1:]), rng.normal(size=())):

        def build(vx, vy):
            subset = vx[key]
            out = {"get": subset, "set": subset.set(vy), "inc": subset.inc(vy)}[how]
            return st.tanh(out) * st.cos(vy).sum()

        st.verify_grad(build, [x, y], n_tests=1)
