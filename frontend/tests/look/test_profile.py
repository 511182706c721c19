"""``fn.profile()``: parts, the model beside them, and nothing updated."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import subtensor as st

BACKENDS = pytest.mark.parametrize("backend", ["numpy", "numba", "jax"])
ids = st.lvector("ids")


@pytest.fixture(autouse=True)
def _numba_is_there(request):
    if getattr(request.node, "callspec", None) and request.node.callspec.params.get("backend") == "numba":
        pytest.importorskip("numba")


def model(backend, v=500):
    table = st.shared(np.ones((v, 16), np.float32), name="table")
    c = (st.tanh(table[ids]) ** 2).sum()
    updates = st.optimizers.adagrad(c, [table])
    return st.function([ids], c, updates=updates, backend=backend, name="step"), [table, *updates.state]


@BACKENDS
def test_every_operation_is_in_one_part_and_nothing_is_updated(backend):
    step, state = model(backend)
    before = [s.get_value() for s in state]
    told = step.profile(np.arange(300) % 7, rounds=2)
    assert all((s.get_value() == b).all() for s, b in zip(state, before, strict=True))
    assert (told.name, told.backend, told.calls) == ("step", backend, 2)
    assert told.seconds > 0
    assert told.first > 0
    assert all(p.seconds >= 0 for p in told.parts)
    names = [o for p in told.parts for o in p.operations]
    assert len(names) == len(set(names)) or backend != "numpy"
    assert "table[distinct(ids)]" in names
    assert any("updates" in p.what for p in told.parts)
    allocated = sum(p.costs.allocated.bound for p in told.parts)
    assert 0 < allocated <= told.totals.allocated.bound
    if backend != "numba":  # which makes some of it twice, and none of the rest
        assert allocated >= 0.9 * told.totals.allocated.bound


@BACKENDS
def test_calls_go_on_as_if_it_had_not_been(backend):
    (one, first), (two, second) = model(backend), model(backend)
    for f in (one, two):
        f([1, 2, 2])
    one.profile([3, 4], rounds=1)
    np.testing.assert_array_equal(one([1, 5]), two([1, 5]))
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.get_value(), b.get_value())


def test_lengths_that_the_values_decide_are_those_of_the_call():
    step, _ = model("numpy")
    told = step.profile(np.arange(300) % 7, rounds=1)
    (part,) = [p for p in told.parts if p.operations == ("table[distinct(ids)]",)]
    assert part.costs.allocated.number == 7 * 16 * 4
    assert part.modelled > 0
    assert told.totals.allocated.number is not None


def test_xla_tells_what_it_thinks():
    step, _ = model("jax")
    (stage,) = step.profile([1, 2, 3], rounds=1).parts
    assert stage.what.startswith("stage 1 of 1")
    assert set(stage.details) >= {"XLA operations", "XLA bytes", "XLA temporary bytes"}
    keep = ids[ids > 2]
    masked = st.function([ids], keep * 2, backend="jax")
    whats = [p.what for p in masked.profile([1, 5, 3], rounds=1).parts]
    assert [w.partition(":")[0] for w in whats][-1] == "stage 2 of 2"


def test_blocks_are_one_part():
    x = st.tensor("x", "float32", (None, 64))
    f = st.function([x], st.tanh(x * 2) + st.exp(x), backend="numpy")
    told = f.profile(np.ones((5000, 64), np.float32), rounds=1)
    (together,) = [p for p in told.parts if len(p.operations) > 1]
    assert len(together.operations) == 4
    assert together.what.startswith("4 together, to ")


@BACKENDS
def test_loops_swaps_random_numbers_and_functions_without_updates(backend):
    x = st.fvector("x")
    total, _ = st.scan(lambda y, a: a + y, sequences=[x], outputs_info=[np.float32(0)])
    looped = st.function([x], total[-1], backend=backend)
    assert any("scan" in o for p in looped.profile([1.0, 2.0], rounds=1).parts for o in p.operations)
    u, v = (st.shared(np.full(3, k, "float32"), name=n) for k, n in ((1, "u"), (2, "v")))
    swap = st.function([], [], updates=[(u, v), (v, u)], backend=backend)
    swap.profile(rounds=3)
    assert (u.get_value() == 1).all()
    rng = st.RandomStream(3)
    draw = st.function([], rng.uniform(size=(2,)), backend=backend)
    other = st.RandomStream(3)
    again = st.function([], other.uniform(size=(2,)), backend=backend)
    draw.profile()
    np.testing.assert_array_equal(draw(), again())


def test_arguments_are_those_of_a_call():
    n, x = st.lscalar("n"), st.dvector("x")
    f = st.function([x, st.In(n, value=2)], x * n)
    assert f.profile([1.0, 2.0]).parts
    assert f.profile(x=[1.0], n=3).parts
    with pytest.raises(st.CallError, match="missing x"):
        f.profile()
    with pytest.raises(st.CallError, match="rounds=0"):
        f.profile([1.0], rounds=0)
    step, _ = model(st.config.backend)
    with pytest.raises(st.BoundsError, match="index 500 at position"):
        step.profile([500])


def test_the_same_as_data_as_text_and_as_html():
    step, _ = model("numpy")
    told = step.profile([1, 2], rounds=1)
    data = json.loads(json.dumps(told.as_dict()))
    assert [p["what"] for p in data["parts"]] == [p.what for p in told.parts]
    assert str(told).splitlines()[0].startswith("step on numpy: ")
    cells = ["".join(td.itertext()) for td in ET.fromstring(f"<div>{told._repr_html_()}</div>").iter("td")]
    assert "all parts" in cells


def test_a_table_in_a_file_stays_as_it_is(tmp_path):
    values = np.memmap(tmp_path / "table", np.float32, "w+", shape=(9, 2))
    table = st.shared(values, name="table", borrow=True)
    f = st.function([ids], updates=[(table, table[ids].inc(1.0))], backend="numpy")
    assert f.profile([1, 1], rounds=2).parts
    assert not values.any()
    f([1, 1])
    assert values[1, 0] == 2
