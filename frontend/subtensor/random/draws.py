"""Numbers drawn with a key. The same key, shape and dtype give the same numbers on every backend."""

from __future__ import annotations

import math
from typing import Any

from subtensor.errors import DomainError, DTypeError, ShapeError
from subtensor.graph.config import config
from subtensor.graph.constants import as_tensor, constant, is_weak
from subtensor.graph.nodes import Variable, call
from subtensor.graph.types import BFLOAT16, INDEX, INTEGERS, as_dtype, is_float, is_integer, result_dtype
from subtensor.ops.elementwise import cast
from subtensor.ops.philox import UNIT, WIDTHS, WORD, as_word, multiply_high, random_bits, random_unit, within
from subtensor.ops.shape import as_dims, broadcast_dims_of, broadcast_to_dims, length, lengths
from subtensor.random.keys import ANGLE, as_key

PROBABILITY = "a probability, between 0 and 1"


def float_of(dtype: Any, *parameters: Any) -> str:
    """The float dtype of a draw: the one asked for, else that of the parameters; ``config.floatX`` for numbers."""
    if dtype is not None:
        name = as_dtype(dtype)
        if not is_float(name):
            raise DTypeError(f"random: the dtype {name} holds no such numbers; expected a float")
        if name == BFLOAT16:
            raise DTypeError(
                "random: numbers are not drawn as bfloat16; draw float32 and cast, or st.random.stochastic_round it"
            )
        return name
    found = [as_tensor(p).dtype for p in parameters if not is_weak(p)]
    floats = [d for d in found if is_float(d)]
    kind = result_dtype(*floats) if floats else config.floatX
    return "float32" if kind == BFLOAT16 else kind


def dims_of(shape: Any, *parameters: Variable, ndim: int | None = None) -> list[Variable]:
    """The lengths of a draw: `shape`, or those to which the parameters broadcast where it is None."""
    if shape is None:
        return broadcast_dims_of(*parameters) if parameters else []
    return as_dims("random", shape, ndim)


def bits(key: Any, shape: Any = (), dtype: Any = WORD) -> Variable:
    """Random bits: integers that are uniform over all of a dtype, uint8 to uint64."""
    name = as_dtype(dtype)
    if name not in WIDTHS:
        raise DTypeError(f"bits: {name} is not a dtype of random bits; expected one of {', '.join(WIDTHS)}")
    return random_bits(as_key(key), *dims_of(shape), dtype=name, part=0)


def unit(key: Any, dims: list[Variable], dtype: str, part: int = 0) -> Variable:
    """Floats in [0, 1)."""
    return random_unit(as_key(key), *dims, dtype=dtype, part=part)


def open_unit(key: Any, dims: list[Variable], dtype: str) -> Variable:
    """Floats in (0, 1): the middles of ``2**(digits - 1)`` equal parts, all exact."""
    kind, digits = UNIT[dtype]
    drawn = random_bits(as_key(key), *dims, dtype=kind, part=0)
    part = cast(drawn >> constant(WIDTHS[kind] - digits + 1, dtype=kind), dtype)
    return (part + constant(0.5, dtype=dtype)) * constant(0.5 ** (digits - 1), dtype=dtype)


def is_number(x: Any, value: float) -> bool:
    """Whether x is known to be one number."""
    known = as_tensor(x).known
    return known is not None and known.ndim == 0 and known == value


def uniform(key: Any, shape: Any = None, dtype: Any = None, low: Any = 0.0, high: Any = 1.0) -> Variable:
    """Floats in [low, high): ``low + (high - low) * u``, where u is the upper 11, 24 or 53 bits (float16, 32, 64) of an
    element of 16, 32 or 64 random bits, divided by ``2**11``, ``2**24`` or ``2**53``.

    shape: ints and integer scalars; None is that of `low` and `high`. dtype: that of `low` and `high`, if not given.
    In float32 and float64, u is what ``numpy.random.Generator(numpy.random.Philox(key=seed)).random`` gives.
    Differentiable in `low` and `high`.
    """
    kind = float_of(dtype, low, high)
    a, b = cast(low, kind), cast(high, kind)
    dims = dims_of(shape, a, b)
    u = unit(key, dims, kind)
    return spread(u if is_number(a, 0) and is_number(b, 1) else a + (b - a) * u, dims)


def spread(x: Variable, dims: list[Variable]) -> Variable:
    """A draw whose parameters must fit its shape: raises ShapeError where they have more axes or other lengths."""
    if x.ndim != len(dims):
        raise ShapeError(
            f"random: parameters with {x.ndim} axes do not fit a shape of {len(dims)}; "
            "expected a shape that they broadcast to"
        )
    return broadcast_to_dims(x, dims)


