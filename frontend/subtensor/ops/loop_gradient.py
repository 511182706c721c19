"""The pullback of a loop is a loop in the other direction.

Its states are the cotangents of the states, and a sum for each captured tensor; what it stacks are the cotangents of
the sequences' elements. It needs values that the body had on the way. Which of them are kept (the *tape*: stacked by
the loop itself, as anything can be), and which are computed again, is decided here: what is cheap and can be computed
from what is there is not kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from subtensor.graph.constants import constant
from subtensor.graph.nodes import OPS, ZERO, Cotangent, Input, Variable, Zero, call, replace, toposort
from subtensor.graph.reverse import pullback, zeros_of
from subtensor.graph.types import INDEX, is_float
from subtensor.ops.loop import FINAL, LAST, STACK, Call, Loop, closed
from subtensor.ops.shape import length, lengths

CHEAP = frozenset({"add", "subtract", "multiply", "neg", "abs", "sign", "less", "less_equal", "equal", "and", "or",
                   "invert", "where", "cast", "maximum", "minimum"})  # fmt: skip
"""What is rather computed again than kept, where its operands are there."""

_MOVES = frozenset(
    {"transpose", "reshape", "expand_dims", "squeeze", "broadcast_to", "fixed_shape", "disconnected_grad"}
)
"""What only shows elements in another way: never kept; its operand is."""

Seed = tuple[str, Variable, Variable]
"""What was asked for, the body's node, and the cotangent of the answer."""


@dataclass(frozen=True, slots=True)
class _Reversal:
    """A loop that pulls back. steps, limit, values: what it runs over. found: cotangents by placeholder of the
    original: ``(kind, node)`` is a quantity of the loop; others are as they are.
    """

    call: Call
    found: Mapping[Variable, tuple[str, Variable] | Zero]


def pulled(forward: Call, seeds: Sequence[Seed]) -> dict[Variable, Cotangent]:
    """The cotangents of what a loop runs over, by placeholder, given those of some of its quantities."""
    loop = forward.loop
    whole = forward
    if loop.truncate >= 0:
        seeds = [(kind, output, _shortened(forward, g) if kind == STACK else g) for kind, output, g in seeds]
    key = ("pulled", forward.steps, forward.limit, tuple(seeds), tuple(forward.values.items()))
    reversal: _Reversal | None = loop.memo.get(key)
    if reversal is None:
        reversal = loop.memo[key] = _reversed(forward, seeds)
    result: dict[Variable, Cotangent] = {}
    for place, part in reversal.found.items():
        if isinstance(part, Zero):
            result[place] = part
            continue
        kind, node = part
        g = reversal.call.ask(kind, node, _dims(whole, place) if kind == STACK else None)
        result[place] = g if loop.truncate < 0 else _truncated(whole, place, g)
    return result


def _dims(forward: Call, place: Variable) -> list[Variable]:
    """The lengths of one element of a sequence."""
    return lengths(forward.values[place])[1:]


# --- truncation


def _first(forward: Call) -> Variable:
    """The first iteration of those that gradients are carried through."""
    steps = forward.steps if forward.limit is None else forward.limit
    return call("maximum", steps - forward.loop.truncate, 0)


def _shortened(forward: Call, sequence: Variable) -> Variable:
    return sequence[_first(forward) :]


def _truncated(forward: Call, place: Variable, g: Variable) -> Variable:
    """A cotangent that came through the last iterations only, as one of all."""
    value = forward.values[place]
    if place in forward.loop.sequences:
        return zeros_of(value)[_first(forward) :].set(g)
    if place in forward.loop.states:
        return call("where", call("equal", _first(forward), 0), g, zeros_of(value))
    return g


# --- the loop in the other direction


