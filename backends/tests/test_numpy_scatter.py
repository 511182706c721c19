"""Writes in place: against ``np.add.at`` and plain assignment, with SciPy's kernel and without it."""

import importlib.machinery
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st_

from subtensor.graph.indexing import FULL, At, Index, Slice
from subtensor_numpy import kernels, runs, scatter

ROWS = Index((At(0), FULL))
DTYPES = ["float16", "float32", "float64", "int8", "uint8", "int32", "int64", "uint64", "bool"]


@pytest.fixture(params=["kernel", "fallback"])
def adder(request, monkeypatch):
    """A RowAdder with and without ``csc_matvecs``."""
    if request.param == "fallback":
        monkeypatch.setattr(scatter, "row_adder", lambda dtype: None)
    return scatter.RowAdder


def test_the_kernel_is_found_and_used():
    assert kernels.row_adder(np.dtype("float32")) is not None
    call = scatter.RowAdder(np.dtype("float32")).prepare(
        np.zeros((3, 2), "f4"), np.array([1]), np.ones((1, 2), "f4"), True
    )
    assert "csc_matvecs" in repr(call.func)


def _missing():
    raise ImportError


@pytest.mark.parametrize("find", [kernels.row_adder, kernels.row_summer])
@pytest.mark.parametrize("tools", [_missing, SimpleNamespace, lambda: _idle])
def test_a_kernel_that_is_missing_or_does_not_add_is_not_used(monkeypatch, find, tools):
    monkeypatch.setattr(kernels, "sparsetools", tools)
    find.cache_clear()
    try:
        assert find(np.dtype("float64")) is None
    finally:
        find.cache_clear()


_idle = SimpleNamespace(csc_matvecs=lambda *args: None, csr_matvecs=lambda *args: None)


