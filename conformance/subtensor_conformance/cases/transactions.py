"""A step is applied whole or, after any failure, not at all; and the next call works."""

from __future__ import annotations

from collections.abc import Iterator

from subtensor_conformance.case import Call, Case, Given, Value, array, given, state, value

GOOD = value("int64", [1, 3, 1])
HIGH, LOW = value("int64", [1, 4, 0]), value("int64", [0, 1, -5])
Y = array("float64", (3, 2), 4)


def _tables() -> tuple[Given, ...]:
    return tuple(state(n, array("float64", (4, 2), k)) for k, n in enumerate("ab", 1))


def cases() -> Iterator[Case]:
    inputs = (given("i", GOOD), given("k", GOOD), given("y", Y))
    high = ("BoundsError", "index 4 at position (1,) of {} is out of bounds for axis 0 of {}, which has size 4")
    low = ("BoundsError", "index -5 at position (2,) of {} is out of bounds for axis 0 of {}, which has size 4")

    def due(template: tuple[str, str], ids: str, table: str) -> tuple[str, str]:
        return template[0], template[1].format(ids, table)

    programs: tuple[tuple[str, tuple[tuple[str, str], ...], tuple[str, ...], str, str], ...] = (
        ("inc-first", (("a", "a[k].inc(y)"), ("b", "b[i].inc(y)")), (), "k", "a"),
        ("inc-second", (("a", "a[i].inc(y)"), ("b", "b[k].inc(y)")), (), "k", "b"),
        ("set-second", (("a", "a[i].set(y)"), ("b", "b[k].set(y)")), (), "k", "b"),
        ("whole-then-rows", (("a", "a + 1"), ("b", "b[k].inc(y)")), (), "k", "b"),
        ("rows-then-whole", (("a", "a[i].inc(y)"), ("b", "b * b[k].sum()")), (), "k", "b"),
        ("output-fails", (("a", "a[i].inc(y)"),), ("b[k]",), "k", "b"),
        ("same-table-read", (("a", "a[i].inc(y)"),), ("a[k]",), "k", "a"),
        ("chain-second", (("a", "a[i].inc(y)[k].inc(y)"),), (), "k", ""),
        ("single", (("a", "a[k].inc(y)"), ("b", "b + y.sum() + i.sum()")), (), "k", "a"),
        ("single-alone", (("a", "a[k].set(y + i.sum())"),), (), "k", "a"),
        ("value-reads-other", (("a", "a[i].inc(b[k] + y)"),), (), "k", "b"),
    )
    for name, updates, outputs, ids, table in programs:
        for label, bad, template in (("above", HIGH, high), ("below", LOW, low)):
            text = due(template, ids, table) if table else (template[0], "is out of bounds for axis 0")
            yield Case(
                f"transaction/bounds/{name}/{label}",
                inputs=inputs,
                shared=_tables(),
                updates=updates,
                outputs=outputs,
                calls=(Call((GOOD, GOOD, Y)), Call((GOOD, bad, Y), raises=text), Call((GOOD, GOOD, Y))),
                tags=("out of bounds", f"size {len(updates)}"),
                quick=True,
            )
    yield from _others()


