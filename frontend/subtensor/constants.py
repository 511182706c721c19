"""From Python and NumPy values to nodes."""

from __future__ import annotations

from typing import Any

import numpy as np

from subtensor.config import config
from subtensor.errors import DTypeError
from subtensor.graph import Constant, Variable, constant_node
from subtensor.operators import FUNCTIONS
from subtensor.types import INDEX, PyScalar, as_dtype, result_dtype, scalar_array


def is_weak(value: object) -> bool:
    """Whether a value is a Python scalar, whose dtype gives way to that of arrays (NEP 50)."""
    return type(value) in (bool, int, float)


def default_dtype(value: PyScalar) -> str:
    """The dtype of a Python scalar that stands alone: bool, int64 or ``config.floatX``."""
    return {bool: "bool", int: INDEX}.get(type(value), config.floatX)


def constant(value: Any, name: str | None = None, ndim: int | None = None, dtype: Any = None) -> Constant:
    """A constant node. value: anything ``numpy.asarray`` takes, copied; constants are interned by value.

    A Python float becomes ``config.floatX`` where `dtype` is not given. ndim pads the shape with leading ones.
    Raises DTypeError for dtypes outside bool, integers and floats.
    """
    if isinstance(value, Constant) and dtype is None and ndim is None:
        return value
    if isinstance(value, Variable):
        raise DTypeError(f"constant: {value!r} is symbolic; expected a value")
    if is_weak(value):
        array = scalar_array(value, as_dtype(dtype or default_dtype(value)), "constant")
    else:
        array = np.asarray(value)
        if array.dtype == object or array.dtype.kind in "USVcMm":
            raise DTypeError(
                f"constant: cannot make a tensor of {shorten(value)} (NumPy dtype {array.dtype}); "
                "expected bools, integers or floats"
            )
        if isinstance(value, list | tuple):
            kinds = {type(v) for v in np.ravel(np.asarray(value, dtype=object)).tolist()}
            if kinds <= {bool, int, float} and array.dtype == np.float64:
                array = array.astype(config.floatX)
        array = array.astype(as_dtype(dtype if dtype is not None else array.dtype), copy=False)
    if ndim is not None:
        if array.ndim > ndim:
            raise DTypeError(f"constant: the value has {array.ndim} dimensions; expected at most ndim={ndim}")
        array = array.reshape((1,) * (ndim - array.ndim) + array.shape)
    node = constant_node(array)
    if name is not None:
        node.name = name
    return node


def as_tensor(value: Any, name: str | None = None, ndim: int | None = None, dtype: Any = None) -> Variable:
    """`value` as a node: a variable as it is, a sequence holding variables stacked, anything else a constant."""
    if isinstance(value, Variable):
        result = value
    elif isinstance(value, list | tuple) and any(_holds_variable(v) for v in value):
        result = FUNCTIONS["stack"]([as_tensor(v) for v in value] if _nested(value) else list(value))
    else:
        return constant(value, name, ndim, dtype)
    if dtype is not None:
        result = FUNCTIONS["cast"](result, dtype)
    if ndim is not None and result.ndim != ndim:
        result = FUNCTIONS["expand_dims"](result, tuple(range(ndim - result.ndim)))
    if name is not None and result.name is None:
        result.name = name
    return result


def _holds_variable(value: Any) -> bool:
    return isinstance(value, Variable) or (isinstance(value, list | tuple) and any(map(_holds_variable, value)))


def _nested(value: Any) -> bool:
    return any(isinstance(v, list | tuple) for v in value)


def promoted(where: str, *values: Any, to: str | None = None) -> list[Variable]:
    """Operands brought to their common dtype; Python scalars are weak. `to` overrides the dtype."""
    operands = [v if is_weak(v) else as_tensor(v) for v in values]
    if to is None:
        dtypes = [v if is_weak(v) else v.dtype for v in operands]
        if all(is_weak(v) for v in operands):
            dtypes = [default_dtype(v) for v in operands]
        to = result_dtype(*dtypes)
    return [constant_node(scalar_array(v, to, where)) if is_weak(v) else FUNCTIONS["cast"](v, to) for v in operands]


def shorten(value: object) -> str:
    """A value's ``repr``, cut for messages."""
    text = repr(value)
    return text if len(text) < 80 else text[:77] + "..."
