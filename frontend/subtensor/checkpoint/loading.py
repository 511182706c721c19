"""``load``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np

from subtensor.checkpoint import npz
from subtensor.checkpoint import safetensors as form
from subtensor.checkpoint.names import locked, named_variables
from subtensor.checkpoint.parts import BEGINS, FromParts
from subtensor.checkpoint.safetensors import printable
from subtensor.checkpoint.saving import bar
from subtensor.errors import CheckpointError, SubtensorError
from subtensor.graph.cells import protected
from subtensor.graph.interrupts import deferred_interrupts
from subtensor.graph.nodes import Array
from subtensor.graph.shared import SharedVariable
from subtensor.progress import Bar


class Source(Protocol):
    """Where values come from: a file, or the variables of a store.

    where: for messages. found: the dtype and shape of each value, by name.
    """

    where: str
    found: Mapping[str, tuple[str, tuple[int, ...]]]

    def verify(self, name: str, done: Bar) -> None:
        """Raise CheckpointError where the value is damaged."""

    def parts(self, name: str, start: int, stop: int) -> Iterator[tuple[int, Array]]:
        """Rows, some at a time, with the number of the first of them; the whole of a value without axes."""


class FromFile:
    """A safetensors file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.where = os.fspath(path)
        self.file = path.open("rb", buffering=0)
        try:
            self.entries = form.read_header(self.file, self.where)
        except BaseException:
            self.file.close()
            raise
        self.found = {name: (e.dtype, e.shape) for name, e in self.entries.items()}

    def verify(self, name: str, done: Bar) -> None:
        form.verify(self.file, self.where, name, self.entries[name], done.update)

    def parts(self, name: str, start: int, stop: int) -> Iterator[tuple[int, Array]]:
        return form.parts(self.path, self.entries[name], start, stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


@dataclass(frozen=True)
class _Job:
    """Rows `start` to `stop` of a value go into a variable. whole: they are all that it will have."""

    variable: SharedVariable
    start: int
    stop: int
    shape: tuple[int, ...]
    whole: bool


def load(
    path: str | os.PathLike[str],
    variables: Any,
    *,
    only: Iterable[str] | None = None,
    rows: slice | None = None,
    grown: bool = False,
    progress: bool | None = None,
) -> None:
    """Give shared variables the values that ``save`` wrote; all of them, or, if anything is wrong with the file, none.

    path: a safetensors file, the index of one in parts, one of NumPy's (``.npz``, or ``.npy`` for one variable, of any
    name), or a ``Store``. variables: as in ``save``. Names, dtypes and shapes must be those of the file, except for:

    only: names of the variables to load; the others, and other names in the file, are passed over.
    rows: a slice, of step 1, of the tables' first axis: these rows are read, into the same rows of the variables, which
    keep their others. Values without axes are loaded whole.
    grown: a variable may have more rows than the file (a vocabulary that grew): the first ones are loaded.
    progress: as in ``save``.

    The file is read through first, and its checksums compared; then the values go in, piece by piece, into the memory
    where they are, so that it takes no more. A read that fails then, although it did not before, is an OSError, and
    leaves a part loaded; variables of a store are as they were. Raises CheckpointError where names, dtypes or shapes
    differ and where the file is damaged, OSError as reading does.
    """
    named = named_variables(variables)
    others = _Others(named)
    try:
        with _source(path, named) as source:
            fill_from(source, _chosen(source, named, only), progress, rows, grown, others.go_on)
    except (SubtensorError, OSError) as error:
        others.told_why(error)
        raise


class _Others:
    """Processes that hold the values together with this one: all load, or none does."""

    def __init__(self, named: Mapping[str, SharedVariable]) -> None:
        self.share = next((share for s in named.values() if (share := s.cell.share()) is not None), None)
        self.told = False

    def go_on(self) -> None:
        """Wait until all processes have found the checkpoint good. Raises CheckpointError where one has not."""
        self.told = True
        said = [] if self.share is None else [*self.share.tell("")]
        for problem in filter(None, said):
            raise CheckpointError(f"load: another process cannot load the checkpoint: {problem}; nothing was changed")

    def told_why(self, error: Exception) -> None:
        """Let the other processes know what is wrong here."""
        if self.share is not None and not self.told:
            self.told = True
            self.share.tell(str(error) or type(error).__name__)


def fill_from(
    source: Source,
    named: Mapping[str, SharedVariable],
    progress: bool | None,
    rows: slice | None = None,
    grown: bool = False,
    go_on: Callable[[], None] = lambda: None,
) -> None:
    """Give variables the values of a source, as ``load`` does. go_on: called when they are known to be good."""
    with locked(named):
        jobs = {name: _job(source, name, s, rows, grown) for name, s in named.items()}
        total = sum(_nbytes(source, name) for name in jobs)
        with bar(f"loading {Path(source.where).name}", 2 * total, progress) as done:
            for name in jobs:
                source.verify(name, done)
            go_on()
            _fill(source, jobs, done)


def _source(path: Any, named: Mapping[str, SharedVariable]) -> Any:
    if hasattr(path, "as_source"):
        return path.as_source()
    file = Path(path)
    with file.open("rb") as opened:
        if opened.read(len(BEGINS)) == BEGINS:
            return FromParts(file)
    kind = npz.form_of(file)
    if kind is None:
        return FromFile(file)
    if kind == npz.NPY and len(named) > 1:
        raise CheckpointError(f"load: {file} holds one array, for {len(named)} variables; expected one of them")
    return npz.FromNumpy(file, next(iter(named)) if kind == npz.NPY else None)


def _nbytes(source: Source, name: str) -> int:
    dtype, shape = source.found[name]
    return int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize


def _chosen(
    source: Source, named: Mapping[str, SharedVariable], only: Iterable[str] | None
) -> Mapping[str, SharedVariable]:
    """The variables to load. Raises CheckpointError where the names of the source are not theirs."""
    extra: list[str] = sorted(set(source.found) - set(named))
    if only is not None:
        wanted = [only] if isinstance(only, str) else list(only)
        unknown = sorted(set(wanted) - set(named))
        if unknown:
            raise CheckpointError(
                f"load: only={unknown[0]!r} is none of the variables that were given; expected some of "
                f"{', '.join(sorted(named))}"
            )
        named = {name: named[name] for name in wanted}
        extra = []
    missing = sorted(set(named) - set(source.found))
    if missing or extra:
        parts = [f"it lacks {', '.join(missing)}"] if missing else []
        parts += [f"it holds {', '.join(map(printable, extra))}, which the model has not"] if extra else []
        hint = "" if only is not None else ", or only= with those to load"
        raise CheckpointError(
            f"load: {source.where} is of another model: {'; '.join(parts)}; expected the same names{hint}"
        )
    return named


def _job(source: Source, name: str, s: SharedVariable, rows: slice | None, grown: bool) -> _Job:
    dtype, have = source.found[name]
    static, now = s.type.shape, s.cell.shape
    wanted = f"expected {s.type}"
    fits = dtype == s.dtype and len(have) == len(static)
    partly = rows is not None and bool(static)
    kept = partly or (grown and bool(static) and bool(have) and have[0] < now[0])
    if kept and fits:  # the variable keeps its length
        fits = have[1:] == now[1:] and (partly or have[0] <= now[0])
        wanted = f"expected {s.dtype} with rows of shape {now[1:]}"
    elif fits:
        fits = all(n is None or n == m for n, m in zip(static, have, strict=True))
        if not fits and have[1:] == now[1:] and have[0] < now[0]:
            wanted += ", or grown=True, which loads the first rows of a longer table"
    if not fits:
        raise CheckpointError(f"load: {name} in {source.where} is {dtype} of shape {have}; {wanted}")
    start, stop = 0, have[0] if have else 1
    if partly:
        assert rows is not None
        start, stop, step = rows.indices(have[0])
        if step != 1:
            raise CheckpointError(f"load: rows={rows} has the step {step}; expected 1")
        stop = max(start, stop)
        bound = min(have[0], now[0])
        if stop > bound or (rows.stop is not None and rows.stop > bound):
            raise CheckpointError(
                f"load: rows={rows} of {name}: the file has {have[0]} rows and the variable {now[0]}; expected rows "
                "that both have"
            )
    return _Job(s, start, stop, now if kept else have, whole=not kept)


def _fill(source: Source, jobs: Mapping[str, _Job], done: Bar) -> None:
    """Write the values, in pieces, which nobody sees before all are there: the locks are held, and Ctrl-C waits."""
    moved = {}
    for name, job in jobs.items():
        cell = job.variable.cell
        if not job.whole:
            cell.settle()
        elif cell.start is not None or cell.shape != job.shape:
            moved[name] = np.empty(job.shape, job.variable.dtype)
    changes = [
        (job.variable.cell, slice(job.start, job.stop) if job.shape else ())
        for name, job in jobs.items()
        if name not in moved
    ]
    with deferred_interrupts(), protected(changes) as (before, after):
        for call in before:
            call()
        for name, job in jobs.items():
            cell = job.variable.cell
            put: Callable[[int, Array], None]
            if name in moved:
                put = partial(_put, moved[name])
            elif job.shape:
                put = cell.write
            else:
                put = cell.write_all
            share = None if name in moved else cell.share()
            for first, last in [(job.start, job.stop)] if share is None or not job.shape else share.here:
                for low, piece in source.parts(name, max(first, job.start), min(last, job.stop)):
                    put(low, piece)
                    done.update(piece.nbytes)
        for name, value in moved.items():
            jobs[name].variable.cell.set(value)
        for call in after:
            call()


def _put(target: Array, start: int, rows: Array) -> None:
    if target.ndim:
        target[start : start + len(rows)] = rows
    else:
        target[...] = rows
