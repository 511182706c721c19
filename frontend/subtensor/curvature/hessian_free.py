"""Hessian-free optimization (Martens 2010; Martens & Sutskever 2012) of table rows and dense parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from subtensor.curvature.conjugate_gradient import conjugate_gradient
from subtensor.curvature.driver import Driver, Point, Progress, adapted
from subtensor.errors import OptimizerError
from subtensor.graph.nodes import Array, Variable
from subtensor.optimizers.build import number


class HessianFree(Driver):
    """Steps that minimise a quadratic model by conjugate gradients, with curvature only as products.

    inputs: the inputs of the cost; ``step`` takes their values. cost: a float scalar. params: shared variables and
    subsets of their rows. outputs: nodes through which the cost depends on them, convexly: the Gauss-Newton matrix is
    used, which has no negative curvature; without them the Hessian is. damping: λ at first; it adapts. most: of
    conjugate gradient steps. warm: what part of the last step's solution the next one starts from, row by row: a row's
    coordinates follow its number, and a row that was not used starts from zero. backend: as in ``function``.

    A step changes the parameters in one transaction, and not at all where an error is raised or no decrease is found.
    """

    def __init__(
        self,
        inputs: Sequence[Variable],
        cost: Any,
        params: Any,
        outputs: Any = None,
        *,
        damping: float = 1.0,
        most: int = 100,
        warm: float = 0.95,
        backend: str | None = None,
    ) -> None:
        damping, warm = number("HessianFree: damping", damping), number("HessianFree: warm", warm)
        if not isinstance(most, int | np.integer):
            raise OptimizerError(
                f"HessianFree: most is {most!r}; expected an integer, how many products a step may take"
            )
        if not damping > 0 or most < 1 or warm > 1:
            raise OptimizerError(
                f"HessianFree: damping={damping}, most={most}, warm={warm}; expected damping > 0, most >= 1 and "
                "warm in [0, 1]"
            )
        super().__init__(inputs, cost, params, outputs, backend=backend)
        self.damping, self.most, self.warm = damping, int(most), warm
        space = self.space
        products = space.gauss_newton_vector_product if outputs is not None else space.hessian_vector_product
        self._product = self._compile(products(self._changes), "product")
        self._last: list[tuple[Array | None, Array]] = []

    def step(self, *inputs: Any) -> Progress:
        """One step on a batch: values for the inputs."""
        with self._lock:
            point = self.point(inputs)
            if not point.gradient.size or not point.gradient.any():
                return Progress(point.cost, point.cost, self.damping, float("nan"), 0.0, 0, point.gradient.size)
            return self._stepped(inputs, point)

    def _stepped(self, inputs: Sequence[Any], point: Point) -> Progress:
        damping = self.damping

        def product(x: Array) -> Array:
            curved = self._product(*inputs, *point.blocks(x.astype(self.dtype, copy=False)))
            return np.concatenate([np.ravel(c) for c in curved]) + damping * x

        preconditioner = (point.squares + damping) ** 0.75
        found = conjugate_gradient(product, -point.gradient, self._warm_start(point), preconditioner, self.most)
        change, model, cost = self._backtracked(inputs, point, found.iterates, found.models)
        undamped = model - damping * float(change @ change) / 2
        ratio = (cost - point.cost) / undamped if undamped < 0 else float("nan")
        scale, cost = self._searched(inputs, point, change, cost)
        if scale:
            self.apply(inputs, point, scale * change)
        self._last = list(zip(point.rows, point.blocks(found.iterates[-1]), strict=True))
        self.damping = adapted(damping, ratio if scale else float("nan"))
        return Progress(point.cost, cost, damping, ratio, scale, found.products, point.gradient.size)

    def _warm_start(self, point: Point) -> Array:
        start = point.blocks(np.zeros_like(point.gradient))
        for i, (rows, values) in enumerate(self._last):
            mine = point.rows[i]
            if mine is None or rows is None:
                start[i] = values
            else:
                _, here, there = np.intersect1d(mine, rows, assume_unique=True, return_indices=True)
                start[i] = start[i].copy()
                start[i][here] = values[there]
        return self.warm * np.concatenate([np.ravel(s) for s in start])

    def _backtracked(
        self, inputs: Sequence[Any], point: Point, iterates: list[Array], models: list[float]
    ) -> tuple[Array, float, float]:
        """The iterate at which going back further stops to help; its model and its cost."""
        best = len(iterates) - 1
        cost = self.cost_at(inputs, point, iterates[best])
        for i in range(best - 1, 0, -1):
            earlier = self.cost_at(inputs, point, iterates[i])
            if not (earlier < cost or np.isnan(cost)):
                break
            best, cost = i, earlier
        return iterates[best], models[best], cost

    def _searched(self, inputs: Sequence[Any], point: Point, change: Array, cost: float) -> tuple[float, float]:
        """How much of a change to take (Armijo's rule, factor .8), and the cost there; 0 where nothing helps."""
        slope = float(point.gradient @ change)
        scale = 1.0
        for _ in range(60):
            if cost <= point.cost + 1e-2 * scale * min(slope, 0.0):
                return scale, cost
            scale *= 0.8
            cost = self.cost_at(inputs, point, scale * change)
        return 0.0, point.cost
