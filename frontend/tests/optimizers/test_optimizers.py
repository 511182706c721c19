"""Optimizers on subsets of rows: against loops written from the papers, and by their invariants."""

import numpy as np
import pytest
from optimizer_models import BACKENDS, NAMES, RATE, D, Model, V, batches, gradient, pairs, table
from optimizer_oracle import dense, frozen

import subtensor as st
from subtensor import optimizers

EXACT = ["sgd", "adagrad", "rowwise_adagrad", "ftrl"]
"""Rules by which a row with gradient zero stays as it is."""
COUNTED = ["adam", "adamw", "adamax", "nadam", "lamb", "madgrad", "rowwise_adam"]


def close(a, b, tolerance=1e-12):
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", NAMES)
def test_touched_rows_follow_the_paper_and_others_stay(name, backend):
    given = batches()
    decay = {"decay": 0.01} if name == "adamw" else {}
    seen, _ = Model(name, table(), backend=backend).train(given)
    expected = frozen(name, table(), gradient, given, lambda b: b[0], RATE, **decay)
    close(seen, expected)
    np.testing.assert_array_equal(seen[-1][-2:], table()[-2:])


@pytest.mark.parametrize("untouched", ["freeze", "dense", "catch_up"])
def test_adagrad_with_momentum(untouched):
    given = batches(steps=6)
    model = Model("adagrad", table(), untouched=untouched, momentum=0.5)
    model.train(given)
    model.updates.flush()
    if untouched == "freeze":
        expected = frozen("adagrad", table(), gradient, given, lambda b: b[0], RATE, momentum=0.5)
    else:
        expected = dense("adagrad", table(), gradient, given, RATE, momentum=0.5)
    close(model.table.get_value(), expected[-1])
    assert [s.name.rpartition(".")[2] for s in model.updates.state][:2] == ["accumulator", "velocity"]


@pytest.mark.parametrize("name", COUNTED)
def test_a_global_count_counts_every_step(name):
    given = batches()
    decay = {"decay": 0.01} if name == "adamw" else {}
    seen, _ = Model(name, table(), step_count="global").train(given)
    close(seen, frozen(name, table(), gradient, given, lambda b: b[0], RATE, count="global", **decay))


@pytest.mark.parametrize(("name", "backend"), pairs(NAMES))
def test_dense_is_the_dense_optimizer(name, backend):
    given = batches()
    decay = {"decay": 0.01} if name == "adamw" else {}
    model = Model(name, table(), untouched="dense", backend=backend)
    close(model.train(given)[0], dense(name, table(), gradient, given, RATE, **decay))


@pytest.mark.parametrize("name", EXACT)
def test_freeze_equals_dense_where_it_can(name):
    given = batches()
    close(Model(name, table()).train(given)[0], Model(name, table(), untouched="dense").train(given)[0])


@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize(("name", "backend"), pairs([n for n in NAMES if n not in ("lamb", "ftrl")]))
def test_catching_up_and_flushing_equals_dense(name, decay, backend):
    if name == "madgrad" and decay:
        with pytest.raises(st.OptimizerError, match="madgrad: weight_decay does not go with"):
            Model(name, table(), untouched="catch_up", weight_decay=decay)
        return
    given = batches(steps=7)
    lazy = Model(name, table(), untouched="catch_up", weight_decay=decay, backend=backend)
    _, costs = lazy.train(given)
    lazy.updates.flush(backend)
    tables = dense(name, table(), gradient, given, RATE, decay=decay)
    close(lazy.table.get_value(), tables[-1])
    for cost, w, (ids, y) in zip(costs, [table(), *tables], given, strict=False):
        x = w[ids]
        assert cost == pytest.approx(((x - y) ** 2).sum() + (x**4).sum() / 4, rel=1e-12)
    again = lazy.table.get_value()
    lazy.updates.flush(backend)
    np.testing.assert_array_equal(lazy.table.get_value(), again)


@pytest.mark.parametrize("name", ["adam", "adamax", "nadam", "momentum", "adadelta"])
def test_a_long_wait_is_caught_up_in_bounded_work(name):
    given = batches(steps=2)
    idle = [(np.array([0]), np.zeros((1, D)))] * 700
    lazy = Model(name, table(), untouched="catch_up", weight_decay=0.02)
    lazy.train([*given, *idle])
    lazy.updates.flush()
    close(lazy.table.get_value(), dense(name, table(), gradient, [*given, *idle], RATE, decay=0.02)[-1], 1e-11)


