"""What Python cannot say and compiled loops need: additions in any order, and rows asked for before they are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils as any_cgutils
from numba.core import types
from numba.extending import intrinsic

cgutils: Any = any_cgutils  # it has no types
Generator = Callable[[Any, Any, Any, Any], Any]


@intrinsic
def plus(typing: Any, a: Any, b: Any) -> tuple[Any, Generator]:
    """``a + b``, in whatever order is fastest where a loop adds many. Only sums over axes may be written with it."""
    return a(a, a), lambda context, builder, signature, args: builder.fadd(*args, flags=("reassoc",))


@intrinsic
def times(typing: Any, a: Any, b: Any) -> tuple[Any, Generator]:
    """``a * b``, likewise, for products over axes."""
    return a(a, a), lambda context, builder, signature, args: builder.fmul(*args, flags=("reassoc",))


def _asking(lines: int) -> Any:
    def prefetch(typing: Any, table: Any, row: Any) -> tuple[Any, Generator]:
        """Ask for the first lines of a row of a table, which will be read soon. A row out of range does no harm."""

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            array = context.make_array(signature.args[0])(context, builder, args[0])
            strides = cgutils.unpack_tuple(builder, array.strides)
            byte = builder.bitcast(array.data, ir.IntType(8).as_pointer())
            start = builder.gep(byte, [builder.mul(args[1], strides[0])])
            i32 = ir.IntType(32)
            kind = ir.FunctionType(ir.VoidType(), [start.type, i32, i32, i32])
            fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
            for line in range(lines):
                at = builder.gep(start, [ir.Constant(ir.IntType(64), 64 * line)])
                builder.call(fetch, [at, i32(0), i32(3), i32(1)])
            return context.get_dummy_value()

        return types.void(table, types.intp), generate

    return intrinsic(prefetch)


LINES = 4
"""Cache lines of a row that are asked for; the hardware goes on by itself from there."""

prefetch = _asking(LINES)
prefetch_one = _asking(1)
