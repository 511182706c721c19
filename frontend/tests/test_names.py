"""The public names: that completion shows them, and that each is of use to ``help``."""

import tomllib
from pathlib import Path

import pytest

import subtensor as st
import subtensor.tensor as T

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_version_is_that_of_the_project():
    assert st.__version__ == PROJECT["version"]


def test_completion_shows_every_public_name():
    assert set(st.__all__) | {"__version__"} <= set(dir(st))
    assert set(T.__all__) <= set(dir(T))
    assert set(T.__all__) == set(st.__all__) - {"tensor"}


@pytest.mark.parametrize("module", [st, T])
def test_every_public_name_leads_somewhere(module):
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_every_public_function_says_what_it_does():
    silent = [n for n in st.__all__ if callable(getattr(st, n)) and not (getattr(st, n).__doc__ or "").strip()]
    assert not silent
