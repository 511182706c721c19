"""Cases of elementwise functions: all dtypes, special values, broadcasting, Python scalars."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.special as sp
from opcases import Case

FLOATS = ("float16", "float32", "float64")
INTS = ("int8", "uint8", "int16", "int32", "int64", "uint16", "uint32", "uint64")
ALL = ("bool", *INTS, *FLOATS)
SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0]


def sample(dtype: str, low: float = -2.6, high: float = 3.1) -> np.ndarray:
    """Values between bounds; with NaN, infinities and both zeros for floats."""
    if dtype == "bool":
        return np.array([False, True, True])
    if dtype in INTS:
        low = max(low, 0) if dtype.startswith("u") else low
        return np.unique(np.linspace(math.ceil(low), math.floor(high), 7).astype(dtype))
    return np.array([*np.linspace(low, high, 7), *SPECIAL]).astype(dtype)


def _kept(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function of SciPy as it would be in the dtype that NumPy's ``exp`` gives."""

    def oracle(*xs: Any) -> Any:
        dtype = np.result_type(*(np.exp(np.zeros((), np.asarray(x).dtype)).dtype for x in xs))
        wide = [np.asarray(x, np.float64 if dtype == np.float64 else np.float32).astype(dtype) for x in xs]
        return np.asarray(f(*wide)).astype(dtype)

    return oracle


def _whole(f: Callable[..., Any]) -> Callable[..., Any]:
    """A rounding function, of which whole numbers are their own results; before 2.1 NumPy made floats of them."""
    return lambda x: f(x) if np.asarray(x).dtype.kind == "f" else x


def _gamma(x: Any) -> Any:
    """Infinity of the sign of a zero, and NaN at the other poles and at -inf, as in SciPy from 1.15 on."""
    pole = np.where(x == 0, np.copysign(np.inf, x), np.nan)
    return np.where((x <= 0) & (np.trunc(x) == x), pole, sp.gamma(x))


def _clip(x: Any, low: Any, high: Any) -> Any:
    """x itself where it equals a bound; which of two zeros NumPy's own gives then depends on its version."""
    for bound, beyond in ((low, np.less), (high, np.greater)):
        if bound is not None:
            x = np.where(beyond(x, bound) | np.isnan(bound), bound, x)
    return x


