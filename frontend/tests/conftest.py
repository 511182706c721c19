"""The suite on another backend than NumPy (``SUBTENSOR_BACKEND``): which tests are not run again, and what is checked
beside. ``pytest -rs`` lists the tests left out with the reasons.
"""

import pytest
from same_errors import errors_compared

import subtensor as st


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "numpy_only(reason): the test says nothing new about another backend than NumPy, for this reason"
    )


def pytest_collection_modifyitems(items):
    if st.config.backend == "numpy":
        return
    for item in items:
        mark = item.get_closest_marker("numpy_only")
        if mark is not None:
            item.add_marker(pytest.mark.skip(reason=mark.args[0]))
        elif hasattr(item, "callspec") and "backend" in item.callspec.params:
            item.add_marker(pytest.mark.skip(reason="names its backend itself, so it ran with the tests on NumPy"))


@pytest.fixture(autouse=st.config.backend != "numpy")
def _same_errors():
    """Each error of each call is also NumPy's, word for word."""
    with errors_compared():
        yield
