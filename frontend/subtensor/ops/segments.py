"""Rows in groups: what a group's rows add up to, and bags of rows of a table.

A group is named by an id for each row, in any order. Groups without rows get what a reduction over nothing gives.
"""

from __future__ import annotations

import math
from typing import Any

from subtensor.errors import DTypeError, ShapeError
from subtensor.graph.constants import as_tensor, constant
from subtensor.graph.nodes import Variable, call
from subtensor.graph.operators import public
from subtensor.graph.types import INDEX, is_float, is_integer
from subtensor.ops.elementwise import cast
from subtensor.ops.selection import segment_sum
from subtensor.ops.shape import broadcast_to_dims, expand_right, length, of_lengths
from subtensor.ops.shape import lengths as lengths_of


def _rows(where: str, x: Any, segment_ids: Any, num_segments: Any) -> tuple[Variable, Variable, Variable]:
    """Rows, their ids wrapped, and the number of groups."""
    x, ids = as_tensor(x), as_tensor(segment_ids)
    if ids.ndim != 1 or not is_integer(ids.dtype) or x.ndim < 1:
        raise ShapeError(f"{where}: ids {ids!r} for {x!r}; expected a vector with an id for each row")
    n = cast(as_tensor(num_segments), INDEX)
    ids = cast(ids, INDEX)
    x = of_lengths(where, x, [length(ids, 0), *[None] * (x.ndim - 1)])
    return x, call("where", ids < 0, ids + n, ids), n


def _floats(where: str, x: Variable) -> Variable:
    if not is_float(x.dtype):
        raise DTypeError(f"{where}: x is {x.dtype}; expected floats: x.astype('float32')")
    return x


def _counts(ids: Variable, n: Variable, dtype: str = INDEX) -> Variable:
    return segment_sum(call("ones_like", ids, dtype), ids, n)


def _padded(x: Variable, ids: Variable, n: Variable, filling: Any) -> Variable:
    """(groups, most rows of a group + 1, …): the rows of each group side by side, then `filling`."""
    counts = _counts(ids, n)
    order = call("argsort", ids, 0)
    ends = call("cumsum", counts, 0)
    most = call("max", call("concatenate", [counts, constant([0], dtype=INDEX)], 0), 0) + 1
    at = call("arange", most)
    within = call("expand_dims", at, (0,)) < call("expand_dims", counts, (1,))
    places = call("where", within, call("expand_dims", ends - counts, (1,)) + at, length(x, 0))
    last = broadcast_to_dims(constant(filling, dtype=x.dtype), [constant(1), *lengths_of(x)[1:]])
    filled = call("concatenate", [x[order], last], 0)
    return filled[places]


def _bounds(dtype: str) -> tuple[int, int]:
    """The least and the greatest value of an integer dtype."""
    bits = int(dtype.rpartition("int")[2])
    return (0, 2**bits - 1) if dtype.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _lowest(dtype: str) -> Any:
    return -math.inf if is_float(dtype) else (False if dtype == "bool" else _bounds(dtype)[0])


def _highest(dtype: str) -> Any:
    return math.inf if is_float(dtype) else (True if dtype == "bool" else _bounds(dtype)[1])


@public
def segment_mean(x: Any, segment_ids: Any, num_segments: Any) -> Variable:
    """Means of the rows of x that share an id: (num_segments, …); 0 where there are none.

    x: (n, …) floats; segment_ids: (n,) integers. Raises as ``segment_sum``.
    """
    x, ids, n = _rows("segment_mean", x, segment_ids, num_segments)
    counts = call("maximum", _counts(ids, n, _floats("segment_mean", x).dtype), 1)
    total = segment_sum(x, ids, n)
    return total / expand_right(counts, total.ndim)


@public
def segment_max(x: Any, segment_ids: Any, num_segments: Any) -> Variable:
    """Greatest elements of the rows of x that share an id: (num_segments, …); the lowest value where there are none.

    x: (n, …); segment_ids: (n,) integers. The gradient is that of ``max``, of equal elements too.
    """
    x, ids, n = _rows("segment_max", x, segment_ids, num_segments)
    return call("max", _padded(x, ids, n, _lowest(x.dtype)), 1)


@public
def segment_min(x: Any, segment_ids: Any, num_segments: Any) -> Variable:
    """Least elements, as ``segment_max``; the highest value where there are none."""
    x, ids, n = _rows("segment_min", x, segment_ids, num_segments)
    return call("min", _padded(x, ids, n, _highest(x.dtype)), 1)


@public
def segment_prod(x: Any, segment_ids: Any, num_segments: Any) -> Variable:
    """Products of the rows of x that share an id: (num_segments, …); 1 where there are none; in the dtype of x."""
    x, ids, n = _rows("segment_prod", x, segment_ids, num_segments)
    return cast(call("prod", _padded(x, ids, n, 1), 1), x.dtype)


def _shifted(x: Variable, ids: Variable, n: Variable) -> tuple[Variable, Variable]:
    """``exp(x − m)``, and m, the greatest of the group where that is finite, held fixed."""
    most = call("disconnected_grad", call("max", _padded(x, ids, n, -math.inf), 1))
    most = call("where", call("isfinite", most), most, 0)
    return call("exp", x - most[ids]), most


