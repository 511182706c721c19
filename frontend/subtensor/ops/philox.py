"""Random bits from a key: the generator Philox-4x64-10, as ops that every backend computes alike.

Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011. A block of four 64-bit words is a
function of a key of two words and a counter of four, so that any block can be had at once, in any order and on any
machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from subtensor.errors import DomainError, DTypeError, ShapeError, counted
from subtensor.graph.constants import constant
from subtensor.graph.cost import Cost
from subtensor.graph.nodes import DISCONNECTED, ZERO, Argument, Cotangent, Length, Variable, call, define, static_dims
from subtensor.graph.types import INDEX, TensorType, is_float
from subtensor.ops.elementwise import cast

WORD = "uint64"
MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
WEYL = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
ROUNDS = 10
WIDTHS = {"uint8": 8, "uint16": 16, "uint32": 32, "uint64": 64}
"""The dtypes of random bits, and how many of them an element takes."""


class Digits(NamedTuple):
    """How a float in [0, 1) is made of random bits: the upper `digits` of an element of dtype `bits`, divided by
    ``2**digits``. All of these floats are exact.
    """

    bits: str
    digits: int


UNIT = {"float16": Digits("uint16", 11), "float32": Digits("uint32", 24), "float64": Digits("uint64", 53)}


def as_word(value: int) -> Variable:
    """A constant of 64 bits."""
    return constant(value, dtype=WORD)


# --- what the generator does, on nodes

_LOW = (1 << 32) - 1


def multiply_high(a: Variable, b: Variable) -> Variable:
    """The upper 64 bits of the product of unsigned 64-bit integers, from products of halves of 32 bits."""
    half, low = as_word(32), as_word(_LOW)
    a_high, a_low = a >> half, a & low
    if b.known is not None and b.known.ndim == 0 and int(b.known) <= _LOW:
        return (a_high * b + ((a_low * b) >> half)) >> half
    b_high, b_low = b >> half, b & low
    cross = a_low * b_high
    middle = ((a_low * b_low) >> half) + (cross & low) + a_high * b_low
    return a_high * b_high + (cross >> half) + (middle >> half)


def _words(key: Variable, count: Variable, part: int) -> Variable:
    """The first `count` words of a key."""
    blocks = (count + 3) // 4
    first, second = key[0], key[1]
    c = [cast(call("arange", blocks), WORD) + as_word(1), *(key[i] for i in range(2, len(key)))]
    c += [as_word(0)] * (3 - len(c)) + [as_word(part)]
    for r in range(ROUNDS):
        if r:
            first, second = first + as_word(WEYL[0]), second + as_word(WEYL[1])
        m, n = map(as_word, MULTIPLIERS)
        c = [multiply_high(c[2], n) ^ c[1] ^ first, c[2] * n, multiply_high(c[0], m) ^ c[3] ^ second, c[0] * m]
    return call("reshape", call("stack", c, 1), (-1,))[:count]


def _parts(words: Variable, width: int) -> Variable:
    """Words cut into elements of `width` bits, the lower ones first."""
    mask = as_word((1 << width) - 1)
    return call("reshape", call("stack", [(words >> as_word(k)) & mask for k in range(0, 64, width)], 1), (-1,))


# --- ops


def _check_key(key: Argument) -> None:
    n = key.type.shape[0] if len(key.type.shape) == 1 else None
    if key.type.dtype != WORD or n is None or not 2 <= n <= 4:
        raise DTypeError(
            f"random: {key.label} is no key; expected a vector of 2 to 4 uint64 of known length, got {key.type}; "
            "make one with st.random.key(seed)"
        )


def _check_lengths(dims: Sequence[Argument]) -> None:
    for axis, d in enumerate(dims):
        if d.known is not None and int(d.known) < 0:
            raise DomainError(f"random: the length {int(d.known)} for axis {axis} is negative; expected 0 or more")


def _bits_infer(key: Argument, *dims: Argument, dtype: str, part: int) -> TensorType:
    _check_key(key)
    _check_lengths(dims)
    return TensorType(dtype, static_dims(dims))


def _no_gradient(g: Variable, out: Variable, key: Variable, *dims: Variable, **_: Any) -> list[Cotangent]:
    return [ZERO, *(DISCONNECTED for _ in dims)]


def _dims(axis: int, key: Variable, *dims: Variable, **_: Any) -> Length:
    return dims[axis]


def _count(dims: Sequence[Variable]) -> Variable:
    count: Variable = constant(1, dtype=INDEX)
    for d in dims:
        count = count * d
    return count


def _bits_expand(key: Variable, *dims: Variable, dtype: str, part: int) -> Variable:
    count, width = _count(dims), WIDTHS[dtype]
    each = 64 // width
    words = _words(key, (count + (each - 1)) // each, part)
    flat = words if each == 1 else cast(_parts(words, width)[:count], dtype)
    return call("reshape", flat, list(dims))


random_bits = define(
    "random_bits",
    infer=_bits_infer,
    vjp=_no_gradient,
    expand=_bits_expand,
    dims=_dims,
    fresh=True,
    cost=Cost(computes="20 * out.size"),
)
"""``random_bits(key, *dims, dtype, part)``: the words of the blocks 1, 2, … in order, cut into elements, lower bits
first.

