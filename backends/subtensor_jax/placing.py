"""Values over the devices of a mesh: put there, read back, and written in part.

An axis that the number of its devices does not divide is padded with zeros at its end. What the padding holds is
nobody's business, for a step looks at the rows before it alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import PartitionSpec

from subtensor.errors import ShardingError
from subtensor_jax import memory
from subtensor_jax.arithmetic import dtype_of
from subtensor_jax.meshes import Grid, constrained, spec_of
from subtensor_jax.scatter import Selection, Span
from subtensor_jax.shards import Shards
from subtensor_jax.together import together

Array = np.ndarray[Any, np.dtype[Any]]
Slices = tuple[slice, ...]


class Placed:
    """A value on a mesh. data: a ``jax.Array``, padded. shape: without the padding. spec: how it is divided."""

    __slots__ = ("data", "grid", "shape", "spec")

    def __init__(self, data: jax.Array, shape: tuple[int, ...], grid: Grid, spec: PartitionSpec) -> None:
        self.data = data
        self.shape = shape
        self.grid = grid
        self.spec = spec

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.data.dtype)

    @property
    def nbytes(self) -> int:
        """Of the value; a device holds its part."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:  # it is one
        value = whole(self)
        return value if dtype is None else value.astype(dtype)

    def __deepcopy__(self, memo: Any) -> Placed:
        with jax.enable_x64(True):
            return Placed(jnp.array(self.data, copy=True), self.shape, self.grid, self.spec)

    def __repr__(self) -> str:
        return f"<{self.dtype} of shape {self.shape}, as {self.spec} on {self.grid}>"


def raw(value: Any) -> Any:
    """What a jitted function takes."""
    return value.data if isinstance(value, Placed) else value


def near_part(array: jax.Array) -> Any:
    """What one device has of an array: its shape and dtype."""
    shape = array.sharding.shard_shape(array.shape)
    return jax.ShapeDtypeStruct(shape, array.dtype)  # type: ignore[no-untyped-call]


def place(value: Array, grid: Grid, spec: PartitionSpec) -> Placed:
    """A value on a mesh: each device gets a copy of its part."""
    padded = grid.padded(value.shape, spec)
    sharding = grid.sharding(spec)
    parts = []
    for device, index in sharding.addressable_devices_indices_map(padded).items():
        assert index is not None
        with jax.default_device(device):
            parts.append(memory.moved(_part(value, index, padded), disposable=False))
    with jax.enable_x64(True):
        data = jax.make_array_from_single_device_arrays(padded, sharding, parts, dtype=value.dtype)
    return Placed(data, value.shape, grid, spec)


def _part(value: Array, index: Slices, padded: tuple[int, ...]) -> Array:
    """``value[index]``, with zeros for what lies beyond."""
    ranges = [s.indices(n)[:2] for s, n in zip(index, padded, strict=True)]
    inside = value[tuple(slice(low, high) for low, high in ranges)]
    shape = tuple(high - low for low, high in ranges)
    if inside.shape == shape:
        return inside
    room = np.zeros(shape, value.dtype)
    room[tuple(slice(0, n) for n in inside.shape)] = inside
    return room


def _shards(placed: Placed) -> dict[tuple[tuple[int, int], ...], Any]:
    """The parts that this process has, each once, by where they lie in the padded value."""
    return {
        tuple(s.indices(n)[:2] for s, n in zip(shard.index, placed.data.shape, strict=True)): shard.data
        for shard in placed.data.addressable_shards
    }


def here(placed: Placed) -> list[tuple[int, int]]:
    """The rows (start, stop) of which this process has all elements, in order; ``[(0, 1)]`` of a value without axes."""
    found = _shards(placed)
    if not placed.shape:
        return [(0, 1)]
    widths: dict[tuple[int, int], int] = {}
    for index, data in found.items():
        widths[index[0]] = widths.get(index[0], 0) + math.prod(data.shape[1:])
    width = math.prod(placed.data.shape[1:])
    complete = sorted(rows for rows, n in widths.items() if n == width)
    clipped = [(low, min(high, placed.shape[0])) for low, high in complete]
    joined: list[tuple[int, int]] = []
    for low, high in clipped:
        if low >= high:
            continue
        if joined and joined[-1][1] == low:
            joined[-1] = (joined[-1][0], high)
        else:
            joined.append((low, high))
    return joined


def owned(placed: Placed) -> list[tuple[int, int]]:
    """Of the rows that are here, those that no process before this one has: each row has one owner."""
    sharding: Any = placed.data.sharding
    padded = placed.data.shape
    me = jax.process_index()
    if not placed.shape:
        first = min(d.process_index for d in sharding.device_set)
        return [(0, 1)] if first == me else []
    least: dict[tuple[int, int], int] = {}
    for device, index in sharding.devices_indices_map(padded).items():
        rows = index[0].indices(padded[0])[:2]
        least[rows] = min(least.get(rows, device.process_index), device.process_index)
    mine = [rows for rows, p in least.items() if p == me]
    found: list[tuple[int, int]] = []
    for low, high in here(placed):
        for a, b in sorted(mine):
            start, stop = max(low, a), min(high, b)
            if start >= stop:
                continue
            if found and found[-1][1] == start:
                found[-1] = (found[-1][0], stop)
            else:
                found.append((start, stop))
    return found


