"""Stable forms: the same mathematical value without overflow, underflow or cancellation."""

from __future__ import annotations

from subtensor.graph.nodes import OPS, Variable
from subtensor.ops.subtensor import get_op, inc_op
from subtensor.rewrites.engine import rule
from subtensor.rewrites.facts import same_index
from subtensor.rewrites.patterns import P, equation, letters
from subtensor.rewrites.shapes import fits_within, increments, is_increments, same_shape

STABLE = ("stable",)
x, y = letters("x y")


equation("log_of_softmax", P.log(P.softmax(x, axes="A")), P.log_softmax(x, axes="A"), keeps="stabilize", tags=STABLE)
equation("log_of_sigmoid", P.log(P.sigmoid(x)), -P.softplus(-x), keeps="stabilize", tags=STABLE)
equation("log_of_one_minus_sigmoid", P.log(1 - P.sigmoid(x)), -P.softplus(x), keeps="stabilize", tags=STABLE)
equation("log1p_of_minus_sigmoid", P.log1p(-P.sigmoid(x)), -P.softplus(x), keeps="stabilize", tags=STABLE)
equation("softplus_from_log1p", P.log1p(P.exp(x)), P.softplus(x), keeps="stabilize", tags=STABLE)
equation("softplus_from_log", P.log(P.exp(x) + 1), P.softplus(x), keeps="stabilize", tags=STABLE)
equation("logaddexp_from_log", P.log(P.exp(x) + P.exp(y)), P.logaddexp(x, y), keeps="stabilize", tags=STABLE)
equation("log1p_from_log", P.log(x + 1), P.log1p(x), keeps="stabilize", tags=STABLE)
equation("expm1_from_exp", P.exp(x) - 1, P.expm1(x), keeps="stabilize", tags=STABLE)
equation("sigmoid_of_minus", 1 - P.sigmoid(x), P.sigmoid(-x), keeps="stabilize", tags=STABLE)
equation("sigmoid_from_exp", 1 / (P.exp(-x) + 1), P.sigmoid(x), keeps="stabilize", tags=STABLE)
equation("sigmoid_of_minus_from_exp", 1 / (P.exp(x) + 1), P.sigmoid(-x), keeps="stabilize", tags=STABLE)
equation("sigmoid_from_ratio", P.exp(x) / (P.exp(x) + 1), P.sigmoid(x), keeps="stabilize", tags=STABLE)
equation("abs_from_sqrt", P.sqrt(x * x), P.abs(x), keeps="stabilize", tags=STABLE)
equation("log_of_exp", P.log(P.exp(x)), x, keeps="stabilize", tags=STABLE)


@rule("log_of_read_softmax", "log(softmax(x, A)[i]) = log_softmax(x, A)[i]", ["log"], keeps="stabilize", tags=STABLE)
def _log_of_read_softmax(node: Variable) -> Variable | None:
    read = node.inputs[0]
    squeezed = read.op is OPS["squeeze"]
    inner = read.inputs[0] if squeezed else read
    if inner.op is not get_op or inner.inputs[0].op is not OPS["softmax"]:
        return None
    p = inner.inputs[0]
    stable = get_op(OPS["log_softmax"](*p.inputs, **p.params), *inner.inputs[1:], **inner.params)
    return OPS["squeeze"](stable, **read.params) if squeezed else stable


def _over(node: Variable, p: Variable) -> Variable | None:
    """c, where `node` is ``c / p`` and p stretches no c."""
    fits = node.op is OPS["divide"] and node.inputs[1] is p and same_shape(node.inputs[0], p)
    return node.inputs[0] if fits else None


def _kept_sum(node: Variable) -> Variable | None:
    """z, where `node` is z summed with its axes kept."""
    if node.op is not OPS["expand_dims"] or node.inputs[0].op is not OPS["sum"]:
        return None
    total = node.inputs[0]
    return total.inputs[0] if total.params["axes"] == node.params["axes"] else None


def _sum_like(node: Variable, z: Variable) -> Variable:
    axes = node.params["axes"]
    return OPS["expand_dims"](OPS["sum"](z, axes=axes), axes=axes)


def _times(p: Variable, q: Variable) -> frozenset[Variable]:
    return frozenset((p, q))


@rule("gradient_of_log_softmax", "p * (c / p - sum(c / p * p)) = c - p * sum(c)", ["multiply"], keeps="stabilize",
      tags=STABLE, when="p is a softmax, which underflows to 0 but is not 0; c has its shape")  # fmt: skip
def _gradient_of_log_softmax(node: Variable) -> Variable | None:
    for p, rest in (node.inputs, node.inputs[::-1]):
        if p.op is not OPS["softmax"] or rest.op is not OPS["subtract"]:
            continue
        ratio, kept = rest.inputs
        c, total = _over(ratio, p), _kept_sum(kept)
        if c is None or total is None or total.op is not OPS["multiply"]:
            continue
        if _times(*total.inputs) == _times(ratio, p) and kept.params["axes"] == p.params["axes"]:
            return OPS["subtract"](c, OPS["multiply"](p, _sum_like(kept, c)))
    return None


def _picked(w: Variable, p: Variable) -> Variable | None:
    """c, where `w` is ``inc(0, c / p[i], i)``: the cotangent of p from a cost of ``log(p[i])``."""
    if not is_increments(w) or len(increments(w)[1]) != 1:
        return None
    ratio = w.inputs[1]
    if ratio.op is not OPS["divide"]:
        return None
    c, read = ratio.inputs
    here = read.op is get_op and read.inputs[0] is p and same_index(read, w)
    return c if here and fits_within(c, read) else None


@rule("gradient_of_picked_log_softmax",
      "p * (inc(0, c / p[i], i) - sum(inc(0, c / p[i] * p[i], i))) = inc(0, c, i) - p * sum(inc(0, c, i))",
      ["multiply"],
      keeps="stabilize", tags=STABLE, when="p is a softmax, which underflows to 0 but is not 0")  # fmt: skip
def _gradient_of_picked_log_softmax(node: Variable) -> Variable | None:
    for p, rest in (node.inputs, node.inputs[::-1]):
        if p.op is not OPS["softmax"] or rest.op is not OPS["subtract"]:
            continue
        w, kept = rest.inputs
        c, total = _picked(w, p), _kept_sum(kept)
        if c is None or total is None or kept.params["axes"] != p.params["axes"]:
            continue
        ratio = w.inputs[1]
        if not (is_increments(total) and same_index(total, w) and total.inputs[0] is w.inputs[0]):
            continue
        product = total.inputs[1]
        if product.op is not OPS["multiply"] or _times(*product.inputs) != _times(ratio, ratio.inputs[1]):
            continue
        increment = inc_op(w.inputs[0], c, *w.inputs[2:], index=w.params["index"])
        return OPS["subtract"](increment, OPS["multiply"](p, _sum_like(kept, increment)))
    return None
