"""``set`` and ``inc``: what can be written to, through which steps, in which dtypes, and what cannot."""

import numpy as np
import pytest

import subtensor as st
from subtensor.errors import DTypeError, NotASubsetError, ShapeError, UpdateError

T = np.arange(24.0).reshape(4, 6)
CUBE = np.arange(60.0).reshape(3, 4, 5)
IDS = np.array([2, 0, 2])


def expected(a, key, value, how):
    a = a.copy()
    if how == "set":
        a[key] = value
    else:
        np.add.at(a, key, value)
    return a


STEPS = {
    "reshape": (lambda s: s.reshape((2, 9)), lambda v: v.reshape(2, 9), (2, 9)),
    "reshape -1": (lambda s: s.reshape((-1, 2)), lambda v: v.reshape(-1, 2), (9, 2)),
    "flatten": (lambda s: s.flatten(), lambda v: v.reshape(-1), (18,)),
    "transpose": (lambda s: s.T, lambda v: v.T, (6, 3)),
    "expand_dims": (lambda s: st.expand_dims(s, (0, 2)), lambda v: v[None, :, None], (1, 3, 1, 6)),
    "dimshuffle": (lambda s: s.dimshuffle(1, "x", 0), lambda v: v.T[:, None], (6, 1, 3)),
    "cast": (lambda s: s.astype("float32"), lambda v: v.astype("float32"), (3, 6)),
    "all": (
        lambda s: s.astype("float32").T.reshape((2, 9)).dimshuffle("x", 1, 0).squeeze(0).flatten(),
        lambda v: v.astype("float32").T.reshape((2, 9)).T.reshape(-1),
        (18,),
    ),
}


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("how", ["set", "inc"])
@pytest.mark.parametrize("ids", [IDS, slice(1, 4), slice(3, 0, -1)], ids=["array", "slice", "reversed"])
@pytest.mark.parametrize("known", [True, False])
def test_a_value_is_carried_back_through_a_step(step, how, ids, known):
    symbolic, numeric, shape = STEPS[step]
    x = st.tensor("x", "float64", T.shape if known else (None, None))
    values = np.arange(18.0).reshape(shape) - 7
    subset = symbolic(x[ids])
    v = st.tensor("v", "float64", shape if known else (None,) * len(shape))
    node = subset.set(v) if how == "set" else subset.inc(v)
    # where every element of the value ends up, by numbering the elements of the subset
    numbers = numeric(np.arange(18).reshape(3, 6)).astype(int)
    back = np.empty(18)
    back[numbers.ravel()] = values.ravel()
    want = expected(T, ids, back.reshape(3, 6), how)
    np.testing.assert_array_equal(st.function([x, v], node)(T, values), want)
    # a scalar broadcasts
    node = subset.set(-1) if how == "set" else subset.inc(-1)
    np.testing.assert_array_equal(st.function([x], node)(T), expected(T, ids, -1, how))


@pytest.mark.parametrize("how", ["set", "inc"])
@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 2, 9), (2, 9), (9,), (1,), ()])
def test_a_value_broadcasts_to_the_reshaped_subset(how, shape):
    x, v = st.tensor("x", "float64", (None, None)), st.tensor("v", "float64", (None,) * len(shape))
    subset = x[IDS].reshape((3, 1, 6)) if shape == (3, 1, 1) else x[IDS].reshape((1, 2, 9))
    values = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
    node = subset.set(v) if how == "set" else subset.inc(v)
    want = expected(T, IDS, np.broadcast_to(values, [int(d) for d in subset.shape_static]).reshape(3, 6), how)
    np.testing.assert_array_equal(st.function([x, v], node)(T, values), want)


def test_squeeze_and_integer_axes():
    x = st.tensor("x", "float64", (None, None, None))
    node = x[1:2].squeeze(0).set(np.arange(20.0).reshape(4, 5))
    np.testing.assert_array_equal(st.function([x], node)(CUBE)[1], np.arange(20.0).reshape(4, 5))
    with pytest.raises(ValueError, match=r"squeeze|axis 0"):
        st.function([x], x[0:2].squeeze(0))(CUBE)


