"""What only one of a backend's ways does: each case here is the first that some mutant of a backend fails.

A backend has ways of its own for positions that are known, narrow, unsigned or in another order, for keys that fit into one number,
for zeros that are written into, for temporaries of some megabytes. The cases belong to the areas that their ids name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from subtensor_conformance.case import Call, Case, Given, Value, array, given, pattern, state, value
from subtensor_conformance.cases.step_case import IDS, NONE, OTHER, step_case, targets

I = value("int64", [1, 3, 1])  # the name that cases give to ids
X, Y, Z = array("float64", (4, 2), 1), array("float64", (3, 2), 4), array("float64", (3, 2), 5)
TOP = 2**63 - 1


@cache
def _by_area() -> Mapping[str, list[Case]]:
    found: dict[str, list[Case]] = {}
    for make in (
        _refused,
        _ordered,
        _sorted,
        _cast,
        _zeros,
        _lengths,
        _diagonals,
        _unsigned,
        _rows,
        _boxes,
        _workspace,
    ):
        for case in make():
            found.setdefault(case.area, []).append(case)
    return found


def cases(area: str) -> Sequence[Case]:
    """Those of an area."""
    return _by_area().get(area, ())


def _one(
    name: str,
    values: Mapping[str, Value],
    *outputs: str,
    raises: tuple[str, str] | None = None,
    capability: str | None = None,
    static: bool = False,
) -> Case:
    return Case(
        name, inputs=tuple(given(n, v, static) for n, v in values.items()), outputs=outputs,
        calls=(Call(tuple(values.values()), raises=raises),), capability=capability, tags=("edges",),
    )  # fmt: skip


def _refused() -> Iterator[Case]:
    """The second of two writes is refused, after a first that would have changed something."""
    high, low = value("int64", [1, 4, 0]), value("int64", [0, 1, -5])
    tables = tuple(state(n, array("float64", (4, 2), k)) for k, n in enumerate("ab", 1))
    inputs = (given("i", I), given("k", I), given("y", Y))
    for name, first, second in (
        ("rows-set", "a[i].set(y)", "b[k].set(y)"),
        ("rows-inc", "a[i].set(y)", "b[k].inc(y)"),
        ("rows-matrix", "a[i].inc(y)", "b[k.reshape((3, 1))].set(y.reshape((3, 1, 2)))"),
        ("columns", "a[i].inc(y)", "b[:, k - 1].set(y[0, 0])"),
        ("pairs-set", "a[i].inc(y)", "b[k, i % 2].set(y[:, 0])"),
        ("pairs-inc", "a[i].inc(y)", "b[k, i % 2].inc(y[:, 0])"),
        ("slice-and-rows", "a[i].set(y)", "b[k, 1:].set(y[:, :1])"),
    ):
        for label, bad in (("above", high), ("below", low)):
            good = value("int64", [1, 2, 1])
            yield Case(
                f"transaction/after-a-change/{name}/{label}", inputs=inputs, shared=tables,
                updates=(("a", first), ("b", second)), tags=("out of bounds", "edges"),
                calls=(
                    Call((I, good, Y)), Call((I, bad, Z), raises=("BoundsError", "is out of bounds for axis")),
                    Call((I, good, Z)),
                ),
            )  # fmt: skip
    wide = value("float64", [1.5, 2.5])
    for name, second in (
        ("columns-set", "b[:, i % 2].set(v)"),
        ("columns-inc", "b[:, i % 2].inc(v)"),
        ("pairs-set", "b[i, i % 2].set(v)"),
        ("pairs-inc", "b[i, i % 2].inc(v)"),
    ):
        v = value("float64", [1.0, 2.0, 4.0])
        yield Case(
            f"transaction/after-a-change/shape/{name}", inputs=(given("i", I), given("y", Y), given("v", v)), shared=tables,
            updates=(("a", "a[i].set(y)"), ("b", second)), tags=("shapes", "edges"),
            calls=(Call((I, Y, v)), Call((I, Z, wide), raises=("ShapeError", "")), Call((I, Z, v))),
        )  # fmt: skip


def _ordered() -> Iterator[Case]:
    """Writes in the order of the ids, whatever order their memory has."""
    ids, m = value("int64", [1, 3, 1, 1]), value("int64", [[1, 3], [3, 1], [1, 0]])
    y = array("float64", (4, 2), 6)
    yield _one("set/reversed-ids", {"x": X, "i": ids, "y": y}, "x[i[::-1]].set(y)", "x[i[::-1], 0].set(y[:, 0])")
    w = array("float64", (2, 3, 2), 7)
    yield _one(
        "set/transposed-ids", {"x": X, "i": m, "y": w}, "x[i.T].set(y)", "x[i.T, 1].set(y[:, :, 0])", "x[i.T].inc(y)"
    )
    yield Case(
        "update/reversed-ids", inputs=(given("i", ids), given("y", y)), shared=(state("t", X), state("u", X)),
        updates=(("t", "t[i[::-1]].set(y)"), ("u", "u[i[::-1]].inc(y[::-1])")), calls=(Call((ids, y)),) * 2, tags=("edges",),
    )  # fmt: skip
    yield Case(
        "update/transposed-ids", inputs=(given("i", m), given("y", w)), shared=(state("t", X), state("u", X)),
        updates=(("t", "t[i.T].set(y)"), ("u", "u[i.T].inc(y)")), calls=(Call((m, w)),) * 2, tags=("edges",),
    )  # fmt: skip


def _sorted() -> Iterator[Case]:
    """Keys that fit into one number with their places, and keys that just do not."""
    for name, data in (
        ("negative", [3, -1, 2, -1, -7]),
        ("one-negative", [-1, 2, 0, 2]),
        ("largest", [TOP, 3, TOP - 1, TOP, 0]),
        ("as-large-as-fits", [2**61 - 1, 5, 2**61 - 1, 0]),
        ("one-larger", [2**61, 5, 2**61, 0]),
        ("some-larger", [2**61 + 1, 5, 2**62, 2**61 + 1, 2**62]),
        ("zeros", [0, 0, 0, 0]),
        ("one", [5]),
        ("two", [7, 7]),
        ("none", []),
    ):
        for dtype in ("int64", "uint64"):
            if dtype == "int64" or min(data, default=0) >= 0:
                more = [*data, 2**64 - 1] if dtype == "uint64" and name == "largest" else data
                yield _one(f"sort/keys/{name}/{dtype}", {"x": value(dtype, more)}, "st.argsort(x)", "st.sort(x)")
    for dtype, low, high in (
        ("int32", -(2**31), 2**31 - 1),
        ("uint32", 0, 2**32 - 1),
        ("int8", -128, 127),
        ("uint8", 0, 255),
    ):
        v = value(dtype, [high, low, high, 1, low, 1, 0])
        yield _one(f"sort/keys/ends/{dtype}", {"x": v}, "st.argsort(x)", "st.sort(x)")
    zeros = Value("float64", (150,), tuple((0.0, -0.0, 1.5, -0.0, 0.0)[k * k % 5] for k in range(150)))
    yield _one("sort/zeros-of-both-signs", {"x": zeros}, "st.sort(x)", "st.argsort(x)")
    same = Value("float64", (70,), tuple((2.0, 1.0)[k % 2] for k in range(70)))
    yield _one("sort/ties-in-70", {"x": same}, "st.argsort(x)")


def _cast() -> Iterator[Case]:
    """Floats of which only some lie beyond, on one side only."""
    for dtype, low, high in (
        ("int8", -128.0, 128.0), ("uint8", 0.0, 256.0), ("int32", -(2.0**31), 2.0**31), ("uint32", 0.0, 2.0**32),
        ("int64", -(2.0**63), 2.0**63), ("uint64", 0.0, 2.0**64),
    ):  # fmt: skip
        sides = {
            "h": [1.0, high, 2.0, high * 2],
            "l": [1.0, low * 2 - 5, 2.0, low - 2.0**20],
            "w": [low, 1.0, low],
            "e": [1.0, high],
        }
        values = {name: value("float64", data) for name, data in sides.items()}
        yield _one(f"dtypes/cast-one-side/{dtype}", values, *(f"{name}.astype('{dtype}')" for name in sides))
    yield _one("dtypes/cast-of-nothing", {"x": Value("float64", (0, 2), ())}, "x.astype('int8')", "x.astype('uint64')")


def _zeros() -> Iterator[Case]:
    """Zeros that are written into, and used besides; and what is like zeros, and is not."""
    both = {"x": X, "i": I}
    yield _one("inc/zeros-used-twice", both, "st.concatenate([st.zeros_like(x), st.zeros_like(x)[i].inc(1)])")
    yield _one("inc/zeros-and-ones", both, "st.broadcast_to(st.constant([0.0, 1.0]), (4, 2))[i].inc(1)")
    yield _one("set/zeros-of-both-signs", both, "st.broadcast_to(st.constant([0.0, -0.0]), (4, 2))[i].set(1)")
    yield _one(
        "set/negative-zeros", both, "(st.zeros_like(x) * -1.0)[i].set(1)", "st.broadcast_to(-0.0, (4, 2))[i].set(1)"
    )
    yield _one("inc/zeros-into-themselves", both, "st.zeros_like(x)[i].inc(st.zeros_like(x)[1:])[0].inc(x[0])")
    wide = array("float64", (2,), 8)
    yield _one("inc/long-broadcast", {"y": wide, "i": I}, "st.broadcast_to(y, (3000, 2))[i].inc(1)[:5]")
    yield _one("set/long-broadcast", {"y": wide, "i": I}, "st.broadcast_to(y, (3000, 2))[i].set(7)[:5]")
    yield Case(
        "update/zeros-twice", inputs=(given("i", I), given("y", Y)), shared=(state("t", X),), updates=(("t", "st.zeros_like(t)"),),
        outputs=("st.zeros_like(t)[i].inc(y)",), calls=(Call((I, Y)),) * 2, tags=("edges",),
    )  # fmt: skip
    yield Case(
        "update/zeros-written-and-kept", inputs=(given("i", I), given("y", Y)), shared=(state("t", X), state("u", X)),
        updates=(("t", "st.zeros_like(t)"), ("u", "st.zeros_like(t)[i].set(y)")), calls=(Call((I, Y)),) * 2, tags=("edges",),
    )  # fmt: skip


def _lengths() -> Iterator[Case]:
    """Lengths that are values too."""
    for name, output, due in (
        ("reshaped", "x.shape[0].reshape((1,))", "st.constant([4])"),
        ("stretched", "st.broadcast_to(x.shape[0], (x.shape[1],))", "st.constant([4, 4])"),
        ("stacked", "st.stack([x.shape[0], x.shape[1]]).sum()", "st.constant(6)"),
        ("added", "x.shape[0] * 2 + x.shape[1]", "st.constant(10)"),
    ):
        yield Case(
            f"create/lengths/{name}", inputs=(given("x", X),), outputs=(output,), oracle=((output, due),), calls=(Call((X,)),),
            tags=("edges",),
        )  # fmt: skip


def _diagonals() -> Iterator[Case]:
    """Reads at ranges, which are diagonals: of more axes, apart, from an offset, with steps."""
    x = array("float64", (4, 5, 6), 3)
    n = "st.arange(3)"
    for name, key in (
        ("last", f":, {n}, {n}"), ("first", f"{n}, {n}"), ("apart", f"{n}, :, {n}"), ("below", f"{n} + 1, {n}"),
        ("beside", f":, {n}, {n} + 3"), ("steps", "st.arange(2) * 2, st.arange(2) * 3 + 1"),
        ("apart-steps", "st.arange(2) * 3, 1:, st.arange(2) * 2 + 1"), ("all", "st.arange(4), st.arange(4), st.arange(4)"),
    ):  # fmt: skip
        for static in (True, False) if name in ("last", "apart-steps") else (False,):
            label = "known" if static else "run-time"
            yield _one(f"get/diagonal/{name}/{label}", {"x": x}, f"x[{key}]", static=static)
    four = array("float64", (2, 3, 4, 3), 4)
    for name, key in (("last", f":, :, {n}, {n}"), ("apart", f":, {n}, :, {n}"), ("middle", f":, {n}, {n}")):
        yield _one(f"get/diagonal/four-axes/{name}", {"x": four}, f"x[{key}]", static=True)
    long = ("BoundsError", "is out of bounds for axis 0 of x")
    yield _one("errors/diagonal/too-long", {"x": X}, "x[st.arange(5), st.arange(5) % 2]", raises=long)
    beyond = ("BoundsError", "is out of bounds for axis 1 of x")
    yield _one("errors/diagonal/too-wide", {"x": X}, "x[st.arange(3), st.arange(3)]", raises=beyond)


def _unsigned() -> Iterator[Case]:
    """uint64 positions that would wrap to negative ones."""
    for n in (3, 60):
        ids = Value("uint64", (n,), (1,) * (n - 1) + (2**64 - 1,))
        good = Value("uint64", (n,), (3,) * n)
        y = pattern("float64", (n, 2), 41)
        text = ("BoundsError", f"index {2**64 - 1} at position ({n - 1},)")
        for name, output in (
            ("get", "x[i]"), ("set", "x[i].set(y)"), ("inc", "x[i].inc(y)"), ("pairs", "x[i, i].inc(y[:, 0])"),
            ("pairs-set", "x[i, 0].set(y[:, 0])"),
        ):  # fmt: skip
            yield _one(f"errors/wraps/{name}/{n}", {"x": X, "i": ids, "y": y}, output, raises=text)
        for name in ("set", "inc"):
            yield Case(
                f"transaction/wraps/{name}/{n}", inputs=(given("i", good), given("y", y)), shared=(state("t", X),),
                updates=(("t", f"t[i].{name}(y)"),), tags=("out of bounds", "edges"),
                calls=(Call((good, y)), Call((ids, y), raises=text), Call((good, y))),
            )  # fmt: skip
    none = value("int64", [])
    yield _one("get/no-ids-and-a-number", {"x": X, "i": none}, "x[i, 1]", "x[1, i]", "x[i, -2]")
    text = ("BoundsError", "is out of bounds for axis 1 of x")
    yield _one("errors/no-ids-and-a-number", {"x": X, "i": none, "j": value("int64", 5)}, "x[i, j]", raises=text)


def _rows() -> Iterator[Case]:
    """Rows that a step numbers: positions of every dtype, some out of range on one side, on rules that sum by row."""
    for dtype in ("int8", "uint8", "int32", "uint64"):
        ids = Value(dtype, (6,), (4, 0, 1, 1, 0, 2) if dtype[0] == "u" else (-5, 0, 1, -4, 0, 4))
        y = targets(ids, 4)
        bads = [(5, 0)] if dtype[0] == "u" else [(5, 0), (-6, 0)]
        if dtype == "uint64":
            bads.append((2**64 - 1, 0))
        calls = [Call((ids, y))]
        for bad in bads:
            b = Value(dtype, (2,), bad)
            text = f"t[i]: index {bad[0]} at position (0,) of i is out of bounds for axis 0 of t"
            calls.append(Call((b, targets(b, 3)), raises=("BoundsError", text)))
        none = Value(dtype, (0,), ())
        calls += [Call((none, targets(none, 4))), Call((ids, y))]
        yield step_case(f"positions/{dtype}", "adagrad", calls=calls, tags=("duplicates", "edges"))
    zero = value("int64", [0, 0, 0])
    yield step_case(
        "positions/one-row", "adagrad", calls=[Call((v, targets(v, 4))) for v in (zero, IDS, NONE, OTHER)],
        tags=("duplicates", "edges"),
    )  # fmt: skip


def _boxes() -> Iterator[Case]:
    """Writes of one piece beside positions that are computed, so that only a run finds them out of range; bools that add up."""
    tables = (state("a", X), state("b", array("float64", (4, 2), 2)))
    good, other, high, low = (value("int64", ids) for ids in ([1, 3, 1], [0, -1, 2], [1, 5, 1], [1, -4, 1]))
    inputs = (given("k", good), given("y", Y))
    for name, first in (
        ("row", "a[0].set(y[0])"), ("row-inc", "a[-1].inc(y[0])"), ("slice", "a[1:].set(y)"), ("slice-inc", "a[:3].inc(y)"),
        ("all", "a[:].set(y[0])"), ("all-inc", "a[:].inc(y[0])"), ("element", "a[1, 1].inc(y[0, 0])"),
        ("column", "a[:3, 1].set(y[:, 0])"), ("step", "a[::3].inc(y[:2])"),
    ):  # fmt: skip
        for label, bad in (("above", high), ("below", low)):
            if label == "above" or name in ("row", "slice-inc"):
                text = ("BoundsError", "is out of bounds for axis 0 of b")
                yield Case(
                    f"transaction/computed/{name}/{label}", inputs=inputs, shared=tables, outputs=("a.sum(axis=0)",),
                    updates=(("a", first), ("b", "b[k - 1].inc(y)")), tags=("out of bounds", "edges"),
                    calls=(Call((good, Y)), Call((bad, Z), raises=text), Call((other, Z))),
                )  # fmt: skip
    many = Value("int64", (256,), (1,) * 256)
    flags, all_true = value("bool", [False, False, True]), Value("bool", (256,), (True,) * 256)
    yield _one("inc/bool-256-times", {"x": flags, "i": many, "y": all_true}, "x[i].inc(y)")
    two = value("bool", [True, False])
    yield _one(
        "inc/bool-pieces", {"x": flags, "y": two}, "x[1:].inc(y)", "x[:2].inc(y)", "x[0].inc(y[0])", "x[::2].inc(y)"
    )
    cube, part = array("float64", (4, 3, 2), 3), array("float64", (2, 2, 2), 4)
    values = {"x": cube, "y": part, "i": value("int64", [2, 0])}
    yield _one(
        "set/known-ids-and-pieces", values, "x[[3, 1], 1:].set(y)", "x[[3, 1], :, 1:].set(y[0, 0, 0])", "x[[3, 1], i].set(y[0])",
        "x[:2, [2, 0]].set(y)", "x[i, [2, 0], 1:].set(y[0, :, :1])", static=True,
    )  # fmt: skip


def _workspace() -> Iterator[Case]:
    """Temporaries of more than two megabytes, of one size and another."""
    x = pattern("float64", (61, 64), 29)
    wide = Given("x", "float64", (None, 64))
    ids = {n: Value("int64", (n,), tuple(k * 31 % 122 - 61 for k in range(n))) for n in (4200, 5400)}  # all rows
    bad = Value("int64", (4200,), (*ids[4200].data[:4199], 61))
    text = ("BoundsError", "index 61 at position (4199,) of i is out of bounds for axis 0 of x")
    for name, output, simple in (
        ("rows", "x[i].max(0)", "x.max(0)"),
        ("transposed", "x[:61].T.T[i].min(0)", "x.min(0)"),
        ("matrix", "x[i.reshape((-1, 2))].max((0, 1))", "x.max(0)"),
    ):
        yield Case(
            f"get/megabytes/{name}", inputs=(wide, given("i", bad)), outputs=(output,), oracle=((output, simple),),
            calls=(
                Call((x, ids[4200])), Call((x, ids[5400])), Call((x, bad), raises=text if name == "rows" else ("BoundsError", "61")),
                Call((x, ids[4200])),
            ),
            tags=("sizes",),
        )  # fmt: skip
    y, z = pattern("float64", (4200, 64), 41), pattern("float64", (64,), 11)
    a, b = pattern("float64", (4200, 1), 17), pattern("float64", (1, 64), 13)
    tall = (Given("y", "float64", (None, 64)), given("z", z, static=True))
    output = "st.maximum(y * 2, z).max(0)"
    yield Case(
        "elementwise/megabytes/chain", inputs=tall, outputs=(output,), oracle=((output, "st.maximum(y.max(0) * 2, z)"),),
        calls=(Call((y, z)),), tags=("sizes",),
    )  # fmt: skip
    yield Case(
        "ownership/megabytes/view", inputs=tall[:1], outputs=("(y * 2)[1:]",), calls=(Call((y,)),), tags=("sizes",),
    )  # fmt: skip
    yield Case(
        "linalg/megabytes/product", inputs=(Given("a", "float64", (None, 1)), given("b", b, static=True)),
        outputs=("(a @ b).max(0)",), oracle=(("(a @ b).max(0)", "st.maximum(a.max(0) * b[0], a.min(0) * b[0])"),),
        calls=(Call((a, b)),), tags=("sizes",),
    )  # fmt: skip
