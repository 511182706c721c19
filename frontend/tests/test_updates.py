"""Updates: simultaneous, one for each variable, of its dtype and shape, and never through shared memory."""

import threading

import numpy as np
import pytest

import subtensor as st
from subtensor.errors import DTypeError, FunctionError, ShapeError, UpdateError, UpdateTypeError

A, B = np.arange(6.0).reshape(3, 2), -np.arange(6.0).reshape(3, 2)


def pair():
    return st.shared(A, name="a"), st.shared(B, name="b")


def test_updates_are_simultaneous_and_outputs_see_the_old_values():
    a, b = pair()
    f = st.function([], [a, b, a + b], updates=[(a, a + b * 2), (b, b + a * 10)])
    old_a, old_b, total = f()
    np.testing.assert_array_equal(old_a, A)
    np.testing.assert_array_equal(old_b, B)
    np.testing.assert_array_equal(total, A + B)
    np.testing.assert_array_equal(a.get_value(), A + B * 2)
    np.testing.assert_array_equal(b.get_value(), B + A * 10)


def test_row_updates_are_simultaneous_too():
    a, b, i = *pair(), st.lvector("i")
    f = st.function(
        [i],
        [a, a[i], b[i], a.sum()],
        updates=[(a, a[i].inc(b[i])), (b, b[i].set(a[i]))],
    )
    ids = np.array([2, 0])
    whole, rows_a, rows_b, total = f(ids)
    np.testing.assert_array_equal(whole, A)
    np.testing.assert_array_equal(rows_a, A[ids])
    np.testing.assert_array_equal(rows_b, B[ids])
    assert total == A.sum()
    want_a, want_b = A.copy(), B.copy()
    want_a[ids] += B[ids]
    want_b[ids] = A[ids]
    np.testing.assert_array_equal(a.get_value(), want_a)
    np.testing.assert_array_equal(b.get_value(), want_b)


@pytest.mark.parametrize("form", [list, tuple, dict])
def test_the_forms_of_updates(form):
    a, b = pair()
    st.function([], updates=form([(a, a + 1), (b, b + 1)]))()
    np.testing.assert_array_equal(a.get_value(), A + 1)
    np.testing.assert_array_equal(b.get_value(), B + 1)


def test_swaps_and_rotations():
    a, b = pair()
    f = st.function([], [a, b], updates=[(a, b), (b, a)])
    for k in range(3):
        old = f()
        np.testing.assert_array_equal(old[0], B if k % 2 else A)
        old[0][...] = 77
        np.testing.assert_array_equal(a.get_value(), A if k % 2 else B)
        np.testing.assert_array_equal(b.get_value(), B if k % 2 else A)
    step = st.function([], updates=[(a, a[0].inc(1.0))])
    before = b.get_value()
    step()
    np.testing.assert_array_equal(b.get_value(), before)
    three = [st.shared(np.full(2, float(k)), name=f"s{k}") for k in range(3)]
    st.function([], updates=[(three[k], three[(k + 1) % 3]) for k in range(3)])()
    assert [s.get_value()[0] for s in three] == [1, 2, 0]


def test_one_value_for_two_variables_is_two_arrays():
    a, b = pair()
    c = st.shared(np.zeros((3, 2)), name="c")
    new = a * 2 + b
    out = st.function([], [new, new.T], updates=[(a, new), (b, new), (c, a)])()
    want = A * 2 + B
    for s in (a, b):
        np.testing.assert_array_equal(s.get_value(), want)
    np.testing.assert_array_equal(c.get_value(), A)
    arrays = [s.get_value(borrow=True) for s in (a, b, c)] + out
    for k, x in enumerate(arrays):
        assert not any(np.shares_memory(x, y) for y in arrays[k + 1 :])
    st.function([], updates=[(a, a[0].inc(1.0))])()
    np.testing.assert_array_equal(b.get_value(), want)


