"""``function``: arguments, outputs, givens, what is converted and what is refused."""

import warnings
from copy import copy as shallow_copy
from copy import deepcopy

import numpy as np
import pytest

import subtensor as st
from subtensor.errors import (
    BackendNotFoundError,
    CallError,
    DTypeError,
    FunctionError,
    MissingInputError,
    ShapeError,
    UnusedInputError,
    UpdateTypeError,
)


def test_the_form_of_the_outputs_is_kept():
    x = st.dscalar("x")
    assert st.function([x], x + 1)(2) == 3.0
    assert st.function([x], x + 1)(2).shape == ()
    assert st.function([x], [x, x * 2])(2) == [2.0, 4.0]
    assert st.function([x], (x, x * 2))(2) == [2.0, 4.0]
    assert st.function([x], {"a": x, "b": x * 2})(2) == {"a": 2.0, "b": 4.0}
    assert st.function([], None)() == []
    assert st.function([], [])() == []
    assert st.function([], {})() == {}
    assert st.function([], 3)() == 3
    assert isinstance(st.function([x], x)(2), np.ndarray)


def test_positional_keyword_default_and_renamed_arguments():
    x, y, z = st.dscalar("x"), st.dscalar("y"), st.dscalar("z")
    f = st.function([x, st.In(y, value=10.0), st.In(z, name="other", value=100)], x + y + z)
    assert f(1) == 111.0
    assert f(1, 2) == 103.0
    assert f(1, 2, 3) == 6.0
    assert f(x=1) == 111.0
    assert f(1, other=5) == 16.0
    assert f(other=5, y=0, x=1) == 6.0
    for call, text in [
        (f, "missing x; the inputs are: x, y, other"),
        (lambda: f(y=1), "missing x"),
        (lambda: f(1, 2, 3, 4), r"got 4 arguments; expected at most 3 \(x, y, other\)"),
        (lambda: f(1, z=3), "no input named 'z'; the inputs are: x, y, other"),
        (lambda: f(1, x=3), "input 'x' is given twice"),
    ]:
        with pytest.raises(CallError, match=text) as caught:
            call()
        assert isinstance(caught.value, TypeError)


def test_unnamed_and_equally_named_inputs():
    a, b = st.dscalar(), st.lvector()
    f = st.function([a, b], a + b, name="step")
    with pytest.raises(
        CallError, match=r"step: missing an unnamed input of type int64\[\?\]; the inputs are: <float64\[\]>"
    ):
        f(1.0)
    p, q = st.dscalar("p"), st.dscalar("p")
    g = st.function([p, q], p - q)
    assert g(5, 3) == 2
    with pytest.raises(CallError, match="several inputs are named 'p'; pass them by position"):
        g(5, p=3)


def test_a_default_is_not_changed_by_what_is_done_to_results_or_to_the_array_given():
    x = st.dvector("x")
    start = np.zeros(2)
    f = st.function([st.In(x, value=start)], x)
    start[:] = 7
    result = f()
    result[:] = 9
    assert f().tolist() == [0.0, 0.0]


# --- inputs that are none


def test_inputs_that_are_no_inputs():
    x, t = st.dvector("x"), st.shared(np.zeros(2), name="t")
    for inputs, text in [
        (x, r"inputs must be a list; write \["),
        ([t], "is shared and cannot be an input.*givens"),
        ([st.constant(1.0)], "is not an input"),
        ([3], "is not an input"),
        (["x"], "is not an input"),
        ([x, x], "x is listed twice"),
    ]:
        with pytest.raises(FunctionError, match=text):
            st.function(inputs, x * 2)


def test_missing_and_unused_inputs():
    x, y = st.dvector("x"), st.dvector("y")
    with pytest.raises(
        MissingInputError, match=r"needs the input y \(float64\[\?\]\), made at .*test_function.py:\d+.*givens"
    ):
        st.function([x], x + y)
    with pytest.raises(
        UnusedInputError, match="no output or update uses the input y; remove it, or pass on_unused_input"
    ):
        st.function([x, y], x)
    with pytest.warns(UserWarning, match="input y") as caught:
        st.function([x, y], x, on_unused_input="warn")
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert st.function([x, y], x.sum(), on_unused_input="ignore")([1], [2]) == 1.0
    with pytest.raises(FunctionError, match="on_unused_input='whatever'; expected 'raise', 'warn' or 'ignore'"):
        st.function([x], x, on_unused_input="whatever")
    with pytest.raises(BackendNotFoundError, match="nonesuch"):
        st.function([x], x, backend="nonesuch")


