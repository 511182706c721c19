"""Products of vectors, matrices, stacks and tensors."""

from __future__ import annotations

from collections.abc import Iterator

from subtensor_conformance.case import Call, Case, Value, array, given

PRODUCTS: tuple[tuple[str, tuple[int, ...], tuple[int, ...], str, int], ...] = (
    ("matmul", (2, 3), (3, 4), "x @ y", 3),
    ("matmul-square", (3, 3), (3, 3), "x @ y", 3),
    ("matmul-transposed", (3, 2), (3, 4), "x.T @ y", 3),
    ("matmul-transposed-both", (3, 2), (4, 3), "x.T @ y.T", 3),
    ("matmul-vector-matrix", (3,), (3, 2), "x @ y", 3),
    ("matmul-matrix-vector", (2, 3), (3,), "x @ y", 3),
    ("matmul-vectors", (4,), (4,), "x @ y", 4),
    ("matmul-stack", (2, 2, 3), (2, 3, 2), "x @ y", 3),
    ("matmul-stack-broadcast", (2, 1, 2, 3), (3, 3, 2), "x @ y", 3),
    ("matmul-stack-matrix", (2, 2, 3), (3, 2), "x @ y", 3),
    ("matmul-empty-inner", (2, 0), (0, 3), "x @ y", 1),
    ("matmul-empty-outer", (0, 3), (3, 2), "x @ y", 3),
    ("dot", (2, 3), (3, 2), "st.dot(x, y)", 3),
    ("outer", (2,), (3,), "st.outer(x, y)", 1),
    ("tensordot", (2, 3, 4), (4, 3, 2), "st.tensordot(x, y, axes=[[1, 2], [1, 0]])", 12),
    ("einsum-rows", (3, 4), (3, 4), "st.einsum('ij,ij->i', x, y)", 4),
    ("einsum-matmul", (3, 4), (4, 2), "st.einsum('ij,jk->ik', x, y)", 4),
    ("einsum-transposed", (4, 3), (4, 2), "st.einsum('ji,jk->ki', x, y)", 4),
    ("einsum-square", (3, 3), (3, 3), "st.einsum('ij,kj->ki', x, y)", 3),
    ("einsum-batch", (2, 3, 4), (2, 4), "st.einsum('bij,bj->bi', x, y)", 4),
    ("einsum-all", (3, 4), (3, 4), "st.einsum('ij,ij->', x, y)", 12),
)


def cases() -> Iterator[Case]:
    for dtype in ("float64", "float32"):
        thirds = Value(dtype, (3, 3), tuple(1 + 1 / k for k in range(3, 12)))
        yield Case(
            f"linalg/matmul-digits/{dtype}",
            inputs=(given("x", thirds),),
            outputs=("x @ x", "st.einsum('ij,kj->ki', x, x)"),
            calls=(Call((thirds,)),),
            ulps=4,
            addends=3,
        )
    for name, a, b, source, addends in PRODUCTS:
        for dtype in ("float64", "float32", "int32", "int64"):
            x, y = array(dtype, a, 2), array(dtype, b, 3)
            yield Case(
                f"linalg/{name}/{dtype}",
                inputs=(given("x", x), given("y", y)),
                outputs=(source,),
                calls=(Call((x, y)),),
                ulps=0 if dtype.startswith("int") else 4,
                addends=addends + 1,
                quick=dtype == ("float64" if len(name) % 2 else "float32") or name == "matmul",
                tags=("product",),
            )
