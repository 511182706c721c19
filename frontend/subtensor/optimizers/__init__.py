"""Update rules for shared variables and for subsets of their rows.

``adam(cost, [table[ids], weights])`` gives updates for ``function``. Rows that a step does not use cost nothing; the
gradients of a row that is used more than once are summed first. See ``docs/optimizers.md``.
"""

from subtensor.doors import door
from subtensor.optimizers import constraints, schedules
from subtensor.optimizers.accumulation import Accumulated, accumulate
from subtensor.optimizers.adam import adam, adamax, adamw, lamb, nadam
from subtensor.optimizers.adaptive import adadelta, adagrad, rmsprop, rowwise_adagrad
from subtensor.optimizers.build import Options
from subtensor.optimizers.dual_averaging import madgrad
from subtensor.optimizers.ftrl_proximal import ftrl
from subtensor.optimizers.gradient_descent import momentum, nesterov, sgd
from subtensor.optimizers.lion import lion
from subtensor.optimizers.rowwise_adam import rowwise_adam
from subtensor.optimizers.updates import Updates

accumulate = door(accumulate)
adadelta = door(adadelta)
adagrad = door(adagrad)
adam = door(adam)
adamax = door(adamax)
adamw = door(adamw)
ftrl = door(ftrl)
lamb = door(lamb)
lion = door(lion)
madgrad = door(madgrad)
momentum = door(momentum)
nadam = door(nadam)
nesterov = door(nesterov)
rmsprop = door(rmsprop)
rowwise_adagrad = door(rowwise_adagrad)
rowwise_adam = door(rowwise_adam)
sgd = door(sgd)

__all__ = [
    "Accumulated",
    "Options",
    "Updates",
    "accumulate",
    "adadelta",
    "adagrad",
    "adam",
    "adamax",
    "adamw",
    "constraints",
    "ftrl",
    "lamb",
    "lion",
    "madgrad",
    "momentum",
    "nadam",
    "nesterov",
    "rmsprop",
    "rowwise_adagrad",
    "rowwise_adam",
    "schedules",
    "sgd",
]
