"""Distinct rows and sums over their occurrences: how NumPy and SciPy compute the ops of ``subtensor.ops.distinct``.

Sums go through SciPy's ``csr_matvecs``, an S x B sparse matrix with ones where a run has its elements, times the B x D
matrix of values: each sum is written once, and values are read in the order of the runs. Where the values are larger
than a cache, they are read as they lie, and added to sums here and there, by ``csc_matvecs``: half of the time. Either
adds in the order of the values. They are private to SciPy, so they are probed on first use, and replaced where the
probe fails.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from subtensor_numpy.kernels import row_adder, row_summer
from subtensor_numpy.scatter import surely_within

Array = np.ndarray[Any, np.dtype[Any]]

LARGE = 1 << 20
"""Bytes of values that no longer fit into the cache of a core."""


def row_numbers(ids: Array, n: Any, of: object = None) -> Array:
    """`ids` as int64 in ``0 <= id < n``; negative ones wrap; raises IndexError where they cannot. of: for messages."""
    n = int(n)
    if not ids.size:
        return ids.astype(np.int64)
    if surely_within(ids, n):
        return ids
    low, high = int(ids.min()), int(ids.max())
    if low < -n or high >= n:
        raise IndexError("position out of range")
    ids = ids.astype(np.int64, copy=False)
    return np.where(ids < 0, ids + n, ids) if low < 0 else ids


def run_starts(ordered: Array) -> Array:
    """Where runs of equal elements start, each once."""
    new = np.ones(len(ordered), bool)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    return np.flatnonzero(new)


def run_sums(x: Array, order: Array, starts: Array, out: Array | None = None) -> Array:
    """The sums of ``x[order]`` over the runs that begin at `starts`: (len(starts), …). out: where they go."""
    count = len(order)
    if len(starts) == count:
        return x.take(order, 0, out, "clip")  # all are in range; to look would take memory beside `out`
    if out is None:
        result = np.zeros((len(starts), *x.shape[1:]), x.dtype)
    else:
        result = out
        result.fill(0)
    if not result.size:
        return result
    ends = np.empty(len(starts) + 1, np.int64)
    ends[:-1], ends[-1] = starts, count
    width = result.size // len(starts)
    add = row_adder(x.dtype) if x.nbytes >= LARGE else None
    if add is not None:
        ones, each = np.ones(count, x.dtype), np.arange(count + 1)
        add(len(starts), count, width, each, _runs_of(order, ends), ones, x.ravel(), result.reshape(-1))
        return result
    multiply = row_summer(x.dtype)
    if multiply is not None:
        multiply(len(starts), count, width, ends, order, np.ones(count, x.dtype), x.ravel(), result.reshape(-1))
        return result
    np.add.at(result, _runs_of(order, ends), x)
    return result


def _runs_of(order: Array, ends: Array) -> Array:
    """For each value the number of its run."""
    runs = np.empty(len(order), np.int64)
    runs[order] = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
    return runs


def run_places(order: Array, starts: Array) -> Array:
    """For each place before sorting, the number of its run."""
    ends = np.empty(len(starts) + 1, np.int64)
    ends[:-1], ends[-1] = starts, len(order)
    return _runs_of(order, ends)


def spread_rows(by_row: Array, like: Array) -> Array:
    """(S,) to (S, …): written out, for arithmetic with columns of stride 0 is three times slower."""
    shape = (len(by_row), *like.shape[1:])
    width = 1
    for d in shape[1:]:
        width *= d
    return np.repeat(by_row, width).reshape(shape)