# --- conversion of arguments


@pytest.mark.parametrize(
    ("dtype", "value", "allow", "result"),
    [
        ("float32", 1.5, None, 1.5),
        ("float32", [1.5, 2], None, [1.5, 2]),
        ("float32", 3, None, 3),
        ("float32", 3, False, 3),
        ("float32", 1.5, False, DTypeError),
        ("float32", np.float64(1.5), None, DTypeError),
        ("float32", np.array(1.5), None, DTypeError),
        ("float32", np.array(1.5), True, 1.5),
        ("float32", np.array([1, 2]), None, DTypeError),
        ("float32", np.array([1, 2], "int8"), None, [1, 2]),
        ("float32", np.array([1, 2]), True, [1, 2]),
        ("float64", np.array([1, 2]), None, [1, 2]),
        ("float64", np.float32(0.5), None, 0.5),
        ("float64", True, None, 1),
        ("int64", 3, None, 3),
        ("int64", True, None, 1),
        ("int64", np.array([1], "int8"), None, [1]),
        ("int32", 3, None, 3),
        ("int32", 3, False, 3),
        ("int32", [1, 2], None, [1, 2]),
        ("int32", 2**40, None, DTypeError),
        ("int32", 2**40, True, DTypeError),
        ("int32", np.array([1, 2]), None, DTypeError),
        ("int32", np.array([1, 2]), True, [1, 2]),
        ("int32", np.array([2**40]), True, DTypeError),
        ("int8", np.array([200.0]), True, DTypeError),
        ("uint8", -1, None, DTypeError),
        ("uint8", np.array([-1]), True, DTypeError),
        ("int64", 1.0, None, DTypeError),
        ("int64", 1.5, None, DTypeError),
        ("int64", 1.5, True, 1),
        ("int64", [1.0, float("nan")], None, DTypeError),
        ("int64", [1.0, float("nan")], True, DTypeError),
        ("int64", [float("inf")], True, DTypeError),
        ("int64", [], None, []),
        ("int64", np.array([], "float64"), None, DTypeError),
        ("bool", True, None, True),
        ("bool", 1, None, True),
        ("bool", 2, None, DTypeError),
        ("bool", np.array([0, 1]), None, DTypeError),
        ("float64", "a", None, DTypeError),
        ("float64", 1j, None, DTypeError),
        ("float64", None, None, DTypeError),
        ("float64", [[1], [1, 2]], None, DTypeError),
        ("float64", 10**400, None, DTypeError),
        ("int64", 10**30, None, DTypeError),
    ],
)
def test_what_an_argument_may_be(dtype, value, allow, result):
    rank = np.ndim(value) if result is not DTypeError or not isinstance(value, list) else 1
    x = st.tensor("x", dtype, (None,) * rank)
    for f in (
        st.function([x], x, allow_input_downcast=allow),
        st.function([st.In(x, allow_downcast=allow)], x),
    ):
        if result is DTypeError:
            with pytest.raises(DTypeError, match=rf"function: argument x takes {dtype}|argument x: cannot"):
                f(value)
        else:
            got = f(value)
            assert got.dtype == dtype
            np.testing.assert_array_equal(got, result)


def test_strict_inputs_take_their_dtype_only():
    x = st.fvector("x")
    f = st.function([st.In(x, strict=True)], x)
    f(np.zeros(2, "f4"))
    for value in ([1.0], np.zeros(2), np.zeros(2, "f2")):
        with pytest.raises(DTypeError, match="takes exactly float32"):
            f(value)


def test_errors_about_arguments_say_what_is_wrong():
    ids, w = st.lvector("ids"), st.tensor("w", "float64", (3, None))
    f = st.function([ids, w], [ids, w], name="step")
    ok = np.zeros((3, 2))
    with pytest.raises(
        DTypeError, match=r"step: argument ids takes int64, got float64 \(it holds NaN\); .*astype\('int64'\)"
    ):
        f(np.array([1.0, np.nan]), ok)
    with pytest.raises(DTypeError, match=r"argument ids takes int64, got float64; .*astype\('int64'\)"):
        f(np.array([1.0]), ok)
    with pytest.raises(ShapeError, match=r"step: argument ids has shape \(\?,\), got a value of shape \(\)"):
        f(3, ok)
    with pytest.raises(ShapeError, match=r"step: argument w has shape \(3, \?\), got a value of shape \(2, 3\)"):
        f([1], np.zeros((2, 3)))
    with pytest.raises(DTypeError, match="got the symbolic"):
        f(ids, ok)
    with pytest.raises(DTypeError, match=r"dtype object|cannot make an array"):
        f(np.array([1, None]), ok)


