"""What only old programs ask for: spellings that Theano had, and objects that say how it computes."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

import subtensor as st
import subtensor.tensor as T
from subtensor.errors import DTypeError
from subtensor.graph.config import config
from subtensor.graph.nodes import Constant, Variable, leaves
from subtensor.graph.operators import FUNCTIONS
from subtensor.graph.types import result_dtype
from subtensor.program.arguments import Parameter

VERSION = "1.0.5"
"""The Theano whose names are answered to."""

version = SimpleNamespace(version=VERSION, full_version=VERSION)


def no(*_: Any) -> bool:
    """Whether there is a GPU of Theano's."""
    return False


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

    def __new__(cls, dtype: Any, shape: Any = None, name: Any = None, *, broadcastable: Any = None) -> Any:  # noqa: ARG004  # accepted
        if (shape is None) == (broadcastable is None):
            raise DTypeError("TensorType: expected a dtype, and either broadcastable or shape")
        return st.TensorType(dtype, tuple(broadcastable if shape is None else shape))


def shared(value: Any, name: str | None = None, *args: Any, shape: Any = None, **options: Any) -> st.SharedVariable:
    """``subtensor.shared`` with Theano's order of arguments; updates and ``set_value`` may change the shape.

    args: Theano's `strict` and `allow_downcast`, without effect.
    """
    options = {k: v for k, v in options.items() if k != "target"}
    ones = options.get("broadcastable")
    if shape is None and not isinstance(value, Variable):
        shape = [1 if one else None for one in ones or (False,) * np.ndim(value)]
    return st.shared(value, name, shape=shape, **options)


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

    share_inputs: False to put twins in the place of inputs and of shared variables (``Twin``).
    """
    if share_inputs:
        return st.clone(output, replace)
    nodes = list(output) if isinstance(output, list | tuple) else [output]
    given = dict(replace.items() if isinstance(replace, Mapping) else replace or ())
    for leaf in leaves(nodes):
        if not isinstance(leaf, Constant) and leaf not in given:
            given[leaf] = Twin(leaf) if isinstance(leaf, st.SharedVariable) else st.Input(leaf.type, name=leaf.name)
    return st.clone(output, given)


class Twin(st.SharedVariable):
    """Another node for the value of a shared variable, with a default update of its own.

    Programs read such a node where they want the variable updated by some functions and not by others.
    """

    __slots__ = ("original",)

    original: st.SharedVariable

    def __init__(self, original: st.SharedVariable) -> None:
        super().__init__(original.type, original.cell, original.name)
        object.__setattr__(self, "original", original)


def function(
    inputs: Any = (),
    outputs: Any = None,
    mode: Any = None,
    updates: Any = (),
    givens: Any = (),
    no_default_updates: Any = False,
    accept_inplace: bool = False,
    name: str | None = None,
    rebuild_strict: bool = True,
    allow_input_downcast: bool | None = None,
    profile: Any = None,
    on_unused_input: Any = None,
    trust_input: bool = False,
    **options: Any,
) -> st.Function:
    """``subtensor.function``, with Theano's order of arguments, in which twins stand for their originals.

    A new value that is a wider float than its variable is rounded: an old program's dtypes are those of its own
    library, of whose rules some differ. accept_inplace, rebuild_strict, profile, trust_input: without effect.
    """
    changes = list(updates.items() if isinstance(updates, Mapping) else updates or ())
    instead = list(givens.items() if isinstance(givens, Mapping) else givens or ())
    shown = outputs if isinstance(outputs, list | tuple) else [] if outputs is None else [outputs]
    read = [n for n in (*shown, *(e for pair in (*changes, *instead) for e in pair)) if isinstance(n, Variable)]
    options |= {"mode": mode, "no_default_updates": no_default_updates, "name": name}
    options |= {"allow_input_downcast": allow_input_downcast}
    if on_unused_input is not None:
        options["on_unused_input"] = on_unused_input
    twins = [v for v in leaves(read) if isinstance(v, Twin)]
    if twins:
        if no_default_updates is False:
            taken = {variable for variable, _ in changes}
            changes += [(t, t.default_update) for t in twins if t.default_update is not None and t not in taken]
        originals: dict[Variable, Variable] = {t: t.original for t in twins}
        changes = [(originals.get(v, v), st.clone_replace(st.as_tensor(e), originals)) for v, e in changes]
        instead = [(a, st.clone_replace(st.as_tensor(b), originals)) for a, b in instead]
        if outputs is not None:
            outputs = _over(outputs, originals)
    changes = [(v, _rounded(v, e)) for v, e in changes]
    return st.function(inputs, outputs, updates=changes, givens=instead, **options)


def _rounded(variable: Any, value: Any) -> Any:
    """A new value in the dtype of its variable, where both are floats."""
    if isinstance(value, Variable) and isinstance(variable, Variable) and value.dtype != variable.dtype:
        return (
            value.astype(variable.dtype)
            if np.dtype(value.dtype).kind == np.dtype(variable.dtype).kind == "f"
            else value
        )
    return value


def _over(outputs: Any, originals: Mapping[Variable, Variable]) -> Any:
    """Outputs of any form over other leaves."""
    if isinstance(outputs, list | tuple):
        return type(outputs)(_over(o, originals) for o in outputs)
    return st.clone_replace(outputs, originals) if isinstance(outputs, Variable) else outputs


class OrderedUpdates(OrderedDict[Any, Any]):
    """Updates in the order in which they were entered; ``+`` joins two."""

    def __add__(self, other: Any) -> OrderedUpdates:
        joined = OrderedUpdates(self)
        joined.update(other)
        return joined


def pp(node: Any, *_: Any, **__: Any) -> str:
    """An expression on one line."""
    return st.as_tensor(node).label


def graph_inputs(variables: Iterable[Variable], blockers: Any = None) -> list[Variable]:
    """The leaves that some nodes depend on, constants included, in Theano's order: see ``ancestors``."""
    return [v for v in ancestors(variables, blockers) if v.op is None]


