"""Gradients of convolutions whose filters lie at few places: the same, in the memory that the places need."""

import tracemalloc

import numpy as np
import pytest

import subtensor as st

OPTIONS = [{}, {"subsample": (2, 5)}, {"filter_dilation": (2, 1)}, {"border_mode": (1, 0)}, {"filter_flip": False}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_filters_as_wide_as_the_input(options):
    """Known lengths decide how the gradient is computed; where they are unknown, it is the other way."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3, 2, 12, 30)), rng.normal(size=(4, 2, 3, 30))
    found = []
    for shapes in ([v.shape for v in values], [(None,) * 4] * 2):
        x, w = (st.tensor(name, "float64", shape) for name, shape in zip("xw", shapes, strict=True))
        g = st.grad((st.conv2d(x, w, **options) ** 2).sum(), x)
        second = st.grad((g**2).sum(), [x, w])
        found.append(st.function([x, w], [g, *second])(*values))
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.numpy_only("memory is traced where NumPy allocates it")
def test_their_gradient_takes_no_more_than_its_terms():
    x, w = st.shared(np.zeros((4, 1, 30, 200))), st.shared(np.zeros((8, 1, 3, 200)))
    f = st.function([], st.grad(st.conv2d(x, w, border_mode=(1, 0)).sum(), x), backend="numpy")
    f()
    tracemalloc.start()
    f()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    terms = 4 * 30 * 3 * 200 * 8
    assert peak < 4 * terms + 2 * x.get_value().nbytes
