"""Tables that get more rows while they are trained, and the state beside them with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, TypeAlias

import numpy as np

from subtensor.errors import OptimizerError, ShapeError, StoreError
from subtensor.graph.cells import replace_values
from subtensor.graph.constants import constant
from subtensor.graph.nodes import Array, Variable
from subtensor.graph.shared import SharedVariable
from subtensor.starting import FromExpression

Start: TypeAlias = Callable[[Variable], Variable]


def grow(
    table: SharedVariable,
    rows: Any,
    state: Sequence[SharedVariable],
    starts: Mapping[SharedVariable, Start],
    lasts: Mapping[SharedVariable, SharedVariable],
) -> None:
    """``Updates.grow``. state: what lies beside `table`. starts: of state that does not start at zero, how it does.

    lasts: of state that says how many steps each row has had, the variable that says how many there were.
    """
    what = f"grow: {table.label}"
    if not table.ndim or table.type.shape[0] is not None:
        open_shape = ", ".join(["None", *map(str, table.type.shape[1:])]) + ("" if table.ndim > 1 else ",")
        raise ShapeError(
            f"{what} is {table.type}, of a fixed number of rows; make it with st.shared(value, shape=({open_shape}))"
        )
    variables = [table, *state]
    with ExitStack() as held:
        for v in sorted({*variables, *lasts.values()}, key=lambda v: v.cell.number):
            held.enter_context(v.cell.lock)
        for v in variables:
            if v.cell.keeper is not None:
                raise StoreError(f"grow: {v.label} lies in {v.cell.keeper.where}; make it longer with Store.grow")
        old = table.cell.read()
        new = table.accepted(rows, "grow") if np.size(rows) else np.zeros((0, *old.shape[1:]), old.dtype)
        if new.shape[1:] != old.shape[1:]:
            raise ShapeError(
                f"{what} has rows of shape {old.shape[1:]}, got rows of shape {new.shape[1:]}; expected equal"
            )
        values = [np.concatenate([old, new])]
        for v in state:
            have = v.cell.read()
            if len(have) > len(values[0]):
                raise ShapeError(
                    f"grow: {v.label} has {len(have)} rows, {table.label} gets {len(values[0])}; expected equal"
                )
            fill = _first(v, values[0][len(have) :], have, starts.get(v), lasts.get(v))
            values.append(np.concatenate([have, fill]))
        replace_values([v.cell for v in variables], values)


def _first(v: SharedVariable, rows: Array, have: Array, start: Start | None, steps: SharedVariable | None) -> Array:
    """The first values of state beside new rows."""
    if start is not None and len(rows):
        made: Array = FromExpression(start(constant(rows)), ()).make(None)
        return made.astype(v.dtype, copy=False)
    fill = np.zeros((len(rows), *have.shape[1:]), have.dtype)
    if steps is not None:  # rows that are new have missed nothing
        fill[...] = steps.cell.read()
    return fill


def of_table(parameters: Sequence[SharedVariable], table: Any, where: str = "grow") -> SharedVariable:
    """`table`, if it is among `parameters`; else OptimizerError."""
    if not any(table is p for p in parameters):
        known = ", ".join(p.label for p in parameters)
        raise OptimizerError(f"{where}: got {table!r}; expected one of the tables that the updates train: {known}")
    found: SharedVariable = table
    return found
