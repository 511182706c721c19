"""A mutant in force: its code in the place of the original's, in this process."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import CodeType, FunctionType

from subtensor_conformance.mutants.generate import Mutant, code_of


class Patcher:
    """Puts mutants of the functions of some packages in force. packages: with all their modules, which are loaded."""

    def __init__(self, packages: Sequence[str]) -> None:
        self.modules = [m for name, m in sys.modules.items() if name.partition(".")[0] in packages]
        files = {m.__file__ for m in self.modules}
        self.functions: dict[tuple[str, str], list[FunctionType]] = {}
        for f in gc.get_objects():
            if isinstance(f, FunctionType) and f.__code__.co_filename in files:
                self.functions.setdefault((f.__code__.co_filename, f.__code__.co_qualname), []).append(f)
        self.caches = [v for m in self.modules for v in vars(m).values() if hasattr(v, "cache_clear")]

    @contextmanager
    def applied(self, m: Mutant) -> Iterator[None]:
        """The mutant in force for the length of a ``with`` block. Raises SyntaxError for one that is no Python."""
        self._forget()
        undo = self._named(*m.threshold) if m.threshold is not None else self._coded(code_of(m))
        try:
            next(undo)
            yield
        finally:
            next(undo, None)
            self._forget()

    def _coded(self, new: CodeType) -> Iterator[None]:
        held = [(f, f.__code__) for f in self.functions.get((new.co_filename, new.co_qualname), ())]
        for f, old in held:
            if len(old.co_freevars) == len(new.co_freevars):
                f.__code__ = new
        yield
        for f, old in held:
            f.__code__ = old

    def _named(self, name: str, value: int) -> Iterator[None]:
        held = [(m, vars(m)[name]) for m in self.modules if type(vars(m).get(name)) is int]
        for m, _ in held:
            setattr(m, name, value)
        yield
        for m, old in held:
            setattr(m, name, old)

    def _forget(self) -> None:
        for cached in self.caches:
            cached.cache_clear()