def ancestors(variables: Iterable[Variable], blockers: Any = None) -> list[Variable]:
    """Some nodes and all that they depend on, each before its inputs, beginning with the last of `variables`.

    blockers: nodes that are listed, and whose inputs are not looked at.
    """
    open_ = list(variables)
    found: dict[Variable, None] = {}
    while open_:
        node = open_.pop()
        if node not in found:
            found[node] = None
            if not blockers or node not in blockers:
                open_.extend(reversed(node.inputs))
    return list(found)


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


def scalar_constant_value(node: Any, **_: Any) -> Any:
    """The value of a scalar that is known while the graph is built; raises NotScalarConstantError for another."""
    known = st.as_tensor(node).known
    if known is None or known.ndim:
        raise NotScalarConstantError(f"get_scalar_constant_value: {st.as_tensor(node).label} is not known")
    return known


class NotScalarConstantError(DTypeError):
    """A node that is no constant scalar."""


def getitem(x: Any, key: Any) -> Variable:
    """``x[key]``, where a list of slices is a tuple of them, as in the NumPy of old.

    In Theano a new axis took the place of those of length 1 that an index does not name: a column ``x[:, None]`` is a
    column.
    """
    if isinstance(key, list) and any(part is None or part is ... or isinstance(part, slice) for part in key):
        key = tuple(key)
    if isinstance(key, tuple) and "theano" in sys.modules and any(part is None for part in key):
        named = sum(part is not None for part in key)
        simple = all(part is None or isinstance(part, int | slice) for part in key)
        if simple and named < x.ndim and set(x.type.shape[named:]) == {1}:
            x = x.dimshuffle(*range(named))
    found: Variable = _getitem(x, key)
    return found


_getitem = FUNCTIONS["getitem"]


def truth(node: Variable) -> bool:
    """``if node:`` asks whether there is one; of a comparison, in ``a < b < c`` say, it is an error."""
    return _truth(node) if node.dtype == "bool" and node.op is not None else True


_truth: Any = Variable.__bool__


def convert(parameter: Parameter, value: Any) -> Any:
    """The value of an argument; bools go into integers, as 0 and 1."""
    if isinstance(value, np.ndarray) and value.dtype == bool and parameter.dtype.kind in "ui":
        value = value.astype(parameter.dtype)
    return _convert(parameter, value)


_convert = Parameter.convert


def spell_as_of_old() -> None:
    """Let a list of slices be an index, any node that is no comparison true, and bools be integers, from now on."""
    FUNCTIONS["getitem"] = getitem
    Parameter.convert = convert  # type: ignore[method-assign, assignment]
    Variable.__bool__ = truth  # type: ignore[method-assign, assignment]  # for a process that runs an old program


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


def relu(x: Any, alpha: Any = 0) -> Any:
    """``nnet.relu``; arrays stay arrays."""
    if isinstance(x, np.ndarray):
        return np.where(x > 0, x, alpha * x)
    return T.nnet.relu(x, alpha)


def softmax(c: Any, *axis: Any, **options: Any) -> Variable:
    """``nnet.softmax``; of a vector, a matrix of one row."""
    return _of_rows(T.nnet.softmax, c, *axis, **options)


def logsoftmax(c: Any, *axis: Any, **options: Any) -> Variable:
    """``nnet.logsoftmax``; of a vector, a matrix of one row."""
    return _of_rows(T.nnet.logsoftmax, c, *axis, **options)


def _of_rows(function: Any, c: Any, *axis: Any, **options: Any) -> Variable:
    x = st.as_tensor(c)
    made: Variable = function(x[None] if x.ndim == 1 and not axis and not options else x, *axis, **options)
    return made


NNET = {"relu": relu, "ultra_fast_sigmoid": T.nnet.sigmoid}
NNET_OF_THEANO = {**NNET, "logsoftmax": logsoftmax, "softmax": softmax}
