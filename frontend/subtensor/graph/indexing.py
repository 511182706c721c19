"""Index expressions: parsed once, into frozen data.

``parse`` reads whatever NumPy accepts between brackets and gives entries: slices, integer arrays, masks and new
axes. ``ops.subtensor`` turns masks into positions and new axes into reshapings, so that an ``Index``, which is what
later layers and backends see, has exactly one part for each axis: a ``Slice`` or an ``At``.

An ``At`` is an integer array of any rank. All of them broadcast together, and the broadcast dimensions stand in the
result where the first stood if they are adjacent, else in front: NumPy's rule. A plain integer is an ``At`` of rank 0.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from subtensor.errors import BoundsError, DomainError, DTypeError, IndexingError, counted
from subtensor.graph.constants import as_tensor, shorten
from subtensor.graph.nodes import Argument, Array, Constant, Variable
from subtensor.graph.types import Dim, Shape, broadcast_shapes, is_integer


@dataclass(frozen=True, slots=True)
class Ref:
    """The number of an index input, counted from the first one after the tensors."""

    slot: int


Bound: TypeAlias = int | Ref | None


@dataclass(frozen=True, slots=True)
class Slice:
    """``start:stop:step`` along one axis, with Python's meaning of ``None`` and of negative numbers."""

    start: Bound = None
    stop: Bound = None
    step: Bound = None

    @property
    def is_full(self) -> bool:
        return self.start is None and self.stop is None and self.step in (None, 1)

    @property
    def refs(self) -> tuple[Ref, ...]:
        return tuple(b for b in (self.start, self.stop, self.step) if isinstance(b, Ref))


@dataclass(frozen=True, slots=True)
class At:
    """Integer positions along one axis: the index input number `slot`."""

    slot: int


Part: TypeAlias = Slice | At
FULL = Slice()


