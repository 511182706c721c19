"""Updates in place: the buffer stays, and no temporary copy of the table is made, whatever else a step reads."""

import jax
import numpy as np
import pytest

import subtensor as st
from subtensor import plugins
from subtensor.graph.nodes import toposort
from subtensor_jax.executable import _Fused, holds_copy

V, D, B = 20_000, 32, 16
TABLE = V * D * 4
PATTERNS = {}


def pattern(make):
    PATTERNS[make.__name__] = make
    return make


i, j, k = st.lvector("i"), st.lvector("j"), st.lscalar("k")
ARGS = {"i": np.arange(B) % 5, "j": np.arange(B)[::-1].copy(), "k": np.int64(7)}


def inc(t, key, value):
    return st.inc_subtensor(t[key], value)


@pattern
def sgd_on_rows(t):
    return [(t[i] ** 2).sum()], inc(t, i, -0.125 * t[i])


@pattern
def several_gathers_and_chained_scatters(t):
    return [t[i].sum()], inc(inc(t, i, st.tanh(t[j])), j, st.tanh(t[i]))


@pattern
def old_rows_as_output(t):
    return [t[i]], inc(t, i, -0.125 * t[i])


@pattern
def sum_of_the_old_table_as_output(t):
    return [t.sum()], inc(t, i, -0.125 * t[i])


@pattern
def slice_of_the_old_table_as_output(t):
    return [t[5:9]], inc(t, i, -0.125 * t[i])


@pattern
def element_of_the_old_table_as_output(t):
    return [t[3, 4]], inc(t, i, -0.125 * t[i])


@pattern
def read_elsewhere(t):
    return [], inc(t, i, -0.125 * t[j])


@pattern
def one_row(t):
    return [t[k].sum()], st.set_subtensor(t[k], 2 * t[k])


@pattern
def static_slice(t):
    return [t[3:9].sum()], inc(t, slice(3, 9), -0.125 * t[13:19])


@pattern
def slice_at_run_time(t):
    return [], st.set_subtensor(t[k : k + 4], t[13:17])


@pattern
def rows_set_from_rows(t):
    return [], st.set_subtensor(t[i], t[j])


@pattern
def single_elements(t):
    return [], st.inc_subtensor(t[i, j], 1)


def table():
    return st.shared(np.random.default_rng(0).normal(size=(V, D)).astype(np.float32), name="t")


def compiled_writer(last, executable, args, cells):
    """The compiled function that writes to the tables, for the arguments of one call."""
    slots = executable.run_stages(args, cells)
    if isinstance(last, _Fused):
        key, starts = last.part.prepare(slots)
    else:
        last.part.run(slots)
        key, starts = last.writes.prepare(slots)
    operands = [slots[s] for s in (*last.tables, *last.others)]
    return last.jitted.compiled(key, *operands, *starts)[1]


@pytest.mark.parametrize("name", PATTERNS)
def test_pattern(name):
    shared = {backend: table() for backend in ("numpy", "jax")}
    results = {}
    for backend, t in shared.items():
        outputs, new = PATTERNS[name](t)
        inputs = [v for v in (i, j, k) if v in set(toposort([*outputs, new]))]
        run = st.function(inputs, outputs, updates=[(t, new)], backend=backend)
        args = tuple(ARGS[v.name] for v in inputs)
        run(*args)
        before = t.cell.data.unsafe_buffer_pointer() if backend == "jax" else None
        results[backend] = run(*args)
    for a, b in zip(*results.values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4)
    np.testing.assert_allclose(shared["numpy"].get_value(), shared["jax"].get_value(), rtol=1e-5, atol=1e-5)
    cell = shared["jax"].cell
    assert cell.data.unsafe_buffer_pointer() == before
    executable = run._execute
    with jax.enable_x64(True):
        memory = compiled_writer(executable.last, executable, args, (cell,)).memory_analysis()
    assert memory.temp_size_in_bytes < TABLE / 4, f"{type(executable.last).__name__}: a copy of the table"
    assert memory.alias_size_in_bytes >= TABLE


def test_a_copying_step_is_caught():
    """The measure that the other tests rely on sees a copy where there is one."""

    def copying(t, ids):
        return t.at[ids].add(1.0), t.sum()

    t = np.zeros((V, D), np.float32)
    compiled = jax.jit(copying, donate_argnums=0).lower(t, ARGS["i"]).compile()
    assert compiled.memory_analysis().temp_size_in_bytes >= TABLE
    assert holds_copy(compiled.as_text(), [t])
    assert not holds_copy(compiled.as_text(), [t[1:]])


