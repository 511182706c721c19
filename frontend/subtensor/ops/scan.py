"""``scan`` with the arguments of Theano's, and its short forms ``map``, ``reduce``, ``foldl`` and ``foldr``."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from subtensor.errors import DTypeError, FunctionError, ShapeError, UpdateError, counted
from subtensor.graph.constants import as_tensor, constant, is_weak
from subtensor.graph.nodes import OPS, Constant, Input, Variable, call, replace, toposort
from subtensor.graph.operators import public, publish
from subtensor.graph.shared import SharedVariable, default_updates
from subtensor.graph.types import INDEX, TensorType, is_float, is_integer
from subtensor.ops.elementwise import cast
from subtensor.ops.loop import FINAL, STACK, Call, Loop, closed, element_type
from subtensor.ops.shape import fixed_shape, length


class until:  # noqa: N801  # Theano's name
    """What a body returns to say when to stop: no iteration follows one in which `condition`, a scalar, is true."""

    def __init__(self, condition: Any) -> None:
        node = as_tensor(condition)
        if node.ndim:
            raise ShapeError(f"until: {node.label} has {counted(node.ndim, 'axis')}; expected a scalar")
        self.condition = node if node.dtype == "bool" else call("not_equal", node, constant(0, dtype=node.dtype))


publish("until", until)


class ScanUpdates(dict[SharedVariable, Variable]):
    """Shared variable → its value after the loop; give it to ``function(updates=…)``. ``+`` adds pairs, or a dict."""

    def __add__(self, other: Any) -> ScanUpdates:
        return ScanUpdates([*self.items(), *(other.items() if isinstance(other, Mapping) else other)])

    def __radd__(self, other: Any) -> ScanUpdates:
        return ScanUpdates([*(other.items() if isinstance(other, Mapping) else other), *self.items()])


@dataclass(frozen=True, slots=True)
class _Sequence:
    """Something to go through. node: with a first axis. taps: which elements an iteration sees, relative to its own."""

    node: Variable
    taps: tuple[int, ...]

    @property
    def lead(self) -> int:
        """How many elements lie before the first iteration's own."""
        return -min(*self.taps, 0)

    @property
    def span(self) -> int:
        """How many elements there are more than iterations."""
        return max(*self.taps, 0) + self.lead


@dataclass(frozen=True, slots=True)
class _Recurrent:
    """An output. initial: None where the body does not see earlier values; with a first axis where `taps` is not -1.

    weak: whether `initial` is a Python number, whose dtype gives way to what the body returns.
    """

    initial: Variable | None
    taps: tuple[int, ...]
    weak: bool = False

    @property
    def depth(self) -> int:
        """How many earlier values are carried."""
        return -min(self.taps, default=0)

    @property
    def alone(self) -> bool:
        """Whether `initial` is one value, without an axis for time."""
        return self.taps == (-1,)


@public
def scan(
    fn: Callable[..., Any],
    sequences: Any = None,
    outputs_info: Any = None,
    non_sequences: Any = None,
    n_steps: Any = None,
    truncate_gradient: int = -1,
    go_backwards: bool = False,
    mode: Any = None,
    name: str | None = None,
    profile: Any = False,
    allow_gc: Any = None,
    strict: bool = False,
    return_list: bool = False,
    return_updates: bool = True,
) -> Any:
    """A loop: `fn` builds the graph of one iteration, and is called once.

    fn: takes elements of the sequences (each with its taps in order), then earlier outputs (likewise), then the
    non-sequences. Returns outputs: a node or a list; and, in any order, updates (a dict or pairs of shared variables
    and new values) and a condition, ``until(c)``, to stop after an iteration.
    sequences: tensors that are gone through along their first axis, all of one length (but for an ``arange``, which may
    be longer: it counts), or dicts of `input` and `taps`
    (``[-1, 0]``: the element before, and the iteration's own).
    outputs_info: for each output, None where earlier values are not looked at; a node, the value before the first
    iteration; or a dict of `initial` and `taps`: with other taps than ``[-1]``, `initial` has a first axis with the
    values before the first iteration, the latest last. A Python float is of ``config.floatX``.
    non_sequences: passed on as they are. What else the body uses is found.
    n_steps: how many iterations, an int or an integer scalar; sequences may be longer. truncate_gradient: over how many
    iterations, from the end, gradients are carried; -1 for all. go_backwards: from the sequences' ends; outputs come in
    the order of the iterations. strict: refuse shared variables that are used and not listed. mode, profile and
    allow_gc are accepted for programs written for the peers, and have no effect.

    Returns ``(outputs, updates)``: outputs with a first axis for the iterations (a node where there is one, None where
    there is none), and what shared variables are afterwards; the former alone without `return_updates`. Raises
    ShapeError, DTypeError, DomainError, UpdateError and FunctionError, naming the loop.
    """
    outputs, updates = _scanned(
        fn, sequences, outputs_info, non_sequences, n_steps, truncate_gradient, go_backwards, name, strict, return_list
    )
    return (outputs, updates) if return_updates else outputs


