"""Masks that cut no program: one stage and one compilation, however many elements a mask selects."""

import numpy as np
import pytest

import subtensor as st
from subtensor.graph.nodes import toposort

x, z, v, y, t = st.dmatrix("x"), st.dmatrix("z"), st.dvector("v"), st.dvector("y"), st.dtensor3("t")
m = st.tensor("m", "bool", (None,))
k = st.lvector("k")

WHOLE = {
    "sum": x[x > 0].sum(),
    "sum of a vector": v[v > 0].sum(),
    "mean": x[x > 0].mean(),
    "variance": x[x > 0].var(),
    "largest": v[v > 0].max(),
    "smallest": x[x > 0].min(),
    "product over three axes": t[t > 0].prod(),
    "largest integer": k[k > 0].max(),
    "any": (k[k > 0] > 2).any(),
    "all": (k[k > 0] > 2).all(),
    "number": (x > 0).sum() + x[x > 0].shape[0],
    "of a function": st.log(x[x > 0]).sum(),
    "of two tensors": (x[x > 0] * z[x > 0]).sum(),
    "logsumexp": st.logsumexp(v[v > 0]),
    "set": st.set_subtensor(x[x > 0], 1.5),
    "inc": st.inc_subtensor(x[x > 0], 1.5),
    "set to a function of itself": st.set_subtensor(x[x > 0], x[x > 0] * 2),
    "set over three axes": st.set_subtensor(t[t > 0], -1.0),
    "gradient": st.grad((x[x > 0] ** 2).sum(), x),
    "gradient of a mean": st.grad(st.log(x[x > 0]).mean(), x),
}
ROWS = {
    "sum": x[m].sum(),
    "sum along the mask": x[m].sum(axis=0),
    "mean along the mask": x[m].mean(axis=0),
    "columns": z[:, x[0] > 0].sum(),
    "two axes of three": t[t.sum(axis=2) > 0].sum(),
    "set": st.set_subtensor(x[m], 0.5),
    "inc by a function of itself": st.inc_subtensor(x[m], x[m] * 2),
}


def values(rng):
    given = {
        x: rng.normal(size=(5, 4)),
        z: rng.normal(size=(5, 4)),
        v: rng.normal(size=7),
        t: rng.normal(size=(2, 3, 4)),
        m: rng.random(5) < 0.5,
        k: rng.integers(-5, 6, 9),
    }
    given[v][0] = given[x][0, 0] = given[k][0] = given[t][0, 0, 0] = 1  # something is selected
    given[x][1, 1] = given[v][1] = given[z][2, 2] = np.nan
    return given


@pytest.mark.parametrize("name", [*WHOLE, *(f"rows: {n}" for n in ROWS)])
def test_one_compilation_serves_every_mask(name):
    out = ROWS[name[6:]] if name.startswith("rows: ") else WHOLE[name]
    inputs = [a for a in (x, z, v, t, m, k) if a in set(toposort([out]))]
    ours = st.function(inputs, out, backend="jax")
    reference = st.function(inputs, out, backend="numpy", rewrites=False)
    rng = np.random.default_rng(0)
    for _ in range(6):
        given = values(rng)
        args = [given[a] for a in inputs]
        result, want = ours(*args), reference(*args)
        assert result.dtype == want.dtype
        assert result.shape == want.shape
        np.testing.assert_allclose(result, want, rtol=1e-12, atol=1e-13)
    assert len(ours._execute.binding.stages) == 1
    assert len(ours._execute.last.jitted.ready) == 1


@pytest.mark.parametrize("write", [st.set_subtensor, st.inc_subtensor], ids=["set", "inc"])
@pytest.mark.parametrize("matrix", [False, True])
def test_a_vector_is_dealt_out_in_order(write, matrix):
    base = x if matrix else v
    out = write(base[base > 0], y)
    ours = st.function([base, y], out, backend="jax")
    reference = st.function([base, y], out, backend="numpy")
    rng = np.random.default_rng(1)
    for n in (0, 1, 3, 20):
        b = np.full(20, -1.0)
        b[rng.permutation(20)[:n]] = 2.0
        b = b.reshape(4, 5) if matrix else b
        for length in {n, 1}:
            given = rng.normal(size=length)
            np.testing.assert_array_equal(ours(b, given), reference(b, given))
        for length in {0, 2, n + 1} - {n, 1}:
            errors = []
            for f in (ours, reference):
                with pytest.raises(ValueError, match="expected equal or 1") as caught:
                    f(b, np.ones(length))
                errors.append(str(caught.value))
            assert errors[0] == errors[1]
    assert len(ours._execute.binding.stages) == 1


