"""Arrays as flat lists of Python numbers in C order, and the dtype rules of NumPy 2, written out anew."""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

Number: TypeAlias = bool | int | float
Shape: TypeAlias = tuple[int, ...]

BITS = {
    "bool": 1, "int8": 8, "int16": 16, "int32": 32, "int64": 64, "uint8": 8, "uint16": 16, "uint32": 32, "uint64": 64,
    "bfloat16": 16, "float16": 16, "float32": 32, "float64": 64,
}  # fmt: skip
_wide = [False]


@dataclass(frozen=True, slots=True)
class Array:
    """dtype: its name. shape: lengths. data: the elements in C order."""

    dtype: str
    shape: Shape
    data: Sequence[Any]

    def item(self) -> Number:
        (value,) = self.data
        number: Number = value
        return number

    def __getitem__(self, position: Sequence[int]) -> Number:
        value: Number = self.data[ravel(position, self.shape)]
        return value


def make(dtype: str, shape: Sequence[int], data: Sequence[Number]) -> Array:
    """An array whose elements are first brought into `dtype`."""
    return Array(dtype, tuple(shape), tuple(into(dtype, v) for v in data))


def build(dtype: str, shape: Sequence[int], element: Callable[[tuple[int, ...]], Number]) -> Array:
    """An array from a function of the position."""
    return make(dtype, shape, [element(p) for p in positions(shape)])


def size(shape: Sequence[int]) -> int:
    return math.prod(shape)


def positions(shape: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """All positions in C order."""
    return itertools.product(*(range(n) for n in shape))


def ravel(position: Sequence[int], shape: Sequence[int]) -> int:
    flat = 0
    for p, n in zip(position, shape, strict=True):
        flat = flat * n + p
    return flat


# --- numbers of a dtype


@contextmanager
def wide() -> Iterator[None]:
    """Floats keep 64 bits whatever their dtype: for differences, which rounding would drown."""
    before = _wide[0]
    _wide[0] = True
    try:
        yield
    finally:
        _wide[0] = before


def is_float(dtype: str) -> bool:
    return dtype.startswith("float") or dtype == "bfloat16"


def into(dtype: str, value: Number) -> Number:
    """`value` as a number of `dtype`: floats are rounded to nearest, integers wrap around, all but zero is true.

    A float becomes the integer next to it towards 0, or the last one that there is on its side; NaN becomes 0.
    """
    if dtype == "bool":
        return bool(value)
    if not is_float(dtype):
        return _wrapped(dtype, value) if isinstance(value, int) else _whole(dtype, value)
    try:
        exact = float(value)
    except OverflowError:
        return math.copysign(math.inf, value)
    if dtype == "float64" or _wide[0]:
        return exact
    if dtype == "bfloat16":
        return _upper_half(exact)
    code = "f" if dtype == "float32" else "e"
    try:
        return float(struct.unpack(code, struct.pack(code, exact))[0])
    except OverflowError:
        return math.copysign(math.inf, exact)


def _upper_half(value: float) -> float:
    """A float32 whose lower 16 bits are 0: the nearest one, of two equally near the even one."""
    near = float(into("float32", value))
    if not math.isfinite(near):
        return near
    bits = int.from_bytes(struct.pack(">f", near), "big")
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16
    return float(struct.unpack(">f", bits.to_bytes(4, "big"))[0])


def _wrapped(dtype: str, value: int) -> int:
    bits = BITS[dtype]
    value %= 1 << bits
    return value - (1 << bits) if dtype.startswith("int") and value >= 1 << (bits - 1) else value


def _whole(dtype: str, value: float) -> int:
    bits = BITS[dtype]
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if dtype.startswith("int") else (0, (1 << bits) - 1)
    if math.isnan(value):
        return 0
    return min(max(math.trunc(value), low), high) if math.isfinite(value) else (high if value > 0 else low)


# --- the common dtype


def promote(a: str, b: str) -> str:
    """The common dtype of two arrays."""
    if b in (a, "bool"):
        return a
    if a == "bool":
        return b
    if is_float(a) and is_float(b):
        if {a, b} == {"float16", "bfloat16"}:
            return "float32"
        return max(a, b, key=BITS.__getitem__)
    if is_float(a) or is_float(b):
        floating, whole = (a, b) if is_float(a) else (b, a)
        needed = {8: 16, 16: 32, 32: 64, 64: 64}[BITS[whole]]
        return floating if BITS[floating] >= needed else f"float{needed}"
    if a.startswith("u") == b.startswith("u"):
        return max(a, b, key=BITS.__getitem__)
    signed, unsigned = (b, a) if a.startswith("u") else (a, b)
    if BITS[signed] > BITS[unsigned]:
        return signed
    return "float64" if unsigned == "uint64" else f"int{2 * BITS[unsigned]}"


def promote_weak(dtype: str, scalar: Number) -> str:
    """The common dtype of an array and a Python scalar, which gives way to the array's kind."""
    if isinstance(scalar, bool):
        return dtype
    if isinstance(scalar, int):
        return "int64" if dtype == "bool" else dtype
    return dtype if is_float(dtype) else "float64"


def float_of(dtype: str) -> str:
    """The dtype in which ``exp`` and its like are computed."""
    if is_float(dtype):
        return dtype
    return {1: "float16", 8: "float16", 16: "float32"}.get(BITS[dtype], "float64")


def total_of(dtype: str) -> str:
    """The dtype of sums and products."""
    if is_float(dtype):
        return dtype
    return "uint64" if dtype.startswith("u") else "int64"


# --- broadcasting


def broadcast(*shapes: Shape) -> Shape:
    """The common shape; ValueError where there is none."""
    ndim = max(map(len, shapes), default=0)
    result = []
    for axis in range(ndim):
        dims = {s[axis - ndim + len(s)] for s in shapes if axis - ndim + len(s) >= 0} - {1}
        if len(dims) > 1:
            raise ValueError(f"shapes {shapes} do not broadcast")
        result.append(dims.pop() if dims else 1)
    return tuple(result)


def stretched(x: Array, shape: Shape) -> Array:
    """x repeated to `shape`."""
    if broadcast(x.shape, shape) != tuple(shape):
        raise ValueError(f"shape {x.shape} does not broadcast to {shape}")
    lead = len(shape) - len(x.shape)

    def source(p: tuple[int, ...]) -> Number:
        return x[[0 if n == 1 else i for i, n in zip(p[lead:], x.shape, strict=True)]]

    return Array(x.dtype, tuple(shape), tuple(source(p) for p in positions(shape)))
