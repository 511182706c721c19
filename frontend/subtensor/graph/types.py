"""Types of graph nodes, and the dtype and broadcasting rules of NumPy 2 (NEP 50), decided here once.

Backends never promote: whatever a rule here decides reaches them as an explicit cast.
"""

from __future__ import annotations

import importlib
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, TypeAlias

import numpy as np

from subtensor.errors import AxisError, DTypeError, ShapeError

Dim: TypeAlias = int | None
Shape: TypeAlias = tuple[Dim, ...]
PyScalar: TypeAlias = bool | int | float

FLOATS = ("float16", "float32", "float64")
SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
INTEGERS = SIGNED + UNSIGNED
BFLOAT16 = "bfloat16"
"""The upper half of a float32: its range, with 8 binary digits. It stores; arithmetic on it is float32's, rounded."""
HALVES = ("float16", BFLOAT16)
DTYPES = ("bool", *INTEGERS, *FLOATS, BFLOAT16)
_READY = frozenset(DTYPES) - {BFLOAT16}
INDEX = "int64"
"""The dtype of shapes, positions and counts."""


MOST_AXES = 64
"""More axes than this NumPy's arrays cannot have."""

FLOATX: list[Callable[[], str]] = []
"""What tells ``config.floatX``: ``config`` enters it, so that this file lies below it."""

INPUTS: list[Callable[..., Any]] = []
"""What makes inputs, for ``TensorType.__call__``: ``leaves`` enters it, so that this file lies below it."""


@dataclass(frozen=True, slots=True)
class TensorType:
    """The dtype and the static shape of a node; ``None`` stands for a dimension known only at run time.

    Theano's patterns of booleans are understood as shapes: True is a length of 1, False an unknown one. Called, a type
    gives a new input: ``x.type("y")``. Raises DTypeError and ShapeError for what is no dtype and no shape.
    """

    dtype: str
    shape: Shape = ()

    def __post_init__(self) -> None:
        if self.dtype not in _READY:
            object.__setattr__(self, "dtype", as_dtype(self.dtype))
        for d in self.shape:
            if type(d) is not int and d is not None:
                object.__setattr__(self, "shape", tuple(map(_as_dim, self.shape)))
                break
        if type(self.shape) is not tuple:
            object.__setattr__(self, "shape", tuple(self.shape))
        if len(self.shape) > MOST_AXES:
            raise ShapeError(f"shape: a tensor of {len(self.shape)} axes; expected at most {MOST_AXES}, as in NumPy")

    def __call__(self, name: str | None = None) -> Any:
        """A new input of this type."""
        return INPUTS[0](self, name=name)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def broadcastable(self) -> tuple[bool, ...]:
        """Theano's view of a shape: which dimensions are known to be 1."""
        return tuple(d == 1 for d in self.shape)

    def with_dtype(self, dtype: str) -> TensorType:
        return TensorType(dtype, self.shape)

    def with_shape(self, shape: Iterable[Dim]) -> TensorType:
        return TensorType(self.dtype, tuple(shape))

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join('?' if d is None else str(d) for d in self.shape)}]"


def _as_dim(d: Any) -> Dim:
    """A length; a boolean says, as in Theano, whether it is 1."""
    if d is None or isinstance(d, bool | np.bool_):
        return 1 if d else None
    if not hasattr(d, "__index__") or d < 0:
        raise ShapeError(f"shape: {d!r} is not a length; expected an int >= 0, or None where it is unknown")
    return int(d)


def kind_of(dtype: Any) -> str:
    """``numpy.dtype.kind``; ``f`` for bfloat16 too, which NumPy does not know for a float."""
    kind: str = dtype.kind
    return "f" if kind == "V" and dtype.name == BFLOAT16 else kind


def limits_of(dtype: str) -> Any:
    """``numpy.finfo`` of a float dtype."""
    return _ml_dtypes().finfo(dtype) if dtype == BFLOAT16 else np.finfo(dtype)


