"""The places where Theano, Aesara and PyTensor are wrong, lettered as in the project's notes on its peers."""

import numpy as np
import pytest

import subtensor as st
from subtensor.errors import BoundsError, DTypeError, UpdateError

EACH = pytest.mark.parametrize("rewrites", [True, False], ids=["rewritten", "plain"])


@EACH
def test_A_no_addend_of_a_set_is_dropped(rewrites):
    x, i = st.vector("x"), st.lvector("i")
    g, h, k = st.vectors("ghk")
    s = x[i]
    outputs = [s.set(s + g + h), s.set(g + s + h), s.set(g + h + s), s.set(g + (h + s) + k), s.set(s - g - h)]
    f = st.function([x, i, g, h, k], outputs, rewrites=rewrites)
    a, at = np.array([1.0, 2.0, 3.0]), np.array([2, 0])
    vg, vh, vk = np.array([10.0, 20.0]), np.array([100.0, 200.0]), np.array([1000.0, 2000.0])
    for got, added in zip(f(a, at, vg, vh, vk), [vg + vh] * 3 + [vg + vh + vk, -vg - vh], strict=True):
        want = a.copy()
        want[at] += added
        np.testing.assert_array_equal(got, want)


@EACH
@pytest.mark.parametrize("constant", [True, False])
def test_B_a_set_with_repeated_indices_is_no_increment(rewrites, constant):
    x, g, i = st.vector("x"), st.vector("g"), st.lvector("i")
    ids = np.array([0, 0])
    s = x[ids] if constant else x[i]
    f = st.function([x, i, g], s.set(s + g), rewrites=rewrites, on_unused_input="ignore")
    assert f([10.0, 1.0], ids, [1.0, 2.0]).tolist() == [12.0, 1.0]


@EACH
@pytest.mark.parametrize("constant", [True, False])
def test_C_reading_what_was_written_gives_the_last_write(rewrites, constant):
    x, v, i = st.vector("x"), st.vector("v"), st.lvector("i")
    ids = np.array([0, 0])
    at = ids if constant else i
    f = st.function([x, i, v], x[at].set(v)[at], rewrites=rewrites, on_unused_input="ignore")
    assert f([5.0, 6.0], ids, [1.0, 2.0]).tolist() == [2.0, 2.0]


@EACH
@pytest.mark.parametrize("bad", [3, -4, 2**40, -(2**40)])
def test_D_a_bad_index_is_an_error_and_writes_nothing(rewrites, bad):
    t, i = st.shared(np.arange(3.0), name="t"), st.lvector("i")
    for f in (
        st.function([i], t[i], rewrites=rewrites),
        st.function([i], updates=[(t, t[i].set(9.0))], rewrites=rewrites),
        st.function([i], updates=[(t, t[i].inc(9.0))], rewrites=rewrites),
    ):
        with pytest.raises(BoundsError, match=rf"index {bad} at position \(1,\) of i is out of bounds for axis 0 of t"):
            f([0, bad, 1])
        assert t.get_value().tolist() == [0.0, 1.0, 2.0]


@EACH
def test_E_a_row_mask_selects_rows(rewrites):
    m, mask = st.matrix("m"), st.tensor("mask", "bool", (None,))
    f = st.function([m, mask], [m[mask].set(0), m[mask].sum()], rewrites=rewrites)
    a, rows = np.arange(9.0).reshape(3, 3), np.array([True, False, False])
    zeroed, total = f(a, rows)
    assert zeroed.tolist() == [[0, 0, 0], [3, 4, 5], [6, 7, 8]]
    assert total == 3.0


@EACH
@pytest.mark.parametrize("view", ["t[1:][i]", "t.T[i]", "t[::2][i]", "t[:, ::-1][i]"])
def test_F_a_table_is_never_shrunk_or_transposed(rewrites, view):
    a = np.arange(9.0).reshape(3, 3)
    t, i = st.shared(a, name="t", shape=(None, None)), st.lvector("i")
    target = eval(view, {"t": t, "i": i})  # the spelling is the case
    with pytest.raises(UpdateError, match="part or a rearrangement of t"):
        st.function([i], updates=[(t, target.inc(1.0))], rewrites=rewrites)
    np.testing.assert_array_equal(t.get_value(), a)


@EACH
@pytest.mark.parametrize("constant", [True, False])
def test_G_only_winning_writes_have_a_gradient(rewrites, constant):
    x, v, i = st.vector("x"), st.vector("v"), st.lvector("i")
    ids = np.array([0, 0])
    g = st.grad((x[ids if constant else i].set(v) * np.array([3.0, 5.0])).sum(), [v, x])
    to_v, to_x = st.function([x, i, v], g, rewrites=rewrites, on_unused_input="ignore")([5.0, 6.0], ids, [1.0, 2.0])
    assert to_v.tolist() == [0.0, 3.0]
    assert to_x.tolist() == [0.0, 5.0]


