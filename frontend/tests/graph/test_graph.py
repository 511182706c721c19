"""The graph: interning, constants by value, depth, creation place, and NumPy's protocols."""

# ruff: noqa: PLW0108, RUF005, SIM300  # calls are written as users write them

from __future__ import annotations

import copy
import gc
import math
import pickle
import sys
import threading
import weakref

import numpy as np
import pytest
from examples import fewer

import subtensor as st
from subtensor.graph.nodes import OPS, consumers, define, leaves, replace, toposort

DEEP = fewer(10_500)


# --- interning


def test_the_same_expression_is_the_same_node():
    x, y = st.dvectors("xy")
    assert x + y is x + y
    assert x + y is not y + x
    assert st.sum(x, axis=0) is x.sum()
    assert x[1:] is x[1:]
    assert x[[0, 1]] is x[np.array([0, 1])]
    assert st.exp(x).T is st.exp(x)
    assert x.astype("float64") is x
    assert st.dvector("x") is not x


def test_constants_are_interned_by_dtype_shape_and_bits():
    assert st.constant(1.0) is st.constant(1.0)
    assert st.constant(1) is not st.constant(1.0)
    assert st.constant(0.0) is not st.constant(-0.0)
    assert st.constant(math.nan) is st.constant(math.nan)
    assert st.constant([1, 2]) is st.constant(np.array([1, 2]))
    assert st.constant([1, 2]) is not st.constant([[1, 2]])
    assert st.constant(1, dtype="int8") is not st.constant(1, dtype="int16")
    big = np.arange(100_000.0)
    assert st.constant(big) is st.constant(big.copy())
    assert st.constant(big) is not st.constant(big + 1)
    assert st.constant(big.astype(">f8")).data.dtype.isnative
    assert st.constant(np.asfortranarray(np.ones((2, 3)) * [1, 2, 3])) is st.constant(np.ones((2, 3)) * [1, 2, 3])


def test_a_named_constant_does_not_name_others_of_its_value():
    rate = st.constant(0.125, name="rate")
    assert rate is st.constant(0.125, name="rate")
    assert rate is not st.constant(0.125)
    assert st.constant(rate) is rate
    assert st.constant(0.125).label == "0.125"
    assert (st.constant(0.125).copy("speed")).label == "speed"
    assert st.constant(0.125).name is None


def test_a_constant_is_a_copy_that_cannot_change():
    a = np.arange(3.0)
    c = st.constant(a)
    a[0] = 9
    assert c.data[0] == 0
    with pytest.raises(ValueError, match="read-only"):
        c.data[0] = 1


def test_nodes_are_let_go():
    x = st.dvector("x")
    node = weakref.ref(st.exp(x) + 1)
    gc.collect()
    assert node() is None


def test_interning_holds_between_threads():
    x = st.dvector("x")
    made = []

    def work():
        y = x
        for k in range(200):
            y = st.sin(y) + k
        made.append(y)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all(m is made[0] for m in made)


def test_nodes_are_dictionary_keys_and_copies_are_themselves():
    x, y = st.dvectors("xy")
    assert {x: 1, y: 2}[x] == 1
    assert x == x  # noqa: PLR0124
    assert x != y
    assert copy.copy(x) is x
    assert copy.deepcopy({"a": st.exp(x)})["a"] is st.exp(x)
    s = st.shared(1.0)
    assert copy.deepcopy([s * 2])[0] is s * 2


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_nodes_are_not_pickled(protocol):
    x, s = st.dvector("x"), st.shared(1.0, "s")
    for node, words in (
        (x, "pickle: x is a node"),
        (st.exp(x), r"exp\(x\) is a node"),
        (st.constant(1.0), "keep the code that builds it"),
        (s, r"pickle: s is a shared variable.*st\.save.*st\.load.*get_value\(\)"),
        ({"a": [s]}, "s is a shared variable"),
        (st.optimizers.momentum(s**2, [s], 0.1), "s is a shared variable"),
    ):
        with pytest.raises(TypeError, match=words):
            pickle.dumps(node, protocol)


