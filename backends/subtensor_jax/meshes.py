"""Which devices serve which role: meshes, and the functions that are built for them.

A program names roles (``shared(value, axes=("rows", None))``); a mesh says over which devices the axes of a role are
divided. Functions that are built while a mesh is entered run on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import Any, Self

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from subtensor.errors import ArgumentError, ShardingError
from subtensor.graph.roles import Axes

Names = tuple[str, ...]


@dataclass(frozen=True)
class Grid:
    """A mesh and what it serves. Equal where both are.

    served: pairs of a role and the mesh's axes over which its axes are divided; none where everyone has them whole.
    gather: whether a step may gather what is divided. timeout: seconds for which processes wait for each other.
    """

    mesh: Mesh
    served: tuple[tuple[str, Names], ...]
    gather: bool = False
    timeout: float = 80.0

    def names(self, role: str | None, what: str) -> Names:
        """The mesh's axes that serve a role. Raises ShardingError where the mesh has nothing for it."""
        if role is None:
            return ()
        for known, names in self.served:
            if known == role:
                return names
        raise ShardingError(
            f"{what} has an axis for {role!r}, which the mesh does not serve; it serves "
            f"{', '.join(known for known, _ in self.served) or 'no role'}: give it devices, mesh({role}=4), or "
            f"say that each device has all of that axis, mesh({role}=None)"
        )

    def spec(self, axes: Axes, what: str) -> PartitionSpec:
        """How a value with these roles is divided. Raises ShardingError where two of its roles share devices."""
        names = [self.names(role, what) for role in axes or ()]
        every = [n for each in names for n in each]
        if len(set(every)) < len(every):
            raise ShardingError(
                f"{what} has axes {axes}, of which two are served by the same devices, {self}; expected devices of its "
                "own for each axis of one value"
            )
        return spec_of(*(n or None for n in names))

    def sharding(self, spec: PartitionSpec) -> NamedSharding:
        return NamedSharding(self.mesh, spec)

    def parts(self, spec: PartitionSpec, axis: int) -> int:
        """In how many parts an axis is divided."""
        return int(np.prod([self.mesh.shape[n] for n in names_of(spec, axis)], dtype=np.int64))

    def padded(self, shape: Sequence[int], spec: PartitionSpec) -> tuple[int, ...]:
        """The least shape whose axes can be divided."""
        return tuple(-(-n // (p := self.parts(spec, axis))) * p for axis, n in enumerate(shape))

    @property
    def processes(self) -> tuple[int, ...]:
        """The processes that have devices of it."""
        return tuple(sorted({d.process_index for d in self.mesh.devices.flat}))

    def __str__(self) -> str:
        sizes = ", ".join(f"{name}: {n}" for name, n in self.mesh.shape.items())
        return f"a mesh of {{{sizes}}}"


def spec_of(*entries: Any) -> PartitionSpec:
    """For each axis, the mesh's axes over which it is divided, or None."""
    return PartitionSpec(*entries)  # type: ignore[no-untyped-call]


def constrained(x: Any, sharding: NamedSharding) -> Any:
    """x, traced, lying as said."""
    return jax.lax.with_sharding_constraint(x, sharding)  # type: ignore[no-untyped-call]


def names_of(spec: PartitionSpec, axis: int) -> Names:
    """The mesh's axes over which an axis is divided."""
    entry = spec[axis] if axis < len(spec) else None
    if entry is None:
        return ()
    return (entry,) if isinstance(entry, str) else tuple(entry)


_present: ContextVar[tuple[Grid, ...]] = ContextVar("subtensor_jax_mesh", default=())


def present() -> Grid | None:
    """The mesh that is entered, innermost."""
    entered = _present.get()
    return entered[-1] if entered else None


@dataclass(frozen=True)
class DeviceMesh:
    """A mesh that can be entered: ``with mesh(rows=4): ...``. Functions that are built inside run on it, ever after."""

    grid: Grid
    _tokens: list[Token[tuple[Grid, ...]]] = field(default_factory=list, compare=False, repr=False)

    @property
    def mesh(self) -> Mesh:
        """The ``jax.sharding.Mesh``."""
        return self.grid.mesh

    def __enter__(self) -> Self:
        self._tokens.append(_present.set((*_present.get(), self.grid)))
        return self

    def __exit__(self, *_: object) -> None:
        _present.reset(self._tokens.pop())


def mesh(
    *given: Any, devices: Sequence[Any] | None = None, gather: bool = False, timeout: Any = 80.0, **roles: Any
) -> DeviceMesh:
    """Devices for roles, to be entered by ``with``: functions that are built inside run on them.

    ``mesh(rows=4)``: axes with the role ``rows`` are divided over four devices. ``mesh(rows=2, batch=2)``: over two
    each, in a grid of four. ``mesh("rows", "batch")``: over all devices, and so is the other role. ``mesh(rows=4,
    batch="rows")``: a role that another one's devices serve; ``batch=None``: each device has all of such axes. A
    ``jax.sharding.Mesh`` may come first; its own axes are then what the names stand for: ``mesh(m, rows=("x", "y"))``,
    or, with nothing beside, the roles.

    devices: those to take, in order; all that there are, those of other processes too, where None. gather: whether a
    step that cannot run without gathering a divided value may do so; else it is refused. timeout: seconds after which
    a process that waits for another gives up.

    Raises ShardingError for what is no mesh, and where there are too few devices; ArgumentError for other arguments.
    """
    if not isinstance(timeout, int | float) or not timeout > 0:
        raise ArgumentError(f"mesh: timeout={timeout!r}; expected seconds, more than 0")
    if given and isinstance(given[0], Mesh):
        if len(given) > 1 or devices is not None:
            raise ArgumentError("mesh: got a jax.sharding.Mesh and more; expected role=axis pairs beside it, only")
        grid, named = given[0], dict(roles or {name: name for name in given[0].axis_names})
        made = Mesh(grid.devices, grid.axis_names)  # whose axes JAX divides by itself
        return DeviceMesh(Grid(made, _served(made, named), gather, float(timeout)))
    for role in given:
        if not isinstance(role, str) or not role.isidentifier():
            raise ArgumentError(
                f"mesh: {role!r} is no role; expected words such as 'rows', or a jax.sharding.Mesh first"
            )
    available = list(jax.devices() if devices is None else devices)
    lengths: dict[str, int] = {role: n for role, n in roles.items() if isinstance(n, int) and not isinstance(n, bool)}
    taken = int(np.prod(list(lengths.values()), dtype=np.int64))
    if any(n < 1 for n in lengths.values()):
        raise ShardingError(f"mesh: {lengths}; expected numbers of devices, 1 or more")
    if given:
        lengths = {given[0]: len(available) // taken, **lengths}
        roles = {**dict.fromkeys(given[1:], given[0]), **roles}
    if not lengths:
        raise ShardingError("mesh: no devices for any role; expected mesh('rows'), mesh(rows=4) or a jax.sharding.Mesh")
    needed = int(np.prod(list(lengths.values()), dtype=np.int64))
    if not 0 < needed <= len(available):
        raise ShardingError(
            f"mesh: {lengths} takes {max(needed, taken)} devices, there are {len(available)}; expected as many at most "
            "(on a CPU, XLA_FLAGS=--xla_force_host_platform_device_count=4 makes four)"
        )
    made = Mesh(np.array(available[:needed]).reshape(tuple(lengths.values())), tuple(lengths))
    return DeviceMesh(Grid(made, _served(made, {**{r: r for r in lengths}, **_others(roles)}), gather, float(timeout)))


def _others(roles: Mapping[str, Any]) -> dict[str, Any]:
    return {role: n for role, n in roles.items() if not isinstance(n, int) or isinstance(n, bool)}


def _served(made: Mesh, roles: Mapping[str, Any]) -> tuple[tuple[str, Names], ...]:
    served = []
    for role, value in roles.items():
        names = () if value is None else (value,) if isinstance(value, str) else value
        if not isinstance(names, tuple) or not all(n in made.axis_names for n in names):
            raise ShardingError(
                f"mesh: {role}={value!r}; expected a number of devices, None, or axes of the mesh, which has "
                f"{', '.join(map(str, made.axis_names))}"
            )
        served.append((role, names))
    return tuple(served)
