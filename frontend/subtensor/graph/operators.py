"""Python's operators and NumPy's protocols on a symbolic variable.

The methods look their implementation up by name in a table that the modules of ``subtensor.ops`` fill
(``@public``), so that this file lies below them and imports none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar, overload

from subtensor.doors import RAW, refuse, reworded
from subtensor.errors import DTypeError, ShapeError, SubtensorError

F = TypeVar("F", bound=Callable[..., Any])
N = TypeVar("N")

FUNCTIONS: dict[str, Callable[..., Any]] = {}
"""Public functions on variables by name: what methods, NumPy's functions and ``subtensor.tensor`` call."""


@overload
def public(function: F) -> F: ...
@overload
def public(*, aliases: tuple[str, ...] = ...) -> Callable[[F], F]: ...
def public(function: Any = None, *, aliases: tuple[str, ...] = ()) -> Any:
    """Enter a function into the table of public functions under its own name and `aliases`."""

    def register(f: F) -> F:
        publish(f.__name__.rstrip("_"), f, *aliases)
        return f

    return register if function is None else register(function)


def publish(name: str, function: Callable[..., Any], *aliases: str) -> None:
    """Enter a function made at run time (by an op's table) under `name` and `aliases`."""
    for each in (name, *aliases):
        if each in FUNCTIONS:
            raise ValueError(f"public function {each!r} is defined twice")
        FUNCTIONS[each] = function


_NUMPY_RENAMES = {
    "bitwise_and": "and_",
    "bitwise_or": "or_",
    "bitwise_xor": "xor",
    "invert": "invert",
    "amax": "max",
    "amin": "min",
    "absolute": "abs",
    "round_": "round",
    "around": "round",
    "copy": "identity",
    "concat": "concatenate",
    "permute_dims": "transpose",
    "acos": "arccos",
    "asin": "arcsin",
    "atan": "arctan",
    "atan2": "arctan2",
    "pow": "power",
}


