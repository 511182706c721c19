"""What lowerings of plugins return is compared with what their ops declare, before anything is committed."""

import ctypes
import itertools

import numpy as np
import pytest

import subtensor as st
from subtensor import plugins
from subtensor.errors import PluginError
from subtensor.graph.nodes import Op
from subtensor.graph.types import broadcast_shapes
from subtensor.ops.loop import map_rows

NUMBER = itertools.count()


class Plugin:
    def __init__(self, lowering, *, fresh=False, dtype=None):
        name = f"op{next(NUMBER)}"
        self.op = Op(
            name=name,
            infer=lambda x, **_: x.type if dtype is None else x.type.with_dtype(dtype),
            vjp=lambda g, out, x, **_: [g],
            fresh=fresh,
        )
        self.lowering = lowering

    @st.hookimpl
    def subtensor_ops(self):
        return [self.op]

    @st.hookimpl
    def subtensor_lowerings(self):
        return {"numpy": {self.op.name: self.lowering}, "jax": {self.op.name: self.lowering}}


@pytest.fixture
def op(request):
    names = []

    def made(lowering, **options):
        plugin = Plugin(lowering, **options)
        names.append(plugins.register(plugin, f"plugin {plugin.op.name}"))
        return plugin.op

    yield made
    for name in names:
        plugins.unregister(name)


@pytest.mark.parametrize("backend", ["numpy", "jax"])
@pytest.mark.parametrize(
    ("result", "got"),
    [
        (lambda x: np.zeros(99), "gave float64[99]; expected float64[3]"),
        (lambda x: np.float64(0), "gave float64[]; expected float64[3]"),
        (lambda x: np.zeros((3, 1)), "gave float64[3, 1]; expected float64[3]"),
        (lambda x: np.zeros(3, "float32"), "gave float32[3]; expected float64[3]"),
        (lambda x: np.zeros(3, "int64"), "gave int64[3]; expected float64[3]"),
        (lambda x: np.zeros(3, "complex128"), "gave an object of type 'ndarray'; expected"),
        (lambda x: None, "gave None; expected an array of type float64[3]"),
        (lambda x: [0.0, 0.0, 0.0], "gave an object of type 'list'; expected an array of type float64[3]"),
    ],
)
def test_results_of_another_type_are_refused(op, backend, result, got):
    bad = op(result)
    u, x = st.shared(np.ones(3), name="u"), st.dvector("x")
    step = st.function([x], x.sum(), updates=[(u, bad(u + x) * 2)], backend=backend)
    for _ in range(2):
        with pytest.raises(PluginError) as raised:
            step(np.ones(3))
        text = str(raised.value)
        assert got in text
        assert f"plugin 'plugin {bad.name}'" in text
        assert f"the lowering of op {bad.name!r}" in text
        assert u.get_value().tolist() == [1, 1, 1]


def test_the_shape_is_compared_at_each_call(op):
    bad = op(lambda x: np.zeros(3))
    x = st.dvector("x")
    f = st.function([x], bad(x), backend="numpy")
    assert f(np.ones(3)).shape == (3,)
    with pytest.raises(PluginError, match=r"gave float64\[3\]; expected float64\[4\]"):
        f(np.ones(4))
    assert f(np.ones(3)).shape == (3,)


def test_results_in_the_bodies_of_loops_are_compared(op):
    bad = op(lambda x: np.zeros(2))
    x = st.dmatrix("x")
    f = st.function([x], map_rows(bad, x, [x.shape[1]]), backend="numpy")
    with pytest.raises(PluginError, match=r"gave float64\[2\]; expected float64\[3\]"):
        f(np.ones((2, 3)))


def written(x):
    x[...] = 7
    return x + 1


def written_behind_its_back(x):
    ctypes.memset(x.__array_interface__["data"][0], 1, x.nbytes)  # as compiled code does that knows no flags
    return x + 1


@pytest.mark.parametrize("change", [written, written_behind_its_back])
def test_arguments_are_not_changed(op, change):
    bad = op(change)
    u = st.shared(np.ones(3), name="u")
    f = st.function([], updates=[(u, bad(u))], backend="numpy")
    with pytest.raises(PluginError, match="its arguments; it must compute on a copy"):
        f()


def test_a_result_that_is_declared_fresh_is_no_part_of_the_arguments(op):
    bad = op(lambda x: x[:], fresh=True)
    x = st.dvector("x")
    with pytest.raises(PluginError, match="a part of its arguments, but the op is declared fresh"):
        st.function([x], bad(x), backend="numpy")(np.ones(3))


def test_views_and_read_only_results_serve(op):
    same, stretched = op(lambda x: x), op(lambda x: np.broadcast_to(np.float64(2), x.shape))
    u, x = st.shared(np.ones(3), name="u"), st.dvector("x")
    f = st.function(
        [x], [st.exp(same(x + 1)), stretched(x) + 1], updates=[(u, same(u) + stretched(x))], backend="numpy"
    )
    given = np.zeros(3)
    a, b = f(given)
    np.testing.assert_array_equal(a, np.exp([1.0, 1, 1]))
    assert b.tolist() == [3, 3, 3]
    assert u.get_value().tolist() == [3, 3, 3]
    assert given.tolist() == [0, 0, 0]


def test_arguments_that_do_not_fit_are_the_callers_fault():
    def infer(x, y):
        (dim,) = broadcast_shapes("pair", [x.type.shape, y.type.shape], ["a", "b"])
        return st.TensorType("float64", (dim,))

    plugin = Plugin(lambda x, y: x + y)
    plugin.op = Op(name=f"op{next(NUMBER)}", infer=infer, vjp=lambda g, out, x, y: [g, g])
    name = plugins.register(plugin)
    try:
        x, y = st.dvectors("xy")
        f = st.function([x, y], plugin.op(x, y), backend="numpy")
        with pytest.raises(st.ShapeError, match="axis 0 of a is 2, of b is 3"):
            f(np.ones(2), np.ones(3))
    finally:
        plugins.unregister(name)
