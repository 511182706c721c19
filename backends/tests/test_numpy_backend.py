"""The emitted function: buffers, memory, warnings, and agreement with one instruction at a time."""

import re
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st_

import subtensor as st
from subtensor.plugins import get_backend
from subtensor.program.building import build

UNARY = [
    st.exp,
    st.tanh,
    st.neg,
    st.sqr,
    lambda x: x.T.T,
    lambda x: x[::-1],
    lambda x: x + 1,
    lambda x: x.reshape((-1,)),
]
BINARY = [st.add, st.multiply, st.subtract, st.maximum, lambda x, y: x + y[:1], lambda x, y: x[1:2] * y]


def stepwise(program, inputs):
    """The program's outputs, computed without reusing any buffer."""
    backend = get_backend("numpy")
    slots = [*(np.array(i) for i in inputs), *(c.data for c in program.constants)]
    for instruction in program.instructions:
        slots.append(np.array(backend.evaluate(instruction, [slots[a] for a in instruction.args])))
    return [slots[o] for o in program.outputs]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st_.data())
def test_reused_buffers_change_no_result(data):
    """Random programs over two inputs of equal shape, every node of which may be an output too."""
    x, y = st.dmatrices("xy")
    flat = []
    nodes = [x, y]
    for _ in range(data.draw(st_.integers(1, 12))):
        if data.draw(st_.booleans()):
            node = data.draw(st_.sampled_from(UNARY))(data.draw(st_.sampled_from(nodes)))
        else:
            f = data.draw(st_.sampled_from(BINARY))
            node = f(data.draw(st_.sampled_from(nodes)), data.draw(st_.sampled_from(nodes)))
        (nodes if node.ndim == 2 else flat).append(node)
    outputs = [*data.draw(st_.lists(st_.sampled_from(nodes + flat), min_size=1, max_size=3)), nodes[-1]]
    f = st.function([x, y], outputs, on_unused_input="ignore", rewrites=False, backend="numpy")
    rng = np.random.default_rng(0)
    values = [rng.standard_normal((3, 3)) for _ in "xy"]
    before = [v.copy() for v in values]
    results = f(*values)
    for got, expected in zip(results, stepwise(f.program, before), strict=True):
        np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(values, before)
    for got in results:  # the caller owns what it gets
        got[...] = np.nan
    for got, expected in zip(f(*values), stepwise(f.program, before), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_a_chain_of_elementwise_ops_takes_one_buffer():
    x = st.dvector("x")
    y = x
    for _ in range(20):
        y = st.tanh(y)
    f = st.function([x], y, backend="numpy")
    value = np.ones(100_000)
    f(value)
    tracemalloc.start()
    f(value)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * value.nbytes


SPELLINGS = {
    "inc": lambda t, s, g, ids: st.inc_subtensor(s, -0.1 * g),
    "set": lambda t, s, g, ids: st.set_subtensor(s, s - 0.1 * g),
    "method": lambda t, s, g, ids: t[ids].inc(-0.1 * g),
    "slice": lambda t, s, g, ids: st.inc_subtensor(t[10:20], 1.0),
    "chain": lambda t, s, g, ids: st.set_subtensor(st.inc_subtensor(s, -0.1 * g)[0], 0.0),
    "reshaped": lambda t, s, g, ids: t[ids].reshape((-1, 2, 32)).inc(1.0),
    "take": lambda t, s, g, ids: st.inc_subtensor(t.take(ids, axis=0), -0.1 * g),
    "mask": lambda t, s, g, ids: t[st.arange(10) * 3].set(0.0),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_row_update_allocates_nothing_of_the_tables_size(spelling):
    table = st.shared(np.ones((100_000, 64), np.float32), name="table")
    ids = st.lvector("ids")
    rows = table[ids]
    cost = st.sqr(rows - 3).sum()
    new = SPELLINGS[spelling](table, rows, st.grad(cost, rows), ids)
    step = st.function([ids], cost, updates=[(table, new)], backend="numpy")
    step([1, 2, 2])
    buffer = table.get_value(borrow=True).ctypes.data
    tracemalloc.start()
    step([5, 6, 6])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000, "of the table's 25 MB"
    assert table.get_value(borrow=True).ctypes.data == buffer


def test_a_gradient_that_is_a_table_is_not_filled_twice():
    """Zeros that are only added into come from the allocator, not from a copy of broadcast zeros."""
    table = st.shared(np.ones((100_000, 16)), name="table")
    ids = st.lvector("ids")
    g = st.grad(st.sqr(table[ids]).sum(), table)
    f = st.function([ids], g, backend="numpy", rewrites=False)
    assert "zeros((100000, 16)" in f._execute.source
    np.testing.assert_array_equal(f([3, 3])[2:5, 0], [0, 4, 0])


def test_numpy_warns_of_nothing():
    x = st.dvector("x")
    f = st.function([x], [1 / x, st.log(x), st.exp(x * 1e3), x // 0], backend="numpy")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        f([0.0, -1.0, 1.0])
        with pytest.warns(RuntimeWarning, match="divide"):
            np.ones(1) / np.zeros(1)  # and the caller's own settings are as they were


def test_a_function_called_while_another_runs():
    """A plugin's lowering may call compiled functions."""
    x = st.dscalar("x")
    inner = st.function([x], 1 / x, backend="numpy")
    operations = {*get_backend("numpy").operations, "disconnected_grad"}
    program = build("outer", [x], [st.disconnected_grad(x)], [], operations, "numpy")
    outer = get_backend("numpy").compile(program, lowerings={"disconnected_grad": inner})
    (result,) = outer((np.array(0.0),), ())
    assert np.isinf(result)


@pytest.mark.parametrize("view", ["steps", "columns", "turned", "one number"])
def test_reading_rows_of_a_view_copies_no_more_than_the_rows(view):
    """``take`` would make a contiguous copy of the whole view first."""
    table, ids, k = st.shared(np.ones((400_000, 8), "float32"), name="table"), st.lvector("ids"), st.lscalar("k")
    part = {
        "steps": lambda: table[::k],
        "columns": lambda: table[:, k:],
        "turned": lambda: table.T[k:].T,
        "one number": lambda: st.broadcast_to(st.cast(k, "float32"), (400_000, 8)),
    }[view]()
    f = st.function([ids, k], part[ids], rewrites=False)
    places = np.arange(10)
    f(places, 2)
    tracemalloc.start()
    f(places, 2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000


@pytest.mark.parametrize("rewrites", [True, False])
@pytest.mark.parametrize(
    ("i", "j", "text"),
    [
        ([9], [], "index 9 at position (0,) of i is out of bounds for axis 0 of x, which has size 4"),
        ([], [3], "index 3 at position (0,) of j is out of bounds for axis 1 of x, which has size 3"),
        ([], [-4], "index -4 at position (0,) of j is out of bounds for axis 1 of x, which has size 3"),
    ],
)
def test_positions_that_broadcast_to_nothing_are_checked(i, j, text, rewrites):
    x, rows, columns = st.matrix("x"), st.lvector("i"), st.lvector("j")
    read = st.function([x, rows, columns], st.exp(x[rows, columns]) * 2, backend="numpy", rewrites=rewrites)
    with pytest.raises(st.BoundsError, match=re.escape(text)):
        read(np.zeros((4, 3)), i, j)
    assert read(np.zeros((4, 3)), [3], []).shape == (0,)
