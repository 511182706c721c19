"""One picture of a training: how the cost fell, and how often the next item was among those shown."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator

from .evaluate import Score

COLOURS = ("#0072B2", "#D55E00", "#009E73")
GREY = "#707070"


def draw_training(path: Path, runs: Mapping[str, tuple[list[float], list[Score]]], popular: Score, first: int) -> None:
    """runs: for each model, its cost and its score after each epoch."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for n, (colour, (name, (losses, scores))) in enumerate(zip(COLOURS, runs.items(), strict=False)):
        epochs = range(1, len(losses) + 1)
        line = {"color": colour, "linewidth": 2.5 - n, "marker": "o", "markersize": 5 - n, "label": name}
        left.plot(epochs, losses, **line)
        right.plot(epochs, [s.recall for s in scores], **line)
    right.axhline(popular.recall, color=GREY, linestyle="--", linewidth=1.2, label="what is popular")
    left.set(title="Cost of a prediction, in training", xlabel="epoch")
    right.set(title=f"Later sessions: the next item is among the first {first}", xlabel="epoch", ylim=(0, None))
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
    right.legend(frameon=False, loc="lower right")
    figure.savefig(path, dpi=150)
    plt.close(figure)
