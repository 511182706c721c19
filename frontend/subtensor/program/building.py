"""From a graph to a program: expansion, slots, who owns which buffer, commits."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from subtensor.errors import MissingInputError, Unsupported
from subtensor.graph.constants import constant
from subtensor.graph.nodes import (
    Constant,
    Families,
    Variable,
    rebuild,
    toposort,
    toposort_families,
)
from subtensor.graph.shared import SharedVariable
from subtensor.ops.elementwise import ELEMENTWISE, broadcast_length
from subtensor.ops.halves import is_narrow_increment, summed_first
from subtensor.ops.loop import is_loop
from subtensor.ops.subtensor import get_op, is_write, set_op
from subtensor.ops.views import VIEWS
from subtensor.program.choices import sunk
from subtensor.program.linear import Commit, Instruction, Program, Write, copy_op
from subtensor.program.loops import repeated

# --- expansion: until only ops are left that the backend runs itself


def expand(outputs: Sequence[Variable], operations: Collection[str], backend: str) -> list[Variable]:
    """`outputs` with every op that is not among `operations` written out in simpler ones.

    Raises Unsupported for an op that has no expansion.
    """
    new: dict[Variable, Variable] = {}
    stack = list(reversed(outputs))
    while stack:
        node = stack[-1]
        missing = [i for i in node.inputs if i not in new]
        if node in new or missing:
            stack.extend(reversed(missing)) if node not in new else stack.pop()
            continue
        made = rebuild(node, [new[i] for i in node.inputs])
        narrow = is_narrow_increment(made)
        if not narrow and (made.op is None or made.op.name in operations):
            new[node] = new[made] = made
            continue
        simpler = summed_first(made) if narrow else _expanded(made, backend)
        if simpler in new:
            new[node] = new[simpler]
        else:
            stack.append(simpler)  # then this node again
    return [new[o] for o in outputs]


def _expanded(node: Variable, backend: str) -> Variable:
    assert node.op is not None
    if node.op.expand is None:
        raise Unsupported(
            node.op.name,
            f"the backend {backend!r} does not run the op {node.op.name!r}, made at {node.place}, and the op has no "
            "expansion; use another backend, give it a lowering through a plugin, or, in the backend itself, run the "
            "op and add it to its operations",
        )
    simpler = node.op.expand(*node.inputs, **node.params)
    if simpler.name is None:
        simpler.name = node.name
    return simpler


# --- from a graph to a program

_READ_ONLY = constant(0)
"""Stands among the roots of what may not be written to although it is new (a broadcast)."""


class _Builder:
    """Orders a graph, decides on commits and copies, and numbers the slots."""

    def __init__(
        self,
        inputs: Sequence[Variable],
        outputs: Sequence[Variable],
        updates: Sequence[tuple[SharedVariable, Variable]],
        *,
        part: bool = False,
    ) -> None:
        self.inputs = tuple(inputs)
        self.families: Families = {}  # set by ``order``
        self.given_up: set[Variable] = set()  # inputs whose buffers may be overwritten
        self.roots: dict[Variable, frozenset[Variable]] = {}
        uses = count_uses([*outputs, *(e for _, e in updates)])
        self.chains = {s: chain for s, e in updates if (chain := write_chain(s, e, uses))}
        self.shapes: dict[Variable, tuple[object, ...]] = {}  # set by ``order``
        self.taken: set[Variable] = set()  # roots of buffers that leave the program
        self.replaced = {s: self._new_value(e, updates) for s, e in updates if s not in self.chains and e is not s}
        self.writes = {s: [self._operands(w) for w in chain] for s, chain in self.chains.items()}
        self.outputs = list(outputs) if part else [self._owned(o) for o in outputs]

    def _roots(self, node: Variable) -> frozenset[Variable]:
        """The nodes whose buffers `node` may share."""
        found = self.roots.get(node)
        if found is not None:
            return found
        for n in toposort([node], stop=self.roots.__contains__):
            if n in self.roots:
                continue
            if n.op is None or (n.op is get_op and any(i.ndim for i in n.inputs[1:])):
                found = frozenset((n,))
            elif n.op.name in VIEWS:
                found = self.roots[n.inputs[0]]
                if n.op.name in ("broadcast_to", "range_diagonal"):
                    found |= {_READ_ONLY}
            elif n.op.fresh:
                found = frozenset((n,))
            else:
                found = frozenset((n,)).union(*(self.roots[i] for i in n.inputs))
            self.roots[n] = found
        return self.roots[node]

    def _owned(self, node: Variable) -> Variable:
        """`node` in a buffer that nothing else holds."""
        roots = self._roots(node)
        if any(r.op is None for r in roots) or roots & self.taken:
            return _unshared_copy(node)
        self.taken |= roots
        return node

    def _new_value(self, e: Variable, updates: Sequence[tuple[SharedVariable, Variable]]) -> Variable:
        """The new value `e` of a variable. Another one's buffer is taken over where that one lets go of it (a swap)."""
        let_go = any(t is e and new is not e for t, new in updates)
        if let_go and e not in self.chains and e not in self.taken:
            self.taken.add(e)
            return e
        return self._owned(e)

    def _operands(self, write: Variable) -> list[Variable]:
        """Value and index inputs of a write, apart from every buffer that a write changes."""
        return [_unshared_copy(i) if any(r in self.chains for r in self._roots(i)) else i for i in write.inputs[1:]]

    def order(self) -> list[Variable]:
        needed = [
            *self.outputs,
            *self.replaced.values(),
            *(o for writes in self.writes.values() for operands in writes for o in operands),
        ]
        found, self.families = toposort_families(needed)
        order = list(dict.fromkeys(m for node in found for m in self.families.get(node, (node,))))
        self.shapes = _shapes(order)
        return order

    def give_up(self, states: Sequence[Variable], following: Sequence[Variable]) -> None:
        """Let buffers of states be overwritten: of those that nothing but their own next value takes over."""
        after = [self._roots(f) for f in following]
        for s, own in zip(states, after, strict=True):
            others = [roots for f, roots in zip(states, after, strict=True) if f is not s]
            alone = all(r.op is not None or r is s for r in own)
            if alone and not any(s in roots or own & roots for roots in others):
                self.given_up.add(s)

    def last_uses(self, order: Sequence[Variable]) -> dict[Variable, int]:
        """For each buffer, the position of the last node that reads it; the length of `order` where it is kept."""
        last: dict[Variable, int] = {}
        for position, node in enumerate(order):
            for i in node.inputs:
                for root in self._roots(i):
                    last[root] = position
        kept = [*self.outputs, *self.replaced.values()]
        kept += [o for writes in self.writes.values() for operands in writes for o in operands]
        for node in kept:
            for root in self._roots(node):
                last[root] = len(order)
        return last

    def overwritten(self, node: Variable, position: int, last: Mapping[Variable, int]) -> int | None:
        """Which argument's buffer the result may go into: it holds nothing needed later, and is of the right size."""
        if is_write(node):
            base = node.inputs[0]
            shared_with_others = any(self._roots(base) & self._roots(i) for i in node.inputs[1:])
            return 0 if self._is_free(base, position, last) and not shared_with_others else None
        if node.op is None or node.op.name not in ELEMENTWISE or not node.ndim:
            return None
        for place, i in enumerate(node.inputs):
            if i.dtype == node.dtype and self._is_free(i, position, last) and self.shapes[i] == self.shapes[node]:
                return place
        return None

    def _is_free(self, node: Variable, position: int, last: Mapping[Variable, int]) -> bool:
        """Whether nothing reads a node's buffer after this position, and it is the program's own."""
        return all((r.op is not None or r in self.given_up) and last.get(r) == position for r in self._roots(node))


