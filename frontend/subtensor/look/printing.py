"""``dprint``: graphs as text."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from subtensor.graph.nodes import Constant, Variable
from subtensor.graph.shared import SharedVariable
from subtensor.ops.loop import FINAL, Loop, is_loop


def dprint(
    obj: Any, depth: int = -1, print_type: bool = False, file: TextIO | str | None = None, stop_on_name: bool = False
) -> str | None:
    """Print a graph as an indented tree, each node once; what stood before is referred to by its letter.

    obj: a node, a list of nodes, or a compiled function, whose rewritten graph is printed with its updates. depth: how
    deep to go, -1 for all. print_type: with types. file: where to, standard output by default; ``"str"`` returns the
    text.
    """
    lines: list[str] = []
    letters: dict[Variable, str] = {}
    if isinstance(obj, Variable | list | tuple):
        roots = [("", o) for o in (obj if isinstance(obj, list | tuple) else [obj])]
    else:
        outputs, updates = obj.graph
        roots = [(f"output {i}", o) for i, o in enumerate(outputs)]
        roots += [(f"update of {s.label}", e) for s, e in updates]
    shown: set[Loop] = set()
    while roots:
        title, root = roots.pop(0)
        if title:
            lines.append(f"{title}:")
        stack = [(root, 0)]
        while stack:
            node, level = stack.pop()
            again = node in letters
            letter = letters.setdefault(node, f"[{_letters(len(letters))}]")
            if is_loop(node) and not again:
                roots += _body(node, shown)
            lines.append(f"{' ' * level}{_line(node, print_type)} {letter}")
            named = stop_on_name and node.name is not None and level > 0
            if again or named or (depth >= 0 and level + 1 >= depth):
                continue
            stack.extend((i, level + 1) for i in reversed(node.inputs))
    text = "\n".join(lines) + "\n"
    if file == "str":
        return text
    stream = file if file is not None and not isinstance(file, str) else sys.stdout
    stream.write(text)
    return None


def _body(node: Variable, shown: set[Loop]) -> list[tuple[str, Variable]]:
    """What is printed of a loop below the graph: what is asked for, and, once, its recurrence."""
    loop: Loop = node.params["loop"]
    roots = [] if node.params["kind"] == FINAL else [(f"in the loop {loop}, one value", node.params["output"])]
    if loop not in shown:
        shown.add(loop)
        for state, new in zip(loop.states, loop.following, strict=True):
            roots.append((f"in the loop {loop}, the next {state.label}", new))
        if loop.stop is not None:
            roots.append((f"in the loop {loop}, whether to stop", loop.stop))
    return roots


def _letters(n: int) -> str:
    text = ""
    n += 1
    while n:
        n, digit = divmod(n - 1, 26)
        text = chr(65 + digit) + text
    return text


def _line(node: Variable, print_type: bool) -> str:
    if isinstance(node, Constant):
        text = node.label
    elif isinstance(node, SharedVariable):
        text = f"{node.name or 'unnamed'} (shared)"
    elif node.op is None:
        text = node.name or "unnamed input"
    else:
        slots = [f"#{i}" for i in range(len(node.inputs))]
        told = [f"{k}={v.spell(slots) if hasattr(v, 'spell') else v}" for k, v in node.params.items()]
        if is_loop(node):
            told = [str(node.params["loop"]), node.params["kind"]]
        params = ", ".join(told)
        text = node.op.name + (f"{{{params}}}" if params else "") + (f" '{node.name}'" if node.name else "")
    return f"{text} <{node.type}>" if print_type else text
