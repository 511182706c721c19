"""``WholeTableWarning``, and ``assert_rows_only``: what is as large as a table, and need not be."""

import re
import warnings

import numpy as np
import pytest

import subtensor as st
from subtensor.look.whole import WholeTableWarning

ids, more = st.lvector("ids"), st.lvector("more")


def table(n=10, name="table"):
    return st.shared(np.ones((n, 3), np.float32), name=name)


def cost(t, rows=ids):
    return (t[rows] ** 2).sum()


def test_a_large_table_is_warned_about_once():
    t = table(400_000)
    new = t - st.cumsum(st.grad(cost(t), t), 1)
    with pytest.warns(WholeTableWarning, match=r"all of table \(400000 x 3\).*Instead: with s = table\[ids\]"):
        st.function([ids], updates=[(t, new)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        st.function([ids], updates=[(t, new)])
        dense = table(400_000)
        st.function([], updates=[(dense, 0.9 * dense)])
        small = table(1000)
        st.function([ids], updates=[(small, small - st.cumsum(st.grad(cost(small), small), 1))])


def warned(build, n=400_000, **options):
    """What is warned of where a function is built, and the function."""
    t = table(n)
    outputs, updates = build(t)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        f = st.function([ids, more], outputs, updates=updates, on_unused_input="ignore", **options)
    return [w for w in caught if issubclass(w.category, WholeTableWarning)], f


def chained(t):
    new = t[ids].inc(np.float32(1))
    return new[more].sum(), [(t, new[more].set(st.tanh(new[more])))]


AVOIDABLE = {
    "an intermediate that is read by rows": (lambda t: (st.cumsum(t, 1)[ids].sum(), []), True, r"table\[ids\] alone"),
    "through elementwise": (lambda t: (st.exp(2 * st.cumsum(t, 1))[ids].sum(), []), True, r"table\[ids\] alone"),
    "a new value that is an output": (lambda t: ([n := t[ids].inc(1.0)], [(t, n)]), True, "side by side"),
    "rewrites off, a chain": (chained, False, "Instead: rewrites=True"),
    "rewrites off, a gradient": (lambda t: ([], [(t, t - st.grad(cost(t), t))]), False, "Instead: rewrites=True"),
    "rewrites off, a product": (lambda t: ((t @ t[:3].T)[ids].sum(), []), False, "Instead: rewrites=True"),
}


@pytest.mark.parametrize("name", AVOIDABLE)
def test_what_is_avoidable_is_warned_of_where_the_function_is_built(name):
    build, rewrites, text = AVOIDABLE[name]
    (w,), f = warned(build, rewrites=rewrites)
    assert (w.filename, w.lineno) == (__file__, warned.__code__.co_firstlineno + 6)
    assert re.search(text, str(w.message)), w.message
    assert warned(build, 1000, rewrites=rewrites)[0] == []
    with pytest.raises(AssertionError, match="does not touch rows only"):
        st.assert_rows_only(f, f.program.shared[0])


UNAVOIDABLE = {
    "dense by nature": lambda t: (t[ids].sum(), [(t, 0.9 * t)]),
    "the table is read": lambda t: (t.sum() + t[ids].sum(), []),
    "scores of all rows": lambda t: ((t[ids] @ t.T).sum(), []),
    "sums along the rows": lambda t: (st.cumsum(t, 0)[ids].sum(), []),
    "a gradient that is asked for": lambda t: (st.grad(cost(t), t), []),
}


@pytest.mark.parametrize("name", UNAVOIDABLE)
def test_what_is_meant_is_not_warned_of_but_is_not_rows_only(name):
    found, f = warned(UNAVOIDABLE[name])
    assert found == []
    with pytest.raises(AssertionError, match=r"function on \w+ does not touch rows only:\n  - .*"):
        st.assert_rows_only(f)


ROWS = {
    "a step": lambda t: (cost(t), [(t, t - 0.1 * st.grad(cost(t), t))]),
    "a chain": chained,
    "an optimizer": lambda t: (cost(t), st.optimizers.adam(cost(t), [t])),
    "a loop": lambda t: (st.scan(lambda i: t[i].sum(), sequences=[ids])[0], [(t, t[ids].set(1.0))]),
    "elementwise": lambda t: (st.tanh(t)[ids].sum(), []),
}


@pytest.mark.parametrize("name", ROWS)
def test_rows_only(name):
    found, f = warned(ROWS[name])
    assert found == []
    st.assert_rows_only(f)
    st.assert_rows_only(f, *f.get_shared()[:1])


def test_a_table_as_wide_as_long_and_batches_as_long_are_no_false_alarm():
    t = st.shared(np.zeros((8, 8)), name="t")
    batch = st.tensor("batch", "int64", (8,))
    c = (st.tanh(t[batch]) ** 2).sum()
    f = st.function([batch], c, updates=st.optimizers.adam(c, [t[batch]]))
    st.assert_rows_only(f)


def test_a_small_table_may_be_whole_and_a_dense_parameter_is_looked_at_when_it_is_named():
    t, w = table(7), st.shared(np.zeros((3, 5), np.float32), name="w")
    with pytest.raises(AssertionError, match="check with one of its real size"):
        st.assert_rows_only(st.function([ids], st.cumsum(t, 1)[ids].sum()))
    c = ((t[ids] @ w) ** 2).sum()
    f = st.function([ids], c, updates=st.optimizers.adam(c, [t[ids], w]))
    st.assert_rows_only(f)
    with pytest.raises(AssertionError, match="the update of w is a new value of the whole"):
        st.assert_rows_only(f, w)


def test_within_a_loop_the_loop_is_named():
    t, x = table(), st.fvector("x")
    whole, _ = st.scan(lambda y, a: a + st.tanh(t * (y + a)).sum(), sequences=[x], outputs_info=[np.float32(0)])
    f = st.function([x, ids], whole[-1] + t[ids].sum())
    with pytest.raises(AssertionError, match=r", in loop, .*, of the size of table: 120 . x.shape.0. bytes"):
        st.assert_rows_only(f)


def test_every_form_is_looked_at():
    t = table(200_000)
    s = st.segment_sum(t[ids], more, 200_000)
    f = st.function([ids, more], st.tanh(s) @ np.ones((3, 2), np.float32))
    with pytest.raises(AssertionError, match="of the size of table"):
        st.assert_rows_only(f, t)


def test_what_is_checked_must_be_there():
    f = st.function([ids], ids * 2)
    with pytest.raises(AssertionError, match="selects rows of no shared variable"):
        st.assert_rows_only(f)
    with pytest.raises(st.FunctionError, match="does not read or update <shared table"):
        st.assert_rows_only(f, table())
    with pytest.raises(st.FunctionError, match="expected a compiled function"):
        st.assert_rows_only(lambda: None)


def test_the_threshold_is_in_bytes_and_can_be_set():
    def build(t):
        return [], [(t, t - st.cumsum(st.grad(cost(t), t), 1))]

    for least, n, count in ((12_000, 1000, 1), (12_001, 1000, 0), (None, 400_000, 0), (0, 2, 1)):
        with st.config.change_flags(whole_table_bytes=least):
            assert len(warned(build, n)[0]) == count
    assert st.config.whole_table_bytes == 4_000_000
    for wrong in (-1, 1.5, "4 MB", True):
        with pytest.raises(st.DTypeError, match="whole_table_bytes"):
            st.config.whole_table_bytes = wrong


def test_what_a_backend_computes_at_positions_only_is_no_alarm():
    """XLA computes elements where they are read; NumPy does not."""
    for backend, count in (("numpy", 1), ("jax", 0)):
        found, _ = warned(lambda t: ((st.tanh(t) * 2)[ids].sum(), []), rewrites=False, backend=backend)
        assert len(found) == count