@pytest.mark.parametrize("how", ["set", "inc"])
@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("mode", ["raise", "wrap", "clip"])
def test_take(how, axis, mode):
    ids = np.array([[1, -1, 3], [1, 0, 3]])
    if mode != "raise":
        ids = ids * 5
    value = np.arange(np.take(T, ids, axis, mode=mode).size, dtype=float).reshape(
        np.take(T, ids, axis, mode=mode).shape
    )
    x = st.matrix("x")
    i = st.lmatrix("i")
    subset = x.take(i, axis=axis, mode=mode)
    node = subset.set(value) if how == "set" else subset.inc(value)
    got, read = st.function([x, i], [node, subset])(T, ids)
    where = np.take(np.arange(T.size).reshape(T.shape), ids, axis, mode=mode)
    np.testing.assert_array_equal(read, np.take(T, ids, axis, mode=mode))
    np.testing.assert_array_equal(got, expected(T.ravel(), where, value, how).reshape(T.shape))


def test_take_from_the_flat_tensor_names_the_tensor():
    x, i = st.matrix("x"), st.lvector("i")
    f = st.function([x, i], x.take(i))
    with pytest.raises(
        IndexError, match=r"index 24 at position \(0,\) of i is out of bounds for axis 0 of .*x.*size 24"
    ):
        f(T, [24])
    g = st.function([x, i], x.take(i).inc(1.0))
    for bad in (24, -25):
        with pytest.raises(IndexError, match="out of bounds for axis 0 of x"):
            g(T, [bad])


def test_take_into_a_shared_table_touches_rows_only():
    t, i = st.shared(T, name="t"), st.lvector("i")
    step = st.function([i], updates=[(t, t.take(i).inc(1.0))])
    (commit,) = step.program.commits
    assert commit.writes
    step([0, 0, 23])
    assert (t.get_value() - T).ravel().tolist() == [2.0] + [0.0] * 22 + [1.0]


@pytest.mark.parametrize("how", ["set", "inc"])
@pytest.mark.parametrize(
    ("offset", "axis1", "axis2"), [(0, 0, 1), (1, 0, 1), (-1, 0, 2), (2, 2, 0), (0, 1, 2), (-2, 2, 1)]
)
@pytest.mark.parametrize("known", [True, False])
def test_diagonal(how, offset, axis1, axis2, known):
    x = st.tensor("x", "float64", CUBE.shape if known else (None,) * 3)
    where = np.diagonal(np.arange(60).reshape(CUBE.shape), offset, axis1, axis2)
    subset = x.diagonal(offset, axis1, axis2)
    value = np.arange(where.size, dtype=float).reshape(where.shape) - 3
    node = subset.set(value) if how == "set" else subset.inc(value)
    read, got = st.function([x], [subset, node])(CUBE)
    np.testing.assert_array_equal(read, np.diagonal(CUBE, offset, axis1, axis2))
    np.testing.assert_array_equal(got, expected(CUBE.ravel(), where, value, how).reshape(CUBE.shape))


@pytest.mark.parametrize("shape", [(4, 4), (4, 6), (6, 4), (3, 3, 3)])
def test_fill_diagonal(shape):
    a = np.random.default_rng(0).normal(size=shape)
    x = st.tensor("x", "float64", (None,) * len(shape))
    got = st.function([x], st.fill_diagonal(x, 9.0))(a)
    np.fill_diagonal(a, 9.0)
    np.testing.assert_array_equal(got, a)


@pytest.mark.parametrize("axis", [0, 1, None])
def test_put_along_axis(axis):
    ids = np.argsort(-T, axis=axis)
    values = np.arange(ids.size, dtype=float).reshape(ids.shape)
    x = st.matrix("x")
    got = st.function([x], st.put_along_axis(x, ids, values, axis))(T)
    want = T.copy()
    np.put_along_axis(want, ids, values, axis)
    np.testing.assert_array_equal(got, want)


