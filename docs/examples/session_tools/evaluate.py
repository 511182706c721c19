"""How well a model says what comes next: recall and mean reciprocal rank, also of what is popular."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from .data import Chunk, Split

Ranks = np.ndarray[tuple[int], np.dtype[np.int64]]


class Score(NamedTuple):
    """recall: how often the next item is among the first; mrr: the mean of 1 / rank, 0 if it is not among them."""

    recall: float
    mrr: float


def score(ranks: Ranks, first: int) -> Score:
    """ranks: (N,), the place of each next item among all, from 1; first: how many items are shown."""
    shown = ranks <= first
    return Score(float(shown.mean()), float((shown / ranks).mean()))


def judge(rank: Callable[..., np.ndarray], parts: Iterator[Chunk], first: int) -> Score:
    """rank: (items, kept, targets) -> (T, B), the ranks of targets; its state goes on from one part to the next."""
    found = [rank(part.items, part.kept, part.targets)[part.counted > 0] for part in parts]
    return score(np.concatenate(found), first)


def popularity(split: Split, first: int) -> Score:
    """Show everybody what occurs most often in training."""
    place = np.empty(len(split.titles), dtype=np.int64)
    place[np.argsort(-split.counts, kind="stable")] = np.arange(1, len(place) + 1)
    targets = np.concatenate([split.test[i][1:] for i in range(len(split.test))])
    return score(place[targets], first)
