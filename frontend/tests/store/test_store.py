"""Stores: what they keep, who may write, what is refused, and what is left when things end in the middle."""

import gc
import json
import os
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from kill_store import Model, differences, kill_in_a_loop

import subtensor as st
from subtensor.store import files, journal

pytestmark = [
    pytest.mark.once,
    pytest.mark.numpy_only("a store lies in files, which only backends over NumPy arrays write"),
]


def model(store=None, rows=6, shape=None):
    t, i = st.shared(np.ones((rows, 2), "float32"), name="t", shape=shape), st.lvector("i")
    updates = st.optimizers.adam((t[i] ** 2).sum(), t[i], 0.1)
    if store is not None:
        store.keep(updates)
    return t, updates, st.function([i], t[i].sum(), updates=updates)


def values(updates):
    return {s.name: s.get_value() for s in (*updates.parameters, *updates.state)}


def equal(a, b):
    assert set(a) == set(b)
    for name, value in a.items():
        np.testing.assert_array_equal(value, b[name])


@pytest.mark.parametrize("survives", ["kill", "power", None])
def test_training_goes_on_where_it_was(tmp_path, survives):
    _, due, alone = model()
    for ids in ([1, 2, 2], [0], [5, 1]):
        alone(ids)
        with st.Store(tmp_path / "s", survives=survives) as store:
            _, updates, step = model(store)
            step(ids)
            equal(values(updates), values(due))
            steps = store.steps
        assert steps == len(values(due)["t.adam.count"]) - 6 + steps
    for name, value in values(due).items():
        np.testing.assert_array_equal(np.load(tmp_path / "s" / f"{name}.npy", mmap_mode="r"), value)


def test_a_failing_step_changes_nothing(tmp_path):
    with st.Store(tmp_path / "s") as store:
        _, updates, step = model(store)
        step([1])
        before = values(updates)
        with pytest.raises(IndexError):
            step([1, 6])
        equal(values(updates), before)
        assert store.steps == 1


def test_what_a_store_says(tmp_path):
    with st.Store(tmp_path / "s") as store:
        assert len(store) == 0
        assert repr(store).endswith(": 0 tables>")
        t = store.shared(st.zeros((3, 2)), "t")
        again = store.shared(7, "n")
        assert list(store) == ["t", "n"]
        assert "t" in store
        assert "u" not in store
        assert store["t"] is t
        assert store.variables["n"] is again
        with pytest.raises(KeyError, match="has no table 'u'; it has t, n"):
            store["u"]
        t.set_value(np.ones((3, 2)))
        t.set_value(np.full((3, 2), 2.0), borrow=True)
        assert store.steps == 2
    assert repr(store).endswith(": closed>")
    with st.Store(tmp_path / "s", "r") as store:
        assert store["t"].get_value().sum() == 12
        assert store["n"].get_value() == 7
        assert store["t"].type.shape == (3, 2)


@pytest.mark.parametrize("name", ["a/b", ".hidden", "..", "ü", "a b", "x" * 60, "%2F", "CON:"])
def test_any_name(tmp_path, name):
    with st.Store(tmp_path / "s") as store:
        store.shared([1, 2], name)
    assert {p.parent for p in (tmp_path / "s").iterdir()} == {tmp_path / "s"}
    with st.Store(tmp_path / "s", "r") as store:
        assert store[name].get_value().tolist() == [1, 2]


@pytest.mark.parametrize(
    "value", [3, True, np.zeros((0, 3)), np.arange(5, dtype="uint8"), np.ones((2, 1, 3), "float16")]
)
def test_any_value(tmp_path, value):
    with st.Store(tmp_path / "s") as store:
        t = store.shared(value, "t")
        st.function([], updates=[(t, t)])()
        t.set_value(np.asarray(value))
    with st.Store(tmp_path / "s") as store:
        np.testing.assert_array_equal(store["t"].get_value(), value)
        assert store["t"].dtype == np.asarray(value).dtype
    np.testing.assert_array_equal(np.load(tmp_path / "s" / "t.npy"), value)


# --- who may write


def test_a_second_writer_is_refused(tmp_path):
    program = f"import subtensor as st; st.Store({str(tmp_path / 's')!r})"
    with st.Store(tmp_path / "s") as store:
        with pytest.raises(st.StoreError, match="is open for writing already, in process"):
            st.Store(tmp_path / "s")
        run = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
        assert "StoreError: the store" in run.stderr
        store.shared(1.0, "x")
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_store_that_is_dropped_lets_go(tmp_path):
    store = st.Store(tmp_path / "s")
    del store
    gc.collect()
    st.Store(tmp_path / "s").close()


