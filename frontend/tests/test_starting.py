"""Variables that start as expressions."""

import numpy as np
import pytest

import subtensor as st

BACKENDS = ["numpy", "jax"]


@pytest.fixture(params=BACKENDS)
def backend(request):
    if request.param == "jax":
        pytest.importorskip("jax")
    return request.param


def test_it_starts_with_the_value_of_the_expression(backend):
    t = st.shared(st.full((3, 2), 1.5, dtype="float32"), name="t")
    assert t.type.shape == (3, 2)
    i = st.lvector("i")
    step = st.function([i], t.sum(), updates=[(t, t[i].inc(1))], backend=backend)
    assert step([0, 0]) == 9
    assert t.get_value().tolist() == [[3.5, 3.5], [1.5, 1.5], [1.5, 1.5]]


def test_it_may_be_read_and_replaced_before_any_call():
    t = st.shared(st.zeros((2,)), name="t")
    assert t.cell.shape == (2,)
    assert t.get_value().tolist() == [0, 0]
    u = st.shared(st.zeros((2,)), name="u")
    u.set_value([1, 2])
    assert u.get_value().tolist() == [1, 2]
    v = st.shared(st.zeros((2,)))
    held = v.get_value(borrow=True)
    st.function([], updates=[(v, v[0].inc(1.0))])()
    assert held.tolist() == [1, 0] or st.config.backend != "numpy"  # what is borrowed is the state there
    assert st.shared(st.ones((2,))).get_value(return_internal_type=True).tolist() == [1, 1]


def test_nothing_is_made_before_it_is_used():
    huge = st.shared(st.zeros((1 << 40, 1 << 10)), name="huge")
    assert huge.cell.shape == (1 << 40, 1 << 10)
    assert huge.cell.data is None


def test_zeros_take_memory_when_they_are_touched():
    big = st.shared(st.zeros((1 << 20, 1 << 10), dtype="float32"), name="big")  # 4 GB, of which a row is touched
    i = st.lvector("i")
    st.function([i], updates=[(big, big[i].inc(1))])([5])
    assert big.get_value(borrow=True)[5, :2].tolist() == [1, 1]


def test_what_reads_shared_variables_is_computed_now(backend):
    a = st.shared(np.arange(3.0), name="a")
    st.function([], a.sum(), backend=backend)()
    b = st.shared(a * 2, name="b")
    a.set_value(np.zeros(3))
    assert b.get_value().tolist() == [0, 2, 4]


def test_what_has_unknown_lengths_is_computed_now():
    a = st.shared(np.array([0.0, 1.0, 2.0]), shape=(None,))
    b = st.shared(a[a > 0], name="b")
    assert b.type.shape == (2,)
    c = st.shared(a[a > 0], name="c", shape=(None,))
    assert c.type.shape == (None,)
    assert b.get_value().tolist() == c.get_value().tolist() == [1, 2]


def test_dtype_and_shape():
    t = st.shared(st.ones((2, 2)), dtype="float32", shape=(None, 2))
    assert t.dtype == "float32"
    assert t.type.shape == (None, 2)
    with pytest.raises(st.ShapeError, match="shared: t has shape"):
        st.shared(st.ones((2, 2)), name="t", shape=(3, 2))
    with pytest.raises(st.MissingInputError, match="shared: t starts as an expression of the input x"):
        st.shared(st.dvector("x") * 2, name="t")


def test_a_start_that_fails_is_tried_again():
    index = st.shared(np.int64(5))
    with pytest.raises(IndexError):
        st.shared(st.arange(3)[index])
    t = st.shared(st.arange(3)[np.array([0, 1])] * 1.0)
    assert t.get_value().tolist() == [0, 1]


def test_optimizer_state_is_made_where_it_is_used(backend):
    t = st.shared(np.ones((4, 2)), name="t")
    i = st.lvector("i")
    updates = st.optimizers.adam((t[i] ** 2).sum(), t[i])
    assert all(s.cell.data is None for s in updates.state)
    st.function([i], updates=updates, backend=backend)([1, 1])
    assert {s.cell.home.name for s in updates.state} == {backend}
