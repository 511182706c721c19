"""A function of subtensor as a pure function of JAX, for the user's own ``jit``, ``grad``, ``vmap`` and ``scan``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from subtensor import plugins
from subtensor.errors import CallError, DTypeError, FunctionError, ShapeError, Unsupported
from subtensor.function import Function
from subtensor.graph.nodes import Variable
from subtensor.graph.shared import SharedVariable
from subtensor.graph.types import can_cast
from subtensor.program.building import build
from subtensor.program.lowered import checked_lowerings
from subtensor_jax.arithmetic import Array, dtype_of, full_like, where
from subtensor_jax.binding import Binding
from subtensor_jax.executable import apply_writes
from subtensor_jax.stages import EMPTY_KEY, Part, Setting, every
from subtensor_jax.tracing import OPERATIONS

State = tuple[Array, ...]


class PureFunction:
    """``(state, *inputs) -> (state, outputs)``: see ``to_jax``.

    variables: the shared variables, in the order in which their values stand in a state.
    """

    def __init__(self, function: Function, *, strict: bool = False) -> None:
        outputs, updates = function.graph
        inputs = function.program.inputs
        self.name = function.name
        self.function = function
        lowerings = plugins.lowerings("jax")
        program = build(self.name, inputs, outputs, updates, {*OPERATIONS, *lowerings}, "jax")
        binding = Binding(program)
        self.program = program
        self.variables: tuple[SharedVariable, ...] = program.shared
        lowerings = checked_lowerings(program, lowerings, plugins.lowering_owners("jax"))
        setting = Setting(binding, lowerings, strict, _no_rows)
        self.part = Part(setting, binding.stages[-1], program.outputs, writes=True)
        if binding.last or binding.stages[-1].host:
            raise Unsupported("dynamic_shapes", self._why_not(binding))

    def _why_not(self, binding: Binding) -> str:
        hosted = [binding.made[s].node for s in sorted(binding.hosted)]
        cause = f"{hosted[0].label}, made at {hosted[0].place}" if hosted else "a length or a slice bound"
        return (
            f"{self.name}: to_jax needs shapes that follow from the shapes of the arguments, but {cause}, depends on a "
            "value; write it with where() instead of a mask, or call the function itself"
        )

    # --- state

    def initial(self) -> State:
        """Copies of the variables' values, as jax Arrays. Raises DTypeError for 64-bit floats where JAX has none."""
        self._check_width()
        return tuple(jnp.array(v.get_value()) for v in self.variables)

    def store(self, state: Sequence[Any]) -> None:
        """Give the variables the values of a state."""
        self._check_state(state)
        for v, value in zip(self.variables, state, strict=True):
            v.set_value(np.asarray(value).astype(v.dtype, copy=False))

    def _check_state(self, state: Sequence[Any]) -> None:
        if len(state) != len(self.variables):
            names = ", ".join(v.label for v in self.variables)
            raise CallError(f"{self.name}: the state has {len(state)} arrays; expected one for each of ({names})")

    def _check_width(self) -> None:
        if jax.dtypes.canonicalize_dtype("float64") == np.float64:
            return
        leaves = (*self.program.inputs, *self.program.shared, *(i.node for i in self.program.instructions))
        wide = [v for v in leaves if v.dtype == "float64" and (v.op is None or v.op.name != "cast")]
        if wide:
            raise DTypeError(
                f"{self.name}: {wide[0].label} is float64, but 64-bit types are off in JAX; switch them on with "
                "jax.config.update('jax_enable_x64', True), or build the graph in float32"
            )

    # --- the call

    def __call__(self, state: Sequence[Any], /, *inputs: Any) -> tuple[State, Any]:
        """The new state and the outputs, traced or computed.

        Where a position is out of range nothing can be raised: the state is the old one, and float outputs are NaN.
        """
        self._check_width()
        self._check_state(state)
        program = self.program
        if len(inputs) != len(program.inputs):
            names = ", ".join(v.label for v in program.inputs)
            raise CallError(f"{self.name}: got {len(inputs)} inputs; expected one for each of ({names})")
        values = [self._given(v, x) for v, x in zip((*program.inputs, *program.shared), (*inputs, *state), strict=True)]
        taken = [s for s in self.part.arguments if isinstance(s, int)]  # all: the host prepares nothing here
        slots = [s for s in taken if s < program.first_constant]
        big = [s for s in taken if s >= program.first_constant]
        args = [*(values[s] for s in slots), *(program.known(s) for s in big)]
        trace = self.part.trace(EMPTY_KEY, [*slots, *big], args)
        trace.run(self.part.stage.instructions)
        selections = self.part.selections(trace)
        outputs = [trace.value(o) for o in program.outputs]
        ok = every(trace.flags)
        old = values[program.first_shared :]
        new = list(old)
        for c in program.commits:
            if c.value is not None:
                moved = program.first_shared <= c.value < program.first_constant
                value = values[c.value] if moved else trace.value(c.value)
                new[c.shared] = value if ok is None else where(ok, value, old[c.shared])
            else:
                new[c.shared] = apply_writes(self.part, trace, c, old[c.shared], selections, ok)
        if ok is not None:
            outputs = [_poisoned(jnp.asarray(o), ok) for o in outputs]
        return tuple(new), self.function._pack(tuple(outputs))  # noqa: SLF001  # the form of its outputs

    def _given(self, leaf: Variable, value: Any) -> Array:
        x = jnp.asarray(value)
        want = dtype_of(leaf.dtype)
        if x.ndim != leaf.ndim:
            raise ShapeError(f"{self.name}: {leaf.label} has {leaf.ndim} axes, got a value of shape {x.shape}")
        if x.dtype != want:
            if not can_cast(x.dtype.name, leaf.dtype):
                raise DTypeError(f"{self.name}: {leaf.label} is {leaf.dtype}, got {x.dtype}; convert it with .astype")
            x = x.astype(want)
        return x


def _poisoned(x: Array, ok: Array) -> Array:
    return where(ok, x, full_like(x, np.nan)) if x.dtype.kind == "f" else x


def _no_rows(*_: Any) -> Any:
    raise FunctionError("to_jax: a sub-graph cannot be run row by row here")


def to_jax(function: Function) -> PureFunction:
    """A function of subtensor as a pure function ``(state, *inputs) -> (state, outputs)`` of JAX.

    function: made by ``subtensor.function``, for any backend. A state is a tuple of arrays, one for each of the
    result's ``variables``; ``initial()`` gives their present values and ``store(state)`` puts new ones back. Nothing
    else is read or written. Outputs have the form of the function's own.

    Raises Unsupported where a shape depends on a value (a mask, ``arange(n)``), for JAX's transformations cannot follow
    it; raises DTypeError where the program needs float64 and 64-bit types are off.
    """
    return PureFunction(function)
