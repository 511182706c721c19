"""What is installed is what is in the folders: an editable install would hide a package left out of the wheel."""

import configparser
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = [
    ROOT / "frontend" / "subtensor",
    ROOT / "backends" / "subtensor_numpy",
    ROOT / "backends" / "subtensor_jax",
    ROOT / "backends" / "subtensor_numba",
    ROOT / "conformance" / "subtensor_conformance",
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel; give it opened."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    [path] = folder.iterdir()
    with zipfile.ZipFile(path) as opened:
        yield opened


@pytest.fixture(scope="module")
def contents(wheel):
    """Give the names of all files outside of the metadata."""
    return {name for name in wheel.namelist() if not name.split("/")[0].endswith(".dist-info")}


@pytest.fixture(scope="module")
def metadata(wheel):
    """Give the files of metadata, by name."""
    parts = {name: name.split("/", 1) for name in wheel.namelist()}
    return {rest: wheel.read(name).decode() for name, (top, rest) in parts.items() if top.endswith(".dist-info")}


def test_the_wheel_holds_the_packages_and_nothing_else(contents):
    expected = {
        path.relative_to(package.parent).as_posix()
        for package in PACKAGES
        for pattern in ("*.py", "py.typed", "*.txt")
        for path in package.rglob(pattern)
    }
    assert sorted(contents - expected) == []
    assert sorted(expected - contents) == []


def test_no_package_is_forgotten():
    parts = {package.parent for package in PACKAGES}
    found = {path.parent for part in parts for path in part.glob("*/__init__.py") if path.parent.name != "tests"}
    assert found == set(PACKAGES)


@pytest.mark.parametrize("package", [package.name for package in PACKAGES])
def test_each_package_is_typed(contents, package):
    assert {f"{package}/__init__.py", f"{package}/py.typed"} <= contents


def test_every_folder_of_a_package_is_a_package(contents):
    folders = {PurePosixPath(name).parent for name in contents}
    assert sorted(str(folder) for folder in folders if f"{folder}/__init__.py" not in contents) == []


def test_entry_points(metadata, contents):
    points = configparser.ConfigParser(delimiters=("=",))
    points.read_string(metadata["entry_points.txt"])
    assert {group: dict(points[group]) for group in points.sections()} == {
        "console_scripts": {
            "subtensor": "subtensor.__main__:main",
            "subtensor-conformance": "subtensor_conformance.__main__:main",
        },
        "subtensor.backends": {"numpy": "subtensor_numpy", "jax": "subtensor_jax", "numba": "subtensor_numba"},
    }
    for target in [target for group in points.sections() for target in points[group].values()]:
        path = target.split(":")[0].replace(".", "/")
        assert {f"{path}.py", f"{path}/__init__.py"} & contents, target


def test_the_licence_is_included(metadata):
    assert metadata["licenses/LICENSE"] == (ROOT / "LICENSE").read_text()
    assert "License-Expression: BSD-3-Clause" in metadata["METADATA"]
