"""The command ``python -m subtensor_conformance.reliability``. Exit status: 0 if nothing broke, 1 if something did."""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Sequence

from subtensor_conformance.reliability import faults, programs

Trial = Callable[[random.Random, str], None]

TRIALS: dict[str, tuple[Trial, int]] = {
    "programs": (programs.program, 150),
    "gradients": (programs.gradient, 40),
    "interrupts": (faults.interrupt, 10),
    "kills": (faults.kill, 3),
    "flips": (faults.flip, 200),
    "forks": (faults.fork, 10),
    "threads": (faults.thread, 5),
}
"""What is tried, and how often in the profile ``short``; ``long`` goes on in turn for as long as it is told."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m subtensor_conformance.reliability", description=__doc__)
    parser.add_argument("--backend", default="numpy", help="the backend to try (numpy)")
    parser.add_argument("--seed", type=int, default=0, help="of the first trial; trial k has the seed SEED + k")
    parser.add_argument("--profile", choices=("short", "long"), default="short", help="a minute, or a night")
    parser.add_argument("--minutes", type=float, default=480.0, help="how long the profile long goes on (480)")
    parser.add_argument("--only", choices=tuple(TRIALS), help="only these trials")
    parser.add_argument("--one", action="store_true", help="only the trial of the seed, to see a failure again")
    options = parser.parse_args(argv)
    chosen = [options.only] if options.only else list(TRIALS)
    end = time.monotonic() + 60 * options.minutes
    counts, failures = dict.fromkeys(chosen, 0), 0
    rounds = 0
    while True:
        for name in chosen:
            trial, times = TRIALS[name]
            for _ in range(1 if options.one else times):
                seed = options.seed + counts[name]
                counts[name] += 1
                failures += not _passes(name, trial, seed, options.backend)
        rounds += 1
        if options.one or options.profile == "short" or time.monotonic() > end:
            break
    print(f"{options.backend}, seed {options.seed}: " + ", ".join(f"{n} {name}" for name, n in counts.items()))
    print(f"{failures} failures" if failures else "nothing broke")
    return 1 if failures else 0


def _passes(name: str, trial: Trial, seed: int, backend: str) -> bool:
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trial(random.Random(f"{name} {seed}"), backend)  # noqa: S311  # no secret
    except Exception:  # noqa: BLE001  # whatever it is, it is a failure
        print(f"{name}, seed {seed}, backend {backend}: failed; see it again with")
        print(f"  python -m subtensor_conformance.reliability --backend {backend} --only {name} --seed {seed} --one")
        traceback.print_exc(file=sys.stdout)
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
