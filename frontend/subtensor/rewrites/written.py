"""Reads of what was written: the rows of a table after a step, at the cost of the rows.

A read at j of ``inc(x, y, i)`` or ``set(x, y, i)`` finds, for each position in j, the places in i that are equal to it:
i is sorted once, and each position looked up in it. So rows of ids of any kind meet rows of ids of any other kind,
repeats included, and no table is made. Chains of writes are taken apart one by one, the last one first.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from subtensor.graph.constants import constant
from subtensor.graph.indexing import At, Index, Slice
from subtensor.graph.nodes import OPS, Constant, Input, Variable, call
from subtensor.graph.shared import SharedVariable
from subtensor.graph.types import INDEX
from subtensor.ops.distinct import Runs, row_numbers, run_starts
from subtensor.ops.shape import broadcast_to_dims, length, lengths, product, reshape
from subtensor.ops.subtensor import flatnonzero_op, get_op, inc_op, is_write, set_op
from subtensor.rewrites.axes import layout, rearranged, renumbered, taken_by
from subtensor.rewrites.conversions import distinct_write
from subtensor.rewrites.distinct_rows import is_masked
from subtensor.rewrites.engine import rule
from subtensor.rewrites.facts import index_inputs
from subtensor.rewrites.shapes import is_single, is_zeros
from subtensor.rewrites.uses import Uses

ROWS = ("rows",)


@dataclass(frozen=True)
class Meeting:
    """A write of rows and a read of some of them.

    axis: along which both select. written: (B,) row numbers. rows: (B, …), what was written, with that axis in front.
    read: the index of the read, and its inputs. at: row numbers that are read, of any shape; slot: where they stand
    among the inputs.
    """

    axis: int
    written: Variable
    rows: Variable
    index: Index
    inputs: tuple[Variable, ...]
    slot: int
    at: Variable

    def pick(self, table: Variable, places: Variable) -> Variable:
        """What the read selects from a table (S, …) at places in it, in place of rows of what was written into."""
        inputs = [places if k == self.slot else i for k, i in enumerate(self.inputs)]
        order = [*range(1, self.axis + 1), 0, *range(self.axis + 1, table.ndim)]
        back = call("transpose", table, order) if self.axis else table
        return get_op(back, *inputs, index=self.index)

    def beside(self, flags: Variable) -> Variable:
        """Flags of the shape of `at`, so that they broadcast to what the read selects."""
        block = self.index.array_ndim([i.ndim for i in self.inputs])
        return rearranged(flags, [("b", k) for k in range(block)], layout(self.index, self.inputs))

    @property
    def covered(self) -> bool:
        """Whether every row that is read surely was written."""
        wanted = _source(self.at)
        return any(s is wanted for s in _sources(self.written))

    def places(self, runs: Runs) -> Variable:
        """Where the rows that are read, all of which were written, stand among the distinct ones: at any mention."""
        if _source(runs.ids) is not _source(self.at):
            return _found(runs.values, self.at)
        places = runs.places
        return places if self.at.ndim == 1 else reshape(places, lengths(self.at))


def _found(ascending: Variable, at: Variable) -> Variable:
    """The first places at which elements stand, or would stand."""
    return OPS["searchsorted"](ascending, at, side="left")


def _source(ids: Variable) -> Variable:
    """The ids that row numbers are made of."""
    while ids.op is not None and (ids.op is row_numbers or ids.op.name in ("reshape", "assume_unique")):
        ids = ids.inputs[0]
    return ids


def _sources(ids: Variable) -> Iterator[Variable]:
    """All ids that surely are among row numbers: also where only the distinct ones are left."""
    ids = _source(ids)
    runs = runs_of(ids)
    if runs is not None:
        ids = _source(runs.ids)
    if ids.op is OPS["concatenate"]:
        for i in ids.inputs:
            yield _source(i)
    else:
        yield ids


def runs_of(ids: Variable) -> Runs | None:
    """The runs, of which ids are the values."""
    ids = ids.inputs[0] if ids.op is row_numbers else ids
    if ids.op is not get_op or len(ids.inputs) != 2 or ids.inputs[1].op is not run_starts:
        return None
    ordered, starts = ids.inputs
    if ordered.op is not get_op or len(ordered.inputs) != 2 or starts.inputs[0] is not ordered:
        return None
    numbers, order = ordered.inputs
    if order.op is not OPS["argsort"] or order.inputs[0] is not numbers:
        return None
    return Runs(numbers, order, starts, ids)


def _ascending(ids: Variable) -> bool:
    ids = ids.inputs[0] if ids.op is row_numbers else ids
    return ids.op is flatnonzero_op or (ids.op is OPS["arange"] and ids.inputs[2].known == 1)


def _meeting(write: Variable, read: Variable) -> Meeting | None:
    x, write_inputs = write.inputs[0], list(index_inputs(write))
    parts = [_positions(p, write_inputs, x.type.shape[axis]) for axis, p in enumerate(write.params["index"].parts)]
    where = [axis for axis, p in enumerate(parts) if p is not None]
    if len(where) != 1 or not all(
        p is not None or q.is_full for p, q in zip(parts, write.params["index"].parts, strict=True)
    ):
        return None
    (axis,) = where
    inputs = list(index_inputs(read))
    index: Index = read.params["index"]
    at = _positions(index.parts[axis], inputs, x.type.shape[axis])
    if at is None:
        return None
    if isinstance(index.parts[axis], Slice):
        if index.arrays:
            return None
        inputs.append(at)
        new = list(index.parts)
        new[axis] = At(len(inputs) - 1)
        index, inputs = renumbered(new, inputs)
    part = index.parts[axis]
    assert isinstance(part, At)
    ids = parts[axis]
    assert ids is not None
    n = length(x, axis)
    at = row_numbers(at, n)
    inputs[part.slot] = at
    return Meeting(
        axis,
        row_numbers(ids if ids.ndim == 1 else reshape(ids, (-1,)), n),
        _rows(write, axis, ids),
        index,
        tuple(inputs),
        part.slot,
        at,
    )


def _positions(part: At | Slice, inputs: list[Variable], n: int | None) -> Variable | None:
    """The positions that a part of an index selects; None for all, and for slices whose bounds are not known."""
    if isinstance(part, At):
        return inputs[part.slot]
    if part.refs or part.is_full or n is None:
        return None
    taken = taken_by(part, range(n))
    return call("arange", taken.start, taken.stop, taken.step) if len(taken) < n else None


def _rows(write: Variable, axis: int, ids: Variable) -> Variable:
    """The rows that a write writes, (B, …)."""
    x, y, *inputs = write.inputs
    read = get_op(x, *inputs, index=write.params["index"])
    wide = broadcast_to_dims(y, lengths(read))
    block = list(range(axis, axis + ids.ndim))
    front = call("transpose", wide, [*block, *(a for a in range(wide.ndim) if a not in block)])
    dims = lengths(front)
    if ids.ndim == 1:
        return front
    return reshape(front, [product(dims[: ids.ndim]), *dims[ids.ndim :]])


def _padded(rows: Variable) -> Variable:
    """Rows, and one of zeros behind them."""
    zero = broadcast_to_dims(constant(0, dtype=rows.dtype), [constant(1), *lengths(rows)[1:]])
    return call("concatenate", [rows, zero], 0)


_MINUS_ONE = constant([-1], dtype=INDEX)


def _stands_alone(write: Variable, uses: Uses) -> bool:
    """Whether all of a chain of writes would be made only to be read in part."""
    base = write
    while is_write(base):
        base = base.inputs[0]
    return (isinstance(base, SharedVariable | Input | Constant) or is_zeros(base)) and uses.only_in_part(write)


@rule("read_of_increments", "inc(x, y, i)[j] = x[j] + (sums of y over equal i)[j]", ["subtensor"], keeps="rounding",
      tags=ROWS, counted=True, priced=True,
      when="i and j select rows, along one axis; all of inc(x, y, i) is nowhere needed, unless in place")  # fmt: skip
def _read_of_increments(node: Variable, uses: Uses) -> Variable | None:
    write = node.inputs[0]
    if write.op is not inc_op or write.dtype == "bool" or not _stands_alone(write, uses):
        return None
    m = _meeting(write, node)
    if m is None:
        return None
    runs = runs_of(m.written)
    if (runs is not None and is_masked(write)) or (_ascending(m.written) and distinct_write(write)):
        values, sums = m.written, m.rows  # the first mention has it all
    else:
        runs = Runs.of(m.written)
        values, sums = runs.values, runs.sums(m.rows)
    if not m.covered:
        places = _found(values, m.at)
        found = call("equal", call("concatenate", [values, _MINUS_ONE], 0)[places], m.at)
        places, sums = call("where", found, places, length(values, 0)), _padded(sums)
    else:
        places = _found(values, m.at) if sums is m.rows or runs is None else m.places(runs)
    added = m.pick(sums, places)
    x = write.inputs[0]
    return added if is_zeros(x) else OPS["add"](_again(x, node), added)


@rule("read_of_rows_set", "set(x, y, i)[j] = y where the last i is j, else x[j]", ["subtensor"],
      tags=ROWS, counted=True, priced=True,
      when="i and j select rows, along one axis; all of set(x, y, i) is nowhere needed, unless in place")  # fmt: skip
def _read_of_rows_set(node: Variable, uses: Uses) -> Variable | None:
    write = node.inputs[0]
    if write.op is not set_op or not _stands_alone(write, uses):
        return None
    m = _meeting(write, node)
    if m is None:
        return None
    runs = runs_of(m.written)
    if runs is not None and m.covered:  # what is listed several times was written several times
        return m.pick(m.rows, m.places(runs))
    ascending = runs is not None or _ascending(m.written)
    order = None if ascending else call("argsort", m.written)
    ordered = m.written if order is None else m.written[order]
    behind = OPS["searchsorted"](ordered, m.at, side="right")
    if m.covered:
        last = behind - 1
        return m.pick(m.rows, last if order is None else order[last])
    found = call("equal", call("concatenate", [_MINUS_ONE, ordered], 0)[behind], m.at)
    last = behind - 1 if order is None else call("concatenate", [_MINUS_ONE, order], 0)[behind]
    value = write.inputs[1]
    if not is_single(value):
        value = m.pick(_padded(m.rows), call("where", found, last, length(m.rows, 0)))
    elif value.ndim:
        value = call("squeeze", value, tuple(range(value.ndim)))
    return OPS["where"](m.beside(found), value, _again(write.inputs[0], node))


def _again(x: Variable, read: Variable) -> Variable:
    """The same read of another tensor."""
    return get_op(x, *index_inputs(read), index=read.params["index"])
