"""Sorting and searching."""

from __future__ import annotations

from functools import cmp_to_key
from typing import Any

from subtensor_conformance.oracle.nodes import Node, apply, as_node, public, together
from subtensor_conformance.oracle.reduce import lines
from subtensor_conformance.oracle.values import Array, Number


def _order(items: list[Number]) -> list[int]:
    """Positions in ascending order of value, NaN last, ties in order of position."""

    def compare(i: int, k: int) -> int:
        return -1 if _before(items[i], items[k]) else 1 if _before(items[k], items[i]) else i - k

    return sorted(range(len(items)), key=cmp_to_key(compare))


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
            low, high = 0, len(a.data)
            while low < high:
                middle = (low + high) // 2
                x = a.data[middle]
                if _before(x, value) if side == "left" else not _before(value, x):
                    low = middle + 1
                else:
                    high = middle
            return low

        return Array("int64", v.shape, tuple(place(value) for value in v.data))

    return together(run, (a, v), ("searchsorted", side))
