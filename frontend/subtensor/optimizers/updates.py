"""What an optimizer gives: updates for ``function``, with the state behind them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from subtensor.config import config
from subtensor.function import Function, function
from subtensor.graph import Variable, replace, toposort
from subtensor.operators import call
from subtensor.ops.elementwise import cast
from subtensor.ops.subtensor import get_op
from subtensor.optimizers.places import Place, RowPlace, Subset, row_keys
from subtensor.optimizers.rules import Idle, Rule
from subtensor.shared import SharedVariable


@dataclass(frozen=True)
class Lag:
    """A table whose rows wait for their idle steps until they are read.

    slots: its state by name. last: (V,) int64, how many steps each row has had. steps: 0-d int64, how many there were.
    rate, keep: as in ``Idle``.
    """

    table: SharedVariable
    rule: Rule
    slots: dict[str, SharedVariable]
    last: SharedVariable
    steps: SharedVariable
    rate: float
    keep: float

    def current(self, place: Place) -> tuple[Variable, dict[str, Variable]]:
        """Values and state of the rows at `place`, brought up to date."""
        done = place.read(self.last)
        waited = self.steps - done
        w = place.read(self.table)
        state = {name: place.read(s) for name, s in self.slots.items()}
        point = Idle(place, w, state, cast(waited, "float64"), cast(done, "float64"), self.rate, self.keep)
        after = self.rule.idle(point)
        if self.keep != 1:
            w = point.power(self.keep) * w
        if after.change is not None:
            w = w + after.change
        return w, {**state, **after.state}


class Updates(dict[SharedVariable, Variable]):
    """Shared variable → new value, in the order in which they were made; give it to ``function(updates=…)``.

    state: the optimizer's own shared variables, named. parameters: the shared variables that it trains. lags, places:
    the tables whose rows wait for idle steps, and which of their rows a step reads.
    """

    def __init__(self) -> None:
        super().__init__()
        self.state: list[SharedVariable] = []
        self.parameters: list[SharedVariable] = []
        self.lags: dict[SharedVariable, Lag] = {}
        self.places: dict[SharedVariable, RowPlace] = {}
        self._flush: dict[str, Function] = {}

    def read(self, expression: Any) -> Any:
        """`expression`, a node or a list, in which rows that wait for idle steps are read as they would be now.

        With ``untouched="catch_up"`` every output that reads a trained table goes through here, the cost included.
        ``table[ids]`` stays O(rows); a table read as a whole is brought up to date as a whole, O(table). With other
        options, `expression` itself.
        """
        if isinstance(expression, Variable):
            return self._read([expression])[0]
        return self._read(list(expression))

    def _read(self, expressions: Sequence[Variable]) -> list[Variable]:
        if not self.lags:
            return list(expressions)
        mapping: dict[Variable, Variable] = {}
        for table, place in self.places.items():
            current = place.occurrences(self.lags[table].current(place)[0])
            mapping.update(zip((s.node for s in place.subsets), current, strict=True))
        for node in toposort(expressions):
            if node.op is None or node in mapping or not node.inputs or node.inputs[0] not in self.lags:
                continue
            table = node.inputs[0]
            assert isinstance(table, SharedVariable)
            if node.op.name == "length":
                mapping[node] = node
            elif node.op is get_op and (found := row_keys(node)) is not None:
                place = RowPlace([Subset(node, node, table, *found)], table.label)
                (mapping[node],) = place.occurrences(self.lags[table].current(place)[0])
        for table, lag in self.lags.items():
            mapping[table] = lag.current(Place(table, table.label, lag.last.ndim))[0]
        return replace(expressions, mapping)

    def flush(self, backend: str | None = None) -> None:
        """Bring every row of every table up to date: O(table). Does nothing where rows do not wait."""
        if not self.lags:
            return
        name = backend or config.backend
        if name not in self._flush:
            self._flush[name] = function([], [], list(self._flushed()), backend=name, name="flush")
        self._flush[name]()

    def _flushed(self) -> Iterable[tuple[SharedVariable, Variable]]:
        for table, lag in self.lags.items():
            w, state = lag.current(Place(table, table.label, lag.last.ndim))
            yield table, w
            yield from ((lag.slots[name], value) for name, value in state.items())
            yield lag.last, call("zeros_like", lag.last) + lag.steps
