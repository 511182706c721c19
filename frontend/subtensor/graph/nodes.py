"""The graph: ops as values, and interned immutable nodes.

Applying the same op with the same parameters to the same inputs gives the same node, so ``table[ids]`` written
twice is one subset, and ``is`` is structural equality. A node has one output.
"""

from __future__ import annotations

import hashlib
import os
import sys
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from types import CodeType, MappingProxyType
from typing import Any, Final, Protocol, TypeAlias, TypeVar
from weakref import WeakKeyDictionary, WeakSet, WeakValueDictionary

import numpy as np

from subtensor.errors import DTypeError, GraphError, SettingError
from subtensor.graph import forks
from subtensor.graph.cost import Cost, fault
from subtensor.graph.operators import FUNCTIONS, Operators
from subtensor.graph.roles import Axes
from subtensor.graph.types import BFLOAT16, Dim, Shape, TensorType

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Params: TypeAlias = Mapping[str, Any]


class Zero:
    """A cotangent that is said, not computed: see ``ZERO`` and ``DISCONNECTED``."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


ZERO: Final = Zero("ZERO")
"""The input influences the output, and the derivative is zero (``floor``, a comparison)."""
DISCONNECTED: Final = Zero("DISCONNECTED")
"""The output is not a differentiable function of the input at all (an index, a shape)."""
UNWRITTEN: Final = Zero("UNWRITTEN")
"""There is a derivative, and no rule for it: to ask for it is an error."""

Cotangent: TypeAlias = "Variable | Zero"
Length: TypeAlias = "Variable | tuple[Variable, int] | None"


class Argument(Protocol):
    """What a type rule may look at: a node while the graph is built, or a run-time value in a diagnosis."""

    @property
    def type(self) -> TensorType: ...

    @property
    def known(self) -> Array | None:
        """The value, where it is known."""

    @property
    def label(self) -> str:
        """What to call it in an error message."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The graph that is differentiated. order: its nodes, inputs first. wanted: those that must be met on the way."""

    order: Sequence[Variable]
    wanted: Collection[Variable]


@dataclass(frozen=True, slots=True)
class Joint:
    """How nodes that are computed together are differentiated together.

    families: nodes of the op, those that go together, none of which depends on another. vjp: members of a family, their
    cotangents, and where they stand, to pairs (ancestor, its cotangent); one may stand in several.
    """

    families: Callable[[Iterable[Variable]], list[list[Variable]]]
    vjp: Callable[[Sequence[Variable], Sequence[Variable], Surroundings], Sequence[tuple[Variable, Cotangent]]]


@dataclass(frozen=True, eq=False, slots=True, kw_only=True)
class Op:
    """An operation: its name and its meaning.

    name: unique; backends lower by name.
    infer: ``(*arguments, **params) -> TensorType``; raises where the arguments do not fit.
    vjp: ``(g, out, *inputs, **params)`` gives one cotangent per input: a node, ``ZERO``, ``DISCONNECTED`` or
        ``UNWRITTEN``.
    expand: ``(*inputs, **params) -> Variable`` in simpler ops, for backends that do not lower this one.
    check: ``(*arguments, **params)`` raises where run-time values break the contract (bounds, domains);
        called with all values known.
    dims: ``(axis, *inputs, **params)`` tells the length of an output axis without computing the output: as a 0-d
        node, or as ``(input, axis)`` whose length it is, or None where only the output tells.
    fresh: whether the result is always a new buffer, sharing memory with no input.
    cost: what applying it takes, where that differs from what is usual for its kind (see ``Cost``).
    joint: for ops of which several nodes are one computation.
    """

    name: str
    infer: Callable[..., TensorType]
    vjp: Callable[..., Sequence[Cotangent]]
    expand: Callable[..., Variable] | None = None
    check: Callable[..., None] | None = None
    dims: Callable[..., Length] | None = None
    fresh: bool = False
    cost: Cost | None = None
    joint: Joint | None = None

    def __call__(self, *inputs: Variable, **params: Any) -> Variable:
        if any(i.type.dtype == BFLOAT16 for i in inputs) and self.name not in MOVES:
            wide = [cast(i, "float32") if i.type.dtype == BFLOAT16 else i for i in inputs]
            result = apply(self, tuple(wide), params)
            return cast(result, BFLOAT16) if result.type.dtype == "float32" else result
        return apply(self, inputs, params)

    def __repr__(self) -> str:
        return self.name


