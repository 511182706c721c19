"""The files of a store: tables as ``.npy``, with a place on the disk, and the manifest that says what they are."""

from __future__ import annotations

import errno
import json
import math
import mmap
import os
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import numpy as np

from subtensor.errors import StoreError
from subtensor.graph.nodes import Array

MANIFEST = "manifest.json"
FORMAT = 1

_CHUNK = 8 << 20

_SCATTERED_FROM = 64 << 20
"""Bytes of a table from which on rows are taken to be read here and there."""


@dataclass(frozen=True)
class Table:
    """A table of a store, as the manifest has it. file: its name. begin: where its bytes begin in the file."""

    file: str
    dtype: str
    shape: tuple[int, ...]
    begin: int

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.begin + self.nbytes


def file_name(name: str) -> str:
    """The file for a table: its name, with what file systems do not take written as ``%2F``; a legible one."""
    plain = quote(name, safe=" ()[]{}+=,@", encoding="utf-8").replace("~", "%7E")
    return f"{'%2E' + plain[1:] if plain.startswith('.') else plain}.npy"


# --- the manifest


def write_manifest(folder: Path, tables: Mapping[str, Table]) -> None:
    """Replace the manifest, in one move, when all is on the disk."""
    content = {
        "format": FORMAT,
        "tables": {n: {"file": t.file, "dtype": t.dtype, "shape": list(t.shape)} for n, t in tables.items()},
    }
    handle, temporary = tempfile.mkstemp(prefix=".manifest.", dir=folder)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        os.replace(temporary, folder / MANIFEST)  # noqa: PTH105  # as fsync, of the same module
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise
    sync_folder(folder)


def read_manifest(folder: Path) -> dict[str, Table]:
    """What a store holds, compared with its files. Raises StoreError."""
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise StoreError(
                f"{path} is of format {content['format']!r}, expected {FORMAT}; open the store with the version of "
                "subtensor that wrote it"
            )
        given = {n: (t["file"], t["dtype"], tuple(map(int, t["shape"]))) for n, t in content["tables"].items()}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise StoreError(f"{path} is no manifest of a store ({error}): damaged, or of another kind") from error
    return {name: _found(folder, *entry) for name, entry in given.items()}


def _found(folder: Path, file: str, dtype: str, shape: tuple[int, ...]) -> Table:
    path = folder / file
    if Path(file).name != file:
        raise StoreError(f"{folder / MANIFEST} names the file {file!r}, which is not in its folder")
    try:
        with path.open("rb") as opened:
            begin, have, there = header_of(opened)
            size = os.fstat(opened.fileno()).st_size
    except FileNotFoundError:
        raise StoreError(f"the store {folder} lacks the file {file}, which its manifest names") from None
    except ValueError as error:
        raise StoreError(f"{path} is no .npy file in C order ({error}): damaged, or of another kind") from error
    table = Table(file, dtype, shape, begin)
    if have != dtype or there[1:] != shape[1:] or len(there) != len(shape):
        raise StoreError(
            f"{path} holds {have} of shape {there}; expected {dtype} of shape {shape}, as the manifest says"
        )
    if size < table.size:
        raise StoreError(
            f"{path} has {size} bytes; expected {table.size}, for {dtype} of shape {shape}: it was cut short; restore "
            "it from a checkpoint"
        )
    return table


# --- tables


