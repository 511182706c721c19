"""What is as large as a table: which shared variables are tables, and what has as many rows as one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from subtensor.graph.indexing import At
from subtensor.graph.nodes import OPS, Constant, Variable, toposort
from subtensor.graph.shared import SharedVariable
from subtensor.ops.loop import is_loop, joined
from subtensor.ops.subtensor import get_op, is_write
from subtensor.rewrites.shapes import deciding, is_elementwise, same_length

Outside = Mapping[Variable, tuple[Variable, int]]
"""For what stands for a value in the body of a loop: that value, and how many axes more it has in front."""

_NOTHING: Outside = MappingProxyType({})
_length = OPS["length"]


def tables(roots: Iterable[Variable]) -> list[SharedVariable]:
    """The shared variables of which a graph reads or writes rows at positions that are computed or given.

    Constant positions are how people take apart what is no table.
    """
    found: dict[SharedVariable, None] = {}
    _collect(roots, _NOTHING, found)
    return list(found)


def _collect(roots: Iterable[Variable], outside: Outside, found: dict[SharedVariable, None]) -> None:
    for node in toposort(roots):
        if is_loop(node):
            call = joined([node])
            _collect([node.params["output"], *call.loop.following], inside(call.values, call.loop.sequences), found)
        elif node.op is get_op or is_write(node):
            base = node.inputs[0]
            at = node.inputs[1 + is_write(node) :]
            for axis, part in enumerate(node.params["index"].parts):
                if isinstance(part, At) and not isinstance(at[part.slot], Constant):
                    leaves, _ = _leaves(base, axis, outside)
                    found.update({s: None for s, first in leaves if isinstance(s, SharedVariable) and first == 0})


def inside(values: Mapping[Variable, Variable], sequences: Iterable[Variable], around: Outside = _NOTHING) -> Outside:
    """What placeholders of a loop stand for. around: the same of a loop around it."""
    elements = set(sequences)
    return {**around, **{p: (value, int(p in elements)) for p, value in values.items()}}


def table_size(x: Variable, tables: Iterable[SharedVariable], outside: Outside = _NOTHING) -> SharedVariable | None:
    """The table, if there is one, of whose size x is: an axis of x surely is as long as the first axis of the table.

    An axis that is as long by chance, for its length is that of an argument, or of another axis, does not count.
    """
    for t in tables:
        if not t.ndim or t.type.shape[0] == 1:
            continue
        for axis in range(x.ndim):
            node, at = x, axis
            while node in outside:
                node, more = outside[node]
                at += more
            if same_length(node, at, t, 0) and not _by_chance(node, at, outside):
                return t
    return None


def _by_chance(x: Variable, axis: int, outside: Outside) -> bool:
    """Whether a length is read off axes of leaves none of which is the first one of a shared variable."""
    leaves, others = _leaves(x, axis, outside)
    return not others and bool(leaves) and not any(isinstance(v, SharedVariable) and at == 0 for v, at in leaves)


def _leaves(x: Variable, axis: int, outside: Outside) -> tuple[dict[tuple[Variable, int], None], bool]:
    """The axes of leaves that decide a length, and whether anything else does."""
    leaves: dict[tuple[Variable, int], None] = {}
    seen: set[tuple[Variable, int]] = set()
    stack, others = [(x, axis)], False
    while stack:
        node, at = place = stack.pop()
        if place in seen or node.type.shape[at] == 1:
            continue
        seen.add(place)
        if node in outside:
            value, more = outside[node]
            stack.append((value, at + more))
        elif node.op is None and not isinstance(node, Constant):
            leaves[place] = None
        elif node.op is None or (found := _read_off(node, at)) is None:
            others = True
        else:
            stack += found
    return leaves, others


def _read_off(node: Variable, axis: int) -> list[tuple[Variable, int]] | None:
    """The axes that decide the length of one; None where something else does."""
    if is_elementwise(node):
        return [(i, axis - node.ndim + i.ndim) for i in node.inputs if axis - node.ndim + i.ndim >= 0]
    assert node.op is not None
    if node.op.name == "reshape" and node.ndim == (x := node.inputs[0]).ndim and same_length(node, axis, x, axis):
        return [(x, axis)]
    if node.op.dims is None:
        return None
    found = node.op.dims(axis, *node.inputs, **node.params)
    if isinstance(found, tuple):  # an op need not say of an axis whose length is known, such as that of a stack
        return [found] if found[1] >= 0 else None
    if found is None:
        return deciding(node, axis) or None
    return [(found.inputs[0], found.params["axis"])] if found.op is _length else None


__all__ = ["inside", "table_size", "tables"]
