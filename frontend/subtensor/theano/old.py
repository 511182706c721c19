"""What only old programs ask for: spellings that Theano had, and objects that say how it computes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

import subtensor as st
import subtensor.tensor as T
from subtensor.errors import DTypeError
from subtensor.graph.config import config
from subtensor.graph.nodes import Constant, Variable, leaves, toposort
from subtensor.graph.operators import FUNCTIONS
from subtensor.graph.types import result_dtype

VERSION = "1.0.5"
"""The Theano whose names are answered to."""

version = SimpleNamespace(version=VERSION, full_version=VERSION)


class Mode:
    """How Theano compiles; here an object without effect."""

    def __init__(self, *_: Any, **kwargs: Any) -> None:
        self.optimizer = kwargs.get("optimizer")
        self.linker = kwargs.get("linker")

    def excluding(self, *_: str) -> Mode:
        return self

    def including(self, *_: str) -> Mode:
        return self

    def register(self, *_: Any) -> Mode:
        return self


PREDEFINED_MODES = {name: Mode() for name in ("FAST_COMPILE", "FAST_RUN", "DebugMode", "DEBUG_MODE", "JAX", "NUMBA")}


def get_default_mode() -> Mode:
    """The mode of functions made without one."""
    return PREDEFINED_MODES["FAST_RUN"]


def get_mode(name: Any) -> Any:
    """The mode of a name; a mode itself, and None, as they are."""
    return PREDEFINED_MODES.get(name, get_default_mode()) if isinstance(name, str) else name


def out(variable: Any, borrow: bool = False) -> Any:
    """``Out(variable, borrow=True)``: what functions return belongs to the caller in any case."""
    return variable


class _AnyTensorType(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, st.TensorType)


class TensorType(metaclass=_AnyTensorType):
    """``TensorType(dtype, broadcastable)``, also by keyword: gives a ``subtensor.TensorType``."""

    def __new__(cls, dtype: Any, shape: Any = None, _name: Any = None, *, broadcastable: Any = None) -> Any:
        if (shape is None) == (broadcastable is None):
            raise DTypeError("TensorType: expected a dtype, and either broadcastable or shape")
        return st.TensorType(dtype, tuple(broadcastable if shape is None else shape))


def stack(*tensors: Any, axis: int = 0) -> Variable:
    """Tensors along a new axis: ``stack([a, b], axis)``, or in Theano's first spelling ``stack(a, b, c)``."""
    first, rest = tensors[0], tensors[1:]
    if isinstance(first, list | tuple) or not rest:
        made: Variable = FUNCTIONS["stack"](first, *(rest or (axis,)))
    else:
        made = FUNCTIONS["stack"](tensors, axis)
    return made


def clone(output: Any, replace: Any = None, strict: bool = True, share_inputs: bool = True, **_: Any) -> Any:
    """``subtensor.clone``. Nodes are immutable, so that a copy is the node itself.

    share_inputs: False to put copies in the place of inputs and of shared variables, these with a copy of their value.
    """
    if share_inputs:
        return st.clone(output, replace)
    nodes = list(output) if isinstance(output, list | tuple) else [output]
    given = dict(replace.items() if isinstance(replace, Mapping) else replace or ())
    for leaf in leaves(nodes):
        if not isinstance(leaf, Constant) and leaf not in given:
            given[leaf] = copied(leaf)
    return st.clone(output, given)


def copied(leaf: Variable) -> Variable:
    """Another leaf of the type, name and value of one."""
    if isinstance(leaf, st.SharedVariable):
        return st.shared(leaf.get_value(), leaf.name, shape=leaf.type.shape)
    return st.Input(leaf.type, name=leaf.name)


class OrderedUpdates(OrderedDict[Any, Any]):
    """Updates in the order in which they were entered; ``+`` joins two."""

    def __add__(self, other: Any) -> OrderedUpdates:
        joined = OrderedUpdates(self)
        joined.update(other)
        return joined


