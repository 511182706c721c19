"""Reading and writing parts of arrays: one gather or scatter for any index, with NumPy's layout of the result.

Positions have been checked, and negative ones wrapped, before they come here. Where an element is written twice, the
last write wins, and increments add up in the order in which they stand: XLA's scatter does so on CPU. Where
a device promises no order, `strict` sorts the writes first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from subtensor.graph.types import INDEX
from subtensor_jax.arithmetic import Array, broadcast, dtype_of, where

_IN_BOUNDS = lax.GatherScatterMode.PROMISE_IN_BOUNDS
_DROP = lax.GatherScatterMode.FILL_OR_DROP


@dataclass(frozen=True)
class Span:
    """A slice of known length: ``start, start + step, …``; start may be traced."""

    start: Any
    length: int
    step: int = 1


@dataclass(frozen=True)
class Selection:
    """A resolved index: for each axis of an array of shape `shape` a Span, or positions (traced or NumPy).

    at: the axis of the result at which the dimensions of the positions stand.
    """

    shape: tuple[int, ...]
    parts: tuple[Any, ...]
    at: int

    @cached_property
    def block(self) -> tuple[int, ...]:
        """The broadcast shape of the positions."""
        return np.broadcast_shapes(*(np.shape(p) for p in self.parts if not isinstance(p, Span)))

    @cached_property
    def result(self) -> tuple[int, ...]:
        """The shape of what is selected."""
        spans = [p.length for p in self.parts if isinstance(p, Span)]
        return (*spans[: self.at], *self.block, *spans[self.at :])

    @cached_property
    def places(self) -> dict[int, int]:
        """For each axis with a Span, the axis of the result where it stands."""
        axes = [axis for axis, p in enumerate(self.parts) if isinstance(p, Span)]
        return {axis: n if n < self.at else n + len(self.block) for n, axis in enumerate(axes)}

    @cached_property
    def windows(self) -> tuple[int, ...]:
        """Axes that are taken in one piece: those with a Span of step 1."""
        return tuple(axis for axis, p in enumerate(self.parts) if isinstance(p, Span) and p.step == 1)

    @cached_property
    def is_box(self) -> bool:
        """Whether one rectangular piece is selected."""
        return not self.block and all(not isinstance(p, Span) or p.step == 1 for p in self.parts)

    @property
    def repeats(self) -> bool:
        """Whether an element could be selected twice."""
        return math.prod(self.block) > 1

    # --- as a box

    @property
    def corner(self) -> list[Any]:
        return [p.start if isinstance(p, Span) else p for p in self.parts]

    @property
    def sizes(self) -> list[int]:
        return [p.length if isinstance(p, Span) else 1 for p in self.parts]

    # --- as index vectors

    @cached_property
    def indexed(self) -> tuple[int, ...]:
        """Axes for which an index vector holds a number: all but those that are taken whole."""
        return tuple(
            axis
            for axis, (p, n) in enumerate(zip(self.parts, self.shape, strict=True))
            if not (axis in self.windows and p.length == n)
        )

    @cached_property
    def batch(self) -> tuple[int, ...]:
        """The axes of the result along which index vectors differ."""
        inside = {self.places[axis] for axis in self.windows}
        return tuple(d for d in range(len(self.result)) if d not in inside)

    def column(self, axis: int, dtype: Any) -> Array:
        """The positions on one axis, over the batch axes of the result."""
        shape = tuple(self.result[d] for d in self.batch)
        part = self.parts[axis]
        if not isinstance(part, Span):
            after = sum(d >= self.at + len(self.block) for d in self.batch)
            values = _as(part, dtype)
            values = lax.expand_dims(values, range(values.ndim, values.ndim + after)) if after else values
        elif part.step == 1:
            values = _as(part.start, dtype)
        else:
            along = self.batch.index(self.places[axis])
            steps = lax.mul(lax.iota(dtype, part.length), lax.full((part.length,), part.step, dtype))
            values = lax.add(steps, broadcast(_as(part.start, dtype), (part.length,)))
            values = lax.expand_dims(values, range(1, len(shape) - along))
        return broadcast(values, shape)

    def vectors(self, ok: Array | None = None) -> Array:
        """Index vectors, over the batch axes; the last axis holds one number for each indexed axis.

        ok: a 0-d bool; where it is False, all are out of range.
        """
        dtype = self.position_dtype
        columns = [self.column(axis, dtype) for axis in self.indexed]
        if ok is not None:
            columns[0] = where(ok, columns[0], np.asarray(self.shape[self.indexed[0]], dtype))
        if len(columns) == 1:
            return lax.expand_dims(columns[0], (columns[0].ndim,))
        return lax.concatenate([lax.expand_dims(c, (c.ndim,)) for c in columns], columns[0].ndim)

    @property
    def position_dtype(self) -> np.dtype[Any]:
        """int32 where it can hold every position: it is faster."""
        return np.dtype(np.int32) if max(self.shape, default=0) < 2**31 else dtype_of(INDEX)

    def keys(self) -> Array:
        """One number for each index vector, equal where they select the same elements: int64, flat."""
        wide = math.prod(self.shape[axis] for axis in self.indexed) >= 2**31
        dtype = dtype_of(INDEX) if wide else np.dtype(np.int32)
        key: Array = self.column(self.indexed[0], dtype)
        for axis in self.indexed[1:]:
            key = lax.add(lax.mul(key, lax.full(key.shape, self.shape[axis], dtype)), self.column(axis, dtype))
        return jnp.reshape(key, (-1,))

    @property
    def rows(self) -> int:
        """How many different index vectors there could be."""
        return math.prod(self.shape[axis] for axis in self.indexed)

    def known_places(self) -> np.ndarray[Any, Any] | None:
        """The number of each index vector among all that there could be, flat; None where positions are traced, or
        something but whole axes is selected beside them.
        """
        if any(p.length != n for p, n in zip(self.parts, self.shape, strict=True) if isinstance(p, Span)):
            return None
        parts = [p for p in self.parts if not isinstance(p, Span)]
        if len(parts) != len(self.indexed) or not all(isinstance(p, np.ndarray | np.generic) for p in parts):
            return None
        each = np.broadcast_arrays(*parts)
        places: np.ndarray[Any, Any] = np.ravel_multi_index(
            tuple(p.ravel() for p in each), tuple(self.shape[axis] for axis in self.indexed)
        )
        return places

    @property
    def gathering(self) -> lax.GatherDimensionNumbers:
        return lax.GatherDimensionNumbers(
            offset_dims=tuple(self.places[axis] for axis in self.windows),
            collapsed_slice_dims=tuple(axis for axis in range(len(self.shape)) if axis not in self.windows),
            start_index_map=self.indexed,
        )

    @property
    def scattering(self) -> lax.ScatterDimensionNumbers:
        return lax.ScatterDimensionNumbers(
            update_window_dims=tuple(self.places[axis] for axis in self.windows),
            inserted_window_dims=tuple(axis for axis in range(len(self.shape)) if axis not in self.windows),
            scatter_dims_to_operand_dims=self.indexed,
        )


def _as(x: Any, dtype: Any) -> Array:
    return lax.convert_element_type(x, dtype)


def get(x: Array, s: Selection) -> Array:
    """The selected elements."""
    if 0 in s.result:
        return lax.full(s.result, 0, x.dtype)
    if not s.indexed:
        return x
    if s.is_box:
        return jnp.reshape(_box(x, s), s.result)
    if not s.block and all(isinstance(p, Span) and isinstance(p.start, int) for p in s.parts):
        return _static_slice(x, s)
    sizes = tuple(p.length if axis in s.windows else 1 for axis, p in enumerate(s.parts))
    return lax.gather(x, s.vectors(), s.gathering, sizes, mode=_IN_BOUNDS)


def _box(x: Array, s: Selection) -> Array:
    if all(isinstance(c, int) for c in s.corner):
        return lax.slice(x, s.corner, [c + n for c, n in zip(s.corner, s.sizes, strict=True)])
    return lax.dynamic_slice(x, [_as(c, s.position_dtype) for c in s.corner], s.sizes)


def _static_slice(x: Array, s: Selection) -> Array:
    """Slices with steps, all known."""
    starts, stops, steps, backwards = [], [], [], []
    for axis, p in enumerate(s.parts):
        last = p.start + (p.length - 1) * p.step
        low, high = min(p.start, last), max(p.start, last)
        starts.append(low)
        stops.append(high + 1)
        steps.append(abs(p.step))
        if p.step < 0:
            backwards.append(axis)
    taken = lax.slice(x, starts, stops, steps)
    return lax.rev(taken, backwards) if backwards else taken


def put(
    x: Array, y: Array, s: Selection, kind: str, *, strict: bool = False, ok: Array | None = None, drop: bool = False
) -> Array:
    """x with `y` written to the selected elements (kind ``set``) or added to them (``inc``).

    y: broadcasts to the shape of what is selected. strict: do not rely on the order in which the device writes. ok: a
    0-d bool; nothing is written where it is False. A scatter is then given positions that are out of range, and drops
    what is meant for them: a condition around it would cost more, and keep XLA from fusing it with what it writes.
    drop: whether positions may be out of range, where nothing is written; not for a box.
    """
    y = broadcast(y, s.result)
    if 0 in s.result:
        return x
    if not s.indexed or s.is_box:
        return _put_box(x, y, s, kind, ok)
    if kind == "set" and ok is None and (places := s.known_places()) is not None and len(places) * _DENSE >= s.rows:
        return _put_known(x, y, s, places)
    vectors = s.vectors(ok)
    unique = not s.repeats
    if strict and not unique:
        return _put_strictly(x, y, s, kind, ok)
    mode = _DROP if drop or ok is not None else _IN_BOUNDS
    return _scatter(kind, x.dtype)(x, vectors, y, s.scattering, unique_indices=unique, mode=mode)


_DENSE = 4
"""Where at least one of so many is written, each element of the result looks for its own, which is faster than writing
one after another."""


def _put_known(x: Array, y: Array, s: Selection, places: np.ndarray[Any, Any]) -> Array:
    """A write at positions that are known: where each element comes from is known too, and no order matters."""
    count, first = len(places), s.indexed[0]
    source = np.full(s.rows, count)
    source[places] = np.arange(count)  # the last one stays
    inside = [d for d in range(len(s.result)) if d not in s.batch]
    before = first if s.indexed == tuple(range(first, first + len(s.indexed))) else 0
    # axes that are indexed side by side stay where they are, others go to the front
    order = tuple(range(before)) + s.indexed + tuple(a for a in range(before, len(s.shape)) if a not in s.indexed)
    rows = lax.transpose(y, (*inside[:before], *s.batch, *inside[before:]))
    old = lax.transpose(x, order)
    lead, rest = old.shape[:before], old.shape[before + len(s.indexed) :]
    rows = jnp.reshape(rows, (math.prod(lead), count, math.prod(rest)))
    new = rows.at[:, np.minimum(source, count - 1)].get(mode="promise_in_bounds")
    free = np.reshape(source == count, (1, s.rows, 1))
    flat = jnp.reshape(old, new.shape)
    kept = lax.select(broadcast(free, new.shape), flat, new)
    return lax.transpose(jnp.reshape(kept, old.shape), tuple(np.argsort(order)))


def _put_box(x: Array, y: Array, s: Selection, kind: str, ok: Array | None) -> Array:
    if not s.indexed:
        new = _sum(x, y) if kind == "inc" else _as(y, x.dtype)
        return new if ok is None else where(ok, new, x)
    y = jnp.reshape(y, s.sizes)
    if kind == "inc" or ok is not None:
        old = _box(x, s)
        y = _sum(old, y) if kind == "inc" else y
        y = y if ok is None else where(ok, y, old)
    return lax.dynamic_update_slice(x, y, [_as(c, s.position_dtype) for c in s.corner])


def _sum(x: Array, y: Array) -> Array:
    return lax.bitwise_or(x, y) if x.dtype == bool else lax.add(x, y)


def _scatter(kind: str, dtype: Any) -> Callable[..., Array]:
    if kind == "set":
        return lax.scatter
    return _scatter_or if np.dtype(dtype).kind == "b" else lax.scatter_add


def _scatter_or(x: Array, vectors: Array, y: Array, *args: Any, **options: Any) -> Array:
    small = np.dtype(np.uint8)
    return lax.scatter_max(_as(x, small), vectors, _as(y, small), *args, **options).astype(bool)


# --- where the device promises no order


def _put_strictly(x: Array, y: Array, s: Selection, kind: str, ok: Array | None) -> Array:
    """Sort the writes, so that each element is written once: its last value, or the sum of its increments in order."""
    batch = tuple(s.result[d] for d in s.batch)
    inside = [d for d in range(len(s.result)) if d not in s.batch]
    rows = jnp.reshape(lax.transpose(y, (*s.batch, *inside)), (math.prod(batch), *(s.result[d] for d in inside)))
    keys = s.keys()
    n = keys.shape[0]
    ordered, order = lax.sort((keys, lax.iota(np.dtype(np.int32), n)), num_keys=1, is_stable=True)
    ends = lax.concatenate([lax.ne(ordered[1:], ordered[:-1]), lax.full((1,), True, np.dtype(bool))], 0)
    rows = rows[order]
    if kind == "inc":
        starts = lax.concatenate([lax.full((1,), True, np.dtype(bool)), ends[:-1]], 0)
        rows = _sums_of_runs(rows, starts)
    vectors = jnp.reshape(s.vectors(), (n, len(s.indexed)))[order]
    # what is not the last of its run goes out of range, each to a place of its own, and is dropped
    outside = lax.add(lax.iota(vectors.dtype, n), lax.full((n,), s.shape[s.indexed[0]], vectors.dtype))
    if ok is not None:
        ends = lax.bitwise_and(ends, broadcast(ok, (n,)))
    first = lax.select(ends, vectors[:, 0], outside)
    vectors = lax.concatenate([lax.expand_dims(first, (1,)), vectors[:, 1:]], 1)
    numbers = lax.ScatterDimensionNumbers(
        update_window_dims=tuple(range(1, rows.ndim)),
        inserted_window_dims=s.scattering.inserted_window_dims,
        scatter_dims_to_operand_dims=s.indexed,
    )
    return _scatter(kind, x.dtype)(x, vectors, rows, numbers, unique_indices=True, mode=_DROP)


def _sums_of_runs(rows: Array, starts: Array) -> Array:
    """Running sums that begin anew at each start: the last of a run holds its sum."""

    def join(a: Sequence[Array], b: Sequence[Array]) -> tuple[Array, Array]:
        begins = broadcast(lax.expand_dims(b[0], range(1, rows.ndim)), b[1].shape)
        return lax.bitwise_or(a[0], b[0]), lax.select(begins, b[1], _sum(a[1], b[1]))

    return lax.associative_scan(join, (starts, rows))[1]
