"""The stages of a program: each is prepared by the host and then runs as one jitted function.

A stage takes arrays by slot and gives arrays by slot. It is compiled for the shapes of its arguments, and for its
*key*: the values of earlier stages that decide on shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax.numpy as jnp
import numpy as np

from subtensor.graph.indexing import Ref
from subtensor.program.linear import Instruction
from subtensor_jax.arithmetic import Array
from subtensor_jax.binding import Binding, Place, Positions, Stage
from subtensor_jax.jitting import Jitted, Work
from subtensor_jax.placing import raw
from subtensor_jax.scatter import Selection, Span
from subtensor_jax.spread import Spread
from subtensor_jax.tracing import Lowerings, Trace, span_of

Slot: TypeAlias = int | Positions
Slots: TypeAlias = dict[Slot, Any]
Repeater: TypeAlias = "Callable[[Instruction, Sequence[Any]], Sequence[np.ndarray[Any, Any]]]"
"""All results of a loop whose body needs the host."""

BIG = 1024
"""Constants with more elements than this are arguments of the jitted functions, not part of them."""


class Broken(IndexError):
    """A rule is broken by a value; the frontend finds out which."""

    def __str__(self) -> str:
        return "a position is out of range, or a value lies outside its domain"


@dataclass(frozen=True, slots=True)
class Key:
    """What a stage is compiled for, besides shapes.

    known: ``(slot, dtype, shape, bytes)``. spans: ``(user, axis, length, step)`` of slices whose bounds are values.
    """

    known: tuple[tuple[int, str, tuple[int, ...], bytes], ...] = ()
    spans: tuple[tuple[int, int, int, int], ...] = ()

    def values(self) -> dict[int, Any]:
        return {slot: np.frombuffer(data, dtype).reshape(shape) for slot, dtype, shape, data in self.known}


EMPTY_KEY = Key()


@dataclass(frozen=True, slots=True)
class Setting:
    """What all stages of a program share."""

    binding: Binding
    lowerings: Lowerings
    strict: bool
    repeat: Repeater
    spread: Spread | None = None


class Part:
    """What is traced together: the instructions of a stage, and perhaps the writes of the commits.

    host: instructions that the host runs before. known: slots that it is compiled for. places: slices whose bounds are
    values. emitted: slots that are results. writes: whether the writes are made here; checked: or only checked.
    """

    def __init__(
        self, setting: Setting, stage: Stage, emitted: Iterable[int], *, writes: bool = False, checked: bool = False
    ) -> None:
        self.setting = setting
        self.binding = setting.binding
        self.stage = stage
        self.with_writes = writes or checked
        self.computed = {o for i in stage.instructions for o in i.outs}
        self.emitted = list(dict.fromkeys(emitted))
        self.arguments = self._arguments()
        spread = setting.spread
        self.jitted = Jitted(self._traced, inspect=None if spread is None else spread.inspect)
        self.shapes: dict[Any, list[tuple[int, ...]]] = {}

    def _arguments(self) -> list[Slot]:
        binding = self.binding
        needed: list[Slot] = list(self.emitted)
        for i in self.stage.instructions:
            needed += binding.demands(i)[0]
            needed += binding.positions(i)
        if self.with_writes:
            for number in range(len(binding.writes)):
                needed += binding.write_demands(number)[0]
                needed += binding.write_positions(number)
        return [s for s in dict.fromkeys(needed) if s not in self.computed and not self._is_small_constant(s)]

    def _is_small_constant(self, slot: Slot) -> bool:
        constant = None if isinstance(slot, Positions) else self.binding.program.known(slot)
        return constant is not None and constant.size <= BIG

    @property
    def is_plain(self) -> bool:
        """Whether its arguments are leaves, and it needs nothing from the host."""
        stage = self.stage
        leaves = all(isinstance(s, Positions) or s < self.binding.leaves for s in self.arguments)
        return leaves and not (stage.host or stage.known or stage.places)

    # --- traced

    def trace(self, key: Key, slots: Sequence[Slot], args: Sequence[Array]) -> Trace:
        """A trace with arrays in `slots`, followed by the starts of the key's spans."""
        starts = args[len(slots) :]
        spans = {
            (user, axis): Span(start, length, step)
            for (user, axis, length, step), start in zip(key.spans, starts, strict=True)
        }
        made = Trace(
            self.binding,
            self.setting.lowerings,
            values=dict(zip(slots, args, strict=False)),
            known=key.values(),
            spans=spans,
            strict=self.setting.strict,
        )
        made.spread = self.setting.spread
        if made.spread is not None:
            made.tables.update(made.spread.entered(made.values))
        return made

    def selections(self, trace: Trace) -> list[Selection]:
        """The resolved indices of all writes."""
        if not self.with_writes:
            return []
        return [
            trace.select(-1 - number, w.index, w.inputs, np.shape(trace.value(slot)))
            for number, (slot, w) in enumerate(self.binding.writes)
        ]

    def _traced(self, key: Any, *args: Array) -> tuple[tuple[Array | None, list[Array]], Work]:
        trace = self.trace(key, self.arguments, args)
        trace.run(self.stage.instructions)
        self.selections(trace)
        values = [own(trace.value(s), args) for s in self.emitted]
        spread = self.setting.spread
        if spread is not None:
            self.shapes[key, *map(np.shape, args)] = [tuple(np.shape(v)) for v in values]
            values = [spread.left(s, v) for s, v in zip(self.emitted, values, strict=True)]
        return (every(trace.flags), values), trace.work

    # --- on the host

    def prepare(self, slots: Slots) -> tuple[Key, list[Any]]:
        """Run what the host runs; give the key, and the starts of slices."""
        program = self.binding.program
        stage = self.stage
        for i in stage.host:
            slots.update(zip(i.outs, self._hosted(i, [fetched(program, slots, a) for a in i.args]), strict=True))
        if not stage.known and not stage.places:
            return EMPTY_KEY, []
        known = []
        for slot in stage.known:
            value = fetched(program, slots, slot)
            known.append((slot, value.dtype.name, value.shape, value.tobytes()))
        spans, starts = [], []
        for place in stage.places:
            span = self._span(place, slots)
            spans.append((place.user, place.axis, span.length, span.step))
            starts.append(np.asarray(span.start, np.int64))
        return Key(tuple(known), tuple(spans)), starts

    def _hosted(self, i: Instruction, args: Sequence[Any]) -> Sequence[Any]:
        if i.op.name == "flatnonzero":
            return [np.flatnonzero(args[0])]
        if i.op.name == "arange":
            return [np.arange(*args, dtype=i.type.dtype)]
        return self.setting.repeat(i, args)

    def _span(self, place: Place, slots: Slots) -> Span:
        program = self.binding.program
        bounds = (int(fetched(program, slots, b.slot)) if isinstance(b, Ref) else b for b in place.bounds)
        constant = program.known(place.source)
        source = slots[place.source] if constant is None else constant
        return span_of(slice(*bounds), np.shape(source)[place.axis])

    def run(self, slots: Slots) -> tuple[Key, list[Any]]:
        """Fill the emitted slots; raises Broken where a rule is broken."""
        key, starts = self.prepare(slots)
        self.finish(slots, key, starts)
        return key, starts

    def finish(self, slots: Slots, key: Key, starts: Sequence[Any]) -> None:
        """What ``run`` does when the host is done."""
        if self.stage.instructions or self.with_writes:
            args = [*(raw(slots[s]) for s in self.arguments), *starts]
            ok, values = self.jitted(key, *args)
            if self.setting.spread is not None:
                self.setting.spread.wait([ok, values])
            if ok is not None and not np.asarray(ok):
                raise Broken
            spread = self.setting.spread
            if spread is not None:
                values = spread.wrapped(self.emitted, values, self.shapes[key, *map(np.shape, args)])
            slots.update(zip(self.emitted, values, strict=True))

    def compiled(self, slots: Slots, key: Key, starts: Sequence[Any]) -> Any:
        """What XLA makes of it; None where it has nothing to run."""
        if not self.stage.instructions and not self.with_writes:
            return None
        return self.jitted.compiled(key, *(raw(slots[s]) for s in self.arguments), *starts)[1]


