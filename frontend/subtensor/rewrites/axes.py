"""Index expressions under rearrangement: which axis of ``x[index]`` comes from where, and the index of x rearranged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from subtensor.graph.indexing import At, Index, Part, Ref, Slice
from subtensor.graph.nodes import Variable, call
from subtensor.ops.shape import broadcast_dims_of, broadcast_to_dims, expand_dims, squeeze, transpose
from subtensor.ops.subtensor import get_op
from subtensor.rewrites.shapes import same_shape

Inputs = Sequence[Variable]
Label = tuple[str, int]


def renumbered(parts: Sequence[Part], inputs: Inputs) -> tuple[Index, list[Variable]]:
    """Parts that refer to `inputs` as an Index with its inputs numbered in order of first use."""
    used: list[Variable] = []

    def take(slot: int) -> int:
        used.append(inputs[slot])
        return len(used) - 1

    def bound(b: Any) -> Any:
        return Ref(take(b.slot)) if isinstance(b, Ref) else b

    new: tuple[Part, ...] = tuple(
        At(take(p.slot)) if isinstance(p, At) else Slice(bound(p.start), bound(p.stop), bound(p.step)) for p in parts
    )
    return Index(new), used


def taken_by(part: Slice, positions: range) -> range:
    """The positions that a slice with known bounds takes from a range of them."""
    start, stop, step = (b for b in (part.start, part.stop, part.step) if not isinstance(b, Ref))
    return positions[slice(start, stop, step)]


def slice_of(positions: range) -> Slice:
    """The slice that selects a range of non-negative positions."""
    if not positions:
        return Slice(0, 0)
    stop = positions[-1] + (1 if positions.step > 0 else -1)
    return Slice(positions[0], stop if stop >= 0 else None, None if positions.step == 1 else positions.step)


def layout(index: Index, inputs: Inputs, names: Sequence[int] | None = None) -> list[Label]:
    """What each axis of ``x[index]`` is: ``("b", k)``, the k-th of the index arrays' block, or ``("s", axis)``.

    names: what to call the axes of x; their numbers by default.
    """
    block = [("b", k) for k in range(index.array_ndim([i.ndim for i in inputs]))]
    sliced = [("s", axis if names is None else names[axis]) for axis, _ in index.slices]
    at = index.array_axis
    return [*sliced[:at], *block, *sliced[at:]]


def rearranged(x: Variable, have: Sequence[Label], want: Sequence[Label]) -> Variable:
    """x, whose axes are `have`, with the axes `want`; those that it lacks become axes of length 1.

    x may lack leading ones of `have` (it broadcasts).
    """
    have = list(have)[len(have) - x.ndim :]
    kept = [label for label in want if label in have]
    moved = transpose(x, [have.index(label) for label in kept])
    new = [i for i, label in enumerate(want) if label not in have]
    return expand_dims(moved, new) if new else moved


def read_broadcast(s: Variable, ndim: int, index: Index, inputs: Inputs) -> Variable:
    """``broadcast_to(s, …)[index]``, up to broadcasting, read from s itself.

    s broadcasts to the indexed shape of `ndim` axes; axes of s that are known to have length 1 are not indexed at all,
    so positions along them are not checked.
    """
    lead = ndim - s.ndim
    kept = [a for a in range(ndim) if a >= lead and s.type.shape[a - lead] != 1]
    if not kept:
        return squeeze(s, tuple(range(s.ndim))) if s.ndim else s
    narrow = squeeze(s, tuple(i for i, d in enumerate(s.type.shape) if d == 1))
    part, used = renumbered([index.parts[a] for a in kept], inputs)
    block = index.array_ndim([i.ndim for i in inputs])
    own = part.array_ndim([i.ndim for i in used])
    have = [("b", k + block - own) if kind == "b" else (kind, k) for kind, k in layout(part, used, kept)]
    read = narrow if all(isinstance(p, Slice) and p.is_full for p in part.parts) else get_op(narrow, *used, index=part)
    return rearranged(read, have, layout(index, inputs))


def transposed(index: Index, inputs: Inputs, axes: Sequence[int]) -> tuple[Index, list[Variable], list[Label]]:
    """The index that selects from ``transpose(x, axes)`` what `index` selects from x.

    Also its inputs, and its layout in terms of x's axes.
    """
    new, used = renumbered([index.parts[a] for a in axes], inputs)
    return new, used, layout(new, used, axes)


def untransposed(index: Index, inputs: Inputs, axes: Sequence[int]) -> tuple[Index, list[Variable], list[Label]]:
    """The index that selects from x what `index` selects from ``transpose(x, axes)``.

    Also its inputs, and its layout in terms of the transposed axes.
    """
    inverse = sorted(range(len(axes)), key=axes.__getitem__)
    return transposed(index, inputs, inverse)


def wide_index(ids: Variable) -> Variable | None:
    """Positions as int64, where that is possible without loss."""
    return None if ids.dtype == "uint64" else call("cast", ids, "int64")


def together(index: Index, inputs: Inputs) -> list[Variable]:
    """The index arrays of an index, in their common shape: where that is empty, no position is checked."""
    arrays = [inputs[slot] for _, slot in index.arrays]
    if all(same_shape(a, arrays[0]) for a in arrays[1:]):
        return arrays
    dims = broadcast_dims_of(*arrays)
    return [broadcast_to_dims(a, dims) for a in arrays]
