"""Inputs are never written to; outputs and ``get_value()`` belong to the caller; state belongs to the function.

Every case looks for this; those here are the programs in which a backend is tempted.
"""

from __future__ import annotations

from collections.abc import Iterator

from subtensor_conformance.case import Call, Case, array, given, state, value

TEMPTING: tuple[tuple[str, str], ...] = (
    ("identity", "x"),
    ("slice", "x[1:]"),
    ("whole-slice", "x[:]"),
    ("row", "x[0]"),
    ("transpose", "x.T"),
    ("reshape", "x.reshape((-1,))"),
    ("expand", "st.expand_dims(x, 0)"),
    ("same-dtype", "x.astype('float64')"),
    ("set", "x[0].set(0)"),
    ("inc-rows", "x[i].inc(1)"),
    ("set-slice", "x[1:].set(x[:-1])"),
    ("set-overlapping", "x[::-1].set(x)"),
    ("inc-overlapping", "x[1:].inc(x[:-1])"),
    ("chain", "x[0].set(1)[1].inc(2)[i].inc(3)"),
    ("set-of-transposed", "x.T[0].set(0)"),
    ("broadcast", "st.broadcast_to(x[0], (3, 2))"),
    ("where", "st.where(x > 0, x, x)"),
    ("sort", "st.sort(x, axis=0)"),
    ("cumsum", "st.cumsum(x, axis=0)"),
    ("constant", "st.constant([1.0, 2.0])"),
    ("constant-written", "st.constant([1.0, 2.0, 3.0])[i].inc(1)"),
    ("zeros-written", "st.zeros_like(x)[i].inc(x[i])"),
)


def cases() -> Iterator[Case]:
    x, i = array("float64", (4, 2), 1), value("int64", [1, 2, 1])
    for name, source in TEMPTING:
        yield Case(
            f"ownership/input/{name}",
            inputs=(given("x", x), given("i", i)),
            outputs=(source,),
            calls=(Call((x, i)),),
            tags=("input",),
        )
        yield Case(
            f"ownership/state/{name}",
            inputs=(given("i", i),),
            shared=(state("x", x),),
            outputs=(source, "x.sum()"),
            calls=(Call((i,)), Call((i,))),
            tags=("state",),
        )
    yield Case(
        "ownership/twice-the-same",
        inputs=(given("x", x),),
        outputs=("x * 2", "x * 2", "x", "x"),
        calls=(Call((x,)),),
        tags=("outputs",),
    )
    yield Case(
        "ownership/views-of-one",
        inputs=(given("x", x),),
        outputs=("(x * 2)", "(x * 2)[1:]", "(x * 2).T"),
        calls=(Call((x,)),),
        tags=("outputs",),
    )
    yield Case(
        "ownership/input-kept-as-state", inputs=(given("y", x),), shared=(state("x", x),), updates=(("x", "y"),),
        outputs=("x",), calls=(Call((array("float64", (4, 2), 5),)), Call((array("float64", (4, 2), 6),))), tags=("state",),
    )  # fmt: skip
    yield Case(
        "ownership/input-view-kept-as-state", inputs=(given("y", x),), shared=(state("x", array("float64", (2, 4), 2)),),
        updates=(("x", "y.T"),), outputs=("x",), calls=(Call((x,)), Call((array("float64", (4, 2), 6),))), tags=("state",),
    )  # fmt: skip
    yield Case(
        "ownership/state-is-output", shared=(state("x", x),), updates=(("x", "x + 1"),), outputs=("x + 1", "x"),
        calls=(Call(), Call(), Call()), tags=("state",),
    )  # fmt: skip
    yield Case(
        "ownership/two-states-one-value", shared=(state("x", x), state("z", x)), updates=(("x", "x + z"), ("z", "x + z")),
        calls=(Call(), Call()), tags=("state",),
    )  # fmt: skip
    several = tuple(Call((array("float64", (4, 2), s), i)) for s in (1, 2, 3))
    yield Case(
        "ownership/fresh-values",
        inputs=(given("x", x), given("i", i)),
        outputs=("x[i] * 2",),
        calls=several,
        tags=("repeat",),
    )
    shapes = tuple(Call((array("float64", s, 4),)) for s in ((4, 2), (1, 2), (0, 2), (3, 2), (4, 2)))
    yield Case(
        "ownership/fresh-shapes",
        inputs=(given("x", x),),
        outputs=("x * 2 + x[:1]", "x.sum(axis=0)"),
        calls=shapes,
        tags=("repeat",),
    )
    ids = tuple(value("int64", [(n * k + 1) % 7 for k in range(40)]) for n in (1, 2, 3))
    m, n = array("float64", (7, 30), 1), array("float64", (30, 20), 2)
    for name, outputs in (
        ("rows", ("table[i] * 2 + 1", "st.sqr(table[i]).sum(axis=1)")),
        ("written", ("x[i].inc(x[i])", "st.zeros_like(x)[i].inc(1)")),
        ("product", ("x[i] @ n", "st.exp(x[i]) * x[i]", "st.sort(x[i], axis=1)")),
    ):
        yield Case(
            f"ownership/threads/{name}", inputs=(given("x", m), given("n", n), given("i", ids[0])),
            shared=(state("table", array("float64", (7, 30), 3)),), outputs=outputs,
            calls=tuple(Call((array("float64", (7, 30), 4 + k), n, i)) for k, i in enumerate(ids)),
            ulps=16, addends=30, together=True, tags=("threads", "repeat"),
        )  # fmt: skip
