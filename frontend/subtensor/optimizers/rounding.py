"""How new rows get the dtype of their table."""

from __future__ import annotations

from subtensor.graph.nodes import Variable, call
from subtensor.graph.types import HALVES, INDEX
from subtensor.ops.elementwise import cast
from subtensor.ops.shape import lengths
from subtensor.optimizers.places import Place, RowPlace
from subtensor.random.draws import unit
from subtensor.random.rounding import rounded_by


def rounded(place: Place, value: Variable, key: Variable | None) -> Variable:
    """New rows in the dtype of their table: the nearest numbers, or, with a key, up or down at random."""
    dtype = place.shared.dtype
    if key is None or dtype not in HALVES:
        return cast(value, dtype)
    u = unit(key, lengths(value), "float32")
    runs = place.joined.runs if isinstance(place, RowPlace) else None
    if runs is not None:  # where a row is listed more than once, all its places are rounded alike
        u = u[call("cumsum", cast(runs.firsts, INDEX), 0) - 1]
    return rounded_by(u, value, dtype)
