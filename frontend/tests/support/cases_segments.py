"""Cases of rows in groups, and of bags of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from opcases import Case

M = np.random.default_rng(3).normal(size=(3, 2))
IDS = np.array([2, 0, 2])


def _grouped(reduce: Callable[[Any], Any], empty: Any) -> Callable[[Any, Any, int], Any]:
    def reference(x: Any, ids: Any, n: int) -> Any:
        groups = [x[np.asarray(ids) % n == g] for g in range(n)]
        made = [reduce(g) if len(g) else np.full(x.shape[1:], empty) for g in groups]
        return np.stack(made).astype(x.dtype)

    return reference


def _softmax(x: Any, ids: Any, n: int) -> Any:
    e = np.exp(x)
    return np.stack([row / e[ids == i].sum(0) for i, row in zip(ids, e, strict=True)])


def _bags(table: Any, ids: Any, lengths: Any, mode: str) -> Any:
    parts = np.split(np.asarray(ids), np.cumsum(lengths)[:-1])
    roots = {"sum": lambda n: 1.0, "mean": float, "sqrtn": np.sqrt}
    return np.stack([table[p].sum(0) / roots[mode](max(len(p), 1)) for p in parts])


def all_cases() -> Iterator[Case]:
    for name, reduce, empty in (
        ("segment_mean", lambda g: g.mean(0), 0),
        ("segment_max", lambda g: g.max(0), -np.inf),
        ("segment_min", lambda g: g.min(0), np.inf),
        ("segment_prod", lambda g: g.prod(0), 1),
    ):
        yield Case(name, (M, IDS, 3), _grouped(reduce, empty))
        yield Case(name, (M, np.array([1, 0, 1]), 2), _grouped(reduce, empty), grad=True)
        yield Case(name, (M[:, 0], IDS - 3, 3), _grouped(reduce, empty))
        if name != "segment_mean":
            low = {"segment_max": np.iinfo("int8").min, "segment_min": np.iinfo("int8").max, "segment_prod": 1}[name]
            yield Case(name, (M.astype("int8"), IDS, 4), _grouped(reduce, low))
    # the references are not shifted by the greatest element, which rounds otherwise
    logs = _grouped(lambda g: np.log(np.exp(g).sum(0)), -np.inf)
    yield Case("segment_logsumexp", (M, IDS, 3), logs, ulps=8)
    yield Case("segment_logsumexp", (M, np.array([1, 0, 1]), 2), logs, ulps=8, grad=True)
    yield Case("segment_softmax", (M, IDS, 3), _softmax, ulps=8, grad=True)
    for mode in ("sum", "mean", "sqrtn"):
        yield Case(
            "embedding_bag", (M, np.array([2, 0, 2, 1])), _bags, {"lengths": np.array([3, 0, 1]), "mode": mode},
            grad=True,
        )  # fmt: skip