def test_walking_and_replacing():
    x, y = st.dvectors("xy")
    z = st.exp(x) * 2 + x
    order = toposort([z])
    assert all(order.index(i) < order.index(n) for n in order for i in n.inputs)
    assert [v for v in leaves([z]) if v.name] == [x]
    assert len(consumers([z])[x]) == 2
    assert replace([z], {x: y}) == [st.exp(y) * 2 + y]
    a, b = replace([x + y], {x: y, y: x})[0].inputs  # at once
    assert (a, b) == (y, x)


def test_a_second_op_of_one_name_is_refused():
    with pytest.raises(st.GraphError, match="op 'exp' is defined twice"):
        define("exp", infer=OPS["exp"].infer, vjp=OPS["exp"].vjp)


# --- depth


def test_deep_graphs_build_differentiate_compile_print_and_go():
    assert DEEP > sys.getrecursionlimit()
    x = st.dscalar("x")
    y = x
    for _ in range(DEEP):
        y = st.sin(y)
    g = st.grad(y, x)
    value, slope = st.function([x], [y, g], rewrites=False)(1.0)
    assert st.function([x], y)(1.0) == value
    want, steep = 1.0, 1.0
    for _ in range(DEEP):
        steep *= math.cos(want)
        want = math.sin(want)
    np.testing.assert_allclose([value, slope], [want, steep], rtol=1e-9)
    tangent = st.function([x], st.Rop(y, x, 1.0), rewrites=False)
    np.testing.assert_allclose(tangent(1.0), steep, rtol=1e-9)
    assert st.dprint(y, file="str", depth=100).count("\n") >= 100
    assert "..." in repr(y)
    assert isinstance(y.label, str)
    (other,) = replace([y], {x: x * 2})
    assert other is not y
    gone = weakref.ref(y)
    del y, g, tangent, other
    gc.collect()
    assert gone() is None


def test_deep_chains_of_shapes_and_writes():
    x, i = st.dvector("x"), st.lvector("i")
    y = x
    for k in range(1_500):
        y = st.inc_subtensor(y[i], float(k % 2))
    y = y.reshape((-1,))[: x.shape[0]]
    for _ in range(500):
        y = st.concatenate([y[1:], y[:1]])
    got = st.function([x, i], st.grad(st.sum(y), x), rewrites=False)(np.zeros(4), np.array([0, 1]))
    np.testing.assert_array_equal(got, np.ones(4))


def test_a_graph_deeper_than_the_recursion_limit_prints_whole():
    x = st.dscalar("x")
    y = x
    for _ in range(1_500):
        y = st.sin(y)
    assert st.dprint(y, file="str").count("\n") == 1_501


def test_wide_sharing_costs_what_it_has_nodes():
    x = st.dscalar("x")
    y = x
    for _ in range(200):
        y = y + y  # 2**200 paths
    assert len(toposort([y])) == 201
    assert st.function([x], st.grad(y, x), on_unused_input="ignore")(1.0) == 2.0**200


# --- creation place and labels


def test_a_node_knows_where_it_was_made():
    x = st.dvector("x")
    node = st.tanh(x) * 17.25
    assert node.place.startswith(__file__)
    assert int(node.place.rsplit(":", 1)[1]) == test_a_node_knows_where_it_was_made.__code__.co_firstlineno + 2


def test_labels_are_expressions():
    x, i = st.dvector("x"), st.lvector("i")
    assert (x + 1.0).label == "(x + 1.0)"
    assert x[i].label == "x[i]"
    assert repr(x[i]) == "<x[i]: float64[?]>"
    assert "unnamed input" in st.dvector().label


# --- NumPy's protocols


def value(node, x, v):
    return st.function([x], node)(v)


