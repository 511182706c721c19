"""Word embeddings from a text: skip-gram with negative sampling, where a step touches only the rows of its words.

    python docs/examples/word_embeddings.py                # a piece of Wikipedia that comes with gensim
    python docs/examples/word_embeddings.py --text FILE    # any text in UTF-8

It needs `pip install "subtensor[examples]"`. The part to read is `skip_gram` and `train`; what reads text, draws pairs
and judges the result stands in `embedding_tools`.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

# Before NumPy loads: matrix products on one thread, as gensim gets one worker; a second gains a tenth, and loses much
# more where other work keeps the cores busy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from tqdm import tqdm

import subtensor as st
from embedding_tools.corpus import (
    GENSIM,
    Corpus,
    TrainingError,
    batches,
    python_manual,
    read_corpus,
    text_file,
    wikipedia_sample,
)
from embedding_tools.evaluate import Table, WordSimilarity, nearest, save_word2vec, telling_words, train_gensim
from embedding_tools.pictures import draw_loss, draw_projection

QUERIES = ("war", "music", "water", "language", "king", "computer")


def skip_gram(
    vectors: Table, contexts: Table, weight: float, backend: str
) -> tuple[st.SharedVariable, Callable[..., np.ndarray]]:
    """vectors, contexts: (V, D) float32, both tables at the start; weight: what one negative counts against a pair.

    Returns the table of word vectors, and the step that trains it:
    (centers (B,), contexts (B,), negatives (K,), rate) -> the batch's cost before the step.
    """
    word_table = st.shared(vectors, name="words")
    context_table = st.shared(contexts, name="contexts")
    center_ids, context_ids, negative_ids = st.lvector("centers"), st.lvector("contexts"), st.lvector("negatives")
    rate = st.fscalar("rate")

    word = word_table[center_ids]  # (B, D)
    context = context_table[context_ids]  # (B, D)
    negative = context_table[negative_ids]  # (K, D), shared by the batch

    right = (word * context).sum(axis=1)  # (B,), to be high
    wrong = word @ negative.T  # (B, K), to be low
    cost = st.softplus(-right).sum() + weight * st.softplus(wrong).sum()

    word_grad, context_grad, negative_grad = st.grad(cost, [word, context, negative])
    new_words = st.inc_subtensor(word, -rate * word_grad)
    new_contexts = st.inc_subtensor(context, -rate * context_grad)
    new_contexts = st.inc_subtensor(new_contexts[negative_ids], -rate * negative_grad)

    step = st.function(
        [center_ids, context_ids, negative_ids, rate],
        cost,
        updates=[(word_table, new_words), (context_table, new_contexts)],
        backend=backend,
    )
    return word_table, step


def train(corpus: Corpus, start: Table, args: argparse.Namespace) -> tuple[Table, list[float], float]:
    """start: (V, D) float32, the word vectors to begin with.

    Returns the trained vectors, the loss of a pair at each step, and how many words of text were read a second.
    """
    word_table, step = skip_gram(start, np.zeros_like(start), args.negatives / args.drawn, args.backend)
    drawn = batches(
        corpus,
        epochs=args.epochs,
        batch=args.batch,
        negatives=args.drawn,
        window=args.window,
        rng=np.random.default_rng(args.seed),
    )
    losses: list[float] = []
    began = time.perf_counter()
    with tqdm(total=args.epochs * len(corpus.tokens), unit=" words", unit_scale=True) as bar:
        for batch in drawn:
            rate = np.float32(args.learning_rate * max(1e-4, 1 - batch.progress))  # falls linearly
            cost = step(batch.centers, batch.contexts, batch.negatives, rate)
            losses.append(float(cost) / args.batch)
            if len(losses) % 100 == 0:
                if not np.isfinite(losses[-1]):
                    raise TrainingError("the loss is not finite any more: give a lower --learning-rate or --batch")
                bar.set_postfix(loss=f"{np.mean(losses[-100:]):.3f}", refresh=False)
                bar.update(int(batch.progress * bar.total) - bar.n)
        bar.update(bar.total - bar.n)
    if not losses:
        raise TrainingError(f"the text gives fewer pairs than one batch of {args.batch}: more text, or a lower --batch")
    seconds = time.perf_counter() - began
    return word_table.get_value(), losses, args.epochs * len(corpus.tokens) / seconds


def compare(corpus: Corpus, vectors: Table, start: Table, speed: float, args: argparse.Namespace) -> None:
    """Print how well the vectors, those that training began with, and gensim's agree with people's judgement."""
    similarity = WordSimilarity(corpus)
    rows = [
        (f"subtensor ({args.backend})", similarity.spearman(vectors), speed),
        ("untrained", similarity.spearman(start), None),
    ]
    if args.gensim:
        print("gensim's Word2Vec on the same text ...")
        theirs, their_speed = train_gensim(corpus, args)
        rows.append(("gensim, one worker", similarity.spearman(theirs), their_speed))

    known = f"{similarity.covered} of {similarity.total} pairs"
    print(f"\nSpearman's correlation with people's judgement of {known} in WordSim-353:\n")
    print(f"{'':20}{'WordSim-353':>12}{'words/s':>12}")
    for name, score, words_per_second in rows:
        print(f"{name:20}{score:12.3f}{f'{words_per_second:,.0f}' if words_per_second else '-':>12}")


def main() -> None:
    """Read the text, train, compare, and leave vectors and pictures in the output folder."""
    args = arguments()
    if not GENSIM:
        print("gensim is not installed, nor is its Wikipedia sample, nor WordSim-353: nothing is compared with it,")
        print("and where no --text is given, the text is the manual of Python\n")
    sample = wikipedia_sample if GENSIM else python_manual
    try:
        corpus = read_corpus(text_file(args.text) if args.text else sample(), args.min_count)
        print(
            f"{len(corpus.tokens):,} words of text, {corpus.size:,} distinct ones seen at least {args.min_count} times"
        )
        start = (np.random.default_rng(args.seed).random((corpus.size, args.dim), dtype=np.float32) - 0.5) / args.dim
        vectors, losses, speed = train(corpus, start, args)
    except TrainingError as error:
        raise SystemExit(f"word_embeddings: {error}") from None

    if GENSIM:
        compare(corpus, vectors, start, speed, args)
    else:
        print(f"\n{speed:,.0f} words/s")

    queries = telling_words(corpus, QUERIES)
    print("\nNearest neighbours:\n")
    for word in queries:
        print(f"{word:>12}  {' '.join(nearest(corpus, vectors, word, 8))}")

    save_word2vec(args.output / "vectors.txt", corpus.vocabulary, vectors)
    draw_loss(args.output / "loss.png", losses, args.epochs)
    draw_projection(args.output / "projection.png", corpus, vectors, queries)
    print(f"\nvectors.txt, loss.png and projection.png are in {args.output}")


def arguments() -> argparse.Namespace:
    """The command line, checked, its output folder made."""

    def positive(text: str) -> int:
        if (number := int(text)) < 1:
            raise ValueError
        return number

    parser = argparse.ArgumentParser(description="Skip-gram word embeddings with subtensor.")
    option = parser.add_argument
    option("--text", type=Path, metavar="FILE", help="UTF-8, a document a line (default: gensim's Wikipedia sample)")
    option("--backend", default="numpy", help="what runs the step (default: %(default)s)")
    option("--dim", type=positive, default=100, help="length of a vector (default: %(default)s)")
    option("--epochs", type=positive, default=15, help="times the text is read (default: %(default)s)")
    option("--window", type=positive, default=5, help="farthest context, in words (default: %(default)s)")
    option("--batch", type=positive, default=1024, help="pairs in a step (default: %(default)s)")
    option("--negatives", type=positive, default=5, help="negatives a pair weighs against (default: %(default)s)")
    option("--drawn", type=positive, default=24, help="negatives drawn for all pairs of a step (default: %(default)s)")
    option("--learning-rate", type=float, default=0.025, help="at the start; falls to 0 (default: %(default)s)")
    option("--min-count", type=positive, default=5, help="words seen less often are left out (default: %(default)s)")
    option("--seed", type=int, default=0, help="of all that is drawn at random (default: %(default)s)")
    option("--output", type=Path, default=Path("build/word_embeddings"), metavar="DIR", help="(default: %(default)s)")
    option("--no-gensim", dest="gensim", action="store_false", help="do not train gensim's Word2Vec for comparison")
    args = parser.parse_args()
    try:
        args.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"--output {args.output}: {error.strerror}")
    return args


if __name__ == "__main__":
    main()
