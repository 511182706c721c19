"""Which ops only look at memory."""

from __future__ import annotations

VIEWS = frozenset(
    {
        "transpose",
        "reshape",
        "expand_dims",
        "squeeze",
        "broadcast_to",
        "subtensor",
        "fitting_mask",
        "fixed_shape",
        "sum_to",
        "range_diagonal",
        "within",
    }
)
"""Ops whose result may share memory with their first input, and with nothing else."""
