"""Cases of reductions and scans."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from opcases import Case

RNG = np.random.default_rng(11)
DTYPES = ("bool", "int8", "uint8", "int32", "uint32", "int64", "float16", "float32", "float64")


def _quiet(f: Callable[..., Any]) -> Callable[..., Any]:
    def oracle(*args: Any, **kwargs: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return f(*args, **kwargs)

    return oracle


def block(dtype: str) -> np.ndarray:
    values = RNG.integers(0, 4, (2, 3, 4)) if dtype[0] in "ub" else RNG.integers(-3, 4, (2, 3, 4))
    return values.astype(dtype) if dtype[0] != "f" else (values + RNG.random((2, 3, 4))).astype(dtype)


def _norm(x: Any, L: float = 2, axis: Any = None, keepdims: bool = False) -> Any:
    size = np.abs(x) if x.dtype.kind == "f" else np.abs(x.astype(float))
    if np.isinf(L):
        return (np.max if L > 0 else np.min)(size, axis=axis, keepdims=keepdims)
    if L == 0:
        return np.sum(x != 0, axis=axis, keepdims=keepdims).astype(size.dtype)
    return np.sum(size**L, axis=axis, keepdims=keepdims) ** size.dtype.type(1 / L)


def _logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    wide = x.astype(float)
    top = np.max(wide, axis=axis, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0)
    result = np.log(np.sum(np.exp(wide - top), axis=axis, keepdims=True)) + top
    result = result if keepdims else np.squeeze(result, axis)
    return result.astype(x.dtype if x.dtype.kind == "f" else float)


def _max_and_argmax(x: Any, axis: Any = None) -> tuple[Any, Any]:
    return np.max(x, axis=axis), np.argmax(x, axis=axis)


REDUCTIONS: dict[str, tuple[Callable[..., Any], float]] = {
    "sum": (np.sum, 4),
    "prod": (np.prod, 8),
    "max": (np.max, 0),
    "min": (np.min, 0),
    "all": (np.all, 0),
    "any": (np.any, 0),
    "mean": (_quiet(np.mean), 8),
    "var": (_quiet(np.var), 16),
    "std": (_quiet(np.std), 16),
    "ptp": (np.ptp, 0),
    "norm": (_norm, 8),
    "logsumexp": (_logsumexp, 8),
}
NO_EMPTY = {"max", "min", "ptp"}
AXES = (None, 0, -1, (0, 2), (1,), ())


def reductions() -> Iterator[Case]:
    for name, (oracle, ulps) in REDUCTIONS.items():
        for dtype in DTYPES:
            if (name == "ptp" and dtype == "bool") or (dtype == "float16" and name == "prod"):
                continue
            for axis in AXES:
                if axis == () and name in ("ptp", "norm", "logsumexp"):
                    continue
                yield Case(name, (block(dtype),), oracle, {"axis": axis}, ulps=ulps)
        x = block("float64")
        if name != "ptp":
            yield Case(name, (x,), oracle, {"axis": 1, "keepdims": True}, ulps=ulps)
            yield Case(name, (x,), oracle, {"axis": None, "keepdims": True}, ulps=ulps)
        special = np.array([[1.0, np.nan, 2.0], [np.inf, -np.inf, 0.0], [np.inf, 1.0, 2.0], [-np.inf] * 3])
        yield Case(name, (special,), oracle, {"axis": 1}, ulps=ulps)
        yield Case(name, (np.array(2.5),), oracle, ulps=ulps)
        if name in NO_EMPTY:
            yield Case(name, (np.zeros((0, 2, 3)),), oracle, {"axis": 1}, ulps=ulps)
        else:
            if name != "logsumexp":
                yield Case(name, (np.zeros((0, 2, 3)),), oracle, ulps=ulps)
                yield Case(name, (np.zeros((0, 2, 3)),), oracle, {"axis": 0}, ulps=ulps)
            yield Case(name, (np.zeros((0, 2, 3)),), oracle, {"axis": (1, 2)}, ulps=ulps)
    for dtype in ("int8", "float32", "float64", "int64"):
        for name in ("sum", "prod", "mean"):
            oracle, ulps = REDUCTIONS[name]
            yield Case(name, (block("int8"),), oracle, {"axis": 0, "dtype": dtype}, ulps=ulps)
    yield Case("mean", (block("float32"),), np.mean, {"dtype": "float64"}, ulps=8)
    yield Case("mean", (np.full(3, 60000, "float16"),), np.mean, ulps=2)
    yield Case("var", (block("float16") * 60,), np.var, ulps=4)
    yield Case("sum", (np.full(3000, 1, "float16"),), np.sum, ulps=4)
    for ddof in (1, 0.5):
        yield Case("var", (block("float32"),), np.var, {"axis": 1, "ddof": ddof}, ulps=16)
        yield Case("std", (block("int8"),), np.std, {"axis": 1, "ddof": ddof}, ulps=16)
    for ddof in (5, 3, 4):  # of axes of lengths 2, 3 and 4
        for axis in (None, 0, 1, ()):
            for name in ("var", "std"):
                yield Case(name, (block("float64"),), REDUCTIONS[name][0], {"axis": axis, "ddof": ddof}, ulps=16)
    for ddof in (0, 1):
        for axis in (None, 0):
            yield Case("var", (np.zeros((0, 2)),), _quiet(np.var), {"axis": axis, "ddof": ddof})
            yield Case("std", (np.zeros((1, 2)),), _quiet(np.std), {"axis": axis, "ddof": ddof})
    yield Case("var", (block("int32"),), lambda x, corrected: np.var(x), {"corrected": True}, ulps=16)
    for L in (0, 1, 2, 3, 2.5, np.inf, -np.inf):
        yield Case("norm", (block("float64"),), _norm, {"L": L, "axis": 1}, ulps=16)
        yield Case("norm", (block("int8"),), _norm, {"L": L}, ulps=16)
    for name in ("argmax", "argmin"):
        for dtype in DTYPES:
            for axis in (None, 0, 1, -1):
                yield Case(name, (block(dtype),), getattr(np, name), {"axis": axis})
        yield Case(name, (np.array([[1.0, np.nan, 3.0], [2.0, 2.0, 2.0]]),), getattr(np, name), {"axis": 1})
        yield Case(name, (block("int8"),), getattr(np, name), {"axis": 1, "keepdims": True})
        yield Case(name, (block("int8"),), getattr(np, name), {"keepdims": True})
        yield Case(name, (np.array(3),), getattr(np, name))
        yield Case(name, (np.zeros((0, 2)),), getattr(np, name), {"axis": 1})
    yield Case("max_and_argmax", (block("int8"),), _max_and_argmax, {"axis": 1})


def scans() -> Iterator[Case]:
    for name in ("cumsum", "cumprod"):
        oracle = getattr(np, name)
        for dtype in DTYPES:
            for axis in (None, 0, 1, -1):
                yield Case(name, (block(dtype),), oracle, {"axis": axis}, ulps=16)
        yield Case(name, (np.zeros((0, 2)),), oracle, {"axis": 0})
        yield Case(name, (np.zeros((2, 0)),), oracle, {"axis": None})
        yield Case(name, (np.array(2.0),), oracle)
    for dtype in ("int8", "bool", "uint8", "float32", "float64"):
        for n, axis in ((1, -1), (2, 1), (0, 0)):
            yield Case("diff", (block(dtype),), np.diff, {"n": n, "axis": axis})
    yield Case("diff", (np.zeros(1),), np.diff)
    yield Case("diff", (np.zeros(0),), np.diff)


def smooth() -> Iterator[Case]:
    x = RNG.normal(size=(2, 3, 4))
    holes = np.array([[0.0, 2.0, 3.0], [0.0, 0.0, 2.0], [1.5, 2.0, 3.0]])
    for name in ("sum", "prod", "max", "min", "mean", "var", "std", "ptp", "norm", "logsumexp"):
        oracle, _ = REDUCTIONS[name]
        for axis in (None, 1, (0, 2)):
            yield Case(name, (x,), oracle, {"axis": axis}, ulps=64, grad=True)
        if name != "ptp":
            yield Case(name, (x,), oracle, {"axis": -1, "keepdims": True}, ulps=64, grad=True)
        yield Case(
            name,
            (x[:, :1, :1],),
            oracle,
            {"axis": (1, 2)} if name not in ("var", "std") else {"axis": 0},
            ulps=64,
            grad=name != "std",
        )
    for axis in (None, 0, 1):
        yield Case("prod", (holes,), np.prod, {"axis": axis}, grad=True)
        yield Case("cumprod", (holes,), np.cumprod, {"axis": axis}, grad=True)
        yield Case("cumsum", (holes,), np.cumsum, {"axis": axis}, grad=True)
    yield Case("sum", (np.zeros((0, 2)),), np.sum, {"axis": 0}, grad=True)
    yield Case("prod", (np.zeros((0, 2)),), np.prod, {"axis": 0}, grad=True)
    yield Case("cumprod", (np.zeros((0, 2)),), np.cumprod, {"axis": 0}, grad=True)
    yield Case("logsumexp", (np.array([[-np.inf, 1.0], [2.0, 3.0]])[1:],), _logsumexp, {"axis": 1}, ulps=8, grad=True)
    for L in (1, 3, np.inf):
        yield Case("norm", (x,), _norm, {"L": L, "axis": 1}, ulps=64, grad=True)
    yield Case("diff", (x,), np.diff, {"n": 2}, grad=True)
    yield Case("max_and_argmax", (x,), _max_and_argmax, {"axis": 1}, grad=True)


def all_cases() -> list[Case]:
    return [*reductions(), *scans(), *smooth()]
