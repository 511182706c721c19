"""Logarithms of probabilities, differentiated at once.

Step by step, the pullback of ``log(s)`` divides by s and that of a sigmoid multiplies by ``s * (1 - s)``: where s has
reached 0 or 1 in floating point this is ``inf * 0``. The product is ``1 - s``, which is finite. Programs for the peers
are written so, and rely on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from subtensor.graph.constants import constant
from subtensor.graph.nodes import Variable, call
from subtensor.graph.reverse import SHORTCUTS
from subtensor.ops.elementwise import add, divide, exp, neg, subtract
from subtensor.ops.nn import log_softmax_op, softmax_op
from subtensor.ops.shape import broadcast_to_dims, lengths
from subtensor.ops.special import sigmoid
from subtensor.ops.subtensor import get_op, inc_op

Wanted = Callable[[Variable], bool]
Past = tuple[Variable, Variable]


def _is_one(x: Variable) -> bool:
    return x.known is not None and x.ndim == 0 and bool(x.known == 1)


def _logistic(s: Variable) -> tuple[Variable, int, list[Variable]] | None:
    """``(u, sign, between)`` where s is ``1 / (1 + exp(-sign * u))``: a sigmoid, or the formula written out."""
    if s.op is sigmoid:
        return s.inputs[0], 1, []
    if s.op is not divide or not _is_one(s.inputs[0]) or s.inputs[1].op is not add:
        return None
    below = s.inputs[1]
    for one, e in (below.inputs, below.inputs[::-1]):
        if _is_one(one) and e.op is exp and e.type == s.type:
            return e.inputs[0], -1, [below, e]
    return None


def _past_sigmoid(g: Variable, path: Sequence[Variable], side: int, is_wanted: Wanted) -> Past | None:
    """``log(s)`` (side 1) or ``log(1 - s)`` (side -1): derivatives ``1 - s`` and ``-s``, times u's sign."""
    s = path[-1]
    found = _logistic(s)
    if found is None or s.type != path[0].type:
        return None
    u, sign, between = found
    if any(map(is_wanted, (*path, *between))):
        return None
    slope = 1 - s if side > 0 else s
    return u, g * slope if side == sign else -g * slope


def _past_softmax(g: Variable, path: Sequence[Variable], is_wanted: Wanted) -> Past | None:
    """``log(softmax(x))``, or of a read of it: what ``log_softmax`` pulls back."""
    p = path[-1]
    if p.op is not softmax_op or any(map(is_wanted, path)):
        return None
    (x,) = p.inputs
    if len(path) == 2:
        zero = broadcast_to_dims(constant(0, dtype=g.dtype), lengths(p))
        g = inc_op(zero, g, *path[0].inputs[1:], index=path[0].params["index"])
    (to_x,) = log_softmax_op.vjp(g, call("log_softmax", x, p.params["axes"]), x, **p.params)
    assert isinstance(to_x, Variable)
    return x, to_x


def _past_log(node: Variable, g: Variable, is_wanted: Wanted) -> Past | None:
    (x,) = node.inputs
    if x.op is softmax_op:
        return _past_softmax(g, [x], is_wanted)
    if x.op is get_op and x.inputs[0].op is softmax_op:
        return _past_softmax(g, [x, x.inputs[0]], is_wanted)
    if x.op is subtract and _is_one(x.inputs[0]):
        return _past_sigmoid(g, [x, x.inputs[1]], -1, is_wanted)
    return _past_sigmoid(g, [x], 1, is_wanted)


def _past_log1p(node: Variable, g: Variable, is_wanted: Wanted) -> Past | None:
    (x,) = node.inputs
    return _past_sigmoid(g, [x, x.inputs[0]], -1, is_wanted) if x.op is neg else None


SHORTCUTS["log"] = _past_log
SHORTCUTS["log1p"] = _past_log1p
