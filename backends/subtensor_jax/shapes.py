"""Noticing that a function is compiled again and again because the shapes of its arguments vary."""

from __future__ import annotations

from typing import Any

from subtensor.errors import warn
from subtensor.program.linear import Program

MOST_SECONDS = 5.0
"""How long a function may be compiled, after the first time, before a warning."""


class RecompilationWarning(UserWarning):
    """A function is compiled again and again; that takes far longer than most calls."""


class ShapeCount:
    """Counts the shapes that a program was compiled for, and warns once it took long."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.seen: list[dict[str, Any]] = []
        self.first = 0.0
        self.warned = False

    def add(self, lengths: dict[str, Any], seconds: float) -> None:
        """Enter what the program is compiled for next: lengths and values by what they are called.

        seconds: how long it took to compile it for others, so far.
        """
        if self.warned:
            return
        self.seen.append(lengths)
        if len(self.seen) == 2:
            self.first = seconds
        if seconds - self.first <= MOST_SECONDS:
            return
        self.warned = True
        names = dict.fromkeys(name for lengths in self.seen for name in lengths)
        varying = [name for name in names if len({repr(lengths.get(name)) for lengths in self.seen}) > 1]
        warn(
            f"{self.program.name}: compiled for {len(self.seen)} different shapes; what varies is "
            f"{', '.join(varying) or 'the shape of an intermediate value'}. That took {seconds:.1f} s: pad to a few "
            "lengths, or build this function with backend='numpy', which compiles nothing",
            RecompilationWarning,
        )
        self.seen.clear()


def spelled(program: Program, slot: int, shape: tuple[int, ...]) -> dict[str, Any]:
    """The lengths of an argument, by what they are called."""
    leaf = (*program.inputs, *program.shared)[slot]
    static = leaf.type.shape
    return {
        f"the length of axis {axis} of {leaf.label}": n
        for axis, (n, known) in enumerate(zip(shape, static, strict=True))
        if known is None
    }
