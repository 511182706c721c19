"""Programs as something that runs: stages one after the other, then the commit.

The last stage and the writes of the commits are one jitted function (``_Fused``): the tables that are written to are
donated, and a flag, whether every position is in range, chooses between the written tables and the old ones. Where XLA
would copy a table for that, or where variables exchange values, the writes are a jitted function of their own, which is
called when the flag has been read (``_Split``). Positions that are arguments of the call are checked by the host before
all that (``positions``), and a call whose shapes are known takes a shorter way (``quick``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import chain, starmap
from operator import attrgetter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from subtensor.graph.cells import Cell, Holder, commit
from subtensor.graph.interrupts import deferred_interrupts
from subtensor.program.contract import Timing
from subtensor.program.linear import Commit, Instruction, Program
from subtensor_jax.arithmetic import Array, where
from subtensor_jax.binding import Binding, Positions, Stage
from subtensor_jax.heap import give_back_after
from subtensor_jax.jitting import Jitted, Work, holds_copy, nbytes
from subtensor_jax.loops import on_the_host
from subtensor_jax.packing import Layout, Outputs, layout_of, packed
from subtensor_jax.placing import near_part, raw
from subtensor_jax.positions import prepared
from subtensor_jax.profiling import profiled
from subtensor_jax.quick import Rest, Spare, quick_call
from subtensor_jax.scatter import Selection, put
from subtensor_jax.shapes import ShapeCount, spelled
from subtensor_jax.shards import Shards
from subtensor_jax.spread import Spread
from subtensor_jax.stages import BIG, EMPTY_KEY, Broken, Key, Part, Setting, Slot, Slots, every, own, parts_of
from subtensor_jax.stepping import COPY_MATTERS_FROM, Stepper
from subtensor_jax.tracing import Lowerings, Trace

_shape = attrgetter("shape")


class Executable:
    """A compiled program: ``(inputs, cells) -> outputs``."""

    def __init__(self, program: Program, lowerings: Lowerings, *, strict: bool, spread: Spread | None = None) -> None:
        self.program = program
        self.lowerings = lowerings
        self.strict = strict
        self.binding = Binding(program, prepares=True)
        self.positions = self.binding.all_positions()
        self.spread = spread
        if spread is not None and len(self.binding.stages) > 1:
            spread.nearby.clear()  # rows go from stage to stage
        self.setting = Setting(self.binding, lowerings, strict, self._repeat, spread)
        self.shapes = ShapeCount(program)
        self.parts = parts_of(self.setting)
        self.big = [s for s, c in enumerate(program.constants, program.first_constant) if c.data.size > BIG]
        self.constants: list[Any] | None = None
        self.bodies: dict[int, Executable] = {}
        self.last: _Fused | _Split = _Split(self) if must_split(program) else _Fused(self)
        self.quick: dict[Any, tuple[Any, Layout | None, Spare]] = {}
        self.stepper = Stepper(self.last) if isinstance(self.last, _Fused) and self.last.is_quick else None
        give_back_after(self)
        self.run = self._quick_call() if isinstance(self.last, _Fused) and self.last.is_quick else self._general
        if spread is not None and spread.others is not None:
            self.run = self._together

    def __call__(self, inputs: tuple[Any, ...], cells: tuple[Cell, ...]) -> Outputs:
        return self.run(inputs, cells)

    def steps(self, inputs: tuple[Any, ...], cells: tuple[Cell, ...]) -> tuple[int, Outputs] | None:
        """Many steps in one dispatch, for programs that are one jitted function: see ``stepping``."""
        if self.stepper is None:
            return None
        with jax.enable_x64(True):
            return self.stepper(inputs, cells)

    def profile(self, inputs: tuple[Any, ...], cells: tuple[Cell, ...], rounds: int) -> list[Timing]:
        """Where the time of a call goes: see ``profiling``."""
        with jax.enable_x64(True):
            slots = self.slots(inputs, cells)
            analysed = []
            for part in self.parts:
                analysed.append(part.compiled(slots, *part.prepare(slots)))
                part.run(slots)
            analysed.append(self.last.compiled(slots))
            given = partial(self.slots, inputs, cells)
            return profiled(self.parts, self.last.part, given, partial(self.run, inputs, cells), analysed, rounds)

    def _general(self, inputs: tuple[Any, ...], cells: tuple[Cell, ...]) -> Outputs:
        with jax.enable_x64(True):
            return self.last(inputs, cells)

    def _together(self, inputs: tuple[Any, ...], cells: tuple[Cell, ...]) -> Outputs:
        """A step of several processes, which all make it, or none."""
        assert self.spread is not None
        self.spread.agree(inputs)
        try:
            return self._general(inputs, cells)
        except jax.errors.JaxRuntimeError as error:
            names = ", ".join(self.program.shared[c.shared].label for c in self.program.commits)
            cause = str(error).splitlines()[0]
            raise self.spread.lost(
                f"{self.program.name}: the step broke off, as when another process goes ({cause}); the "
                f"values of {names or 'no variable'} are lost here. Start the processes again, from the last checkpoint"
            ) from error

    def _quick_call(self) -> Callable[..., Outputs]:
        """What runs for shapes that ``quick`` knows, and goes the general way for others."""
        last = self.last
        assert isinstance(last, _Fused)
        taken = last.targets, last.read, last.given, last.positions
        return quick_call(len(self.program.inputs), *taken, self.quick, self._general, last.fetched)

    def slots(self, inputs: Sequence[Any], cells: Sequence[Cell]) -> Slots:
        """All leaves."""
        slots: Slots = dict(enumerate(inputs))
        slots.update((p, prepared(inputs[p.slot], p.length, [])) for p in self.positions)
        slots.update((self.program.first_shared + n, cell.data) for n, cell in enumerate(cells))
        slots.update(zip(self.big, self.big_constants(), strict=True))
        return slots

    def big_constants(self) -> list[Any]:
        """Constants that are arguments, on the device."""
        if self.constants is None:
            values = [self.program.known(s) for s in self.big]
            self.constants = [jnp.array(v) if self.spread is None else self.spread.constant(v) for v in values]
        return self.constants

    def notes(self) -> list[str]:
        """For ``fn.explain()``: what travels between devices."""
        return [] if self.spread is None else self.spread.traffic.notes()

    def holder(self, cell: Cell) -> Holder:
        """Where a new value of an unchanged shape goes."""
        return cell if self.spread is None else cell.data  # a ``Placed``

    def new_value(self, number: int, value: Any) -> Any:
        """What a cell gets in place of what it has."""
        if self.spread is not None:
            return self.spread.new_value(number, value)
        return jnp.array(value) if isinstance(value, np.ndarray) else value

    def run_stages(self, inputs: Sequence[Any], cells: Sequence[Cell]) -> Slots:
        """All slots that the stages before the last fill."""
        slots = self.slots(inputs, cells)
        for part in self.parts:
            part.run(slots)
        return slots

    def count(self, key: Key, inputs: Sequence[Any], cells: Sequence[Cell]) -> None:
        """Note what the program is compiled for once more."""
        lengths: dict[str, Any] = {}
        values = [*inputs, *(c.data for c in cells)]
        for slot, value in enumerate(values):
            lengths |= spelled(self.program, slot, np.shape(value))
        for slot, value in key.values().items():
            leaf = self.program.inputs[slot].label if slot < self.program.first_shared else None
            if leaf or slot >= self.binding.leaves:
                lengths[
                    f"the value of {leaf or self.binding.made[slot].nodes[slot - self.binding.made[slot].out].label}"
                ] = value.tolist()
        for user, axis, length, _ in key.spans:
            lengths[f"the length of a slice along axis {axis} ({user})"] = length
        jitted = [self.last.jitted, *(part.jitted for part in self.parts)]
        self.shapes.add(lengths, sum(j.seconds for j in jitted))

    def _repeat(self, i: Instruction, args: Sequence[Any]) -> Sequence[np.ndarray[Any, Any]]:
        """A loop whose body cannot be traced as a whole, iteration by iteration."""
        body, how = i.body, i.repeat
        assert body is not None
        assert how is not None
        run = self.bodies.get(i.out)
        if run is None:
            run = self.bodies[i.out] = Executable(body, self.lowerings, strict=self.strict)
        return on_the_host(how, [n.type.dtype for n in i.nodes], args, lambda *values: run(values, ()))


def moves(program: Program) -> list[tuple[int, int]]:
    """Pairs (variable, variable whose old value it gets as it is)."""
    shared = range(program.first_shared, program.first_constant)
    return [
        (c.shared, c.value - program.first_shared) for c in program.commits if c.value is not None and c.value in shared
    ]


def must_split(program: Program) -> bool:
    """Whether a variable takes over another's value, or one that is replaced may change its shape."""
    return bool(moves(program)) or any(
        c.value is not None and None in program.shared[c.shared].type.shape for c in program.commits
    )


