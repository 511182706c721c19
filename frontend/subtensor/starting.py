"""``shared`` as users call it: also for tables that start as an expression, which are made where they will live."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any
from typing import cast as cast_type

import numpy as np

from subtensor import plugins
from subtensor.errors import DTypeError, MissingInputError, SubtensorError
from subtensor.function import function
from subtensor.graph import shared as values
from subtensor.graph.cells import Cell, Home, is_in_place
from subtensor.graph.config import config
from subtensor.graph.nodes import Constant, Input, Variable, toposort
from subtensor.graph.roles import Axes, roles
from subtensor.graph.shared import SharedVariable, check_static_shape
from subtensor.graph.types import TensorType
from subtensor.ops.elementwise import cast
from subtensor.program.building import build
from subtensor.program.contract import Backend
from subtensor.rewrites.engine import Selection, rewrite


class FromExpression:
    """The start of a variable: the value of an expression, computed by the backend that will hold it."""

    def __init__(self, expression: Variable, shape: tuple[int, ...]) -> None:
        self.expression = expression
        self.shape = shape

    @property
    def is_zero(self) -> bool:
        """Whether it is known to be zeros, and not to be negative ones."""
        e = self.expression
        while e.op is not None and e.op.name == "broadcast_to":
            e = e.inputs[0]
        return isinstance(e, Constant) and not e.data.any() and not np.signbit(e.data.astype(float)).any()

    def make(self, home: Home | None, axes: Axes = None) -> Any:
        """An array of the backend, or of NumPy: the commit of a small step leaves it where the backend keeps values."""
        backend = cast_type("Backend", plugins.get_backend("numpy") if home is None else home)
        lowerings = plugins.lowerings(backend.name)
        (e,) = rewrite([self.expression], Selection.of(True, plugins.rewrites(backend.name)))
        open_type = TensorType(e.dtype, (None,) * e.ndim)
        room = SharedVariable(open_type, Cell(np.zeros((0,) * e.ndim, e.dtype), axes=axes), "start")
        program = build("start", [], [], [(room, e)], {*backend.operations, *lowerings}, backend.name)
        run = backend.compile(program, lowerings=lowerings)
        cells = tuple(s.cell for s in program.shared)
        for cell in cells:
            cell.move(backend)
        try:
            run((), cells)
        except SubtensorError:
            raise
        except Exception:
            function([], self.expression, backend=backend.name)()  # which words the error
            raise
        made = room.cell
        return made.data if home is not None or is_in_place(backend) else made.read()


def shared(
    value: Any,
    name: str | None = None,
    borrow: bool = False,
    shape: Sequence[int | None] | None = None,
    *,
    dtype: Any = None,
    strict: bool = False,  # accepted, without effect
    allow_downcast: bool | None = None,  # as above
    broadcastable: Sequence[bool] | None = None,
    axes: Sequence[str | None] | None = None,
) -> SharedVariable:
    """A variable with a value that lives between calls.

    value: anything ``numpy.asarray`` takes; copied unless `borrow`. Its shape is the variable's static shape; `shape`
    may leave lengths open with None, so that updates and ``set_value`` can change them. borrow: an array of NumPy is
    handed over: from now on it is the state, and steps write in it; one that lies in a file (``numpy.memmap``) or in
    shared memory stays there. The caller must not write to it, nor hand it over again.

    value may be an expression, such as ``st.zeros((n, d))``: the variable starts with its value, computed by the
    backend that first uses it, in the place where the variable lives. One that reads shared variables is computed now.

    dtype: converts the value; a Python float alone is ``config.floatX``. broadcastable: of each axis, whether its
    length is 1, which is checked. axes: for each axis its role or None, such as ``("rows", None)``: a backend with many
    devices divides the value along axes that have one (see ``docs/sharding.md``); others ignore it. strict and
    allow_downcast are accepted for programs written for the peers and have no effect.

    Raises DTypeError for values that are no numbers, and for arrays handed over that are read-only or not contiguous;
    ShapeError for values that do not fit, and for a role on an axis whose length is left open; ArgumentError for axes
    that are no roles; MissingInputError for expressions of inputs.
    """
    if isinstance(value, Variable):
        e = value if dtype is None else cast(value, dtype)
        made = started(e, name, shape, axes)
    else:
        made = values.shared(value, name, borrow, shape, dtype, axes)
    if broadcastable is not None:
        ones = [1 if b else None for b in broadcastable]
        check_static_shape(f"shared: {name or 'the variable'}, as broadcastable says,", made.cell.shape, ones)
    return made


def started(
    expression: Variable, name: str | None, shape: Sequence[int | None] | None = None, axes: Any = None
) -> SharedVariable:
    """A variable that starts as an expression. shape: its static shape; that of the expression where None. axes: as in
    ``shared``.
    """
    leaves = [v for v in toposort([expression]) if v.op is None]
    what = f"shared: {name or 'the variable'}"
    inputs = [v.label for v in leaves if isinstance(v, Input)]
    if isinstance(expression, Input):
        raise DTypeError(
            f"{what}: got the symbolic variable {expression!r}; expected a value, or an expression of values"
        )
    if inputs:
        raise MissingInputError(
            f"{what} starts as an expression of the input {', '.join(inputs)}; expected one that has a value now: of "
            "constants and of other shared variables"
        )
    reads = [v for v in leaves if isinstance(v, SharedVariable)]
    known = expression.type.shape
    lengths = tuple(n for n in known if n is not None)
    if len(lengths) == len(known) and not reads:
        cell = Cell(None, start=FromExpression(expression, lengths))
    else:
        cell = Cell(None)
        home = next((v.cell.home for v in reads if v.cell.home is not None), None)
        home = home or plugins.get_backend("numpy" if reads else config.backend)
        with ExitStack() as held:
            for read in sorted((v.cell for v in reads), key=lambda c: c.number):
                held.enter_context(read.lock)
            cell.put(FromExpression(expression, ()).make(home), home)
    static = cell.shape if shape is None else tuple(shape)
    check_static_shape(what, cell.shape, static)
    cell.axes = roles(what, axes, static, open_lengths=False)
    return SharedVariable(TensorType(expression.dtype, static), cell, name)
