"""A step is applied whole or not at all: failures are injected at every line and at every instruction."""

import gc
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import wraps

import numpy as np
import pytest

import subtensor as st
from subtensor import plugins
from subtensor.graph.nodes import Op
from subtensor.plugins.hooks import hookimpl

E, W = np.random.default_rng(0).normal(size=(6, 3)), np.random.default_rng(1).normal(size=(3, 2))
IDS, MORE, X = np.array([4, 1, 4]), np.array([0, 2]), np.arange(6.0).reshape(3, 2)


class Model:
    """Two tables that are written in place, one that is replaced, a counter, and a log that grows."""

    def __init__(self, tag=lambda v: v):
        self.shared = [
            st.shared(E, name="e"),
            st.shared(W, name="w"),
            st.shared(np.zeros((6, 3)), name="m"),
            st.shared(0, name="n"),
            st.shared(np.zeros(0), name="log", shape=(None,)),
        ]
        e, w, m, n, log = self.shared
        i, j, x = st.lvector("i"), st.lvector("j"), st.dmatrix("x")
        subset = e[i]
        cost = tag(((subset @ w - tag(x)) ** 2).sum())
        g, gw = st.grad(cost, [subset, w])
        updates = [
            (e, tag(e[i].inc(-0.1 * tag(g)))[j].set(0.5)),
            (w, tag(w - 0.1 * gw)),
            (m, m[i].inc(tag(g**2))),
            (n, n + 1),
            (log, st.concatenate([log, tag(cost).reshape((1,))])),
        ]
        self.step = st.function([i, j, x], [cost, subset], updates=updates, name="step")

    def __call__(self):
        return self.step(IDS, MORE, X)

    def state(self):
        return [(v.dtype, v.shape, v.tobytes()) for v in (s.get_value() for s in self.shared)]


OURS = {"subtensor", "subtensor_numpy", "subtensor_jax"}


def is_ours(frame):
    """By module, not by path: the folder of a virtual environment may be named after the project."""
    generated = frame.f_code.co_filename.startswith("<subtensor")
    return generated or frame.f_globals.get("__name__", "").partition(".")[0] in OURS


class Injector:
    """Raises at the n-th line that the library runs during a call."""

    def __init__(self, n, error):
        self.n, self.error, self.seen, self.at = n, error, 0, None

    def __call__(self, frame, event, arg):
        if not is_ours(frame):
            return None
        if event == "line":
            self.seen += 1
            if self.seen == self.n:
                self.at = f"{frame.f_code.co_filename}:{frame.f_lineno}"
                raise self.error
        return self

    def run(self, call):
        before = sys.gettrace()
        gc.disable()  # what the collector runs would count as lines, in one run and not in another
        sys.settrace(self)
        try:
            return call()
        finally:
            sys.settrace(before)
            gc.enable()


ERRORS = [RuntimeError("injected"), KeyboardInterrupt(), MemoryError()]


def in_own_thread(test):
    """What is raised where a ``with`` ends leaves settings as they were within, for the thread: nobody else uses it."""

    @wraps(test)
    def run(*args, **kwargs):
        with ThreadPoolExecutor(1) as pool:
            pool.submit(test, *args, **kwargs).result()

    return run


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("at_home", [False, True])
@in_own_thread
def test_a_failure_at_any_line_leaves_all_or_nothing(error, at_home):
    model = Model()
    start = [s.get_value() for s in model.shared]

    def back():
        for s, v in zip(model.shared, start, strict=True):
            s.set_value(v)
        if at_home:  # else the call moves the values to the backend first
            model()

    back()
    old = model.state()
    model()
    new = model.state()
    assert old != new
    undone = done = 0
    for n in range(1, 2000):
        back()
        injector = Injector(n, error)
        try:
            injector.run(model)
        except type(error) as caught:
            assert caught is error  # noqa: PT017  # whether it is raised at all depends on n
        else:
            assert injector.at is None
            break
        after = model.state()
        assert after in (old, new), f"{injector.at}: half a step is applied"
        undone += after == old
        done += after == new
        if after == old:
            assert not done, f"{injector.at}: a step is undone after it had been applied"
            model()  # no lock is held, and nothing is half prepared
            assert model.state() == new
    assert injector.at is None
    assert undone > 20
    assert undone > done


def test_after_a_failure_other_threads_are_not_blocked():
    model = Model()
    with pytest.raises(KeyboardInterrupt):
        Injector(25, KeyboardInterrupt()).run(model)
    worker = threading.Thread(target=model)
    worker.start()
    worker.join(30)
    assert not worker.is_alive()
    assert model.shared[3].get_value() == 1


