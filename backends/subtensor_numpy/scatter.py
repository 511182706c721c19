"""Writing into parts of an array, in place: ``prepare`` checks everything and gives a call that cannot fail.

Adding rows goes through SciPy's ``csc_matvecs``: an n x B sparse matrix, whose column j has a one in row ids[j],
times the B x D matrix of values, added in place. It is several times faster than ``np.add.at`` and adds repeated rows
in order; but it checks nothing and is private to SciPy, so it is probed on first use, and replaced where the probe
fails.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np

from subtensor.graph.indexing import At, Index, Slice
from subtensor_numpy.kernels import row_adder

Array = np.ndarray[Any, np.dtype[Any]]
Call = Callable[[], object]

_FEW = 48
"""Up to this many ids, Python's min and max of a list are faster than NumPy's of an array."""


def prepare(table: Array, index: Index, inputs: Sequence[Any], value: Any, kind: str, checked: bool) -> Call:
    """A call that sets ``table[index]`` to `value`, or adds to it, in place; raises where it could fail.

    table: C-contiguous. value: of the table's dtype; broadcasts. kind: ``set`` or ``inc``. checked: positions are known
    to be in range. The call runs no Python code.
    """
    leading = _leading_arrays(index)
    if kind == "inc" and leading == 1 and inputs[0].__class__ is np.ndarray and table.ndim:
        return _adder(table.dtype).prepare(table, inputs[0], value, checked)
    inputs = [np.asarray(i) for i in inputs]
    value = np.asarray(value)
    if not any(inputs[slot].ndim for _, slot in index.arrays):
        view = table[(*index.key([int(i) for i in inputs]), Ellipsis)]  # 0-d arrays would make a copy, not a view
        _check_fits(value.shape, view.shape)
        return partial(np.add, view, value, view) if kind == "inc" else partial(view.__setitem__, Ellipsis, value)
    if not checked:
        for axis, slot in index.arrays:
            check_range(inputs[slot], table.shape[axis])
    _check_fits(value.shape, _result_shape(table.shape, index, inputs))
    if kind == "set":
        inputs = [np.asarray(i, order="C") for i in inputs]  # NumPy writes in the order of their memory
        if leading == 1 and value.shape == inputs[0].shape + table.shape[1:]:
            return set_rows(table, inputs[0], value, checked=True)
        return partial(table.__setitem__, index.key(inputs), value)
    if leading > 1 and table.flags.c_contiguous:
        flat, ids = _linear(table, [inputs[slot] for _, slot in index.arrays], leading)
        return _adder(table.dtype).prepare(flat, ids, value, checked=True)
    return partial(np.add.at, table, index.key(inputs), value)


def set_rows(table: Array, ids: Array, value: Array, checked: bool) -> Call:
    """A call that sets ``table[ids[j]]`` to ``value[j]`` for every j; raises IndexError for ids out of range.

    table: C-contiguous (n, …). ids: integers. value: ``(*ids.shape, …)``, of the table's dtype. Rows go as opaque
    items, which is twice as fast as element by element.
    """
    ids = np.asarray(ids, order="C")  # NumPy writes in the order of their memory
    _check_fits(value.shape, ids.shape + table.shape[1:])
    if not checked:
        check_range(ids, len(table))
    width = table.itemsize * (table.size // len(table)) if table.ndim > 1 and table.size else 0
    if not width or value.shape != ids.shape + table.shape[1:] or not value.flags.c_contiguous:
        return partial(table.__setitem__, ids, value)
    item = f"V{width}"
    rows = np.ndarray(len(table), item, table)
    return partial(rows.__setitem__, ids, np.ndarray(ids.shape, item, value))


def _leading_arrays(index: Index) -> int:
    """How many leading axes are indexed by arrays, where every other axis is taken whole; else 0."""
    parts = index.parts
    n = 0
    while n < len(parts) and isinstance(parts[n], At):
        n += 1
    return n if all(isinstance(p, Slice) and p.is_full for p in parts[n:]) else 0


def _linear(table: Array, arrays: Sequence[Array], leading: int) -> tuple[Array, Array]:
    """A table with its leading axes joined, and row numbers in it."""
    ids: Any = np.zeros((), np.int64)
    for axis, positions in enumerate(arrays):
        n = table.shape[axis]
        wide = positions.astype(np.int64)
        ids = ids * n + np.where(wide < 0, wide + n, wide)
    rows = int(np.prod(table.shape[:leading]))
    return table.reshape(rows, *table.shape[leading:]), ids


class RowAdder:
    """Prepares additions of rows to tables of one dtype; keeps what depends only on the number of rows."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.add = row_adder(dtype)
        self.dtype = dtype
        self.columns = (-1, np.empty(0), np.empty(0))

    def prepare(self, table: Array, ids: Any, value: Any, checked: bool) -> Call:
        """A call that adds ``value[j]`` to ``table[ids[j]]`` for every j; raises IndexError for ids out of range.

        table: C-contiguous (n, …). ids: integers of any shape. value: broadcasts to ``(*ids.shape, …)``.
        """
        n = len(table)
        ids = _row_numbers(np.asarray(ids), n, checked)
        rows = ids.shape + table.shape[1:]
        if value.__class__ is not np.ndarray or value.shape != rows:
            _check_fits(np.shape(value), rows)
            value = np.broadcast_to(value, rows)
        count = ids.size
        if not count or not value.size:
            return _nothing
        if self.add is None or not table.flags.c_contiguous:
            return partial(np.add.at, table, ids, value)
        columns = self.columns  # read once: another thread may replace them
        if columns[0] != count:
            self.columns = columns = (count, np.arange(count + 1), np.ones(count, self.dtype))
        width = value.size // count
        return partial(self.add, n, count, width, columns[1], ids.ravel(), columns[2], value.ravel(), table.reshape(-1))