@EACH
def test_H_the_full_table_spelling_has_the_value_of_the_row_update(rewrites):
    a = np.random.default_rng(0).normal(size=(5, 3))
    full, rows, i = st.shared(a, name="full"), st.shared(a, name="rows"), st.lvector("i")

    def cost(subset):
        return (subset**2).sum()

    subset = rows[i]
    updates = [
        (full, full - 0.1 * st.grad(cost(full[i]), full)),
        (rows, subset.inc(-0.1 * st.grad(cost(subset), subset))),
    ]
    st.function([i], updates=updates, rewrites=rewrites)([1, 3, 1])
    want = a.copy()
    np.add.at(want, [1, 3, 1], -0.2 * a[[1, 3, 1]])
    np.testing.assert_allclose(full.get_value(), want, rtol=1e-14)
    np.testing.assert_allclose(rows.get_value(), want, rtol=1e-14)


@EACH
def test_I_reads_writes_masks_and_slices_known_only_at_run_time(rewrites):
    x, i, n = st.vector("x"), st.lvector("i"), st.lscalar("n")
    outputs = [x[i].inc(1.0, ignore_duplicates=True), (x > 1).nonzero()[0], x[n:], x[: -1 * n : 2], x[x > 1]]
    f = st.function([x, i, n], outputs, rewrites=rewrites)
    a = np.array([1.0, 2.0, 0.0, 5.0])
    for got, want in zip(f(a, [0, 0, 3], 1), [[2, 2, 0, 6], [1, 3], a[1:], a[:-1:2], [2, 5]], strict=True):
        np.testing.assert_array_equal(got, want)
    for bad in (4, -5):
        with pytest.raises(IndexError, match=rf"index {bad} .*size 4; expected -4 <= index < 4"):
            f(a, [bad], 1)


@EACH
def test_J_a_repeated_subset_is_one_subset(rewrites):
    t, i = st.shared(np.array([1.0, 2.0, 3.0]), name="t"), st.lvector("i")
    s = t[i]
    assert t[i] is s
    cost = (s * t[i] * 2).sum() + t[i].sum()
    got = st.function([i], st.grad(cost, s), rewrites=rewrites)([2, 0])
    assert got.tolist() == [4 * 3.0 + 1, 4 * 1.0 + 1]


@EACH
@pytest.mark.parametrize("rows", [1, 3])
def test_K_a_gradient_has_the_shape_that_its_variable_has_at_run_time(rewrites, rows):
    x, v, i = st.matrix("x"), st.matrix("v"), st.lvector("i")
    w = np.arange(8.0).reshape(4, 2)
    for how, factor in (("set", 0.0), ("inc", 1.0)):
        cost = (getattr(x[i], how)(v) * w).sum()
        f = st.function([x, i, v], st.grad(cost, [v, x]), rewrites=rewrites)
        ids = np.array([0, 2, 3])
        to_v, to_x = f(np.ones((4, 2)), ids, np.ones((rows, 2)))
        np.testing.assert_array_equal(to_v, w[ids].sum(0, keepdims=True) if rows == 1 else w[ids])
        want = w.copy()
        want[ids] *= factor
        np.testing.assert_array_equal(to_x, want)


@pytest.mark.parametrize("index", [np.array([0, 1]), slice(0, 2), 0, np.array([True, False, False])])
def test_L_a_float_is_refused_by_an_integer_table_whatever_the_index(index):
    x, v = st.lvector("x"), st.dscalar("v")
    for write in (x[index].set, x[index].inc):
        with pytest.raises(DTypeError, match=r"float64.*int64.*\.astype\('int64'\)"):
            write(v)
        with pytest.raises(DTypeError, match=r"float 1.5 into int64"):
            write(1.5)


@EACH
def test_M_writes_that_change_nothing_still_check_their_index(rewrites):
    x, i, mask = st.vector("x"), st.lvector("i"), st.tensor("mask", "bool", (None,))
    for node in (x[i].inc(0), x[i].inc(0.0), x[i].set(x[i]), x[i].inc(-0.0), x[i].set(0.0)[:0], x[i].sum() * 0):
        f = st.function([x, i], node, rewrites=rewrites)
        f([1.0, 2.0], [0, -1])
        with pytest.raises(BoundsError, match=r"index 2 at position \(1,\) of i is out of bounds"):
            f([1.0, 2.0], [0, 2])
    for node in (x[mask], x[mask].set(0), x[mask].inc(0)):
        f = st.function([x, mask], node, rewrites=rewrites)
        with pytest.raises(BoundsError, match=r"mask has length 2 along its axis 0.*length 3"):
            f([1.0, 2.0, 3.0], [True, False])
        with pytest.raises(BoundsError, match=r"mask has length 4 along its axis 0.*length 3"):
            f([1.0, 2.0, 3.0], [True, False, False, False])