def _scanned(
    fn: Callable[..., Any], sequences: Any, outputs_info: Any, non_sequences: Any, n_steps: Any, truncate: int,
    backwards: bool, name: str | None, strict: bool, return_list: bool,
) -> tuple[Any, ScanUpdates]:  # fmt: skip
    where = f"scan {name!r}" if name else "scan"
    given = [_sequence(s, where) for s in _listed(sequences)]
    infos = [_recurrent(o, where) for o in _listed(outputs_info)]
    others = [as_tensor(v) for v in _listed(non_sequences)]
    steps = _steps(given, n_steps, where)

    # what the body is called with
    values: dict[Variable, Variable] = {}
    elements: list[Variable] = []
    place: Variable
    decisive = _decisive(given) if n_steps is None else []
    for s in given:
        for tap in s.taps:
            part = _shifted(s, tap, _count(s) if s in decisive else steps, backwards)
            place = Input(element_type(part), name=_tapped(s.node, tap))
            values[place] = part
            elements.append(place)
    states: list[list[Variable]] = []  # of each output, earliest first
    seen: list[Variable] = []
    for k, o in enumerate(infos):
        states.append(_states(o, values, f"{where}: output {k}"))
        seen += [states[-1][o.depth + tap] for tap in o.taps]
    outputs, pairs, condition = _returned(fn(*elements, *seen, *others), where)
    if infos and len(infos) != len(outputs):
        raise FunctionError(
            f"{where}: the body returns {counted(len(outputs), 'output')}; outputs_info has {len(infos)}; "
            "expected one each"
        )
    infos = infos or [_Recurrent(None, ()) for _ in outputs]
    states = states or [[] for _ in outputs]

    # what is carried
    following: dict[Variable, Variable] = {}
    for k, carried in enumerate(states):
        following.update(pairwise(carried))
        if carried:
            following[carried[-1]] = outputs[k]
    shared = _updates(outputs, pairs, condition, where)
    for variable, (place, new) in shared.items():
        values[place], following[place] = variable, new
    if strict:
        _refuse_unlisted([*following.values(), *outputs], [*others, *values, *shared], where)
    renamed: dict[Variable, Variable] = {v: v for v in others}  # made outside, whatever they are made of
    renamed.update((variable, place) for variable, (place, _) in shared.items())
    renamed.update(_widened(infos, states, outputs, values, following))
    counter = Input(TensorType(INDEX), name="iteration") if condition is not None else None
    if counter is not None:
        values[counter] = constant(0, dtype=INDEX)
        following[counter] = call("add", counter, constant(1, dtype=INDEX))

    # the body, closed
    states_before = list(following)
    roots = [*following.values(), *outputs, *([] if condition is None else [condition])]
    roots = replace(roots, renamed)
    places = [renamed.get(p, p) for p in states_before]
    varying = [*elements, *places]
    roots = replace(roots, _outer_lengths(roots, elements, values))
    roots, captured = closed(roots, varying)
    values.update((place, value) for value, place in captured.items())
    kept = [_kept(p, f, where) for p, f in zip(places, roots, strict=False)]
    outputs = roots[len(places) : len(places) + len(outputs)]
    probe = Input(TensorType(INDEX))
    loop = Loop(
        sequences=tuple(elements), states=tuple(places), captured=tuple(captured.values()), following=tuple(kept),
        stop=None if condition is None else roots[-1], counter=counter, truncate=_truncation(truncate, where),
        name=name, place=probe.place,
    )  # fmt: skip
    run = Call(loop, steps, values)
    stacked = [run.ask(STACK, o) for o in outputs]
    if counter is not None:
        count = run.ask(FINAL, counter)
        stacked = [o[:count] for o in stacked]
    final = ScanUpdates((s, run.ask(FINAL, place)) for s, (place, _) in shared.items())
    if return_list or len(stacked) > 1:
        return stacked, final
    return (stacked[0] if stacked else None), final


