"""Stable forms of sums of exponentials and of quotients by them, which are right along empty axes too.

``softmax`` and ``logsumexp`` refuse an empty axis; a sum of exponentials written out does not: it is 0 there. Where an
axis is not known to have elements, one of minus infinity, whose exponential is 0, is therefore put beside them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from subtensor.graph.constants import constant
from subtensor.graph.nodes import OPS, Variable, call
from subtensor.ops.shape import broadcast_to_dims, lengths
from subtensor.rewrites.engine import rule

STABLE = ("stable",)
_exp, _sum, _expand, _logsumexp = OPS["exp"], OPS["sum"], OPS["expand_dims"], OPS["logsumexp"]


def _exponents(node: Variable) -> tuple[Variable, tuple[int, ...]] | None:
    """(x, axes), where `node` is ``sum(exp(x), axes)``."""
    if node.op is not _sum or node.inputs[0].op is not _exp:
        return None
    return node.inputs[0].inputs[0], node.params["axes"]


def _log_total(x: Variable, axes: Sequence[int]) -> Variable:
    """``log(sum(exp(x), axes))``, minus infinity where an axis is empty."""
    for a in axes:
        if x.type.shape[a] in (None, 0):
            dims = lengths(x)
            dims[a] = constant(1)
            x = call("concatenate", [x, broadcast_to_dims(constant(-math.inf, dtype=x.dtype), dims)], a)
    return _logsumexp(x, axes=tuple(axes))


@rule("logsumexp_from_log", "log(sum(exp(x), A)) = logsumexp(x, A)", ["log"], keeps="stabilize", tags=STABLE,
      when="also with the axes kept")  # fmt: skip
def _logsumexp_from_log(node: Variable) -> Variable | None:
    total = node.inputs[0]
    kept = total.op is _expand
    found = _exponents(total.inputs[0] if kept else total)
    if found is None:
        return None
    result = _log_total(*found)
    return _expand(result, **total.params) if kept else result


def _quotient(x: Variable, axes: tuple[int, ...]) -> Variable:
    """``exp(x) / sum(exp(x), axes)``, the axes kept."""
    if all(x.type.shape[a] not in (None, 0) for a in axes):
        return OPS["softmax"](x, axes=axes)
    return _exp(OPS["subtract"](x, _expand(_log_total(x, axes), axes=axes)))


@rule("softmax_from_exp", "exp(x) / sum(exp(x), A) = softmax(x, A)", ["divide"], keeps="stabilize", tags=STABLE,
      when="the axes are kept, or all; also transpose(exp(x)) / sum(exp(x), 1) of a matrix")  # fmt: skip
def _softmax_from_exp(node: Variable) -> Variable | None:
    e, below = node.inputs
    found = _exponents(below.inputs[0] if below.op is _expand else below)
    if found is None:
        return None
    x, axes = found
    if below.op is _expand:
        return _quotient(x, axes) if e.op is _exp and e.inputs[0] is x and below.params["axes"] == axes else None
    if e.op is _exp and e.inputs[0] is x:
        return _quotient(x, axes) if len(axes) == x.ndim else None
    if e.op is not OPS["transpose"] or e.params["axes"] != (1, 0) or axes != (1,):
        return None
    inner = e.inputs[0]
    same = inner.op is _exp and inner.inputs[0] is x
    return OPS["transpose"](_quotient(x, axes), axes=(1, 0)) if same else None
