"""Errors: their classes and their texts, which are the same on every backend."""

from __future__ import annotations

from collections.abc import Iterator

from subtensor_conformance.case import Call, Case, Value, array, given, state, value

X = array("float64", (4, 3), 1)


def _bounds(
    name: str, source: str, ids: dict[str, Value], text: str, shape: tuple[int, ...] = (4, 3)
) -> Iterator[Case]:
    x = array("float64", shape, 1)
    for op, spelled in (
        ("get", source),
        ("set", f"{source}.set(0)"),
        ("inc", f"{source}.inc(1)"),
        ("grad", f"st.grad(st.sqr({source}).sum(), x)"),
    ):
        yield Case(
            f"errors/bounds/{name}/{op}",
            inputs=(given("x", x), *(given(n, v) for n, v in ids.items())),
            outputs=(spelled,),
            calls=(Call((x, *ids.values()), raises=("BoundsError", text)),),
            tags=("out of bounds", "edges") if "of-none" in name else ("out of bounds",),
            quick=op == ("get", "set", "inc", "grad")[len(name) % 4] or name == "high",
        )


def cases() -> Iterator[Case]:
    one = value("int64", [0, 1])
    for name, source, ids, text, shape in (
        ("high", "x[i]", {"i": value("int64", [1, 4])}, "index 4 at position (1,) of i is out of bounds for axis 0 of x, which has size 4", (4, 3)),
        ("low", "x[i]", {"i": value("int64", [-5, 1])}, "index -5 at position (0,) of i is out of bounds for axis 0 of x, which has size 4", (4, 3)),
        ("far", "x[i]", {"i": value("int64", [0, 10**12])}, "index 1000000000000 at position (1,)", (4, 3)),
        ("int8", "x[i]", {"i": value("int8", [3, -5])}, "index -5 at position (1,)", (4, 3)),
        ("uint8", "x[i]", {"i": value("uint8", [3, 255])}, "index 255 at position (1,)", (4, 3)),
        ("uint64", "x[i]", {"i": value("uint64", [3, 2**63 + 1])}, "index 9223372036854775809 at position (1,)", (4, 3)),
        ("uint64-all-ones", "x[i]", {"i": value("uint64", [3, 2**64 - 1])}, "index 18446744073709551615 at position (1,)", (4, 3)),
        ("scalar", "x[i]", {"i": value("int64", 4)}, "index 4 is out of bounds for axis 0 of x", (4, 3)),
        ("scalar-low", "x[i]", {"i": value("int64", -5)}, "index -5 is out of bounds for axis 0 of x", (4, 3)),
        ("matrix", "x[i]", {"i": value("int64", [[0, 1], [7, 9]])}, "index 7 at position (1, 0) of i", (4, 3)),
        ("column", "x[:, j]", {"j": value("int64", [2, 3])}, "index 3 at position (1,) of j is out of bounds for axis 1 of x, which has size 3", (4, 3)),
        ("pairs", "x[i, j]", {"i": one, "j": value("int64", [0, -4])}, "index -4 at position (1,) of j is out of bounds for axis 1", (4, 3)),
        ("pairs-first", "x[i, j]", {"i": value("int64", [9, 0]), "j": value("int64", [0, 8])}, "index 9 at position (0,) of i", (4, 3)),
        ("pairs-of-none", "x[i, j]", {"i": value("int64", [9]), "j": value("int64", [])}, "index 9 at position (0,) of i is out of bounds for axis 0 of x, which has size 4", (4, 3)),
        ("pairs-of-none-low", "x[i, j]", {"i": value("int64", []), "j": value("int64", [-4])}, "index -4 at position (0,) of j is out of bounds for axis 1 of x, which has size 3", (4, 3)),
        ("grid-of-none", "x[i[:, None], j]", {"i": value("int64", [0, 4]), "j": value("int64", [])}, "index 4 at position (1, 0) of ", (4, 3)),
        ("separated-of-none", "x[i, :, k]", {"i": value("int32", []), "k": value("uint8", [2])}, "index 2 at position (0,) of k is out of bounds for axis 2", (2, 2, 2)),
        ("empty-axis", "x[i]", {"i": value("int64", [0])}, "the axis is empty, so no index fits", (0, 3)),
        ("linear-in-range", "x[i, j]", {"i": one, "j": value("int64", [3, 0])}, "index 3 at position (0,) of j is out of bounds for axis 1", (4, 3)),
        ("separated", "x[i, :, k]", {"i": one, "k": value("int64", [0, 2])}, "index 2 at position (1,) of k is out of bounds for axis 2", (2, 2, 2)),
        ("after-slice", "x[1:, j]", {"j": value("int64", [0, 5])}, "index 5 at position (1,) of j is out of bounds for axis 1", (4, 3)),
    ):  # fmt: skip
        yield from _bounds(name, source, ids, text, shape)
    yield from _at_the_call()
    yield from _at_build()