def test_readers_see_what_is_there_and_change_nothing(tmp_path):
    with st.Store(tmp_path / "s") as store:
        t, _, step = model(store)
        with st.Store(tmp_path / "s", "r") as reader:
            step([1])
            np.testing.assert_array_equal(reader["t"].get_value(), t.get_value())
            for update in (reader["t"] * 2, reader["t"][0].inc(1), reader["t"][[0, 1]].inc(1), reader["t"][0].set(1)):
                with pytest.raises(st.StoreError, match="open with mode='r'"):
                    st.function([], updates=[(reader["t"], update)])()
            for act in (
                lambda: reader["t"].set_value(np.zeros((6, 2), "float32")),
                lambda: reader.grow(reader["t"], 8),
                lambda: reader.shared(1, "new"),
                lambda: st.save(reader, {"t": t}),
            ):
                with pytest.raises(st.StoreError, match="open with mode='r'"):
                    act()
            reader.flush()
        before = t.get_value()
    np.testing.assert_array_equal(np.load(tmp_path / "s" / "t.npy"), before)


def test_modes(tmp_path):
    for mode in ("r", "r+"):
        with pytest.raises(st.StoreError, match=r"is no store: it has no manifest.json"):
            st.Store(tmp_path / "s", mode)
    st.Store(tmp_path / "s", "x").close()
    with pytest.raises(st.StoreError, match="is a store already"):
        st.Store(tmp_path / "s", "x")
    st.Store(tmp_path / "s", "r+").close()
    with pytest.raises(st.StoreError, match="mode='w'; expected"):
        st.Store(tmp_path / "s", "w")
    with pytest.raises(st.StoreError, match="survives='fire'; expected"):
        st.Store(tmp_path / "s", survives="fire")


def test_a_closed_store_can_be_read_and_not_written(tmp_path):
    with st.Store(tmp_path / "s") as store:
        t, _, step = model(store)
    assert t.get_value().sum() == 12
    for act in (lambda: step([1]), lambda: t.set_value(t.get_value()), store.flush, lambda: store.keep(t)):
        with pytest.raises(st.StoreError, match="is closed; open it again"):
            act()
    store.close()
    assert t.get_value().sum() == 12


def test_other_backends_are_refused(tmp_path):
    pytest.importorskip("jax")
    with st.Store(tmp_path / "s") as store:
        t, *_ = model(store)
        with pytest.raises(
            st.StoreError, match=r"the value lies in the store .*, where the backend 'jax' cannot write"
        ):
            st.function([], t.sum(), backend="jax")()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_fork_does_not_write(tmp_path):
    program = textwrap.dedent("""
        import os, sys, subtensor as st
        with st.Store(sys.argv[1]) as store:
            x = store.shared(1.0, "x")
            if not os.fork():
                try:
                    x.set_value(2.0)
                except st.StoreError as error:
                    assert "was opened before a fork" in str(error)
                    os._exit(0 if x.get_value() == 1 else 1)
                os._exit(1)
            assert os.wait()[1] == 0
            x.set_value(3.0)
    """)
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "s")], check=True)
    with st.Store(tmp_path / "s", "r") as store:
        assert store["x"].get_value() == 3


# --- what does not fit


def test_what_does_not_fit_is_refused_and_nothing_changes(tmp_path):
    with st.Store(tmp_path / "s") as store:
        store.shared(np.ones((3, 2)), "t")
    with st.Store(tmp_path / "s") as store:
        new = st.shared(0.0, "new")
        for other in (np.ones((4, 2)), np.ones((3, 2), "float32"), np.ones(3)):
            with pytest.raises(st.StoreError, match=r"keep: t in the store .* is float64 of shape"):
                store.keep([new, st.shared(other, "t")])
        assert list(store) == ["t"]
        assert not (tmp_path / "s" / "new.npy").exists()
        t = store["t"]
        with pytest.raises(st.StoreError, match="has a variable already"):
            store.keep(st.shared(np.ones((3, 2)), "t"))
        with st.Store(tmp_path / "other") as second, pytest.raises(st.StoreError, match="expected one of no store"):
            second.keep(t)


@pytest.fixture
def folder(tmp_path):
    with st.Store(tmp_path / "s") as store:
        model(store)[2]([1])
    return tmp_path / "s"


