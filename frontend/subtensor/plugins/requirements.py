"""Installed versions that are not those which a plugin's distribution asks for: read from metadata, without imports."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Requirement:
    """``name[extras] clauses; marker``, as in the metadata of distributions."""

    name: str
    clauses: str
    extra: str | None
    """The extra for which it holds; None where it always does."""

    def __str__(self) -> str:
        return f"{self.name}{self.clauses}"


_REQUIREMENT = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*\(?([^;()@]*)\)?\s*(?:;(.*))?$")
_EXTRA = re.compile(r"""\s*\(?\s*extra\s*==\s*["']([^"']+)["']\s*\)?\s*$""")


def parse(text: str) -> Requirement | None:
    """A requirement; None for one by address, or for certain machines or Pythons only."""
    match = _REQUIREMENT.match(text)
    if match is None:
        return None
    name, clauses, marker = match.groups()
    extra = _EXTRA.match(marker) if marker else None
    if marker and extra is None:
        return None
    return Requirement(
        name, ",".join(sorted(clauses.replace(" ", "").split(","))), normalise(extra[1]) if extra else None
    )


def normalise(name: str) -> str:
    """Spell a name as packaging tools compare it: ``My_Backend`` and ``my-backend`` are one."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def misfits(
    distribution: str, requires: Iterable[str], extra: str, installed: Callable[[str], tuple[str, Iterable[str]] | None]
) -> str:
    """What is installed in another version than a distribution asks for, or than what it asks for asks for in turn.

    requires: of the distribution. extra: the one that is in use, normalised. installed: a distribution's version and
    requirements, None where it is not there: its import will say so. Gives "" where everything fits.
    """
    texts: dict[str, str] = {}
    needed: dict[str, list[str]] = {}
    seen: set[str] = set()
    waiting = [(distribution, r) for r in map(parse, requires) if r is not None and r.extra in (None, extra)]
    while waiting:
        who, requirement = waiting.pop(0)
        there = installed(requirement.name)
        if there is None:
            continue
        version, further = there
        if not admits(requirement.clauses, version):
            texts.setdefault(requirement.name, f"{who} needs {requirement}, but {version} is installed")
            needed.setdefault(requirement.name, []).append(requirement.clauses)
        if requirement.name not in seen:
            seen.add(requirement.name)
            name = f"{requirement.name} {version}"
            waiting += [(name, r) for r in map(parse, further) if r is not None and r.extra is None]
    wanted = (f"'{name}{','.join(dict.fromkeys(clauses))}'" for name, clauses in needed.items())
    return "; ".join([*texts.values(), " ".join(["pip install", *wanted])]) if texts else ""


# --- versions

_VERSION = re.compile(r"v?(\d+(?:\.\d+)*)(.*)$")
_CLAUSE = re.compile(r"(===|==|!=|~=|<=|>=|<|>)v?(\d+(?:\.\d+)*)(.*)$")


def admits(clauses: str, version: str) -> bool:
    """Whether a version fulfils clauses such as ``>=2.0,<3``.

    In the manner of https://packaging.python.org/en/latest/specifications/version-specifiers/, but that all candidates
    for a release count as one, before it, and that later builds of it count as it. What cannot be read is fulfilled.
    """
    match = _VERSION.match(version)
    return match is None or all(_admits(clause, *match.groups()) for clause in clauses.split(","))


def _admits(clause: str, version: str, suffix: str) -> bool:
    match = _CLAUSE.match(clause)
    if match is None:
        return True
    sign, number, rest = match.groups()
    have, want = (_numbers(version), not _is_early(suffix)), (_numbers(number), not _is_early(rest))
    if rest == ".*" or sign == "~=":
        length = number.count(".") + (rest == ".*")
        begins = _padded(have[0], length) == _padded(want[0], length)
        return begins == (sign != "!=") and (sign != "~=" or have >= want)
    return {
        "<": have < want and (have[0] != want[0]),  # a candidate for 3.0 is not below 3
        "<=": have <= want,
        ">": have > want,
        ">=": have >= want,
        "!=": have != want,
    }.get(sign, have == want)


def _numbers(text: str) -> tuple[int, ...]:
    """``2.0.0`` is ``2``."""
    numbers = [int(n) for n in text.split(".")]
    while numbers[-1:] == [0]:
        numbers.pop()
    return tuple(numbers)


def _padded(numbers: tuple[int, ...], length: int) -> tuple[int, ...]:
    return (*numbers, *[0] * length)[:length]


def _is_early(suffix: str) -> bool:
    """Whether a version is a candidate for its release, or an earlier state of it."""
    return re.match(r"[-_.]?(a|b|c|rc|alpha|beta|pre|preview|dev)[-_.]?\d*", suffix.lower()) is not None
