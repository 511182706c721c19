"""Keys: what random numbers are a function of."""

from __future__ import annotations

from typing import Any

from subtensor.errors import DomainError, DTypeError, ShapeError
from subtensor.graph.constants import as_tensor, constant
from subtensor.graph.nodes import Variable, call
from subtensor.graph.types import is_integer
from subtensor.ops.elementwise import cast
from subtensor.ops.philox import MULTIPLIERS, ROUNDS, WEYL, WORD, as_word, random_bits
from subtensor.ops.shape import as_dims

FOLD, SPLIT, ANGLE = 1, 2, 3
"""The parts of a key's words that other keys are made of, and the second numbers of a draw; else draws take part 0."""

_MASK = (1 << 64) - 1


def key(seed: Any) -> Variable:
    """The key of a seed: ``(seed mod 2**64, seed // 2**64)`` as a uint64 vector of length 2.

    seed: an int from 0 to ``2**128 - 1``, or an integer scalar node. The words of a key are those of
    ``numpy.random.Philox(key=seed)``. Raises DomainError for other numbers, DTypeError for what is no integer.
    """
    if isinstance(seed, Variable) or not hasattr(seed, "__index__"):
        return call("stack", [_scalar("key", seed), as_word(0)])
    return constant(key_words(seed), dtype=WORD)


def key_words(seed: Any) -> list[int]:
    """The two words of a seed's key."""
    if not hasattr(seed, "__index__"):
        raise DTypeError(f"random: the seed {seed!r} is no integer; expected 0 or more")
    number = int(seed)
    if not 0 <= number < 1 << 128:
        raise DomainError(f"random: the seed {number} is out of range; expected 0 <= seed < 2**128")
    return [number & _MASK, number >> 64]


def fold_in(key: Any, data: Any) -> Variable:
    """A key made of a key and a number: another for each, as if drawn at random.

    key: (2,) uint64, or (3,): a key and the number of a draw, as streams keep it. data: an integer scalar, such as the
    number of a step; taken modulo ``2**64``. Returns (2,) uint64.
    """
    key = as_key(key)
    longer = [key[0], key[1], _scalar("fold_in", data), *(key[i] for i in range(2, len(key)))]
    return random_bits(call("stack", longer), constant(2), dtype=WORD, part=FOLD)


def split(key: Any, n: Any = 2) -> Variable:
    """`n` keys made of one, an int or an integer scalar: (n, 2) uint64. Do not draw with the key itself after that."""
    return random_bits(as_key(key), *as_dims("split", n), constant(2), dtype=WORD, part=SPLIT)


def as_key(key: Any) -> Variable:
    """A key as a node. Raises DTypeError for what is none, such as a seed."""
    if isinstance(key, int):
        raise DTypeError(f"random: {key} is a seed, not a key; write st.random.key({key})")
    node = as_tensor(key)
    if node.dtype != WORD or node.ndim != 1 or node.type.shape[0] not in (2, 3):
        many = " (a batch of keys: take one of them, keys[i])" if node.ndim == 2 and node.dtype == WORD else ""
        raise DTypeError(
            f"random: {node!r} is no key{many}; expected a uint64 vector of length 2, as st.random.key gives"
        )
    return node


def _scalar(where: str, value: Any) -> Variable:
    node = as_tensor(value)
    if not is_integer(node.dtype):
        raise DTypeError(f"{where}: {node!r} is no integer; expected an integer scalar")
    if node.ndim:
        raise ShapeError(f"{where}: {node!r} is no scalar; expected an integer scalar")
    return cast(node, WORD)


def block(key: tuple[int, int], counter: tuple[int, int, int, int]) -> list[int]:
    """One block of Philox-4x64-10 in Python's integers: for the first states of streams."""
    k0, k1 = key
    c0, c1, c2, c3 = counter
    for _ in range(ROUNDS):
        high, low = divmod(MULTIPLIERS[0] * c0, 1 << 64)
        high2, low2 = divmod(MULTIPLIERS[1] * c2, 1 << 64)
        c0, c1, c2, c3 = high2 ^ c1 ^ k0, low2, high ^ c3 ^ k1, low
        k0, k1 = (k0 + WEYL[0]) & _MASK, (k1 + WEYL[1]) & _MASK
    return [c0, c1, c2, c3]


def folded_words(seed: int, data: int) -> list[int]:
    """The words of ``fold_in(key(seed), data)``."""
    low, high = key_words(seed)
    return block((low, high), (1, data, 0, FOLD))[:2]
