"""Reverse accumulation: cotangents carried from outputs back to any nodes of a graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from subtensor.errors import GradientError, GraphError
from subtensor.graph.nodes import (
    DISCONNECTED,
    UNWRITTEN,
    ZERO,
    Cotangent,
    Op,
    Surroundings,
    Variable,
    Zero,
    call,
    constant_node,
    toposort_families,
)
from subtensor.graph.types import is_float

Shortcut = Callable[[Variable, Variable, Callable[[Variable], bool]], "tuple[Variable, Variable] | None"]
"""``(node, g, is_wanted)`` gives an ancestor and its cotangent, past nodes of which none is wanted, or None."""

SHORTCUTS: dict[str, Shortcut] = {}
"""By name of op: pullbacks through a node and what it is made of at once, where the steps one by one would compute
``inf * 0``: the logarithm of a sigmoid that has reached 1. Filled by ``subtensor.ops``."""


def pullback(
    cotangents: Mapping[Variable, Variable], wrt: Sequence[Variable], stop: Iterable[Variable] = ()
) -> list[Cotangent]:
    """The cotangents of `wrt`, given those of outputs.

    Each node of `wrt` is an independent quantity: its cotangent gathers every path from the outputs, and paths to
    other nodes of `wrt` go on through it. Nothing flows into or through a node of `stop`. A node that no differentiable
    path reaches gives ``DISCONNECTED``; one reached only with derivative zero gives ``ZERO``.
    """
    stopped = set(stop)
    wanted = stopped.union(wrt, cotangents)
    order, families = toposort_families(cotangents, stop=stopped.__contains__)
    leads = _leads_to(order, set(wrt))
    gathered: dict[Variable, list[Variable]] = {}
    reached: set[Variable] = set()
    for node, g in cotangents.items():
        gathered.setdefault(node, []).append(g)
        reached.add(node)
    totals: dict[Variable, Cotangent] = {}
    for node in reversed(order):
        family = families.get(node, [node])
        if node in reached and node in leads and node not in stopped:
            totals[node] = _total(gathered.pop(node, []))
        if node is not family[0]:  # all users of all members have been met at the first
            continue
        if node in families:
            assert node.op is not None
            reached_here = [(m, totals[m]) for m in family if m in totals]
            for i, c in _joint_vjp(node.op, reached_here, Surroundings(order, wanted)):
                if c is DISCONNECTED or i in stopped or i not in leads:
                    continue
                reached.add(i)
                if not isinstance(c, Zero) and is_float(i.dtype):
                    gathered.setdefault(i, []).append(_checked(c, i, node))
            continue
        if node not in totals or node.op is None:
            continue
        total = totals[node]
        shortcut = SHORTCUTS.get(node.op.name)
        past = None if shortcut is None or isinstance(total, Zero) else shortcut(node, total, wanted.__contains__)
        if past is not None:
            ancestor, carried = past
            if ancestor in leads:
                reached.add(ancestor)
                gathered.setdefault(ancestor, []).append(_checked(carried, ancestor, node))
            continue
        g = _silent(node) if isinstance(total, Zero) else total
        for i, c in zip(node.inputs, _vjp(node, g), strict=True):
            if c is DISCONNECTED or i in stopped or i not in leads:
                continue
            if c is UNWRITTEN:
                raise _unwritten(node, i)
            reached.add(i)
            if not isinstance(total, Zero) and not isinstance(c, Zero) and is_float(i.dtype):
                gathered.setdefault(i, []).append(_checked(c, i, node))
    return [DISCONNECTED if v in stopped else totals.get(v, DISCONNECTED) for v in wrt]


def _unwritten(node: Variable, i: Variable) -> GradientError:
    return GradientError(
        f"grad: {node.op} has no rule for its derivative with respect to {i.label}; put st.disconnected_grad around "
        "that argument, or name it in consider_constant, to hold it fixed"
    )


def _joint_vjp(
    op: Op, members: Sequence[tuple[Variable, Cotangent]], around: Surroundings
) -> Iterator[tuple[Variable, Cotangent]]:
    """The cotangents that members of a family give: of those whose own is ZERO, which inputs they connect."""
    assert op.joint is not None
    real = [(m, g) for m, g in members if not isinstance(g, Zero)]
    if real:
        yield from op.joint.vjp([m for m, _ in real], [g for _, g in real], around)
    silent = [m for m, g in members if isinstance(g, Zero)]
    if silent:
        for i, c in op.joint.vjp(silent, [_silent(m) for m in silent], around):
            yield i, c if isinstance(c, Zero) else ZERO


def _leads_to(order: Sequence[Variable], wrt: set[Variable]) -> set[Variable]:
    """The nodes that are in `wrt` or depend on one that is."""
    leads: set[Variable] = set()
    for node in order:
        if node in wrt or any(i in leads for i in node.inputs):
            leads.add(node)
    return leads


def _total(parts: Sequence[Variable]) -> Cotangent:
    if not parts:
        return ZERO
    total = parts[0]
    for part in parts[1:]:
        total = call("add", total, part)
    return total


def _silent(node: Variable) -> Variable:
    """A cotangent of zeros, to ask a rule which inputs it connects."""
    dtype = node.dtype if is_float(node.dtype) else "float64"
    return call("full_like", node, 0, dtype)


def _vjp(node: Variable, g: Variable) -> Sequence[Cotangent]:
    assert node.op is not None
    result = node.op.vjp(g, node, *node.inputs, **node.params)
    if len(result) != len(node.inputs):
        raise GraphError(
            f"{node.op.name}: its vjp gave {len(result)} cotangents for {len(node.inputs)} inputs; expected one each, "
            "ZERO or DISCONNECTED where there is none"
        )
    return result


def _checked(c: Any, i: Variable, node: Variable) -> Variable:
    if not isinstance(c, Variable):
        raise GraphError(f"{node.op}: its vjp gave {c!r}; expected a node, ZERO or DISCONNECTED")
    if c.dtype != i.dtype or c.ndim != i.ndim:
        raise GraphError(
            f"{node.op}: its vjp gave a cotangent of type {c.type} for the input {i!r}; expected {i.dtype}, "
            f"{i.ndim} axes"
        )
    return c


def zeros_of(node: Variable) -> Variable:
    """Zeros of a node's shape and float dtype: the cotangent that ``ZERO`` stands for."""
    return call("full_like", node, constant_node(np.zeros((), node.dtype)))