A = np.array([[1.0, -2.0, 3.0], [0.5, 0.25, -1.0]])
CALLS = [
    lambda x: np.exp(x),
    lambda x: np.abs(x),
    lambda x: np.add(x, 1),
    lambda x: np.maximum(x, 0.5),
    lambda x: np.arctan2(x, 2.0),
    lambda x: np.less(x, 1),
    lambda x: np.isnan(x),
    lambda x: np.sum(x),
    lambda x: np.sum(x, axis=0, keepdims=True),
    lambda x: np.sum(x, 1),
    lambda x: np.sum(x, axis=1, dtype="float32"),
    lambda x: np.prod(x, axis=0),
    lambda x: np.mean(x, axis=-1),
    lambda x: np.var(x, axis=0, ddof=1),
    lambda x: np.std(x, ddof=1, keepdims=True),
    lambda x: np.max(x, axis=1),
    lambda x: np.amin(x, 0),
    lambda x: np.any(x > 1, axis=0),
    lambda x: np.all(x),
    lambda x: np.argmax(x, axis=1),
    lambda x: np.cumsum(x, axis=1),
    lambda x: np.cumsum(x),
    lambda x: np.add.reduce(x),
    lambda x: np.maximum.reduce(x, axis=1, keepdims=True),
    lambda x: np.multiply.reduce(x, axis=None),
    lambda x: np.concatenate([x, A], axis=0),
    lambda x: np.concatenate([x, x], axis=None),
    lambda x: np.stack([x, x], axis=1),
    lambda x: np.vstack([x, x[0]]),
    lambda x: np.hstack((x, A)),
    lambda x: np.where(x > 0, x, 0.0),
    lambda x: np.clip(x, 0, 1),
    lambda x: np.clip(x, a_min=None, a_max=1),
    lambda x: np.dot(x, A.T),
    lambda x: np.dot(A.T, x),
    lambda x: np.matmul(x, A.T),
    lambda x: np.tensordot(x, A, axes=2),
    lambda x: np.einsum("ij,kj->ik", x, A),
    lambda x: np.outer(x, [1.0, 2.0]),
    lambda x: np.transpose(x),
    lambda x: np.reshape(x, (3, 2)),
    lambda x: np.expand_dims(x, 1),
    lambda x: np.squeeze(x[:1], 0),
    lambda x: np.moveaxis(x, 0, 1),
    lambda x: np.swapaxes(x, 0, 1),
    lambda x: np.broadcast_to(x, (4, 2, 3)),
    lambda x: np.tile(x, (2, 1)),
    lambda x: np.repeat(x, 2, axis=1),
    lambda x: np.flip(x, axis=1),
    lambda x: np.roll(x, 1, axis=0),
    lambda x: np.sort(x, axis=0),
    lambda x: np.sort(x),
    lambda x: np.argsort(x, axis=1, kind="stable"),
    lambda x: np.take(x, [0, 2], axis=1),
    lambda x: np.take_along_axis(x, np.array([[0], [1]]), axis=1),
    lambda x: np.diagonal(x),
    lambda x: np.diag(x),
    lambda x: np.trace(x),
    lambda x: np.tril(x, -1),
    lambda x: np.triu(x, k=1),
    lambda x: np.zeros_like(x),
    lambda x: np.ones_like(x, dtype="int8"),
    lambda x: np.full_like(x, 7),
    lambda x: np.round(x, 1),
    lambda x: np.around(x),
    lambda x: np.unique(x),
    lambda x: np.diff(x, axis=0),
    lambda x: np.nan_to_num(x),
    lambda x: np.ptp(x, axis=0),
    lambda x: np.isclose(x, A),
    lambda x: np.copy(x),
    lambda x: np.size(x),
    lambda x: np.size(x, 1),
    lambda x: np.ravel(x),
    lambda x: np.searchsorted(x[0] * 0 + 1, A[0]),
    lambda x: A * x,
    lambda x: A - x,
    lambda x: A / x,
    lambda x: A**2 @ x.T,
    lambda x: np.float64(2.0) * x,
    lambda x: np.int64(2) - x,
    lambda x: 2 ** abs(x),
    lambda x: 7 // x,
    lambda x: 7 % x,
    lambda x: divmod(x, 2)[1],
    lambda x: [[1.0], [2.0]] + x,
    lambda x: A < x,
    lambda x: np.float64(1) >= x,
    lambda x: -x + +x,
    lambda x: x.round(1),
]


