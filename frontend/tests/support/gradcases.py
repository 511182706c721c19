"""Derivatives of cases against finite differences, in float64.

Derivatives are computed by ``config.backend``, for all cases at once, as it may have to compile; the many values that
differences are made of by NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import numpy as np
from opcases import Case, arrays, build, ops_of

import subtensor as st
from subtensor.graph.nodes import Input, Variable
from subtensor.graph.types import TensorType

STEP = 1e-5
TOLERANCE = {"rtol": 2e-6, "atol": 2e-7}
SECOND = {"rtol": 2e-5, "atol": 2e-6}


class Problem:
    """A case as a scalar: a weighted sum of its float outputs and their squares, so that every order is of interest."""

    def __init__(self, case: Case, *, static: bool) -> None:
        self.case = case
        self.inputs, outputs = build(case, static=static)
        self.points = [a for v in case.args for a in arrays(v)]
        self.moving = [i for i, p in enumerate(self.points) if p.dtype == np.float64]
        self.wrt = [self.inputs[i] for i in self.moving]
        self.outputs = [o for o in outputs if o.dtype == "float64"]
        rng = np.random.default_rng(1)
        values = self.on_numpy(self.outputs)(*self.points)
        weights = [rng.random(v.shape) + 0.5 for v in values]
        self.cost = sum(
            (st.sum(w * o + 0.3 * w * o * o) for w, o in zip(weights, self.outputs, strict=True)), st.constant(0.0)
        )
        self.directions = [rng.normal(size=self.points[i].shape) for i in self.moving]
        self.grads = st.grad(self.cost, self.wrt, disconnected_inputs="ignore")

    def on_numpy(self, outputs: Any) -> Callable[..., Any]:
        return st.function(self.inputs, outputs, on_unused_input="ignore", backend="numpy")

    def moved(self, steps: Sequence[np.ndarray]) -> list[np.ndarray]:
        points = list(self.points)
        for i, step in zip(self.moving, steps, strict=True):
            points[i] = points[i] + step
        return points

    def along(self, f: Callable[..., Any]) -> list[np.ndarray]:
        """The derivative of f's results along the directions."""
        ahead = f(*self.moved([STEP * d for d in self.directions]))
        behind = f(*self.moved([-STEP * d for d in self.directions]))
        return [(np.asarray(a) - np.asarray(b)) / (2 * STEP) for a, b in zip(ahead, behind, strict=True)]


def evaluated(problems: Sequence[Problem], nodes: Sequence[Sequence[Variable]]) -> list[list[np.ndarray]]:
    """The values of some nodes of each problem, on the backend under test."""
    inputs = [i for p in problems for i in p.inputs]
    run = st.function(inputs, [n for each in nodes for n in each], on_unused_input="ignore")
    values = iter(run(*(v for p in problems for v in p.points)))
    return [list(islice(values, len(each))) for each in nodes]


def check_reverse(cases: Sequence[Case], *, static: bool) -> None:
    """Each element of each gradient, and that a gradient has the shape of its input."""
    problems = [Problem(case, static=static) for case in cases]
    for problem, got in zip(problems, evaluated(problems, [p.grads for p in problems]), strict=True):
        value = problem.on_numpy(problem.cost)
        for k, (i, g) in enumerate(zip(problem.moving, got, strict=True)):
            what = f"{problem.case}: gradient {k}"
            assert g.shape == problem.points[i].shape, f"{what} has shape {g.shape}"
            want = np.empty(g.shape)
            for at in np.ndindex(g.shape):
                steps = [np.zeros(problem.points[j].shape) for j in problem.moving]
                steps[k][at] = STEP
                want[at] = (value(*problem.moved(steps)) - value(*problem.moved([-s for s in steps]))) / (2 * STEP)
            np.testing.assert_allclose(g, want, **TOLERANCE, err_msg=what)


def check_forward(cases: Sequence[Case]) -> None:
    """The tangents of the outputs along random directions."""
    problems = [Problem(case, static=False) for case in cases]
    tangents = [st.Rop(p.outputs, p.wrt, p.directions, disconnected_outputs="ignore") for p in problems]
    for problem, got in zip(problems, evaluated(problems, tangents), strict=True):
        want = problem.along(problem.on_numpy(problem.outputs))
        for k, (g, w) in enumerate(zip(got, want, strict=True)):
            assert g.shape == w.shape, f"{problem.case}: tangent {k} has shape {g.shape}, expected {w.shape}"
            np.testing.assert_allclose(g, w, **TOLERANCE, err_msg=f"{problem.case}: tangent {k}")


def check_second(cases: Sequence[Case]) -> None:
    """The Hessian times random directions, against differences of gradients."""
    problems = [Problem(case, static=False) for case in cases]
    products = [st.Lop(p.grads, p.wrt, p.directions, disconnected_inputs="ignore") for p in problems]
    for problem, got in zip(problems, evaluated(problems, products), strict=True):
        want = problem.along(problem.on_numpy(problem.grads))
        for k, (g, w) in enumerate(zip(got, want, strict=True)):
            np.testing.assert_allclose(g, w, **SECOND, err_msg=f"{problem.case}: row {k} of the Hessian product")


def differentiated_ops(case: Case) -> set[str]:
    """The ops in a case's graph, and in the graphs of its gradient."""
    problem = Problem(case, static=False)
    return ops_of([*problem.outputs, *problem.grads])


def as_function(case: Case) -> Callable[..., Variable]:
    """The first float output as a function of the float inputs, for ``st.verify_grad``."""

    def f(*moving: Variable) -> Variable:
        given = iter(moving)

        def make(a: np.ndarray) -> Any:
            return next(given) if a.dtype == np.float64 else a

        from opcases import flat_results, symbolic

        outputs = flat_results(case.call(*symbolic(case.args, make)))
        return next(o for o in outputs if o.dtype == "float64")

    return f


def unknown(name: str, ndim: int, dtype: str = "float64") -> Input:
    return Input(TensorType(dtype, (None,) * ndim), name=name)
