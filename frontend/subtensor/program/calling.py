"""The path of a call that goes well, as one generated Python function: checks, locks, run.

A small step takes a few microseconds in all, of which loops over inputs and locks would be a large part; here they are
written out for each compiled function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import numpy as np

from subtensor.errors import SubtensorError
from subtensor.graph.cells import Cell
from subtensor.program.contract import Backend, Executable

_WRITTEN_OUT = 8
"""Up to this many locks stand in one ``with``; Python nests at most twenty."""


@contextmanager
def _held(locks: Sequence[AbstractContextManager[Any]]) -> Iterator[None]:
    with ExitStack() as stack:
        for lock in locks:
            stack.enter_context(lock)
        yield


def caller(
    accepted: Sequence[tuple[np.dtype[Any], int] | None],
    convert: Callable[[tuple[Any, ...]], tuple[Any, ...]],
    cells: Sequence[Cell],
    backend: Backend,
    execute: Executable,
    diagnose: Callable[[tuple[Any, ...]], None],
) -> Callable[..., tuple[Any, ...]]:
    """A function of the positional arguments that gives the program's outputs.

    accepted: for each input, the dtype and rank of arrays that need no conversion, or None where all do. convert: makes
    arrays of the arguments, or raises. cells: what the program reads and updates; locked in the order of their numbers,
    and brought to `backend`. diagnose: called with the arguments after a failure; may raise a better error.
    """
    names = [f"a{i}" for i in range(len(accepted))]
    given = f"({', '.join(names)}{',' if len(names) == 1 else ''})"
    space: dict[str, Any] = {
        "ndarray": np.ndarray,
        "convert": convert,
        "cells": tuple(cells),
        "backend": backend,
        "execute": execute,
        "diagnose": diagnose,
        "SubtensorError": SubtensorError,
        "held": _held,
    }
    checks = []
    for name, exact in zip(names, accepted, strict=True):
        if exact is None:
            checks = ["False"]
            break
        space[f"{name}_dtype"] = exact[0]
        checks.append(f"{name}.__class__ is ndarray and {name}.dtype is {name}_dtype and {name}.ndim == {exact[1]}")
    lines = []
    if checks:
        lines += [f"if not ({' and '.join(checks)}):", f"    {given} = convert({given})"]
    locks = [f"lock{i}" for i in range(len(cells))]
    space.update(zip(locks, (c.lock for c in sorted(cells, key=lambda c: c.number)), strict=True))
    indent = ""
    if locks:
        space["all_locks"] = tuple(space[name] for name in locks)
        lines.append(f"with {', '.join(locks) if len(locks) <= _WRITTEN_OUT else 'held(all_locks)'}:")
        indent = "    "
    for i, cell in enumerate(cells):
        space[f"cell{i}"] = cell
        lines += [f"{indent}if cell{i}.home is not backend:", f"{indent}    cell{i}.move(backend)"]
    lines += [
        f"{indent}try:",
        f"{indent}    return execute({given}, cells)",
        f"{indent}except SubtensorError:",
        f"{indent}    raise",
        f"{indent}except Exception:",
        f"{indent}    diagnose({given})",
        f"{indent}    raise",
    ]
    source = f"def call({', '.join(names)}):\n    " + "\n    ".join(lines) + "\n"
    exec(compile(source, "<subtensor call>", "exec"), space)  # noqa: S102  # our own source
    made: Callable[..., tuple[Any, ...]] = space["call"]
    return made
