"""What a table of word vectors is worth: agreement with human judgement, neighbours, gensim's own training."""

import time
from argparse import Namespace
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from .corpus import GENSIM, Corpus

if GENSIM:
    from gensim.models import Word2Vec
    from gensim.test.utils import datapath

Table = np.ndarray[tuple[int, int], np.dtype[np.float32]]

FEWEST_PAIRS = 3


class WordSimilarity:
    """WordSim-353, which comes with gensim: pairs of words and how alike people found them; pairs with a word out of
    vocabulary are left out.
    """

    def __init__(self, corpus: Corpus) -> None:
        lines = Path(datapath("wordsim353.tsv")).read_text(encoding="utf-8").splitlines()
        rows = [line.split("\t") for line in lines if not line.startswith("#")]
        known = [
            (corpus.index[first], corpus.index[second], float(score))
            for first, second, score in ((a.lower(), b.lower(), score) for a, b, score in rows)
            if first in corpus.index and second in corpus.index
        ]
        self.total, self.covered = len(rows), len(known)
        self._pairs = known

    def spearman(self, table: Table) -> float:
        """table: (V, D); returns its cosines' rank correlation with people's scores, NaN for fewer than three pairs."""
        if self.covered < FEWEST_PAIRS:
            return float("nan")
        first, second, score = zip(*self._pairs, strict=True)
        unit = unit_rows(table)
        cosines = (unit[list(first)] * unit[list(second)]).sum(axis=1)
        return float(spearmanr(cosines, score).statistic)


def unit_rows(table: Table) -> Table:
    """table: (V, D); returns its rows at length one."""
    lengths = np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12)
    unit: Table = np.divide(table, lengths, dtype=np.float32)
    return unit


def nearest(corpus: Corpus, table: Table, word: str, how_many: int) -> list[str]:
    """The words whose vectors point most nearly where `word`'s does, `word` itself left out."""
    unit = unit_rows(table)
    order = np.argsort(-(unit @ unit[corpus.index[word]]))
    return [corpus.words[i] for i in order if corpus.words[i] != word][:how_many]


def telling_words(corpus: Corpus, wanted: tuple[str, ...]) -> list[str]:
    """Those of `wanted` that the text knows; where it knows few of them, words of middling frequency."""
    known = [word for word in wanted if word in corpus.index]
    enough = min(6, corpus.size)
    if len(known) < enough:
        others = [
            word for word in corpus.vocabulary[corpus.size // 20 :: max(1, corpus.size // 40)] if word not in known
        ]
        known += others[: enough - len(known)]
    return known


def save_word2vec(path: Path, words: list[str], table: Table) -> None:
    """Write word2vec's text format: a line with V and D, then a line for each word: `word x1 ... xD`."""
    with path.open("w", encoding="utf-8") as file:
        file.write(f"{len(words)} {table.shape[1]}\n")
        for word, row in zip(words, table.tolist(), strict=True):
            file.write(word + " " + " ".join(f"{x:.6g}" for x in row) + "\n")


def train_gensim(corpus: Corpus, args: Namespace) -> tuple[Table, float]:
    """gensim's Word2Vec with one worker on the same text; returns its (V, D) table and the words it read a second."""
    sentences = corpus.sentences()
    model = Word2Vec(
        vector_size=args.dim,
        window=args.window,
        min_count=args.min_count,
        sg=1,
        negative=args.negatives,
        alpha=args.learning_rate,
        seed=args.seed,
        workers=1,
    )
    model.build_vocab(sentences)
    start = time.perf_counter()
    model.train(sentences, total_examples=len(sentences), epochs=args.epochs)
    seconds = time.perf_counter() - start
    return model.wv[corpus.vocabulary], args.epochs * len(corpus.tokens) / seconds
