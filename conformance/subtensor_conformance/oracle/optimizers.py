"""Optimizers: which rows take a step, with which gradient, count and rate.

The gradients of all occurrences of a row are added first. A row that waits makes up for the steps that it missed one by
one, each with gradient zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from subtensor_conformance.oracle import schedules, subset
from subtensor_conformance.oracle.nodes import Context, Leaf, Node, apply, as_node, looking_inside
from subtensor_conformance.oracle.rules import RULES, Constants, Numbers
from subtensor_conformance.oracle.values import Array, make, size


@dataclass
class Step:
    """What an optimizer gives.

    new: the new value of each variable that a step changes, by name. flushed: the same of a flush. leaves, first: the
    optimizer's own variables, and their first values, from those of the tables. read: an expression in which rows that
    wait are read as they would be now.
    """

    new: dict[str, Node] = field(default_factory=dict)
    flushed: dict[str, Node] = field(default_factory=dict)
    leaves: dict[str, Leaf] = field(default_factory=dict)
    first: dict[str, Callable[[Mapping[str, Array]], Array]] = field(default_factory=dict)
    read: Callable[[Any], Any] = as_node
    averaged: Callable[[Any], Any] = as_node


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
        self.name = name
        self.rule = RULES["adagrad with momentum" if name == "adagrad" and options.get("momentum") else name]
        self.rate: Any = self.rule.rate if rate is None else rate
        constants = {k: options.pop(k) for k in list(options) if k in self.rule.constants}
        self.constants: Constants = {**self.rule.constants, **constants}
        decay = 0.01 if name == "adamw" else 0.0
        self.decay: float = options.pop("weight_decay", decay)
        self.untouched: str = options.pop("untouched", "freeze")
        self.own_count = self.untouched == "freeze" and options.pop("step_count", None) != "global"
        self.clips = {k: options.pop(k, 0.0) for k in ("clip_value", "clip_row_norm", "clip_global_norm")}
        self.constraint: dict[Leaf, Callable[[Numbers], Numbers]] = options.pop("constraint", {})
        self.padding: dict[Leaf, Any] = options.pop("padding", {})
        self.average: float | None = options.pop("average", None)
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
        waiting = self.lags and any(p.subsets for p in self.places.values())
        if self.average is not None:
            for p in self.places.values():
                self._state(f"{p.table.name}.{self.name}.average", self._first(p, "average"))
                if p.subsets and self.untouched != "dense":
                    self._state(f"{p.table.name}.{self.name}.averaged", self._first(p, "last"))
            self.step.averaged = self._averaged
        counts_all = self.average is not None or waiting or (callable(self.rate) and not isinstance(self.rate, Node))
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
        if waiting:
            self.step.read = self._read
            for p in self.places.values():
                p.subsets = [(node, self._read(g)) for node, g in p.subsets]
                p.whole = None if p.whole is None else self._read(p.whole)
        needed = self._needed()
        for name in (*(t.name for t in self.places), *self.step.leaves):
            self.step.new[name] = self._node(name, needed, self._stepped)
            if waiting:
                self.step.flushed[name] = self._node(name, self._variables(), self._current)
        return self.step

    def _variables(self) -> list[Node]:
        return [*self.places, *self.step.leaves.values()]

    def _averaged(self, expression: Any) -> Node:
        variables = self._variables()

        def rule(context: Context) -> Array:
            value = {v: context.value(v) for v in variables}
            tables: dict[Node, Array] = {}
            for t, p in self.places.items():
                old, means = self._means(p, value)
                tables[t] = make(old.dtype, old.shape, means)
            return Context({**context.given, **tables}).value(expression)

        return apply(looking_inside(rule), [as_node(expression), *variables], ("averaged", id(self)))

    def _means(self, p: _Place, value: Mapping[Node, Array]) -> tuple[Array, list[float]]:
        """The averages of a table with all steps until now, in which rows stayed as they are."""
        state = {name: value[leaf] for name, leaf in self.step.leaves.items()}
        table, name = value[p.table], f"{p.table.name}.{self.name}"
        means = [float(v) for v in state[f"{name}.average"].data]
        done = state.get(f"{name}.averaged")
        if done is not None and self.average is not None:
            long = p.rows(table.shape, self.name)[1]
            for k, w in enumerate(table.data):
                for _ in range(self._steps(state) - int(done.data[k // long])):
                    means[k] = self.average * means[k] + (1 - self.average) * float(w)
        return table, means

    def _mean_step(self, p: _Place, value: Mapping[Node, Array], new: Array, rows: Any) -> dict[str, Array]:
        assert self.average is not None
        table, means = self._means(p, value)
        name, long = f"{p.table.name}.{self.name}", p.rows(table.shape, self.name)[1]
        state = {n: value[leaf] for n, leaf in self.step.leaves.items()}
        kept, done = state[f"{name}.average"], state.get(f"{name}.averaged")
        data = [float(v) for v in kept.data]
        for r in rows:
            for k in range(r * long, (r + 1) * long):
                data[k] = self.average * means[k] + (1 - self.average) * float(new.data[k])
        made = {f"{name}.average": make(kept.dtype, kept.shape, data)}
        if done is not None:
            now = [self._steps(state) + 1 if r in rows else n for r, n in enumerate(done.data)]
            made[f"{name}.averaged"] = make("int64", done.shape, now)
        return made

    def _read(self, expression: Any) -> Node:
        variables = self._variables()

        def rule(context: Context) -> Array:
            now = self._current({v: context.value(v) for v in variables})
            tables: dict[Node, Array] = {t: now[t.name] for t in self.places}
            return Context({**context.given, **tables}).value(expression)

        return apply(looking_inside(rule), [as_node(expression), *variables], ("read", id(self)))

    def _state(self, name: str, first: Callable[[Mapping[str, Array]], Array]) -> None:
        self.step.leaves[name] = Leaf(name)
        self.step.first[name] = first

    def _first(self, p: _Place, slot: str) -> Callable[[Mapping[str, Array]], Array]:
        def first(tables: Mapping[str, Array]) -> Array:
            table = tables[p.table.name]
            whole = slot in ("count", "last")
            dtype = "float32" if table.dtype in ("float16", "bfloat16") else table.dtype
            if whole or slot in self.rule.by_row:
                lead = p.lead if p.lead is not None else int(len(table.shape) > 1)
                shape = table.shape[:lead]
                return make("int64" if whole else dtype, shape, [0] * size(shape))
            return make(dtype, table.shape, [self._start(slot, float(w)) for w in table.data])

        return first

    def _start(self, slot: str, w: float) -> float:
        """FTRL begins with the z from which w follows."""
        if slot in ("start", "average"):
            return w
        if slot == "z":
            c = self.constants
            return -w * (c["beta"] / float(self.rate) + c["l2"]) - (math.copysign(c["l1"], w) if w else 0.0)
        return self.constants.get("initial_accumulator", 0.0) if slot == "accumulator" else 0.0

    # --- one step

    def _needed(self) -> list[Node]:
        result = self._variables()
        for p in self.places.values():
            for node, g in p.subsets:
                result += [*subset.spelled(node)[2], g]
            if p.whole is not None:
                result.append(p.whole)
        if isinstance(self.rate, Node):
            result.append(self.rate)
        return result

    def _node(self, name: str, needed: list[Node], what: Callable[[Mapping[Node, Array]], dict[str, Array]]) -> Node:
        def run(*arrays: Array) -> Array:
            return what(dict(zip(needed, arrays, strict=True)))[name]

        return apply(run, needed, ("optimizer", id(self), name, what.__name__))

    def _stepped(self, value: Mapping[Node, Array]) -> dict[str, Array]:
        state = {name: value[leaf] for name, leaf in self.step.leaves.items()}
        gradients = {table: self._gradient(p, value) for table, p in self.places.items()}
        for table, rows in self._held(value).items():
            for r in rows & set(gradients[table]):
                gradients[table][r] = [0.0] * len(gradients[table][r])
        self._clip(gradients)
        new = dict(state)
        steps = self._steps(state)
        if isinstance(self.rate, Node):
            rate = float(value[self.rate].item())
        else:
            rate = self.rate(float(steps)) if callable(self.rate) else self.rate
        for table, p in self.places.items():
            held = self._held(value).get(table, set())
            taken = {r: g for r, g in gradients[table].items() if r not in held}
            new |= self._rows(p, value[table], taken, state, steps, rate)
            if self.average is not None:
                new |= self._mean_step(p, value, new[table.name], gradients[table])
        if f"{self.name}.steps" in new:
            new[f"{self.name}.steps"] = Array("int64", (), (steps + 1,))
        return new

    def _held(self, value: Mapping[Node, Array]) -> dict[Leaf, set[int]]:
        """The rows that are padding, by table."""
        found = {}
        for table, given in self.padding.items():
            n = value[table].shape[0]
            if isinstance(given, slice):
                found[table] = set(range(*given.indices(n)))
            else:
                found[table] = {r % n for r in ([given] if isinstance(given, int) else given)}
        return found

    def _steps(self, state: Mapping[str, Array]) -> int:
        return int(state[f"{self.name}.steps"].item()) if f"{self.name}.steps" in state else 0

    def _current(self, value: Mapping[Node, Array]) -> dict[str, Array]:
        """Every variable as it is when each row that waits has made up for the steps that it missed."""
        new = {leaf.name: value[leaf] for leaf in self.places}
        new |= {name: value[leaf] for name, leaf in self.step.leaves.items()}
        steps = self._steps(new)
        for table, p in self.places.items():
            if p.subsets:
                every = range(p.rows(value[table].shape, self.name)[0])
                # a schedule is refused here where the rate matters
                rate = 0.0 if isinstance(self.rate, Node) or callable(self.rate) else self.rate
                new |= self._rows(p, value[table], dict.fromkeys(every), new, steps, rate)
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
        self, p: _Place, table: Array, gradient: Mapping[int, Numbers | None], state: Mapping[str, Array], steps: int,
        rate: float,
    ) -> dict[str, Array]:  # fmt: skip
        """gradient: of the rows that take a step; None for one that only makes up for what it missed."""
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
                last[r] = steps if g is None else steps + 1
            if counts is not None:
                counts[r] += 1
            if g is not None:
                old = self._one(old, g, s, steps + 1 if counts is None else int(counts[r]), rate)
                old = self.constraint[p.table](old) if p.table in self.constraint else old
            w[r * long : (r + 1) * long] = old
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


class Constraints:
    """What a case's source calls ``st.optimizers.constraints``: functions of one row."""

    @staticmethod
    def max_norm(bound: float) -> Callable[[Numbers], Numbers]:
        return lambda row: [x * bound / math.hypot(*row) for x in row] if math.hypot(*row) > bound else row

    @staticmethod
    def unit_norm(row: Numbers) -> Numbers:
        return [x / math.hypot(*row) for x in row] if any(row) else row

    @staticmethod
    def non_negative(row: Numbers) -> Numbers:
        return [max(x, 0.0) for x in row]

    @staticmethod
    def box(low: float, high: float) -> Callable[[Numbers], Numbers]:
        return lambda row: [min(max(x, low), high) for x in row]


class Optimizers:
    """What a case's source calls ``st.optimizers``. Gradients are given, one for each parameter, not a cost."""

    schedules = schedules
    constraints = Constraints

    def __getattr__(self, name: str) -> Callable[..., Step]:
        if name not in RULES:
            raise AttributeError(f"the oracle has no optimizer {name!r}")

        def optimizer(gradients: Any, params: Any, learning_rate: Any = None, **options: Any) -> Step:
            return _Optimizer(name, gradients, params, learning_rate, options).made()

        return optimizer
