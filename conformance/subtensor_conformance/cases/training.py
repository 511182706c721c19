"""Optimizers over time: schedules, rows that wait, rare rows, steps without ids, state that is put back."""

from __future__ import annotations

from collections.abc import Iterator

from subtensor_conformance.case import Call, Case, array, state, value
from subtensor_conformance.cases.step_case import IDS, NONE, OTHER, TURNED, step_case, steps, targets

SCHEDULES = "st.optimizers.schedules."
RARE = value("int64", [1, 3, 1])
COMMON = value("int64", [3, 0, 3])
WAITING = (
    ("sgd", ", weight_decay=0.5"),
    ("momentum", ""),
    ("momentum", ", weight_decay=0.5"),
    ("nesterov", ""),
    ("rmsprop", ""),
    ("rmsprop", ", weight_decay=0.5"),
    ("adadelta", ""),
    ("adam", ""),
    ("adamw", ", weight_decay=0.25"),
    ("adamax", ""),
    ("nadam", ""),
)


def cases() -> Iterator[Case]:
    yield from _schedules()
    yield from _rates()
    yield from _waiting()
    yield from _dense()
    yield from _rare()
    yield from _empty()
    yield from _resumed()


def _schedules() -> Iterator[Case]:
    """Steps without ids count, too."""
    for name, rule, schedule in (
        ("step", "sgd", "step(0.125, 2, 0.5)"),
        ("exponential", "adagrad", "exponential(0.125, 3, 0.5)"),
        ("cosine", "adam", "cosine(0.125, 3, 0.03125)"),
        ("warmup", "momentum", "warmup(0.125, 3)"),
        ("warmup-cosine", "rowwise_adagrad", f"warmup({SCHEDULES}cosine(0.125, 2), 2)"),
    ):
        yield step_case(
            f"schedule/{name}", rule, rate=SCHEDULES + schedule, calls=steps((IDS, OTHER, NONE, TURNED, IDS)),
            tags=("duplicates", "empty"),
        )  # fmt: skip
    yield step_case(
        "schedule/float32", "adagrad", rate=f"{SCHEDULES}exponential(0.125, 3, 0.5)", dtype="float32",
        calls=steps((IDS, OTHER, IDS), "float32"), tags=("duplicates",),
    )  # fmt: skip
    yield step_case(
        "schedule/decay", "momentum", ", weight_decay=0.5", rate=f"{SCHEDULES}step(0.125, 1, 0.5)",
        calls=steps((IDS, OTHER, IDS)), tags=("duplicates",),
    )  # fmt: skip


def _rates() -> Iterator[Case]:
    """A rate that is an expression; one that the same call changes, whose old value counts; one that is an input."""
    table, rate = state("t", array("float64", (5, 2), 1)), state("rate", value("float64", 0.125))
    calls = steps((IDS, OTHER, IDS))
    yield step_case(
        "rate/expression", "adagrad", calls=calls, rate="rate * 0.5 + 0.0625", shared=(table, rate), tags=("duplicates",),
    )  # fmt: skip
    for rule, options in (("adam", ""), ("adam", ", weight_decay=0.5")):
        yield step_case(
            f"rate/halved/{rule}{'-decay' if options else ''}", rule, options, calls=calls, rate="rate",
            shared=(table, rate), updates=(("rate", "rate * 0.5"),), tags=("duplicates", "simultaneous"),
        )  # fmt: skip
    from_outside = (("rate", value("float64", 0.5)),), (("t", array("float64", (5, 2), 3)),)
    yield step_case(
        "rate/set", "adagrad", rate="rate", shared=(table, rate), tags=("duplicates", "set"),
        calls=[*calls[:1], *(Call(c.arguments, sets=sets) for c, sets in zip(calls[1:], from_outside, strict=True))],
    )  # fmt: skip
    yield step_case(
        "rate/input", "rmsprop", names="iyh", rate="h", tags=("duplicates",),
        calls=[Call((i, targets(i, n), value("float64", r))) for n, (i, r) in enumerate(((IDS, 0.125), (OTHER, 0.5), (IDS, 0.0)))],
    )  # fmt: skip


