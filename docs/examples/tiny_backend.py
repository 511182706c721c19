"""A whole backend in one file: NumPy, one instruction after another, and no array ever changed in place.

It is written to be read beside ``docs/writing-a-backend.md``, which walks through it, and to be copied: what a library
with immutable arrays needs is all here, and most of it is names.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import special

import subtensor as st
from subtensor.plugin import (
    CAPABILITIES,
    NO_LOWERINGS,
    SPEC_VERSION,
    Cell,
    Executable,
    Index,
    Instruction,
    PluginError,
    Program,
    commit,
)

Array = np.ndarray[Any, np.dtype[Any]]
Lowering = Callable[..., Any]

# --- 1. what each op does to arrays: (*arrays, **params) -> array

SAME_NAME = """
    abs sign exp expm1 log log1p sqrt sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh floor ceil
    trunc rint invert add subtract multiply divide floor_divide mod power maximum minimum arctan2 less less_equal equal
    left_shift right_shift where matmul transpose
"""
OF_SCIPY = "erf erfc erfcx erfinv ndtri gammaln digamma polygamma gammainc gammaincc betainc i0e i1e"


def einsum(a: Array, b: Array, spec: str) -> Array:
    """NumPy's, which would stretch an axis of length 1 to the length that its label has elsewhere: here an error."""
    left, right = spec.partition("->")[0].split(",")
    if any(letter in right and n != b.shape[right.index(letter)] for letter, n in zip(left, a.shape, strict=True)):
        raise ValueError(f"einsum: {spec} of shapes {a.shape} and {b.shape}")
    return np.einsum(spec, a, b)


def sum_to(g: Array, *dims: Array) -> Array:
    """The transpose of ``broadcast_to``: sums over leading axes, and over those that were stretched from length 1."""
    target = lengths(dims)
    lead = g.ndim - len(target)
    stretched = tuple(lead + axis for axis, n in enumerate(target) if n == 1)
    total = g.sum(axis=(*range(lead), *stretched), keepdims=True)
    return fixed_shape(total.squeeze(tuple(range(lead))), target)


def fixed_shape(x: Array, shape: Sequence[int | None]) -> Array:
    if any(want not in (None, have) for have, want in zip(x.shape, shape, strict=True)):
        raise ValueError(f"shape {x.shape} where {shape} was promised")
    return x


def lengths(dims: Sequence[Array]) -> tuple[int, ...]:
    """Lengths come as 0-d integer arrays, after the tensor that they are for."""
    return tuple(int(d) for d in dims)


def key(x: Array, index: Index, inputs: Sequence[Array]) -> Any:
    """The index of x as NumPy takes it, but for two things: it lets uint64 wrap and looks at no position where index
    arrays broadcast to nothing; and it writes in the order of their memory.
    """
    for axis, slot in index.arrays:
        ids, n = inputs[slot], x.shape[axis]
        if ids.size and (ids.min() < -n or ids.max() >= n):
            raise IndexError("position out of range")
    return index.key([np.asarray(i, order="C") for i in inputs])


def subtensor(x: Array, *inputs: Array, index: Index) -> Any:
    return x[key(x, index, inputs)]


def set_subtensor(x: Array, y: Array, *inputs: Array, index: Index) -> Array:
    result = x.copy()
    result[key(x, index, inputs)] = y  # of several writes to one element, the last in C order stays
    return result


def inc_subtensor(x: Array, y: Array, *inputs: Array, index: Index) -> Array:
    result = x.copy()
    np.add.at(result, key(x, index, inputs), y)  # every occurrence counts
    return result


def cast(x: Array, dtype: str) -> Array:
    if x.dtype.kind != "f" or np.dtype(dtype).kind not in "iu":
        return x.astype(dtype)
    ends = np.iinfo(dtype)  # C leaves to the machine what becomes of NaN and of what does not fit
    fitting = [0 if np.isnan(v) else int(min(max(v, ends.min), ends.max)) for v in x.ravel().tolist()]
    return np.array(fitting, dtype).reshape(x.shape)


LOWERINGS: dict[str, Lowering] = {
    **{name: getattr(np, name) for name in SAME_NAME.split()},
    **{name: getattr(special, name) for name in OF_SCIPY.split()},
    "neg": np.negative,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "expand_dims": lambda x, axes: np.expand_dims(x, axis=axes),
    "squeeze": lambda x, axes: np.squeeze(x, axis=axes),
    "cast": cast,
    "copy": lambda x: x.copy(),
    "length": lambda x, axis: x.shape[axis],
    "reshape": lambda x, *dims: x.reshape(lengths(dims)),
    "broadcast_to": lambda x, *dims: np.broadcast_to(x, lengths(dims)),
    "sum_to": sum_to,
    "fixed_shape": fixed_shape,
    "fitting_mask": lambda mask, *dims: fixed_shape(mask, lengths(dims)),
    "ifelse": lambda condition, x, y: x if condition else y,
    "concatenate": lambda *xs, axis: np.concatenate(xs, axis),
    "stack": lambda *xs: np.stack(xs),
    "arange": lambda start, stop, step: np.arange(start, stop, step, dtype=start.dtype),
    "einsum": einsum,
    "sum": lambda x, axes: np.sum(x, axis=axes),
    "prod": lambda x, axes: np.prod(x, axis=axes),
    "max": lambda x, axes: np.max(x, axis=axes),
    "min": lambda x, axes: np.min(x, axis=axes),
    "argmax": np.argmax,
    "argmin": np.argmin,
    "cumsum": np.cumsum,
    "cumprod": np.cumprod,
    "sort": lambda x, axis: np.sort(x, axis, kind="stable"),
    "argsort": lambda x, axis: np.argsort(x, axis, kind="stable"),
    "searchsorted": np.searchsorted,
    "flatnonzero": np.flatnonzero,
    "subtensor": subtensor,
    "set_subtensor": set_subtensor,
    "inc_subtensor": inc_subtensor,
}