# name: (oracle, low, high, ulps, dtypes)
UNARY: dict[str, tuple[Callable[..., Any], float, float, float, tuple[str, ...]]] = {
    **{
        n: (getattr(np, n), -2.6, 3.1, 0, ALL)
        for n in ("exp", "expm1", "sin", "cos", "tan", "arctan", "sinh", "cosh", "tanh", "arcsinh")
    },
    **{n: (getattr(np, n), 0.1, 4.1, 0, ALL) for n in ("log", "log1p", "sqrt", "log2", "log10")},
    **{n: (getattr(np, n), -0.9, 1, 0, ALL) for n in ("arcsin", "arccos", "arctanh")},
    "arccosh": (np.arccosh, 1, 4.2, 0, ALL),
    "exp2": (np.exp2, -2.6, 3.1, 0, ALL),
    **{n: (_whole(getattr(np, n)), -2.6, 3.1, 0, ALL) for n in ("floor", "ceil", "trunc")},
    "rint": (np.rint, -2.6, 3.1, 0, ALL),
    "neg": (np.negative, -2.6, 3.1, 0, (*INTS, *FLOATS)),
    "sign": (np.sign, -2.6, 3.1, 0, (*INTS, *FLOATS)),
    "abs": (np.abs, -2.6, 3.1, 0, ALL),
    "fabs": (np.fabs, -2.6, 3.1, 0, ALL),
    "square": (np.square, -2.6, 3.1, 0, ALL),
    "positive": (np.positive, -2.6, 3.1, 0, (*INTS, *FLOATS)),
    "reciprocal": (np.reciprocal, 0.3, 3.1, 0, (*INTS, *FLOATS)),
    "inv": (lambda x: np.true_divide(1, x), 0.3, 3.1, 0, ALL),
    "invert": (np.invert, -2.6, 3.1, 0, ("bool", *INTS)),
    "isnan": (np.isnan, -2.6, 3.1, 0, ALL),
    "isinf": (np.isinf, -2.6, 3.1, 0, ALL),
    "isfinite": (np.isfinite, -2.6, 3.1, 0, ALL),
    "logical_not": (np.logical_not, -2.6, 3.1, 0, ALL),
    "nan_to_num": (np.nan_to_num, -2.6, 3.1, 0, ALL),
    "round": (np.round, -2.6, 3.1, 0, ALL),
    "cbrt": (np.cbrt, -2.6, 3.1, 2, ALL),
    "rad2deg": (np.rad2deg, -2.6, 3.1, 2, ALL),
    "deg2rad": (np.deg2rad, -2.6, 3.1, 2, ALL),
    "erf": (_kept(sp.erf), -2.6, 3.1, 0, ALL),
    "erfc": (_kept(sp.erfc), -2.6, 3.1, 0, ALL),
    "erfinv": (_kept(sp.erfinv), -0.9, 0.9, 0, ALL),
    "gammaln": (_kept(sp.gammaln), 0.2, 4.1, 0, ALL),
    "digamma": (_kept(sp.digamma), 0.2, 4.1, 0, ALL),
    "trigamma": (_kept(lambda x: sp.polygamma(1, x)), 0.2, 4.1, 1, ALL),
    "gamma": (_kept(_gamma), -2.7, 4.1, 16, ALL),
    "sigmoid": (_kept(sp.expit), -2.6, 3.1, 4, ALL),
    "softplus": (_kept(lambda x: np.logaddexp(x, 0).astype(x.dtype)), -2.6, 3.1, 4, ALL),
    "log_sigmoid": (_kept(lambda x: -np.logaddexp(-x, 0).astype(x.dtype)), -2.6, 3.1, 4, ALL),
    "log1mexp": (_kept(lambda x: np.log(-np.expm1(x))), -3, -0.1, 8, FLOATS),
    "relu": (lambda x: np.where(x > 0, x, x.dtype.type(0)), -2.6, 3.1, 0, ALL),
    "elu": (_kept(lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))), -2.6, 3.1, 2, ALL),
    "hard_sigmoid": (_kept(lambda x: np.clip(x * x.dtype.type(0.2) + x.dtype.type(0.5), 0, 1)), -2.6, 3.1, 2, ALL),
    "zero_grad": (lambda x: x, -2.6, 3.1, 0, ALL),
    "disconnected_grad": (lambda x: x, -2.6, 3.1, 0, ALL),
}
"""For the derivative's sake the domains leave out poles and kinks."""

KINKED = {"relu", "elu", "hard_sigmoid", "abs", "fabs", "cbrt", "nan_to_num", "gamma", "zero_grad", "disconnected_grad"}
FLAT = {"floor", "ceil", "trunc", "rint", "sign", "invert", "isnan", "isinf", "isfinite", "logical_not", "round"}
SMOOTH = set(UNARY) - KINKED - FLAT


def unary() -> Iterator[Case]:
    for name, (oracle, low, high, ulps, dtypes) in UNARY.items():
        for dtype in dtypes:
            if name == "gammaln" and dtype == "float16":
                continue  # float16 overflows at both zeros, which SciPy says in another dtype
            yield Case(name, (sample(dtype, low, high),), oracle, ulps=ulps)
        yield Case(name, (sample("float64" if "float64" in dtypes else "int64", low, high)[0],), oracle, ulps=ulps)
        yield Case(name, (np.zeros((2, 0), "float32" if "float32" in dtypes else "int8"),), oracle, ulps=ulps)
    for name in sorted(SMOOTH | {"abs", "fabs", "relu", "elu", "hard_sigmoid", "cbrt", "gamma", "nan_to_num"}):
        oracle, low, high, _, _ = UNARY[name]
        low, high = {"tan": (-1.2, 1.1), "gamma": (0.2, 3.9)}.get(name, (low, high))  # away from poles
        inner = np.linspace(low + 0.05, high - 0.15, 5)
        yield Case(name, (inner.reshape(5, 1),), oracle, ulps=16, grad=True)


