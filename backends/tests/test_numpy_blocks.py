"""Block by block or all at once: the same bits, whatever shares memory, broadcasts or is needed afterwards."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs

import subtensor as st
import subtensor_numpy.blocks
from subtensor import optimizers


def built(blocks, make):
    """What `make` builds, with arithmetic in blocks of a row or two, or in none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subtensor_numpy.blocks, "LARGE", 1 if blocks else 1 << 60)
        patch.setattr(subtensor_numpy.blocks, "BLOCK", 48)
        patch.setattr(subtensor_numpy.blocks, "FEWEST", 3)
        return make()


UNARY = {
    "neg": lambda x: -x,
    "sqrt": lambda x: st.sqrt(abs(x)),
    "tanh": st.tanh,
    "backwards": lambda x: x[::-1] if x.ndim else x,
    "first": lambda x: x[:1] if x.ndim else x,
    "rows": lambda x: x[np.array([0, 0])] if x.ndim else x,
    "total": lambda x: x.sum(axis=0) if x.ndim else x,
    "mean": lambda x: x.sum(axis=0) / x.shape[0] if x.ndim == 2 else x,
    "filled": lambda x: st.zeros_like(x)[:1].inc(1.5) if x.ndim else x,
    "turned": lambda x: x.T.T,
    "narrow": lambda x: x.astype("float32").astype("float64"),
}
BINARY = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "larger": st.maximum,
    "where": lambda x, y: st.where(x < y, x, y * 2),
    "divide": lambda x, y: x / (1 + y * y),
}
SHAPES = {"a": (None, 3), "b": (None, 3), "c": (3,), "d": (None, 1), "e": ()}


@hs.composite
def programs(draw):
    """Steps ``(op, operands)`` over the inputs, the table and what came before; results are the last few."""
    count = draw(hs.integers(4, 14))
    steps = []
    for n in range(count):
        places = hs.integers(-len(SHAPES) - 1, n - 1)
        if draw(hs.booleans()) or n < 2:
            steps.append((draw(hs.sampled_from(sorted(BINARY))), (draw(places), draw(places))))
        else:
            steps.append((draw(hs.sampled_from(sorted(UNARY))), (draw(places),)))
    return steps, draw(hs.integers(1, 4)), draw(hs.sampled_from(["none", "inc", "set", "whole"]))


@settings(max_examples=250, deadline=None, derandomize=True)
@given(programs(), hs.sampled_from([0, 1, 2, 5]), hs.sampled_from([1, 5]), hs.booleans())
def test_random_programs_give_the_same_bits(program, rows, others, rewrites):
    steps, wanted, update = program
    rng = np.random.default_rng(0)
    lengths = {"a": (rows, 3), "b": (others if rows == 5 else rows, 3), "c": (3,), "d": (rows, 1), "e": ()}
    values = [rng.normal(size=lengths[name]) for name in SHAPES]
    start = rng.normal(size=(rows, 3))

    def make():
        table = st.shared(start, name="table", shape=(None, 3))
        nodes = [st.tensor(name, "float64", shape) for name, shape in SHAPES.items()]
        known = [*nodes, table]
        for name, operands in steps:
            op = BINARY.get(name) or UNARY[name]
            known.append(op(*(known[place + len(nodes) + 1] for place in operands)))
        same = [x for x in known[len(nodes) + 1 :] if x.ndim == 2]
        updates = []
        if update != "none" and same:
            new = {"inc": table[:].inc(same[-1]), "set": table[:].set(same[-1]), "whole": table + same[-1]}[update]
            updates = [(table, new)]
        f = st.function(nodes, known[-wanted:], updates=updates, on_unused_input="ignore", rewrites=rewrites)
        return f, table

    results = []
    for blocks in (True, False):
        try:
            f, table = built(blocks, make)
        except (st.SubtensorError, ValueError) as error:
            results.append(type(error))
            continue
        try:
            outputs = [f(*values), f(*values)]
        except (st.SubtensorError, ValueError) as error:
            results.append((type(error), str(error), table.get_value().tolist()))
        else:
            results.append((outputs, table.get_value()))
    in_blocks, at_once = results
    assert type(in_blocks) is type(at_once)
    if isinstance(at_once, tuple) and isinstance(at_once[0], list):
        for ours, theirs in zip(in_blocks[0], at_once[0], strict=True):
            for x, y in zip(ours, theirs, strict=True):
                np.testing.assert_array_equal(x, y)
        np.testing.assert_array_equal(in_blocks[1], at_once[1])
    else:
        assert in_blocks == at_once


@pytest.mark.parametrize("name", ["adam", "rowwise_adagrad", "rmsprop", "adadelta", "ftrl"])
def test_optimizers_give_the_same_bits(name):
    rng = np.random.default_rng(1)
    ids, g = rng.integers(0, 40, 60), rng.normal(size=(60, 6)).astype("float32")
    state = []
    for blocks in (True, False):

        def make():
            table = st.shared(np.ones((40, 6), "float32"), name="table")
            i, gradient = st.lvector("i"), st.fmatrix("g")
            updates = getattr(optimizers, name)([gradient], [table[i]])
            return st.function([i, gradient], updates=updates), [table, *updates.state]

        step, variables = built(blocks, make)
        assert "for low in range" in step._execute.source
        for _ in range(3):
            step(ids, g)
        state.append([v.get_value() for v in variables])
    for x, y in zip(*state, strict=True):
        np.testing.assert_array_equal(x, y)


def _backwards(lib, x, ids):
    """t may take the result as a whole, but not block by block: other rows of it are still to be read."""
    t = lib.exp(x)
    return [lib.tanh((t + t[::-1]) * 0.5)]


def _sum_beside(lib, x, ids):
    """The sum has to be taken before its argument is overwritten."""
    t = lib.exp(x) + 1.0
    return [t.sum(axis=0), lib.tanh(t * 2.0) + 1.0]


def _written_afterwards(lib, x, ids):
    """The rows are written to after they were read."""
    t = x[ids]
    read = lib.tanh(t + 1.0) * 2.0 - t
    return [
        read,
        st.set_subtensor(t[0], 5.0) if lib is st else np.concatenate([0 * t[:1] + 5.0, t[1:]]),
    ]


def _mean_and_length(lib, x, ids):
    """The mean divides by a length, for which no line is written."""
    t = lib.exp(x) * 2.0 + 1.0
    return [lib.tanh(t - t.sum(axis=0) / t.shape[0]) * 2.0 + 1.0]


@pytest.mark.parametrize("program", [_backwards, _sum_beside, _written_afterwards, _mean_and_length])
def test_nothing_is_overwritten_that_is_still_read(program):
    """Each program is written once, for nodes (lib is subtensor) and for arrays (lib is NumPy)."""
    x, ids = st.tensor("x", "float64", (7, 3)), st.lvector("ids")
    value, places = np.random.default_rng(2).normal(size=(7, 3)), np.array([4, 0, 1, 6, 2])
    f = built(True, lambda: st.function([x, ids], program(st, x, ids), on_unused_input="ignore", rewrites=False))
    assert "for low in range" in f._execute.source
    for got, want in zip(f(value, places), program(np, value, places), strict=True):
        np.testing.assert_array_equal(got, want)


def test_small_and_large_arrays_take_the_two_ways():
    x = st.tensor("x", "float64", (None, 2))
    f = st.function([x], st.tanh(x * 2 + 1) * x)
    assert "for low in range" in f._execute.source
    for rows in (3, 70_000):
        value = np.linspace(-1, 1, rows * 2).reshape(rows, 2)
        np.testing.assert_array_equal(f(value), np.tanh(value * 2 + 1) * value)
