"""Jacobians and Hessians, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from subtensor.calculus.arguments import listed, nodes_of, value_of
from subtensor.calculus.grad import grad
from subtensor.errors import GradientError
from subtensor.graph.constants import as_tensor
from subtensor.graph.nodes import (
    Variable,
    call,
    leaves,
    mention,
)
from subtensor.graph.reverse import pullback
from subtensor.graph.types import is_float
from subtensor.ops.loop import map_rows
from subtensor.ops.shape import length, lengths, reshape


def jacobian(
    expression: Any, wrt: Any, consider_constant: Sequence[Variable] | None = None, disconnected_inputs: str = "raise",
    vectorize: bool = False,
) -> Any:  # fmt: skip
    """The matrix of derivatives: shape ``(*expression.shape, *wrt.shape)`` for each node of `wrt`.

    The rows are computed one after another, by one pullback each, whatever `vectorize`, of the peers', says.
    """
    expression = as_tensor(expression)
    if not is_float(expression.dtype):
        raise GradientError(f"jacobian: {expression.label} is {expression.dtype}; expected a float")
    nodes, wrap = listed(wrt)
    if expression.ndim == 0:
        return grad(expression, wrt, consider_constant, disconnected_inputs)
    held = () if consider_constant is None else nodes_of("jacobian: consider_constant", consider_constant)
    flat = reshape(expression, (-1,))
    n = length(flat, 0)
    basis = call("eye", n, dtype=expression.dtype)
    if disconnected_inputs != "ignore":  # reported once, not for each row
        grad(None, nodes, consider_constant, disconnected_inputs, False, {flat: basis[0]})

    results = []
    for node in nodes:

        def row(seed: Variable, node: Variable = node) -> Variable:
            (part,) = pullback({flat: seed}, [node], held)
            return value_of(part, node)

        rows = map_rows(row, basis, lengths(node))
        if expression.ndim > 1:
            rows = reshape(rows, [*lengths(expression), *lengths(node)])
        results.append(rows)
        mention(rows, leaves([expression, *nodes]))
    return wrap(results)


def hessian(
    cost: Any, wrt: Any, consider_constant: Sequence[Variable] | None = None, disconnected_inputs: str = "raise"
) -> Any:
    """The second derivatives of a scalar: shape ``(*wrt.shape, *wrt.shape)`` for each node of `wrt`."""
    nodes, wrap = listed(wrt)
    results = []
    for node in nodes:
        g = grad(cost, node, consider_constant, disconnected_inputs, False)
        results.append(jacobian(g, node, consider_constant, "ignore"))
    return wrap(results)
