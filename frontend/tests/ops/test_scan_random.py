"""Random bodies: ``scan`` against the same body unrolled in Python, with all rewrites and with none, gradients too."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as hs

import subtensor as st

pytestmark = pytest.mark.numpy_only(
    "loops are compared with what they unroll to; the backends are in the conformance suite"
)

D = 2
ATOMS = ["e", "e @ W", "h", "h @ W", "h @ U", "c", "table[i]", "table[i] @ W", "bias", "e[:, ::-1]", "(e @ W)[:, ::-1]"]
UNARY = ["st.tanh({})", "({}) * 0.5", "-({})", "({}) ** 2 * 0.25", "st.sigmoid({})", "({}).T.T", "({}).sum(0)", "({})"]
BINARY = ["({} + {})", "({} * {}) * 0.5", "({} - {})", "st.switch({0} > 0.1, {0}, {1})", "st.maximum({}, {})"]


@hs.composite
def expressions(draw, depth=3):
    if depth == 0 or draw(hs.integers(0, 3)) == 0:
        return draw(hs.sampled_from(ATOMS))
    if draw(hs.booleans()):
        return draw(hs.sampled_from(UNARY)).format(draw(expressions(depth - 1)))
    left, right = draw(expressions(depth - 1)), draw(expressions(depth - 1))
    return draw(hs.sampled_from(BINARY)).format(left, right)


class Program:
    def __init__(self, known):
        def matrix(name, *shape):
            return st.tensor(name, "float64", shape=shape if known else (None,) * len(shape))

        self.X, self.ids, self.h0 = matrix("X", 3, 2, D), st.lmatrix("ids"), matrix("h0", 2, D)
        self.c0, self.W, self.U = matrix("c0", 2, D), matrix("W", D, D), matrix("U", D, D)
        self.table, self.bias = matrix("table", 5, D), matrix("bias", D)
        self.wrt = [self.X, self.h0, self.c0, self.W, self.U, self.table, self.bias]
        self.inputs = [*self.wrt, self.ids]

    def body(self, sources):
        names = {"W": self.W, "U": self.U, "table": self.table, "bias": self.bias, "st": st}
        return lambda e, i, h, c: [
            (eval(s, names, {"e": e, "i": i, "h": h, "c": c}) + old * 0).reshape(old.shape)
            for s, old in zip(sources, (h, c, h), strict=True)
        ]

    def looped(self, sources, backwards):
        outputs, _ = st.scan(self.body(sources), [self.X, self.ids], [self.h0, self.c0, None], go_backwards=backwards)
        return outputs

    def unrolled(self, sources, backwards):
        f, h, c, found = self.body(sources), self.h0, self.c0, []
        for t in reversed(range(3)) if backwards else range(3):
            h, c, y = f(self.X[t], self.ids[t], h, c)
            found.append((h, c, y))
        return [st.stack(list(column)) for column in zip(*found, strict=True)]


def results(p, outputs, last, values, rewrites):
    hs_, cs, ys = (o[-1] for o in outputs) if last else outputs
    cost = (hs_ * hs_).sum() + (cs * 0.5 - 1).sum() + (ys * ys * ys).sum()
    grads = st.grad(cost, p.wrt, disconnected_inputs="ignore")
    run = st.function(p.inputs, [hs_, cs, ys, *grads], rewrites=rewrites, backend="numpy", on_unused_input="ignore")
    with np.errstate(all="ignore"):
        return run(*values)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(hs.tuples(expressions(), expressions(), expressions()), hs.booleans(), hs.booleans(), hs.booleans())
def test_a_loop_is_what_it_unrolls_to(sources, known, backwards, last):
    rng = np.random.default_rng(len(sources[0]) + 7 * len(sources[1]))
    p = Program(known)
    values = [rng.normal(size=s) * 0.5 for s in ((3, 2, D), (2, D), (2, D), (D, D), (D, D), (5, D), (D,))]
    values.append(rng.integers(-5, 5, (3, 2)))
    want = results(p, p.unrolled(sources, backwards), last, values, False)
    for rewrites in (False, True):
        got = results(p, p.looped(sources, backwards), last, values, rewrites)
        for a, b in zip(got, want, strict=True):
            assert a.shape == b.shape
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)
