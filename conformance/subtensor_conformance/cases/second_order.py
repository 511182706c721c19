"""Second order, forward mode and Jacobians, through subsets."""

from __future__ import annotations

from collections.abc import Iterator

from subtensor_conformance.case import Call, Case, array, given, value
from subtensor_conformance.cases.gradients import BY_DIFFERENCES
from subtensor_conformance.cases.indexing import forms

BY_TWO_DIFFERENCES = 1e-6
"""What differences of differences leave undecided."""


def cases() -> Iterator[Case]:
    for n, form in enumerate(forms()):
        kind = form.kind
        if n % 3 or len(array("bool", kind.shape).data) > 30:
            continue
        symbolic = bool(form.names)
        x, v = array("float64", kind.shape, 7), array("float64", kind.shape, 9)
        y, p = array("float64", kind.result, 6), array("float64", kind.result, 5)
        ids = tuple(given(name, i) for name, i in form.names)
        id_values = tuple(i for _, i in form.names)
        for k, op in enumerate(("set", "inc")):
            lets = (("z", f"x[{form.key}].{op}(y)"), ("f", "z * z * v"))
            for wrt, point in (("x", "v"), ("y", "p")):
                inputs = (given("x", x, not symbolic), *ids, given("y", y, not symbolic), given("v", v))
                values = (x, *id_values, y, v)
                if wrt == "y":
                    inputs, values = (*inputs, given("p", p)), (*values, p)
                yield Case(
                    f"second/Rop-{op}-{'table' if wrt == 'x' else 'value'}/{form.name}",
                    inputs=inputs,
                    lets=lets,
                    outputs=(f"st.Rop(f, {wrt}, {point})",),
                    calls=(Call(values),),
                    capability=form.capability,
                    tags=kind.tags,
                    absolute=BY_DIFFERENCES,
                    quick=n % 48 == (0, 12)[k] + (0 if wrt == "x" else 6),
                )
        yield Case(
            f"second/hvp-get/{form.name}",
            inputs=(given("x", x, not symbolic), *ids, given("p", p)),
            lets=(("s", f"x[{form.key}]"), ("cost", "(s * s * s * p).sum()")),
            outputs=("st.hessian_vector_product(cost, s, p)",),
            calls=(Call((x, *id_values, p)),),
            capability=form.capability,
            tags=kind.tags,
            absolute=BY_TWO_DIFFERENCES,
            quick=n % 48 == 3,
        )
        yield Case(
            f"second/hvp-table/{form.name}",
            inputs=(given("x", x, not symbolic), *ids, given("p", p), given("v", v)),
            lets=(("cost", f"(x[{form.key}] * x[{form.key}] * p).sum()"),),
            outputs=("st.hessian_vector_product(cost, x, v)",),
            calls=(Call((x, *id_values, p, v)),),
            capability=form.capability,
            tags=kind.tags,
            absolute=BY_TWO_DIFFERENCES,
            quick=n % 48 == 9,
        )
    yield from _by_hand()


def _by_hand() -> Iterator[Case]:
    x, i = array("float64", (3, 2), 3), value("int64", [1, 2, 1])
    w, y = array("float64", (3, 2), 4), array("float64", (3, 2), 5)
    inputs = (given("x", x, True), given("i", i, True), given("w", w, True), given("y", y, True))
    for name, lets, outputs in (
        ("grad-of-grad", (("s", "x[i]"), ("cost", "(s * s * s * w).sum()"), ("g", "st.grad(cost, s)")), "st.grad((g * y).sum(), s)"),
        ("grad-of-grad-table", (("cost", "(x[i] * x[i] * x[i] * w).sum()"), ("g", "st.grad(cost, x)")), "st.grad((g * y).sum(), x)"),
        ("mixed", (("s", "x[i]"), ("cost", "(s * s * w).sum()"), ("g", "st.grad(cost, s)")), "st.grad((g * y).sum(), w)"),
        ("set-value-twice", (("z", "x[i].set(y)"), ("cost", "(z * z * z).sum()"), ("g", "st.grad(cost, y)")), "st.grad((g * w).sum(), y)"),
        ("inc-value-twice", (("z", "x[i].inc(y)"), ("cost", "(z * z * z).sum()"), ("g", "st.grad(cost, y)")), "st.grad((g * w).sum(), y)"),
        ("inc-value-table", (("z", "x[i].inc(y)"), ("cost", "(z * z * z).sum()"), ("g", "st.grad(cost, y)")), "st.grad((g * w).sum(), x)"),
        ("Rop-of-subset", (("f", "st.sin(x[i]) * w"),), "st.Rop(f, x, y)"),
        ("Rop-of-reduction", (("f", "(x[i] * x[i] * w).sum(axis=1)"),), "st.Rop(f, x, y)"),
        ("jacobian", (("s", "x[i]"), ("f", "(s * s * w).sum(axis=1)")), "st.jacobian(f, s)"),
        ("jacobian-table", (("f", "(x[i] * x[i] * w).sum(axis=1)"),), "st.jacobian(f, x)"),
        ("hessian", (("s", "x[i, 0]"), ("cost", "(s * s * s).sum() + s[0] * s[1]")), "st.hessian(cost, s)"),
    ):  # fmt: skip
        yield Case(
            f"second/{name}",
            inputs=inputs,
            lets=lets,
            outputs=(outputs,),
            calls=(Call((x, i, w, y)),),
            tags=("duplicates",),
            absolute=BY_TWO_DIFFERENCES,
        )
