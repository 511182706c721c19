"""Gradients of first order: of tables, subsets and written values, through every kind of index."""

from __future__ import annotations

from collections.abc import Iterator

from subtensor_conformance.case import Call, Case, Value, array, given, value
from subtensor_conformance.cases.indexing import DYNAMIC, Form, forms, value_shapes

BY_DIFFERENCES = 1e-9
"""What fourth-order differences in 64 bits leave undecided, relative to the largest element (and at least to 1)."""
SINGLE = 32.0
"""Units in the last place of float32, in which the backend computes; the differences are taken in 64 bits."""

SOURCES: tuple[tuple[str, str, str], ...] = (
    # name, cost, with respect to what
    ("get-table", "(x[K] * x[K] * w).sum()", "x"),
    ("get-subset", "(s * s * w).sum() + (x * x).sum()", "s"),
    ("set-table", "(z * z * v).sum()", "x"),
    ("set-value", "(z * z * v).sum()", "y"),
    ("inc-table", "(z * z * v).sum()", "x"),
    ("inc-value", "(z * z * v).sum()", "y"),
)


def _form_case(form: Form, name: str, cost: str, wrt: str, dtype: str, shape: tuple[int, ...], variant: str, quick: bool) -> Case:  # fmt: skip
    table, w, v = array(dtype, form.kind.shape, 7), array(dtype, form.kind.result, 8), array(dtype, form.kind.shape, 9)
    y = array(dtype, shape, 6)
    symbolic = bool(form.names)
    lets = []
    inputs = [given("x", table, static=not symbolic), *(given(n, i) for n, i in form.names)]
    arguments = [table, *(i for _, i in form.names)]
    if name.startswith("get"):
        if wrt == "s":
            lets.append(("s", f"x[{form.key}]"))
        inputs.append(given("w", w))
        arguments.append(w)
    else:
        lets.append(("z", f"x[{form.key}].{name[:3]}(y)"))
        inputs += [given("y", y, static=variant == "full" and not symbolic), given("v", v)]
        arguments += [y, v]
    lets.append(("cost", cost.replace("K", form.key)))
    return Case(
        f"gradient/{name}/{form.name}/{dtype}{'' if variant == 'full' else '/' + variant}",
        inputs=tuple(inputs),
        lets=tuple(lets),
        outputs=(f"st.grad(cost, {wrt})",),
        calls=(Call(tuple(arguments)),),
        capability=form.capability,
        tags=(*form.kind.tags, name, *(("broadcast",) if variant != "full" else ())),
        ulps=SINGLE if dtype == "float32" else 0,
        addends=4 if dtype == "float32" else 1,
        absolute=BY_DIFFERENCES,
        quick=quick,
    )


def cases() -> Iterator[Case]:
    for n, form in enumerate(forms()):
        if "narrow" in form.kind.tags and form.kind.shape[0] > 20:
            continue  # differences in each of hundreds of elements; the indices themselves are tried elsewhere
        for k, (name, cost, wrt) in enumerate(SOURCES):
            for dtype in ("float64", "float32"):
                if (n + k) % (8 if dtype == "float32" else 2):
                    continue
                quick = dtype == "float64" and (n + 7 * k) % 60 == 0
                yield _form_case(form, name, cost, wrt, dtype, form.kind.result, "full", quick)
            if wrt == "y":
                for variant, shape in value_shapes(form.kind.result).items():
                    if variant != "full" and (n + len(variant)) % 4 == 0:
                        yield _form_case(form, name, cost, wrt, "float64", shape, variant, (n + k) % 24 == 0)
    yield from _special()
    yield from _functions()


