"""Random programs give the same on NumPy and on JAX: values, dtypes, shapes, new state, errors and their texts."""

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st_

import subtensor as st

V, D, B = 5, 3, 4
FLOATS = ("float32", "float64")
INTS = ("int8", "int32", "int64", "uint8")

UNARY = {
    "neg": lambda x: -x,
    "abs": st.abs,
    "square": st.square,
    "tanh": lambda x: (st.round(st.tanh(x) * 64) / 64).astype(x.dtype),
    "sign": st.sign,
    "cumsum": lambda x: st.cumsum(x, 0).astype(x.dtype),
    "sort": st.sort,
    "flip": st.flip,
    "centred": lambda x: x - st.max(x, 0),
    "halved": lambda x: x // 2,
    "rest": lambda x: x % 3,
    "positive part": lambda x: st.maximum(x, 0).astype(x.dtype),
    "doubled": lambda x: (x.T + x.T).T,
}
BINARY = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "minimum": st.minimum,
    "where": lambda x, y: st.where(x < y, x, y),
    "sum of squares": lambda x, y: x * x + y * y,
}


@st_.composite
def programs(draw):
    """Dtypes, steps that build an expression of shape (V, D), a key, a kind of write, and run-time values."""
    dtype = draw(st_.sampled_from((*FLOATS, *INTS)))
    steps = draw(
        st_.lists(st_.one_of(st_.sampled_from(sorted(UNARY)), st_.sampled_from(sorted(BINARY))), min_size=1, max_size=5)
    )
    keys = ("rows", "elements", "columns", "mask", "slice", "row", "two slices", "mask of values")
    key = draw(st_.sampled_from(keys))
    return {
        "dtype": dtype,
        "index dtype": draw(st_.sampled_from(("int8", "int32", "int64", "uint8"))),
        "steps": steps,
        "key": key,
        "kind": draw(st_.sampled_from(("set", "inc", "chain"))),
        "gradient": draw(st_.booleans()),
        "known": draw(st_.booleans()),
        "seed": draw(st_.integers(0, 2**16)),
        "out of range": draw(st_.integers(0, 7)) == 0,
        "bounds": draw(st_.tuples(st_.integers(-V, V), st_.integers(-V, V))),
    }


def run(p, backend):
    """Results and new state on a backend, or the error."""
    rng = np.random.default_rng(p["seed"])
    dtype, unsigned = p["dtype"], p["index dtype"].startswith("u")
    low = 0 if dtype.startswith("u") else -4
    tables = [rng.integers(low, 5, (V, D)).astype(dtype) for _ in range(2)]
    if dtype in FLOATS:
        tables = [t + rng.integers(0, 4, t.shape).astype(dtype) / 4 for t in tables]
    first = rng.integers(0 if unsigned else -V, V, B).astype(p["index dtype"])
    second = rng.integers(0, D, B).astype(p["index dtype"])
    if p["out of range"]:
        first[rng.integers(B)] = V + 2
    mask = rng.random(V) < 0.5
    a, b = (np.int64(n) for n in p["bounds"])

    t = st.shared(tables[0], name="t")
    x = st.tensor("x", dtype, (V, D) if p["known"] else (None, None))
    i, j = st.vector("i", p["index dtype"]), st.vector("j", p["index dtype"])
    m, lo, hi = st.tensor("m", "bool", (None,)), st.lscalar("lo"), st.lscalar("hi")
    e = t
    for step in p["steps"]:
        e = st.clip((UNARY[step](e) if step in UNARY else BINARY[step](e, x)).astype(dtype), 0 if low == 0 else -9, 9)
    key = {
        "rows": i,
        "elements": (i, j),
        "columns": (slice(None), j),
        "mask": m,
        "slice": slice(lo, hi),
        "row": i[0],
        "two slices": (slice(lo, None), slice(hi, None, -1)),
        "mask of values": e > 0,
    }[p["key"]]
    subset = t[key]
    value = (e[key] * 2).astype(dtype)
    new = subset.set(value) if p["kind"] == "set" else subset.inc(value)
    if p["kind"] == "chain":
        new = st.inc_subtensor(new[j], x[j])
    outputs = [e, e[key], subset.sum(), subset.shape[0] * 2]
    if p["gradient"] and dtype in FLOATS:
        cost = (e[key] * e[key]).sum()
        outputs += [st.grad(cost, x, disconnected_inputs="ignore"), cost]
    step = st.function(
        [x, i, j, m, lo, hi], outputs, updates=[(t, new)], backend=backend, on_unused_input="ignore", name="step"
    )
    args = (tables[1], first, second, mask, a, b)
    try:
        results = [*step(*args), *step(*args)]
    except st.errors.SubtensorError as error:
        return type(error), str(error), t.get_value()
    return [*results, t.get_value()]


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(programs())
def test_random_programs(p):
    want, got = run(p, "numpy"), run(p, "jax")
    assert type(want) is type(got), (want, got)
    if isinstance(want, tuple):
        assert want[:2] == got[:2]
        np.testing.assert_array_equal(want[2], got[2])
        return
    for a, b in zip(want, got, strict=True):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        if a.dtype.kind == "f":
            eps = float(np.finfo(a.dtype).eps)
            scale = float(np.nanmax(np.abs(a), initial=1.0))
            np.testing.assert_allclose(a, b, rtol=64 * eps, atol=64 * eps * scale)
        else:
            np.testing.assert_array_equal(a, b)
