"""Convolution and pooling, window by window."""

from __future__ import annotations

from typing import Any

from subtensor_conformance.oracle.linalg import exact_sum
from subtensor_conformance.oracle.nodes import Node, public, together
from subtensor_conformance.oracle.values import Array, Number, build, into, positions

Pairs = tuple[tuple[int, int], ...]


def _pads(border_mode: Any, spans: list[int]) -> Pairs:
    if border_mode == "valid":
        return tuple((0, 0) for _ in spans)
    if border_mode == "full":
        return tuple((s - 1, s - 1) for s in spans)
    if border_mode == "half":
        return tuple((s // 2, s // 2) for s in spans)
    return tuple((p, p) if isinstance(p, int) else p for p in border_mode)


def _convolution(x: Any, w: Any, border_mode: Any, subsample: Any, filter_flip: bool, dilation: Any) -> Node:
    def run(x: Array, w: Array) -> Array:
        sizes = w.shape[2:]
        spans = [d * (k - 1) + 1 for k, d in zip(sizes, dilation, strict=True)]
        pads = _pads(border_mode, spans)
        places = [(n + a + b - s) // t + 1 for n, (a, b), s, t in zip(x.shape[2:], pads, spans, subsample, strict=True)]

        def element(p: tuple[int, ...]) -> Number:
            n, k, *at = p
            products = []
            for c, *taps in positions((x.shape[1], *sizes)):
                where = [
                    i * t + j * d - before
                    for i, t, j, d, (before, _) in zip(at, subsample, taps, dilation, pads, strict=True)
                ]
                if all(0 <= q < length for q, length in zip(where, x.shape[2:], strict=True)):
                    tap = [z - 1 - j for j, z in zip(taps, sizes, strict=True)] if filter_flip else taps
                    products.append(x[[n, c, *where]] * w[[k, c, *tap]])
            return exact_sum(x.dtype, products)

        return build(x.dtype, (x.shape[0], w.shape[0], *places), element)

    return together(run, (x, w), ("conv", border_mode, subsample, filter_flip, dilation))


@public("conv2d")
def conv2d(
    x: Any, w: Any, border_mode: Any = "valid", subsample: Any = (1, 1), filter_flip: bool = True,
    filter_dilation: Any = (1, 1),
) -> Node:  # fmt: skip
    return _convolution(x, w, border_mode, subsample, filter_flip, filter_dilation)


@public("conv3d")
def conv3d(
    x: Any, w: Any, border_mode: Any = "valid", subsample: Any = (1, 1, 1), filter_flip: bool = True,
    filter_dilation: Any = (1, 1, 1),
) -> Node:  # fmt: skip
    return _convolution(x, w, border_mode, subsample, filter_flip, filter_dilation)


@public("pool_2d")
def pool_2d(
    x: Any, ws: Any, ignore_border: bool = False, stride: Any = None, pad: Any = (0, 0), mode: str = "max"
) -> Node:
    steps = stride or ws

    def run(x: Array) -> Array:
        first = len(x.shape) - 2
        starts = []
        for n, size, step, p in zip(x.shape[first:], ws, steps, pad, strict=True):
            found = [s - p for s in range(0, n + 2 * p, step)]
            if ignore_border:
                found = [s for s in found if s + size <= n + p]
            while not ignore_border and len(found) > 1 and found[-2] + size >= n:
                found.pop()  # a window that sees only what the one before it has seen
            starts.append(found)

        def element(p: tuple[int, ...]) -> Number:
            lows = [s[i] for s, i in zip(starts, p[first:], strict=True)]
            seen = [
                x[(*p[:first], low_a + i, low_b + j)]
                for low_a, low_b in [lows]
                for i, j in positions(ws)
                if 0 <= low_a + i < x.shape[first] and 0 <= low_b + j < x.shape[first + 1]
            ]
            if mode == "max":
                return max(seen)
            total = exact_sum(x.dtype, seen)
            if mode == "sum":
                return total
            return into(x.dtype, total / (ws[0] * ws[1] if mode == "average_inc_pad" and ignore_border else len(seen)))

        return build(x.dtype, (*x.shape[:first], *map(len, starts)), element)

    return together(run, (x,), ("pool", ws, ignore_border, stride, pad, mode))
