"""How a cost reads a table: by rows, all of them listed or not, or otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from subtensor.errors import warn
from subtensor.graph.indexing import At
from subtensor.graph.nodes import DISCONNECTED, Constant, Variable, call, toposort
from subtensor.graph.reverse import pullback
from subtensor.graph.shared import SharedVariable
from subtensor.ops.subtensor import get_op
from subtensor.optimizers.places import row_keys, subset_of


class UntrainedRowsWarning(UserWarning):
    """An optimizer was given some of the rows of a table that its cost reads, and will not train the others."""


@dataclass(frozen=True)
class Rows:
    """Parameters in which tables that were given whole are the rows that the cost reads of them.

    params: those. whole: tables that stay whole although some of their rows are read, and why.
    """

    params: list[Variable]
    whole: dict[SharedVariable, str]


def by_rows(where: str, cost: Variable, params: Sequence[Variable]) -> Rows:
    """`params` for a cost, in which tables read by rows alone are these rows; warns of rows that are not listed.

    A table is read by rows where every path of the gradient to it goes through ``table[ids]``, and some ids are not
    constant: slices and constant positions are how people take apart what is no table.
    """
    users: dict[Variable, list[Variable]] = {}
    for node in toposort([cost]):
        for table in {i for i in node.inputs if isinstance(i, SharedVariable)}:
            users.setdefault(table, []).append(node)
    listed: dict[SharedVariable, list[Variable]] = {}
    for p in params:
        subset = subset_of(p)
        if subset is not None:
            listed.setdefault(subset.table, []).append(subset.node)
    result = Rows([], {})
    for p in params:
        if not isinstance(p, SharedVariable) or p in listed or not any(map(_selects, users.get(p, []))):
            result.params.append(p)
            continue
        reads = _connected(cost, users[p])
        why = _why_whole(p, reads)
        if why is None:
            result.params.extend(reads)
        else:
            result.params.append(p)
            result.whole[p] = why
    for table, nodes in listed.items():
        others = [u for u in users.get(table, []) if u not in nodes and u.op is get_op and row_keys(u) is not None]
        for read in _connected(cost, others):
            warn(
                f"{where}: the cost reads {read.label}, made at {read.place}, which is not among the parameters, so "
                f"that it trains {nodes[0].label} alone; list both, or give {table.label} for all its rows, or hold "
                f"the other fixed: st.disconnected_grad({read.label})",
                UntrainedRowsWarning,
            )
    return result


def _connected(cost: Variable, nodes: Sequence[Variable]) -> list[Variable]:
    """Those of `nodes` that a differentiable path from the cost reaches."""
    if not nodes:
        return []
    cotangents = pullback({cost: call("ones_like", cost)}, nodes)
    return [n for n, c in zip(nodes, cotangents, strict=True) if c is not DISCONNECTED]


def _selects(node: Variable) -> bool:
    """Whether it reads rows at positions that are not constant."""
    return node.op is get_op and _lead(node) > 0 and any(not isinstance(i, Constant) for i in node.inputs[1:])


def _lead(node: Variable) -> int:
    """How many leading axes are indexed by arrays and integers, where that selects rows; else 0."""
    if node.op is not get_op or row_keys(node) is None:
        return 0
    return sum(isinstance(part, At) for part in node.params["index"].parts)


def _why_whole(table: SharedVariable, reads: Sequence[Variable]) -> str | None:
    """Why a table that was given whole is not its rows, or None where it is."""
    for read in reads:
        if not _lead(read):
            return f"the cost reads {table.label} as a whole in {read.label}, made at {read.place}"
    if len({_lead(r) for r in reads}) > 1:
        first, other = reads[0], next(r for r in reads if _lead(r) != _lead(reads[0]))
        return f"the cost reads {first.label} and {other.label}, rows along different numbers of axes"
    if not any(map(_selects, reads)):
        return f"the gradient goes through no read of {table.label} at positions that are not constant"
    return None