# name: (oracle, dtypes, whether both operands may be anything)
_SMALL = ("bool", "int8", "uint8", "int64", "uint64", "float16", "float32", "float64")
_NUMBER = _SMALL[1:]
_WHOLE = ("int8", "uint8", "int64", "uint64")
BINARY: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "add": (np.add, _SMALL),
    "subtract": (np.subtract, _NUMBER),
    "multiply": (np.multiply, _SMALL),
    "true_divide": (np.true_divide, _SMALL),
    "floor_divide": (np.floor_divide, _SMALL),
    "mod": (np.mod, _SMALL),
    "maximum": (np.maximum, _SMALL),
    "minimum": (np.minimum, _SMALL),
    "arctan2": (np.arctan2, _SMALL),
    "less": (np.less, _SMALL),
    "less_equal": (np.less_equal, _SMALL),
    "greater": (np.greater, _SMALL),
    "greater_equal": (np.greater_equal, _SMALL),
    "equal": (np.equal, _SMALL),
    "not_equal": (np.not_equal, _SMALL),
    "logical_and": (np.logical_and, _SMALL),
    "logical_or": (np.logical_or, _SMALL),
    "logical_xor": (np.logical_xor, _SMALL),
    "and_": (np.bitwise_and, ("bool", *_WHOLE)),
    "or_": (np.bitwise_or, ("bool", *_WHOLE)),
    "xor": (np.bitwise_xor, ("bool", *_WHOLE)),
    "hypot": (np.hypot, ("float32", "float64")),
    "logaddexp": (np.logaddexp, ("float32", "float64")),
}
LOOSE = {"hypot": 4, "logaddexp": 8}


def _kinds_meet(name: str, a: str, b: str) -> bool:
    """Whether NumPy defines the op on the promoted dtype."""
    pair = {a, b}
    whole = name in ("and_", "or_", "xor")
    return not (whole and pair == {"int64", "uint64"}) and not (whole and pair == {"int8", "uint64"})


def binary() -> Iterator[Case]:
    for name, (oracle, dtypes) in BINARY.items():
        ulps = LOOSE.get(name, 0)
        for a in dtypes:
            for b in dtypes:
                if not _kinds_meet(name, a, b):
                    continue
                x, y = sample(a), sample(b, -1.6, 2.4)
                yield Case(name, (x[:, None], y), oracle, ulps=ulps)
        first = sample(dtypes[-1])
        yield Case(name, (first, first[:1]), oracle, ulps=ulps)  # length 1 at run time
        yield Case(name, (first[:0], first[:1]), oracle, ulps=ulps)
        yield Case(name, (first[0], first[1]), oracle, ulps=ulps)
        yield Case(name, (first.reshape(1, -1), first.reshape(-1, 1)), oracle, ulps=ulps)
        for scalar in (True, 3, -2, 0, 2.5, -0.0):
            for dtype in dtypes:
                if dtype.startswith("u") and scalar == -2:
                    continue
                if dtype == "bool" and name == "subtract":
                    continue
                if name in ("and_", "or_", "xor") and isinstance(scalar, float):
                    continue
                x = sample(dtype)
                yield Case(name, (x, scalar), oracle, ulps=ulps)
                yield Case(name, (scalar, x), oracle, ulps=ulps)


def integers_out_of_range() -> Iterator[Case]:
    """Comparisons with Python integers that the dtype does not hold, and with its ends."""
    for name in ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal"):
        oracle = BINARY[name][0]
        for dtype in INTS:
            ends = np.iinfo(dtype)
            x = np.array([[ends.min], [1], [ends.max]], dtype)
            for scalar in (int(ends.min) - 1, int(ends.min), int(ends.max), int(ends.max) + 1, -(10**30), 10**30):
                yield Case(name, (x, scalar), oracle)
                yield Case(name, (scalar, x), oracle)
        yield Case(name, (np.zeros((2, 0), "uint8"), -1), oracle)
        yield Case(name, (np.array(3, "int8"), 300), oracle)


