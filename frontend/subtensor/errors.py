"""Every error that the frontend raises, and the wording they share.

A message says where, what was expected, what was got, and the remedy. Each class also derives from the built-in
exception that NumPy or Python would raise there, so ``except IndexError`` and ``except ValueError`` keep working.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np


class SubtensorError(Exception):
    """Base of all errors of this library."""


class ShapeError(SubtensorError, ValueError):
    """Shapes do not fit together."""


class AxisError(ShapeError, np.exceptions.AxisError):
    """An axis that a tensor has not, or that is named twice; NumPy's error of this name too, so also an IndexError."""

    def __str__(self) -> str:
        return Exception.__str__(self)  # NumPy's has words of its own


class DTypeError(SubtensorError, TypeError):
    """A dtype is not accepted, or a conversion would lose information."""


class BoundsError(SubtensorError, IndexError):
    """An index lies outside the axis that it indexes, or a mask does not match its axes."""


class IndexingError(SubtensorError, IndexError):
    """An index expression is malformed: refused while the graph is built."""


class DomainError(SubtensorError, ValueError):
    """A value lies outside what an operation accepts at run time (a negative length, an empty maximum)."""


class NonFiniteError(DomainError, FloatingPointError):
    """A step would return or write NaN or infinity, and ``function(on_nonfinite="raise")`` forbids it."""


class NotASubsetError(SubtensorError, TypeError):
    """What was given to ``set_subtensor`` or ``inc_subtensor`` was not obtained by indexing."""


class GradientError(SubtensorError, ValueError):
    """A gradient was asked for that is not defined."""


class DisconnectedInputError(GradientError):
    """The cost does not depend, differentiably, on what it is to be differentiated with respect to."""


class GraphError(SubtensorError, ValueError):
    """A graph breaks an invariant."""


class ArgumentError(SubtensorError, TypeError, ValueError):
    """A function was given arguments that it cannot use."""


class SettingError(SubtensorError, AttributeError):
    """What cannot be assigned: a part of a node, which is immutable, or a setting that there is not."""


class FunctionError(SubtensorError, ValueError):
    """``function`` was given inputs, outputs, updates or givens that do not make a program."""


class MissingInputError(FunctionError):
    """A graph needs an input that was not listed."""


class UnusedInputError(FunctionError):
    """A listed input is not used by any output or update."""


class UpdateError(FunctionError):
    """An update does not fit the shared variable that it would update."""


class UpdateTypeError(UpdateError, TypeError):
    """An update changes the dtype or the shape of a shared variable."""


class OptimizerError(SubtensorError, ValueError):
    """An optimizer was given options that do not go together, or parameters or state that do not fit."""


class CheckpointError(SubtensorError, ValueError):
    """A checkpoint is damaged, foreign, or of another model than the one that it is loaded into."""


class StoreError(SubtensorError, OSError):
    """A table that lies in a file cannot be opened, written or kept there."""


class ShardingError(SubtensorError, ValueError):
    """A program, or a value, does not fit the devices over which it is to be divided."""


class ProcessError(SubtensorError, RuntimeError):
    """Processes that run one program together do not do the same, or one of them is gone."""


class CallError(SubtensorError, TypeError):
    """A compiled function was called with missing, extra or misnamed arguments."""


class PluginError(SubtensorError, RuntimeError):
    """A plugin could not be loaded, or broke a rule of the plugin host."""


class BackendNotFoundError(PluginError, LookupError):
    """No installed plugin offers the backend that was asked for."""


class Unsupported(SubtensorError, NotImplementedError):
    """A backend declares that it lacks a capability.

    capability: the name, from the closed set ``subtensor.plugin.CAPABILITIES``, or an op's name.
    """

    def __init__(self, capability: str, message: str | None = None) -> None:
        super().__init__(message or f"the backend does not support {capability!r}")
        self.capability = capability


MANY = 1_000_000
"""Nodes that one call may make, where a number says how many: beyond, it was no number of parts that was meant."""


def counted(n: int, noun: str) -> str:
    """``3 axes``, ``1 axis``: a number with its noun."""
    plural = {"axis": "axes", "index": "indices"}.get(noun, noun + "s")
    return f"{n} {noun if n == 1 else plural}"


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """A warning that points at the user's line: the innermost one that is neither subtensor's nor a backend's."""
    level, frame = 2, sys._getframe(1)  # noqa: SLF001  # how warnings itself counts
    while frame.f_back is not None and (
        frame.f_globals.get("__name__", "").partition(".")[0].startswith("subtensor")
        or frame.f_code.co_filename.startswith("<subtensor")
    ):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
