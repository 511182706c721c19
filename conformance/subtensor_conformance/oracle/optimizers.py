"""Optimizers: one step of each rule, row by row and number by number, from the papers' formulas.

The gradients of all occurrences of a row are added first. What a rule does to a row is a function of Python floats; the
rest of this file says which rows take a step, and with which count.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from subtensor_conformance.oracle import subset
from subtensor_conformance.oracle.nodes import Leaf, Node, apply, as_node
from subtensor_conformance.oracle.values import Array, make, size

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


_BETAS = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
RULES: dict[str, Rule] = {
    "sgd": Rule(_sgd, (), {}, still=True),
    "momentum": Rule(_momentum, ("velocity",), {"momentum": 0.9}),
    "nesterov": Rule(_nesterov, ("velocity",), {"momentum": 0.9}),
    "adagrad": Rule(_adagrad, ("accumulator",), {"epsilon": 1e-10, "initial_accumulator": 0.0}, 0.01, still=True),
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


@dataclass
class Step:
    """What an optimizer gives.

    new: the new value of each variable that a step changes, by name. leaves, first: the optimizer's own variables, and
    their first values, from those of the tables.
    """

    new: dict[str, Node] = field(default_factory=dict)
    leaves: dict[str, Leaf] = field(default_factory=dict)
    first: dict[str, Callable[[Mapping[str, Array]], Array]] = field(default_factory=dict)


@dataclass
class _Place:
    """A table and the parameters that stand for rows of it; none where it takes part as a whole."""

    table: Leaf
    subsets: list[tuple[Node, Node]] = field(default_factory=list)
    whole: Node | None = None

    @property
    def lead(self) -> int | None:
        """How many axes number rows; None for a variable as a whole, where its number of axes decides."""
        return subset.leading(self.subsets[0][0]) if self.subsets else None

    def rows(self, shape: Sequence[int], rule: str) -> tuple[int, int]:
        """(how many, how long)."""
        lead = self.lead
        if lead is None:
            lead = 1 if len(shape) > 1 and rule != "lamb" else 0
        return size(shape[:lead]), size(shape[lead:])


class _Optimizer:
    def __init__(self, name: str, given: Any, params: Any, rate: Any, options: dict[str, Any]) -> None:
        self.name, self.rule = name, RULES[name]
        self.rate: Any = self.rule.rate if rate is None else rate
        constants = {k: options.pop(k) for k in list(options) if k in self.rule.constants}
        self.constants: Constants = {**self.rule.constants, **constants}
        decay = 0.01 if name == "adamw" else 0.0
        self.decay: float = options.pop("weight_decay", decay)
        self.untouched: str = options.pop("untouched", "freeze")
        self.own_count = self.untouched == "freeze" and options.pop("step_count", None) != "global"
        self.clips = {k: options.pop(k, 0.0) for k in ("clip_value", "clip_row_norm", "clip_global_norm")}
        assert not options, options
        self.lags = self.untouched == "catch_up" and not (self.rule.still and not self.decay)
        self.places: dict[Leaf, _Place] = {}
        nodes = [params] if isinstance(params, Node) else list(params)
        for node, g in zip(nodes, given, strict=True):
            table = node if isinstance(node, Leaf) else subset.spelled(node)[0]
            assert isinstance(table, Leaf)
            place = self.places.setdefault(table, _Place(table))
            if node is table:
                place.whole = as_node(g)
            else:
                place.subsets.append((node, as_node(g)))
        self.step = Step()

    # --- variables

    def made(self) -> Step:
        counts_all = self.lags and any(p.subsets for p in self.places.values())
        for p in self.places.values():
            name = p.table.name
            for slot in self.rule.slots:
                self._state(f"{name}.{self.name}.{slot}", self._first(p, slot))
            if self.rule.counted and self.own_count and p.subsets:
                self._state(f"{name}.{self.name}.count", self._first(p, "count"))
            elif self.rule.counted:
                counts_all = True
            if self.lags and p.subsets:
                self._state(f"{name}.{self.name}.last", self._first(p, "last"))
        if counts_all:
            self._state(f"{self.name}.steps", lambda _: Array("int64", (), (0,)))
        needed = list(self._needed())
        for name in (*(t.name for t in self.places), *self.step.leaves):
            self.step.new[name] = self._node(name, needed)
        return self.step

    def _state(self, name: str, first: Callable[[Mapping[str, Array]], Array]) -> None:
        self.step.leaves[name] = Leaf(name)
        self.step.first[name] = first

    def _first(self, p: _Place, slot: str) -> Callable[[Mapping[str, Array]], Array]:
        def first(tables: Mapping[str, Array]) -> Array:
            table = tables[p.table.name]
            whole = slot in ("count", "last")
            if whole or slot in self.rule.by_row:
                lead = p.lead if p.lead is not None else int(len(table.shape) > 1)
                shape = table.shape[:lead]
                return make("int64" if whole else table.dtype, shape, [0] * size(shape))
            return make(table.dtype, table.shape, [self._start(slot, float(w)) for w in table.data])

        return first

    def _start(self, slot: str, w: float) -> float:
        """FTRL begins with the z from which w follows."""
        if slot == "z":
            c = self.constants
            return -w * (c["beta"] / float(self.rate) + c["l2"]) - (math.copysign(c["l1"], w) if w else 0.0)
        return self.constants.get("initial_accumulator", 0.0) if slot == "accumulator" else 0.0

    # --- one step

    def _needed(self) -> list[Node]:
        result: list[Node] = [*self.places, *self.step.leaves.values()]
        for p in self.places.values():
            for node, g in p.subsets:
                result += [*subset.spelled(node)[2], g]
            if p.whole is not None:
                result.append(p.whole)
        if isinstance(self.rate, Node):
            result.append(self.rate)
        return result

    def _node(self, name: str, needed: list[Node]) -> Node:
        def run(*arrays: Array) -> Array:
            return self._stepped(dict(zip(needed, arrays, strict=True)))[name]

        return apply(run, needed, ("optimizer", id(self), name))

    def _stepped(self, value: Mapping[Node, Array]) -> dict[str, Array]:
        state = {name: value[leaf] for name, leaf in self.step.leaves.items()}
        gradients = {table: self._gradient(p, value) for table, p in self.places.items()}
        self._clip(gradients)
        new = dict(state)
        steps = int(state[f"{self.name}.steps"].item()) if f"{self.name}.steps" in state else 0
        rate = float(value[self.rate].item()) if isinstance(self.rate, Node) else self.rate
        for table, p in self.places.items():
            new |= self._rows(p, value[table], gradients[table], state, steps, rate)
        if f"{self.name}.steps" in new:
            new[f"{self.name}.steps"] = Array("int64", (), (steps + 1,))
        return new

    def _gradient(self, p: _Place, value: Mapping[Node, Array]) -> dict[int, Numbers]:
        """By row, summed over its occurrences; of the rows that take a step."""
        table = value[p.table]
        count, long = p.rows(table.shape, self.name)
        if p.whole is not None:
            flat = [float(v) for v in value[p.whole].data]
            return {r: flat[r * long : (r + 1) * long] for r in range(count)}
        found: dict[int, Numbers] = {}
        if self.untouched == "dense":
            found = {r: [0.0] * long for r in range(count)}
        for node, g in p.subsets:
            places = subset.places(node, table.shape, value)
            for place, slope in zip(places, value[g].data, strict=True):
                found.setdefault(place // long, [0.0] * long)[place % long] += float(slope)
        return found

    def _clip(self, gradients: Mapping[Leaf, dict[int, Numbers]]) -> None:
        by_value, by_row, by_all = self.clips.values()
        rows = [g for each in gradients.values() for g in each.values()]
        for g in rows:
            if by_value:
                g[:] = [max(-by_value, min(by_value, x)) for x in g]
            if by_row and math.hypot(*g) > by_row:
                norm = math.hypot(*g)
                g[:] = [x * by_row / norm for x in g]
        norm = math.hypot(*(x for g in rows for x in g))
        if by_all and norm > by_all:
            for g in rows:
                g[:] = [x * by_all / norm for x in g]

    def _rows(
        self, p: _Place, table: Array, gradient: Mapping[int, Numbers], state: Mapping[str, Array], steps: int, rate: float
    ) -> dict[str, Array]:  # fmt: skip
        name, (_, long) = f"{p.table.name}.{self.name}", p.rows(table.shape, self.name)
        w = [float(v) for v in table.data]
        own = {slot: list(state[f"{name}.{slot}"].data) for slot in self.rule.slots}
        spans = {slot: 1 if slot in self.rule.by_row else long for slot in self.rule.slots}
        counts, last = (list(state[f"{name}.{k}"].data) if f"{name}.{k}" in state else None for k in ("count", "last"))
        for r, g in gradient.items():
            old = w[r * long : (r + 1) * long]
            s = {slot: [float(v) for v in own[slot][r * n : (r + 1) * n]] for slot, n in spans.items()}
            if last is not None:
                for missed in range(int(last[r]), steps):
                    old = self._one(old, [0.0] * long, s, missed + 1, rate)
                last[r] = steps + 1
            if counts is not None:
                counts[r] += 1
            w[r * long : (r + 1) * long] = self._one(old, g, s, steps + 1 if counts is None else int(counts[r]), rate)
            for slot, n in spans.items():
                own[slot][r * n : (r + 1) * n] = s[slot]
        new = {p.table.name: make(table.dtype, table.shape, w)}
        for slot, data in (*own.items(), ("count", counts), ("last", last)):
            if data is not None:
                before = state[f"{name}.{slot}"]
                new[f"{name}.{slot}"] = make(before.dtype, before.shape, data)
        return new

    def _one(self, w: Numbers, g: Numbers, s: dict[str, Numbers], count: int, rate: float) -> Numbers:
        new = self.rule.step(w, g, s, count, rate, self.constants)
        return [a - rate * self.decay * b for a, b in zip(new, w, strict=True)] if self.decay else new


class Optimizers:
    """What a case's source calls ``st.optimizers``. Gradients are given, one for each parameter, not a cost."""

    def __getattr__(self, name: str) -> Callable[..., Step]:
        if name not in RULES:
            raise AttributeError(f"the oracle has no optimizer {name!r}")

        def optimizer(gradients: Any, params: Any, learning_rate: Any = None, **options: Any) -> Step:
            return _Optimizer(name, gradients, params, learning_rate, options).made()

        return optimizer
