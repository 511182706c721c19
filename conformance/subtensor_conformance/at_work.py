"""What a backend must not do while it is at work: hand its work to another one, or ask the oracle.

A backend that others stand behind says so: ``conformance_delegates``, the names of the backends that do work for it.
Those that it inherits from need no word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from subtensor import plugins
from subtensor.errors import PluginError

Told = Callable[[str, str], None]
"""Takes the kind of a fault, and what it is."""

_at_work: list[tuple[Any, Told]] = []

WORK = ("compile", "evaluate", "function")
"""Methods by which a backend does work."""


@contextmanager
def at_work(backend: Any, told: Told) -> Iterator[None]:
    """`backend` is at work for the length of a ``with`` block, in whatever thread."""
    entry = backend, told
    _at_work.append(entry)
    try:
        yield
    finally:
        _at_work.remove(entry)


def ask_the_oracle() -> None:
    """The suite asks the oracle; whoever does while a backend is at work is that backend."""
    for backend, told in _at_work:
        told("oracle", f"{backend.name!r} asks the suite what is expected of it")


@contextmanager
def guarded(backend: Any) -> Iterator[None]:
    """For the length of a ``with`` block the other backends that are loaded tell if `backend` has them do its work."""
    with suppress(PluginError):
        plugins.get_backend("numpy")  # which is always at hand
    undo: list[tuple[type, str, Any]] = []
    for cls in {type(b) for b in plugins.loaded_backends() if type(b) is not type(backend)}:
        for name in WORK:
            if name in vars(cls):
                undo.append((cls, name, vars(cls)[name]))
                setattr(cls, name, _telling(vars(cls)[name], name))
    try:
        yield
    finally:
        for cls, name, method in undo:
            setattr(cls, name, method)


def _telling(method: Callable[..., Any], name: str) -> Callable[..., Any]:
    def told(self: Any, *args: Any, **options: Any) -> Any:
        for backend, tell in _at_work:
            if self is not backend and self.name not in getattr(backend, "conformance_delegates", ()):
                tell(
                    "dispatch",
                    f"{backend.name!r} has {self.name!r} work for it ({name}); say so: "
                    f"conformance_delegates = frozenset({{{self.name!r}}})",
                )
        return method(self, *args, **options)

    return told
