"""What a backend is: the contract between the frontend and whoever runs its programs.

A backend is any object with the attributes of :class:`Backend`. It reaches the frontend through the hook
``subtensor_backend``, is checked once by :func:`backend_fault` when its plugin loads, and is trusted from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

import numpy as np

from subtensor.graph.cells import Cell
from subtensor.program.linear import Program

SPEC_VERSION = 1
"""The version of this contract. It rises when a backend written for the old one would no longer be right."""

CAPABILITIES = frozenset({"bfloat16", "float16", "dynamic_shapes", "special_functions"})
"""What a backend may lack, by name; everything else is required of all.

- ``bfloat16``: values of dtype bfloat16, which are moved about and cast to and from float32, and of which nothing else
  is asked.
- ``float16``: values of dtype float16.
- ``dynamic_shapes``: shapes that depend on values (masks, ``arange(n)``, symbolic slice bounds).
- ``special_functions``: ``erf``, ``gammaln`` and their kin.
"""

Array: TypeAlias = Any
"""A backend's own array type; the frontend passes it around and never looks inside."""

Lowering: TypeAlias = Callable[..., Any]
"""How a backend runs one op; what it takes and returns is the backend's to say."""

NO_LOWERINGS: Mapping[str, Lowering] = MappingProxyType({})


class Executable(Protocol):
    """A compiled program."""

    def __call__(self, inputs: tuple[np.ndarray, ...], cells: tuple[Cell, ...]) -> tuple[np.ndarray, ...]:
        """Run the program once.

        inputs: one NumPy array for each of the program's inputs, of its dtype; never written to.
        cells: the cells of the program's shared variables, in its order, locked and at home on this backend: the values
        are ``cell.data``. Last of all, when nothing can fail any more, the executable gives the updated ones their new
        values, with ``subtensor.plugin.commit``.
        Returns the program's outputs, in its order, as NumPy arrays that the caller will own. Raises anything at all
        where an argument breaks a rule (a position out of bounds, lengths that do not fit): the frontend finds out what
        was wrong and words the error.
        """
        ...


class Compiling(Protocol):
    """An executable that compiles at its first call, and can do so earlier; optional, either method by itself."""

    def prepare(self, shapes: Sequence[tuple[int, ...]] | None) -> None:
        """Compile now what a call with arguments of these shapes would compile; None: for whatever shapes they have."""
        ...

    def notes(self) -> Sequence[str]:
        """Lines for ``fn.explain()``: what runs how, and what could not be compiled."""
        ...


@dataclass(frozen=True)
class Timing:
    """How long a part of a call took.

    what: in words; "" where `slots` tell. slots: of the program, filled by it. seconds: of the median call. writes:
    whether the commits are part of it. details: what else is known, by name. shapes: of slots, where they are known.
    """

    what: str
    slots: tuple[int, ...]
    seconds: float
    writes: bool = False
    details: Mapping[str, float] = field(default_factory=dict)
    shapes: Mapping[int, tuple[int, ...]] = field(default_factory=dict)


class Profiling(Protocol):
    """An executable that can say where its time goes, for ``fn.profile``; optional."""

    def profile(self, inputs: tuple[np.ndarray, ...], cells: tuple[Cell, ...], rounds: int) -> Sequence[Timing]:
        """Make `rounds` calls, whose updates `cells` get, and tell the parts of one in their order."""
        ...


class Stepping(Protocol):
    """An executable that can make many steps at once; optional.

    steps(inputs, cells): `inputs` have one more axis in front, one entry for each step. Makes the steps in order, each
    a transaction as a call is, until one of them cannot be made, and returns how many were, and their outputs, with
    such an axis too; or None where it would rather be called step by step.
    """

    def steps(
        self, inputs: tuple[np.ndarray, ...], cells: tuple[Cell, ...]
    ) -> tuple[int, tuple[np.ndarray, ...]] | None: ...


