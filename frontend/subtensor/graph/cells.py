"""Where the values of shared variables lie, who owns that memory, and what is written there as one step."""

from __future__ import annotations

import copy
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from itertools import chain, count, repeat
from operator import call as invoke
from typing import Any, Protocol, TypeAlias

import numpy as np

from subtensor.errors import DTypeError, StoreError
from subtensor.graph import forks
from subtensor.graph.indexing import Index
from subtensor.graph.nodes import Array
from subtensor.graph.roles import Axes

_numbers = count()

Write: TypeAlias = "Callable[[], object]"
"""A call that cannot fail and runs no Python code."""

Change: TypeAlias = "tuple[Cell, Any]"
"""A cell, and the part of its array that is about to be written, as a NumPy key; ``()`` for all of it."""


class Keeper(Protocol):
    """Looks after values that must stay in the memory where they are, for that is a file, or other processes see it."""

    where: str
    """Where that is, for messages."""

    final: bool
    """Whether ``set_value(borrow=True)``, too, writes there, instead of taking another array over."""

    lock: AbstractContextManager[Any]
    """Held while values are written."""

    def protect(self, changes: Sequence[Change]) -> tuple[Sequence[Write], Sequence[Write]]:
        """Note what the parts hold that a step is about to write; may raise, for nothing has changed yet.

        Returns what is called right before the writes, and right after them.
        """
        ...

    def undo(self) -> None:
        """Make undone what was written since then, unless the step was finished."""

    def ahead(self, part: Array) -> None:
        """Some rows, a view of a cell's array, will be read now, in order."""


class Pinned:
    """Memory that somebody else made: a file that is mapped, or shared memory. Nothing is noted."""

    final = False
    lock: AbstractContextManager[Any] = nullcontext()

    def __init__(self, where: str) -> None:
        self.where = where

    def protect(self, changes: Sequence[Change]) -> tuple[Sequence[Write], Sequence[Write]]:  # noqa: ARG002
        return (), ()

    def undo(self) -> None:
        """Nothing was noted."""

    def ahead(self, part: Array) -> None:
        """The system finds out by itself."""


class Home(Protocol):
    """Where a value may lie: a backend, as far as a cell needs to know it.

    Optionally ``in_place``, ``adopt``, ``place`` and ``share``: see ``subtensor.program.contract.Backend``.
    """

    @property
    def name(self) -> str: ...

    def from_numpy(self, value: Array) -> Any:
        """A new array of the backend's own."""

    def to_numpy(self, array: Any) -> Array:
        """A new NumPy array."""


class Share(Protocol):
    """What this process has of a value that several processes hold.

    index, count: of the process, among them. here: rows (start, stop) of which it has all elements; ``[(0, 1)]`` stands
    for a value without axes. owned: those of them that it, and no other process, answers for.
    """

    @property
    def index(self) -> int: ...

    @property
    def count(self) -> int: ...

    @property
    def here(self) -> Sequence[tuple[int, int]]: ...

    @property
    def owned(self) -> Sequence[tuple[int, int]]: ...

    def tell(self, what: str) -> Sequence[str]:
        """What each process says, in their order; all of them call this. Raises ProcessError where one does not."""
        ...


class Start(Protocol):
    """How the first value of a variable is made, when it is first asked for, and where."""

    shape: tuple[int, ...]

    def make(self, home: Home | None, axes: Axes) -> Any:
        """An array of the backend; a NumPy array where it is None."""
        ...


