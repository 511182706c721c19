"""The mutants of some modules: their labels, and their code."""

from __future__ import annotations

import ast
import copy
import importlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType

from subtensor_conformance.mutants.changes import edits, places


@dataclass(frozen=True)
class Mutant:
    """A place to change.

    label: what is changed, unique among all mutants of a backend. module: its name. function: the qualified name.
    lines: the first and last line of what is changed. place, edit: numbers, in the order in which they are found.
    threshold: for a constant of the module, its name and other value.
    """

    label: str
    module: str
    function: str
    lines: tuple[int, int]
    place: int = -1
    edit: int = -1
    threshold: tuple[str, int] | None = None


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(_source(module))


@cache
def _source(module: str) -> str:
    path = importlib.import_module(module).__file__
    assert path is not None
    return Path(path).read_text(encoding="utf-8")


def _functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """The outermost functions of a module, methods among them, with their qualified names."""

    def walk(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef):
                yield prefix + child.name, child
            elif isinstance(child, ast.ClassDef):
                yield from walk(child, f"{prefix}{child.name}.")

    return walk(tree, "")


def spelled(node: ast.AST) -> str:
    """A node as source, on one line, with one kind of quotes: Pythons differ in those within f-strings."""
    return " ".join(ast.unparse(node).replace('"', "'").split())


def mutants(modules: Sequence[str], functions: Sequence[str] = ()) -> list[Mutant]:
    """All mutants of modules. functions: only those of these, by qualified name, where there are any."""
    found: list[Mutant] = []
    seen: Counter[str] = Counter()

    def add(label: str, **about: object) -> None:
        seen[label] += 1
        found.append(Mutant(label if seen[label] == 1 else f"{label} ({seen[label]})", **about))  # type: ignore[arg-type]

    for module in modules:
        short = module.rpartition(".")[2]
        for name, value, line in _thresholds(module):
            if functions:
                break
            for other in dict.fromkeys((0, value // 2, value * 4)):
                add(
                    f"{short}: {name} = {other}",
                    module=module,
                    function="",
                    lines=(line, line),
                    threshold=(name, other),
                )
        for name, root in _functions(_tree(module)):
            if functions and name not in functions:
                continue
            around = _statements(root)
            for number, (parent, field, _, node) in enumerate(places(root)):
                for k, (what, edit) in enumerate(edits(parent, field, node)):
                    new = edit(copy.deepcopy(node))
                    after = "nothing" if isinstance(new, ast.Pass | None) else spelled(new)
                    label = f"{short}.{name}: {_short(spelled(node))} -> {_short(after)}"
                    if isinstance(node, ast.Constant) or "left out" in what:
                        label += f", in {_short(spelled(_head(around[node])))}"
                    first = getattr(around[node], "lineno", 0)
                    lines = (min(first, getattr(node, "lineno", first)), getattr(node, "end_lineno", first))
                    add(label, module=module, function=name, lines=lines, place=number, edit=k)
    return found


def _short(text: str, most: int = 90) -> str:
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-most // 2 :]}"


def _statements(root: ast.AST) -> dict[ast.AST, ast.AST]:
    """For each node below `root` the smallest statement around it."""
    found: dict[ast.AST, ast.AST] = {}
    stack = [(root, root)]
    while stack:
        node, around = stack.pop()
        around = node if isinstance(node, ast.stmt) else around
        found[node] = around
        stack += [(child, around) for child in ast.iter_child_nodes(node)]
    return found


def _head(statement: ast.AST) -> ast.AST:
    """A statement without what is nested in it."""
    if isinstance(statement, ast.If | ast.For | ast.While | ast.With):
        head = copy.copy(statement)
        head.body = [ast.Pass()]
        if not isinstance(head, ast.With):
            head.orelse = []
        return head
    return statement


def _thresholds(module: str) -> Iterator[tuple[str, int, int]]:
    """Integers that a module names: name, value and line."""
    space = vars(importlib.import_module(module))
    for node in _tree(module).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
            if name.isupper() and type(space.get(name)) is int:
                yield name, space[name], node.lineno


def code_of(m: Mutant) -> CodeType:
    """The code object of the mutated function."""
    tree = copy.deepcopy(_tree(m.module))
    root = next(r for name, r in _functions(tree) if name == m.function)
    parent, field, number, node = next(p for k, p in enumerate(places(root)) if k == m.place)
    _, edit = list(edits(parent, field, node))[m.edit]
    new = edit(node)
    assert new is not None
    ast.copy_location(new, node)
    if number is None:
        setattr(parent, field, new)
    else:
        getattr(parent, field)[number] = new
    ast.fix_missing_locations(tree)
    path = importlib.import_module(m.module).__file__
    whole = compile(tree, str(path), "exec")
    return next(c for c in _codes(whole) if c.co_qualname == m.function)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)
