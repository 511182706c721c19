"""From the source of a loop to machine code, kept in the user's cache folder.

The source goes into a file that is named after it, and Numba keeps what it compiled beside it, for the processor and
the version of Numba that it was compiled with. Where the folder cannot be used, everything is compiled anew.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba.core import compiler
from numba.core.runtime.nrt import rtsys

from subtensor.graph import forks
from subtensor_numba import primitives

if numba.version_info.short < (0, 61):
    raise ImportError(f"the Numba backend needs Numba 0.61 or newer; {numba.__version__} is installed")

Kernel = Callable[..., int]

log = logging.getLogger("subtensor")

NOTEWORTHY = 1.0
"""Seconds of compilation that are reported."""

_lock = forks.lock(forks.KERNEL)
_known: dict[str, Kernel] = {}
_complained: set[str] = set()


_Base: Any = compiler.Compiler


class _Compiler(_Base):  # type: ignore[misc]
    """Numba's, told that no array that a kernel writes shares memory with another: so loops become vector code."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.state.flags.noalias = True


def folder() -> Path:
    """Where compiled code is kept: ``SUBTENSOR_NUMBA_CACHE``, or ``subtensor/numba`` in the user's cache folder."""
    chosen = os.environ.get("SUBTENSOR_NUMBA_CACHE")
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library" / "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "subtensor" / "numba"


WHOLE = numba.types.intp
"""The type of an argument that is a length or a flag."""


def array(dtype: str, ndim: int, *, writeable: bool) -> Any:
    """The type of a C-contiguous argument."""
    return numba.types.Array(numba.from_dtype(np.dtype(dtype)), ndim, "C", readonly=not writeable)


def compiled(source: str, arguments: Sequence[Any]) -> Kernel:
    """The function ``kernel`` of a source, for arguments of these types: a callable that runs no Python code."""
    text = f"# {numba.__version__} {np.__version__}\n# {', '.join(map(str, arguments))}\n{source}"
    key = hashlib.sha256(text.encode()).hexdigest()[:32]
    with _lock:
        found = _known.get(key)
        if found is None:
            start = time.perf_counter()
            found = _known[key] = _compiled(text, key, numba.types.intp(*arguments))
            seconds = time.perf_counter() - start
            if seconds > NOTEWORTHY:
                log.info("the Numba backend compiled a loop in %.1f s", seconds)
        return found


def _compiled(text: str, key: str, signature: Any) -> Kernel:
    path = folder() / f"kernel_{key}.py"
    try:
        if not path.exists() or path.read_text() != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{os.getpid()}.part")
            part.write_text(text)
            part.replace(path)
        return _jitted(text, str(path), signature, cache=True)
    except Exception as error:  # noqa: BLE001  # whatever a damaged or a locked folder leads to
        made = _jitted(text, f"<subtensor kernel {key}>", signature, cache=False)
        _complain(f"the folder for compiled code, {path.parent}, cannot be used ({error!r}): loops are compiled anew")
        return made


def _complain(text: str) -> None:
    if text not in _complained:
        _complained.add(text)
        log.warning("%s", text)


def _jitted(text: str, name: str, signature: Any, *, cache: bool) -> Kernel:
    space: dict[str, Any] = {"__name__": "subtensor_numba.primitives", "np": np}
    space.update({n: getattr(primitives, n) for n in ("plus", "times", "prefetch", "prefetch_one")})
    space.update({n: getattr(np, n) for n in _DTYPES})
    exec(compile(text, name, "exec"), space)  # noqa: S102  # our own source
    jit = numba.njit(nogil=True, error_model="numpy", cache=cache, pipeline_class=_Compiler)
    dispatcher = jit(space["kernel"])
    result: Any = _kept_result(dispatcher, signature) if cache else None
    if result is None:
        dispatcher.compile(signature)
        result = dispatcher.overloads[signature.args]
    _kept.append((dispatcher, result))
    entry: Kernel = result.entry_point
    return entry


def _kept_result(dispatcher: Any, signature: Any) -> Any:
    """What was compiled before, or None.

    Numba's own way first imports all that a compilation may need, which takes a second; loading needs none of it.
    """
    try:
        rtsys.initialize(dispatcher.targetctx)
        return dispatcher._cache._load_overload(signature, dispatcher.targetctx)  # noqa: SLF001  # no public way
    except Exception:  # noqa: BLE001  # whatever a version does otherwise, its own way is tried next
        return None


_DTYPES = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64")
_kept: list[Any] = []
"""Entry points live as long as what compiled them."""
