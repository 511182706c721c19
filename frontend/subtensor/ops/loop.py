"""One op over a sub-graph: the same expression for each row of some tensors.

It serves Jacobians, whose number of rows may be known only at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from subtensor.graph.nodes import (
    DISCONNECTED,
    Argument,
    Constant,
    Cotangent,
    Input,
    Length,
    Variable,
    Zero,
    call,
    define,
    leaves,
    replace,
    static_dims,
)
from subtensor.graph.reverse import pullback
from subtensor.graph.types import TensorType, is_float, merge_dims
from subtensor.ops.shape import lengths


@dataclass(frozen=True, eq=False)
class Body:
    """A sub-graph over placeholder inputs: the first `rows` stand for rows, the others for captured tensors."""

    inputs: tuple[Variable, ...]
    rows: int
    output: Variable


def _infer(*inputs: Argument, body: Body) -> TensorType:
    n = None
    for rows in inputs[: body.rows]:
        n = merge_dims(n, rows.type.shape[0])
    return TensorType(body.output.dtype, (n, *static_dims(inputs[len(body.inputs) :])))


def _dims(axis: int, *inputs: Variable, body: Body) -> Length:
    return (inputs[0], 0) if axis == 0 else inputs[len(body.inputs) + axis - 1]


def _vjp(g: Variable, out: Variable, *inputs: Variable, body: Body) -> list[Cotangent]:
    given = inputs[: len(body.inputs)]
    g_row = Input(g.type.with_shape(g.type.shape[1:]), name="g")
    parts = pullback({body.output: g_row}, body.inputs)
    result: list[Cotangent] = []
    for k, (part, place, value) in enumerate(zip(parts, body.inputs, given, strict=True)):
        if isinstance(part, Zero) or not is_float(place.dtype):
            result.append(part if isinstance(part, Zero) else DISCONNECTED)
            continue
        dims = lengths(value)[1:] if k < body.rows else lengths(value)
        rows = [*given[: body.rows], g]
        mapped = map_op(
            *rows,
            *given[body.rows :],
            *dims,
            body=Body((*body.inputs[: body.rows], g_row, *body.inputs[body.rows :]), body.rows + 1, part),
        )
        result.append(mapped if k < body.rows else call("sum", mapped, 0, mapped.dtype))
    return [*result, *(DISCONNECTED for _ in inputs[len(given) :])]


map_op = define("map_rows", infer=_infer, vjp=_vjp, dims=_dims, fresh=True)
"""``map_rows(*rows, *captured, *dims)``: the body's output for each row, stacked. dims: lengths of one output."""


def map_rows(function: Callable[[Variable], Variable], rows: Variable, dims: Sequence[Variable]) -> Variable:
    """``function`` applied to each row of `rows`, stacked: (n, …) to (n, *dims)."""
    row = Input(rows.type.with_shape(rows.type.shape[1:]), name="row")
    output = function(row)
    captured = [v for v in leaves([output]) if v is not row and not isinstance(v, Constant)]
    places = [Input(v.type, name=v.name) for v in captured]
    (output,) = replace([output], dict(zip(captured, places, strict=True)))
    return map_op(rows, *captured, *dims, body=Body((row, *places), 1, output))
