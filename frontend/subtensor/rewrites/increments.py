"""From the whole table to rows: what is linear in zeros with increments acts on the increments alone.

The gradient of a read is zeros with an increment, ``inc(0, y, i)``. The rules here carry scaling, sums, casts and
rearrangements into the increments, until what is added to a table is again a chain of increments: of the table itself.
So ``W - lr * grad(cost, W)`` becomes ``inc(W, -(lr * y), i)``. Written ``inc(0, y, i)`` below, a node may hold several
increments, each of which is treated alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from subtensor.graph.constants import constant
from subtensor.graph.indexing import FULL, At, Index
from subtensor.graph.nodes import OPS, Variable, call
from subtensor.graph.types import is_float
from subtensor.ops.shape import broadcast_to_dims, length, lengths, reshape
from subtensor.ops.subtensor import get_op, inc_op
from subtensor.rewrites.axes import layout, read_broadcast, rearranged, renumbered, together, transposed, wide_index
from subtensor.rewrites.engine import rule
from subtensor.rewrites.facts import never_minus_zero, selects_pairs
from subtensor.rewrites.shapes import fits_within, increments, is_increments, is_zeros, same_length, same_shape

ROWS = ("rows",)
_multiply, _divide = OPS["multiply"], OPS["divide"]


def _each(chain: Variable, base: Variable, change: Callable[[Variable, Variable], Variable]) -> Variable:
    """The increments of a chain on another base. change: (value, the increment) -> the new value."""
    for w in increments(chain)[1]:
        base = inc_op(base, change(w.inputs[1], w), *w.inputs[2:], index=w.params["index"])
    return base


def _zeros(chain: Variable) -> Variable:
    return increments(chain)[0]


@rule("scale_increments", "inc(0, y, i) * s = inc(0, y * s[i], i)", ["multiply"], keeps="finite", tags=ROWS,
      priced=True, when="s surely does not stretch the product")  # fmt: skip
def _scale_increments(node: Variable) -> Variable | None:
    for chain, s in (node.inputs, node.inputs[::-1]):
        if is_increments(chain) and fits_within(s, chain) and chain is not s:

            def scaled(y: Variable, w: Variable, s: Variable = s) -> Variable:
                factor = read_broadcast(s, w.ndim, w.params["index"], w.inputs[2:])
                return _multiply(y, factor)

            return _each(chain, _zeros(chain), scaled)
    return None


@rule("divide_increments", "inc(0, y, i) / s = inc(0, y / s[i], i)", ["divide"], keeps="finite", tags=ROWS, priced=True,
      when="s surely does not stretch the quotient")  # fmt: skip
def _divide_increments(node: Variable) -> Variable | None:
    chain, s = node.inputs
    if not is_increments(chain) or not fits_within(s, chain):
        return None

    def divided(y: Variable, w: Variable) -> Variable:
        return _divide(y, read_broadcast(s, w.ndim, w.params["index"], w.inputs[2:]))

    return _each(chain, _zeros(chain), divided)


@rule("negate_increments", "-inc(0, y, i) = inc(0, -y, i)", ["neg"], keeps="rounding", tags=ROWS, priced=True)
def _negate_increments(node: Variable) -> Variable | None:
    chain = node.inputs[0]
    return _each(chain, _zeros(chain), lambda y, _: call("neg", y)) if is_increments(chain) else None


@rule("cast_increments", "cast(inc(0, y, i), A) = inc(0, cast(y, A), i)", ["cast"], keeps="rounding", tags=ROWS,
      priced=True, when="between floats")  # fmt: skip
def _cast_increments(node: Variable) -> Variable | None:
    chain, dtype = node.inputs[0], node.dtype
    if not is_increments(chain) or not is_float(dtype) or not is_float(chain.dtype):
        return None
    zeros = broadcast_to_dims(constant(0, dtype=dtype), lengths(chain))
    return _each(chain, zeros, lambda y, _: call("cast", y, dtype))


@rule(
    "transpose_increments",
    "transpose(inc(0, y, i), A) = inc(0, transpose(y, A'), i[A])",
    ["transpose"],
    tags=ROWS,
    priced=True,
)
def _transpose_increments(node: Variable) -> Variable | None:
    chain, axes = node.inputs[0], node.params["axes"]
    if not is_increments(chain):
        return None
    zeros = _zeros(chain)
    result = broadcast_to_dims(constant(0, dtype=chain.dtype), [length(zeros, a) for a in axes])
    for w in increments(chain)[1]:
        index, inputs = w.params["index"], w.inputs[2:]
        new, used, want = transposed(index, inputs, axes)
        result = inc_op(result, rearranged(w.inputs[1], layout(index, inputs), want), *used, index=new)
    return result


@rule("reshape_increments", "reshape(inc(0, y, i), N) = inc(0, y', i')", ["reshape"], tags=ROWS, priced=True,
      when="rows that stay rows, or flat positions; shapes are known")  # fmt: skip
def _reshape_increments(node: Variable) -> Variable | None:
    chain = node.inputs[0]
    have, want = chain.type.shape, node.type.shape
    if not is_increments(chain) or not have or not want or None in have[1:] or None in want[1:]:
        return None
    dims = [d if n is None else constant(n) for d, n in zip(node.inputs[1:], want, strict=True)]  # one may be -1
    if any(d.known is not None and int(d.known) < 0 for d in dims):
        return None
    result = broadcast_to_dims(constant(0, dtype=chain.dtype), dims)
    if result.type.shape != want:
        return None
    for w in increments(chain)[1]:
        made = _reshaped_rows(result, w)
        made = _reshaped_flat(result, w) if made is None else made
        if made is None:
            return None
        result = made
    return result


def _reshaped_rows(result: Variable, w: Variable) -> Variable | None:
    """An increment of whole rows, where rows stay rows."""
    index: Index = w.params["index"]
    ids = w.inputs[2:]
    known = w.type.shape[0] is not None and w.type.shape[0] == result.type.shape[0]
    if not (index.selects_rows and known and result.ndim):
        return None
    rows = ids[0]
    wide = broadcast_to_dims(w.inputs[1], [*lengths(rows), *lengths(w)[1:]])
    value = reshape(wide, [*lengths(rows), *lengths(result)[1:]])
    new, used = renumbered([At(0), *([FULL] * (result.ndim - 1))], ids)
    return inc_op(result, value, *used, index=new)


def _reshaped_flat(result: Variable, w: Variable) -> Variable | None:
    """An increment at flat positions, each of which becomes one for each axis: of its sign, out of range if it was."""
    index: Index = w.params["index"]
    if w.ndim != 1 or not index.arrays or None in result.type.shape or 0 in result.type.shape:
        return None
    ids = wide_index(w.inputs[2:][index.arrays[0][1]])
    if ids is None:
        return None
    positions = []
    rest = math.prod(d for d in result.type.shape if d is not None)
    for axis, d in enumerate(result.type.shape):
        assert d is not None
        outer, rest = rest, rest // d
        inside = ids if axis == 0 else call("mod", ids, outer)
        positions.append(inside if rest == 1 else call("floor_divide", inside, rest))
    new, used = renumbered([At(k) for k in range(result.ndim)], positions)
    return inc_op(result, w.inputs[1], *used, index=new)


@rule("add_increments", "x + inc(0, y, i) = inc(x, y, i)", ["add"], keeps="rounding", tags=ROWS, priced=True,
      when="both surely have one shape")  # fmt: skip
def _add_increments(node: Variable) -> Variable | None:
    a, b = node.inputs
    if not same_shape(a, b):
        return None
    both = is_increments(a), is_increments(b)
    if not any(both):
        return None
    if both[0] and (not both[1] or _count(b) > _count(a)):
        a, b = b, a  # the longer chain, or what is no chain, stays as it is
    return _each(b, a, lambda y, _: y)


def _count(chain: Variable) -> int:
    """How many increments there are, up to a few."""
    n = 0
    while chain.op is inc_op and n < _MANY:
        n += 1
        chain = chain.inputs[0]
    return n


_MANY = 16


@rule("subtract_increments", "x - inc(0, y, i) = inc(x, -y, i)", ["subtract"], keeps="rounding", tags=ROWS, priced=True,
      when="both surely have one shape")  # fmt: skip
def _subtract_increments(node: Variable) -> Variable | None:
    a, b = node.inputs
    if not same_shape(a, b) or not is_increments(b):
        return None
    return _each(b, a, lambda y, _: call("neg", y))


@rule("add_zeros", "x + 0 = x, x - 0 = x", ["add", "subtract"], tags=ROWS, priced=True,
      when="the zeros surely have x's shape, and the sign that keeps -0.0, or x surely has none")  # fmt: skip
def _add_zeros(node: Variable) -> Variable | None:
    a, b = node.inputs
    assert node.op is not None
    if not same_shape(a, b):
        return None
    if node.op.name == "subtract":
        return a if is_zeros(b) and (never_minus_zero(b) or never_minus_zero(a)) else None
    for x, zeros in ((a, b), (b, a)):
        if is_zeros(zeros) and (never_minus_zero(x) or _all_minus(zeros)):
            return x
    return None


def _all_minus(zeros: Variable) -> bool:
    source = zeros.inputs[0] if zeros.op is not None else zeros
    return source.known is not None and bool(np.signbit(source.known).all())


# --- products with zeros that hold rows, or elements

_matmul = OPS["matmul"]
_ROW, _COLUMN = Index((At(0), FULL)), Index((FULL, At(0)))


def _is_matrix_of(chain: Variable, fits: Callable[[Variable], bool]) -> bool:
    """Whether a node is a matrix of zeros with increments that all fit."""
    return is_increments(chain) and chain.ndim == 2 and all(map(fits, increments(chain)[1]))


def _writes_rows(w: Variable) -> bool:
    return w.params["index"].selects_rows and w.inputs[2].ndim == 1


def _writes_elements(w: Variable) -> bool:
    return selects_pairs(w.params["index"], w.inputs[2:])


def _rows_of(w: Variable) -> tuple[Variable, Variable]:
    """The positions (n,) and the values (n, k) of an increment of rows."""
    ids = w.inputs[2]
    return ids, broadcast_to_dims(w.inputs[1], [length(ids, 0), length(w, 1)])


@rule("increments_product", "inc(0, y, i) @ b = inc(0, y @ b, i)", ["matmul"], keeps="finite", tags=ROWS, priced=True,
      when="matrices; i selects rows")  # fmt: skip
def _increments_product(node: Variable) -> Variable | None:
    chain, b = node.inputs
    if node.ndim != 2 or not _is_matrix_of(chain, _writes_rows):
        return None

    def product(y: Variable, w: Variable) -> Variable:
        return _matmul(_rows_of(w)[1], b)

    return _each(chain, _zero_matrix(node), product)


def _zero_matrix(node: Variable) -> Variable:
    """Zeros of the shape of a product of matrices."""
    a, b = node.inputs
    return broadcast_to_dims(constant(0, dtype=node.dtype), [length(a, 0), length(b, 1)])


@rule("product_increments", "a @ inc(0, y, i) = a[:, i] @ y", ["matmul"], keeps="finite", tags=ROWS, priced=True,
      when="matrices; i selects rows, as many as a surely has columns")  # fmt: skip
def _product_increments(node: Variable) -> Variable | None:
    a, chain = node.inputs
    if node.ndim != 2 or not _is_matrix_of(chain, _writes_rows) or not same_length(a, 1, chain, 0):
        return None
    total: Variable | None = None
    for w in increments(chain)[1]:
        ids, y = _rows_of(w)
        part = _matmul(get_op(a, ids, index=_COLUMN), y)
        total = part if total is None else OPS["add"](total, part)
    return total


@rule("elements_product", "inc(0, y, (i, j)) @ b = inc(0, y * b[j], i)", ["matmul"], keeps="finite", tags=ROWS,
      priced=True,
      when="matrices; i and j select elements, of no grid; as many columns as b surely has rows")  # fmt: skip
def _elements_product(node: Variable) -> Variable | None:
    chain, b = node.inputs
    if node.ndim != 2 or not _is_matrix_of(chain, _writes_elements) or not same_length(chain, 1, b, 0):
        return None

    def row(i: Variable, j: Variable, y: Variable) -> tuple[Variable, Variable]:
        return _multiply(call("expand_dims", y, -1), get_op(b, j, index=_ROW)), i

    return _of_elements(node, chain, _ROW, row)


@rule("product_elements", "a @ inc(0, y, (i, j)) = inc(0, a[:, i] * y, (:, j))", ["matmul"], keeps="finite", tags=ROWS,
      priced=True,
      when="matrices; i and j select elements, of no grid; as many rows as a surely has columns")  # fmt: skip
def _product_elements(node: Variable) -> Variable | None:
    a, chain = node.inputs
    if node.ndim != 2 or not _is_matrix_of(chain, _writes_elements) or not same_length(a, 1, chain, 0):
        return None

    def column(i: Variable, j: Variable, y: Variable) -> tuple[Variable, Variable]:
        return _multiply(get_op(a, i, index=_COLUMN), y), j

    return _of_elements(node, chain, _COLUMN, column)


def _of_elements(
    node: Variable, chain: Variable, index: Index, made: Callable[..., tuple[Variable, Variable]]
) -> Variable:
    """A product with elements, `chain`, as increments at `index`.

    made: (rows, columns, values) -> (value, positions).
    """
    result = _zero_matrix(node)
    for w in increments(chain)[1]:
        value, positions = made(*together(w.params["index"], w.inputs[2:]), w.inputs[1])
        result = inc_op(result, value, positions, index=index)
    return result
