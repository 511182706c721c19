"""The backend of docs/writing-a-backend.md against the NumPy backend: every core op, indices, steps, and what fails."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

import subtensor as st
from subtensor.errors import PluginError, SubtensorError
from subtensor.graph.nodes import OPS, toposort
from subtensor.ops.loop import map_rows
from subtensor.ops.shape import lengths
from subtensor.program.linear import copy_op

BACKEND = "tiny"
SOURCE = Path(__file__).parents[1] / "examples" / "tiny_backend.py"


@pytest.fixture(scope="module", autouse=True)
def backend():
    """The tiny backend, registered for the length of this module."""
    spec = importlib.util.spec_from_file_location("tiny_backend_under_test", SOURCE)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    st.plugins.register(module)
    yield module
    st.plugins.unregister("tiny")
    del sys.modules[spec.name]


def inputs_for(arrays):
    return [st.tensor(f"x{i}", a.dtype.name, (None,) * a.ndim) for i, a in enumerate(arrays)]


def same(got, expected, exact=False):
    """Raises AssertionError unless dtype, shape and values agree: exactly, or floats up to a few ulp."""
    assert isinstance(got, np.ndarray)
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    if exact or got.dtype.kind != "f":
        assert np.array_equal(got, expected, equal_nan=got.dtype.kind == "f")
    else:
        np.testing.assert_allclose(got, expected, rtol=16 * np.finfo(got.dtype).eps, atol=0)


def compared(build, arrays):
    """Run a graph on both backends and compare; gives the names of the ops that ran."""
    nodes = inputs_for(arrays)
    output = build(*nodes)
    results = []
    for backend in (BACKEND, "numpy"):
        run = st.function(nodes, output, backend=backend, on_unused_input="ignore", rewrites=False)
        results.append(run(*arrays))
    same(*results)
    assert results[0].dtype == output.dtype
    return {i.op.name for i in run.program.instructions}


def op(name, **params):
    return lambda *nodes: OPS[name](*nodes, **params)


FLOATS = ("float16", "float32", "float64")
INTEGERS = ("int8", "uint8", "int32", "int64")
rng = np.random.default_rng(5)
SPECIAL_VALUES = [0.0, -0.0, 1.0, -1.0, 0.25, -2.5, 3.5, np.inf, -np.inf, np.nan]
floats = {d: np.array([*SPECIAL_VALUES, *rng.normal(size=6)], d) for d in FLOATS}
integers = {
    d: np.array([0, 1, 2, 3, 5, 7, 100, 127, *([-1, -128] if d[0] == "i" else [200, 255])], d) for d in INTEGERS
}
bools = {"bool": np.array([False, True])}
grid = rng.normal(size=(3, 4, 2))

UNARY_FLOAT = (
    "exp expm1 log log1p sqrt sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh floor ceil trunc "
    "rint erf erfc erfcx erfinv ndtri gammaln digamma i0e i1e"
)
CASES = [
    ("ifelse", lambda c, x: st.ifelse(c, x, -x), [np.array(False), np.arange(3.0)]),
    *((f"{n}-{d}", op(n), [a]) for n in UNARY_FLOAT.split() for d, a in floats.items()),
    *((f"{n}-{d}", op(n), [a]) for n in ("neg", "abs", "sign") for d, a in (floats | integers).items()),
    *((f"invert-{d}", op("invert"), [a]) for d, a in (integers | bools).items()),
    *(
        (f"{n}-{d}", op(n), [a[:, None], a])
        for n in ("add", "multiply", "maximum", "minimum", "less", "less_equal", "equal")
        for d, a in (floats | integers | bools).items()
    ),
    *((f"subtract-{d}", op("subtract"), [a[:, None], a]) for d, a in (floats | integers).items()),
    *((f"{n}-{d}", op(n), [a[:, None], a]) for n in ("floor_divide", "mod") for d, a in (floats | integers).items()),
    *((f"{n}-{d}", op(n), [a[:, None], a]) for n in ("divide", "arctan2", "power") for d, a in floats.items()),
    *((f"power-{d}", op("power"), [a[:, None], abs(a[:6])]) for d, a in integers.items()),
    *((f"{n}-{d}", op(n), [a[:, None], a]) for n in ("and", "or", "xor") for d, a in (integers | bools).items()),
    *((f"{n}-{d}", op(n), [a[:, None], a[:4]]) for n in ("left_shift", "right_shift") for d, a in integers.items()),
    ("polygamma", op("polygamma"), [np.array([[1.0], [2.0], [3.0]]), np.array([0.5, 1.5, 20.0])]),
    *((n, op(n), [np.array([[0.5], [2.5]]), np.array([0.0, 1.5, 20.0])]) for n in ("gammainc", "gammaincc")),
    ("betainc", op("betainc"), [np.array([[0.5], [2.5]]), np.array(1.5), np.array([0.0, 0.25, 1.0])]),
    ("where", op("where"), [np.array([[True], [False]]), np.arange(3.0), np.float64(7)]),
    *(
        (f"cast-{d}-{to}", op("cast", dtype=to), [np.array([0, 1, 3], d)])
        for d in ("bool", "int8", "float32")
        for to in FLOATS
    ),
    ("cast-wraps", op("cast", dtype="int8"), [np.array([1, 300, -1])]),
    ("length", op("length", axis=1), [grid]),
    ("reshape", op("reshape"), [grid, np.int64(4), np.int64(-1)]),
    ("transpose", op("transpose", axes=(2, 0, 1)), [grid]),
    ("expand_dims", op("expand_dims", axes=(0, 2)), [grid]),
    ("squeeze", op("squeeze", axes=(0, 2)), [np.ones((1, 3, 1))]),
    ("broadcast_to", op("broadcast_to"), [np.arange(3.0)[:, None], *np.array([2, 3, 4])]),
    *((f"sum_to-{n}", op("sum_to"), [grid, *np.array(n)]) for n in ([1, 4, 2], [4, 2], [1, 2], [3, 4, 2], [1])),
    ("concatenate", op("concatenate", axis=1), [grid, grid[:, :1]]),
    ("stack", op("stack"), [grid, -grid]),
    ("fixed_shape", op("fixed_shape", shape=(3, None, 2)), [grid]),
    ("fitting_mask", op("fitting_mask"), [np.array([True, False]), np.int64(2)]),
    ("copy", copy_op, [grid]),
    *((f"arange-{s}", op("arange"), list(np.array(s))) for s in ([0, 5, 1], [5, 0, -2], [3, 3, 1], [0.0, 1.0, 0.3])),
    *((f"matmul-{d}", op("matmul"), [grid.astype(d), np.ones((2, 5), d)]) for d in ("float32", "float64", "int64")),
    *(
        (f"einsum-{s}", op("einsum", spec=s), [grid[0], grid[1]])
        for s in ("ab,ab->ab", "ab,ac->bc", "ab,cb->ac", "ab,ab->")
    ),
    *(
        (f"{n}-{axes}-{d}", op(n, axes=axes), [grid.astype(d)])
        for n in ("sum", "prod", "max", "min")
        for axes in ((0,), (0, 2), (0, 1, 2))
        for d in ("int8", "float32", "float64")
    ),
    *((f"{n}-nan", op(n, axes=(0,)), [floats["float64"]]) for n in ("sum", "prod", "max", "min")),
    *((f"{n}-empty", op(n, axes=(0,)), [np.zeros((0, 2))]) for n in ("sum", "prod")),
    *(
        (f"{n}-{d}", op(n, axis=0), [a])
        for n in ("argmax", "argmin", "sort", "argsort")
        for d, a in (floats | integers).items()
    ),
    *(
        (f"{n}-{d}", op(n, axis=1), [grid.astype(d)])
        for n in ("cumsum", "cumprod", "sort")
        for d in ("int8", "float32")
    ),
    ("argsort-ties", op("argsort", axis=0), [np.arange(100) % 3]),
    *(
        (f"searchsorted-{s}", op("searchsorted", side=s), [np.array([1, 2, 2, 5]), np.array([[0, 2], [5, 9]])])
        for s in ("left", "right")
    ),
    ("flatnonzero", op("flatnonzero"), [np.array([True, False, True])]),
    ("scan", lambda x, y: map_rows(lambda row: row * y, x, lengths(y)), [grid[0], grid[1]]),
    ("scan-none", lambda x, y: map_rows(lambda row: row * y, x, lengths(y)), [grid[0, :0], grid[1]]),
]

cube = np.arange(4 * 3 * 5.0).reshape(4, 3, 5)
i1, i2, few = np.array([0, -1, 2, 2]), np.array([[1], [0]]), np.array([1, 0, 1])
mask = np.array([True, False, True, True])
KEYS = [
    (2,),
    (-1, ...),
    (slice(None, None, -2),),
    (slice(1, 1),),
    (..., slice(-3, None)),
    (i1,),
    (i2, i1),
    (i1, slice(None), few[:1]),
    (slice(None), few, slice(None, None, 3)),
    (0, slice(None), i1),
    (i1, 0, 2),
    (mask,),
    (mask, None, 1),
    (cube % 7 == 0,),
    (np.zeros(0, int),),
    (slice(None), mask[:3], few[:1]),
    (i2, few, i2),
    (1, 2, 3),
    (few.astype("uint8"), few.astype("int8")),
]


def symbolic(key, nodes):
    """A key with its arrays replaced by nodes, in order."""
    nodes = iter(nodes)
    return tuple(next(nodes) if isinstance(k, np.ndarray) else k for k in key)


@pytest.mark.parametrize(("build", "arrays"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_each_op_gives_what_numpy_gives(build, arrays):
    compared(build, arrays)


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_reads_and_writes_at_any_index_are_as_numpys(key):
    given = [k for k in key if isinstance(k, np.ndarray)]
    part = cube[key]
    value = rng.integers(1, 9, part.shape).astype(float)
    added = cube.copy()
    np.add.at(added, key, value)
    stored = cube.copy()
    stored[key] = value
    for spell in (lambda nodes: key, lambda nodes: symbolic(key, nodes)):
        x, y, *nodes = inputs_for([cube, value, *given])
        subset = x[spell(nodes)]
        outputs = [subset, subset.set(y), subset.inc(y), st.grad((subset.set(y) * x).sum(), y)]
        run, reference = (
            st.function([x, y, *nodes], outputs, backend=b, on_unused_input="ignore", rewrites=False)
            for b in (BACKEND, "numpy")
        )
        got = run(cube, value, *given)
        for have, expected in zip(got, reference(cube, value, *given), strict=True):
            same(have, expected, exact=True)
        for have, expected in zip(got, (part, stored, added), strict=False):
            assert np.array_equal(have, expected)


def test_the_cases_hold_every_core_op():
    ran = set()
    for _, build, arrays in CASES:
        ran |= {node.op.name for node in toposort([build(*inputs_for(arrays))]) if node.op is not None}
    core = {name for name, o in OPS.items() if o.expand is None and o.infer.__module__.startswith("subtensor.")}
    assert core - ran == {"subtensor", "set_subtensor", "inc_subtensor"}  # the test of indices has them
    assert core <= st.plugins.get_backend(BACKEND).operations


# --- steps


def recipe(backend):
    table = st.shared(np.arange(10.0).reshape(5, 2), name="table")
    ids, rate = st.lvector("ids"), st.scalar("rate")
    subset = table[ids]
    cost = (subset**2).sum()
    updates = [(table, st.inc_subtensor(subset, -rate * st.grad(cost, subset)))]
    return st.function([ids, rate], [cost], updates=updates, backend=backend), [table]


def skip_gram(backend):
    words = st.shared(np.linspace(-1, 1, 12, dtype="float32").reshape(6, 2), name="words")
    contexts = st.shared(np.linspace(1, -1, 12, dtype="float32").reshape(6, 2), name="contexts")
    ids, rate = st.lvector("ids"), st.fscalar("rate")
    w, c, n = words[ids], contexts[ids + 1], contexts[ids - 2]
    cost = st.softplus(-(w * c).sum(1)).sum() + st.softplus(w @ n.T).sum()
    gw, gc, gn = st.grad(cost, [w, c, n])
    new = st.inc_subtensor(contexts[ids + 1], -rate * gc)
    new = st.inc_subtensor(new[ids - 2], -rate * gn)
    updates = [(words, w.inc(-rate * gw)), (contexts, new)]
    return st.function([ids, rate], [cost], updates=updates, backend=backend), [words, contexts]


def everything_else(backend):
    a, b = st.shared(np.eye(3), name="a"), st.shared(np.ones((3, 3)), name="b")
    counts, total = st.shared(np.zeros(3, "int64"), name="counts"), st.shared(0.0, name="total")
    ids, rate = st.lvector("ids"), st.scalar("rate")
    updates = {a: b, b: a, counts: counts[ids].inc(1)[:1].set(7), total: total + rate * a[ids, ids].sum()}
    return st.function([ids, rate], [a, b.T, counts], updates=updates, backend=backend), [a, b, counts, total]


PROGRAMS = [recipe, skip_gram, everything_else]


@pytest.mark.parametrize("program", PROGRAMS)
def test_steps_leave_the_same_state(program):
    step, state = program(BACKEND)
    reference, expected_state = program("numpy")
    for ids in ([0, 2, 2], [1], [], [-1, 0, -1]):
        arguments = np.array(ids, "int64"), np.float32(0.1)
        for got, expected in zip(step(*arguments), reference(*arguments), strict=True):
            same(got, expected)
        for got, expected in zip(state, expected_state, strict=True):
            same(got.get_value(), expected.get_value())


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_failed_step_raises_the_same_error_and_changes_nothing(program):
    messages = []
    for backend in (BACKEND, "numpy"):
        step, state = program(backend)
        before = [s.get_value() for s in state]
        for ids in ([0, 99], [-99]):
            with pytest.raises(st.BoundsError) as caught:
                step(np.array(ids), np.float32(0.1))
            messages.append(str(caught.value))
        for s, value in zip(state, before, strict=True):
            same(s.get_value(), value, exact=True)
    assert messages[:2] == messages[2:]


x, y, z = np.arange(3.0), np.arange(4.0), np.ones((2, 3))
FAILING = {
    "add": (op("add"), [x, y]),
    "where": (op("where"), [x > 1, y, x]),
    "matmul": (op("matmul"), [z, z]),
    "einsum": (op("einsum", spec="ab,bc->ac"), [z, z]),
    "concatenate": (op("concatenate", axis=0), [z, z[:, :2]]),
    "stack": (op("stack"), [x, y]),
    "reshape": (op("reshape"), [x, np.int64(2)]),
    "broadcast_to": (op("broadcast_to"), [x, np.int64(4)]),
    "broadcast_to-negative": (op("broadcast_to"), [np.float64(1), np.int64(-4)]),
    "squeeze": (op("squeeze", axes=(0,)), [z]),
    "sum_to": (op("sum_to"), [z, np.int64(2), np.int64(2)]),
    "fixed_shape": (op("fixed_shape", shape=(2, 4)), [z]),
    "fitting_mask": (op("fitting_mask"), [x > 1, np.int64(4)]),
    "max": (op("max", axes=(0,)), [z[:0]]),
    "argmin": (op("argmin", axis=0), [z[:0]]),
    "arange": (op("arange"), [np.int64(0), np.int64(3), np.int64(0)]),
    "power": (op("power"), [np.array([2, 3]), np.array([1, -1])]),
    "slice": (lambda v, n: v[::n], [x, np.int64(0)]),
    "indices": (lambda m, i, j: m[i, j], [z, np.array([0, 1]), np.array([0, 1, 2])]),
    "set": (lambda v, i, w: v[i].set(w), [x, np.array([0, 1]), y]),
    "inc": (lambda v, i, w: v[i].inc(w), [x, np.array([0, 1]), y]),
    "scan": (lambda m, v: map_rows(lambda row: row * v, m, lengths(v)), [z, y]),
}


@pytest.mark.parametrize("name", FAILING)
def test_what_fails_fails_with_the_same_words(name):
    build, arrays = FAILING[name]
    nodes = inputs_for(arrays)
    messages = []
    for backend in (BACKEND, "numpy"):
        run = st.function(nodes, build(*nodes), backend=backend, rewrites=False)
        with pytest.raises(SubtensorError) as caught:
            run(*arrays)
        messages.append((type(caught.value), str(caught.value)))
    assert messages[0] == messages[1]


# --- the contract


@pytest.mark.parametrize("program", PROGRAMS)
def test_results_belong_to_the_caller(program):
    step, state = program(BACKEND)
    results = step(np.array([0, 1]), np.float32(0.1))
    kept = [r.copy() for r in results]
    before = [s.get_value() for s in state]
    for r in results:
        r[...] = 77
    for s, value in zip(state, before, strict=True):
        same(s.get_value(), value, exact=True)
    assert not any(np.array_equal(r, k) for r, k in zip(results, kept, strict=True))


def test_inputs_may_be_read_only_and_have_any_strides():
    ids, rate = np.arange(6)[::-2] % 5, np.float64(0.1)
    ids.setflags(write=False)
    got, expected = (recipe(b)[0](ids, rate) for b in (BACKEND, "numpy"))
    same(*got, *expected)


@pytest.mark.parametrize("backend", [BACKEND, "numpy"])
def test_a_lowering_of_an_op_that_the_backend_has_is_refused(backend):
    v = st.vector()
    program = st.function([v], v + 1, backend=backend).program
    with pytest.raises(PluginError, match=r"\badd\b.*itself"):
        st.plugins.get_backend(backend).compile(program, lowerings={"add": np.add})


def test_the_backend_is_as_short_as_promised():
    assert len(SOURCE.read_text(encoding="utf-8").splitlines()) < 300


def test_what_cannot_tell_where_its_time_goes_is_one_part():
    x, t = st.dvector("x"), st.shared(np.zeros(3), name="t")
    f = st.function([x], (x * 2).sum(), updates=[(t, t + x)], backend=BACKEND)
    told = f.profile([1.0, 2.0, 3.0], rounds=2)
    assert [p.what for p in told.parts] == ["the whole call"]
    assert told.seconds == told.parts[0].seconds > 0
    assert not t.get_value().any()