def own(value: Array, args: Sequence[Array]) -> Array:
    """`value`, in a buffer that it shares with no argument."""
    return jnp.array(value, copy=True) if isinstance(value, np.ndarray) or any(value is a for a in args) else value


def every(flags: Sequence[Array]) -> Array | None:
    """Whether all hold; None where there are none."""
    if not flags:
        return None
    ok = flags[0]
    for flag in flags[1:]:
        ok = ok & flag
    return ok


def fetched(program: Any, slots: Slots, slot: int) -> np.ndarray[Any, Any]:
    """The value of a slot on the host."""
    constant = program.known(slot)
    value: np.ndarray[Any, Any] = np.asarray(slots[slot] if constant is None else constant)
    return value


def parts_of(setting: Setting) -> list[Part]:
    """The stages before the last."""
    binding = setting.binding
    return [Part(setting, stage, emitted(binding, n)) for n, stage in enumerate(binding.stages[:-1])]


def emitted(binding: Binding, n: int) -> list[int]:
    """The slots computed in stage n, on the device, that later stages, the host or the caller need."""
    needed: list[int] = list(binding.program.outputs)
    for stage in binding.stages[n + 1 :]:
        needed += stage.known
        needed += [s for place in stage.places for s in (place.source, *place.slots)]
        for i in stage.host:
            needed += i.args
        for i in stage.instructions:
            needed += binding.demands(i)[0]
    needed += [c.value for c in binding.program.commits if c.value is not None]
    for number in range(len(binding.writes)):
        traced, known, places = binding.write_demands(number)
        needed += [*traced, *known, *(s for p in places for s in p.slots)]
    here = {o for i in binding.stages[n].instructions for o in i.outs}
    return [s for s in dict.fromkeys(needed) if s in here]
