"""Inputs: ``scalar vector row col matrix tensor3 tensor4`` with dtype prefixes and plural forms, and ``tensor``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from subtensor.errors import ShapeError
from subtensor.graph.config import config
from subtensor.graph.nodes import Input
from subtensor.graph.roles import roles
from subtensor.graph.types import DTYPES, INPUTS, Shape, TensorType, as_dtype

PREFIXES = {"b": "int8", "w": "int16", "i": "int32", "l": "int64", "f": "float32", "d": "float64"}
SHAPES: dict[str, Shape] = {
    "scalar": (),
    "vector": (None,),
    "row": (1, None),
    "col": (None, 1),
    "matrix": (None, None),
    "tensor3": (None,) * 3,
    "tensor4": (None,) * 4,
    "tensor5": (None,) * 5,
}
PLURALS = {"scalar": "scalars", "vector": "vectors", "row": "rows", "col": "cols", "matrix": "matrices"}


def tensor(
    name: Any = None,
    dtype: Any = None,
    shape: Any = None,
    *,
    broadcastable: Sequence[bool] | None = None,
    axes: Any = None,
) -> Input:
    """An input. dtype defaults to ``config.floatX``; shape to a scalar's; None in it is a length known at the call.

    The peers' order, with the dtype first, is understood too: ``tensor("float32", shape=(None, 3))``, and
    ``tensor("float32", (False, True), "x")``, where a boolean, also in `broadcastable`, says that a length is 1.

    axes: for each axis its role or None, such as ``("batch", None)``: over which devices a backend may divide it.
    """
    if isinstance(dtype, list | tuple) and name in DTYPES:  # Theano's tensor(dtype, broadcastable, name)
        name, dtype, shape = (shape if isinstance(shape, str) else None), name, dtype
    elif dtype is None and name in DTYPES and (shape is not None or broadcastable is not None):
        name, dtype = None, name
    dims = _lengths("tensor", shape if shape is not None else broadcastable or ())
    divided = roles(f"tensor: {name or 'the input'}", axes, dims, open_lengths=True)
    return Input(TensorType(as_dtype(dtype or config.floatX), dims), name=name, axes=divided)


def _lengths(where: str, shape: Any) -> Shape:
    """A static shape given as a length or several; a boolean says, as in Theano, whether a length is 1."""
    dims = [shape] if hasattr(shape, "__index__") and not isinstance(shape, np.ndarray) else shape
    if not isinstance(dims, Iterable):
        raise ShapeError(f"{where}: shape={shape!r}; expected a tuple of lengths, None where one is unknown")
    dims = tuple(dims)
    for d in dims:
        if d is not None and (not hasattr(d, "__index__") or d < 0):
            raise ShapeError(f"{where}: {d!r} is not a length; expected an int >= 0, or None where it is unknown")
    return tuple((1 if d else None) if isinstance(d, bool | np.bool_) else None if d is None else int(d) for d in dims)


INPUTS.append(Input)


def _constructor(name: str, shape: Shape, dtype: str | None) -> Callable[..., Input]:
    pattern = shape

    def make(name: str | None = None, dtype: Any = dtype, *, shape: Any = None, axes: Any = None) -> Input:
        dims = pattern if shape is None else _lengths(make.__name__, shape)
        fits = len(dims) == len(pattern) and all(p is None or d == p for d, p in zip(dims, pattern, strict=True))
        if not fits:
            raise ShapeError(f"{make.__name__}: shape={tuple(shape)}; expected lengths that fit ({spelled})")
        divided = roles(f"{make.__name__}: {name or 'the input'}", axes, dims, open_lengths=True)
        return Input(TensorType(as_dtype(dtype or config.floatX), dims), name=name, axes=divided)

    make.__name__ = make.__qualname__ = name
    spelled = ", ".join("?" if d is None else str(d) for d in pattern)
    make.__doc__ = (
        f"An input of shape ({spelled}) and dtype {dtype or 'config.floatX unless given'}. shape: its lengths, as far "
        "as they are known, None for others. axes: for each axis its role or None, such as 'batch'. Raises "
        "ShapeError where they do not fit."
    )
    return make


def _plural(name: str, single: Callable[..., Input]) -> Callable[..., list[Input]]:
    def make(*names: Any, dtype: Any = None, shape: Any = None, axes: Any = None) -> list[Input]:
        """Several inputs: ``xs("abc")``, ``xs("a", "b")`` or ``xs(2)``."""
        if len(names) == 1 and isinstance(names[0], int):
            each: list[Any] = [None] * names[0]
        elif len(names) == 1 and isinstance(names[0], str):
            each = list(names[0])
        else:
            each = list(names)
        options = {} if dtype is None else {"dtype": dtype}
        return [single(n, shape=shape, axes=axes, **options) for n in each]

    make.__name__ = make.__qualname__ = name
    return make


CONSTRUCTORS: dict[str, Callable[..., Any]] = {}
for _kind, _shape in SHAPES.items():
    for _prefix, _dtype in [("", None), *PREFIXES.items()]:
        _single = _constructor(_prefix + _kind, _shape, _dtype)
        CONSTRUCTORS[_prefix + _kind] = _single
        _many = _prefix + PLURALS.get(_kind, _kind + "s")
        CONSTRUCTORS[_many] = _plural(_many, _single)
