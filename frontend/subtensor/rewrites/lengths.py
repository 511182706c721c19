"""Lengths as polynomials, what they surely are not more than, their values, and their names for people."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from subtensor.graph.indexing import Slice
from subtensor.graph.nodes import OPS, Constant, Variable, describe
from subtensor.graph.polynomial import Atom, Polynomial
from subtensor.ops.distinct import distinct, row_numbers, run_starts
from subtensor.ops.subtensor import fitting_mask, flatnonzero_op, get_op
from subtensor.rewrites.shapes import deciding, length_of

_length, _cast, _reshape, _arange = OPS["length"], OPS["cast"], OPS["reshape"], OPS["arange"]
_lengths: WeakKeyDictionary[Variable, dict[int, Polynomial]] = WeakKeyDictionary()
_polynomials: WeakKeyDictionary[Variable, Polynomial] = WeakKeyDictionary()


def length_polynomial(x: Variable, axis: int) -> Polynomial:
    """The length of an axis: a number where it is known, else a polynomial in what is not.

    Where several operands decide it, and are broadcast only if a length turns out to be 1, they are taken to be equal.
    """
    n = x.type.shape[axis]
    if n is not None:
        return Polynomial.of(n)
    found = _lengths.get(x, {}).get(axis)
    if found is None:
        found = polynomial(length_of(x, axis))
        if not is_made_of(found, x):
            _lengths.setdefault(x, {})[axis] = found
    return found


def polynomial(d: Variable) -> Polynomial:
    """A length that is a node as a polynomial."""
    here: dict[Variable, Polynomial] = {}
    stack = [d]
    while stack:
        node = stack[-1]
        if node in here:
            stack.pop()
            continue
        found = _polynomials.get(node)
        parts = () if found is not None else _parts(node)
        missing = [i for i in parts if i not in here]
        if missing:
            stack += missing
            continue
        if found is None:
            found = _joined(node, [here[i] for i in parts])
            if not is_made_of(found, node):
                _polynomials[node] = found
        here[node] = found
        stack.pop()
    return here[d]


def _parts(d: Variable) -> tuple[Variable, ...]:
    """The lengths of which one is a sum or a product, or which it surely is equal to."""
    if d.op is None:
        return ()
    if d.op.name in ("add", "multiply"):
        return d.inputs
    if d.op is _cast or _divisor(d):
        return d.inputs[:1]
    if d.op is not _length:
        return ()
    x, axis = d.inputs[0], d.params["axis"]
    if x.type.shape[axis] is not None:
        return ()
    found = length_of(x, axis)
    if found is not d:
        return (found,)
    places = deciding(x, axis)
    if not places or any(i.type.shape[a] is not None for i, a in places):
        return ()
    return (length_of(*places[0]),)


def _joined(d: Variable, parts: Sequence[Polynomial]) -> Polynomial:
    """A length, given its parts."""
    if isinstance(d, Constant):
        return Polynomial.of(int(d.data))
    if d.op is not None and d.op.name in ("add", "multiply"):
        a, b = parts
        return a + b if d.op.name == "add" else a * b
    if _divisor(d):
        return parts[0] * (1 / _divisor(d))  # lengths that are divided leave no rest
    if d.op is _length:
        x, axis = d.inputs[0], d.params["axis"]
        numbers = [n for i, a in ((x, axis), *deciding(x, axis)) if (n := i.type.shape[a]) is not None]
        if numbers:
            return Polynomial.of(numbers[0])
    return parts[0] if parts else Polynomial.atom(d)


def _divisor(d: Variable) -> int:
    """The number that a length is divided by to give this one; 0 where it is none."""
    by = d.inputs[1].known if d.op is not None and d.op.name == "floor_divide" else None
    return 0 if by is None else max(0, int(by))


def is_made_of(p: Polynomial, node: Variable) -> bool:
    """Whether a node, or its length, is in a polynomial: a memo by the node would keep it alive."""
    return any(a is node or (isinstance(a, Variable) and node in a.inputs) for a in p.atoms)


def told_by(node: Variable) -> dict[Atom, Polynomial]:
    """Lengths that are known where a node can be computed at all: those of a tensor that is reshaped to others."""
    if node.op is not _reshape:
        return {}
    x, *dims = node.inputs
    told: dict[Atom, Polynomial] = {}
    for d in dims:
        if d.op is _length:  # of a tensor that is reshaped only for this to be checked
            told |= told_by(d.inputs[0])
    have, want = Polynomial.of(1), Polynomial.of(1)
    for axis in range(x.ndim):
        have = have * length_polynomial(x, axis)
    for d in dims:
        want = want * polynomial(d)
    left, right = _alone(have), _alone(want)
    if left is not None and want.number is not None and want.number > 0:
        told[left[0]] = want * (1 / left[1])
    elif right is not None and have.number is not None and have.number > 0:
        told[right[0]] = have * (1 / right[1])
    elif left is not None and right is not None and left[0] is not right[0]:
        told[left[0]] = Polynomial({(right[0],): right[1] / left[1]})
    return told


def _alone(p: Polynomial) -> tuple[Atom, float] | None:
    """The length of which a polynomial is a multiple, and the factor."""
    if len(p.terms) != 1:
        return None
    ((atoms, factor),) = p.terms.items()
    return (atoms[0], factor) if len(atoms) == 1 and factor > 0 else None


def bounds(d: Atom) -> list[Polynomial]:
    """What a length surely is not more than: the number of ids, and of rows, for the number of distinct ids."""
    if not isinstance(d, Variable) or d.op is None:
        return []
    name = d.op.name
    if d.op is _length:
        x = d.inputs[0]
        if x.op is run_starts:
            return [length_polynomial(x.inputs[0], 0), *_rows(x.inputs[0])]
        if x.op is get_op and d.params["axis"] == 0 and isinstance(part := x.params["index"].parts[0], Slice):
            return [length_polynomial(x.inputs[0], 0), *_taken(part)]
        return [length_polynomial(x.inputs[0], 0)] if x.op is flatnonzero_op else []
    if name in ("subtract", "floor_divide"):
        return [polynomial(d.inputs[0])]
    if name == "minimum":
        return [polynomial(i) for i in d.inputs]
    if name == "sum" and d.inputs[0].op is _cast and d.inputs[0].inputs[0].dtype == "bool" and not d.ndim:
        mask = d.inputs[0].inputs[0]
        return [length_polynomial(mask, 0)] if mask.ndim == 1 else []
    if name == "maximum" and d.inputs[1].known is not None and int(d.inputs[1].known) == 0:
        return [polynomial(d.inputs[0])]
    return []


def _taken(part: Slice) -> list[Polynomial]:
    """The number of elements up to a known end."""
    return [Polynomial.of(part.stop)] if isinstance(part.stop, int) and part.stop >= 0 else []


def _rows(ids: Variable) -> list[Polynomial]:
    """How many numbers there are for sorted ids to be, where they are row numbers."""
    while ids.op is not None and ids.op is not row_numbers and (ids.op is get_op or ids.op.name == "concatenate"):
        ids = ids.inputs[0]
    return [polynomial(ids.inputs[1])] if ids.op is row_numbers else []


def at_most(d: Atom) -> Polynomial | None:
    """The first of its bounds, if there is one."""
    found = bounds(d)
    return found[0] if found else None


# --- values

_ARITHMETIC: Mapping[str, Callable[..., Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "floor_divide": lambda a, b: a // b if b else 0,
    "minimum": min,
    "maximum": max,
    "equal": operator.eq,
    "where": lambda condition, x, y: x if condition else y,
    "cast": lambda x: x,
}

Shapes = Mapping[Variable, tuple[int, ...]]


def value_of(
    d: Variable,
    shapes: Shapes,
    known: Mapping[Variable, int] | None = None,
    found: dict[Variable, int | None] | None = None,
) -> int | None:
    """The number that a length is, where the shapes of inputs and shared variables tell. known: other lengths. found:
    where lengths that were found for the same shapes are kept.
    """
    here: dict[Variable, int | None] = {} if found is None else found
    stack = [d]
    while stack:
        node = stack[-1]
        parts = () if node in here or (known is not None and node in known) else _needed(node)
        missing = [i for i in parts if i not in here]
        if missing:
            stack += missing
            continue
        if node not in here:
            values = [here[i] for i in parts]
            given = None if known is None else known.get(node)
            here[node] = _computed(node, values, shapes) if given is None else given
        stack.pop()
    return here[d]


def _needed(d: Variable) -> tuple[Variable, ...]:
    """What a length is computed of."""
    if d.op is _length:
        found = length_of(d.inputs[0], d.params["axis"])
        if found is not d:
            return (found,)
        return d.inputs[0].inputs if d.inputs[0].op is _arange else ()
    return d.inputs if d.op is not None and d.op.name in _ARITHMETIC else ()


def _computed(d: Variable, parts: Sequence[int | None], shapes: Shapes) -> int | None:
    if isinstance(d, Constant):
        return int(d.data)
    numbers = [n for n in parts if n is not None]
    if len(numbers) < len(parts) or d.op is None:
        return None
    if d.op is _length:
        if not parts:
            shape = shapes.get(d.inputs[0])
            return None if shape is None else shape[d.params["axis"]]
        return numbers[0] if len(numbers) == 1 else len(range(*numbers))
    return int(_ARITHMETIC[d.op.name](*numbers)) if parts else None


def values(shapes: Shapes, known: Mapping[Variable, int] | None = None) -> Callable[[Atom], float | None]:
    """What ``Polynomial.value`` takes, for the shapes of inputs and shared variables. known: other lengths."""
    found: dict[Variable, int | None] = {}
    return lambda d: value_of(d, shapes, known, found) if isinstance(d, Variable) else None


def estimates(shapes: Shapes, known: Mapping[Variable, int] | None = None) -> Callable[[Atom], float | None]:
    """As ``values``, and where these do not tell a length, the least that it surely is not more than."""
    found: dict[Variable, int | None] = {}
    most: dict[tuple[Atom, int], float | None] = {}

    def estimate(d: Atom, depth: int = _BOUNDS) -> float | None:
        value = value_of(d, shapes, known, found) if isinstance(d, Variable) else None
        if value is not None or not depth:
            return value
        if (d, depth) not in most:
            deeper = partial(estimate, depth=depth - 1)
            within = [v for p in bounds(d) if (v := p.value(deeper)) is not None]
            most[d, depth] = min(within) if within else None
        return most[d, depth]

    return estimate


_BOUNDS = 4
"""How many bounds may be bounded by one another."""


# --- words


def words(d: Atom) -> str:
    """A length as people say it: ``ids.shape[0]``, ``distinct(ids)``, ``count(mask)``."""
    if not isinstance(d, Variable):
        return str(d)
    if d.op is _length:
        x, axis = d.inputs[0], d.params["axis"]
        if x.op is run_starts:
            return distinct(x.inputs[0])
        if x.op is flatnonzero_op:
            return f"count({_mask(x.inputs[0])})"
        return f"{describe(x)}.shape[{axis}]"
    if d.op is None:
        return describe(d)
    if d.op.name == "sum" and d.inputs[0].op is _cast and d.inputs[0].inputs[0].dtype == "bool":
        return f"count({_mask(d.inputs[0].inputs[0])})"
    if d.op.name == "where" and d.inputs[0].op is OPS["equal"] and d.inputs[0].inputs[0] is d.inputs[2]:
        return f"broadcast({words(d.inputs[2])}, {words(d.inputs[1])})"  # of two lengths, the one that is not 1
    if d.op.name in ("minimum", "maximum"):
        return f"{d.op.name[:3]}({', '.join(map(words, d.inputs))})"
    return describe(d)


def _mask(x: Variable) -> str:
    return describe(x.inputs[0] if x.op is fitting_mask else x)
