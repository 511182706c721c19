"""The corpus: every case, by area.

A new area is a module with a function ``cases()`` and a line in ``AREAS``. Ids are stable: a case that changes its meaning
gets a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from itertools import chain

from subtensor_conformance.case import Case
from subtensor_conformance.cases import (
    bags,
    creation,
    curvature,
    dtypes,
    dynamic,
    edges,
    elementwise,
    errors,
    gradients,
    indexing,
    linalg,
    loops,
    optimizers,
    ownership,
    random,
    reductions,
    second_order,
    shapes,
    sizes,
    sorting,
    stale,
    transactions,
    updates,
    ways,
    windows,
)

AREAS: dict[str, tuple[str, str, Callable[[], Iterable[Case]]]] = {
    "elementwise": ("core", "arithmetic, comparison and functions of one element", elementwise.cases),
    "dtypes": ("core", "promotion, casts, 64 bits", dtypes.cases),
    "reduce": ("core", "sums, products, extrema, scans", reductions.cases),
    "shape": ("core", "reshaping, transposing, joining, broadcasting", shapes.cases),
    "linalg": ("core", "products of matrices and tensors", linalg.cases),
    "sort": ("core", "sorting, searching, ties", sorting.cases),
    "create": ("core", "arange, full, eye, triangles", creation.cases),
    "get": ("core", "reading a subset: x[index]", indexing.get_cases),
    "set": ("core", "writing a subset: x[index].set(y)", indexing.set_cases),
    "inc": ("core", "adding to a subset: x[index].inc(y)", indexing.inc_cases),
    "dynamic": ("core", "masks, and shapes that depend on values", dynamic.cases),
    "random": ("core", "random numbers: bits, floats, weights, state", random.cases),
    "loops": ("core", "loops: order, states, taps, conditions, gradients, subsets within", loops.cases),
    "windows": ("core", "convolution and pooling, and their gradients", windows.cases),
    "errors": ("core", "error classes and texts", errors.cases),
    "ownership": ("core", "who owns inputs, outputs and state", ownership.cases),
    "gradient": (
        "subset gradients",
        "first order, with respect to tables, subsets and written values",
        gradients.cases,
    ),
    "bags": ("subset gradients", "bags of rows, and their gradients", bags.cases),
    "second": ("subset gradients", "second order, forward mode, Jacobians", second_order.cases),
    "update": ("update rules", "simultaneous updates, rows in every spelling, chains", updates.cases),
    "transaction": ("update rules", "all or nothing, after each kind of failure", transactions.cases),
    "optimizers": ("update rules", "steps with repeated ids, rows left alone, state by row", optimizers.cases),
    "curvature": ("update rules", "products and matrices over distinct rows, Newton steps", curvature.cases),
}
"""For each area: the level that it belongs to, what it is about, and where its cases come from."""

LEVELS = ("core", "subset gradients", "update rules")
"""Each presupposes those before it. A backend that passes all and lacks no capability is at level full."""


@cache
def corpus() -> tuple[Case, ...]:
    """All cases in order of area. Raises ValueError for an id that is used twice."""
    found: dict[str, Case] = {}
    for area, (_, _, make) in AREAS.items():
        for case in chain(make(), edges.cases(area), sizes.cases(area), stale.cases(area), ways.cases(area)):
            if case.id in found or case.area != area:
                raise ValueError(f"case {case.id!r} of area {area!r}: the id is taken, or names another area")
            found[case.id] = case
    return tuple(found.values())
