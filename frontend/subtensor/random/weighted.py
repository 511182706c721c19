"""Draws from given distributions over 0, 1, …: by cumulative weights, and in O(1) each from a table of aliases.

Weights become integers first: their sums are exact, so they are the same on every backend, and so is what is drawn.
Nothing is divided by what may be a constant, which XLA would turn into a product that is rounded otherwise.
"""

from __future__ import annotations

import sys
from typing import Any

from subtensor.errors import DTypeError, ShapeError, counted
from subtensor.graph.constants import as_tensor, constant
from subtensor.graph.nodes import Variable, call
from subtensor.graph.types import INDEX, TensorType, as_dtype, is_float, is_integer
from subtensor.ops.elementwise import cast
from subtensor.ops.philox import WORD, as_word, check_ndim, multiply_high, random_bits, within
from subtensor.ops.shape import length, lengths
from subtensor.random.draws import below, dims_of, ordered, unit
from subtensor.random.keys import as_key

_TOTAL = 1 << 62
_WEIGHT = "weights that are finite and not negative"
_SOME = "at least one positive weight in each row"
_LEAST, _MOST = sys.float_info.min, sys.float_info.max


def checked_weights(where: str, p: Any) -> Variable:
    """Weights along the last axis, as float64. Raises DomainError at the call for negative ones, infinity and NaN."""
    p = as_tensor(p)
    if not p.ndim:
        raise ShapeError(f"{where}: {p!r} is no distribution; expected weights along an axis")
    return within(where, cast(p, "float64"), 0, _MOST, _WEIGHT)


def whole_weights(where: str, p: Variable, rows: Variable | int = 1) -> Variable:
    """Weights along the last axis as integers: ``floor(p * (1 / max(p)) * (2**62 // (rows * n)))``, int64, n weights to
    a row.

    p: checked. Their sum over `rows` rows is at most about ``2**62``. Raises DomainError at the call for rows of zeros.
    """
    top = within(where, call("max", p, -1, keepdims=True), _LEAST, _MOST, _SOME)
    share = call("floor_divide", constant(_TOTAL), call("maximum", length(p, p.ndim - 1) * rows, 1))
    return cast(call("floor", p * (1 / top) * cast(share, "float64")), INDEX)


def positions(where: str, key: Any, p: Variable, dims: list[Variable]) -> Variable:
    """Positions drawn from weights, which may be several rows of them.

    p: (n,) or (…, n). dims: the shape of what is drawn; for several rows it begins with their lengths.
    """
    n = length(p, p.ndim - 1)
    lead = lengths(p)[:-1]
    rows: Variable = constant(1, dtype=INDEX)
    for d in lead:
        rows = rows * d
    flat = call("reshape", whole_weights(where, p, rows), (-1,))
    ends = call("cumsum", flat)
    if not lead:
        chosen = below(key, dims, ends[-1])
        return call("searchsorted", ends, chosen, side="right")
    last = call("reshape", ends, [*lead, n])[..., -1]
    total = call("reshape", call("sum", call("reshape", flat, [*lead, n]), -1), lead)
    first = last - total
    wide = [*lead, *(constant(1) for _ in dims[len(lead) :])]
    start, total = (call("reshape", v, wide) for v in (first, total))
    number = call("reshape", call("arange", rows), wide)
    chosen = start + below(key, dims, total)
    return call("searchsorted", ends, chosen, side="right") - number * n


