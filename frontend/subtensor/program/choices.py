"""Branches of ``ifelse``: what only one side needs becomes a loop that is made once, or not at all."""

from __future__ import annotations

from collections.abc import Sequence

from subtensor.graph.constants import constant
from subtensor.graph.nodes import Input, Variable, call, rebuild, replace, toposort
from subtensor.graph.types import INDEX
from subtensor.ops.choice import alone, ifelse_op
from subtensor.ops.loop import STACK, Call, Loop

_SMALL = 1024


def sunk(outputs: Sequence[Variable]) -> list[Variable]:
    """`outputs` with what only one side of an ``ifelse`` needs in a branch of its own."""
    result = list(outputs)
    done: set[Variable] = set()
    while True:
        order = toposort(result)
        choices = [v for v in order if v.op is ifelse_op and v.inputs[0] not in done]
        if not choices:
            return result
        condition = choices[-1].inputs[0]  # those that stand in a branch of another come later, within it
        done.add(condition)
        same = [v for v in choices if v.inputs[0] is condition]
        last = [v for v in same if not any(v in toposort(w.inputs) for w in same if w is not v)]
        result = _branched(result, order, condition, last)


def _branched(
    outputs: list[Variable], order: Sequence[Variable], condition: Variable, choices: Sequence[Variable]
) -> list[Variable]:
    mapping: dict[Variable, dict[int, Variable]] = {v: {} for v in choices}
    for side in (1, 2):
        own = alone(order, choices, side, outputs)
        ends = list(dict.fromkeys(v.inputs[side] for v in choices if v.inputs[side] in own))
        if not ends:
            continue
        border = dict.fromkeys(i for v in order if v in own for i in v.inputs if i not in own and not _stays(i))
        places = {v: Input(v.type, name=v.label if v.name else None) for v in border}
        roots = replace(ends, places)
        loop = Loop(captured=tuple(places.values()), limited=True, branch=True, name="ifelse", place=choices[0].place)
        count = call("cast", condition if side == 1 else call("invert", condition), INDEX)
        run = Call(loop, constant(1, dtype=INDEX), {place: v for v, place in places.items()}, count)
        made = {end: call("squeeze", run.ask(STACK, root), 0) for end, root in zip(ends, roots, strict=True)}
        for v in choices:
            if v.inputs[side] in made:
                mapping[v][side] = made[v.inputs[side]]
    new = {v: rebuild(v, [parts.get(k, i) for k, i in enumerate(v.inputs)]) for v, parts in mapping.items() if parts}
    return replace(outputs, new)


def _stays(node: Variable) -> bool:
    return node.known is not None and node.known.size <= _SMALL
