"""Cheap forms: what says nothing is left out, scalars are computed at once, broadcasts happen as late as they can."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from subtensor.graph.indexing import FULL, At, Part, Ref
from subtensor.graph.nodes import OPS, Constant, Variable, call, constant_node
from subtensor.graph.types import is_discrete, is_float
from subtensor.ops.shape import broadcast_to_dims, length, lengths
from subtensor.ops.subtensor import get_op
from subtensor.rewrites.axes import Inputs, renumbered, taken_by
from subtensor.rewrites.engine import rule
from subtensor.rewrites.facts import cannot_fail, is_nonnegative, never_minus_zero
from subtensor.rewrites.patterns import P, equation, letters
from subtensor.rewrites.shapes import (
    fits_within,
    has_lengths,
    is_elementwise,
    is_single,
    length_of,
    same_length,
    uniform,
)
from subtensor.rewrites.uses import Uses

CANONICAL = ("canonical",)
ELEMENTWISE = tuple(name for name, op in OPS.items() if op.dims is OPS["add"].dims)
_broadcast_to = OPS["broadcast_to"]
x, y = letters("x y")

equation("negate_twice", P.neg(-x), x, tags=CANONICAL)
equation("invert_twice", P.invert(P.invert(x)), x, tags=CANONICAL)
equation("times_minus_one", x * -1, -x, tags=CANONICAL)
equation("add_negated", x + (-y), x - y, tags=CANONICAL)
equation("subtract_negated", x - (-y), x + y, tags=CANONICAL)


@rule("full_slice", "x[:] = x", ["subtensor"], tags=CANONICAL, when="also x[0:n] of an axis of length n")
def _full_slice(node: Variable) -> Variable | None:
    x, *inputs = node.inputs
    given = node.params["index"].parts
    parts = [FULL if _takes_all(p, x, axis, inputs) else p for axis, p in enumerate(given)]
    if all(p == FULL for p in parts):
        return x
    if tuple(parts) == given:
        return None
    index, used = renumbered(parts, inputs)
    return get_op(x, *used, index=index)


def _takes_all(part: Part, x: Variable, axis: int, inputs: Inputs) -> bool:
    """Whether a part of an index is a slice that takes a whole axis, as it is."""
    if isinstance(part, At):
        return False
    n = x.type.shape[axis]
    if not part.refs:
        return part.is_full or (n is not None and taken_by(part, range(n)) == range(n))
    stop = part.stop
    forward = part.start in (None, 0) and part.step in (None, 1)
    return forward and isinstance(stop, Ref) and inputs[stop.slot] is length(x, axis)


@rule("identities", "f(x) = x", ["disconnected_grad", "zero_grad", "grad_clip", "grad_scale", "virtual_axis",
                     "virtual_flat"],
      tags=CANONICAL,
      when="f changes only gradients, which exist already, or rearranges x under another name")  # fmt: skip
def _identities(node: Variable) -> Variable | None:
    assert node.op is not None
    assert node.op.expand is not None
    return node.op.expand(*node.inputs, **node.params)


def _is(value: float, node: Variable, other: Variable) -> bool:
    """Whether a node is copies of a number that do not stretch `other`."""
    scalar = uniform(node)
    return scalar is not None and scalar.data == value and fits_within(node, other) and cannot_fail(node)


@rule("times_one", "x * 1 = x", ["multiply"], tags=CANONICAL, when="the ones do not stretch x")
def _times_one(node: Variable) -> Variable | None:
    for a, b in (node.inputs, node.inputs[::-1]):
        if _is(1, b, a):
            return a
    return None


@rule("times_ones", "x * broadcast_to(1, N) = broadcast_to(x, N)", ["multiply"], tags=CANONICAL,
      when="N are the lengths of an elementwise expression of x")  # fmt: skip
def _times_ones(node: Variable) -> Variable | None:
    for x, ones in (node.inputs, node.inputs[::-1]):
        if ones.op is not _broadcast_to or x.ndim > ones.ndim:
            continue
        scalar = uniform(ones)
        if scalar is None or scalar.data != 1:
            continue
        dims = ones.inputs[1:]
        own = zip(x.type.shape, dims[ones.ndim - x.ndim :], range(ones.ndim - x.ndim, ones.ndim), strict=True)
        if all(n == 1 or (d.known is not None and n == int(d.known)) or _stretches(d, axis, x) for n, d, axis in own):
            return broadcast_to_dims(x, list(dims))
    return None


def _stretches(d: Variable, axis: int, x: Variable) -> bool:
    """Whether a length is that of an elementwise expression of x along an axis, to which x is broadcast."""
    if d.op is None or d.op.name != "length" or d.params["axis"] != axis:
        return False
    return is_elementwise(d.inputs[0]) and x in d.inputs[0].inputs


@rule("divide_by_one", "x / 1 = x", ["divide"], tags=CANONICAL, when="the ones do not stretch x")
def _divide_by_one(node: Variable) -> Variable | None:
    a, b = node.inputs
    return a if _is(1, b, a) else None


@rule("subtract_zero", "x - 0 = x", ["subtract"], tags=CANONICAL, when="the zeros do not stretch x")
def _subtract_zero(node: Variable) -> Variable | None:
    a, b = node.inputs
    return a if _is(0, b, a) and not np.signbit(_value(b)) else None


def _value(node: Variable) -> Any:
    scalar = uniform(node)
    assert scalar is not None
    return scalar.data if is_float(node.dtype) else 0


@rule("add_zero", "x + 0 = x", ["add"], tags=CANONICAL,
      when="the zeros do not stretch x; of floats: they are -0.0, or x surely has no -0.0")  # fmt: skip
def _add_zero(node: Variable) -> Variable | None:
    for a, b in (node.inputs, node.inputs[::-1]):
        if _is(0, b, a) and (np.signbit(_value(b)) or never_minus_zero(a)):
            return a
    return None


@rule(
    "cast_twice",
    "cast(cast(x, A), B) = cast(x, B)",
    ["cast"],
    tags=CANONICAL,
    when="x's dtype goes into A without loss",
)
def _cast_twice(node: Variable) -> Variable | None:
    inner = node.inputs[0]
    if inner.op is None or inner.op.name != "cast":
        return None
    source, between, target = inner.inputs[0].dtype, inner.dtype, node.dtype
    kinds = (is_float(source), is_float(between), is_float(target))
    if not np.can_cast(source, between, "safe") or len(set(kinds)) > 1:
        return None
    return call("cast", inner.inputs[0], target)


@rule("multiply_negated_constant", "-(x * c) = x * (-c)", ["neg"], tags=CANONICAL, when="c is a constant")
def _multiply_negated_constant(node: Variable) -> Variable | None:
    product = node.inputs[0]
    if product.op is None or product.op.name != "multiply":
        return None
    for a, b in (product.inputs, product.inputs[::-1]):
        if isinstance(b, Constant) and is_float(b.dtype):
            return OPS["multiply"](a, constant_node(np.negative(b.data)))
    return None


# --- constants: only what every backend computes to the same bit

EXACT: Mapping[str, Callable[..., Any]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "neg": np.negative,
    "abs": np.abs,
    "sign": np.sign,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "floor_divide": np.floor_divide,
    "mod": np.mod,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "less": np.less,
    "less_equal": np.less_equal,
    "equal": np.equal,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "invert": np.invert,
    "where": np.where,
}
_MOST_FOLDED = 64


@rule("fold_constants", "f(c, d) = its value", [*EXACT, "cast"], tags=CANONICAL,
      when="f is exact on every backend, and c and d are small constants")  # fmt: skip
def _fold_constants(node: Variable) -> Variable | None:
    if not all(isinstance(i, Constant) and i.data.size <= _MOST_FOLDED for i in node.inputs):
        return None
    assert node.op is not None
    values = [i.data for i in node.inputs if isinstance(i, Constant)]
    name = node.op.name
    with np.errstate(all="ignore"):
        if name == "cast":
            if is_float(values[0].dtype.name) and is_discrete(node.dtype):
                return None
            result = values[0].astype(node.dtype)
        else:
            result = np.asarray(EXACT[name](*values))
    return constant_node(result) if result.dtype == node.dtype and result.size <= _MOST_FOLDED else None


@rule("fold_constant_shapes", "f(c) = its value", ["expand_dims", "squeeze", "reshape", "transpose"], tags=CANONICAL,
      when="c is a small constant, and its new shape is known")  # fmt: skip
def _fold_constant_shapes(node: Variable) -> Variable | None:
    c = node.inputs[0]
    assert node.op is not None
    if not isinstance(c, Constant) or c.data.size > _MOST_FOLDED or None in node.type.shape:
        return None
    data = c.data.transpose(node.params["axes"]) if node.op.name == "transpose" else c.data
    return constant_node(data.reshape(node.type.shape))


@rule("fold_constant_reads", "c[i] = its value", ["subtensor"], tags=CANONICAL, when="c and i are small constants")
def _fold_constant_reads(node: Variable) -> Variable | None:
    if not all(isinstance(i, Constant) and i.data.size <= _MOST_FOLDED for i in node.inputs):
        return None
    table, *inputs = (i.data for i in node.inputs if isinstance(i, Constant))
    try:
        result = table[node.params["index"].key(inputs)]
    except (IndexError, ValueError):
        return None  # the call will raise
    return constant_node(np.asarray(result)) if result.size <= _MOST_FOLDED else None


# --- shapes


@rule("squeeze_expanded", "squeeze(expand_dims(x, A), A) = x", ["squeeze"], tags=CANONICAL)
def _squeeze_expanded(node: Variable) -> Variable | None:
    inner = node.inputs[0]
    same = inner.op is not None and inner.op.name == "expand_dims" and inner.params["axes"] == node.params["axes"]
    return inner.inputs[0] if same else None


@rule("expand_squeezed", "expand_dims(squeeze(x, A), A) = x", ["expand_dims"], tags=CANONICAL,
      when="the axes are known to have length 1")  # fmt: skip
def _expand_squeezed(node: Variable) -> Variable | None:
    inner = node.inputs[0]
    if inner.op is None or inner.op.name != "squeeze" or inner.params["axes"] != node.params["axes"]:
        return None
    source = inner.inputs[0]
    return source if all(source.type.shape[a] == 1 for a in node.params["axes"]) else None


@rule("transpose_twice", "transpose(transpose(x, A), B) = transpose(x, A[B])", ["transpose"], tags=CANONICAL)
def _transpose_twice(node: Variable) -> Variable | None:
    inner = node.inputs[0]
    axes = node.params["axes"]
    if axes == tuple(range(node.ndim)):
        return inner
    if inner.op is None or inner.op.name != "transpose":
        return None
    return call("transpose", inner.inputs[0], tuple(inner.params["axes"][a] for a in axes))


@rule("reshape_vector", "reshape(x, -1) = x", ["reshape"], tags=CANONICAL, when="x is a vector")
def _reshape_vector(node: Variable) -> Variable | None:
    x, *dims = node.inputs
    inferred = len(dims) == 1 and isinstance(dims[0], Constant) and int(dims[0].data) == -1
    return x if x.ndim == 1 and inferred else None


@rule("reshape_column", "reshape(x, (-1, 1)) = expand_dims(x, 1)", ["reshape"], tags=CANONICAL,
      when="x is a vector; also (1, -1), and its length for -1")  # fmt: skip
def _reshape_column(node: Variable) -> Variable | None:
    x, *dims = node.inputs
    if x.ndim != 1 or len(dims) != 2:
        return None
    for axis, (one, other) in enumerate((dims, dims[::-1])):
        inferred = other.known is not None and int(other.known) == -1
        if one.known is not None and int(one.known) == 1 and (inferred or other is length(x, 0)):
            return call("expand_dims", x, axis)
    return None


@rule("reshape_twice", "reshape(reshape(x, M), N) = reshape(x, N)", ["reshape"], tags=CANONICAL,
      when="all shapes are known")  # fmt: skip
def _reshape_twice(node: Variable) -> Variable | None:
    inner = node.inputs[0]
    if None in node.type.shape or None in inner.type.shape:
        return None
    if inner.type.shape == node.type.shape:
        return inner
    if inner.op is None or inner.op.name != "reshape" or None in inner.inputs[0].type.shape:
        return None
    return call("reshape", inner.inputs[0], node.type.shape)


# --- broadcasts


def _stripped(b: Variable, others: list[Variable]) -> Variable | None:
    """What was broadcast, where the broadcast is to lengths that another operand surely has anyway."""
    source, dims = b.inputs[0], b.inputs[1:]
    lead = len(dims) - source.ndim
    for axis in range(b.ndim):
        own = axis - lead
        if own >= 0 and source.type.shape[own] != 1:
            if not same_length(source, own, b, axis):
                return None
            continue
        if not any(o.ndim > axis and o.ndim == b.ndim and same_length(o, axis, b, axis) for o in others):
            return None
    return source


@rule("strip_broadcast", "f(broadcast_to(b, n), y) = f(b, y)", ELEMENTWISE, tags=(*CANONICAL, "broadcast"),
      when="f is elementwise, and y or b surely has each length anyway")  # fmt: skip
def _strip_broadcast(node: Variable) -> Variable | None:
    assert node.op is not None
    inputs = list(node.inputs)
    for k, i in enumerate(inputs):
        if i.op is not _broadcast_to or i.ndim != node.ndim:
            continue
        source = _stripped(i, inputs[:k] + inputs[k + 1 :])
        if source is None:
            continue
        new = node.op(*inputs[:k], source, *inputs[k + 1 :], **node.params)
        if new.ndim == node.ndim:
            return new
    return None


@rule("broadcast_last", "f(broadcast_to(a, n), broadcast_to(b, n)) = broadcast_to(f(a, b), n)", [*ELEMENTWISE, "cast"],
      tags=(*CANONICAL, "broadcast"),
      when="f is elementwise; other operands are scalars; one of a and b stretches no other")  # fmt: skip
def _broadcast_last(node: Variable) -> Variable | None:
    assert node.op is not None
    wide = [i for i in node.inputs if i.op is _broadcast_to]
    if not wide or any(i.inputs[1:] != wide[0].inputs[1:] for i in wide):
        return None
    if not all(i.op is _broadcast_to or (is_single(i) and i.ndim <= node.ndim) for i in node.inputs):
        return None
    sources = [i.inputs[0] if i.op is _broadcast_to else i for i in node.inputs]
    largest = max(sources, key=lambda s: (s.ndim, sum(d != 1 for d in s.type.shape)))
    if not all(s is largest or (fits_within(s, largest)) for s in sources) or largest.ndim > wide[0].ndim:
        return None
    return broadcast_to_dims(node.op(*sources, **node.params), list(wide[0].inputs[1:]))


@rule("broadcast_twice", "broadcast_to(broadcast_to(x, M), N) = broadcast_to(x, N)", ["broadcast_to"],
      tags=(*CANONICAL, "broadcast"), when="x surely fits M")  # fmt: skip
def _broadcast_twice(node: Variable) -> Variable | None:
    inner = node.inputs[0]
    if inner.op is _broadcast_to and cannot_fail(inner) and None not in node.type.shape:
        return broadcast_to_dims(inner.inputs[0], list(node.inputs[1:]))
    return inner if has_lengths(inner, node.inputs[1:]) else None


@rule("expand_broadcast", "expand_dims(broadcast_to(x, N), A) = broadcast_to(expand_dims(x, A), N with ones)",
      ["expand_dims"], tags=(*CANONICAL, "broadcast"), when="x is a scalar")  # fmt: skip
def _expand_broadcast(node: Variable) -> Variable | None:
    inner = node.inputs[0]
    if inner.op is not _broadcast_to or inner.inputs[0].ndim:
        return None
    dims = list(inner.inputs[1:])
    for a in node.params["axes"]:
        dims.insert(a, constant_node(np.asarray(1, np.int64)))
    return broadcast_to_dims(inner.inputs[0], dims)


@rule("sum_of_broadcast", "sum(broadcast_to(c, n)) = c * n", ["sum"], keeps="rounding", tags=(*CANONICAL, "broadcast"),
      when="c is a finite scalar constant; n surely is not negative")  # fmt: skip
def _sum_of_broadcast(node: Variable) -> Variable | None:
    inner = node.inputs[0]
    if inner.op is not _broadcast_to or node.ndim or not is_single(inner.inputs[0]):
        return None
    if not all(map(is_nonnegative, inner.inputs[1:])):
        return None
    c = uniform(inner)
    if c is None or not np.isfinite(c.data).all():
        return None
    count = call("cast", _product(inner), node.dtype)
    return OPS["multiply"](c, count)


def _product(x: Variable) -> Variable:
    total, *rest = lengths(x) or [constant_node(np.asarray(1, np.int64))]
    for d in rest:
        total = call("multiply", total, d)
    return total


@rule("sum_twice", "sum(sum(x, A), B) = sum(x, A and B)", ["sum"], keeps="rounding", tags=CANONICAL)
def _sum_twice(node: Variable) -> Variable | None:
    inner = node.inputs[0]
    if inner.op is None or inner.op.name != "sum":
        return None
    source = inner.inputs[0]
    left = [a for a in range(source.ndim) if a not in inner.params["axes"]]
    axes = sorted([*inner.params["axes"], *(left[a] for a in node.params["axes"])])
    return OPS["sum"](source, axes=tuple(axes))


@rule("sum_of_one", "sum(expand_dims(x, A), A) = x", ["sum"], keeps="rounding", tags=CANONICAL)
def _sum_of_one(node: Variable) -> Variable | None:
    inner = node.inputs[0]
    same = inner.op is not None and inner.op.name == "expand_dims" and inner.params["axes"] == node.params["axes"]
    return inner.inputs[0] if same else None


@rule("where_same", "where(c, x, x) = x", ["where"], tags=CANONICAL, when="c cannot fail and does not stretch x")
def _where_same(node: Variable) -> Variable | None:
    c, a, b = node.inputs
    return a if a is b and fits_within(c, a) and cannot_fail(c) else None


@rule("equal_same", "x == x = True", ["equal"], tags=CANONICAL, when="x is of integers or booleans, and cannot fail")
def _equal_same(node: Variable) -> Variable | None:
    x, y = node.inputs
    if x is not y or not is_discrete(x.dtype) or not cannot_fail(x):
        return None
    return broadcast_to_dims(constant_node(np.asarray(True)), lengths(x))


@rule("known_length", "length(f(x, y), A) = length(x, A')", ["length"], tags=CANONICAL,
      when="x and y surely have one length there; f is elementwise, or a read at x and y, and cannot fail")  # fmt: skip
def _known_length(node: Variable) -> Variable | None:
    found = length_of(node.inputs[0], node.params["axis"])
    return None if found is node or not cannot_fail(node.inputs[0]) else found


@rule("length_of_nonzero", "length(flatnonzero(m)) = sum(m)", ["length"], tags=("masks",), counted=True,
      when="flatnonzero(m) is needed only for its length")  # fmt: skip
def _length_of_nonzero(node: Variable, uses: Uses) -> Variable | None:
    source = node.inputs[0]
    if source.op is None or source.op.name != "flatnonzero" or not uses.only_for_lengths(source):
        return None
    return OPS["sum"](call("cast", source.inputs[0], "int64"), axes=(0,))