def categorical(key: Any, logits: Any, axis: int = -1, shape: Any = None) -> Variable:
    """Positions along `axis` of `logits`, each with a probability proportional to ``exp(logits)``. int64.

    shape: of the result; it ends with that of `logits` without `axis`, which it is where None: several draws from each
    row are ``shape=(k, rows)``. Raises DomainError at the call for NaN, +inf, and rows of -inf.
    """
    x = as_tensor(logits)
    if not is_float(x.dtype) or not x.ndim:
        raise DTypeError(f"categorical: {x!r} holds no logits; expected floats with at least one axis")
    x = call("moveaxis", x, axis, -1)
    p = checked_weights("categorical", call("exp", x - call("max", x, -1, keepdims=True)))
    lead = lengths(x)[:-1]
    if shape is None:
        return positions("categorical", key, p, lead)
    dims = dims_of(shape)
    extra = len(dims) - len(lead)
    if extra < 0:
        raise ShapeError(
            f"categorical: a shape of {counted(len(dims), 'axis')} for logits with {len(lead)} others; "
            "expected a shape that ends with these"
        )
    drawn = positions("categorical", key, p, [*lead, *dims[:extra]])
    axes = (*range(len(lead), len(dims)), *range(len(lead)))
    return call("broadcast_to", call("transpose", drawn, axes), dims) if lead else drawn


def choice(
    key: Any, a: Any, shape: Any = (), replace: bool = True, p: Any = None, axis: int = 0, dtype: Any = None
) -> Variable:
    """Elements of `a`, or of ``0, …, a - 1`` for an integer scalar, drawn with or without replacement.

    a: an int, an integer scalar, or a tensor, of which `axis` is drawn from. p: (n,) weights, which need not add up to
    1; equal ones where None. Without replacement and with weights, the elements come in the order in which exponential
    clocks ring that run p times as fast. Raises DomainError at the call where weights are negative, and where more are
    asked for than there are.
    """
    a = as_tensor(a)
    if not a.ndim and not is_integer(a.dtype):
        raise DTypeError(f"choice: {a!r} is no number of things; expected an integer, or a tensor to choose from")
    n = length(a, axis % a.ndim) if a.ndim else cast(a, INDEX)
    dims = dims_of(shape)
    weights = None
    if p is not None:
        check_ndim("choice", as_tensor(p), 1, "one weight for each element")
        weights = call("reshape", checked_weights("choice", p), [n])
    chosen = _with(key, n, weights, dims) if replace else _without(key, n, weights, dims)
    found = call("take", a, chosen, axis) if a.ndim else chosen
    return found if dtype is None else cast(found, as_dtype(dtype))


def _with(key: Any, n: Variable, p: Variable | None, dims: list[Variable]) -> Variable:
    if p is not None:
        return positions("choice", key, p, dims)
    return below(key, dims, within("choice", n, 1, 2**63 - 1, "something to choose from"))


def _without(key: Any, n: Variable, p: Variable | None, dims: list[Variable]) -> Variable:
    count: Variable = constant(1, dtype=INDEX)
    for d in dims:
        count = count * d
    if p is not None:
        return call("reshape", without_by_rows(key, call("expand_dims", p, 0), count), dims)
    return call("reshape", ordered(key, [n])[: _at_most(n, count)], dims)


def _at_most(there: Variable, count: Variable) -> Variable:
    """The count, where no more are asked for than there are."""
    return there - within(
        "choice", there - count, 0, 2**63 - 1, "as many to choose from, without replacement, as are asked for"
    )


def without_by_rows(key: Any, p: Variable, count: Variable) -> Variable:
    """Different positions for each row of weights, in the order in which their clocks ring: (rows, n) to (rows,
    count).
    """
    check_ndim("choice", p, 2, "rows of weights")
    whole = whole_weights("choice", p)
    there = call("min", call("sum", cast(whole > 0, INDEX), -1))
    rings = -call("log", 1 - unit(key, lengths(p), "float64")) / cast(whole, "float64")
    order = call("argsort", call("where", whole > 0, rings, float("inf")), -1)
    return order[:, : _at_most(there, count)]


