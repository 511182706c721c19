"""Cases of functions that only Theano has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from opcases import Case

RNG = np.random.default_rng(17)
M = RNG.normal(size=(2, 3))
V = RNG.normal(size=3)
ROW = RNG.normal(size=(1, 3))
SMALL = np.array([[0, 1, 0], [2, 0, -3]], "int8")
EMPTY = np.zeros((0, 3))


def _second(a: Any, b: Any) -> Any:
    return np.broadcast_arrays(a, b)[1]


def _one_hot(y: Any, n: int, dtype: str = "float64") -> Any:
    return np.eye(n, dtype=dtype)[y]


def _dots(a: Any, b: Any) -> Any:
    return np.stack([np.dot(x, y) for x, y in zip(a, b, strict=True)])


def _tensordots(a: Any, b: Any, axes: Any) -> Any:
    within = axes if isinstance(axes, int) else [[i % 3 - 1 for i in each] for each in axes]
    return np.stack([np.tensordot(x, y, within) for x, y in zip(a, b, strict=True)])


def all_cases() -> Iterator[Case]:
    for a, b in ((M, SMALL), (ROW, M), (EMPTY, ROW)):
        yield Case("vertical_stack", (a, b), lambda *xs: np.concatenate(xs, 0), grad=b is M)
    for a, b in ((M, SMALL), (M, M[:, :1])):
        yield Case("horizontal_stack", (a, b), lambda *xs: np.concatenate(xs, 1), grad=b is not SMALL)
    yield Case("stacklists", ([[V, V], [V * 2, V]],), np.array, grad=True)
    yield Case("stacklists", ([V, SMALL[0]],), np.stack)
    yield Case("stacklists", (M,), np.asarray, grad=True)
    for axis in (0, 1, -1, 2):
        yield Case("shape_padaxis", (M, axis), np.expand_dims, grad=True)
    yield Case("addbroadcast", (ROW, 0), lambda x, *_: x, grad=True)
    yield Case("addbroadcast", (ROW, -2), lambda x, *_: x, grad=True)
    yield Case("patternbroadcast", (ROW, (True, False)), lambda x, _: x, grad=True)
    yield Case("unbroadcast", (ROW, 0, 1), lambda x, *_: x, grad=True)
    for a, b in ((M, 2.5), (M, V), (V, M), (SMALL, ROW)):
        yield Case("fill", (a, b), _second, grad=a is V)
    yield Case("second", (M, np.array(3, "int8")), _second)
    for x in (M, SMALL, EMPTY, np.array([0.0, np.nan, -0.0, 2.0])):
        yield Case("nonzero_values", (x,), lambda a: a[a.nonzero()], grad=x is M)
    yield Case("to_one_hot", (np.array([0, 2, 2]), 4), _one_hot)
    yield Case("to_one_hot", (np.array([1, 0], "int8"), 2), _one_hot, {"dtype": "int32"})
    for perm in (np.array([2, 0, 3, 1]), np.array([[1, 0, 2], [2, 0, 1]], "int32"), np.zeros(0, int)):
        yield Case("inverse_permutation", (perm,), lambda p: np.argsort(p, -1))
    yield Case("largest", (M, V, 0.1), lambda *xs: np.stack(np.broadcast_arrays(*xs)).max(0), grad=True)
    yield Case("smallest", (M, ROW, SMALL), lambda *xs: np.stack(np.broadcast_arrays(*xs)).min(0))
    for x in (M, SMALL, V.astype("float32")):
        yield Case("softsign", (x,), lambda x: x / (1 + abs(x)), grad=x is M)
    yield Case("add", (M, 2, ROW, SMALL), lambda a, b, c, d: a + b + c + d, grad=True)
    yield Case("multiply", (2, 3, V.astype("float32")), lambda a, b, c: (np.float32(a) * np.float32(b)) * c)
    yield Case("mul", (M, V, ROW), lambda a, b, c: a * b * c, grad=True)
    for a, b in (((2, 3, 4), (2, 3, 4, 5)), ((2, 3, 3), (2, 3, 3, 3)), ((2, 4), (2, 3, 4, 5)), ((2, 3, 4, 4), (2, 4))):
        yield Case("batched_dot", (RNG.normal(size=a), RNG.normal(size=b)), _dots, ulps=16, grad=True)
    pair = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 3, 4))
    for axes, b in ((2, pair[1]), (0, pair[1]), (1, RNG.normal(size=(2, 4, 3))), (([2, 1], [2, 1]), pair[1])):
        yield Case("batched_tensordot", (pair[0], b, axes), _tensordots, ulps=16, grad=True)
    yield Case("batched_tensordot", (pair[0], pair[1], ([1], [-2])), _tensordots, ulps=16)
    yield Case("tile", (M, (2, 3)), lambda x, reps, ndim: np.tile(x, (1, *reps)), {"ndim": 3}, grad=True)
    order = np.array([2, 0, 1])
    yield Case("searchsorted", (V, V, "left", np.argsort(V)), np.searchsorted)
    yield Case("searchsorted", (order, np.array([[1, 5]]), "right", np.argsort(order)), np.searchsorted)
    yield Case("unravel_index", (np.array([5, 23, 0]), (2, 3, 4)), np.unravel_index, {"order": "F"})
    outside = [np.array([-3, 1, 7]), np.array([2, -1, 4])]
    for options in ({"mode": "wrap"}, {"mode": "clip"}, {"mode": "wrap", "order": "F"}):
        yield Case("ravel_multi_index", (outside, (2, 3)), np.ravel_multi_index, options)
    yield Case("bincount", (np.array([3, 0, 3], "uint8"),), np.bincount)
    p = np.array([[0.2, 0.8], [0.5, 0.5]])
    yield Case(
        "crossentropy_categorical_1hot",
        (p, np.array([1, 0])),
        lambda p, y: -np.log(p[np.arange(len(y)), y]),
        ulps=4,
        grad=True,
    )
