"""Random numbers: the same bits on every backend, floats by their formulas, weights, and state that counts the calls."""

from __future__ import annotations

from collections.abc import Iterator

from subtensor_conformance.case import Call, Case, Value, array, given, state, value

ONES = 2**64 - 1
KEYS = (
    ("small", (5, 0)),
    ("high-word", (0, 7)),
    ("ones", (ONES, ONES)),
    ("published", (0x452821E638D01377, 0xBE5466CF34E90C6C)),
    ("numbered", (1, 2, 3)),
    ("numbered-far", (1, 2, ONES - 1)),
)
SHAPES = ((), (1,), (3,), (4,), (5,), (2, 3), (0, 2), (3, 1, 7), (67,))


def _key(words: tuple[int, ...]) -> Value:
    return value("uint64", list(words))


def _name(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _draw(
    name: str, source: str, words: tuple[int, ...] = (5, 9), ulps: float = 0, quick: bool = True, tags: str = ""
) -> Case:
    k = _key(words)
    marks = tuple(t for t in tags.split("|") if t)
    return Case(
        f"random/{name}", (given("k", k, static=True),), outputs=(source,), calls=(Call((k,)),), ulps=ulps, quick=quick,
        tags=marks, capability="float16" if "float16" in source else None,
    )  # fmt: skip


def cases() -> Iterator[Case]:
    yield from _bits()
    yield from _floats()
    yield from _discrete()
    yield from _weighted()
    yield from _state()
    yield from _refused()


def _bits() -> Iterator[Case]:
    for name, words in KEYS:
        yield _draw(
            f"bits/key/{name}", "st.random.bits(k, (9,))", words, tags="bits|numbered" if len(words) > 2 else "bits"
        )
    for dtype in ("uint8", "uint16", "uint32", "uint64"):
        for shape in SHAPES:
            tags = "bits" if dtype == "uint64" else "bits|narrow"
            yield _draw(
                f"bits/{dtype}/{_name(shape)}",
                f"st.random.bits(k, {shape}, {dtype!r})",
                quick=shape == (5,),
                tags=tags,
            )
    yield _draw("bits/long", "st.random.bits(k, (1027,))", quick=False, tags="bits")
    yield _draw("bits/longer-narrow", "st.random.bits(k, (4099,), 'uint8')", quick=False, tags="bits|narrow")
    yield _draw("split", "st.random.split(k, 5)", tags="bits|part")
    yield _draw("split/numbered", "st.random.split(k, 3)", (1, 2, 3), tags="bits|part|numbered")
    yield _draw("split/one-of-them", "st.random.bits(st.random.split(k, 3)[1], (3,))", tags="bits|part")
    yield _draw(
        "two-draws-of-one-key", "st.random.bits(k, (6,)) - st.random.bits(k, (2, 3)).reshape((6,))", tags="bits"
    )
    k, n = _key((5, 9)), value("int64", 4)
    inputs = (given("k", k, static=True), given("n", n))
    numbers = tuple(Call((k, value("int64", i))) for i in (4, 0, 7))
    yield Case(
        "random/bits/length-at-the-call", inputs, outputs=("st.random.bits(k, (n, 2))",), calls=numbers,
        capability="dynamic_shapes", tags=("bits",),
    )  # fmt: skip
    yield Case(
        "random/fold_in", inputs, outputs=("st.random.fold_in(k, n)",),
        calls=tuple(Call((k, value("int64", i))) for i in (4, 0, -1)), tags=("bits", "part", "numbered"),
    )  # fmt: skip
    x = array("float64", (3, 4))
    yield Case(
        "random/uniform/like-an-input", (given("k", k, static=True), given("x", x)),
        outputs=("x + st.random.uniform(k, (st.length(x, 0), st.length(x, 1)))",), calls=(Call((k, x)),), tags=("floats",),
    )  # fmt: skip
    seeds = value("int64", 12345)
    yield Case(
        "random/key/at-the-call",
        (given("s", seeds),),
        outputs=("st.random.bits(st.random.key(s), (3,))",),
        calls=(Call((seeds,)),),
        tags=("bits",),
    )
    yield Case("random/key/constant", outputs=(f"st.random.bits(st.random.key({2**64 + 3}), (3,))",), tags=("bits",))


def _floats() -> Iterator[Case]:
    for dtype in ("float16", "float32", "float64"):
        for shape in ((), (5,), (2, 3), (0,), (301,)):
            quick = shape == (2, 3)
            yield _draw(
                f"uniform/{dtype}/{_name(shape)}",
                f"st.random.uniform(k, {shape}, {dtype!r})",
                quick=quick,
                tags="floats",
            )
            yield _draw(
                f"normal/{dtype}/{_name(shape)}",
                f"st.random.normal(k, {shape}, {dtype!r})",
                ulps=8,
                quick=quick,
                tags="floats|part",
            )
    yield _draw("uniform/float32/long", "st.random.uniform(k, (2053,), 'float32')", quick=False, tags="floats")
    yield _draw("exponential", "st.random.exponential(k, (40,))", ulps=4, tags="floats")
    yield _draw("gumbel", "st.random.gumbel(k, (40,), 'float64')", ulps=64, tags="floats")
    yield _draw("uniform/between", "st.random.uniform(k, (6,), low=-2.0, high=2.0)", tags="floats")
    yield _draw("uniform/numbered", "st.random.uniform(k, (6,))", (1, 2, 9), tags="floats|numbered")


def _discrete() -> Iterator[Case]:
    for name, low, high in (("die", 1, 7), ("wide", -(2**62), 2**62), ("one", 3, 4), ("large", 0, 2**40 + 1)):
        yield _draw(
            f"integers/{name}", f"st.random.integers(k, (50,), {low}, {high})", quick=name != "one", tags="words"
        )
    yield _draw("integers/uint8", "st.random.integers(k, (20,), 0, 256, 'uint8')", tags="words")
    for n in (0, 1, 2, 30, 257):
        yield _draw(f"permutation/{n}", f"st.random.permutation(k, {n})", quick=n == 30, tags="words")
    yield _draw("choice", "st.random.choice(k, 10, (4, 5))", tags="words")
    yield _draw("choice/without-replacement", "st.random.choice(k, 10, (6,), replace=False)", tags="words")
    k, x = _key((5, 9)), array("float64", (5, 2))
    yield Case(
        "random/permutation/rows", (given("k", k, static=True), given("x", x)), outputs=("st.random.permutation(k, x)",),
        calls=(Call((k, x)),), tags=("words",),
    )  # fmt: skip
    for dtype in ("float32", "float64"):
        p = value(dtype, [0.0, 0.25, 0.5, 1.0])
        yield Case(
            f"random/bernoulli/{dtype}", (given("k", k, static=True), given("p", p)),
            outputs=("st.random.bernoulli(k, p, (50, 4))",), calls=(Call((k, p)),), tags=("floats",),
        )  # fmt: skip


def _weighted() -> Iterator[Case]:
    k = _key((5, 9))
    for name, data in (
        ("equal", [1.0, 1.0, 1.0]),
        ("zeros", [0.0, 3.0, 0.0, 0.5, 0.0]),
        ("one", [2.5]),
        ("steep", [2.0**-i for i in range(40)]),
        ("rising", [float(i) for i in range(33)]),
        ("tiny", [1e-300, 3e-300, 2e-300]),
    ):
        p = value("float64", data)
        inputs = (given("k", k, static=True), given("p", p))
        for what, source in (
            ("choice", f"st.random.choice(k, {len(data)}, (30,), p=p)"),
            ("alias-table", "st.random.alias_table(p)"),
            ("alias-draw", "st.random.alias_draw(k, st.random.alias_table(p), (6, 5))"),
        ):
            yield Case(
                f"random/{what}/{name}",
                inputs,
                outputs=(source,),
                calls=(Call((k, p)),),
                tags=("words",),
                quick=name in ("equal", "zeros", "steep"),
            )
    m = value("float64", [[0.25, 0.5, 0.25], [0.0, 1.0, 3.0]])
    inputs = (given("k", k, static=True), given("m", m))
    for what, source in (
        ("multinomial/one", "st.random.multinomial(k, 1, m)"),
        ("multinomial/many", "st.random.multinomial(k, 20, m)"),
        ("categorical", "st.random.categorical(k, m)"),
    ):
        yield Case(f"random/{what}", inputs, outputs=(source,), calls=(Call((k, m)),), tags=("words",))
    yield Case(  # as many draws for each count as the largest mean asks for
        "random/poisson", inputs, outputs=("st.random.poisson(k, m, (5, 2, 3))",), calls=(Call((k, m)),),
        tags=("words", "floats"), capability="dynamic_shapes",
    )  # fmt: skip


def _state() -> Iterator[Case]:
    s = state("s", value("uint64", [3, 4, 0]))
    w = state("w", array("float64", (4,)))
    step = ("s", "s + st.constant([0, 0, 1], dtype='uint64')")
    i = value("int64", 2)
    calls = (
        Call((i,)),
        Call((i,)),
        Call(
            (value("int64", 9),),
            raises=(
                "BoundsError",
                "w[i]: index 9 is out of bounds for axis 0 of w, which has size 4; expected -4 <= index < 4",
            ),
        ),
        Call((i,)),
    )
    yield Case(
        "random/state/a-stream", (given("i", i),), (s, w), outputs=("st.random.uniform(s, (4,))", "w[i]"),
        updates=(("w", "w + st.random.uniform(s, (4,))"), step), calls=calls, tags=("numbered", "floats"), resume=True,
    )  # fmt: skip
    yield Case(
        "random/state/integers", (), (s,), outputs=("st.random.integers(s, (4,), 0, 100)",), updates=(step,),
        calls=(Call(), Call(), Call()), tags=("numbered",),
    )  # fmt: skip


def _refused() -> Iterator[Case]:
    k = _key((5, 9))
    good, bad = value("float64", [0.5, 1.0]), value("float64", [0.5, 1.5])
    nan = value("float64", [0.5, float("nan")])
    inputs = (given("k", k, static=True), given("p", good))
    text = "bernoulli: p holds {} at [1]; expected a probability, between 0 and 1"
    yield Case(
        "random/refused/probability", inputs, (state("c", value("int64", 0)),), outputs=("st.random.bernoulli(k, p, (3, 2))",),
        updates=(("c", "c + 1"),),
        calls=(
            Call((k, good)), Call((k, bad), raises=("DomainError", text.format("1.5"))),
            Call((k, nan), raises=("DomainError", text.format("nan"))), Call((k, good)),
        ), tags=("refused", "floats"),
    )  # fmt: skip
    minus = value("float64", [0.5, -1.0])
    yield Case(
        "random/refused/weights", inputs, outputs=("st.random.choice(k, 2, (3,), p=p)",),
        calls=(
            Call((k, good)),
            Call((k, minus), raises=("DomainError", "choice: p holds -1.0 at [1]; expected weights that are finite and not negative")),
        ), tags=("refused",),
    )  # fmt: skip
    yield Case(
        "random/refused/seed", raises=("DTypeError", "random: 3 is a seed, not a key; write st.random.key(3)"),
        outputs=("st.random.uniform(3)",), calls=(),
    )  # fmt: skip
