"""Tracing the instructions of one stage: lengths are numbers here, and everything else is a traced array.

What must hold at run time (positions in range, exponents that are not negative) is collected in ``Trace.flags``. What
is already wrong while tracing raises. Which error the caller sees is not decided here: see
``subtensor.program.diagnosis``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from subtensor.errors import Unsupported
from subtensor.graph.indexing import At, Index, Ref
from subtensor.graph.types import INDEX
from subtensor.program.contract import NO_LOWERINGS
from subtensor.program.linear import Instruction, Program, Write
from subtensor_jax.arithmetic import Array, broadcast, dtype_of, full_like
from subtensor_jax.binding import STATIC, Binding, Positions
from subtensor_jax.jitting import Work
from subtensor_jax.loops import Surroundings, looped
from subtensor_jax.lowerings import LOWERINGS, SHAPED, argsort
from subtensor_jax.runs import order_of, run_starts, run_sums
from subtensor_jax.scatter import Selection, Span, get, put
from subtensor_jax.shards import Shards
from subtensor_jax.spread import DRAWS, Spread, shape_of
from subtensor_jax.wire import scope_of

Lowerings = Mapping[str, Callable[..., Any]]
Spans = Mapping[tuple[int, int], Span]


class Trace:
    """One pass over instructions.

    values: arrays by slot; grows. known: values, by slot, that the stage is compiled for. spans: slices whose bounds
    the host has read, by user and axis (see ``binding.Place``). strict: do not rely on the order of writes.
    work: how much is done. below: slots whose values are known to lie in ``[0, below)``. tables: slots whose values are
    divided over devices; `values` has them without padding. near: rows that stay where they are, of which `values` has
    the shape. spread: how a program lies on many devices.
    """

    def __init__(
        self,
        binding: Binding,
        lowerings: Lowerings = NO_LOWERINGS,
        *,
        values: dict[int | Positions, Array],
        known: Mapping[int, Any] = NO_LOWERINGS,  # type: ignore[assignment]  # an empty mapping
        spans: Spans = NO_LOWERINGS,  # type: ignore[assignment]  # an empty mapping
        strict: bool = False,
    ) -> None:
        self.binding = binding
        self.program: Program = binding.program
        self.lowerings = lowerings
        self.values = values
        self.known = dict(known)
        self.spans = spans
        self.strict = strict
        self.flags: list[Array] = []
        self.work = Work()
        self.positions: dict[tuple[int, int], Any] = {}
        self.below: dict[int, int] = {}
        self.tables: dict[int, Shards] = {}
        self.near: dict[int, Array] = {}
        self.spread: Spread | None = None

    # --- values of slots

    def value(self, slot: int) -> Array:
        """The array in a slot."""
        found = self.values.get(slot)
        if found is not None:
            return found
        constant = self.program.known(slot)
        if constant is None:
            constant = self.number(slot)
        return constant.astype(dtype_of(constant.dtype.name), copy=False)

    def is_known(self, slot: int) -> bool:
        static = self.binding.static[slot] and slot not in self.values
        return static or slot in self.known or self.program.known(slot) is not None

    def number(self, slot: int) -> Any:
        """The value in a slot that is known while tracing: a NumPy array or scalar."""
        constant = self.program.known(slot)
        if constant is not None:
            return constant
        if slot not in self.known:
            self.known[slot] = self._computed(self.binding.made[slot])
        return self.known[slot]

    def _computed(self, i: Instruction) -> Any:
        if i.op.name == "length":
            return np.asarray(np.shape(self.value(i.args[0]))[i.params["axis"]], INDEX)
        with np.errstate(all="ignore"):
            result = STATIC[i.op.name](*(self.number(a) for a in i.args), **i.params)
        return np.asarray(result, i.type.dtype)

    def lengths(self, slots: Sequence[int]) -> list[int]:
        return [int(self.number(s)) for s in slots]

    def require(self, flag: Array) -> None:
        """Enter something that must hold: a traced or known 0-d bool."""
        if isinstance(flag, np.ndarray | np.bool_):
            if not flag:
                raise IndexError("a rule is broken by a value that is known")
            return
        self.flags.append(flag)

    # --- instructions

    def run(self, instructions: Sequence[Instruction]) -> None:
        for i in instructions:
            if i.repeat is not None:
                with self._scope(i):
                    self.values.update(zip(i.outs, self._looped(i), strict=True))
                self.work.touch(*(self.values[o] for o in i.outs))
                continue
            if self.spread is not None and i.out in self.spread.nearby:
                with self._scope(i):
                    self.near[i.out] = near = self._near(i)
                self.values[i.out] = shape_of(near.shape[1:], near.dtype)  # nobody looks at more
                continue
            if not self.binding.static[i.out] or self._is_from_before(i):
                with self._scope(i):
                    value = self.values[i.out] = self.lowered(i)
                self._carry(i)
                taken = i.args if i.op.name != "subtensor" else ()  # which reads what it gives
                self.work.touch(value, *(self.values[a] for a in taken if a in self.values))

    def _scope(self, i: Instruction) -> AbstractContextManager[Any]:
        """What XLA makes of an instruction bears its name, where somebody will ask."""
        return nullcontext() if self.spread is None else jax.named_scope(scope_of(i.out))

    def _near(self, i: Instruction) -> Array:
        """Rows that stay with the devices that have them, with one entry of a new first axis for each device."""
        assert self.spread is not None
        if i.op.name == "subtensor":
            table = self.tables[i.args[0]]
            return table.near(self.select(i.out, i.params["index"], i.args[1:], table.shape))
        rows = [a for a in dict.fromkeys(i.args) if a in self.near]
        rest = [a for a in dict.fromkeys(i.args) if a not in self.near and a in self.values]

        def compute(*arrays: Array) -> Array:
            held: dict[int | Positions, Array] = {a: self.values[a] for a in (*rows, *rest)}
            self.values.update(zip((*rows, *rest), arrays, strict=True))
            try:
                return jnp.asarray(self.lowered(i))
            finally:
                self.values.update(held)

        _, names, _ = self.spread.nearby[i.out]
        return self.spread.row_by_row(names, [self.near[a] for a in rows], [self.values[a] for a in rest], compute)

    def division(self, s: Selection, index: Index, inputs: Sequence[int]) -> Any:
        """How the rows at positions are divided over devices, where they are (see ``Spread.division``)."""
        return None if self.spread is None else self.spread.division(s, index, inputs)

    def table(self, slot: int) -> Array | Shards:
        """The array in a slot, as it is divided over devices where it is."""
        return self.tables[slot] if slot in self.tables else self.value(slot)

    def _looped(self, i: Instruction) -> list[Array]:
        """All results of a loop."""
        body, inner = i.body, self.binding.inner[i.out]
        assert body is not None

        def run(arrays: dict[int, Array], numbers: dict[int, Any]) -> tuple[list[Array], Array | None]:
            trace = Trace(inner, self.lowerings, values=dict(arrays.items()), known=numbers, strict=self.strict)
            trace.work = self.work
            trace.run(body.instructions)
            ok: Array | None = None
            for flag in trace.flags:
                ok = flag if ok is None else ok & flag
            return [trace.value(o) for o in body.outputs], ok

        def number(slot: int) -> Any:
            return self.number(slot) if self.is_known(slot) else None

        return looped(i, inner, Surroundings(self.value, number, self.require, run))

    def _is_from_before(self, i: Instruction) -> bool:
        """Whether it takes a length that an earlier stage gives as a value, and that nothing here must know."""
        return any(a in self.values and a not in self.known and self.binding.static[a] for a in i.args)

    def _carry(self, i: Instruction) -> None:
        """Note the bound of what is only moved about."""
        if i.op.name in _MOVES:
            taken = i.args if i.op.name == "concatenate" else i.args[:1]
            if all(a in self.below for a in taken):
                self.below[i.out] = max(self.below[a] for a in taken)

    def lowered(self, i: Instruction) -> Array:
        name = i.op.name
        if name in self.lowerings:
            return self.lowerings[name](*(self.value(a) for a in i.args), **i.params)
        if name in DRAWS and self.spread is not None:
            return self.spread.drawn(SHAPED[name], self.value(i.args[0]), self.lengths(i.args[1:]), i.params)
        if name in SHAPED:
            return SHAPED[name](self.value(i.args[0]), self.lengths(i.args[1:]), **i.params)
        form = FORMS.get(name)
        if form is not None:
            return form(self, i)
        if name == "power":
            self._refuse_negative(i.args[1])
        if name in LOWERINGS:
            return LOWERINGS[name](*(self.value(a) for a in i.args), **i.params)
        raise Unsupported(name, f"the JAX backend has no lowering for {name!r}")

    def _refuse_negative(self, slot: int) -> None:
        exponent = self.value(slot)
        if exponent.dtype.kind == "i":
            self.require(_none(exponent < full_like(exponent, 0)))

    # --- indices

    def select(self, user: int, index: Index, inputs: Sequence[int], shape: tuple[int, ...]) -> Selection:
        """An index over an array of a shape, with its positions checked and wrapped."""
        parts: list[Any] = []
        for axis, (part, n) in enumerate(zip(index.parts, shape, strict=True)):
            if isinstance(part, At):
                parts.append(self.wrapped(inputs[part.slot], n))
                continue
            span = self.spans.get((user, axis))
            if span is None:
                bounds = (
                    int(self.number(inputs[b.slot])) if isinstance(b, Ref) else b
                    for b in (part.start, part.stop, part.step)
                )
                span = span_of(slice(*bounds), n)
            parts.append(span)
        return Selection(shape, tuple(parts), index.array_axis)

    def wrapped(self, slot: int, n: int) -> Any:
        """Positions on an axis of length n, in ``[0, n)``; out of range is flagged, or raises where it is known."""
        if Positions(slot, n) in self.values:
            return self.values[Positions(slot, n)]
        if self.below.get(slot, n + 1) <= n:
            return lax.convert_element_type(self.value(slot), dtype_of("int32" if n < 2**31 else INDEX))
        key = slot, n
        if key not in self.positions:
            if self.is_known(slot):
                self.positions[key] = _wrapped_known(np.asarray(self.number(slot)), n)
            else:
                self.positions[key] = self._wrapped_traced(self.value(slot), n)
        return self.positions[key]

    def _wrapped_traced(self, p: Array, n: int) -> Array:
        if 0 in p.shape:
            return lax.full(p.shape, 0, np.dtype(np.int32))
        if n == 0:
            raise IndexError("a position on an empty axis")
        if p.dtype.kind == "u":
            wide = lax.convert_element_type(p, dtype_of("uint64"))
            self.require(_none(wide >= full_like(wide, n)))
            return lax.convert_element_type(p, dtype_of(INDEX))
        if p.dtype.itemsize < 4 or n >= 2**31:
            p = lax.convert_element_type(p, dtype_of(INDEX))
        high, low = full_like(p, n), full_like(p, -n)
        self.require(_none((p < low) | (p >= high)))
        if n < 2**31:  # narrow at once, so that what follows is half as wide
            p = lax.convert_element_type(p, np.dtype(np.int32))
        return lax.select(p < full_like(p, 0), p + full_like(p, n), p)

    def written(self, table: Array, write: Write, s: Selection) -> Array:
        """`table` after a write at a resolved index."""
        return put(table, self.value(write.value), s, write.kind, strict=self.strict)


def _none(condition: Array) -> Array:
    """Whether no element is true. XLA sums floats faster than it combines bools, and a sum of ones is never 0."""
    if isinstance(condition, np.ndarray | np.bool_):
        return ~np.any(condition)
    return lax.convert_element_type(condition, np.dtype(np.float32)).sum() == np.float32(0)


def span_of(bounds: slice, n: int) -> Span:
    """A slice of an axis of length n; raises ValueError where the step is 0."""
    start, stop, step = bounds.indices(n)
    count = len(range(start, stop, step))
    return Span(start, count, step) if count else Span(0, 0, 1)


def _wrapped_known(p: np.ndarray[Any, Any], n: int) -> Any:
    if p.size and (int(p.min()) < -n or int(p.max()) >= n):
        raise IndexError("position out of range")
    wide = p.astype(np.int64)
    wide = np.where(wide < 0, wide + n, wide)
    return int(wide) if wide.ndim == 0 else wide


# --- instructions that need more than the arrays they take


def _length(t: Trace, i: Instruction) -> Array:
    return t.value(i.out)


def _arange(t: Trace, i: Instruction) -> Array:
    start, stop, step = (t.number(a) for a in i.args)
    dtype = dtype_of(i.type.dtype)
    if dtype.kind not in "iu":
        return np.arange(start, stop, step, dtype=i.type.dtype)
    n = len(range(int(start), int(stop), int(step)))
    numbers = lax.iota(dtype, n)
    if step != 1:
        numbers = lax.mul(numbers, broadcast(np.asarray(step, dtype), (n,)))
    return lax.add(numbers, broadcast(np.asarray(start, dtype), (n,))) if start != 0 else numbers


def _flatnonzero(t: Trace, i: Instruction) -> Array:
    return np.flatnonzero(t.number(i.args[0]))


def _row_numbers(t: Trace, i: Instruction) -> Array:
    n = int(t.number(i.args[1]))
    t.below[i.out] = n
    return lax.convert_element_type(t.wrapped(i.args[0], n), dtype_of(INDEX))


def _argsort(t: Trace, i: Instruction) -> Array:
    x = t.value(i.args[0])
    t.below[i.out] = x.shape[i.params["axis"]]
    order = order_of(x, t.below.get(i.args[0])) if x.ndim == 1 else None
    return argsort(x, **i.params) if order is None else order


def _run_starts(t: Trace, i: Instruction) -> Array:
    ordered = t.value(i.args[0])
    t.below[i.out] = ordered.shape[0]
    return run_starts(ordered)


def _run_sums(t: Trace, i: Instruction) -> Array:
    return run_sums(*(t.value(a) for a in i.args), strict=t.strict)


def _subtensor(t: Trace, i: Instruction) -> Array:
    x = t.value(i.args[0])
    s = t.select(i.out, i.params["index"], i.args[1:], np.shape(x))
    table = t.table(i.args[0])
    division = t.division(s, i.params["index"], i.args[1:])
    value = table.get(s, division) if isinstance(table, Shards) else get(x, s)
    if t.spread is not None and division is not None:
        value = t.spread.divided(value, division)
    if s.block:
        t.work.gather(x, value)
    return value


def _write(t: Trace, i: Instruction) -> Array:
    x = t.value(i.args[0])
    s = t.select(i.out, i.params["index"], i.args[2:], np.shape(x))
    kind = "set" if i.op.name == "set_subtensor" else "inc"
    table = t.table(i.args[0])
    if isinstance(table, Shards):
        division = t.division(s, i.params["index"], i.args[2:])
        written = table.put(t.value(i.args[1]), s, kind, division, strict=t.strict, ok=None)
        t.tables[i.out] = written
        return written.view()
    return put(x, t.value(i.args[1]), s, kind, strict=t.strict)


FORMS: Mapping[str, Callable[[Trace, Instruction], Array]] = {
    "length": _length,
    "arange": _arange,
    "flatnonzero": _flatnonzero,
    "row_numbers": _row_numbers,
    "argsort": _argsort,
    "run_starts": _run_starts,
    "run_sums": _run_sums,
    "subtensor": _subtensor,
    "set_subtensor": _write,
    "inc_subtensor": _write,
}

_MOVES = ("subtensor", "concatenate", "reshape", "broadcast_to", "expand_dims", "squeeze", "transpose", "copy")
"""Ops whose result holds nothing but elements of what they take."""

OPERATIONS = frozenset({*LOWERINGS, *SHAPED, *FORMS, "scan"})
"""Every op that this backend runs itself."""