def _shapes(order: Sequence[Variable]) -> dict[Variable, tuple[object, ...]]:
    """For each node, something for each axis that is equal only where lengths surely are. Inputs come before users."""
    shapes: dict[Variable, tuple[object, ...]] = {}
    for node in order:
        shapes[node] = tuple(
            dim if dim is not None else _length_key(node, axis, shapes) for axis, dim in enumerate(node.type.shape)
        )
    return shapes


def _length_key(node: Variable, axis: int, shapes: Mapping[Variable, tuple[object, ...]]) -> object:
    if node.op is None or node.op.dims is None:
        return node, axis
    if node.op.dims is broadcast_length:
        places = [(i, axis - node.ndim + i.ndim) for i in node.inputs]
        decisive = {shapes[i][at] for i, at in places if at >= 0 and shapes[i][at] != 1}
        return decisive.pop() if len(decisive) == 1 else (node, axis)
    found = node.op.dims(axis, *node.inputs, **node.params)
    if isinstance(found, Variable):
        if found.op is None or found.op.name != "length":
            return found
        found = found.inputs[0], found.params["axis"]
    if found is None:
        return node, axis
    return shapes[found[0]][found[1]] if found[0] in shapes else found


def _unshared_copy(node: Variable) -> Variable:
    """A copy of `node` that is not interned: two outputs of one value are two buffers."""
    return Variable(node.type, copy_op, (node,), name=node.name)