def test_a_variable_copied_into_others_while_it_changes():
    a, b = pair()
    c = st.shared(np.zeros((3, 2)), name="c")
    i = st.lvector("i")
    st.function([i], updates=[(b, a), (c, a), (a, a[i].set(9.0))])([1])
    np.testing.assert_array_equal(b.get_value(), A)
    np.testing.assert_array_equal(c.get_value(), A)
    assert a.get_value()[1].tolist() == [9, 9]
    x = st.dmatrix("x")
    given = np.ones((3, 2))
    st.function([x], updates=[(a, x), (b, x)])(given)
    given[:] = 5
    st.function([], updates=[(a, a + 1)])()
    assert a.get_value().ravel().tolist() == [2] * 6
    assert b.get_value().ravel().tolist() == [1] * 6


CHAINS = {
    "inc then set": (
        lambda t, i, j, v: t[i].inc(v)[j].set(0.0),
        lambda t, i, j, v, old: (np.add.at(t, i, v), t.__setitem__(j, 0)),
    ),
    "set then inc": (
        lambda t, i, j, v: t[j].set(7.0)[i].inc(v),
        lambda t, i, j, v, old: (t.__setitem__(j, 7), np.add.at(t, i, v)),
    ),
    "reads in between": (
        lambda t, i, j, v: t[i].inc(t[i] * v)[j].inc(t[j]),
        lambda t, i, j, v, old: (np.add.at(t, i, old[i] * v), np.add.at(t, j, old[j])),
    ),
    "reads of the written": (
        lambda t, i, j, v: t[i].inc(v)[j].inc(t[i].inc(v)[j]),
        lambda t, i, j, v, old: (np.add.at(t, i, v), np.add.at(t, j, t[j])),
    ),
    "three": (
        lambda t, i, j, v: t[i].inc(v)[:, 0].set(t[:, 1])[j].inc(-v[0]),
        lambda t, i, j, v, old: (
            np.add.at(t, i, v),
            t.__setitem__((slice(None), 0), old[:, 1]),
            np.add.at(t, j, -v[0]),
        ),
    ),
    "shift down": (
        lambda t, i, j, v: st.set_subtensor(t[1:], t[:-1]),
        lambda t, i, j, v, old: t.__setitem__(slice(1, None), t[:-1].copy()),
    ),
    "shift up": (
        lambda t, i, j, v: st.set_subtensor(t[:-1], t[1:]),
        lambda t, i, j, v, old: t.__setitem__(slice(0, -1), t[1:].copy()),
    ),
    "reverse": (
        lambda t, i, j, v: st.set_subtensor(t[::-1], t),
        lambda t, i, j, v, old: t.__setitem__(slice(None), t[::-1].copy()),
    ),
    "reverse part": (
        lambda t, i, j, v: t[:2].set(t[1::-1]),
        lambda t, i, j, v, old: t.__setitem__(slice(0, 2), t[1::-1].copy()),
    ),
    "add a view": (
        lambda t, i, j, v: st.inc_subtensor(t[1:], t[:-1]),
        lambda t, i, j, v, old: t.__setitem__(slice(1, None), t[1:] + t[:-1]),
    ),
    "transposed view": (
        lambda t, i, j, v: t[:2].set(t[:2].T),
        lambda t, i, j, v, old: t.__setitem__(slice(0, 2), t[:2].T.copy()),
    ),
    "row of itself": (lambda t, i, j, v: t[i].set(t[0]), lambda t, i, j, v, old: t.__setitem__(i, t[0].copy())),
    "shift by a broadcast": (
        lambda t, i, j, v: t[:].set(t[1]),
        lambda t, i, j, v, old: t.__setitem__(slice(None), t[1].copy()),
    ),
    "view of an index": (lambda t, i, j, v: t[i[::-1]].inc(v), lambda t, i, j, v, old: np.add.at(t, i[::-1], v)),
}


