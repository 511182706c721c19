"""Modules that answer to the names ``theano``, ``aesara`` and ``pytensor``, for one process."""

from __future__ import annotations

import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from subtensor.errors import SettingError, SubtensorError
from subtensor.theano.missing import remedy
from subtensor.theano.names import MODULES, Place
from subtensor.theano.old import spell_as_of_old
from subtensor.theano.pickles import pickle_whole
from subtensor.theano.printing import print_while_running

ROOTS = ("theano", "aesara", "pytensor")
"""The libraries whose names are answered to; they have one table, for most of their modules are the same."""


class MissingNameError(SubtensorError, AttributeError):
    """A name that a module of Theano's has, and that is not here."""


class MissingModuleError(SubtensorError, ModuleNotFoundError):
    """A module of Theano's that is not here."""


def _place(fullname: str) -> Place | None:
    """The table of a module, by its full name under any root."""
    root, dot, rest = fullname.partition(".")
    return MODULES.get(fullname) or MODULES.get(f"theano{dot}{rest}") if root in ROOTS else None


class _Answering(ModuleType):
    """A module whose names are looked up in a table, then where the table says."""

    def __getattr__(self, name: str) -> Any:
        spelled = f"{self.__name__}.{name}"
        place = _place(self.__name__)
        if name.startswith("__") or place is None:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        if _place(spelled) is not None:
            return __import__(spelled, fromlist=["*"])
        try:
            value = place.find(name)
        except LookupError:
            raise MissingNameError(f"{spelled} is not here: {remedy(spelled)}", name=name, obj=self) from None
        setattr(self, name, value)
        return value

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the module holds under its own name: ``theano.scan`` is both a module and a function."""
        return getattr(self, self.__name__.rpartition(".")[2])(*args, **kwargs)

    def __dir__(self) -> list[str]:
        place = _place(self.__name__)
        return sorted({*self.__dict__, *(place.listed() if place else ())})


class _Loader(Loader):
    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Answering(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        place = _place(module.__name__)
        assert place is not None
        module.__doc__ = f"What answers to {module.__name__} in this process: subtensor."
        module.__all__ = place.listed()  # type: ignore[attr-defined]  # read by ``from … import *``


class _Finder(MetaPathFinder):
    def find_spec(self, fullname: str, *_: Any) -> ModuleSpec | None:
        if fullname.partition(".")[0] not in ROOTS:
            return None
        place = _place(fullname)
        if place is None:
            parent, _dot, name = fullname.rpartition(".")
            holder = sys.modules.get(parent)
            if holder is not None and _has(holder, name):
                return None  # ``from theano import function``: not a module, and there
            raise MissingModuleError(f"{fullname} is not here: {remedy(fullname)}")
        spec = ModuleSpec(fullname, _Loader(), is_package=True)
        spec.submodule_search_locations = []
        return spec


def _has(module: ModuleType, name: str) -> bool:
    try:
        getattr(module, name)
    except AttributeError:
        return False
    return True


_finder = _Finder()


def install() -> None:
    """Answer to ``theano``, ``aesara`` and ``pytensor`` in this process from now on; a second call changes nothing.

    Also a list of slices is an index from then on, as in the NumPy of old: the same as a tuple of them; and
    ``if node:`` asks whether there is a node; nodes and shared variables can be pickled.

    What is asked for and is not here is a MissingModuleError or a MissingNameError, which are Python's errors too, so
    that programs which ask for what may be missing go on. Raises SettingError where one of these libraries has been
    imported already.
    """
    if _finder in sys.meta_path:
        return
    imported = [root for root in ROOTS if root in sys.modules]
    if imported:
        raise SettingError(
            f"subtensor.theano: {imported[0]} has been imported already, from "
            f"{getattr(sys.modules[imported[0]], '__file__', 'somewhere')}; call install() before what imports it"
        )
    sys.meta_path.insert(0, _finder)
    spell_as_of_old()
    pickle_whole()
    print_while_running()
