"""What is kept from call to call and is no longer true: by another shape, thread, function, backend; and memory that must stay.

The cases belong to the areas that their ids name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from subtensor_conformance.case import Call, Case, array, given, state, value

I = value("int64", [1, 3, 1])  # the name that cases give to ids
OTHER = value("int64", [0, -1, 2])
X, W = array("float64", (4, 2), 1), array("float64", (4, 2), 5)
Y, Z = array("float64", (3, 2), 3), array("float64", (3, 2), 4)


@cache
def _by_area() -> Mapping[str, list[Case]]:
    found: dict[str, list[Case]] = {}
    for make in (_alike, _crowds, _elsewhere, _kept):
        for case in make():
            found.setdefault(case.area, []).append(case)
    return found


def cases(area: str) -> Sequence[Case]:
    """Those of an area."""
    return _by_area().get(area, ())


def _alike() -> Iterator[Case]:
    """Arguments of as many elements in other shapes, and of one shape with other values."""
    shapes = ((4, 2), (2, 4), (8, 1), (1, 8), (4, 2))
    for name, output in (
        ("whole", "x * 2"), ("transposed", "x.T + 1"), ("sums", "x.sum(axis=0)"), ("rows", "x[1:]"), ("flat", "x.reshape((-1,))"),
        ("written", "x[:1].inc(1)"),
    ):  # fmt: skip
        yield Case(
            f"ownership/as-many-elements/{name}", inputs=(given("x", X),), outputs=(output,),
            calls=tuple(Call((array("float64", s, k),)) for k, s in enumerate(shapes)), tags=("repeat", "edges"),
        )  # fmt: skip


def _crowds() -> Iterator[Case]:
    calls = (Call((I, Y)), Call((OTHER, Z)))
    for name, updates, outputs in (
        ("rows", (("t", "t[i].inc(y)"),), ("t[i] * 2", "y + 1")),
        ("set", (("t", "t[i].set(t[i] + y)"),), ("t.sum(axis=0)",)),
        ("whole", (("t", "t + y.sum()"),), ("t * 2",)),
    ):
        yield Case(
            f"ownership/crowd/{name}", inputs=(given("i", I), given("y", Y)), shared=(state("t", X),), updates=updates,
            outputs=outputs, calls=calls, crowd=True, tags=("threads", "edges"),
        )  # fmt: skip


def _elsewhere() -> Iterator[Case]:
    """A function of another backend writes to the variables in between, in place where it can."""
    calls = (Call((I, Y)), Call((OTHER, Z)), Call((I, Z)))
    for name, updates, then, outputs in (
        ("read", {}, {"a": "a[i].inc(y)"}, ("a[i]", "a.sum(axis=0)")),
        ("rows", {"a": "a[i].inc(y)"}, {"a": "a[i].set(y)"}, ("a[i]",)),
        ("whole", {"a": "a + y.sum()"}, {"a": "a * 2"}, ()),
        ("both", {"a": "a[i].inc(b[i])"}, {"a": "a[i].inc(y)", "b": "b[i].inc(y)"}, ()),
    ):
        yield Case(
            f"update/elsewhere/{name}", inputs=(given("i", I), given("y", Y)), shared=(state("a", X), state("b", W)),
            updates=tuple(updates.items()), then=tuple(then.items()), elsewhere=True, outputs=outputs, calls=calls,
            tags=("elsewhere", "edges"),
        )  # fmt: skip


def _kept() -> Iterator[Case]:
    """Where the variables lie in memory that must stay, as a file's."""
    calls = (Call((I, Y)), Call((OTHER, Z)))
    for name, updates in (
        ("rows", {"a": "a[i].inc(y)"}),
        ("set", {"a": "a[i].set(y)"}),
        ("columns", {"a": "a[1:, 0].set(y[:, 0])"}),
        ("whole", {"a": "a * 2"}),
        ("rows-and-whole", {"a": "a[i].inc(y)", "b": "b + a"}),
        ("chain", {"a": "a[i].set(y)[0].inc(1)"}),
        ("swap", {"a": "b", "b": "a"}),
    ):
        yield Case(
            f"update/kept/{name}", inputs=(given("i", I), given("y", Y)), shared=(state("a", X), state("b", W)),
            updates=tuple(updates.items()), outputs=("a[i].sum()",), calls=calls, kept=True, tags=("kept", "edges"),
        )  # fmt: skip
