"""Shared variables: leaves whose value lives between calls."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from itertools import count, repeat
from typing import Any, Protocol

import numpy as np

from subtensor.errors import DTypeError, ShapeError
from subtensor.graph.config import config
from subtensor.graph.constants import as_tensor, number_array
from subtensor.graph.nodes import Array, Variable, replace, toposort
from subtensor.graph.types import TensorType, as_dtype, can_cast

_numbers = count()


class Home(Protocol):
    """Where a value may lie: a backend, as far as a cell needs to know it."""

    def from_numpy(self, value: Array) -> Any:
        """A new array of the backend's own."""

    def to_numpy(self, array: Any) -> Array:
        """A new NumPy array."""


class Cell:
    """Where a shared variable's value lies: ``data``, an array of the backend `home` (None: a NumPy array).

    lock: held by every call that reads or updates the variable. number: the order in which locks are taken.
    """

    __slots__ = ("data", "home", "lock", "number")

    def __init__(self, data: Any) -> None:
        self.data = data
        self.home: Home | None = None
        self.lock = threading.RLock()
        self.number = next(_numbers)

    def move(self, home: Home) -> None:
        """Bring the value to a backend, unless it is there. The caller holds the lock."""
        if self.home is home:
            return
        value = self.data if self.home is None else self.home.to_numpy(self.data)
        self.put(home.from_numpy(value), home)

    def put(self, data: Any, home: Home | None) -> None:
        """Give the cell another array and its home as one step, which a KeyboardInterrupt cannot divide."""
        deque(map(setattr, repeat(self), ("data", "home"), (data, home)), 0)

    def read(self) -> Array:
        """The value as a NumPy array: a copy, unless it lies in NumPy form."""
        return self.data if self.home is None else self.home.to_numpy(self.data)


class SharedVariable(Variable):
    """A leaf with a value that functions read and update. Made by ``shared``."""

    __slots__ = ("_default_update", "cell")

    def __init__(self, type: TensorType, value: Array, name: str | None) -> None:
        super().__init__(type, name=name)
        self.cell = Cell(value)
        self._default_update: Variable | None = None

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
        steps may change it in place. Backends with arrays of their own always make a copy.
        """
        with self.cell.lock:
            if return_internal_type and self.cell.home is not None:
                return self.cell.data
            home = self.cell.home
            if home is None:
                value = self.cell.data
            else:
                value = self.cell.data if isinstance(self.cell.data, np.ndarray) else home.to_numpy(self.cell.data)
            return value if borrow else np.array(value)

    def set_value(self, value: Any, borrow: bool = False) -> None:
        """Replace the value. Its dtype must convert safely, its shape must fit the static one; else nothing changes.

        With `borrow`, a contiguous NumPy array of the right dtype is used as it is, not copied: the caller must not
        use it afterwards.
        """
        array = self._accepted(value)
        if not borrow or not (array.flags.c_contiguous and array.flags.writeable) or array.dtype.byteorder == ">":
            array = np.array(array, order="C")
        with self.cell.lock:
            self.cell.put(array, None)

    def _accepted(self, value: Any) -> Array:
        what = f"set_value: {self.label}"
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
        made = SharedVariable(self.type, np.asarray(self.get_value(), order="C"), self.name)
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
    return np.dtype(dtype).kind == "f" and array.dtype.kind in "buif"


def check_static_shape(what: str, got: tuple[int, ...], static: Sequence[int | None]) -> None:
    """Raises ShapeError where a value's shape does not fit a static one."""
    if len(got) != len(static) or any(s is not None and s != g for s, g in zip(static, got, strict=True)):
        spelled = ", ".join("?" if s is None else str(s) for s in static) + ("," if len(static) == 1 else "")
        raise ShapeError(f"{what} has shape ({spelled}), got a value of shape {got}")


def shared(
    value: Any,
    name: str | None = None,
    borrow: bool = False,
    shape: Sequence[int | None] | None = None,
    *,
    dtype: Any = None,
    strict: bool = False,
    allow_downcast: bool | None = None,
    broadcastable: Sequence[bool] | None = None,
) -> SharedVariable:
    """A variable with a value that lives between calls.

    value: anything ``numpy.asarray`` takes; copied unless `borrow`. Its shape is the variable's static shape; `shape`
    may leave lengths open with None, so that updates and ``set_value`` can change them. dtype: converts the value; a
    Python float alone is ``config.floatX``. strict, allow_downcast and broadcastable are accepted for programs written
    for the peers and have no effect. Raises DTypeError for values that are no numbers.
    """
    if isinstance(value, Variable):
        raise DTypeError(f"shared: got the symbolic variable {value!r}; expected a value")
    if dtype is None and type(value) is float:
        dtype = config.floatX
    array = number_array(value, "shared", None if dtype is None else as_dtype(dtype))
    array = array.astype(as_dtype(array.dtype), copy=False)
    static = array.shape if shape is None else tuple(shape)
    check_static_shape(f"shared: {name or 'the variable'}", array.shape, static)
    if not borrow or not (array.flags.c_contiguous and array.flags.writeable):
        array = np.array(array, order="C")
    return SharedVariable(TensorType(array.dtype.name, static), array, name)


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