def _others() -> Iterator[Case]:
    inputs = (given("i", GOOD), given("y", Y))
    wide = array("float64", (3, 3), 5)
    yield Case(
        "transaction/value-shape",
        inputs=inputs, shared=_tables(), updates=(("a", "a + 1"), ("b", "b[i].inc(y)")),
        calls=(Call((GOOD, wide), raises=("ShapeError", "axis 1 of the indexed part of b is 2")), Call((GOOD, Y))),
        tags=("shapes",),
    )  # fmt: skip
    two = array("float64", (2, 2), 5)
    yield Case(
        "transaction/value-rows",
        inputs=inputs, shared=_tables(), updates=(("a", "a[i].inc(1)"), ("b", "b[i].inc(y)")),
        calls=(Call((GOOD, two), raises=("ShapeError", "axis 0 of the indexed part of b is 3")), Call((GOOD, Y))),
        tags=("shapes",),
    )  # fmt: skip
    for name, write, axis in (
        ("rows-set", "b[i].set(y)", 1),
        ("slice-inc", "b[:3].inc(y)", 1),
        ("slice-set", "b[1:].set(y)", 1),
    ):
        yield Case(
            f"transaction/value-shape/{name}",
            inputs=inputs, shared=_tables(), updates=(("a", "a[i].inc(1)"), ("b", write)),
            calls=(
                Call((GOOD, Y)),
                Call((GOOD, wide), raises=("ShapeError", f"axis {axis} of the indexed part of b is 2")),
                Call((GOOD, Y)),
            ),
            tags=("shapes",),
        )  # fmt: skip
    yield Case(
        "transaction/operand-shapes",
        inputs=(given("y", Y), given("z", Y)), shared=_tables(), updates=(("a", "a + 1"), ("b", "b + (y + z).sum()")),
        calls=(Call((Y, two), raises=("ShapeError", "axis 0 of y is 3, of z is 2")), Call((Y, Y))),
        tags=("shapes",),
    )  # fmt: skip
    yield Case(
        "transaction/new-shape",
        inputs=(given("y", array("float64", (4, 2))),), shared=_tables(), updates=(("a", "a + 1"), ("b", "y * 2")),
        calls=(
            Call((Y,), raises=("ShapeError", "is 3; expected 4")),
            Call((array("float64", (4, 2), 9),)),
        ),
        tags=("shapes",),
    )  # fmt: skip
    none = Value("float64", (0,), ())
    some = array("float64", (3,), 2)
    yield Case(
        "transaction/domain",
        inputs=(given("v", some),), shared=_tables(), updates=(("a", "a + 1"), ("b", "b + st.max(v)")),
        calls=(Call((some,)), Call((none,), raises=("DomainError", "empty along axes (0,)")), Call((some,))),
        tags=("domain",),
    )  # fmt: skip
    yield Case(
        "transaction/argument-dtype",
        inputs=(given("i", GOOD),), shared=_tables(), updates=(("a", "a[i].inc(1)"),),
        calls=(Call((array("float64", (3,)),), raises=("DTypeError", "argument i takes int64, got float64")), Call((GOOD,))),
        tags=("arguments",),
    )  # fmt: skip
    mask, long = value("bool", [True, False, True, True]), value("bool", [True] * 5)
    yield Case(
        "transaction/mask-length",
        inputs=(given("m", mask),), shared=_tables(), updates=(("a", "a + 1"), ("b", "b[m].inc(1)")),
        calls=(Call((mask,)), Call((long,), raises=("BoundsError", "the mask has length 5")), Call((mask,))),
        capability="dynamic_shapes", tags=("out of bounds", "size 2"),
    )  # fmt: skip
    n = value("int64", [0, 1, 0])
    yield Case(
        "transaction/pairs",
        inputs=(given("i", GOOD), given("j", n), given("v", some)), shared=_tables(),
        updates=(("b", "b - 1"), ("a", "a[i, j].inc(v)")),
        calls=(
            Call((GOOD, n, some)),
            Call((GOOD, value("int64", [0, 2, 1]), some), raises=("BoundsError", "index 2 at position (1,) of j")),
            Call((GOOD, n, some)),
        ),
        tags=("out of bounds", "size 2"),
    )  # fmt: skip
    for name, updates in (
        ("rows", (("a", "a[i].inc(y)"), ("b", "b[i].inc(y)"))),
        ("whole", (("a", "a + 1"), ("b", "b * 2"))),
        ("rows-and-whole", (("a", "a + y.sum()"), ("b", "b[i].set(y)[0].inc(1)"))),
        ("swap", (("a", "b"), ("b", "a"))),
    ):
        yield Case(
            f"transaction/interrupted/{name}",
            inputs=inputs, shared=_tables(), updates=updates, outputs=("a[i].sum()",),
            calls=(Call((GOOD, Y)), Call((GOOD, Y))),
            ulps=1, addends=8, interrupted=True, tags=("interrupted",),
        )  # fmt: skip
