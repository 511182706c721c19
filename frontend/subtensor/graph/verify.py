"""Invariants of a graph, checked after every pass in tests: ``verify(outputs, after="pass name")``."""

from __future__ import annotations

from collections.abc import Sequence

from subtensor.errors import GraphError, SubtensorError
from subtensor.graph.nodes import Variable, toposort


def verify(outputs: Sequence[Variable], after: str) -> None:
    """Raises GraphError, naming the pass, for a node whose type or parameters do not follow from its inputs.

    Types may be more precise than inferred (never less, never different).
    """
    for node in toposort(outputs):
        if node.op is None:
            if node.inputs or node.params:
                raise GraphError(f"after {after}: the leaf {node!r} has inputs or parameters")
            continue
        try:
            inferred = node.op.infer(*node.inputs, **node.params)
        except SubtensorError as error:
            raise GraphError(f"after {after}: {node!r} does not type-check: {error}") from error
        if inferred != node.type:
            raise GraphError(f"after {after}: {node!r} has type {node.type}; its inputs give {inferred}")
        try:
            hash(tuple(sorted(node.params.items())))
        except TypeError as error:
            raise GraphError(f"after {after}: {node!r} has parameters that are not hashable: {node.params}") from error


def verify_same_types(before: Sequence[Variable], after: Sequence[Variable], name: str) -> None:
    """Raises GraphError where a pass changed the dtype or rank of an output, or contradicted a known length."""
    for old, new in zip(before, after, strict=True):
        fits = old.ndim == new.ndim and all(
            a is None or b is None or a == b for a, b in zip(old.type.shape, new.type.shape, strict=False)
        )
        if old.dtype != new.dtype or not fits:
            raise GraphError(f"after {name}: an output of type {old.type} became {new.type}: {old!r} to {new!r}")
