"""Steps of optimizers on rows: repeated ids, rows that take no part, state by row, options, parameters."""

from __future__ import annotations

from collections.abc import Iterator

from subtensor_conformance.case import Call, Case, Value, array, state, value
from subtensor_conformance.cases import step_options, tables, training
from subtensor_conformance.cases.step_case import IDS, NONE, OTHER, TURNED, step_case, steps, targets

RULES = (
    ("sgd", ""),
    ("momentum", ""),
    ("nesterov", ""),
    ("adagrad", ""),
    ("rowwise_adagrad", ""),
    ("rmsprop", ""),
    ("adadelta", ""),
    ("adam", ""),
    ("adamw", ", weight_decay=0.25"),
    ("adamax", ""),
    ("nadam", ""),
    ("lamb", ""),
    ("ftrl", ", l1=0.125, l2=0.0625"),
)
JOINED = ("sgd", "momentum", "rowwise_adagrad", "adam", "lamb", "ftrl")
"""Which rule it is does not matter where the ids of several subsets are joined: one of each kind is enough."""


def cases() -> Iterator[Case]:
    for rule, options in RULES:
        yield step_case(
            f"steps/{rule}", rule, options, calls=steps((IDS, OTHER, TURNED, IDS)), outputs=("r.sum()",),
            tags=("duplicates",),
        )  # fmt: skip
        yield step_case(
            f"float32/{rule}", rule, options, calls=steps((IDS, OTHER), "float32"), dtype="float32",
            tags=("duplicates",),
        )  # fmt: skip
        yield _edges(rule, options)
        if rule in JOINED:
            yield _subsets(rule, options)
    yield from _options()
    yield from _params()
    yield from _orders()
    yield from training.cases()
    yield from step_options.cases()
    yield from tables.cases()


def _edges(rule: str, options: str) -> Case:
    """Between two good steps: one without ids, and one with an id too many, after which everything is as it was."""
    high, low = value("int64", [1, 5, 0, 1]), value("int64", [1, 0, -6, 1])
    y = targets(IDS, 4)
    calls = [
        Call((IDS, y)),
        Call((NONE, targets(NONE, 4))),
        Call((high, y), raises=("BoundsError", "t[i]: index 5 at position (1,) of i is out of bounds for axis 0 of t")),
        Call((low, y), raises=("BoundsError", "t[i]: index -6 at position (2,) of i is out of bounds for axis 0 of t")),
        Call((OTHER, y)),
    ]
    return step_case(f"edges/{rule}", rule, options, calls=calls, tags=("duplicates", "empty", "out of bounds"))


def _subsets(rule: str, options: str) -> Case:
    """Two subsets of one table, with rows in common, one by a matrix of ids."""
    matrix, more = value("int64", [[1, 1], [3, -5]]), value("int64", [3, 2, 3])
    calls = [Call((matrix, more, targets(matrix, n))) for n in (4, 5)]
    return step_case(
        f"subsets/{rule}", rule, options, calls=calls, names="iky", lets=(("r", "t[i]"), ("q", "t[k]")), params="[r, q]",
        cost="(r * r * y).sum() + (q * q * q).sum()", slope="[2 * r * y, 3 * q * q]", tags=("duplicates",),
    )  # fmt: skip


def _options() -> Iterator[Case]:
    calls = steps((IDS, OTHER, IDS))
    for rule in ("adagrad", "rowwise_adagrad", "rmsprop", "adadelta", "adam", "adamax", "nadam", "lamb"):
        yield step_case(f"epsilon/{rule}", rule, ", epsilon=0.25", calls=calls, tags=("duplicates",))
    for rule in ("momentum", "nesterov"):
        yield step_case(f"momentum/{rule}", rule, ", momentum=0.5", calls=calls, tags=("duplicates",))
    yield step_case("constants/adam", "adam", ", beta1=0.5, beta2=0.75", calls=calls, tags=("duplicates",))
    yield step_case("constants/rmsprop", "rmsprop", ", rho=0.5", calls=calls, tags=("duplicates",))
    yield step_case("constants/adagrad", "adagrad", ", initial_accumulator=0.5", calls=calls, tags=("duplicates",))
    yield step_case("constants/ftrl", "ftrl", ", beta=0.5", calls=calls, tags=("duplicates",))
    for rule in ("sgd", "momentum", "adagrad", "rmsprop", "adam", "lamb"):
        yield step_case(f"decay/{rule}", rule, ", weight_decay=0.5", calls=calls, tags=("duplicates",))
    for rule in ("adam", "nadam"):
        yield step_case(f"count-global/{rule}", rule, ', step_count="global"', calls=calls, tags=("duplicates",))
    for option in ("clip_value=0.5", "clip_row_norm=0.5", "clip_global_norm=0.5"):
        name = option.partition("=")[0]
        yield step_case(f"{name}/sgd", "sgd", f", {option}", calls=calls, tags=("duplicates",))
    yield step_case("clip_global_norm/adagrad", "adagrad", ", clip_global_norm=0.5", calls=calls, tags=("duplicates",))
    for rule in ("momentum", "rmsprop", "adam"):
        yield step_case(f"dense/{rule}", rule, ', untouched="dense"', calls=calls, tags=("duplicates",))
    rate = state("rate", value("float64", 0.125))
    yield step_case(
        "rate/shared", "adagrad", calls=calls, rate="rate", shared=(state("t", array("float64", (5, 2), 1)), rate),
        tags=("duplicates",),
    )  # fmt: skip


