"""Cases of ops that have no public function: they stand in programs, in Jacobians, or behind optimizers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from opcases import Case

import subtensor as st
from subtensor.ops import distinct
from subtensor.ops.selection import range_diagonal
from subtensor.program.linear import copy_op

RNG = np.random.default_rng(13)


def _runs(x: Any, ids: Any) -> tuple[Any, ...]:
    """The sums of x over equal ids, written to the ids' places."""
    runs = distinct.Runs.of(st.as_tensor(ids))
    return (st.set_subtensor(st.zeros_like(st.as_tensor(x))[runs.values], runs.sums(st.as_tensor(x))),)


def _places(ids: Any) -> tuple[Any, ...]:
    """The ids, read among the distinct ones."""
    runs = distinct.Runs.of(st.as_tensor(ids))
    return (runs.values[runs.places],)


def _runs_oracle(x: Any, ids: Any) -> tuple[Any, ...]:
    out = np.zeros_like(x)
    np.add.at(out, ids, x)
    return (out,)


def cases() -> Iterator[Case]:
    x = RNG.normal(size=(4, 2))
    ids = np.array([2, 0, 2, 1])
    yield Case("copy", (x,), lambda x: x, function=lambda x: copy_op(st.as_tensor(x)), grad=True)
    yield Case("row_numbers", (np.array([-1, 0, 3]), np.array(4)), lambda i, n: i % n, function=_row_numbers)
    yield Case(
        "row_numbers", (np.array([1, 0, 3], "uint64"), np.array(4)), lambda i, n: i.astype(int), function=_row_numbers
    )
    yield Case("run_sums", (x, ids), _runs_oracle, function=_runs, grad=True, ulps=2)
    yield Case("run_sums", (np.zeros((0, 2)), np.zeros(0, int)), _runs_oracle, function=_runs, grad=True)
    for each in (ids, np.zeros(0, int), np.array([5, 5, 5]), np.array([7, -1, 3, -1, 7])):
        yield Case("run_places", (each,), lambda i: (i,), function=_places)
    yield Case(
        "spread_rows",
        (np.array([1.5, -2.0]), np.ones((2, 3, 2))),
        lambda n, like: np.broadcast_to(n[:, None, None], like.shape),
        function=lambda n, like: distinct.spread_rows(st.as_tensor(n), st.as_tensor(like)),
        grad=True,
    )
    cube = RNG.normal(size=(2, 3, 4))
    for count, axes, start, step in (
        (2, (1, 2), (0, 1), (2, 1)),
        (2, (0, 2), (0, 2), (1, 1)),
        (0, (0, 1), (9, 0), (1, 1)),
    ):
        where = {"axes": axes, "start": start, "step": step}
        yield Case("range_diagonal", (cube, np.array(count)), _read_ranges, where, function=_range_diagonal, grad=True)
    yield Case("jacobian", (x,), _square_jacobian, function=_jacobian, grad=True, ulps=1)


def _range_diagonal(x: Any, count: Any, **where: Any) -> Any:
    return range_diagonal(st.as_tensor(x), st.as_tensor(count), **where)


def _read_ranges(x: Any, count: Any, axes: Any, start: Any, step: Any) -> Any:
    key: list[Any] = [slice(None)] * x.ndim
    for axis, first, by in zip(axes, start, step, strict=True):
        key[axis] = first + by * np.arange(count)
    return x[tuple(key)]


def _row_numbers(ids: Any, n: Any) -> Any:
    return distinct.row_numbers(st.as_tensor(ids), st.as_tensor(n))


def _jacobian(x: Any) -> Any:
    x = st.as_tensor(x)
    return st.jacobian(x * x, x)


def _square_jacobian(x: Any) -> Any:
    return np.diag(2 * x.reshape(-1)).reshape(x.shape + x.shape)


def all_cases() -> list[Case]:
    return list(cases())
