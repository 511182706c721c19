"""What users call answers every wrong argument with an error of this library.

A rule deep inside may meet a list where it needs a number, and raise what Python raises there: an error about something
that the user never wrote. ``door`` is put where users come in. What passes through it is a ``SubtensorError`` that
begins with the name of what was called, and spells no number of many digits.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, NoReturn, TypeVar

from subtensor.errors import ArgumentError, SubtensorError

F = TypeVar("F", bound=Callable[..., Any])

NAMES: set[str] = set()
"""Names of what has a door: an error that begins with one of them came from a function that another one called."""

RAW = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RecursionError)
"""What Python and NumPy raise where an argument is of no use."""

_made: dict[Any, Any] = {}


def door(function: F, name: str | None = None) -> F:
    """`function` with a door; the same one each time it is asked for."""
    known: F | None = _made.get(function)
    if known is not None:
        return known
    called = name or function.__name__.rstrip("_")

    @wraps(function)
    def through(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except SubtensorError as error:
            reworded(error, called, function, args, kwargs)
            raise
        except RAW as error:
            refuse(error, called, function, args, kwargs)

    NAMES.add(called)
    _made[function] = _made[through] = through
    return through  # type: ignore[return-value]  # of the same signature


def reworded(
    error: SubtensorError, called: str, function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> None:
    """Let an error begin with what the user called, and spell no number of many digits."""
    if not error.args or not isinstance(error.args[0], str):
        return
    text = error.args[0]
    if isinstance(error, ArgumentError) and error.__cause__ is not None:
        text = _text(called, function, args, kwargs)
    else:
        inner, colon, rest = text.partition(": ")
        if colon and inner != called and inner in NAMES:
            text = f"{called}: {rest}"
    error.args = (_short(text), *error.args[1:])


def refuse(error: Exception, called: str, function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> NoReturn:
    """Raise ArgumentError for what Python raised."""
    raise ArgumentError(_text(called, function, args, kwargs)) from error


def _text(called: str, function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    signature = inspect.signature(function)
    try:
        given = dict(signature.bind(*args, **kwargs).arguments)
        fault = "cannot use these arguments"
    except TypeError as error:
        given = {f"argument {k}": v for k, v in enumerate(args)} | dict(kwargs)
        fault = str(error)
    spelled = ", ".join(f"{key} = {_spelled(value)}" for key, value in given.items())
    parameters = ", ".join(_parameter(p) for p in signature.parameters.values())
    what = (inspect.getdoc(function) or "").partition("\n\n")[0].partition(". ")[0].replace("\n", " ").rstrip(".")
    return _short(
        f"{called}: {fault}: got {spelled or 'none'}; expected {called}({parameters})" + (f", {what}" if what else "")
    )


def _parameter(p: inspect.Parameter) -> str:
    star = "*" if p.kind is p.VAR_POSITIONAL else "**" if p.kind is p.VAR_KEYWORD else ""
    return f"{star}{p.name}" + ("" if p.default is p.empty else f"={_spelled(p.default, typed=False)}")


def _spelled(value: Any, *, typed: bool = True) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  # somebody else's object
        text = "what has no repr"
    text = " ".join(text.split())
    text = text if len(text) <= 60 else text[:57] + "..."
    kind = type(value).__name__
    return f"{text} ({kind})" if typed and value is not None and not hasattr(value, "type") else text


def _short(text: str) -> str:
    return re.sub(r"\d{41,}", lambda found: f"a number of {len(found.group())} digits", text)