def test_arguments_of_every_layout_and_byte_order():
    x = st.dmatrix("x")
    f = st.function([x], [x.T, x.sum(0), x[::-1], x[[1, 0]]])
    base = np.arange(24.0).reshape(4, 6)
    for a in (base, np.asfortranarray(base), base[::2, ::-1], base.T, base.astype(">f8"), base[:, :0]):
        frozen = a.copy() if a.size else a
        frozen.setflags(write=False)
        for value in (a, frozen):
            for got, want in zip(f(value), [a.T, a.sum(0), a[::-1], a[[1, 0]]], strict=True):
                np.testing.assert_array_equal(got, want)
                assert got.dtype.isnative


class Odd(np.ndarray):
    def __mul__(self, other):
        raise AssertionError


def test_subclasses_of_arrays_are_taken_as_arrays():
    x = st.dmatrix("x")
    result = st.function([x], x * x)(np.array([[1.0, 2.0], [3.0, 4.0]]).view(Odd))
    assert type(result) is np.ndarray
    assert result.tolist() == [[1, 4], [9, 16]]


# --- givens


def test_givens_are_simultaneous():
    x, y = st.dscalar("x"), st.dscalar("y")
    assert st.function([x, y], x - y, givens=[(x, y), (y, x)])(5, 3) == -2
    assert st.function([x, y], x - y, givens={x: y + 1, y: x})(5, 3) == 3 + 1 - 5


def test_givens_replace_intermediate_and_shared_variables():
    x, t = st.dvector("x"), st.shared(np.array([1.0, 2.0]), name="t")
    middle = x * 2
    out = middle + t
    assert st.function([x], out, givens={middle: x * 10})([1, 2]).tolist() == [11, 22]
    assert st.function([x], out, givens={t: x})([1, 2]).tolist() == [3, 6]
    assert st.function([], out, givens={x: t})().tolist() == [3, 6]
    assert st.function([], out, givens={x: np.array([5.0, 6.0])})().tolist() == [11, 14]
    table, i = st.shared(np.arange(6.0).reshape(3, 2)), st.lscalar("i")
    batch = st.dvector("batch")
    f = st.function([i], (batch**2).sum(), givens={batch: table[i]})
    assert f(2) == 16 + 25


def test_givens_apply_to_updates():
    x, s = st.dscalar("x"), st.shared(1.0, name="s")
    st.function([], updates=[(s, s + x)], givens={x: 5})()
    assert s.get_value() == 6.0


def test_givens_that_do_not_fit():
    x, v, i = st.dscalar("x"), st.dvector("v"), st.lscalar("i")
    wide = st.tensor("wide", "float64", (3,))
    with pytest.raises(UpdateTypeError, match="expected 0 axes"):
        st.function([v], x, givens={x: v})
    with pytest.raises(DTypeError, match=r"givens for i.*float64.*int64"):
        st.function([x], i + 1, givens={i: x})
    with pytest.raises(FunctionError, match="replaces x twice"):
        st.function([v], x, givens=[(x, v[0]), (x, v[1])])
    with pytest.raises(FunctionError, match="givens replaces 3"):
        st.function([v], x, givens=[(3, x)])
    with pytest.raises(FunctionError, match="expected pairs"):
        st.function([v], x, givens=[x])
    with pytest.raises(UpdateTypeError, match="expected length 3 along axis 0"):
        st.function([], wide.sum(), givens={wide: np.zeros(4)})
    with pytest.raises(UnusedInputError):
        st.function([x], x, givens={x: 1.0})


def test_lengths_that_the_graph_was_built_on_are_checked_where_givens_replace():
    wide, v = st.tensor("wide", "float64", (3,)), st.dvector("v")
    f = st.function([v], wide.sum() / wide.shape[0], givens={wide: v})
    assert f([1, 2, 3]) == 2.0
    with pytest.raises(ShapeError, match=r"axis 0 of v is 4; expected 3"):
        f([1, 2, 3, 4])


