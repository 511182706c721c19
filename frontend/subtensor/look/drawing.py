"""Pictures of graphs, as SVG or as text in the DOT language: ``fn.draw()``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from subtensor.errors import FunctionError
from subtensor.graph.nodes import Constant, Variable, toposort
from subtensor.graph.shared import SharedVariable

Roots = Sequence[tuple[str, Variable]]

_COLOURS = {"shared": "#ffe1b3", "input": "#cfe8cf", "constant": "#eeeeee", "op": "#ffffff", "write": "#ffc9c9",
            "read": "#cfe0ff", "root": "#f7f7d0"}  # fmt: skip


def draw(stages: Sequence[tuple[str, Roots]], path: str | Path | None, format: str) -> str:
    """A picture of one or more graphs, one under the other, as text; also written to `path` if given.

    stages: (title, [(label, root), …]). format: ``svg`` or ``dot``. Raises FunctionError for another one.
    """
    if format not in ("svg", "dot"):
        raise FunctionError(f"draw: format={format!r}; expected 'svg' or 'dot'")
    text = _svg(stages) if format == "svg" else _dot(stages)
    if path is not None:
        Path(path).write_text(text, encoding="utf-8")
    return text


def _kind(node: Variable) -> str:
    if isinstance(node, SharedVariable):
        return "shared"
    if isinstance(node, Constant):
        return "constant"
    if node.op is None:
        return "input"
    name = node.op.name
    return "read" if name == "subtensor" else "write" if name.endswith("_subtensor") else "op"


def _text(node: Variable) -> str:
    if node.op is None:
        return node.label if len(node.label) <= 24 else f"{node.label[:21]}..."
    index = node.params.get("index")
    if index is not None and hasattr(index, "spell"):
        return f"{node.op.name} [{index.spell([f'#{k}' for k in range(len(node.inputs))])}]"
    params = ", ".join(f"{k}={v}" for k, v in node.params.items() if k != "body")
    return f"{node.op.name} {params}".strip()[:40]


def _dot(stages: Sequence[tuple[str, Roots]]) -> str:
    lines = ["digraph subtensor {", "  node [shape=box, style=filled, fontname=monospace];"]
    for k, (title, roots) in enumerate(stages):
        order = toposort([r for _, r in roots])
        names = {node: f"n{k}_{i}" for i, node in enumerate(order)}
        lines += [f"  subgraph cluster_{k} {{", f"    label={_quoted(title)};"]
        lines += [
            f"    {names[n]} [label={_quoted(_text(n), str(n.type))}, fillcolor={_quoted(_COLOURS[_kind(n)])}];"
            for n in order
        ]
        for j, (label, root) in enumerate(roots):
            lines.append(f"    r{k}_{j} [label={_quoted(label)}, shape=oval, fillcolor={_quoted(_COLOURS['root'])}];")
            lines.append(f"    {names[root]} -> r{k}_{j};")
        lines += [f"    {names[i]} -> {names[n]};" for n in order for i in n.inputs]
        lines.append("  }")
    return "\n".join([*lines, "}"]) + "\n"


_MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})
"""Characters that mean something to XML; ``html.escape`` would do, but is slow to import."""


def _escaped(text: str) -> str:
    return text.translate(_MARKUP)


def _quoted(*lines: str) -> str:
    return '"' + "\\n".join(lines).replace('"', '\\"') + '"'


_WIDTH, _HEIGHT, _GAP, _LAYER, _CHARACTER = 24, 40, 24, 84, 7.2


def _layers(roots: Roots) -> list[list[Variable]]:
    """Nodes by the longest path from a leaf; within a layer by the mean place of what they are made of."""
    depth: dict[Variable, int] = {}
    for node in toposort([r for _, r in roots]):
        depth[node] = 1 + max((depth[i] for i in node.inputs), default=-1)
    first_use: dict[Variable, int] = {}
    for node, d in depth.items():  # a leaf stands just above its first use
        for i in node.inputs:
            first_use[i] = min(first_use.get(i, d), d)
    layers: list[list[Variable]] = [[] for _ in range(max(depth.values(), default=0) + 1)]
    for node, d in depth.items():
        layers[first_use[node] - 1 if node.op is None and node in first_use else d].append(node)
    place: dict[Variable, float] = {}
    for layer in layers:
        layer.sort(key=lambda n: sum(place.get(i, 0.0) for i in n.inputs) / max(len(n.inputs), 1))
        place.update((n, i / max(len(layer), 1)) for i, n in enumerate(layer))
    return layers


def _svg(stages: Sequence[tuple[str, Roots]]) -> str:
    parts: list[str] = []
    top, widest = 0.0, 0.0
    for title, roots in stages:
        parts.append(f'<text x="10" y="{top + 20:g}" font-weight="bold">{_escaped(title)}</text>')
        boxes: dict[Variable, tuple[float, float, float]] = {}
        y = top + 40
        for layer in _layers(roots):
            x = 10.0
            for node in layer:
                width = _WIDTH + _CHARACTER * max(len(_text(node)), len(str(node.type)))
                boxes[node] = (x, y, width)
                x += width + _GAP
            widest = max(widest, x)
            y += _LAYER
        ends: dict[Variable, list[str]] = {}
        for label, root in roots:
            ends.setdefault(root, []).append(label)
        parts += _edges(boxes)
        for node, (x, at, width) in boxes.items():
            parts.append(_box(node, x, at, width, ", ".join(ends.get(node, []))))
        top = y + 20
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{widest + 10:g}" height="{top:g}" font-family="monospace" '
        f'font-size="12">\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _edges(boxes: dict[Variable, tuple[float, float, float]]) -> list[str]:
    lines = []
    for node, (x, y, width) in boxes.items():
        for k, i in enumerate(node.inputs):
            ix, iy, iwidth = boxes[i]
            end = x + width * (k + 1) / (len(node.inputs) + 1)
            lines.append(
                f'<line x1="{ix + iwidth / 2:g}" y1="{iy + _HEIGHT:g}" x2="{end:g}" y2="{y:g}" stroke="#888888"/>'
            )
    return lines


def _box(node: Variable, x: float, y: float, width: float, label: str) -> str:
    middle = x + width / 2
    box = (
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{_HEIGHT}" rx="4" fill="{_COLOURS[_kind(node)]}" '
        f'stroke="{"#c04000" if label else "#555555"}" stroke-width="{2 if label else 1}"/>'
        f'<text x="{middle:g}" y="{y + 16:g}" text-anchor="middle">{_escaped(_text(node))}</text>'
        f'<text x="{middle:g}" y="{y + 32:g}" text-anchor="middle" fill="#666666">{_escaped(str(node.type))}</text>'
    )
    if label:
        below = y + _HEIGHT + 14
        box += f'<text x="{middle:g}" y="{below:g}" text-anchor="middle" fill="#c04000">{_escaped(label)}</text>'
    return box
