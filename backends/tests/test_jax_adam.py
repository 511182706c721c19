"""An optimizer on float32 tables within the user's own ``jit``, with 64-bit types off, as JAX has them."""

import subprocess
import sys

PROGRAM = """
import jax, numpy as np, subtensor as st
from subtensor_jax import to_jax
made = {}
for kind in ("own", "pure"):
    e, i = st.shared(np.ones((9, 4), "float32"), name="e"), st.ivector("i")
    cost, s = (e[i] ** 2).sum(), st.optimizers.schedules
    rate = s.warmup(s.step(0.1, 2, 0.5), 2)
    updates = st.optimizers.adam(cost, [e[i]], rate, weight_decay=0.01)
    f = st.function([i], cost, updates=updates, backend="numpy" if kind == "own" else "jax")
    batches = [np.array(ids, "int32") for ids in ([1, 2, 1], [3, 3, 1], [1, 8, 0], [2, 2, 2])]
    if kind == "own":
        made[kind] = [f(b) for b in batches]
    else:
        pure = to_jax(f)
        step, state, made[kind] = jax.jit(pure), pure.initial(), []
        for b in batches:
            state, value = step(state, b)
            made[kind].append(value)
        assert {x.dtype.itemsize for x in state} == {4}, [x.dtype for x in state]
        pure.store(state)
    made[kind].append(e.get_value())
for own, pure in zip(*made.values(), strict=True):
    np.testing.assert_allclose(own, pure, rtol=1e-5)
"""


def test_adam_with_a_schedule_where_jax_has_no_64_bit_types():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
