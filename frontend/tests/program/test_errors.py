"""Bad input: a typed error that says where, what was expected, what was got, and the remedy."""

import re

import numpy as np
import pytest

import subtensor as st
from subtensor import errors
from subtensor.errors import BoundsError, DomainError, DTypeError, IndexingError, ShapeError
from subtensor.ops.loop import map_rows

M = np.arange(12.0).reshape(3, 4)


def says(error, *pieces):
    """A context in which `error` must be raised, with every piece in its text, in this order."""
    return pytest.raises(error, match=".*".join(re.escape(p) for p in pieces))


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("ShapeError", ValueError),
        ("DTypeError", TypeError),
        ("BoundsError", IndexError),
        ("IndexingError", IndexError),
        ("DomainError", ValueError),
        ("NotASubsetError", TypeError),
        ("UpdateTypeError", TypeError),
        ("CallError", TypeError),
        ("Unsupported", NotImplementedError),
    ],
)
def test_errors_are_also_what_python_would_raise(name, builtin):
    assert issubclass(getattr(errors, name), builtin)
    assert issubclass(getattr(errors, name), errors.SubtensorError)
    assert getattr(st, name) is getattr(errors, name)


# --- while the graph is built


@pytest.mark.parametrize(
    ("key", "pieces"),
    [
        (0.5, ["x", "0.5 of type float", "is not an index", "expected integers, slices", "astype('int64')"]),
        (np.float32(1), ["x", "1.0", "of type float32", "is not an index"]),
        (np.array([0.5, 1.0]), ["x", "an array of dtype float64", "is not an index"]),
        ([0.5, 1.0], ["x", "[0.5, 1.0] of type list", "is not an index"]),
        (np.array([]), ["x", "an array of dtype float64"]),
        ("a", ["x", "'a' of type str", "is not an index"]),
        (1j, ["x", "1j"]),
        ({1: 2}, ["x", "of type dict"]),
        (slice(None, None, 0), ["x[::0]", "the step of a slice is 0", "expected a positive or negative integer"]),
        ((0, 0, 0), ["x", "too many indices", "2 dimensions, but 3 were indexed", "add axes with None"]),
        ((0, np.zeros((3, 4), bool)), ["too many indices", "2 dimensions, but 3"]),
        ((Ellipsis, 0, Ellipsis), ["x", "only one ellipsis"]),
        ((np.array([0, 1]), np.array([0, 1, 2])), ["x[[0, 1], [0, 1, 2]]", "is 2", "is 3", "broadcast together"]),
        (np.array([True, False]), ["[True, False]", "length 2 along its axis 0", "length 3", "expected equal lengths"]),
        (np.zeros((3, 3), bool), ["mask has length 3 along its axis 1", "length 4"]),
        (st.dscalar("f"), ["x", "f of type float64[]", "is not an index"]),
        (st.fvector("f"), ["x", "f of type float32[?]", "is not an index"]),
        (np.array([1, 2], object), ["x", "an array of dtype object", "is not an index"]),
        (object(), ["x", "of type object", "is not an index"]),
    ],
)
def test_keys_that_are_no_index(key, pieces):
    x = st.tensor("x", "float64", (3, 4))
    with says(IndexError, *pieces):
        x[key]
    if not isinstance(key, st.Variable | slice):
        with pytest.raises((IndexError, ValueError)):
            M[key]


@pytest.mark.parametrize("bound", [0.5, "b", st.dscalar("f"), st.lvector("v")])
def test_a_bound_of_a_slice_that_is_no_integer_is_a_type_error_as_in_numpy(bound):
    x = st.tensor("x", "float64", (3, 4))
    for key in (slice(bound, None), slice(None, bound), slice(None, None, bound)):
        with says(TypeError, "x: ", "is not a slice bound", "expected an integer"):
            x[key]


def test_indices_known_to_be_out_of_bounds_are_found_at_the_latest_at_run_time():
    x = st.tensor("x", "float64", (3, 4))
    for key, pieces in [
        (3, ["x[3]: index 3 is out of bounds for axis 0 of x, which has size 3; expected -3 <= index < 3"]),
        ((0, -5), ["x[0, -5]: index -5 is out of bounds for axis 1 of x, which has size 4"]),
        ([0, 7], ["index 7 at position (1,) of [0, 7] is out of bounds for axis 0 of x"]),
        (([[0, 1], [2, 3]], 0), ["index 3 at position (1, 1) of [[0, 1], [2, 3]]"]),
    ]:
        with says(BoundsError, *pieces):
            st.function([x], x[key])(M)