def _special() -> Iterator[Case]:
    x, i = array("float64", (5, 2), 3), value("int64", [1, 4, 1])
    j, w = value("int64", [4, 0]), array("float64", (3, 2), 4)
    inputs = (given("x", x), given("i", i), given("j", j), given("w", w))

    def case(name: str, lets: tuple[tuple[str, str], ...], *outputs: str, **more: object) -> Case:
        return Case(
            f"gradient/{name}", inputs=inputs, lets=lets, outputs=outputs, calls=(Call((x, i, j, w)),),
            absolute=BY_DIFFERENCES, **more,  # type: ignore[arg-type]  # fields of Case
        )  # fmt: skip

    s = ("s", "x[i]")
    # a repeated index expression is the same subset
    yield case(
        "repeated-subset", (s, ("cost", "(x[i] * w).sum() + (x[i] * x[i]).sum()")), "st.grad(cost, s)",
        oracle=(("cost", "(s * w).sum() + (s * s).sum()"),), tags=("repeated subset",),
    )  # fmt: skip
    yield case(
        "two-subsets", (s, ("r", "x[j]"), ("cost", "(s * w).sum() * (r * r).sum()")), "st.grad(cost, s)", "st.grad(cost, r)",
        "st.grad(cost, x)",
    )  # fmt: skip
    yield case(
        "subset-of-subset",
        (s, ("r", "s[:2]"), ("cost", "(r * r).sum() + s.sum()")),
        "st.grad(cost, s)",
        "st.grad(cost, r)",
    )
    yield case(
        "list-of-wrt",
        (s, ("cost", "(s * w).sum() + (w * w).sum()")),
        "st.grad(cost, [s, w])[0]",
        "st.grad(cost, [s, w])[1]",
    )
    yield case("through-reshape", (("cost", "(x[i].reshape((6,)) * w.reshape((6,))).sum()"),), "st.grad(cost, x)")
    yield case("through-transpose", (("cost", "(st.sqr(x[i].T) * w.T).sum()"),), "st.grad(cost, x)", "st.grad(cost, w)")
    yield case(
        "set-then-get", (("z", "x[i].set(w)"), ("cost", "(z[j] * z[j]).sum()")), "st.grad(cost, x)", "st.grad(cost, w)"
    )
    yield case(
        "inc-then-get", (("z", "x[i].inc(w)"), ("cost", "(z[j] * z[j]).sum()")), "st.grad(cost, x)", "st.grad(cost, w)"
    )
    yield case(
        "set-then-inc",
        (("z", "x[i].set(w)[j].inc(w[:2])"), ("cost", "(z * z).sum()")),
        "st.grad(cost, x)",
        "st.grad(cost, w)",
    )
    yield case(
        "inc-of-own-rows",
        (("z", "x[i].inc(x[i] * w)"), ("cost", "(z * z).sum()")),
        "st.grad(cost, x)",
        "st.grad(cost, w)",
    )
    yield case("disconnected-part", (s, ("cost", "(st.disconnected_grad(s) * s * w).sum()")), "st.grad(cost, s)")
    yield case("Lop", (s, ("f", "s * s + w")), "st.Lop(f, s, w)", "st.Lop(f, x, w)")
    # a scalar written into many rows, whose shape is known at the call only
    for shape in ((1, 2), (3, 1), (1, 1)):
        y = array("float64", shape, 5)
        yield Case(
            f"gradient/run-time-broadcast/{shape[0]}x{shape[1]}",
            inputs=(given("x", x), given("i", i), given("y", y)),
            lets=(("z", "x[i].set(y)"), ("u", "x[i].inc(y)"), ("cost", "(z * z).sum() + (u * u * u).sum()")),
            outputs=("st.grad(cost, y)", "st.grad(cost, x)"),
            calls=(Call((x, i, y)),),
            tags=("broadcast", "duplicates"),
            absolute=BY_DIFFERENCES,
        )
    for shape in ((1, 2), (3, 1), (3, 2)):
        y = array("float64", shape, 5)
        yield Case(
            f"gradient/run-time-add/{shape[0]}x{shape[1]}",
            inputs=(given("w", w), given("y", y)),
            lets=(("cost", "st.sqr(w * y + y).sum()"),),
            outputs=("st.grad(cost, y)", "st.grad(cost, w)"),
            calls=(Call((w, y)),),
            tags=("broadcast",),
            absolute=BY_DIFFERENCES,
        )


