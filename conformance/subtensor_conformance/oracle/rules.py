"""Update rules: what one step does to one row, number by number, from the papers' formulas."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

Numbers: TypeAlias = list[float]
Constants: TypeAlias = Mapping[str, float]
Stepper: TypeAlias = Callable[[Numbers, Numbers, dict[str, Numbers], int, float, Constants], Numbers]


@dataclass(frozen=True)
class Rule:
    """step: (w, g, state, count, rate, constants) -> new w; it writes to the state.

    slots: names of state variables. by_row: those with one number for each row. still: whether a step with gradient
    zero changes nothing. counted: whether steps are counted.
    """

    step: Stepper
    slots: tuple[str, ...]
    constants: Constants
    rate: float = 0.0
    still: bool = False
    counted: bool = False
    by_row: tuple[str, ...] = ()


def _sgd(w: Numbers, g: Numbers, s: dict[str, Numbers], t: int, rate: float, c: Constants) -> Numbers:
    return [a - rate * b for a, b in zip(w, g, strict=True)]


def _momentum(w: Numbers, g: Numbers, s: dict[str, Numbers], t: int, rate: float, c: Constants) -> Numbers:
    s["velocity"] = [c["momentum"] * u + b for u, b in zip(s["velocity"], g, strict=True)]
    return [a - rate * u for a, u in zip(w, s["velocity"], strict=True)]


def _nesterov(w: Numbers, g: Numbers, s: dict[str, Numbers], t: int, rate: float, c: Constants) -> Numbers:
    _momentum(w, g, s, t, rate, c)
    return [a - rate * (b + c["momentum"] * u) for a, b, u in zip(w, g, s["velocity"], strict=True)]


def _adagrad(w: Numbers, g: Numbers, s: dict[str, Numbers], t: int, rate: float, c: Constants) -> Numbers:
    s["accumulator"] = [n + b * b for n, b in zip(s["accumulator"], g, strict=True)]
    return [a - rate * b / (math.sqrt(n) + c["epsilon"]) for a, b, n in zip(w, g, s["accumulator"], strict=True)]


def _rowwise_adagrad(w: Numbers, g: Numbers, s: dict[str, Numbers], t: int, rate: float, c: Constants) -> Numbers:
    n = s["accumulator"][0] + sum(b * b for b in g) / len(g)
    s["accumulator"] = [n]
    return [a - rate * b / (math.sqrt(n) + c["epsilon"]) for a, b in zip(w, g, strict=True)]


def _faded(old: Numbers, new: Numbers, keep: float) -> Numbers:
    return [keep * a + (1 - keep) * b for a, b in zip(old, new, strict=True)]


def _squares(g: Numbers) -> Numbers:
    return [b * b for b in g]


def _rmsprop(w: Numbers, g: Numbers, s: dict[str, Numbers], t: int, rate: float, c: Constants) -> Numbers:
    s["mean_square"] = _faded(s["mean_square"], _squares(g), c["rho"])
    return [a - rate * b / (math.sqrt(v) + c["epsilon"]) for a, b, v in zip(w, g, s["mean_square"], strict=True)]


def _adadelta(w: Numbers, g: Numbers, s: dict[str, Numbers], t: int, rate: float, c: Constants) -> Numbers:
    s["mean_square"] = _faded(s["mean_square"], _squares(g), c["rho"])
    e, before = c["epsilon"], s["mean_square_change"]
    way = [(math.sqrt(d) + e) / (math.sqrt(v) + e) * b for d, v, b in zip(before, s["mean_square"], g, strict=True)]
    s["mean_square_change"] = _faded(before, _squares(way), c["rho"])
    return [a - rate * d for a, d in zip(w, way, strict=True)]


def _moments(g: Numbers, s: dict[str, Numbers], c: Constants) -> None:
    s["m"] = _faded(s["m"], g, c["beta1"])
    s["v"] = _faded(s["v"], _squares(g), c["beta2"])


def _adam_way(g: Numbers, s: dict[str, Numbers], t: int, c: Constants) -> Numbers:
    _moments(g, s, c)
    first, second = 1 - c["beta1"] ** t, 1 - c["beta2"] ** t
    return [m / first / (math.sqrt(v / second) + c["epsilon"]) for m, v in zip(s["m"], s["v"], strict=True)]


def _adam(w: Numbers, g: Numbers, s: dict[str, Numbers], t: int, rate: float, c: Constants) -> Numbers:
    return [a - rate * d for a, d in zip(w, _adam_way(g, s, t, c), strict=True)]


def _adamax(w: Numbers, g: Numbers, s: dict[str, Numbers], t: int, rate: float, c: Constants) -> Numbers:
    s["m"] = _faded(s["m"], g, c["beta1"])
    s["v"] = [max(c["beta2"] * v, abs(b)) for v, b in zip(s["v"], g, strict=True)]
    first = 1 - c["beta1"] ** t
    return [a - rate / first * m / (v + c["epsilon"]) for a, m, v in zip(w, s["m"], s["v"], strict=True)]


def _nadam(w: Numbers, g: Numbers, s: dict[str, Numbers], t: int, rate: float, c: Constants) -> Numbers:
    _moments(g, s, c)
    beta, second = c["beta1"], 1 - c["beta2"] ** t
    ahead = [beta * m / (1 - beta ** (t + 1)) + (1 - beta) * b / (1 - beta**t) for m, b in zip(s["m"], g, strict=True)]
    return [a - rate * d / (math.sqrt(v / second) + c["epsilon"]) for a, d, v in zip(w, ahead, s["v"], strict=True)]


def _lamb(w: Numbers, g: Numbers, s: dict[str, Numbers], t: int, rate: float, c: Constants) -> Numbers:
    way = [d + c["weight_decay"] * a for d, a in zip(_adam_way(g, s, t, c), w, strict=True)]
    of_w, of_way = math.hypot(*w), math.hypot(*way)
    trust = of_w / of_way if of_w and of_way else 1.0
    return [a - rate * trust * d for a, d in zip(w, way, strict=True)]


def _ftrl(w: Numbers, g: Numbers, s: dict[str, Numbers], t: int, rate: float, c: Constants) -> Numbers:
    before, s["n"] = s["n"], [n + b * b for n, b in zip(s["n"], g, strict=True)]
    moved = [(math.sqrt(n) - math.sqrt(old)) / rate for n, old in zip(s["n"], before, strict=True)]
    s["z"] = [z + b - sigma * a for z, b, sigma, a in zip(s["z"], g, moved, w, strict=True)]
    return [
        0.0 if abs(z) <= c["l1"] else -(z - math.copysign(c["l1"], z)) / ((c["beta"] + math.sqrt(n)) / rate + c["l2"])
        for z, n in zip(s["z"], s["n"], strict=True)
    ]


def _adagrad_momentum(w: Numbers, g: Numbers, s: dict[str, Numbers], t: int, rate: float, c: Constants) -> Numbers:
    moved = _adagrad([0.0] * len(w), g, s, t, rate, c)
    s["velocity"] = [c["momentum"] * u + d for u, d in zip(s["velocity"], moved, strict=True)]
    return [a + u for a, u in zip(w, s["velocity"], strict=True)]


def _rowwise_adam(w: Numbers, g: Numbers, s: dict[str, Numbers], t: int, rate: float, c: Constants) -> Numbers:
    s["m"] = _faded(s["m"], g, c["beta1"])
    s["v"] = _faded(s["v"], [sum(b * b for b in g) / len(g)], c["beta2"])
    by = math.sqrt(s["v"][0] / (1 - c["beta2"] ** t)) + c["epsilon"]
    return [a - rate * m / (1 - c["beta1"] ** t) / by for a, m in zip(w, s["m"], strict=True)]


def _lion(w: Numbers, g: Numbers, s: dict[str, Numbers], t: int, rate: float, c: Constants) -> Numbers:
    way = _faded(s["m"], g, c["beta1"])
    s["m"] = _faded(s["m"], g, c["beta2"])
    return [a - (math.copysign(rate, d) if d else 0.0) for a, d in zip(w, way, strict=True)]


def _madgrad(w: Numbers, g: Numbers, s: dict[str, Numbers], t: int, rate: float, c: Constants) -> Numbers:
    weight = rate * math.sqrt(t)
    s["s"] = [a + weight * b for a, b in zip(s["s"], g, strict=True)]
    s["v"] = [a + weight * b * b for a, b in zip(s["v"], g, strict=True)]
    goal = [x - a / (v ** (1 / 3) + c["epsilon"]) for x, a, v in zip(s["start"], s["s"], s["v"], strict=True)]
    return _faded(w, goal, c["momentum"])


_BETAS = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
RULES: dict[str, Rule] = {
    "sgd": Rule(_sgd, (), {}, still=True),
    "momentum": Rule(_momentum, ("velocity",), {"momentum": 0.9}),
    "nesterov": Rule(_nesterov, ("velocity",), {"momentum": 0.9}),
    "adagrad": Rule(_adagrad, ("accumulator",), {"epsilon": 1e-10, "initial_accumulator": 0.0}, 0.01, still=True),
    "adagrad with momentum": Rule(
        _adagrad_momentum,
        ("accumulator", "velocity"),
        {"epsilon": 1e-10, "initial_accumulator": 0.0, "momentum": 0.0},
        0.01,
    ),
    "rowwise_adam": Rule(_rowwise_adam, ("m", "v"), _BETAS, 1e-3, counted=True, by_row=("v",)),
    "lion": Rule(_lion, ("m",), {"beta1": 0.9, "beta2": 0.99}, 1e-4),
    "madgrad": Rule(_madgrad, ("start", "s", "v"), {"momentum": 0.9, "epsilon": 1e-6}, 1e-2, counted=True),
    "rowwise_adagrad": Rule(
        _rowwise_adagrad, ("accumulator",), {"epsilon": 1e-10}, 0.01, still=True, by_row=("accumulator",)
    ),
    "rmsprop": Rule(_rmsprop, ("mean_square",), {"rho": 0.9, "epsilon": 1e-8}, 0.01),
    "adadelta": Rule(_adadelta, ("mean_square", "mean_square_change"), {"rho": 0.95, "epsilon": 1e-3}, 1.0),
    "adam": Rule(_adam, ("m", "v"), _BETAS, 1e-3, counted=True),
    "adamw": Rule(_adam, ("m", "v"), _BETAS, 1e-3, counted=True),
    "adamax": Rule(_adamax, ("m", "v"), _BETAS, 2e-3, counted=True),
    "nadam": Rule(_nadam, ("m", "v"), _BETAS, 2e-3, counted=True),
    "lamb": Rule(_lamb, ("m", "v"), {**_BETAS, "epsilon": 1e-6, "weight_decay": 0.0}, 1e-3, counted=True),
    "ftrl": Rule(_ftrl, ("z", "n"), {"beta": 1.0, "l1": 0.0, "l2": 0.0}, 0.1, still=True),
}
