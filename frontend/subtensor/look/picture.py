"""What a picture of a step shows: boxes for what it computes, and one box for each part that can be opened.

Constants and lengths stand in the boxes of what uses them. All that only serves the new values of one variable and of
its optimizer's state is one box; updates that are alike share theirs; and in a large picture so does all that only
serves updates: the gradients.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import TypeAlias

from subtensor.errors import counted
from subtensor.graph.nodes import Constant, Variable, consumers, describe, toposort
from subtensor.graph.shared import SharedVariable
from subtensor.graph.types import is_discrete
from subtensor.ops.views import VIEWS

Updates: TypeAlias = Sequence[tuple[SharedVariable, Variable]]

LARGE = 10**6
"""Elements from which on a box is marked as large."""

FEWEST = 4
"""Operations that are worth a box of their own to open."""

MOST = 24
"""Boxes from which on the gradients share one."""

COLUMNS = 44


@dataclass(eq=False)
class Box:
    """kind: ``shared input read write op fold``. lines: of text, the type last. mark: what it is to the function (an
    output, a new value). opens: the number of the view that shows what is inside.
    """

    kind: str
    lines: list[str]
    large: bool = False
    mark: str = ""
    opens: int | None = None


@dataclass(eq=False)
class View:
    """A picture: boxes in topological order, and edges between their numbers. inner: whether a box opens it."""

    title: str
    inner: bool = False
    boxes: list[Box] = field(default_factory=list)
    edges: list[tuple[int, int]] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class _Fold:
    """Nodes that are one box. shown: those that a view of what is inside shows, where several parts are alike."""

    title: str
    lines: list[str]
    kind: str
    nodes: tuple[Variable, ...]
    shown: tuple[Variable, ...]
    marks: Mapping[Variable, str]


def views(title: str, outputs: Sequence[Variable], updates: Updates) -> list[View]:
    """The picture of a step and then one for each box that opens."""
    marks: dict[Variable, list[str]] = {}
    for k, o in enumerate(outputs):
        marks.setdefault(o, []).append(f"output {k}")
    for s, e in updates:
        marks.setdefault(e, []).append(f"new {s.label}")
    joined = {node: ", ".join(names) for node, names in marks.items()}
    roots = [*outputs, *(e for _, e in updates)]
    users = consumers(roots)
    folds = _folds(outputs, updates, users, joined)
    first = _view(title, roots, folds, users, joined)
    if len(first.boxes) > MOST:
        folds = [*folds, *_backward(outputs, folds, users, roots)]
        first = _view(title, roots, folds, users, joined)
    inner = [_view(f.title, list(f.shown), [], users, f.marks, frozenset(f.shown)) for f in folds]
    return [first, *inner]


# --- what is folded


def _folds(
    outputs: Sequence[Variable], updates: Updates, users: Mapping[Variable, Sequence[Variable]],
    marks: Mapping[Variable, str],
) -> list[_Fold]:  # fmt: skip
    """A fold for each variable with its state, alike ones in one."""
    groups = _groups([s for s, _ in updates])
    new = dict(updates)
    owner = _owners(outputs, {new[s]: g for g, members in groups.items() for s in members}, users)
    alike: dict[object, list[SharedVariable]] = {}
    inside: dict[SharedVariable, list[Variable]] = {}
    for node, g in owner.items():
        if isinstance(g, SharedVariable) and node.op is not None and not _inlined(node):
            inside.setdefault(g, []).append(node)
    for g in groups:
        nodes = inside.get(g, [])
        if len(nodes) >= FEWEST:
            shape = tuple((n.op, len(n.inputs), n.ndim, n.dtype) for n in nodes), len(groups[g])
            alike.setdefault(shape, []).append(g)
    folds = []
    for members in alike.values():
        names = ", ".join(s.label for s in members)
        states = [s.label for s in groups[members[0]] if s is not members[0]]
        title = f"update of {names}"
        lines = textwrap.wrap(title, COLUMNS)
        if states:
            lines += textwrap.wrap(f"with {', '.join(states)}" + (" and alike" if len(members) > 1 else ""), COLUMNS)
        folded = tuple(n for g in members for n in inside[g])
        lines.append(f"{counted(len(folded), 'operation')}, open")
        shown = tuple(inside[members[0]])
        folds.append(_Fold(title, lines, "write", folded, shown, {n: marks[n] for n in folded if n in marks}))
    return folds


def _groups(updated: Sequence[SharedVariable]) -> dict[SharedVariable, list[SharedVariable]]:
    """Variables with their state: ``E`` with ``E.adam.m``."""
    groups: dict[SharedVariable, list[SharedVariable]] = {}
    for s in sorted(updated, key=lambda s: len(s.name or "")):
        base = next((g for g in groups if s.name and g.name and s.name.startswith(f"{g.name}.")), s)
        groups.setdefault(base, []).append(s)
    return groups


def _owners(
    outputs: Sequence[Variable], roots: Mapping[Variable, object], users: Mapping[Variable, Sequence[Variable]]
) -> dict[Variable, object]:
    """For each node the one group that it serves; the outputs and several groups are None."""
    owner: dict[Variable, object] = {}
    shown = set(outputs)
    for node in reversed(list(users)):
        served = {owner[u] for u in users[node]}
        if node in roots:
            served.add(roots[node])
        if node in shown:
            served.add(None)
        owner[node] = served.pop() if len(served) == 1 else None
    return owner


def _backward(
    outputs: Sequence[Variable], folds: Sequence[_Fold], users: Mapping[Variable, Sequence[Variable]],
    roots: Sequence[Variable],
) -> list[_Fold]:  # fmt: skip
    """All that no output needs and that is in no other fold: what follows from new values, and the rest."""
    after = set(roots)
    for node in users:
        if not after.isdisjoint(node.inputs):
            after.add(node)
    shown = set(toposort(outputs)).union(roots, *(f.nodes for f in folds))
    left = [n for n in users if n not in shown and n.op is not None and not _inlined(n)]
    parts = ("gradients", [n for n in left if n not in after]), ("from new values", [n for n in left if n in after])
    return [
        _Fold(title, [title, f"{counted(len(nodes), 'operation')}, open"], "fold", tuple(nodes), tuple(nodes), {})
        for title, nodes in parts
        if len(nodes) >= FEWEST
    ]


# --- boxes


def _inlined(node: Variable) -> bool:
    """Whether a node is told within the boxes that use it: constants, lengths and what is computed of them."""
    if isinstance(node, Constant):
        return True
    if node.op is None or node.ndim or not is_discrete(node.dtype):
        return False
    return node.op.name == "length" or all(_inlined(i) for i in node.inputs)


def _is_subset(node: Variable) -> bool:
    return node.op is not None and node.op.name.endswith("subtensor")


def _view(
    title: str, roots: Sequence[Variable], folds: Sequence[_Fold], users: Mapping[Variable, Sequence[Variable]],
    marks: Mapping[Variable, str], within: Collection[Variable] | None = None,
) -> View:  # fmt: skip
    """A view of the graph under `roots`. within: the nodes to show, if not all; what they take stands for itself."""
    order = toposort(roots, None if within is None else lambda n: n not in within)
    folded = {n: f for f in folds for n in f.nodes}
    home: dict[Variable, Variable | _Fold] = {}  # the box in which a node is told, by its last node
    for node in reversed(order):
        if _inlined(node):
            continue
        serves = {folded.get(u) for u in users.get(node, ())}
        if node.op is None and len(serves) == 1 and None not in serves:
            home[node] = serves.pop() or node  # a state that one box reads
            continue
        above = _only_user(node, users, marks, folded)
        home[node] = folded.get(node) or (node if above is None else home.get(above, node))
    lines: dict[Variable | _Fold, list[str]] = {}
    before: dict[Variable | _Fold, dict[Variable | _Fold, None]] = {}
    for node in order:
        if _inlined(node):
            continue
        box = home[node]
        if isinstance(box, _Fold):
            lines[box] = box.lines
        else:
            lines.setdefault(box, []).extend(_lines(node))
        sources = before.setdefault(box, {})
        if within is None or node in within:
            sources.update((home[i], None) for i in node.inputs if not _inlined(i) and home[i] is not box)
    boxes = list(TopologicalSorter(before).static_order())
    number = {box: k for k, box in enumerate(boxes)}
    view = View(title, within is not None, edges=[(number[a], number[b]) for b in boxes for a in before[b]])
    for box in boxes:
        if isinstance(box, _Fold):
            view.boxes.append(Box(box.kind, lines[box], opens=1 + folds.index(box)))
        else:
            view.boxes.append(Box(_kind(box), [*lines[box], str(box.type)], _is_large(box), marks.get(box, "")))
    return view


def _only_user(
    node: Variable,
    users: Mapping[Variable, Sequence[Variable]],
    marks: Mapping[Variable, str],
    folded: Collection[Variable],
) -> Variable | None:
    """The node in whose box a node is told, as a line above it: its one user, which computes nothing else."""
    above = users.get(node, ())
    if node.op is None or _is_subset(node) or node in marks or node in folded or len(above) != 1:
        return None
    (user,) = above
    alone = [i for i in user.inputs if not _inlined(i)] == [node]
    return user if alone and not _is_subset(user) and user not in folded else None


def _kind(node: Variable) -> str:
    if isinstance(node, SharedVariable):
        return "shared"
    if node.op is None:
        return "input"
    return "read" if node.op.name == "subtensor" else "write" if _is_subset(node) else "op"


def _is_large(node: Variable) -> bool:
    """Whether a node surely holds many elements, and they are its own."""
    known = [n for n in node.type.shape if n is not None]
    own = node.op is None or node.op.name not in VIEWS
    return own and len(known) == node.ndim and math.prod(known) >= LARGE


def _lines(node: Variable) -> list[str]:
    """What a node is, in words: its op, what it takes of constants and lengths, and its parameters."""
    if node.op is None:
        return textwrap.wrap(node.label, COLUMNS)
    index = node.params.get("index")
    if index is not None and hasattr(index, "spell"):
        first = 1 if node.op.name == "subtensor" else 2
        what = f"{_VERBS.get(node.op.name, node.op.name)} [{index.spell([describe(i) for i in node.inputs[first:]])}]"
        return textwrap.wrap(what, COLUMNS)
    sign = _SIGNS.get(node.op.name)
    inside = [describe(i) if _inlined(i) else "·" for i in node.inputs]
    if sign is not None and len(inside) == 2:
        text = f"{inside[0]} {sign} {inside[1]}"
    else:
        told = [t for t in inside if t != "·"]
        told += [f"{k}={v}" for k, v in node.params.items() if not isinstance(v, Variable)]
        text = f"{node.op.name} {', '.join(told)}".strip()
    return textwrap.wrap(text, COLUMNS)


_VERBS = {"subtensor": "read", "set_subtensor": "set", "inc_subtensor": "add at"}
_SIGNS = {"add": "+", "subtract": "−", "multiply": "×", "divide": "÷", "matmul": "@", "power": "**"}