def _waiting() -> Iterator[Case]:
    """Rows that wait are read as they would be now, and are so after a flush: the oracle takes every step of theirs."""
    calls = steps((IDS, OTHER, value("int64", [0, 4]), NONE, IDS))
    outputs = ("step.read((r * r * y).sum())", "step.read(t)", "step.read(t[3:0:-2])")
    for rule, options in WAITING:
        name = f"{rule}-decay" if "weight_decay" in options and rule != "adamw" else rule
        shown = (
            outputs[:1] if rule in ("adamw", "adamax", "nadam") else outputs
        )  # what is replayed compiles for seconds
        yield step_case(
            f"lazy/{name}", rule, f', untouched="catch_up"{options}', calls=calls, outputs=shown, flush=True,
            tags=("duplicates", "empty"),
        )  # fmt: skip
    yield step_case(
        "lazy/float32", "adam", ', untouched="catch_up"', calls=steps((IDS, OTHER, IDS), "float32"), outputs=outputs[:1],
        flush=True, dtype="float32", tags=("duplicates",),
    )  # fmt: skip
    table, rate = state("t", array("float64", (5, 2), 1)), state("rate", value("float64", 0.125))
    yield step_case(
        "lazy/rate", "rmsprop", ', untouched="catch_up"', calls=calls, rate="rate", shared=(table, rate), flush=True,
        updates=(("rate", "rate * 0.5"),), tags=("duplicates", "empty"),
    )  # fmt: skip
    yield step_case(
        "lazy/mixed", "momentum", ', untouched="catch_up"', calls=steps((IDS, OTHER, IDS)), outputs=outputs, flush=True,
        shared=(table, state("w", array("float64", (3, 2), 2))), params="[w, r]",
        cost="(r * r * y).sum() + (w * w * w).sum() * r.sum()",
        slope="[3 * w * w * r.sum(), 2 * r * y + (w * w * w).sum()]", tags=("duplicates",),
    )  # fmt: skip
    matrix, more = value("int64", [[1, 1], [3, -5]]), value("int64", [3, 2, 3])
    rest = value("int64", [[4, 4], [4, 4]]), value("int64", [4, 2, 4])
    yield step_case(
        "lazy/subsets", "adam", ', untouched="catch_up"', names="iky", lets=(("r", "t[i]"), ("q", "t[k]")), params="[r, q]",
        calls=[Call((i, k, targets(i, n))) for n, (i, k) in enumerate(((matrix, more), rest, (matrix, more)))],
        outputs=("step.read(q.sum())",), cost="(r * r * y).sum() + (q * q * q).sum()", slope="[2 * r * y, 3 * q * q]",
        flush=True, tags=("duplicates",),
    )  # fmt: skip
    cube = state("t", array("float64", (3, 2, 2), 1))
    first = value("int64", [0, 2, 0]), value("int64", [1, -2, 1])
    second = value("int64", [1, 2, 1]), value("int64", [1, 0, 0])
    yield step_case(
        "lazy/pairs", "momentum", ', untouched="catch_up"', names="ijy", lets=(("r", "t[i, j]"),), shared=(cube,), flush=True,
        calls=[Call((*ids, array("float64", (3, 2), n))) for n, ids in enumerate((first, second, first))],
        outputs=("step.read(t)",), tags=("duplicates",),
    )  # fmt: skip