def standard_normal(key: Any, dims: list[Variable], dtype: str) -> Variable:
    """See ``normal``."""
    if dtype == "float16":
        return cast(standard_normal(key, dims, "float32"), dtype)
    radius = call("sqrt", constant(-2, dtype=dtype) * call("log", 1 - unit(key, dims, dtype)))
    return radius * _sine_of_half_turns(unit(key, dims, dtype, ANGLE) - constant(0.5, dtype=dtype))


_TERMS = {"float32": 7, "float64": 11}


def _sine_of_half_turns(w: Variable) -> Variable:
    """``sin(pi * w)`` for w in [-1/2, 1/2], by as many terms of its series as the dtype shows: libraries take ten times
    as long, and their last digits differ.
    """
    square = w * w
    total: Variable | None = None
    for k in reversed(range(_TERMS[w.dtype])):
        term = constant((-1) ** k * math.pi ** (2 * k + 1) / math.factorial(2 * k + 1), dtype=w.dtype)
        total = term if total is None else total * square + term
    assert total is not None
    return w * total


def normal(key: Any, shape: Any = None, dtype: Any = None, loc: Any = 0.0, scale: Any = 1.0) -> Variable:
    """``loc + scale * z``, where z is standard normal by the formula of Box and Muller:
    ``z = sqrt(-2 * log(1 - u)) * sin(pi * (v - 1/2))``.

    u is ``uniform(key, shape)``, and v is made likewise of the words of which the last word of the counter is 3.
    Backends agree within 8 units in the last place of z. In float16, z is that of float32, rounded. shape, dtype: as in
    ``uniform``. Differentiable in `loc` and `scale`.
    """
    kind = float_of(dtype, loc, scale)
    a, b = cast(loc, kind), cast(scale, kind)
    dims = dims_of(shape, a, b)
    z = standard_normal(key, dims, kind)
    if not is_number(b, 1):
        z = b * z
    return spread(z if is_number(a, 0) else a + z, dims)


def truncated_normal(key: Any, shape: Any = (), dtype: Any = None, low: Any = -2.0, high: Any = 2.0) -> Variable:
    """Standard normal numbers on the condition that they lie between `low` and `high`, by the inverse distribution."""
    kind = float_of(dtype, low, high)
    root = constant(math.sqrt(2), dtype=kind)
    a, b = (call("erf", cast(v, kind) / root) for v in (low, high))
    dims = dims_of(shape, a, b)
    z = root * call("erfinv", a + (b - a) * open_unit(key, dims, kind))
    return spread(call("clip", z, cast(low, kind), cast(high, kind)), dims)


def exponential(key: Any, shape: Any = None, dtype: Any = None, scale: Any = 1.0) -> Variable:
    """``-scale * log(1 - u)``, where u is uniform: numbers whose mean is `scale`."""
    kind = float_of(dtype, scale)
    rate = cast(scale, kind)
    dims = dims_of(shape, rate)
    return spread(-rate * call("log", 1 - unit(key, dims, kind)), dims)


def gumbel(key: Any, shape: Any = None, dtype: Any = None, loc: Any = 0.0, scale: Any = 1.0) -> Variable:
    """``loc - scale * log(-log(u))``, where u is uniform between 0 and 1, both excluded."""
    kind = float_of(dtype, loc, scale)
    a, b = cast(loc, kind), cast(scale, kind)
    dims = dims_of(shape, a, b)
    return spread(a - b * call("log", -call("log", open_unit(key, dims, kind))), dims)


def bernoulli(key: Any, p: Any = 0.5, shape: Any = None) -> Variable:
    """True with probability p: whether u, uniform in p's dtype, is less than p. bool.

    p: floats; shape: that of p where None. Raises DomainError where a p is outside [0, 1], at the call if it is not
    known before.
    """
    return trials(key, as_probability("bernoulli", p), shape)


def trials(key: Any, p: Variable, shape: Any) -> Variable:
    """Whether each of some trials succeeds; p: checked."""
    dims = dims_of(shape, p)
    return spread(unit(key, dims, p.dtype) < p, dims)


def as_probability(where: str, p: Any) -> Variable:
    """Probabilities as floats, checked."""
    node = as_tensor(p)
    return within(where, node if is_float(node.dtype) else cast(node, config.floatX), 0, 1, PROBABILITY)


