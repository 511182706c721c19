"""``Store``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from subtensor.checkpoint.loading import Source, fill_from
from subtensor.checkpoint.names import locked, named_variables
from subtensor.errors import DTypeError, ShapeError, StoreError
from subtensor.graph import forks
from subtensor.graph.cells import Cell, Change, Write
from subtensor.graph.constants import number_array
from subtensor.graph.nodes import Array
from subtensor.graph.shared import SharedVariable, check_static_shape
from subtensor.graph.types import TensorType, can_cast
from subtensor.progress import Bar
from subtensor.starting import FromExpression
from subtensor.store import files
from subtensor.store.files import Table
from subtensor.store.journal import MOST, Journal
from subtensor.store.lock import Lock, is_free

_SURVIVES = ("kill", "power", None)
_MODES = ("a", "r+", "x", "r")
_PIECE = 8 << 20


class _Keeper:
    """Keeps the values of a store's variables in its files."""

    final = True

    def __init__(self, store: Store) -> None:
        self.store = store
        self.where = f"the store {store.folder}"
        self.lock: AbstractContextManager[Any] = forks.lock(forks.STORE)

    def protect(self, changes: Sequence[Change]) -> tuple[Sequence[Write], Sequence[Write]]:
        return self.store._protect(changes)  # noqa: SLF001  # its own part

    def undo(self) -> None:
        self.store._undo()  # noqa: SLF001  # as above

    def ahead(self, part: Array) -> None:
        files.read_ahead(part)


