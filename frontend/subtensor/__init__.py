"""A symbolic array frontend in which a subset of a tensor is a first-class thing to differentiate and update.

The graph defines what ``table[ids]``, ``inc_subtensor``, ``set_subtensor``, their gradients and updates mean; backends,
found through plugins, run it.
"""

from typing import Any as _Any

from subtensor import curvature, errors, optimizers, plugins
from subtensor.checkpoint import load, save
from subtensor.config import config
from subtensor.constants import as_tensor, constant
from subtensor.errors import (
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
    NotASubsetError,
    OptimizerError,
    PluginError,
    ShapeError,
    SubtensorError,
    Unsupported,
    UnusedInputError,
    UpdateError,
    UpdateTypeError,
)
from subtensor.function import Function, In, function
from subtensor.grad import (
    Lop,
    Rop,
    gauss_newton_vector_product,
    grad,
    hessian,
    hessian_vector_product,
    jacobian,
)
from subtensor.gradcheck import verify_grad
from subtensor.graph import Constant, Input, Op, Variable
from subtensor.hookspecs import hookimpl
from subtensor.leaves import CONSTRUCTORS as _CONSTRUCTORS
from subtensor.leaves import tensor
from subtensor.operators import FUNCTIONS as _FUNCTIONS
from subtensor.plugins import backends
from subtensor.printing import dprint
from subtensor.shared import SharedVariable, shared
from subtensor.types import TensorType

as_tensor_variable = as_tensor
TensorVariable = Variable

globals().update(_CONSTRUCTORS)
globals().update({name: f for name, f in _FUNCTIONS.items() if name not in ("eval", "getitem")})


def __getattr__(name: str) -> _Any:
    raise AttributeError(f"module 'subtensor' has no attribute {name!r}")


__all__ = [  # noqa: PLE0604  # names made from tables are strings too
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
    "MissingInputError",
    "NotASubsetError",
    "Op",
    "OptimizerError",
    "PluginError",
    "Rop",
    "ShapeError",
    "SharedVariable",
    "SubtensorError",
    "TensorType",
    "TensorVariable",
    "Unsupported",
    "UnusedInputError",
    "UpdateError",
    "UpdateTypeError",
    "Variable",
    "as_tensor",
    "as_tensor_variable",
    "backends",
    "config",
    "constant",
    "curvature",
    "dprint",
    "errors",
    "function",
    "gauss_newton_vector_product",
    "grad",
    "hessian",
    "hessian_vector_product",
    "hookimpl",
    "jacobian",
    "load",
    "optimizers",
    "plugins",
    "save",
    "shared",
    "tensor",
    "verify_grad",
    *_CONSTRUCTORS,
    *(name for name in _FUNCTIONS if name not in ("eval", "getitem")),
]
