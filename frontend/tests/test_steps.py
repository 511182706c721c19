"""``fn.steps``: many calls at once mean what calls one by one do."""

import threading
import time
import warnings

import numpy as np
import pytest

import subtensor as st

pytestmark = pytest.mark.once

BACKENDS = ["numpy", "jax"]
RNG = np.random.default_rng(0)
IDS = RNG.integers(0, 10, (17, 4))


@pytest.fixture(params=BACKENDS)
def backend(request):
    if request.param == "jax":
        pytest.importorskip("jax")
    return request.param


def model(backend, optimizer="adam", **options):
    t, i, y = st.shared(np.ones((10, 3)), "t"), st.lvector("i"), st.dvector("y")
    cost = ((t[i].sum(1) - y) ** 2).sum()
    updates = getattr(st.optimizers, optimizer)(cost, t[i], 0.1)
    f = st.function([i, st.In(y, value=np.arange(4.0))], [cost, t[i]], updates=updates, backend=backend, **options)
    return f, [t, *updates.state]


def values(variables):
    return [s.get_value() for s in variables]


def same(a, b):
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-12)


@pytest.mark.parametrize("count", [0, 1, 17])
@pytest.mark.parametrize("form", ["arrays", "names", "tuples", "dicts", "here"])
def test_steps_are_calls(backend, count, form):
    (f, one), (g, many) = model(backend), model(backend)
    ys = RNG.normal(size=(17, 4))
    called = [f(i, y) for i, y in zip(IDS[:count], ys, strict=False)]
    pairs = zip(IDS[:count], ys, strict=False)
    if form == "arrays":
        outputs = g.steps(IDS[:count], ys[:count])
    elif form == "names":
        outputs = g.steps(IDS[:count], y=ys[:count])
    elif form == "tuples":
        outputs = g.steps(pairs)
    elif form == "dicts":
        outputs = g.steps({"i": i, "y": y} for i, y in pairs)
    else:
        outputs = g.steps(pairs, prefetch=0)
    same(values(many), values(one))
    for k, out in enumerate(outputs):
        assert len(out) == count
        same(list(out), [c[k] for c in called])


def test_defaults_are_those_of_the_function(backend):
    (f, one), (g, many) = model(backend), model(backend)
    for i in IDS:
        f(i)
    g.steps(IDS)
    same(values(many), values(one))
    with pytest.raises(st.CallError, match="steps needs an argument for each step"):
        st.function([], [], updates=[(many[0], many[0] * 2)], backend=backend).steps()


@pytest.mark.parametrize("form", ["arrays", "iterator", "here"])
@pytest.mark.parametrize("at", [0, 9])
def test_a_failing_step_is_named_and_the_earlier_ones_are_applied(backend, form, at):
    (f, one), (g, many) = model(backend), model(backend)
    called = [f(i) for i in IDS[:at]]
    bad = IDS.copy()
    bad[at, 2] = 77
    argument = {"arrays": bad, "iterator": iter(bad), "here": iter(bad)}[form]
    with pytest.raises(IndexError, match=rf"^step {at}: .*index 77 at position \(2,\) of i is out of bounds") as caught:
        g.steps(argument, **({"prefetch": 0} if form == "here" else {}))
    same(values(many), values(one))
    assert caught.value.step == at
    assert isinstance(caught.value, st.BoundsError)
    for k, out in enumerate(caught.value.outputs):
        same(list(out), [c[k] for c in called])
    same(g.steps(IDS[at:])[0], [f(i)[0] for i in IDS[at:]])  # it goes on


def test_a_rule_that_only_the_device_sees(backend):
    t, i = st.shared(np.arange(5), "t"), st.lvector("i")
    f = st.function([i], t[t[i]].sum(), updates=[(t, t[t[i]].inc(1))], backend=backend)
    # t = 0 1 2 3 4; adding to t[4] makes it 5, which is out of range when it is read
    with pytest.raises(IndexError, match=r"^step 2: .*index 5"):
        f.steps(np.array([[0], [4], [4], [1]]))
    assert t.get_value().tolist() == [1, 1, 2, 3, 5]


def test_the_form_of_outputs(backend):
    x = st.dscalar("x")
    for outputs, due in (
        (x * 2, lambda r: r.tolist() == [2, 4]),
        ([x], lambda r: isinstance(r, list) and r[0].tolist() == [1, 2]),
        ({"a": x}, lambda r: r["a"].tolist() == [1, 2]),
        (None, lambda r: r == []),
    ):
        f = st.function([x], outputs, backend=backend, on_unused_input="ignore")
        assert due(f.steps([1.0, 2.0]))
        assert due(f.steps(iter([1.0, 2.0])))
    v = st.dvector("v")
    f = st.function([v], v[v > 0], backend=backend)
    found = f.steps(np.array([[1.0, -1.0], [2.0, 3.0]]))
    assert [r.tolist() for r in found] == [[1], [2, 3]]