class Print:
    """``Print(message)(x)`` is x: nothing is printed while a function runs; look with ``fn.explain()`` or outputs."""

    def __init__(self, message: str = "", attrs: Sequence[str] = ("__str__",), **_: Any) -> None:
        self.message, self.attrs = message, attrs

    def __call__(self, x: Any) -> Variable:
        return st.as_tensor(x)


def pp(node: Any, *_: Any, **__: Any) -> str:
    """An expression on one line."""
    return st.as_tensor(node).label


def graph_inputs(variables: Iterable[Variable], blockers: Any = None) -> list[Variable]:
    """The leaves that some nodes depend on, constants included, in order of first use."""
    return leaves(list(variables))


def ancestors(variables: Iterable[Variable], blockers: Any = None) -> list[Variable]:
    """Some nodes and all that they depend on."""
    return toposort(list(variables))


def equal_computations(
    xs: Sequence[Any], ys: Sequence[Any], in_xs: Sequence[Any] = (), in_ys: Sequence[Any] = ()
) -> bool:
    """Whether two lists of nodes compute the same, with `in_ys` in the place of `in_xs`."""
    if len(xs) != len(ys) or len(in_xs) != len(in_ys):
        return False
    left = [st.as_tensor(x) for x in xs]
    if in_xs:
        left = st.clone_replace(left, list(zip(in_xs, in_ys, strict=True)))
    return all(a is st.as_tensor(b) for a, b in zip(left, ys, strict=True))


def is_same_graph(a: Any, b: Any, givens: Any = None) -> bool:
    """Whether two nodes compute the same; what does is one node, here."""
    if givens:
        a, b = st.clone_replace([a, b], dict(givens))
    return a is b


def numeric_grad(f: Any, pt: Any, eps: float = 1e-6) -> Any:
    """The gradient of a function of arrays, by central differences."""
    point = np.array(pt, dtype="float64")
    gradient = np.zeros_like(point)
    for place in np.ndindex(point.shape):
        step = np.zeros_like(point)
        step[place] = eps
        gradient[place] = (f(point + step) - f(point - step)) / (2 * eps)
    return SimpleNamespace(gf=gradient)


def asarray(a: Any, dtype: Any = None, order: Any = None) -> Any:
    """``numpy.asarray``."""
    return np.asarray(a, dtype=config.floatX if dtype == "floatX" else dtype, order=order)


def upcast(*dtypes: str) -> str:
    """The dtype that holds all of some."""
    return result_dtype(*dtypes)


def ifelse(condition: Any, then_branch: Any, else_branch: Any, name: str | None = None) -> Any:
    """Either of two nodes, or of two lists of nodes, by a scalar. Both are computed."""
    if isinstance(then_branch, list | tuple):
        return [ifelse(condition, a, b) for a, b in zip(then_branch, else_branch, strict=True)]
    return FUNCTIONS["where"](condition, then_branch, else_branch)


def scalar_constant_value(node: Any, **_: Any) -> Any:
    """The value of a scalar that is known while the graph is built; raises NotScalarConstantError for another."""
    known = st.as_tensor(node).known
    if known is None or known.ndim:
        raise NotScalarConstantError(f"get_scalar_constant_value: {st.as_tensor(node).label} is not known")
    return known


class NotScalarConstantError(DTypeError):
    """A node that is no constant scalar."""


def getitem(x: Any, key: Any) -> Variable:
    """``x[key]``, where a list of slices is a tuple of them, as in the NumPy of old."""
    if isinstance(key, list) and any(part is None or part is ... or isinstance(part, slice) for part in key):
        key = tuple(key)
    found: Variable = _getitem(x, key)
    return found


_getitem = FUNCTIONS["getitem"]

TENSOR: dict[str, Any] = {
    "NotScalarConstantError": NotScalarConstantError,
    "TensorType": TensorType,
    "floatX": config.floatX,
    "get_scalar_constant_value": scalar_constant_value,
    "psi": st.digamma,
    "scalar_from_tensor": st.as_tensor,
    "stack": stack,
    "tensor_from_scalar": st.as_tensor,
}
NNET = {"ultra_fast_sigmoid": T.nnet.sigmoid}