def whole_reciprocals() -> Iterator[Case]:
    for dtype in ("int8", "int32", "int64"):
        yield Case("reciprocal", (np.array([-3, -1, 1, 2, np.iinfo(dtype).min], dtype),), np.reciprocal)
    yield Case("reciprocal", (np.array([True, True]),), np.reciprocal)


def bools_and_floats() -> Iterator[Case]:
    """False is the number 0 in a product with what is not finite, too."""
    for dtype in FLOATS:
        odd = np.array([np.nan, np.inf, -1.0, np.nan, -np.inf], dtype)
        for name in ("multiply", "true_divide"):
            yield Case(name, (np.array([False, False, False, True, True]), odd), BINARY[name][0])
        yield Case("multiply", (np.array([False, True]), np.array(np.inf, dtype)), np.multiply)


def powers() -> Iterator[Case]:
    base = {"float64": np.array([-1.5, -1.0, 0.0, -0.0, 0.5, 2.0, np.nan, np.inf, -np.inf])}
    base["float32"] = base["float64"].astype("float32")
    for dtype in ("float64", "float32"):
        for exponent in (2, 1, 0, 3, -1, -2, 0.5, 2.0, -1.5, True):
            yield Case("power", (base[dtype], exponent), np.power, ulps=1)
        yield Case("power", (np.abs(base[dtype])[:, None], base[dtype]), np.power, ulps=1)
    for dtype in ("bool", *INTS, "float16"):
        for exponent in (0, 1, 2, 3):
            yield Case("power", (sample(dtype), exponent), np.power)
        yield Case("power", (2, sample("uint8")), np.power)
        yield Case("power", (sample(dtype)[:, None], sample("uint8")), np.power)
    yield Case("power", (2.5, sample("int64")), np.power)
    yield Case("left_shift", (sample("int32"), np.array([0, 1, 3], "int32")[:, None]), np.left_shift)
    yield Case("left_shift", (sample("uint8"), 2), np.left_shift)
    yield Case("right_shift", (sample("int32"), np.array([0, 1, 3], "int32")[:, None]), np.right_shift)
    yield Case("right_shift", (-9, sample("uint8").astype("int8")), np.right_shift)


def ternary() -> Iterator[Case]:
    c = np.array([True, False, True])
    for a in ("bool", "int8", "uint8", "int64", "float16", "float64"):
        for b in ("bool", "int8", "uint8", "int64", "float16", "float64"):
            x, y = sample(a)[:3], sample(b)[:3]
            n = min(len(x), len(y))
            yield Case("where", (c[:n], x[:n], y[:n]), np.where)
    yield Case("where", (c, 1.5, sample("float32")[:3]), np.where)
    yield Case("where", (c, sample("int8")[:3], 2), np.where)
    yield Case("where", (np.array([0, 2, -1]), sample("float64")[:3, None], np.array(1.0)), np.where)
    yield Case("where", (sample("float64"), 1.0, sample("float64")), np.where)
    yield Case("where", (c,), np.where)
    yield Case("where", (np.zeros(0, bool), np.zeros((2, 1)), np.zeros(1)), np.where)
    for dtype in ALL:
        for to in ALL:
            x = sample(dtype, 0, 3.1)
            if dtype in FLOATS and to not in FLOATS:
                x = x[:7] if to != "bool" else x
            yield Case("cast", (x, to), lambda x, to: x.astype(to))
        if dtype != "bool":
            for low, high in ((1, 2), (None, 2), (0, None), (2, 1)):
                yield Case("clip", (sample(dtype), low, high), _clip, ulps=1)
    yield Case("clip", (sample("float32"), np.array([[1.0], [0.0]], "float32"), np.array(2.0, "float32")), _clip)
    yield Case("clip", (sample("int32"), 0.5, 1.5), _clip)
    yield Case("clip", (sample("float64"), np.nan, 1.0), _clip)
    x, y = sample("float64"), sample("float64")[::-1].copy()
    yield Case("isclose", (x, x + 1e-9), np.isclose)
    yield Case("isclose", (x[:, None], y), np.isclose, {"equal_nan": True})
    yield Case("isclose", (np.array([1, 2], "int8"), np.array([1, 3])), np.isclose)
    yield Case("allclose", (x, x), np.allclose)
    yield Case("allclose", (x, x), np.allclose, {"equal_nan": True})
    yield Case("allclose", (np.zeros(0), np.zeros(0)), lambda a, b: np.bool_(True))
    for decimals in (1, -1, 2):
        yield Case("round", (np.array([1.25, -15.0, 0.05, 25.0, 2.675]),), np.round, {"decimals": decimals})
    for decimals in (-1, -2, 1):
        yield Case("round", (np.array([15, 25, -15, 14, 150, 250, -4]),), np.round, {"decimals": decimals})
    yield Case("round_to_int", (np.array([0.5, 1.5, -0.5, 2.2]),), lambda x: np.round(x).astype(np.int64))
    yield Case("nan_to_num", (sample("float32"),), np.nan_to_num, {"nan": 1.0, "posinf": 2.0, "neginf": -3.0})
    yield Case("polygamma", (2, np.array([0.5, 1.5, 4.0])), sp.polygamma, grad=True, ulps=4)
    yield Case("polygamma", (np.array([0, 1, 2]), np.array([0.5, 1.5, 4.0])), sp.polygamma, ulps=4)
    yield Case("grad_clip", (x, -1.0, 1.0), lambda x, *_: x)
    yield Case("grad_scale", (x, 2.0), lambda x, *_: x)


