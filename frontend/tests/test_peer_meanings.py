"""What the peers' own tests showed: values that were wrong without a word, and errors that were not ours."""

import numpy as np
import pytest

import subtensor as st
from subtensor.errors import AxisError, DomainError, DTypeError, FunctionError, GradientError, ShapeError

BACKENDS = pytest.mark.parametrize("backend", ["numpy", "jax"])
M = np.arange(6.0).reshape(2, 3)


@BACKENDS
def test_contracted_lengths_that_only_the_call_tells_are_compared(backend):
    a, b = st.tensor3("a"), st.tensor3("b")
    f = st.function([a, b], st.tensordot(a, b, axes=2), backend=backend)
    with pytest.raises(ShapeError, match="tensordot: axis 1 of a is 2, axis 0 of b is 3"):
        f(np.ones((4, 2, 3)), np.ones((3, 2, 5)))
    assert f(np.ones((4, 2, 3)), np.ones((2, 3, 5))).tolist() == np.full((4, 5), 6.0).tolist()
    m, n = st.matrix("m"), st.matrix("n")
    for spec in ("ij,ij->i", "ij,kj->ki"):
        with pytest.raises(ShapeError, match="expected equal"):
            st.function([m, n], st.einsum(spec, m, n), backend=backend)(M, M[:, :1])
    p, y = st.matrix("p"), st.lvector("y")
    with pytest.raises(ShapeError, match="categorical_crossentropy: axis 0 of y is 2; expected 1"):
        st.function([p, y], st.categorical_crossentropy(p, y), backend=backend)(M[:1], [0, 1])
    with pytest.raises(ShapeError, match="segment_sum: axis 0 of p is 1; expected 2"):
        st.function([p, y], st.segment_sum(p, y, 3), backend=backend)(M[:1], [0, 1])


@BACKENDS
@pytest.mark.parametrize(
    ("sizes", "text"),
    [([2, 2], "add up to 4"), ([-1, 7], "1 negative size"), ([2, 2, 2], "expected"), ([2, 4], None), ([0, 6], None)],
)
def test_sizes_of_a_split_cover_the_axis(backend, sizes, text):
    v, n = st.vector("v"), st.lvector("n")
    f = st.function([v, n], st.split(v, n, 2), backend=backend)
    if text is None:
        assert [len(p) for p in f(np.arange(6.0), sizes)] == sizes
        return
    with pytest.raises(ShapeError, match=text):
        f(np.arange(6.0), sizes)
    with pytest.raises(ShapeError):
        st.function([v], st.split(v, sizes, 2), backend=backend)(np.arange(6.0))


def test_the_gradient_through_arange():
    start, step = st.scalars("start", "step")
    steps = st.arange(start, 3.2, step)
    f = st.function([start, step], st.grad((steps * st.arange(5.0)).sum(), [start, step]))
    assert [float(g) for g in f(1, 0.5)] == [10.0, 30.0]


@BACKENDS
def test_the_internal_value_is_a_copy_unless_borrowed(backend):
    z = st.shared(np.ones(3))
    step = st.function([], updates=[(z, z[[0]].inc(1.0))], backend=backend)
    step()
    kept = z.get_value(return_internal_type=True)
    step()
    assert np.asarray(kept).tolist() == [2, 1, 1]
    assert kept.dtype == np.float64


def test_two_passes_are_no_other_variance():
    v = st.vector("v")
    f = st.function([v], [v.var(), st.var(v, corrected=True)])
    assert [float(x) for x in f(np.arange(6.0))] == [pytest.approx(35 / 12)] * 2


def test_a_known_gradient_of_an_integer_stays_a_float():
    i, g = st.iscalar("i"), st.scalar("g")
    assert st.function([g], st.grad(None, i, known_grads={i: g}))(0.6) == 0.6