@pytest.mark.parametrize("named", [True, False])
def test_bounds_at_run_time(named):
    x, i = (st.dmatrix("x"), st.lmatrix("i")) if named else (st.dmatrix(), st.lmatrix())
    at = "i" if named else "an unnamed input of type int64[?, ?]"
    what = "x" if named else "an unnamed input of type float64[?, ?]"
    f = st.function([x, i], x[1:, i])
    place = (
        f"{what}[1:, {at}]: index 4 at position (1, 0) of {at} is out of bounds for axis 1 of {what}, which has size 4"
    )
    with says(BoundsError, place, "expected -4 <= index < 4"):
        f(M, [[0, -4], [4, 0]])
    with says(BoundsError, "index -1 at position (0, 0)", "has size 0", "the axis is empty, so no index fits"):
        f(M[:, :0], [[-1]])
    t = st.shared(M) if not named else st.shared(M, name="t")
    g = st.function([i], updates=[(t, t[i].inc(1.0))])
    with says(BoundsError, "of " + ("t" if named else "an unnamed shared variable of type float64[3, 4]"), "size 3"):
        g([[3]])


def test_indices_that_do_not_broadcast_at_run_time():
    x, i, j = st.dmatrix("x"), st.lvector("i"), st.lvector("j")
    for node in (x[i, j], x[i, j].set(0.0), x[i, j].inc(0.0)):
        with says(
            IndexingError,
            "x[i, j]",
            "axis 0 of i is 2, of j is 3; expected equal or 1",
            "index arrays broadcast together",
        ):
            st.function([x, i, j], node)(M, [0, 1], [0, 1, 2])


def test_a_step_of_zero_at_run_time():
    x, k = st.dvector("x"), st.lscalar("k")
    for node in (x[::k], x[::k].set(1.0), x[::k].inc(1.0)):
        f = st.function([x, k], node)
        f(M[0], -1)
        with says(IndexingError, "x[::k]", "step of a slice is 0"):
            f(M[0], 0)


@pytest.mark.parametrize("rank", [1, 2])
def test_masks_that_do_not_fit_at_run_time(rank):
    x, mask = st.dmatrix("x"), st.tensor("mask", "bool", (None,) * rank)
    wrong = np.ones((2, 4)[:rank], bool)
    for node in (x[mask], x[mask].set(1.0), x[mask].sum()):
        with says(BoundsError, "mask: the mask has length 2 along its axis 0, but selects from an axis of length 3"):
            st.function([x, mask], node)(M, wrong)
    fixed = x[np.array([True, False])]
    with says(BoundsError, "[True, False]: the mask has length 2 along its axis 0", "length 3"):
        st.function([x], fixed)(M)


def test_shapes_at_build_and_at_run_time():
    a, b = st.tensor("a", "float64", (2, 3)), st.tensor("b", "float64", (2, 4))
    x, y = st.dmatrix("x"), st.dmatrix("y")
    va, vb = np.zeros((2, 3)), np.zeros((2, 4))
    for build, static, dynamic in [
        (
            lambda p, q: p + q,
            ["add: axis 1 of a is 3, of b is 4; expected equal or 1"],
            ["add: axis 1 of x is 3, of y is 4; expected equal or 1"],
        ),
        (lambda p, q: p @ q, ["a", "3", "b", "2"], ["x", "3", "y", "2"]),
        (
            lambda p, q: st.concatenate([p, q]),
            ["concatenate: axis 1 of a is 3, of b is 4"],
            ["concatenate: axis 1 of x is 3, of y is 4"],
        ),
        (lambda p, q: st.stack([p, q]), ["stack: axis 1 of a is 3, of b is 4"], ["stack: axis 1 of x is 3, of y is 4"]),
        (
            lambda p, q: (p.reshape((4, -1)), q)[0],
            ["reshape: a of shape (2, 3) has 6 elements, which (4, -1) does not divide"],
            ["reshape: x of shape (2, 3) has 6 elements, which (4, -1)"],
        ),
        (
            lambda p, q: (p.reshape((5, 2)), q)[0],
            ["reshape: a of shape (2, 3) has 6 elements; (5, 2) asks for 10"],
            ["reshape: x of shape (2, 3) has 6 elements; (5, 2)"],
        ),
        (
            lambda p, q: st.where(p > 0, p, q),
            ["where: axis 1 of", "is 3, of b is 4"],
            ["where: axis 1 of", "is 3, of y is 4"],
        ),
        (
            lambda p, q: p[:1].set(q[:1]),
            ["set_subtensor: axis 1 of the indexed part of", "a", "is 3, of the value b[:1] is 4"],
            ["set_subtensor: axis 1 of the indexed part of x", "is 3, of the value y[:1] is 4"],
        ),
        (
            lambda p, q: p.squeeze(0) + q,
            ["squeeze: axis 0 of a has length 2; expected 1"],
            ["squeeze: axis 0 of x has length 2; expected 1"],
        ),
    ]:
        with says(ShapeError, *static):
            build(a, b)
        f = st.function([x, y], build(x, y), on_unused_input="ignore")
        with says(ShapeError, *dynamic):
            f(va, vb)


