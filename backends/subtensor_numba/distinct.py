"""The distinct rows among repeated ids, in one compiled call: what ``subtensor.ops.distinct`` spells in five ops.

Ids are sorted digit by digit, which keeps equal ones in their order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from subtensor.program.linear import Instruction
from subtensor_numba.native import WHOLE, Kernel, array, compiled
from subtensor_numpy.workspace import place

Array = np.ndarray[Any, np.dtype[Any]]

SOURCE = """
def kernel(ids, n, rows, order, ordered, starts, found, spare, counts):
    count = ids.shape[0]
    high = int64(0)
    for j in range(count):
        row = int64(ids[j])
        if row < 0: row += n
        if row < 0 or row >= n: return -1
        rows[j] = row
        if row > high: high = row
    if count == 0: return 0
    if count <= 32:
        for j in range(count):
            row = rows[j]
            k = j
            while k > 0 and ordered[k - 1] > row:
                ordered[k] = ordered[k - 1]
                order[k] = order[k - 1]
                k -= 1
            ordered[k] = row
            order[k] = j
    else:
        bits = 1
        while high >> bits: bits += 1
        digits = (bits + 10) // 11
        width = (bits + digits - 1) // digits
        size = 1 << width
        for digit in range(digits):
            shift = digit * width
            for k in range(size): counts[k] = 0
            for j in range(count):
                counts[(rows[j] >> shift) & (size - 1)] += 1
            total = 0
            for k in range(size):
                some = counts[k]
                counts[k] = total
                total += some
            # places go from one array to the other, so that the last digit leaves them in `order`
            if (digits - digit) % 2 == 1:
                source = spare
                target = order
            else:
                source = order
                target = spare
            for j in range(count):
                at = source[j] if digit > 0 else j
                k = (rows[at] >> shift) & (size - 1)
                target[counts[k]] = at
                counts[k] += 1
        for j in range(count): ordered[j] = rows[order[j]]
    runs = 0
    last = int64(-1)
    for j in range(count):
        if ordered[j] != last:
            last = ordered[j]
            starts[runs] = j
            found[runs] = last
            runs += 1
    return runs
"""

LARGEST_DIGIT = 1 << 11


class Idiom(NamedTuple):
    """The instructions that list distinct rows, from the ids on: what each gives is in the comment."""

    rows: Instruction  # ids in range
    order: Instruction  # their order when sorted
    ordered: Instruction  # they themselves, sorted
    starts: Instruction  # where runs start there
    found: Instruction  # the distinct rows


def idiom(i: Instruction, made: Mapping[int, Instruction], users: Mapping[int, list[Instruction]]) -> Idiom | None:
    """The idiom that begins with an instruction, if one does."""
    if i.op.name != "row_numbers" or i.type.ndim != 1 or i.node.inputs[0].dtype in ("uint64", "bool"):
        return None

    def next_(name: str, *args: int) -> Instruction | None:
        return next((u for u in users.get(args[0], ()) if u.op.name == name and u.args == args), None)

    order = next_("argsort", i.out)
    ordered = order and next_("subtensor", i.out, order.out)
    starts = ordered and next_("run_starts", ordered.out)
    found = starts and ordered and next_("subtensor", ordered.out, starts.out)
    if order is None or ordered is None or starts is None or found is None:
        return None
    return Idiom(i, order, ordered, starts, found)


class DistinctRows:
    """The compiled call for ids of a dtype. number: of a buffer in the workspace, or None where results may leave."""

    def __init__(self, dtype: str, number: int | None) -> None:
        self.dtype, self.number = dtype, number
        self.kernel: Kernel | None = None

    def compile(self) -> Kernel:
        """The compiled call."""
        if self.kernel is None:
            row = array("int64", 1, writeable=True)
            self.kernel = compiled(SOURCE, [array(self.dtype, 1, writeable=False), WHOLE, *[row] * 7])
        return self.kernel

    def __call__(self, ids: Array, n: Any) -> tuple[Array, Array, Array, Array, Array]:
        """ids: (B,); n: the number of rows. Gives the five results of the idiom; raises IndexError."""
        kernel = self.kernel or self.compile()
        count = len(ids)
        shape = (6 * count + LARGEST_DIGIT,)
        kept = np.empty(shape, np.int64) if self.number is None else place(self.number, shape, np.int64)
        parts = [kept[k * count : (k + 1) * count] for k in range(6)]
        runs = kernel(np.ascontiguousarray(ids), int(n), *parts, kept[6 * count :])
        if runs < 0:
            raise IndexError("position out of range")
        rows, order, ordered, starts, found, _ = parts
        return rows, order, ordered, starts[:runs], found[:runs]