def _dense() -> Iterator[Case]:
    """Over the whole table; for the rules by which rows without gradient stay, this is what rows alone give."""
    for rule, options in (
        ("sgd", ""),
        ("nesterov", ""),
        ("adagrad", ""),
        ("rowwise_adagrad", ""),
        ("adadelta", ""),
        ("adamw", ", weight_decay=0.25"),
        ("adamax", ""),
        ("nadam", ""),
        ("lamb", ""),
        ("ftrl", ", l1=0.125, l2=0.0625"),
    ):
        yield step_case(
            f"dense/{rule}", rule, f', untouched="dense"{options}', calls=steps((IDS, OTHER, IDS)),
            tags=("duplicates",),
        )  # fmt: skip
    two = (state("a", array("float64", (5, 2), 1)), state("b", array("float64", (5, 2), 1)))
    for rule in ("adagrad", "rowwise_adagrad"):
        yield step_case(
            f"dense/as-rows/{rule}", rule, calls=steps((IDS, OTHER, IDS)), shared=two, lets=(("r", "a[i]"), ("q", "b")),
            params="[r, q]", cost="(r * r * y).sum() + (b[i] * b[i] * y).sum()",
            slope="[2 * r * y, st.zeros_like(b)[i].inc(2 * b[i] * y)]", tags=("duplicates",),
        )  # fmt: skip


def _rare() -> Iterator[Case]:
    """Row 1 is used, then not for a while, then again: its history is what its own steps made it, or what all did."""
    calls = steps((RARE, COMMON, COMMON, COMMON, RARE, RARE))
    for rule, kind, options in (
        ("rmsprop", "row", ""),
        ("momentum", "row", ""),
        ("adam", "row", ""),
        ("adam", "global", ', step_count="global"'),
        ("rmsprop", "dense", ', untouched="dense"'),
        ("adam", "dense", ', untouched="dense"'),
    ):
        yield step_case(f"rare/{kind}/{rule}", rule, options, calls=calls, outputs=("t[1]",), tags=("duplicates",))


def _empty() -> Iterator[Case]:
    """Steps without ids change nothing but a count of all steps; without rows of one table, the other still moves."""
    for rule, options in (("adam", ', step_count="global"'), ("nadam", ', step_count="global"')):
        yield step_case(
            f"empty/global/{rule}", rule, options, calls=steps((NONE, IDS, NONE, OTHER)), tags=("duplicates", "empty"),
        )  # fmt: skip
    none = value("int64", [[], []])
    some = value("int64", [[1, 3], [1, 1]])
    yield step_case(
        "empty/matrix", "adam", calls=[Call((i, targets(i, n))) for n, i in enumerate((none, some, none))],
        tags=("duplicates", "empty"),
    )  # fmt: skip
    cube = state("t", array("float64", (5, 2, 3), 1))
    for rule, options in (("rowwise_adagrad", ""), ("sgd", ", clip_row_norm=0.5"), ("adam", ', untouched="catch_up"')):
        yield step_case(
            f"empty/cube/{rule}", rule, options, shared=(cube,), outputs=("step.read(t)",),
            calls=[Call((i, array("float64", (*i.shape, 2, 3), n))) for n, i in enumerate((IDS, NONE, OTHER))],
            tags=("duplicates", "empty"),
        )  # fmt: skip
    yield step_case(
        "empty/one-of-two", "adagrad", ", clip_global_norm=0.5", names="iky", lets=(("r", "t[i]"), ("q", "u[k]")),
        params="[r, q]", shared=(state("t", array("float64", (5, 2), 1)), state("u", array("float64", (5, 2), 2))),
        calls=[Call((i, k, targets(i, n))) for n, (i, k) in enumerate(((NONE, OTHER), (IDS, NONE), (NONE, NONE), (IDS, RARE)))],
        cost="(r * r * y).sum() + (q * q * q).sum()", slope="[2 * r * y, 3 * q * q]", tags=("duplicates", "empty"),
    )  # fmt: skip


def _resumed() -> Iterator[Case]:
    """State that was taken out and put back goes on as if nothing had been."""
    calls = steps((IDS, OTHER, IDS))
    for name, rule, options, rate in (
        ("momentum", "momentum", "", None),
        ("adam", "adam", "", None),
        ("rmsprop-lazy", "rmsprop", ', untouched="catch_up"', None),
        ("schedule", "rowwise_adagrad", "", f"{SCHEDULES}step(0.125, 2, 0.5)"),
    ):
        yield step_case(
            f"resume/{name}", rule, options, calls=calls, rate=rate, resume=True, tags=("duplicates", "resume"),
        )  # fmt: skip
