"""Rewrites for JAX alone: what is read or written at a mask needs no array whose length depends on the mask.

``x[m]`` has as many elements as m has true ones, so a program with it is cut there and compiled for each number. Where
elements are reduced, or written back where they came from, nobody needs them side by side: ``f(x[m], y[m])`` is
``f(x, y)``, looked at only where m is true. It costs a pass over all of x; so a write of rows into a shared variable,
or a reduction of its rows, is left as it is unless the mask has an element for each of its own.

Errors stay: a mask that does not fit is refused as before, and so are values of the wrong length and the extremum of
nothing, for which an index that is out of range takes the place of the error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from subtensor.graph.indexing import Index
from subtensor.graph.nodes import OPS, Constant, Variable, call, constant_node, rebuild
from subtensor.graph.shared import SharedVariable
from subtensor.graph.types import INDEX
from subtensor.ops.shape import length
from subtensor.ops.subtensor import get_op, inc_op, set_op
from subtensor.rewrites.engine import Rewrite
from subtensor.rewrites.shapes import is_elementwise, is_single, is_zeros, same_length

_MOST = 200
"""Nodes of one expression that are looked at."""


@dataclass(frozen=True)
class Masked:
    """A read or write ``x[…, m, …]``: a mask over neighbouring axes, everything else whole.

    axis: the first axis of the mask. inputs: the index inputs, which tell masks apart. after: how many axes follow.
    """

    mask: Variable
    axis: int
    inputs: tuple[Variable, ...]
    after: int

    @property
    def covers(self) -> bool:
        """Whether the mask has an element for each element of x."""
        return self.axis == 0 and self.after == 0


def masked(x: Variable, inputs: Sequence[Variable], index: Index) -> Masked | None:
    """What an index of x selects, if a mask does, and all else is whole."""
    axes = [axis for axis, _ in index.arrays]
    if not axes or not index.adjacent or not all(p.is_full for _, p in index.slices):
        return None
    positions = [inputs[slot] for _, slot in index.arrays]
    flat = _flat(positions, x, axes)
    if flat is None or flat.op is None or flat.op.name != "flatnonzero":
        return None
    mask = flat.inputs[0]
    if len(axes) > 1:
        if mask.op is None or mask.op.name != "reshape" or mask.inputs[0].ndim != len(axes):
            return None
        mask = mask.inputs[0]
    if not all(same_length(mask, i, x, axis) for i, axis in enumerate(axes)):
        return None
    return Masked(mask, axes[0], tuple(positions), x.ndim - axes[-1] - 1)


def _flat(positions: Sequence[Variable], x: Variable, axes: Sequence[int]) -> Variable | None:
    """Positions in the flattened axes, of which `positions` are the positions axis by axis (``unravel_index``)."""
    if len(positions) == 1:
        return positions[0]
    flat = _divided(positions[-1], "mod", x, axes[-1])
    quotient = flat
    for k in range(len(positions) - 1, 0, -1):
        rest = positions[k - 1] if k == 1 else _divided(positions[k - 1], "mod", x, axes[k - 1])
        if quotient is None or rest is None or _divided(rest, "floor_divide", x, axes[k]) is not quotient:
            return None
        quotient = rest
    return flat


def _divided(node: Variable, name: str, x: Variable, axis: int) -> Variable | None:
    """What is divided by the length of an axis of x (by 1, where it is 0), or None."""
    if node.op is None or node.op.name != name:
        return None
    by, known = node.inputs[1], x.type.shape[axis]
    if isinstance(by, Constant):
        return (
            node.inputs[0] if known is not None and by.data.size == 1 and int(by.data.item()) == max(known, 1) else None
        )
    if by.op is None or by.op.name != "maximum":
        return None
    lengths = [i for i in by.inputs if not (isinstance(i, Constant) and i.data.size == 1 and i.data.item() == 1)]
    return node.inputs[0] if len(lengths) == 1 and lengths[0] is length(x, axis) else None


def _of_read(read: Variable) -> Masked | None:
    return masked(read.inputs[0], read.inputs[1:], read.params["index"]) if read.op is get_op else None


def _read_in(node: Variable) -> Masked | None:
    """The mask of some read in an elementwise expression."""
    stack, seen = [node], {node}
    while stack and len(seen) < _MOST:
        v = stack.pop()
        found = _of_read(v)
        if found is not None:
            return found
        if _is_pointwise(v):
            new = [i for i in v.inputs if i.ndim and i not in seen]
            seen.update(new)
            stack += new
    return None


def _is_pointwise(node: Variable) -> bool:
    """Whether a node is computed element by element, and no element can raise an error."""
    if node.op is None or not (is_elementwise(node) or node.op.name == "cast"):
        return False
    return node.op.name != "power" or node.dtype.startswith("float")


class _Widening:
    """Expressions over reads at a mask, as the same expressions over what they read from.

    only: the one tensor that may be read from, where the mask does not cover it. mask: the mask, and those of all
    reads, which may differ in what they must fit.
    """

    def __init__(self, m: Masked, only: Variable | None = None) -> None:
        self.m = m
        self.only = only
        self.mask = m.mask
        self.new: dict[Variable, Variable] = {}

    def spread(self) -> Variable:
        """The mask, with axes of length 1 for those that follow."""
        n = self.mask.ndim
        return call("expand_dims", self.mask, tuple(range(n, n + self.m.after))) if self.m.after else self.mask

    def of(self, node: Variable) -> Variable | None:
        """`node` widened, or None where it holds anything else than reads, numbers and elementwise ops."""
        new = self.new
        stack = [node]
        while stack:
            v = stack[-1]
            if v in new:
                stack.pop()
                continue
            if len(new) > _MOST:
                return None
            leaf = self._leaf(v)
            if leaf is not None:
                new[v] = leaf
            elif _is_pointwise(v):
                missing = [i for i in v.inputs if i not in new]
                stack += missing
                if not missing:
                    new[v] = rebuild(v, [new[i] for i in v.inputs])
            else:
                return None
        return new[node]

    def _leaf(self, v: Variable) -> Variable | None:
        m = self.m
        if v.ndim == 0:
            return v
        if is_single(v):
            return call("reshape", v, ())
        if v.op is not None and v.op.name == "broadcast_to" and m.covers and self._is_count(v.inputs[1]):
            return call("reshape", v.inputs[0], ()) if is_single(v.inputs[0]) else None
        if isinstance(v, Constant) and v.ndim <= m.after and self.only is None:
            return v
        read = _of_read(v)
        if read is None or (read.axis, read.after) != (m.axis, m.after) or _pattern(read.mask) is not _pattern(m.mask):
            return None
        x = v.inputs[0]
        if not m.covers and (isinstance(x, SharedVariable) if self.only is None else x is not self.only):
            return None
        if read.mask is not m.mask:
            self.mask = call("logical_and", self.mask, read.mask)
        return x

    def _is_count(self, n: Variable) -> bool:
        """Whether n is the number of true elements."""
        if n.op is None or not n.inputs:
            return False
        if n.op.name == "length":
            read = _of_read(n.inputs[0])
            return read is not None and _pattern(read.mask) is _pattern(self.m.mask)
        if n.op.name != "sum" or n.ndim or n.inputs[0].op is None or n.inputs[0].op.name != "cast":
            return False
        counted = n.inputs[0].inputs[0]
        if counted.op is not None and counted.op.name == "reshape":
            counted = counted.inputs[0]
        return counted.dtype == "bool" and _pattern(counted) is _pattern(self.m.mask)


def _pattern(mask: Variable) -> Variable:
    """A mask, whatever it must fit."""
    return mask.inputs[0] if mask.op is not None and mask.op.name == "fitting_mask" else mask


# --- reductions


def _identity(name: str, dtype: str) -> Constant:
    """What changes no sum, product or extremum."""
    kind = np.dtype(dtype)
    if name in ("sum", "prod"):
        return constant_node(np.asarray(int(name == "prod"), kind))
    if kind.kind == "f":
        return constant_node(np.asarray(-np.inf if name == "max" else np.inf, kind))
    if kind.kind == "b":
        return constant_node(np.asarray(name == "min"))
    limits = np.iinfo(kind)
    return constant_node(np.asarray(limits.min if name == "max" else limits.max, kind))


def _reduce(node: Variable) -> Variable | None:
    assert node.op is not None
    x, axes = node.inputs[0], node.params["axes"]
    m = _read_in(x)
    if m is None or m.axis not in axes or x.ndim != m.axis + 1 + m.after:
        return None
    widening = _Widening(m)
    wide = widening.of(x)
    if wide is None:
        return None
    n = m.mask.ndim
    wider = tuple(a + n - 1 if a > m.axis else a for a in axes)
    wider = (*(a for a in wider if a < m.axis), *range(m.axis, m.axis + n), *(a for a in wider if a >= m.axis + n))
    held = OPS["where"](widening.spread(), wide, _identity(node.op.name, x.dtype))
    result = node.op(held, axes=wider)
    if node.op.name in ("sum", "prod"):
        return result
    if len(wider) != held.ndim:
        return None
    nothing = call("cast", call("logical_not", call("any", widening.mask)), INDEX)
    return call("expand_dims", result, (0,))[nothing]  # there is no element 1


def _expanded(node: Variable) -> Variable | None:
    assert node.op is not None
    if node.op.expand is None or _read_in(node.inputs[0]) is None:
        return None
    return node.op.expand(*node.inputs, **node.params)


def _length(node: Variable) -> Variable | None:
    read, axis = node.inputs[0], node.params["axis"]
    m = _of_read(read)
    return call("sum", call("cast", m.mask, INDEX)) if m is not None and axis == m.axis else None


# --- writes


def _write(node: Variable) -> Variable | None:
    x, y, *inputs = node.inputs
    m = masked(x, inputs, node.params["index"])
    if m is None or (not m.covers and (isinstance(x, SharedVariable) or is_zeros(x))):
        return None
    widening = _Widening(m, None if m.covers else x)
    value = widening.of(y)
    if value is None:
        value = _dealt(y, m)
    if value is None:
        return None
    if node.op is inc_op:
        value = call("add", x, value)
    return OPS["where"](widening.spread(), value, x)


def _dealt(y: Variable, m: Masked) -> Variable | None:
    """A vector dealt out to the true elements of a mask in order; where their numbers differ, out of range."""
    if not m.covers or y.ndim != 1:
        return None
    flat = call("reshape", m.mask, (-1,))
    n, count = length(y, 0), call("sum", call("cast", flat, INDEX))
    alone = call("equal", n, 1)
    fits = call("logical_or", alone, call("equal", n, count))
    place = call("where", alone, 0, call("subtract", call("cumsum", call("cast", flat, INDEX)), 1))
    place = call("where", fits, call("where", flat, place, 0), call("add", n, 1))
    ends = call("concatenate", [y, constant_node(np.zeros(1, y.dtype))])  # so that 0 is in range where y is empty
    return call("reshape", ends[place], tuple(length(m.mask, i) for i in range(m.mask.ndim)))


REWRITES = (
    Rewrite(
        "jax_reduction_of_masked", _reduce, "rounding", frozenset({"masks"}), frozenset({"sum", "prod", "max", "min"}),
        "sum(f(x[m])) = sum(where(m, f(x), 0))", "f is elementwise; likewise prod, max and min",
    ),
    Rewrite(
        "jax_logsumexp_of_masked", _expanded, "value", frozenset({"masks"}), frozenset({"logsumexp"}),
        "logsumexp(x[m]) = log(sum(exp(x[m] - max(x[m])))) + max(x[m])",
    ),
    Rewrite(
        "jax_length_of_masked", _length, "value", frozenset({"masks"}), frozenset({"length"}),
        "length(x[m]) = sum(m)",
    ),
    Rewrite(
        "jax_write_at_mask", _write, "value", frozenset({"masks"}), frozenset({set_op.name, inc_op.name}),
        "set(x, f(x[m]), m) = where(m, f(x), x)", "f is elementwise; likewise inc, and a vector as the value",
    ),
)  # fmt: skip
