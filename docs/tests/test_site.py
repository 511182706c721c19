"""The site's parts: every page has its place in the navigation, and dead links are found. `.ci/run` builds it."""

import re
import runpy
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def conf():
    pytest.importorskip("sphinx")
    return runpy.run_path(str(DOCS / "site" / "conf.py"))


@pytest.fixture(scope="module")
def dead_links():
    return runpy.run_path(str(DOCS / "site" / "build.py"))["dead_links"]


def test_every_page_has_one_place_in_the_navigation(conf):
    pages = [p.relative_to(DOCS).with_suffix("").as_posix() for p in [*DOCS.glob("*.md"), *DOCS.glob("reference/*.md")]]
    parts = conf["parts"](pages)
    assert sorted(page for listed in parts.values() for page in listed) == sorted(pages)
    unplaced = parts.get("More", [])
    assert not unplaced, "name these pages in NAVIGATION of docs/site/conf.py"


def test_a_page_is_where_it_is_named_and_stars_stay_in_their_folder(conf):
    parts = conf["parts"](["writing-a-rule", "writing-a-backend", "reference", "reference/loops", "new", "from-x"])
    assert parts["Extending"] == ["writing-a-backend", "writing-a-rule"]
    assert parts["Reference"] == ["reference", "reference/loops"]
    assert parts["More"] == ["new"]


def test_dead_links_are_found(dead_links, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "index.html").write_text('<a href="a/b.html#here">x</a><img src="no.png"><a href="https://x.y/z">z</a>')
    (tmp_path / "a" / "b.html").write_text('<p id="here"><a href="../index.html#gone">y</a><a href="#here">h</a></p>')
    assert dead_links(tmp_path) == ["a/b.html: ../index.html#gone", "index.html: no.png"]


def test_ci_builds_the_site_by_the_documented_command():
    command = "python docs/site/build.py"
    assert command in (ROOT / ".ci" / "run").read_text(encoding="utf-8").replace('"$first/bin/python"', "python")
    assert command in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_extra_for_the_site_is_part_of_what_developers_install():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert {re.split("[>=]", r)[0] for r in extras["docs"]} >= {"sphinx", "myst-parser", "furo"}
    assert any("docs" in r for r in extras["dev"])
