"""Functions jitted as suits how much they do, for each set of shapes.

On a CPU, XLA divides most kernels among threads, a gather from a large array always. To hand work over and wait for it
takes tens of microseconds, so a function that touches little is compiled without: measured on two cores, a row update
takes a third to three quarters of the time up to 256 kB of rows, as long at 1 MB, and a quarter longer at 4 MB.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from functools import partial
from operator import attrgetter
from typing import Any, TypeAlias

import jax
import numpy as np

Traced: TypeAlias = Callable[..., tuple[Any, int]]

UNDIVIDED_TO = 1 << 20
"""Bytes of the largest array that is computed or read as a whole: up to this one thread does all."""

_shape = attrgetter("shape")

_DIVIDED = {"xla_cpu_copy_insertion_use_region_analysis": True}
"""XLA looks into a condition before it copies a table."""

_UNDIVIDED = {**_DIVIDED, "xla_disable_hlo_passes": "cpu-parallel-task-assigner"}


def nbytes(x: Any) -> int:
    """The size of an array, traced or not."""
    size: int = math.prod(np.shape(x)) * x.dtype.itemsize
    return size


class Jitted:
    """A function of a key, which is hashed, and of arrays, of which the first ones are donated.

    function: called while it is traced; gives the results, and the work as a number of bytes (see ``UNDIVIDED_TO``).
    """

    def __init__(self, function: Traced, donated: int = 0) -> None:
        self.function = function
        self.donated = tuple(range(donated))
        self.works: dict[Hashable, int] = {}
        self.forms: dict[Hashable, tuple[Any, Any]] = {}
        self.ready: dict[Hashable, Any] = {}

    def __call__(self, key: Hashable, *args: Any) -> Any:
        return self.form(key, *args)(*args)

    def form(self, key: Hashable, *args: Any) -> Any:
        """The function of the arrays alone that suits them, compiled: calling it runs no Python code."""
        form = self.ready.get((key, *map(_shape, args)))
        return self.compiled(key, *args)[0] if form is None else form

    def compiled(self, key: Hashable, *args: Any) -> tuple[Any, Any]:
        """The form for new shapes, and what XLA made of it."""
        divided, undivided = self._forms(key)
        traced = divided.trace(*args)
        shapes = key, *map(_shape, args)
        form = undivided if self.works[shapes] <= UNDIVIDED_TO else divided
        made = (traced.lower() if form is divided else form.lower(*args)).compile()
        self.ready[shapes] = form
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