def _call(name: str, inputs: dict[str, tuple[Value, Value]], source: str, raises: tuple[str, str], capability: str | None = None) -> Case:  # fmt: skip
    """A program called well first, then badly. inputs: a good and a bad value for each name."""
    return Case(
        f"errors/{name}",
        inputs=tuple(given(n, good) for n, (good, _) in inputs.items()),
        outputs=(source,),
        calls=(
            Call(tuple(good for good, _ in inputs.values())),
            Call(tuple(bad for _, bad in inputs.values()), raises=raises),
            Call(tuple(good for good, _ in inputs.values())),
        ),
        capability=capability,
        tags=("at the call",),
    )


def _at_the_call() -> Iterator[Case]:
    three, four, two = (array("float64", (n,), n) for n in (3, 4, 2))
    m23, m32 = array("float64", (2, 3), 1), array("float64", (3, 2), 2)
    yield _call(
        "shape/add", {"x": (three, three), "y": (three, four)}, "x + y", ("ShapeError", "axis 0 of x is 3, of y is 4")
    )
    yield _call(
        "shape/where",
        {"x": (three, three), "y": (three, two)},
        "st.where(x > 0, x, y)",
        ("ShapeError", "expected equal or 1"),
    )
    yield _call("shape/matmul", {"x": (m23, m23), "y": (m32, m23)}, "x @ y", ("ShapeError", "expected equal"))
    yield _call(
        "shape/concatenate",
        {"x": (m23, m23), "y": (m23, m32)},
        "st.concatenate([x, y])",
        ("ShapeError", "axis 1 of x is 3, of y is 2"),
    )
    yield _call(
        "shape/stack", {"x": (three, three), "y": (three, four)}, "st.stack([x, y])", ("ShapeError", "expected equal")
    )
    yield _call(
        "shape/reshape", {"x": (array("float64", (6,), 1), four)}, "x.reshape((2, 3))", ("ShapeError", "has 4 elements")
    )
    yield _call(
        "shape/squeeze", {"x": (array("float64", (1, 2), 1), m32)}, "st.squeeze(x, 0)", ("ShapeError", "expected 1")
    )
    yield _call(
        "shape/set-value",
        {"x": (m23, m23), "y": (three, four)},
        "x[:1].set(y)",
        ("ShapeError", "axis 1 of the indexed part of x is 3"),
    )
    row = array("float64", (1, 3), 1)
    for name, source in (("ij,ij->i", "st.einsum('ij,ij->i', x, y)"), ("ij,kj->ki", "st.einsum('ij,kj->ki', x, y)")):
        other = row if name == "ij,ij->i" else array("float64", (2, 1), 1)  # of length 1, which does not broadcast here
        yield _call(
            f"shape/einsum-of-one/{name[:5]}",
            {"x": (m23, m23), "y": (m23, other)},
            source,
            ("ShapeError", "1 in y; expected equal"),
        )
    cube, turned = array("float64", (2, 3, 4), 1), array("float64", (2, 4, 3), 1)
    yield _call(
        "shape/tensordot",
        {"x": (cube, cube), "y": (cube, turned)},
        "st.tensordot(x, y, [[1, 2], [1, 2]])",
        ("ShapeError", "tensordot: axis 1 of x is 3, axis 1 of y is 4"),
    )
    classes, wrong = value("int64", [0, 2]), value("int64", [0, 3])
    yield _call(
        "bounds/one-hot",
        {"x": (classes, wrong)},
        "st.one_hot(x, 3)",
        ("BoundsError", "one_hot(x): index 3 at position (1,) of x is out of bounds for axis 1 of one_hot(x)"),
    )
    i2, i3 = value("int64", [0, 1]), value("int64", [0, 1, 0])
    yield _call(
        "shape/index-arrays",
        {"x": (m23, m23), "i": (i2, i2), "j": (i2, i3)},
        "x[i, j]",
        ("IndexingError", "index arrays broadcast together"),
    )
    none = array("float64", (0,))
    for op in ("max", "min", "argmax", "argmin"):
        yield _call(
            f"domain/{op}-of-nothing",
            {"x": (three, none)},
            f"st.{op}(x, axis=0)",
            ("DomainError", "is empty along axes"),
        )
    good, bad = value("int32", [1, 2]), value("int32", [1, -2])
    yield _call(
        "domain/negative-power", {"x": (good, good), "y": (good, bad)}, "x ** y", ("DomainError", "negative integer")
    )
    mask, long = value("bool", [True, False]), value("bool", [True, False, True])
    text = ("BoundsError", "the mask has length 3 along its axis 0, but selects from an axis of length 2")
    yield _call("mask/length", {"x": (two, two), "m": (mask, long)}, "x[m]", text, "dynamic_shapes")
    step, zero = value("int64", 2), value("int64", 0)
    yield _call(
        "slice/step-zero",
        {"x": (three, three), "c": (step, zero)},
        "x[::c]",
        ("IndexingError", "step of a slice is 0"),
        "dynamic_shapes",
    )
    yield Case(
        "errors/argument/shape", inputs=(given("x", three, static=True),), outputs=("x * 2",),
        calls=(Call((four,), raises=("ShapeError", "got a value of shape (4,)")), Call((three,))), tags=("at the call",),
    )  # fmt: skip


