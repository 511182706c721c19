"""Locks that a fork leaves usable.

``os.fork`` copies a process with one of its threads. A lock that another thread held stays locked in the child for
ever, and what it guarded may be half done. So all locks of this library are made here: a fork first takes every one,
outermost first, and parent and child let go of them again; what they guard is whole in both.
"""

from __future__ import annotations

import os
import threading
import time
from itertools import count
from weakref import WeakValueDictionary

DRIVER, CELL, STORE, HOST, KERNEL, NODES = range(6)
"""Ranks, outermost first: who holds a lock may wait for one of the same or a later rank, made later."""

PATIENCE = 30.0
"""Seconds for which a fork waits for calls that run. Then, or where they wait for the forking thread, it goes on: what
they were writing may be half written in the child."""

_numbers = count()
_locks: WeakValueDictionary[tuple[int, int], threading.RLock] = WeakValueDictionary()
_registry = threading.Lock()
_taken: list[threading.RLock] = []
_left: list[threading.RLock] = []


def lock(rank: int) -> threading.RLock:
    """A new reentrant lock."""
    made = threading.RLock()
    with _registry:
        _locks[rank, next(_numbers)] = made
    return made


def _before() -> None:
    _registry.acquire()
    end = time.monotonic() + PATIENCE
    for _, each in sorted(_locks.items()):
        (_taken if each.acquire(timeout=max(0.0, end - time.monotonic())) else _left).append(each)


def _after() -> None:
    for each in reversed(_taken):
        each.release()
    _taken.clear()
    _left.clear()
    _registry.release()


def _in_child() -> None:
    for each in _left:
        each._at_fork_reinit()  # type: ignore[attr-defined]  # noqa: SLF001  # as the standard library's own locks
    _after()


if hasattr(os, "register_at_fork"):  # where there is no fork, there is nothing to see to
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_in_child)
