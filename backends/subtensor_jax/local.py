"""This process's rows of a table that several processes hold: read and written without the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from subtensor.errors import ArgumentError, DTypeError, ShapeError, ShardingError
from subtensor.graph.cells import Cell
from subtensor.graph.shared import SharedVariable
from subtensor.graph.types import can_cast
from subtensor_jax import placing
from subtensor_jax.backend import MeshBackend, backend_of
from subtensor_jax.meshes import present
from subtensor_jax.placing import Placed

Array = np.ndarray[Any, np.dtype[Any]]


def bring(*variables: SharedVariable) -> None:
    """Bring the values of variables to the mesh that is entered, as the first step would.

    What starts as an expression is computed there, by each device its part. All processes of the mesh do so together.
    Raises ShardingError where no mesh is entered.
    """
    for variable in variables:
        if not isinstance(variable, SharedVariable):
            raise ArgumentError(
                f"bring: {variable!r} is not a shared variable; only they have values that lie somewhere"
            )
        grid = present()
        if grid is None:
            raise ShardingError("bring: no mesh is entered; call it inside of `with subtensor_jax.mesh(...):`")
        with variable.cell.lock:
            variable.cell.move(backend_of(grid))


def rows_here(variable: SharedVariable) -> list[slice]:
    """The rows of which this process has all elements, as slices in order.

    The variable's value lies on a mesh, or is brought to the one that is entered, by all processes together. Raises
    ShardingError where there is none.
    """
    with variable.cell.lock:
        return [slice(low, high) for low, high in placing.here(_placed("rows_here", variable))]


def get_rows(variable: SharedVariable, rows: slice) -> Array:
    """Some rows, a slice of step 1, as a new array. Where all are here, no other process takes part; else all of them
    ask for the same rows. Raises as ``rows_here``; ArgumentError for what is no such slice.
    """
    with variable.cell.lock:
        placed = _placed("get_rows", variable)
        return placing.read_rows(placed, *_range("get_rows", variable, rows))


def set_rows(variable: SharedVariable, rows: slice, value: Any) -> None:
    """Replace some rows, a slice of step 1, which are all here; no other process takes part.

    Raises as ``rows_here``; ShardingError for rows that other processes have, DTypeError and ShapeError for a value
    that does not fit. Nothing is changed then.
    """
    array = np.asarray(value)
    with variable.cell.lock:
        placed = _placed("set_rows", variable)
        start, stop = _range("set_rows", variable, rows)
        if not can_cast(array.dtype.name, variable.dtype, "safe"):
            raise DTypeError(
                f"set_rows: {variable.label} holds {variable.dtype}, got {array.dtype}; convert the value with "
                f".astype('{variable.dtype}') if that is meant"
            )
        expected = (stop - start, *placed.shape[1:])
        if array.shape != expected:
            raise ShapeError(
                f"set_rows: rows {start} to {stop} of {variable.label} have shape {expected}, got {array.shape}"
            )
        near = placing.here(placed)
        if start < stop and not any(low <= start and stop <= high for low, high in near):
            raise ShardingError(
                f"set_rows: rows {start} to {stop} of {variable.label} are not all in this process, which has "
                f"{near}; each process sets its own"
            )
        variable.cell.data = placing.write_rows(placed, start, np.ascontiguousarray(array, variable.dtype))


def _placed(where: str, variable: SharedVariable) -> Placed:
    if not isinstance(variable, SharedVariable):
        raise ArgumentError(f"{where}: {variable!r} is not a shared variable; only they have rows that lie somewhere")
    cell: Cell = variable.cell
    if not variable.ndim:
        raise ShapeError(f"{where}: {variable.label} has no axes, so no rows")
    if not isinstance(cell.home, MeshBackend):
        grid = present()
        if grid is None:
            raise ShardingError(
                f"{where}: {variable.label} lies on no mesh; call this inside of `with subtensor_jax.mesh(...):`, or "
                "after a function that was built there has used it"
            )
        cell.move(backend_of(grid))
    placed: Placed = cell.data
    return placed


def _range(where: str, variable: SharedVariable, rows: Any) -> tuple[int, int]:
    n = variable.cell.shape[0]
    if not isinstance(rows, slice) or rows.step not in (None, 1):
        raise ArgumentError(f"{where}: rows={rows!r}; expected a slice of step 1")
    start, stop, _ = rows.indices(n)
    if rows.stop is not None and rows.stop > n:
        raise ArgumentError(f"{where}: rows={rows!r}; {variable.label} has {n} rows")
    return start, max(start, stop)
