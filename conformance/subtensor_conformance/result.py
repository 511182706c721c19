"""What came of a case."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

STATES = {
    "pass": "the case did what the oracle says, on this backend",
    "unsupported": "the backend declares that it lacks the capability, and raised Unsupported for it",
    "fail": "the case did something else",
    "stale": "the backend declares that it lacks the capability, but the case works: the declaration is out of date",
    "undeclared": "the backend raised Unsupported for what it declares, or for the core",
    "not-run": "the case was planned and has no outcome",
}
"""Every state; the first two are no failure."""

GOOD = ("pass", "unsupported")


@dataclass(frozen=True, slots=True)
class Result:
    """state: a key of STATES. kind: of failure. error: the largest, in units in the last place. factor: by which the
    backend loosened the bound. observed: what came out, for comparison with another backend.
    """

    id: str
    state: str
    kind: str = ""
    message: str = ""
    expected: str = ""
    got: str = ""
    error: float = 0.0
    seconds: float = 0.0
    factor: float = 1
    observed: tuple[Any, ...] = ()

    @property
    def good(self) -> bool:
        return self.state in GOOD

    @property
    def area(self) -> str:
        return self.id.partition("/")[0]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Result:
        return Result(**{**data, "observed": tuple(data["observed"])})


def encode(array: Any) -> list[Any]:
    """An array as JSON: dtype, shape and the bits."""
    a = np.asarray(array)
    return [a.dtype.name, list(a.shape), np.ascontiguousarray(a).tobytes().hex()]


def decode(item: list[Any]) -> Any:
    """The array of what ``encode`` gave."""
    dtype, shape, bits = item
    return np.frombuffer(bytes.fromhex(bits), dtype=dtype).reshape(shape)
