"""Tables of float16 and bfloat16: their rows are read as float32, trained so, and rounded when they are written.

A gradient with respect to rows of 16 bits would be rounded to 16 bits for each occurrence. So expressions are written
anew over the rows as float32, from the indexing to where they are cast, and differentiated with respect to those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from subtensor.calculus.grad import grad
from subtensor.graph.nodes import Variable, rebuild, toposort
from subtensor.graph.types import HALVES
from subtensor.ops.elementwise import cast
from subtensor.ops.subtensor import get_op

_CARRYING = ("reshape", "transpose", "expand_dims", "squeeze", "broadcast_to")


def widened(expressions: Sequence[Variable], nodes: Sequence[Variable]) -> tuple[list[Variable], list[Variable]]:
    """`expressions` over the `nodes` of 16 bits as float32, and these nodes so: others as they are."""
    wide: dict[Variable, Variable] = {n: cast(n, "float32") for n in nodes if n.dtype in HALVES}
    ends = [wide.get(n, n) for n in nodes]
    if not wide:
        return list(expressions), ends
    new: dict[Variable, Variable] = {}
    for node in toposort(expressions, stop=wide.__contains__):
        if node.op is None or node in wide or not any(i in wide or i in new for i in node.inputs):
            continue
        x = node.inputs[0]
        rest = [_narrow(i, wide, new) for i in node.inputs[1:]]
        if x in wide and node.op.name == "cast":
            new[node] = cast(wide[x], node.dtype)
        elif x in wide and (node.op.name in _CARRYING or node.op is get_op):
            wide[node] = rebuild(node, [wide[x], *rest])
        else:
            new[node] = rebuild(node, [_narrow(x, wide, new), *rest])
    return [_narrow(e, wide, new) for e in expressions], ends


def _narrow(node: Variable, wide: Mapping[Variable, Variable], new: Mapping[Variable, Variable]) -> Variable:
    return cast(wide[node], node.dtype) if node in wide else new.get(node, node)


def carried_back(param: Variable, node: Variable, g: Variable) -> Variable:
    """The gradient with respect to `node`, an indexing of 16 bits, as float32. g: that with respect to `param`."""
    chain = []
    at = param
    while at is not node:
        chain.append(at)
        at = at.inputs[0]
    start = made = cast(node, "float32")
    for n in reversed(chain):
        if n.op is not None and n.op.name == "cast":
            made = made if n.dtype in HALVES else cast(made, n.dtype)
        else:
            made = rebuild(n, [made, *n.inputs[1:]])
    if made is start:
        return cast(g, "float32")
    found: Variable = grad(None, start, known_grads={made: cast(g, made.dtype)}, add_names=False)
    return found
