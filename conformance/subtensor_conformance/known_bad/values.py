"""Backends that compute wrong values, dtypes and shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from subtensor_conformance.known_bad.altered import Altered, Array, Executable
from subtensor_conformance.known_bad.catalogue import known_bad


def lowering(**lower: Callable[..., Any]) -> Callable[[Any], Altered]:
    """A backend with other lowerings; a trailing underscore spells ``and_`` and ``or_``."""
    return lambda good: Altered(good, lower={k.rstrip("_"): f for k, f in lower.items()})


def outputs(change: Callable[[Array], Any]) -> Callable[[Any], Altered]:
    """A backend that changes each output."""

    def around(execute: Executable, program: Any, make: Any) -> Executable:
        return lambda inputs, cells: tuple(change(o) for o in execute(inputs, cells))

    return lambda good: Altered(good, around=around)


def _narrow(x: Array) -> Array:
    return x.astype(np.float32).astype(x.dtype) if x.dtype == np.float64 else x


def _truncated(x: Array) -> Array:
    return x.astype(np.int32).astype(x.dtype) if x.dtype in (np.int64, np.uint64) else x


def _upcast(x: Array) -> Array:
    return x.astype(np.float64) if x.dtype == np.float32 else x


def _ints(whole: Callable[..., Any], other: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, y: whole(x, y) if np.asarray(x).dtype.kind in "iu" else other(x, y)


def _over_zero(x: Array, y: Array) -> Array:
    return np.where(
        np.equal(y, 0), np.array(-1).astype(np.asarray(x).dtype), np.floor_divide(x, np.where(np.equal(y, 0), 1, y))
    )


def _raises_over_zero(x: Array, y: Array) -> Array:
    if np.any(np.equal(y, 0)):
        raise ZeroDivisionError("division by zero")
    return np.floor_divide(x, y)


def _last_of(best: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, axis: np.asarray(x).shape[axis] - 1 - best(np.flip(x, axis), axis)


def _unstable(x: Array, axis: int) -> Array:
    n = np.asarray(x).shape[axis]
    return n - 1 - np.argsort(np.flip(x, axis), axis=axis, kind="stable")


def _zeros_by_sign(x: Array, axis: int) -> Array:
    x = np.asarray(x)
    positive_zero = (x == 0) & ~np.signbit(x) if x.dtype.kind == "f" else x == 0
    return np.take_along_axis(x, np.lexsort((positive_zero, x), axis=axis), axis=axis)


def _nan_first(x: Array, axis: int) -> Array:
    return (
        np.sort(np.where(np.isnan(x), -np.inf, x), axis=axis, kind="stable")
        if np.asarray(x).dtype.kind == "f"
        else np.sort(x, axis=axis)
    )


def _away_from_zero(x: Array) -> Array:
    return np.where(np.isfinite(x), np.sign(x) * np.floor(np.abs(x) + 0.5), x).astype(np.asarray(x).dtype)


def _rounding_cast(x: Array, dtype: str) -> Array:
    x = np.asarray(x)
    return (np.rint(x) if x.dtype.kind == "f" and np.dtype(dtype).kind in "iu" else x).astype(dtype)


def _bool_through_int(x: Array, dtype: str) -> Array:
    x = np.asarray(x)
    return (np.trunc(x) if x.dtype.kind == "f" and dtype == "bool" else x).astype(dtype)


def _saturating_cast(x: Array, dtype: str) -> Array:
    x, target = np.asarray(x), np.dtype(dtype)
    if x.dtype.kind in "iuf" and target.kind in "iu":
        info = np.iinfo(target)
        fitting = [0 if np.isnan(v) else int(min(max(v, info.min), info.max)) for v in x.ravel().tolist()]
        x = np.array(fitting, object).reshape(x.shape)
    return x.astype(target)


def _wrapping_cast(x: Array, dtype: str) -> Array:
    x, target = np.asarray(x), np.dtype(dtype)
    if x.dtype.kind == "f" and target.kind in "iu":
        whole = [int(v) % 2**64 if np.isfinite(v) else 0 for v in x.ravel().tolist()]
        x = np.array(whole, np.uint64).reshape(x.shape)
    return x.astype(target)


def _leaking_where(c: Array, x: Array, y: Array) -> Array:
    if np.asarray(x).dtype.kind != "f":
        return np.where(c, x, y)
    m = np.asarray(c).astype(np.asarray(x).dtype)
    return m * x + (1 - m) * y


def _reduced_precision(a: Array, b: Array) -> Array:
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype != np.float32:
        return np.matmul(a, b)

    def cut(x: Array) -> Array:
        return (np.ascontiguousarray(x).view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)

    return np.matmul(cut(a), cut(b))


def _in_half(f: Callable[..., Any]) -> Callable[..., Any]:
    def run(x: Array, axes: tuple[int, ...]) -> Array:
        return f(np.asarray(x).astype(np.float32) if np.asarray(x).dtype == np.float64 else x, axes).astype(
            np.asarray(x).dtype
        )

    return run


def _total(x: Array, axes: tuple[int, ...]) -> Array:
    return np.asarray(np.add.reduce(x, axis=axes))


def _wide_half(f: Callable[..., Any]) -> Callable[..., Any]:
    def run(*args: Array) -> Array:
        if np.asarray(args[0]).dtype != np.float16:
            return f(*args)
        return np.clip(f(*(np.asarray(a).astype(np.float32) for a in args)), -65504, 65504).astype(np.float16)

    return run


def _same_truth(x: Array, y: Array) -> Array:
    return np.ones(np.shape(x), bool) if x is y else np.equal(x, y)


def _fortran(x: Array, *dims: int) -> Array:
    return np.asarray(x).reshape(dims, order="F") if np.ndim(x) > 1 else np.asarray(x).reshape(dims)


def _to_first(g: Array, *dims: int) -> Array:
    lead = np.ndim(g) - len(dims)
    part = np.asarray(g)[(0,) * lead]
    return np.array(part[tuple(slice(0, 1) if d == 1 else slice(None) for d in dims)])


_E = "elementwise"
known_bad("float64-as-float32", "computes float64 in float32", "dtypes", "value", outputs(_narrow))
known_bad("int64-as-int32", "keeps 32 bits of 64-bit integers", "dtypes", "value", outputs(_truncated))
known_bad("float32-comes-back-wide", "returns float32 as float64", "dtypes", "dtype", outputs(_upcast))
known_bad("casts-round", "rounds floats that are cast to integers", "dtypes", "value", lowering(cast=_rounding_cast))
known_bad(
    "casts-of-floats-wrap",
    "wraps floats that do not fit into integers",
    "dtypes",
    "value",
    lowering(cast=_wrapping_cast),
    "beyond",
)
known_bad(
    "casts-saturate",
    "clips integers that do not fit, instead of wrapping",
    "dtypes",
    "value",
    lowering(cast=_saturating_cast),
    "wrap",
)
known_bad(
    "bool-through-int", "casts 0.25 to bool by way of integers", "dtypes", "value", lowering(cast=_bool_through_int)
)
known_bad("scalars-as-vectors", "returns scalars with one axis", "reduce", "shape", outputs(np.atleast_1d))
known_bad("drops-unit-axes", "squeezes outputs", "shape", "shape", outputs(np.squeeze))
known_bad("zeros", "returns zeros of the right shape and dtype", _E, "value|nan|sign of zero", outputs(np.zeros_like))
known_bad(
    "add-subtracts",
    "adds by subtracting",
    _E,
    "value|nan",
    lowering(add=lambda x, y: np.add(x, np.negative(y)) if np.asarray(x).dtype != bool else x),
)
known_bad(
    "divide-by-zero-is-minus-one",
    "divides integers by zero as XLA does",
    _E,
    "value",
    lowering(floor_divide=_ints(_over_zero, np.floor_divide)),
    "division by zero",
)
known_bad(
    "divide-by-zero-raises",
    "raises where integers are divided by zero",
    _E,
    "error",
    lowering(floor_divide=_ints(_raises_over_zero, np.floor_divide)),
    "division by zero",
)
known_bad(
    "division-truncates",
    "rounds integer division towards zero",
    _E,
    "value",
    lowering(
        floor_divide=_ints(
            lambda x, y: (np.trunc(np.true_divide(x, np.where(y == 0, 1, y))) * (y != 0)).astype(x.dtype),
            np.floor_divide,
        )
    ),
    "division by zero",
)
known_bad(
    "mod-has-sign-of-dividend",
    "takes remainders as C does",
    _E,
    "value|sign of zero",
    lowering(mod=np.fmod),
    "division by zero|special values",
)
known_bad(
    "negation-loses-sign-of-zero",
    "negates by subtracting from zero",
    _E,
    "sign of zero",
    lowering(neg=lambda x: np.subtract(np.asarray(0, np.asarray(x).dtype), x)),
    "special values",
)
known_bad(
    "maximum-ignores-nan",
    "takes the other operand where one is NaN",
    _E,
    "nan",
    lowering(maximum=np.fmax),
    "special values",
)
known_bad(
    "nan-equals-itself",
    "takes x == x for true, as fast mathematics does",
    _E,
    "value",
    lowering(equal=_same_truth),
    "special values",
)
known_bad("where-leaks-nan", "selects by multiplying", _E, "nan|value|sign of zero", lowering(where=_leaking_where))
known_bad(
    "rint-away-from-zero", "rounds halves away from zero", _E, "value|sign of zero", lowering(rint=_away_from_zero)
)
known_bad(
    "sqrt-of-absolute", "takes the root of the absolute value", _E, "nan", lowering(sqrt=lambda x: np.sqrt(np.abs(x)))
)
known_bad(
    "expm1-by-subtraction",
    "computes expm1 as exp(x) - 1",
    _E,
    "value|sign of zero",
    lowering(expm1=lambda x: (np.exp(x) - 1).astype(np.asarray(x).dtype)),
)
known_bad(
    "float16-saturates", "has no infinity in float16", "dtypes", "value|nan", lowering(multiply=_wide_half(np.multiply))
)
known_bad("sum-in-float32", "sums float64 in float32", "reduce", "value", lowering(sum=_in_half(_total)))
known_bad(
    "max-ignores-nan",
    "leaves NaN out of maxima",
    "reduce",
    "nan",
    lowering(max=lambda x, axes: np.fmax.reduce(x, axis=axes)),
    "special values",
)
known_bad(
    "argmax-last-of-ties", "gives the last of several largest", "reduce", "value", lowering(argmax=_last_of(np.argmax))
)
known_bad(
    "cumsum-exclusive",
    "leaves each element out of its own running sum",
    "reduce",
    "value",
    lowering(cumsum=lambda x, axis: np.cumsum(x, axis=axis, dtype=x.dtype) - x),
)
known_bad(
    "reduces-next-axis",
    "sums over the axis after",
    "reduce",
    "value|shape|error",
    lowering(sum=lambda x, axes: _total(x, tuple((a + 1) % np.ndim(x) for a in axes))),
)
known_bad(
    "argsort-unstable", "orders ties backwards", "sort", "value", lowering(argsort=_unstable), "ties|special values"
)
known_bad(
    "sort-zeros-by-sign",
    "sorts -0.0 before 0.0",
    "sort",
    "sign of zero",
    lowering(sort=_zeros_by_sign),
    "signed zeros",
)
known_bad("sort-nan-first", "sorts NaN to the front", "sort", "nan|value", lowering(sort=_nan_first), "special values")
known_bad(
    "searchsorted-always-left",
    "forgets the side",
    "sort",
    "value",
    lowering(searchsorted=lambda a, v, side: np.searchsorted(a, v).astype(np.int64)),
    "ties",
)
known_bad(
    "reshape-in-fortran-order", "reshapes with the first axis fastest", "shape", "value", lowering(reshape=_fortran)
)
known_bad(
    "transpose-inverted",
    "permutes axes the other way round",
    "shape",
    "value|shape",
    lowering(transpose=lambda x, axes: np.transpose(x, np.argsort(axes))),
)
known_bad(
    "concatenate-reversed",
    "joins in reverse",
    "shape",
    "value",
    lowering(concatenate=lambda *xs, axis: np.concatenate(xs[::-1], axis=axis)),
)
known_bad(
    "matmul-in-tf32",
    "multiplies float32 matrices with a short mantissa",
    "linalg",
    "value",
    lowering(matmul=_reduced_precision, einsum=lambda a, b, spec: np.einsum(spec, a, b)),
)
known_bad(
    "einsum-transposed",
    "transposes square results",
    "linalg",
    "value",
    lowering(
        einsum=lambda a, b, spec: (lambda r: r.T if r.ndim == 2 and r.shape[0] == r.shape[1] else r)(
            np.einsum(spec, a, b)
        )
    ),
)
known_bad(
    "arange-inclusive",
    "includes the stop",
    "create",
    "shape|value|error",
    lowering(arange=lambda a, b, c: np.arange(a, b + c, c, dtype=np.asarray(a).dtype)),
)
known_bad(
    "value-not-summed-back",
    "takes the first part of a broadcast cotangent",
    "gradient",
    "value",
    lowering(sum_to=_to_first),
    "broadcast",
)