def _params() -> Iterator[Case]:
    t, w = state("t", array("float64", (5, 2), 1)), state("w", array("float64", (3, 2), 2))
    calls = steps((IDS, OTHER))
    for rule in ("momentum", "rowwise_adagrad", "adam", "lamb"):
        yield step_case(
            f"params/mixed/{rule}", rule, calls=calls, shared=(t, w), params="[w, r]",
            cost="(r * r * y).sum() + (w * w * w).sum()", slope="[3 * w * w, 2 * r * y]", tags=("duplicates", "mixed"),
        )  # fmt: skip
    yield step_case("params/gradients", "adagrad", calls=calls, cost="[y]", slope="[y]", tags=("duplicates",))
    yield step_case(
        "params/two-tables", "adagrad", calls=calls, shared=(t, state("u", array("float64", (5, 2), 2))),
        lets=(("r", "t[i]"), ("q", "u[i]")), params="[r, q]", cost="(r * q * y).sum()", slope="[q * y, r * y]",
        tags=("duplicates",),
    )  # fmt: skip
    one = Call((array("float64", (3, 2), 4),))
    yield step_case("params/slice", "rmsprop", calls=[one, one], names="y", lets=(("r", "t[1:4]"),))
    yield step_case("params/slice-reversed", "adagrad", calls=[one, one], names="y", lets=(("r", "t[4::-2]"),))
    row = Call((array("float64", (2,), 4),))
    yield step_case("params/one-row", "adam", calls=[row, row], names="y", lets=(("r", "t[-2]"),))
    cube = state("t", array("float64", (3, 2, 2), 1))
    pairs = Call((value("int64", [0, 2, 0]), value("int64", [1, -2, 1]), array("float64", (3, 2), 4)))
    for rule in ("adagrad", "rowwise_adagrad", "adam"):
        yield step_case(
            f"params/pairs/{rule}", rule, calls=[pairs, pairs], names="ijy", lets=(("r", "t[i, j]"),), shared=(cube,),
            tags=("duplicates",),
        )  # fmt: skip
    vector = Call((IDS, array("float64", (4,), 4)))
    for rule in ("adagrad", "rowwise_adagrad"):
        yield step_case(
            f"params/vector/{rule}", rule, calls=[vector, vector], shared=(state("t", array("float64", (5,), 1)),),
            tags=("duplicates",),
        )  # fmt: skip
    for n, bits in enumerate(([True, False, True, True, False], [False] * 5)):
        mask = Call((value("bool", bits), value("float64", 0.5)))
        yield step_case(
            f"params/mask/{n}", "adagrad", calls=[mask, mask], names="my", lets=(("r", "t[m]"),), capability="dynamic_shapes",
        )  # fmt: skip


def _orders() -> Iterator[Case]:
    """Numbers with few digits, so that sums are exact: the order of ids, or a sum taken before, changes no bit."""
    tables = tuple(state(n, array("float32", (5, 2), 1)) for n in "ab")
    y = array("float32", (4, 2), 4)
    turned = Value("float32", (4, 2), y.data[6:] + y.data[:6])
    data = [float(v) for v in y.data]
    summed = value("float32", [[data[0] + data[4], data[1] + data[5]], [data[2] + data[6], data[3] + data[7]]])
    lets = (("r", "a[i]"), ("q", "b[k]"))
    for name, ids, other in (("order", TURNED, turned), ("summed-before", value("int64", [1, 3]), summed)):
        call = Call((IDS, ids, y, other))
        more = {
            "lets": lets,
            "shared": tables,
            "params": "[r, q]",
            "cost": "[y, z]",
            "slope": "[y, z]",
            "names": "ikyz",
        }
        yield step_case(f"{name}/sgd", "sgd", calls=[call, call], rate="0.125", exact=True, dtype="float32", tags=("duplicates",), **more)  # type: ignore[arg-type]  # fields  # fmt: skip
        for rule in ("adagrad", "adam"):
            yield step_case(f"{name}/{rule}", rule, calls=[call, call], dtype="float32", tags=("duplicates",), **more)  # type: ignore[arg-type]  # fields  # fmt: skip
