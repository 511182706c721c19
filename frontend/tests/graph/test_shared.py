"""Shared variables: whose arrays they are, and what they accept."""

import copy

import numpy as np
import pytest
from optimizer_models import BACKENDS

import subtensor as st
from subtensor.errors import DTypeError, ShapeError

A = np.arange(6.0).reshape(2, 3)


in_place = pytest.mark.numpy_only("memory that is handed over is written in place by backends over NumPy arrays")


def test_values_are_copied_in_and_out():
    given = A.copy()
    t = st.shared(given, name="t")
    given[:] = 9
    np.testing.assert_array_equal(t.get_value(), A)
    taken = t.get_value()
    taken[:] = 9
    np.testing.assert_array_equal(t.get_value(), A)
    new = A * 2
    t.set_value(new)
    new[:] = 9
    np.testing.assert_array_equal(t.get_value(), A * 2)


@pytest.mark.parametrize("stepped", [False, True])
def test_the_same_holds_once_a_function_has_used_them(stepped):
    t = st.shared(A, name="t")
    f = st.function([], t, updates=[(t, t[0].inc(1.0))])
    if stepped:
        f()
    before = t.get_value()
    held = t.get_value()
    given = before * 1
    t.set_value(given)
    f()
    np.testing.assert_array_equal(held, before)
    np.testing.assert_array_equal(given, before)


def test_borrowed_values():
    given = A.copy()
    t = st.shared(given, borrow=True)
    assert t.get_value(borrow=True) is given
    new = A * 3
    t.set_value(new, borrow=True)
    assert t.get_value(borrow=True) is new
    assert t.get_value() is not new


FROZEN = A.copy()
FROZEN.setflags(write=False)


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (A.T, "not contiguous"),
        (np.broadcast_to(A[0], (2, 3)), "read-only"),
        (A[:, ::-1], "not contiguous"),
        (FROZEN, "read-only"),
    ],
)
def test_what_cannot_be_written_to_cannot_be_handed_over(odd, why):
    before = odd.copy()
    with pytest.raises(st.DTypeError, match=f"shared: t with borrow=True takes the array over.*{why}"):
        st.shared(odd, name="t", borrow=True)
    t = st.shared(np.ones(odd.shape), name="t")
    with pytest.raises(st.DTypeError, match=f"set_value: t with borrow=True.*{why}"):
        t.set_value(odd, borrow=True)
    np.testing.assert_array_equal(t.get_value(), 1)
    np.testing.assert_array_equal(odd, before)
    s = st.shared(odd)  # a copy is as good as ever
    s.set_value(odd)
    assert s.get_value(borrow=True).flags.c_contiguous
    np.testing.assert_array_equal(s.get_value(), odd)


def test_what_must_be_converted_is_copied_whatever_borrow_says():
    for odd in (A.astype(">f8"), A.tolist()):
        s = st.shared(odd, borrow=True)
        assert s.get_value(borrow=True).dtype.isnative
        np.testing.assert_array_equal(s.get_value(), A)
    s.set_value(A.astype(">f8"), borrow=True)
    np.testing.assert_array_equal(s.get_value(), A)


@in_place
def test_an_array_that_is_handed_over_is_the_state():
    given, more = A.copy(), A.copy()
    t = st.shared(given, borrow=True)
    step = st.function([], updates=[(t, t[0].inc(1.0))])
    step()
    assert t.get_value(borrow=True) is given
    np.testing.assert_array_equal(given[0], A[0] + 1)
    t.set_value(more, borrow=True)
    step()
    np.testing.assert_array_equal(more[0], A[0] + 1)
    np.testing.assert_array_equal(given[0], A[0] + 1)


def test_a_failing_step_leaves_what_was_handed_over():
    given = A.copy()
    t, i = st.shared(given, borrow=True), st.lvector("i")
    with pytest.raises(IndexError):
        st.function([i], updates=[(t, t[i].inc(1.0))])([0, 99])
    np.testing.assert_array_equal(given, A)


def mapped(folder, value):
    array = np.lib.format.open_memmap(folder / "t.npy", mode="w+", dtype=value.dtype, shape=value.shape)
    array[...] = value
    return array