@pytest.mark.parametrize("call", CALLS, ids=range(len(CALLS)))
def test_numpys_functions_build_graph(call):
    x = st.dmatrix("x")
    node = call(x)
    assert isinstance(node, st.Variable)
    got, want = value(node, x, A), np.asarray(call(A))
    assert got.dtype == want.dtype
    np.testing.assert_allclose(got, want, rtol=1e-14, atol=1e-15)


def test_numpy_functions_that_return_several():
    x = st.dmatrix("x")
    for node, want in zip(np.nonzero(x > 0), np.nonzero(A > 0), strict=True):
        np.testing.assert_array_equal(value(node, x, A), want)
    for node, want in zip(np.split(x, [1], axis=1), np.split(A, [1], axis=1), strict=True):
        np.testing.assert_array_equal(value(node, x, A), want)
    for node, want in zip(np.broadcast_arrays(x, A[0]), np.broadcast_arrays(A, A[0]), strict=True):
        np.testing.assert_array_equal(value(node, x, A), want)
    assert np.ndim(x) == 2
    assert np.shape(x) is x.shape


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.linalg.norm(x, 2),
        lambda x: np.linalg.trace(x),
        lambda x: np.linalg.svd(x),
        lambda x: np.fft.fft(x),
        lambda x: np.sum(x, out=np.zeros(())),
        lambda x: np.add(x, 1, out=np.zeros((2, 3))),
        lambda x: np.exp(x, where=[True]),
        lambda x: np.add.accumulate(x),
        lambda x: np.add.at(x, 0, 1),
        lambda x: np.asarray(x),
        lambda x: np.sum(x, where=[True], initial=1),
        lambda x: np.zeros_like(x, shape=(2,)),
    ],
)
def test_what_has_no_meaning_is_refused(call):
    with pytest.raises(TypeError):
        call(st.dmatrix("x"))


def test_in_place_operators_make_new_nodes():
    x = st.dvector("x")
    y = x
    y += 1
    assert y is x + 1
    with pytest.raises(TypeError):
        x[0] = 1
    a = np.ones(3)
    with pytest.raises(TypeError):
        a += x


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (int, r"int: <x: float64> is symbolic|int: <x: float64\[\]> is symbolic"),
        (float, "float: .* no value while the graph is built"),
        (bool, r"no truth value .* use st.where"),
        (lambda x: 1 in x, "in: "),
        (lambda x: 1 if x > 0 else 2, "no truth value"),
        (lambda x: [1, 2, 3][x], "int|index"),
        (lambda x: range(x), "int|integer"),
        (lambda x: math.exp(x), "float: "),
    ],
)
def test_symbols_have_no_value(call, match):
    with pytest.raises(TypeError, match=match):
        call(st.dscalar("x"))


def test_length_and_iteration():
    x, f = st.dmatrix("x"), st.tensor("f", "float64", (2, None))
    with pytest.raises(st.ShapeError, match=r"len: the length of .* use .shape\[0\]"):
        len(x)
    with pytest.raises(st.ShapeError, match="length"):
        list(x)
    with pytest.raises(st.ShapeError, match="no dimensions"):
        list(st.dscalar())
    assert len(f) == 2
    a, b = f
    assert (a, b) == (f[0], f[1])


# --- weak scalars


@pytest.mark.parametrize("dtype", ["int8", "uint8", "float16", "float32", "int64", "bool"])
@pytest.mark.parametrize("scalar", [True, 1, 2.5])
def test_python_scalars_are_weak(dtype, scalar):
    x = st.tensor("x", dtype, (None,))
    v = np.array([1, 0]).astype(dtype)
    assert (x + scalar).dtype == (v + scalar).dtype.name
    assert (scalar * x).dtype == (scalar * v).dtype.name
    assert (x + np.float64(2.5)).dtype == (v + np.float64(2.5)).dtype.name
    assert (x + np.array(3, "int16")).dtype == (v + np.array(3, "int16")).dtype.name


