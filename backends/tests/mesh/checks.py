"""Everything that is checked on four devices of one process: run by ``test_jax_mesh.py``, in a process of its own.

Prints a JSON object for each check: its name, and what was wrong, if anything was.
"""

import json
import re
import sys
import tempfile
import traceback
from pathlib import Path

import jax
import numpy as np
import programs
import pytest

import subtensor as st
import subtensor_jax
from subtensor.errors import ShardingError
from subtensor_jax.placing import Placed
from subtensor_jax.spread import Spread

CHECKS = {}


def check(f):
    CHECKS[f.__name__] = f
    return f


# --- programs mean what they mean on NumPy


def ran(build, args, backend):
    function, variables = build(backend)
    seen = []
    for _ in range(2):
        try:
            outputs = function(*args)
        except st.SubtensorError as error:
            seen.append((type(error).__name__, str(error)))
        else:
            given = [] if outputs is None else outputs if isinstance(outputs, list) else [outputs]
            seen.append([np.asarray(o) for o in given])
    return seen, [v.get_value() for v in variables]


def same(name):
    build, args = programs.CASES[name]
    expected, values = ran(build, args, "numpy")
    with subtensor_jax.mesh("rows", "batch", gather=True):
        got, state = ran(build, args, "jax")
    for a, b in zip(expected, got, strict=True):
        if isinstance(a, tuple) or isinstance(b, tuple):
            assert a == b, (a, b)
            continue
        for x, y in zip(a, b, strict=True):
            assert (x.shape, x.dtype) == (y.shape, y.dtype)
            np.testing.assert_allclose(x, y, rtol=2e-5, atol=1e-5)
    for x, y in zip(values, state, strict=True):
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
        np.testing.assert_allclose(x, y, rtol=2e-5, atol=1e-5)


@check
def two_axes_are_divided():
    for mesh, axes in ((subtensor_jax.mesh(rows=2, cols=2, batch="rows"), ("rows", "cols")),
                       (subtensor_jax.mesh(rows=2, batch=2), ("rows", None))):  # fmt: skip
        found = []
        for backend in ("numpy", "jax"):
            with mesh:
                t = programs.table(axes=axes)
                i, y = programs.batch(), programs.values()
                step = st.function([i, y], t[i].sum(), updates=[(t, t[i].inc(y))], backend=backend)
            found.append((step(programs.IDS, programs.VALUES), t.get_value()))
        np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-5)
        np.testing.assert_allclose(found[0][1], found[1][1], rtol=1e-5)


# --- what XLA makes of it