def test_many_rows_are_not_taken_for_a_copy():
    """A batch may be larger than the table; the step is still one function."""
    t = table()
    rows = t[i]
    cost = (rows * rows).sum()
    run = st.function([i], cost, updates=[(t, inc(t, i, -0.125 * st.grad(cost, rows)))], backend="jax")
    run(np.random.default_rng(0).integers(0, V, 2 * V))
    assert isinstance(run._execute.last, _Fused)


def test_swapped_tables_keep_their_buffers():
    a, b = table(), st.shared(np.zeros((V, D), np.float32), name="b")
    run = st.function([], [], updates=[(a, b), (b, a)], backend="jax")
    run()
    pointers = [v.cell.data.unsafe_buffer_pointer() for v in (a, b)]
    run()
    assert [v.cell.data.unsafe_buffer_pointer() for v in (b, a)] == pointers
    assert a.get_value()[0, 0] != 0
    assert b.get_value()[0, 0] == 0


def test_two_variables_never_share_a_buffer():
    a, b = st.shared(np.zeros(5), name="a"), st.shared(np.ones(5), name="b")
    x = st.dvector("x")
    given = np.arange(5.0)
    for new_a, new_b in ((b, b + 0), (b, None), (x, x), (x + 1, x + 1)):
        updates = [(a, new_a)] + ([(b, new_b)] if new_b is not None else [])
        run = st.function([x], [], updates=updates, backend="jax", on_unused_input="ignore")
        run(given)
        assert a.cell.data.unsafe_buffer_pointer() != b.cell.data.unsafe_buffer_pointer()
        assert a.cell.data.unsafe_buffer_pointer() != given.ctypes.data
        st.function([], [], updates=[(a, st.set_subtensor(a[0], 7.0))], backend="jax")()
        assert b.get_value()[0] != 7
        assert given[0] == 0


def test_dense_update_is_taken_over_in_place():
    w = st.shared(np.ones((512, 512)), name="w")
    run = st.function([], [], updates=[(w, w * 0.5)], backend="jax")
    run()
    before = w.cell.data.unsafe_buffer_pointer()
    run()
    assert w.cell.data.unsafe_buffer_pointer() == before
    assert w.get_value()[0, 0] == 0.25


WRITES = {
    "rows": lambda t: inc(t, i, 1.0),
    "rows set": lambda t: st.set_subtensor(t[i], 1.0),
    "one row": lambda t: st.set_subtensor(t[k], 1.0),
    "one row inc": lambda t: inc(t, k, 1.0),
    "slice": lambda t: inc(t, slice(3, 9), 1.0),
    "slice with a step": lambda t: st.set_subtensor(t[9:3:-2], 1.0),
    "columns": lambda t: inc(t, (slice(None), i), 1.0),
    "columns of a slice": lambda t: st.set_subtensor(t[2:5, i], 1.0),
    "elements": lambda t: inc(t, (i, j), 1.0),
    "everything": lambda t: st.set_subtensor(t[:], 1.0),
    "everything inc": lambda t: inc(t, slice(None), 1.0),
    "several": lambda t: st.set_subtensor(inc(inc(t, i, 1.0), j, 2.0)[k], 3.0),
}


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("name", WRITES)
def test_no_write_is_made_where_any_position_is_out_of_range(name, strict, monkeypatch):
    monkeypatch.setattr(plugins.get_backend("jax"), "strict", strict)
    start = np.random.default_rng(0).integers(-9, 9, (20, 30)).astype(float)  # whose sums are exact in any order
    start[0] = -0.0
    start[1] = np.nan
    t, other = st.shared(start, name="t"), st.lvector("other")
    new = WRITES[name](t)
    inputs = [v for v in (i, j, k) if v in set(toposort([new]))]
    args = [ARGS[v.name] for v in inputs]
    run = st.function([*inputs, other], t[other, 0], updates=[(t, new)], backend="jax")
    assert isinstance(run._execute.last, _Fused)
    for bad in (20, -21):
        with pytest.raises(IndexError, match=f"index {bad} at position"):
            run(*args, [0, bad])
        assert t.get_value().tobytes() == start.tobytes()
    run(*args, [0, 19])
    reference = st.shared(start, name="t")
    st.function(inputs, [], updates=[(reference, WRITES[name](reference))], backend="numpy")(*args)
    np.testing.assert_array_equal(t.get_value(), reference.get_value())
