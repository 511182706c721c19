"""Forms of one function: where it depends on lengths which form of a graph is cheaper, the arguments of a call decide.

A function is rewritten and compiled when it is built, with what is known then. What had to be decided for lengths that
were not known is noted (``rewrites.judge``); a call for whose lengths another decision would be better by more than a
seventh is made by a form of its own, which is built then and kept. Calls whose lengths were seen before cost a look
into a dictionary.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from subtensor.graph.cells import Cell
from subtensor.graph.nodes import Variable, toposort
from subtensor.graph.shared import SharedVariable
from subtensor.graph.types import is_integer
from subtensor.program.contract import Executable
from subtensor.program.linear import Program
from subtensor.rewrites.judge import TOLERATED, Lengths, Question
from subtensor.rewrites.lengths import estimates

Updates = list[tuple[SharedVariable, Variable]]


@dataclass(frozen=True, slots=True)
class Form:
    """One form: its graph, program and executable, and what was decided for it that depends on lengths."""

    graph: tuple[list[Variable], Updates]
    program: Program
    executable: Executable
    asked: tuple[Question, ...] = ()

    def loss(self, lengths: Lengths) -> float:
        """How many times as much the worst decision costs, for given lengths."""
        return max((q.loss(lengths) for q in self.asked), default=1.0)


MOST_FORMS = 6
_MOST_SEEN = 4096


class Forms:
    """An executable that makes each call with the form that is cheapest for its lengths. current: the form used last.

    make: builds a form for given lengths.
    """

    def __init__(self, first: Form, make: Callable[[Lengths], Form]) -> None:
        self.current = first
        self._make = make
        self._forms = [first]
        self._seen: dict[Any, Form] = {}
        self._lock = threading.RLock()
        self._watch()

    @property
    def all(self) -> list[Form]:
        """The forms that were built so far."""
        return list(self._forms)

    def _watch(self) -> None:
        """Find out which arguments decide: whose shapes, and which are lengths themselves."""
        prices = [p for form in self._forms for q in form.asked for p in (q.chosen, q.other)]
        asked = [a for p in prices for a in p.atoms if isinstance(a, Variable)]
        leaves = {v for v in toposort(asked) if v.op is None}
        program = self.current.program
        inputs = [(k, v) for k, v in enumerate(program.inputs) if v in leaves]
        self._shapes = [k for k, v in inputs if v.ndim]
        self._values = [k for k, v in inputs if not v.ndim and is_integer(v.dtype)]
        self._tables = [k for k, s in enumerate(program.shared) if s in leaves and None in s.type.shape]
        alone = len(self._shapes) == 1 and not self._values and not self._tables
        self._only = self._shapes[0] if alone else None

    def _form(self, shapes: Sequence[Any], values: Sequence[Any], tables: Sequence[Any]) -> Form:
        """The form for a call, given the shapes and values of the arguments that decide."""
        key = shapes[0] if self._only is not None else (tuple(shapes), tuple(values), tuple(tables))
        form = self._seen.get(key)
        if form is None:
            with self._lock:
                form = self._chosen(key, shapes, values, tables)
        self.current = form
        return form

    def _chosen(self, key: Any, shapes: Sequence[Any], values: Sequence[Any], tables: Sequence[Any]) -> Form:
        program = self._forms[0].program
        known: dict[Variable, tuple[int, ...]] = {s: np.shape(s.cell.data) for s in program.shared}
        known.update((program.shared[k], shape) for k, shape in zip(self._tables, tables, strict=True))
        known.update((program.inputs[k], shape) for k, shape in zip(self._shapes, shapes, strict=True))
        numbers = {program.inputs[k]: value for k, value in zip(self._values, values, strict=True)}
        lengths = estimates(known, numbers)
        form = min(self._forms, key=lambda f: f.loss(lengths))
        if form.loss(lengths) > TOLERATED and len(self._forms) < MOST_FORMS:
            form = self._make(lengths)
            self._forms.append(form)
            self._watch()
            self._seen.clear()  # more arguments may decide now
            return form
        if len(self._seen) >= _MOST_SEEN:
            self._seen.clear()
        self._seen[key] = form
        return form

    def __call__(self, inputs: tuple[Any, ...], cells: tuple[Cell, ...]) -> tuple[Any, ...]:
        """One call."""
        if self._only is not None and (seen := self._seen.get(inputs[self._only].shape)) is not None:
            self.current = seen
            return seen.executable(inputs, cells)
        form = self._form(
            [inputs[k].shape for k in self._shapes],
            [int(inputs[k]) for k in self._values],
            [np.shape(cells[k].data) for k in self._tables],
        )
        return form.executable(inputs, cells)

    def steps(self, inputs: tuple[Any, ...], cells: tuple[Cell, ...]) -> Any:
        """Many calls, whose arguments are stacked: None where lengths differ from call to call, or are not told."""
        if any(len({int(n) for n in inputs[k]}) > 1 for k in self._values) or not all(len(i) for i in inputs):
            return None
        form = self._form(
            [inputs[k].shape[1:] for k in self._shapes],
            [int(inputs[k][0]) for k in self._values],
            [np.shape(cells[k].data) for k in self._tables],
        )
        steps = getattr(form.executable, "steps", None)
        return None if steps is None else steps(inputs, cells)

    def prepare(self, shapes: Sequence[tuple[int, ...]] | None) -> None:
        """Compile the form that arguments of these shapes would get."""
        form = self.current
        if shapes is not None and not self._values:
            tables = [np.shape(self.current.program.shared[k].cell.data) for k in self._tables]
            form = self._form([tuple(shapes[k]) for k in self._shapes], [], tables)
        prepare = getattr(form.executable, "prepare", None)
        if prepare is not None:
            prepare(shapes)

    def notes(self) -> Sequence[str]:
        """What the form that was used last has to say."""
        found: Sequence[str] = getattr(self.current.executable, "notes", tuple)()
        return found
