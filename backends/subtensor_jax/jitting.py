"""Functions jitted as suits how much they do, for each set of shapes.

On a CPU, XLA divides most kernels among threads, a gather from a large array always. To hand work over and wait for it
takes tens of microseconds, so a function that touches little is compiled without (``Work``).
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any, TypeAlias

import jax
import numpy as np

UNDIVIDED_TO = 1 << 20
"""Bytes of the largest array that is computed or read as a whole: beyond this, threads pay."""

HAND_OVER = 384 << 10
"""Bytes of rows that one thread gathers while the threads hand over a gather and wait for it, twice.

Measured on two cores with rows that no cache holds: undivided, a row update takes 0.85 of the time at 16 kB of rows, as
long at 256 kB, and a tenth to a quarter longer at 512 kB; skip-gram, which gathers from two tables, takes 0.88 of it at
700 kB together, and as long at 1.4 MB.
"""

_shape = attrgetter("shape")

_DIVIDED = {"xla_cpu_copy_insertion_use_region_analysis": True}
"""XLA looks into a condition before it copies a table."""

_UNDIVIDED = {**_DIVIDED, "xla_disable_hlo_passes": "cpu-parallel-task-assigner"}


def nbytes(x: Any) -> int:
    """The size of an array, traced or not."""
    size: int = math.prod(np.shape(x)) * x.dtype.itemsize
    return size


_LETTERS = {"b": "pred", "i": "s", "u": "u", "f": "f", "V": "bf"}


def holds_copy(code: str, tables: Sequence[Any]) -> bool:
    """Whether compiled code (XLA's text form) copies an array of the dtype and shape of one of `tables`."""
    for t in tables:
        bits = "" if t.dtype == bool else 8 * t.dtype.itemsize
        shape = ",".join(map(str, t.shape))
        if re.search(rf"= {_LETTERS[t.dtype.kind]}{bits}\[{shape}\]\S* copy\(", code):
            return True
    return False


@dataclass(slots=True)
class Work:
    """How much a function does.

    largest: bytes of the largest array that is computed or read as a whole. spared: bytes that its gathers read, beyond
    what it costs to hand each of them over.
    """

    largest: int = 0
    spared: int = 0

    def touch(self, *arrays: Any) -> None:
        """Note arrays that are computed or read as a whole."""
        self.largest = max(self.largest, *map(nbytes, arrays))

    def gather(self, table: Any, rows: Any) -> None:
        """Note what was read at positions, and from what."""
        if nbytes(table) > UNDIVIDED_TO:
            self.spared += nbytes(rows) - HAND_OVER

    @property
    def divided(self) -> bool:
        """Whether threads should share it."""
        return self.largest > UNDIVIDED_TO or self.spared > 0


Traced: TypeAlias = Callable[..., tuple[Any, Work]]


class Jitted:
    """A function of a key, which is hashed, and of arrays, of which the first ones are donated.

    function: called while it is traced; gives the results, and its work. inspect: called with what was compiled, before
    it runs. seconds: how long compiling took, in all.
    """

    def __init__(
        self, function: Traced, donated: int = 0, inspect: Callable[[Jitted, Any], None] | None = None
    ) -> None:
        self.function = function
        self.inspect = inspect
        self.donated = tuple(range(donated))
        self.works: dict[Hashable, Work] = {}
        self.forms: dict[Hashable, tuple[Any, Any]] = {}
        self.ready: dict[Hashable, Any] = {}
        self.seconds = 0.0

    def __call__(self, key: Hashable, *args: Any) -> Any:
        return self.form(key, *args)(*args)

    def form(self, key: Hashable, *args: Any) -> Any:
        """The function of the arrays alone that suits them, compiled: calling it runs no Python code."""
        form = self.ready.get((key, *map(_shape, args)))
        return self.compiled(key, *args)[0] if form is None else form

    def compiled(self, key: Hashable, *args: Any) -> tuple[Any, Any]:
        """The form for new shapes, and what XLA made of it."""
        start = time.perf_counter()
        divided, undivided = self._forms(key)
        traced = divided.trace(*args)
        shapes = key, *map(_shape, args)
        form = divided if self.works[shapes].divided else undivided
        made = (traced.lower() if form is divided else form.lower(*args)).compile()
        if self.inspect is not None:
            self.inspect(self, made)
        self.ready[shapes] = form
        self.seconds += time.perf_counter() - start
        return form, made

    def _forms(self, key: Hashable) -> tuple[Any, Any]:
        forms = self.forms.get(key)
        if forms is None:
            on_cpu = jax.default_backend() == "cpu"
            function = partial(self._run, key)  # traced once, as the forms have it in common
            divided = jax.jit(function, donate_argnums=self.donated, compiler_options=_DIVIDED if on_cpu else None)
            undivided = jax.jit(function, donate_argnums=self.donated, compiler_options=_UNDIVIDED)
            forms = self.forms[key] = (divided, undivided if on_cpu else divided)
        return forms

    def _run(self, key: Hashable, *args: Any) -> Any:
        results, work = self.function(key, *args)
        self.works[key, *map(_shape, args)] = work
        return results
