"""Updates: simultaneous, read from old values, by rows in every spelling, in chains, of several variables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from subtensor_conformance.case import Call, Case, Given, Value, array, given, state, value

IDS = value("int64", [1, 3, 1])
MORE = value("int64", [-1, 0, 2])
STEP = 1e-9
"""For updates with a gradient, which the oracle takes by differences."""

ROWS: tuple[tuple[str, str, bool], ...] = (
    # name, the new value of t, whether it holds a gradient
    ("inc", "t[i].inc(y)", False),
    ("inc-function", "st.inc_subtensor(t[i], y)", False),
    ("set", "t[i].set(y)", False),
    ("set-function", "st.set_subtensor(t[i], y)", False),
    ("set-of-sum", "t[i].set(t[i] + y)", False),
    ("ignore-duplicates", "t[i].inc(y, ignore_duplicates=True)", False),
    ("inc-negated", "t[i].inc(-0.5 * y)", False),
    ("inc-broadcast", "t[i].inc(y[0])", False),
    ("inc-scalar", "t[i].inc(1.5)", False),
    ("set-scalar", "t[i].set(0)", False),
    ("inc-own-rows", "t[i].inc(t[i])", False),
    ("inc-other-rows", "t[i].inc(t[k])", False),
    ("inc-all-rows", "t[i].inc(t[:3])", False),
    ("chain", "t[i].inc(y)[k].inc(y)", False),
    ("chain-set-inc", "t[i].set(y)[k].inc(y)", False),
    ("chain-inc-set", "t[i].inc(y)[k].set(y)", False),
    ("chain-reads", "t[i].inc(y)[k].inc(t[k])", False),
    ("chain-of-three", "t[i].inc(y)[k].set(y)[i].inc(1)", False),
    ("slice", "t[1:3].inc(y[:2])", False),
    ("slice-set", "t[::-1].set(t)", False),
    ("element", "t[1, 0].inc(y[0, 0])", False),
    ("column", "t[:, 1].set(t[:, 0])", False),
    ("pairs", "t[i, j].inc(y[:, 0])", False),
    ("pairs-set", "t[i, j].set(y[:, 1])", False),
    ("whole", "t + 1", False),
    ("whole-constant", "st.zeros_like(t)", False),
    ("same", "t", False),
    ("sgd-subset", "r.inc(-0.5 * st.grad((r * r * y).sum(), r))", True),
    ("sgd-table", "t - 0.5 * st.grad((t[i] * t[i] * y).sum(), t)", True),
    ("momentum", "t * 0.5 - st.grad((t[i] * y).sum(), t)", True),
)


def _case(name: str, shared: tuple[Given, ...], updates: tuple[tuple[str, str], ...], outputs: tuple[str, ...] = (), **more: object) -> Case:  # fmt: skip
    y, j = array("float64", (3, 2), 4), value("int64", [0, 1, 0])
    y2 = array("float64", (3, 2), 5)
    options: dict[str, object] = {
        "inputs": (given("i", IDS), given("k", MORE), given("j", j), given("y", y)),
        "calls": (Call((IDS, MORE, j, y)), Call((MORE, IDS, j, y2)), Call((IDS, MORE, j, y))),
        "tags": ("duplicates",),
        **more,
    }
    return Case(f"update/{name}", shared=shared, updates=updates, outputs=outputs, **options)  # type: ignore[arg-type]  # fields


def _table(name: str = "t", dtype: str = "float64", seed: int = 1) -> Given:
    return state(name, array(dtype, (4, 2), seed))


def cases() -> Iterator[Case]:
    for name, new, slope in ROWS:
        for dtype in ("float64", "float32"):
            more: dict[str, object] = {"absolute": STEP} if slope else {}
            if dtype == "float32":
                y, j = array(dtype, (3, 2), 4), value("int64", [0, 1, 0])
                more["inputs"] = (given("i", IDS), given("k", MORE), given("j", j), given("y", y))
                more["calls"] = (Call((IDS, MORE, j, y)),) * 2
                more |= {"ulps": 8.0, "addends": 4, "absolute": 0} if slope else {}
            lets = (("r", "t[i]"),) if new.startswith("r.") else ()
            for outputs in ((), ("t[i]", "t.sum()")):
                yield _case(
                    f"rows/{name}/{dtype}{'/outputs' if outputs else ''}", (_table(dtype=dtype),), (("t", new),), outputs,
                    lets=lets, quick=dtype == "float64" and bool(outputs) == bool(len(name) % 2) and len(name) % 4 < 3, tags=("duplicates",) + (("outputs",) if outputs else ()), **more,
                )  # fmt: skip
    for case in (*_several(), *_kinds(), *_shapes()):
        tags = ("outputs",) if case.outputs and case.updates and "outputs" not in case.tags else ()
        yield replace(case, tags=(*case.tags, *tags))


def _several() -> Iterator[Case]:
    a, b = _table("a", seed=1), _table("b", seed=2)
    n = state("n", value("int64", 0))
    together = ("simultaneous", "duplicates")
    yield _case("swap", (a, b), (("a", "b"), ("b", "a")), tags=together)
    yield _case("rotate", (a, b, _table("c", seed=3)), (("a", "b"), ("b", "c"), ("c", "a")), tags=together)
    yield _case("fibonacci", (a, b), (("a", "b"), ("b", "a + b")), tags=together)
    yield _case("cross-rows", (a, b), (("a", "a[i].inc(b[i])"), ("b", "b[i].inc(a[i])")), tags=together)
    yield _case("cross-rows-set", (a, b), (("a", "a[i].set(b[k])"), ("b", "b[k].set(a[i])")), tags=together)
    yield _case("cross-whole", (a, b), (("a", "a + b"), ("b", "a - b")), tags=together)
    yield _case("rows-read-by-whole", (a, b), (("a", "a[i].inc(y)"), ("b", "b + a")), tags=together)
    yield _case("whole-read-by-rows", (a, b), (("a", "a * 2"), ("b", "b[i].inc(a[i])")), tags=together)
    yield _case("copy-to-other", (a, b), (("b", "a"),), tags=together)
    yield _case("copy-rows-to-other", (a, b), (("a", "a[i].inc(y)"), ("b", "a")), tags=together)
    yield _case("same-value-twice", (a, b), (("a", "a + b"), ("b", "a + b")), tags=together)
    yield _case("counter", (a, n), (("a", "a[i].inc(y * n)"), ("n", "n + 1")), ("n",), tags=("outputs", *together))
    yield _case(
        "order-reversed", (a, n), (("n", "n + 1"), ("a", "a[i].inc(y * n)")), ("n",), tags=("outputs", *together)
    )
    yield _case("two-rows", (a, b), (("a", "a[i].inc(y)"), ("b", "b[k].set(y)")))
    yield _case("output-is-old", (a,), (("a", "a + 1"),), ("a", "a * 2"), tags=("outputs", "duplicates"))
    yield _case(
        "output-is-old-rows", (a,), (("a", "a[i].inc(y)"),), ("a[i]", "a[k]", "a"), tags=("outputs", "duplicates")
    )
    yield _case(
        "output-is-view", (a,), (("a", "a[i].inc(y)"),), ("a[1:]", "a.T", "a[0]"), tags=("outputs", "duplicates")
    )
    yield _case("output-is-new", (a,), (("a", "a[i].inc(y)"),), ("a[i].inc(y)",), tags=("outputs", "duplicates"))
    yield _case(
        "output-is-new-rows", (a,), (("a", "a[i].inc(y)"),), ("a[i].inc(y)[i]",), tags=("outputs", "duplicates")
    )
    yield _case("from-input", (a,), (("a", "st.concatenate([y, y[:1]])"),), tags=("ownership",))
    yield _case("read-only", (a,), (), ("a[i] * y", "a"))
    yield _case(
        "accumulators", (a, b), (("b", "b[i].inc(y * y)"), ("a", "a[i].inc(-y / st.sqrt(b[i] * b[i] + 1))")),
        tags=together, ulps=4, addends=4,
    )  # fmt: skip


def _kinds() -> Iterator[Case]:
    ids = value("uint8", [1, 3, 1])
    for dtype in ("int32", "int64", "uint8", "float16"):
        v = array(dtype, (3, 2), 4)
        yield Case(
            f"update/dtype/{dtype}",
            inputs=(given("i", ids), given("y", v)),
            shared=(state("t", array(dtype, (4, 2), 1)),),
            updates=(("t", "t[i].inc(y)"),),
            outputs=("t[i]",),
            calls=(Call((ids, v)),) * 2,
            capability="float16" if dtype == "float16" else None,
            tags=("duplicates",),
        )
    v = array("float64", (3, 2), 4)
    yield Case(
        "update/dtype/value-is-cast",
        inputs=(given("i", ids), given("y", v)),
        shared=(state("t", array("float32", (4, 2), 1)),),
        updates=(("t", "t[i].inc(y)"),),
        calls=(Call((ids, v)),) * 2,
        tags=("duplicates",),
    )
    flags = state("seen", value("bool", [False] * 5))
    yield Case(
        "update/dtype/bool-set", inputs=(given("i", ids),), shared=(flags,), updates=(("seen", "seen[i].set(True)"),),
        outputs=("seen.sum()",), calls=(Call((ids,)),) * 2, tags=("outputs",),
    )  # fmt: skip
    for name, i in (
        ("empty", value("int64", [])),
        ("negative", value("int64", [-1, -4, -1])),
        ("one", value("int64", [2])),
    ):
        w = array("float64", (len(i.data), 2), 6)
        yield Case(
            f"update/ids/{name}", inputs=(given("i", i), given("y", w)), shared=(_table(),), updates=(("t", "t[i].inc(y)"),),
            outputs=("t[i]",), calls=(Call((i, w)),) * 2, tags=(name,),
        )  # fmt: skip
    for count in (3, 70):
        i, w = Value("int64", (count,), (0, -1) * (count // 2) + (0,) * (count % 2)), array("float64", (count, 2), 6)
        yield Case(
            f"update/ids/one-row-{count}", inputs=(given("i", i), given("y", w)), shared=(state("t", array("float64", (1, 2), 1)),),
            updates=(("t", "t[i].inc(y)"),), outputs=("t[i]",), calls=(Call((i, w)),) * 2, tags=("duplicates",),
        )  # fmt: skip
    many = Value("int64", (90,), tuple(k * k % 11 for k in range(90)))
    w = array("float32", (90, 3), 2)
    for op in ("inc", "set"):
        yield Case(
            f"update/ids/many-{op}", inputs=(given("i", many), given("y", w)), shared=(state("t", array("float32", (11, 3), 1)),),
            updates=(("t", f"t[i].{op}(y)"),), calls=(Call((many, w)),) * 2, tags=("duplicates",),
        )  # fmt: skip
    mask = value("bool", [True, False, True, True])
    yield Case(
        "update/mask", inputs=(given("m", mask),), shared=(_table(),), updates=(("t", "t[m].inc(1)"),), outputs=("t[m].sum()",),
        calls=(Call((mask,)), Call((value("bool", [False] * 4),)), Call((value("bool", [True] * 4),))),
        capability="dynamic_shapes", tags=("outputs",),
    )  # fmt: skip


def _shapes() -> Iterator[Case]:
    grown = state("t", array("float64", (2, 2), 1), shape=(None, 2))
    y = array("float64", (1, 2), 3)
    yield Case(
        "update/shape/grows", inputs=(given("y", y),), shared=(grown,), updates=(("t", "st.concatenate([t, y])"),),
        outputs=("t.sum(axis=0)",), calls=(Call((y,)),) * 3, tags=("outputs",),
    )  # fmt: skip
    yield Case(
        "update/shape/shrinks", shared=(state("t", array("float64", (4, 2), 1), shape=(None, 2)),),
        updates=(("t", "t[1:]"),), outputs=("t",), calls=(Call(),) * 3, tags=("outputs",),
    )  # fmt: skip
    yield Case(
        "update/shape/scalar", shared=(state("s", value("float64", 1.5)),), updates=(("s", "s * 2"),), outputs=("s",),
        calls=(Call(),) * 4, tags=("outputs",),
    )  # fmt: skip
    yield Case(
        "update/shape/empty-table", inputs=(given("i", value("int64", [])),), shared=(state("t", array("float64", (0, 3))),),
        updates=(("t", "t[i].inc(1)"),), calls=(Call((value("int64", []),)),) * 2, tags=("empty",),
    )  # fmt: skip
