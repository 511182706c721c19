"""Loops in programs: one instruction for all that is asked of a loop, and the program of its body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from subtensor.graph.nodes import Variable
from subtensor.ops.loop import FINAL, Loop, dims_of, joined


@dataclass(frozen=True, slots=True)
class Result:
    """One result of a loop.

    kind: ``stack``, ``last`` or ``final``. output: which output of the body; for ``final``, also the number of the
    state. dims: positions, among the instruction's arguments, of the lengths of one value; 0-d int64, where -1 stands
    for what only an iteration tells.
    """

    kind: str
    output: int
    dims: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """How an instruction repeats its body.

    The instruction's arguments: the number of elements; where it is `limited`, the number of iterations, which is not
    larger; then `sequences` tensors with a first axis for the elements, `states` initial values, `captured` tensors,
    and lengths. The body's inputs: elements, states, captured. Its outputs: the next states; where it `stops`, whether
    this iteration is the last, a 0-d bool; then what results are made of.

    reverse: from the last element to the first. independent: iterations may be made side by side. What is stacked is
    zero where there was no iteration.
    """

    loop: Loop
    sequences: int
    states: int
    captured: int
    limited: bool
    stops: bool
    reverse: bool
    independent: bool
    results: tuple[Result, ...]

    @property
    def first(self) -> int:
        """The position of the first sequence among the arguments."""
        return 1 + self.limited

    @property
    def taken(self) -> int:
        """How many arguments there are before the lengths."""
        return self.first + self.sequences + self.states + self.captured

    def __str__(self) -> str:
        return f"{self.loop}: " + ", ".join(f"{r.kind} {r.output}" for r in self.results)


def repeated(members: Sequence[Variable]) -> tuple[Repeat, list[Variable], list[Variable], list[Variable]]:
    """What a family of loop nodes is as one instruction: how it repeats, arguments, the body's inputs and outputs."""
    call = joined(members)
    loop = call.loop
    present = set(call.values)
    sequences = [p for p in loop.sequences if p in present]
    states = [p for p in loop.states if p in present]
    captured = [p for p in loop.captured if p in present]
    after = dict(zip(loop.states, loop.following, strict=True))
    outputs = [after[s] for s in states]
    if loop.stop is not None:
        outputs.append(loop.stop)
    places = [*sequences, *states, *captured]
    args = [call.steps, *([] if call.limit is None else [call.limit]), *(call.values[p] for p in places)]
    results = []
    for m in members:
        node = m.params["output"]
        dims = dims_of(m)
        if m.params["kind"] == FINAL:
            number = states.index(node)
        elif node in outputs:
            number = outputs.index(node)
        else:
            number = len(outputs)
            outputs.append(node)
        results.append(Result(m.params["kind"], number, tuple(range(len(args), len(args) + len(dims)))))
        args += dims
    repeat = Repeat(
        loop, len(sequences), len(states), len(captured), loop.limited, loop.stop is not None, loop.reverse,
        loop.independent, tuple(results),
    )  # fmt: skip
    return repeat, args, places, outputs
