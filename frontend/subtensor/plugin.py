"""What plugins import: all that a backend, an op, a rewrite or a lowering is written with.

Everything else of subtensor may move between versions; these names stay. `docs/writing-a-backend.md` explains them.
"""

from subtensor.errors import PluginError, Unsupported
from subtensor.graph.cells import Cell, commit, commit_kept
from subtensor.graph.cost import Cost
from subtensor.graph.indexing import At, Index, Ref, Slice
from subtensor.graph.nodes import (
    DISCONNECTED,
    OPS,
    UNWRITTEN,
    ZERO,
    Argument,
    Constant,
    Cotangent,
    Input,
    Length,
    Op,
    Variable,
    call,
    toposort,
)
from subtensor.graph.shared import SharedVariable
from subtensor.graph.types import INDEX, TensorType
from subtensor.ops.views import VIEWS
from subtensor.plugins.hooks import hookimpl
from subtensor.program.building import build
from subtensor.program.contract import (
    CAPABILITIES,
    NO_LOWERINGS,
    SPEC_VERSION,
    Array,
    Backend,
    Executable,
    Lowering,
    Timing,
)
from subtensor.program.linear import Commit, Instruction, Program, Write, copy_op, needs_dynamic_shapes
from subtensor.rewrites.engine import KEEPS, Rewrite

__all__ = [
    "CAPABILITIES",
    "DISCONNECTED",
    "INDEX",
    "KEEPS",
    "NO_LOWERINGS",
    "OPS",
    "SPEC_VERSION",
    "UNWRITTEN",
    "VIEWS",
    "ZERO",
    "Argument",
    "Array",
    "At",
    "Backend",
    "Cell",
    "Commit",
    "Constant",
    "Cost",
    "Cotangent",
    "Executable",
    "Index",
    "Input",
    "Instruction",
    "Length",
    "Lowering",
    "Op",
    "PluginError",
    "Program",
    "Ref",
    "Rewrite",
    "SharedVariable",
    "Slice",
    "TensorType",
    "Timing",
    "Unsupported",
    "Variable",
    "Write",
    "build",
    "call",
    "commit",
    "commit_kept",
    "copy_op",
    "hookimpl",
    "needs_dynamic_shapes",
    "toposort",
]
