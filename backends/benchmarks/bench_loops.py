"""Loops beside code written by hand.

    OPENBLAS_NUM_THREADS=1 python backends/benchmarks/bench_loops.py [numpy] [jax] [pytensor] [overhead] [first]

The model is an LSTM language model: 20 steps, batch 64, 256 units, an embedding of 10,000 words that also scores the
output, 512 sampled words, float32, one step of SGD on all parameters. ``numpy`` and ``jax`` take turns with the same
step by hand, ``pytensor`` with PyTensor's (where it is installed), on the same arguments. ``first``: from the graph to
the end of the first step, on JAX, each in a new process. ``overhead``: what an iteration costs on NumPy beyond its
operations.
"""

import subprocess
import sys
import time

import numpy as np

import subtensor as st
from harness import interleaved, report

STEPS, BATCH, UNITS, WORDS, SAMPLED = 20, 64, 256, 10_000, 512
LR = np.float32(0.1)


def parameters():
    rng = np.random.default_rng(0)
    shapes = {"E": (WORDS, UNITS), "W": (UNITS, 4 * UNITS), "U": (UNITS, 4 * UNITS)}
    made = {k: (rng.normal(size=s) * 0.08).astype("float32") for k, s in shapes.items()}
    return {**made, "b": np.zeros(4 * UNITS, "float32")}


def batch():
    rng = np.random.default_rng(1)
    ids, targets = rng.integers(0, WORDS, (2, STEPS, BATCH))
    return ids, targets, rng.integers(0, WORDS, SAMPLED)


def symbolic(backend):
    E, W, U, b = (st.shared(v, name=k) for k, v in parameters().items())
    ids, targets, sampled = st.lmatrix("ids"), st.lmatrix("targets"), st.lvector("sampled")

    def cell(i, h, c):
        z = E[i] @ W + h @ U + b
        into, forget, out, new = (z[:, k * UNITS : (k + 1) * UNITS] for k in range(4))
        c = st.sigmoid(forget) * c + st.sigmoid(into) * st.tanh(new)
        return st.sigmoid(out) * st.tanh(c), c

    start = st.zeros((ids.shape[1], UNITS), "float32")
    (hidden, _), _ = st.scan(lambda i, h, c: list(cell(i, h, c)), ids, [start, start])
    flat = hidden.reshape((-1, UNITS))
    right = (flat * E[targets.flatten()]).sum(1)
    scores = st.concatenate([right[:, None], flat @ E[sampled].T], 1)
    cost = (st.logsumexp(scores, axis=1) - right).mean()
    updates = [(p, p - LR * g) for p, g in zip((E, W, U, b), st.grad(cost, [E, W, U, b]), strict=True)]
    return st.function([ids, targets, sampled], cost, updates=updates, backend=backend)


def by_hand_numpy():
    p = parameters()
    E = p["E"]
    T, B, H = STEPS, BATCH, UNITS

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    def step(ids, targets, sampled):
        W, U, b = p["W"], p["U"], p["b"]
        x = E[ids]
        zx = (x.reshape(-1, H) @ W + b).reshape(T, B, 4 * H)
        h, c = np.zeros((2, T + 1, B, H), "float32")
        gates = np.empty((T, B, 3 * H), "float32")
        new, squashed = np.empty((2, T, B, H), "float32")
        for t in range(T):
            z = h[t] @ U
            z += zx[t]
            gates[t] = sigmoid(z[:, : 3 * H])
            np.tanh(z[:, 3 * H :], out=new[t])
            into, forget, out = gates[t, :, :H], gates[t, :, H : 2 * H], gates[t, :, 2 * H :]
            c[t + 1] = forget * c[t] + into * new[t]
            np.tanh(c[t + 1], out=squashed[t])
            h[t + 1] = out * squashed[t]
        flat, right, wrong = h[1:].reshape(-1, H), E[targets.ravel()], E[sampled]
        scores = np.concatenate([(flat * right).sum(1)[:, None], flat @ wrong.T], 1)
        top = scores.max(1, keepdims=True)
        weights = np.exp(scores - top)
        total = weights.sum(1, keepdims=True)
        cost = (np.log(total)[:, 0] + top[:, 0] - scores[:, 0]).mean()
        d = weights / total
        d[:, 0] -= 1
        d /= len(d)
        dh = (d[:, :1] * right + d[:, 1:] @ wrong).reshape(T, B, H)
        d_right, d_wrong = d[:, :1] * flat, d[:, 1:].T @ flat
        dz = np.empty((T, B, 4 * H), "float32")
        back_h, back_c = np.zeros((2, B, H), "float32")
        for t in range(T - 1, -1, -1):
            into, forget, out = gates[t, :, :H], gates[t, :, H : 2 * H], gates[t, :, 2 * H :]
            g = dh[t] + back_h
            dc = back_c + g * out * (1 - squashed[t] ** 2)
            dz[t, :, :H] = dc * new[t] * into * (1 - into)
            dz[t, :, H : 2 * H] = dc * c[t] * forget * (1 - forget)
            dz[t, :, 2 * H : 3 * H] = g * squashed[t] * out * (1 - out)
            dz[t, :, 3 * H :] = dc * into * (1 - new[t] ** 2)
            back_h, back_c = dz[t] @ U.T, dc * forget
        flat_z = dz.reshape(-1, 4 * H)
        p["W"] = W - LR * (x.reshape(-1, H).T @ flat_z)
        p["U"] = U - LR * (h[:-1].reshape(-1, H).T @ flat_z)
        p["b"] = b - LR * flat_z.sum(0)
        for rows, change in ((sampled, d_wrong), (targets.ravel(), d_right), (ids.ravel(), flat_z @ W.T)):
            np.add.at(E, rows, -LR * change)
        return cost

    return step


