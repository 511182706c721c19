"""How a program lies on the devices of a mesh: what is divided in a step, and what all of them have when it leaves."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.sharding import PartitionSpec

from subtensor.errors import ProcessError
from subtensor.graph.indexing import At, Index
from subtensor.graph.roles import Axes
from subtensor.program.linear import Program
from subtensor_jax.arithmetic import Array
from subtensor_jax.meshes import Grid, Names, constrained, names_of, spec_of
from subtensor_jax.nearby import nearby
from subtensor_jax.placing import Placed, place, replaced_like
from subtensor_jax.scatter import Selection
from subtensor_jax.shards import Shards
from subtensor_jax.together import step_of, together
from subtensor_jax.wire import Traffic

_ALL = spec_of()

DRAWS = ("random_bits", "random_unit")
"""Ops that draw numbers: elements of one long row of them, in any shape."""


def shape_of(shape: tuple[int, ...], dtype: Any) -> Any:
    """What has a shape and a dtype, and no values."""
    return jax.ShapeDtypeStruct(shape, dtype)  # type: ignore[no-untyped-call]


class Spread:
    """Where the values of a program lie.

    specs: of the shared variables, by slot. inputs: of the inputs that are divided, by slot. nearby: slots of rows that
    need not travel (see ``nearby``), where a step is one jitted function.
    """

    def __init__(self, program: Program, grid: Grid) -> None:
        self.program = program
        self.grid = grid
        first = program.first_shared
        self.specs = {first + n: grid.spec(s.axes, s.label) for n, s in enumerate(program.shared)}
        axes: Mapping[int, Axes] = {n: getattr(v, "axes", None) for n, v in enumerate(program.inputs)}
        self.inputs = {n: grid.spec(a, program.inputs[n].label) for n, a in axes.items() if a is not None}
        self.targets = {c.value: first + c.shared for c in program.commits if c.value is not None}
        self.traffic = Traffic(program, grid)
        self.nearby = nearby(program, self.specs, self.inputs)
        self.others = together(grid)
        self.digest = "" if self.others is None else hashlib.blake2b(str(program).encode(), digest_size=8).hexdigest()

    # --- traced

    def row_by_row(
        self, names: Names, near: Sequence[Array], others: Sequence[Array], compute: Callable[..., Array]
    ) -> Array:
        """What each device computes of rows that stay near, and of arrays that all have."""

        def local(*arrays: Array) -> Array:
            mine = [lax.squeeze(x, (0,)) for x in arrays[: len(near)]]
            return lax.expand_dims(compute(*mine, *arrays[len(near) :]), (0,))

        specs = (*[spec_of(names)] * len(near), *[_ALL] * len(others))
        mapped = jax.shard_map(local, mesh=self.grid.mesh, in_specs=specs, out_specs=spec_of(names), check_vma=False)
        made: Array = mapped(*near, *others)
        return made

    def entered(self, values: dict[Any, Array]) -> dict[int, Shards]:
        """The tables among the arguments of a step, which are replaced by their views, and inputs by their parts."""
        found: dict[int, Shards] = {}
        for slot, spec in self.specs.items():
            if slot in values:
                shape = self.shape_of(slot, values[slot])
                table = found[slot] = Shards(values[slot], shape, self.grid, spec)
                values[slot] = table.view()
        for slot, spec in self.inputs.items():
            if slot in values:
                values[slot] = self.divided(values[slot], spec)
        return found

    def shape_of(self, slot: int, data: Array) -> tuple[int, ...]:
        """Without the padding. An axis that has a role has a fixed length."""
        static = self.program.shared[slot - self.program.first_shared].type.shape
        return tuple(have if want is None else want for have, want in zip(data.shape, static, strict=True))

    def divided(self, x: Array, spec: PartitionSpec) -> Array:
        """x, of which each device computes with its part."""
        if x.ndim != len(spec) or 0 in x.shape:
            return x
        padded = self.grid.padded(x.shape, spec)
        widths = [(0, have - want, 0) for have, want in zip(padded, x.shape, strict=True)]
        y = lax.pad(x, np.zeros((), x.dtype), widths) if padded != x.shape else x
        y = constrained(y, self.grid.sharding(spec))
        return lax.slice(y, [0] * x.ndim, x.shape) if padded != x.shape else y

    def division(self, s: Selection, index: Index, inputs: Sequence[int]) -> PartitionSpec | None:
        """How the rows at positions are divided: as these are, where they are an input that is divided."""
        for part in index.parts:
            spec = self.inputs.get(inputs[part.slot]) if isinstance(part, At) else None
            if spec is not None and len(spec) == len(s.block) and any(spec):
                entries = [None] * s.at + list(spec) + [None] * (len(s.result) - s.at - len(s.block))
                return spec_of(*entries)
        return None

    def drawn(self, draw: Callable[..., Array], key: Array, dims: Sequence[int], params: Mapping[str, Any]) -> Array:
        """Random numbers; of a variable's shape: each device draws those of its own rows."""
        lengths = {slot: self._rows(slot) for slot in self.specs}
        alike = [names_of(self.specs[slot], 0) for slot, n in lengths.items() if n is None or n in dims[:1]]
        alike = [names for names in alike if names]
        if not dims or not alike or 0 in dims:
            return draw(key, dims, **params)
        names, width = alike[0], math.prod(dims[1:])
        local = -(-dims[0] // math.prod(self.grid.mesh.shape[n] for n in names))

        def part(key: Array) -> Array:
            before = lax.convert_element_type(lax.axis_index(names), np.dtype(np.uint64))
            return draw(key, (local, *dims[1:]), **params, skipped=before * np.uint64(local * width))

        mapped = jax.shard_map(part, mesh=self.grid.mesh, in_specs=_ALL, out_specs=spec_of(names), check_vma=False)
        return lax.slice_in_dim(mapped(key), 0, dims[0])

    def _rows(self, slot: int) -> int | None:
        """Of a shared variable; None where their number is open."""
        shape = self.program.shared[slot - self.program.first_shared].type.shape
        return shape[0] if shape else 0

    def left(self, slot: int, value: Array) -> Array:
        """What leaves a step: divided as the variable that it is for, or whole, for all."""
        if isinstance(value, np.ndarray | np.generic):
            return value
        target = self.targets.get(slot)
        if target is None:
            return constrained(value, self.grid.sharding(_ALL))
        return Shards(value, tuple(value.shape), self.grid, self.specs[target]).filled(value).data

    # --- on the host

    def wrapped(self, slots: Sequence[int], values: Sequence[Any], shapes: Sequence[tuple[int, ...]]) -> list[Any]:
        """What a stage gave: new values of variables with their shapes."""
        found = []
        for slot, value, shape in zip(slots, values, shapes, strict=True):
            target = self.targets.get(slot)
            found.append(value if target is None else Placed(value, shape, self.grid, self.specs[target]))
        return found

    def new_value(self, number: int, value: Any) -> Placed:
        """What variable `number` gets: a value that a stage gave, one that is known, or another variable's."""
        spec = self.specs[self.program.first_shared + number]
        if isinstance(value, Placed):
            return replaced_like(value, spec)
        return place(np.asarray(value), self.grid, spec)

    def constant(self, value: Any) -> Any:
        """A large constant, which each device has."""
        return place(np.asarray(value), self.grid, _ALL).data

    def agree(self, inputs: Sequence[Any]) -> None:
        """Go on when all processes of the mesh are about to make the same step, else raise ProcessError in each."""
        if self.others is not None:
            self.others.agree(step_of(self.program.name, self.digest, self.grid, inputs), self.grid.timeout)

    def lost(self, why: str) -> ProcessError:
        """The error of a step that another process left; later ones raise it too, without waiting for that process."""
        if self.others is not None:
            self.others.broken = why
        return ProcessError(why)

    def wait(self, arrays: Any) -> None:
        """Until all devices are done: one that is may have given its outputs while others still read the arguments."""
        jax.block_until_ready(arrays)  # type: ignore[no-untyped-call]

    def inspect(self, owner: Any, compiled: Any) -> None:
        """Look at what XLA made of a step; raises ShardingError where it gathers what is divided."""
        self.traffic.add(owner, compiled.as_text())
