"""Reading and writing subsets: every kind of index, constant and symbolic, over dtypes and value shapes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from subtensor_conformance.case import Call, Case, Value, array, given, value

INT_DTYPES = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
DYNAMIC = "dynamic_shapes"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of index. shape: of the table. key: source over `names`. names: index inputs with their values.

    result: the shape of ``x[key]``. sources: the same key with constants, where that differs. dynamic: whether the
    result's shape depends on values.
    """

    name: str
    shape: tuple[int, ...]
    key: str
    result: tuple[int, ...]
    names: tuple[tuple[str, Value], ...] = ()
    tags: tuple[str, ...] = ()
    dynamic: bool = False


def _ids(data: object, dtype: str = "int64") -> Value:
    return value(dtype, data)


BASIC = (
    Kind("int", (5,), "2", ()),
    Kind("int-negative", (5,), "-2", (), tags=("negative",)),
    Kind("slice", (5,), "1:4", (3,)),
    Kind("slice-to", (5,), ":3", (3,)),
    Kind("slice-from-negative", (5,), "-3:", (3,), tags=("negative bound",)),
    Kind("slice-to-negative", (5,), ":-1", (4,), tags=("negative bound",)),
    Kind("slice-step", (5,), "::2", (3,), tags=("step",)),
    Kind("slice-step-odd-end", (7,), "1:6:3", (2,), tags=("step",)),
    Kind("slice-reversed", (5,), "::-1", (5,), tags=("negative step",)),
    Kind("slice-down", (6,), "4:1:-1", (3,), tags=("negative step",)),
    Kind("slice-down-negative", (6,), "-2:-6:-2", (2,), tags=("negative step", "negative bound")),
    Kind("slice-down-from-start", (6,), "0::-1", (1,), tags=("negative step",)),
    Kind("slice-empty", (5,), "3:1", (0,), tags=("empty",)),
    Kind("slice-empty-equal", (5,), "2:2", (0,), tags=("empty",)),
    Kind("slice-beyond", (5,), "7:9", (0,), tags=("empty", "beyond")),
    Kind("slice-overlong", (5,), "-9:9", (5,), tags=("beyond", "negative bound")),
    Kind("slice-of-empty", (0,), "::-1", (0,), tags=("empty", "negative step")),
    Kind("row", (3, 4), "1", (4,)),
    Kind("column", (3, 4), ":, 1", (3,)),
    Kind("ellipsis-last", (2, 3, 2), "..., -1", (2, 3), tags=("negative",)),
    Kind("ellipsis-middle", (2, 3, 2), "1, ..., 0", (3,)),
    Kind("ellipsis-alone", (2, 3), "...", (2, 3)),
    Kind("block", (4, 5), "1:3, ::-2", (2, 3), tags=("negative step",)),
    Kind("element", (3, 4), "2, -1", (), tags=("negative",)),
    Kind("new-axis-front", (3, 2), "None, 1", (1, 2)),
    Kind("new-axis-middle", (3, 2), ":, None, 0", (3, 1)),
    Kind("new-axis-last", (3,), "..., None", (3, 1)),
    Kind("all-of-scalar", (), "...", ()),
    Kind("rows-of-empty", (0, 3), "0:0", (0, 3), tags=("empty",)),
    Kind("columns-of-empty", (0, 3), ":, 1", (0,), tags=("empty",)),
)

SYMBOLIC_BASIC = (
    Kind("int", (5,), "i", (), (("i", value("int64", 3)),)),
    Kind("int-negative", (5,), "i", (), (("i", value("int64", -5)),), ("negative",)),
    Kind("int32-of-matrix", (3, 4), "i, j", (), (("i", value("int32", 2)), ("j", value("int8", -1))), ("negative",)),
    Kind("row-and-slice", (3, 4), "i, 1:3", (2,), (("i", value("int64", -1)),), ("negative",)),
    Kind("uint8-scalar", (200,), "i", (), (("i", value("uint8", 190)),), ("narrow",)),
    Kind("bounds", (6,), "a:b", (3,), (("a", value("int64", 1)), ("b", value("int64", 4))), dynamic=True),
    Kind(
        "bounds-negative", (6,), "a:b", (3,), (("a", value("int64", -4)), ("b", value("int64", -1))),
        ("negative bound",), True,
    ),
    Kind("bounds-beyond", (6,), "a:", (0,), (("a", value("int64", 11)),), ("empty", "beyond"), True),
    Kind("bounds-empty", (6,), "a:b", (0,), (("a", value("int64", 4)), ("b", value("int64", 2))), ("empty",), True),
    Kind(
        "step-negative", (6,), "a:b:c", (2,),
        (("a", value("int64", 4)), ("b", value("int64", 0)), ("c", value("int64", -2))), ("negative step",), True,
    ),
    Kind("step-only", (6,), "::c", (6,), (("c", value("int64", -1)),), ("negative step",), True),
    Kind("bounds-int32", (4, 3), ":, a:", (4, 1), (("a", value("int32", 2)),), dynamic=True),
)  # fmt: skip


