"""Derivatives by finite differences, of fourth order: (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h.

With h a power of two, values with few digits and costs of up to the fourth degree they are exact but for rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from subtensor_conformance.oracle.nodes import FUNCTIONS, Context, Node, apply, as_node, looking_inside, public
from subtensor_conformance.oracle.values import Array, make, stretched, wide

STEP = 2.0**-8


def _moved(x: Array, direction: Sequence[float], by: float) -> Array:
    return Array(x.dtype, x.shape, tuple(v + by * d for v, d in zip(x.data, direction, strict=True)))


def slope(f: Callable[[float], Sequence[float]]) -> list[float]:
    """The derivative at 0 of each element of ``f(t)``."""
    a, b, c, d = (f(k * STEP) for k in (1, -1, 2, -2))
    return [(8 * (p - q) - (r - s)) / (12 * STEP) for p, q, r, s in zip(a, b, c, d, strict=True)]


def _directional(context: Context, f: Node, wrt: Node, direction: Sequence[float]) -> list[float]:
    point = context.value(wrt)
    return slope(lambda t: [float(v) for v in context.where({wrt: _moved(point, direction, t)}).value(f).data])


def gradient_of(context: Context, cost: Node, wrt: Node) -> list[float]:
    point = context.value(wrt)
    n = len(point.data)
    with wide():
        return [_directional(context, cost, wrt, [float(i == k) for i in range(n)])[0] for k in range(n)]


@public("grad")
def grad(cost: Node, wrt: Any, disconnected_inputs: str = "raise") -> Any:
    """The gradient with respect to a node, whose other uses are held fixed, or to each of several."""
    if not isinstance(wrt, Node):
        return [grad(cost, w) for w in wrt]

    def rule(context: Context) -> Array:
        point = context.value(wrt)
        return make(point.dtype, point.shape, gradient_of(context, cost, wrt))

    return apply(looking_inside(rule), (cost, wrt), "grad")


@public("Rop")
def Rop(f: Node, wrt: Node, v: Any) -> Node:
    direction = as_node(v)

    def rule(context: Context) -> Array:
        along = [float(d) for d in stretched(context.value(direction), context.value(wrt).shape).data]
        out = context.value(f)
        with wide():
            slopes = _directional(context, f, wrt, along)
        return make(out.dtype, out.shape, slopes)

    return apply(looking_inside(rule), (f, wrt, direction), "Rop")


@public("Lop")
def Lop(f: Node, wrt: Node, v: Any) -> Node:
    node: Node = grad(FUNCTIONS["sum"](FUNCTIONS["multiply"](f, FUNCTIONS["disconnected_grad"](v))), wrt)
    return node


@public("hessian_vector_product")
def hessian_vector_product(cost: Node, wrt: Node, v: Any) -> Node:
    direction = as_node(v)

    def rule(context: Context) -> Array:
        point = context.value(wrt)
        along = [float(d) for d in context.value(direction).data]
        with wide():
            product = slope(lambda t: gradient_of(context.where({wrt: _moved(point, along, t)}), cost, wrt))
        return make(point.dtype, point.shape, product)

    return apply(looking_inside(rule), (cost, wrt, direction), "hvp")


@public("jacobian")
def jacobian(f: Node, wrt: Node) -> Node:
    def rule(context: Context) -> Array:
        point, out = context.value(wrt), context.value(f)
        n = len(point.data)
        with wide():
            columns = [_directional(context, f, wrt, [float(i == k) for i in range(n)]) for k in range(n)]
        rows = [columns[k][i] for i in range(len(out.data)) for k in range(n)]
        return make(out.dtype, (*out.shape, *point.shape), rows)

    return apply(looking_inside(rule), (f, wrt), "jacobian")


@public("hessian")
def hessian(cost: Node, wrt: Node) -> Node:
    return jacobian(grad(cost, wrt), wrt)


@public("disconnected_grad", "stop_gradient")
def disconnected_grad(x: Any) -> Node:
    """x as it was before any difference was taken."""
    node = as_node(x)
    return apply(looking_inside(lambda context: (context.outer or context).value(node)), (node,), "disconnected")