def apply_writes(
    part: Part, trace: Trace, c: Commit, table: Array | Shards, selections: Sequence[Selection], ok: Array | None = None
) -> Array:
    """`table` after the writes of a commit; as it was where `ok` is False. Padded, where it is divided over devices."""
    for (_, w), s in zip(part.binding.writes, selections, strict=True):
        if w in c.writes:
            value = trace.value(w.value)
            trace.work.touch(value)
            if isinstance(table, Shards) and w.value in trace.near:
                table = table.put_near(trace.near[w.value], s, w.kind, strict=trace.strict, ok=ok)
            elif isinstance(table, Shards):
                division = trace.division(s, w.index, w.inputs)
                table = table.put(value, s, w.kind, division, strict=trace.strict, ok=ok)
            else:
                table = put(table, value, s, w.kind, strict=trace.strict, ok=ok)
    return table.data if isinstance(table, Shards) else table


class _Fused:
    """The last stage and the writes in one jitted function. New values have the shapes of the old ones."""

    def __init__(self, whole: Executable) -> None:
        self.whole = whole
        program = self.program = whole.program
        stage = whole.binding.stages[-1]
        values = [c.value for c in program.commits if c.value is not None]
        self.part = Part(whole.setting, stage, [*program.outputs, *values], writes=True)
        first = program.first_shared
        self.targets = [c.shared for c in program.commits]
        self.tables = [first + n for n in self.targets]
        others = [s for s in self.part.arguments if s not in self.tables and not isinstance(s, Positions)]
        self.positions = [s for s in self.part.arguments if isinstance(s, Positions)]
        self.read = [s - first for s in others if first <= s < program.first_constant]
        self.given = [s for s in others if s < first]
        rest = [s for s in others if s >= program.first_constant]
        self.others: list[Slot] = [*(first + n for n in self.read), *self.given, *self.positions, *rest]
        self.plain = self.part.is_plain and rest == whole.big
        self.jitted = Jitted(self._traced, len(self.tables), None if whole.spread is None else whole.spread.inspect)
        fixed = all(None not in v.type.shape for v in program.shared)
        self.is_quick = self.plain and fixed and not whole.big and whole.spread is None
        self.layouts: dict[Any, Layout | None] = {}
        self.seen: set[Any] = set()

    def computed(self, key: Any, *args: Array) -> tuple[list[Array], Array | None, list[Array], Work]:
        """Traced: the new values of the variables, whether all rules hold, the outputs, and the work."""
        part, first = self.part, self.program.first_shared
        trace = part.trace(key, [*self.tables, *self.others], args)
        trace.run(part.stage.instructions)
        selections = part.selections(trace)
        outputs = [trace.value(o) for o in self.program.outputs]
        ok = every(trace.flags)
        spread = self.whole.spread
        if spread is not None:
            outputs = [spread.left(s, o) for s, o in zip(self.program.outputs, outputs, strict=True)]
        values = {}
        for c in self.program.commits:
            old = trace.table(first + c.shared)
            if c.value is None:
                values[c.shared] = apply_writes(part, trace, c, old, selections, ok)
            elif isinstance(old, Shards):
                new = trace.table(c.value)
                new = own((new if isinstance(new, Shards) else old.filled(new)).data, args)
                values[c.shared] = new if ok is None else where(ok, new, old.data)
            else:
                value = trace.value(c.value)
                values[c.shared] = own(value, args) if ok is None else where(ok, value, old)
        return [values[n] for n in self.targets], ok, outputs, trace.work

    def _traced(self, key: Any, *args: Array) -> tuple[tuple[Any, ...], Work]:
        """The new values of the variables, then flag and outputs: packed, or as ``(flag or None, outputs)``."""
        values, ok, outputs, work = self.computed(key, *args)
        layout = self.layouts[key, *map(_shape, args)] = layout_of(ok, outputs)
        given = (ok, outputs) if layout is None else packed(layout, ok, outputs)
        return (*values, given), work

    def _arguments(self, inputs: Sequence[Any]) -> list[Any]:
        """What the jitted function takes of the inputs."""
        args = [inputs[s] for s in self.given]
        args += [prepared(inputs[s], n, []) for s, n in self.positions]
        return args

    def fetched(self, given: Any, layout: Layout | None, written: Holder | None) -> Outputs:
        """The outputs on the host, when all is done; raises Broken where a rule is."""
        if layout is not None:
            buffer = np.array(given)
            if layout.flag and not buffer[-1]:
                raise Broken
            return layout.unpacked(buffer)
        ok, outputs = given
        if ok is None:
            if not outputs and written is not None:
                written.data.block_until_ready()
        elif not np.asarray(ok):
            raise Broken
        return tuple(map(np.array, outputs))

    def compiled(self, slots: Slots) -> Any:
        """What XLA makes of it, where the stages before have filled their slots."""
        key, starts = self.part.prepare(slots)
        return self.jitted.compiled(key, *(raw(slots[s]) for s in (*self.tables, *self.others)), *starts)[1]

    def __call__(self, inputs: tuple[Any, ...], cells: tuple[Cell, ...]) -> Outputs:
        whole = self.whole
        key: Key = EMPTY_KEY
        starts: list[Any] = []
        rest: Sequence[Any]
        if self.plain:
            rest = [*[raw(cells[n].data) for n in self.read], *self._arguments(inputs), *whole.big_constants()]
        else:
            slots = whole.run_stages(inputs, cells)
            key, starts = self.part.prepare(slots)
            rest = [raw(slots[s]) for s in self.others]
        targets = [whole.holder(cells[n]) for n in self.targets]
        args = (*[c.data for c in targets], *rest, *starts)
        shapes = (key, *map(_shape, args))
        known = shapes in self.seen
        if not known:
            whole.count(key, inputs, cells)
            if targets and self._copies(self.jitted.compiled(key, *args)[1], args):
                whole.last = _Split(whole)
                return whole.last(inputs, cells)
        out = Rest()
        form = self.jitted.form(key, *args)
        with nullcontext() if known else deferred_interrupts():
            commit((*targets, out), chain.from_iterable(starmap(form, (args,))))
        if whole.spread is not None:
            whole.spread.wait([out.data, [t.data for t in targets]])
        layout = self.layouts[shapes]
        self.seen.add(shapes)
        if self.is_quick:
            whole.quick[tuple(map(_shape, inputs))] = form, layout, [[] for _ in self.positions]
        return self.fetched(out.data, layout, targets[0] if targets else None)

    def _copies(self, compiled: Any, args: Sequence[Any]) -> bool:
        """Whether what was compiled would copy a large table that it only writes to."""
        first = self.program.first_shared
        only = {first + c.shared for c in self.program.commits if c.value is None}
        near = [near_part(a) for a in args[: len(self.tables)]]
        tables = [a for s, a in zip(self.tables, near, strict=True) if s in only and nbytes(a) >= COPY_MATTERS_FROM]
        if not tables:
            return False
        memory = compiled.memory_analysis()
        if memory is None or memory.temp_size_in_bytes < min(map(nbytes, tables)):
            return False
        return holds_copy(compiled.as_text(), tables)  # not of rows, of which there may be as many


