"""The file format safetensors, written and read in pieces.

A file is the length of its header (8 bytes, little-endian), the header (JSON: for each name a dtype, a shape, and where
its bytes lie behind the header), and the bytes, in C order and little-endian. Checksums stand in the header's metadata,
which other readers pass over. Format: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
import os
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from subtensor.checkpoint.names import RESERVED
from subtensor.errors import CheckpointError
from subtensor.graph.nodes import Array

DTYPES = {
    "BF16": "bfloat16", "BOOL": "bool", "F16": "float16", "F32": "float32", "F64": "float64", "I16": "int16",
    "I32": "int32", "I64": "int64", "I8": "int8", "U16": "uint16", "U32": "uint32", "U64": "uint64", "U8": "uint8",
}  # fmt: skip
"""The dtypes that subtensor has, by the names that the format gives them."""

_CODES = {name: code for code, name in DTYPES.items()}

PIECE = 8 << 20
"""Bytes that are read or written at a time."""

_AHEAD = 4
"""Pieces that may be written before their checksums are known."""

_CHECKSUMS = "crc32"
_MOST_HEADER = 100_000_000
"""Bytes: what readers of the format accept."""


@dataclass(frozen=True)
class Entry:
    """A tensor of a file. dtype: NumPy's name. begin: where its bytes begin. crc32: of them, where known."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    crc32: int | None = None

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


def layout(values: Mapping[str, tuple[str, tuple[int, ...]]]) -> dict[str, Entry]:
    """Where tensors will lie, counted from the header's end, widest dtypes first. values: dtypes and shapes by name."""
    order = sorted(values, key=lambda name: (-np.dtype(values[name][0]).itemsize, name))
    entries, end = {}, 0
    for name in order:
        dtype, shape = values[name]
        entries[name] = Entry(dtype, shape, end)
        end += entries[name].nbytes
    return entries


