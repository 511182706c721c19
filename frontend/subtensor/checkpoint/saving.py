"""``save``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from subtensor.checkpoint import npz
from subtensor.checkpoint import safetensors as form
from subtensor.checkpoint.files import replacing
from subtensor.checkpoint.names import locked, named_variables
from subtensor.checkpoint.parts import save_parts
from subtensor.graph.cells import Cell, Share
from subtensor.graph.nodes import Array
from subtensor.graph.shared import SharedVariable
from subtensor.progress import Bar
from subtensor.progress import progress as progress_bar


def save(path: str | os.PathLike[str], variables: Any, *, progress: bool | None = None) -> None:
    """Write the values of shared variables to a safetensors file, in pieces: no copy of a table is made.

    path: of the file, whose ending says its format: ``.npz`` and, for one variable, ``.npy``, NumPy's; else
    safetensors; or a ``Store``, whose tables of the same names get the values, as one change.
    variables: a shared variable, any number of them, a dict of them by name, the updates that an optimizer gave (the
    variables that it trains and its state), a ``Store``, or a list of these. Names are those in a dict, else the
    variables' own. progress: a bar; None: where it takes more than seconds and a terminal looks on.

    The values are of one moment: no call's updates are seen in part, for calls that use a variable wait until it is
    written. The file is written beside `path`, then renamed: whenever the process ends, `path` is the old file or the
    new one (a process that is killed may leave a hidden ``.partial`` file, which the next save removes). Checksums of
    all values are kept in the file's metadata. Where several processes hold the values (``docs/sharding.md``), all call
    this: each writes its part beside `path`, and `path` itself is the index that makes the parts one checkpoint.

    Raises CheckpointError for variables without a name, for equal names and for names that the format has not, OSError,
    which names the file, as writing does. Where two updates own state of one name (the steps of two Adams), it is kept
    under the name of the first variable that each trains.
    """
    if hasattr(path, "put"):  # a store
        path.put(variables, progress)
        return
    named = named_variables(variables)
    with locked(named):
        for s in named.values():
            s.cell.settle()
        entries = form.layout({name: (s.dtype, s.cell.shape) for name, s in named.items()})
        total = sum(e.nbytes for e in entries.values())
        target = Path(path)
        shares = _shares(named)
        if shares is not None:
            with bar(f"saving {target.name}", total // next(iter(shares.values())).count, progress) as shown:
                save_parts(target, named, shares, shown)
            return
        with bar(f"saving {target.name}", total, progress) as shown, replacing(target) as file:

            def pieces(name: str) -> Iterator[Array]:
                return _bytes_of(named[name].cell, entries[name])

            if target.suffix in (".npy", ".npz"):
                npz.write(file, target.suffix, entries, pieces, shown.update)
            else:
                form.write(file, entries, pieces, shown.update)


@dataclass(frozen=True)
class _Copy:
    """A value of which each process has a copy: the first one answers for it."""

    of: Share
    here: tuple[tuple[int, int], ...]

    @property
    def index(self) -> int:
        return self.of.index

    @property
    def count(self) -> int:
        return self.of.count

    @property
    def owned(self) -> tuple[tuple[int, int], ...]:
        return self.here if self.of.index == 0 else ()

    def tell(self, what: str) -> list[str]:
        return list(self.of.tell(what))


def _shares(named: Mapping[str, SharedVariable]) -> Mapping[str, Share] | None:
    """What this process has of each value; None where no other process has any."""
    found = {name: s.cell.share() for name, s in named.items()}
    some = next((share for share in found.values() if share is not None), None)
    if some is None:
        return None
    whole = {name: ((0, s.cell.shape[0] if s.cell.shape else 1),) for name, s in named.items()}
    shares: dict[str, Share] = {name: share or _Copy(some, whole[name]) for name, share in found.items()}
    return shares


def bar(what: str, total: int, shown: bool | None) -> AbstractContextManager[Bar]:
    """A progress bar over bytes."""
    return progress_bar(what, total, "B", shown)


def _bytes_of(cell: Cell, entry: form.Entry) -> Iterator[Array]:
    """The bytes of a value, in order, as views of the state where they can be."""
    shape = entry.shape
    if not entry.nbytes:
        return
    if not shape:
        yield np.array(cell.read()).reshape(1).view(np.uint8)
        return
    step = max(1, form.PIECE * shape[0] // entry.nbytes)
    for rows in cell.pieces(0, shape[0], step):
        flat = np.ascontiguousarray(rows).reshape(-1)
        yield (flat if flat.dtype.byteorder != ">" else flat.astype(flat.dtype.newbyteorder("<"))).view(np.uint8)
