"""Reductions and scans along axes."""

from __future__ import annotations

import math
from typing import Any

from subtensor.errors import MANY, DomainError, ShapeError
from subtensor.graph.constants import as_tensor, constant, is_weak
from subtensor.graph.cost import Cost
from subtensor.graph.nodes import DISCONNECTED, ZERO, Argument, Cotangent, Length, Variable, call, define, static_dims
from subtensor.graph.operators import public
from subtensor.graph.types import INDEX, TensorType, as_dtype, is_discrete, normalize_axes, normalize_axis, sum_dtype
from subtensor.ops.elementwise import cast, equal, log, select
from subtensor.ops.shape import broadcast_to_dims, expand_dims, length, lengths, product, reshape, squeeze

# Core reductions take axes and drop them; keepdims is an expand_dims after.


def _reduced(x: Argument, axes: tuple[int, ...], dtype: str) -> TensorType:
    return TensorType(dtype, tuple(d for i, d in enumerate(x.type.shape) if i not in axes))


def _kept(axis: int, x: Variable, axes: tuple[int, ...]) -> Length:
    return x, [i for i in range(x.ndim) if i not in axes][axis]


def _spread(g: Variable, x: Variable, axes: tuple[int, ...]) -> Variable:
    """A reduced value laid back over x's shape."""
    return broadcast_to_dims(expand_dims(g, axes), lengths(x))


_REDUCTION = Cost(computes="15 * x.size")  # what lies apart is not added several at a time
_sum = define(
    "sum",
    infer=lambda x, axes: _reduced(x, axes, x.type.dtype),
    vjp=lambda g, out, x, axes: [_spread(g, x, axes)],
    dims=_kept,
    fresh=True,
    cost=_REDUCTION,
)


def _prod_vjp(g: Variable, out: Variable, x: Variable, axes: tuple[int, ...]) -> list[Cotangent]:
    # the product of the others: cumulative products from both sides, exact where x holds zeros
    rest = [i for i in range(x.ndim) if i not in axes]
    dims = lengths(x)
    moved = call("transpose", x, [*rest, *axes])
    flat = reshape(moved, [*(dims[i] for i in rest), product(dims[i] for i in axes)])
    last = flat.ndim - 1
    ahead = _shifted_cumprod(flat, last)
    behind = call("flip", _shifted_cumprod(call("flip", flat, last), last), last)
    others = reshape(ahead * behind, [dims[i] for i in (*rest, *axes)])
    order = [*rest, *axes]
    others = call("transpose", others, [order.index(i) for i in range(x.ndim)])
    return [_spread(g, x, axes) * others]


def _shifted_cumprod(x: Variable, axis: int) -> Variable:
    """Product of the elements before each one."""
    before = [slice(None)] * axis
    ones = call("ones_like", x[(*before, slice(None, 1))])
    return _cumprod(call("concatenate", [ones, x[(*before, slice(None, -1))]], axis), axis=axis)


_prod = define(
    "prod",
    infer=lambda x, axes: _reduced(x, axes, x.type.dtype),
    vjp=_prod_vjp,
    dims=_kept,
    fresh=True,
    cost=_REDUCTION,
)


def refuse_empty(name: str) -> Any:
    """A check that there are elements along the axes of a reduction called `name`."""

    def check(x: Argument, axes: tuple[int, ...]) -> None:
        shape = x.type.shape
        if any(shape[a] == 0 for a in axes):
            raise DomainError(f"{name}: {x.label} of shape {shape} is empty along axes {axes} and has no {name}")

    return check


def _extremum_infer(name: str) -> Any:
    check = refuse_empty(name)

    def infer(x: Argument, axes: tuple[int, ...]) -> TensorType:
        check(x, axes)
        return _reduced(x, axes, x.type.dtype)

    return infer


def _extremum_vjp(g: Variable, out: Variable, x: Variable, axes: tuple[int, ...]) -> list[Cotangent]:
    # ties share the cotangent equally
    winners = cast(equal(x, _spread(out, x, axes)), g.dtype)
    return [_spread(g / _sum(winners, axes=axes), x, axes) * winners]


_max = define("max", infer=_extremum_infer("max"), vjp=_extremum_vjp, dims=_kept, fresh=True, cost=_REDUCTION)
_min = define("min", infer=_extremum_infer("min"), vjp=_extremum_vjp, dims=_kept, fresh=True, cost=_REDUCTION)


def _arg_infer(name: str) -> Any:
    check = refuse_empty(name)

    def infer(x: Argument, axis: int) -> TensorType:
        check(x, (axis,))
        return _reduced(x, (axis,), INDEX)

    return infer


def _arg_dims(axis: int, x: Variable, /, **params: int) -> Length:
    return _kept(axis, x, (params["axis"],))


