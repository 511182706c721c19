"""Gradients of several batches added up, of which one step is made: batches larger than what fits, or than one has."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from subtensor.errors import OptimizerError
from subtensor.graph.constants import constant
from subtensor.graph.nodes import Variable, call
from subtensor.graph.shared import SharedVariable
from subtensor.graph.types import INDEX
from subtensor.ops.elementwise import cast
from subtensor.ops.raveling import raveled, unraveled
from subtensor.ops.shape import lengths
from subtensor.ops.subtensor import last_occurrence
from subtensor.optimizers.build import gradients_of
from subtensor.optimizers.places import Place, RowPlace, resolve
from subtensor.optimizers.reads import by_rows
from subtensor.optimizers.rules import wide
from subtensor.optimizers.updates import Updates
from subtensor.starting import started


class Accumulated(Updates):
    """Updates that add the gradients of a batch to those of the batches before: give them to ``function``.

    state: the sums, in the shapes of the parameters, for tables trained by rows the numbers of the rows, and how many
    batches there were. ``step`` gives the updates that make one step of all of them.
    """

    def __init__(self, mean: bool) -> None:
        super().__init__()
        self.mean = mean
        self.sums: dict[SharedVariable, SharedVariable] = {}
        self.rows_seen: dict[SharedVariable, SharedVariable] = {}
        self.leads: dict[SharedVariable, int] = {}
        self.batches: SharedVariable = self._made("accumulate.batches", constant(0, dtype=INDEX))
        self[self.batches] = self.batches + 1

    def _made(self, name: str, start: Variable, open_lengths: bool = False) -> SharedVariable:
        made = started(start, name, [None] * start.ndim if open_lengths else None)
        self.state.append(made)
        return made

    def add(self, place: Place, g: Variable) -> None:
        """Make the sum of the gradients of what a place trains, and the update that adds `g` to it."""
        table = place.shared
        zeros = call("zeros", table.cell.shape, wide(table.dtype))
        total = started(zeros, f"{place.name}.accumulate.sum", table.type.shape)
        self.state.append(total)
        if table.ndim:
            total.beside = table
        self.parameters.append(table)
        self.sums[table] = total
        if not isinstance(place, RowPlace):
            self[total] = total + g
            return
        self[total] = call("set_subtensor", place.read(total), place.read(total) + g)
        seen = self._made(f"{place.name}.accumulate.rows", constant([], dtype=INDEX), open_lengths=True)
        keys = place.keys
        numbers = keys[0] if len(keys) == 1 else raveled(keys, lengths(table)[: len(keys)])
        self.rows_seen[table] = seen
        self.leads[table] = len(keys)
        self[seen] = call("concatenate", [seen, numbers], 0)

    def step(self, optimizer: Callable[..., Updates], *arguments: Any, **options: Any) -> Updates:
        """The updates of one step by the gradients that were added up, after which there are none.

        optimizer: such as ``st.optimizers.adam``; arguments and options: of it, after the parameters. A step without
        batches changes nothing but counts of steps. Raises what the optimizer does, and OptimizerError for
        ``untouched="catch_up"``, where the rows that gradients are of would have to be known when they are computed.
        """
        if options.get("untouched") == "catch_up":
            raise OptimizerError(
                "accumulate: untouched='catch_up' brings rows up to date when a step reads them, and the gradients are "
                "older; use 'freeze' or 'dense'"
            )
        over = cast(call("maximum", self.batches, 1), "float64") if self.mean else None
        gradients: list[Variable] = []
        params: list[Variable] = []
        clear: dict[SharedVariable, Variable] = {self.batches: self.batches * 0}
        for table, total in self.sums.items():
            seen = self.rows_seen.get(table)
            if seen is None:
                gradients.append(total)
                params.append(table)
                clear[total] = call("zeros_like", total)
            else:
                lead = self.leads[table]
                keys = (seen,) if lead == 1 else tuple(unraveled(seen, lengths(table)[:lead]))
                g, once = total[keys], last_occurrence(seen)
                once = call("expand_dims", once, tuple(range(1, g.ndim))) if g.ndim > 1 else once
                gradients.append(call("where", once, g, 0))
                params.append(table[keys])
                clear[total] = call("set_subtensor", total[keys], 0)
                clear[seen] = seen[:0]
        if over is not None:
            gradients = [g / cast(over, g.dtype) for g in gradients]
        made = optimizer(gradients, params, *arguments, **options)
        made.update(clear)
        return made


def accumulate(cost: Any, params: Any, *, mean: bool = True) -> Accumulated:
    """Updates that add up the gradients of a cost over several calls; their ``step`` makes one step of the sum.

    cost: a float scalar, or a list of gradients, one for each parameter. params: as for optimizers. mean: whether the
    step takes the mean over the batches, or their sum. A batch costs O(rows); so does a step, in all rows that its
    batches used.
    """
    made = Accumulated(mean)
    if isinstance(cost, Variable) and not cost.ndim and isinstance(params, Iterable):
        params = by_rows("accumulate", cost, [params] if isinstance(params, Variable) else list(params)).params
    nodes, places = resolve(params)
    gradients = gradients_of("accumulate", cost, nodes)
    for place, positions in places:
        place.take_gradient([gradients[i] for i in positions])
        made.add(place, place.gradient)
    return made