def _ml_dtypes() -> Any:
    """The package by which NumPy knows bfloat16, from then on also by its name."""
    try:
        return importlib.import_module("ml_dtypes")
    except ImportError as error:
        raise DTypeError(
            'dtype: bfloat16 needs the package ml_dtypes; install it, pip install "subtensor[bfloat16]", or use float16'
        ) from error


@cache
def _dtype_name(dtype: Any) -> str:
    if isinstance(dtype, str) and dtype == BFLOAT16:
        _ml_dtypes()
    try:
        name: str = np.dtype(dtype).name
    except TypeError as error:
        raise DTypeError(f"dtype: {dtype!r} is not a dtype; expected one of {', '.join(DTYPES)}") from error
    if name not in DTYPES:
        raise DTypeError(f"dtype: {name} is not supported; expected one of {', '.join(DTYPES)}")
    return name


def as_dtype(dtype: Any) -> str:
    """The canonical name of a dtype given as a string, a type or a ``numpy.dtype``; raises DTypeError.

    ``"floatX"`` is ``config.floatX``, as in the peers.
    """
    if isinstance(dtype, str) and dtype == "floatX":
        return FLOATX[0]()
    try:
        name: str = _dtype_name(dtype)
    except TypeError as error:
        if isinstance(error, DTypeError):
            raise
        raise DTypeError(f"dtype: {dtype!r} is not a dtype; expected one of {', '.join(DTYPES)}") from error
    return name


def is_float(dtype: str) -> bool:
    """Whether a dtype is a float: only those have gradients."""
    return dtype in FLOATS or dtype == BFLOAT16


def is_integer(dtype: str) -> bool:
    """Whether a dtype is a signed or unsigned integer; bool is not."""
    return dtype in INTEGERS


def is_discrete(dtype: str) -> bool:
    """Whether a dtype is bool or an integer."""
    return not is_float(dtype)


def result_dtype(*operands: str | PyScalar) -> str:
    """The common dtype of dtypes and of weak Python scalars, as ``numpy.result_type`` has it.

    bfloat16 and another float go to the smallest that holds both, float32 at least; with integers it is as float16 is.
    """
    if BFLOAT16 in operands:
        others = ["float32" if o == "float16" else "float16" if o == BFLOAT16 else o for o in operands]
        name = _result_dtype(*((np.dtype(o) if isinstance(o, str) else type(o)(0)) for o in others))
        return BFLOAT16 if name == "float16" else name
    return _result_dtype(*((np.dtype(o) if isinstance(o, str) else type(o)(0)) for o in operands))


@lru_cache(maxsize=None, typed=True)  # typed: 0, 0.0 and False are equal keys but different weak scalars
def _result_dtype(*operands: Any) -> str:
    return as_dtype(np.result_type(*operands))


def float_dtype(dtype: str) -> str:
    """The dtype in which NumPy evaluates ``exp`` and its like: small integers go to small floats."""
    if is_float(dtype):
        return dtype
    return {"bool": "float16", "int8": "float16", "uint8": "float16", "int16": "float32", "uint16": "float32"}.get(
        dtype, "float64"
    )


def sum_dtype(dtype: str) -> str:
    """The dtype of ``sum``, ``prod`` and ``cumsum``: small integers are widened to 64 bits."""
    if dtype == "bool" or dtype in SIGNED:
        return "int64"
    return "uint64" if dtype in UNSIGNED else dtype


def can_cast(source: str, target: str, casting: str = "same_kind") -> bool:
    """Whether NumPy's rule `casting` lets values of `source` become `target`."""
    if BFLOAT16 in (source, target) and source != target:
        if "float16" in (source, target) or target == BFLOAT16:
            narrow = target != BFLOAT16 or source not in ("bool", "int8", "uint8")
            return casting in ("same_kind", "unsafe") or (casting == "safe" and not narrow)
        return casting == "unsafe" or is_float(target)
    return bool(np.can_cast(source, target, casting))  # type: ignore[arg-type]  # casting is one of numpy's names


