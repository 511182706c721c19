"""The path of a call whose shapes are known, as one generated Python function: check, dispatch, commit, fetch.

A step leaves nothing of Python in the processor's caches, so that each function, loop or attribute looked up on the way
costs microseconds; here all that is known of a program is written out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import chain, starmap
from typing import Any, TypeAlias

import jax
import numpy as np

from subtensor_jax.binding import Positions
from subtensor_jax.packing import Outputs
from subtensor_jax.positions import prepared

Spare: TypeAlias = "list[list[np.ndarray[Any, Any]]]"
"""For each input of positions, arrays that no call uses."""


class Rest:
    """Takes what a jitted step returns besides new state, where the commit puts it."""

    __slots__ = ("data",)

    data: Any


def quick_call(
    count: int,
    targets: Sequence[int],
    read: Sequence[int],
    given: Sequence[int],
    positions: Sequence[Positions],
    known: dict[Any, Any],
    general: Callable[..., Outputs],
    fetched: Callable[..., Outputs],
) -> Callable[..., Outputs]:
    """A function of inputs and cells, for a program whose jitted step takes nothing else.

    count: of the inputs. targets: numbers of the cells that are updated. read: of those that are not. given: inputs
    that the step takes as they are. positions: those that it takes prepared. known: for the shapes of the inputs, the
    step, the layout of its outputs, and arrays to prepare positions in. general: called for other shapes. fetched:
    makes outputs of what the step gives, its layout, and a cell that it wrote to or None.
    """
    space: dict[str, Any] = {
        "x64": jax.enable_x64, "known": known, "general": general, "fetched": fetched, "prepared": prepared,
        "Rest": Rest, "deque": deque, "flat": chain.from_iterable, "starmap": starmap, "array": np.array,
        "data": ("data",) * (len(targets) + 1),
    }  # fmt: skip
    shapes = "".join(f"inputs[{n}].shape, " for n in range(count))
    args = [*(f"cells[{n}].data" for n in (*targets, *read)), *(f"inputs[{s}]" for s in given)]
    args += [f"p{n}" for n in range(len(positions))]
    taken = "".join(f"{a}, " for a in args)
    lines = [f"found = known.get(({shapes}))", "if found is None:", "    return general(inputs, cells)"]
    lines.append("step, layout, spare = found")
    lines += [f"p{n} = prepared(inputs[{slot}], {length}, spare[{n}])" for n, (slot, length) in enumerate(positions)]
    if targets:
        cells = "".join(f"cells[{n}], " for n in targets)
        lines += [
            "rest = Rest()",
            "with x64(True):",
            # What the frontend's commit does. Nothing else holds on to the old values: they are dropped while the
            # device works.
            f"    deque(map(setattr, ({cells}rest), data, flat(starmap(step, (({taken}),)))), 0)",
            f"given, written = rest.data, cells[{targets[0]}]",
        ]
    else:
        lines += ["with x64(True):", f"    given, written = step({taken})[0], None"]
    lines += [  # one output and no flag, as most functions have, need not go by `fetched`: 0.7 of 12 us
        "if layout is None and given[0] is None and len(given[1]) == 1:",
        "    outputs = (array(given[1][0]),)",
        "else:",
        "    outputs = fetched(given, layout, written)",
        *(f"spare[{n}].append(p{n})" for n in range(len(positions))),  # not after an error: the device may be reading
        "return outputs",
    ]
    source = "def call(inputs, cells):\n    " + "\n    ".join(lines) + "\n"
    exec(compile(source, "<subtensor_jax call>", "exec"), space)  # noqa: S102  # our own source
    made: Callable[..., Outputs] = space["call"]
    return made
