"""From ratings with times to sessions, and from sessions to lanes that a recurrent net reads side by side."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

Ids = np.ndarray[tuple[int], np.dtype[np.int64]]


class DataError(ValueError):
    """There is nothing to train on; the message says why and what would help."""


@dataclass(frozen=True)
class Sessions:
    """Sessions one after the other.

    items: (N,) int64, the items of all sessions; starts: (S + 1,) int64, where each begins, and N.
    """

    items: Ids
    starts: Ids

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, i: int) -> Ids:
        return self.items[self.starts[i] : self.starts[i + 1]]


@dataclass(frozen=True)
class Split:
    """The earlier sessions to train on, the last to judge by, and what each of the `items` is called."""

    train: Sessions
    test: Sessions
    titles: list[str]

    @property
    def counts(self) -> Ids:
        """(V,) int64, how often each item occurs in training: at least once."""
        return np.bincount(self.train.items, minlength=len(self.titles))


class Chunk(NamedTuple):
    """T steps of B lanes, in each of which one session follows another; all (T, B).

    items: int64, what is read; targets: int64, what comes next; kept: float32, 0 where a session begins, and the state
    of the one before must be forgotten; counted: float32, 0 where a lane has run out of sessions.
    """

    items: np.ndarray
    targets: np.ndarray
    kept: np.ndarray
    counted: np.ndarray


def movielens() -> Path:
    """The ratings of MovieLens 100K that recbole's package carries; the package is not imported, for it wants torch."""
    spec = find_spec("recbole")
    places = spec.submodule_search_locations if spec else None
    found = [Path(place) / "dataset_example" / "ml-100k" / "ml-100k.inter" for place in places or ()]
    for path in found:
        if path.is_file():
            return path
    raise DataError(
        "MovieLens 100K comes with recbole, which is not installed: `pip install --no-deps recbole`, "
        "or give ratings of your own with --ratings FILE"
    )


def read_split(path: Path, pause: float, held_out: float) -> Split:
    """Ratings as sessions: a user's items in the order of their times, divided where nothing was rated for `pause` s.

    path: a line for each rating with user, item, rating, time in seconds, divided by tabs, a header or none. The
    sessions that begin last, a part `held_out` of all, are for judging, less the items that training has not seen.
    """
    if not path.is_file():
        raise DataError(f"--ratings {path}: no such file")
    users, items, times = _columns(path)
    order = np.lexsort((times, users))  # stable: items of one second stay in the order of the file
    users, items, times = users[order], items[order], times[order]
    begins = np.r_[True, (users[1:] != users[:-1]) | (np.diff(times) > pause)]
    session = np.cumsum(begins) - 1
    lengths = np.bincount(session)
    by_time = np.argsort(times[begins], kind="stable")
    by_time = by_time[lengths[by_time] > 1]
    cut = round(len(by_time) * (1 - held_out))
    train = [items[session == s] for s in by_time[:cut]]
    if not train or cut == len(by_time):
        raise DataError(f"{path}: {len(by_time)} sessions of two items or more are too few: expected more ratings")
    known, numbered = np.unique(np.concatenate(train), return_inverse=True)
    seen = [s[np.isin(s, known)] for s in (items[session == s] for s in by_time[cut:])]
    test = [np.searchsorted(known, s) for s in seen if len(s) > 1]
    if not test:
        raise DataError(f"{path}: no session at the end has two items that occur before it: expected more ratings")
    titles = _titles(path.with_suffix(".item"))
    return Split(
        _joined(np.split(numbered, np.cumsum([len(s) for s in train])[:-1])),
        _joined(test),
        [titles.get(str(item), f"item {item}") for item in known],
    )


def chunks(sessions: Sessions, order: Ids, lanes: int, steps: int) -> Iterator[Chunk]:
    """Go through the sessions of `order` once, `lanes` of them side by side, `steps` items at a time.

    Each session goes to the lane that is the shortest so far; the first chunk begins anew in all lanes.
    """
    lengths = np.diff(sessions.starts)[order] - 1
    ends, queues = np.zeros(lanes, dtype=np.int64), [[] for _ in range(lanes)]
    for s, length in zip(order, lengths, strict=True):
        lane = int(ends.argmin())
        queues[lane].append(s)
        ends[lane] += length
    rows = -(-int(ends.max()) // steps) * steps
    items, targets = np.zeros((2, rows, lanes), dtype=np.int64)
    kept, counted = np.ones((rows, lanes), dtype=np.float32), np.zeros((rows, lanes), dtype=np.float32)
    kept[0] = 0
    for lane, queue in enumerate(queues):
        at = 0
        for s in queue:
            session = sessions[s]
            until = at + len(session) - 1
            items[at:until, lane], targets[at:until, lane] = session[:-1], session[1:]
            kept[at, lane], counted[at:until, lane] = 0, 1
            at = until
    for at in range(0, rows, steps):
        yield Chunk(*(table[at : at + steps] for table in (items, targets, kept, counted)))


def _columns(path: Path) -> tuple[Ids, Ids, np.ndarray]:
    with path.open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.reader(lines, delimiter="\t") if row]
    if rows and not rows[0][-1].replace(".", "").isdigit():
        rows = rows[1:]
    try:
        users, items, _, times = np.array(rows, dtype=np.float64).T
    except ValueError:
        raise DataError(f"{path}: expected user, item, rating and time in each line, as numbers, with tabs") from None
    return users.astype(np.int64), items.astype(np.int64), times


def _titles(path: Path) -> dict[str, str]:
    """What items are called, from recbole's list beside the ratings, if there is one."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as lines:
        return {row[0]: row[1] for row in csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)}


def _joined(sessions: list[np.ndarray]) -> Sessions:
    lengths = [len(s) for s in sessions]
    return Sessions(np.concatenate(sessions).astype(np.int64), np.cumsum([0, *lengths]))
