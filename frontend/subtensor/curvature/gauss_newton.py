"""Gauss-Newton and Newton steps with the curvature matrix itself, for small problems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from subtensor.curvature.driver import Driver, Progress, adapted
from subtensor.errors import OptimizerError
from subtensor.graph.nodes import Array, Variable
from subtensor.optimizers.build import number


class GaussNewton(Driver):
    """Steps ``−(C + λ I)⁻¹ g`` in coordinates of distinct rows, solved by Cholesky: O(n³) for n coordinates.

    inputs, cost, params, backend: as for ``HessianFree``. outputs: C is the Gauss-Newton matrix over them; without them
    the Hessian, which makes it Newton's method. damping: λ at first. With 0 it stays 0, and whole steps are taken;
    otherwise it adapts, and grows until a step does not raise the cost (Levenberg and Marquardt).
    """

    def __init__(
        self,
        inputs: Sequence[Variable],
        cost: Any,
        params: Any,
        outputs: Any = None,
        *,
        damping: float = 0.0,
        backend: str | None = None,
    ) -> None:
        damping = number("GaussNewton: damping", damping)
        super().__init__(inputs, cost, params, outputs, backend=backend)
        self.damping = damping
        matrix = self.space.hessian() if outputs is None else self.space.gauss_newton()
        self._matrix = self._compile(matrix, "matrix", moved=False)

    def step(self, *inputs: Any) -> Progress:
        """One step on a batch: values for the inputs. Raises OptimizerError where C + λ I is not positive definite."""
        with self._lock:
            point = self.point(inputs)
            matrix = self._matrix(*inputs)
            if not self.damping:
                change = solved(matrix, 0.0, point.gradient)
                cost, damping = self.cost_at(inputs, point, change), 0.0
                scale = 1.0
            else:
                change, cost, damping, scale = self._decreasing(inputs, point, matrix)
            model = float(change @ (matrix @ change)) / 2 + float(point.gradient @ change)
            ratio = (cost - point.cost) / model if model < 0 else float("nan")
            if scale:
                self.apply(inputs, point, change)
            if self.damping:
                self.damping = adapted(damping, ratio)
            return Progress(point.cost, cost, damping, ratio, scale, 1, point.gradient.size)

    def _decreasing(self, inputs: Sequence[Any], point: Any, matrix: Array) -> tuple[Array, float, float, float]:
        damping = self.damping
        for _ in range(30):
            try:
                change = solved(matrix, damping, point.gradient)
            except OptimizerError:
                damping *= 4
                continue
            cost = self.cost_at(inputs, point, change)
            if cost <= point.cost:
                return change, cost, damping, 1.0
            damping *= 4
        return np.zeros_like(point.gradient), point.cost, damping, 0.0


def solved(matrix: Array, damping: float, gradient: Array) -> Array:
    """``−(matrix + damping · I)⁻¹ gradient`` by Cholesky. Raises OptimizerError where there is no such factor."""
    try:
        lower = np.linalg.cholesky(matrix + damping * np.eye(len(matrix), dtype=matrix.dtype))
    except np.linalg.LinAlgError:
        lowest = float(np.linalg.eigvalsh(matrix)[0])
        raise OptimizerError(
            f"GaussNewton: the curvature matrix has the eigenvalue {lowest:.3g}, and damping is {damping:g}; expected "
            "a positive definite sum: give a larger damping, or outputs, for Gauss-Newton has no negative ones"
        ) from None
    half = np.linalg.solve(lower, gradient)
    change: Array = -np.linalg.solve(lower.T, half)
    return change
