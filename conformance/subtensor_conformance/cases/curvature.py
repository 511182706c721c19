"""Curvature over distinct rows: products, matrices, squares, a Newton step; the oracle moves rows and takes differences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from subtensor_conformance.case import Call, Case, Given, Value, array, given, state, value

IDS = value("int64", [3, 1, 3, -2])
"""Row 3 three times, once counted from the end, and row 1: two rows, four coordinates."""
TABLE = state("t", array("float64", (5, 2), 1))
ONCE_DIFFERENT, TWICE_DIFFERENT = 1e-11, 1e-8
"""What differences, and differences of differences, leave undecided."""
QUICK = {"hessian-product", "gradient", "gauss-newton-product", "subsets", "pairs", "newton"}
PUSHED = (
    ("s", "st.curvature.row_space(cost, [r])"),
    ("hp", "s.hessian_vector_product([p])[0]"),
    ("hq", "s.hessian_vector_product([q])[0]"),
)
SYMMETRIC = "st.abs((q * {0}).sum() - (p * {1}).sum()) <= 1e-9 * st.abs((q * {0}).sum())"
CUBIC = ("cost", "(r * r * r * y).sum() + (r[0] * r[1] * r[2]).sum()")


def cases() -> Iterator[Case]:
    y, p, q = array("float64", (4, 2), 4), array("float64", (2, 2), 5), array("float64", (2, 2), 6)
    yield _case(
        "hessian-product", "iypq", (IDS, y, p, q), (("r", "t[i]"), CUBIC, *PUSHED),
        ("s.rows[0]", "s.blocks[0]", "hp", SYMMETRIC.format("hp", "hq")),
    )  # fmt: skip
    yield _case(
        "dense-restricted", "iypv", (IDS, y, p, array("float64", (5, 2), 5)), (("r", "t[i]"), CUBIC, *PUSHED[:1]),
        (
            "s.hessian_vector_product([v[s.rows[0]]])[0]",
            "st.hessian_vector_product(everywhere, t, st.zeros_like(t)[s.rows[0]].set(v[s.rows[0]]))",
        ),
        more=(("everywhere", "(t[i] * t[i] * t[i] * y).sum() + (t[i[0]] * t[i[1]] * t[i[2]]).sum()"),),
    )  # fmt: skip
    # H_rows = Pᵀ H_occ P: the product by occurrence, of each row's own direction, added up by row
    place = value("int64", [1, 0, 1, 1])
    yield _case(
        "occurrences-added", "iypk", (IDS, y, p, place), (("r", "t[i]"), CUBIC, *PUSHED[:2]),
        ("hp", "st.zeros_like(p)[k].inc(st.hessian_vector_product(cost, r, p[k]))"),
    )  # fmt: skip
    yield _case(
        "gradient", "iy", (IDS, y), (("r", "t[i]"), CUBIC, PUSHED[0]), ("s.gradient()[0]", "s.squares()[0]"), ONCE_DIFFERENT,
    )  # fmt: skip
    yield _case("hessian", "iy", (IDS, y), (("r", "t[i]"), CUBIC, PUSHED[0]), ("s.hessian()", "s.flat()"))
    yield from _gauss_newton(y, p, q)
    yield from _parameters(y, p)
    yield _newton()


def _gauss_newton(y: Value, p: Value, q: Value) -> Iterator[Case]:
    """The outputs are not linear, so that the Hessian differs; nor is the loss, so that JᵀJ does."""
    lets = (("r", "t[i]"), ("o", "r * r * y"), ("cost", "(o * o * o).sum() + (o * o).sum() * 4"))
    space = ("s", "st.curvature.row_space(cost, [r], o)")
    products = (("gp", "s.gauss_newton_vector_product([p])[0]"), ("gq", "s.gauss_newton_vector_product([q])[0]"))
    yield _case(
        "gauss-newton-product", "iypq", (IDS, y, p, q), (*lets, space, *products),
        ("gp", SYMMETRIC.format("gp", "gq")),
    )  # fmt: skip
    yield _case("gauss-newton", "iy", (IDS, y), (*lets, space), ("s.gauss_newton()",))
    convex = (("r", "t[i]"), ("o", "(r * r).sum(axis=1) * y[:, 0]"), ("cost", "(o * o).sum()"), space, *products)
    yield _case(
        "gauss-newton-positive", "iypq", (IDS, y, p, q), convex, ("gp", "(p * gp).sum() >= 0", "(q * gq).sum() >= 0")
    )
    several = (("r", "t[i]"), ("o", "r * r * y"), ("u", "r.sum(axis=1)"), ("cost", "(o * o).sum() + (u * u * u).sum()"))
    yield _case(
        "gauss-newton-outputs", "iyp", (IDS, y, p), (*several, ("s", "st.curvature.row_space(cost, [r], [o, u])")),
        ("s.gauss_newton_vector_product([p])[0]",),
    )  # fmt: skip


def _parameters(y: Value, p: Value) -> Iterator[Case]:
    """Rows and a whole variable; several subsets of one table; other kinds of subsets."""
    whole = state("w", array("float64", (2, 2), 2))
    lets = (("r", "t[i]"), ("o", "r @ w"), ("cost", "(o * o * y).sum()"))
    space = (("s", "st.curvature.row_space(cost, [r, w], o)"), ("h", "s.hessian_vector_product([p, q])"))
    product = (("g", "s.gauss_newton_vector_product([p, q])"),)
    yield _case(
        "mixed", "iypq", (IDS, y, p, array("float64", (2, 2), 7)), (*lets, *space, *product),
        ("h[0]", "h[1]", "g[0]", "g[1]", "s.gradient()[1]"), shared=(TABLE, whole),
    )  # fmt: skip
    matrix = value("int64", [[1, 1], [3, -5]])
    yield _case(
        "subsets", "ijyp", (IDS, matrix, y, array("float64", (3, 2), 5)),
        (("r", "t[i]"), ("u", "t[j]"), ("cost", "(r * r * y).sum() * (u * u).sum()"), ("s", "st.curvature.row_space(cost, [r, u])")),
        ("s.rows[0]", "s.hessian_vector_product([p])[0]", "s.squares()[0]"),
    )  # fmt: skip
    for name, subset in (("slice", "t[1:4:2]"), ("one-row", "t[3:4]")):
        n = 2 if name == "slice" else 1
        yield _case(
            name, "yp", (array("float64", (n, 2), 4), array("float64", (n, 2), 5)),
            (("r", subset), ("cost", "(r * r * r * y).sum()"), *PUSHED[:2]), ("s.rows[0]", "hp"), capability=None,
        )  # fmt: skip
    yield _case(
        "mask", "myp", (value("bool", [True, False, False, True, False]), value("float64", 0.5), p),
        (("r", "t[m]"), ("cost", "(r * r * r).sum() * y"), *PUSHED[:2]), ("s.rows[0]", "hp"),
    )  # fmt: skip
    none, nothing = value("int64", []), Value("float64", (0, 2), ())
    yield _case(
        "no-rows", "iyp", (none, nothing, nothing), (("r", "t[i]"), ("cost", "(r * r * r * y).sum()"), *PUSHED[:2]),
        ("s.rows[0]", "hp", "s.hessian()", "s.gradient()[0]"),
    )  # fmt: skip
    cube = state("t", array("float64", (3, 2, 2), 1))
    yield _case(
        "pairs", "ijyp", (value("int64", [0, 2, 0]), value("int64", [1, -2, 1]), array("float64", (3, 2), 4), p),
        (("r", "t[i, j]"), ("cost", "(r * r * r * y).sum()"), *PUSHED[:2]), ("s.rows[0]", "hp"), shared=(cube,),
    )  # fmt: skip


def _newton() -> Case:
    """On a quadratic, the step −H⁻¹g over rows leaves no gradient: by occurrence it would overshoot.

    The weights of an element's occurrences add up to a power of two, so that all is exact.
    """
    weights, y = [[1.0, 2.0], [4.0, 2.0], [2.0, 1.0], [1.0, 1.0]], [[2.0, -1.0], [0.5, 1.0], [-1.0, 3.0], [4.0, 0.5]]
    rows = {1: [1], 3: [0, 2, 3]}
    t = array("float64", (5, 2), 1)
    step = []
    for row, occurrences in rows.items():
        for d in (0, 1):
            best = sum(weights[k][d] * y[k][d] for k in occurrences) / sum(weights[k][d] for k in occurrences)
            step.append(best - float(t.data[2 * row + d]))
    change, none = Value("float64", (2, 2), tuple(step)), Value("float64", (2, 2), (0.0,) * 4)
    arguments = (IDS, value("float64", y), value("float64", weights))
    lets = (("r", "t[i]"), ("cost", "((r - y) * (r - y) * w).sum()"), *PUSHED[:2], ("g", "s.gradient()[0]"))
    return _case(
        "newton", "iywp", (*arguments, change), lets, ("hp + g", "g"), ONCE_DIFFERENT,
        updates=(("t", "t[s.rows[0]].inc(p)"),), calls=(Call((*arguments, change)), Call((*arguments, none))),
    )  # fmt: skip


def _case(
    name: str,
    names: str,
    arguments: Sequence[Value],
    lets: Sequence[tuple[str, str]],
    outputs: tuple[str, ...],
    absolute: float = TWICE_DIFFERENT,
    *,
    shared: tuple[Given, ...] = (TABLE,),
    more: tuple[tuple[str, str], ...] = (),
    updates: tuple[tuple[str, str], ...] = (),
    calls: tuple[Call, ...] = (),
    capability: str | None = "dynamic_shapes",
) -> Case:
    """capability: how many rows are distinct depends on values."""
    repeated = any(len(set(v.data)) < len(v.data) for v in arguments if v.dtype == "int64")
    gauss_newton = any("gauss_newton" in source for _, source in (*lets, *((o, o) for o in outputs)))
    tags = (("duplicates", repeated), ("gauss-newton", gauss_newton), ("squares", any("squares" in o for o in outputs)))
    return Case(
        f"curvature/{name}",
        inputs=tuple(given(n, v) for n, v in zip(names, arguments, strict=True)),
        shared=shared,
        lets=(*lets, *more),
        outputs=outputs,
        updates=updates,
        calls=calls or (Call(tuple(arguments)),),
        capability=capability,
        tags=tuple(tag for tag, holds in tags if holds),
        absolute=absolute,
        quick=name in QUICK,
    )
