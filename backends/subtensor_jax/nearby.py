"""Which rows need not travel: those that are only changed, and written back where they came from.

The state of an optimizer is read at the rows of a batch, changed element by element and written at the same rows. The
device that has a row can do all of this alone; what the others compute in its place is dropped where it would be
written. So of a step of Adam only the rows for the cost and the summed gradients travel.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from jax.sharding import PartitionSpec

from subtensor.graph.indexing import At, Index, Slice
from subtensor.program.linear import Instruction, Program
from subtensor_jax.lowerings import ELEMENTWISE
from subtensor_jax.meshes import Names, names_of

Key = tuple[int, Names, int]
"""The slot of the positions, the mesh's axes that divide the rows, and how many rows there are."""

_KEEPING = frozenset({"copy", "spread_rows"})
_ALONG = frozenset({"expand_dims", "sum", "prod", "max", "min"})
"""Ops along some axes: row by row where the first is none of them."""


def nearby(program: Program, specs: Mapping[int, PartitionSpec], divided: Collection[int]) -> dict[int, Key]:
    """The slots whose values stay with the devices that have the rows.

    specs: of the shared variables, by slot. divided: inputs of which each device has a part; what is computed beside
    rows at such positions is divided too.
    """
    keys: dict[int, Key] = {}
    for i in program.instructions:
        key = _key_of(i, keys, program, specs)
        if key is not None and key[0] not in divided:
            keys[i.out] = key
    users: dict[int, list[Instruction]] = {}
    for i in program.instructions:
        for a in {*i.args}:
            users.setdefault(a, []).append(i)
    written: dict[int, list[Key | None]] = {}
    lost = {*program.outputs}
    for c in program.commits:
        if c.value is not None:
            lost.add(c.value)
        for w in c.writes:
            table = program.first_shared + c.shared
            written.setdefault(w.value, []).append(_row_key(table, w.index, w.inputs, program, specs))
            lost.update(w.inputs)
    stay: dict[int, Key] = {}
    for i in reversed(program.instructions):
        key = keys.get(i.out)
        if key is None or i.out in lost:
            continue
        used = [u for u in users.get(i.out, []) if u.op.name != "length"]
        kept = all(stay.get(u.out) == key for u in used) and all(k == key for k in written.get(i.out, []))
        if kept and (used or i.out in written):
            stay[i.out] = key
    return stay


def _key_of(
    i: Instruction, keys: Mapping[int, Key], program: Program, specs: Mapping[int, PartitionSpec]
) -> Key | None:
    """Of rows that are read, or computed row by row from such rows."""
    if i.repeat is not None:
        return None
    name, types = i.op.name, program.types
    if name == "subtensor":
        return _row_key(i.args[0], i.params["index"], i.args[1:], program, specs)
    found = {keys[a] for a in i.args if a in keys}
    if len(found) != 1:
        return None
    if name in ELEMENTWISE:
        whole = name != "power" or types[i.args[1]].dtype.startswith("float")
        by_row = whole and all(types[a].ndim == i.type.ndim for a in i.args if a in keys)
    elif name in _ALONG:
        by_row = 0 not in i.params["axes"]
    else:
        by_row = name in _KEEPING
    return found.pop() if by_row and i.type.ndim else None


def _row_key(
    table: int, index: Index, inputs: Sequence[int], program: Program, specs: Mapping[int, PartitionSpec]
) -> Key | None:
    """Of whole rows of a divided table at a vector of positions."""
    spec = specs.get(table)
    if spec is None or not names_of(spec, 0) or any(names_of(spec, axis) for axis in range(1, len(spec))):
        return None
    first, *rest = index.parts
    length = program.types[table].shape[0]
    if not isinstance(first, At) or length is None or not all(isinstance(p, Slice) and p.is_full for p in rest):
        return None
    positions = inputs[first.slot]
    return (positions, names_of(spec, 0), length) if program.types[positions].ndim == 1 else None
