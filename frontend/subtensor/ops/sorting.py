"""Sorting, searching, and sets of values."""

from __future__ import annotations

from typing import Any

from subtensor.errors import DTypeError, ShapeError, counted
from subtensor.graph.constants import as_tensor, promoted
from subtensor.graph.cost import Cost
from subtensor.graph.nodes import ZERO, Argument, Cotangent, Length, Variable, call, define
from subtensor.graph.operators import public
from subtensor.graph.types import INDEX, SIGNED, TensorType, is_integer, normalize_axis
from subtensor.ops.checks import bounded
from subtensor.ops.elementwise import cast
from subtensor.ops.selection import summed_segments
from subtensor.ops.shape import common_length, length, lengths, of_lengths, product, reshape
from subtensor.ops.subtensor import flatnonzero_op


def _axis_dims(axis: int, x: Variable, /, **_: int) -> Length:
    return x, axis


def _sort_vjp(g: Variable, out: Variable, x: Variable, axis: int) -> list[Cotangent]:
    order = _argsort(x, axis=axis)
    return [call("put_along_axis", call("zeros_like", x), order, g, axis)]


_SORTING = Cost(computes="800 * x.size")  # of a few thousand elements; the logarithm is taken as a number
_sort = define("sort", infer=lambda x, axis: x.type, vjp=_sort_vjp, dims=_axis_dims, fresh=True, cost=_SORTING)
_argsort = define(
    "argsort",
    infer=lambda x, axis: x.type.with_dtype(INDEX),
    vjp=lambda g, out, x, axis: [ZERO],
    dims=_axis_dims,
    fresh=True,
    cost=_SORTING,
)


def _along(x: Any, axis: int | None, what: str) -> tuple[Variable, int]:
    x = as_tensor(x)
    if axis is None:
        return call("reshape", x, (-1,)), 0
    return x, normalize_axis(axis, x.ndim, what)


_KINDS = (None, "quicksort", "mergesort", "heapsort", "stable")
"""NumPy's ways to sort. Here all are stable, so that every backend agrees on ties."""


def _check_kind(where: str, kind: Any, order: Any) -> None:
    if kind not in _KINDS or order is not None:
        names = ", ".join(repr(k) for k in _KINDS)
        raise DTypeError(f"{where}: kind={kind!r}, order={order!r}; expected one of {names}, and no order")


@public
def sort(x: Any, axis: int | None = -1, kind: str | None = None, order: Any = None) -> Variable:
    """x in ascending order along `axis` (of the flattened tensor where None), NaN last; stable, whatever NumPy's `kind`
    says: 0.0 and -0.0, which are equal, keep their order.
    """
    _check_kind("sort", kind, order)
    x, axis = _along(x, axis, "sort")
    return _sort(x, axis=axis)


@public
def argsort(x: Any, axis: int | None = -1, kind: str | None = "stable", order: Any = None) -> Variable:
    """Positions that sort x along `axis`; stable whatever NumPy's `kind` says, so that every backend agrees on ties."""
    _check_kind("argsort", kind, order)
    x, axis = _along(x, axis, "argsort")
    return _argsort(x, axis=axis)


def _searchsorted_infer(a: Argument, v: Argument, side: str) -> TensorType:
    return TensorType(INDEX, v.type.shape)


_searchsorted = define(
    "searchsorted",
    infer=_searchsorted_infer,
    vjp=lambda g, out, a, v, side: [ZERO, ZERO],
    dims=lambda axis, a, v, side: (v, axis),
    fresh=True,
    cost=Cost(reads="v.size", computes="1000 * v.size"),
)


@public
def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Variable:
    """Positions at which to insert v into the ascending vector a so that it stays sorted. a: (n,); v: any shape.

    sorter: (n,) positions that sort a, where a is not ascending itself.
    """
    a = as_tensor(a)
    if a.ndim != 1:
        raise ShapeError(f"searchsorted: {a.label} has {counted(a.ndim, 'axis')}; expected a vector")
    if sorter is not None:
        order = as_tensor(sorter)
        if order.ndim != 1 or not is_integer(order.dtype):
            raise DTypeError(f"searchsorted: the sorter {order!r}; expected a vector of positions that sort {a.label}")
        n = common_length("searchsorted", order, 0, a, 0)
        a = a[bounded(order, n, f"searchsorted({a.label}, …)", a.label, 0)]
    if side not in ("left", "right"):
        raise DTypeError(f"searchsorted: side={side!r}; expected 'left' or 'right'")
    a, v = promoted("searchsorted", a, v)
    return _searchsorted(a, v, side=side)