@in_place
def test_a_mapped_file_is_written_through_rows_and_whole(tmp_path):
    array = mapped(tmp_path, A)
    t, u = st.shared(array, borrow=True), st.shared(A + 5)
    st.function([], updates=[(t, t[0].inc(1.0))])()
    due = A.copy()
    due[0] += 1
    np.testing.assert_array_equal(np.load(tmp_path / "t.npy", mmap_mode="r"), due)
    st.function([], updates=[(t, t * 2)])()
    np.testing.assert_array_equal(np.load(tmp_path / "t.npy", mmap_mode="r"), due * 2)
    st.function([], updates=[(t, u), (u, t)])()  # which exchanges buffers elsewhere
    np.testing.assert_array_equal(np.load(tmp_path / "t.npy", mmap_mode="r"), A + 5)
    np.testing.assert_array_equal(u.get_value(), due * 2)
    t.set_value(A)
    np.testing.assert_array_equal(np.load(tmp_path / "t.npy", mmap_mode="r"), A)
    assert type(t.get_value()) is np.ndarray
    other = A * 7
    t.set_value(other, borrow=True)  # another array is taken over, and the file is let go
    st.function([], updates=[(t, t[0].inc(1.0))])()
    np.testing.assert_array_equal(np.load(tmp_path / "t.npy", mmap_mode="r"), A)