class Backend(Protocol):
    """An array library that runs programs. Shapes and dtypes are decided by the frontend, never here.

    A backend may also have what ``OPTIONAL`` names; the frontend does without where it is absent.
    """

    @property
    def name(self) -> str:
        """The name given to ``function(backend=...)``; equal to the name of the entry point."""
        ...

    @property
    def spec_version(self) -> int:
        """The ``SPEC_VERSION`` that the backend was written for."""
        ...

    @property
    def capabilities(self) -> frozenset[str]:
        """The members of ``CAPABILITIES`` that the backend has."""
        ...

    @property
    def operations(self) -> frozenset[str]:
        """The names of the ops that the backend runs itself. Others are written out in simpler ones first."""
        ...

    def compile(self, program: Program, *, lowerings: Mapping[str, Lowering] = NO_LOWERINGS) -> Executable:
        """Turn a program into something that runs.

        lowerings: op name → lowering, as plugins brought them for this backend: a function of arrays of the backend,
        with the op's parameters as keywords, that gives the result.
        Raises ``Unsupported`` for a capability that the backend does not declare, and ``PluginError`` for a lowering of
        an op that the backend lowers itself: neither of the two is chosen in silence.
        """
        ...

    def from_numpy(self, value: np.ndarray) -> Array:
        """Copy a NumPy array into a new array of the backend, which a shared variable will own."""
        ...

    def to_numpy(self, array: Array) -> np.ndarray:
        """Copy an array of the backend into a new NumPy array, which the caller will own."""
        ...


OPTIONAL: Mapping[str, str] = MappingProxyType(
    {
        "in_place": "True: the arrays of shared variables are NumPy's and steps write in them, so that a value that "
        "lies in a file can be updated there; where a cell that a step updates has a keeper, the executable ends "
        "with ``subtensor.plugin.commit_kept`` in place of ``commit``",
        "reads_fuse": "True: what is computed by elements, and read only at positions, by one read, is computed there "
        "only, as XLA does; so that nobody is warned of it",
        "adopt": "adopt(value, disposable) -> Array: as ``from_numpy``, for an array that is handed over; if "
        "disposable, nobody will look at it again, and its memory may be given back while it is read",
        "read_rows": "read_rows(array, start, stop) -> numpy.ndarray: some rows of an array, valid until the next step",
        "write_rows": "write_rows(array, start, rows) -> Array: the array with some rows replaced, in the same memory",
        "present": "present() -> Backend: the backend for functions that are built now, where that depends on what "
        "the user has entered (``with subtensor_jax.mesh(...)``); it has the same name",
        "place": "place(value, axes) -> Array: as ``from_numpy``, for a value whose axes may have roles; axes: for "
        "each axis its role or None, or None where none has one",
        "share": "share(array) -> Share | None: what this process has of a value that several processes hold "
        "(``subtensor.graph.cells.Share``); None where it has all, and no other process has any",
    }
)
"""What a backend may have besides, so that tables are nowhere twice."""

_SAID = ("in_place", "reads_fuse")
_DATA: Mapping[str, type] = {"name": str, "spec_version": int, "capabilities": frozenset, "operations": frozenset}
_METHODS = ("compile", "from_numpy", "to_numpy")


def backend_fault(backend: object) -> str | None:
    """Say what keeps an object from being a backend of this version; ``None`` if nothing does.

    The version is looked at first: a mismatch explains whatever else is missing.
    """
    if isinstance(backend, type):
        return f"the class {backend.__name__!r} was given, expected an object: {backend.__name__}()"
    version = getattr(backend, "spec_version", None)
    if version is not None and (type(version) is not int or version != SPEC_VERSION):
        older = type(version) is int and version < SPEC_VERSION
        return (
            f"spec_version is {version!r}, expected {SPEC_VERSION}; "
            f"upgrade {'the distribution that offers the backend' if older else 'subtensor'}"
        )
    for attribute in (*_DATA, *_METHODS):
        if getattr(backend, attribute, None) is None:
            return f"the object of type {type(backend).__name__!r} lacks the attribute {attribute!r} of a backend"
    for attribute, expected in _DATA.items():
        value = getattr(backend, attribute)
        if not isinstance(value, expected):
            return f"attribute {attribute!r} is {value!r}, expected an object of type {expected.__name__!r}"
    for attribute in _METHODS:
        if not callable(getattr(backend, attribute)):
            return f"attribute {attribute!r} is {getattr(backend, attribute)!r}, expected a method"
    for attribute in OPTIONAL:
        value = getattr(backend, attribute, None)
        if value is not None and not (isinstance(value, bool) if attribute in _SAID else callable(value)):
            expected_form = "True or False" if attribute in _SAID else "a method"
            return f"attribute {attribute!r} is {value!r}, expected {expected_form}, or none of that name"
    unknown = sorted(map(str, backend.capabilities - CAPABILITIES))  # type: ignore[attr-defined]
    if unknown:
        return f"unknown capabilities {unknown}; the known ones are {sorted(CAPABILITIES)}"
    return None