def scalar_array(value: PyScalar, dtype: str, where: str) -> np.ndarray[Any, Any]:
    """A Python scalar as a 0-d array of `dtype`; an integer that does not fit raises DTypeError."""
    try:
        return np.asarray(value, dtype=dtype)
    except (OverflowError, ValueError) as error:
        what = f"Python integer {value}" if isinstance(value, int) else f"the Python float {value}"
        raise DTypeError(f"{where}: {what} is out of bounds for {dtype}; use a wider dtype") from error


Labels: TypeAlias = Sequence[str] | Callable[[], Sequence[str]]
"""What operands are called in error messages; a function where that takes time to work out."""


def broadcast_dims(where: str, axis: int, dims: Sequence[Dim], labels: Labels) -> Dim:
    """One axis of a broadcast: equal or 1; an unknown length gives way to a known one other than 1."""
    known = None
    place = 0
    unknown = False
    for i, dim in enumerate(dims):
        if dim is None:
            unknown = True
        elif dim != 1:
            if known is not None and known != dim:
                names = labels() if callable(labels) else labels
                raise ShapeError(
                    f"{where}: axis {axis} of {names[place]} is {known}, of {names[i]} is {dim}; expected equal or 1"
                )
            known, place = dim, i
    if known is not None:
        return known
    return None if unknown else 1


def broadcast_shapes(where: str, shapes: Sequence[Shape], labels: Labels) -> Shape:
    """NumPy's broadcast of static shapes, aligned at the right; raises ShapeError naming the operands."""
    first = shapes[0]
    if all(s == first for s in shapes) and None not in first:
        return first
    ndim = max(len(s) for s in shapes)
    # missing leading axes have length 1
    wide = [(1,) * (ndim - len(s)) + s for s in shapes]
    return tuple(broadcast_dims(where, axis, [s[axis] for s in wide], labels) for axis in range(ndim))


def normalize_axis(axis: Any, ndim: int, where: str) -> int:
    """An axis in ``0 <= axis < ndim``; negative ones count from the end.

    axis: an int, anything with ``__index__``, or a constant node. Raises AxisError out of bounds, DTypeError for what
    is no integer.
    """
    known = getattr(axis, "known", axis)
    if known is None:
        raise DTypeError(f"{where}: the axis must be known while the graph is built; got {axis!r}")
    try:
        found = operator.index(known)
    except TypeError:
        expected = f"one axis, {-ndim} to {ndim - 1}" if ndim else "None, since there is no axis"
        raise DTypeError(f"{where}: axis {axis!r} is not an integer; expected {expected}") from None
    if not -ndim <= found < ndim:
        expected = f"expected {-ndim} to {ndim - 1}" if ndim else "a scalar has none"
        raise AxisError(f"{where}: axis {found} is out of bounds for {ndim} dimensions; {expected}")
    return found % ndim


def listed_axes(axis: Any) -> list[Any]:
    """An axis, or several given as a sequence, an array or a constant node, as a list."""
    known = getattr(axis, "known", None)
    several = axis if known is None else known.tolist()
    if not isinstance(several, Iterable) or hasattr(type(several), "op") or getattr(several, "ndim", 1) == 0:
        return [several]
    return list(several)


def normalize_axes(axis: Any, ndim: int, where: str) -> tuple[int, ...]:
    """Axes in ascending order; ``None`` means all. Raises as ``normalize_axis``, and AxisError for a repeated axis."""
    if axis is None:
        return tuple(range(ndim))
    given = listed_axes(axis)
    axes = tuple(sorted(normalize_axis(a, ndim, where) for a in given))
    if len(set(axes)) != len(axes):
        raise AxisError(f"{where}: axes {tuple(given)} repeat an axis; expected distinct axes")
    return axes


def merge_dims(a: Dim, b: Dim) -> Dim:
    """Two descriptions of one length, the more precise one."""
    return b if a is None else a
