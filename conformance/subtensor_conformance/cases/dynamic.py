"""Masks, and shapes that depend on values: several values for one program."""

from __future__ import annotations

from collections.abc import Iterator

from subtensor_conformance.case import Call, Case, Given, Value, array, given, value

CAPABILITY = "dynamic_shapes"


def _case(
    name: str, inputs: tuple[Given, ...], outputs: tuple[str, ...], *calls: tuple[Value, ...], **more: object
) -> Case:
    more = {"capability": CAPABILITY, **more}
    return Case(f"dynamic/{name}", inputs=inputs, outputs=outputs, calls=tuple(Call(c) for c in calls), **more)  # type: ignore[arg-type]  # fields of Case


def cases() -> Iterator[Case]:
    x = array("float64", (4, 3), 1)
    masks = [
        value("bool", m) for m in ([True, False, True, True], [False] * 4, [True] * 4, [False, False, True, False])
    ]
    xm = (given("x", x), given("m", masks[0]))
    each = [(x, m) for m in masks]
    mask = ("mask",)
    yield _case("mask/get", xm, ("x[m]",), *each, tags=mask)
    yield _case("mask/set", xm, ("x[m].set(0)",), *each, tags=mask)
    yield _case("mask/inc", xm, ("x[m].inc(x[m])",), *each, tags=mask)
    # The frontend knows two things of a selection by a mask without making it: a masked sum, and its length.
    yield _case("mask/sum", xm, ("x[m].sum(axis=0)", "m.sum()"), *each, tags=mask, capability=None)
    yield _case("mask/not", xm, ("x[~m]",), *each, tags=mask)
    yield _case("mask/of-mask", xm, ("x[m][::-1]", "x[m].T"), *each, tags=mask)
    yield _case("mask/length", xm, ("st.shape(x[m])",), *each, tags=mask, capability=None)
    yield _case("mask/flatnonzero", xm, ("st.flatnonzero(m)", "st.flatnonzero(x > 0)"), *each, tags=mask)
    full = [
        value("bool", m)
        for m in ([[False, True, False]] * 4, [[True] * 3, [False] * 3, [False, True, True], [True, False, False]])
    ]
    xf = (given("x", x), given("m", full[0]))
    yield _case("mask/matrix-get", xf, ("x[m]",), *((x, m) for m in full), tags=(*mask, "matrix"))
    yield _case("mask/matrix-set", xf, ("x[m].set(0)",), *((x, m) for m in full), tags=(*mask, "matrix"))
    yield _case("mask/matrix-inc-values", xf, ("x[m].inc(x[m] * 2)",), *((x, m) for m in full), tags=(*mask, "matrix"))
    yield _case(
        "mask/comparison",
        (given("x", x),),
        ("x[x > 0]", "x[x > 0].inc(1)"),
        (x,),
        (array("float64", (2, 5), 9),),
        tags=mask,
    )
    cube = array("float64", (2, 3, 2), 5)
    flat = value("bool", [[True, False, True], [False, False, True]])
    yield _case(
        "mask/partial",
        (given("x", cube), given("m", flat)),
        ("x[m]", "x[m].set(1)"),
        (cube, flat),
        tags=(*mask, "matrix"),
    )
    ends = value("bool", [True, False])
    yield _case(
        "mask/last-axis",
        (given("x", cube), given("m", ends)),
        ("x[..., m]",),
        (cube, ends),
        (cube, value("bool", [True, True])),
        tags=mask,
    )
    lengths = [value("int64", n) for n in (3, 0, 5, 3)]
    n = (given("n", lengths[0]),)
    yield _case("arange", n, ("st.arange(n)", "st.arange(n).sum()"), *((v,) for v in lengths))
    yield _case(
        "arange-float",
        (given("n", value("float64", 2.5)),),
        ("st.arange(0.0, n, 0.5)",),
        (value("float64", 2.5),),
        (value("float64", 0.0),),
    )
    yield _case("zeros", n, ("st.zeros((n, 2))", "st.ones((n,)).sum()"), *((v,) for v in lengths))
    yield _case("eye", n, ("st.eye(n)",), *((v,) for v in lengths))
    yield _case(
        "full",
        (*n, given("v", value("float64", 2.5))),
        ("st.full((2, n), v)",),
        *((v, value("float64", 1.5)) for v in lengths),
    )
    y = array("float64", (6,), 2)
    bounds = [
        (y, value("int64", a), value("int64", b)) for a, b in ((1, 4), (0, 6), (4, 2), (-3, -1), (2, 99), (-99, 1))
    ]
    yab = (given("y", y), given("a", value("int64", 1)), given("b", value("int64", 1)))
    yield _case("slice/get", yab, ("y[a:b]",), *bounds, tags=("bounds",))
    yield _case("slice/set", yab, ("y[a:b].set(0)",), *bounds, tags=("bounds",))
    yield _case("slice/inc", yab, ("y[a:b].inc(y[a:b])",), *bounds, tags=("bounds",))
    yield _case("slice/sum", yab, ("y[a:b].sum()", "y[:a].sum() + b"), *bounds, tags=("bounds",))
    yield _case(
        "slice/arange",
        yab,
        ("y[st.arange(a, a + 2)]", "y[b - 1:].sum()"),
        bounds[0],
        (y, value("int64", 3), value("int64", 6)),
    )
    steps = [(y, value("int64", s)) for s in (1, 2, -1, -2, 7)]
    yield _case(
        "slice/step",
        (given("y", y), given("c", value("int64", 1))),
        ("y[::c]", "y[::c].sum()"),
        *steps,
        tags=("bounds",),
    )
    yield _case(
        "reshape",
        (given("y", y), given("n", value("int64", 2))),
        ("y.reshape((n, -1))",),
        (y, value("int64", 2)),
        (y, value("int64", 3)),
        (y, value("int64", 6)),
    )
    times = value("int64", [2, 0, 1])
    v = array("float64", (3,), 4)
    yield _case(
        "repeat",
        (given("v", v), given("t", times)),
        ("st.repeat(v, t, 0)",),
        (v, times),
        (v, value("int64", [0, 0, 0])),
    )
    ids = [value("int64", i) for i in ([0, 1], [], [3, 3, 3], [2])]
    yield Case(
        "dynamic/ids-of-any-length", inputs=(given("x", x), given("i", ids[0])), outputs=("x[i]", "x[i].inc(1)", "x[i].sum()"),
        calls=tuple(Call((x, i)) for i in ids),
    )  # fmt: skip
    yield _case("grad-through-mask", xm, ("st.grad((x[m] * x[m]).sum(), x)",), *each[:2], absolute=1e-9, tags=mask)
