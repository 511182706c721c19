"""What travels between devices, as XLA compiled it: bytes for each step, and who made a table whole."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from subtensor.errors import ShardingError
from subtensor.graph.nodes import Variable
from subtensor.program.linear import Program
from subtensor_jax.meshes import Grid

_SCOPE = "subtensor_slot_"

_KINDS = ("all-gather", "all-reduce", "all-to-all", "collective-permute", "reduce-scatter", "ragged-all-to-all")
_OPERATION = re.compile(
    rf"%(?P<own>[\w.-]+) = (?P<results>.+?) (?P<kind>{'|'.join(_KINDS)})(?P<start>-start)?\((?P<rest>.*)"
)
_ARRAY = re.compile(r"\b(pred|[suf]\d+|bf16|c64|c128)\[([\d,]*)\]")
_GROUPS = re.compile(
    r"replica_groups=(?:\{\{(?P<list>[\d,]*)\}|\[\d+,(?P<size>\d+)\]|mesh\[(?P<axes>[^\]]*)\] ?\{(?P<over>[^}]*)\})"
)
_AXIS = re.compile(r"'([^']*)'=(\d+)")
_NAME = re.compile(r'op_name="([^"]*)"')
_BITS = {"pred": 8, "bf16": 16, "c64": 64, "c128": 128}


def scope_of(slot: int) -> str:
    """The name under which XLA keeps what an instruction became."""
    return f"{_SCOPE}{slot}_"


@dataclass(frozen=True)
class Transfer:
    """One transfer of a step. kind: XLA's name for it. shapes: of what it results in, on one device. nbytes: of these.
    devices: how many take part. name: what it was made from.
    """

    kind: str
    shapes: tuple[tuple[int, ...], ...]
    nbytes: int
    devices: int
    name: str

    @property
    def wire(self) -> float:
        """Bytes that each device sends, where they form a ring."""
        n = max(1, self.devices)
        share = {"all-reduce": 2 * (n - 1) / n, "reduce-scatter": n - 1, "collective-permute": 1}
        return self.nbytes * share.get(self.kind, (n - 1) / n)


def transfers(code: str, devices: int) -> list[Transfer]:
    """The transfers in compiled code (XLA's text form). devices: of the mesh."""
    found = []
    lines = code.splitlines()
    for line in lines:
        m = _OPERATION.search(line)
        if m is None:
            continue
        arrays = [(kind, tuple(int(n) for n in dims.split(",") if n)) for kind, dims in _ARRAY.findall(m["results"])]
        if m["start"] and len(arrays) > 1:  # operands and results
            arrays = arrays[len(arrays) // 2 :]
        nbytes = sum(
            math.prod(dims) * _BITS.get(kind, 0 if kind in _BITS else _bits(kind)) // 8 for kind, dims in arrays
        )
        shapes = tuple(dims for _, dims in arrays)
        found.append(Transfer(m["kind"], shapes, nbytes, _group(m["rest"], devices), _name(m["own"], lines)))
    return found


def _group(rest: str, devices: int) -> int:
    """How many devices take part in a transfer."""
    group = _GROUPS.search(rest)
    if group is None:
        return devices
    if group["over"] is not None:
        over = re.findall(r"'([^']*)'", group["over"])
        return math.prod(int(n) for axis, n in _AXIS.findall(group["axes"]) if axis in over)
    return int(group["size"]) if group["size"] else len([n for n in group["list"].split(",") if n]) or devices


def _name(own: str, lines: Sequence[str]) -> str:
    """What an operation was made from: its own name, or that of what first uses it, where only this one tells."""
    seen, search = {own}, [own]
    for each in search:
        uses = re.compile(rf"%{re.escape(each)}(?![\w.-])")
        for line in lines:
            if not uses.search(line):
                continue
            result = re.match(r"\s*(?:ROOT )?%([\w.-]+) = ", line)
            name = _NAME.search(line)
            if name is not None and _SCOPE in name[1]:
                return name[1]
            if result is not None and result[1] not in seen and len(seen) < _FAR:
                seen.add(result[1])
                search.append(result[1])
    return ""


_FAR = 20
"""Operations that are looked at for a name."""


def _bits(kind: str) -> int:
    digits = re.sub(r"\D", "", kind)
    return int(digits) if digits else 0


class Traffic:
    """What the steps of a program send. Refuses those that gather a value which the program wants divided."""

    def __init__(self, program: Program, grid: Grid) -> None:
        self.program = program
        self.grid = grid
        self.made: dict[int, list[Transfer]] = {}

    def add(self, owner: Any, code: str) -> None:
        """Enter compiled code; it takes the place of what its owner compiled before."""
        found = transfers(code, self.grid.mesh.size)
        if not self.grid.gather:
            for transfer in found:
                self._refuse(transfer)
        self.made[id(owner)] = found

    def notes(self) -> list[str]:
        """Lines for ``fn.explain()``."""
        head = f"over {self.grid}"
        if not self.made:
            return [f"{head}; what travels is known after the first call"]
        lines = [f"{head}: each device sends {math.ceil(sum(t.wire for t in self.latest)):,} bytes in a step"]
        for t in self.latest:
            node = self._maker(t.name)
            shapes = ", ".join(str(dims) for dims in t.shapes)
            lines.append(f"  {t.kind} of {shapes}" + ("" if node is None else f", for {node.label}"))
        return lines

    @property
    def latest(self) -> list[Transfer]:
        """The transfers of a step, as compiled last."""
        return [t for each in self.made.values() for t in each]

    def _refuse(self, transfer: Transfer) -> None:
        if transfer.kind != "all-gather":
            return
        for s in self.program.shared:
            shape = s.cell.shape
            if s.axes is None or not any(s.axes) or not shape:
                continue
            spec = self.grid.spec(s.axes, s.label)
            divided = [n for axis, n in enumerate(shape) if self.grid.parts(spec, axis) > 1]
            padded = self.grid.padded(shape, spec)
            if not divided:
                continue
            size = math.prod(shape)
            if any(math.prod(dims) >= size and _holds(dims, shape, padded) for dims in transfer.shapes):
                node = self._maker(transfer.name)
                cause = "an output of it" if node is None else f"{node.label}, made at {node.place},"
                raise ShardingError(
                    f"{self.program.name}: {cause} needs all of {s.label}, shape {shape}, on each device, and "
                    f"it is divided over {self.grid}; read or write rows of it, reduce it, or take it to the host with "
                    "get_value(); mesh(..., gather=True) lets each device have all of it"
                )

    def _maker(self, name: str) -> Variable | None:
        """The node that became an operation."""
        slots = [int(n) for n in re.findall(rf"{_SCOPE}(\d+)_", name)]
        for i in self.program.instructions:
            if slots and slots[-1] in i.outs:
                return i.nodes[slots[-1] - i.out]
        return None


def _holds(dims: Sequence[int], shape: Sequence[int], padded: Sequence[int]) -> bool:
    """Whether an array of these lengths has an axis as long as the table."""
    return max(shape) in dims or max(padded) in dims
