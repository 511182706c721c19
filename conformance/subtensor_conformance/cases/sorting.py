"""Sorting and searching: NaN last, ties in order of position."""

from __future__ import annotations

import math
from collections.abc import Iterator

from subtensor_conformance.case import Call, Case, Value, array, given, value

NAN, INF = math.nan, math.inf


def cases() -> Iterator[Case]:
    tables: tuple[tuple[str, Value, tuple[str, ...]], ...] = (
        ("values", array("float64", (7,), 3), ()),
        ("float32", array("float32", (6,), 3), ()),
        ("ties", value("float64", [2.0, 1.0, 2.0, 1.0, 2.0, 0.5]), ("ties",)),
        ("ints-ties", value("int32", [3, 1, 3, -2, 1, 3]), ("ties",)),
        ("uint8", value("uint8", [200, 3, 200, 0, 255]), ("ties",)),
        ("int64-wide", value("int64", [2**53 + 1, 2**53, 2**53 + 2, -(2**60)]), ("wide",)),
        ("bools", value("bool", [True, False, True, False]), ("ties",)),
        ("special", value("float64", [NAN, 1.0, -INF, NAN, INF, -2.0]), ("special values",)),
        ("signed-zeros", value("float64", [0.0, -0.0, 1.0, -0.0, 0.0, -1.0, -0.0]), ("signed zeros", "ties")),
        ("one", value("float64", [4.0]), ()),
        ("empty", array("float64", (0,)), ("empty",)),
    )
    for name, v, tags in tables:
        for op in ("sort", "argsort"):
            yield Case(f"sort/{op}/{name}", (given("x", v),), outputs=(f"st.{op}(x)",), calls=(Call((v,)),), tags=tags)
    m = value("float64", [[3.0, 1.0, 2.0], [1.0, 1.0, 0.0]])
    for axis in (0, 1, -1):
        for op in ("sort", "argsort"):
            yield Case(
                f"sort/{op}/matrix/axis-{axis}", (given("x", m),), outputs=(f"st.{op}(x, axis={axis})",),
                calls=(Call((m,)),), tags=("ties",),
            )  # fmt: skip
    long = Value("int32", (40,), tuple(k * k % 5 for k in range(40)))
    yield Case(
        "sort/argsort/long-ties",
        (given("x", long),),
        outputs=("st.argsort(x)",),
        calls=(Call((long,)),),
        tags=("ties",),
    )
    yield from _long_signed_zeros()
    yield from _searches()


def _long_signed_zeros() -> Iterator[Case]:
    """Long enough for vector units, which order what is equal as it suits them."""
    data = tuple((0.0, -0.0, 1.0, -0.0, 0.0, -1.0, -0.0, -0.0, 0.0)[k * k % 31 % 9] for k in range(300))
    for dtype in ("float64", "float32", "float16"):
        for shape, axis in (((300,), 0), ((3, 100), 1), ((100, 3), 0)):
            v = Value(dtype, shape, data)
            yield Case(
                f"sort/sort/long-signed-zeros/{dtype}/{'x'.join(map(str, shape))}",
                (given("x", v),),
                outputs=(f"st.sort(x, axis={axis})",),
                calls=(Call((v,)),),
                capability="float16" if dtype == "float16" else None,
                tags=("signed zeros", "edges"),
                quick=len(shape) == 1,
            )


def _searches() -> Iterator[Case]:
    a = value("float64", [1.0, 2.0, 2.0, 2.0, 5.0])
    for side in ("left", "right"):
        for name, v in (
            ("vector", value("float64", [0.0, 1.0, 2.0, 3.0, 5.0, 9.0])),
            ("scalar", value("float64", 2.0)),
            ("matrix", value("float64", [[2.0, 0.0], [6.0, 5.0]])),
            ("empty", array("float64", (0,))),
        ):
            yield Case(
                f"sort/searchsorted/{name}/{side}",
                inputs=(given("a", a), given("v", v)),
                outputs=(f"st.searchsorted(a, v, side={side!r})",),
                calls=(Call((a, v)),),
                tags=("ties",),
            )
        ints, found = value("int32", [1, 3, 3, 7]), value("int32", [3, 8, 0])
        yield Case(
            f"sort/searchsorted/ints/{side}", (given("a", ints), given("v", found)),
            outputs=(f"st.searchsorted(a, v, side={side!r})",), calls=(Call((ints, found)),), tags=("ties",),
        )  # fmt: skip
        none = array("float64", (0,))
        yield Case(
            f"sort/searchsorted/in-empty/{side}", (given("a", none), given("v", a)),
            outputs=(f"st.searchsorted(a, v, side={side!r})",), calls=(Call((none, a)),), tags=("empty",),
        )  # fmt: skip
