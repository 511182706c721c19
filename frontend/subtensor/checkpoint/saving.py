"""``save``."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

import numpy as np

from subtensor.checkpoint import safetensors as form
from subtensor.checkpoint.names import locked, named_variables
from subtensor.graph.cells import Cell
from subtensor.graph.nodes import Array
from subtensor.progress import Bar
from subtensor.progress import progress as progress_bar

_PARTIAL = ".partial"


def save(path: str | os.PathLike[str], variables: Any, *, progress: bool | None = None) -> None:
    """Write the values of shared variables to a safetensors file, in pieces: no copy of a table is made.

    path: of the file; or a ``Store``, whose tables of the same names get the values, as one change.
    variables: a shared variable, any number of them, a dict of them by name, the updates that an optimizer gave (the
    variables that it trains and its state), a ``Store``, or a list of these. Names are those in a dict, else the
    variables' own. progress: a bar; None: where it takes more than seconds and a terminal looks on.

    The values are of one moment: no call's updates are seen in part, for calls that use a variable wait until it is
    written. The file is written beside `path`, then renamed: whenever the process ends, `path` is the old file or the
    new one (a process that is killed may leave a hidden ``.partial`` file, which the next save removes). Checksums of
    all values are kept in the file's metadata.

    Raises CheckpointError for variables without a name, for equal names and for names that the format has not, OSError,
    which names the file, as writing does. Where two updates own state of one name (the steps of two Adams), it is kept
    under the name of the first variable that each trains.
    """
    if hasattr(path, "put"):  # a store
        path.put(variables, progress)
        return
    named = named_variables(variables)
    with locked(named):
        for s in named.values():
            s.cell.settle()
        entries = form.layout({name: (s.dtype, s.cell.shape) for name, s in named.items()})
        total = sum(e.nbytes for e in entries.values())
        target = Path(path)
        with bar(f"saving {target.name}", total, progress) as shown, _replacing(target) as file:

            def pieces(name: str) -> Iterator[Array]:
                return _bytes_of(named[name].cell, entries[name])

            form.write(file, entries, pieces, shown.update)


def bar(what: str, total: int, shown: bool | None) -> AbstractContextManager[Bar]:
    """A progress bar over bytes."""
    return progress_bar(what, total, "B", shown)


def _bytes_of(cell: Cell, entry: form.Entry) -> Iterator[Array]:
    """The bytes of a value, in order, as views of the state where they can be."""
    shape = entry.shape
    if not entry.nbytes:
        return
    if not shape:
        yield np.array(cell.read()).reshape(1).view(np.uint8)
        return
    step = max(1, form.PIECE * shape[0] // entry.nbytes)
    for rows in cell.pieces(0, shape[0], step):
        flat = np.ascontiguousarray(rows).reshape(-1)
        yield (flat if flat.dtype.byteorder != ">" else flat.astype(flat.dtype.newbyteorder("<"))).view(np.uint8)


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path`, when all is written and on the disk; else `path` stays what it was."""
    try:
        with contextlib.suppress(OSError):
            _remove_left_behind(path)
        handle, temporary = tempfile.mkstemp(prefix=_prefix(path), suffix=f".{os.getpid()}{_PARTIAL}", dir=path.parent)
        try:
            with os.fdopen(handle, "wb", buffering=0) as file:
                yield file
                os.fsync(file.fileno())
            Path(temporary).chmod(_permissions(path))
            os.replace(temporary, path)  # noqa: PTH105  # as fsync, of the same module
        except BaseException:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
            raise
        sync_folder(path.parent)
    except OSError as error:
        if error.errno is not None and (error.filename is None or str(error.filename).endswith(_PARTIAL)):
            error.filename = os.fspath(path)
        raise


def _prefix(path: Path) -> str:
    """A short one, for a name may be as long as names can be."""
    return f".{hashlib.blake2b(path.name.encode(errors='surrogateescape'), digest_size=8).hexdigest()}."


def _remove_left_behind(path: Path) -> None:
    """Remove what saves of this path left that were killed."""
    for found in path.parent.glob(f"{_prefix(path)}*{_PARTIAL}"):
        pid = found.name.removesuffix(_PARTIAL).rpartition(".")[2]
        if pid.isdecimal() and not _runs(int(pid)):
            found.unlink(missing_ok=True)


def _runs(pid: int) -> bool:
    """Whether there is a process of this number on this machine, as far as can be known."""
    if os.name != "posix":
        return True
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno != errno.ESRCH
    return True


def sync_folder(folder: Path) -> None:
    """See to it that names in a folder outlive a power failure."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _permissions(path: Path) -> int:
    """Those of the file that is replaced, or of a new one."""
    try:
        return path.stat().st_mode & 0o7777
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
