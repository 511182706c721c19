"""What is checked on two processes with two devices each: run by ``test_jax_processes.py``, once for each of them.

Arguments: the number of this process, the port of the first one, a folder that both see. Prints a JSON object for each
check: its name, and what was wrong here, if anything was; the last check ends the second process in the middle.
"""

import json
import os
import sys
import time
import traceback
from pathlib import Path

import jax
import numpy as np
import pytest

rank, port, folder = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
jax.distributed.initialize(f"localhost:{port}", num_processes=2, process_id=rank)

import subtensor as st  # noqa: E402  # as a user's program does, once JAX knows its processes
import subtensor_jax  # noqa: E402  # as above
from subtensor.errors import CheckpointError, ProcessError, ShardingError  # noqa: E402  # as above

V, D, B = 103, 4, 12
ALL = subtensor_jax.mesh("rows", "batch", timeout=20)
RNG = np.random.default_rng(0)
BATCHES = [(RNG.integers(-V, V, B), RNG.normal(size=(B, D)).astype("float32")) for _ in range(3)]
CHECKS = {}


def check(f):
    CHECKS[f.__name__] = f
    return f


def model(backend, rate=0.1):
    rng = np.random.default_rng(1)
    t = st.shared(rng.normal(size=(V, D)).astype("float32"), "t", axes=("rows", None))
    w = st.shared(rng.normal(size=(D, D)).astype("float32"), "w")
    ids, y = st.lvector("ids", axes=("batch",)), st.fmatrix("y", axes=("batch", None))
    cost = ((st.tanh(t[ids] @ w) - y) ** 2).sum()
    updates = st.optimizers.adam(cost, [t, w], rate)
    return st.function([ids, y], cost, updates=updates, backend=backend, name="step"), updates


def variables(updates):
    return [*updates.parameters, *updates.state]


with ALL:
    step, updates = model("jax")
alone, expected = model("numpy")


def compared():
    for a, b in zip(variables(updates), variables(expected), strict=True):
        np.testing.assert_allclose(a.get_value(), b.get_value(), rtol=1e-4, atol=1e-5)


def raised(kind, call, words):
    with pytest.raises(kind) as caught:
        call()
    assert words in str(caught.value)


@check
def it_trains_as_one_process_does():
    for batch in BATCHES:
        np.testing.assert_allclose(step(*batch), alone(*batch), rtol=1e-5)
    compared()
    assert not updates.parameters[0].cell.data.data.is_fully_addressable
    assert "all-gather" not in {t.kind for t in subtensor_jax.traffic(step)}


@check
def the_same_error_in_each_and_nothing_changed():
    for bad in (V, -V - 1):
        raised(
            IndexError,
            lambda bad=bad: step([0, bad], BATCHES[0][1][:2]),
            "is out of bounds for axis 0 of t, which has size 103",
        )
    compared()


@check
def they_must_agree():
    ids, y = BATCHES[0]
    raised(ProcessError, lambda: step(ids + rank, y), "disagree about the values of arguments")
    raised(ProcessError, lambda: step(ids[: 4 + rank], y[: 4 + rank]), "process 1: step((5,), (5, 4))")
    raised(ProcessError, lambda: step(ids, y) if rank else updates.parameters[0].get_value(), "read of rows 0 to 103")
    with ALL:
        other, _ = model("jax", rate=0.1 if rank else 0.2)
    raised(ProcessError, lambda: other(ids, y), "disagree about the program")
    compared()
    np.testing.assert_allclose(step(ids, y), alone(ids, y), rtol=1e-4)