@pytest.mark.parametrize("case", CHAINS)
@pytest.mark.parametrize("also_output", [False, True])
@pytest.mark.parametrize("rewrites", [True, False])
def test_chains_of_writes_and_writes_of_the_tables_own_parts(case, also_output, rewrites):
    build, act = CHAINS[case]
    start = np.random.default_rng(1).integers(-9, 9, (4, 2)).astype(float)
    t, i, j, v = st.shared(start, name="t"), st.lvector("i"), st.lvector("j"), st.dmatrix("v")
    ids, jds, values = np.array([3, 1, 3]), np.array([0, 3]), np.array([[1.0, 2], [3, 4], [5, 6]])
    new = build(t, i, j, v)
    outputs = [new, new[::-1], t, t[i]] if also_output else [t[0]]
    f = st.function([i, j, v], outputs, updates=[(t, new)], on_unused_input="ignore", rewrites=rewrites)
    want = start.copy()
    for _ in range(2):
        old = want.copy()
        act(want, ids, jds, values, old)
        results = f(ids, jds, values)
        np.testing.assert_array_equal(t.get_value(), want)
        if also_output:
            for got, expected in zip(results, [want, want[::-1], old, old[ids]], strict=True):
                np.testing.assert_array_equal(got, expected)
            results[0][...] = 55
            results[1][...] = 66
            np.testing.assert_array_equal(t.get_value(), want)
        else:
            np.testing.assert_array_equal(results[0], old[0])


def test_two_tables_written_from_one_another_in_chains():
    a, b, i = *pair(), st.lvector("i")
    new_a = a[i].inc(b[i])[1:].set(b[:-1])
    new_b = b[1:].set(a[:-1])[i].inc(a[i])
    st.function([i], updates=[(a, new_a), (b, new_b)])([0, 2, 0])
    want_a, want_b = A.copy(), B.copy()
    np.add.at(want_a, [0, 2, 0], B[[0, 2, 0]])
    want_a[1:] = B[:-1]
    want_b[1:] = A[:-1]
    np.add.at(want_b, [0, 2, 0], A[[0, 2, 0]])
    np.testing.assert_array_equal(a.get_value(), want_a)
    np.testing.assert_array_equal(b.get_value(), want_b)


def test_an_update_to_itself_changes_nothing():
    a, b = pair()
    st.function([], updates=[(a, a), (b, a)])()
    np.testing.assert_array_equal(a.get_value(), A)
    np.testing.assert_array_equal(b.get_value(), A)
    assert not np.shares_memory(a.get_value(borrow=True), b.get_value(borrow=True))


# --- what is refused


def test_updates_that_are_refused_when_the_function_is_built():
    a, _ = pair()
    n, x, m = st.shared(np.arange(3), name="n"), st.dvector("x"), st.dmatrix("m")
    cases = [
        ([(a, a + 1), (a, a + 2)], UpdateError, r"a is updated twice; .*write both changes as one expression"),
        ([(x, x + 1)], UpdateError, r"is not a shared variable.*make one with st\.shared"),
        ([(a + 1, a)], UpdateError, "is not a shared variable"),
        ([(a[1:], a[1:] + 1)], UpdateError, r"is not a shared variable.*\(a, a\[1:\]\.set\(value\)\)"),
        ([a], FunctionError, "expected pairs"),
        ([(n, n + 0.5)], UpdateTypeError, r"update of n: .*is float64, the variable int64; write \.astype\('int64'\)"),
        ([(n, 0.5)], UpdateTypeError, r"the new value 0.5 has 0 axes, the variable 1"),
        ([(a, a.astype("float32"))], UpdateTypeError, r"float32, the variable float64"),
        ([(a, a[0])], UpdateTypeError, r"update of a: .*has 1 axis, the variable 2"),
        ([(a, a[:2])], UpdateTypeError, r"axis 0 of the new value a\[:2\] is 2, of the variable 3; .*shape=\(None"),
        ([(a, a.T)], UpdateTypeError, r"axis 0 of the new value transpose\(a\) is 2, of the variable 3"),
        ([(a, st.concatenate([a, a]))], UpdateTypeError, "is 6, of the variable 3"),
    ]
    for updates, error, text in cases:
        with pytest.raises(error, match=text):
            st.function([x, m], updates=updates, on_unused_input="ignore")
    np.testing.assert_array_equal(a.get_value(), A)