_argmax = define(
    "argmax",
    infer=_arg_infer("argmax"),
    vjp=lambda g, out, x, axis: [ZERO],
    dims=_arg_dims,
    fresh=True,
    cost=_REDUCTION,
)
_argmin = define(
    "argmin",
    infer=_arg_infer("argmin"),
    vjp=lambda g, out, x, axis: [ZERO],
    dims=_arg_dims,
    fresh=True,
    cost=_REDUCTION,
)


def _scan_dims(axis: int, x: Variable, /, **_: int) -> Length:
    return x, axis


def _cumsum_vjp(g: Variable, out: Variable, x: Variable, axis: int) -> list[Cotangent]:
    return [call("flip", _cumsum(call("flip", g, axis), axis=axis), axis)]


_cumsum = define(
    "cumsum",
    infer=lambda x, axis: x.type,
    vjp=_cumsum_vjp,
    dims=_scan_dims,
    fresh=True,
    cost=Cost(computes="50 * x.size"),
)


def _cumprod_vjp(g: Variable, out: Variable, x: Variable, axis: int) -> list[Cotangent]:
    # d out_j / d x_i = prod of x_k, k <= j, k != i, for j >= i. A table over (i, j) is exact where x holds zeros.
    n = length(x, axis)
    x = call("moveaxis", x, axis, -1)
    g = call("moveaxis", g, axis, -1)
    positions = call("arange", n)
    row = expand_dims(positions, 1)
    table = select(equal(row, positions), 1, expand_dims(x, x.ndim - 1))
    products = _cumprod(table, axis=x.ndim)
    reached = select(call("less_equal", row, positions), products, 0)
    return [call("moveaxis", _sum(expand_dims(g, x.ndim - 1) * reached, axes=(x.ndim,)), -1, axis)]


_cumprod = define(
    "cumprod",
    infer=lambda x, axis: x.type,
    vjp=_cumprod_vjp,
    dims=_scan_dims,
    fresh=True,
    cost=Cost(computes="50 * x.size"),
)


# --- summing back over broadcast axes


def _sum_to_infer(g: Argument, *dims: Argument) -> TensorType:
    target = static_dims(dims)
    for axis, want in enumerate(target):
        have = g.type.shape[g.type.ndim - len(target) + axis]
        if want not in (None, 1) and have is not None and have != want:
            raise ShapeError(f"sum_to: axis {axis} of {g.label} has length {have}; expected {want}")
    return g.type.with_shape(target)


def _sum_to_vjp(gg: Variable, out: Variable, g: Variable, *dims: Variable) -> list[Cotangent]:
    return [broadcast_to_dims(gg, lengths(g)), *(DISCONNECTED for _ in dims)]


_sum_to = define(
    "sum_to",
    infer=_sum_to_infer,
    vjp=_sum_to_vjp,
    dims=lambda axis, g, *dims: dims[axis],
    cost=Cost(reads="g.size", writes="out.size", allocates="out.size", computes="15 * g.size"),
)
"""``sum_to(g, *dims)``: g summed over leading axes, and over those whose length is 1 in `dims` and not in g."""


@public
def sum_to_shape_of(g: Any, like: Any) -> Variable:
    """`g` summed over the axes along which `like` had to be broadcast to g's shape: the transpose of broadcasting."""
    g, like = as_tensor(g), as_tensor(like)
    lead = g.ndim - like.ndim
    if lead < 0:
        raise ShapeError(
            f"sum_to_shape_of: {like.label} has {like.ndim} axes, {g.label} {g.ndim}; expected at most those"
        )
    dims = lengths(like)
    leading = tuple(range(lead))
    certain = tuple(lead + i for i, d in enumerate(like.type.shape) if d == 1 and g.type.shape[lead + i] != 1)
    open_axes = [
        i
        for i, d in enumerate(like.type.shape)
        if d is None and g.type.shape[lead + i] != 1 and dims[i] is not length(g, lead + i)
    ]
    if open_axes:
        return _sum_to(g, *dims)
    result = _sum(g, axes=(*leading, *certain)) if leading or certain else g
    kept = tuple(a - lead for a in certain)
    return expand_dims(result, kept) if kept else result


# --- public


def _reduction(x: Any, axis: Any, where_: str) -> tuple[Variable, tuple[int, ...]]:
    x = as_tensor(x)
    return x, normalize_axes(axis, x.ndim, where_)


def _keep(result: Variable, axes: tuple[int, ...], keepdims: bool) -> Variable:
    return expand_dims(result, axes) if keepdims and axes else result


@public
def sum_(x: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False, acc_dtype: Any = None) -> Variable:
    """The sum over `axis` (an axis, several, or all where None). Small integers are widened to 64 bits, as in NumPy.

    acc_dtype: in which to add up, where that is another than that of the result.
    """
    x, axes = _reduction(x, axis, "sum")
    result = as_dtype(dtype) if dtype is not None else sum_dtype(x.dtype)
    x = cast(x, result if acc_dtype is None else as_dtype(acc_dtype))
    return _keep(cast(_sum(x, axes=axes) if axes else x, result), axes, keepdims)


