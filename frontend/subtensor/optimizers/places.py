"""Where an optimizer writes: a shared variable as a whole, or distinct rows of one.

A parameter is a shared variable or a subset of one that selects rows. All subsets of one table in one call make one
place: their ids are joined, and the gradients of equal rows are summed before anything else happens to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from subtensor.calculus.grad import grad
from subtensor.errors import NotASubsetError, UpdateError
from subtensor.graph.constants import as_tensor, constant
from subtensor.graph.indexing import At, Index, Ref, Slice
from subtensor.graph.nodes import Constant, Variable, call
from subtensor.graph.shared import SharedVariable
from subtensor.graph.types import HALVES, INDEX, is_float
from subtensor.ops.distinct import Indexed, Runs, row_numbers, spread_rows
from subtensor.ops.elementwise import cast
from subtensor.ops.raveling import raveled, unraveled
from subtensor.ops.shape import broadcast_dims_of, broadcast_to_dims, length, lengths, product, reshape
from subtensor.ops.subtensor import get_op
from subtensor.optimizers.halves import carried_back

CARRIED = ("reshape", "transpose", "expand_dims", "squeeze", "cast")
"""Ops between a subset and its table's indexing that a gradient is carried back through."""


@dataclass(frozen=True)
class Subset:
    """A parameter that selects rows.

    param: what the user gave. node: the indexing itself. table: what it indexes. keys: row numbers, one int64 vector
    for each of the leading axes that are indexed, not yet wrapped. distinct: whether no row can occur twice.
    """

    param: Variable
    node: Variable
    table: SharedVariable
    keys: tuple[Variable, ...]
    distinct: bool

    @property
    def ids(self) -> tuple[Variable, ...]:
        """``keys`` as the user gave them: of any shape, not yet broadcast."""
        index: Index = self.node.params["index"]
        return tuple(self.node.inputs[1 + slot] for _, slot in index.arrays) or self.keys

    def numbers(self) -> tuple[Variable, ...]:
        """``keys``, wrapped."""
        table = self.table.label
        spelled = self.node.params["index"].spell([i.label for i in self.node.inputs[1:]])
        dims = lengths(self.table)[: len(self.keys)]
        return _vectors(
            [
                row_numbers(ids, dim, of=Indexed(f"{table}[{spelled}]", table, axis))
                for axis, (ids, dim) in enumerate(zip(self.ids, dims, strict=True))
            ]
        )

    def gradient(self, g: Variable) -> Variable:
        """The gradient of ``param`` as (B, …): a row for each selected row, in order."""
        if self.node.dtype in HALVES:
            g = carried_back(self.param, self.node, g)
        elif self.param is not self.node:
            g = grad(None, self.node, known_grads={self.param: g}, add_names=False)
        return reshape(g, [length(self.keys[0], 0), *lengths(self.table)[len(self.keys) :]])


def subset_of(param: Any) -> Subset | None:
    """A parameter as a subset of a shared variable's rows; None for a shared variable itself.

    Raises NotASubsetError for anything else, DTypeError where there is nothing to differentiate.
    """
    if not isinstance(param, Variable):
        raise NotASubsetError(f"params holds {param!r}; expected shared variables and subsets of their rows")
    node = param
    while node.op is not None and node.op.name in CARRIED:
        node = node.inputs[0]
    if isinstance(param, SharedVariable):
        _check_float(param)
        return None
    if isinstance(node, SharedVariable):
        raise NotASubsetError(
            f"params holds {param.label}, a rearrangement of {node.label}; give {node.label} itself, or a subset of it"
        )
    if node.op is not get_op:
        raise NotASubsetError(
            f"params holds {param.label}, which is neither a shared variable nor a subset of one; expected table or "
            "table[ids]"
        )
    table = node.inputs[0]
    if not isinstance(table, SharedVariable):
        raise NotASubsetError(
            f"params holds {param.label}, which indexes {table.label}, not a shared variable; index the shared "
            "variable directly, once"
        )
    _check_float(table)
    keys, distinct = _keys(node, table)
    return Subset(param, node, table, keys, distinct)


def _check_float(s: SharedVariable) -> None:
    if not is_float(s.dtype):
        raise NotASubsetError(f"params holds {s.label}, which is {s.dtype}; only floats can be trained")


