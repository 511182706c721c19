"""Random bits and floats by NumPy's own Philox, in C: its words are the blocks 1, 2, … of a key."""

from __future__ import annotations

import math
import sys
import threading
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


class _Source(threading.local):
    """A generator for each thread: making one takes longer than drawing some thousand words."""

    def __init__(self) -> None:
        self.philox = np.random.Philox(key=0)
        self.generator = np.random.Generator(self.philox)

    def at(self, key: Array, part: int) -> _Source:
        """The generator before the first word of a key."""
        counter = np.zeros(4, np.uint64)
        counter[1 : len(key) - 1] = key[2:]
        counter[3] = part
        self.philox.state = {
            "bit_generator": "Philox",
            "state": {"counter": counter, "key": key[:2]},
            "buffer": _NO_WORDS,
            "buffer_pos": 4,
            "has_uint32": 0,
            "uinteger": 0,
        }
        return self


_source = _Source()
_NO_WORDS = np.zeros(4, np.uint64)


def random_bits(key: Array, *dims: int, dtype: str, part: int) -> Array:
    """The words of a key as elements of a shape, lower bits first."""
    count, size = math.prod(dims), np.dtype(dtype).itemsize
    words = _source.at(key, part).philox.random_raw(-(-count * size // 8))
    if sys.byteorder == "big":
        words = words.byteswap().view(np.dtype(dtype).newbyteorder("<")).astype(dtype)
    return words.view(dtype)[:count].reshape(dims)


def random_unit(key: Array, *dims: int, dtype: str, part: int) -> Any:
    """Floats in [0, 1): for float32 and float64, NumPy's own are those of the frontend's formula."""
    if dtype == "float16":
        return (random_bits(key, *dims, dtype="uint16", part=part) >> np.uint16(5)).astype(dtype) * np.float16(2.0**-11)
    draw: Any = _source.at(key, part).generator.random
    return np.asarray(draw(dims, dtype))


def within(x: Array, least: float, most: float, where: str, what: str) -> Array:
    """x; raises ValueError where an element is not finite, or not in the range."""
    if not ((x >= least) & (x <= most) & (x < math.inf)).all():
        raise ValueError(f"{where}: expected {what}")
    return x