# --- what is given


def _listed(given: Any) -> list[Any]:
    if given is None:
        return []
    return list(given) if isinstance(given, list | tuple) else [given]


def _taps(given: Any, where: str) -> tuple[int, ...]:
    try:
        return (operator.index(given),)
    except TypeError:
        pass
    try:
        taps = tuple(operator.index(t) for t in given)
    except TypeError as error:
        raise FunctionError(f"{where}: taps={given!r}; expected a list of ints") from error
    if len(set(taps)) != len(taps):
        raise FunctionError(f"{where}: taps={given!r} name an element twice; expected distinct ones")
    return taps


def _options(given: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    unknown = [k for k in given if k not in known]
    if unknown:
        raise FunctionError(f"{where}: got {', '.join(map(repr, unknown))}; expected {', '.join(map(repr, known))}")


def _sequence(given: Any, where: str) -> _Sequence:
    taps: tuple[int, ...] = (0,)
    if isinstance(given, Mapping):
        _options(given, ("input", "taps"), f"{where}: a sequence")
        if given.get("input") is None:
            raise FunctionError(f"{where}: a sequence has no 'input'; expected {{'input': x, 'taps': [...]}}")
        if given.get("taps") is not None:
            taps = _taps(given["taps"], f"{where}: a sequence")
        given = given["input"]
    node = as_tensor(given)
    if not node.ndim:
        raise ShapeError(f"{where}: the sequence {node.label} is a scalar; expected at least one axis")
    return _Sequence(node, taps or (0,))


def _recurrent(given: Any, where: str) -> _Recurrent:
    taps: tuple[int, ...] | None = None
    if isinstance(given, Mapping):
        _options(given, ("initial", "taps", "inplace", "return_steps", "store_steps"), f"{where}: an output")
        if given.get("taps") is not None:
            taps = _taps(given["taps"], f"{where}: an output")
        given = given.get("initial")
        if given is None and taps:
            raise FunctionError(
                f"{where}: taps={list(taps)} of an output without 'initial'; expected the values before"
            )
    if given is None:
        return _Recurrent(None, ())
    taps = taps or (-1,)
    if max(taps) >= 0:
        raise FunctionError(f"{where}: taps={list(taps)} of an output; expected negative ones, for earlier values")
    initial = as_tensor(given)
    if taps != (-1,):
        depth = -min(taps)
        have = initial.type.shape[0] if initial.ndim else 0
        if have is not None and have < depth:
            raise ShapeError(
                f"{where}: taps={list(taps)} reach {depth} values back, and the initial state {initial.label} has "
                f"{have}; expected at least {depth} along its first axis"
            )
    return _Recurrent(initial, taps, is_weak(given))


def _steps(given: Sequence[_Sequence], n_steps: Any, where: str) -> Variable:
    """The number of iterations."""
    if n_steps is not None:
        steps = as_tensor(n_steps)
        if steps.ndim or not is_integer(steps.dtype):
            raise DTypeError(f"{where}: n_steps is {steps.type}, {steps.label}; expected an int or an integer scalar")
        if isinstance(steps, Constant):
            return constant(int(steps.data), dtype=INDEX)
        return cast(steps, INDEX)
    if not given:
        raise FunctionError(f"{where}: got neither sequences nor n_steps; expected one of the two")
    counts = [_count(s) for s in _decisive(given)]
    return next((c for c in counts if c.known is not None), counts[0])


def _decisive(given: Sequence[_Sequence]) -> list[_Sequence]:
    """The sequences whose lengths say how many iterations there are, which the loop checks to be one number.

    Of sequences of one length those with the most taps do. An ``arange`` beside others only counts, and may be longer.
    """
    others = [s for s in given if s.node.op is None or s.node.op.name != "arange"] or list(given)
    longest = max((s.span for s in others), default=0)
    return [s for s in others if s.span == longest]


def _count(s: _Sequence) -> Variable:
    n = length(s.node, 0)
    if not s.span:
        return n
    return constant(max(0, int(n.known) - s.span)) if n.known is not None else call("maximum", n - s.span, 0)


def _shifted(s: _Sequence, tap: int, steps: Variable, backwards: bool) -> Variable:
    """The elements that iterations see at a tap, one for each."""
    x = s.node[::-1] if backwards else s.node
    start = max(*s.taps, 0) - tap if backwards else s.lead + tap
    if not start and steps is length(x, 0):
        return x
    return x[start : start + steps]


def _tapped(node: Variable, tap: int) -> str:
    return f"{node.name or 'sequence'}[t]" if not tap else f"{node.name or 'sequence'}[t{tap:+d}]"


def _states(o: _Recurrent, values: dict[Variable, Variable], where: str) -> list[Variable]:
    """Placeholders for the values that are carried of an output, earliest first."""
    if o.initial is None:
        return []
    places: list[Variable] = []
    for tap in range(-o.depth, 0):
        value = o.initial if o.alone else o.initial[o.depth + tap]
        place = Input(value.type, name=f"{o.initial.name or 'state'}[t{tap:+d}]")
        values[place] = value
        places.append(place)
    return places


# --- what is returned


def _is_node(value: Any) -> bool:
    return isinstance(value, Variable | bool | int | float) or (hasattr(value, "dtype") and hasattr(value, "shape"))


def _is_outputs(value: Any) -> bool:
    return _is_node(value) or (isinstance(value, list | tuple) and all(map(_is_node, value)))


def _is_updates(value: Any) -> bool:
    if isinstance(value, Mapping):
        return True
    return isinstance(value, list | tuple) and all(map(_is_update, value))


def _is_update(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and isinstance(value[0], SharedVariable)


def _returned(got: Any, where: str) -> tuple[list[Variable], list[tuple[Any, Any]], Variable | None]:
    """Outputs, updates and condition, whichever of them a body returns, in any order."""
    if got is None:
        return [], [], None
    if isinstance(got, until):
        return [], [], got.condition
    parts = [got]
    if not _is_outputs(got) and not _is_updates(got) and isinstance(got, list | tuple):
        parts = list(got)
        if parts and all(_is_node(p) or isinstance(p, until) for p in parts):  # [a, b, until(c)]
            parts = [[p for p in parts if not isinstance(p, until)], *(p for p in parts if isinstance(p, until))]
    outputs: list[Variable] = []
    pairs: list[tuple[Any, Any]] = []
    condition: Variable | None = None
    for part in parts:
        if isinstance(part, until):
            condition = part.condition
        elif isinstance(part, list | tuple) and not part:
            continue
        elif _is_updates(part):
            pairs += list(part.items() if isinstance(part, Mapping) else part)
        elif _is_outputs(part):
            outputs += [as_tensor(v) for v in _listed(part)]
        else:
            raise FunctionError(
                f"{where}: the body returns {part!r}; expected nodes, updates (a dict or pairs) and until(condition)"
            )
    return outputs, pairs, condition


def _updates(
    outputs: Sequence[Variable], pairs: Iterable[tuple[Any, Any]], condition: Variable | None, where: str
) -> dict[SharedVariable, tuple[Variable, Variable]]:
    """The shared variables that an iteration changes: a placeholder for the value before it, and the value after."""
    found: dict[SharedVariable, tuple[Variable, Variable]] = {}
    queue = list(pairs)
    for s, value in queue:
        if not isinstance(s, SharedVariable):
            raise UpdateError(f"{where}: the body updates {s!r}; expected shared variables")
        if s in found:
            raise UpdateError(f"{where}: the body updates {s.label} twice; expected one new value for each")
        found[s] = (
            Input(s.type, name=s.name),
            as_tensor(value) if not is_weak(value) else constant(value, dtype=s.dtype),
        )
    roots = [*outputs, *(new for _, new in found.values()), *([] if condition is None else [condition])]
    found.update((s, (Input(s.type, name=s.name), new)) for s, new in default_updates(roots, found))
    return found


def _refuse_unlisted(roots: Sequence[Variable], listed: Sequence[Variable], where: str) -> None:
    known = set(listed)
    for v in toposort(roots, stop=known.__contains__):
        if isinstance(v, SharedVariable) and v not in known:
            raise FunctionError(
                f"{where}: with strict=True, the body uses {v.label}, which is not among the sequences and "
                "non_sequences; list it, or leave strict out"
            )


# --- states keep their types


def _widened(
    infos: Sequence[_Recurrent], states: Sequence[Sequence[Variable]], outputs: Sequence[Variable],
    values: dict[Variable, Variable], following: dict[Variable, Variable],
) -> dict[Variable, Variable]:  # fmt: skip
    """States that began as Python numbers, in the dtype of what the body returns: old placeholder → new."""
    renamed: dict[Variable, Variable] = {}
    for o, carried, output in zip(infos, states, outputs, strict=True):
        if not o.weak or not carried or output.dtype == carried[0].dtype:
            continue
        if _kind(output.dtype) < _kind(carried[0].dtype):
            continue
        for place in carried:
            new = Input(TensorType(output.dtype, place.type.shape), name=place.name)
            values[new] = cast(values.pop(place), output.dtype)
            renamed[place] = new
    return renamed


def _kind(dtype: str) -> int:
    """Bools, integers, floats: a number of one goes into those after it."""
    return is_integer(dtype) + 2 * is_float(dtype)


def _kept(state: Variable, new: Variable, where: str) -> Variable:
    """The next value of a state, with the promise that it has the state's shape."""
    if new.dtype != state.dtype or new.ndim != state.ndim:
        raise DTypeError(
            f"{where}: the state {state.label} begins as {state.type}, and the body, at {new.place}, makes it "
            f"{new.type}, {new.label}; expected the same: cast the initial value, or what is returned, with "
            f".astype('{state.dtype}')"
        )
    for axis, (have, got) in enumerate(zip(state.type.shape, new.type.shape, strict=True)):
        if have is not None and got is not None and have != got:
            raise ShapeError(
                f"{where}: the state {state.label} begins as {state.type}, and the body, at {new.place}, makes it "
                f"{new.type}, {new.label}: axis {axis} is {got}; expected {have}"
            )
    if any(d is not None and v is None for d, v in zip(state.type.shape, new.type.shape, strict=True)):
        return fixed_shape(new, shape=state.type.shape)
    return new


def _outer_lengths(
    roots: Sequence[Variable], elements: Sequence[Variable], values: Mapping[Variable, Variable]
) -> dict[Variable, Variable]:
    """Lengths of placeholders, read off what they stand for."""
    sequences = set(elements)
    return {
        v: length(values[p], v.params["axis"] + (p in sequences))
        for v in toposort(roots)
        if v.op is OPS["length"] and (p := v.inputs[0]) in values
    }


def _truncation(k: int, where: str) -> int:
    k = operator.index(k)
    if k == 0 or k < -1:
        raise FunctionError(f"{where}: truncate_gradient={k}; expected a number of iterations, or -1 for all")
    return k


# --- short forms


@public
def map_(
    fn: Callable[..., Any], sequences: Any, non_sequences: Any = None, truncate_gradient: int = -1,
    go_backwards: bool = False, mode: Any = None, name: str | None = None,
) -> tuple[Any, ScanUpdates]:  # fmt: skip
    """``scan`` without states: `fn` of each element. Returns ``(outputs, updates)``."""
    return _scanned(fn, sequences, None, non_sequences, None, truncate_gradient, go_backwards, name, False, False)


@public
def reduce_(
    fn: Callable[..., Any], sequences: Any, outputs_info: Any, non_sequences: Any = None, go_backwards: bool = False,
    mode: Any = None, name: str | None = None,
) -> tuple[Any, ScanUpdates]:  # fmt: skip
    """``scan`` of which only the last outputs are given; there must be an element. Returns ``(outputs, updates)``."""
    outputs, updates = _scanned(fn, sequences, outputs_info, non_sequences, None, -1, go_backwards, name, False, True)
    last = [o[-1] for o in outputs]
    return (last[0] if len(last) == 1 else last), updates


@public
def foldl(
    fn: Callable[..., Any], sequences: Any, outputs_info: Any, non_sequences: Any = None, mode: Any = None,
    name: str | None = None,
) -> tuple[Any, ScanUpdates]:  # fmt: skip
    """``reduce`` from the first element to the last."""
    return reduce_(fn, sequences, outputs_info, non_sequences, False, mode, name)


@public
def foldr(
    fn: Callable[..., Any], sequences: Any, outputs_info: Any, non_sequences: Any = None, mode: Any = None,
    name: str | None = None,
) -> tuple[Any, ScanUpdates]:  # fmt: skip
    """``reduce`` from the last element to the first."""
    return reduce_(fn, sequences, outputs_info, non_sequences, True, mode, name)
