"""What an index expression selects, element by element, after NumPy's manual."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from subtensor_conformance.oracle.values import Array, Shape, broadcast, positions, ravel, stretched


class OutOfBounds(Exception):
    """A position lies outside its axis."""


@dataclass(frozen=True, slots=True)
class Selection:
    """shape: of ``x[key]``. places: for each of its elements, in C order, the flat position in x."""

    shape: Shape
    places: tuple[int, ...]


def select(shape: Shape, key: Sequence[Any]) -> Selection:
    """key: slices with ints, None, Ellipsis, and Arrays (integer positions or masks); every int is a 0-d Array."""
    entries = _without_masks(key)
    used = sum(e is not None and e is not Ellipsis for e in entries)
    at = entries.index(Ellipsis) if Ellipsis in entries else len(entries)
    entries[at : at + 1] = [slice(None)] * (len(shape) - used)

    block = broadcast(*(e.shape for e in entries if isinstance(e, Array)))
    result: list[int] = []  # lengths of the result's axes
    order = ["a" if isinstance(e, Array) else "." for e in entries]
    first = order.index("a") if "a" in order else 0
    together = "a" not in order or order[first:].index("a") + order.count("a") == "".join(order[first:]).rindex("a") + 1
    block_at = None
    if not together:
        block_at = 0
        result.extend(block)
    plan: list[Any] = []
    axis = 0
    for entry in entries:
        if entry is None:
            result.append(1)
        elif isinstance(entry, slice):
            chosen = range(*entry.indices(shape[axis]))
            plan.append(("s", len(result), chosen))
            result.append(len(chosen))
            axis += 1
        else:
            if block_at is None:
                block_at = len(result)
                result.extend(block)
            wide = stretched(_wrapped(entry, shape[axis]), block)
            plan.append(("a", 0, wide))
            axis += 1
    begin = block_at or 0
    places = []
    for p in itertools.product(*(range(n) for n in result)):
        source = []
        for kind, where, values in plan:
            if kind == "s":
                source.append(values[p[where]])
            else:
                source.append(int(values[p[begin : begin + len(block)]]))
        places.append(ravel(source, shape))
    return Selection(tuple(result), tuple(places))


def _without_masks(key: Sequence[Any]) -> list[Any]:
    entries: list[Any] = []
    for entry in key:
        if isinstance(entry, Array) and entry.dtype == "bool":
            chosen = [p for p in positions(entry.shape) if entry[p]]
            entries.extend(
                Array("int64", (len(chosen),), tuple(p[axis] for p in chosen)) for axis in range(len(entry.shape))
            )
        else:
            entries.append(entry)
    return entries


def _wrapped(ids: Array, n: int) -> Array:
    data = []
    for v in ids.data:
        i = int(v)
        if not -n <= i < n:
            raise OutOfBounds(f"{i} for an axis of length {n}")
        data.append(i + n if i < 0 else i)
    return Array("int64", ids.shape, tuple(data))
