"""``Print``: an op that shows a value while a function runs, as a plugin of the process that runs an old program.

NumPy and Numba print; on a backend without a lowering it is its argument, and nothing is shown.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import subtensor as st
from subtensor import plugins
from subtensor.graph.nodes import Array, Op, Variable
from subtensor.program.contract import Lowering


def _show(x: Array, message: str, attrs: tuple[str, ...]) -> Array:
    for attr in attrs:
        value = getattr(x, attr)
        sys.stdout.write(f"{message} {attr} = {value() if callable(value) else value}\n")
    return x


_print = Op(
    name="print",
    infer=lambda x, message, attrs: x.type,
    vjp=lambda g, out, x, message, attrs: [g],
    expand=lambda x, message, attrs: x,
)


class Print:
    """``Print(message)(x)`` is x, and prints a line with it wherever it is used; attrs: what of it, see Theano."""

    def __init__(self, message: str = "", attrs: Sequence[str] = ("__str__",), **_: Any) -> None:
        self.message, self.attrs = message, tuple(attrs)

    def __call__(self, x: Any) -> Variable:
        return _print(st.as_tensor(x), message=self.message, attrs=self.attrs)


class _Plugin:
    @st.hookimpl
    def subtensor_ops(self) -> Sequence[Op]:
        return [_print]

    @st.hookimpl
    def subtensor_lowerings(self) -> Mapping[str, Mapping[str, Lowering]]:
        return {name: {"print": _show} for name in ("numpy", "numba")}


def print_while_running() -> None:
    """Let ``Print`` print, from now on."""
    plugins.register(_Plugin())
