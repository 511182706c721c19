"""What rows must fulfil after a step, to be given as ``constraint={table: …}``: functions of new rows.

Rows are (S, …): S of them, however they were selected; a variable without rows of its own, such as a vector that is
trained as a whole, is one row. What is returned has the same shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from subtensor.errors import OptimizerError, ShapeError
from subtensor.graph.constants import as_tensor
from subtensor.graph.nodes import Variable, call
from subtensor.ops.elementwise import cast
from subtensor.ops.shape import lengths, product, reshape
from subtensor.optimizers.places import Place
from subtensor.optimizers.rules import wide

Constraint: TypeAlias = Callable[[Variable], Variable]


def _norms(rows: Variable) -> Variable:
    """The Euclidean norm of each row, (S, 1, …), at least in float32."""
    x = cast(rows, wide(rows.dtype))
    axes = tuple(range(1, x.ndim))
    return call("sqrt", call("sum", x * x, axes, keepdims=True) if axes else x * x)


def max_norm(bound: float) -> Constraint:
    """Rows with a norm above `bound`, a positive number, are scaled down to it."""
    if not bound > 0:
        raise OptimizerError(f"max_norm: bound is {bound!r}; expected a positive number")

    def at_most(rows: Variable) -> Variable:
        norms = _norms(rows)
        return rows * cast(call("where", norms > bound, bound / norms, 1), rows.dtype)

    return at_most


def unit_norm(rows: Variable) -> Variable:
    """Rows are scaled to the norm 1; zeros stay."""
    norms = _norms(rows)
    return rows * cast(1 / call("where", norms > 0, norms, 1), rows.dtype)


def non_negative(rows: Variable) -> Variable:
    """Elements below 0 become 0."""
    return call("maximum", rows, 0)


def box(low: float, high: float) -> Constraint:
    """Elements are brought into [low, high]."""
    if not low <= high:
        raise OptimizerError(f"box: got {low!r} and {high!r}; expected two numbers, the lower one first")
    return lambda rows: call("clip", rows, low, high)


def constrained(where: str, place: Place, constraint: Constraint, value: Variable) -> Variable:
    """New values of what a place reads, in rows, after a constraint. Raises ShapeError and OptimizerError."""
    dims, lead = lengths(value), place.lead
    rows = value if lead == 1 else reshape(value, [product(dims[:lead]), *dims[lead:]])
    got: Any = as_tensor(constraint(rows))
    fits = got.ndim == rows.ndim and all(
        a is None or b is None or a == b for a, b in zip(got.type.shape, rows.type.shape, strict=True)
    )
    if not fits:
        raise ShapeError(
            f"{where}: the constraint of {place.shared.label} makes {got.type} of rows that are {rows.type}; expected "
            "the same shape"
        )
    if got.dtype != rows.dtype:
        got = cast(got, rows.dtype)
    return got if lead == 1 else reshape(got, dims)


__all__ = ["box", "max_norm", "non_negative", "unit_norm"]
