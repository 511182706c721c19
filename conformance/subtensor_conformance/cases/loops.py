"""Loops: order, taps, states, conditions, updates; gradients; subsets read and written within; what is refused."""

from __future__ import annotations

from collections.abc import Iterator

from subtensor_conformance.case import Call, Case, Value, array, given, state, value

BY_DIFFERENCES = 1e-9
"""What fourth-order differences in 64 bits leave undecided."""

F32 = "float32"
TRUNCATED = {"x": array("float64", (3,), 5), "s": value("float64", 0.5), "a": value("float64", 0.75)}


def cases() -> Iterator[Case]:
    yield from _forward()
    yield from _gradients()
    yield from _subsets()
    yield from _state()
    yield from _errors()
    yield from _choices()


def _case(name: str, values: dict[str, Value], output: str, *tags: str, lets: tuple[tuple[str, str], ...] = (),
          absolute: float = 1e-12, quick: bool = True, static: bool = False, capability: str | None = None) -> Case:  # fmt: skip
    outputs = tuple(output.split(" ; "))
    single = any(v.dtype == F32 for v in values.values())
    return Case(
        f"loops/{name}",
        inputs=tuple(given(n, v, static=static) for n, v in values.items()),
        lets=lets,
        outputs=outputs,
        calls=(Call(tuple(values.values())),),
        tags=tags,
        absolute=1e-5 if single else absolute,
        quick=quick,
        capability=capability,
    )