class Store:
    """A folder with the tables and the state of a model as plain ``.npy`` files, which steps write in place.

    path: the folder. mode: ``"a"``, read and write, made if it is not there; ``"r+"``, read and write what is there;
    ``"x"``, made, and must not be there; ``"r"``, read only. One process at a time may write.

    survives: what may happen at any moment, after which the store opens at the state after a whole step, all tables at
    the same one. ``"kill"``: the end of the process, however it comes (kill -9, out of memory); then it is the last
    step that was finished. ``"power"``: the end of the machine, too; then it is the state at the last ``flush``, and
    each step waits for the disk. None: nothing is noted; a store that was left in the middle of a step is refused.

    as_it_is: open a store that cannot be brought to a whole step, with what its files hold.

    Raises StoreError where another process writes, where the folder is no store, where a file is missing, shorter than
    the manifest says or of another dtype, and where the state after a whole step is not to be had: after a power
    failure with ``"kill"``, after any end with None.

    Used with ``with``, it is flushed and closed at the end.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        mode: str = "a",
        *,
        survives: str | None = "kill",
        as_it_is: bool = False,
    ) -> None:
        if mode not in _MODES:
            raise StoreError(f"Store: mode={mode!r}; expected 'a', 'r+', 'x' or 'r'")
        if survives not in _SURVIVES:
            raise StoreError(f"Store: survives={survives!r}; expected 'kill', 'power' or None")
        if not isinstance(path, str | os.PathLike):
            raise StoreError(f"Store: the path is {path!r}; expected that of a folder")
        self.folder = Path(path)
        self.writable = mode != "r"
        self.survives = survives
        self.tables: dict[str, Table] = {}
        self._arrays: dict[str, Array] = {}
        self._variables: dict[str, SharedVariable] = {}
        self._numbers: dict[int, int] = {}
        self._keeper = _Keeper(self)
        self._journal: Journal | None = None
        self._lock: Lock | None = None
        self.closed = False
        self._process = os.getpid()
        there = (self.folder / files.MANIFEST).exists()
        if there and mode == "x":
            raise StoreError(f"Store: {self.folder} is a store already; expected none, for mode='x'")
        if not there and mode in ("r", "r+"):
            raise StoreError(f"Store: {self.folder} is no store: it has no {files.MANIFEST}; mode='a' makes one")
        try:
            self._open(there, as_it_is)
        except BaseException:
            self._let_go()
            raise

    # --- opening and closing

    def _open(self, there: bool, as_it_is: bool) -> None:
        if not self.writable:
            self.tables = files.read_manifest(self.folder)
            self._map_all()
            self._refuse_unfinished(as_it_is)
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = Lock(self.folder / "lock")
        except StoreError:
            raise
        except OSError as error:
            raise files.naming(error, self.folder) from None
        if not there:
            files.write_manifest(self.folder, {})
        self.tables = files.read_manifest(self.folder)
        for table in self.tables.values():
            files.repair(self.folder, table)
        self._map_all()
        self._journal = Journal(self.folder / "journal", durable=self.survives == "power")
        self._recover(self._journal, as_it_is)
        self._sync_tables()
        self._journal.checkpoint()
        self._journal.begin()

    def _map_all(self) -> None:
        for name, table in self.tables.items():
            self._arrays[name] = files.mapped(self.folder, table, writable=self.writable)

    def _by_number(self) -> dict[int, Array]:
        return dict(enumerate(self._arrays.values()))

    def _recover(self, journal: Journal, as_it_is: bool) -> None:
        """Bring the files to the state after a whole step."""
        if as_it_is:
            journal.forget()
        elif journal.is_lost:
            raise StoreError(
                f"the store {self.folder} was left in the middle of a step, of which nothing was noted "
                "(survives=None); load a checkpoint, or take what its files hold: as_it_is=True"
            )
        elif journal.same_boot or not journal.dirty:
            journal.undo(self._by_number())
        elif journal.was_durable:
            journal.undo_all(self._by_number())
        else:
            raise StoreError(
                f"the machine ended while steps of the store {self.folder} had not come to the disk, and it was not "
                "open with survives='power': its tables may be of different steps; load a checkpoint, or take what "
                "its files hold: as_it_is=True"
            )

    def _refuse_unfinished(self, as_it_is: bool) -> None:
        """Raises StoreError where nobody writes, and somebody left a step unfinished."""
        path = self.folder / "journal"
        if as_it_is or not path.exists() or not is_free(self.folder / "lock"):
            return
        head = np.fromfile(path, np.int64, 2)
        if len(head) == 2 and head[1]:
            raise StoreError(
                f"the store {self.folder} was left in the middle of a step; open it for writing once, which makes that "
                "step undone"
            )

    def flush(self) -> None:
        """Bring everything to the disk: from here on, what happens to the machine cannot undo the steps so far."""
        self._check_open("flush")
        if self._journal is None:
            return
        with self._keeper.lock:
            self._sync_tables()
            self._journal.checkpoint()

    def _sync_tables(self) -> None:
        for name, array in self._arrays.items():
            mapping = files.mapping_of(array)
            if mapping is not None:
                try:
                    mapping.flush()
                except OSError as error:
                    raise files.naming(error, self.folder / self.tables[name].file) from None

    def close(self) -> None:
        """Flush, and let others write. The variables keep their values, and can be read, not written."""
        if self.closed or self._process != os.getpid():
            return
        with self._keeper.lock:
            try:
                self.flush()
            finally:
                self.closed = True
                self._let_go()

    def _let_go(self) -> None:
        if self._journal is not None:
            self._journal.close()
            self._journal = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_open(self, what: str) -> None:
        if self._process != os.getpid():
            raise StoreError(f"{what}: the store {self.folder} was opened before a fork, by the parent; open it here")
        if self.closed:
            raise StoreError(f"{what}: the store {self.folder} is closed; open it again")

    def _check_writable(self, what: str) -> None:
        self._check_open(what)
        if not self.writable:
            raise StoreError(f"{what}: the store {self.folder} is open with mode='r'; expected one that can be written")

    # --- steps

    def _protect(self, changes: Sequence[Change]) -> tuple[Sequence[Write], Sequence[Write]]:
        self._check_writable("a step")
        journal = self._journal
        assert journal is not None
        if self.survives is None:
            return journal.mark()
        if journal.durable and journal.end > MOST:
            self.flush()
        return journal.note([(self._numbers[cell.number], cell.data, key) for cell, key in changes])

    def _undo(self) -> None:
        if self._journal is not None and self._journal.under_way and not self._journal.is_lost:
            self._journal.undo(self._by_number())

    @property
    def steps(self) -> int:
        """How many steps, and other changes, have been made since the store was."""
        self._check_open("steps")
        if self._journal is not None:
            return self._journal.step
        return int(np.fromfile(self.folder / "journal", np.int64, 3)[2])

    # --- variables

    @property
    def variables(self) -> Mapping[str, SharedVariable]:
        """The variables over all tables, by name."""
        return {name: self[name] for name in self.tables}

    def __getitem__(self, name: str) -> SharedVariable:
        """The variable over a table; made where none was attached. Raises KeyError."""
        if name not in self.tables:
            raise KeyError(f"the store {self.folder} has no table {name!r}; it has {', '.join(self.tables) or 'none'}")
        if name not in self._variables:
            table = self.tables[name]
            self._attach(name, SharedVariable(TensorType(table.dtype, table.shape), Cell(None), name))
        return self._variables[name]

    def __contains__(self, name: object) -> bool:
        return name in self.tables

    def __iter__(self) -> Iterator[str]:
        return iter(self.tables)

    def __len__(self) -> int:
        return len(self.tables)

    def keep(self, variables: Any) -> None:
        """Keep the values of variables here: from now on they lie in the store's files, and steps write there.

        variables: as for ``st.save``; the updates that an optimizer gave are the variables that it trains and its
        state. A variable whose name the store has gets the value that it has there, so that training goes on; the
        others bring theirs: one that starts as zeros takes place on the disk, and no time. Raises StoreError where a
        value in the store has another dtype or does not fit the variable's shape, and where the disk is full; nothing
        has changed then.
        """
        named = named_variables(variables)
        with locked(named), self._keeper.lock:
            self._check_open("keep")
            for name, s in named.items():
                self._check_fits(name, s)
            new = [name for name in named if name not in self.tables]
            if new:
                self._check_writable("keep")
                self._add({name: named[name] for name in new})
            for name, s in named.items():
                if self._variables.get(name) is not s:
                    self._attach(name, s)

    def _check_fits(self, name: str, s: SharedVariable) -> None:
        other = self._variables.get(name)
        if other is not None and other is not s:
            raise StoreError(f"keep: {name} of the store {self.folder} has a variable already, which is another one")
        table = self.tables.get(name)
        if table is None:
            if s.cell.keeper is not None and s.cell.keeper is not self._keeper and s.cell.keeper.final:
                raise StoreError(f"keep: the value of {name} lies in {s.cell.keeper.where}; expected one of no store")
            return
        static = s.type.shape
        fits = len(static) == len(table.shape) and all(
            n is None or n == m for n, m in zip(static, table.shape, strict=True)
        )
        if table.dtype != s.dtype or not fits:
            raise StoreError(
                f"keep: {name} in the store {self.folder} is {table.dtype} of shape {table.shape}; expected {s.type}. "
                "A table with more rows is made by Store.grow"
            )

    def _add(self, named: Mapping[str, SharedVariable]) -> None:
        """Make files for values that are not here yet; the manifest names all of them at once."""
        made: dict[str, Table] = {}
        try:
            for name, s in named.items():
                made[name] = files.create(self.folder, name, s.dtype, s.cell.shape, _pieces(s.cell))
            files.write_manifest(self.folder, {**self.tables, **made})
        except BaseException:
            for table in made.values():
                with suppress(OSError):
                    (self.folder / table.file).unlink()
            raise
        for name, table in made.items():
            self.tables[name] = table
            self._arrays[name] = files.mapped(self.folder, table, writable=True)

    def _attach(self, name: str, s: SharedVariable) -> None:
        self._variables[name] = s
        self._numbers[s.cell.number] = list(self.tables).index(name)
        s.cell.put(self._arrays[name], None)
        s.cell.keeper = self._keeper

    def shared(self, value: Any, name: str, **options: Any) -> SharedVariable:
        """``st.shared(value, name)``, kept here: with its value in the store, if it has one of that name."""
        from subtensor.starting import shared  # noqa: PLC0415

        s = shared(value, name, **options)
        self.keep(s)
        return s

    def grow(self, variables: Any, rows: int, fill: Any = 0) -> None:
        """Make tables longer: all that are given and have axes get `rows` rows, at once, the new ones filled.

        variables: of this store, as for ``keep``, with a first length that is open (``shape=(None, …)``): a table, and
        what an optimizer keeps for each of its rows. fill: a number, or a dict of them by name, zeros for the others.
        Whatever happens meanwhile, the store opens with all of them of
        the old length or of the new one. Raises ShapeError where a length is not open or would become less.
        """
        named = {n: s for n, s in named_variables(variables).items() if s.ndim}
        self._check_writable("grow")
        if isinstance(rows, bool) or not isinstance(rows, int | np.integer):
            raise ShapeError(f"grow: rows={rows!r}; expected how many there will be, a whole number")
        rows = int(rows)
        fills = {name: fill.get(name, 0) if isinstance(fill, Mapping) else fill for name in named}
        for name, s in named.items():
            filling = number_array(fills[name], "grow: fill")
            if filling.ndim or not can_cast(filling.dtype.name, s.dtype, "same_kind"):
                raise DTypeError(
                    f"grow: fill={fills[name]!r} does not go into {s.label}, of {s.dtype}; expected a number, or a "
                    "dict of numbers by name"
                )
        with locked(named), self._keeper.lock:
            longer: dict[str, Table] = {}
            for name, s in named.items():
                if self._variables.get(name) is not s:
                    raise StoreError(
                        f"grow: {name} is no variable of the store {self.folder}; "
                        "expected one of Store.shared or Store.keep"
                    )
                shape = (rows, *self.tables[name].shape[1:])
                if rows < self.tables[name].shape[0]:
                    raise ShapeError(
                        f"grow: {name} has {self.tables[name].shape[0]} rows; expected rows of at least that"
                    )
                check_static_shape(f"grow: {name}", shape, s.type.shape)
                longer[name] = replace(self.tables[name], shape=shape)
            self._lengthen(longer, fills)
            for name, table in longer.items():
                self.tables[name] = table
                self._arrays[name] = files.mapped(self.folder, table, writable=True)
                named[name].cell.data = self._arrays[name]

    def _lengthen(self, longer: Mapping[str, Table], fills: Mapping[str, Any]) -> None:
        """Room first, then the new rows; the manifest makes them count; the files' own headers come last."""
        with ExitStack() as opened:
            handles = {}
            for name, table in longer.items():
                path = self.folder / table.file
                handles[name] = file = opened.enter_context(path.open("r+b", buffering=0))
                old = self.tables[name]
                try:
                    files.reserve(file.fileno(), table.size)
                    if np.any(np.asarray(fills[name])):
                        self._fill(file, old, table, fills[name])
                    os.fsync(file.fileno())
                except OSError as error:
                    for done, opened_file in handles.items():
                        opened_file.truncate(self.tables[done].size)
                    raise files.naming(error, path) from None
            files.write_manifest(self.folder, {**self.tables, **longer})
            for name, file in handles.items():
                files.rewrite_header(file, longer[name])

    def _fill(self, file: Any, old: Table, new: Table, fill: Any) -> None:
        width = old.nbytes // old.shape[0] if old.shape[0] else new.nbytes // new.shape[0]
        step = max(1, _PIECE // max(1, width))
        file.seek(old.begin + old.shape[0] * width)
        for low in range(old.shape[0], new.shape[0], step):
            rows = np.full((min(step, new.shape[0] - low), *new.shape[1:]), fill, new.dtype)
            file.write(rows.reshape(-1).view(np.uint8).data)

    # --- what ``st.save`` and ``st.load`` take

    def as_source(self) -> AbstractContextManager[Source]:
        """The values, for ``st.load(store, …)``."""
        self._check_open("load")
        return _Values(self)

    def put(self, variables: Any, progress: bool | None = None) -> None:
        """Write values of variables into the store, as one change: what ``st.save(store, …)`` does.

        Tables of other names stay; new names are added. The variables stay where they are.
        """
        self._check_writable("save")
        named = {n: s for n, s in named_variables(variables).items() if self._variables.get(n) is not s}
        with locked(named), self._keeper.lock:
            there = {name: s for name, s in named.items() if name in self.tables}
            for name, s in there.items():
                table = self.tables[name]
                if (table.dtype, table.shape) != (s.dtype, s.cell.shape):
                    raise StoreError(
                        f"save: {name} in the store {self.folder} is {table.dtype} of shape {table.shape}, the "
                        f"variable {s.dtype} of shape {s.cell.shape}; expected equal"
                    )
            self._add({name: s for name, s in named.items() if name not in self.tables})
            if there:
                fill_from(_Cells(there), {name: self[name] for name in there}, progress)
            self.flush()

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"{len(self.tables)} tables"
        return f"<store {self.folder}: {state}>"


def _pieces(cell: Cell) -> Iterable[Array] | None:
    """The rows of a value, in order; None for zeros."""
    if isinstance(cell.start, FromExpression) and cell.start.is_zero:
        return None
    shape = cell.shape
    if not shape:
        return [np.asarray(cell.read()).reshape(1)]
    cell.settle()
    size = max(1, int(np.prod(shape[1:], dtype=np.int64)) * 8)
    return cell.pieces(0, shape[0], max(1, _PIECE // size))


class _Cells:
    """Variables, as a source of values."""

    def __init__(self, named: Mapping[str, SharedVariable]) -> None:
        self.named = named
        self.where = "the variables"
        self.found: Mapping[str, tuple[str, tuple[int, ...]]] = {
            name: (s.dtype, s.cell.shape) for name, s in named.items()
        }

    def verify(self, name: str, done: Bar) -> None:
        """They are as they are."""

    def parts(self, name: str, start: int, stop: int) -> Iterator[tuple[int, Array]]:
        cell = self.named[name].cell
        shape = cell.shape
        if not shape:
            yield 0, np.asarray(cell.read())
            return
        cell.settle()
        step = max(1, _PIECE // max(1, int(np.prod(shape[1:], dtype=np.int64)) * 8))
        low = start
        for rows in cell.pieces(start, stop, step):
            yield low, rows
            low += len(rows)


class _Values(_Cells):
    """The values of a store, which do not change meanwhile."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.variables)
        self.where = str(store.folder)
        self.held = locked(store.variables)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.held.close()
