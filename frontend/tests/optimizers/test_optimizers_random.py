"""Optimizers on random sequences of batches: against loops, and whatever way the ids are dealt out."""

from functools import lru_cache

import numpy as np
import pytest
from examples import COMPILES, examples
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as hs
from optimizer_models import NAMES, ON_JAX, RATE, D, Model, V, gradient, table
from optimizer_oracle import dense, frozen

import subtensor as st
from subtensor import optimizers

pytestmark = pytest.mark.once

RULES = ON_JAX if COMPILES else NAMES
LAZY = [n for n in RULES if n not in ("lamb", "ftrl")]
COUNT = 4
"""Ids in a batch that is not empty: one number, for some backends compile for each."""


@hs.composite
def batches(draw):
    """(ids, targets): repeated, negative, sometimes none at all; some rows occur late or never."""
    rows = draw(hs.lists(hs.integers(0, V - 1), min_size=1, max_size=4))
    result = []
    for _ in range(draw(hs.integers(1, 6))):
        n = draw(hs.sampled_from([COUNT, COUNT, COUNT, 0]))
        ids = [draw(hs.sampled_from(rows)) - V * draw(hs.booleans()) for _ in range(n)]
        y = [[draw(hs.integers(-4, 4)) / 2 for _ in range(D)] for _ in range(n)]
        result.append((np.array(ids, int), np.array(y).reshape(n, D)))
    return result


def tries(count):
    return settings(
        max_examples=examples(count), deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
    )


@lru_cache
def built(name, **options):
    """One model for each rule and set of options, and what its variables hold at first."""
    model = Model(name, table(), **dict(options))
    variables = [model.table, *model.updates.state]
    return model, [(s, s.get_value()) for s in variables]


def fresh(name, **options):
    model, first = built(name, **options)
    for s, value in first:
        s.set_value(value)
    return model


def constants(name):
    return {"decay": 0.01} if name == "adamw" else {}


def close(a, b, tolerance=1e-11):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@tries(120)
@given(hs.sampled_from(RULES), batches())
def test_named_rows_follow_the_paper_and_others_keep_their_bits(name, given_batches):
    model = fresh(name)
    before = {**model.state(), "t": table()}
    seen, costs = model.train(given_batches)
    close(seen, frozen(name, table(), gradient, given_batches, lambda b: b[0], RATE, **constants(name)))
    for cost, w, (ids, y) in zip(costs, [table(), *seen], given_batches, strict=False):
        x = w[ids]
        close(cost, ((x - y) ** 2).sum() + (x**4).sum() / 4)
    named = {int(i) % V for ids, _ in given_batches for i in ids}
    others = [r for r in range(V) if r not in named]
    for key, value in {**model.state(), "t": seen[-1]}.items():
        if value.ndim:
            assert value[others].tobytes() == before[key][others].tobytes(), key


@tries(80)
@given(hs.sampled_from(LAZY), hs.sampled_from([0.0, 0.3]), batches())
def test_rows_that_wait_are_the_dense_rule_s(name, decay, given_batches):
    assume(not (name == "madgrad" and decay))  # refused together
    lazy = fresh(name, untouched="catch_up", weight_decay=decay)
    _, costs = lazy.train(given_batches)
    lazy.updates.flush()
    tables = dense(name, table(), gradient, given_batches, RATE, decay=decay)
    close(lazy.table.get_value(), tables[-1])
    for cost, w, (ids, y) in zip(costs, [table(), *tables], given_batches, strict=False):
        x = w[ids]
        close(cost, ((x - y) ** 2).sum() + (x**4).sum() / 4)


@lru_cache
def in_two(name):
    """A step that gets its ids through two subsets of the table."""
    t, i, j = st.shared(table(), "t"), st.lvector("i"), st.lvector("j")
    y, z = st.matrix("y"), st.matrix("z")
    cost = sum(((x - v) ** 2).sum() + (x**4).sum() / 4 for x, v in ((t[i], y), (t[j], z)))
    updates = getattr(optimizers, name)(cost, [t[i], t[j]], RATE)
    return t, updates, st.function([i, j, y, z], [], updates), [s.get_value() for s in updates.state]


@tries(60)
@given(hs.sampled_from(RULES), batches(), hs.permutations(range(COUNT)))
def test_ids_in_any_order_and_through_any_subset(name, given_batches, order):
    model = fresh(name)
    seen, _ = model.train(given_batches)
    t, updates, step, start = in_two(name)
    t.set_value(table())
    for s, value in zip(updates.state, start, strict=True):
        s.set_value(value)
    for (ids, y), expected in zip(given_batches, seen, strict=True):
        turned = list(order) if len(ids) else []
        first, second = np.array_split(turned, 2)
        step(*(a[part] for a in (ids, y) for part in (first.astype(int), second.astype(int))))
        close(t.get_value(), expected)


@tries(60)
@given(hs.sampled_from(RULES), batches(), hs.data())
def test_state_that_was_put_away_goes_on_with_the_same_bits(name, given_batches, data):
    model = fresh(name)
    stop = data.draw(hs.integers(0, len(given_batches)))
    model.train(given_batches[:stop])
    kept = [(s, s.get_value()) for s in (model.table, *model.updates.state)]
    model.train(given_batches[stop:])
    ends = [s.get_value() for s, _ in kept]
    for s, value in kept:
        s.set_value(value)
    model.train(given_batches[stop:])
    for (s, _), end in zip(kept, ends, strict=True):
        assert s.get_value().tobytes() == end.tobytes(), s.name
