"""Long ids, wide integers, strange layouts: what plausible bugs get wrong and small tidy cases do not show.

Each of these was the first to catch some sabotaged backend. They belong to the areas that their ids name.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache

from subtensor_conformance.case import Call, Case, Given, Value, array, given, state, value
from subtensor_conformance.cases.step_case import step_case, steps

DYNAMIC, HALF = "dynamic_shapes", "float16"
NAN, INF = math.nan, math.inf
SHAPE, DOMAIN = ("ShapeError", ""), ("DomainError", "")

X43, X42, X72 = array("float64", (4, 3), 1), array("float64", (4, 2), 1), array("float64", (7, 2), 9)
I = value("int64", [1, 3, 1])  # the name that cases give to ids
LONG = Value("int64", (300,), tuple(k * k % 7 - 7 * (k % 2) for k in range(300)))
LONG_Y = array("float64", (300, 2), 8)


@cache
def _by_area() -> Mapping[str, list[Case]]:
    found: dict[str, list[Case]] = {}
    for make in (
        _bounds,
        _ids,
        _dtypes_of_ids,
        _updates,
        _two_functions,
        _values,
        _slices,
        _layouts,
        _masks,
        _casts,
        _orders,
        _numbers,
        _large,
    ):
        for case in make():
            found.setdefault(case.area, []).append(case)
    return found


def cases(area: str) -> Sequence[Case]:
    """Those of an area."""
    return _by_area().get(area, ())


def _one(
    name: str,
    given_values: Mapping[str, Value],
    *outputs: str,
    raises: tuple[str, str] | None = None,
    capability: str | None = None,
    ulps: float = 0,
    addends: int = 1,
    absolute: float = 0,
) -> Case:
    """One call of a program without state."""
    return Case(
        name,
        inputs=tuple(given(n, v) for n, v in given_values.items()),
        outputs=outputs,
        calls=(Call(tuple(given_values.values()), raises=raises),),
        capability=capability,
        ulps=ulps,
        addends=addends,
        absolute=absolute,
        tags=("edges",),
    )


def _step(
    name: str,
    inputs: Mapping[str, Value],
    shared: Mapping[str, Value],
    updates: Mapping[str, str],
    calls: Sequence[Call],
    *outputs: str,
    absolute: float = 0,
    quick: bool = True,
) -> Case:
    return Case(
        name,
        inputs=tuple(given(n, v) for n, v in inputs.items()),
        shared=tuple(state(n, v) for n, v in shared.items()),
        updates=tuple(updates.items()),
        outputs=outputs,
        calls=tuple(calls),
        absolute=absolute,
        quick=quick,
        tags=("edges",),
    )


def _due(index: object, at: int) -> tuple[str, str]:
    return "BoundsError", f"index {index} at position ({at},)"


def _bounds() -> Iterator[Case]:
    n = 200
    good = Value("int64", (n,), tuple(k % 4 for k in range(n)))
    y = array("float64", (n, 2), 3)
    for label, bad in (("above", 4), ("below", -5)):
        ids = Value("int64", (n,), (*good.data[:-1], bad))
        due = _due(bad, n - 1)
        for op, source in (("get", "x[i]"), ("set", "x[i].set(0)"), ("inc", "x[i].inc(1)")):
            yield _one(f"errors/bounds/long-{label}/{op}", {"x": X43, "i": ids}, source, raises=due)
        for op in ("inc", "set"):
            yield _step(
                f"transaction/bounds/long-{label}/{op}",
                {"i": good, "k": good, "y": y},
                {"a": X42, "b": X42},
                {"a": f"a[i].{op}(y)", "b": f"b[k].{op}(y)"},
                [Call((good, good, y)), Call((good, ids, y), raises=due), Call((good, good, y))],
            )
    pairs = Value("int64", (n,), (*(k % 3 for k in range(n - 1)), 4))
    columns = Value("int64", (n,), (0,) * n)
    yield _one(
        "errors/bounds/long-pairs/inc", {"x": X43, "i": pairs, "j": columns}, "x[i, j].inc(1)", raises=_due(4, n - 1)
    )
    none, five = Value("float64", (4, 0), ()), value("int64", [1, 5])
    for op, source in (
        ("get", "x[i]"), ("set", "x[i].set(0)"), ("inc", "x[i].inc(1)"), ("columns-get", "x[i, 1:1]"),
        ("columns-set", "x[i, 1:1].set(0)"), ("columns-inc", "x[i, 1:1].inc(0)"),
    ):  # fmt: skip
        x = X42 if "columns" in op else none
        yield _one(f"errors/bounds/no-columns/{op}", {"x": x, "i": five}, source, raises=_due(5, 1))
    nine, nothing = value("int64", [9]), Value("int64", (0,), ())
    for op, source in (
        ("get", "x[i, j]"),
        ("set", "x[i, j].set(0)"),
        ("inc", "x[i, j].inc(1)"),
        ("swapped-get", "x[j, i]"),
    ):
        axis = int("swapped" in op)
        due = ("BoundsError", f"index 9 at position (0,) of i is out of bounds for axis {axis} of x")
        yield _one(f"errors/bounds/broadcast-to-nothing/{op}", {"x": X42, "i": nine, "j": nothing}, source, raises=due)
    empty = Value("float64", (2, 0), ())
    for op in ("inc", "set"):
        yield _step(
            f"transaction/bounds/no-columns/{op}",
            {"i": five, "y": empty},
            {"t": none},
            {"t": f"t[i].{op}(y)"},
            [Call((five, empty), raises=_due(5, 1))],
        )
    for dtype, top in (("uint16", 2**16 - 1), ("uint32", 2**32 - 1), ("int16", -(2**15)), ("int32", -(2**31))):
        for op, source in (("get", "x[i]"), ("set", "x[i].set(0)"), ("inc", "x[i].inc(1)")):
            ids = value(dtype, [3, top])
            yield _one(f"errors/bounds/{dtype}/{op}", {"x": X43, "i": ids}, source, raises=_due(top, 1))
    wide = value("uint64", 2**64 - 1)
    huge = ("BoundsError", f"index {2**64 - 1}")
    yield _one("errors/bounds/uint64-scalar/get", {"x": X43, "i": wide}, "x[i]", raises=huge)
    yield _one("errors/bounds/uint64-scalar/set", {"x": X43, "i": wide}, "x[i].set(0)", raises=huge)
    ids = value("uint64", [[0, 1], [2, 2**64 - 1]])
    yield _one("errors/bounds/uint64-matrix/get", {"x": X43, "i": ids}, "x[i]", raises=huge)
    yield _one("errors/bounds/of-transposed/get", {"x": X43, "i": value("int64", [0, 3])}, "x.T[i]", raises=_due(3, 1))
    yield _one("errors/bounds/of-strided/get", {"x": X42, "i": value("int64", [0, 2])}, "x[::2][i]", raises=_due(2, 1))


def _ids() -> Iterator[Case]:
    cube = value("int64", [[[0, 1], [1, -1]], [[2, 1], [0, 0]]])
    for dtype in ("float64", "int32"):
        x, y = array(dtype, (4, 2), 1), array(dtype, (2, 2, 2, 2), 5)
        yield _one(f"get/rank-3/{dtype}", {"x": x, "i": cube}, "x[i]")
        yield _one(f"set/rank-3/{dtype}", {"x": x, "i": cube, "y": y}, "x[i].set(y)")
        yield _one(f"inc/rank-3/{dtype}", {"x": x, "i": cube, "y": y}, "x[i].inc(y)")
    yield _one("get/long", {"x": X72, "i": LONG}, "x[i]")
    yield _one("set/long", {"x": X72, "i": LONG, "y": LONG_Y}, "x[i].set(y)")
    yield _one("inc/long", {"x": X72, "i": LONG, "y": LONG_Y}, "x[i].inc(y)")
    gradient = "st.grad((x[i].set(y) * 2).sum(), y)"
    yield _one("gradient/set/long", {"x": X72, "i": LONG, "y": LONG_Y}, gradient, absolute=1e-9)
    pairs = {"x": X72, "i": LONG, "j": Value("int64", (300,), tuple(k % 2 for k in range(300)))}
    pairs["y"] = array("float64", (300,), 8)
    yield _one("set/long-pairs", pairs, "x[i, j].set(y)")
    yield _one("inc/long-pairs", pairs, "x[i, j].inc(y)")
    same = Value("int64", (300,), (3,) * 300)
    yield _one("inc/one-row-300-times", {"x": X72, "i": same, "y": LONG_Y}, "x[i].inc(y)")
    square = Value("float64", (200, 200), tuple(float(k % 17) for k in range(40000)))
    corners = {"x": square, "i": value("int64", [199, 0, -1, 199]), "j": value("int64", [199, 3, -1, 0])}
    corners["y"] = array("float64", (4,), 2)
    yield _one("inc/pairs-of-40000", corners, "x[i, j].inc(y)[i]")
    yield _one("set/pairs-of-40000", corners, "x[i, j].set(y)[i]")
    three = {"x": array("float64", (3, 3, 3), 1), "i": value("int64", [0, -1, 0]), "j": value("int64", [1, -1, 1])}
    three |= {"k": value("int64", [2, -2, -1]), "y": array("float64", (3,), 2)}
    yield _one("inc/three-negative", three, "x[i, j, k].inc(y)", "x[i, j, k].set(y)", "x[i, j, k]")
    lengths = (5, 3, 7, 1, 0, 3)
    ids = [Value("int64", (m,), tuple(k % 5 for k in range(m))) for m in lengths]
    ys = [array("float64", (m, 2), m) for m in lengths]
    yield Case(
        "inc/ids-of-any-length",
        inputs=(given("x", X72), given("i", I), given("y", LONG_Y)),
        outputs=("x[i].inc(y)",),
        calls=tuple(Call((X72, i, y)) for i, y in zip(ids, ys, strict=True)),
        tags=("edges",),
    )
    calls = [Call((i, y)) for i, y in zip(ids, ys, strict=True)]
    yield _step("update/ids/of-any-length", {"i": I, "y": LONG_Y}, {"t": X72}, {"t": "t[i].inc(y)"}, calls, "t[i]")
    matrix = {"x": X72, "i": value("int64", [[0, 1, 2], [1, 4, 6]]), "y": array("float64", (3, 2, 2), 2)}
    yield _one("inc/ids-transposed", matrix, "x[i.T].inc(y)", "x[i.T].set(y)", "x[i.T]")
    negative = value("int64", [[-1, 0], [1, -3]])
    yield _one("get/matrix-negative", {"x": array("float64", (3, 2), 1), "i": negative}, "x[i]")
    tensor = {"x": array("float64", (3, 2, 2), 1), "i": negative}
    yield _one("get/matrix-negative-of-tensor", tensor, "x[i]", "x[i].set(1)", "x[i].inc(1)")
    four = {"x": array("float64", (2, 3, 2, 2), 1), "i": value("int64", [1, 0, 1]), "j": value("int64", [2, 0, 2])}
    four |= {"k": value("int64", [0, 1, 0]), "l": value("int64", [1, 1, 1])}
    yield _one("get/four-arrays", four, "x[i, j, k, l]", "x[i, j, k, l].inc(1)")
    rank4 = {"x": four["x"], "i": four["i"], "j": value("int64", [[0], [1]])}
    yield _one("get/rank-4", rank4, "x[i]", "x[:, i]", "x[:, j, :, i % 2]", "x[j, :, i % 2].inc(1)")
    nothing = {"x": Value("float64", (0, 3), ()), "i": value("int64", [])}
    yield _one("get/no-ids-of-nothing", nothing, "x[i]", "x[i].set(1)", "x[i].inc(1)")
    yield _one(
        "get/scalar-and-ids",
        {"x": array("float64", (2, 3, 4), 1), "i": value("int64", [0, 1, 1]), "k": value("int64", -1)},
        "x[i, k]", "x[k, i]", "x[i, :, k]", "x[i, k].inc(1)", "x[k, :, i].set(2)",
    )  # fmt: skip


def _dtypes_of_ids() -> Iterator[Case]:
    x, y = array("float64", (200, 2), 1), array("float64", (4, 2), 2)
    for dtype in ("int16", "int32"):
        ids = value(dtype, [-1, -200, 150, -1])
        for op, source in (("get", "x[i]"), ("set", "x[i].set(y)"), ("inc", "x[i].inc(y)")):
            yield _one(f"{op}/{dtype}-negative", {"x": x, "i": ids, "y": y}, source)
    wide = Value("uint8", (40000,), tuple(k * 7 % 50 for k in range(40000)))
    for dtype, numbers in (("uint16", [39999, 0, 32768, 39999]), ("int16", [-1, -32768, 32767])):
        given_values = {"x": wide, "i": value(dtype, numbers)}
        yield _one(f"get/{dtype}-of-40000", given_values, "x[i]", "x[i].set(1)[i]", "x[i].inc(1)[i]")
    axis = {"x": array("float64", (300, 2), 1), "i": value("int64", [256, -1, 299, -300])}
    yield _one("get/axis-of-300", axis, "x[i]", "x[i].set(1)[250:]", "x[i].inc(1)[250:]")
    two = {"x": array("float64", (3, 4), 2), "i": value("int8", [0, -1, 2]), "j": value("uint32", [3, 0, 3])}
    yield _one("get/ids-of-two-dtypes", two, "x[i, j]", "x[i, j].inc(1)")


def _updates() -> Iterator[Case]:
    matrix = value("int64", [[1, 3], [-1, 0]])
    for label, shape, ids in (
        ("vector", (4,), I),
        ("rank-3", (4, 2, 3), I),
        ("ids-matrix", (4, 2), matrix),
        ("vector-ids-matrix", (4,), matrix),
    ):
        for op in ("inc", "set"):
            full = array("float64", (*ids.shape, *shape[1:]), 4)
            for what, y in (("full", full), ("broadcast", array("float64", shape[1:], 6))):
                yield _step(
                    f"update/shape-of-table/{label}/{op}/{what}",
                    {"i": ids, "y": y},
                    {"t": array("float64", shape, 1)},
                    {"t": f"t[i].{op}(y)"},
                    [Call((ids, y))] * 2,
                )
    y, z, k = array("float64", (3, 2), 4), array("float64", (3, 2), 5), value("int64", [-1, 0, 2])
    calls = [Call((I, k, y, z))] * 2
    inputs = {"i": I, "k": k, "y": y, "z": z}
    yield _step("update/rows/chain-set-set", inputs, {"t": X42}, {"t": "t[i].set(y)[k].set(z)"}, calls)
    wide = array("float64", (2, 4), 2)
    yield _step(
        "update/whole/transposed",
        {"y": wide},
        {"t": X42},
        {"t": "t.T.reshape((4, 2)) + y.T"},
        [Call((wide,))] * 3,
        "t[0]",
    )
    yield _step(
        "update/set-from-outside/read", {"i": I}, {"t": X42}, {},
        [Call((I,)), Call((I,), sets=(("t", array("float64", (4, 2), 2)),)), Call((I,))], "t[i]", "t.sum()",
    )  # fmt: skip
    yield _step(
        "update/set-from-outside/rows", {"i": I}, {"t": X42, "u": array("float64", (4, 2), 3)}, {"t": "t[i].inc(u[i])"},
        [
            Call((I,)),
            Call((I,), sets=(("u", array("float64", (4, 2), 2)),)),
            Call((I,), sets=(("t", array("float64", (4, 2), 5)),)),
        ],
        "t[i]",
    )  # fmt: skip
    yield _step(
        "errors/shape/update-second-axis", {"y": X42}, {"t": X42}, {"t": "y * 2"},
        [Call((array("float64", (4, 3), 1),), raises=SHAPE), Call((X42,))],
    )  # fmt: skip
    ids = Value("int64", (300,), tuple(k * k % 150 - (150 if k % 3 == 0 else 0) for k in range(300)))
    distinct = Value("int64", (120,), tuple(k * 37 % 150 for k in range(120)))
    table = (state("t", array("float64", (150, 2), 1)),)
    for rule in ("adagrad", "momentum"):
        long = step_case(f"long/{rule}", rule, calls=steps((ids, distinct)), shared=table)
        yield replace(long, tags=(*long.tags, "edges"))
    many = Value("int64", (4500,), tuple(k * k % 150 for k in range(4500)))
    calls = [Call((many, array("float64", (4500, 32), 3)))]
    large = step_case("large/adagrad", "adagrad", calls=calls, shared=(state("t", array("float64", (150, 32), 1)),))
    yield replace(large, tags=(*large.tags, "edges"))


def _two_functions() -> Iterator[Case]:
    """What a second function over the same variables does is seen by the first, and the reverse; nothing is shared."""
    y = array("float64", (2, 4), 3)
    calls = (Call((I, y)), Call((value("int64", [0, 0, 2]), y)), Call((I, array("float64", (2, 4), 4))))
    for name, updates, then, outputs in (
        ("constant", {"a": "a[i].inc(1)"}, {"a": "st.constant([[1.5, 2], [3, 4], [5, 6], [7, 8]])"}, ()),
        ("zeros", {"a": "a[i].inc(1)"}, {"a": "st.zeros_like(a)"}, ("a[i]",)),
        ("copy", {"a": "a[i].inc(1)"}, {"b": "a"}, ("b[i]",)),
        ("transposed", {"a": "a[i].set(y[0, :2])"}, {"a": "(y + 1).T"}, ("a[i]",)),
        ("transposed-inc", {"a": "a[i].inc(1)"}, {"a": "a.T.reshape((4, 2)) + y.T"}, ("a.sum(axis=0)",)),
        ("reader", {}, {"a": "a[i].inc(1)"}, ("a[i]", "a.sum()")),
        ("reader-of-other", {"b": "b[i].inc(a[i])"}, {"a": "a[i].set(y[0, :2])"}, ("a[i]",)),
        ("swap", {"a": "b", "b": "a"}, {"a": "a[i].inc(1)"}, ("a[i]", "b[i]")),
    ):
        yield Case(
            f"update/two-functions/{name}",
            inputs=(given("i", I), given("y", y)),
            shared=(state("a", X42), state("b", array("float64", (4, 2), 5))),
            updates=tuple(updates.items()),
            then=tuple(then.items()),
            outputs=outputs,
            calls=calls,
            tags=("edges",),
        )


def _values() -> Iterator[Case]:
    bools = {"x": value("bool", [[True, False], [True, False], [False, True]]), "i": value("int64", [0, 1, 0])}
    bools |= {"j": value("int64", [0, 1, 0]), "y": value("bool", [True, True, True])}
    yield _one("inc/bool", bools, "x[i, j].inc(y)", "x[i].inc(y[:2])", "x[:, :2][:, i % 2].inc(y)")
    rows = value("int64", [0, 0, 1])
    for dtype, old, more in (
        ("uint8", [250, 3], [4, 100, 255]),
        ("int8", [120, 3], [4, 100, -128]),
        ("int64", [2**53 + 1, 2**62], [1, 2**53 + 1, 1]),
    ):
        given_values = {"x": value(dtype, old), "i": rows, "y": value(dtype, more)}
        yield _one(f"inc/{dtype}-wide", given_values, "x[i].inc(y)", "x[i].set(y)")
    for dtype in ("bool", "float16", "uint8"):
        x, y = array(dtype, (4, 2), 1), array(dtype, (3, 2), 7)
        again = {"x": x, "i": value("int64", [1, -3, 1]), "j": value("int64", [0, 1, 0]), "y": y}
        half = HALF if dtype == "float16" else None
        each = ("x[i].set(y)", "x[i, j].set(y[:, 0])", "x[:, j].set(y[0, 0])", "x[j, :].set(y)")
        yield _one(f"set/repeats/{dtype}", again, *each, capability=half)
    zeros = value("float64", [[-0.0, 1.0], [-0.0, -0.0], [2.0, -0.0]])
    y = value("float64", [[-0.0, 0.0], [-0.0, 1.0]])
    given_values = {"x": zeros, "i": value("int64", [0, 0]), "y": y}
    yield _one("inc/negative-zeros", given_values, "x[i].inc(y)", "x[i].set(y)", "x[i]")
    special = value("float64", [[NAN, 1.0], [INF, -0.0], [2.0, -INF]])
    for label, ids, y in (
        ("there", [1, 1], value("float64", [[-INF, NAN], [1.0, -0.0]])),
        ("elsewhere", [2, 2], value("float64", [[1.0, NAN], [1.0, INF]])),
    ):
        given_values = {"x": special, "i": value("int64", ids), "y": y}
        yield _one(f"inc/special-values/{label}", given_values, "x[i].inc(y)", "x[i].set(y)", "x[i]", "x[1:].inc(y)")
    y = value("float64", [[NAN, INF, -0.0], [1.0, -INF, NAN]])
    given_values = {"x": X43, "i": value("int64", [1, 3]), "y": y}
    yield _one("set/special-values", given_values, "x[i].set(y)", "x[i].inc(y)", "x[1:3].set(y)")
    yield _one("create/negative-zeros-written", {"i": I, "x": X42}, "st.full((4, 2), -0.0)[i].set(x[:3])")
    yield _one(
        "create/zeros-written-and-read", {"i": I, "x": X42},
        "st.zeros((4, 2))", "st.zeros((4, 2))[i].inc(x[i])", "st.zeros_like(x)[i].set(x[:3])", "st.zeros_like(x)",
    )  # fmt: skip
    y = array("float64", (2, 3, 3), 1)
    yield _one("errors/shape/set-value-extra-axes", {"x": X43, "i": I, "y": y}, "x[i].set(y)", raises=SHAPE)


def _slices() -> Iterator[Case]:
    x6, x34 = array("float64", (6,), 2), array("float64", (3, 4), 2)
    bounds = (
        (99, -99, -1), (99, 1, -1), (3, -99, -2), (-99, 99, 3), (-99, -99, -1), (5, -7, -1), (6, 0, -1), (-6, 6, 4),
        (-7, 2, 1), (0, 6, -3), (5, 0, -3), (2**40, -(2**40), -(2**40)),
    )  # fmt: skip
    one = value("int64", 1)
    for op, source in (("get", "x[a:b:c]"), ("set", "x[a:b:c].set(0)"), ("inc", "x[a:b:c].inc(x[a:b:c])")):
        yield Case(
            f"dynamic/slice/{op}-steps",
            inputs=(given("x", x6), *(given(n, one) for n in "abc")),
            outputs=(source,),
            calls=tuple(Call((x6, *(value("int64", v) for v in b))) for b in bounds),
            capability=DYNAMIC,
            tags=("edges",),
        )
    for label, key in (
        ("down-beyond", "99::-1"),
        ("down-far-below", ":-99:-1"),
        ("down-3", "::-3"),
        ("far-below", "-99:3"),
        ("two-down", "::-1, ::-2"),
    ):
        x = x34 if "," in key else x6
        yield _one(f"get/slice-{label}", {"x": x}, f"x[{key}]", f"x[{key}].set(0)", f"x[{key}].inc(x[{key}])")
    given_values = {"x": x34, "a": one, "b": value("int64", -1)}
    yield _one("dynamic/slice/two-bounds", given_values, "x[a:, :b]", "x[a:, :b].inc(1)", capability=DYNAMIC)
    given_values["i"] = value("int64", [2, 0, 2])
    yield _one(
        "dynamic/slice/bounds-and-ids", given_values, "x[a:, i]", "x[i, a:b]", "x[a:, i].inc(1)", capability=DYNAMIC
    )
    lengths = (6, 1, 3, 5)
    yield Case(
        "shape/roll-lengths",
        inputs=(given("x", x6),),
        outputs=("st.roll(x, -2, 0)", "st.roll(x, 7, 0)", "st.roll(x, -9, 0)"),
        calls=tuple(Call((array("float64", (n,), 1),)) for n in lengths),
        tags=("edges",),
    )


def _layouts() -> Iterator[Case]:
    """Programs whose outputs come out of views and of several dtypes; shapes that change from call to call."""
    x6 = array("float64", (6,), 2)
    yield Case(
        "ownership/outputs-of-many-dtypes",
        inputs=(given("x", x6), given("i", I)),
        outputs=(
            "x.sum() > 0", "x[i]", "i.astype('int8')", "x.astype('float32')[i]", "i > 1", "i.astype('int16')", "x.sum()",
        ),
        calls=(Call((x6, I)),) * 2,
        tags=("edges", "repeat"),
    )  # fmt: skip
    shapes = ((4, 2), (4, 3), (4, 2), (4, 1), (4, 0))
    yield Case(
        "ownership/fresh-columns",
        inputs=(given("x", X42), given("y", X42)),
        outputs=("x * 2 + y", "x.sum(axis=0)", "x.reshape((-1,))"),
        calls=tuple(Call((array("float64", s, 4), array("float64", s, 5))) for s in shapes),
        tags=("edges", "repeat"),
    )
    column, row = array("float64", (4, 1), 2), array("float64", (1, 2), 2)
    yield Case(
        "ownership/fresh-one-to-many",
        inputs=(given("x", X42), given("y", X42)),
        outputs=("x + y",),
        calls=(Call((X42, X42)), Call((X42, column)), Call((row, X42))),
        tags=("edges", "repeat"),
    )


def _masks() -> Iterator[Case]:
    mask, none = value("bool", [True, False, True, True]), value("bool", [False] * 4)
    x4 = array("float64", (4,), 1)
    yield _one(
        "dynamic/mask/extrema",
        {"x": value("int64", [-5, 9, -3, -7]), "f": value("float64", [-5.0, 9.0, -3.0, -7.0]), "m": mask},
        "x[m].max()", "x[m].min()", "x[m].prod()", "f[m].max()", "f[m].min()", "(-f)[m].min()", "(-x)[m].min()",
        "f[m].prod()", "x[m].mean()", "st.logsumexp(f[m])",
        capability=DYNAMIC, ulps=8, addends=4,
    )  # fmt: skip
    yield Case(
        "dynamic/mask/extremum-of-none",
        inputs=(given("x", x4), given("m", mask)),
        outputs=("x[m].max()",),
        calls=(Call((x4, mask)), Call((x4, none), raises=DOMAIN)),
        capability=DYNAMIC,
        tags=("edges",),
    )
    yield Case(
        "dynamic/mask/set-vector",
        inputs=(given("x", x4), given("m", mask), given("y", x4)),
        outputs=("x[m].set(y)", "x[m].inc(y)"),
        calls=tuple(
            Call((x4, m, array("float64", (k,), 3)), raises=due)
            for m, k, due in (
                (mask, 3, None), (mask, 1, None), (mask, 2, SHAPE), (mask, 4, SHAPE), (none, 0, None), (none, 1, None),
                (none, 2, SHAPE),
            )
        ),
        capability=DYNAMIC,
        tags=("edges",),
    )  # fmt: skip
    yield _one(
        "dynamic/mask/of-rows", {"x": X43, "m": mask},
        "x[m].max(axis=0)", "x[m].prod(axis=0)", "x[m].mean(axis=1)", capability=DYNAMIC, ulps=8, addends=4,
    )  # fmt: skip
    wrong = ("BoundsError", "mask")
    matrix = {"x": array("float64", (2, 3), 1), "m": value("bool", [[True, False], [False, True], [True, True]])}
    yield _one("errors/mask/transposed", matrix, "x[m]", raises=wrong, capability=DYNAMIC)
    long = {"x": array("float64", (2,), 1), "m": value("bool", [True, False, False])}
    yield _one("errors/mask/longer-with-false", long, "x[m]", raises=wrong, capability=DYNAMIC)
    flags = Value("bool", (600,), tuple(bool(k * k % 3) for k in range(600)))
    yield _one("dynamic/flatnonzero-long", {"m": flags}, "st.flatnonzero(m)", capability=DYNAMIC)
    yield _one(
        "dynamic/arange/step-0", {"n": value("int64", 0)}, "st.arange(0, 5, n)", raises=DOMAIN, capability=DYNAMIC
    )
    yield _one(
        "dynamic/zeros/negative", {"n": value("int64", -2)}, "st.zeros((n, 2))", raises=DOMAIN, capability=DYNAMIC
    )


def _casts() -> Iterator[Case]:
    for name, x, *dtypes in (
        ("uint64-to-float", value("uint64", [2**64 - 2048, 2**63, 2**63 + 2**40, 5]), "float64", "float32"),
        ("float64-to-uint64", value("float64", [2.0**63, 2.0**64 - 2048, 3.75]), "uint64"),
        ("int32-to-float64", value("int32", [2**31 - 1, -(2**31) + 1, 2**24 + 1]), "float64"),
        ("int64-to-float", value("int64", [2**53 + 1, 2**62 + 1, -(2**63), 2**24 + 1]), "float64", "float32"),
        ("float64-to-float32", value("float64", [1 + 2.0**-24 + 2.0**-50, 1 + 2.0**-24]), "float32"),
        ("float32-to-bool", value("float32", [NAN, INF, -0.0, 2.0**-20]), "bool"),
    ):
        yield _one(f"dtypes/cast/{name}/wide", {"x": x}, *(f"x.astype({d!r})" for d in dtypes))
    x = value("float64", [1 + 2.0**-11 + 2.0**-40, 1 + 2.0**-11, 65519.99, 2.5, -1 - 2.0**-11 - 2.0**-40])
    yield _one("dtypes/cast/float64-to-float16/halfway", {"x": x}, "x.astype('float16')", capability=HALF)


def _orders() -> Iterator[Case]:
    for dtype, numbers in (
        ("int64", [2**62 + 1, 2**62, 2**62 + 3]), ("uint64", [2**63 + 1, 5, 2**63]), ("uint8", [3, 0, 200]),
        ("int8", [-128, 3, -128]), ("bool", [False, True, True]),
    ):  # fmt: skip
        every = [f"st.{f}(x)" for f in ("argmax", "argmin", "max", "min", "sort", "argsort")]
        yield _one(f"reduce/extrema/{dtype}", {"x": value(dtype, numbers)}, *every)
        along = [f"st.{f}(x, axis={a})" for f, a in (("argmax", 1), ("argmin", 0), ("max", 1), ("min", 0))]
        yield _one(f"reduce/extrema/{dtype}-2x3", {"x": value(dtype, [numbers, numbers[::-1]])}, *along)
    for dtype in ("float32", "float64"):
        x = value(dtype, [[1.0, NAN, 3.0], [NAN, -2.0, NAN], [0.5, -INF, INF]])
        along = [f"st.{f}(x, axis={a})" for f in ("argmax", "argmin", "max", "min", "sort", "argsort") for a in (0, 1)]
        yield _one(f"reduce/extrema/{dtype}-nan-3x3", {"x": x}, *along, "st.argmin(x)")
    half = {"x": value("float16", [[1.0, NAN], [2.0, -1.0]])}
    along = ["st.argmax(x, axis=1)", "st.argmin(x, axis=0)", "st.max(x, axis=1)", "st.sort(x, axis=1)"]
    yield _one("reduce/extrema/float16-nan", half, *along, capability=HALF)
    for name, x in (
        ("zeros", value("float64", [0.0, -0.0, 1.0, -0.0, 0.0, -1.0])),
        ("zeros-float32", value("float32", [0.0, -0.0, 1.0, -0.0, 0.0, -1.0])),
        ("int64", value("int64", [3, -1, 3, 0, -1])),
        ("int64-high", value("int64", [2**62 + 1, 5, 2**62, 5])),
        ("int64-lowest", value("int64", [-(2**63), 5, -(2**63) + 1, 2, -(2**63)])),
        ("300-ties", Value("float64", (300,), tuple(float(k * k % 5) for k in range(300)))),
    ):
        yield _one(f"sort/argsort/{name}", {"x": x}, "st.argsort(x)")
    both = ("st.searchsorted(a, v)", "st.searchsorted(a, v, side='right')")
    a, v = value("float64", [-INF, 1.0, 2.0, INF, NAN]), value("float64", [NAN, INF, -INF, -0.0])
    yield _one("sort/searchsorted/special", {"a": a, "v": v}, *both)
    a, v = value("int64", [2**53, 2**53 + 1, 2**53 + 2]), value("int64", [2**53 + 1])
    yield _one("sort/searchsorted/int64-wide", {"a": a, "v": v}, *both)
    x = value("int64", [2**53, 2**62 + 1, -(2**53) - 1])
    y = value("int64", [2**53 + 1, 2**62, -(2**53)])
    yield _one(
        "elementwise/compare/int64-close", {"x": x, "y": y},
        "st.equal(x, y)", "x < y", "x >= y", "st.maximum(x, y)", "st.minimum(x, y)", "st.not_equal(x, y)",
    )  # fmt: skip


def _numbers() -> Iterator[Case]:
    many = {"x": Value("bool", (300, 2), (True, False) * 300)}
    yield _one("reduce/sum/bool-300", many, "st.sum(x, axis=0)", "st.sum(x)", "st.cumsum(x, axis=0)")
    wide = {"x": value("int64", [2**53 + 1, 2, -7])}
    each: tuple[str, ...] = (
        "st.sum(x)",
        "st.cumsum(x, axis=0)",
        "st.prod(x[1:])",
        "st.prod(x[:2])",
        "st.cumprod(x, axis=0)",
    )
    yield _one("reduce/sum/int64-wide", wide, *each)
    ints = {"x": Value("int32", (2000,), tuple(k * k % 7 - 3 for k in range(2000)))}
    inner = "st.sum(x.reshape((2, 10, 2, 50)), axis=(0, 2))"
    yield _one("reduce/sum/int32-2000", ints, "st.sum(x)", "st.cumsum(x, axis=0)[-1]", "st.max(x)", inner)
    empty = {"x": Value("int32", (0, 2), ())}
    each = tuple(f"st.{f}(x, axis=0)" for f in ("sum", "prod", "all", "any"))
    yield _one("reduce/empty-ints", empty, *each)
    half = {"x": value("float16", [[1.0, 2.0], [3.0, 0.5]])}
    yield _one("reduce/float16", half, "st.sum(x)", "st.max(x)", "st.cumsum(x, axis=1)", "x @ x", capability=HALF)
    x = value("int64", [[2**53 + 1, 1], [1, 1]])
    yield _one("linalg/int64-wide", {"x": x}, "x @ x", "st.einsum('ij,ij->i', x, x)")
    x, y = value("bool", [[True, False], [True, True], [False, False]]), value("bool", [[True, False], [False, True]])
    yield _one("linalg/bool", {"x": x, "y": y}, "x @ y")
    yield _one("linalg/int8", {"x": value("int8", [[100, 2], [3, 4]])}, "x @ x")
    x, y = array("float64", (2, 200), 1), array("float64", (200, 2), 2)
    yield _one("linalg/inner-200", {"x": x, "y": y}, "x @ y", ulps=4, addends=201)
    yield _one("shape/broadcast-large", {"x": array("float64", (3,), 1)}, "st.broadcast_to(x, (30, 50, 3))")
    parts, stacked = (", ".join(f"x * {k}" for k in range(n)) for n in (12, 40))
    x = array("float64", (2,), 1)
    yield _one("shape/concatenate-many", {"x": x}, f"st.concatenate([{parts}])", f"st.stack([{stacked}])")
    each = ("st.arange(0.0, 1.0, 0.1)", "st.arange(1.0, 0.0, -0.3)", "st.arange(0, 50, 7)")
    yield _one("create/arange/many", {}, *each, ulps=16)
    for dtype in ("int8", "int32", "int64"):
        low = -(2 ** (int(dtype[3:]) - 1))
        x, y = value(dtype, [low, low, -7, low]), value(dtype, [-1, 1, -1, 2])
        yield _one(f"elementwise/floor_divide/{dtype}/lowest", {"x": x, "y": y}, "x // y", "x % y")
    for dtype in ("uint8", "int8", "int32", "int64", "uint64"):
        bits = int(dtype.strip("uint"))
        x = value(dtype, [1, 5, 200 if dtype.startswith("u") else -7, 100])
        y = value(dtype, [bits, bits + 1, bits - 1, bits])
        yield _one(f"elementwise/shift/{dtype}/width", {"x": x, "y": y}, "x << y", "x >> y")
    x, y = value("int64", [3, -3, -2, 0, 7]), value("int64", [39, 39, 63, 0, 30])
    yield _one("elementwise/power/int64/wide", {"x": x, "y": y}, "x ** y")
    each = ("st.floor(x)", "st.ceil(x)", "st.trunc(x)", "st.rint(x)")
    x = value("float64", [2.0**31 + 0.5, -(2.0**31) - 0.5, 2.0**52 + 1, 1e300, 2.0**63, -1e19])
    yield _one("elementwise/round/float64/large", {"x": x}, *each)
    x = value("float32", [2.0**24 + 2, 2.0**23 - 0.5, -(2.0**23) + 0.5, 2.0**100])
    yield _one("elementwise/round/float32/large", {"x": x}, *each)
    x, y = value("int64", [2**53, -(2**53) - 1]), value("int64", [2**53 + 1, -(2**53)])
    yield _one(
        "elementwise/compare/int64-beyond-float", {"x": x, "y": y}, "st.maximum(x, y)", "st.minimum(x, y)", "x < y"
    )
    x = value("float16", [NAN, -0.0, 2.0, -INF])
    yield _one("elementwise/sign/float16/special", {"x": x}, "st.sign(x)", "st.abs(x)", "-x", capability=HALF)
    x = value("float64", [1e-300, 1e-17, 0.5])
    yield _one("elementwise/log1p/tiny", {"x": x}, "st.log1p(x)", "st.expm1(x)", ulps=4)
    x, y = value("float64", [1.0, 2.0]), value("float64", [3.0, 4.0])
    yield _one("elementwise/where/one-condition", {"c": value("bool", False), "x": x, "y": y}, "st.where(c, x, y)")
    x, y = value("float64", [0.0, -0.0, 0.0, -0.0]), value("float64", [0.0, 0.0, -0.0, -1.0])
    yield _one("elementwise/arctan2/zeros", {"x": x, "y": y}, "st.arctan2(x, y)", ulps=4)
    x, y = value("float64", [1e17, -1e-20, 5.3]), value("float64", [3.0, 3.0, 0.1])
    yield _one("elementwise/mod/digits", {"x": x, "y": y}, "x % y", ulps=1)
    bad = value("int64", [1, -2, 0])
    yield Case(
        "errors/domain/power-int64",
        inputs=(given("x", I), given("y", I)),
        outputs=("x ** y",),
        calls=(Call((I, I)), Call((I, bad), raises=("DomainError", "negative integer"))),
        tags=("edges",),
    )


def _whole_numbers(shape: tuple[int, int], seed: int) -> Value:
    return Value("float64", shape, tuple(float((k * k + seed) % 17 - 8) for k in range(shape[0] * shape[1])))


def _large() -> Iterator[Case]:
    """Half a megabyte and more, where backends go other ways. Whole numbers, so that sums are exact."""
    x, y = _whole_numbers((4100, 64), 0), _whole_numbers((4100, 64), 3)
    for name, inputs in (
        ("large", (given("x", x), given("y", y))),
        ("large-known-columns", tuple(Given(n, "float64", (None, 64)) for n in "xy")),
    ):
        yield Case(
            f"elementwise/{name}",
            inputs=inputs,
            outputs=("((x * y + x) * y - x * x) * 2 + x", "st.maximum(x * y, x) - y"),
            calls=(Call((x, y)), Call((y, x))),
            quick=False,
            tags=("edges",),
        )
    ids = Value("int64", (4200,), tuple(k * k % 500 - (500 if k % 3 == 0 else 0) for k in range(4200)))
    table, rows = _whole_numbers((500, 64), 0), _whole_numbers((4200, 64), 5)
    yield Case(
        "update/large-rows",
        inputs=(given("i", ids), Given("y", "float64", (None, 64))),
        shared=(state("t", table),),
        updates=(("t", "t[i].inc(y * t[i] - y)"),),
        outputs=("t[i]", "(t[i] * y).sum()"),
        calls=(Call((ids, rows)),),
        quick=False,
        tags=("edges",),
    )
    bad = Value("int64", (4200,), (*ids.data[:-1], 500))
    calls = [Call((bad,), raises=("BoundsError", "index 500"))]
    yield _step(
        "transaction/large-rows", {"i": ids}, {"t": table}, {"t": "t[i].inc(t[i] * 2 + 1)"}, calls,
        "(t[i] * t[i]).sum()", quick=False,
    )  # fmt: skip
