"""Conjugate gradients for ``A x = b``, as Martens (2010) uses them inside Hessian-free optimization."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from subtensor.graph.nodes import Array


@dataclass(frozen=True)
class Solution:
    """iterates: some of the x on the way, the last one last. models: ``xᵀAx/2 − bᵀx`` of each. products: how many were
    computed.
    """

    iterates: list[Array]
    models: list[float]
    products: int


def conjugate_gradient(
    product: Callable[[Array], Array],
    b: Array,
    start: Array,
    preconditioner: Array,
    most: int,
    tolerance: float = 5e-4,
    growth: float = 1.3,
) -> Solution:
    """Minimise ``xᵀAx/2 − bᵀx`` from `start`; A by its `product`, symmetric. b, start, preconditioner: (n,) float.

    preconditioner: the diagonal that A is divided by. It stops after `most` steps, at zero residual, at a direction of
    no positive curvature, or where over the last k = max(10, i/10) steps the model fell by less than ``k · tolerance``
    of what it has fallen in all (Martens 2010, section 4.4). Iterates are kept at steps that grow by `growth`.
    """
    x = start.copy()
    products = 1 if x.any() else 0
    r = (product(x) if products else np.zeros_like(b)) - b
    models = [float(x @ (r - b)) / 2]
    kept, kept_models = [x.copy()], [models[0]]
    y = r / preconditioner
    p = -y
    fit = float(r @ y)
    next_kept = 1.0
    i = 0
    for i in range(1, most + 1):
        if not fit > 0:
            break
        ap = product(p)
        products += 1
        curvature = float(p @ ap)
        if not curvature > 0:
            if i == 1 and not x.any():
                x = p.copy()  # the gradient's own direction, for the line search to measure
                kept.append(x.copy())
                kept_models.append(float(x @ ap) / 2 - float(b @ x))
            break
        alpha = fit / curvature
        x = x + alpha * p
        r = r + alpha * ap
        y = r / preconditioner
        models.append(float(x @ (r - b)) / 2)
        old, fit = fit, float(r @ y)
        p = -y + fit / old * p
        done = _stalled(models, i, tolerance) or i == most or not fit > 1e-30 * float(b @ (b / preconditioner))
        if done or i >= next_kept:
            kept.append(x.copy())
            kept_models.append(models[-1])
            next_kept = max(next_kept * growth, i + 1)
        if done:
            break
    return Solution(kept, kept_models, products)


def _stalled(models: list[float], i: int, tolerance: float) -> bool:
    k = max(10, i // 10)
    return i > k and models[-1] < 0 and models[-1] - models[-1 - k] > k * tolerance * models[-1]
