"""Tensors made from lengths and values: ``arange``, ``full``, ``zeros_like``, ``eye``, ``tril`` and their like."""

from __future__ import annotations

import math
from typing import Any

from subtensor.errors import DomainError, DTypeError, ShapeError, counted
from subtensor.graph.config import config
from subtensor.graph.constants import as_tensor, constant, is_weak, promoted
from subtensor.graph.nodes import DISCONNECTED, Argument, Cotangent, Length, Variable, call, define, mention
from subtensor.graph.operators import public
from subtensor.graph.types import INDEX, TensorType, as_dtype, is_discrete
from subtensor.ops.elementwise import cast
from subtensor.ops.shape import as_dims, broadcast_to_dims, length, lengths


def _arange_infer(start: Argument, stop: Argument, step: Argument) -> TensorType:
    known = [a.known for a in (start, stop, step)]
    if step.known is not None and step.known == 0:
        raise DomainError("arange: the step is 0; expected a positive or negative number")
    if any(k is None for k in known):
        return TensorType(start.type.dtype, (None,))
    first, last, by = (k.item() for k in known if k is not None)
    if is_discrete(start.type.dtype):
        return TensorType(start.type.dtype, (len(range(first, last, by)),))
    ratio = (last - first) / by
    return TensorType(start.type.dtype, (max(0, -int(-ratio // 1)) if math.isfinite(ratio) else None,))


def _arange_dims(axis: int, start: Variable, stop: Variable, step: Variable) -> Length:
    one, zero = step.known is not None and step.known == 1, start.known is not None and start.known == 0
    return stop if one and zero and stop.op is not None and stop.op.name == "length" else None


def _arange_vjp(g: Variable, out: Variable, *bounds: Variable) -> list[Cotangent]:
    # element i is start + i * step; stop only says how many there are
    if is_discrete(out.dtype):
        return [DISCONNECTED, DISCONNECTED, DISCONNECTED]
    places = cast(arange(length(out, 0)), out.dtype)
    return [call("sum", g), DISCONNECTED, call("sum", g * places)]


_arange = define(
    "arange",
    infer=_arange_infer,
    vjp=_arange_vjp,
    dims=_arange_dims,
    fresh=True,
)


@public
def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Variable:
    """``start, start + step, …`` before `stop`, as a vector; bounds may be symbolic. int64 for integer bounds."""
    if stop is None:
        start, stop = 0, start
    if dtype is None and all(is_weak(v) or as_tensor(v).dtype != "bool" for v in (start, stop, step)):
        nodes = promoted("arange", start, stop, step)
        dtype = INDEX if is_discrete(nodes[0].dtype) else nodes[0].dtype
    nodes = [cast(as_tensor(v), as_dtype(dtype or INDEX)) for v in (start, stop, step)]
    for n in nodes:
        if n.ndim:
            raise ShapeError(f"arange: {n!r} is not a scalar; expected scalar bounds")
    return _arange(*nodes)


@public
def alloc(value: Any, *shape: Any) -> Variable:
    """`value` broadcast to `shape` (Theano's order of arguments)."""
    dims = as_dims("alloc", shape[0] if len(shape) == 1 else shape)
    return broadcast_to_dims(as_tensor(value), dims)


@public
def full(shape: Any, fill_value: Any, dtype: Any = None) -> Variable:
    """A tensor of `shape` filled with `fill_value`, which broadcasts."""
    value = as_tensor(fill_value) if dtype is None else cast(fill_value, dtype)
    return broadcast_to_dims(value, as_dims("full", shape))


@public
def zeros(shape: Any, dtype: Any = None) -> Variable:
    """Zeros; `shape` an int, a vector, or ints and scalars. dtype defaults to ``config.floatX``."""
    return full(shape, constant(0, dtype=dtype or config.floatX))


@public
def ones(shape: Any, dtype: Any = None) -> Variable:
    """Ones; as ``zeros``."""
    return full(shape, constant(1, dtype=dtype or config.floatX))


@public
def empty(shape: Any, dtype: Any = None) -> Variable:
    """Zeros: there is no uninitialised memory in a graph."""
    return zeros(shape, dtype)


@public
def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Variable:
    """A tensor of x's shape, and dtype unless another is given, filled with `fill_value`."""
    x = as_tensor(x)
    result = broadcast_to_dims(cast(fill_value, dtype or x.dtype), lengths(x))
    mention(result, [x])
    return result


@public
def zeros_like(x: Any, dtype: Any = None, opt: bool = False) -> Variable:
    """Zeros of x's shape, and dtype unless another is given. opt: accepted for programs written for the peers."""
    return full_like(x, 0, dtype)


@public
def ones_like(x: Any, dtype: Any = None, opt: bool = False) -> Variable:
    """Ones; as ``zeros_like``."""
    return full_like(x, 1, dtype)


@public
def eye(n: Any, m: Any = None, k: Any = 0, dtype: Any = None) -> Variable:
    """An (n, m) matrix with ones on the k-th diagonal; lengths and k may be symbolic."""
    return _marked("eye", "equal", n, m, k, dtype)


def _marked(where: str, relation: str, n: Any, m: Any, k: Any, dtype: Any) -> Variable:
    """An (n, m) matrix of whether column and row + k are in a relation. Raises DomainError for negative lengths."""
    dims = as_dims(where, [n, n if m is None else m])
    rows, columns = arange(dims[0]), arange(dims[1])
    marks = broadcast_to_dims(call(relation, columns, expand(rows, 1) + k), dims)
    return cast(marks, dtype or config.floatX)


def expand(x: Variable, axis: int) -> Variable:
    """``expand_dims``."""
    return call("expand_dims", x, axis)


@public
def identity_like(x: Any, dtype: Any = None) -> Variable:
    """A matrix of x's shape with ones on its diagonal."""
    x = as_tensor(x)
    if x.ndim != 2:
        raise ShapeError(f"identity_like: {x.label} has {counted(x.ndim, 'axis')}; expected a matrix")
    return eye(length(x, 0), length(x, 1), 0, dtype or x.dtype)


def _below(x: Variable, k: Any) -> Variable:
    if x.ndim < 2:
        raise ShapeError(f"tril: {x.label} has {x.ndim} axes; expected at least 2")
    rows, columns = arange(length(x, x.ndim - 2)), arange(length(x, x.ndim - 1))
    return call("less_equal", columns, expand(rows, 1) + k)


@public
def tril(m: Any, k: Any = 0) -> Variable:
    """m with the elements above the k-th diagonal set to zero."""
    m = as_tensor(m)
    return call("where", _below(m, k), m, constant(0, dtype=m.dtype))


@public
def triu(m: Any, k: Any = 0) -> Variable:
    """m with the elements below the k-th diagonal set to zero."""
    m = as_tensor(m)
    return call("where", _below(m, k - 1), constant(0, dtype=m.dtype), m)


@public
def tri(n: Any, m: Any = None, k: Any = 0, dtype: Any = None) -> Variable:
    """An (n, m) matrix with ones on and below the k-th diagonal."""
    return _marked("tri", "less_equal", n, m, k, dtype)


@public
def tril_indices(n: Any, k: Any = 0, m: Any = None) -> tuple[Variable, ...]:
    """Row and column positions of the lower triangle of an (n, m) matrix."""
    found: tuple[Variable, ...] = tuple(call("nonzero", tri(n, m, k, "bool")))
    return found


@public
def triu_indices(n: Any, k: Any = 0, m: Any = None) -> tuple[Variable, ...]:
    """Row and column positions of the upper triangle of an (n, m) matrix."""
    above = call("logical_not", tri(n, m, k - 1, "bool"))
    found: tuple[Variable, ...] = tuple(call("nonzero", above))
    return found


@public
def diag(v: Any, k: int = 0) -> Variable:
    """The k-th diagonal of a matrix, or the matrix that has a vector there."""
    v = as_tensor(v)
    if v.ndim == 2:
        return call("diagonal", v, k)
    if v.ndim != 1:
        raise ShapeError(f"diag: {v.label} has {v.ndim} axes; expected 1 or 2")
    n = length(v, 0) + abs(k)
    positions = arange(length(v, 0))
    zero = broadcast_to_dims(constant(0, dtype=v.dtype), [n, n])
    return zero[positions + max(0, -k), positions + max(0, k)].set(v)


@public
def meshgrid(*xs: Any, indexing: str = "xy") -> list[Variable]:
    """Coordinate matrices from vectors, as ``numpy.meshgrid``."""
    if indexing not in ("xy", "ij"):
        raise DTypeError(f"meshgrid: indexing={indexing!r}; expected 'xy' or 'ij'")
    nodes = [call("flatten", x) for x in xs]
    order = list(range(len(nodes)))
    if indexing == "xy" and len(nodes) > 1:
        order[0], order[1] = 1, 0
    dims = [length(nodes[i], 0) for i in order]
    return [broadcast_to_dims(expand_all(x, len(nodes), order.index(i)), dims) for i, x in enumerate(nodes)]


def expand_all(x: Variable, ndim: int, axis: int) -> Variable:
    """A vector laid along `axis` of `ndim` axes."""
    return call("expand_dims", x, tuple(a for a in range(ndim) if a != axis))
