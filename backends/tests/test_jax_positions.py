"""Positions that are arguments of a call: checked, wrapped, and prepared in memory that calls take in turns."""

import numpy as np
import pytest

import subtensor as st
from subtensor.errors import BoundsError
from subtensor_jax.positions import prepared
from subtensor_jax.stages import Broken


@pytest.mark.parametrize("dtype", ["int64", "int32", "int8", "uint64", "uint8"])
def test_positions_are_prepared_in_spare_memory(dtype):
    spare = []
    p = np.array([[0, 3], [2, 1]], dtype)
    first = prepared(p, 4, spare)
    np.testing.assert_array_equal(first, p)
    assert first.ctypes.data % 64 == 0
    spare.append(first)
    again = prepared(p[::-1], 4, spare)
    assert again is first
    assert not spare
    np.testing.assert_array_equal(again, p[::-1])
    if dtype.startswith("int"):
        np.testing.assert_array_equal(prepared(p - 4, 4, spare), p)
    huge = np.array([2**64 - 1] if dtype == "uint64" else [4], dtype)
    for bad in (huge, np.array([-5 if dtype.startswith("int") else 4], dtype)):
        with pytest.raises(Broken):
            prepared(bad, 4, spare)
    assert prepared(np.zeros((0, 2), dtype), 0, spare).shape == (0, 2)


def test_a_call_that_fails_keeps_its_positions_to_itself():
    t, ids, x = st.shared(np.zeros((5, 2)), name="t"), st.lvector("ids"), st.dmatrix("x")
    step = st.function([ids, x], x.sum(), updates=[(t, st.inc_subtensor(t[ids], x))], backend="jax")
    for rows in ([1, 2], [3, 9], [0, 0], [4, -1]):
        p = np.array(rows)
        try:
            step(p, np.ones((2, 2)))
        except BoundsError:
            assert rows == [3, 9]
        p[:] = 3  # what the caller does with it later changes nothing
    assert t.get_value()[:, 0].tolist() == [2, 1, 1, 0, 2]
