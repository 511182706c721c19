"""What a graph costs: what each node reads, writes, allocates and computes, as polynomials in lengths.

The engine, ``explain``, warnings and profiles ask here, and nowhere else. What an op does is said by its own ``Cost``;
what it does not say follows from its kind:

- what only looks at memory (``ops.views``) costs nothing, and neither does a length;
- a read at positions reads what it selects; a write writes what it selects, and copies what it writes into unless it
  may overwrite it;
- a loop costs its body for each iteration;
- every other op reads its arguments, writes its result into new memory, and does one operation for each element.

``price`` makes one amount of the four, in nanoseconds of a processor that nobody has: what matters are the ratios,
which ``bench_costs.py`` holds against measurement.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from subtensor.errors import GraphError, counted
from subtensor.graph.cost import Cost, Factor, Term, arguments, parsed
from subtensor.graph.indexing import Index, Slice
from subtensor.graph.nodes import Variable, toposort_families
from subtensor.graph.polynomial import Atom, Order, Polynomial, compare, total
from subtensor.graph.shared import SharedVariable
from subtensor.ops.loop import is_loop, joined
from subtensor.ops.subtensor import get_op, inc_op, is_write
from subtensor.ops.views import VIEWS
from subtensor.rewrites.lengths import at_most, is_made_of, length_polynomial, polynomial
from subtensor.rewrites.shapes import is_zeros

NOTHING = Polynomial({})


@dataclass(frozen=True, slots=True)
class Work:
    """What is done. read, written, allocated: bytes. computed: operations, in units of an addition of two elements."""

    read: Polynomial = NOTHING
    written: Polynomial = NOTHING
    allocated: Polynomial = NOTHING
    computed: Polynomial = NOTHING

    def __add__(self, other: Work) -> Work:
        return Work(
            self.read + other.read,
            self.written + other.written,
            self.allocated + other.allocated,
            self.computed + other.computed,
        )

    def __mul__(self, times: Polynomial) -> Work:
        return Work(self.read * times, self.written * times, self.allocated * times, self.computed * times)

    @property
    def price(self) -> Polynomial:
        """One amount: about nanoseconds."""
        moved = (self.read + self.written + self.allocated) * _BYTE
        return moved + self.computed * _OPERATION


_BYTE, _OPERATION = 0.007, 0.02
CALL = 2500.0
"""What an op takes whatever it does, in the same unit as a price."""
IDLE = Work()


def elements(x: Variable) -> Polynomial:
    """How many elements x has."""
    product = Polynomial.of(1)
    for axis in range(x.ndim):
        product = product * length_polynomial(x, axis)
    return product


def size(x: Variable) -> Polynomial:
    """The bytes of x."""
    return elements(x) * _width(x)


def _width(x: Variable) -> int:
    return np.dtype(x.dtype).itemsize


def stored(x: Variable) -> Variable:
    """What lies in memory where x is looked at: of what was broadcast, the source."""
    while x.op is not None and x.op.name in _PLAIN_VIEWS:
        x = x.inputs[0]
    return x


_PLAIN_VIEWS = VIEWS - {"subtensor", "sum_to", "range_diagonal"}

# --- one node

_known: WeakKeyDictionary[Variable, Work] = WeakKeyDictionary()
_in_place: WeakKeyDictionary[Variable, Work] = WeakKeyDictionary()


def work_of(node: Variable, *, overwrites: bool = False) -> Work:
    """What computing a node from its inputs takes.

    overwrites: whether the result may lie in the memory of an argument, the one that is written into for a write.
    """
    known = _in_place if overwrites else _known
    found = known.get(node)
    if found is None:
        found = _work(node, overwrites=overwrites)
        if not any(is_made_of(p, node) for p in (found.read, found.written, found.computed)):
            known[node] = found
    return found


def _work(node: Variable, *, overwrites: bool) -> Work:
    op = node.op
    if op is None or op.name == "length":
        return IDLE
    if is_write(node):
        return _write_work(node, overwrites=overwrites)
    if op is get_op:
        return _read_work(node)
    if is_loop(node):
        return loop_work([node])
    if op.name == "einsum":
        return _contraction_work(node)
    usual = IDLE
    if op.name not in VIEWS:
        out = size(node)
        read = total(size(i) for i in map(stored, dict.fromkeys(node.inputs)))
        usual = Work(read, out, NOTHING if overwrites else out, elements(node))
    return usual if op.cost is None else _stated(node, op.cost, usual, overwrites=overwrites)


def _stated(node: Variable, cost: Cost, usual: Work, *, overwrites: bool) -> Work:
    assert node.op is not None
    names = arguments(node.op.infer)
    args: dict[str, Sequence[Variable]] = {name: [i] for name, i in zip(names, node.inputs, strict=False)}
    if len(node.inputs) >= len(names) and names:  # the last one may stand for several
        args[names[-1]] = node.inputs[len(names) - 1 :]
    args["out"] = [node]

    def amount(formula: str | None, default: Polynomial, *, bytes_: bool) -> Polynomial:
        if formula is None:
            return default
        return total(_term(t, args, node, bytes_=bytes_) for t in parsed(formula))

    return Work(
        amount(cost.reads, usual.read, bytes_=True),
        amount(cost.writes, usual.written, bytes_=True),
        NOTHING if overwrites else amount(cost.allocates, usual.allocated, bytes_=True),
        amount(cost.computes, usual.computed, bytes_=False),
    )


def _term(term: Term, args: Mapping[str, Sequence[Variable]], node: Variable, *, bytes_: bool) -> Polynomial:
    """A term of a formula. In bytes, the elements of the first tensor that is named are as wide as they are, else those
    of the result.
    """
    number, factors = term
    wide = next((f for f in factors if f.axis is None), None) if bytes_ else None
    product = Polynomial.of(number * (_width(node) if bytes_ and wide is None else 1))
    for f in factors:
        product = product * total(size(x) if f is wide else _length(f, x, node) for x in args[f.name])
    return product


def _length(f: Factor, x: Variable, node: Variable) -> Polynomial:
    if f.axis is None:
        return elements(x)
    if not -x.ndim <= f.axis < x.ndim:
        raise GraphError(
            f"op {str(node.op)!r}: its cost is in {f.name}.shape[{f.axis}], but {x.label} has {counted(x.ndim, 'axis')}"
        )
    return length_polynomial(x, range(x.ndim)[f.axis])


def _read_work(node: Variable) -> Work:
    index: Index = node.params["index"]
    if not any(node.inputs[1 + slot].ndim for _, slot in index.arrays):
        return IDLE
    out = size(node)
    positions = total(size(node.inputs[1 + slot]) for _, slot in index.arrays)
    return Work(out + positions, out, out, elements(node) * (_GATHER if _whole_rows(index) else _GATHER_ELEMENTS))


def _write_work(node: Variable, *, overwrites: bool) -> Work:
    index: Index = node.params["index"]
    x, y, *inputs = node.inputs
    chosen = selected(node)
    each = 2 if node.op is inc_op else 1
    if index.arrays:
        each = (_ADD_AT if node.op is inc_op else _PUT) * (1 if _whole_rows(index) else _ONE_BY_ONE)
    width = _width(x)
    read = size(stored(y)) + total(size(inputs[slot]) for _, slot in index.arrays)
    if node.op is inc_op:
        read = read + chosen * width
    work = Work(read, chosen * width, NOTHING, chosen * each)
    if overwrites:
        return work
    base = size(x)
    return work + Work(NOTHING if is_zeros(x) else base, base, base)


_GATHER, _GATHER_ELEMENTS = 2, 75
_ADD_AT, _PUT, _ONE_BY_ONE = 6, 3, 80


def _whole_rows(index: Index) -> bool:
    """Whether what an index selects lies together: its last axis is not indexed by an array."""
    return isinstance(index.parts[-1], Slice)


def selected(write: Variable) -> Polynomial:
    """How many elements a write writes. Where its value has a known length, that is also the length of the index."""
    x, y, *inputs = write.inputs
    read = get_op(x, *inputs, index=write.params["index"])
    product = Polynomial.of(1)
    for axis in range(read.ndim):
        at = axis - read.ndim + y.ndim
        known = length_polynomial(y, at).number if at >= 0 else None
        product = product * (length_polynomial(read, axis) if known in (None, 1) else known)
    return product


def _contraction_work(node: Variable) -> Work:
    """Of a binary ``einsum``: operations for every choice of all labels."""
    a, b = node.inputs
    terms = node.params["spec"].split("->")[0].split(",")
    counts: dict[str, Polynomial] = {}
    for x, term in zip((a, b), terms, strict=True):
        counts.update({label: length_polynomial(x, axis) for axis, label in enumerate(term)})
    product = Polynomial.of(_PRODUCT)
    for n in counts.values():
        product = product * n
    return Work(size(stored(a)) + size(stored(b)), size(node), size(node), product)


_PRODUCT = 1.5
"""Multiplying and adding, where several are done at a time."""


def loop_work(members: Sequence[Variable]) -> Work:
    """What a loop takes, of which all members are quantities: its body for each iteration, and the results."""
    call = joined(members)
    loop = call.loop
    after = dict(zip(loop.states, loop.following, strict=True))
    roots = [m.params["output"] for m in members] + [after[p] for p in call.values if p in after]
    each = total_work(graph_work([*roots, *([] if loop.stop is None else [loop.stop])]))
    out = total(map(size, members))
    return seen_from_outside(each, members) + Work(NOTHING, out, out)


def seen_from_outside(each: Work, members: Sequence[Variable]) -> Work:
    """What all iterations of a loop take of what each takes, in lengths that are known where the loop stands."""
    call = joined(members)

    def outside(d: Atom) -> Polynomial | None:
        if not isinstance(d, Variable) or d.op is None or d.op.name != "length" or d.inputs[0] not in call.values:
            return None
        p, axis = d.inputs[0], d.params["axis"]
        return length_polynomial(call.values[p], axis + (p in call.loop.sequences))

    times = polynomial(call.steps)
    return Work(*(p.bounded(outside) * times for p in (each.read, each.written, each.allocated, each.computed)))


# --- graphs


def graph_work(outputs: Iterable[Variable]) -> dict[Variable, Work]:
    """What each node of a graph takes; writes into what nothing else looks at overwrite it.

    What several nodes ask of one loop is computed once, for the first of them.
    """
    order, loops = toposort_families(list(outputs))
    uses: dict[Variable, int] = {}
    for node in order:
        for i in node.inputs:
            uses[i] = uses.get(i, 0) + 1
    works: dict[Variable, Work] = {}
    for node in order:
        if node in loops:
            works[node] = IDLE if any(m in works for m in loops[node]) else loop_work(loops[node])
        else:
            works[node] = work_of(node, overwrites=_overwrites(node, uses))
    return works


def _overwrites(node: Variable, uses: Mapping[Variable, int]) -> bool:
    if not is_write(node):
        return False
    base = node.inputs[0]
    return uses.get(base) == 1 and (is_write(base) or is_new(base) or isinstance(base, SharedVariable))


def is_new(x: Variable) -> bool:
    """Whether x lies in memory of its own."""
    return x.op is not None and (x.op.fresh or (x.op is get_op and any(i.ndim for i in x.inputs[1:])))


def total_work(works: Mapping[Variable, Work] | Iterable[Work]) -> Work:
    """The sum."""
    each = list(works.values() if isinstance(works, Mapping) else works)
    return Work(
        total(w.read for w in each),
        total(w.written for w in each),
        total(w.allocated for w in each),
        total(w.computed for w in each),
    )


def order(a: Polynomial, b: Polynomial) -> Order:
    """Whether a is less than b whatever the lengths are, with what is known of lengths: see ``Order``."""
    return compare(a, b, at_most)


__all__ = [
    "CALL",
    "IDLE",
    "NOTHING",
    "Order",
    "Work",
    "elements",
    "graph_work",
    "is_new",
    "loop_work",
    "order",
    "seen_from_outside",
    "selected",
    "size",
    "stored",
    "total_work",
    "work_of",
]
