"""Random numbers, from the definitions of ``docs/random.md``: Philox-4x64-10 in Python's integers, and what is made of it."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from subtensor_conformance.oracle.nodes import Node, apply, as_node, constant
from subtensor_conformance.oracle.values import Array, Number, Shape, into, stretched

WORD = 1 << 64
TOTAL = 1 << 62
WIDTHS = {"uint8": 8, "uint16": 16, "uint32": 32, "uint64": 64}
UNIT = {"float16": ("uint16", 11), "float32": ("uint32", 24), "float64": ("uint64", 53)}


def block(key: Sequence[int], counter: Sequence[int]) -> list[int]:
    """Ten rounds. Salmon, Moraes, Dror and Shaw, 2011."""
    k, c = list(key), list(counter)
    for _ in range(10):
        a, b = 0xD2E7470EE14C6C93 * c[0], 0xCA5A826395121157 * c[2]
        c = [b // WORD ^ c[1] ^ k[0], b % WORD, a // WORD ^ c[3] ^ k[1], a % WORD]
        k = [(k[0] + 0x9E3779B97F4A7C15) % WORD, (k[1] + 0xBB67AE8584CAA73B) % WORD]
    return c


def elements(key: Array, n: int, width: int, part: int = 0) -> list[int]:
    """`n` elements of `width` bits: of the blocks 1, 2, …, the lower bits first."""
    words = [int(w) for w in key.data]
    rest = [*words[2:], 0, 0][:2]
    found: list[int] = []
    for number in itertools.count(1):
        if len(found) >= n:
            return found[:n]
        for word in block(words[:2], [number, *rest, part]):
            found += [word >> at & (1 << width) - 1 for at in range(0, 64, width)]
    raise AssertionError


def units(key: Array, n: int, dtype: str, part: int = 0) -> list[float]:
    kind, digits = UNIT[dtype]
    return [(e >> WIDTHS[kind] - digits) / 2**digits for e in elements(key, n, WIDTHS[kind], part)]


def words(key: Array, n: int) -> list[int]:
    return elements(key, n, 64)


# --- making nodes

_Draw = Callable[..., list[Number]]


def _lengths(shape: Any) -> tuple[list[Node], list[Any]]:
    items = list(shape) if isinstance(shape, tuple | list) else [shape]
    return [d for d in items if isinstance(d, Node)], items


def _drawn(key: Any, shape: Any, dtype: str, draw: _Draw, parameters: Sequence[Any] = (), what: Any = ()) -> Node:
    """``draw(key, n, *parameters)``, as an array of `shape`; parameters: stretched to it, as lists."""
    nodes, items = _lengths(shape)

    def run(key: Array, *values: Array) -> Array:
        rest = iter(values[: len(nodes)])
        dims = tuple(int(next(rest).item()) if isinstance(d, Node) else int(d) for d in items)
        given = [list(stretched(v, dims).data) for v in values[len(nodes) :]]
        data = draw(key, math.prod(dims), *given)
        return Array(dtype, dims, tuple(into(dtype, v) for v in data))

    told = tuple(d if isinstance(d, int) else None for d in items)
    return apply(run, (as_node(key), *nodes, *map(as_node, parameters)), ("drawn", what, dtype, told))


def key(seed: Any) -> Node:
    if isinstance(seed, int):
        return constant([seed % WORD, seed // WORD], dtype="uint64")
    return apply(lambda s: Array("uint64", (2,), (int(s.item()) % WORD, 0)), (seed,), "key")


def fold_in(key: Any, data: Any) -> Node:
    def run(key: Array, data: Array) -> Array:
        k = [int(w) for w in key.data]
        made = block(k[:2], [1, int(data.item()) % WORD, k[2] if len(k) > 2 else 0, 1])
        return Array("uint64", (2,), tuple(made[:2]))

    return apply(run, (as_node(key), as_node(data)), "fold_in")


def split(key: Any, n: int = 2) -> Node:
    return apply(lambda k: Array("uint64", (n, 2), tuple(elements(k, 2 * n, 64, 2))), (as_node(key),), ("split", n))


def bits(key: Any, shape: Any = (), dtype: str = "uint64") -> Node:
    return _drawn(key, shape, dtype, lambda k, n: list(elements(k, n, WIDTHS[dtype])), what="bits")


def uniform(key: Any, shape: Any = (), dtype: str = "float64", low: Any = 0.0, high: Any = 1.0) -> Node:
    def draw(k: Array, n: int, low: list[float], high: list[float]) -> list[Number]:
        def scaled(u: float, a: float, b: float) -> Number:
            a, b = into(dtype, a), into(dtype, b)
            return into(dtype, a + into(dtype, into(dtype, b - a) * u))

        return [scaled(u, a, b) for u, a, b in zip(units(k, n, dtype), low, high, strict=True)]

    return _drawn(key, shape, dtype, draw, (low, high), "uniform")


def _normals(k: Array, n: int, dtype: str) -> list[float]:
    pairs = zip(units(k, n, dtype), units(k, n, dtype, 3), strict=True)
    return [math.sqrt(-2 * math.log1p(-u)) * math.sin(math.pi * (v - 0.5)) for u, v in pairs]


def normal(key: Any, shape: Any = (), dtype: str = "float64") -> Node:
    working = "float32" if dtype == "float16" else dtype
    return _drawn(key, shape, dtype, lambda k, n: list(_normals(k, n, working)), what="normal")


def exponential(key: Any, shape: Any = (), dtype: str = "float64") -> Node:
    return _drawn(key, shape, dtype, lambda k, n: [-math.log1p(-u) for u in units(k, n, dtype)], what="exponential")


def gumbel(key: Any, shape: Any = (), dtype: str = "float64") -> Node:
    kind, digits = UNIT[dtype]

    def draw(k: Array, n: int) -> list[Number]:
        upper = [e >> WIDTHS[kind] - digits + 1 for e in elements(k, n, WIDTHS[kind])]
        return [-math.log(-math.log((e + 0.5) / 2 ** (digits - 1))) for e in upper]

    return _drawn(key, shape, dtype, draw, what="gumbel")


def poisson(key: Any, lam: Any, shape: Any) -> Node:
    def run(k: Array, lam: Array) -> Array:
        dims = tuple(shape)
        largest = max([0.0, *lam.data])
        most, n = math.ceil(largest + 12 * math.sqrt(largest) + 40), math.prod(dims)
        times = [-math.log1p(-u) for u in units(k, most * n, "float64")]
        counts = []
        for j, mean in enumerate(stretched(lam, dims).data):
            at = count = 0
            for i in range(most):
                at += times[i * n + j]
                count += at <= mean
            counts.append(count)
        return Array("int64", dims, tuple(counts))

    return apply(run, (as_node(key), as_node(lam)), ("poisson", tuple(shape)))


def bernoulli(key: Any, p: Any, shape: Any) -> Node:
    node = as_node(p)

    def run(k: Array, p: Array) -> Array:
        dims = tuple(shape)
        of = stretched(p, dims).data
        return Array("bool", dims, tuple(u < q for u, q in zip(units(k, len(of), p.dtype), of, strict=True)))

    return apply(run, (as_node(key), node), ("bernoulli", tuple(shape)))


def integers(key: Any, shape: Any, low: Any, high: Any, dtype: str = "int64") -> Node:
    def draw(k: Array, n: int, low: list[int], high: list[int]) -> list[Number]:
        return [a + w * (b - a) // WORD for w, a, b in zip(words(k, n), low, high, strict=True)]

    return _drawn(key, shape, dtype, draw, (low, high), "integers")


def _order(items: Sequence[float]) -> list[int]:
    return sorted(range(len(items)), key=items.__getitem__)


def permutation(key: Any, n: Any) -> Node:
    def run(k: Array, n: Array) -> Array:
        if n.shape:
            rows = len(n.data) // n.shape[0] if n.shape[0] else 0
            order = _order(words(k, n.shape[0]))
            return Array(n.dtype, n.shape, tuple(v for i in order for v in n.data[i * rows : (i + 1) * rows]))
        found = _order(words(k, int(n.item())))
        return Array("int64", (len(found),), tuple(found))

    return apply(run, (as_node(key), as_node(n)), "permutation")


# --- weights


def _whole(row: Sequence[float], share: int) -> list[int]:
    scale = 1 / max(row)
    return [math.floor(p * scale * float(share)) for p in row]


def _rows(p: Array) -> list[list[float]]:
    n = p.shape[-1]
    return [list(map(float, p.data[i : i + n])) for i in range(0, len(p.data), n)]


def _chosen(k: Array, p: Array, each: int) -> list[int]:
    """`each` positions for each row of weights, row by row."""
    rows = _rows(p)
    share = TOTAL // max(1, len(rows) * p.shape[-1])
    found = iter(words(k, len(rows) * each))
    result = []
    for row in rows:
        ends = list(itertools.accumulate(_whole(row, share)))
        result += [bisect.bisect_right(ends, next(found) * ends[-1] // WORD) for _ in range(each)]
    return result


def choice(key: Any, a: int, shape: Shape, replace: bool = True, p: Any = None) -> Node:
    n = math.prod(shape)
    if p is None:

        def plain(k: Array) -> Array:
            found = [w * a // WORD for w in words(k, n)] if replace else _order(words(k, a))[:n]
            return Array("int64", tuple(shape), tuple(found))

        return apply(plain, (as_node(key),), ("choice", a, tuple(shape), replace))

    def run(k: Array, p: Array) -> Array:
        if replace:
            return Array("int64", tuple(shape), tuple(_chosen(k, p, n)))
        whole = _whole(_rows(p)[0], TOTAL // a)
        rings = [-math.log1p(-u) / w if w else math.inf for u, w in zip(units(k, a, "float64"), whole, strict=True)]
        return Array("int64", tuple(shape), tuple(_order(rings)[:n]))

    return apply(run, (as_node(key), as_node(p)), ("weighted choice", a, tuple(shape), replace))


def categorical(key: Any, logits: Any) -> Node:
    def run(k: Array, x: Array) -> Array:
        p = [math.exp(v - max(row)) for row in _rows(x) for v in row]
        return Array("int64", x.shape[:-1], tuple(_chosen(k, Array("float64", x.shape, tuple(p)), 1)))

    return apply(run, (as_node(key), as_node(logits)), "categorical")


def multinomial(key: Any, n: int, p: Any) -> Node:
    def run(k: Array, p: Array) -> Array:
        found = _chosen(k, p, n)
        counts = [found[i : i + n].count(j) for i in range(0, len(found), n) for j in range(p.shape[-1])]
        return Array("int64", p.shape, tuple(counts))

    return apply(run, (as_node(key), as_node(p)), ("multinomial", n))


def alias_table(weights: Any) -> Node:
    """One sweep over light and heavy positions, as it is usually written."""

    def run(p: Array) -> Array:
        n = len(p.data)
        whole = _whole(_rows(p)[0], TOTAL // n)
        one = TOTAL // n
        unit = float(one * n) / float(sum(whole))
        has = [round(float(w) * unit) for w in whole]
        own, other = list(has), list(range(n))
        heavy = [i for i in range(n) if has[i] > one]
        light = [i for i in range(n) if has[i] <= one]
        at = 0
        left = has[heavy[0]] if heavy else 0
        for i in light:
            while at < len(heavy) and left <= one:  # the heavy one is used up, and becomes light
                own[heavy[at]] = left
                at += 1
                if at < len(heavy):
                    other[heavy[at - 1]] = heavy[at]
                    left += has[heavy[at]] - one
            if at == len(heavy):
                own[i] = one
            else:
                other[i] = heavy[at]
                left -= one - has[i]
        while at < len(heavy):
            own[heavy[at]] = left if left <= one and at < len(heavy) - 1 else one
            if left <= one and at < len(heavy) - 1:
                other[heavy[at]] = heavy[at + 1]
                left += has[heavy[at + 1]] - one
            at += 1
        factor = float(TOTAL) / float(one)
        rows = [(TOTAL, i) if own[i] >= one else (math.trunc(float(own[i]) * factor), other[i]) for i in range(n)]
        return Array("int64", (n, 2), tuple(v for row in rows for v in row))

    return apply(run, (as_node(weights),), "alias_table")


def alias_draw(key: Any, table: Any, shape: Shape) -> Node:
    def run(k: Array, table: Array) -> Array:
        n = table.shape[0]
        found = []
        for w in words(k, math.prod(shape)):
            at, rest = divmod(w * n, WORD)
            found.append(at if rest >> 2 < table[(at, 0)] else int(table[(at, 1)]))
        return Array("int64", tuple(shape), tuple(found))

    return apply(run, (as_node(key), as_node(table)), ("alias_draw", tuple(shape)))
