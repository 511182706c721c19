"""Random numbers that are the same everywhere: functions of a key, and streams that keep one.

A key and a shape decide the numbers, on every backend, in loops and within ``to_jax``. The generator is Philox-4x64-10.
"""

from subtensor.random.arrivals import poisson
from subtensor.random.draws import (
    bernoulli,
    bits,
    dropout,
    exponential,
    gumbel,
    integers,
    normal,
    permutation,
    truncated_normal,
    uniform,
)
from subtensor.random.keys import fold_in, key, split
from subtensor.random.rounding import stochastic_round
from subtensor.random.streams import MRG_RandomStreams, RandomStream, RandomStreams
from subtensor.random.weighted import alias_draw, alias_table, categorical, choice, multinomial

__all__ = [
    "MRG_RandomStreams",
    "RandomStream",
    "RandomStreams",
    "alias_draw",
    "alias_table",
    "bernoulli",
    "bits",
    "categorical",
    "choice",
    "dropout",
    "exponential",
    "fold_in",
    "gumbel",
    "integers",
    "key",
    "multinomial",
    "normal",
    "permutation",
    "poisson",
    "split",
    "stochastic_round",
    "truncated_normal",
    "uniform",
]
