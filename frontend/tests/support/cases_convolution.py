"""Cases of convolution, pooling and normalisation; the oracle goes through windows one by one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
from opcases import Case

RNG = np.random.default_rng(23)
X = RNG.normal(size=(2, 3, 6, 7))
W = RNG.normal(size=(4, 3, 3, 2))
INTS = RNG.integers(-3, 4, size=(1, 2, 4, 4)).astype("int16")
VOLUME = RNG.normal(size=(1, 2, 3, 4, 3))
CUBE = RNG.normal(size=(2, 2, 2, 2, 1))


def convolution(
    x: Any,
    w: Any,
    input_shape: Any = None,
    filter_shape: Any = None,
    border_mode: Any = "valid",
    subsample: Any = None,
    filter_flip: bool = True,
    filter_dilation: Any = None,
    num_groups: int = 1,
) -> Any:
    """Sums of products, window by window."""
    count = x.ndim - 2
    steps, dilations = (s or (1,) * count for s in (subsample, filter_dilation))
    spans = [d * (k - 1) + 1 for k, d in zip(w.shape[2:], dilations, strict=True)]
    named = {"valid": [0] * count, "full": [s - 1 for s in spans], "half": [s // 2 for s in spans]}
    pads = named[border_mode] if isinstance(border_mode, str) else border_mode
    pads = [pads] * count if isinstance(pads, int) else pads
    x = np.pad(x, [(0, 0), (0, 0), *((p, p) if isinstance(p, int) else p for p in pads)])
    if filter_flip:
        w = np.flip(w, tuple(range(2, w.ndim)))
    places = [(n - s) // t + 1 for n, s, t in zip(x.shape[2:], spans, steps, strict=True)]
    out = np.zeros((len(x), len(w), *places), np.result_type(x, w))
    inputs, filters = x.shape[1] // num_groups, len(w) // num_groups
    for at in np.ndindex(*places):
        window = x[(..., *(slice(a * t, a * t + s, d) for a, t, s, d in zip(at, steps, spans, dilations, strict=True)))]
        for k, f in enumerate(w):
            group = k // filters
            seen = window[:, group * inputs : (group + 1) * inputs]
            out[(slice(None), k, *at)] = (seen * f).sum(tuple(range(1, x.ndim)))
    return out


def pooling(
    x: Any, ws: Any, ignore_border: Any = None, stride: Any = None, pad: Any = None, mode: str = "max", count: int = 2
) -> Any:
    """Windows reduced one by one."""
    sizes = (ws,) * count if isinstance(ws, int) else ws
    steps = sizes if stride is None else (stride,) * count if isinstance(stride, int) else stride
    pads = pad or (0,) * count
    starts = []
    for n, size, step, p in zip(x.shape[-count:], sizes, steps, pads, strict=True):
        if ignore_border:
            starts.append([s - p for s in range(0, n + 2 * p - size + 1, step)])
        else:  # the fewest windows that reach the end, none of which begins beyond it
            found = list(range(0, n, step))
            while len(found) > 1 and found[-2] + size >= n:
                found.pop()
            starts.append(found)
    dtype = "float64" if mode.startswith("average") and x.dtype.kind != "f" else x.dtype
    out = np.zeros((*x.shape[:-count], *map(len, starts)), dtype)
    for at in product(*(range(len(s)) for s in starts)):
        lows = [s[i] for s, i in zip(starts, at, strict=True)]
        cut = tuple(slice(max(low, 0), low + size) for low, size in zip(lows, sizes, strict=True))
        window = x[(..., *cut)]
        axes = tuple(range(-count, 0))
        if mode == "max":
            value = window.max(axes)
        elif mode == "average_inc_pad" and ignore_border:
            value = window.sum(axes) / np.prod(sizes)
        else:
            value = window.sum(axes, dtype=x.dtype) if mode == "sum" else window.mean(axes)
        out[(..., *at)] = value
    return out


def _volumes(x: Any, ws: Any, *args: Any, **kwargs: Any) -> Any:
    return pooling(x, ws, *args, count=3, **kwargs)


def _downsampled(x: Any, ds: Any, ignore_border: Any = None, st: Any = None) -> Any:
    return pooling(x, ds, ignore_border, st)


def _confusion(actual: Any, pred: Any) -> Any:
    order = np.unique(np.concatenate([actual, pred]))
    counts = [np.sum((actual == a) & (pred == p)) for a in order for p in order]
    return [np.array(counts, "int64").reshape(len(order), len(order)), order]


def _x_log_y(x: Any, y: Any = None) -> Any:
    y = x if y is None else y
    return np.where(x == 0, 0, x * np.log(np.where(x == 0, 1, y)))


def _wide(p: Any, axes: tuple[int, ...], ndim: int) -> Any:
    return p if p.ndim == ndim else np.expand_dims(p, axes)


def _axes(axes: Any, ndim: int) -> tuple[int, ...]:
    named = {"per-activation": (0,), "spatial": (0, *range(2, ndim))}
    return named[axes] if isinstance(axes, str) else axes


def _normalized(
    x: Any, gamma: Any, beta: Any, axes: Any = "per-activation", epsilon: float = 1e-4, factor: float = 0.1,
    running_mean: Any = None, running_var: Any = None,
) -> Any:  # fmt: skip
    over = _axes(axes, x.ndim)
    gamma, beta = (_wide(p, over, x.ndim) for p in (gamma, beta))
    mean, var = x.mean(over, keepdims=True), x.var(over, keepdims=True)
    made = [(x - mean) / np.sqrt(var + epsilon) * gamma + beta, mean, 1 / np.sqrt(var + epsilon)]
    if running_mean is not None:
        made.append(0.9 * _wide(running_mean, over, x.ndim) + 0.1 * mean)
        made.append(0.9 * _wide(running_var, over, x.ndim) + 0.1 * x.var(over, keepdims=True, ddof=1))
    return made


def _tested(x: Any, gamma: Any, beta: Any, mean: Any, var: Any, axes: Any = "per-activation") -> Any:
    over = _axes(axes, x.ndim)
    gamma, beta, mean, var = (_wide(p, over, x.ndim) for p in (gamma, beta, mean, var))
    return (x - mean) / np.sqrt(var + 1e-4) * gamma + beta


def all_cases() -> Iterator[Case]:
    for options in (
        {},
        {"filter_flip": False, "subsample": (2, 3)},
        {"border_mode": "full", "filter_dilation": (2, 1)},
        {"border_mode": "half", "subsample": (3, 2), "filter_dilation": (1, 3)},
        {"border_mode": 2, "input_shape": (2, None, None, 7), "filter_shape": (4, 3, 3, 2)},
        {"border_mode": (1, 0), "subsample": (2, 2)},
        {"border_mode": ((0, 2), (1, 0))},
    ):
        yield Case("conv2d", (X, W), convolution, options, ulps=64, grad=True)
    yield Case("conv2d", (X[:, :2], W[:, :1]), convolution, {"num_groups": 2}, ulps=64, grad=True)
    yield Case("conv2d", (X[:0], W), convolution, {})
    yield Case("conv2d", (X[:1, :, :3, :2], W[:1]), convolution, {}, ulps=64, grad=True)
    yield Case("conv2d", (X.astype("f"), W.astype("f")), convolution, {"border_mode": "half"}, ulps=64)
    yield Case("conv2d", (INTS, INTS[:, :, :2, :3]), convolution, {"subsample": (1, 2)})
    for options in ({}, {"border_mode": "half", "subsample": (2, 1, 2)}, {"border_mode": (1, 0, 2)}):
        yield Case("conv3d", (VOLUME, CUBE), convolution, options, ulps=64, grad=True)
    for args in (
        ((2, 2),),
        ((2, 3), True),
        ((2, 3), False, (2, 2)),
        ((3, 2), True, (1, 2), (2, 1)),
        ((3, 2), False, (4, 3)),
        (2, True, 1),
        ((9, 9), True),
        ((9, 9), False),
    ):
        for mode in ("max", "sum", "average_inc_pad", "average_exc_pad"):
            empty = args == ((9, 9), True)
            yield Case("pool_2d", (X, *args), pooling, {"mode": mode}, ulps=16, grad=not empty)
    for mode in ("max", "sum", "average_exc_pad"):
        yield Case("pool_2d", (INTS, (3, 3), True, (2, 2), (1, 1)), pooling, {"mode": mode}, ulps=4)
        yield Case("pool_2d", (INTS.astype("uint8"), (2, 3), False), pooling, {"mode": mode}, ulps=4)
    yield Case("pool_2d", (X[0, 0], (2, 2), False, (1, 1)), pooling, grad=True)
    for args in (((2, 2, 2),), ((2, 3, 2), True, (1, 2, 1), (1, 0, 1))):
        for mode in ("max", "average_inc_pad", "average_exc_pad"):
            yield Case("pool_3d", (VOLUME, *args), _volumes, {"mode": mode}, ulps=16, grad=True)
    yield Case("max_pool_2d", (X, (2, 2)), _downsampled, grad=True)
    yield Case("max_pool_2d", (X, (2, 2), True, (1, 1)), _downsampled, grad=True)
    for pair in (([0, 2, 2, 5], [2, 2, 0, 5]), ([], []), ([-1], [7])):
        yield Case("confusion_matrix", tuple(np.array(p, "int64") for p in pair), _confusion)
    yield Case("xlogx", (np.array([0.0, 0.5, 2.0]),), _x_log_y, ulps=2)
    yield Case("xlogy0", (np.array([0.0, 0.5, 2.0]), np.array([0.0, 0.5, 3.0])), _x_log_y, ulps=2)
    yield Case("xlogy0", (X[0, 0], np.abs(X[0, 1])), _x_log_y, ulps=2, grad=True)
    rows, ones = X[0, 0], np.abs(X[0, 0, 0]) + 0.5
    yield Case(
        "batch_normalization",
        (rows, ones, ones - 1, rows.mean(0), ones),
        lambda x, g, b, m, s: (x - m) * (g / s) + b,
        ulps=16,
        grad=True,
    )
    three = np.abs(X[0, :, 0, 0]) + 0.5
    for axes, p in (("per-activation", ones), ((0,), ones[None])):
        yield Case("batch_normalization_train", (rows, p, p - 1), _normalized, {"axes": axes}, ulps=256, grad=True)
        yield Case("batch_normalization_test", (rows, p, p - 1, p, p), _tested, {"axes": axes}, ulps=64, grad=True)
    yield Case(
        "batch_normalization_train", (X, three, three, "spatial", 1e-4, 0.1, three, three), _normalized, ulps=256
    )
    yield Case("batch_normalization_test", (X, three, three, three, three), _tested, {"axes": "spatial"}, ulps=64)