class Operators(Generic[N]):
    """Mixin of ``Variable``, which is N. Every operator builds graph; ``==`` is identity: nodes are dictionary keys."""

    __slots__ = ()
    __array_priority__ = 1000.0
    dtype: str
    shape_static: tuple[int | None, ...]

    def _call(self, name: str, *args: Any, **kwargs: Any) -> N:
        function = FUNCTIONS[name]
        try:
            result: N = function(*args, **kwargs)
        except SubtensorError as error:
            reworded(error, name, function, args, kwargs)
            raise
        except RAW as error:
            refuse(error, name, function, args, kwargs)
        return result

    # --- arithmetic
    def __neg__(self) -> N:
        return self._call("neg", self)

    def __pos__(self) -> N:
        return self  # type: ignore[return-value]  # the mixin's only host is Variable

    def __abs__(self) -> N:
        return self._call("abs", self)

    def __add__(self, other: Any) -> N:
        return self._call("add", self, other)

    def __radd__(self, other: Any) -> N:
        return self._call("add", other, self)

    def __sub__(self, other: Any) -> N:
        return self._call("subtract", self, other)

    def __rsub__(self, other: Any) -> N:
        return self._call("subtract", other, self)

    def __mul__(self, other: Any) -> N:
        return self._call("multiply", self, other)

    def __rmul__(self, other: Any) -> N:
        return self._call("multiply", other, self)

    def __truediv__(self, other: Any) -> N:
        return self._call("true_divide", self, other)

    def __rtruediv__(self, other: Any) -> N:
        return self._call("true_divide", other, self)

    def __floordiv__(self, other: Any) -> N:
        return self._call("floor_divide", self, other)

    def __rfloordiv__(self, other: Any) -> N:
        return self._call("floor_divide", other, self)

    def __mod__(self, other: Any) -> N:
        return self._call("mod", self, other)

    def __rmod__(self, other: Any) -> N:
        return self._call("mod", other, self)

    def __divmod__(self, other: Any) -> tuple[N, N]:
        return self._call("floor_divide", self, other), self._call("mod", self, other)

    def __pow__(self, other: Any) -> N:
        return self._call("power", self, other)

    def __rpow__(self, other: Any) -> N:
        return self._call("power", other, self)

    def __matmul__(self, other: Any) -> N:
        return self._call("matmul", self, other)

    def __rmatmul__(self, other: Any) -> N:
        return self._call("matmul", other, self)

    # --- comparison: == and != stay identity
    def __lt__(self, other: Any) -> N:
        return self._call("less", self, other)

    def __le__(self, other: Any) -> N:
        return self._call("less_equal", self, other)

    def __gt__(self, other: Any) -> N:
        return self._call("greater", self, other)

    def __ge__(self, other: Any) -> N:
        return self._call("greater_equal", self, other)

    # --- bits and logic
    def __invert__(self) -> N:
        return self._call("invert", self)

    def __and__(self, other: Any) -> N:
        return self._call("and_", self, other)

    def __rand__(self, other: Any) -> N:
        return self._call("and_", other, self)

    def __or__(self, other: Any) -> N:
        return self._call("or_", self, other)

    def __ror__(self, other: Any) -> N:
        return self._call("or_", other, self)

    def __xor__(self, other: Any) -> N:
        return self._call("xor", self, other)

    def __rxor__(self, other: Any) -> N:
        return self._call("xor", other, self)

    def __lshift__(self, other: Any) -> N:
        return self._call("left_shift", self, other)

    def __rlshift__(self, other: Any) -> N:
        return self._call("left_shift", other, self)

    def __rshift__(self, other: Any) -> N:
        return self._call("right_shift", self, other)

    def __rrshift__(self, other: Any) -> N:
        return self._call("right_shift", other, self)

    # --- what a symbol cannot say
    def __bool__(self) -> bool:
        raise DTypeError(
            f"bool: {self!r} is symbolic and has no truth value while the graph is built; "
            "use st.where(condition, a, b), or & | ~ between conditions"
        )

    def _no_number(self, kind: str) -> DTypeError:
        return DTypeError(
            f"{kind}: {self!r} is symbolic and has no value while the graph is built; "
            "compile it with st.function, or call .eval({input: value})"
        )

    def __int__(self) -> int:
        raise self._no_number("int")

    def __float__(self) -> float:
        raise self._no_number("float")

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise self._no_number("array")

    def __len__(self) -> int:
        length = self.shape_static[0] if self.shape_static else None
        if length is None:
            raise ShapeError(f"len: the length of {self!r} is not known while the graph is built; use .shape[0]")
        return length

    def __iter__(self) -> Iterator[N]:
        if not self.shape_static:
            raise ShapeError(f"iter: {self!r} has no dimensions to iterate over")
        return iter([self[i] for i in range(len(self))])

    def __contains__(self, item: object) -> bool:
        raise self._no_number("in")

    # --- indexing
    def __getitem__(self, key: Any) -> N:
        return self._call("getitem", self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        raise DTypeError(
            f"{self!r} is symbolic and cannot be assigned to; x[i].set(value) is x with a value written there, and "
            "x[i].inc(value) x with a value added, as in x = x[i].set(value)"
        )

    def set(self, value: Any) -> N:
        """The indexed parent of ``self = parent[index]`` with `value` written there; see ``set_subtensor``."""
        return self._call("set_subtensor", self, value)

    def inc(self, value: Any, *, ignore_duplicates: bool = False) -> N:
        """The indexed parent of ``self = parent[index]`` with `value` added there; see ``inc_subtensor``."""
        return self._call("inc_subtensor", self, value, ignore_duplicates=ignore_duplicates)

    def take(self, indices: Any, axis: int | None = None, mode: str | None = "raise") -> N:
        return self._call("take", self, indices, axis=axis, mode=mode)

    def nonzero(self) -> tuple[N, ...]:
        result: tuple[N, ...] = FUNCTIONS["nonzero"](self)
        return result

    def nonzero_values(self) -> N:
        return self._call("nonzero_values", self)

    def compress(self, condition: Any, axis: int | None = None) -> N:
        return self._call("compress", condition, self, axis)

    def choose(self, choices: Any, mode: str = "raise") -> N:
        return self._call("choose", self, choices, mode)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> N:
        return self._call("diagonal", self, offset, axis1, axis2)

    # --- shape
    @property
    def shape(self) -> N:
        """The shape as an int64 vector; known dimensions are constants in it."""
        return self._call("shape", self)

    @property
    def size(self) -> N:
        return self._call("size", self)

    @property
    def T(self) -> N:
        return self._call("transpose", self)

    @property
    def mT(self) -> N:
        return self._call("swapaxes", self, -1, -2)

    def reshape(self, *shape: Any, ndim: int | None = None) -> N:
        return self._call("reshape", self, shape[0] if len(shape) == 1 else shape, ndim=ndim)

    def transpose(self, *axes: Any) -> N:
        given = axes[0] if len(axes) == 1 else axes
        return self._call("transpose", self, None if isinstance(given, tuple | list) and not given else given)

    def dimshuffle(self, *pattern: Any) -> N:
        single = len(pattern) == 1 and not isinstance(pattern[0], str)
        return self._call("dimshuffle", self, pattern[0] if single else pattern)

    def swapaxes(self, axis1: int, axis2: int) -> N:
        return self._call("swapaxes", self, axis1, axis2)

    def flatten(self, ndim: int = 1, outdim: int | None = None) -> N:
        return self._call("flatten", self, ndim, outdim)

    def ravel(self) -> N:
        return self._call("flatten", self)

    def squeeze(self, axis: Any = None) -> N:
        return self._call("squeeze", self, axis)

    def repeat(self, repeats: Any, axis: int | None = None) -> N:
        return self._call("repeat", self, repeats, axis)

    # --- conversion
    def astype(self, dtype: Any) -> N:
        return self._call("cast", self, dtype)

    def copy(self, name: str | None = None) -> N:
        return self._call("identity", self, name)

    def fill(self, value: Any) -> N:
        return self._call("full_like", self, value)

    def zeros_like(self, dtype: Any = None) -> N:
        return self._call("zeros_like", self, dtype)

    def ones_like(self, dtype: Any = None) -> N:
        return self._call("ones_like", self, dtype)

    # --- reductions
    def sum(self, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> N:
        return self._call("sum", self, axis, dtype, keepdims)

    def prod(self, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> N:
        return self._call("prod", self, axis, dtype, keepdims)

    def mean(self, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> N:
        return self._call("mean", self, axis, dtype, keepdims)

    def var(self, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> N:
        return self._call("var", self, axis, ddof, keepdims)

    def std(self, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> N:
        return self._call("std", self, axis, ddof, keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> N:
        return self._call("max", self, axis, keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> N:
        return self._call("min", self, axis, keepdims)

    def argmax(self, axis: Any = None, keepdims: bool = False) -> N:
        return self._call("argmax", self, axis, keepdims)

    def argmin(self, axis: Any = None, keepdims: bool = False) -> N:
        return self._call("argmin", self, axis, keepdims)

    def all(self, axis: Any = None, keepdims: bool = False) -> N:
        return self._call("all", self, axis, keepdims)

    def any(self, axis: Any = None, keepdims: bool = False) -> N:
        return self._call("any", self, axis, keepdims)

    def norm(self, L: Any = 2, axis: Any = None, keepdims: bool = False) -> N:
        return self._call("norm", self, L, axis, keepdims)

    def ptp(self, axis: Any = None) -> N:
        return self._call("ptp", self, axis)

    def cumsum(self, axis: int | None = None) -> N:
        return self._call("cumsum", self, axis)

    def cumprod(self, axis: int | None = None) -> N:
        return self._call("cumprod", self, axis)

    def trace(self, offset: int = 0) -> N:
        return self._call("trace", self, offset)

    # --- others
    def dot(self, other: Any) -> N:
        return self._call("dot", self, other)

    def clip(self, a_min: Any = None, a_max: Any = None) -> N:
        return self._call("clip", self, a_min, a_max)

    def round(self, decimals: int = 0) -> N:
        return self._call("round", self, decimals)

    def sort(self, axis: int | None = -1, kind: str | None = None, order: Any = None) -> N:
        return self._call("sort", self, axis, kind, order)

    def argsort(self, axis: int | None = -1, kind: str | None = "stable", order: Any = None) -> N:
        return self._call("argsort", self, axis, kind, order)

    def searchsorted(self, v: Any, side: str = "left", sorter: Any = None) -> N:
        return self._call("searchsorted", self, v, side, sorter)

    def eval(self, inputs_to_values: Any = None, **kwargs: Any) -> Any:
        """The value of this variable: a compiled function, called with ``{input: value}``."""
        return self._call("eval", self, inputs_to_values, **kwargs)

    # --- NumPy's protocols: np.exp(x), array * x and np.sum(x) build graph
    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        name = _NUMPY_RENAMES.get(ufunc.__name__, ufunc.__name__)
        if method == "reduce" and name in _REDUCTIONS:
            axis = kwargs.pop("axis", 0)
            keepdims = kwargs.pop("keepdims", False)
            if not any(v is not None and v is not False for v in kwargs.values()):
                return FUNCTIONS[_REDUCTIONS[name]](inputs[0], axis=axis, keepdims=keepdims)
        if method != "__call__" or name not in FUNCTIONS:
            return NotImplemented
        if kwargs:
            raise DTypeError(
                f"{ufunc.__name__}: keyword arguments {', '.join(kwargs)} have no meaning on a symbolic variable; "
                "leave them out, and use .astype for a dtype"
            )
        return FUNCTIONS[name](*inputs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        name = _NUMPY_RENAMES.get(func.__name__, func.__name__)
        # functions of numpy.linalg and others share names with functions of other meaning
        if name not in FUNCTIONS or func.__module__ != "numpy":
            return NotImplemented
        return FUNCTIONS[name](*args, **kwargs)


_REDUCTIONS = {
    "add": "sum",
    "multiply": "prod",
    "maximum": "max",
    "minimum": "min",
    "logical_and": "all",
    "logical_or": "any",
}
