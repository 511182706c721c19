"""Random programs: two tables are updated from one another, read and differentiated, through indices of every kind,
in every kind of dtype.
"""

import random

import numpy as np
from hypothesis import strategies as st_

import subtensor as st

V, D, B = 5, 3, 4
DTYPES = ("bool", "int8", "int32", "int64", "uint8", "uint16", "float16", "float32", "float64")
INDEX_DTYPES = ("int8", "int16", "int32", "int64", "uint8", "uint64")

NUMBERS = {
    "neg": lambda x: -x,
    "abs": st.abs,
    "square": st.square,
    "tanh": st.tanh,
    "sign": st.sign,
    "cumsum": lambda x: st.cumsum(x, 0),
    "sort": st.sort,
    "order": lambda x: st.argsort(x, 1),
    "flip": st.flip,
    "centred": lambda x: x - st.max(x, 0),
    "halved": lambda x: x // 2,
    "rest": lambda x: x % 3,
    "positive part": lambda x: st.maximum(x, 0),
    "doubled": lambda x: (x.T + x.T).T,
    "row sums": lambda x: x + x.sum(1, keepdims=True),
    "first column": lambda x: x[:, :1] - x,
    "joined": lambda x: st.concatenate([x[2:], x[:2]]),
    "reshaped": lambda x: x.reshape((D, -1)).T.reshape(x.shape),
}
TWO_NUMBERS = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "minimum": st.minimum,
    "where": lambda x, y: st.where(x < y, x, y),
    "sum of squares": lambda x, y: x * x + y * y,
    "product": lambda x, y: (x @ y.T) @ x,
    "set rows": lambda x, y: x[1:3].set(y[::2][:2]),
    "inc columns": lambda x, y: x[:, [0, 0]].inc(y[:, 1:]),
}
BOOLS = {
    "not": lambda x: ~x,
    "flip": st.flip,
    "sort": st.sort,
    "any": lambda x: x ^ x.any(1, keepdims=True),
    "all": lambda x: x | x.all(0),
    "set rows": lambda x: x[[0, 0, 1]].set(x[:3]),
}
TWO_BOOLS = {
    "and": lambda x, y: x & y,
    "or": lambda x, y: x | y,
    "xor": lambda x, y: x ^ y,
    "where": lambda x, y: st.where(x, y, ~x),
    "inc rows": lambda x, y: x[[1, 1]].inc(y[:2]),
}

i, j, ij, k = (st.tensor(n, "int64", (None,) * r) for n, r in (("i", 1), ("j", 1), ("ij", 2), ("k", 0)))
m, mm, lo, hi = (
    st.tensor("m", "bool", (None,)),
    st.tensor("mm", "bool", (None, None)),
    st.lscalar("lo"),
    st.lscalar("hi"),
)
KEYS = {
    "rows": lambda e, i, j: i,
    "a matrix of rows": lambda e, i, j: ij,
    "elements": lambda e, i, j: (i, j),
    "columns": lambda e, i, j: (slice(None), j),
    "columns after an ellipsis": lambda e, i, j: (..., j),
    "a grid": lambda e, i, j: (i[:, None], j),
    "rows and a new axis": lambda e, i, j: (None, i, slice(None, None, -1)),
    "parts of rows": lambda e, i, j: (i, slice(lo, None)),
    "no rows": lambda e, i, j: i[:0],
    "computed rows": lambda e, i, j: (i + V) % V,
    "fixed rows": lambda e, i, j: np.array([0, -1, 0]),
    "a row": lambda e, i, j: k,
    "a column": lambda e, i, j: (slice(None), j[0]),
    "an element": lambda e, i, j: (k, -1),
    "a slice": lambda e, i, j: slice(lo, hi),
    "a slice backwards": lambda e, i, j: slice(hi, lo, -1),
    "two slices": lambda e, i, j: (slice(lo, None), slice(hi, None, -1)),
    "a window": lambda e, i, j: slice(lo, lo + 2),
    "a fixed slice": lambda e, i, j: (slice(None, None, 2), slice(1, None)),
    "all": lambda e, i, j: ...,
    "rows by a mask": lambda e, i, j: m,
    "elements by a mask": lambda e, i, j: mm,
    "a mask and a column": lambda e, i, j: (m, 1),
    "a mask of values": lambda e, i, j: e > 0,
    "a mask of row sums": lambda e, i, j: e.sum(1) > 0,
}
FAULTS = {
    "a row too large": ("rows", lambda a: {"i": np.append(a["i"][1:], a["i"].dtype.type(V))}),
    "a row too small": ("rows", lambda a: {"i": np.insert(a["i"][1:], 0, -V - 1 if a["i"].dtype.kind == "i" else 99)}),
    "a column too large": ("columns", lambda a: {"j": np.append(a["j"][:-1], a["j"].dtype.type(D + 1))}),
    "both out of range": (
        "elements",
        lambda a: {"i": a["i"] + a["i"].dtype.type(V), "j": a["j"] + a["j"].dtype.type(D)},
    ),
    "a number too small": ("a row", lambda a: {"k": np.int64(-V - 2)}),
    "a mask too long": ("rows by a mask", lambda a: {"m": np.append(a["m"], True)}),
    "a mask too short": ("elements by a mask", lambda a: {"mm": a["mm"][:-1]}),
    "positions that do not broadcast": ("elements", lambda a: {"j": a["j"][1:]}),
    "a table too short": ("rows", lambda a: {"x": a["x"][1:]}),
}
"""Each with a key that meets it, and what it does to the arguments."""


