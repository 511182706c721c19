"""Every public function equals NumPy: values, dtypes, shapes; and every op and function has a case."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from catalogue import ALL_FUNCTIONS, ALL_OPS, BY_NAME, CASES
from gradcases import differentiated_ops
from opcases import build, check_constants, check_values, ops_of

import subtensor as st
from subtensor.doors import door
from subtensor.errors import DomainError, ShapeError

ELSEWHERE = {
    "clone": "test_peers_programs.py",
    "clone_replace": "test_peers_programs.py",
    "eval": "test_graph.py",
    **dict.fromkeys(("foldl", "foldr", "map", "reduce", "scan", "until"), "test_scan.py"),
    "ndim": "returns a Python int: test_graph.py",
}


@pytest.mark.parametrize("name", BY_NAME)
@pytest.mark.parametrize("static", [False, True], ids=["unknown lengths", "known lengths"])
def test_equals_numpy(name, static):
    check_values(BY_NAME[name], static=static)


@pytest.mark.parametrize("name", BY_NAME)
def test_equals_numpy_on_constants(name):
    check_constants(BY_NAME[name])


def test_every_public_function_has_a_case():
    tested = {id(ALL_FUNCTIONS[name]) for name in BY_NAME if name in ALL_FUNCTIONS}
    missing = [n for n, f in ALL_FUNCTIONS.items() if id(f) not in tested and n not in ELSEWHERE]
    assert not missing, f"public functions without a case in frontend/tests/support: {sorted(missing)}"


def test_every_op_has_a_case():
    seen = set()
    for case in CASES:
        seen |= ops_of(build(case, static=False)[1])
    for case in CASES:
        if case.grad and ALL_OPS - seen:
            seen |= differentiated_ops(case)
    assert not ALL_OPS - seen, f"ops that no case in frontend/tests/support uses: {sorted(ALL_OPS - seen)}"


@pytest.mark.parametrize("name", ALL_FUNCTIONS)
def test_every_public_function_is_documented(name):
    doc = inspect.getdoc(ALL_FUNCTIONS[name])
    assert doc, f"{name} has no docstring"
    assert doc[0] in "`(" or doc[0].isalnum()


@pytest.mark.parametrize("name", [n for n in ALL_FUNCTIONS if n not in ("eval", "getitem")])
def test_every_public_function_is_exported(name):
    assert getattr(st, name) is door(ALL_FUNCTIONS[name])
    assert name in st.__all__


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
@pytest.mark.parametrize(
    ("shift", "axis"), [((1, 2), 0), (1, (0, 1)), ((1, 2), (0, 1)), ((1, -2), None), (np.array([3]), (0, 1)), ((), 0)]
)
def test_roll_pairs_shifts_and_axes_as_numpy_does(rows, shift, axis):
    x, data = st.matrix("x"), np.arange(2.0 * rows).reshape(rows, 2)
    np.testing.assert_array_equal(st.function([x], st.roll(x, shift, axis))(data), np.roll(data, shift, axis))


def test_roll_by_a_vector_of_unknown_length_adds_up():
    x, n, data = st.matrix("x"), st.lvector("n"), np.arange(10.0).reshape(5, 2)
    np.testing.assert_array_equal(st.function([x, n], st.roll(x, n, 0))(data, [1, 2]), np.roll(data, 3, 0))
    with pytest.raises(ShapeError, match="vector of unknown length, for 2 axes"):
        st.roll(x, n, (0, 1))
    with pytest.raises(ShapeError, match="2 shifts for 3 axes"):
        st.roll(st.tensor3(), (1, 2), (0, 1, 2))


def test_repeats_are_one_for_each_or_one_for_all_and_not_negative():
    x, n, data = st.matrix("x"), st.lvector("n"), np.arange(6.0).reshape(3, 2)
    f = st.function([x, n], st.repeat(x, n, axis=0))
    for each in ([2], [2, 0, 1], [0], [0, 0, 0]):
        np.testing.assert_array_equal(f(data, each), np.repeat(data, each, axis=0))
    for bad, error in (([1, 2], ShapeError), ([2, -1, 0], DomainError), ([-1], DomainError)):
        with pytest.raises(error):
            f(data, bad)
    nothing = st.function([x], st.repeat(x, [], axis=0))
    assert nothing(data[:0]).shape == (0, 2)
    with pytest.raises(ShapeError):
        nothing(data)


def test_two_python_integers_of_any_size_are_compared():
    big = 10**30
    found = [st.less(3, big), st.ge(3, big), st.eq(big, big), st.le(big, 3), st.gt(big, 3), st.neq(big, big)]
    assert [bool(f.eval()) for f in found] == [True, False, True, False, True, False]
