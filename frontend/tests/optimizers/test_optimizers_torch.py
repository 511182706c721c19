"""Agreement with PyTorch, whose trajectories were recorded by data/make_torch_trajectories.py."""

from pathlib import Path

import numpy as np
import pytest
from optimizer_models import BACKENDS

import subtensor as st
from subtensor import optimizers

with np.load(Path(__file__).parent / "data" / "torch_trajectories.npz") as _file:
    TORCH = dict(_file)
ADAM = {"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-6}
CASES = {
    "sgd": ("sgd", {}),
    "momentum": ("momentum", {"momentum": 0.8}),
    "nesterov": ("nesterov", {"momentum": 0.8}),
    "adagrad": ("adagrad", {"epsilon": 1e-6}),
    "rmsprop": ("rmsprop", {"rho": 0.8, "epsilon": 1e-6}),
    "adam": ("adam", ADAM),
    "adamw": ("adamw", {**ADAM, "weight_decay": 0.1}),
    "sparse_adagrad": ("adagrad", {"epsilon": 1e-6}),
    "sparse_adam": ("adam", {**ADAM, "epsilon": 0, "step_count": "global"}),
}


def test_every_recorded_trajectory_is_compared():
    assert set(CASES) == set(TORCH) - {"start", "every", "some", "every_y", "some_y", "rate", "torch"}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES)
def test_trajectory(case, backend):
    name, options = CASES[case]
    kind = "some" if case.startswith("sparse") else "every"
    t, ids, y = st.shared(TORCH["start"], "t"), st.lvector("ids"), st.matrix("y")
    x = t[ids]
    cost = ((x - y) ** 2).sum() + (x**4).sum() / 4
    updates = getattr(optimizers, name)(cost, [x], float(TORCH["rate"]), **options)
    step = st.function([ids, y], [], updates, backend=backend)
    for i, target, expected in zip(TORCH[kind], TORCH[f"{kind}_y"], TORCH[case], strict=True):
        step(i, target)
        np.testing.assert_allclose(t.get_value(), expected, rtol=1e-12, atol=1e-12)