@check
def rows_of_this_process():
    table = updates.parameters[0]
    (mine,) = subtensor_jax.rows_here(table)
    assert mine == (slice(0, 52), slice(52, 103))[rank]
    before = subtensor_jax.get_rows(table, mine)
    subtensor_jax.set_rows(table, mine, before + 1)
    expected.parameters[0].set_value(expected.parameters[0].get_value() + 1)
    compared()
    np.testing.assert_array_equal(subtensor_jax.get_rows(table, slice(40, 60)), table.get_value()[40:60])
    raised(ShardingError, lambda: subtensor_jax.set_rows(table, slice(50, 54), before[:4]), "not all in this process")
    new = table.get_value()[::-1].copy()
    table.set_value(new)
    expected.parameters[0].set_value(new)
    np.testing.assert_allclose(step(*BATCHES[0]), alone(*BATCHES[0]), rtol=1e-4)
    compared()


@check
def a_checkpoint_has_parts_and_loads_elsewhere():
    path = folder / "model"
    for _ in range(2):
        st.save(path, updates)
    parts = sorted(p.name for p in folder.iterdir() if p.name.startswith("model."))
    assert len(parts) == 2, parts
    if rank == 0:
        st.load(path, expected)  # on NumPy, in one process
    kept = [v.get_value() for v in variables(updates)]
    step(*BATCHES[1])
    st.load(path, updates)
    for v, value in zip(variables(updates), kept, strict=True):
        np.testing.assert_array_equal(v.get_value(), value)
    if rank == 0:
        compared_to = [v.get_value() for v in variables(expected)]
        for a, b in zip(kept, compared_to, strict=True):
            np.testing.assert_array_equal(a, b)
    with subtensor_jax.mesh(rows=2, batch="rows", devices=jax.devices()[1:3], timeout=20):  # one of each process
        other, restored = model("jax")
        subtensor_jax.bring(*variables(restored))
    st.load(path, restored)
    for v, value in zip(variables(restored), kept, strict=True):
        np.testing.assert_array_equal(v.get_value(), value)
    np.testing.assert_allclose(other(*BATCHES[2]), step(*BATCHES[2]), rtol=1e-4)


@check
def a_part_that_is_missing_is_told_to_all():
    path = folder / "broken"
    st.save(path, updates)
    before = [v.get_value() for v in variables(updates)]
    gone = next(p for p in sorted(folder.iterdir()) if p.name.startswith("broken.") and p.name.endswith("2-of-2"))
    updates.parameters[0].get_value()  # which both do together, and so know what the other has done
    if rank == 0:
        gone.rename(folder / "elsewhere")
    updates.parameters[0].get_value()
    raised(CheckpointError, lambda: st.load(path, updates), f"number 2, {gone.name}, is missing")
    for v, value in zip(variables(updates), before, strict=True):
        np.testing.assert_array_equal(v.get_value(), value)


@check
def one_that_cannot_load_keeps_all_from_it():
    path = folder / f"only{rank}"
    if rank == 0:
        st.save(path, st.shared(np.zeros((V, D), "float32"), "t"))
    before = updates.parameters[0].get_value()
    raised(
        (CheckpointError, OSError),
        lambda: st.load(path, updates.parameters[:1]),
        "only1" if rank else "another process cannot load",
    )
    np.testing.assert_array_equal(updates.parameters[0].get_value(), before)


@check
def a_table_larger_than_a_process_starts_in_parts():
    with ALL:
        t = st.shared(st.zeros((1001, 3)) + 7, "big", axes=("rows", None))
        subtensor_jax.bring(t)
    assert sum(s.data.shape[0] for s in t.cell.data.data.addressable_shards) == 502
    assert (t.get_value() == 7).all()


@check
def one_that_dies_is_noticed():
    if rank:
        os._exit(3)
    object.__setattr__(ALL.grid, "timeout", 3.0)
    start = time.monotonic()
    for _ in range(2):
        raised(ProcessError, lambda: step(*BATCHES[0]), "which did not come")
    assert time.monotonic() - start < 30


for name, run in CHECKS.items():
    try:
        run()
    except Exception:  # noqa: BLE001  # told to whoever asked
        problem = traceback.format_exc(limit=-4)[-2000:]
    else:
        problem = ""
    print(json.dumps({"name": name, "problem": problem}), flush=True)
os._exit(0)  # JAX would wait for the one that is gone