@public
def prod_(x: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False, acc_dtype: Any = None) -> Variable:
    """The product over `axis`; the gradient is exact where x holds zeros. acc_dtype: as in ``sum``."""
    x, axes = _reduction(x, axis, "prod")
    result = as_dtype(dtype) if dtype is not None else sum_dtype(x.dtype)
    x = cast(x, result if acc_dtype is None else as_dtype(acc_dtype))
    return _keep(cast(_prod(x, axes=axes) if axes else x, result), axes, keepdims)


@public(aliases=("amax",))
def max_(x: Any, axis: Any = None, keepdims: bool = False) -> Variable:
    """The largest element over `axis`; NaN where there is one. Raises DomainError where there are no elements."""
    x, axes = _reduction(x, axis, "max")
    return _keep(_max(x, axes=axes) if axes else x, axes, keepdims)


@public(aliases=("amin",))
def min_(x: Any, axis: Any = None, keepdims: bool = False) -> Variable:
    """The smallest element over `axis`; NaN where there is one. Raises DomainError where there are no elements."""
    x, axes = _reduction(x, axis, "min")
    return _keep(_min(x, axes=axes) if axes else x, axes, keepdims)


def _arg(op: Any, x: Any, axis: Any, keepdims: bool, where_: str) -> Variable:
    x, axes = _reduction(x, axis, where_)
    if len(axes) == 1:
        return _keep(op(x, axis=axes[0]), axes, keepdims)
    rest = [i for i in range(x.ndim) if i not in axes]
    dims = lengths(x)
    moved = call("transpose", x, [*rest, *axes])
    flat = reshape(moved, [*(dims[i] for i in rest), product(dims[i] for i in axes)])
    return _keep(op(flat, axis=len(rest)), axes, keepdims)


@public
def argmax(x: Any, axis: Any = None, keepdims: bool = False) -> Variable:
    """Position of the first largest element over `axis` (an axis, several, or all where None): int64.

    Of several axes, the position in what they make, flattened in C order. NaN counts as the largest. Raises DomainError
    where there are no elements.
    """
    return _arg(_argmax, x, axis, keepdims, "argmax")


@public
def argmin(x: Any, axis: Any = None, keepdims: bool = False) -> Variable:
    """Position of the first smallest element over `axis`; as ``argmax``."""
    return _arg(_argmin, x, axis, keepdims, "argmin")


@public
def max_and_argmax(x: Any, axis: Any = None, keepdims: bool = False) -> tuple[Variable, Variable]:
    """The pair of ``max`` and ``argmax``."""
    return max_(x, axis, keepdims), argmax(x, axis, keepdims)


@public
def all_(x: Any, axis: Any = None, keepdims: bool = False) -> Variable:
    """Whether all elements over `axis` are nonzero."""
    x, axes = _reduction(x, axis, "all")
    zeros = call("logical_not", x)
    return equal(sum_(zeros, axes, keepdims=keepdims), constant(0)) if axes else call("logical_not", zeros)


@public
def any_(x: Any, axis: Any = None, keepdims: bool = False) -> Variable:
    """Whether any element over `axis` is nonzero."""
    x, axes = _reduction(x, axis, "any")
    nonzeros = call("not_equal", x, 0)
    return call("not_equal", sum_(nonzeros, axes, keepdims=keepdims), 0) if axes else nonzeros


def _count(x: Variable, axes: tuple[int, ...], dtype: str) -> Variable:
    return cast(product(length(x, a) for a in axes), dtype)


def _as_float(x: Variable, dtype: Any = None) -> Variable:
    if dtype is not None:
        return cast(x, dtype)
    return cast(x, "float64") if is_discrete(x.dtype) else x


