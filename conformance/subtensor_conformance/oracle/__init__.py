"""The oracle: what a program means, in loops over plain Python numbers.

It imports nothing but the standard library: no array library, no graph, no rewrite and no backend. Its functions carry
the names of the frontend's, so that the source of a case, ``"st.exp(t[i]).sum()"``, is evaluated here as it stands.
Gradients are finite differences.
"""

from subtensor_conformance.oracle import (
    bags,
    calculus,
    creation,
    curvature,
    elementwise,
    linalg,
    loops,
    optimizers,
    random,
    reduce,
    shape,
    sorting,
    subset,
    windows,
)
from subtensor_conformance.oracle.index import OutOfBounds
from subtensor_conformance.oracle.nodes import FUNCTIONS, Leaf, Node, constant, evaluate
from subtensor_conformance.oracle.values import Array, promote

__all__ = [
    "FUNCTIONS",
    "Array",
    "Leaf",
    "Node",
    "OutOfBounds",
    "bags",
    "calculus",
    "constant",
    "creation",
    "curvature",
    "elementwise",
    "evaluate",
    "linalg",
    "loops",
    "optimizers",
    "promote",
    "random",
    "reduce",
    "shape",
    "sorting",
    "subset",
    "windows",
]


class Names:
    """What a case's source calls ``st``."""

    optimizers = optimizers.Optimizers()
    curvature = curvature
    random = random

    def __getattr__(self, name: str) -> object:
        try:
            return FUNCTIONS[name]
        except KeyError:
            raise AttributeError(f"the oracle has no function {name!r}") from None


st = Names()
