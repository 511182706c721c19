"""Cases of the greatest elements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from opcases import Case


def _top(x: Any, k: int, axis: int = -1) -> Any:
    x = np.moveaxis(np.asarray(x), axis, -1)
    places = np.empty((*x.shape[:-1], min(k, x.shape[-1])), "int64")
    for at in np.ndindex(x.shape[:-1]):
        row = x[at].tolist()
        places[at] = sorted(range(len(row)), key=lambda i: (row[i] == row[i], -row[i], i))[:k]
    return tuple(np.moveaxis(a, -1, axis) for a in (np.take_along_axis(x, places, -1), places))


def all_cases() -> Iterator[Case]:
    x = np.random.default_rng(4).normal(size=(3, 4))
    yield Case("top_k", (x, 2), _top)
    yield Case("top_k", (x, 3), _top, {"axis": 0})
    yield Case("top_k", (x, 9), _top)
    yield Case("top_k", (np.array([1, 3, 3, -128, 2, 3], "int8"), 4), _top)
    yield Case("top_k", (np.array([1, 0, 2**63], "uint64"), 2), _top)
    yield Case("top_k", (np.array([1.0, np.nan, np.inf, np.nan, -0.0]), 4), _top)
    yield Case("argpartition", (x, 1), lambda x, kth: np.argsort(x, kind="stable"))
    yield Case("argpartition", (x, -1), lambda x, kth, axis: np.argsort(x, axis, kind="stable"), {"axis": 0})
