"""Backends that read and write the wrong elements."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from subtensor.graph.indexing import Index
from subtensor.graph.nodes import DISCONNECTED, OPS, call
from subtensor_conformance.known_bad.altered import Altered, Array, add, get, key_of, put, with_key
from subtensor_conformance.known_bad.catalogue import known_bad


def parts(change: Callable[[Any, int], Any]) -> Callable[[Any], Altered]:
    """A backend that changes the part of the index for each axis."""
    return lambda good: Altered(good, lower=with_key(change))


def arrays(change: Callable[[Array, int], Array]) -> Callable[[Any], Altered]:
    """A backend that changes the integer positions."""

    def part(part: Any, n: int) -> Any:
        return part if isinstance(part, slice) else change(np.asarray(part), n)

    return parts(part)


def slices(change: Callable[[slice, int], Any]) -> Callable[[Any], Altered]:
    """A backend that changes slices."""
    return parts(lambda part, n: change(part, n) if isinstance(part, slice) else part)


def writes(**lower: Callable[..., Any]) -> Callable[[Any], Altered]:
    return lambda good: Altered(good, lower={f"{k}_subtensor": f for k, f in lower.items()})


def _clamped(i: Array, n: int) -> Array:
    return np.clip(np.where(i < 0, i.astype(np.int64) + n, i.astype(np.int64)), 0, max(n - 1, 0))


def _modulo(i: Array, n: int) -> Array:
    return np.asarray([int(v) % max(n, 1) for v in i.ravel()], np.int64).reshape(i.shape)


def _narrow(i: Array, n: int) -> Array:
    return i.astype(np.int8) if i.dtype == np.uint8 else i


def _bare(s: slice, n: int) -> slice:
    """Without Python's meaning of negative bounds."""
    low = None if s.start is None else max(int(s.start), 0) if s.step is None or s.step > 0 else s.start
    high = None if s.stop is None else max(int(s.stop), 0) if s.step is None or s.step > 0 else s.stop
    return slice(low, high, s.step)


def _never_empty(s: slice, n: int) -> slice:
    chosen = range(*s.indices(n))
    return s if chosen or n == 0 else slice(min(chosen.start, n - 1), min(chosen.start, n - 1) + 1)


def _forwards(s: slice, n: int) -> slice:
    chosen = range(*s.indices(n))
    return slice(chosen[-1], chosen[0] + 1, -chosen.step) if chosen.step < 0 and chosen else s


def _longer(s: slice, n: int) -> slice:
    return slice(s.start, s.stop + 1, s.step) if s.stop is not None and s.stop > 0 and s.step in (None, 1) else s


def _dropping(write: Callable[..., Any]) -> Callable[..., Any]:
    def run(x: Array, y: Array, *inputs: Array, index: Index) -> Array:
        try:
            return write(x, y, *inputs, index=index)
        except IndexError:
            return np.array(x)

    return run


def _unmoved(x: Array, *inputs: Array, index: Index) -> Array:
    """Leaves the index dimensions where the first array stood."""
    result = get(x, *inputs, index=index)
    if index.adjacent:
        return result
    block = index.array_ndim([np.ndim(i) for i in inputs])
    first = index.arrays[0][0]
    at = len([a for a, _ in index.slices if a < first]) or 1
    return np.moveaxis(result, tuple(range(block)), tuple(range(at, at + block))) if result.ndim > block else result


def _added_once(x: Array, y: Array, *inputs: Array, index: Index) -> Array:
    result = np.array(x, order="C")
    result[(*key_of(index, inputs), Ellipsis)] += y
    return result


def _added_twice(x: Array, y: Array, *inputs: Array, index: Index) -> Array:
    return add(add(x, y, *inputs, index=index), y, *inputs, index=index)


def _first_wins(x: Array, y: Array, *inputs: Array, index: Index) -> Array:
    result = np.array(x, order="C")
    key = (*key_of(index, inputs), Ellipsis)
    places = np.arange(result.size).reshape(result.shape)[key]
    values = np.broadcast_to(y, places.shape)
    flat = result.reshape(-1)
    flat[places.ravel()[::-1]] = values.ravel()[::-1]
    return result


def _aligned_left(write: Callable[..., Any]) -> Callable[..., Any]:
    def run(x: Array, y: Array, *inputs: Array, index: Index) -> Array:
        target = get(x, *inputs, index=index).shape
        y = np.asarray(y)
        if 0 < y.ndim < len(target):
            y = np.resize(
                np.broadcast_to(y.reshape(y.shape + (1,) * (len(target) - y.ndim)), (*y.shape, *target[y.ndim :])),
                target,
            )
        return write(x, y, *inputs, index=index)

    return run