def integers(key: Any, shape: Any = None, low: Any = 0, high: Any = None, dtype: Any = INDEX) -> Variable:
    """Integers from `low` to ``high - 1``; from 0 to ``low - 1`` where only `low` is given, as in NumPy.

    Each is `low` and the upper 64 bits of a random word times ``high - low``. low, high: ints or integer nodes, in
    int64. Raises DomainError where there is no number between them, at the call if that is not known before.
    """
    low, high = (0, low) if high is None else (low, high)
    a, b = (_whole(v) for v in (low, high))
    kind = as_dtype(dtype)
    if kind not in INTEGERS:
        raise DTypeError(f"integers: the dtype {kind} holds no integers; expected one of {', '.join(INTEGERS)}")
    for v, last in ((a, 0), (b, 1)):
        _check_fits(v, kind, last)
    # 0 where there is none: a difference that is more than int64 holds is one of uint64
    span = call("where", a < b, cast(b, WORD) - cast(a, WORD), as_word(0))
    if a.known is not None and b.known is not None and not a.ndim and not b.ndim:
        span = as_word(max(0, int(b.known) - int(a.known)))
    elif span.name is None:
        span.name = "high - low"
    span = within("integers", span, 1, 2**64 - 1, "at least one integer in [low, high): high > low")
    dims = dims_of(shape, a, b)
    return spread(cast(a + below(key, dims, span), kind), dims)


def below(key: Any, dims: list[Variable], count: Variable, part: int = 0) -> Variable:
    """Integers in ``[0, count)``, int64; count: integers, more than 0."""
    word = random_bits(as_key(key), *dims, dtype=WORD, part=part)
    return cast(multiply_high(word, cast(count, WORD)), INDEX)


def _whole(value: Any) -> Variable:
    node = as_tensor(value)
    if not is_integer(node.dtype):
        raise DTypeError(f"integers: the bound {node!r} is no integer; write .astype('int64')")
    return cast(node, INDEX)


def _check_fits(bound: Variable, dtype: str, last: int) -> None:
    """Raises DomainError where a known bound is beyond a dtype."""
    if bound.known is None or not bound.known.size:
        return
    width = int(dtype.lstrip("uint"))
    least, most = (0, 2**width) if dtype.startswith("u") else (-(2 ** (width - 1)), 2 ** (width - 1))
    if int(bound.known.min()) < least or int(bound.known.max()) > most - 1 + last:
        raise DomainError(f"integers: the bound {bound.label} is beyond {dtype}; pass another dtype")


def permutation(key: Any, x: Any) -> Variable:
    """The rows of x, or the numbers ``0, …, x - 1`` for a scalar x, in random order: sorted by random words.

    x: an int, an integer scalar, or a tensor of one axis or more, of which the first is permuted.
    """
    node = as_tensor(x)
    if node.ndim:
        return node[ordered(key, [length(node, 0)])]
    if not is_integer(node.dtype):
        raise DTypeError(f"permutation: {node!r} is no number of things; expected an integer, or a tensor with rows")
    return ordered(key, [cast(node, INDEX)])


def ordered(key: Any, dims: list[Variable], part: int = 0) -> Variable:
    """A random order of the positions along the last axis, independent along the others."""
    return call("argsort", random_bits(as_key(key), *dims, dtype=WORD, part=part), -1)


def shuffled_rows(key: Any, x: Any) -> Variable:
    """x with the elements of each row, along the last axis, in a random order of their own."""
    node = as_tensor(x)
    if not node.ndim:
        raise ShapeError(f"shuffle_row_elements: {node!r} has no rows; expected a matrix, or more axes")
    return call("take_along_axis", node, ordered(key, lengths(node)), -1)


def dropout(key: Any, x: Any, rate: Any = 0.5, shape: Any = None) -> Variable:
    """x with each element dropped with probability `rate`: 0, or ``x / (1 - rate)``, so that the mean stays.

    shape: of the mask, which broadcasts to x; that of x where None. Raises DomainError where `rate` is not in [0, 1).
    """
    x = as_tensor(x)
    if not is_float(x.dtype):
        raise DTypeError(f"dropout: {x!r} holds no floats; write .astype('float32')")
    kept = 1 - within("dropout", cast(rate, x.dtype), 0, _BELOW_ONE[x.dtype], "a rate: at least 0 and less than 1")
    mask = unit(key, lengths(x) if shape is None else dims_of(shape), x.dtype) < kept
    return call("where", mask, x / kept, 0)


_BELOW_ONE = {"float16": 1 - 2.0**-11, "float32": 1 - 2.0**-24, "float64": 1 - 2.0**-53}
