"""Interrupts, kills, flipped bits, forks and threads."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

import subtensor as st


def _pair(n: int) -> tuple[st.SharedVariable, st.SharedVariable]:
    return st.shared(np.zeros((n, 4)), "a"), st.shared(np.zeros((n, 4)), "b")


def interrupt(rng: random.Random, backend: str) -> None:
    """A KeyboardInterrupt at a random moment of a step: both tables have made it, or neither."""
    a, b = _pair(200)
    ids = st.lvector("ids")
    step = st.function([ids], updates=[(a, a[ids].inc(1.0)), (b, st.tanh(b) + 1.0)], backend=backend)
    every = np.arange(200)
    step(every)
    for _ in range(10):
        before = a.get_value(), b.get_value()
        with contextlib.suppress(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-6, 4e-4))
            for _ in range(3):
                step(every)
            time.sleep(5e-4)
        signal.setitimer(signal.ITIMER_REAL, 0)
        steps = a.get_value()[0, 0] - before[0][0, 0]
        due = before[1]
        for _ in range(int(steps)):
            due = np.tanh(due) + 1.0
        if (a.get_value() != before[0] + steps).any() or not np.allclose(b.get_value(), due, rtol=1e-12):
            raise AssertionError(f"a step was divided after {steps} steps")


_SAVER = """
import sys
import numpy as np
import subtensor as st
a, b = st.shared(np.zeros(20000), "a"), st.shared(np.zeros(20000), "b")
k = 0
while True:
    k += 1
    a.set_value(np.full(20000, float(k))); b.set_value(np.full(20000, float(k)))
    st.save(sys.argv[1], [a, b])
    print(k, flush=True)
"""


def kill(rng: random.Random, backend: str) -> None:  # saving is the same on all
    """A process is killed while it saves again and again: what is left is one whole save."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.safetensors"
        child = subprocess.Popen([sys.executable, "-c", _SAVER, str(path)], stdout=subprocess.PIPE)  # noqa: S603
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(rng.uniform(0, 0.05))
        child.kill()
        child.wait()
        child.stdout.close()
        a, b = st.shared(np.zeros(20000), "a"), st.shared(np.zeros(20000), "b")
        st.load(path, [a, b])
        found = {*a.get_value().tolist(), *b.get_value().tolist()}
        if len(found) != 1:
            raise AssertionError(f"the file holds parts of saves {sorted(found)}")
        st.save(path, [a, b])
        left = [p.name for p in Path(folder).iterdir()]
        if left != [path.name]:
            raise AssertionError(f"left behind: {left}")


def flip(rng: random.Random, backend: str) -> None:  # loading is the same on all
    """A bit of a checkpoint is flipped: it is refused, or it was no bit of a value."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.safetensors"
        made = np.random.default_rng(rng.randrange(2**32))
        kept = {
            "bools": made.integers(0, 2, 9).astype(bool),
            "ints": made.integers(-9, 9, (2, 3)),
            "floats": made.normal(size=(3, 2)).astype("float32"),
        }
        st.save(path, {n: st.shared(v) for n, v in kept.items()})
        raw = bytearray(path.read_bytes())
        at = rng.randrange(8 * len(raw))
        raw[at // 8] ^= 1 << at % 8
        path.write_bytes(raw)
        found = {n: st.shared(np.zeros_like(v)) for n, v in kept.items()}
        try:
            st.load(path, found)
        except st.CheckpointError as error:
            if not str(error).isprintable():
                raise AssertionError(f"a message with control characters: {error!r}") from error
            if any(s.get_value().any() for s in found.values()):
                raise AssertionError("a file was refused, and yet loaded in part") from error
            return
        for name, value in kept.items():
            np.testing.assert_array_equal(found[name].get_value(), value)


def fork(rng: random.Random, backend: str) -> None:  # JAX is refused in a child
    """A fork while threads build graphs and step: the child does both."""
    if not hasattr(os, "fork"):
        return
    done = threading.Event()
    a, b = _pair(300)
    ids = st.lvector("ids")
    step = st.function([ids], updates=[(a, a[ids].inc(1.0)), (b, b[ids].inc(1.0))], backend="numpy")
    every = np.arange(300)

    def loop() -> None:
        while not done.is_set():
            (st.vector("v") * 2 + 1).sum()
            step(every)

    threads = [threading.Thread(target=loop, daemon=True) for _ in range(2)]
    for t in threads:
        t.start()
    try:
        time.sleep(rng.uniform(0, 0.01))
        pid = os.fork()
        if pid == 0:
            code = 1
            with contextlib.suppress(BaseException):
                whole = np.array_equal(a.get_value(), b.get_value())
                step(every)
                (st.vector("w") + 1).sum()
                code = 0 if whole else 2
            os._exit(code)
        end = time.monotonic() + 30
        found, status = 0, 0
        while not found and time.monotonic() < end:
            found, status = os.waitpid(pid, os.WNOHANG)
            time.sleep(0.002)
        if not found:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise AssertionError("the child hangs")
        if status:
            raise AssertionError(f"the child fails: {os.waitstatus_to_exitcode(status)}")
    finally:
        done.set()
        for t in threads:
            t.join()


def thread(rng: random.Random, backend: str) -> None:
    """Threads step on common tables and read them: no step is lost, and none is seen in half."""
    a, b = _pair(50)
    ids = st.lvector("ids")
    step = st.function([ids], updates=[(a, a[ids].inc(1.0)), (b, b[ids].inc(1.0))], backend=backend)
    look = st.function([], [a, b], backend=backend)
    each, wrong = 20, []

    def work(seed: int) -> None:
        mine = random.Random(seed)  # noqa: S311  # no secret
        for _ in range(each):
            step(np.arange(50))
            if mine.random() < 0.5 and not np.array_equal(*look()):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(rng.randrange(2**32),)) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if wrong or (a.get_value() != 3 * each).any() or (b.get_value() != 3 * each).any():
        raise AssertionError(f"{len(wrong)} looks saw half a step; the sums are {a.get_value()[0, 0]}, due {3 * each}")
