"""Checkpoints: what is saved comes back, bad files change nothing, and a kill leaves the old file or the new one."""

import json
import os
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from optimizer_models import BACKENDS, Model, batches, table

import subtensor as st
from subtensor import checkpoint
from subtensor.errors import CheckpointError


def values(variables):
    return {s.name: s.get_value() for s in variables}


@pytest.mark.parametrize("backend", BACKENDS)
def test_training_goes_on_as_if_it_had_not_stopped(tmp_path, backend):
    given = batches(steps=6)
    whole = Model("adam", table(), backend=backend)
    whole.train(given)
    first, second = Model("adam", table(), backend=backend), Model("adam", np.zeros_like(table()), backend=backend)
    first.train(given[:3])
    st.save(tmp_path / "c.safetensors", first.updates)
    second.train(given[:1])
    st.load(tmp_path / "c.safetensors", second.updates)
    second.train(given[3:])
    np.testing.assert_array_equal(second.table.get_value(), whole.table.get_value())
    for name, value in whole.state().items():
        np.testing.assert_array_equal(second.state()[name], value)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float16", "float32", "float64"])
def test_dtypes_shapes_and_bits(tmp_path, dtype):
    rng = np.random.default_rng(0)
    kept = {
        "scalar": np.array(1, dtype),
        "empty": np.zeros((0, 3), dtype),
        "matrix": rng.integers(0, 2, (3, 4)).astype(dtype),
    }
    if dtype.startswith("float"):
        kept["odd"] = np.array([np.nan, -0.0, np.inf, np.finfo(dtype).tiny], dtype)
    a = {name: st.shared(v) for name, v in kept.items()}
    b = {name: st.shared(np.zeros_like(v)) for name, v in kept.items()}
    st.save(tmp_path / "c", a)
    st.load(tmp_path / "c", b)
    for name, value in kept.items():
        assert b[name].get_value().tobytes() == value.tobytes()


def test_the_ways_to_say_what(tmp_path):
    x, y = st.shared(1.0, "x"), st.shared(2.0, "y")
    for what, names in (
        (x, {"x"}), ([x, y], {"x", "y"}), ({"a": x, "b": y}, {"a", "b"}), ([x, {"b": y}, [x]], {"x", "b"}),
    ):  # fmt: skip
        st.save(tmp_path / "c", what)
        from safetensors.numpy import load_file

        assert set(load_file(tmp_path / "c")) == names


def test_names_must_tell_variables_apart(tmp_path):
    for what, words in (
        (st.shared(1.0), "has no name"),
        ([st.shared(1.0, "x"), st.shared(2.0, "x")], "two variables are called 'x'"),
        ([], "no variables"),
        (st.scalar("x"), "not a shared variable"),
        ({"__metadata__": st.shared(1.0)}, "'__metadata__' is the format's own"),
        (st.shared(1.0, "__metadata__"), "'__metadata__' is the format's own"),
        ({1: st.shared(1.0)}, "the name 1 is int; expected a string"),
        ({0: st.shared(1.0)}, "the name 0 is int; expected a string"),
        ({"x": st.shared(1.0), "\ud800": st.shared(1.0)}, "has no UTF-8 form"),
    ):
        with pytest.raises(CheckpointError, match=words):
            st.save(tmp_path / "c", what)
        with pytest.raises(CheckpointError, match=words):
            st.load(tmp_path / "c", what)
    assert not list(tmp_path.iterdir())


def two_adams(start=0.0):
    w, b = st.shared(np.full(3, start), "w"), st.shared(start, "b")
    cost = ((w - 1) ** 2).sum() + (b - 2) ** 2
    updates = [st.optimizers.adam(cost, [s], rate) for s, rate in ((w, 0.1), (b, 0.2))]
    steps = [st.function([], [], updates=u) for u in updates]
    return updates, steps, [w, b]


def test_two_updates_may_own_state_of_one_name(tmp_path):
    updates, (first, second), whole = two_adams()
    other, steps, variables = two_adams(7.0)
    for step in (first, first, second):
        step()
    st.save(tmp_path / "c", updates)
    st.load(tmp_path / "c", other[::-1])
    from safetensors.numpy import load_file

    assert {n for n in load_file(tmp_path / "c") if n.endswith("steps")} == {"w.adam.steps", "b.adam.steps"}
    for step in (first, second, *steps):
        step()
    for s, kept in zip(variables, whole, strict=True):
        np.testing.assert_array_equal(s.get_value(), kept.get_value())
    st.save(tmp_path / "one", [updates[0], {"extra": whole[1]}])  # alone, it keeps its own name
    assert "adam.steps" in load_file(tmp_path / "one")
    st.save(tmp_path / "twice", [updates[0], updates[0]])
    assert "adam.steps" in load_file(tmp_path / "twice")