class _Split:
    """The last stage, which takes nothing over; then, when its flag has been read, the writes as their own function."""

    def __init__(self, whole: Executable) -> None:
        self.whole = whole
        if whole.spread is not None:
            whole.spread.nearby.clear()  # rows go from one function to the other
        program = self.program = whole.program
        binding = whole.binding
        first = program.first_shared
        stage = binding.stages[-1]
        demands = [binding.write_demands(n) for n in range(len(binding.writes))]
        known = list(dict.fromkeys(k for _, ks, _ in demands for k in ks if program.known(k) is None))
        places = [p for _, _, ps in demands for p in ps]
        self.replaced = [c for c in program.commits if c.value is not None and c.value >= program.first_constant]
        self.moved = moves(program)
        self.written = [c for c in program.commits if c.value is None]
        wanted = [*program.outputs, *(c.value for c in self.replaced if c.value is not None), *known]
        wanted += [s for traced, _, _ in demands for s in traced]
        here = {o for i in stage.instructions for o in i.outs}
        self.part = Part(whole.setting, stage, [s for s in wanted if s in here], checked=True)
        self.writes = Part(whole.setting, Stage([], [], known, places), [], writes=True)
        self.tables = [first + c.shared for c in self.written]
        self.others = [s for s in self.writes.arguments if s not in self.tables]
        self.jitted = Jitted(self._traced, len(self.tables), None if whole.spread is None else whole.spread.inspect)
        self.seen: set[Any] = set()

    def _traced(self, key: Any, *args: Array) -> tuple[tuple[Array, ...], Work]:
        trace = self.writes.trace(key, [*self.tables, *self.others], args)
        selections = self.writes.selections(trace)
        tables = [(c, trace.table(s)) for c, s in zip(self.written, self.tables, strict=True)]
        new = tuple(apply_writes(self.writes, trace, c, t, selections) for c, t in tables)
        return new, trace.work

    def __call__(self, inputs: tuple[Any, ...], cells: tuple[Cell, ...]) -> Outputs:
        slots = self.whole.run_stages(inputs, cells)
        self.part.run(slots)
        key, starts = self.writes.prepare(slots)
        args = (*[raw(slots[s]) for s in self.tables], *[raw(slots[s]) for s in self.others], *starts)
        shapes = (key, *map(np.shape, inputs), *map(_shape, args))
        known = shapes in self.seen
        if not known:
            self.whole.count(key, inputs, cells)
        new = [self.whole.new_value(c.shared, slots[c.value]) for c in self.replaced if c.value is not None]
        new += [self.whole.new_value(n, cells[source].data) for n, source in self.moved]
        targets: list[Any] = [self.whole.holder(cells[c.shared]) for c in self.written]
        targets += [cells[n] for n in (*(c.shared for c in self.replaced), *(n for n, _ in self.moved))]
        outputs = tuple(np.array(slots[o]) for o in self.program.outputs)
        for value in new:
            raw(value).block_until_ready()
        written = chain.from_iterable(starmap(self.jitted.form(key, *args), (args,))) if self.tables else ()
        with nullcontext() if known else deferred_interrupts():
            commit(targets, chain(written, new))
        if not known:
            self.seen.add(shapes)
        if self.whole.spread is not None:
            self.whole.spread.wait([t.data for t in targets[: len(self.tables)]])
        elif self.tables:
            targets[0].data.block_until_ready()
        return outputs

    def compiled(self, slots: Slots) -> Any:
        """What XLA makes of it but for the writes, where the stages before have filled their slots."""
        return self.part.compiled(slots, *self.part.prepare(slots))
