"""What a run showed: accounting, levels, exit code, comparison of backends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from subtensor.program.contract import CAPABILITIES
from subtensor_conformance.case import SPEC_VERSION, Case, Manifest
from subtensor_conformance.cases import AREAS, LEVELS, corpus
from subtensor_conformance.compare import Bound, difference
from subtensor_conformance.repro import script
from subtensor_conformance.result import STATES, Result, decode

CONFORMANT, NOT_CONFORMANT, NOT_LOADED, INCONSISTENT = 0, 1, 2, 3
"""Exit codes."""


@dataclass
class Run:
    """One backend's part. results: by case id. fault: why it could not be loaded. about: name, version, capabilities.

    declarations: what is wrong with what the backend says of itself, beside what cases show.
    """

    backend: str
    results: dict[str, Result] = field(default_factory=dict)
    fault: str = ""
    about: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    declarations: list[str] = field(default_factory=list)

    def close(self, manifest: Manifest) -> None:
        """Give every planned case an outcome; what has none was not run, which is a failure."""
        planned = set(manifest.ids)
        for i in manifest.ids:
            if i not in self.results:
                self.results[i] = Result(i, "not-run", "accounting", self.fault or "the run ended before this case")
        for i in [i for i in self.results if i not in planned]:
            self.declarations.append(f"the case {i!r} was run although it was not planned")
        self.results = {i: self.results[i] for i in manifest.ids}

    @property
    def failures(self) -> list[Result]:
        return [r for r in self.results.values() if not r.good]

    @property
    def loosened(self) -> list[Result]:
        return [r for r in self.results.values() if r.factor != 1]

    def counts(self, area: str | None = None) -> Counter[str]:
        return Counter(r.state for r in self.results.values() if area is None or r.area == area)

    @property
    def exit_code(self) -> int:
        if self.fault:
            return NOT_LOADED
        bad = {r.state for r in self.failures}
        if bad - {"stale", "undeclared"} or any(
            r.state == "undeclared" and _CASES[r.id].capability is None for r in self.failures
        ):
            return NOT_CONFORMANT
        return INCONSISTENT if bad or self.declarations else CONFORMANT


class _Cases(Mapping[str, Case]):
    """The corpus by id, made when first asked for; cases that are not in it (found at random) are added."""

    def __init__(self) -> None:
        self.extra: dict[str, Case] = {}
        self.known: dict[str, Case] = {}

    def __getitem__(self, key: str) -> Case:
        if not self.known:
            self.known = {c.id: c for c in corpus()}
        return self.extra[key] if key in self.extra else self.known[key]

    def __iter__(self) -> Any:
        return iter({**self.known, **self.extra})

    def __len__(self) -> int:
        return len(self.known) + len(self.extra)


_CASES = _Cases()


def case_of(case_id: str) -> Case:
    """The case of an id; KeyError where there is none."""
    return _CASES[case_id]


@dataclass
class Report:
    """A run of the suite on one or more backends."""

    manifest: Manifest
    profile: str
    areas: tuple[str, ...]
    seed: int
    runs: list[Run]

    @property
    def exit_code(self) -> int:
        """0 conformant, 1 not, 2 a backend could not be loaded, 3 only declarations are inconsistent."""
        codes = {run.exit_code for run in self.runs}
        if NOT_LOADED in codes or not codes:
            return NOT_LOADED
        if NOT_CONFORMANT in codes or self.disagreements():
            return NOT_CONFORMANT
        return max(codes)

    @property
    def conformant(self) -> bool:
        return self.exit_code == CONFORMANT

    def level(self, run: Run) -> str:
        """The highest level that this run proves: of what was run, nothing more."""
        proven = "none"
        for level in LEVELS:
            wanted = {area for area, (of, _, _) in AREAS.items() if of == level}
            if not wanted <= set(self.areas) or any(not r.good for r in run.results.values() if r.area in wanted):
                return proven
            if not any(r.area in wanted for r in run.results.values()):
                return proven
            proven = level
        lacks = CAPABILITIES - set(run.about.get("capabilities", ()))
        return "full" if not lacks and run.exit_code == CONFORMANT else proven

    def badge(self, run: Run) -> str:
        """The level in words, with what limits it."""
        level = self.level(run)
        if run.fault:
            return "nothing: the backend could not be loaded"
        missing = [a for a in AREAS if a not in self.areas]
        words = f"level {level}" if level != "none" else "no level"
        if self.manifest.count and len(self.runs[0].results) < 2:
            words = "no level: a single case was run"
        elif missing and level == "none":
            words += f": the areas {', '.join(missing)} were not run" if len(missing) < 8 else ": few areas were run"
        lacks = sorted(CAPABILITIES - set(run.about.get("capabilities", ())))
        if lacks and level == LEVELS[-1]:
            words += f" (not full: it lacks {', '.join(lacks)})"
        return f"{words}, profile {self.profile}, spec {SPEC_VERSION}"

    def disagreements(self) -> list[tuple[str, str, str, str]]:
        """Case, two backends, and how they differ, where both passed alone: compared with each other, bit for bit where
        the case is exact, errors by their texts.
        """
        found = []
        for k, a in enumerate(self.runs):
            for b in self.runs[k + 1 :]:
                for i, x in a.results.items():
                    y = b.results[i]
                    if x.state == y.state == "pass":
                        message = disagreement(case_of(i), x.observed, y.observed)
                        if message:
                            found.append((i, a.backend, b.backend, message))
        return found

    def as_dict(self) -> dict[str, Any]:
        return {
            "suite": "subtensor-conformance",
            "spec_version": SPEC_VERSION,
            "profile": self.profile,
            "areas": list(self.areas),
            "seed": self.seed,
            "manifest": {"count": self.manifest.count, "sha256": self.manifest.digest, "ids": list(self.manifest.ids)},
            "states": STATES,
            "exit_code": self.exit_code,
            "backends": [
                {
                    "backend": run.backend,
                    "about": run.about,
                    "fault": run.fault,
                    "level": self.level(run),
                    "badge": self.badge(run),
                    "exit_code": run.exit_code,
                    "seconds": round(run.seconds, 3),
                    "declarations": run.declarations,
                    "counts": {area: dict(run.counts(area)) for area in self.areas},
                    "loosened": {r.id: r.factor for r in run.loosened},
                    "results": [_brief(r, run.backend) for r in run.results.values()],
                }
                for run in self.runs
            ],
            "disagreements": [dict(zip(("case", "a", "b", "message"), d, strict=True)) for d in self.disagreements()],
        }


def _brief(r: Result, backend: str) -> dict[str, Any]:
    data = {k: v for k, v in r.as_dict().items() if k != "observed"}
    if not r.good and r.state != "not-run":
        data["script"] = script(case_of(r.id), backend)
    return data


def disagreement(case: Case, a: Sequence[Any], b: Sequence[Any]) -> str:
    """How what was observed on two backends differs by more than twice the bound; empty where it does not."""
    bound = Bound(2 * case.ulps, case.addends, 2 * case.absolute)
    pairs = list(zip(_flat(a), _flat(b), strict=False))
    for x, y in pairs:
        if isinstance(x, str) or isinstance(y, str):
            if x != y:
                return f"the errors differ: {x!r} and {y!r}"
            continue
        found = difference("", decode(x), decode(y), bound)
        if found:
            return f"the values differ{found.message}"
    return ""


def _flat(observed: Sequence[Any]) -> list[Any]:
    """The arrays and texts among what was observed, in order."""
    flat: list[Any] = []
    for item in observed:
        if isinstance(item, str) or (item and isinstance(item[0], str)):
            flat.append(item)
        else:
            flat.extend(item)
    return flat
