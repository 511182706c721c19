"""Cases of products."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from opcases import Case

RNG = np.random.default_rng(7)
DTYPES = ("bool", "int8", "uint8", "int64", "float32", "float64")


def t(*shape: int, dtype: str = "float64") -> np.ndarray:
    values = RNG.normal(size=shape) if dtype[0] == "f" else RNG.integers(0, 2 if dtype == "bool" else 4, shape)
    return np.asarray(values).astype(dtype)


def _batched(a: Any, b: Any) -> Any:
    dtype = np.result_type(a, b)
    rows = [np.multiply(x, y) if min(x.ndim, y.ndim) == 0 else _one(x, y) for x, y in zip(a, b, strict=True)]
    return np.array(rows, dtype)


def _one(x: Any, y: Any) -> Any:
    return np.tensordot(x, y, axes=[[x.ndim - 1], [0]])


def products() -> Iterator[Case]:
    shapes = [
        ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)),
        ((5, 2, 3), (5, 3, 4)), ((1, 2, 3), (5, 3, 4)), ((5, 1, 2, 3), (4, 3, 1)), ((3,), (5, 3, 4)), ((5, 2, 3), (3,)),
        ((0, 3), (3, 4)), ((2, 0), (0, 3)), ((2, 3), (3, 0)),
    ]  # fmt: skip
    for a, b in shapes:
        yield Case("matmul", (t(*a), t(*b)), np.matmul, ulps=8, grad=True)
        if not (len(a) > 2 and a[0] == 1):
            yield Case("dot", (t(*a), t(*b)), np.dot, ulps=8, grad=True)
    yield Case("matmul", (t(4, 2, 3), t(1, 3, 2)), np.matmul, ulps=8, grad=True)
    for x in DTYPES:
        for y in DTYPES:
            yield Case("matmul", (t(2, 3, dtype=x), t(3, 2, dtype=y)), np.matmul, ulps=8)
            yield Case("dot", (t(2, 3, dtype=x), t(3, dtype=y)), np.dot, ulps=8)
            yield Case("outer", (t(2, dtype=x), t(3, dtype=y)), np.outer)
            yield Case("tensordot", (t(2, 3, dtype=x), t(3, 2, dtype=y), 1), np.tensordot, ulps=8)
            yield Case("einsum", ("ij,jk->ik", t(2, 3, dtype=x), t(3, 2, dtype=y)), np.einsum, ulps=8)
            yield Case("batched_dot", (t(2, 2, 3, dtype=x), t(2, 3, 2, dtype=y)), _batched, ulps=8)
    yield Case("dot", (t(2, 3), 2.0), np.dot, grad=True)
    yield Case("dot", (np.array(2.0), t(2)), np.dot, grad=True)
    yield Case("inner", (t(2, 3), t(4, 3)), np.inner, ulps=8, grad=True)
    yield Case("inner", (t(3), t(3)), np.inner, ulps=8, grad=True)
    yield Case("inner", (t(3), 2.0), np.inner, grad=True)
    yield Case("vdot", (t(2, 3), t(3, 2)), np.vdot, ulps=8, grad=True)
    yield Case("outer", (t(2, 2), t(3)), np.outer, grad=True)
    for a, b, axes in (
        ((2, 3, 4), (3, 4, 5), 2), ((2, 3), (4, 5), 0), ((2, 3, 4), (4, 3), [[1, 2], [1, 0]]),
        ((2, 3, 4), (5, 4), [[-1], [-1]]), ((3,), (3,), 1), ((2, 3, 4), (2, 3, 4), 3), ((0, 3), (3, 2), 1),
        ((2, 3), (5, 3), (1, 1)),
    ):  # fmt: skip
        yield Case("tensordot", (t(*a), t(*b), axes), np.tensordot, ulps=8, grad=True)
    for a, b in (
        ((4, 2, 3), (4, 3, 5)),
        ((4, 3), (4, 3)),
        ((4, 2, 3), (4, 3)),
        ((4, 3), (4, 3, 2)),
        ((4,), (4, 2)),
        ((4, 2), (4,)),
        ((4,), (4,)),
        ((4, 2, 5, 3), (4, 3, 2)),
    ):
        yield Case("batched_dot", (t(*a), t(*b)), _batched, ulps=8, grad=True)
    yield Case("kron", (t(2, 3), t(3, 2)), np.kron, grad=True)
    for offset in (0, 1, -1):
        yield Case("trace", (t(3, 4), offset), np.trace, ulps=8, grad=True)
    yield Case("trace", (t(3, 4, 2), 0, 2, 1), np.trace, ulps=8, grad=True)
    yield Case("trace", (t(3, 3, dtype="int8"),), np.trace)


def einsums() -> Iterator[Case]:
    cases: list[tuple[str, list[tuple[int, ...]]]] = [
        ("ij,jk", [(2, 3), (3, 4)]), ("ij,jk->ki", [(2, 3), (3, 4)]), ("ii", [(3, 3)]), ("ii->i", [(3, 3)]),
        ("ij->j", [(2, 3)]), ("ij->", [(2, 3)]), ("ij->ji", [(2, 3)]), ("ji", [(2, 3)]), ("i,j->ij", [(2,), (3,)]),
        ("i,i", [(3,), (3,)]), ("ij,ij->i", [(2, 3), (2, 3)]), ("bij,bjk->bik", [(4, 2, 3), (4, 3, 2)]),
        ("ij,jk,kl->il", [(2, 3), (3, 4), (4, 2)]), ("ij,kl->", [(2, 3), (2, 2)]),
        ("...ij,jk->...ik", [(4, 2, 3), (3, 2)]),
        ("...i,...i->...", [(2, 3), (2, 3)]), ("iij,j->i", [(2, 2, 3), (3,)]), ("ijk,k", [(2, 3, 4), (4,)]),
        ("i...->...", [(2, 3)]), ("ab,ab,ab->b", [(2, 3)] * 3), (",i->i", [(), (3,)]), ("zx,xy", [(2, 3), (3, 4)]),
        ("ij,ik->ijk", [(2, 3), (2, 4)]), ("Ab,bC->AC", [(2, 3), (3, 2)]), ("ij,j->i", [(0, 3), (3,)]),
        ("ij , jk -> ik", [(2, 3), (3, 2)]),
    ]  # fmt: skip
    for spec, shapes in cases:
        yield Case("einsum", (spec, *(t(*s) for s in shapes)), np.einsum, ulps=16, grad=True)


def all_cases() -> list[Case]:
    return [*products(), *einsums()]
