"""Positions in a flattened tensor, and positions axis by axis. Whether they are in range is not looked at."""

from __future__ import annotations

from collections.abc import Sequence

from subtensor.graph.nodes import Variable, call


def unraveled(flat: Variable, sizes: Sequence[Variable]) -> list[Variable]:
    """Positions axis by axis of positions in a flattened tensor, in C order.

    One that is out of range gives one that is out of range along the slowest axis, or wraps around there.
    """
    found = []
    for d in reversed(sizes[1:]):
        safe = call("maximum", d, 1)
        found.append(flat % safe)
        flat = flat // safe
    return [flat, *reversed(found)]


def raveled(positions: Sequence[Variable], sizes: Sequence[Variable]) -> Variable:
    """Positions in a flattened tensor, in C order, of positions axis by axis."""
    flat = positions[0]
    for position, d in zip(positions[1:], sizes[1:], strict=True):
        flat = flat * d + position
    return flat
