"""The page on versions agrees with pyproject.toml."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "versions.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| 3.")
]


def numbers(text):
    return [int(n) for n in text.split(".")]


def lowest(name):
    every = [*PROJECT["dependencies"], *(r for extra in PROJECT["optional-dependencies"].values() for r in extra)]
    [version] = {m[1] for r in every if (m := re.fullmatch(rf"{name}>=([\d.]+)", r))}
    return numbers(version)


def test_each_python_that_is_named_was_tested():
    named = {
        m[1] for c in PROJECT["classifiers"] if (m := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", c))
    }
    assert named == {".".join(row[0].split(".")[:2]) for row in ROWS}
    assert PROJECT["requires-python"] == ">=" + min(named, key=numbers)


def test_the_lowest_versions_were_tested():
    for column, name in ((1, "numpy"), (2, "scipy"), (3, "jax"), (4, "pluggy")):
        tested = min(numbers(row[column]) for row in ROWS if row[column])
        want = lowest(name)
        assert tested == want + [0] * (len(tested) - len(want)), name
