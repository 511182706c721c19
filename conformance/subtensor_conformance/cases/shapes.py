"""Rearranging: nothing is computed, everything is exact."""

from __future__ import annotations

from collections.abc import Iterator

from subtensor_conformance.case import Call, Case, array, given

ONE: tuple[tuple[str, tuple[int, ...], str], ...] = (
    ("reshape", (2, 3), "x.reshape((3, 2))"),
    ("reshape-infer", (2, 3, 2), "x.reshape((4, -1))"),
    ("reshape-scalar", (1, 1), "x.reshape(())"),
    ("reshape-empty", (0, 3), "x.reshape((3, 0))"),
    ("reshape-to-1d", (2, 3), "x.reshape((-1,))"),
    ("reshape-of-transposed", (2, 3), "x.T.reshape((6,))"),
    ("flatten", (2, 2, 2), "x.flatten()"),
    ("transpose", (2, 3), "x.T"),
    ("transpose-3", (2, 3, 4), "st.transpose(x, (1, 2, 0))"),
    ("transpose-4", (1, 2, 3, 2), "st.transpose(x, (3, 1, 0, 2))"),
    ("transpose-empty", (0, 3), "x.T"),
    ("expand", (2, 3), "st.expand_dims(x, 1)"),
    ("expand-two", (2,), "st.expand_dims(x, (0, 2))"),
    ("squeeze", (2, 1, 3), "st.squeeze(x, 1)"),
    ("broadcast", (3,), "st.broadcast_to(x, (2, 3))"),
    ("broadcast-axis", (2, 1), "st.broadcast_to(x, (2, 3))"),
    ("broadcast-scalar", (), "st.broadcast_to(x, (2, 2))"),
    ("broadcast-empty", (1, 3), "st.broadcast_to(x, (0, 3))"),
    ("broadcast-large", (3,), "st.broadcast_to(x, (70, 30, 3))[-1]"),
    ("flip", (2, 3), "st.flip(x, 1)"),
    ("roll", (5,), "st.roll(x, 2, 0)"),
    ("roll-negative", (2, 3), "st.roll(x, -1, 1)"),
    ("repeat", (2, 3), "st.repeat(x, 2, 1)"),
    ("repeat-none", (3,), "st.repeat(x, 0, 0)"),
    ("tile", (2, 3), "st.tile(x, (2, 1))"),
    ("diagonal", (3, 4), "st.diagonal(x)"),
    ("diagonal-above", (3, 4), "st.diagonal(x, 2)"),
    ("diagonal-below", (3, 4), "st.diagonal(x, -1)"),
    ("shape", (2, 0, 3), "st.shape(x)"),
    ("identity", (2, 3), "x"),
    ("identity-scalar", (), "x"),
)
TWO: tuple[tuple[str, tuple[int, ...], tuple[int, ...], str], ...] = (
    ("concatenate", (2, 3), (1, 3), "st.concatenate([x, y], axis=0)"),
    ("concatenate-columns", (2, 3), (2, 2), "st.concatenate([x, y], axis=1)"),
    ("concatenate-empty", (0, 3), (2, 3), "st.concatenate([x, y], axis=0)"),
    ("concatenate-self", (3,), (2,), "st.concatenate([x, y, x], axis=0)"),
    ("stack", (2, 3), (2, 3), "st.stack([x, y])"),
    ("stack-last", (2, 3), (2, 3), "st.stack([x, y], axis=-1)"),
    ("stack-scalars", (), (), "st.stack([x, y])"),
    ("stack-middle", (2, 3), (2, 3), "st.stack([y, x, y], axis=1)"),
)


def cases() -> Iterator[Case]:
    for n, (name, shape, source) in enumerate(ONE):
        for dtype in ("float64", "float32", "int32", "bool", "float16"):
            v = array(dtype, shape, 2)
            for static in (True, False):
                yield Case(
                    f"shape/{name}/{dtype}/{'static' if static else 'run-time'}",
                    inputs=(given("x", v, static),),
                    outputs=(source,),
                    calls=(Call((v,)),),
                    capability="float16" if dtype == "float16" else None,
                    quick=dtype == ("float64" if n % 3 else "bool") and static == bool(n % 2) and n % 4 < 3,
                    tags=tuple(
                        t for t in ("empty", "reshape", "transpose") if t in name or (t == "empty" and 0 in shape)
                    ),
                )
    for name, a, b, source in TWO:
        for dtype in ("float64", "int32", "bool"):
            x, y = array(dtype, a, 2), array(dtype, b, 3)
            yield Case(
                f"shape/{name}/{dtype}",
                inputs=(given("x", x), given("y", y)),
                outputs=(source,),
                calls=(Call((x, y)),),
                quick=dtype == "float64",
            )
    x, y = array("float32", (2,), 1), array("int64", (3,), 2)
    yield Case(
        "shape/concatenate/promotes", (given("x", x), given("y", y)), outputs=("st.concatenate([x, y])",),
        calls=(Call((x, y)),),
    )  # fmt: skip