def test_a_shape_that_turns_out_wrong_is_refused_at_run_time():
    a, m = st.shared(A, name="a"), st.dmatrix("m")
    f = st.function([m], updates=[(a, m * 2)])
    with pytest.raises(ShapeError, match=r"axis 0 of \(m \* 2.0\) is 4; expected 3, and shape \(3, 2\)"):
        f(np.zeros((4, 2)))
    np.testing.assert_array_equal(a.get_value(), A)
    f(np.ones((3, 2)))
    assert a.get_value().ravel().tolist() == [2] * 6


def test_python_scalars_are_weak_in_updates_too():
    s, n, flag = st.shared(np.float32(1), name="s"), st.shared(3, name="n"), st.shared(True, name="flag")
    st.function([], updates=[(s, 2), (n, 7), (flag, False)])()
    assert (s.get_value(), n.get_value(), flag.get_value()) == (2, 7, False)
    assert (s.dtype, n.dtype, flag.dtype) == ("float32", "int64", "bool")
    for updates in ([(n, 1.5)], [(flag, 1)]):
        with pytest.raises(UpdateTypeError):
            st.function([], updates=updates)
    small = st.shared(np.int8(1))
    with pytest.raises(DTypeError, match="300"):
        st.function([], updates=[(small, 300)])


def test_a_variable_of_open_length_grows_and_shrinks():
    log, x = st.shared(np.zeros((0, 2)), name="log", shape=(None, 2)), st.dmatrix("x")
    append = st.function([x], log.shape[0], updates=[(log, st.concatenate([log, x]))])
    assert append(np.ones((2, 2))) == 0
    assert append(np.full((1, 2), 3.0)) == 2
    assert log.get_value().tolist() == [[1, 1], [1, 1], [3, 3]]
    i = st.lvector("i")
    bump = st.function([i], updates=[(log, log[i].inc(1.0))])
    bump([2, 2])
    assert log.get_value()[2].tolist() == [5, 5]
    with pytest.raises(IndexError, match="size 3"):
        bump([3])
    st.function([], updates=[(log, log[1:])])()
    assert log.get_value().tolist() == [[1, 1], [5, 5]]
    with pytest.raises(UpdateTypeError, match="axis 1"):
        st.function([], updates=[(log, st.zeros((4, 3)))])
    with pytest.raises(ShapeError):
        st.function([x], updates=[(log, x)])(np.zeros((2, 3)))
    assert log.get_value().tolist() == [[1, 1], [5, 5]]


# --- index dtypes on tables larger than their range


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"])
@pytest.mark.parametrize("how", ["set", "inc"])
@pytest.mark.parametrize("known", [True, False])
def test_narrow_and_wide_index_dtypes(dtype, how, known):
    rows = 70_000
    start = np.arange(rows * 2.0).reshape(rows, 2)
    t = st.shared(start, name="t", shape=None if known else (None, None))
    i = st.tensor("i", dtype, (None,))
    info = np.iinfo(dtype)
    ids = [k for k in (0, 1, 100, 127, 255, 65_535, rows - 1) if k <= info.max] + ([-1, -128] if info.min else []) + [1]
    ids = np.array(ids, dtype)
    wide = ids.astype("int64")
    v = st.dmatrix("v")
    values = np.arange(ids.size * 2.0).reshape(-1, 2)
    cost = (t[i].inc(v) ** 2).sum()
    f = st.function(
        [i, v], [t[i], t[i, i % 2], t[:, 0].take(i), st.grad(cost, v)], updates=[(t, getattr(t[i], how)(v))]
    )
    got = f(ids, values)
    np.testing.assert_array_equal(got[0], start[wide])
    np.testing.assert_array_equal(got[1], start[wide, wide % 2])
    np.testing.assert_array_equal(got[2], start[wide, 0])
    want = start.copy()
    np.add.at(want, wide, values)
    np.testing.assert_array_equal(got[3], 2 * want[wide])
    if how == "set":
        want = start.copy()
        want[wide] = values
    np.testing.assert_array_equal(t.get_value(), want)