def _forward() -> Iterator[Case]:
    for dtype in ("float64", F32, "int64"):
        x, s = array(dtype, (4, 3), 1), array(dtype, (3,), 2)
        yield _case(f"order/{dtype}", {"x": x, "s": s}, "st.scan(lambda e, s: s + s + e, x, s)[0]", "order", "state")
        yield _case(
            f"order/backwards/{dtype}", {"x": x, "s": s}, "st.scan(lambda e, s: s + s + e, x, s, go_backwards=True)[0]",
            "order", "state", "reversed",
        )  # fmt: skip
    x, y, s = array("float64", (6, 2), 3), array("float64", (6, 2), 4), array("float64", (2,), 5)
    past = array("float64", (3, 2), 6)
    none = {"x": array("float64", (0, 2)), "s": s}
    yield _case("none", none, "st.scan(lambda e, s: s * e, x, s)[0] ; st.scan(lambda e: e + 1, x)[0]", "none")
    yield _case("none/steps", {"s": s}, "st.scan(lambda s: s * s, outputs_info=s, n_steps=0)[0]", "none")
    yield _case("one", {"x": array("float64", (1, 2), 3), "s": s}, "st.scan(lambda e, s: s * e, x, s)[0]", "state")
    yield _case("last", {"x": x, "s": s}, "st.scan(lambda e, s: s * 0.5 + e, x, s)[0][-1]", "last", "state")
    yield _case("first-steps", {"x": x, "s": s}, "st.scan(lambda e, s: s * 0.5 + e, x, s, n_steps=4)[0]", "state")
    for n in (0, 1, 5):
        yield _case(
            f"count/{n}", {"s": s, "n": value("int64", n)}, "st.scan(lambda s: s * 0.5 + 1, outputs_info=s, n_steps=n)[0]",
            "count", "state", capability="dynamic_shapes",
        )  # fmt: skip
        if n:
            yield _case(
                f"count/last/{n}", {"s": s, "n": value("int64", n)},
                "st.scan(lambda s: s * 0.5 + 1, outputs_info=s, n_steps=n)[0][-1]", "count", "state", "last",
            )  # fmt: skip
    taps = '{"input": x, "taps": [-2, 0, 1]}'
    for word in ("", ", go_backwards=True"):
        yield _case(
            f"taps/sequence{'/backwards' if word else ''}", {"x": x, "s": s},
            f"st.scan(lambda a, b, c, s: 0.5 * s + a - 2 * b + 4 * c, {taps}, s{word})[0]", "taps", "state",
            *(("reversed",) if word else ()),
        )  # fmt: skip
    yield _case(
        "taps/output", {"x": x, "past": past},
        'st.scan(lambda e, a, b: 0.5 * a - 0.25 * b + e, x, {"initial": past, "taps": [-3, -1]})[0]', "taps", "state",
    )  # fmt: skip
    yield _case(
        "taps/both", {"x": x, "y": y, "past": past, "s": s},
        'st.scan(lambda a, b, c, p, q, r: [0.5 * p + a - c * r, r * 0.5 + q - b], '
        '[{"input": x, "taps": [-1, 0]}, {"input": y, "taps": [-1]}], '
        '[{"initial": past, "taps": [-2, -3]}, s])[0][0]', "taps", "state",
    )  # fmt: skip
    yield _case(
        "several", {"x": x, "s": s}, "o[0] ; o[1] ; o[2]", "state",
        lets=(("o", "st.scan(lambda e, s: [e * e, s - e, (s * e).sum()], x, [None, s, None])[0]"),),
    )  # fmt: skip
    yield _case(
        "swapped", {"a": s, "b": array("float64", (2,), 8)}, "o[0] ; o[1]", "state",
        lets=(("o", "st.scan(lambda a, b: [b, a + 0.5], outputs_info=[a, b], n_steps=5)[0]"),),
    )  # fmt: skip
    yield _case(
        "number", {"x": array(F32, (4,), 3)}, "st.scan(lambda e, s: s + e, x, st.constant(0.5).astype('float32'))[0]"
    )
    yield _case("map", {"x": x, "y": y}, "st.map(lambda a, b: a * b + a, [x, y])[0]")
    yield _case(
        "folds", {"x": x, "s": s},
        "st.reduce(lambda e, s: s * 0.5 + e, x, s)[0] ; st.foldl(lambda e, s: s * 0.5 + e, x, s)[0] ; "
        "st.foldr(lambda e, s: s * 0.5 + e, x, s)[0]", "last", "state", "reversed",
    )  # fmt: skip
    rows = array("float64", (3, 4), 9)
    nested = "lambda row, s: s + st.scan(lambda e, u, k: u * 0.5 + e * k, row, s * 0.0, non_sequences=s)[0][-1]"
    yield _case("nested", {"x": rows, "s": value("float64", 0.5)}, f"st.scan({nested}, x, s)[0]", "state", "nested")
    for m, name in ((40.0, "some"), (-1.0, "first"), (1e9, "never")):
        yield _case(
            f"until/{name}", {"s": value("float64", [1.0, 2.0]), "m": value("float64", m)},
            "st.scan(lambda s, m: (s + s, st.until(s.sum() > m)), outputs_info=s, non_sequences=m, n_steps=9)[0]", "until",
            "state", capability="dynamic_shapes",
        )  # fmt: skip
        yield _case(
            f"until/last/{name}", {"s": value("float64", [1.0, 2.0]), "m": value("float64", m)},
            "st.scan(lambda s, m: (s + s, st.until(s.sum() > m)), outputs_info=s, non_sequences=m, n_steps=9)[0][-1]",
            "until", "state", "last",
        )  # fmt: skip


