"""Word vectors as word2vec writes them, as text or binary: read and written in pieces.

A file begins with a line ``rows columns``; then, for each row, a word, a space and its vector: as text, numbers with
spaces between them and a newline; or binary, float32 in little-endian order and perhaps a newline. Text without the
first line, as GloVe's, is read too. Words are UTF-8 and hold neither spaces nor newlines.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from subtensor.checkpoint.files import replacing
from subtensor.checkpoint.loading import fill_from
from subtensor.checkpoint.safetensors import printable, write_all
from subtensor.errors import CheckpointError, ShapeError
from subtensor.graph.cells import Cell
from subtensor.graph.nodes import Array
from subtensor.graph.shared import SharedVariable
from subtensor.progress import Bar

_PIECE = 4096
"""Rows that are read or written at a time."""

_LOOK = 1 << 16
_LONGEST = 1 << 16
"""Bytes of a word, at most."""

_NAME = "vectors"


class _File:
    """A file of word vectors, as a source for ``fill_from``. words: those that were read last."""

    def __init__(self, path: Path, binary: bool | None, limit: int | None) -> None:
        self.path, self.where = path, os.fspath(path)
        self.words: list[str] = []
        self.buffer, self.at = b"", 0
        with path.open("rb") as file:
            first = file.readline(_LOOK)
            header = re.fullmatch(rb"(\d{1,18}) (\d{1,9})\s*", first)
            self.begin = len(first) if header else 0
            if header:
                rows, self.columns = int(header[1]), int(header[2])
                self.binary = self._is_binary(file) if binary is None else binary
            elif binary:
                raise CheckpointError(f"word2vec: {self.where} does not begin with its numbers of rows and columns")
            else:
                self.binary, self.columns = False, len(first.split()) - 1
                file.seek(0)
                rows = sum(1 for line in file if line.strip())
        if rows and self.columns < 1:
            raise CheckpointError(f"word2vec: {self.where} holds no vectors in its first line, {first[:60]!r}")
        self.rows = rows if limit is None else min(rows, limit)
        self.found: Mapping[str, tuple[str, tuple[int, ...]]] = {_NAME: ("float32", (self.rows, self.columns))}

    def _is_binary(self, file: IO[bytes]) -> bool:
        """Whether the first row is no line of a word and numbers."""
        line = file.readline(_LOOK)
        try:
            numbers = [float(x) for x in line.decode().split(" ")[1:] if x.strip()]
        except ValueError:
            return True
        return bool(line) and len(numbers) != self.columns

    def verify(self, name: str, done: Bar) -> None:  # noqa: ARG002  # there is one value
        self.words = []
        for words, rows in self.pieces():
            self.words += words
            done.update(rows.nbytes)

    def parts(self, name: str, start: int, stop: int) -> Iterator[tuple[int, Array]]:  # noqa: ARG002  # as above
        at = 0
        for _, rows in self.pieces():
            yield at, rows
            at += len(rows)

    def pieces(self) -> Iterator[tuple[list[str], Array]]:
        """Words and their vectors, some at a time. Raises CheckpointError."""
        with self.path.open("rb") as file:
            file.seek(self.begin)
            self.buffer, self.at = b"", 0
            for low in range(0, self.rows, _PIECE):
                count = min(_PIECE, self.rows - low)
                yield self._binary(file, low, count) if self.binary else self._text(file, low, count)

    def _binary(self, file: IO[bytes], low: int, count: int) -> tuple[list[str], Array]:
        words, rows, size = [], np.empty((count, self.columns), "<f4"), 4 * self.columns
        for k in range(count):
            word, at = b"", self.buffer.find(b" ", self.at)
            if at < 0 or at + 1 + size > len(self.buffer):
                self.buffer, self.at = self.buffer[self.at :] + file.read(max(_LOOK, 16 * size)), 0
                at = self.buffer.find(b" ")
            word = self.buffer[self.at : at].lstrip(b"\n")  # after the vector before it
            if at < 0 or len(word) > _LONGEST:
                raise self._fault(low + k, "there is no word; it is not binary, or has vectors of another length")
            self.at = at + 1 + size
            if self.at > len(self.buffer):
                raise self._fault(low + k, "the file ends there")
            rows[k] = np.frombuffer(self.buffer, "<f4", self.columns, at + 1)
            words.append(self._word(word, low + k))
        return words, rows.astype(np.float32, copy=False)

    def _text(self, file: IO[bytes], low: int, count: int) -> tuple[list[str], Array]:
        words: list[str] = []
        rows = np.empty((count, self.columns), np.float32)
        while len(words) < count:
            line = file.readline()
            at = low + len(words)
            if not line:
                raise self._fault(at, "the file ends there")
            if not line.strip():
                continue
            word, *numbers = line.split()
            if len(numbers) != self.columns:
                raise self._fault(at, f"it has {len(numbers)} numbers; expected {self.columns}")
            try:
                rows[len(words)] = np.array(numbers, "S").astype(np.float32)
            except ValueError as error:
                raise self._fault(at, f"it holds what is no number ({error})") from error
            words.append(self._word(word, at))
        return words, rows

    def _word(self, word: bytes, at: int) -> str:
        try:
            return word.decode()
        except UnicodeDecodeError as error:
            raise self._fault(at, f"its word is not UTF-8 ({error.reason})") from error

    def _fault(self, row: int, what: str) -> CheckpointError:
        return CheckpointError(f"word2vec: row {row} of {self.where} is not as it should be: {what}")


def load_word2vec(
    path: str | os.PathLike[str], *, binary: bool | None = None, limit: int | None = None, into: Any = None
) -> tuple[list[str], Any]:
    """The words of a word2vec file, in order, and their vectors: (rows, columns) float32.

    path: of the file, text or binary. binary: which of them; found out where None. limit: how many rows to read, at
    most. into: what takes the vectors, piece by piece, and is returned in place of a new array: a shared variable of
    float32, which changes only if the whole file could be read, or an array of as many rows, such as a
    ``numpy.memmap``.

    Raises CheckpointError for what is no such file, or has other rows than a variable, ShapeError for an array of
    another shape, OSError as reading does.
    """
    if limit is not None and (type(limit) is not int or limit < 0):
        raise CheckpointError(f"word2vec: limit={limit!r}; expected a number of rows")
    file = _File(Path(path), binary, limit)
    if isinstance(into, SharedVariable):
        fill_from(file, {_NAME: into}, False)
        return file.words, into
    shape = (file.rows, file.columns)
    target = np.empty(shape, np.float32) if into is None else into
    if not isinstance(target, np.ndarray) or target.shape != shape:
        raise ShapeError(f"word2vec: into has shape {np.shape(into)}; the vectors of {file.where} have {shape}")
    words: list[str] = []
    for more, rows in file.pieces():
        target[len(words) : len(words) + len(rows)] = rows
        words += more
    return words, target


def save_word2vec(path: str | os.PathLike[str], words: Sequence[str], vectors: Any, *, binary: bool = False) -> None:
    """Write words and vectors as word2vec does, piece by piece; the file takes the place of `path` when it is whole.

    words: one for each row, without spaces and newlines. vectors: a shared variable or an array, (rows, columns)
    floats; written as float32. Raises ShapeError for other shapes, CheckpointError for words that the format has not.
    """
    cell = vectors.cell if isinstance(vectors, SharedVariable) else Cell(np.asarray(vectors))
    with cell.lock:
        cell.settle()
        shape = cell.shape
        if len(shape) != 2 or len(words) != shape[0]:
            raise ShapeError(
                f"word2vec: {len(words)} words and vectors of shape {shape}; expected a matrix with a row for each word"
            )
        for k, word in enumerate(words):
            if not word or re.search(r"\s", word):
                raise CheckpointError(
                    f"word2vec: word {k} is {printable(str(word))!r}; expected a word without spaces and newlines"
                )
        with replacing(Path(path)) as file:
            write_all(file, f"{shape[0]} {shape[1]}\n".encode())
            for low in range(0, shape[0], _PIECE):
                high = min(shape[0], low + _PIECE)
                rows = np.concatenate([np.asarray(p, np.float32) for p in cell.pieces(low, high, _PIECE)])
                write_all(file, _spelled(words[low:high], rows, binary=binary))


def _spelled(words: Sequence[str], rows: Array, *, binary: bool) -> bytes:
    if binary:
        return b"".join(w.encode() + b" " + r.tobytes() + b"\n" for w, r in zip(words, rows.astype("<f4"), strict=True))
    numbers = rows.astype("U32")  # the shortest that give the number again
    return "".join(f"{w} {' '.join(r)}\n" for w, r in zip(words, numbers, strict=True)).encode()
