"""What a backend says of itself is looked at before the cases, and told in a line for each fault."""

import pytest

import subtensor as st
from subtensor import plugins
from subtensor_conformance import run
from subtensor_conformance.declared import SPECIAL, faults, lowering_faults
from subtensor_conformance.known_bad.altered import Altered


class Declares(Altered):
    """The NumPy backend with other declarations. keep: which lowerings of plugins it takes."""

    def __init__(self, add=(), drop=(), keep=lambda lowerings: lowerings):
        super().__init__(plugins.get_backend("numpy"))
        self.name = "declares"
        self.operations = self.good.operations - set(drop) | set(add)
        self.keep = keep

    def compile(self, program, *, lowerings):
        return super().compile(program, lowerings=self.keep(lowerings))


@pytest.mark.parametrize("name", ["numpy", "jax"])
def test_good_backends_have_no_faults(name):
    assert faults(plugins.get_backend(name)) == []
    assert lowering_faults(plugins.get_backend(name)) == []


def test_a_name_that_is_no_op_is_told_with_the_nearest_that_is():
    assert faults(Declares(add=["soft_max"])) == [
        "operations names 'soft_max', which is no op; did you mean 'softmax'?"
    ]


def test_core_ops_that_are_missing_are_told_at_once():
    (fault,) = faults(Declares(drop=["sqrt", "exp"]))
    assert fault == "operations lacks 2 core ops: exp, sqrt; lower them, and add their names"


def test_special_functions_may_be_left_out_where_the_capability_is_not_declared():
    backend = Declares(drop=SPECIAL)
    assert f"lacks {len(SPECIAL)} core ops" in faults(backend)[0]
    backend.capabilities -= {"special_functions"}
    assert faults(backend) == []


def test_lowerings_must_be_used():
    (fault,) = lowering_faults(Declares(keep=lambda lowerings: {n: f for n, f in lowerings.items() if n == "add"}))
    assert "does not use the lowering of an op that a plugin brings" in fault
    assert "conformance_probe" in fault


def test_lowerings_of_its_own_operations_must_be_refused():
    (fault,) = lowering_faults(Declares(keep=lambda lowerings: {n: f for n, f in lowerings.items() if n != "add"}))
    assert "takes a plugin's lowering of 'add'" in fault


@pytest.mark.parametrize("in_process", [True, False])
def test_the_report_tells_them_and_the_exit_code(in_process, capsys):
    from subtensor_conformance.terminal import show

    backend = Declares(add=["soft_max"]) if in_process else "numpy"
    report = run(backend, ids=("create/zeros",))
    assert report.exit_code == (3 if in_process else 0)
    show(report)
    assert ("declares: declarations: operations names 'soft_max'" in capsys.readouterr().out) == in_process


def test_a_class_is_no_backend():
    class Plugin:
        @st.hookimpl
        def subtensor_backend(self):
            return Declares

    with pytest.raises(
        st.errors.PluginError, match=r"the class 'Declares' was given, expected an object: Declares\(\)"
    ):
        st.plugins.register(Plugin())


def test_failures_with_one_message_are_shown_once(capsys):
    from subtensor_conformance.terminal import show

    def broken(x, **params):
        return x.summ()

    backend = Altered(plugins.get_backend("numpy"), lower={"sum": broken})
    backend.name = "broken"
    report = run(backend, areas=("reduce", "linalg"))
    failures = report.runs[0].failures
    assert len(failures) > 20
    assert len({r.message for r in failures}) == 1
    show(report)
    out = capsys.readouterr().out
    assert out.count("unexpected AttributeError") == 1
    assert f"and {len(failures) - 1} more with the same message: {failures[1].id}, " in out


def test_a_traceback_ends_with_the_backend_s_own_frames(capsys):
    from subtensor_conformance.terminal import show

    def broken_sum(x, **params):
        return x.summ()

    backend = Altered(plugins.get_backend("numpy"), lower={"sum": broken_sum})
    backend.name = "broken"
    show(run(backend, ids=("reduce/sum/float64/2x3/axis-None",)))
    out = capsys.readouterr().out
    assert "return x.summ()" in out
    assert "in broken_sum" in out
    assert "frontend/subtensor/" not in out
