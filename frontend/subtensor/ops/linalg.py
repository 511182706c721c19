"""Products of tensors: ``matmul`` and a binary ``einsum`` are core; ``dot``, ``tensordot`` and others expand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from subtensor.errors import DTypeError, ShapeError, counted
from subtensor.graph.constants import as_tensor, promoted
from subtensor.graph.cost import Cost
from subtensor.graph.nodes import Argument, Cotangent, Length, Variable, axis_label, call, define
from subtensor.graph.operators import public
from subtensor.graph.types import Dim, TensorType, broadcast_shapes, listed_axes, normalize_axes, normalize_axis
from subtensor.ops.selection import diagonal_of
from subtensor.ops.shape import (
    checked_length,
    common_length,
    expand_dims,
    expand_right,
    length,
    product,
    reshape,
    squeeze,
    swapaxes,
)

# --- matmul: both operands have at least two axes


def _matmul_infer(a: Argument, b: Argument) -> TensorType:
    (*lead_a, n, k), (*lead_b, k2, m) = a.type.shape, b.type.shape
    if k is not None and k2 is not None and k != k2:
        raise ShapeError(
            f"matmul: {axis_label(a, a.type.ndim - 1)} is {k}, {axis_label(b, b.type.ndim - 2)} is {k2}; expected equal"
        )
    lead = broadcast_shapes("matmul", [tuple(lead_a), tuple(lead_b)], lambda: [a.label, b.label])
    return a.type.with_shape((*lead, n, m))


def _matmul_vjp(g: Variable, out: Variable, a: Variable, b: Variable) -> list[Cotangent]:
    return [
        _sum_batches(_matmul(g, swapaxes(b, -1, -2)), a),
        _sum_batches(_matmul(swapaxes(a, -1, -2), g), b),
    ]


def _sum_batches(g: Variable, like: Variable) -> Variable:
    """Sum over the leading axes along which an operand was broadcast."""
    return g if g.ndim == 2 else call("sum_to_shape_of", g, like)


def _matmul_dims(axis: int, a: Variable, b: Variable) -> Length:
    ndim = max(a.ndim, b.ndim)
    if axis == ndim - 1:
        return b, b.ndim - 1
    if axis == ndim - 2:
        return a, a.ndim - 2
    if a.ndim == 2 or b.ndim == 2:
        return (b, axis) if a.ndim == 2 else (a, axis)
    return None


_matmul = define(
    "matmul",
    infer=_matmul_infer,
    vjp=_matmul_vjp,
    dims=_matmul_dims,
    fresh=True,
    cost=Cost(computes="1.5 * out.size * a.shape[-1]"),  # multiplying and adding are one, several at a time
)


@public
def matmul(a: Any, b: Any) -> Variable:
    """``a @ b``, as ``numpy.matmul``: vectors gain an axis and lose it again, leading axes broadcast."""
    a, b = promoted("matmul", a, b)
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError(f"matmul: {(a if a.ndim == 0 else b).label} is a scalar; use * instead")
    left = expand_dims(a, 0) if a.ndim == 1 else a
    right = expand_dims(b, 1) if b.ndim == 1 else b
    out = _matmul(left, right)
    drop = [axis for axis, vector in ((out.ndim - 2, a.ndim == 1), (out.ndim - 1, b.ndim == 1)) if vector]
    return squeeze(out, drop) if drop else out


@public
def dot(a: Any, b: Any) -> Variable:
    """``numpy.dot``: products of scalars, inner products of vectors, matrix products; else sums over the last axis of
    a and the second to last of b.
    """
    a, b = promoted("dot", a, b)
    if a.ndim == 0 or b.ndim == 0:
        return call("multiply", a, b)
    if a.ndim <= 2 and b.ndim <= 2:
        return matmul(a, b)
    return _contracted("dot", a, b, [a.ndim - 1], [max(b.ndim - 2, 0)])


@public
def inner(a: Any, b: Any) -> Variable:
    """The sum of products over the last axes."""
    a, b = promoted("inner", a, b)
    if a.ndim == 0 or b.ndim == 0:
        return call("multiply", a, b)
    return _contracted("inner", a, b, [a.ndim - 1], [b.ndim - 1])


@public
def vdot(a: Any, b: Any) -> Variable:
    """The inner product of the flattened tensors. Raises ShapeError where they have not as many elements."""
    a, b = (call("flatten", x) for x in promoted("vdot", a, b))
    return _contracted("vdot", a, b, [0], [0])


@public
def vecdot(x1: Any, x2: Any, axis: int = -1) -> Variable:
    """Inner products along one axis of two tensors, whose other axes broadcast, as ``numpy.vecdot``."""
    a, b = (call("moveaxis", x, axis, -1) for x in promoted("vecdot", x1, x2))
    return squeeze(matmul(expand_dims(a, a.ndim - 1), expand_dims(b, b.ndim)), (-2, -1))


@public
def matvec(x1: Any, x2: Any) -> Variable:
    """Products of matrices with vectors, x1 (…, m, n) and x2 (…, n), as ``numpy.matvec``."""
    b = as_tensor(x2)
    return squeeze(matmul(x1, expand_dims(b, b.ndim)), -1)


@public
def vecmat(x1: Any, x2: Any) -> Variable:
    """Products of vectors with matrices, x1 (…, n) and x2 (…, n, m), as ``numpy.vecmat``."""
    a = as_tensor(x1)
    return squeeze(matmul(expand_dims(a, a.ndim - 1), x2), -2)


@public
def outer(a: Any, b: Any) -> Variable:
    """The products of all elements of a with all of b: (a.size, b.size)."""
    a, b = promoted("outer", a, b)
    return expand_dims(reshape(a, (-1,)), 1) * reshape(b, (-1,))


@public
def batched_dot(a: Any, b: Any) -> Variable:
    """``dot`` item by item of two batches: a (n, …, k), b (n, …, k, m), or b (n, k); sums over k."""
    a, b = promoted("batched_dot", a, b)
    if a.ndim == 0 or b.ndim == 0:
        raise ShapeError("batched_dot: a scalar has no batch axis; expected at least one axis")
    if a.ndim == 1 or b.ndim == 1:
        return call("multiply", expand_right(a, b.ndim), expand_right(b, a.ndim))
    return _batched_sums(a, b, [a.ndim - 1], [max(1, b.ndim - 2)])


@public
def batched_tensordot(a: Any, b: Any, axes: Any = 2) -> Variable:
    """``tensordot`` item by item of two batches: a (n, …), b (n, …).

    axes: a number (the last of a with the first of b after the batch), or two lists of axes, counted with the batch's,
    which is 0 and may not be among them. Raises ShapeError for axes that are not there or not as many.
    """
    a, b = promoted("batched_tensordot", a, b)
    if isinstance(axes, int):
        if not 0 <= axes < min(a.ndim, b.ndim):
            raise ShapeError(
                f"batched_tensordot: axes={axes} for operands with {a.ndim} and {b.ndim} axes; "
                "expected 0 or more, and less than both: the first axis is the batch"
            )
        return _batched_sums(a, b, list(range(a.ndim - axes, a.ndim)), list(range(1, axes + 1)))
    left, right = _axis_pairs("batched_tensordot", a, b, axes)
    if 0 in left or 0 in right:
        raise ShapeError(f"batched_tensordot: axes={axes}; expected axes other than 0, the batch")
    return _batched_sums(a, b, left, right)


def _batched_sums(a: Variable, b: Variable, left: list[int], right: list[int]) -> Variable:
    """Sums of products over pairs of axes, item by item along the first axis of both."""
    names = iter("abcdefghijklmnopqrstuvwxy")
    of_a = ["z", *(next(names) for _ in range(a.ndim - 1))]
    of_b = [of_a[left[right.index(i)]] if i in right else next(names) for i in range(b.ndim)]
    of_b[0] = "z"
    kept = [c for i, c in enumerate(of_a) if i not in left] + [c for i, c in enumerate(of_b) if i and i not in right]
    return einsum(f"{''.join(of_a)},{''.join(of_b)}->{''.join(kept)}", a, b)


@public
def tensordot(a: Any, b: Any, axes: Any = 2) -> Variable:
    """Sums of products over `axes`: a number (the last of a with the first of b), or two lists of axes."""
    a, b = promoted("tensordot", a, b)
    if isinstance(axes, int):
        if not 0 <= axes <= min(a.ndim, b.ndim):
            raise ShapeError(
                f"tensordot: axes={axes} for operands with {a.ndim} and {b.ndim} axes; "
                f"expected 0 to {min(a.ndim, b.ndim)}"
            )
        over_a, over_b = list(range(a.ndim - axes, a.ndim)), list(range(axes))
    else:
        over_a, over_b = _axis_pairs("tensordot", a, b, axes)
    return _contracted("tensordot", a, b, over_a, over_b)


def _axis_pairs(where: str, a: Variable, b: Variable, axes: Any) -> tuple[list[int], list[int]]:
    """Axes of a and axes of b, of which each pair is summed over."""
    given = list(axes)
    if len(given) != 2:
        raise ShapeError(f"{where}: axes={axes!r}; expected a number, or two lists of axes")
    left, right = (
        [normalize_axis(i, x.ndim, where) for i in listed_axes(each)] for each, x in zip(given, (a, b), strict=True)
    )
    for each, x in ((left, a), (right, b)):
        normalize_axes(each, x.ndim, where)
    if len(left) != len(right):
        raise ShapeError(f"{where}: {counted(len(left), 'axis')} of a against {len(right)} of b; expected equal")
    return left, right


def _contracted(where: str, a: Variable, b: Variable, over_a: list[int], over_b: list[int]) -> Variable:
    """Sums of products over pairs of axes, as one product of matrices."""
    free_a = [i for i in range(a.ndim) if i not in over_a]
    free_b = [i for i in range(b.ndim) if i not in over_b]
    dims = [length(a, i) for i in free_a] + [length(b, i) for i in free_b]
    summed = product(common_length(where, a, i, b, j) for i, j in zip(over_a, over_b, strict=True))
    left = reshape(call("transpose", a, free_a + over_a), [_size(a, free_a), summed])
    right = reshape(call("transpose", b, over_b + free_b), [summed, _size(b, free_b)])
    return reshape(_matmul(left, right), dims)


def _size(x: Variable, axes: Sequence[int]) -> Variable:
    return product(length(x, axis) for axis in axes)


# --- einsum: the core op is binary, and every label stands in at least two of its three terms


def _einsum_parts(spec: str) -> tuple[str, str, str]:
    terms, out = spec.split("->")
    a, b = terms.split(",")
    return a, b, out


def _einsum_infer(a: Argument, b: Argument, spec: str) -> TensorType:
    term_a, term_b, out = _einsum_parts(spec)
    sizes: dict[str, tuple[Dim, str]] = {}
    for term, x in ((term_a, a), (term_b, b)):
        for letter, d in zip(term, x.type.shape, strict=True):
            known, label = sizes.get(letter, (None, x.label))
            if known is not None and d is not None and known != d:
                raise ShapeError(
                    f"einsum: {spec!r}: axis {letter!r} is {known} in {label}, {d} in {x.label}; expected equal"
                )
            sizes[letter] = (d, x.label) if known is None else (known, label)
    return a.type.with_shape(sizes[letter][0] for letter in out)


def _einsum_vjp(g: Variable, out: Variable, a: Variable, b: Variable, spec: str) -> list[Cotangent]:
    term_a, term_b, term_out = _einsum_parts(spec)
    return [
        _einsum(g, b, spec=f"{term_out},{term_b}->{term_a}"),
        _einsum(g, a, spec=f"{term_out},{term_a}->{term_b}"),
    ]


def _einsum_dims(axis: int, a: Variable, b: Variable, spec: str) -> Length:
    term_a, term_b, out = _einsum_parts(spec)
    letter = out[axis]
    return (a, term_a.index(letter)) if letter in term_a else (b, term_b.index(letter))


_einsum = define("einsum", infer=_einsum_infer, vjp=_einsum_vjp, dims=_einsum_dims, fresh=True)


@public
def einsum(subscripts: str, *operands: Any, optimize: Any = None) -> Variable:
    """Sums of products in Einstein's notation, as ``numpy.einsum`` with a subscripts string.

    Repeated labels within an operand take its diagonal; ``...`` stands for leading axes, of equal length in all
    operands. Raises ShapeError for a malformed string and for lengths that differ, those of a repeated label included:
    while the graph is built, or at the call where only that shows the lengths.
    """
    nodes = promoted("einsum", *operands)
    terms, out = _einsum_terms(subscripts, nodes)
    pairs = [
        _einsum_single(subscripts, term, x, out + "".join(terms[:i] + terms[i + 1 :]))
        for i, (term, x) in enumerate(zip(terms, nodes, strict=True))
    ]
    while len(pairs) > 1:
        (ta, a), (tb, b), *rest = pairs
        needed = set(out).union(*(t for t, _ in rest))
        kept = "".join(dict.fromkeys(c for c in ta + tb if c in needed))
        ta, a = _drop(ta, a, set(tb) | set(kept))
        tb, b = _drop(tb, b, set(ta) | set(kept))
        pairs = [(kept, _einsum(a, b, spec=_plain(f"{ta},{tb}->{kept}"))), *rest]
    term, x = pairs[0]
    term, x = _drop(term, x, set(out))
    return call("transpose", x, [term.index(c) for c in out])


def _plain(spec: str) -> str:
    """A contraction with its labels renamed ``a, b, …`` in order of appearance."""
    labels = dict.fromkeys(c for c in spec if c.isalpha())
    return spec.translate(
        {ord(c): "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[i] for i, c in enumerate(labels)}
    )


def _einsum_terms(subscripts: str, nodes: Sequence[Variable]) -> tuple[list[str], str]:
    """The term of each operand and of the output, with ``...`` written out in capitals not used elsewhere."""
    if not isinstance(subscripts, str):
        raise DTypeError(f"einsum: got {subscripts!r} for the subscripts; expected a string such as 'ij,jk->ik'")
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(nodes):
        raise ShapeError(f"einsum: {subscripts!r} has {counted(len(terms), 'term')} for {len(nodes)} operands")
    used = {c for c in text if c.isalpha()}
    spare = [c for c in map(chr, range(0x03B1, 0x03C9)) if c not in used]
    extra = 0
    written = []
    for given, x in zip(terms, nodes, strict=True):
        term = given
        if "..." in term:
            n = x.ndim - len(term) + 3
            extra = max(extra, n)
            term = term.replace("...", "".join(spare[:n][::-1]))
        if not all(c.isalpha() for c in term) or len(term) != x.ndim:
            raise ShapeError(
                f"einsum: the term {term!r} of {subscripts!r} does not fit {x!r} with {x.ndim} axes; "
                "expected a letter for each axis"
            )
        written.append(term)
    ellipsis = "".join(spare[:extra][::-1])
    if arrow:
        out = right.replace("...", ellipsis)
    else:
        joined = "".join(written)
        out = ellipsis + "".join(sorted(c for c in set(joined) if joined.count(c) == 1 and c not in ellipsis))
    if len(set(out)) != len(out) or not set(out) <= set("".join(written)):
        raise ShapeError(f"einsum: the output {out!r} of {subscripts!r} must name labels of the operands, each once")
    return written, out


def _einsum_single(subscripts: str, term: str, x: Variable, elsewhere: str) -> tuple[str, Variable]:
    """An operand with its repeated labels taken along the diagonal and its private ones summed."""
    label = x.label
    for letter in dict.fromkeys(term):
        while term.count(letter) > 1:
            i, j = _first_two(term, letter)
            x = diagonal_of(x, (i, j), _common_length(subscripts, letter, label, length(x, i), length(x, j)))
            term = "".join(c for k, c in enumerate(term) if k not in (i, j)) + letter
    return _drop(term, x, set(elsewhere))


def _common_length(subscripts: str, letter: str, label: str, m: Variable, n: Variable) -> Variable:
    """The length of two axes of an operand that have one label; raises ShapeError where it differs."""
    if m is n:
        return m
    where = f"einsum: {subscripts!r}: axes {letter!r} of {label}"

    def refusal(less: int, more: int) -> str:
        return f"{where} have lengths {less} and {more}; expected equal: slice the longer axis first"

    if m.known is not None and n.known is not None:
        raise ShapeError(refusal(*sorted((int(m.known), int(n.known)))))
    return checked_length(call("minimum", m, n), call("maximum", m, n), where, refusal)


def _first_two(term: str, letter: str) -> tuple[int, int]:
    i = term.index(letter)
    return i, term.index(letter, i + 1)


def _drop(term: str, x: Variable, needed: set[str]) -> tuple[str, Variable]:
    """Sum over the axes whose labels nobody needs."""
    axes = [i for i, c in enumerate(term) if c not in needed]
    if not axes:
        return term, x
    return "".join(c for c in term if c in needed), call("sum", x, axes, x.dtype)


@public
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Variable:
    """The sum along a diagonal."""
    d = call("diagonal", x, offset, axis1, axis2)
    return call("sum", d, d.ndim - 1)


@public
def kron(a: Any, b: Any) -> Variable:
    """The Kronecker product of two matrices."""
    a, b = promoted("kron", a, b)
    if a.ndim != 2 or b.ndim != 2:
        raise ShapeError(f"kron: got {a.ndim} and {b.ndim} axes; expected two matrices")
    wide = expand_dims(a, (1, 3)) * expand_dims(b, (0, 2))
    dims = [length(a, i) * length(b, i) for i in range(2)]
    return reshape(wide, dims)
