"""What is particular to the JAX backend: 64-bit types, ownership, state, stages, strict writes, interrupts."""

import contextlib
import gc
import itertools
import re
import resource
import signal
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import subtensor as st
import subtensor_jax
from subtensor.errors import BoundsError, PluginError
from subtensor_jax import RecompilationWarning
from subtensor_jax.executable import Executable, _Split


def both(inputs, outputs, *args):
    """Results on NumPy and on JAX."""
    return [st.function(inputs, outputs, backend=b)(*args) for b in ("numpy", "jax")]


def assert_same(want, got, ulps=8):
    for a, b in zip(want, got, strict=True):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        if a.dtype.kind == "f":
            eps = float(np.finfo(a.dtype).eps) * ulps
            np.testing.assert_allclose(a.astype(float), b.astype(float), rtol=eps, atol=eps)
        else:
            np.testing.assert_array_equal(a, b)


# --- importing


def test_importing_subtensor_does_not_import_jax():
    code = "import sys, subtensor; subtensor.backends(); assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_jax_is_reported_with_the_extra():
    code = (
        "import sys; sys.modules['jax'] = None\n"
        "import subtensor as st\n"
        "x = st.dvector('x')\n"
        "try: st.function([x], x + 1, backend='jax')\n"
        "except st.errors.PluginError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "jax" in done.stdout
    assert "subtensor[jax]" in done.stdout


# --- 64 bits, without the process's flag


def test_64_bit_types_are_real_and_the_flag_stays_off():
    assert not jax.config.jax_enable_x64
    x, n = st.dvector("x"), st.lscalar("n")
    t = st.shared(np.array([2**40 + 1, 3]), name="t")
    run = st.function([x, n], [x / 3, n * 2, t + 1], updates=[(t, t + n)], backend="jax")
    a, b, c = run([1.0, 1e300], 2**33 + 1)
    assert a.dtype == np.float64
    np.testing.assert_array_equal(a, np.array([1.0, 1e300]) / 3)
    assert int(b) == 2**34 + 2
    assert c.tolist() == [2**40 + 2, 4]
    assert t.get_value()[0] == 2**40 + 1 + 2**33 + 1
    assert not jax.config.jax_enable_x64
    assert jnp.zeros(2).dtype == np.float32


def test_an_index_beyond_32_bits_is_out_of_range():
    ids = st.lvector("ids")
    t = st.shared(np.arange(5.0), name="t")
    run = st.function([ids], t[ids], backend="jax")
    with pytest.raises(BoundsError, match="4294967297"):
        run([2**32 + 1])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint64"])
def test_narrow_and_unsigned_indices_reach_all_rows(dtype):
    ids = st.vector("ids", dtype)
    t = st.shared(np.arange(300.0), name="t")
    values = np.array([0, 5, 100] if dtype.startswith("u") else [-1, 5, -100], dtype)
    assert_same(*([r] for r in both([ids], t[ids], values)))


# --- ownership


def test_a_caller_may_change_an_input_after_the_call():
    x = st.dvector("x")
    t = st.shared(np.zeros(200_000), name="t")
    run = st.function([x], [], updates=[(t, t + x)], backend="jax")
    keep = st.function([x], [], updates=[(t, x)], backend="jax")
    for n in range(1, 6):
        given = np.full(200_000, float(n))
        run(given)
        given[:] = -1
        assert t.get_value().max() == t.get_value().min() == n * (n + 1) / 2
    given = np.full(200_000, 5.0)
    keep(given)
    given[:] = -1
    assert t.get_value().min() == 5


def test_results_belong_to_the_caller():
    x = st.dvector("x")
    t = st.shared(np.arange(4.0), name="t")
    run = st.function([x], [x, t, x + 1, st.constant(np.arange(3.0)) * 1], backend="jax")
    given = np.arange(3.0)
    results = run(given)
    for r in results:
        assert r.flags.writeable
        r[...] = 100
    assert given.tolist() == [0, 1, 2]
    assert t.get_value().tolist() == [0, 1, 2, 3]
    assert run(given)[3].tolist() == [0, 1, 2]


def test_inputs_may_be_jax_arrays_or_anything_with_dlpack():
    class Tensor:
        def __init__(self, value):
            self.value = value

        def __dlpack__(self, **options):
            return self.value.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.value.__dlpack_device__()

    x = st.fvector("x")
    run = st.function([x], x * 2, backend="jax")
    value = np.arange(3, dtype=np.float32)
    assert run(jnp.asarray(value)).tolist() == [0, 2, 4]
    assert run(Tensor(value)).tolist() == [0, 2, 4]


# --- state


def test_functions_of_both_backends_take_turns_with_one_variable():
    ids = st.lvector("ids")
    t = st.shared(np.zeros((4, 2)), name="t")
    updates = [(t, st.inc_subtensor(t[ids], 1))]
    steps = {b: st.function([ids], t.sum(), updates=updates, backend=b) for b in ("numpy", "jax")}
    seen = [float(steps[b]([0, 0, 3])) for b in ("jax", "numpy", "jax", "jax", "numpy", "jax")]
    assert seen == [0, 6, 12, 18, 24, 30]
    assert t.get_value().tolist() == [[12, 12], [0, 0], [0, 0], [6, 6]]


def test_a_value_that_was_read_or_put_never_changes_with_the_state():
    t = st.shared(np.zeros(3), name="t")
    step = st.function([], [], updates=[(t, st.inc_subtensor(t[1:], 1))], backend="jax")
    step()
    first, borrowed = t.get_value(), t.get_value(borrow=True)
    step()
    assert first.tolist() == borrowed.tolist() == [0, 1, 1]
    put = np.full(3, 7.0)
    t.set_value(put)
    step()
    assert put.tolist() == [7, 7, 7]
    assert t.get_value().tolist() == [7, 8, 8]


@pytest.mark.parametrize("split", [False, True])
def test_an_error_leaves_all_state_as_it_was(split):
    rng = np.random.default_rng(0)
    ids, x = st.lvector("ids"), st.dvector("x")
    t, w, u = (st.shared(rng.normal(size=(6, 3)), name=n) for n in "twu")
    updates = [(t, st.inc_subtensor(t[ids], 1)), (w, w * 2)] + ([(u, w)] if split else [(u, u + 1)])
    run = st.function([ids, x], [t[ids].sum(), x[ids]], updates=updates, backend="jax")
    assert isinstance(run._execute.last, _Split) == split
    before = [v.get_value() for v in (t, w, u)]
    messages = []
    for bad in ([0, 9], [-7], [2**40]):
        with pytest.raises(BoundsError) as info:
            run(bad, np.arange(6.0))
        messages.append(str(info.value))
        for v, old in zip((t, w, u), before, strict=True):
            assert v.get_value().tobytes() == old.tobytes()
    assert "index 9 at position (1,) of ids is out of bounds for axis 0 of t" in messages[0]
    run([0, 0], np.arange(6.0))
    np.testing.assert_array_equal(t.get_value()[0], before[0][0] + 2)
    np.testing.assert_array_equal(w.get_value(), before[1] * 2)
    np.testing.assert_array_equal(u.get_value(), before[1] if split else before[2] + 1)


def test_interrupts_never_lose_state():
    """SIGALRM handlers that raise at random moments: afterwards the table is whole, and a number of steps further."""
    ids = st.lvector("ids")
    t = st.shared(np.zeros((1000, 8)), name="t")
    step = st.function([ids], [], updates=[(t, st.inc_subtensor(t[ids], 1))], backend="jax")
    all_rows = np.arange(1000)
    step(all_rows)

    def interrupt(*_):
        raise KeyboardInterrupt

    gc.disable()  # an exception in JAX's callback of the collector would be swallowed
    old = signal.signal(signal.SIGALRM, interrupt)
    done = caught = 0
    try:
        for n in range(200):
            try:
                signal.setitimer(signal.ITIMER_REAL, 1e-5 + n * 2e-6)
                for _ in range(5):
                    step(all_rows)
                    done += 1
                signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                caught += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
        gc.enable()
    value = t.get_value()
    assert value.min() == value.max()
    assert 1 + done <= value[0, 0] <= 1 + done + caught
    assert caught > 20


def test_threads_take_turns():
    ids = st.lvector("ids")
    t = st.shared(np.zeros(10), name="t")
    step = st.function([ids], [], updates=[(t, st.inc_subtensor(t[ids], 1))], backend="jax")
    errors = []

    def work():
        try:
            for _ in range(100):
                step([1, 1, 2])
        except Exception as error:  # noqa: BLE001  # reported below, from the main thread
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert t.get_value()[:3].tolist() == [0, 800, 400]


# --- shapes that depend on values


x, v, m = st.dvector("x"), st.dmatrix("v"), st.tensor("m", "bool", (None,))
a, b, n = st.lscalar("a"), st.lscalar("b"), st.lscalar("n")
X, M = np.array([3.0, -1.0, 2.0, -1.0, 5.0]), np.array([True, False, True, True, False])
STAGED = {
    "mask": ([x, m], [x[m], x[m].sum(), (x[m] * 2).max()], (X, M)),
    "empty mask": ([x, m], [x[m], x[m].sum()], (X, np.zeros(5, bool))),
    "mask of a computed value": ([x], [x[x > 0], x[(x * x) > 4] + 1], (X,)),
    "mask within a mask": ([x], [x[x > 0][x[x > 0] > 2]], (X,)),
    "mask set and inc": ([x, m], [x[m].set(7.0), x[m].inc(x[m])], (X, M)),
    "gradient through a mask": ([x, m], [st.grad((x[m] ** 3).sum(), x)], (X, M)),
    "nonzero": ([v], [*st.nonzero(v > 0)], (X.reshape(5, 1) * X,)),
    "unique": ([x], list(st.unique(x, True, True, True)), (X,)),
    "arange": ([n], [st.arange(n), st.arange(n) * 2, st.arange(1, n, 2), st.arange(0.0, n * 0.5, 0.3)], (np.int64(7),)),
    "slices": ([x, a, b], [x[a:b], x[b:a:-1], x[a:] + 1, x[:b].sum(), x[::b]], (X, np.int64(1), np.int64(4))),
    "slice of a computed value": ([x, a], [(x * 2)[a:], (x + x[0])[:a].sum()], (X, np.int64(-2))),
    "slice of a constant": ([x, a], [st.constant(X)[a:], st.constant(X)[: st.argmax(x)]], (X, np.int64(2))),
    "slices of two axes": (
        [v, a, b],
        [v[a:b, b::-1], v[a:, [0, 1]], v[::a, 2]],
        (np.outer(X, X), np.int64(1), np.int64(3)),
    ),
    "write to a slice": (
        [v, a, b],
        [v[a:b].set(1.0), v[a:b, ::-2].inc(v[a:b, ::-2]), v[b:a:-1, [0, 0, 1]].inc(2.0)],
        (np.outer(X, X), np.int64(1), np.int64(4)),
    ),
    "gradient through a slice": ([x, a], [st.grad((x[a:] ** 2).sum(), x)], (X, np.int64(2))),
    "repeat": ([x, n], [st.repeat(x, n), st.repeat(x, st.stack([n, 0, 1, n, 2]))], (X, np.int64(3))),
    "reshape": ([x, n], [st.reshape(x[:4], (n, -1)), st.reshape(x[1:], (n, 4 // n))], (X, np.int64(2))),
    "full": ([n, a], [st.full((n, a), 2.5), st.eye(n), st.tri(n, a)], (np.int64(3), np.int64(2))),
    "bound from the largest value": ([x], [x[: st.argmax(x)], st.arange(st.argmax(x)) + 1], (X,)),
    "length of a mask": ([x, m], [x[m].mean(), st.arange(x[m].shape[0]), st.zeros(x[m].shape)], (X, M)),
    "rows of a Jacobian under a mask": ([x, m], [st.jacobian(x[m] ** 2, x)], (X, M)),
}


@pytest.mark.parametrize("name", STAGED)
def test_shapes_that_depend_on_values(name):
    inputs, outputs, args = STAGED[name]
    assert_same(*both(inputs, outputs, *args))


def test_state_is_updated_through_masks_and_slices():
    values = {}
    for backend in ("numpy", "jax"):
        t = st.shared(np.arange(10.0), name="t")
        u = st.shared(np.arange(3.0), name="u", shape=(None,))
        step = st.function(
            [x, a],
            [t[t > 4].sum()],
            updates=[(t, st.inc_subtensor(st.set_subtensor(t[a : a + 2], x[:2])[t > 4], 1.0)), (u, u[u > 0])],
            backend=backend,
        )
        out = [step(X, k) for k in (0, 3, 7, -3)]
        values[backend] = [*itertools.chain(*out), t.get_value(), u.get_value()]
    assert_same(*values.values())


def test_a_window_that_moves_is_compiled_once():
    run = st.function([x, a], x[a : a + 3].sum(), backend="jax")
    for k in range(4):
        assert run(np.arange(8.0), k) == 3 * k + 3
    assert len(run._execute.last.jitted.ready) == 1


@pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="how much memory a process has stands in /proc on Linux"
)
def test_a_dropped_function_gives_its_memory_back():
    def resident():
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    def many_shapes(factor):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RecompilationWarning)
            x = st.vector("x")
            f = st.function([x], [(x * factor + 1).sum(), st.sort(x)], backend="jax")
            for k in range(1, 16):
                f(np.ones(k))

    many_shapes(2.0)
    before = resident()
    many_shapes(3.0)
    assert (resident() - before) / 15 < 300_000  # 1.5 MB of each shape stayed


def test_compiling_again_and_again_gets_one_warning_that_names_the_input(monkeypatch):
    monkeypatch.setattr("subtensor_jax.shapes.MOST_SECONDS", 0.0)
    ids = st.lvector("ids")
    run = st.function([ids, x], x[ids].sum(), backend="jax", name="lookup")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for k in range(1, 6):
            run(np.zeros(k, np.int64), X)
    (warning,) = caught
    assert warning.category is RecompilationWarning
    assert warning.filename == __file__
    text = str(warning.message)
    assert "lookup: compiled for 3 different shapes" in text
    assert re.search(r"That took \d+\.\d s", text)
    assert "the length of axis 0 of ids" in text
    assert "of x" not in text
    assert "pad" in text


# --- repeated writes where a device promises no order


@contextlib.contextmanager
def strictly():
    backend = subtensor_jax._backend
    before = backend.strict
    backend.strict = True
    try:
        yield
    finally:
        backend.strict = before


@pytest.mark.parametrize("kind", ["set", "inc"])
@pytest.mark.parametrize(
    "key",
    [
        lambda i, j: i,
        lambda i, j: (i, j),
        lambda i, j: (slice(None), i),
        lambda i, j: (slice(1, None, 2), i, slice(0, 2)),
        lambda i, j: (i, slice(None), j),
        lambda i, j: (slice(None, None, -1), i, j),
    ],
)
def test_strict_writes_equal_numpy(kind, key):
    rng = np.random.default_rng(1)
    t, i, j = st.dtensor3("t"), st.lvector("i"), st.lvector("j")
    table, ids, others = rng.normal(size=(4, 4, 4)), rng.integers(-3, 3, 9), rng.integers(0, 2, 9)
    subset = t[key(i, j)]
    want = np.array(table)
    where = key(ids, others)
    values = rng.normal(size=table[where].shape)
    y = st.tensor("y", "float64", (None,) * values.ndim)
    if kind == "set":
        want[where] = values
    else:
        np.add.at(want, where, values)
    new = subset.set(y) if kind == "set" else subset.inc(y)
    with strictly():
        run = st.function([t, i, j, y], new, backend="jax", on_unused_input="ignore")
    assert run._execute.strict
    last = run._execute.last
    with jax.enable_x64(True):
        args = [(table, ids, others, values)[s] for s in last.others]
        _, compiled = last.jitted.compiled(subtensor_jax.stages.EMPTY_KEY, *args)
    assert "sort" in compiled.as_text()
    got = run(table, ids, others, values)
    if kind == "set":
        np.testing.assert_array_equal(got, want)
    else:
        np.testing.assert_allclose(got, want, rtol=1e-14, atol=1e-14)


# --- extension


def test_a_lowering_of_an_op_that_the_backend_has_is_refused():
    program = st.function([x], x + 1, backend="jax").program
    with pytest.raises(PluginError, match="add"):
        subtensor_jax._backend.compile(program, lowerings={"add": lambda *_: None})


def test_a_plugins_lowering_is_used():
    program = st.function([x], st.exp(x), backend="numpy").program
    run = Executable(program, {"exp": lambda y: y * 3}, strict=False)
    assert run((np.arange(3.0),), ())[0].tolist() == [0, 3, 6]


def test_large_constants_are_arguments_not_part_of_the_program():
    values = np.random.default_rng(0).normal(size=5000)
    ids = st.lvector("ids")
    run = st.function([ids], st.constant(values)[ids], backend="jax")
    assert run([1, 4999]).tolist() == values[[1, 4999]].tolist()
    assert run._execute.big


@pytest.mark.parametrize("other", [np.float16, np.float32, np.float64])
def test_traces_are_free_of_implicit_promotion(other):
    """Under JAX's strict rule an operation on two dtypes raises."""
    dtype = np.dtype(other).name
    y, t = st.vector("y", dtype), st.shared(np.arange(12, dtype=dtype).reshape(4, 3), name="t")
    ids, mask = st.ivector("ids"), st.tensor("mask", "bool", (None,))
    rows = t[ids]
    cost = (st.softplus(rows @ y) + st.logsumexp(rows, 1) + st.mean(rows * y, 1)).sum() + y[mask].sum()
    outputs = [
        cost, st.var(rows), st.cumsum(y), st.argsort(y), st.max(rows, 1), st.unique(y), y // 2, y % 2, y**3, st.sign(y),
        st.round(y, 1), st.clip(y, 0, 1), st.one_hot(ids, 4), st.searchsorted(y, rows[0]), st.arange(y.shape[0]) / 2,
        st.prod(rows), st.std(y), st.digamma(y), st.where(mask, y, 0), st.diagonal(t), st.logaddexp(y, y[0]),
    ]  # fmt: skip
    update = st.inc_subtensor(rows, -0.125 * st.grad(cost, rows))
    args = (np.array([1.0, 2.0, 3.0], dtype), np.array([0, 2, 2], np.int32), np.array([True, False, True]))
    results = {}
    for backend in ("numpy", "jax"):
        t.set_value(np.arange(12, dtype=dtype).reshape(4, 3) / 8)
        run = st.function([y, ids, mask], outputs, updates=[(t, update)], backend=backend)
        with jax.numpy_dtype_promotion("strict"):
            results[backend] = [*run(*args), t.get_value()]
    assert_same(*results.values(), ulps=32)


@pytest.mark.parametrize("backend", ["numpy", "jax"])
@pytest.mark.parametrize("shift", ["left_shift", "right_shift"])
def test_bools_are_shifted_as_int8(shift, backend):
    a, b = st.tensor("a", "bool", (None,)), st.tensor("b", "bool", (None,))
    given = np.array([True, True, False]), np.array([True, False, True])
    want = getattr(np, shift)(*given)
    got = st.function([a, b], getattr(st, shift)(a, b), backend=backend)(*given)
    assert got.dtype == want.dtype == np.int8
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    "spec",
    ["bk,bkd->bd", "bkd,bk->bd", "bk,bkd->db", "k,bkd->bd", "dkb,kd->bd", "kd,dk->d"],
)
def test_short_sums_of_large_arrays_equal_numpy(spec):
    """Contractions over a short axis are written out on a CPU, from half a megabyte on."""
    sizes = {"b": 300, "k": 5, "d": 128}
    left, right = spec.split("->")[0].split(",")
    rng = np.random.default_rng(0)
    if spec == "kd,dk->d":
        sizes["d"] = 40_000
    a, b = (rng.normal(size=[sizes[c] for c in axes]) for axes in (left, right))
    u, v = (st.tensor(name, "float64", x.ndim * (None,)) for name, x in (("u", a), ("v", b)))
    run = st.function([u, v], st.einsum(spec, u, v), backend="jax")
    np.testing.assert_allclose(run(a, b), np.einsum(spec, a, b), rtol=1e-13, atol=1e-13)
    text = str(jax.make_jaxpr(lambda p, q: subtensor_jax.lowerings.einsum(p, q, spec))(a.astype("f"), b.astype("f")))
    assert ("dot_general" in text) == (a.size * 4 < 1 << 19 and b.size * 4 < 1 << 19)


@pytest.mark.parametrize("axes", [(0, 1), (0, 2), (1, 2), (2,), (0,)])
def test_a_write_at_known_positions_looks_for_its_elements(axes):
    rng = np.random.default_rng(0)
    shape = (6, 5, 7)
    x, key = st.tensor("x", "float64", shape), [slice(None)] * 3
    for axis in axes:
        key[axis] = rng.integers(-shape[axis], shape[axis], 20)  # repeated: the last one stays
    value, table = rng.standard_normal(shape)[tuple(key)], rng.standard_normal(shape)
    f = st.function([x], [x[tuple(key)].set(value), st.zeros_like(x)[tuple(key)].set(value)], backend="jax")
    for got, old in zip(f(table), (table, np.zeros(shape)), strict=True):
        want = old.copy()
        want[tuple(key)] = value
        np.testing.assert_array_equal(got, want)
