"""Random programs of ops, indices and updates, by Hypothesis: they find, the fixed corpus decides.

What fails is shrunk and given back as a case, ready to be pasted among the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as some

from subtensor import plugins
from subtensor_conformance import case as data
from subtensor_conformance.case import Call, Case, Value, array, paste
from subtensor_conformance.check import check
from subtensor_conformance.compare import to_array
from subtensor_conformance.report import disagreement
from subtensor_conformance.result import Result

DTYPES = ("float64", "float32", "int32", "int64")
UNARY = ("-{}", "st.square({})", "st.abs({})", "{}[::-1]", "{} * 2")
BINARY = ("{} + {}", "{} - {}", "{} * {}", "st.maximum({}, {})", "st.minimum({}, {})", "st.where({} < {}, 1, 2)")

OPERANDS = ("s", "w", "w", "2", "t.sum()")


class Found(AssertionError):
    """A random program on which a backend is wrong."""


@some.composite
def _indices(draw: Any, shape: tuple[int, ...]) -> tuple[list[str], list[tuple[str, Value]]]:
    """An index for a tensor of `shape`: the parts of its source, and index inputs."""
    parts: list[str] = []
    names: list[tuple[str, Value]] = []
    count = draw(some.integers(1, 4))
    for axis, n in enumerate(shape[: draw(some.integers(1, len(shape)))]):
        kind = draw(some.sampled_from(("slice", "ids", "int", "constant") if n else ("slice",)))
        if kind == "slice":
            bound = some.none() | some.integers(-n - 1, n + 1)
            step = draw(some.sampled_from((None, 1, 2, -1, -2)))
            parts.append(":".join("" if b is None else str(b) for b in (draw(bound), draw(bound), step)))
        elif kind == "int":
            parts.append(str(draw(some.integers(-n, n - 1))))
        else:
            ids = draw(some.lists(some.integers(-n, n - 1), min_size=count, max_size=count))
            if kind == "constant":
                parts.append(str(ids))
            else:
                dtype = draw(some.sampled_from(("int64", "int32", "int8")))
                names.append((f"i{axis}", Value(dtype, (count,), tuple(ids))))
                parts.append(f"i{axis}")
    return parts, names


def _arrays(names: list[tuple[str, Value]]) -> dict[str, Any]:
    return {n: to_array(v) for n, v in names}


@some.composite
def programs(draw: Any) -> Case:
    """A case: a table, an index, a write of an expression over what was read, an output, and perhaps an update."""
    dtype = draw(some.sampled_from(DTYPES))
    shape = tuple(draw(some.lists(some.integers(0, 4), min_size=1, max_size=3)))
    parts, names = draw(_indices(shape))
    table = array(dtype, shape, draw(some.integers(0, 5)))
    subset = f"t[{', '.join(parts)}]"
    expression = "s"
    for _ in range(draw(some.integers(0, 3))):
        if draw(some.booleans()):
            expression = draw(some.sampled_from(UNARY[:3] + UNARY[4:])).format(f"({expression})")
        else:
            expression = draw(some.sampled_from(BINARY)).format(f"({expression})", draw(some.sampled_from(OPERANDS)))
    expression = f"({expression}).astype({dtype!r})"
    shaped = np.empty(shape)[eval(f"np.s_[{', '.join(parts)}]", {"np": np, **_arrays(names)})]  # noqa: S307  # ours
    w = array(dtype, shaped.shape, 8)
    lets = [("s", subset), ("y", expression)]
    written = "s"
    for _ in range(draw(some.integers(1, 2))):
        op = draw(some.sampled_from(("set", "inc")))
        written = f"{written}.{op}(y)"
        if draw(some.booleans()) and ".set" not in written[:-10]:
            break
        written = f"{written}[{', '.join(parts)}]"
    if written.endswith("]"):
        written = f"{written}.inc(y)"
    inputs = (*(data.given(n, v) for n, v in names), data.given("w", w))
    call = Call((*(v for _, v in names), w))
    # products of few digits may need more digits than float32 has: those are compared within a bound
    bound = {} if dtype.startswith("int") else {"ulps": 16.0, "addends": 16}
    common: dict[str, Any] = {"inputs": inputs, "lets": tuple(lets), "calls": (call, call), **bound}
    if draw(some.booleans()):
        return Case(
            "update/random",
            shared=(data.state("t", table),),
            updates=(("t", written),),
            outputs=("s", "y.sum()"),
            **common,
        )
    return Case("get/random", shared=(data.state("t", table),), outputs=("s", "y", written), **common)


def explore(backends: Sequence[str], count: int, seed: int = 0) -> list[str]:
    """Try `count` random programs on each backend, against the oracle and against one another.

    seed: 0 for the same programs each time. Gives what was found, at most one finding, shrunk: the failure, and the
    case as source.
    """
    for name in backends:
        plugins.get_backend(name)
    last: list[tuple[Case, str]] = []

    @settings(
        max_examples=count, derandomize=seed == 0, database=None, deadline=None, verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck), phases=(Phase.generate, Phase.shrink),
    )  # fmt: skip
    @given(programs())
    def attempt(case: Case) -> None:
        fault = _fault(case, backends)
        if fault:
            last.append((case, fault))
            raise Found(fault)

    with suppress(Found):
        (attempt if seed == 0 else seeded(seed)(attempt))()
        return []
    case, fault = last[-1]
    return [f"{fault}\n{paste(case)}"]


def _fault(case: Case, backends: Sequence[str]) -> str:
    results: list[tuple[str, Result]] = []
    for name in backends:
        result = check(case, name)
        if not result.good:
            return f"{name}: {result.state}: {result.kind}: {result.message}"
        results.append((name, result))
    for k, (a, x) in enumerate(results):
        for b, y in results[k + 1 :]:
            message = disagreement(case, x.observed, y.observed)
            if message:
                return f"{a} and {b}: {message}"
    return ""
