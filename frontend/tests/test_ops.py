"""Every public function equals NumPy: values, dtypes, shapes; and every op and function has a case."""

from __future__ import annotations

import inspect

import pytest
from catalogue import ALL_FUNCTIONS, ALL_OPS, BY_NAME, CASES
from gradcases import differentiated_ops
from opcases import build, check_constants, check_values, ops_of

import subtensor as st

ELSEWHERE = {
    "clone": "test_peers_programs.py",
    "clone_replace": "test_peers_programs.py",
    "eval": "test_graph.py",
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
    assert getattr(st, name) is ALL_FUNCTIONS[name]
    assert name in st.__all__
