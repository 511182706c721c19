"""The distinct rows among repeated ids, and sums over their occurrences: what optimizers with row state stand on.

A run is what equal ids are after sorting. ``run_starts`` lists each run at least once: backends whose shapes may
depend on values list each exactly once; the expansion, for backends with static shapes, lists it once for each
occurrence, with the same sums beside it. Therefore what is computed from runs is written with ``set_subtensor``, which
gives the same result in both cases, and what is summed over runs is masked by ``firsts``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from subtensor.graph.constants import constant
from subtensor.graph.cost import Cost
from subtensor.graph.indexing import out_of_bounds
from subtensor.graph.nodes import (
    DISCONNECTED,
    SPOKEN,
    ZERO,
    Argument,
    Cotangent,
    Length,
    Variable,
    call,
    define,
    describe,
)
from subtensor.graph.types import INDEX, TensorType
from subtensor.ops.elementwise import cast
from subtensor.ops.selection import summed_segments
from subtensor.ops.shape import broadcast_to_dims, length, lengths

_LARGEST = 2**63 - 1


@dataclass(frozen=True)
class Indexed:
    """What ids select, for messages: the subset and the table as the user spelt them, and the axis."""

    subset: str
    table: str
    axis: int


def _row_numbers_expand(ids: Variable, n: Variable, of: Indexed | None = None) -> Variable:
    if ids.dtype == "uint64":
        ids = call("minimum", ids, _LARGEST)
    wide = cast(ids, INDEX)
    within = broadcast_to_dims(constant(0, dtype=INDEX), [n])[ids]  # raises where they are not
    return call("where", wide < 0, wide + n, wide) + within


def _row_numbers_check(ids: Argument, n: Argument, of: Indexed | None = None) -> None:
    assert ids.known is not None
    assert n.known is not None
    size, values = int(n.known), ids.known
    wrong = (values >= size) | ((values < 0) & (values.astype("int64") < -size))
    if wrong.any():
        of = of or Indexed(ids.label, "the table", 0)
        raise out_of_bounds(of.subset, of.table, of.axis, size, ids.label, values, wrong)


row_numbers = define(
    "row_numbers",
    infer=lambda ids, n, of=None: ids.type.with_dtype(INDEX),
    vjp=lambda g, out, ids, n, of=None: [DISCONNECTED, DISCONNECTED],
    expand=_row_numbers_expand,
    check=_row_numbers_check,
    dims=lambda axis, ids, n, of=None: (ids, axis),
    cost=Cost(computes="75 * ids.size"),
)
"""``row_numbers(ids, n, of=…)``: ids as int64 in ``[0, n)``, negative ones wrapped; raises BoundsError out of range, in
which `of`, an ``Indexed``, is named."""


def _run_starts_expand(ordered: Variable) -> Variable:
    first = _changes(ordered)
    run = call("cumsum", cast(first, INDEX), 0) - 1
    positions = call("where", first, call("arange", length(ordered, 0)), 0)
    return summed_segments(positions, run, length(ordered, 0))[run]


run_starts = define(
    "run_starts",
    infer=lambda ordered: TensorType(INDEX, (None,)),
    vjp=lambda g, out, ordered: [DISCONNECTED],
    expand=_run_starts_expand,
    fresh=True,
    cost=Cost(computes="50 * ordered.size"),
)
"""``run_starts(ordered)``: where the runs of equal elements of an ascending vector start; ascending, each run at least
once, and no more often than it is long."""


def _changes(ascending: Variable) -> Variable:
    """Whether an element is the first of its run."""
    ones = call("ones_like", ascending[:1], "bool")
    return call("concatenate", [ones, call("not_equal", ascending[1:], ascending[:-1])], 0)


def _run_numbers(starts: Variable, order: Variable) -> Variable:
    """(B,): the number of the run, from 0, that each place in the order belongs to."""
    return call("cumsum", call("zeros_like", order)[starts].set(1), 0) - 1


def _run_sums_infer(x: Argument, order: Argument, starts: Argument) -> TensorType:
    return x.type.with_shape((starts.type.shape[0], *x.type.shape[1:]))


def _run_sums_expand(x: Variable, order: Variable, starts: Variable) -> Variable:
    run = _run_numbers(starts, order)
    return summed_segments(x[order], run, length(starts, 0))[run[starts]]


def _run_sums_vjp(g: Variable, out: Variable, x: Variable, order: Variable, starts: Variable) -> Sequence[Cotangent]:
    # each mention of a run passes its cotangent to every element of the run
    run = _run_numbers(starts, order)
    summed = summed_segments(g, run[starts], length(starts, 0))
    return [call("zeros_like", x)[order].set(summed[run]), DISCONNECTED, DISCONNECTED]


def _run_sums_dims(axis: int, x: Variable, order: Variable, starts: Variable) -> Length:
    return (starts, 0) if axis == 0 else (x, axis)


run_sums = define(
    "run_sums",
    infer=_run_sums_infer,
    vjp=_run_sums_vjp,
    expand=_run_sums_expand,
    dims=_run_sums_dims,
    fresh=True,
    cost=Cost(reads="x.size + order.size", computes="8 * x.size"),
)
"""``run_sums(x, order, starts)``: for each start, the sum of the rows ``x[order]`` over its run, in order."""


def _run_places_expand(order: Variable, starts: Variable) -> Variable:
    run = _run_numbers(starts, order)
    mentions = call("zeros_like", starts)[run[starts]].set(call("arange", length(starts, 0)))
    return call("zeros_like", order)[order].set(mentions[run])


run_places = define(
    "run_places",
    infer=lambda order, starts: order.type,
    vjp=lambda g, out, order, starts: [DISCONNECTED, DISCONNECTED],
    expand=_run_places_expand,
    dims=lambda axis, order, starts: (order, axis),
    fresh=True,
    cost=Cost(computes="75 * order.size"),
)
"""``run_places(order, starts)``: for each place before sorting, where its run stands among `starts`; where a run stands
there several times, any of its places."""


def firsts(starts: Variable) -> Variable:
    """Whether a start is the first mention of its run: true exactly once for each run."""
    return _changes(starts)


def _spread_expand(by_row: Variable, like: Variable) -> Variable:
    column = call("expand_dims", by_row, tuple(range(1, like.ndim)))
    return broadcast_to_dims(column, [length(by_row, 0), *lengths(like)[1:]])


def _spread_dims(axis: int, by_row: Variable, like: Variable) -> Length:
    return (by_row, 0) if axis == 0 else (like, axis)


spread_rows = define(
    "spread_rows",
    infer=lambda by_row, like: by_row.type.with_shape((by_row.type.shape[0], *like.type.shape[1:])),
    vjp=lambda g, out, by_row, like: [call("sum", g, tuple(range(1, g.ndim))) if g.ndim > 1 else g, ZERO],
    expand=_spread_expand,
    dims=_spread_dims,
    cost=Cost(reads="by_row.size", computes="0"),
)
"""``spread_rows(by_row, like)``: a number for each row, as often as rows of `like` are long: (S,) to (S, …)."""


@dataclass(frozen=True)
class Runs:
    """Ids grouped by value.

    ids: (B,) int64. order: (B,), sorts them. starts: (S,), see ``run_starts``. values: (S,), the ids at the starts,
    ascending.
    """

    ids: Variable
    order: Variable
    starts: Variable
    values: Variable

    @staticmethod
    def of(ids: Variable) -> Runs:
        order = call("argsort", ids)
        ordered = ids[order]
        starts = run_starts(ordered)
        return Runs(ids, order, starts, ordered[starts])

    def once(self) -> Runs:
        """The same with each run listed exactly once, on every backend; its number then depends on values."""
        starts = self.starts[call("flatnonzero", self.firsts)]
        return Runs(self.ids, self.order, starts, self.ids[self.order][starts])

    def sums(self, x: Variable) -> Variable:
        """x: (B, …), a row for each id; returns (S, …), the sums over equal ids."""
        return run_sums(x, self.order, self.starts)

    @property
    def firsts(self) -> Variable:
        """(S,) bool: true once for each distinct id."""
        return firsts(self.starts)

    @property
    def places(self) -> Variable:
        """(B,): for each id, where its value stands in ``values``."""
        return run_places(self.order, self.starts)


# --- in words


def distinct(ordered: Variable) -> str:
    """What the runs of sorted ids are called: ``distinct(ids)``."""
    return f"distinct({', '.join(_names(ordered))})"


def _names(x: Variable) -> list[str]:
    """What ids that were sorted, checked and joined are made of."""
    if (of := _sorted(x)) is not None:
        return _names(of)
    if x.op is row_numbers or (x.name is None and x.op is not None and x.op.name in ("reshape", "cast", "sort")):
        return _names(x.inputs[0])
    if x.op is not None and x.op.name == "concatenate" and x.name is None:
        return list(dict.fromkeys(name for i in x.inputs for name in _names(i)))
    return [describe(x)]


def _sorted(x: Variable) -> Variable | None:
    """The vector that ``x = vector[argsort(vector)]`` sorts."""
    if x.op is None or x.op.name != "subtensor" or len(x.inputs) != 2:
        return None
    vector, order = x.inputs
    sorts = order.op is not None and order.op.name == "argsort" and order.inputs[0] is vector
    return vector if sorts else None


def _spoken_read(node: Variable, depth: int) -> str | None:
    x = node.inputs[0]
    if len(node.inputs) == 2 and node.inputs[1].op is run_starts and node.inputs[1].inputs[0] is x:
        return distinct(x)
    return f"sort({', '.join(_names(node))})" if _sorted(node) is not None else None


SPOKEN["subtensor"] = _spoken_read
SPOKEN["row_numbers"] = lambda node, depth: describe(node.inputs[0], depth)
SPOKEN["run_starts"] = lambda node, depth: f"starts of {distinct(node.inputs[0])}"
SPOKEN["run_sums"] = lambda node, depth: (
    f"sums of {describe(node.inputs[0], depth - 1)} by {distinct(node.inputs[2].inputs[0])}"
    if node.inputs[2].op is run_starts
    else None
)
SPOKEN["run_places"] = lambda node, depth: (
    f"places in {distinct(node.inputs[1].inputs[0])}" if node.inputs[1].op is run_starts else None
)
SPOKEN["spread_rows"] = lambda node, depth: f"{describe(node.inputs[0], depth)} for each row"
SPOKEN["fitting_mask"] = lambda node, depth: describe(node.inputs[0], depth)
