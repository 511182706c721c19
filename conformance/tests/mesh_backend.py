"""The JAX backend on a mesh of four devices: each variable with rows is divided. Run by ``test_mesh.py``, in a process
that has four devices; prints a JSON object for the backend, and one for each mesh that is known to be bad.
"""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import subtensor_jax
from subtensor_conformance.runner import plan, run
from subtensor_jax import executable
from subtensor_jax.backend import MeshBackend
from subtensor_jax.placing import Placed
from subtensor_jax.shards import Shards
from subtensor_jax.tracing import Trace


class MeshedBackend(MeshBackend):
    """Divides the first axis of all variables of a program, where its length is fixed."""

    name = "meshed"

    def compile(self, program, **options):
        for s in program.shared:
            cell = s.cell
            if s.ndim and s.type.shape[0] is not None and not isinstance(cell.data, Placed):
                cell.axes = ("rows", *(None,) * (s.ndim - 1))
        return super().compile(program, **options)


MUTANTS = {}


def mutant(f):
    MUTANTS[f.__name__] = f
    return f


def _up(n):
    return -(-n // 4) * 4


@mutant
def bounds_of_the_padded_length(patch):
    """A position in the padding is one of the table."""
    prepared, traced = executable.prepared, Trace._wrapped_traced
    patch.setattr(executable, "prepared", lambda p, n, spare: prepared(p, _up(n), spare))
    patch.setattr(Trace, "_wrapped_traced", lambda self, p, n: traced(self, p, _up(n)))


@mutant
def padding_that_is_trained(patch):
    """What looks at all of a table looks at its padding, which takes the place of its first rows."""

    def view(self):
        return lax.slice_in_dim(self.data, self.data.shape[0] - self.shape[0], None) if self.is_padded else self.data

    patch.setattr(Shards, "view", view)


@mutant
def increments_lost_between_shards(patch):
    """The last device leaves out what belongs to it."""
    right = Shards._near

    def near(self, s, *, clip):
        found, mine = right(self, s, clip=clip)
        if clip:
            return found, mine
        last = lax.axis_index(self.names) == self.grid.parts(self.spec, 0) - 1
        rows = jnp.where(last, np.asarray(s.shape[0], found.parts[0].dtype), found.parts[0])
        return type(s)(found.shape, (rows, *found.parts[1:]), s.at), mine & ~last

    patch.setattr(Shards, "_near", near)


@mutant
def a_half_that_commits_alone(patch):
    """The devices of one process take the new values, those of the other keep the old ones."""
    right = executable.Executable.__call__

    def call(self, inputs, cells):
        old = [(c.data, [np.array(s.data) for s in c.data.data.addressable_shards]) for c in cells]
        outputs = right(self, inputs, cells)
        for cell, (before, kept) in zip(cells, old, strict=True):
            now = cell.data.data
            if cell.data is not before or len(kept) < 4 or now.sharding.is_fully_replicated:
                continue
            shards = now.addressable_shards
            with jax.enable_x64(True):
                parts = [s.data if k < 2 else jax.device_put(kept[k], s.device) for k, s in enumerate(shards)]
                cell.data.data = jax.make_array_from_single_device_arrays(now.shape, now.sharding, parts)
        return outputs

    patch.setattr(executable.Executable, "__call__", call)


@mutant
def the_first_write_wins(patch):
    """Writes of one batch reach a row in another order."""
    right = Shards.put

    def put(self, y, s, kind, division=None, *, strict, ok):
        if kind == "set" and self.takes(s) and len(s.block) == 1 and s.at == 0 and np.ndim(y) == len(s.result):
            turned = tuple(lax.rev(p, (0,)) if np.ndim(p) == 1 else p for p in s.parts)
            return right(self, lax.rev(y, (0,)), type(s)(s.shape, turned, s.at), kind, division, strict=strict, ok=ok)
        return right(self, y, s, kind, division, strict=strict, ok=ok)

    patch.setattr(Shards, "put", put)


AREAS = ("update", "transaction", "errors", "optimizers")
KILLERS = (
    "update/rows/inc-function/float64",
    "update/rows/set-function/float64",
    "update/ids/many-inc",
    "update/ids/many-set",
    "update/sizes/whole",
    *[c.id for c in plan(("transaction",)) if c.shared][:12],
)


def tried(cases, patched=None):
    grid = subtensor_jax.mesh(rows=4, gather=True).grid
    with pytest.MonkeyPatch.context() as patch:
        if patched is not None:
            patched(patch)
        (result,) = run(MeshedBackend(grid), cases=cases).runs
    told = [f"{r.id}: {r.state}: {r.message[:300]}" for r in result.failures]
    return {"fault": result.fault, "cases": len(result.results), "failures": told}


def main():
    """Cases without variables say nothing about a mesh."""
    print(json.dumps({"name": "none", **tried([c for c in plan(AREAS) if c.shared])}), flush=True)
    for name, patched in MUTANTS.items():
        print(json.dumps({"name": name, **tried(plan(ids=KILLERS), patched)}), flush=True)


if __name__ == "__main__":
    main()
