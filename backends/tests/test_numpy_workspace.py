"""Temporaries in the workspace: results are what they are elsewhere, and nobody else gets to see that memory."""

import threading

import numpy as np
import pytest
from examples import examples
from hypothesis import HealthCheck, given, settings
from random_programs import DTYPES, programs, run

import subtensor as st
from subtensor import plugins
from subtensor.graph.nodes import Op
from subtensor.plugins.hooks import hookimpl
from subtensor_numpy import workspace as module
from subtensor_numpy.workspace import place, workspace


@pytest.fixture
def everything(monkeypatch):
    """All that may goes into the workspace, however small."""
    monkeypatch.setattr(module, "LARGE", 1)
    workspace.buffers.clear()


@pytest.mark.parametrize("dtype", DTYPES)
def test_random_programs_mean_the_same(dtype, monkeypatch):
    @settings(max_examples=examples(30), deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(programs(dtype))
    def attempt(p):
        want = run(p, "numpy")
        with monkeypatch.context() as patch:
            patch.setattr(module, "LARGE", 1)
            got = run(p, "numpy")
        assert type(want) is type(got), (want, got)
        for a, b in zip(want, got, strict=True):
            if isinstance(a, np.ndarray):
                np.testing.assert_array_equal(a, b)
                assert a.dtype == b.dtype
            else:
                assert a == b

    attempt()


def chain(x, w):
    """A temporary of each kind: rows, a product, sums over distinct rows, and elementwise results."""
    ids = st.lvector("ids")
    rows = w[ids]
    h = st.tanh(rows @ x)
    g = st.grad((h * h).sum(), w)
    return st.function([ids, x], [h, h + 1, h.T], updates=[(w, w - 0.1 * st.clip(g, -1, 1))], name="step")


def test_results_and_state_are_nobody_elses_memory(everything):
    w = st.shared(np.random.default_rng(0).normal(size=(100, 4)), name="w")
    step = chain(st.dmatrix("x"), w)
    x, ids = np.eye(4), np.array([3, 1, 3, 99])
    first = step(ids, x)
    kept = [v.copy() for v in first]
    state = w.get_value(borrow=True)
    before = state.copy()
    assert len(workspace.buffers) >= 3
    for array in (*first, state):
        assert not any(np.may_share_memory(array, b) for b in workspace.buffers.values())
    for b in workspace.buffers.values():
        b.fill(0xFF)
    np.testing.assert_array_equal(w.get_value(), before)
    step(ids[::-1], 2 * x)
    for a, b in zip(first, kept, strict=True):
        np.testing.assert_array_equal(a, b)


def test_lengths_that_stretch_at_run_time_are_not_mistaken(everything):
    x, y = (st.tensor(n, "float64", (None, 2)) for n in "xy")
    f = st.function([x, y], (st.exp(x - y) * x).sum())
    one, three = np.ones((1, 2)), np.arange(6.0).reshape(3, 2)
    for a, b in ((one, three), (three, one), (three, three), (three[:0], one)):
        np.testing.assert_allclose(f(a, b), (np.exp(a - b) * a).sum())


def test_bad_positions_are_noticed_and_negative_ones_wrap(everything):
    t, ids = st.shared(np.arange(10.0).reshape(5, 2), name="t"), st.lmatrix("ids")
    f = st.function([ids], (t[ids] ** 2).sum())
    assert f([[-1, 0]]) == 8**2 + 9**2 + 1
    for bad in (5, -6, 2**62):
        with pytest.raises(st.errors.BoundsError, match=f"index {bad} at"):
            f([[0, bad]])


def test_a_call_within_a_call_has_memory_of_its_own(everything):
    x = st.dvector("x")
    inner = st.function([x], (st.exp(x) * 2).sum())

    class Plugin:
        op = Op(name="test_calls", infer=lambda v: v.type, vjp=lambda g, out, v: [g], fresh=True)

        @hookimpl
        def subtensor_ops(self):
            return [self.op]

        @hookimpl
        def subtensor_lowerings(self):
            return {"numpy": {"test_calls": lambda v: v + inner(np.zeros(3))}}

    plugin = Plugin()
    name = plugins.register(plugin)
    try:
        y = st.exp(x)  # lies in the workspace while the other function runs
        f = st.function([x], (plugin.op(y.sum()) * y).sum(), backend="numpy")
        e = np.exp(np.arange(3.0))
        np.testing.assert_allclose(f(np.arange(3.0)), (e.sum() + 6) * e.sum())
    finally:
        plugins.unregister(name)


def test_each_thread_has_its_own(everything):
    x = st.dvector("x")
    f = st.function([x], (st.exp(x) * st.sin(x)).sum())
    wrong = []

    def work(seed):
        v = np.random.default_rng(seed).normal(size=5000)
        due = (np.exp(v) * np.sin(v)).sum()
        wrong.extend(r for _ in range(200) if not np.isclose(r := f(v), due))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_buffers_grow_up_to_a_limit(monkeypatch):
    workspace.buffers.clear()
    monkeypatch.setattr(module, "MOST", 1000)
    first = place(0, (10, 2), "float32")
    assert first.flags.c_contiguous
    assert np.may_share_memory(first, place(0, (5,), "int8"))
    assert not np.may_share_memory(first, place(1, (10, 2), "float32"))
    assert place(0, (50,), "float64").shape == (50,)
    assert {n: b.nbytes for n, b in workspace.buffers.items()} == {0: 500, 1: 100}
    for shape in ((101,), (1000, 1000)):
        assert place(1, shape, "float64").shape == shape
    assert {n: b.nbytes for n, b in workspace.buffers.items()} == {0: 500, 1: 100}
    workspace.buffers.clear()