def test_one_decay_equal_to_the_momentum_has_its_own_limit():
    given = batches()
    lazy = Model("momentum", table(), untouched="catch_up", momentum=0.9, weight_decay=2.0)  # 1 - .05 * 2 = .9
    lazy.train(given)
    lazy.updates.flush()
    close(lazy.table.get_value(), dense("momentum", table(), gradient, given, RATE, decay=2.0)[-1])


@pytest.mark.parametrize("untouched", ["freeze", "catch_up"])
@pytest.mark.parametrize("name", [n for n in NAMES if n != "lamb"])
def test_the_order_of_ids_does_not_matter(name, untouched):
    given, rng = batches(), np.random.default_rng(5)
    orders = [rng.permutation(len(ids)) for ids, _ in given]
    shuffled = [(ids[o], y[o]) for (ids, y), o in zip(given, orders, strict=True)]
    close(
        Model(name, table(), untouched=untouched).train(given)[0],
        Model(name, table(), untouched=untouched).train(shuffled)[0],
    )


@pytest.mark.parametrize("name", NAMES)
def test_repeated_ids_equal_gradients_summed_beforehand(name):
    t, u = st.shared(table(), "t"), st.shared(table(), "t")
    ids, g = st.lvector("ids"), st.matrix("g")
    steps = [
        st.function([ids, g], [], getattr(optimizers, name)([g], [x[ids]], RATE)) for x in (t, u)
    ]  # fmt: skip
    rng = np.random.default_rng(3)
    for _ in range(4):
        i, v = rng.integers(0, 4, 8), rng.normal(size=(8, D))
        distinct, inverse = np.unique(i, return_inverse=True)
        sums = np.zeros((len(distinct), D))
        np.add.at(sums, inverse, v)
        steps[0](i, v)
        steps[1](distinct, sums)
    close(t.get_value(), u.get_value())


def test_the_accumulator_squares_the_sum_not_the_parts():
    t, ids, g = st.shared(np.zeros((3, 1)), "t"), st.lvector("ids"), st.matrix("g")
    updates = optimizers.adagrad([g], [t[ids]], 1.0)
    st.function([ids, g], [], updates)([1, 1, 1, 1], np.ones((4, 1)))
    np.testing.assert_array_equal(updates.state[0].get_value(), [[0], [16], [0]])


@pytest.mark.parametrize(("name", "backend"), pairs(NAMES))
def test_untouched_rows_and_their_state_keep_their_bits(name, backend):
    start = table()
    start[-1] = [np.nan, -0.0, np.inf]
    model = Model(name, start, backend=backend)
    before = {**model.state(), "t": start}
    model.train(batches())
    after = {**model.state(), "t": model.table.get_value()}
    for key, value in after.items():
        if value.ndim:
            assert value[-2:].tobytes() == before[key][-2:].tobytes(), key


@pytest.mark.parametrize(("name", "backend"), pairs(NAMES))
def test_an_empty_batch_changes_nothing(name, backend):
    model = Model(name, table(), backend=backend)
    model.train(batches(steps=2))
    before = {**model.state(), "t": model.table.get_value()}
    model.step(np.zeros(0, int), np.zeros((0, D)))
    after = {**model.state(), "t": model.table.get_value()}
    for key, value in after.items():
        assert value.tobytes() == before[key].tobytes(), key


@pytest.mark.parametrize(("name", "backend"), pairs(NAMES))
def test_matrices_of_ids(name, backend):
    given = batches(shape=(3, 2))
    decay = {"decay": 0.01} if name == "adamw" else {}
    seen, _ = Model(name, table(), ndim=2, backend=backend).train(given)
    close(seen, frozen(name, table(), gradient, given, lambda b: b[0], RATE, **decay))


