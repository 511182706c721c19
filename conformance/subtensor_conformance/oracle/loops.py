"""Loops: the body is evaluated again for each iteration, over what the iteration before it gave."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from subtensor_conformance.oracle.nodes import Context, Leaf, Node, apply, as_node, cast, looking_inside, public
from subtensor_conformance.oracle.values import Array, is_float, size


class until:  # noqa: N801  # the frontend's name
    """A condition to stop after an iteration."""

    def __init__(self, condition: Any) -> None:
        self.condition = as_node(condition)


def element(x: Array, k: int) -> Array:
    n = size(x.shape[1:])
    return Array(x.dtype, x.shape[1:], x.data[k * n : (k + 1) * n])


def stacked(values: Sequence[Array], like: Array) -> Array:
    data = tuple(v for a in values for v in a.data)
    return Array(like.dtype, (len(values), *like.shape), data)


def _listed(given: Any) -> list[Any]:
    if given is None:
        return []
    return list(given) if isinstance(given, list | tuple) else [given]


class _Output:
    """An output: what came before, earliest first, as a node with or without a first axis, and which of it is seen."""

    def __init__(self, info: Any) -> None:
        options = info if isinstance(info, Mapping) else {"initial": info}
        initial = options.get("initial")
        self.taps: list[int] = list(options.get("taps") or [-1]) if initial is not None else []
        self.weak = isinstance(initial, bool | int | float)
        self.initial = None if initial is None else as_node(initial)
        self.places = [Leaf("state") for _ in self.taps]

    def before(self, context: Context) -> list[Array]:
        if self.initial is None:
            return []
        value = context.value(self.initial)
        return [value] if self.taps == [-1] else [element(value, k) for k in range(-min(self.taps))]


def _parts(got: Any) -> tuple[list[Node], dict[Any, Node], Node | None]:
    parts = list(got) if isinstance(got, tuple) else [got]
    outputs: list[Node] = []
    updates: dict[Any, Node] = {}
    condition: Node | None = None
    for p in parts:
        if isinstance(p, until):
            condition = p.condition
        elif isinstance(p, Mapping):
            updates.update({s: as_node(v) for s, v in p.items()})
        else:
            outputs += [as_node(v) for v in _listed(p)]
    return outputs, updates, condition


@public("scan")
def scan(
    fn: Callable[..., Any], sequences: Any = None, outputs_info: Any = None, non_sequences: Any = None,
    n_steps: Any = None, truncate_gradient: int = -1, go_backwards: bool = False, name: str | None = None,
) -> tuple[Any, dict[Any, Node]]:  # fmt: skip
    given = [s if isinstance(s, Mapping) else {"input": s} for s in _listed(sequences)]
    inputs = [as_node(s["input"]) for s in given]
    taps: list[list[int]] = [list(s.get("taps") or [0]) for s in given]
    elements = [[Leaf("element") for _ in t] for t in taps]
    infos = [_Output(o) for o in _listed(outputs_info)]
    others = [as_node(v) for v in _listed(non_sequences)]
    outputs, updates, stop = _parts(
        fn(*(e for es in elements for e in es), *(p for o in infos for p in o.places), *others)
    )
    infos = infos or [_Output(None) for _ in outputs]
    count = None if n_steps is None else as_node(n_steps)
    shared = list(updates)

    def run(context: Context) -> Any:
        values = [context.value(x) for x in inputs]
        spans = [(max(0, -min(t)), max(0, *t)) for t in taps]
        lengths = [v.shape[0] - a - b for v, (a, b) in zip(values, spans, strict=True)]
        steps = min(lengths) if count is None else int(context.value(count).item())
        history = [o.before(context) for o in infos]
        depths = [len(h) for h in history]
        state = {s: context.value(s) for s in shared}
        for t in range(steps):
            changes: dict[Node, Array] = dict(state)
            for v, (lead, tail), t_, es in zip(values, spans, taps, elements, strict=True):
                for tap, e in zip(t_, es, strict=True):
                    at = v.shape[0] - 1 - tail - t + tap if go_backwards else lead + t + tap
                    changes[e] = element(v, at)
            for o, h, d in zip(infos, history, depths, strict=True):
                for tap, place in zip(o.taps, o.places, strict=True):
                    changes[place] = h[d + t + tap]
            inner = context.where(changes)
            news = [inner.value(v) for v in outputs]
            if t == 0:  # a number takes the dtype of what is returned
                for o, h, new in zip(infos, history, news, strict=True):
                    if o.weak and is_float(new.dtype):
                        h[:] = [cast(v, new.dtype) for v in h]
            for h, new in zip(history, news, strict=True):
                h.append(new)
            state = {s: inner.value(new) for s, new in updates.items()}
            if stop is not None and inner.value(stop).item():
                break
        return [h[d:] for h, d in zip(history, depths, strict=True)], history, depths, state

    body = [*outputs, *updates.values(), *([] if stop is None else [stop])]
    args = [*inputs, *(o.initial for o in infos if o.initial is not None), *body, *shared, *([count] if count else [])]
    whole = apply(looking_inside(run), args, ("scan", tuple(elements[0]) if elements else id(fn)))

    def stack(k: int) -> Node:
        def rule(context: Context) -> Array:
            made: Any = context.value(whole)
            found, history, _, _ = made
            if found[k]:
                return stacked(found[k], found[k][0])
            if history[k]:
                return stacked([], history[k][0])
            zeros: dict[Node, Array] = {
                e: _nothing(context, x) for es, x in zip(elements, inputs, strict=True) for e in es
            }
            like: dict[Node, Array] = {
                p: h for o, hs in zip(infos, history, strict=True) for p, h in zip(o.places, hs, strict=False)
            }
            return stacked([], context.where({**zeros, **like}).value(outputs[k]))

        return apply(looking_inside(rule), [whole], ("stack", k))

    def after(s: Any) -> Node:
        def rule(context: Context) -> Array:
            made: Any = context.value(whole)
            final: Array = made[3][s]
            return final

        return apply(looking_inside(rule), [whole], ("after", shared.index(s)))

    results = [stack(k) for k in range(len(outputs))]
    single = results[0] if len(results) == 1 else results or None
    return single, {s: after(s) for s in shared}


def _nothing(context: Context, x: Node) -> Array:
    """An element of a sequence that has none."""
    value = context.value(x)
    shape = value.shape[1:]
    return Array(value.dtype, shape, (0,) * size(shape))


@public("until")
def until_(condition: Any) -> until:
    return until(condition)


@public("map")
def map_(fn: Callable[..., Any], sequences: Any, non_sequences: Any = None) -> Any:
    return scan(fn, sequences, None, non_sequences)


@public("reduce", "foldl")
def reduce_(fn: Callable[..., Any], sequences: Any, outputs_info: Any, non_sequences: Any = None) -> Any:
    outputs, updates = scan(fn, sequences, outputs_info, non_sequences)
    return outputs[-1], updates


@public("foldr")
def foldr(fn: Callable[..., Any], sequences: Any, outputs_info: Any, non_sequences: Any = None) -> Any:
    outputs, updates = scan(fn, sequences, outputs_info, non_sequences, go_backwards=True)
    return outputs[-1], updates


@public("ifelse")
def ifelse(condition: Any, x: Any, y: Any) -> Node:
    """One of two; the other one is not evaluated."""
    test, one, other = as_node(condition), as_node(x), as_node(y)

    def rule(context: Context) -> Array:
        return context.value(one if context.value(test).item() else other)

    return apply(looking_inside(rule), (test, one, other), "ifelse")
