"""``vectorize``: a function of small tensors, applied to each of many."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from subtensor.errors import ShapeError, counted
from subtensor.graph.constants import as_tensor, constant
from subtensor.graph.nodes import OPS, Input, Variable, replace, toposort
from subtensor.graph.operators import public
from subtensor.ops.elementwise import ELEMENTWISE
from subtensor.ops.loop import STACK, Call, Loop, closed
from subtensor.ops.shape import (
    broadcast_dims_of,
    broadcast_to_dims,
    length,
    lengths,
    of_lengths,
    product,
    reshape,
)

_TERM = r"\(\s*(?:\w+\s*(?:,\s*\w+\s*)*)?\)"
_SIGNATURE = re.compile(rf"\s*{_TERM}(?:\s*,\s*{_TERM})*\s*->\s*{_TERM}(?:\s*,\s*{_TERM})*\s*")


def _terms(signature: str) -> list[list[list[str]]]:
    """``(m,n),(n)->(m)`` as the names of the axes of each argument, and of each result."""
    if not _SIGNATURE.fullmatch(signature):
        raise ShapeError(f"vectorize: signature={signature!r}; expected one such as '(m,n),(n)->(m)'")
    return [[re.findall(r"\w+", term) for term in re.findall(_TERM, side)] for side in signature.split("->")]


@public
def vectorize(pyfunc: Callable[..., Any], signature: str | None = None) -> Callable[..., Any]:
    """A function that applies `pyfunc` to each element of its arguments, or each tensor in them: ``numpy.vectorize``.

    pyfunc: from nodes to a node, or to several; it is called once, on nodes without the leading axes. signature: the
    axes that it takes and gives, such as ``(m,n),(n)->(m)``; scalars where there is none. The other, leading axes of
    the arguments broadcast, and stand before those of the results. Arithmetic on scalars becomes arithmetic on tensors;
    anything else is done for one after another. Raises ShapeError for arguments that do not fit.
    """
    given = None if signature is None else _terms(signature)

    def vectorized(*args: Any) -> Any:
        nodes = [as_tensor(a) for a in args]
        terms = [[] for _ in nodes] if given is None else given[0]
        nodes = _fitted(nodes, terms)
        cores = [len(t) for t in terms]
        places = [Input(n.type.with_shape(n.type.shape[n.ndim - c :])) for n, c in zip(nodes, cores, strict=True)]
        made = pyfunc(*places)
        results = [as_tensor(r) for r in (made if isinstance(made, list | tuple) else [made])]
        _check_results(results, None if given is None else given[1])
        outputs = [_mapped(r, places, nodes, cores) for r in results]
        return type(made)(outputs) if isinstance(made, list | tuple) else outputs[0]

    return vectorized


def _fitted(nodes: Sequence[Variable], terms: Sequence[Sequence[str]]) -> list[Variable]:
    """The arguments, of which axes of one name are known to have one length, or checked at the call."""
    if len(nodes) != len(terms):
        raise ShapeError(f"vectorize: {counted(len(nodes), 'argument')}; the signature has {len(terms)}")
    known: dict[str, Variable] = {}
    result = []
    for node, term in zip(nodes, terms, strict=True):
        first = node.ndim - len(term)
        if first < 0:
            raise ShapeError(
                f"vectorize: {node.label} has {counted(node.ndim, 'axis')}; the signature asks for ({', '.join(term)})"
            )
        want = [known.setdefault(name, length(node, first + i)) for i, name in enumerate(term)]
        result.append(of_lengths("vectorize", node, [*(None for _ in range(first)), *want]))
    return result


def _check_results(results: Sequence[Variable], terms: Sequence[Sequence[str]] | None) -> None:
    if terms is None:
        terms = [[] for _ in results]
    if len(results) != len(terms) or any(r.ndim != len(t) for r, t in zip(results, terms, strict=False)):
        got = ", ".join(str(r.type) for r in results)
        want = ", ".join(f"({', '.join(t)})" for t in terms)
        raise ShapeError(f"vectorize: the function gave {got}; expected {want}, as the signature says")


def _mapped(result: Variable, places: Sequence[Variable], nodes: Sequence[Variable], cores: Sequence[int]) -> Variable:
    """`result`, an expression of `places`, for each of what stands in the leading axes of `nodes`."""
    shared = {p: n for p, n, c in zip(places, nodes, cores, strict=True) if n.ndim == c}
    (result,) = replace([result], shared)
    many = [(p, n, c) for p, n, c in zip(places, nodes, cores, strict=True) if n.ndim > c]
    if not many:
        return result
    batch = broadcast_dims_of(*(_leading(n, c) for _, n, c in many))
    if all(v.ndim == 0 and (v.op is None or v.op.name in _SCALAR) for v in toposort([result])):
        (whole,) = replace([result], {p: n for p, n, _ in many})
        return broadcast_to_dims(whole, batch)
    core_dims = [lengths(n)[n.ndim - c :] for _, n, c in many]
    rows = [
        reshape(broadcast_to_dims(n, [*batch, *dims]), [product(batch), *dims])
        for (_, n, _), dims in zip(many, core_dims, strict=True)
    ]
    free = [p for p, _, _ in many]
    known = {
        v: length(rows[free.index(v.inputs[0])], v.params["axis"] + 1)
        for v in toposort([result, *lengths(result)])
        if v.op is OPS["length"] and v.inputs[0] in free
    }
    # lengths that only a result tells: of one on zeros
    zeros = {p: broadcast_to_dims(constant(0, dtype=p.dtype), d) for p, d in zip(free, core_dims, strict=True)}
    dims = replace(replace(lengths(result), known), zeros)
    (body,), captured = closed(replace([result], known), free)
    loop = Loop(tuple(free), (), tuple(captured.values()), independent=True, name="vectorize", place=result.place)
    values = {**dict(zip(free, rows, strict=True)), **{place: value for value, place in captured.items()}}
    mapped = Call(loop, length(rows[0], 0), values).ask(STACK, body, dims)
    return reshape(mapped, [*batch, *dims])


_SCALAR = ELEMENTWISE | {"where", "cast"}


def _leading(node: Variable, core: int) -> Variable:
    """A tensor of the leading axes of a node, for their lengths."""
    return broadcast_to_dims(constant(False), lengths(node)[: node.ndim - core])
