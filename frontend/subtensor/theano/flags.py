"""``theano.config``: two settings that mean something here, and those that say only how Theano computes."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any

from subtensor.errors import SettingError
from subtensor.graph.config import config

_OURS = ("floatX", "backend", "check_promises")

_HOW = {
    "allow_gc": True,
    "allow_downcast": None,
    "assert_no_cpu_op": "ignore",
    "base_compiledir": "",
    "cast_policy": "custom",
    "compile__timeout": 600,
    "compiledir": "",
    "compute_test_value": "off",
    "cxx": "",
    "deterministic": "default",
    "device": "cpu",
    "exception_verbosity": "low",
    "force_device": False,
    "int_division": "int",
    "intermediate_computation": True,
    "linker": "py",
    "mode": "FAST_RUN",
    "on_opt_error": "warn",
    "on_unused_input": "raise",
    "openmp": False,
    "openmp_elemwise_minsize": 200000,
    "optimizer": "fast_run",
    "optimizer_excluding": "",
    "optimizer_including": "",
    "optimizer_verbose": False,
    "print_test_value": False,
    "profile": False,
    "profile_memory": False,
    "profile_optimizer": False,
    "reoptimize_unpickled_function": False,
    "traceback__limit": 8,
    "unpickle_function": True,
    "warn_float64": "ignore",
}
"""Flags that are kept and change nothing, with what Theano has for them."""

_SECTIONS = (
    "blas", "cmodule", "cuda", "dnn", "experimental", "gcc", "gpuarray", "lib", "metaopt", "nvcc", "print_global_stats",
    "profiling", "scan", "tensor", "traceback", "vm", "warn",
)  # fmt: skip
"""Groups of such flags: ``config.blas.ldflags``."""


class Flags:
    """Theano's flags. ``floatX`` is subtensor's; assigning to a flag that Theano has not raises SettingError."""

    def __init__(self) -> None:
        for name in _SECTIONS:
            object.__setattr__(self, name, SimpleNamespace())

    def __getattr__(self, name: str) -> Any:
        if name in _OURS:
            return getattr(config, name)
        if name in _HOW:
            return _HOW[name]
        raise SettingError(f"config.{name}: there is no such flag here, and none was set")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _OURS:
            setattr(config, name, value)
        elif name in _HOW or name.partition("__")[0] in _SECTIONS:
            object.__setattr__(self, name, value)
        else:
            raise SettingError(f"config.{name}: there is no such flag here; expected floatX, or a flag of Theano's")

    def change_flags(self, **flags: Any) -> AbstractContextManager[None]:
        """Set flags for the length of a ``with`` block; those that change nothing here are passed over."""
        return config.change_flags(**{name: value for name, value in flags.items() if name in _OURS})

    def __repr__(self) -> str:
        return repr(config)


def from_environment() -> None:
    """Take ``floatX`` from THEANO_FLAGS, AESARA_FLAGS or PYTENSOR_FLAGS, where SUBTENSOR_FLOATX does not say it."""
    if "SUBTENSOR_FLOATX" in os.environ:
        return
    for root in ("THEANO", "AESARA", "PYTENSOR"):
        for each in os.environ.get(f"{root}_FLAGS", "").split(","):
            name, _, value = each.partition("=")
            if name.strip() == "floatX":
                config.floatX = value.strip()
