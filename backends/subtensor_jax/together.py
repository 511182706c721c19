"""Processes that run one program together: before each step they tell one another what they are about to do.

A collective in which a process does not take part waits for ever, and one in which processes mean different things
gives nonsense; so nothing is dispatched before all have said the same. They say it through the key-value store of JAX's
coordination service, which takes less than a millisecond on one machine, and gives up after a time.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Sequence
from functools import cache
from typing import Any

import jax
import numpy as np
from jax._src import distributed  # JAX has no other door to its key-value store

from subtensor.errors import ProcessError
from subtensor_jax.meshes import Grid

_SUMMED = 64 << 20
"""Bytes of the largest value that processes compare."""

_MOST = 2000
"""Characters of what a process says."""


class Together:
    """Some processes, this one among them."""

    def __init__(self, processes: tuple[int, ...]) -> None:
        self.processes = processes
        self.index = jax.process_index()
        self.others = [p for p in processes if p != self.index]
        self.round = 0
        self.lock = threading.Lock()
        self.broken: str | None = None

    def tell(self, what: str, timeout: float) -> dict[int, str]:
        """What each process says in this round. Raises ProcessError where one does not come."""
        if not self.others:
            return {self.index: what}
        with self.lock:
            if self.broken is not None:
                raise ProcessError(self.broken)
            client: Any = distributed.global_state.client
            place = f"subtensor/{'-'.join(map(str, self.processes))}"
            now, self.round = self.round, self.round + 1
            said = {self.index: what}
            for p in (None, *self.others):
                try:
                    if p is None:
                        client.key_value_set(f"{place}/{now}/{self.index}", what)
                    else:
                        said[p] = client.blocking_key_value_get(f"{place}/{now}/{p}", int(timeout * 1000))
                except BaseException as error:
                    self.broken = (
                        f"{_first(what)}: process {self.index} waited for {self._named(p)}, which did not come: it is "
                        f"gone, or does something else, or takes longer than the {timeout:g} s of mesh(timeout=...); "
                        "nothing was changed here, but the processes can no longer work together. Start them again, "
                        "from the last checkpoint"
                    )
                    if not isinstance(error, Exception):
                        raise
                    raise ProcessError(self.broken) from error
            if now:  # all have read what was said before
                client.key_value_delete(f"{place}/{now - 1}/{self.index}")
            return said

    def exchange(self, occasion: str, what: str, timeout: float) -> list[str]:
        """What each process says on an occasion, in their order. Raises ProcessError where one is at another."""
        said = self.tell(f"{occasion}\n{what}", timeout)
        self._same({p: _first(text) for p, text in said.items()})
        return [said[p].partition("\n")[2] for p in self.processes]

    def agree(self, what: str, timeout: float) -> None:
        """Go on when all processes say the same. Raises ProcessError in all of them where they do not."""
        self._same(self.tell(what[:_MOST], timeout))

    def _same(self, said: dict[int, str]) -> None:
        if len(set(said.values())) > 1:
            each = "; ".join(f"process {p}: {_first(text)}" for p, text in sorted(said.items()))
            different = _difference([text.split("\n") for text in said.values()])
            raise ProcessError(
                f"processes that run one program disagree about {different}: {each}; expected the same calls with the "
                "same arguments in each, in the same order. Nothing was changed in any of them"
            )

    def _named(self, p: int | None) -> str:
        return "the coordination service" if p is None else f"process {p}"


def _first(what: str) -> str:
    return what.split("\n", 1)[0]


_SAID = ("what is done next", "the program", "the mesh", "the values of arguments")


def _difference(said: Sequence[Sequence[str]]) -> str:
    """In what the first difference lies: see ``step_of``."""
    for k, name in enumerate(_SAID):
        if len({parts[k] if k < len(parts) else "" for parts in said}) > 1:
            return name
    return "what is done next"


def step_of(name: str, program: str, grid: Grid, inputs: Sequence[Any]) -> str:
    """What a process says before a step: the call, then sums over the program, the mesh and the arguments."""
    shapes = ", ".join(str(tuple(np.shape(x))) for x in inputs)
    values = 0
    for x in inputs:
        values = zlib.crc32(np.ascontiguousarray(x).tobytes(), values)
    return "\n".join((f"{name}({shapes})", program, f"{grid} {grid.served}", f"{values:08x}"))


def value_of(what: str, value: Any) -> str:
    """What a process says before it brings a value to the mesh. Of large ones the shape alone."""
    values = 0
    if value.nbytes <= _SUMMED:
        values = zlib.crc32(np.ascontiguousarray(value).tobytes())
    return "\n".join((f"{what} of shape {value.shape}", value.dtype.name, "", f"{values:08x}"))


@cache
def _among(processes: tuple[int, ...]) -> Together:
    return Together(processes)


def together(grid: Grid) -> Together | None:
    """The processes of a mesh; None where this one has all of it."""
    processes = grid.processes
    return _among(processes) if len(processes) > 1 else None
