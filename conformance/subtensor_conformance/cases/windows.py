"""Convolution and pooling, and their gradients."""

from __future__ import annotations

from collections.abc import Iterator

from subtensor_conformance.case import Call, Case, Value, array, given
from subtensor_conformance.cases.gradients import BY_DIFFERENCES

CONVOLUTIONS: tuple[tuple[str, tuple[int, ...], tuple[int, ...], str], ...] = (
    ("valid", (2, 2, 4, 5), (3, 2, 2, 3), ""),
    ("correlation", (1, 2, 4, 4), (2, 2, 3, 2), ", filter_flip=False"),
    ("full", (1, 1, 3, 2), (2, 1, 2, 2), ", border_mode='full'"),
    ("half", (1, 2, 4, 3), (1, 2, 3, 3), ", border_mode='half'"),
    ("pairs", (1, 1, 3, 4), (1, 1, 2, 2), ", border_mode=((0, 2), (1, 0))"),
    ("strided", (1, 2, 6, 7), (2, 2, 3, 2), ", subsample=(2, 3)"),
    ("strided-past-the-end", (1, 1, 6, 5), (1, 1, 2, 1), ", subsample=(3, 2)"),
    ("dilated", (1, 1, 6, 5), (1, 1, 2, 3), ", filter_dilation=(3, 2)"),
    ("strided-dilated-full", (1, 1, 5, 4), (2, 1, 2, 2), ", border_mode='full', subsample=(2, 3), filter_dilation=(2, 1)"),
    ("as-large-as-the-image", (2, 1, 2, 3), (1, 1, 2, 3), ""),
    ("one-by-one", (1, 3, 2, 2), (2, 3, 1, 1), ""),
    ("no-items", (0, 2, 3, 3), (2, 2, 2, 2), ""),
)  # fmt: skip

DISTINCT = Value("float64", (1, 1, 5, 4), tuple((k * 7 % 20 - 9) / 4 for k in range(20)))
"""No two elements are equal: differences say nothing of the gradient of a largest one that another equals."""

POOLS: tuple[tuple[str, str], ...] = (
    ("touching", "(2, 2), ignore_border=True"),
    ("touching-short", "(2, 3)"),
    ("overlapping", "(3, 2), ignore_border=True, stride=(1, 1)"),
    ("overlapping-short", "(3, 2), stride=(2, 1)"),
    ("gaps", "(1, 2), stride=(2, 3)"),
    ("padded", "(3, 2), ignore_border=True, stride=(2, 2), pad=(1, 1)"),
)


def cases() -> Iterator[Case]:
    for name, a, b, options in CONVOLUTIONS:
        for dtype in ("float64", "float32", "int64"):
            x, w = array(dtype, a, 2), array(dtype, b, 3)
            yield Case(
                f"windows/conv-{name}/{dtype}",
                inputs=(given("x", x), given("w", w)),
                outputs=(f"st.conv2d(x, w{options})",),
                calls=(Call((x, w)),),
                ulps=0 if dtype == "int64" else 4,
                addends=b[1] * b[2] * b[3] + 1,
                quick=dtype == "float32",
                tags=("product",),
            )
        x, w = array("float64", a, 2), array("float64", b, 3)
        for n, wrt in enumerate("xw"):
            yield Case(
                f"windows/conv-{name}/gradient-{wrt}",
                inputs=(given("x", x), given("w", w)),
                lets=(("y", f"st.conv2d(x, w{options})"),),
                outputs=(f"st.grad((y * y).sum(), {wrt})",),
                calls=(Call((x, w)),),
                absolute=BY_DIFFERENCES,
                quick=n == 0,
            )
    x, w = array("float64", (1, 2, 3, 3, 2), 4), array("float64", (2, 2, 2, 1, 2), 5)
    yield Case(
        "windows/conv-volumes",
        inputs=(given("x", x), given("w", w)),
        outputs=("st.conv3d(x, w, border_mode='half', subsample=(2, 1, 1))",),
        calls=(Call((x, w)),),
        ulps=4,
        addends=9,
    )
    for name, arguments in POOLS:
        for mode in ("max", "sum", "average_inc_pad", "average_exc_pad"):
            x = array("float64", (1, 2, 5, 4), 6)
            source = f"st.pool_2d(x, {arguments}, mode='{mode}')"
            yield Case(
                f"windows/{mode}-{name}",
                inputs=(given("x", x),),
                outputs=(source,),
                calls=(Call((x,)),),
                ulps=0 if mode == "max" else 4,
                addends=7,
                quick=mode in ("max", "average_inc_pad"),
            )
            x = DISTINCT
            yield Case(
                f"windows/{mode}-{name}/gradient",
                inputs=(given("x", x),),
                lets=(("y", source),),
                outputs=("st.grad((y * y * y).sum(), x)",),
                calls=(Call((x,)),),
                absolute=BY_DIFFERENCES,
                quick=mode == "average_exc_pad",
            )
    x = array("int32", (5, 4), 8)
    yield Case("windows/max-int32", inputs=(given("x", x),), outputs=("st.pool_2d(x, (2, 3))",), calls=(Call((x,)),))
