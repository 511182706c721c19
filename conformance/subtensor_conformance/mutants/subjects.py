"""What is mutated: the code that reads, writes, sums and sorts rows, of both backends in this tree."""

from __future__ import annotations

SUBJECTS: dict[str, dict[str, tuple[str, ...]]] = {
    "numpy": {
        "subtensor_numpy.scatter": (),
        "subtensor_numpy.runs": (),
        "subtensor_numpy.kernels": ("_tried",),
        "subtensor_numpy.workspace": (),
        "subtensor_numpy.emit": (
            "Emitter._prepared", "Emitter.calls", "Emitter.commits", "Emitter.scalar", "Emitter._blank_bases",
            "Emitter._only_lengths", "Emitter._kept", "Emitter._is_fresh", "Emitter._room", "_key", "_positions",
            "_subtensor", "_run_sums", "_zeros", "_copy", "_write", "written", "_sum", "_length", "_shaped",
        ),
        "subtensor_numpy.lowerings": (
            "rows_at", "elements_at", "cast", "copy", "cumsum", "cumprod", "sum_to", "concatenate", "argsort", "sort",
            "searchsorted", "argmax", "argmin", "flatnonzero", "last_occurrence", "broadcast_to", "fitting_mask",
            "assume_unique", "range_diagonal", "product", "largest", "smallest", "arange", "where",
        ),
    },
    "jax": {
        "subtensor_jax.scatter": (),
        "subtensor_jax.runs": (),
        "subtensor_jax.positions": (),
        "subtensor_jax.tracing": (),
        "subtensor_jax.stages": (),
        "subtensor_jax.executable": (),
        "subtensor_jax.packing": (),
        "subtensor_jax.lowerings": (),
    },
    "jax-strict": {
        "subtensor_jax.scatter": ("put", "_put_strictly", "_sums_of_runs", "Selection.keys"),
    },
}  # fmt: skip
"""For each backend its modules, and of each the functions by qualified name, or none for all of them.

``jax-strict`` is JAX as it runs where a device promises no order of writes.
"""
