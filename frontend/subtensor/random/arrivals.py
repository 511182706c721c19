"""How often something comes that comes at random: counts of Poisson's distribution."""

from __future__ import annotations

import math
from typing import Any

from subtensor.errors import DTypeError
from subtensor.graph.constants import as_tensor
from subtensor.graph.nodes import Variable, call
from subtensor.graph.types import INDEX, as_dtype, is_integer
from subtensor.ops.elementwise import cast
from subtensor.ops.philox import within
from subtensor.random.draws import dims_of, unit

_MOST = 1e9


def poisson(key: Any, lam: Any = 1.0, shape: Any = None, dtype: Any = INDEX) -> Variable:
    """How many of the times ``-log(1 - u)``, one after the other, fit into `lam`: counts of mean and variance `lam`.

    lam: not negative; shape: that of `lam` where None; dtype: integers. The times are float64, and all are drawn: for
    each count, those of the largest `lam`, ``lam + 12 sqrt(lam) + 40``, beyond which no count lies. Raises DomainError
    for a `lam` outside [0, 1e9], at the call if it is not known before.
    """
    kind = as_dtype(dtype)
    if not is_integer(kind):
        raise DTypeError(f"poisson: the dtype {kind} holds no counts; expected integers")
    mean = within("poisson", cast(as_tensor(lam), "float64"), 0.0, _MOST, "a mean, between 0 and 1e9")
    dims = dims_of(shape, mean)
    times = call("cumsum", -call("log", 1 - unit(key, [as_tensor(_most(mean)), *dims], "float64")), 0)
    return cast((times <= mean).sum(0), kind)


def _most(mean: Variable) -> Any:
    """How many times are drawn for each count: an int where the means are known."""
    if mean.known is not None:
        largest = float(mean.known.max(initial=0.0))
        return math.ceil(largest + 12 * math.sqrt(largest) + 40)
    longest = call("max", call("concatenate", [mean.flatten(), as_tensor([0.0], dtype="float64")]))
    return cast(call("ceil", longest + 12 * call("sqrt", longest) + 40), INDEX)
