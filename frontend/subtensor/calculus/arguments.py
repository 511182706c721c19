"""What the functions of this folder take and give: nodes, lists of them, evaluation points."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from subtensor.errors import GradientError, ShapeError
from subtensor.graph.constants import as_tensor
from subtensor.graph.nodes import (
    Cotangent,
    Variable,
    Zero,
    call,
)
from subtensor.graph.reverse import zeros_of
from subtensor.graph.types import is_float
from subtensor.ops.elementwise import cast


def listed(wrt: Any) -> tuple[list[Variable], Any]:
    """A node or a list of nodes as a list, and what brings as many results into the same form."""
    if isinstance(wrt, Variable):
        return [wrt], lambda results: results[0]
    return nodes_of("grad: wrt", wrt), (tuple if isinstance(wrt, tuple) else list)


def nodes_of(what: str, given: Any) -> list[Variable]:
    """A node or some nodes as a list. Raises GradientError for anything else."""
    if isinstance(given, AbstractSet):
        raise GradientError(f"{what} is a set, which has no order; expected a list")
    nodes = list(given) if isinstance(given, Iterable) and not isinstance(given, Variable) else [given]
    for node in nodes:
        if not isinstance(node, Variable):
            raise GradientError(f"{what} holds {node!r}; expected symbolic variables")
    return nodes


def paired(f: Any, points: Any, what: str) -> tuple[list[Variable], list[Variable]]:
    """Nodes and their evaluation points, each cast to its node's dtype. Raises GradientError and ShapeError."""
    nodes = nodes_of(f"{what}: what is differentiated", f)
    values = [points] if not isinstance(points, list | tuple) else list(points)
    if len(nodes) != len(values):
        raise GradientError(f"{what}: {len(values)} evaluation points for {len(nodes)} nodes; expected one each")
    pairs = []
    for node, value in zip(nodes, values, strict=True):
        v = cast(as_tensor(value), node.dtype)
        if v.ndim != node.ndim:
            raise ShapeError(
                f"{what}: the evaluation point {v.label} of {node.label} has {v.ndim} axes; expected {node.ndim}"
            )
        pairs.append(v)
    return nodes, pairs


def summed(nodes: Sequence[Variable], seeds: Sequence[Variable]) -> dict[Variable, Variable]:
    """Cotangents by node, those of one node added up."""
    total: dict[Variable, Variable] = {}
    for node, seed in zip(nodes, seeds, strict=True):
        total[node] = total[node] + seed if node in total else seed
    return total


def value_of(part: Cotangent, node: Variable) -> Variable:
    """A cotangent as a node: zeros of its shape where it is said, not computed."""
    if not isinstance(part, Zero):
        return part
    return zeros_of(node) if is_float(node.dtype) else call("zeros_like", node, "float64")