@in_place
def test_two_mapped_files_exchange_their_values(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    a, b = (st.shared(mapped(f, A * k), borrow=True) for f, k in zip(folders, (1, 2), strict=True))
    st.function([], updates=[(a, b), (b, a)])()
    for folder, k in zip(folders, (2, 1), strict=True):
        np.testing.assert_array_equal(np.load(folder / "t.npy", mmap_mode="r"), A * k)


@in_place
def test_a_mapped_file_keeps_its_shape(tmp_path):
    t = st.shared(mapped(tmp_path, A), borrow=True, shape=(None, 3), name="t")
    with pytest.raises(st.StoreError, match=r"the file .*t\.npy and has shape \(2, 3\), got a value of shape \(4, 3\)"):
        t.set_value(np.ones((4, 3)))
    longer = st.function([], updates=[(t, st.concatenate([t, t]))])
    with pytest.raises(st.StoreError, match=r"got a value of shape \(4, 3\)"):
        longer()
    np.testing.assert_array_equal(t.get_value(), A)


@in_place
def test_shared_memory_is_written_through():
    room = bytearray(A.nbytes)
    array = np.frombuffer(room).reshape(A.shape)
    array[...] = A
    t = st.shared(array, borrow=True)
    st.function([], updates=[(t, t * 2)])()
    np.testing.assert_array_equal(np.frombuffer(room).reshape(A.shape), A * 2)


@in_place
def test_a_mapped_file_does_not_go_to_a_backend_that_cannot_write_there(tmp_path):
    pytest.importorskip("jax")
    t = st.shared(mapped(tmp_path, A), borrow=True, name="t")
    with pytest.raises(st.StoreError, match=r"the file .*t\.npy, where the backend 'jax' cannot write"):
        st.function([], t.sum(), backend="jax")()
    np.testing.assert_array_equal(t.get_value(), A)


@pytest.mark.parametrize(
    ("value", "dtype", "shape"),
    [
        (3, "int64", ()),
        (True, "bool", ()),
        (1.5, "float64", ()),
        ([1, 2], "int64", (2,)),
        ([[1.0]], "float64", (1, 1)),
        (np.float32(2), "float32", ()),
        (np.zeros((0, 3), "int8"), "int8", (0, 3)),
        ([], "float64", (0,)),
        (np.zeros(2, ">i4"), "int32", (2,)),
    ],
)
def test_dtypes_and_shapes(value, dtype, shape):
    s = st.shared(value)
    assert s.dtype == dtype
    assert s.shape_static == shape
    assert s.get_value().dtype == np.dtype(dtype)
    np.testing.assert_array_equal(s.get_value(), value)
    assert type(s.get_value()) is np.ndarray


def test_a_python_float_alone_is_floatX(monkeypatch):
    monkeypatch.setattr(st.config, "floatX", "float32")
    assert st.shared(1.0).dtype == "float32"
    assert st.shared(np.float64(1.0)).dtype == "float64"
    assert st.shared(1.0, dtype="float16").dtype == "float16"


@pytest.mark.parametrize(
    "value", ["a", None, 1j, [1, None], {"a": 1}, np.array("2020-01-01", "M8[D]"), [[1], [1, 2]], object()]
)
def test_values_that_are_no_numbers(value):
    with pytest.raises(DTypeError):
        st.shared(value)
    s = st.shared(1.0)
    with pytest.raises((DTypeError, ShapeError)):
        s.set_value(value)
    assert s.get_value() == 1.0


def test_a_symbolic_value_is_refused():
    with pytest.raises(DTypeError, match="symbolic"):
        st.shared(st.dscalar("x"))
    with pytest.raises(DTypeError):
        st.shared(1.0).set_value(st.dscalar("x"))


@pytest.mark.parametrize(
    ("dtype", "value", "fits"),
    [
        ("float32", 1, True),
        ("float32", 0.1, True),
        ("float32", np.float64(0.1), False),
        ("float32", np.int64(1), False),
        ("float64", np.float32(0.5), True),
        ("int8", 100, True),
        ("int8", 200, False),
        ("int8", 1.0, False),
        ("int8", np.int64(1), False),
        ("int64", np.int8(1), True),
        ("uint8", -1, False),
        ("bool", True, True),
        ("bool", 1, False),
        ("int64", True, True),
    ],
)
def test_what_set_value_accepts(dtype, value, fits):
    s = st.shared(np.zeros((), dtype), name="s")
    if fits:
        s.set_value(value)
        assert s.get_value() == np.asarray(value).astype(dtype)
        assert s.get_value().dtype == dtype
    else:
        with pytest.raises(DTypeError, match=rf"set_value: s holds {dtype}, got .*astype\('{dtype}'\)"):
            s.set_value(value)
        assert s.get_value() == 0


def test_shapes_that_set_value_accepts():
    fixed, open_ = st.shared(A, name="fixed"), st.shared(A, name="open", shape=(None, 3))
    open_.set_value(np.zeros((7, 3)))
    for s, bad in ((fixed, np.zeros((7, 3))), (open_, np.zeros((2, 4))), (open_, np.zeros(3))):
        with pytest.raises(ShapeError, match=rf"set_value: {s.name} has shape \(.*\), got a value of shape"):
            s.set_value(bad)
    with pytest.raises(ShapeError, match=r"shape \(4, \?\), got a value of shape \(2, 3\)"):
        st.shared(A, shape=(4, None))


def test_functions_see_set_value():
    s = st.shared(1.0, name="s")
    f = st.function([], s * 2, updates=[(s, s + 1)])
    assert f() == 2
    s.set_value(10.0)
    assert f() == 20
    assert s.get_value() == 11


def test_zero_dimensional_state():
    s = st.shared(0)
    f = st.function([], s, updates=[(s, s + 1)])
    assert [int(f()) for _ in range(3)] == [0, 1, 2]
    assert s.get_value().shape == ()
    value = s.get_value()
    value[...] = 99
    assert s.get_value() == 3


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copy_is_a_variable_of_its_own(copied, backend):
    s = st.shared(A, "s", shape=(None, 3))
    step = st.function([], updates=[(s, s + 1)], backend=backend)
    step()
    best = copied(s)
    assert best is not s
    assert (best.name, best.type, best.dtype) == (s.name, s.type, s.dtype)
    step()
    np.testing.assert_array_equal(best.get_value(), A + 1)
    np.testing.assert_array_equal(s.get_value(), A + 2)
    best.set_value(np.zeros((1, 3)))
    np.testing.assert_array_equal(s.get_value(), A + 2)
    assert st.function([], best + s[:1], backend=backend)().tolist() == (A[:1] + 2).tolist()


def test_the_best_parameters_of_a_run_can_be_kept():
    w, b = st.shared(np.ones(2), "w"), st.shared(0.5, "b")
    step = st.function([], updates=[(w, w * 2), (b, b + 1)])
    best = copy.deepcopy({"params": [w, b], "again": w, "cost": w.sum() + b})
    step()
    assert best["params"][0] is best["again"]
    assert best["params"][0].get_value().tolist() == [1, 1]
    for s, kept in zip((w, b), best["params"], strict=True):
        s.set_value(kept.get_value())
    assert best["cost"] is w.sum() + b  # over the variables that it was written with
    assert best["cost"].eval() == 2.5


def test_updates_are_not_copied_deeply():
    w = st.shared(np.ones(2), "w")
    updates = st.optimizers.momentum((w**2).sum(), [w], 0.1)
    with pytest.raises(st.errors.OptimizerError, match=r"deepcopy: updates are expressions.*st\.save"):
        copy.deepcopy(updates)
    kept = copy.deepcopy([*updates.parameters, *updates.state])
    st.function([], updates=copy.copy(updates))()
    assert [k.get_value().tolist() for k in kept] == [[1, 1], [0, 0]]
