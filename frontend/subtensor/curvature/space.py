"""A cost in coordinates of distinct rows, in which curvature is what it is.

A table row that a batch names three times is one set of coordinates, not three: a Newton step computed by occurrence
and applied three times overshoots. Rows that the batch does not name are no coordinates at all: over the whole table
they make every curvature matrix singular.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from subtensor.calculus.grad import grad
from subtensor.calculus.jacobians import jacobian
from subtensor.calculus.products import gauss_newton_vector_product, hessian_vector_product
from subtensor.errors import OptimizerError
from subtensor.graph.constants import as_tensor, constant
from subtensor.graph.nodes import Variable, call, replace
from subtensor.ops.loop import map_rows
from subtensor.ops.shape import length, lengths, product, reshape
from subtensor.optimizers.places import Place, RowPlace, resolve


class RowSpace:
    """A cost as a function of blocks of coordinates: made by ``row_space``.

    blocks: for each table of which the parameters are subsets, its distinct rows, (K, …); each variable that is a
    parameter as a whole. rows: for each block the row numbers, (K,) int64, or None for a whole variable: ascending
    where ids may repeat, else as they were selected. places: where the blocks lie. cost, outputs: written in the
    blocks, so that derivatives with respect to them count every occurrence.
    """

    def __init__(self, cost: Any, params: Any, outputs: Any = None) -> None:
        nodes, places = resolve(params, once=True)
        self.places: list[Place] = [p for p, _ in places]
        self._given = cost = as_tensor(cost)
        self._parameters = (nodes, [positions for _, positions in places])
        self.blocks = [p.read(p.shared) for p in self.places]
        self.rows = [_numbers(p) for p in self.places]
        mapping: dict[Variable, Variable] = {}
        for place, block in zip(self.places, self.blocks, strict=True):
            if isinstance(place, RowPlace):
                mapping.update(zip((s.node for s in place.subsets), place.occurrences(block), strict=True))
        given = list(outputs) if isinstance(outputs, Iterable) and not isinstance(outputs, Variable) else [outputs]
        given = [] if outputs is None else given
        for node in given:
            if not isinstance(node, Variable):
                raise OptimizerError(f"outputs holds {node!r}; expected nodes through which the cost depends on params")
        self.cost, *self.outputs = replace([cost, *given], mapping)

    def at(self, changes: Sequence[Variable]) -> Variable:
        """The cost where `changes` are added to the blocks."""
        moved = {b: b + c for b, c in zip(self.blocks, changes, strict=True)}
        return replace([self.cost], moved)[0]

    def gradient(self) -> list[Variable]:
        """One block of derivatives for each block."""
        found: list[Variable] = grad(self.cost, self.blocks, add_names=False)
        return found

    def squares(self) -> list[Variable]:
        """Sums of squared derivatives over the occurrences of each row; of a whole variable, the squared derivative.

        Of all derivatives that a batch has these tell best, without more passes, how much each coordinate is curved.
        """
        nodes, positions = self._parameters
        gradients = grad(self._given, nodes, add_names=False)
        results = []
        for place, at in zip(self.places, positions, strict=True):
            own = [gradients[i] for i in at]
            if isinstance(place, RowPlace):
                parts = [s.gradient(g) for s, g in zip(place.subsets, own, strict=True)]
                parts = [g * g for g in parts]
                joined = parts[0] if len(parts) == 1 else call("concatenate", parts, 0)
                results.append(joined if place.joined.runs is None else place.joined.runs.sums(joined))
            else:
                results.append(own[0] * own[0])
        return results

    def hessian_vector_product(self, p: Sequence[Any]) -> list[Variable]:
        """The Hessian times p, a block for each block."""
        found: list[Variable] = hessian_vector_product(self.cost, self.blocks, list(p))
        return found

    def gauss_newton_vector_product(self, p: Sequence[Any]) -> list[Variable]:
        """The Gauss-Newton matrix of the cost over `outputs` times p, a block for each block."""
        found: list[Variable] = gauss_newton_vector_product(self.cost, self.outputs, self.blocks, list(p))
        return found

    def flat(self, blocks: Sequence[Variable] | None = None) -> Variable:
        """Blocks as one vector (n,), n the number of all coordinates; the coordinates themselves by default."""
        return _joined([reshape(b, (-1,)) for b in (self.blocks if blocks is None else blocks)], 0)

    def hessian(self) -> Variable:
        """(n, n): the second derivatives, in the order of ``flat``. For small n."""
        return self._jacobian(self.flat(self.gradient()))

    def gauss_newton(self) -> Variable:
        """(n, n): JᵀHJ, J the derivatives of `outputs`, H the Hessian of the cost over them. For small n."""
        sizes = [product(lengths(o)) for o in self.outputs]
        jac = self._jacobian(_joined([reshape(o, (-1,)) for o in self.outputs], 0))  # (M, n)

        def curved(column: Variable) -> Variable:
            parts: list[Variable] = []
            at: Variable = constant(0)
            for o, size in zip(self.outputs, sizes, strict=True):
                own = column if len(self.outputs) == 1 else column[at : at + size]
                parts.append(reshape(own, lengths(o)))
                at = at + size
            products = hessian_vector_product(self.cost, self.outputs, parts)
            return _joined([reshape(p, (-1,)) for p in products], 0)

        rows = call("transpose", jac)
        return rows @ call("transpose", map_rows(curved, rows, [length(jac, 0)]))

    def _jacobian(self, expression: Variable) -> Variable:
        parts = jacobian(expression, self.blocks, disconnected_inputs="ignore")
        return _joined([reshape(p, [length(p, 0), product(lengths(p)[1:])]) for p in parts], 1)


def _joined(parts: Sequence[Variable], axis: int) -> Variable:
    return parts[0] if len(parts) == 1 else call("concatenate", parts, axis)


def _numbers(place: Place) -> Variable | None:
    if not isinstance(place, RowPlace):
        return None
    runs = place.joined.runs
    return place.joined.ids if runs is None else runs.values


def row_space(cost: Any, params: Any, outputs: Any = None) -> RowSpace:
    """`cost` in coordinates of the distinct rows that `params` select, and of the variables among them as a whole.

    cost: a float scalar. params: as for an optimizer: shared variables and subsets of their rows, each read in the
    graph of the cost. outputs: for Gauss-Newton: nodes through which the cost depends on the parameters, convexly.
    Raises NotASubsetError and UpdateError as optimizers do.
    """
    return RowSpace(cost, params, outputs)
