"""Reductions and scans: one element after another."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from subtensor_conformance.oracle.nodes import FUNCTIONS, Node, apply, as_float, as_node, cast, public
from subtensor_conformance.oracle.values import Array, Number, build, into, is_float, positions, total_of


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    given = axis if isinstance(axis, tuple | list) else (axis,)
    return tuple(sorted(a % ndim for a in given))


def fold(x: Array, axis: Any, dtype: str, function: Callable[[list[Number]], Number]) -> Array:
    """`function` of the elements along axes, in C order."""
    axes = axes_of(axis, len(x.shape))
    rest = [i for i in range(len(x.shape)) if i not in axes]

    def element(p: tuple[int, ...]) -> Number:
        found = []
        for q in positions([x.shape[a] for a in axes]):
            where = dict(zip(rest, p, strict=True)) | dict(zip(axes, q, strict=True))
            found.append(x[[where[i] for i in range(len(x.shape))]])
        return function(found)

    return build(dtype, [x.shape[i] for i in rest], element)


def _kept(x: Array, result: Array, axis: Any, keepdims: bool) -> Array:
    if not keepdims:
        return result
    axes = axes_of(axis, len(x.shape))
    return Array(result.dtype, tuple(1 if i in axes else n for i, n in enumerate(x.shape)), result.data)


def _running(dtype: str, start: Number, step: Callable[[Any, Any], Any]) -> Callable[[list[Number]], Number]:
    def run(items: list[Number]) -> Number:
        total: Number = start
        for v in items:
            total = into(dtype, step(total, v))
        return total

    return run


def _reduction(name: str, function: Callable[[Array, Any], Array]) -> None:
    def call(x: Any, axis: Any = None, dtype: str | None = None, keepdims: bool = False) -> Node:
        def run(x: Array) -> Array:
            if dtype is not None:
                x = cast(x, dtype)
            return _kept(x, function(x, axis), axis, keepdims)

        return apply(run, (as_node(x),), (name, repr(axis), dtype, keepdims))

    FUNCTIONS[name] = call


def _sum(x: Array, axis: Any) -> Array:
    dtype = total_of(x.dtype)
    if is_float(dtype):
        return fold(x, axis, dtype, lambda items: _fsum(items))
    return fold(x, axis, dtype, _running(dtype, 0, lambda a, b: a + b))


def _fsum(items: list[Number]) -> float:
    """The exact sum, rounded once."""
    if all(map(math.isfinite, items)):
        return math.fsum(items)
    total = 0.0
    for v in items:
        total += v
    return total


def _prod(x: Array, axis: Any) -> Array:
    dtype = total_of(x.dtype)
    return fold(x, axis, dtype, _running(dtype, 1.0 if is_float(dtype) else 1, lambda a, b: a * b))


def _best(better: Callable[[Any, Any], bool]) -> Callable[[list[Number]], Number]:
    def run(items: list[Number]) -> Number:
        return items[_best_at(better)(items)]

    return run


def _best_at(better: Callable[[Any, Any], bool]) -> Callable[[list[Number]], int]:
    """The first position that no other beats; NaN beats all."""

    def run(items: list[Number]) -> int:
        at = 0
        for i, v in enumerate(items):
            if items[at] == items[at] and (v != v or better(v, items[at])):
                at = i
        return at

    return run


_reduction("sum", _sum)
_reduction("prod", _prod)
_reduction("max", lambda x, axis: fold(x, axis, x.dtype, _best(lambda a, b: a > b)))
_reduction("min", lambda x, axis: fold(x, axis, x.dtype, _best(lambda a, b: a < b)))
_reduction("all", lambda x, axis: fold(x, axis, "bool", all))
_reduction("any", lambda x, axis: fold(x, axis, "bool", any))
_reduction("mean", lambda x, axis: fold(as_float(x), axis, as_float(x).dtype, lambda v: _ratio(_fsum(v), len(v))))


def _ratio(a: float, n: int) -> float:
    return a / n if n else math.nan


def _variance(items: list[Number]) -> float:
    mean = _ratio(_fsum(items), len(items))
    return _ratio(_fsum([(v - mean) ** 2 for v in items]), len(items))


def _logsumexp(items: list[Number]) -> float:
    top = max(items, default=-math.inf)
    if any(v != v for v in items):
        return math.nan
    return float(top) if math.isinf(top) else top + math.log(_fsum([math.exp(v - top) for v in items]))


_reduction("var", lambda x, axis: fold(as_float(x), axis, as_float(x).dtype, _variance))
_reduction("std", lambda x, axis: fold(as_float(x), axis, as_float(x).dtype, lambda v: math.sqrt(_variance(v))))
_reduction("logsumexp", lambda x, axis: fold(as_float(x), axis, as_float(x).dtype, _logsumexp))


def _arg(name: str, better: Callable[[Any, Any], bool]) -> None:
    def call(x: Any, axis: int | None = None) -> Node:
        return apply(lambda x: fold(x, axis, "int64", _best_at(better)), (as_node(x),), (name, axis))

    FUNCTIONS[name] = call


_arg("argmax", lambda a, b: a > b)
_arg("argmin", lambda a, b: a < b)


def lines(x: Array, axis: int, dtype: str, function: Callable[[list[Number]], list[Number]]) -> Array:
    """`function` of each line along an axis, which keeps its length."""
    axis %= len(x.shape)
    found: dict[tuple[int, ...], list[Number]] = {}
    for p in positions(x.shape[:axis] + x.shape[axis + 1 :]):
        found[p] = function([x[(*p[:axis], i, *p[axis:])] for i in range(x.shape[axis])])
    return build(dtype, x.shape, lambda p: found[p[:axis] + p[axis + 1 :]][p[axis]])


def _scan(name: str, step: Callable[[Any, Any], Any]) -> None:
    def call(x: Any, axis: int | None = None) -> Node:
        node = as_node(x)
        if axis is None:
            node = FUNCTIONS["reshape"](node, (-1,))

        def run(x: Array) -> Array:
            dtype = total_of(x.dtype)

            def along(items: list[Number]) -> list[Number]:
                result: list[Number] = []
                for v in items:
                    result.append(into(dtype, step(result[-1], v) if result else v))
                return result

            return lines(x, axis or 0, dtype, along)

        return apply(run, (node,), (name, axis))

    FUNCTIONS[name] = call


_scan("cumsum", lambda a, b: a + b)
_scan("cumprod", lambda a, b: a * b)


@public("softmax")
def softmax(x: Any, axis: int = -1) -> Node:
    def along(items: list[Number]) -> list[Number]:
        top = max(items)
        weights = [math.exp(v - top) for v in items]
        return [w / math.fsum(weights) for w in weights]

    return apply(lambda x: lines(x, axis, x.dtype, along), (as_node(x),), ("softmax", axis))


@public("log_softmax")
def log_softmax(x: Any, axis: int = -1) -> Node:
    def along(items: list[Number]) -> list[Number]:
        total = _logsumexp(items)
        return [v - total for v in items]

    return apply(lambda x: lines(x, axis, x.dtype, along), (as_node(x),), ("log_softmax", axis))