@public
def mean_(x: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Variable:
    """The mean over `axis`; integers are averaged in float64. NaN over no elements."""
    x, axes = _reduction(x, axis, "mean")
    result = x.dtype if dtype is None and not is_discrete(x.dtype) else as_dtype(dtype or "float64")
    x = cast(x, "float32" if dtype is None and result == "float16" else result)  # as NumPy: float16 sums overflow
    if not axes:
        return cast(x, result)
    total = sum_(x, axes, x.dtype, keepdims)
    return cast(call("true_divide", total, _count(x, axes, total.dtype)), result)


@public
def var_(
    x: Any, axis: Any = None, ddof: Any = 0, keepdims: bool = False, corrected: bool = False, dtype: Any = None
) -> Variable:
    """The variance over `axis`: mean squared deviation, with ``max(n - ddof, 0)`` for n.

    Infinite, or NaN where all deviations are 0, for `ddof` of n and more. corrected: accepted for programs written for
    the peers, where it asks for two passes; two are always made, and the result is the same.
    """
    x, axes = _reduction(x, axis, "var")
    x = _as_float(x, dtype)
    deviation: Variable = x - mean_(x, axes, keepdims=True) if axes else x - x
    n = _count(x, axes, x.dtype)
    if not (is_weak(ddof) and ddof == 0):
        n = call("maximum", n - ddof, 0)
    squares = deviation * deviation
    return (sum_(squares, axes, keepdims=keepdims) if axes else squares) / n


@public
def std_(
    x: Any, axis: Any = None, ddof: Any = 0, keepdims: bool = False, corrected: bool = False, dtype: Any = None
) -> Variable:
    """The standard deviation over `axis`: the square root of ``var``."""
    return call("sqrt", var_(x, axis, ddof, keepdims, corrected, dtype))


@public
def norm_(x: Any, L: Any = 2, axis: Any = None, keepdims: bool = False) -> Variable:
    """The L-norm of the elements over `axis`: L a number, or infinity."""
    x = as_tensor(x)
    size = call("abs", _as_float(x))
    if math.inf == L:
        return max_(size, axis, keepdims)
    if -math.inf == L:
        return min_(size, axis, keepdims)
    if L == 0:
        return sum_(call("not_equal", x, 0), axis, dtype=size.dtype, keepdims=keepdims)
    if L == 1:
        return sum_(size, axis, keepdims=keepdims)
    if L == 2:
        return call("sqrt", sum_(size * size, axis, keepdims=keepdims))
    return call("power", sum_(call("power", size, L), axis, keepdims=keepdims), 1.0 / L)


@public
def cumsum_(x: Any, axis: int | None = None, dtype: Any = None) -> Variable:
    """Cumulative sums along `axis`, or of the flattened tensor where None. dtypes as in ``sum``."""
    x, axis = _scanned(x, axis, "cumsum")
    return _cumsum(cast(x, dtype or sum_dtype(x.dtype)), axis=axis)


@public
def cumprod_(x: Any, axis: int | None = None, dtype: Any = None) -> Variable:
    """Cumulative products along `axis`, or of the flattened tensor where None. dtypes as in ``prod``."""
    x, axis = _scanned(x, axis, "cumprod")
    return _cumprod(cast(x, dtype or sum_dtype(x.dtype)), axis=axis)


def _scanned(x: Any, axis: int | None, where_: str) -> tuple[Variable, int]:
    x = as_tensor(x)
    if axis is None or x.ndim == 0:
        return call("reshape", x, (-1,)), 0
    return x, normalize_axis(axis, x.ndim, where_)


@public
def diff(x: Any, n: int = 1, axis: int = -1) -> Variable:
    """The n-th difference of neighbours along `axis`; x itself where n is 0. Raises DomainError where n is negative."""
    x = as_tensor(x)
    if not 0 <= n <= MANY:
        raise DomainError(f"diff: n={n} for {x.label}; expected 0 or more differences, {MANY} at most")
    axis = normalize_axis(axis, x.ndim, "diff")
    before = [slice(None)] * axis
    minus = "not_equal" if x.dtype == "bool" else "subtract"
    result: Variable = x
    for _ in range(n):
        result = call(minus, result[(*before, slice(1, None))], result[(*before, slice(None, -1))])
    return result


# --- log-sum-exp: its own op, for a gradient that stays finite


def _logsumexp_expand(x: Variable, axes: tuple[int, ...]) -> Variable:
    top = expand_dims(_max(x, axes=axes), axes)
    top = select(call("isfinite", top), top, 0)
    return log(_sum(call("exp", x - top), axes=axes)) + squeeze(top, axes)


def _logsumexp_vjp(g: Variable, out: Variable, x: Variable, axes: tuple[int, ...]) -> list[Cotangent]:
    shifted = x - _spread(out, x, axes)
    weight = call("exp", select(call("isnan", shifted), 0, shifted))  # inf - inf: the whole weight is there
    return [_spread(g, x, axes) * select(call("isnan", x), x, weight)]


_logsumexp = define(
    "logsumexp",
    infer=_extremum_infer("logsumexp"),
    vjp=_logsumexp_vjp,
    expand=_logsumexp_expand,
    dims=_kept,
    fresh=True,
    cost=Cost(computes="40 * x.size"),
)


@public
def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Variable:
    """``log(sum(exp(x)))`` over `axis` without overflow. Raises DomainError where there are no elements."""
    x, axes = _reduction(x, axis, "logsumexp")
    x = _as_float(x)
    return _keep(_logsumexp(x, axes=axes) if axes else x, axes, keepdims)


@public
def ptp(x: Any, axis: Any = None) -> Variable:
    """The range of the elements over `axis`."""
    return max_(x, axis) - min_(x, axis)
