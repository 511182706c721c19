"""Small outputs in one buffer: each array that a call fetches from the device costs microseconds, whatever its size."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from jax import lax

from subtensor_jax.arithmetic import Array

Outputs: TypeAlias = tuple[np.ndarray[Any, Any], ...]

MOST = 4096
"""Bytes: more than this is not packed, for packing is a copy."""

_BYTE = np.dtype(np.uint8)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things lie in a packed buffer.

    fields: shape, dtype and offset of each array. flag: whether the last byte says that all rules hold.
    """

    fields: tuple[tuple[tuple[int, ...], np.dtype[Any], int], ...]
    flag: bool

    def unpacked(self, buffer: np.ndarray[Any, Any]) -> Outputs:
        """The arrays, as views of a buffer of their own."""
        return tuple([np.ndarray(shape, dtype, buffer, offset) for shape, dtype, offset in self.fields])


def layout_of(ok: Array | None, outputs: Sequence[Array]) -> Layout | None:
    """How to pack a flag and outputs; None where they are too large, or where there is one array to fetch at most."""
    if len(outputs) + (ok is not None) < 2 or not 0 < sum(_size(o) for o in outputs) <= MOST:
        return None
    offsets = {}
    end = 0
    for k in sorted(range(len(outputs)), key=lambda k: -outputs[k].dtype.itemsize):  # so that all are aligned
        offsets[k] = end
        end += _size(outputs[k])
    fields = tuple((np.shape(o), np.dtype(o.dtype), offsets[k]) for k, o in enumerate(outputs))
    return Layout(fields, ok is not None)


def packed(layout: Layout, ok: Array | None, outputs: Sequence[Array]) -> Array:
    """The buffer, traced: uint8."""
    order = sorted(range(len(outputs)), key=lambda k: layout.fields[k][2])
    parts = [_bytes(outputs[k]) for k in order if outputs[k].size]
    if ok is not None:
        parts.append(_bytes(ok))
    return lax.concatenate(parts, 0)


def _size(x: Array) -> int:
    return math.prod(np.shape(x)) * int(x.dtype.itemsize)


def _bytes(x: Array) -> Array:
    x = lax.convert_element_type(x, _BYTE) if x.dtype == bool else lax.bitcast_convert_type(x, _BYTE)
    return lax.reshape(x, (x.size,))
