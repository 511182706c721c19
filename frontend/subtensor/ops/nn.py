"""Functions of neural networks: ``softmax`` and its logarithm, rectifiers, cross-entropies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from subtensor.errors import DTypeError, ShapeError
from subtensor.graph.constants import as_tensor, constant
from subtensor.graph.cost import Cost
from subtensor.graph.nodes import Argument, Cotangent, Length, Variable, call, define
from subtensor.graph.operators import public
from subtensor.graph.types import TensorType, float_dtype, is_integer, normalize_axes
from subtensor.ops.elementwise import cast, common_float, exp, log, select
from subtensor.ops.gradient import disconnected_grad
from subtensor.ops.reduce import refuse_empty
from subtensor.ops.shape import length, of_lengths

Axes = tuple[int, ...]


def _same_type(name: str) -> Callable[..., TensorType]:
    check = refuse_empty(name)

    def infer(x: Argument, axes: Axes) -> TensorType:
        check(x, axes)
        return x.type

    return infer


def _same_dims(axis: int, x: Variable, axes: Axes) -> Length:
    return x, axis


def _keep_sum(x: Variable, axes: Axes) -> Variable:
    return call("sum", x, axes, x.dtype, True)


def _shifted(x: Variable, axes: Axes) -> Variable:
    return x - disconnected_grad(call("max", x, axes, True))


def _softmax_expand(x: Variable, axes: Axes) -> Variable:
    e = exp(_shifted(x, axes))
    return e / _keep_sum(e, axes)


def _softmax_vjp(g: Variable, out: Variable, x: Variable, axes: Axes) -> list[Cotangent]:
    return [out * (g - _keep_sum(g * out, axes))]


_COST = Cost(computes="60 * x.size")
softmax_op = define(
    "softmax",
    infer=_same_type("softmax"),
    vjp=_softmax_vjp,
    expand=_softmax_expand,
    dims=_same_dims,
    fresh=True,
    cost=_COST,
)


def _log_softmax_expand(x: Variable, axes: Axes) -> Variable:
    shifted = _shifted(x, axes)
    return shifted - log(_keep_sum(exp(shifted), axes))


def _log_softmax_vjp(g: Variable, out: Variable, x: Variable, axes: Axes) -> list[Cotangent]:
    return [g - exp(out) * _keep_sum(g, axes)]


log_softmax_op = define(
    "log_softmax",
    infer=_same_type("log_softmax"),
    vjp=_log_softmax_vjp,
    expand=_log_softmax_expand,
    dims=_same_dims,
    fresh=True,
    cost=_COST,
)


def _prepared(x: Any, axis: Any, where_: str) -> tuple[Variable, Axes]:
    x = as_tensor(x)
    if x.ndim == 0:
        raise ShapeError(f"{where_}: {x.label} is a scalar; expected at least one axis")
    return cast(x, float_dtype(x.dtype)), normalize_axes(axis, x.ndim, where_)


@public
def softmax(x: Any, axis: Any = -1) -> Variable:
    """``exp(x) / sum(exp(x))`` over `axis` (all axes where None), without overflow. x: any shape but scalar."""
    x, axes = _prepared(x, axis, "softmax")
    return softmax_op(x, axes=axes)


@public(aliases=("logsoftmax",))
def log_softmax(x: Any, axis: Any = -1) -> Variable:
    """The logarithm of ``softmax``, without overflow or underflow."""
    x, axes = _prepared(x, axis, "log_softmax")
    return log_softmax_op(x, axes=axes)


@public
def relu(x: Any, alpha: Any = 0) -> Variable:
    """x where it is positive, else ``alpha * x``; the derivative at 0 is alpha."""
    x = as_tensor(x)
    low = constant(0, dtype=x.dtype) if isinstance(alpha, int | float) and alpha == 0 else x * alpha
    return select(x > 0, x, low)


@public
def elu(x: Any, alpha: float = 1.0) -> Variable:
    """x where it is positive, else ``alpha * (exp(x) - 1)``."""
    (x,) = common_float(x)
    return select(x > 0, x, alpha * call("expm1", select(x > 0, 0, x)))


@public
def hard_sigmoid(x: Any) -> Variable:
    """``clip(0.2 * x + 0.5, 0, 1)``."""
    (x,) = common_float(x)
    return call("clip", x * 0.2 + 0.5, 0, 1)


@public
def log_sigmoid(x: Any) -> Variable:
    """The logarithm of ``sigmoid``, without underflow."""
    (x,) = common_float(x)
    return -call("softplus", -x)


@public
def categorical_crossentropy(coding_dist: Any, true_dist: Any) -> Variable:
    """Cross-entropy of each row: coding_dist (n, classes) probabilities; true_dist (n, classes) probabilities or (n,)
    int classes; returns (n,). Use ``log_softmax`` and pick from it where the probabilities come from a softmax.
    """
    p, t = as_tensor(coding_dist), as_tensor(true_dist)
    if p.ndim == t.ndim:
        return -call("sum", t * log(p), p.ndim - 1)
    if t.ndim == p.ndim - 1 and is_integer(t.dtype):
        t = of_lengths(
            "categorical_crossentropy", t, [length(p, axis) for axis in range(t.ndim)]
        )  # one would count for all
        picked = call("take_along_axis", p, call("expand_dims", t, t.ndim), p.ndim - 1)
        return -call("squeeze", log(picked), p.ndim - 1)
    raise DTypeError(
        f"categorical_crossentropy: true_dist {t!r} does not go with {p!r}; "
        "expected probabilities of the same rank, or integer classes with one axis less"
    )


@public
def binary_crossentropy(output: Any, target: Any) -> Variable:
    """``-(target * log(output) + (1 - target) * log(1 - output))``, elementwise."""
    (p,) = common_float(output)
    t = as_tensor(target)
    return -(t * log(p) + (1 - t) * call("log1p", -p))


@public
def sigmoid_binary_crossentropy(output: Any, target: Any) -> Variable:
    """``binary_crossentropy(sigmoid(output), target)`` without overflow, elementwise."""
    (x,) = common_float(output)
    return call("softplus", x) - as_tensor(target) * x
