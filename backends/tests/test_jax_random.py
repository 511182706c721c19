"""Random programs give the same on NumPy and on JAX: values, dtypes, shapes, new state, errors and their texts.

``SUBTENSOR_TEST_EXAMPLES=20`` tries twenty times as many programs.
"""

import numpy as np
import pytest
from examples import examples
from hypothesis import HealthCheck, given, settings
from random_programs import DTYPES, programs, run

pytestmark = pytest.mark.once


@pytest.mark.parametrize("dtype", DTYPES)
def test_random_programs(dtype):
    @settings(max_examples=examples(8), deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(programs(dtype))
    def attempt(p):
        want, got = run(p, "numpy"), run(p, "jax")
        assert type(want) is type(got), (want, got)
        if isinstance(want, tuple):
            assert want[:2] == got[:2]
            np.testing.assert_array_equal(want[2:], got[2:])
            return
        for a, b in zip(want, got, strict=True):
            assert a.dtype == b.dtype
            assert a.shape == b.shape
            if a.dtype.kind == "f":
                eps = float(np.finfo(a.dtype).eps)
                scale = float(np.nanmax(np.abs(a), initial=1.0))
                np.testing.assert_allclose(a, b, rtol=64 * eps, atol=64 * eps * scale)
            else:
                np.testing.assert_array_equal(a, b)

    attempt()
