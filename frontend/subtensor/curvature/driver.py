"""What the second-order drivers share: the compiled pieces of a step, and vectors instead of blocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from subtensor.curvature.space import RowSpace
from subtensor.errors import DomainError, OptimizerError, counted
from subtensor.function import Function, function
from subtensor.graph import forks
from subtensor.graph.constants import as_tensor
from subtensor.graph.nodes import Array, Input, Variable


@dataclass(frozen=True)
class Progress:
    """What a step did.

    cost: before it. new_cost: after it, on the same inputs. damping: λ that it used. ratio: how much the cost fell over
    how much the quadratic model said; nan where nothing moved. scale: how much of the computed step was taken; 0 where
    nothing was. products: curvature-vector products, or matrices, computed. coordinates: how many there were.
    """

    cost: float
    new_cost: float
    damping: float
    ratio: float
    scale: float
    products: int
    coordinates: int


@dataclass(frozen=True)
class Point:
    """Where a step starts. cost; gradient, squares: (n,); shapes of the blocks; rows: numbers by block, or None."""

    cost: float
    gradient: Array
    squares: Array
    shapes: list[tuple[int, ...]]
    rows: list[Array | None]

    def blocks(self, vector: Array) -> list[Array]:
        """A vector cut into blocks."""
        ends = np.cumsum([int(np.prod(s)) for s in self.shapes])
        parts = np.split(vector, ends[:-1])
        return [part.reshape(s) for part, s in zip(parts, self.shapes, strict=True)]


class Driver:
    """Compiles a cost in its row space: value, products, value elsewhere, and the change itself."""

    def __init__(
        self, inputs: Sequence[Variable], cost: Any, params: Any, outputs: Any = None, *, backend: str | None = None
    ) -> None:
        if isinstance(inputs, Variable) or not isinstance(inputs, Iterable):
            raise OptimizerError(f"{type(self).__name__}: inputs is {inputs!r}; expected a list of the cost's inputs")
        cost = as_tensor(cost)
        if cost.ndim:
            raise OptimizerError(
                f"{type(self).__name__}: the cost {cost.label} has {counted(cost.ndim, 'axis')}; expected a scalar: "
                "reduce it with .sum() or .mean()"
            )
        space = self.space = RowSpace(cost, params, outputs)
        if not space.blocks:
            raise OptimizerError(
                f"{type(self).__name__}: params is empty; expected shared variables and subsets of their rows"
            )
        dtypes = {b.dtype for b in space.blocks}
        if len(dtypes) > 1:
            raise OptimizerError(f"{type(self).__name__}: parameters of dtypes {sorted(dtypes)}; expected one dtype")
        (self.dtype,) = dtypes
        self._lock = forks.lock(forks.DRIVER)
        self._changes = [Input(b.type, name=f"change{i}") for i, b in enumerate(space.blocks)]
        self._inputs = list(inputs)
        self._backend = backend
        rows = [r for r in space.rows if r is not None]
        self._evaluate = self._compile(
            [space.cost, *space.gradient(), *space.squares(), *rows], "evaluate", moved=False
        )
        self._cost_at = self._compile(space.at(self._changes), "cost_at")
        updates = [
            (p.shared, p.written(p.shared, b + c))
            for p, b, c in zip(space.places, space.blocks, self._changes, strict=True)
        ]
        self._apply = self._compile(None, "apply", updates=updates)

    def _compile(self, outputs: Any, name: str, *, moved: bool = True, updates: Any = None) -> Function:
        given = [*self._inputs, *(self._changes if moved else [])]
        return function(
            given, outputs, updates, backend=self._backend, name=f"{type(self).__name__}.{name}",
            on_unused_input="ignore",
        )  # fmt: skip

    def point(self, inputs: Sequence[Any]) -> Point:
        """Cost and derivatives at the parameters. Raises DomainError where they are not finite."""
        cost, *rest = self._evaluate(*inputs)
        n = len(self.space.blocks)
        gradients, squares, numbers = rest[:n], rest[n : 2 * n], rest[2 * n :]
        gradient = np.concatenate([np.ravel(g) for g in gradients])
        if not np.isfinite(cost) or not np.isfinite(gradient).all():
            raise DomainError(
                f"{type(self).__name__}: the cost is {float(cost):g} and its gradient "
                f"{'' if np.isfinite(gradient).all() else 'not '}finite; expected finite numbers; nothing was changed"
            )
        found = iter(numbers)
        rows = [None if r is None else next(found) for r in self.space.rows]
        together = np.concatenate([np.ravel(s) for s in squares])
        return Point(float(cost), gradient, together, [g.shape for g in gradients], rows)

    def cost_at(self, inputs: Sequence[Any], point: Point, change: Array) -> float:
        """The cost with a vector added to the parameters."""
        return float(self._cost_at(*inputs, *point.blocks(change)))

    def apply(self, inputs: Sequence[Any], point: Point, change: Array) -> None:
        """Add a vector to the parameters: one transaction."""
        self._apply(*inputs, *point.blocks(change.astype(self.dtype, copy=False)))


def adapted(damping: float, ratio: float) -> float:
    """Levenberg and Marquardt's rule, as in Martens (2010): the model is trusted more where it was right."""
    if ratio < 0.25 or np.isnan(ratio):
        return damping * 3 / 2
    return damping * 2 / 3 if ratio > 0.75 else damping
