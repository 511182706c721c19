"""From data to what programs take: ids for strings, and lists of lists as flat ids with lengths."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from subtensor.errors import DomainError, DTypeError, ShapeError
from subtensor.graph.nodes import Array

_LARGEST = 1 << 63


def hash_ids(strings: Any, buckets: int, seed: int = 0) -> Array:
    """Ids in [0, buckets) for strings: the same on every platform, in every process and version.

    strings: a str or bytes, or an array or nested lists of them. Returns int64 of the same shape. The id of a string is
    the first 8 bytes, little-endian, of the BLAKE2b hash with the 8 bytes of `seed` as its key, modulo `buckets`; a str
    is hashed as UTF-8. Other seeds give independent ids. Raises DTypeError for what is no string, DomainError for
    buckets that are not 1 to 2**63 and seeds that are not 0 to 2**64 - 1, ShapeError for lists of different lengths.
    """
    count, number = _integer("buckets", buckets, 1, _LARGEST), _integer("seed", seed, 0, (1 << 64) - 1)
    new = blake2b(digest_size=8, key=number.to_bytes(8, "little")).copy
    known: dict[Any, int] = {}

    def one(text: Any) -> int:
        found = known.get(text)
        if found is None:
            if not isinstance(text, str | bytes):
                raise DTypeError(f"hash_ids: got {text!r} of type {type(text).__name__}; expected str or bytes")
            state = new()
            state.update(text.encode() if isinstance(text, str) else text)
            found = known[text] = int.from_bytes(state.digest(), "little") % count
        return found

    if isinstance(strings, str | bytes):
        return np.asarray(one(strings), np.int64)
    values = strings if isinstance(strings, np.ndarray) else _nested(strings)
    flat = values.ravel().tolist()
    return np.fromiter(map(one, flat), np.int64, len(flat)).reshape(values.shape)


def _integer(name: str, value: Any, low: int, high: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise DTypeError(f"hash_ids: {name}={value!r}; expected an integer") from None
    if not low <= number <= high:
        raise DomainError(f"hash_ids: {name} is {number}; expected {low} to {high}")
    return number


def _nested(strings: Any) -> Array:
    """Nested lists as an array of objects."""
    items = list(strings)
    if not items or all(isinstance(i, str | bytes) for i in items):
        made = np.empty(len(items), object)
        made[:] = items
        return made
    if not all(isinstance(i, list | tuple | np.ndarray) for i in items):
        wrong = next(i for i in items if not isinstance(i, str | bytes | list | tuple | np.ndarray))
        raise DTypeError(f"hash_ids: got {wrong!r} of type {type(wrong).__name__}; expected str or bytes")
    rows = [i if isinstance(i, np.ndarray) else _nested(i) for i in items]
    if len({r.shape for r in rows}) > 1:
        raise ShapeError("hash_ids: the lists have different lengths; use hash_ids(st.ragged(lists).flat, ...)")
    return np.stack(rows)


@dataclass(frozen=True)
class Ragged:
    """Lists of different lengths, one after the other.

    flat: their elements. lengths: int64, how many each has.
    """

    flat: Array
    lengths: Array

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[Array]:
        return iter(np.split(self.flat, np.cumsum(self.lengths)[:-1]) if len(self) else ())

    @property
    def offsets(self) -> Array:
        """Where each list starts: int64."""
        return np.cumsum(self.lengths) - self.lengths

    @property
    def segments(self) -> Array:
        """For each element the number of its list: int64."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    def take(self, which: Any) -> Ragged:
        """Some of the lists, by a slice, numbers or a mask of them: a batch."""
        lengths = np.atleast_1d(self.lengths[which])
        starts = np.atleast_1d(self.offsets[which])
        at = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths) + np.arange(lengths.sum())
        return Ragged(self.flat[at], lengths)

    def padded(self, fill: Any = 0, width: int | None = None) -> tuple[Array, Array]:
        """A matrix with a list in each row, and the mask of what belongs to it.

        fill: what stands after the end of a list. width: columns; as many as the longest list has where None; longer
        lists are cut off.
        """
        columns = int(self.lengths.max(initial=0)) if width is None else width
        mask = np.arange(columns) < self.lengths[:, None]
        inside = np.arange(len(self.flat)) - np.repeat(self.offsets, self.lengths) < columns
        matrix = np.full(mask.shape, fill, self.flat.dtype)
        matrix[mask] = self.flat[inside]
        return matrix, mask


def ragged(lists: Any, dtype: Any = None) -> Ragged:
    """Lists of different lengths as a ``Ragged``: ``st.embedding_bag(table, flat, lengths=lengths)`` takes its parts.

    lists: an iterable of lists or vectors of numbers or strings, perhaps empty ones. dtype: of the elements; int64
    where all lists are empty. Raises DTypeError and ShapeError for elements that are no lists of such.
    """
    if isinstance(lists, str | bytes) or not isinstance(lists, Iterable):
        raise DTypeError(f"ragged: got {lists!r}; expected lists of ids")
    rows: list[Array] = []
    for k, row in enumerate(lists):
        if isinstance(row, str | bytes | dict | set) or not isinstance(row, Sequence | np.ndarray):
            raise DTypeError(f"ragged: element {k} is {row!r}; expected a list or a vector")
        array = np.asarray(row) if len(row) else np.zeros(0, np.int64)
        if array.ndim != 1:
            raise ShapeError(f"ragged: element {k} has {array.ndim} axes; expected a vector")
        if array.dtype.kind not in "buifUS":
            raise DTypeError(f"ragged: element {k} is of NumPy dtype {array.dtype}; expected numbers or strings")
        rows.append(array)
    filled = [r for r in rows if len(r)]
    if len({r.dtype.kind in "US" for r in filled}) > 1:
        raise DTypeError("ragged: some lists hold numbers and some strings; expected one or the other")
    flat = np.concatenate(filled) if filled else np.zeros(0, np.int64)
    return Ragged(flat if dtype is None else flat.astype(dtype), np.array([len(r) for r in rows], np.int64))


__all__ = ["Ragged", "hash_ids", "ragged"]
