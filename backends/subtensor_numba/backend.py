"""The backend object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from subtensor.program.contract import NO_LOWERINGS
from subtensor.program.linear import Program
from subtensor_numba.emit import FusedEmitter
from subtensor_numpy.backend import NumpyBackend


class NumbaBackend(NumpyBackend):
    """Runs programs with loops that Numba compiles, and what is no loop over rows with NumPy."""

    name = "numba"
    label = "Numba"

    def function(self, program: Program, lowerings: Mapping[str, Callable[..., Any]] = NO_LOWERINGS) -> Any:
        emitter = FusedEmitter(program, lowerings)
        return emitter.function() if emitter.is_worthwhile else super().function(program, lowerings)
