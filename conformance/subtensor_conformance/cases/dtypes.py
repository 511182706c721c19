"""Dtypes: promotion of every pair, weak Python scalars, casts, and 64 bits that are real."""

from __future__ import annotations

from collections.abc import Iterator

from subtensor_conformance.case import Call, Case, Number, Value, given, value

DTYPES = (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64",
)  # fmt: skip


def _small(dtype: str, data: tuple[Number, ...]) -> Value:
    return Value(dtype, (len(data),), tuple(bool(v) for v in data) if dtype == "bool" else data)


def _capability(*dtypes: str) -> str | None:
    return "float16" if "float16" in dtypes else None


def cases() -> Iterator[Case]:
    yield from _pairs()
    yield from _casts()
    yield from _weak()
    yield from _wide()


def _pairs() -> Iterator[Case]:
    for i, a in enumerate(DTYPES):
        for j, b in enumerate(DTYPES):
            result_float16 = {a, b} <= {"bool", "int8", "uint8", "float16"}
            x, y = _small(a, (3, 1, 0)), _small(b, (2, 5, 1))
            yield Case(
                f"dtypes/promote/{a}-{b}",
                inputs=(given("x", x), given("y", y)),
                outputs=("x + y", "x * y", "st.where(x < y, x, y)", "x / y")
                if not result_float16
                else ("x + y", "x * y"),
                calls=(Call((x, y)),),
                capability=_capability(a, b),
                quick=(i + j) % 11 == 0,
            )


def _casts() -> Iterator[Case]:
    for i, a in enumerate(DTYPES):
        for j, b in enumerate(DTYPES):
            if a == b:
                continue
            data: tuple[Number, ...] = (3, 0, 1, 100)
            if a.startswith("float"):
                data = (2.75, 0.0, 0.25, 100.5)
            if a.startswith(("float", "int")) and not b.startswith("u"):
                data = (*data, -2.75 if a.startswith("float") else -3)
            x = _small(a, data)
            yield Case(
                f"dtypes/cast/{a}-to-{b}",
                inputs=(given("x", x),),
                outputs=(f"x.astype({b!r})",),
                calls=(Call((x,)),),
                capability=_capability(a, b),
                quick=(i + 2 * j) % 13 == 0 or (a == "float64" and b in ("bool", "int32")),
            )
    x = value("int64", [300, -1, 70000, 2**40 + 5])
    for b in ("int8", "uint8", "int16", "int32", "uint32", "uint64"):
        yield Case(
            f"dtypes/cast/wraps-to-{b}",
            (given("x", x),),
            outputs=(f"x.astype({b!r})",),
            calls=(Call((x,)),),
            tags=("wrap",),
        )
    yield from _beyond()
    x = value("float64", [0.1, 1 / 3, 1e300, -1e-5])
    yield Case("dtypes/cast/rounds-to-float32", (given("x", x),), outputs=("x.astype('float32')",), calls=(Call((x,)),))
    x = value("float64", [float("nan"), float("inf"), -0.0, 0.0])
    yield Case(
        "dtypes/cast/special-to-float32", (given("x", x),), outputs=("x.astype('float32')",), calls=(Call((x,)),)
    )
    yield Case("dtypes/cast/special-to-bool", (given("x", x),), outputs=("x.astype('bool')",), calls=(Call((x,)),))


def _beyond() -> Iterator[Case]:
    """Floats that no integer of the dtype is near to, which C leaves to the machine: alone, and among many."""
    nan, inf = float("nan"), float("inf")
    ends = (-128.5, -129.0, -128.0, 127.5, 128.0, 255.5, 256.0, -1.0, -0.5, 40000.0, -40000.0, 2.5)
    ends32 = (2.0**31, -(2.0**31), 2.0**32, 2.0**31 - 128, 3e9, -3e9)
    ends64 = (2.0**63, -(2.0**63), 2.0**64, 2.0**63 - 2.0**40, 1e19, -1e19, 1e30)
    for a, data in (
        ("float64", (nan, inf, -inf, *ends, *ends32, *ends64, 2.0**31 - 0.5, 2.0**63 - 1024, 2.0**64 - 2048, 1e300)),
        ("float32", (nan, inf, -inf, *ends, *ends32, *ends64)),
        ("float16", (nan, inf, -inf, *ends, 65504.0, -65504.0)),
    ):
        for b in DTYPES[1:9]:
            for name, numbers in (("", data), ("-long", data * 4), *((f"-{k}", (data[k],)) for k in (0, 1))):
                x = Value(a, (len(numbers),), tuple(numbers))
                yield Case(
                    f"dtypes/cast/beyond/{a}-to-{b}{name}", (given("x", x),), outputs=(f"x.astype({b!r})",),
                    calls=(Call((x,)),), capability=_capability(a), tags=("beyond",),
                    quick=name == "-long" and a != "float16",
                )  # fmt: skip


def _weak() -> Iterator[Case]:
    for dtype in DTYPES:
        x = _small(dtype, (3, 1, 0))
        scalars = ["2", "True", "0.5"]
        yield Case(
            f"dtypes/weak/{dtype}",
            inputs=(given("x", x),),
            outputs=tuple(f"x + {s}" for s in scalars) + tuple(f"{s} * x" for s in scalars),
            calls=(Call((x,)),),
            capability=_capability(dtype),
        )


def _wide() -> Iterator[Case]:
    x = value("int64", [2**53 + 1, -(2**62) + 3, 2**40])
    yield Case("dtypes/wide/int64", (given("x", x),), outputs=("x + 1", "x * 3", "x // 7", "x"), calls=(Call((x,)),))
    x = value("uint64", [2**64 - 1, 2**63 + 1, 2**53 + 1])
    outputs = ("x - 1", "x // 3", "x % 1000", "x > 5", "st.maximum(x, 7)")
    yield Case("dtypes/wide/uint64", (given("x", x),), outputs=outputs, calls=(Call((x,)),))
    x = value("float64", [1 + 2.0**-40, 1e300, 1e-300])
    yield Case("dtypes/wide/float64", (given("x", x),), outputs=("x + 1", "x * 0.5", "x"), calls=(Call((x,)),))
    x = value("float32", [1.0, 3.0])
    y = value("float64", [2.0**-40, 1 / 3])
    yield Case("dtypes/wide/mixed", (given("x", x), given("y", y)), outputs=("x + y", "x * y"), calls=(Call((x, y)),))
    x = value("float32", [16777216.0, 1.0, 1 / 3])
    yield Case(
        "dtypes/wide/float32-stays-narrow",
        (given("x", x),),
        outputs=("x + 1", "x / 3", "(x + 1) - x"),
        calls=(Call((x,)),),
        ulps=1,
    )
    x = value("float16", [65504.0, 2048.0])
    yield Case(
        "dtypes/wide/float16-stays-narrow", (given("x", x),), outputs=("x * 2", "(x + 1) - x"), calls=(Call((x,)),),
        capability="float16",
    )  # fmt: skip