MOVES = frozenset(
    {
        "assume_unique", "bounded_positions", "broadcast_to", "cast", "concatenate", "copy", "disconnected_grad",
        "expand_dims", "fixed_shape", "ifelse", "inc_subtensor", "length", "range_diagonal", "reshape", "scan",
        "set_subtensor", "spread_rows", "squeeze", "stack", "subtensor", "transpose", "virtual_axis", "virtual_flat",
        "where", "zero_grad",
    }
)  # fmt: skip
"""Ops that take bfloat16 as it is, for they only bring values elsewhere; others compute in float32 and round."""

OPS: dict[str, Op] = {}
"""Every op by name."""


def define(
    name: str,
    *,
    infer: Callable[..., TensorType],
    vjp: Callable[..., Sequence[Cotangent]],
    expand: Callable[..., Variable] | None = None,
    check: Callable[..., None] | None = None,
    dims: Callable[..., Length] | None = None,
    fresh: bool = False,
    cost: Cost | None = None,
    joint: Joint | None = None,
) -> Op:
    """Make an op and enter it into ``OPS``; a second op of the same name is refused, and a cost that cannot be."""
    op = Op(name=name, infer=infer, vjp=vjp, expand=expand, check=check, dims=dims, fresh=fresh, cost=cost, joint=joint)
    if name in OPS:
        raise GraphError(f"op {name!r} is defined twice; choose another name")
    if cost is not None and (wrong := fault(cost, infer)) is not None:
        raise GraphError(f"op {name!r}: {wrong}")
    OPS[name] = op
    return op


class Variable(Operators["Variable"]):
    """A node of the graph: an op applied to inputs, or a leaf (``op is None``). Immutable, but for its name.

    type: dtype and static shape. name: for people and messages, None or a string without control characters. Compared
    and hashed by identity.
    """

    __slots__ = ("__weakref__", "_place", "inputs", "name", "op", "params", "roots", "type")

    op: Op | None
    inputs: tuple[Variable, ...]
    params: Params
    type: TensorType
    name: str | None
    _place: tuple[CodeType, int] | None
    roots: tuple[Any, ...]
    """What ``graph.lengths`` has found of each axis; empty before it has found anything."""

    def __init__(
        self,
        type: TensorType,
        op: Op | None = None,
        inputs: tuple[Variable, ...] = (),
        params: Params = MappingProxyType({}),
        name: str | None = None,
    ) -> None:
        _set_type(self, type)
        _set_op(self, op)
        _set_inputs(self, inputs)
        _set_params(self, params)
        _set_name(self, name if name is None else checked_name(name))
        _set_roots(self, ())
        _set_place(self, _caller())

    def __setattr__(self, key: str, value: Any) -> None:
        if key in _FIXED:
            raise SettingError(
                f"{self.label}: {key} cannot be assigned, for nodes are immutable and shared by all that use them; "
                "apply an op for another node, or replace nodes in a graph with st.clone or givens"
            )
        object.__setattr__(self, key, checked_name(value) if key == "name" and value is not None else value)

    def __delattr__(self, key: str) -> None:
        raise SettingError(
            f"{self.label}: {key} cannot be deleted, for nodes are immutable; apply an op for another node"
        )

    @property
    def dtype(self) -> str:  # type: ignore[override]  # the mixin declares what is a property here
        return self.type.dtype

    @property
    def ndim(self) -> int:
        return len(self.type.shape)

    @property
    def shape_static(self) -> Shape:  # type: ignore[override]  # as above
        """The shape as far as it is known while the graph is built."""
        return self.type.shape

    @property
    def broadcastable(self) -> tuple[bool, ...]:
        return self.type.broadcastable

    @property
    def known(self) -> Array | None:
        return None

    @property
    def label(self) -> str:
        return describe(self)

    @property
    def place(self) -> str:
        """Where in the user's program this node was first made: ``file:line``."""
        if self._place is None:
            return "<unknown>"
        code, line = self._place
        return f"{code.co_filename}:{line}"

    def __repr__(self) -> str:
        return f"<{describe(self)}: {self.type}>"

    __hash__ = object.__hash__

    def __copy__(self) -> Variable:
        return self

    def __deepcopy__(self, memo: Any) -> Variable:
        return self  # nodes are immutable and interned; shared variables, which hold a value, are copied

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(
            f"pickle: {self.label} is a node of a graph, which lives in one process; keep the code that builds it, and "
            "the values of shared variables with st.save and st.load"
        )


