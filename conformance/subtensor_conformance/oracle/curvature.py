"""A cost in coordinates of distinct rows, and its curvature there, by differences.

A coordinate is an element of a row that a parameter selects, or of a variable that is a parameter as a whole. Moving one
moves every occurrence of its row in every parameter, and nothing else that is read from the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from subtensor_conformance.oracle import calculus, subset
from subtensor_conformance.oracle.nodes import Context, Leaf, Node, apply, as_node, looking_inside
from subtensor_conformance.oracle.values import Array, make, size, wide

Numbers: TypeAlias = Sequence[float]
Coordinate: TypeAlias = tuple[Leaf, int]
"""A variable, and a position in it."""


@dataclass
class _Block:
    """A variable, and the parameters that select rows of it; none where it is one as a whole."""

    table: Leaf
    subsets: list[Node] = field(default_factory=list)

    def places(self, node: Node, context: Context) -> tuple[int, ...]:
        """For each element of a subset, where it stands in the table."""
        shape = context.value(self.table).shape
        return subset.places(node, shape, {k: context.value(k) for k in subset.spelled(node)[2]})

    @property
    def lead(self) -> int:
        """How many axes number rows."""
        return subset.leading(self.subsets[0]) if self.subsets else 0

    def rows(self, context: Context) -> list[int]:
        """The numbers of the distinct rows, ascending; of a whole variable, 0."""
        if not self.subsets:
            return [0]
        shape = context.value(self.table).shape
        long = size(shape[self.lead :])
        return sorted({p // long for node in self.subsets for p in self.places(node, context)})

    def shape(self, context: Context) -> tuple[int, ...]:
        shape = context.value(self.table).shape
        return (len(self.rows(context)), *shape[self.lead :]) if self.subsets else shape

    def coordinates(self, context: Context) -> list[Coordinate]:
        shape = context.value(self.table).shape
        long = size(shape[self.lead :])
        return [(self.table, r * long + k) for r in self.rows(context) for k in range(long)]


class RowSpace:
    """What ``st.curvature.row_space`` gives."""

    def __init__(self, cost: Node, params: Any, outputs: Any = None) -> None:
        self.cost = cost
        self.outputs = [] if outputs is None else [outputs] if isinstance(outputs, Node) else list(outputs)
        found: dict[Leaf, _Block] = {}
        for p in [params] if isinstance(params, Node) else params:
            table = p if isinstance(p, Leaf) else subset.spelled(p)[0]
            assert isinstance(table, Leaf)
            block = found.setdefault(table, _Block(table))
            if p is not table:
                block.subsets.append(p)
        self._blocks = list(found.values())

    # --- the cost where coordinates are moved

    def _coordinates(self, context: Context) -> list[Coordinate]:
        return [c for b in self._blocks for c in b.coordinates(context)]

    def _moved(self, context: Context, change: Mapping[Coordinate, float]) -> Context:
        changes: dict[Node, Array] = {}
        for b in self._blocks:
            for node in b.subsets or [b.table]:
                old = context.value(node)
                where = b.places(node, context) if b.subsets else range(len(old.data))
                new = [float(v) + change.get((b.table, k), 0.0) for v, k in zip(old.data, where, strict=True)]
                changes[node] = Array(old.dtype, old.shape, tuple(new))
        return context.where(changes)

    def _along(self, context: Context, p: Numbers, f: Callable[[Context], Numbers]) -> list[float]:
        """The derivative of f at the coordinates along p."""
        at = self._coordinates(context)
        return calculus.slope(lambda t: f(self._moved(context, {c: t * d for c, d in zip(at, p, strict=True)})))

    def _each(self, context: Context, f: Callable[[Context], Numbers]) -> list[list[float]]:
        """The derivative of f with respect to each coordinate."""
        n = len(self._coordinates(context))
        return [self._along(context, [float(i == k) for i in range(n)], f) for k in range(n)]

    def _slope(self, context: Context) -> list[float]:
        return [d for (d,) in self._each(context, lambda c: [float(v) for v in c.value(self.cost).data])]

    def _curved(self, context: Context, p: Numbers) -> list[float]:
        """The Hessian times p."""
        return self._along(context, p, self._slope)

    def _predicted(self, context: Context) -> list[float]:
        return [float(v) for o in self.outputs for v in context.value(o).data]

    def _gauss_newton(self, context: Context, p: Numbers) -> list[float]:
        """JᵀHJ p, H the Hessian of the cost over the outputs, held to be all that it depends on."""
        pushed = self._along(context, p, self._predicted)

        def slope(c: Context) -> list[float]:
            each = []
            for o in self.outputs:
                each += calculus.gradient_of(c, self.cost, o)
            return each

        def moved(t: float) -> list[float]:
            changes, rest = {}, iter(pushed)
            for o in self.outputs:
                old = context.value(o)
                changes[o] = Array(old.dtype, old.shape, tuple(float(v) + t * next(rest) for v in old.data))
            return slope(context.where(changes))

        u = calculus.slope(moved)
        return [sum(a * b for a, b in zip(column, u, strict=True)) for column in self._each(context, self._predicted)]

    # --- as nodes

    def _node(self, what: str, args: Sequence[Node], rule: Callable[[Context], Array]) -> Node:
        def widely(context: Context) -> Array:
            with wide():
                found = rule(context)
            return make(found.dtype, found.shape, found.data)

        variables = [n for b in self._blocks for n in (b.table, *b.subsets)]
        return apply(
            looking_inside(widely), [self.cost, *self.outputs, *variables, *args], ("curvature", id(self), what)
        )

    def _dtype(self, context: Context) -> str:
        return context.value(self.cost).dtype

    def _split(self, what: str, args: Sequence[Node], found: Callable[[Context], Numbers]) -> list[Node]:
        """Numbers by coordinate as blocks."""

        def part(number: int, block: _Block) -> Callable[[Context], Array]:
            def rule(context: Context) -> Array:
                start = sum(len(b.coordinates(context)) for b in self._blocks[:number])
                shape = block.shape(context)
                return Array(self._dtype(context), shape, tuple(found(context)[start : start + size(shape)]))

            return rule

        return [self._node(f"{what} {k}", args, part(k, b)) for k, b in enumerate(self._blocks)]

    @property
    def rows(self) -> list[Node | None]:
        def numbers(b: _Block) -> Callable[[Context], Array]:
            def rule(context: Context) -> Array:
                rows = tuple(b.rows(context))
                return Array("int64", (len(rows),), rows)

            return rule

        return [self._node(f"rows {k}", (), numbers(b)) if b.subsets else None for k, b in enumerate(self._blocks)]

    @property
    def blocks(self) -> list[Node]:
        return self._split("blocks", (), lambda c: [float(c.value(t).data[k]) for t, k in self._coordinates(c)])

    def flat(self) -> Node:
        return self._vector("flat", lambda c: [float(c.value(t).data[k]) for t, k in self._coordinates(c)])

    def _vector(self, what: str, found: Callable[[Context], Numbers]) -> Node:
        def rule(context: Context) -> Array:
            data = tuple(found(context))
            return Array(self._dtype(context), (len(data),), data)

        return self._node(what, (), rule)

    def gradient(self) -> list[Node]:
        return self._split("gradient", (), self._slope)

    def squares(self) -> list[Node]:
        def found(context: Context) -> list[float]:
            total = dict.fromkeys(self._coordinates(context), 0.0)
            for b in self._blocks:
                for node in b.subsets or [b.table]:
                    where = b.places(node, context) if b.subsets else range(len(context.value(node).data))
                    for k, d in zip(where, calculus.gradient_of(context, self.cost, node), strict=True):
                        total[b.table, k] += d * d
            return list(total.values())

        return self._split("squares", (), found)

    def hessian_vector_product(self, p: Sequence[Any]) -> list[Node]:
        return self._product("hessian product", p, self._curved)

    def gauss_newton_vector_product(self, p: Sequence[Any]) -> list[Node]:
        return self._product("gauss newton product", p, self._gauss_newton)

    def _product(self, what: str, p: Sequence[Any], times: Callable[[Context, Numbers], Numbers]) -> list[Node]:
        given = [as_node(x) for x in p]
        return self._split(what, given, lambda c: times(c, [float(v) for x in given for v in c.value(x).data]))

    def hessian(self) -> Node:
        return self._matrix("hessian", self._curved)

    def gauss_newton(self) -> Node:
        return self._matrix("gauss newton", self._gauss_newton)

    def _matrix(self, what: str, times: Callable[[Context, Numbers], Numbers]) -> Node:
        def rule(context: Context) -> Array:
            n = len(self._coordinates(context))
            columns = [times(context, [float(i == k) for i in range(n)]) for k in range(n)]
            return Array(self._dtype(context), (n, n), tuple(columns[j][i] for i in range(n) for j in range(n)))

        return self._node(what, (), rule)


def row_space(cost: Node, params: Any, outputs: Any = None) -> RowSpace:
    """The cost in coordinates of the distinct rows that params select, and of the variables among them."""
    return RowSpace(cost, params, outputs)
