"""Tables of 16 bits under optimizers: steps are those of float32, rounded once when rows are written."""

import numpy as np
import pytest

import subtensor as st

ml_dtypes = pytest.importorskip("ml_dtypes")
V, D = 12, 4
RNG = np.random.default_rng(0)
START, TARGET = RNG.normal(size=(V, D)).astype("float32"), RNG.normal(size=(V, D)).astype("float32")
NAMES = [n for n in st.optimizers.__all__ if n.islower() and n not in ("accumulate", "constraints", "schedules")]
DTYPES = ["float16", "bfloat16"]


def model(name, dtype, value=START, spelling="whole", **options):
    table, ids = st.shared(value.astype(dtype), name="table"), st.lvector("ids")
    rows = table[ids]
    cost = ((rows.astype("float32") - st.constant(TARGET)[ids]) ** 2).sum()
    params = {"whole": table, "rows": rows, "cast": rows.astype("float32"), "turned": rows.T}[spelling]
    if spelling in ("cast", "turned"):
        cost = ((params - st.constant(TARGET)[ids].T) ** 2).sum() if spelling == "turned" else cost
    options.setdefault("learning_rate", 0.01)
    updates = getattr(st.optimizers, name)(cost, [params], **options)
    return table, updates, st.function([ids], cost, updates=updates)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_one_step_is_that_of_float32_rounded(name, dtype):
    start = START.astype(dtype)
    ids = [1, 5, 1, 7, 1]
    table, updates, step = model(name, dtype, start)
    wide, _, wide_step = model(name, "float32", start)
    step(ids)
    wide_step(ids)
    np.testing.assert_array_equal(table.get_value(), wide.get_value().astype(dtype))
    assert {s.dtype for s in updates.state} <= {"float32", "int64"}


@pytest.mark.parametrize("spelling", ["rows", "cast", "turned"])
def test_gradients_of_repeated_rows_are_not_rounded_one_by_one(spelling):
    ids = np.zeros(3000, int)
    start = np.full((V, D), 0.5, "float32")
    start[0] = TARGET[0] + 1e-3
    table, _, step = model("adagrad", "bfloat16", start, spelling, learning_rate=0.01)
    value = start.astype("bfloat16").astype("float32")
    step(ids)
    g = 3000 * 2 * (value[0] - TARGET[0])
    np.testing.assert_array_equal(table.get_value()[0], (value[0] - 0.01 * g / np.abs(g)).astype("bfloat16"))


@pytest.mark.parametrize("dtype", DTYPES)
def test_steps_too_small_to_be_seen_are_made_by_stochastic_rounding(dtype):
    start = np.ones((V, D), "float32")
    ids = np.arange(V)
    found = {}
    for rounding in ("nearest", "stochastic"):
        table, _, step = model("sgd", dtype, start, learning_rate=2.0**-16, rounding=rounding, seed=3)
        for _ in range(400):
            step(ids)
        found[rounding] = table.get_value().astype("float32")
    wide, _, step = model("sgd", "float32", start, learning_rate=2.0**-16)
    for _ in range(400):
        step(ids)
    assert (found["nearest"] == 1).mean() > 0.9
    moved, wanted = found["stochastic"] - 1, wide.get_value() - 1
    assert abs(moved.sum() / wanted.sum() - 1) < 0.25


def test_draws_depend_on_seed_step_and_table_alone():
    ids = np.array([3, 0, 3, 8])
    results = []
    for seed, order in ((1, ids), (1, ids[::-1]), (2, ids)):
        table, _, step = model("adagrad", "bfloat16", learning_rate=0.01, rounding="stochastic", seed=seed)
        for _ in range(3):
            step(order)
        results.append(table.get_value().tobytes())
    assert results[0] == results[1] != results[2]


@pytest.mark.numpy_only("it compares the backends itself")
def test_the_same_bits_on_jax():
    pytest.importorskip("jax")
    found = {}
    for backend in ("numpy", "jax"):
        table, ids = st.shared(START.astype("bfloat16"), name="table"), st.lvector("ids")
        updates = st.optimizers.sgd((table[ids] * 2).sum(), [table], 2.0**-9, rounding="stochastic", seed=5)
        step = st.function([ids], updates=updates, backend=backend)
        for k in range(3):
            step([k, 5, k, 7, 7])
        found[backend] = table.get_value().tobytes()
    assert found["numpy"] == found["jax"]


@pytest.mark.parametrize("name", ["momentum", "adam"])
def test_catch_up(name):
    table, updates, step = model(name, "bfloat16", untouched="catch_up", learning_rate=0.05)
    dense, _, dense_step = model(name, "bfloat16", untouched="dense", learning_rate=0.05)
    for ids in ([0, 1, 0], [2], [2, 3], [0, 4]):
        step(ids)
        dense_step(ids)
    updates.flush()
    np.testing.assert_allclose(
        table.get_value().astype("float32"), dense.get_value().astype("float32"), rtol=2**-6, atol=2**-8
    )


def test_constraints_padding_growth_and_resuming():
    constraints = st.optimizers.constraints
    table, ids = st.shared(START.astype("float16"), name="table", shape=(None, D)), st.lvector("ids")
    options = {"constraint": {table: constraints.box(-0.5, 0.5)}, "padding": {table: 0}, "rounding": "stochastic"}
    updates = st.optimizers.adam((table[ids] ** 2).sum(), [table], 0.1, **options)
    step = st.function([ids], updates=updates)
    step([0, 1, 2])
    assert (np.abs(table.get_value()[1:3]) <= 0.5).all()
    np.testing.assert_array_equal(table.get_value()[0], START.astype("float16")[0])
    updates.grow(table, np.ones((2, D), "float16"))
    step([V, 1])
    again = st.optimizers.adam((table[ids] ** 2).sum(), [table], 0.1, state=updates, **options)
    assert [s.name for s in again.state] == [s.name for s in updates.state]


def test_a_list_of_gradients_may_be_wide():
    table, ids = st.shared(START.astype("float16"), name="table"), st.lvector("ids")
    rows = table[ids]
    updates = st.optimizers.sgd([st.ones_like(rows, "float32") * 1e-5], [rows], 1.0)
    st.function([ids], updates=updates)(np.zeros(3000, int))
    wanted = (START.astype("float16")[0].astype("float32") - 0.03).astype("float16")
    np.testing.assert_allclose(table.get_value()[0], wanted, rtol=1e-3)


def test_words():
    table = st.shared(START.astype("float16"), name="table")
    with pytest.raises(st.OptimizerError, match="rounding='up'; expected 'nearest' or 'stochastic'"):
        st.optimizers.sgd((table**2).sum(), [table], 0.1, rounding="up")
    with pytest.raises(st.OptimizerError, match=r"seed=1\.5; expected an integer"):
        st.optimizers.sgd((table**2).sum(), [table], 0.1, rounding="stochastic", seed=1.5)