def _gradients() -> Iterator[Case]:
    X, h, W = array("float64", (3, 2, 2), 1), array("float64", (2, 2), 2), array("float64", (2, 2), 3)
    small = {"X": X, "h": h, "W": W}
    body = "lambda e, h: st.tanh(e * 0.25 + (h @ W) * 0.25)"
    wholes = (("all", "(o * o).sum()"), ("last", "(o[-1] * o[-1]).sum()"), ("middle", "(o[1] * o[1]).sum()"))
    for name, cost in wholes:
        for wrt in ("X", "h", "W"):
            yield _case(
                f"gradient/{name}/{wrt}", small, f"st.grad({cost}, {wrt})", "gradient", "state",
                lets=(("o", f"st.scan({body}, X, h)[0]"),), absolute=BY_DIFFERENCES, quick=wrt != "X" or name == "all",
            )  # fmt: skip
    past = array("float64", (2, 2), 6)
    seen = '{"input": x, "taps": [0, 1]}, {"initial": past, "taps": [-2, -1]}'
    scanned = f"st.scan(lambda a, b, p, q: a * p * 0.125 - b * 0.25 + q * 0.5, {seen})[0]"
    for wrt in ("x", "past"):
        yield _case(
            f"gradient/taps/{wrt}", {"x": array("float64", (4, 2), 5), "past": past}, f"st.grad((o * o).sum(), {wrt})",
            "gradient", "state", "taps",
            lets=(("o", scanned),), absolute=BY_DIFFERENCES,
        )  # fmt: skip
    yield _case(
        "gradient/backwards", small, "st.grad((o * o).sum(), W)", "gradient", "state", "reversed",
        lets=(("o", f"st.scan({body}, X, h, go_backwards=True)[0]"),), absolute=BY_DIFFERENCES,
    )  # fmt: skip
    yield _case(
        "gradient/two-outputs", small, "st.grad((o[0] * o[1]).sum(), W)", "gradient", "state",
        lets=(("o", "st.scan(lambda e, h, c: [st.tanh(h @ W * 0.25 + c * 0.5), c * 0.5 + e * h * 0.25], X, [h, h])[0]"),),
        absolute=BY_DIFFERENCES,
    )  # fmt: skip
    body = "lambda s, a: (s * a, st.until(s * a > 20.0))"
    until = f"st.scan({body}, outputs_info=st.constant(1.0), non_sequences=a, n_steps=7)[0]"
    yield _case(
        "gradient/until", {"a": value("float64", 2.0)}, "st.grad(o.sum(), a)", "gradient", "until",
        lets=(("o", until),), absolute=1e-8, capability="dynamic_shapes",
    )  # fmt: skip
    first = "(s * a + x[0])"
    for k, cost in (
        (1, "st.disconnected_grad(o) * a + x[2]"), (2, f"(st.disconnected_grad({first}) * a + x[1]) * a + x[2]"),
        (5, f"({first} * a + x[1]) * a + x[2]"),
    ):  # fmt: skip
        scanned = f"st.scan(lambda e, s, a: s * a + e, x, s, non_sequences=a, truncate_gradient={k})[0][-1]"
        for wrt in ("a", "x", "s"):
            yield Case(
                f"loops/gradient/truncated/{k}/{wrt}",
                inputs=tuple(given(n, v) for n, v in TRUNCATED.items()),
                lets=(("o", f"{first} * a + x[1]"), ("cost", scanned)),
                oracle=(("cost", cost),),
                outputs=(f"st.grad(cost, {wrt})",),
                calls=(Call(tuple(TRUNCATED.values())),),
                tags=("gradient",),
                absolute=BY_DIFFERENCES,
            )
    direction = array("float64", (2, 2), 7)
    for name, output in (
        ("forward", "st.Rop((o * o).sum(0), W, v)"),
        ("product", "st.hessian_vector_product((o[-1] * o[-1]).sum(), W, v)"),
        ("twice", "st.grad((st.grad((o * o).sum(), h) * v).sum(), h)"),
    ):
        linear = "lambda e, h: e * 0.25 + (h @ W) * (h @ W) * 0.125"
        yield _case(
            f"second/{name}", {**small, "v": direction}, output, "gradient", "second",
            lets=(("o", f"st.scan({linear}, X, h)[0]"),), absolute=1e-6, quick=name == "forward",
        )  # fmt: skip


