"""Why updates of a subset are not updates of the whole table with zeros: two harms, in numbers and pictures.

    python docs/examples/rare_rows.py [--output docs/images]

1. Optimizers that keep averages: a row that is used rarely, under the dense optimizer and under one on the subset.
2. Curvature: the same cost over a whole table and over the rows that it uses.

It needs `pip install "subtensor[examples]"`.
"""

import argparse
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

import subtensor as st
from subtensor import optimizers
from subtensor.curvature import GaussNewton, row_space

DENSE, SUBSET = "#D55E00", "#0072B2"
RATE, EVERY = 0.01, 200


def rare_row(name, untouched, gradients, rate=RATE):
    """How far row 1 has moved, in learning rates, after each step.

    It is used in every 200th step, with these gradients in turn; row 0 is used in all others. Returns (steps,).
    """
    table, ids, slope = st.shared(np.zeros((2, 1)), "table"), st.lvector("ids"), st.scalar("slope")
    cost = slope * table[ids].sum()
    updates = getattr(optimizers, name)(cost, [table[ids]], rate, untouched=untouched)
    step = st.function([ids, slope], [], updates)
    moved = []
    for t in range(EVERY * len(gradients)):
        if (t + 1) % EVERY:
            step([0], 1.0)
        else:
            step([1], gradients[t // EVERY])
        moved.append(-table.get_value()[1, 0] / rate)
    return np.array(moved)


def draw_rare_row(path):
    """RMSProp and Adam: a rare row with gradients that get smaller."""
    gradients = [1.0, 0.5, 0.25, 0.125, 0.0625, 0.03125]
    figure, panels = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axes, name, title in zip(panels, ("rmsprop", "adam"), ("RMSProp", "Adam"), strict=True):
        for untouched, colour, label in (("dense", DENSE, "whole table"), ("freeze", SUBSET, "subset")):
            moved = rare_row(name, untouched, gradients)
            axes.plot(np.arange(1, len(moved) + 1), moved, color=colour, label=label, linewidth=2)
            at_use = np.diff(moved, prepend=0)[EVERY - 1 :: EVERY]
            print(f"{title:8} {label:12} step at each use, in learning rates: {np.round(at_use, 3)}")
            print(f"{'':21} moved in all {moved[-1]:.2f}, of it between uses {moved[-1] - at_use.sum():.2f}")
        axes.set(title=title, xlabel="step", ylabel="moved, in learning rates")
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle("A row used every 200th step, its gradient halved each time", fontsize=11)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_curvature(path):
    """60 examples that use 5 of 50 rows, D = 4, 6 outputs through a fixed matrix: a convex quadratic."""
    rng = np.random.default_rng(0)
    used = rng.choice(50, 5, replace=False)
    table, ids, y = st.shared(rng.normal(size=(50, 4)), "table"), st.lvector("ids"), st.matrix("y")
    subset = table[ids]
    outputs = subset @ np.linalg.qr(rng.normal(size=(6, 4)))[0].T
    cost = ((outputs - y) ** 2).mean()
    data = used[rng.integers(0, 5, 60)], rng.normal(size=(60, 6))

    full = st.function([ids, y], st.hessian(cost, table))(*data).reshape(200, 200)
    rows = st.function([ids, y], row_space(cost, [subset]).hessian())(*data)
    for name, matrix in (("whole table", full), ("subset", rows)):
        try:
            np.linalg.cholesky(matrix)
            factor = "succeeds"
        except np.linalg.LinAlgError as error:
            factor = f"fails ({error})"
        print(
            f"{name:12} {len(matrix)} x {len(matrix)}, rank {np.linalg.matrix_rank(matrix)}, "
            f"{(~matrix.any(axis=1)).sum()} zero rows, condition {np.linalg.cond(matrix):.3g}, Cholesky {factor}"
        )
    newton = GaussNewton([ids, y], cost, [subset], outputs)
    before = np.linalg.norm(newton.point(data).gradient)
    done = newton.step(*data)
    after = np.linalg.norm(newton.point(data).gradient)
    print(
        f"one Newton step on the subset: cost {done.cost:.4f} -> {done.new_cost:.4f}, "
        f"gradient {before:.2g} -> {after:.1g}"
    )

    figure, panels = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for axes, matrix, title in zip(panels, (full, rows), ("whole table", "the rows that are used"), strict=True):
        axes.imshow(matrix != 0, cmap="Blues", interpolation="nearest", vmax=1.4)
        axes.set_title(f"{title}: {len(matrix)} x {len(matrix)}, rank {np.linalg.matrix_rank(matrix)}", fontsize=11)
        axes.set_xticks([])
        axes.set_yticks([])
    figure.suptitle("Where the curvature matrix is not zero", fontsize=11)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("build/rare_rows"))
    folder = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    draw_rare_row(folder / "rare_row.png")
    draw_curvature(folder / "curvature.png")


if __name__ == "__main__":
    main()
