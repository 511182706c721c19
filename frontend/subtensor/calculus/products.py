"""Products of derivatives with vectors: reverse mode, forward mode as two pullbacks, second order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from subtensor.calculus.arguments import nodes_of, paired, summed, value_of
from subtensor.calculus.grad import grad
from subtensor.errors import DisconnectedInputError, GradientError
from subtensor.graph.nodes import (
    DISCONNECTED,
    Input,
    Variable,
    Zero,
    replace,
)
from subtensor.graph.reverse import pullback, zeros_of


def Lop(
    f: Any, wrt: Any, eval_points: Any, consider_constant: Sequence[Variable] | None = None,
    disconnected_inputs: str = "raise",
) -> Any:  # fmt: skip
    """The row vector `eval_points` times the Jacobian of f with respect to `wrt`: one pullback.

    f, eval_points: a node or a list, of matching shapes. Returns nodes of `wrt`'s form and shapes.
    """
    outputs, points = paired(f, eval_points, "Lop")
    return grad(None, wrt, consider_constant, disconnected_inputs, False, summed(outputs, points))


def Rop(
    f: Any,
    wrt: Any,
    eval_points: Any,
    disconnected_outputs: str = "raise",
    return_disconnected: str = "zero",
    use_op_rop_implementation: bool = False,
) -> Any:
    """The Jacobian of f with respect to `wrt` times the column vector `eval_points`: forward mode.

    A pullback is linear in its cotangent, so pulling back through it gives the derivative the other way round. Returns
    nodes of f's form and shapes; zeros where f does not depend on `wrt`, or None where return_disconnected is ``none``,
    unless disconnected_outputs is ``raise``. use_op_rop_implementation is accepted for programs written for the peers
    and has no effect.
    """
    if disconnected_outputs not in ("raise", "ignore") or return_disconnected not in ("zero", "none", "disconnected"):
        raise GradientError(
            f"Rop: disconnected_outputs={disconnected_outputs!r}, return_disconnected={return_disconnected!r}; "
            "expected 'raise' or 'ignore', and 'zero', 'none' or 'disconnected'"
        )
    inputs, points = paired(wrt, eval_points, "Rop")
    outputs = nodes_of("Rop: f", f)
    results: list[Any] = []
    for output in outputs:
        u = Input(output.type, name="u")
        parts = pullback({output: u}, inputs)
        seeds: dict[Variable, Variable] = {}
        for part, point in zip(parts, points, strict=True):
            if not isinstance(part, Zero):
                seeds[part] = seeds[part] + point if part in seeds else point
        if not seeds and all(part is DISCONNECTED for part in parts) and disconnected_outputs == "raise":
            names = ", ".join(i.label for i in inputs)
            raise DisconnectedInputError(f"Rop: {output.label} does not depend on {names} differentiably")
        if all(part is DISCONNECTED for part in parts) and return_disconnected != "zero":
            results.append(None if return_disconnected == "none" else DISCONNECTED)
            continue
        (tangent,) = pullback(seeds, [u]) if seeds else (DISCONNECTED,)
        value = zeros_of(output) if isinstance(tangent, Zero) else tangent
        # linear in u: only its shape can be left in the result, and the output has the same one
        results.append(replace([value], {u: output})[0])
    return results[0] if isinstance(f, Variable) else results


def hessian_vector_product(
    cost: Any, wrt: Any, p: Any, consider_constant: Sequence[Variable] | None = None, disconnected_inputs: str = "raise"
) -> Any:
    """The Hessian of a scalar with respect to `wrt` times p, without the Hessian; p has `wrt`'s form and shapes.

    consider_constant, disconnected_inputs: as in ``grad``.
    """
    nodes, points = paired(wrt, p, "hessian_vector_product")
    gradients = grad(cost, nodes, consider_constant, disconnected_inputs, add_names=False)
    product = pullback(summed(gradients, points), nodes, consider_constant or ())
    results = [value_of(part, node) for part, node in zip(product, nodes, strict=True)]
    return results[0] if isinstance(wrt, Variable) else results


def gauss_newton_vector_product(cost: Any, outputs: Any, wrt: Any, p: Any) -> Any:
    """``Jᵀ H J p``: J the Jacobian of `outputs` by `wrt`, H the Hessian of `cost` by `outputs`.

    cost: a scalar that depends on `wrt` through `outputs`, a node or a list. p has `wrt`'s form and shapes. Positive
    semidefinite where the cost is convex in the outputs (Schraudolph, 2002).
    """
    nodes, points = paired(wrt, p, "gauss_newton_vector_product")
    outs = nodes_of("gauss_newton_vector_product: outputs", outputs)
    tangents = Rop(outs, nodes, points)
    curved = hessian_vector_product(cost, outs, tangents)
    results = Lop(outs, nodes, curved, disconnected_inputs="ignore")
    return results[0] if isinstance(wrt, Variable) else results