def edit(folder, **changes):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["tables"]["t"].update(changes)
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("mode", ["a", "r"])
def test_damage_is_named(folder, mode):
    path = folder / "t.npy"
    whole = path.read_bytes()

    def cut():
        path.write_bytes(whole[:-1])

    def cut_in_the_header():
        path.write_bytes(whole[:50])

    def another():
        path.write_bytes(b"x" * len(whole))

    def fortran():
        np.save(path, np.asfortranarray(np.ones((6, 2), "float32")))

    def swapped():
        np.save(path, np.ones((6, 2), ">f4"))

    def dtype():
        np.save(path, np.ones((6, 2)))

    for damage, words in (
        (cut, "has 175 bytes; expected 176, for float32 of shape .6, 2.: it was cut short"),
        (cut_in_the_header, r"t\.npy is no .npy file"),
        (another, r"t\.npy is no .npy file"),
        (fortran, "in Fortran order"),
        (swapped, "of another byte order"),
        (dtype, r"t\.npy holds float64 of shape \(6, 2\); expected float32"),
        (path.unlink, r"lacks the file t\.npy"),
        (lambda: edit(folder, dtype="float16"), r"t\.npy holds float32"),
        (lambda: edit(folder, file="../t.npy"), "which is not in its folder"),
        (lambda: edit(folder, shape=None), "is no manifest of a store"),
        (lambda: (folder / "manifest.json").write_text("{}"), "is no manifest of a store"),
        (lambda: (folder / "manifest.json").write_text('{"format": 9}'), "is of format 9, expected 1"),
    ):
        before = (folder / "manifest.json").read_bytes()
        damage()
        with pytest.raises(st.StoreError, match=words):
            st.Store(folder, mode)
        path.write_bytes(whole)
        (folder / "manifest.json").write_bytes(before)
    st.Store(folder, mode).close()


def test_a_file_that_is_no_journal(folder):
    (folder / "journal").write_bytes(b"x" * 8192)
    with pytest.raises(st.StoreError, match="is no journal of a store"):
        st.Store(folder)


# --- what ends in the middle


@pytest.mark.parametrize("survives", ["kill", "power"])
@pytest.mark.parametrize(
    "update",
    [
        lambda t, i: t[i].inc(1.0),
        lambda t, i: t[-i].set(2.0),
        lambda t, i: t * 2,
        lambda t, i: t[1:5:2].inc(1.0),
        lambda t, i: t[::-2, 0].set(3.0),
        lambda t, i: t[3].inc(1.0),
        lambda t, i: t[i, i % 2].inc(1.0),
        lambda t, i: t[:, i % 2].set(4.0),
        lambda t, i: t[i.reshape((1, -1))].inc(1.0),
        lambda t, i: t[t > 0].set(5.0),
        lambda t, i: t[i[:0]].inc(1.0),
        lambda t, i: t[i].inc(1.0)[2:4].set(6.0),
    ],
)
def test_a_step_that_was_not_finished_is_undone(tmp_path, survives, update):
    """The step is made, and the mark that it is under way put back: as if the process had ended just before."""
    i = st.lvector("i")
    with st.Store(tmp_path / "s", survives=survives) as store:
        t = store.shared(np.arange(12.0).reshape(6, 2), "t")
        n = store.shared(0, "n")
        step = st.function([i], updates=[(t, update(t, i)), (n, n + 1)], on_unused_input="ignore")
        step([1, 1, 4])
        before = t.get_value()
        step([0, 2, 2])
        after = t.get_value()
        written = store._journal.end
        shutil.copytree(tmp_path / "s", tmp_path / "done")
        begin = journal.PAGE if survives == "kill" else list(store._journal._whole_records())[-1]
        store._journal.head[journal._OPEN] = begin
        shutil.copytree(tmp_path / "s", tmp_path / "cut")
        store._journal.head[journal._OPEN] = 0
    assert written > journal.PAGE
    with st.Store(tmp_path / "done", survives=survives) as store:
        np.testing.assert_array_equal(store["t"].get_value(), after)
        assert store["n"].get_value() == 2
    with pytest.raises(st.StoreError, match="left in the middle of a step; open it for writing once"):
        st.Store(tmp_path / "cut", "r")
    with st.Store(tmp_path / "cut", survives=survives) as store:
        np.testing.assert_array_equal(store["t"].get_value(), before)
        assert store["n"].get_value() == 1


