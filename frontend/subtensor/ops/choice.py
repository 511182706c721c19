"""``ifelse``: one of two values, of which the other is not computed.

In the graph it is a node over both. What only one side needs is computed in a branch of the program, made if that side
is chosen (see ``subtensor.program.choices``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from subtensor.errors import DTypeError, FunctionError, ShapeError, counted
from subtensor.graph.constants import as_tensor, constant, promoted
from subtensor.graph.nodes import (
    DISCONNECTED,
    Argument,
    Constant,
    Cotangent,
    Joint,
    Length,
    Surroundings,
    Variable,
    Zero,
    call,
    define,
    toposort,
)
from subtensor.graph.operators import public
from subtensor.graph.reverse import pullback, zeros_of
from subtensor.graph.types import TensorType
from subtensor.ops.shape import length


def _infer(condition: Argument, x: Argument, y: Argument) -> TensorType:
    if condition.type != TensorType("bool"):
        raise DTypeError(f"ifelse: the condition {condition.label} is {condition.type}; expected bool[]")
    if x.type.dtype != y.type.dtype or len(x.type.shape) != len(y.type.shape):
        raise DTypeError(
            f"ifelse: {x.label} is {x.type}, {y.label} is {y.type}; expected one dtype and one number of axes"
        )
    return x.type.with_shape(a if a == b else None for a, b in zip(x.type.shape, y.type.shape, strict=True))


def _dims(axis: int, condition: Variable, x: Variable, y: Variable) -> Length:
    n = length(x, axis)
    return n if n is length(y, axis) else None


def _vjp(g: Variable, out: Variable, condition: Variable, x: Variable, y: Variable) -> list[Cotangent]:
    return [DISCONNECTED, ifelse_op(condition, g, zeros_of(x)), ifelse_op(condition, zeros_of(y), g)]


def _families(nodes: Iterable[Variable]) -> list[list[Variable]]:
    """Choices by one condition, those that do not depend on each other."""
    by_condition: dict[Variable, list[Variable]] = {}
    for node in nodes:
        by_condition.setdefault(node.inputs[0], []).append(node)
    found: list[list[Variable]] = []
    for group in by_condition.values():
        above = set(toposort([i for m in group for i in m.inputs])) if len(group) > 1 else set()
        found += [[m] for m in group] if above.intersection(group) else [group]
    return found


def alone(order: Sequence[Variable], choices: Iterable[Variable], side: int, kept: Iterable[Variable]) -> set[Variable]:
    """What in a graph is used for one side of some choices, and for nothing else. kept: nodes that are used besides."""
    chosen, seen = set(choices), set(kept)
    used_by: dict[Variable, bool] = {}  # whether all users so far are on this side
    for node in reversed(order):
        own = used_by.get(node, False) and node not in seen
        for position, i in enumerate(node.inputs):
            inside = position == side if node in chosen else own
            used_by[i] = used_by.get(i, True) and inside
    return {v for v, inside in used_by.items() if inside and v not in seen and v.op is not None}


def _joint_vjp(
    members: Sequence[Variable], cotangents: Sequence[Variable], around: Surroundings
) -> list[tuple[Variable, Cotangent]]:
    """The gradient of a choice is the choice of the gradients: what only one side needs is differentiated there."""
    condition = members[0].inputs[0]
    sides: list[dict[Variable, Cotangent]] = []
    for side in (1, 2):
        own = alone(around.order, members, side, around.wanted)
        ends = [m.inputs[side] for m in members]
        border = dict.fromkeys(e for e in ends if e not in own)
        border.update(dict.fromkeys(i for v in around.order if v in own for i in v.inputs if i not in own))
        seeds: dict[Variable, Variable] = {}
        for end, g in zip(ends, cotangents, strict=True):
            seeds[end] = call("add", seeds[end], g) if end in seeds else g
        wrt = [b for b in border if not isinstance(b, Constant)]
        sides.append(dict(zip(wrt, pullback(seeds, wrt), strict=True)))
    result: list[tuple[Variable, Cotangent]] = [(condition, DISCONNECTED)]
    for node in dict.fromkeys([*sides[0], *sides[1]]):
        parts = [side.get(node, DISCONNECTED) for side in sides]
        real = [p for p in parts if isinstance(p, Variable)]
        if not real:
            result += [(node, p) for p in parts]
            continue
        x, y = (zeros_of(real[0]) if isinstance(p, Zero) else p for p in parts)
        result.append((node, ifelse_op(condition, x, y)))
    return result


ifelse_op = define("ifelse", infer=_infer, vjp=_vjp, dims=_dims, joint=Joint(_families, _joint_vjp))
"""``ifelse(condition, x, y)``: x where the condition, a 0-d bool, is true, else y."""


@public
def ifelse(condition: Any, then_branch: Any, else_branch: Any, name: str | None = None) -> Any:
    """`then_branch` if the scalar `condition` is true (not 0), else `else_branch`; the other one is not computed.

    The branches: nodes of one number of axes, or lists of as many of them. What both need, or something else does, is
    computed in any case. The gradient is that of the branch that is taken, and zero for what only the other one uses.
    Raises ShapeError, DTypeError and FunctionError for branches that do not match.
    """
    test = as_tensor(condition)
    if test.ndim:
        raise ShapeError(
            f"ifelse: the condition {test.label} has {counted(test.ndim, 'axis')}; expected a scalar: reduce it with "
            ".any() or .all(), or use st.switch"
        )
    if test.dtype != "bool":
        test = call("not_equal", test, constant(0, dtype=test.dtype))
    many = isinstance(then_branch, list | tuple)
    if many != isinstance(else_branch, list | tuple) or (many and len(then_branch) != len(else_branch)):
        raise FunctionError("ifelse: the branches are not lists of one length; expected a node for each node")
    pairs = list(zip(then_branch, else_branch, strict=True)) if many else [(then_branch, else_branch)]
    chosen = [ifelse_op(test, *promoted("ifelse", x, y)) for x, y in pairs]
    for node in chosen:
        if name is not None and node.name is None:
            node.name = name
    return type(then_branch)(chosen) if many else chosen[0]
