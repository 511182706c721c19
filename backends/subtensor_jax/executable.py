"""Programs as something that runs: stages one after the other, then the commit.

The last stage and the writes of the commits are one jitted function, in which the tables that are written to are donated, and a
flag (every position is in range) chooses between the written tables and the old ones: ``Fused``. Where XLA would copy a
table to do so, or where variables exchange their values, the writes are a second jitted function that is called when
the flag has been read: ``Split``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, starmap
from operator import attrgetter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from subtensor.program import Program, commit
from subtensor.shared import Cell
from subtensor_jax.arithmetic import where
from subtensor_jax.binding import Binding, Stage
from subtensor_jax.interrupts import deferred_interrupts
from subtensor_jax.shapes import ShapeCount
from subtensor_jax.stages import EMPTY_KEY, Key, Part
from subtensor_jax.tracing import Lowerings, Trace

Outputs = tuple[np.ndarray[Any, Any], ...]
_shape = attrgetter("shape")

COPY_MATTERS_FROM = 1 << 20
"""Bytes: tables smaller than this may be copied in a step."""


class Result:
    """Where the part of a jitted result that is not state goes."""

    __slots__ = ("data",)

    data: tuple[Any, ...]


class Executable:
    """A compiled program: see ``subtensor.backend.Executable``."""

    def __init__(self, program: Program, lowerings: Lowerings, *, strict: bool) -> None:
        self.program = program
        self.binding = Binding(program)
        self.lowerings = lowerings
        self.strict = strict
        self.shapes = ShapeCount(program)
        self.parts = [Part(self.binding, n, lowerings, strict=strict) for n in range(self.binding.last + 1)]
        self.last = Last(self)
        self.staged = not self.last.part.is_plain or any(p.does_anything for p in self.parts[:-1])
        self.big: list[Any] | None = None

    def __call__(self, inputs: tuple[Any, ...], cells: tuple[Cell, ...]) -> Outputs:
        with jax.enable_x64(True):
            if self.staged:
                return self._staged(inputs, cells)
            return self.last(EMPTY_KEY, inputs, cells, None)

    def constants(self) -> list[Any]:
        """The constants that are arguments of the jitted functions, not part of them, on the device."""
        if self.big is None:
            self.big = [jnp.array(self.program.known(slot)) for slot in self.binding.big_constants]
        return self.big

    def _staged(self, inputs: tuple[Any, ...], cells: tuple[Cell, ...]) -> Outputs:
        slots: dict[int, Any] = dict(enumerate(inputs))
        slots.update((self.program.first_shared + n, cell.data) for n, cell in enumerate(cells))
        slots.update(zip(self.binding.big_constants, self.constants(), strict=True))
        for part in self.parts[:-1]:
            part.run(slots)
        key = self.last.part.prepare(slots)
        return self.last(key, inputs, cells, slots)


class Last:
    """The last stage and the commit.

    donated: numbers of the shared variables whose buffers the step takes over. moved: pairs (variable, variable whose
    value it gets as it is).
    """

    def __init__(self, whole: Executable) -> None:
        self.whole = whole
        program = self.program = whole.program
        self.part = whole.parts[-1]
        self.written = [c for c in program.commits if c.value is None]
        replaced = [c for c in program.commits if c.value is not None]
        shared = range(program.first_shared, program.first_constant)
        self.moved = [(c.shared, c.value - program.first_shared) for c in replaced if c.value in shared]  # type: ignore[operator]
        self.replaced = [c for c in replaced if c.value not in shared]
        kept = {source for _, source in self.moved}
        self.split = bool(self.moved)
        self.donated = [c.shared for c in self.written]
        self.donated += [c.shared for c in self.replaced if c.shared not in kept]
        self.seen: set[Any] = set()
        self.flagged: dict[Any, bool] = {}
        self._build()

    def _build(self) -> None:
        """The argument lists and the jitted functions. Arguments of both: the key, the tables, everything else."""
        program = self.program
        part = self.part
        targets = self.donated if not self.split else []
        self.table_slots = [program.first_shared + n for n in targets]
        self.value_slots = [s for s in part.arguments if s not in self.table_slots]
        self.cells_first = targets
        if self.split:
            self.step = jax.jit(self._compute, static_argnums=0)
            self.write_slots = [program.first_shared + c.shared for c in self.written]
            self.operand_slots = [s for s in part.write_arguments if s not in self.write_slots]
            donate = tuple(range(1, 1 + len(self.write_slots)))
            self.write = jax.jit(self._write, static_argnums=0, donate_argnums=donate, compiler_options=_options())
        else:
            donate = tuple(range(1, 1 + len(self.table_slots)))
            self.step = jax.jit(self._fused, static_argnums=0, donate_argnums=donate, compiler_options=_options())

    # --- traced functions

    def _trace(self, key: Key, slots: Sequence[int], args: Sequence[Any]) -> Trace:
        return self.part.trace(key, slots, args)

    def _results(self, trace: Trace) -> list[Any]:
        return [trace.value(o) for o in self.part.emitted]

    def _fused(self, key: Key, *args: Any) -> tuple[Any, ...]:
        """New tables in the order of ``donated``, then other new values, then ``(flag or None, results)``."""
        slots = [*self.table_slots, *self.value_slots]
        trace = self._trace(key, slots, args)
        trace.run(self.part.stage.instructions)
        selections = self.part.write_selections(trace)
        results = self._results(trace)
        ok = _all(trace.flags)
        tables = [trace.value(self.program.first_shared + c.shared) for c in self.written]

        def keep(*old: Any) -> tuple[Any, ...]:
            return old

        def change(*old: Any) -> tuple[Any, ...]:
            return tuple(self.part.written(trace, c, t, selections) for c, t in zip(self.written, old, strict=True))

        changed = change(*tables) if ok is None else lax.cond(ok, change, keep, *tables) if tables else ()
        news = dict(zip((c.shared for c in self.written), changed, strict=True))
        for c in self.replaced:
            assert c.value is not None
            new = trace.value(c.value)
            old = trace.value(self.program.first_shared + c.shared) if c.shared in self.donated else None
            same = old is not None and old.shape == new.shape
            news[c.shared] = _own(new if ok is None else where(ok, new, old) if same else new, args)
        self.flagged[_signature(key, args)] = ok is not None
        return (*(news[n] for n in self.order), (ok, results))

    @property
    def order(self) -> list[int]:
        """The variables with new values, in the order in which ``step`` returns them."""
        return self.donated

    def _compute(self, key: Key, *args: Any) -> tuple[Any, ...]:
        """``(flag or None, values that replace, operands of the writes, results)``."""
        trace = self._trace(key, self.value_slots, args)
        trace.run(self.part.stage.instructions)
        self.part.write_selections(trace)
        values = [_own(trace.value(c.value), args) for c in self.replaced if c.value is not None]
        operands = [trace.value(s) if s in self.part.computed else None for s in self.operand_slots]
        known = [trace.value(s) for s in self.part.write_known]
        return _all(trace.flags), values, operands, known, self._results(trace)

    def _write(self, key: Key, *args: Any) -> tuple[Any, ...]:
        trace = self._trace(key, [*self.write_slots, *self.operand_slots], args)
        selections = self.part.write_selections(trace)
        return tuple(
            self.part.written(trace, c, t, selections)
            for c, t in zip(self.written, args[: len(self.written)], strict=True)
        )
