"""Functions of one element at a time: special values, odd shapes, broadcasting, integers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from subtensor_conformance.case import Call, Case, Number, Value, array, given, value

NAN, INF = math.nan, math.inf
SPECIALS: tuple[Number, ...] = (0.0, -0.0, INF, -INF, NAN, 1.0, -1.0)
FLOATS = ("float64", "float32", "float16")
INTS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")

UNARY: dict[str, tuple[float, tuple[Number, ...]]] = {
    "exp": (4, (0.5, -2.25, 3.125, 80.0, -80.0, 800.0)),
    "expm1": (4, (0.5, -2.25, 1e-5, -1e-5, 800.0)),
    "exp2": (8, (0.5, -2.25, 3.125, 10.0)),
    "log": (4, (0.5, 2.25, 3.125, 1e-5, 1e5)),
    "log2": (8, (0.5, 2.25, 3.125, 8.0)),
    "log10": (8, (0.5, 2.25, 3.125, 1000.0)),
    "log1p": (4, (0.5, -0.25, 1e-5, 1e5)),
    "sqrt": (1, (0.5, 2.25, 3.125, 4.0, 1e-5)),
    "sin": (4, (0.5, -2.25, 3.125, 100.5)),
    "cos": (4, (0.5, -2.25, 3.125, 100.5)),
    "tan": (8, (0.5, -2.25, 3.125)),
    "arcsin": (8, (0.5, -0.25, 0.875, 1.5)),
    "arccos": (8, (0.5, -0.25, 0.875, 1.5)),
    "arctan": (4, (0.5, -2.25, 1e5)),
    "sinh": (16, (0.5, -2.25, 3.125)),
    "cosh": (8, (0.5, -2.25, 3.125)),
    "tanh": (16, (0.5, -2.25, 3.125, 20.0)),
    "arcsinh": (16, (0.5, -2.25, 3.125)),
    "arccosh": (16, (1.5, 2.25, 3.125, 0.5)),
    "arctanh": (16, (0.5, -0.25, 0.875, 1.5)),
    "sigmoid": (8, (0.5, -2.25, 3.125, 30.0)),
    "softplus": (8, (0.5, -2.25, 3.125, 30.0)),
    "floor": (0, (0.5, -0.5, 2.5, -2.25, 7.0)),
    "ceil": (0, (0.5, -0.5, 2.5, -2.25, 7.0)),
    "trunc": (0, (0.5, -0.5, 2.5, -2.25, 7.0)),
    "rint": (0, (0.5, 1.5, 2.5, -0.5, -1.5, -2.25)),
    "neg": (0, (0.5, -2.25)),
    "abs": (0, (0.5, -2.25)),
    "sign": (0, (0.5, -2.25)),
    "square": (0, (0.5, -2.25, 1e5)),
    "isnan": (0, (0.5,)),
    "isinf": (0, (0.5,)),
    "isfinite": (0, (0.5,)),
    "logical_not": (0, (0.5,)),
}
"""For each function: its bound in units in the last place, and where to look beside the special values."""

SPECIAL: dict[str, tuple[float, tuple[Number, ...]]] = {
    "erf": (8, (0.5, -0.25, 2.0, 0.0, INF, -INF, NAN)),
    "erfc": (64, (0.5, -0.25, 2.0, 0.0, INF, -INF, NAN)),
    "erfcx": (64, (0.5, -0.25, 2.0, 30.0, 1e5, 0.0, INF, NAN)),
    "ndtri": (64, (0.5, 0.25, 0.9375, 0.0, 1.0, 2.0, NAN)),
    "i0e": (64, (0.5, -0.25, 7.0, -30.5, 700.0, 0.0, NAN)),
    "i1e": (64, (0.5, -0.25, 7.0, -30.5, 700.0, 0.0, NAN)),
    "erfinv": (64, (0.5, -0.25, 0.9375, 0.0, 1.0, -1.0, NAN)),
    "gammaln": (64, (0.5, 4.25, 7.0, 30.5, -0.5, -3.25, 0.0, -1.0, INF, -INF, NAN)),
    "digamma": (64, (0.5, 4.25, 7.0, 30.5, -0.25, -3.25, 0.0, -0.0, -1.0, INF, NAN)),
}

PAIRS: tuple[tuple[Number, Number], ...] = (
    (7.5, 2.0), (-7.5, 2.0), (7.5, -2.0), (-7.5, -2.0), (2.25, 2.25), (0.0, -0.0), (-0.0, 0.0), (1.0, 0.0), (-1.0, 0.0),
    (0.0, 3.0), (NAN, 1.0), (1.0, NAN), (NAN, NAN), (INF, 2.0), (2.0, INF), (-INF, INF), (-3.0, -INF),
)  # fmt: skip

BINARY: dict[str, tuple[float, bool]] = {
    "add": (0, True), "subtract": (0, True), "multiply": (0, True), "true_divide": (1, True), "less": (0, True),
    "less_equal": (0, True), "greater": (0, True), "greater_equal": (0, True), "equal": (0, True),
    "not_equal": (0, True), "arctan2": (8, True), "floor_divide": (0, False), "mod": (0, False),
    "maximum": (0, False), "minimum": (0, False), "power": (16, False), "logical_and": (0, True),
    "logical_or": (0, True), "logical_xor": (0, True),
}  # fmt: skip
"""For each function of two floats: its bound, and whether signed zeros and infinities are asked for."""

INT_BINARY = (
    "add", "subtract", "multiply", "true_divide", "floor_divide", "mod", "maximum", "minimum", "less", "less_equal",
    "greater", "greater_equal", "equal", "not_equal", "and_", "or_", "xor",
)  # fmt: skip


def _unary(
    name: str, dtype: str, data: Sequence[Number], ulps: float, capability: str | None, tags: tuple[str, ...]
) -> Case:
    v = Value(dtype, (len(data),), tuple(data))
    return Case(
        f"elementwise/{name}/{dtype}/{'special-values' if tags else 'values'}",
        inputs=(given("x", v),),
        outputs=(f"st.{name}(x)",),
        calls=(Call((v,)),),
        capability="float16" if dtype == "float16" else capability,
        tags=tags,
        ulps=ulps,
        quick=(bool(tags) or ulps > 0) and dtype == ("float64" if (len(name) + bool(tags)) % 2 else "float32"),
    )


def _two(name: str, a: Value, b: Value, variant: str, ulps: float = 0, quick: bool = True, tags: tuple[str, ...] = ()) -> Case:  # fmt: skip
    return Case(
        f"elementwise/{name}/{a.dtype}/{variant}",
        inputs=(given("x", a), given("y", b)),
        outputs=(f"st.{name}(x, y)",),
        calls=(Call((a, b)),),
        capability="float16" if a.dtype == "float16" else None,
        ulps=ulps,
        quick=quick,
        tags=tags,
    )


def cases() -> Iterator[Case]:
    for name, (ulps, points) in UNARY.items():
        for dtype in FLOATS:
            near = tuple(p for p in points if dtype != "float16" or (abs(p) < 6e4 and (abs(p) > 1e-3 or not p)))
            yield _unary(name, dtype, near, ulps, None, ())
            yield _unary(name, dtype, SPECIALS, ulps, None, ("special values",))
    for name, (ulps, points) in SPECIAL.items():
        for dtype in ("float64", "float32"):
            yield _unary(name, dtype, points, ulps, "special_functions", ())
    yield from _odd_shapes()
    yield from _float_pairs()
    yield from _integers()
    yield from _choices()


def _odd_shapes() -> Iterator[Case]:
    for shape in ((), (0,), (1, 1), (2, 0, 3), (2, 1, 3)):
        v = array("float64", shape, 4)
        yield Case(
            f"elementwise/neg/shape-{'x'.join(map(str, shape)) or 'scalar'}",
            inputs=(given("x", v),),
            outputs=("-x", "st.abs(x) * 2"),
            calls=(Call((v,)),),
        )
    for a, b in (
        ((), (2, 3)), ((3, 1), (1, 4)), ((1, 3), (0, 3)), ((3,), (2, 3)), ((2, 1, 2), (3, 1)), ((1,), (1,)), ((1,), (5,)),
        ((0,), ()), ((2, 1), (1,)),
    ):  # fmt: skip
        x, y = array("float64", a, 1), array("float64", b, 2)
        spelled = f"{'x'.join(map(str, a)) or 'scalar'}-with-{'x'.join(map(str, b)) or 'scalar'}"
        for static in (True, False):
            yield Case(
                f"elementwise/broadcast/{spelled}/{'static' if static else 'run-time'}",
                inputs=(given("x", x, static), given("y", y, static)),
                outputs=("x + y", "x * y - x"),
                calls=(Call((x, y)),),
                tags=("broadcast",),
                ulps=1,  # a product and a sum may be contracted
                addends=2,
                quick=static == bool(len(a) % 2),
            )


def _float_pairs() -> Iterator[Case]:
    for name, (ulps, zeros) in BINARY.items():
        for dtype in FLOATS:
            pairs = [p for p in PAIRS if zeros or 0 not in p]
            if name in ("floor_divide", "mod"):
                pairs = [p for p in pairs if not any(map(math.isinf, p))]
            a, b = (Value(dtype, (len(pairs),), tuple(p[i] for p in pairs)) for i in (0, 1))
            quick = dtype == ("float32" if len(name) % 3 else "float64")
            yield _two(name, a, b, "pairs", ulps, quick, ("special values",))
    bases = ((2.5, 3.0), (4.0, 0.5), (0.0, 2.0), (2.0, -1.5), (-2.0, 3.0), (-2.0, 0.5), (0.0, 0.0), (1.0, 7.0))
    a, b = (Value("float64", (len(bases),), tuple(p[i] for p in bases)) for i in (0, 1))
    yield _two("power", a, b, "bases", 16)


def _integers() -> Iterator[Case]:
    for dtype in INTS:
        bits = int(dtype.strip("uint"))
        top = (1 << bits) - 1 if dtype.startswith("u") else (1 << (bits - 1)) - 1
        low = 0 if dtype.startswith("u") else -top - 1
        left = (7, 7, 0, 3, top, top, low, 5, 100, 9) if not low else (7, -7, 7, -7, top, top, low, 5, -100, 0)
        right = (2, 7, 3, 0, 1, top, 1, 8, 7, 4) if not low else (2, 2, -2, -2, 1, top, 1, 0, 7, 3)
        a, b = Value(dtype, (10,), left), Value(dtype, (10,), right)
        for name in INT_BINARY:
            quick = (
                dtype == "int32"
                or (dtype == "uint8" and len(name) % 2 == 0)
                or (dtype == "int64" and name in ("add", "mod"))
            )
            tags = ("division by zero",) if name in ("floor_divide", "mod", "true_divide") else ("wrap",)
            yield _two(name, a, b, "pairs", quick=quick, tags=tags)
        for name in ("neg", "abs", "sign", "invert"):
            yield Case(
                f"elementwise/{name}/{dtype}/values",
                inputs=(given("x", a),),
                outputs=(f"st.{name}(x)",),
                calls=(Call((a,)),),
                quick=dtype == ("int32" if len(name) % 2 else "uint8"),
                tags=("wrap",),
            )
        shifted = Value(dtype, (4,), (1, 5, 3, 100))
        for name in ("left_shift", "right_shift"):
            yield _two(name, shifted, Value(dtype, (4,), (0, 1, 4, 2)), "pairs", quick=dtype == "int32")
        powers = Value(dtype, (4,), (2, 3, 0, 7)), Value(dtype, (4,), (3, 4, 0, 2))
        yield _two("power", *powers, "pairs", quick=dtype == "int32")
    truth = (Value("bool", (4,), (True, True, False, False)), Value("bool", (4,), (True, False, True, False)))
    for name in ("add", "multiply", "and_", "or_", "xor", "less", "equal", "maximum", "logical_xor"):
        yield _two(name, *truth, "table")
    yield Case("elementwise/invert/bool", (given("x", truth[0]),), outputs=("~x",), calls=(Call((truth[0],)),))


def _choices() -> Iterator[Case]:
    for dtype in ("float64", "float32", "int32", "bool"):
        c, x, y = value("bool", [True, False, True, False]), array(dtype, (4,), 1), array(dtype, (4,), 2)
        yield Case(
            f"elementwise/where/{dtype}",
            inputs=(given("c", c), given("x", x), given("y", y)),
            outputs=("st.where(c, x, y)",),
            calls=(Call((c, x, y)),),
        )
    c = value("bool", [[True, False, True]])
    x, y = value("float64", [[NAN], [2.0]]), value("float64", [1.0, INF, -0.0])
    yield Case(
        "elementwise/where/special-values-broadcast",
        inputs=(given("c", c), given("x", x), given("y", y)),
        outputs=("st.where(c, x, y)", "st.where(c, 0.0, y)", "st.where(c, y, 0)"),
        calls=(Call((c, x, y)),),
        tags=("special values", "broadcast"),
    )
    x = value("float64", [-3.0, 0.5, 9.0, 2.0])
    yield Case("elementwise/clip", (given("x", x),), outputs=("st.clip(x, -1, 2)",), calls=(Call((x,)),))
    for dtype in ("float64", "float32"):
        x, a = value(dtype, [0.0, 0.5, 2.25, 30.5]), value(dtype, [[0.5], [4.25]])
        y = value(dtype, [0.0, 0.25, 0.9375, 1.0])
        for name, args, sources in (
            ("gammainc", {"a": a, "x": x}, ("st.gammainc(a, x)", "st.gammaincc(a, x)")),
            ("betainc", {"a": a, "y": y}, ("st.betainc(a, 2.5, y)", "st.betainc(3.0, a, y)")),
        ):
            yield Case(
                f"elementwise/{name}/{dtype}/values",
                inputs=tuple(given(n, v) for n, v in args.items()),
                outputs=sources,
                calls=(Call(tuple(args.values())),),
                capability="special_functions",
                ulps=512,
                quick=False,
            )
    x = value("float64", [0.5, 4.25, 20.5])
    for n in (1, 2):
        yield Case(
            f"elementwise/polygamma/{n}",
            inputs=(given("x", x),),
            outputs=(f"st.polygamma({n}, x)",),
            calls=(Call((x,)),),
            capability="special_functions",
            ulps=64,
        )
