"""Many steps in one dispatch: a loop on the device over stacked inputs.

The loop goes on while the rules hold, so that it ends at the first step that breaks one, with all earlier ones applied.
How many steps it makes is an argument, so one compilation serves any number up to the next power of two.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, starmap
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from subtensor.graph.cells import Cell, commit
from subtensor_jax.arithmetic import Array
from subtensor_jax.binding import Positions
from subtensor_jax.jitting import Jitted, Work, holds_copy
from subtensor_jax.packing import Outputs
from subtensor_jax.positions import prepared
from subtensor_jax.quick import Rest
from subtensor_jax.stages import EMPTY_KEY, Broken

COPY_MATTERS_FROM = 1 << 20
"""Bytes: a table smaller than this may be copied in a step."""

SPARE = 1 << 22
"""Bytes of arguments that may be filled in so that nothing is compiled anew."""


class Step(Protocol):
    """A step that is one jitted function of leaves."""

    targets: list[int]
    read: list[int]
    given: list[int]
    positions: list[Positions]

    def computed(self, key: Any, *args: Array) -> tuple[list[Array], Array | None, list[Array], Work]:
        """New values, whether all rules hold, outputs, and the work; traced. args: cells, inputs, positions."""
        ...


class Stepper:
    """Runs a step over stacked inputs: ``(inputs, cells) -> (steps made, their outputs stacked)``."""

    def __init__(self, step: Step) -> None:
        self.step = step
        self.jitted = Jitted(self._traced, len(step.targets))
        self.good: dict[Any, bool] = {}
        self.sizes: dict[Any, set[int]] = {}

    def _traced(self, key: Any, *args: Array) -> tuple[tuple[Any, ...], Work]:
        step = self.step
        fixed = len(step.targets) + len(step.read)
        tables, read = args[: len(step.targets)], args[len(step.targets) : fixed]
        *stacked, count = args[fixed:]
        work: list[Work] = []

        def one(k: Array, tables: Sequence[Array]) -> tuple[list[Array], Array | None, list[Array]]:
            now = [lax.dynamic_index_in_dim(x, k, keepdims=False) for x in stacked]
            values, ok, outputs, done = step.computed(key, *tables, *read, *now)
            work.append(done)
            return values, ok, [jnp.asarray(o) for o in outputs]

        like = jax.eval_shape(lambda k, *t: one(k, t)[2], jnp.zeros((), np.int64), *tables)
        rows = stacked[0].shape[0]
        rooms = [jnp.zeros((rows, *o.shape), o.dtype) for o in like]

        def goes_on(state: Any) -> Array:
            k, ok, _, _ = state
            return ok & (k < count)

        def body(state: Any) -> Any:
            k, _, tables, rooms = state
            values, ok, outputs = one(k, tables)
            rooms = [lax.dynamic_update_index_in_dim(r, o, k, 0) for r, o in zip(rooms, outputs, strict=True)]
            held = jnp.asarray(True) if ok is None else ok  # an array
            return k + held.astype(k.dtype), held, values, rooms

        begin = (jnp.zeros((), np.int64), jnp.asarray(True), list(tables), rooms)  # an array
        made, _, values, rooms = lax.while_loop(goes_on, body, begin)
        return (*values, (made, rooms)), work[-1]

    def __call__(self, inputs: tuple[Any, ...], cells: tuple[Cell, ...]) -> tuple[int, Outputs] | None:
        """None where it is not worth while: where the loop would copy a large table at each step."""
        step = self.step
        if not inputs or not len(inputs[0]):
            return None
        wanted = len(inputs[0])
        count = min([wanted, *(_good(inputs[s], n) for s, n in step.positions)])
        rows = self._rows(wanted, tuple(np.shape(x)[1:] for x in inputs), sum(x.nbytes for x in inputs) // wanted)
        stacked = [_padded(inputs[s], rows) for s in step.given]
        stacked += [_padded(prepared(inputs[s][:count], n, []), rows) for s, n in step.positions]
        if not stacked:
            return None
        targets = [cells[n] for n in step.targets]
        args = [*(c.data for c in targets), *(cells[n].data for n in step.read), *stacked, np.int64(count)]
        shapes = tuple(np.shape(a) for a in args)
        if shapes not in self.good:
            code = self.jitted.compiled(EMPTY_KEY, *args)[1]
            tables = [c.data for c in targets if c.data.nbytes >= COPY_MATTERS_FROM]
            self.good[shapes] = not (tables and holds_copy(code.as_text(), tables))
        if not self.good[shapes]:
            return None
        rest = Rest()
        form = self.jitted.form(EMPTY_KEY, *args)
        commit((*targets, rest), chain.from_iterable(starmap(form, (tuple(args),))))
        made, rooms = rest.data
        made = int(made)
        return made, tuple(np.array(r[:made]) if made < rows else np.array(r) for r in rooms)

    def _rows(self, wanted: int, shapes: Any, nbytes: int) -> int:
        """For how many steps to compile: what was compiled before, if what is filled in is no matter."""
        known = self.sizes.setdefault(shapes, set())
        most = max(4 * wanted, SPARE // max(1, nbytes))
        rows = min((n for n in known if wanted <= n <= most), default=1 << max(0, wanted - 1).bit_length())
        known.add(rows)
        return rows


def _good(positions: np.ndarray[Any, Any], length: int) -> int:
    """How many of the first steps have positions that are in range."""
    try:
        prepared(positions, length, [])
    except Broken:
        wrong = (positions < -length) | (positions >= length)
        return int(np.argmax(wrong.reshape(len(positions), -1).any(axis=1)))
    return len(positions)


def _padded(x: np.ndarray[Any, Any], rows: int) -> np.ndarray[Any, Any]:
    """`x` with as many rows as `rows`, of which nobody reads those behind its own."""
    if len(x) == rows:
        return x
    room = np.zeros((rows, *x.shape[1:]), x.dtype)
    room[: len(x)] = x
    return room
