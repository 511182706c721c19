"""Cases of the ops that random numbers are made of: NumPy's own Philox is the oracle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from opcases import Case

import subtensor as st
from subtensor.ops.philox import random_bits, random_unit, within_op


def philox(key: Any, part: int = 0) -> np.random.Philox:
    """NumPy's generator before the block 1 of a key."""
    words = [int(w) for w in key]
    counter = sum(w << (64 * i) for i, w in enumerate([0, *words[2:], *[0] * (4 - len(words)), part]))
    return np.random.Philox(key=words[0] | words[1] << 64, counter=counter)


def _bits(key: Any, n: Any, dtype: str = "uint64", part: int = 0) -> Any:
    return random_bits(st.as_tensor(key), st.as_tensor(n), st.constant(3), dtype=dtype, part=part)


def _bits_oracle(key: Any, n: Any, dtype: str = "uint64", part: int = 0) -> Any:
    count = int(n) * 3
    words = philox(key, part).random_raw(-(-count * np.dtype(dtype).itemsize // 8))
    return words.astype("<u8").view(dtype)[:count].reshape(-1, 3)


def _unit(key: Any, n: Any, dtype: str, part: int = 0) -> Any:
    return random_unit(st.as_tensor(key), st.as_tensor(n), dtype=dtype, part=part)


def _unit_oracle(key: Any, n: Any, dtype: str, part: int = 0) -> Any:
    if dtype == "float16":
        words = philox(key, part).random_raw(int(n)).view("uint16")[: int(n)]
        return (words >> 5).astype("float16") / np.float16(2048)
    return np.random.Generator(philox(key, part)).random(int(n), dtype=dtype)


def all_cases() -> Iterator[Case]:
    big = 2**64 - 1
    for words in ([5, 0], [big, big], [1, 2, 3], [7, 8, big, 2**63]):
        key = np.array(words, "uint64")
        for dtype in ("uint8", "uint16", "uint32", "uint64"):
            for n in (0, 1, 7):
                args = (key, np.array(n))
                kwargs = {"dtype": dtype, "part": n}
                yield Case("random_bits", args, _bits_oracle, kwargs, fixed=True, function=_bits)
        for dtype in ("float16", "float32", "float64"):
            args = (key, np.array(11))
            yield Case("random_unit", args, _unit_oracle, {"dtype": dtype}, fixed=True, function=_unit)
    x = np.array([[0.0, 0.25], [1.0, 0.5]])
    yield Case("within", (x,), lambda x: x, grad=True, function=_within)
    yield Case("within", (np.array([0, 3]),), lambda x: x, function=_within)


def _within(x: Any) -> Any:
    return within_op(st.as_tensor(x), least=-1, most=5, where="here", what="numbers from -1 to 5")
