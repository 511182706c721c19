"""Large arrays between NumPy and the device, in pieces: what is moved is not there twice.

On a CPU, device and process share their memory. XLA offers no way to take over memory that it did not make, nor one to
make an array and leave it empty, so an empty one comes from a custom call that does nothing, and the host fills it; a
source that nobody else holds gives its pages back as it is read.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from subtensor.graph.interrupts import deferred_interrupts
from subtensor_jax.pages import LARGE_FROM, enlarge_pages

Array = np.ndarray[Any, np.dtype[Any]]

PIECE = 16 << 20
"""Bytes that go at a time; a multiple of the size of large pages."""

_DONTNEED = 4


def moved(value: Array, *, disposable: bool) -> jax.Array:
    """An array of the default device with the content of `value`. disposable: nobody will look at `value` again."""
    with jax.enable_x64(True):
        if value.nbytes < LARGE_FROM or not _is_host(next(iter(jnp.zeros(()).devices()))):
            return jnp.array(value, copy=True)
        array = blank(value.shape, value.dtype.name)
    room = host_view(array)
    if room is None:
        raise AssertionError("an array of one CPU has an address")
    source, target = np.ascontiguousarray(value).reshape(-1).view(np.uint8), room.reshape(-1).view(np.uint8)
    give_back = _giver() if disposable and np.may_share_memory(source, value) else None
    with deferred_interrupts():
        for low in range(0, len(source), PIECE):
            part = source[low : low + PIECE]
            target[low : low + PIECE] = part
            if give_back is not None:
                give_back(part)
    enlarge_pages(array)
    return array


def _is_host(device: Any) -> bool:
    return bool(device.platform == "cpu")


def host_view(array: jax.Array) -> Array | None:
    """A NumPy array over the memory of an array on a CPU; None where it lies elsewhere, or in several places.

    Valid while `array` is held, and no step is running.
    """
    devices = array.devices()
    if len(devices) != 1 or not _is_host(next(iter(devices))) or not array.size:
        return None
    pointer = array.block_until_ready().unsafe_buffer_pointer()
    memory = (ctypes.c_uint8 * array.nbytes).from_address(pointer)
    return np.ctypeslib.as_array(memory).view(array.dtype).reshape(array.shape)


def read_rows(array: jax.Array, start: int, stop: int) -> Array:
    """``array[start:stop]`` as a NumPy array: a view of the state where there is one, valid until the next step."""
    view = host_view(array)
    if view is not None:
        return view[start:stop]
    with jax.enable_x64(True):
        return np.asarray(_read(array, start, stop - start))


def write_rows(array: jax.Array, start: int, rows: Array) -> jax.Array:
    """`array` with ``array[start : start + len(rows)]`` set to `rows`, in the same memory; the old array is gone."""
    view = host_view(array)
    if view is not None:
        view[start : start + len(rows)] = rows
        return array
    with jax.enable_x64(True):
        written: jax.Array = _write(array, rows, start)
        return written.block_until_ready()


@partial(jax.jit, static_argnums=2)
def _read(array: Any, start: Any, count: int) -> Any:
    return lax.dynamic_slice_in_dim(array, start, count)


@partial(jax.jit, donate_argnums=0)
def _write(array: Any, rows: Any, start: Any) -> Any:
    return lax.dynamic_update_slice_in_dim(array, rows, start, 0)


@cache
def _giver() -> Callable[[Array], None] | None:
    """A function that gives the whole pages of an array back to the kernel; None where there is no such kernel."""
    if sys.platform != "linux":
        return None
    madvise = ctypes.CDLL(None).madvise
    madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)

    def give_back(part: Array) -> None:
        begin, page = part.ctypes.data, mmap.PAGESIZE
        first, last = -(-begin // page) * page, (begin + part.nbytes) // page * page
        if last > first:
            madvise(first, last - first, _DONTNEED)

    return give_back


# --- arrays of any content


class _Extension(ctypes.Structure):
    pass


_Extension._fields_ = [("size", ctypes.c_size_t), ("type", ctypes.c_int), ("next", ctypes.c_void_p)]


class _Version(ctypes.Structure):
    _fields_ = (
        ("size", ctypes.c_size_t),
        ("extension", ctypes.c_void_p),
        ("major", ctypes.c_int),
        ("minor", ctypes.c_int),
    )


class _Metadata(ctypes.Structure):
    _fields_ = (("size", ctypes.c_size_t), ("version", _Version), ("traits", ctypes.c_uint32))


class _MetadataExtension(ctypes.Structure):
    _fields_ = (("base", _Extension), ("metadata", ctypes.POINTER(_Metadata)))


class _Frame(ctypes.Structure):
    _fields_ = (("size", ctypes.c_size_t), ("extension", ctypes.POINTER(_MetadataExtension)))


_MAJOR, _MINOR = 0, 1
"""Of the interface for foreign functions that is used here (``xla/ffi/api/c_api.h``)."""

_METADATA = 1


def _nothing(frame: Any) -> int | None:
    """A foreign function that computes nothing; asked first for the version that it was written for."""
    extension = frame.contents.extension
    if extension and extension.contents.base.type == _METADATA:
        version = extension.contents.metadata.contents.version
        version.major, version.minor = _MAJOR, _MINOR
    return None


_HANDLER = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.POINTER(_Frame))(_nothing)


@cache
def _registered() -> bool:
    """Whether this JAX takes the foreign function."""
    try:
        jax.ffi.register_ffi_target("subtensor_blank", jax.ffi.pycapsule(_HANDLER), platform="cpu")  # type: ignore[no-untyped-call]
        _blank((1,), "uint8")()
    except Exception:  # noqa: BLE001  # whatever it says, zeros will do
        return False
    return True


def _blank(shape: tuple[int, ...], dtype: str) -> Any:
    result = jax.ShapeDtypeStruct(shape, np.dtype(dtype))  # type: ignore[no-untyped-call]
    call = jax.ffi.ffi_call("subtensor_blank", result)
    return jax.jit(call)


def blank(shape: tuple[int, ...], dtype: str) -> jax.Array:
    """An array of any content, on a CPU, that XLA owns: memory that nothing has touched, where JAX allows that."""
    with jax.enable_x64(True):
        array: jax.Array = _blank(shape, dtype)() if _registered() else jnp.zeros(shape, dtype)
        return array.block_until_ready()
