"""Shared variables in a file: safetensors, written whole or not at all, and checked before anything is changed."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from subtensor.errors import CheckpointError, Unsupported
from subtensor.graph.cells import commit
from subtensor.graph.nodes import Array
from subtensor.graph.shared import SharedVariable

_RESERVED = "__metadata__"
"""A key of safetensors' header that is no variable's name."""
_DTYPES = ("BOOL", "F16", "F32", "F64", "I16", "I32", "I64", "I8", "U16", "U32", "U64", "U8")
"""The dtypes that subtensor has, as safetensors calls them."""


def save(path: str | os.PathLike[str], variables: Any) -> None:
    """Write the values of shared variables to a safetensors file.

    variables: a shared variable, any number of them, a dict of them by name, the updates that an optimizer gave (the
    variables that it trains and its state), or a list of these. Names are those in a dict, else the variables' own.
    The values are of one moment: no call's updates are seen in part. The file is written beside `path`, then renamed:
    whenever the process ends, `path` is the old file or the new one (a process that is killed may leave a hidden
    ``.partial`` file beside it). Raises CheckpointError for variables without a name, for equal names and for names
    that the format has not, OSError as writing does, Unsupported where safetensors is not installed. Where two updates
    own state of one name (the steps of two Adams), it is kept under the name of the first variable that each trains.
    """
    named = _named(variables)
    library = _safetensors()
    with _locked(named):
        values = {name: np.array(s.cell.read(), order="C") for name, s in named.items()}
    _write_atomically(Path(path), library.save(values, {"writer": "subtensor"}))


def load(path: str | os.PathLike[str], variables: Any) -> None:
    """Give shared variables the values that ``save`` wrote; all of them, or, on any error, none.

    variables: as in ``save``. Names, dtypes and shapes must be those of the file. Raises CheckpointError where they are
    not and where the file is damaged, OSError as reading does, Unsupported where safetensors is not installed.
    """
    named = _named(variables)
    library = _safetensors()
    raw = Path(path).read_bytes()
    try:
        found: dict[str, Array] = library.load(raw)
    except Exception as error:
        if foreign := _foreign(raw):
            name, dtype = foreign
            raise CheckpointError(
                f"load: {name} in {os.fspath(path)} has dtype {dtype}, which subtensor has not; expected one of "
                f"{', '.join(_DTYPES)}: convert it with the library that wrote it"
            ) from error
        raise CheckpointError(
            f"load: {os.fspath(path)} is not a whole safetensors file ({error}): truncated, or of another kind"
        ) from error
    _check(os.fspath(path), named, found)
    values = [np.array(found[name], order="C") for name in named]
    cells = [s.cell for s in named.values()]
    with _locked(named):
        for cell in cells:
            cell.put(np.array(cell.read()) if cell.start is None else None, None)  # the same value in NumPy's form
        commit(cells, values)


def _safetensors() -> Any:
    try:
        import safetensors.numpy  # noqa: PLC0415  # an optional dependency
    except ImportError as error:
        raise Unsupported(
            "checkpoints", 'checkpoints need safetensors: pip install "subtensor[checkpoints]"'
        ) from error
    return safetensors.numpy


def _foreign(raw: bytes) -> tuple[str, str] | None:
    """What a safetensors file holds first of a dtype that is not ours, and the dtype; None where it holds none."""
    try:
        header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
        found = [(name, entry["dtype"]) for name, entry in header.items() if name != _RESERVED]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return next((pair for pair in found if pair[1] not in _DTYPES), None)


def _named(variables: Any) -> dict[str, SharedVariable]:
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
    if name == _RESERVED:
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
    else:
        yield getattr(variables, "name", None), variables, None


def _locked(named: Mapping[str, SharedVariable]) -> ExitStack:
    """Holds the locks of all variables, taken in the order in which calls take them."""
    held = ExitStack()
    for cell in sorted({s.cell.number: s.cell for s in named.values()}.items()):
        held.enter_context(cell[1].lock)
    return held


def _check(path: str, named: Mapping[str, SharedVariable], found: Mapping[str, Array]) -> None:
    missing, extra = sorted(set(named) - set(found)), sorted(set(found) - set(named))
    if missing or extra:
        parts = [f"it lacks {', '.join(missing)}"] if missing else []
        parts += [f"it holds {', '.join(extra)}, which the model has not"] if extra else []
        raise CheckpointError(f"load: {path} is of another model: {'; '.join(parts)}; expected the same names")
    for name, s in named.items():
        have = found[name]
        static = s.type.shape
        fits = have.ndim == len(static) and all(n is None or n == m for n, m in zip(static, have.shape, strict=True))
        if have.dtype.name != s.dtype or not fits:
            raise CheckpointError(
                f"load: {name} in {path} is {have.dtype.name} of shape {have.shape}; expected {s.type}"
            )


def _write_atomically(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(_permissions(path))
        os.replace(temporary, path)  # noqa: PTH105  # as fsync, of the same module
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
    if os.name == "posix":  # so that the new name, too, outlives a power failure
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _permissions(path: Path) -> int:
    """Those of the file that is replaced, or of a new one."""
    try:
        return path.stat().st_mode & 0o7777
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