def test_shapes_that_are_given_are_checked():
    v, m, s, n = st.vector("v"), st.matrix("m"), st.lvector("s"), st.lscalar("n")
    for node in (st.reshape(v, s, ndim=2), st.tile(v, s, ndim=2)):
        with pytest.raises(ShapeError, match="axis 0 of s is 3; expected 2"):
            st.function([v, s], node)(np.arange(6.0), [2, 3, 1])
    with pytest.raises(ShapeError, match="expected at most ndim=1"):
        st.as_tensor(m, ndim=1)
    assert st.as_tensor(st.row("r"), ndim=1).ndim == 1
    with pytest.raises(DTypeError, match=r"specify_shape: .* is not a length"):
        st.specify_shape(v, (2.5,))
    with pytest.raises(DomainError, match="specify_shape: the length -1"):
        st.specify_shape(v, (-1,))
    assert st.specify_shape(v, 2).type.shape == (2,)
    assert st.specify_shape(m, (..., 3)).type.shape == (None, 3)
    f = st.function([m, n], st.specify_shape(m, (n, None)))
    assert f(M, 2).shape == (2, 3)
    with pytest.raises(ShapeError, match="specify_shape: axis 0 of m is 2; expected 3"):
        f(M, 3)


def test_inputs_have_an_order_and_may_be_computed():
    x, y = st.scalars("x", "y")
    with pytest.raises(FunctionError, match="inputs are a set"):
        st.function({x, y}, x + y)
    with pytest.raises(GradientError, match="is a set"):
        st.grad(x + y, {x, y})
    table, i = st.shared(M, name="table"), st.lvector("i")
    rows = table[i]
    total = st.function([rows], (rows * 2).sum() / rows.shape[0])
    assert total(np.ones((4, 3))) == 6
    assert rows.sum().eval({table: np.ones((2, 3)), i: [0, 1, 1]}) == 9
    assert table.get_value().tolist() == M.tolist()


def test_what_the_user_wrote_decides_whether_an_input_is_used():
    x, v = st.scalar("x"), st.vector("v", shape=(3,))
    assert st.function([x], st.grad(3 * x, x))(1.0) == 3
    assert st.function([v], v.shape)(np.ones(3)).tolist() == [3]
    assert st.function([x], st.jacobian(2 * x, x))(1.0) == 2
    with pytest.raises(st.UnusedInputError):
        st.function([x], st.constant(7.25) + 1)


def test_held_constant_is_said_so():
    x, y = st.scalars("x", "y")
    with pytest.raises(st.DisconnectedInputError, match=r"consider_constant holds it fixed\. It depends on: y"):
        st.grad(x + y, x, consider_constant=[x])


def test_errors_are_those_of_numpy():
    v, m, i = st.vector("v"), st.matrix("m"), st.lvector("i")
    with pytest.raises(TypeError, match=r"\.set\(value\).*\.inc\(value\)"):
        v[0] = 1
    for kind in (ValueError, IndexError, np.exceptions.AxisError, AxisError):
        with pytest.raises(kind):
            m.sum(2)
    with pytest.raises(TypeError, match="is not a slice bound"):
        v[1.5:]
    with pytest.raises(st.BoundsError, match=r"one_hot\(i\): index 5 at position \(1,\) of i"):
        st.function([i], st.one_hot(i, 3))([0, 5])
    with pytest.raises(ShapeError, match="matmul: axis 1 of m is 3, axis 0 of v is 2"):
        st.function([m, v], st.dot(m, v))(M, np.ones(2))
    with pytest.raises(ShapeError, match="moveaxis: 2 axes of m for 1 places"):
        st.moveaxis(m, [0, 1], [0])
    assert m.sum(np.array(0)).ndim == 1
    with pytest.raises(ShapeError, match="expected at most 64"):
        v[(True,) * 70]

    class One:
        def __index__(self):
            return 1

    assert st.function([m], m[One(), One() :])(M).tolist() == [4, 5]
    with pytest.raises(DTypeError, match="mask would be lost"):
        st.constant(np.ma.masked_array([1.0, 2.0], [True, False]))


def test_a_missing_derivative_is_said():
    a, x = st.scalars("a", "x")
    y = st.gammainc(a, x)
    assert np.isfinite(st.function([a, x], st.grad(y, x))(2.0, 1.0))
    with pytest.raises(GradientError, match="gammainc has no rule for its derivative with respect to a"):
        st.grad(y, a)


def test_shapes_of_inputs():
    assert st.vector("v", shape=(3,)).type.shape == (3,)
    assert st.fmatrix(shape=(None, 2)).type == st.TensorType("float32", (None, 2))
    for wrong in ((3, 4), (2, None)):
        with pytest.raises(ShapeError, match="expected lengths that fit"):
            st.row("r", shape=wrong)
