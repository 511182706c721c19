"""Who uses the nodes of a graph: what rules that are `counted` may ask."""

from __future__ import annotations

from collections.abc import Sequence

from subtensor.graph.nodes import OPS, Variable, toposort
from subtensor.graph.shared import SharedVariable
from subtensor.ops.subtensor import get_op, is_write


class Uses:
    """How often, and by what, nodes of a graph are used: ``uses(node)`` is the number.

    outputs: the roots. targets: for each the shared variable whose new value it is, or None.
    """

    def __init__(self, outputs: Sequence[Variable], targets: Sequence[SharedVariable | None]) -> None:
        self._count: dict[Variable, int] = {}
        self._users: dict[Variable, list[Variable]] = {}
        self._written: dict[Variable, Variable] = {}
        self._roots: dict[Variable, list[SharedVariable | None]] = {}
        for node in toposort(outputs):
            for i in node.inputs:
                self._count[i] = self._count.get(i, 0) + 1
                self._users.setdefault(i, []).append(node)
        for o, target in zip(outputs, targets, strict=True):
            self._count[o] = self._count.get(o, 0) + 1
            self._roots.setdefault(o, []).append(target)

    def __call__(self, node: Variable) -> int:
        """How often a node is used; once where it is not known."""
        return self._count.get(node, 1)

    def became(self, node: Variable, made: Variable) -> None:
        """Note that `made` stands for `node`."""
        self._count[made] = max(self._count.get(made, 0), self._count.get(node, 1))
        self._written.setdefault(made, self._written.get(node, node))

    def only_in_part(self, write: Variable) -> bool:
        """Whether nobody needs all of what a chain of writes gives: it is read at positions, or written into further,
        or it is the new value of the variable that it writes into, which is then written in place.
        """
        base = write
        while is_write(base):
            base = base.inputs[0]
        stack = [self._written.get(write, write)]
        while stack:
            node = stack.pop()
            if any(target is not base for target in self._roots.get(node, ())):
                return False
            for user in self._users.get(node, ()):
                if user.inputs[0] is not node or node in user.inputs[1:]:
                    return False
                if is_write(user):
                    stack.append(user)
                elif user.op is not get_op:
                    return False
        return True

    def only_for_lengths(self, node: Variable) -> bool:
        """Whether nobody needs more of a node than its lengths."""
        written = self._written.get(node, node)
        users = self._users.get(written, ())
        return bool(users) and written not in self._roots and all(u.op is _length for u in users)


_length = OPS["length"]