def multinomial(key: Any, n: Any, p: Any, shape: Any = None, dtype: Any = INDEX) -> Variable:
    """How often each of k things is drawn in n draws: (…, k) counts for (…, k) weights, row by row.

    n: an int or an integer scalar. shape: without the axis of length k; of one row of weights there may be any number
    of results. Raises DomainError at the call as ``choice`` does.
    """
    p, draws = checked_weights("multinomial", p), as_tensor(n)
    if draws.ndim or not is_integer(draws.dtype):
        raise DTypeError(f"multinomial: {draws!r} is no number of draws; expected an integer scalar")
    k, lead = length(p, p.ndim - 1), lengths(p)[:-1]
    dims = lead if shape is None else dims_of(shape)
    if lead and len(dims) != len(lead):
        raise ShapeError(
            f"multinomial: a shape of {counted(len(dims), 'axis')} for {len(lead)} of rows of weights; expected equal"
        )
    once = draws.known is not None and draws.known == 1
    found = positions("multinomial", key, p, dims if once else [*dims, cast(draws, INDEX)])
    if once:
        return cast(call("equal", call("expand_dims", found, -1), call("arange", k)), as_dtype(dtype))
    rows: Variable = constant(1, dtype=INDEX)
    for d in dims:
        rows = rows * d
    each = call("reshape", found, [rows, cast(draws, INDEX)]) + call("expand_dims", call("arange", rows), 1) * k
    counts = call("zeros", [rows * k], INDEX)[call("reshape", each, (-1,))].inc(1)
    return cast(call("reshape", counts, [*dims, k]), as_dtype(dtype))


# --- aliases


def alias_table(weights: Any) -> Variable:
    """A table from which ``alias_draw`` draws in O(1): keep its value, in a shared variable, for as long as the weights
    stay.

    weights: (n,), finite, not negative, not all 0; they need not add up to 1. Returns (n, 2) int64: for each position,
    the part of ``2**62`` for which it stands for itself, and the position that it stands for else. Computed in O(n log
    n) by two prefix sums of integers, so it is the same on every backend. Raises DomainError at the call for other
    weights.

    Walker 1977; as prefix sums, after Hübschle-Schneider and Sanders, "Parallel weighted random sampling", 2019.
    """
    check_ndim("alias_table", as_tensor(weights), 1, "a vector of weights")
    p = checked_weights("alias_table", weights)
    n = length(p, 0)
    whole = whole_weights("alias_table", p)
    one = call("floor_divide", constant(_TOTAL), call("maximum", n, 1))  # what each position has in all
    total = cast(call("sum", whole), "float64")
    has = cast(call("rint", cast(whole, "float64") * (cast(one * n, "float64") / total)), INDEX)
    over = has > one
    lacks = call("cumsum", call("where", over, 0, one - has))
    gives = call("cumsum", call("where", over, has - one, 0))
    # light positions are filled, in order, by the first heavy one that has anything left; a heavy one that is down to
    # less than its share is filled by the next
    taken = call("where", over, gives, lacks - (one - has))
    other = call("searchsorted", gives, taken, side="right")
    at = call("searchsorted", lacks, gives, side="left")
    filled = call("where", at < n, lacks[call("minimum", at, n - 1)], gives)
    own = call("where", over, one + gives - filled, has)
    full = (own >= one) | (other >= n)  # what rounding leaves over, nobody is there to fill
    part = cast(own, "float64") * (float(_TOTAL) / cast(one, "float64"))
    kept = call("where", full, _TOTAL, cast(part, INDEX))
    return call("stack", [kept, call("where", full, call("arange", n), other)], 1)


def alias_draw(key: Any, table: Any, shape: Any = ()) -> Variable:
    """Positions drawn from the weights of an ``alias_table``: two reads and about ten operations each, however many
    there are. table: (n, 2) int64. Returns int64 of `shape`.
    """
    table = as_tensor(table)
    if table.dtype != INDEX or table.ndim != 2 or table.type.shape[1] not in (2, None):
        raise DTypeError(f"alias_draw: {table!r} is no table; expected what st.random.alias_table gives: {_TABLE}")
    n = cast(length(table, 0), WORD)
    word = random_bits(as_key(key), *dims_of(shape), dtype=WORD, part=0)
    at = cast(multiply_high(word, n), INDEX)
    fraction = cast((word * n) >> as_word(2), INDEX)
    row = table[at]
    return call("where", fraction < row[..., 0], at, row[..., 1])


_TABLE = TensorType(INDEX, (None, 2))