def row_keys(node: Variable) -> tuple[tuple[Variable, ...], bool] | None:
    """The row numbers that an indexing selects, and whether they are distinct; None where it does not select rows."""
    index: Index = node.params["index"]
    table, *inputs = node.inputs
    leading = 0
    while leading < len(index.parts) and isinstance(index.parts[leading], At):
        leading += 1
    if any(isinstance(p, At) or not p.is_full for p in index.parts[max(leading, 1) :]):
        return None
    if leading:
        arrays = [inputs[slot] for _, slot in index.arrays]
        return _vectors(arrays), leading == 1 and _surely_distinct(arrays[0], table)
    part = index.parts[0]
    assert isinstance(part, Slice)
    return (_slice_positions(part, inputs, length(table, 0), length(node, 0)),), True


def _keys(node: Variable, table: SharedVariable) -> tuple[tuple[Variable, ...], bool]:
    found = row_keys(node)
    if found is None:
        raise NotASubsetError(
            f"params holds {node.label}, which selects parts of rows of {table.label}; state is kept by row: "
            f"expected {table.label}[ids], a slice or a mask of the first axis (or arrays on the first axes), with all "
            "other axes whole"
        )
    return found


def _vectors(arrays: Sequence[Variable]) -> tuple[Variable, ...]:
    """Arrays of an index, broadcast together, as vectors."""
    if len(arrays) == 1:
        return (arrays[0] if arrays[0].ndim == 1 else reshape(arrays[0], (-1,)),)
    dims = broadcast_dims_of(*arrays)
    return tuple(reshape(broadcast_to_dims(a, dims), (-1,)) for a in arrays)


def _surely_distinct(ids: Variable, table: Variable) -> bool:
    if ids.ndim == 0 or (ids.op is not None and ids.op.name == "flatnonzero"):
        return True
    if isinstance(ids, Constant) and table.type.shape[0] is not None:
        values = np.asarray(ids.data).ravel().astype(np.int64)
        return len(np.unique(np.where(values < 0, values + table.type.shape[0], values))) == len(values)
    return False


def _slice_positions(part: Slice, inputs: Sequence[Variable], n: Variable, count: Variable) -> Variable:
    """The positions that a slice of an axis of length n selects."""

    def bound(b: int | Ref | None) -> Variable | None:
        return None if b is None else cast(inputs[b.slot], INDEX) if isinstance(b, Ref) else constant(b)

    step = bound(part.step)
    if step is None:
        step = constant(1)
    start = bound(part.start)
    backwards = step < 0
    if start is None:
        first = call("where", backwards, n - 1, 0)
    else:
        wrapped = call("where", start < 0, start + n, start)
        first = call("clip", wrapped, call("where", backwards, -1, 0), call("where", backwards, n - 1, n))
    return first + step * call("arange", count)