@pytest.mark.parametrize("name", NAMES)
def test_float32_tables_keep_their_dtype(name):
    model = Model(name, table().astype("float32"))
    seen, _ = model.train(batches())
    assert seen[-1].dtype == np.float32
    assert {v.dtype.name for v in model.state().values()} <= {"float32", "int64"}
    decay = {"decay": 0.01} if name == "adamw" else {}
    close(seen, frozen(name, table(), gradient, batches(), lambda b: b[0], RATE, **decay), 1e-4)


def test_state_is_as_large_as_the_formulas_say():
    sizes = {}
    for name in NAMES:
        shapes = [s.get_value().shape for s in Model(name, table()).updates.state]
        sizes[name] = sum(int(np.prod(s)) for s in shapes)
    full = V * D
    assert sizes == {
        "sgd": 0,
        "rowwise_adagrad": V,
        **dict.fromkeys(["momentum", "nesterov", "adagrad", "rmsprop", "lion"], full),
        **dict.fromkeys(["adadelta", "ftrl"], 2 * full),
        **dict.fromkeys(COUNTED, 2 * full + V),
        "madgrad": 3 * full + V,
        "rowwise_adam": full + 2 * V,
    }


@pytest.mark.parametrize("name", [*EXACT[1:], "adam", "momentum"])
def test_a_step_does_no_work_for_the_table(name):
    """No slot of the program but the variables themselves is as large as the table."""
    start = np.zeros((4001, 7))
    model = Model(name, start)
    program = model.step.program
    made = program.types[program.first_constant :]
    assert not [t for t in made if 4001 in t.shape]
    assert all(c.value is None for c in program.commits if program.shared[c.shared].ndim)


# --- learning rates, decay, clipping


