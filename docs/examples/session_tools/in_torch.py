"""The model of docs/examples/next_item.py, and its rule for subsets, in torch: to be compared with."""

import argparse
from collections.abc import Mapping

import numpy as np
import torch
from torch.nn.functional import embedding

from .data import Ids


class InTorch:
    """``train``, ``rank`` and ``suggest`` of a recommender; see ``next_item.Recommender``."""

    def __init__(self, weights: Mapping[str, np.ndarray], counts: Ids, args: argparse.Namespace) -> None:
        torch.manual_seed(args.seed)
        torch.set_num_threads(1)
        self.args = args
        self.weights = {name: torch.tensor(value) for name, value in weights.items()}
        self.squares = {name: torch.zeros_like(value) for name, value in self.weights.items()}
        self.velocity = {name: torch.zeros_like(value) for name, value in self.weights.items()}
        self.frequency = torch.tensor(counts**0.75, dtype=torch.float32)
        self.expected = torch.log(args.negatives * self.frequency / self.frequency.sum())
        self.states = {name: torch.zeros(args.lanes, args.units) for name in ("train", "rank")}

    def _read(
        self, rows: torch.Tensor, kept: torch.Tensor, h: torch.Tensor, w: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        """rows: (T, B, H); gives the states after each item, (T, B, H)."""
        units = rows.shape[2]
        found = []
        from_items = rows @ w["into"] + w["offset"]
        for from_item, keep in zip(from_items, kept, strict=True):
            h = h * keep[:, None]
            from_state = h @ w["around"]
            reset, update = torch.sigmoid(from_item[:, : 2 * units] + from_state[:, : 2 * units]).chunk(2, dim=1)
            new = torch.tanh(from_item[:, 2 * units :] + reset * from_state[:, 2 * units :])
            h = (1 - update) * h + update * new
            found.append(h)
        return torch.stack(found)

    def train(self, items: np.ndarray, kept: np.ndarray, targets: np.ndarray, counted: np.ndarray) -> np.ndarray:
        """A step; gives the mean cost of a prediction before it."""
        right = torch.from_numpy(targets).flatten()
        negatives = torch.multinomial(self.frequency, self.args.negatives, replacement=True)
        drawn, count = torch.cat([right, negatives]), len(right)
        ids = {"read": torch.from_numpy(items).flatten(), "shown": drawn, "bias": drawn}
        part = {n: (w[ids[n]] if n in ids else w.clone()).requires_grad_() for n, w in self.weights.items()}

        rows = part["read"].reshape(*items.shape, -1)
        states = self._read(rows, torch.from_numpy(kept), self.states["train"], part)
        hidden = states.reshape(count, -1)
        score = (hidden * part["shown"][:count]).sum(1) + part["bias"][:count] - self.expected[right]
        scores = hidden @ part["shown"][count:].T + part["bias"][count:] - self.expected[negatives]
        scores = torch.where(negatives == right[:, None], -1e9, scores)
        costs = torch.logsumexp(torch.cat([score[:, None], scores], 1), 1) - score
        weight = torch.from_numpy(counted).flatten()
        cost = (costs * weight).sum() / weight.sum()
        cost.backward()
        with torch.no_grad():
            for name, subset in part.items():
                self._step(name, ids.get(name), subset.grad)
            self.states["train"] = states[-1].detach()
        return cost.detach().numpy()

    def _step(self, name: str, ids: torch.Tensor | None, g: torch.Tensor) -> None:
        """Adagrad with momentum, on the rows `ids` alone; g: a gradient for each occurrence."""
        w, n, u = self.weights[name], self.squares[name], self.velocity[name]
        rate, momentum = self.args.learning_rate, self.args.momentum
        if ids is None:
            n += g**2
            u.mul_(momentum).sub_(rate * g / (n.sqrt() + 1e-6))
            w += u
            return
        n.index_add_(0, ids, g**2)
        named, places = torch.unique(ids, return_inverse=True)
        change = torch.zeros(len(named), *g.shape[1:]).index_add_(0, places, g / (n[ids].sqrt() + 1e-6))
        u[named] = momentum * u[named] - rate * change
        w[named] += u[named]

    @torch.no_grad()
    def rank(self, items: np.ndarray, kept: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """The ranks of the targets among all items, (T, B)."""
        rows = embedding(torch.from_numpy(items), self.weights["read"])
        states = self._read(rows, torch.from_numpy(kept), self.states["rank"], self.weights)
        self.states["rank"] = states[-1]
        scores = states @ self.weights["shown"].T + self.weights["bias"]
        of_targets = scores.gather(2, torch.from_numpy(targets)[:, :, None])
        return (1 + (scores > of_targets).sum(2)).numpy()

    @torch.no_grad()
    def suggest(self, session: np.ndarray) -> np.ndarray:
        """All items, those first that are likely to come after a session."""
        rows = self.weights["read"][torch.from_numpy(session)][:, None]
        state = self._read(rows, torch.ones(len(session), 1), torch.zeros(1, self.args.units), self.weights)[-1, 0]
        return torch.argsort(-(self.weights["shown"] @ state + self.weights["bias"])).numpy()
