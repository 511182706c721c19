"""The journal of a store: what a step overwrites is noted before, so that a step that was not finished can be undone.

A record holds, for each part of a table that a step writes, which part it is and what it held. It lies in the file
before the first number of the table is written, and a mark in the file's header says that the step is under way, until
it is done.

A process that is killed leaves in the files everything that it has written, in this order: then only the step under
way, if there is one, is undone. When the power fails, the system may have brought any of it to the disk, in any order.
To outlive that, records are brought to the disk one by one before the tables are written (``durable``), and all of them
are kept until the tables themselves are there: ``checkpoint``. They are then undone back to that moment.
"""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from subtensor.errors import StoreError
from subtensor.graph.cells import Write
from subtensor.graph.nodes import Array
from subtensor.store.files import naming, reserve

PAGE = 4096
"""Bytes of the header; the records follow."""

MOST = 256 << 20
"""Bytes of records from which on a durable journal asks for a checkpoint."""

_MAGIC = int.from_bytes(b"STJRNL1\n", "little")
_RECORD = int.from_bytes(b"STRECRD\n", "little")
_ALIGN = 64

# Places in the header, in 8-byte words.
_KIND, _OPEN, _STEP, _ROUND, _DIRTY, _DURABLE, _BOOT = range(7)
# Places in the header of a record.
_R_KIND, _R_LENGTH, _R_STEP, _R_ROUND, _R_PARTS, _R_SUM, _R_WORDS = (*range(6), 8)

