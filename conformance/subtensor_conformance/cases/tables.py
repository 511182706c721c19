"""Optimizers on tables as embeddings are: constraints, padding, growth, tables of 16 bits, averages, long waits."""

from __future__ import annotations

from collections.abc import Iterator

from subtensor_conformance.case import Call, Case, Value, array, given, state, value
from subtensor_conformance.cases.step_case import IDS, NONE, OTHER, TURNED, step_case, steps, targets

CONSTRAINTS = "st.optimizers.constraints."


def cases() -> Iterator[Case]:
    yield from _new_rules()
    yield from _constrained()
    yield from _padded()
    yield from _grown()
    yield from _halves()
    yield from _averaged()
    yield from _waited()


def _new_rules() -> Iterator[Case]:
    for name, rule, options in (
        ("adagrad-momentum", "adagrad", ", momentum=0.5"),
        ("rowwise_adam", "rowwise_adam", ""),
        ("lion", "lion", ""),
        ("madgrad", "madgrad", ""),
    ):
        yield step_case(f"steps/{name}", rule, options, calls=steps((IDS, OTHER, TURNED, IDS)), tags=("duplicates",))
        if name != "rowwise_adam":
            yield step_case(
                f"lazy/{name}", rule, f'{options}, untouched="catch_up"', calls=steps((IDS, OTHER, NONE, IDS)),
                flush=True, outputs=("step.read((r * r * y).sum())",), tags=("duplicates", "empty"),
            )  # fmt: skip


def _constrained() -> Iterator[Case]:
    calls = steps((IDS, OTHER, NONE, IDS))
    for rule in ("sgd", "adagrad", "adam"):
        yield step_case(
            f"constraint/max_norm/{rule}", rule, f", constraint={{t: {CONSTRAINTS}max_norm(0.75)}}", calls=calls,
            tags=("duplicates", "constraint", "empty"),
        )  # fmt: skip
    for name in ("unit_norm", "non_negative", "box(-0.5, 0.25)"):
        yield step_case(
            f"constraint/{name.partition('(')[0]}/momentum", "momentum", f", constraint={{t: {CONSTRAINTS}{name}}}",
            calls=calls, tags=("duplicates", "constraint", "empty"),
        )  # fmt: skip


def _padded() -> Iterator[Case]:
    calls = steps((IDS, OTHER, IDS))
    for name, rule, options in (
        ("row", "adam", "padding={t: 1}"),
        ("from-the-end", "sgd", "padding={t: -2}"),
        ("several", "adagrad", "padding={t: [1, 4]}"),
        ("range", "momentum", "padding={t: slice(0, 2)}"),
        ("clipped", "sgd", "padding={t: 1}, clip_global_norm=0.5"),
    ):
        yield step_case(f"padding/{name}", rule, f", {options}", calls=calls, tags=("duplicates", "padding"))


def _grown() -> Iterator[Case]:
    """A table that has more rows from one call to the next, as all state beside it."""
    first = array("float64", (5, 2), 1)
    longer = Value("float64", (7, 2), (*first.data, *array("float64", (2, 2), 9).data))
    zeros, counts = Value("float64", (7, 2), (0.0,) * 14), Value("int64", (7,), (0,) * 7)
    new = value("int64", [5, 1, -1, 5])
    for rule, slots in (
        ("sgd", ()),
        ("rowwise_adagrad", (("accumulator", Value("float64", (7,), (0.0,) * 7)),)),
        ("adam", (("m", zeros), ("v", zeros), ("count", counts))),
    ):
        sets = (("t", longer), *((f"t.{rule}.{slot}", v) for slot, v in slots))
        text = "t[i]: index 5 at position (0,) of i is out of bounds for axis 0 of t, which has size 5; expected -5 <= index < 5"
        calls = [
            *steps((IDS,)),
            Call((new, targets(new, 4)), raises=("BoundsError", text)),
            Call((new, targets(new, 4)), sets=sets),
            Call((IDS, targets(IDS, 5))),
            Call((new, targets(new, 6))),
        ]
        yield step_case(
            f"grown/{rule}", rule, calls=calls, shared=(state("t", first, (None, 2)),), outputs=("r.sum()",),
            tags=("duplicates", "grown", "out of bounds"),
        )  # fmt: skip


def _halves() -> Iterator[Case]:
    """Steps whose sums are exact in float32: what is written is that, rounded once."""
    for dtype in ("float16", "bfloat16"):
        table = state("t", Value(dtype, (5, 2), tuple(k / 8 for k in range(-5, 5))))
        y = Value("float32", (4, 2), tuple(k / 1024 for k in (1, -3, 5, 7, 9, -11, 13, 2)))
        for rule, options in (("sgd", ""), ("momentum", ", momentum=0.5"), ("sgd", ", weight_decay=0.5")):
            yield step_case(
                f"half/{dtype}/{rule}{'-decay' if 'decay' in options else ''}", rule, options, rate="0.125",
                calls=[Call((i, y)) for i in (IDS, OTHER, IDS)], shared=(table,), exact=True, dtype="float32",
                cost='(r.astype("float32") * y).sum()', slope="[y]", tags=("duplicates", "half"), capability=dtype,
            )  # fmt: skip
        small = Value("float32", (64, 2), (2.0**-12,) * 128)
        many = value("int64", [2, -3] * 32)
        start = Value(dtype, (5, 2), (1.0,) * 10)
        yield Case(
            f"optimizers/half/{dtype}/inc", inputs=(given("i", many), given("y", small)), shared=(state("t", start),),
            updates=(("t", f't[i].inc(y.astype("{dtype}"))'),), calls=(Call((many, small)),) * 2,
            outputs=(f't[i].inc(y.astype("{dtype}")) * 2', 't[i].astype("float32").sum()'), capability=dtype,
            tags=("duplicates", "half"), quick=dtype == "float16",
        )  # fmt: skip


def _averaged() -> Iterator[Case]:
    for rule, options in (("sgd", ""), ("adam", ""), ("momentum", ', untouched="dense"')):
        yield step_case(
            f"average/{rule}", rule, f"{options}, average=0.75", calls=steps((IDS, OTHER, NONE, IDS)),
            outputs=("step.averaged(t)", "step.averaged(t[i])"), tags=("duplicates", "average", "empty"),
        )  # fmt: skip


def _waited() -> Iterator[Case]:
    """Rows that missed 0, 1, 3 and 1000 steps, in one batch: the last ones by setting the number of steps."""
    for rule in ("adam", "momentum", "adamax"):
        first, second, third = value("int64", [0, 1, 2, 3]), value("int64", [0, 1, 2, 1]), value("int64", [0, 1, 0, 1])
        fourth = value("int64", [0, 0, 0, 0])
        waited = [first, second, third, third, fourth]  # rows 0, 1, 2 and 3 will have missed 0, 1, 3 and all
        calls = [*steps(waited), Call((first, targets(first, 3)))]
        yield step_case(
            f"lazy/gaps/{rule}", rule, ', untouched="catch_up"', calls=calls, flush=True, tags=("duplicates", "gap"),
        )  # fmt: skip
        far = Call((first, targets(first, 5)), sets=((f"{rule}.steps", value("int64", 1001)),))
        yield step_case(
            f"lazy/gap-1000/{rule}", rule, ', untouched="catch_up"', calls=[*steps((first, fourth)), far], flush=True,
            tags=("duplicates", "gap"),
        )  # fmt: skip
