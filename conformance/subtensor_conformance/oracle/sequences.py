"""Long sequences of numbers that are not spelled out: by formula, and with some elements changed.

What the suite compares at the sizes at which backends change their ways would be slow to write down as tuples, and its
oracle, which loops, need not look at the elements that a program leaves alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

Number: TypeAlias = bool | int | float


@dataclass(frozen=True, slots=True)
class Pattern(Sequence[Any]):
    """Element k of `length` is ``((k * step + k * k // 7) % modulus - shift) / divisor``; integers if undivided.

    The divisor is a power of two and the numbers are small, so that every element is exact in every float dtype.
    """

    length: int
    step: int
    modulus: int
    shift: int = 0
    divisor: int = 1

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, k: Any) -> Any:
        if isinstance(k, slice):
            return tuple(self[j] for j in range(*k.indices(self.length)))
        if not -self.length <= k < self.length:
            raise IndexError(k)
        k %= self.length
        whole = (k * self.step + k * k // 7) % self.modulus - self.shift
        return whole if self.divisor == 1 else whole / self.divisor


class Overlay(Sequence[Any]):
    """A sequence with other numbers at some places."""

    def __init__(self, base: Sequence[Number], changes: Mapping[int, Number] | None = None) -> None:
        inner = isinstance(base, Overlay)
        self.base: Sequence[Number] = base.base if inner else base  # type: ignore[attr-defined]  # an Overlay has one
        self.changes: dict[int, Number] = {**(base.changes if inner else {}), **(changes or {})}  # type: ignore[attr-defined]  # as above

    def __len__(self) -> int:
        return len(self.base)

    def __getitem__(self, k: Any) -> Any:
        return self.changes[k] if k in self.changes else self.base[k]

    def __setitem__(self, k: int, value: Number) -> None:
        self.changes[k] = value

    def __iter__(self) -> Iterator[Any]:
        return (self[k] for k in range(len(self)))


def is_long(data: Sequence[Number]) -> bool:
    """Whether a sequence is one of these, to be written over rather than copied."""
    return isinstance(data, Pattern | Overlay)
