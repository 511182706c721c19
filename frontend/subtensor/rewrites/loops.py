"""Loops: what can be done for all iterations at once is, before the loop or after it, and only what is used is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace as changed
from functools import reduce

from subtensor.graph.indexing import FULL, Index, Slice
from subtensor.graph.nodes import OPS, Input, Variable, call, replace, toposort
from subtensor.ops.loop import FINAL, LAST, STACK, Call, call_of, dims_of, is_loop, joined, with_bodies
from subtensor.ops.shape import length, reshape
from subtensor.ops.subtensor import get_op, inc_op
from subtensor.rewrites.axes import renumbered
from subtensor.rewrites.engine import rule
from subtensor.rewrites.facts import constant_value
from subtensor.rewrites.loop_lift import Lift, product
from subtensor.rewrites.shapes import is_zeros

LOOPS = ("loops",)

Members = list[Variable]


def _is_whole(run: Call) -> bool:
    """Whether there is an iteration for each element."""
    return run.loop.stop is None and run.limit is None


# --- what is asked for


@rule("last_of_loop", "scan(f)[-1] = last(scan(f))", ["subtensor"], tags=LOOPS,
      when="the loop goes forward, to its end or to its condition")  # fmt: skip
def _last_of_loop(node: Variable) -> Variable | None:
    inner, *inputs = node.inputs
    index: Index = node.params["index"]
    first, *rest = index.parts
    if isinstance(first, Slice) or len(index.arrays) != 1:
        return None
    position = constant_value(inputs[first.slot])
    if position is None or position.ndim or int(position) != -1:
        return None
    stack = inner
    if inner.op is get_op:  # of a loop with a condition, the iterations that there were
        part, *others = inner.params["index"].parts
        counted = inner.inputs[1:]
        if not is_loop(inner.inputs[0]) or len(counted) != 1 or others != [FULL] * len(others):
            return None
        stack = inner.inputs[0]
        loop = stack.params["loop"]
        if part != Slice(None, part.stop, None) or loop.counter is None or not is_loop(counted[0]):
            return None
        if counted[0].params["loop"] is not loop or counted[0].params["output"] is not loop.counter:
            return None
    if not is_loop(stack) or stack.params["kind"] != STACK:
        return None
    run = call_of(stack)
    if run.steps.known is not None and int(run.steps.known) == 0:
        return None  # there is none, which the graph as written says at the call
    if run.loop.reverse or run.limit is not None or (run.loop.stop is not None and stack is inner):
        return None
    last = run.ask(LAST, stack.params["output"], dims_of(stack))
    new, used = renumbered(rest, inputs)
    return last if all(p == FULL for p in rest) else get_op(last, *used, index=new)


@rule("elements_of_loop", "scan(x_t) = x", ["scan"], tags=LOOPS, joint=True, when="each element has an iteration")
def _elements_of_loop(members: Members) -> Members | None:
    run = joined(members)
    if not _is_whole(run):
        return None
    elements = set(run.loop.sequences)
    new = [run.values[o] if m.params["kind"] == STACK and (o := m.params["output"]) in elements else m for m in members]
    return new if any(a is not b for a, b in zip(members, new, strict=True)) else None


# --- within the body


@rule("lengths_in_loop", "sum_to(x_t, n) = x_t", ["scan"], tags=LOOPS, joint=True,
      when="outside of the loop it is known that the lengths of x_t are n")  # fmt: skip
def _lengths_in_loop(members: Members) -> Members | None:
    run = joined(members)
    outputs = [m.params["output"] for m in members]
    fitting: dict[Variable, Variable] = {}
    roots = [*run.loop.following, *outputs, *([] if run.loop.stop is None else [run.loop.stop])]
    for node in toposort(roots):
        if node.op is OPS["sum_to"] and node.inputs[0].ndim == node.ndim and _fits(run, node):
            fitting[node] = node.inputs[0]
    if not fitting:
        return None

    def change(nodes: list[Variable]) -> list[Variable]:
        while any(v in fitting for v in toposort(nodes)):  # one may be made of another
            nodes = replace(nodes, fitting)
        return nodes

    return with_bodies(members, change, {})


def _fits(run: Call, node: Variable) -> bool:
    x, *dims = node.inputs
    for axis, dim in enumerate(dims):
        have, want = run.told(x, axis), run.outer(dim)
        if have is None or have is not want:
            return False
    return True


# --- before the loop


def _before(members: Members, *, products: bool) -> Members | None:
    run = joined(members)
    if not _is_whole(run) or not run.loop.sequences:
        return None
    loop = run.loop
    outputs = [m.params["output"] for m in members if m.params["kind"] != FINAL]
    roots = [*loop.following, *outputs]
    lift = Lift(run, products=products, reads=True)
    order = toposort(roots)
    can = {v for v in order if v.op is not None and lift.is_lifted(v)}
    wanted = {i for v in order if v not in can for i in v.inputs if i in can}.union(r for r in roots if r in can)
    stacked = {m.params["output"] for m in members if m.params["kind"] == STACK}
    inside = {i for v in order if v not in can for i in v.inputs}.union(loop.following)
    moved = [v for v in order if v in wanted and (lift.gains.get(v) or (v in stacked and v not in inside))]
    if not moved:
        return None
    places: dict[Variable, Variable] = {}
    values = dict(run.values)
    for v in moved:
        found = lift.of(v)
        assert found is not None
        places[v] = Input(v.type, name=v.name)
        values[places[v]] = found[0]
    new = replace(roots, places)
    made = changed(
        loop, sequences=(*loop.sequences, *places.values()), following=tuple(new[: len(loop.following)]), memo={}
    )
    after = dict(zip(outputs, new[len(loop.following) :], strict=True))
    again = Call(made, run.steps, values)
    return [
        again.ask(m.params["kind"], after[m.params["output"]], dims_of(m))
        if m.params["kind"] != FINAL
        else again.ask(FINAL, m.params["output"])
        for m in members
    ]


@rule("reads_before_loop", "scan(f(x[i_t])) = scan(f(y_t)), y = x[i]", ["scan"], tags=LOOPS, joint=True,
      when="the loop does not change x, and i not made of states; also what is made of elements alone")  # fmt: skip
def _reads_before_loop(members: Members) -> Members | None:
    return _before(members, products=False)


@rule("products_before_loop", "scan(f(x_t @ W)) = scan(f(y_t)), y = x @ W", ["scan"], keeps="rounding", tags=LOOPS,
      joint=True, when="the loop does not change W, and x_t is not made of states")  # fmt: skip
def _products_before_loop(members: Members) -> Members | None:
    return _before(members, products=True)


# --- after the loop


def _users(run: Call, members: Members) -> dict[Variable, list[Variable]]:
    """Who uses each node of a body: nodes; a root is used by itself."""
    roots = [*run.loop.following, *(m.params["output"] for m in members if m.params["kind"] != FINAL)]
    users: dict[Variable, list[Variable]] = {}
    for node in toposort(roots):
        for i in dict.fromkeys(node.inputs):
            users.setdefault(i, []).append(node)
    for r in roots:
        users.setdefault(r, []).append(r)
    return users


def _without(run: Call, members: Members, results: Mapping[Variable, Variable]) -> Members:
    """The members, with some of them replaced."""
    return [results.get(m, m) for m in members]


@rule("rows_after_loop", "final(scan(a = inc(a, y_t, i_t))) = inc(a, y, i)", ["scan"], keeps="rounding", tags=LOOPS,
      joint=True, when="a is used for nothing else, and each element has an iteration; i selects rows")  # fmt: skip
def _rows_after_loop(members: Members) -> Members | None:
    run = joined(members)
    if not _is_whole(run):
        return None
    users = _users(run, members)
    after = dict(zip(run.loop.states, run.loop.following, strict=True))
    results: dict[Variable, Variable] = {}
    for m in members:
        state = m.params["output"]
        if m.params["kind"] != FINAL:
            continue
        chain: list[Variable] = []
        node = after[state]
        while node.op is inc_op and len(users[node]) == 1 and node.params["index"].selects_rows:
            chain.append(node)
            node = node.inputs[0]
        if node is not state or not chain or len(users[state]) != 1:
            continue
        value = run.values[state]
        for link in reversed(chain):
            _, y, ids = link.inputs
            missing = ids.ndim + state.ndim - 1 - y.ndim
            wide = call("expand_dims", y, tuple(range(missing))) if missing else y
            value = inc_op(value, run.ask(STACK, wide), run.ask(STACK, ids), index=link.params["index"])
        results[m] = value
    return _without(run, members, results) if results else None


def _terms(node: Variable, users: Mapping[Variable, Sequence[Variable]]) -> list[Variable]:
    """What a sum adds up, where nothing else looks at what is in between."""
    if node.op is OPS["add"] and len(users[node]) == 1 and all(i.type.shape == node.type.shape for i in node.inputs):
        return [t for i in node.inputs for t in _terms(i, users)]
    return [node]


@rule("products_after_loop", "final(scan(a = a + x_t.T @ y_t)) = a + x.T @ y", ["scan"], keeps="rounding", tags=LOOPS,
      joint=True, when="a is used for nothing else; x has fewer rows than a; also sums of what is stacked")  # fmt: skip
def _products_after_loop(members: Members) -> Members | None:
    run = joined(members)
    if run.loop.stop is not None:
        return None
    users = _users(run, members)
    after = dict(zip(run.loop.states, run.loop.following, strict=True))
    results: dict[Variable, Variable] = {}
    kept: set[Variable] = {m.params["output"] for m in members if m.params["kind"] == STACK}.union(run.loop.sequences)
    sums: list[tuple[Variable, Variable, list[Variable]]] = []
    for m in members:
        state = m.params["output"]
        if m.params["kind"] != FINAL or len(users.get(state, ())) != 1:
            continue
        terms = _terms(after[state], users)
        if terms.count(state) != 1 or len(terms) < 2:
            continue
        terms.remove(state)
        sums.append((m, state, terms))
        for t in terms:
            if _is_product(t):
                kept.update(_factors(t))
    for m, state, terms in sums:
        found = [_summed(run, t, kept) for t in terms]
        parts = [p for p in found if p is not None]
        if len(parts) == len(found):
            start = run.values[state]
            results[m] = reduce(OPS["add"], parts if is_zeros(start) else [start, *parts])
    return _without(run, members, results) if results else None


def _is_product(node: Variable) -> bool:
    if node.op is not OPS["matmul"] or node.ndim != 2:
        return False
    inner, rows = node.inputs[0].type.shape[1], node.inputs[0].type.shape[0]
    return inner is None or rows is None or inner <= rows


def _factors(product: Variable) -> tuple[Variable, Variable]:
    """x and y of ``x.T @ y``."""
    a, b = product.inputs
    return (a.inputs[0] if a.op is OPS["transpose"] else call("transpose", a)), b


def _summed(run: Call, term: Variable, kept: set[Variable]) -> Variable | None:
    """The sum of a term over all iterations, without a loop."""
    if _is_product(term):
        x, y = (run.ask(STACK, f) for f in _factors(term))
        rows = call("multiply", length(x, 0), length(x, 1))
        return OPS["matmul"](call("transpose", reshape(x, [rows, length(x, 2)])), reshape(y, [rows, length(y, 2)]))
    if term in kept:
        return OPS["sum"](run.ask(STACK, term), axes=(0,))
    if term.op is OPS["sum"] and term.inputs[0] in kept:
        axes = (0, *(a + 1 for a in term.params["axes"]))
        return OPS["sum"](run.ask(STACK, term.inputs[0]), axes=axes)
    return None


@rule("stacked_products", "scan(x_t @ W) = scan(x_t) @ W", ["scan"], keeps="rounding", tags=LOOPS, joint=True,
      when="the loop does not change W and does nothing else with the product; x_t is stacked anyway")  # fmt: skip
def _stacked_products(members: Members) -> Members | None:
    run = joined(members)
    if not _is_whole(run):
        return None
    users = _users(run, members)
    stacked = {m.params["output"] for m in members if m.params["kind"] == STACK}
    lift = Lift(run, products=False, reads=False)
    results: dict[Variable, Variable] = {}
    for m in members:
        output = m.params["output"]
        if m.params["kind"] != STACK or output.op is not OPS["matmul"] or output.ndim != 2 or users[output] != [output]:
            continue
        x, w = output.inputs
        by = lift.of(w)
        if x in stacked and x is not output and by is not None and not by[1]:
            results[m] = product([(run.ask(STACK, x), True), by])
    return _without(run, members, results) if results else None
