"""How the cases about optimizers are made: a step on rows of a small table, call after call.

The frontend is given a cost, the oracle its gradient with respect to each parameter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from subtensor_conformance.case import Call, Case, Given, Value, array, given, state, value

QUICK = frozenset(
    [
        "steps/sgd",
        "steps/rowwise_adagrad",
        "steps/adadelta",
        "steps/adamax",
        "steps/nadam",
        "steps/lamb",
        "edges/nesterov",
        "edges/adam",
        "edges/ftrl",
        "float32/adamw",
        "subsets/adam",
        "epsilon/adagrad",
        "decay/momentum",
        "clip_row_norm/sgd",
        "clip_global_norm/adagrad",
        "schedule/warmup-cosine",
        "rate/set",
        "dense/adam",
        "dense/nesterov",
        "lazy/rmsprop",
        "lazy/momentum-decay",
        "named/adam",
        "ids/int8/adam",
        "params/pairs/adagrad",
        "rare/row/adam",
        "clip/within",
        "beside-special/adam",
        "resume/momentum",
        "padding/row",
        "constraint/max_norm/adagrad",
        "grown/sgd",
        "half/float16/momentum",
        "average/sgd",
        "lazy/gaps/adamax",
        "resume/schedule",
        "large/adagrad",
        "sizes/adagrad",
        "sizes/adam",
        "positions/int8",
        "positions/uint64",
        "positions/one-row",
    ]
)
"""Each rule, option and kind of parameter once, and what kills each bad backend; the others compile for seconds where
compiling is dear."""
RATE = 0.05
IDS = value("int64", [1, 3, 1, -2])
"""Rows 1 and 3 of five, twice each, one of them counted from the end; 0, 2 and 4 take no part."""
OTHER = value("int64", [3, 1, 1, 4])
TURNED = value("int64", [-2, 1, 3, 1])
NONE = value("int64", [])
COST = "(r * r * y).sum()"
SLOPE = "[2 * r * y]"
BOUNDS = {"float64": (16, 4, 1e-13), "float32": (64, 4, 1e-6)}


def step_case(
    name: str,
    rule: str,
    options: str = "",
    *,
    calls: Sequence[Call],
    cost: str = COST,
    slope: str = SLOPE,
    params: str = "[r]",
    lets: tuple[tuple[str, str], ...] = (("r", "t[i]"),),
    shared: tuple[Given, ...] = (),
    names: str = "iy",
    rate: str | None = None,
    outputs: tuple[str, ...] = (),
    dtype: str = "float64",
    exact: bool = False,
    tags: tuple[str, ...] = (),
    capability: str | None = None,
    oracle: tuple[tuple[str, str], ...] = (),
    slope_params: str | None = None,
    **more: Any,
) -> Case:  # fmt: skip
    """A case ``optimizers/NAME``.

    cost: what the frontend gets; slope: its derivatives by parameter, for the oracle; slope_params: the parameters that
    these belong to, where they are not `params`. lets: names for expressions of the shared variables and of the inputs
    `names`, of which the calls give the values. exact: whether all sums are exact, in any order.
    """
    plain = options.replace("{", "{{").replace("}", "}}")
    source = f"st.optimizers.{rule}({{}}, {{}}, {rate or RATE}{plain})"
    step = source.format(cost, params)
    ulps, addends, absolute = (0, 1, 0) if exact else BOUNDS[dtype]
    ids = [v for c in calls for v in c.arguments if v.dtype == "int64"]
    negative = any(d < 0 for v in ids for d in v.data) or "[-" in str(lets)
    own = (
        ("negative", negative),
        ("decay", "weight_decay" in options),
        ("clip", "clip_" in options),
        ("catch up", "catch_up" in options),
        ("dense", "dense" in options),
        ("rate", rate is not None),
    )
    return Case(
        f"optimizers/{name}",
        inputs=tuple(given(n, v) for n, v in zip(names, calls[0].arguments, strict=True)),
        shared=shared or (state("t", array(dtype, (5, 2), 1)),),
        lets=lets,
        outputs=outputs,
        step=step,
        oracle=((step, source.format(slope, slope_params or params)), *oracle),
        calls=tuple(calls),
        tags=(*tags, *(tag for tag, holds in own if holds)),
        capability=capability,
        ulps=ulps,
        addends=addends,
        absolute=absolute,
        quick=name in QUICK,
        **more,
    )


def targets(ids: Value, seed: int, dtype: str = "float64") -> Value:
    return array(dtype, (*ids.shape, 2), seed)


def steps(ids: Sequence[Value], dtype: str = "float64") -> list[Call]:
    return [Call((i, targets(i, 4 + n, dtype))) for n, i in enumerate(ids)]