def test_a_dtype_that_is_not_ours_is_named(tmp_path):
    x, h = ({"dtype": d, "shape": [1], "data_offsets": at} for d, at in (("F32", [0, 4]), ("F8_E5M2", [4, 5])))
    header = json.dumps({"x": x, "h": h}).encode()
    (tmp_path / "c").write_bytes(len(header).to_bytes(8, "little") + header + b"\0" * 5)
    x = st.shared(np.ones(1, "float32"), "x")
    with pytest.raises(
        CheckpointError, match=r"h in .*c has dtype F8_E5M2, which subtensor has not; expected one of BF16"
    ):
        st.load(tmp_path / "c", [x, st.shared(np.ones(1, "float32"), "h")])
    assert x.get_value() == 1


def test_bad_files_change_nothing(tmp_path):
    x, y = st.shared(np.arange(6.0).reshape(2, 3), "x"), st.shared(np.arange(4), "y")
    before = values([x, y])
    path = tmp_path / "c"
    st.save(path, [x, y])
    whole = path.read_bytes()
    files = {
        "truncated": (whole[:-5], "not a whole safetensors file"),
        "cut in the header": (whole[:20], "not a whole safetensors file"),
        "empty": (b"", "not a whole safetensors file"),
        "a pickle": (b"\x80\x04K\x01.", "not a whole safetensors file"),
        "text": (b"x = 1\n" * 100, "not a whole safetensors file"),
    }
    others = {
        "another model": ([st.shared(1.0, "w"), x], "it lacks y; it holds w"),
        "another shape": (
            [st.shared(np.zeros((3, 3)), "x"), y],
            r"x in .* is float64 of shape \(3, 3\); expected",
        ),
        "another dtype": ([st.shared(np.zeros((2, 3), "float32"), "x"), y], "x in .* is float32"),
        "y after a good x": ([x, st.shared(np.zeros(5, int), "y")], "y in .* of shape"),
    }
    for name, (content, words) in files.items():
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=words):
            st.load(path, [x, y])
        assert name
    for name, (variables, words) in others.items():
        st.save(path, variables)
        with pytest.raises(CheckpointError, match=words):
            st.load(path, [x, y])
        assert name
    with pytest.raises(FileNotFoundError):
        st.load(tmp_path / "absent", [x, y])
    for name, value in before.items():
        np.testing.assert_array_equal(values([x, y])[name], value)


def test_lengths_left_open_may_differ(tmp_path):
    x = st.shared(np.zeros((2, 3)), "x", shape=(None, 3))
    st.save(tmp_path / "c", st.shared(np.ones((5, 3)), "x"))
    st.load(tmp_path / "c", x)
    assert x.get_value().shape == (5, 3)


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    x = st.shared(1.0, "x")
    st.save(tmp_path / "c", x)
    old = (tmp_path / "c").read_bytes()
    for function in ("fsync", "replace"):

        def fails(*_):
            raise OSError("no space left")

        with monkeypatch.context() as m:
            m.setattr(os, function, fails)
            x.set_value(2.0)
            with pytest.raises(OSError, match="no space left"):
                st.save(tmp_path / "c", x)
        assert (tmp_path / "c").read_bytes() == old
        assert [p.name for p in tmp_path.iterdir()] == ["c"]


def test_a_kill_leaves_the_old_file_or_the_new_one(tmp_path):
    program = textwrap.dedent("""
        import sys, numpy as np, subtensor as st
        x = st.shared(np.zeros(500_000), "x")
        for n in range(10**6):
            x.set_value(np.full(500_000, float(n)))
            st.save(sys.argv[1], x)
            if n == 0:
                print("begun", flush=True)
    """)
    x = st.shared(np.zeros(500_000), "x")
    for wait in (0.003, 0.011, 0.05):
        with subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "c")], stdout=subprocess.PIPE) as child:
            assert child.stdout.readline() == b"begun\n"
            time.sleep(wait)
            child.kill()
        st.load(tmp_path / "c", x)
        assert len(np.unique(x.get_value())) == 1


def test_a_load_while_others_step_is_seen_whole(tmp_path):
    """A function reads two variables that a load replaces: it never sees one new and one old."""
    import threading

    x, y = st.shared(0.0, "x"), st.shared(0.0, "y")
    read = st.function([], [x, y])
    for n in (1.0, 2.0):
        st.save(tmp_path / f"{n:g}", {"x": st.shared(n), "y": st.shared(n)})
    st.load(tmp_path / "1", [x, y])
    seen, stop = set(), threading.Event()

    def watch():
        while not stop.is_set():
            seen.add(tuple(float(v) for v in read()))

    thread = threading.Thread(target=watch)
    thread.start()
    for n in range(100):
        st.load(tmp_path / f"{n % 2 + 1}", [x, y])
    stop.set()
    thread.join()
    assert seen <= {(1.0, 1.0), (2.0, 2.0)}


def test_nothing_is_pickled():
    assert "pickle" not in vars(checkpoint)
