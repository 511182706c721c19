"""Mutants that no case can kill, for they mean the same as the original, each with the reason.

They stand in ``survivors_numpy.txt`` and ``survivors_jax.txt``: a line ``# reason``, then the labels that it holds for.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def survivors(backend: str) -> dict[str, str]:
    """The reason for each label."""
    path = Path(__file__).parent / f"survivors_{backend}.txt"
    found, reason = dict[str, str](), ""
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        if line.startswith("# "):
            reason = line[2:]
        elif line and not line.startswith(";"):
            found[line] = reason
    return found
