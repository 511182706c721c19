"""Rewrites: graphs that mean the same and cost less. Importing this package enters every built-in rule."""

from subtensor.rewrites import (
    canonicalize,
    cheapest,
    conversions,
    distinct_rows,
    engine,
    exponentials,
    increments,
    lift,
    loop_lift,
    loops,
    promises,
    reads,
    stabilize,
    written,
)

__all__ = [
    "canonicalize",
    "cheapest",
    "conversions",
    "distinct_rows",
    "engine",
    "exponentials",
    "increments",
    "lift",
    "loop_lift",
    "loops",
    "promises",
    "reads",
    "stabilize",
    "written",
]
