"""Memory that a dropped function leaves behind.

XLA keeps about 1 MB for each set of shapes that a function is compiled for, and frees it with the function; but glibc
keeps what is freed, in pieces, and the process does not shrink. So glibc is told to give back whole pages when
functions were dropped and the garbage collector is through with them; that takes a millisecond, or some for a large
heap.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import weakref
from functools import cache
from typing import Any

_due = 0


def give_back_after(owner: object) -> None:
    """Have free memory given back to the system when `owner` and what it holds are gone."""
    if _trim() is not None:
        weakref.finalize(owner, _note).atexit = False


def _note() -> None:
    """What `owner` holds is freed after this: the end of a collection is the first moment when it surely is."""
    global _due  # noqa: PLW0603  # one flag for the process, as there is one heap
    _due = 2  # JAX, too, lets go of some when a collection ends
    if _collected not in gc.callbacks:
        gc.callbacks.append(_collected)


def _collected(phase: str, _: dict[str, int]) -> None:
    global _due  # noqa: PLW0603  # as above
    if _due and phase == "stop":
        _due -= 1
        _trim()(0)


@cache
def _trim() -> Any:
    """glibc's ``malloc_trim``; None where there is another C library."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError):
        return None