def call(name: str, *args: Any, **kwargs: Any) -> Variable:
    """The public function `name` of a node, applied: for modules that lie below it."""
    result: Variable = FUNCTIONS[name](*args, **kwargs)
    return result


def cast(x: Variable, dtype: str) -> Variable:
    """The node that is `x` in another dtype."""
    return call("cast", x, dtype)


_FIXED = frozenset({"type", "op", "inputs", "params", "data", "cell", "axes"})
"""What a node is. Set once, by what follows: the setters of its slots, which ask nobody."""

_set_type, _set_op, _set_inputs, _set_params, _set_name, _set_roots, _set_place = (
    Variable.__dict__[slot].__set__ for slot in ("type", "op", "inputs", "params", "name", "roots", "_place")
)


def checked_name(name: Any, where: str = "name") -> str:
    """A name for a node or a function; raises DTypeError where it is no string, GraphError where it cannot be shown."""
    if not isinstance(name, str):
        raise DTypeError(f"{where}: {name!r} is of type {type(name).__name__}; expected a string, or None")
    if not name.isprintable() and any(unicodedata.category(c) in _UNSEEN or c in _TURNS for c in name):
        raise GraphError(
            f"{where}: {name!r} holds control characters, which messages and pictures cannot show; expected a string "
            "without them"
        )
    return name


