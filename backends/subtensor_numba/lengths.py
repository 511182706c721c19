"""Which axes of a program's slots have the same length.

A compiled loop runs over one length for all that it holds. Few lengths are known before a call, so equality is assumed
wherever an op would have its arguments' lengths equal or broadcast, as if nothing but lengths that are 1 for certain
were broadcast. A kernel checks on each call what was assumed; where it does not hold, NumPy's path is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from subtensor.program.linear import Instruction, Program, Write
from subtensor_numba.scalars import ELEMENTWISE, handles

Place: TypeAlias = tuple[int, int]
"""A slot, and one of its axes."""

ONE: Place = (-1, -1)
"""Stands for an axis of length 1: its only position is 0."""

VIEWS = frozenset({"copy", "expand_dims", "squeeze", "transpose", "broadcast_to", "fixed_shape", "spread_rows"})
"""Ops whose result has the elements of the first argument. The result of ``copy`` is stored, as are all that leave."""

REDUCTIONS = frozenset({"sum", "max", "min", "prod"})


class Lengths:
    """The axes of slots, and which of the instructions can go row by row: `fitting` holds their results."""

    def __init__(
        self, program: Program, candidates: Iterable[Instruction], writes: Sequence[tuple[int, Write]] = ()
    ) -> None:
        self.program = program
        self.made = {o: i for i in program.instructions for o in i.outs}
        self.parent: dict[Place, Place] = {}
        self.known: dict[Place, int] = {}
        rest = list(candidates)
        while True:  # a length that turns out to be that of two axes of one slot refuses the slot's instruction
            self.parent, self.known = {}, {}
            self.fitting = {i.out: i for i in rest if self._relate(i)}
            self.writes = [w for w in writes if self.same_in(w)]
            kept = [i for i in self.fitting.values() if all(self._is_clear(s) for s in (*self.taken(i), i.out))]
            if len(kept) == len(self.fitting):
                return
            rest = kept

    def taken(self, i: Instruction) -> Sequence[int]:
        """The arguments that a loop reads: not those that only give lengths."""
        if i.op.name in ("sum_to", "broadcast_to", "spread_rows"):
            return i.args[:1]
        return i.args

    def axes(self, slot: int) -> tuple[Place, ...]:
        """For each axis of a slot what stands for its length: equal where the lengths are."""
        return tuple(
            ONE if d == 1 else self.find((slot, axis)) for axis, d in enumerate(self.program.types[slot].shape)
        )

    def length(self, of: Place) -> int | None:
        """The length that a class of axes has, where it is known before a call."""
        return self.known.get(self.find(of)) if of != ONE else 1

    # --- what instructions do with axes

    def is_view(self, i: Instruction) -> bool:
        """Whether an instruction only shows the elements of its first argument in another arrangement."""
        return i.op.name in VIEWS or (i.op.name == "sum_to" and not self._summed_axes(i))

    def is_reduction(self, i: Instruction) -> bool:
        """Whether an instruction sums over axes, or the like."""
        if i.op.name == "einsum":
            return bool(self.summed(i))
        return i.op.name in REDUCTIONS or (i.op.name == "sum_to" and bool(self._summed_axes(i)))

    def is_total(self, i: Instruction) -> bool:
        """Whether an instruction sums over rows."""
        return i.op.name != "einsum" and self.is_reduction(i) and 0 in self._summed_axes(i)

    def summed(self, i: Instruction) -> tuple[Place, ...]:
        """The axes that a reduction sums over."""
        if i.op.name == "einsum":
            *terms, out = einsum_terms(i)
            labels = {
                label: place
                for t, a in zip(terms, i.args, strict=True)
                for label, place in zip(t, self.axes(a), strict=True)
            }
            return tuple(place for label, place in labels.items() if label not in out)
        axes = self.axes(i.args[0])
        return tuple(axes[k] for k in self._summed_axes(i))

    def _summed_axes(self, i: Instruction) -> tuple[int, ...]:
        if i.op.name != "sum_to":
            axes: tuple[int, ...] = i.params["axes"]
            return axes
        x, out = self.program.types[i.args[0]], i.type
        shift = x.ndim - out.ndim
        lead = tuple(range(shift))
        return lead + tuple(k for k in range(shift, x.ndim) if out.shape[k - shift] == 1 and x.shape[k] != 1)

    # --- which are equal

    def find(self, place: Place) -> Place:
        """What stands for the length of an axis."""
        parent = self.parent
        if place not in parent:
            parent[place] = place
            d = self.program.types[place[0]].shape[place[1]]
            if d is not None:
                self.known[place] = d
            return place
        root = place
        while parent[root] != root:
            root = parent[root]
        while parent[place] != root:
            parent[place], place = root, parent[place]
        return root

    def same(self, pairs: Iterable[tuple[Place, Place]]) -> bool:
        """Note that axes have equal lengths; False, and nothing noted, where they cannot."""
        pairs = list(pairs)
        trial: dict[Place, int] = {}
        for a, b in pairs:
            known = {
                n for p in (a, b) for n in (self.known.get(self.find(p)), trial.get(self.find(p))) if n is not None
            }
            if len(known) > 1:
                return False
            trial.update({self.find(p): n for p in (a, b) for n in known})
        for a, b in pairs:
            x, y = self.find(a), self.find(b)
            if x != y:
                if y < x:
                    x, y = y, x
                self.parent[y] = x
                if y in self.known:
                    self.known[x] = self.known.pop(y)
        return True

    def same_in(self, written: tuple[int, Write]) -> bool:
        """Note the lengths that a write of rows has equal."""
        table, w = written
        types, ids = self.program.types, w.inputs[0]
        n = types[ids].ndim
        places = [(ids, k) for k in range(n)] + [(table, k) for k in range(1, types[table].ndim)]
        shift = len(places) - types[w.value].ndim
        if shift < 0:
            return False
        pairs = [((w.value, k), places[k + shift]) for k in range(types[w.value].ndim) if not self._is_one(w.value, k)]
        if any(self._is_one(*p) for _, p in pairs) or self._is_one(ids, 0):
            return False
        return self.same(pairs)

    def _is_clear(self, slot: int) -> bool:
        axes = [a for a in self.axes(slot) if a != ONE]
        return len(set(axes)) == len(axes)

    def _relate(self, i: Instruction) -> bool:
        pairs = self._pairs(i)
        return pairs is not None and self.same(pairs)

    def _is_one(self, slot: int, axis: int) -> bool:
        return self.program.types[slot].shape[axis] == 1

    def _aligned(self, slot: int, axes: Iterable[int], to: int) -> list[tuple[Place, Place]] | None:
        """Axes of a slot beside those of another, in order; None where an axis of 1 meets one that may be longer."""
        pairs = []
        for out_axis, axis in enumerate(axes):
            if self._is_one(slot, axis) != self._is_one(to, out_axis):
                return None
            if not self._is_one(slot, axis):
                pairs.append(((slot, axis), (to, out_axis)))
        return pairs

    def _pairs(self, i: Instruction) -> list[tuple[Place, Place]] | None:
        """The axes whose lengths an instruction has equal; None for one that cannot go row by row."""
        name, types, out = i.op.name, self.program.types, i.out
        x = i.args[0]
        ndim = types[x].ndim
        if not all(handles(types[a].dtype) for a in (*self.taken(i), out)):
            return None
        if name in ELEMENTWISE:
            pairs: list[tuple[Place, Place]] = []
            for a in i.args:
                shift = types[out].ndim - types[a].ndim
                pairs += [((a, k), (out, k + shift)) for k in range(types[a].ndim) if not self._is_one(a, k)]
            return None if any(self._is_one(*place) for _, place in pairs) else pairs
        if name == "spread_rows":
            pairs = [((i.args[1], k), (out, k)) for k in range(types[out].ndim) if not self._is_one(i.args[1], k)]
            return None if self._is_one(x, 0) else [*pairs, ((x, 0), (out, 0))]
        if name == "subtensor":
            ids = i.args[1] if len(i.args) == 2 else x
            if not i.params["index"].selects_rows or not types[ids].ndim or types[ids].dtype in ("uint64", "bool"):
                return None
            n = types[ids].ndim
            first = self._aligned(ids, range(n), out)
            pairs = [((x, k), (out, n + k - 1)) for k in range(1, ndim) if not self._is_one(x, k)]
            return None if first is None or any(self._is_one(*p) for _, p in pairs) else [*first, *pairs]
        if name in REDUCTIONS:
            return self._aligned(x, [k for k in range(ndim) if k not in i.params["axes"]], out)
        if name == "expand_dims":
            new = {k % types[out].ndim for k in i.params["axes"]}
            kept = [k for k in range(types[out].ndim) if k not in new]
            return [((x, a), (out, b)) for a, b in enumerate(kept) if not self._is_one(x, a)]
        if name == "squeeze":
            gone = {k % ndim for k in i.params["axes"]}
            if not all(self._is_one(x, k) for k in gone):
                return None
            return self._aligned(x, [k for k in range(ndim) if k not in gone], out)
        if name == "transpose":
            return self._aligned(x, i.params["axes"], out)
        if name in ("fixed_shape", "copy"):
            return [((x, k), (out, k)) for k in range(ndim) if not self._is_one(x, k) and not self._is_one(out, k)]
        if name in ("broadcast_to", "sum_to"):
            return self._stretched(i)
        if name == "einsum":
            return self._contracted(i)
        if name == "run_sums":
            pairs = [((x, k), (out, k)) for k in range(1, ndim) if not self._is_one(x, k)]
            _, order, starts = i.args
            if self._is_one(x, 0) or self._is_one(out, 0) or self._is_one(order, 0) or self._is_one(starts, 0):
                return None
            return [*pairs, ((x, 0), (order, 0)), ((out, 0), (starts, 0))]
        return None

    def _contracted(self, i: Instruction) -> list[tuple[Place, Place]] | None:
        """``einsum`` with a row of the result for each row of the arguments; others are matrix products."""
        a, b, out = einsum_terms(i)
        if not out or not (a[:1] == b[:1] == out[0]):
            return None
        first: dict[str, Place] = {}
        pairs: list[tuple[Place, Place]] = []
        for term, slot in ((out, i.out), (a, i.args[0]), (b, i.args[1])):
            for axis, label in enumerate(term):
                place = first.setdefault(label, (slot, axis))
                if self._is_one(*place) != self._is_one(slot, axis):
                    return None
                if place != (slot, axis) and not self._is_one(slot, axis):
                    pairs.append((place, (slot, axis)))
        return None if self._is_one(i.out, 0) else pairs

    def _stretched(self, i: Instruction) -> list[tuple[Place, Place]] | None:
        """``broadcast_to`` and ``sum_to``: lengths that are read off other slots."""
        types, x, out = self.program.types, i.args[0], i.out
        pairs: list[tuple[Place, Place]] = []
        for axis, slot in enumerate(i.args[1:]):
            if self._is_one(out, axis):
                continue
            of = self.made.get(slot)
            if self.program.known(slot) is None:
                if of is None or of.op.name != "length":
                    return None
                source = (of.args[0], of.params["axis"])
                if self._is_one(*source):
                    return None
                pairs.append(((out, axis), source))
        shift = types[out].ndim - types[x].ndim
        for axis in range(types[x].ndim):
            to = axis + shift
            if to < 0 or self._is_one(x, axis) or (i.op.name == "sum_to" and self._is_one(out, to)):
                continue
            if self._is_one(out, to):
                return None
            pairs.append(((x, axis), (out, to)))
        if i.op.name == "sum_to" and any(self._is_one(x, k - shift) != self._is_one(out, k)
                                         for k in range(types[out].ndim) if not self._is_one(out, k)):  # fmt: skip
            return None
        return pairs


def einsum_terms(i: Instruction) -> tuple[str, str, str]:
    """The labels of both arguments and of the result of ``einsum``."""
    terms, out = i.params["spec"].split("->")
    a, b = terms.split(",")
    return a, b, out
