"""Random index expressions, constant and symbolic, against NumPy and against loops over single elements."""

import numpy as np
import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st_

import subtensor as st

pytestmark = pytest.mark.once

INTS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
VALUES = ("bool", "int8", "int64", "uint8", "float16", "float32", "float64")


# --- drawing an index that NumPy accepts (nearly always)


@st_.composite
def slices(draw, n):
    bound = st_.one_of(st_.none(), st_.integers(-n - 2, n + 2))
    return slice(draw(bound), draw(bound), draw(st_.sampled_from([None, 1, 2, 3, -1, -2, -3])))


def positions(draw, n, shape):
    """Positions in ``-n <= i < n``, of one of the integer dtypes."""
    dtype = draw(st_.sampled_from(INTS))
    low = 0 if dtype.startswith("u") else -n
    count = int(np.prod(shape))
    return np.array([draw(st_.integers(low, n - 1)) for _ in range(count)], dtype).reshape(shape)


@st_.composite
def keys(draw, shape):
    """An index expression for an array of `shape`: a tuple."""
    block = draw(st_.sampled_from([(), (1,), (2,), (3,), (4,), (2, 1), (2, 3), (1, 2), (2, 2, 2), (0,), (2, 0)]))
    count = block[-1] if block else None
    key = []
    axis = 0
    stop = draw(st_.integers(0, len(shape))) if draw(st_.booleans()) else len(shape)
    while axis < stop:
        n = shape[axis]
        kinds = ["slice", "slice", "array", "array", "mask", "full"]
        if n:
            kinds += ["int", "int"]
        kind = draw(st_.sampled_from(kinds))
        if kind == "array" and not n and np.prod(block):
            kind = "slice"
        if kind == "int":
            i = draw(st_.integers(-n, n - 1))
            form = draw(st_.sampled_from([int, np.int8, np.int64, np.array]))
            key.append(form(i))
        elif kind == "slice":
            key.append(draw(slices(n)))
        elif kind == "full":
            key.append(slice(None))
        elif kind == "array":
            own = tuple(d if draw(st_.integers(0, 3)) else min(d, 1) for d in block)
            own = own[draw(st_.integers(0, len(own))) :] if not draw(st_.integers(0, 3)) else own
            if not n and np.prod(own):
                own = block
            ids = positions(draw, n, own)
            key.append(ids.tolist() if draw(st_.booleans()) and ids.size and ids.ndim else ids)
        else:
            width = draw(st_.integers(1, stop - axis))
            dims = shape[axis : axis + width]
            size = int(np.prod(dims))
            want = size and draw(st_.integers(0, size)) if count is None else min(count, size)
            chosen = draw(st_.permutations(range(size)))[:want]
            flat = np.zeros(size, bool)
            flat[list(chosen)] = True
            mask = flat.reshape(dims)
            key.append(mask.tolist() if draw(st_.booleans()) and mask.size and width == 1 else mask)
            count = want if count is None else count
            axis += width - 1
        axis += 1
    if stop < len(shape) and draw(st_.booleans()):
        key.append(Ellipsis)
    elif draw(st_.integers(0, 4)) == 0:
        key.insert(draw(st_.integers(0, len(key))) if stop == len(shape) else len(key), Ellipsis)
    for _ in range(draw(st_.sampled_from([0, 0, 0, 1, 2]))):
        key.insert(draw(st_.integers(0, len(key))), None)
    if draw(st_.integers(0, 9)) == 0:
        key.insert(draw(st_.integers(0, len(key))), draw(st_.sampled_from([True, False, np.True_, np.array(False)])))
    return tuple(key)


