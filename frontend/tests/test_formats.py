"""Files that others write and read: word2vec's, NumPy's, and safetensors with torch's names."""

import json
import zipfile

import numpy as np
import pytest

import subtensor as st
from subtensor.errors import CheckpointError, ShapeError

RNG = np.random.default_rng(0)
WORDS = ["the", "Grüße", "</s>", "1,000"]
VECTORS = RNG.normal(size=(4, 5)).astype("float32")


def by_hand(words, vectors, *, binary, newline=True, header=True):
    """A file as word2vec's C code writes it."""
    made = f"{len(words)} {vectors.shape[1]}\n".encode() if header else b""
    for word, row in zip(words, vectors, strict=True):
        made += word.encode() + b" "
        made += row.astype("<f4").tobytes() if binary else " ".join(f"{x:.9g}" for x in row).encode() + b" "
        made += b"\n" if newline else b""
    return made


# --- word2vec


@pytest.mark.parametrize("binary", [False, True])
def test_what_is_written_is_read(tmp_path, binary):
    path = tmp_path / "w"
    table = st.shared(VECTORS, name="table")
    for vectors in (table, VECTORS, VECTORS.astype("float64")):
        st.save_word2vec(path, WORDS, vectors, binary=binary)
        words, read = st.load_word2vec(path)
        assert words == WORDS
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, VECTORS)
    assert [p.name for p in tmp_path.iterdir()] == ["w"]


@pytest.mark.parametrize("newline", [True, False])
def test_what_others_write_is_read(tmp_path, newline):
    for binary in (True, False):
        if not binary and not newline:
            continue
        (tmp_path / "w").write_bytes(by_hand(WORDS, VECTORS, binary=binary, newline=newline))
        for given in (None, binary):
            words, read = st.load_word2vec(tmp_path / "w", binary=given)
            assert words == WORDS
            np.testing.assert_array_equal(read, VECTORS)
    (tmp_path / "glove").write_bytes(by_hand(WORDS, VECTORS, binary=False, header=False))
    assert st.load_word2vec(tmp_path / "glove")[0] == WORDS
    assert st.load_word2vec(tmp_path / "glove", limit=2)[1].shape == (2, 5)


@pytest.mark.parametrize("binary", [False, True])
def test_many_rows_go_through_in_pieces(tmp_path, binary):
    rows = 10_000
    vectors = RNG.normal(size=(rows, 3)).astype("float32")
    words = [f"word{k}" for k in range(rows)]
    st.save_word2vec(tmp_path / "w", words, vectors, binary=binary)
    table = st.shared(np.zeros((rows, 3), "float32"), name="table")
    read, same = st.load_word2vec(tmp_path / "w", into=table)
    assert same is table
    assert read == words
    np.testing.assert_array_equal(table.get_value(), vectors)
    mapped = np.lib.format.open_memmap(tmp_path / "m.npy", "w+", "float32", (100, 3))
    assert st.load_word2vec(tmp_path / "w", limit=100, into=mapped)[0] == words[:100]
    np.testing.assert_array_equal(np.load(tmp_path / "m.npy"), vectors[:100])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (by_hand(WORDS, VECTORS, binary=True)[:-9], "row 3 of .* the file ends there"),
        (by_hand(WORDS, VECTORS, binary=False)[:-60], "row 3 of .* it has . numbers; expected 5"),
        (b"4 5\n" + b"a 1 2 3 4 5\n" * 3, "row 3 of .* the file ends there"),
        (b"2 2\na 1 2\nb 1 x\n", "row 1 of .* it holds what is no number"),
        (b"2 2\na 1 2\n\xff\xfe 1 2\n", "row 1 of .* its word is not UTF-8"),
        (b"word\n", "holds no vectors in its first line"),
    ],
)
def test_damage_is_named_and_changes_nothing(tmp_path, content, words):
    (tmp_path / "w").write_bytes(content)
    table = st.shared(np.ones((4, 5), "float32"), name="table", shape=(None, None))
    for into in (None, table):
        with pytest.raises(CheckpointError, match=words):
            st.load_word2vec(tmp_path / "w", into=into)
    assert (table.get_value() == 1).all()


def test_what_does_not_fit(tmp_path):
    path = tmp_path / "w"
    with pytest.raises(ShapeError, match="3 words and vectors of shape"):
        st.save_word2vec(path, WORDS[:3], VECTORS)
    with pytest.raises(CheckpointError, match="word 1 is 'a b'; expected a word without spaces"):
        st.save_word2vec(path, ["x", "a b", "c", "d"], VECTORS)
    assert not path.exists()
    st.save_word2vec(path, WORDS, VECTORS)
    with pytest.raises(ShapeError, match=r"into has shape \(3, 5\)"):
        st.load_word2vec(path, into=np.zeros((3, 5)))
    with pytest.raises(CheckpointError, match="expected float64"):
        st.load_word2vec(path, into=st.shared(np.zeros((4, 5)), name="t"))
    with pytest.raises(CheckpointError, match="limit=-1"):
        st.load_word2vec(path, limit=-1)


# --- NumPy's


def model():
    return {
        "table": st.shared(RNG.normal(size=(6, 3)), name="table"),
        "deep/er": st.shared(np.arange(8, dtype="int16").reshape(2, 2, 2)),
        "flag": st.shared(np.array([True, False]), name="flag"),
        "steps": st.shared(5, name="steps"),
        "empty": st.shared(np.zeros((0, 3), "float32"), name="empty"),
    }


def values(variables):
    return {n: v.get_value() for n, v in variables.items()}


