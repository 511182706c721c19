"""A model with two tables on several processes, each with several devices; and what one process makes of the same data.

    python docs/examples/sharded_embeddings.py --processes 2 --devices 2 [--rows 1000000] [--steps 20]

The command starts its processes, as any launcher would. On a machine with as many accelerators it uses these, else
devices that XLA makes of the processor. Each device has a part of the rows of each table and of the state of Adam; the
batch is divided, and the dense layer is everywhere. In the end the first process trains the same alone, on NumPy: of
the tables only the rows that were used, for the others play no part. The last line is a JSON object.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import time

import numpy as np

import subtensor as st

WIDTH, BATCH = 32, 1024
SIDES = ("users", "items")


# --- the model, which knows nothing of devices


def tables(rows):
    """Tables that start as an expression: each device computes its part, and nobody has the whole."""
    steps = st.arange(rows).astype("float32").dimshuffle(0, "x")
    waves = np.linspace(0.01, 1, WIDTH, dtype="float32")
    return [
        st.shared(st.sin(steps * waves + k) * np.float32(0.3), name, axes=("rows", None))
        for k, name in enumerate(SIDES)
    ]


def training(tables, backend):
    """A step on pairs of a user and an item and whether they liked it: its function, and the dense layer."""
    users, items = tables
    rng = np.random.default_rng(0)
    hidden = st.shared(rng.normal(size=(2 * WIDTH, 16), scale=0.2).astype("float32"), "hidden")
    out = st.shared(rng.normal(size=16, scale=0.2).astype("float32"), "out")
    u, i = st.lvector("u", axes=("batch",)), st.lvector("i", axes=("batch",))
    liked = st.fvector("liked", axes=("batch",))
    pair = st.concatenate([users[u], items[i]], axis=1)
    score = st.tanh(pair @ hidden) @ out
    cost = (st.softplus(score) - liked * score).mean()
    updates = st.optimizers.adam(cost, [users, items, hidden, out], 0.01)
    return st.function([u, i, liked], cost, updates=updates, backend=backend, name="step"), [hidden, out]


def batches(rows, steps):
    """The same in each process: some ids often, most rarely, some of them twice in a batch."""
    rng = np.random.default_rng(1)
    for _ in range(steps):
        u, i = ((rows ** rng.random(BATCH)).astype(np.int64) % rows for _ in SIDES)
        yield u, i, ((u + i) % 2).astype("float32")


# --- one of the processes


def work(options):
    import jax  # noqa: PLC0415  # not in the process that starts the others

    first = options.rank * options.devices
    here = None if os.environ.get("JAX_PLATFORMS") == "cpu" else list(range(first, first + options.devices))
    jax.distributed.initialize(
        f"localhost:{options.port}",
        options.processes,
        options.rank,
        local_device_ids=here,
        heartbeat_timeout_seconds=20,
    )
    import subtensor_jax  # noqa: PLC0415  # as above

    with subtensor_jax.mesh("rows", "batch", timeout=120):
        both = tables(options.rows)
        step, dense = training(both, "jax")
        ids = st.lvector("ids")
        reads = [st.function([ids], table[ids], backend="jax") for table in both]
    data = list(batches(options.rows, options.steps))
    used = [np.unique([batch[side] for batch in data]) for side in range(len(SIDES))]
    start = [read(rows) for read, rows in zip(reads, used, strict=True)]
    costs = [step(*data[0])]
    begin = time.perf_counter()
    costs += [step(*batch) for batch in data[1:]]
    seconds = (time.perf_counter() - begin) / max(1, len(data) - 1)
    end = [read(rows) for read, rows in zip(reads, used, strict=True)] + [v.get_value() for v in dense]
    sent = subtensor_jax.traffic(step)
    if options.rank == 0:
        shares = [sum(s.stop - s.start for s in subtensor_jax.rows_here(table)) for table in both]
        print(
            f"{jax.device_count()} devices of {jax.process_count()} processes; "
            f"this one has {shares[0]} of {options.rows} rows of each table"
        )
        print("over a mesh" + str(step.explain()).rpartition("over a mesh")[2])
        print(f"cost {costs[0]:.4f} -> {costs[-1]:.4f}, {1e3 * seconds:.1f} ms a step")
        differences = compared(start, used, data, costs, end)
        told = {
            "processes": jax.process_count(),
            "devices": jax.device_count(),
            "max_difference": float(max(differences)),
            "all_gathers": sum(t.kind == "all-gather" for t in sent),
            "bytes_on_wire_per_step": round(sum(t.wire for t in sent)),
        }
        print(json.dumps(told), flush=True)


def compared(start, used, data, costs, end):
    """How far costs, rows and the dense layer are from those of one process, at most."""
    small = [st.shared(value, name) for value, name in zip(start, SIDES, strict=True)]
    step, dense = training(small, "numpy")
    places = [[np.searchsorted(used[side], batch[side]) for side in range(len(SIDES))] for batch in data]
    alone = [step(*where, batch[-1]) for where, batch in zip(places, data, strict=True)]
    yield max(abs(a - b) for a, b in zip(costs, alone, strict=True))
    for value, variable in zip(end, [*small, *dense], strict=True):
        yield np.abs(value - variable.get_value()).max()


# --- the launcher


def devices_of_this_machine():
    code = "import jax; print(jax.default_backend(), jax.local_device_count())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    return told[-2], int(told[-1])


def launch(options):
    environment = dict(os.environ)
    kind, count = devices_of_this_machine()
    if kind == "cpu" or count < options.processes * options.devices:
        flags = f"{environment.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={options.devices}"
        environment |= {"JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags.strip()}
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, __file__, *sys.argv[1:], "--port", str(port), "--rank"]
    outputs = [subprocess.PIPE, *[subprocess.DEVNULL] * (options.processes - 1)]
    processes = [
        subprocess.Popen([*command, str(rank)], env=environment, stdout=output, text=True)
        for rank, output in enumerate(outputs)
    ]
    try:
        for line in processes[0].stdout:
            if not line.startswith("[Gloo]"):
                print(line, end="")
        return max(abs(p.wait(60)) for p in processes)
    finally:
        for p in processes:
            p.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--devices", type=int, default=2, help="of each process")
    parser.add_argument("--rows", type=int, default=100_000, help="of each table")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if min(options.processes, options.devices, options.rows, options.steps) < 1:
        parser.error("processes, devices, rows and steps are numbers, 1 or more")
    return launch(options) if options.rank is None else work(options)


if __name__ == "__main__":
    sys.exit(main())
