"""Checkpoints in parts: each of several processes writes its own rows, and an index makes the parts one checkpoint.

A part is a safetensors file beside the index, whose tensors hold the rows that one process answers for; which these are
stands in the index. The parts have names of their own in each save, so the index is the old checkpoint or the new one.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import numpy as np

from subtensor.checkpoint import safetensors as form
from subtensor.checkpoint.files import remove_left_behind, replacing
from subtensor.checkpoint.safetensors import printable
from subtensor.errors import CheckpointError
from subtensor.graph.cells import Cell, Share
from subtensor.graph.nodes import Array
from subtensor.graph.shared import SharedVariable
from subtensor.progress import Bar

FORMAT = "subtensor-parts"
BEGINS = b'{"format"'
"""How an index begins; the header's length in a safetensors file cannot be that."""

Ranges = list[tuple[int, int]]


def save_parts(path: Path, named: Mapping[str, SharedVariable], shares: Mapping[str, Share], done: Bar) -> None:
    """Write this process's part, and, in the first process, the index. All processes call this."""
    share = next(iter(shares.values()))
    token = share.tell(secrets.token_hex(4))[0]
    part = path.parent / part_name(path, token, share.index, share.count)
    rows = {name: [(low, high) for low, high in shares[name].owned] for name in named}
    try:
        _write_part(part, named, rows, done)
        problem = ""
    except OSError as error:
        problem = f"{part}: {error.strerror or error}"
    said = [json.loads(text) for text in share.tell(json.dumps({"problem": problem, "rows": rows}))]
    problems = [each["problem"] for each in said if each["problem"]]
    if not problems:
        problems = _covered(named, [each["rows"] for each in said])
    if not problems and share.index == 0:
        try:
            with replacing(path) as file:
                form.write_all(file, _index(path, token, named, [each["rows"] for each in said]))
        except OSError as error:
            problems = [f"{path}: {error.strerror or error}"]
        else:
            _remove_others(path, token)
    outcome = share.tell("; ".join(problems))
    if any(outcome):
        with contextlib.suppress(OSError):
            part.unlink()
        raise CheckpointError(f"save: {next(filter(None, outcome))}; {path} is what it was, in all processes")


def part_name(path: Path, token: str, index: int, count: int) -> str:
    """The name of a part."""
    return f"{path.name}.{token}.{index + 1}-of-{count}"


def _write_part(part: Path, named: Mapping[str, SharedVariable], rows: Mapping[str, Ranges], done: Bar) -> None:
    shapes = {}
    for name, s in named.items():
        shape = s.cell.shape
        count = sum(high - low for low, high in rows[name])
        if count:
            shapes[name] = (s.dtype, (count, *shape[1:]) if shape else ())
    entries = form.layout(shapes)

    def pieces(name: str) -> Iterator[Array]:
        return _pieces(named[name].cell, entries[name], rows[name])

    with replacing(part) as file:
        form.write(file, entries, pieces, done.update)


