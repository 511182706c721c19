"""Reading and writing subsets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from subtensor_conformance.oracle import nodes
from subtensor_conformance.oracle.index import Selection, select
from subtensor_conformance.oracle.nodes import FUNCTIONS, Node, apply, as_node, cast, public
from subtensor_conformance.oracle.sequences import Overlay, is_long
from subtensor_conformance.oracle.values import Array, into, stretched

_spelled: dict[Node, tuple[Node, Any, list[Node]]] = {}
"""For each ``x[key]``: x, the key with numbers in place of nodes, and the nodes."""


def _template(key: Any) -> tuple[Any, list[Node]]:
    """The key over the values of nodes: a tree in which ``("node", i)`` stands for the i-th."""
    found: list[Node] = []

    def node(value: Any) -> tuple[str, int]:
        found.append(value)
        return ("node", len(found) - 1)

    def bound(value: Any) -> Any:
        return node(value) if isinstance(value, Node) else value

    entries: list[Any] = []
    for entry in key if isinstance(key, tuple) else (key,):
        if isinstance(entry, slice):
            entries.append(("slice", bound(entry.start), bound(entry.stop), bound(entry.step)))
        elif entry is None or entry is Ellipsis:
            entries.append(entry)
        elif isinstance(entry, list) and not entry:
            entries.append(node(FUNCTIONS["constant"](entry, dtype="int64")))
        else:
            entries.append(node(as_node(entry)))
    return tuple(entries), found


def _filled(template: Any, arrays: tuple[Array, ...]) -> list[Any]:
    def value(part: Any) -> Any:
        return int(arrays[part[1]].item()) if isinstance(part, tuple) else part

    key: list[Any] = []
    for part in template:
        if isinstance(part, tuple) and part[0] == "slice":
            key.append(slice(*(value(b) for b in part[1:])))
        elif isinstance(part, tuple):
            key.append(arrays[part[1]])
        else:
            key.append(part)
    return key


@lru_cache(maxsize=64)
def _chosen(shape: tuple[int, ...], template: Any, arrays: tuple[Array, ...]) -> Selection:
    return select(shape, _filled(template, arrays))


def spelled(node: Node) -> tuple[Node, Any, list[Node]]:
    """For ``x[key]``: x, the key, and the nodes in it."""
    return _spelled[node]


def leading(node: Node) -> int:
    """How many leading axes an ``x[key]`` that selects rows has arrays or numbers for; at least 1."""
    return max(1, sum(1 for p in _spelled[node][1] if isinstance(p, tuple) and p[0] == "node"))


def places(node: Node, shape: tuple[int, ...], value: Mapping[Node, Array]) -> tuple[int, ...]:
    """For each element of ``x[key]``, its flat position in x, of the given shape; value: of the nodes in the key."""
    _, template, parts = _spelled[node]
    return _chosen(shape, template, tuple(value[p] for p in parts)).places


@public("getitem")
def getitem(x: Node, key: Any) -> Node:
    template, parts = _template(key)

    def get(x: Array, *arrays: Array) -> Array:
        chosen = _chosen(x.shape, template, arrays)
        return Array(x.dtype, chosen.shape, tuple(x.data[p] for p in chosen.places))

    node = apply(get, (x, *parts), ("get", template))
    _spelled[node] = (x, template, parts)
    return node


Change = Callable[[Any, int, Any, str], None]


def _set(data: Any, place: int, value: Any, dtype: str) -> None:
    data[place] = value


def _inc(data: Any, place: int, value: Any, dtype: str) -> None:
    data[place] = into(dtype, (data[place] or value) if dtype == "bool" else data[place] + value)


def _write(change: Change, target: Node, value: Any) -> Node:
    x, template, parts = _spelled[target]
    y = as_node(value)

    def written(x: Array, y: Array, *arrays: Array) -> Array:
        chosen = _chosen(x.shape, template, arrays)
        y = _fitted(cast(y, x.dtype), chosen)
        long = is_long(x.data)
        data: Any = Overlay(x.data) if long else list(x.data)
        if change is _inc and x.dtype in ("float16", "bfloat16"):  # added up before it is rounded
            for place, element in zip(chosen.places, y.data, strict=True):
                data[place] = data[place] + element
            for place in set(chosen.places):
                data[place] = into(x.dtype, data[place])
            return Array(x.dtype, x.shape, data if long else tuple(data))
        for place, element in zip(chosen.places, y.data, strict=True):
            change(data, place, element, x.dtype)
        return Array(x.dtype, x.shape, data if long else tuple(data))

    return apply(written, (x, y, *parts), (change.__name__, template))


def _fitted(y: Array, chosen: Selection) -> Array:
    while len(y.shape) > len(chosen.shape) and y.shape[0] == 1:
        y = Array(y.dtype, y.shape[1:], y.data)
    return stretched(y, chosen.shape)


@public("set_subtensor", "set")
def set_subtensor(target: Node, value: Any) -> Node:
    return _write(_set, target, value)


@public("inc_subtensor", "inc")
def inc_subtensor(target: Node, value: Any, ignore_duplicates: bool = False) -> Node:
    if ignore_duplicates:
        return _write(_set, target, FUNCTIONS["add"](target, value))
    return _write(_inc, target, value)


@public("take")
def take(x: Node, indices: Any, axis: int | None = None) -> Node:
    if axis is None:
        x, axis = FUNCTIONS["reshape"](x, (-1,)), 0
    return getitem(x, (*([slice(None)] * axis), as_node(indices)))


@public("flatnonzero")
def flatnonzero(x: Any) -> Node:
    def run(x: Array) -> Array:
        found = [i for i, v in enumerate(x.data) if v]
        return Array("int64", (len(found),), tuple(found))

    return apply(run, (as_node(x),), "flatnonzero")


def forget() -> None:
    """Drop all nodes: those of one case are of no use to the next."""
    _spelled.clear()
    nodes.forget()
