"""Gradients, in reverse mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from subtensor.calculus.arguments import listed, nodes_of, value_of
from subtensor.errors import DisconnectedInputError, GradientError, ShapeError, warn
from subtensor.graph.config import config
from subtensor.graph.constants import as_tensor, constant
from subtensor.graph.nodes import (
    DISCONNECTED,
    Constant,
    Variable,
    leaves,
    mention,
    toposort,
)
from subtensor.graph.reverse import pullback
from subtensor.graph.types import is_float
from subtensor.ops.elementwise import cast


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
    ``none`` or ``disconnected``. null_gradients: accepted for programs written for the peers,
    without effect. Raises GradientError for a cost that is no float scalar.
    """
    nodes, wrap = listed(wrt)
    held = () if consider_constant is None else nodes_of("grad: consider_constant", consider_constant)
    return_disconnected = str(return_disconnected).lower()
    for option, value, known in (
        ("disconnected_inputs", disconnected_inputs, ("raise", "warn", "ignore")),
        ("return_disconnected", return_disconnected, ("zero", "none", "disconnected")),
        ("null_gradients", null_gradients, ("raise", "return")),
    ):
        if value not in known:
            raise GradientError(f"grad: {option}={value!r}; expected one of {', '.join(known)}")
    seeds = _seeds(cost, known_grads)
    parts = pullback(seeds, nodes, held)
    results: list[Any] = []
    for node, part in zip(nodes, parts, strict=True):
        if part is DISCONNECTED:
            _report_disconnected(node, seeds, held, disconnected_inputs)
            if return_disconnected != "zero":
                results.append(None if return_disconnected == "none" else DISCONNECTED)
                continue
        g = value_of(part, node)
        if add_names and g.name is None and g.op is not None and node.name and isinstance(cost, Variable) and cost.name:
            g.name = f"(d{cost.name}/d{node.name})"
        results.append(g)
    written = leaves([*seeds, *nodes])
    for g in results:
        if isinstance(g, Variable):
            mention(g, written)
    return wrap(results)


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
        if not isinstance(node, Variable):
            raise GradientError(f"grad: known_grads holds {node!r}; expected symbolic variables")
        value = cast(as_tensor(g), _gradient_dtype(node, as_tensor(g)))
        if value.ndim != node.ndim:
            raise ShapeError(f"grad: the known gradient of {node.label} has {value.ndim} axes; expected {node.ndim}")
        seeds[node] = value + seeds[node] if node in seeds else value
    if not seeds:
        raise GradientError("grad: got neither a cost nor known_grads; expected at least one")
    return seeds


def _gradient_dtype(node: Variable, g: Variable) -> str:
    """The dtype of a known gradient: the node's own; where that is no float, a float all the same."""
    if is_float(node.dtype):
        return node.dtype
    return g.dtype if is_float(g.dtype) else config.floatX


def _report_disconnected(
    node: Variable, seeds: Mapping[Variable, Variable], held: Sequence[Variable], action: str
) -> None:
    if action == "ignore":
        return
    outputs = list(seeds)
    if node in held:
        why = "consider_constant holds it fixed"
    elif not is_float(node.dtype):
        why = f"it is {node.dtype}, and only floats have gradients"
    elif node in toposort(outputs):
        behind = "an index, a shape, behind disconnected_grad" + (" or consider_constant" if held else "")
        why = f"it is only used where nothing is differentiated ({behind})"
    else:
        why = "it is not part of the cost's graph"
    candidates = [v for v in leaves(outputs) if not isinstance(v, Constant) and is_float(v.dtype)]
    parts = pullback(seeds, candidates, held)
    connected = [v for v, part in zip(candidates, parts, strict=True) if part is not DISCONNECTED]
    names = ", ".join(v.label for v in connected) or "nothing"
    message = (
        f"grad: the cost {', '.join(o.label for o in outputs)} does not depend on {node.label} differentiably: {why}. "
        f"It depends on: {names}. Pass disconnected_inputs='ignore' to get zeros"
    )
    if action == "raise":
        raise DisconnectedInputError(message)
    warn(message)