@pytest.mark.parametrize("find", [st.max, st.min], ids=["max", "min"])
def test_the_extremum_of_nothing_is_refused_as_on_numpy(find):
    errors = []
    for backend in ("jax", "numpy"):
        f = st.function([x], find(x[x > 0]), backend=backend)
        with pytest.raises(st.errors.SubtensorError) as caught:
            f(-np.ones((2, 3)))
        errors.append((type(caught.value), str(caught.value)))
    assert errors[0] == errors[1]


def test_a_mask_that_does_not_fit_is_refused_as_on_numpy():
    bad = np.ones(4, bool)
    for out, args in [
        (x[m].sum(), (np.ones((5, 4)), bad)),
        (st.set_subtensor(x[m], 1.0), (np.ones((5, 4)), bad)),
        (st.set_subtensor(x[m], 1.0), (np.ones((1, 4)), bad)),
    ]:
        errors = []
        for backend in ("jax", "numpy"):
            with pytest.raises(IndexError) as caught:
                st.function([x, m], out, backend=backend)(*args)
            errors.append((type(caught.value), str(caught.value)))
        assert errors[0] == errors[1]
    f = st.function([v, y], (v[v > 0] * y[v > 0]).sum(), backend="jax")
    for a, b in (((3,), (1,)), ((1,), (3,))):
        with pytest.raises(IndexError):
            f(np.ones(a), np.ones(b))


def test_a_step_with_masks_trains_a_table_in_place():
    """The whole step is one function; the table keeps its buffer, and no other element changes."""
    start = np.random.default_rng(2).normal(size=(30, 4))
    tables = {}
    for backend in ("jax", "numpy"):
        table = tables[backend] = st.shared(start, name="table")
        kept = table[table > 0.5]
        cost = (kept**2).sum()
        step = st.function([], cost, updates=[(table, table - 0.25 * st.grad(cost, table))], backend=backend)
        costs = [float(step()) for _ in range(4)]
        tables[backend, "costs"] = costs
        if backend == "jax":
            pointer = table.cell.data.unsafe_buffer_pointer()
            step()
            assert table.cell.data.unsafe_buffer_pointer() == pointer
            assert len(step._execute.binding.stages) == 1
        else:
            step()
    np.testing.assert_allclose(tables["jax", "costs"], tables["numpy", "costs"], rtol=1e-12)
    np.testing.assert_allclose(tables["jax"].get_value(), tables["numpy"].get_value(), rtol=1e-12)
    below = start <= 0.5
    assert (tables["jax"].get_value()[below] == start[below]).all()


def test_rows_of_a_shared_table_stay_rows():
    """A pass over the whole table is not made for the sake of a few rows."""
    table = st.shared(np.ones((50, 4)), name="table")
    step = st.function([m], [], updates=[(table, st.inc_subtensor(table[m], 1.0))], backend="jax")
    chosen = np.arange(50) % 7 == 0
    step(chosen)
    assert step.program.commits[0].writes
    assert (table.get_value() == np.where(chosen, 2.0, 1.0)[:, None]).all()


def test_the_rewrites_can_be_left_out():
    f = st.function([x], x[x > 0].max(), backend="jax", rewrites=["-masks"])
    assert len(f._execute.binding.stages) == 2
    assert f([[1.0, 3.0], [-1.0, 2.0]]) == 3


@pytest.mark.parametrize(
    "selected",
    [
        lambda x, k: x[:, :k][x[:, :k] > 0],
        lambda x, k: x[:, k:3][x[:, k:3] > 0].sum(),
        lambda x, k: x[:, :k][x[:, :k] > 0][st.shape(x[:, :k])[1] - 1],
        lambda x, k: st.broadcast_to(x[:, :k][x[:, :k] > 0].sum(), (st.shape(x[:, :k])[1],)),
    ],
    ids=["elements", "sum", "position", "length"],
)
def test_lengths_of_an_earlier_stage_are_values_in_a_later_one(selected):
    k = st.lscalar("k")
    node = selected(x, k)
    run, due = (st.function([x, k], node, backend=b) for b in ("jax", "numpy"))
    given = np.arange(12.0).reshape(4, 3) - 4
    for n in (1, 2, 3, 2):
        np.testing.assert_array_equal(run(given, n), due(given, n))