class Place:
    """A shared variable that is updated as a whole.

    lead: how many axes of what ``read`` gives number rows. name: for state variables.
    """

    def __init__(self, shared: SharedVariable, name: str, lead: int | None = None) -> None:
        self.shared = shared
        self.name = name
        self.lead = (1 if shared.ndim > 1 else 0) if lead is None else lead
        self.state_lead = self.lead
        self.gradient: Variable = shared  # set by ``take_gradient``
        self.held: Variable | None = None
        self.value: Variable | None = None  # what a step writes, in the dtype of the variable; set by the assembly

    def hold(self, held: Variable) -> None:
        """Rows that neither move nor get state, and whose gradients count for nothing. held: bool, (S,)."""
        self.held = held
        self.gradient = call("where", self.spread(held, self.gradient), 0, self.gradient)

    def kept(self, x: Variable, value: Variable) -> Variable:
        """`value`, in which rows that are held are what `x` has there."""
        if self.held is None:
            return value
        old = self.read(x)
        return call("where", self.held if old.ndim == 1 else self.spread(self.held, old), old, value)

    def take_gradient(self, gradients: Sequence[Variable]) -> None:
        (self.gradient,) = gradients

    def read(self, x: Variable) -> Variable:
        """The part of the variable, or of a state variable beside it, that takes part in the step."""
        return x

    def written(self, x: Variable, value: Variable) -> Variable:
        """The new value of `x` in which ``read(x)`` is `value`."""
        return self.kept(x, value)

    def put(self, x: Variable, value: Variable) -> Variable:  # noqa: ARG002  # that of rows needs it
        """``written``, for rows that are held, too."""
        return value

    def added(self, x: Variable, change: Variable) -> Variable:
        """The new value of `x` in which `change` is added to ``read(x)``."""
        return self.written(x, x + change)

    def spread(self, by_row: Variable, like: Variable) -> Variable:
        """A number for each row, in the shape of the rows `like`."""
        if self.lead == 1:
            return spread_rows(by_row, like)
        return call("expand_dims", by_row, tuple(range(self.lead, like.ndim))) if like.ndim > self.lead else by_row

    def row_squares(self, g: Variable) -> Variable:
        """The sum of squares of each row."""
        if self.lead == 1 and g.ndim > 1:
            flat = g if g.ndim == 2 else reshape(g, [length(g, 0), product(lengths(g)[1:])])
            return call("einsum", "ij,ij->i", flat, flat)
        axes = self.row_axes(g)
        return call("sum", g * g, axes) if axes else g * g

    def mean_square(self, g: Variable) -> Variable:
        """The mean of the squares of each row."""
        return self.row_squares(g) / cast(product([length(g, axis) for axis in self.row_axes(g)]), g.dtype)

    def row_axes(self, x: Variable) -> tuple[int, ...]:
        return tuple(range(self.lead, x.ndim))

    def norm_axes(self, x: Variable) -> tuple[int, ...]:
        """The axes of what is measured as one, where a rule takes norms: a row of a table, or a whole variable."""
        return tuple(range(x.ndim))

    def square_sum(self, g: Variable) -> Variable:
        """The sum of squares over all rows, each counted once."""
        return call("sum", g * g)


class DensePlace(Place):
    """A whole table, of which the parameters are subsets: the dense optimizer, O(table)."""

    def __init__(self, subsets: Sequence[Subset], name: str) -> None:
        super().__init__(subsets[0].table, name, len(subsets[0].keys))
        self.subsets = subsets

    def norm_axes(self, x: Variable) -> tuple[int, ...]:
        return self.row_axes(x)

    def take_gradient(self, gradients: Sequence[Variable]) -> None:
        total = call("zeros_like", self.shared, "float32" if self.shared.dtype in HALVES else self.shared.dtype)
        for subset, g in zip(self.subsets, gradients, strict=True):
            total = call("inc_subtensor", total[subset.keys], subset.gradient(g))
        self.gradient = total


@dataclass
class _Joined:
    """The ids of all subsets of a table, as one vector of numbers."""

    ids: Variable
    keys: tuple[Variable, ...]
    runs: Runs | None
    counts: list[Variable] = field(default_factory=list)


