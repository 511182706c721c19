"""The NumPy backend of subtensor: each program becomes one straight-line Python function."""

from subtensor.plugins.hooks import hookimpl
from subtensor_numpy.backend import NumpyBackend

__all__ = ["NumpyBackend", "subtensor_backend"]

_backend = NumpyBackend()


@hookimpl
def subtensor_backend() -> NumpyBackend:
    """The one backend object of this package."""
    return _backend
