"""Optimizers whose steps are wrong: rules of the frontend altered, and backends that find repeated ids wrongly."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import numpy as np

import subtensor.optimizers  # noqa: F401  # its modules are altered below
from subtensor.graph.nodes import Variable, call
from subtensor.optimizers.places import RowPlace
from subtensor.optimizers.rules import Point, Step
from subtensor_conformance.known_bad.altered import Altered, Array
from subtensor_conformance.known_bad.catalogue import known_bad


def module(name: str) -> Any:
    """By name: some modules of the package are hidden behind functions of the same name."""
    return sys.modules[f"subtensor.optimizers.{name}"]


def instead(owner: Any, name: str, change: Callable[..., Any]) -> Callable[[], AbstractContextManager[None]]:
    """A patch of a function or method: ``change(good, *args)`` in its place."""

    @contextmanager
    def patch() -> Iterator[None]:
        good = getattr(owner, name)

        def altered(*args: Any, **options: Any) -> Any:
            return change(good, *args, **options)

        setattr(owner, name, altered)
        try:
            yield
        finally:
            setattr(owner, name, good)

    return patch


def same(good: Any) -> Altered:
    return Altered(good)


def _gradients(place: RowPlace, gradients: Any) -> Variable:
    parts = [s.gradient(g) for s, g in zip(place.subsets, gradients, strict=True)]
    return parts[0] if len(parts) == 1 else call("concatenate", parts, 0)


def _last_only(good: Any, place: RowPlace, gradients: Any) -> None:
    good(place, gradients)
    if place.joined.runs is not None:
        empty = call("zeros_like", place.gradient)
        place.gradient = call("set_subtensor", empty[place.joined.runs.places], _gradients(place, gradients))


def _mean(good: Any, place: RowPlace, gradients: Any) -> None:
    good(place, gradients)
    if place.joined.runs is not None:
        ones = call("ones_like", _gradients(place, gradients))
        place.gradient = place.gradient / place.joined.runs.sums(ones)


def _squares_kept(good: Any, place: Any, gradients: Any) -> None:
    good(place, gradients)
    g = _gradients(place, gradients)
    place.squares = g * g if place.joined.runs is None else place.joined.runs.sums(g * g)


def _squared_before(good: Any, rule: Any, p: Point) -> Step:
    n = p.state["accumulator"] + getattr(p.place, "squares", p.g * p.g)
    return Step({"accumulator": n}, change=-p.rate * p.g / (call("sqrt", n) + rule.epsilon))


@contextmanager
def _squared_before_summed() -> Iterator[None]:
    kept = instead(RowPlace, "take_gradient", _squares_kept)
    used = instead(module("adaptive").Adagrad, "step", _squared_before)
    with kept(), used():
        yield


def _decayed_everywhere(good: Any, assembly: Any, p: Any, w: Any, rate: Any, done: Step, stale: bool) -> Any:
    new = good(assembly, p, w, rate, done, stale)
    if not assembly.s.decay or not isinstance(p, RowPlace):
        return new
    return p.written(p.shared * assembly.s.keep(), p.read(new))


def _history_fades(good: Any, place: RowPlace, x: Variable, value: Variable) -> Variable:
    written: Variable = good(place, x * 0.5 if str(x.name).endswith("mean_square") else x, value)
    return written


def _counted_everywhere(good: Any, place: RowPlace, x: Variable, value: Variable) -> Variable:
    written: Variable = x + 1 if str(x.name).endswith(".count") else good(place, x, value)
    return written


def _state_lost(good: Any, place: RowPlace, x: Variable, value: Variable) -> Variable:
    written: Variable = x if str(x.name).endswith("velocity") else good(place, x, value)
    return written


def _inside_root(good: Any, rule: Any, p: Point) -> Step:
    n = p.state["accumulator"] + p.g * p.g
    return Step({"accumulator": n}, change=-p.rate * p.g / call("sqrt", n + rule.epsilon))


def _old_history(good: Any, rule: Any, p: Point) -> Step:
    done: Step = good(rule, p)
    before = call("sqrt", p.state["mean_square"]) + rule.epsilon
    return Step(done.state, change=-p.rate * p.g / before)


def _not_ahead(good: Any, rule: Any, p: Point) -> Step:
    done: Step = good(rule, p)
    return Step(done.state, change=-p.rate * done.state["velocity"])


def _in_the_gradient(good: Any, assembly: Any, p: Any, slots: Any) -> Any:
    if assembly.s.decay:
        p.gradient = p.gradient + assembly.s.decay * p.read(p.shared)
        assembly.s.decay = 0.0
    return good(assembly, p, slots)


def _clipped_by_row(good: Any, assembly: Any, places: Any) -> None:
    s = assembly.s
    s.clip_row, s.clip_global = s.clip_row or s.clip_global, 0.0
    good(assembly, places)


def _unwrapped(ids: Array, n: Any, of: object = None) -> Array:
    if ids.size and (ids.min() < -int(n) or ids.max() >= int(n)):
        raise IndexError("position out of range")
    return ids.astype(np.int64)


def _first_of_run(x: Array, order: Array, starts: Array) -> Array:
    return x[order[starts]]


def _with_row_zero(good: Any, place: RowPlace, x: Variable, value: Variable) -> Variable:
    written: Variable = good(place, x, value)
    return call("set_subtensor", written[:1], written[:1] * 0.5)


def lower(**table: Callable[..., Any]) -> Callable[[Any], Altered]:
    return lambda good: Altered(good, lower=table)


_rules = module("adaptive")
ASSEMBLY = module("build")._Assembly  # noqa: SLF001  # where options take effect
_A = "optimizers"


def wrong_optimizer(name: str, fault: str, patch: Any, kinds: str = "state", tags: str = "", make: Any = same) -> None:
    known_bad(name, fault, _A, kinds, make, tags, patch=patch)


wrong_optimizer("gradients-of-rows-last", "keeps the last gradient of a repeated row", instead(RowPlace, "take_gradient", _last_only), tags="duplicates")  # fmt: skip
wrong_optimizer("gradients-of-rows-averaged", "averages the gradients of a repeated row", instead(RowPlace, "take_gradient", _mean), tags="duplicates")  # fmt: skip
wrong_optimizer("squared-before-summed", "squares the gradients of a repeated row before it adds them", _squared_before_summed, tags="duplicates")  # fmt: skip
wrong_optimizer("decay-on-unused-rows", "decays the weights of rows that a step does not use", instead(ASSEMBLY, "_new_value", _decayed_everywhere), "unused row")  # fmt: skip
wrong_optimizer("history-of-unused-rows-fades", "lets the averages of rows that a step does not use decay", instead(RowPlace, "written", _history_fades), "unused row")  # fmt: skip
wrong_optimizer("step-count-of-all-rows", "counts each step for every row", instead(RowPlace, "written", _counted_everywhere), "unused row")  # fmt: skip
wrong_optimizer("padding-trains-row-0", "touches row 0 in each step, as padding does", instead(RowPlace, "written", _with_row_zero), "unused row")  # fmt: skip
wrong_optimizer("bias-of-next-step", "corrects averages for one step too many", instead(module("adam"), "bias", lambda good, beta, count: good(beta, count + 1)))  # fmt: skip
wrong_optimizer("bias-uncorrected", "does not correct averages for their start at zero", instead(module("adam"), "bias", lambda good, beta, count: call("ones_like", count)))  # fmt: skip
wrong_optimizer("epsilon-inside-root", "adds epsilon under the root", instead(_rules.Adagrad, "step", _inside_root))
wrong_optimizer("history-before-step", "divides by the average that does not hold the gradient yet", instead(_rules.RmsProp, "step", _old_history), "state|error")  # fmt: skip
wrong_optimizer("nesterov-not-ahead", "takes plain momentum for Nesterov's", instead(module("gradient_descent").Nesterov, "step", _not_ahead))  # fmt: skip
wrong_optimizer("velocity-forgotten", "does not keep the velocity", instead(RowPlace, "written", _state_lost))
wrong_optimizer("decay-in-gradient", "adds decay to the gradient, as L2 regularisation does", instead(ASSEMBLY, "step", _in_the_gradient), tags="decay")  # fmt: skip
wrong_optimizer("clip-by-row-not-all", "bounds the norm of each row where that of all is meant", instead(ASSEMBLY, "clip", _clipped_by_row), tags="clip")  # fmt: skip
known_bad("row-numbers-not-wrapped", "takes a row and its negative number for two rows", _A, "state", lower(row_numbers=_unwrapped), "negative")  # fmt: skip
known_bad("run-sums-first-only", "takes the first of equal ids for their sum", _A, "state", lower(run_sums=_first_of_run), "duplicates")  # fmt: skip
known_bad("row-numbers-spread-by-column", "gives a number by row to columns", _A, "state|error", lower(spread_rows=lambda r, like: np.resize(r, like.shape)))  # fmt: skip
