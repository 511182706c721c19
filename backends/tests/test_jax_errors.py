"""What the frontend's ``test_errors.py`` says of bad input, on JAX; and each error equals NumPy's, word for word."""

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from same_errors import errors_compared

import subtensor as st
from subtensor.errors import BoundsError

_TESTS = Path(__file__).parents[2] / "frontend" / "tests"
_spec = spec_from_file_location("errors_on_jax", _TESTS / "program" / "test_errors.py")
_cases = module_from_spec(_spec)
_spec.loader.exec_module(_cases)
globals().update({name: test for name, test in vars(_cases).items() if name.startswith("test_")})


@pytest.fixture(autouse=True)
def _on_jax(monkeypatch):
    monkeypatch.setattr(st.config, "backend", "jax")
    with errors_compared():
        yield


t, i, j, k = st.shared(np.arange(24.0).reshape(6, 4), name="t"), st.lvector("i"), st.lvector("j"), st.lscalar("k")
OUT_OF_BOUNDS = {
    "rows": (t[i], {i: [0, 6]}, "t[i]: index 6 at position (1,) of i is out of bounds for axis 0 of t, which has size"),
    "negative rows": (t[i], {i: [-7, 0]}, "t[i]: index -7 at position (0,) of i is out of bounds for axis 0 of t"),
    "elements": (t[i, j], {i: [0, 1], j: [3, 4]}, "t[i, j]: index 4 at position (1,) of j is out of bounds for axis 1"),
    "the first of two": (t[i, j], {i: [0, 6], j: [9, 0]}, "t[i, j]: index 6 at position (1,) of i"),
    "columns": (t[1:, i], {i: [3, -5]}, "t[1:, i]: index -5 at position (1,) of i is out of bounds for axis 1 of t"),
    "a row": (t[k], {k: 6}, "t[k]: index 6 is out of bounds for axis 0 of t, which has size 6"),
    "computed positions": (t[i * 2 + 1], {i: [0, 3]}, "index 7 at position (1,) of ((i * 2) + 1)"),
    "positions from the table": (t[t[i, 0].astype("int64")], {i: [0, 2]}, "index 8 at position (1,) of"),
}
HOW = {
    "read": lambda subset: ([subset], []),
    "differentiated": lambda subset: ([st.grad((subset**2).sum(), t)], []),
    "set": lambda subset: ([subset.set(0.0)], []),
    "incremented": lambda subset: ([subset.inc(1.0)], []),
    "set in place": lambda subset: ([], [(t, subset.set(0.0))]),
    "incremented in place": lambda subset: ([t.sum()], [(t, subset.inc(1.0))]),
    "set after others": lambda subset: ([], [(t, subset.set(st.inc_subtensor(t[:2], 1.0)[-1, -1]))]),
}


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", OUT_OF_BOUNDS)
def test_positions_out_of_bounds_name_the_table_and_the_input(name, how):
    subset, given, text = OUT_OF_BOUNDS[name]
    outputs, updates = HOW[how](subset)
    before = t.get_value()
    f = st.function(list(given), outputs, updates, name="step")
    with errors_compared() as seen, pytest.raises(BoundsError, match=re.escape(text)):
        f(*given.values())
    assert len(seen) == 1
    np.testing.assert_array_equal(t.get_value(), before)