def count_uses(outputs: Iterable[Variable]) -> dict[Variable, int]:
    """How often each node of a graph is used; to be an output counts, too."""
    outputs = list(outputs)
    uses: dict[Variable, int] = dict.fromkeys(toposort(outputs), 0)
    for node in uses:
        for i in node.inputs:
            uses[i] += 1
    for o in outputs:
        uses[o] += 1
    return uses


def write_chain(s: SharedVariable, e: Variable, uses: Mapping[Variable, int]) -> list[Variable]:
    """The writes that turn `s` into `e`, first one first, where nothing else sees what is in between."""
    chain: list[Variable] = []
    node = e
    while is_write(node) and uses[node] == 1:
        chain.append(node)
        node = node.inputs[0]
    return chain[::-1] if node is s else []


def build(
    name: str,
    inputs: Sequence[Variable],
    outputs: Sequence[Variable],
    updates: Sequence[tuple[SharedVariable, Variable]],
    operations: Collection[str],
    backend: str,
    *,
    states: Sequence[Variable] | None = None,
    shared: Sequence[SharedVariable] = (),
) -> Program:
    """The program that computes `outputs` and commits `updates`, in the ops that a backend runs.

    states: for the body of a loop, those of the inputs that are states, whose next values are the first outputs;
    outputs may then share memory with each other and with inputs. shared: variables that are the program's first ones,
    whether or not it needs them.
    Raises MissingInputError for an input of the graph that is not among `inputs`, and Unsupported for an op that the
    backend cannot run.
    """
    expanded = expand([*outputs, *(e for _, e in updates)], operations, backend)
    expanded = sunk(expanded)
    results = expanded[: len(outputs)]
    changed = [(s, e) for (s, _), e in zip(updates, expanded[len(outputs) :], strict=True)]
    builder = _Builder(inputs, results, changed, part=states is not None)
    order = builder.order()
    if states is not None:
        builder.give_up(states, results[: len(states)])
    needed = [v for v in order if isinstance(v, SharedVariable)] + [s for s, _ in changed]
    shared = tuple(dict.fromkeys([*shared, *needed]))
    constants = tuple(v for v in order if isinstance(v, Constant))
    leaf_slots = [*builder.inputs, *shared, *constants]
    slots: dict[Variable, int] = {v: i for i, v in enumerate(leaf_slots)}
    last = builder.last_uses(order)
    instructions: list[Instruction] = []
    used = len(leaf_slots)
    for position, node in enumerate(order):
        if node.op is None:
            if node not in slots:
                raise MissingInputError(
                    f"function {name!r}: the graph needs the input {node.label} ({node.type}), made at {node.place}, "
                    "which is not among the inputs; list it, or replace it with givens"
                )
            continue
        if node in slots:
            continue
        family = builder.families.get(node, [node]) if is_loop(node) else [node]
        slots.update((m, used + k) for k, m in enumerate(family))
        if is_loop(node):
            instructions.append(_loop(family, slots, name, operations, backend))
        else:
            over = builder.overwritten(node, position, last)
            args = tuple(slots[i] for i in node.inputs)
            instructions.append(Instruction(node.op, args, node.params, used, node.type, node, over))
        used += len(family)
    commits = [Commit(shared.index(s), slots[e]) for s, e in builder.replaced.items()]
    present = set(order)
    for s, chain_ in builder.chains.items():
        writes = tuple(
            _write(w, [slots[o] for o in operands], s, present)
            for w, operands in zip(chain_, builder.writes[s], strict=True)
        )
        commits.append(Commit(shared.index(s), None, writes))
    types = (*(v.type for v in leaf_slots), *(n.type for i in instructions for n in i.nodes))
    return Program(
        name,
        builder.inputs,
        shared,
        constants,
        tuple(instructions),
        tuple(slots[o] for o in builder.outputs),
        tuple(commits),
        types,
    )


def _write(write: Variable, operands: Sequence[int], s: SharedVariable, present: Collection[Variable]) -> Write:
    index = write.params["index"]
    read = get_op(s, *write.inputs[2:], index=index)
    kind = "set" if write.op is set_op else "inc"
    return Write(kind, index, operands[0], tuple(operands[1:]), read in present, write)


def _loop(
    members: Sequence[Variable], slots: Mapping[Variable, int], name: str, operations: Collection[str], backend: str
) -> Instruction:
    """The instruction of what is asked of one loop."""
    node, *more = members
    assert node.op is not None
    how, args, places, outputs = repeated(members)
    states = places[how.sequences : how.sequences + how.states]
    body = build(f"{name}/{how.loop}", places, outputs, [], operations, backend, states=states)
    taken = tuple(slots[a] for a in args)
    return Instruction(node.op, taken, node.params, slots[node], node.type, node, None, body, tuple(more), how)
