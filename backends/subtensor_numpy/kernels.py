"""SciPy's sparse products, which add and sum rows several times faster than NumPy can.

They check nothing and are private to SciPy: each is tried on a small case when it is first asked for, and not used
where it is missing or wrong.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import numpy as np

Kernel = Callable[..., object]


def sparsetools() -> Any:
    """The extension module, without the package around it if that can be: the package takes ten times as long."""
    loaded = sys.modules.get("scipy.sparse._sparsetools")
    if loaded is not None:
        return loaded
    home = importlib.util.find_spec("scipy")
    paths = [str(Path(p) / "sparse") for p in (home.submodule_search_locations or ())] if home else []
    spec = PathFinder.find_spec("scipy.sparse._sparsetools", paths)
    if spec is not None and spec.loader is not None:
        try:
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        except ImportError:  # it needs what the package prepares
            pass
        else:
            return module
    return importlib.import_module("scipy.sparse._sparsetools")


def _tried(name: str, dtype: np.dtype[Any], run: Callable[[Kernel], Any], due: list[list[int]]) -> Kernel | None:
    """The kernel `name` if `run` gives what is due with it."""
    if dtype.kind not in "iuf" or dtype == np.float16:
        return None
    try:
        kernel: Kernel = getattr(sparsetools(), name)
        return kernel if run(kernel) == due else None
    except (ImportError, AttributeError, TypeError, ValueError, RuntimeError):
        return None


@cache
def row_adder(dtype: np.dtype[Any]) -> Kernel | None:
    """``csc_matvecs``, which adds value j to row ids[j], if SciPy has it and it does so for this dtype; else None."""

    def run(csc_matvecs: Kernel) -> Any:
        table = np.zeros((3, 2), dtype)
        ids, starts = np.array([2, 0, 2]), np.arange(4)
        values = np.array([[1, 2], [3, 4], [5, 6]], dtype)
        csc_matvecs(3, 3, 2, starts, ids, np.ones(3, dtype), values.ravel(), table.reshape(-1))
        return table.tolist()

    return _tried("csc_matvecs", dtype, run, [[3, 4], [0, 0], [6, 8]])


@cache
def row_summer(dtype: np.dtype[Any]) -> Kernel | None:
    """``csr_matvecs``, which sums runs of rows, if SciPy has it and it does so for this dtype; else None."""

    def run(csr_matvecs: Kernel) -> Any:
        sums = np.zeros((2, 2), dtype)
        order, ends = np.array([1, 0, 2]), np.array([0, 1, 3])
        values = np.array([[1, 2], [3, 4], [5, 6]], dtype)
        csr_matvecs(2, 3, 2, ends, order, np.ones(3, dtype), values.ravel(), sums.reshape(-1))
        return sums.tolist()

    return _tried("csr_matvecs", dtype, run, [[3, 4], [6, 8]])
