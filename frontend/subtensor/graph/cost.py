"""What an op says that it costs: formulas in the lengths of its arguments.

A formula names the arguments of the op's type rule, and ``out``, the result: ``"2 * out.size * a.shape[-1]"``. It is
data, so that it can be checked when it is stated, before there is any node.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

from subtensor.errors import GraphError

RESULT = "out"


@dataclass(frozen=True)
class Factor:
    """``name.size``, or ``name.shape[axis]``."""

    name: str
    axis: int | None


Term = tuple[float, tuple[Factor, ...]]
"""A number times lengths."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What applying an op takes, where it differs from what is usual for its kind (None).

    reads, writes, allocates: elements. computes: operations, in units of an addition of two elements.

    Usually an op reads its arguments once, writes its result into new memory, and does one operation for each element
    of it; what only looks at its argument (``transpose``) does nothing.
    A formula is a sum of products of numbers, ``name.size`` and ``name.shape[axis]``, with parentheses; `name` is an
    argument of the op's type rule (all of them together for ``*name``), or ``out``.
    """

    reads: str | None = None
    writes: str | None = None
    allocates: str | None = None
    computes: str | None = None

    def formulas(self) -> dict[str, str]:
        """The formulas that are stated, by field."""
        stated = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: formula for name, formula in stated.items() if formula is not None}


def parsed(formula: str) -> tuple[Term, ...]:
    """A formula as terms. Raises GraphError, which says what is wrong, for anything that is no such formula."""
    found = _parsed.get(formula)
    if found is None:
        try:
            tree = ast.parse(formula, mode="eval").body
        except (SyntaxError, TypeError, ValueError):
            raise GraphError(f"{formula!r} is no formula; expected one such as '2 * out.size * a.shape[-1]'") from None
        found = _parsed[formula] = _terms(tree, formula)
    return found


_parsed: dict[str, tuple[Term, ...]] = {}


def _terms(tree: ast.expr, formula: str) -> tuple[Term, ...]:
    match tree:
        case ast.BinOp(left, ast.Add(), right):
            return (*_terms(left, formula), *_terms(right, formula))
        case ast.BinOp(left, ast.Mult(), right):
            return tuple((c * d, (*f, *g)) for c, f in _terms(left, formula) for d, g in _terms(right, formula))
        case ast.Constant(int() | float() as number) if not isinstance(number, bool):
            return ((float(number), ()),)
        case ast.UnaryOp(ast.USub()) | ast.BinOp(_, ast.Sub(), _):
            raise GraphError(f"{formula!r}: {ast.unparse(tree)} may be negative; a cost is 0 or more")
        case ast.Attribute(ast.Name(name), "size"):
            return ((1.0, (Factor(name, None),)),)
        case ast.Subscript(ast.Attribute(ast.Name(name), "shape"), ast.Constant(int() as axis)):
            return ((1.0, (Factor(name, axis),)),)
        case ast.Subscript(
            ast.Attribute(ast.Name(name), "shape"), ast.UnaryOp(ast.USub(), ast.Constant(int() as axis))
        ):
            return ((1.0, (Factor(name, -axis),)),)
    raise GraphError(
        f"{formula!r}: {ast.unparse(tree)} is not part of a formula; expected numbers, name.size and name.shape[axis], "
        "with +, * and parentheses"
    )


def arguments(infer: Callable[..., object]) -> Sequence[str]:
    """The names of the arguments of a type rule."""
    kinds = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.VAR_POSITIONAL,
    )
    return [p.name for p in inspect.signature(infer).parameters.values() if p.kind in kinds]


def fault(cost: object, infer: Callable[..., object]) -> str | None:
    """What is wrong with a stated cost, or None."""
    if not isinstance(cost, Cost):
        return f"its cost is {cost!r}; expected a subtensor.plugin.Cost"
    known = [*arguments(infer), RESULT]
    for name, formula in cost.formulas().items():
        try:
            terms = parsed(formula)
        except GraphError as error:
            return f"its cost {name}={error}"
        for number, factors in terms:
            if not 0 <= number < float("inf"):
                return f"its cost {name}={formula!r} holds {number}; expected 0 or more"
            for f in factors:
                if f.name not in known:
                    return (
                        f"its cost {name}={formula!r} is in lengths of {f.name!r}, which the op does not know; its "
                        f"arguments are {', '.join(known[:-1])}, and its result is {RESULT!r}"
                    )
    return None
