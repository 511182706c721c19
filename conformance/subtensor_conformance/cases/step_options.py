"""Optimizers: clipping, rows without gradient, special values beside, narrow ids, tables in parts, rearranged subsets."""

from __future__ import annotations

from collections.abc import Iterator

from subtensor_conformance.case import Call, Case, Value, array, state, value
from subtensor_conformance.cases.step_case import IDS, OTHER, step_case, steps, targets

NAN, INF = float("nan"), float("inf")


def cases() -> Iterator[Case]:
    yield from _clipped()
    yield from _without_gradient()
    yield from _beside_special_values()
    yield from _narrow()
    yield from _in_parts()
    yield from _rearranged()


def _clipped() -> Iterator[Case]:
    calls = steps((IDS, OTHER, IDS))
    every = ", clip_value=1.0, clip_row_norm=0.75, clip_global_norm=0.5"
    yield step_case("clip/all/adam", "adam", every, calls=calls, tags=("duplicates",))
    yield step_case("clip/dense", "momentum", f'{every}, untouched="dense"', calls=calls, tags=("duplicates",))
    yield step_case("clip/lazy", "momentum", f'{every}, untouched="catch_up"', calls=calls, tags=("duplicates",))
    table, whole = state("t", array("float64", (5, 2), 1)), state("w", array("float64", (3, 2), 2))
    for name, options in (("global", ", clip_global_norm=0.5"), ("row", ", clip_row_norm=0.5")):
        yield step_case(
            f"clip/mixed/{name}", "sgd", options, calls=calls, shared=(table, whole), params="[w, r]",
            cost="(r * r * y).sum() + (w * w * w).sum()", slope="[3 * w * w, 2 * r * y]",
            tags=("duplicates", "mixed"),
        )  # fmt: skip
    matrix, more = value("int64", [[1, 1], [3, -5]]), value("int64", [3, 2, 3])
    yield step_case(
        "clip/subsets", "sgd", ", clip_global_norm=0.5", calls=[Call((matrix, more, targets(matrix, 4)))] * 2, names="iky",
        lets=(("r", "t[i]"), ("q", "t[k]")), params="[r, q]", cost="(r * r * y).sum() + (q * q * q).sum()",
        slope="[2 * r * y, 3 * q * q]", tags=("duplicates",),
    )  # fmt: skip
    zeros = Value("float64", (4, 2), (0.0,) * 8)
    for option in ("clip_row_norm", "clip_global_norm"):
        yield step_case(
            f"clip/zero/{option}", "sgd", f", {option}=0.5", calls=[Call((IDS, zeros)), *calls[:1]],
            tags=("duplicates",),
        )  # fmt: skip
    yield step_case(
        "clip/within", "sgd", ", clip_row_norm=1024.0, clip_global_norm=1024.0, clip_value=1024.0", rate="0.125",
        calls=[Call((IDS, array("float32", (4, 2), 4)))] * 2, cost="[y]", slope="[y]", dtype="float32", exact=True,
        tags=("duplicates",),
    )  # fmt: skip


def _without_gradient() -> Iterator[Case]:
    """A row takes part where its id occurs, whether or not its gradient is zero."""
    zero = value("float64", [[0.5, -1.0], [0.0, 0.0], [0.25, 1.0], [-0.0, 0.0]])
    calls = [*steps((IDS, OTHER)), Call((IDS, zero)), *steps((IDS,))]
    for rule, options in (
        ("momentum", ""),
        ("rmsprop", ""),
        ("adadelta", ""),
        ("adam", ""),
        ("adagrad", ", weight_decay=0.5"),
        ("lamb", ""),
    ):
        yield step_case(f"named/{rule}", rule, options, calls=calls, tags=("duplicates", "no gradient"))


def _beside_special_values() -> Iterator[Case]:
    """Rows that take no part hold what arithmetic would change: NaN, infinities, the sign of zero."""
    data = ((NAN, -0.0), (0.5, -1.25), (-0.0, INF), (1.5, -0.75), (-INF, NAN))
    table = state("t", Value("float64", (5, 2), tuple(x for row in data for x in row)))
    calls = steps((IDS, IDS))
    for rule, options in (
        ("sgd", ""),
        ("sgd", ", clip_global_norm=0.5"),
        ("rowwise_adagrad", ""),
        ("adam", ", weight_decay=0.5"),
    ):
        yield step_case(
            f"beside-special/{rule}{'-clip' if 'clip' in options else ''}", rule, options, calls=calls, shared=(table,),
            tags=("duplicates", "special values"),
        )  # fmt: skip


def _narrow() -> Iterator[Case]:
    """Ids in narrow integers, of a table with more rows than they can count."""
    table = state("t", array("float64", (300, 2), 1))
    for dtype, ids in (("int8", [127, -3, 127, -128]), ("uint8", [255, 3, 255, 200]), ("int32", [-1, 299, -300, 0])):
        i = value(dtype, ids)
        for rule in ("sgd", "adam"):
            yield step_case(
                f"ids/{dtype}/{rule}", rule, calls=[Call((i, targets(i, n))) for n in (4, 5)], shared=(table,),
                tags=("duplicates", "narrow", *(("negative",) if min(ids) < 0 else ())),
            )  # fmt: skip


def _in_parts() -> Iterator[Case]:
    """A table in two parts, each with the ids that fall into it, moves as the whole one does."""
    data = array("float32", (5, 2), 1).data
    whole, upper, lower = (
        state(n, Value("float32", (len(d) // 2, 2), d)) for n, d in (("t", data), ("a", data[:4]), ("b", data[4:]))
    )
    y = array("float32", (4, 2), 4)
    first, second = value("int64", [1, 1]), value("int64", [1, 1])  # rows 1 and 3 of the whole
    parts = [Value("float32", (2, 2), y.data[k : k + 2] + y.data[k + 4 : k + 6]) for k in (0, 2)]
    call = Call((IDS, first, second, y, *parts))
    for rule, options, exact in (("sgd", "", True), ("adagrad", "", False), ("adam", "", False)):
        yield step_case(
            f"parts/{rule}", rule, options, calls=[call, call], names="ijkyzx", shared=(whole, upper, lower), rate="0.125",
            lets=(("r", "t[i]"), ("p", "a[j]"), ("q", "b[k]")), params="[r, p, q]", cost="[y, z, x]", slope="[y, z, x]",
            outputs=("t - st.concatenate([a, b])",), dtype="float32", exact=exact, tags=("duplicates",),
        )  # fmt: skip


def _rearranged() -> Iterator[Case]:
    """Subsets that were reshaped, transposed or cast since: the oracle is told the gradient of the subset itself."""
    calls = steps((IDS, OTHER))
    for name, params in (
        ("reshaped", "r.reshape((2, 4))"),
        ("transposed", "r.T"),
        ("expanded", "st.expand_dims(r, 1)"),
    ):
        yield step_case(
            f"params/{name}", "adagrad", calls=calls, lets=(("r", "t[i]"), ("p", params)), params="[p]",
            cost="(p * p * p).sum()", slope="[3 * r * r]", slope_params="[r]", tags=("duplicates",),
        )  # fmt: skip
    yield step_case(
        "params/cast", "adagrad", calls=calls, lets=(("r", "t[i]"), ("p", 'r.astype("float32")')), params="[p]",
        cost='(p * p * y.astype("float32")).sum()', slope='[(2 * r.astype("float32") * y.astype("float32")).astype("float64")]',
        slope_params="[r]", tags=("duplicates",),
    )  # fmt: skip
