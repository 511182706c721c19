"""Training a table that is several times as large as the memory that the program allows itself.

    python docs/examples/large_table.py [rows] [steps] [folder]

The program limits its own memory to MEMORY beyond what it has when it begins (``RLIMIT_DATA``, which counts what is
the process's alone: the pages of files that the system keeps in memory, and takes back when it needs them, are not). A
table of 10^6 rows of 64 numbers and the state of Adagrad take 512 MB, in a store. Ids are drawn as words are, a few
often, most rarely. Run it again with a folder, and it goes on where it stopped, also after ``kill -9``.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import subtensor as st

MEMORY = 128 << 20
WIDTH, BATCH = 64, 4096


def own_memory():
    """Bytes that are this process's alone."""
    fields = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(fields.split("VmData:")[1].split()[0]) << 10


def build(rows, store):
    """A table that starts as zeros, and a step that draws its rows towards targets made of their ids."""
    table = st.shared(st.zeros((rows, WIDTH), dtype="float32"), name="table")
    seen = st.shared(st.zeros((), dtype="int64"), name="seen")
    ids = st.lvector("ids")
    target = st.cos(ids.dimshuffle(0, "x") * np.linspace(0.001, 1, WIDTH)).astype("float32")
    error = ((table[ids] - target) ** 2).mean()
    updates = st.optimizers.adagrad(error * ids.shape[0], table[ids], 0.3)
    updates[seen] = seen + 1
    store.keep([updates, seen])
    return st.function([ids], error, updates=updates, name="step"), table, seen


def batches(rows, first, count):
    """Zipf's law: about a fifth of all ids are among the first thousand."""
    for k in range(first, first + count):
        rng = np.random.default_rng(k)
        yield (rows ** rng.random(BATCH)).astype(np.int64) - 1


def main(rows, steps, folder):
    size = 2 * rows * WIDTH * 4
    with st.Store(folder) as store:
        step, table, seen = build(rows, store)
        step.steps(iter([np.zeros(BATCH, np.int64)]))  # whatever is imported late
        limit = own_memory() + MEMORY
        resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.RLIM_INFINITY))
        print(f"{size / 1e6:.0f} MB of tables, {MEMORY / 1e6:.0f} MB of memory; {int(seen.get_value())} steps so far")
        start = time.perf_counter()
        errors = step.steps(batches(rows, int(seen.get_value()), steps))
        seconds = time.perf_counter() - start
        first, last = errors[:5].mean(), errors[-5:].mean()
        print(f"{steps} steps of {BATCH} rows in {seconds:.1f} s; error {first:.3f} -> {last:.3f}")
        try:
            table.get_value()
        except MemoryError:
            print("a copy of the table does not fit into memory")
        st.save(Path(folder) / "checkpoint.safetensors", store)
        print("a checkpoint does")
        resource.setrlimit(resource.RLIMIT_DATA, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return errors


if __name__ == "__main__":
    given = dict(enumerate(sys.argv[1:]))
    with tempfile.TemporaryDirectory() as temporary:
        main(int(given.get(0, 1_000_000)), int(given.get(1, 100)), given.get(2, temporary))
