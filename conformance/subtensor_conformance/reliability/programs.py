"""Random programs against NumPy itself, and gradients against differences of values."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np

import subtensor as st

Node = Any

STEPS: dict[str, tuple[Callable[[Any], Node], Callable[[Any], Any]]] = {
    "negated": (lambda x: -x, lambda a: -a),
    "halved": (lambda x: x * 0.5, lambda a: a * 0.5),
    "tanh": (st.tanh, np.tanh),
    "reversed": (lambda x: x[::-1], lambda a: a[::-1]),
    "centred": (lambda x: x - x.sum(0, keepdims=True), lambda a: a - a.sum(0, keepdims=True)),
    "row sums": (lambda x: x + x.sum(1, keepdims=True), lambda a: a + a.sum(1, keepdims=True)),
    "running sums": (lambda x: st.cumsum(x, 0), lambda a: np.cumsum(a, 0)),
    "turned twice": (lambda x: (x.T * 1.5).T, lambda a: (a.T * 1.5).T),
    "flat and back": (lambda x: x.reshape((-1,)).reshape(x.shape), lambda a: a.reshape(-1).reshape(a.shape)),
    "joined": (lambda x: st.concatenate([x[1:], x[:1]]), lambda a: np.concatenate([a[1:], a[:1]])),
}
"""Functions of a matrix that gives one of the same shape, and NumPy's."""


def _indices(rng: random.Random, shape: tuple[int, ...]) -> tuple[tuple[Any, ...], bool]:
    """Parts of an index for an array of `shape`, arrays of any length among them, and whether all are in range."""
    block = tuple(rng.choice((0, 1, 2, 3)) for _ in range(rng.randint(0, 2)))
    parts: list[Any] = []
    within = True
    for n in shape:
        if rng.random() < 0.3:
            parts.append(rng.choice((slice(None), slice(1, None), slice(0, 0), slice(None, None, -1))))
            continue
        part = tuple(1 if rng.random() < 0.2 else d for d in block)[rng.randint(0, len(block)) :]
        dtype = rng.choice(("int8", "int32", "int64", "uint8", "uint64"))
        low = 0 if dtype[0] == "u" else -n
        fault = rng.random() < 0.15 or not n
        size = int(np.prod(part, dtype=int))
        ids = [rng.randint(low - (dtype[0] == "i"), n) if fault else rng.randint(low, n - 1) for _ in range(size)]
        within = within and all(-n <= i < n for i in ids)
        parts.append(np.array(ids, dtype).reshape(part))
    return tuple(parts), within


def program(rng: random.Random, backend: str) -> None:
    """Reads, writes and an update, through random indices; raises AssertionError where NumPy says something else."""
    shape = rng.choice((0, 1, 3, 4, 5)), rng.choice((0, 1, 2, 3))
    known = rng.random() < 0.5
    values = np.array([rng.randint(-8, 8) / 4 for _ in range(shape[0] * shape[1])]).reshape(shape)
    x, table = st.tensor("x", "float64", shape if known else (None, None)), st.shared(values.copy(), "table")
    key, within = _indices(rng, shape)
    names = [st.tensor(f"i{k}", p.dtype.name, (None,) * p.ndim) for k, p in enumerate(key) if isinstance(p, np.ndarray)]
    given = [p for p in key if isinstance(p, np.ndarray)]
    rest = iter(names)
    symbolic = tuple(p if isinstance(p, slice) else next(rest) for p in key)
    e, a = x, values
    for step in rng.sample(sorted(STEPS), rng.randint(0, 3)):
        e, a = STEPS[step][0](e), STEPS[step][1](a)
    kind = rng.choice(("set", "inc"))
    f = st.function(
        [x, *names],
        [e[symbolic], e[symbolic].inc(1.0), e],
        updates=[(table, getattr(table[symbolic], kind)(0.5))],
        backend=backend,
        rewrites=rng.random() < 0.75,
        on_unused_input="ignore",
    )
    if not within:
        try:
            f(values, *given)
        except st.BoundsError:
            np.testing.assert_array_equal(table.get_value(), values)
            return
        except st.ShapeError:
            return
        raise AssertionError(f"{key} of shape {shape} was accepted")
    signed = tuple(p if isinstance(p, slice) else p.astype(np.int64) for p in key)
    read, added, whole = f(values, *given)
    np.testing.assert_allclose(read, a[signed], rtol=1e-12, atol=1e-12)
    due = a.copy()
    np.add.at(due, signed, 1.0)  # type: ignore[arg-type]  # a key of slices and arrays
    np.testing.assert_allclose(added, due, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(whole, a, rtol=1e-12, atol=1e-12)
    due = values.copy()
    if kind == "set":
        due[signed] = 0.5
    else:
        np.add.at(due, signed, 0.5)  # type: ignore[arg-type]  # as above
    np.testing.assert_array_equal(table.get_value(), due)


def gradient(rng: random.Random, backend: str) -> None:
    """The gradient of a random cost of subsets against central differences."""
    v, d, b = rng.randint(1, 5), rng.randint(1, 3), rng.randint(0, 4)
    values = np.array([rng.uniform(-1, 1) for _ in range(v * d)]).reshape(v, d)
    given = np.array([rng.randint(-v, v - 1) for _ in range(b)], np.int64)
    x, ids = st.dmatrix("x"), st.lvector("ids")
    e: Any = x
    for step in rng.choices(sorted(STEPS), k=rng.randint(0, 3)):
        e = STEPS[step][0](e)
    part = rng.choice((lambda: e[ids], lambda: e[ids].inc(st.tanh(e[ids])), lambda: e[ids].set(e[ids] * 2)))()
    cost = st.sqr(st.tanh(part)).sum()
    f = st.function([x, ids], [cost, st.grad(cost, x)], backend=backend, on_unused_input="ignore")
    _, slope = f(values, given)
    direction = np.array([rng.uniform(-1, 1) for _ in range(v * d)]).reshape(v, d)
    tiny = 1e-5
    high, low = (float(f(values + s * direction, given)[0]) for s in (tiny, -tiny))
    due, got = (high - low) / (2 * tiny), float((slope * direction).sum())
    if abs(due - got) > 1e-5 * max(1.0, abs(due)):
        raise AssertionError(f"the slope is {got}, by differences {due}")
