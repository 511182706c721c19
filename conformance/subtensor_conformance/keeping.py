"""Variables whose memory must stay where it is, as that of a file: steps write in it, and tell the keeper first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from subtensor.graph.cells import Change, Write, is_in_place
from subtensor_conformance.witness import Failure


class Noting:
    """A keeper that notes what it is told of, and what the arrays hold then."""

    where = "memory that must stay"
    final = True
    lock: AbstractContextManager[Any] = nullcontext()

    def __init__(self) -> None:
        self.noted: list[tuple[Any, Any, bytes]] = []

    def protect(self, changes: Sequence[Change]) -> tuple[Sequence[Write], Sequence[Write]]:
        for cell, key in changes:
            part = np.zeros(cell.data.shape, bool)
            part[key] = True
            self.noted.append((cell, part, cell.data.tobytes()))
        return (), ()

    def undo(self) -> None:
        """Nothing is kept."""

    def ahead(self, part: Any) -> None:
        """Nothing is read ahead."""


class Kept:
    """The variables of a case, looked after by a keeper, where the backend works in place; else nothing is asked."""

    def __init__(self, backend: Any, shared: Mapping[str, Any]) -> None:
        self.shared = shared if is_in_place(backend) else {}
        self.keeper = Noting()
        for s in self.shared.values():
            s.get_value()
            s.cell.keeper = self.keeper
        self.before = self._now()

    def _now(self) -> dict[str, tuple[int, Any]]:
        return {name: (s.cell.data.ctypes.data, s.cell.data.copy()) for name, s in self.shared.items()}

    def check(self, where: str) -> None:
        """Raises Failure where an array has moved, or has changed where its keeper was not told before."""
        for name, (address, value) in self._now().items():
            was, old = self.before[name]
            if address != was:
                raise Failure("kept", f"{where}{name} must stay where it is; end with subtensor.plugin.commit_kept")
            cell = self.shared[name].cell
            told = np.zeros(value.shape, bool)
            for noted, part, held in self.keeper.noted:
                if noted is cell:
                    told |= part
                    if held != old.tobytes():
                        raise Failure("kept", f"{where}{name} had changed when its keeper was told")
            changed = ~((value == old) | (np.isnan(value) & np.isnan(old)))
            if (changed & ~told).any():
                raise Failure(
                    "kept",
                    f"{where}{name} changed without a word to its keeper; end with subtensor.plugin.commit_kept",
                    f"changes where {told.tolist()}", f"changes where {changed.tolist()}",
                )  # fmt: skip
        self.keeper.noted.clear()
        self.before = self._now()
