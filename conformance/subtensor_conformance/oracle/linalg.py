"""Sums of products: exact sums, rounded once."""

from __future__ import annotations

import math
from typing import Any

from subtensor_conformance.oracle.nodes import Node, public, together
from subtensor_conformance.oracle.values import Array, Number, broadcast, build, into, is_float, positions, stretched


def exact_sum(dtype: str, products: list[Number]) -> Number:
    if dtype == "bool":
        return any(products)
    if is_float(dtype):
        return math.fsum(products) if all(map(math.isfinite, products)) else sum(products)
    total = 0
    for p in products:
        total = int(into(dtype, total + p))
    return total


@public("einsum")
def einsum(spec: str, a: Any, b: Any) -> Node:
    terms, out = spec.split("->")
    term_a, term_b = terms.split(",")

    def run(a: Array, b: Array) -> Array:
        sizes = dict(zip(term_a, a.shape, strict=True)) | dict(zip(term_b, b.shape, strict=True))
        inner = sorted(set(term_a + term_b) - set(out))

        def element(p: tuple[int, ...]) -> Number:
            products = []
            for q in positions([sizes[c] for c in inner]):
                at = dict(zip(out, p, strict=True)) | dict(zip(inner, q, strict=True))
                products.append(a[[at[c] for c in term_a]] * b[[at[c] for c in term_b]])
            return exact_sum(a.dtype, products)

        return build(a.dtype, [sizes[c] for c in out], element)

    return together(run, (a, b), ("einsum", spec))


@public("matmul")
def matmul(a: Any, b: Any) -> Node:
    def run(a: Array, b: Array) -> Array:
        left = Array(a.dtype, (1, *a.shape), a.data) if len(a.shape) == 1 else a
        right = Array(b.dtype, (*b.shape, 1), b.data) if len(b.shape) == 1 else b
        lead = broadcast(left.shape[:-2], right.shape[:-2])
        left = stretched(left, (*lead, *left.shape[-2:]))
        right = stretched(right, (*lead, *right.shape[-2:]))
        n, inner, m = left.shape[-2], left.shape[-1], right.shape[-1]

        def element(p: tuple[int, ...]) -> Number:
            return exact_sum(a.dtype, [left[(*p[:-1], k)] * right[(*p[:-2], k, p[-1])] for k in range(inner)])

        out = build(a.dtype, (*lead, n, m), element)
        kept = (*lead, *((n,) if len(a.shape) > 1 else ()), *((m,) if len(b.shape) > 1 else ()))
        return Array(out.dtype, kept, out.data)

    return together(run, (a, b), "matmul")


@public("dot")
def dot(a: Any, b: Any) -> Node:
    return matmul(a, b)


@public("outer")
def outer(a: Any, b: Any) -> Node:
    return einsum("i,j->ij", a, b)


@public("tensordot")
def tensordot(a: Any, b: Any, axes: list[list[int]]) -> Node:
    over_a, over_b = axes

    def run(a: Array, b: Array) -> Array:
        free_a = [i for i in range(len(a.shape)) if i not in over_a]
        free_b = [i for i in range(len(b.shape)) if i not in over_b]

        def element(p: tuple[int, ...]) -> Number:
            products = []
            for q in positions([a.shape[i] for i in over_a]):
                at_a = dict(zip(free_a, p, strict=False)) | dict(zip(over_a, q, strict=True))
                at_b = dict(zip(free_b, p[len(free_a) :], strict=True)) | dict(zip(over_b, q, strict=True))
                products.append(a[[at_a[i] for i in range(len(a.shape))]] * b[[at_b[i] for i in range(len(b.shape))]])
            return exact_sum(a.dtype, products)

        return build(a.dtype, [a.shape[i] for i in free_a] + [b.shape[i] for i in free_b], element)

    return together(run, (a, b), ("tensordot", repr(axes)))
