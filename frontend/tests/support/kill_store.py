"""A program that trains in a store, and one that kills it at random moments and looks at what it left.

    python frontend/tests/support/kill_store.py [kills] [seed] [folder]

The training program steps, flushes, grows its tables and saves checkpoints, at steps that follow from their number, so
that what there must be after n steps can be computed without a store.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import subtensor as st

ROWS, WIDTH, BATCH = 3000, 64, 4000
FLUSH_EVERY, SAVE_EVERY, GROW_EVERY, GROW_BY = 9, 25, 40, 500


def filling(name):
    """What new rows hold."""
    return 0.5 if name == "table" else 0


class Model:
    """A table with Adam, a replaced vector, and the number of steps, in which everything is written in its own way."""

    def __init__(self, store=None):
        self.store = store
        self.table = st.shared(st.zeros((ROWS, WIDTH), dtype="float32"), name="table", shape=(None, WIDTH))
        self.mean = st.shared(st.zeros((WIDTH,), dtype="float32"), name="mean")
        self.cells = st.shared(st.zeros((50, 40)), name="cells")
        self.n = st.shared(st.zeros((), dtype="int64"), name="n")
        ids, k = st.lvector("ids"), st.lscalar("k")
        rows = self.table[ids]
        self.updates = st.optimizers.adam(((rows - 1) ** 2).sum(), rows, 0.01)
        self.updates[self.mean] = 0.9 * self.mean + rows.mean(axis=0).astype("float32")
        self.updates[self.cells] = self.cells[k % 50, 3:30:2].inc(1.0)
        self.updates[self.n] = self.n + 1
        self.all = [self.table, *self.updates.state, self.mean, self.cells, self.n]
        if store is not None:
            store.keep(self.all)
        self.step_on = st.function([ids, k], updates=self.updates)

    @property
    def made(self):
        return int(self.n.get_value())

    def length(self):
        return len(self.table.get_value(borrow=True))

    def grow(self):
        """Longer, if the number of steps says so, and it has not been done."""
        due = ROWS + self.made // GROW_EVERY * GROW_BY
        if self.length() == due:
            return
        longer = [s for s in self.all if s.ndim and s.type.shape[0] is None]
        if self.store is not None:
            self.store.grow(longer, due, {"table": 0.5})
        else:
            for s in longer:
                old = s.get_value()
                s.set_value(
                    np.concatenate([old, np.full((due - len(old), *old.shape[1:]), filling(s.name), old.dtype)])
                )

    def step(self):
        self.grow()
        k = self.made
        rng = np.random.default_rng(k)
        self.step_on(rng.integers(0, self.length(), BATCH), k)

    def values(self):
        return {s.name: s.get_value() for s in self.all}


def train(folder, survives):
    with st.Store(folder / "store", survives=survives) as store:
        model = Model(store)
        print("open", flush=True)
        while True:
            model.step()
            if model.made % FLUSH_EVERY == 0:
                store.flush()
            if model.made % SAVE_EVERY == 0:
                st.save(folder / "checkpoint", store)


def differences(found, due, *, grown):
    """Names of values that are not those of a model. grown: whether they may have been made longer already."""
    wrong = []
    for name, value in due.items():
        have = found[name]
        if grown and value.ndim and len(have) == len(value) + GROW_BY:
            if not (have[len(value) :] == filling(name)).all():
                wrong.append(name)
            have = have[: len(value)]
        if not np.array_equal(have, value):
            wrong.append(name)
    return wrong


def kill_in_a_loop(folder, kills, seed, survives="kill", longest=0.4):
    """Kill a training program again and again; returns how many steps it made. Raises where a state is not whole."""
    chance = random.Random(seed)
    alone, kept = Model(), None  # in memory, as far as the store was seen; and as far as the last checkpoint
    for number in range(kills):
        command = [sys.executable, __file__, "train", str(folder), str(survives)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=os.environ) as child:
            assert child.stdout.readline() == b"open\n"
            time.sleep(chance.uniform(0, longest))
            child.kill()
        with st.Store(folder / "store", survives=survives) as store:
            found = {name: store[name].get_value() for name in store}
            made = int(found["n"])
            assert made >= alone.made, f"kill {number}: {made} steps, {alone.made} before"
            checkpoint = folder / "checkpoint"
            last = made // SAVE_EVERY * SAVE_EVERY
            while alone.made < made:
                alone.step()
                if alone.made == last:
                    kept = alone.values()
            grown = made % GROW_EVERY == 0
            assert len({len(v) for n, v in found.items() if n == "table" or ".adam." in n}) == 1
            wrong = differences(found, alone.values(), grown=grown)
            assert not wrong, f"kill {number}: after {made} steps, {wrong} are not those of a whole step"
            if checkpoint.exists():
                saved = Model()
                lengths = {n: v.shape for n, v in found.items()}
                for s in saved.all:
                    s.set_value(np.zeros(lengths[s.name], s.dtype))
                st.load(checkpoint, saved.all, grown=True)
                if kept is not None and saved.made == int(kept["n"]):
                    short = {n: v[: len(kept[n])] if v.ndim else v for n, v in saved.values().items()}
                    wrong = differences(short, kept, grown=False)
                    assert not wrong, f"kill {number}: {wrong} of the checkpoint are not those of a whole step"
        if number % 10 == 9:
            print(f"{number + 1} kills, {alone.made} steps", flush=True)
    return alone.made


if __name__ == "__main__":
    if sys.argv[1:2] == ["train"]:
        train(Path(sys.argv[2]), None if sys.argv[3] == "None" else sys.argv[3])
    given = dict(enumerate(sys.argv[1:]))
    where = Path(given.get(2) or tempfile.mkdtemp())
    try:
        steps = kill_in_a_loop(where, int(given.get(0, 100)), int(given.get(1, time.time())))
    finally:
        if 2 not in given:
            shutil.rmtree(where, ignore_errors=True)
    print(f"each of them left a whole step; {steps} steps in all")
