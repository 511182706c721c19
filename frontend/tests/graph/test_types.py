"""dtypes, promotion, static shapes, axes; and what ops say when they refuse."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import subtensor as st
from subtensor.graph.types import (
    DTYPES,
    FLOATS,
    TensorType,
    as_dtype,
    broadcast_shapes,
    can_cast,
    float_dtype,
    is_discrete,
    is_float,
    is_integer,
    normalize_axes,
    normalize_axis,
    result_dtype,
    sum_dtype,
)

NUMPYS = [d for d in DTYPES if d != "bfloat16"]


@pytest.mark.parametrize("pair", list(itertools.product(NUMPYS, NUMPYS)), ids="-".join)
def test_promotion_is_numpys(pair):
    assert result_dtype(*pair) == np.result_type(*map(np.dtype, pair)).name
    assert can_cast(*pair) == np.can_cast(*pair, "same_kind")
    for scalar in (True, 1, 1.5):
        assert result_dtype(pair[0], scalar) == np.result_type(np.dtype(pair[0]), type(scalar)(0)).name


@pytest.mark.parametrize("dtype", NUMPYS)
def test_dtypes_of_functions_and_sums(dtype):
    one = np.ones(1, dtype)
    assert float_dtype(dtype) == np.exp(one).dtype.name
    assert sum_dtype(dtype) == np.sum(one).dtype.name == np.prod(one).dtype.name == np.cumsum(one).dtype.name
    assert is_float(dtype) == (dtype in FLOATS) == (not is_discrete(dtype))
    assert is_integer(dtype) == (np.dtype(dtype).kind in "iu")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("f4", "float32"),
        (np.float64, "float64"),
        (np.dtype(">i4"), "int32"),
        (int, "int64"),
        (bool, "bool"),
        ("B", "uint8"),
    ],
)
def test_spellings_of_dtypes(given, name):
    assert as_dtype(given) == name


@pytest.mark.parametrize("bad", ["float12", "complex128", object, "datetime64[s]", "U3", 3, [1]])
def test_bad_dtypes(bad):
    with pytest.raises(st.DTypeError, match="expected one of bool, int8"):
        as_dtype(bad)


@pytest.mark.parametrize(
    ("shapes", "result"),
    [
        ([(2, 3), (3,)], (2, 3)),
        ([(2, 1), (1, 3)], (2, 3)),
        ([(), (4,)], (4,)),
        ([(None,), (4,)], (4,)),
        ([(None,), (1,)], (None,)),
        ([(None,), (None,)], (None,)),
        ([(1,), (1,)], (1,)),
        ([(0,), (1,)], (0,)),
        ([(None, 1), (2,), (1, 1, 1)], (1, None, 2)),
    ],
)
def test_broadcast_of_static_shapes(shapes, result):
    assert broadcast_shapes("f", shapes, [str(i) for i in range(len(shapes))]) == result


def test_broadcast_errors_name_the_operands():
    with pytest.raises(st.ShapeError, match="f: axis 1 of a is 3, of b is 4; expected equal or 1"):
        broadcast_shapes("f", [(2, 3), (4,)], ["a", "b"])
    with pytest.raises(st.ShapeError, match="axis 0 of a is 0, of b is 2"):
        broadcast_shapes("f", [(0,), (2,)], lambda: ["a", "b"])


def test_axes():
    assert normalize_axis(-1, 3, "f") == 2
    assert normalize_axis(np.int64(1), 3, "f") == 1
    assert normalize_axes(None, 3, "f") == (0, 1, 2)
    assert normalize_axes((2, -3), 3, "f") == (0, 2)
    with pytest.raises(st.ShapeError, match="f: axis 3 is out of bounds for 3 dimensions; expected -3 to 2"):
        normalize_axis(3, 3, "f")
    with pytest.raises(st.ShapeError, match=r"axes \(0, -1\) repeat an axis"):
        normalize_axes((0, -1), 1, "f")


def test_types_print_and_know_their_broadcasting():
    t = TensorType("float32", (1, None, 3))
    assert str(t) == "float32[1, ?, 3]"
    assert t.broadcastable == (True, False, False)
    assert t.with_dtype("int8") == TensorType("int8", (1, None, 3))
    assert t.with_shape([2]).ndim == 1


# --- refusals, while the graph is built


x, y = st.tensor("x", "float64", (2, 3)), st.tensor("y", "float64", (4,))
i, b, s = st.lvector("i"), st.tensor("b", "bool", (None,)), st.dscalar("s")
u = st.dvector("u")
REFUSED = [
    (lambda: x + y, st.ShapeError, "add: axis 1 of x is 3, of y is 4; expected equal or 1"),
    (lambda: st.where(b, x, y), st.ShapeError, "where: axis 1 of x is 3, of y is 4"),
    (lambda: b - b, st.DTypeError, "subtract: b and b are bool"),
    (lambda: -b, st.DTypeError, "neg: b is bool; use ~x"),
    (lambda: ~x, st.DTypeError, "invert: x is float64; expected bool or an integer"),
    (lambda: x & x, st.DTypeError, "and: x and x are float64"),
    (lambda: i**-1, st.DTypeError, "power: i is int64 and the exponent is -1"),
    (lambda: x @ x, st.ShapeError, "matmul: axis 1 of x is 3, axis 0 of x is 2; expected equal"),
    (lambda: st.matmul(s, x), st.ShapeError, r"matmul: s is a scalar; use \* instead"),
    (lambda: st.tensordot(x, y, 1), st.ShapeError, "tensordot: axis 1 of x is 3, axis 0 of y is 4"),
    (lambda: st.tensordot(x, y, 2), st.ShapeError, "tensordot: axes=2 for operands with 2 and 1 axes"),
    (lambda: st.tensordot(x, y, [[0, 1], [0]]), st.ShapeError, "tensordot: 2 axes of a against 1 of b"),
    (
        lambda: st.einsum("ij,j->i", x, y),
        st.ShapeError,
        "einsum: 'ij,j->i'|einsum: 'ab,b->a': axis 'b' is 3 in x, 4 in y",
    ),
    (lambda: st.einsum("ij", x, y), st.ShapeError, "einsum: 'ij' has 1 term for 2 operands"),
    (lambda: st.einsum("i->i", x), st.ShapeError, "einsum: the term 'i' of 'i->i' does not fit"),
    (lambda: st.einsum("ij->k", x), st.ShapeError, "einsum: the output 'k'"),
    (lambda: st.einsum("ii", x), st.ShapeError, "einsum: 'ii': axes 'i' of x have lengths 2 and 3; expected equal"),
    (lambda: st.einsum("jii->i", x[None]), st.ShapeError, "einsum: 'jii->i': axes 'i' of .* have lengths 2 and 3"),
    (lambda: st.einsum(x, [0]), st.DTypeError, "expected a string such as"),
    (lambda: st.batched_dot(s, x), st.ShapeError, "batched_dot: a scalar has no batch axis"),
    (lambda: st.kron(y, y), st.ShapeError, "kron: got 1 and 1 axes"),
    (lambda: x.reshape((4, 2)), st.ShapeError, r"reshape: x of shape \(2, 3\) has 6 elements; \(4, 2\) asks for 8"),
    (lambda: x.reshape((-1, 4)), st.ShapeError, "has 6 elements, which .* does not divide"),
    (lambda: x.reshape((-1, -1)), st.ShapeError, "leaves more than one length to be inferred"),
    (lambda: x.reshape((-2,)), st.ShapeError, "reshape: -2 is not a length"),
    (lambda: x.reshape((2.5,)), st.DTypeError, "reshape: .* is not a length; expected an integer scalar"),
    (lambda: x.reshape(i), st.ShapeError, "the length of the shape vector .* is not known; pass ndim="),
    (lambda: x.transpose((0, 0)), st.ShapeError, "transpose: .* does not permute the 2 axes of x"),
    (lambda: x.squeeze(0), st.ShapeError, "squeeze: axis 0 of x has length 2; expected 1"),
    (lambda: x.dimshuffle(0), st.ShapeError, "dimshuffle: axis 1 of x has length 3"),
    (lambda: x.dimshuffle(0, 0), st.ShapeError, "dimshuffle: .* repeats an axis"),
    (lambda: x.flatten(5), st.ShapeError, "flatten: ndim=5 for x with 2 axes"),
    (
        lambda: st.broadcast_to(x, (2, 4)),
        st.ShapeError,
        "broadcast_to: axis 1 of x has length 3, which cannot become 4",
    ),
    (lambda: st.broadcast_to(x, 3), st.ShapeError, "the target shape only 1"),
    (lambda: st.zeros(-1), st.DomainError, "the length -1 for axis 0 is negative"),
    (lambda: st.concatenate([x, y]), st.ShapeError, "concatenate: x has 2 axes, y has 1; expected equal"),
    (lambda: st.concatenate([x, x[:, :2]]), st.ShapeError, "axis 1 of x is 3, of .* is 2"),
    (lambda: st.concatenate([]), st.ShapeError, "concatenate: got no tensors"),
    (lambda: st.concatenate([s, s]), st.ShapeError, "scalars have no axis to join along; use stack"),
    (lambda: st.stack([x, x.T]), st.ShapeError, "stack: axis 0 of x is 2"),
    (lambda: st.split(y, 3), st.ShapeError, "split: axis 0 of y has length 4, not a multiple of 3; give positions"),
    (lambda: st.split(y, 0), st.DomainError, "split: 0 parts of y; expected 1 or more"),
    (lambda: st.split(st.vector("v"), -2), st.DomainError, "split: -2 parts of v; expected 1 or more"),
    (lambda: st.repeat(y, 1.5), st.DTypeError, "repeat: .* is not a number of repetitions"),
    (lambda: st.roll(x, (1, 2, 3), (0, 1)), st.ShapeError, "roll: 3 shifts for 2 axes"),
    (lambda: st.sum(x, axis=2), st.ShapeError, "sum: axis 2 is out of bounds for 2 dimensions"),
    (lambda: st.sum(x, axis=(0, 0)), st.ShapeError, "sum: axes .* repeat an axis"),
    (lambda: st.sum(x, axis=i[0]), st.DTypeError, "sum: the axis must be known while the graph is built"),
    (lambda: st.max(x[:0], axis=0), st.DomainError, r"max: .* is empty along axes \(0,\) and has no max"),
    (lambda: st.argmax(x[:0]), st.DomainError, "argmax: .* is empty"),
    (lambda: st.logsumexp(x[:0]), st.DomainError, "logsumexp: .* is empty"),
    (lambda: st.arange(0, 5, 0), st.DomainError, "arange: the step is 0"),
    (lambda: st.arange(u), st.ShapeError, "arange: .* is not a scalar"),
    (lambda: st.tril(y), st.ShapeError, "tril: y has 1 axes; expected at least 2"),
    (lambda: st.diag(s), st.ShapeError, "diag: s has 0 axes; expected 1 or 2"),
    (lambda: st.meshgrid(y, y, indexing="yx"), st.DTypeError, "meshgrid: indexing='yx'"),
    (lambda: st.softmax(s), st.ShapeError, "softmax: s is a scalar"),
    (lambda: st.categorical_crossentropy(x, y), st.DTypeError, "categorical_crossentropy: true_dist"),
    (lambda: st.searchsorted(x, 1.0), st.ShapeError, "searchsorted: x has 2 axes; expected a vector"),
    (lambda: st.searchsorted(y, 1.0, side="middle"), st.DTypeError, "searchsorted: side='middle'"),
    (lambda: st.bincount(y), st.DTypeError, "bincount: .* expected an integer vector"),
    (lambda: st.bincount(i, x), st.ShapeError, "bincount: the weights .* have 2 axes; expected one weight for each"),
    (lambda: st.diff(x, n=-1), st.DomainError, "diff: n=-1 for x; expected 0 or more"),
    (lambda: b >= 2**70, st.DTypeError, "greater_equal: Python integer 1180591620717411303424 is out of bounds"),
    (lambda: st.specify_shape(x, (2, 4)), st.ShapeError, "axis 1 of x is 3; expected 4"),
    (lambda: st.specify_shape(x, (2,)), st.ShapeError, "specify_shape: 1 axis given for x, which has 2"),
    (lambda: st.cast(x, "float12"), st.DTypeError, "'float12' is not a dtype"),
    (lambda: st.clip(x, 0, 1, low=3), TypeError, "clip: unexpected arguments low"),
]


@pytest.mark.parametrize(("call", "error", "match"), REFUSED, ids=range(len(REFUSED)))
def test_refusals(call, error, match):
    with pytest.raises(error, match=match):
        call()


# --- the same refusals, where only a call shows the lengths


p, q, n = st.dmatrix("p"), st.dmatrix("q"), st.lscalar("n")
ONE, TWO = np.zeros((2, 3)), np.zeros((4, 2))
LATE = [
    (p + q, st.ShapeError, "add: axis 1 of p is 3, of q is 2|add: axis 0 of p is 2, of q is 4"),
    (st.where(p > 0, p, q), st.ShapeError, "where: axis 0 of .* is 2, of q is 4"),
    (p @ q, st.ShapeError, "matmul: axis 1 of p is 3, axis 0 of q is 4"),
    (st.einsum("ij,jk", p, q), st.ShapeError, "axis '.' is 3 in p, 4 in q"),
    (st.concatenate([p, q]), st.ShapeError, "concatenate: axis 1 of p is 3, of q is 2"),
    (st.stack([p, q]), st.ShapeError, "stack: axis 0 of p is 2, of q is 4"),
    (p.reshape((5, -1)) + q.sum(), st.ShapeError, "reshape: p .* which .* does not divide"),
    (st.max(p[2:], axis=0) + q.sum(), st.DomainError, "max: .* is empty along axes"),
    (
        st.broadcast_to(p, (5, 3)) + q.sum(),
        st.ShapeError,
        "broadcast_to: axis 0 of p has length 2, which cannot become 5",
    ),
    (st.squeeze(p, 0) + q.sum(), st.ShapeError, "squeeze: axis 0 of p has length 2; expected 1"),
    (st.specify_shape(p, (3, None)) + q.sum(), st.ShapeError, "axis 0 of p is 2; expected 3"),
    (st.one_hot(st.cast(q[0] - 1, "int64") + 5, 3) + p.sum(), st.BoundsError, r"one_hot\(.* out of bounds for axis 1"),
]


@pytest.mark.parametrize(("node", "error", "match"), LATE, ids=range(len(LATE)))
def test_refusals_at_run_time(node, error, match):
    run = st.function([p, q], node, on_unused_input="ignore")
    with pytest.raises(error, match=match):
        run(ONE, TWO)


AGREE = [
    (
        lambda x: st.split(x, 2),
        [(3, 2), (1, 2), (3, 0)],
        (4, 0),
        "split: axis 0 of p has length [31], not a multiple of 2",
    ),
    (lambda x: st.split(x, 3, axis=1)[0].sum(), [(2, 4), (0, 2)], (0, 3), "split: axis 1 of p has length [42], not a"),
    (lambda x: st.einsum("ii", x), [(3, 2), (1, 3), (2, 1), (0, 1)], (0, 0), "'ii': axes 'i' of p have lengths"),
    (lambda x: st.einsum("ii,ij->j", x, x), [(3, 2), (1, 2)], (2, 2), "'ii,ij->j': axes 'i' of p have lengths . and "),
    (
        lambda x: st.bincount(st.cast(x[0], "int64"), x[:, 0]),
        [(1, 2), (3, 2)],
        (3, 3),
        "bincount: axis 0 of ",
    ),
]


@pytest.mark.parametrize("backend", ["numpy", "jax"])
@pytest.mark.parametrize("rewrites", [True, False])
@pytest.mark.parametrize(("make", "shapes", "good", "match"), AGREE, ids=range(len(AGREE)))
def test_lengths_that_must_agree_at_run_time(make, shapes, good, match, backend, rewrites):
    run = st.function([p], make(p), backend=backend, rewrites=rewrites)
    run(np.zeros(good))
    for shape in shapes:
        with pytest.raises(st.ShapeError, match=match):
            run(np.zeros(shape))


def test_refused_numbers_at_run_time():
    for node, bad, error, match in (
        (st.zeros(n), -1, st.DomainError, "the length -1 for axis 0 is negative"),
        (st.arange(0, 5, n), 0, st.DomainError, "arange: the step is 0"),
        (st.constant([1, 2]) ** n, -1, st.DomainError, "power: n holds a negative integer|power: .* negative integer"),
        (st.repeat(st.constant([1.0]), n), -1, (st.DomainError, st.ShapeError), "-1"),
    ):
        run = st.function([n], node)
        run(2)
        with pytest.raises(error, match=match):
            run(bad)


@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin", "softmax", "logsumexp"])
@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_an_empty_axis_has_no_largest_element_even_where_the_result_is_empty(name, backend):
    x = st.dmatrix("x")
    f = st.function([x], getattr(st, name)(x, axis=0), backend=backend)
    for shape in ((0, 0), (0, 3)):
        with pytest.raises(st.DomainError, match="is empty along axes"):
            f(np.zeros(shape))
    assert f(np.zeros((3, 0))).size == 0