# --- the direct parent


def test_the_direct_parent_is_what_changes():
    x = st.matrix("x")
    node = x[1:][[0, 0]].set(5.0)  # of x[1:], not of x
    want = T[1:].copy()
    want[0] = 5
    np.testing.assert_array_equal(st.function([x], node)(T), want)
    nested = x[1:].set(x[1:][[0, 0]].set(5.0))
    full = T.copy()
    full[1] = 5
    np.testing.assert_array_equal(st.function([x], nested)(T), full)


def test_an_element_of_a_stack_is_a_part_of_the_stack():
    t, b = st.lvector("t"), st.lscalar("b")
    stacked = st.stack([t[0], b])
    f = st.function([t, b], [stacked[0].set(9), stacked[True].shape, stacked[1:].inc(1)])
    first, extra, second = f([1, 2, 3], 7)
    assert first.tolist() == [9, 7]
    assert extra.tolist() == [1, 2]
    assert second.tolist() == [1, 8]


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x,
        lambda x: x * 2,
        lambda x: x[1:] * 2,
        lambda x: x[[1]] + x[[2]],
        lambda x: x.T,
        lambda x: x.reshape((-1,)),
        lambda x: st.constant(T),
        lambda x: st.exp(x[0]),
        lambda x: st.concatenate([x[0], x[1]]),
        lambda x: x[0].sum(),
        lambda x: st.where(x[0] > 0, x[0], 0),
        lambda x: x[0].set(0.0),
    ],
)
def test_what_was_not_indexed_is_refused(make):
    x = st.matrix("x")
    for write in (lambda v: v.set(1.0), lambda v: v.inc(1.0), lambda v: v.inc(1.0, ignore_duplicates=True)):
        with pytest.raises(NotASubsetError, match=r"not obtained by indexing.*expected x\[index\]"):
            write(make(x))
    assert issubclass(NotASubsetError, TypeError)


# --- dtypes


@pytest.mark.parametrize(
    "table", ["int8", "int32", "int64", "uint8", "uint64", "float32", "float64", "bool", "float16"]
)
@pytest.mark.parametrize(
    "value", ["int8", "int32", "int64", "uint8", "uint64", "float32", "float64", "bool", "float16"]
)
@pytest.mark.parametrize("index", [np.array([1, 1]), slice(0, 2), 1], ids=["array", "slice", "int"])
def test_what_is_written_is_cast_by_the_same_kind_rule(table, value, index):
    a = np.ones(3, table)
    v = np.asarray(np.array([2, 3]) if not isinstance(index, int) else 2, value)
    x, y = st.tensor("x", table, (None,)), st.tensor("y", value, (None,) * v.ndim)
    if np.can_cast(value, table, "same_kind"):
        got = st.function([x, y], x[index].set(y))(a, v)
        want = a.copy()
        want[index] = v
        assert got.dtype == want.dtype
        np.testing.assert_array_equal(got, want)
    else:
        with pytest.raises(DTypeError, match=rf"{value}.*{table}.*\.astype\('{table}'\)"):
            x[index].set(y)
        with pytest.raises(TypeError):
            x[index].inc(y)


def test_python_scalars_are_weak():
    x = st.tensor("x", "float32", (None,))
    assert x[0].set(1.5).dtype == "float32"
    assert x[0].inc(1).dtype == "float32"
    i = st.tensor("i", "int8", (None,))
    assert i[0].set(3).dtype == "int8"
    with pytest.raises(DTypeError, match=r"float 0.5 into int8.*astype\('int8'\)"):
        i[0].set(0.5)
    with pytest.raises(DTypeError, match="300"):
        i[0].inc(300)
    with pytest.raises(DTypeError, match="bool"):
        st.tensor("b", "bool", (None,))[0].set(1)
    with pytest.raises(DTypeError):
        i[0].set("a")
    with pytest.raises(DTypeError):
        x[0].inc(None)


