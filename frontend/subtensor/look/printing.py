"""``dprint``: graphs as text."""

from __future__ import annotations

import sys
from typing import Any, TextIO

from subtensor.graph.nodes import Constant, Variable
from subtensor.graph.shared import SharedVariable


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
    for title, root in roots:
        if title:
            lines.append(f"{title}:")
        stack = [(root, 0)]
        while stack:
            node, level = stack.pop()
            again = node in letters
            letter = letters.setdefault(node, f"[{_letters(len(letters))}]")
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
        params = ", ".join(
            f"{k}={v.spell(slots) if hasattr(v, 'spell') else v}" for k, v in node.params.items() if k != "body"
        )
        text = node.op.name + (f"{{{params}}}" if params else "") + (f" '{node.name}'" if node.name else "")
    return f"{text} <{node.type}>" if print_type else text
