"""What is changed in a function to make a mutant: one place of its syntax tree at a time."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

Edit: TypeAlias = Callable[[Any], ast.AST | None]
"""Gives what takes a node's place; the node is the editor's own."""

BINARY: dict[type, tuple[type, ...]] = {
    ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.Add,), ast.FloorDiv: (ast.Mult,), ast.Mod: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,), ast.BitOr: (ast.BitAnd,), ast.LShift: (ast.RShift,), ast.RShift: (ast.LShift,),
    ast.Pow: (ast.Mult,), ast.Div: (ast.Mult,),
}  # fmt: skip
COMPARED: dict[type, tuple[type, ...]] = {
    ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}  # fmt: skip
NAMES = {
    "min": "max", "any": "all", "minimum": "maximum", "argmin": "argmax", "lt": "le", "gt": "ge", "eq": "ne",
    "zeros": "ones", "add": "sub", "bitwise_and": "bitwise_or", "equal": "not_equal", "logical_and": "logical_or",
    "cummax": "cumsum", "iinfo": "finfo", "scatter_max": "scatter_add",
}  # fmt: skip
NAMES |= {b: a for a, b in NAMES.items() if b not in ("cumsum", "finfo", "scatter_add")} | {"le": "lt", "ge": "gt"}
"""Functions and methods that are called in each other's place."""

CASTS = ("convert_element_type", "_as", "asarray", "array", "ascontiguousarray", "ravel", "reversed", "sorted")
"""Functions of which only the argument is left."""
METHODS = ("astype", "copy", "ravel", "view")
"""Methods likewise."""
CHOICES = ("where", "select")
"""Functions ``(condition, a, b)``."""


def places(root: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """Each node below `root`, with where it stands: ``(parent, field, number in the field or None, node)``."""
    stack = [root]
    while stack:
        parent = stack.pop()
        for field, value in ast.iter_fields(parent):
            if field in ("decorator_list", "annotation", "returns", "args") and isinstance(
                parent, ast.FunctionDef | ast.Lambda | ast.arg | ast.AnnAssign
            ):
                continue
            children = list(enumerate(value)) if isinstance(value, list) else [(None, value)]
            for number, child in children:
                if isinstance(child, ast.AST):
                    yield parent, field, number, child
                    if not isinstance(child, ast.Raise):  # whose text means nothing
                        stack.append(child)


def edits(parent: ast.AST, field: str, node: ast.AST) -> Iterator[tuple[str, Edit]]:
    """What can be done with a node: in words, and how."""
    match node:
        case ast.BinOp() if type(node.op) in BINARY and not _is_text(node):
            yield from (("operator", _with_op(new)) for new in BINARY[type(node.op)])
        case ast.AugAssign() if type(node.op) in BINARY:
            yield from (("operator", _with_op(new)) for new in BINARY[type(node.op)])
        case ast.BoolOp():
            yield "operator", _with_op(ast.Or if isinstance(node.op, ast.And) else ast.And)
        case ast.UnaryOp(op=ast.Not() | ast.Invert() | ast.USub()):
            yield "operator", lambda n: n.operand
        case ast.Compare() if type(node.ops[0]) in COMPARED:
            yield from (("comparison", _compared(new)) for new in COMPARED[type(node.ops[0])])
        case ast.Constant(value=bool()):
            yield "flag", _constant(lambda v: not v)
        case ast.Constant(value=int(number)) if not isinstance(parent, ast.FormattedValue):
            yield "number", _constant(lambda v: v + 1)
            if number > 0:
                yield "number", _constant(lambda v: v - 1)
        case ast.Constant(value=str(text)) if isinstance(parent, ast.JoinedStr) and re.search(r"\b\d\b", text):
            yield "number in source", _constant(lambda v: re.sub(r"\b\d\b", lambda d: str(int(d.group()) + 1), v))
        case ast.Call():
            yield from _of_a_call(node)
        case ast.Expr(value=ast.Call()):
            yield "statement left out", lambda _: ast.Pass()
        case ast.Raise():
            yield "statement left out", lambda _: ast.Pass()
    if field == "test" and not isinstance(node, ast.Compare | ast.BoolOp | ast.UnaryOp):
        yield "condition", lambda n: ast.UnaryOp(ast.Not(), n)


def _of_a_call(node: ast.Call) -> Iterator[tuple[str, Edit]]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in NAMES and not (name == "add" and len(node.args) == 1):
        yield "function", _renamed(NAMES[name])
    if isinstance(node.func, ast.Attribute) and name in METHODS:
        yield "cast dropped", lambda n: n.func.value
    elif name in CASTS and node.args:
        yield "cast dropped", lambda n: n.args[0]
    if name in CHOICES and len(node.args) == 3:
        yield "branches", _turned
    for k, keyword in enumerate(node.keywords):
        if keyword.arg is not None:
            yield f"{keyword.arg} left out", _without(k)


def _is_text(node: ast.BinOp) -> bool:
    sides = (node.left, node.right)
    return any(
        isinstance(s, ast.JoinedStr) or (isinstance(s, ast.Constant) and isinstance(s.value, str)) for s in sides
    )


def _with_op(new: type) -> Edit:
    def edit(node: Any) -> ast.AST:
        node.op = new()
        return node  # type: ignore[no-any-return]  # a node

    return edit


def _compared(new: type) -> Edit:
    def edit(node: Any) -> ast.AST:
        node.ops[0] = new()
        return node  # type: ignore[no-any-return]  # a node

    return edit


def _constant(change: Callable[[Any], Any]) -> Edit:
    return lambda node: ast.Constant(change(node.value))


def _renamed(name: str) -> Edit:
    def edit(node: Any) -> ast.AST:
        if isinstance(node.func, ast.Attribute):
            node.func.attr = name
        else:
            node.func.id = name
        return node  # type: ignore[no-any-return]  # a node

    return edit


def _turned(node: Any) -> ast.AST:
    node.args[1], node.args[2] = node.args[2], node.args[1]
    return node  # type: ignore[no-any-return]  # a node


def _without(k: int) -> Edit:
    def edit(node: Any) -> ast.AST:
        del node.keywords[k]
        return node  # type: ignore[no-any-return]  # a node

    return edit