@cache
def _adder(dtype: np.dtype[Any]) -> RowAdder:
    return RowAdder(dtype)


def _nothing() -> None:
    """Nothing is selected."""


_INT64 = np.dtype(np.int64)
_INT64_MAX = 2**63 - 1


def _row_numbers(ids: Array, n: int, checked: bool) -> Array:
    """`ids` as int64 in ``0 <= id < n``; negative ones wrap; raises IndexError where they cannot."""
    if ids.dtype is not _INT64 and ids.dtype != _INT64:
        if ids.dtype == np.uint64 and ids.size and int(ids.max()) >= n:
            raise IndexError("position out of range")
        ids = ids.astype(_INT64)
    if ids.size <= _FEW:
        flat = ids.tolist() if ids.ndim == 1 else ids.ravel().tolist()
        if not flat:
            return ids
        low, high = min(flat), (0 if checked else max(flat))
    else:
        low, high = ids.min(), (0 if checked else ids.max())
    if low < 0:
        if low < -n:
            raise IndexError("position out of range")
        ids = np.where(ids < 0, ids + n, ids)
    if high >= n:
        raise IndexError("position out of range")
    return ids


def signed(positions: Array) -> Array:
    """uint64 positions as int64; raises IndexError where they do not fit."""
    if positions.size and int(positions.max()) > _INT64_MAX:
        raise IndexError("position out of range")
    return positions.astype(_INT64)


def check_range(positions: Array, n: int) -> None:
    """Raises IndexError where a position lies outside an axis of length n."""
    if not positions.size or surely_within(positions, n):
        return
    if int(positions.min()) < -n or int(positions.max()) >= n:
        raise IndexError("position out of range")


def surely_within(positions: Array, n: int) -> bool:
    """Whether positions are int64 and one look finds them in ``[0, n)``: a negative one would be a large number."""
    return positions.dtype == _INT64 and bool(np.maximum.reduce(positions.view(np.uint64), axis=None) < n)


def _result_shape(shape: tuple[int, ...], index: Index, inputs: Sequence[Array]) -> tuple[int, ...]:
    values = [i if i.ndim else int(i) for i in inputs]
    sliced = [
        len(range(*index_slice.indices(shape[axis])))
        for axis, index_slice in ((axis, index.key(values)[axis]) for axis, _ in index.slices)
    ]
    block = np.broadcast_shapes(*(inputs[slot].shape for _, slot in index.arrays))
    at = index.array_axis
    return (*sliced[:at], *block, *sliced[at:])


def _check_fits(have: tuple[int, ...], want: tuple[int, ...]) -> None:
    if have == want:
        return
    if len(have) > len(want) or any(h not in (1, w) for h, w in zip(reversed(have), reversed(want), strict=False)):
        raise ValueError(f"a value of shape {have} does not broadcast to {want}")
