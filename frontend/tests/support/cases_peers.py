"""Cases of functions that peers' programs ask for: SciPy's, spaces, statistics, ``vectorize``, diagonals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.special as sp
from opcases import Case

import subtensor as st

RNG = np.random.default_rng(21)
M = RNG.normal(size=(3, 4))
T3 = RNG.normal(size=(2, 3, 4))
V = RNG.normal(size=4)
POSITIVE = np.array([0.3, 1.0, 2.5, 7.25, 30.0])
UNIT = np.array([0.05, 0.3, 0.5, 0.64, 0.95])
SIGNED = np.array([-6.5, -1.5, -0.2, 0.4, 3.0])


def scipy_functions() -> Iterator[Case]:
    one: dict[str, tuple[np.ndarray, tuple[float, ...]]] = {
        "erfcx": (SIGNED[1:], (0.0, 40.0, 1e9, np.inf, np.nan)),
        "ndtri": (UNIT, (0.0, 1.0, 1e-300, np.nan, 2.0)),
        "erfcinv": (UNIT * 2, (0.0, 2.0, 1.0)),
        "i0e": (SIGNED, (0.0, 700.0, -np.inf, np.nan)),
        "i1e": (SIGNED, (0.0, 700.0, -np.inf, np.nan)),
        "i0": (SIGNED, (0.0, np.nan)),
        "i1": (SIGNED, (0.0, np.nan)),
        "logit": (UNIT, (0.0, 1.0, -1.0, 2.0, 0.31, np.nan)),
        "entr": (POSITIVE, (0.0, -1.0, np.inf, np.nan)),
        "ndtr": (SIGNED, (0.0, -40.0, np.inf, -np.inf, np.nan)),
        "log_ndtr": (SIGNED, (0.0, -40.0, -1e6, np.inf, np.nan)),
    }
    for name, (smooth, odd) in one.items():
        oracle = getattr(sp, name)
        yield Case(name, (smooth,), oracle, ulps=64, grad=True)
        yield Case(name, (np.array(odd),), oracle, ulps=64)
        yield Case(name, (smooth.astype("float32"),), oracle, ulps=64)
        yield Case(name, (np.array([0, 1]),), oracle, ulps=64)
    for name in ("xlogy", "xlog1py"):
        oracle = getattr(sp, name)
        yield Case(name, (SIGNED, POSITIVE), oracle, ulps=8, grad=True)
        yield Case(name, (M, V[:, None][:1] ** 2), oracle, ulps=8, grad=True)
        yield Case(name, (np.array([0.0, 0.0, 0.0, 1.0]), np.array([0.0, np.nan, -2.0, 0.0])), oracle, ulps=8)
        yield Case(name, (np.array([2, 0]), np.array([3, 0], "int32")), oracle, ulps=8)
    yield Case("betaln", (POSITIVE, POSITIVE[::-1].copy()), sp.betaln, ulps=256, grad=True)
    for name in ("gammainc", "gammaincc"):
        oracle = getattr(sp, name)
        yield Case(name, (2.5, POSITIVE), oracle, ulps=256, grad=True)
        yield Case(name, (POSITIVE, POSITIVE[::-1].copy()), oracle, ulps=256)
        yield Case(name, (np.array([1.0, 2.0]), np.array([0.0, np.inf])), oracle, ulps=8)
    yield Case("gammal", (1.5, POSITIVE), lambda k, x: sp.gammainc(k, x) * sp.gamma(k), ulps=256, grad=True)
    yield Case("gammau", (1.5, POSITIVE), lambda k, x: sp.gammaincc(k, x) * sp.gamma(k), ulps=256, grad=True)
    yield Case("chi2sf", (POSITIVE, 3), lambda x, k: sp.gammaincc(k / 2, x / 2), ulps=256, grad=True)
    yield Case("betainc", (1.5, 2.5, UNIT), sp.betainc, ulps=256, grad=True)
    yield Case("betainc", (POSITIVE, POSITIVE[::-1].copy(), UNIT), sp.betainc, ulps=4096)
    yield Case("betainc", (2.0, np.array(3.0), np.array([0.0, 1.0])), sp.betainc, ulps=8)


def spaces() -> Iterator[Case]:
    ends = (np.array(0.5), np.array(2.25))
    for num in (0, 1, 2, 5):
        for endpoint in (True, False):
            options = {"num": num, "endpoint": endpoint}
            yield Case("linspace", (1.0, 3.5), np.linspace, options, ulps=4)
            yield Case("linspace", ends, np.linspace, options, ulps=4, grad=True)
            yield Case("logspace", ends, np.logspace, options, ulps=16, grad=True)
            yield Case("geomspace", ends, np.geomspace, options, ulps=32, grad=True)
    columns = (M, V)
    for axis in (0, 1, -1):
        yield Case("linspace", (*columns, 3), np.linspace, {"axis": axis}, ulps=4, grad=True)
        yield Case("logspace", (*columns, 3), np.logspace, {"axis": axis, "base": 2.0}, ulps=32, grad=True)
        yield Case("geomspace", (M**2 + 1, V**2 + 1, 3), np.geomspace, {"axis": axis}, ulps=32, grad=True)
    yield Case("linspace", (0, np.array(10), 4), np.linspace, {"dtype": "int32"})
    yield Case("linspace", (0.0, 1.0, np.array(4)), lambda a, b, n: np.linspace(a, b, int(n)), ulps=4)
    yield Case("linspace", (np.array(1, "float32"), 2.0, 7), np.linspace, ulps=4)
    yield Case("linspace", (1.0, 2.0, 5), np.linspace, {"retstep": True}, ulps=4)
    yield Case("geomspace", (-8.0, -1.0, 4), np.geomspace, ulps=16)


def _median(x: Any, axis: Any, keepdims: bool = False) -> Any:
    return x if axis == () else np.median(x, axis, keepdims=keepdims)


def statistics() -> Iterator[Case]:
    for x in (V, M, T3, T3[:, :1], M.astype("float32"), np.array([[3, 1, 2], [5, 5, 0]], "int8"), np.array(2.5)):
        yield Case("median", (x,), np.median, ulps=2, grad=x.dtype == float)
    for axis in (0, -1, (0, 2), ()):
        for options in ({}, {"keepdims": True}):
            yield Case("median", (T3, axis), _median, options, ulps=2, grad=True)
    yield Case("median", (np.array([[1.0, np.nan], [2.0, 3.0]]), 1), np.median)
    yield Case("median", (np.zeros((2, 0)), 1), lambda x, _: np.full(2, np.nan))
    yield Case("cov", (M,), np.cov, ulps=64, grad=True)
    yield Case("cov", (V,), np.cov, ulps=64, grad=True)
    yield Case("cov", (V, V**2), np.cov, ulps=64, grad=True)
    yield Case("cov", (M, T3[0]), np.cov, {"rowvar": False}, ulps=64, grad=True)
    yield Case("cov", (M.astype("float32"),), np.cov, {"bias": True}, ulps=64)
    yield Case("cov", (np.array([[1, 2, 4], [0, 5, 5]]),), np.cov, {"ddof": 0}, ulps=64)
    for ddof in (None, 0, 1):
        weights = {"fweights": np.array([1, 2, 0, 3]), "aweights": np.array([0.5, 1.0, 2.0, 0.25])}
        for names in (("fweights",), ("aweights",), ("fweights", "aweights")):
            yield Case("cov", (M,), np.cov, {"ddof": ddof, **{n: weights[n] for n in names}}, ulps=64, grad=True)


def _vectorized(signature: str | None, f: Callable[..., Any]) -> Callable[..., Any]:
    return st.vectorize(f, signature)


def _wise(signature: str, f: Callable[..., Any]) -> Callable[..., Any]:
    return np.vectorize(f, signature=signature)


def mapped() -> Iterator[Case]:
    def case(signature: str | None, ours: Any, theirs: Any, *args: Any, ulps: float = 8) -> Case:
        return Case("vectorize", args, theirs, function=_vectorized(signature, ours), ulps=ulps, grad=True)

    yield case(None, lambda x, y: x * y + 1, lambda x, y: x * y + 1, M, V)
    yield case(None, lambda x: st.where(x > 0, x, -x), np.abs, T3)
    yield case(None, lambda x: st.concatenate([x[None], x[None]]).sum(), lambda x: 2 * x, M)
    yield case(None, lambda x, y: (x + y, y), lambda x, y: (x + y, np.broadcast_to(y, M.shape)), M, V)
    yield case("(n)->()", lambda x: x.sum(), lambda x: x.sum(-1), T3)
    yield case("(m,n),(n)->(m)", lambda a, b: a @ b, _wise("(m,n),(n)->(m)", np.dot), T3, V)
    yield case("(m,n),(n)->(m)", lambda a, b: a @ b, _wise("(m,n),(n)->(m)", np.dot), T3[:1], T3[:, 0])
    yield case("(n),(n)->(n)", lambda a, b: a[::-1] * b, lambda a, b: a[..., ::-1] * b, V, M)
    yield case("(n)->(n),()", lambda a: (a.cumsum(), a.max()), lambda a: (a.cumsum(-1), a.max(-1)), M)
    yield case("(n)->(n,n)", lambda a: st.outer(a, a), lambda a: a[..., None] * a[..., None, :], M[:, :0])
    yield case("(n)->(n)", lambda a: a * st.constant(V), lambda a: a * V, M)


def products() -> Iterator[Case]:
    yield Case("vecdot", (T3, V), lambda a, b: (a * b).sum(-1), ulps=8, grad=True)
    yield Case("vecdot", (T3, T3[:1]), lambda a, b, axis: (a * b).sum(axis), {"axis": 1}, ulps=8, grad=True)
    yield Case("vecdot", (V, V), lambda a, b: (a * b).sum(-1), ulps=8, grad=True)
    yield Case("matvec", (T3, V), lambda a, b: a @ b, ulps=8, grad=True)
    yield Case("matvec", (M, T3[:, 0]), lambda a, b: (a @ b[..., None])[..., 0], ulps=8, grad=True)
    yield Case("vecmat", (V[:3], T3), lambda a, b: (a[None] @ b)[:, 0], ulps=8, grad=True)
    yield Case("vecmat", (V[:3], M), lambda a, b: a @ b, ulps=8, grad=True)


def _with_diagonal(x: Any, value: Any, offset: int) -> Any:
    x = x.copy()
    i = np.arange(len(np.diagonal(x, offset)))
    x[i + max(0, -offset), i + max(0, offset)] = value
    return x


def _alloc_diag(v: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    rows = np.array([np.diag(row, offset) for row in v.reshape(-1, v.shape[-1])])
    square = rows.reshape(*v.shape[:-1], *rows.shape[1:])
    return np.moveaxis(square, (-2, -1), (axis1, axis2))


def selected() -> Iterator[Case]:
    for offset in (0, 1, -2):
        yield Case("fill_diagonal_offset", (M, np.array(9.0), offset), _with_diagonal, grad=True)
        yield Case("alloc_diag", (V, offset), _alloc_diag, grad=True)
        yield Case("alloc_diag", (T3, offset, 1, -1), _alloc_diag, grad=True)
    yield Case("extract_diag", (M, 1), np.diagonal, grad=True)
    yield Case("take", (M, np.array([0, 2]), 0, None), lambda x, i, axis, _: np.take(x, i, axis))
    pairs = np.array([[1, 2, 0], [1, 0, 0], [1, 2, 0], [0, 5, 1]])
    flags = {"return_index": True, "return_inverse": True, "return_counts": True}
    for x in (pairs, pairs.T.copy(), pairs.astype("float32"), pairs[:0], pairs[:, :0]):
        for axis in (0, 1, -1):
            yield Case("unique", (x,), np.unique, {"axis": axis}, fixed=True)
            yield Case("unique", (x,), _unique_slices, {"axis": axis, **flags}, fixed=True)
    yield Case("unique", (np.stack([pairs, pairs[::-1]]),), np.unique, {"axis": 1}, fixed=True)
    for kind in ("quicksort", "stable", None):
        yield Case("sort", (M, 0, kind), np.sort)
        yield Case("argsort", (M, 0, kind), np.argsort)
    for name in ("argmax", "argmin"):
        for axes in ((0, 2), (2, 1), (-1, 0, 1)):
            for keepdims in (False, True):
                yield Case(name, (T3.round(), axes), _position(getattr(np, name)), {"keepdims": keepdims})


def _unique_slices(x: Any, axis: int, **flags: bool) -> Any:
    values, index, inverse, counts = np.unique(x, axis=axis, **flags)
    return values, index, inverse.reshape(-1), counts


def _position(find: Callable[..., Any]) -> Callable[..., Any]:
    def oracle(x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
        over = sorted(a % x.ndim for a in axes)
        rest = [i for i in range(x.ndim) if i not in over]
        found = find(x.transpose([*rest, *over]).reshape(*(x.shape[i] for i in rest), -1), -1)
        return np.expand_dims(found, over) if keepdims else found

    return oracle


def all_cases() -> list[Case]:
    return [*scipy_functions(), *spaces(), *statistics(), *mapped(), *products(), *selected()]
