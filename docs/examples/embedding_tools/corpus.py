"""From text to batches: tokens, vocabulary, subsampling, skip-gram pairs, negatives; no Python loop over pairs."""

import re
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from pydoc_data.topics import topics
from typing import NamedTuple

import numpy as np

GENSIM = find_spec("gensim") is not None  # a Python that is new may have to wait for it
if GENSIM:
    from gensim.corpora import WikiCorpus
    from gensim.test.utils import datapath

Ids = np.ndarray[tuple[int], np.dtype[np.int64]]

SMALLEST_VOCABULARY = 20
WORD = re.compile(r"[^\W\d_]{2,}")  # a run of letters


class TrainingError(ValueError):
    """There is no training on this text with these settings; the message says why and what would help."""


@dataclass(frozen=True)
class Corpus:
    """A text as word ids, where id 0 is the most frequent word and the ids from `size` on are the rare words.

    words: every distinct word, most frequent first
    counts: (len(words),) int64, how often each was seen
    size: V, how many of them are in the vocabulary
    tokens: (N,) int64, the whole text, rare words included
    documents: (N,) int32, the document that each token stands in
    """

    words: list[str]
    counts: Ids
    size: int
    tokens: Ids
    documents: np.ndarray[tuple[int], np.dtype[np.int32]]

    @property
    def vocabulary(self) -> list[str]:
        """The V words that have vectors, most frequent first."""
        return self.words[: self.size]

    @cached_property
    def index(self) -> dict[str, int]:
        """The id of each word that has a vector."""
        return {word: i for i, word in enumerate(self.vocabulary)}

    def sentences(self, longest: int = 10_000) -> list[list[str]]:
        """The text as lists of words, one a document; one that is longer than `longest` is cut."""
        words = np.array(self.words, dtype=object)
        edges = np.flatnonzero(np.diff(self.documents)) + 1
        return [
            words[document[start : start + longest]].tolist()
            for document in np.split(self.tokens, edges)
            for start in range(0, len(document), longest)
        ]


class Batch(NamedTuple):
    """centers: (B,) int64; contexts: (B,) int64; negatives: (K,) int64; progress: the part of the training done."""

    centers: Ids
    contexts: Ids
    negatives: Ids
    progress: float


def wikipedia_sample() -> Iterator[list[str]]:
    """The articles of the piece of Wikipedia that gensim's package carries, each as a list of words."""
    found = sorted(Path(datapath("")).glob("enwiki-latest-pages-articles1.xml-*-shortened.bz2"))
    if not found:
        raise TrainingError("this gensim came without its Wikipedia sample: give a text with --text FILE")
    return iter(WikiCorpus(str(found[0]), dictionary={}, processes=1).get_texts())


def python_manual() -> Iterator[Iterable[str]]:
    """The pages of Python's manual that ``help()`` shows: 75,000 words, and part of every Python."""
    for page in topics.values():
        yield (match.group() for match in WORD.finditer(page.lower()))


def text_file(path: Path) -> Iterator[Iterable[str]]:
    """The lines of a UTF-8 text file, each as its words in lower case."""
    if not path.is_file():
        raise TrainingError(f"--text {path}: no such file")
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            yield (match.group() for match in WORD.finditer(line.lower()))


