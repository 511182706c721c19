"""Functions of Theano's ``tensor.nnet`` and ``tensor.xlogx``: normalisation of batches, counts of confusions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from subtensor.errors import ShapeError
from subtensor.graph.constants import as_tensor
from subtensor.graph.nodes import Variable, call
from subtensor.graph.operators import public
from subtensor.graph.types import normalize_axes
from subtensor.ops.elementwise import common_float
from subtensor.ops.shape import length, product


@public
def xlogx(x: Any) -> Variable:
    """``x * log(x)``, elementwise, and 0 where x is 0."""
    return call("xlogy", x, x)


@public
def xlogy0(x: Any, y: Any) -> Variable:
    """``x * log(y)``, elementwise, and 0 where x is 0: SciPy's ``xlogy``."""
    return call("xlogy", x, y)


@public
def confusion_matrix(actual: Any, pred: Any) -> list[Variable]:
    """How often each class was taken for each: a pair of (k, k) int64 counts and the (k,) classes, in order.

    actual, pred: (n,) classes; a row of the counts is an actual class, a column a predicted one. Raises ShapeError for
    other than vectors.
    """
    a, p = as_tensor(actual), as_tensor(pred)
    for x in (a, p):
        if x.ndim != 1:
            raise ShapeError(f"confusion_matrix: {x.label} is {x.type}; expected a vector of classes")
    order = call("unique", call("concatenate", [a, p]))
    hits = [call("equal", call("expand_dims", x, 1), call("expand_dims", order, 0)).astype("int64") for x in (a, p)]
    return [call("matmul", hits[0].T, hits[1]), order]


@public
def batch_normalization(inputs: Any, gamma: Any, beta: Any, mean: Any, std: Any, mode: Any = None) -> Variable:
    """``(inputs - mean) * (gamma / std) + beta``, where all broadcast. mode is accepted, and changes nothing."""
    x, gamma, beta, mean, std = common_float(inputs, gamma, beta, mean, std)
    made: Variable = (x - mean) * (gamma / std) + beta
    return made


def _axes(where: str, axes: Any, ndim: int) -> tuple[int, ...]:
    if isinstance(axes, str):
        if axes not in ("per-activation", "spatial"):
            raise ShapeError(f"{where}: axes={axes!r}; expected 'per-activation', 'spatial', or axes")
        axes = (0,) if axes == "per-activation" else (0, *range(2, ndim))
    return normalize_axes(axes, ndim, where)


def _wide(x: Variable, ndim: int, axes: Sequence[int]) -> Variable:
    """A parameter with the axes over which the batch is averaged put in, where it has not got them."""
    return x if x.ndim == ndim else call("expand_dims", x, tuple(axes))


@public
def batch_normalization_train(
    inputs: Any,
    gamma: Any,
    beta: Any,
    axes: Any = "per-activation",
    epsilon: float = 1e-4,
    running_average_factor: float = 0.1,
    running_mean: Any = None,
    running_var: Any = None,
) -> list[Variable]:
    """A batch with mean 0 and variance 1 over `axes`, times gamma, plus beta; its mean, and 1 / its deviation.

    inputs: (n, …) floats. axes: 'per-activation', the first; 'spatial', all but the second; or axes. gamma, beta and
    the running values have length 1 along these, or lack them. Where running_mean and running_var are given, their new
    values follow: moved by `running_average_factor` towards the batch's, whose variance is made unbiased. epsilon is
    added to the variance. Raises ShapeError for other axes.
    """
    x, gamma, beta = common_float(inputs, gamma, beta)
    over = _axes("batch_normalization_train", axes, x.ndim)
    gamma, beta = (_wide(p, x.ndim, over) for p in (gamma, beta))
    mean, var = call("mean", x, over, keepdims=True), call("var", x, over, keepdims=True)
    invstd = 1 / call("sqrt", var + epsilon)
    made = [(x - mean) * invstd * gamma + beta, mean, invstd]
    if running_mean is not None:
        old = _wide(as_tensor(running_mean), x.ndim, over)
        made.append(old * (1 - running_average_factor) + mean * running_average_factor)
    if running_var is not None:
        old = _wide(as_tensor(running_var), x.ndim, over)
        n = product(length(x, axis) for axis in over).astype(x.dtype)
        made.append(old * (1 - running_average_factor) + n / (n - 1) * running_average_factor * var)
    return made


@public
def batch_normalization_test(
    inputs: Any, gamma: Any, beta: Any, mean: Any, var: Any, axes: Any = "per-activation", epsilon: float = 1e-4
) -> Variable:
    """A batch less `mean`, divided by the root of ``var + epsilon``, times gamma, plus beta.

    axes: as of ``batch_normalization_train``; the parameters have length 1 along these, or lack them.
    """
    x, *parameters = common_float(inputs, gamma, beta, mean, var)
    over = _axes("batch_normalization_test", axes, x.ndim)
    gamma, beta, mean, var = (_wide(p, x.ndim, over) for p in parameters)
    made: Variable = (x - mean) / call("sqrt", var + epsilon) * gamma + beta
    return made
