"""The Numba backend of subtensor: what goes row by row becomes compiled loops, the rest is the NumPy backend's."""

from subtensor.plugins.hooks import hookimpl
from subtensor_numba.backend import NumbaBackend

__all__ = ["NumbaBackend", "subtensor_backend"]

_backend = NumbaBackend()


@hookimpl
def subtensor_backend() -> NumbaBackend:
    """The one backend object of this package."""
    return _backend