def _one(name: str, ids: object, tags: tuple[str, ...] = (), shape: tuple[int, ...] = (5,), rest: str = "") -> Kind:
    v = _ids(ids)
    return Kind(name, shape, "i" + rest, (*v.shape, *shape[1:]), (("i", v),), tags)


ARRAYS = (
    _one("ids", [0, 2, 1]),
    _one("ids-duplicate", [1, 1, 3, 1], ("duplicates",)),
    _one("ids-negative", [-1, 0, -5], ("negative", "duplicates")),
    _one("ids-one-element-two-names", [4, -1, 4, 0], ("duplicates", "negative")),
    _one("ids-empty", [], ("empty",)),
    _one("ids-one", [3]),
    _one("ids-matrix", [[0, 1], [1, 4]], ("duplicates",)),
    _one("rows", [2, 0], shape=(4, 3)),
    _one("rows-duplicate", [3, 1, 3, 3], ("duplicates",), (4, 3)),
    _one("rows-negative", [-1, 1, -4], ("negative",), (4, 3)),
    _one("rows-empty", [], ("empty",), (4, 3)),
    _one("rows-all", [3, 2, 1, 0], shape=(4, 3)),
    _one("rows-matrix", [[2, 0], [2, 2]], ("duplicates",), (4, 3)),
    _one("rows-of-no-columns", [1, 1], ("empty", "duplicates"), (3, 0)),
    _one("rows-of-tensor", [1, 0, 1], ("duplicates",), (2, 2, 3)),
    Kind("columns", (3, 4), ":, i", (3, 2), (("i", _ids([3, 0])),)),
    Kind("columns-square", (3, 3), ":, i", (3, 3), (("i", _ids([2, 0, 1])),)),
    Kind("grid-square", (4, 3), "i, j", (3, 3), (("i", _ids([2, 0, 1])), ("j", _ids([[0, 1, 2], [2, 0, 1], [1, 2, 0]])))),
    Kind("columns-duplicate", (3, 4), ":, i", (3, 3), (("i", _ids([1, -3, 1])),), ("duplicates", "negative")),
    Kind("columns-matrix", (2, 4), ":, i", (2, 2, 2), (("i", _ids([[1, 0], [3, 1]])),), ("duplicates",)),
    Kind("last-axis", (2, 2, 3), "..., i", (2, 2, 2), (("i", _ids([2, 0])),)),
    Kind("slice-then-ids", (4, 3), "1:3, i", (2, 2), (("i", _ids([2, 2])),), ("duplicates",)),
    Kind("reversed-then-ids", (4, 3), "::-1, i", (4, 2), (("i", _ids([2, 0])),), ("negative step",)),
    Kind("ids-then-slice", (4, 3), "i, ::2", (2, 2), (("i", _ids([3, 1])),), ("step",)),
    Kind("ids-then-int", (4, 3), "i, 1", (3,), (("i", _ids([3, 1, 3])),), ("duplicates",)),
    Kind("int-then-ids", (4, 3), "1, i", (2,), (("i", _ids([2, 0])),)),
    Kind("pairs", (3, 4), "i, j", (3,), (("i", _ids([0, 2, 1])), ("j", _ids([3, 0, 1])))),
    Kind("pairs-duplicate", (3, 4), "i, j", (3,), (("i", _ids([1, 2, 1])), ("j", _ids([2, 0, 2]))), ("duplicates",)),
    Kind(
        "pairs-negative", (3, 4), "i, j", (3,), (("i", _ids([1, -2, 0])), ("j", _ids([-1, 3, 0]))),
        ("duplicates", "negative"),
    ),
    Kind("pairs-empty", (3, 4), "i, j", (0,), (("i", _ids([])), ("j", _ids([]))), ("empty",)),
    Kind("grid", (3, 4), "i, j", (2, 3), (("i", _ids([[0], [2]])), ("j", _ids([3, 0, 1])))),
    Kind("grid-duplicate", (3, 4), "i, j", (2, 2), (("i", _ids([[1], [1]])), ("j", _ids([0, 2]))), ("duplicates",)),
    Kind("pairs-one-to-many", (3, 4), "i, j", (3,), (("i", _ids([2])), ("j", _ids([3, 0, 3]))), ("duplicates",)),
    Kind("separated", (2, 3, 4), "i, :, j", (2, 3), (("i", _ids([0, 1])), ("j", _ids([3, 1]))), ("separated",)),
    Kind(
        "separated-duplicate", (2, 3, 4), "i, :, j", (3, 3), (("i", _ids([1, 0, 1])), ("j", _ids([2, 2, 2]))),
        ("separated", "duplicates"),
    ),
    Kind("separated-int", (2, 3, 4), "0, :, j", (2, 3), (("j", _ids([3, 1])),), ("separated",)),
    Kind(
        "separated-slice", (2, 4, 3), "i, 1:3, j", (2, 2), (("i", _ids([1, 0])), ("j", _ids([0, -1]))),
        ("separated", "negative"),
    ),
    Kind(
        "separated-square", (3, 3, 3), "i, :, j", (3, 3), (("i", _ids([0, 2, 1])), ("j", _ids([1, 0, 2]))),
        ("separated",),
    ),
    Kind(
        "separated-by-new-axis", (3, 4), "i, None, j", (2, 1), (("i", _ids([1, 0])), ("j", _ids([3, 0]))),
        ("separated",),
    ),
    Kind("adjacent-behind", (2, 3, 4), ":, i, j", (2, 2), (("i", _ids([0, 2])), ("j", _ids([3, 1])))),
    Kind("adjacent-front", (3, 4, 2), "i, j", (2, 2), (("i", _ids([0, 2])), ("j", _ids([3, 1])))),
    Kind(
        "adjacent-front-duplicate", (3, 4, 2), "i, j", (3, 2), (("i", _ids([0, 2, 0])), ("j", _ids([3, 1, -1]))),
        ("duplicates", "negative"),
    ),
    Kind("new-axis-and-ids", (3, 2), "None, i", (1, 3, 2), (("i", _ids([2, 0, 2])),), ("duplicates",)),
    Kind("ids-and-new-axis", (3, 2), "i, None", (2, 1, 2), (("i", _ids([2, 0])),)),
    Kind(
        "three", (2, 3, 4), "i, j, k", (2,), (("i", _ids([0, 1])), ("j", _ids([2, 0])), ("k", _ids([3, 3]))),
    ),
)  # fmt: skip

