"""The backend object."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from subtensor.errors import PluginError
from subtensor.graph.cells import Cell
from subtensor.graph.nodes import Input
from subtensor.graph.types import TensorType
from subtensor.program.contract import CAPABILITIES, NO_LOWERINGS, SPEC_VERSION, Timing
from subtensor.program.linear import Instruction, Program
from subtensor_numpy.emit import OPERATIONS, Emitter
from subtensor_numpy.timing import timed
from subtensor_numpy.workspace import workspace

Array = np.ndarray[Any, np.dtype[Any]]


_inside = contextvars.ContextVar("inside", default=False)
"""Whether a program is running: set in the contexts that they run in, so that nothing has to be set back."""


def _quiet_context() -> contextvars.Context:
    context = contextvars.copy_context()
    context.run(np.seterr, all="ignore")
    context.run(_inside.set, True)
    return context


class _Quiet(threading.local):
    """A context, one for each thread, in which NumPy does not warn: entering it costs far less than ``np.errstate``."""

    def __init__(self) -> None:
        self.run = _quiet_context().run


_quiet = _Quiet()


class NumpyBackend:
    """Runs programs with NumPy, and SciPy for some special functions and for adding rows."""

    name = "numpy"
    label = "NumPy"
    spec_version = SPEC_VERSION
    capabilities = CAPABILITIES
    operations = OPERATIONS
    in_place = True

    def compile(
        self, program: Program, *, lowerings: Mapping[str, Callable[..., Any]] = NO_LOWERINGS
    ) -> Callable[[tuple[Array, ...], tuple[Cell, ...]], tuple[Array, ...]]:
        """One Python function for the whole program. lowerings: functions of arrays and parameters.

        Raises PluginError for a lowering of an op that this backend lowers itself.
        """
        if taken := sorted(OPERATIONS & set(lowerings)):
            names = ", ".join(taken)
            raise PluginError(f"the {self.label} backend lowers {names} itself; a plugin's lowering cannot replace it")
        function = self.function(program, lowerings)

        def run(inputs: tuple[Array, ...], cells: tuple[Cell, ...]) -> tuple[Array, ...]:
            if _inside.get():  # a lowering that itself calls a compiled function: a context is entered only once
                with workspace.another():
                    return _quiet_context().run(function, inputs, cells)
            return _quiet.run(function, inputs, cells)

        def profile(inputs: tuple[Array, ...], cells: tuple[Cell, ...], rounds: int) -> list[Timing]:
            loops = getattr(function, "loops", {})
            leaves = program.first_constant + len(program.constants)
            return timed(function.statements, _quiet.run, loops, leaves, inputs, cells, rounds)  # type: ignore[attr-defined]

        # the source, for those who want to read it, and what else there is
        run.__dict__.update(function.__dict__, profile=profile)
        return run

    def function(self, program: Program, lowerings: Mapping[str, Callable[..., Any]]) -> Callable[..., Any]:
        """The function ``(inputs, cells) -> outputs`` of a program."""
        return Emitter(program, lowerings).function()

    def from_numpy(self, value: Array) -> Array:
        return np.array(value, order="C")

    def to_numpy(self, array: Array) -> Array:
        return np.array(array)

    def evaluate(self, instruction: Instruction, args: Sequence[Array]) -> Any:
        """One instruction on NumPy arrays, for diagnosis; of a loop, all its results."""
        n = len(args)
        nodes = instruction.nodes
        alone = replace(instruction, args=tuple(range(n)), out=n, overwrites=None)
        if instruction.body is None:
            inputs = instruction.node.inputs
        else:  # whose arguments are those of all its nodes
            inputs = tuple(Input(TensorType(a.dtype.name, a.shape)) for a in args)
        types = (*(i.type for i in inputs), *(v.type for v in nodes))
        program = Program("diagnosis", inputs, (), (), (alone,), tuple(alone.outs), (), types)
        results = Emitter(program, {}).function()(tuple(args), ())
        return results if instruction.repeat is not None else results[0]