@dataclass(frozen=True, slots=True)
class Index:
    """One part for each axis of the indexed tensor. Inputs are numbered in order of first use."""

    parts: tuple[Part, ...]

    @property
    def arrays(self) -> tuple[tuple[int, int], ...]:
        """``(axis, slot)`` of each ``At``."""
        return tuple((axis, p.slot) for axis, p in enumerate(self.parts) if isinstance(p, At))

    @property
    def bounds(self) -> tuple[int, ...]:
        """Slots that are bounds of slices: scalars on which the result's shape depends."""
        return tuple(r.slot for p in self.parts if isinstance(p, Slice) for r in p.refs)

    @property
    def is_basic(self) -> bool:
        """Whether there are only slices."""
        return all(isinstance(p, Slice) for p in self.parts)

    @property
    def adjacent(self) -> bool:
        axes = [axis for axis, _ in self.arrays]
        return not axes or axes[-1] - axes[0] == len(axes) - 1

    @property
    def array_axis(self) -> int:
        """The axis of the result at which the broadcast index dimensions start."""
        return self.arrays[0][0] if self.arrays and self.adjacent else 0

    @property
    def slices(self) -> tuple[tuple[int, Slice], ...]:
        """``(axis, slice)`` of each ``Slice``."""
        return tuple((axis, p) for axis, p in enumerate(self.parts) if isinstance(p, Slice))

    @property
    def selects_rows(self) -> bool:
        """Whether this is ``x[ids]``: one integer array on axis 0 and everything else whole."""
        return bool(
            self.parts
            and isinstance(self.parts[0], At)
            and all(isinstance(p, Slice) and p.is_full for p in self.parts[1:])
        )

    def array_ndim(self, ndims: Sequence[int]) -> int:
        """The rank of the broadcast of the index arrays, given the rank of each index input."""
        return max((ndims[slot] for _, slot in self.arrays), default=0)

    def key(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """The index as NumPy and array libraries like it take it, over the values of the inputs."""

        def bound(b: Bound) -> Any:
            return values[b.slot] if isinstance(b, Ref) else b

        return tuple(
            values[p.slot] if isinstance(p, At) else slice(bound(p.start), bound(p.stop), bound(p.step))
            for p in self.parts
        )

    def spell(self, inputs: Sequence[str]) -> str:
        """The index as a user would write it."""

        def bound(b: Bound) -> str:
            return "" if b is None else inputs[b.slot] if isinstance(b, Ref) else str(b)

        parts = list(self.parts)
        while len(parts) > 1 and isinstance(parts[-1], Slice) and parts[-1].is_full:
            parts.pop()
        texts = []
        for p in parts:
            if isinstance(p, At):
                texts.append(inputs[p.slot])
            else:
                step = bound(p.step)
                texts.append(f"{bound(p.start)}:{bound(p.stop)}" + (f":{step}" if step not in ("", "1") else ""))
        return ", ".join(texts)

    def result_shape(self, where: str, shape: Shape, inputs: Sequence[Argument]) -> Shape:
        """The static shape of ``x[index]``; raises where the index arrays do not broadcast together."""
        sliced = [slice_length(p, shape[axis], inputs, where) for axis, p in self.slices]
        slots = [slot for _, slot in self.arrays]
        if not slots:
            return tuple(sliced)
        try:
            block = broadcast_shapes(where, [inputs[s].type.shape for s in slots], [inputs[s].label for s in slots])
        except ValueError as error:
            raise IndexingError(f"{error}, since index arrays broadcast together") from None
        at = self.array_axis
        return (*sliced[:at], *block, *sliced[at:])


def _bound_value(bound: Bound, inputs: Sequence[Argument]) -> tuple[bool, int | None]:
    """Whether a bound is known, and its value."""
    if isinstance(bound, Ref):
        known = inputs[bound.slot].known
        return known is not None, None if known is None else int(known)
    return True, bound


def slice_length(part: Slice, dim: Dim, inputs: Sequence[Argument], where: str = "slice") -> Dim:
    """How many elements a slice takes from an axis of length `dim`, where that can be told."""
    if part.is_full:
        return dim
    bounds = [_bound_value(b, inputs) for b in (part.start, part.stop, part.step)]
    if not all(known for known, _ in bounds):
        return None
    start, stop, step = (value for _, value in bounds)
    if step == 0:
        raise IndexingError(f"{where}: the step of a slice is 0; expected a positive or negative integer")
    if dim is not None:
        return len(range(*slice(start, stop, step).indices(dim)))
    if step is not None and step < 0:
        return None
    if start is not None and stop is not None and (start < 0) == (stop < 0) and stop <= start:
        return 0
    return None


class Mask:
    """Entry of a parsed index: a boolean node that selects along ``mask.ndim`` axes."""

    def __init__(self, mask: Variable) -> None:
        self.mask = mask


class NewAxis:
    """Entry of a parsed index: ``None``."""


class Gap:
    """Entry of a parsed index: a ``...`` that stands for no axis. As in NumPy, it still keeps index arrays apart."""


Entry: TypeAlias = "slice | Variable | Mask | NewAxis | Gap"


def parse(key: Any, ndim: int, what: str) -> list[Entry]:
    """The entries of an index expression, with ``...`` and missing trailing axes written out as full slices.

    Slices come back with ints, 0-d integer nodes or None as bounds; everything that selects positions comes back as
    an integer node or a mask. Raises IndexingError, naming `what`, for floats, strings, a second ``...`` and too many
    indices, and DTypeError for bounds of slices that are no integers.
    """
    items = list(key) if isinstance(key, tuple) else [key]
    entries: list[Entry] = []
    ellipsis_at: int | None = None
    for item in items:
        if item is Ellipsis:
            if ellipsis_at is not None:
                raise IndexingError(f"{what}: an index can have only one ellipsis ('...'); got {len(items)} entries")
            ellipsis_at = len(entries)
        elif item is None:
            entries.append(NewAxis())
        elif isinstance(item, slice):
            entries.append(slice(*(_bound(b, what) for b in (item.start, item.stop, item.step))))
        else:
            entries.append(_positions(item, what))
    used = sum(_consumes(e) for e in entries)
    if used > ndim:
        raise IndexingError(
            f"{what}: too many indices: {what} has {counted(ndim, 'dimension')}, but {used} were indexed; "
            "remove some, or add axes with None"
        )
    at = len(entries) if ellipsis_at is None else ellipsis_at
    missing = ndim - used
    entries[at:at] = [slice(None)] * missing if missing or ellipsis_at is None else [Gap()]
    return entries


def _consumes(entry: Entry) -> int:
    if isinstance(entry, Mask):
        return entry.mask.ndim
    return 0 if isinstance(entry, NewAxis | Gap) else 1


def _refuse(item: object, what: str) -> IndexingError:
    if isinstance(item, Variable):
        got = f"{item.label} of type {item.type}"
    elif isinstance(item, np.ndarray):
        got = f"an array of dtype {item.dtype}"
    else:
        got = f"{shorten(item)} of type {type(item).__name__}"
    return IndexingError(
        f"{what}: {got} is not an index; expected integers, slices, '...', None, "
        "integer arrays or boolean masks (use .astype('int64') if the values are whole numbers)"
    )


def _positions(item: Any, what: str) -> Variable | Mask:
    if isinstance(item, str | bytes | dict | set | float | complex):
        raise _refuse(item, what)
    if isinstance(item, list | tuple) and _is_empty(item):
        return as_tensor(np.zeros(np.shape(item), dtype=np.int64))
    try:
        node = as_tensor(item)
    except (TypeError, ValueError) as error:
        try:
            node = as_tensor(operator.index(item))
        except TypeError:
            raise _refuse(item, what) from error
    if node.dtype == "bool":
        return Mask(node)
    if not is_integer(node.dtype):
        raise _refuse(item, what)
    return node


def _is_empty(item: Any) -> bool:
    try:
        return np.size(item) == 0
    except (TypeError, ValueError):
        return False


def _bound(bound: Any, what: str) -> int | Variable | None:
    """A bound of a slice: None, an int, or a 0-d integer node whose value is not known yet."""
    if bound is None:
        return None
    if isinstance(bound, Variable):
        if bound.ndim or not is_integer(bound.dtype):
            raise DTypeError(f"{what}: {bound!r} is not a slice bound; expected an integer scalar")
        return int(bound.data) if isinstance(bound, Constant) else bound
    try:
        return operator.index(bound)
    except TypeError:
        raise DTypeError(f"{what}: {bound!r} is not a slice bound; expected an integer, None or a scalar") from None


# --- run-time checks: one wording for every backend


def check_step(step: Array, label: str) -> None:
    """Raises DomainError where a slice's step, known only at run time, is zero."""
    if int(step) == 0:
        raise DomainError(f"{label}: the step of a slice is 0; expected a positive or negative integer")


def check_positions(index: Index, x: Argument, inputs: Sequence[Argument]) -> None:
    """Raises BoundsError for the first position, in C order, that lies outside its axis.

    All of `x`'s lengths and the index values must be known.
    """
    spelled = index.spell([i.label for i in inputs])
    for axis, slot in index.arrays:
        size = x.type.shape[axis]
        values = inputs[slot].known
        assert size is not None
        assert values is not None
        wrong = (values < -size) | (values >= size) if values.dtype.kind == "i" else values >= size
        if not wrong.any():
            continue
        raise out_of_bounds(f"{x.label}[{spelled}]", x.label, axis, size, inputs[slot].label, values, wrong)
    for part in index.parts:
        if isinstance(part, Slice) and isinstance(part.step, Ref):
            step = inputs[part.step.slot].known
            assert step is not None
            check_step(step, f"{x.label}[{spelled}]")


def out_of_bounds(
    subset: str, table: str, axis: int, size: int, label: str, values: Array, wrong: Array, *, from_zero: bool = False
) -> BoundsError:
    """The error for the first of `values`, positions called `label`, where `wrong` is true."""
    where = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
    place = f" at position {tuple(map(int, where))} of {label}" if where else ""
    expected = (
        f"expected {0 if from_zero else -size} <= index < {size}" if size else "the axis is empty, so no index fits"
    )
    return BoundsError(
        f"{subset}: index {int(values[where])}{place} is out of bounds for axis {axis} of {table}, "
        f"which has size {size}; {expected}"
    )


def check_mask_shape(mask: Argument, dims: Sequence[Argument]) -> None:
    """Raises BoundsError where a mask's shape differs from the lengths of the axes that it selects from."""
    for axis, dim in enumerate(dims):
        got, expected = mask.type.shape[axis], None if dim.known is None else int(dim.known)
        if got is not None and expected is not None and got != expected:
            raise BoundsError(
                f"{mask.label}: the mask has length {got} along its axis {axis}, but selects from an axis of length "
                f"{expected}; expected equal lengths"
            )
