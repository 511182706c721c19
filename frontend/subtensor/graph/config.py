"""Process-wide settings: ``config.floatX``, ``config.backend``, and what is checked and warned of.

The first two start from ``SUBTENSOR_FLOATX`` and ``SUBTENSOR_BACKEND``, else from ``float64`` and ``numpy``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from subtensor.errors import DTypeError, SettingError
from subtensor.graph.types import FLOATS, FLOATX

_FLAGS = ("floatX", "backend", "check_promises", "whole_table_bytes")


class Config:
    """The settings. Assigning a value that is not accepted raises and changes nothing."""

    def __init__(self) -> None:
        self.floatX = os.environ.get("SUBTENSOR_FLOATX", "float64")
        self.backend = os.environ.get("SUBTENSOR_BACKEND", "numpy")
        self.check_promises = False
        """Whether functions check what ``assume_unique`` promises, at each call; read when a promise is made."""
        self.whole_table_bytes = 4_000_000

    @property
    def floatX(self) -> str:
        """dtype of leaves made without one (``vector()``, a Python float that stands alone)."""
        return self._floatX

    @floatX.setter
    def floatX(self, dtype: Any) -> None:
        if not isinstance(dtype, str) or dtype not in FLOATS:
            raise DTypeError(f"config.floatX: got {dtype!r}; expected one of {', '.join(FLOATS)}")
        self._floatX = dtype

    @property
    def backend(self) -> str:
        """Name of the backend that ``function`` uses where none is given; looked up when a function is compiled."""
        return self._backend

    @backend.setter
    def backend(self, name: Any) -> None:
        if not isinstance(name, str) or not name:
            raise DTypeError(f"config.backend: got {name!r}; expected the name of a backend")
        self._backend = name

    @property
    def whole_table_bytes(self) -> int | None:
        """Bytes from which on a ``WholeTableWarning`` is given; None: never. Read when a function is built."""
        return self._whole_table_bytes

    @whole_table_bytes.setter
    def whole_table_bytes(self, least: Any) -> None:
        if least is not None and (isinstance(least, bool) or not isinstance(least, int) or least < 0):
            raise DTypeError(f"config.whole_table_bytes: got {least!r}; expected a number of bytes, 0 or more, or None")
        self._whole_table_bytes: int | None = least

    @contextmanager
    def change_flags(self, **flags: str | bool | int | None) -> Iterator[None]:
        """Set flags for the length of a ``with`` block."""
        for name in flags:
            if name not in _FLAGS:
                raise SettingError(f"config.{name}: there is no such setting; expected one of {', '.join(_FLAGS)}")
        before = {name: getattr(self, name) for name in flags}
        try:
            for name, value in flags.items():
                setattr(self, name, value)
            yield
        finally:
            for name, value in before.items():
                setattr(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and name not in _FLAGS:
            raise SettingError(f"config.{name}: there is no such setting; expected one of {', '.join(_FLAGS)}")
        if name == "check_promises" and not isinstance(value, bool):
            raise DTypeError(f"config.check_promises: got {value!r}; expected True or False")
        object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return f"Config(floatX={self.floatX!r}, backend={self.backend!r})"


config = Config()
FLOATX.append(lambda: config.floatX)
