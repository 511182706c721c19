"""Where the boxes of a picture stand: by Graphviz where it is installed, else in layers of few crossings.

The layers are those of Sugiyama, Tagawa and Toda (1981): longest paths give the layers, barycentres the order within
them, and least squares under the order the places.
"""

from __future__ import annotations

import shutil
import subprocess
from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

Size: TypeAlias = tuple[float, float]
Point: TypeAlias = tuple[float, float]
Edge: TypeAlias = tuple[int, int]

GAP, LAYER_GAP = 18.0, 26.0
"""Points between boxes of a layer, and between layers."""

SWEEPS = 12
_POINTS_PER_INCH = 72.0
_SECONDS = 20.0


@dataclass(frozen=True)
class Layout:
    """centres: of the boxes, by number. paths: of the edges, as data of an SVG path. size: of the whole, in points."""

    centres: Sequence[Point]
    paths: Sequence[str]
    size: Size


def layout(sizes: Sequence[Size], edges: Sequence[Edge]) -> Layout:
    """Places for boxes. sizes: width and height of each; edges: from a box to a later one, top to bottom."""
    program = shutil.which("dot")
    if program is not None:
        try:
            return _by_graphviz(program, sizes, edges)
        except (OSError, subprocess.SubprocessError, ValueError, IndexError):
            pass  # a Graphviz that does not work is as good as none
    return layered(sizes, edges)


# --- Graphviz


def _by_graphviz(program: str, sizes: Sequence[Size], edges: Sequence[Edge]) -> Layout:
    inch = _POINTS_PER_INCH
    lines = [f"digraph {{ nodesep={GAP / inch:g}; ranksep={LAYER_GAP / inch:g}; "]
    lines += ["node [shape=box, fixedsize=true]; edge [dir=none];"]
    lines += [f"n{k} [width={w / inch:.4f}, height={h / inch:.4f}];" for k, (w, h) in enumerate(sizes)]
    lines += [f"n{a} -> n{b};" for a, b in edges]
    command = [program, "-Tplain"]
    answer = subprocess.run(  # noqa: S603  # found on the path, and given nothing of the user's
        command, input="\n".join([*lines, "}"]), capture_output=True, text=True, timeout=_SECONDS, check=True
    ).stdout
    centres: dict[int, Point] = {}
    paths: dict[Edge, str] = {}
    width = height = 0.0
    for words in map(str.split, answer.splitlines()):
        if words[0] == "graph":
            width, height = float(words[2]) * inch, float(words[3]) * inch
        elif words[0] == "node":
            centres[int(words[1][1:])] = float(words[2]) * inch, height - float(words[3]) * inch
        elif words[0] == "edge":
            numbers = [float(w) * inch for w in words[4 : 4 + 2 * int(words[3])]]
            points = [f"{x:.1f} {height - y:.1f}" for x, y in zip(numbers[::2], numbers[1::2], strict=True)]
            paths[int(words[1][1:]), int(words[2][1:])] = f"M{points[0]} C{' '.join(points[1:])}"
    return Layout([centres[k] for k in range(len(sizes))], [paths[e] for e in edges], (width, height))


# --- layers


def layered(sizes: Sequence[Size], edges: Sequence[Edge]) -> Layout:
    """As ``layout``, without Graphviz. Boxes are numbered so that each stands after those that point to it."""
    layers, sizes, segments, chains = _layers(sizes, edges)
    layers = _ordered(layers, segments)
    xs = _places(layers, sizes, segments)
    ys: dict[int, float] = {}
    y = 0.0
    for layer in layers:
        tallest = max((sizes[n][1] for n in layer), default=0.0)
        ys.update((n, y + tallest / 2) for n in layer)
        y += tallest + LAYER_GAP
    left = min((xs[n] - sizes[n][0] / 2 for n in xs), default=0.0)
    right = max((xs[n] + sizes[n][0] / 2 for n in xs), default=0.0)
    centres = [(xs[n] - left, ys[n]) for n in range(len(sizes))]
    paths = [_path([centres[n] for n in chain], sizes[chain[0]][1], sizes[chain[-1]][1]) for chain in chains]
    return Layout(centres[: len(sizes) - sum(len(c) - 2 for c in chains)], paths, (right - left, y - LAYER_GAP))


