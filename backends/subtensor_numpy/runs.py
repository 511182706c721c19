"""Distinct rows and sums over their occurrences: how NumPy and SciPy compute the ops of ``subtensor.ops.distinct``.

Sums go through SciPy's ``csr_matvecs``, an S x B sparse matrix with ones where a run has its elements, times the B x D
matrix of values: each sum is written once. It is private to SciPy, so it is probed on first use, and replaced where
the probe fails.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from subtensor_numpy.kernels import row_summer

Array = np.ndarray[Any, np.dtype[Any]]


def row_numbers(ids: Array, n: Any, of: object = None) -> Array:
    """`ids` as int64 in ``0 <= id < n``; negative ones wrap; raises IndexError where they cannot. of: for messages."""
    n = int(n)
    if not ids.size:
        return ids.astype(np.int64)
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


def run_sums(x: Array, order: Array, starts: Array) -> Array:
    """The sums of ``x[order]`` over the runs that begin at `starts`: (len(starts), …)."""
    count = len(order)
    if len(starts) == count:
        return x.take(order, 0)
    result = np.zeros((len(starts), *x.shape[1:]), x.dtype)
    if not result.size:
        return result
    multiply = row_summer(x.dtype)
    ends = np.append(starts, count)
    if multiply is None:
        np.add.at(result, np.repeat(np.arange(len(starts)), np.diff(ends)), x[order])
        return result
    width = result.size // len(starts)
    multiply(len(starts), count, width, ends, order, np.ones(count, x.dtype), x.ravel(), result.reshape(-1))
    return result


def spread_rows(by_row: Array, like: Array) -> Array:
    """(S,) to (S, …): written out, for arithmetic with columns of stride 0 is three times slower."""
    shape = (len(by_row), *like.shape[1:])
    width = 1
    for d in shape[1:]:
        width *= d
    return np.repeat(by_row, width).reshape(shape)
