"""A body's expressions for all iterations at once: what is made of elements alone, with a first axis more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from subtensor.graph.indexing import FULL, At, Index
from subtensor.graph.nodes import OPS, Constant, Variable, call
from subtensor.ops.loop import Call
from subtensor.ops.shape import length, reshape
from subtensor.ops.subtensor import get_op
from subtensor.rewrites.axes import renumbered
from subtensor.rewrites.shapes import is_elementwise

PRODUCT, READ = "product", "read"


class Lift:
    """The expressions of one loop's body, for all iterations.

    products, reads: whether products by what does not change, and reads of it at elements, are among them.
    """

    def __init__(self, run: Call, *, products: bool, reads: bool) -> None:
        self.run = run
        self.allowed = {PRODUCT: products, READ: reads}
        self.found: dict[Variable, tuple[Variable, bool] | None] = {}
        self.gains: dict[Variable, bool] = {}
        elements = set(run.loop.sequences)
        for place, value in run.values.items():
            self.found[place] = None if place in run.loop.states else (value, place in elements)

    def of(self, node: Variable) -> tuple[Variable, bool] | None:
        """The outer expression, and whether it has the first axis; None where there is none."""
        if node in self.found:
            return self.found[node]
        if isinstance(node, Constant):
            return node, False
        parts = [self.of(i) for i in node.inputs]
        self.found[node] = None if None in parts else self._made(node, [p for p in parts if p is not None])
        self.gains[node] = any(self.gains.get(i, False) for i in node.inputs) or self._kind(node) is not None
        return self.found[node]

    def is_lifted(self, node: Variable) -> bool:
        found = self.of(node)
        return found is not None and found[1]

    def _kind(self, node: Variable) -> str | None:
        """Whether a node is a product by, or a read of, what does not change."""
        if node.op is None or len(node.inputs) < 2:
            return None
        first, second = (self.found.get(i, (i, False)) for i in node.inputs[:2])
        if first is None or second is None:
            return None
        if node.op.name == "matmul" and node.ndim == 2 and first[1] != second[1]:
            return PRODUCT
        if node.op is get_op and node.params["index"].selects_rows and not first[1] and second[1]:
            return READ
        return None

    def _made(self, node: Variable, parts: list[tuple[Variable, bool]]) -> tuple[Variable, bool] | None:
        assert node.op is not None
        inputs = [v for v, _ in parts]
        if not any(lifted for _, lifted in parts):
            return node.op(*inputs, **node.params), False
        kind = self._kind(node)
        if kind is not None:
            if not self.allowed[kind]:
                return None
            return (get_op(*inputs, index=node.params["index"]) if kind == READ else product(parts)), True
        if is_elementwise(node):
            return node.op(*(_aligned(v, lifted, node.ndim) for v, lifted in parts), **node.params), True
        form = _FORMS.get(node.op.name)
        if form is None or any(lifted for _, lifted in parts[1:]) or not parts[0][1]:
            return None
        made = form(node, inputs, self.run.steps)
        return None if made is None else (made, True)


def _aligned(x: Variable, lifted: bool, ndim: int) -> Variable:
    """An operand with the axes of an elementwise result, behind the first one."""
    missing = ndim - (x.ndim - 1)
    return call("expand_dims", x, tuple(range(1, 1 + missing))) if lifted and missing else x


def product(parts: list[tuple[Variable, bool]]) -> Variable:
    """``x_t @ W``, or ``W @ x_t``, for all t, as one product of matrices."""
    (a, is_rows), (b, _) = parts
    if not is_rows:
        return call(
            "transpose", product([(call("transpose", b, (0, 2, 1)), True), (call("transpose", a), False)]), (0, 2, 1)
        )
    steps, rows, inner = (length(a, axis) for axis in range(3))
    flat = OPS["matmul"](reshape(a, [call("multiply", steps, rows), inner]), b)
    return reshape(flat, [steps, rows, length(b, 1)])


def _moved_axes(node: Variable, inputs: list[Variable], steps: Variable) -> Variable:
    assert node.op is not None
    return node.op(inputs[0], axes=tuple(a + 1 for a in node.params["axes"]))


def _turned(node: Variable, inputs: list[Variable], steps: Variable) -> Variable:
    return call("transpose", inputs[0], (0, *(a + 1 for a in node.params["axes"])))


def _shaped(node: Variable, inputs: list[Variable], steps: Variable) -> Variable | None:
    x, *dims = inputs
    if any(d.known is not None and int(d.known) < 0 for d in dims):
        return None
    return OPS["reshape"](x, steps, *dims)


def _stretched(node: Variable, inputs: list[Variable], steps: Variable) -> Variable:
    x, *dims = inputs
    return OPS["broadcast_to"](_aligned(x, True, len(dims)), steps, *dims)


def _read(node: Variable, inputs: list[Variable], steps: Variable) -> Variable | None:
    """``x_t[i]`` for an i that does not change."""
    index: Index = node.params["index"]
    if len(index.arrays) > 1:
        return None
    new, used = renumbered([FULL, *index.parts], inputs[1:])
    read = get_op(inputs[0], *used, index=new)
    return read if not any(isinstance(p, At) for p in index.parts) or read.ndim == node.ndim + 1 else None


_FORMS: Final[dict[str, Callable[[Variable, list[Variable], Variable], Variable | None]]] = {
    "expand_dims": _moved_axes,
    "squeeze": _moved_axes,
    "transpose": _turned,
    "reshape": _shaped,
    "broadcast_to": _stretched,
    "subtensor": _read,
}
