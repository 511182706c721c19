"""Makes torch_trajectories.npz: tables after each step of PyTorch's optimizers, in float64.

    python frontend/tests/optimizers/data/make_torch_trajectories.py      # in an environment that has torch

Recorded once, so that the tests need no torch. `SparseAdam` and sparse `Adagrad` see batches that leave rows out; all
others see every row in every batch. Ids repeat. The cost of a batch is Σ (t[ids] − y)² + t[ids]⁴ / 4.
"""

from pathlib import Path

import numpy as np
import torch

V, D, STEPS, RATE = 7, 3, 12, 0.03
OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=RATE),
    "momentum": lambda p: torch.optim.SGD(p, lr=RATE, momentum=0.8),
    "nesterov": lambda p: torch.optim.SGD(p, lr=RATE, momentum=0.8, nesterov=True),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=RATE, eps=1e-6),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=RATE, alpha=0.8, eps=1e-6),
    "adam": lambda p: torch.optim.Adam(p, lr=RATE, betas=(0.8, 0.95), eps=1e-6),
    "adamw": lambda p: torch.optim.AdamW(p, lr=RATE, betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1),
    "sparse_adagrad": lambda p: torch.optim.Adagrad(p, lr=RATE, eps=1e-6),
    # its ε stands beside √v, not √v̂: too small to tell
    "sparse_adam": lambda p: torch.optim.SparseAdam(p, lr=RATE, betas=(0.8, 0.95), eps=1e-40),
}


def main():
    rng = np.random.default_rng(11)
    start = rng.normal(size=(V, D))
    every = np.stack([np.concatenate([rng.permutation(V), rng.integers(0, V, 5)]) for _ in range(STEPS)])
    some = rng.integers(0, V, (STEPS, 4))
    some[:, 1] = some[:, 0]
    made = {"start": start, "every": every, "some": some, "rate": np.array(RATE)}
    made["every_y"], made["some_y"] = rng.normal(size=(*every.shape, D)), rng.normal(size=(*some.shape, D))
    for name, make in OPTIMIZERS.items():
        kind = "some" if name.startswith("sparse") else "every"
        table = torch.nn.Embedding.from_pretrained(torch.tensor(start), freeze=False, sparse=kind == "some")
        optimizer = make(table.parameters())
        seen = []
        for ids, y in zip(made[kind], made[f"{kind}_y"], strict=True):
            optimizer.zero_grad()
            x = table(torch.tensor(ids))
            (((x - torch.tensor(y)) ** 2).sum() + (x**4).sum() / 4).backward()
            optimizer.step()
            seen.append(table.weight.detach().numpy().copy())
        made[name] = np.stack(seen)
    made["torch"] = np.array(torch.__version__)
    np.savez_compressed(Path(__file__).with_name("torch_trajectories.npz"), **made)


if __name__ == "__main__":
    main()