# --- views of shared variables


def views(t, i):
    return {
        "t[1:][i]": t[1:][i],
        "t[::-1][i]": t[::-1][i],
        "t.T[i]": t.T[i],
        "t.reshape((-1,))[i]": t.reshape((-1,))[i].reshape((-1,)),
        "t[None][:, i]": t[None][:, i],
        "t[0][i]": t[0][i],
        "t[1:].T[i]": t[1:].T[i],
        "t[:, :][1:][i]": t[1:][1:][i],
        "t[[0, 1, 2]][i]": t[[0, 1, 2]][i],
        "st.expand_dims(t, 0)[0][i]": st.expand_dims(t, 0)[0][i],
    }


@pytest.mark.parametrize("shape", [(4, 4), (4, 6), (None, None)])
@pytest.mark.parametrize("spelling", list(views(st.shared(T), st.lvector("i"))))
@pytest.mark.parametrize("nested", [False, True])
def test_a_write_into_a_view_of_a_shared_variable_is_refused(shape, spelling, nested):
    start = T[:, :4] if shape == (4, 4) else T
    t = st.shared(start, name="t", shape=shape)
    i = st.lvector("i")
    new = views(t, i)[spelling].inc(1.0)
    if nested:
        new = new[0].set(0.0)
    with pytest.raises(UpdateError) as caught:
        st.function([i], updates=[(t, new)])
    text = str(caught.value)
    assert "update of t" in text
    if new.ndim == 2:
        assert "set_subtensor" in text or "index t directly" in text
    np.testing.assert_array_equal(t.get_value(), start)


def test_the_spelling_that_is_meant_is_accepted():
    t, i = st.shared(T, name="t"), st.lvector("i")
    f = st.function([i], updates=[(t, st.set_subtensor(t[1:], st.inc_subtensor(t[1:][i], 1.0)))])
    f([0, 0])
    want = T.copy()
    want[1] += 2
    np.testing.assert_array_equal(t.get_value(), want)
    g = st.function([i], updates=[(t, st.inc_subtensor(t[:, i], 1.0))])
    g([0])
    want[:, 0] += 1
    np.testing.assert_array_equal(t.get_value(), want)


def test_a_gather_with_as_many_rows_is_another_value_not_a_view():
    """``t[perm][i].inc(…)`` computes a permuted table: refused too, for nothing says that it is a table again."""
    t = st.shared(T, name="t")
    with pytest.raises(UpdateError, match="t"):
        st.function([], updates=[(t, t[[3, 2, 1, 0]][[0]].inc(1.0))])
    st.function([], updates=[(t, t[[3, 2, 1, 0]])])()  # said plainly, it is a new value
    np.testing.assert_array_equal(t.get_value(), T[::-1])


# --- shapes of values


@pytest.mark.parametrize("how", ["set", "inc"])
def test_the_shape_of_a_value_is_checked_at_build_and_at_run_time(how):
    x, v = st.tensor("x", "float64", (4, 6)), st.tensor("v", "float64", (3, 5))
    call = getattr(x[IDS], how)
    with pytest.raises(
        ShapeError, match=r"axis 1 of the indexed part of .*x.* is 6, of the value v is 5.*\(3, 6\) and \(3, 5\)"
    ):
        call(v)
    with pytest.raises(ShapeError, match="more axes"):
        call(st.tensor("w", "float64", (2, 3, 6)).reshape((2, 1, 3, 6)))
    x, v = st.matrix("x"), st.matrix("v")
    f = st.function([x, v], getattr(x[IDS], how)(v))
    with pytest.raises(
        ShapeError, match=r"axis 1 of the indexed part of x is 6, of the value v is 5; expected equal or 1"
    ):
        f(T, np.ones((3, 5)))
    with pytest.raises(ShapeError, match="axis 0"):
        f(T, np.ones((2, 6)))
