"""JAX after a fork: its threads are not in the child, where a call would wait for them for ever."""

from __future__ import annotations

import os
from typing import Any, NoReturn

from subtensor.errors import Unsupported


def refused_in_children(*methods: tuple[type, str]) -> None:
    """Let methods raise Unsupported in processes that are forked from this one from now on."""

    def in_child() -> None:
        for owner, name in methods:
            setattr(owner, name, _refuse)

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=in_child)


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise Unsupported(
        "fork",
        f"the backend 'jax' does not run in process {os.getpid()}, which was forked from one that had loaded JAX: the "
        "threads that JAX needs are not in it. Start processes by multiprocessing.get_context('spawn'), or load JAX in "
        "the child alone, or use backend='numpy'; values of shared variables are read before the fork",
    )