def header(entries: Mapping[str, Entry]) -> bytes:
    """The first bytes of a file; as many for any checksums."""
    sums = json.dumps({name: f"{e.crc32 or 0:08x}" for name, e in entries.items()})
    content: dict[str, Any] = {RESERVED: {"writer": "subtensor", _CHECKSUMS: sums}}
    for name, e in entries.items():
        offsets = [e.begin, e.begin + e.nbytes]
        content[name] = {"dtype": _CODES[e.dtype], "shape": list(e.shape), "data_offsets": offsets}
    text = json.dumps(content, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


class _Sum:
    """A checksum, piece by piece."""

    def __init__(self) -> None:
        self.crc = 0

    def add(self, piece: Any) -> None:
        """Go on with the next bytes."""
        self.crc = zlib.crc32(piece, self.crc)


def write(
    file: IO[bytes],
    entries: Mapping[str, Entry],
    pieces: Callable[[str], Iterator[Any]],
    written: Callable[[int], object],
) -> None:
    """Write a file: `pieces` gives the bytes of a tensor, in order; `written` is told how many have gone."""
    write_all(file, header(entries))
    summed = {}
    with ThreadPoolExecutor(1) as other:  # checksums take as long as writing does
        for name, entry in entries.items():
            sum_ = _Sum()
            waiting: deque[Future[None]] = deque()
            for piece in pieces(name):
                waiting.append(other.submit(sum_.add, piece))
                write_all(file, piece)
                written(len(piece))
                if len(waiting) > _AHEAD:
                    waiting.popleft().result()
            for each in waiting:
                each.result()
            summed[name] = replace(entry, crc32=sum_.crc)
    file.seek(0)
    write_all(file, header(summed))


def write_all(file: IO[bytes], content: Any) -> None:
    """Write to an unbuffered file, which may take less than it is given at a time."""
    left = memoryview(content).cast("B")
    while left:
        left = left[file.write(left) :]


def read_all(file: IO[bytes], room: Any) -> bool:
    """Fill `room` from an unbuffered file; whether there was enough."""
    left = memoryview(room).cast("B")
    while left:
        n = file.readinto(left)  # type: ignore[attr-defined]  # of an unbuffered file
        if not n:
            return False
        left = left[n:]
    return True


class Damaged(ValueError):
    """What is wrong with a file."""


def read_header(file: IO[bytes], path: str) -> dict[str, Entry]:
    """What lies in a file, all of it checked against the file's length. Raises CheckpointError."""
    try:
        return _entries(file, path)
    except (Damaged, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            f"load: {path} is not a whole safetensors file ({error}): truncated, or of another kind"
        ) from error


def _entries(file: IO[bytes], path: str) -> dict[str, Entry]:
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(size - 8, _MOST_HEADER):
        raise Damaged(f"it has {size} bytes, and begins with a header of {length}")
    content = json.loads(file.read(length), object_pairs_hook=_once)
    metadata = content.pop(RESERVED, {})
    if any(not isinstance(v, str) for v in metadata.values()):
        raise Damaged("its metadata holds more than strings")
    sums = json.loads(metadata.get(_CHECKSUMS, "{}"))
    entries, spans = {}, []
    for name, given in content.items():
        begin, end = given["data_offsets"]
        shape = given["shape"]
        if any(type(n) is not int or n < 0 for n in (begin, end, *shape)):
            raise Damaged(f"{name!r} has a length that is no number, or is negative")
        spans.append((begin, end))
        code = given["dtype"]
        if code not in DTYPES:
            raise CheckpointError(
                f"load: {printable(name)} in {path} has dtype {printable(str(code))}, which subtensor has not; "
                f"expected one of {', '.join(DTYPES)}: convert it with the library that wrote it"
            )
        crc = int(sums[name], 16) if name in sums else None
        entries[name] = Entry(DTYPES[code], tuple(shape), 8 + length + begin, crc)
        if end - begin != entries[name].nbytes:
            raise Damaged(f"{name!r} has {end - begin} bytes, its shape {entries[name].nbytes}")
    at = 0
    for begin, end in sorted(spans):
        if begin != at:
            raise Damaged("its tensors overlap, or leave gaps")
        at = end
    if 8 + length + at != size:
        raise Damaged(f"it has {size} bytes, due {8 + length + at}")
    return entries


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Damaged("its header has a name twice")
    return found


def printable(name: str) -> str:
    """A name from a file, as it may go to a terminal."""
    return name if name.isprintable() else repr(name)


def verify(file: IO[bytes], path: str, name: str, entry: Entry, read: Callable[[int], object]) -> None:
    """Read the bytes of a tensor, to see that they can be, and are what was written. Raises CheckpointError."""
    room = memoryview(bytearray(min(PIECE, entry.nbytes)))
    crc, left = 0, entry.nbytes
    file.seek(entry.begin)
    while left:
        part = room[: min(left, len(room))]
        if not read_all(file, part):
            raise CheckpointError(f"load: {path} ends within {printable(name)}: it was cut short while it was read")
        crc = zlib.crc32(part, crc)
        left -= len(part)
        if entry.dtype == "bool" and np.frombuffer(part, np.uint8).max() > 1:
            raise CheckpointError(
                f"load: {printable(name)} in {path} is bool, and has bytes other than 0 and 1: the file is damaged, or "
                "was not written as the format says"
            )
        read(len(part))
    if entry.crc32 is not None and crc != entry.crc32:
        raise CheckpointError(
            f"load: the bytes of {printable(name)} in {path} are not those that were written: its checksum is "
            f"{crc:08x}, due {entry.crc32:08x}; the file is damaged"
        )


def parts(path: Path, entry: Entry, start: int, stop: int) -> Iterator[tuple[int, Array]]:
    """Rows `start` to `stop` of a tensor, some at a time, with the number of the first of them; the whole if 0-d."""
    row = entry.nbytes // entry.shape[0] if entry.shape and entry.shape[0] else entry.nbytes
    step = max(1, PIECE // max(row, 1))
    with path.open("rb", buffering=0) as file:
        for low in range(start, stop, step):
            high = min(stop, low + step)
            shape = (high - low, *entry.shape[1:]) if entry.shape else ()
            rows = np.empty(shape, entry.dtype)
            file.seek(entry.begin + low * row)
            if rows.nbytes and not read_all(file, rows.reshape(-1).view(np.uint8)):
                raise OSError(f"{path} ends too soon: it was cut short while it was read")
            yield low, rows