def _pieces(cell: Cell, entry: form.Entry, ranges: Ranges) -> Iterator[Array]:
    if not entry.nbytes:
        return
    if not entry.shape:
        yield np.array(cell.read()).reshape(1).view(np.uint8)
        return
    step = max(1, form.PIECE * entry.shape[0] // entry.nbytes)
    for low, high in ranges:
        for rows in cell.pieces(low, high, step):
            yield np.ascontiguousarray(rows).reshape(-1).view(np.uint8)


def _covered(named: Mapping[str, SharedVariable], each: Sequence[Mapping[str, Ranges]]) -> list[str]:
    """What is wrong with the rows that processes wrote: each must be somewhere, once."""
    for name, s in named.items():
        shape = s.cell.shape
        at = 0
        for low, high in sorted((low, high) for rows in each for low, high in rows.get(name, [])):
            if low != at:
                break
            at = high
        if at != (shape[0] if shape else 1):
            return [f"row {at} of {printable(name)} is divided over several processes; expected whole rows in each"]
    return []


def _index(path: Path, token: str, named: Mapping[str, SharedVariable], each: Sequence[Mapping[str, Ranges]]) -> bytes:
    count = len(each)
    content = {
        "format": FORMAT,
        "version": 1,
        "parts": [part_name(path, token, k, count) for k in range(count)],
        "tensors": {
            name: {"dtype": s.dtype, "shape": list(s.cell.shape), "rows": [rows.get(name, []) for rows in each]}
            for name, s in named.items()
        },
    }
    return json.dumps(content).encode()  # begins as ``BEGINS`` says


def _remove_others(path: Path, token: str) -> None:
    """Remove parts of earlier saves, and of those that failed."""
    for found in path.parent.iterdir():
        rest = found.name.removeprefix(f"{path.name}.")
        pieces = rest.split(".")
        old = rest != found.name and len(pieces) == 2 and pieces[0] != token and "-of-" in pieces[1]
        if old and len(pieces[0]) == len(token) and all(c in "0123456789abcdef" for c in pieces[0]):
            with contextlib.suppress(OSError):
                found.unlink()
    with contextlib.suppress(OSError):
        remove_left_behind(path)


class FromParts:
    """A checkpoint in parts, as a source of values: see ``loading.Source``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.where = os.fspath(path)
        self.held = ExitStack()
        try:
            content = self._content()
            self.found = {n: (t["dtype"], tuple(t["shape"])) for n, t in content["tensors"].items()}
            self.rows = {n: [[(a, b) for a, b in part] for part in t["rows"]] for n, t in content["tensors"].items()}
            self.files = [path.parent / name for name in content["parts"]]
            self.entries, self.open = self._parts()
        except BaseException:
            self.held.close()
            raise

    def _content(self) -> Any:
        try:
            content = json.loads(self.path.read_bytes())
            known = content["format"] == FORMAT and content["version"] == 1
            names = content["parts"]
            known = known and all(Path(n).name == n for n in names)
            known = known and all(len(t["rows"]) == len(names) for t in content["tensors"].values())
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise CheckpointError(f"load: {self.where} is no whole index of a checkpoint in parts ({error})") from error
        if not known:
            raise CheckpointError(f"load: {self.where} is an index of another form; expected {FORMAT}, version 1")
        return content

    def _parts(self) -> tuple[list[dict[str, form.Entry]], list[Any]]:
        entries, opened = [], []
        for k, file in enumerate(self.files):
            try:
                handle = self.held.enter_context(file.open("rb", buffering=0))
            except FileNotFoundError:
                raise CheckpointError(
                    f"load: {self.where} has {len(self.files)} parts, of which number {k + 1}, "
                    f"{printable(file.name)}, is missing beside it; copy all parts with the index"
                ) from None
            opened.append(handle)
            entries.append(form.read_header(handle, os.fspath(file)))
            for name, (dtype, shape) in self.found.items():
                count = sum(high - low for low, high in self.rows[name][k])
                want = (dtype, (count, *shape[1:]) if shape else ()) if count else None
                entry = entries[-1].get(name)
                have = None if entry is None else (entry.dtype, entry.shape)
                if have != want:
                    raise CheckpointError(
                        f"load: part {printable(file.name)} has {have} for {printable(name)}, the index {want}: the "
                        "part is of another checkpoint"
                    )
        for name, (_, shape) in self.found.items():
            at = 0
            for low, high, _ in self._ordered(name):
                if low != at or high <= low:
                    break
                at = high
            if at != (shape[0] if shape else 1):
                raise CheckpointError(f"load: {self.where} lacks row {at} of {printable(name)}; the index is damaged")
        return entries, opened

    def _ordered(self, name: str) -> list[tuple[int, int, int]]:
        """Ranges of rows, with the part in which each lies."""
        return sorted((low, high, k) for k, ranges in enumerate(self.rows[name]) for low, high in ranges)

    def verify(self, name: str, done: Bar) -> None:
        for file, handle, entries in zip(self.files, self.open, self.entries, strict=True):
            if name in entries:
                form.verify(handle, os.fspath(file), name, entries[name], done.update)

    def parts(self, name: str, start: int, stop: int) -> Iterator[tuple[int, Array]]:
        for low, high, k in self._ordered(name):
            first, last = max(low, start), min(high, stop)
            if first >= last:
                continue
            before = 0
            for a, b in self.rows[name][k]:
                if a == low:
                    break
                before += b - a
            shift = before - low
            for at, rows in form.parts(self.files[k], self.entries[k][name], first + shift, last + shift):
                yield at - shift, rows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.held.close()
