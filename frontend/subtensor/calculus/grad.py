"""Gradients: reverse mode, forward mode as two pullbacks, and what is built from them."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from subtensor.errors import DisconnectedInputError, GradientError, ShapeError
from subtensor.graph.constants import as_tensor, constant
from subtensor.graph.nodes import DISCONNECTED, Constant, Cotangent, Input, Variable, Zero, leaves, replace, toposort
from subtensor.graph.operators import call
from subtensor.graph.reverse import pullback, zeros_of
from subtensor.graph.types import is_float
from subtensor.ops.elementwise import cast
from subtensor.ops.loop import map_rows
from subtensor.ops.shape import length, lengths, reshape


def grad(
    cost: Any,
    wrt: Any,
    consider_constant: Sequence[Variable] | None = None,
    disconnected_inputs: str = "raise",
    add_names: bool = True,
    known_grads: Mapping[Variable, Any] | Sequence[tuple[Variable, Any]] | None = None,
    return_disconnected: str = "zero",
    null_gradients: str = "raise",
) -> Any:
    """The gradient of a scalar with respect to nodes of its graph, subsets such as ``table[ids]`` included.

    cost: a float scalar, or None where `known_grads` says how the cost depends on other nodes.
    wrt: a node or a list or tuple; the result has the same form, each gradient the shape and dtype of its node.
    A subset is differentiated with the rest of its table held fixed; a node of `wrt` gathers all paths from the cost.
    consider_constant: nodes through which nothing is differentiated.
    known_grads: gradients of the cost with respect to nodes, added to what `cost` gives.
    disconnected_inputs: what to do for a node that the cost does not depend on differentiably: ``raise``
    (DisconnectedInputError), ``warn`` or ``ignore``. return_disconnected: what then stands for its gradient: ``zero``,
    ``none`` or ``disconnected``. Raises GradientError for a cost that is no float scalar.
    """
    nodes, wrap = _listed(wrt)
    held = () if consider_constant is None else _nodes("grad: consider_constant", consider_constant)
    return_disconnected = str(return_disconnected).lower()
    for option, value, known in (
        ("disconnected_inputs", disconnected_inputs, ("raise", "warn", "ignore")),
        ("return_disconnected", return_disconnected, ("zero", "none", "disconnected")),
    ):
        if value not in known:
            raise GradientError(f"grad: {option}={value!r}; expected one of {', '.join(known)}")
    seeds = _seeds(cost, known_grads)
    parts = pullback(seeds, nodes, held)
    results: list[Any] = []
    for node, part in zip(nodes, parts, strict=True):
        if part is DISCONNECTED:
            _report_disconnected(node, seeds, disconnected_inputs)
            if return_disconnected != "zero":
                results.append(None if return_disconnected == "none" else DISCONNECTED)
                continue
        g = _value(part, node)
        if add_names and g.name is None and g.op is not None and node.name and isinstance(cost, Variable) and cost.name:
            g.name = f"(d{cost.name}/d{node.name})"
        results.append(g)
    return wrap(results)


def _listed(wrt: Any) -> tuple[list[Variable], Any]:
    if isinstance(wrt, Variable):
        return [wrt], lambda results: results[0]
    return _nodes("grad: wrt", wrt), (tuple if isinstance(wrt, tuple) else list)


def _nodes(what: str, given: Any) -> list[Variable]:
    """A node or some nodes as a list. Raises GradientError for anything else."""
    nodes = list(given) if isinstance(given, Iterable) and not isinstance(given, Variable) else [given]
    for node in nodes:
        if not isinstance(node, Variable):
            raise GradientError(f"{what} holds {node!r}; expected symbolic variables")
    return nodes


def _seeds(cost: Any, known_grads: Any) -> dict[Variable, Variable]:
    seeds: dict[Variable, Variable] = {}
    if cost is not None:
        cost = as_tensor(cost)
        if cost.ndim:
            raise GradientError(
                f"grad: the cost {cost.label} has {cost.ndim} axes; expected a scalar: reduce it with .sum() or "
                ".mean(), or use st.jacobian"
            )
        if not is_float(cost.dtype):
            raise GradientError(
                f"grad: the cost {cost.label} is {cost.dtype}; expected a float: cast what it is made of"
            )
        seeds[cost] = constant(1, dtype=cost.dtype)
    for node, g in dict(known_grads or {}).items():
        value = cast(as_tensor(g), node.dtype)
        if value.ndim != node.ndim:
            raise ShapeError(f"grad: the known gradient of {node.label} has {value.ndim} axes; expected {node.ndim}")
        seeds[node] = value + seeds[node] if node in seeds else value
    if not seeds:
        raise GradientError("grad: got neither a cost nor known_grads; expected at least one")
    return seeds


def _value(part: Cotangent, node: Variable) -> Variable:
    if not isinstance(part, Zero):
        return part
    return zeros_of(node) if is_float(node.dtype) else call("zeros_like", node, "float64")


def _report_disconnected(node: Variable, seeds: Mapping[Variable, Variable], action: str) -> None:
    if action == "ignore":
        return
    outputs = list(seeds)
    if not is_float(node.dtype):
        why = f"it is {node.dtype}, and only floats have gradients"
    elif node in toposort(outputs):
        why = "it is only used where nothing is differentiated (an index, a shape, behind disconnected_grad)"
    else:
        why = "it is not part of the cost's graph"
    candidates = [v for v in leaves(outputs) if not isinstance(v, Constant) and is_float(v.dtype)]
    connected = [v for v, part in zip(candidates, pullback(seeds, candidates), strict=True) if part is not DISCONNECTED]
    names = ", ".join(v.label for v in connected) or "nothing"
    message = (
        f"grad: the cost {', '.join(o.label for o in outputs)} does not depend on {node.label} differentiably: {why}. "
        f"It depends on: {names}. Pass disconnected_inputs='ignore' to get zeros"
    )
    if action == "raise":
        raise DisconnectedInputError(message)
    warnings.warn(message, stacklevel=3)


def _paired(f: Any, points: Any, what: str) -> tuple[list[Variable], list[Variable]]:
    nodes = _nodes(f"{what}: what is differentiated", f)
    values = [points] if not isinstance(points, list | tuple) else list(points)
    if len(nodes) != len(values):
        raise GradientError(f"{what}: {len(values)} evaluation points for {len(nodes)} nodes; expected one each")
    pairs = []
    for node, value in zip(nodes, values, strict=True):
        v = cast(as_tensor(value), node.dtype)
        if v.ndim != node.ndim:
            raise ShapeError(
                f"{what}: the evaluation point {v.label} of {node.label} has {v.ndim} axes, not {node.ndim}"
            )
        pairs.append(v)
    return nodes, pairs


def Lop(
    f: Any, wrt: Any, eval_points: Any, consider_constant: Sequence[Variable] | None = None,
    disconnected_inputs: str = "raise",
) -> Any:  # fmt: skip
    """The row vector `eval_points` times the Jacobian of f with respect to `wrt`: one pullback.

    f, eval_points: a node or a list, of matching shapes. Returns nodes of `wrt`'s form and shapes.
    """
    outputs, points = _paired(f, eval_points, "Lop")
    return grad(None, wrt, consider_constant, disconnected_inputs, False, _summed(outputs, points))


def Rop(f: Any, wrt: Any, eval_points: Any, disconnected_outputs: str = "raise", **_: Any) -> Any:
    """The Jacobian of f with respect to `wrt` times the column vector `eval_points`: forward mode.

    A pullback is linear in its cotangent, so pulling back through it gives the derivative the other way round. Returns
    nodes of f's form and shapes; zeros where f does not depend on `wrt`, unless disconnected_outputs is ``raise``.
    """
    inputs, points = _paired(wrt, eval_points, "Rop")
    outputs = _nodes("Rop: f", f)
    results: list[Variable] = []
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
        (tangent,) = pullback(seeds, [u]) if seeds else (DISCONNECTED,)
        value = zeros_of(output) if isinstance(tangent, Zero) else tangent
        # linear in u: only its shape can be left in the result, and the output has the same one
        results.append(replace([value], {u: output})[0])
    return results[0] if isinstance(f, Variable) else results


def jacobian(
    expression: Any, wrt: Any, consider_constant: Sequence[Variable] | None = None, disconnected_inputs: str = "raise",
    **_: Any,
) -> Any:  # fmt: skip
    """The matrix of derivatives: shape ``(*expression.shape, *wrt.shape)`` for each node of `wrt`.

    The rows are computed one after another, by one pullback each.
    """
    expression = as_tensor(expression)
    if not is_float(expression.dtype):
        raise GradientError(f"jacobian: {expression.label} is {expression.dtype}; expected a float")
    nodes, wrap = _listed(wrt)
    if expression.ndim == 0:
        return grad(expression, wrt, consider_constant, disconnected_inputs)
    held = () if consider_constant is None else _nodes("jacobian: consider_constant", consider_constant)
    flat = reshape(expression, (-1,))
    n = length(flat, 0)
    basis = call("eye", n, dtype=expression.dtype)
    if disconnected_inputs != "ignore":  # reported once, not for each row
        grad(None, nodes, consider_constant, disconnected_inputs, False, {flat: basis[0]})

    results = []
    for node in nodes:

        def row(seed: Variable, node: Variable = node) -> Variable:
            (part,) = pullback({flat: seed}, [node], held)
            return _value(part, node)

        rows = map_rows(row, basis, lengths(node))
        if expression.ndim > 1:
            rows = reshape(rows, [*lengths(expression), *lengths(node)])
        results.append(rows)
    return wrap(results)


def hessian(
    cost: Any, wrt: Any, consider_constant: Sequence[Variable] | None = None, disconnected_inputs: str = "raise"
) -> Any:
    """The second derivatives of a scalar: shape ``(*wrt.shape, *wrt.shape)`` for each node of `wrt`."""
    nodes, wrap = _listed(wrt)
    results = []
    for node in nodes:
        g = grad(cost, node, consider_constant, disconnected_inputs, False)
        results.append(jacobian(g, node, consider_constant, "ignore"))
    return wrap(results)


def hessian_vector_product(cost: Any, wrt: Any, p: Any, **_: Any) -> Any:
    """The Hessian of a scalar with respect to `wrt` times p, without the Hessian; p has `wrt`'s form and shapes."""
    nodes, points = _paired(wrt, p, "hessian_vector_product")
    gradients = grad(cost, nodes, add_names=False)
    product = pullback(_summed(gradients, points), nodes)
    results = [_value(part, node) for part, node in zip(product, nodes, strict=True)]
    return results[0] if isinstance(wrt, Variable) else results


def _summed(nodes: Sequence[Variable], seeds: Sequence[Variable]) -> dict[Variable, Variable]:
    total: dict[Variable, Variable] = {}
    for node, seed in zip(nodes, seeds, strict=True):
        total[node] = total[node] + seed if node in total else seed
    return total


def gauss_newton_vector_product(cost: Any, outputs: Any, wrt: Any, p: Any) -> Any:
    """``Jᵀ H J p``: J the Jacobian of `outputs` by `wrt`, H the Hessian of `cost` by `outputs`.

    cost: a scalar that depends on `wrt` through `outputs`, a node or a list. p has `wrt`'s form and shapes. Positive
    semidefinite where the cost is convex in the outputs (Schraudolph, 2002).
    """
    nodes, points = _paired(wrt, p, "gauss_newton_vector_product")
    outs = _nodes("gauss_newton_vector_product: outputs", outputs)
    tangents = Rop(outs, nodes, points)
    curved = hessian_vector_product(cost, outs, tangents)
    results = Lop(outs, nodes, curved, disconnected_inputs="ignore")
    return results[0] if isinstance(wrt, Variable) else results
