"""Nonlinear functions of gradients by rows: ``tanh(inc(0, y, i))``, ``clip(g, -1, 1)``, ``g * g``.

Increments at one place add up before a function of them is taken, so it cannot act on each: first they are summed over
repeated ids. Where each place is then incremented once, and the function of 0 is 0, it acts on the increments alone.
Sums over runs of equal ids may list a row several times (see ``ops.distinct``), so all mentions but the first are 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from subtensor.graph.constants import constant
from subtensor.graph.indexing import FULL, At, Index
from subtensor.graph.nodes import OPS, Constant, Variable, call, rebuild
from subtensor.ops.distinct import Runs, firsts, row_numbers, run_starts
from subtensor.ops.shape import broadcast_to_dims, length, lengths, reshape
from subtensor.ops.subtensor import get_op, inc_op
from subtensor.rewrites.axes import read_broadcast, renumbered
from subtensor.rewrites.canonicalize import ELEMENTWISE, EXACT
from subtensor.rewrites.conversions import distinct_write
from subtensor.rewrites.engine import rule
from subtensor.rewrites.facts import index_inputs, same_index
from subtensor.rewrites.shapes import fits_within, increments, is_increments, same_shape, uniform

ROWS = ("rows",)
_where, _multiply, _divide = OPS["where"], OPS["multiply"], OPS["divide"]

# --- the value of an expression where what it is made of is 0

_UNARY = ("tanh", "sin", "tan", "arcsin", "arctan", "sinh", "arcsinh", "arctanh", "expm1", "log1p", "sqrt", "exp",
          "cos", "cosh", "log", "rint")  # fmt: skip
_AT: dict[str, Callable[..., Any]] = {**EXACT, **{name: getattr(np, name) for name in _UNARY}, "erf": math.erf,
                                      "power": np.power}  # fmt: skip
_ODD = {"floor", "ceil", "trunc", "erfinv"}
_MOST_NODES = 32
"""Larger expressions are not looked at."""


def _at_zero(node: Variable, is_zero: Callable[[Variable], bool], seen: dict[Variable, Any] | None = None) -> Any:
    """The value of an elementwise expression whose leaves are 0 where `is_zero` says so; None if not known.

    0 times what is not known is 0: so much is promised by ``keeps="finite"``.
    """
    seen = {} if seen is None else seen
    if node not in seen:
        seen[node] = None  # until it is known, and where the expression is too large
        seen[node] = _computed(node, is_zero, seen) if len(seen) <= _MOST_NODES else None
    return seen[node]


def _computed(node: Variable, is_zero: Callable[[Variable], bool], seen: dict[Variable, Any]) -> Any:
    if is_zero(node):
        return np.zeros((), node.dtype)[()]
    scalar = uniform(node)
    if scalar is not None:
        return scalar.data[()]
    if node.op is None or not _acts_on_elements(node):
        return None
    values = [_at_zero(i, is_zero, seen) for i in node.inputs]
    name = node.op.name
    zero = [v is not None and v == 0 for v in values]
    if (name == "multiply" and any(zero)) or (name == "divide" and zero[0] and not zero[1]):
        return 0.0
    if name == "where" and values[0] is None:
        return 0.0 if zero[1] and zero[2] else None
    if name == "where":
        return values[1] if values[0] else values[2]
    if None in values:
        return None
    if name in _ODD and zero[0]:
        return 0.0
    if name == "cast":
        return np.asarray(values[0]).astype(node.dtype)[()]
    if name not in _AT:
        return None
    with np.errstate(all="ignore"):
        return _AT[name](*values)


def _acts_on_elements(node: Variable) -> bool:
    return node.op is not None and (node.op.name in _ACTING)


_ACTING = frozenset({*ELEMENTWISE, "cast"})

# --- expressions of increments

_over_increments: WeakKeyDictionary[Variable, bool] = WeakKeyDictionary()


def _is_over_increments(node: Variable) -> bool:
    """Whether an elementwise expression has zeros with increments among its leaves, or is such."""
    stack = [node]
    while stack:
        n = stack[-1]
        if n in _over_increments:
            stack.pop()
        elif is_increments(n) or not _acts_on_elements(n):
            _over_increments[n] = is_increments(n)
        else:
            missing = [i for i in n.inputs if i not in _over_increments]
            stack += missing
            if not missing:
                _over_increments[n] = any(_over_increments[i] for i in n.inputs)
    return _over_increments[node]


def _leaves(node: Variable) -> tuple[list[Variable], list[Variable]] | None:
    """The zeros with increments, and the other leaves, of an elementwise expression that is not too large."""
    chains: dict[Variable, None] = {}
    others: dict[Variable, None] = {}
    stack, seen = list(node.inputs), set[Variable]()
    while stack:
        n = stack.pop()
        if n in seen:
            continue
        seen.add(n)
        if len(seen) > _MOST_NODES:
            return None
        if is_increments(n):
            chains[n] = None
        elif _is_over_increments(n):
            stack += n.inputs
        else:
            others[n] = None
    return list(chains), list(others)


def _mask_of(w: Variable) -> Variable | None:
    """The mask of the first mention of each row, where the ids of an increment are those of runs."""
    ids = index_inputs(w)
    if len(ids) != 1 or not w.params["index"].selects_rows:
        return None
    at = ids[0]
    if at.op is not get_op or len(at.inputs) != 2 or at.inputs[1].op is not run_starts:
        return None
    ordered, starts = at.inputs
    return firsts(starts) if starts.inputs[0] is ordered and _are_rows(ordered) else None


def _are_rows(ordered: Variable) -> bool:
    """Whether a vector is ``row_numbers`` in ascending order."""
    source = ordered.inputs[0] if ordered.op is get_op and len(ordered.inputs) == 2 else None
    if source is None or source.op is not row_numbers:
        return False
    order = ordered.inputs[1]
    return order.op is OPS["argsort"] and order.inputs[0] is source


_once: WeakKeyDictionary[Variable, bool] = WeakKeyDictionary()


def _counts_once(chain: Variable) -> bool:
    """Whether a chain is one increment of which no more than one at each place is not 0."""
    found = _once.get(chain)
    if found is None:
        writes = increments(chain)[1]
        found = _once[chain] = len(writes) == 1 and (distinct_write(writes[0]) or is_masked(writes[0]))
    return found


def is_masked(w: Variable) -> bool:
    """Whether an increment at the ids of runs is 0 at all mentions of a row but the first."""
    mask = _mask_of(w)
    if mask is None:
        return False

    def masked(n: Variable) -> bool:
        if n.op is not _where or (zero := uniform(n.inputs[2])) is None or zero.data:
            return False
        given = n.inputs[0]
        return (given.inputs[0] if given.op is OPS["expand_dims"] else given) is mask

    value = _at_zero(w.inputs[1], masked)
    return value is not None and bool(value == 0)


_LARGE = 64
"""Smaller tables are not worth the sorting of ids."""


def _summed(chain: Variable) -> Variable | None:
    """The same, with the increments of each row added up: one for each distinct id, others 0."""
    n = chain.type.shape[0] if chain.ndim else 0
    ids, values, known = [], [], 0
    rest = lengths(chain)[1:]
    for w in increments(chain)[1]:
        if not w.params["index"].selects_rows:
            return None
        (rows,) = index_inputs(w)
        wide = broadcast_to_dims(w.inputs[1], [*lengths(rows), *rest])
        if rows.ndim != 1:
            if {None, 0} & set(chain.type.shape[1:]):
                return None  # the number of rows could not be inferred
            wide = reshape(wide, [constant(-1), *rest])
            rows = reshape(rows, (-1,))
        known += rows.type.shape[0] or 0
        ids.append(row_numbers(rows, length(chain, 0)))
        values.append(wide)
    if n is not None and n < max(_LARGE, known):
        return None
    runs = Runs.of(ids[0] if len(ids) == 1 else call("concatenate", ids, 0))
    sums = runs.sums(values[0] if len(values) == 1 else call("concatenate", values, 0))
    mask = runs.firsts
    if sums.ndim > 1:
        mask = call("expand_dims", mask, tuple(range(1, sums.ndim)))
    once = _where(mask, sums, constant(0, dtype=sums.dtype))
    index = increments(chain)[1][0].params["index"]
    return inc_op(increments(chain)[0], once, runs.values, index=index)


def _is_linear(node: Variable) -> bool:
    """Whether a product or quotient has increments in one factor, or above, only: other rules carry those."""
    over = [_is_over_increments(i) for i in node.inputs]
    return (node.op is _multiply and sum(over) == 1) or (node.op is _divide and over == [True, False])


_HEADS = sorted(_ACTING - {"neg", "cast", "add", "subtract", "less", "less_equal", "equal"})


@rule("function_of_increments", "f(inc(0, y, i)) = inc(0, f(sums of y over equal i), distinct i)", _HEADS,
      keeps="finite", tags=ROWS, priced=True,
      when="f is an elementwise expression, f(0) = 0; i selects rows, of 64 or more, or nothing twice")  # fmt: skip
def _function_of_increments(node: Variable) -> Variable | None:
    if not _is_over_increments(node) or is_increments(node) or node.dtype == "bool" or _is_linear(node):
        return None
    found = _leaves(node)
    if found is None:
        return None
    chains, others = found
    if not all(same_shape(c, node) for c in chains) or not all(fits_within(o, node) for o in others):
        return None
    value = _at_zero(node, is_increments)
    if value is None or value != 0:
        return None
    summed = {c: c if _counts_once(c) else _summed(c) for c in chains}
    first = summed[chains[0]]
    if first is None or any(s is None or not same_index(s, first) for s in summed.values()):
        return None
    index, inputs = first.params["index"], index_inputs(first)
    new: dict[Variable, Variable] = {c: s.inputs[1] for c, s in summed.items() if s is not None}
    new.update((o, o if isinstance(o, Constant) and o.ndim == 0 else read_broadcast(o, node.ndim, index, inputs))
               for o in others)  # fmt: skip
    zeros = broadcast_to_dims(constant(0, dtype=node.dtype), lengths(chains[0]))
    result = inc_op(zeros, _rebuilt(node, new), *inputs, index=index)
    _once[result] = True
    return result


def _rebuilt(node: Variable, new: dict[Variable, Variable]) -> Variable:
    if node not in new:
        new[node] = rebuild(node, [_rebuilt(i, new) for i in node.inputs])
    return new[node]


@rule("sum_of_increments", "sum(inc(0, y, i), A) = sum(y, A'), or inc(0, sum(y, A'), i)", ["sum"], keeps="rounding",
      tags=ROWS, priced=True, when="i selects rows; their positions are checked beside")  # fmt: skip
def _sum_of_increments(node: Variable) -> Variable | None:
    chain, axes = node.inputs[0], node.params["axes"]
    if not is_increments(chain) or not all(w.params["index"].selects_rows for w in increments(chain)[1]):
        return None
    kept = [a for a in range(1, chain.ndim) if a not in axes]
    total: Variable | None = None
    if 0 not in axes:
        total = broadcast_to_dims(constant(0, dtype=node.dtype), [length(chain, 0), *(length(chain, a) for a in kept)])
    for w in increments(chain)[1]:
        (ids,) = index_inputs(w)
        y = broadcast_to_dims(w.inputs[1], [*lengths(ids), *lengths(chain)[1:]])
        shifted = [a + ids.ndim - 1 for a in axes if a]
        if total is not None and 0 not in axes:
            index, _ = renumbered([At(0), *([FULL] * len(kept))], [ids])
            total = inc_op(total, OPS["sum"](y, axes=tuple(shifted)) if shifted else y, ids, index=index)
            continue
        part = OPS["add"](OPS["sum"](y, axes=(*range(ids.ndim), *shifted)), _nothing(y.dtype, chain, ids))
        total = part if total is None else OPS["add"](total, part)
    return total


def _nothing(dtype: str, chain: Variable, ids: Variable) -> Variable:
    """0, which fails where an id lies outside the rows of `chain`: zeros are read there."""
    zeros = broadcast_to_dims(constant(0, dtype=dtype), [length(chain, 0)])
    return OPS["sum"](get_op(zeros, ids, index=Index((At(0),))), axes=tuple(range(ids.ndim)))
