"""One picture of a training: how surprised the model is by a text that it has not read."""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

BLUE, FAINT, GREY = "#0072B2", "#9CC5E0", "#606060"


def draw_training(
    path: Path, losses: list[float], held_out: list[tuple[float, float]], counted: tuple[float, float], epochs: int
) -> None:
    """losses: nats, by sampled softmax, of each step. held_out: (epochs so far, nats). counted: by words, by pairs."""
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    pieces = np.array_split(np.asarray(losses), min(len(losses), 60 * epochs))
    at = (np.arange(len(pieces)) + 0.5) * epochs / len(pieces)
    axes.plot(at, np.exp([p.mean() for p in pieces]), color=FAINT, linewidth=1, label="in training, among those drawn")
    axes.plot(
        *zip(*((x, np.exp(y)) for x, y in held_out), strict=True),
        "o-",
        color=BLUE,
        clip_on=False,
        label="on text held out",
    )
    for nats, name in zip(counted, ("counts of words", "counts of pairs of words"), strict=True):
        axes.axhline(np.exp(nats), color=GREY, linestyle="--", linewidth=1)
        axes.annotate(
            f"{name}: {np.exp(nats):.0f}", (epochs, np.exp(nats)), (-3, 3), textcoords="offset points", ha="right",
            color=GREY, fontsize=9,
        )  # fmt: skip
    axes.set(
        yscale="log",
        xlim=(0, epochs),
        xlabel="epochs",
        ylabel="perplexity",
        title="How many words it hesitates between",
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    ticks = [t for t in (10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if axes.get_ylim()[0] <= t <= axes.get_ylim()[1]]
    axes.set_yticks(ticks, [f"{t:,}" for t in ticks])
    axes.minorticks_off()
    figure.savefig(path, dpi=150)
    plt.close(figure)
