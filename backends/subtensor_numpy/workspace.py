"""Memory for large temporaries, kept from call to call.

The system gives fresh memory page by page, when it is first touched, and takes it back when a large array is dropped.
For a step on 16,384 rows of 64 that costs several times what computing on them does. So temporaries of at least
``LARGE`` bytes lie in buffers that each thread keeps; what leaves a program never does.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from subtensor.graph.types import Shape
from subtensor.program.linear import Instruction
from subtensor_numpy.scatter import check_range

Array = np.ndarray[Any, np.dtype[Any]]

LARGE = 1 << 21
"""Bytes of a temporary from which on it is worth while: smaller ones are served from what the process has at hand."""

MOST = 1 << 28
"""Bytes that a thread keeps at most."""


class Workspace(threading.local):
    """The buffers of a thread, by number: programs use them in turn, so each is as large as any of them needs."""

    def __init__(self) -> None:
        self.buffers: dict[int, Array] = {}

    @contextmanager
    def another(self) -> Iterator[None]:
        """Other buffers meanwhile: what lies in these is still needed."""
        mine, self.buffers = self.buffers, {}
        try:
            yield
        finally:
            self.buffers = mine


workspace = Workspace()


def place(number: int, shape: tuple[int, ...], dtype: Any) -> Array:
    """An array of any content: in buffer `number` of this thread's workspace, unless that would become too large."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    buffers = workspace.buffers
    buffer = buffers.get(number)
    if buffer is None or buffer.nbytes < size:
        wanted = size + size // 4
        others = sum(b.nbytes for n, b in buffers.items() if n != number)
        if others + wanted > MOST:
            return np.empty(shape, dtype)
        buffer = buffers[number] = np.empty(wanted, np.uint8)
    return np.ndarray(shape, dtype, buffer)


def take_rows(x: Array, ids: Array, number: int) -> Array:
    """``x[ids]`` in the workspace, for integers of any shape; raises IndexError where one is out of range."""
    if not x.flags.c_contiguous:  # of which ``take`` makes a copy first
        return x[ids]
    check_range(ids, len(x))
    return x.take(ids, 0, place(number, ids.shape + x.shape[1:], x.dtype), "wrap")


class Rooms:
    """Which results of a program go into the workspace, and into which buffers.

    slots: those that may, for nothing shares their memory when the program ends.
    """

    def __init__(self, slots: Collection[int] = ()) -> None:
        self.slots = slots
        self.numbers: dict[int, int] = {}

    def least(self, i: Instruction, row: Shape) -> int | None:
        """The number of rows, of shape `row`, from which on a result goes there; None if it never does."""
        size = np.dtype(i.type.dtype).itemsize * math.prod(d or 0 for d in row)
        if i.out not in self.slots or not size:
            return None
        least = -(-LARGE // size)
        rows = i.type.shape[0]
        return None if len(row) + 1 == i.type.ndim and rows is not None and rows < least else least

    def number(self, i: Instruction) -> int:
        return self.numbers.setdefault(i.out, len(self.numbers))
