"""Backends whose random numbers are others: a round, a counter, a word or a bit is wrong, or a rule is not looked at."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from subtensor_conformance.known_bad.altered import Altered, Array
from subtensor_conformance.known_bad.catalogue import known_bad

_LOW = np.uint64((1 << 32) - 1)
_HALF = np.uint64(32)


@dataclass(frozen=True)
class Philox:
    """Philox-4x64, right but for what is set otherwise."""

    rounds: int = 10
    first: int = 1
    carry: bool = True
    bump_first: bool = False
    key_words: int = 4
    part: bool = True
    swapped: bool = False
    by_word: bool = False
    scale: Callable[[Array, int, int, str], Array] | None = None

    def _times(self, m: int, x: Array) -> tuple[Array, Array]:
        low, high = np.uint64(m & int(_LOW)), np.uint64(m >> 32)
        x_low, x_high = x & _LOW, x >> _HALF
        cross = x_low * high
        middle = (((x_low * low) >> _HALF) if self.carry else np.uint64(0)) + (cross & _LOW) + x_high * low
        return x_high * high + (cross >> _HALF) + (middle >> _HALF), x * np.uint64(m)

    def words(self, key: Array, count: int, part: int) -> Array:
        blocks = np.arange(self.first, self.first + -(-count // 4), dtype=np.uint64)
        given = [int(w) for w in key[: self.key_words]] + [0] * 4
        k0, k1 = given[0], given[1]
        c = [blocks, *(np.full_like(blocks, w) for w in (*given[2:4], part if self.part else 0))]
        for r in range(self.rounds):
            if r or self.bump_first:
                k0, k1 = (k0 + 0x9E3779B97F4A7C15) % 2**64, (k1 + 0xBB67AE8584CAA73B) % 2**64
            (h0, l0), (h2, l2) = self._times(0xD2E7470EE14C6C93, c[0]), self._times(0xCA5A826395121157, c[2])
            c = [h2 ^ c[1] ^ np.uint64(k0), l2, h0 ^ c[3] ^ np.uint64(k1), l0]
        return np.stack(c, 0 if self.by_word else 1).reshape(-1)

    def bits(self, key: Array, *dims: Any, dtype: str, part: int) -> Array:
        shape = tuple(int(d) for d in dims)
        if min(shape, default=0) < 0:
            raise ValueError("negative length")
        count, size = math.prod(shape), np.dtype(dtype).itemsize
        words = self.words(np.asarray(key), -(-count * size // 8), part)
        if self.swapped:
            words = (words >> _HALF) | (words << _HALF)
        return words.view(dtype)[:count].reshape(shape)

    def unit(self, key: Array, *dims: Any, dtype: str, part: int) -> Array:
        kind, width, digits = {"float16": ("uint16", 16, 11), "float32": ("uint32", 32, 24)}.get(
            dtype, ("uint64", 64, 53)
        )
        drawn = self.bits(key, *dims, dtype=kind, part=part)
        if self.scale is not None:
            return self.scale(drawn, width, digits, dtype)
        return _unit(drawn, width, digits, dtype)

    def made(self, good: Any) -> Altered:
        return Altered(good, lower={"random_bits": self.bits, "random_unit": self.unit})


def _unit(drawn: Array, width: int, digits: int, dtype: str) -> Array:
    scaled: Array = (drawn >> np.asarray(width - digits, drawn.dtype)).astype(dtype) * np.asarray(0.5**digits, dtype)
    return scaled


def _rounded(drawn: Array, width: int, digits: int, dtype: str) -> Array:
    return (drawn.astype(np.float64) * 0.5**width).astype(dtype)


def _middle(drawn: Array, width: int, digits: int, dtype: str) -> Array:
    return (_unit(drawn, width, digits, dtype) + np.asarray(0.5 ** (digits + 1), dtype)).astype(dtype)


def _lowest(drawn: Array, width: int, digits: int, dtype: str) -> Array:
    return _unit(drawn << np.asarray(width - digits, drawn.dtype), width, digits, dtype)


def _single(drawn: Array, width: int, digits: int, dtype: str) -> Array:
    found = _unit(drawn, width, digits, dtype)
    return found.astype(np.float32).astype(dtype) if dtype == "float64" else found


_RIGHT = Philox()
for _name, _fault, _bad, _tags in (
    ("random-nine-rounds", "the generator stops after nine rounds", replace(_RIGHT, rounds=9), ""),
    ("random-eleven-rounds", "the generator makes a round too many", replace(_RIGHT, rounds=11), ""),
    ("random-first-block-0", "blocks are counted from 0", replace(_RIGHT, first=0), ""),
    ("random-key-bumped-first", "the key is changed before the first round", replace(_RIGHT, bump_first=True), ""),
    ("random-carry-lost", "the upper half of a product lacks a carry", replace(_RIGHT, carry=False), ""),
    ("random-number-ignored", "the number of the draw is not part of the counter", replace(_RIGHT, key_words=2), "numbered"),
    ("random-half-key", "the second word of a key is ignored", replace(_RIGHT, key_words=1), ""),
    ("random-parts-alike", "draws and keys made of a key share their words", replace(_RIGHT, part=False), "part"),
    ("random-halves-swapped", "the halves of a word are exchanged", replace(_RIGHT, swapped=True), ""),
    ("random-words-apart", "first words of all blocks, then second ones", replace(_RIGHT, by_word=True), ""),
    ("random-float-rounded", "floats are all bits over 2**32 or 2**64, rounded", replace(_RIGHT, scale=_rounded), "floats"),
    ("random-float-middle", "floats are the middles of their parts, so never 0", replace(_RIGHT, scale=_middle), "floats"),
    ("random-float-low-bits", "floats are made of the lower bits", replace(_RIGHT, scale=_lowest), "floats"),
    ("random-float-single", "float64 has the digits of float32", replace(_RIGHT, scale=_single), "floats"),
):  # fmt: skip
    known_bad(_name, _fault, "random", "value|threads|resume", _bad.made, _tags)


def _last_lost(good: Any) -> Altered:
    def bits(key: Array, *dims: Any, dtype: str, part: int) -> Array:
        found = _RIGHT.bits(key, *dims, dtype=dtype, part=part).copy()
        if found.size % 4 and found.size > 4:
            found.reshape(-1)[-(found.size % 4) :] = 0
        return found

    return Altered(good, lower={"random_bits": bits})


def _unchecked(good: Any) -> Altered:
    return Altered(good, lower={"within": lambda x, **_: np.asarray(x)})


known_bad("random-last-block-short", "a last block that is not used whole is left out", "random", "value", _last_lost)
known_bad(
    "random-any-probability", "probabilities and weights are not checked", "random", "error", _unchecked, "refused"
)
