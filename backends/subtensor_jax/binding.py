"""When a value is known: splitting a program where a shape depends on a value.

JAX compiles for fixed shapes. Lengths of arrays are known while a program is traced, and so is arithmetic on them; such
slots are *static*. Where a length, a bound of a slice or a number of elements comes from any other value, the program
is cut: the *stage* before computes the value, the host fetches it, and the next stage is compiled for what it says.

Each slot has the number of the stage that computes it. Instructions are put into the latest stage that their users
allow, so a program whose lengths come straight from its inputs has one stage that does anything.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from subtensor.graph.indexing import At, Bound, Index, Ref, Slice
from subtensor.ops.loop import STACK
from subtensor.program.linear import Instruction, Program

STATIC: Mapping[str, Callable[..., Any]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "floor_divide": np.floor_divide,
    "mod": np.mod,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "neg": np.negative,
    "abs": np.abs,
    "sign": np.sign,
    "less": np.less,
    "less_equal": np.less_equal,
    "equal": np.equal,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "invert": np.invert,
    "where": np.where,
    "cast": lambda x, dtype: np.asarray(x).astype(dtype),
    "copy": lambda x: x,
    "stack": lambda *xs: np.array(xs),
    "sum": lambda x, axes: np.add.reduce(x, axis=axes),
    "prod": lambda x, axes: np.multiply.reduce(x, axis=axes),
    "subtensor": lambda x, *inputs, index: np.asarray(x)[index.key(inputs)],
}
"""What may be computed while tracing, from lengths and constants: scalars, and vectors of a few of them."""

WRITES = ("set_subtensor", "inc_subtensor")
_SHAPED = ("reshape", "broadcast_to", "sum_to", "fitting_mask", "row_numbers", "random_bits", "random_unit")
"""Ops of an array and lengths."""


@dataclass(frozen=True, slots=True)
class Place:
    """A slice whose bounds are values.

    user: the output slot of the instruction that takes it, or ``-1 - n`` for write number n of the commits. axis: of
    the indexed tensor. source: slot of that tensor, whose length the host must know. bounds: start, stop and step,
    where a ``Ref`` is a slot of the program.
    """

    user: int
    axis: int
    source: int
    bounds: tuple[Bound, Bound, Bound]

    @property
    def slots(self) -> list[int]:
        return [b.slot for b in self.bounds if isinstance(b, Ref)]


class Positions(NamedTuple):
    """Positions on an axis, checked and wrapped by the host: they have a slot of this name.

    slot: of the argument that holds them as the caller gave them. length: of the axis.
    """

    slot: int
    length: int


@dataclass
class Stage:
    """What is computed in one go.

    instructions: for the device, or for the host before the device (`host`). known: slots of earlier stages whose
    values this one is compiled for. places: slices whose bounds are values.
    """

    instructions: list[Instruction] = field(default_factory=list)
    host: list[Instruction] = field(default_factory=list)
    known: list[int] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)


def is_hosted(i: Instruction, static: Sequence[bool], program: Program, inner: Binding | None) -> bool:
    """Whether a length depends on a value, so that the host computes the result. inner: of a loop's body."""
    if i.op.name == "flatnonzero":
        return program.known(i.args[0]) is None
    if i.op.name == "arange":
        return not all(static[a] for a in i.args)
    return inner is not None and len(inner.stages) > 1


def arrays_taken(i: Instruction) -> int:
    """How many of the first arguments are arrays; the others are lengths, which must be known."""
    if i.op.name in _SHAPED:
        return 1
    return 0 if i.op.name == "arange" else len(i.args)


def index_args(i: Instruction) -> tuple[Index, tuple[int, ...]] | None:
    """The index of an instruction that has one, and the slots of its inputs."""
    if i.op.name == "subtensor":
        return i.params["index"], i.args[1:]
    return (i.params["index"], i.args[2:]) if i.op.name in WRITES else None


