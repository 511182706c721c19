"""Where the length of an axis can be read off: ops say it step by step (``Op.dims``), and here the steps are followed.

What is found is noted at the nodes on the way, so that a length is looked for once, however often and from wherever it
is asked for; and nothing recurses deeper than a few steps, however deep a graph is.
"""

from __future__ import annotations

import threading
from typing import Any, TypeAlias

from subtensor.graph.nodes import Variable

Root: TypeAlias = "int | Variable | tuple[Variable, int]"
"""What decides a length: a number, a 0-d node that computes it, or an axis of a node that is asked when it is there."""


def root(x: Variable, axis: int) -> Root:
    """What decides the length of an axis, ``0 <= axis < x.ndim``. Equal roots are equal lengths."""
    known = _noted(x, axis)
    if known is not None:
        return known
    if _asking.depth >= _DEEPEST:
        raise _DeeperError(x, axis)
    _asking.depth += 1
    try:
        return _found(x, axis)
    except _DeeperError as deeper:
        if _asking.depth > 1:
            raise
        waiting = [(x, axis), deeper.place]
    finally:
        _asking.depth -= 1
    while waiting:  # the last one first: it lies deepest
        _asking.depth = 1
        try:
            _found(*waiting[-1])
            waiting.pop()
        except _DeeperError as deeper:
            waiting.append(deeper.place)
        finally:
            _asking.depth = 0
    return _found(x, axis)


_DEEPEST = 6
"""How many lengths may ask for one another before the last one is found first, by itself."""


class _Asking(threading.local):
    """How many lengths are being asked for, each by the one before."""

    depth = 0


_asking = _Asking()


class _DeeperError(BaseException):
    """A length is asked for so deep inside others that Python's stack might end: `place` has to be found first."""

    def __init__(self, node: Variable, axis: int) -> None:
        self.place = node, axis


_ITSELF: Any = object()
"""Notes that an axis is its own root; a node that held itself would never be freed."""


def _noted(x: Variable, axis: int) -> Root | None:
    dim = x.type.shape[axis]
    if dim is not None:
        return dim
    if x.op is None or x.op.dims is None:
        return x, axis
    noted: Root | None = x.roots[axis] if x.roots else None
    return (x, axis) if noted is _ITSELF else noted


def _found(x: Variable, axis: int) -> Root:
    path: list[tuple[Variable, int]] = []
    while (result := _noted(x, axis)) is None:
        assert x.op is not None
        assert x.op.dims is not None
        path.append((x, axis))
        found = x.op.dims(axis, *x.inputs, **x.params)
        if isinstance(found, Variable):
            result = _of_node(found)
            break
        if found is None:
            result = x, axis
            break
        x, axis = found
    for node, at in path:
        noted = _ITSELF if result == (node, at) else result
        before = node.roots or (None,) * node.ndim
        node.roots = (*before[:at], noted, *before[at + 1 :])
    return result


def _of_node(length: Variable) -> Root:
    """The root of a length that is given as a node."""
    if length.known is not None:
        return int(length.known)
    if length.op is not None and length.op.name == "length":
        return length.inputs[0], length.params["axis"]
    return length