def _in_float32(x: Array, y: Array, *inputs: Array, index: Index) -> Array:
    if np.asarray(x).dtype != np.float64:
        return add(x, y, *inputs, index=index)
    return add(np.asarray(x).astype(np.float32), np.asarray(y).astype(np.float32), *inputs, index=index).astype(
        np.float64
    )


@contextmanager
def _vjp(name: str, rule: Callable[..., Any]) -> Iterator[None]:
    """Another gradient rule for an op."""
    op = OPS[name]
    before = op.vjp
    object.__setattr__(op, "vjp", rule)
    try:
        yield
    finally:
        object.__setattr__(op, "vjp", before)


def rule(name: str, change: Callable[..., Any]) -> Any:
    """A patch of a gradient rule: ``change(good, g, out, *inputs, index)``."""
    good = OPS[name].vjp

    def vjp(g: Any, out: Any, *inputs: Any, index: Any) -> Any:
        return change(good, g, out, *inputs, index=index)

    return lambda: _vjp(name, vjp)


def _unzeroed(good: Any, g: Any, out: Any, x: Any, y: Any, *ids: Any, index: Any) -> Any:
    return [g, *good(g, out, x, y, *ids, index=index)[1:]]


def _losers_kept(good: Any, g: Any, out: Any, x: Any, y: Any, *ids: Any, index: Any) -> Any:
    seen = OPS["subtensor"](g, *ids, index=index)
    return [good(g, out, x, y, *ids, index=index)[0], call("sum_to_shape_of", seen, y), *(DISCONNECTED for _ in ids)]


def _last_cotangent(good: Any, g: Any, out: Any, x: Any, *ids: Any, index: Any) -> Any:
    return [OPS["set_subtensor"](call("zeros_like", x), g, *ids, index=index), *(DISCONNECTED for _ in ids)]


def _value_forgotten(good: Any, g: Any, out: Any, x: Any, y: Any, *ids: Any, index: Any) -> Any:
    return [g, call("zeros_like", y), *(DISCONNECTED for _ in ids)]


def same(good: Any) -> Altered:
    return Altered(good)


def _columnwise(x: Array, *dims: int) -> Array:
    x = np.asarray(x)
    return x.reshape(dims, order="F" if x.dtype == bool and x.ndim > 1 else "C")


def _padded(mask: Array) -> Array:
    found = np.flatnonzero(mask)
    return np.concatenate([found, np.zeros(len(mask) - len(found), np.int64)])


