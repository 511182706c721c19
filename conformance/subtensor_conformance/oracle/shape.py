"""Rearranging elements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from subtensor_conformance.oracle.nodes import Node, apply, as_node, public, together
from subtensor_conformance.oracle.values import Array, build, stretched


def _lengths(given: Any) -> tuple[list[Node], Any]:
    """The nodes among lengths, and a function from their values to the lengths."""
    items = list(given) if isinstance(given, tuple | list) else [given]
    nodes = [d for d in items if isinstance(d, Node)]

    def dims(values: Sequence[Array]) -> tuple[int, ...]:
        rest = iter(values)
        return tuple(int(next(rest).item()) if isinstance(d, Node) else int(d) for d in items)

    return nodes, dims


@public("reshape")
def reshape(x: Any, shape: Any) -> Node:
    nodes, dims = _lengths(shape)

    def run(x: Array, *values: Array) -> Array:
        wanted = dims(values)
        if -1 in wanted:
            known = math.prod(d for d in wanted if d != -1)
            wanted = tuple(math.prod(x.shape) // known if d == -1 else d for d in wanted)
        if math.prod(wanted) != math.prod(x.shape):
            raise ValueError("another number of elements")
        return Array(x.dtype, wanted, x.data)

    return apply(
        run, (as_node(x), *nodes), ("reshape", tuple(d if isinstance(d, int) else None for d in _items(shape)))
    )


def _items(shape: Any) -> list[Any]:
    return list(shape) if isinstance(shape, tuple | list) else [shape]


@public("flatten", "ravel")
def flatten(x: Any) -> Node:
    return reshape(x, (-1,))


@public("transpose")
def transpose(x: Any, axes: Sequence[int] | None = None) -> Node:
    def run(x: Array) -> Array:
        order = [a % len(x.shape) for a in axes] if axes is not None else list(range(len(x.shape)))[::-1]

        def element(p: tuple[int, ...]) -> Any:
            source = [0] * len(order)
            for to, a in enumerate(order):
                source[a] = p[to]
            return x[source]

        return build(x.dtype, [x.shape[a] for a in order], element)

    return apply(run, (as_node(x),), ("transpose", None if axes is None else tuple(axes)))


@public("expand_dims")
def expand_dims(x: Any, axis: Any) -> Node:
    given = tuple(axis) if isinstance(axis, tuple | list) else (axis,)

    def run(x: Array) -> Array:
        ndim = len(x.shape) + len(given)
        rest = iter(x.shape)
        new = {a % ndim for a in given}
        return Array(x.dtype, tuple(1 if i in new else next(rest) for i in range(ndim)), x.data)

    return apply(run, (as_node(x),), ("expand_dims", given))


@public("squeeze")
def squeeze(x: Any, axis: int) -> Node:
    def run(x: Array) -> Array:
        at = axis % len(x.shape)
        assert x.shape[at] == 1
        return Array(x.dtype, x.shape[:at] + x.shape[at + 1 :], x.data)

    return apply(run, (as_node(x),), ("squeeze", axis))


@public("broadcast_to")
def broadcast_to(x: Any, shape: Any) -> Node:
    nodes, dims = _lengths(shape)
    key = ("broadcast_to", tuple(d if isinstance(d, int) else None for d in _items(shape)))
    return apply(lambda x, *values: stretched(x, dims(values)), (as_node(x), *nodes), key)


@public("concatenate")
def concatenate(arrays: Sequence[Any], axis: int = 0) -> Node:
    def run(*xs: Array) -> Array:
        at = axis % len(xs[0].shape)
        table = [(x, i) for x in xs for i in range(x.shape[at])]
        shape = (*xs[0].shape[:at], len(table), *xs[0].shape[at + 1 :])

        def element(p: tuple[int, ...]) -> Any:
            x, i = table[p[at]]
            return x[(*p[:at], i, *p[at + 1 :])]

        return build(xs[0].dtype, shape, element)

    return together(run, list(arrays), ("concatenate", axis))


@public("stack")
def stack(arrays: Sequence[Any], axis: int = 0) -> Node:
    def run(*xs: Array) -> Array:
        ndim = len(xs[0].shape) + 1
        at = axis % ndim
        shape = (*xs[0].shape[:at], len(xs), *xs[0].shape[at:])
        return build(xs[0].dtype, shape, lambda p: xs[p[at]][(*p[:at], *p[at + 1 :])])

    return together(run, list(arrays), ("stack", axis))


@public("flip")
def flip(x: Any, axis: int) -> Node:
    def run(x: Array) -> Array:
        at = axis % len(x.shape)
        return build(x.dtype, x.shape, lambda p: x[(*p[:at], x.shape[at] - 1 - p[at], *p[at + 1 :])])

    return apply(run, (as_node(x),), ("flip", axis))


@public("roll")
def roll(x: Any, shift: int, axis: int) -> Node:
    def run(x: Array) -> Array:
        at = axis % len(x.shape)
        return build(x.dtype, x.shape, lambda p: x[(*p[:at], (p[at] - shift) % x.shape[at], *p[at + 1 :])])

    return apply(run, (as_node(x),), ("roll", shift, axis))


@public("repeat")
def repeat(x: Any, repeats: Any, axis: int) -> Node:
    def run(x: Array, times: Array) -> Array:
        at = axis % len(x.shape)
        counts = stretched(times, (x.shape[at],)).data
        source = [i for i, c in enumerate(counts) for _ in range(int(c))]
        shape = (*x.shape[:at], len(source), *x.shape[at + 1 :])
        return build(x.dtype, shape, lambda p: x[(*p[:at], source[p[at]], *p[at + 1 :])])

    return apply(run, (as_node(x), as_node(repeats)), ("repeat", axis))


@public("tile")
def tile(x: Any, reps: tuple[int, ...]) -> Node:
    def run(x: Array) -> Array:
        shape = [n * r for n, r in zip(x.shape, reps, strict=True)]
        return build(x.dtype, shape, lambda p: x[[i % n for i, n in zip(p, x.shape, strict=True)]])

    return apply(run, (as_node(x),), ("tile", reps))


@public("diagonal")
def diagonal(x: Any, offset: int = 0) -> Node:
    def run(x: Array) -> Array:
        rows, columns = max(0, -offset), max(0, offset)
        n = max(0, min(x.shape[0] - rows, x.shape[1] - columns))
        return build(x.dtype, (n,), lambda p: x[(p[0] + rows, p[0] + columns)])

    return apply(run, (as_node(x),), ("diagonal", offset))


@public("shape")
def shape(x: Any) -> Node:
    return apply(lambda x: Array("int64", (len(x.shape),), x.shape), (as_node(x),), "shape")


@public("length")
def length(x: Any, axis: int) -> Node:
    return apply(lambda x: Array("int64", (), (x.shape[axis],)), (as_node(x),), ("length", axis))
