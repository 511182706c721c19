"""Watching a backend at work: whether it was asked at all, and how it behaves beside the values that it gives."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import numpy as np

from subtensor import plugins
from subtensor.errors import Unsupported
from subtensor_conformance.at_work import at_work, guarded

NOISE = (Warning, UserWarning)
"""Warnings of a category of the backend's own are its business; these, and NumPy's about numbers, are not."""


class Failure(Exception):
    """A case did not do what it should."""

    def __init__(self, kind: str, message: str, expected: str = "", got: str = "", error: float = 0.0) -> None:
        super().__init__(message)
        self.kind, self.expected, self.got, self.error = kind, expected, got, error


class Witness:
    """Stands for a backend, and counts how often it was asked to compile, and what it compiled to run.

    executable: what it compiled last. fault: the first thing that was wrong with how it did so. listens: whether
    warnings and prints are looked at, which other threads must not do at the same time.
    """

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.compiled = 0
        self.ran = 0
        self.executable: Any = None
        self.fault: Failure | None = None
        self.listens = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def compile(self, program: Any, **options: Any) -> Any:
        self.compiled += 1
        with self._listening(), at_work(self.backend, self._note):
            executable = self.backend.compile(program, **options)
        self.executable = executable

        def run(inputs: Any, cells: Any) -> Any:
            self.ran += 1
            try:
                with self._listening(), at_work(self.backend, self._note):
                    outputs = executable(inputs, cells)
            except Unsupported as refusal:
                self._note("declaration", f"refused when it was called, not by compile: {refusal}")
                raise
            if type(outputs) is not tuple or any(type(o) is not np.ndarray for o in outputs):
                parts = ", ".join(type(o).__name__ for o in outputs) if isinstance(outputs, tuple | list) else ""
                got = f"{type(outputs).__name__}({parts})"
                self._note("form", "an executable gives a tuple of NumPy arrays", got)
            return outputs

        return run

    def raise_fault(self) -> None:
        """Raises Failure if anything was wrong so far."""
        if self.fault is not None:
            raise self.fault

    def _note(self, kind: str, message: str, got: str = "") -> None:
        self.fault = self.fault or Failure(kind, message, got=got)

    @contextmanager
    def _listening(self) -> Iterator[None]:
        if not self.listens:
            yield
            return
        written, errors = io.StringIO(), np.geterr()
        with warnings.catch_warnings(record=True) as heard, redirect_stdout(written), redirect_stderr(written):
            warnings.simplefilter("always")
            try:
                yield
            finally:
                if np.geterr() != errors:
                    got = repr(np.geterr())
                    self._note("noise", "NumPy's handling of floating-point errors is not what it was", got)
                    np.seterr(**errors)
        for w in heard:
            if w.category in NOISE or issubclass(w.category, RuntimeWarning):
                self._note("noise", f"a warning: {w.category.__name__}: {w.message}")
        if written.getvalue():
            self._note("noise", "something was printed", got=written.getvalue())


@contextmanager
def witnessed(name: str) -> Iterator[Witness]:
    """The backend of a name, watched for the length of a ``with`` block."""
    original = plugins.get_backend
    witness = Witness(original(name))
    guard = guarded(witness.backend)

    def get_backend(wanted: str) -> Any:
        return witness if wanted == name else original(wanted)

    with guard:
        plugins.get_backend = get_backend  # type: ignore[assignment]  # the witness stands for a backend
        try:
            yield witness
        finally:
            plugins.get_backend = original
