"""Nothing recurses over a graph: each public function, applied to its own result again and again, with little stack."""

import contextlib
import sys

import numpy as np
import pytest
from catalogue import ALL_FUNCTIONS, BY_NAME
from opcases import arrays, flat_results

import subtensor as st
from subtensor.graph.nodes import Input, Variable, toposort
from subtensor.graph.types import TensorType

pytestmark = pytest.mark.once

DEPTH, STACK = 150, 100


@contextlib.contextmanager
def little_stack(frames=STACK):
    depth, frame = 0, sys._getframe()
    while frame is not None:
        depth, frame = depth + 1, frame.f_back
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(depth + frames)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def fitted(y, like):
    """y with the rank and the dtype of `like`."""
    while y.ndim > like.ndim:
        y = y[0]
    if y.ndim < like.ndim:
        y = st.expand_dims(y, tuple(range(like.ndim - y.ndim)))
    return y.astype(like.dtype)


def nested(case, depth, *, static):
    """The inputs, and the case's function applied `depth` times to its own result, as its first array."""
    inputs = []

    def make(a):
        shape = a.shape if static or case.fixed else (None,) * a.ndim
        inputs.append(Input(TensorType(a.dtype.name, shape), name=f"x{len(inputs)}"))
        return inputs[-1]

    def symbolic(value, first):
        if isinstance(value, np.ndarray):
            return next(first)
        return type(value)(symbolic(v, first) for v in value) if isinstance(value, list | tuple) else value

    nodes = [make(a) for a in arrays(list(case.args))]
    y = nodes[0]
    for _ in range(depth):
        given = iter([fitted(y, nodes[0]), *nodes[1:]])
        try:
            result = flat_results(case.call(*symbolic(case.args, given)))
        except st.SubtensorError:  # the result does not fit the argument, whatever is done to it
            break
        if not isinstance(result[0], Variable):
            return None
        y = result[0]
    return inputs, y


def covering():
    """A case for each op: the first public function whose graph has it."""
    found = {}
    for name in sorted(ALL_FUNCTIONS):
        case = next((c for c in BY_NAME.get(name, ()) if arrays(list(c.args))), None)
        nodes = nested(case, 2, static=False) if case is not None else None
        if nodes is not None:
            for node in toposort([nodes[1]]):
                if node.op is not None:
                    found.setdefault(node.op.name, case)
    return sorted({str(case): case for case in found.values()}.items())


def looked_at(inputs, y):
    """All that is asked of a graph before it runs."""
    assert len(repr(y) + y.label) < 2000
    dims = [y.shape[a] for a in range(y.ndim)]
    cost = st.mean(y) if y.dtype.startswith("float") else y.astype("float64").mean()
    floats = [x for x in inputs if x.dtype.startswith("float")]
    gradients = st.grad(cost, floats, disconnected_inputs="ignore") if floats else []
    f = st.function(inputs, [y, *dims, *gradients], on_unused_input="ignore", backend="numpy")
    assert f.explain()


@pytest.mark.numpy_only("graphs are built without a backend")
@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in covering()])
def test_no_op_makes_anything_recurse(case):
    for static in (False, True):
        with contextlib.suppress(st.errors.SubtensorError):  # lengths that grow beyond all bounds
            looked_at(*nested(case, 2, static=static))  # imports and caches
            with little_stack():
                looked_at(*nested(case, DEPTH, static=static))
