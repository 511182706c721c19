"""What a known-bad backend is: what is wrong with it, where that must show, and how."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class KnownBad:
    """A backend that must not pass.

    fault: what it does wrong. area: the one that must turn red. kinds: the kinds of failure that count. tags: where not
    empty, every case of the area that fails must bear one of them, so that the others show that nothing else is broken.
    make: from a good backend to the bad one. patch: in force while it is tried. alone: it ends or stalls its process.
    profile: of the area's cases.
    """

    name: str
    fault: str
    area: str
    kinds: tuple[str, ...]
    make: Callable[[Any], Any]
    tags: tuple[str, ...] = ()
    patch: Callable[[], AbstractContextManager[Any]] = nullcontext
    alone: bool = False
    state: str = "fail"
    profile: str = "quick"


ALL: dict[str, KnownBad] = {}


def known_bad(
    name: str,
    fault: str,
    area: str,
    kinds: str,
    make: Callable[[Any], Any],
    tags: str = "",
    *,
    patch: Callable[[], AbstractContextManager[Any]] = nullcontext,
    alone: bool = False,
    state: str = "fail",
    profile: str = "quick",
) -> None:
    """Enter one into ``ALL``. kinds, tags: separated by ``|``."""
    if name in ALL:
        raise ValueError(f"known-bad backend {name!r} is defined twice")
    each = tuple(t for t in tags.split("|") if t)
    ALL[name] = KnownBad(name, fault, area, tuple(kinds.split("|")), make, each, patch, alone, state, profile)
