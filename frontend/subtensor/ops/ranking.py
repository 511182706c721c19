"""The greatest elements, and where they stand: from sorting, so that every backend agrees on ties."""

from __future__ import annotations

import operator
from typing import Any

from subtensor.errors import DTypeError
from subtensor.graph.constants import as_tensor
from subtensor.graph.nodes import Variable, call
from subtensor.graph.operators import public
from subtensor.graph.types import normalize_axis
from subtensor.ops.shape import length


@public
def top_k(x: Any, k: Any, axis: int = -1) -> tuple[Variable, Variable]:
    """The k greatest elements along `axis`, in descending order, and their positions, int64.

    Equal elements come in the order of their positions; NaN counts as greatest, as in ``sort``. The gradient goes to
    the elements that were taken. Where there are fewer than k, all of them.
    """
    x, count = _checked("top_k", x, k)
    axis = normalize_axis(axis, x.ndim, "top_k")
    order = call("flip", call("argsort", call("flip", x, axis), axis), axis)
    places = (length(x, axis) - 1 - order)[(*[slice(None)] * axis, slice(None, count))]
    return call("take_along_axis", x, places, axis), places


@public
def argpartition(x: Any, kth: Any, axis: int = -1) -> Variable:
    """Positions along `axis`, such that the kth is where it would be if sorted, smaller ones before it, others after.

    Which of NumPy's possible answers: that of ``argsort``.
    """
    x = as_tensor(x)
    if isinstance(kth, bool) or not hasattr(kth, "__index__") or isinstance(kth, Variable):
        raise DTypeError(f"argpartition: kth is {kth!r}; expected an int")
    kth = operator.index(kth)
    axis = normalize_axis(axis, x.ndim, "argpartition")
    n = x.type.shape[axis]
    if n is not None and not -n <= kth < n:
        raise DTypeError(f"argpartition: kth is {kth!r}; expected {-n} <= kth < {n}")
    return call("argsort", x, axis)


def _checked(where: str, x: Any, k: Any) -> tuple[Variable, int]:
    if isinstance(k, bool) or not hasattr(k, "__index__") or isinstance(k, Variable) or operator.index(k) < 0:
        raise DTypeError(f"{where}: k is {k!r}; expected an int, 0 or more")
    return as_tensor(x), operator.index(k)