def test_domains_at_run_time():
    n, x, k = st.lscalar("n"), st.dvector("x"), st.lvector("k")
    with says(ValueError, "length -2 for axis 0 is negative; expected 0 or more"):
        st.function([n], st.zeros((n, 3)))(-2)
    for node in (x.max(), x.argmax()):
        with pytest.raises((DomainError, ShapeError), match=r"x|max"):
            st.function([x], node)(np.zeros(0))
    with says(DomainError, "power", "negative integer"):
        st.function([k], st.constant([2, 3]) ** k)([1, -1])


def test_an_error_inside_a_row_wise_body_is_the_same_error():
    x, i = st.dvector("x"), st.lvector("i")
    jac = st.jacobian(x[i] ** 2, x)
    f = st.function([x, i], jac)
    np.testing.assert_array_equal(f([1.0, 2, 3], [2, 2]), [[0, 0, 6], [0, 0, 6]])
    with says(BoundsError, "index 3 at position (1,) of i is out of bounds for axis 0", "size 3"):
        f([1.0, 2, 3], [0, 3])
    # an index that is only used inside the body
    seeds = st.dmatrix("seeds")
    mapped = map_rows(lambda r: r[i].set(0.0) * x, seeds, [x.shape[0]])
    g = st.function([seeds, x, i], mapped)
    np.testing.assert_array_equal(g(np.ones((2, 3)), [1.0, 2, 3], [0]), [[0, 2, 3]] * 2)
    with says(BoundsError, "index 5 at position (0,) of i is out of bounds for axis 0 of row, which has size 3"):
        g(np.ones((2, 3)), [1.0, 2, 3], [5])
    with says(ShapeError, "axis 0 of", "is 3", "is 2"):
        g(np.ones((2, 3)), [1.0, 2], [0])


def test_a_fault_of_a_backend_is_not_hidden():
    """What the frontend finds no fault with is raised as it came."""
    from subtensor import plugins
    from subtensor.graph.nodes import Op
    from subtensor.plugins.hooks import hookimpl

    op = Op(name="test_faulty", infer=lambda x: x.type, vjp=lambda g, out, x: [g])
    fault = KeyError("inside")

    class Plugin:
        @hookimpl
        def subtensor_ops(self):
            return [op]

        @hookimpl
        def subtensor_lowerings(self):
            def lowered(x):
                raise fault

            return {"numpy": {"test_faulty": lowered}}

    name = plugins.register(Plugin())
    try:
        x = st.dvector("x")
        with pytest.raises(KeyError) as caught:
            st.function([x], op(x)[[0]] + 1, backend="numpy")([1.0])
        assert caught.value is fault
        # what stands before it in the program and is wrong is still named
        i = st.lvector("i")
        with says(BoundsError, "index 3 at position (0,) of i"):
            st.function([x, i], op(x[i]), backend="numpy")([1.0], [3])
    finally:
        plugins.unregister(name)


def test_the_error_path_changes_no_state_and_no_input():
    t, i, v = st.shared(M, name="t"), st.lvector("i"), st.dmatrix("v")
    f = st.function([i, v], [t + 1, v], updates=[(t, t[i].set(v)[:, 0].inc(1.0))])
    ids, value = np.array([0, 9]), np.ones((2, 4))
    for a, b in (ids.copy(), value.copy()), (np.array([0, 1]), np.ones((2, 3))):
        old = a.copy(), b.copy()
        with pytest.raises((BoundsError, ShapeError)):
            f(a, b)
        np.testing.assert_array_equal(a, old[0])
        np.testing.assert_array_equal(b, old[1])
        np.testing.assert_array_equal(t.get_value(), M)


def test_symbols_have_no_value():
    x = st.dvector("x")
    for use, pieces in [
        (lambda: bool(x > 0), ["has no truth value", "st.where"]),
        (lambda: float(x), ["no value while the graph is built", ".eval"]),
        (lambda: np.asarray(x), ["no value while the graph is built"]),
        (lambda: 3 in x, ["no value"]),
    ]:
        with says(DTypeError, *pieces):
            use()
    with says(ShapeError, "length of", "is not known", ".shape[0]"):
        len(x)