def test_shapes_may_change_in_an_iterator(backend):
    f, _ = model(backend)
    t, i = st.shared(np.zeros(5), "t"), st.lvector("i")
    f = st.function([i], t[i].sum(), updates=[(t, t[i].inc(1.0))], backend=backend)
    assert f.steps(iter([[0], [0, 1], [0, 1], [2]])).tolist() == [0, 1, 3, 0]
    assert t.get_value().tolist() == [3, 2, 1, 0, 0]


def test_arguments_are_checked_before_anything_is_done(backend):
    f, variables = model(backend)
    before = values(variables)
    for batches, words in (
        ((IDS, np.ones((5, 4))), "unequal numbers of steps: 17 for i, 5 for y"),
        ((IDS * 1.5,), "argument i, one for each step, takes int64, got float64"),
        ((IDS, IDS, IDS), "got 3 arguments"),
        ((IDS[0],), r"argument i, one for each step, has shape \(\?, \?\), got a value of shape \(4,\)"),
    ):
        with pytest.raises((TypeError, ValueError), match=words):
            f.steps(*batches)
    same(values(variables), before)


def test_how_far_to_read_ahead_is_a_number():
    f, _ = model("numpy")
    for wrong in (-1, 0.5, "2", None):
        with pytest.raises(st.CallError, match=r"prefetch=.*; expected a number of steps"):
            f.steps(iter(IDS), prefetch=wrong)


def test_an_iterator_that_fails_does_so_in_its_place(backend):
    f, variables = model(backend)
    g, due = model(backend)

    def items():
        yield from IDS[:3]
        raise KeyError("no more")

    with pytest.raises(KeyError, match="no more"):
        f.steps(items())
    for i in IDS[:3]:
        g(i)
    same(values(variables), values(due))
    with pytest.raises(TypeError, match=r"argument i takes int64"):
        f.steps(iter([IDS[0], IDS[0] * 0.5]))


def test_an_iterator_may_use_its_array_again(backend):
    t, i = st.shared(np.zeros(10), "t"), st.lvector("i")
    f = st.function([i], updates=[(t, t[i].inc(1.0))], backend=backend)

    def items():
        room = np.zeros(1, int)
        for k in range(10):
            room[0] = k
            yield room

    f.steps(items())
    assert t.get_value().tolist() == [1] * 10


def test_what_is_read_ahead_is_bounded_and_ends(backend):
    f, _ = model(backend)
    taken = []

    def items():
        for k in range(10**6):
            taken.append(k)
            yield IDS[0] if k < 3 else IDS[0] + 100

    running = threading.active_count()
    with pytest.raises(IndexError, match=r"^step 3:"):
        f.steps(items(), prefetch=8)
    assert len(taken) < 100
    assert threading.active_count() <= running
    assert all(thread.name != "subtensor steps" for thread in threading.enumerate())


def test_the_next_items_are_made_while_a_step_runs():
    x = st.dscalar("x")
    busy = []

    def items():
        for k in range(20):
            busy.append(threading.current_thread())
            time.sleep(0.001)
            yield float(k)

    assert st.function([x], x + 1).steps(items()).tolist() == list(np.arange(20.0) + 1)
    assert busy[0] is not threading.current_thread()


def test_other_threads_have_their_turn(backend):
    t, i = st.shared(np.zeros(4), "t"), st.lvector("i")
    f = st.function([i], updates=[(t, t[i].inc(1.0))], backend=backend)
    ids = np.zeros((3000, 1), int)
    threads = [threading.Thread(target=f.steps, args=(ids,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert t.get_value().tolist() == [9000, 0, 0, 0]


def test_more_steps_than_one_dispatch(backend):
    t = st.shared(np.zeros((), int), "t")
    x = st.lscalar("x")
    f = st.function([x], t, updates=[(t, t + x)], backend=backend)
    found = f.steps(np.ones(1300, int))
    assert found.tolist() == list(range(1300))
    assert t.get_value() == 1300


def test_a_bar(capsys):
    pytest.importorskip("tqdm")
    x = st.dscalar("x")
    f = st.function([x], x, name="doubled")
    f.steps(np.ones(5))
    assert capsys.readouterr().err == ""
    f.steps(np.ones(5), progress=True)
    assert "doubled" in capsys.readouterr().err


def test_no_warnings(backend):
    f, _ = model(backend)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for n in (1, 2, 3, 17):
            f.steps(IDS[:n])


def test_the_shapes_are_explained():
    f, _ = model("numpy")
    f.steps(IDS)
    assert f._shapes == ((4,), (4,))