key: two words, and up to two more that number what is drawn with them. The counter of a block is its number, the third
and the fourth word of the key (0 where there is none), and `part`, which keeps uses of one key apart.
"""


def _unit_infer(key: Argument, *dims: Argument, dtype: str, part: int) -> TensorType:
    _check_key(key)
    _check_lengths(dims)
    if not is_float(dtype):
        raise DTypeError(f"random: {dtype} is no dtype for numbers between 0 and 1; expected a float")
    return TensorType(dtype, static_dims(dims))


def _unit_expand(key: Variable, *dims: Variable, dtype: str, part: int) -> Variable:
    bits, digits = UNIT[dtype]
    drawn = random_bits(key, *dims, dtype=bits, part=part)
    return cast(drawn >> constant(WIDTHS[bits] - digits, dtype=bits), dtype) * constant(0.5**digits, dtype=dtype)


random_unit = define(
    "random_unit",
    infer=_unit_infer,
    vjp=_no_gradient,
    expand=_unit_expand,
    dims=_dims,
    fresh=True,
    cost=Cost(computes="23 * out.size"),
)
"""``random_unit(key, *dims, dtype, part)``: floats in [0, 1), as ``UNIT`` says that they are made of random bits."""


# --- values that must lie in a range


def _within_check(x: Argument, least: float, most: float, where: str, what: str) -> None:
    values = x.known
    assert values is not None
    fits = (values >= least) & (values <= most) & (values < float("inf"))
    if not fits.all():
        first = int(fits.reshape(-1).argmin())
        place: list[int] = []
        rest = first
        for n in reversed(values.shape):
            rest, at = divmod(rest, n)
            place.insert(0, at)
        at_place = f" at {place}" if place else ""
        raise DomainError(f"{where}: {x.label} holds {values.reshape(-1)[first].item()}{at_place}; expected {what}")


def _within_expand(x: Variable, least: float, most: float, where: str, what: str) -> Variable:
    fits = call("less_equal", constant(least, dtype=x.dtype), x) & call("less_equal", x, most)
    if is_float(x.dtype):
        fits = fits & call("less", x, float("inf"))
    # a read beyond the end, which each backend refuses, where one does not fit
    zero = constant([0], dtype=x.dtype)[cast(~call("all", fits), INDEX)]
    return x + zero


within_op = define(
    "within",
    infer=lambda x, least, most, where, what: x.type,
    vjp=lambda g, out, x, **_: [g],
    expand=_within_expand,
    check=_within_check,
    dims=lambda axis, x, **_: (x, axis),
    cost=Cost(reads="x.size", computes="4 * x.size"),
)
"""``within(x)``: x, of which every element is finite and between `least` and `most`.

where, what: as messages call the draw, and what is expected.
"""


def within(where: str, x: Variable, least: float, most: float, what: str) -> Variable:
    """x, checked: at once where its value is known, else at each call, which raises DomainError and changes nothing."""
    if x.known is not None:
        _within_check(x, least, most, where, what)
        return x
    return within_op(x, least=least, most=most, where=where, what=what)


def check_ndim(where: str, x: Variable, ndim: int, what: str) -> None:
    """Raises ShapeError for another number of axes."""
    if x.ndim != ndim:
        raise ShapeError(f"{where}: {x.label} has {counted(x.ndim, 'axis')}; expected {what}")