SCHEDULES = {
    "step": (optimizers.schedules.step(0.1, 2, 0.5), lambda t: 0.1 * 0.5 ** (t // 2)),
    "exponential": (optimizers.schedules.exponential(0.1, 3, 0.5), lambda t: 0.1 * 0.5 ** (t / 3)),
    "cosine": (
        optimizers.schedules.cosine(0.1, 4, 0.01),
        lambda t: 0.01 + 0.09 * 0.5 * (1 + np.cos(np.pi * min(t / 4, 1))),
    ),
    "warmup": (optimizers.schedules.warmup(0.1, 3), lambda t: 0.1 * min((t + 1) / 3, 1)),
    "warmup to cosine": (
        optimizers.schedules.warmup(optimizers.schedules.cosine(0.1, 4), 2),
        lambda t: min((t + 1) / 2, 1) * 0.1 * 0.5 * (1 + np.cos(np.pi * min(max(t - 2, 0) / 4, 1))),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules(name):
    schedule, rate_at = SCHEDULES[name]
    given = batches(steps=6)
    model = Model("sgd", table(), rate=schedule)
    w = table()
    for t, (batch, after) in enumerate(zip(given, model.train(given)[0], strict=True)):
        w = w - rate_at(t) * gradient(w, batch)
        close(after, w)


@pytest.mark.parametrize("kind", ["shared", "expression", "float64 for float32"])
def test_the_learning_rate_may_be_symbolic(kind):
    start = table().astype("float32") if "32" in kind else table()
    half = st.shared(0.025, "half", dtype="float64")
    rate = half * 2 if kind == "expression" else half
    model = Model("adam", start, rate=rate)
    seen, _ = model.train(batches())
    expected = frozen(
        "adam", table(), gradient, batches(), lambda b: b[0], 0.05 if kind == "expression" else 0.025
    )  # fmt: skip
    close(seen, expected, 1e-4 if "32" in kind else 1e-12)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in ("ftrl", "lamb")])
def test_decoupled_decay_of_touched_rows(name):
    seen, _ = Model(name, table(), weight_decay=0.2).train(batches())
    close(seen, frozen(name, table(), gradient, batches(), lambda b: b[0], RATE, decay=0.2))


def test_lamb_puts_its_decay_into_the_direction():
    seen, _ = Model("lamb", table(), weight_decay=0.2).train(batches())
    way = {"decay": 0.2}

    def step(w, batches_):
        from optimizer_oracle import RULES

        states, counts = [{} for _ in w], np.zeros(len(w), int)
        for batch in batches_:
            g = gradient(w, batch)
            for row in sorted({int(i) % V for i in batch[0]}):
                counts[row] += 1
                w[row] = RULES["lamb"](w[row], g[row], states[row], counts[row], RATE, **way)
        return w

    close(seen[-1], step(table(), batches()))


@pytest.mark.parametrize("backend", BACKENDS)
def test_clipping_looks_at_sums_of_rows(backend):
    ids, w = np.array([3, 1, 3, 3, 0]), np.zeros((5, 2))
    g = np.array([[3.0, 0.0], [0.1, 0.2], [3.0, 1.0], [0.0, -9.0], [-4.0, 3.0]])
    sums = np.zeros((5, 2))
    np.add.at(sums, ids, g)
    norms = np.sqrt((sums**2).sum(1))
    expected = {
        "clip_value": np.clip(sums, -2, 2),
        "clip_row_norm": sums * np.minimum(1, 2 / np.where(norms > 0, norms, 1))[:, None],
        "clip_global_norm": sums * min(1, 2 / np.sqrt((norms**2).sum())),
    }
    for option, clipped in expected.items():
        for untouched in ("freeze", "dense"):
            t, i, v = st.shared(w, "t"), st.lvector("i"), st.matrix("v")
            updates = optimizers.sgd([v], [t[i]], 1.0, untouched=untouched, **{option: 2.0})
            st.function([i, v], [], updates, backend=backend)(ids, g)
            close(t.get_value(), w - clipped)


def test_the_global_norm_is_over_all_parameters():
    t, b, i = st.shared(np.ones((4, 2)), "t"), st.shared(np.array([1.0, 2.0]), "b"), st.lvector("i")
    cost = (t[i] * 3).sum() + (b * b).sum() * 2
    st.function([i], [], optimizers.sgd(cost, [t[i], b], 1.0, clip_global_norm=1.0))([0, 0])
    norm = np.sqrt(2 * 6**2 + 4**2 + 8**2)
    close(t.get_value()[0], 1 - 6 / norm)
    close(b.get_value(), np.array([1.0, 2.0]) - np.array([4.0, 8.0]) / norm)


def test_a_norm_of_zero_is_not_divided_by():
    t, i = st.shared(np.ones((4, 2)), "t"), st.lvector("i")
    g = st.zeros_like(t[i])
    st.function([i], [], optimizers.sgd([g], [t[i]], 1.0, clip_global_norm=1.0, clip_row_norm=1.0))([0, 0])
    np.testing.assert_array_equal(t.get_value(), np.ones((4, 2)))


# --- measured harms


def test_a_rare_rows_first_step_is_one_rate_however_late():
    """With a count by row Adam moves a row first used at step 10,001 by the learning rate, not by 3.16 times it."""
    moved = {}
    for count in ("row", "global"):
        t, i = st.shared(np.zeros((2, 1)), "t"), st.lvector("i")
        updates = optimizers.adam(t[i].sum() * 2.5, [t[i]], 0.001, step_count=count)
        step = st.function([i], [], updates)
        for _ in range(10_000):
            step([0])
        step([1])
        moved[count] = -t.get_value()[1, 0] / 0.001
    assert moved["row"] == pytest.approx(1, rel=1e-6)
    assert moved["global"] == pytest.approx(3.162, rel=1e-3)


def test_a_rare_rows_rmsprop_step_depends_on_its_history():
    """Dense RMSProp steps a rare row by rate / sqrt(1 - rho), whatever its gradient; a subset's history is kept."""
    steps = {}
    for untouched in ("freeze", "dense"):
        t, i, scale = st.shared(np.zeros((2, 1)), "t"), st.lvector("i"), st.scalar("scale")
        updates = optimizers.rmsprop(scale * t[i].sum(), [t[i]], 0.01, untouched=untouched)
        step = st.function([i, scale], [], updates)
        for _ in range(50):
            step([1], 1.0)
        for _ in range(1000):
            step([0], 1.0)
        before = t.get_value()[1, 0]
        step([1], 0.01)
        steps[untouched] = (before - t.get_value()[1, 0]) / 0.01
    assert steps["dense"] == pytest.approx(0.01 / (0.01 * np.sqrt(0.1) + 1e-8), rel=1e-9)
    assert steps["freeze"] == pytest.approx(0.01 / np.sqrt(0.9 * (1 - 0.9**50)), rel=1e-3)