class RowPlace(Place):
    """The distinct rows that subsets of one table select. Everything costs O(rows selected)."""

    def __init__(
        self, subsets: Sequence[Subset], name: str, *, once: bool = False, others: Sequence[Place] = ()
    ) -> None:
        """once: list each row exactly once on every backend; see ``ops.distinct``.

        others: places made before for the same step; where one has the same ids and as many rows, its work is shared.
        """
        table = subsets[0].table
        super().__init__(table, name, 1)
        self.subsets = subsets
        self.state_lead = len(subsets[0].keys)
        alike = (p for p in others if isinstance(p, RowPlace) and p._asked == self._asked)  # noqa: SLF001  # its own class
        found = next(alike, None)
        self.joined: _Joined = self._join(once) if found is None else found.joined
        self.keys = self.joined.keys

    def norm_axes(self, x: Variable) -> tuple[int, ...]:
        return self.row_axes(x)

    @property
    def _asked(self) -> Any:
        """What ``joined`` depends on."""
        return [s.ids for s in self.subsets], lengths(self.shared)[: self.state_lead]

    def _join(self, once: bool) -> _Joined:
        table, lead = self.shared, self.state_lead
        dims = lengths(table)[:lead]
        numbers = []
        for s in self.subsets:
            wrapped = s.numbers()
            numbers.append(wrapped[0] if lead == 1 else raveled(wrapped, dims))
        ids = numbers[0] if len(numbers) == 1 else call("concatenate", numbers, 0)
        counts = [length(n, 0) for n in numbers]
        if len(numbers) == 1 and self.subsets[0].distinct:
            return _Joined(ids, (ids,), None, counts)
        runs = Runs.of(ids).once() if once else Runs.of(ids)
        keys = (runs.values,) if lead == 1 else tuple(unraveled(runs.values, dims))
        return _Joined(ids, keys, runs, counts)

    def take_gradient(self, gradients: Sequence[Variable]) -> None:
        parts = [s.gradient(g) for s, g in zip(self.subsets, gradients, strict=True)]
        g = parts[0] if len(parts) == 1 else call("concatenate", parts, 0)
        self.gradient = g if self.joined.runs is None else self.joined.runs.sums(g)

    def read(self, x: Variable) -> Variable:
        return x[self.keys]

    def written(self, x: Variable, value: Variable) -> Variable:
        return self.put(x, self.kept(x, value))

    def put(self, x: Variable, value: Variable) -> Variable:
        return call("set_subtensor", x[self.keys], value)

    def added(self, x: Variable, change: Variable) -> Variable:
        if self.joined.runs is None and self.held is None:
            return call("inc_subtensor", x[self.keys], change)
        return self.written(x, self.read(x) + change)

    def square_sum(self, g: Variable) -> Variable:
        squares = self.row_squares(g)
        if self.joined.runs is not None:
            squares = call("where", self.joined.runs.firsts, squares, 0)
        return call("sum", squares)

    def occurrences(self, rows: Variable) -> list[Variable]:
        """Values by row, (S, …), given out to the subsets: each in the shape of its indexing."""
        runs = self.joined.runs
        every = rows if runs is None else rows[runs.places]
        results: list[Variable] = []
        at: Variable = constant(0)
        for s, n in zip(self.subsets, self.joined.counts, strict=True):
            part = every if len(self.subsets) == 1 else every[at : at + n]
            at = at + n
            results.append(reshape(part, lengths(s.node)))
        return results


def resolve(
    params: Any, *, dense: bool = False, once: bool = False
) -> tuple[list[Variable], list[tuple[Place, list[int]]]]:
    """The parameters, and the places that they make, each with the positions of its parameters.

    Raises NotASubsetError for what is no parameter, UpdateError for one that is given twice or in two ways.
    """
    if not isinstance(params, Iterable):
        raise NotASubsetError(f"params is {params!r}; expected shared variables and subsets of their rows, in a list")
    nodes = [params] if isinstance(params, Variable) else list(params)
    seen: dict[Variable, list[tuple[int, Subset | None]]] = {}
    for position, param in enumerate(nodes):
        if any(param is p for p in nodes[:position]):
            raise UpdateError(f"params holds {as_tensor(param).label} twice; expected each parameter once")
        subset = subset_of(param)
        table = param if subset is None else subset.table
        seen.setdefault(table, []).append((position, subset))
    places: list[tuple[Place, list[int]]] = []
    taken: set[str] = set()
    for number, (table, entries) in enumerate(seen.items()):
        assert isinstance(table, SharedVariable)
        name = base = table.name or f"param{number}"
        while name in taken:
            name = f"{base}#{number}"
            number += 1  # noqa: PLW2901  # the next free number
        taken.add(name)
        others = [p for p, _ in places]
        places.append((_place(table, [s for _, s in entries], name, dense, once, others), [p for p, _ in entries]))
    return nodes, places


def _place(
    table: SharedVariable, subsets: Sequence[Subset | None], name: str, dense: bool, once: bool, others: Sequence[Place]
) -> Place:
    rows = [s for s in subsets if s is not None]
    if not rows:
        return Place(table, name)
    if len(rows) < len(subsets):
        raise UpdateError(
            f"params holds {table.label} as a whole and {rows[0].param.label}, a part of it; expected one or the other"
        )
    if len({len(s.keys) for s in rows}) > 1:
        raise UpdateError(
            f"params holds subsets of {table.label} that select rows along different numbers of axes; expected one"
        )
    return DensePlace(rows, name) if dense else RowPlace(rows, name, once=once, others=others)
