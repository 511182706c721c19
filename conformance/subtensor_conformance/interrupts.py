"""A KeyboardInterrupt at a chosen instruction of Python code, and the proof that it gets between any two of them."""

from __future__ import annotations

import dis
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import repeat
from operator import length_hint
from types import CodeType, FrameType, FunctionType
from typing import Any

from subtensor_conformance.witness import Failure


class Interrupt:
    """Raises KeyboardInterrupt at one of the bytecode instructions that code of some packages comes by.

    own: names of packages; code that was generated, and so has no module, is theirs too, but for the frontend's.
    at: the number of the instruction, from 0; where it is negative nothing is raised. passed: how many there were.
    raised: whether it was raised. last: for each piece of code where it was last. lost: whether the code that ran has
    taken the trace function away.
    """

    def __init__(self, own: Collection[str], at: int) -> None:
        self.own = tuple(f"{name}." for name in own)
        self.at = at
        self.passed = 0
        self.raised = False
        self.lost = False
        self.last: dict[CodeType, int] = {}

    @contextmanager
    def waiting(self) -> Iterator[None]:
        before, enter = sys.gettrace(), self._enter
        # CPython 3.12 counts instructions for those alone who set a trace function after some frame had asked for them.
        sys._getframe().f_trace_opcodes = True  # noqa: SLF001  # the documented way to a frame
        sys.settrace(enter)
        try:
            yield
        finally:
            self.lost = not self.raised and sys.gettrace() is not enter
            sys.settrace(before)

    def _enter(self, frame: FrameType, _event: str, _arg: object) -> Any:
        module = frame.f_globals.get("__name__") or ""
        if f"{module}.".startswith(self.own) or (not module and frame.f_code.co_filename != "<subtensor call>"):
            frame.f_trace = self._step  # CPython 3.13 heeds the next line only where a frame has a trace function
            frame.f_trace_opcodes = True
            return self._step
        return None

    def _step(self, frame: FrameType, event: str, _arg: object) -> Any:
        if event == "opcode":
            self.passed += 1
            self.last[frame.f_code] = frame.f_lasti
            if self.passed - 1 == self.at:
                self.raised = True
                raise KeyboardInterrupt
        return self._step


# --- that it works: on this interpreter, and on this executable


def prove() -> None:
    """Raises Failure unless an interrupt divides a function between any two instructions with an effect."""
    count, effects = _interrupted(-1)
    reached, numbers = 0, set[int]()
    for at in range(count.passed):
        moments, before = _interrupted(at)
        reached += moments.raised
        numbers.add(before)
    missed = sorted(set(range(effects)) - numbers)
    if missed or reached < count.passed or effects != _EFFECTS:
        raise Failure(
            "moments",
            f"of {count.passed} instructions of a function of this suite's own an interrupt reaches {reached}, but not "
            f"those of its effects {missed}: on this interpreter the case would prove nothing",
            f"each of {_EFFECTS} effects",
            f"{len(numbers)}",
        )


_EFFECTS = 21


def _interrupted(at: int) -> tuple[Interrupt, int]:
    """The function of many effects, interrupted, and how many it had by then."""
    kind: Any = type("Inverted", (), {})
    x = kind()
    left = repeat(x, _EFFECTS + 1)
    kind.__invert__ = left.__next__  # so that ``~x`` has its effect, one fewer that is left, in one instruction
    moments = Interrupt((__name__,), at)
    with suppress(KeyboardInterrupt), moments.waiting():
        _many_effects(x)
    return moments, _EFFECTS + 1 - length_hint(left)


def _many_effects(x: Any) -> None:
    """Instructions with an effect, three in a row: in a loop, a generator, a call, a comprehension."""
    _ = ~~~x
    for y in _yielding(~~~x):
        _ = ~~~y
    partial(_called, x)()
    _ = [~~~y for y in (x,)]


def _yielding(x: Any) -> Iterator[Any]:
    yield ~~~x
    yield x


def _called(x: Any) -> Any:
    return ~~~x


def function_of(executable: Any) -> FunctionType | None:
    """The Python function that runs when an executable is called; None where that is a library's own code."""
    while isinstance(executable, partial):
        executable = executable.func
    for called in (executable, type(executable).__call__):
        function = getattr(called, "__func__", called)
        if isinstance(function, FunctionType):
            return function
    return None


def seen_through(moments: Interrupt, executable: FunctionType | None) -> None:
    """Raises Failure unless the instructions of a call that went well were passed, up to the executable's last."""
    if moments.lost:
        raise Failure(
            "moments", "the backend sets a trace function of its own, so that its steps cannot be interrupted"
        )
    if executable is None:
        return
    code = executable.__code__
    last = moments.last.get(code)
    if last is None:
        raise Failure(
            "moments", "none of the instructions of the executable was passed, so nothing is known of its steps",
            f"each instruction of {code.co_qualname}, {code.co_filename}:{code.co_firstlineno}",
            f"{moments.passed} instructions of other code",
        )  # fmt: skip
    name = dis.opname[code.co_code[last]]
    if not name.startswith(("RETURN", "EXTENDED_ARG")):
        raise Failure("moments", f"the instructions of the executable were passed only up to {name}, not to its end")
