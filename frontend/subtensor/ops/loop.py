"""Loops: a sub-graph that is repeated, and what a node says about one.

A ``Loop`` is a recurrence over placeholders: elements of sequences, states, and what does not change. A node of the op
``scan`` is one quantity of a loop: the values that some node of the body takes, stacked; its last value; or a state
when all is done. So any value within can be asked for afterwards, as gradients do, and a node depends on no more than
the quantity does. What several nodes ask of one loop is computed together (``families``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from subtensor.errors import GraphError
from subtensor.graph.constants import constant
from subtensor.graph.nodes import OPS, Constant, Input, Variable, call, replace, toposort
from subtensor.graph.types import INDEX, TensorType
from subtensor.ops.elementwise import ELEMENTWISE
from subtensor.ops.shape import length

STACK, LAST, FINAL = "stack", "last", "final"
"""What a node asks: all values of a body's node, its value in the last iteration (there must be one), or a state's
after the last one (where there was none: the initial value)."""

UNTOLD = -1
"""Stands for a length that only an iteration tells."""

_LARGEST_INSIDE = 1024
"""Elements of a constant from which on it is handed to the body like anything else that does not change."""


@dataclass(frozen=True, eq=False, slots=True)
class Loop:
    """A recurrence, compared by identity.

    sequences: placeholders for elements along the first axis. states: for what is carried from iteration to iteration;
    following: their next values, in the same order. captured: for what does not change. All nodes of the body are made
    of these and of constants. stop: a 0-d bool; no iteration follows one in which it is true, and what is stacked is
    zero from there on. counter: the state that counts iterations, where there is a `stop`. reverse: from the last
    element to the first. limited: no more iterations than a number that is given, zeros for the others. truncate: over
    how many iterations, counted from the end, gradients are carried; -1 for all. independent: whether iterations may be
    made side by side, with the memory that this takes. name, place: for messages. branch: whether it is one side of an
    ``ifelse``, made once or not at all.
    """

    sequences: tuple[Variable, ...] = ()
    states: tuple[Variable, ...] = ()
    captured: tuple[Variable, ...] = ()
    following: tuple[Variable, ...] = ()
    stop: Variable | None = None
    counter: Variable | None = None
    reverse: bool = False
    limited: bool = False
    truncate: int = -1
    independent: bool = False
    name: str | None = None
    place: str = "<unknown>"
    branch: bool = False
    memo: dict[Any, Any] = field(default_factory=dict, repr=False)

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"the loop {self.name!r} ({self.place})" if self.name else f"the loop at {self.place}"

    @property
    def places(self) -> tuple[Variable, ...]:
        """All placeholders."""
        return (*self.sequences, *self.states, *self.captured)

    def at(self, iteration: int) -> str:
        """Where an error was found."""
        return f"in a branch of ifelse ({self.place})" if self.branch else f"in iteration {iteration} of {self.label}"

    def __str__(self) -> str:
        return self.name or "loop"

    def needed(self, outputs: Iterable[Variable]) -> tuple[Variable, ...]:
        """The placeholders that nodes of the body depend on, through earlier iterations too, in order."""
        key = ("needed", frozenset(outputs))
        found: tuple[Variable, ...] | None = self.memo.get(key)
        if found is None:
            after = dict(zip(self.states, self.following, strict=True))
            seen: set[Variable] = set()
            roots = [*key[1], *([] if self.stop is None else [self.stop])]
            while roots:
                new = [v for v in toposort(roots, stop=seen.__contains__) if v not in seen]
                seen.update(new)
                roots = [after[v] for v in new if v in after and after[v] not in seen]
            found = self.memo[key] = tuple(p for p in self.places if p in seen)
        return found


@dataclass(frozen=True, slots=True)
class Call:
    """A loop over values.

    steps: 0-d int64, how many elements its sequences have and its stacks get. limit: 0-d int64, for loops that are
    `limited`. values: what the placeholders stand for: sequences with a first axis more, states' initial values.
    """

    loop: Loop
    steps: Variable
    values: Mapping[Variable, Variable]
    limit: Variable | None = None

    def ask(self, kind: str, output: Variable, dims: Sequence[Variable] | None = None) -> Variable:
        """The node for a quantity. dims: lengths of one value, where they are known better than from the body."""
        if kind == FINAL:
            dims = ()
        elif dims is None:
            dims = [self._length(output, axis) for axis in range(output.ndim)]
        head = [self.steps, *([] if self.limit is None else [self.limit])]
        places = self.loop.needed([output])
        return OPS["scan"](*head, *dims, *(self.values[p] for p in places), loop=self.loop, kind=kind, output=output)

    def _length(self, output: Variable, axis: int) -> Variable:
        found = self.told(output, axis)
        return constant(UNTOLD, dtype=INDEX) if found is None else found

    def told(self, node: Variable, axis: int) -> Variable | None:
        """The length of an axis of a body's node, told from outside; None where only an iteration tells."""
        for state, new in zip(self.loop.states, self.loop.following, strict=True):
            if new is node and state in self.values:  # states keep their shapes
                return length(self.values[state], axis)
        expression = length(node, axis)
        x = expression.inputs[0] if expression.op is OPS["length"] else node
        if x.op is None or x.op.name not in ELEMENTWISE or expression.op is not OPS["length"]:
            return self.outer(expression)
        axis = expression.params["axis"]
        told: list[Variable] = []
        for i in x.inputs:
            at = axis - x.ndim + i.ndim
            if at >= 0 and i.type.shape[at] != 1:
                part = self.told(i, at)
                if part is None:
                    return None
                told.append(part)
        result, *others = dict.fromkeys(told)
        for other in others:
            result = call("where", call("equal", result, 1), other, result)
        return result

    def outer(self, expression: Variable) -> Variable | None:
        """A body's expression as one outside of the loop, if it is the same in all iterations."""
        known = self.outside([expression])
        varying = {*self.loop.sequences, *self.loop.states}
        (moved,) = replace([expression], known)
        return None if any(v in varying for v in toposort([moved])) else moved

    def outside(self, expressions: Iterable[Variable]) -> dict[Variable, Variable]:
        """What is known outside of the loop of what expressions are made of: captured values, and lengths."""
        known = {p: self.values[p] for p in self.loop.captured if p in self.values}
        sequences, states = set(self.loop.sequences), set(self.loop.states)
        for node in toposort(expressions):
            if node.op is not OPS["length"]:
                continue
            p, axis = node.inputs[0], node.params["axis"]
            if p in sequences:
                known[node] = length(self.values[p], axis + 1)
            elif p in states:
                known[node] = length(self.values[p], axis)
        return known


