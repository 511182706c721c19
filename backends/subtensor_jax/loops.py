"""Loops: ``lax.scan`` where the number of iterations is known while tracing, else ``lax.while_loop``.

A loop whose iterations may be made side by side and carry nothing is vectorised. What must hold at run time is gathered
over the iterations into one flag.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from subtensor.graph.types import INDEX
from subtensor.ops.loop import FINAL, LAST, STACK
from subtensor.program.linear import Instruction
from subtensor.program.loops import Repeat
from subtensor_jax.arithmetic import Array, dtype_of

if TYPE_CHECKING:
    from subtensor_jax.binding import Binding


class Made(NamedTuple):
    """One iteration: next states, whether it is the last, what results are made of, whether all rules hold."""

    states: tuple[Array, ...]
    stop: Array | None
    values: tuple[Array, ...]
    ok: Array | None


Step = Callable[[Sequence[Array], Sequence[Array]], Made]
"""Elements and states to an iteration."""


class Surroundings(NamedTuple):
    """What a loop needs from the trace that it stands in.

    array: a slot's value. number: a slot's value that is known while tracing, or None. require: enters what must hold.
    run: the body on arrays by slot, with numbers by slot; gives its outputs, and whether all rules hold.
    """

    array: Callable[[int], Array]
    number: Callable[[int], Any]
    require: Callable[[Array], None]
    run: Callable[[dict[int, Array], dict[int, Any]], tuple[list[Array], Array | None]]


def looped(i: Instruction, inner: Binding, around: Surroundings) -> list[Array]:
    """All results of a loop. inner: of its body."""
    how, body = i.repeat, i.body
    assert how is not None
    assert body is not None
    args = i.args[how.first : how.taken]
    sequences = [around.array(a) for a in args[: how.sequences]]
    initial = [_strong(around.array(a)) for a in args[how.sequences : how.sequences + how.states]]
    first = how.sequences + how.states
    captured = {first + k: a for k, a in enumerate(args[first:])}
    arrays = {k: around.array(a) for k, a in captured.items() if not inner.static[k]}
    numbers = {k: around.number(a) for k, a in captured.items() if inner.static[k]}
    wanted = [r.output for r in how.results if r.kind != FINAL]

    def step(elements: Sequence[Array], states: Sequence[Array]) -> Made:
        outputs, ok = around.run({**dict(enumerate([*elements, *states])), **arrays}, numbers)
        strong = [_strong(o) for o in outputs]
        stop = strong[how.states] if how.stops else None
        return Made(tuple(strong[: how.states]), stop, tuple(strong[o] for o in wanted), ok)

    steps = _steps(i, sequences, around)
    limit = around.array(i.args[1]) if how.limited else None
    known = isinstance(steps, int)
    states: Sequence[Array] = ()
    values: Sequence[Array]
    lasts: Sequence[Array]
    if how.independent and not how.states and known and steps:
        values = _side_by_side(step, steps, sequences, around)
        lasts = [v[0 if how.reverse else -1] for v in values]
    elif known and limit is None and not how.stops:
        states, values, lasts = _scanned(how, step, steps, sequences, initial, around)
    else:
        states, values, lasts = _while(how, step, steps, limit, sequences, initial, around)
    stacked = iter(zip(values, lasts, strict=True))
    results = []
    for r in how.results:
        if r.kind == FINAL:
            results.append(states[r.output])
        else:
            stack, last = next(stacked)
            results.append(stack if r.kind == STACK else last)
    return results


def _strong(x: Array) -> Array:
    return lax.convert_element_type(x, x.dtype)


def _steps(i: Instruction, sequences: Sequence[Array], around: Surroundings) -> Any:
    """The number of elements: an int, or where nothing tells it while tracing, a traced scalar."""
    number = around.number(i.args[0])
    lengths = {x.shape[0] for x in sequences}
    if number is not None:
        lengths.add(int(number))
    elif lengths:
        (some, *_) = lengths
        around.require(around.array(i.args[0]) == np.asarray(some, INDEX))
    if len(lengths) > 1 or min(lengths, default=0) < 0:
        raise ValueError(f"a loop over other numbers of elements: {lengths}")
    if lengths:
        return lengths.pop()
    steps = around.array(i.args[0])
    around.require(steps >= np.asarray(0, INDEX))
    return steps


def _side_by_side(step: Step, steps: int, sequences: Sequence[Array], around: Surroundings) -> tuple[Array, ...]:
    def one(*elements: Array) -> tuple[tuple[Array, ...], Array | None]:
        made = step(elements, ())
        return made.values, made.ok

    values, ok = jax.vmap(one, axis_size=steps)(*sequences)
    if ok is not None:
        around.require(ok.all())
    return values


def _scanned(
    how: Repeat, step: Step, steps: int, sequences: Sequence[Array], initial: Sequence[Array], around: Surroundings
) -> tuple[Sequence[Array], Sequence[Array], Sequence[Array]]:
    kinds = [r.kind for r in how.results if r.kind != FINAL]
    if LAST in kinds and not steps:
        raise IndexError("no last value")

    def one(carry: Any, elements: Any) -> Any:
        states, _ = carry
        made = step(elements, states)
        stacked = tuple(v for v, kind in zip(made.values, kinds, strict=True) if kind == STACK)
        lasts = tuple(v for v, kind in zip(made.values, kinds, strict=True) if kind == LAST)
        return (made.states, lasts), (stacked, made.ok)

    empty: tuple[Array, ...] = ()
    if LAST in kinds:
        elements = [x[0] for x in sequences]
        made = jax.eval_shape(step, elements, initial)
        empty = tuple(lax.full(v.shape, 0, v.dtype) for v, kind in zip(made.values, kinds, strict=True) if kind == LAST)
    (states, lasts), (stacked, ok) = lax.scan(
        one, (tuple(initial), empty), tuple(sequences), length=steps, reverse=how.reverse
    )
    if ok is not None:
        around.require(ok.all())
    stacks, ends = iter(stacked), iter(lasts)
    both = [(next(stacks), None) if kind == STACK else (None, next(ends)) for kind in kinds]
    return states, [s for s, _ in both], [e for _, e in both]


def _while(
    how: Repeat, step: Step, steps: Any, limit: Array | None, sequences: Sequence[Array], initial: Sequence[Array],
    around: Surroundings,
) -> tuple[Sequence[Array], Sequence[Array], Sequence[Array]]:  # fmt: skip
    kinds = [r.kind for r in how.results if r.kind != FINAL]
    shaped = [jax.ShapeDtypeStruct(x.shape[1:], x.dtype) for x in sequences]  # type: ignore[no-untyped-call]
    made = jax.eval_shape(step, shaped, list(initial))
    buffers = tuple(
        lax.full((steps, *v.shape) if kind == STACK else v.shape, 0, v.dtype)
        for v, kind in zip(made.values, kinds, strict=True)
    )
    count = lax.convert_element_type(jnp.asarray(steps), dtype_of(INDEX))
    if limit is not None:
        count = lax.min(count, limit)
    one, zero = np.asarray(1, INDEX), np.asarray(0, INDEX)
    if LAST in kinds:
        around.require(count > zero)
    if steps is not None and isinstance(steps, int) and not steps:
        return list(initial), buffers, buffers

    def goes_on(carry: Any) -> Array:
        done, *_, stopped, _ = carry
        return (done < count) & ~stopped

    def body(carry: Any) -> Any:
        done, states, kept, _, ok = carry
        t = count - one - done if how.reverse else done
        elements = [lax.dynamic_index_in_dim(x, t, 0, keepdims=False) for x in sequences]
        made = step(elements, states)
        kept = tuple(
            lax.dynamic_update_index_in_dim(b, v, t, 0) if kind == STACK else v
            for b, v, kind in zip(kept, made.values, kinds, strict=True)
        )
        stopped = np.asarray(False) if made.stop is None else made.stop
        return done + one, made.states, kept, jnp.asarray(stopped), ok if made.ok is None else ok & made.ok

    start = (jnp.asarray(zero), tuple(initial), buffers, jnp.asarray(False), jnp.asarray(True))
    _, states, kept, _, ok = lax.while_loop(goes_on, body, start)
    around.require(ok)
    return states, kept, kept


def on_the_host(
    how: Repeat, dtypes: Sequence[str], args: Sequence[Any], run: Callable[..., Sequence[Any]]
) -> list[np.ndarray[Any, Any]]:
    """All results of a loop whose body needs the host: iteration by iteration. run: the body on arrays."""
    steps = int(args[0])
    count = min(steps, int(args[1])) if how.limited else steps
    end = how.first + how.sequences
    sequences, states = args[how.first : end], list(args[end : end + how.states])
    captured = args[end + how.states : how.taken]
    if steps < 0 or any(len(x) != steps for x in sequences):
        raise ValueError("a loop over other numbers of elements")
    shapes = [np.shape(s) for s in states]
    found: list[Any] = [None] * len(how.results)
    for t in reversed(range(count)) if how.reverse else range(count):
        outputs = run(*(x[t] for x in sequences), *states, *captured)
        for k, r in enumerate(how.results):
            if r.kind == LAST:
                found[k] = outputs[r.output]
            elif r.kind == STACK:
                value = outputs[r.output]
                if found[k] is None:
                    found[k] = np.zeros((steps, *value.shape), dtypes[k])
                if found[k].shape[1:] != value.shape:
                    raise ValueError("values of several shapes")
                found[k][t] = value
        states = list(outputs[: how.states])
        if [np.shape(s) for s in states] != shapes:
            raise ValueError("a state changes its shape")
        if how.stops and outputs[how.states]:
            break
    for k, r in enumerate(how.results):
        if r.kind == FINAL:
            found[k] = np.array(states[r.output])
        elif found[k] is None:
            if r.kind == LAST:
                raise IndexError("no last value")
            found[k] = np.zeros((steps, *(max(0, int(args[d])) for d in r.dims)), dtypes[k])
    return found
