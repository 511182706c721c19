"""The JAX backend of subtensor: each program becomes a few jitted functions that update state in place."""

from subtensor.plugins.hooks import hookimpl
from subtensor.rewrites.engine import Rewrite
from subtensor_jax.backend import JaxBackend
from subtensor_jax.interop import PureFunction, to_jax
from subtensor_jax.local import bring, get_rows, rows_here, set_rows
from subtensor_jax.masks import REWRITES
from subtensor_jax.meshes import DeviceMesh, mesh
from subtensor_jax.shapes import RecompilationWarning
from subtensor_jax.traffic import traffic
from subtensor_jax.wire import Transfer

__all__ = [
    "DeviceMesh",
    "JaxBackend",
    "PureFunction",
    "RecompilationWarning",
    "Transfer",
    "bring",
    "get_rows",
    "mesh",
    "rows_here",
    "set_rows",
    "subtensor_backend",
    "subtensor_rewrites",
    "to_jax",
    "traffic",
]

_backend = JaxBackend()


@hookimpl
def subtensor_backend() -> JaxBackend:
    """The one backend object of this package."""
    return _backend


@hookimpl
def subtensor_rewrites() -> tuple[Rewrite, ...]:
    """What saves programs for this backend from being cut at masks."""
    return REWRITES