def call_of(node: Variable) -> Call:
    """The loop of a node, over what the node needs of it."""
    loop: Loop = node.params["loop"]
    head = 1 + loop.limited
    places = loop.needed([node.params["output"]])
    values = dict(zip(places, node.inputs[len(node.inputs) - len(places) :], strict=True))
    return Call(loop, node.inputs[0], values, node.inputs[1] if head == 2 else None)


def dims_of(node: Variable) -> tuple[Variable, ...]:
    """The lengths of one value of a node that stacks, or asks for the last."""
    loop: Loop = node.params["loop"]
    count = 0 if node.params["kind"] == FINAL else node.params["output"].ndim
    head = 1 + loop.limited
    return node.inputs[head : head + count]


def is_loop(node: Variable) -> bool:
    """Whether a node is a quantity of a loop."""
    return node.op is not None and node.op.name == "scan"


def families(nodes: Iterable[Variable]) -> list[list[Variable]]:
    """The nodes that are quantities of loops, those of one loop over the same values together.

    Where one of a family depends on another, which substitutions can bring about, each stands alone.
    """
    found: dict[Any, list[tuple[dict[Variable, Variable], list[Variable]]]] = {}
    for node in nodes:
        if not is_loop(node):
            continue
        call = call_of(node)
        for values, members in found.setdefault((call.loop, call.steps, call.limit), []):
            if all(values.get(p, v) is v for p, v in call.values.items()):
                values.update(call.values)
                members.append(node)
                break
        else:
            found[call.loop, call.steps, call.limit].append((dict(call.values), [node]))
    result: list[list[Variable]] = []
    for groups in found.values():
        for _, members in groups:
            above = set(toposort([i for m in members for i in m.inputs])) if len(members) > 1 else set()
            result += [[m] for m in members] if above.intersection(members) else [members]
    return result


def joined(members: Sequence[Variable]) -> Call:
    """The loop of a family over all that its members need."""
    calls = [call_of(m) for m in members]
    values = {p: v for c in calls for p, v in c.values.items()}
    first = calls[0]
    return Call(first.loop, first.steps, {p: values[p] for p in first.loop.places if p in values}, first.limit)


