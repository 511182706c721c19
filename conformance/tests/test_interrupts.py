"""The check that interrupts steps fails where its interrupts do not reach them."""

import sys

import pytest

from subtensor_conformance import interrupts
from subtensor_conformance.check import check
from subtensor_conformance.interrupts import Interrupt, function_of, prove, seen_through
from subtensor_conformance.runner import plan
from subtensor_conformance.witness import Failure

(CASE,) = plan(ids=("transaction/interrupted/rows",))


def test_an_interrupt_gets_between_any_two_effects():
    prove()
    prove()  # also where instructions were counted before


@pytest.fixture(params=["no trace function is called", "lines only", "not in calls that began before", "every third"])
def blind(request, monkeypatch):
    """What interpreters have come up with."""
    step, enter = Interrupt._step, Interrupt._enter
    if request.param.startswith("no"):
        monkeypatch.setattr(sys, "settrace", lambda function: None)
    elif request.param == "lines only":
        monkeypatch.setattr(
            Interrupt,
            "_step",
            lambda self, frame, event, arg: step(self, frame, {"line": "opcode"}.get(event, ""), arg),
        )
    elif request.param == "every third":

        def _step(self, frame, event, arg):
            return step(self, frame, event if frame.f_lasti // 2 % 3 == 0 else "", arg)

        monkeypatch.setattr(Interrupt, "_step", _step)
    else:
        seen = set()

        def _enter(self, frame, event, arg):
            if frame.f_code not in seen:
                seen.add(frame.f_code)
                return None
            return enter(self, frame, event, arg)

        monkeypatch.setattr(Interrupt, "_enter", _enter)


def test_interrupts_that_miss_are_noticed(blind):
    with pytest.raises(Failure, match="would prove nothing") as caught:
        prove()
    assert caught.value.kind == "moments"


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_a_case_fails_where_interrupts_miss(blind, backend):
    result = check(CASE, backend)
    assert (result.state, result.kind) == ("fail", "moments"), result.message


def test_a_case_fails_where_they_miss_the_backend_alone(monkeypatch):
    monkeypatch.setattr(interrupts.sys, "settrace", sys.settrace)
    monkeypatch.setattr("subtensor_conformance.stress.prove", lambda: None)
    enter = Interrupt._enter
    monkeypatch.setattr(Interrupt, "_enter", lambda self, frame, event, arg: None)
    assert check(CASE, "numpy").kind == "moments"
    calls = []

    def once(self, frame, event, arg):  # the call that counts is seen, and those after it are not
        calls.append(self)
        return enter(self, frame, event, arg) if self.at < 0 else None

    monkeypatch.setattr(Interrupt, "_enter", once)
    assert check(CASE, "numpy").kind == "moments"
    assert len(calls) > 2


class Callable:
    def __call__(self):
        return 1

    def method(self):
        return [2, self]


def test_the_python_function_of_an_executable():
    from functools import partial

    made = Callable()
    assert function_of(made) is Callable.__call__
    assert function_of(made.method) is Callable.method
    assert function_of(partial(partial(made.method))) is Callable.method
    assert function_of(lambda: 0).__name__ == "<lambda>"
    assert function_of(abs) is None
    assert function_of(partial(abs)) is None


def test_an_executable_must_be_seen_to_its_end():
    moments = Interrupt((__name__,), -1)
    with pytest.raises(Failure, match=r"none of the instructions of the executable was passed"):
        seen_through(moments, Callable.method)
    with moments.waiting():
        Callable().method()
    seen_through(moments, Callable.method)
    moments.last[Callable.method.__code__] = 2
    with pytest.raises(Failure, match=r"only up to"):
        seen_through(moments, Callable.method)
    seen_through(moments, None)  # a library's own code
