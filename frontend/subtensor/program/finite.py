"""``on_nonfinite``: a step that would write or return NaN or infinity is refused, and told where that arose.

What is looked at is what a program writes and returns, not tables: the rows and increments of its commits, new values
of variables that are replaced, and outputs. The test is part of the graph, so backends need nothing for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from subtensor.errors import FunctionError, NonFiniteError
from subtensor.graph.constants import constant
from subtensor.graph.nodes import Array, Variable, call, describe, rebuild
from subtensor.graph.shared import SharedVariable
from subtensor.graph.types import is_float, kind_of
from subtensor.ops.elementwise import ELEMENTWISE
from subtensor.ops.shape import lengths, product, reshape
from subtensor.ops.subtensor import get_op, is_write, set_op
from subtensor.program.diagnosis import Value
from subtensor.program.linear import Program

Updates = list[tuple[SharedVariable, Variable]]
CHOICES = ("raise", "skip")


def checked_choice(given: Any, where: str) -> str | None:
    """`given`, if it is one of the choices; raises FunctionError."""
    if given is not None and given not in CHOICES:
        raise FunctionError(f"{where}: on_nonfinite={given!r}; expected 'raise', 'skip' or None")
    choice: str | None = given
    return choice


def guarded(outputs: list[Variable], updates: Updates, choice: str | None) -> tuple[list[Variable], Updates]:
    """Outputs and updates, rewritten before, of a program that obeys `choice`.

    ``raise``: its call fails at a position out of bounds, before anything is written. ``skip``: it writes what was
    there; one more output, the last, says whether the step was made.
    """
    if choice is None:
        return outputs, updates
    looked_at = [o for o in outputs if is_float(o.dtype)]
    for s, e in updates:
        looked_at += [v for v in _written(s, e) if is_float(v.dtype)]
    ok: Variable = constant(True)
    for n, value in enumerate(dict.fromkeys(v for v in looked_at if v.op is not None or v.known is None)):
        finite = call("isfinite", value)
        finite = call("all", finite) if finite.ndim else finite
        ok = call("bitwise_and", ok, finite) if n else finite
    if choice == "skip":
        return [*outputs, ok], [(s, _unless(ok, s, e)) for s, e in updates]
    if not looked_at:
        return outputs, updates
    if updates:
        (s, e), *others = updates
        return outputs, [(s, _refusing(ok, s, e)), *others]
    return [_at(ok, outputs[0]), *outputs[1:]], updates


def _chain(s: SharedVariable, e: Variable) -> list[Variable]:
    """The writes, last one first, that make `e` of `s`; none where it is made otherwise."""
    chain = []
    while is_write(e):
        chain.append(e)
        e = e.inputs[0]
    return chain if e is s else []


def _written(s: SharedVariable, e: Variable) -> Sequence[Variable]:
    chain = _chain(s, e)
    return [w.inputs[1] for w in chain] if chain else [e] if e is not s else []


def _at(ok: Variable, value: Variable) -> Variable:
    """`value`; an error where not `ok`: there is no position 1 on an axis of length 1."""
    return call("expand_dims", value, 0)[call("where", ok, 0, 1)]


def _refusing(ok: Variable, s: SharedVariable, e: Variable) -> Variable:
    if not _chain(s, e):
        return _at(ok, e)
    table, value, *inputs = e.inputs
    return rebuild(e, [table, _at(ok, value), *inputs])


def _unless(ok: Variable, s: SharedVariable, e: Variable) -> Variable:
    """The update that makes `e` of `s`, and nothing where not `ok`."""
    if e is s:
        return e
    chain = _chain(s, e)
    if not chain:
        return _either(ok, e, s)
    new: Variable = s
    for write in reversed(chain):
        _, value, *inputs = write.inputs
        if write.op is set_op:
            value = call("where", ok, value, get_op(s, *inputs, index=write.params["index"]))
        else:
            value = call("where", ok, value, constant(-0.0 if is_float(value.dtype) else 0, dtype=value.dtype))
        new = rebuild(write, [new, value, *inputs])
    return new


def _either(ok: Variable, new: Variable, old: Variable) -> Variable:
    """`new` if `ok`, else `old`; where they may be of different lengths, by a range of both, one after the other."""
    of_new, of_old = lengths(new), lengths(old)
    if all(a is b for a, b in zip(of_new, of_old, strict=True)):
        return call("where", ok, new, old)
    before, size = product(of_old), product(of_new)
    both = call("concatenate", [reshape(old, (-1,)), reshape(new, (-1,))], 0)
    start, stop = call("where", ok, before, 0), call("where", ok, before + size, before)
    dims = [a if a is b else call("where", ok, a, b) for a, b in zip(of_new, of_old, strict=True)]
    return reshape(both[start:stop], dims)


# --- where it arose


def refuse(program: Program, slots: Sequence[Value], where: str) -> None:
    """Raises NonFiniteError where an output or what is written is not finite, and names the op in which that arose.

    program: without rewrites. slots: the values of its slots.
    """
    for what, slot in _ends(program):
        bad = slots[slot].known
        if kind_of(bad.dtype) == "f" and not np.isfinite(bad).all():
            raise NonFiniteError(f"{where}: {what} is not finite: {_first(bad, bad)}; {_origin(program, slots, slot)}")


def _ends(program: Program) -> Iterator[tuple[str, int]]:
    for n, o in enumerate(program.outputs):
        yield f"output {n}", o
    for c in program.commits:
        table = program.shared[c.shared].label
        if c.value is not None:
            yield f"the new value of {table}", c.value
        for w in c.writes:
            spelled = w.index.spell([describe(i) for i in w.node.inputs[2:]])
            verb = "written to" if w.kind == "set" else "added to"
            yield f"what is {verb} {table}[{spelled}]", w.value


def _first(bad: Array, values: Array) -> str:
    """The first number in `bad` that is not finite, and where it stands; what `values` has there."""
    at = tuple(int(i) for i in np.argwhere(~np.isfinite(bad))[0])
    place = f" at [{', '.join(map(str, at))}]" if at else ""
    return f"{values[at]}{place}"


def _origin(program: Program, slots: Sequence[Value], slot: int) -> str:
    """In words: the op that made NaN, or infinity, of what was none, on the way to a slot."""
    made = {o: i for i in program.instructions for o in i.outs}
    bad: Callable[[Array], Any] = np.isnan if np.isnan(slots[slot].known).any() else np.isinf
    while slot in made:
        args = made[slot].args
        found = [a for a in args if kind_of(slots[a].known.dtype) == "f" and bad(slots[a].known).any()]
        if not found:
            return _told(made[slot].op.name, slots[slot], [slots[a] for a in args], bad)
        slot = found[0]
    given = "holds" if slot >= program.first_constant else "came in with"
    return f"{'the constant ' if slot >= program.first_constant else ''}{slots[slot].label} {given} it"


def _told(op: str, result: Value, args: Sequence[Value], bad: Callable[[Array], Any]) -> str:
    assert result.node is not None
    at = tuple(int(i) for i in np.argwhere(bad(result.known))[0])
    text = f"it arose in {describe(result.node)}, made at {result.node.place}"
    if op in ELEMENTWISE:
        of = [f"{a.label} is {np.broadcast_to(a.known, result.known.shape)[at]}" for a in args]
        place = f" at [{', '.join(map(str, at))}]" if at else ""
        text += f", where{place} {' and '.join(dict.fromkeys(of))}"
    return text
