"""What rows have missed is made up for, and no more; and rules on float32 tables need no 64-bit floats."""

import numpy as np
import pytest
from optimizer_models import BACKENDS

import subtensor as st
from subtensor import optimizers
from subtensor.graph.nodes import toposort

KIN = ("adam", "adamax", "nadam")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", KIN)
def test_gaps_of_0_1_3_and_1000_steps_are_those_of_the_dense_optimizer(name, backend):
    gaps = [[0, 1, 2, 3], [0, 1, 2, 3], [0], [0, 1], [0], [0], [0, 2], *[[3]] * 1000, [0, 1, 2, 3]]
    made = {}
    for untouched in ("catch_up", "dense"):
        t, i = st.shared(np.random.default_rng(0).normal(size=(5, 2)), "t"), st.lvector("i")
        updates = getattr(optimizers, name)((t[i] ** 2).sum(), [t[i]], 0.01, untouched=untouched, weight_decay=0.01)
        step = st.function([i], [], updates=updates, backend=backend)
        for ids in gaps:
            step(np.resize(ids, 4))
        updates.flush(backend)
        made[untouched] = [t.get_value(), *(s.get_value() for s in updates.state if s.name.endswith((".m", ".v")))]
    for lazy, dense in zip(made["catch_up"], made["dense"], strict=True):
        np.testing.assert_allclose(lazy, dense, rtol=1e-9, atol=1e-12)


def test_a_batch_without_ids_has_no_gap():
    t, i = st.shared(np.ones((3, 2)), "t"), st.lvector("i")
    updates = optimizers.adam((t[i] ** 2).sum(), [t[i]], 0.1, untouched="catch_up")
    step = st.function([i], updates.read(t[i]), updates=updates)
    step([1])
    assert step([]).shape == (0, 2)


@pytest.mark.parametrize("name", ["adam", "adamw", "adamax", "nadam", "lamb", "rmsprop", "rowwise_adagrad", "momentum"])
def test_a_table_of_float32_needs_no_64_bit_floats(name):
    schedules = optimizers.schedules
    rate = schedules.warmup(schedules.cosine(0.1, 10), 2)
    t, b, i = st.shared(np.ones((3, 2), "float32"), "t"), st.shared(np.float32(1), "b"), st.lvector("i")
    cost = (t[i] ** 2).sum() * b
    updates = getattr(optimizers, name)(cost, [t[i], b], rate, clip_global_norm=1.0)
    assert {v.dtype for v in toposort(updates.values())} <= {"float32", "int64", "bool"}


@pytest.mark.parametrize("beta", [0.9, 0.999, 0.9999])
def test_the_correction_of_bias_keeps_the_digits_of_float32(beta):
    count = np.arange(1, 3000, 7)
    n = st.fvector("n")
    got = st.function([n], optimizers.rules.bias(beta, n))(count.astype("float32"))
    np.testing.assert_allclose(got, -np.expm1(count * np.log(beta)), rtol=5e-7)
