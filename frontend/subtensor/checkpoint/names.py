"""What is kept in a checkpoint, by name: the ways in which users say so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from typing import Any

from subtensor.errors import CheckpointError
from subtensor.graph.shared import SharedVariable

RESERVED = "__metadata__"
"""A key of safetensors' header that is no variable's name."""


def named_variables(variables: Any) -> dict[str, SharedVariable]:
    """The variables by name. Raises CheckpointError where names are missing or equal, or something else is given."""
    entries = list(_entries(variables))
    for name, s, _ in entries:
        if not isinstance(s, SharedVariable):
            raise CheckpointError(f"checkpoint: {s!r} is not a shared variable; only they have values to keep")
        if name is None or name == "":
            raise CheckpointError(f"checkpoint: {s!r} has no name; name it, or give a dict of names and variables")
        _check_name(name)
    owners: dict[str, set[SharedVariable]] = {}
    for name, s, _ in entries:
        owners.setdefault(name, set()).add(s)
    named: dict[str, SharedVariable] = {}
    for short, s, longer in entries:
        name = longer if longer and len(owners[short]) > 1 else short
        if named.setdefault(name, s) is not s:
            raise CheckpointError(
                f"checkpoint: two variables are called {name!r}; rename one, or give a dict of names and variables"
            )
    if not named:
        raise CheckpointError("checkpoint: there are no variables in what was given; expected at least one")
    return named


def _check_name(name: Any) -> None:
    if not isinstance(name, str):
        raise CheckpointError(f"checkpoint: the name {name!r} is {type(name).__name__}; expected a string")
    if name == RESERVED:
        raise CheckpointError(f"checkpoint: the name {name!r} is the format's own; choose another")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise CheckpointError(f"checkpoint: the name {name!r} has no UTF-8 form; choose another") from None


def _entries(variables: Any) -> Iterable[tuple[Any, Any, str | None]]:
    """Names, variables, and longer names for where the first ones are taken."""
    if hasattr(variables, "parameters") and hasattr(variables, "state"):
        yield from ((s.name, s, None) for s in variables.parameters)
        first = variables.parameters[0].name if variables.parameters else None
        yield from ((s.name, s, f"{first}.{s.name}" if first else None) for s in variables.state)
    elif isinstance(variables, Mapping):
        yield from ((name, s, None) for name, s in variables.items())
    elif isinstance(variables, list | tuple):
        for each in variables:
            yield from _entries(each)
    elif hasattr(variables, "variables") and hasattr(variables, "folder"):  # a store
        yield from ((name, s, None) for name, s in variables.variables.items())
    else:
        yield getattr(variables, "name", None), variables, None


def locked(named: Mapping[str, SharedVariable]) -> ExitStack:
    """Holds the locks of all variables, taken in the order in which calls take them."""
    held = ExitStack()
    for cell in sorted({s.cell.number: s.cell for s in named.values()}.items()):
        held.enter_context(cell[1].lock)
    return held
