"""Expressions: interned, evaluated when asked for, so that a part of one can be given another value."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from subtensor_conformance.oracle.values import Array, Number, into, is_float, promote, promote_weak

FUNCTIONS: dict[str, Callable[..., Any]] = {}
"""What the source of a case may call, by name."""

Rule = Callable[..., Array]
F = TypeVar("F", bound=Callable[..., Any])
_nodes: dict[Any, Node] = {}


class Node:
    """``rule(*values of args)``. Two nodes of one rule and the same arguments are one node."""

    def __init__(self, rule: Rule | None, args: tuple[Node, ...] = (), weak: bool = False) -> None:
        self.rule = rule
        self.args = args
        self.weak = weak

    def __getattr__(self, name: str) -> Any:
        function = FUNCTIONS.get(name)
        if function is None or name.startswith("_"):
            raise AttributeError(f"the oracle has no method {name!r}")
        return functools.partial(function, self)

    @property
    def T(self) -> Node:
        node: Node = FUNCTIONS["transpose"](self)
        return node

    def __getitem__(self, key: Any) -> Node:
        node: Node = FUNCTIONS["getitem"](self, key)
        return node

    def __neg__(self) -> Any:
        return FUNCTIONS["neg"](self)

    def __invert__(self) -> Any:
        return FUNCTIONS["invert"](self)

    def __lt__(self, other: Any) -> Any:
        return FUNCTIONS["less"](self, other)

    def __le__(self, other: Any) -> Any:
        return FUNCTIONS["less_equal"](self, other)

    def __gt__(self, other: Any) -> Any:
        return FUNCTIONS["greater"](self, other)

    def __ge__(self, other: Any) -> Any:
        return FUNCTIONS["greater_equal"](self, other)


def _operator(name: str, function: str) -> None:
    def forward(self: Node, other: Any) -> Any:
        return FUNCTIONS[function](self, other)

    def backward(self: Node, other: Any) -> Any:
        return FUNCTIONS[function](other, self)

    setattr(Node, f"__{name}__", forward)
    setattr(Node, f"__r{name}__", backward)


for _name, _function in {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide", "floordiv": "floor_divide",
    "mod": "mod", "pow": "power", "matmul": "matmul", "and": "and_", "or": "or_", "xor": "xor",
    "lshift": "left_shift", "rshift": "right_shift",
}.items():  # fmt: skip
    _operator(_name, _function)


class Leaf(Node):
    """An input or a shared variable."""

    def __init__(self, name: str) -> None:
        super().__init__(None)
        self.name = name


class Context:
    """Values given to nodes, and those computed from them. outer: where ``disconnected_grad`` looks."""

    def __init__(self, given: Mapping[Node, Array], outer: Context | None = None) -> None:
        self.given = dict(given)
        self.known = dict(given)
        self.outer = outer

    def value(self, node: Node) -> Array:
        found = self.known.get(node)
        if found is None:
            if node.rule is None:
                raise KeyError(f"no value was given for {getattr(node, 'name', 'a leaf')}")
            if getattr(node.rule, "looks_inside", False):
                found = node.rule(self)
            else:
                found = node.rule(*(self.value(a) for a in node.args))
            self.known[node] = found
        return found

    def where(self, changes: Mapping[Node, Array]) -> Context:
        """The same, with other values for some nodes."""
        inner = Context({**self.given, **changes}, self.outer or self)
        for node, value in self.known.items():
            if node not in inner.known and not _depends(node, frozenset(changes)):
                inner.known[node] = value
        return inner


def looking_inside(rule: Callable[[Context], Array]) -> Rule:
    """A rule that is given the context, not the values of arguments."""
    rule.looks_inside = True  # type: ignore[attr-defined]  # read by Context
    return rule


@lru_cache(maxsize=4096)
def _depends(node: Node, changed: frozenset[Node]) -> bool:
    return node in changed or any(_depends(a, changed) for a in node.args)


def forget() -> None:
    """Drop all nodes: those of one case are of no use to the next."""
    _nodes.clear()
    _depends.cache_clear()


def evaluate(node: Node, given: Mapping[Node, Array]) -> Array:
    return Context(given).value(node)


# --- making nodes


def apply(rule: Rule, args: Sequence[Node], key: Any) -> Node:
    """The node of a rule on arguments; key: what else tells it apart."""
    full = (key, tuple(args))
    node = _nodes.get(full)
    if node is None:
        node = _nodes[full] = Node(rule, tuple(args))
    return node


def constant(value: Any, name: str | None = None, dtype: str | None = None) -> Node:
    """A constant from Python numbers and nested lists."""
    shape, flat = _flattened(value)
    kinds = {type(v) for v in flat}
    natural = "float64" if float in kinds or not flat else "int64" if int in kinds else "bool"
    array = Array(dtype or natural, shape, tuple(into(dtype or natural, v) for v in flat))
    return apply(lambda: array, (), ("constant", array.dtype, array.shape, tuple(map(repr, array.data))))


FUNCTIONS["constant"] = constant
FUNCTIONS["as_tensor"] = lambda v: as_node(v)


def _flattened(value: Any) -> tuple[tuple[int, ...], list[Number]]:
    if not isinstance(value, list | tuple):
        return (), [value]
    parts = [_flattened(v) for v in value]
    if not parts:
        return (0,), []
    return (len(parts), *parts[0][0]), [x for _, flat in parts for x in flat]


def as_node(value: Any) -> Node:
    if isinstance(value, Node):
        return value
    if isinstance(value, list | tuple) and any(isinstance(v, Node) for v in value):
        node: Node = FUNCTIONS["stack"](list(value))
        return node
    return constant(value)


def common_dtype(values: Sequence[Any]) -> Callable[..., str]:
    """From the arrays of the nodes among `values` to the common dtype; Python scalars give way."""
    weak = [v for v in values if isinstance(v, bool | int | float)]

    def dtype_of(*arrays: Array) -> str:
        if not arrays:
            arrays = (Array("int64", (), ()),) if not any(isinstance(v, float) for v in weak) else arrays
            return arrays[0].dtype if arrays else "float64"
        result = functools.reduce(promote, [a.dtype for a in arrays])
        for scalar in weak:
            result = promote_weak(result, scalar)
        return result

    return dtype_of


def promoted(values: Sequence[Any]) -> tuple[list[Node], list[Number | None], Callable[..., str]]:
    """The nodes among `values`; the Python scalars, with None where a node stands; and the dtype rule."""
    nodes = [as_node(v) for v in values if not isinstance(v, bool | int | float)]
    scalars = [v if isinstance(v, bool | int | float) else None for v in values]
    return nodes, scalars, common_dtype(values)


def together(rule: Callable[..., Array], values: Sequence[Any], key: Any) -> Node:
    """``rule(*arrays)``, the arrays brought to their common dtype first."""
    nodes, scalars, dtype_of = promoted(values)

    def run(*arrays: Array) -> Array:
        dtype = dtype_of(*arrays)
        rest = iter(arrays)
        given = [next(rest) if s is None else Array(dtype, (), (into(dtype, s),)) for s in scalars]
        return rule(*(cast(a, dtype) for a in given))

    return apply(run, nodes, (key, tuple(map(repr, scalars))))


def cast(x: Array, dtype: str) -> Array:
    return x if x.dtype == dtype else Array(dtype, x.shape, tuple(into(dtype, v) for v in x.data))


def public(*names: str) -> Callable[[F], F]:
    def register(function: F) -> F:
        for name in names:
            FUNCTIONS[name] = function
        return function

    return register


def as_float(x: Array) -> Array:
    """Integers as float64."""
    return x if is_float(x.dtype) else cast(x, "float64")
