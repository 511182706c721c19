"""The Numba backend: what its loops compute, when NumPy takes over, and where compiled code is kept."""

import logging
import subprocess
import sys
import threading

import numpy as np
import pytest

import subtensor as st
from subtensor_numba import native
from subtensor_numba.distinct import DistinctRows
from subtensor_numba.scalars import ELEMENTWISE, expression, is_known

V, D, B = 40, 12, 300


@pytest.fixture(autouse=True)
def _folder(tmp_path_factory, monkeypatch):
    """One folder for compiled code for all tests here, so that equal loops are compiled once."""
    monkeypatch.setenv("SUBTENSOR_NUMBA_CACHE", str(tmp_path_factory.getbasetemp() / "kernels"))


@pytest.fixture(autouse=True)
def _nothing_refused(caplog):
    yield
    assert not [r.getMessage() for r in caplog.records if "refuses" in r.getMessage()]


def data(dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    ids = rng.integers(-V, V, B)
    ids[: B // 3] = 7  # many occurrences of one row
    return rng.normal(size=(V, D)).astype(dtype), ids, rng.normal(size=(B, D)).astype(dtype)


def row_step(backend, table, update):
    shared = st.shared(table, name="table")
    ids, y = st.lvector("ids"), st.tensor("y", table.dtype.name, (None, None))
    rows = shared[ids]
    cost = st.sqr(rows - y).sum()
    return shared, st.function([ids, y], cost, updates=update(shared, rows, cost), backend=backend)


def increments(shared, rows, cost):
    return [(shared, st.inc_subtensor(rows, -0.1 * st.grad(cost, rows)))]


def adam(shared, rows, cost):
    return st.optimizers.adam(cost, [rows], learning_rate=0.1)


def kernels(f):
    return f._execute.kernels


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_row_update_is_one_loop_that_sees_old_rows(dtype):
    table, ids, y = data(dtype)
    shared, step = row_step("numba", table, increments)
    expected = table.astype("float64")
    for _ in range(3):
        error = expected[ids] - y
        np.testing.assert_allclose(step(ids, y), (error**2).sum(), rtol=1e-4)
        np.add.at(expected, ids, -0.2 * error)
    np.testing.assert_allclose(shared.get_value(), expected, rtol=2e-3, atol=1e-4)
    assert len(kernels(step)) == 1


RULES = ["sgd", "adagrad", "rowwise_adagrad", "adam", "rmsprop", "momentum", "adadelta"]


@pytest.mark.parametrize("rule", [r for r in RULES if hasattr(st.optimizers, r)])
def test_an_optimizer_gives_what_numpy_gives_and_writes_where_it_computes(rule):
    table, ids, y = data("float64")
    tables = {}
    for backend in ("numpy", "numba"):
        shared, step = row_step(
            backend, table, lambda t, rows, cost: getattr(st.optimizers, rule)(cost, [rows], learning_rate=0.01)
        )
        costs = [step(ids, y), step(ids[::-1], y[::-1]), step(ids[:0], y[:0])]
        tables[backend] = shared.get_value(), costs
    np.testing.assert_allclose(tables["numba"][0], tables["numpy"][0], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(tables["numba"][1], tables["numpy"][1], rtol=1e-10)


@pytest.mark.parametrize("bad", [V, -V - 1, 2**62])
@pytest.mark.parametrize("update", [increments, adam])
def test_a_position_out_of_range_leaves_everything_as_it_was(bad, update):
    table, ids, y = data()
    shared, step = row_step("numba", table, update)
    ids[-1] = bad
    with pytest.raises(IndexError, match=rf"table\[ids\]: index {bad} at position \({B - 1},\)"):
        step(ids, y)
    assert (shared.get_value() == table).all()


def test_lengths_that_are_broadcast_after_all_go_numpys_way():
    table, ids, y = data("float64")
    for part in (y[:1], y[:, :1], y[:1, :1]):
        results = []
        for backend in ("numpy", "numba"):
            shared, step = row_step(backend, table, increments)
            results.append((step(ids, part), shared.get_value()))
        np.testing.assert_allclose(results[1][0], results[0][0])
        np.testing.assert_allclose(results[1][1], results[0][1])
    with pytest.raises(st.errors.ShapeError if hasattr(st, "errors") else ValueError):
        step(ids, y[:-1])


def test_arguments_with_gaps_backwards_and_read_only():
    table, ids, y = data("float64")
    wide = np.zeros((2 * B, 3 * D))
    view = wide[::-2, ::3]
    view[...] = y
    view.flags.writeable = False
    gaps = np.repeat(ids, 2)[::2]
    (a, plain), (b, strided) = (row_step("numba", table, increments) for _ in range(2))
    assert plain(ids, y) == strided(gaps, view)
    assert (a.get_value() == b.get_value()).all()


def test_tables_written_from_each_other_see_old_values():
    results = []
    for backend in ("numpy", "numba"):
        t, u = (
            st.shared(np.arange(12.0).reshape(6, 2), name="t"),
            st.shared(np.arange(12.0).reshape(6, 2) * 10, name="u"),
        )
        i, j = st.lvectors("ij")
        f = st.function(
            [i, j],
            [t[i] * u[j]],
            updates=[(t, st.inc_subtensor(t[i], u[j] + t[j])), (u, st.set_subtensor(u[j], t[i] - u[i]))],
            backend=backend,
        )
        out = f([0, 1, 1, 5], [1, 1, 0, 5])
        results.append([*out, t.get_value(), u.get_value()])
    for a, b in zip(*results, strict=True):
        assert (a == b).all()


def test_an_outer_product_is_written_without_being_stored():
    t, u = st.shared(np.ones((9, 4)), name="t"), st.shared(np.ones((9, 4)), name="u")
    i, p = st.lvector("i"), st.lmatrix("p")
    a, w = t[i], u[p]
    cost = (a[:, None, :] * w).sum(-1).sum()
    ga, gw = st.grad(cost, [a, w])
    f = st.function([i, p], cost, updates=[(t, st.inc_subtensor(a, ga)), (u, st.inc_subtensor(w, gw))], backend="numba")
    assert f([0, 1], [[1, 2, 2], [8, 8, 0]]) == 24
    expected = np.ones((9, 4))
    np.add.at(expected, [1, 2, 2, 8, 8, 0], 1.0)
    assert (u.get_value() == expected).all()
    assert (t.get_value()[:2] == 4).all()
    (source,) = kernels(f)
    given = source.split("(")[1].split(")")[0].split(", ")
    stored = [f"{name}.shape[" for name in given if name.startswith("b")]
    assert stored
    assert not any(f"{s}2]" in source for s in stored)  # nothing with three axes


def test_sums_do_not_lose_small_numbers():
    x = st.fmatrix("x")
    f = st.function([x], [st.sqr(x + 1).sum(), st.sqr(x + 1).sum(0)], backend="numba")
    values = np.full((200_000, 3), 0.1, "float32")
    total, columns = f(values)
    np.testing.assert_allclose(total, 1.21 * 600_000, rtol=1e-6)
    assert columns.shape == (3,)
    assert len(kernels(f)) == 1


def test_bits_are_the_same_from_call_to_call():
    table, ids, y = data()
    runs = []
    for _ in range(2):
        shared, step = row_step("numba", table, increments)
        runs.append((step(ids, y).tobytes(), shared.get_value().tobytes()))
    assert runs[0] == runs[1]


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
def test_distinct_rows(dtype):
    rng = np.random.default_rng(3)
    call = DistinctRows(dtype, None)
    for n in (1, 5, 200, 2048, 100_000):
        for count in (0, 1, 31, 32, 33, 700):
            low = 0 if dtype == "uint8" else -n
            ids = rng.integers(low, min(n, 200 if dtype == "uint8" else n), count).astype(dtype)
            rows, order, ordered, starts, found = call(ids, n)
            due = ids.astype("int64") % n
            assert (rows == due).all()
            assert (order == np.argsort(due, kind="stable")).all()
            assert (ordered == np.sort(due)).all()
            first = np.unique(np.sort(due), return_index=True)
            assert (found == first[0]).all()
            assert (starts == first[1]).all()
    with pytest.raises(IndexError):
        call(np.array([0, 5], dtype), 5)


def test_compile_ahead_and_explain():
    table, ids, y = data()
    _, step = row_step("numba", table, adam)
    assert step.compile([(B,), (B, D)]) is step
    assert "compiled loops: 2" in str(step.explain())
    with pytest.raises(st.errors.CallError if hasattr(st, "errors") else TypeError, match="1 shapes for 2 inputs"):
        step.compile([(B,)])
    step(ids, y)


def test_a_damaged_or_locked_folder_is_said_once_and_does_no_harm(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.WARNING, "subtensor")
    monkeypatch.setattr(native, "_complained", set())
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("SUBTENSOR_NUMBA_CACHE", str(blocked))
    x = st.vector("x")
    for k in (3.25, 4.25):
        f = st.function([x], ((x + k) * k).sum(), backend="numba")
        assert f([1.0]) == (1 + k) * k
    assert len([r for r in caplog.records if "cannot be used" in r.getMessage()]) == 1


CODE = """
import sys, numpy as np, subtensor as st
x = st.vector("x")
assert st.function([x], ((x + 5.5) * x).sum(), backend="numba")([1.0]) == 6.5
"""


def test_another_process_finds_compiled_code_and_survives_damage(tmp_path, monkeypatch):
    monkeypatch.setenv("SUBTENSOR_NUMBA_CACHE", str(tmp_path))
    subprocess.run([sys.executable, "-c", CODE], check=True)
    compiled = list(tmp_path.rglob("*.nbc"))
    assert compiled
    before = {p: p.stat().st_mtime_ns for p in compiled}
    subprocess.run([sys.executable, "-c", CODE], check=True)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.nbc")} == before
    for p in compiled:
        p.write_bytes(b"damaged")
    done = subprocess.run([sys.executable, "-c", CODE], check=True, capture_output=True, text=True)
    assert "cannot be used" in done.stderr


def test_numba_is_imported_when_it_is_asked_for():
    code = "import sys, subtensor as st; st.function([], st.constant(1))(); assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_several_threads_at_once():
    x = st.matrix("x")
    f = st.function([x], ((x * 2 + 1) * x).sum(1), backend="numba")
    values = [np.full((2000, 8), float(k)) for k in range(6)]
    wrong = []

    def run(k):
        wrong.extend(k for _ in range(20) if not (f(values[k]) == 8 * (2 * k + 1) * k).all())

    threads = [threading.Thread(target=run, args=(k,)) for k in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_every_elementwise_form_is_python():
    from subtensor.graph.types import TensorType

    for name in sorted(ELEMENTWISE):
        for dtype in ("float64", "int8", "bool"):
            types = [TensorType(dtype)] * (3 if name == "where" else 2)
            result = TensorType("bool" if name in ("less", "less_equal", "equal") else dtype)
            if is_known(name, types, result):
                compile(expression(name, ["a", "b", "c"], types, result), name, "eval")