def same(a, b):
    for n, v in a.items():
        assert v.dtype == b[n].dtype
        np.testing.assert_array_equal(v, b[n])


def test_npz_is_what_numpy_reads_and_writes(tmp_path):
    variables = model()
    kept = values(variables)
    st.save(tmp_path / "m.npz", variables)
    with np.load(tmp_path / "m.npz") as read:
        same(kept, dict(read))
    np.savez_compressed(tmp_path / "n.npz", **{n: v * 2 if v.dtype != bool else ~v for n, v in kept.items()})
    st.load(tmp_path / "n.npz", variables)
    same({n: v * 2 if v.dtype != bool else ~v for n, v in kept.items()}, values(variables))
    st.load(tmp_path / "m.npz", variables, only=["table"])
    same({"table": kept["table"]}, values(variables))


@pytest.mark.parametrize("order", ["C", "F", ">"])
def test_npy(tmp_path, order):
    value = RNG.normal(size=(7, 3))
    np.save(
        tmp_path / "t", np.asfortranarray(value) if order == "F" else value.astype(">f8") if order == ">" else value
    )
    t = st.shared(np.zeros((7, 3)), name="t")
    st.load(tmp_path / "t.npy", t)
    np.testing.assert_array_equal(t.get_value(), value)
    t.set_value(np.zeros((7, 3)))
    st.load(tmp_path / "t.npy", t, rows=slice(2, 4))
    np.testing.assert_array_equal(t.get_value()[2:4], value[2:4])
    assert not t.get_value()[[0, 1, 4, 5, 6]].any()
    st.save(tmp_path / "u.npy", t)
    np.testing.assert_array_equal(np.load(tmp_path / "u.npy"), t.get_value())


def test_nothing_is_unpickled_and_damage_changes_nothing(tmp_path):
    t = st.shared(np.ones((40, 3)), name="t")
    np.save(tmp_path / "o.npy", np.array([print, None], object))
    with pytest.raises(CheckpointError, match="holds objects, which only unpickling could read"):
        st.load(tmp_path / "o.npy", t)
    np.save(tmp_path / "c.npy", np.ones(3, complex))
    with pytest.raises(CheckpointError, match="holds NumPy dtype complex128"):
        st.load(tmp_path / "c.npy", t)
    st.save(tmp_path / "t.npy", t)
    whole = (tmp_path / "t.npy").read_bytes()
    (tmp_path / "t.npy").write_bytes(whole[:-100])
    t.set_value(np.zeros((40, 3)))
    with pytest.raises(CheckpointError, match="damaged"):
        st.load(tmp_path / "t.npy", t)
    st.save(tmp_path / "t.npz", t)
    whole = bytearray((tmp_path / "t.npz").read_bytes())
    whole[400] ^= 1
    (tmp_path / "t.npz").write_bytes(whole)
    with pytest.raises(CheckpointError, match=r"not a whole file of NumPy's .*CRC"):
        st.load(tmp_path / "t.npz", t)
    (tmp_path / "t.npz").write_bytes(whole[:300])
    with pytest.raises(CheckpointError, match=r"not a whole file of NumPy's"):
        st.load(tmp_path / "t.npz", t)
    assert not t.get_value().any()
    with pytest.raises(CheckpointError, match=r"2 variables for a \.npy file"):
        st.save(tmp_path / "x.npy", [t, st.shared(1.0, name="u")])
    with pytest.raises(CheckpointError, match="holds one array, for 2 variables"):
        st.load(tmp_path / "o.npy", [t, st.shared(1.0, name="u")])


def test_large_members_are_written_in_pieces(tmp_path):
    t = st.shared(np.arange(3_000_000.0).reshape(-1, 3), name="t")
    st.save(tmp_path / "t.npz", t)
    with zipfile.ZipFile(tmp_path / "t.npz") as archive:
        assert archive.testzip() is None
    kept = t.get_value()
    t.set_value(np.zeros_like(kept))
    st.load(tmp_path / "t.npz", t)
    np.testing.assert_array_equal(t.get_value(), kept)


# --- safetensors, as torch's users write it


def test_the_names_of_a_state_dict(tmp_path):
    """The file that ``safetensors.torch.save_file(model.state_dict(), path)`` writes: names, dtypes, no checksums."""
    entries = {"items.weight": VECTORS, "head.bias": np.ones(5, "float32"), "steps": np.array(3)}
    content, data = {"__metadata__": {"format": "pt"}}, b""
    codes = {"float32": "F32", "int64": "I64"}
    for name, value in entries.items():
        at = [len(data), len(data) + value.nbytes]
        content[name] = {"dtype": codes[value.dtype.name], "shape": list(value.shape), "data_offsets": at}
        data += value.tobytes()
    head = json.dumps(content).encode()
    (tmp_path / "torch.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + data)
    items, bias = st.shared(np.zeros((4, 5), "float32"), name="E"), st.shared(np.zeros(5, "float32"), name="b")
    st.load(
        tmp_path / "torch.safetensors", {"items.weight": items, "head.bias": bias}, only=["items.weight", "head.bias"]
    )
    np.testing.assert_array_equal(items.get_value(), VECTORS)
    st.save(tmp_path / "back.safetensors", {"items.weight": items, "head.bias": bias})
    length = int.from_bytes((tmp_path / "back.safetensors").read_bytes()[:8], "little")
    written = json.loads((tmp_path / "back.safetensors").read_bytes()[8 : 8 + length])
    assert {n: (e["dtype"], e["shape"]) for n, e in written.items() if n != "__metadata__"} == {
        "items.weight": ("F32", [4, 5]),
        "head.bias": ("F32", [5]),
    }
