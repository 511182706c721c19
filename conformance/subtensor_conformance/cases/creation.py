"""Tensors from lengths and values that are known while the graph is built, or from the shapes of inputs."""

from __future__ import annotations

from collections.abc import Iterator

from subtensor_conformance.case import Call, Case, array, given, value

FIXED = (
    ("arange", "st.arange(5)"),
    ("arange-from", "st.arange(2, 9, 3)"),
    ("arange-down", "st.arange(5, 0, -2)"),
    ("arange-empty", "st.arange(3, 3)"),
    ("arange-float", "st.arange(0.5, 2.0, 0.25)"),
    ("arange-int32", "st.arange(4, dtype='int32')"),
    ("zeros", "st.zeros((2, 3))"),
    ("zeros-int", "st.zeros((2,), dtype='int32')"),
    ("ones", "st.ones((2, 0))"),
    ("full", "st.full((2, 2), 7)"),
    ("full-dtype", "st.full((3,), 2.5, dtype='float32')"),
    ("eye", "st.eye(3)"),
    ("eye-wide", "st.eye(2, 4, k=1)"),
    ("eye-int", "st.eye(3, 3, k=-1, dtype='int64')"),
    ("constant", "st.constant([1, 2], dtype='uint8')"),
    ("constant-float", "st.constant(2.5)"),
)
LIKE = (
    ("zeros-like", "st.zeros_like(x)"),
    ("ones-like", "st.ones_like(x)"),
    ("ones-like-dtype", "st.ones_like(x, dtype='int8')"),
    ("tril", "st.tril(x)"),
    ("triu", "st.triu(x, 1)"),
)


def cases() -> Iterator[Case]:
    for name, source in FIXED:
        yield Case(f"create/{name}", outputs=(source,), quick=True)
    for name, source in LIKE:
        for dtype in ("float64", "int32"):
            for shape in ((3, 3), (2, 4), (0, 2)):
                v = array(dtype, shape, 1)
                yield Case(
                    f"create/{name}/{dtype}/{shape[0]}x{shape[1]}",
                    inputs=(given("x", v),),
                    outputs=(source,),
                    calls=(Call((v,)),),
                    quick=dtype == "float64",
                )
    v = value("float64", [1.5, 2.0, 4.0])
    yield Case(
        "create/arange-of-length", (given("x", v),), outputs=("st.arange(st.length(x, 0)) * x",), calls=(Call((v,)),)
    )
