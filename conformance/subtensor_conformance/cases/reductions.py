"""Reductions and scans over axes, empty ones included."""

from __future__ import annotations

import math
from collections.abc import Iterator

from subtensor_conformance.case import Call, Case, array, given, value

NAN, INF = math.nan, math.inf
SHAPES = ((4,), (2, 3), (2, 1, 3), ())
AXES: dict[int, tuple[object, ...]] = {0: (None,), 1: (None, 0), 2: (None, 0, 1, -1, (0, 1)), 3: (None, 1, (0, 2))}


def cases() -> Iterator[Case]:
    for name in ("sum", "prod", "max", "min", "mean", "all", "any", "argmax", "argmin", "var", "logsumexp"):
        for shape in SHAPES:
            for axis in AXES[len(shape)]:
                yield from _one(name, shape, axis)
    for name in ("cumsum", "cumprod", "softmax", "log_softmax"):
        for shape in ((4,), (2, 3), (3, 1)):
            for axis in range(len(shape)):
                for dtype in ("float64", "float32", "int32") if name.startswith("cum") else ("float64", "float32"):
                    v = array(dtype, shape, 5)
                    n = shape[axis]
                    yield Case(
                        f"reduce/{name}/{dtype}/{_spell(shape)}/axis-{axis}",
                        inputs=(given("x", v),),
                        outputs=(f"st.{name}(x, axis={axis})",),
                        calls=(Call((v,)),),
                        ulps=0 if dtype == "int32" or name == "cumsum" else 8,
                        addends=1 if name == "cumsum" else n,
                        quick=dtype == "float64" and len(shape) == 2 and axis == 0,
                    )
    yield from _empty()
    yield from _special()
    yield from _wide()


def _spell(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _one(name: str, shape: tuple[int, ...], axis: object) -> Iterator[Case]:
    arg = name.startswith("arg")
    if isinstance(axis, tuple) and arg:
        return
    exact = name in ("sum", "max", "min", "all", "any", "argmax", "argmin")
    dtypes = ["float64", "float32"]
    if name in ("sum", "prod", "max", "min", "mean", "all", "any", "argmax"):
        dtypes += ["int32", "bool", "uint8"] if name not in ("prod", "mean") else ["int32"]
    for keep in (False, True):
        if keep and arg:
            continue
        for dtype in dtypes[:1] if keep else dtypes:
            v = array(dtype, shape, 3)
            more = ", keepdims=True" if keep else ""
            at = str(axis).replace(" ", "")
            yield Case(
                f"reduce/{name}/{dtype}/{_spell(shape)}/axis-{at}{'/keepdims' if keep else ''}",
                inputs=(given("x", v),),
                outputs=(f"st.{name}(x, axis={axis}{more})",),
                calls=(Call((v,)),),
                ulps=0 if exact or (dtype == "int32" and name == "prod") else 8,
                addends=1 if exact else max(2, len(v.data)),
                quick=dtype == ("bool" if axis == 1 and name in ("sum", "all", "max") else "float64")
                and keep == (axis == 1)
                and axis in (None, 1)
                and len(shape) == 2,
            )


def _empty() -> Iterator[Case]:
    for shape in ((0,), (0, 3), (3, 0)):
        v = array("float64", shape)
        for name in ("sum", "prod", "all", "any", "mean"):
            for axis in range(len(shape)):
                yield Case(
                    f"reduce/{name}/empty-{_spell(shape)}/axis-{axis}",
                    inputs=(given("x", v),),
                    outputs=(f"st.{name}(x, axis={axis})",),
                    calls=(Call((v,)),),
                    tags=("empty",),
                    quick=axis == 0 and shape[0] == 0,
                )
    v = array("float64", (3, 0))
    for name in ("max", "argmax", "min"):
        yield Case(
            f"reduce/{name}/empty-3x0/axis-0",
            inputs=(given("x", v),), outputs=(f"st.{name}(x, axis=0)",), calls=(Call((v,)),), tags=("empty",),
        )  # fmt: skip
    v = array("float64", (0, 2))
    yield Case("reduce/cumsum/empty-0x2", (given("x", v),), outputs=("st.cumsum(x, axis=0)",), calls=(Call((v,)),))


def _special() -> Iterator[Case]:
    for label, data in (
        ("nan", [1.0, NAN, 3.0]), ("nan-first", [NAN, 2.0, NAN]), ("inf", [1.0, INF, -2.0]), ("both-inf", [INF, -INF, 1.0]),
        ("minus-inf", [-INF, -INF]), ("ties", [2.0, 5.0, 5.0, 2.0]), ("zeros", [0.0, -3.0, 0.0]),
    ):  # fmt: skip
        v = value("float64", data)
        for name in ("sum", "prod", "max", "min", "argmax", "argmin", "any", "all", "logsumexp", "cumsum"):
            yield Case(
                f"reduce/{name}/special-{label}",
                inputs=(given("x", v),),
                outputs=(f"st.{name}(x, axis=0)",),
                calls=(Call((v,)),),
                ulps=8 if name == "logsumexp" else 0,
                tags=("special values",) if label not in ("ties", "zeros") else ("ties",),
                quick=label in ("nan", "minus-inf", "ties")
                and name in ("sum", "max", "min", "argmax", "argmin", "logsumexp"),
            )
    v = value("float64", [[2.0, 7.0, 7.0], [5.0, 1.0, 1.0]])
    for name in ("argmax", "argmin"):
        yield Case(
            f"reduce/{name}/ties-2x3", (given("x", v),), outputs=(f"st.{name}(x, axis=1)", f"st.{name}(x)"),
            calls=(Call((v,)),), tags=("ties",),
        )  # fmt: skip


def _wide() -> Iterator[Case]:
    """Small integers are summed in 64 bits; long sums keep their digits."""
    v = value("int8", [[100, 100], [100, 27]])
    yield Case(
        "reduce/sum/int8-widens", (given("x", v),), outputs=("st.sum(x)", "st.cumsum(x, axis=0)"), calls=(Call((v,)),)
    )
    v = value("uint8", [200, 200, 200])
    yield Case("reduce/prod/uint8-widens", (given("x", v),), outputs=("st.prod(x)", "st.sum(x)"), calls=(Call((v,)),))
    v = value("int64", [2**62, 2**62, 2**62])
    yield Case("reduce/sum/int64-wraps", (given("x", v),), outputs=("st.sum(x)",), calls=(Call((v,)),), tags=("wrap",))
    v = array("float64", (200,), 9)
    yield Case("reduce/sum/float64-long", (given("x", v),), outputs=("st.sum(x)",), calls=(Call((v,)),))
    v = value("float64", [float((k * 37) % 101) + 0.1 for k in range(150)])
    yield Case(
        "reduce/sum/float64-rounding",
        (given("x", v),),
        outputs=("st.sum(x)",),
        calls=(Call((v,)),),
        ulps=1,
        addends=150,
    )
