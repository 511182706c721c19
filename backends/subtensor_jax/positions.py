"""Positions that are arguments of a call, checked and wrapped by the host before anything is dispatched.

NumPy looks through a thousand of them in a microsecond. On the device the same check takes kernels of its own, and a
flag that must be fetched and that all writes wait for.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from subtensor_jax.stages import Broken

_UNSIGNED = {np.dtype(f"i{n}"): (np.dtype(f"u{n}"), 2 ** (8 * n - 1)) for n in (4, 8)}
"""For signed dtypes: their unsigned counterpart, in which negative numbers are at least the number beside it."""

_NARROW, _WIDE = np.dtype(np.int32), np.dtype(np.int64)

_ALIGNMENT = 64
"""Bytes: JAX reads an array that begins at a multiple of this where it lies; others are copied first."""


def prepared(p: np.ndarray[Any, Any], length: int, spare: list[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """Positions as numbers in ``[0, length)``; raises Broken where one is out of range.

    The result is an array of `spare`, which must have p's shape, or a new one. When the device has read it, and only
    then, it may be given back to `spare`.
    """
    unsigned, limit = _UNSIGNED.get(p.dtype, (p.dtype, 0))
    plain = p.view(unsigned)
    # argmax takes less code than maximum.reduce, none of which is in the processor's caches after a step
    if length > limit or not p.size or plain.item(plain.argmax()) >= length:
        p = _wrapped(p, length)
    try:
        out = spare.pop()
    except IndexError:
        out = _aligned(p.shape, _NARROW if length <= 2**31 else _WIDE)
    out[...] = p
    return out


def _wrapped(p: np.ndarray[Any, Any], length: int) -> np.ndarray[Any, Any]:
    """Positions of which some may be negative or out of range, as int64; raises Broken for the latter."""
    if p.size and (int(p.min()) < -length or int(p.max()) >= length):
        raise Broken
    wide = p.astype(_WIDE)
    return np.where(wide < 0, wide + length, wide)


def _aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)
