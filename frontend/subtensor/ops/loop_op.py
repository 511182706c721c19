"""The op ``scan``: one quantity of a loop (see ``subtensor.ops.loop``).

``scan(steps, [limit], *dims, *values; loop, kind, output)``. steps: 0-d int64. limit: 0-d int64, for a loop that is
limited. dims: lengths of one value, int64 scalars, where what is asked for is stacked or last. values: sequences,
initial states and what does not change, as far as the quantity needs them.
"""

from __future__ import annotations

from collections.abc import Sequence

from subtensor.errors import DomainError, DTypeError, ShapeError, counted
from subtensor.graph.nodes import (
    DISCONNECTED,
    Argument,
    Cotangent,
    Joint,
    Length,
    Surroundings,
    Variable,
    define,
)
from subtensor.graph.types import INDEX, Dim, TensorType
from subtensor.ops.loop import FINAL, LAST, STACK, UNTOLD, Loop, call_of, families, joined
from subtensor.ops.loop_gradient import pulled


def _infer(*inputs: Argument, loop: Loop, kind: str, output: Variable) -> TensorType:
    places = loop.needed([output])
    head, values = inputs[: len(inputs) - len(places)], inputs[len(inputs) - len(places) :]
    _check_counts(head[: 1 + loop.limited], loop)
    steps: Dim = None if head[0].known is None else int(head[0].known)
    for place, value in zip(places, values, strict=True):
        _check_value(place, value, steps, loop)
    if kind == FINAL:
        return values[places.index(output)].type
    if kind == LAST and steps == 0:
        raise DomainError(f"{loop.label}: its last value is asked for, and it runs no iteration; expected at least one")
    dims = tuple(
        static if static is not None else _told(dim)
        for static, dim in zip(output.type.shape, head[1 + loop.limited :], strict=True)
    )
    return TensorType(output.dtype, (steps, *dims) if kind == STACK else dims)


def _told(dim: Argument) -> Dim:
    return None if dim.known is None or int(dim.known) == UNTOLD else int(dim.known)


def _check_counts(counts: Sequence[Argument], loop: Loop) -> None:
    for count in counts:
        if count.type != TensorType(INDEX):
            raise DTypeError(f"{loop.label}: the number of steps, {count.label}, is {count.type}; expected {INDEX}[]")
        if count.known is not None and int(count.known) < 0:
            raise DomainError(
                f"{loop.label}: n_steps is {int(count.known)}; expected 0 or more: to go through a sequence "
                "from its end, use go_backwards=True"
            )


def _check_value(place: Variable, value: Argument, steps: Dim, loop: Loop) -> None:
    shape = value.type.shape
    if place in loop.sequences:
        if not shape:
            raise ShapeError(f"{loop.label}: the sequence {value.label} is a scalar; expected at least one axis")
        if steps is not None and shape[0] is not None and shape[0] != steps:
            raise ShapeError(
                f"{loop.label}: the sequence {value.label} has {counted(shape[0], 'element')}; expected {steps}, "
                "one for each iteration"
            )
        shape = shape[1:]
    if value.type.dtype != place.dtype or len(shape) != place.ndim:
        raise DTypeError(
            f"{loop.label}: {value.label} is {value.type}, and its body takes {place.type}; expected the same"
        )
    for axis, (have, want) in enumerate(zip(shape, place.type.shape, strict=True)):
        if have is not None and want is not None and have != want:
            raise ShapeError(
                f"{loop.label}: {value.label} is {value.type}, and its body takes {place.type}: axis {axis} is {have}; "
                f"expected {want}"
            )


def _dims(axis: int, *inputs: Variable, loop: Loop, kind: str, output: Variable) -> Length:
    if kind == FINAL:
        places = loop.needed([output])
        return inputs[len(inputs) - len(places) + places.index(output)], axis
    if kind == STACK and axis == 0:
        return inputs[0]
    dim = inputs[loop.limited + axis + (kind == LAST)]
    return None if dim.known is not None and int(dim.known) == UNTOLD else dim


def _vjp(g: Variable, out: Variable, *inputs: Variable, loop: Loop, kind: str, output: Variable) -> list[Cotangent]:
    parts = pulled(call_of(out), [(kind, output, g)])
    places = loop.needed([output])
    head = len(inputs) - len(places)
    return [*(DISCONNECTED for _ in range(head)), *(parts.get(p, DISCONNECTED) for p in places)]


def _joint_vjp(
    members: Sequence[Variable], cotangents: Sequence[Variable], around: Surroundings
) -> list[tuple[Variable, Cotangent]]:
    call = joined(members)
    seeds = [(m.params["kind"], m.params["output"], g) for m, g in zip(members, cotangents, strict=True)]
    return [(call.values[p], part) for p, part in pulled(call, seeds).items()]


scan_op = define(
    "scan",
    infer=_infer,
    vjp=_vjp,
    dims=_dims,
    fresh=True,
    joint=Joint(families, _joint_vjp),
)
"""``scan(steps, [limit], *dims, *values; loop, kind, output)``: see the module."""
