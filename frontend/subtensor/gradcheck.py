"""``verify_grad``: gradients against finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from subtensor.calculus.grad import grad
from subtensor.errors import GradientError
from subtensor.function import function
from subtensor.graph.constants import constant
from subtensor.graph.nodes import Array, Input, call
from subtensor.graph.types import TensorType

_STEP = {"float64": 6e-6, "float32": 5e-3, "float16": 5e-2}
_TOLERANCE = {"float64": 1e-6, "float32": 1e-2, "float16": 1e-1}


def verify_grad(
    fun: Callable[..., Any],
    pt: Sequence[Any],
    n_tests: int = 2,
    rng: Any = None,
    eps: float | None = None,
    out_type: Any = None,
    abs_tol: float | None = None,
    rel_tol: float | None = None,
    mode: Any = None,
    backend: str | None = None,
    cast_to_output_type: bool = False,
    no_debug_ref: bool = True,
) -> None:
    """Compare the gradient of ``fun(*inputs)``, projected on random directions, with central differences at `pt`.

    fun: from nodes to a node. pt: float arrays, one for each argument. n_tests: how many random projections. rng: a
    ``numpy.random.Generator`` or ``RandomState``; seeded if None. eps: the step; abs_tol, rel_tol: what may differ; all
    chosen by dtype if None. out_type, mode, cast_to_output_type and no_debug_ref are accepted for programs written for
    the peers and have no effect. Raises GradientError saying which argument and element differ most.
    """
    points = [np.array(p) for p in pt]
    for i, p in enumerate(points):
        if p.dtype.kind != "f":
            raise GradientError(f"verify_grad: argument {i} is {p.dtype}; expected floats")
    rng = rng if rng is not None else np.random.default_rng(0)
    inputs = [Input(TensorType(p.dtype.name, p.shape), name=f"argument {i}") for i, p in enumerate(points)]
    output = fun(*inputs)
    narrow = min((p.dtype.name for p in points), key=lambda d: np.dtype(d).itemsize, default="float64")
    narrow = min((narrow, output.dtype), key=lambda d: np.dtype(d).itemsize)
    step = eps if eps is not None else _STEP[narrow]
    absolute = abs_tol if abs_tol is not None else _TOLERANCE[narrow]
    relative = rel_tol if rel_tol is not None else _TOLERANCE[narrow]
    value = function(inputs, output, on_unused_input="ignore", backend=backend)
    shape = value(*points).shape
    for _test in range(n_tests):
        weights = np.asarray(rng.random(shape) + 0.5).astype(output.dtype)
        cost = call("sum", output * constant(weights))
        gradients = function(
            inputs, grad(cost, inputs, disconnected_inputs="ignore"), on_unused_input="ignore", backend=backend
        )(*points)

        def projected(changed: Sequence[Array], weights: Array = weights) -> float:
            return float((np.asarray(value(*changed), np.float64) * weights).sum())

        for i, (p, g) in enumerate(zip(points, gradients, strict=True)):
            expected = _differences(projected, points, i, step)
            error = np.abs(expected - g) / (absolute + relative * np.abs(expected))
            if not (error <= 1).all():
                at = np.unravel_index(int(np.argmax(np.where(np.isnan(error), np.inf, error))), p.shape)
                raise GradientError(
                    f"verify_grad: argument {i}, element {tuple(map(int, at))}: the gradient is {g[at]}, finite "
                    f"differences give {expected[at]} (tolerances: absolute {absolute}, relative {relative})"
                )


def _differences(f: Callable[[Sequence[Array]], float], points: Sequence[Array], i: int, step: float) -> Array:
    """Central differences of f with respect to each element of ``points[i]``."""
    result = np.empty(points[i].shape)
    for at in np.ndindex(points[i].shape):
        sides = []
        for sign in (1, -1):
            changed = [p.copy() for p in points]
            changed[i][at] += sign * step
            sides.append((f(changed), float(changed[i][at])))
        result[at] = (sides[0][0] - sides[1][0]) / (sides[0][1] - sides[1][1])
    return result
