"""The NumPy backend on state that lies in files, with a journal: each step is made, made undone, and made again."""

import weakref
from contextlib import nullcontext
from itertools import count
from pathlib import Path

import numpy as np

from subtensor.store.journal import PAGE, Journal
from subtensor_numpy.backend import NumpyBackend

FOLDER: list[Path] = []
"""Where the files go."""

NUMBERS = count()
MAPPED = {"steps": 0}
"""How many steps have been journalled."""


class Files:
    """Keeps the arrays of cells in files of a folder."""

    where, final, lock = "a file", True, nullcontext()

    def __init__(self):
        path = FOLDER[0] / f"journal.{next(NUMBERS)}"
        self.journal = Journal(path, durable=False)
        weakref.finalize(self, path.unlink, missing_ok=True)

    def protect(self, changes):
        return self.journal.note([(cell.number, cell.data, key) for cell, key in changes])

    def undo(self):
        """The backend does it."""

    def ahead(self, part):
        """Nothing is read ahead."""

    def map(self, cell):
        if not cell.data.size:
            return
        path = FOLDER[0] / f"{next(NUMBERS)}.npy"
        array = np.lib.format.open_memmap(path, "w+", cell.data.dtype, cell.data.shape)
        array[...] = cell.data
        cell.put(np.asarray(array), cell.home)
        cell.keeper = self
        weakref.finalize(array, path.unlink, missing_ok=True)


class MappedBackend(NumpyBackend):
    """Runs each step on arrays that are mapped from files, twice, and undoes the first by the journal."""

    name = "mapped"

    def compile(self, program, **options):
        run = super().compile(program, **options)
        files = Files()
        fixed = [n for n, s in enumerate(program.shared) if None not in s.type.shape]
        updated = {c.shared for c in program.commits}

        def twice(inputs, cells):
            mine = [cells[n] for n in fixed if n in updated]
            for cell in mine:
                if cell.keeper is None or (cell.keeper is not files and isinstance(cell.keeper, Files)):
                    files.map(cell)
            rest = [cells[n] for n in updated if n not in fixed]
            if any(cell.keeper is not None and not isinstance(cell.keeper, Files) for cell in mine):
                return run(inputs, cells)  # somebody else keeps them
            if rest or not mine or any(cell.keeper is None for cell in mine):
                return run(inputs, cells)
            before = {cell.number: cell.data.copy() for cell in mine}
            run(inputs, cells)
            files.journal.head[1] = PAGE
            assert files.journal.undo({cell.number: cell.data for cell in mine})
            for cell in mine:
                assert cell.data.tobytes() == before[cell.number].tobytes(), "the journal did not undo a step"
            MAPPED["steps"] += 1
            return run(inputs, cells)

        return twice
