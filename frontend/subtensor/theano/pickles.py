"""Pickles, for old programs: Theano wrote models whole, with the graphs and shared variables that they hold.

What is pickled here is read by the same version of this library; to keep a model, keep its values.
"""

from __future__ import annotations

from typing import Any

from subtensor.graph.nodes import OPS, Constant, Input, Params, Variable, apply, constant_node
from subtensor.graph.shared import SharedVariable
from subtensor.graph.types import TensorType


def _input(type: TensorType, name: str | None) -> Variable:
    return Input(type, name=name)


def _shared(type: TensorType, value: Any, name: str | None) -> Variable:
    return SharedVariable(type, value, name)


def _constant(value: Any, name: str | None) -> Variable:
    return constant_node(value, name)


def _applied(op: str, inputs: tuple[Variable, ...], params: Params, name: str | None) -> Variable:
    made = apply(OPS[op], inputs, params)
    if name is not None:
        made.name = name
    return made


def _updated(variable: Any, default_update: Any) -> None:
    variable.default_update = default_update


def reduced(node: Variable, _protocol: Any) -> Any:
    """How a node is pickled: by what it is made of; a shared variable with its value."""
    if isinstance(node, Constant):
        return _constant, (node.data, node.name)
    if isinstance(node, SharedVariable):
        made = (_shared, (node.type, node.get_value(), node.name))
        update = node.default_update
        return made if update is None else (*made, update, None, None, _updated)
    if node.op is None:
        return _input, (node.type, node.name)
    return _applied, (node.op.name, node.inputs, dict(node.params), node.name)


def pickle_whole() -> None:
    """Let nodes of graphs, and shared variables, be pickled from now on."""
    for kind in (Variable, SharedVariable):
        kind.__reduce_ex__ = reduced  # type: ignore[method-assign, assignment]  # for a process that runs an old program
