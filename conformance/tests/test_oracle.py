"""The oracle is independent, and says what NumPy's manual says."""

import ast
import sys
from pathlib import Path

import numpy as np
import pytest

import subtensor_conformance.oracle as package
from subtensor_conformance import oracle
from subtensor_conformance.oracle.values import promote, promote_weak

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