_UNKNOWN = -1
"""For the number of parts: nothing was noted."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

Key = Any
"""A NumPy key: a tuple of slices, integers and integer arrays; a slice; or ``()`` for all."""


def boot_id() -> bytes:
    """What tells one run of the machine from another: 36 bytes; zeros where the system does not say."""
    try:
        return _BOOT_ID.read_bytes().strip()[:36].ljust(36, b"\0")
    except OSError:
        return bytes(36)


class Journal:
    """A journal, open for writing by one process.

    durable: whether it outlives a power failure.
    """

    def __init__(self, path: Path, *, durable: bool) -> None:
        self.path = path
        self.durable = durable
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
        self.handle: int | None = os.open(path, flags, 0o644)
        new = os.fstat(self.handle).st_size < PAGE
        if new:
            self._reserve(1 << 20)
        self._map()
        if new or self.head[_KIND] == 0:
            self.head[: _BOOT + 1] = 0
            self.head[_DURABLE] = durable
            self.head[_KIND] = _MAGIC
            self.sync()
        elif self.head[_KIND] != _MAGIC:
            raise StoreError(f"{path} is no journal of a store: damaged, or of another kind")
        self.end = PAGE

    def _map(self) -> None:
        self.room = np.memmap(self.path, np.uint8, "r+")
        self.bytes = np.asarray(self.room)
        self.head = self.bytes[:PAGE].view(np.int64)

    def _reserve(self, size: int) -> None:
        assert self.handle is not None
        try:
            reserve(self.handle, size)
        except OSError as error:
            raise naming(error, self.path) from None

    @property
    def step(self) -> int:
        """How many steps have been made since the store was created."""
        return int(self.head[_STEP])

    @property
    def under_way(self) -> bool:
        return bool(self.head[_OPEN])

    @property
    def same_boot(self) -> bool:
        """Whether the machine has run since the journal was last written, as far as the system says."""
        return bytes(self.bytes[8 * _BOOT : 8 * _BOOT + 36]) == boot_id()

    @property
    def dirty(self) -> bool:
        """Whether steps were made since the last checkpoint."""
        return bool(self.head[_DIRTY])

    @property
    def was_durable(self) -> bool:
        """Whether the steps since the last checkpoint outlive a power failure."""
        return bool(self.head[_DURABLE])

    def sync(self) -> None:
        """Bring what was written to the disk."""
        self.room.flush()

    def begin(self) -> None:
        """Say that from now on this process writes, in this run of the machine. The tables are on the disk."""
        self.head[_DURABLE] = self.durable
        self.bytes[8 * _BOOT : 8 * _BOOT + 36] = np.frombuffer(boot_id(), np.uint8)
        self.sync()

    # --- a step

    def note(self, parts: Sequence[tuple[int, Array, Key]]) -> tuple[list[Write], list[Write]]:
        """Note what parts of tables hold: number of the table, its array, and a key.

        Returns what marks that the step is under way, and that it is done. Raises StoreError where the disk is full.
        """
        if not self.durable:
            self.end = PAGE
        begin = self.end
        at = begin + 8 * _R_WORDS
        if not self.head[_DIRTY]:
            self.head[_DIRTY] = 1
            if self.durable:
                self.sync()
        for number, array, key in parts:
            at = self._part(at, number, array, key)
        words = self.bytes[begin : begin + 8 * _R_WORDS].view(np.int64)
        words[:_R_SUM] = (_RECORD, at - begin, self.step, self.head[_ROUND], len(parts))
        if self.durable:
            words[_R_SUM] = _sum(words, self.bytes[begin + 8 * _R_WORDS : at])
            self.sync_records()
        self.end = at
        return self._marks(begin)

    def mark(self) -> tuple[list[Write], list[Write]]:
        """As ``note``, of nothing: a step that is not finished can be noticed, and not undone."""
        self.end = PAGE
        self.head[_DIRTY] = 1
        words = self.bytes[PAGE : PAGE + 8 * _R_WORDS].view(np.int64)
        words[:_R_SUM] = (_RECORD, 8 * _R_WORDS, self.step, self.head[_ROUND], _UNKNOWN)
        return self._marks(PAGE)

    def _marks(self, begin: int) -> tuple[list[Write], list[Write]]:
        started = partial(self.head.__setitem__, _OPEN, begin)
        done = np.array([0, self.step + 1])
        return [started], [partial(self.head.__setitem__, slice(_OPEN, _STEP + 1), done)]

    @property
    def is_lost(self) -> bool:
        """Whether a step is under way of which nothing was noted."""
        begin = int(self.head[_OPEN])
        return begin > 0 and int(self.bytes[begin : begin + 8 * _R_WORDS].view(np.int64)[_R_PARTS]) == _UNKNOWN

    def forget(self) -> None:
        """Take what the files hold as it is."""
        self.head[_OPEN] = 0

    def sync_records(self) -> None:
        """Bring records to the disk."""
        if hasattr(os, "fdatasync") and self.handle is not None:
            os.fdatasync(self.handle)
        else:
            self.sync()

    def _part(self, at: int, number: int, array: Array, key: Key) -> int:
        """Write one part of a record, and return where it ends."""
        rows = _rows(key, array)
        if rows is not None:
            words = [number, 1, 1, 1, len(rows)]
            nbytes = len(rows) * (array.nbytes // len(array) if len(array) else 0)
            at, into = self._begin_part(at, [*words], rows, nbytes)
            if nbytes:
                held = self.bytes[into : into + nbytes].view(array.dtype).reshape(len(rows), *array.shape[1:])
                array.take(rows, 0, held, "wrap")
        else:
            old = array[(*key, ...)] if isinstance(key, tuple) else array[key]
            at, into = self._begin_part(at, [number, *_words(key)], None, old.nbytes)
            if old.nbytes:
                held = self.bytes[into : into + old.nbytes].view(array.dtype).reshape(old.shape)
                held[...] = old
        return at

    def _begin_part(self, at: int, words: list[int], rows: Array | None, nbytes: int) -> tuple[int, int]:
        """Write all of a part but what it held: (where it ends, where that goes)."""
        count = len(words) + (0 if rows is None else len(rows))
        into = _aligned(at + 8 * (2 + count))
        end = _aligned(into + nbytes)
        if end > len(self.bytes):
            self._reserve(max(2 * len(self.bytes), end) if end < MOST else _aligned(end + (64 << 20)))
            self._map()
        room = self.bytes[at : at + 8 * (2 + count)].view(np.int64)
        room[:2] = (count, nbytes)
        room[2 : 2 + len(words)] = words
        if rows is not None:
            room[2 + len(words) :] = rows
        return end, into

    # --- undoing

    def undo(self, tables: Mapping[int, Array]) -> bool:
        """Make the step undone that is under way; whether there was one."""
        begin = int(self.head[_OPEN])
        if not begin:
            return False
        for number, key, held in self._parts(begin):
            _restore(tables[number], key, held)
        self.head[_OPEN] = 0
        return True

    def undo_all(self, tables: Mapping[int, Array]) -> int:
        """Make all steps undone that were noted since the last checkpoint; how many."""
        begins = list(self._whole_records())
        for begin in reversed(begins):
            for number, key, held in self._parts(begin):
                _restore(tables[number], key, held)
        if begins:
            self.head[_STEP] = self.bytes[begins[0] : begins[0] + 8 * _R_WORDS].view(np.int64)[_R_STEP]
        self.head[_OPEN] = 0
        return len(begins)

    def _whole_records(self) -> Iterator[int]:
        """Where the records of this round begin, as far as they came to the disk whole."""
        begin, step = PAGE, None
        while begin + 8 * _R_WORDS <= len(self.bytes):
            words = self.bytes[begin : begin + 8 * _R_WORDS].view(np.int64)
            kind, length, number, round_, _, total = map(int, words[: _R_SUM + 1])
            if kind != _RECORD or round_ != self.head[_ROUND] or (step is not None and number not in (step, step + 1)):
                return
            if not 0 < length <= len(self.bytes) - begin:
                return
            content = self.bytes[begin + 8 * _R_WORDS : begin + length]
            if _sum(words, content) != total:
                return
            yield begin
            begin, step = begin + length, number

    def _parts(self, begin: int) -> Iterator[tuple[int, Key, Array]]:
        at = begin + 8 * _R_WORDS
        count = int(self.bytes[begin : begin + 8 * _R_WORDS].view(np.int64)[_R_PARTS])
        for _ in range(count):
            length, nbytes = map(int, self.bytes[at : at + 16].view(np.int64))
            words = self.bytes[at + 16 : at + 16 + 8 * length].view(np.int64)
            into = _aligned(at + 16 + 8 * length)
            yield int(words[0]), _key(words[1:]), self.bytes[into : into + nbytes]
            at = _aligned(into + nbytes)

    def checkpoint(self) -> None:
        """Forget the records: the tables are on the disk."""
        self.head[_DIRTY] = 0
        self.head[_ROUND] += 1
        self.end = PAGE
        self.sync()

    def skip_to_end(self) -> None:
        """Go on behind the records that there are."""
        for begin in self._whole_records():
            self.end = begin + int(self.bytes[begin : begin + 8 * _R_WORDS].view(np.int64)[_R_LENGTH])

    def close(self) -> None:
        """Let go of the file."""
        if self.handle is not None:
            os.close(self.handle)
            self.handle = None

    def __del__(self) -> None:
        self.close()


def _aligned(at: int) -> int:
    return -(-at // _ALIGN) * _ALIGN


def _sum(words: Array, content: Array) -> int:
    return zlib.crc32(content.data, zlib.crc32(words[:_R_SUM].tobytes()))


def _restore(table: Array, key: Key, held: Array) -> None:
    if held.size:
        table[(*key, ...)] = held.view(table.dtype).reshape(table[(*key, ...)].shape)


# --- keys as numbers: how many parts, then for each what it is


def _rows(key: Key, array: Array) -> Array | None:
    """The row numbers, where a key is one vector of them."""
    if not isinstance(key, tuple) or not key or not isinstance(key[0], np.ndarray) or not len(array):
        return None
    rest = all(isinstance(k, slice) and k == slice(None) for k in key[1:])
    return key[0].reshape(-1) if rest and array.flags.c_contiguous else None


def _words(key: Key) -> list[int]:
    parts = key if isinstance(key, tuple) else (key,)
    words = [len(parts)]
    for part in parts:
        if isinstance(part, slice):
            words.append(0)
            for bound in (part.start, part.stop, part.step):
                words += [0, 0] if bound is None else [1, int(bound)]
        else:
            array = np.asarray(part)
            words += [1, array.ndim, *array.shape, *array.reshape(-1).tolist()]
    return words


def _key(words: Array) -> Key:
    count, at = int(words[0]), 1
    parts: list[Any] = []
    for _ in range(count):
        kind = int(words[at])
        if kind == 0:
            bounds = [int(words[at + 2 + 2 * n]) if words[at + 1 + 2 * n] else None for n in range(3)]
            parts.append(slice(*bounds))
            at += 7
            continue
        ndim = int(words[at + 1])
        shape = tuple(map(int, words[at + 2 : at + 2 + ndim]))
        at += 2 + ndim
        size = math.prod(shape)
        array = words[at : at + size].reshape(shape)
        parts.append(array if ndim else int(array))
        at += size
    return tuple(parts)