@pytest.mark.parametrize("summer", [kernels.row_summer, lambda dtype: None], ids=["kernel", "fallback"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "int32"])
def test_runs_are_summed_with_and_without_the_kernel(monkeypatch, summer, dtype):
    monkeypatch.setattr(runs, "row_summer", summer)
    x, order, starts = np.arange(12).reshape(6, 2).astype(dtype), np.array([5, 0, 3, 1, 2, 4]), np.array([0, 2, 3])
    expected = np.stack([x[[5, 0]].sum(0), x[3], x[[1, 2, 4]].sum(0)]).astype(dtype)
    np.testing.assert_array_equal(runs.run_sums(x, order, starts), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8"])
def test_runs_of_many_values_are_summed_in_the_same_order(monkeypatch, dtype):
    rng = np.random.default_rng(0)
    x, ids = (100 * rng.normal(size=(300, 7))).astype(dtype), rng.integers(0, 40, 300)
    order = np.argsort(ids, kind="stable")
    starts = runs.run_starts(ids[order])
    small = runs.run_sums(x, order, starts)
    monkeypatch.setattr(runs, "LARGE", 0)
    monkeypatch.setattr(runs, "row_summer", lambda dtype: None)  # it is not asked
    np.testing.assert_array_equal(runs.run_sums(x, order, starts), small)


class _NotToBeLoaded:
    def create_module(self, spec):
        raise ImportError


@pytest.mark.parametrize(
    "found", [None, importlib.machinery.ModuleSpec("scipy.sparse._sparsetools", _NotToBeLoaded())], ids=["no", "broken"]
)
def test_without_the_extension_module_the_package_is_imported(monkeypatch, found):
    monkeypatch.delitem(sys.modules, "scipy.sparse._sparsetools", raising=False)
    monkeypatch.setattr(kernels, "PathFinder", SimpleNamespace(find_spec=lambda name, paths: found))
    assert kernels.sparsetools().csc_matvecs.__name__ == "csc_matvecs"


def test_the_first_step_imports_no_scipy_package():
    code = (
        "import sys, numpy as np, subtensor as st\n"
        "t = st.shared(np.zeros((9, 2))); i = st.lvector()\n"
        "st.function([i], updates=[(t, t[i].inc(1.0))])([1, 1])\n"
        "assert t.get_value()[1, 0] == 2\n"
        "assert 'scipy.sparse' not in sys.modules and 'scipy' not in sys.modules\n"
        "import scipy.sparse; assert (scipy.sparse.eye(2, format='csc') @ np.ones((2, 2))).sum() == 4\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [(), (1,), (3,), (2, 2), (0,)])
@pytest.mark.parametrize("count", [0, 1, 5, 200])
def test_rows_add_up_like_add_at(adder, dtype, width, count):
    rng = np.random.default_rng(count)
    table = rng.integers(0, 2, (7, *width)).astype(dtype)
    ids = rng.integers(-7, 7, count)
    value = rng.integers(0, 2, (count, *width)).astype(dtype)
    expected = table.copy()
    np.add.at(expected, ids, value)
    adder(np.dtype(dtype)).prepare(table, ids, value, False)()
    np.testing.assert_array_equal(table, expected)


def test_the_adder_keeps_up_with_changing_counts(adder):
    add = adder(np.dtype("float64"))
    for count in (3, 1, 3, 100, 2):
        table = np.zeros((4, 2))
        add.prepare(table, np.arange(count) % 4, np.ones((count, 2)), True)()
        assert table.sum() == 2 * count


@pytest.mark.parametrize("ids", [[7], [-8], [0, 1, 100], [2**40]])
@pytest.mark.parametrize("dtype", ["int64", "uint64", "int32"])
def test_ids_out_of_range_are_refused_before_anything_is_written(adder, ids, dtype):
    if dtype != "int64" and (min(ids) < 0 or max(ids) > 2**31):
        ids = [7]
    table = np.zeros((7, 2))
    with pytest.raises(IndexError):
        adder(np.dtype("float64")).prepare(table, np.array(ids, dtype), np.ones((len(ids), 2)), False)
    assert not table.any()


def test_values_broadcast(adder):
    table = np.zeros((4, 3))
    adder(np.dtype("float64")).prepare(table, np.array([[0, 1], [1, 3]]), np.array([1.0, 2, 3]), False)()
    np.testing.assert_array_equal(table, np.array([1, 2, 0, 1])[:, None] * np.array([1.0, 2, 3]))
    with pytest.raises(ValueError, match="broadcast"):
        adder(np.dtype("float64")).prepare(table, np.array([0, 1]), np.ones((3, 3)), False)


INDICES = [
    (Index((At(0), At(1), FULL)), (4, 5, 3), lambda r: [r.integers(-4, 4, 6), r.integers(-5, 5, 6)]),
    (Index((At(0), At(1))), (4, 5), lambda r: [r.integers(-4, 4, (2, 1)), r.integers(0, 5, (1, 3))]),
    (Index((FULL, At(0))), (4, 5), lambda r: [r.integers(-5, 5, 6)]),
    (Index((At(0), FULL, At(1))), (4, 5, 3), lambda r: [r.integers(-4, 4, 6), r.integers(-3, 3, 6)]),
    (Index((Slice(1, None, 2), At(0))), (4, 5), lambda r: [r.integers(-5, 5, 3)]),
    (Index((Slice(None, None, -1), Slice(1, 3))), (4, 5), lambda r: []),
    (Index((At(0), Slice(1, 3))), (4, 5), lambda r: [np.array(-2)]),
    (Index((At(0), At(1))), (4, 5), lambda r: [np.array(1), np.array(4)]),
    (Index(()), (), lambda r: []),
]


@pytest.mark.parametrize("kind", ["set", "inc"])
@pytest.mark.parametrize(("index", "shape", "make"), INDICES)
def test_any_index(kind, index, shape, make):
    rng = np.random.default_rng(3)
    table = rng.standard_normal(shape)
    inputs = make(rng)
    key = index.key(inputs)
    value = rng.standard_normal(np.shape(table[key]))
    expected = table.copy()
    if kind == "inc":
        np.add.at(expected, key, value)
    else:
        expected[key] = value
    scatter.prepare(table, index, inputs, value, kind, False)()
    np.testing.assert_allclose(table, expected, rtol=1e-15, atol=0)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st_.lists(st_.integers(-6, 5), max_size=60), st_.integers(1, 4))
def test_last_write_wins(ids, width):
    table = np.zeros((6, width))
    value = np.arange(len(ids) * width, dtype=float).reshape(len(ids), width)
    expected = table.copy()
    for i, v in zip(ids, value, strict=True):
        expected[i] = v
    scatter.prepare(table, ROWS, [np.array(ids, np.int64)], value, "set", False)()
    np.testing.assert_array_equal(table, expected)
