"""Backends that are right on small arrays only, as where another algorithm, a block or a thread takes over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from subtensor_conformance.known_bad import altered
from subtensor_conformance.known_bad.altered import Altered, Array
from subtensor_conformance.known_bad.catalogue import known_bad
from subtensor_conformance.known_bad.values import lowering

Lowering = Callable[..., Any]
LONG = "sizes|edges|long"


def beyond(elements: int, bad: Lowering, good: Lowering) -> Lowering:
    """`bad` where an argument has more elements, else `good`."""
    return lambda *args, **params: (bad if max(map(np.size, args)) > elements else good)(*args, **params)


def _argsort(x: Array, axis: int) -> Array:
    return np.argsort(x, axis=axis, kind="stable")


def _ties_turned(x: Array, axis: int) -> Array:
    n = np.shape(x)[axis]
    return n - 1 - np.argsort(np.flip(x, axis), axis=axis, kind="stable")


def _last_unsorted(x: Array, axis: int) -> Array:
    return np.concatenate([np.sort(np.delete(x, -1, axis), axis), np.take(x, [-1], axis)], axis)


def _search(a: Array, v: Array, side: str) -> Array:
    return np.searchsorted(a, v, side=side)  # type: ignore[call-overload]  # side is one of two words


def _search_one_early(a: Array, v: Array, side: str) -> Array:
    return np.maximum(_search(a, v, side) - 1, 0)


def _rows(ids: Array, n: Any, of: object = None) -> Array:
    ids = np.asarray(ids).astype(np.int64)
    if ids.size and (ids.min() < -int(n) or ids.max() >= int(n)):
        raise IndexError("position out of range")
    return np.where(ids < 0, ids + int(n), ids)


def _rows_as_they_are(ids: Array, n: Any, of: object = None) -> Array:
    _rows(ids, n)
    return np.asarray(ids).astype(np.int64)


def _clipped(axis: int, rank: int, elements: int) -> Callable[[Any], Altered]:
    """Negative positions along an axis are 0, where index arrays have a rank and more elements."""

    def key(index: Any, inputs: tuple[Array, ...]) -> tuple[Any, ...]:
        parts = list(altered.key_of(index, inputs))
        if len(parts) > axis and np.ndim(parts[axis]) == rank and np.size(parts[axis]) > elements:
            parts[axis] = np.maximum(parts[axis], 0)
        return tuple(parts)

    def getting(x: Array, *inputs: Array, index: Any) -> Array:
        altered.get(x, *inputs, index=index)  # bounds
        return np.asarray(x)[key(index, inputs)]

    return lambda good: Altered(good, lower={"subtensor": getting})


def _one_block_less(x: Array, y: Array) -> Array:
    result = np.array(np.add(x, y))
    if result.ndim:
        result[-1] = 0
    return result


def _last_write_lost(x: Array, y: Array, *inputs: Array, index: Any) -> Array:
    result = altered.put(x, y, *inputs, index=index)
    if inputs and np.ndim(inputs[0]) and index.selects_rows:
        row = np.ravel(inputs[0])[-1]
        result[row] = np.asarray(x)[row]
    return result


def _half_counted(x: Array, y: Array, *inputs: Array, index: Any) -> Array:
    if inputs and np.ndim(inputs[0]) == 1 and index.selects_rows:
        half = len(inputs[0]) // 2
        rows = np.broadcast_to(y, (len(inputs[0]), *np.shape(x)[1:]))[:half]
        return altered.add(x, rows, inputs[0][:half], *inputs[1:], index=index)
    return altered.add(x, y, *inputs, index=index)


def _sum(x: Array, axes: Any) -> Array:
    return np.add.reduce(x, axis=tuple(axes), dtype=_wide(x))


def _sum_less_the_last(x: Array, axes: Any) -> Array:
    kept = np.delete(x, -1, axes[0]) if axes else x
    return np.add.reduce(kept, axis=tuple(axes), dtype=_wide(x))


def _wide(x: Array) -> Any:
    kind = np.asarray(x).dtype.kind
    return np.asarray(x).dtype if kind == "f" else np.uint64 if kind == "u" else np.int64


def _product_less_the_last(a: Array, b: Array) -> Array:
    return np.matmul(np.asarray(a)[..., :-1], np.asarray(b)[..., :-1, :]) if np.ndim(b) > 1 else np.matmul(a, b)


known_bad(
    "argsort-ties-beyond-1024", "argsort turns ties around in more than 1,024 elements", "sort", "value",
    lowering(argsort=beyond(1024, _ties_turned, _argsort)), LONG,
)  # fmt: skip
known_bad(
    "optimizers-argsort-beyond-1000", "argsort mixes neighbours in more than 1,000 elements, so that rows come out of order", "optimizers",
    "value|state|error",
    lowering(argsort=beyond(1000, lambda x, axis: np.argsort(x // 2, axis=axis, kind="stable"), _argsort)), LONG,
)  # fmt: skip
known_bad(
    "sort-beyond-256", "sort leaves the last element in place in more than 256", "sort", "value",
    lowering(sort=beyond(256, _last_unsorted, lambda x, axis: np.sort(x, axis=axis, kind="stable"))), LONG,
)  # fmt: skip
known_bad(
    "searchsorted-beyond-30", "searchsorted is one early in more than 30 elements", "sort", "value",
    lowering(searchsorted=beyond(30, _search_one_early, _search)), LONG,
)  # fmt: skip
known_bad(
    "columns-of-matrices-unwrapped", "negative positions along the second axis are 0 where ids are a long matrix", "get",
    "value", _clipped(1, 2, 100), LONG,
)  # fmt: skip
known_bad(
    "pairs-beyond-512-unwrapped", "negative positions along the second axis are 0 in more than 512", "get", "value",
    _clipped(1, 1, 512), LONG,
)  # fmt: skip
known_bad(
    "row-numbers-unwrapped-beyond-500", "both spellings of a row are two rows in batches of more than 500", "optimizers",
    "value|state|error", lowering(row_numbers=beyond(500, _rows_as_they_are, _rows)), LONG,
)  # fmt: skip
known_bad(
    "last-write-lost-beyond-1024", "the last of more than 1,024 elements is not written", "set", "value",
    lowering(set_subtensor=beyond(1024, _last_write_lost, altered.put)), LONG,
)  # fmt: skip
known_bad(
    "half-counted-beyond-1024", "the second half of more than 1,024 increments does not count", "inc", "value",
    lowering(inc_subtensor=beyond(1024, _half_counted, altered.add)), LONG,
)  # fmt: skip
known_bad(
    "add-beyond-1024", "sums of more than 1,024 elements end in zeros", "elementwise", "value",
    lowering(add=beyond(1024, _one_block_less, np.add)), LONG,
)  # fmt: skip
known_bad(
    "sum-beyond-1024", "the last of more than 1,024 elements is not summed", "reduce", "value",
    lowering(sum=beyond(1024, _sum_less_the_last, _sum)), LONG,
)  # fmt: skip
known_bad(
    "matmul-beyond-128", "the last of more than 128 products is not summed", "linalg", "value",
    lowering(matmul=lambda a, b: (_product_less_the_last if np.shape(a)[-1] > 128 else np.matmul)(a, b)), LONG,
)  # fmt: skip