def by_hand_jax():
    import jax
    import jax.numpy as jnp
    from jax import lax

    def cost(p, rows, right, wrong):
        def cell(carry, x):
            h, c = carry
            into, forget, out, new = jnp.split(x @ p["W"] + h @ p["U"] + p["b"], 4, 1)
            c = jax.nn.sigmoid(forget) * c + jax.nn.sigmoid(into) * jnp.tanh(new)
            h = jax.nn.sigmoid(out) * jnp.tanh(c)
            return (h, c), h

        start = jnp.zeros((BATCH, UNITS), "float32")
        _, hidden = lax.scan(cell, (start, start), rows)
        flat = hidden.reshape(-1, UNITS)
        scores = jnp.concatenate([(flat * right).sum(1)[:, None], flat @ wrong.T], 1)
        return (jax.nn.logsumexp(scores, 1) - scores[:, 0]).mean()

    def step(p, ids, targets, sampled):
        E, rest = p["E"], {k: p[k] for k in "WUb"}
        value, (g, *rows) = jax.value_and_grad(cost, (0, 1, 2, 3))(rest, E[ids], E[targets.reshape(-1)], E[sampled])
        for where, change in zip((ids, targets.reshape(-1), sampled), rows, strict=True):
            E = E.at[where].add(-LR * change)
        return {"E": E, **{k: rest[k] - LR * g[k] for k in rest}}, value

    compiled = jax.jit(step, donate_argnums=0)
    state = [{k: jnp.asarray(v) for k, v in parameters().items()}]

    def run(*args):
        state[0], value = compiled(state[0], *args)
        return float(value)

    return run


def by_pytensor():
    import pytensor
    import pytensor.tensor as pt

    E, W, U, b = (pytensor.shared(v, name=k) for k, v in parameters().items())
    ids, targets, sampled = pt.lmatrix(), pt.lmatrix(), pt.lvector()

    def cell(x, h, c):
        z = x + h @ U
        into, forget, out, new = (z[:, k * UNITS : (k + 1) * UNITS] for k in range(4))
        c = pt.sigmoid(forget) * c + pt.sigmoid(into) * pt.tanh(new)
        return [pt.sigmoid(out) * pt.tanh(c), c]

    rows, right_rows, wrong = E[ids], E[targets.flatten()], E[sampled]
    start = pt.zeros((BATCH, UNITS), "float32")
    (hidden, _), _ = pytensor.scan(cell, rows @ W + b, [start, start])
    flat = hidden.reshape((-1, UNITS))
    right = (flat * right_rows).sum(1)
    scores = pt.concatenate([right[:, None], flat @ wrong.T], 1)
    cost = (pt.logsumexp(scores, axis=1) - right).mean()
    grads = pytensor.grad(cost, [W, U, b, rows, right_rows, wrong])
    table = E
    for where, change in ((ids, grads[3]), (targets.flatten(), grads[4]), (sampled, grads[5])):
        table = pt.inc_subtensor(table[where], -LR * change)
    updates = [(E, table), *((p, p - LR * g) for p, g in zip((W, U, b), grads, strict=False))]
    return pytensor.function([ids, targets, sampled], cost, updates=updates)


def beside(name, ours, theirs):
    args = batch()
    a, b = float(ours(*args)), float(theirs(*args))
    assert abs(a - b) < 1e-3, (a, b)
    other = "PyTensor" if name == "pytensor" else "by hand"
    times = interleaved({other: lambda: theirs(*args), "subtensor": lambda: ours(*args)})
    report(f"LSTM, {name}", times, next(iter(times)))


def overhead():
    m = st.dmatrix("m")
    out, _ = st.scan(lambda e, s: st.tanh(s + e), m, st.zeros((4,)))
    loop = st.function([m], out, backend="numpy")
    values = np.random.default_rng(0).normal(size=(10_000, 4))

    def plain():
        s = np.zeros(4)
        for t in range(len(values)):
            s = np.tanh(s + values[t])

    times = interleaved({"operations alone": plain, "subtensor": lambda: loop(values)})
    each = (times["subtensor"] - times["operations alone"]) / len(values)
    print(f"an iteration costs {each:.2f} us beyond its operations")


def first(which):
    args = batch()
    start = time.perf_counter()
    (symbolic("jax") if which == "subtensor" else by_hand_jax())(*args)
    print(f"{time.perf_counter() - start:.2f}")


def main(wanted):
    if wanted[:1] in (["first-subtensor"], ["first-hand"]):
        __import__("jax")
        first(wanted[0].removeprefix("first-"))
        return
    if not wanted or "numpy" in wanted:
        beside("numpy", symbolic("numpy"), by_hand_numpy())
    if not wanted or "jax" in wanted:
        beside("jax", symbolic("jax"), by_hand_jax())
    if "pytensor" in wanted:
        beside("pytensor", symbolic("numpy"), by_pytensor())
    if not wanted or "overhead" in wanted:
        overhead()
    if not wanted or "first" in wanted:
        seconds = {"hand": [], "subtensor": []}
        for _ in range(3):
            for which, found in seconds.items():
                command = [sys.executable, __file__, f"first-{which}"]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                found.append(float(done.stdout))
        hand, ours = (float(np.median(v)) for v in seconds.values())
        print(f"first step on JAX: by hand {hand:.2f} s, subtensor {ours:.2f} s ({ours / hand:.2f}x)")


if __name__ == "__main__":
    main(sys.argv[1:])
