"""bfloat16: stored as it is, computed in float32 and rounded; increments of 16 bits are added up before they are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import subtensor as st

ml_dtypes = pytest.importorskip("ml_dtypes")
BF = ml_dtypes.bfloat16
RNG = np.random.default_rng(0)


def run(inputs, outputs, *values):
    return st.function(inputs, outputs, on_unused_input="ignore")(*values)


@pytest.mark.parametrize("other", ["float16", "float32", "float64", "int8", "int16", "int32", "int64", "bool", "uint8"])
def test_promotion_goes_to_what_holds_both(other):
    x, y = st.tensor("x", dtype="bfloat16"), st.tensor("y", dtype=other)
    wanted = {"float16": "float32", "int16": "float32", "int32": "float64", "int64": "float64"}.get(other, other)
    assert (x + y).dtype == (y * x).dtype == (wanted if wanted.startswith("float") else "bfloat16")
    assert (x + 1).dtype == (x * 2.5).dtype == "bfloat16"


@pytest.mark.parametrize("op", [np.add, np.multiply, np.divide, np.subtract, np.maximum])
def test_arithmetic_is_float32_s_rounded_once(op):
    a, b = (RNG.normal(size=(5, 7)).astype(BF) for _ in "ab")
    x, y = st.tensor("x", dtype="bfloat16", shape=(5, 7)), st.tensor("y", dtype="bfloat16", shape=(5, 7))
    wanted = op(a.astype("float32"), b.astype("float32")).astype(BF)
    np.testing.assert_array_equal(run([x, y], getattr(st, op.__name__)(x, y), a, b), wanted)


def test_sums_do_not_stop():
    x = st.tensor("x", dtype="bfloat16", shape=(None,))
    ones = np.ones(5000, BF)
    total, mean, dot = run([x], [x.sum(), x.mean(), x @ x], ones)
    assert (float(total), float(mean), float(dot)) == (float(BF(5000)), 1.0, float(BF(5000)))
    assert total.dtype == mean.dtype == BF


def test_everything_else_goes_through():
    x, ids = st.tensor("x", dtype="bfloat16", shape=(None, 3)), st.lvector("ids")
    value = RNG.normal(size=(4, 3)).astype(BF)
    wide = value.astype("float32")
    outputs = [x[ids], x.T, st.concatenate([x, x]), x > 0.5, x.argmax(1), x.astype("int32"), st.exp(x), x[ids].set(2.0)]
    got = run([x, ids], outputs, value, [3, 0])
    written = value.copy()
    written[[3, 0]] = 2
    exp = np.exp(wide).astype(BF)
    wanted = [value[[3, 0]], value.T, np.concatenate([value, value]), wide > 0.5, wide.argmax(1), wide.astype("int32")]
    for g, w in zip(got, [*wanted, exp, written], strict=True):
        assert g.dtype == w.dtype
        np.testing.assert_array_equal(g, w)


@given(some.lists(some.floats(allow_nan=False, width=64), min_size=1, max_size=8))
@settings(max_examples=40, deadline=None)
def test_casts_round_by_way_of_float32(numbers):
    x = st.dvector("x")
    with np.errstate(over="ignore"):
        wanted = np.array(numbers).astype("float32").astype(BF)
    np.testing.assert_array_equal(run([x], x.astype("bfloat16"), np.array(numbers)), wanted)


def test_gradients_are_of_the_dtype_and_summed_wide():
    table = st.shared(np.ones((3, 2), BF), name="table")
    ids = st.lvector("ids")
    g = st.grad((table[ids] * np.float32(1e-3)).sum(), table)
    assert g.dtype == "bfloat16"
    got = run([ids], g, np.zeros(4096, int))
    np.testing.assert_array_equal(got[0].astype(float), float(BF(4096 * float(BF(1e-3)))))


@pytest.mark.parametrize("dtype", ["float16", BF])
@pytest.mark.parametrize("rewrites", [True, False])
def test_increments_are_added_up_before_they_are_rounded(dtype, rewrites):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(4, 3, 5)).astype(dtype)
    i, j = rng.integers(-4, 4, (6, 1)), rng.integers(0, 5, 7)
    keys = {
        "rows": (lambda v, a, b: v[a], np.s_[i]),
        "apart": (lambda v, a, b: v[a, :, b], (i, slice(None), j)),
        "pairs": (lambda v, a, b: v[:, 1, b], (slice(None), 1, j)),
        "slices": (lambda v, a, b: v[1:, ::-1], np.s_[1:, ::-1]),
        "columns": (lambda v, a, b: v[..., b], (Ellipsis, j)),
    }
    node = st.constant(x)
    for name, (subset, key) in keys.items():
        y = (0.01 * rng.normal(size=x[key].shape)).astype(dtype)
        a, b, value = st.lmatrix("a"), st.lvector("b"), st.tensor("y", dtype=x.dtype.name, shape=(None,) * y.ndim)
        f = st.function(
            [a, b, value], subset(node, a, b).inc(value), on_unused_input="ignore", rewrites=rewrites
        )  # fmt: skip
        wide = x.astype("float64")
        np.add.at(wide, key, y.astype("float64"))
        got = f(i, j, y)
        assert got.dtype == x.dtype
        eps = float(ml_dtypes.finfo(dtype).eps)
        np.testing.assert_allclose(got.astype("float64"), wide, rtol=0.51 * eps, atol=1e-6, err_msg=name)


def test_many_small_ones():
    for dtype, wanted in (("float16", 4.098), (BF, 4.09375)):
        table = st.shared(np.zeros((2, 3), dtype), name="table")
        st.function([], updates=[(table, table[np.zeros(4096, int)].inc(1e-3))])()
        assert np.allclose(table.get_value()[0].astype(float), wanted, atol=1e-3)
        assert not table.get_value()[1].any()


def test_shared_and_saved(tmp_path):
    values = RNG.normal(size=(5, 3)).astype(BF)
    table = st.shared(values, name="table")
    assert table.dtype == "bfloat16"
    st.save(tmp_path / "t.safetensors", [table])
    table.set_value(np.zeros((5, 3), BF))
    st.load(tmp_path / "t.safetensors", [table])
    np.testing.assert_array_equal(table.get_value(), values)


def test_a_bad_row_is_named_as_ever():
    table, ids = st.shared(np.ones((3, 2), BF), name="table"), st.lvector("ids")
    step = st.function([ids], updates=[(table, table[ids].inc(1.0))])
    with pytest.raises(st.BoundsError, match=r"table\[ids\]: index 3 at position \(1,\) of ids is out of bounds"):
        step([0, 3])
    assert (table.get_value() == 1).all()


def test_what_goes_in():
    x = st.tensor("x", dtype="bfloat16", shape=(None,))
    f = st.function([x], x + x)
    assert f([0.1, 1]).dtype == BF
    with pytest.raises(st.DTypeError, match="takes bfloat16, got float64, which does not convert safely"):
        f(np.array([0.1]))
    with pytest.raises(st.DTypeError):
        st.shared(np.zeros(2, ml_dtypes.float8_e4m3))
    with pytest.raises(st.DTypeError, match="draw float32 and cast"):
        st.random.normal(st.random.key(0), (3,), dtype="bfloat16")


@pytest.mark.numpy_only("it alters that backend")
def test_a_backend_without_it(monkeypatch):
    numpy = st.plugins.get_backend("numpy")
    monkeypatch.setattr(type(numpy), "capabilities", numpy.capabilities - {"bfloat16"})
    x = st.tensor("x", dtype="bfloat16")
    with pytest.raises(st.Unsupported, match="'bfloat16'"):
        st.function([x], x + 1)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_stochastic_rounding_is_right_on_average(dtype):
    finfo = ml_dtypes.finfo(dtype)
    tiny = float(finfo.smallest_normal)
    special = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1.0 + float(finfo.eps), float(finfo.max), 2.0]
    odd = [1.0 + float(finfo.eps) / 4, 2.0 - float(finfo.eps) / 3, -1.0 - float(finfo.eps) / 8, 0.1, -3.3, 1e-3]
    odd += [4.0 * (1 - float(finfo.eps) / 16), 1.0 - float(finfo.eps) / 8, 1.0 - float(finfo.eps) / 5]
    if dtype == "float16":
        odd += [tiny * 0.77, tiny * (1 - 1e-4), 3.7 * 2.0**-24, 0.2 * 2.0**-24, -0.9 * 2.0**-24]
    x = np.array([*special, *odd], "float32")
    v, seed = st.fvector("v"), st.lscalar("seed")
    f = st.function([v, seed], st.random.stochastic_round(st.random.key(seed), v, dtype))
    draws = np.stack([f(x, k) for k in range(600)]).astype("float64")
    near = x.astype(f(x, 0).dtype).astype("float64")
    np.testing.assert_array_equal(draws[:, : len(special)], np.broadcast_to(near, draws.shape)[:, : len(special)])
    rest, wanted = draws[:, len(special) :], x[len(special) :].astype("float64")
    for k, value in enumerate(wanted):
        found = np.unique(rest[:, k])
        assert len(found) == 2, (value, found)
        assert found[0] < value < found[1]
        step = found[1] - found[0]
        assert abs(rest[:, k].mean() - value) < 4.5 * step * 0.5 / np.sqrt(600), (value, found)
        assert np.nextafter(found[0].astype(near.dtype), np.inf) <= found[1]
    bits = "uint16"
    kind = f(x, 0).dtype
    both = np.abs(np.array([np.unique(rest[:, k]) for k in range(len(wanted))])).astype(kind).view(bits).astype(int)
    assert (np.abs(both[:, 1] - both[:, 0]) == 1).all()  # neighbours
