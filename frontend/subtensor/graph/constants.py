"""From Python and NumPy values to nodes."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from subtensor.errors import DTypeError, ShapeError, counted
from subtensor.graph.config import config
from subtensor.graph.nodes import Array, Constant, Variable, constant_node
from subtensor.graph.operators import FUNCTIONS
from subtensor.graph.types import INDEX, PyScalar, Shape, as_dtype, kind_of, result_dtype, scalar_array


def is_weak(value: object) -> bool:
    """Whether a value is a Python scalar, whose dtype gives way to that of arrays (NEP 50)."""
    return type(value) in (bool, int, float)


def default_dtype(value: PyScalar) -> str:
    """The dtype of a Python scalar that stands alone: bool, int64 or ``config.floatX``."""
    return {bool: "bool", int: INDEX}.get(type(value), config.floatX)


def refuse_masked(value: Any, where: str) -> None:
    """Raises DTypeError for an array whose mask would be lost."""
    masked = sys.modules.get("numpy.ma")  # where nobody has imported it, there is none
    if masked is not None and isinstance(value, masked.MaskedArray):
        raise DTypeError(f"{where}: got a masked array, whose mask would be lost; expected an array: value.filled(0)")


def fitted(array: Array, dtype: str, where: str) -> Array:
    """`array` in `dtype`; raises DTypeError where it holds numbers that are none of an integer dtype."""
    target = np.dtype(dtype)
    if target.kind in "ui" and array.size and array.dtype != target and kind_of(array.dtype) in "iuf":
        limits = np.iinfo(target)
        low, high = array.min(), array.max()
        if not (np.isfinite(low) and np.isfinite(high) and int(low) >= limits.min and int(high) <= limits.max):
            raise DTypeError(
                f"{where}: values from {low} to {high} do not fit into {dtype}, which goes from {limits.min} to "
                f"{limits.max}; use a wider dtype, or change them first"
            )
    return array.astype(target, copy=False)


def number_array(value: Any, where: str, dtype: Any = None) -> Array:
    """`value` as a NumPy array of bools, integers or floats; raises DTypeError for anything else."""
    refuse_masked(value, where)
    try:
        plain = dtype is None or isinstance(value, np.ndarray | np.generic)
        array = np.asarray(value) if plain else np.asarray(value, dtype)
    except (ValueError, OverflowError) as error:  # ragged lists; integers beyond every dtype
        raise DTypeError(f"{where}: cannot make a tensor of {shorten(value)}: {error}") from error
    if array.dtype == object or kind_of(array.dtype) in "USVTcMm":
        raise DTypeError(
            f"{where}: cannot make a tensor of {shorten(value)} (NumPy dtype {array.dtype}); "
            "expected bools, integers or floats"
        )
    return array if dtype is None else fitted(array, dtype, where)


def constant(value: Any, name: str | None = None, ndim: int | None = None, dtype: Any = None) -> Constant:
    """A constant node. value: anything ``numpy.asarray`` takes, copied; constants are interned by value and name.

    A Python float becomes ``config.floatX`` where `dtype` is not given. ndim pads the shape with leading ones.
    Raises DTypeError for dtypes outside bool, integers and floats, ShapeError for more axes than `ndim` of which the
    first are not of length 1.
    """
    if isinstance(value, Constant):
        if dtype is None and ndim is None and name is None:
            return value
        value, name = value.data, name or value.name
    if isinstance(value, Variable):
        raise DTypeError(f"constant: {value!r} is symbolic; expected a value")
    if is_weak(value):
        array = scalar_array(value, as_dtype(dtype or default_dtype(value)), "constant")
    else:
        array = number_array(value, "constant")
        if isinstance(value, list | tuple):
            kinds = {type(v) for v in np.ravel(np.asarray(value, dtype=object)).tolist()}
            if kinds <= {bool, int, float} and array.dtype == np.float64:
                array = array.astype(config.floatX)
        array = fitted(array, as_dtype(dtype if dtype is not None else array.dtype), "constant")
    if ndim is not None:
        extra = _surplus("constant", "the value", array.shape, ndim)
        array = array.reshape(array.shape[extra:] if extra > 0 else (1,) * -extra + array.shape)
    return constant_node(array, name)


def _surplus(where: str, label: str, shape: Shape, ndim: int) -> int:
    """How many leading axes of length 1 to take off for `ndim` axes; negative where some are missing."""
    extra = len(shape) - ndim
    if any(d != 1 for d in shape[: max(extra, 0)]):
        raise ShapeError(
            f"{where}: {label} has {counted(len(shape), 'axis')}, of which the first are not known to have length 1; "
            f"expected at most ndim={ndim}"
        )
    return extra


def as_tensor(value: Any, name: str | None = None, ndim: int | None = None, dtype: Any = None) -> Variable:
    """`value` as a node: a variable as it is, a sequence holding variables stacked, anything else a constant.

    ndim: the number of axes; leading ones of length 1 are put in or taken off. Raises ShapeError where more axes are
    there, DTypeError for what are no numbers.
    """
    if isinstance(value, Variable):
        result = value
    elif isinstance(value, list | tuple) and any(_holds_variable(v) for v in value):
        result = FUNCTIONS["stack"]([as_tensor(v) for v in value] if _nested(value) else list(value))
    else:
        return constant(value, name, ndim, dtype)
    if dtype is not None:
        result = FUNCTIONS["cast"](result, dtype)
    if ndim is not None and result.ndim != ndim:
        extra = _surplus("as_tensor", result.label, result.type.shape, ndim)
        result = FUNCTIONS["squeeze" if extra > 0 else "expand_dims"](result, tuple(range(abs(extra))))
    if name is not None and result.name is None:
        result.name = name
    return result


def _holds_variable(value: Any) -> bool:
    return isinstance(value, Variable) or (isinstance(value, list | tuple) and any(map(_holds_variable, value)))


def _nested(value: Any) -> bool:
    return any(isinstance(v, list | tuple) for v in value)


def promoted(where: str, *values: Any, to: str | None = None) -> list[Variable]:
    """Operands brought to their common dtype; Python scalars are weak. `to` overrides the dtype."""
    operands: list[Any] = [v if is_weak(v) else as_tensor(v) for v in values]
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