@pytest.mark.parametrize("bad", [2**64 - 1, 2**63, 2**63 - 1, 5])
def test_unsigned_positions_never_wrap(bad):
    t, i, k = st.shared(np.arange(5.0), name="t"), st.tensor("i", "uint64", (None,)), st.tensor("k", "uint64", ())
    m = st.shared(np.zeros((5, 5)), name="m")
    nodes = [
        t[i],
        t[i].set(1.0),
        t[i].inc(1.0),
        m[:, i],
        m[i, i],
        m[1:, i].inc(1.0),
        m[:, i].set(0.0),
        t[i.reshape((1, -1))],
    ]
    for node in nodes:
        f = st.function([i], node)
        with pytest.raises(IndexError, match=rf"index {bad} at position \(.*1,?\) of .* is out of bounds"):
            f(np.array([1, bad], "uint64"))
    for node in (t[k], t[k].inc(1.0), m[:, k], m[k, i]):
        f = st.function([i, k], node, on_unused_input="ignore")
        with pytest.raises(IndexError, match=rf"index {bad} is out of bounds for axis"):
            f(np.array([1], "uint64"), np.array(bad, "uint64"))
    g = st.function([i], [t.take(i, mode="wrap"), t.take(i, mode="clip")])
    wrapped, clipped = g(np.array([bad], "uint64"))
    assert wrapped.tolist() == [bad % 5]
    assert clipped.tolist() == [4]


# --- threads and determinism


def test_two_threads_that_step_common_tables():
    a, b = st.shared(np.zeros(4), name="a"), st.shared(np.zeros(4), name="b")
    i = st.lvector("i")
    one = st.function([i], updates=[(a, a[i].inc(1.0)), (b, b[i].inc(-1.0))])
    two = st.function([i], updates=[(b, b[i].inc(-1.0)), (a, a[i].inc(1.0))])
    read = st.function([], [a + 0, b + 0])
    torn = []
    rounds = 400

    def step(f):
        for _ in range(rounds):
            f([0, 1, 1, 3])

    def watch():
        for _ in range(rounds):
            x, y = read()
            if (x != -y).any():
                torn.append((x, y))

    workers = [threading.Thread(target=step, args=(one,)), threading.Thread(target=step, args=(two,))]
    workers.append(threading.Thread(target=watch))
    for w in workers:
        w.start()
    for w in workers:
        w.join(60)
        assert not w.is_alive()
    assert not torn
    assert a.get_value().tolist() == [2 * rounds, 4 * rounds, 0, 2 * rounds]
    np.testing.assert_array_equal(b.get_value(), -a.get_value())


def test_the_same_inputs_give_the_same_bits():
    rng = np.random.default_rng(3)
    start, ids, values = rng.normal(size=(50, 8)), rng.integers(0, 50, 4000), rng.normal(size=(4000, 8))
    results = set()
    for _ in range(3):
        t, i, v = st.shared(start, name="t"), st.lvector("i"), st.dmatrix("v")
        f = st.function([i, v], [t[i].sum(), (t @ t.T).sum()], updates=[(t, t[i].inc(v))])
        for _ in range(2):
            first = f(ids, values)
        results.add((t.get_value().tobytes(), first[0].tobytes(), first[1].tobytes()))
    assert len(results) == 1
