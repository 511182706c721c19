"""Shared variables: leaves whose value lives between calls."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np

from subtensor.errors import DTypeError, ShapeError
from subtensor.graph.cells import Cell, keeper_of, owned
from subtensor.graph.config import config
from subtensor.graph.constants import as_tensor, number_array
from subtensor.graph.nodes import Array, Variable, replace, toposort
from subtensor.graph.roles import Axes, roles
from subtensor.graph.types import TensorType, as_dtype, can_cast, is_float, kind_of


class SharedVariable(Variable):
    """A leaf with a value that functions read and update. Made by ``subtensor.shared``."""

    __slots__ = ("_default_update", "beside", "cell")

    cell: Cell
    beside: SharedVariable | None
    """The table whose rows this variable has a row for each of, where it has: the state of an optimizer."""

    def __init__(self, type: TensorType, value: Array | Cell, name: str | None) -> None:
        super().__init__(type, name=name)
        cell = value if isinstance(value, Cell) else Cell(value)
        object.__setattr__(self, "cell", cell)
        self._default_update: Variable | None = None
        object.__setattr__(self, "beside", None)

    @property
    def axes(self) -> Axes:
        """The roles of its axes, None where they have none: see ``shared``."""
        return self.cell.axes

    @property
    def default_update(self) -> Variable | None:
        """The new value that each function that reads the variable gives it, unless it has another update for it.

        None, which can be set too, where there is none; numbers become constants. Functions look when they are built.
        """
        return self._default_update

    @default_update.setter
    def default_update(self, value: Any) -> None:
        if value is not None and not isinstance(value, Variable):
            value = as_tensor(value, dtype=self.dtype)
        self._default_update = value

    def get_value(self, borrow: bool = False, return_internal_type: bool = False) -> Any:
        """The value: a NumPy copy that belongs to the caller.

        With `borrow`, the array that holds the value where the backend keeps NumPy arrays: no copy is made, and later
        steps may change it in place. Backends with arrays of their own always make a copy. With
        `return_internal_type`, an array of the backend that last wrote the value: a copy of it, or, with `borrow`, the
        one that holds the value, which a later step may change or delete.
        """
        cell = self.cell
        with cell.lock:
            value = cell.read() if not return_internal_type or cell.start is not None else cell.data
            if return_internal_type and cell.home is not None:
                return cell.data if borrow else copy.deepcopy(cell.data)
            if borrow and isinstance(cell.data, np.ndarray):
                return cell.data
            return value if borrow or not cell.is_numpy else np.array(value)

    def set_value(self, value: Any, borrow: bool = False) -> None:
        """Replace the value. Its dtype must convert safely, its shape must fit the static one; else nothing changes.

        With `borrow`, the array is handed over, as in ``shared``. A value that lies in a file stays there, and is
        written: with `borrow`, too, where the file belongs to a store. Raises DTypeError and ShapeError; StoreError
        where the value lies in a file and would change its shape.
        """
        array = self.accepted(value, "set_value")
        array = owned(value, array, borrow, f"set_value: {self.label}")
        with self.cell.lock:
            self.cell.set(array, borrow=borrow)

    def accepted(self, value: Any, where: str) -> Array:
        """`value` as an array of the variable's type. Raises DTypeError and ShapeError."""
        what = f"{where}: {self.label}"
        array = number_array(value, what)
        if array.dtype != self.dtype:
            if not (can_cast(array.dtype.name, self.dtype, "safe") or _lossless(value, array, self.dtype)):
                raise DTypeError(
                    f"{what} holds {self.dtype}, got {array.dtype}; convert the value with .astype('{self.dtype}') "
                    "if that is meant"
                )
            array = array.astype(self.dtype)
        check_static_shape(what, array.shape, self.type.shape)
        return array

    def __copy__(self) -> SharedVariable:
        """A new variable of the same name and type, with a copy of the value. What reads this one goes on doing so."""
        made = SharedVariable(self.type, Cell(np.asarray(self.get_value(), order="C"), axes=self.axes), self.name)
        made._place = self._place
        if self._default_update is not None:
            (made._default_update,) = replace([self._default_update], {self: made})
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> SharedVariable:
        if id(self) not in memo:
            memo[id(self)] = self.__copy__()
        made: SharedVariable = memo[id(self)]
        return made

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(
            f"pickle: {self.label} is a shared variable, which lives in one process; write its value with st.save and "
            "read it with st.load, or pickle what get_value() gives"
        )

    def __repr__(self) -> str:
        return f"<shared {self.name or 'variable'}: {self.type}>"


def _lossless(value: Any, array: Array, dtype: str) -> bool:
    """Whether Python numbers go into `dtype`: any into floats, integers that fit into integers."""
    if isinstance(value, np.ndarray | np.generic):
        return False
    if array.dtype.kind in "bui" and np.dtype(dtype).kind in "ui":
        return bool((array.astype(dtype) == array).all())
    return is_float(dtype) and kind_of(array.dtype) in "buif"


def check_static_shape(what: str, got: tuple[int, ...], static: Sequence[int | None]) -> None:
    """Raises ShapeError where a value's shape does not fit a static one."""
    if len(got) != len(static) or any(s is not None and s != g for s, g in zip(static, got, strict=True)):
        spelled = ", ".join("?" if s is None else str(s) for s in static) + ("," if len(static) == 1 else "")
        raise ShapeError(
            f"{what} has shape ({spelled}), got a value of shape {got}; expected equal lengths where they are given"
        )


def shared(
    value: Any,
    name: str | None = None,
    borrow: bool = False,
    shape: Sequence[int | None] | None = None,
    dtype: Any = None,
    axes: Any = None,
) -> SharedVariable:
    """``subtensor.shared``, for values."""
    if dtype is None and type(value) is float:
        dtype = config.floatX
    array = number_array(value, "shared", None if dtype is None else as_dtype(dtype))
    array = array.astype(as_dtype(array.dtype), copy=False)
    static = array.shape if shape is None else tuple(shape)
    what = f"shared: {name or 'the variable'}"
    check_static_shape(what, array.shape, static)
    array = owned(value, array, borrow, what)
    cell = Cell(array, keeper=keeper_of(array), axes=roles(what, axes, static, open_lengths=False))
    return SharedVariable(TensorType(array.dtype.name, static), cell, name)


def default_updates(
    expressions: Iterable[Variable], without: Collection[SharedVariable]
) -> list[tuple[SharedVariable, Variable]]:
    """The default updates of all shared variables that `expressions` read, or that these updates read in turn, but for
    those `without`.
    """
    found: dict[SharedVariable, Variable] = {}
    search = list(expressions)
    while search:
        read = [v for v in toposort(search) if isinstance(v, SharedVariable) and v not in without and v not in found]
        new = {s: s.default_update for s in read if s.default_update is not None}
        found.update(new)
        search = list(new.values())
    return list(found.items())
