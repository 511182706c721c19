"""Pictures of graphs, as SVG or as text in the DOT language: ``fn.draw()``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from subtensor.errors import FunctionError
from subtensor.graph.nodes import Variable
from subtensor.look.layout import layout
from subtensor.look.picture import Box, Updates, View, views
from subtensor.look.tables import escaped

_COLOURS = {"shared": "#ffe1b3", "input": "#cfe8cf", "op": "#ffffff", "fold": "#eeeeee", "write": "#ffc9c9",
            "read": "#cfe0ff"}  # fmt: skip
_LEGEND = (("input", "input"), ("shared", "shared variable"), ("read", "read of a part"), ("write", "written"),
           ("op", "computed"), ("fold", "opens"))  # fmt: skip

_LINE, _CHARACTER, _PAD, _MARGIN = 15.0, 7.3, 8.0, 12.0
"""Points: a line of text, a character of it, around it, around the whole."""

_HEAD, _FOOT = 48.0, 14.0
"""Points above a view, for its title and the legend, and below a box that has a mark."""

_SCREEN = (960.0, 600.0)
"""Points that are always there for a view of what is inside a box; it is scaled to fit."""

_STYLE = (
    ".view{display:none}.view:target{display:inline}.view:target~.first{display:none}a{cursor:pointer}"
    "a:hover rect{stroke-width:2.5}text{white-space:pre}"
)
"""A box that opens is a link to a view; while no view is aimed at, the first one is seen."""


def draw(stages: Sequence[tuple[str, Sequence[Variable], Updates]], path: str | Path | None, format: str) -> str:
    """A picture of one or more graphs, one under the other, as text; also written to `path` if given.

    stages: (title, outputs, updates). format: ``svg`` or ``dot``. Raises FunctionError for another one.
    """
    if format not in ("svg", "dot"):
        raise FunctionError(f"draw: format={format!r}; expected 'svg' or 'dot'")
    pictures = [views(*stage) for stage in stages]
    text = _svg(pictures) if format == "svg" else _dot([first for first, *_ in pictures])
    if path is not None:
        Path(path).write_text(text, encoding="utf-8")
    return text


def _dot(pictures: Sequence[View]) -> str:
    lines = ["digraph subtensor {", "  node [shape=box, style=filled, fontname=monospace];"]
    for k, view in enumerate(pictures):
        lines += [f"  subgraph cluster_{k} {{", f"    label={_quoted(view.title)};"]
        for n, box in enumerate(view.boxes):
            text = [*box.lines, *([box.mark] if box.mark else [])]
            width = ", penwidth=2" if box.large else ""
            lines.append(f"    n{k}_{n} [label={_quoted(*text)}, fillcolor={_quoted(_COLOURS[box.kind])}{width}];")
        lines += [f"    n{k}_{a} -> n{k}_{b};" for a, b in view.edges]
        lines.append("  }")
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(*lines: str) -> str:
    return '"' + "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in lines) + '"'


# --- SVG


def _svg(pictures: Sequence[Sequence[View]]) -> str:
    groups: list[str] = []
    top, widest = 0.0, 0.0
    for number, (first, *others) in enumerate(pictures):
        body, *size = _view(first, number)
        width, height = (max(s, least) for s, least in zip(size, _SCREEN, strict=True)) if others else size
        groups.append(f'<g transform="translate(0 {top:g})">')
        for k, view in enumerate(others, 1):  # before the first view, so that one that is aimed at can hide it
            inner, w, h = _view(view, number)
            box = f'width="{min(w, width):.0f}" height="{min(h, height):.0f}" viewBox="0 0 {w:.0f} {h:.0f}"'
            fit = 'preserveAspectRatio="xMinYMin"'
            groups.append(f'<g id="view-{number}-{k}" class="view"><svg {box} {fit}>\n{inner}\n</svg></g>')
        groups.append(f'<g id="view-{number}-0" class="first">\n{body}\n</g></g>')
        top += height
        widest = max(widest, width)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{widest:.0f}" height="{top:.0f}" '
        f'viewBox="0 0 {widest:.0f} {top:.0f}" font-family="monospace" font-size="12" '
        f'style="max-width:100%;height:auto;background:#fff">\n<style>{_STYLE}</style>\n'
        + "\n".join(groups)
        + "\n</svg>\n"
    )


def _view(view: View, stage: int) -> tuple[str, float, float]:
    """A view as SVG, its width and its height with margins."""
    sizes = [_size(box) for box in view.boxes]
    placed = layout(
        [(w, h + (_FOOT if box.mark else 0)) for box, (w, h) in zip(view.boxes, sizes, strict=True)], view.edges
    )
    title = escaped(view.title)
    parts = [f'<text x="{_MARGIN}" y="18" font-weight="bold">{title}</text>', _legend(view, stage)]
    parts.append(f'<g transform="translate({_MARGIN:g} {_HEAD:g})">')
    parts += [f'<path d="{path}" fill="none" stroke="#888888"/>' for path in placed.paths]
    for box, (x, y), (width, height) in zip(view.boxes, placed.centres, sizes, strict=True):
        drawn = _box(box, x, y - (_FOOT / 2 if box.mark else 0), width, height)
        parts.append(drawn if box.opens is None else f'<a href="#view-{stage}-{box.opens}">{drawn}</a>')
    parts.append("</g>")
    width = max(placed.size[0], _CHARACTER * len(view.title), _legend_width()) + 2 * _MARGIN
    return "\n".join(parts), width, placed.size[1] + _HEAD + 2 * _MARGIN


def _size(box: Box) -> tuple[float, float]:
    longest = max(map(len, [*box.lines, box.mark]))
    return _CHARACTER * longest + 2 * _PAD, _LINE * len(box.lines) + _PAD


def _box(box: Box, x: float, y: float, width: float, height: float) -> str:
    left, upper = x - width / 2, y - height / 2
    weight = 2.5 if box.large else 1
    stroke = "#c04000" if box.mark or box.large else "#555555"
    rect = (
        f'<rect x="{left:.1f}" y="{upper:.1f}" width="{width:.1f}" height="{height:.1f}" rx="4" '
        f'fill="{_COLOURS[box.kind]}" stroke="{stroke}" stroke-width="{weight}"/>'
    )
    texts = [rect]
    for k, line in enumerate(box.lines):
        last = k == len(box.lines) - 1 and k > 0
        shade = ' fill="#666666"' if last else ""
        at = upper + _LINE * (k + 1) - 1
        texts.append(f'<text x="{x:.1f}" y="{at:.1f}" text-anchor="middle"{shade}>{escaped(line)}</text>')
    if box.mark:
        below = upper + height + 12
        texts.append(
            f'<text x="{x:.1f}" y="{below:.1f}" text-anchor="middle" fill="#c04000">{escaped(box.mark)}</text>'
        )
    return "".join(texts)


def _legend_width() -> float:
    return sum(_CHARACTER * len(text) + 34 for _, text in _LEGEND) + _CHARACTER * 34


def _legend(view: View, stage: int) -> str:
    """What the colours mean; in a view of what was opened also the way back."""
    x, y, parts = _MARGIN, 27.0, []
    for kind, text in _LEGEND:
        parts.append(f'<rect x="{x:g}" y="{y:g}" width="12" height="12" fill="{_COLOURS[kind]}" stroke="#555555"/>')
        parts.append(f'<text x="{x + 16:g}" y="{y + 10:g}" fill="#666666">{text}</text>')
        x += _CHARACTER * len(text) + 34
    parts.append(f'<rect x="{x:g}" y="{y:g}" width="12" height="12" fill="none" stroke="#c04000" stroke-width="2.5"/>')
    parts.append(f'<text x="{x + 16:g}" y="{y + 10:g}" fill="#666666">10⁶ elements and more</text>')
    if view.inner:
        back = x + _CHARACTER * 24
        parts.append(f'<a href="#view-{stage}-0"><text x="{back:g}" y="{y + 10:g}" fill="#0040c0">← back</text></a>')
    return "".join(parts)
