"""Cases: programs, arguments and bounds as data.

The source of a program is Python over the case's names and ``st``. It is evaluated twice: with ``st`` the frontend,
which builds a graph, and with ``st`` the oracle, which loops.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from subtensor_conformance.oracle.sequences import Number as Number  # noqa: PLC0414  # cases take it from here
from subtensor_conformance.oracle.sequences import Pattern

SPEC_VERSION = 1
"""The version of the semantics that this suite describes."""


@dataclass(frozen=True, slots=True)
class Value:
    """An array. dtype: its name. shape: lengths. data: elements in C order, a tuple or, for long ones, a Pattern."""

    dtype: str
    shape: tuple[int, ...]
    data: Any


@dataclass(frozen=True, slots=True)
class Given:
    """An input or a shared variable. shape: the declared one, None where a length is known at the call only."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]
    value: Value | None = None
    """The first value, of a shared variable."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call.

    arguments: a value for each input. raises: class and text of the error that is due, or nothing. sets: what shared
    variables are set to before it, by name.
    """

    arguments: tuple[Value, ...] = ()
    raises: tuple[str, str] | None = None
    sets: tuple[tuple[str, Value], ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """A program and calls of it.

    id: stable and unique, ``area/…``. since: the spec version that introduced it. capability: what the backend must
    have, None for the core. lets: names for expressions, in order. outputs: expressions. updates: pairs of a shared
    variable and an expression. raises: the error that is due while the function is built. ulps, addends, absolute: the
    bound on the error of a float, 0 for exact: ``ulps * addends`` units in the last place, plus ``absolute``.
    oracle: names for expressions that only the oracle takes instead, where it spells things otherwise. step: an
    expression that gives an optimizer's updates, whose state variables are compared by name like the case's own;
    outputs may call them ``step``. flush: whether rows that wait are brought up to date after the last call, and state
    is compared once more. resume: whether the last call is made twice more, with the state put back as it was before
    it: by the same function, and by one built anew over variables made anew, which must give the same bits.
    together: whether the calls are made once more, by several threads at once. interrupted: whether the last call is
    made many times more, from the state before it, and ended by a KeyboardInterrupt at one moment after the other.
    then: updates of a second function over the same variables and inputs, called after each call of the first;
    elsewhere: on another backend. crowd: whether the calls are made once more by three threads, each with a function
    and variables of its own. kept: whether a keeper looks after the variables, as where they lie in files.
    """

    id: str
    inputs: tuple[Given, ...] = ()
    shared: tuple[Given, ...] = ()
    lets: tuple[tuple[str, str], ...] = ()
    outputs: tuple[str, ...] = ()
    updates: tuple[tuple[str, str], ...] = ()
    calls: tuple[Call, ...] = (Call(),)
    raises: tuple[str, str] | None = None
    capability: str | None = None
    tags: tuple[str, ...] = ()
    ulps: float = 0
    addends: int = 1
    absolute: float = 0
    quick: bool = True
    since: int = 1
    oracle: tuple[tuple[str, str], ...] = ()
    step: str = ""
    flush: bool = False
    resume: bool = False
    together: bool = False
    interrupted: bool = False
    then: tuple[tuple[str, str], ...] = ()
    elsewhere: bool = False
    crowd: bool = False
    kept: bool = False

    @property
    def area(self) -> str:
        return self.id.partition("/")[0]

    def __str__(self) -> str:
        return self.id


def paste(case: Case) -> str:
    """The case as source, ready to be pasted among the others; only what differs from the defaults."""
    parts = []
    for f in fields(case):
        value = getattr(case, f.name)
        if f.name == "id" or value != f.default:
            parts.append(f"    {f.name}={_spelled(value)},")
    return "Case(\n" + "\n".join(parts) + "\n)"


def _spelled(value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_spelled, value)) + ("," if len(value) == 1 else "") + ")"
    if isinstance(value, Value):
        return f"Value({value.dtype!r}, {value.shape}, {_spelled(value.data)})"
    if isinstance(value, Given | Call):
        name = type(value).__name__
        given = [f"{f.name}={_spelled(getattr(value, f.name))}" for f in fields(value)]
        return f"{name}({', '.join(given)})"
    return repr(value)


@dataclass(frozen=True)
class Manifest:
    """What a run is to execute: the ids, and a hash of everything that the cases say."""

    ids: tuple[str, ...]
    digest: str = field(default="")

    @staticmethod
    def of(cases: Sequence[Case]) -> Manifest:
        text = "\n".join(sorted(map(paste, cases)))
        return Manifest(tuple(c.id for c in cases), hashlib.sha256(text.encode()).hexdigest())

    @property
    def count(self) -> int:
        return len(self.ids)


# --- making values


def _noise(seed: int) -> int:
    return int.from_bytes(hashlib.blake2b(str(seed).encode(), digest_size=8).digest(), "little")


def numbers(n: int, dtype: str, seed: int = 0) -> tuple[Number, ...]:
    """`n` distinct-looking numbers. Floats have few digits, so that sums of some dozens of them are exact; in
    float64 one digit lies beyond float32.
    """
    result: list[Number] = []
    for i in range(n):
        noise = _noise(1000 * seed + i)
        if dtype == "bool":
            result.append(bool(noise % 2))
        elif dtype.startswith("uint"):
            result.append(noise % 50)
        elif dtype.startswith("int"):
            result.append(noise % 41 - 20)
        else:
            value = (noise % 63 - 31) / 8 or 0.5
            result.append(value + (noise // 64 % 8 + 1) * 2.0**-34 if dtype == "float64" else value)
    return tuple(result)


def array(dtype: str, shape: Sequence[int], seed: int = 0) -> Value:
    """A value with numbers of its own."""
    return Value(dtype, tuple(shape), numbers(math.prod(shape), dtype, seed))


def pattern(dtype: str, shape: Sequence[int], step: int = 37, modulus: int = 63) -> Value:
    """A long value by formula: integers from 0 (unsigned) or around 0, or eighths of them."""
    divisor = 8 if dtype.startswith("float") else 1
    shift = 0 if dtype.startswith("u") else modulus // 2
    return Value(dtype, tuple(shape), Pattern(math.prod(shape), step, modulus, shift, divisor))


def positions(shape: Sequence[int], length: int, dtype: str = "int64", step: int = 31) -> Value:
    """Positions along an axis of a length, with repetitions, each spelled in both ways: from the front and the end."""
    return Value(dtype, tuple(shape), Pattern(math.prod(shape), step, 2 * length, length))


def value(dtype: str, data: object) -> Value:
    """A value from nested lists."""
    shape: list[int] = []
    level = data
    while isinstance(level, list):
        shape.append(len(level))
        if not level:
            break
        level = level[0]
    return Value(dtype, tuple(shape), tuple(_flat(data)))


def _flat(data: object) -> Iterable[Number]:
    if isinstance(data, list):
        for part in data:
            yield from _flat(part)
    else:
        assert isinstance(data, bool | int | float)
        yield data


def given(name: str, v: Value, static: bool = False) -> Given:
    """An input for values like `v`: its shape declared, or only its rank."""
    return Given(name, v.dtype, v.shape if static else (None,) * len(v.shape))


def state(name: str, v: Value, shape: tuple[int | None, ...] | None = None) -> Given:
    """A shared variable that starts with `v`."""
    return Given(name, v.dtype, v.shape if shape is None else shape, v)
