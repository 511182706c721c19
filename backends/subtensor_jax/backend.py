"""The backend object."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import jax
import numpy as np

from subtensor.errors import PluginError
from subtensor.graph.roles import Axes
from subtensor.program.contract import CAPABILITIES, NO_LOWERINGS, SPEC_VERSION
from subtensor.program.linear import Program
from subtensor_jax import placing
from subtensor_jax.executable import Executable
from subtensor_jax.forks import refused_in_children
from subtensor_jax.memory import moved, read_rows, write_rows
from subtensor_jax.meshes import Grid, present
from subtensor_jax.placing import Placed, place, whole
from subtensor_jax.spread import Spread
from subtensor_jax.together import Together, together, value_of
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
        return self._executable(program, lowerings)

    def _executable(self, program: Program, lowerings: Mapping[str, Callable[..., Any]]) -> Executable:
        return Executable(program, lowerings, strict=self.is_strict())

    def present(self) -> JaxBackend:
        """The backend for functions that are built now: this one, or one on the mesh that is entered."""
        grid = present()
        return self if grid is None else backend_of(grid)

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


class MeshBackend(JaxBackend):
    """Runs programs on a mesh; values lie there as the roles of their axes say."""

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.grid = grid

    def _executable(self, program: Program, lowerings: Mapping[str, Callable[..., Any]]) -> Executable:
        return Executable(program, lowerings, strict=self.is_strict(), spread=Spread(program, self.grid))

    def present(self) -> JaxBackend:
        return self

    def place(self, value: Array, axes: Axes) -> Placed:
        """A value, divided as its axes say."""
        spec = self.grid.spec(axes, f"a value of shape {value.shape}")
        others = together(self.grid)
        if others is not None:
            others.agree(value_of("a new value", value), self.grid.timeout)
        return place(value, self.grid, spec)

    def from_numpy(self, value: Array) -> Placed:  # type: ignore[override]  # its own kind of array
        return self.place(value, None)

    def adopt(self, value: Array, disposable: bool) -> Placed:  # type: ignore[override]  # noqa: ARG002  # as above
        return self.place(value, None)

    def to_numpy(self, array: Placed) -> Array:  # type: ignore[override]  # as above
        return whole(array)

    def read_rows(self, array: Placed, start: int, stop: int) -> Array:  # type: ignore[override]  # as above
        return placing.read_rows(array, start, stop)

    def write_rows(self, array: Placed, start: int, rows: Array) -> Placed:  # type: ignore[override]  # as above
        return placing.write_rows(array, start, rows)

    def share(self, array: Placed) -> Share | None:
        """What this process has of a value; None where no other process has any."""
        others = together(self.grid)
        return None if others is None else Share(array, others)


class Share:
    """See ``subtensor.graph.cells.Share``."""

    def __init__(self, placed: Placed, others: Together) -> None:
        self.others = others
        self.timeout = placed.grid.timeout
        self.index = others.processes.index(others.index)
        self.count = len(others.processes)
        self.here = placing.here(placed)
        self.owned = placing.owned(placed)

    def tell(self, what: str) -> list[str]:
        return self.others.exchange("a checkpoint", what, self.timeout)


@cache
def backend_of(grid: Grid) -> MeshBackend:
    """One for each mesh, so that variables stay where they are."""
    return MeshBackend(grid)


refused_in_children(
    (Executable, "__call__"),
    (Executable, "steps"),
    (MeshBackend, "place"),
    *(
        (backend, name)
        for backend in (JaxBackend, MeshBackend)
        for name in ("compile", "from_numpy", "adopt", "to_numpy", "read_rows", "write_rows")
    ),
)