def _is_here(placed: Placed, start: int, stop: int) -> bool:
    if not placed.shape or start >= stop:
        return True
    return any(low <= start and stop <= high for low, high in here(placed))


def whole(placed: Placed) -> Array:
    """A new NumPy array. Where parts of it lie with other processes, all of them call this together."""
    n = placed.shape[0] if placed.shape else 1
    if _is_here(placed, 0, n):
        return _local(placed, 0, n)
    room = np.empty(placed.shape, placed.dtype)
    row = max(1, placed.nbytes // n)
    step = max(1, memory.PIECE // row)
    for low in range(0, n, step):
        room[low : low + step] = read_rows(placed, low, min(n, low + step))
    return room


def read_rows(placed: Placed, start: int, stop: int) -> Array:
    """Rows as a new NumPy array; where they lie with other processes, all of them call this together."""
    if _is_here(placed, start, stop):
        return _local(placed, start, stop)
    others = together(placed.grid)
    if others is not None:
        others.agree(f"read of rows {start} to {stop} of a value of shape {placed.shape}", placed.grid.timeout)
    with jax.enable_x64(True):
        return np.array(_reader(placed.grid, placed.spec, placed.shape, stop - start)(placed.data, np.int64(start)))


def _local(placed: Placed, start: int, stop: int) -> Array:
    """Rows of which this process has all."""
    shape = placed.shape
    if not shape:
        return np.array(placed.data.addressable_data(0))
    room = np.empty((stop - start, *shape[1:]), placed.dtype)
    for index, data in _shards(placed).items():
        low, high = max(index[0][0], start), min(index[0][1], stop)
        if low >= high:
            continue
        columns = tuple(slice(a, min(b, n)) for (a, b), n in zip(index[1:], shape[1:], strict=True))
        widths = tuple(slice(0, max(0, s.stop - s.start)) for s in columns)
        view = memory.host_view(data)
        if view is None:
            view = np.asarray(memory.read_rows(data, low - index[0][0], high - index[0][0]))
        else:
            view = view[low - index[0][0] : high - index[0][0]]
        room[(slice(low - start, high - start), *columns)] = view[(slice(None), *widths)]
    return room


@lru_cache(maxsize=256)
def _reader(grid: Grid, spec: PartitionSpec, shape: tuple[int, ...], count: int) -> Any:
    """Some rows, everywhere."""
    replicated = grid.sharding(spec_of())

    def read(data: Any, start: Any) -> Any:
        rows = start + lax.iota(dtype_of("int64"), count)
        parts = (rows, *(Span(0, n) for n in shape[1:]))
        value = Shards(data, shape, grid, spec).get(Selection(shape, parts, 0))
        return constrained(value, replicated)

    return jax.jit(read, out_shardings=replicated)


def write_rows(placed: Placed, start: int, rows: Array) -> Placed:
    """`placed` with some rows replaced, each device those that it has, in the memory where they are."""
    shape = placed.shape
    arrays = []
    for shard in placed.data.addressable_shards:
        index = [s.indices(n)[:2] for s, n in zip(shard.index, placed.data.shape, strict=True)]
        data = shard.data
        low, high = max(index[0][0], start), min(index[0][1], start + len(rows), shape[0])
        columns = tuple(slice(a, min(b, n)) for (a, b), n in zip(index[1:], shape[1:], strict=True))
        widths = tuple(max(0, s.stop - s.start) for s in columns)
        if low < high and all(widths):
            piece = rows[(slice(low - start, high - start), *columns)]
            if piece.shape[1:] != data.shape[1:]:
                room = np.zeros((high - low, *data.shape[1:]), piece.dtype)
                room[(slice(None), *(slice(0, n) for n in widths))] = piece
                piece = room
            data = memory.write_rows(data, low - index[0][0], piece)
        arrays.append(data)
    with jax.enable_x64(True):
        placed.data = jax.make_array_from_single_device_arrays(
            placed.data.shape, placed.data.sharding, arrays, dtype=placed.dtype
        )
    return placed


def replaced_like(placed: Placed, axes_spec: PartitionSpec) -> Placed:
    """A value divided in another way. Raises ShardingError where that would take what other processes have."""
    if placed.spec == axes_spec:
        return placed
    if not placed.data.is_fully_addressable:
        raise ShardingError(
            f"{placed} cannot take the place of a value that is divided as {axes_spec} over several processes; "
            "give both variables the same axes"
        )
    return place(whole(placed), placed.grid, axes_spec)


def numbered(placed: Placed) -> Iterator[tuple[Any, Slices]]:
    """The devices of this process, with the part of the value, without padding, that each has."""
    for shard in placed.data.addressable_shards:
        ranges = [s.indices(n)[:2] for s, n in zip(shard.index, placed.data.shape, strict=True)]
        yield shard.device, tuple(slice(min(a, n), min(b, n)) for (a, b), n in zip(ranges, placed.shape, strict=True))