@st_.composite
def problems(draw, dtypes=VALUES):
    """``(x, key, y)`` of NumPy arrays; y broadcasts to x[key]."""
    shape = tuple(draw(st_.lists(st_.sampled_from([0, 1, 2, 3, 3, 4, 5]), max_size=4)))
    key = draw(keys(shape))
    rng = np.random.default_rng(draw(st_.integers(0, 2**16)))
    dtype = draw(st_.sampled_from(dtypes))
    x = random(rng, shape, dtype)
    try:
        part = x[key]
    except IndexError:
        return x, key, x
    own = tuple(d if draw(st_.integers(0, 3)) else 1 for d in part.shape)
    own = own[draw(st_.integers(0, len(own))) :] if draw(st_.booleans()) else own
    own = (1, *own) if draw(st_.integers(0, 5)) == 0 and len(own) == part.ndim else own
    return x, key, random(rng, own, dtype)


def random(rng, shape, dtype):
    if dtype == "bool":
        return np.asarray(rng.integers(0, 2, shape), dtype)
    if np.dtype(dtype).kind in "iu":
        return np.asarray(rng.integers(0, 100, shape), dtype)
    return np.asarray(rng.integers(-40, 40, shape) / 8, dtype)


# --- the same index with some of its parts as inputs


class Symbolic:
    """Parts of an index turned into inputs, as `choices` says."""

    def __init__(self, draw):
        self.draw = draw
        self.inputs = []
        self.values = []

    def leaf(self, value):
        value = np.asarray(value)
        known = self.draw(st_.booleans())
        node = st.tensor(f"i{len(self.inputs)}", value.dtype.name, value.shape if known else (None,) * value.ndim)
        self.inputs.append(node)
        self.values.append(value)
        return node

    def part(self, part):
        if isinstance(part, slice):
            return slice(*(self.maybe(b) for b in (part.start, part.stop, part.step)))
        return self.maybe(part)

    def maybe(self, part):
        if part is None or part is Ellipsis or not self.draw(st_.booleans()):
            return part
        return self.leaf(part)

    def key(self, key):
        return tuple(self.part(p) for p in key)


# --- loops: what get, set and inc are, element by element


class Loops:
    """``out = L(x, y)`` for get, set and inc, and its adjoint. Positions come from indexing an array of numbers."""

    def __init__(self, kind, x_shape, key, y_shape):
        self.kind = kind
        self.x_shape, self.y_shape = x_shape, y_shape
        size = int(np.prod(x_shape))
        self.to = np.arange(size).reshape(x_shape)[key]
        y_size = int(np.prod(y_shape))
        numbers = np.arange(y_size).reshape(y_shape)
        while numbers.ndim > self.to.ndim:
            numbers = numbers[0]
        self.source = np.broadcast_to(numbers, self.to.shape)
        self.writer = np.full(size, -1)  # the element of y that was written last
        if kind == "set":
            for to, source in zip(self.to.ravel(), self.source.ravel(), strict=True):
                self.writer[to] = source

    def forward(self, x, y):
        with np.errstate(over="ignore"):  # small integers wrap
            return self._forward(np.asarray(x), np.asarray(y))

    def _forward(self, x, y):
        if self.kind == "get":
            return x.ravel()[self.to]
        out = x.ravel().copy()
        flat = y.ravel()
        if self.kind == "set":
            for i, w in enumerate(self.writer):
                if w >= 0:
                    out[i] = flat[w]
        else:
            for to, source in zip(self.to.ravel(), self.source.ravel(), strict=True):
                out[to] = (out[to] | flat[source]) if out.dtype == bool else out[to] + flat[source]
        return out.reshape(self.x_shape)

    def adjoint(self, g):
        gx, gy = np.zeros(int(np.prod(self.x_shape))), np.zeros(int(np.prod(self.y_shape)))
        flat = np.asarray(g).ravel()
        if self.kind == "get":
            for to, value in zip(self.to.ravel(), flat, strict=True):
                gx[to] += value
        elif self.kind == "set":
            for i, w in enumerate(self.writer):
                if w >= 0:
                    gy[w] += flat[i]
                else:
                    gx[i] += flat[i]
        else:
            gx += flat
            for to, source in zip(self.to.ravel(), self.source.ravel(), strict=True):
                gy[source] += flat[to]
        return gx.reshape(self.x_shape), gy.reshape(self.y_shape)


