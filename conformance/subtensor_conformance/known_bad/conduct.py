"""Backends whose values are right, and whose conduct is not."""

from __future__ import annotations

import sys
import time
import warnings
from typing import Any

import numpy as np

from subtensor.errors import Unsupported
from subtensor.program.linear import Program
from subtensor_conformance.known_bad.altered import Altered, Executable
from subtensor_conformance.known_bad.catalogue import known_bad
from subtensor_conformance.known_bad.state import Make, around


def _as_list(execute: Executable, program: Program, make: Make) -> Executable:
    def run(inputs: Any, cells: Any) -> Any:
        return list(execute(inputs, cells))

    return run


def _as_scalars(execute: Executable, program: Program, make: Make) -> Executable:
    def run(inputs: Any, cells: Any) -> Any:
        return tuple(o if o.ndim else o[()] for o in execute(inputs, cells))

    return run


def _warns(execute: Executable, program: Program, make: Make) -> Executable:
    def run(inputs: Any, cells: Any) -> Any:
        warnings.warn("a call", stacklevel=2)
        return execute(inputs, cells)

    return run


def _prints(execute: Executable, program: Program, make: Make) -> Executable:
    def run(inputs: Any, cells: Any) -> Any:
        sys.stdout.write("a call\n")
        return execute(inputs, cells)

    return run


def _shares_a_buffer(execute: Executable, program: Program, make: Make) -> Executable:
    buffers: dict[Any, Any] = {}

    def run(inputs: Any, cells: Any) -> Any:
        outputs = execute(inputs, cells)
        mine = [buffers.setdefault((k, o.shape, o.dtype), np.empty_like(o)) for k, o in enumerate(outputs)]
        for buffer, o in zip(mine, outputs, strict=True):
            buffer[...] = o
        time.sleep(0)  # another thread's turn, as it would come in a longer call
        return tuple(buffer.copy() for buffer in mine)

    return run


def _hands_out_one_buffer(execute: Executable, program: Program, make: Make) -> Executable:
    """Right at each call, until the next."""
    buffers: dict[Any, Any] = {}

    def run(inputs: Any, cells: Any) -> Any:
        outputs = execute(inputs, cells)
        mine = tuple(buffers.setdefault((k, o.shape, o.dtype), np.empty_like(o)) for k, o in enumerate(outputs))
        for buffer, o in zip(mine, outputs, strict=True):
            buffer[...] = o
        return mine

    return run


def _takes_strides_for_positive(execute: Executable, program: Program, make: Make) -> Executable:
    def run(inputs: Any, cells: Any) -> Any:
        return execute(tuple(i[::-1] if i.ndim and i.strides[0] < 0 else i for i in inputs), cells)

    return run


def _writes_to_what_it_may(execute: Executable, program: Program, make: Make) -> Executable:
    def run(inputs: Any, cells: Any) -> Any:
        for i in inputs:
            i[...] = i  # which a read-only array refuses
        return execute(inputs, cells)

    return run


def _ignores_errors(execute: Executable, program: Program, make: Make) -> Executable:
    def run(inputs: Any, cells: Any) -> Any:
        np.seterr(all="ignore")
        return execute(inputs, cells)

    return run


class _Held:
    keeper = None

    def __init__(self, data: Any) -> None:
        self.data = data


def _one_by_one(execute: Executable, program: Program, make: Make) -> Executable:
    def run(inputs: Any, cells: Any) -> Any:
        held = tuple(_Held(np.array(c.data)) for c in cells)
        outputs = execute(inputs, held)
        for cell, new in zip(cells, held, strict=True):
            cell.data = new.data
        return outputs

    return run


def _takes_the_trace_function(execute: Executable, program: Program, make: Make) -> Executable:
    def run(inputs: Any, cells: Any) -> Any:
        sys.settrace(None)
        return execute(inputs, cells)

    return run


def _refuses_late(execute: Executable, program: Program, make: Make) -> Executable:
    def run(inputs: Any, cells: Any) -> Any:
        raise Unsupported("float16")

    return run if any(t.dtype == "float16" for t in program.types) else execute


known_bad("outputs-as-list", "gives a list of outputs", "create", "form", around(_as_list))
known_bad("outputs-as-scalars", "gives NumPy scalars for 0-d arrays", "reduce", "type", around(_as_scalars))
known_bad("warns", "warns in each call", "create", "noise", around(_warns))
known_bad("prints", "prints in each call", "create", "noise", around(_prints))
known_bad(
    "buffer-shared", "keeps a buffer that all threads use", "ownership", "threads", around(_shares_a_buffer), "threads"
)
known_bad(
    "commits-one-by-one",
    "commits one variable after the other",
    "transaction",
    "torn",
    around(_one_by_one),
    "interrupted",
)
known_bad(
    "trace-function-taken",
    "removes the trace function by which it would be interrupted",
    "transaction",
    "moments",
    around(_takes_the_trace_function),
    "interrupted",
)
known_bad(
    "refuses-late",
    "refuses a program when it is called",
    "dtypes",
    "declaration",
    lambda good: Altered(good, around=_refuses_late, capabilities=good.capabilities - {"float16"}),
)
known_bad(
    "one-buffer-for-outputs",
    "hands out the same buffer at each call",
    "ownership",
    "aliasing|repeat",
    around(_hands_out_one_buffer),
)
known_bad(
    "strides-taken-for-positive",
    "reads reversed arguments forwards",
    "shape",
    "value|sign of zero|nan",
    around(_takes_strides_for_positive),
)
known_bad(
    "writeable-arguments-only", "needs arguments that it may write to", "get", "error", around(_writes_to_what_it_may)
)
known_bad(
    "errors-ignored-for-good",
    "leaves NumPy's floating-point errors ignored",
    "create",
    "noise",
    around(_ignores_errors),
)
