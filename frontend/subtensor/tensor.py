"""The same names again, for programs written with ``import theano.tensor as T``: ``import subtensor.tensor as T``."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import subtensor
from subtensor.graph import leaves
from subtensor.graph.operators import FUNCTIONS

__all__ = [name for name in subtensor.__all__ if name != "tensor"]

tensor = leaves.tensor

nnet = SimpleNamespace(
    **{
        name: FUNCTIONS[name]
        for name in (
            "batch_normalization",
            "batch_normalization_test",
            "batch_normalization_train",
            "binary_crossentropy",
            "categorical_crossentropy",
            "confusion_matrix",
            "conv2d",
            "conv3d",
            "crossentropy_categorical_1hot",
            "elu",
            "hard_sigmoid",
            "log_softmax",
            "logsoftmax",
            "relu",
            "sigmoid",
            "sigmoid_binary_crossentropy",
            "softmax",
            "softplus",
            "softsign",
        )
    }
)
"""Theano's ``T.nnet``."""

signal = SimpleNamespace(
    pool=SimpleNamespace(pool_2d=FUNCTIONS["pool_2d"], pool_3d=FUNCTIONS["pool_3d"]),
    downsample=SimpleNamespace(max_pool_2d=FUNCTIONS["max_pool_2d"]),
)
"""Theano's ``T.signal``."""


def __getattr__(name: str) -> Any:
    if name == "shared_randomstreams":  # Theano's; its module is imported when it is asked for
        return SimpleNamespace(RandomStreams=subtensor.RandomStreams)
    if name in ("extra_ops", "xlogx"):  # Theano's modules, whose names are all here
        return FUNCTIONS[name] if name in FUNCTIONS else sys.modules[__name__]
    try:
        return getattr(subtensor, name)
    except AttributeError:
        if name in FUNCTIONS:
            return FUNCTIONS[name]
        raise AttributeError(f"module 'subtensor.tensor' has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _CallableModule(ModuleType):
    """Once imported, this module takes the name ``subtensor.tensor`` from the function, so it does what that does."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return tensor(*args, **kwargs)


sys.modules[__name__].__class__ = _CallableModule
