"""What holds in a process that was forked while other threads build graphs, step and load plugins."""

import multiprocessing
import os
import signal
import threading
import time
import traceback

import numpy as np
import pytest

import subtensor as st
from subtensor import plugins
from subtensor.graph import forks

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system"),
    pytest.mark.numpy_only("names its backend itself, so it ran with the tests on NumPy"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*fork.*:RuntimeWarning"),
]


def in_child(function, seconds=20):
    """Whether `function` returns in a forked child; what it printed of an error if not."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            function()
            code = 0
        except BaseException:  # noqa: BLE001  # told to the parent
            os.write(writing, traceback.format_exc().encode())
        finally:
            os._exit(code)
    os.close(writing)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            with os.fdopen(reading, "rb") as text:
                assert status == 0, text.read().decode()
            return
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(reading)
    pytest.fail("the child hangs")


@pytest.fixture
def busy():
    """Runs functions again and again in threads of their own."""
    done, threads = threading.Event(), []

    def start(*functions):
        def loop(function):
            while not done.is_set():
                function()

        threads.extend(threading.Thread(target=loop, args=(f,), daemon=True) for f in functions)
        for t in threads:
            t.start()

    yield start
    done.set()
    for t in threads:
        t.join()


def built():
    return (st.vector("v") * 2 + 1).sum()


def test_a_child_finds_no_lock_held_and_no_step_half_done(busy):
    a, b = (st.shared(np.zeros(2000), name=n) for n in "ab")
    ids = st.lvector("ids")
    step = st.function([ids], updates=[(a, a[ids].inc(1.0)), (b, b[ids].inc(1.0))], backend="numpy")
    every = np.arange(2000)
    busy(
        built,
        lambda: step(every),
        lambda: (plugins.backends(), st.shared(np.ones(3))),
    )

    def child():
        assert np.array_equal(a.get_value(), b.get_value())
        step(every)
        (st.vector("w") + 1).sum()
        fresh = st.function([ids], updates=[(a, a[ids].inc(1.0))], backend="numpy")
        fresh([0])
        assert np.array_equal(a.get_value()[1:], b.get_value()[1:])
        in_child(lambda: step(every))  # a child of a child

    for _ in range(15):
        in_child(child)


def test_a_fork_within_a_step_does_not_wait_for_those_who_wait_for_it(busy, monkeypatch):
    monkeypatch.setattr(forks, "PATIENCE", 0.2)
    a, b = (st.shared(np.zeros(3), name=n) for n in "ab")
    step = st.function([], updates=[(a, a + 1), (b, b + 1)], backend="numpy")
    with b.cell.lock:  # as a step holds it
        busy(step)  # takes a, waits for b
        time.sleep(0.05)
        in_child(lambda: a.get_value() + b.get_value())


def test_a_pool_that_forks(busy):
    busy(built)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map_async(_square, range(20)).get(60) == [n * n for n in range(20)]


def _square(n):
    x = st.lscalar("x")
    return int(st.function([x], x * x, backend="numpy")(n))


def test_jax_is_refused_after_a_fork():
    table = st.shared(np.ones(3), name="table")
    x = st.vector("x")
    f = st.function([x], x.sum(), updates=[(table, table + x)], backend="jax")
    f(np.ones(3))
    other = st.shared(np.ones(3), name="other")

    def child():
        for call in (
            lambda: f(np.ones(3)),
            table.get_value,
            lambda: st.function([x], x * 2, backend="jax"),
            lambda: x.eval({x: np.ones(3)}, backend="jax"),
        ):
            with pytest.raises(st.Unsupported, match=r"forked from one that had loaded JAX.*'spawn'.*backend='numpy'"):
                call()
        assert st.function([x], x.sum() + other.sum(), backend="numpy")(np.ones(3)) == 6

    in_child(child)
    assert f(np.ones(3)) == 3
