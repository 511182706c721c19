"""From a cost, parameters and a rule to updates: options, clipping, decay, counting, and who waits."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypedDict

import numpy as np

from subtensor.calculus.grad import grad
from subtensor.errors import OptimizerError, ShapeError, counted
from subtensor.graph.constants import as_tensor, constant
from subtensor.graph.nodes import Variable, call
from subtensor.graph.shared import SharedVariable
from subtensor.graph.types import HALVES, INDEX, is_float
from subtensor.look.whole import tell_why_whole
from subtensor.ops.elementwise import cast, same_kind
from subtensor.ops.subtensor import get_op
from subtensor.optimizers.constraints import Constraint, constrained
from subtensor.optimizers.halves import widened
from subtensor.optimizers.padding import held
from subtensor.optimizers.places import DensePlace, Place, RowPlace, resolve
from subtensor.optimizers.reads import by_rows
from subtensor.optimizers.rounding import rounded
from subtensor.optimizers.rules import Point, Rule, Slot, Step, wide
from subtensor.optimizers.updates import Updates
from subtensor.optimizers.waiting import Average, Lag
from subtensor.random.keys import fold_in, key
from subtensor.starting import started

Start: TypeAlias = Callable[[], Variable]


class Options(TypedDict, total=False):
    """What every optimizer takes besides its own constants.

    untouched: what happens to rows of a table that a step does not use: ``"freeze"``, nothing; ``"catch_up"``, what the
    dense optimizer does, when they are next read; ``"dense"``, the same at once, O(table).
    weight_decay: λ of the decoupled decay ``w ← (1 − rate · λ) w``, of the rows that take part.
    clip_value: bound of each element of a gradient, after gradients of equal rows are summed. clip_row_norm: bound of
    the Euclidean norm of each row's. clip_global_norm: bound of the norm over all rows used and all parameters.
    constraint: what new rows of a table must fulfil, by table: a function of them, such as those of
    ``st.optimizers.constraints``; of the rows that a step writes.
    padding: rows that neither move nor get state, by table: a row number, several, a slice, or a mask of bools.
    rounding: how new rows of a table of float16 or bfloat16 get there from float32, in which steps are computed:
    ``"nearest"``, or ``"stochastic"``, up or down at random so that the mean is right, by numbers drawn for each step
    with the key of `seed`.
    average: β of moving averages of the parameters, a ← β a + (1 − β) w in each step: ``updates.averaged(expression)``
    reads them. A row costs something in the steps that write it alone; an average starts as its parameter.
    state: updates made before by the same optimizer for the same parameters, whose state is used on.
    """

    untouched: str
    weight_decay: float
    clip_value: float
    clip_row_norm: float
    clip_global_norm: float
    constraint: Mapping[SharedVariable, Callable[[Variable], Variable]] | None
    padding: Mapping[SharedVariable, Any] | None
    rounding: str
    seed: int
    average: float | None
    state: Updates | None


_DEFAULTS = Options(
    untouched="freeze", weight_decay=0.0, clip_value=0, clip_row_norm=0, clip_global_norm=0, constraint=None,
    padding=None, rounding="nearest", seed=0, average=None, state=None,
)  # fmt: skip


def number(what: str, value: Any, low: float = 0.0, high: float = math.inf) -> float:
    """`value` as a float in [low, high); raises OptimizerError naming it."""
    if isinstance(value, Variable) or not isinstance(value, int | float | np.number) or not low <= value < high:
        raise OptimizerError(f"{what} is {value!r}; expected a number in [{low:g}, {high:g})")
    return float(value)


@dataclass
class _Settings:
    """Options, checked."""

    rule: Rule
    where: str
    rate: Any
    by_row: bool
    untouched: str
    decay: float
    clip_value: float
    clip_row: float
    clip_global: float
    reuse: Updates | None
    constraint: Mapping[SharedVariable, Constraint]
    padding: Mapping[SharedVariable, Any]
    seed: int | None
    """Of stochastic rounding; None for rounding to the nearest."""
    average: float | None

    @property
    def constant_rate(self) -> float | None:
        return None if isinstance(self.rate, Variable) or callable(self.rate) else float(self.rate)

    @property
    def lagging(self) -> bool:
        return self.untouched == "catch_up" and not (self.rule.still and not self.decay)

    @property
    def clips(self) -> bool:
        return bool(self.clip_value or self.clip_row or self.clip_global)

    def keep(self) -> float:
        """1 − rate · decay, for a constant rate."""
        assert self.constant_rate is not None
        return 1 - self.constant_rate * self.decay


def _settings(rule: Rule, rate: Any, step_count: str | None, given: Options) -> _Settings:
    where = rule.name
    unknown = sorted(set(given) - set(_DEFAULTS))
    if unknown:
        raise OptimizerError(f"{where}: unknown option {unknown[0]!r}; expected one of {', '.join(sorted(_DEFAULTS))}")
    options = {**_DEFAULTS, **given}
    untouched = options["untouched"]
    if untouched not in ("freeze", "catch_up", "dense"):
        raise OptimizerError(f"{where}: untouched={untouched!r}; expected 'freeze', 'catch_up' or 'dense'")
    if step_count not in (None, "row", "global"):
        raise OptimizerError(f"{where}: step_count={step_count!r}; expected 'row' or 'global'")
    numbers = {
        key: number(f"{where}: {key}", options[key] or 0)
        for key in ("weight_decay", "clip_value", "clip_row_norm", "clip_global_norm")
    }
    if not isinstance(rate, Variable) and not callable(rate):
        rate = number(f"{where}: learning_rate", rate)
    elif isinstance(rate, Variable) and rate.ndim:
        raise OptimizerError(f"{where}: learning_rate {rate.label} has {rate.ndim} axes; expected a scalar")
    reuse = options["state"]
    if reuse is not None and not isinstance(reuse, Updates):
        raise OptimizerError(f"{where}: state={reuse!r}; expected the updates that an optimizer gave")
    if options["rounding"] not in ("nearest", "stochastic"):
        raise OptimizerError(f"{where}: rounding={options['rounding']!r}; expected 'nearest' or 'stochastic'")
    seed = options["seed"]
    if not hasattr(seed, "__index__") or not 0 <= operator.index(seed) < 1 << 128:
        raise OptimizerError(f"{where}: seed={seed!r}; expected an integer, 0 or more, below 2**128")
    by_row = untouched == "freeze" and step_count != "global"
    decay, value, row, whole = numbers.values()
    settings = _Settings(
        rule, where, rate, by_row, untouched, decay, value, row, whole, reuse,
        _by_table(where, "constraint", options["constraint"]), _by_table(where, "padding", options["padding"]),
        operator.index(seed) if options["rounding"] == "stochastic" else None,
        None if options["average"] is None else number(f"{where}: average", options["average"], 0, 1),
    )  # fmt: skip
    if untouched == "catch_up":
        _refuse_without_closed_form(settings, step_count)
    return settings


def _by_table(where: str, option: str, given: Any) -> Mapping[SharedVariable, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(k, SharedVariable) for k in given):
        raise OptimizerError(f"{where}: {option}={given!r}; expected a dict with tables as keys, {{table: ...}}")
    if option == "constraint" and not all(callable(f) for f in given.values()):
        raise OptimizerError(f"{where}: constraint={given!r}; expected functions of the new rows as values")
    return given


def _refuse_without_closed_form(s: _Settings, step_count: str | None) -> None:
    why = s.rule.no_closed_form()
    if why is None and s.average is not None and s.lagging:
        why = "rows that wait move in steps of which their averages know nothing"
    if why is None and s.constraint and s.lagging:
        why = "rows that wait may leave what constraint= says in each step that they missed"
    if why is None and s.padding and s.decay:
        why = "rows of padding do not decay, and rows that wait do"
    if why is None and step_count == "row" and s.rule.counted:
        why = "the dense optimizer counts every step for every row; expected step_count='global'"
    if why is None and s.constant_rate is None and (s.rule.moves or s.decay):
        what = "the rows that it moves" if s.rule.moves else "weight decay"
        why = (
            f"the sum over missed steps has a closed form for {what} only where the learning rate is the same in all "
            "of them; expected a number"
        )
    if why is None and s.decay and s.keep() <= 0:
        why = f"1 - learning_rate * weight_decay is {s.keep():g}; expected more than 0"
    if why is not None:
        raise OptimizerError(
            f"{s.where}: untouched='catch_up' is not possible: {why}. Use untouched='freeze', or 'dense' at O(table)"
        )


def build(
    rule: Rule, cost_or_grads: Any, params: Any, rate: Any, options: Options, step_count: str | None = None
) -> Updates:
    """The updates by which `rule` trains `params`.

    cost_or_grads: a float scalar, or a list of gradients, one for each parameter and of its shape. params: shared
    variables and subsets of their rows; a variable of which the cost reads rows alone is these rows.

    Raises NotASubsetError, UpdateError, OptimizerError, ShapeError and what
    ``grad`` raises; nothing is made then.
    """
    s = _settings(rule, rate, step_count, options)
    whole: Mapping[SharedVariable, str] = {}
    if isinstance(cost_or_grads, Variable) and not cost_or_grads.ndim and isinstance(params, Iterable):
        rows = by_rows(s.where, cost_or_grads, [params] if isinstance(params, Variable) else list(params))
        params, whole = rows.params, rows.whole
    nodes, places = resolve(params, dense=s.untouched == "dense")
    for place, _ in places:
        _refuse_lost_epsilon(s.where, rule, place.shared)
    gradients = gradients_of(s.where, cost_or_grads, nodes)
    made = _Assembly(s).updates(places, gradients)
    for table, why in whole.items():
        tell_why_whole(made[table], f"{s.where} was given {table.label}, and {why}")
    return made


def _refuse_lost_epsilon(where: str, rule: Rule, table: SharedVariable) -> None:
    """Raises OptimizerError where the dtype in which `table` is trained makes 0 or infinity of ε."""
    epsilon, factor = rule.guard or (0.0, 1.0)
    limits = np.finfo(wide(table.dtype))
    most = float(limits.max)
    if not epsilon or (epsilon <= most and limits.dtype.type(epsilon * factor)):  # a 0 that the caller gave is meant
        return
    least = max(float(limits.tiny), 2 * float(limits.smallest_subnormal) / factor)
    scaled = f" times {factor:.2g}, as the first step takes it," if factor < 1 and epsilon <= most else ""
    what, then = (
        ("infinite", "nothing would move")
        if epsilon > most
        else ("0", "an element whose gradient is 0 would become NaN")
    )
    raise OptimizerError(
        f"{where}: epsilon is {epsilon:g}, which{scaled} is {what} in {limits.dtype}, in which {table.label} is "
        f"trained: {then}; expected {least:.1g} to {most:g}, such as "
        f"epsilon=1e{math.ceil(math.log10(least))}"
    )


def gradients_of(where: str, cost_or_grads: Any, nodes: Sequence[Variable]) -> list[Variable]:
    """The gradients of a cost with respect to parameters, or those that were given, checked."""
    if not nodes:
        raise OptimizerError(f"{where}: there are no parameters; expected shared variables and subsets of their rows")
    if isinstance(cost_or_grads, Variable):
        if cost_or_grads.ndim:
            raise OptimizerError(
                f"{where}: the cost {cost_or_grads.label} has {counted(cost_or_grads.ndim, 'axis')}; expected a "
                "scalar: reduce it with .sum() or .mean(), or write [g] if it is the gradient g"
            )
        (cost,), over = widened([cost_or_grads], nodes)
        result: list[Variable] = grad(cost, over)
        return result
    if not isinstance(cost_or_grads, list | tuple):
        raise OptimizerError(
            f"{where}: the cost is {cost_or_grads!r}; expected a symbolic scalar, or a list of gradients"
        )
    given = [as_tensor(g) for g in cost_or_grads]
    if len(given) != len(nodes):
        raise OptimizerError(f"{where}: {len(given)} gradients for {len(nodes)} parameters; expected one each")
    checked = []
    for g, node in zip(given, nodes, strict=True):
        fits = g.ndim == node.ndim and all(
            a is None or b is None or a == b for a, b in zip(g.type.shape, node.type.shape, strict=True)
        )
        if not fits:
            raise ShapeError(
                f"{where}: the gradient {g.label} of {node.label} has type {g.type}; expected the shape of {node.type}"
            )
        if node.dtype in HALVES and is_float(g.dtype):
            node = cast(node, "float32")  # noqa: PLW2901  # in which it is trained
        checked.append(same_kind(g, node, f"{where}: gradient of {node.label}"))
    return checked


class _Assembly:
    """Makes state variables and expressions for all places of one call."""

    def __init__(self, settings: _Settings) -> None:
        self.s = settings
        self.made = Updates()
        self.steps: SharedVariable | None = None

    # --- state

    def state_variable(
        self, name: str, shape: tuple[int, ...], dtype: str, static: Sequence[int | None], start: Start | None = None
    ) -> SharedVariable:
        """State of a name. start: makes its first value; zeros where None."""
        reuse = self.s.reuse
        if reuse is None:
            first = call("zeros", shape, dtype) if start is None else start()
            variable = started(first, name, static)
        else:
            variable = _reused(self.s.where, reuse, name, shape, dtype, static)
        self.made.state.append(variable)
        return variable

    def slot(self, place: Place, slot: Slot, dtype: str | None = None) -> SharedVariable:
        table = place.shared
        shape = table.cell.shape
        static = table.type.shape
        if slot.by_row:
            shape, static = shape[: place.state_lead], static[: place.state_lead]
        first = None if slot.start is None else partial(_started, slot.start)
        start = None if first is None else partial(first, table)
        name = f"{place.name}.{self.s.rule.name}.{slot.name}"
        made = self.state_variable(name, shape, dtype or wide(table.dtype), static, start)
        if shape:
            made.beside = table
            made.cell.axes = None if table.axes is None else table.axes[: len(shape)]
            if first is not None:
                self.made.starts[made] = first
        return made

    def global_steps(self) -> SharedVariable:
        if self.steps is None:
            self.steps = self.state_variable(f"{self.s.rule.name}.steps", (), "int64", ())
        return self.steps

    def average(self, p: Place, beta: float) -> None:
        """Make the average of what a place trains."""
        value = self.slot(p, Slot("average", start=lambda w: w))
        last = self.slot(p, Slot("averaged", by_row=True), INDEX) if isinstance(p, RowPlace) else None
        self.made.averages[p.shared] = Average(p.shared, value, last, self.global_steps(), beta)

    # --- one call

    def updates(self, places: Sequence[tuple[Place, list[int]]], gradients: Sequence[Variable]) -> Updates:
        s, made = self.s, self.made
        made.parameters = [p.shared for p, _ in places]
        slots = {p.shared: {slot.name: self.slot(p, slot) for slot in s.rule.slots} for p, _ in places}
        for p, _ in places:
            if s.lagging and isinstance(p, RowPlace):
                rate, last = s.constant_rate, self.slot(p, Slot("last", by_row=True), INDEX)
                keep = s.keep() if s.decay else 1.0
                made.lags[p.shared] = Lag(
                    p.shared, s.rule, slots[p.shared], last, self.global_steps(), rate or 0.0, keep
                )
        if s.average is not None:
            for p, _ in places:
                self.average(p, s.average)
        places = list(zip(made.follow([p for p, _ in places]), [at for _, at in places], strict=True))
        gradients = made.read(gradients)
        made.places_written = {p.shared: p for p, _ in places}
        for option, tables in (("constraint", s.constraint), ("padding", s.padding)):
            for table in tables:
                if table not in made.places_written:
                    raise OptimizerError(
                        f"{s.where}: {option} names {table.label}, which is not among the parameters; expected a table "
                        "that is trained"
                    )
        if self.linear:
            return self.finish(self.subtract_all(places, gradients))
        for p, positions in places:
            p.take_gradient([gradients[i] for i in positions])
            if p.shared in s.padding:
                p.hold(held(s.where, p, s.padding[p.shared]))
        self.clip([p for p, _ in places])
        pairs: list[tuple[SharedVariable, Variable]] = []
        for p, _ in places:
            pairs += self.step(p, slots[p.shared])
        return self.finish(pairs)

    def finish(self, pairs: Sequence[tuple[SharedVariable, Variable]]) -> Updates:
        made = self.made
        made.update(pairs)
        if self.steps is not None:
            made[self.steps] = self.steps + 1
        return made

    @property
    def linear(self) -> bool:
        """Whether a step only adds multiples of gradients, so that equal rows need not be found."""
        s = self.s
        narrow = any(p.dtype in HALVES for p in self.made.parameters)
        return s.rule.name == "sgd" and not (
            s.clips or s.decay or s.constraint or s.padding or narrow or s.average is not None
        )

    def subtract_all(
        self, places: Sequence[tuple[Place, list[int]]], gradients: Sequence[Variable]
    ) -> list[tuple[SharedVariable, Variable]]:
        pairs = []
        for p, positions in places:
            rate = self.rate(p.shared.dtype)
            value: Variable = p.shared
            if isinstance(p, RowPlace | DensePlace):
                for subset, i in zip(p.subsets, positions, strict=True):
                    g = gradients[i]
                    if subset.param is not subset.node:
                        g = grad(None, subset.node, known_grads={subset.param: g}, add_names=False)
                    target = get_op(value, *subset.node.inputs[1:], index=subset.node.params["index"])
                    value = call("inc_subtensor", target, -rate * g)
            else:
                value = value - rate * gradients[positions[0]]
            pairs.append((p.shared, value))
        return pairs

    def rate(self, dtype: str) -> Variable:
        rate = self.s.rate
        if callable(rate):
            rate = as_tensor(rate(cast(self.global_steps(), wide(dtype))))
            if rate.ndim:
                raise OptimizerError(f"{self.s.where}: the schedule gave {rate!r}; expected a scalar")
        return cast(rate, dtype) if isinstance(rate, Variable) else constant(rate, dtype=dtype)

    def clip(self, places: Sequence[Place]) -> None:
        s = self.s
        for p in places:
            g = p.gradient
            if s.clip_value:
                g = call("clip", g, -s.clip_value, s.clip_value)
            if s.clip_row:
                g = g * p.spread(_shrink(p.row_squares(g), s.clip_row), g)
            p.gradient = g
        if s.clip_global:
            total: Variable | None = None
            dtype = wide(max((p.shared.dtype for p in places), key=lambda d: np.dtype(d).itemsize))
            for p in places:
                squares = cast(p.square_sum(cast(p.gradient, wide(p.shared.dtype))), dtype)
                total = squares if total is None else total + squares
            assert total is not None
            factor = _shrink(total, s.clip_global)
            for p in places:
                p.gradient = p.gradient * cast(factor, p.gradient.dtype)

    def step(self, p: Place, slots: dict[str, SharedVariable]) -> list[tuple[SharedVariable, Variable]]:
        s, table = self.s, p.shared
        lag = self.made.lags.get(table)
        if lag is not None:
            w, state = lag.current(p)
        else:
            w, state = cast(p.read(table), wide(table.dtype)), {name: p.read(v) for name, v in slots.items()}
        pairs: list[tuple[SharedVariable, Variable]] = []
        count = None
        if s.rule.counted:
            if s.by_row and isinstance(p, RowPlace):
                counts = self.slot(p, Slot("count", by_row=True), INDEX)
                by_row = p.read(counts) + 1
                pairs.append((counts, p.written(counts, by_row)))
                count = cast(by_row, wide(table.dtype))
            else:
                count = cast(self.global_steps() + 1, wide(table.dtype))
        rate = self.rate(wide(table.dtype))
        done = s.rule.step(Point(p, w, p.gradient, state, rate, count))
        pairs = [(table, self._new_value(p, w, rate, done, stale=lag is not None)), *pairs]
        pairs += [(slots[name], p.written(slots[name], value)) for name, value in done.state.items()]
        if lag is not None:
            now = call("zeros_like", p.read(lag.last)) + (lag.steps + 1)
            pairs.append((lag.last, p.written(lag.last, now)))
        average = self.made.averages.get(table)
        if average is not None:
            assert p.value is not None
            pairs += average.stepped(p, p.kept(table, p.value))
        return pairs

    def _new_value(self, p: Place, w: Variable, rate: Variable, done: Step, stale: bool) -> Variable:
        constraint, value = self.s.constraint.get(p.shared), done.value
        if value is None:
            assert done.change is not None
            plain = self.s.average is None and p.shared.dtype not in HALVES
            if plain and not (self.s.decay or stale or constraint):
                return p.added(p.shared, done.change)
            if self.s.decay:
                w = w * (1 - rate * self.s.decay if self.s.constant_rate is None else self.s.keep())
            value = w + done.change
        if constraint is not None:
            value = constrained(self.s.where, p, constraint, value)
        p.value = rounded(p, value, self.draw_key(p))
        return p.written(p.shared, p.value)

    def draw_key(self, p: Place) -> Variable | None:
        """The key by which this step rounds the rows of a table at random; None where it does not."""
        if self.s.seed is None or p.shared.dtype not in HALVES:
            return None
        return fold_in(fold_in(key(self.s.seed), self.made.parameters.index(p.shared)), self.global_steps())


def _started(start: Callable[[Variable], Variable], rows: Variable) -> Variable:
    return start(cast(rows, wide(rows.dtype)))


def _shrink(squares: Variable, bound: float) -> Variable:
    """The factor that brings a norm, given squared, down to `bound`; 1 where it is not above."""
    norm = call("sqrt", squares)
    return call("where", norm > bound, bound / norm, 1)


def _reused(
    where: str, reuse: Updates, name: str, shape: tuple[int, ...], dtype: str, static: Sequence[int | None]
) -> SharedVariable:
    found = [v for v in reuse.state if v.name == name]
    if not found:
        names = ", ".join(str(v.name) for v in reuse.state) or "nothing"
        raise OptimizerError(f"{where}: the given state has no {name!r}; it holds {names}")
    have = found[0].cell.shape
    if have != shape or found[0].dtype != dtype or found[0].type.shape != tuple(static):
        raise OptimizerError(
            f"{where}: the given state {name!r} is {found[0].dtype} of shape {have}; expected {dtype} of shape {shape}"
        )
    return found[0]
