"""How much a test tries: less where the backend under test compiles each program, more on request."""

from __future__ import annotations

import os

import subtensor as st

TIMES = float(os.environ.get("SUBTENSOR_TEST_EXAMPLES", "1"))
"""By how much to multiply the numbers of random examples."""

COMPILES = st.config.backend != "numpy"


def fewer(count: int) -> int:
    """`count` on NumPy, and a quarter of it on a backend that compiles."""
    return max(1, count // 4) if COMPILES else count


def examples(count: int) -> int:
    """Of random examples, the number to try."""
    return max(1, round(fewer(count) * TIMES))
