"""Steps over tables that four devices of one process divide, beside JAX by hand on the same mesh; and what travels.

    python backends/benchmarks/bench_sharding.py [rows] [batch]

By hand: ``jax.jit`` with donated state that is placed by ``NamedSharding``, the rest left to XLA's partitioner.
"""

import os
import sys

os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=4"

import jax  # with four devices
import jax.numpy as jnp  # as above
import numpy as np  # as above
from jax.sharding import Mesh, NamedSharding, PartitionSpec

import subtensor as st
import subtensor_jax
from harness import interleaved, report

WIDTH = 64


def sgd(state, ids, wanted):
    (t,) = state
    error = t[ids] - wanted
    return (t.at[ids].add(-0.02 * error),), (error**2).sum()


def adam(state, ids, wanted):
    t, m, v, count = state
    error = t[ids] - wanted
    rows, place = jnp.unique(ids, size=len(ids), fill_value=len(t), return_inverse=True)
    g = jnp.zeros_like(error).at[place].add(2 * error)
    m_new = 0.9 * m.at[rows].get(mode="clip") + 0.1 * g
    v_new = 0.999 * v.at[rows].get(mode="clip") + 0.001 * g * g
    n = count.at[rows].get(mode="clip") + 1
    k = n.astype(jnp.float32)[:, None]
    change = -0.01 * (m_new / (1 - 0.9**k)) / (jnp.sqrt(v_new / (1 - 0.999**k)) + 1e-8)
    writes = ((t, "add", change), (m, "set", m_new), (v, "set", v_new), (count, "set", n))
    return tuple(getattr(x.at[rows], kind)(y, mode="drop") for x, kind, y in writes), (error**2).sum()


def by_hand(step, rows, wanted):
    mesh = Mesh(np.array(jax.devices()), ("rows",))
    lengths = [(rows, WIDTH)] if step is sgd else [(rows, WIDTH)] * 3 + [(rows,)]
    sharding = NamedSharding(mesh, PartitionSpec("rows"))
    state = tuple(jax.device_put(np.zeros(s, "float32" if len(s) > 1 else "int32"), sharding) for s in lengths)
    run = jax.jit(step, donate_argnums=0)

    def call(ids):
        nonlocal state
        state, cost = run(state, ids.astype("int32"), wanted)
        return float(cost)

    return call


def ours(name, rows, devices=4, role=None):
    with subtensor_jax.mesh("rows", "batch", devices=jax.devices()[:devices]):
        t = st.shared(st.zeros((rows, WIDTH), "float32"), "t", axes=("rows", None))
        ids, wanted = st.lvector("ids", axes=role), st.fmatrix("wanted", axes=role and ("batch", None))
        cost = ((t[ids] - wanted) ** 2).sum()
        updates = getattr(st.optimizers, name)(cost, [t], 0.01)
        return st.function([ids, wanted], cost, updates=updates, backend="jax")


def compare(step, rows, batch):
    """Times of one optimizer, and what it sends where each device has as many rows."""
    rng = np.random.default_rng(0)
    wanted = rng.normal(size=(batch, WIDTH)).astype("float32")
    name = step.__name__
    whole, divided, hand = ours(name, rows), ours(name, rows, role=("batch",)), by_hand(step, rows, wanted)
    times = interleaved(
        {
            "by hand": lambda: hand(rng.integers(0, rows, batch)),
            "subtensor": lambda: whole(rng.integers(0, rows, batch), wanted),
            "divided": lambda: divided(rng.integers(0, rows, batch), wanted),
        }
    )
    report(f"{name}, {rows} rows, batch {batch}", times, "by hand")
    for devices in (2, 4):
        f = ours(name, rows * devices // 4, devices)
        f(rng.integers(0, 9, batch), wanted)
        sent = sum(t.wire for t in subtensor_jax.traffic(f)) / (batch * WIDTH * 4)
        print(f"  {devices} devices, {rows // 4} rows on each: each sends {sent:.2f} times the rows of the batch")


def main(rows=200_000, batch=2048):
    compare(sgd, rows, batch)
    compare(adam, rows, batch)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