def with_bodies(
    members: list[Variable], change: Callable[[list[Variable]], list[Variable]], known: dict[Any, Any]
) -> list[Variable]:
    """A family with its body changed: `change` takes and gives nodes. The new loop has what its members need, no more.

    known: remembers what has been changed, and what came of it.
    """
    if not all(map(is_loop, members)):
        return members
    call = joined(members)
    loop = call.loop
    outputs = tuple(dict.fromkeys(m.params["output"] for m in members))
    if (loop, frozenset(outputs)) not in known:
        places = loop.needed(outputs)
        states = tuple(s for s in loop.states if s in places)
        after = dict(zip(loop.states, loop.following, strict=True))
        roots = [*(after[s] for s in states), *outputs, *([] if loop.stop is None else [loop.stop])]
        new = change(roots)
        slim = len(places) == len(loop.places)
        made = loop
        if not slim or any(a is not b for a, b in zip(roots, new, strict=True)):
            made = dataclasses.replace(
                loop,
                sequences=tuple(p for p in loop.sequences if p in places),
                states=states,
                captured=tuple(p for p in loop.captured if p in places),
                following=tuple(new[: len(states)]),
                stop=None if loop.stop is None else new[-1],
                memo={},
            )
        moved = dict(zip(outputs, new[len(states) :], strict=False))
        known[loop, frozenset(outputs)] = made, moved
        known[made, frozenset(moved.values())] = made, {v: v for v in moved.values()}
    made, moved = known[loop, frozenset(outputs)]
    if made is loop:
        return members
    run = Call(made, call.steps, call.values, call.limit)
    return [run.ask(m.params["kind"], moved[m.params["output"]], dims_of(m)) for m in members]


def closed(roots: Sequence[Variable], varying: Iterable[Variable]) -> tuple[list[Variable], dict[Variable, Variable]]:
    """A body made of an open graph: what does not depend on the placeholders `varying` becomes captured.

    Returns the new roots, and outer node → placeholder. Constants stay inside, and so
    do their broadcasts, whose lengths are captured.
    """
    inside = set(varying)
    order = toposort(roots)
    depends: set[Variable] = set()
    for node in order:
        if node in inside or any(i in depends for i in node.inputs):
            depends.add(node)
    captured: dict[Variable, Variable] = {}
    pending = [*roots, *(i for node in order if node in depends for i in node.inputs)]
    while pending:
        node = pending.pop()
        if node in depends or node in captured or _stays(node):
            continue
        if node.op is not None and node.op.name == "broadcast_to" and isinstance(node.inputs[0], Constant):
            pending += node.inputs
            continue
        captured[node] = Input(node.type, name=node.label if node.op is None or node.name else None)
    captured = {node: captured[node] for node in order if node in captured}
    return replace(roots, captured), captured


def _stays(node: Variable) -> bool:
    return isinstance(node, Constant) and node.data.size <= _LARGEST_INSIDE


def element_type(sequence: Variable) -> TensorType:
    """The type of one element of a sequence."""
    return sequence.type.with_shape(sequence.type.shape[1:])


def map_rows(function: Callable[[Variable], Variable], rows: Variable, dims: Sequence[Variable]) -> Variable:
    """``function`` applied to each row of `rows`, stacked: (n, …) to (n, *dims). The rows may be done side by side."""
    row = Input(element_type(rows), name="row")
    output = function(row)
    known = {
        v: length(rows, v.params["axis"] + 1)
        for v in toposort([output])
        if v.op is OPS["length"] and v.inputs[0] is row
    }
    (output,), captured = closed(replace([output], known), [row])
    if len(dims) != output.ndim:
        raise GraphError(
            f"map_rows: {len(dims)} lengths for an output of type {output.type}; expected one for each axis"
        )
    loop = Loop((row,), (), tuple(captured.values()), independent=True, name="map_rows", place=output.place)
    values = {row: rows, **{place: value for value, place in captured.items()}}
    return Call(loop, length(rows, 0), values).ask(STACK, output, dims)


def repeated(
    function: Callable[..., Sequence[Variable]], initial: Sequence[Variable], steps: Variable
) -> list[Variable]:
    """`initial`, after `steps` times ``function(*values)``, which gives values of the same types; steps: 0-d int64."""
    places = [Input(v.type) for v in initial]
    following, captured = closed(list(function(*places)), places)
    for v, new in zip(initial, following, strict=True):
        if v.type != new.type:
            raise GraphError(f"repeated: a value of type {v.type} becomes one of type {new.type}; expected the same")
    loop = Loop(
        (), tuple(places), tuple(captured.values()), following=tuple(following), name="repeated", place=places[0].place
    )
    values: dict[Variable, Variable] = dict(zip(places, initial, strict=True))
    values.update((place, value) for value, place in captured.items())
    run = Call(loop, steps, values)
    return [run.ask(FINAL, place) for place in places]