class Bomb:
    """A plugin with an op that lets values through, and raises the n-th time."""

    def __init__(self):
        self.armed = None
        self.calls = 0
        self.op = Op(
            name="test_bomb",
            infer=lambda x, where: x.type,
            vjp=lambda g, out, x, where: [g],
            dims=lambda a, x, where: (x, a),
        )

    @hookimpl
    def subtensor_ops(self):
        return [self.op]

    @hookimpl
    def subtensor_lowerings(self):
        return {"numpy": {"test_bomb": self.run}}

    def run(self, x, where):
        self.calls += 1
        if self.armed is not None and self.calls == self.armed[0]:
            raise self.armed[1]
        return x


@pytest.fixture
def bomb():
    made = Bomb()
    name = plugins.register(made)
    yield made
    plugins.unregister(name)


@pytest.mark.parametrize(
    "error",
    [ZeroDivisionError(), KeyboardInterrupt(), IndexError("made up"), SystemExit()],
    ids=lambda e: type(e).__name__,
)
def test_a_lowering_that_raises_leaves_everything(bomb, error, monkeypatch):
    monkeypatch.setattr(st.config, "backend", "numpy")  # for which the lowering is
    count = 0

    def tag(v):
        nonlocal count
        count += 1
        return bomb.op(v, where=count)

    model = Model(tag)
    before = model.state()
    bombs = sum(i.op is bomb.op for i in model.step.program.instructions)
    assert bombs > 5
    for n in range(1, bombs + 2):
        bomb.calls, bomb.armed = 0, (n, error)
        if n <= bombs:
            with pytest.raises(type(error)) as caught:
                model()
            assert caught.value is error
            assert model.state() == before
        else:
            model()
            assert model.state() != before


BAD = {
    "row out of bounds": lambda a: {**a, "i": np.array([0, 6, 1])},
    "negative row out of bounds": lambda a: {**a, "i": np.array([0, -7, 1])},
    "last write out of bounds": lambda a: {**a, "j": np.array([0, 6])},
    "wrong width": lambda a: {**a, "x": np.zeros((3, 5))},
    "wrong length": lambda a: {**a, "x": np.zeros((4, 2))},
    "wrong rank": lambda a: {**a, "x": np.zeros(3)},
    "float ids": lambda a: {**a, "i": np.array([0.0, 1.0, 2.0])},
    "nan ids": lambda a: {**a, "i": np.array([0.0, np.nan, 2.0])},
    "text": lambda a: {**a, "x": "a"},
    "missing": lambda a: {k: v for k, v in a.items() if k != "x"},
    "extra": lambda a: {**a, "y": 1},
    "ragged": lambda a: {**a, "x": [[1.0], [1.0, 2.0]]},
    "symbolic": lambda a: {**a, "x": st.dmatrix("x")},
    "nothing": lambda a: {**a, "x": None},
}


@pytest.mark.parametrize("rewrites", [True, False])
@pytest.mark.parametrize("case", BAD)
def test_bad_input_leaves_everything_bitwise_as_it_was(case, rewrites):
    model = Model()
    for _ in range(2):
        before = model.state()
        with pytest.raises(st.errors.SubtensorError):
            model.step(**BAD[case]({"i": IDS, "j": MORE, "x": X}))
        assert model.state() == before
        model()
        assert model.state() != before


def test_not_a_number_is_kept_bit_by_bit():
    """Signed zeros and NaN payloads of rows that are not touched, or whose step fails, stay as they are."""
    odd = np.array([-0.0, np.nan, 5e-324, -np.inf])
    odd.view("u8")[1] |= 0x1234
    t, i = st.shared(odd, name="t"), st.lvector("i")
    inc = st.function([i], updates=[(t, t[i].inc(1.0))])
    for ids in ([2, 4], [-5]):
        with pytest.raises(IndexError):
            inc(ids)
        assert t.get_value().tobytes() == odd.tobytes()
    inc([])
    assert t.get_value().tobytes() == odd.tobytes()
    inc([2])
    assert t.get_value()[[0, 1, 3]].tobytes() == odd[[0, 1, 3]].tobytes()


def test_set_value_changes_all_or_nothing():
    t = st.shared(E, name="t")
    for bad, error in [(E[:3], ValueError), ("a", TypeError), (E.astype("c16"), TypeError), (E[0], ValueError)]:
        with pytest.raises(error):
            t.set_value(bad)
        np.testing.assert_array_equal(t.get_value(), E)


def test_the_injector_sees_a_commit_that_can_be_divided(monkeypatch):
    source = (
        "def commit(cells, values, writes=()):\n for w in writes:\n  w()\n for c, v in zip(cells, values): c.data = v\n"
    )
    space = {}
    exec(compile(source, "<subtensor divided commit>", "exec"), space)
    monkeypatch.setattr("subtensor_numpy.emit.commit", space["commit"])
    monkeypatch.setattr(st.config, "backend", "numpy")
    with pytest.raises(AssertionError, match="half a step is applied"):
        test_a_failure_at_any_line_leaves_all_or_nothing(RuntimeError("injected"), True)
