"""Known-bad backends: each is a small wrapper over a good one, and each must be killed, in its own area.

A suite that nothing can fail proves nothing; these prove that this one can be failed, and for which reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from subtensor import plugins
from subtensor.errors import BackendNotFoundError
from subtensor.plugins.hooks import hookimpl
from subtensor_conformance.known_bad import (
    conduct,
    curvature,
    loops,
    optimizers,
    random,
    stale,
    state,
    subsets,
    tables,
    thresholds,
    training,
    values,
)
from subtensor_conformance.known_bad.altered import Altered
from subtensor_conformance.known_bad.catalogue import ALL, KnownBad

PREFIX = "known-bad:"
UNMUTATED = "unmutated"
"""The wrapper that alters nothing; it must pass."""


class _Plugin:
    def __init__(self, backend: Altered) -> None:
        self.backend = backend

    @hookimpl
    def subtensor_backend(self) -> Altered:
        return self.backend


@contextmanager
def installed(name: str, over: str = "numpy") -> Iterator[str]:
    """A known-bad backend, ``known-bad:NAME``, for the length of a ``with`` block; gives its full name.

    over: the good backend that it wraps. Raises BackendNotFoundError for a name that is not in the catalogue.
    """
    short = name.removeprefix(PREFIX)
    if short != UNMUTATED and short not in ALL:
        raise BackendNotFoundError(f"no known-bad backend is named {short!r}; there are: {', '.join(ALL)}")
    good = plugins.get_backend(over)
    entry = ALL.get(short)
    backend = Altered(good) if entry is None else entry.make(good)
    backend.name = PREFIX + short
    registered = plugins.register(_Plugin(backend), backend.name)
    try:
        if entry is None:
            yield backend.name
        else:
            with entry.patch():
                yield backend.name
    finally:
        plugins.unregister(registered)


__all__ = [
    "ALL",
    "PREFIX",
    "UNMUTATED",
    "Altered",
    "KnownBad",
    "conduct",
    "curvature",
    "installed",
    "loops",
    "optimizers",
    "random",
    "stale",
    "state",
    "subsets",
    "tables",
    "thresholds",
    "training",
    "values",
]