@public
def segment_logsumexp(x: Any, segment_ids: Any, num_segments: Any) -> Variable:
    """``log(sum(exp(x)))`` of the rows that share an id, without overflow; -inf where there are none."""
    x, ids, n = _rows("segment_logsumexp", x, segment_ids, num_segments)
    powers, most = _shifted(_floats("segment_logsumexp", x), ids, n)
    return call("log", segment_sum(powers, ids, n)) + most


@public
def segment_softmax(x: Any, segment_ids: Any, num_segments: Any) -> Variable:
    """``exp(x) / sum(exp(x))``, the sum over the rows that share an id: of the shape of x, without overflow."""
    x, ids, n = _rows("segment_softmax", x, segment_ids, num_segments)
    powers, _ = _shifted(_floats("segment_softmax", x), ids, n)
    return powers / segment_sum(powers, ids, n)[ids]


def _flat(x: Variable) -> Variable:
    return x if x.ndim == 1 else call("reshape", x, (-1,))


MODES = ("sum", "mean", "max", "sqrtn")


@public
def embedding_bag(
    table: Any,
    ids: Any,
    offsets: Any = None,
    lengths: Any = None,
    segments: Any = None,
    num_bags: Any = None,
    mask: Any = None,
    weights: Any = None,
    mode: str = "sum",
) -> Variable:
    """Rows of a table, a bag of them at a time, added up: (bags, …).

    table: (V, …) floats. ids: (n,), with one of `offsets` (where each bag starts), `lengths` (of the bags), or
    `segments` with `num_bags` (the bag of each id); or (bags, L), with a bool `mask` of the ids that count, or without.
    weights: of the shape of ids, not with ``max``. mode: ``sum``; ``mean``, by the number of ids or the sum of weights;
    ``max``; ``sqrtn``, the sum by the root of the number of ids, or of the sum of squared weights. Empty bags are 0.
    Raises BoundsError for ids, ShapeError where lengths do not add up to n or offsets do not start at 0, DomainError
    where offsets fall or exceed n.
    """
    where = "embedding_bag"
    table, ids = as_tensor(table), as_tensor(ids)
    if mode not in MODES:
        raise DTypeError(f"{where}: mode={mode!r}; expected one of {', '.join(map(repr, MODES))}")
    if mode == "max" and weights is not None:
        raise DTypeError(f"{where}: mode='max' takes no weights")
    given = [name for name, v in (("offsets", offsets), ("lengths", lengths), ("segments", segments)) if v is not None]
    sizes: Variable | None = None  # of the bags, where that is known without counting
    if ids.ndim == 2 and not given:
        bags = length(ids, 0)
        if mask is None:
            sizes = call("broadcast_to", length(ids, 1), (bags,))
        owner = call("broadcast_to", call("expand_dims", call("arange", bags), (1,)), (bags, length(ids, 1)))
    elif ids.ndim == 1 and len(given) == 1 and mask is None and (segments is None) == (num_bags is None):
        n = length(ids, 0)
        if offsets is not None:
            starts = cast(as_tensor(offsets), INDEX)
            lengths = call("concatenate", [starts, call("reshape", n, (1,))], 0)[1:] - starts
        sizes = None if lengths is None else as_tensor(lengths)
        bags = cast(as_tensor(num_bags), INDEX) if lengths is None else length(as_tensor(lengths), 0)
        owner = as_tensor(segments) if lengths is None else call("repeat", call("arange", bags), as_tensor(lengths), 0)
        owner = of_lengths(where, owner, [n])
    else:
        raise ShapeError(
            f"{where}: ids {ids!r} with {', '.join(given) or 'nothing'}; expected a vector of ids and one of offsets=, "
            "lengths= or segments= with num_bags=, or a matrix of ids and perhaps mask="
        )
    owner, flat = _flat(owner), _flat(ids)
    rows = table[ids]  # as it was given: for errors
    if ids.ndim == 2:
        rows = call("reshape", rows, [length(flat, 0), *lengths_of(table)[1:]])
    weight = None if weights is None else call("reshape", cast(as_tensor(weights), table.dtype), (-1,))
    if mask is not None:
        on = _flat(as_tensor(mask))
        rows = call("where", expand_right(on, rows.ndim), rows, _lowest(table.dtype) if mode == "max" else 0)
        weight = cast(on, table.dtype) if weight is None else call("where", on, weight, 0)
    if mode == "max":
        most = segment_max(rows, owner, bags)
        used = sizes if weight is None else segment_sum(weight, owner, bags)
        used = _counts(owner, bags) if used is None else used
        return call("where", expand_right(used > 0, most.ndim), most, 0)
    if weights is not None:
        assert weight is not None
        rows = rows * expand_right(weight, rows.ndim)
    total = segment_sum(rows, owner, bags)
    if mode == "sum":
        return total
    if weight is None and sizes is not None:
        by = cast(sizes, table.dtype)
    else:
        weight = call("ones_like", flat, table.dtype) if weight is None else weight
        by = segment_sum(weight if mode == "mean" else weight * weight, owner, bags)
    by = by if mode == "mean" else call("sqrt", call("where", by > 0, by, 1))
    return total / expand_right(call("where", call("equal", by, 0), 1, by), total.ndim)