class Cell:
    """Where a shared variable's value lies: ``data``, an array of the backend `home` (None: a NumPy array).

    lock: held by every call that reads or updates the variable. number: the order in which locks are taken. start:
    makes the first value, while there is none. keeper: see ``Keeper``; None where the array may be replaced. axes: the
    roles of its axes, for homes of many devices.
    """

    __slots__ = ("axes", "data", "home", "keeper", "lock", "number", "start")

    def __init__(
        self, data: Any, *, start: Start | None = None, keeper: Keeper | None = None, axes: Axes = None
    ) -> None:
        self.axes = axes
        self.data = data
        self.home: Home | None = None
        self.start = start
        self.keeper = keeper
        self.lock = forks.lock(forks.CELL)
        self.number = next(_numbers)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(int(n) for n in np.shape(self.data)) if self.start is None else self.start.shape

    @property
    def dtype(self) -> Any:
        """Of the array; there is one."""
        return self.data.dtype

    @property
    def is_divided(self) -> bool:
        """Whether the value lies on many devices, in parts."""
        return self.axes is not None and self.start is None and hasattr(self.home, "share")

    @property
    def is_numpy(self) -> bool:
        """Whether the array is NumPy's, and is itself the state."""
        return self.home is None or is_in_place(self.home)

    def move(self, home: Home) -> None:
        """Bring the value to a backend, unless it is there. The caller holds the lock."""
        if self.home is home:
            return
        place = getattr(home, "place", None)
        if self.start is not None:
            self.put(self.start.make(home, self.axes), home)
        elif place is not None and self.keeper is None:
            self.put(place(self.read(), self.axes), home)
        elif is_in_place(home):
            if self.is_numpy:
                self.home = home
            else:
                self.put(self.read(), home)
        elif self.keeper is not None:
            raise StoreError(
                f"the value lies in {self.keeper.where}, where the backend {home.name!r} cannot write; use the backend "
                "'numpy', or give the variable a copy: st.shared(array, borrow=False)"
            )
        elif self.is_numpy and (adopt := getattr(home, "adopt", None)) is not None:
            # 2: the slot and the argument. Whoever else holds the array could look into it.
            disposable = self.data.base is None and self.data.flags.owndata and sys.getrefcount(self.data) <= 2
            self.put(adopt(self.data, disposable), home)
        else:
            self.put(home.from_numpy(self.read()), home)

    def put(self, data: Any, home: Home | None) -> None:
        """Give the cell another array and its home as one step, which a KeyboardInterrupt cannot divide."""
        deque(map(setattr, repeat(self), ("data", "home", "start", "keeper"), (data, home, None, None)), 0)

    def read(self) -> Array:
        """The value as a NumPy array: the state itself where it is one, else a copy."""
        self.settle()
        if self.is_numpy or self.home is None:
            value: Array = self.data
            return value
        return self.home.to_numpy(self.data)

    def settle(self) -> None:
        """Make the first value, if that has not been done. The caller holds the lock."""
        if self.start is not None:
            self.put(self.start.make(None, None), None)

    def copy(self) -> Cell:
        """A cell with a copy of the value, at the same home, that nobody else knows of. The caller holds the lock."""
        self.settle()
        made = Cell(np.array(self.data) if self.is_numpy else copy.deepcopy(self.data), axes=self.axes)
        made.home = self.home
        return made

    def pieces(self, start: int, stop: int, step: int) -> Iterator[Array]:
        """Rows as NumPy arrays, `step` at a time: views of the state where they can be. The caller holds the lock."""
        read: Any = None if self.is_numpy else getattr(self.home, "read_rows", None)
        whole: Any = self.read() if read is None else None
        for low in range(start, stop, step):
            high = min(stop, low + step)
            if self.keeper is not None:
                self.keeper.ahead(whole[low:high])
            yield read(self.data, low, high) if read is not None else whole[low:high]

    def share(self) -> Share | None:
        """What this process has of the value; None where it has all, and no other process has any."""
        share: Any = None if self.is_numpy or self.start is not None else getattr(self.home, "share", None)
        found: Share | None = None if share is None else share(self.data)
        return found

    def write(self, start: int, rows: Array) -> None:
        """Replace some rows, in the memory where they are. The caller holds the lock, and has told the keeper."""
        if self.is_numpy:
            self.data[start : start + len(rows)] = rows
            return
        write: Any = getattr(self.home, "write_rows", None)
        if write is None:
            whole = np.array(self.read())
            whole[start : start + len(rows)] = rows
            self.put(whole, None)
        else:
            self.data = write(self.data, start, rows)

    def write_all(self, start: int, value: Array) -> None:  # noqa: ARG002  # as ``write``
        """Replace a value without axes. The caller holds the lock, and has told the keeper."""
        if self.is_numpy:
            self.data[...] = value
        else:
            self.put(value, None)

    def set(self, value: Array, *, borrow: bool = False) -> None:
        """Replace the value by a NumPy array that nobody else holds. The caller holds the lock."""
        if self.keeper is None or (borrow and not self.keeper.final):
            self.put(value, None)
            self.keeper = keeper_of(value)
        else:
            commit_kept((self,), (value,), (), ())


def is_in_place(home: Home) -> bool:
    """Whether the values of a backend are NumPy arrays that its steps write into (``Backend.in_place``)."""
    return bool(getattr(home, "in_place", False))


# --- ownership