def smooth() -> Iterator[Case]:
    rng = np.random.default_rng(3)
    x, row, col, one = rng.normal(size=(3, 2)), rng.normal(size=2), rng.normal(size=(3, 1)), rng.normal(size=1)
    names = ("add", "subtract", "multiply", "true_divide", "maximum", "minimum", "arctan2", "mod", "hypot", "logaddexp")
    for name in names:
        oracle = BINARY[name][0]
        for a, b in ((x, row), (col, row), (x, one), (one, x), (np.array(0.3), x), (x, x + 1)):
            yield Case(name, (a, b), oracle, ulps=16, grad=True)
        yield Case(name, (np.zeros((0, 2)), row), oracle, ulps=16, grad=True)
    for a, b in ((abs(x), row), (abs(col), row), (abs(x) + 0.1, one), (abs(x), x)):
        yield Case("power", (a, b), np.power, ulps=16, grad=True)
    for exponent in (0, 1, 2, 3, -1, 0.5, -1.5):
        base = abs(x) if isinstance(exponent, float) else x
        yield Case("power", (base, exponent), np.power, ulps=16, grad=True)
    yield Case("power", (1.7, x), np.power, ulps=16, grad=True)
    condition = np.array([[True], [False], [True]])
    for a, b in ((x, row), (row, col), (one, x)):
        yield Case("where", (a > 0, a, b), np.where, grad=True)
        yield Case("where", (condition, a, b), np.where, grad=True)
    yield Case("clip", (x, -0.5, 0.5), np.clip, grad=True)
    yield Case("clip", (x, row - 1, col + 1), np.clip, grad=True)
    yield Case("cast", (x, "float64"), lambda x, to: x, grad=True)
    yield Case("gamma", (np.array([-0.5, -1.5, -2.4]),), sp.gamma, ulps=16, grad=True)
    yield Case("zero_grad", (np.zeros(0),), lambda x: x, grad=True)


def logical_forms() -> Iterator[Case]:
    yield Case("relu", (np.array([-1.0, 2.0]), 0.1), lambda x, a: np.where(x > 0, x, x * a), grad=True)
    yield Case("elu", (np.array([-1.0, 2.0]), 0.5), lambda x, a: np.where(x > 0, x, a * np.expm1(x)), ulps=4, grad=True)


def all_cases() -> list[Case]:
    return [
        *unary(),
        *whole_reciprocals(),
        *binary(),
        *integers_out_of_range(),
        *bools_and_floats(),
        *powers(),
        *ternary(),
        *smooth(),
        *logical_forms(),
    ]