def _subsets() -> Iterator[Case]:
    table, ids = array("float64", (5, 2), 1), value("int64", [1, 4, -1, 1])
    s = array("float64", (2,), 2)
    values = {"t": table, "i": ids, "s": s}
    read = "st.scan(lambda i, s: s * 0.5 + t[i], i, s)[0]"
    yield _case("subset/read", values, read, "subset", "state")
    yield _case(
        "subset/gradient", values, f"st.grad(({read} * {read}).sum(), t)", "subset", "gradient", absolute=BY_DIFFERENCES
    )
    grid = {**values, "i": value("int64", [[1, 1], [0, -2], [3, 1]])}
    many = "st.scan(lambda i, s: s * 0.5 + t[i].sum(0), i, s)[0]"
    yield _case(
        "subset/many",
        grid,
        f"{many} ; st.grad(({many} * {many}).sum(), t)",
        "subset",
        "gradient",
        absolute=BY_DIFFERENCES,
    )
    for write, name in ((".set(t[i] * 2.0)", "set"), (".inc(t[i])", "inc")):
        yield _case(
            f"subset/{name}",
            {"t": table, "i": ids},
            f"st.scan(lambda i, t: t[i]{write}, i, t)[0][-1]",
            "subset",
            "state",
            "last",
        )
    yield _case(
        "subset/read-and-write", {"t": table, "i": ids}, "o[0] ; o[1]", "subset", "state",
        lets=(("o", "st.scan(lambda i, t: [t[i].sum(), t[i].set(t[i] * 0.5 + t[0])], i, [None, t])[0]"),),
    )  # fmt: skip
    ids = value("int64", [[1, 3], [0, 1], [5, 1]])
    for dtype in ("float64", F32):
        cost = f"(st.scan(lambda i, h: h * 0.5 + t[i] * t[i], i, st.zeros((2, 2), {dtype!r}))[0][-1]).sum()"
        yield Case(
            f"loops/subset/step/{dtype}",
            inputs=(given("i", ids),),
            shared=(state("t", array(dtype, (6, 2), 1)),),
            lets=(("cost", cost),),
            outputs=("cost",),
            updates=(("t", "t - st.grad(cost, t) * 0.25"),),
            calls=(Call((ids,)), Call((value("int64", [[2, 2], [2, -1]]),))),
            tags=("subset", "gradient", "state"),
            absolute=1e-5 if dtype == F32 else BY_DIFFERENCES,
        )


def _state() -> Iterator[Case]:
    x = array("float64", (4,), 3)
    counted = "st.scan(lambda e: (e * total, {total: total * 0.5 + e}), x)"
    yield Case(
        "loops/updates/carried",
        inputs=(given("x", x),),
        shared=(state("total", value("float64", 1.5)),),
        lets=(("r", counted),),
        outputs=("r[0]",),
        updates=(("total", "r[1][total]"),),
        calls=(Call((x,)), Call((array("float64", (2,), 4),)), Call((array("float64", (0,)),))),
        tags=("updates", "state"),
        absolute=1e-12,
    )
    table, ids = array("float64", (5, 2), 1), value("int64", [0, 2, 0, -1])
    yield Case(
        "loops/updates/rows",
        inputs=(given("i", ids),),
        shared=(state("t", table),),
        lets=(("r", "st.scan(lambda i: (t[i].sum(), {t: t[i].inc(t[i] * 0.5)}), i)"),),
        outputs=("r[0]",),
        updates=(("t", "r[1][t]"),),
        calls=(Call((ids,)), Call((ids,))),
        tags=("updates", "subset", "state"),
        absolute=1e-12,
    )