def _row_order(rows: Variable) -> Variable:
    """Positions that sort the rows of a matrix, by their first elements first. Raises ShapeError for unknown widths."""
    width = rows.type.shape[1]
    if width is None:
        raise ShapeError(
            f"unique: the lengths of {rows.label} other than that of axis= must be known while the graph is built; "
            "declare them, or say them with st.specify_shape"
        )
    order = call("arange", length(rows, 0))
    for column in reversed(range(width)):
        order = order[_argsort(rows[:, column][order], axis=0)]
    return order


@public
def unique(
    x: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
) -> Any:
    """The distinct values of the flattened x, ascending, all NaNs counting as one; or the distinct slices along `axis`,
    by their first elements first, for which the other lengths must be known.

    With flags, a tuple: the values, then the first positions, the position in the values of each element (shaped as
    x, or a vector), and how often each occurs.
    """
    x = as_tensor(x)
    if axis is None:
        flat = call("reshape", x, (-1,))
        order = _argsort(flat, axis=0)
        ordered = flat[order]
        differs = call("not_equal", ordered[1:], ordered[:-1])
        if x.dtype.startswith("float"):
            differs = differs & ~(call("isnan", ordered[1:]) & call("isnan", ordered[:-1]))
    else:
        axis = normalize_axis(axis, x.ndim, "unique")
        moved = call("moveaxis", x, axis, 0)
        flat = reshape(moved, [length(moved, 0), product(lengths(moved)[1:])])
        order = _row_order(flat)
        ordered = flat[order]
        differs = call("any", call("not_equal", ordered[1:], ordered[:-1]), 1)
        flat = moved
    first = call("concatenate", [call("ones_like", order[:1], "bool"), differs], 0)
    starts = flatnonzero_op(first)
    values = ordered[starts] if axis is None else call("moveaxis", flat[order[starts]], 0, axis)
    results: list[Variable] = [values]
    if return_index:
        results.append(order[starts])
    if return_inverse:
        group = call("cumsum", cast(first, INDEX), 0) - 1
        inverse = call("zeros_like", order)[order].set(group)
        results.append(call("reshape", inverse, call("shape", x)) if axis is None else inverse)
    if return_counts:
        ends = call("concatenate", [starts[1:], call("shape", flat)[:1]], 0)
        results.append(ends - starts)
    return results[0] if len(results) == 1 else tuple(results)


@public
def bincount(x: Any, weights: Any = None, minlength: Any = 0, assert_nonneg: bool = True) -> Variable:
    """How often each of 0, 1, … occurs in a vector of non-negative integers, or the sums of their weights, in float64.

    x, weights: (n,); returns (max(max(x) + 1, minlength),). Raises ShapeError where the weights do not fit, and
    BoundsError at run time where x is negative, whatever `assert_nonneg`, of the peers', says.
    """
    x = as_tensor(x)
    if not is_integer(x.dtype) or x.ndim != 1:
        raise DTypeError(f"bincount: {x!r} holds no counts; expected an integer vector")
    if weights is None:
        ones = call("ones_like", x, INDEX)
    else:
        given = as_tensor(weights)
        if given.ndim != 1:
            raise ShapeError(
                f"bincount: the weights {given!r} have {counted(given.ndim, 'axis')}; expected one weight for each"
            )
        ones = cast(of_lengths("bincount", given, [length(x, 0)]), "float64")  # one would count for all
    longest = call("max", call("concatenate", [cast(x, INDEX) + 1, call("stack", [cast(minlength, INDEX)])], 0))
    if x.dtype in SIGNED:  # a negative number must not count from the end: it is moved out of bounds
        x = cast(bounded(x, longest, f"bincount({x.label})", "the counts", 0, from_zero=True), INDEX)
        x = call("where", x < 0, x - longest, x)
    return summed_segments(ones, x, longest)
