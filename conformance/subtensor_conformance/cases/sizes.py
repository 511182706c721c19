"""The same at the sizes at which backends change their ways: blocks, threads, other algorithms, narrower positions.

Values are given by formula. What is exact is compared exactly: integers, reads, last writes, sums of eighths. The cases belong
to the areas that their ids name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from subtensor_conformance.case import Call, Case, Given, Value, given, pattern, positions, state
from subtensor_conformance.cases.step_case import step_case

QUICK = (257, 1025)
"""Beyond a byte, and beyond the first power of two that algorithms are chosen by."""

MORE = (33, 129, 4097)
LONG = 2**16 + 1
MEGABYTES = (1, 2, 32)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of index: its key over `names`; for about n selected places, the shapes of the table and of the arrays."""

    name: str
    key: str
    shape: tuple[int, ...]
    axes: tuple[int, ...]
    ranks: tuple[int, ...]

    def arrays(self, n: int) -> dict[str, Value]:
        return {
            name: positions(_shape(n, rank), self.shape[axis], step=31 + 6 * k)
            for k, (name, axis, rank) in enumerate(zip("ij", self.axes, self.ranks, strict=False))
        }


def _shape(n: int, rank: int) -> tuple[int, ...]:
    """About n elements. Rank -2 is a column, to go with a row of rank -1."""
    return {1: (n,), 2: (n // 3, 3), 3: (n // 8, 2, 4), -2: (n // 8, 1), -1: (8,)}[rank]


KINDS = (
    Kind("rows", "i", (61, 3), (0,), (1,)),
    Kind("rows-matrix", "i", (61, 3), (0,), (2,)),
    Kind("rows-tensor", "i", (61, 3), (0,), (3,)),
    Kind("columns", ":, i", (3, 61), (1,), (1,)),
    Kind("columns-matrix", ":, i", (3, 61), (1,), (2,)),
    Kind("last-tensor", "..., i", (2, 2, 61), (2,), (3,)),
    Kind("slice-then-ids", "1:, i", (4, 61), (1,), (2,)),
    Kind("pairs", "i, j", (61, 47), (0, 1), (1, 1)),
    Kind("pairs-matrix", "i, j", (61, 47, 2), (0, 1), (2, 2)),
    Kind("grid", "i, j", (61, 47), (0, 1), (-2, -1)),
    Kind("apart", "i, :, j", (61, 2, 47), (0, 2), (1, 1)),
)


@cache
def _by_area() -> Mapping[str, list[Case]]:
    found: dict[str, list[Case]] = {}
    for make in (
        _subsets,
        _narrow,
        _sorted,
        _elements,
        _sums,
        _shapes,
        _products,
        _updates,
        _large,
        _optimizers,
        _failures,
    ):
        for case in make():
            found.setdefault(case.area, []).append(case)
    return found


def cases(area: str) -> Sequence[Case]:
    """Those of an area."""
    return _by_area().get(area, ())


def _case(
    name: str,
    calls: Sequence[Mapping[str, Value]],
    *outputs: str,
    shared: Sequence[Given] = (),
    updates: Mapping[str, str] | None = None,
    oracle: tuple[tuple[str, str], ...] = (),
    ulps: float = 0,
    addends: int = 1,
    quick: bool = True,
) -> Case:
    return Case(
        name,
        inputs=tuple(given(n, v) for n, v in calls[0].items()),
        shared=tuple(shared),
        outputs=outputs,
        updates=tuple((updates or {}).items()),
        calls=tuple(Call(tuple(c.values())) for c in calls),
        oracle=oracle,
        ulps=ulps,
        addends=addends,
        quick=quick,
        tags=("sizes",),
    )


# --- subsets


def _subsets() -> Iterator[Case]:
    for kind in KINDS:
        for sizes, label, quick in ((QUICK, "", True), (MORE, "/more", False), ((LONG,), "/long", False)):
            for area in ("get", "set", "inc"):
                if quick or kind.name in ("rows", "rows-matrix", "columns-matrix", "pairs") or sizes == MORE:
                    yield _subset(area, kind, sizes, label, quick)


def _subset(area: str, kind: Kind, sizes: Sequence[int], label: str, quick: bool) -> Case:
    x = pattern("float32", kind.shape, 29)
    calls = []
    for n in sizes:
        call: dict[str, Value] = {"x": x, **kind.arrays(n)}
        if area != "get":
            call["y"] = pattern("float32", _written(kind, n), 41)
        calls.append(call)
    output = f"x[{kind.key}]" if area == "get" else f"x[{kind.key}].{area}(y)"
    return _case(f"{area}/sizes/{kind.name}{label}", calls, output, quick=quick)


def _written(kind: Kind, n: int) -> tuple[int, ...]:
    """The shape of what is selected."""
    block = _shape(n, kind.ranks[0])
    if kind.ranks == (-2, -1):
        block = (n // 8, 8)
    parts = kind.key.split(", ")
    if parts[1:2] == [":"]:  # arrays apart: their axes come first
        return (*block, kind.shape[1])
    lead = {":": kind.shape[:1], "1:": (kind.shape[0] - 1,), "...": kind.shape[:-1]}.get(parts[0], ())
    return (*lead, *block, *kind.shape[len(lead) + len(kind.axes) :])


def _narrow() -> Iterator[Case]:
    """Tables that are as long as narrow positions reach, and longer."""
    for dtype, length, reach in (
        ("int8", 300, 128), ("uint8", 300, 256), ("int16", 40_000, 32_768), ("uint16", 70_000, 65_536),
        ("int32", 70_000, 70_000),
    ):  # fmt: skip
        x = pattern("int32", (length,), 53, 100_003)
        low = 0 if dtype.startswith("u") else -reach
        ids = Value(dtype, (5,), (reach - 1, low, 0, reach // 2, reach - 1))
        y = Value("int32", (5,), (1, 2, 3, 4, 5))
        for area, output in (("get", "x[i]"), ("set", "x[i].set(y)"), ("inc", "x[i].inc(y)")):
            call = {"x": x, "i": ids} if area == "get" else {"x": x, "i": ids, "y": y}
            yield _case(f"{area}/sizes/narrow/{dtype}", [call], output)


# --- whole arrays


def _sorted() -> Iterator[Case]:
    for sizes, label, quick in ((QUICK, "", True), ((*MORE, LONG), "/more", False)):
        for dtype, modulus in (("int64", 63), ("float32", 2**18), ("int16", 1000)):
            xs = [{"x": pattern(dtype, (n,), 7919, modulus)} for n in sizes]
            yield _case(f"sort/sizes/{dtype}{label}", xs, "st.sort(x)", "st.argsort(x)", quick=quick)
        rows = [{"x": pattern("int32", (3, n), 7919, 63)} for n in sizes]
        yield _case(f"sort/sizes/rows{label}", rows, "st.argsort(x, axis=1)", quick=quick)
        columns = [{"x": pattern("int32", (n, 2), 7919, 63)} for n in sizes]
        yield _case(f"sort/sizes/columns{label}", columns, "st.argsort(x, axis=0)", quick=quick)
        searched = [
            {"a": Value("int64", (n,), tuple(k // 3 for k in range(n))), "v": positions((n,), n // 3)} for n in sizes
        ]
        both = ("st.searchsorted(a, v)", "st.searchsorted(a, v, side='right')")
        yield _case(f"sort/sizes/searchsorted{label}", searched, *both, quick=quick)


def _elements() -> Iterator[Case]:
    for sizes, label, quick in ((QUICK, "", True), (MORE, "/more", False)):
        calls = [
            {
                "x": pattern("float32", (n, 3), 29),
                "y": pattern("float32", (n, 3), 41),
                "z": pattern("float32", (3,), 11),
            }
            for n in sizes
        ]
        outputs = ("x * y + z", "st.where(x < y, x, z)", "st.maximum(x, y) - st.abs(x * z)", "(x * z).astype('int64')")
        yield _case(f"elementwise/sizes/exact{label}", calls, *outputs, quick=quick)
        smooth = [{"x": c["x"]} for c in calls]
        outputs = ("st.exp(x)", "st.tanh(x)", "st.sigmoid(x)", "st.log(x * x + 1)")
        yield _case(f"elementwise/sizes/functions{label}", smooth, *outputs, ulps=8, quick=quick)
        whole = [{"x": pattern("int64", (n,), 29), "y": pattern("int64", (n,), 41)} for n in sizes]
        yield _case(
            f"elementwise/sizes/integers{label}", whole, "x * y - x", "x // 5", "x % 7", "st.less(x, y)", quick=quick
        )


def _sums() -> Iterator[Case]:
    for sizes, label, quick in ((QUICK, "", True), (MORE, "/more", False)):
        calls = [{"x": pattern("float32", (n, 2), 29), "m": pattern("int32", (2, n), 41)} for n in sizes]
        outputs = (
            "x.sum(0)",
            "x.sum()",
            "x.max(0)",
            "x.argmax(0)",
            "m.sum(1)",
            "m.min(1)",
            "m.argmin(1)",
            "st.cumsum(m, 1)",
        )
        yield _case(f"reduce/sizes/exact{label}", calls, *outputs, quick=quick)
    ones = [{"x": Value("int8", (LONG,), pattern("int8", (LONG,), 1, 1).data)}]
    yield _case("reduce/sizes/counts", ones, "(x + 1).sum()", "st.less(x, 1).sum()", quick=False)


def _shapes() -> Iterator[Case]:
    for sizes, label, quick in ((QUICK, "", True), (MORE, "/more", False)):
        calls = [{"x": pattern("int32", (n, 3), 29), "y": pattern("int32", (n, 3), 41)} for n in sizes]
        outputs = ("st.concatenate([x, y])", "x.T", "x[::-1]", "st.concatenate([x, y], axis=1)", "x.reshape((3, -1))")
        yield _case(f"shape/sizes/moves{label}", calls, *outputs, quick=quick)


def _products() -> Iterator[Case]:
    for n, quick in ((129, True), (1025, False)):
        call = {"a": pattern("float32", (3, n), 29, 15), "b": pattern("float32", (n, 5), 41, 15)}
        yield _case(f"linalg/sizes/{n}", [call], "a @ b", "b.T @ b", quick=quick)


# --- steps


def _updates() -> Iterator[Case]:
    for sizes, label, quick in ((QUICK, "", True), ((*MORE, LONG), "/more", False)):
        table = [state("t", pattern("float32", (61, 3), 29))]
        calls = [{"i": positions((n,), 61), "y": pattern("float32", (n, 3), 41)} for n in sizes]
        for name, new in (("inc", "t[i].inc(y * 0.5)"), ("set", "t[i].set(y - t[i])")):
            yield _case(
                f"update/sizes/{name}{label}", calls, "t[i].sum()", shared=table, updates={"t": new}, quick=quick
            )
        whole = "t - 0.5 * st.grad((t[i] * y).sum(), t)"
        yield _case(
            f"update/sizes/whole{label}", calls, shared=table, updates={"t": whole},
            oracle=((whole, "t[i].inc(-0.5 * y)"),), quick=quick,
        )  # fmt: skip
        columns = [{"i": positions((n // 3, 3), 61), "y": pattern("float32", (2, n // 3, 3), 41)} for n in sizes]
        across = [state("t", pattern("float32", (2, 61), 29))]
        yield _case(
            f"update/sizes/columns{label}", columns, shared=across, updates={"t": "t[:, i].inc(y)"}, quick=quick
        )


def _large() -> Iterator[Case]:
    """Tables of more than some megabytes, of which a step changes some rows."""
    for megabytes in MEGABYTES:
        rows = megabytes * 2**20 // 32 + 1
        table = [state("t", pattern("float32", (rows, 8), 29))]
        calls = [{"i": positions((n,), rows, step=7919), "y": pattern("float32", (n, 8), 41)} for n in (129, 1025)]
        for name, new in (("inc", "t[i].inc(y)"), ("set", "t[i].set(y)")):
            yield _case(
                f"update/sizes/megabytes-{megabytes}/{name}", calls, "t[i]", shared=table, updates={"t": new},
                quick=megabytes == 1,
            )  # fmt: skip


RULES = ("sgd", "momentum", "adagrad", "rowwise_adagrad", "rmsprop", "adam", "ftrl")


def _optimizers() -> Iterator[Case]:
    """Sums by distinct row of long batches, in which rows are spelled in both ways."""
    for rule in RULES:
        calls = [Call((positions((n,), 61), pattern("float64", (n, 2), 41))) for n in (521, 1025)]
        yield step_case(
            f"sizes/{rule}", rule, calls=calls, slope="[2 * r * y]", tags=("sizes",),
            shared=(state("t", pattern("float64", (61, 2), 29)),),
        )  # fmt: skip


def _failures() -> Iterator[Case]:
    """One position out of many is bad."""
    n = 4097
    good = positions((n,), 61)
    y = pattern("float32", (n, 3), 41)
    for name, bad in (("high", 61), ("low", -62)):
        ids = Value("int64", (n,), (*good.data[: n - 2], bad, 0))
        text = f"t[i]: index {bad} at position ({n - 2},) of i is out of bounds for axis 0 of t"
        yield Case(
            f"transaction/sizes/{name}",
            inputs=(given("i", good), given("y", y)),
            shared=(state("t", pattern("float32", (61, 3), 29)),),
            outputs=("t[i].sum()",),
            updates=(("t", "t[i].inc(y)"),),
            calls=(Call((good, y)), Call((ids, y), raises=("BoundsError", text)), Call((good, y))),
            tags=("sizes",),
        )