def symbol(draw, name, value):
    known = draw(st_.booleans())
    return st.tensor(name, value.dtype.name, value.shape if known else (None,) * value.ndim)


@settings(max_examples=examples(400), deadline=None, derandomize=True)
@given(problems(), st_.data())
def test_values(problem, data):
    x, key, y = problem
    made = Symbolic(data.draw)
    symbolic = made.key(key)
    vx, vy = symbol(data.draw, "x", x), symbol(data.draw, "y", y)
    try:
        part = x[key]
    except IndexError:
        with pytest.raises(IndexError):
            st.function([vx, *made.inputs], vx[symbolic])(x, *made.values)
        return
    subset = vx[symbolic]
    assert subset.ndim == part.ndim
    outputs = [subset, subset.set(vy), subset.inc(vy)]
    outputs.append(subset.inc(vy, ignore_duplicates=True))
    before = x.copy(), y.copy()
    rewrites = data.draw(st_.booleans())
    results = st.function([vx, vy, *made.inputs], outputs, rewrites=rewrites)(x, y, *made.values)
    expected = [Loops(kind, x.shape, key, y.shape).forward(x, y) for kind in ("get", "set", "inc")]
    added = np.broadcast_to(y, part.shape) if y.ndim <= part.ndim else y.reshape(y.shape[y.ndim - part.ndim :])
    expected.append(Loops("set", x.shape, key, part.shape).forward(x, np.asarray(part + added)))
    np.testing.assert_array_equal(expected[0], part)
    for result, want, node in zip(results, expected, outputs, strict=True):
        assert result.dtype == x.dtype
        assert result.shape == want.shape
        assert all(d is None or d == n for d, n in zip(node.shape_static, want.shape, strict=True))
        np.testing.assert_array_equal(result, want)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(y, before[1])


@settings(max_examples=examples(150), deadline=None, derandomize=True)
@given(problems(dtypes=("float64",)), st_.sampled_from(["get", "set", "inc"]), st_.data())
def test_derivatives(problem, kind, data):
    """Reverse, forward and second order of ``sum(w * sin(L(x, y)))`` against the loops."""
    x, key, y = problem
    try:
        part = x[key]
    except IndexError:
        return
    made = Symbolic(data.draw)
    vx, vy = symbol(data.draw, "x", x), symbol(data.draw, "y", y)
    subset = vx[made.key(key)]
    out = {"get": subset, "set": subset.set(vy), "inc": subset.inc(vy)}[kind]
    loops = Loops(kind, x.shape, key, y.shape)
    rng = np.random.default_rng(7)
    u, v = rng.normal(size=x.shape), rng.normal(size=y.shape)
    value = loops.forward(x, y)
    weights = rng.normal(size=value.shape)
    w, vu, vv = symbol(data.draw, "w", weights), symbol(data.draw, "u", u), symbol(data.draw, "v", v)
    cost = (w * st.sin(out)).sum()
    wrt = [vx, vy]
    gx, gy = st.grad(cost, wrt, disconnected_inputs="ignore")
    forward = st.Rop(st.sin(out), wrt, [vu, vv], disconnected_outputs="ignore")
    second = st.grad((gx * vu).sum() + (gy * vv).sum(), wrt, disconnected_inputs="ignore")
    run = st.function(
        [vx, vy, w, vu, vv, *made.inputs],
        [gx, gy, forward, *second],
        on_unused_input="ignore",
        rewrites=data.draw(st_.booleans()),
    )
    results = run(x, y, weights, u, v, *made.values)
    tangent = loops.forward(u, v)
    first = loops.adjoint(weights * np.cos(value))
    curved = loops.adjoint(-weights * np.sin(value) * tangent)
    expected = [*first, np.cos(value) * tangent, *curved]
    assert part.shape == loops.to.shape
    for result, want in zip(results, expected, strict=True):
        assert result.shape == want.shape
        np.testing.assert_allclose(result, want, rtol=1e-12, atol=1e-12)
