"""Versions that a backend does not admit are named, with what to install."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as s
from packaging.specifiers import SpecifierSet

from subtensor.__main__ import main
from subtensor.errors import PluginError
from subtensor.plugins import PluginHost
from subtensor.plugins.requirements import Requirement, admits, misfits, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("numpy>=2.0", Requirement("numpy", ">=2.0", None)),
        ("jaxlib<=0.12.0,>=0.11", Requirement("jaxlib", "<=0.12.0,>=0.11", None)),
        ("jaxlib (>= 0.11, <= 0.12)", Requirement("jaxlib", "<=0.12,>=0.11", None)),
        ("jax>=0.10; extra == 'jax'", Requirement("jax", ">=0.10", "jax")),
        ('subtensor[examples,jax] ; extra == "dev"', Requirement("subtensor", "", "dev")),
        ("typing_extensions; python_version < '3.12'", None),  # not for every Python
        ("numpy>=2.0; extra == 'x' and sys_platform == 'win32'", None),
        ("thing @ https://example.org/thing.whl", None),
        ("", None),
        ("?", None),
    ],
)
def test_requirements_are_read(text, expected):
    assert parse(text) == expected


NUMBERS = s.lists(s.integers(0, 3), min_size=1, max_size=4).map(lambda n: ".".join(map(str, n)))
SIGNS = s.sampled_from([">=", ">", "<=", "<", "==", "!="])


@given(NUMBERS, s.lists(s.tuples(SIGNS, NUMBERS), max_size=3), s.sampled_from(["", "rc1", ".dev0", "a2", "b1.dev3"]))
@settings(max_examples=500, deadline=None)
def test_clauses_mean_what_installers_take_them_for(version, clauses, suffix):
    if suffix and any(sign in ("==", "!=") for sign, _ in clauses):
        suffix = ""
    text = ",".join(sign + number for sign, number in clauses)
    assert admits(text, version + suffix) == SpecifierSet(text).contains(version + suffix, prereleases=True)


@given(NUMBERS, s.sampled_from(["==", "!="]), NUMBERS)
@settings(max_examples=300, deadline=None)
def test_beginnings(version, sign, number):
    assert admits(f"{sign}{number}.*", version) == SpecifierSet(f"{sign}{number}.*").contains(version)


@given(NUMBERS, NUMBERS)
@settings(max_examples=300, deadline=None)
def test_compatible_releases(version, number):
    clause = f"~={number}.1"
    assert admits(clause, version) == SpecifierSet(clause).contains(version)


def test_local_versions_and_what_cannot_be_read():
    assert admits(">=2.13,<3", "2.13.0+cpu")
    assert admits(">=2.0", "unknown")
    assert admits("^2.0", "1.0")
    assert admits(">=0.50.0dev0,<0.51", "0.50.0")
    assert not admits("<3", "3.0.0rc1")
    assert admits(">=3.0rc1", "3.0")


def world(**versions):
    """Distributions, and what each asks for."""

    def installed(name):
        return versions.get(name)

    return installed


OWN = ["numpy>=2.0", "scipy>=1.13", "jax>=0.10; extra == 'jax'", "numba>=0.61; extra == 'numba'"]


def test_what_fits_is_not_named():
    installed = world(
        numpy=("2.0.0", []),
        scipy=("1.13.0", ["numpy>=1.22"]),
        jax=("0.10.0", ["jaxlib<=0.10.0"]),
        jaxlib=("0.10.0", []),
    )
    assert misfits("subtensor", OWN, "jax", installed) == ""
    assert misfits("subtensor", OWN, "jax", world()) == ""  # the import says what is missing


def test_each_version_is_named_once_with_one_remedy():
    jax = ["jaxlib<=0.12.0,>=0.12.0", "numpy>=2.1", "scipy>=1.14", "extra>=1; extra == 'cuda'"]
    installed = world(
        numpy=("1.26.4", []), scipy=("1.13.0", ["numpy>=1.22"]), jax=("0.12.0", jax), jaxlib=("0.11.2", ["numpy>=2.1"]),
        extra=("0", []), numba=("0.1", []),
    )  # fmt: skip
    assert misfits("subtensor", OWN, "jax", installed) == (
        "subtensor needs numpy>=2.0, but 1.26.4 is installed; "
        "jax 0.12.0 needs jaxlib<=0.12.0,>=0.12.0, but 0.11.2 is installed; "
        "jax 0.12.0 needs scipy>=1.14, but 1.13.0 is installed; "
        "pip install 'numpy>=2.0,>=2.1' 'jaxlib<=0.12.0,>=0.12.0' 'scipy>=1.14'"
    )
    assert misfits("subtensor", OWN, "numpy", installed) == (
        "subtensor needs numpy>=2.0, but 1.26.4 is installed; pip install 'numpy>=2.0'"
    )


def test_distributions_that_ask_for_each_other():
    installed = world(a=("1", ["b>=1"]), b=("2", ["a>=2"]))
    assert misfits("x", ["a"], "", installed) == "b 2 needs a>=2, but 1 is installed; pip install 'a>=2'"


@pytest.fixture
def lay_out(tmp_path, monkeypatch):
    """A distribution with a backend, and libraries in the versions given; its module raises `error`."""
    monkeypatch.delenv("SUBTENSOR_BLOCK_PLUGINS", raising=False)

    def write(name, version, requires=(), points=""):
        info = tmp_path / f"{name}-{version}.dist-info"
        info.mkdir()
        lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {r}" for r in requires)]
        (info / "METADATA").write_text("Metadata-Version: 2.1\n" + "\n".join(lines) + "\n")
        (info / "entry_points.txt").write_text(points)

    def make(error=""):
        write("fast_arrays", "4.0", ["fast_core==4.*"])
        write("fast_core", "3.9")
        write(
            "acme",
            "1.0",
            ["fast_arrays>=5; extra == 'acme_fast'"],
            "[subtensor.backends]\nacme_fast = acme_fast_module\n",
        )
        (tmp_path / "acme_fast_module.py").write_text(error)
        monkeypatch.syspath_prepend(tmp_path)

    yield make
    sys.modules.pop("acme_fast_module", None)


NAMED = (
    "acme needs fast_arrays>=5, but 4.0 is installed; fast_arrays 4.0 needs fast_core==4.*, but 3.9 is installed; "
    "pip install 'fast_arrays>=5' 'fast_core==4.*'"
)


def test_the_command_names_them_without_loading(lay_out, capsys):
    lay_out()
    assert main(["backends", "--no-load"]) == 0
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("acme_fast")]
    assert " ".join(line.split()) == f"acme_fast acme 1.0 available {NAMED}"


def test_an_import_that_fails_names_them(lay_out, capsys):
    lay_out("raise RuntimeError('fast_core is too old')")
    with pytest.raises(PluginError, match="RuntimeError: fast_core is too old; ") as caught:
        PluginHost().get_backend("acme_fast")
    assert str(caught.value).endswith(NAMED)
    assert main(["backends", "acme_fast"]) == 1
    assert NAMED in capsys.readouterr().err


def test_the_versions_of_this_environment_fit():
    done = subprocess.run([sys.executable, "-m", "subtensor", "backends"], capture_output=True, text=True, check=True)
    assert " needs " not in done.stdout
