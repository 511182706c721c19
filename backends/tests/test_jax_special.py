"""The JAX backend's own special functions agree with SciPy's."""

import numpy as np
import pytest
import scipy.special

import subtensor as st

POINTS = np.concatenate([
    np.linspace(-3, 12, 5001), np.geomspace(1e-8, 1e30, 1001), -np.geomspace(1e-8, 3, 501),
    [0.0, -0.0, np.inf, -np.inf, np.nan, -40.0, 4.0],
])  # fmt: skip
"""Below -3 SciPy itself rounds the square before it takes the exponential."""


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_erfcx(dtype):
    with np.errstate(over="ignore"):
        points = POINTS.astype(dtype)
        expected = scipy.special.erfcx(points.astype("float64")).astype(dtype)
    x = st.tensor("x", dtype, (None,))
    got = st.function([x], st.erfcx(x), backend="jax")(points)
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(got[~finite], expected[~finite])
    np.testing.assert_array_max_ulp(got[finite], expected[finite], 16)