class Binding:
    """The stages of a program.

    stages: in order. stage: for each slot, the number of the stage in which it is computed (0 for leaves). static: for
    each slot, whether it is known while tracing. writes: all writes of the commits, with the slot of their variable.
    prepares: whether the host checks and wraps positions where it can (see ``positions``). given: inputs that are known
    while tracing. inner: of the bodies of loops, by slot.
    """

    def __init__(self, program: Program, *, prepares: bool = False, given: Collection[int] = ()) -> None:
        self.program = program
        self.prepares = prepares
        self.given = given
        self.lengths = [v.type.shape for v in (*program.inputs, *program.shared, *program.constants)]
        self.leaves = program.first_constant + len(program.constants)
        self.made = {o: i for i in program.instructions for o in i.outs}
        self.writes = [(program.first_shared + c.shared, w) for c in program.commits for w in c.writes]
        self.static = self._static()
        self.inner = {i.out: self._inner(i) for i in program.instructions if i.repeat is not None}
        self.hosted = {i.out for i in program.instructions if is_hosted(i, self.static, program, self.inner.get(i.out))}
        self.earliest = self._earliest()
        self.stage = self._latest()
        self.stages = self._stages()

    # --- what is known while tracing

    def _static(self) -> list[bool]:
        program = self.program
        static = [k in self.given for k in range(program.first_constant)] + [True] * len(program.constants)
        for i in program.instructions:
            if i.repeat is not None:
                static += [False for _ in i.outs]
                continue
            scalar = i.type.ndim == 0 or (i.type.ndim == 1 and i.op.name == "stack")
            computed = i.op.name in STATIC and scalar and all(static[a] for a in i.args)
            static.append(i.op.name == "length" or computed)
        return static

    def _inner(self, i: Instruction) -> Binding:
        """Of the body of a loop: scalars that do not change and are known here are known there."""
        assert i.repeat is not None
        assert i.body is not None
        first = i.repeat.sequences + i.repeat.states
        args = i.args[i.repeat.first : i.repeat.taken]
        scalars = [k for k in range(first, len(args)) if not i.body.types[k].ndim and self.static[args[k]]]
        return Binding(i.body, given=frozenset(scalars))

    def _loop_demands(self, i: Instruction) -> tuple[list[int], list[int], list[Place]]:
        how = i.repeat
        assert how is not None
        steps, *others = i.args[: how.taken]
        is_known = self.static[steps] or any(r.kind == STACK for r in how.results)
        known = [steps] if is_known else []
        given = self.inner[i.out].given
        known += [others[how.limited + k] for k in given]
        traced = [a for k, a in enumerate(others) if k - how.limited not in given]
        return (traced if is_known else [steps, *traced]), known, []

    def _places(self, user: int, index: Index, inputs: Sequence[int], source: int) -> list[Place]:
        """The slices of an index whose bounds are not static."""
        found = []
        for axis, part in enumerate(index.parts):
            if not isinstance(part, Slice) or all(self.static[inputs[r.slot]] for r in part.refs):
                continue
            start, stop, step = (
                Ref(inputs[b.slot]) if isinstance(b, Ref) else b for b in (part.start, part.stop, part.step)
            )
            found.append(Place(user, axis, source, (start, stop, step)))
        return found

    def demands(self, i: Instruction) -> tuple[list[int], list[int], list[Place]]:
        """What an instruction needs: slots traced, slots known, slices with bounds that are values."""
        if i.repeat is not None:
            return self._loop_demands(i)
        indexed = index_args(i)
        if indexed is None:
            n = arrays_taken(i)
            return [] if self.positions(i) else list(i.args[:n]), list(i.args[n:]), []
        index, inputs = indexed
        return self._index_demands(i.out, index, inputs, i.args[0], i.args[: len(i.args) - len(inputs)])

    def _index_demands(
        self, user: int, index: Index, inputs: Sequence[int], source: int, others: Sequence[int]
    ) -> tuple[list[int], list[int], list[Place]]:
        places = self._places(user, index, inputs, source)
        dynamic = {p.axis for p in places}
        traced = [
            *others,
            *(
                inputs[p.slot]
                for axis, p in enumerate(index.parts)
                if isinstance(p, At) and not self._prepared(inputs[p.slot], self._length(source, axis))
            ),
        ]
        known = [
            inputs[r.slot]
            for axis, p in enumerate(index.parts)
            if isinstance(p, Slice) and axis not in dynamic
            for r in p.refs
        ]
        return traced, known, places

    def write_demands(self, number: int) -> tuple[list[int], list[int], list[Place]]:
        slot, w = self.writes[number]
        return self._index_demands(-1 - number, w.index, w.inputs, slot, [slot, w.value])

    # --- positions that the host prepares

    def _length(self, source: int, axis: int) -> int | None:
        """The length of an axis of a leaf, if it never changes."""
        return self.lengths[source][axis] if source < self.leaves else None

    def _prepared(self, slot: int, length: int | None) -> list[Positions]:
        """Positions on an axis: one, if they are an argument of the call and the length never changes."""
        given = self.prepares and slot < self.program.first_shared
        return [Positions(slot, length)] if given and length is not None else []

    def positions(self, i: Instruction) -> list[Positions]:
        """What the host prepares for an instruction."""
        if i.op.name == "row_numbers":
            length = self.program.known(i.args[1])
            return self._prepared(i.args[0], None if length is None else int(length))
        indexed = index_args(i)
        return [] if indexed is None else self._positions(*indexed, i.args[0])

    def write_positions(self, number: int) -> list[Positions]:
        """What the host prepares for a write of the commits."""
        slot, w = self.writes[number]
        return self._positions(w.index, w.inputs, slot)

    def _positions(self, index: Index, inputs: Sequence[int], source: int) -> list[Positions]:
        found: list[Positions] = []
        for axis, p in enumerate(index.parts):
            if isinstance(p, At):
                found += self._prepared(inputs[p.slot], self._length(source, axis))
        return found

    def all_positions(self) -> list[Positions]:
        """Everything that the host prepares."""
        found = [p for i in self.program.instructions for p in self.positions(i)]
        found += [p for number in range(len(self.writes)) for p in self.write_positions(number)]
        return list(dict.fromkeys(found))

    # --- the earliest stage of each slot

    def _after(self, traced: Sequence[int], known: Sequence[int], places: Sequence[Place], early: list[int]) -> int:
        stage = max((early[a] for a in traced), default=0)
        for k in known:
            stage = max(stage, early[k] + (not self.static[k]))
        for p in places:
            stage = max(stage, early[p.source] + (p.source >= self.leaves))
            stage = max([stage, *(early[b] + 1 for b in p.slots)])
        return stage

    def _earliest(self) -> list[int]:
        early = [0] * self.leaves
        for i in self.program.instructions:
            if i.out in self.hosted:
                stage = 1 + max((early[a] for a in i.args), default=0)
            else:
                stage = self._after(*self.demands(i), early)
            early += [stage for _ in i.outs]
        return early

    # --- the latest, given where the results are needed

    def _latest(self) -> list[int]:
        program, early = self.program, self.earliest
        last = max(early, default=0)
        for number in range(len(self.writes)):
            last = max(last, self._after(*self.write_demands(number), early))
        self.last = last
        late = [last] * len(early)

        def need(stage: int, traced: Sequence[int], known: Sequence[int], places: Sequence[Place]) -> None:
            for a in traced:
                late[a] = min(late[a], stage)
            for k in known:
                # what is static, but can only be read off in an earlier stage, is fetched like any value
                late[k] = min(late[k], stage if self.static[k] else stage - 1)
            for p in places:
                if p.source >= self.leaves:
                    late[p.source] = min(late[p.source], stage - 1)
                for b in p.slots:
                    late[b] = min(late[b], stage - 1)

        for number in range(len(self.writes)):
            need(last, *self.write_demands(number))
        for i in reversed(program.instructions):
            stage = min(late[o] for o in i.outs)
            for o in i.outs:
                late[o] = stage
            if i.out in self.hosted:
                for a in i.args:
                    late[a] = min(late[a], stage - 1)
            else:
                need(stage, *self.demands(i))
        for slot in range(self.leaves):
            late[slot] = 0
        return late

    # --- the stages

    def _stages(self) -> list[Stage]:
        stages = [Stage() for _ in range(self.last + 1)]
        known: list[dict[int, None]] = [{} for _ in stages]
        for i in self.program.instructions:
            stage = stages[self.stage[i.out]]
            if i.out in self.hosted:
                stage.host.append(i)
                continue
            stage.instructions.append(i)
            _, demanded, places = self.demands(i)
            stage.places += places
            for k in demanded:
                self._know(k, self.stage[i.out], known)
        for number in range(len(self.writes)):
            _, demanded, places = self.write_demands(number)
            stages[-1].places += places
            for k in demanded:
                self._know(k, self.last, known)
        for stage, slots in zip(stages, known, strict=True):
            stage.known = list(slots)
        return stages

    def _know(self, slot: int, stage: int, known: list[dict[int, None]]) -> None:
        """Enter what the host must fetch so that `slot` is known while `stage` is traced."""
        if self.program.known(slot) is not None:
            return
        if slot < self.leaves or self.stage[slot] < stage or not self.static[slot]:
            known[stage][slot] = None
        elif self.made[slot].op.name != "length":
            for a in self.made[slot].args:
                self._know(a, stage, known)
