"""What the oracle says of a case: outputs and state, call by call."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from subtensor_conformance import oracle
from subtensor_conformance.at_work import ask_the_oracle
from subtensor_conformance.case import Call, Case, Value
from subtensor_conformance.compare import Array, to_array
from subtensor_conformance.oracle import nodes, subset
from subtensor_conformance.oracle.sequences import is_long


def read(source: str, names: Mapping[str, Any]) -> Any:
    """The value of an expression of a case."""
    # as globals, which functions within the expression see too
    return eval(source, {"__builtins__": {"slice": slice, "range": range}, **names})  # noqa: S307  # the suite's own


class Expectation:
    """The oracle's side of a case: outputs and new state, from arguments and old state."""

    def __init__(self, case: Case) -> None:
        ask_the_oracle()
        self.case = case
        names: dict[str, Any] = {"st": oracle.st}
        names.update((g.name, oracle.Leaf(g.name)) for g in (*case.inputs, *case.shared))
        self.leaves = dict(names)
        self.flushed: dict[str, Any] = {}
        instead = dict(case.oracle)
        for name, source in case.lets:
            names[name] = read(instead.get(name, source), names)
        self.updates = {name: read(instead.get(source, source), names) for name, source in case.updates}
        self.state = {g.name: _to_oracle(g.value) for g in case.shared if g.value is not None}
        if case.step:
            step = names["step"] = read(instead.get(case.step, case.step), names)
            self.leaves |= step.leaves
            self.updates |= step.new
            self.flushed = step.flushed
            self.state |= {name: first(self.state) for name, first in step.first.items()}
        self.outputs = [read(instead.get(source, source), names) for source in case.outputs]
        self.then = {name: read(instead.get(source, source), names) for name, source in case.then}

    def call(self, call: Call) -> list[Array]:
        """The outputs; the state is taken one step further."""
        given = self._given(call)
        outputs = [_to_numpy(oracle.evaluate(nodes.as_node(o), given)) for o in self.outputs]
        self._step(self.updates, given)
        return outputs

    def second(self, call: Call) -> None:
        """The state is taken one step further by the case's second function."""
        self._step(self.then, self._given(call))

    def _given(self, call: Call) -> dict[Any, Any]:
        given = {self.leaves[g.name]: _to_oracle(v) for g, v in zip(self.case.inputs, call.arguments, strict=True)}
        return given | {self.leaves[name]: v for name, v in self.state.items()}

    def _step(self, updates: Mapping[str, Any], given: Mapping[Any, Any]) -> None:
        self.state |= {name: oracle.evaluate(nodes.as_node(e), given) for name, e in updates.items()}

    def set(self, call: Call) -> None:
        """What is set from outside before a call."""
        self.state |= {name: _to_oracle(v) for name, v in call.sets}

    def flush(self) -> None:
        """Rows that wait are brought up to date."""
        given = {self.leaves[name]: v for name, v in self.state.items()}
        self.state |= {name: oracle.evaluate(e, given) for name, e in self.flushed.items()}

    def values(self) -> dict[str, Array]:
        return {name: _to_numpy(v) for name, v in self.state.items()}


Outcome = tuple[list[Array], dict[str, Array], dict[str, Array]]


def expected(case: Case) -> tuple[Outcome, ...]:
    """For each call that is to succeed: the outputs, and the state after and before it. Kept, for the next backend.

    One more, without outputs, after each for a case with a second function, and at the end for one that is flushed.
    """
    ask_the_oracle()
    return _expected(case)


@lru_cache(maxsize=8192)
def _expected(case: Case) -> tuple[Outcome, ...]:
    try:
        expectation = Expectation(case)
        results: list[Outcome] = []
        for c in case.calls:
            if c.raises is None:
                expectation.set(c)
                before = expectation.values()
                results.append((expectation.call(c), expectation.values(), before))
                if case.then:
                    before = expectation.values()
                    expectation.second(c)
                    results.append(([], expectation.values(), before))
        if case.flush:
            before = expectation.values()
            expectation.flush()
            results.append(([], expectation.values(), before))
        return tuple(results)
    finally:
        subset.forget()


def _to_oracle(v: Value) -> oracle.Array:
    if is_long(v.data):  # exact in its dtype as it is
        return oracle.Array(v.dtype, v.shape, v.data)
    return oracle.values.make(v.dtype, v.shape, v.data)


def _to_numpy(a: oracle.Array) -> Array:
    return to_array(Value(a.dtype, a.shape, a.data))