def header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """The first bytes of a ``.npy`` file; as many for any number of rows."""
    described = np.lib.format.dtype_to_descr(np.dtype(dtype))
    text = f"{{'descr': {described!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    room = len(text) + (21 - len(str(shape[0])) if shape else 0) + 1  # a number of rows has 20 digits at most
    whole = -(-(10 + room) // 64) * 64
    return b"\x93NUMPY\x01\x00" + (whole - 10).to_bytes(2, "little") + text.ljust(whole - 11).encode() + b"\n"


def header_of(file: IO[bytes]) -> tuple[int, str, tuple[int, ...]]:
    """Where the bytes of an ``.npy`` file begin, its dtype and its shape. Raises ValueError."""
    version = np.lib.format.read_magic(file)
    read: Any = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if fortran and len(shape) > 1:
        raise ValueError("it is in Fortran order")
    if not dtype.isnative:
        raise ValueError(f"its numbers are {dtype.str}, of another byte order")
    return file.tell(), dtype.name, shape


def create(folder: Path, name: str, dtype: str, shape: tuple[int, ...], pieces: Iterable[Array] | None) -> Table:
    """A new file of a table that no manifest names yet. pieces: its rows, in order; zeros where None.

    Its place on the disk is taken at once, so that writing to it later cannot fail. Raises OSError, which names it.
    """
    first = header(dtype, shape)
    table = Table(file_name(name), dtype, shape, len(first))
    path = folder / table.file
    try:
        with path.open("wb", buffering=0) as file:
            reserve(file.fileno(), table.size)
            _put(file, first)
            for piece in pieces or ():
                _put(file, np.ascontiguousarray(piece).reshape(-1).view(np.uint8))
            os.fsync(file.fileno())
    except OSError as error:
        with suppress(OSError):
            path.unlink()
        raise naming(error, path) from None
    sync_folder(folder)
    return table


def _put(file: IO[bytes], content: Any) -> None:
    left = memoryview(content).cast("B") if len(content) else memoryview(b"")
    while left:
        left = left[file.write(left) :]


def reserve(handle: int, size: int) -> None:
    """Give an open file `size` bytes, all of which have a place on the disk. Raises OSError where there is no room."""
    have = os.fstat(handle).st_size
    if hasattr(os, "posix_fallocate"):
        if size > have:
            os.posix_fallocate(handle, have, size - have)
        return
    os.lseek(handle, have, os.SEEK_SET)
    zeros = bytes(min(_CHUNK, max(size - have, 0)))
    while have < size:
        have += os.write(handle, zeros[: size - have])


def naming(error: OSError, path: Path) -> OSError:
    """An error of the system that says which file it is about."""
    if error.errno is None:
        return error
    full = error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", -1), errno.EFBIG)
    remedy = "; nothing has changed: make room, and try again" if full else ""
    return StoreError(error.errno, f"{error.strerror}{remedy}", os.fspath(path))


def mapped(folder: Path, table: Table, *, writable: bool) -> Array:
    """The array of a table: its file, mapped."""
    dtype = np.dtype(table.dtype)
    if not table.nbytes:
        array = np.empty(table.shape, dtype)
        array.flags.writeable = writable
        return array
    count = math.prod(table.shape)
    where = np.memmap(folder / table.file, dtype, "r+" if writable else "r", table.begin, (count,))
    array = np.asarray(where).reshape(table.shape)
    mapping = mapping_of(array)
    if mapping is not None and table.nbytes >= _SCATTERED_FROM and hasattr(mmap, "MADV_RANDOM"):
        mapping.madvise(mmap.MADV_RANDOM)  # rows are read here and there: what lies beside them would be read in vain
    return array


def read_ahead(part: Array) -> None:
    """Have the system read some rows of a mapped table at once."""
    mapping = mapping_of(part)
    if mapping is None or not part.nbytes or not hasattr(mmap, "MADV_WILLNEED"):
        return
    whole = np.frombuffer(mapping, np.uint8)
    begin = part.ctypes.data - whole.ctypes.data
    first = begin - begin % mmap.PAGESIZE
    mapping.madvise(mmap.MADV_WILLNEED, first, begin + part.nbytes - first)


def mapping_of(array: Array) -> mmap.mmap | None:
    """What ``mapped`` mapped."""
    root: Any = array
    while isinstance(root, np.ndarray):
        root = root.base
    return root if isinstance(root, mmap.mmap) else None


def repair(folder: Path, table: Table) -> None:
    """Bring a file to the length and the shape that the manifest says, after it was not finished to be made longer."""
    with (folder / table.file).open("r+b", buffering=0) as file:
        _, _, shape = header_of(file)
        if os.fstat(file.fileno()).st_size > table.size:
            file.truncate(table.size)
        if shape != table.shape:
            rewrite_header(file, table)


def rewrite_header(file: IO[bytes], table: Table) -> None:
    """Write the shape of a table into its file."""
    first = header(table.dtype, table.shape)
    if len(first) != table.begin:
        raise StoreError(f"{file.name} has a header of {table.begin} bytes, which leaves no room for {table.shape}")
    file.seek(0)
    _put(file, first)


def sync_folder(folder: Path) -> None:
    """See to it that names in a folder outlive a power failure."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
