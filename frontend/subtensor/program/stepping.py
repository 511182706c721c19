"""Many steps of a compiled function: over stacked arguments, or over an iterator that another thread runs ahead."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np

from subtensor.graph.cells import Cell
from subtensor.graph.nodes import Array
from subtensor.program.contract import Backend, Executable

LARGEST = 512
"""Steps that are made in one dispatch at most: between dispatches others have their turn, and Ctrl-C is heard."""

_BYTES = 1 << 26
"""Bytes of arguments in one dispatch, about."""

_WAIT = 0.05
"""Seconds between two looks at whether the other side has given up."""

Outputs = tuple[Array, ...]


class Failed(Exception):  # carries an error to where it is raised
    """A step could not be made. made: how many before it were. outputs: theirs, in pieces."""

    def __init__(self, made: int, outputs: list[Outputs], error: BaseException) -> None:
        super().__init__(made)
        self.made, self.outputs, self.error = made, outputs, error


class Runner:
    """Makes steps. call: one step from its arguments, which raises the error that the frontend defines."""

    def __init__(
        self, call: Callable[..., Outputs], cells: Sequence[Cell], backend: Backend, execute: Executable
    ) -> None:
        self.call = call
        self.cells = tuple(cells)
        self.ordered = sorted(cells, key=lambda c: c.number)
        self.backend = backend
        self.many = getattr(execute, "steps", None)

    def largest(self, inputs: Sequence[Array]) -> int:
        """How many steps make one dispatch."""
        count = max(1, len(inputs[0])) if inputs else 1
        size = max(1, sum(x.nbytes for x in inputs) // count)
        return int(max(1, min(LARGEST, _BYTES // size)))

    def run(self, inputs: tuple[Array, ...]) -> list[Outputs]:
        """The outputs of steps over stacked arguments, in pieces with a first axis each. Raises Failed."""
        count = len(inputs[0])
        done = 0
        found: list[Outputs] = []
        if self.many is not None and count > 1:
            with ExitStack() as held:
                for cell in self.ordered:
                    held.enter_context(cell.lock)
                for cell in self.cells:
                    cell.move(self.backend)
                result = self.many(inputs, self.cells)
            if result is not None:
                done, outputs = result
                found.append(outputs)
        singles: list[Outputs] = []
        while done < count:
            try:
                singles.append(self.call(*(x[done] if x.ndim > 1 else x[done, ...] for x in inputs)))
            except Exception as error:
                raise Failed(done, [*found, *_stack(singles)], error) from error
            done += 1
        return [*found, *_stack(singles)]


def _stack(singles: Sequence[Outputs]) -> list[Outputs]:
    """Outputs of single steps as pieces; a piece for each where their shapes differ."""
    if not singles:
        return []
    columns = list(zip(*singles, strict=True))
    if all(len({o.shape for o in c}) == 1 for c in columns):
        return [tuple(np.stack(c) for c in columns)]
    return [tuple(o[None] for o in single) for single in singles]


def joined(pieces: Sequence[Outputs], outputs: int) -> tuple[Any, ...]:
    """The outputs of all steps: arrays with one entry for each along a first axis; lists where their shapes differ."""
    if not pieces:
        return tuple([] for _ in range(outputs))
    made = []
    for column in zip(*pieces, strict=True):
        if len({c.shape[1:] for c in column}) == 1:
            made.append(column[0] if len(column) == 1 else np.concatenate(column))
        else:
            made.append([row for c in column for row in c])
    return tuple(made)


class Ahead:
    """What an iterator gives, made ready by another thread, up to `depth` items ahead."""

    def __init__(self, items: Iterable[Any], ready: Callable[[Any], Any], depth: int) -> None:
        self.items, self.ready = items, ready
        self.line: queue.Queue[tuple[str, Any]] = queue.Queue(max(1, depth))
        self.closed = threading.Event()
        self.thread = threading.Thread(target=self._fill, name="subtensor steps", daemon=True)
        self.thread.start()

    def _fill(self) -> None:
        try:
            for item in self.items:
                if not self._put("item", self.ready(item)):
                    return
        except BaseException as error:  # noqa: BLE001  # raised where the items are taken
            self._put("error", error)
        else:
            self._put("end", None)

    def _put(self, kind: str, value: Any) -> bool:
        while not self.closed.is_set():
            try:
                self.line.put((kind, value), timeout=_WAIT)
            except queue.Full:
                continue
            return True
        return False

    def take(self, wait: bool) -> tuple[str, Any] | None:
        """The next entry; None where there is none yet and it is not waited for."""
        while True:
            try:
                return self.line.get(timeout=_WAIT) if wait else self.line.get_nowait()
            except queue.Empty:
                if not wait:
                    return None

    def close(self) -> None:
        """End the thread; what it is making now, it finishes."""
        self.closed.set()
        self.thread.join()


class Here:
    """What an iterator gives, one item at a time, made when it is asked for."""

    def __init__(self, items: Iterable[Any], ready: Callable[[Any], Any]) -> None:
        self.items, self.ready = iter(items), ready

    def take(self, wait: bool) -> tuple[str, Any] | None:
        """The next entry, if it is waited for."""
        if not wait:
            return None
        try:
            return "item", self.ready(next(self.items))
        except StopIteration:
            return "end", None
        except Exception as error:  # noqa: BLE001  # raised where the items are taken
            return "error", error

    def close(self) -> None:
        """Nothing is under way."""


def batches(source: Ahead | Here, most: Callable[[Sequence[Array]], int]) -> Iterator[tuple[Array, ...]]:
    """Stacked arguments: of what lies ready, as many items of equal shapes as go into one dispatch.

    Raises what the iterator does, after everything before it was given.
    """
    entry = source.take(wait=True)
    while True:
        assert entry is not None
        kind, value = entry
        if kind == "end":
            return
        if kind == "error":
            raise value
        group, shapes = [value], [x.shape for x in value]
        limit = most([x[None] for x in value])
        entry = None
        while len(group) < limit:
            entry = source.take(wait=False)
            if entry is None or entry[0] != "item" or [x.shape for x in entry[1]] != shapes:
                break
            group.append(entry[1])
            entry = None
        yield tuple(np.stack(column) for column in zip(*group, strict=True))
        if entry is None:
            entry = source.take(wait=True)
