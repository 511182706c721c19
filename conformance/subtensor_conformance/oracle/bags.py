"""Bags of rows, and what rows that share an id amount to."""

from __future__ import annotations

import math
from typing import Any

from subtensor_conformance.oracle.index import OutOfBounds
from subtensor_conformance.oracle.nodes import Node, apply, as_node, public
from subtensor_conformance.oracle.values import Array, make, size

_OPTIONS = ("offsets", "lengths", "segments", "num_bags", "mask", "weights")


def _owners(ids: Array, given: dict[str, Array]) -> tuple[list[int], int]:
    """For each id its bag, and the number of bags."""
    n = size(ids.shape)
    if len(ids.shape) == 2:
        return [k // ids.shape[1] for k in range(n)] if ids.shape[1] else [], ids.shape[0]
    if "segments" in given:
        return [int(s) for s in given["segments"].data], int(given["num_bags"].item())
    if "offsets" in given:
        starts = [int(o) for o in given["offsets"].data]
        lengths = [b - a for a, b in zip(starts, [*starts[1:], n], strict=True)]
    else:
        lengths = [int(v) for v in given["lengths"].data]
    return [bag for bag, many in enumerate(lengths) for _ in range(many)], len(lengths)


def _bag(rows: list[list[float]], weights: list[float], mode: str, width: int) -> list[float]:
    if not rows:
        return [0.0] * width
    if mode == "max":
        return [max(column) for column in zip(*rows, strict=True)]
    total = [math.fsum(w * x for w, x in zip(weights, column, strict=True)) for column in zip(*rows, strict=True)]
    by = {"sum": 1.0, "mean": math.fsum(weights), "sqrtn": math.sqrt(math.fsum(w * w for w in weights))}[mode]
    return [t / by if by else t for t in total]


@public("embedding_bag")
def embedding_bag(table: Node, ids: Any, *args: Any, mode: str = "sum", **options: Any) -> Node:
    named = dict(zip(_OPTIONS, args, strict=False)) | options
    names = [k for k in _OPTIONS if named.get(k) is not None]

    def run(table: Array, ids: Array, *rest: Array) -> Array:
        given = dict(zip(names, rest, strict=True))
        owners, bags = _owners(ids, given)
        width = size(table.shape[1:])
        found: list[tuple[list[list[float]], list[float]]] = [([], []) for _ in range(bags)]
        for k, (i, bag) in enumerate(zip(ids.data, owners, strict=True)):
            row = int(i) + (table.shape[0] if i < 0 else 0)
            if not 0 <= row < table.shape[0]:
                raise OutOfBounds
            if "mask" in given and not given["mask"].data[k]:
                continue
            found[bag][0].append([float(x) for x in table.data[row * width : (row + 1) * width]])
            found[bag][1].append(float(given["weights"].data[k]) if "weights" in given else 1.0)
        made = [x for rows, weights in found for x in _bag(rows, weights, mode, width)]
        return make(table.dtype, (bags, *table.shape[1:]), made)

    return apply(run, [as_node(table), as_node(ids), *(as_node(named[k]) for k in names)], ("bag", mode, tuple(names)))