NARROW = tuple(
    Kind(
        f"{dtype}-of-{size}", (size, 2), "i", (4, 2),
        (("i", _ids([size - 1, 0, size - 1, 130 if size > 130 else 5], dtype)),),
        ("narrow", "duplicates"),
    )
    for dtype in INT_DTYPES
    for size in ((100,) if dtype == "int8" else (200,))
) + tuple(
    Kind(
        f"{dtype}-pairs", (20, 20), "i, j", (3,), (("i", _ids([19, 3, 19], dtype)), ("j", _ids([18, 19, 18], dtype))),
        ("narrow", "duplicates"),
    )
    for dtype in ("int8", "uint8")
) + (
    Kind(
        "int8-pairs-negative", (200, 2), "i, j", (3,), (("i", _ids([-1, 5, -128], "int8")), ("j", _ids([1, 0, -1], "int8"))),
        ("narrow", "negative"),
    ),
Kind("int8-negative", (100,), "i", (3,), (("i", _ids([-1, -100, 99], "int8")),), ("narrow", "negative", "duplicates")))  # fmt: skip

MASKS = (
    Kind("mask", (5,), "m", (3,), (("m", value("bool", [True, False, True, True, False])),)),
    Kind("mask-none", (4,), "m", (0,), (("m", value("bool", [False] * 4)),), ("empty",)),
    Kind("mask-all", (3,), "m", (3,), (("m", value("bool", [True] * 3)),)),
    Kind("mask-rows", (3, 2), "m", (2, 2), (("m", value("bool", [True, False, True])),)),
    Kind("mask-columns", (2, 3), ":, m", (2, 2), (("m", value("bool", [True, False, True])),)),
    Kind("mask-full", (2, 3), "m", (3,), (("m", value("bool", [[False, True, True], [True, False, False]])),)),
    Kind(
        "mask-square", (3, 3), "m", (4,),
        (("m", value("bool", [[False, True, True], [False, False, True], [True, False, False]])),),
    ),
    Kind("mask-partial", (2, 2, 3), "m", (2, 3), (("m", value("bool", [[False, True], [True, False]])),)),
    Kind(
        "mask-and-ids", (3, 4), "m, j", (2,), (("m", value("bool", [True, False, True])), ("j", _ids([3, 1]))),
    ),
    Kind("mask-and-slice", (3, 4), "m, 1:3", (2, 2), (("m", value("bool", [True, False, True])),)),
    Kind("mask-of-empty", (0, 2), "m", (0, 2), (("m", Value("bool", (0,), ())),), ("empty",)),
)  # fmt: skip


