"""What it costs to build a function grows with the graph, and no faster: counted in calls, which no load disturbs."""

import random
import sys

import pytest

import subtensor as st

pytestmark = pytest.mark.once

N = 120
"""Nodes of the smaller graph."""


def vector(name, length):
    return st.tensor(name, "float64", (length,))


def mixed(n, length):
    rng = random.Random(0)
    inputs = [vector(f"x{k}", length) for k in range(5)]
    nodes = list(inputs)
    for _ in range(n):
        a, b = rng.choice(nodes[-50:]), rng.choice(nodes[-50:])
        nodes.append(st.tanh(a * b) if rng.random() < 0.5 else a + b)
    return inputs, sum(nodes[-50:])


def chain(n, length):
    x = y = vector("x", length)
    for _ in range(n):
        y = st.tanh(y)
    return [x], y


def products(n, length):
    x, w = vector("x", length), vector("w", length)
    y = x
    for _ in range(n):
        y = y * w
    return [x, w], y


def wide(n, length):
    x = vector("x", length)
    return [x], sum((x * float(k) for k in range(n)), x)


def tree(n, length):
    x = vector("x", length)
    layer = [st.exp(x * float(k)) for k in range(n)]
    while len(layer) > 1:
        layer = [a + b for a, b in zip(layer[::2], layer[1::2], strict=False)] + layer[len(layer) // 2 * 2 :]
    return [x], layer[0]


def joined(n, length):
    x = y = vector("x", length)
    for _ in range(n):
        y = st.concatenate([y, x])
    return [x], y


def joined_at_once(n, length):
    xs = [vector(f"x{k}", length) for k in range(5)]
    return xs, st.concatenate([xs[k % 5] * float(k) for k in range(n)])


def cut(n, length):
    x = y = vector("x", length and n + 5)
    for _ in range(n):
        y = y[1:]
    return [x], y


def increments(n, length):
    t, i = st.tensor("t", "float64", (length, 3)), st.lvector("i")
    y = t
    for _ in range(n):
        y = y[i].inc(1.5)
    return [t, i], y


def elements(n, length):
    t = y = vector("t", length)
    for k in range(n):
        y = y[k % 7].set(float(k))
    return [t], y


def reshaped(n, length):
    x = y = st.tensor("x", "float64", (length, 4))
    for _ in range(n):
        y = y.reshape((-1,)).reshape((y.shape[0], 4))
    return [x], y


def layers(n, length):
    x = h = st.tensor("x", "float64", (None, length))
    biases = [vector(f"b{k}", length) for k in range(5)]
    for k in range(n):
        h = st.tanh(h + biases[k % 5])
    return [x, *biases], h


def matrices(n, length):
    m = y = st.tensor("m", "float64", (length, length))
    for _ in range(n):
        y = y @ m
    return [m], y


SHAPES = [mixed, chain, products, wide, tree, joined, joined_at_once, cut]
SHAPES += [increments, elements, reshaped, layers, matrices]


def calls(make, n, length, *, gradient):
    """How many Python functions are called to make a graph, its gradient, and a function of it."""
    count = 0

    def event(frame, kind, arg):
        nonlocal count
        count += kind == "call"

    sys.setprofile(event)
    try:
        inputs, y = make(n, length)
        outputs = st.grad(y.sum(), inputs[:1]) if gradient else [y]
        st.function(inputs, outputs, on_unused_input="ignore", backend="numpy")
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.numpy_only("programs are built without a backend")
@pytest.mark.parametrize("gradient", [False, True], ids=["value", "gradient"])
@pytest.mark.parametrize("length", [7, None], ids=["known", "unknown"])
@pytest.mark.parametrize("make", SHAPES)
def test_building_is_linear(make, length, gradient):
    calls(make, 10, length, gradient=gradient)  # imports and caches
    small, large = (calls(make, n, length, gradient=gradient) for n in (N, 4 * N))
    assert large < 7 * small, f"{small} calls for {N} nodes, {large} for {4 * N}"
    assert large < 3000 * 4 * N