_UNSEEN = ("Cc", "Cs", "Zl", "Zp")
_TURNS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""What changes the direction of the text around it."""


class Input(Variable):
    """A leaf that is given at each call. axes: the roles of its axes, None where it has none (``graph.roles``)."""

    __slots__ = ("axes",)

    axes: Axes

    def __init__(self, type: TensorType, name: str | None = None, axes: Axes = None) -> None:
        super().__init__(type, name=name)
        object.__setattr__(self, "axes", axes)


class Constant(Variable):
    """A leaf with a value; interned by dtype, shape and bits. ``data`` is read-only."""

    __slots__ = ("data",)

    data: Array

    def __init__(self, data: Array) -> None:
        super().__init__(TensorType(data.dtype.name, data.shape))
        object.__setattr__(self, "data", data)

    @property
    def known(self) -> Array:
        return self.data


_PACKAGE = str(Path(__file__).resolve().parents[1]) + os.sep
_lock = forks.lock(forks.NODES)
_nodes: WeakValueDictionary[Any, Variable] = WeakValueDictionary()


def _caller() -> tuple[CodeType, int] | None:
    """The innermost frame outside this package."""
    frame = sys._getframe(2)  # noqa: SLF001  # the documented way to a frame, and the only fast one
    while frame.f_code.co_filename.startswith(_PACKAGE):
        if frame.f_back is None:
            return None
        frame = frame.f_back
    return frame.f_code, frame.f_lineno


def apply(op: Op, inputs: tuple[Variable, ...], params: Params) -> Variable:
    """The node of `op` on `inputs`: the one that exists, or a new one whose type is inferred and checked."""
    key = (op, inputs, tuple(sorted(params.items())) if len(params) > 1 else tuple(params.items()))
    with _lock:
        node = _nodes.get(key)
        if node is None:
            node = Variable(op.infer(*inputs, **params), op, inputs, MappingProxyType(params))
            _nodes[key] = node
        return node


_DIGEST_FROM = 4096


def constant_node(value: Array, name: str | None = None) -> Constant:
    """The constant of `value`, which is copied; equal bits of equal dtype, shape and name give the same node."""
    raw = value.tobytes()
    key = (value.dtype.str, value.shape, raw if len(raw) < _DIGEST_FROM else hashlib.blake2b(raw).digest(), name)
    with _lock:
        node = _nodes.get(key)
        if node is None:
            data = value.astype(value.dtype.newbyteorder("="), order="C", copy=True)
            data.setflags(write=False)
            node = Constant(data)
            node.name = name
            _nodes[key] = node
        assert isinstance(node, Constant)
        return node


def toposort(
    outputs: Iterable[Variable],
    stop: Callable[[Variable], bool] | None = None,
    inputs: Callable[[Variable], Sequence[Variable]] = attrgetter("inputs"),
) -> list[Variable]:
    """All ancestors of `outputs`, each after its inputs; what `stop` accepts is listed but not entered.

    inputs: what a node comes after. Iterative: a graph may be deeper than Python's recursion limit.
    """
    order: list[Variable] = []
    done: set[Variable] = set()
    opened: set[Variable] = set()
    stack: list[tuple[Variable, bool]] = [(v, False) for v in reversed(list(outputs))]
    while stack:
        node, entered = stack.pop()
        if node in done or (not entered and node in opened):  # the latter only where `inputs` makes a circle
            continue
        before = inputs(node)
        if entered or not before or (stop is not None and stop(node)):
            done.add(node)
            order.append(node)
            continue
        opened.add(node)
        stack.append((node, True))
        stack.extend((i, False) for i in reversed(before) if i not in done)
    return order


Families: TypeAlias = "dict[Variable, list[Variable]]"


def toposort_families(
    outputs: Iterable[Variable], stop: Callable[[Variable], bool] | None = None
) -> tuple[list[Variable], Families]:
    """All ancestors of `outputs`, each after its inputs and after those of its family; and the families by member.

    Families are what is computed together (``Op.joint``), in the order of the list; what `stop` accepts has none.
    """
    outputs = list(outputs)
    order = toposort(outputs, stop)
    by_op: dict[Op, list[Variable]] = {}
    for node in order:
        if node.op is not None and node.op.joint is not None and not (stop is not None and stop(node)):
            by_op.setdefault(node.op, []).append(node)
    if not by_op:
        return order, {}
    found = [family for op, nodes in by_op.items() if op.joint is not None for family in op.joint.families(nodes)]
    union = {node: tuple(i for m in family for i in m.inputs) for family in found for node in family if len(family) > 1}
    if union:
        joined = toposort(outputs, stop, lambda node: union.get(node, node.inputs))
        position = {node: k for k, node in enumerate(joined)}
        if any(position[i] > position[node] for node in joined for i in node.inputs if i in position):
            found = [[node] for family in found for node in family]  # families that wait for each other
        else:
            order = joined
            found = [sorted(family, key=position.__getitem__) for family in found]
    return order, {node: family for family in found for node in family}


def leaves(outputs: Iterable[Variable]) -> list[Variable]:
    """The leaves that `outputs` depend on, constants included, in order of first use."""
    return [v for v in toposort(outputs) if v.op is None]


def replace(outputs: Sequence[Variable], mapping: Mapping[Variable, Variable]) -> list[Variable]:
    """`outputs` with nodes replaced simultaneously; what is put in is not searched again."""
    new: dict[Variable, Variable] = dict(mapping)
    for node in toposort(outputs, stop=mapping.__contains__):
        if node not in new:
            new[node] = rebuild(node, [new[i] for i in node.inputs])
    return [new[o] for o in outputs]


def rebuild(node: Variable, inputs: Sequence[Variable]) -> Variable:
    """`node` over other inputs; keeps the name where the node changes."""
    if all(a is b for a, b in zip(node.inputs, inputs, strict=True)):
        return node
    assert node.op is not None
    made = apply(node.op, tuple(inputs), node.params)
    if made.name is None:
        made.name = node.name
    return made


_mentions: WeakKeyDictionary[Variable, WeakSet[Variable]] = WeakKeyDictionary()


def mention(node: Variable, written: Iterable[Variable]) -> None:
    """Note leaves of which the user made `node`, though it does not depend on them: ``grad(3 * x, x)`` is 3."""
    found = [v for v in written if v.op is None and not isinstance(v, Constant)]
    if found:
        _mentions.setdefault(node, WeakSet()).update(found)


def mentioned(nodes: Iterable[Variable]) -> set[Variable]:
    """The leaves that ``mention`` noted for some nodes."""
    return {leaf for node in nodes for leaf in _mentions.get(node, ())}


def consumers(outputs: Iterable[Variable]) -> dict[Variable, list[Variable]]:
    """For each ancestor, the nodes that use it (once for each use)."""
    users: dict[Variable, list[Variable]] = {}
    for node in toposort(outputs):
        users.setdefault(node, [])
        for i in node.inputs:
            users[i].append(node)
    return users


_INFIX = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "floor_divide": "//",
    "mod": "%",
    "power": "**",
    "less": "<",
    "less_equal": "<=",
    "equal": "==",
    "matmul": "@",
}


SPOKEN: dict[str, Callable[[Variable, int], str | None]] = {}
"""By op, how people say what it computes, for ops that nobody writes: of a node and a depth; None for no words."""


def describe(node: Variable, depth: int = 3) -> str:
    """A short expression for people: names where there are names, ``...`` where it grows too deep."""
    if node.name is not None:
        return node.name
    if isinstance(node, Constant):
        if not node.ndim:
            return str(node.data)  # 0.1, also where it is a float32
        return str(node.data.tolist()) if node.data.size <= 6 else f"constant{list(node.data.shape)}"
    if node.op is None:
        kind = "input" if isinstance(node, Input) else "shared variable"
        return f"an unnamed {kind} of type {node.type}"
    if depth == 0:
        return "..."
    name = node.op.name
    if name in SPOKEN and (said := SPOKEN[name](node, depth)) is not None:
        return said
    parts = [describe(i, depth - 1) for i in node.inputs]
    if name in _INFIX and len(parts) == 2:
        return f"({parts[0]} {_INFIX[name]} {parts[1]})"
    if name == "bounded_positions":  # a check, of which the user does not know
        return parts[0]
    if name == "virtual_flat":
        return f"{parts[0]}.ravel()"
    index = node.params.get("index")
    if index is not None and hasattr(index, "spell"):
        first = 1 if name == "subtensor" else 2
        target = f"{parts[0]}[{index.spell(parts[first:])}]"
        return target if name == "subtensor" else f"{target}.{name.removesuffix('_subtensor')}({parts[1]})"
    return f"{name}({', '.join(parts)})"


def axis_label(x: Argument, axis: int) -> str:
    """``axis 0 of v``, also where x is v with an axis put in, which the user of a vector does not know of."""
    node = getattr(x, "node", x)
    label = x.label
    while isinstance(node, Variable) and node.name is None and node.op is not None and node.op.name == "expand_dims":
        axis -= sum(a < axis for a in node.params["axes"])
        node = node.inputs[0]
        label = node.label
    return f"axis {axis} of {label}"


N = TypeVar("N", bound=Variable)


def unique_nodes(nodes: Iterable[N]) -> list[N]:
    """`nodes` without repetitions, in order."""
    return list(dict.fromkeys(nodes))


def static_dims(dims: Sequence[Argument]) -> Shape:
    """The known values among 0-d length arguments."""
    return tuple(_static_dim(d) for d in dims)


def _static_dim(dim: Argument) -> Dim:
    return None if dim.known is None else int(dim.known)
