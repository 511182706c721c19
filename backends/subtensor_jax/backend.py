"""The backend object."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from subtensor.errors import PluginError
from subtensor.program.contract import CAPABILITIES, NO_LOWERINGS, SPEC_VERSION
from subtensor.program.linear import Program
from subtensor_jax.executable import Executable
from subtensor_jax.forks import refused_in_children
from subtensor_jax.memory import moved, read_rows, write_rows
from subtensor_jax.tracing import OPERATIONS

Array = np.ndarray[Any, np.dtype[Any]]


class JaxBackend:
    """Runs programs with JAX, on its default device.

    strict: whether repeated writes are put in order before they are made. None: on devices other than a CPU, which
    promise no order. Set it before functions are built; it starts from ``SUBTENSOR_JAX_STRICT`` (``1`` or ``0``).
    """

    name = "jax"
    spec_version = SPEC_VERSION
    capabilities = CAPABILITIES
    operations = OPERATIONS
    reads_fuse = True

    def __init__(self) -> None:
        self.strict: bool | None = {"1": True, "0": False}.get(os.environ.get("SUBTENSOR_JAX_STRICT", ""))

    def compile(self, program: Program, *, lowerings: Mapping[str, Callable[..., Any]] = NO_LOWERINGS) -> Executable:
        """An executable, which compiles for each new set of shapes when it is called.

        lowerings: functions of traced arrays and parameters, run while a program is traced, with 64-bit types on.
        """
        taken = sorted(OPERATIONS & set(lowerings))
        if taken:
            names = ", ".join(taken)
            raise PluginError(f"the JAX backend lowers {names} itself; a plugin's lowering cannot replace it")
        return Executable(program, lowerings, strict=self.is_strict())

    def is_strict(self) -> bool:
        return jax.default_backend() != "cpu" if self.strict is None else self.strict

    def from_numpy(self, value: Array) -> jax.Array:
        return moved(value, disposable=False)

    def adopt(self, value: Array, disposable: bool) -> jax.Array:
        """As ``from_numpy``; where `value` is disposable, its memory is given back while it is read."""
        return moved(value, disposable=disposable)

    def to_numpy(self, array: jax.Array) -> Array:
        return np.array(array)

    def read_rows(self, array: jax.Array, start: int, stop: int) -> Array:
        return read_rows(array, start, stop)

    def write_rows(self, array: jax.Array, start: int, rows: Array) -> jax.Array:
        return write_rows(array, start, rows)


refused_in_children(
    (Executable, "__call__"),
    (Executable, "steps"),
    *((JaxBackend, name) for name in ("compile", "from_numpy", "adopt", "to_numpy", "read_rows", "write_rows")),
)