known_bad(
    "negative-not-wrapped",
    "takes negative positions for 0",
    "get",
    "value",
    arrays(lambda i, n: np.maximum(i, 0)),
    "negative",
)
known_bad(
    "negative-step-ignored",
    "reads slices with a negative step forwards",
    "get",
    "value",
    slices(_forwards),
)
known_bad(
    "negative-bounds-not-wrapped",
    "takes negative bounds of slices for 0",
    "get",
    "value|shape",
    slices(_bare),
    "negative bound",
)
known_bad(
    "step-ignored",
    "takes every element of a slice with a step",
    "get",
    "value|shape",
    slices(lambda s, n: slice(s.start, s.stop) if s.step is not None and s.step > 1 else s),
)
known_bad(
    "empty-slice-gives-one", "selects one element where a slice is empty", "get", "shape", slices(_never_empty), "empty"
)
known_bad("slice-includes-stop", "includes the stop of a slice", "get", "shape", slices(_longer))
known_bad(
    "separated-arrays-misplaced",
    "leaves the axes of separated index arrays where they stood",
    "get",
    "value|shape",
    lambda good: Altered(good, lower={"subtensor": _unmoved}),
    "separated",
)
known_bad("uint8-positions-overflow", "reads uint8 positions as int8", "get", "value|error", arrays(_narrow), "narrow")
known_bad(
    "reads-next-element",
    "is off by one in arrays of positions",
    "get",
    "value",
    arrays(
        lambda i, n: i if i.ndim == 0 else (i.astype(np.int64) + 1) % max(n, 1) if ((i >= -n) & (i < n)).all() else i
    ),
)
known_bad("duplicates-lost", "adds repeated positions once", "inc", "value", writes(inc=_added_once), "duplicates")
known_bad("inc-sets", "writes where it should add", "inc", "value", writes(inc=put))
known_bad("inc-twice", "adds twice", "inc", "value", writes(inc=_added_twice))
known_bad("inc-in-float32", "accumulates float64 in float32", "inc", "value", writes(inc=_in_float32))
known_bad(
    "inc-value-aligned-left",
    "broadcasts values from the left",
    "inc",
    "value|error",
    writes(inc=_aligned_left(add)),
    "broadcast",
)
known_bad("set-adds", "adds where it should write", "set", "value", writes(set=add))
known_bad("set-first-wins", "keeps the first of several writes", "set", "value", writes(set=_first_wins), "duplicates")
known_bad(
    "set-value-aligned-left",
    "broadcasts values from the left",
    "set",
    "value|error",
    writes(set=_aligned_left(put)),
    "broadcast",
)
known_bad(
    "set-does-nothing", "returns the tensor as it was", "set", "value", writes(set=lambda x, y, *i, index: np.array(x))
)
known_bad(
    "out-of-bounds-clamped",
    "clamps positions, as XLA does",
    "errors",
    "error",
    arrays(_clamped),
    "out of bounds|at the call",
)
known_bad(
    "out-of-bounds-wrapped",
    "wraps positions around more than once",
    "errors",
    "error",
    arrays(_modulo),
    "out of bounds|at the call",
)
known_bad(
    "out-of-bounds-dropped",
    "leaves out writes that are out of bounds",
    "errors",
    "error",
    writes(set=_dropping(put), inc=_dropping(add)),
    "out of bounds",
)
known_bad(
    "mask-transposed",
    "reads matrix masks column by column",
    "dynamic",
    "value",
    lambda good: Altered(good, lower={"reshape": _columnwise}),
    "matrix|mask",
)
known_bad(
    "mask-reversed",
    "gives the positions of a mask in descending order",
    "dynamic",
    "value",
    lambda good: Altered(good, lower={"flatnonzero": lambda m: np.flatnonzero(m)[::-1]}),
    "mask",
)
known_bad(
    "mask-padded",
    "pads the positions of a mask with zeros",
    "dynamic",
    "value|shape|error",
    lambda good: Altered(good, lower={"flatnonzero": _padded}),
    "mask",
)
known_bad(
    "mask-inverted",
    "selects where a mask is false",
    "dynamic",
    "value|shape|error",
    lambda good: Altered(good, lower={"flatnonzero": lambda m: np.flatnonzero(~m)}),
    "mask",
)
known_bad(
    "gradient-of-set-not-zeroed",
    "lets the gradient through where a table was overwritten",
    "gradient",
    "value",
    same,
    patch=rule("set_subtensor", _unzeroed),
)
known_bad(
    "gradient-of-losers-kept",
    "gives every write to an element its gradient",
    "gradient",
    "value",
    same,
    patch=rule("set_subtensor", _losers_kept),
)
known_bad(
    "gradient-of-duplicates-lost",
    "keeps one cotangent for each row",
    "gradient",
    "value",
    same,
    patch=rule("subtensor", _last_cotangent),
)
known_bad(
    "gradient-of-value-forgotten",
    "gives added values no gradient",
    "gradient",
    "value",
    same,
    patch=rule("inc_subtensor", _value_forgotten),
)
known_bad(
    "winners-forgotten",
    "takes every write for the last",
    "gradient",
    "value",
    lambda good: Altered(good, lower={"last_occurrence": lambda k: np.ones(len(k), bool)}),
)
known_bad(
    "forward-mode-loses-duplicates",
    "adds repeated positions once, in tangents too",
    "second",
    "value",
    writes(inc=_added_once),
)


# --- where there are many


def _first_checked(part: Any, n: int, first: int = 64) -> Any:
    """Positions beyond the first ones are clipped, not checked."""
    if not isinstance(part, np.ndarray) or part.size <= first:
        return part
    flat = part.ravel()
    rest = np.clip(flat[first:].astype(np.int64), -n, n - 1)
    return np.concatenate([flat[:first].astype(np.int64), rest]).reshape(part.shape)


def _few_added(x: Array, y: Array, *inputs: Array, index: Index) -> Array:
    """Of more than 100 ids, those that repeat count once."""
    if len(inputs) != 1 or np.size(inputs[0]) <= 100 or np.ndim(inputs[0]) != 1 or not index.selects_rows:
        return add(x, y, *inputs, index=index)
    result = np.array(x, order="C")
    _, first = np.unique(np.asarray(inputs[0]) % len(result), return_index=True)
    rows = np.broadcast_to(y, (len(inputs[0]), *result.shape[1:]))
    np.add.at(result, np.asarray(inputs[0])[first], rows[first])
    return result


known_bad(
    "bounds-of-the-first-64",
    "checks only the first 64 positions",
    "errors",
    "error",
    lambda good: Altered(good, lower=with_key(_first_checked)),
    "edges",
)
known_bad(
    "duplicates-lost-among-many",
    "adds one increment a row where there are more than 100 ids",
    "inc",
    "value",
    lambda good: Altered(good, lower={"inc_subtensor": _few_added}),
    "edges",
)
known_bad(
    "sets-in-reverse",
    "applies the writes of a commit in reverse",
    "update",
    "state",
    lambda good: Altered(
        good, program=lambda p: replace(p, commits=tuple(replace(c, writes=c.writes[::-1]) for c in p.commits))
    ),
)
