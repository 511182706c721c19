"""What an optimizer gives: updates for ``function``, with the state behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from subtensor.errors import OptimizerError
from subtensor.function import Function, function
from subtensor.graph.config import config
from subtensor.graph.nodes import Variable, call, rebuild, toposort
from subtensor.graph.shared import SharedVariable
from subtensor.ops.elementwise import cast
from subtensor.ops.shape import length
from subtensor.ops.subtensor import get_op
from subtensor.optimizers.growth import grow, of_table
from subtensor.optimizers.places import Place, RowPlace, Subset, row_keys
from subtensor.optimizers.waiting import Average, Lag, Waiting


class Updates(dict[SharedVariable, Variable]):
    """Shared variable → new value, in the order in which they were made; give it to ``function(updates=…)``.

    state: the optimizer's own shared variables, named. parameters: the shared variables that it trains. lags, places:
    the tables whose rows wait for idle steps, and which of their rows a step reads. now: nodes as the user wrote them →
    what they would be now, for the ids of those rows where they depend on rows that wait. starts: how state that does
    not start at zero follows from the table. places_written: what a step writes of each parameter. averages: of the
    parameters.
    """

    def __init__(self) -> None:
        super().__init__()
        self.state: list[SharedVariable] = []
        self.parameters: list[SharedVariable] = []
        self.lags: dict[SharedVariable, Lag] = {}
        self.averages: dict[SharedVariable, Average] = {}
        self.places: dict[SharedVariable, RowPlace] = {}
        self.now: dict[Variable, Variable] = {}
        self.starts: dict[SharedVariable, Callable[[Variable], Variable]] = {}
        self.places_written: dict[SharedVariable, Place] = {}
        self._written: dict[SharedVariable, list[Variable]] = {}
        self._flush: dict[str, Function] = {}

    def __deepcopy__(self, memo: Any) -> Updates:
        raise OptimizerError(
            "deepcopy: updates are expressions over the variables that they train, and would go on reading those, not "
            "their copies; to keep values, copy [*updates.parameters, *updates.state], or use st.save and st.load; to "
            "train other variables, call the optimizer again"
        )

    def read(self, expression: Any) -> Any:
        """`expression`, a node or a list, in which rows that wait for idle steps are read as they would be now.

        With ``untouched="catch_up"`` every output that reads a trained table goes through here, the cost included.
        ``table[ids]`` stays O(rows); a table read as a whole, in ids too, is brought up to date as a whole, O(table).
        With other options, `expression` itself.
        """
        if isinstance(expression, Variable):
            return self._read([expression])[0]
        nodes = list(expression) if isinstance(expression, Iterable) else [expression]
        for node in nodes:
            if not isinstance(node, Variable):
                raise OptimizerError(f"read: got {node!r}; expected a symbolic variable or a list of them")
        return self._read(nodes)

    def follow(self, places: Sequence[Place]) -> list[Place]:
        """`places` at the ids that they would have now: those may depend on rows that wait. `read` knows them then."""
        followed: list[Place] = []
        for place in places:
            if not isinstance(place, RowPlace) or place.shared not in self.lags:
                followed.append(place)
                continue
            self._written[place.shared] = [s.node for s in place.subsets]
            self.places[place.shared] = now = self._followed(place, followed)
            followed.append(now)
        return followed

    def _followed(self, place: RowPlace, others: Sequence[Place]) -> RowPlace:
        ids = [i for s in place.subsets for i in s.node.inputs[1:]]
        moved = {i: n for i, n in zip(ids, _replaced(ids, {}, self.lags), strict=True) if i is not n}
        if not moved:
            return place
        self.now.update(moved)
        subsets = []
        for s in place.subsets:
            node = rebuild(s.node, [s.table, *(moved.get(i, i) for i in s.node.inputs[1:])])
            (param,) = _replaced([s.param], {s.node: node}, self.lags)
            found = row_keys(node)
            assert found is not None
            subsets.append(Subset(param, node, s.table, *found))
        return RowPlace(subsets, place.name, others=others)

    def _read(self, expressions: Sequence[Variable]) -> list[Variable]:
        if not self.lags:
            return list(expressions)
        known = dict(self.now)
        for table, place in self.places.items():
            current = place.occurrences(cast(self.lags[table].now(place), table.dtype))
            known.update(zip(self._written[table], current, strict=True))
        return _replaced(expressions, known, self.lags)

    def averaged(self, expression: Any) -> Any:
        """`expression`, a node or a list, over the moving averages of what is trained, in place of its values.

        For optimizers with ``average=``. ``table[ids]`` stays O(rows). Raises OptimizerError where nothing is averaged.
        """
        if not self.averages:
            raise OptimizerError("averaged: these updates keep no averages; give the optimizer average=0.999")
        nodes = [expression] if isinstance(expression, Variable) else list(expression)
        found = _replaced(nodes, {}, self.averages)
        return found[0] if isinstance(expression, Variable) else found

    def rows(self, table: SharedVariable) -> Any:
        """The numbers of the rows of a table that a step writes: int64, (S,); a tuple of them for rows along more axes.

        Each row is listed at least once: once on backends whose shapes may depend on values, such as NumPy; on JAX
        once for each occurrence. All rows, where the table is trained as a whole. Raises OptimizerError for what is not
        trained.
        """
        table = of_table(self.parameters, table, "rows")
        place = self.places_written[table]
        if not isinstance(place, RowPlace):
            return call("arange", length(table, 0))
        return place.keys[0] if len(place.keys) == 1 else place.keys

    def grow(self, table: SharedVariable, rows: Any) -> None:
        """Append rows to a table that these updates train, and to its state; all at once, or, after an error, nothing.

        table: made with ``shape=(None, …)``. rows: (n, …), of a dtype that converts safely. The state of new rows is
        that of rows which no step has used yet. Functions that were compiled before go on. State that is shorter than
        the table, after ``table.set_value`` or where two optimizers train one table, is brought up to it: ``grow(table,
        [])`` does that alone. Raises OptimizerError for other variables, ShapeError, DTypeError; StoreError where the
        values lie in a file.
        """
        table = of_table(self.parameters, table)
        state = [s for s in self.state if s.beside is table]
        waiting = [w for w in (self.lags.get(table), self.averages.get(table)) if w is not None]
        grow(table, rows, state, self.starts, {w.last: w.steps for w in waiting if w.last is not None})

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
            yield table, cast(w, table.dtype)
            yield from ((lag.slots[name], value) for name, value in state.items())
            yield lag.last, call("zeros_like", lag.last) + lag.steps


def _replaced(
    expressions: Sequence[Variable], known: Mapping[Variable, Variable], waiting: Mapping[SharedVariable, Waiting]
) -> list[Variable]:
    """`expressions` over `known` replacements and over tables brought up to date, in which ids are so, too."""
    new = dict(known)
    for node in toposort(expressions, stop=known.__contains__):
        if node in new:
            continue
        inputs = [new[i] for i in node.inputs]
        lag = waiting.get(node) if isinstance(node, SharedVariable) else None
        if lag is not None:
            new[node] = cast(lag.whole(), node.dtype)
            continue
        part = _part(node, inputs[1:], waiting) if inputs else None
        new[node] = rebuild(node, inputs) if part is None else part
    return [new[e] for e in expressions]


def _part(node: Variable, inputs: Sequence[Variable], waiting: Mapping[SharedVariable, Waiting]) -> Variable | None:
    """What reads rows of a table at `inputs`, without the rest of it; None where `node` is nothing of the kind."""
    table = node.inputs[0]
    lag = waiting.get(table) if isinstance(table, SharedVariable) else None
    if lag is None or node.op is None:
        return None
    if node.op.name == "length":
        return node
    return lag.rows(rebuild(node, [table, *inputs])) if node.op is get_op else None
