"""Numbers between two ends: ``linspace``, ``logspace``, ``geomspace``."""

from __future__ import annotations

from typing import Any

from subtensor.errors import DomainError
from subtensor.graph.config import config
from subtensor.graph.constants import as_tensor, is_weak
from subtensor.graph.nodes import Variable, call
from subtensor.graph.operators import public
from subtensor.graph.types import as_dtype, is_discrete, normalize_axis, result_dtype
from subtensor.ops.creation import arange
from subtensor.ops.elementwise import cast, select
from subtensor.ops.shape import as_dims, broadcast_dims_of, broadcast_to_dims, expand_dims, moveaxis


def _ends(start: Any, stop: Any, dtype: Any) -> tuple[Variable, Variable, str]:
    """Both ends as floats, and the dtype of the result. Python's numbers alone are ``config.floatX``."""
    dtypes = [as_tensor(v).dtype for v in (start, stop) if not is_weak(v)]
    wide = result_dtype(*("float64" if is_discrete(d) else d for d in dtypes)) if dtypes else config.floatX
    return cast(start, wide), cast(stop, wide), wide if dtype is None else as_dtype(dtype)


def _count(where: str, num: Any) -> Variable:
    (n,) = as_dims(where, [num])
    if n.known is not None and n.known < 0:
        raise DomainError(f"{where}: num={int(n.known)}; expected 0 or more")
    return n


def _spaced(a: Variable, b: Variable, n: Variable, endpoint: bool) -> tuple[Variable, Variable]:
    """n numbers from a to b along a new first axis, and the step between them."""
    dims = broadcast_dims_of(a, b)
    places = arange(n)
    column = expand_dims(places, tuple(range(1, 1 + len(dims)))) if dims else places
    parts = n - 1 if endpoint else n
    step = (b - a) / cast(call("maximum", parts, 1), a.dtype)
    y = cast(column, a.dtype) * step + a
    if endpoint:
        y = select((parts > 0) & call("equal", column, parts), b, y)
    return broadcast_to_dims(y, [n, *dims]), step  # which refuses a negative number


def _finished(y: Variable, dtype: str, axis: int, where: str) -> Variable:
    y = cast(call("floor", y) if is_discrete(dtype) else y, dtype)
    axis = normalize_axis(axis, y.ndim, where)
    return moveaxis(y, 0, axis) if axis else y


@public
def linspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """`num` numbers from `start` to `stop`, with `stop` unless not `endpoint`, as ``numpy.linspace``.

    start, stop: floats or tensors, which broadcast; num: an int or an integer scalar. The numbers lie along a new axis
    of the result, `axis`. retstep: also the step, in a pair. Both ends are differentiable. Raises DomainError for a
    negative number.
    """
    a, b, result = _ends(start, stop, dtype)
    y, step = _spaced(a, b, _count("linspace", num), endpoint)
    y = _finished(y, result, axis, "linspace")
    return (y, step) if retstep else y


@public
def logspace(
    start: Any,
    stop: Any,
    num: Any = 50,
    endpoint: bool = True,
    base: Any = 10.0,
    dtype: Any = None,
    axis: int = 0,
) -> Variable:
    """``base ** linspace(start, stop, …)``, as ``numpy.logspace``; otherwise as ``linspace``."""
    a, b, result = _ends(start, stop, dtype)
    y, _ = _spaced(a, b, _count("logspace", num), endpoint)
    return _finished(call("power", cast(base, a.dtype), y), result, axis, "logspace")


@public
def geomspace(
    start: Any, stop: Any, num: Any = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Variable:
    """`num` numbers from `start` to `stop`, each the same multiple of the one before, as ``numpy.geomspace``.

    start, stop: not 0, and of one sign: NaN elsewhere. Otherwise as ``linspace``. Raises DomainError for an end that is
    known to be 0.
    """
    a, b, result = _ends(start, stop, dtype)
    for end in (a, b):
        if end.known is not None and (end.known == 0).any():
            raise DomainError(f"geomspace: from {a.label} to {b.label}; expected ends other than 0")
    n = _count("geomspace", num)
    sign = call("sign", a)
    y, _ = _spaced(call("log10", a / sign), call("log10", b / sign), n, endpoint)
    y = call("power", cast(10.0, a.dtype), y) * sign
    place = expand_dims(arange(n), tuple(range(1, y.ndim))) if y.ndim > 1 else arange(n)
    last = (n > 1) & call("equal", place, n - 1) if endpoint else False
    y = select(call("equal", place, 0), a, select(last, b, y) if endpoint else y)
    return _finished(y, result, axis, "geomspace")