def _at_build() -> Iterator[Case]:
    x, ids = given("x", X), given("i", value("int64", [0]))
    f = given("f", array("float64", (2,)))
    for name, source, raises in (
        ("float-index", "x[f]", ("IndexingError", "is not an index")),
        ("float-literal", "x[1.5]", ("IndexingError", "is not an index")),
        ("string", "x['a']", ("IndexingError", "is not an index")),
        ("two-ellipses", "x[..., 0, ...]", ("IndexingError", "only one ellipsis")),
        ("too-many", "x[0, 0, 0]", ("IndexingError", "too many indices")),
        ("not-a-subset", "st.set_subtensor(x + 1, 0)", ("NotASubsetError", "was not obtained by indexing")),
        ("inc-not-a-subset", "st.inc_subtensor(x, 1)", ("NotASubsetError", "was not obtained by indexing")),
        ("grad-of-vector", "st.grad(f, f)", ("GradientError", "expected a scalar")),
        ("grad-disconnected", "st.grad(f.sum(), x)", ("DisconnectedInputError", "does not depend on x")),
        ("subtract-bools", "(x > 0) - (x > 0)", ("DTypeError", "subtract")),
        ("float-shift", "x << 1", ("DTypeError", "left_shift")),
        ("float-into-int", "i[:1].set(0.5)", ("DTypeError", "astype")),
        ("axis", "x.sum(axis=2)", ("AxisError", "axis 2")),
        ("float-bound", "x[0.5:]", ("DTypeError", "is not a slice bound")),
        ("missing-input", "x + st.dvector('nowhere').sum()", ("MissingInputError", "needs the input nowhere")),
    ):
        yield Case(
            f"errors/build/{name}", inputs=(x, ids, f), outputs=(source,), calls=(), raises=raises, tags=("at build",),
            quick=name in ("too-many", "not-a-subset", "missing-input", "float-into-int"),
        )  # fmt: skip
    t = array("float64", (4, 3), 1)
    from_state = (("t", "t[1:][i].inc(1)", ("UpdateError", "writes into")), ("t", "t.astype('float32')", ("UpdateTypeError", "float32")),
                  ("t", "t[:2]", ("UpdateTypeError", "axis 0")))  # fmt: skip
    for n, (name, source, raises) in enumerate(from_state):
        yield Case(
            f"errors/build/update-{n}", inputs=(ids,), shared=(state(name, t),), updates=((name, source),), calls=(),
            raises=raises, tags=("at build",), quick=n == 0,
        )  # fmt: skip
