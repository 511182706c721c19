"""The path of a call whose shapes are known, as one generated Python function: check, dispatch, commit, fetch.

A step leaves nothing of Python in the processor's caches, so that each function, loop or attribute looked up on the way
costs microseconds; here all that is known of a program is written out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain, repeat, starmap
from typing import Any

import jax
import numpy as np

from subtensor_jax.binding import Positions
from subtensor_jax.packing import Outputs
from subtensor_jax.positions import UNSIGNED, prepared


class Rest:
    """Takes what a jitted step returns besides new state, where ``commit`` puts it."""

    __slots__ = ("data",)

    data: Any


def quick_call(
    dtypes: Sequence[np.dtype[Any]],
    targets: Sequence[int],
    read: Sequence[int],
    given: Sequence[int],
    positions: Sequence[Positions],
    known: dict[Any, Any],
    general: Callable[..., Outputs],
    fetched: Callable[..., Outputs],
) -> Callable[..., Outputs]:
    """A function of inputs and cells, for a program whose jitted step takes nothing else.

    dtypes: of the inputs. targets: numbers of the cells that are updated. read: of those that are not. given: inputs
    that the step takes as they are. positions: those that it takes prepared. known: for the shapes of the inputs, the
    step and the layout of its outputs. general: called for other shapes. fetched: makes outputs of what the step gives,
    its layout, and a cell that it wrote to or None.
    """
    space: dict[str, Any] = {
        "x64": jax.enable_x64, "known": known, "general": general, "fetched": fetched, "prepared": prepared,
        "Rest": Rest, "deque": deque, "flat": chain.from_iterable, "starmap": starmap, "DATA": repeat("data"),
        "largest": np.maximum.reduce, "int32": np.dtype(np.int32), "array": np.array,
    }  # fmt: skip
    shapes = "".join(f"inputs[{n}].shape, " for n in range(len(dtypes)))
    lines = [f"found = known.get(({shapes}))", "if found is None:", "    return general(inputs, cells)"]
    lines.append("step, layout = found")
    args = [*(f"cells[{n}].data" for n in (*targets, *read)), *(f"inputs[{s}]" for s in given)]
    for n, (slot, length) in enumerate(positions):
        unsigned, limit = UNSIGNED.get(dtypes[slot], (None, 0))
        lines.append(f"p{n} = inputs[{slot}]")
        slow = f"p{n} = prepared(p{n}, {length})"
        if 0 < length <= min(limit, 2**31):  # what ``prepared`` does first
            space[f"unsigned{n}"] = unsigned
            lines.append(f"if largest(p{n}.view(unsigned{n}), axis=None, initial=0) < {length}:")
            lines += [f"    p{n} = p{n}.astype(int32)", "else:", f"    {slow}"]
        else:
            lines.append(slow)
        args.append(f"p{n}")
    taken = "".join(f"{a}, " for a in args)
    if targets:
        cells = "".join(f"cells[{n}], " for n in targets)
        # As ``subtensor.program.commit``: one expression that runs no Python code from the step's start until all cells
        # have their new values. Nothing else holds on to the old ones: they are dropped while the device works.
        lines.append("rest = Rest()")
        lines.append(f"deque(map(setattr, ({cells}rest), DATA, flat(starmap(step, (({taken}),)))), 0)")
        lines += ["given = rest.data", f"written = cells[{targets[0]}]"]
    else:
        lines += [f"(given,) = step({taken})", "written = None"]
    lines += [
        "if layout is not None:",
        "    return fetched(given, layout, written)",
        "ok, outputs = given",
        "if ok is None and len(outputs) == 1:",
        "    return (array(outputs[0]),)",
        "return fetched(given, layout, written)",
    ]
    source = "def call(inputs, cells):\n    with x64(True):\n        " + "\n        ".join(lines) + "\n"
    exec(compile(source, "<subtensor_jax call>", "exec"), space)  # noqa: S102  # our own source
    made: Callable[..., Outputs] = space["call"]
    return made
