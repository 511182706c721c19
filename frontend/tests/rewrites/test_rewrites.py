"""Each rule against its own pattern: the rule alone on, against all rules off, errors and their texts included."""

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as hs
from rewrite_cases import CASES, Drawn

import subtensor as st
from subtensor.graph.verify import verify, verify_same_types
from subtensor.rewrites.engine import RULES, UNPRICED, Selection, rewrite

pytestmark = [
    pytest.mark.once,
    pytest.mark.numpy_only("rules are compared bit by bit on NumPy, which runs a graph as it is written"),
]

# not shrunk: a wrong rule shall fail at once, not after minutes
EXAMPLES = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)


def outcome(inputs, output, values, rewrites):
    """The value, or the kind and text of the error."""
    try:
        f = st.function(inputs, output, rewrites=rewrites, on_unused_input="ignore", backend="numpy")
        return f(*values)
    except Exception as error:  # noqa: BLE001  # whatever it is, both must raise it
        return type(error), str(error)


def assert_kept(keeps, got, want, what):
    if isinstance(want, tuple) or isinstance(got, tuple):
        assert isinstance(want, tuple), f"{what}: raises {got} where the graph as written gives {want}"
        assert isinstance(got, tuple), f"{what}: gives {got} where the graph as written raises {want}"
        assert got == want, what
        return
    assert got.dtype == want.dtype, what
    assert got.shape == want.shape, what
    if keeps == "value":
        same = got == want
        if got.dtype.kind == "f":
            same = (same & (np.signbit(got) == np.signbit(want))) | (np.isnan(got) & np.isnan(want))
        assert same.all(), f"{what}: {got} for {want}"
        return
    if got.dtype.kind != "f":
        np.testing.assert_array_equal(got, want, err_msg=what)
        return
    tolerance = 2e-5 if got.dtype == np.float32 or keeps == "stabilize" else 1e-11
    finite = np.abs(want[np.isfinite(want)])
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * max(1, finite.max(initial=0)), err_msg=what)


def test_every_rule_has_a_case_and_every_case_a_rule():
    assert set(CASES) == set(RULES)


def test_every_rule_says_what_it_does():
    for r in RULES.values():
        assert r.heads, r.name
        assert "=" in r.equation, r.name
        assert r.tags, r.name


@pytest.mark.parametrize("name", sorted(RULES))
def test_rule_keeps_what_it_says(name):
    keeps = RULES[name].keeps
    fired = 0

    @EXAMPLES
    @given(hs.data())
    def attempt(data):
        nonlocal fired
        d = Drawn(data, finite=keeps != "value")
        for k, output in enumerate(CASES[name](d)):
            trace = []
            (after,) = rewrite([output], Selection((RULES[name],), priced=False), trace)
            fired += bool(trace)
            if trace:
                verify([after], name)
                verify_same_types([output], [after], name)
                want = outcome(d.inputs, output, d.values, False)
                assert_kept(keeps, outcome(d.inputs, output, d.values, [name, UNPRICED]), want, f"{name}, output {k}")

    attempt()
    assert fired, f"no example of the case has the pattern of {name}"


@pytest.mark.parametrize("name", sorted(RULES))
def test_all_rules_together_keep_a_pattern(name):
    @settings(EXAMPLES, max_examples=8)
    @given(hs.data())
    def attempt(data):
        d = Drawn(data, finite=True)
        outputs = CASES[name](d)
        for choice in (True, UNPRICED):
            verify(rewrite(outputs, Selection.of(choice)), "all rules")
        for k, output in enumerate(outputs):
            want = outcome(d.inputs, output, d.values, False)
            for choice in (True, UNPRICED):
                got = outcome(d.inputs, output, d.values, choice)
                assert_kept("stabilize", got, want, f"{name}, output {k}")

    attempt()