def _layers(
    sizes: Sequence[Size], edges: Sequence[Edge]
) -> tuple[list[list[int]], list[Size], list[Edge], list[list[int]]]:
    """Boxes by longest path, with a point in each layer that an edge only passes.

    Returns layers, sizes, edges between layers, and the chain of each edge.
    """
    rank = [0] * len(sizes)
    for a, b in sorted(edges, key=lambda e: e[1]):
        rank[b] = max(rank[b], rank[a] + 1)
    entered = {b for _, b in edges}
    for n in range(len(sizes)):  # what nothing points to stands just above what uses it first
        uses = [rank[b] for a, b in edges if a == n]
        if n not in entered and uses:
            rank[n] = min(uses) - 1
    layers: list[list[int]] = [[] for _ in range(max(rank, default=-1) + 1)]
    for n, r in enumerate(rank):
        layers[r].append(n)
    wide = list(sizes)
    segments: list[Edge] = []
    chains = []
    for a, b in edges:
        chain = [a]
        for r in range(rank[a] + 1, rank[b]):
            layers[r].append(len(wide))
            chain.append(len(wide))
            wide.append((2.0, 0.0))
        chain.append(b)
        chains.append(chain)
        segments += pairwise(chain)
    return layers, wide, segments, chains


def _neighbours(segments: Sequence[Edge], *, up: bool) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for a, b in segments:
        found.setdefault(b if up else a, []).append(a if up else b)
    return found


def _ordered(layers: list[list[int]], segments: Sequence[Edge]) -> list[list[int]]:
    """The layers in the order of fewest crossings that sweeps of barycentres come by."""
    above, below = _neighbours(segments, up=True), _neighbours(segments, up=False)
    layers = [list(layer) for layer in layers]
    best, fewest = layers, _crossings(layers, below)
    for sweep in range(SWEEPS):
        near = below if sweep % 2 else above
        layers = [list(layer) for layer in layers]
        for layer in reversed(layers) if sweep % 2 else layers:
            place = {n: k for each in layers for k, n in enumerate(each)}
            centre = {n: sum(place[m] for m in near[n]) / len(near[n]) if n in near else float(place[n]) for n in layer}
            layer.sort(key=centre.__getitem__)
        count = _crossings(layers, below)
        if count < fewest:
            best, fewest = layers, count
    return best


def _crossings(layers: Sequence[Sequence[int]], below: dict[int, list[int]]) -> int:
    """How many pairs of edges cross."""
    total = 0
    for upper, lower in pairwise(layers):
        place = {n: k for k, n in enumerate(lower)}
        seen: list[int] = []
        for end in (place[m] for n in upper for m in sorted(below.get(n, ()), key=place.__getitem__)):
            total += len(seen) - bisect_right(seen, end)
            insort(seen, end)
    return total


def _places(layers: Sequence[Sequence[int]], sizes: Sequence[Size], segments: Sequence[Edge]) -> dict[int, float]:
    """A centre for each box, near those of its neighbours, in the order of its layer."""
    above, below = _neighbours(segments, up=True), _neighbours(segments, up=False)
    xs: dict[int, float] = {}
    for layer in layers:
        xs.update(zip(layer, _apart(layer, sizes, [0.0] * len(layer)), strict=True))
    for sweep in range(SWEEPS):
        for layer in reversed(layers) if sweep % 2 else layers:
            wanted = []
            for n in layer:
                near = [xs[m] for m in (*above.get(n, ()), *below.get(n, ()))]
                wanted.append(sum(near) / len(near) if near else xs[n])
            xs.update(zip(layer, _apart(layer, sizes, wanted), strict=True))
    return xs


def _apart(layer: Sequence[int], sizes: Sequence[Size], wanted: Sequence[float]) -> list[float]:
    """The places nearest to the wanted ones, by least squares, at which boxes do not overlap.

    That is isotonic regression of the places less the least distances, here by pooling adjacent violators.
    """
    offsets, at = [], 0.0
    for k, n in enumerate(layer):
        if k:
            at += (sizes[layer[k - 1]][0] + sizes[n][0]) / 2 + GAP
        offsets.append(at)
    blocks: list[tuple[float, int]] = []  # the mean of a block, and how many are in it
    for w, offset in zip(wanted, offsets, strict=True):
        mean, count = w - offset, 1
        while blocks and blocks[-1][0] > mean:
            other, many = blocks.pop()
            mean, count = (mean * count + other * many) / (count + many), count + many
        blocks.append((mean, count))
    means = [mean for mean, count in blocks for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


def _path(points: Sequence[Point], first: float, last: float) -> str:
    """A curve through points, from the lower edge of the first box to the upper edge of the last."""
    (x, y), (end, bottom) = points[0], points[-1]
    stops = [(x, y + first / 2), *points[1:-1], (end, bottom - last / 2)]
    if len(stops) == 2:
        (x0, y0), (x1, y1) = stops
        middle = (y0 + y1) / 2
        return f"M{x0:.1f} {y0:.1f} C{x0:.1f} {middle:.1f} {x1:.1f} {middle:.1f} {x1:.1f} {y1:.1f}"
    path = f"M{stops[0][0]:.1f} {stops[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(stops[1:]):
        path += f" Q{x0:.1f} {y0:.1f} {(x0 + x1) / 2:.1f} {(y0 + y1) / 2:.1f}"
    return f"{path} L{stops[-1][0]:.1f} {stops[-1][1]:.1f}"
