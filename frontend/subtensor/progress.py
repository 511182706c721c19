"""Progress bars, where tqdm is installed: for what takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

AFTER = 2.0
"""Seconds before a bar that nobody asked for appears."""


class Bar(Protocol):
    """Is told how much more is done."""

    def update(self, n: int = 1) -> object: ...


class _Silent:
    def update(self, n: int = 1) -> object:
        return n


@contextmanager
def progress(what: str, total: int | None, unit: str, shown: bool | None) -> Iterator[Bar]:
    """A bar. shown: None, where a terminal looks on and it takes more than seconds; True, at once and anywhere."""
    try:
        from tqdm import tqdm  # noqa: PLC0415  # an optional dependency, and slow to import
    except ImportError:
        tqdm = None
    if shown is False or tqdm is None:
        yield _Silent()
        return
    options: dict[str, Any] = {"unit_scale": True, "unit_divisor": 1024} if unit == "B" else {}
    delay, disable = (AFTER, None) if shown is None else (0, False)
    with tqdm(total=total, desc=what, unit=unit, delay=delay, disable=disable, leave=False, **options) as bar:
        yield bar
