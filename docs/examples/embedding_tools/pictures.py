"""Two pictures of a training: how the loss fell, and where the words came to lie."""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

from .corpus import Corpus
from .evaluate import Table, nearest, unit_rows

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8C6D00", "#5B3FA8")
FAINT = "#C8C8C8"
SIDES = (  # of a point, for its label: offset in points, alignment
    ((7, 0), "left", "center"),
    ((-7, 0), "right", "center"),
    ((0, 7), "center", "bottom"),
    ((0, -7), "center", "top"),
)


def draw_loss(path: Path, losses: list[float], epochs: int) -> None:
    """losses: one a step, the mean over its pairs. They vary with the document that is read, so epochs are averaged."""

    def means(pieces: int) -> tuple[np.ndarray, np.ndarray]:
        values = [piece.mean() for piece in np.array_split(np.asarray(losses), pieces)]
        return (np.arange(pieces) + 0.5) * epochs / pieces, np.array(values)

    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    axes.plot(*means(min(len(losses), 60 * epochs)), color=FAINT, linewidth=0.8, label="as the text goes by")
    axes.plot(
        *means(min(len(losses), epochs)), "o-", color=COLOURS[0], linewidth=2, markersize=4, label="mean of an epoch"
    )
    axes.set(xlabel="epochs", ylabel="loss of a pair", xlim=(0, epochs), title="Training loss of the skip-gram model")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def draw_projection(path: Path, corpus: Corpus, table: Table, seeds: list[str], neighbours: int = 9) -> None:
    """Each seed word with its nearest neighbours in one colour, on the two main axes (SVD) of their directions.

    table: (V, D). Frequent words are drawn faintly behind; a label that would cover another is left out.
    """
    seeds = seeds[: len(COLOURS)]
    group: dict[str, int] = {seed: g for g, seed in enumerate(seeds)}
    for g, seed in enumerate(seeds):
        for word in nearest(corpus, table, seed, neighbours):
            group.setdefault(word, g)
    shown = unit_rows(table[[corpus.index[word] for word in group]])
    behind = unit_rows(table[: min(1500, corpus.size)])
    mean = shown.mean(axis=0)
    _, _, axes_of_words = np.linalg.svd(shown - mean, full_matrices=False)
    points, backdrop = (shown - mean) @ axes_of_words[:2].T, (behind - mean) @ axes_of_words[:2].T

    figure, axes = plt.subplots(figsize=(11, 8.5), layout="constrained")
    axes.scatter(backdrop[:, 0], backdrop[:, 1], s=4, color=FAINT, linewidths=0)
    sizes = [60 if word in seeds else 18 for word in group]
    axes.scatter(points[:, 0], points[:, 1], s=sizes, c=[COLOURS[g] for g in group.values()])
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.08 * (high - low)
    axes.set(xlim=(low[0] - 2 * margin[0], high[0] + 2 * margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1]))
    axes.set(xticks=[], yticks=[], title="Words and their nearest neighbours, on the two main axes of their directions")
    axes.spines[:].set_visible(False)
    figure.canvas.draw()
    _label(axes, points, group, seeds)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _label(axes: Axes, points: np.ndarray, group: dict[str, int], seeds: list[str]) -> None:
    """Label seeds first, each word on the first side of its point that is free; only a seed's may cover points."""
    frame = axes.get_window_extent()
    dots = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in axes.transData.transform(points)]
    labels: list[Bbox] = []
    for word, point in zip(group, points, strict=True):
        seed = word in seeds
        tries = [(side, dots) for side in SIDES] + [(side, []) for side in SIDES if seed]
        for (offset, horizontal, vertical), covered in tries:
            text = axes.annotate(
                word,
                point,
                xytext=offset,
                textcoords="offset points",
                ha=horizontal,
                va=vertical,
                color=COLOURS[group[word]],
                fontsize=13 if seed else 9,
                fontweight="bold" if seed else "normal",
            )
            box = text.get_window_extent()
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1
            if inside and not any(box.overlaps(other) for other in (*labels, *covered)):
                labels.append(box)
                break
            text.remove()