def test_nothing_noted_is_noticed(tmp_path):
    with st.Store(tmp_path / "s", survives=None) as store:
        t, _, step = model(store)
        step([1])
        store._protect([])[0][0]()  # a step begins
        shutil.copytree(tmp_path / "s", tmp_path / "cut")
        store._journal.forget()
        due = t.get_value()
    with pytest.raises(st.StoreError, match="in the middle of a step, of which nothing was noted"):
        st.Store(tmp_path / "cut")
    with st.Store(tmp_path / "cut", as_it_is=True) as store:
        np.testing.assert_array_equal(store["t"].get_value(), due)
    st.Store(tmp_path / "cut").close()


def other_boot(folder):
    with (folder / "journal").open("r+b") as file:
        file.seek(8 * journal._BOOT)
        file.write(b"another" + bytes(29))


def test_a_power_failure_is_noticed_where_it_is_not_survived(tmp_path):
    with st.Store(tmp_path / "s") as store:
        _, _, step = model(store)
        step([1])
        store.flush()
        shutil.copytree(tmp_path / "s", tmp_path / "flushed")
        step([1])
        shutil.copytree(tmp_path / "s", tmp_path / "not")
    for name in ("flushed", "not"):
        other_boot(tmp_path / name)
    st.Store(tmp_path / "flushed").close()
    with pytest.raises(st.StoreError, match="the machine ended while steps of the store"):
        st.Store(tmp_path / "not")
    st.Store(tmp_path / "not", as_it_is=True).close()


def test_records_of_an_earlier_round_are_not_undone(tmp_path):
    with st.Store(tmp_path / "s", survives="power") as store:
        _, updates, step = model(store)
        step([1])
        step([2, 3])
        store.flush()
        due = values(updates)
        store._journal.head[journal._DIRTY] = 1  # a step is about to be noted
        shutil.copytree(tmp_path / "s", tmp_path / "cut")
    other_boot(tmp_path / "cut")
    with st.Store(tmp_path / "cut", survives="power") as store:
        equal({n: store[n].get_value() for n in store}, due)


@pytest.mark.parametrize("seed", range(8))
def test_a_power_failure_is_undone_to_the_last_flush(tmp_path, seed):
    """Of each page the disk has some version since the flush; of the journal, the records that were synced."""
    rng = np.random.default_rng(seed)
    t, i = st.shared(st.zeros((4000, 16), dtype="float32"), name="t"), st.lvector("i")
    updates = st.optimizers.adam(((t[i] - 1) ** 2).sum(), t[i])
    updates[t] = updates[t][:50].set(3)
    step = st.function([i], updates=updates)
    versions, pages = [], 4096

    def note():
        versions.append({p.name: p.read_bytes() for p in (tmp_path / "s").glob("*.npy")})

    with st.Store(tmp_path / "s", survives="power") as store:
        store.keep(updates)
        for _ in range(3):
            step(rng.integers(0, 4000, 300))
        store.flush()
        due = values(updates)
        steps = store.steps
        note()
        for _ in range(rng.integers(1, 6)):
            step(rng.integers(0, 4000, 300))
            note()
        records = (tmp_path / "s" / "journal").read_bytes()
        manifest = (tmp_path / "s" / "manifest.json").read_bytes()
    cut = tmp_path / "cut"
    cut.mkdir()
    (cut / "manifest.json").write_bytes(manifest)
    (cut / "journal").write_bytes(records)
    other_boot(cut)
    for name in versions[0]:
        whole = bytearray(versions[0][name])
        for at in range(0, len(whole), pages):
            whole[at : at + pages] = versions[rng.integers(len(versions))][name][at : at + pages]
        (cut / name).write_bytes(whole)
    shutil.copytree(cut, tmp_path / "torn")
    with st.Store(cut, survives="power") as store:
        equal({n: store[n].get_value() for n in store}, due)
        assert store.steps == steps
    # the last record was not synced: it is torn, and its step wrote nothing yet
    last = versions[-2]
    for name, content in last.items():
        (tmp_path / "torn" / name).write_bytes(content)
    damaged = bytearray(records)
    begin = journal.PAGE + rng.integers(0, 64)
    rows = np.frombuffer(records, np.uint8)
    end = len(rows) - int(np.argmax(rows[::-1] != 0))
    damaged[max(begin, end - 200)] ^= 255
    (tmp_path / "torn" / "journal").write_bytes(damaged)
    other_boot(tmp_path / "torn")
    with st.Store(tmp_path / "torn", survives="power") as store:
        equal({n: store[n].get_value() for n in store}, due)


