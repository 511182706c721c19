"""The oracle is independent, and says what NumPy's manual says."""

import ast
import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import subtensor_conformance.oracle as package
from subtensor_conformance import oracle
from subtensor_conformance.case import Value
from subtensor_conformance.compare import to_array
from subtensor_conformance.oracle import sorting
from subtensor_conformance.oracle.sequences import Overlay, Pattern
from subtensor_conformance.oracle.values import promote, promote_weak
from subtensor_conformance.repro import _array

FILES = sorted(Path(package.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_it_imports_nothing_but_the_standard_library_and_itself(path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names = [node.module]
        for name in names:
            own = name == "subtensor_conformance.oracle" or name.startswith("subtensor_conformance.oracle.")
            assert own or name.split(".")[0] in sys.stdlib_module_names, f"{path.name} imports {name}"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("__import__", "eval", "exec"), path.name


DTYPES = [
    *(
        [
            "bool",
            "int8",
            "int16",
            "int32",
            "int64",
            "uint8",
            "uint16",
            "uint32",
            "uint64",
            "float16",
            "float32",
            "float64",
        ]
    )
]


@pytest.mark.parametrize("a", DTYPES)
def test_promotion_is_that_of_numpy(a):
    for b in DTYPES:
        assert promote(a, b) == np.result_type(a, b).name, (a, b)
    for scalar in (True, 2, 0.5):
        assert promote_weak(a, scalar) == np.result_type(np.dtype(a), scalar).name, (a, scalar)


def of(array):
    return oracle.Array(array.dtype.name, array.shape, tuple(array.ravel().tolist()))


KEYS = [
    np.s_[1], np.s_[-1, ..., 0], np.s_[::-1, 2:0:-1], np.s_[None, :, None, 1], np.s_[[0, -1, 0]], np.s_[:, [2, 0]],
    np.s_[[0, 1], :, [3, 1]], np.s_[0, :, [3, 1]], np.s_[[[0], [1]], [0, 2]], np.s_[..., [1, 1]],
    np.s_[[1, 0], None, [2, 2]],
    np.s_[:, [0, 1], [1, 2]], np.s_[[]], np.s_[[1, 0], 1:, [0, 0]], np.s_[None, [0, 1], :, [1, 1]],
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_indices_select_what_numpy_selects(key):
    x = np.arange(24.0).reshape(2, 3, 4)
    leaf = oracle.Leaf("x")
    given = {leaf: of(x)}
    found = oracle.evaluate(leaf[key], given)
    expected = x[key]
    assert found.shape == expected.shape
    assert list(found.data) == expected.ravel().tolist()
    added = x.copy()
    np.add.at(added, key, 1)
    assert list(oracle.evaluate(leaf[key].inc(1), given).data) == added.ravel().tolist()
    written = x.copy()
    written[key] = -1
    assert list(oracle.evaluate(leaf[key].set(-1), given).data) == written.ravel().tolist()


def test_positions_out_of_bounds_are_refused():
    leaf = oracle.Leaf("x")
    with pytest.raises(oracle.OutOfBounds):
        oracle.evaluate(leaf[[3]], {leaf: of(np.zeros(3))})


def test_differences_are_exact_for_polynomials():
    leaf = oracle.Leaf("x")
    x = np.array([0.5, -1.25, 3.0])
    cubes = (leaf * leaf * leaf).sum()
    assert np.abs(np.array(oracle.evaluate(oracle.st.grad(cubes, leaf), {leaf: of(x)}).data) - 3 * x**2).max() < 1e-10
    product = oracle.evaluate(oracle.st.hessian_vector_product(cubes, leaf, leaf), {leaf: of(x)})
    assert np.abs(np.array(product.data) - 6 * x**2).max() < 1e-7


def test_a_repeated_expression_is_one_node():
    leaf, ids = oracle.Leaf("x"), oracle.Leaf("i")
    assert leaf[ids] is leaf[ids]
    assert leaf[ids] is not leaf[[0]]


# --- what the oracle does not do by the plainest loop, against that loop


def before(a, b):
    return a < b or (math.isnan(b) and not math.isnan(a))


def inserted(items):
    """Positions in ascending order by insertion, NaN last, ties in order of position."""
    order = []
    for i, v in enumerate(items):
        at = len(order)
        while at and before(v, items[order[at - 1]]):
            at -= 1
        order.insert(at, i)
    return order


VALUES = st.one_of(st.integers(-3, 3), st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 0.0, 0.5]))


@given(st.lists(VALUES))
def test_sorting_is_insertion_sort(items):
    assert sorting._order(items) == inserted(items)


@given(st.lists(VALUES), VALUES, st.sampled_from(["left", "right"]))
def test_a_search_counts_what_stands_before(items, value, side):
    items = [items[i] for i in inserted(items)]
    a, v = oracle.Leaf("a"), oracle.Leaf("v")
    values = {a: oracle.values.make("float64", (len(items),), items), v: oracle.values.make("float64", (), [value])}
    found = oracle.evaluate(oracle.st.searchsorted(a, v, side), values).item()
    due = [before(x, value) for x in items] if side == "left" else [not before(value, x) for x in items]
    assert found == sum(due)


@given(st.integers(0, 60), st.integers(1, 99), st.integers(1, 40), st.integers(0, 9), st.sampled_from([1, 8]))
def test_a_pattern_is_its_formula_also_as_an_array_and_in_a_script(length, step, modulus, shift, divisor):
    pattern = Pattern(length, step, modulus, shift, divisor)
    due = [((k * step + k * k // 7) % modulus - shift) / divisor for k in range(length)]
    assert list(pattern) == due
    assert pattern[1:9:2] == tuple(due[1:9:2])
    value = Value("float32", (length,), pattern)
    np.testing.assert_array_equal(to_array(value), np.array(due, "float32"))
    np.testing.assert_array_equal(eval(_array(value), {"np": np}), np.array(due, "float32"))


@given(st.dictionaries(st.integers(0, 8), st.integers(50, 60)), st.dictionaries(st.integers(0, 8), st.integers(70, 80)))
def test_what_is_written_over_stays_apart(first, second):
    base = Pattern(9, 5, 7)
    one = Overlay(base, first)
    two = Overlay(one)
    for k, v in second.items():
        two[k] = v
    plain = list(base)
    for k, v in first.items():
        plain[k] = v
    assert list(one) == plain
    for k, v in second.items():
        plain[k] = v
    assert list(two) == plain
    np.testing.assert_array_equal(to_array(Value("int64", (9,), two)), plain)
