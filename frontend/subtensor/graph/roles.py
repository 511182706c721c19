"""Roles of axes: what an axis is for (``"rows"`` of a table, a ``"batch"``), from which a backend decides where its
elements lie. A role changes no value; backends that have one device ignore it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from subtensor.errors import ArgumentError, ShapeError, counted

Axes: TypeAlias = "tuple[str | None, ...] | None"
"""For each axis its role, None where it has none; None where no axis has one."""


def roles(where: str, axes: Any, shape: Sequence[int | None], *, open_lengths: bool) -> Axes:
    """`axes` as a tuple with an entry for each axis.

    open_lengths: whether an axis of unknown length may have a role. Raises ArgumentError for what names no roles,
    ShapeError where there are more or fewer than axes, or the length of one is not known.
    """
    if axes is None:
        return None
    if isinstance(axes, str) or not isinstance(axes, Sequence):
        raise ArgumentError(
            f"{where}: axes={axes!r}; expected a tuple with a role or None for each axis, such as ('rows', None)"
        )
    named = [role for role in axes if role is not None]
    for role in named:
        if not isinstance(role, str) or not role.isidentifier():
            raise ArgumentError(f"{where}: axes names the role {role!r}; expected a word such as 'rows', or None")
    twice = sorted({role for role in named if named.count(role) > 1})
    if twice:
        raise ArgumentError(f"{where}: axes={tuple(axes)} names {twice[0]!r} twice; expected each role once")
    if len(axes) != len(shape):
        raise ShapeError(
            f"{where}: axes={tuple(axes)} is for {counted(len(axes), 'axis')}, the value has {len(shape)}; expected a "
            "role or None for each"
        )
    for axis, (role, n) in enumerate(zip(axes, shape, strict=True)):
        if role is not None and n is None and not open_lengths:
            raise ShapeError(
                f"{where}: axis {axis} has the role {role!r} and no fixed length; expected a length, for its elements "
                "are divided by it: leave out shape=, or give that axis the role None"
            )
    return tuple(axes) if named else None