def owned(value: Any, array: Array, borrow: bool, what: str) -> Array:
    """`array`, made of `value`, as something that a variable may own; with `borrow`, `value` itself if it is an array.

    Raises DTypeError where an array is handed over that cannot be written to as it lies.
    """
    made = array.dtype != getattr(value, "dtype", None) or type(value) in (list, tuple, int, float, bool)
    if made or (borrow and not isinstance(value, np.ndarray)):
        return np.require(array, requirements=["C", "W"])
    if not borrow:
        return np.array(array, order="C")
    reason = None
    if not value.flags.writeable:
        reason = "is read-only"
    elif not value.flags.c_contiguous:
        reason = "is not contiguous in C order"
    elif not value.flags.aligned:
        reason = "does not lie where numbers of its dtype may"
    if reason is not None:
        raise DTypeError(
            f"{what} with borrow=True takes the array over and writes in it, but it {reason}; leave out borrow=True, "
            "and a copy is made"
        )
    return value.view(np.ndarray) if type(value) is not np.ndarray else value


def keeper_of(array: Array) -> Keeper | None:
    """Who looks after a NumPy array: nobody, where the memory is NumPy's own."""
    root: Any = array
    while isinstance(root, np.ndarray):
        if isinstance(root, np.memmap):
            return Pinned(f"the file {root.filename}")
        if root.base is None:
            return None
        root = root.base
    return Pinned(f"memory that a {type(root).__name__} holds")


# --- writing where others look


def commit_kept(
    replaced: Sequence[Cell],
    values: Sequence[Array],
    writes: Iterable[Write],
    changes: Iterable[tuple[Cell, Index, Any]],
) -> None:
    """``commit``, where a cell has a keeper: what replaces its value is written into the array that must stay.

    replaced, values: cells and their new values. writes: prepared writes. changes: for each of them the cell, the index
    and the run-time inputs of the index. Raises StoreError where the new value has another shape than an array that
    must stay, and what keepers raise; nothing has changed then.
    """
    cells, news, into = [], [], list(writes)
    noted: list[Change] = []
    for cell, index, inputs in changes:
        noted.append((cell, index.key([np.asarray(i) if np.ndim(i) else int(i) for i in inputs])))
    for cell, new in zip(replaced, values, strict=True):
        # variables that exchange their values would exchange their arrays, of which some must stay
        value = new.copy() if any(np.may_share_memory(new, c.data) for c in replaced) else new
        if cell.keeper is None:
            cells.append(cell)
            news.append(value)
            continue
        if value.shape != cell.data.shape:
            raise StoreError(
                f"the value lies in {cell.keeper.where} and has shape {cell.data.shape}, got a value of shape "
                f"{value.shape}; make it longer with Store.grow, or keep it in memory: st.shared(array, borrow=False)"
            )
        into.append(partial(cell.data.__setitem__, Ellipsis, value))
        noted.append((cell, ()))
    with protected(noted) as (before, after):
        commit(cells, news, [*before, *into, *after])


@contextmanager
def protected(changes: Iterable[Change]) -> Iterator[tuple[list[Write], list[Write]]]:
    """What to call right before some parts of cells are written, and right after; what is left unfinished is undone."""
    keepers: dict[int, Keeper] = {}
    parts: dict[int, list[Change]] = {}
    for cell, key in changes:
        if cell.keeper is not None:
            keepers[id(cell.keeper)] = cell.keeper
            parts.setdefault(id(cell.keeper), []).append((cell, key))
    with ExitStack() as held:
        for number in sorted(keepers):
            held.enter_context(keepers[number].lock)
            held.callback(keepers[number].undo)
        before: list[Write] = []
        after: list[Write] = []
        for number, keeper in keepers.items():
            first, last = keeper.protect(parts[number])
            before += first
            after += last
        yield before, after


def replace_values(cells: Sequence[Cell], values: Sequence[Array]) -> None:
    """Give cells other NumPy arrays, which nobody else holds, as one step. The caller holds the locks."""
    names = ("data", "home", "start", "keeper")
    news = [
        (cell, name, new)
        for cell, v in zip(cells, values, strict=True)
        for name, new in zip(names, (v, None, None, None), strict=True)
    ]
    deque(map(setattr, *zip(*news, strict=True)), 0)


_DATA = repeat("data")


class Holder(Protocol):
    """What ``commit`` gives a value: a ``Cell``, or whatever else has a place for one."""

    data: Any


def commit(cells: Iterable[Holder], values: Iterable[Any], writes: Iterable[Write] = ()) -> None:
    """Give cells new values, and call prepared writes, as one step that a KeyboardInterrupt cannot divide.

    writes: callables without arguments that cannot fail, and that run no Python code (``functools.partial`` of a
    built-in function): signals are only looked at between Python instructions, and here there are none.
    """
    deque(chain(map(invoke, writes), map(setattr, cells, _DATA, values)), 0)
