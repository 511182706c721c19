"""Arrays from lengths and values."""

from __future__ import annotations

from typing import Any

from subtensor_conformance.oracle.nodes import FUNCTIONS, Node, apply, as_node, public, together
from subtensor_conformance.oracle.values import Array, build, into, is_float


@public("arange")
def arange(start: Any, stop: Any = None, step: Any = 1, dtype: str | None = None) -> Node:
    if stop is None:
        start, stop = 0, start

    def run(start: Array, stop: Array, step: Array) -> Array:
        kind = dtype or (start.dtype if is_float(start.dtype) else "int64")
        first, last, by = (into(kind, v.item()) for v in (start, stop, step))
        data = []
        k = 0
        while (first + k * by < last) if by > 0 else (first + k * by > last):
            data.append(into(kind, first + k * by))
            k += 1
        return Array(kind, (len(data),), tuple(data))

    return together(run, (start, stop, step), ("arange", dtype))


@public("full")
def full(shape: Any, value: Any, dtype: str | None = None) -> Node:
    node: Node = FUNCTIONS["broadcast_to"](FUNCTIONS["cast"](value, dtype) if dtype else value, shape)
    return node


@public("zeros")
def zeros(shape: Any, dtype: str = "float64") -> Node:
    return full(shape, FUNCTIONS["constant"](0, dtype=dtype))


@public("ones")
def ones(shape: Any, dtype: str = "float64") -> Node:
    return full(shape, FUNCTIONS["constant"](1, dtype=dtype))


def _like(value: int) -> Any:
    def call(x: Any, dtype: str | None = None) -> Node:
        def run(x: Array) -> Array:
            kind = dtype or x.dtype
            return Array(kind, x.shape, (into(kind, value),) * len(x.data))

        return apply(run, (as_node(x),), ("like", value, dtype))

    return call


FUNCTIONS["zeros_like"] = _like(0)
FUNCTIONS["ones_like"] = _like(1)


@public("eye")
def eye(n: Any, m: Any = None, k: int = 0, dtype: str = "float64") -> Node:
    def run(n: Array, m: Array) -> Array:
        dims = (int(n.item()), int(m.item()))
        return build(dtype, dims, lambda p: into(dtype, 1 if p[1] - p[0] == k else 0))

    return apply(run, (as_node(n), as_node(n if m is None else m)), ("eye", k, dtype))


@public("one_hot")
def one_hot(x: Any, n: int) -> Node:
    def run(x: Array) -> Array:
        places = [int(v) + n if v < 0 else int(v) for v in x.data]
        return Array("float64", (*x.shape, n), tuple(float(p == k) for p in places for k in range(n)))

    return apply(run, (as_node(x),), ("one_hot", n))


@public("tril")
def tril(x: Any, k: int = 0) -> Node:
    return apply(
        lambda x: build(x.dtype, x.shape, lambda p: x[p] if p[-1] - p[-2] <= k else 0), (as_node(x),), ("tril", k)
    )


@public("triu")
def triu(x: Any, k: int = 0) -> Node:
    return apply(
        lambda x: build(x.dtype, x.shape, lambda p: x[p] if p[-1] - p[-2] >= k else 0), (as_node(x),), ("triu", k)
    )
