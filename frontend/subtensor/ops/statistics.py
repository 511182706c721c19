"""Statistics of samples: ``median`` and ``cov``."""

from __future__ import annotations

from typing import Any

from subtensor.errors import DTypeError, ShapeError, counted
from subtensor.graph.constants import as_tensor
from subtensor.graph.nodes import Variable, call
from subtensor.graph.operators import public
from subtensor.graph.types import is_discrete, is_float, normalize_axes
from subtensor.ops.elementwise import cast, select
from subtensor.ops.shape import expand_dims, length, lengths, product, reshape, transpose


@public
def median(x: Any, axis: Any = None, keepdims: bool = False) -> Variable:
    """The middle element over `axis` (an axis, several, or all where None), or the mean of the two in the middle.

    NaN where there is one, and over no elements. Integers give float64.
    """
    x = as_tensor(x)
    axes = normalize_axes(axis, x.ndim, "median")
    x = cast(x, "float64") if is_discrete(x.dtype) else x
    if axes:
        rest = [i for i in range(x.ndim) if i not in axes]
        dims = lengths(x)
        n = product(dims[i] for i in axes)
        flat = reshape(transpose(x, [*rest, *axes]), [*(dims[i] for i in rest), n])
        ordered = call("sort", flat, -1)
        count: Any = n if n.known is None else int(n.known)
        middle = call("mean", ordered[..., (count - 1) // 2 : count // 2 + 1], -1)
        x = select(call("any", call("isnan", flat), -1), cast(float("nan"), x.dtype), middle)
    return expand_dims(x, axes) if keepdims and axes else x


def _weights(given: Any, name: str, dtype: str) -> Variable | None:
    if given is None:
        return None
    w = as_tensor(given)
    if w.ndim != 1 or (name == "fweights" and is_float(w.dtype)):
        kind = "integers" if name == "fweights" else "numbers"
        raise DTypeError(f"cov: {name} is {w!r}; expected a vector of {kind}, one for each observation")
    return cast(w, dtype)


@public
def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: Any = None,
    fweights: Any = None,
    aweights: Any = None,
) -> Variable:
    """The covariances of variables in float64, as ``numpy.cov``: (k, k), or a scalar of one variable.

    m, y: a row for each variable and a column for each observation, or the other way round where not `rowvar`; a vector
    is one variable. ddof: 1, or 0 where `bias`, unless given. fweights: how often each observation counts, integers;
    aweights: how much. Raises ShapeError for more than two axes.
    """
    parts = [as_tensor(p) for p in (m, y) if p is not None]
    dtype = "float64"
    rows = []
    for p in parts:
        if p.ndim > 2:
            raise ShapeError(f"cov: {p.label} has {counted(p.ndim, 'axis')}; expected at most 2")
        row = call("atleast_2d", cast(p, dtype))
        rows.append(row if rowvar or p.ndim < 2 else row.T)
    x = rows[0] if len(rows) == 1 else call("concatenate", rows, 0)
    n = length(x, 1)
    often, much = _weights(fweights, "fweights", dtype), _weights(aweights, "aweights", dtype)
    w = often if much is None else much if often is None else often * much
    less = (0 if bias else 1) if ddof is None else ddof
    total = cast(n, dtype) if w is None else call("sum", w)
    mean = call("sum", x if w is None else x * w, 1, keepdims=True) / total
    if w is None or less == 0:
        factor = total - less
    else:
        factor = total - less * (call("sum", w * much) / total if much is not None else 1)
    x = x - mean
    c = call("matmul", x, (x if w is None else x * w).T) / call("maximum", factor, 0)
    return call("squeeze", c)
