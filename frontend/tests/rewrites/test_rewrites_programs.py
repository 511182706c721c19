"""Random whole programs with rewrites on and off: outputs, updated tables and errors agree; every graph verifies."""

import numpy as np
import pytest
from examples import examples
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as hs

import subtensor as st
from subtensor.graph.verify import verify
from subtensor.rewrites.engine import UNPRICED, Selection, rewrite

pytestmark = pytest.mark.once

ROWS, WIDTH = 5, 3


class Program:
    """A program over a table (5, 3), a matrix, an index vector and a rate, drawn by Hypothesis."""

    def __init__(self, draw, table):
        self.draw = draw
        self.table = table
        self.ids, self.more = st.lvector("ids"), st.lvector("more")
        self.rate = st.scalar("rate")
        self.wide = st.tensor("wide", "float64", (ROWS, WIDTH))
        self.inputs = [self.ids, self.more, self.rate, self.wide]

    def pick(self, *options):
        return self.draw(hs.sampled_from(options))

    def full(self, depth=2):
        """An expression of the table's shape."""
        if depth == 0:
            return self.pick(self.table, self.wide, self.table * 0.5, st.zeros_like(self.table))
        x = self.full(depth - 1)
        return self.pick(
            lambda: x,
            lambda: st.tanh(x),
            lambda: x + self.full(depth - 1),
            lambda: x - self.rate * self.full(depth - 1),
            lambda: self.subset(x).set(self.value(x)),
            lambda: self.subset(x).inc(self.value(x)),
            lambda: -x,
            lambda: x * x,
            lambda: st.softmax(x),
            lambda: x.T.T,
            lambda: x.reshape((WIDTH, ROWS)).reshape((ROWS, WIDTH)),
            lambda: (x @ x.T) @ self.wide * 0.01,
            lambda: st.where(x > 0, x, self.wide),
        )()

    def key(self):
        return self.pick(
            self.ids, self.more, 1, -1, slice(1, None), slice(None, None, -2), [0, 2], [1, 1], (self.ids, self.ids % 3),
            (slice(None), [0, 2]), (self.ids, slice(0, 2)), st.arange(3), (slice(None), 0), (self.ids, 1), slice(None),
        )  # fmt: skip

    def subset(self, x):
        return x[self.key()]

    def value(self, x):
        s = self.subset(x)
        return self.pick(0.0, 1.5, self.rate, st.tanh(self.rate) * 2) if self.pick(0, 1) else s.sum() * 0.1

    def cost(self):
        x = self.full()
        s = self.subset(x)
        parts = self.pick(
            (s * s).sum(), st.tanh(s).mean(), st.log_softmax(x)[0].sum(), (s + self.rate).sum(), (x * x)[1:].sum()
        )
        return parts + (self.table[self.more] ** 2).sum() if self.pick(0, 1) else parts

    def update(self):
        kind = self.pick("row step", "set", "inc", "expression", "scaled")
        t = self.table
        if kind == "row step":
            return t - self.rate * st.grad(self.cost(), t, disconnected_inputs="ignore")
        if kind == "scaled":
            scale = np.arange(1.0, ROWS + 1)[:, None]
            return t + (-scale) * st.grad(self.cost(), t, disconnected_inputs="ignore") / 2
        s = self.subset(t)
        if kind == "set":
            return s.set(s * self.pick(1.0, 0.5) + self.value(t))
        return s.inc(-self.rate * st.tanh(s)) if kind == "inc" else self.full()


def run(build, values, rewrites):
    table = st.shared(values[0].copy(), name="table")
    inputs, outputs, new = build(table)
    f = st.function(inputs, outputs, updates=[(table, new)], rewrites=rewrites, on_unused_input="ignore")
    try:
        result = f(*values[1:])
    except st.SubtensorError as error:
        return (type(error), str(error)), table.get_value()
    return result, table.get_value()


@pytest.mark.parametrize("seed", range(4))
def test_random_programs_mean_the_same(seed):
    @settings(
        max_examples=examples(40),
        deadline=None,
        derandomize=True,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(hs.data())
    def attempt(data):
        rng = np.random.default_rng(data.draw(hs.integers(0, 99)) + 100 * seed)
        low, high = (-ROWS, ROWS) if data.draw(hs.integers(0, 4)) else (-ROWS - 1, ROWS + 1)
        values = [
            rng.standard_normal((ROWS, WIDTH)),
            rng.integers(low, high, data.draw(hs.integers(0, 5))),
            rng.integers(low, high, data.draw(hs.integers(0, 3))),
            np.float64(0.25),
            rng.standard_normal((ROWS, WIDTH)),
        ]
        drawn = []

        def build(table):
            """The same choices for each table."""
            choices = iter(list(drawn))

            def draw(strategy):
                try:
                    position = next(choices)
                    options = strategy.elements
                except StopIteration:
                    options = strategy.elements
                    position = data.draw(hs.integers(0, len(options) - 1))
                    drawn.append(position)
                return options[position]

            p = Program(draw, table)
            return p.inputs, [p.cost(), p.full()], p.update()

        want, want_table = run(build, values, False)
        for choice in (True, UNPRICED):
            got, got_table = run(build, values, choice)
            assert isinstance(got, tuple) == isinstance(want, tuple), (got, want)
            if isinstance(want, tuple):
                assert got == want
            else:
                for g, w in zip(got, want, strict=True):
                    np.testing.assert_allclose(g, w, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(got_table, want_table, rtol=1e-9, atol=1e-9)
            table = st.shared(values[0], name="table")
            _, outputs, new = build(table)
            verify(rewrite([*outputs, new], Selection.of(choice), commits=[table]), "all rules")

    attempt()