def test_python_integers_that_do_not_fit_are_refused():
    x = st.tensor("x", "int8", (None,))
    with pytest.raises(st.DTypeError, match="add: Python integer 300 is out of bounds for int8"):
        x + 300
    with pytest.raises(st.DTypeError, match="out of bounds for uint8"):
        st.tensor("y", "uint8", (None,)) * -1
    with pytest.raises(st.DTypeError, match="out of bounds"):
        st.constant(2**63)
    assert (st.fvector("f") * 300).dtype == "float32"
    with pytest.warns(RuntimeWarning, match="overflow"):
        assert math.isinf(st.constant(1e300, dtype="float32").data)


def test_floatX_is_the_dtype_of_python_floats_alone():
    assert st.constant(1.5).dtype == st.config.floatX == "float64"
    assert st.constant([1.5, 2]).dtype == "float64"
    assert st.constant(np.float32(1.5)).dtype == "float32"
    assert st.constant(3).dtype == "int64"
    assert st.constant(True).dtype == "bool"


@pytest.mark.parametrize("bad", ["text", object(), 1 + 2j, np.array(["a"]), [object()], None, {1: 2}])
def test_what_is_no_tensor_is_refused(bad):
    with pytest.raises(st.DTypeError, match="expected bools, integers or floats"):
        st.constant(bad)


# --- shapes as values


def test_uses_of_shape():
    x = st.dmatrix("x")
    v = np.arange(6.0).reshape(2, 3)
    n, k = x.shape
    outputs = [
        x.shape, x.shape[0], x.shape[-1], x.shape[::-1], n * k, x.shape.prod(), st.prod(x.shape), x.size,
        st.zeros(x.shape), st.zeros((x.shape[0], 4)), st.ones_like(x), x.reshape(x.shape[::-1]),
        x.reshape((n * k,)), x.reshape((k, -1)), x.reshape(st.stack([k, n])), st.zeros(x.shape[0]),
        st.arange(x.shape[0]), x / x.shape[0], st.cast(x.shape[1], "float64") * x, x.T.shape, x[1:].shape,
        x.reshape((-1,), ndim=1).shape, st.concatenate([x.shape, st.shape(v)]), x.shape.astype("float64"),
    ]  # fmt: skip
    wants = [
        [2, 3], 2, 3, [3, 2], 6, 6, 6, 6,
        np.zeros((2, 3)), np.zeros((2, 4)), np.ones((2, 3)), v.reshape(3, 2),
        v.reshape(6), v.reshape(3, 2), v.reshape(3, 2), np.zeros(2),
        np.arange(2), v / 2, 3.0 * v, [3, 2], [1, 3],
        [6], [2, 3, 2, 3], [2.0, 3.0],
    ]  # fmt: skip
    for got, want in zip(st.function([x], outputs)(v), wants, strict=True):
        np.testing.assert_array_equal(got, want)
        assert got.dtype == np.asarray(want).dtype


def test_known_shapes_are_constants():
    x = st.tensor("x", "float64", (2, 3))
    assert x.shape is st.constant([2, 3])
    assert x.shape[0].known == 2 or st.function([], x.shape[0])() == 2
    assert st.zeros(x.shape).type.shape == (2, 3)
    assert st.dmatrix("y").reshape((2, 3)).type.shape == (2, 3)
    assert x.ndim == st.ndim(x) == 2
    assert x.broadcastable == (False, False)


def test_a_shape_needs_no_values():
    x = st.dmatrix("x")
    run = st.function([x], st.exp(st.exp(x)).T.shape)
    assert not any(i.op.name == "exp" for i in run.program.instructions)
    np.testing.assert_array_equal(run(np.ones((2, 3))), [3, 2])


def test_eval():
    x, y = st.dscalar("x"), st.dscalar("y")
    assert (x + y).eval({x: 1.0, y: 2.0}) == 3.0
    assert (x + y).eval({"x": 1.0, "y": 2.0}) == 3.0
    assert st.constant([1, 2]).sum().eval() == 3
    with pytest.raises(st.MissingInputError, match="y"):
        (x + y).eval({x: 1.0})
