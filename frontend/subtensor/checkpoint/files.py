"""Files that take the place of others, whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

PARTIAL = ".partial"


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the place of `path`, when all is written and on the disk; else `path` stays what it was."""
    try:
        with contextlib.suppress(OSError):
            remove_left_behind(path)
        handle, temporary = tempfile.mkstemp(prefix=prefix(path), suffix=f".{os.getpid()}{PARTIAL}", dir=path.parent)
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
        if error.errno is not None and (error.filename is None or str(error.filename).endswith(PARTIAL)):
            error.filename = os.fspath(path)
        raise


def prefix(path: Path) -> str:
    """A short one, for a name may be as long as names can be."""
    return f".{hashlib.blake2b(path.name.encode(errors='surrogateescape'), digest_size=8).hexdigest()}."


def remove_left_behind(path: Path) -> None:
    """Remove what saves of this path left that were killed."""
    for found in path.parent.glob(f"{prefix(path)}*{PARTIAL}"):
        pid = found.name.removesuffix(PARTIAL).rpartition(".")[2]
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
