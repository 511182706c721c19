"""Checkpoints go through in pieces: memory, parts, longer tables, checksums, what others wrote, and full disks."""

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import subtensor as st
from subtensor.checkpoint import safetensors as form
from subtensor.errors import CheckpointError

BACKENDS = ["numpy", "jax"]


@pytest.fixture(params=BACKENDS)
def backend(request):
    if request.param == "jax":
        pytest.importorskip("jax")
    return request.param


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(form, "PIECE", 64)


def on(backend, s):
    """A variable whose value lies where the backend keeps it."""
    st.function([], s.sum(), backend=backend)()
    return s


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (1,), (7,), (5, 3), (2, 100), (40, 1, 2), (3, 0)])
@pytest.mark.parametrize("dtype", ["bool", "int8", "float16", "float64"])
def test_pieces_of_any_shape_come_back(tmp_path, backend, shape, dtype):
    rng = np.random.default_rng(0)
    value = rng.integers(0, 2, shape).astype(dtype)
    a, b = (on(backend, st.shared(v, "a")) for v in (value, np.zeros(shape, dtype)))
    st.save(tmp_path / "c", a)
    st.load(tmp_path / "c", b)
    np.testing.assert_array_equal(b.get_value(), value)
    assert b.get_value().shape == shape


def test_other_readers_and_writers_agree(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    values = {'é\n"x': np.arange(6.0).reshape(2, 3), "b": np.array([True, False, True]), "s": np.array(3, "uint16")}
    ours = {name: st.shared(v) for name, v in values.items()}
    st.save(tmp_path / "ours", ours)
    found = numpy.load_file(tmp_path / "ours")
    for name, value in values.items():
        np.testing.assert_array_equal(found[name], value)
    numpy.save_file({n: np.asarray(v + v) for n, v in values.items()}, tmp_path / "theirs", {"writer": "another"})
    st.load(tmp_path / "theirs", ours)
    for name, value in values.items():
        np.testing.assert_array_equal(ours[name].get_value(), value + value)


def test_any_flipped_bit_is_found(tmp_path):
    values = {"x": np.arange(5, dtype="float32"), "y": np.array([True, False])}
    variables = {name: st.shared(v) for name, v in values.items()}
    st.save(tmp_path / "c", variables)
    whole = (tmp_path / "c").read_bytes()
    begin = 8 + int.from_bytes(whole[:8], "little")
    for at in range(len(whole)):
        for bit in (0, 3, 7):
            damaged = bytearray(whole)
            damaged[at] ^= 1 << bit
            (tmp_path / "c").write_bytes(damaged)
            try:
                st.load(tmp_path / "c", variables)
            except CheckpointError:
                pass
            else:
                assert at < begin, f"bit {bit} of byte {at}"  # of the metadata, or of the filling
            for name, value in values.items():
                np.testing.assert_array_equal(variables[name].get_value(), value)


def test_a_checksum_that_differs_names_the_value(tmp_path):
    x = st.shared(np.arange(5.0), "x")
    st.save(tmp_path / "c", x)
    damaged = bytearray((tmp_path / "c").read_bytes())
    damaged[-1] ^= 1
    (tmp_path / "c").write_bytes(damaged)
    with pytest.raises(
        CheckpointError, match=r"the bytes of x in .*c are not those that were written: its checksum is"
    ):
        st.load(tmp_path / "c", x)


def test_bools_are_zero_or_one(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    numpy.save_file({"b": np.array([True, False])}, tmp_path / "c")  # without checksums
    content = bytearray((tmp_path / "c").read_bytes())
    content[-1] = 2
    (tmp_path / "c").write_bytes(content)
    b = st.shared(np.array([True, True]), "b")
    with pytest.raises(CheckpointError, match=r"b in .*c is bool, and has bytes other than 0 and 1"):
        st.load(tmp_path / "c", b)
    assert b.get_value().tolist() == [True, True]


@pytest.mark.parametrize(
    ("entry", "length"),
    [
        ({"dtype": "F32", "shape": [1], "data_offsets": [0, 8]}, 8),
        ({"dtype": "F32", "shape": [2], "data_offsets": [4, 12]}, 12),
        ({"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}, 8),
        ({"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, 9),
        ({"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, 7),
        ({"dtype": "F32", "shape": [True, 2], "data_offsets": [0, 8]}, 8),
        ({"dtype": "F32", "shape": 2, "data_offsets": [0, 8]}, 8),
        ({"dtype": "F32"}, 8),
        ([], 8),
    ],
)
def test_headers_that_lie(tmp_path, entry, length):
    text = json.dumps({"x": entry}).encode()
    (tmp_path / "c").write_bytes(len(text).to_bytes(8, "little") + text + b"\0" * length)
    x = st.shared(np.ones(2, "float32"), "x")
    with pytest.raises(CheckpointError, match="not a whole safetensors file"):
        st.load(tmp_path / "c", x)
    assert x.get_value().tolist() == [1, 1]


def test_names_of_a_foreign_file_reach_no_terminal_unescaped(tmp_path):
    st.save(tmp_path / "c", {"\x1b[31mred": st.shared(1.0), "x": st.shared(2.0)})
    with pytest.raises(CheckpointError, match=r"it holds '\\x1b\[31mred', which the model has not"):
        st.load(tmp_path / "c", st.shared(1.0, "x"))


@pytest.mark.usefixtures("small_pieces")
def test_a_part_by_name(tmp_path):
    x, y = st.shared(np.ones(3), "x"), st.shared(np.ones(4), "y")
    st.save(tmp_path / "c", {"x": st.shared(np.zeros(3)), "z": st.shared(np.zeros(1)), "y": st.shared(np.zeros(4))})
    with pytest.raises(CheckpointError, match="it holds z, which the model has not; expected the same names, or only="):
        st.load(tmp_path / "c", [x, y])
    st.load(tmp_path / "c", [x, y], only=["y"])
    assert x.get_value().sum() == 3
    assert y.get_value().sum() == 0
    st.load(tmp_path / "c", [x, y], only="x")
    assert x.get_value().sum() == 0
    with pytest.raises(
        CheckpointError, match="only='w' is none of the variables that were given; expected some of x, y"
    ):
        st.load(tmp_path / "c", [x, y], only=["w"])
    with pytest.raises(CheckpointError, match="it lacks w"):
        st.load(tmp_path / "c", [x, st.shared(1.0, "w")], only=["x", "w"])


@pytest.mark.usefixtures("small_pieces")
def test_a_part_by_rows(tmp_path, backend):
    value = np.arange(40.0).reshape(20, 2)
    st.save(tmp_path / "c", {"t": st.shared(value), "n": st.shared(7)})
    t, n = on(backend, st.shared(np.zeros((20, 2)), "t")), st.shared(0, "n")
    for rows in (slice(3, 5), slice(-2, None), slice(0, 0)):
        t.set_value(np.zeros((20, 2)))
        st.load(tmp_path / "c", [t, n], rows=rows)
        due = np.zeros((20, 2))
        due[rows] = value[rows]
        np.testing.assert_array_equal(t.get_value(), due)
        assert n.get_value() == 7
    for rows, words in ((slice(0, 5, 2), "has the step 2; expected 1"), (slice(0, 21), "expected rows that both have")):
        with pytest.raises(CheckpointError, match=words):
            st.load(tmp_path / "c", [t, n], rows=rows)
    longer = st.shared(np.zeros((30, 2)), "t")
    st.load(tmp_path / "c", longer, only="t", rows=slice(0, 20))
    np.testing.assert_array_equal(longer.get_value()[:20], value)


@pytest.mark.usefixtures("small_pieces")
def test_a_table_that_grew(tmp_path, backend):
    value = np.arange(10.0).reshape(5, 2)
    st.save(tmp_path / "c", st.shared(value, "t"))
    t = on(backend, st.shared(np.full((8, 2), -1.0), "t"))
    with pytest.raises(CheckpointError, match="or grown=True, which loads the first rows of a longer table"):
        st.load(tmp_path / "c", t)
    st.load(tmp_path / "c", t, grown=True)
    np.testing.assert_array_equal(t.get_value()[:5], value)
    assert (t.get_value()[5:] == -1).all()
    for shape in ((3, 2), (8, 3), (8,)):
        other = st.shared(np.zeros(shape), "t")
        with pytest.raises(CheckpointError, match=r"t in .* is float64 of shape"):
            st.load(tmp_path / "c", other, grown=True)


def test_optimizer_state_grows_too(tmp_path):
    def model(rows):
        t, i = st.shared(np.ones((rows, 2)), "t"), st.lvector("i")
        updates = st.optimizers.adam((t[i] ** 2).sum(), t[i])
        return t, updates, st.function([i], updates=updates)

    _, updates, step = model(4)
    step([1, 1, 3])
    st.save(tmp_path / "c", updates)
    t, more, step = model(6)
    st.load(tmp_path / "c", more, grown=True)
    for old, new in zip(updates.state, more.state, strict=True):
        np.testing.assert_array_equal(new.get_value()[:4], old.get_value())
        assert not new.get_value()[4:].any()
    step([5])
    assert t.get_value()[5, 0] != 1


def test_a_variable_that_starts_as_an_expression(tmp_path):
    a = st.shared(st.full((3,), 2.0), "a")
    st.save(tmp_path / "c", a)
    b = st.shared(st.zeros((3,)), "b")
    st.load(tmp_path / "c", {"a": b})
    step = st.function([], b.sum(), updates=[(b, b + 1)])
    assert step() == 6
    assert step() == 9
    c = st.shared(st.ones((4,)), "a")
    st.load(tmp_path / "c", c, grown=True)
    assert c.get_value().tolist() == [2, 2, 2, 1]


def test_what_killed_saves_left_is_removed_by_the_next(tmp_path):
    x = st.shared(1.0, "x")
    st.save(tmp_path / "c", x)
    from subtensor.checkpoint.files import prefix

    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    left = tmp_path / f"{prefix(tmp_path / 'c')}abc.{dead.pid}.partial"
    mine = tmp_path / f"{prefix(tmp_path / 'd')}abc.{dead.pid}.partial"
    for path in (left, mine):
        path.write_bytes(b"")
    st.save(tmp_path / "c", x)
    assert not left.exists()
    assert mine.exists()  # of another checkpoint


def test_a_long_name_of_a_file(tmp_path):
    x = st.shared(1.0, "x")
    path = tmp_path / ("n" * 255)
    st.save(path, x)
    st.load(path, x)


def test_a_full_disk_names_the_file_and_keeps_the_old_one(tmp_path):
    program = textwrap.dedent("""
        import resource, sys, numpy as np, subtensor as st
        x = st.shared(np.ones(1000), "x")
        st.save(sys.argv[1], x)
        y = st.shared(np.zeros(10**6), "x")
        resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6))
        try:
            st.save(sys.argv[1], y)
        except OSError as error:
            assert sys.argv[1] in str(error), error
        else:
            raise AssertionError
        st.load(sys.argv[1], x)
        assert x.get_value().sum() == 1000
    """)
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "c")], check=True)
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


def test_saving_and_loading_take_no_memory(tmp_path, backend):
    program = textwrap.dedent("""
        import resource, sys, numpy as np, subtensor as st
        peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        t = st.shared(st.full((2_000_000, 32), 0.5, dtype="float32"), "t")  # 256 MB
        i = st.lvector("i")
        st.function([i], updates=[(t, t[i].inc(1))], backend=sys.argv[2])([1, 2])
        small = st.shared(st.zeros((1000, 32), dtype="float32"), "t")
        st.save(sys.argv[1], small)
        st.load(sys.argv[1], small)
        before = peak()
        st.save(sys.argv[1], t)
        saved = peak()
        st.load(sys.argv[1], t)
        print(saved - before, peak() - saved)
        assert peak() - before < 60, (before, saved, peak())
    """)
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "c"), backend], check=True)


def test_a_bar_is_shown_when_asked_for(tmp_path, capsys):
    pytest.importorskip("tqdm")
    x = st.shared(np.zeros(1000), "x")
    st.save(tmp_path / "c", x)
    assert capsys.readouterr().err == ""
    st.save(tmp_path / "c", x, progress=True)
    assert "saving c" in capsys.readouterr().err
    st.load(tmp_path / "c", x, progress=True)
    assert "loading c" in capsys.readouterr().err
