"""One process writes in a store at a time."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from subtensor.errors import StoreError

if sys.platform == "win32":
    import msvcrt

    def _take(handle: int, *, shared: bool) -> None:
        if not shared:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _take(handle: int, *, shared: bool) -> None:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


class Lock:
    """Held while a store is open for writing; the system lets go of it when the process ends, however it does."""

    def __init__(self, path: Path) -> None:
        self.handle: int | None = None
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _take(handle, shared=False)
        except OSError:
            holder = path.read_text(errors="replace").strip() or "unknown"
            os.close(handle)
            raise StoreError(
                f"the store {path.parent} is open for writing already, in process {holder}; close it there, or open it "
                "with mode='r'"
            ) from None
        self.handle = handle
        with suppress(OSError):
            os.ftruncate(handle, 0)
            os.write(handle, str(os.getpid()).encode())

    def release(self) -> None:
        """Let others write."""
        if self.handle is not None:
            os.close(self.handle)
            self.handle = None

    def __del__(self) -> None:
        self.release()


def is_free(path: Path) -> bool:
    """Whether no process writes now."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return True
    try:
        _take(handle, shared=True)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True
