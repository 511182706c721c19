"""Bags of rows: how they are told, empty ones, modes, weights; gradients with respect to the table and the weights."""

from __future__ import annotations

from collections.abc import Iterator

from subtensor_conformance.case import Call, Case, Value, array, given, state, value

ROWS = (0.5, -1.25, 2.0, 0.75, -0.25, 1.5, 1.25, -0.5, 0.125, 3.0)
"""No two of a column are near each other: the greatest has a gradient."""
TABLE = state("t", Value("float64", (5, 2), ROWS))
IDS = value("int64", [1, 3, 1, -2, 0, 1])
MODES = ("sum", "mean", "max", "sqrtn")
TOLD = {
    "lengths": (value("int64", [2, 0, 3, 1]), "lengths=n", ""),
    "offsets": (value("int64", [0, 2, 2, 5]), "offsets=n", ""),
    "segments": (value("int64", [0, 0, 2, 2, 2, 3]), "segments=n, num_bags=4", ""),
}


def cases() -> Iterator[Case]:
    for name, (n, told, _) in TOLD.items():
        for mode in MODES:
            yield _case(f"{name}/{mode}", {"i": IDS, "n": n}, f'st.embedding_bag(t, i, {told}, mode="{mode}")')
    matrix, mask = value("int64", [[1, 3, 1], [0, 4, 2]]), value("bool", [[True, True, False], [False] * 3])
    for mode in MODES:
        yield _case(
            f"mask/{mode}",
            {"i": matrix, "m": mask},
            f'st.embedding_bag(t, i, mask=m, mode="{mode}")',
            tags=("padding",),
        )
        yield _case(f"matrix/{mode}", {"i": matrix}, f'st.embedding_bag(t, i, mode="{mode}")')
    weights = Value("float64", (6,), (0.5, -1.0, 2.0, 0.25, 0.75, 1.5))
    for mode in ("sum", "mean", "sqrtn"):
        yield _case(
            f"weights/{mode}", {"i": IDS, "n": TOLD["lengths"][0], "w": weights},
            f'st.embedding_bag(t, i, lengths=n, weights=w, mode="{mode}")', wrt=("t", "w"),
        )  # fmt: skip
    none = value("int64", [])
    for mode in MODES:
        yield _case(
            f"empty/{mode}", {"i": none, "n": value("int64", [0, 0])}, f'st.embedding_bag(t, i, lengths=n, mode="{mode}")',
            tags=("empty",),
        )  # fmt: skip
    yield _case("float32", {"i": IDS, "n": TOLD["lengths"][0]}, "st.embedding_bag(t, i, lengths=n)", dtype="float32")
    yield _step()
    yield from _errors()


def _case(
    name: str, values: dict[str, Value], source: str, *, wrt: tuple[str, ...] = ("t",), dtype: str = "float64",
    tags: tuple[str, ...] = (),
) -> Case:  # fmt: skip
    """The bags, and the gradient of a sum over them in which each element counts otherwise."""
    table = state("t", Value(dtype, (5, 2), ROWS))
    slope = "(b * b * b).sum()" if dtype == "float64" else "(b * b).sum()"
    grads = tuple(f"st.grad({slope}, {v})" for v in wrt) if dtype == "float64" else ()
    return Case(
        f"bags/{name}", inputs=tuple(given(n, v) for n, v in values.items()), shared=(table,), lets=(("b", source),),
        outputs=("b", *grads), calls=(Call(tuple(values.values())),), ulps=32, addends=8,
        absolute=1e-6 if dtype == "float64" else 0, tags=("duplicates", *tags), quick=name in ("lengths/mean", "mask/max"),
        capability=None if name.startswith(_STATIC) else "dynamic_shapes",
    )  # fmt: skip


_STATIC = ("mask/", "matrix/", "segments/sum", "segments/mean", "segments/sqrtn")
"""Bags of which shapes alone say how many elements and bags there are; others count, or look for what begins a bag."""


def _step() -> Case:
    """A step that writes the rows of bags."""
    values = {"i": IDS, "n": TOLD["lengths"][0], "y": array("float64", (4, 2), 4)}
    return Case(
        "bags/step", inputs=tuple(given(n, v) for n, v in values.items()), shared=(TABLE,),
        lets=(("b", 'st.embedding_bag(t, i, lengths=n, mode="mean")'),),
        updates=(("t", "t - 0.5 * st.grad((b * y).sum(), t)"),), calls=(Call(tuple(values.values())),) * 2,
        ulps=32, addends=8, absolute=1e-6, tags=("duplicates",), capability="dynamic_shapes",
    )  # fmt: skip


def _errors() -> Iterator[Case]:
    text = "t[i]: index 5 at position (1,) of i is out of bounds for axis 0 of t, which has size 5; expected -5 <= index < 5"
    yield Case(
        "bags/out-of-bounds", inputs=(given("i", IDS), given("n", IDS)), shared=(TABLE,),
        outputs=("st.embedding_bag(t, i, lengths=n)",),
        calls=(Call((value("int64", [1, 5, 0]), value("int64", [3])), raises=("BoundsError", text)),), tags=("out of bounds",),
        capability="dynamic_shapes",
    )  # fmt: skip
