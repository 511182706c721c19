"""What of a table is not kept for every row in every step, and is worked out when rows are read.

Rows wait for the steps of the dense optimizer, and averages of rows for steps in which these stayed as they were.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from subtensor.graph.nodes import Variable, call
from subtensor.graph.shared import SharedVariable
from subtensor.ops.elementwise import cast
from subtensor.ops.shape import length, lengths, reshape
from subtensor.optimizers.places import Place, RowPlace, Subset, row_keys
from subtensor.optimizers.rules import Idle, Rule, power, wide


class Waiting(ABC):
    """A table of which rows are worked out when they are read."""

    table: SharedVariable

    @property
    @abstractmethod
    def lead(self) -> int:
        """How many axes of the table number rows."""

    @abstractmethod
    def now(self, place: Place) -> Variable:
        """The values of the rows at `place` as they are to be read."""

    def whole(self) -> Variable:
        """All values: O(table)."""
        return self.now(Place(self.table, self.table.label, self.lead))

    def rows(self, node: Variable) -> Variable | None:
        """The value of `node`, an indexing of the table, from its rows brought up to date; None where it reads more."""
        found, lead = row_keys(node), self.lead
        if found is None or len(found[0]) < lead:
            return None
        keys, distinct = found
        if len(keys) > lead:  # parts of rows
            numbers = Subset(node, node, self.table, keys, distinct).numbers()  # checked, in the words of `node`
            rows = self.rows(self.table[numbers[:lead]])
            assert rows is not None
            return reshape(rows[(call("arange", length(rows, 0)), *numbers[lead:])], lengths(node))
        place = RowPlace([Subset(node, node, self.table, keys, distinct)], self.table.label)
        return cast(place.occurrences(self.now(place))[0], self.table.dtype)


@dataclass(frozen=True)
class Lag(Waiting):
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
        w = cast(place.read(self.table), wide(self.table.dtype))
        state = {name: place.read(s) for name, s in self.slots.items()}
        point = Idle(place, w, state, cast(waited, "float64"), cast(done, "float64"), self.rate, self.keep)
        after = self.rule.idle(point)
        if self.keep != 1:
            w = point.power(self.keep) * w
        if after.change is not None:
            w = w + after.change
        return w, {**state, **after.state}

    @property
    def lead(self) -> int:
        return self.last.ndim

    def now(self, place: Place) -> Variable:
        return self.current(place)[0]


@dataclass(frozen=True)
class Average(Waiting):
    """A moving average of a table, a ← β a + (1 − β) w in each step, of which rows are brought up to date when written.

    A row that a step does not write goes on to be averaged as it is: after Δ steps a is w + β^Δ (a − w). value: a, of
    the table's shape. last: int64 by row, how many steps went into it; None where all is written in each. steps: 0-d
    int64, how many there were. beta: β.
    """

    table: SharedVariable
    value: SharedVariable
    last: SharedVariable | None
    steps: SharedVariable
    beta: float

    @property
    def lead(self) -> int:
        return 0 if self.last is None else self.last.ndim

    def whole(self) -> Variable:
        return self.value if self.last is None else super().whole()

    def rows(self, node: Variable) -> Variable | None:
        return None if self.last is None else super().rows(node)

    def now(self, place: Place) -> Variable:
        a = place.read(self.value)
        if self.last is None:
            return a
        w = cast(place.read(self.table), a.dtype)
        kept = cast(power(self.beta, cast(self.steps - place.read(self.last), wide(a.dtype))), a.dtype)
        return w + place.spread(kept, a) * (a - w)

    def stepped(self, place: Place, new: Variable) -> list[tuple[SharedVariable, Variable]]:
        """The updates by which a step that makes `new` of the rows at `place` goes into the average."""
        new = cast(new, self.value.dtype)
        pairs = [(self.value, place.put(self.value, new + self.beta * (self.now(place) - new)))]
        if self.last is not None:
            now = call("zeros_like", place.read(self.last)) + (self.steps + 1)
            pairs.append((self.last, place.put(self.last, now)))
        return pairs
