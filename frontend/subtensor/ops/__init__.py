"""What operations mean. Importing this package enters every op and every public function into their tables."""

from subtensor.ops import (
    creation,
    distinct,
    elementwise,
    gradient,
    joining,
    linalg,
    loop,
    nn,
    reduce,
    selection,
    shape,
    shortcuts,
    sorting,
    special,
    subtensor,
    theano_names,
)

__all__ = [
    "creation",
    "distinct",
    "elementwise",
    "gradient",
    "joining",
    "linalg",
    "loop",
    "nn",
    "reduce",
    "selection",
    "shape",
    "shortcuts",
    "sorting",
    "special",
    "subtensor",
    "theano_names",
]
