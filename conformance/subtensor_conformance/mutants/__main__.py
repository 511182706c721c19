"""The command ``python -m subtensor_conformance.mutants``.

Exit status: 0 if every mutant was killed or is known to mean the same; 1 if one survives without a reason.
"""

from __future__ import annotations

import argparse
import os
import pickle
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from subtensor_conformance.mutants.generate import Mutant, mutants
from subtensor_conformance.mutants.lane import Coverage, Fate, covered, tried
from subtensor_conformance.mutants.subjects import SUBJECTS
from subtensor_conformance.mutants.survivors import survivors
from subtensor_conformance.runner import plan


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m subtensor_conformance.mutants", description=__doc__)
    add = parser.add_argument
    add("--backend", choices=tuple(SUBJECTS), default="numpy", help="the backend that is mutated (numpy)")
    add("--only", action="append", default=[], metavar="TEXT", help="only mutants with this in their label")
    add("--sample", type=int, metavar="N", help="only N of them, drawn by the seed")
    add("--seed", type=int, default=0, help="of the sample and the order")
    add("--budget", type=float, default=float("inf"), metavar="S", help="seconds for all mutants (no limit)")
    add("--limit", type=float, default=120.0, metavar="S", help="seconds for one mutant (120)")
    add("--area", action="append", default=[], help="only cases of this area")
    add("--profile", choices=("quick", "full"), default="quick", help="which cases are to kill them (quick)")
    add("--processes", type=int, default=min(2, os.cpu_count() or 1), help="how many processes at once (2)")
    add("--coverage", type=Path, metavar="FILE", help="keep there which lines cases come by, and take it from there")
    add("--cache", type=Path, metavar="FOLDER", help="keep what JAX compiles there")
    add("--listed", action="store_true", help="also the mutants that are known to mean the same")
    add("--verbose", action="store_true", help="print also what is killed, and by which case")
    options = parser.parse_args(argv)
    chosen = chosen_from(options.backend, options.only, options.sample, options.seed)
    known = survivors(options.backend)
    if not options.listed:
        chosen = [m for m in chosen if m.label not in known]
    start = time.perf_counter()

    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(_SPARING, JAX_COMPILATION_CACHE_DIR=str(options.cache or folder))
        coverage = _coverage(options)
        print(f"{len(coverage)} cases come by the code, {time.perf_counter() - start:.0f} s", flush=True)
        fates = _tried(options, chosen, coverage)
    killed = sum(f.killed for f in fates)
    left = [f for f in fates if not f.killed and f.mutant.label not in known]
    same, seconds = len(fates) - killed - len(left), time.perf_counter() - start
    print(
        f"{options.backend}, seed {options.seed}: {len(fates)} of {len(chosen)} mutants tried, {killed} killed, "
        f"{same} known to mean the same, {len(left)} survive; {seconds:.0f} s"
    )
    return 1 if left else 0


def _tried(options: argparse.Namespace, chosen: Sequence[Mutant], coverage: Coverage) -> list[Fate]:
    def seen(fate: Fate) -> None:
        if options.verbose or not fate.killed:
            how = f"killed by {fate.by}" if fate.killed else f"SURVIVES {fate.tried} cases"
            print(f"{fate.mutant.label}\n    {how}", flush=True)

    return tried(
        options.backend, chosen, coverage, processes=options.processes, budget=options.budget, limit=options.limit,
        seen=seen,
    )  # fmt: skip


_SPARING = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    "XLA_FLAGS": "--xla_backend_optimization_level=0",
}
"""For JAX: what one mutant has compiled serves the next, and nothing is compiled to be fast."""


def chosen_from(backend: str, only: Sequence[str] = (), sample: int | None = None, seed: int = 0) -> list[Mutant]:
    """The mutants of a backend, in an order drawn by the seed."""
    found = [m for module, functions in SUBJECTS[backend].items() for m in mutants([module], functions)]
    found = [m for m in found if not only or any(text in m.label for text in only)]
    random.Random(seed).shuffle(found)  # noqa: S311  # no secret
    return found if sample is None else found[:sample]


def _coverage(options: argparse.Namespace) -> Coverage:
    if options.coverage is not None and options.coverage.exists():
        kept: Coverage = pickle.loads(options.coverage.read_bytes())  # noqa: S301  # the user's own file
        return kept
    cases = [c.id for c in plan(options.area, options.profile)]
    found = covered(options.backend, tuple(SUBJECTS[options.backend]), cases, options.processes)
    if options.coverage is not None:
        options.coverage.write_bytes(pickle.dumps(found))
    return found


if __name__ == "__main__":
    sys.exit(main())
