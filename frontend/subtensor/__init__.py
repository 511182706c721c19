"""A symbolic array frontend in which a subset of a tensor is a first-class thing to differentiate and update.

The graph defines what ``table[ids]``, ``inc_subtensor``, ``set_subtensor``, their gradients and updates mean; backends,
found through plugins, run it.
"""

from importlib import import_module as _import_module
from types import SimpleNamespace as _SimpleNamespace
from typing import TYPE_CHECKING
from typing import Any as _Any

from subtensor import errors, plugins
from subtensor.calculus.grad import grad
from subtensor.calculus.jacobians import hessian, jacobian
from subtensor.calculus.products import Lop, Rop, gauss_newton_vector_product, hessian_vector_product
from subtensor.doors import door as _door
from subtensor.errors import (
    ArgumentError,
    BackendNotFoundError,
    BoundsError,
    CallError,
    CheckpointError,
    DisconnectedInputError,
    DomainError,
    DTypeError,
    FunctionError,
    GradientError,
    GraphError,
    IndexingError,
    MissingInputError,
    NonFiniteError,
    NotASubsetError,
    OptimizerError,
    PluginError,
    ProcessError,
    SettingError,
    ShapeError,
    ShardingError,
    StoreError,
    SubtensorError,
    Unsupported,
    UnusedInputError,
    UpdateError,
    UpdateTypeError,
)
from subtensor.function import Function, assert_rows_only, function
from subtensor.gradcheck import verify_grad
from subtensor.graph.config import config
from subtensor.graph.constants import as_tensor, constant
from subtensor.graph.leaves import CONSTRUCTORS as _CONSTRUCTORS
from subtensor.graph.leaves import tensor
from subtensor.graph.nodes import OPS as _OPS
from subtensor.graph.nodes import Constant, Input, Op, Variable
from subtensor.graph.operators import FUNCTIONS as _FUNCTIONS
from subtensor.graph.shared import SharedVariable
from subtensor.graph.types import TensorType
from subtensor.ids import hash_ids, ragged
from subtensor.look.printing import dprint
from subtensor.look.whole import WholeTableWarning
from subtensor.plugins import backends
from subtensor.plugins.hooks import hookimpl
from subtensor.program.arguments import In
from subtensor.rewrites.engine import RULES as _RULES
from subtensor.starting import shared

plugins.reserve(ops=_OPS, rewrites=_RULES)  # what is built in cannot be taken by a plugin

constant = _door(constant)
as_tensor = as_tensor_variable = _door(as_tensor)
TensorVariable = Variable

function = _door(function)
assert_rows_only = _door(assert_rows_only)
hash_ids = _door(hash_ids)
ragged = _door(ragged)
shared = _door(shared)
tensor = _door(tensor)
verify_grad = _door(verify_grad)
dprint = _door(dprint)
Lop = _door(Lop)
Rop = _door(Rop)
grad = _door(grad)
jacobian = _door(jacobian)
hessian = _door(hessian)
hessian_vector_product = _door(hessian_vector_product)
gauss_newton_vector_product = _door(gauss_newton_vector_product)
globals().update({name: _door(f, name) for name, f in _CONSTRUCTORS.items()})
globals().update({name: _door(f, name) for name, f in _FUNCTIONS.items() if name not in ("eval", "getitem")})
scan_module = _SimpleNamespace(
    **{name: globals()[name] for name in ("foldl", "foldr", "map", "reduce", "scan", "until")}
)
"""Theano's ``theano.scan_module``."""

if TYPE_CHECKING:
    from subtensor import curvature, optimizers, random
    from subtensor.checkpoint import load, load_word2vec, save, save_word2vec
    from subtensor.random import MRG_RandomStreams, RandomStream, RandomStreams
    from subtensor.store import Store

__version__: str

_ON_USE = {
    **{name: name for name in ("curvature", "optimizers", "random")},
    **dict.fromkeys(("load", "load_word2vec", "save", "save_word2vec"), "checkpoint"),
    **dict.fromkeys(("MRG_RandomStreams", "RandomStream", "RandomStreams"), "random"),
    "Store": "store",
}
"""Names whose modules are imported when they are first asked for: most programs need none, or one, of them."""


def __getattr__(name: str) -> _Any:
    if name == "__version__":  # reading it takes longer than importing all of this
        globals()[name] = found = _import_module("importlib.metadata").version("subtensor")
        return found
    if name not in _ON_USE:
        raise AttributeError(f"module 'subtensor' has no attribute {name!r}")
    module = _import_module(f"subtensor.{_ON_USE[name]}")
    globals()[name] = value = module if name == _ON_USE[name] else getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})


__all__ = [  # noqa: PLE0604  # names made from tables are strings too
    "ArgumentError",
    "BackendNotFoundError",
    "BoundsError",
    "CallError",
    "CheckpointError",
    "Constant",
    "DTypeError",
    "DisconnectedInputError",
    "DomainError",
    "Function",
    "FunctionError",
    "GradientError",
    "GraphError",
    "In",
    "IndexingError",
    "Input",
    "Lop",
    "MRG_RandomStreams",
    "MissingInputError",
    "NonFiniteError",
    "NotASubsetError",
    "Op",
    "OptimizerError",
    "PluginError",
    "RandomStream",
    "RandomStreams",
    "Rop",
    "SettingError",
    "ShapeError",
    "SharedVariable",
    "Store",
    "ProcessError",
    "ShardingError",
    "StoreError",
    "SubtensorError",
    "TensorType",
    "TensorVariable",
    "Unsupported",
    "UnusedInputError",
    "UpdateError",
    "UpdateTypeError",
    "Variable",
    "WholeTableWarning",
    "as_tensor",
    "as_tensor_variable",
    "assert_rows_only",
    "backends",
    "config",
    "constant",
    "curvature",
    "dprint",
    "errors",
    "function",
    "gauss_newton_vector_product",
    "grad",
    "hash_ids",
    "hessian",
    "hessian_vector_product",
    "hookimpl",
    "jacobian",
    "load",
    "load_word2vec",
    "optimizers",
    "plugins",
    "ragged",
    "random",
    "save",
    "save_word2vec",
    "scan_module",
    "shared",
    "tensor",
    "verify_grad",
    *_CONSTRUCTORS,
    *(name for name in _FUNCTIONS if name not in ("eval", "getitem")),
]
