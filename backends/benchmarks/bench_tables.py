"""Large tables: memory beside them, checkpoints, files, journals, and many steps in one call.

    python backends/benchmarks/bench_tables.py [rows]

Memory is that of a fresh process each, peak and beside the table. Ratios are of interleaved runs, the least of each.
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import subtensor as st

WIDTH = 64
BATCH = 1024


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def model(table, optimizer="adagrad", backend="numpy"):
    ids = st.lvector("ids")
    rows = table[ids]
    cost = ((rows - 1) ** 2).sum()
    updates = getattr(st.optimizers, optimizer)(cost, rows, 0.1)
    return st.function([ids], cost, updates=updates, backend=backend), updates


def one_copy(rows, backend):
    """From ``shared`` to the hundredth step of gradient descent."""
    small = st.shared(np.ones((100, WIDTH), "float32"), name="small")
    model(small, "sgd", backend)[0](np.arange(10))
    value = np.full((rows, WIDTH), 0.01, "float32")
    before = peak()
    table = st.shared(value, name="table", borrow=True)
    del value
    step, _ = model(table, "sgd", backend)
    rng = np.random.default_rng(0)
    for _ in range(100):
        step(rng.integers(0, rows, BATCH))
    print(
        f"{backend}: {peak() - before:.3f} GB beside a table of {rows * WIDTH * 4e-9:.2f} GB, from shared to step 100"
    )


def copied(path):
    """Copy a file, and wait for the disk, as saving does."""
    copy = path.with_name("copy")
    shutil.copyfile(path, copy)
    with copy.open("rb") as file:
        os.fsync(file.fileno())


def checkpoints(rows, backend, folder):
    path = Path(folder) / "c"
    table = st.shared(st.full((rows, WIDTH), 0.5, dtype="float32"), name="table")
    step, _ = model(table, "sgd", backend)
    step(np.arange(10))
    small = st.shared(st.zeros((10,)), name="small")
    st.save(path, small)
    st.load(path, small)
    before = peak()
    st.save(path, table)
    times = {act: [] for act in ("save", "load", "copy")}
    for _ in range(4):
        for act, run in (
            ("save", lambda: st.save(path, table)),
            ("copy", lambda: copied(path)),
            ("load", lambda: st.load(path, table)),
        ):
            start = time.perf_counter()
            run()
            times[act].append(time.perf_counter() - start)
    save, load, copy = (min(times[act]) for act in ("save", "load", "copy"))
    size = rows * WIDTH * 4e-9
    print(
        f"{backend}: save {size / save:.2f} GB/s, load {size / load:.2f}, copying the file {size / copy:.2f}: ratios "
        f"{copy / save:.2f} and {copy / load:.2f}; {peak() - before:.3f} GB beside a table of {size:.2f} GB"
    )


def files(rows, folder):
    """A step on a mapped table that the page cache holds, and with the journals, against one in memory."""
    rng = np.random.default_rng(0)
    made = {}
    stores = []
    for kind in ("memory", "no journal", "kill", "power"):
        table = st.shared(st.zeros((rows, WIDTH), dtype="float32"), name="table")
        step, updates = model(table)
        if kind != "memory":
            store = st.Store(Path(folder) / kind, survives=None if kind == "no journal" else kind)
            stores.append(store)
            store.keep(updates)
        for s in (*updates.parameters, *updates.state):
            s.get_value(borrow=True)[...] = 0.5 if s is table else 0  # all pages are there
        made[kind] = step
    for store in stores:
        store.flush()
    times = {kind: [] for kind in made}
    for batch in (64, BATCH, 16 * BATCH):
        for kind in times:
            times[kind] = []
        for _ in range(30):
            ids = rng.integers(0, rows, batch)
            for kind, step in made.items():
                start = time.perf_counter()
                step(ids)
                times[kind].append(time.perf_counter() - start)
        middle = {kind: sorted(t)[len(t) // 2] for kind, t in times.items()}
        spelled = ", ".join(f"{kind} {t / middle['memory']:.2f}" for kind, t in middle.items())
        print(f"batch {batch}: {middle['memory'] * 1e6:.0f} us in memory; ratios: {spelled}")
    for store in stores:
        store.close()


def many_steps(backend, batch=64, count=512):
    table = st.shared(st.full((100_000, WIDTH), 0.5, dtype="float32"), name="table")
    step, _ = model(table, backend=backend)
    ids = np.random.default_rng(0).integers(0, 100_000, (count, batch))
    step.steps(ids)
    ratios = []
    for _ in range(7):
        start = time.perf_counter()
        for i in ids:
            step(i)
        middle = time.perf_counter()
        step.steps(ids)
        ratios.append((time.perf_counter() - middle) / (middle - start))
    print(f"{backend}: steps at B = {batch} take {sorted(ratios)[3]:.2f} of the time of single calls")


if __name__ == "__main__":
    if len(sys.argv) > 3:
        what, rows, *rest = sys.argv[1:]
        globals()[what](int(rows), *rest)
        sys.exit()
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 4_000_000
    folder = tempfile.mkdtemp()
    try:
        for backend in ("numpy", "jax"):
            subprocess.run([sys.executable, __file__, "one_copy", str(rows), backend], check=True, env=os.environ)
        for backend in ("numpy", "jax"):
            arguments = ["checkpoints", str(rows), backend, folder]
            subprocess.run([sys.executable, __file__, *arguments], check=True, env=os.environ)
        files(rows // 4, folder)
        for backend in ("numpy", "jax"):
            many_steps(backend)
    finally:
        shutil.rmtree(folder)
