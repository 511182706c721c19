"""Lowerings that plugins bring, with their results compared with what their ops declare.

A backend is trusted, for the conformance suite proves it; a lowering is a function that somebody wrote for one op, and
what it returns would be committed. So each is called through ``checked``: its arguments are read-only where NumPy can
see to that, and its result must have the type that the op infers. The type is inferred once for each form of the
arguments; a later call compares a dtype and a shape.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

import numpy as np

from subtensor.errors import DTypeError, PluginError, SubtensorError
from subtensor.graph.nodes import Op
from subtensor.graph.types import TensorType
from subtensor.program.contract import Lowering
from subtensor.program.linear import Program


@dataclass(frozen=True, slots=True)
class _Given:
    """An argument of which only the type is told."""

    type: TensorType
    label: str
    known: None = None


def checked_lowerings(
    program: Program, lowerings: Mapping[str, Lowering], owners: Mapping[str, str]
) -> dict[str, Lowering]:
    """`lowerings`, those of ops that the program holds with their results checked. owners: who brought each."""
    ops = dict(_ops(program))
    return {
        name: checked(ops[name], lowering, owners.get(name, "a plugin")) if name in ops else lowering
        for name, lowering in lowerings.items()
    }


def _ops(program: Program) -> Iterator[tuple[str, Op]]:
    for i in program.instructions:
        yield i.op.name, i.op
        if i.body is not None:
            yield from _ops(i.body)


def checked(op: Op, lowering: Lowering, owner: str) -> Lowering:
    """`lowering`; raises PluginError naming `owner` and the op where what it does is not what the op declares."""
    where = f"{owner}: the lowering of op {op.name!r}"
    expected: dict[Any, TensorType] = {}

    @wraps(lowering)
    def run(*args: Any, **params: Any) -> Any:
        form = (tuple([(a.dtype, a.shape) for a in args]), tuple(params.values()))
        due = expected.get(form)
        before = [_bits(a) for a in args] if due is None else ()
        try:
            result = lowering(*map(_read_only, args), **params)
        except ValueError as error:
            if "read-only" in str(error):
                raise PluginError(f"{where} changes its arguments; {_COPY}") from error
            raise
        if due is None:
            if any(a != b for a, b in zip(before, map(_bits, args), strict=True)):
                raise PluginError(f"{where} changed its arguments; {_COPY}")
            due = expected[form] = _declared(op, args, params)
        _check(where, result, due)
        if isinstance(result, np.ndarray):
            if op.fresh and any(isinstance(a, np.ndarray) and np.may_share_memory(a, result) for a in args):
                raise PluginError(f"{where} gave a part of its arguments, but the op is declared fresh; {_COPY}")
            if not result.flags.writeable:
                return np.array(result)
        return result

    return run


_COPY = "it must compute on a copy"


def _read_only(a: Any) -> Any:
    if not isinstance(a, np.ndarray):
        return a
    seen = a.view()
    seen.flags.writeable = False
    return seen


def _bits(a: Any) -> bytes | None:
    """A digest of the content of an array that could be changed; None of one that has no content yet."""
    try:
        content = np.ascontiguousarray(a).reshape(-1).view(np.uint8)
    except Exception:  # noqa: BLE001  # a tracer, or a device's array, which no lowering can change
        return None
    return hashlib.blake2b(content.data).digest()


def _declared(op: Op, args: tuple[Any, ...], params: Mapping[str, Any]) -> TensorType:
    """What the op infers for arguments of these types."""
    given = [_Given(TensorType(_dtype(a), tuple(a.shape)), f"argument {k}") for k, a in enumerate(args)]
    try:
        return op.infer(*given, **params)
    except SubtensorError as error:
        raise ValueError(str(error)) from error  # the arguments do not fit: the diagnosis of the call will say so


def _dtype(a: Any) -> str:
    return str(a.dtype).rpartition(".")[2]


def _check(where: str, result: Any, due: TensorType) -> None:
    try:
        got = TensorType(_dtype(result), tuple(result.shape))
    except (AttributeError, TypeError, DTypeError):
        what = "None" if result is None else f"an object of type {type(result).__name__!r}"
        raise PluginError(f"{where} gave {what}; expected an array of type {due}, as the op declares") from None
    fits = len(got.shape) == len(due.shape) and all(
        d is None or d == g for d, g in zip(due.shape, got.shape, strict=True)
    )
    if got.dtype != due.dtype or not fits:
        raise PluginError(f"{where} gave {got}; expected {due}, as the op declares")
