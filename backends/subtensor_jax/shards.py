"""Rows of a table whose first axis is divided over devices: read and written where they lie, while a step is traced.

All devices know all positions. Each reads those in its own range, and one sum over the devices makes rows of them that
all have; each writes those in its own range, in the order in which they stand. What travels is as long as the batch,
however long the table is. The sum is over bits: all but one of its terms are zero, so nothing is rounded, and the
order in which devices are added does not matter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import PartitionSpec

from subtensor_jax.arithmetic import Array, broadcast, full_like, where
from subtensor_jax.meshes import Grid, Names, constrained, names_of, spec_of
from subtensor_jax.scatter import Selection, Span, get, put

ROWS = "subtensor_rows"
"""The scope in which rows travel, for who reads what XLA made of a step."""

_MANY = 4
"""A slice that takes at least one of so many rows is a matter of the whole table: each device looks at all its rows."""

_CARRIERS: dict[int, np.dtype[Any]] = {2: np.dtype(np.uint16), 4: np.dtype(np.uint32), 8: np.dtype(np.uint64)}


@dataclass(frozen=True)
class Shards:
    """A table, traced. data: padded. shape: without the padding. spec: how it is divided."""

    data: Array
    shape: tuple[int, ...]
    grid: Grid
    spec: PartitionSpec

    @property
    def names(self) -> Names:
        """The mesh's axes over which rows are divided; none where each device has all."""
        return names_of(self.spec, 0)

    @property
    def is_padded(self) -> bool:
        return tuple(self.data.shape) != self.shape

    def view(self) -> Array:
        """The table without the padding, for what looks at all of it."""
        return lax.slice(self.data, [0] * len(self.shape), self.shape) if self.is_padded else self.data

    def filled(self, value: Array) -> Shards:
        """A table that is divided as this one, with a value without padding."""
        widths = [
            (0, have - want, 0)
            for have, want in zip(self.grid.padded(value.shape, self.spec), value.shape, strict=True)
        ]
        data = lax.pad(value, np.zeros((), value.dtype), widths) if any(w[1] for w in widths) else value
        data = constrained(data, self.grid.sharding(self.spec))
        return replace(self, data=data, shape=tuple(value.shape))

    def takes(self, s: Selection) -> bool:
        """Whether rows are selected: by positions, or by a slice that takes few."""
        if not self.names or 0 in s.result or not s.indexed:
            return False
        for axis, p in enumerate(s.parts[1:], 1):
            if names_of(self.spec, axis) and not _is_whole(p, s.shape[axis]):
                return False
        first = s.parts[0]
        if isinstance(first, Span):
            return not s.block and 0 in s.indexed and first.length * _MANY < self.shape[0]
        return True

    def _positions(self, s: Selection) -> Selection:
        """The same with positions on the first axis."""
        first = s.parts[0]
        if not isinstance(first, Span):
            return s
        dtype = s.position_dtype
        start, step = (lax.convert_element_type(v, dtype) for v in (first.start, first.step))
        rows = broadcast(start, (first.length,)) + lax.iota(dtype, first.length) * step
        return Selection(s.shape, (rows, *s.parts[1:]), 0)

    # --- reading

    def get(self, s: Selection, division: PartitionSpec | None = None) -> Array:
        """The selected elements, on all devices; or as `division` says, where that takes no more."""
        if not self.takes(s):
            return get(self.view(), s)
        s = self._positions(s)
        fixed, moving = _divided(s)
        out = _result_spec(self.spec, s)
        axis = self._scattered(s, division)
        if axis is not None:
            out = spec_of(*(self.spec[0] if d == axis else entry for d, entry in enumerate(out)))

        def local(table: Array, *arrays: Array) -> Array:
            near, mine = self._near(_rebuilt(s, fixed, arrays, table.shape), clip=True)
            rows = get(table, near)
            flag = jnp.reshape(mine, (*(1,) * s.at, *_lead(mine, s), *(1,) * (rows.ndim - s.at - len(s.block))))
            return _summed(where(flag, rows, full_like(rows, 0)), self.names, axis)

        with jax.named_scope(ROWS):
            rows = self._mapped(local, moving, out)(self.data, *moving)
        return lax.slice(rows, [0] * rows.ndim, s.result) if rows.shape != s.result else rows

    def near(self, s: Selection) -> Array:
        """Whole rows at a vector of positions, where they lie.

        The first axis has one entry for each device, with zeros for rows of others.
        """
        fixed, moving = _divided(s)

        def local(table: Array, *arrays: Array) -> Array:
            found, mine = self._near(_rebuilt(s, fixed, arrays, table.shape), clip=True)
            rows = get(table, found)
            rows = where(jnp.reshape(mine, (-1, *(1,) * (rows.ndim - 1))), rows, full_like(rows, 0))
            return lax.expand_dims(rows, (0,))

        return self._mapped(local, moving, spec_of(self.names))(self.data, *moving)

    def put_near(self, y: Array, s: Selection, kind: str, *, strict: bool, ok: Array | None) -> Shards:
        """With what each device has for its rows written there: see ``near``."""
        if 0 in s.result:
            return self
        fixed, moving = _divided(s)
        flags = () if ok is None else (ok,)

        def local(table: Array, y: Array, *arrays: Array) -> Array:
            found, _ = self._near(_rebuilt(s, fixed, arrays[len(flags) :], table.shape), clip=False)
            y = broadcast(lax.squeeze(y, (0,)), s.result)
            return put(table, y, found, kind, strict=strict, ok=arrays[0] if flags else None, drop=True)

        mapped = self._mapped(local, (y, *flags, *moving), self.spec, first=spec_of(self.names))
        return replace(self, data=mapped(self.data, y, *flags, *moving))

    def _scattered(self, s: Selection, division: PartitionSpec | None) -> int | None:
        """The axis of the result along which each device needs its part alone, if the same devices divide it."""
        if division is None:
            return None
        divided = [axis for axis in range(len(division)) if names_of(division, axis)]
        if len(divided) != 1 or names_of(division, divided[0]) != self.names:
            return None
        return divided[0] if s.result[divided[0]] % self.grid.parts(self.spec, 0) == 0 else None

    # --- writing

    def put(
        self,
        y: Array,
        s: Selection,
        kind: str,
        division: PartitionSpec | None = None,
        *,
        strict: bool,
        ok: Array | None,
    ) -> Shards:
        """With ``y`` written, or added, to the selected elements; nothing where `ok` is False.

        division: of y, which all devices need.
        """
        if not self.takes(s):
            if self.names and _is_span_of_rows(s) and self.data.shape[1:] == self.shape[1:]:
                return replace(self, data=self._put_span(y, s, kind, ok))
            return self.filled(put(self.view(), y, s, kind, strict=strict, ok=ok))
        y = broadcast(y, s.result)
        s = self._positions(s)
        fixed, moving = _divided(s)
        flags = () if ok is None else (ok,)
        given = _result_spec(self.spec, s)
        wide = self._padded_result(s)
        exchanged = [] if division is None else [d for d in range(len(division)) if names_of(division, d)]
        for d in exchanged:
            assert division is not None
            given = spec_of(*(division[d] if k == d else entry for k, entry in enumerate(given)))
        room = self.grid.padded(wide, given)
        if room != y.shape:
            y = lax.pad(y, np.zeros((), y.dtype), [(0, b - a, 0) for a, b in zip(y.shape, room, strict=True)])

        def local(table: Array, y: Array, *arrays: Array) -> Array:
            for d in exchanged:
                y = lax.slice_in_dim(_everywhere(y, names_of(given, d), d), 0, s.result[d], axis=d)
            held = arrays[0] if flags else None
            near, mine = self._near(_rebuilt(s, fixed, arrays[len(flags) :], table.shape), clip=False)
            if not s.block:  # one row: of this device, or of another one
                mine = mine if held is None else mine & held
                near = replace(near, parts=(where(mine, near.parts[0], full_like(near.parts[0], 0)), *near.parts[1:]))
                return put(table, y, near, kind, strict=strict, ok=mine)
            return put(table, y, near, kind, strict=strict, ok=held, drop=True)

        with jax.named_scope(ROWS):
            mapped = self._mapped(local, (y, *flags, *moving), self.spec, first=given)
            return replace(self, data=mapped(self.data, y, *flags, *moving))

    def _put_span(self, y: Array, s: Selection, kind: str, ok: Array | None) -> Array:
        """A write to a slice of many rows: each device looks at all of its own."""
        first = s.parts[0]
        whole = Selection(self.shape, (Span(0, self.shape[0]), *s.parts[1:]), s.at)
        y = lax.expand_dims(y, range(len(s.result) - y.ndim))
        dtype = whole.position_dtype
        rows = lax.iota(dtype, self.data.shape[0])
        start = lax.convert_element_type(first.start, dtype)
        distance = (rows - start) * (1 if first.step > 0 else -1)
        stride = abs(first.step)
        inside = (distance >= 0) & (distance < first.length * stride)
        if stride > 1:
            inside = inside & (distance % stride == 0)
        if ok is not None:
            inside = inside & ok
        if y.shape[0] != 1:
            places = jnp.clip(distance // stride, 0, first.length - 1)
            y = y.at[places].get(mode="promise_in_bounds")
        padded = replace(whole, shape=tuple(self.data.shape), parts=(Span(0, self.data.shape[0]), *s.parts[1:]))
        new = put(self.data, y, padded, kind)
        kept = where(jnp.reshape(inside, (-1, *(1,) * (new.ndim - 1))), new, self.data)
        return constrained(kept, self.grid.sharding(self.spec))

    def _padded_result(self, s: Selection) -> tuple[int, ...]:
        """The shape of selected rows with the padding of the other axes."""
        shape = list(s.result)
        for axis, place in s.places.items():
            if axis and _is_whole(s.parts[axis], s.shape[axis]):
                shape[place] = self.data.shape[axis]
        return tuple(shape)

    # --- on one device

    def _mapped(self, local: Any, arrays: Any, out: PartitionSpec, first: PartitionSpec | None = None) -> Any:
        specs = [spec_of() for _ in arrays]
        if first is not None:
            specs[0] = first
        return jax.shard_map(local, mesh=self.grid.mesh, in_specs=(self.spec, *specs), out_specs=out, check_vma=False)

    def _near(self, s: Selection, *, clip: bool) -> tuple[Selection, Array]:
        """The selection in the rows of this device, and which of them it has. clip: others read some row; else they
        lie behind the last one.
        """
        rows = s.parts[0]
        count = np.asarray(s.shape[0], s.position_dtype)
        begin = lax.convert_element_type(lax.axis_index(self.names), s.position_dtype) * count
        near = lax.convert_element_type(rows, s.position_dtype) - begin
        mine = (near >= 0) & (near < count)
        near = where(mine, near, full_like(near, 0 if clip else int(count)))
        return replace(s, parts=(near, *s.parts[1:])), mine


def _is_whole(p: Any, n: int) -> bool:
    return isinstance(p, Span) and isinstance(p.start, int) and (p.start, p.length, p.step) == (0, n, 1)


def _is_span_of_rows(s: Selection) -> bool:
    """Whether a slice of rows is selected, and of the rest what all rows have."""
    return isinstance(s.parts[0], Span) and not s.block and 0 in s.indexed and 0 not in s.result


def _divided(s: Selection) -> tuple[list[Any], list[Array]]:
    """The parts of a selection with None for what is traced, and those arrays."""
    fixed: list[Any] = []
    moving: list[Array] = []
    for p in s.parts:
        if isinstance(p, Span):
            traced = not isinstance(p.start, int)
            fixed.append(Span(None, p.length, p.step) if traced else p)
            moving += [jnp.asarray(p.start)] if traced else []
        elif isinstance(p, int):
            fixed.append(p)
        else:
            fixed.append(None)
            moving.append(jnp.asarray(p))
    return fixed, moving


def _rebuilt(s: Selection, fixed: list[Any], arrays: Any, local: tuple[int, ...]) -> Selection:
    """The selection inside of a device's part. Spans of whole axes are whole there too."""
    given = iter(arrays)
    parts = []
    for axis, p in enumerate(fixed):
        if p is None:
            parts.append(next(given))
        elif isinstance(p, Span) and p.start is None:
            parts.append(Span(next(given), p.length, p.step))
        elif axis and _is_whole(p, s.shape[axis]):
            parts.append(Span(0, local[axis]))
        else:
            parts.append(p)
    return Selection(local, tuple(parts), s.at)


def _lead(mine: Array, s: Selection) -> tuple[int, ...]:
    """The shape of flags, to be broadcast against the positions' block."""
    return (*(1,) * (len(s.block) - mine.ndim), *mine.shape)


def _result_spec(spec: PartitionSpec, s: Selection) -> PartitionSpec:
    """How rows are divided: as the table, along its other axes."""
    entries: list[Any] = [None] * len(s.result)
    for axis, place in s.places.items():
        if axis and axis < len(spec):
            entries[place] = spec[axis]
    return spec_of(*entries)


def _everywhere(x: Array, names: Names, axis: int) -> Array:
    """What is divided along an axis, on all devices: each sends its part to each."""
    count = lax.axis_size(names)
    copies = broadcast(lax.expand_dims(x, (0,)), (count, *x.shape))
    parts = lax.all_to_all(copies, names, 0, 0)  # type: ignore[no-untyped-call]
    return jnp.reshape(jnp.moveaxis(parts, 0, axis), (*x.shape[:axis], count * x.shape[axis], *x.shape[axis + 1 :]))


def _summed(x: Array, names: Names, axis: int | None) -> Array:
    """The sum over devices of which all but one have zeros, bit by bit.

    axis: along which each gets its part; None: each gets all.
    """
    dtype: np.dtype[Any] = x.dtype
    if jnp.issubdtype(dtype, jnp.floating):
        carrier = _CARRIERS[dtype.itemsize]
        bits = lax.bitcast_convert_type(x, carrier)
        wide: np.dtype[Any] = np.dtype(np.uint32) if dtype.itemsize < 4 else carrier
        total = _sum(lax.convert_element_type(bits, wide), names, axis)
        return lax.bitcast_convert_type(lax.convert_element_type(total, carrier), dtype)
    wide = dtype if dtype.itemsize >= 4 else np.dtype(np.int32)
    return lax.convert_element_type(_sum(lax.convert_element_type(x, wide), names, axis), dtype)


def _sum(x: Array, names: Names, axis: int | None) -> Array:
    if axis is None:
        return lax.psum(x, names)  # type: ignore[no-untyped-call]
    return lax.psum_scatter(x, names, scatter_dimension=axis, tiled=True)  # type: ignore[no-untyped-call]
