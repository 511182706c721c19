"""Identities that act on the gradient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from subtensor.errors import GradientError
from subtensor.graph.constants import as_tensor
from subtensor.graph.nodes import DISCONNECTED, ZERO, Cotangent, Op, Variable, call, define
from subtensor.graph.operators import public


def _identity(name: str, vjp: Callable[..., Sequence[Cotangent]]) -> Op:
    return define(
        name,
        infer=lambda x, **_: x.type,
        vjp=vjp,
        expand=lambda x, **_: x,
        dims=lambda axis, x, **_: (x, axis),
    )


_disconnected = _identity("disconnected_grad", lambda g, out, x: [DISCONNECTED])
_zero = _identity("zero_grad", lambda g, out, x: [ZERO])
_clip = _identity("grad_clip", lambda g, out, x, low, high: [call("clip", g, low, high)])
_scale = _identity("grad_scale", lambda g, out, x, factor: [g * factor])


@public(aliases=("stop_gradient",))
def disconnected_grad(x: Any) -> Variable:
    """x, through which no gradient flows: what only reaches the cost through it is disconnected."""
    return _disconnected(as_tensor(x))


@public
def zero_grad(x: Any) -> Variable:
    """x, with a gradient of zero: what only reaches the cost through it is connected, with gradient zero."""
    return _zero(as_tensor(x))


@public
def grad_clip(x: Any, lower_bound: float, upper_bound: float) -> Variable:
    """x, whose gradient is limited elementwise to ``[lower_bound, upper_bound]``."""
    if lower_bound > upper_bound:
        raise GradientError(
            f"grad_clip: lower bound {lower_bound} above upper bound {upper_bound}; expected lower <= upper"
        )
    return _clip(as_tensor(x), low=lower_bound, high=upper_bound)


@public
def grad_scale(x: Any, multiplier: float) -> Variable:
    """x, whose gradient is multiplied by `multiplier`."""
    return _scale(as_tensor(x), factor=multiplier)
