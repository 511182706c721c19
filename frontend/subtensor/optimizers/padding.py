"""Rows that no step moves: padding, and what is held fixed, by numbers, by a range or by a mask."""

from __future__ import annotations

from typing import Any

import numpy as np

from subtensor.errors import BoundsError, OptimizerError, ShapeError
from subtensor.graph.constants import constant
from subtensor.graph.nodes import Variable, call
from subtensor.graph.shared import SharedVariable
from subtensor.ops.shape import length
from subtensor.optimizers.places import Place, RowPlace


def held(where: str, place: Place, given: Any) -> Variable:
    """Which of the rows that a place reads are held fixed: bool, (S,).

    given: a row number, several, a slice without step, or a mask of bools with an element for each row (an array, or a
    node, which may be a shared variable). Raises BoundsError, ShapeError and OptimizerError.
    """
    table = place.shared
    what = f"{where}: padding of {table.label}"
    if place.lead != 1 or place.state_lead != 1:
        raise OptimizerError(f"{what}: expected a table whose rows are numbered along one axis, and are trained by it")
    keys = place.keys[0] if isinstance(place, RowPlace) else call("arange", length(table, 0))
    size = table.cell.shape[0]
    if isinstance(given, slice):
        if given.step not in (None, 1):
            raise OptimizerError(f"{what} is {given}; expected a slice without a step")
        start, stop, _ = given.indices(size)
        above = keys >= start
        return above if given.stop is None else above & (keys < stop)
    if isinstance(given, Variable):
        if given.dtype != "bool" or given.ndim != 1:
            raise OptimizerError(f"{what} is {given.type}; expected a vector of bools, or numbers of rows")
        return given[keys]
    numbers = np.asarray(given)
    if numbers.dtype == bool:
        if numbers.shape != (size,):
            raise ShapeError(f"{what} is a mask of shape {numbers.shape}; expected ({size},), one for each row")
        return constant(numbers)[keys]
    if numbers.dtype.kind not in "iu" or not numbers.size:
        raise OptimizerError(f"{what} is {given!r}; expected a row number, several, a slice or a mask")
    return _among(what, table, keys, numbers.ravel())


def _among(what: str, table: SharedVariable, keys: Variable, numbers: Any) -> Variable:
    size = table.cell.shape[0]
    wrong = numbers[(numbers >= size) | (numbers < -size)]
    if wrong.size:
        raise BoundsError(
            f"{what}: row {wrong[0]} is out of bounds for {table.label}, which has {size} rows; "
            f"expected {-size} to {size - 1}"
        )
    rows = constant(np.unique(np.where(numbers < 0, numbers + size, numbers)).astype("int64"))
    if rows.type.shape == (1,):
        return call("equal", keys, rows[0])
    place = call("minimum", call("searchsorted", rows, keys), length(rows, 0) - 1)
    return call("equal", rows[place], keys)