def constant_key(kind: Kind) -> str:
    """The key with the values of its index inputs written in."""
    parts = []
    for part in kind.key.split(", "):
        v = dict(kind.names).get(part)
        if v is None:
            parts.append(part)
        elif v.dtype in ("int64", "bool") and v.data:
            parts.append(str(nested(v)))
        else:
            parts.append(f"st.constant({nested(v)}, dtype={v.dtype!r})")
    return ", ".join(parts)


def nested(v: Value) -> object:
    """A value as nested lists."""
    if not v.shape:
        return v.data[0]
    if len(v.shape) == 1:
        return list(v.data)
    step = len(v.data) // v.shape[0] if v.shape[0] else 0
    return [nested(Value(v.dtype, v.shape[1:], v.data[k * step : (k + 1) * step])) for k in range(v.shape[0])]


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of index, spelled: the key's source, the index inputs, the capability needed."""

    name: str
    kind: Kind
    key: str
    names: tuple[tuple[str, Value], ...] = ()
    capability: str | None = None


def forms() -> Iterator[Form]:
    """Every kind of index with constants and with symbols."""
    for k in BASIC:
        yield Form(f"{k.name}/constant", k, k.key)
    for k in SYMBOLIC_BASIC:
        yield Form(f"{k.name}/symbolic", k, k.key, k.names, DYNAMIC if k.dynamic else None)
    for k in (*ARRAYS, *NARROW):
        yield Form(f"{k.name}/constant", k, constant_key(k))
        yield Form(f"{k.name}/symbolic", k, k.key, k.names)
    for k in MASKS:
        yield Form(f"{k.name}/constant", k, constant_key(k))
        yield Form(f"{k.name}/symbolic", k, k.key, k.names, DYNAMIC)


def _capability(form: Form, dtype: str) -> str | None:
    return "float16" if dtype == "float16" else form.capability


def _allowed(form: Form, dtype: str) -> bool:
    """A case needs one capability at most."""
    return dtype != "float16" or form.capability is None


TURN = ("int32", "float32", "uint8", "bool", "int64", "float16")


def _rotates(n: int, dtype: str) -> bool:
    """Every form in float64, and in every third of the others."""
    return dtype == "float64" or (n + TURN.index(dtype)) % 3 == 0


def _case(area: str, form: Form, dtype: str, variant: str, source: str, more: tuple[Value, ...], quick: bool) -> Case:
    table = array(dtype, form.kind.shape, seed=7)
    symbolic = bool(form.names)
    inputs = (
        given("x", table, static=not symbolic),
        *(given(n, v) for n, v in form.names),
        *(given(n, v) for n, v in zip("yz", more, strict=False)),
    )
    tags = (*form.kind.tags, *(("broadcast",) if variant not in ("full", "get") else ()))
    return Case(
        f"{area}/{form.name}/{dtype}/{variant}" if variant != "get" else f"{area}/{form.name}/{dtype}",
        inputs=inputs,
        outputs=(source,),
        calls=(Call((table, *(v for _, v in form.names), *more)),),
        capability=_capability(form, dtype),
        tags=tags,
        quick=quick,
    )


