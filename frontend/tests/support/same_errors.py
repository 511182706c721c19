"""Errors of calls on another backend, compared with what the same calls raise on NumPy."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import subtensor as st
from subtensor.errors import SubtensorError
from subtensor.function import Function


@contextmanager
def errors_compared() -> Iterator[list[str]]:
    """Within, a call that raises a SubtensorError on another backend must raise it on NumPy, of the same type and with
    the same text, or AssertionError is raised instead. Gives the texts compared.
    """
    plain = Function.__call__
    seen: list[str] = []

    def compared(function: Function, *args: Any, **kwargs: Any) -> Any:
        try:
            return plain(function, *args, **kwargs)
        except SubtensorError as error:
            if function.backend.name != "numpy":
                wanted = _error_on_numpy(function, args, kwargs)
                got = type(error), str(error)
                assert got == wanted, f"{function.backend.name} raises {got}, NumPy {wanted}"
                seen.append(str(error))
            raise

    Function.__call__ = compared  # type: ignore[method-assign]
    try:
        yield seen
    finally:
        Function.__call__ = plain  # type: ignore[method-assign]


def _error_on_numpy(function: Function, args: Any, kwargs: Any) -> tuple[type, str] | None:
    outputs, updates = function.source
    inputs = [p.variable for p in function._parameters]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is said of the function has been said
        twin = st.function(
            inputs, outputs, updates, backend="numpy", name=function.name, on_unused_input="ignore",
            on_nonfinite=function.on_nonfinite,
        )  # fmt: skip
    twin._parameters, twin._by_name = function._parameters, function._by_name
    try:
        twin(*args, **kwargs)
    except SubtensorError as error:
        return type(error), str(error)
    return None