def read_corpus(documents: Iterable[Iterable[str]], min_count: int) -> Corpus:
    """Number the words of `documents`; those seen `min_count` times or more are the vocabulary."""
    first_seen: defaultdict[str, int] = defaultdict()
    first_seen.default_factory = first_seen.__len__
    tokens, lengths = array("q"), array("q")
    for document in documents:
        before = len(tokens)
        tokens.extend(map(first_seen.__getitem__, document))
        lengths.append(len(tokens) - before)
    if not tokens:
        raise TrainingError("the text has no words: expected UTF-8 text with runs of two letters or more")

    seen = np.frombuffer(tokens, dtype=np.int64)
    counts = np.bincount(seen)
    by_frequency = np.argsort(-counts, kind="stable")
    rank = np.empty_like(by_frequency)
    rank[by_frequency] = np.arange(len(by_frequency))
    size = int((counts >= min_count).sum())
    if size < SMALLEST_VOCABULARY:
        raise TrainingError(
            f"vocabulary too small: of {len(counts)} distinct words, {size} occur {min_count} times or more; expected "
            f"at least {SMALLEST_VOCABULARY}. Give a longer text, or a lower --min-count"
        )
    names = list(first_seen)
    return Corpus(
        words=[names[i] for i in by_frequency],
        counts=counts[by_frequency],
        size=size,
        tokens=rank[seen],
        documents=np.repeat(np.arange(len(lengths), dtype=np.int32), lengths),
    )


def keep_probability(corpus: Corpus, threshold: float) -> np.ndarray:
    """(len(words),) float32: how likely a token stays, word2vec's rule: frequent words seldom, rare words never."""
    counts = corpus.counts[: corpus.size]
    ratio = threshold * counts.sum() / counts
    keep = np.zeros(len(corpus.words), dtype=np.float32)
    keep[: corpus.size] = np.minimum(1.0, np.sqrt(ratio) + ratio)
    return keep


def skip_gram_pairs(tokens: Ids, documents: np.ndarray, window: int, rng: np.random.Generator) -> tuple[Ids, Ids]:
    """Every (center, context) at most r apart in one document, r drawn from 1..window for each center.

    tokens, documents: (n,); returns centers and contexts, (pairs,) each, in random order.
    """
    reach = rng.integers(1, window + 1, size=len(tokens), dtype=np.int8)
    centers, contexts = [tokens[:0]], [tokens[:0]]
    for offset in range(1, min(window + 1, len(tokens))):
        left, right = slice(None, -offset), slice(offset, None)
        together = documents[left] == documents[right]
        for center, context in ((left, right), (right, left)):
            near = np.flatnonzero(together & (reach[center] >= offset))
            centers.append(tokens[center][near])
            contexts.append(tokens[context][near])
    all_centers, all_contexts = np.concatenate(centers), np.concatenate(contexts)
    order = rng.permutation(len(all_centers))
    return all_centers[order], all_contexts[order]


def batches(
    corpus: Corpus,
    *,
    epochs: int,
    batch: int,
    negatives: int,
    window: int,
    rng: np.random.Generator,
    subsample: float = 1e-3,
    chunk: int = 50_000,
) -> Iterator[Batch]:
    """Skip-gram batches of one constant shape: what is left of a chunk of text is carried to the next.

    A chunk is `chunk` words of text; pairs are shuffled within it and do not reach beyond it.
    """
    keep = keep_probability(corpus, subsample)
    noise = np.cumsum(corpus.counts[: corpus.size] ** 0.75)
    carried = (corpus.tokens[:0], corpus.tokens[:0])
    words, total = 0, epochs * len(corpus.tokens)
    for _ in range(epochs):
        for start in range(0, len(corpus.tokens), chunk):
            tokens, documents = corpus.tokens[start : start + chunk], corpus.documents[start : start + chunk]
            kept = np.flatnonzero(rng.random(len(tokens), dtype=np.float32) < keep[tokens])
            pairs = skip_gram_pairs(tokens[kept], documents[kept], window, rng)
            centers, contexts = (np.concatenate(both) for both in zip(carried, pairs, strict=True))
            steps = len(centers) // batch
            drawn = np.searchsorted(noise, rng.random((steps, negatives)) * noise[-1], side="right")
            for i in range(steps):
                here = slice(i * batch, (i + 1) * batch)
                yield Batch(centers[here], contexts[here], drawn[i], (words + len(tokens) * i / steps) / total)
            carried = (centers[steps * batch :], contexts[steps * batch :])
            words += len(tokens)
