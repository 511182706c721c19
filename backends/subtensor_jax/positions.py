"""Positions that are arguments of a call, checked and wrapped by the host before anything is dispatched.

NumPy looks through a thousand of them in a microsecond. On the device the same check takes kernels of its own, and a
flag that must be fetched and that all writes wait for.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from subtensor_jax.stages import Broken

_UNSIGNED = {np.dtype(f"i{n}"): (np.dtype(f"u{n}"), 2 ** (8 * n - 1)) for n in (4, 8)}
"""For signed dtypes: their unsigned counterpart, in which negative numbers are at least the number beside it."""

_NARROW, _WIDE = np.dtype(np.int32), np.dtype(np.int64)


def prepared(p: np.ndarray[Any, Any], length: int) -> np.ndarray[Any, Any]:
    """Positions as numbers in ``[0, length)``, in an array of its own; raises Broken where one is out of range."""
    unsigned, limit = _UNSIGNED.get(p.dtype, (p.dtype, 0))
    if length > limit or np.maximum.reduce(p.view(unsigned), axis=None, initial=0) >= length:
        if p.size and (int(p.min()) < -length or int(p.max()) >= length):
            raise Broken
        p = p.astype(_WIDE)
        p = np.where(p < 0, p + length, p)
    return p.astype(_NARROW if length <= 2**31 else _WIDE)
