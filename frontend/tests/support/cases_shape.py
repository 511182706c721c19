"""Cases of functions that rearrange elements, and of what is made from shapes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from opcases import Case

RNG = np.random.default_rng(5)
X = RNG.normal(size=(2, 3, 4))
M = RNG.normal(size=(2, 3))
V = RNG.normal(size=4)
EMPTY = np.zeros((0, 3))
ROW = RNG.normal(size=(1, 3))
SMALL = np.arange(24, dtype="int8").reshape(2, 3, 4)


def _dimshuffle(x: np.ndarray, *pattern: Any) -> np.ndarray:
    pattern = tuple(pattern[0]) if isinstance(pattern[0], tuple | list) else pattern
    kept = [p % x.ndim for p in pattern if p != "x"]
    dropped = tuple(i for i in range(x.ndim) if i not in kept)
    y = np.squeeze(x.transpose([*kept, *dropped]), tuple(range(len(kept), x.ndim)))
    return np.expand_dims(y, [i for i, p in enumerate(pattern) if p == "x"])


def _flatten(x: np.ndarray, ndim: int = 1) -> np.ndarray:
    return x.reshape((*x.shape[: ndim - 1], -1)) if x.ndim else x.reshape(1)


def _split(x: np.ndarray, sizes: Any, n: int, axis: int = 0) -> list[np.ndarray]:
    return np.split(x, np.cumsum(sizes)[:-1], axis)


def rearranged() -> Iterator[Case]:
    for x in (X, SMALL):
        for shape in ((6, 4), (-1,), (2, -1, 2), (24,), (1, 24, 1), [3, 8], 24, -1):
            yield Case("reshape", (x, shape), np.reshape, grad=x is X)
        for axes in (None, (2, 0, 1), (-1, 0, 1), (0, 1, 2)):
            yield Case("transpose", (x, axes), np.transpose, grad=x is X)
        yield Case("swapaxes", (x, 0, -1), np.swapaxes, grad=x is X)
        yield Case("moveaxis", (x, 0, -1), np.moveaxis, grad=x is X)
        yield Case("moveaxis", (x, (0, 2), (1, 0)), np.moveaxis, grad=x is X)
        for axis in (None, 0, -1, (0, 2), ()):
            yield Case("flip", (x, axis), np.flip, grad=x is X)
        for shift, axis in ((1, None), (-2, 1), (7, -1), (0, 0)):
            yield Case("roll", (x, shift, axis), np.roll, grad=x is X)
        for ndim in (1, 2, 3):
            yield Case("flatten", (x, ndim), _flatten, grad=x is X)
        yield Case("ravel", (x,), np.ravel, grad=x is X)
        for axis in (0, -1, 1, (0, 2), (0, -1)):
            yield Case("expand_dims", (x, axis), np.expand_dims, grad=x is X)
        for pattern in ((2, 0, 1), ("x", 0, 1, 2), (1, "x", 2, "x", 0), (-1, 0, 1)):
            yield Case("dimshuffle", (x, *pattern), _dimshuffle, grad=x is X)
        yield Case("dimshuffle", (x, ("x", 0, 2, 1)), _dimshuffle, grad=x is X)
        yield Case("shape_padleft", (x, 2), lambda x, n: x[None, None], grad=x is X)
        yield Case("shape_padright", (x, 2), lambda x, n: x[..., None, None], grad=x is X)
    yield Case("roll", (X, (1, 2), (0, 2)), np.roll, grad=True)
    yield Case("reshape", (EMPTY, (3, 0)), np.reshape)
    yield Case("reshape", (EMPTY, (-1, 3)), np.reshape)
    yield Case("reshape", (np.array(2.0), (1, 1)), np.reshape, grad=True)
    yield Case("reshape", (np.array([[2.0]]), ()), np.reshape, grad=True)
    yield Case("transpose", (np.array(2.0),), np.transpose)
    yield Case("flatten", (np.array(2.0),), _flatten)
    yield Case("dimshuffle", (ROW[:, :1], 1), _dimshuffle, grad=True)
    yield Case("dimshuffle", (V, 0, "x"), _dimshuffle, grad=True)
    yield Case("dimshuffle", (np.array(1.5), "x", "x"), _dimshuffle, grad=True)
    one = RNG.normal(size=(1, 3, 1))
    yield Case("squeeze", (one,), np.squeeze, fixed=True, grad=True)
    for axis in (0, -1, (0, 2)):
        yield Case("squeeze", (one, axis), np.squeeze, grad=True)
    yield Case("squeeze", (M, ()), np.squeeze)
    for x in (np.array(1.0), V, M, X):
        yield Case("atleast_1d", (x,), np.atleast_1d, grad=True)
        yield Case("atleast_2d", (x,), np.atleast_2d, grad=True)
        yield Case("shape", (x,), lambda x: np.array(x.shape, np.int64))
        yield Case("size", (x,), lambda x: np.int64(x.size))
        yield Case("identity", (x,), lambda x: x, grad=True)
        yield Case("identity", (x, "named"), lambda x, name: x)
    yield Case("length", (X, 1), lambda x, axis: np.int64(x.shape[axis]))
    yield Case("specify_shape", (M, (2, None)), lambda x, s: x, grad=True)
    yield Case("specify_shape", (M, (None, None)), lambda x, s: x)


def broadcast() -> Iterator[Case]:
    for x, shape in (
        (ROW, (2, 3)),
        (V, (3, 4)),
        (np.array(1.5), (2, 2)),
        (X, (2, 3, 4)),
        (M[:, :1], (5, 2, 3)),
        (ROW, (0, 3)),
        (V[:1], 4),
        (np.array(1), ()),
    ):
        yield Case("broadcast_to", (x, shape), np.broadcast_to, grad=x.dtype == float)
    yield Case("broadcast_arrays", (ROW, M[:, :1]), np.broadcast_arrays, grad=True)
    yield Case("broadcast_arrays", (V, np.array(1), X), np.broadcast_arrays)
    yield Case("broadcast_arrays", (np.zeros(1), np.zeros(0)), np.broadcast_arrays)
    yield Case("sum_to_shape_of", (X, X[:1, :, :1]), lambda g, like: g.sum((0, 2), keepdims=True), ulps=8)
    yield Case("sum_to_shape_of", (X, M[:1, :1]), lambda g, like: g.sum((0, 1, 2)).reshape(1, 1), ulps=8)
    yield Case("sum_to_shape_of", (X, V), lambda g, like: g.sum((0, 1)), ulps=8)
    yield Case("sum_to_shape_of", (X, X), lambda g, like: g)


def joined() -> Iterator[Case]:
    a, b = M, RNG.normal(size=(2, 2))
    yield Case("concatenate", ([a, b], 1), np.concatenate, grad=True)
    yield Case("concatenate", ([a, a[:1], EMPTY],), np.concatenate, grad=True)
    yield Case("concatenate", ([a, SMALL[0, :2, :3]],), np.concatenate)
    yield Case("concatenate", ([SMALL, SMALL.astype("uint8")], -1), np.concatenate)
    yield Case("concatenate", ([V],), np.concatenate)
    yield Case("concatenate", ([X, V], None), np.concatenate, grad=True)
    yield Case("join", (1, a, b), lambda axis, *xs: np.concatenate(xs, axis), grad=True)
    for axis in (0, 1, -1):
        yield Case("stack", ([a, a + 1], axis), np.stack, grad=True)
    yield Case("stack", ([np.array(1.0), np.array(2)],), np.stack)
    yield Case("stack", ([V, 2 * V, 3 * V],), np.stack, grad=True)
    yield Case("hstack", ([V, V[:2]],), np.hstack, grad=True)
    yield Case("hstack", ([a, b],), np.hstack, grad=True)
    yield Case("hstack", ([np.array(1.0), V],), np.hstack, grad=True)
    yield Case("vstack", ([a, a[:1]],), np.vstack, grad=True)
    yield Case("vstack", ([V, 2 * V],), np.vstack, grad=True)
    yield Case("split", (V, 2), np.split, grad=True)
    for n, axis in ((1, 0), (2, 0), (3, 1), (4, 2)):
        yield Case("split", (X.repeat(2, 0), n), np.split, {"axis": axis}, grad=True)
    yield Case("split", (np.zeros((0, 3)), 2), np.split)
    yield Case("split", (np.zeros((4, 0)), 2), np.split)
    yield Case("split", (X, [1, 3]), np.split, {"axis": 2}, grad=True)
    yield Case("split", (X, [-1]), np.split, {"axis": 1})
    yield Case("split", (V, [3, 9]), np.split)
    yield Case("split", (V, [1, 3], 2), _split, grad=True)
    yield Case("split", (X, np.array([1, 0, 2]), 3), _split, {"axis": 1})
    for reps in (2, (2, 1), (2, 1, 3), (1, 2, 1, 2), (0,)):
        yield Case("tile", (M, reps), np.tile, grad=True)
    yield Case("tile", (np.array(3), 2), np.tile)
    yield Case("tile", (EMPTY, (2, 2)), np.tile)
    for repeats, axis in ((2, None), (2, 1), (0, 0), ([1, 2], 0), ([3, 0, 1], 1), ([2], 1), (3, -1)):
        yield Case("repeat", (M, repeats, axis), np.repeat, grad=True)
    yield Case("repeat", (M, np.array([2, 1, 0], "int32"), 1), np.repeat)
    yield Case("repeat", (M, np.array(3), 0), np.repeat)
    yield Case("repeat", (EMPTY, 2, 1), np.repeat)
    yield Case("repeat", (np.array(2.0), 3), np.repeat)


def created() -> Iterator[Case]:
    yield Case("arange", (5,), np.arange)
    for args in ((2, 9), (2, 9, 3), (9, 2, -2), (0, 0), (5, 2)):
        yield Case("arange", args, np.arange)
        yield Case("arange", tuple(np.array(a) for a in args), np.arange)
        yield Case("arange", args, np.arange, {"dtype": "float32"})
    yield Case("arange", (0.0, 1.0, 0.3), np.arange)
    yield Case("arange", (np.array(0.5), np.array(3.0), 0.5), np.arange)
    yield Case("arange", (np.array(4, "int32"),), lambda n: np.arange(n, dtype=np.int64))
    yield Case("arange", (3,), np.arange, {"dtype": "int8"})
    yield Case("alloc", (V, 3, 4), lambda v, *s: np.broadcast_to(v, s), grad=True)
    yield Case("alloc", (0.0, 3), lambda v, *s: np.full(s, v))
    yield Case("alloc", (np.array(1, "int8"), np.array(2), 3), lambda v, *s: np.full([int(d) for d in s], v))
    yield Case("full", ((2, 3), 1.5), np.full)
    yield Case("full", (3, 2), np.full)
    yield Case("full", ((2, 4), V), np.full, grad=True)
    yield Case("full", ((2,), 7, "int8"), np.full)
    yield Case("full", ((2,), True), np.full)
    for name in ("zeros", "ones"):
        oracle = getattr(np, name)
        for shape in ((2, 3), 3, (), (0, 2), [2, 2]):
            yield Case(name, (shape,), oracle)
        yield Case(name, ((2, 3), "int8"), oracle)
        yield Case(name, (np.array(2),), lambda n, f=oracle: f(int(n)))
        yield Case(f"{name}_like", (SMALL,), getattr(np, f"{name}_like"))
        yield Case(f"{name}_like", (M, "int32"), getattr(np, f"{name}_like"))
        yield Case(f"{name}_like", (np.array(1.0),), getattr(np, f"{name}_like"))
    yield Case("empty", ((2, 3),), np.zeros)
    yield Case("full_like", (M, 2), np.full_like)
    yield Case("full_like", (SMALL, 2.7), np.full_like)
    yield Case("full_like", (SMALL, 2.5, "float32"), np.full_like)
    yield Case("full_like", (M, ROW), np.full_like)
    for n, m, k in ((3, None, 0), (2, 4, 1), (3, 2, -1), (0, 2, 0)):
        yield Case("eye", (n, m, k), np.eye)
        yield Case("tri", (n, m, k), np.tri)
        yield Case("tril_indices", (n, k, m), np.tril_indices)
        yield Case("triu_indices", (n, k, m), np.triu_indices)
    yield Case("eye", (3,), np.eye, {"dtype": "int8"})
    yield Case("eye", (np.array(3), np.array(2), np.array(1)), lambda n, m, k: np.eye(int(n), int(m), int(k)))
    yield Case("tri", (2,), np.tri, {"dtype": "int32"})
    yield Case("identity_like", (M,), lambda x: np.eye(*x.shape, dtype=x.dtype))
    for k in (0, 1, -1, 5, -5):
        for x in (M, X, SMALL):
            yield Case("tril", (x, k), np.tril, grad=x is not SMALL)
            yield Case("triu", (x, k), np.triu, grad=x is not SMALL)
        yield Case("diag", (M, k), np.diag, grad=True)
        yield Case("diag", (V, k), np.diag, grad=True)
    yield Case("tril", (np.eye(3, dtype=bool),), np.tril)
    yield Case("diag", (np.zeros(0),), np.diag)
    for indexing in ("xy", "ij"):
        yield Case("meshgrid", (V, V[:2], V[:3]), np.meshgrid, {"indexing": indexing}, grad=True)
        yield Case("meshgrid", (V, np.array([1, 2])), np.meshgrid, {"indexing": indexing})
        yield Case("meshgrid", (V,), np.meshgrid, {"indexing": indexing})


def all_cases() -> list[Case]:
    return [*rearranged(), *broadcast(), *joined(), *created()]