def _reversed(forward: Call, seeds: Sequence[Seed]) -> _Reversal:
    loop = forward.loop
    places = [p for p in loop.places if p in forward.values]
    states = [s for s in loop.states if s in forward.values]
    after = {s: f for s, f in zip(loop.states, loop.following, strict=True) if s in forward.values}
    asked = [(kind, output, g, Input(output.type, name="g")) for kind, output, g in seeds]
    final = {output: (g, place) for kind, output, g, place in asked if kind == FINAL}
    carried = {s: final[s][1] if s in final else Input(s.type, name=f"d{s.name or 'state'}") for s in states}
    extra = [(output, place) for kind, output, _, place in asked if kind != FINAL]
    wrt = [p for p in places if is_float(p.dtype)]
    active = set(final)
    while True:
        cotangents: dict[Variable, Variable] = {}
        for node, g in [*extra, *((after[s], carried[s]) for s in states if s in active)]:
            cotangents[node] = call("add", cotangents[node], g) if node in cotangents else g
        parts = dict(zip(wrt, pullback(cotangents, wrt), strict=True)) if cotangents else {}
        more = {s for s in states if isinstance(parts.get(s), Variable)} - active
        if not more:
            break
        active |= more
    back = [s for s in states if s in active]
    captured = [p for p in loop.captured if isinstance(parts.get(p), Variable)]
    sums = {p: Input(p.type, name=f"d{p.name or 'captured'}") for p in captured}
    follow = [_or_zeros(parts.get(s, ZERO), s) for s in back]
    follow += [call("add", sums[p], parts[p]) for p in captured]
    lasts = [(output, g, place) for kind, output, g, place in asked if kind == LAST]
    follow += [zeros_of(place) for _, _, place in lasts]
    sequences = [p for p in loop.sequences if isinstance(parts.get(p), Variable)]
    stacked = [parts[p] for p in sequences]
    gs = [(g, place, output) for kind, output, g, place in asked if kind == STACK]
    new_states = [*(carried[s] for s in back), *sums.values(), *(place for _, _, place in lasts)]

    # lengths of cotangents are those of what they belong to
    roots = [*follow, *(s for s in stacked if isinstance(s, Variable))]
    like: dict[Variable, Variable] = {place: output for _, place, output in gs}
    like.update((carried[s], s) for s in back)
    like.update((q, p) for p, q in sums.items())
    like |= {place: output for output, _, place in lasts}
    roots = replace(roots, _lengths_of(roots, like))
    told = _told(forward, roots, [*like])
    roots, tape = _taped(roots, loop.sequences, loop.states, [*like], told)
    roots = replace(roots, forward.outside(roots))
    inside = [*loop.sequences, *loop.states]
    taken = set(toposort(roots))
    used = [p for p in inside if p in taken]
    given = [*like, *tape.values()]
    roots, outer = closed(roots, [*inside, *given])
    result = Loop(
        sequences=(*(place for _, place, _ in gs), *used, *tape.values()),
        states=tuple(new_states),
        captured=tuple(outer.values()),
        following=tuple(roots[: len(follow)]),
        reverse=not loop.reverse,
        limited=loop.limited or loop.stop is not None,
        name=f"gradient of {loop.name}" if loop.name else None,
        place=loop.place,
    )
    cut = (lambda x: _shortened(forward, x)) if loop.truncate >= 0 else (lambda x: x)
    values: dict[Variable, Variable] = {place: g for g, place, _ in gs}
    for p in used:
        values[p] = cut(forward.values[p] if p in loop.sequences else forward.ask(STACK, p))
    values.update((place, cut(forward.ask(STACK, node))) for node, place in tape.items())
    for s in back:
        values[carried[s]] = final[s][0] if s in final else zeros_of(forward.values[s])
    values.update((sums[p], zeros_of(forward.values[p])) for p in captured)
    values.update((place, g) for _, g, place in lasts)
    values.update((place, value) for value, place in outer.items())
    limit = forward.limit
    if loop.stop is not None:
        assert loop.counter is not None
        counted = {**forward.values, loop.counter: constant(0, dtype=INDEX)}
        limit = Call(loop, forward.steps, counted, limit).ask(FINAL, loop.counter)
    steps = forward.steps
    if loop.truncate >= 0:
        first = _first(forward)
        steps, limit = steps - first, None if limit is None else limit - first
    found: dict[Variable, tuple[str, Variable] | Zero] = {p: v for p, v in parts.items() if isinstance(v, Zero)}
    found.update((s, (FINAL, carried[s])) for s in back)
    found.update((p, (FINAL, sums[p])) for p in captured)
    found.update((p, (STACK, root)) for p, root in zip(sequences, roots[len(follow) :], strict=True))
    return _Reversal(Call(result, steps, values, limit), found)


def _or_zeros(part: Cotangent, like: Variable) -> Variable:
    return zeros_of(like) if isinstance(part, Zero) else part


def _lengths_of(roots: Sequence[Variable], like: Mapping[Variable, Variable]) -> dict[Variable, Variable]:
    """Lengths of placeholders as lengths of what they are shaped like."""
    measured = [v for v in toposort(roots) if v.op is OPS["length"] and v.inputs[0] in like]
    return {v: length(like[v.inputs[0]], v.params["axis"]) for v in measured}


def _told(forward: Call, roots: Sequence[Variable], backward: Sequence[Variable]) -> dict[Variable, Variable]:
    """Lengths of values of the body that are known outside of the loop."""
    turned = set(backward)
    told: dict[Variable, Variable] = {}
    for node in toposort(roots):
        if any(i in turned for i in node.inputs):
            turned.add(node)
        elif node.op is OPS["length"]:
            found = forward.told(node.inputs[0], node.params["axis"])
            if found is not None:
                told[node] = found
    return told


def _taped(
    roots: Sequence[Variable],
    sequences: Sequence[Variable],
    states: Sequence[Variable],
    backward: Sequence[Variable],
    told: Mapping[Variable, Variable],
) -> tuple[list[Variable], dict[Variable, Variable]]:
    """`roots` in which values of the body are placeholders where they are kept: body node → placeholder.

    sequences, states: the placeholders of the body. backward: those of the other direction.
    told: lengths that are known without it, and what they are.
    """
    order = toposort(roots)
    leaves = {*sequences, *states}
    varies, turned = set(leaves), set(backward)
    for node in order:
        if node in told:
            continue  # the same in all iterations
        if any(i in turned for i in node.inputs):
            turned.add(node)
        elif any(i in varies for i in node.inputs):
            varies.add(node)
    needed = {i for node in order if node in turned for i in node.inputs if i in varies}
    needed |= {r for r in roots if r in varies}
    kept = set(sequences)
    for node in order:
        if node not in needed or node in kept:
            continue
        made_of = _made_of(node, varies) - kept
        moves = node.op is not None and node.op.name in _MOVES
        if _is_light(node) and (moves or len(made_of) <= 1 or made_of <= needed):
            kept |= made_of
        else:
            kept.add(node)
    tape: dict[Variable, Variable] = {v: Input(v.type, name=v.name) for v in order if v in kept and v not in leaves}
    return replace(roots, {**told, **tape}), tape


def _is_light(node: Variable) -> bool:
    """Whether it is rather computed again than kept."""
    return node.op is not None and (node.op.name in CHEAP or node.op.name in _MOVES)


def _made_of(node: Variable, varies: set[Variable]) -> set[Variable]:
    """What a light node is made of, past light ones: nodes that are not light, and placeholders."""
    found: set[Variable] = set()
    seen: set[Variable] = set()
    stack = [node]
    while stack:
        v = stack.pop()
        if v in seen or v not in varies:
            continue
        seen.add(v)
        if _is_light(v):
            stack += v.inputs
        else:
            found.add(v)
    return found