FUNCTIONS: tuple[tuple[str, str], ...] = (
    ("exp", "st.exp(x)"), ("log", "st.log(x)"), ("sqrt", "st.sqrt(x)"), ("sin", "st.sin(x)"), ("cos", "st.cos(x)"),
    ("tan", "st.tan(x / 4)"), ("tanh", "st.tanh(x)"), ("sigmoid", "st.sigmoid(x)"), ("softplus", "st.softplus(x)"),
    ("arctan", "st.arctan(x)"), ("log1p", "st.log1p(x)"), ("expm1", "st.expm1(x)"), ("abs", "st.abs(x - 1)"),
    ("divide", "y / x"), ("power", "x ** 2.5"), ("power-exponent", "x ** y"), ("maximum", "st.maximum(x, y)"),
    ("arctan2", "st.arctan2(x, y)"), ("where", "st.where(x > 1, x * y, x * x)"), ("mod", "x % 0.3"),
    ("max", "st.max(x, axis=1)"), ("prod", "st.prod(x, axis=1)"), ("mean", "st.mean(x, axis=0)"), ("var", "st.var(x)"),
    ("logsumexp", "st.logsumexp(x, axis=1)"), ("softmax", "st.softmax(x) * y"), ("log-softmax", "st.log_softmax(x) * y"),
    ("cumsum", "st.cumsum(x, axis=0) * y"), ("cumprod", "st.cumprod(x, axis=1) * y"), ("sort", "st.sort(x, axis=1) * y"),
    ("matmul", "x @ y.T"), ("einsum", "st.einsum('ij,ij->i', x, y)"), ("reshape", "x.reshape((3, 2)) @ y"),
    ("concatenate", "st.concatenate([x, y * x], axis=1) ** 2"), ("stack", "st.stack([x, y]) ** 2"),
    ("broadcast", "st.broadcast_to(x, (2, 2, 3)) ** 2"), ("transpose", "x.T * y.T * y.T"), ("repeat", "st.repeat(x, 2, 1) ** 2"),
    ("flip", "st.flip(x, 1) * y"), ("cast", "x.astype('float32').astype('float64') * y"),
)  # fmt: skip


def _functions() -> Iterator[Case]:
    x = Value("float64", (2, 3), (0.625, 1.25, 2.125, 0.875, 3.5, 1.75))
    y = Value("float64", (2, 3), (1.5, -0.75, 0.5, 2.25, 1.125, -1.375))
    for name, f in FUNCTIONS:
        both = "y" in f
        positive = name == "power-exponent"
        second = Value("float64", (2, 3), tuple(abs(v) for v in y.data)) if positive else y
        yield Case(
            f"gradient/of/{name}",
            inputs=(given("x", x), *((given("y", second),) if both else ())),
            lets=(("cost", f"({f}).sum()"),),
            outputs=("st.grad(cost, x)", *(("st.grad(cost, y)",) if both and name != "where" else ())),
            calls=(Call((x, second) if both else (x,)),),
            absolute=1e-7,
            tags=(name,),
        )
    for name, f in (("erf", "st.erf(x)"), ("gammaln", "st.gammaln(x)")):
        yield Case(
            f"gradient/of/{name}", (given("x", x),), lets=(("cost", f"({f}).sum()"),), outputs=("st.grad(cost, x)",),
            calls=(Call((x,)),), absolute=1e-7, capability="special_functions",
        )  # fmt: skip
    m = value("bool", [True, False, True, True])
    t, w = array("float64", (4, 2), 1), array("float64", (3, 2), 2)
    yield Case(
        "gradient/mask-rows",
        inputs=(given("t", t), given("m", m), given("w", w)),
        lets=(("s", "t[m]"), ("cost", "(s * s * w).sum()")),
        outputs=("st.grad(cost, t)", "st.grad(cost, s)"),
        calls=(Call((t, m, w)),),
        capability=DYNAMIC,
        absolute=BY_DIFFERENCES,
    )