# --- ownership


def test_outputs_belong_to_the_caller():
    x, t = st.dmatrix("x"), st.shared(np.arange(6.0).reshape(2, 3), name="t")
    c = st.constant(np.arange(6.0).reshape(2, 3))
    twice = x * 2
    outputs = [x, x, x.T, x[0], x[:, None], x.reshape((-1,)), t, t, t.T, t[0], t[1:], t[::-1, 0], c, c, c.T, c[0]]
    outputs += [
        twice,
        twice,
        twice.T,
        twice[0],
        twice.reshape((-1,)),
        st.broadcast_to(x[0], (4, 3)),
        x.dimshuffle(1, "x", 0),
    ]
    outputs += [st.zeros((2, 2)), st.zeros((2, 2)), st.broadcast_to(t[0, 0], (3, 3)), t.squeeze(), t[[0, 1]], x[0, 0]]
    f = st.function([x], outputs)
    a = np.arange(6.0).reshape(2, 3) - 2
    before = a.copy()
    first = f(a)
    wanted = [r.copy() for r in first]
    for k, r in enumerate(first):
        assert r.flags.writeable
        assert not np.shares_memory(r, a)
        assert not np.shares_memory(r, t.get_value(borrow=True))
        assert not any(np.shares_memory(r, other) for j, other in enumerate(first) if j != k)
    for k, r in enumerate(first):
        r[...] = -99 - k
    assert all((r == -99 - k).all() for k, r in enumerate(first))  # none shows through another
    np.testing.assert_array_equal(a, before)
    np.testing.assert_array_equal(t.get_value(), np.arange(6.0).reshape(2, 3))
    for got, want in zip(f(a), wanted, strict=True):
        np.testing.assert_array_equal(got, want)


def test_inputs_are_never_written_to():
    x, y, i = st.dmatrix("x"), st.dvector("y"), st.lvector("i")
    outputs = [x[0].set(y), x[i].inc(1.0), x.T[i].set(0.0), (x + 1)[i].inc(y), x.reshape((-1,))[i].set(5.0)]
    f = st.function([x, y, i], outputs)
    a, b, k = np.ones((3, 3)), np.arange(3.0), np.array([-1, 0])
    copies = [v.copy() for v in (a, b, k)]
    f(a, b, k)
    for v, copy in zip((a, b, k), copies, strict=True):
        np.testing.assert_array_equal(v, copy)


def test_eval():
    x, y = st.dscalar("x"), st.dvector("y")
    assert (x + 1).eval({x: 2}) == 3
    assert (x + y).eval({"x": 2, y: [1, 2]}).tolist() == [3, 4]
    assert st.constant(4).eval() == 4
    with pytest.raises(MissingInputError):
        (x + y).eval({x: 1})
    with pytest.raises(FunctionError, match="'z' is not an input"):
        x.eval({"z": 1})


def test_many_shared_variables_take_turns_too():
    ws = [st.shared(np.zeros(2), name=f"w{k}") for k in range(40)]
    f = st.function([], sum(w.sum() for w in ws), updates=[(w, w + 1) for w in ws])
    assert [f(), f()] == [0.0, 80.0]


@pytest.mark.parametrize("width", [1, 2, 3, 4, 8, 16])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
def test_parts_of_intermediate_results_are_computed_on_in_place(dtype, width):
    """A result may go over a strided part of a buffer that is free; NumPy's own in-place operations must bear that."""
    x = st.tensor("x", dtype, (None, None))
    part = (x + 1)[:, 0] * 2
    outputs = [-part, abs((x + 2)[::2, -1] - 3), -((x + 3)[::-1, 0] * 3), ((x * 3).T[0] + 1) * -1]
    results = st.function([x], outputs, rewrites=False)
    a = np.arange(9 * width, dtype=dtype).reshape(9, width)
    wanted = [-(a + 1)[:, 0] * 2, abs((a + 2)[::2, -1] - 3), -(a + 3)[::-1, 0] * 3, -((a * 3)[:, 0] + 1)]
    for got, want in zip(results(a), wanted, strict=True):
        np.testing.assert_array_equal(got, want)
        assert got.dtype == dtype


def test_a_copied_function_is_the_function():
    s = st.shared(1.0, "s")
    step = st.function([], s, updates=[(s, s + 1)])
    assert deepcopy(step) is step
    assert shallow_copy(step) is step