def get_cases() -> Iterator[Case]:
    for n, form in enumerate(forms()):
        for dtype in ("float64", "float32", "int32", "uint8", "bool", "float16"):
            if _allowed(form, dtype) and _rotates(n, dtype):
                quick = n % 2 == 0 and dtype == ("float64" if n % 3 else TURN[n // 3 % 5])
                yield _case("get", form, dtype, "get", f"x[{form.key}]", (), quick)


def value_shapes(result: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Shapes that broadcast to the shape of a subset."""
    shapes = {"full": result}
    if result:
        shapes["scalar"] = ()
        shapes["last"] = result[-1:] if len(result) > 1 else (1,)
        if len(result) > 1:
            shapes["first"] = (result[0], *(1 for _ in result[1:]))
            shapes["extra"] = (1, *result)
    return shapes


def _write_cases(area: str, dtypes: tuple[str, ...]) -> Iterator[Case]:
    for n, form in enumerate(forms()):
        for dtype in dtypes:
            if not _allowed(form, dtype) or not _rotates(n, dtype):
                continue
            for variant, shape in value_shapes(form.kind.result).items():
                if variant != "full" and (dtype != "float64" or (n + len(variant)) % 2):
                    continue
                if variant == "full":
                    quick = (n + (area == "set")) % 4 == 0 and dtype == ("float64" if n // 4 % 2 else TURN[n // 4 % 3])
                else:
                    quick = dtype == "float64" and (n + len(variant)) % 16 == 0
                yield _case(area, form, dtype, variant, f"x[{form.key}].{area}(y)", (array(dtype, shape, 3),), quick)


def set_cases() -> Iterator[Case]:
    yield from _write_cases("set", ("float64", "float32", "int32", "uint8", "bool", "float16"))
    yield from _views("set")


def inc_cases() -> Iterator[Case]:
    yield from _write_cases("inc", ("float64", "float32", "int32", "uint8", "int64", "float16"))
    yield from _views("inc")
    ids = value("int64", [1, 1, 3, -1, 1])
    table, y = array("float64", (4, 2), 5), array("float64", (5, 2), 6)
    base = Case(
        "inc/ignore-duplicates/rows",
        inputs=(given("x", table), given("i", ids), given("y", y)),
        outputs=("x[i].inc(y, ignore_duplicates=True)",),
        calls=(Call((table, ids, y)),),
        tags=("duplicates", "negative"),
    )
    yield base
    yield replace(base, id="inc/function/rows", outputs=("st.inc_subtensor(x[i], y)",))
    yield replace(base, id="inc/twice/rows", outputs=("x[i].inc(y)[i].inc(y)",))
    yield replace(base, id="inc/then-set/rows", outputs=("x[i].inc(y)[i[:2]].set(y[:2])",))
    yield replace(base, id="inc/of-itself/rows", outputs=("x[i].inc(x[i])",))
    yield replace(base, id="inc/many-duplicates", **_many())  # type: ignore[arg-type]  # fields of Case


def _many() -> dict[str, object]:
    ids = Value("int64", (60,), tuple(k * k % 7 for k in range(60)))
    y = array("float64", (60, 2), 8)
    table = array("float64", (7, 2), 9)
    return {
        "inputs": (given("x", table), given("i", ids), given("y", y)),
        "outputs": ("x[i].inc(y)",),
        "calls": (Call((table, ids, y)),),
        "tags": ("duplicates",),
    }


def _views(area: str) -> Iterator[Case]:
    """A subset that was rearranged is still a subset: the value is carried back."""
    table, ids = array("float64", (4, 3), 1), value("int64", [2, 0])
    for name, target, shape in (
        ("reshaped", "x[i].reshape((6,))", (6,)),
        ("reshaped-broadcast", "x[i].reshape((3, 2))", (2,)),
        ("transposed", "x[i].T", (3, 2)),
        ("expanded", "st.expand_dims(x[i], 1)", (2, 1, 3)),
    ):
        y = array("float64", shape, 2)
        yield Case(
            f"{area}/{name}",
            inputs=(given("x", table), given("i", ids, static=True), given("y", y)),
            outputs=(f"st.{area}_subtensor({target}, y)",),
            oracle=((f"st.{area}_subtensor({target}, y)", _carried(area, name)),),
            calls=(Call((table, ids, y)),),
        )
    y = array("float64", (2, 4), 2)
    for name, target in (("rows", "(x.T * 2)[i]"), ("slice", "(x.T * 2)[1:]")):
        yield Case(
            f"{area}/of-computed-transposed/{name}",
            inputs=(given("x", table), given("i", ids), given("y", y)),
            outputs=(f"{target}.{area}(y)",),
            calls=(Call((table, ids, y)),),
        )


def _carried(area: str, name: str) -> str:
    back = {
        "reshaped": "y.reshape((2, 3))",
        "reshaped-broadcast": "st.broadcast_to(y, (3, 2)).reshape((2, 3))",
        "transposed": "y.T",
        "expanded": "y.reshape((2, 3))",
    }[name]
    return f"x[i].{area}({back})"