# --- 2. how a program runs


def run(
    program: Program, lowerings: Mapping[str, Lowering], inputs: Sequence[Array], state: Sequence[Array]
) -> list[Any]:
    """The value of every slot: inputs, shared variables, constants, then the results of instructions."""
    slots: list[Any] = [*inputs, *state, *(c.data for c in program.constants)]
    for instruction in program.instructions:
        args = [slots[a] for a in instruction.args]
        if instruction.repeat is not None:
            results = loop(instruction, lowerings, args)
        else:
            results = [lowerings[instruction.op.name](*args, **instruction.params)]
        slots += [np.asarray(r, dtype=n.type.dtype) for r, n in zip(results, instruction.nodes, strict=True)]
    return slots


def loop(instruction: Instruction, lowerings: Mapping[str, Lowering], args: Sequence[Array]) -> list[Any]:
    """The program `body` once for each element of the sequences, with what it gives as the states of the next."""
    how, body = instruction.repeat, instruction.body
    assert how is not None
    assert body is not None
    steps = int(args[0])
    count = min(steps, int(args[1])) if how.limited else steps
    end = how.first + how.sequences
    sequences, states, captured = (
        args[how.first : end],
        list(args[end : end + how.states]),
        args[end + how.states : how.taken],
    )
    if steps < 0 or any(len(x) != steps for x in sequences):
        raise ValueError("sequences of other lengths")
    stacks: list[Any] = [None] * len(how.results)
    outputs: list[Array] = []
    for t in reversed(range(count)) if how.reverse else range(count):
        values = run(body, lowerings, [*(x[t] for x in sequences), *states, *captured], [])
        outputs = [values[o] for o in body.outputs]
        if any(np.shape(old) != new.shape for old, new in zip(states, outputs, strict=False)):
            raise ValueError("a state changes its shape")
        states = outputs[: how.states]
        for k, r in enumerate(how.results):
            if r.kind == "stack":
                value = outputs[r.output]
                if stacks[k] is None:
                    stacks[k] = np.zeros((steps, *value.shape), value.dtype)
                fixed_shape(value, stacks[k].shape[1:])
                stacks[k][t] = value
        if how.stops and outputs[how.states]:
            break
    results = []
    for r, stack in zip(how.results, stacks, strict=True):
        if r.kind == "final":
            results.append(np.array(states[r.output]))
        elif r.kind == "last":
            results.append(np.array(outputs[r.output]))  # IndexError where there was no iteration
        else:
            dims = [max(0, int(args[d])) for d in r.dims]
            results.append(np.zeros((steps, *dims)) if stack is None else stack)
    return results


def updated(program: Program, slots: Sequence[Array]) -> list[Array]:
    """The new value of each shared variable that the program updates, in the order of its commits."""
    values = []
    for c in program.commits:
        value = slots[program.first_shared + c.shared if c.value is None else c.value]
        for write in c.writes:
            put = set_subtensor if write.kind == "set" else inc_subtensor
            value = put(value, slots[write.value], *(slots[i] for i in write.inputs), index=write.index)
        values.append(value)
    return values


# --- 3. the backend, and the hook that offers it


class TinyBackend:
    """See ``subtensor.plugin.Backend`` for what each attribute means."""

    name = "tiny"
    spec_version = SPEC_VERSION
    capabilities = CAPABILITIES
    operations = frozenset({*LOWERINGS, "scan"})

    def compile(self, program: Program, *, lowerings: Mapping[str, Lowering] = NO_LOWERINGS) -> Executable:
        """lowerings: functions ``(*arrays, **params) -> array``, as those of this file."""
        if twice := sorted(self.operations & set(lowerings)):
            raise PluginError(f"backend {self.name!r}: a plugin brings lowerings of {twice}, which it has itself")
        every = {**LOWERINGS, **lowerings}
        targets = [c.shared for c in program.commits]

        def execute(inputs: tuple[Array, ...], cells: tuple[Cell, ...]) -> tuple[Array, ...]:
            with np.errstate(all="ignore"):  # NaN and infinities are results, not warnings
                slots = run(program, every, inputs, [cell.data for cell in cells])
                values = updated(program, slots)
            commit([cells[i] for i in targets], values)  # nothing can fail after this line
            return tuple(slots[o] for o in program.outputs)

        return execute

    def from_numpy(self, value: Array) -> Array:
        return value.copy()

    def to_numpy(self, array: Array) -> Array:
        return array.copy()


_backend = TinyBackend()


@st.hookimpl
def subtensor_backend() -> TinyBackend:
    return _backend
