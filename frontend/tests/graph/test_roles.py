"""Roles of axes: where they may stand, and that backends of one device ignore them."""

import copy

import numpy as np
import pytest

import subtensor as st
from subtensor.errors import ArgumentError, ShapeError


def test_a_variable_and_an_input_have_roles():
    table = st.shared(np.zeros((5, 2)), "table", axes=("rows", None))
    ids = st.lvector("ids", axes=("batch",))
    x = st.tensor("x", "float32", (None, 3), axes=["batch", None])
    assert table.axes == copy.copy(table).axes == ("rows", None)
    assert ids.axes == ("batch",)
    assert x.axes == ("batch", None)
    assert st.matrix("m").axes is None
    assert [v.axes for v in st.lvectors("ab", axes=("batch",))] == [("batch",)] * 2
    assert st.shared(np.zeros(3), axes=(None,)).axes is None
    assert st.shared(st.zeros((5, 2)), axes=("rows", None)).axes == ("rows", None)


def test_they_change_nothing_here():
    values = np.arange(10.0).reshape(5, 2)
    table = st.shared(values, "table", axes=("rows", None))
    ids = st.lvector("ids", axes=("batch",))
    step = st.function([ids], table[ids].sum(), updates=[(table, table[ids].inc(1.0))])
    assert step([1, 1]) == 10
    values[1] += 2
    np.testing.assert_array_equal(table.get_value(), values)


def test_state_of_an_optimizer_has_the_roles_of_its_table():
    table = st.shared(np.zeros((5, 2)), "table", axes=("rows", None))
    ids = st.lvector("ids")
    made = st.optimizers.adam(table[ids].sum(), [table], 0.1)
    assert {s.axes for s in made.state if s.ndim == 2} == {("rows", None)}
    assert {s.axes for s in made.state if s.ndim == 1} == {("rows",)}


@pytest.mark.parametrize("axes", ["rows", 3, ("rows", 1), ("two words", None), ("rows", "rows"), {"rows": 0}])
def test_what_names_no_roles_is_refused(axes):
    with pytest.raises(ArgumentError, match="axes"):
        st.shared(np.zeros((5, 2)), "table", axes=axes)
    with pytest.raises(ArgumentError, match="axes"):
        st.matrix("x", axes=axes)


def test_as_many_as_axes_are_expected():
    with pytest.raises(ShapeError, match="for 1 axis, the value has 2"):
        st.shared(np.zeros((5, 2)), "table", axes=("rows",))
    with pytest.raises(ShapeError, match="for 2 axes, the value has 1"):
        st.lvector("ids", axes=("batch", None))


def test_a_length_that_is_left_open_has_no_role():
    with pytest.raises(ShapeError, match="axis 0 has the role 'rows' and no fixed length"):
        st.shared(np.zeros((5, 2)), "table", shape=(None, 2), axes=("rows", None))
    with pytest.raises(ShapeError, match="no fixed length"):
        st.shared(st.zeros((5, 2)), "table", shape=(None, 2), axes=("rows", None))
    assert st.shared(np.zeros((5, 2)), shape=(None, 2), axes=(None, "columns")).axes == (None, "columns")


def test_axes_cannot_be_assigned():
    with pytest.raises(AttributeError):
        st.matrix("x").axes = ("batch", None)
