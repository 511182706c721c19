"""Promises about indices, which rules may rely on and debug runs check."""

from __future__ import annotations

from typing import Any

import numpy as np

from subtensor.errors import DomainError, DTypeError
from subtensor.graph.config import config
from subtensor.graph.constants import as_tensor
from subtensor.graph.nodes import DISCONNECTED, Argument, Variable, call, define
from subtensor.graph.operators import public
from subtensor.graph.types import INDEX, is_integer
from subtensor.ops.shape import lengths
from subtensor.ops.subtensor import flatnonzero_op, last_occurrence


def _check(ids: Argument, checked: bool) -> None:
    if not checked:
        return
    values = ids.known
    assert values is not None
    found, counts = np.unique(values, return_counts=True)
    if found.size < values.size:
        twice = int(found[counts.argmax()])
        raise DomainError(
            f"assume_unique: {ids.label} holds {twice} {int(counts.max())} times; expected distinct positions: leave "
            "the promise out where it does not hold"
        )
    if found.size and found[0] < 0 <= found[-1]:
        raise DomainError(
            f"assume_unique: {ids.label} holds negative and non-negative positions ({int(found[0])} and "
            f"{int(found[-1])}), which may be the same; expected one kind"
        )


def _expand(ids: Variable, checked: bool) -> Variable:
    if not checked:
        return ids
    # keeping the last of equal elements, then asking for the old shape, fails where there were equal ones
    flat = call("reshape", ids, (-1,))
    kept = flat[flatnonzero_op(last_occurrence(call("cast", flat, INDEX)))]
    negative = call("cast", call("less", flat, 0), INDEX)
    mixed = call("equal", call("sum", negative) * (call("size", ids) - call("sum", negative)), 0)
    one_kind = kept[: call("where", mixed, call("size", ids), call("maximum", call("size", ids) - 1, 0))]
    return call("reshape", one_kind, lengths(ids))


unique_promise = define(
    "assume_unique",
    infer=lambda ids, checked: ids.type,
    vjp=lambda g, out, ids, checked: [DISCONNECTED],
    expand=_expand,
    check=_check,
    dims=lambda axis, ids, checked: (ids, axis),
)


@public
def assume_unique(ids: Any) -> Variable:
    """`ids`, with the promise that they are distinct as positions: no two select the same place.

    ids: integers of any shape, all negative or all non-negative. Rules that need distinct positions rely on it; a
    broken promise gives a wrong result, unless ``config.check_promises`` is set when the promise is made: then the call
    raises DomainError and nothing is changed.
    """
    ids = as_tensor(ids)
    if not is_integer(ids.dtype):
        raise DTypeError(f"assume_unique: {ids!r} holds no positions; expected integers")
    return unique_promise(ids, checked=config.check_promises)
