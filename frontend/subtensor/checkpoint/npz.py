"""NumPy's files as checkpoints: ``.npz``, a value for each name, and ``.npy``, one value. Nothing is pickled."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Self, TypeAlias

import numpy as np

from subtensor.checkpoint.safetensors import PIECE, Entry, printable
from subtensor.errors import CheckpointError
from subtensor.graph.nodes import Array
from subtensor.graph.types import BFLOAT16, DTYPES
from subtensor.progress import Bar

NPY, NPZ = b"\x93NUMPY", b"PK\x03\x04"
"""What the files begin with."""

_EMPTY = b"PK\x05\x06"

_Header: TypeAlias = tuple["np.dtype[Any]", tuple[int, ...], bool]


class FromNumpy:
    """A ``.npy`` or ``.npz`` file, as a source of values."""

    def __init__(self, path: Path, only: str | None = None) -> None:
        """only: the name of the one value of a ``.npy`` file."""
        self.path, self.where, self.only = path, os.fspath(path), only
        try:
            self.zip = None if only is not None else zipfile.ZipFile(path)
            names = {only: ""} if only is not None else self._names()
            self.members = names
            self.headers = {name: self._header(member) for name, member in names.items()}
        except (ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"load: {self.where} is not a whole file of NumPy's ({error})") from error
        self.found = {name: (dtype.name, shape) for name, (dtype, shape, _) in self.headers.items()}

    def _names(self) -> dict[str, str]:
        assert self.zip is not None
        return {i.filename.removesuffix(".npy"): i.filename for i in self.zip.infolist()}

    def _open(self, member: str) -> IO[bytes]:
        return self.path.open("rb") if self.zip is None else self.zip.open(member)

    def _header(self, member: str) -> _Header:
        with self._open(member) as file:
            return self._read(file, member)

    def _read(self, file: IO[bytes], member: str) -> _Header:
        """dtype as it is stored, shape, and whether columns come first; the file stands at the numbers then."""
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
        if dtype.name not in DTYPES:
            what = "objects, which only unpickling could read" if dtype.hasobject else f"NumPy dtype {dtype}"
            raise CheckpointError(f"load: {printable(member) or 'the array'} in {self.where} holds {what}")
        return dtype, shape, fortran

    def verify(self, name: str, done: Bar) -> None:
        """Read all of it: an archive's checksums are compared, and lengths."""
        for _, piece in self.parts(name, 0, self._rows(name)):
            done.update(piece.nbytes)

    def _rows(self, name: str) -> int:
        shape = self.headers[name][1]
        return shape[0] if shape else 1

    def parts(self, name: str, start: int, stop: int) -> Iterator[tuple[int, Array]]:
        member = self.members[name]
        try:
            with self._open(member) as file:
                dtype, shape, fortran = self._read(file, member)
                native = dtype.newbyteorder("=")
                if fortran or not shape:
                    whole = self._taken(file, dtype, shape[::-1]).T
                    yield start, np.ascontiguousarray(whole[start:stop] if shape else whole, native)
                    return
                row = dtype.itemsize * int(np.prod(shape[1:], dtype=np.int64))
                file.seek(start * row, os.SEEK_CUR)
                step = max(1, PIECE // max(row, 1))
                for low in range(start, stop, step):
                    rows = self._taken(file, dtype, (min(stop, low + step) - low, *shape[1:]))
                    yield low, rows.astype(native, copy=False)
                file.read(1)  # at the end, where an archive looks at its checksum
        except (zipfile.BadZipFile, ValueError, EOFError) as error:
            raise CheckpointError(f"load: {printable(name)} in {self.where} is damaged ({error})") from error

    def _taken(self, file: IO[bytes], dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
        count = int(np.prod(shape, dtype=np.int64))
        data = file.read(count * dtype.itemsize)
        if len(data) != count * dtype.itemsize:
            raise EOFError("it ends too soon")
        return np.frombuffer(data, dtype).reshape(shape)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.zip is not None:
            self.zip.close()


def form_of(path: Path) -> bytes | None:
    """``NPY`` or ``NPZ``, if a file is one of these."""
    with path.open("rb") as file:
        begin = file.read(6)
    return NPY if begin == NPY else NPZ if begin[:4] in (NPZ, _EMPTY) else None


def write(
    file: IO[bytes],
    suffix: str,
    entries: Mapping[str, Entry],
    pieces: Callable[[str], Iterator[Any]],
    written: Callable[[int], object],
) -> None:
    """Write ``.npz``, or ``.npy`` of one value. Raises CheckpointError for what the format has not."""
    for name, e in entries.items():
        if e.dtype == BFLOAT16:
            raise CheckpointError(f"save: {name} is bfloat16, of which NumPy's files keep nothing; use .safetensors")
    if suffix == ".npy":
        if len(entries) > 1:
            raise CheckpointError(f"save: {len(entries)} variables for a .npy file, which holds one; use .npz")
        ((name, entry),) = entries.items()
        _write_one(file, entry, pieces(name), written)
        return
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, entry in entries.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                _write_one(member, entry, pieces(name), written)


def _write_one(file: IO[bytes], entry: Entry, pieces: Iterator[Any], written: Callable[[int], object]) -> None:
    descr = np.lib.format.dtype_to_descr(np.dtype(entry.dtype).newbyteorder("<"))
    head = {"descr": descr, "fortran_order": False, "shape": entry.shape}
    np.lib.format.write_array_header_2_0(file, head)
    for piece in pieces:
        left = memoryview(piece).cast("B")
        while left:
            left = left[file.write(left) :]
        written(len(piece))