V, D, B = 4003, 16, 32
SHARD = -(-V // 4) * D * 4

OPTIMIZERS = {
    "sgd": lambda c, p: st.optimizers.sgd(c, p, 0.125),
    "momentum": lambda c, p: st.optimizers.momentum(c, p, 0.1),
    "adagrad": lambda c, p: st.optimizers.adagrad(c, p, 0.1),
    "adam": lambda c, p: st.optimizers.adam(c, p, 0.1),
}


def large(name):
    value = np.random.default_rng(1).normal(size=(V, D), scale=0.3).astype("float32")
    return st.shared(value, name, axes=("rows", None))


def two_tables(role):
    t, u = large("t"), large("u")
    i, j = st.lvector("i", axes=role), st.lvector("j", axes=role)
    return [i, j], ((t[i] * u[j]).sum(1) ** 2).sum(), [t, u]


def two_gathers(role):
    t = large("t")
    i, j = st.lvector("i", axes=role), st.lvector("j", axes=role)
    return [i, j], ((t[i] * t[j]).sum(1) ** 2).sum(), [t]


def masked(role):
    t, i = large("t"), st.lvector("i", axes=role)
    kept = st.where((i % 2 > 0).dimshuffle(0, "x"), t[i], np.float32(0))
    return [i], (kept**2).sum(), [t]


def bags(role):
    t, i = large("t"), st.lvector("i", axes=role)
    return [i], (st.embedding_bag(t, i, np.arange(0, B, 4)) ** 2).sum(), [t]


FORMS = (two_tables, two_gathers, masked, bags)


COMPILED = []
"""Text and temporary bytes of what was compiled."""


def note(self, owner, compiled, inspect=Spread.inspect):
    COMPILED.append((compiled.as_text(), compiled.memory_analysis().temp_size_in_bytes))
    inspect(self, owner, compiled)


def trained(form, optimizer, role, backend):
    inputs, cost, tables = form(role)
    updates = OPTIMIZERS[optimizer](cost, tables)
    step = st.function(inputs, cost, updates=updates, backend=backend)
    ids = np.random.default_rng(0).integers(0, 9, (3, len(inputs), B))
    COMPILED.clear()
    costs = [step(*batch) for batch in ids]
    return step, [*COMPILED], costs, [*tables, *getattr(updates, "state", [])]


def small_and_in_place(form, optimizer, role):
    with subtensor_jax.mesh("rows", "batch"):
        step, code, costs, variables = trained(form, optimizer, role, "jax")
    _, _, expected, others = trained(form, optimizer, role, "numpy")
    np.testing.assert_allclose(costs, expected, rtol=1e-4)
    for a, b in zip(variables, others, strict=True):
        np.testing.assert_allclose(a.get_value(), b.get_value(), rtol=1e-4, atol=1e-5)
        assert a.cell.data.spec[:1] == (("rows",) if a.ndim else ())
    assert code
    for text, temporary in code:
        assert "all-gather" not in text
        assert temporary < SHARD, (temporary, SHARD)
        lengths = {int(n) for dims in re.findall(r"\b\w+\[([\d,]+)\]", text) for n in dims.split(",")}
        assert max(lengths - {B * D, B * D * 4}) <= -(-V // 4), lengths
    assert "input_output_alias" in code[-1][0]
    addresses = [p for v in variables for p in parts_of(v)]
    step(*[np.arange(B)] * len(step.program.inputs))
    assert addresses == [p for v in variables for p in parts_of(v)], "a table was moved"
    assert sum(t.wire for t in subtensor_jax.traffic(step)) < 8 * B * D * 4


def parts_of(variable):
    if not variable.ndim:
        return []
    return [shard.data.unsafe_buffer_pointer() for shard in variable.cell.data.data.addressable_shards]


# --- values


@check
def padding_stays_out_of_sight():
    with subtensor_jax.mesh(rows=4):
        t = programs.table()
        step = st.function([], st.exp(t).sum(), updates=[(t, t + 1)], backend="jax")
        grad = st.function([], updates=st.optimizers.adam(st.exp(-t).sum(), [t], 0.1), backend="jax")
    before = t.get_value()
    step()
    grad()
    assert t.cell.data.data.shape == (12, programs.D)
    assert t.cell.data.shape == t.get_value().shape == (programs.V, programs.D)
    assert np.abs(t.get_value() - before - 1).max() < 0.2
    np.testing.assert_array_equal(np.asarray(t.cell.data), t.get_value())
    assert isinstance(t.get_value(borrow=True, return_internal_type=True), Placed)


@check
def values_are_set_and_kept():
    with subtensor_jax.mesh(rows=4):
        t = programs.table()
        step = st.function([], t.sum(), updates=[(t, t * 2)], backend="jax")
    step()
    new = np.arange(33.0).reshape(11, 3).astype("float32")
    t.set_value(new)
    np.testing.assert_allclose(step(), new.sum(), rtol=1e-6)
    np.testing.assert_array_equal(t.get_value(), 2 * new)
    assert subtensor_jax.rows_here(t) == [slice(0, 11)]
    subtensor_jax.set_rows(t, slice(2, 9), new[2:9])
    np.testing.assert_array_equal(subtensor_jax.get_rows(t, slice(2, 9)), new[2:9])
    np.testing.assert_array_equal(t.get_value()[9:], 2 * new[9:])
    st.function([], t.sum(), backend="numpy")()
    assert isinstance(t.cell.data, np.ndarray)
    step()


@check
def the_same_bits_from_run_to_run():
    def run():
        with subtensor_jax.mesh("rows", "batch"):
            _, _, costs, variables = trained(two_gathers, "adam", ("batch",), "jax")
        return [np.asarray(c).tobytes() for c in costs] + [v.get_value().tobytes() for v in variables]

    assert run() == run()


@check
def minus_zero_and_nan_travel_as_they_are():
    value = np.array([-0.0, np.nan, 0.0, -np.inf, np.inf], "float32")
    with subtensor_jax.mesh(rows=4):
        t = st.shared(value, "t", axes=("rows",))
        i = programs.ids()
        read = st.function([i], t[i], backend="jax")
    assert read(np.arange(5)).tobytes() == value.tobytes()


@check
def it_is_one_transaction():
    with subtensor_jax.mesh("rows", "batch"):
        t, u = programs.table(), programs.table(name="u")
        i, j = programs.batch(), programs.batch()
        step = st.function([i, j], t[i].sum(), updates=[(t, t[i].inc(1.0)), (u, u[j + 0].inc(1.0))], backend="jax")
    step(programs.IDS, programs.IDS)
    before = [v.get_value() for v in (t, u)]
    for bad in (programs.IDS + 1, programs.IDS - 12):
        for args in ((bad, programs.IDS), (programs.IDS, bad)):
            with pytest.raises(IndexError, match="size 11"):
                step(*args)
    assert [v.get_value().tobytes() for v in (t, u)] == [v.tobytes() for v in before]
    step(programs.IDS, programs.IDS)


@check
def checkpoints_load_on_other_numbers_of_devices():
    def model(devices):
        if not devices:
            t = programs.table()
            i = programs.ids()
            updates = st.optimizers.adam((t[i] ** 2).sum(), [t], 0.1)
            return st.function([i], updates=updates, backend="numpy"), updates
        with subtensor_jax.mesh(rows=devices):
            t = programs.table()
            i = programs.ids()
            updates = st.optimizers.adam((t[i] ** 2).sum(), [t], 0.1)
            return st.function([i], updates=updates, backend="jax"), updates

    step, updates = model(4)
    step(programs.IDS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c"
        st.save(path, updates)
        kept = {v.name: v.get_value() for v in [*updates.parameters, *updates.state]}
        for devices in (3, 2, 1, 0):
            other, restored = model(devices)
            other(programs.IDS + 1 - 2 * (programs.IDS > 5))
            st.load(path, restored)
            for v in [*restored.parameters, *restored.state]:
                np.testing.assert_array_equal(v.get_value(), kept[v.name])
            other(programs.IDS)


@check
def a_table_that_starts_as_an_expression_is_made_in_parts():
    with subtensor_jax.mesh(rows=4):
        t = st.shared(st.zeros((V, D), "float32") + 3, "t", axes=("rows", None))
        subtensor_jax.bring(t)
    assert {s.data.shape for s in t.cell.data.data.addressable_shards} == {(-(-V // 4), D)}
    assert (t.get_value() == 3).all()


@check
def random_tables_are_drawn_in_parts():
    for dtype, width in (("float32", 5), ("float64", 3)):
        drawn = st.random.uniform(st.random.key(3), (V, width), dtype=dtype)
        with subtensor_jax.mesh(rows=4):
            t = st.shared(drawn, "t", axes=("rows", None))
            COMPILED.clear()
            subtensor_jax.bring(t)
        expected = st.function([], drawn, backend="numpy")()
        assert t.get_value().tobytes() == expected.tobytes()
        for text, _ in COMPILED:
            assert "all-gather" not in text
            assert f"{V},{width}" not in text


@check
def explain_says_what_travels():
    with subtensor_jax.mesh("rows", "batch"):
        t, i = programs.table(), programs.batch()
        step = st.function([i], t[i].sum(), updates=[(t, t[i].inc(1.0))], backend="jax")
    assert "what travels is known after the first call" in str(step.explain())
    step(programs.IDS)
    told = str(step.explain())
    assert re.search(r"over a mesh of \{rows: 4\}: each device sends [\d,]+ bytes in a step", told), told
    assert {t.kind for t in subtensor_jax.traffic(step)} <= {"all-reduce", "reduce-scatter", "all-to-all"}


@check
def a_profile_changes_nothing():
    with subtensor_jax.mesh("rows", "batch"):
        t, i = programs.table(), programs.batch()
        c = (t[i] ** 2).sum()
        updates = st.optimizers.adam(c, [t])
        step = st.function([i], c, updates=updates, backend="jax")
    step(programs.IDS)
    before = [s.get_value() for s in (t, *updates.state)]
    told = step.profile(programs.IDS, rounds=1)
    assert "XLA bytes" in told.parts[-1].details
    for s, value in zip((t, *updates.state), before, strict=True):
        np.testing.assert_array_equal(s.get_value(), value)
    st.assert_rows_only(step)


# --- what is refused


def refused(words, make):
    with pytest.raises(ShardingError, match=words):
        make()


@check
def meshes_that_do_not_fit_are_refused():
    t, i = programs.table(), programs.batch()

    def build(**roles):
        with subtensor_jax.mesh(**roles):
            return st.function([i], t[i].sum(), updates=[(t, t[i].inc(1.0))], backend="jax")

    refused("t has an axis for 'rows', which the mesh does not serve", lambda: build(batch=4))
    refused("ids has an axis for 'batch'", lambda: build(rows=4))
    refused("takes 5 devices, there are 4", lambda: build(rows=5))
    refused("rows='x'", lambda: build(rows="x", batch=4))
    refused("no devices for any role", lambda: build(rows=None))
    build(rows=4, batch=None)(programs.IDS)
    square = programs.table(shape=(4, 4), axes=("rows", "columns"))

    def shares_devices():
        with subtensor_jax.mesh("rows", "columns"):
            return st.function([], square.sum(), backend="jax")

    refused("two are served by the same devices", shares_devices)
    given = jax.sharding.Mesh(np.array(jax.devices()).reshape(2, 2), ("x", "y"))
    with subtensor_jax.mesh(given, rows=("x", "y"), batch="x"):
        step = st.function([i], t[i].sum(), updates=[(t, t[i].inc(1.0))], backend="jax")
    step(programs.IDS)
    assert t.cell.data.spec[0] == ("x", "y")


@check
def what_gathers_a_table_is_refused_with_the_node():
    for make, words in (
        (lambda t: st.cumsum(t, 0).sum(), "cumsum"),
        (lambda t: t, "t, copied|an output|t"),
        (lambda t: t * 2, r"\(t \* 2"),
    ):
        with subtensor_jax.mesh(rows=4):
            t = programs.table()
            step = st.function([], make(t), updates=[(t, t + 1)], backend="jax")
        before = t.get_value()
        refused(f"{words}.* needs all of t, shape \\(11, 3\\)", step)
        np.testing.assert_array_equal(t.get_value(), before)


for _form in FORMS:
    for _optimizer in OPTIMIZERS if _form is two_tables else ("sgd", "adam"):
        for _role in (None, ("batch",)) if _form is two_tables else (("batch",),):
            _name = f"{_optimizer} with {_form.__name__}{', divided' if _role else ''}"
            CHECKS[_name] = lambda f=_form, o=_optimizer, r=_role: small_and_in_place(f, o, r)
for _name in programs.CASES:
    CHECKS[f"as on NumPy: {_name}"] = lambda n=_name: same(n)


def main():
    Spread.inspect = note
    for name, run in CHECKS.items():
        try:
            run()
        except Exception:  # noqa: BLE001  # told to whoever asked
            problem = traceback.format_exc(limit=-4)[-2000:]
        else:
            problem = ""
        print(json.dumps({"name": name, "problem": problem}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