@st_.composite
def programs(draw, dtype):
    """What `run` needs to know of a program and of its arguments; drawn evenly, so that few programs are diverse."""
    rng = random.Random(f"{dtype} {draw(st_.integers(0, 2**32))}")
    steps = sorted(BOOLS | TWO_BOOLS if dtype == "bool" else NUMBERS | TWO_NUMBERS)
    keys = sorted(KEYS)
    p = {
        "dtype": dtype,
        "index dtype": rng.choice(INDEX_DTYPES),
        "steps": rng.choices(steps, k=rng.randint(1, 4)),
        "reads": rng.sample(keys, rng.randint(1, 2)),
        "writes": [(key, rng.choice(("set", "inc", "inc once"))) for key in rng.choices(keys, k=rng.randint(1, 2))],
        "other": rng.choice(("kept", "replaced", "exchanged", "written")),
        "gradient": dtype in ("float32", "float64") and rng.random() < 0.5,
        "known": rng.random() < 0.5,
        "rewrites": rng.random() < 0.75,
        "seed": rng.randrange(2**16),
        "fault": rng.choice(sorted(FAULTS)) if rng.random() < 0.3 else None,
        "bounds": (rng.randint(-V, V), rng.randint(-V, V)),
    }
    if p["fault"]:
        p["reads"][0] = FAULTS[p["fault"]][0]
    return p


def arguments(p):
    """Two tables and the arguments; floats are multiples of 1/4, so that sums and products are exact."""
    rng = np.random.default_rng(p["seed"])
    dtype, index = np.dtype(p["dtype"]), p["index dtype"]
    low = 0 if dtype.kind in "bu" else -4
    tables = [rng.integers(low, 2 if dtype.kind == "b" else 5, (V, D)).astype(dtype) for _ in range(3)]
    if dtype.kind == "f":
        tables = [t + rng.integers(0, 4, t.shape).astype(dtype) / 4 for t in tables]
    first = 0 if index.startswith("u") else -V
    a, b = p["bounds"]
    given = {
        "x": tables.pop(),
        "i": rng.integers(first, V, B).astype(index),
        "j": rng.integers(0, D, B).astype(index),
        "ij": rng.integers(-V, V, (2, 2)),
        "k": np.int64(rng.integers(-V, V)),
        "m": rng.random(V) < 0.5,
        "mm": rng.random((V, D)) < 0.5,
        "lo": np.int64(a),
        "hi": np.int64(b),
    }
    return tables, given | FAULTS[p["fault"]][1](given) if p["fault"] else given


def tamed(e, dtype):
    """e in a dtype; small numbers, and exact ones."""
    if dtype == "bool":
        return e
    low = 0 if dtype.startswith("u") else -4
    e = st.clip(e, low, 4)
    return (st.round(e * 4) / 4).astype(dtype) if e.dtype.startswith("float") else e.astype(dtype)


def run(p, backend):
    """Results of two calls and new state on a backend, or the error and the state."""
    tables, given = arguments(p)
    dtype = p["dtype"]
    t, u = (st.shared(v, name=n) for v, n in zip(tables, "tu", strict=True))
    x = st.tensor("x", dtype, (V, D) if p["known"] else (None, None))
    rows, columns = st.vector("i", p["index dtype"]), st.vector("j", p["index dtype"])
    inputs = [x, rows, columns, ij, k, m, mm, lo, hi]

    e = t
    for step in p["steps"]:
        one, two = (BOOLS, TWO_BOOLS) if dtype == "bool" else (NUMBERS, TWO_NUMBERS)
        e = tamed(one[step](e) if step in one else two[step](e, x), dtype)
    new = t
    for key, kind in p["writes"]:
        index = KEYS[key](e, rows, columns)
        value = tamed(e[index] + u[index], dtype)
        subset = new[index]
        new = subset.set(value) if kind == "set" else subset.inc(value, ignore_duplicates=kind == "inc once")
    updates = {
        "kept": [(t, new)],
        "replaced": [(t, new), (u, tamed(u + e, dtype))],
        "exchanged": [(t, u), (u, new)],
        "written": [(t, new), (u, u[rows].inc(t[rows])[k].set(e[0]))],
    }[p["other"]]
    read = [e[KEYS[key](e, rows, columns)] for key in p["reads"]]
    outputs = [e, *read, *(r.sum() for r in read), read[0].shape[0] if read[0].ndim else k]
    if p["gradient"]:
        cost = sum((r * r).sum() for r in read) + (u[rows] * e[rows]).sum()
        outputs += [*st.grad(cost, [x, t, u], disconnected_inputs="ignore"), cost]
    f = st.function(
        inputs,
        outputs,
        updates,
        backend=backend,
        on_unused_input="ignore",
        name="step",
        rewrites=p["rewrites"],
    )
    try:
        results = [*f(**given), *f(**given)]
    except st.errors.SubtensorError as error:
        return type(error), str(error), t.get_value(), u.get_value()
    return [*results, t.get_value(), u.get_value()]
