"""Curvature that is wrong: by occurrence, of the wrong matrix, of sums where squares are meant."""

from __future__ import annotations

from typing import Any

from subtensor.calculus.products import Lop, Rop
from subtensor.curvature.space import RowSpace
from subtensor.graph.nodes import Variable, call
from subtensor.ops.distinct import Runs
from subtensor.ops.gradient import disconnected_grad
from subtensor.ops.shape import length
from subtensor.optimizers.places import RowPlace
from subtensor_conformance.known_bad.catalogue import known_bad
from subtensor_conformance.known_bad.optimizers import instead, same


def _each_occurrence(good: Any, runs: Runs) -> Runs:
    return Runs(runs.ids, runs.order, call("arange", length(runs.ids, 0)), runs.ids[runs.order])


def _first_only(good: Any, place: RowPlace, rows: Variable) -> list[Variable]:
    found: list[Variable] = good(place, rows)
    runs = place.joined.runs
    if runs is None or len(found) > 1 or found[0].ndim != rows.ndim:
        return found
    first = call("zeros_like", runs.ids, "bool")[runs.order[runs.starts]].set(True)
    first = call("expand_dims", first, tuple(range(1, rows.ndim)))
    return [call("where", first, found[0], disconnected_grad(found[0]))]


def _hessian(good: Any, space: RowSpace, p: Any) -> list[Variable]:
    return space.hessian_vector_product(p)


def _without_loss(good: Any, space: RowSpace, p: Any) -> list[Variable]:
    total: list[Variable] = []
    for o in space.outputs:
        pushed = Rop(o, space.blocks, list(p))
        parts = Lop(o, space.blocks, pushed)
        total = [a + b for a, b in zip(total, parts, strict=True)] if total else list(parts)
    return total


def _squares_of_sums(good: Any, space: RowSpace) -> list[Variable]:
    return [g * g for g in space.gradient()]


def _wrong(name: str, fault: str, patch: Any, kinds: str = "value", tags: str = "") -> None:
    known_bad(name, fault, "curvature", kinds, same, tags, patch=patch)


_wrong("curvature-by-occurrence", "takes each occurrence of a row for a row of its own", instead(Runs, "once", _each_occurrence), "shape|error|value", "duplicates")  # fmt: skip
_wrong("curvature-of-first-occurrence", "holds all occurrences of a row but one fixed", instead(RowPlace, "occurrences", _first_only), tags="duplicates")  # fmt: skip
_wrong("hessian-for-gauss-newton", "multiplies by the Hessian where the Gauss-Newton matrix is meant", instead(RowSpace, "gauss_newton_vector_product", _hessian), tags="gauss-newton")  # fmt: skip
_wrong("gauss-newton-without-loss", "leaves the curvature of the loss out", instead(RowSpace, "gauss_newton_vector_product", _without_loss), tags="gauss-newton")  # fmt: skip
_wrong("squares-of-sums", "squares the sum over the occurrences of a row", instead(RowSpace, "squares", _squares_of_sums), tags="squares")  # fmt: skip
