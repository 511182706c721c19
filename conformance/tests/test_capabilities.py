"""Cases name a capability where their programs need it, by the rule that backends are given, and only there."""

import pytest

import subtensor as st
from subtensor import plugins
from subtensor.program.linear import needs_dynamic_shapes
from subtensor_conformance.cases import corpus
from subtensor_conformance.check import check
from subtensor_conformance.known_bad.altered import Altered

pytestmark = pytest.mark.once


@pytest.fixture
def compiled():
    """The programs that a case compiles, on the NumPy backend."""
    programs = []
    backend = Altered(plugins.get_backend("numpy"), compiling=programs.append)
    backend.name = "watching"

    class Plugin:
        @st.hookimpl
        def subtensor_backend(self):
            return backend

    registered = st.plugins.register(Plugin())
    yield programs
    st.plugins.unregister(registered)


def test_dynamic_shapes(compiled):
    for case in corpus():
        if case.quick or case.area in ("dynamic", "bags", "loops"):
            compiled.clear()
            check(case, "watching")
            needs = any(map(needs_dynamic_shapes, compiled))
            assert needs == (case.capability == "dynamic_shapes"), case.id
