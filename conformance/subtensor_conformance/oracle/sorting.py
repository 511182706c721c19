"""Sorting and searching."""

from __future__ import annotations

from typing import Any

from subtensor_conformance.oracle.nodes import Node, apply, as_node, public, together
from subtensor_conformance.oracle.reduce import lines
from subtensor_conformance.oracle.values import Array, Number


def _order(items: list[Number]) -> list[int]:
    """Positions in ascending order of value, NaN last, ties in order of position: insertion sort."""
    order: list[int] = []
    for i, v in enumerate(items):
        at = len(order)
        while at and _before(v, items[order[at - 1]]):
            at -= 1
        order.insert(at, i)
    return order


def _before(a: Number, b: Number) -> bool:
    return a < b or (b != b and a == a)


@public("argsort")
def argsort(x: Any, axis: int = -1) -> Node:
    return apply(lambda x: lines(x, axis, "int64", lambda v: list(_order(v))), (as_node(x),), ("argsort", axis))


@public("sort")
def sort(x: Any, axis: int = -1) -> Node:
    def along(items: list[Number]) -> list[Number]:
        return [items[i] for i in _order(items)]

    return apply(lambda x: lines(x, axis, x.dtype, along), (as_node(x),), ("sort", axis))


@public("searchsorted")
def searchsorted(a: Any, v: Any, side: str = "left") -> Node:
    def run(a: Array, v: Array) -> Array:
        def place(value: Number) -> int:
            if side == "left":
                return sum(_before(x, value) for x in a.data)
            return sum(not _before(value, x) for x in a.data)

        return Array("int64", v.shape, tuple(place(value) for value in v.data))

    return together(run, (a, v), ("searchsorted", side))