def _errors() -> Iterator[Case]:
    t, s = array("float64", (3,), 1), value("float64", 0.5)
    bad = value("int64", [0, 2, 7, 1])
    yield Case(
        "loops/errors/position",
        inputs=(given("t", t), given("i", bad), given("s", s)),
        outputs=("st.scan(lambda i, s: s + t[i], i, s, name='walk')[0]",),
        calls=(
            Call((t, bad, s), raises=("BoundsError", "in iteration 2 of the loop 'walk'")),
            Call((t, value("int64", [1, -3]), s)),
        ),
        tags=("errors",),
    )
    x, y = array("float64", (3,), 2), array("float64", (2,), 3)
    yield Case(
        "loops/errors/lengths",
        inputs=(given("x", x), given("y", y)),
        outputs=("st.scan(lambda a, b: a * b, [x, y])[0]",),
        calls=(Call((x, y), raises=("ShapeError", "the sequence y has 2 elements; expected 3")),),
        tags=("errors",),
    )
    yield Case(
        "loops/errors/shape",
        inputs=(given("x", x), given("y", y)),
        outputs=("st.scan(lambda e, s: s + y, x, st.zeros_like(x))[0]",),
        calls=(Call((x, value("float64", [1.0, 2.0])), raises=("ShapeError", "in iteration 0 of the loop")),),
        tags=("errors",),
    )
    yield Case(
        "loops/errors/steps",
        inputs=(given("n", value("int64", -2)), given("s", s)),
        outputs=("st.scan(lambda s: s * 0.5, outputs_info=s, n_steps=n)[0]",),
        calls=(Call((value("int64", -2), s), raises=("DomainError", "n_steps is -2")),),
        capability="dynamic_shapes",
        tags=("errors",),
    )
    for name, source, raises in (
        (
            "dtype",
            "st.scan(lambda e, s: e.astype('float32'), x, st.constant(0.5), name='walk')[0]",
            ("DTypeError", "'walk'"),
        ),
        (
            "grows",
            "st.scan(lambda e, s: st.zeros((3,)), x, st.zeros((2,)))[0]",
            ("ShapeError", "axis 0 is 3; expected 2"),
        ),
        ("negative", "st.scan(lambda s: s, outputs_info=0.5, n_steps=-1)[0]", ("DomainError", "n_steps is -1")),
        ("endless", "st.scan(lambda: 1.0)[0]", ("FunctionError", "neither sequences nor n_steps")),
        (
            "taps",
            "st.scan(lambda e, s: e, x, {'initial': st.zeros((1,)), 'taps': [-2]})[0]",
            ("ShapeError", "at least 2"),
        ),
    ):
        yield Case(
            f"loops/errors/build/{name}",
            inputs=(given("x", x),),
            outputs=(source,),
            calls=(),
            raises=raises,
            tags=("at build",),
        )


def _choices() -> Iterator[Case]:
    x, i = array("float64", (3,), 2), value("int64", 1)
    for c in (True, False):
        values = {"c": value("bool", c), "x": x, "y": array("float64", (3,), 4)}
        yield _case(f"ifelse/{c}", values, "st.ifelse(c, x * y + 1.0, x - y)", "ifelse")
        for wrt in ("x", "y"):
            yield _case(
                f"ifelse/gradient/{c}/{wrt}", values, f"st.grad((st.ifelse(c, x * y + 1.0, x * x) * x).sum(), {wrt})", "ifelse",
                "gradient", absolute=BY_DIFFERENCES,
            )  # fmt: skip
    nested = "st.ifelse(c, st.ifelse(x[0] > 0.0, x * 2.0, x * 3.0), st.ifelse(x[0] > 0.0, x * 5.0, x * 7.0))"
    for c in (True, False):
        yield _case(f"ifelse/nested/{c}", {"c": value("bool", c), "x": x}, nested, "ifelse")
    yield _case(
        "ifelse/in-loop", {"x": x, "s": value("float64", 0.5)},
        "st.scan(lambda e, s: st.ifelse(e > 0.0, s + e, s * 2.0), x, s)[0]", "ifelse", "state",
    )  # fmt: skip
    lazy = "st.ifelse(c, x[i], x[0] * 2.0)"
    far = value("int64", 9)
    yield Case(
        "loops/ifelse/lazy",
        inputs=(given("c", value("bool", True)), given("x", x), given("i", i)),
        outputs=(lazy,),
        calls=(
            Call((value("bool", True), x, i)),
            Call((value("bool", False), x, far)),
            Call((value("bool", True), x, far), raises=("BoundsError", "in a branch of ifelse")),
        ),
        tags=("ifelse",),
    )