def test_a_durable_journal_is_emptied_before_it_is_too_long(tmp_path, monkeypatch):
    monkeypatch.setattr("subtensor.store.store.MOST", 20_000)
    with st.Store(tmp_path / "s", survives="power") as store:
        _, _, step = model(store)
        for _ in range(100):
            step([1, 2])
        assert (tmp_path / "s" / "journal").stat().st_size <= 2 << 20
        assert store._journal.end < 30_000


def test_a_journal_grows_with_a_step(tmp_path):
    with st.Store(tmp_path / "s") as store:
        t = store.shared(st.zeros((100_000, 8)), "t")
        step = st.function([], updates=[(t, t + 1)])
        step()
        step()
        before = t.get_value()
        step()
        store._journal.head[journal._OPEN] = journal.PAGE
        store._undo()
        np.testing.assert_array_equal(t.get_value(), before)


# --- longer tables


def test_tables_grow_together(tmp_path):
    with st.Store(tmp_path / "s") as store:
        t, updates, step = model(store, shape=(None, 2))
        step([5, 5])
        states = [s for s in updates.state if s.ndim]
        store.grow([t, *states], 9, {"t": 0.5})
        assert t.get_value()[6:].tolist() == [[0.5, 0.5]] * 3
        assert {len(s.get_value()) for s in states} == {9}
        assert not any(s.get_value()[6:].any() for s in states)
        step([8, 0])
        due = values(updates)
        with pytest.raises(st.ShapeError, match="t has 9 rows; expected"):
            store.grow(t, 4)
    np.testing.assert_array_equal(np.load(tmp_path / "s" / "t.npy"), due["t"])
    with st.Store(tmp_path / "s") as store:
        equal({n: store[n].get_value() for n in store}, due)
        with pytest.raises(st.ShapeError, match="grow: t has shape"):
            store.grow(store["t"], 20)  # a variable made from the file has its shape


def test_how_long_and_with_what(tmp_path):
    with st.Store(tmp_path / "s") as store:
        t = store.shared(np.ones((2, 2), int), "t", shape=(None, 2))
        for rows in (2.5, "5", None, True):
            with pytest.raises(st.ShapeError, match=r"grow: rows=.*; expected how many there will be"):
                store.grow(t, rows)
        for fill in (0.5, "q", [1, 2]):
            with pytest.raises(st.DTypeError, match=r"grow: "):
                store.grow(t, 5, fill)
        store.grow(t, 3, 7)
        assert t.get_value().tolist() == [[1, 1], [1, 1], [7, 7]]


