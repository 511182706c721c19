"""Cases of functions that select, sort and search, of indexing, and of neural-network functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import scipy.special as sp
from opcases import Case

from subtensor.graph.operators import FUNCTIONS

RNG = np.random.default_rng(9)
M = RNG.normal(size=(3, 4))
T3 = RNG.normal(size=(2, 3, 4))
V = RNG.normal(size=6)
I = np.array([2, 0, 2, -1])
I32 = I.astype("int32")
MASK = np.array([True, False, True])
TIES = np.array([[3, 1, 3, 2], [0, 0, 0, 0], [5, -1, 5, -1]])


def _take(x: Any, i: Any, axis: int | None = None, mode: str = "raise") -> Any:
    return np.take(x, i, axis=axis, mode=mode)


def _put(x: Any, i: Any, v: Any, axis: int | None = 0) -> Any:
    x = x.copy()
    if axis is None:
        flat = x.reshape(-1)
        np.put_along_axis(flat, i, v, 0)
        return flat.reshape(x.shape)
    np.put_along_axis(x, i, v, axis)
    return x


def _written(x: Any, key: Any, value: Any, kind: str = "set") -> Any:
    x = x.copy()
    if kind == "set":
        x[key] = value
    else:
        np.add.at(x, key, value)
    return x


def _set(x: Any, i: Any, y: Any) -> Any:
    return FUNCTIONS["set_subtensor"](FUNCTIONS["getitem"](x, i), y)


def _inc(x: Any, i: Any, y: Any) -> Any:
    return FUNCTIONS["inc_subtensor"](FUNCTIONS["getitem"](x, i), y)


def _one_hot(x: Any, n: int, dtype: Any = None) -> Any:
    return np.eye(n, dtype=dtype)[x]


def _segments(x: Any, ids: Any, n: int) -> Any:
    out = np.zeros((n, *x.shape[1:]), x.dtype)
    np.add.at(out, ids, x)
    return out


def selecting() -> Iterator[Case]:
    for ids in (I, I32, np.array(1), I.reshape(2, 2), np.zeros(0, int), 2, [0, 1]):
        for axis in (None, 0, -1):
            yield Case("take", (M, ids, axis), _take, grad=True)
    for mode in ("wrap", "clip"):
        yield Case("take", (M, np.array([-7, 5, 9, -1]), 1, mode), _take, grad=True)
    yield Case("take", (V, np.array([7, -9]), None, "wrap"), _take, grad=True)
    yield Case("compress", (MASK, M, 0), np.compress, grad=True)
    for c in (True, False):
        yield Case("ifelse", (np.array(c), M, 2 * M + 1), np.where, grad=True)
        yield Case("ifelse", (np.array(int(c)), V, -V), lambda c, x, y: x if c else y, grad=True)
    yield Case("compress", (np.array([0, 1, 0, 2]), M), lambda c, x: np.compress(c != 0, x))
    for axis in (0, 1, -1):
        i = np.argsort(M, axis)
        yield Case("take_along_axis", (M, i, axis), np.take_along_axis, grad=True)
        yield Case("put_along_axis", (M, i, 9.0, axis), _put, grad=True)
        yield Case("put_along_axis", (M, i, RNG.normal(size=M.shape), axis), _put, grad=True)
    yield Case("take_along_axis", (M, np.argsort(M, -1)), lambda x, i: np.take_along_axis(x, i, -1))
    yield Case("take_along_axis", (M, np.argsort(M, -1), -1), np.take_along_axis, function=np.take_along_axis)
    yield Case("take_along_axis", (M, I, None), np.take_along_axis, grad=True)
    yield Case("put_along_axis", (M, I, np.arange(4.0), None), _put, grad=True)
    for offset, a, b in ((0, 0, 1), (1, 0, 1), (-1, 1, 0), (9, 0, 1)):
        yield Case("diagonal", (M, offset, a, b), np.diagonal, grad=True)
    yield Case("diagonal", (T3, 1, 2, 0), np.diagonal, grad=True)
    yield Case(
        "fill_diagonal", (M, np.array(7.0)), lambda x, v: _written(x, (np.arange(3), np.arange(3)), v, "set"), grad=True
    )
    yield Case(
        "fill_diagonal", (M.T.copy(), 2), lambda x, v: _written(x, (np.arange(3), np.arange(3)), v, "set"), grad=True
    )
    yield Case("choose", (np.array([0, 1, 1]), [np.arange(3.0), np.arange(3.0) * 10]), np.choose, grad=True)
    for mode in ("wrap", "clip"):
        yield Case("choose", (np.array([[0], [5], [-1]]), [V[:2], V[2:4]]), np.choose, {"mode": mode}, grad=True)
    yield Case("choose", (np.array([1, 0]), M[:, :2].copy()), np.choose, grad=True)
    yield Case("ix", (np.array([0, 2]), np.array([True, False, True])), np.ix_)
    yield Case("ix", (np.array([1]),), np.ix_)
    yield Case("one_hot", (I[:3], 4), _one_hot)
    yield Case("one_hot", (np.array([[0, 2], [1, 1]], "uint8"), 3, "int8"), _one_hot)
    yield Case("segment_sum", (M, np.array([1, 0, 1]), 3), _segments, grad=True)
    yield Case("segment_sum", (np.arange(6), np.array([1, 0, 1, 4, 4, 0]), 5), _segments)
    yield Case("segment_sum", (np.zeros((0, 2)), np.zeros(0, int), 2), _segments, grad=True)
    for dtype in ("bool", "int8", "float32"):
        x = (T3 > 0.3).astype(dtype)
        yield Case("nonzero", (x,), np.nonzero)
        yield Case("flatnonzero", (x,), np.flatnonzero)
        yield Case("nonzero", (x,), lambda x, return_matrix: np.array(np.nonzero(x)), {"return_matrix": True})
    yield Case("assume_unique", (np.array([3, 0, 5]),), lambda i: i)
    yield Case("assume_unique", (np.array([-1, -3], "int32"),), lambda i: i)
    yield Case("unravel_index", (np.array([5, 23, 0]), (2, 3, 4)), np.unravel_index)
    yield Case("ravel_multi_index", ([np.array([1, 0]), np.array([2, 1])], (2, 3)), np.ravel_multi_index)


def indexed() -> Iterator[Case]:
    keys: list[Any] = [
        (0,), -1, slice(1, None), slice(None, None, -1), (slice(None), 2), None, (Ellipsis, 0),
        (0, slice(None, None, 2)),
        (I,), (slice(None), I), (I, I), MASK, (MASK, 0), (MASK, np.array([1, 3])), (I.reshape(2, 2), None), True, False,
        [0, 2],
    ]  # fmt: skip
    for key in keys:
        yield Case("getitem", (M, key), lambda x, k: x[tuple(k) if isinstance(k, tuple) else k], grad=True)
        shape = M[key].shape
        y = RNG.normal(size=shape)
        for kind, f in (("set_subtensor", _set), ("inc_subtensor", _inc)):
            oracle = partial(_written, kind=kind[:3])
            yield Case(kind, (M, key, y), oracle, function=f, grad=True, ulps=2)
            one = np.array([1.5]) if shape else np.array(1.5)  # broadcast at run time
            yield Case(kind, (M, key, one), oracle, function=f, grad=True, ulps=2)


def sorting() -> Iterator[Case]:
    for x in (
        M,
        TIES,
        TIES.astype("int8"),
        np.array([np.nan, 1.0, -np.inf, np.nan, -0.0, 0.0]),
        M > 0,
        V,
        np.zeros((0, 2)),
    ):
        for axis in (-1, 0, None):
            yield Case("sort", (x, axis), lambda x, a: np.sort(x, a, kind="stable"), grad=x is M or x is V)
            yield Case("argsort", (x, axis), lambda x, a: np.argsort(x, a, kind="stable"))
    a = np.array([0.0, 1.0, 1.0, 2.0])
    for side in ("left", "right"):
        for v in (np.array([[1.0, 0.5], [3.0, -1.0]]), np.array(1), 1.5, np.array([np.nan])):
            yield Case("searchsorted", (a, v), np.searchsorted, {"side": side})
        yield Case("searchsorted", (np.array([1, 3], "int8"), np.array([2.5])), np.searchsorted, {"side": side})
        yield Case("searchsorted", (np.zeros(0), a), np.searchsorted, {"side": side})
    for x in (TIES, V, np.array([np.nan, 1.0, np.nan, 1.0]), MASK, np.zeros(0), np.zeros((0, 2), "int8"), np.array(3)):
        yield Case("unique", (x,), np.unique)
        flags = {"return_index": True, "return_inverse": True, "return_counts": True}
        yield Case("unique", (x,), np.unique, flags)
        yield Case("unique", (x,), np.unique, {"return_counts": True})
    for x, minlength in (
        (np.array([1, 1, 4]), 0),
        (np.array([0, 2], "uint8"), 6),
        (np.zeros(0, int), 0),
        (np.zeros(0, int), 3),
    ):
        yield Case("bincount", (x,), np.bincount, {"minlength": minlength})
    for weights in (
        np.array([200, 100, 7], "uint8"),
        np.array([True, True, False]),
        np.array([0.1, 0.2, 3], "float32"),
    ):
        yield Case("bincount", (np.array([1, 1, 4]), weights), np.bincount)
    yield Case("bincount", (np.array([1, 1, 4]), np.array([0.5, 1.5, 2.0])), np.bincount, grad=True)


def _xent(p: Any, t: Any) -> Any:
    return -np.sum(t * np.log(p), -1) if p.ndim == t.ndim else -np.log(np.take_along_axis(p, t[..., None], -1)[..., 0])


def _on_float(f: Callable[..., Any]) -> Callable[..., Any]:
    def oracle(x: Any, *args: Any, **kwargs: Any) -> Any:
        dtype = np.exp(np.zeros((), x.dtype)).dtype
        with np.errstate(all="ignore"):
            return f(x.astype(np.float64), *args, **kwargs).astype(dtype)

    return oracle


def networks() -> Iterator[Case]:
    for dtype in ("float16", "float32", "float64", "int8", "int64", "bool"):
        x = (T3 * 3).astype(dtype)
        for axis in (-1, 0, None, (0, 2)):
            yield Case("softmax", (x,), _on_float(sp.softmax), {"axis": axis}, ulps=8)
            yield Case("log_softmax", (x,), _on_float(sp.log_softmax), {"axis": axis}, ulps=16)
    big = np.array([[1e3, -1e3, 0.0], [-np.inf, 0.0, 1.0], [np.nan, 1.0, 2.0], [800.0, 800.0, 800.0]])
    yield Case("softmax", (big,), sp.softmax, {"axis": -1}, ulps=8)
    yield Case("log_softmax", (big,), sp.log_softmax, {"axis": -1}, ulps=8)
    for axis in (-1, 0, None, (0, 2)):
        yield Case("softmax", (T3,), sp.softmax, {"axis": axis}, ulps=8, grad=True)
        yield Case("log_softmax", (T3,), sp.log_softmax, {"axis": axis}, ulps=8, grad=True)
    yield Case("softmax", (np.zeros((0, 3)),), sp.softmax, {"axis": -1}, grad=True)
    p, q = sp.softmax(M, -1), sp.softmax(M[::-1], -1)
    yield Case("categorical_crossentropy", (p, q), _xent, ulps=8, grad=True)
    yield Case("categorical_crossentropy", (p, np.array([3, 0, 1])), _xent, ulps=8, grad=True)
    yield Case(
        "categorical_crossentropy",
        (sp.softmax(T3, -1), np.array([[3, 0, 1], [0, 0, 2]], "int32")),
        _xent,
        ulps=8,
        grad=True,
    )
    t = np.array([0.0, 1.0, 0.3])
    s = np.array([0.2, 0.7, 0.5])
    yield Case("binary_crossentropy", (s, t), lambda p, t: -(t * np.log(p) + (1 - t) * np.log1p(-p)), ulps=4, grad=True)
    yield Case(
        "binary_crossentropy", (s, np.array([0, 1, 1])), lambda p, t: -(t * np.log(p) + (1 - t) * np.log1p(-p)), ulps=4
    )
    x = np.array([-800.0, 3.0, 800.0])
    yield Case("sigmoid_binary_crossentropy", (x, t), lambda x, t: np.logaddexp(0, x) - t * x, ulps=4, grad=True)


def all_cases() -> list[Case]:
    return [*selecting(), *indexed(), *sorting(), *networks()]
