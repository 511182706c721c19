"""Promises about values that are checked where a call fails, so that errors speak of what the user wrote."""

from __future__ import annotations

from subtensor.graph.indexing import out_of_bounds
from subtensor.graph.nodes import DISCONNECTED, Argument, Variable, define


def _bounded_check(ids: Argument, n: Argument, subset: str, table: str, along: int, from_zero: bool) -> None:
    assert ids.known is not None
    assert n.known is not None
    size, values = int(n.known), ids.known
    wrong = values >= size
    if values.dtype.kind == "i":
        wrong |= values < (0 if from_zero else -size)
    if wrong.any():
        raise out_of_bounds(subset, table, along, size, ids.label, values, wrong, from_zero=from_zero)


_bounded = define(
    "bounded_positions",
    infer=lambda ids, n, **_: ids.type,
    vjp=lambda g, out, ids, n, **_: [DISCONNECTED, DISCONNECTED],
    expand=lambda ids, n, **_: ids,
    check=_bounded_check,
    dims=lambda axis, ids, n, **_: (ids, axis),
)


def bounded(ids: Variable, n: Variable, subset: str, table: str, axis: int, *, from_zero: bool = False) -> Variable:
    """`ids` itself: positions on an axis of length n, at which a later op reads or writes, and notices wrong ones.

    subset, table, axis: what BoundsError then calls them. from_zero: whether negative positions are wrong.
    """
    return _bounded(ids, n, subset=subset, table=table, along=axis, from_zero=from_zero)