def test_a_path_that_can_be_no_folder(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for path in (3, None, tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(st.StoreError, match=r"path|File exists|Not a directory"):
            st.Store(path)


def test_numba_notes_what_it_overwrites(tmp_path):
    pytest.importorskip("numba")
    with st.Store(tmp_path / "s") as store:
        t, i = store.shared(np.ones((500, 8), "float32"), "t"), st.lvector("i")
        m = store.shared(np.zeros(8, "float32"), "m")
        updates = st.optimizers.adam(((t[i] - 2) ** 2).sum(), t[i])
        updates[m] = 0.9 * m + t[i].mean(axis=0).astype("float32")
        store.keep(updates)
        step = st.function([i], updates=updates, backend="numba")
        step(np.arange(400) % 77)
        before = {n: store[n].get_value() for n in store}
        step(np.arange(400) % 99)
        assert not np.array_equal(before["t"], t.get_value())
        store._journal.head[journal._OPEN] = journal.PAGE
        store._undo()
        equal({n: store[n].get_value() for n in store}, before)


@pytest.mark.parametrize("stage", ["room", "manifest", "headers"])
def test_growth_that_was_not_finished(tmp_path, stage, monkeypatch):
    with st.Store(tmp_path / "s") as store:
        t, updates, step = model(store, shape=(None, 2))
        step([1])
        due = values(updates)
        group = [t, *(s for s in updates.state if s.ndim)]

        def ends(*_, **__):
            raise KeyboardInterrupt

        where = {"room": "write_manifest", "manifest": "rewrite_header", "headers": "mapped"}[stage]
        with monkeypatch.context() as m:
            m.setattr(files, where, ends)
            with pytest.raises(KeyboardInterrupt):
                store.grow(group, 9)
        shutil.copytree(tmp_path / "s", tmp_path / "cut")
    with st.Store(tmp_path / "cut") as store:
        rows = 6 if stage == "room" else 9
        for name, value in due.items():
            have = store[name].get_value()
            assert not value.ndim or len(have) == rows
            np.testing.assert_array_equal(have[:6] if value.ndim else have, value)
            np.testing.assert_array_equal(np.load(tmp_path / "cut" / f"{name}.npy", mmap_mode="r"), have)


# --- checkpoints


def test_checkpoints_from_and_to_stores(tmp_path):
    _, due, alone = model()
    alone([1, 3, 3])
    st.save(tmp_path / "c", due)
    with st.Store(tmp_path / "s") as store:
        model(store)
        st.load(tmp_path / "c", store)
        equal({n: store[n].get_value() for n in store}, values(due))
        st.save(tmp_path / "d", store)
        _, other, _ = model()
        st.load(tmp_path / "d", other)
        equal(values(other), values(due))
        _, third, step = model()
        st.load(store, third)
        equal(values(third), values(due))
        step([2])
        steps = store.steps
        st.save(store, third)
        assert store.steps == steps + 1
        equal({n: store[n].get_value() for n in store}, values(third))
    with st.Store(tmp_path / "new") as store:
        st.save(store, third)
    with st.Store(tmp_path / "new", "r") as store:
        equal({n: store[n].get_value() for n in store}, values(third))
        with pytest.raises(st.CheckpointError, match="it lacks u"):
            st.load(store, {"u": st.shared(1.0)})


def test_a_load_that_fails_leaves_a_store_as_it_was(tmp_path, monkeypatch):
    from subtensor.checkpoint import safetensors as form

    st.save(tmp_path / "c", {"a": st.shared(np.ones(4)), "b": st.shared(np.ones(4))})
    with st.Store(tmp_path / "s") as store:
        store.keep({"a": st.shared(np.zeros(4)), "b": st.shared(np.zeros(4))})
        original = form.parts

        def fails(path, entry, start, stop):
            if fails.calls:
                raise OSError("the disk is gone")
            fails.calls += 1
            yield from original(path, entry, start, stop)

        fails.calls = 0
        monkeypatch.setattr(form, "parts", fails)
        with pytest.raises(OSError, match="the disk is gone"):
            st.load(tmp_path / "c", store)
        for name in "ab":
            assert store[name].get_value().tolist() == [0] * 4


# --- kills, and full disks


@pytest.mark.parametrize("survives", ["kill", "power"])
def test_a_kill_leaves_a_whole_step(tmp_path, survives):
    assert kill_in_a_loop(tmp_path, 4, 0, survives) > 0


def test_the_loop_of_kills_would_see_half_a_step():
    a = Model()
    a.step()
    due = a.values()
    half = {name: value.copy() for name, value in due.items()}
    half["table"][3, 1] += 1
    assert differences(half, due, grown=False) == ["table"]


FULL = """
    import resource, sys, numpy as np, subtensor as st
    folder = sys.argv[1]
    limit = lambda n: resource.setrlimit(resource.RLIMIT_FSIZE, (n, resource.RLIM_INFINITY))
    with st.Store(folder) as store:
        t = store.shared(st.zeros((10_000, 8)), "t")
        u = store.shared(st.zeros((10_000, 40)), "u")
        i = st.lvector("i")
        rows = st.function([i], updates=[(t, t[i].inc(1.0)), (u, u[i].inc(1.0))])
        rows([1])
        limit(1 << 20)
        before = store.steps
        for act in (
            lambda: rows(np.arange(10_000)),  # more than fits into the journal
            lambda: store.shared(st.zeros((1_000_000,)), "v"),
            lambda: store.shared(np.ones(1_000_000), "v"),
        ):
            try:
                act()
            except st.StoreError as error:
                assert folder in str(error), error
                assert "nothing has changed: make room" in str(error), error
            else:
                raise AssertionError(act)
        rows([2])
        assert store.steps == before + 1
        assert list(store) == ["t", "u"]
        limit(resource.RLIM_INFINITY)
        rows(np.arange(10_000))
    with st.Store(folder) as store:
        assert store["t"].get_value()[:4, 0].tolist() == [1, 2, 2, 1]
"""


def test_a_full_disk_changes_nothing(tmp_path):
    subprocess.run([sys.executable, "-c", textwrap.dedent(FULL), str(tmp_path / "s")], check=True)
